/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log over the API: pages of it, one event, the walk along its chain, its setting. */
#include <inttypes.h>
#include <stdlib.h>

#include "actors/rows.h"
#include "gateway/audit.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "runtime/time.h"

#define VERIFY_TURN 2000u /* Events of a turn; then others have theirs. */
#define ID_PREFIX   "audit_"

/* ---- pages ---------------------------------------------------------------------------------- */

struct period {
    uint64_t start_ms, end_ms;
};

static bool
read_time(struct sl_call *call, const char *name, uint64_t *ret_ms)
{
    struct sl_slice text = sl_call_query(call, name);
    if (text.size == 0 || sl_time_parse(text, ret_ms) == SL_OK)
        return true;
    sl_call_invalid(call, sl_call_format(call, "query.%s", name), "value_error",
                    "a time as 2030-01-01T00:00:00Z");
    return false;
}

static bool
render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
       struct sl_jsonw *w)
{
    static const char *const filters[] = {"resource_type", "resource_id", "actor_id", "action"};
    const struct period *period = arg;
    struct sl_json row = sl_call_parse(call, value);
    uint64_t at_ms = 0;
    (void)key;
    for (size_t i = 0; i < SL_COUNT_OF(filters); i++) {
        struct sl_slice wanted = sl_call_query(call, filters[i]);
        if (wanted.size > 0 && !sl_slice_equal(wanted, sl_member_text(call, row, filters[i])))
            return false;
    }
    if (sl_time_parse(sl_member_text(call, row, "timestamp"), &at_ms) != SL_OK ||
        at_ms < period->start_ms || at_ms >= period->end_ms)
        return false;
    sl_jsonw_value(w, row);
    return true;
}

void
sl_api_list_audit(struct sl_call *call)
{
    struct period period = {.end_ms = UINT64_MAX};
    struct sl_list list;
    if (!read_time(call, "start", &period.start_ms) || !read_time(call, "end", &period.end_ms) ||
        !sl_list_begin(call, 50, &list))
        return;
    struct sl_list_source source = {.scope = call->who.scope,
                                    .table = SL_TABLE_AUDIT,
                                    .prefix = sl_audit_prefix(),
                                    .render = render,
                                    .arg = &period,
                                    .needs_total = true};
    list.offset = sl_list_number(call, "skip", "offset", 0, SL_LIST_OFFSET_MAX, list.offset);
    if (sl_call_has_failed(call)) {
        sl_list_end(&list);
        return;
    }
    if (!sl_list_run(&list, call, &source))
        return;
    sl_jsonw_object(&call->out);
    sl_list_write(&list, &call->out);
    sl_jsonw_member_u64(&call->out, "total", list.total);
    sl_jsonw_member_u64(&call->out, "skip", list.offset);
    sl_jsonw_member_u64(&call->out, "limit", list.limit);
    sl_jsonw_end(&call->out);
    sl_list_end(&list);
}

void
sl_api_get_audit(struct sl_call *call)
{
    const size_t prefix = sizeof(ID_PREFIX) - 1;
    const char *id = sl_call_identifier(call, call->params[0]);
    struct sl_buf key = {0};
    struct sl_slice value;
    char *end = NULL;
    uint64_t sequence = 0;
    if (id != NULL && strncmp(id, ID_PREFIX, prefix) == 0 && strlen(id) == prefix + 16 &&
        strspn(id + prefix, "0123456789abcdef") == 16)
        sequence = strtoull(id + prefix, &end, 16);
    if (sequence > 0 && sl_txn_get(call->txn, call->who.scope, SL_TABLE_AUDIT,
                                   sl_audit_key(&key, sequence), &value) == SL_OK)
        sl_jsonw_value(&call->out, sl_call_parse(call, value));
    else
        sl_call_not_found(call, "audit event", call->params[0]);
    sl_buf_deinit(&key);
}

/* ---- the setting ---------------------------------------------------------------------------- */

static void
write_settings(struct sl_call *call, bool is_on)
{
    sl_jsonw_object(&call->out);
    sl_jsonw_member_bool(&call->out, "read_auditing_enabled", is_on);
    sl_jsonw_end(&call->out);
}

void
sl_api_get_audit_settings(struct sl_call *call)
{
    write_settings(call, sl_audit_reads(call));
}

void
sl_api_patch_audit_settings(struct sl_call *call)
{
    bool is_on =
        sl_json_bool(sl_json_member(call->body, "read_auditing_enabled"), sl_audit_reads(call));
    sl_audit_set_reads(call, is_on);
    write_settings(call, is_on);
}

/* ---- the chain ------------------------------------------------------------------------------ */

struct walk {
    uint64_t events, at;                     /* Seen; the number of the last one. */
    char head[SL_AUDIT_DIGEST_SIZE + 1];     /* Of the newest. */
    char expected[SL_AUDIT_DIGEST_SIZE + 1]; /* Of the next one, which is older. */
    uint64_t broken_at;                      /* 0: nowhere. */
    const char *what;
};

static void
break_at(struct walk *walk, uint64_t sequence, const char *what)
{
    walk->broken_at = sequence;
    walk->what = what;
}

/* What an event says of itself. False: it says nothing that can be read. */
static bool
read_event(struct sl_slice text, uint64_t *ret_sequence,
           char ret_previous[SL_AUDIT_DIGEST_SIZE + 1])
{
    struct sl_json_doc *doc = NULL;
    struct sl_buf scratch = {0};
    struct sl_slice previous;
    bool is_good =
        sl_json_parse(text, &doc, NULL) == SL_OK &&
        sl_json_u64(sl_json_member(sl_json_root(doc), "sequence"), ret_sequence) == SL_OK &&
        sl_json_text(sl_json_member(sl_json_root(doc), "previous"), &scratch, &previous) == SL_OK &&
        previous.size == SL_AUDIT_DIGEST_SIZE;
    if (is_good)
        memcpy(ret_previous, previous.data, SL_AUDIT_DIGEST_SIZE);
    sl_json_destroy(&doc);
    sl_buf_deinit(&scratch);
    return is_good;
}

/* The next older event. False: it is not what the one after it says. */
static bool
step(struct walk *walk, struct sl_slice value)
{
    char digest[SL_AUDIT_DIGEST_SIZE + 1];
    uint64_t sequence = 0, due = walk->at - 1;
    sl_audit_digest(value, digest);
    if (walk->events == 0)
        memcpy(walk->head, digest, sizeof(digest));
    else if (strcmp(digest, walk->expected) != 0) {
        break_at(walk, due, "it is not what the event after it has the digest of");
        return false;
    }
    if (!read_event(value, &sequence, walk->expected) || (walk->events > 0 && sequence != due)) {
        break_at(walk, walk->events > 0 ? due : 0, "it is no event of this log");
        return false;
    }
    walk->at = sequence;
    walk->events++;
    return true;
}

static void
write_walk(struct sl_call *call, const struct walk *walk)
{
    bool is_whole = walk->what == NULL;
    sl_jsonw_object(&call->out);
    sl_jsonw_member_str(&call->out, "organization_id", call->who.organization_id);
    sl_jsonw_member_bool(&call->out, "is_intact", is_whole);
    sl_jsonw_member_u64(&call->out, "events", walk->events);
    sl_jsonw_member_str(&call->out, "head", walk->events == 0 ? NULL : walk->head);
    if (!is_whole) {
        sl_jsonw_member_u64(&call->out, "broken_at", walk->broken_at);
        sl_jsonw_member_str(&call->out, "reason", walk->what);
    }
    sl_jsonw_end(&call->out);
}

void
sl_api_verify_audit(struct sl_call *call)
{
    if (call->state == NULL) {
        struct walk *walk = sl_call_alloc(call, sizeof(*walk));
        memset(walk->expected, '0', SL_AUDIT_DIGEST_SIZE);
        call->state = walk;
    }
    struct walk *walk = call->state;
    struct sl_buf after = {0};
    struct sl_scan scan;
    uint32_t turn = 0;
    bool is_good = true;
    if (walk->events > 0)
        (void)sl_audit_key(&after, walk->at);
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_AUDIT, sl_audit_prefix(), sl_buf_slice(&after),
                false, &scan);
    while (turn < VERIFY_TURN && is_good && sl_scan_next(&scan)) {
        is_good = step(walk, scan.value);
        turn++;
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&after);
    if (is_good && turn == VERIFY_TURN) {
        sl_call_yield(call, sl_api_verify_audit);
        return;
    }
    if (is_good && walk->events > 0 && walk->at != 1)
        break_at(walk, walk->at - 1, "it is not there");
    else if (is_good && strspn(walk->expected, "0") != SL_AUDIT_DIGEST_SIZE)
        break_at(walk, 1, "it is not the first of this log");
    write_walk(call, walk);
}
