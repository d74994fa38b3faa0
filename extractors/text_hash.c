/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed feature hashing. The features of a text are its words, cut to their stems, what two
 * neighbours make together, and the letters a word is made of, four in a row. Each adds its weight
 * to two places of the vector, with a sign, all three drawn from its hash: two features that meet
 * in one place seldom meet in the other. How often a feature occurs counts by its square root.
 */
#include "extractors/text_hash.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "extractors/unicode.h"
#include "runtime/alloc.h"

#define WORD_CHARACTERS_MAX 40 /* Of a longer word, the first. */
#define FEATURES_MAX        (1u << 20)

/* Weights, in 1/256 of a long word's. Found by trying 142 questions on the names and
 * one-line descriptions of 1633 reference pages: the right one was among the first three for 85 %.
 */
enum {
    WEIGHT_COMMON = 20,    /* A word of the first list below. */
    WEIGHT_FREQUENT = 170, /* A stem of the second, at most. */
    WEIGHT_PAIR = 80,      /* Two neighbours. */
    WEIGHT_GRAMS = 200,    /* All letter runs of one word together, before the square root. */
    GRAM_SIZE = 4,
    PLACES_BITS = 10
};

static_assert(SL_TEXT_HASH_DIMENSIONS == 1 << PLACES_BITS, "a place is that many bits of a hash");

struct feature {
    uint64_t hash;
    uint32_t weight;
};

struct features {
    struct feature *items;
    uint32_t count, capacity;
};

struct word {
    uint32_t letters[WORD_CHARACTERS_MAX + SL_UNICODE_FOLD_MAX];
    uint32_t count;
};

/* What the words of a text leave behind for the next one. */
struct state {
    struct features features;
    uint64_t last_hash; /* Of the last word that is not common; 0: none. */
};

/* Words that say little of what a text is about; sorted, for a binary search. */
static const char *const common_words[] = {
    "a",     "about", "after",  "all",   "also",    "am",    "an",    "and",     "any",
    "are",   "as",    "at",     "be",    "because", "been",  "being", "between", "both",
    "but",   "by",    "can",    "could", "did",     "do",    "does",  "each",    "for",
    "from",  "get",   "given",  "had",   "has",     "have",  "he",    "her",     "here",
    "him",   "his",   "how",    "i",     "if",      "in",    "into",  "is",      "it",
    "its",   "just",  "let",    "like",  "made",    "make",  "many",  "may",     "me",
    "more",  "most",  "much",   "must",  "my",      "need",  "no",    "not",     "of",
    "off",   "on",    "one",    "only",  "or",      "other", "our",   "out",     "over",
    "shall", "she",   "should", "so",    "some",    "such",  "than",  "that",    "the",
    "their", "them",  "then",   "there", "these",   "they",  "this",  "those",   "through",
    "to",    "too",   "up",     "us",    "use",     "used",  "uses",  "using",   "very",
    "via",   "want",  "was",    "way",   "we",      "were",  "what",  "when",    "where",
    "which", "while", "who",    "whose", "why",     "will",  "with",  "without", "would",
    "you",   "your",
};

/* Stems that every other technical text has, sorted: each says a little of what it is about. */
static const char *const frequent_stems[] = {
    "argu",    "avail",   "bas",      "cal",      "command", "creat",  "current", "data",
    "default", "describ", "descript", "displa",   "exampl",  "exit",   "fil",     "first",
    "follow",  "form",    "format",   "help",     "inform",  "input",  "lin",     "list",
    "long",    "nam",     "new",      "number",   "option",  "output", "print",   "process",
    "program", "provid",  "read",     "run",      "same",    "see",    "set",     "short",
    "show",    "specif",  "specifi",  "standard", "support", "system", "tool",    "typ",
    "user",    "util",    "valu",     "vers",     "work",    "writ",
};

static uint64_t
mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static void
add(struct features *f, uint64_t hash, uint32_t weight)
{
    if (f->count == FEATURES_MAX)
        return;
    if (f->count == f->capacity) {
        f->capacity = SL_MAX(256, f->capacity * 2);
        f->items = sl_realloc(f->items, f->capacity * sizeof(*f->items));
    }
    f->items[f->count++] = (struct feature){.hash = hash, .weight = weight};
}

/* ---- words ------------------------------------------------------------------------------------
 */

static bool
is_ascii(const struct word *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->letters[i] >= 0x80)
            return false;
    }
    return true;
}

static int
compare_letters(const void *word, const void *entry)
{
    const struct word *w = word;
    const char *text = *(const char *const *)entry;
    for (uint32_t i = 0; i < w->count; i++) {
        int other = (unsigned char)text[i];
        if ((int)w->letters[i] != other)
            return (int)w->letters[i] - other;
    }
    return text[w->count] == '\0' ? 0 : -1;
}

static bool
is_common(const struct word *w)
{
    return bsearch(w, common_words, SL_COUNT_OF(common_words), sizeof(common_words[0]),
                   compare_letters) != NULL;
}

static bool
is_frequent(const struct word *stem)
{
    return bsearch(stem, frequent_stems, SL_COUNT_OF(frequent_stems), sizeof(frequent_stems[0]),
                   compare_letters) != NULL;
}

static bool
ends_in(const struct word *w, const char *suffix)
{
    uint32_t size = (uint32_t)strlen(suffix);
    if (w->count < size)
        return false;
    for (uint32_t i = 0; i < size; i++) {
        if (w->letters[w->count - size + i] != (unsigned char)suffix[i])
            return false;
    }
    return true;
}

static bool
is_vowel(uint32_t c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y';
}

/* Cut the suffix if at least `rest_min` letters with a vowel among them stay. */
static bool
cut(struct word *w, const char *suffix, uint32_t rest_min)
{
    uint32_t size = (uint32_t)strlen(suffix);
    bool has_vowel = false;
    if (!ends_in(w, suffix) || w->count - size < rest_min)
        return false;
    for (uint32_t i = 0; i < w->count - size; i++)
        has_vowel = has_vowel || is_vowel(w->letters[i]);
    if (has_vowel)
        w->count -= size;
    return has_vowel;
}

/*
 * Cut an English word to what its forms share: compress for compresses, compressed, compressing,
 * compressor. It is enough that forms of one word meet; the stem need not be a word.
 */
static void
stem(struct word *w)
{
    if (w->count < 4 || !is_ascii(w))
        return;
    if (ends_in(w, "ies") && w->count > 4)
        w->count -= 2;
    else if (ends_in(w, "s") && !ends_in(w, "ss") && !ends_in(w, "us") && !ends_in(w, "is"))
        w->count--;
    bool was_cut = cut(w, "ing", 3) || cut(w, "edly", 3) || cut(w, "ed", 3) || cut(w, "ers", 4) ||
                   cut(w, "er", 4) || cut(w, "or", 4) || cut(w, "ation", 4) || cut(w, "ion", 4) ||
                   cut(w, "ment", 4) || cut(w, "able", 4) || cut(w, "ly", 4);
    uint32_t n = w->count;
    if (was_cut && n > 3 && w->letters[n - 1] == w->letters[n - 2] &&
        !is_vowel(w->letters[n - 1]) && w->letters[n - 1] != 's' && w->letters[n - 1] != 'l')
        w->count--; /* stopp(ing) */
    if (w->count > 3 && (ends_in(w, "e") || ends_in(w, "i")))
        w->count--; /* mov(e), copi(es) */
    else if (w->count > 3 && ends_in(w, "y"))
        w->count--; /* cop(y) */
}

static uint64_t
hash_letters(const uint32_t *letters, uint32_t count, uint64_t seed)
{
    uint64_t h = seed;
    for (uint32_t i = 0; i < count; i++)
        h = mix(h, letters[i]);
    return mix(h, count);
}

/* Short words are frequent ones, more often than not. */
static uint32_t
weight_of(const struct word *w)
{
    static const uint32_t by_length[] = {0, 60, 130, 190, 220, 240};
    return w->count < SL_COUNT_OF(by_length) ? by_length[w->count] : 256;
}

/* The runs of letters in a word, its start and end marked. */
static void
add_grams(struct features *f, const struct word *w, uint32_t weight)
{
    uint32_t letters[WORD_CHARACTERS_MAX + SL_UNICODE_FOLD_MAX + 2];
    uint32_t count = w->count + 2;
    if (count < GRAM_SIZE + 1)
        return;
    letters[0] = '^';
    memcpy(letters + 1, w->letters, w->count * sizeof(letters[0]));
    letters[count - 1] = '$';
    uint32_t grams_count = count - GRAM_SIZE + 1;
    uint32_t each = weight * WEIGHT_GRAMS / 256 * 16 / (uint32_t)sqrt(256.0 * grams_count);
    for (uint32_t i = 0; i < grams_count; i++)
        add(f, hash_letters(letters + i, GRAM_SIZE, 2), each);
}

static void
end_word(struct state *s, struct word *w)
{
    if (w->count == 0)
        return;
    if (is_common(w)) {
        add(&s->features, hash_letters(w->letters, w->count, 1), WEIGHT_COMMON);
        w->count = 0;
        return;
    }
    uint32_t weight = weight_of(w);
    struct word whole = *w;
    stem(w);
    if (is_frequent(w))
        weight = SL_MIN(weight, (uint32_t)WEIGHT_FREQUENT);
    add_grams(&s->features, &whole, weight);
    uint64_t hash = hash_letters(w->letters, w->count, 1);
    add(&s->features, hash, weight);
    if (s->last_hash != 0)
        add(&s->features, mix(s->last_hash, hash), WEIGHT_PAIR);
    s->last_hash = hash;
    w->count = 0;
}

static void
take(struct state *s, struct word *w, uint32_t c)
{
    uint32_t folded[SL_UNICODE_FOLD_MAX];
    enum sl_unicode_class kind = sl_unicode_class(c);
    if (kind == SL_UNICODE_MARK || kind == SL_UNICODE_DROP)
        return;
    if (kind != SL_UNICODE_WORD || sl_unicode_is_cjk(c))
        end_word(s, w);
    if (kind == SL_UNICODE_SPACE || kind == SL_UNICODE_PUNCT)
        return;
    size_t count = sl_unicode_fold(c, folded);
    for (size_t i = 0; i < count && w->count < WORD_CHARACTERS_MAX; i++)
        w->letters[w->count++] = folded[i];
    if (kind != SL_UNICODE_WORD || sl_unicode_is_cjk(c))
        end_word(s, w);
}

/* ---- the vector -------------------------------------------------------------------------------
 */

static int
compare_features(const void *a, const void *b)
{
    const struct feature *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->weight > y->weight) - (x->weight < y->weight);
}

/* The weight of what was seen `count` times: by the square root, in 1/16. */
static int64_t
damped(uint32_t weight, uint32_t count)
{
    return (int64_t)weight * (int64_t)(16.0 * sqrt((double)count));
}

static void
accumulate(struct features *f, int64_t *sums)
{
    if (f->count > 0) /* qsort takes no NULL, even of nothing. */
        qsort(f->items, f->count, sizeof(*f->items), compare_features);
    for (uint32_t i = 0, next; i < f->count; i = next) {
        for (next = i + 1; next < f->count && f->items[next].hash == f->items[i].hash;)
            next++;
        uint64_t h = mix(f->items[i].hash, 0x53454544);
        int64_t weight = damped(f->items[i].weight, next - i);
        const uint32_t mask = SL_TEXT_HASH_DIMENSIONS - 1;
        sums[h & mask] += h >> 62 & 1 ? weight : -weight;
        sums[h >> PLACES_BITS & mask] += h >> 63 ? weight : -weight;
    }
}

void
sl_text_hash(struct sl_slice text, float ret_vector[static SL_TEXT_HASH_DIMENSIONS])
{
    struct state s = {0};
    struct word w = {.count = 0};
    int64_t sums[SL_TEXT_HASH_DIMENSIONS] = {0};
    double squares = 0;
    const uint8_t *at = text.data, *end = at + text.size;
    while (at < end)
        take(&s, &w, sl_unicode_next(&at, end));
    end_word(&s, &w);
    accumulate(&s.features, sums);
    sl_free(s.features.items);
    /* Sums stay below 2^26 or so and squares are summed exactly up to 2^53: for a text of common
     * size the result cannot depend on how the machine rounds. */
    for (uint32_t i = 0; i < SL_TEXT_HASH_DIMENSIONS; i++)
        squares += (double)(sums[i] * sums[i]);
    if (squares == 0) {
        sums[0] = 1; /* No words at all. */
        squares = 1;
    }
    double length = sqrt(squares);
    for (uint32_t i = 0; i < SL_TEXT_HASH_DIMENSIONS; i++)
        ret_vector[i] = (float)((double)sums[i] / length);
}
