/* SPDX-License-Identifier: Apache-2.0 */
/* What comes into the journal from the head, and who is woken by what comes from anybody. */
#include <inttypes.h>

#include "actors/cluster.h"
#include "actors/journal.h"
#include "actors/rows.h"
#include "gateway/api_state.h"
#include "gateway/events.h"
#include "gateway/gateway.h"
#include "gateway/resource.h"
#include "gateway/user.h"
#include "runtime/live.h"
#include "runtime/report.h"

#define NEW_MAX 1000 /* Events of a commit that are looked at; what it has beyond wakes all. */

static bool
touch(struct sl_api *a, uint64_t scope)
{
    return sl_queue_waits_touch(a->queues, (struct sl_scope){scope}, SL_EVENTS_LANE, true);
}

/* Behind a commit: whoever follows those events is ready. */
static void
wake(void *arg)
{
    struct sl_api *a = arg;
    struct sl_gateway *g = a->options.gateway;
    struct sl_txn *txn = sl_store_begin(g->store);
    struct sl_journal_row row;
    struct sl_scan scan;
    uint64_t newest = a->event_last;
    bool is_due = false;
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_EVENT, sl_journal_prefix(), sl_slice(NULL, 0), true,
                &scan);
    for (unsigned i = 0; i < NEW_MAX && sl_scan_next(&scan); i++) {
        if (!sl_journal_read(scan.key, scan.value, &row) || row.sequence <= a->event_last)
            break;
        newest = SL_MAX(newest, row.sequence);
        if (row.scope != SL_SCOPE_SYSTEM.id && touch(a, row.scope))
            is_due = true;
    }
    sl_scan_end(&scan);
    sl_txn_abort(&txn);
    if (newest == a->event_last)
        return;
    a->event_last = newest;
    is_due = touch(a, SL_SCOPE_SYSTEM.id) || is_due;
    if (!is_due || g->live == NULL)
        return;
    struct sl_msg *msg = sl_msg_create(SL_M_queue_ready, &(struct sl_m_queue_ready){0});
    msg->to.actor = SL_ACTOR_API;
    sl_live_post(g->live, msg);
}

void
sl_events_watch(struct sl_api *a)
{
    struct sl_txn *txn = sl_store_begin(a->options.gateway->store);
    a->event_last = sl_journal_last(txn);
    sl_txn_abort(&txn);
    sl_store_watch(a->options.gateway->store, SL_TABLE_EVENT, wake, a);
}

/* A text of a message, NUL-terminated, cut to what fits. */
static const char *
text_of(char *out, size_t size, struct sl_slice text)
{
    size_t length = SL_MIN(text.size, size - 1);
    if (length > 0)
        memcpy(out, text.data, length);
    out[length] = '\0';
    return out;
}

void
sl_events_take(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_api *a = self;
    const struct sl_m_cluster_event *m = SL_BODY(msg, cluster_event);
    char word[40], group[40], about[SL_JOURNAL_SUBJECT_MAX + 1], text[SL_JOURNAL_MESSAGE_MAX + 1];
    struct sl_journal_event event = {.kind = sl_journal_kind_find(m->word),
                                     .severity =
                                         m->is_critical ? SL_SEVERITY_CRITICAL : SL_SEVERITY_USUAL,
                                     .word = text_of(word, sizeof(word), m->word),
                                     .group = text_of(group, sizeof(group), m->group),
                                     .subject = text_of(about, sizeof(about), m->about),
                                     .message = text_of(text, sizeof(text), m->text)};
    (void)ctx;
    if (SL_BUG(event.kind == SL_JOURNAL_KIND_COUNT) || sl_store_is_low(a->options.gateway->store))
        return; /* The head's log has it. */
    if (event.kind == SL_JOURNAL_node_joined || event.kind == SL_JOURNAL_node_lost ||
        event.kind == SL_JOURNAL_node_draining || event.kind == SL_JOURNAL_replica_failed ||
        event.kind == SL_JOURNAL_replica_started)
        event.node_id = event.subject;
    struct sl_txn *txn = sl_store_begin(a->options.gateway->store);
    (void)sl_journal_add(txn, m->time_ms, &event);
    enum sl_err err = sl_txn_commit(&txn);
    if (err != SL_OK)
        sl_report_warn("event-dropped", "event=%s about=%s err=%s", event.word, event.subject,
                       sl_err_name(err));
}

/* ---- tenants --------------------------------------------------------------------------------- */

void
sl_events_tenant_state(struct sl_call *call, const struct sl_identity *tenant, struct sl_slice row)
{
    struct sl_json before = {0};
    const char *state = sl_member_str(call, sl_call_parse(call, row), "state");
    const char *was = "";
    if (sl_system_row(call, SL_TABLE_TENANT, sl_slice_str(tenant->tenant_id), &before))
        was = sl_member_str(call, before, "state");
    if (strcmp(state, was) == 0)
        return;
    const char *both = sl_call_format(call, "{\"from\":\"%s\",\"to\":\"%s\"}", was, state);
    /* Before it is there, and once it has gone, its scope holds nothing. */
    bool is_there = strcmp(state, "active") == 0 || strcmp(state, "suspended") == 0 ||
                    strcmp(state, "offboarding") == 0;
    struct sl_journal_event event = {
        .kind = SL_JOURNAL_tenant_state_changed,
        .severity = strcmp(state, "failed") == 0 ? SL_SEVERITY_WARNING : SL_SEVERITY_USUAL,
        .scope = is_there ? tenant->scope : SL_SCOPE_SYSTEM,
        .tenant_id = tenant->tenant_id,
        .subject = tenant->tenant_id,
        .message = sl_call_format(call, "%s, was %s", state, *was == '\0' ? "not there" : was),
        .attributes = sl_slice_str(both)};
    (void)sl_journal_add(call->txn, call->now_ms, &event);
}
