/* SPDX-License-Identifier: Apache-2.0 */
/* dispatcher_store.h - a dispatcher over a store of its own, with jobs; a fixture. */
#ifndef SL_TESTS_ACTORS_DISPATCHER_STORE_H
#define SL_TESTS_ACTORS_DISPATCHER_STORE_H

#include "actors/dispatcher.h"
#include "actors/queue_projection.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/dispatch_parking.h"
#include "actors/extraction.h"
#include "actors/job_row.h"
#include "actors/rows.h"
#include "runtime/limits.h"
#include "runtime/report.h"
#include "runtime/sim_disk.h"
#include "tests/actors/recorder.h"

static struct sl_scope scope = {3}; /* Whose jobs come next. */
static const struct sl_job_id job = {{1, 2, 3}}, other_job = {{9, 9}};

static char path[64];
static struct recorder r;
static struct sl_store *store;
static struct sl_queue *queue;
static struct sl_index_cache *indexes;
static bool are_traced;     /* Its tasks and jobs: to be said before setup; */
static uint32_t told_per_s; /* or so many of them. */

static inline void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    snprintf(path, sizeof(path), "/tmp/sluice-dispatcher-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
    queue = sl_queue_create();
    struct sl_projection projection = sl_queue_projection(queue);
    struct sl_store_options options = {
        .directory = path, .projections = &projection, .projections_count = 1, .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    sl_queue_boot(queue, 1);
    indexes = sl_index_cache_create();
    r.store = store;
    struct sl_dispatcher_options dispatcher = {
        .queue = queue,
        .indexes = indexes,
        .retry = {.attempts_max = 3, .base_ms = 100},
        .is_traced = are_traced,
        .told_per_s = told_per_s,
        .extractors = "{\"picky\":{\"labels\":{\"zone\":\"b\"}},\"echo\":{\"labels\":{}}}"};
    recorder_start(&r, &sl_dispatcher_class, sl_at(SL_NODE_HEAD, SL_ACTOR_DISPATCHER), &dispatcher);
}

static inline void
finish(void)
{
    recorder_stop(&r);
    sl_index_cache_destroy(&indexes);
    sl_store_close(&store);
    sl_queue_destroy(&queue);
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

/* ---- the store ----------------------------------------------------------------------------- */

static inline void
put(uint8_t table, struct sl_slice key, struct sl_slice value)
{
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, scope, table, key, value);
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static inline void
del(uint8_t table, struct sl_slice key)
{
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_del(t, scope, table, key);
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static inline uint32_t
count_rows(uint8_t table)
{
    struct sl_txn *t = sl_store_begin(store);
    struct sl_scan scan;
    uint32_t count = 0;
    sl_txn_scan(t, scope, table, (struct sl_slice){0}, (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    sl_txn_abort(&t);
    return count;
}

#endif
