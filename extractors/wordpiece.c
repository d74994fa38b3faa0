/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary is one open-addressed table over the borrowed text. A piece that continues a word
 * is kept without its "##", under another hash seed. The hash runs over bytes from the left, so one
 * pass over a word gives the hash of each of its prefixes, and the greedy search for the longest
 * one is a walk back over them.
 */
#include "extractors/wordpiece.h"

#include "extractors/unicode.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/utf8.h"

#define TOKENIZER_MAGIC 0x57504345u
#define PIECE_BYTES_MAX 255
#define WORD_BYTES_MAX  (SL_WORDPIECE_WORD_MAX * 4)
#define IDS_COUNT_MAX   (1u << 22)

static const uint64_t seeds[2] = {0xCBF29CE484222325u, 0x9E3779B97F4A7C15u};

struct entry {
    uint32_t hash;
    uint32_t offset; /* Of the piece's bytes, past any "##". */
    uint32_t id;
    uint8_t size; /* 0: the slot is free. */
    uint8_t is_inner;
};

struct sl_wordpiece {
    uint32_t magic;
    bool is_lower_case;
    uint32_t unknown_id, start_id, end_id;
    uint32_t piece_bytes_max;
    uint32_t mask;
    struct sl_slice vocabulary;
    struct entry *entries; /* mask + 1 of them, at most half of them taken. */
};

/* Pieces of the text being encoded. */
struct output {
    uint32_t *ids;
    uint32_t count, count_max;
};

struct word {
    uint8_t bytes[WORD_BYTES_MAX];
    uint32_t size;
    uint32_t characters_count; /* May be more than fit: then the word is unknown. */
};

static uint64_t
hash_step(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * 0x100000001B3u;
}

static uint32_t
hash_fold(uint64_t hash)
{
    return (uint32_t)(hash >> 32 ^ hash >> 7);
}

/* The slot that holds this piece, or the free one where it belongs. */
static struct entry *
find(const struct sl_wordpiece *t, struct sl_slice piece, bool is_inner, uint32_t hash)
{
    for (uint32_t i = hash & t->mask;; i = (i + 1) & t->mask) {
        struct entry *e = &t->entries[i];
        if (e->size == 0)
            return e;
        if (e->hash == hash && e->size == piece.size && e->is_inner == is_inner &&
            memcmp(t->vocabulary.data + e->offset, piece.data, piece.size) == 0)
            return e;
    }
}

static void
insert(struct sl_wordpiece *t, struct sl_slice token, uint32_t id)
{
    bool is_inner = token.size > 2 && token.data[0] == '#' && token.data[1] == '#';
    if (is_inner)
        token = sl_slice(token.data + 2, token.size - 2);
    if (token.size == 0 || token.size > PIECE_BYTES_MAX)
        return; /* Nothing could match it. */
    uint64_t hash = seeds[is_inner];
    for (size_t i = 0; i < token.size; i++)
        hash = hash_step(hash, token.data[i]);
    struct entry *e = find(t, token, is_inner, hash_fold(hash));
    *e = (struct entry){.hash = hash_fold(hash),
                        .offset = (uint32_t)(token.data - t->vocabulary.data),
                        .id = id,
                        .size = (uint8_t)token.size,
                        .is_inner = is_inner};
    t->piece_bytes_max = SL_MAX(t->piece_bytes_max, (uint32_t)token.size);
}

static bool
lookup(const struct sl_wordpiece *t, const char *token, uint32_t *ret_id)
{
    struct sl_slice s = sl_slice_str(token);
    uint64_t hash = seeds[0];
    for (size_t i = 0; i < s.size; i++)
        hash = hash_step(hash, s.data[i]);
    const struct entry *e = find(t, s, false, hash_fold(hash));
    *ret_id = e->id;
    return e->size != 0;
}

/* The next line without white space at its end; false when there is none. */
static bool
next_line(struct sl_slice *rest, struct sl_slice *ret_line)
{
    if (rest->size == 0)
        return false;
    const uint8_t *feed = memchr(rest->data, '\n', rest->size);
    size_t size = feed == NULL ? rest->size : (size_t)(feed - rest->data);
    *ret_line = sl_slice(rest->data, size);
    size += feed != NULL;
    *rest = sl_slice(rest->data + size, rest->size - size);
    while (ret_line->size > 0 && strchr("\r \t", ret_line->data[ret_line->size - 1]) != NULL)
        ret_line->size--;
    return true;
}

enum sl_err
sl_wordpiece_create(struct sl_slice vocabulary, uint32_t ids_count_max, bool is_lower_case,
                    struct sl_wordpiece **ret_tokenizer)
{
    struct sl_slice rest = vocabulary, line;
    uint32_t count = 0;
    while (next_line(&rest, &line))
        count++;
    if (vocabulary.size > UINT32_MAX || count > ids_count_max || count > IDS_COUNT_MAX)
        return SL_EINVAL;

    struct sl_wordpiece *t = sl_zalloc(sizeof(*t));
    t->magic = TOKENIZER_MAGIC;
    t->is_lower_case = is_lower_case;
    t->vocabulary = vocabulary;
    t->mask = 63;
    while (t->mask < count * 2)
        t->mask = t->mask * 2 + 1;
    t->entries = sl_zalloc(((size_t)t->mask + 1) * sizeof(*t->entries));
    rest = vocabulary;
    for (uint32_t id = 0; next_line(&rest, &line); id++)
        insert(t, line, id);
    if (!lookup(t, "[UNK]", &t->unknown_id) || !lookup(t, "[CLS]", &t->start_id) ||
        !lookup(t, "[SEP]", &t->end_id)) {
        sl_wordpiece_destroy(&t);
        return SL_EINVAL;
    }
    *ret_tokenizer = t;
    return SL_OK;
}

void
sl_wordpiece_destroy(struct sl_wordpiece **tokenizer)
{
    struct sl_wordpiece *t = *tokenizer;
    *tokenizer = NULL;
    if (t == NULL)
        return;
    sl_assert(t->magic == TOKENIZER_MAGIC);
    sl_free(t->entries);
    t->magic = 0;
    sl_free(t);
}

/* ---- tokenizer.json ------------------------------------------------------------------------ */

/* Put each token's view at its id. False when an id is taken twice or out of range. */
static bool
order_by_id(struct sl_json vocab, struct sl_json *tokens, uint32_t count)
{
    for (struct sl_json_iter i = sl_json_iter(vocab); sl_json_next(&i);) {
        uint64_t id = 0;
        if (sl_json_u64(i.value, &id) != SL_OK || id >= count || tokens[id].doc != NULL)
            return false;
        tokens[id] = i.name;
    }
    return true;
}

static enum sl_err
append_tokens(struct sl_json vocab, struct sl_buf *vocabulary)
{
    uint32_t count = sl_json_count(vocab);
    if (sl_json_kind(vocab) != SL_JSON_OBJECT || count == 0 || count > IDS_COUNT_MAX)
        return SL_EINVAL;
    struct sl_json *tokens = sl_zalloc(count * sizeof(*tokens));
    struct sl_buf scratch = {0};
    enum sl_err err = order_by_id(vocab, tokens, count) ? SL_OK : SL_EINVAL;
    for (uint32_t id = 0; id < count && err == SL_OK; id++) {
        struct sl_slice token = {0};
        sl_buf_clear(&scratch);
        err = sl_json_text(tokens[id], &scratch, &token);
        if (err == SL_OK && token.size > 0 && memchr(token.data, '\n', token.size) != NULL)
            err = SL_EINVAL;
        if (err == SL_OK) {
            sl_buf_append_slice(vocabulary, token);
            sl_buf_append_u8(vocabulary, '\n');
        }
    }
    sl_buf_deinit(&scratch);
    sl_free(tokens);
    return err;
}

enum sl_err
sl_wordpiece_vocabulary(struct sl_slice tokenizer_json, struct sl_buf *vocabulary)
{
    struct sl_json_doc *doc = NULL;
    enum sl_err err = sl_json_parse(tokenizer_json, &doc, NULL);
    if (err != SL_OK)
        return SL_EINVAL;
    struct sl_json model = sl_json_member(sl_json_root(doc), "model");
    if (sl_json_is(sl_json_member(model, "type"), "WordPiece"))
        err = append_tokens(sl_json_member(model, "vocab"), vocabulary);
    else
        err = SL_EINVAL;
    sl_json_destroy(&doc);
    return err;
}

/* ---- encoding ------------------------------------------------------------------------------ */

static void
put(struct output *out, uint32_t id)
{
    if (out->count < out->count_max)
        out->ids[out->count++] = id;
}

/* The longest piece that starts at `from`; its end, or `from` when there is none. */
static uint32_t
longest_piece(const struct sl_wordpiece *t, const struct word *word, uint32_t from,
              uint32_t *ret_id)
{
    uint64_t hashes[PIECE_BYTES_MAX + 1];
    uint32_t size_max = SL_MIN(word->size - from, t->piece_bytes_max);
    hashes[0] = seeds[from > 0];
    for (uint32_t i = 0; i < size_max; i++)
        hashes[i + 1] = hash_step(hashes[i], word->bytes[from + i]);
    for (uint32_t size = size_max; size > 0; size--) {
        const struct entry *e =
            find(t, sl_slice(word->bytes + from, size), from > 0, hash_fold(hashes[size]));
        if (e->size != 0) {
            *ret_id = e->id;
            return from + size;
        }
    }
    return from;
}

/* End the word: write its pieces, or one [UNK] when it cannot be put together from pieces. */
static void
flush(const struct sl_wordpiece *t, struct word *word, struct output *out)
{
    uint32_t start_count = out->count;
    uint32_t size = word->size, characters_count = word->characters_count;
    if (characters_count > SL_WORDPIECE_WORD_MAX) {
        put(out, t->unknown_id);
        size = 0;
    }
    for (uint32_t at = 0; at < size;) {
        uint32_t id = 0;
        uint32_t next = longest_piece(t, word, at, &id);
        if (next == at) {
            out->count = start_count;
            put(out, t->unknown_id);
            break;
        }
        put(out, id);
        at = next;
    }
    word->size = 0;
    word->characters_count = 0;
}

static void
append(struct word *word, uint32_t c)
{
    if (word->characters_count++ < SL_WORDPIECE_WORD_MAX)
        word->size += (uint32_t)sl_utf8_encode(c, word->bytes + word->size);
}

static void
take_alone(const struct sl_wordpiece *t, uint32_t c, struct word *word, struct output *out)
{
    flush(t, word, out);
    append(word, c);
    flush(t, word, out);
}

static void
take(const struct sl_wordpiece *t, uint32_t c, struct word *word, struct output *out)
{
    uint32_t folded[SL_UNICODE_FOLD_MAX] = {c};
    size_t count = 1;
    enum sl_unicode_class kind = sl_unicode_class(c);
    if (kind == SL_UNICODE_DROP)
        return;
    if (kind == SL_UNICODE_SPACE) {
        flush(t, word, out);
        return;
    }
    bool is_cjk = sl_unicode_is_cjk(c);
    if (t->is_lower_case)
        count = sl_unicode_fold(c, folded);
    for (size_t i = 0; i < count; i++) {
        if (is_cjk || sl_unicode_class(folded[i]) == SL_UNICODE_PUNCT)
            take_alone(t, folded[i], word, out);
        else
            append(word, folded[i]);
    }
}

uint32_t
sl_wordpiece_encode(const struct sl_wordpiece *tokenizer, struct sl_slice text, uint32_t *ret_ids,
                    uint32_t count_max)
{
    const struct sl_wordpiece *t = tokenizer;
    sl_assert(t->magic == TOKENIZER_MAGIC);
    sl_assert(count_max >= SL_WORDPIECE_TOKENS_MIN);
    struct output out = {.ids = ret_ids, .count_max = count_max - 1};
    struct word word;
    word.size = 0;
    word.characters_count = 0;
    put(&out, t->start_id);
    const uint8_t *at = text.data, *end = at + text.size;
    while (at < end && out.count < out.count_max)
        take(t, sl_unicode_next(&at, end), &word, &out);
    flush(t, &word, &out);
    out.count_max++;
    put(&out, t->end_id);
    return out.count;
}
