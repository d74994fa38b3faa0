/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include "runtime/sim_disk.h"
#include "tests/rounds.h"

#define SEGMENT (64 * 1024)
#define FIRST   "segment-0000000000"

/* What replay saw. Payloads begin with their position. */
struct seen {
    uint64_t first, last, count;
};

static enum sl_err
note(void *arg, uint64_t position, struct sl_slice payload, struct sl_log_at at)
{
    struct seen *seen = arg;
    uint64_t written;
    cr_assert_geq(payload.size, sizeof(written));
    cr_assert_eq(at.offset % 8, 0);
    memcpy(&written, payload.data, sizeof(written));
    cr_assert_eq(written, position);
    for (size_t i = sizeof(written); i < payload.size; i++)
        cr_assert_eq(payload.data[i], (uint8_t)(position + i));
    if (seen->count > 0)
        cr_assert_eq(position, seen->last + 1);
    else
        seen->first = position;
    seen->last = position;
    seen->count++;
    return SL_OK;
}

static uint64_t
append(struct sl_log *log, size_t size)
{
    uint8_t *payload = sl_alloc(size + 8);
    uint64_t position = sl_log_last(log) + 1;
    memcpy(payload, &position, 8);
    for (size_t i = 8; i < size + 8; i++)
        payload[i] = (uint8_t)(position + i);
    uint64_t got = sl_log_append(log, sl_slice(payload, size + 8), NULL);
    cr_assert_eq(got, position);
    sl_free(payload);
    return got;
}

static enum sl_err
try_open(struct sl_sim_disk *disk, uint64_t after, struct seen *seen, struct sl_log **ret_log)
{
    struct sl_log_options options = {.disk = sl_sim_disk_ops(disk), .segment_size_bytes = SEGMENT};
    *seen = (struct seen){0};
    *ret_log = NULL;
    struct sl_log_replay replay = {.after = after, .arg = seen, .record = note};
    return sl_log_open(&options, &replay, ret_log);
}

static struct sl_log *
open_log(struct sl_sim_disk *disk, uint64_t after, struct seen *seen)
{
    struct sl_log *log;
    enum sl_err err = try_open(disk, after, seen, &log);
    cr_assert_eq(err, SL_OK, "%s", sl_err_name(err));
    return log;
}

Test(log, replays_what_was_synced_and_after_means_after)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_log *log = open_log(disk, 0, &seen);
    cr_assert_eq(seen.count, 0);
    for (int i = 0; i < 500; i++)
        append(log, 1000);
    cr_assert_eq(sl_log_sync(log), SL_OK);
    cr_assert_eq(sl_log_durable(log), 500);
    sl_log_close(&log);
    log = open_log(disk, 0, &seen);
    cr_assert_eq(seen.count, 500);
    sl_log_close(&log);
    log = open_log(disk, 321, &seen);
    cr_assert_eq(seen.first, 322);
    cr_assert_eq(seen.last, 500);
    cr_assert_eq(append(log, 3), 501);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

Test(log, syncs_a_record_with_one_write_one_sync_and_a_note)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_log *log = open_log(disk, 0, &seen);
    for (int i = 0; i < 10; i++) {
        uint64_t operations = sl_sim_disk_operations(disk), syncs = sl_sim_disk_syncs(disk);
        append(log, 300);
        cr_assert_eq(sl_log_sync(log), SL_OK);
        cr_assert_eq(sl_sim_disk_operations(disk), operations + 3);
        cr_assert_eq(sl_sim_disk_syncs(disk), syncs + 1);
        cr_assert_eq(sl_log_sync(log), SL_OK); /* Nothing to do. */
        cr_assert_eq(sl_sim_disk_operations(disk), operations + 3);
    }
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

Test(log, a_record_larger_than_a_segment_gets_its_own)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_log *log = open_log(disk, 0, &seen);
    append(log, 10);
    append(log, 5 * SEGMENT);
    append(log, 10);
    sl_log_close(&log);
    log = open_log(disk, 0, &seen);
    cr_assert_eq(seen.count, 3);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

Test(log, recycles_released_segments_and_does_not_replay_them)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_log *log = open_log(disk, 0, &seen);
    struct sl_buf names = {0};
    uint64_t released = 0;
    for (int i = 0; i < 2000; i++) {
        append(log, 700);
        if (sl_log_wants_prepare(log))
            cr_assert_eq(sl_log_prepare(log), SL_OK);
        if (i % 50 == 49) {
            cr_assert_eq(sl_log_sync(log), SL_OK);
            released = sl_log_last(log) - 10;
            sl_log_release(log, released, NULL, NULL);
        }
    }
    struct sl_disk ops = sl_sim_disk_ops(disk);
    cr_assert_eq(ops.list(ops.self, &names), SL_OK);
    uint32_t files = 0;
    for (size_t i = 0; i < names.size; i++)
        files += names.data[i] == '\n';
    cr_assert_leq(files, 6);
    sl_buf_deinit(&names);
    sl_log_close(&log);
    log = open_log(disk, released, &seen);
    cr_assert_eq(seen.first, released + 1);
    cr_assert_eq(seen.last, 2000);
    sl_log_close(&log);
    /* What was released may be gone: asking for it is told, not glossed over. */
    cr_assert_eq(try_open(disk, 0, &seen, &log), SL_ECORRUPT);
    sl_sim_disk_destroy(&disk);
}

/* Whether the bytes at `at` are those that `append` wrote for `position`. */
static bool
reads_back(struct sl_log *log, uint64_t position, struct sl_log_at at, size_t size)
{
    struct sl_slice bytes;
    uint64_t written;
    if (sl_log_read(log, at, size, &bytes) != SL_OK)
        return false;
    cr_assert_eq(bytes.size, size);
    memcpy(&written, bytes.data, sizeof(written));
    cr_assert_eq(written, position);
    for (size_t i = sizeof(written); i < size; i++)
        cr_assert_eq(bytes.data[i], (uint8_t)(position + i));
    return true;
}

static struct sl_log_at
append_at(struct sl_log *log, size_t size)
{
    uint8_t payload[2048] = {0};
    uint64_t position = sl_log_last(log) + 1;
    struct sl_log_at at;
    memcpy(payload, &position, 8);
    for (size_t i = 8; i < size; i++)
        payload[i] = (uint8_t)(position + i);
    sl_log_append(log, sl_slice(payload, size), &at);
    return at;
}

Test(log, reads_what_was_appended_at_its_address_before_and_after_a_sync_and_a_start)
{
    enum { COUNT = 400 };
    static struct sl_log_at at[COUNT];
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_slice bytes;
    struct sl_log *log = open_log(disk, 0, &seen);
    for (uint64_t i = 0; i < COUNT; i++) {
        at[i] = append_at(log, 900);
        cr_assert(reads_back(log, i + 1, at[i], 900), "not yet written");
        if (i % 7 == 0)
            cr_assert_eq(sl_log_sync(log), SL_OK);
        cr_assert(reads_back(log, i / 2 + 1, at[i / 2], 900), "of a window that was read early");
    }
    cr_assert_gt(at[COUNT - 1].segment, at[0].segment);
    struct sl_log_at end = {at[COUNT - 1].segment, at[COUNT - 1].offset + 900};
    cr_assert_eq(sl_log_read(log, end, 100, &bytes), SL_ENOTFOUND, "behind the end");
    cr_assert_eq(sl_log_read(log, (struct sl_log_at){0}, 1, &bytes), SL_ENOTFOUND);
    cr_assert_eq(sl_log_read(log, (struct sl_log_at){at[0].segment, UINT32_MAX}, 1, &bytes),
                 SL_ENOTFOUND);
    sl_log_close(&log);
    log = open_log(disk, 0, &seen);
    for (uint64_t i = 0; i < COUNT; i++)
        cr_assert(reads_back(log, i + 1, at[i], 900));
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

Test(log, a_few_readers_in_turn_each_read_ahead)
{
    enum { COUNT = 3000, READERS = 4 };
    static struct sl_log_at at[COUNT];
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_log_options options = {.disk = sl_sim_disk_ops(disk)};
    struct sl_log *log;
    cr_assert_eq(sl_log_open(&options, NULL, &log), SL_OK);
    for (uint64_t i = 0; i < COUNT; i++)
        at[i] = append_at(log, 500);
    cr_assert_eq(sl_log_sync(log), SL_OK);
    uint64_t before = sl_sim_disk_operations(disk);
    for (uint64_t i = 0; i < COUNT / READERS; i++)
        for (uint64_t r = 0; r < READERS; r++)
            cr_assert(
                reads_back(log, r * (COUNT / READERS) + i + 1, at[r * (COUNT / READERS) + i], 500));
    /* 4 x 400 KB in steps of 64 KiB, and a first bite each. */
    cr_assert_leq(sl_sim_disk_operations(disk) - before, 4 * 9);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

static bool
holds(void *arg, uint32_t segment)
{
    return segment == *(const uint32_t *)arg;
}

Test(log, a_held_segment_stays_readable_among_released_ones_and_after_a_start)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_log_options options = {.disk = sl_sim_disk_ops(disk), .segment_size_bytes = SEGMENT};
    struct seen seen = {0};
    struct sl_log_at first = {0}, kept = {0}, at = {0};
    uint64_t kept_position = 0;
    struct sl_log *log = open_log(disk, 0, &seen);
    while (at.segment < first.segment + 8) {
        at = append_at(log, 900);
        first = first.segment == 0 ? at : first;
        if (kept.segment == 0 && at.segment == first.segment + 3) {
            kept = at;
            kept_position = sl_log_last(log);
        }
    }
    uint64_t released = sl_log_last(log) - 1;
    cr_assert_eq(sl_log_sync(log), SL_OK);
    sl_log_release(log, released, holds, &kept.segment);
    cr_assert_eq(sl_log_segments(log), 2);
    cr_assert_eq(sl_log_segment(log, 0).ordinal, kept.segment);
    for (int i = 0; i < 500; i++) /* Released files are used again, the held one is not. */
        append_at(log, 900);
    cr_assert(reads_back(log, kept_position, kept, 900));
    struct sl_slice bytes;
    cr_assert_eq(sl_log_read(log, first, 900, &bytes), SL_ENOTFOUND);
    sl_log_close(&log);

    struct sl_log_replay replay = {.after = released, .arg = &kept.segment, .is_held = holds};
    cr_assert_eq(sl_log_open(&options, &replay, &log), SL_OK);
    cr_assert_eq(sl_log_last(log), released + 501);
    cr_assert(reads_back(log, kept_position, kept, 900));
    sl_log_release(log, released, NULL, NULL);
    cr_assert_eq(sl_log_read(log, kept, 900, &bytes), SL_ENOTFOUND);
    sl_log_close(&log);
    log = open_log(disk, released, &seen);
    cr_assert_eq(seen.count, 501);
    cr_assert_eq(append_at(log, 900).segment > at.segment, true);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

/* A disk that has room up to `full_at` of each file. */
static enum sl_err (*real_write)(struct sl_file *f, uint64_t offset, const void *data, size_t size);
static uint64_t full_at, room;

static enum sl_err
write_or_full(struct sl_file *f, uint64_t offset, const void *data, size_t size)
{
    return offset + size > full_at ? SL_ENOSPC : real_write(f, offset, data, size);
}

static uint64_t
tell_room(void *self)
{
    (void)self;
    return room;
}

static uint32_t
count_files(const struct sl_disk *disk)
{
    struct sl_buf names = {0};
    uint32_t count = 0;
    cr_assert_eq(disk->list(disk->self, &names), SL_OK);
    for (size_t i = 0; i < names.size; i++)
        count += names.data[i] == '\n';
    sl_buf_deinit(&names);
    return count;
}

Test(log, a_segment_that_finds_no_room_leaves_none_taken_and_is_not_tried_again_at_once)
{
    struct sl_sim_disk *sim = sl_sim_disk_create();
    struct sl_log_options options = {.disk = sl_sim_disk_ops(sim), .segment_size_bytes = SEGMENT};
    struct seen seen = {0};
    struct sl_log *log;
    real_write = options.disk.write;
    options.disk.write = write_or_full;
    options.disk.room = tell_room;
    full_at = room = UINT64_MAX;
    cr_assert_eq(sl_log_open(&options, &(struct sl_log_replay){.arg = &seen, .record = note}, &log),
                 SL_OK);
    uint32_t files = count_files(&options.disk);
    while (!sl_log_wants_prepare(log)) {
        append(log, 1000);
        cr_assert_eq(sl_log_sync(log), SL_OK);
    }
    full_at = SEGMENT / 2;
    cr_assert_eq(sl_log_prepare(log), SL_ENOSPC);
    cr_assert_eq(count_files(&options.disk), files);
    cr_assert_not(sl_log_wants_prepare(log));

    full_at = UINT64_MAX;
    for (int i = 0; i < 2 * SEGMENT / 1000; i++) /* Past the end of the active one. */
        append(log, 1000);
    cr_assert_eq(sl_log_sync(log), SL_OK, "what is needed now is made all the same");
    while (!sl_log_wants_prepare(log))
        append(log, 1000);
    room = 2 * SEGMENT - 2;
    files = count_files(&options.disk);
    cr_assert_eq(sl_log_prepare(log), SL_ENOSPC, "it would leave too little");
    cr_assert_eq(count_files(&options.disk), files);
    sl_log_close(&log);
    sl_sim_disk_destroy(&sim);
}

Test(log, a_full_disk_leaves_a_reserve_for_what_is_under_way)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_log *log = open_log(disk, 0, &seen);
    for (int made = 0; made < 2;) { /* The reserve, and the next one. */
        append(log, 1000);
        cr_assert_eq(sl_log_sync(log), SL_OK);
        if (sl_log_wants_prepare(log)) {
            cr_assert_eq(sl_log_prepare(log), SL_OK);
            made++;
        }
    }
    sl_sim_disk_set_full(disk, true);
    int before = 0, on_reserve = 0;
    for (; !sl_log_is_low(log); before++) {
        append(log, 1000);
        cr_assert_eq(sl_log_sync(log), SL_OK);
        cr_assert_lt(before, 1000);
        if (sl_log_wants_prepare(log))
            cr_assert_eq(sl_log_prepare(log), SL_ENOSPC);
    }
    cr_assert_gt(before, SEGMENT / 1100, "what was made ahead comes first");
    uint64_t first = sl_log_last(log);
    for (; on_reserve < SEGMENT / 1100 - 6; on_reserve++) {
        append(log, 1000);
        cr_assert_eq(sl_log_sync(log), SL_OK, "ends still succeed");
        cr_assert_not(sl_log_wants_prepare(log));
    }
    sl_sim_disk_set_full(disk, false);
    cr_assert(sl_log_wants_prepare(log));
    cr_assert_eq(sl_log_prepare(log), SL_OK);
    sl_log_wants_prepare(log);
    cr_assert_not(sl_log_is_low(log));
    sl_log_close(&log);
    log = open_log(disk, first, &seen);
    cr_assert_eq(seen.count, (uint64_t)on_reserve);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

Test(log, without_syncs_it_goes_on_behind_what_others_have_and_with_them_that_is_damage)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_log_options options = {
        .disk = sl_sim_disk_ops(disk), .segment_size_bytes = SEGMENT, .is_sync_off = true};
    struct seen seen = {0};
    struct sl_log_replay replay = {.after = 100, .arg = &seen, .record = note};
    struct sl_log *log;
    cr_assert_eq(sl_log_open(&options, NULL, &log), SL_OK);
    append(log, 10);
    sl_log_close(&log);
    cr_assert_eq(sl_log_open(&options, &replay, &log), SL_OK);
    cr_assert_eq(append(log, 10), 101);
    sl_log_close(&log);
    log = open_log(disk, 100, &seen);
    cr_assert_eq(seen.first, 101);
    sl_log_close(&log);
    cr_assert_eq(try_open(disk, 0, &seen, &log), SL_ECORRUPT);
    cr_assert_eq(try_open(disk, 500, &seen, &log), SL_ECORRUPT, "who has more than the log");
    sl_sim_disk_destroy(&disk);
}

Test(log, a_note_says_what_was_synced_and_is_itself_synced_seldom)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    size_t size;
    struct sl_log *log = open_log(disk, 0, &seen);
    for (int i = 0; i < 3; i++) {
        append(log, 96);
        cr_assert_eq(sl_log_sync(log), SL_OK);
    }
    cr_assert_not(sl_log_is_settled(log));
    cr_assert_eq(sl_log_settle(log), SL_OK);
    cr_assert(sl_log_is_settled(log));
    sl_log_close(&log);
    sl_sim_disk_bytes(disk, "durable", &size)[512 * 1 + 9] ^= 1; /* One slot; 3 is in the other. */
    sl_sim_disk_bytes(disk, FIRST, &size)[4096 + 2 * 128 + 50] ^= 1;
    cr_assert_eq(try_open(disk, 0, &seen, &log), SL_ECORRUPT);
    sl_sim_disk_bytes(disk, "durable", &size)[9] ^= 1;
    log = open_log(disk, 0, &seen); /* Two faults at once: nothing proves it any more. */
    cr_assert_eq(seen.count, 2);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

Test(log, a_flipped_bit_in_what_was_synced_is_corruption_also_in_the_last_record)
{
    for (uint64_t victim = 1; victim <= 20; victim++) {
        struct sl_sim_disk *disk = sl_sim_disk_create();
        struct seen seen;
        struct sl_log *log = open_log(disk, 0, &seen);
        for (int i = 0; i < 20; i++) {
            append(log, 96); /* 128 bytes with its head. */
            cr_assert_eq(sl_log_sync(log), SL_OK);
        }
        sl_log_close(&log);
        size_t size;
        uint8_t *bytes = sl_sim_disk_bytes(disk, FIRST, &size);
        bytes[4096 + (victim - 1) * 128 + victim % 100] ^= 4;
        enum sl_err err = try_open(disk, 0, &seen, &log);
        cr_assert_eq(err, SL_ECORRUPT, "%lu", (unsigned long)victim);
        cr_assert_eq(seen.count, victim - 1);
        sl_log_close(&log);
        sl_sim_disk_destroy(&disk);
    }
}

Test(log, a_refused_start_changes_nothing)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_log *log = open_log(disk, 0, &seen);
    for (int i = 0; i < 20; i++) {
        append(log, 96);
        cr_assert_eq(sl_log_sync(log), SL_OK);
    }
    sl_log_close(&log);
    size_t size;
    sl_sim_disk_bytes(disk, FIRST, &size)[4096 + 5 * 128 + 40] ^= 4;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(try_open(disk, 0, &seen, &log), SL_ECORRUPT);
        cr_assert_eq(seen.count, 5);
    }
    sl_sim_disk_bytes(disk, FIRST, &size)[4096 + 5 * 128 + 40] ^= 4;
    log = open_log(disk, 0, &seen); /* Mended, it has all that was synced. */
    cr_assert_eq(seen.count, 20);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

/* A run of the simulation is its seed: what a crash tears must be the same again. */
Test(log, equal_histories_leave_equal_bytes_on_simulated_disks)
{
    struct sl_sim_disk *disks[2];
    const uint8_t *bytes[2];
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        struct seen seen;
        disks[i] = sl_sim_disk_create();
        struct sl_log *log = open_log(disks[i], 0, &seen);
        append(log, 96);
        cr_assert_eq(sl_log_sync(log), SL_OK);
        sl_log_close(&log);
        bytes[i] = sl_sim_disk_bytes(disks[i], FIRST, &sizes[i]);
    }
    cr_assert_arr_eq(bytes[0], bytes[1], sizes[0]);
    for (int i = 0; i < 2; i++)
        sl_sim_disk_destroy(&disks[i]);
}

Test(log, what_a_torn_batch_left_never_joins_a_later_history)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    size_t size;
    struct sl_log *log = open_log(disk, 0, &seen);
    for (int i = 0; i < 3; i++)
        append(log, 96); /* One batch: the first is torn, the others are on the disk. */
    sl_log_close(&log);
    memset(sl_sim_disk_bytes(disk, "durable", &size), 0, 1024); /* Its sync never returned. */
    sl_sim_disk_bytes(disk, FIRST, &size)[4096 + 50] ^= 1;
    log = open_log(disk, 0, &seen);
    cr_assert_eq(seen.count, 0);
    append(log, 96); /* Ends exactly where the second one began. */
    sl_log_close(&log);
    log = open_log(disk, 0, &seen);
    cr_assert_eq(seen.count, 1);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

/* Each 8 bytes look like the head of a record of 2 MiB with a position far ahead: it would take
 * hours to check them all. */
Test(log, finds_its_end_quickly_whatever_lies_behind_it, .timeout = 60)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_log_options options = {.disk = sl_sim_disk_ops(disk),
                                     .segment_size_bytes = 16 * SL_MIB};
    struct seen seen = {0};
    struct sl_log *log = NULL;
    struct sl_file *file = NULL;
    cr_assert_eq(sl_log_open(&options, &(struct sl_log_replay){.arg = &seen, .record = note}, &log),
                 SL_OK);
    append(log, 100);
    cr_assert_eq(sl_log_sync(log), SL_OK);
    sl_log_close(&log);
    size_t count = 14 * SL_MIB / sizeof(uint64_t);
    uint64_t *old = sl_alloc(count * sizeof(*old));
    for (size_t i = 0; i < count; i++)
        old[i] = UINT64_C(0x0000000100200000);
    cr_assert_eq(options.disk.open(options.disk.self, FIRST, &file), SL_OK);
    cr_assert_eq(options.disk.write(file, SL_MIB, old, count * sizeof(*old)), SL_OK);
    options.disk.close(&file);
    sl_free(old);
    cr_assert_eq(sl_log_open(&options, &(struct sl_log_replay){.arg = &seen, .record = note}, &log),
                 SL_OK);
    cr_assert_eq(seen.count, 1);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

Test(log, a_damaged_head_is_survived_by_its_copy_and_two_are_corruption)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    size_t size;
    struct sl_log *log = open_log(disk, 0, &seen);
    append(log, 10);
    sl_log_close(&log);
    sl_sim_disk_bytes(disk, FIRST, &size)[9] ^= 1;
    log = open_log(disk, 0, &seen);
    cr_assert_eq(seen.count, 1);
    sl_log_close(&log);
    sl_sim_disk_bytes(disk, FIRST, &size)[2048 + 9] ^= 1;
    cr_assert_eq(try_open(disk, 0, &seen, &log), SL_ECORRUPT);
    sl_sim_disk_destroy(&disk);
}

static void
damage_heads(struct sl_sim_disk *disk, const char *name)
{
    size_t size;
    uint8_t *bytes = sl_sim_disk_bytes(disk, name, &size);
    cr_assert_not_null(bytes);
    bytes[9] ^= 1;
    bytes[2048 + 9] ^= 1;
}

/* A power cut may tear the head of a segment that was begun, and nothing in it was synced. */
Test(log, two_damaged_heads_of_a_segment_that_nobody_misses_are_survived)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_log *log = open_log(disk, 0, &seen);
    sl_log_close(&log);
    damage_heads(disk, FIRST);
    log = open_log(disk, 0, &seen);
    uint64_t count = 0;
    while (sl_log_segments(log) < 2) {
        append(log, 1000);
        cr_assert_eq(sl_log_sync(log), SL_OK);
        count++;
    }
    sl_log_close(&log);
    struct sl_log_options options = {.disk = sl_sim_disk_ops(disk), .segment_size_bytes = SEGMENT};
    struct sl_buf names = {0};
    cr_assert_eq(options.disk.list(options.disk.self, &names), SL_OK);
    sl_buf_append_u8(&names, 0);
    const char *second = strstr((const char *)names.data, FIRST "\n") + strlen(FIRST "\n");
    char name[sizeof(FIRST)];
    snprintf(name, sizeof(name), "%s", second);
    damage_heads(disk, name); /* What was synced in it is missed... */
    cr_assert_eq(try_open(disk, 0, &seen, &log), SL_ECORRUPT);
    size_t size;
    memset(sl_sim_disk_bytes(disk, "durable", &size), 0, 1024);
    cr_assert_eq(try_open(disk, count, &seen, &log), SL_ECORRUPT, "...also by others");
    log = open_log(disk, 0, &seen); /* ...and nothing else shows that it was. */
    cr_assert_eq(seen.count, count - 1);
    append(log, 1000);
    cr_assert_eq(sl_log_sync(log), SL_OK);
    sl_log_close(&log);
    log = open_log(disk, 0, &seen);
    cr_assert_eq(seen.count, count);
    sl_log_close(&log);
    sl_buf_deinit(&names);
    sl_sim_disk_destroy(&disk);
}

Test(log, stays_failed_after_a_failed_sync)
{
    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct sl_sim_disk *disk = sl_sim_disk_create();
        struct seen seen;
        struct sl_log *log = open_log(disk, 0, &seen);
        append(log, 10);
        sl_sim_disk_fail_at(disk, nth);
        cr_assert_eq(sl_log_sync(log), SL_EIO);
        sl_sim_disk_fail_at(disk, 0);
        cr_assert_eq(sl_log_sync(log), SL_EIO);
        cr_assert_eq(sl_log_durable(log), 0);
        sl_log_close(&log);
        sl_sim_disk_destroy(&disk);
    }
}

Test(log, syncs_beside_its_owner_what_was_appended_before)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct seen seen;
    struct sl_log *log = open_log(disk, 0, &seen);
    cr_assert_not(sl_log_sync_begin(log), "there is nothing to sync");
    append(log, 100);
    append(log, 100);
    cr_assert(sl_log_sync_begin(log));
    append(log, 100);
    cr_assert_eq(sl_log_durable(log), 0);
    sl_log_sync_run(log);
    cr_assert_eq(sl_log_durable(log), 0, "the owner has not heard of it");
    cr_assert_eq(sl_log_sync_end(log), SL_OK);
    cr_assert_eq(sl_log_durable(log), 2);
    cr_assert(sl_log_sync_begin(log));
    sl_log_sync_run(log);
    cr_assert_eq(sl_log_sync(log), SL_OK, "it takes the end of the other first");
    cr_assert_eq(sl_log_durable(log), 3);
    append(log, 100);
    sl_sim_disk_fail_at(disk, 2); /* The write goes well. */
    cr_assert(sl_log_sync_begin(log));
    sl_log_sync_run(log);
    cr_assert_eq(sl_log_sync(log), SL_EIO, "no other sync hides that this one failed");
    cr_assert_eq(sl_log_durable(log), 3);
    sl_log_close(&log);
    sl_sim_disk_destroy(&disk);
}

/* Random work with crashes; what was synced is there, whole and in order, and nothing else follows.
 */
static void
crash_loop(uint64_t seed)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_random random;
    struct seen seen;
    uint64_t durable = 0, released = 0, appended = 0, position;
    sl_random_seed(&random, seed);
    for (int life = 0; life < 6; life++) {
        struct sl_log *log;
        enum sl_err err = try_open(disk, released, &seen, &log);
        cr_assert_eq(err, SL_OK, "seed %lu life %d: %s", (unsigned long)seed, life,
                     sl_err_name(err));
        cr_assert_geq(sl_log_last(log), durable, "seed %lu life %d", (unsigned long)seed, life);
        cr_assert_leq(sl_log_last(log), SL_MAX(appended, released));
        cr_assert_eq(released + seen.count, sl_log_last(log));
        if (sl_random_below(&random, 4) == 0)
            sl_sim_disk_fail_at(disk, 1 + sl_random_below(&random, 60));
        for (uint64_t ops = sl_random_below(&random, 80); ops > 0; ops--) {
            switch (sl_random_below(&random, 10)) {
            case 0:
                if (sl_log_sync(log) == SL_OK)
                    durable = sl_log_durable(log);
                break;
            case 1:
                position = sl_random_below(&random, durable + 1);
                released = SL_MAX(released, position);
                sl_log_release(log, released, NULL, NULL);
                break;
            case 2:
                if (sl_log_wants_prepare(log)) {
                    err = sl_log_prepare(log);
                    cr_assert(err == SL_OK || err == SL_EIO);
                }
                break;
            case 3: /* What follows is appended while this one's end has not been heard of. */
                if (sl_log_sync_begin(log))
                    sl_log_sync_run(log);
                break;
            case 4:
                err = sl_log_sync_end(log);
                break;
            default:
                append(log,
                       sl_random_below(&random, 50) == 0 ? 70000 : sl_random_below(&random, 4000));
            }
            durable = SL_MAX(durable, sl_log_durable(log));
        }
        appended = sl_log_last(log);
        /* The process dies: nothing more reaches the disk. */
        sl_sim_disk_fail_at(disk, 1);
        sl_log_close(&log);
        sl_sim_disk_crash(disk, sl_random_u64(&random));
    }
    sl_sim_disk_destroy(&disk);
}

Test(log, survives_crashes_at_random_places)
{
    for (uint64_t seed = 1; seed <= rounds(1500); seed++)
        crash_loop(seed);
}

Test(log, works_on_a_real_disk)
{
    char path[] = "/tmp/sluice-log-XXXXXX";
    struct sl_disk disk;
    struct sl_log *log;
    struct seen seen = {0};
    cr_assert_not_null(mkdtemp(path));
    cr_assert_eq(sl_disk_open(path, &disk), SL_OK);
    struct sl_log_options options = {.disk = disk, .segment_size_bytes = SEGMENT};
    cr_assert_eq(sl_log_open(&options, &(struct sl_log_replay){.arg = &seen, .record = note}, &log),
                 SL_OK);
    for (int i = 0; i < 300; i++)
        append(log, 1000);
    sl_log_close(&log);
    cr_assert_eq(sl_log_open(&options, &(struct sl_log_replay){.arg = &seen, .record = note}, &log),
                 SL_OK);
    cr_assert_eq(seen.count, 300);
    sl_log_release(log, 300, NULL, NULL);
    sl_log_close(&log);
    struct sl_buf names = {0};
    cr_assert_eq(disk.list(disk.self, &names), SL_OK);
    char *save, *text = sl_strdup(sl_buf_text(&names));
    for (char *name = strtok_r(text, "\n", &save); name != NULL; name = strtok_r(NULL, "\n", &save))
        cr_assert_eq(disk.remove(disk.self, name), SL_OK);
    sl_free(text);
    sl_buf_deinit(&names);
    sl_disk_close(&disk);
    remove(path);
}
