/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that work on a queue are killed at random instants, also while they start, and
 * simulated ones lose power. What they told another process is its history: a task that was
 * acknowledged is there or has its effect, which is recorded once. SLUICE_KILLS=1000
 * (scripts/queue-kills) is the whole run.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/events.h"
#include "queue/submit.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/report.h"
#include "runtime/store_verify.h"
#include "runtime/time.h"
#include "tests/queue/stand.h"
#include "tests/rounds.h"

enum {
    KILLS = 40,
    LIVES = 25, /* In one directory. */
    NUMBERS = 50000,
    HELD_MAX = 64,
    TOLD_MAX = 256, /* Written at once: a pipe takes them whole. */
    EFFECTS = 9,
    AGAIN_MAX = 60,
};

/* ---- one who works -------------------------------------------------------------------------- */

struct told {
    enum { STARTED, PUT, DONE, FAILED } what;
    uint32_t number; /* Of a task, as its payload says; of FAILED an error. */
};

struct life {
    struct sl_stand *stand;
    struct sl_random random;
    uint32_t number, number_end;            /* Tasks it may put. */
    uint32_t again[AGAIN_MAX], again_count; /* And some to put once more. */
    uint64_t now_ns, now_ms;
    struct sl_buf event;
    struct sl_lease held[HELD_MAX];
    uint32_t held_numbers[HELD_MAX], held_count;
    struct told told[TOLD_MAX]; /* What is true once it is synced. */
    uint32_t told_count;
    void *arg;
    void (*tell)(void *arg, const struct told *told, uint32_t count);
};

static uint64_t
below(struct life *l, uint64_t limit)
{
    return sl_random_below(&l->random, limit);
}

static void
will_tell(struct life *l, int what, uint32_t number)
{
    if (l->told_count < TOLD_MAX)
        l->told[l->told_count++] = (struct told){.what = what, .number = number};
}

static struct sl_slice
effect_key(const uint32_t *number)
{
    return sl_slice(number, sizeof(*number));
}

/* Events with their scopes join the transaction; the buffer is empty then. */
static void
stage_events(struct sl_txn *t, struct sl_buf *events)
{
    struct sl_reader r = sl_reader(sl_buf_slice(events));
    struct sl_scope scope;
    struct sl_slice event;
    while (sl_events_next(&r, &scope, &event))
        sl_txn_event(t, SL_STAND_QUEUE, scope, event);
    sl_buf_clear(events);
}

/* A task of this number, under a key that holds longer than the test lasts. */
static enum sl_err
submit_one(struct life *l, uint32_t number)
{
    uint8_t payload[700] = {0};
    char name[16];
    struct sl_submitted submitted = {0};
    memcpy(payload, &number, sizeof(number));
    struct sl_submit item = {
        .scope = {SL_STAND_SCOPE},
        .now_ms = l->now_ms,
        .priority = (int64_t)below(l, 10),
        .delay_ms = below(l, 3) == 0 ? (int64_t)below(l, 6) : 0,
        .retain_ms = (int64_t)below(l, 2) * 60000,
        .payload = sl_slice(payload, sizeof(number) + below(l, sizeof(payload) - 4)),
        .key = {.name = sl_slice(name, (size_t)snprintf(name, sizeof(name), "%u", number)),
                .mode = SL_DEDUP_TTL,
                .window_ms = 86400000}};
    if (!sl_queue_submit(l->stand->q, NULL, &item, &l->event, &submitted))
        return SL_EBUG;
    struct sl_txn *t = sl_store_begin(l->stand->store);
    stage_events(t, &l->event);
    enum sl_err err = sl_txn_commit(&t);
    if (err == SL_OK && submitted.err == SL_OK)
        will_tell(l, PUT, number);
    return err == SL_OK ? submitted.err : err;
}

static enum sl_err
put_some(struct life *l)
{
    enum sl_err err = SL_OK;
    uint64_t count = 1 + below(l, 8);
    /* First what a life before has put, and was not told whether it is there. */
    for (; err == SL_OK && count > 0 && l->again_count > 0; count--)
        err = submit_one(l, l->again[--l->again_count]);
    for (; err == SL_OK && count > 0 && l->number < l->number_end; count--)
        err = submit_one(l, l->number++);
    return err;
}

static enum sl_err
lease_one(struct life *l)
{
    struct sl_lease_want want = {.holder = 1 + below(l, 3),
                                 .now_ns = l->now_ns,
                                 .now_ms = l->now_ms,
                                 .duration_ns = SL_MILLI_NS};
    struct sl_lease lease;
    struct sl_slice bytes;
    if (l->held_count == HELD_MAX || !sl_queue_lease(l->stand->q, &want, &lease))
        return SL_OK;
    enum sl_err err = sl_body_read(l->stand->store, lease.body, &bytes);
    if (err != SL_OK)
        return err;
    memcpy(&l->held_numbers[l->held_count], bytes.data, sizeof(uint32_t));
    l->held[l->held_count++] = lease;
    return SL_OK;
}

/* Its effect, and that it is done, in one transaction: if the lease still holds. */
static void
stage_done(struct life *l, struct sl_txn *t, const struct sl_lease *lease, uint32_t number)
{
    sl_txn_add(t, (struct sl_scope){SL_STAND_SCOPE}, EFFECTS, effect_key(&number), 1);
    sl_queue_event_done(&l->event, &(struct sl_task_end){.task_id = lease->task_id,
                                                         .ended_ms = l->now_ms,
                                                         .bytes = effect_key(&number)});
}

static void
stage_failure(struct life *l, const struct sl_lease *lease)
{
    if (below(l, 3) == 0) {
        struct sl_task_end end = {.task_id = lease->task_id,
                                  .ended_ms = l->now_ms,
                                  .state = SL_STATE_DEAD,
                                  .bytes = sl_slice_str("it did not work")};
        sl_queue_event_kill(&l->event, &end);
        return;
    }
    struct sl_retry retry = {.task_id = lease->task_id,
                             .not_before_ms = l->now_ms + below(l, 5),
                             .attempts = (uint16_t)(lease->attempts + 1),
                             .crashes = lease->crashes,
                             .why = sl_slice_str("it may work later")};
    sl_queue_event_retry(&l->event, &retry);
}

static enum sl_err
end_one(struct life *l)
{
    if (l->held_count == 0)
        return SL_OK;
    uint32_t at = (uint32_t)below(l, l->held_count), number = l->held_numbers[at];
    struct sl_lease lease = l->held[at], live;
    l->held[at] = l->held[--l->held_count];
    l->held_numbers[at] = l->held_numbers[l->held_count];
    if (sl_queue_check(l->stand->q, lease.task_id, lease.epoch, &live) != SL_OK)
        return SL_OK; /* It has lapsed: somebody else has the task. */
    bool is_done = below(l, 4) != 0;
    struct sl_txn *t = sl_store_begin(l->stand->store);
    if (is_done)
        stage_done(l, t, &lease, number);
    else
        stage_failure(l, &lease);
    sl_stand_stage(t, &l->event);
    enum sl_err err = sl_txn_commit(&t);
    if (err == SL_OK && is_done)
        will_tell(l, DONE, number);
    return err;
}

static enum sl_err
redrive_one(struct life *l)
{
    struct sl_task_scan scan = {.scope = {SL_STAND_SCOPE}, .states = SL_IN(DEAD)};
    struct sl_task_info found;
    bool is_end;
    if (!sl_queue_scan(l->stand->q, &scan, NUMBERS, &found, &is_end))
        return SL_OK;
    sl_queue_event_redrive(&l->event, &(struct sl_edit){.task_id = found.id});
    return sl_stand_commit(l->stand, &l->event);
}

/* A worker is gone, or silent for too long. */
static enum sl_err
lose_some(struct life *l)
{
    uint64_t task_id;
    if (below(l, 4) == 0)
        sl_queue_release_holder(l->stand->q, 1 + below(l, 3));
    while (sl_queue_expire(l->stand->q, l->now_ns, &task_id))
        ;
    return SL_OK;
}

static enum sl_err
sync_all(struct life *l)
{
    enum sl_err err = sl_store_sync(l->stand->store);
    if (err != SL_OK)
        return err;
    if (l->told_count > 0)
        l->tell(l->arg, l->told, l->told_count);
    l->told_count = 0;
    (void)sl_store_tick(l->stand->store, l->now_ns, below(l, 8) == 0);
    return SL_OK;
}

static enum sl_err
step(struct life *l)
{
    if (l->told_count > TOLD_MAX / 2)
        return sync_all(l);
    switch (below(l, 12)) {
    case 0:
        return put_some(l);
    case 1:
    case 2:
    case 3:
    case 4:
        return lease_one(l);
    case 5:
    case 6:
    case 7:
        return end_one(l);
    case 8:
        return redrive_one(l);
    case 9:
        return lose_some(l);
    default:
        return sync_all(l);
    }
}

/* ---- what must hold ------------------------------------------------------------------------- */

/* What one directory's processes have said about the tasks 0 to NUMBERS - 1. */
struct history {
    bool was_put[NUMBERS], was_done[NUMBERS];
    uint32_t puts, dones;
};

/* Of the life before `which`: what it may have put behind what it was told, and a few of these. */
static void
put_again(struct life *l, const struct history *h, uint32_t which)
{
    uint32_t last = which * (NUMBERS / LIVES), first = last - (which > 0) * (NUMBERS / LIVES);
    while (last > first && !h->was_put[last - 1])
        last--;
    for (uint32_t i = last > first + 10 ? last - 10 : first;
         l->again_count < AGAIN_MAX && i < last + 50 && i < NUMBERS && which > 0; i++)
        l->again[l->again_count++] = i;
}

static void
hear(void *arg, const struct told *told, uint32_t count)
{
    struct history *h = arg;
    for (uint32_t i = 0; i < count; i++) {
        cr_assert_neq(told[i].what, FAILED, "%s", sl_err_name((enum sl_err)told[i].number));
        if (told[i].what == STARTED)
            continue;
        cr_assert_lt(told[i].number, NUMBERS);
        bool *is = told[i].what == PUT ? h->was_put : h->was_done;
        cr_assert(told[i].what != DONE || !is[told[i].number], "%u was done twice", told[i].number);
        is[told[i].number] = true;
        *(told[i].what == PUT ? &h->puts : &h->dones) += 1;
    }
}

/* How many tasks say that they are this number, that have not succeeded. */
static void
count_tasks(struct sl_stand *s, uint8_t counts[static NUMBERS])
{
    struct sl_task_scan scan = {.scope = {SL_STAND_SCOPE}};
    struct sl_task_info found;
    bool is_end = false;
    memset(counts, 0, NUMBERS);
    while (!is_end) {
        struct sl_slice bytes;
        uint32_t number;
        if (!sl_queue_scan(s->q, &scan, 100, &found, &is_end))
            continue;
        cr_assert_eq(sl_body_read(s->store, found.payload, &bytes), SL_OK);
        memcpy(&number, bytes.data, sizeof(number));
        cr_assert_lt(number, NUMBERS);
        counts[number] += found.state != SL_STATE_SUCCEEDED;
    }
}

static int64_t
effects_of(struct sl_stand *s, uint32_t number)
{
    struct sl_txn *t = sl_store_begin(s->store);
    int64_t effects =
        sl_txn_counter(t, (struct sl_scope){SL_STAND_SCOPE}, EFFECTS, effect_key(&number));
    sl_txn_abort(&t);
    return effects;
}

static void
check_history(struct sl_stand *s, const struct history *h)
{
    uint8_t counts[NUMBERS];
    count_tasks(s, counts);
    for (uint32_t i = 0; i < NUMBERS; i++) {
        int64_t effects = effects_of(s, i);
        cr_assert_leq(effects + counts[i], 1, "%u: %ld effects, %u tasks", i, (long)effects,
                      counts[i]);
        cr_assert(!h->was_put[i] || effects + counts[i] == 1, "%u is lost", i);
        cr_assert(!h->was_done[i] || effects == 1, "%u is not done any more", i);
    }
}

/* All that is there is worked on to its end: then each has its effect, once. */
static void
drain(struct sl_stand *s, const struct history *h)
{
    struct life l = {.stand = s, .arg = (void *)h, .now_ns = 1, .now_ms = SL_TIME_MAX_MS};
    struct sl_task_scan scan = {.scope = {SL_STAND_SCOPE}, .states = SL_IN(DEAD)};
    struct sl_task_info found;
    bool is_end = false;
    while (!is_end) {
        if (!sl_queue_scan(s->q, &scan, 100, &found, &is_end))
            continue;
        sl_queue_event_redrive(&l.event, &(struct sl_edit){.task_id = found.id});
        cr_assert_eq(sl_stand_commit(s, &l.event), SL_OK);
    }
    for (;;) {
        l.held_count = 0;
        cr_assert_eq(lease_one(&l), SL_OK);
        if (l.held_count == 0)
            break;
        struct sl_txn *t = sl_store_begin(s->store);
        stage_done(&l, t, &l.held[0], l.held_numbers[0]);
        sl_stand_stage(t, &l.event);
        cr_assert_eq(sl_txn_commit(&t), SL_OK);
    }
    for (uint32_t i = 0; i < NUMBERS; i++) {
        int64_t effects = effects_of(s, i);
        cr_assert(effects == 1 || (effects == 0 && !h->was_put[i]), "%u: %ld effects", i,
                  (long)effects);
    }
    sl_buf_deinit(&l.event);
}

static uint64_t
runs_wanted(void)
{
    const char *text = getenv("SLUICE_KILLS");
    return text == NULL ? KILLS : strtoull(text, NULL, 10);
}

/* Each life may put its part of the numbers. */
static void
let_put(struct life *l, uint32_t which)
{
    l->number = which * (NUMBERS / LIVES);
    l->number_end = l->number + NUMBERS / LIVES;
}

/* ---- processes that are killed -------------------------------------------------------------- */

static void
tell_pipe(void *arg, const struct told *told, uint32_t count)
{
    ssize_t size = (ssize_t)(count * sizeof(*told));
    if (write(*(int *)arg, told, (size_t)size) != size)
        _exit(1);
}

/* In a process of its own: it works until it is killed. */
SL_NORETURN static void
work(struct life *l, int pipe)
{
    enum sl_err err = sl_stand_open(l->stand);
    l->arg = &pipe;
    l->tell = tell_pipe;
    if (err == SL_OK)
        tell_pipe(&pipe, &(struct told){.what = STARTED}, 1);
    while (err == SL_OK) {
        l->now_ns = sl_time_mono_ns();
        l->now_ms = sl_time_wall_ms();
        err = step(l);
    }
    tell_pipe(&pipe, &(struct told){.what = FAILED, .number = (uint32_t)err}, 1);
    _exit(1);
}

/* All that was said until the other end was closed. True: it had started. */
static bool
hear_all(int pipe, struct history *h)
{
    struct told told[TOLD_MAX];
    bool has_started = false;
    size_t had = 0;
    ssize_t got;
    while ((got = read(pipe, (char *)told + had, sizeof(told) - had)) > 0) {
        had += (size_t)got;
        uint32_t count = (uint32_t)(had / sizeof(told[0]));
        hear(h, told, count);
        has_started = has_started || count > 0;
        had %= sizeof(told[0]);
        memmove(told, told + count, had);
    }
    cr_assert_eq(had, 0, "a part of what was told");
    return has_started;
}

static bool
live_and_die(struct life *l, struct history *h)
{
    int ends[2], status;
    /* Within the start, or when some has been done. */
    uint64_t after_ns = below(l, 2) == 0 ? below(l, 3) * SL_MILLI_NS + below(l, SL_MILLI_NS)
                                         : below(l, 25 * SL_MILLI_NS);
    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        close(ends[0]);
        work(l, ends[1]);
    }
    close(ends[1]);
    sl_time_sleep_ns(after_ns); /* The instant is what is drawn: nothing is waited for. */
    cr_assert_eq(kill(pid, SIGKILL), 0);
    bool has_started = hear_all(ends[0], h);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status));
    close(ends[0]);
    l->stand->boot++;
    return has_started;
}

static void
remove_tree(const char *path)
{
    char *command = sl_format("rm -rf %s", path);
    cr_assert_eq(system(command), 0);
    sl_free(command);
}

static void
check_files(const char *path)
{
    struct sl_store_verdict verdict;
    enum sl_err err = sl_store_verify(&(struct sl_store_verify){.directory = path}, &verdict);
    if (err == SL_ENOTFOUND) /* All were killed before they had begun. */
        return;
    cr_assert_eq(err, SL_OK, "%s: %s", path, sl_err_name(err));
    cr_assert_eq(verdict.damages, 0, "%s: %lu damages", path, (unsigned long)verdict.damages);
}

Test(kill_runs, lose_nothing_that_was_acknowledged_and_record_no_effect_twice, .timeout = 3600)
{
    static struct history history;
    struct sl_random random;
    uint64_t runs = runs_wanted(), started = 0, puts = 0, dones = 0;
    char path[64];
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    sl_random_seed(&random, 17);
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    for (uint64_t run = 0; run < runs; run += LIVES) {
        snprintf(path, sizeof(path), "%s/sluice-kills-XXXXXX", base);
        cr_assert_not_null(mkdtemp(path));
        history = (struct history){0};
        struct sl_stand stand = {
            .directory = path, .segment_bytes = 65536, .checkpoint_bytes = 100000};
        for (uint32_t i = 0; i < LIVES && run + i < runs; i++) {
            struct life life = {.stand = &stand};
            sl_random_seed(&life.random, sl_random_u64(&random));
            let_put(&life, i);
            put_again(&life, &history, i);
            started += live_and_die(&life, &history);
            if (i % 5 != 4)
                continue; /* A killed start is followed by another one. */
            check_files(path);
            cr_assert_eq(sl_stand_open(&stand), SL_OK);
            check_history(&stand, &history);
            sl_stand_abandon(&stand);
        }
        cr_assert_eq(sl_stand_open(&stand), SL_OK);
        check_history(&stand, &history);
        drain(&stand, &history);
        sl_stand_close(&stand);
        puts += history.puts;
        dones += history.dones;
        remove_tree(path);
    }
    cr_log_info("%lu kills, %lu of them after the start: %lu tasks and %lu ends acknowledged",
                (unsigned long)runs, (unsigned long)started, (unsigned long)puts,
                (unsigned long)dones);
    cr_assert_gt(started, runs / 4);
    cr_assert_lt(started, runs);
    cr_assert_gt(puts, runs);
    cr_assert_gt(dones, runs / 4);
}

/* ---- power that is cut ---------------------------------------------------------------------- */

static void
live_until_the_power_is_cut(struct life *l, struct history *h)
{
    struct sl_sim_storage *storage = l->stand->storage;
    enum sl_err err = sl_stand_open(l->stand);
    cr_assert_eq(err, SL_OK, "%s", sl_err_name(err));
    check_history(l->stand, h);
    bool is_failing = below(l, 2) == 0;
    l->arg = h;
    l->tell = hear;
    for (uint64_t steps = below(l, 400); err == SL_OK && steps > 0; steps--) {
        l->now_ns += below(l, SL_MILLI_NS);
        l->now_ms = 1000 + l->now_ns / SL_MILLI_NS;
        if (steps == 20 && is_failing) /* In the middle of something. */
            sl_sim_disk_fail_at(below(l, 2) == 0 ? storage->log : storage->snapshots,
                                1 + below(l, 30));
        err = step(l);
    }
    sl_stand_abandon(l->stand);
    sl_sim_disk_crash(storage->log, sl_random_u64(&l->random));
    sl_sim_disk_crash(storage->snapshots, sl_random_u64(&l->random));
}

Test(kill_runs, lose_nothing_when_the_power_is_cut_either, .timeout = 3600)
{
    static struct history history;
    uint64_t runs = runs_wanted() * rounds(4), puts = 0;
    sl_report_level_set((enum sl_report_level)(SL_REPORT_ERROR + 1));
    for (uint64_t run = 0; run < runs; run += LIVES) {
        struct sl_sim_storage storage;
        sl_sim_storage_init(&storage);
        sl_sim_disk_set_torn(storage.log, run / LIVES % 2 == 0);
        history = (struct history){0};
        struct sl_stand stand = {
            .storage = &storage, .segment_bytes = 65536, .checkpoint_bytes = 100000};
        uint64_t now_ns = SL_SECOND_NS;
        for (uint32_t i = 0; i < LIVES; i++) {
            struct life life = {.stand = &stand, .now_ns = now_ns};
            sl_random_seed(&life.random, run + i + 1);
            let_put(&life, i);
            put_again(&life, &history, i);
            live_until_the_power_is_cut(&life, &history);
            now_ns = life.now_ns;
            sl_buf_deinit(&life.event);
        }
        cr_assert_eq(sl_stand_open(&stand), SL_OK);
        check_history(&stand, &history);
        drain(&stand, &history);
        sl_stand_close(&stand);
        sl_sim_storage_deinit(&storage);
        puts += history.puts;
    }
    cr_log_info("%lu power cuts: %lu tasks acknowledged", (unsigned long)runs, (unsigned long)puts);
    cr_assert_gt(puts, runs);
}
