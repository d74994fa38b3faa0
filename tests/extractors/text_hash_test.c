/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/text_hash.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/random.h"

struct vector {
    float values[SL_TEXT_HASH_DIMENSIONS];
};

static struct vector
embed(const char *text)
{
    struct vector v;
    sl_text_hash(sl_slice_str(text), v.values);
    return v;
}

static double
dot(const struct vector *a, const struct vector *b)
{
    double sum = 0;
    for (int i = 0; i < SL_TEXT_HASH_DIMENSIONS; i++)
        sum += (double)a->values[i] * (double)b->values[i];
    return sum;
}

static double
likeness(const char *a, const char *b)
{
    struct vector x = embed(a), y = embed(b);
    return dot(&x, &y);
}

Test(text_hash, every_text_has_a_vector_of_length_one)
{
    static const char *const texts[] = {
        "", "...", "a", "the", "one two three", "\xE4\xB8\xAD\xE6\x96\x87", "\xFF\xFE", "x y z"};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++)
        cr_expect_float_eq(likeness(texts[i], texts[i]), 1.0, 1e-6);
}

Test(text_hash, gives_the_same_bits_on_every_machine)
{
    struct vector v =
        embed("Na\xC3\xAFve compressing of Files, 20 files & \xE4\xB8\xAD\xE6\x96\x87.");
    uint32_t crc = 0;
    for (int i = 0; i < SL_TEXT_HASH_DIMENSIONS; i++) {
        uint32_t bits;
        memcpy(&bits, &v.values[i], sizeof(bits));
        uint8_t bytes[4] = {(uint8_t)bits, (uint8_t)(bits >> 8), (uint8_t)(bits >> 16),
                            (uint8_t)(bits >> 24)};
        crc = sl_crc32c(crc, bytes, sizeof(bytes));
    }
    /* When this changes, stored vectors no longer match: the index needs another name. */
    cr_expect_eq(crc, 0x91195196u, "0x%08X", crc);
}

Test(text_hash, case_accents_and_punctuation_do_not_count)
{
    cr_expect_float_eq(likeness("Caf\xC3\xA9 - Society!", "cafe society"), 1.0, 1e-6);
}

Test(text_hash, forms_of_a_word_are_alike)
{
    static const char *const pairs[][2] = {
        {"compress", "compressing"}, {"compress", "compressed"},   {"compression", "compresses"},
        {"copy", "copies"},          {"list", "listing"},          {"stop", "stopping"},
        {"remove", "removing"},      {"directory", "directories"}, {"view", "viewer"}};
    for (size_t i = 0; i < SL_COUNT_OF(pairs); i++)
        cr_expect_gt(likeness(pairs[i][0], pairs[i][1]), 0.5, "%s %s: %g", pairs[i][0], pairs[i][1],
                     likeness(pairs[i][0], pairs[i][1]));
}

Test(text_hash, words_for_one_thing_are_alike)
{
    static const char *const pairs[][2] = {
        {"folder", "directory"},          {"deleting it", "to remove"},
        {"a whole number", "an integer"}, {"turn off", "disable"},
        {"it was written", "it writes"},  {"file systems", "a filesystem"},
        {"time stamp", "timestamps"}};
    for (size_t i = 0; i < SL_COUNT_OF(pairs); i++)
        cr_expect_gt(likeness(pairs[i][0], pairs[i][1]), 0.2, "%s, %s: %g", pairs[i][0],
                     pairs[i][1], likeness(pairs[i][0], pairs[i][1]));
    cr_expect_gt(likeness("make a new folder", "create a directory"),
                 2 * fabs(likeness("make a new folder", "print the date")));
}

Test(text_hash, what_comes_first_counts_most)
{
    char early[2048] = "penguin", late[2048] = "";
    for (int i = 0; i < 100; i++) {
        char word[16];
        snprintf(word, sizeof(word), " w%dq", i * 7919);
        strcat(early, word);
        strcat(late, word);
    }
    strcat(late, " penguin");
    cr_expect_gt(likeness(early, "penguin"), 1.5 * likeness(late, "penguin"));
}

Test(text_hash, the_first_sentence_counts_most)
{
    double in = likeness("It prints a penguin. That is on paper.", "penguin");
    double after = likeness("It prints on paper. That is a penguin.", "penguin");
    cr_expect_gt(in, 1.1 * after, "%g %g", in, after);
    /* The dot of a name ends no sentence. */
    cr_expect_float_eq(likeness("print.paper penguin", "penguin"),
                       likeness("print paper penguin", "penguin"), 1e-6);
}

Test(text_hash, strangers_are_not_alike)
{
    cr_expect_lt(fabs(likeness("archive of a directory", "the quick brown fox")), 0.2);
    cr_expect_lt(fabs(likeness("what is the use of this", "how does that get to be")), 0.5);
}

Test(text_hash, finds_the_page_a_question_is_about)
{
    static const char *const pages[] = {
        "archiver - put many files into one archive, or take them out again",
        "renamer - move or rename files and directories",
        "clock - print or set the date and time of the system",
        "searcher - print lines that match a pattern",
        "sorter - sort lines of text files",
        "counter - print newline, word and byte counts for each file",
    };
    static const struct {
        const char *question;
        size_t page;
    } cases[] = {
        {"How do I extract an archive?", 0},
        {"How can I rename a directory?", 1},
        {"What is the current date and time?", 2},
        {"find lines matching a pattern", 3},
        {"sorting the lines of a file", 4},
        {"How many words are in this file? Count them.", 5},
    };
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        size_t best = 0;
        for (size_t p = 1; p < SL_COUNT_OF(pages); p++) {
            if (likeness(cases[i].question, pages[p]) > likeness(cases[i].question, pages[best]))
                best = p;
        }
        cr_expect_eq(best, cases[i].page, "%s: %s", cases[i].question, pages[best]);
    }
}

Test(text_hash, takes_any_bytes_and_long_texts)
{
    struct sl_random random;
    struct vector v;
    size_t size = 1 << 20;
    uint8_t *text = sl_alloc(size);
    sl_random_seed(&random, 9);
    for (size_t i = 0; i < size; i++)
        text[i] = (uint8_t)sl_random_u64(&random);
    sl_text_hash(sl_slice(text, size), v.values);
    cr_expect_float_eq(dot(&v, &v), 1.0, 1e-5);
    memset(text, 'x', size);
    sl_text_hash(sl_slice(text, size), v.values);
    cr_expect_float_eq(dot(&v, &v), 1.0, 1e-5);
    sl_free(text);
}
