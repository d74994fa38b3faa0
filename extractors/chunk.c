/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each splitter answers one question: where does the unit that starts here end? Everything else is
 * shared. A ring of the last `size` unit starts is all that overlap needs: a chunk starts at the
 * unit `size - overlap` after the start of the one before it.
 */
#include "extractors/chunk.h"

#include "extractors/unicode.h"
#include "runtime/alloc.h"
#include "runtime/limits.h"

typedef const uint8_t *(*unit_end_fn)(const uint8_t *at, const uint8_t *end);

static bool
is_space(uint32_t c)
{
    /* To the tokeniser a form feed is a control character; to a reader it is white space. */
    return (c >= '\t' && c <= '\r') || c == 0x85 || sl_unicode_class(c) == SL_UNICODE_SPACE;
}

static const uint8_t *
skip_space(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        const uint8_t *next = at;
        if (!is_space(sl_unicode_next(&next, end)))
            break;
        at = next;
    }
    return at;
}

static const uint8_t *
none_end(const uint8_t *at, const uint8_t *end)
{
    (void)at;
    return end;
}

static const uint8_t *
character_end(const uint8_t *at, const uint8_t *end)
{
    sl_unicode_next(&at, end);
    return at;
}

static const uint8_t *
word_end(const uint8_t *at, const uint8_t *end)
{
    at = skip_space(at, end); /* Only before the first word: later ones start at a letter. */
    while (at < end) {
        const uint8_t *next = at;
        if (is_space(sl_unicode_next(&next, end)))
            break;
        at = next;
    }
    return skip_space(at, end);
}

/* Past a line's end (LF, CR LF or CR), or `at` when there is none here. */
static const uint8_t *
skip_newline(const uint8_t *at, const uint8_t *end)
{
    if (at < end && *at == '\r')
        return at + 1 < end && at[1] == '\n' ? at + 2 : at + 1;
    return at < end && *at == '\n' ? at + 1 : at;
}

/* If a blank line starts here, the start of the line after it; else `at`. */
static const uint8_t *
skip_blank_line(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *p = at;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    const uint8_t *next = skip_newline(p, end);
    return next == p ? at : next;
}

static const uint8_t *
paragraph_end(const uint8_t *at, const uint8_t *end)
{
    at = skip_space(at, end);
    while (at < end) {
        const uint8_t *line = skip_newline(at, end);
        if (line == at) {
            at++;
            continue;
        }
        const uint8_t *after = skip_blank_line(line, end);
        if (after == line) {
            at = line;
            continue;
        }
        for (const uint8_t *more; (more = skip_blank_line(after, end)) != after;)
            after = more;
        return after;
    }
    return end;
}

static const uint8_t *
page_end(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *feed = memchr(at, '\f', (size_t)(end - at));
    return feed == NULL ? end : feed + 1;
}

/* ---- sentences ----------------------------------------------------------------------------- */

static bool
is_wide_stop(uint32_t c) /* Ends a sentence whatever follows: these scripts use no spaces. */
{
    return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF61;
}

static bool
is_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x203D || c == 0x0964 ||
           c == 0x061F;
}

static bool
is_closer(uint32_t c) /* What may stand between a stop and the space after it. */
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == '}' || c == 0xBB || c == 0x2019 ||
           c == 0x201D || c == 0x300D || c == 0x300F || c == 0xFF09;
}

/* Written with a full stop that seldom ends a sentence; lower case, sorted for the eye only. */
static const char *const abbreviations[] = {
    "approx", "cf",   "ch",  "col", "dept", "dr",  "ed", "eds", "eq",  "etc", "fig", "figs",
    "gen",    "gov",  "jr",  "lt",  "mr",   "mrs", "ms", "mt",  "no",  "nos", "op",  "p",
    "pp",     "prof", "ref", "rev", "sec",  "sgt", "sr", "st",  "vol", "vs",  "viz",
};

static bool
is_small_letter(uint8_t byte)
{
    return byte >= 'a' && byte <= 'z';
}

static bool
is_big_letter(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z';
}

/* True when the full stop at `stop` belongs to the word before it. */
static bool
is_abbreviated(const uint8_t *start, const uint8_t *stop)
{
    char word[8];
    const uint8_t *from = stop;
    while (from > start && stop - from < (ptrdiff_t)sizeof(word) &&
           (is_small_letter(from[-1] | 0x20) || from[-1] == '.'))
        from--;
    size_t size = (size_t)(stop - from);
    if (size == 0 || size >= sizeof(word) || (from > start && from[-1] >= '0' && from[-1] <= '9'))
        return false;
    if (size == 1) /* An initial, "J. Smith"; but "I." and "a." do end sentences now and then. */
        return from[0] != 'I' && is_big_letter(from[0]);
    for (size_t i = 0; i < size; i++)
        word[i] = (char)(from[i] == '.' ? '.' : from[i] | 0x20);
    word[size] = '\0';
    if (size == 3 && word[1] == '.')
        return true; /* "U.S", "a.m": letters with stops between them. */
    for (size_t i = 0; i < SL_COUNT_OF(abbreviations); i++) {
        if (strcmp(word, abbreviations[i]) == 0)
            return true;
    }
    return false;
}

/* Past the stops and closers that start at `at`. */
static const uint8_t *
skip_stops(const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        const uint8_t *next = at;
        uint32_t c = sl_unicode_next(&next, end);
        if (!is_stop(c) && !is_wide_stop(c) && !is_closer(c))
            break;
        at = next;
    }
    return at;
}

/* `at` is just past a stop at `stop`. True when a sentence ends here. */
static bool
is_sentence_end(const uint8_t *start, const uint8_t *stop, const uint8_t *at, const uint8_t *end)
{
    if (at == end)
        return true;
    const uint8_t *next = at;
    if (!is_space(sl_unicode_next(&next, end)))
        return false; /* 3.14, example.com, "...": nothing ends inside a word. */
    if (*stop != '.')
        return true;
    next = skip_space(at, end);
    if (next < end && is_small_letter(*next))
        return false; /* "approx. five": a new sentence starts with no small letter. */
    return !(at == stop + 1 && is_abbreviated(start, stop));
}

static const uint8_t *
sentence_end(const uint8_t *start, const uint8_t *end)
{
    const uint8_t *at = start;
    while (at < end) {
        const uint8_t *stop = at;
        uint32_t c = sl_unicode_next(&at, end);
        if (c == '\n') { /* A blank line ends a heading, which has no stop. */
            const uint8_t *after = skip_blank_line(at, end);
            if (after != at && skip_space(start, end) < stop)
                return skip_space(after, end);
            continue;
        }
        if (!is_stop(c) && !is_wide_stop(c))
            continue;
        at = skip_stops(at, end);
        if (is_wide_stop(c) || is_sentence_end(start, stop, at, end))
            return skip_space(at, end);
    }
    return end;
}

/* ---- chunks -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    unit_end_fn unit_end;
} units[] = {
    [SL_CHUNK_NONE] = {"none", none_end},
    [SL_CHUNK_CHARACTERS] = {"characters", character_end},
    [SL_CHUNK_WORDS] = {"words", word_end},
    [SL_CHUNK_SENTENCES] = {"sentences", sentence_end},
    [SL_CHUNK_PARAGRAPHS] = {"paragraphs", paragraph_end},
    [SL_CHUNK_PAGES] = {"pages", page_end},
};

enum sl_err
sl_chunk_unit_parse(struct sl_slice name, enum sl_chunk_unit *ret_unit)
{
    for (size_t i = 0; i < SL_COUNT_OF(units); i++) {
        if (sl_slice_is(name, units[i].name)) {
            *ret_unit = (enum sl_chunk_unit)i;
            return SL_OK;
        }
    }
    return SL_EINVAL;
}

enum sl_err
sl_chunk_check(const struct sl_chunk_options *options)
{
    sl_assert((size_t)options->unit < SL_COUNT_OF(units));
    if (options->unit == SL_CHUNK_NONE)
        return SL_OK;
    if (options->size < 1 || options->size > SL_CHUNK_SIZE_MAX)
        return SL_EINVAL;
    if (options->overlap > SL_CHUNK_OVERLAP_MAX || options->overlap >= options->size)
        return SL_EINVAL;
    return SL_OK;
}

struct chunks {
    struct sl_slice *items; /* NULL while they are only counted. */
    uint64_t count;
    uint32_t capacity;
    bool keeps_space, is_count_only;
    uint64_t bytes, count_max, bytes_max;
};

static void
add(struct chunks *chunks, const uint8_t *from, const uint8_t *to)
{
    const uint8_t *inner = skip_space(from, to);
    if (inner == to && !chunks->keeps_space)
        return;
    if (chunks->is_count_only) {
        chunks->count++;
        return;
    }
    if (!chunks->keeps_space) {
        from = inner;
        /* Find the end of the last character that is no space, from the left for UTF-8's sake:
         * back over continuation bytes, at most three. */
        while (to > from) {
            const uint8_t *last = to - 1, *at;
            while (last > from && to - last < 4 && (*last & 0xC0) == 0x80)
                last--;
            at = last;
            if (!is_space(sl_unicode_next(&at, to)) || at != to)
                break;
            to = last;
        }
    }
    if (chunks->count == chunks->capacity) {
        chunks->capacity = SL_MAX(8, chunks->capacity * 2);
        chunks->items = sl_realloc(chunks->items, chunks->capacity * sizeof(*chunks->items));
    }
    chunks->items[chunks->count++] = sl_slice(from, (size_t)(to - from));
    chunks->bytes += (uint64_t)(to - from);
}

/* The ring: where each of the last `size` units started, so that overlap can go back to one.
 * Returns where the next chunk would start; the text's end: there is none. */
static const uint8_t *
split(struct sl_slice text, const struct sl_chunk_options *options, const uint8_t **ring,
      struct chunks *chunks)
{
    const uint8_t *at = text.data, *end = text.data + text.size;
    const uint8_t *from = at;
    uint64_t index = 0;      /* Of the unit that starts at `at`. */
    uint64_t from_index = 0; /* Of the unit the open chunk starts with. */
    while (at < end) {
        ring[index % options->size] = at;
        at = units[options->unit].unit_end(at, end);
        index++;
        if (index - from_index < options->size && at < end)
            continue;
        add(chunks, from, at);
        from_index = index - options->overlap;
        from = options->overlap == 0 ? at : ring[from_index % options->size];
        if (at < end && (chunks->count >= chunks->count_max || chunks->bytes >= chunks->bytes_max))
            return from;
    }
    return end;
}

/* Options as `split` wants them. */
static struct sl_chunk_options
plain(const struct sl_chunk_options *options)
{
    struct sl_chunk_options own = *options;
    if (own.unit == SL_CHUNK_NONE) {
        own.size = 1;
        own.overlap = 0;
    }
    return own;
}

static const uint8_t *
walk(struct sl_slice text, const struct sl_chunk_options *options, struct chunks *chunks)
{
    struct sl_chunk_options own = plain(options);
    const uint8_t **ring = sl_alloc(own.size * sizeof(*ring));
    const uint8_t *next = split(text, &own, ring, chunks);
    sl_free(ring);
    return next;
}

static bool
is_blank(struct sl_slice text)
{
    return text.size == 0 || skip_space(text.data, text.data + text.size) == text.data + text.size;
}

enum sl_err
sl_chunk_next(struct sl_slice text, const struct sl_chunk_options *options,
              struct sl_chunk_part *part)
{
    struct chunks chunks = {.keeps_space = options->keeps_space,
                            .count_max = SL_MAX(part->count_max, 1u),
                            .bytes_max = part->bytes_max};
    enum sl_err err = sl_chunk_check(options);
    if (err == SL_OK && part->offset > text.size)
        err = SL_EINVAL;
    if (err != SL_OK)
        return err;
    part->chunks = NULL;
    part->count = 0;
    if (is_blank(text)) {
        part->offset = text.size;
        return SL_OK;
    }
    struct sl_slice rest = sl_slice(text.data + part->offset, text.size - part->offset);
    part->offset = (uint64_t)(walk(rest, options, &chunks) - text.data);
    part->chunks = chunks.items;
    part->count = (uint32_t)chunks.count;
    return SL_OK;
}

uint64_t
sl_chunk_count(struct sl_slice text, const struct sl_chunk_options *options, uint64_t offset)
{
    struct chunks chunks = {.keeps_space = options->keeps_space,
                            .is_count_only = true,
                            .count_max = UINT64_MAX,
                            .bytes_max = UINT64_MAX};
    if (sl_chunk_check(options) != SL_OK || offset > text.size || is_blank(text))
        return 0;
    (void)walk(sl_slice(text.data + offset, text.size - offset), options, &chunks);
    return chunks.count;
}

enum sl_err
sl_chunk_split(struct sl_slice text, const struct sl_chunk_options *options,
               struct sl_slice **ret_chunks, uint32_t *ret_count)
{
    struct sl_chunk_part part = {.count_max = SL_LIMIT_RECORDS_PER_TASK + 1,
                                 .bytes_max = UINT64_MAX};
    enum sl_err err = sl_chunk_next(text, options, &part);
    if (err == SL_OK && part.count > SL_LIMIT_RECORDS_PER_TASK) {
        sl_free(part.chunks);
        err = SL_ETOOBIG;
    }
    if (err != SL_OK)
        return err;
    *ret_chunks = part.chunks;
    *ret_count = part.count;
    return SL_OK;
}
