/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pull.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

#define COUNT 40

static struct sl_chunks chunks;
static struct sl_pull_options options;
static struct sl_pull *p;
static uint64_t now_ns;
static uint8_t none[COUNT], *list;

/* Digests stand for bytes here: the core never sees any. */
static void
setup(void)
{
    chunks = (struct sl_chunks){.size_bytes = COUNT * SL_CHUNK_BYTES - 5, .count = COUNT};
    chunks.digests = sl_zalloc(COUNT * SL_SHA256_SIZE);
    for (uint32_t i = 0; i < COUNT; i++)
        chunks.digests[i][0] = (uint8_t)i;
    list = (uint8_t *)chunks.digests;
    options = (struct sl_pull_options){0};
    sl_chunks_digest(&chunks, options.name.digest);
    now_ns = SL_SECOND_NS;
}

static void
finish(void)
{
    sl_pull_destroy(&p);
    sl_chunks_deinit(&chunks);
}

TestSuite(pull, .init = setup, .fini = finish);

static void
begin(uint32_t holders)
{
    p = sl_pull_create(&options, now_ns);
    for (uint32_t i = 1; i <= holders; i++)
        cr_assert_eq(sl_pull_add(p, i), SL_OK);
}

static void
begin_pulling(uint32_t holders)
{
    begin(holders);
    sl_pull_stocked(p, now_ns, &chunks, none);
}

static struct sl_pull_answer
answer_to(struct sl_pull_ask ask)
{
    return (struct sl_pull_answer){.node = ask.node, .index = ask.index};
}

static bool
come(struct sl_pull_ask ask)
{
    struct sl_pull_answer answer = answer_to(ask);
    return sl_pull_take_chunk(p, now_ns, &answer);
}

static void
come_and_written(struct sl_pull_ask ask)
{
    cr_assert(come(ask));
    sl_pull_wrote(p, now_ns, &ask, SL_OK);
}

static struct sl_pull_ask
next(void)
{
    struct sl_pull_ask ask = {0};
    cr_assert(sl_pull_next(p, now_ns, &ask));
    return ask;
}

Test(pull, takes_the_list_that_the_digest_proves_and_no_other)
{
    begin(2);
    struct sl_pull_ask ask = next(), other;
    cr_assert_eq(ask.index, SL_PULL_LIST);
    cr_assert_not(sl_pull_next(p, now_ns, &other), "one list at a time");
    struct sl_pull_answer answer = answer_to(ask);
    answer.size_bytes = chunks.size_bytes;
    answer.bytes = sl_slice(list, (COUNT - 1) * SL_SHA256_SIZE);
    sl_pull_take_list(p, now_ns, &answer);
    cr_assert_eq(sl_pull_state(p), SL_PULL_LISTING);
    cr_assert_eq(sl_pull_add(p, ask.node), SL_EDENIED, "it lied");
    cr_assert_eq(sl_pull_holders(p), 1);

    uint32_t liar = ask.node;
    ask = next();
    cr_assert_neq(ask.node, liar);
    answer = answer_to(ask);
    answer.size_bytes = chunks.size_bytes;
    answer.bytes = sl_slice(list, COUNT * SL_SHA256_SIZE);
    sl_pull_take_list(p, now_ns, &answer);
    cr_assert_eq(sl_pull_state(p), SL_PULL_STOCKING);
    cr_assert_not(sl_pull_next(p, now_ns, &other), "what is here is not known yet");
    none[3] = 1;
    sl_pull_stocked(p, now_ns, &chunks, none);
    none[3] = 0;
    cr_assert_eq(sl_pull_left(p), COUNT - 1);
    cr_assert(sl_pull_has(p, 3));
}

Test(pull, asks_several_holders_at_once_within_bounds)
{
    options.holder_max = 3;
    options.overall_max = 8;
    begin_pulling(4);
    uint32_t asked[5] = {0}, total = 0;
    bool seen[COUNT] = {false};
    for (struct sl_pull_ask ask; sl_pull_next(p, now_ns, &ask); total++) {
        asked[ask.node]++;
        cr_assert_not(seen[ask.index], "asked twice");
        seen[ask.index] = true;
    }
    cr_assert_eq(total, 8);
    for (uint32_t i = 1; i <= 4; i++)
        cr_assert_eq(asked[i], 2);
    sl_pull_destroy(&p);
    begin_pulling(2);
    for (total = 0; sl_pull_next(p, now_ns, &(struct sl_pull_ask){0}); total++)
        ;
    cr_assert_eq(total, 6);
}

Test(pull, ends_when_all_is_written_and_ignores_doubles)
{
    begin_pulling(3);
    while (sl_pull_state(p) == SL_PULL_PULLING) {
        struct sl_pull_ask ask = next();
        cr_assert(come(ask));
        cr_assert_not(come(ask), "a double");
        sl_pull_wrote(p, now_ns, &ask, SL_OK);
        cr_assert_not(come(ask), "a late double");
    }
    struct sl_pull_counts counts;
    sl_pull_counts(p, &counts);
    cr_assert_eq(sl_pull_state(p), SL_PULL_DONE);
    cr_assert_eq(counts.taken_bytes, chunks.size_bytes);
    cr_assert_eq(counts.ignored, 2 * COUNT);
}

Test(pull, silent_holder_loses_its_chunks_to_others)
{
    begin_pulling(1);
    struct sl_pull_ask silent[8], helped[8], ask;
    for (uint32_t i = 0; i < 8; i++)
        silent[i] = next();
    cr_assert_eq(sl_pull_add(p, 2), SL_OK);
    now_ns += 10 * SL_SECOND_NS - 1;
    sl_pull_tick(p, now_ns);
    for (uint32_t i = 0; i < 8; i++) {
        helped[i] = next();
        cr_assert_eq(helped[i].node, 2);
        for (uint32_t k = 0; k < 8; k++)
            cr_assert_neq(helped[i].index, silent[k].index, "too early");
    }
    now_ns++;
    sl_pull_tick(p, now_ns);
    for (uint32_t i = 0; i < 8; i++)
        come_and_written(helped[i]);
    while (!sl_pull_has(p, silent[0].index)) {
        ask = next();
        cr_assert_eq(ask.node, 2);
        come_and_written(ask);
    }
    /* It wakes up: what others brought is ignored, what nobody has brought is as good as any. */
    cr_assert_not(come(silent[0]));
    cr_assert_not(sl_pull_has(p, silent[7].index));
    come_and_written(silent[7]);
    cr_assert_eq(next().node, 1);
}

Test(pull, bad_chunk_blames_its_holder_alone)
{
    begin_pulling(2);
    struct sl_pull_ask ask = next();
    cr_assert(come(ask));
    sl_pull_wrote(p, now_ns, &ask, SL_ECORRUPT);
    cr_assert_eq(sl_pull_state(p), SL_PULL_PULLING);
    cr_assert_eq(sl_pull_add(p, ask.node), SL_EDENIED);
    uint32_t bad = ask.node;
    while (sl_pull_state(p) == SL_PULL_PULLING) {
        ask = next();
        cr_assert_neq(ask.node, bad);
        come_and_written(ask);
    }
    cr_assert_eq(sl_pull_state(p), SL_PULL_DONE);
}

Test(pull, lost_holder_s_chunks_are_taken_again_and_new_ones_help)
{
    begin_pulling(1);
    struct sl_pull_ask ask, first = next();
    while (sl_pull_next(p, now_ns, &ask))
        ;
    cr_assert_not(sl_pull_needs_holders(p, now_ns));
    sl_pull_lose(p, 1);
    cr_assert(sl_pull_needs_holders(p, now_ns));
    cr_assert_not(come(first), "of a stranger");
    cr_assert_not(sl_pull_next(p, now_ns, &ask));
    cr_assert_eq(sl_pull_add(p, 9), SL_OK);
    cr_assert_not(sl_pull_needs_holders(p, now_ns));
    while (sl_pull_state(p) == SL_PULL_PULLING)
        come_and_written(next());
    cr_assert_eq(sl_pull_state(p), SL_PULL_DONE);
}

Test(pull, asks_one_that_has_a_part_for_that_part)
{
    uint8_t have[COUNT / 8] = {0};
    begin_pulling(1);
    struct sl_pull_ask ask = next();
    struct sl_pull_answer answer = answer_to(ask);
    have[1] = 0x81; /* Chunks 8 and 15. */
    answer.err = SL_ENOTFOUND;
    answer.have = sl_slice(have, sizeof(have));
    cr_assert_not(sl_pull_take_chunk(p, now_ns, &answer));
    ask = next();
    cr_assert_eq(ask.index, 8);
    struct sl_pull_ask second = next();
    cr_assert_eq(second.index, 15);
    cr_assert_not(sl_pull_next(p, now_ns, &(struct sl_pull_ask){0}));
    cr_assert_eq(sl_pull_holders(p), 1);
    have[0] = 0x01;
    answer = answer_to(ask);
    answer.have = sl_slice(have, sizeof(have));
    cr_assert(sl_pull_take_chunk(p, now_ns, &answer));
    sl_pull_wrote(p, now_ns, &ask, SL_OK);
    cr_assert_eq(next().index, 0, "it told that it has more");
    answer = answer_to(second);
    answer.have = sl_slice(have, 1); /* Nonsense: nothing. */
    cr_assert(sl_pull_take_chunk(p, now_ns, &answer));
    cr_assert_not(sl_pull_next(p, now_ns, &(struct sl_pull_ask){0}));
}

Test(pull, one_that_evicted_it_is_dropped_and_a_disk_that_fails_ends_it)
{
    const char *why;
    begin_pulling(2);
    struct sl_pull_ask ask = next();
    struct sl_pull_answer answer = answer_to(ask);
    answer.err = SL_ENOTFOUND;
    cr_assert_not(sl_pull_take_chunk(p, now_ns, &answer));
    cr_assert_eq(sl_pull_holders(p), 1);
    ask = next();
    cr_assert(come(ask));
    sl_pull_wrote(p, now_ns, &ask, SL_ENOSPC);
    cr_assert_eq(sl_pull_state(p), SL_PULL_FAILED);
    cr_assert_eq(sl_pull_error(p, &why), SL_ENOSPC);
    cr_assert_not(sl_pull_next(p, now_ns, &ask));
}

Test(pull, ends_for_want_of_holders)
{
    const char *why;
    begin(0);
    cr_assert(sl_pull_needs_holders(p, now_ns));
    for (uint32_t i = 0; i < 119; i++) {
        sl_pull_tick(p, now_ns += SL_SECOND_NS);
        cr_assert_eq(sl_pull_state(p), SL_PULL_LISTING);
    }
    sl_pull_tick(p, now_ns += SL_SECOND_NS);
    cr_assert_eq(sl_pull_state(p), SL_PULL_FAILED);
    cr_assert_eq(sl_pull_error(p, &why), SL_EUNAVAIL);
}

/* Anything in any order: it ends, counts hold, and only what was asked or is wanted is taken. */
Test(pull, ends_whatever_comes)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct sl_random random;
        struct sl_pull_ask coming[256];
        uint32_t count = 0;
        sl_random_seed(&random, seed);
        options.first = (uint32_t)sl_random_u64(&random);
        begin_pulling((uint32_t)sl_random_below(&random, 5));
        for (uint32_t step = 0; sl_pull_state(p) == SL_PULL_PULLING; step++) {
            cr_assert_lt(step, 200000, "seed %lu does not end", (unsigned long)seed);
            now_ns += sl_random_below(&random, 2 * SL_SECOND_NS);
            sl_pull_tick(p, now_ns);
            struct sl_pull_ask ask = {.node = (uint32_t)sl_random_below(&random, 8),
                                      .index = (uint32_t)sl_random_below(&random, COUNT + 2)};
            if (sl_random_below(&random, 4) == 0)
                (void)sl_pull_add(p, ask.node);
            if (sl_random_below(&random, 8) == 0)
                sl_pull_lose(p, ask.node);
            if (sl_pull_next(p, now_ns, &ask) && sl_random_below(&random, 4) == 0)
                continue; /* Lost. */
            struct sl_pull_answer answer = answer_to(ask);
            answer.err = sl_random_below(&random, 6) == 0 ? SL_EIO : SL_OK;
            if (sl_pull_take_chunk(p, now_ns, &answer) && count < SL_COUNT_OF(coming))
                coming[count++] = ask;
            while (count > 0 && sl_random_below(&random, 2) == 0 &&
                   sl_pull_state(p) == SL_PULL_PULLING) {
                ask = coming[--count];
                sl_pull_wrote(p, now_ns, &ask,
                              sl_random_below(&random, 20) == 0 ? SL_ECORRUPT : SL_OK);
            }
        }
        cr_assert(sl_pull_state(p) == SL_PULL_FAILED || sl_pull_left(p) == 0);
        sl_pull_destroy(&p);
    }
}

Test(pull, one_that_says_that_its_file_is_damaged_is_not_asked_any_more)
{
    struct sl_pull_ask ask;
    begin(2);
    cr_assert(sl_pull_next(p, now_ns, &ask));
    struct sl_pull_answer answer = answer_to(ask);
    answer.err = SL_ECORRUPT;
    sl_pull_take_list(p, now_ns, &answer);
    cr_assert_eq(sl_pull_holders(p), 1);
    cr_assert_eq(sl_pull_add(p, ask.node), SL_EDENIED);
    uint32_t bad = ask.node;
    cr_assert(sl_pull_next(p, now_ns, &ask));
    cr_assert_neq(ask.node, bad);
}
