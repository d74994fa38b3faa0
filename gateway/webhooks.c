/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks of an organization and their deliveries. */
#include "gateway/webhook.h"

#include <ctype.h>

#include "gateway/list.h"
#include "gateway/resource.h"
#include "runtime/time.h"

#define WEBHOOKS_MAX    100 /* Of one organization: each event looks at all of them. */
#define SECRET_SIZE     40
#define HEADERS_MAX     20
#define HEADER_SIZE_MAX 1024

static const char *const event_families[] = {"cluster.", "trigger.", "taxonomy.", "alert."};
static const char *const event_types[] = {"object.created",     "objects.created.batch",
                                          "object.updated",     "object.deleted",
                                          "collection.created", "collection.updated",
                                          "collection.deleted", "collection.documents.written"};

static bool
is_event_type(struct sl_slice type)
{
    for (size_t i = 0; i < SL_COUNT_OF(event_types); i++) {
        if (sl_slice_is(type, event_types[i]))
            return true;
    }
    for (size_t i = 0; i < SL_COUNT_OF(event_families); i++) { /* Taken; they never happen. */
        size_t size = strlen(event_families[i]);
        if (type.size > size && type.size <= 64 && memcmp(type.data, event_families[i], size) == 0)
            return true;
    }
    return false;
}

/* ---- checks -------------------------------------------------------------------------------- */

static void
check_events(struct sl_call *call, struct sl_json types)
{
    uint32_t at = 0;
    for (struct sl_json_iter i = sl_json_iter(types); sl_json_next(&i); at++) {
        struct sl_slice type = sl_call_text(call, i.value);
        if (!is_event_type(type))
            sl_call_invalid(call, sl_call_format(call, "body.event_types.%u", at), "enum",
                            "there is no event %.*s", SL_SLICE_FMT(type));
    }
}

static bool
is_url(struct sl_slice url)
{
    bool is_http = url.size > 7 && memcmp(url.data, "http://", 7) == 0;
    bool is_https = url.size > 8 && memcmp(url.data, "https://", 8) == 0;
    if ((!is_http && !is_https) || url.size > 2048)
        return false;
    for (size_t i = 0; i < url.size; i++) {
        if (url.data[i] <= ' ' || url.data[i] == 127)
            return false;
    }
    return true;
}

static bool
is_header(struct sl_slice name, struct sl_slice value)
{
    static const char *const ours[] = {"host",         "content-length", "transfer-encoding",
                                       "content-type", "connection",     "expect"};
    char lower[64] = "";
    if (name.size == 0 || name.size >= sizeof(lower) || value.size > HEADER_SIZE_MAX)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        if (!isalnum(name.data[i]) && name.data[i] != '-' && name.data[i] != '_')
            return false;
        lower[i] = (char)tolower(name.data[i]);
    }
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < ' ' || value.data[i] >= 127)
            return false;
    }
    for (size_t i = 0; i < SL_COUNT_OF(ours); i++) {
        if (strcmp(lower, ours[i]) == 0)
            return false;
    }
    return strncmp(lower, "sluice-", 7) != 0;
}

static void
check_headers(struct sl_call *call, const char *loc, struct sl_json headers)
{
    if (sl_json_has(headers) && sl_json_kind(headers) != SL_JSON_OBJECT)
        sl_call_invalid(call, loc, "dict_type", "should be an object of strings");
    if (sl_json_count(headers) > HEADERS_MAX)
        sl_call_invalid(call, loc, "too_long", "should have at most %d headers", HEADERS_MAX);
    for (struct sl_json_iter i = sl_json_iter(headers); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.name), value = sl_call_text(call, i.value);
        if (value.data == NULL || !is_header(name, value))
            sl_call_invalid(call, loc, "value_error",
                            "a header is letters, digits and hyphens with printable text, and "
                            "none that a request has already");
    }
}

static void
check_channel(struct sl_call *call, uint32_t at, struct sl_json channel)
{
    struct sl_json configs = sl_json_member(channel, "configs");
    bool is_slack = sl_json_is(sl_json_member(channel, "channel"), "slack");
    const char *name = is_slack ? "webhook_url" : "url";
    const char *loc = sl_call_format(call, "body.channels.%u.configs.%s", at, name);
    if (sl_json_is(sl_json_member(channel, "channel"), "email")) {
        sl_call_invalid(call, sl_call_format(call, "body.channels.%u.channel", at), "value_error",
                        "no mail is sent from here: use a webhook");
        return;
    }
    if (!is_url(sl_member_text(call, configs, name)))
        sl_call_invalid(call, loc, "url_parsing", "should be a URL with http or https");
    if (sl_json_has(sl_json_member(configs, "payload_template")))
        sl_call_invalid(call, sl_call_format(call, "body.channels.%u.configs.payload_template", at),
                        "value_error", "bodies have one shape: templates are not served");
    check_headers(call, sl_call_format(call, "body.channels.%u.configs.headers", at),
                  sl_json_member(configs, "headers"));
}

static void
check_body(struct sl_call *call)
{
    uint32_t at = 0;
    check_events(call, sl_json_member(call->body, "event_types"));
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(call->body, "channels"));
         sl_json_next(&i); at++)
        check_channel(call, at, i.value);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static struct sl_counter
counter(struct sl_call *call, const char *id, const char *what)
{
    return (struct sl_counter){.scope = call->who.scope, .what = what, .parent = id};
}

static int64_t
count(struct sl_call *call, const char *id, const char *what)
{
    return sl_count(call->txn, counter(call, id, what));
}

static void
write_webhook(struct sl_call *call, struct sl_json row, bool has_secret, struct sl_jsonw *w)
{
    static const char *const hidden[] = {"secret", "organization_id", "dead_in_row", NULL};
    const char *id = sl_member_str(call, row, "webhook_id");
    sl_jsonw_object(w);
    sl_write_except(w, row, hidden);
    if (has_secret)
        sl_jsonw_member_value(w, "secret", sl_json_member(row, "secret"));
    sl_jsonw_member_i64(w, "waiting_count", count(call, id, SL_COUNT_WAITING));
    sl_jsonw_member_i64(w, "dropped_count", count(call, id, SL_COUNT_DROPPED));
    sl_jsonw_end(w);
}

/* By id, else by name: there are few. */
static bool
lookup(struct sl_call *call, struct sl_resource *ret)
{
    struct sl_scan scan;
    bool is_found = false;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_WEBHOOK, (struct sl_slice){0},
                (struct sl_slice){0}, false, &scan);
    for (int pass = 0; pass < 2 && !is_found; pass++) {
        sl_scan_end(&scan);
        sl_txn_scan(call->txn, call->who.scope, SL_TABLE_WEBHOOK, (struct sl_slice){0},
                    (struct sl_slice){0}, false, &scan);
        while (!is_found && sl_scan_next(&scan)) {
            ret->id = (const char *)sl_call_copy(call, scan.key).data;
            ret->row = sl_call_parse(call, scan.value);
            is_found = pass == 0 ? sl_slice_equal(scan.key, call->params[0])
                                 : sl_slice_equal(sl_member_text(call, ret->row, "webhook_name"),
                                                  call->params[0]);
        }
    }
    sl_scan_end(&scan);
    return is_found;
}

static bool
find(struct sl_call *call, struct sl_resource *ret)
{
    if (lookup(call, ret))
        return true;
    sl_call_not_found(call, "webhook", call->params[0]);
    return false;
}

static bool
has_room(struct sl_call *call)
{
    struct sl_scan scan;
    uint32_t count = 0;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_WEBHOOK, (struct sl_slice){0},
                (struct sl_slice){0}, false, &scan);
    while (sl_scan_next(&scan))
        count++;
    sl_scan_end(&scan);
    if (count >= WEBHOOKS_MAX)
        sl_call_fail(call, SL_API_CONFLICT, "an organization has at most %d webhooks",
                     WEBHOOKS_MAX);
    return count < WEBHOOKS_MAX;
}

static void
put(struct sl_call *call, const char *id, const struct sl_buf *row)
{
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_WEBHOOK, sl_slice_str(id), sl_buf_slice(row));
}

void
sl_api_create_webhook(struct sl_call *call)
{
    struct sl_buf row = {0};
    struct sl_jsonw w;
    char id[20] = "wh_", secret[SECRET_SIZE + 1];
    check_body(call);
    if (sl_call_has_failed(call) || !has_room(call))
        return;
    sl_random_hex(id + 3, 16);
    sl_random_id(secret, SECRET_SIZE);
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "webhook_id", id);
    sl_jsonw_member_value(&w, "webhook_name", sl_json_member(call->body, "webhook_name"));
    sl_jsonw_member_value(&w, "event_types", sl_json_member(call->body, "event_types"));
    sl_jsonw_member_value(&w, "channels", sl_json_member(call->body, "channels"));
    sl_jsonw_member_bool(&w, "is_active",
                         sl_json_bool(sl_json_member(call->body, "is_active"), true));
    sl_jsonw_member_null(&w, "inactive_reason");
    sl_jsonw_member_time(&w, "created_at", call->now_ms);
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_member_str(&w, "organization_id", call->who.organization_id);
    sl_jsonw_member_str(&w, "secret", sl_call_format(call, "whsec_%s", secret));
    sl_jsonw_member_u64(&w, "dead_in_row", 0);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    put(call, id, &row);
    sl_resource_copied(call);
    write_webhook(call, sl_call_parse(call, sl_buf_slice(&row)), true, &call->out);
    sl_buf_deinit(&row);
}

void
sl_api_get_webhook(struct sl_call *call)
{
    struct sl_resource webhook;
    if (find(call, &webhook))
        write_webhook(call, webhook.row, false, &call->out);
}

/* Made active again, it starts with a clean slate. */
void
sl_api_put_webhook(struct sl_call *call)
{
    static const char *const sent[] = {"webhook_name", "event_types", "channels", "is_active"};
    static const char *const replaced[] = {"webhook_name",    "event_types", "channels",
                                           "is_active",       "updated_at",  "dead_in_row",
                                           "inactive_reason", NULL};
    struct sl_resource webhook;
    struct sl_buf row = {0};
    struct sl_jsonw w;
    if (!find(call, &webhook))
        return;
    check_body(call);
    if (sl_call_has_failed(call))
        return;
    struct sl_json active = sl_json_member(call->body, "is_active");
    bool is_woken = sl_json_bool(active, false);
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_write_except(&w, webhook.row, replaced);
    for (size_t i = 0; i < SL_COUNT_OF(sent); i++) {
        struct sl_json value = sl_json_member(call->body, sent[i]);
        sl_jsonw_member_value(&w, sent[i],
                              sl_json_has(value) ? value : sl_json_member(webhook.row, sent[i]));
    }
    sl_jsonw_member_time(&w, "updated_at", call->now_ms);
    sl_jsonw_name(&w, "dead_in_row");
    if (is_woken)
        sl_jsonw_u64(&w, 0);
    else
        sl_jsonw_value(&w, sl_json_member(webhook.row, "dead_in_row"));
    sl_jsonw_name(&w, "inactive_reason");
    if (is_woken)
        sl_jsonw_null(&w);
    else
        sl_jsonw_value(&w, sl_json_member(webhook.row, "inactive_reason"));
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    put(call, webhook.id, &row);
    write_webhook(call, sl_call_parse(call, sl_buf_slice(&row)), false, &call->out);
    sl_buf_deinit(&row);
}

void
sl_api_delete_webhook(struct sl_call *call)
{
    struct sl_resource webhook;
    struct sl_buf prefix = {0};
    struct sl_purge purge = sl_purge_begin();
    if (!lookup(call, &webhook))
        return; /* It is gone, and that was wanted. */
    sl_rows_delete(call, SL_TABLE_DELIVERY, sl_key_prefix(&prefix, 1, webhook.id), &purge);
    sl_buf_deinit(&prefix);
    sl_txn_del(call->txn, call->who.scope, SL_TABLE_WEBHOOK, sl_slice_str(webhook.id));
    sl_count_forget(call->txn, counter(call, webhook.id, SL_COUNT_WAITING));
    sl_count_forget(call->txn, counter(call, webhook.id, SL_COUNT_DROPPED));
}

/* ---- lists --------------------------------------------------------------------------------- */

static void
write_page(struct sl_call *call, const struct sl_list_source *source)
{
    struct sl_list list;
    struct sl_jsonw *w = &call->out;
    if (!sl_list_begin(call, 10, &list) || !sl_list_run(&list, call, source))
        return;
    sl_jsonw_object(w);
    sl_list_write(&list, w);
    sl_jsonw_member_u64(w, "total", list.total);
    sl_jsonw_end(w);
    sl_list_end(&list);
}

static bool
is_wanted(struct sl_call *call, struct sl_json row)
{
    struct sl_json active = sl_json_member(call->body, "is_active");
    struct sl_json type = sl_json_member(call->body, "event_type");
    if (sl_json_has(active) &&
        sl_json_bool(active, true) != sl_json_bool(sl_json_member(row, "is_active"), false))
        return false;
    if (!sl_json_has(type))
        return true;
    struct sl_slice wanted = sl_call_text(call, type);
    for (struct sl_json_iter i = sl_json_iter(sl_json_member(row, "event_types"));
         sl_json_next(&i);) {
        if (sl_slice_equal(sl_call_text(call, i.value), wanted))
            return true;
    }
    return false;
}

static bool
render_webhook(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
               struct sl_jsonw *w)
{
    struct sl_json row = sl_call_parse(call, value);
    (void)arg, (void)key;
    if (!is_wanted(call, row))
        return false;
    write_webhook(call, row, false, w);
    return true;
}

void
sl_api_list_webhooks(struct sl_call *call)
{
    static const char *const search[] = {"webhook_id", "webhook_name", NULL};
    write_page(call, &(struct sl_list_source){.scope = call->who.scope,
                                              .table = SL_TABLE_WEBHOOK,
                                              .render = render_webhook,
                                              .needs_total = true,
                                              .search_fields = search});
}

static void
write_delivery(struct sl_jsonw *w, const char *webhook, struct sl_slice id,
               const struct sl_delivery *d)
{
    bool is_pending = d->state == SL_DELIVERY_PENDING;
    sl_jsonw_object(w);
    sl_jsonw_member_slice(w, "delivery_id", id);
    sl_jsonw_member_str(w, "webhook_id", webhook);
    sl_jsonw_member_slice(w, "event_id", d->event_id);
    sl_jsonw_member_slice(w, "event_type", d->type);
    sl_jsonw_member_u64(w, "channel", d->channel);
    sl_jsonw_member_str(w, "status", sl_delivery_state_name(d->state));
    sl_jsonw_member_u64(w, "attempts", d->attempts);
    sl_jsonw_name(w, "response_status");
    if (d->status == 0)
        sl_jsonw_null(w);
    else
        sl_jsonw_u64(w, d->status);
    sl_jsonw_name(w, "error");
    if (d->error.size == 0)
        sl_jsonw_null(w);
    else
        sl_jsonw_slice(w, d->error);
    sl_jsonw_member_time(w, "next_attempt_at", is_pending ? d->due_ms : 0);
    sl_jsonw_member_time(w, "created_at", d->created_ms);
    sl_jsonw_member_time(w, "ended_at", is_pending ? 0 : d->ended_ms);
    sl_jsonw_end(w);
}

struct wanted {
    const char *webhook;
    struct sl_slice status; /* Empty: any. */
};

static bool
render_delivery(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
                struct sl_jsonw *w)
{
    const struct wanted *wanted = arg;
    struct sl_delivery d;
    (void)call;
    if (sl_delivery_decode(value, &d) != SL_OK ||
        (wanted->status.size > 0 && !sl_slice_is(wanted->status, sl_delivery_state_name(d.state))))
        return false;
    write_delivery(w, wanted->webhook, sl_key_part(key, 1), &d);
    return true;
}

void
sl_api_list_deliveries(struct sl_call *call)
{
    struct sl_resource webhook;
    struct sl_buf prefix = {0};
    struct wanted wanted = {.status = sl_call_query(call, "status")};
    if (!find(call, &webhook))
        return;
    bool is_known = wanted.status.size == 0;
    for (int s = SL_DELIVERY_PENDING; s <= SL_DELIVERY_DEAD; s++)
        is_known = is_known ||
                   sl_slice_is(wanted.status, sl_delivery_state_name((enum sl_delivery_state)s));
    if (!is_known) {
        sl_call_invalid(call, "query.status", "enum", "should be pending, delivered or dead");
        return;
    }
    wanted.webhook = webhook.id;
    write_page(call, &(struct sl_list_source){.scope = call->who.scope,
                                              .table = SL_TABLE_DELIVERY,
                                              .prefix = sl_key_prefix(&prefix, 1, webhook.id),
                                              .render = render_delivery,
                                              .arg = &wanted,
                                              .needs_total = true});
    sl_buf_deinit(&prefix);
}

/* Also of a delivered one: a receiver that lost what it had can have it again. */
void
sl_api_redrive_delivery(struct sl_call *call)
{
    struct sl_resource webhook;
    struct sl_delivery d;
    const char *id = sl_call_identifier(call, call->params[1]);
    if (!find(call, &webhook))
        return;
    if (id == NULL || sl_delivery_get(call->txn, call->who.scope, webhook.id, id, &d) != SL_OK) {
        sl_call_not_found(call, "delivery", call->params[1]);
        return;
    }
    if (!sl_json_bool(sl_json_member(webhook.row, "is_active"), false)) {
        sl_call_fail(call, SL_API_CONFLICT, "the webhook is inactive: set is_active first");
        return;
    }
    if (d.state != SL_DELIVERY_PENDING) {
        uint64_t was_due_ms = d.due_ms;
        d.state = SL_DELIVERY_PENDING;
        d.attempts = 0;
        d.ended_ms = 0;
        d.due_ms = call->now_ms;
        sl_delivery_put(
            call->txn,
            &(struct sl_delivery_key){.scope = call->who.scope, .webhook = webhook.id, .id = id},
            &d, was_due_ms);
    }
    write_delivery(&call->out, webhook.id, sl_slice_str(id), &d);
}
