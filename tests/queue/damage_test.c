/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One record of a queue's log is bad. Whether it had been acknowledged follows from what else is
 * there: a later record, the note beside the log, the catalogue's position, a snapshot's. Then a
 * start refuses and names it, as `verify` does; with none of these it is the torn end of a sync
 * that never returned.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/store_verify.h"
#include "tests/queue/stand.h"

enum { TASKS = 12 };

static char path[64];
static struct sl_stand stand;
static struct sl_log_at addresses[TASKS + 1]; /* Of payloads, by their records' positions. */

static void
setup(void)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, sizeof(path), "%s/sluice-damage-XXXXXX", base);
    cr_assert_not_null(mkdtemp(path));
    stand = (struct sl_stand){.directory = path, .segment_bytes = 16384};
}

static void
run(const char *format)
{
    char *command = sl_format(format, path, path, path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

static void
clean(void)
{
    run("rm -rf %s");
}

TestSuite(damage, .init = setup, .fini = clean);

static void
start(void)
{
    cr_assert_eq(sl_stand_open(&stand), SL_OK);
}

/* A synced record each: a task, and a row, which the catalogue has to take note of. */
static void
put(uint32_t from, uint32_t to)
{
    struct sl_buf event = {0};
    struct sl_scope scope = {SL_STAND_SCOPE};
    for (uint32_t i = from; i <= to; i++) {
        struct sl_task_put p = {.task_id = sl_queue_reserve(stand.q),
                                .payload = sl_slice_str("a payload of some bytes")};
        struct sl_task_info info;
        struct sl_txn *t = sl_store_begin(stand.store);
        sl_queue_event_put(&event, &p);
        sl_stand_stage(t, &event);
        sl_txn_put(t, scope, 9, sl_slice_str("last"), sl_slice(&i, sizeof(i)));
        cr_assert_eq(sl_txn_commit(&t), SL_OK);
        cr_assert_eq(sl_store_sync(stand.store), SL_OK);
        cr_assert_eq(sl_queue_task(stand.q, scope, p.task_id, &info), SL_OK);
        addresses[i] = info.payload.at;
    }
    sl_buf_deinit(&event);
}

static void
kill_it(void)
{
    sl_stand_abandon(&stand);
}

/* Nobody remembers any more up to where the log was synced. */
static void
lose_note(void)
{
    char *name = sl_format("%s/log/durable", path);
    cr_assert_eq(truncate(name, 0), 0);
    cr_assert_eq(truncate(name, 1024), 0);
    sl_free(name);
}

static void
turn_bit(uint32_t position)
{
    struct sl_log_at at = addresses[position];
    char *name = sl_format("%s/log/segment-%010u", path, at.segment - 1);
    uint8_t byte;
    int fd = open(name, O_RDWR | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(pread(fd, &byte, 1, at.offset), 1);
    byte ^= 16;
    cr_assert_eq(pwrite(fd, &byte, 1, at.offset), 1);
    close(fd);
    sl_free(name);
}

/* What a start says on standard error. */
static enum sl_err
try_start(char *text, size_t size)
{
    char *name = sl_format("%s/said", path);
    int kept = dup(STDERR_FILENO), fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert(kept >= 0 && fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
    enum sl_err err = sl_stand_open(&stand);
    cr_assert_geq(dup2(kept, STDERR_FILENO), 0);
    ssize_t got = pread(fd, text, size - 1, 0);
    text[got < 0 ? 0 : got] = '\0';
    close(kept);
    close(fd);
    sl_free(name);
    return err;
}

struct found {
    char name[64];
    uint64_t position;
};

static void
note_damage(void *arg, const char *name, uint64_t offset, uint64_t position)
{
    struct found *found = arg;
    (void)offset;
    snprintf(found->name, sizeof(found->name), "%s", name);
    found->position = position;
}

/* Start and verify both refuse, and name the position; also the second time. */
static void
expect_refusal(uint32_t position)
{
    char text[1024], expected[2][64];
    snprintf(expected[0], sizeof(expected[0]), "position=%u", position);
    snprintf(expected[1], sizeof(expected[1]), "missing=%u..", position);
    for (int i = 0; i < 2; i++) {
        struct found found = {0};
        struct sl_store_verdict verdict;
        struct sl_store_verify v = {.directory = path, .arg = &found, .damaged = note_damage};
        cr_assert_eq(sl_store_verify(&v, &verdict), SL_OK);
        cr_assert_gt(verdict.damages, 0, "verify finds nothing");
        cr_assert_eq(found.position, position, "%s %lu", found.name, (unsigned long)found.position);
        cr_assert_eq(try_start(text, sizeof(text)), SL_ECORRUPT);
        cr_assert(strstr(text, "log-damaged") != NULL, "%s", text);
        cr_assert(strstr(text, expected[0]) != NULL || strstr(text, expected[1]) != NULL, "%s",
                  text);
    }
}

Test(damage, is_refused_when_a_later_record_is_good)
{
    for (uint32_t position = 1; position < TASKS; position++) {
        start();
        put(1, TASKS);
        kill_it();
        lose_note();
        turn_bit(position);
        expect_refusal(position);
        run("rm -rf %s/*");
    }
}

Test(damage, is_refused_when_the_note_says_that_it_was_synced)
{
    start();
    put(1, TASKS);
    kill_it();
    turn_bit(TASKS);
    expect_refusal(TASKS);
}

Test(damage, is_refused_when_the_catalogue_has_what_the_record_did)
{
    start();
    put(1, TASKS);
    for (uint64_t now_ns = 1; now_ns < 5 * SL_SECOND_NS; now_ns += SL_SECOND_NS)
        sl_store_tick(stand.store, now_ns, true);
    kill_it();
    lose_note();
    turn_bit(TASKS);
    expect_refusal(TASKS);
}

Test(damage, is_refused_when_a_snapshot_has_what_the_record_did)
{
    start();
    put(1, 3);
    sl_stand_close(&stand);
    run("cp -r %s/catalogue %s/older");
    start();
    put(4, TASKS);
    cr_assert_eq(sl_store_checkpoint(stand.store), SL_OK);
    kill_it();
    run("rm -r %s/catalogue && mv %s/older %s/catalogue");
    lose_note();
    turn_bit(TASKS);
    expect_refusal(TASKS);
}

Test(damage, is_refused_when_the_whole_end_of_the_log_is_gone)
{
    start();
    put(1, TASKS);
    kill_it();
    char *name = sl_format("%s/log/segment-0000000000", path);
    cr_assert_eq(truncate(name, addresses[5].offset - 40), 0);
    cr_assert_eq(truncate(name, 16384), 0);
    sl_free(name);
    char text[1024];
    cr_assert_eq(try_start(text, sizeof(text)), SL_ECORRUPT);
    cr_assert(strstr(text, "log-damaged") != NULL, "%s", text);
}

/* Nothing shows that its sync had returned: it is as if that had torn it. */
Test(damage, of_a_last_record_that_nobody_has_seen_synced_is_a_torn_end)
{
    start();
    put(1, TASKS);
    kill_it();
    lose_note();
    turn_bit(TASKS);
    start();
    struct sl_queue_depth depth;
    cr_assert_eq(
        sl_queue_depth(stand.q, (struct sl_scope){SL_STAND_SCOPE}, SL_CLASS_CPU, 0, &depth), SL_OK);
    cr_assert_eq(depth.ready, TASKS - 1);
    put(TASKS, TASKS); /* It goes on behind the last good one. */
    kill_it();
    start();
    cr_assert_eq(
        sl_queue_depth(stand.q, (struct sl_scope){SL_STAND_SCOPE}, SL_CLASS_CPU, 0, &depth), SL_OK);
    cr_assert_eq(depth.ready, TASKS);
    sl_stand_close(&stand);
}
