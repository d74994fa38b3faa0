/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/hooks.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/cluster.h"
#include "actors/rows.h"
#include "gateway/api.h"
#include "gateway/fetch.h"
#include "gateway/version.h"
#include "gateway/webhook.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define LOOK_NS      (500 * SL_MILLI_NS)
#define LOOK_SOON_NS (20 * SL_MILLI_NS)
#define LOOK_MAX_MS  UINT64_C(60000) /* The wall clock may be set meanwhile. */
#define WEBHOOKS_MAX 256             /* Looked at in one turn. */
#define ROWS_MAX     200             /* Of one webhook in one turn. */
#define HEADERS_MAX  40

/* One try under way. While the work runs, all but its place is the work's. */
struct flight {
    char webhook[24], id[24];
    struct sl_scope scope;
    char *url;
    struct sl_buf body;
    char *headers[HEADERS_MAX]; /* Up to a NULL. */
    struct sl_fetch_request request;
    struct sl_fetch_reply reply;
    enum sl_err err;
};

struct hooks {
    struct sl_hooks_options options;
    struct flight *flights[SL_HOOKS_AT_ONCE]; /* NULL: free. */
    struct sl_buf cursor;                     /* Where the next turn begins in SL_TABLE_DUE. */
    uint64_t next_ms;                         /* When the first of the rows seen is due. */
    uint64_t timer, timer_ns;                 /* The timer that counts; UINT64_MAX: none is set. */
    bool is_called;
};

static void
destroy_flight(struct flight **flight)
{
    struct flight *f = *flight;
    if (f == NULL)
        return;
    *flight = NULL;
    for (size_t i = 0; i < HEADERS_MAX; i++)
        sl_free(f->headers[i]);
    sl_free(f->url);
    sl_buf_deinit(&f->body);
    sl_free(f);
}

static bool
is_flying(const struct hooks *h, const char *webhook)
{
    for (size_t i = 0; i < SL_HOOKS_AT_ONCE; i++) {
        if (h->flights[i] != NULL && strcmp(h->flights[i]->webhook, webhook) == 0)
            return true;
    }
    return false;
}

/* ---- a try --------------------------------------------------------------------------------- */

static void
add_header(struct flight *f, const char *name, const char *value)
{
    for (size_t i = 0; i + 1 < HEADERS_MAX; i++) {
        if (f->headers[i] == NULL) {
            f->headers[i] = sl_format("%s: %s", name, value);
            return;
        }
    }
}

static void
add_headers(struct flight *f, const struct sl_delivery *d, struct sl_json webhook,
            struct sl_json configs, uint64_t now_ms)
{
    char signature[SL_HOOK_SIGNATURE_SIZE], number[24];
    char *secret = sl_json_strdup(sl_json_member(webhook, "secret"));
    char *event = sl_strndup(d->event_id.data, d->event_id.size);
    add_header(f, "Content-Type", "application/json");
    add_header(f, "User-Agent", "sluice-webhooks/" SL_VERSION);
    add_header(f, "Sluice-Event-Id", event);
    add_header(f, "Sluice-Delivery-Id", f->id);
    (void)snprintf(number, sizeof(number), "%u", d->attempts + 1);
    add_header(f, "Sluice-Attempt", number);
    (void)snprintf(number, sizeof(number), "%" PRIu64, now_ms / 1000);
    add_header(f, "Sluice-Timestamp", number);
    sl_hook_sign(sl_slice_str(secret == NULL ? "" : secret), now_ms, sl_buf_slice(&f->body),
                 signature);
    add_header(f, "Sluice-Signature", signature);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(configs, "headers"));
         sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name), *value = sl_json_strdup(i.value);
        if (name != NULL && value != NULL)
            add_header(f, name, value);
        sl_free(name);
        sl_free(value);
    }
    sl_free(secret);
    sl_free(event);
}

static uint64_t
timeout_of(const struct hooks *h, struct sl_json configs)
{
    double seconds = 0;
    if (sl_json_f64(sl_json_member(configs, "timeout"), &seconds) != SL_OK || seconds <= 0 ||
        seconds * 1000 > (double)h->options.timeout_ms)
        return h->options.timeout_ms;
    return SL_MAX((uint64_t)(seconds * 1000), (uint64_t)1);
}

static void
work(void *argument)
{
    struct flight *f = argument;
    f->err = sl_fetch(&f->request, &f->reply);
}

/* False: the webhook has no such channel any more. */
static bool
launch(struct hooks *h, struct sl_ctx *ctx, const struct sl_delivery_key *k,
       const struct sl_delivery *d, struct sl_json webhook)
{
    struct sl_json configs = sl_webhook_configs(webhook, d->channel);
    char *url = sl_webhook_url(webhook, d->channel);
    size_t at = 0;
    if (url == NULL)
        return false;
    while (h->flights[at] != NULL)
        at++;
    struct flight *f = h->flights[at] = sl_zalloc(sizeof(*f));
    (void)snprintf(f->webhook, sizeof(f->webhook), "%s", k->webhook);
    (void)snprintf(f->id, sizeof(f->id), "%s", k->id);
    f->scope = k->scope;
    f->url = url;
    sl_buf_append_slice(&f->body, d->body);
    f->request = (struct sl_fetch_request){.url = url,
                                           .is_post = true,
                                           .body = sl_buf_slice(&f->body),
                                           .headers = (const char *const *)f->headers,
                                           .timeout_ns = timeout_of(h, configs) * SL_MILLI_NS,
                                           .is_private_allowed = h->options.may_be_private,
                                           .is_cancelled = h->options.is_stopping};
    add_headers(f, d, webhook, configs, ctx->now_ms);
    sl_work(ctx, work, f, at);
    return true;
}

/* ---- looking for what is due --------------------------------------------------------------- */

/* A due row in full, in memory of its own. */
struct due {
    char *webhook, *id;
    uint64_t time_ms;
    struct sl_scope scope;
};

static bool
read_due(const struct sl_scan *scan, struct due *ret)
{
    struct sl_slice webhook = sl_key_part(scan->key, 0), time = sl_key_part(scan->key, 1);
    struct sl_slice id = sl_key_part(scan->key, 2);
    struct sl_reader r = sl_reader(scan->value);
    char digits[17] = "";
    *ret = (struct due){.scope = {sl_read_u64(&r)}};
    if (SL_BUG(time.size != 16 || webhook.size == 0 || id.size == 0 || !sl_reader_is_done(&r)))
        return false;
    memcpy(digits, time.data, 16);
    ret->time_ms = strtoull(digits, NULL, 16);
    ret->webhook = sl_strndup(webhook.data, webhook.size);
    ret->id = sl_strndup(id.data, id.size);
    return true;
}

static void
deinit_due(struct due *due)
{
    sl_free(due->webhook);
    sl_free(due->id);
}

static void
remove_row(struct sl_txn *txn, const struct due *due, bool has_delivery)
{
    struct sl_buf key = {0};
    sl_txn_del(txn, SL_SCOPE_SYSTEM, SL_TABLE_DUE,
               sl_delivery_due_key(&key, due->webhook, due->time_ms, due->id));
    if (has_delivery)
        sl_txn_del(txn, due->scope, SL_TABLE_DELIVERY, sl_key(&key, 2, due->webhook, due->id));
    sl_buf_deinit(&key);
}

/* Deal with one row. True: a try has begun, and the webhook's other rows wait for its end. */
static bool
handle_due(struct hooks *h, struct sl_ctx *ctx, struct sl_txn *txn, const struct due *due)
{
    struct sl_delivery_key k = {.scope = due->scope, .webhook = due->webhook, .id = due->id};
    struct sl_delivery d;
    struct sl_webhook webhook;
    enum sl_err err = sl_delivery_get(txn, due->scope, due->webhook, due->id, &d);
    if (err != SL_OK || d.due_ms != due->time_ms || d.state != SL_DELIVERY_PENDING) {
        remove_row(txn, due, err == SL_ECORRUPT || (err == SL_OK && d.due_ms == due->time_ms));
        return false;
    }
    if (!sl_webhook_load(txn, due->scope, due->webhook, &webhook)) {
        remove_row(txn, due, true);
        return false;
    }
    bool is_launched =
        sl_json_bool(sl_json_member(sl_json_root(webhook.doc), "is_active"), false) &&
        launch(h, ctx, &k, &d, sl_json_root(webhook.doc));
    if (!is_launched) {
        sl_hook_plan_dead(&h->options.policy, "the webhook is inactive or has no such channel",
                          ctx->now_ms, &d);
        sl_delivery_put(txn, &k, &d, due->time_ms);
    }
    sl_webhook_deinit(&webhook);
    return is_launched;
}

/* The rows of one webhook. True: there may be more that are due now. */
static bool
look_at(struct hooks *h, struct sl_ctx *ctx, struct sl_txn *txn, const char *webhook)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan;
    uint32_t rows = 0;
    bool goes_on = !is_flying(h, webhook);
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_DUE, sl_key_prefix(&prefix, 1, webhook),
                (struct sl_slice){0}, false, &scan);
    while (goes_on && rows < ROWS_MAX && sl_scan_next(&scan)) {
        struct due due;
        rows++;
        if (!read_due(&scan, &due))
            continue;
        goes_on = due.time_ms <= ctx->now_ms;
        if (!goes_on)
            h->next_ms = SL_MIN(h->next_ms, due.time_ms);
        goes_on = goes_on && !handle_due(h, ctx, txn, &due);
        deinit_due(&due);
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
    return goes_on && rows == ROWS_MAX;
}

static bool
has_room(const struct hooks *h)
{
    for (size_t i = 0; i < SL_HOOKS_AT_ONCE; i++) {
        if (h->flights[i] == NULL)
            return true;
    }
    return false;
}

/* The webhook of the first row after `cursor`, which moves behind all its rows. Owned; NULL: none.
 */
static char *
next_webhook(struct sl_txn *txn, struct sl_buf *cursor)
{
    struct sl_scan scan;
    char *webhook = NULL;
    sl_txn_scan(txn, SL_SCOPE_SYSTEM, SL_TABLE_DUE, (struct sl_slice){0}, sl_buf_slice(cursor),
                false, &scan);
    if (sl_scan_next(&scan)) {
        struct sl_slice part = sl_key_part(scan.key, 0);
        webhook = sl_strndup(part.data, part.size);
        sl_buf_clear(cursor);
        sl_buf_append_slice(cursor, part);
        sl_buf_append_u8(cursor, 1); /* Keys go on with a zero. */
    }
    sl_scan_end(&scan);
    return webhook;
}

/* Before then, or with a later one that is set. Of all that were set the last counts. */
static void
set_timer(struct hooks *h, struct sl_ctx *ctx, uint64_t delay_ns)
{
    if (ctx->now_ns + delay_ns >= h->timer_ns)
        return;
    h->timer_ns = ctx->now_ns + delay_ns;
    sl_after(ctx, delay_ns, ++h->timer);
}

/* What waits for a flight to end or for a row to come needs no timer: both are heard of. */
static void
set_next(struct hooks *h, struct sl_ctx *ctx, bool is_more)
{
    if (is_more)
        set_timer(h, ctx, LOOK_SOON_NS);
    else if (h->next_ms != UINT64_MAX)
        set_timer(h, ctx, SL_MIN(h->next_ms - ctx->now_ms, LOOK_MAX_MS) * SL_MILLI_NS);
}

/* Once round at most, beginning where the last turn ended, and again when there is something. */
static void
look(struct hooks *h, struct sl_ctx *ctx)
{
    struct sl_txn *txn = sl_store_begin(ctx->store);
    bool is_more = false, has_wrapped = h->cursor.size == 0;
    uint32_t seen = 0;
    h->next_ms = UINT64_MAX;
    h->is_called = false;
    for (; seen < WEBHOOKS_MAX && has_room(h); seen++) {
        char *webhook = next_webhook(txn, &h->cursor);
        if (webhook == NULL) {
            sl_buf_clear(&h->cursor);
            if (has_wrapped)
                break;
            has_wrapped = true;
            continue;
        }
        is_more = look_at(h, ctx, txn, webhook) || is_more;
        sl_free(webhook);
    }
    enum sl_err err = sl_txn_commit(&txn);
    if (err != SL_OK) {
        if (txn != NULL)
            sl_txn_abort(&txn);
        sl_report_warn("webhooks-stuck", "err=%s action=\"they are looked at again\"",
                       sl_err_name(err));
    }
    if (err != SL_OK)
        set_timer(h, ctx, LOOK_NS);
    else
        set_next(h, ctx, is_more || seen == WEBHOOKS_MAX);
}

/* ---- what came of a try -------------------------------------------------------------------- */

static void
settle(struct hooks *h, struct sl_ctx *ctx, const struct flight *f)
{
    struct sl_txn *txn = sl_store_begin(ctx->store);
    struct sl_delivery_key k = {.scope = f->scope, .webhook = f->webhook, .id = f->id};
    bool has_reply = f->err == SL_OK;
    char refusal[64];
    (void)snprintf(refusal, sizeof(refusal), "the receiver answered %u", f->reply.status);
    struct sl_hook_outcome outcome = {.status = has_reply ? f->reply.status : 0,
                                      .retry_after_ms = (uint64_t)f->reply.retry_after_s * 1000,
                                      .error = sl_slice_str(has_reply ? refusal : f->reply.cause)};
    struct sl_delivery d;
    /* Its webhook may have been deleted meanwhile. */
    if (sl_delivery_get(txn, f->scope, f->webhook, f->id, &d) == SL_OK &&
        d.state == SL_DELIVERY_PENDING) {
        uint64_t was_due_ms = d.due_ms;
        sl_hook_plan(&h->options.policy, &outcome, ctx->now_ms, ctx->random, &d);
        sl_delivery_put(txn, &k, &d, was_due_ms);
        if (d.state != SL_DELIVERY_PENDING)
            sl_webhook_count(txn, &k, d.state == SL_DELIVERY_DEAD, h->options.dead_max);
        if (d.state == SL_DELIVERY_DEAD)
            sl_report_warn("delivery-dead", "scope=%" PRIu64 " webhook=%s delivery=%s status=%u",
                           f->scope.id, f->webhook, f->id, f->reply.status);
    }
    enum sl_err err = sl_txn_commit(&txn);
    if (err != SL_OK) {
        if (txn != NULL)
            sl_txn_abort(&txn);
        sl_report_warn("delivery-not-noted", "err=%s action=\"it is made again\"",
                       sl_err_name(err));
    }
}

static void
on_work_done(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct hooks *h = self;
    uint64_t at = SL_BODY(msg, work_done)->token;
    if (SL_BUG(at >= SL_HOOKS_AT_ONCE || h->flights[at] == NULL))
        return;
    settle(h, ctx, h->flights[at]);
    destroy_flight(&h->flights[at]);
    look(h, ctx);
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct hooks *h = self;
    if (SL_BODY(msg, timer)->token != h->timer)
        return;
    h->timer_ns = UINT64_MAX;
    look(h, ctx);
}

static void
on_due(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)msg;
    look(self, ctx);
}

bool
sl_hooks_call(void *hooks)
{
    struct hooks *h = hooks;
    bool was_called = h->is_called;
    h->is_called = true;
    return !was_called;
}

static const struct sl_on table[] = {
    {SL_M_timer, on_timer},
    {SL_M_work_done, on_work_done},
    {SL_M_hooks_due, on_due},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=hooks message=%s", msg->type->name);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct hooks *h = self;
    h->options = *(const struct sl_hooks_options *)argument;
    h->timer_ns = UINT64_MAX;
    set_timer(h, ctx, LOOK_NS); /* For what an earlier run left. */
}

static void
deinit(void *self)
{
    struct hooks *h = self;
    for (size_t i = 0; i < SL_HOOKS_AT_ONCE; i++)
        destroy_flight(&h->flights[i]);
    sl_buf_deinit(&h->cursor);
}

const struct sl_actor_class sl_hooks_class = {.name = "hooks",
                                              .state_size = sizeof(struct hooks),
                                              .init = init,
                                              .handle = handle,
                                              .deinit = deinit};
