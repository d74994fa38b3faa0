/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_prefetch.h - how many leases a worker should hold at a time: so many that none of its slots
 * waits for the next one to come, and none that others could begin sooner.
 *
 *     held + asked <= slots + ahead
 *     ahead = 2 * slots * round trip / service, of what was measured lately, rounded up;
 *             at most as many as are worked off in hold_ns (so none, once a task takes longer than
 *             slots * hold_ns), and at most max in all
 *
 * Before the first end it is the slots alone. A task that runs longer than those before it counts
 * as soon as it does, so that nothing is taken behind it. Pure state: time is an argument,
 * monotonic. Threading: one owner.
 */
#ifndef SL_GATEWAY_QUEUE_PREFETCH_H
#define SL_GATEWAY_QUEUE_PREFETCH_H

#include "runtime/base.h"

/* The usual, and the most: as of documents' tasks (placement.h). */
#define SL_PREFETCH_HOLD_NS     SL_SECOND_NS
#define SL_PREFETCH_HOLD_MAX_NS (4 * SL_SECOND_NS)
#define SL_PREFETCH_USUAL       1024u
#define SL_PREFETCH_MAX         65536u

/* 0 each: the usual. What is above the most is the most. */
struct sl_prefetch_options {
    uint32_t slots; /* Tasks that run at a time; 0: 1. */
    uint32_t max;   /* Leases at a time, no fewer than slots; 0: SL_PREFETCH_USUAL. */
    uint64_t hold_ns;
};

struct sl_prefetch {
    struct sl_prefetch_options options;
    uint32_t held, asked; /* Leases that have not ended; and that were asked for. */
    uint64_t service_ns;  /* Of a task; 0: none has ended. */
    uint64_t round_ns;    /* From an end to the next lease; 0: unknown. */
    uint64_t since_ns;    /* When the last one ended, or the first one came. */
};

void sl_prefetch_init(struct sl_prefetch *p, const struct sl_prefetch_options *options);
void sl_prefetch_leased(struct sl_prefetch *p, uint64_t now_ns, uint32_t count);
/* `served_ns`: of all of them; 0: unknown, so it is the time since the last ones ended. */
void sl_prefetch_ended(struct sl_prefetch *p, uint64_t now_ns, uint32_t count, uint64_t served_ns);
void sl_prefetch_released(struct sl_prefetch *p, uint32_t count); /* Given back, or lost. */
void sl_prefetch_round(struct sl_prefetch *p, uint64_t round_ns); /* A round trip was seen. */
void sl_prefetch_reset(struct sl_prefetch *p);                    /* Nothing is held or asked. */
/* How many to hold. */
uint32_t sl_prefetch_target(const struct sl_prefetch *p, uint64_t now_ns);
/* How many to ask for at once: they count as asked. */
uint32_t sl_prefetch_ask(struct sl_prefetch *p, uint64_t now_ns);
/* How many are held above the target: those that have not begun are better given back. */
uint32_t sl_prefetch_surplus(const struct sl_prefetch *p, uint64_t now_ns);

#endif
