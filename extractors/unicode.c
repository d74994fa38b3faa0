/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/unicode.h"

#include "runtime/utf8.h"

#define SPACE SL_UNICODE_SPACE
#define DROP  SL_UNICODE_DROP
#define PUNCT SL_UNICODE_PUNCT
#define MARK  SL_UNICODE_MARK
#define WORD  SL_UNICODE_WORD

struct class_range {
    uint32_t first, last;
    uint8_t kind;
};

/* first, first + step, ... last each fold to themselves + delta. */
struct fold_run {
    uint32_t first, last;
    uint8_t step;
    int32_t delta;
};

struct fold_multi {
    uint32_t from;
    uint32_t to[SL_UNICODE_FOLD_MAX];
};

#include "extractors/unicode_tables.inc"

/* Hangul syllables decompose by arithmetic (The Unicode Standard, 3.12). */
enum {
    HANGUL_BASE = 0xAC00,
    HANGUL_LAST = 0xD7A3,
    JAMO_L = 0x1100,
    JAMO_V = 0x1161,
    JAMO_T = 0x11A7,
    JAMO_V_COUNT = 21,
    JAMO_T_COUNT = 28
};

uint32_t
sl_unicode_next(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *p = *at;
    size_t size = p[0] < 0x80 ? 1 : sl_utf8_size(p, end);
    *at = p + (size == 0 ? 1 : size);
    switch (size) {
    case 1:
        return p[0];
    case 2:
        return (uint32_t)(p[0] & 0x1F) << 6 | (p[1] & 0x3Fu);
    case 3:
        return (uint32_t)(p[0] & 0x0F) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
    case 4:
        return (uint32_t)(p[0] & 0x07) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 |
               (p[3] & 0x3Fu);
    default:
        return SL_UNICODE_REPLACEMENT;
    }
}

enum sl_unicode_class
sl_unicode_class(uint32_t c)
{
    size_t low = 0, high = SL_COUNT_OF(class_ranges);
    if (c - 'a' < 26 || c - 'A' < 26 || c - '0' < 10)
        return WORD;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (c > class_ranges[mid].last)
            low = mid + 1;
        else if (c < class_ranges[mid].first)
            high = mid;
        else
            return class_ranges[mid].kind;
    }
    return SL_UNICODE_OTHER;
}

bool
sl_unicode_is_cjk(uint32_t c)
{
    if (c < 0x3400)
        return false;
    return (c >= 0x4E00 && c <= 0x9FFF) || c <= 0x4DBF || (c >= 0xF900 && c <= 0xFAFF) ||
           (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2CEAF) ||
           (c >= 0x2F800 && c <= 0x2FA1F);
}

static size_t
fold_hangul(uint32_t c, uint32_t ret_folded[static SL_UNICODE_FOLD_MAX])
{
    uint32_t index = c - HANGUL_BASE;
    uint32_t tail = index % JAMO_T_COUNT;
    ret_folded[0] = JAMO_L + index / (JAMO_V_COUNT * JAMO_T_COUNT);
    ret_folded[1] = JAMO_V + index / JAMO_T_COUNT % JAMO_V_COUNT;
    if (tail == 0)
        return 2;
    ret_folded[2] = JAMO_T + tail;
    return 3;
}

/* The run that holds `c`, or NULL. */
static const struct fold_run *
fold_run_lookup(uint32_t c)
{
    size_t low = 0, high = SL_COUNT_OF(fold_runs);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct fold_run *run = &fold_runs[mid];
        if (c > run->last)
            low = mid + 1;
        else if (c < run->first)
            high = mid;
        else
            return (c - run->first) % run->step == 0 ? run : NULL;
    }
    return NULL;
}

size_t
sl_unicode_fold(uint32_t c, uint32_t ret_folded[static SL_UNICODE_FOLD_MAX])
{
    ret_folded[0] = c;
    if (c < 0x80) {
        if (c - 'A' < 26)
            ret_folded[0] = c + ('a' - 'A');
        return 1;
    }
    if (c >= HANGUL_BASE && c <= HANGUL_LAST)
        return fold_hangul(c, ret_folded);
    const struct fold_run *run = fold_run_lookup(c);
    if (run != NULL) {
        ret_folded[0] = (uint32_t)((int32_t)c + run->delta);
        return 1;
    }
    for (size_t i = 0; i < SL_COUNT_OF(fold_multis); i++) {
        if (fold_multis[i].from > c)
            break;
        if (fold_multis[i].from == c) {
            memcpy(ret_folded, fold_multis[i].to, sizeof(fold_multis[i].to));
            return ret_folded[2] != 0 ? 3 : 2;
        }
    }
    return sl_unicode_class(c) == MARK ? 0 : 1;
}
