/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single bits that turn in the files of a queue: log and snapshots. Where acknowledged bytes are
 * damaged, `verify` must find it; a start must refuse, and name it, or have all that there was. A
 * task whose bytes cannot be read is never taken for another one. SLUICE_FLIPS=100000
 * (scripts/flip-bits) is the whole run.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/store_verify.h"
#include "tests/queue/stand.h"

enum { FLIPS = 1000, TASKS = 150, FILES_MAX = 32, HEAD = 4096, SEGMENT = 16384 };

static char path[64];
static struct sl_stand stand;

static void
setup(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    snprintf(path, sizeof(path), "%s/sluice-flips-XXXXXX", base);
    cr_assert_not_null(mkdtemp(path));
    stand = (struct sl_stand){.directory = path, .segment_bytes = SEGMENT};
}

static void
clean(void)
{
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

TestSuite(flips, .init = setup, .fini = clean);

/* ---- what is there -------------------------------------------------------------------------- */

static void
commit(struct sl_buf *event)
{
    cr_assert_eq(sl_stand_commit(&stand, event), SL_OK);
    cr_assert_eq(sl_store_sync(stand.store), SL_OK);
}

/* Leased and done, with a result that is kept; dead; tried again; or left as it is. */
static void
end_one(uint64_t i, struct sl_buf *event)
{
    struct sl_lease lease;
    struct sl_lease_want want = {.holder = 1, .now_ns = 1, .now_ms = 1, .duration_ns = 1};
    cr_assert(sl_queue_lease(stand.q, &want, &lease));
    struct sl_task_end end = {.task_id = lease.task_id,
                              .ended_ms = i,
                              .state = SL_STATE_DEAD,
                              .bytes = sl_slice_str("a result, or why there is none")};
    struct sl_retry retry = {.task_id = lease.task_id,
                             .not_before_ms = 1000000,
                             .attempts = 2,
                             .why = sl_slice_str("why it failed")};
    if (i % 3 == 0)
        sl_queue_event_done(event, &end);
    else if (i % 3 == 1)
        sl_queue_event_kill(event, &end);
    else
        sl_queue_event_retry(event, &retry);
    commit(event);
}

/* Tasks of all kinds, over several segments; a snapshot after two thirds of them. */
static void
make_tasks(void)
{
    struct sl_buf event = {0};
    uint8_t payload[800];
    cr_assert_eq(sl_stand_open(&stand), SL_OK);
    for (uint64_t i = 0; i < TASKS; i++) {
        memset(payload, (int)i, sizeof(payload));
        struct sl_task_put p = {.task_id = sl_queue_reserve(stand.q),
                                .priority = (uint8_t)(i % 10),
                                .created_ms = i,
                                .retain_ms = 1000000,
                                .payload = sl_slice(payload, 1 + i * 37 % sizeof(payload))};
        sl_queue_event_put(&event, &p);
        commit(&event);
        if (i % 4 == 0)
            end_one(i / 4, &event);
        if (i == TASKS * 2 / 3)
            cr_assert_eq(sl_store_checkpoint(stand.store), SL_OK);
    }
    sl_buf_deinit(&event);
}

/* A sum over all that is durable and all bodies. SL_ECORRUPT: one of them cannot be read. */
static enum sl_err
sum_up(uint64_t *ret_sum)
{
    struct sl_task_scan scan = {.scope = {SL_STAND_SCOPE}};
    struct sl_task_info found;
    bool is_end = false;
    uint64_t sum = sl_queue_digest(stand.q), tasks = 0;
    while (!is_end) {
        if (!sl_queue_scan(stand.q, &scan, TASKS, &found, &is_end))
            continue;
        struct sl_body bodies[2] = {found.payload, found.why};
        for (int i = 0; i < 2; i++) {
            struct sl_slice bytes;
            enum sl_err err = sl_body_read(stand.store, bodies[i], &bytes);
            if (err != SL_OK)
                return err;
            sum = sum * 31 + sl_crc32c((uint32_t)i, bytes.data, bytes.size);
        }
        tasks++;
    }
    *ret_sum = sum;
    return tasks == TASKS ? SL_OK : SL_ENOTFOUND;
}

/* ---- files ---------------------------------------------------------------------------------- */

struct file {
    char *name;
    int fd;
    uint8_t *bytes; /* As they were. */
    size_t size, used;
    bool *is_record; /* Of a snapshot's and a record's bytes: not heads, notes and padding. */
};

static struct file files[FILES_MAX];
static uint32_t files_count;

/* A record is 24 bytes, of which the first 4 say how long the payload behind them is; the next one
 * begins at a multiple of 8. */
static void
mark_records(struct file *f)
{
    size_t offset = HEAD;
    uint32_t size;
    while (offset + 24 <= f->used) {
        memcpy(&size, f->bytes + offset, sizeof(size));
        for (size_t i = offset; i < SL_MIN(offset + 24 + size, f->used); i++)
            f->is_record[i] = true;
        offset = (offset + 24 + size + 7) & ~(size_t)7;
    }
}

static void
take_file(const char *folder, const char *name)
{
    struct file *f = &files[files_count++];
    struct stat st;
    cr_assert_leq(files_count, FILES_MAX);
    f->name = sl_format("%s/%s/%s", path, folder, name);
    f->fd = open(f->name, O_RDWR | O_CLOEXEC);
    cr_assert_geq(f->fd, 0);
    cr_assert_eq(fstat(f->fd, &st), 0);
    f->size = f->used = (size_t)st.st_size;
    f->bytes = sl_alloc(f->size + 1);
    cr_assert_eq(pread(f->fd, f->bytes, f->size, 0), (ssize_t)f->size);
    while (f->used > 0 && f->bytes[f->used - 1] == 0)
        f->used--; /* Nothing was recycled yet, so zeroes follow. */
    f->is_record = sl_zalloc(f->used + 1);
    if (strncmp(name, "segment-", 8) == 0)
        mark_records(f);
    else if (strcmp(name, "durable") != 0)
        memset(f->is_record, true, f->used);
}

static void
take_folder(const char *folder)
{
    struct sl_disk disk;
    struct sl_buf names = {0};
    char *save = NULL, *at = sl_format("%s/%s", path, folder);
    cr_assert_eq(sl_disk_open(at, &disk), SL_OK);
    cr_assert_eq(disk.list(disk.self, &names), SL_OK);
    char *text = sl_strndup(names.data, names.size);
    for (char *name = strtok_r(text, "\n", &save); name != NULL; name = strtok_r(NULL, "\n", &save))
        take_file(folder, name);
    sl_free(text);
    sl_free(at);
    sl_buf_deinit(&names);
    sl_disk_close(&disk);
}

static void
write_byte(const struct file *f, size_t offset, uint8_t byte)
{
    cr_assert_eq(pwrite(f->fd, &byte, 1, (off_t)offset), 1);
}

/* All files as they were, whatever a start has made of them. */
static void
put_back(void)
{
    static uint8_t now[4 * SEGMENT];
    for (uint32_t i = 0; i < files_count; i++) {
        struct file *f = &files[i];
        cr_assert_leq(f->size, sizeof(now));
        if (pread(f->fd, now, f->size, 0) != (ssize_t)f->size ||
            memcmp(now, f->bytes, f->size) != 0)
            cr_assert_eq(pwrite(f->fd, f->bytes, f->size, 0), (ssize_t)f->size);
    }
}

static void
free_files(void)
{
    for (uint32_t i = 0; i < files_count; i++) {
        close(files[i].fd);
        sl_free(files[i].bytes);
        sl_free(files[i].is_record);
        sl_free(files[i].name);
    }
    files_count = 0;
}

/* ---- bits that turn ------------------------------------------------------------------------- */

struct count {
    uint64_t refused; /* Starts. */
    uint64_t told;    /* It started, and verify found the damage. */
    uint64_t spare;   /* Nothing was damaged: padding, or there is another copy. */
    uint64_t silent;
};

static bool
verify_finds_it(void)
{
    struct sl_store_verdict verdict;
    enum sl_err err = sl_store_verify(&(struct sl_store_verify){.directory = path}, &verdict);
    cr_assert(err == SL_OK || err == SL_EVERSION || err == SL_ECORRUPT, "%s", sl_err_name(err));
    return err != SL_OK || verdict.damages > 0;
}

static void
flip(const struct file *f, size_t offset, uint32_t bit, uint64_t sum, struct count *count)
{
    uint64_t got = 0;
    write_byte(f, offset, f->bytes[offset] ^ (uint8_t)(1u << bit));
    bool is_found = verify_finds_it();
    enum sl_err err = sl_stand_open(&stand);
    if (err != SL_OK) {
        cr_assert(err == SL_ECORRUPT || err == SL_EVERSION, "%s", sl_err_name(err));
        write_byte(f, offset, f->bytes[offset]); /* A refused start changes nothing. */
        count->refused++;
        count->silent += !is_found;
        return;
    }
    err = sum_up(&got);
    bool is_whole = err == SL_OK && got == sum;
    /* Bytes that are read are right, or told to be wrong. */
    bool is_honest = is_whole || (err == SL_ECORRUPT && is_found);
    sl_stand_abandon(&stand);
    put_back();
    if (!is_honest || (!is_found && f->is_record[offset])) {
        count->silent++;
        cr_log_error("%s at %zu, bit %u: %s, %s by verify", f->name, offset, bit, sl_err_name(err),
                     is_found ? "found" : "not found");
    } else {
        *(is_found ? &count->told : &count->spare) += 1;
    }
}

static uint64_t
flips_wanted(void)
{
    const char *text = getenv("SLUICE_FLIPS");
    return text == NULL ? FLIPS : strtoull(text, NULL, 10);
}

/* A byte of all files' used ones, each as likely; but mostly one of a record. */
static const struct file *
draw(struct sl_random *random, size_t *ret_offset)
{
    bool is_any = sl_random_below(random, 10) == 0;
    size_t total = 0;
    for (uint32_t i = 0; i < files_count; i++)
        total += files[i].used;
    for (;;) {
        size_t at = sl_random_below(random, total);
        const struct file *f = files;
        for (; at >= f->used; f++)
            at -= f->used;
        if (!is_any && !f->is_record[at])
            continue;
        *ret_offset = at;
        return f;
    }
}

Test(flips, are_each_found_in_the_log_and_the_snapshot_of_a_queue, .timeout = 3600)
{
    struct sl_random random;
    struct count count = {0};
    uint64_t sum, again, flips = flips_wanted();
    sl_random_seed(&random, 11);
    make_tasks();
    cr_assert_eq(sum_up(&sum), SL_OK);
    sl_stand_close(&stand);
    take_folder("log");
    take_folder("snapshots");
    cr_assert_geq(files_count, 5);
    cr_assert_not(verify_finds_it());
    for (uint64_t i = 0; i < flips; i++) {
        size_t offset;
        const struct file *f = draw(&random, &offset);
        flip(f, offset, (uint32_t)sl_random_below(&random, 8), sum, &count);
    }
    cr_log_info("%lu bits turned: %lu starts refused, %lu found by verify and survived, "
                "%lu beside the records, %lu silent",
                (unsigned long)flips, (unsigned long)count.refused, (unsigned long)count.told,
                (unsigned long)count.spare, (unsigned long)count.silent);
    cr_assert_eq(count.silent, 0);
    cr_assert_gt(count.refused, flips / 8);
    cr_assert_gt(count.told, flips / 100);
    cr_assert_not(verify_finds_it(), "all is as it was");
    cr_assert_eq(sl_stand_open(&stand), SL_OK);
    cr_assert_eq(sum_up(&again), SL_OK);
    cr_assert_eq(again, sum);
    sl_stand_close(&stand);
    free_files();
}
