/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/delivery.h"

#include <inttypes.h>
#include <stdio.h>

#include "actors/count.h"
#include "actors/job_row.h"
#include "actors/rows.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/json.h"

#define DELIVERY_VERSION 1

static const char *const names[] = {"pending", "delivered", "dead"};

const char *
sl_delivery_state_name(enum sl_delivery_state state)
{
    sl_assert((unsigned)state < SL_COUNT_OF(names));
    return names[state];
}

static void
encode(const struct sl_delivery *d, struct sl_buf *out)
{
    sl_buf_append_u8(out, DELIVERY_VERSION);
    sl_buf_append_u8(out, (uint8_t)d->state);
    sl_buf_append_u32(out, d->channel);
    sl_buf_append_u32(out, d->attempts);
    sl_buf_append_u32(out, d->status);
    sl_buf_append_u64(out, d->due_ms);
    sl_buf_append_u64(out, d->created_ms);
    sl_buf_append_u64(out, d->ended_ms);
    sl_buf_append_block(out, d->event_id);
    sl_buf_append_block(out, d->type);
    sl_buf_append_block(out, d->error);
    sl_buf_append_block(out, d->body);
}

enum sl_err
sl_delivery_decode(struct sl_slice row, struct sl_delivery *ret_delivery)
{
    struct sl_reader r = sl_reader(row);
    struct sl_delivery d = {0};
    if (sl_read_u8(&r) != DELIVERY_VERSION)
        return SL_ECORRUPT;
    uint8_t state = sl_read_u8(&r);
    if (state >= SL_COUNT_OF(names))
        return SL_ECORRUPT;
    d.state = (enum sl_delivery_state)state;
    d.channel = sl_read_u32(&r);
    d.attempts = sl_read_u32(&r);
    d.status = sl_read_u32(&r);
    d.due_ms = sl_read_u64(&r);
    d.created_ms = sl_read_u64(&r);
    d.ended_ms = sl_read_u64(&r);
    d.event_id = sl_read_block(&r);
    d.type = sl_read_block(&r);
    d.error = sl_read_block(&r);
    d.body = sl_read_block(&r);
    if (!sl_reader_is_done(&r))
        return SL_ECORRUPT;
    *ret_delivery = d;
    return SL_OK;
}

enum sl_err
sl_delivery_get(struct sl_txn *txn, struct sl_scope scope, const char *webhook, const char *id,
                struct sl_delivery *ret_delivery)
{
    struct sl_buf key = {0};
    struct sl_slice row;
    enum sl_err err = sl_txn_get(txn, scope, SL_TABLE_DELIVERY, sl_key(&key, 2, webhook, id), &row);
    sl_buf_deinit(&key);
    return err == SL_OK ? sl_delivery_decode(row, ret_delivery) : err;
}

struct sl_slice
sl_delivery_due_key(struct sl_buf *out, const char *webhook, uint64_t due_ms, const char *id)
{
    char time[17];
    (void)snprintf(time, sizeof(time), "%016" PRIx64, due_ms);
    return sl_key(out, 3, webhook, time, id);
}

static struct sl_counter
counter(const struct sl_delivery_key *k, const char *what)
{
    return (struct sl_counter){.scope = k->scope, .what = what, .parent = k->webhook};
}

/* How the number of those that wait changes with this row. */
static int64_t
waiting_delta(struct sl_txn *txn, const struct sl_delivery_key *k, const struct sl_delivery *d)
{
    struct sl_delivery was;
    bool waited = sl_delivery_get(txn, k->scope, k->webhook, k->id, &was) == SL_OK &&
                  was.state == SL_DELIVERY_PENDING;
    return (int64_t)(d->state == SL_DELIVERY_PENDING) - (int64_t)waited;
}

void
sl_delivery_put(struct sl_txn *txn, const struct sl_delivery_key *k, const struct sl_delivery *d,
                uint64_t was_due_ms)
{
    struct sl_buf key = {0}, row = {0}, scope = {0};
    encode(d, &row); /* First: what it borrows from the store may go with the next call. */
    sl_count_add(txn, counter(k, SL_COUNT_WAITING), waiting_delta(txn, k, d));
    if (was_due_ms != 0 && was_due_ms != d->due_ms)
        sl_txn_del(txn, SL_SCOPE_SYSTEM, SL_TABLE_DUE,
                   sl_delivery_due_key(&key, k->webhook, was_due_ms, k->id));
    sl_buf_append_u64(&scope, k->scope.id);
    sl_txn_put(txn, SL_SCOPE_SYSTEM, SL_TABLE_DUE,
               sl_delivery_due_key(&key, k->webhook, d->due_ms, k->id), sl_buf_slice(&scope));
    sl_txn_put(txn, k->scope, SL_TABLE_DELIVERY, sl_key(&key, 2, k->webhook, k->id),
               sl_buf_slice(&row));
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
    sl_buf_deinit(&scope);
}

/* ---- events -------------------------------------------------------------------------------- */

struct emission {
    struct sl_txn *txn;
    const struct sl_event *event;
    uint64_t number; /* Of the tenant's events; 0: nobody wanted it so far. */
    char event_id[24];
};

/* Numbered, not random: settling runs in simulation, and equal seeds give equal runs. */
static void
number_event(struct emission *e)
{
    struct sl_slice counter = sl_slice_str("events");
    uint8_t digest[SL_SHA256_SIZE];
    uint64_t parts[2] = {e->event->scope.id, 0};
    if (e->number != 0)
        return;
    sl_txn_add(e->txn, e->event->scope, SL_TABLE_COUNT, counter, 1);
    e->number = (uint64_t)sl_txn_counter(e->txn, e->event->scope, SL_TABLE_COUNT, counter);
    parts[1] = e->number;
    sl_sha256(sl_slice(parts, sizeof(parts)), digest);
    memcpy(e->event_id, "evt_", 4);
    sl_hex(sl_slice(digest, 8), e->event_id + 4);
}

static bool
is_wanted(struct sl_json webhook, const char *type)
{
    if (!sl_json_bool(sl_json_member(webhook, "is_active"), false))
        return false;
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(webhook, "event_types"));
         sl_json_next(&i);) {
        if (sl_json_is(i.value, type))
            return true;
    }
    return false;
}

static void
write_event(const struct emission *e, struct sl_json webhook, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "event_id", e->event_id);
    sl_jsonw_member_str(w, "event_type", e->event->type);
    sl_jsonw_member_value(w, "organization_id", sl_json_member(webhook, "organization_id"));
    sl_jsonw_member_str(w, "namespace_id", e->event->namespace_id);
    sl_jsonw_member_time(w, "created_at", e->event->now_ms);
    sl_jsonw_member_time(w, "timestamp", e->event->now_ms);
    sl_jsonw_member_raw(w, "data", e->event->data);
    sl_jsonw_end(w);
}

static void
write_body(const struct emission *e, struct sl_json webhook, struct sl_json channel,
           struct sl_buf *out)
{
    struct sl_jsonw w;
    struct sl_buf event = {0};
    sl_jsonw_init(&w, &event);
    write_event(e, webhook, &w);
    sl_jsonw_done(&w);
    if (sl_json_is(sl_json_member(channel, "channel"), "slack")) {
        sl_jsonw_init(&w, out); /* What chat servers take: one text. */
        sl_jsonw_object(&w);
        sl_jsonw_member_slice(&w, "text", sl_buf_slice(&event));
        sl_jsonw_end(&w);
        sl_jsonw_done(&w);
    } else {
        sl_buf_append_slice(out, sl_buf_slice(&event));
    }
    sl_buf_deinit(&event);
}

/* False: too much waits for this webhook already. */
static bool
has_room(struct emission *e, const char *webhook_id)
{
    struct sl_delivery_key k = {.scope = e->event->scope, .webhook = webhook_id};
    if (sl_count(e->txn, counter(&k, SL_COUNT_WAITING)) < SL_DELIVERIES_WAITING_MAX)
        return true;
    sl_count_add(e->txn, counter(&k, SL_COUNT_DROPPED), 1);
    return false;
}

static void
emit_to(struct emission *e, const char *webhook_id, struct sl_json webhook)
{
    uint32_t channel = 0;
    if (!has_room(e, webhook_id))
        return;
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(webhook, "channels"));
         sl_json_next(&i); channel++) {
        struct sl_buf body = {0};
        char id[SL_DELIVERY_ID_SIZE + 1];
        number_event(e);
        (void)snprintf(id, sizeof(id), "dlv_%013" PRIx64 "%03x", e->number & 0xfffffffffffffu,
                       channel & 0xfffu);
        write_body(e, webhook, i.value, &body);
        sl_delivery_put(
            e->txn,
            &(struct sl_delivery_key){.scope = e->event->scope, .webhook = webhook_id, .id = id},
            &(struct sl_delivery){.channel = channel,
                                  .due_ms = e->event->now_ms,
                                  .created_ms = e->event->now_ms,
                                  .event_id = sl_slice_str(e->event_id),
                                  .type = sl_slice_str(e->event->type),
                                  .body = sl_buf_slice(&body)},
            0);
        sl_buf_deinit(&body);
    }
}

/* Rows are staged while the scan goes on: they reach the catalogue only with the commit. */
void
sl_event_emit(struct sl_txn *txn, const struct sl_event *event)
{
    struct emission e = {.txn = txn, .event = event};
    struct sl_scan scan;
    struct sl_buf id = {0};
    sl_txn_scan(txn, event->scope, SL_TABLE_WEBHOOK, (struct sl_slice){0}, (struct sl_slice){0},
                false, &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json_doc *doc = NULL;
        if (sl_json_parse(scan.value, &doc, NULL) != SL_OK)
            continue;
        sl_buf_clear(&id);
        sl_buf_append_slice(&id, scan.key);
        if (is_wanted(sl_json_root(doc), event->type))
            emit_to(&e, sl_buf_text(&id), sl_json_root(doc));
        sl_json_destroy(&doc);
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&id);
}

static void
write_ended(struct sl_jsonw *w, struct sl_json about, const struct sl_job_row *job)
{
    static const char *const states[] = {
        "PENDING", "IN_PROGRESS", "COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"};
    static const char *const shown[] = {"batch_id", "bucket_id", "collection_id", "traceparent",
                                        "tracestate"};
    sl_assert(job->state < SL_COUNT_OF(states));
    sl_jsonw_object(w);
    for (size_t i = 0; i < SL_COUNT_OF(shown); i++) {
        if (sl_json_has(sl_json_member(about, shown[i])))
            sl_jsonw_member_value(w, shown[i], sl_json_member(about, shown[i]));
    }
    sl_jsonw_member_str(w, "status", states[job->state]);
    sl_jsonw_member_u64(w, "total", job->total);
    sl_jsonw_member_u64(w, "succeeded", job->done);
    sl_jsonw_member_u64(w, "failed", job->dead);
    sl_jsonw_member_u64(w, "documents", job->records);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

void
sl_event_job_ended(struct sl_txn *txn, struct sl_scope scope, const struct sl_job_row *job,
                   uint64_t now_ms)
{
    struct sl_json_doc *doc = NULL;
    struct sl_buf data = {0};
    struct sl_jsonw w;
    if (job->about.size == 0 || sl_json_parse(job->about, &doc, NULL) != SL_OK)
        return;
    struct sl_json about = sl_json_root(doc);
    if (sl_json_has(sl_json_member(about, "batch_id"))) {
        char *namespace = sl_json_strdup(sl_json_member(about, "namespace_id"));
        sl_jsonw_init(&w, &data);
        write_ended(&w, about, job);
        sl_event_emit(txn, &(struct sl_event){.scope = scope,
                                              .type = "collection.documents.written",
                                              .namespace_id = namespace,
                                              .now_ms = now_ms,
                                              .data = sl_buf_slice(&data)});
        sl_free(namespace);
    }
    sl_json_destroy(&doc);
    sl_buf_deinit(&data);
}
