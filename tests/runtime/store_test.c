/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/store.h"
#include "runtime/sim_disk.h"
#include "tests/rounds.h"

static char path[64];
static const struct sl_scope scope = {3};

/* A projection: the sum and the count of its events. */
struct tally {
    uint64_t sum, count;
};

static void
tally_apply(void *self, struct sl_scope s, struct sl_slice event, struct sl_log_at at)
{
    struct tally *tally = self;
    uint64_t v;
    (void)at;
    cr_assert_eq(s.id, scope.id);
    cr_assert_eq(event.size, sizeof(v));
    memcpy(&v, event.data, sizeof(v));
    tally->sum += v;
    tally->count++;
}

static void
tally_snapshot(void *self, struct sl_buf *out)
{
    sl_buf_append(out, self, sizeof(struct tally));
}

static enum sl_err
tally_restore(void *self, struct sl_slice snapshot)
{
    if (snapshot.size != sizeof(struct tally))
        return SL_ECORRUPT;
    memcpy(self, snapshot.data, snapshot.size);
    return SL_OK;
}

/* Whether there is such a snapshot; a start leaves an empty file. */
static bool
has_snapshot(const char *name)
{
    struct stat st;
    char *file = sl_format("%s/snapshots/%s.snapshot", path, name);
    bool is_there = stat(file, &st) == 0 && st.st_size > 0;
    sl_free(file);
    return is_there;
}

static enum sl_err
try_open(const struct sl_disk *disk, struct tally *tally, struct sl_store **ret_store)
{
    struct sl_projection projection = {.id = 1,
                                       .name = "tally",
                                       .self = tally,
                                       .apply = tally_apply,
                                       .snapshot = tally_snapshot,
                                       .restore = tally_restore};
    struct sl_store_options options = {.directory = path,
                                       .disk = disk,
                                       .projections = &projection,
                                       .projections_count = 1,
                                       .checkpoint_bytes = 20000};
    *tally = (struct tally){0};
    *ret_store = NULL;
    return sl_store_open(&options, ret_store);
}

static struct sl_store *
open_store(struct tally *tally)
{
    struct sl_store *store;
    enum sl_err err = try_open(NULL, tally, &store);
    cr_assert_eq(err, SL_OK, "%s", sl_err_name(err));
    return store;
}

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    /* In memory where that is at hand: the crashes are the virtual disk's, not this one's. */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof(path), "%s/sluice-store-XXXXXX", base);
    cr_assert_not_null(mkdtemp(path));
}

static void
clean(void)
{
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(store, .init = setup, .fini = clean);

static struct sl_slice
str(const char *text)
{
    return sl_slice_str(text);
}

static void
put(struct sl_store *store, const char *key, const char *value)
{
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, scope, 1, str(key), str(value));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static bool
has(struct sl_store *store, const char *key, const char *value)
{
    struct sl_txn *t = sl_store_begin(store);
    struct sl_slice got;
    bool is_there = sl_txn_get(t, scope, 1, str(key), &got) == SL_OK && sl_slice_is(got, value);
    sl_txn_abort(&t);
    return is_there;
}

static void
event(struct sl_txn *t, uint64_t v)
{
    sl_txn_event(t, 1, scope, sl_slice(&v, sizeof(v)));
}

static void
count(void *arg)
{
    (*(uint32_t *)arg)++;
}

Test(store, tells_its_watch_of_commits_that_touch_the_table)
{
    struct tally tally;
    struct sl_store *store = open_store(&tally);
    uint32_t calls = 0;
    uint32_t others = 0;
    sl_store_watch(store, 1, count, &calls);
    sl_store_watch(store, 2, count, &others);
    put(store, "a", "1");
    cr_assert_eq(calls, 1);
    cr_assert_eq(others, 0);
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, scope, 2, str("a"), str("1"));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    cr_assert_eq(others, 1, "each table has a watch of its own");
    t = sl_store_begin(store);
    sl_txn_put(t, scope, 1, str("b"), str("1"));
    sl_txn_abort(&t);
    cr_assert_eq(calls, 1, "another table, and nothing that happened");
    sl_store_watch(store, 1, NULL, NULL);
    put(store, "a", "2");
    cr_assert_eq(calls, 1);
    sl_store_close(&store);
}

Test(store, reads_in_a_transaction_see_what_it_staged)
{
    struct tally tally;
    struct sl_store *store = open_store(&tally);
    struct sl_slice v;
    put(store, "a", "old");
    struct sl_txn *t = sl_store_begin(store);
    cr_assert(sl_txn_is_empty(t));
    cr_assert_eq(sl_txn_get(t, scope, 1, str("a"), &v), SL_OK);
    cr_assert(sl_slice_is(v, "old"));
    sl_txn_put(t, scope, 1, str("a"), str("new"));
    cr_assert_eq(sl_txn_get(t, scope, 1, str("a"), &v), SL_OK);
    cr_assert(sl_slice_is(v, "new"));
    size_t mark = sl_txn_mark(t);
    sl_txn_del(t, scope, 1, str("a"));
    cr_assert_eq(sl_txn_get(t, scope, 1, str("a"), &v), SL_ENOTFOUND);
    sl_txn_rollback_to(t, mark);
    cr_assert_eq(sl_txn_get(t, scope, 1, str("a"), &v), SL_OK);
    cr_assert(sl_slice_is(v, "new"));
    for (int i = 0; i < 1000; i++) { /* The index grows and shrinks. */
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        sl_txn_put(t, scope, 1, str(key), str(key));
    }
    cr_assert_eq(sl_txn_get(t, scope, 1, str("k500"), &v), SL_OK);
    sl_txn_rollback_to(t, mark);
    cr_assert_eq(sl_txn_get(t, scope, 1, str("k500"), &v), SL_ENOTFOUND);
    sl_txn_abort(&t);
    cr_assert(has(store, "a", "old"));
    cr_assert_not(has(store, "k1", "k1"));
    sl_store_close(&store);
}

Test(store, counters_add_up_over_staging_commit_and_replay)
{
    struct tally tally;
    struct sl_store *store = open_store(&tally);
    struct sl_slice v;
    for (int round = 0; round < 3; round++) {
        struct sl_txn *t = sl_store_begin(store);
        cr_assert_eq(sl_txn_counter(t, scope, 2, str("n")), round * 4);
        sl_txn_add(t, scope, 2, str("n"), 5);
        sl_txn_add(t, scope, 2, str("n"), -1);
        cr_assert_eq(sl_txn_counter(t, scope, 2, str("n")), round * 4 + 4);
        size_t mark = sl_txn_mark(t);
        sl_txn_add(t, scope, 2, str("n"), 100);
        sl_txn_rollback_to(t, mark);
        cr_assert_eq(sl_txn_get(t, scope, 2, str("n"), &v), SL_OK);
        cr_assert_eq(v.size, 8);
        cr_assert_eq(v.data[0], round * 4 + 4);
        cr_assert_eq(sl_txn_commit(&t), SL_OK);
        if (round == 1) {
            sl_store_close(&store);
            store = open_store(&tally);
        }
    }
    struct sl_txn *t = sl_store_begin(store);
    cr_assert_eq(sl_txn_counter(t, scope, 2, str("n")), 12);
    sl_txn_del(t, scope, 2, str("n"));
    sl_txn_add(t, scope, 2, str("n"), 7);
    cr_assert_eq(sl_txn_counter(t, scope, 2, str("n")), 7);
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    t = sl_store_begin(store);
    cr_assert_eq(sl_txn_counter(t, scope, 2, str("n")), 7);
    sl_txn_abort(&t);
    sl_store_close(&store);
}

Test(store, a_transaction_says_which_tables_it_touches)
{
    struct tally tally;
    uint64_t one = 1;
    struct sl_store *store = open_store(&tally);
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, scope, 70, sl_slice_str("k"), sl_slice_str("v"));
    sl_txn_event(t, 1, scope, sl_slice(&one, sizeof(one)));
    cr_assert(sl_txn_touches(t, 70) && !sl_txn_touches(t, 71));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    t = sl_store_begin(store);
    cr_assert_not(sl_txn_touches(t, 70), "the next one begins anew");
    sl_txn_del(t, scope, 200, sl_slice_str("k"));
    sl_txn_add(t, scope, 16, sl_slice_str("n"), 1);
    cr_assert(sl_txn_touches(t, 200) && sl_txn_touches(t, 16));
    sl_txn_abort(&t);
    sl_store_close(&store);
}

Test(store, a_refused_commit_changes_nothing)
{
    struct tally tally;
    struct sl_store *store = open_store(&tally);
    uint8_t *large = sl_zalloc(SL_LIMIT_RECORD_BYTES);
    put(store, "text", "x");
    for (int i = 0; i < 3; i++) {
        struct sl_txn *t = sl_store_begin(store);
        sl_txn_put(t, scope, 1, str("a"), str("1"));
        event(t, 1);
        if (i == 0)
            sl_txn_put(t, scope, 1, str("b"), sl_slice(large, SL_LIMIT_RECORD_BYTES));
        if (i == 1)
            sl_txn_put(t, scope, 1, str(""), str("1"));
        if (i == 2)
            sl_txn_add(t, scope, 1, str("text"), 1);
        cr_assert_eq(sl_txn_commit(&t), i == 0 ? SL_ETOOBIG : SL_EINVAL);
        cr_assert_null(t);
        cr_assert_not(has(store, "a", "1"));
        cr_assert_eq(tally.count, 0);
    }
    struct sl_txn *t = sl_store_begin(store);
    size_t mark = sl_txn_mark(t);
    sl_txn_put(t, scope, 1, str(""), str("1"));
    sl_txn_rollback_to(t, mark); /* What was bad is undone as well. */
    sl_txn_put(t, scope, 1, str("a"), str("1"));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    cr_assert(has(store, "a", "1"));
    sl_free(large);
    sl_store_close(&store);
}

Test(store, a_full_map_refuses_and_stays_usable)
{
    struct sl_store_options options = {.directory = path, .map_size_bytes = 4 * SL_MIB};
    struct sl_store *store = NULL;
    uint8_t value[4000] = {0};
    enum sl_err err = SL_OK;
    uint32_t i = 0;
    cr_assert_eq(sl_store_open(&options, &store), SL_OK);
    for (; err == SL_OK && i < 5000; i++) {
        struct sl_txn *t = sl_store_begin(store);
        sl_txn_put(t, scope, 1, sl_slice(&i, 4), sl_slice(value, sizeof(value)));
        err = sl_txn_commit(&t);
    }
    cr_assert_eq(err, SL_ENOSPC);
    uint32_t first = 0;
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_del(t, scope, 1, sl_slice(&first, 4));
    cr_assert_eq(sl_txn_commit(&t), SL_OK); /* Room can be made. */
    struct sl_slice got;
    t = sl_store_begin(store);
    cr_assert_eq(sl_txn_get(t, scope, 1, sl_slice(&first, 4), &got), SL_ENOTFOUND);
    first++;
    cr_assert_eq(sl_txn_get(t, scope, 1, sl_slice(&first, 4), &got), SL_OK);
    sl_txn_abort(&t);
    sl_store_close(&store);
}

Test(store, is_open_once)
{
    struct tally tally, other;
    struct sl_store *store = open_store(&tally), *again;
    put(store, "a", "1");
    cr_assert_eq(try_open(NULL, &other, &again), SL_EBUSY);
    put(store, "b", "2");
    sl_store_close(&store);
    store = open_store(&tally);
    cr_assert(has(store, "a", "1") && has(store, "b", "2"));
    sl_store_close(&store);
}

Test(store, replays_events_behind_the_snapshot_only)
{
    struct tally tally;
    struct sl_store *store = open_store(&tally);
    for (uint64_t i = 1; i <= 100; i++) {
        struct sl_txn *t = sl_store_begin(store);
        event(t, i);
        cr_assert_eq(sl_txn_commit(&t), SL_OK);
        if (i == 60)
            cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    }
    cr_assert_eq(tally.sum, 5050);
    sl_store_close(&store);
    store = open_store(&tally);
    cr_assert_eq(tally.sum, 5050);
    cr_assert_eq(tally.count, 100);
    sl_store_close(&store);
}

static void
damage_snapshot(void)
{
    char *name = sl_format("%s/snapshots/tally.snapshot", path);
    FILE *file = fopen(name, "r+");
    cr_assert_not_null(file);
    fseek(file, -3, SEEK_END);
    fputc(0x5a, file);
    fclose(file);
    sl_free(name);
}

Test(store, a_damaged_snapshot_is_survived_while_the_log_reaches_back)
{
    struct tally tally;
    struct sl_store *store = open_store(&tally);
    struct sl_txn *t = sl_store_begin(store);
    event(t, 5);
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    cr_assert_eq(sl_store_checkpoint(store), SL_OK); /* The only segment is not recycled. */
    sl_store_close(&store);
    damage_snapshot();
    store = open_store(&tally);
    cr_assert_eq(tally.sum, 5);
    uint8_t *large = sl_zalloc(SL_MIB);
    for (int i = 0; i < 12; i++) { /* Into further segments, so that the first is recycled. */
        t = sl_store_begin(store);
        sl_txn_put(t, scope, 1, str("large"), sl_slice(large, SL_MIB));
        event(t, 1);
        cr_assert_eq(sl_txn_commit(&t), SL_OK);
        cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    }
    sl_free(large);
    sl_store_close(&store);
    store = open_store(&tally);
    cr_assert_eq(tally.sum, 17);
    sl_store_close(&store);
    damage_snapshot();
    cr_assert_eq(try_open(NULL, &tally, &store), SL_ECORRUPT);
}

Test(store, each_projection_skips_what_its_own_snapshot_has)
{
    struct tally tallies[2];
    struct sl_projection both[2];
    struct sl_store *store = NULL;
    for (uint8_t i = 0; i < 2; i++)
        both[i] = (struct sl_projection){.id = (uint8_t)(i + 1),
                                         .name = i == 0 ? "tally" : "other",
                                         .self = &tallies[i],
                                         .apply = tally_apply,
                                         .snapshot = tally_snapshot,
                                         .restore = tally_restore};
    struct sl_store_options options = {
        .directory = path, .projections = both, .projections_count = 2};
    for (int life = 0; life < 2; life++) {
        memset(tallies, 0, sizeof(tallies));
        cr_assert_eq(sl_store_open(&options, &store), SL_OK);
        if (life == 0) {
            struct sl_txn *t = sl_store_begin(store);
            uint64_t v = 9;
            event(t, 5);
            sl_txn_event(t, 2, scope, sl_slice(&v, sizeof(v)));
            cr_assert_eq(sl_txn_commit(&t), SL_OK);
            cr_assert_eq(sl_store_checkpoint(store), SL_OK);
        }
        cr_assert_eq(tallies[0].sum, 5);
        cr_assert_eq(tallies[1].sum, 9);
        sl_store_close(&store);
        damage_snapshot(); /* Of the first: the second must not see its event twice. */
    }
}

Test(store, tick_commits_when_quiet_and_checkpoints_when_grown)
{
    struct tally tally;
    struct sl_store *store = open_store(&tally);
    cr_assert_eq(sl_store_tick(store, 1, true), UINT64_MAX);
    put(store, "a", "1");
    cr_assert(sl_store_is_dirty(store));
    cr_assert_eq(sl_store_tick(store, 1000, true), 100 * SL_MILLI_NS);
    cr_assert(sl_store_is_dirty(store));
    cr_assert_eq(sl_store_tick(store, 1000 + 100 * SL_MILLI_NS, true), SL_SECOND_NS);
    cr_assert_not(sl_store_is_dirty(store));
    cr_assert_eq(sl_store_tick(store, 2 * SL_SECOND_NS, true), UINT64_MAX, "the note is settled");
    char *snapshot = sl_format("%s/snapshots/tally.snapshot", path);
    cr_assert_not(has_snapshot("tally"));
    for (int i = 0; i < 1000; i++)
        put(store, "a", "a longer value, to fill the log");
    sl_store_tick(store, 1, false);
    cr_assert(has_snapshot("tally"));
    cr_assert_eq(unlink(snapshot), 0);
    sl_store_tick(store, 2, false);
    cr_assert_not(has_snapshot("tally"), "not before it has grown again");
    sl_free(snapshot);
    sl_store_close(&store);
}

/*
 * One life after the other, each ended by a crash. A transaction moves a counter and its projection
 * together and writes two rows of one value: after each crash they must agree, be at least what was
 * synced, and at most what was committed.
 */
static void
crash_loop(uint64_t seed)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_disk ops = sl_sim_disk_ops(disk);
    struct sl_random random;
    uint64_t synced = 0, committed = 0;
    sl_random_seed(&random, seed);
    for (int life = 0; life < 5; life++) {
        struct tally tally;
        struct sl_store *store;
        enum sl_err err = try_open(&ops, &tally, &store);
        cr_assert_eq(err, SL_OK, "seed %lu life %d: %s", (unsigned long)seed, life,
                     sl_err_name(err));
        struct sl_txn *t = sl_store_begin(store);
        uint64_t n = (uint64_t)sl_txn_counter(t, scope, 2, str("n"));
        struct sl_slice a, b;
        cr_assert_geq(n, synced, "seed %lu life %d", (unsigned long)seed, life);
        cr_assert_leq(n, committed);
        cr_assert_eq(tally.count, n, "seed %lu life %d: %lu events, counter %lu",
                     (unsigned long)seed, life, (unsigned long)tally.count, (unsigned long)n);
        cr_assert_eq(tally.sum, n * (n + 1) / 2);
        if (n > 0) {
            cr_assert_eq(sl_txn_get(t, scope, 1, str("a"), &a), SL_OK);
            cr_assert_eq(sl_txn_get(t, scope, 1, str("b"), &b), SL_OK);
            cr_assert(sl_slice_equal(a, b));
            cr_assert_eq(memcmp(a.data, &n, sizeof(n)), 0);
        }
        sl_txn_abort(&t);
        if (sl_random_below(&random, 3) == 0)
            sl_sim_disk_fail_at(disk, 1 + sl_random_below(&random, 40));
        for (uint64_t steps = sl_random_below(&random, 60); steps > 0; steps--) {
            uint64_t value[64] = {n + 1};
            t = sl_store_begin(store);
            sl_txn_put(t, scope, 1, str("a"), sl_slice(value, sizeof(value)));
            sl_txn_add(t, scope, 2, str("n"), 1);
            event(t, n + 1);
            sl_txn_put(t, scope, 1, str("b"), sl_slice(value, sizeof(value)));
            if (sl_random_below(&random, 5) == 0) {
                sl_txn_abort(&t);
                continue;
            }
            if (sl_txn_commit(&t) != SL_OK)
                break;
            committed = ++n;
            if (sl_random_below(&random, 4) == 0 && sl_store_sync(store) == SL_OK)
                synced = n;
            if (sl_random_below(&random, 10) == 0)
                sl_store_tick(store, 1 + steps * SL_SECOND_NS, true);
            if (!sl_store_is_dirty(store))
                synced = n;
        }
        sl_sim_disk_fail_at(disk, 1);
        sl_store_close(&store);
        sl_sim_disk_crash(disk, sl_random_u64(&random));
        committed = n;
    }
    sl_sim_disk_destroy(&disk);
}

Test(store, is_whole_after_every_crash)
{
    sl_report_level_set(SL_REPORT_ERROR + 1);
    for (uint64_t seed = 1; seed <= rounds(300); seed++) {
        crash_loop(seed);
        clean();
        char *command = sl_format("mkdir %s", path);
        cr_assert_eq(system(command), 0);
        sl_free(command);
    }
}
