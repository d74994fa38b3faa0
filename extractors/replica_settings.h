/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_settings.h - what the operator lets replicas have, on its way from the configuration to
 * each of them: a JSON object in the texts of nodes and replicas.
 *
 * Threading: none; strings are borrowed where it says so.
 */
#ifndef SL_EXTRACTORS_REPLICA_SETTINGS_H
#define SL_EXTRACTORS_REPLICA_SETTINGS_H

#include "extractors/batch_service.h"
#include "runtime/json.h"

struct sl_replica_settings {
    bool is_open;          /* Without a sandbox. */
    uint64_t memory_bytes; /* Of its own, beside what it maps to read; 0: by default. */
    uint64_t object_bytes; /* Of one that it shares; where it shares any. */
    char *readable;        /* sl_sandbox_options.readable; NULL: nothing more. */
    char *devices;         /* sl_sandbox_options.devices; NULL: none. */
    struct sl_batch_override batch;
};

/* Append the object to the writer. */
void sl_replica_settings_write(const struct sl_replica_settings *settings, struct sl_jsonw *w);
/*
 * What is in force where nothing is said: half of the machine's, so that one replica cannot take it
 * all; any (0) for those that may open devices, whose drivers set address space aside without end.
 */
uint64_t sl_replica_memory(const struct sl_replica_settings *settings);
/* Memory that is not said is by default then. What else the object lacks is zero: everything held.
 * Strings are the caller's: deinit. */
void sl_replica_settings_read(struct sl_json object, struct sl_replica_settings *ret_settings);
void sl_replica_settings_deinit(struct sl_replica_settings *settings); /* Zeroed is fine. */

#endif
