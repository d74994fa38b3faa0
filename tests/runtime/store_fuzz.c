/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/log.h"
#include "runtime/report.h"
#include "runtime/store.h"
#include "runtime/store_record.h"

static void
apply(void *self, struct sl_scope scope, struct sl_slice event, struct sl_log_at at)
{
    uint64_t *sum = self;
    *sum += scope.id + event.size + at.offset;
}

/* The directory with one record in its log: these bytes, as if they had been written by us. */
static void
write_log(const char *path, struct sl_slice record)
{
    char *log_path = sl_format("%s/log", path);
    struct sl_disk disk;
    struct sl_log *log;
    sl_assert(sl_disk_open(log_path, &disk) == SL_OK);
    struct sl_log_options options = {
        .disk = disk, .segment_size_bytes = 16384, .is_sync_off = true};
    sl_assert(sl_log_open(&options, NULL, &log) == SL_OK);
    sl_log_append(log, record, NULL);
    sl_log_close(&log);
    sl_disk_close(&disk);
    sl_free(log_path);
}

/* Any record: it decodes to what encodes to the same bytes, or is refused; replay never crashes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t runs;
    struct sl_slice record = sl_slice(data, size);
    struct sl_reader r = sl_reader(record);
    struct sl_buf again = {0};
    struct sl_op op;
    while (!sl_reader_is_done(&r) && sl_op_decode(&r, &op))
        sl_op_encode(&op, &again);
    if (!r.is_bad)
        sl_assert(sl_slice_equal(record, sl_buf_slice(&again)));
    sl_assert(sl_record_is_valid(record) == !r.is_bad);
    sl_buf_deinit(&again);
    if (runs++ % 16 != 0) /* The whole store is slow to open. */
        return 0;

    char path[] = "/dev/shm/sluice-fuzz-XXXXXX";
    uint64_t sum = 0;
    struct sl_projection projection = {.id = 1, .name = "p", .self = &sum, .apply = apply};
    struct sl_store_options options = {
        .directory = path, .projections = &projection, .projections_count = 1, .is_sync_off = true};
    struct sl_store *store = NULL;
    sl_report_level_set(SL_REPORT_ERROR);
    sl_assert(mkdtemp(path) != NULL);
    write_log(path, record);
    if (sl_store_open(&options, &store) == SL_OK)
        sl_store_close(&store);
    char *command = sl_format("rm -rf %s", path);
    sl_assert(system(command) == 0);
    sl_free(command);
    return 0;
}
