/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_scale.h - how many replicas a pool is to have, and the last decisions on that. It is told
 * whenever the pool's work changes, and asks for a time of its own only while one is ahead: a pool
 * at rest costs nothing.
 *
 * Threading: part of the pool.
 */
#ifndef SL_ACTORS_POOL_SCALE_H
#define SL_ACTORS_POOL_SCALE_H

#include "actors/autoscaler.h"

#define SL_POOL_DECISIONS 8

struct sl_pool_decision {
    struct sl_scale_settings settings; /* As they were. */
    struct sl_scale_facts facts;
    struct sl_scale_verdict verdict;
};

struct sl_pool_scale {
    struct sl_autoscaler *autoscaler; /* NULL before the first look. */
    struct sl_scale_settings settings;
    uint64_t arrived; /* Ever. */
    uint64_t next_ns; /* Look again then; UINT64_MAX: no need. */
    uint32_t wanted;
    uint64_t changes; /* Ever; the last of them are in `decisions`, by number. */
    struct sl_pool_decision decisions[SL_POOL_DECISIONS];
    struct sl_pool_decision last; /* The last one, whether it changed anything or not. */
    uint64_t told_changes;        /* As they were when it was written last. */
    enum sl_scale_reason told_reason;
};

/* Of a pool that the configuration says nothing of. */
struct sl_scale_settings sl_pool_scale_defaults(uint32_t replicas_max, uint64_t idle_ns);

void sl_pool_scale_deinit(struct sl_pool_scale *s); /* Zeroed is fine. */
/* Before the first look, and when the configuration is another one. The settings must be good. */
void sl_pool_scale_set(struct sl_pool_scale *s, const struct sl_scale_settings *settings,
                       uint64_t now_ns);
/* Decide, now. */
void sl_pool_scale_look(struct sl_pool_scale *s, uint64_t now_ns, uint32_t waiting,
                        uint32_t running, uint32_t room);
/* Whether it was decided otherwise, or for another reason, since it was written. */
bool sl_pool_scale_is_news(const struct sl_pool_scale *s);
/* Members: wanted, the last decisions that changed it, and the last one of all. */
void sl_pool_scale_write(struct sl_pool_scale *s, struct sl_jsonw *w);

#endif
