/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/dedup.h"

#include <criterion/criterion.h>

#include "queue/list.h"
#include "runtime/random.h"
#include "tests/rounds.h"

static struct sl_dedup *dedup;
static struct sl_random source;
static uint64_t task_last;

static void
setup(void)
{
    dedup = sl_dedup_create(UINT32_C(1) << 24);
    sl_random_seed(&source, 23);
}

static void
teardown(void)
{
    sl_dedup_destroy(&dedup);
    cr_assert_null(dedup);
}

TestSuite(dedup, .init = setup, .fini = teardown);

static struct sl_dedup_key
key_of(uint64_t number)
{
    struct sl_random r;
    sl_random_seed(&r, number);
    return (struct sl_dedup_key){{sl_random_u64(&r), sl_random_u64(&r)}, 3};
}

static struct sl_dedup_answer
look(struct sl_dedup_want want)
{
    struct sl_dedup_answer answer;
    cr_assert_eq(sl_dedup_look(dedup, &want, &answer), SL_OK);
    return answer;
}

/* As the queue does: a new task takes the key. */
static struct sl_dedup_answer
submit(struct sl_dedup_want want)
{
    struct sl_dedup_answer answer = look(want);
    if (answer.kind == SL_DEDUP_NEW) {
        answer.task = ++task_last;
        struct sl_dedup_entry entry = {
            .key = want.key, .mode = want.mode, .task = answer.task, .until_ms = answer.until_ms};
        cr_assert_eq(sl_dedup_put(dedup, &entry, &answer.slot), SL_OK);
    }
    return answer;
}

Test(dedup, makes_1000_tasks_of_1000000_submits_over_1000_keys)
{
    uint64_t created = 0, tasks[1000] = {0};
    for (int i = 0; i < 1000000; i++) {
        uint64_t number = sl_random_below(&source, 1000);
        struct sl_dedup_answer answer =
            submit((struct sl_dedup_want){.key = key_of(number), .mode = SL_DEDUP_UNTIL_DONE});
        if (answer.kind == SL_DEDUP_NEW) {
            created++;
            tasks[number] = answer.task;
        }
        cr_assert_eq(answer.task, tasks[number]);
    }
    cr_assert_eq(created, 1000);
    cr_assert_eq(sl_dedup_count(dedup), 1000);
}

Test(dedup, keeps_the_keys_of_scopes_apart)
{
    struct sl_dedup_want want = {.key = key_of(1), .mode = SL_DEDUP_UNTIL_DONE};
    uint64_t first = submit(want).task;
    want.key.scope = 4;
    cr_assert_neq(submit(want).task, first);
    want.key.scope = 3;
    cr_assert_eq(submit(want).task, first);
    want.key.hash[1]++;
    cr_assert_neq(submit(want).task, first);
}

Test(dedup, holds_until_start_only_while_the_task_waits)
{
    struct sl_dedup_want want = {.key = key_of(1), .mode = SL_DEDUP_UNTIL_START};
    struct sl_dedup_answer first = submit(want);
    cr_assert_eq(submit(want).kind, SL_DEDUP_EXISTING);
    cr_assert(sl_dedup_start(dedup, first.slot, first.task));
    struct sl_dedup_answer second = submit(want);
    cr_assert_eq(second.kind, SL_DEDUP_NEW);
    cr_assert_not(sl_dedup_end(dedup, first.slot, first.task, true)); /* The slot is another's. */
    cr_assert_eq(submit(want).task, second.task);
    cr_assert(sl_dedup_end(dedup, second.slot, second.task, false));
    cr_assert_eq(submit(want).kind, SL_DEDUP_NEW);
}

Test(dedup, holds_until_done_until_the_task_ends)
{
    struct sl_dedup_want want = {.key = key_of(1), .mode = SL_DEDUP_UNTIL_DONE};
    struct sl_dedup_answer first = submit(want);
    cr_assert_not(sl_dedup_start(dedup, first.slot, first.task));
    want.now_ms = UINT64_MAX;
    cr_assert_eq(submit(want).kind, SL_DEDUP_EXISTING);
    cr_assert(sl_dedup_end(dedup, first.slot, first.task, true));
    cr_assert_eq(submit(want).kind, SL_DEDUP_NEW);
}

Test(dedup, holds_ttl_to_the_millisecond_whatever_becomes_of_the_task)
{
    struct sl_dedup_want want = {
        .key = key_of(1), .mode = SL_DEDUP_TTL, .window_ms = 500, .now_ms = 1000};
    struct sl_dedup_answer first = submit(want);
    cr_assert_not(sl_dedup_start(dedup, first.slot, first.task));
    cr_assert_not(sl_dedup_end(dedup, first.slot, first.task, false));
    want.now_ms = 1499;
    cr_assert_eq(sl_dedup_sweep(dedup, 1499, 10), 0);
    cr_assert_eq(submit(want).task, first.task);
    want.now_ms = 1500; /* Not swept yet. */
    struct sl_dedup_answer second = submit(want);
    cr_assert_eq(second.kind, SL_DEDUP_NEW);
    cr_assert_eq(sl_dedup_sweep(dedup, 1999, 10), 0);
    cr_assert_eq(sl_dedup_sweep(dedup, 2000, 10), 1);
    cr_assert_eq(sl_dedup_count(dedup), 0);
    cr_assert_eq(sl_dedup_next_ms(dedup), UINT64_MAX);
}

Test(dedup, lets_the_first_of_a_window_win_and_gives_it_back_if_that_never_started)
{
    struct sl_dedup_want want = {
        .key = key_of(1), .mode = SL_DEDUP_THROTTLE, .window_ms = 500, .now_ms = 1000};
    struct sl_dedup_answer first = submit(want);
    cr_assert(sl_dedup_end(dedup, first.slot, first.task, false));
    struct sl_dedup_answer second = submit(want);
    cr_assert_eq(second.kind, SL_DEDUP_NEW);
    cr_assert_not(sl_dedup_end(dedup, second.slot, second.task, true));
    want.now_ms = 1499;
    cr_assert_eq(submit(want).task, second.task);
    want.now_ms = 1500;
    cr_assert_eq(submit(want).kind, SL_DEDUP_NEW);
}

Test(dedup, pushes_the_time_of_a_debounced_task_up_to_its_limit)
{
    struct sl_dedup_want want = {.key = key_of(1),
                                 .mode = SL_DEDUP_DEBOUNCE,
                                 .window_ms = 100,
                                 .max_ms = 250,
                                 .now_ms = 1000};
    struct sl_dedup_answer first = submit(want);
    cr_assert_eq(first.not_before_ms, 1100);
    uint64_t now_ms[] = {1050, 1140, 1200}, due_ms[] = {1150, 1240, 1250};
    for (size_t i = 0; i < SL_COUNT_OF(now_ms); i++) {
        want.now_ms = now_ms[i];
        struct sl_dedup_answer answer = submit(want);
        cr_assert_eq(answer.kind, SL_DEDUP_REPLACE);
        cr_assert_eq(answer.task, first.task);
        cr_assert_eq(answer.not_before_ms, due_ms[i]);
    }
    cr_assert_eq(sl_dedup_sweep(dedup, UINT64_MAX, 10), 0);
    cr_assert(sl_dedup_start(dedup, first.slot, first.task));
    cr_assert_eq(submit(want).kind, SL_DEDUP_NEW);
}

Test(dedup, refuses_what_is_no_submit)
{
    struct sl_dedup_answer answer;
    struct sl_dedup_want wants[] = {{.mode = SL_DEDUP_NONE},
                                    {.mode = SL_DEDUP_MODE_COUNT},
                                    {.mode = SL_DEDUP_TTL},
                                    {.mode = SL_DEDUP_THROTTLE},
                                    {.mode = SL_DEDUP_DEBOUNCE, .max_ms = 5},
                                    {.mode = SL_DEDUP_UNTIL_DONE, .key.scope = UINT64_MAX}};
    for (size_t i = 0; i < SL_COUNT_OF(wants); i++)
        cr_assert_eq(sl_dedup_look(dedup, &wants[i], &answer), SL_EINVAL);
    struct sl_dedup_entry entries[] = {{.mode = SL_DEDUP_TTL},
                                       {.mode = SL_DEDUP_NONE, .task = 1},
                                       {.mode = SL_DEDUP_UNTIL_DONE, .task = 1, .until_ms = 1}};
    uint32_t slot;
    for (size_t i = 0; i < SL_COUNT_OF(entries); i++)
        cr_assert_eq(sl_dedup_put(dedup, &entries[i], &slot), SL_EINVAL);
    cr_assert_eq(sl_dedup_count(dedup), 0);
}

Test(dedup, says_when_it_is_full_and_still_knows_what_it_has)
{
    teardown();
    dedup = sl_dedup_create(2);
    for (uint64_t i = 0; i < 2; i++)
        (void)submit((struct sl_dedup_want){.key = key_of(i), .mode = SL_DEDUP_UNTIL_DONE});
    struct sl_dedup_entry more = {.key = key_of(9), .mode = SL_DEDUP_UNTIL_DONE, .task = 9};
    uint32_t slot;
    cr_assert_eq(sl_dedup_put(dedup, &more, &slot), SL_EFULL);
    more.key = key_of(1); /* One that is there may change hands. */
    cr_assert_eq(sl_dedup_put(dedup, &more, &slot), SL_OK);
    cr_assert(sl_dedup_drop(dedup, &more.key, UINT64_MAX));
    cr_assert_not(sl_dedup_drop(dedup, &more.key, UINT64_MAX));
    more.key = key_of(9);
    cr_assert_eq(sl_dedup_put(dedup, &more, &slot), SL_OK);
}

Test(dedup, takes_at_most_64_bytes_a_key)
{
    const uint64_t keys = rounds(1500000), lapsed = keys / 3 * 2;
    for (uint64_t i = 1; i <= keys; i++) {
        struct sl_dedup_entry entry = {
            .key = {{i, i}, 1}, .mode = SL_DEDUP_TTL, .task = i, .until_ms = i};
        uint32_t slot;
        cr_assert_eq(sl_dedup_put(dedup, &entry, &slot), SL_OK);
        if (i > 200000 && i % 1000 == 0)
            cr_assert_leq(sl_dedup_bytes(dedup), 64 * i, "%lu keys", i);
    }
    uint32_t swept = 0;
    while (sl_dedup_next_ms(dedup) <= lapsed)
        swept += sl_dedup_sweep(dedup, lapsed, 100);
    cr_assert_eq(swept, lapsed);
}

/* What is held, by scanning. */
struct held {
    uint64_t task, until_ms;
    enum sl_dedup_mode mode;
    uint32_t slot;
};

Test(dedup, agrees_with_a_scan_through_random_calls_and_restores)
{
    enum { KEYS = 60 };
    struct held held[KEYS] = {0};
    uint64_t now_ms = 1;
    for (int op = 0; op < 100000; op++) {
        uint64_t number = sl_random_below(&source, KEYS);
        struct held *h = &held[number];
        struct sl_dedup_want want = {.key = key_of(number),
                                     .mode = 1 + (uint32_t)sl_random_below(&source, 5),
                                     .window_ms = 1 + sl_random_below(&source, 50),
                                     .now_ms = now_ms};
        want.key.hash[0] &= 0xf; /* So that they meet in the index. */
        bool is_timed = h->mode == SL_DEDUP_TTL || h->mode == SL_DEDUP_THROTTLE;
        bool is_held = h->task != 0 && !(is_timed && h->until_ms <= now_ms);
        switch (sl_random_below(&source, 4)) {
        case 0:
        case 1: {
            struct sl_dedup_answer answer = submit(want);
            cr_assert_eq(answer.kind == SL_DEDUP_NEW, !is_held);
            if (is_held)
                cr_assert_eq(answer.task, h->task);
            else
                *h = (struct held){answer.task, answer.until_ms, want.mode, answer.slot};
            break;
        }
        case 2: {
            bool was_started = sl_random_below(&source, 2) == 0;
            bool is_freed = sl_dedup_end(dedup, h->slot, h->task, was_started);
            if (is_held)
                cr_assert_eq(is_freed, h->mode != SL_DEDUP_TTL &&
                                           !(h->mode == SL_DEDUP_THROTTLE && was_started));
            if (is_freed)
                h->task = 0;
            break;
        }
        default:
            now_ms += sl_random_below(&source, 5);
            (void)sl_dedup_sweep(dedup, now_ms, 3);
        }
        if (op % 1000 == 0) {
            struct sl_buf first = {0}, second = {0};
            sl_dedup_snapshot(dedup, &first);
            cr_assert_eq(sl_dedup_restore(dedup, sl_buf_slice(&first)), SL_OK);
            sl_dedup_snapshot(dedup, &second);
            cr_assert(sl_slice_equal(sl_buf_slice(&first), sl_buf_slice(&second)));
            sl_buf_deinit(&first);
            sl_buf_deinit(&second);
            struct sl_dedup_entry e;
            for (uint32_t slot = 0; slot < sl_dedup_slots(dedup); slot++) {
                for (int i = 0; i < KEYS && sl_dedup_at(dedup, slot, &e); i++)
                    held[i].slot = held[i].task == e.task ? slot : held[i].slot;
            }
        }
    }
}

Test(dedup, refuses_bytes_that_are_no_snapshot_and_stays_as_it_was)
{
    for (uint64_t i = 0; i < 3; i++)
        (void)submit((struct sl_dedup_want){
            .key = key_of(i), .mode = SL_DEDUP_TTL, .window_ms = 5, .now_ms = 9});
    struct sl_buf out = {0};
    sl_dedup_snapshot(dedup, &out);
    for (size_t size = 0; size < out.size; size++)
        cr_assert_eq(sl_dedup_restore(dedup, sl_slice(out.data, size)), SL_ECORRUPT);
    memcpy(out.data + 5, out.data + 5 + 41, 41); /* The same key twice. */
    cr_assert_eq(sl_dedup_restore(dedup, sl_buf_slice(&out)), SL_ECORRUPT);
    out.data[0] = 9;
    cr_assert_eq(sl_dedup_restore(dedup, sl_buf_slice(&out)), SL_EVERSION);
    cr_assert_eq(sl_dedup_count(dedup), 3);
    cr_assert_eq(
        submit((struct sl_dedup_want){.key = key_of(2), .mode = SL_DEDUP_UNTIL_DONE, .now_ms = 13})
            .kind,
        SL_DEDUP_EXISTING);
    sl_buf_deinit(&out);
}
