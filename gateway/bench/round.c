/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/round.h"

#include "runtime/handoff.h"
#include "runtime/time.h"

#define PATIENCE_NS (60 * SL_SECOND_NS)

void
sl_bench_round_begin(struct sl_bench_round *r, uint32_t threads, uint32_t actors, uint64_t count)
{
    r->scheduler = sl_scheduler_create(&(struct sl_scheduler_options){.threads = threads});
    r->over = sl_handoff_create();
    r->left = actors;
    r->count = count;
}

struct sl_addr
sl_bench_round_spawn(struct sl_bench_round *r, const struct sl_actor_class *class,
                     const void *argument, uint32_t thread)
{
    struct sl_addr addr = {0};
    struct sl_spawn_options options = {.thread = thread};
    if (sl_scheduler_spawn(r->scheduler, &(struct sl_spawn_what){class, argument}, &options,
                           &addr) != SL_OK)
        r->has_failed = true;
    return addr;
}

void
sl_bench_round_start(struct sl_bench_round *r, const struct sl_addr *to, uint32_t to_count,
                     struct sl_addr from)
{
    r->start_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < to_count; i++) {
        struct sl_msg *msg = sl_msg_create(SL_M_bench_number, &(struct sl_m_bench_number){0});
        msg->to = to[i];
        msg->from = from;
        if (sl_scheduler_post(r->scheduler, msg) != SL_OK)
            r->has_failed = true;
    }
}

void
sl_bench_round_finish(struct sl_bench_round *r)
{
    if (atomic_fetch_sub(&r->left, 1) != 1)
        return;
    r->end_ns = sl_time_mono_ns();
    sl_handoff_give(r->over, sl_slice_str("over"));
}

double
sl_bench_round_end(struct sl_bench_round *r)
{
    struct sl_buf text = {0};
    bool is_over = sl_handoff_take(r->over, PATIENCE_NS, &text);
    bool is_ok = sl_scheduler_stop(r->scheduler) == SL_OK && is_over && !r->has_failed;
    sl_buf_deinit(&text);
    sl_scheduler_destroy(&r->scheduler);
    double seconds = (double)(r->end_ns - r->start_ns) / 1e9;
    return is_ok && seconds > 0 ? (double)r->count / seconds : 0;
}
