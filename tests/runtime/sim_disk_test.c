/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_disk.h"

#include <criterion/criterion.h>

#define SECTOR 512
#define SIZE   (8 * SECTOR)

struct world {
    struct sl_sim_disk *disk;
    struct sl_disk ops;
    struct sl_file *file;
};

/* A file whose name and whose bytes, all `first`, are safe. */
static struct world
make(uint8_t first)
{
    struct world w = {.disk = sl_sim_disk_create()};
    uint8_t bytes[SIZE];
    memset(bytes, first, SIZE);
    w.ops = sl_sim_disk_ops(w.disk);
    cr_assert_eq(w.ops.open(w.disk, "new", &w.file), SL_OK);
    cr_assert_eq(w.ops.write(w.file, 0, bytes, SIZE), SL_OK);
    cr_assert_eq(w.ops.sync(w.file), SL_OK);
    cr_assert_eq(w.ops.rename(w.disk, "new", "f"), SL_OK);
    return w;
}

static void
drop(struct world *w)
{
    w->ops.close(&w->file);
    sl_sim_disk_destroy(&w->disk);
}

static const uint8_t *
bytes_of(struct world *w)
{
    size_t size;
    const uint8_t *bytes = sl_sim_disk_bytes(w->disk, "f", &size);
    cr_assert_eq(size, SIZE);
    return bytes;
}

/* How often sectors came out as written, as before, and as neither. */
static void
crash_often(bool is_torn, uint32_t *ret_counts)
{
    uint8_t now[SIZE];
    memset(now, 2, SIZE);
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world w = make(1);
        sl_sim_disk_set_torn(w.disk, is_torn);
        cr_assert_eq(w.ops.write(w.file, 0, now, SIZE), SL_OK);
        sl_sim_disk_crash(w.disk, seed);
        for (const uint8_t *at = bytes_of(&w), *end = at + SIZE; at < end; at += SECTOR) {
            uint32_t old = 0, new = 0;
            for (int i = 0; i < SECTOR; i++) {
                old += at[i] == 1;
                new += at[i] == 2;
            }
            ret_counts[new == SECTOR ? 0 : old == SECTOR ? 1 : 2]++;
        }
        drop(&w);
    }
}

Test(sim_disk, a_crash_keeps_or_drops_each_sector_that_was_not_synced)
{
    uint32_t counts[3] = {0};
    crash_often(false, counts);
    cr_assert_gt(counts[0], 100);
    cr_assert_gt(counts[1], 100);
    cr_assert_eq(counts[2], 0);
}

Test(sim_disk, a_torn_crash_mixes_and_damages_them)
{
    uint32_t counts[3] = {0};
    crash_often(true, counts);
    cr_assert_gt(counts[2], 50);
}

Test(sim_disk, what_was_synced_survives_any_crash)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world w = make(1);
        sl_sim_disk_set_torn(w.disk, true);
        uint8_t other = 3;
        cr_assert_eq(w.ops.write(w.file, 0, &other, 1), SL_OK);
        sl_sim_disk_crash(w.disk, seed);
        for (size_t i = SECTOR; i < SIZE; i++)
            cr_assert_eq(bytes_of(&w)[i], 1);
        for (size_t i = 1; i < SECTOR; i++)
            cr_assert_eq(bytes_of(&w)[i], 1);
        drop(&w);
    }
}

Test(sim_disk, a_full_disk_takes_what_a_file_has_room_for)
{
    struct world w = make(1);
    uint8_t byte = 2;
    sl_sim_disk_set_full(w.disk, true);
    cr_assert_eq(w.ops.room(w.disk), 0);
    cr_assert_eq(w.ops.write(w.file, SIZE - 1, &byte, 1), SL_OK);
    cr_assert_eq(w.ops.write(w.file, SIZE, &byte, 1), SL_ENOSPC);
    cr_assert_eq(bytes_of(&w)[SIZE - 1], 2);
    sl_sim_disk_set_full(w.disk, false);
    cr_assert_eq(w.ops.write(w.file, SIZE, &byte, 1), SL_OK);
    drop(&w);
}

Test(sim_disk, a_bit_turns_and_is_turned_back)
{
    struct world w = make(1);
    cr_assert_not(sl_sim_disk_flip(w.disk, "other", 0, 1));
    cr_assert_not(sl_sim_disk_flip(w.disk, "f", SIZE, 1));
    cr_assert(sl_sim_disk_flip(w.disk, "f", 700, 3));
    cr_assert_eq(bytes_of(&w)[700], 1 ^ 8);
    sl_sim_disk_mend(w.disk, true);
    cr_assert_eq(bytes_of(&w)[700], 1);
    cr_assert(sl_sim_disk_flip(w.disk, "f", 700, 3));
    sl_sim_disk_mend(w.disk, false);
    cr_assert_eq(bytes_of(&w)[700], 1 ^ 8);
    drop(&w);
}

Test(sim_disk, tells_where_the_last_write_was)
{
    struct world w = make(1);
    struct sl_file *other;
    uint8_t byte = 2;
    cr_assert_eq(w.ops.open(w.disk, "other", &other), SL_OK);
    cr_assert_eq(w.ops.write(w.file, 700, &byte, 1), SL_OK);
    cr_assert_eq(sl_sim_disk_last_write(w.disk, "f"), 700);
    cr_assert_eq(w.ops.write(other, 0, &byte, 1), SL_OK);
    cr_assert_eq(sl_sim_disk_last_write(w.disk, "f"), 700);
    cr_assert_eq(sl_sim_disk_last_write(w.disk, "none"), UINT64_MAX);
    w.ops.close(&other);
    drop(&w);
}
