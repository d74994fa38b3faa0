/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report_line.h"

#include <stdio.h>

#include "runtime/time.h"
#include "runtime/utf8.h"

#define TAIL       24u /* Room that is kept for the end of a line. */
#define DIGITS_MAX 15u /* A number of so many is exact in every reader. */
#define KEY_MAX    64u

struct out {
    char *at, *end; /* Nothing is written from `end` on. */
    bool is_full;   /* Something was left out, and all that follows is. */
};

static void
put(struct out *o, const char *bytes, size_t size)
{
    if (o->is_full || (size_t)(o->end - o->at) < size) {
        o->is_full = true;
        return;
    }
    memcpy(o->at, bytes, size);
    o->at += size;
}

static void
put_str(struct out *o, const char *text)
{
    put(o, text, strlen(text));
}

/* Of a sequence of `size` bytes, as sl_utf8_size gave it. */
static bool
is_control(const uint8_t *at, size_t size)
{
    bool is_c1 = size == 2 && at[0] == 0xc2 && at[1] < 0xa0;
    /* Line and paragraph separators, and marks that turn the direction of what follows. */
    bool is_mark = size == 3 && at[0] == 0xe2 &&
                   ((at[1] == 0x80 && at[2] >= 0xa8 && at[2] <= 0xae) ||
                    (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9));
    return size == 0 || (size == 1 && (*at < ' ' || *at == 0x7f)) || is_c1 || is_mark;
}

/* Each byte of it by itself: \x1b. */
static void
put_hex(struct out *o, const char *before, const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char text[8];
        (void)snprintf(text, sizeof(text), "%s%02x", before, at[i]);
        put_str(o, text);
    }
}

/* ---- text ---------------------------------------------------------------------------------- */

static void
put_safe(struct out *o, const char *text)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + strlen(text);
    while (at < end && !o->is_full) {
        size_t size = sl_utf8_size(at, end), step = SL_MAX(size, (size_t)1);
        if (is_control(at, size))
            put_hex(o, "\\x", at, step);
        else
            put(o, (const char *)at, step);
        at += step;
    }
}

size_t
sl_report_line_text(const struct sl_report_line *line, char ret_line[SL_REPORT_LINE_MAX])
{
    char when[SL_TIME_TEXT_SIZE], head[256];
    struct out o = {.at = ret_line, .end = ret_line + SL_REPORT_LINE_MAX - TAIL};
    sl_time_format(line->at_ms, when);
    (void)snprintf(head, sizeof(head), "%s %s %s[%d] %s ", when, line->level, line->role, line->pid,
                   line->event);
    put_str(&o, head);
    put_safe(&o, line->details);
    if (o.is_full) {
        o.is_full = false;
        o.end += TAIL - 1;
        put_str(&o, " ...");
    }
    *o.at++ = '\n';
    return (size_t)(o.at - ret_line);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void
put_string(struct out *o, const char *text, size_t size)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + size;
    put(o, "\"", 1);
    while (at < end && !o->is_full) {
        size_t one = sl_utf8_size(at, end), step = SL_MAX(one, (size_t)1);
        if (one == 1 && (*at == '"' || *at == '\\')) {
            put(o, "\\", 1);
            put(o, (const char *)at, 1);
        } else if (one == 1 && (*at < ' ' || *at == 0x7f || strchr("<>&", *at) != NULL)) {
            put_hex(o, "\\u00", at, 1);
        } else if (is_control(at, one)) {
            put_hex(o, "\\\\x", at, step);
        } else {
            put(o, (const char *)at, step);
        }
        at += step;
    }
    put(o, "\"", 1);
}

static bool
is_number(const char *text, size_t size)
{
    size_t digits = 0;
    while (digits < size && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    return size > 0 && digits == size && size <= DIGITS_MAX && (size == 1 || text[0] != '0');
}

struct pair {
    const char *name, *value; /* name NULL: no key=value, but a word. */
    size_t name_size, value_size;
    bool is_quoted;
};

static bool
is_of_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* Whether a key and its '=' begin here. */
static bool
is_key(const char *at)
{
    const char *end = at;
    while (is_of_name(*end))
        end++;
    return end > at && *at != '_' && *end == '=' && (size_t)(end - at) < KEY_MAX;
}

/* A quoted value ends where its quote is the last character or a key follows: quotes in it are not
 * escaped. */
static const char *
end_of_quoted(const char *at)
{
    const char *quote = strchr(at, '"');
    while (quote != NULL && quote[1] != '\0' && !(quote[1] == ' ' && is_key(quote + 2)))
        quote = strchr(quote + 1, '"');
    return quote;
}

/* False: there is no more. */
static bool
next_pair(const char **rest, struct pair *ret_pair)
{
    const char *at = *rest + strspn(*rest, " ");
    const char *end = at;
    if (*at == '\0')
        return false;
    while (is_of_name(*end))
        end++;
    bool is_pair = is_key(at);
    *ret_pair = (struct pair){.name = is_pair ? at : NULL, .name_size = (size_t)(end - at)};
    ret_pair->value = is_pair ? end + 1 : at;
    const char *quote = ret_pair->value[0] == '"' && is_pair ? end_of_quoted(end + 2) : NULL;
    if (quote != NULL) {
        ret_pair->is_quoted = true;
        ret_pair->value++;
        ret_pair->value_size = (size_t)(quote - ret_pair->value);
        *rest = quote + 1;
    } else {
        ret_pair->value_size = strcspn(ret_pair->value, " ");
        *rest = ret_pair->value + ret_pair->value_size;
    }
    return true;
}

bool
sl_report_line_value(const char *details, const char *key, char *ret_value, size_t size)
{
    struct pair p;
    size_t key_size = strlen(key);
    while (next_pair(&details, &p)) {
        if (p.name == NULL || p.name_size != key_size || memcmp(p.name, key, key_size) != 0)
            continue;
        if (p.value_size == 0 || p.value_size >= size)
            return false;
        memcpy(ret_value, p.value, p.value_size);
        ret_value[p.value_size] = '\0';
        return true;
    }
    return false;
}

static bool
is_ours(const struct pair *p)
{
    static const char *const names[] = {"time", "level", "role", "pid", "event", "text", "is_cut"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (p->name_size == strlen(names[i]) && memcmp(p->name, names[i], p->name_size) == 0)
            return true;
    }
    return false;
}

/* What comes first is ours; a name that a client chose may hold the same key again. */
static bool
is_repeated(const char *details, const struct pair *p)
{
    struct pair had;
    while (next_pair(&details, &had) && had.value != p->value) {
        if (had.name != NULL && had.name_size == p->name_size &&
            memcmp(had.name, p->name, p->name_size) == 0)
            return true;
    }
    return false;
}

/* All of it or nothing. */
static void
put_member(struct out *o, const struct pair *p)
{
    char *from = o->at;
    put_str(o, is_ours(p) ? ",\"_" : ",\""); /* No key begins with one. */
    put(o, p->name, p->name_size);
    put(o, "\":", 2);
    if (is_number(p->value, p->value_size) && !p->is_quoted)
        put(o, p->value, p->value_size);
    else
        put_string(o, p->value, p->value_size);
    if (o->is_full)
        o->at = from;
}

/* What is between pairs, as one member. */
static void
put_words(struct out *o, const char *details)
{
    char words[512];
    size_t size = 0;
    struct pair p;
    while (next_pair(&details, &p)) {
        if (p.name != NULL || size + p.value_size + 1 > sizeof(words))
            continue;
        if (size > 0)
            words[size++] = ' ';
        memcpy(words + size, p.value, p.value_size);
        size += p.value_size;
    }
    char *from = o->at;
    if (size == 0)
        return;
    put_str(o, ",\"text\":");
    put_string(o, words, size);
    if (o->is_full)
        o->at = from;
}

size_t
sl_report_line_json(const struct sl_report_line *line, char ret_line[SL_REPORT_LINE_MAX])
{
    char when[SL_TIME_TEXT_SIZE], head[320];
    struct out o = {.at = ret_line, .end = ret_line + SL_REPORT_LINE_MAX - TAIL};
    const char *rest = line->details;
    struct pair p;
    sl_time_format(line->at_ms, when);
    (void)snprintf(head, sizeof(head),
                   "{\"time\":\"%s\",\"level\":\"%s\",\"role\":\"%s\",\"pid\":%d,\"event\":\"%s\"",
                   when, line->level, line->role, line->pid, line->event);
    put_str(&o, head);
    while (!o.is_full && next_pair(&rest, &p)) {
        if (p.name != NULL && !is_repeated(line->details, &p))
            put_member(&o, &p);
    }
    put_words(&o, line->details);
    o.end += TAIL;
    bool is_cut = o.is_full;
    o.is_full = false;
    put_str(&o, is_cut ? ",\"is_cut\":true}\n" : "}\n");
    return (size_t)(o.at - ret_line);
}
