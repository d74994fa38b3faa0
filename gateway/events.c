/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened (actors/journal.h), as pages and as server-sent events. Whoever comes again with
 * the id of the last event that it has seen misses nothing that is still kept; what is not is told
 * as a gap. A stream's reply ends with what it has told, or after KEEP_ALIVE_MS with a comment, and
 * the client comes again, as an EventSource does by itself: so one that reads slowly holds up
 * nobody, and has at most a page in memory here.
 */
#include "gateway/events.h"

#include <inttypes.h>

#include "actors/journal.h"
#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "runtime/time.h"

#define PAGE          20
#define STREAM_PAGE   100
#define PAGE_MAX      1000
#define KEEP_ALIVE_MS 15000
#define RETRY_MS      50 /* After which a client of a stream comes again. */

struct ask {
    struct sl_scope scope;             /* Whose; the system's: all. */
    struct sl_slice kinds, severities; /* Comma between them; empty: all. */
    uint64_t after;                    /* Only newer ones. */
    uint64_t before;                   /* Only older ones, and from the newest on; 0: not so. */
    uint64_t until_ns;
    uint32_t limit;
    bool is_stream, is_forward;
};

/* ---- what is asked for ----------------------------------------------------------------------- */

/* The part of a list of words up to the comma; the rest is left in *list. */
static struct sl_slice
take_word(struct sl_slice *list)
{
    const uint8_t *comma = memchr(list->data, ',', list->size);
    size_t size = comma == NULL ? list->size : (size_t)(comma - list->data);
    struct sl_slice word = sl_slice(list->data, size);
    size_t behind = SL_MIN(size + 1, list->size);
    *list = sl_slice(list->data + behind, list->size - behind);
    return word;
}

static void
read_words(struct sl_call *call, struct ask *ask)
{
    ask->kinds = sl_call_query(call, "kind");
    ask->severities = sl_call_query(call, "severity");
    for (struct sl_slice rest = ask->kinds; rest.size > 0;) {
        struct sl_slice word = take_word(&rest);
        if (sl_journal_kind_find(word) == SL_JOURNAL_KIND_COUNT)
            sl_call_invalid(call, "query.kind", "value_error",
                            "%.*s is no kind of event; see docs/events.md",
                            (int)SL_MIN(word.size, (size_t)64), (const char *)word.data);
    }
    for (struct sl_slice rest = ask->severities; rest.size > 0;) {
        struct sl_slice word = take_word(&rest);
        if (!sl_slice_is(word, "info") && !sl_slice_is(word, "warning") &&
            !sl_slice_is(word, "critical"))
            sl_call_invalid(call, "query.severity", "value_error",
                            "a severity is info, warning or critical");
    }
}

/* The id of an event, which is not told again, or a time, from which on all is. */
static bool
read_since(struct sl_slice text, uint64_t *ret_after)
{
    uint64_t at_ms;
    if (sl_journal_id_parse(text, ret_after))
        return true;
    if (sl_time_parse(text, &at_ms) != SL_OK)
        return false;
    uint64_t first = sl_journal_at(at_ms);
    *ret_after = first == 0 ? 0 : first - 1;
    return true;
}

/* "n" or "o" (newer, older) and the id of the last event of the page before. */
static bool
read_cursor(struct sl_slice text, struct ask *ask)
{
    uint64_t number;
    if (text.size == 0 || !sl_journal_id_parse(sl_slice(text.data + 1, text.size - 1), &number))
        return false;
    ask->is_forward = text.data[0] == 'n';
    if (ask->is_forward)
        ask->after = number;
    else
        ask->before = number;
    return text.data[0] == 'n' || text.data[0] == 'o';
}

static void
read_place(struct sl_call *call, struct ask *ask)
{
    struct sl_slice since = sl_call_query(call, "since"), cursor = sl_call_query(call, "cursor");
    struct sl_slice seen = ask->is_stream ? call->sent.last_event_id : sl_slice(NULL, 0);
    uint64_t last = sl_journal_last(call->txn);
    ask->after = ask->is_stream ? last : 0;
    /* A strange Last-Event-ID is of another stream: then it begins like one without. */
    if (seen.size > 0 && sl_journal_id_parse(seen, &ask->after)) {
        ask->is_forward = true;
    } else if (since.size > 0) {
        ask->is_forward = true;
        if (!read_since(since, &ask->after))
            sl_call_invalid(call, "query.since", "value_error",
                            "the id of an event, or a time as 2030-01-01T00:00:00Z");
    }
    if (ask->is_stream)
        ask->is_forward = true;
    else if (cursor.size > 0 && !read_cursor(cursor, ask))
        sl_call_invalid(call, "query.cursor", "value_error",
                        "it is none that a page of events has ended with");
    /* Of another data directory, or of a clock that was set back by a backup: nothing is to come
     * that has so high a number for a long while. */
    if (ask->after > last)
        ask->after = ask->is_stream ? last : ask->after;
}

static bool
is_wanted(const struct ask *ask, const struct sl_journal_row *row)
{
    bool is_kind = ask->kinds.size == 0, is_severity = ask->severities.size == 0;
    for (struct sl_slice rest = ask->kinds; rest.size > 0 && !is_kind;) {
        enum sl_journal_kind kind = sl_journal_kind_find(take_word(&rest));
        is_kind = sl_slice_is(row->kind, sl_journal_kind_name(kind));
    }
    for (struct sl_slice rest = ask->severities; rest.size > 0 && !is_severity;)
        is_severity = sl_slice_equal(row->severity, take_word(&rest));
    return is_kind && is_severity;
}

/* ---- what is found --------------------------------------------------------------------------- */

struct found {
    struct sl_journal_row *rows; /* In the order of the walk; copies, the call's. */
    uint32_t count;
    uint64_t walked_to; /* The number of the last one that was looked at; 0: none was. */
    uint64_t hidden_to; /* Of the newest that is too old to be told; 0: none is. */
    bool is_more;
};

static void
find(struct sl_call *call, const struct ask *ask, struct found *ret)
{
    struct sl_buf from = {0};
    struct sl_scan scan;
    struct sl_journal_row row;
    uint64_t edge = ask->is_forward ? ask->after : ask->before;
    /* What is too old is as if it had gone, though nothing came that would have removed it. */
    uint64_t old =
        sl_journal_at(call->now_ms < SL_JOURNAL_KEEP_MS ? 0 : call->now_ms - SL_JOURNAL_KEEP_MS);
    *ret = (struct found){0};
    if (edge > 0)
        (void)sl_journal_key(&from, edge);
    sl_txn_scan(call->txn, ask->scope, SL_TABLE_EVENT, sl_journal_prefix(), sl_buf_slice(&from),
                !ask->is_forward, &scan);
    while (sl_scan_next(&scan)) {
        if (!sl_journal_read(scan.key, scan.value, &row))
            continue;
        if (row.sequence < old) {
            ret->hidden_to = SL_MAX(ret->hidden_to, row.sequence);
            continue;
        }
        bool is_good = is_wanted(ask, &row);
        if (is_good && ret->count == ask->limit) {
            ret->is_more = true;
            break;
        }
        ret->walked_to = row.sequence;
        if (!is_good)
            continue;
        if (ret->rows == NULL) /* Who waits for long has nothing of it. */
            ret->rows = sl_call_alloc(call, ask->limit * sizeof(row));
        row.json = sl_call_copy(call, row.json);
        row.kind = sl_call_copy(call, row.kind);
        ret->rows[ret->count++] = row;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&from);
}

static const char *
id_of(struct sl_call *call, uint64_t sequence)
{
    char *id = sl_call_alloc(call, SL_JOURNAL_ID_SIZE);
    sl_journal_id(sequence, id);
    return id;
}

/* ---- a page ---------------------------------------------------------------------------------- */

/* The latest last, whichever way it was walked. */
static void
write_page(struct sl_call *call, const struct ask *ask)
{
    struct found found;
    struct sl_jsonw *w = &call->out;
    find(call, ask, &found);
    sl_jsonw_object(w);
    sl_jsonw_name(w, "results");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < found.count; i++)
        sl_jsonw_raw(w, found.rows[ask->is_forward ? i : found.count - 1 - i].json);
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "total", found.count);
    sl_jsonw_name(w, "pagination");
    sl_jsonw_object(w);
    if (found.is_more)
        sl_jsonw_member_str(w, "next_cursor",
                            sl_call_format(call, "%c%s", ask->is_forward ? 'n' : 'o',
                                           id_of(call, found.rows[found.count - 1].sequence)));
    sl_jsonw_end(w);
    sl_jsonw_end(w);
}

/* ---- a stream -------------------------------------------------------------------------------- */

static void
write_gap(struct sl_call *call, struct ask *ask, uint64_t cut)
{
    struct sl_jsonw w;
    sl_buf_printf(&call->reply, "id: %s\nevent: gap\ndata: ", id_of(call, cut));
    sl_jsonw_init(&w, &call->reply);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "after", id_of(call, ask->after));
    sl_jsonw_member_str(&w, "until", id_of(call, cut));
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_buf_append_str(&call->reply, "\n\n");
    ask->after = cut;
}

/* Whether there was anything to tell. */
static bool
write_stream(struct sl_call *call, struct ask *ask)
{
    struct sl_buf *out = &call->reply;
    struct found found;
    find(call, ask, &found);
    /* What is too old is a gap like what has gone; where nothing was, there is none. */
    uint64_t cut = SL_MAX(sl_journal_cut(call->txn, ask->scope), found.hidden_to);
    bool has_gap = ask->after > 0 && ask->after < cut;
    sl_buf_printf(out, "retry: %d\n", RETRY_MS);
    if (has_gap)
        write_gap(call, ask, cut);
    for (uint32_t i = 0; i < found.count; i++) {
        const struct sl_journal_row *row = &found.rows[i];
        sl_buf_printf(out, "id: %s\nevent: %.*s\ndata: %.*s\n\n", id_of(call, row->sequence),
                      SL_SLICE_FMT(row->kind), SL_SLICE_FMT(row->json));
    }
    /* What was looked at and is not wanted is not looked at again; an id alone is no event, but the
     * client comes again with it. */
    ask->after = SL_MAX(ask->after, found.walked_to);
    sl_buf_printf(out, "id: %s\n: keep-alive\n\n", id_of(call, ask->after));
    call->reply_type = "text/event-stream";
    sl_call_header(call, "Cache-Control", "no-cache");
    sl_call_header(call, "X-Accel-Buffering", "no");
    return found.count > 0 || has_gap;
}

static void on_event(struct sl_call *call);

static void
tell(struct sl_call *call, bool may_wait)
{
    struct ask *ask = call->state;
    if (write_stream(call, ask) || !may_wait || call->now_ns >= ask->until_ns)
        return;
    sl_call_reset(call);
    sl_call_await_scope(call, ask->scope, SL_EVENTS_LANE, ask->until_ns - call->now_ns, on_event);
}

static void
on_event(struct sl_call *call)
{
    tell(call, sl_call_wait_error(call, NULL) != SL_ECANCELED);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void
answer(struct sl_call *call, struct sl_scope scope)
{
    struct ask *ask = sl_call_alloc(call, sizeof(*ask));
    bool is_stream = sl_call_query_bool(call, "follow", false);
    *ask = (struct ask){.scope = scope, .is_stream = is_stream};
    ask->limit = sl_list_number(call, "limit", NULL, 1, PAGE_MAX, is_stream ? STREAM_PAGE : PAGE);
    ask->until_ns = call->now_ns + SL_MILLI_NS * sl_list_number(call, "wait_ms", NULL, 0,
                                                                KEEP_ALIVE_MS, KEEP_ALIVE_MS);
    read_words(call, ask);
    read_place(call, ask);
    if (sl_call_has_failed(call))
        return;
    call->state = ask;
    if (is_stream)
        tell(call, true);
    else
        write_page(call, ask);
}

sl_handler_fn sl_api_list_events, sl_api_list_tenant_events;

/* An operator's are all, or ?tenant_id='s; anybody else's are the tenant's own. */
void
sl_api_list_events(struct sl_call *call)
{
    struct sl_slice wanted = sl_call_query(call, "tenant_id");
    struct sl_identity tenant = call->who;
    if (wanted.data != NULL &&
        ((!call->who.is_operator && !sl_slice_is(wanted, call->who.tenant_id)) ||
         sl_keyring_tenant(call->gateway->keyring, wanted, &tenant) != SL_OK)) {
        sl_call_not_found(call, "tenant", wanted);
        return;
    }
    bool is_all = wanted.data == NULL && call->who.is_operator;
    answer(call, is_all ? SL_SCOPE_SYSTEM : tenant.scope);
}

void
sl_api_list_tenant_events(struct sl_call *call)
{
    struct sl_identity tenant;
    struct sl_slice id = call->params[0];
    if ((!sl_slice_is(id, call->who.tenant_id) && !call->who.is_operator) ||
        sl_keyring_tenant(call->gateway->keyring, id, &tenant) != SL_OK) {
        sl_call_not_found(call, "tenant", id);
        return;
    }
    answer(call, tenant.scope);
}
