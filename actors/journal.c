/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row is one line of what is looked at without parsing (kind, severity, scope, subject) and the
 * event's JSON behind it. Beside the events a scope has two counters: how many there are, and up to
 * which number they are gone. The number of the newest event of all is a counter too: so that a
 * transaction which adds several, reads its own.
 */
#include "actors/journal.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/time.h"

#define TIME_BITS  20 /* Behind the time: a million events of a millisecond. */
#define QUIET_LOOK 64 /* Events back, at most, for one like it. */
#define CUT_MAX    8  /* Events removed for one that comes. */

static const struct {
    const char *name;
    enum sl_severity severity;
    const char *word;
} kinds[] = {
#define KIND(name, severity, word) {#name, SL_SEVERITY_##severity, word},
#define WORD(word, kind)
#include "actors/journal.def"
};

static const struct {
    const char *word;
    enum sl_journal_kind kind;
} words[] = {
#define KIND(name, severity, word)
#define WORD(word, kind) {word, SL_JOURNAL_##kind},
#include "actors/journal.def"
};

static const char *const severities[] = {"", "info", "warning", "critical"};

enum sl_journal_kind
sl_journal_kind_find(struct sl_slice name)
{
    for (unsigned i = 0; i < SL_COUNT_OF(kinds); i++) {
        if (sl_slice_is(name, kinds[i].name) ||
            (kinds[i].word != NULL && sl_slice_is(name, kinds[i].word)))
            return (enum sl_journal_kind)i;
    }
    for (unsigned i = 0; i < SL_COUNT_OF(words); i++) {
        if (sl_slice_is(name, words[i].word))
            return words[i].kind;
    }
    return SL_JOURNAL_KIND_COUNT;
}

const char *
sl_journal_kind_name(enum sl_journal_kind kind)
{
    sl_assert(kind < SL_JOURNAL_KIND_COUNT);
    return kinds[kind].name;
}

const char *
sl_severity_name(enum sl_severity severity)
{
    sl_assert(severity < SL_COUNT_OF(severities));
    return severities[severity];
}

/* ---- numbers and ids ------------------------------------------------------------------------- */

uint64_t
sl_journal_at(uint64_t time_ms)
{
    return SL_MIN(time_ms, (UINT64_C(1) << 43) - 1) << TIME_BITS;
}

uint64_t
sl_journal_time_ms(uint64_t sequence)
{
    return sequence >> TIME_BITS;
}

void
sl_journal_id(uint64_t sequence, char ret_id[static SL_JOURNAL_ID_SIZE])
{
    (void)snprintf(ret_id, SL_JOURNAL_ID_SIZE, "evt_%016" PRIx64, sequence);
}

static bool
parse_hex(struct sl_slice digits, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < digits.size; i++) {
        uint8_t c = digits.data[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f'))
            return false;
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_number = number;
    return digits.size > 0 && digits.size <= 16;
}

bool
sl_journal_id_parse(struct sl_slice id, uint64_t *ret_sequence)
{
    return id.size == SL_JOURNAL_ID_SIZE - 1 && memcmp(id.data, "evt_", 4) == 0 &&
           parse_hex(sl_slice(id.data + 4, 16), ret_sequence);
}

struct sl_slice
sl_journal_prefix(void)
{
    return sl_slice_str("e");
}

struct sl_slice
sl_journal_key(struct sl_buf *out, uint64_t sequence)
{
    sl_buf_clear(out);
    sl_buf_printf(out, "e%016" PRIx64, sequence);
    return sl_buf_slice(out);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The part up to `end`; what is behind it stays in *rest. */
static bool
take_part(struct sl_slice *rest, char end, struct sl_slice *ret_part)
{
    const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, end, rest->size);
    if (at == NULL)
        return false;
    size_t size = (size_t)(at - rest->data);
    *ret_part = sl_slice(rest->data, size);
    *rest = sl_slice(at + 1, rest->size - size - 1);
    return true;
}

bool
sl_journal_read(struct sl_slice key, struct sl_slice value, struct sl_journal_row *ret_row)
{
    struct sl_journal_row row = {0};
    struct sl_slice scope;
    if (key.size != 17 || !parse_hex(sl_slice(key.data + 1, 16), &row.sequence) ||
        !take_part(&value, ' ', &row.kind) || !take_part(&value, ' ', &row.severity) ||
        !take_part(&value, ' ', &scope) || !parse_hex(scope, &row.scope) ||
        !take_part(&value, '\n', &row.subject))
        return false;
    row.json = value;
    *ret_row = row;
    return true;
}

static struct sl_slice
last_key(void)
{
    return sl_slice_str("last");
}

static struct sl_slice
kept_key(void)
{
    return sl_slice_str("kept");
}

static struct sl_slice
cut_key(void)
{
    return sl_slice_str("cut");
}

uint64_t
sl_journal_last(struct sl_txn *txn)
{
    return (uint64_t)sl_txn_counter(txn, SL_SCOPE_SYSTEM, SL_TABLE_EVENT, last_key());
}

uint64_t
sl_journal_cut(struct sl_txn *txn, struct sl_scope scope)
{
    return (uint64_t)sl_txn_counter(txn, scope, SL_TABLE_EVENT, cut_key());
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* As the event says it; 0: it does not. */
static uint64_t
own_time_ms(struct sl_slice json)
{
    struct sl_json_doc *doc = NULL;
    uint64_t time_ms = 0;
    if (sl_json_parse(json, &doc, NULL) == SL_OK) {
        char *text = sl_json_strdup(sl_json_member(sl_json_root(doc), "ts"));
        if (text == NULL || sl_time_parse(sl_slice_str(text), &time_ms) != SL_OK)
            time_ms = 0;
        sl_free(text);
    }
    sl_json_destroy(&doc);
    return time_ms;
}

static bool
was_told(struct sl_txn *txn, uint64_t now_ms, const struct sl_journal_event *event)
{
    struct sl_scan scan;
    struct sl_journal_row row;
    struct sl_slice subject = sl_slice_str(event->subject == NULL ? "" : event->subject);
    bool is_told = false;
    subject.size = SL_MIN(subject.size, (size_t)SL_JOURNAL_SUBJECT_MAX);
    sl_txn_scan(txn, event->scope, SL_TABLE_EVENT, sl_journal_prefix(), sl_slice(NULL, 0), true,
                &scan);
    for (unsigned i = 0; i < QUIET_LOOK && !is_told && sl_scan_next(&scan); i++) {
        if (!sl_journal_read(scan.key, scan.value, &row))
            continue;
        uint64_t at_ms = sl_journal_time_ms(row.sequence);
        bool is_ahead = at_ms > now_ms;
        if (!is_ahead && at_ms + event->quiet_ms <= now_ms)
            break;
        if (!sl_slice_is(row.kind, kinds[event->kind].name) ||
            !sl_slice_equal(row.subject, subject))
            continue;
        /* A clock that was ahead has left numbers of a time to come, to all events since. */
        if (is_ahead)
            at_ms = own_time_ms(row.json);
        is_told = at_ms <= now_ms && at_ms + event->quiet_ms > now_ms;
    }
    sl_scan_end(&scan);
    return is_told;
}

static void
write_text(struct sl_jsonw *w, const char *name, const char *text, size_t size_max)
{
    struct sl_slice all = sl_slice_str(text == NULL ? "" : text);
    if (all.size > size_max) {
        all.size = size_max; /* Not within a character, though. */
        while (all.size > 0 && (all.data[all.size] & 0xc0) == 0x80)
            all.size--;
    }
    sl_jsonw_member_slice(w, name, all);
}

static void
write_event(struct sl_buf *out, uint64_t sequence, uint64_t now_ms,
            const struct sl_journal_event *event)
{
    char id[SL_JOURNAL_ID_SIZE];
    struct sl_jsonw w;
    const char *word = event->word != NULL ? event->word : kinds[event->kind].word;
    sl_journal_id(sequence, id);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "event_id", id);
    sl_jsonw_member_time(&w, "ts", now_ms);
    sl_jsonw_member_str(&w, "severity", severities[event->severity]);
    sl_jsonw_member_str(&w, "kind", kinds[event->kind].name);
    sl_jsonw_member_str(&w, "tenant_id", event->tenant_id == NULL ? "" : event->tenant_id);
    write_text(&w, "node_id", event->node_id, SL_JOURNAL_SUBJECT_MAX);
    write_text(&w, "subject", event->subject, SL_JOURNAL_SUBJECT_MAX);
    write_text(&w, "message", event->message, SL_JOURNAL_MESSAGE_MAX);
    if (event->attributes.size > 0)
        sl_jsonw_member_raw(&w, "attributes", event->attributes);
    else
        sl_jsonw_member_raw(&w, "attributes", sl_slice_str("{}"));
    /* As events were before they had ids. */
    sl_jsonw_member_time(&w, "time", now_ms);
    sl_jsonw_member_str(&w, "event", word != NULL ? word : kinds[event->kind].name);
    sl_jsonw_member_str(&w, "group", event->group == NULL ? "" : event->group);
    write_text(&w, "about", event->subject, SL_JOURNAL_SUBJECT_MAX);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

/* Its onboarding wrote it down (SL_TABLE_HEAD). Owned; NULL: it was there before that did. */
static char *
tenant_of(struct sl_txn *txn, struct sl_scope scope)
{
    struct sl_json_doc *doc = NULL;
    struct sl_slice value;
    char *id = NULL;
    if (scope.id != SL_SCOPE_SYSTEM.id &&
        sl_txn_get(txn, scope, SL_TABLE_HEAD, sl_slice_str("tenant"), &value) == SL_OK &&
        sl_json_parse(value, &doc, NULL) == SL_OK)
        id = sl_json_strdup(sl_json_member(sl_json_root(doc), "tenant_id"));
    sl_json_destroy(&doc);
    return id;
}

/* Whether this transaction has it gone already: scans show what was before. */
static bool
is_there(struct sl_txn *txn, struct sl_scope scope, struct sl_slice key)
{
    struct sl_slice value;
    return sl_txn_get(txn, scope, SL_TABLE_EVENT, key, &value) == SL_OK;
}

/* Have the oldest go that are too many or too old. */
static void
cut(struct sl_txn *txn, struct sl_scope scope, uint64_t now_ms, int64_t max)
{
    int64_t kept = sl_txn_counter(txn, scope, SL_TABLE_EVENT, kept_key());
    uint64_t old = sl_journal_at(now_ms < SL_JOURNAL_KEEP_MS ? 0 : now_ms - SL_JOURNAL_KEEP_MS);
    struct sl_scan scan;
    struct sl_buf key = {0};
    uint64_t gone[CUT_MAX];
    unsigned count = 0;
    sl_txn_scan(txn, scope, SL_TABLE_EVENT, sl_journal_prefix(), sl_slice(NULL, 0), false, &scan);
    while (count < CUT_MAX && sl_scan_next(&scan)) {
        if (scan.key.size != 17 || !parse_hex(sl_slice(scan.key.data + 1, 16), &gone[count]) ||
            !is_there(txn, scope, scan.key))
            continue;
        if (kept - (int64_t)count <= max && gone[count] >= old)
            break;
        count++;
    }
    sl_scan_end(&scan);
    for (unsigned i = 0; i < count; i++)
        sl_txn_del(txn, scope, SL_TABLE_EVENT, sl_journal_key(&key, gone[i]));
    if (count > 0) {
        uint64_t was = sl_journal_cut(txn, scope);
        sl_txn_add(txn, scope, SL_TABLE_EVENT, kept_key(), -(int64_t)count);
        sl_txn_add(txn, scope, SL_TABLE_EVENT, cut_key(), (int64_t)(gone[count - 1] - was));
    }
    sl_buf_deinit(&key);
}

static void
put(struct sl_txn *txn, struct sl_scope scope, uint64_t sequence, struct sl_slice row)
{
    struct sl_buf key = {0};
    sl_txn_put(txn, scope, SL_TABLE_EVENT, sl_journal_key(&key, sequence), row);
    sl_txn_add(txn, scope, SL_TABLE_EVENT, kept_key(), 1);
    sl_buf_deinit(&key);
}

bool
sl_journal_add(struct sl_txn *txn, uint64_t now_ms, const struct sl_journal_event *event)
{
    sl_assert(event->kind < SL_JOURNAL_KIND_COUNT);
    if (event->quiet_ms > 0 && was_told(txn, now_ms, event))
        return false;
    enum sl_severity severity =
        event->severity == SL_SEVERITY_USUAL ? kinds[event->kind].severity : event->severity;
    uint64_t last = sl_journal_last(txn);
    uint64_t sequence = SL_MAX(last + 1, sl_journal_at(now_ms));
    struct sl_buf row = {0};
    sl_buf_printf(&row, "%s %s %" PRIx64 " ", kinds[event->kind].name, severities[severity],
                  event->scope.id);
    for (size_t i = 0;
         event->subject != NULL && event->subject[i] != '\0' && i < SL_JOURNAL_SUBJECT_MAX; i++)
        sl_buf_append(&row, event->subject[i] == '\n' ? " " : &event->subject[i], 1);
    sl_buf_append_str(&row, "\n");
    struct sl_journal_event whole = *event;
    char *tenant = event->tenant_id == NULL ? tenant_of(txn, event->scope) : NULL;
    whole.tenant_id = tenant != NULL ? tenant : event->tenant_id;
    whole.severity = severity;
    write_event(&row, sequence, now_ms, &whole);
    sl_free(tenant);
    sl_txn_add(txn, SL_SCOPE_SYSTEM, SL_TABLE_EVENT, last_key(), (int64_t)(sequence - last));
    put(txn, SL_SCOPE_SYSTEM, sequence, sl_buf_slice(&row));
    cut(txn, SL_SCOPE_SYSTEM, now_ms, SL_JOURNAL_MAX);
    if (event->scope.id != SL_SCOPE_SYSTEM.id) {
        put(txn, event->scope, sequence, sl_buf_slice(&row));
        cut(txn, event->scope, now_ms, SL_JOURNAL_TENANT_MAX);
    }
    sl_buf_deinit(&row);
    return true;
}
