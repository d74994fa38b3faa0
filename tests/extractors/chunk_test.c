/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/chunk.h"

#include <criterion/criterion.h>

#include "extractors/unicode.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/limits.h"
#include "runtime/random.h"

/* The chunks with '|' between them, owned. */
static char *
joined(const char *text, enum sl_chunk_unit unit, uint32_t size, uint32_t overlap)
{
    struct sl_chunk_options options = {.unit = unit, .size = size, .overlap = overlap};
    struct sl_slice *chunks = NULL;
    uint32_t count = 0;
    struct sl_buf out = {0};
    cr_assert_eq(sl_chunk_split(sl_slice_str(text), &options, &chunks, &count), SL_OK);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            sl_buf_append_u8(&out, '|');
        sl_buf_append_slice(&out, chunks[i]);
    }
    sl_free(chunks);
    char *text_out = sl_strdup(sl_buf_text(&out));
    sl_buf_deinit(&out);
    return text_out;
}

static void
expect(const char *text, enum sl_chunk_unit unit, uint32_t size, const char *want)
{
    char *got = joined(text, unit, size, 0);
    cr_expect_str_eq(got, want);
    sl_free(got);
}

Test(chunk, none_gives_the_whole_text_once)
{
    expect("one two. three", SL_CHUNK_NONE, 0, "one two. three");
}

Test(chunk, an_empty_or_blank_text_has_no_chunks)
{
    for (int unit = SL_CHUNK_NONE; unit <= SL_CHUNK_PAGES; unit++) {
        expect("", unit, 3, "");
        expect(" \n\t\f \xE3\x80\x80", unit, 3, "");
    }
}

Test(chunk, characters_are_code_points)
{
    expect("h\xC3\xA9llo\xF0\x9F\x98\x80!", SL_CHUNK_CHARACTERS, 2,
           "h\xC3\xA9|ll|o\xF0\x9F\x98\x80|!");
}

Test(chunk, words_stand_between_white_space)
{
    expect("  one,  two\nthree\tfour five ", SL_CHUNK_WORDS, 2, "one,  two|three\tfour|five");
}

Test(chunk, overlap_repeats_the_last_units)
{
    char *got = joined("a b c d e f", SL_CHUNK_WORDS, 3, 1);
    cr_expect_str_eq(got, "a b c|c d e|e f");
    sl_free(got);
    got = joined("a b c d e", SL_CHUNK_WORDS, 3, 1);
    cr_expect_str_eq(got, "a b c|c d e", "no chunk that only repeats a tail");
    sl_free(got);
    got = joined("a b c d", SL_CHUNK_WORDS, 3, 2);
    cr_expect_str_eq(got, "a b c|b c d");
    sl_free(got);
}

Test(chunk, sentences_end_at_a_stop_before_space)
{
    expect("One is here. Two? Yes! \xE2\x80\x9CThree.\xE2\x80\x9D Four", SL_CHUNK_SENTENCES, 1,
           "One is here.|Two?|Yes!|\xE2\x80\x9CThree.\xE2\x80\x9D|Four");
}

Test(chunk, sentences_do_not_end_in_numbers_names_or_abbreviations)
{
    expect("Pi is 3.14 and example.com is up. Next.", SL_CHUNK_SENTENCES, 1,
           "Pi is 3.14 and example.com is up.|Next.");
    expect("Dr. Smith met J. Doe, e.g. Tuesday. It rained.", SL_CHUNK_SENTENCES, 1,
           "Dr. Smith met J. Doe, e.g. Tuesday.|It rained.");
    expect("It costs approx. five. Wait... what? So be it.", SL_CHUNK_SENTENCES, 1,
           "It costs approx. five.|Wait... what?|So be it.");
}

Test(chunk, sentences_end_at_wide_stops_without_space)
{
    expect("\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81ok",
           SL_CHUNK_SENTENCES, 1,
           "\xE4\xBD\xA0\xE5\xA5\xBD\xE3\x80\x82|\xE5\x86\x8D\xE8\xA7\x81\xEF\xBC\x81|ok");
}

Test(chunk, a_heading_is_a_sentence)
{
    expect("A heading\n\nIts text. More.", SL_CHUNK_SENTENCES, 1, "A heading|Its text.|More.");
}

Test(chunk, paragraphs_stand_between_blank_lines)
{
    expect("\n\none\ntwo\n\n \t\nthree\r\n\r\nfour\n", SL_CHUNK_PARAGRAPHS, 1,
           "one\ntwo|three|four");
}

Test(chunk, pages_stand_between_form_feeds)
{
    expect("one\ftwo\nlines\f\fthree", SL_CHUNK_PAGES, 1, "one|two\nlines|three");
}

Test(chunk, refuses_sizes_out_of_range)
{
    struct sl_slice *chunks = NULL;
    uint32_t count = 0;
    struct sl_chunk_options bad[] = {
        {.unit = SL_CHUNK_WORDS, .size = 0},
        {.unit = SL_CHUNK_WORDS, .size = SL_CHUNK_SIZE_MAX + 1},
        {.unit = SL_CHUNK_WORDS, .size = 5, .overlap = 5},
        {.unit = SL_CHUNK_WORDS, .size = 9000, .overlap = SL_CHUNK_OVERLAP_MAX + 1},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++)
        cr_expect_eq(sl_chunk_split(sl_slice_str("a b"), &bad[i], &chunks, &count), SL_EINVAL);
}

Test(chunk, refuses_more_chunks_than_the_limit)
{
    size_t size = SL_LIMIT_RECORDS_PER_TASK + 1;
    char *text = sl_alloc(size);
    struct sl_chunk_options options = {.unit = SL_CHUNK_CHARACTERS, .size = 1};
    struct sl_slice *chunks = NULL;
    uint32_t count = 0;
    memset(text, 'x', size);
    cr_expect_eq(sl_chunk_split(sl_slice(text, size), &options, &chunks, &count), SL_ETOOBIG);
    cr_expect_eq(sl_chunk_split(sl_slice(text, size - 1), &options, &chunks, &count), SL_OK);
    cr_expect_eq(count, SL_LIMIT_RECORDS_PER_TASK);
    sl_free(chunks);
    sl_free(text);
}

Test(chunk, parses_the_names_of_units)
{
    enum sl_chunk_unit unit = SL_CHUNK_NONE;
    cr_expect_eq(sl_chunk_unit_parse(sl_slice_str("sentences"), &unit), SL_OK);
    cr_expect_eq(unit, SL_CHUNK_SENTENCES);
    cr_expect_eq(sl_chunk_unit_parse(sl_slice_str("time_segments"), &unit), SL_EINVAL);
}

/* ---- properties over random texts ---------------------------------------------------------- */

static size_t
random_text(struct sl_random *random, char *text, size_t capacity)
{
    static const char *const parts[] = {"word ",    "a",
                                        " ",        ". ",
                                        "Dr. ",     "\n",
                                        "\n\n",     "3.1 ",
                                        "\f",       "\xE3\x80\x82",
                                        "\xC3\xA9", "!\" ",
                                        "\xFF",     "\xE3",
                                        "\r\n",     "\xF0\x9F\x98\x80",
                                        "Z"};
    size_t size = 0;
    size_t count = sl_random_below(random, 60);
    for (size_t i = 0; i < count; i++) {
        const char *part = parts[sl_random_below(random, SL_COUNT_OF(parts))];
        size_t part_size = strlen(part);
        cr_assert_leq(size + part_size, capacity);
        memcpy(text + size, part, part_size);
        size += part_size;
    }
    return size;
}

static uint64_t
characters_count(struct sl_slice s)
{
    uint64_t count = 0;
    for (const uint8_t *at = s.data; at < s.data + s.size; count++)
        sl_unicode_next(&at, s.data + s.size);
    return count;
}

/* Part by part, whatever the parts' limits, are the chunks of the whole. */
static void
expect_parts(struct sl_slice whole, const struct sl_chunk_options *options, uint32_t count_max,
             uint64_t bytes_max)
{
    struct sl_slice *chunks = NULL;
    uint32_t count = 0, at = 0;
    struct sl_chunk_part part = {.count_max = count_max, .bytes_max = bytes_max};
    cr_assert_eq(sl_chunk_split(whole, options, &chunks, &count), SL_OK);
    cr_assert_eq(sl_chunk_count(whole, options, 0), count);
    do {
        uint64_t before = part.offset;
        cr_assert_eq(sl_chunk_count(whole, options, part.offset), count - at);
        cr_assert_eq(sl_chunk_next(whole, options, &part), SL_OK);
        cr_assert(part.offset > before || part.offset == whole.size);
        cr_assert_leq(part.count, SL_MAX(count_max, 1u));
        for (uint32_t i = 0; i < part.count; i++, at++) {
            cr_assert_lt(at, count);
            cr_assert_eq(part.chunks[i].data, chunks[at].data);
            cr_assert_eq(part.chunks[i].size, chunks[at].size);
        }
        sl_free(part.chunks);
    } while (part.offset < whole.size);
    cr_assert_eq(at, count);
    sl_free(chunks);
}

Test(chunk, parts_put_together_are_the_chunks_of_the_whole)
{
    struct sl_random random;
    sl_random_seed(&random, 21);
    for (int round = 0; round < 6000; round++) {
        char text[1024];
        struct sl_slice whole = sl_slice(text, random_text(&random, text, sizeof(text)));
        struct sl_chunk_options options = {.unit = (enum sl_chunk_unit)sl_random_below(&random, 6),
                                           .size = 1 + (uint32_t)sl_random_below(&random, 5),
                                           .keeps_space = sl_random_below(&random, 2) == 0};
        options.overlap = (uint32_t)sl_random_below(&random, options.size);
        expect_parts(whole, &options, (uint32_t)sl_random_below(&random, 4),
                     sl_random_below(&random, 40));
    }
}

Test(chunk, a_part_from_anywhere_harms_nothing)
{
    struct sl_chunk_options options = {.unit = SL_CHUNK_SENTENCES, .size = 1};
    struct sl_slice text = sl_slice_str("One. Tw\xC3\xA9o. Three.");
    for (uint64_t at = 0; at <= text.size; at++) {
        struct sl_chunk_part part = {.count_max = 2, .bytes_max = 100, .offset = at};
        cr_assert_eq(sl_chunk_next(text, &options, &part), SL_OK);
        sl_free(part.chunks);
    }
    struct sl_chunk_part beyond = {.count_max = 2, .offset = text.size + 1};
    cr_assert_eq(sl_chunk_next(text, &options, &beyond), SL_EINVAL);
    cr_assert_eq(sl_chunk_count(text, &options, text.size + 1), 0);
}

Test(chunk, chunks_without_overlap_cover_the_text_in_order)
{
    struct sl_random random;
    sl_random_seed(&random, 20);
    for (int round = 0; round < 6000; round++) {
        char text[1024];
        struct sl_slice whole = sl_slice(text, random_text(&random, text, sizeof(text)));
        struct sl_chunk_options options = {.unit = (enum sl_chunk_unit)sl_random_below(&random, 6),
                                           .size = 1 + (uint32_t)sl_random_below(&random, 5),
                                           .keeps_space = true};
        struct sl_slice *chunks = NULL;
        uint32_t count = 0;
        const uint8_t *at = whole.data;
        cr_assert_eq(sl_chunk_split(whole, &options, &chunks, &count), SL_OK);
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_eq(chunks[i].data, at, "chunks touch");
            at += chunks[i].size;
            if (options.unit == SL_CHUNK_CHARACTERS)
                cr_assert_leq(characters_count(chunks[i]), options.size);
        }
        cr_assert(count == 0 || at == whole.data + whole.size, "nothing is left over");
        sl_free(chunks);
    }
}

Test(chunk, a_chunk_holds_no_more_units_than_its_size)
{
    struct sl_random random;
    sl_random_seed(&random, 21);
    for (int round = 0; round < 6000; round++) {
        char text[1024];
        struct sl_slice whole = sl_slice(text, random_text(&random, text, sizeof(text)));
        struct sl_chunk_options options = {.unit = SL_CHUNK_WORDS,
                                           .size = 2 + (uint32_t)sl_random_below(&random, 5)};
        struct sl_chunk_options by_one = {.unit = SL_CHUNK_WORDS, .size = 1};
        struct sl_slice *chunks = NULL, *words = NULL;
        uint32_t count = 0, words_count = 0;
        options.overlap = (uint32_t)sl_random_below(&random, options.size);
        cr_assert_eq(sl_chunk_split(whole, &options, &chunks, &count), SL_OK);
        for (uint32_t i = 0; i < count; i++) {
            cr_assert_eq(sl_chunk_split(chunks[i], &by_one, &words, &words_count), SL_OK);
            cr_assert_leq(words_count, options.size);
            cr_assert_gt(words_count, i == 0 ? 0 : options.overlap, "each brings something new");
            sl_free(words);
        }
        sl_free(chunks);
    }
}
