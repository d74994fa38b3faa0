/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/queue/conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/report.h"

static void
store_start(struct world *w)
{
    cr_assert_eq(sl_stand_open(&w->stand), SL_OK);
    sl_random_seed(&w->random, 1);
    sl_store_backend_init(&w->own,
                          &(struct sl_store_backend_options){.store = w->stand.store,
                                                             .queue = w->stand.q,
                                                             .random = &w->random,
                                                             .projection = SL_STAND_QUEUE});
    w->backend = &w->own.backend;
}

static void
store_die(struct world *w)
{
    sl_store_backend_deinit(&w->own);
    sl_stand_abandon(&w->stand);
}

static uint64_t
store_digest(struct world *w)
{
    return sl_queue_digest(w->stand.q);
}

static void
directory_begin(struct world *w)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(w->path, sizeof(w->path), "%s/sluice-conforms-XXXXXX", base);
    cr_assert_not_null(mkdtemp(w->path));
    w->stand.directory = w->path;
}

static void
directory_end(struct world *w)
{
    char *command = sl_format("rm -rf %s", w->path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

static void
memory_begin(struct world *w)
{
    sl_sim_storage_init(&w->storage);
    w->stand.storage = &w->storage;
}

static void
memory_end(struct world *w)
{
    sl_sim_storage_deinit(&w->storage);
}

const struct kind on_disk = {directory_begin, store_start, store_die, directory_end, store_digest};
const struct kind in_memory = {memory_begin, store_start, store_die, memory_end, store_digest};

void
set(struct world *w, struct sl_lane_settings settings)
{
    cr_assert_eq(w->backend->ops->set(w->backend, w->queue, &settings), SL_OK);
}

void
world_begin(struct world *w, const struct kind *kind)
{
    *w = (struct world){.kind = kind, .stand = {.segment_bytes = 65536}};
    w->now = (struct sl_when){.now_ns = 5 * SL_SECOND_NS, .now_ms = UINT64_C(1800000000000)};
    w->queue = (struct sl_queue_name){{1}, sl_slice_str("work")};
    kind->begin(w);
    kind->start(w);
    set(w, (struct sl_lane_settings){0});
}

void
world_end(struct world *w)
{
    w->kind->die(w);
    w->kind->end(w);
    sl_buf_deinit(&w->bytes);
}

void
run_on(const struct kind *kind, void (*test)(struct world *w))
{
    struct world w;
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    world_begin(&w, kind);
    test(&w);
    world_end(&w);
}

void
pass(struct world *w, uint64_t ms)
{
    w->now.now_ms += ms;
    w->now.now_ns += ms * SL_MILLI_NS;
}

uint64_t
tick(struct world *w)
{
    return w->backend->ops->tick(w->backend, w->now);
}

void
tick_all(struct world *w)
{
    for (int i = 0; tick(w) <= w->now.now_ns; i++)
        cr_assert_lt(i, 1000);
}

struct sl_put_result
put_item(struct world *w, struct sl_put_item item)
{
    struct sl_put_result result = {0};
    cr_assert_eq(w->backend->ops->put(w->backend, w->now, w->queue, &item, 1, &result), SL_OK);
    return result;
}

uint64_t
add_well(struct world *w, struct sl_put_item item)
{
    struct sl_put_result result = put_item(w, item);
    cr_assert_eq(result.err, SL_OK, "%s", sl_err_name(result.err));
    return result.task_id;
}

uint32_t
lease_some(struct world *w, struct sl_lease_ask ask, struct sl_lease *ret_leases)
{
    uint32_t count = 0;
    if (ask.duration_ns == 0)
        ask.duration_ns = 10 * SL_SECOND_NS;
    if (ask.bytes_max == 0)
        ask.bytes_max = SIZE_MAX;
    sl_buf_clear(&w->bytes);
    cr_assert_eq(
        w->backend->ops->lease(w->backend, w->now, w->queue, &ask, &w->bytes, ret_leases, &count),
        SL_OK);
    cr_assert_leq(count, ask.max);
    return count;
}

struct sl_lease
lease_by(struct world *w, uint64_t holder)
{
    struct sl_lease lease = {0};
    if (lease_some(w, (struct sl_lease_ask){.holder = holder, .max = 1}, &lease) == 0)
        return (struct sl_lease){0};
    return lease;
}

struct sl_lease
lease(struct world *w)
{
    return lease_by(w, 1);
}

enum sl_err
end_item(struct world *w, struct sl_lease lease, struct sl_end_item item)
{
    enum sl_err result = SL_EBUG;
    item.task_id = lease.task_id;
    item.epoch = lease.epoch;
    cr_assert_eq(w->backend->ops->end(w->backend, w->now, w->queue.scope, &item, 1, &result),
                 SL_OK);
    return result;
}

enum sl_err
order(struct world *w, uint64_t task_id, enum sl_order what, const struct sl_order_edit *edit)
{
    return w->backend->ops->order(w->backend, w->now, w->queue.scope, task_id, what, edit);
}

bool
is_there(struct world *w, uint64_t task_id)
{
    struct sl_task_info info;
    return w->backend->ops->task(w->backend, w->queue.scope, task_id, &info) == SL_OK;
}

struct sl_task_info
info(struct world *w, uint64_t task_id)
{
    struct sl_task_info info = {0};
    cr_assert_eq(w->backend->ops->task(w->backend, w->queue.scope, task_id, &info), SL_OK);
    return info;
}

bool
reads(struct world *w, uint64_t task_id, enum sl_task_bytes which, const char *text)
{
    sl_buf_clear(&w->bytes);
    return w->backend->ops->read(w->backend, w->queue.scope, task_id, which, &w->bytes) == SL_OK &&
           sl_slice_is(sl_buf_slice(&w->bytes), text);
}

struct sl_queue_depth
depth(struct world *w)
{
    struct sl_queue_depth depth = {0};
    cr_assert_eq(w->backend->ops->depth(w->backend, w->queue, &depth), SL_OK);
    return depth;
}

uint64_t
digest(struct world *w)
{
    return w->kind->digest(w);
}

void
restart(struct world *w)
{
    cr_assert_eq(w->backend->ops->sync(w->backend), SL_OK);
    w->kind->die(w);
    w->kind->start(w);
}
