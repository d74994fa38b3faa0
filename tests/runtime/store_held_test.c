/* SPDX-License-Identifier: Apache-2.0 */
/* A projection whose payloads lie in the log: what it holds stays, is moved, and survives. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/sim_disk.h"
#include "runtime/store.h"
#include "runtime/store_backup.h"
#include "runtime/store_verify.h"

static char path[64];
static const struct sl_scope scope = {3};

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

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    /* In memory where that is at hand: the crashes are the virtual disk's, not this one's. */
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof(path), "%s/sluice-held-XXXXXX", base);
    cr_assert_not_null(mkdtemp(path));
}

static void
clean(void)
{
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(store_held, .init = setup, .fini = clean);

static struct sl_slice
str(const char *text)
{
    return sl_slice_str(text);
}

enum { SHELF_MAX = 64, ITEM_SIZE = 1000 };

/* Event: one byte, which place, then the item; or the place alone, which empties it. */
struct shelf {
    struct sl_log_at items[SHELF_MAX]; /* {0, 0}: empty. */
    struct sl_log_at fixed[SHELF_MAX]; /* As of snapshot_begin... */
    uint32_t written;                  /* ...and how many of these were given. */
    uint32_t relocations;
};

static void
shelf_apply(void *self, struct sl_scope s, struct sl_slice event, struct sl_log_at at)
{
    struct shelf *shelf = self;
    cr_assert_eq(s.id, scope.id);
    at.offset++;
    shelf->items[event.data[0]] = event.size > 1 ? at : (struct sl_log_at){0};
}

static void
shelf_snapshot_begin(void *self)
{
    struct shelf *shelf = self;
    memcpy(shelf->fixed, shelf->items, sizeof(shelf->fixed));
    shelf->written = 0;
}

/* Eight entries a slice. */
static bool
shelf_snapshot_some(void *self, struct sl_buf *out, size_t size)
{
    struct shelf *shelf = self;
    cr_assert_gt(size, 0);
    sl_buf_append(out, &shelf->fixed[shelf->written], 8 * sizeof(shelf->fixed[0]));
    shelf->written += 8;
    return shelf->written < SHELF_MAX;
}

static enum sl_err
shelf_restore(void *self, struct sl_slice snapshot)
{
    struct shelf *shelf = self;
    cr_assert_eq(snapshot.size, sizeof(shelf->items));
    memcpy(shelf->items, snapshot.data, snapshot.size);
    return SL_OK;
}

static void
shelf_relocate(void *self, struct sl_scope s, struct sl_slice event, struct sl_log_at at,
               struct sl_buf *out)
{
    struct shelf *shelf = self;
    const struct sl_log_at *item = &shelf->items[event.data[0]];
    cr_assert_eq(s.id, scope.id);
    if (item->segment != at.segment || item->offset != at.offset + 1)
        return;
    shelf->relocations++;
    sl_buf_append_slice(out, event);
}

static uint64_t
shelf_held(void *self, uint32_t segment)
{
    const struct shelf *shelf = self;
    uint64_t bytes = 0;
    for (int i = 0; i < SHELF_MAX; i++)
        bytes += shelf->items[i].segment == segment ? ITEM_SIZE : 0;
    return bytes;
}

static enum sl_err
try_open_shelf_on(const struct sl_disk *disk, struct shelf *shelf, struct sl_store **ret_store)
{
    struct sl_projection projection = {.id = 1,
                                       .name = "shelf",
                                       .self = shelf,
                                       .apply = shelf_apply,
                                       .snapshot_begin = shelf_snapshot_begin,
                                       .snapshot_some = shelf_snapshot_some,
                                       .restore = shelf_restore,
                                       .held = shelf_held,
                                       .relocate = shelf_relocate};
    struct sl_store_options options = {.directory = path,
                                       .disk = disk,
                                       .projections = &projection,
                                       .projections_count = 1,
                                       .checkpoint_bytes = 100000,
                                       .segment_bytes = 65536,
                                       .is_sync_off = disk == NULL};
    *shelf = (struct shelf){0};
    *ret_store = NULL;
    return sl_store_open(&options, ret_store);
}

static enum sl_err
try_open_shelf(struct shelf *shelf, struct sl_store **ret_store)
{
    return try_open_shelf_on(NULL, shelf, ret_store);
}

static void
shelve(struct sl_store *store, uint8_t place, uint8_t fill)
{
    uint8_t event[1 + ITEM_SIZE];
    memset(event, fill, sizeof(event));
    event[0] = place;
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, scope, 1, str("k"), str("in front of the event"));
    sl_txn_event(t, 1, scope, sl_slice(event, fill == 0 ? 1 : sizeof(event)));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static void
check_item(struct sl_store *store, struct sl_log_at at, uint8_t fill)
{
    struct sl_slice bytes;
    cr_assert_eq(sl_store_read(store, at, ITEM_SIZE, &bytes), SL_OK);
    for (size_t i = 0; i < ITEM_SIZE; i++)
        cr_assert_eq(bytes.data[i], fill);
}

Test(store_held, events_are_read_where_apply_was_told_they_are_also_after_checkpoints_and_starts)
{
    struct shelf shelf;
    struct sl_store *store;
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    shelve(store, 0, 77);
    check_item(store, shelf.items[0], 77);
    struct sl_log_at kept = shelf.items[0];
    for (int i = 0; i < 1000; i++) {
        shelve(store, (uint8_t)(1 + i % 8), (uint8_t)(1 + i % 200));
        check_item(store, shelf.items[0], 77);
        if (i % 100 == 50)
            cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    }
    cr_assert_leq(sl_log_segments(sl_store_log(store)), 4);
    struct shelf before = shelf;
    sl_store_close(&store);

    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    cr_assert_arr_eq(shelf.items, before.items, sizeof(shelf.items));
    check_item(store, kept, 77);
    for (uint8_t i = 1; i <= 8; i++)
        check_item(store, shelf.items[i], (uint8_t)(1 + (992 + i - 1) % 200));
    shelve(store, 0, 0);
    struct sl_slice bytes;
    cr_assert_eq(sl_store_read(store, kept, 1, &bytes), SL_OK, "a snapshot refers to it still");
    cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    cr_assert_eq(sl_store_read(store, kept, 1, &bytes), SL_ENOTFOUND);
    sl_store_close(&store);
}

Test(store_held, a_start_without_a_segment_that_a_snapshot_refers_to_is_refused)
{
    struct shelf shelf;
    struct sl_store *store;
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    shelve(store, 0, 77);
    for (int i = 0; i < 100; i++)
        shelve(store, 1, 1);
    cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    sl_store_close(&store);
    char *first = sl_format("%s/log/segment-0000000000", path);
    char *away = sl_format("%s/away", path);
    cr_assert_eq(rename(first, away), 0);
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_ECORRUPT);
    cr_assert_eq(rename(away, first), 0);
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    sl_store_close(&store);
    sl_free(first);
    sl_free(away);
}

Test(store_held, a_snapshot_in_slices_has_the_state_of_its_beginning)
{
    struct shelf shelf;
    struct sl_store *store;
    uint64_t now_ns = SL_SECOND_NS;
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    for (int i = 0; i < 110; i++)
        shelve(store, (uint8_t)(i % 64), (uint8_t)(1 + i));
    int slices = 0;
    while (!has_snapshot("shelf")) {
        uint64_t delay_ns = sl_store_tick(store, now_ns, false);
        cr_assert_leq(delay_ns, 10 * SL_MILLI_NS, "it wants to go on");
        now_ns += delay_ns;
        shelve(store, (uint8_t)slices, 0); /* Behind and in front of where the slices are. */
        shelve(store, (uint8_t)(63 - slices), 200);
        cr_assert_lt(++slices, 20);
    }
    cr_assert_geq(slices, 8);
    cr_assert_eq(sl_store_sync(store), SL_OK);
    struct shelf before = shelf;
    sl_store_abandon(&store);
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    cr_assert_arr_eq(shelf.items, before.items, sizeof(shelf.items));
    for (int i = 0; i < SHELF_MAX; i++)
        if (shelf.items[i].segment != 0)
            check_item(store, shelf.items[i],
                       (uint8_t)(i >= 64 - slices ? 200
                                 : i < 46         ? 65 + i
                                                  : 1 + i));
    sl_store_close(&store);
}

static uint64_t
segments_bytes(struct sl_store *store)
{
    struct sl_log *log = sl_store_log(store);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < sl_log_segments(log); i++)
        bytes += sl_log_segment(log, i).size_bytes;
    return bytes;
}

/* A few items stay for ever, scattered over many segments of others that come and go. */
Test(store_held, long_lived_payloads_do_not_keep_the_log_large)
{
    struct shelf shelf;
    struct sl_store *store;
    uint64_t now_ns = SL_SECOND_NS, most = 0;
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    for (int i = 0; i < 6000; i++) {
        if (i % 100 == 0)
            shelve(store, (uint8_t)(1 + i / 100), (uint8_t)(1 + i / 100));
        shelve(store, 0, 99);
        now_ns += 20 * SL_MILLI_NS;
        sl_store_tick(store, now_ns, false);
        most = SL_MAX(most, segments_bytes(store));
    }
    for (int i = 0; i < 200; i++)
        sl_store_tick(store, now_ns += 20 * SL_MILLI_NS, false);
    cr_assert_gt(shelf.relocations, 0);
    /* 60 living items; twice that, two segments, the one that is written, and the first. */
    uint64_t alive = 61 * (ITEM_SIZE + 80);
    cr_assert_leq(segments_bytes(store), 2 * alive + 3 * 65536, "%lu",
                  (unsigned long)segments_bytes(store));
    cr_assert_leq(most, 2 * alive + 8 * 65536, "%lu", (unsigned long)most);
    struct shelf before = shelf;
    sl_store_close(&store);
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    cr_assert_arr_eq(shelf.items, before.items, sizeof(shelf.items));
    for (uint8_t i = 1; i <= 60; i++)
        check_item(store, shelf.items[i], i);
    sl_store_close(&store);
}

static void
remember(void *arg, const char *name, uint64_t offset, uint64_t position)
{
    (void)offset;
    (void)position;
    snprintf(arg, 64, "%s", name);
}

static void
flip(const char *file, long offset)
{
    char *name = sl_format("%s/%s", path, file);
    FILE *f = fopen(name, "r+b");
    cr_assert_not_null(f);
    fseek(f, offset, SEEK_SET);
    int byte = fgetc(f);
    fseek(f, offset, SEEK_SET);
    fputc(byte ^ 1, f);
    fclose(f);
    sl_free(name);
}

Test(store_held, verify_finds_what_a_start_would_not_look_at)
{
    struct shelf shelf;
    struct sl_store *store;
    struct sl_store_verdict verdict;
    char damaged[64] = "";
    struct sl_store_verify v = {.directory = path, .arg = damaged, .damaged = remember};
    cr_assert_eq(sl_store_verify(&v, &verdict), SL_ENOTFOUND);
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    for (int i = 0; i < 300; i++)
        shelve(store, (uint8_t)(i < 50 ? i : 50), 7);
    cr_assert_eq(sl_store_verify(&v, &verdict), SL_EBUSY);
    cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    for (int i = 0; i < 10; i++)
        shelve(store, 51, 8);
    struct sl_log_at held = shelf.items[20];
    sl_store_close(&store);

    cr_assert_eq(sl_store_verify(&v, &verdict), SL_OK);
    cr_assert_eq(verdict.damages, 0, "%s", damaged);
    cr_assert_eq(verdict.log.last, 310);
    cr_assert_eq(verdict.snapshots, 1);
    cr_assert_geq(verdict.log.segments, 2);
    cr_assert_eq(held.segment, 1);
    flip("log/segment-0000000000", held.offset + 500);
    cr_assert_eq(sl_store_verify(&v, &verdict), SL_OK);
    cr_assert_eq(verdict.damages, 1);
    cr_assert_str_eq(damaged, "segment-0000000000");
    flip("log/segment-0000000000", held.offset + 500);
    flip("snapshots/shelf.snapshot", 40);
    cr_assert_eq(sl_store_verify(&v, &verdict), SL_OK);
    cr_assert_geq(verdict.damages, 1);
    flip("snapshots/shelf.snapshot", 40);
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    sl_store_close(&store);
}

/* The copy is opened in place of the store, which is then put back. */
static void
check_backup(const char *copy, const struct sl_log_at items[SHELF_MAX], const uint8_t *fills)
{
    struct shelf shelf;
    struct sl_store *store;
    struct sl_store_verdict verdict;
    struct sl_store_verify v = {.directory = copy};
    char kept[sizeof(path)];
    cr_assert_eq(sl_store_verify(&v, &verdict), SL_OK);
    cr_assert_eq(verdict.damages, 0);
    memcpy(kept, path, sizeof(path));
    snprintf(path, sizeof(path), "%s", copy);
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    cr_assert_arr_eq(shelf.items, items, sizeof(shelf.items));
    for (int i = 0; i < SHELF_MAX; i++)
        if (items[i].segment != 0)
            check_item(store, items[i], fills[i]);
    struct sl_txn *t = sl_store_begin(store);
    struct sl_slice value;
    cr_assert_eq(sl_txn_get(t, scope, 1, str("k"), &value), SL_OK);
    sl_txn_abort(&t);
    shelve(store, 63, 5); /* It goes on. */
    cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    sl_store_close(&store);
    clean();
    memcpy(path, kept, sizeof(path));
}

static void *
run_backup(void *arg)
{
    sl_store_backup_run(arg);
    return NULL;
}

Test(store_held, a_backup_is_the_store_of_its_beginning_while_that_goes_on, .timeout = 60)
{
    struct shelf shelf;
    struct sl_store *store;
    struct sl_store_backup *b = NULL, *other = NULL;
    uint8_t fills[SHELF_MAX] = {0};
    uint64_t now_ns = SL_SECOND_NS;
    pthread_t thread;
    char *copy = sl_format("%s-b", path);
    cr_assert_eq(try_open_shelf(&shelf, &store), SL_OK);
    for (int i = 0; i < 400; i++) {
        int place = i < 40 ? i : i % 60;
        fills[place] = (uint8_t)(1 + i % 200);
        shelve(store, (uint8_t)place, fills[place]);
        sl_store_tick(store, now_ns += 20 * SL_MILLI_NS, false);
    }
    struct shelf before = shelf;
    cr_assert_eq(sl_store_backup_begin(store, copy, &b), SL_OK);
    cr_assert_eq(sl_store_backup_begin(store, copy, &other), SL_EBUSY);
    cr_assert_eq(pthread_create(&thread, NULL, run_backup, b), 0);
    for (int i = 0; i < 600; i++) {
        shelve(store, (uint8_t)(i % 60), 250);
        cr_assert_eq(sl_store_sync(store), SL_OK);
        sl_store_tick(store, now_ns += 20 * SL_MILLI_NS, false);
    }
    cr_assert_eq(sl_store_checkpoint(store), SL_EBUSY);
    pthread_join(thread, NULL);
    cr_assert_eq(sl_store_backup_end(&b), SL_OK);
    cr_assert_eq(sl_store_backup(store, copy), SL_EEXIST);
    check_backup(copy, before.items, fills);
    cr_assert_eq(sl_store_checkpoint(store), SL_OK);
    for (int i = 0; i < 60; i++)
        check_item(store, shelf.items[i], 250);
    cr_assert_eq(sl_store_backup(store, "/nowhere/b"), SL_ENOTFOUND);
    sl_store_close(&store);
    sl_free(copy);
}

/* ---- crashes while it compacts -------------------------------------------------------------- */

enum { HISTORY_MAX = 20000 };

struct shelf_history {
    uint8_t places[HISTORY_MAX];
    bool is_put[HISTORY_MAX];
    uint64_t count; /* Committed by anybody ever, of which a crash may take some back. */
};

/* The shelf must be what the first `n` steps made, and every item readable and the right one. */
static void
check_shelf(struct sl_store *store, const struct shelf *shelf, const struct shelf_history *h,
            uint64_t n)
{
    uint64_t expected[SHELF_MAX] = {0};
    for (uint64_t i = 0; i < n; i++)
        expected[h->places[i]] = h->is_put[i] ? i + 1 : 0;
    for (int i = 0; i < SHELF_MAX; i++) {
        struct sl_slice bytes;
        uint64_t number;
        cr_assert_eq(shelf->items[i].segment != 0, expected[i] != 0, "place %d", i);
        if (expected[i] == 0)
            continue;
        cr_assert_eq(sl_store_read(store, shelf->items[i], ITEM_SIZE, &bytes), SL_OK);
        memcpy(&number, bytes.data, sizeof(number));
        cr_assert_eq(number, expected[i], "place %d", i);
    }
}

static void
step_shelf(struct sl_store *store, struct shelf_history *h, uint64_t n, struct sl_random *random)
{
    uint8_t event[1 + ITEM_SIZE] = {(uint8_t)sl_random_below(random, SHELF_MAX)};
    bool is_put = sl_random_below(random, 3) > 0;
    uint64_t number = n + 1;
    if (sl_random_below(random, 3) > 0)
        event[0] = 0; /* Most of it is soon dead. */
    memcpy(event + 1, &number, sizeof(number));
    h->places[n] = event[0];
    h->is_put[n] = is_put;
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_add(t, scope, 2, str("n"), 1);
    sl_txn_event(t, 1, scope, sl_slice(event, is_put ? sizeof(event) : 1));
    enum sl_err ignored = sl_txn_commit(&t);
    (void)ignored;
}

static uint32_t
shelf_life(struct sl_sim_disk *disk, struct shelf_history *h, uint64_t *synced,
           struct sl_random *random)
{
    struct sl_disk ops = sl_sim_disk_ops(disk);
    struct shelf shelf;
    struct sl_store *store;
    uint64_t now_ns = SL_SECOND_NS;
    enum sl_err err = try_open_shelf_on(&ops, &shelf, &store);
    cr_assert_eq(err, SL_OK, "%s", sl_err_name(err));
    struct sl_txn *t = sl_store_begin(store);
    uint64_t n = (uint64_t)sl_txn_counter(t, scope, 2, str("n"));
    sl_txn_abort(&t);
    cr_assert_geq(n, *synced);
    cr_assert_leq(n, h->count);
    check_shelf(store, &shelf, h, n);
    bool is_failing = sl_random_below(random, 2) == 0;
    for (uint64_t steps = 300 + sl_random_below(random, 700); steps > 0; steps--) {
        step_shelf(store, h, n++, random);
        if (sl_random_below(random, 4) == 0 && sl_store_sync(store) == SL_OK)
            *synced = n;
        now_ns += sl_random_below(random, 30) * SL_MILLI_NS;
        sl_store_tick(store, now_ns, false);
        if (steps == 20 && is_failing)
            sl_sim_disk_fail_at(disk, 1 + sl_random_below(random, 40));
    }
    h->count = n;
    if (!is_failing)
        check_shelf(store, &shelf, h, n);
    uint32_t relocations = shelf.relocations;
    sl_store_abandon(&store);
    sl_sim_disk_crash(disk, sl_random_u64(random));
    return relocations;
}

Test(store_held, is_whole_after_crashes_while_it_compacts_and_writes_snapshots, .timeout = 120)
{
    static struct shelf_history history;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct sl_sim_disk *disk = sl_sim_disk_create();
        struct sl_random random;
        uint64_t synced = 0;
        uint32_t relocations = 0;
        sl_random_seed(&random, seed);
        sl_sim_disk_set_torn(disk, seed % 2 == 0);
        history.count = 0;
        for (int life = 0; life < 12; life++)
            relocations += shelf_life(disk, &history, &synced, &random);
        cr_assert_gt(relocations, 0);
        sl_sim_disk_destroy(&disk);
        clean();
        cr_assert_eq(mkdir(path, 0700), 0);
    }
}
