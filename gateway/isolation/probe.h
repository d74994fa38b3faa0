/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation/probe.h - a process that goes in as a replica does, and is then attacked or attacks.
 *
 *   victim    --hello--> waits for its socket's end
 *   attacker  --hello--> <--target-- --result-->... --end--> waits
 *   glutton   the same
 *
 * A target is a JSON object (struct sl_attack_target by its members), all else struct
 * sl_probe_said. Threading: a process of its own.
 */
#ifndef SL_GATEWAY_ISOLATION_PROBE_H
#define SL_GATEWAY_ISOLATION_PROBE_H

#include "runtime/spawner.h"
#include "gateway/isolation.h"

#define SL_PROBE_MAGIC      0x70726f62u
#define SL_PROBE_TARGET_MAX (32 * SL_KIB) /* Of a target's text. */

enum sl_probe_word { SL_PROBE_HELLO, SL_PROBE_RESULT, SL_PROBE_END };

struct sl_probe_said {
    uint32_t magic, what; /* enum sl_probe_word */
    uint64_t states;      /* HELLO: what holds it. */
    uint64_t address, user;
    int32_t pid, memory_fd;
    uint32_t uid, attack; /* RESULT: enum sl_attack; the last one said of it counts. */
    struct sl_attack_result result;
};

/*
 * Of the spawner's table. The text: {"role": "victim" | "attacker" | "glutton", "tenant": N,
 * "settings": {...}, "blobs": path}; its one descriptor is a SOCK_SEQPACKET socket.
 */
int sl_isolation_probe_run(const struct sl_child *child);

#endif
