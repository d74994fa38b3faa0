/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report_entry.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/report_line.h"
#include "runtime/utf8.h"

#define MAGIC      0x6c696e65u
#define KEY_PREFIX "sk_" /* Of API keys. */
#define KEY_SHOWN  8     /* So many letters and digits behind it are one, or the start of one. */

const char *const sl_report_level_names[] = {"debug", "info", "warn", "error"};

static const struct {
    const char *key, *shown;
    size_t size_max;
} fields[] = {
#define FIELD(name, size, key, shown) {key, shown, size},
#include "runtime/report_field.def"
};

struct head {
    uint32_t magic, size; /* Of the whole record. */
    uint64_t sequence, at_ms, scope;
    uint32_t pid, missed;
    uint8_t level, is_output, zero[6];
};

#define TEXTS_MAX (15 + 63 * 5 + 131 + 95 + 2047 + SL_REPORT_FIELDS)
static_assert(sizeof(struct head) + TEXTS_MAX + 8 <= SL_REPORT_RECORD_MAX, "a record has room");

const char *
sl_report_field_shown(enum sl_report_field field)
{
    sl_assert(field < SL_REPORT_FIELDS);
    return fields[field].shown;
}

/* Not within a character. */
static size_t
cut(const char *text, size_t size_max)
{
    size_t size = strnlen(text, size_max + 1);
    if (size <= size_max)
        return size;
    for (size = size_max; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80;)
        size--;
    return size;
}

size_t
sl_report_entry_write(const struct sl_report_entry *e, uint8_t ret_record[SL_REPORT_RECORD_MAX])
{
    size_t at = sizeof(struct head);
    for (uint32_t i = 0; i < SL_REPORT_FIELDS; i++) {
        const char *text = e->texts[i] == NULL ? "" : e->texts[i];
        size_t size = cut(text, fields[i].size_max);
        sl_assert(at + size + 1 <= SL_REPORT_RECORD_MAX - 8);
        memcpy(ret_record + at, text, size);
        ret_record[at + size] = '\0';
        at += size + 1;
    }
    size_t whole = (at + 7) & ~(size_t)7;
    memset(ret_record + at, 0, whole - at);
    struct head head = {.magic = MAGIC,
                        .size = (uint32_t)whole,
                        .sequence = e->sequence,
                        .at_ms = e->at_ms,
                        .scope = e->scope,
                        .pid = e->pid,
                        .missed = e->missed,
                        .level = e->level,
                        .is_output = e->is_output};
    memcpy(ret_record, &head, sizeof(head));
    return whole;
}

bool
sl_report_entry_read(struct sl_slice record, struct sl_report_entry *ret_entry)
{
    struct head head;
    size_t at = sizeof(head);
    if (record.size < sizeof(head))
        return false;
    memcpy(&head, record.data, sizeof(head));
    if (head.magic != MAGIC || head.size > record.size || head.level > SL_REPORT_ERROR)
        return false;
    struct sl_report_entry e = {.sequence = head.sequence,
                                .at_ms = head.at_ms,
                                .scope = head.scope,
                                .pid = head.pid,
                                .missed = head.missed,
                                .level = head.level,
                                .is_output = head.is_output != 0};
    for (uint32_t i = 0; i < SL_REPORT_FIELDS; i++) {
        const uint8_t *end = at < head.size ? memchr(record.data + at, '\0', head.size - at) : NULL;
        if (end == NULL)
            return false;
        e.texts[i] = (const char *)record.data + at;
        at = (size_t)(end - record.data) + 1;
    }
    *ret_entry = e;
    return true;
}

/* ---- what a line is about ------------------------------------------------------------------ */

static bool
has_text(const struct sl_report_entry *e, uint32_t field)
{
    return e->texts[field] != NULL && e->texts[field][0] != '\0';
}

static void
find_in_pairs(struct sl_report_entry *e, const char *details, struct sl_report_found *memory)
{
    char with_id[32], number[24];
    for (uint32_t i = 0; i < SL_REPORT_FIELDS; i++) {
        if (fields[i].key[0] == '\0' || has_text(e, i))
            continue;
        (void)snprintf(with_id, sizeof(with_id), "%s_id", fields[i].key);
        if (sl_report_line_value(details, fields[i].key, memory->texts[i],
                                 sizeof(memory->texts[i])) ||
            sl_report_line_value(details, with_id, memory->texts[i], sizeof(memory->texts[i])))
            e->texts[i] = memory->texts[i];
    }
    if (e->scope == 0 && sl_report_line_value(details, "scope", number, sizeof(number)))
        e->scope = strtoull(number, NULL, 10);
}

static void
level_of(struct sl_report_entry *e, const char *name)
{
    for (uint8_t i = 0; i <= SL_REPORT_ERROR; i++) {
        if (strcmp(sl_report_level_names[i], name) == 0)
            e->level = i;
    }
}

static bool
copy_member(struct sl_json object, const char *name, char *ret_text, size_t size)
{
    char *text = sl_json_strdup(sl_json_member(object, name));
    bool is_good = text != NULL && *text != '\0' && strlen(text) < size;
    if (is_good)
        memcpy(ret_text, text, strlen(text) + 1);
    sl_free(text);
    return is_good;
}

static void
find_in_object(struct sl_report_entry *e, struct sl_json object, struct sl_report_found *memory)
{
    char level[16];
    uint64_t scope;
    for (uint32_t i = 0; i < SL_REPORT_FIELDS; i++) {
        char *text = memory->texts[i];
        size_t size = sizeof(memory->texts[i]);
        if (i == SL_REPORT_role || i == SL_REPORT_message || has_text(e, i))
            continue;
        if (copy_member(object, fields[i].shown, text, size) ||
            (fields[i].key[0] != '\0' && copy_member(object, fields[i].key, text, size)))
            e->texts[i] = text;
    }
    if (copy_member(object, "level", level, sizeof(level)))
        level_of(e, level);
    if (e->scope == 0 && sl_json_u64(sl_json_member(object, "scope"), &scope) == SL_OK)
        e->scope = scope;
}

/* TIME LEVEL ROLE[PID] EVENT key=value, as report.h has it; false: it is not one of those. */
static bool
read_own(struct sl_report_entry *e, struct sl_report_found *memory)
{
    char level[8], event[64];
    int behind = 0;
    if (sscanf(e->texts[SL_REPORT_message], "%*24[0-9TZ:.-] %7[a-z] %*15[a-z][%*u] %63[a-z0-9_-]%n",
               level, event, &behind) != 2 ||
        behind == 0)
        return false;
    level_of(e, level);
    memcpy(memory->texts[SL_REPORT_event], event, sizeof(event));
    e->texts[SL_REPORT_event] = memory->texts[SL_REPORT_event];
    e->texts[SL_REPORT_message] += behind;
    e->texts[SL_REPORT_message] += strspn(e->texts[SL_REPORT_message], " ");
    return true;
}

/* Whoever reads lines is not to have what lets others in. */
static void
blank_keys(char *text)
{
    for (char *at = text; (at = strstr(at, KEY_PREFIX)) != NULL;) {
        size_t size = 0;
        at += strlen(KEY_PREFIX);
        while (isalnum((unsigned char)at[size]))
            size++;
        if (size >= KEY_SHOWN)
            memset(at, '*', size);
        at += size;
    }
}

/* Only what is UTF-8 can be part of a reply. */
static void
make_utf8(char *text)
{
    const uint8_t *end = (const uint8_t *)text + strlen(text);
    for (uint8_t *at = (uint8_t *)text; at < end;) {
        size_t size = sl_utf8_size(at, end);
        if (size == 0)
            *at = '?';
        at += SL_MAX(size, (size_t)1);
    }
}

void
sl_report_entry_complete(struct sl_report_entry *e, struct sl_report_found *memory)
{
    struct sl_json_doc *doc = NULL;
    /* One whose tenant is known has no other, whatever it prints. */
    bool is_settled = e->scope != 0;
    const char *text = e->texts[SL_REPORT_message] == NULL ? "" : e->texts[SL_REPORT_message];
    size_t size = cut(text, sizeof(memory->message) - 1);
    memcpy(memory->message, text, size);
    memory->message[size] = '\0';
    blank_keys(memory->message);
    make_utf8(memory->message);
    e->texts[SL_REPORT_message] = memory->message;
    if (e->is_output && memory->message[0] == '{' &&
        sl_json_parse(sl_slice_str(memory->message), &doc, NULL) == SL_OK) {
        find_in_object(e, sl_json_root(doc), memory);
    } else {
        if (e->is_output && !read_own(e, memory))
            e->texts[SL_REPORT_event] = "output";
        find_in_pairs(e, e->texts[SL_REPORT_message], memory);
    }
    sl_json_destroy(&doc);
    if (e->is_output && !has_text(e, SL_REPORT_event))
        e->texts[SL_REPORT_event] = "output";
    if (is_settled && e->is_output)
        e->texts[SL_REPORT_tenant] = NULL;
    for (uint32_t i = 0; i < SL_REPORT_message; i++) {
        if (e->texts[i] == memory->texts[i]) {
            blank_keys(memory->texts[i]);
            make_utf8(memory->texts[i]);
        }
    }
}
