/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/queue_load.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bench.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define SAMPLES_MAX  (1U << 20)
#define IDLE_NS      (300 * SL_MICRO_NS) /* A worker is left alone: idle when its task comes. */
#define PATIENCE_NS  (20 * SL_SECOND_NS)
#define FDS_MAX      8
#define FILL_BATCH   1024u
#define FILL_WINDOW  8u
#define COUNT_CREDIT 4096u
#define SCOPE        UINT64_C(0x62656e6368) /* No tenant has it. */

struct sl_bench_queue_load {
    struct sl_queue_client *producer, *worker;
    char name[24];                     /* Of the queue. */
    uint32_t queues, filled;           /* Made so far; and the number of one that was filled. */
    uint64_t puts, put, leased, ended; /* Asked, answered; come, answered. */
    uint64_t *samples;
    enum sl_level level;
    bool is_tied; /* As the phase. */
    bool has_failed;
};

static struct sl_queue_name
queue_of(const struct sl_bench_queue_load *l)
{
    return (struct sl_queue_name){.scope = {SCOPE}, .name = sl_slice_str(l->name)};
}

static bool
fail(struct sl_bench_queue_load *l, const char *what, enum sl_err err)
{
    if (!l->has_failed)
        (void)sl_bench_fail("queue: %s: %s", what, sl_err_text(err));
    l->has_failed = true;
    return false;
}

/* ---- what comes ---------------------------------------------------------------------------- */

static void
take_puts(struct sl_bench_queue_load *l, const struct sl_queue_client_event *event)
{
    for (uint32_t i = 0; i < event->count; i++) {
        if (event->puts[i].err != SL_OK)
            (void)fail(l, "a task was refused", event->puts[i].err);
    }
    l->put += event->count;
    if (!l->is_tied)
        return;
    enum sl_err err = sl_queue_client_want(l->worker, queue_of(l), event->count, 0);
    if (err != SL_OK)
        (void)fail(l, "want", err);
}

static void
end_all(struct sl_bench_queue_load *l, const struct sl_queue_client_event *event)
{
    uint64_t call;
    for (uint32_t i = 0; i < event->count; i++) {
        struct sl_end_item end = {.task_id = event->leases[i].task_id,
                                  .epoch = event->leases[i].epoch,
                                  .kind = SL_END_DONE,
                                  .bytes = sl_slice_str("done")};
        enum sl_err err =
            sl_queue_client_end(l->worker, queue_of(l), &end, 1, l->is_tied ? 0 : 1, &call);
        if (err != SL_OK)
            (void)fail(l, "an end was refused", err);
    }
    l->leased += event->count;
}

static void
take_ends(struct sl_bench_queue_load *l, const struct sl_queue_client_event *event)
{
    for (uint32_t i = 0; i < event->count; i++) {
        if (event->errs[i] != SL_OK)
            (void)fail(l, "an end was refused", event->errs[i]);
    }
    l->ended += event->count;
}

/* All that has come, of one link. */
static bool
take_all(struct sl_bench_queue_load *l, struct sl_queue_client *client)
{
    struct sl_queue_client_event event;
    bool has_come = false;
    while (sl_queue_client_next(client, 0, &event)) {
        has_come = true;
        if (event.kind == SL_QUEUE_CLIENT_LEASED)
            end_all(l, &event);
        else if (event.kind == SL_QUEUE_CLIENT_DOWN)
            (void)fail(l, "the head is gone", SL_EUNAVAIL);
        else if (event.kind == SL_QUEUE_CLIENT_ANSWER && event.err != SL_OK)
            (void)fail(l, "a call failed", event.err);
        else if (event.kind == SL_QUEUE_CLIENT_ANSWER && client == l->producer)
            take_puts(l, &event);
        else if (event.kind == SL_QUEUE_CLIENT_ANSWER)
            take_ends(l, &event);
    }
    return has_come;
}

static void
wait_for_any(const struct sl_bench_queue_load *l, uint64_t end_ns)
{
    int fds[2 * FDS_MAX];
    struct pollfd polled[2 * FDS_MAX];
    uint32_t count = sl_queue_client_fds(l->producer, fds, FDS_MAX);
    count += sl_queue_client_fds(l->worker, fds + count, FDS_MAX);
    for (uint32_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    uint64_t due_ns =
        SL_MIN(sl_queue_client_deadline_ns(l->producer), sl_queue_client_deadline_ns(l->worker));
    uint64_t now_ns = sl_time_mono_ns(), until_ns = SL_MIN(due_ns, end_ns);
    uint64_t wait_ns = SL_MIN(until_ns > now_ns ? until_ns - now_ns : 0, SL_SECOND_NS / 2);
    struct timespec timeout = {.tv_nsec = (long)wait_ns};
    (void)ppoll(polled, count, &timeout, NULL);
}

/* Send what was asked, and take what comes until something has, or `end_ns`. */
static void
turn(struct sl_bench_queue_load *l, uint64_t end_ns)
{
    bool has_come = take_all(l, l->worker);
    has_come = take_all(l, l->producer) || has_come;
    if (!has_come && !l->has_failed)
        wait_for_any(l, end_ns);
}

/* ---- what goes ----------------------------------------------------------------------------- */

static bool
put(struct sl_bench_queue_load *l, uint32_t count)
{
    static uint8_t payload[SL_BENCH_PAYLOAD_SIZE];
    static struct sl_put_item items[FILL_BATCH];
    uint64_t call;
    for (uint32_t i = 0; i < count; i++)
        items[i].payload = sl_slice(payload, sizeof(payload));
    enum sl_err err = sl_queue_client_put(l->producer, queue_of(l), items, count, &call);
    l->puts += count;
    return err == SL_OK || fail(l, "put", err);
}

/* A queue of its own, with a worker or without. */
static bool
open_queue(struct sl_bench_queue_load *l, uint32_t credit)
{
    struct sl_queue_client_event event;
    struct sl_lane_settings settings = {0};
    uint64_t call;
    (void)snprintf(l->name, sizeof(l->name), "load-%u", ++l->queues);
    l->puts = l->put = l->leased = l->ended = 0;
    enum sl_err err = sl_queue_client_set(l->producer, queue_of(l), &settings, &call);
    do {
        if (err != SL_OK || !sl_queue_client_next(l->producer, PATIENCE_NS, &event))
            return fail(l, "the head does not answer", err == SL_OK ? SL_ETIMEOUT : err);
    } while (event.kind != SL_QUEUE_CLIENT_ANSWER || event.call != call);
    if (event.err == SL_OK && (credit > 0 || l->is_tied))
        event.err = sl_queue_client_want(l->worker, queue_of(l), credit, 0);
    return event.err == SL_OK || fail(l, "the queue cannot be made", event.err);
}

/* The queue that was filled, in which nothing is under way. */
static bool
enter_filled(struct sl_bench_queue_load *l, uint32_t credit)
{
    (void)snprintf(l->name, sizeof(l->name), "load-%u", l->filled);
    l->puts = l->put = l->leased = l->ended = 0;
    enum sl_err err = sl_queue_client_want(l->worker, queue_of(l), credit, 0);
    return err == SL_OK || fail(l, "want", err);
}

static uint64_t
finished(const struct sl_bench_queue_load *l, const struct sl_bench_queue_phase *phase)
{
    return phase->is_end_to_end || phase->is_pickup ? SL_MIN(l->put, l->ended) : l->put;
}

/* For so long; *ret_samples of l->samples. */
static bool
run_window(struct sl_bench_queue_load *l, const struct sl_bench_queue_phase *phase, uint64_t end_ns,
           uint32_t *ret_samples)
{
    uint32_t batch = SL_MAX(phase->batch, 1u);
    uint64_t put_ns = 0, late_ns = end_ns + PATIENCE_NS;
    *ret_samples = 0;
    for (;;) {
        uint64_t done = finished(l, phase), now_ns = sl_time_mono_ns();
        if (phase->window == 1 && done == l->puts && done > 0 && *ret_samples < SAMPLES_MAX)
            l->samples[(*ret_samples)++] = now_ns - put_ns;
        if (l->has_failed || (now_ns >= end_ns && done >= phase->window))
            return !l->has_failed;
        if (now_ns >= late_ns)
            return fail(l, phase->name, SL_ETIMEOUT);
        for (; l->puts - done < (uint64_t)phase->window * batch; put_ns = now_ns) {
            if (!put(l, batch))
                return false;
        }
        turn(l, late_ns);
    }
}

/* One task at a time, to a worker that waits for it. */
static bool
run_pickup(struct sl_bench_queue_load *l, uint64_t end_ns, uint32_t *ret_samples)
{
    *ret_samples = 0;
    while (sl_time_mono_ns() < end_ns && *ret_samples < SAMPLES_MAX) {
        (void)take_all(l, l->worker); /* What it asked goes. */
        sl_time_sleep_ns(IDLE_NS);
        uint64_t put_ns = sl_time_mono_ns(), late_ns = put_ns + PATIENCE_NS;
        if (!put(l, 1))
            return false;
        (void)take_all(l, l->producer); /* And this. */
        while (!l->has_failed && l->leased < l->puts && sl_time_mono_ns() < late_ns)
            turn(l, late_ns);
        l->samples[(*ret_samples)++] = sl_time_mono_ns() - put_ns;
        while (!l->has_failed && (l->put < l->puts || l->ended < l->puts) &&
               sl_time_mono_ns() < late_ns)
            turn(l, late_ns);
        if (l->has_failed || l->ended < l->puts)
            return fail(l, "a task did not come", SL_ETIMEOUT);
    }
    return true;
}

/* What is under way must not burden the phase after. */
static bool
settle(struct sl_bench_queue_load *l)
{
    uint64_t late_ns = sl_time_mono_ns() + PATIENCE_NS;
    while (!l->has_failed && (l->put < l->puts || l->ended < l->leased)) {
        if (sl_time_mono_ns() >= late_ns)
            return fail(l, "some calls were not answered", SL_ETIMEOUT);
        turn(l, late_ns);
    }
    return !l->has_failed && sl_queue_client_quiet(l->worker, queue_of(l)) == SL_OK;
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

bool
sl_bench_queue_run(struct sl_bench_queue_load *l, const struct sl_bench_queue_phase *phase,
                   double seconds, struct sl_bench_queue_result *ret_result)
{
    uint32_t samples = 0;
    uint32_t credit = phase->is_end_to_end ? phase->window : phase->is_pickup;
    l->is_tied = phase->is_tied;
    sl_queue_client_lease_level_set(l->worker, phase->is_early ? SL_LEVEL_RAM : l->level);
    if (phase->is_tied)
        credit = 0;
    *ret_result = (struct sl_bench_queue_result){0};
    if (!(phase->is_filled ? enter_filled(l, credit) : open_queue(l, credit)))
        return false;
    uint64_t start_ns = sl_time_mono_ns(), busy_ns = sl_time_processor_ns();
    uint64_t end_ns = start_ns + (uint64_t)(seconds * 1e9);
    if (!(phase->is_pickup ? run_pickup(l, end_ns, &samples)
                           : run_window(l, phase, end_ns, &samples)))
        return false;
    double took = (double)(sl_time_mono_ns() - start_ns);
    ret_result->count = finished(l, phase);
    ret_result->per_s = (double)ret_result->count * 1e9 / took;
    ret_result->busy = (double)(sl_time_processor_ns() - busy_ns) / took;
    if (samples > 0) {
        qsort(l->samples, samples, sizeof(l->samples[0]), compare);
        ret_result->p50_us = (double)l->samples[samples / 2] / 1e3;
        ret_result->p99_us = (double)l->samples[(uint64_t)samples * 99 / 100] / 1e3;
    }
    return settle(l);
}

bool
sl_bench_queue_fill(struct sl_bench_queue_load *l, uint64_t count)
{
    l->is_tied = false;
    if (!open_queue(l, 0))
        return false;
    l->filled = l->queues;
    uint64_t late_ns = sl_time_mono_ns() + 10 * PATIENCE_NS;
    while (l->put < count) {
        while (l->puts < count && l->puts - l->put < FILL_BATCH * FILL_WINDOW) {
            if (!put(l, (uint32_t)SL_MIN(count - l->puts, (uint64_t)FILL_BATCH)))
                return false;
        }
        if (sl_time_mono_ns() >= late_ns)
            return fail(l, "fill", SL_ETIMEOUT);
        turn(l, late_ns);
        if (l->has_failed)
            return false;
    }
    return true;
}

uint64_t
sl_bench_queue_flood(struct sl_bench_queue_load *l, double seconds)
{
    static const struct sl_bench_queue_phase phase = {.name = "fill", .window = 64};
    uint32_t samples;
    l->is_tied = false;
    if (open_queue(l, 0))
        (void)run_window(l, &phase, sl_time_mono_ns() + (uint64_t)(seconds * 1e9), &samples);
    return l->put;
}

uint64_t
sl_bench_queue_count(struct sl_bench_queue_load *l)
{
    struct sl_queue_client_event event;
    (void)snprintf(l->name, sizeof(l->name), "load-1");
    enum sl_err err = sl_queue_client_want(l->worker, queue_of(l), COUNT_CREDIT, 0);
    while (err == SL_OK && sl_queue_client_next(l->worker, SL_SECOND_NS, &event)) {
        if (event.kind != SL_QUEUE_CLIENT_LEASED)
            continue;
        l->leased += event.count;
        err = sl_queue_client_want(l->worker, queue_of(l), event.count, 0);
    }
    return l->leased;
}

struct sl_bench_queue_load *
sl_bench_queue_open(const char *endpoint, enum sl_level level)
{
    struct sl_bench_queue_load *l = sl_zalloc(sizeof(*l));
    struct sl_queue_client_options producer = {.endpoint = endpoint, .name = "producer"};
    struct sl_queue_client_options worker = {.endpoint = endpoint, .name = "worker"};
    l->samples = sl_alloc(SAMPLES_MAX * sizeof(l->samples[0]));
    enum sl_err err = sl_queue_client_open(&producer, &l->producer);
    if (err == SL_OK)
        err = sl_queue_client_open(&worker, &l->worker);
    l->level = level;
    if (err == SL_OK) {
        sl_queue_client_level_set(l->producer, level);
        sl_queue_client_level_set(l->worker, level);
        return l;
    }
    (void)fail(l, endpoint, err);
    sl_bench_queue_close(&l);
    return NULL;
}

void
sl_bench_queue_close(struct sl_bench_queue_load **load)
{
    struct sl_bench_queue_load *l = *load;
    if (l == NULL)
        return;
    sl_queue_client_close(&l->producer);
    sl_queue_client_close(&l->worker);
    sl_free(l->samples);
    sl_free(l);
    *load = NULL;
}
