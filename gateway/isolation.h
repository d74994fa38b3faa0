/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation.h - the proof that a tenant is apart from others: a neighbour is played, which attacks
 * it (isolation.def), and what it got is judged.
 *
 *   store's thread:  rows, ids, caches, as a key of the neighbour's would ask (isolation/rows.h)
 *   I/O thread:      a process of the tenant's, and two of the neighbour's, which the spawner forks
 *                    and which go in as replicas do (isolation/siege.h, isolation/probe.h)
 *
 *   ENFORCED       every attack was refused
 *   NOT_ENFORCED   one went through, and a part that is to hold it this kernel refused us just now
 *   VIOLATED       one went through, although nothing was missing
 *   UNKNOWN        one was not made: the processes did not come, or did not end, in time
 *
 * Threading: none of its own; plain data.
 */
#ifndef SL_GATEWAY_ISOLATION_H
#define SL_GATEWAY_ISOLATION_H

#include "runtime/json.h"
#include "runtime/sandbox.h"

enum sl_isolation_check {
    SL_CHECK_DATABASE,
    SL_CHECK_CACHE,
    SL_CHECK_NETWORK,
    SL_CHECK_PROCESS,
    SL_CHECK_RESOURCE,
    SL_CHECK_COUNT
};

enum sl_attack_by { SL_ATTACK_BY_ROWS, SL_ATTACK_BY_ATTACKER, SL_ATTACK_BY_GLUTTON };

enum sl_attack {
#define ATTACK(name, check, by, holds, what) SL_ATTACK_##name,
#include "gateway/isolation.def"
    SL_ATTACK_COUNT
};

/* In `holds`. MAY: what is not tried is no failure, as when the API's port was picked by the
 * kernel, or its address is a name. */
#define SL_ATTACK_WIDE  (1u << 29)
#define SL_ATTACK_MAY   (1u << 30)
#define SL_ATTACK_APART (1u << 31)

struct sl_attack_info {
    const char *name, *what;
    enum sl_isolation_check check;
    enum sl_attack_by by;
    uint32_t holds; /* 1 << enum sl_sandbox_part, and the above. */
};
const struct sl_attack_info *sl_attack_info(enum sl_attack attack);

#define SL_ATTACK_TEXT_MAX 112
struct sl_attack_result {
    uint32_t tried, through; /* How often; how often it was not refused. */
    int32_t error;           /* What the last refusal said; 0: that there is nothing. */
    uint64_t took_ns;
    char text[SL_ATTACK_TEXT_MAX]; /* What went through first, or how far it came. */
};

struct sl_isolation {
    struct sl_attack_result of[SL_ATTACK_COUNT];
    uint64_t states;   /* What held the attacker: sl_sandbox_enter. */
    bool is_apart;     /* The tenant's level is above logical. */
    bool is_sanitized; /* This build leaves parts out. */
};

enum sl_isolation_status {
    SL_ISOLATION_ENFORCED,
    SL_ISOLATION_NOT_ENFORCED,
    SL_ISOLATION_UNKNOWN,
    SL_ISOLATION_VIOLATED
};
struct sl_isolation_verdict {
    enum sl_isolation_status status;
    char text[240]; /* For people. */
};

/* Count one try. `error`: why it was refused; -1: it was not, and `text` says what went through. */
void sl_attack_note(struct sl_attack_result *r, int error, const char *text);

const char *sl_isolation_check_name(enum sl_isolation_check check);
bool sl_isolation_check_of(struct sl_slice name, enum sl_isolation_check *ret_check);
void sl_isolation_judge(const struct sl_isolation *found, enum sl_isolation_check check,
                        struct sl_isolation_verdict *ret_verdict);
/* Append {"name", "passed", "status", "detail", "evidence", "duration_ms"}. */
void sl_isolation_write(const struct sl_isolation *found, enum sl_isolation_check check,
                        struct sl_jsonw *w);

#endif
