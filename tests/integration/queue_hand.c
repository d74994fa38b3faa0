/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A producer or a worker of a queue, as a process that can be killed: over the protocol that such
 * processes speak. What it was told to be durable it tells by lines; queue_kills.py compares them.
 *
 *   queue-hand produce ENDPOINT SEED FIRST COUNT   puts tasks FIRST, FIRST + 1, ...: "put NUMBER"
 *   queue-hand work ENDPOINT SEED                  "done NUMBER"; failures and silence in between
 *   queue-hand hold ENDPOINT SEED                  takes some and ends none: "held NUMBER"
 *   queue-hand drain ENDPOINT SEED                 works until nothing has come for two seconds
 *   queue-hand look DATA                           "STATE NUMBER SEED" of each task, of a head that
 *                                                  is down; SEED: of the worker that has done it
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/queue_projection.h"
#include "gateway/queue_client.h"
#include "queue/body.h"
#include "queue/retry.h"
#include "runtime/random.h"
#include "runtime/report.h"

enum { BATCH_MAX = 8, WINDOW = 6, CREDIT = 16, CALLS_MAX = 512 };
#define QUIET_NS (2 * SL_SECOND_NS)
#define LEASE_MS 1000

static const struct sl_queue_name queue = {.scope = {77},
                                           .name = {.data = (const uint8_t *)"kills", .size = 5}};

struct hand {
    struct sl_queue_client *client;
    struct sl_random random;
    uint32_t seed;
    uint32_t next, end; /* Numbers to put. */
    bool is_up, is_draining, is_holding;
    /* Calls without an answer, and which tasks they are about. */
    struct call {
        uint64_t call;
        uint32_t count, numbers[BATCH_MAX];
    } calls[CALLS_MAX];
    uint32_t calls_count;
};

static void
tell(const char *what, uint32_t number)
{
    char line[32];
    int size = snprintf(line, sizeof(line), "%s %" PRIu32 "\n", what, number);
    if (write(STDOUT_FILENO, line, (size_t)size) != size)
        _exit(1);
}

SL_NORETURN static void
die(const char *what, enum sl_err err)
{
    (void)fprintf(stderr, "queue-hand: %s: %s\n", what, sl_err_text(err));
    exit(1);
}

static void
remember(struct hand *h, const struct call *call)
{
    if (h->calls_count == CALLS_MAX)
        die("too many calls", SL_EFULL);
    h->calls[h->calls_count++] = *call;
}

static bool
take_call(struct hand *h, uint64_t number, struct call *ret_call)
{
    for (uint32_t i = 0; i < h->calls_count; i++) {
        if (h->calls[i].call != number)
            continue;
        *ret_call = h->calls[i];
        h->calls[i] = h->calls[--h->calls_count];
        return true;
    }
    return false;
}

/* ---- producing ------------------------------------------------------------------------------ */

static void
put_some(struct hand *h, struct sl_slice policy)
{
    struct sl_put_item items[BATCH_MAX];
    uint8_t payloads[BATCH_MAX][300];
    struct call call = {0};
    uint64_t count = 1 + sl_random_below(&h->random, BATCH_MAX);
    memset(payloads, 0, sizeof(payloads));
    for (; call.count < count && h->next < h->end; call.count++) {
        memcpy(payloads[call.count], &h->next, sizeof(h->next));
        items[call.count] = (struct sl_put_item){
            .priority = (uint8_t)sl_random_below(&h->random, 10),
            .delay_ms =
                sl_random_below(&h->random, 4) == 0 ? 1 + sl_random_below(&h->random, 50) : 0,
            .retain_ms = 3600000,
            .policy = policy,
            .payload = sl_slice(payloads[call.count], 8 + sl_random_below(&h->random, 292))};
        call.numbers[call.count] = h->next++;
    }
    if (call.count > 0 &&
        sl_queue_client_put(h->client, queue, items, call.count, &call.call) == SL_OK)
        remember(h, &call);
}

static void
take_puts(const struct call *call, const struct sl_queue_client_event *event)
{
    for (uint32_t i = 0; i < event->count && i < call->count; i++)
        if (event->puts[i].err == SL_OK)
            tell("put", call->numbers[i]);
}

static void
produce(struct hand *h)
{
    struct sl_retry_policy often = {.kind = SL_RETRY_FIXED, .attempts_max = 1000, .base_ms = 5};
    struct sl_buf policy = {0};
    struct sl_queue_client_event event;
    struct sl_lane_settings settings = {0};
    struct call call;
    sl_retry_encode(&often, &policy);
    while (h->next < h->end || h->calls_count > 0) {
        if (h->is_up && h->calls_count < WINDOW)
            put_some(h, sl_buf_slice(&policy));
        if (!sl_queue_client_next(h->client, sl_random_below(&h->random, 2 * SL_MILLI_NS), &event))
            continue;
        if (event.kind == SL_QUEUE_CLIENT_UP &&
            sl_queue_client_set(h->client, queue, &settings, &call.call) == SL_OK)
            h->is_up = true; /* Its answer is of no call that is remembered. */
        else if (event.kind == SL_QUEUE_CLIENT_DOWN)
            h->is_up = (h->calls_count = 0) > 0; /* They may have happened, or not. */
        else if (event.kind == SL_QUEUE_CLIENT_ANSWER && take_call(h, event.call, &call))
            take_puts(&call, &event);
    }
    sl_buf_deinit(&policy);
}

/* ---- working -------------------------------------------------------------------------------- */

static void
want(struct hand *h, uint32_t credit)
{
    uint64_t duration_ms = h->is_holding ? 60 * LEASE_MS : LEASE_MS;
    enum sl_err err = sl_queue_client_want(h->client, queue, credit, duration_ms);
    if (err != SL_OK)
        die("want", err);
}

/* Done, failed, given back, or forgotten: then it lapses. */
static void
end_one(struct hand *h, const struct sl_lease *lease)
{
    uint64_t draw = h->is_draining ? 0 : sl_random_below(&h->random, 20);
    uint32_t result[2] = {0, h->seed};
    struct call call = {.count = 1};
    struct sl_end_item item = {.task_id = lease->task_id,
                               .epoch = lease->epoch,
                               .kind = SL_END_DONE,
                               .bytes = sl_slice(result, sizeof(result))};
    if (lease->payload.size < 8)
        die("a payload", SL_ECORRUPT);
    memcpy(result, lease->payload.data, sizeof(result[0]));
    const uint64_t ids[2] = {lease->task_id, lease->epoch};
    if (sl_queue_client_begin(h->client, queue.scope, ids, 1) != SL_OK)
        die("begin", SL_EBUG);
    if (h->is_holding) {
        tell("held", result[0]);
        return;
    }
    call.numbers[0] = result[0];
    if (draw == 19) {
        want(h, 1);
        return;
    }
    if (draw >= 16) {
        item.kind = draw == 18 ? SL_END_RELEASED : SL_END_FAILED;
        item.bytes = sl_slice_str("as it happens");
    }
    if (sl_queue_client_end(h->client, queue, &item, 1, 1, &call.call) == SL_OK &&
        item.kind == SL_END_DONE)
        remember(h, &call);
}

/* One that ends all it gets leaves it to the client how much that is. */
static void
work_off(struct hand *h)
{
    enum sl_err err = sl_queue_client_work(
        h->client, queue, &(struct sl_prefetch_options){.slots = 1, .max = CALLS_MAX / 2},
        LEASE_MS);
    if (err != SL_OK)
        die("work", err);
}

static void
work(struct hand *h)
{
    struct sl_queue_client_event event;
    struct call call;
    while (sl_queue_client_next(h->client, h->is_draining ? QUIET_NS : UINT64_MAX, &event)) {
        if (event.kind == SL_QUEUE_CLIENT_UP && h->is_draining)
            work_off(h);
        else if (event.kind == SL_QUEUE_CLIENT_UP)
            want(h, CREDIT);
        else if (event.kind == SL_QUEUE_CLIENT_DOWN)
            h->calls_count = 0;
        else if (event.kind == SL_QUEUE_CLIENT_LEASED)
            for (uint32_t i = 0; i < event.count; i++)
                end_one(h, &event.leases[i]);
        else if (take_call(h, event.call, &call) && event.count == 1 && event.errs[0] == SL_OK)
            tell("done", call.numbers[0]);
    }
}

/* ---- looking -------------------------------------------------------------------------------- */

static int
look(const char *data)
{
    struct sl_queue *q = sl_queue_create();
    struct sl_projection projection = sl_queue_projection(q);
    struct sl_store_options options = {
        .directory = data, .projections = &projection, .projections_count = 1};
    struct sl_store *store = NULL;
    struct sl_task_scan scan = {.scope = queue.scope, .class = SL_CLASS_OWN};
    struct sl_task_info found;
    bool is_end = false;
    enum sl_err err = sl_store_open(&options, &store);
    while (err == SL_OK && !is_end) {
        struct sl_slice bytes;
        uint32_t result[2] = {0};
        if (!sl_queue_scan(q, &scan, 1000, &found, &is_end))
            continue;
        err = sl_body_read(store, found.payload, &bytes);
        if (err != SL_OK)
            break;
        memcpy(result, bytes.data, SL_MIN(bytes.size, sizeof(result)));
        printf("%s %" PRIu32 " %" PRIu32 "\n", sl_state_name(found.state), result[0], result[1]);
    }
    if (err != SL_OK)
        die(data, err);
    sl_store_abandon(&store);
    sl_queue_destroy(&q);
    return fflush(stdout) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    static struct hand h;
    bool is_producer = argc == 6 && strcmp(argv[1], "produce") == 0;
    bool is_worker = argc == 4 && (strcmp(argv[1], "drain") == 0 || strcmp(argv[1], "hold") == 0 ||
                                   strcmp(argv[1], "work") == 0);
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    if (argc == 3 && strcmp(argv[1], "look") == 0)
        return look(argv[2]);
    if (!is_producer && !is_worker) {
        (void)fprintf(stderr, "see the head of queue_hand.c\n");
        return 2;
    }
    h.seed = (uint32_t)strtoul(argv[3], NULL, 10);
    h.is_draining = strcmp(argv[1], "drain") == 0;
    h.is_holding = strcmp(argv[1], "hold") == 0;
    sl_random_seed(&h.random, h.seed);
    struct sl_queue_client_options options = {
        .endpoint = argv[2], .name = argv[1], .tells_begun = true};
    enum sl_err err = sl_queue_client_open(&options, &h.client);
    if (err != SL_OK)
        die(argv[2], err);
    if (is_producer) {
        h.next = (uint32_t)strtoul(argv[4], NULL, 10);
        h.end = h.next + (uint32_t)strtoul(argv[5], NULL, 10);
        produce(&h);
    } else {
        work(&h);
    }
    sl_queue_client_close(&h.client);
    return 0;
}
