/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/text_stem.h"

static bool
is_ascii(const struct sl_text_word *w)
{
    for (uint32_t i = 0; i < w->count; i++) {
        if (w->letters[i] >= 0x80)
            return false;
    }
    return true;
}

static bool
ends_in(const struct sl_text_word *w, const char *suffix)
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
cut(struct sl_text_word *w, const char *suffix, uint32_t rest_min)
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

static bool
cut_suffix(struct sl_text_word *w)
{
    /* After fewer letters these are mostly part of the word: user, nation, table, able. */
    static const struct {
        const char *text;
        uint32_t rest_min;
    } suffixes[] = {
        {"ing", 3}, {"ed", 3},   {"er", 4},   {"or", 4},   {"ication", 4}, {"ation", 4},
        {"ion", 4}, {"ment", 4}, {"able", 4}, {"ness", 4}, {"ity", 4},     {"ate", 4},
    };
    for (size_t i = 0; i < SL_COUNT_OF(suffixes); i++) {
        if (cut(w, suffixes[i].text, suffixes[i].rest_min))
            return true;
    }
    return false;
}

/* Is the last letter there twice, as in stopp(ing)? Words in -ss and -ll have it themselves. */
static bool
is_doubled(const struct sl_text_word *w)
{
    uint32_t n = w->count;
    if (n <= 3 || w->letters[n - 1] != w->letters[n - 2])
        return false;
    return !is_vowel(w->letters[n - 1]) && w->letters[n - 1] != 's' && w->letters[n - 1] != 'l';
}

/* scripts/text-hash-tables calls this too: its tables hold stems. */
void
sl_text_stem(struct sl_text_word *w)
{
    if (w->count < 4 || !is_ascii(w))
        return;
    if (ends_in(w, "ies") && w->count > 4)
        w->count -= 2;
    else if (ends_in(w, "s") && !ends_in(w, "ss") && !ends_in(w, "us") && !ends_in(w, "is"))
        w->count--;
    cut(w, "ly", 4);
    if (cut_suffix(w)) {
        if (is_doubled(w))
            w->count--;
        else
            cut(w, "at", 4); /* allocat(ed), as allocate and allocation */
    }
    if (w->count > 3 && (ends_in(w, "e") || ends_in(w, "i") || ends_in(w, "y")))
        w->count--; /* mov(e), copi(es), cop(y) */
}
