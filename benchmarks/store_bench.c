/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_bench DIRECTORY: what a commit costs, how long a sync takes, how fast the log is replayed
 * and how long the first start takes. DIRECTORY must not exist; it is left for the reader to
 * remove.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/log.h"
#include "runtime/store.h"
#include "runtime/time.h"

#define COMMITS 200000
#define SYNCS   500

static const struct sl_scope scope = {1};

static void
must(enum sl_err err, const char *what)
{
    if (err == SL_OK)
        return;
    fprintf(stderr, "store_bench: %s: %s\n", what, sl_err_text(err));
    exit(1);
}

static struct sl_store *
open_store(const char *directory, bool is_sync_off)
{
    struct sl_store_options options = {
        .directory = directory, .checkpoint_bytes = SL_GIB, .is_sync_off = is_sync_off};
    struct sl_store *store;
    must(sl_store_open(&options, &store), "open");
    return store;
}

static void
put(struct sl_store *store, uint64_t n)
{
    uint8_t key[24] = {0}, value[300] = {0};
    n *= UINT64_C(0x9e3779b97f4a7c15); /* Keys in no order, as ids are. */
    memcpy(key, &n, sizeof(n));
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, scope, 1, sl_slice(key, sizeof(key)), sl_slice(value, sizeof(value)));
    must(sl_txn_commit(&t), "commit");
}

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static enum sl_err
count(void *arg, uint64_t position, struct sl_slice payload, struct sl_log_at at)
{
    (void)at;
    uint64_t *bytes = arg;
    (void)position;
    *bytes += payload.size;
    return SL_OK;
}

static void
measure_log_read(const char *directory)
{
    char path[4096];
    struct sl_disk disk;
    struct sl_log *log;
    uint64_t bytes = 0;
    snprintf(path, sizeof(path), "%s/log", directory);
    must(sl_disk_open(path, &disk), "disk");
    struct sl_log_options options = {.disk = disk, .is_sync_off = true};
    struct sl_log_replay replay = {.arg = &bytes, .record = count};
    uint64_t start = sl_time_mono_ns();
    must(sl_log_open(&options, &replay, &log), "log");
    double s = (double)(sl_time_mono_ns() - start) / 1e9;
    printf("log_read_records_per_s %.0f\nlog_read_mb_per_s %.0f\n", (double)sl_log_last(log) / s,
           (double)bytes / 1e6 / s);
    sl_log_close(&log);
    sl_disk_close(&disk);
}

/* The catalogue is removed, so that all of it is built from the log again. */
static void
measure_replay(const char *directory)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/catalogue/data.mdb", directory);
    unlink(path);
    uint64_t start = sl_time_mono_ns();
    struct sl_store *store = open_store(directory, false);
    double s = (double)(sl_time_mono_ns() - start) / 1e9;
    printf("replay_puts_per_s %.0f\n", (double)sl_log_last(sl_store_log(store)) / s);
    sl_store_close(&store);
}

int
main(int argc, char **argv)
{
    static uint64_t took[SYNCS];
    if (argc != 2 || access(argv[1], F_OK) == 0) {
        fprintf(stderr, "usage: store_bench NEW-DIRECTORY\n");
        return 2;
    }
    uint64_t start = sl_time_mono_ns();
    struct sl_store *store = open_store(argv[1], false);
    printf("first_open_ms %.1f\n", (double)(sl_time_mono_ns() - start) / 1e6);
    for (uint64_t i = 0; i < SYNCS; i++) {
        put(store, i);
        start = sl_time_mono_ns();
        must(sl_store_sync(store), "sync");
        took[i] = sl_time_mono_ns() - start;
    }
    qsort(took, SYNCS, sizeof(took[0]), compare);
    printf("sync_p50_us %.0f\nsync_p99_us %.0f\n", (double)took[SYNCS / 2] / 1e3,
           (double)took[SYNCS * 99 / 100] / 1e3);
    start = sl_time_mono_ns();
    for (uint64_t i = 0; i < 10000; i++) /* Less than what makes LMDB commit. */
        put(store, SYNCS + i);
    printf("commit_us %.2f\n", (double)(sl_time_mono_ns() - start) / 1e3 / 10000);
    start = sl_time_mono_ns();
    for (uint64_t i = 0; i < COMMITS; i++) {
        put(store, SYNCS + 10000 + i);
        if (i % 64 == 63)
            sl_store_tick(store, sl_time_mono_ns(), false);
    }
    printf("commit_with_lmdb_us %.2f\n", (double)(sl_time_mono_ns() - start) / 1e3 / COMMITS);
    sl_store_close(&store);
    measure_log_read(argv[1]);
    measure_replay(argv[1]);
    return 0;
}
