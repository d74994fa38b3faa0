/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recorder_look.h - the other half of recorder.h: moving time on, and looking at what was done.
 */
#ifndef SL_TESTS_ACTORS_RECORDER_LOOK_H
#define SL_TESTS_ACTORS_RECORDER_LOOK_H

#include "tests/actors/recorder.h"

/* Move time on and fire what is due, in order of deadlines. */
static inline void
recorder_wait(struct recorder *r, uint64_t ns)
{
    uint64_t until_ns = r->now_ns + ns;
    for (;;) {
        uint32_t least = r->timers_count;
        for (uint32_t i = 0; i < r->timers_count; i++) {
            if (r->timers[i].at_ns <= until_ns &&
                (least == r->timers_count || r->timers[i].at_ns < r->timers[least].at_ns))
                least = i;
        }
        if (least == r->timers_count)
            break;
        struct recorded_timer t = r->timers[least];
        r->timers[least] = r->timers[--r->timers_count];
        uint64_t step_ns = t.at_ns > r->now_ns ? t.at_ns - r->now_ns : 0;
        r->now_ns += step_ns;
        r->now_ms += step_ns / SL_MILLI_NS;
        recorder_deliver(r, r->self, SL_M_timer, &(struct sl_m_timer){t.token});
    }
    r->now_ms += (until_ns - r->now_ns) / SL_MILLI_NS;
    r->now_ns = until_ns;
}

/* Do the oldest work and deliver its end. */
static inline void
recorder_do_work(struct recorder *r)
{
    cr_assert_gt(r->works_count, 0);
    struct recorded_work w = r->works[0];
    memmove(r->works, r->works + 1, --r->works_count * sizeof(w));
    w.work(w.argument);
    recorder_deliver(r, r->self, SL_M_work_done,
                     &(struct sl_m_work_done){w.token, (uint64_t)(uintptr_t)w.argument});
}

/* How many messages of that id are kept. */
static inline uint32_t
recorder_count(const struct recorder *r, uint32_t id)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->sent_count; i++)
        count += r->sent[i] != NULL && r->sent[i]->id == id;
    return count;
}

/* The oldest message of that id, the caller's now; NULL: none was sent. */
static inline struct sl_msg *
recorder_take(struct recorder *r, uint32_t id)
{
    for (uint32_t i = 0; i < r->sent_count; i++) {
        struct sl_msg *msg = r->sent[i];
        if (msg == NULL || msg->id != id)
            continue;
        r->sent[i] = NULL;
        return msg;
    }
    return NULL;
}

#endif
