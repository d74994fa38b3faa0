/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/alloc.h"
#include "runtime/log_verify.h"
#include "runtime/report.h"
#include "runtime/sim_disk.h"
#include "runtime/snapshot.h"

#define FIRST   "segment-0000000000"
#define SEGMENT 16384

static enum sl_err
note(void *arg, uint64_t position, struct sl_slice payload, struct sl_log_at at)
{
    uint64_t *last = arg;
    sl_assert(*last == 0 || position == *last + 1);
    sl_assert(payload.size <= SEGMENT && at.offset + payload.size <= SEGMENT);
    *last = position;
    return SL_OK;
}

static void
write_file(const struct sl_disk *disk, const char *name, struct sl_slice bytes)
{
    struct sl_file *f;
    sl_assert(disk->open(disk->self, name, &f) == SL_OK);
    if (bytes.size > 0)
        sl_assert(disk->write(f, 0, bytes.data, bytes.size) == SL_OK);
    disk->close(&f);
}

/* Read an address that may be anywhere. */
static void
read_somewhere(struct sl_log *log, struct sl_slice data)
{
    struct sl_reader r = sl_reader(data);
    struct sl_slice bytes;
    struct sl_log_at at = {sl_read_u32(&r) % 4, sl_read_u32(&r) % (2 * SEGMENT)};
    size_t size = sl_read_u32(&r) % (2 * SEGMENT);
    if (sl_log_read(log, at, size, &bytes) == SL_OK)
        sl_assert(bytes.size == size);
}

/*
 * A log of some records, over which the input is laid: first byte a place in units of 64 bytes, the
 * second a bit that says what else is replaced (note, a snapshot). A start refuses it or gives
 * records in order, verify and a start agree on what is good, and a log that opens once goes on.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    sl_report_level_set(SL_REPORT_ERROR + 1);
    struct sl_sim_disk *sim = sl_sim_disk_create();
    struct sl_log_options options = {.disk = sl_sim_disk_ops(sim), .segment_size_bytes = SEGMENT};
    struct sl_slice input = sl_slice(data + 2, size - 2);
    struct sl_log *log = NULL;
    struct sl_buf buf = {0};
    struct sl_slice payload;
    uint64_t last = 0;
    sl_assert(sl_log_open(&options, NULL, &log) == SL_OK);
    for (int i = 0; i < 20; i++) {
        sl_log_append(log, sl_slice("some bytes of a record", (size_t)(1 + i)), NULL);
        if (i % 4 == 3)
            sl_assert(sl_log_sync(log) == SL_OK);
    }
    sl_log_close(&log);
    size_t file_size;
    uint8_t *file = sl_sim_disk_bytes(sim, FIRST, &file_size);
    size_t at = SL_MIN((size_t)data[0] * 64, file_size);
    memcpy(file + at, input.data, SL_MIN(input.size, file_size - at));
    if (data[1] & 1)
        write_file(&options.disk, "durable",
                   sl_slice(input.data, SL_MIN(input.size, (size_t)1024)));

    struct sl_log_verify verify = {.disk = options.disk};
    struct sl_log_verdict verdict;
    enum sl_err verified = sl_log_verify(&verify, &verdict);
    struct sl_log_replay replay = {.arg = &last, .record = note};
    enum sl_err err = sl_log_open(&options, &replay, &log);
    sl_assert((err == SL_OK) == (verified == SL_OK && verdict.damages == 0));
    if (err == SL_OK) {
        read_somewhere(log, input);
        sl_log_append(log, input, NULL);
        sl_assert(sl_log_sync(log) == SL_OK);
        uint64_t end = sl_log_last(log);
        sl_log_close(&log);
        sl_assert(sl_log_open(&options, NULL, &log) == SL_OK);
        sl_assert(sl_log_last(log) == end);
        sl_log_close(&log);
    }
    write_file(&options.disk, "snapshot", input);
    if (sl_snapshot_read(&options.disk, "snapshot", &buf, &last, &payload) == SL_OK)
        sl_assert(payload.size <= input.size);
    sl_buf_deinit(&buf);
    sl_sim_disk_destroy(&sim);
    return 0;
}
