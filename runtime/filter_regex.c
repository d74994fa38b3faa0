/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/filter_regex.h"

#include "runtime/filter.h"
#include "runtime/buf.h"

/* Copies of a repeated part that a compiled pattern may hold, all its counts multiplied. */
#define REPEATS_MAX 256

/*
 * The C library takes a time that is exponential in anchors and groups which may match nothing, one
 * in another or one after another, to compile a pattern that has both.
 */
#define DEPTH_MAX           8 /* Of groups. */
#define ANCHORS_MAX         8 /* ^, $, \b and the like; beside repeated groups: */
#define ANCHORS_GROUPED_MAX 3
#define ANCHORED_GROUPS_MAX 4 /* Repeated ones, where there is an anchor. */

/* The largest count of "{n,m}" at `at`, and its size; 0 when it is not one. */
static uint32_t
repeat_size(struct sl_slice p, size_t at, uint32_t *ret_count)
{
    uint32_t number = 0, largest = 0;
    size_t i = at + 1;
    for (; i < p.size && p.data[i] != '}'; i++) {
        if (p.data[i] >= '0' && p.data[i] <= '9') {
            number = SL_MIN(number * 10 + (p.data[i] - '0'), 1000000u);
            largest = SL_MAX(largest, number);
        } else if (p.data[i] == ',') {
            number = 0;
        } else {
            return 0;
        }
    }
    *ret_count = SL_MAX(largest, 1u);
    return i < p.size ? (uint32_t)(i + 1 - at) : 0;
}

/* A class of one letter, as POSIX spells it; NULL: the escape is left alone. */
static const char *
escape_text(uint8_t letter, bool is_in_bracket)
{
    switch (letter) {
    case 'd':
        return is_in_bracket ? "0-9" : "[0-9]";
    case 'D':
        return is_in_bracket ? NULL : "[^0-9]";
    case 'w':
        return is_in_bracket ? "A-Za-z0-9_" : NULL;
    case 's':
        return is_in_bracket ? " \t\r\n" : NULL;
    case 't':
        return "\t";
    case 'n':
        return "\n";
    default:
        return NULL;
    }
}

struct translation {
    struct sl_slice from;
    size_t at;
    struct sl_buf out;
    uint64_t repeats;
    bool is_in_bracket;
    size_t bracket_start;            /* Where its first member would stand. */
    uint32_t depth, anchors, groups; /* groups: those that are repeated. */
    uint32_t inner_anchors;          /* In groups. */
    bool is_repeated, is_lazy;       /* What was just read, and how. */
    bool has_ignore_case;
    const char *why;
};

static void
translate_escape(struct translation *t)
{
    uint8_t letter = t->from.data[t->at + 1];
    const char *text = escape_text(letter, t->is_in_bracket);
    t->anchors += !t->is_in_bracket && strchr("bB<>`'", letter) != NULL;
    if (!t->is_in_bracket && letter >= '1' && letter <= '9')
        t->why = "back references are not supported";
    else if (text != NULL)
        sl_buf_append_str(&t->out, text);
    else if (t->is_in_bracket) /* In POSIX brackets a backslash stands for itself. */
        sl_buf_append_u8(&t->out, letter);
    else
        sl_buf_append(&t->out, t->from.data + t->at, 2);
    t->at += 2;
}

static void
translate_group(struct translation *t)
{
    t->depth++;
    struct sl_slice rest = sl_slice(t->from.data + t->at, t->from.size - t->at);
    if (rest.size >= 3 && memcmp(rest.data, "(?:", 3) == 0) {
        sl_buf_append_u8(&t->out, '(');
        t->at += 3;
    } else if (rest.size >= 4 && memcmp(rest.data, "(?i)", 4) == 0) {
        t->has_ignore_case = true;
        t->depth--;
        t->at += 4;
    } else if (rest.size >= 2 && rest.data[1] == '?') {
        t->why = "look-around and flags inside are not supported";
    } else {
        sl_buf_append_u8(&t->out, '(');
        t->at++;
    }
}

static void
translate_plain(struct translation *t, uint8_t c)
{
    if (c == '[' && !t->is_in_bracket) {
        t->is_in_bracket = true;
        t->bracket_start = t->at + 1;
        if (t->bracket_start < t->from.size && t->from.data[t->bracket_start] == '^')
            t->bracket_start++;
    } else if (c == ']' && t->is_in_bracket && t->at > t->bracket_start) {
        t->is_in_bracket = false;
    }
    sl_buf_append_u8(&t->out, c);
    t->at++;
}

/*
 * A repeat, of `size` bytes. Behind another one a "?" only asks for the shortest match, which
 * matters to nobody who asks whether there is one; all else there is an error in most dialects, and
 * here it would be compiled as groups in groups are.
 */
static void
translate_repeat(struct translation *t, uint32_t size, uint32_t count)
{
    bool is_group = t->at > 0 && t->from.data[t->at - 1] == ')';
    uint8_t c = t->from.data[t->at];
    t->at += size;
    if (t->is_repeated) {
        if (c != '?' || t->is_lazy)
            t->why = "a repeat of a repeat is not supported";
        t->is_lazy = true;
        return;
    }
    /* A "+" is compiled as two copies: of a part that has copies already they multiply. */
    t->repeats *= c == '+' && is_group ? 2 : count;
    t->groups += is_group;
    t->is_repeated = true;
    t->is_lazy = false;
    sl_buf_append(&t->out, t->from.data + t->at - size, size);
}

/* The size of the repeat that comes; 0: none does. */
static uint32_t
repeat_at(const struct translation *t, uint32_t *ret_count)
{
    uint8_t c = t->from.data[t->at];
    *ret_count = 1;
    if (t->is_in_bracket)
        return 0;
    return c == '{' ? repeat_size(t->from, t->at, ret_count) : c == '*' || c == '+' || c == '?';
}

static void
check_bounds(struct translation *t)
{
    if (t->why != NULL)
        return;
    bool has_many = t->anchors > (t->groups > 0 ? ANCHORS_GROUPED_MAX : ANCHORS_MAX) ||
                    (t->groups > 0 && t->inner_anchors > 1) ||
                    (t->anchors > 0 && t->groups > ANCHORED_GROUPS_MAX);
    if (t->repeats > REPEATS_MAX)
        t->why = "its repeat counts are too large";
    else if (t->depth > DEPTH_MAX)
        t->why = "its groups are nested too deeply";
    else if (has_many)
        t->why = "it has too many anchors, or too many repeated groups beside one";
}

static void
translate(struct translation *t)
{
    while (t->at < t->from.size && t->why == NULL) {
        uint8_t c = t->from.data[t->at];
        uint32_t anchors = t->anchors, count, size = repeat_at(t, &count);
        if (size > 0) {
            translate_repeat(t, size, count);
        } else {
            t->is_repeated = false;
            t->anchors += !t->is_in_bracket && (c == '^' || c == '$');
            t->depth -= !t->is_in_bracket && c == ')' && t->depth > 0;
            if (c == '\0')
                t->why = "a NUL is not supported";
            else if (c == '\\' && t->at + 1 < t->from.size)
                translate_escape(t);
            else if (c == '(' && !t->is_in_bracket)
                translate_group(t);
            else
                translate_plain(t, c);
        }
        t->inner_anchors += t->depth > 0 ? t->anchors - anchors : 0;
        check_bounds(t);
    }
}

enum sl_err
sl_filter_regex_compile(struct sl_slice pattern, bool is_case_sensitive, regex_t *ret_regex,
                        const char **ret_why)
{
    struct translation t = {.from = pattern, .repeats = 1};
    if (pattern.size == 0 || pattern.size > SL_FILTER_PATTERN_SIZE_MAX) {
        *ret_why = "it must have 1 to 256 bytes";
        return SL_EINVAL;
    }
    translate(&t);
    if (t.why == NULL) {
        int flags = REG_EXTENDED | REG_NOSUB;
        if (!is_case_sensitive || t.has_ignore_case)
            flags |= REG_ICASE;
        if (regcomp(ret_regex, sl_buf_text(&t.out), flags) != 0)
            t.why = "it is not a well-formed extended regular expression";
    }
    sl_buf_deinit(&t.out);
    *ret_why = t.why;
    return t.why == NULL ? SL_OK : SL_EINVAL;
}

bool
sl_filter_regex_matches(const regex_t *regex, struct sl_slice subject)
{
    size_t size = SL_MIN(subject.size, (size_t)SL_FILTER_SUBJECT_SIZE_MAX);
    regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)size};
    const char *text = subject.data == NULL ? "" : (const char *)subject.data;
    return regexec(regex, text, 1, &range, REG_STARTEND) == 0;
}
