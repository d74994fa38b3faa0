/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that claim to be a snapshot, or a run of events with leases between them. Whatever they
 * are, the queue stays whole: what it writes as a snapshot it reads back to the same bytes.
 *
 *   first byte even: the rest is a snapshot
 *   first byte odd:  blocks of u8 size | u8 scope | event; size 0 leases, releases every other,
 * sweeps
 */
#include <stdlib.h>

#include "queue/events.h"
#include "queue/look.h"
#include "queue/sweep.h"
#include "runtime/report.h"

static void
check_round_trip(struct sl_queue *q)
{
    struct sl_buf first = {0};
    sl_queue_snapshot(q, &first);
    struct sl_queue *other = sl_queue_create();
    if (sl_queue_restore(other, sl_buf_slice(&first)) != SL_OK)
        abort();
    if (sl_queue_digest(q) != sl_queue_digest(other))
        abort();
    for (uint32_t segment = 0; segment < 300; segment++) {
        if (sl_queue_held(q, segment) != sl_queue_held(other, segment))
            abort();
    }
    sl_queue_destroy(&other);
    sl_buf_deinit(&first);
}

/* What is due is swept, as whoever owns the queue would. */
static void
sweep_some(struct sl_queue *q, uint8_t dice)
{
    struct sl_buf events = {0};
    struct sl_swept swept;
    struct sl_scope scope;
    struct sl_slice event;
    uint32_t count = sl_queue_sweep(q, dice * UINT64_C(1000), &events, &swept);
    if (count > SL_QUEUE_SWEEP_MAX + SL_QUEUE_PURGE_MAX || (count == 0) != (events.size == 0))
        abort();
    struct sl_reader r = sl_reader(sl_buf_slice(&events));
    while (sl_events_next(&r, &scope, &event))
        sl_queue_apply(q, scope, event, (struct sl_log_at){1, 0});
    sl_buf_deinit(&events);
}

static void
lease_some(struct sl_queue *q, uint8_t dice)
{
    struct sl_lease_want want = {.class = (enum sl_class)(dice % SL_CLASS_COUNT),
                                 .holder = dice % 5,
                                 .now_ms = dice * UINT64_C(100),
                                 .duration_ns = dice};
    struct sl_lease lease;
    uint64_t id;
    if (sl_queue_lease(q, &want, &lease) && dice % 2 == 0 &&
        sl_queue_release(q, lease.task_id, lease.epoch) != SL_OK)
        abort();
    if (dice % 16 == 0)
        (void)sl_queue_release_holder(q, dice % 5);
    if (dice % 16 == 1)
        (void)sl_queue_expire(q, dice, &id);
    if (dice % 16 == 2)
        sweep_some(q, dice);
}

static void
run_events(struct sl_queue *q, struct sl_reader *r)
{
    while (!r->is_bad && !sl_reader_is_done(r)) {
        uint8_t size = sl_read_u8(r), dice = sl_read_u8(r);
        struct sl_slice event = sl_read_bytes(r, size);
        if (r->is_bad)
            break;
        if (size == 0)
            lease_some(q, dice);
        else
            sl_queue_apply(q, (struct sl_scope){dice % 4}, event, (struct sl_log_at){dice + 1u, 0});
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    struct sl_reader r = sl_reader(sl_slice(data, size));
    struct sl_queue *q = sl_queue_create();
    if (sl_read_u8(&r) % 2 == 1) {
        run_events(q, &r);
    } else if (size > 0 && sl_queue_restore(q, sl_slice(data + 1, size - 1)) == SL_OK) {
        for (uint8_t i = 0; i < 64; i++)
            lease_some(q, i);
    }
    check_round_trip(q);
    sl_queue_destroy(&q);
    return 0;
}
