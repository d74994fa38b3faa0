/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed feature hashing. The features of a text are the stems of its words, the classes of words
 * that mean much the same (text_hash_concepts.txt), what two neighbours make when written as one
 * ("file system"), and the letters a word is made of, four in a row. Each adds its weight to two
 * places of the vector, with a sign, all three drawn from its hash: two features that meet in one
 * place seldom meet in the other.
 *
 * A stem weighs the less the more texts have it, by a table made once. The first sentence counts
 * for more than the rest, and what comes early for more than what comes late: most texts begin by
 * saying what they are about, and a question is so short that all of it counts.
 */
#include "extractors/text_hash.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "extractors/text_stem.h"
#include "extractors/unicode.h"
#include "runtime/alloc.h"

#define FEATURES_MAX (1u << 20)

/*
 * Weights, in 1/255 of a rare word's. Found on 327 questions about Debian's manual pages, half of
 * them in other words than the page's, by the mean of four hashes: which features meet by chance
 * moves as much as a weight does. 199 had the page in the first three, 194 in the mean.
 */
enum {
    WEIGHT_COMMON = 25,    /* A word of the list below. */
    WEIGHT_PAIR = 180,     /* Two neighbours. */
    WEIGHT_CONCEPTS = 360, /* All classes of one word together, in 1/256 of the word's. */
    WEIGHT_GRAMS = 25,     /* All its letter runs likewise. */
    WEIGHT_FULL = 255,
    WEIGHT_MIN = 8,
    GRAM_SIZE = 4,
    WORD_SIZE_MAX = 40, /* Of a longer word, its first letters. */
    PLACES_BITS = 10,
    SHARE_TITLE = 400, /* What an occurrence counts in the first sentence, */
    SHARE_TITLE_WORDS = 25,
    SHARE_FULL = 256, /* among the first words after it, */
    SHARE_FULL_WORDS = 20,
    SHARE_MIN = 60,       /* and what it comes down to far behind, */
    SHARE_HALF_WORDS = 30 /* half-way this many words after those. */
};

static_assert(SL_TEXT_HASH_DIMENSIONS == 1 << PLACES_BITS, "a place is that many bits of a hash");
static_assert(2 * WORD_SIZE_MAX + 2 + SL_UNICODE_FOLD_MAX <= SL_TEXT_WORD_MAX, "a pair is a word");

struct entry {
    const char *stem; /* Or two, with a space between them. */
    uint32_t value;
};

/* Both sorted by stem. frequent: its weight. concepts: a class, of several entries a stem. */
#include "extractors/text_hash_tables.inc"

struct feature {
    uint64_t hash;
    uint32_t weight;
    uint32_t share; /* How much this occurrence counts. */
};

struct features {
    struct feature *items;
    uint32_t count, capacity;
};

/* What the words of a text leave behind for the next one. */
struct state {
    struct features features;
    struct sl_text_word last, last_stem; /* The last word; empty: none. */
    bool is_last_common;
    uint32_t words_count;
    uint32_t share;
    bool is_after_dot, is_title_over;
};

/* Words that say little of what a text is about; sorted, for a binary search. */
static const char *const common_words[] = {
    "a",       "about", "after", "all",     "also", "am",     "an",      "and",   "any",   "are",
    "as",      "at",    "be",    "because", "been", "being",  "between", "both",  "but",   "by",
    "can",     "could", "did",   "do",      "does", "each",   "for",     "from",  "get",   "given",
    "had",     "has",   "have",  "he",      "her",  "here",   "him",     "his",   "how",   "i",
    "if",      "in",    "into",  "is",      "it",   "its",    "just",    "let",   "like",  "made",
    "make",    "many",  "may",   "me",      "more", "most",   "much",    "must",  "my",    "need",
    "no",      "not",   "of",    "off",     "on",   "one",    "only",    "or",    "other", "our",
    "out",     "over",  "own",   "shall",   "she",  "should", "so",      "some",  "such",  "than",
    "that",    "the",   "their", "them",    "then", "there",  "these",   "they",  "this",  "those",
    "through", "to",    "too",   "up",      "us",   "use",    "used",    "uses",  "using", "very",
    "via",     "want",  "was",   "way",     "we",   "were",   "what",    "when",  "where", "which",
    "while",   "who",   "whose", "why",     "will", "with",   "without", "would", "you",   "your",
};

static uint64_t
mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static void
add(struct state *s, uint64_t hash, uint32_t weight)
{
    struct features *f = &s->features;
    if (f->count == FEATURES_MAX || weight == 0)
        return;
    if (f->count == f->capacity) {
        f->capacity = SL_MAX(256, f->capacity * 2);
        f->items = sl_realloc(f->items, f->capacity * sizeof(*f->items));
    }
    f->items[f->count++] = (struct feature){.hash = hash, .weight = weight, .share = s->share};
}

/* ---- words --------------------------------------------------------------------------------- */

static int
compare_letters(const void *word, const void *entry)
{
    const struct sl_text_word *w = word;
    const char *text = *(const char *const *)entry;
    for (uint32_t i = 0; i < w->count; i++) {
        int other = (unsigned char)text[i];
        if ((int)w->letters[i] != other)
            return (int)w->letters[i] - other;
    }
    return text[w->count] == '\0' ? 0 : -1;
}

static bool
is_common(const struct sl_text_word *w)
{
    return bsearch(w, common_words, SL_COUNT_OF(common_words), sizeof(common_words[0]),
                   compare_letters) != NULL;
}

static int
compare_entry(const void *word, const void *entry)
{
    return compare_letters(word, &((const struct entry *)entry)->stem);
}

static uint64_t
hash_letters(const uint32_t *letters, uint32_t count, uint64_t seed)
{
    uint64_t h = seed;
    for (uint32_t i = 0; i < count; i++)
        h = mix(h, letters[i]);
    return mix(h, count);
}

static uint32_t
weight_of(const struct sl_text_word *stem)
{
    const struct entry *e =
        bsearch(stem, frequent, SL_COUNT_OF(frequent), sizeof(frequent[0]), compare_entry);
    return e == NULL ? WEIGHT_FULL : SL_MAX(e->value, (uint32_t)WEIGHT_MIN);
}

/* `weight` for each of `count` features, so that together they are as long as one of `weight`. */
static uint32_t
weight_of_each(uint32_t weight, uint32_t count)
{
    return weight * 16 / (uint32_t)sqrt(256.0 * count);
}

/* The runs of letters in a word, its start and end marked. */
static void
add_grams(struct state *s, const struct sl_text_word *w, uint32_t weight)
{
    uint32_t letters[SL_TEXT_WORD_MAX + 2];
    uint32_t count = w->count + 2;
    if (count < GRAM_SIZE + 1)
        return;
    letters[0] = '^';
    memcpy(letters + 1, w->letters, w->count * sizeof(letters[0]));
    letters[count - 1] = '$';
    uint32_t grams_count = count - GRAM_SIZE + 1;
    uint32_t each = weight_of_each(weight * WEIGHT_GRAMS / 256, grams_count);
    for (uint32_t i = 0; i < grams_count; i++)
        add(s, hash_letters(letters + i, GRAM_SIZE, 2), each);
}

static void
add_concepts(struct state *s, const struct sl_text_word *stem, uint32_t weight)
{
    const struct entry *end = concepts + SL_COUNT_OF(concepts);
    const struct entry *first =
        bsearch(stem, concepts, SL_COUNT_OF(concepts), sizeof(concepts[0]), compare_entry);
    if (first == NULL)
        return;
    while (first > concepts && strcmp(first[-1].stem, first->stem) == 0)
        first--;
    const struct entry *next = first + 1;
    while (next < end && strcmp(next->stem, first->stem) == 0)
        next++;
    uint32_t each = weight_of_each(weight * WEIGHT_CONCEPTS / 256, (uint32_t)(next - first));
    for (; first < next; first++)
        add(s, mix(3, first->value), each);
}

/* Put `b` behind `a`, both at most WORD_SIZE_MAX long. */
static void
append(struct sl_text_word *a, const struct sl_text_word *b)
{
    memcpy(a->letters + a->count, b->letters, b->count * sizeof(a->letters[0]));
    a->count += b->count;
}

/* "turn off" may be in the list of concepts; "time stamp" is a timestamp. */
static void
add_neighbours(struct state *s, const struct sl_text_word *word, const struct sl_text_word *stem)
{
    struct sl_text_word phrase = s->last_stem, pair = s->last;
    if (s->last.count == 0)
        return;
    phrase.letters[phrase.count++] = ' ';
    append(&phrase, stem);
    add_concepts(s, &phrase, WEIGHT_FULL);
    if (s->is_last_common || is_common(word))
        return;
    append(&pair, word);
    sl_text_stem(&pair);
    add(s, hash_letters(pair.letters, pair.count, 1), WEIGHT_PAIR);
}

static uint32_t
share_of_next(struct state *s)
{
    uint32_t words_count = s->words_count++;
    if (!s->is_title_over && words_count < SHARE_TITLE_WORDS)
        return SHARE_TITLE;
    uint32_t late = words_count > SHARE_FULL_WORDS ? words_count - SHARE_FULL_WORDS : 0;
    return SHARE_MIN + (SHARE_FULL - SHARE_MIN) * SHARE_HALF_WORDS / (SHARE_HALF_WORDS + late);
}

static void
end_word(struct state *s, struct sl_text_word *w)
{
    if (w->count == 0)
        return;
    struct sl_text_word stem = *w;
    stem.count = w->count = SL_MIN(w->count, (uint32_t)WORD_SIZE_MAX);
    sl_text_stem(&stem);
    bool is_w_common = is_common(w);
    uint32_t weight = is_w_common ? WEIGHT_COMMON : weight_of(&stem);
    s->share = share_of_next(s);
    add(s, hash_letters(stem.letters, stem.count, 1), weight);
    add_neighbours(s, w, &stem);
    if (!is_w_common) {
        add_grams(s, w, weight);
        add_concepts(s, &stem, weight);
    }
    s->last = *w;
    s->last_stem = stem;
    s->is_last_common = is_w_common;
    w->count = 0;
}

/* A dot and a space end the sentence; a dot alone is part of a name or a number. */
static void
note_dot(struct state *s, uint32_t c, enum sl_unicode_class kind)
{
    if (s->is_after_dot && kind == SL_UNICODE_SPACE)
        s->is_title_over = true;
    s->is_after_dot = c == '.';
}

static void
take(struct state *s, struct sl_text_word *w, uint32_t c)
{
    uint32_t folded[SL_UNICODE_FOLD_MAX];
    enum sl_unicode_class kind = sl_unicode_class(c);
    if (kind == SL_UNICODE_MARK || kind == SL_UNICODE_DROP)
        return;
    if (kind != SL_UNICODE_WORD || sl_unicode_is_cjk(c))
        end_word(s, w);
    note_dot(s, c, kind);
    if (kind == SL_UNICODE_SPACE || kind == SL_UNICODE_PUNCT)
        return;
    size_t count = sl_unicode_fold(c, folded);
    for (size_t i = 0; i < count && w->count < WORD_SIZE_MAX; i++)
        w->letters[w->count++] = folded[i];
    if (kind != SL_UNICODE_WORD || sl_unicode_is_cjk(c))
        end_word(s, w);
}

/* ---- the vector ---------------------------------------------------------------------------- */

static int
compare_features(const void *a, const void *b)
{
    const struct feature *x = a, *y = b;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return (x->weight > y->weight) - (x->weight < y->weight);
}

/* The weight of what was seen `share` times: by the power 5/8 of that, in 1/16. Square roots are
 * the same on every machine, pow() is not. */
static int64_t
damped(uint32_t weight, uint64_t share)
{
    double root = sqrt((double)share / SHARE_FULL);
    return (int64_t)weight * (int64_t)(16.0 * root * sqrt(sqrt(root)));
}

static void
accumulate(struct features *f, int64_t *sums)
{
    if (f->count > 0) /* qsort takes no NULL, even of nothing. */
        qsort(f->items, f->count, sizeof(*f->items), compare_features);
    for (uint32_t i = 0, next; i < f->count; i = next) {
        uint64_t share = f->items[i].share;
        uint32_t weight_max = f->items[i].weight;
        for (next = i + 1; next < f->count && f->items[next].hash == f->items[i].hash; next++) {
            share += f->items[next].share;
            weight_max = SL_MAX(weight_max, f->items[next].weight);
        }
        uint64_t h = mix(f->items[i].hash, 0x53454544);
        int64_t weight = damped(weight_max, share);
        const uint32_t mask = SL_TEXT_HASH_DIMENSIONS - 1;
        sums[h & mask] += h >> 62 & 1 ? weight : -weight;
        sums[h >> PLACES_BITS & mask] += h >> 63 ? weight : -weight;
    }
}

void
sl_text_hash(struct sl_slice text, float ret_vector[static SL_TEXT_HASH_DIMENSIONS])
{
    struct state s = {0};
    struct sl_text_word w = {.count = 0};
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
