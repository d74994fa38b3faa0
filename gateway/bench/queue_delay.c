/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/queue_delay.h"

#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define TASKS     100000u
#define FIRST_MS  1000u /* Enough to put them all before. */
#define SPREAD_MS 5000u
#define LAST_MS   (UINT64_C(0) + FIRST_MS + SPREAD_MS)

static const struct sl_scope scope = {7};

/* The clock runs from start_ns, when it was start_ms, so that no jump of the wall is measured. */
struct clock {
    uint64_t start_ns, start_ms;
};

struct delayed {
    struct sl_queue *q;
    struct clock clock;
    struct sl_buf event;
    uint64_t first_id;
    uint32_t due_ms[TASKS]; /* After the start, by id. */
    uint64_t late_ns[TASKS], slept_ns[TASKS];
    uint64_t overslept_ns; /* By the machine, when it was to wake us last. */
    uint32_t fired;
};

static void
put_all(struct delayed *d)
{
    struct sl_random random;
    sl_random_seed(&random, 1);
    for (uint32_t i = 0; i < TASKS; i++) {
        uint64_t id = sl_queue_reserve(d->q);
        d->first_id = i == 0 ? id : d->first_id;
        d->due_ms[i] = FIRST_MS + (uint32_t)sl_random_below(&random, SPREAD_MS);
        sl_queue_event_put(&d->event,
                           &(struct sl_task_put){.task_id = id,
                                                 .class = SL_CLASS_BATCH,
                                                 .created_ms = d->clock.start_ms,
                                                 .not_before_ms = d->clock.start_ms + d->due_ms[i],
                                                 .payload = sl_slice_str("payload")});
        sl_queue_apply(d->q, scope, sl_buf_slice(&d->event), (struct sl_log_at){1, 0});
        sl_buf_clear(&d->event);
    }
}

/* Lease and end what is due by now. */
static bool
fire(struct delayed *d)
{
    struct sl_lease lease;
    for (;;) {
        uint64_t passed_ns = sl_time_mono_ns() - d->clock.start_ns;
        struct sl_lease_want want = {.class = SL_CLASS_BATCH,
                                     .holder = 1,
                                     .now_ns = d->clock.start_ns + passed_ns,
                                     .now_ms = d->clock.start_ms + passed_ns / SL_MILLI_NS,
                                     .duration_ns = SL_SECOND_NS};
        if (!sl_queue_lease(d->q, &want, &lease))
            return true;
        uint64_t index = lease.task_id - d->first_id;
        if (index >= TASKS || d->fired == TASKS)
            return sl_bench_fail("a task was leased that is not due");
        uint64_t at_ns = sl_time_mono_ns() - d->clock.start_ns;
        uint64_t due_ns = d->due_ms[index] * SL_MILLI_NS;
        if (at_ns < due_ns)
            return sl_bench_fail("a task was leased before it was due");
        d->late_ns[d->fired] = at_ns - due_ns;
        d->slept_ns[d->fired++] = d->overslept_ns;
        sl_queue_event_done(&d->event, &(struct sl_task_end){.task_id = lease.task_id});
        sl_queue_apply(d->q, scope, sl_buf_slice(&d->event), (struct sl_log_at){1, 0});
        sl_buf_clear(&d->event);
    }
}

static void
sleep_until(struct delayed *d, uint64_t at_ns)
{
    uint64_t now_ns = sl_time_mono_ns();
    if (at_ns > now_ns)
        sl_time_sleep_ns(at_ns - now_ns);
    now_ns = sl_time_mono_ns();
    d->overslept_ns = now_ns > at_ns ? now_ns - at_ns : 0;
}

/* As a dispatcher waits: until the queue says that something may be due. */
static bool
fire_all(struct delayed *d)
{
    uint64_t end_ns = d->clock.start_ns + 2 * LAST_MS * SL_MILLI_NS;
    while (d->fired < TASKS) {
        if (!fire(d))
            return false;
        uint64_t next_ms = sl_queue_next_ms(d->q), start_ms = d->clock.start_ms;
        if (sl_time_mono_ns() > end_ns)
            return sl_bench_fail("delayed tasks do not become due");
        uint64_t left_ms = next_ms > start_ms ? SL_MIN(next_ms - start_ms, LAST_MS) : 0;
        if (d->fired < TASKS)
            sleep_until(d, d->clock.start_ns + left_ms * SL_MILLI_NS);
    }
    return true;
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double
p99_us(uint64_t *values)
{
    qsort(values, TASKS, sizeof(*values), compare);
    return (double)values[TASKS - TASKS / 100] / 1e3;
}

bool
sl_bench_queue_delay(const struct sl_bench *bench, struct sl_queue *q, uint64_t now_ms,
                     const char *note)
{
    struct delayed *d = sl_zalloc(sizeof(*d));
    d->q = q;
    d->clock = (struct clock){sl_time_mono_ns(), now_ms};
    put_all(d);
    bool is_ok = fire_all(d);
    if (is_ok) {
        double late_us = p99_us(d->late_ns), machine_us = p99_us(d->slept_ns);
        struct sl_bench_figure figures[] = {
            {"queue.delay.error_p99_us", "us", SL_BENCH_AT_MOST, 5000, late_us, note},
            {"queue.delay.machine_p99_us", "us", SL_BENCH_NO_GOAL, 0, machine_us,
             "how late the machine woke who was to fire them"}};
        for (size_t i = 0; i < SL_COUNT_OF(figures); i++)
            sl_bench_show(bench, &figures[i]);
    }
    sl_buf_deinit(&d->event);
    sl_free(d);
    return is_ok;
}
