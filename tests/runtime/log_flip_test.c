/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single bits that turn in a data directory: in acknowledged bytes of the log, in a snapshot, in
 * the note of what is durable. A start must refuse, or have all that was acknowledged; what it
 * reads from segments that it does not replay must be right or fail its checksum, and sl_log_verify
 * must have told. SLUICE_FLIPS=100000 (scripts/flip-bits) is the whole run.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/log_verify.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/sim_disk.h"
#include "runtime/snapshot.h"

enum { SEGMENT = 16384, RECORDS = 160, AFTER = 110, HELD = 2, FLIPS = 2000 };

static uint32_t crcs[RECORDS + 1];              /* Of each payload, kept elsewhere. */
static struct sl_log_at addresses[RECORDS + 1]; /* By position. */
static uint64_t ends[64];                       /* By ordinal: behind the last record. */

static size_t
make_payload(uint64_t position, uint8_t payload[static 1024])
{
    size_t size = 100 + position * 37 % 700;
    for (size_t i = 0; i < size; i++)
        payload[i] = (uint8_t)(position * 31 + i * 7);
    memcpy(payload, &position, sizeof(position));
    return size;
}

static bool
is_held(void *arg, uint32_t segment)
{
    (void)arg;
    return segment <= HELD;
}

static enum sl_err
note(void *arg, uint64_t position, struct sl_slice payload, struct sl_log_at at)
{
    uint64_t *seen = arg;
    cr_assert_eq(at.offset, addresses[position].offset);
    cr_assert_eq(crcs[position], sl_crc32c(0, payload.data, payload.size), "position %lu",
                 (unsigned long)position);
    ++*seen;
    return SL_OK;
}

static struct sl_log_options
options_of(struct sl_sim_disk *disk)
{
    return (struct sl_log_options){.disk = sl_sim_disk_ops(disk), .segment_size_bytes = SEGMENT};
}

/* All of it synced and killed, the last records alone in their sync; nothing was released yet. */
static struct sl_sim_disk *
make_log(void)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_log_options options = options_of(disk);
    struct sl_log *log;
    uint8_t payload[1024];
    cr_assert_eq(sl_log_open(&options, NULL, &log), SL_OK);
    for (uint64_t i = 1; i <= RECORDS; i++) {
        size_t size = make_payload(i, payload);
        crcs[i] = sl_crc32c(0, payload, size);
        sl_log_append(log, sl_slice(payload, size), &addresses[i]);
        ends[addresses[i].segment] = addresses[i].offset + size;
        if (i % 3 == 0 || i == RECORDS)
            cr_assert_eq(sl_log_sync(log), SL_OK);
    }
    sl_log_close(&log);
    return disk;
}

struct damage {
    uint64_t count;
};

static void
count_damage(void *arg, const char *segment, uint64_t offset, uint64_t position)
{
    struct damage *damage = arg;
    (void)segment, (void)offset, (void)position;
    damage->count++;
}

static uint64_t
verify(struct sl_sim_disk *disk)
{
    struct damage damage = {0};
    struct sl_log_verify v = {.disk = sl_sim_disk_ops(disk),
                              .replay = {.after = AFTER, .arg = &damage, .is_held = is_held},
                              .damaged = count_damage};
    struct sl_log_verdict verdict;
    enum sl_err err = sl_log_verify(&v, &verdict);
    cr_assert(err == SL_OK || err == SL_EVERSION, "%s", sl_err_name(err));
    cr_assert_eq(verdict.damages, damage.count);
    return damage.count + (err != SL_OK);
}

/* Whether what lies in held segments is all there: by whoever has the checksums. */
static bool
reads_held(struct sl_log *log)
{
    for (uint64_t i = 1; i <= RECORDS; i++) {
        struct sl_slice bytes;
        uint8_t payload[1024];
        if (!is_held(NULL, addresses[i].segment))
            continue;
        if (sl_log_read(log, addresses[i], make_payload(i, payload), &bytes) != SL_OK ||
            sl_crc32c(0, bytes.data, bytes.size) != crcs[i])
            return false;
    }
    return true;
}

/* A start with one bit turned: it must not have less than what was acknowledged, and not tell. */
static void
start(struct sl_sim_disk *disk, const char *file, uint64_t offset)
{
    uint64_t seen = 0, damages = verify(disk);
    struct sl_log_options options = options_of(disk);
    struct sl_log_replay replay = {
        .after = AFTER, .arg = &seen, .record = note, .is_held = is_held};
    struct sl_log *log = NULL;
    enum sl_err err = sl_log_open(&options, &replay, &log);
    if (err != SL_OK) {
        cr_assert(err == SL_ECORRUPT || err == SL_EVERSION);
        cr_assert_gt(damages, 0, "a start refuses %s at %lu, and verify finds it good", file,
                     (unsigned long)offset);
        return;
    }
    cr_assert_eq(seen, RECORDS - AFTER, "%s at %lu: %lu records", file, (unsigned long)offset,
                 (unsigned long)seen);
    cr_assert_eq(sl_log_last(log), RECORDS);
    cr_assert(reads_held(log) || damages > 0, "%s at %lu", file, (unsigned long)offset);
    sl_log_close(&log);
}

static uint64_t
flips_wanted(void)
{
    const char *text = getenv("SLUICE_FLIPS");
    return text == NULL ? FLIPS : strtoull(text, NULL, 10);
}

Test(log_flip, no_bit_that_turns_in_a_log_is_passed_over, .timeout = 3600)
{
    sl_report_level_set(SL_REPORT_ERROR + 1); /* Thousands of refusals: all are asserted. */
    struct sl_random random;
    uint64_t refused = 0, flips = flips_wanted();
    sl_random_seed(&random, 5);
    struct sl_sim_disk *disk = make_log();
    uint32_t segments = addresses[RECORDS].segment;
    cr_assert_gt(segments, HELD + 3);
    cr_assert_eq(verify(disk), 0);
    start(disk, "nothing", 0);
    for (uint64_t i = 0; i < flips; i++) {
        char file[32];
        uint32_t which = (uint32_t)sl_random_below(&random, segments + 1);
        snprintf(file, sizeof(file), which == 0 ? "durable" : "segment-%010u", which - 1);
        uint64_t size = which == 0 ? 1024 : ends[which];
        uint64_t offset = sl_random_below(&random, size);
        if (which > 0 && sl_random_below(&random, 8) != 0) /* Mostly records, not the head. */
            offset = SL_MAX(offset, (uint64_t)4096);
        cr_assert(sl_sim_disk_flip(disk, file, offset, (uint32_t)sl_random_below(&random, 8)));
        refused += verify(disk) > 0;
        start(disk, file, offset);
        sl_sim_disk_mend(disk, which != 0);
        if (which == 0) { /* The start may have written the note anew. */
            sl_sim_disk_destroy(&disk);
            disk = make_log();
        }
    }
    start(disk, "mended", 0);
    cr_assert_gt(refused, flips / 3);
    sl_sim_disk_destroy(&disk);
}

Test(log_flip, no_bit_that_turns_in_a_snapshot_is_passed_over)
{
    struct sl_sim_disk *disk = sl_sim_disk_create();
    struct sl_disk ops = sl_sim_disk_ops(disk);
    struct sl_snapshot_writer *w;
    struct sl_buf buf = {0};
    struct sl_slice payload;
    uint64_t position;
    uint8_t bytes[1024];
    cr_assert_eq(sl_snapshot_create(&ops, "s", 77, &w), SL_OK);
    cr_assert_eq(sl_snapshot_add(w, sl_slice(bytes, make_payload(1, bytes))), SL_OK);
    cr_assert_eq(sl_snapshot_add(w, sl_slice(bytes, make_payload(2, bytes))), SL_OK);
    cr_assert_eq(sl_snapshot_finish(&w), SL_OK);
    size_t size;
    sl_sim_disk_bytes(disk, "s", &size);
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        cr_assert(sl_sim_disk_flip(disk, "s", bit / 8, bit % 8));
        enum sl_err err = sl_snapshot_read(&ops, "s", &buf, &position, &payload);
        cr_assert(err == SL_ECORRUPT || err == SL_EVERSION, "bit %lu", (unsigned long)bit);
        sl_sim_disk_mend(disk, true);
    }
    cr_assert_eq(sl_snapshot_read(&ops, "s", &buf, &position, &payload), SL_OK);
    cr_assert_eq(position, 77);
    sl_buf_deinit(&buf);
    sl_sim_disk_destroy(&disk);
}
