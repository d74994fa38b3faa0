/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica.h - the process that serves one extractor: its messages, and its main loop.
 *
 * Inputs, as actors/extraction.h makes them: per input three blocks: name, type, bytes. Outputs:
 * u32 count; per output a block with its fields (JSON object), u32 vectors, and per vector a block
 * with its index name and a block of float32.
 */
#ifndef SL_EXTRACTORS_REPLICA_H
#define SL_EXTRACTORS_REPLICA_H

#include "runtime/message.h"
#include "runtime/spawner.h"

#define F(type, name) SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "extractors/replica.def"
#undef MESSAGE
#undef F

enum sl_replica_message {
    SL_REPLICA_FIRST = (SL_PROTOCOL_REPLICA << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "extractors/replica.def"
#undef MESSAGE
};

extern const struct sl_protocol sl_protocol_replica;

/* The code of an answer that a channel does not take: it is asked again by way of the agent. */
#define SL_REPLICA_TOO_LARGE "too_large_for_channel"

/*
 * A forked replica's life. child->text is JSON: {"endpoint","agent":node number,"actor":its
 * agent,"replica":number,
 * "extractor":name,"plugins":directories,"params":{...},"blobs":directory,"threads":n,
 * "model":whether child->fds[0] is one,"models":whether it opens others,"tenant":number or 0,
 * "settings":replica_settings.h}. The descriptor behind that, if there, is a socket to the tenant's
 * objects. The process is confined (runtime/sandbox.h) before the plugin is loaded.
 */
int sl_replica_run(const struct sl_child *child);

#endif
