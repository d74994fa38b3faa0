/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tenant has used: its ledger, added up by what the request asks for. The rows are walked
 * over in turns; meanwhile nothing is folded, so that each counts once. What is not recorded yet
 * is in memory, and counts too.
 */
#include <inttypes.h>
#include <stdio.h>

#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/gateway.h"
#include "gateway/list.h"
#include "gateway/meter.h"
#include "gateway/resource.h"
#include "gateway/usage_period.h"
#include "gateway/user.h"
#include "runtime/time.h"

#define TURN_ROWS   4096u
#define GROUPS_MAX  100000u
#define GROUPS_PAGE 1000u
#define CREDIT_NANO 1000000u /* A credit is a thousandth of the currency. */
#define NANO        UINT64_C(1000000000)
#define CURRENCY    "USD"
#define DAY_MS      UINT64_C(86400000)

/* What groups may be made by: the ledger's dimensions, then these. */
enum field {
    FIELD_RESOURCE = SL_LEDGER_DIMENSIONS,
    FIELD_MONTH,
    FIELD_DAY,
    FIELD_HOUR,
    FIELD_COUNT
};

struct usage {
    struct sl_meter *meter;
    struct sl_usage_period period;
    const char *period_text;
    struct sl_identity whose;
    struct sl_slice filters[FIELD_RESOURCE + 1]; /* data NULL: any. */
    enum field fields[FIELD_COUNT];
    uint32_t fields_count;
    bool is_csv;
    struct sl_list page;
    struct sl_ledger_place place;
    struct sl_ledger_sums groups, days, statuses;
    struct sl_buf key;
    uint64_t requests, cost_nano;
    bool is_too_much;
};

static const char *
field_name(enum field field)
{
    static const char *const names[] = {"resource_type", "month", "day", "hour"};
    return field < FIELD_RESOURCE ? sl_ledger_dimension_name((enum sl_ledger_dimension)field)
                                  : names[field - FIELD_RESOURCE];
}

static void
free_usage(void *state)
{
    struct usage *u = state;
    u->meter->readers--;
    sl_list_end(&u->page);
    sl_buf_deinit(&u->place.after);
    sl_ledger_sums_deinit(&u->groups);
    sl_ledger_sums_deinit(&u->days);
    sl_ledger_sums_deinit(&u->statuses);
    sl_buf_deinit(&u->key);
}

/* ---- what is asked for --------------------------------------------------------------------- */

static bool
add_field(struct usage *u, struct sl_slice name)
{
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        bool is_it = sl_slice_is(name, field_name((enum field)i)) ||
                     (i == SL_LEDGER_BY_route && sl_slice_is(name, "route_id"));
        if (!is_it)
            continue;
        for (uint32_t k = 0; k < u->fields_count; k++) {
            if (u->fields[k] == i)
                return true;
        }
        u->fields[u->fields_count++] = (enum field)i;
        return true;
    }
    return false;
}

/* A group is of one resource: amounts of two have no sum. */
static void
read_fields(struct sl_call *call, struct usage *u)
{
    struct sl_slice rest = sl_call_query(call, "group_by");
    while (rest.size > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.size);
        size_t size = comma == NULL ? rest.size : (size_t)(comma - rest.data);
        if (!add_field(u, sl_slice(rest.data, size))) {
            sl_call_invalid(call, "query.group_by", "value_error",
                            "%.*s is none of resource_type, namespace, collection, extractor, key, "
                            "route, status, month, day, hour",
                            (int)SL_MIN(size, (size_t)64), (const char *)rest.data);
            return;
        }
        rest = comma == NULL ? sl_slice(NULL, 0) : sl_slice(comma + 1, rest.size - size - 1);
    }
    (void)add_field(u, sl_slice_str("resource_type"));
}

static void
read_time(struct sl_call *call, const char *name, const char *alias, uint64_t *time_ms)
{
    struct sl_slice text = sl_call_query(call, name);
    if (text.data == NULL)
        text = sl_call_query(call, alias);
    if (text.data != NULL && sl_usage_time(text, time_ms) != SL_OK)
        sl_call_invalid(call, sl_call_format(call, "query.%s", name), "value_error",
                        "must be a date, as 2026-01-10, or a time, as 2026-01-10T12:00:00Z");
}

static void
read_period(struct sl_call *call, struct usage *u)
{
    struct sl_slice text = sl_call_query(call, "period");
    if (sl_usage_period(text, call->now_ms, &u->period) != SL_OK) {
        sl_call_invalid(call, "query.period", "value_error",
                        "must be a month, as 2026-01, a day, as 2026-01-10, or last_30_days");
        return;
    }
    read_time(call, "start", "from", &u->period.start_ms);
    read_time(call, "end", "to", &u->period.end_ms);
    if (!sl_call_has_failed(call) && u->period.start_ms >= u->period.end_ms)
        sl_call_invalid(call, "query.end", "value_error", "must be after the start");
    char start[SL_TIME_TEXT_SIZE];
    sl_time_format(u->period.start_ms, start);
    u->period_text = text.size > 0 ? (const char *)sl_call_copy(call, text).data
                                   : sl_call_format(call, "%.7s", start);
}

static void
read_filters(struct sl_call *call, struct usage *u)
{
    for (unsigned i = 0; i <= FIELD_RESOURCE; i++)
        u->filters[i] = sl_call_query(call, field_name((enum field)i));
    struct sl_slice resource = u->filters[FIELD_RESOURCE];
    if (resource.data != NULL && sl_ledger_resource_of(resource) == 0)
        sl_call_invalid(call, "query.resource_type", "value_error", "there is no such resource");
    struct sl_slice format = sl_call_query(call, "format");
    u->is_csv = sl_slice_is(format, "csv");
    if (format.data != NULL && !u->is_csv && !sl_slice_is(format, "json"))
        sl_call_invalid(call, "query.format", "value_error", "must be json or csv");
}

/* ---- adding up ----------------------------------------------------------------------------- */

static void
append_text(struct sl_buf *key, struct sl_slice text)
{
    size_t size = text.size == 0 ? 0 : strnlen((const char *)text.data, text.size);
    sl_buf_append(key, text.data, size);
    sl_buf_append_u8(key, 0); /* Groups are in the order of their texts. */
}

static struct sl_slice
resource_name(const struct sl_ledger_entry *e)
{
    const struct sl_ledger_info *info = sl_ledger_info(e->resource);
    return sl_slice_str(info == NULL ? "unknown" : info->name);
}

static bool
is_wanted(const struct usage *u, const struct sl_ledger_entry *e)
{
    for (unsigned i = 0; i < SL_LEDGER_DIMENSIONS; i++) {
        if (u->filters[i].data != NULL && !sl_slice_equal(u->filters[i], e->dimensions[i]))
            return false;
    }
    struct sl_slice resource = u->filters[FIELD_RESOURCE];
    return resource.data == NULL || sl_slice_equal(resource, resource_name(e));
}

static void
make_key(struct usage *u, const char *time, const struct sl_ledger_entry *e)
{
    static const size_t sizes[] = {[FIELD_MONTH] = 7, [FIELD_DAY] = 10, [FIELD_HOUR] = 13};
    sl_buf_clear(&u->key);
    for (uint32_t i = 0; i < u->fields_count; i++) {
        enum field field = u->fields[i];
        if (field < FIELD_RESOURCE)
            append_text(&u->key, e->dimensions[field]);
        else if (field == FIELD_RESOURCE)
            append_text(&u->key, resource_name(e));
        else
            append_text(&u->key, sl_slice(time, sizes[field]));
    }
}

static void
see(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e)
{
    struct usage *u = arg;
    char time[SL_TIME_TEXT_SIZE];
    if (!is_wanted(u, e) || u->is_too_much)
        return;
    uint64_t requests = e->resource == SL_LEDGER_requests ? e->amount : 0;
    sl_time_format(at_ms, time);
    u->requests = sl_ledger_plus(u->requests, requests);
    u->cost_nano = sl_ledger_plus(u->cost_nano, e->cost_nano);
    sl_ledger_sums_add(&u->days, sl_slice(time, 10), requests, e->cost_nano);
    if (requests > 0)
        sl_ledger_sums_add(&u->statuses, e->dimensions[SL_LEDGER_BY_status], requests, 0);
    make_key(u, time, e);
    sl_ledger_sums_add(&u->groups, sl_buf_slice(&u->key), e->amount, e->cost_nano);
    u->is_too_much = u->groups.count > GROUPS_MAX;
}

/* ---- the reply ----------------------------------------------------------------------------- */

static const char *
money(struct sl_call *call, uint64_t nano)
{
    char *text = sl_call_format(call, "%" PRIu64 ".%09" PRIu64, nano / NANO, nano % NANO);
    size_t size = strlen(text);
    while (text[size - 1] == '0' && text[size - 2] != '.')
        text[--size] = '\0';
    return text;
}

static struct sl_slice
next_text(struct sl_reader *r)
{
    const uint8_t *end = memchr(r->at, 0, (size_t)(r->end - r->at));
    if (SL_BUG(end == NULL))
        return sl_slice("", 0);
    struct sl_slice text = sl_read_bytes(r, (size_t)(end - r->at));
    (void)sl_read_u8(r);
    return text;
}

static const char *
unit_of(struct sl_slice resource)
{
    const struct sl_ledger_info *info = sl_ledger_info(sl_ledger_resource_of(resource));
    return info == NULL ? "" : info->unit;
}

static void
write_group(struct sl_call *call, const struct usage *u, uint32_t index, struct sl_jsonw *w)
{
    const struct sl_ledger_sum *sum = &u->groups.items[index];
    struct sl_reader r = sl_reader(sl_ledger_sums_key(&u->groups, index));
    const char *unit = "";
    sl_jsonw_object(w);
    sl_jsonw_name(w, "key");
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < u->fields_count; i++) {
        struct sl_slice text = next_text(&r);
        if (u->fields[i] == FIELD_RESOURCE)
            unit = unit_of(text);
        sl_jsonw_member_slice(w, field_name(u->fields[i]), text);
    }
    sl_jsonw_end(w);
    sl_jsonw_member_u64(w, "amount", sum->amount);
    sl_jsonw_member_str(w, "unit", unit);
    sl_jsonw_member_raw(w, "cost", sl_slice_str(money(call, sum->cost_nano)));
    sl_jsonw_end(w);
}

static bool
is_behind(struct sl_slice key, struct sl_slice cursor)
{
    size_t size = SL_MIN(key.size, cursor.size);
    int by = size == 0 ? 0 : memcmp(key.data, cursor.data, size);
    return by > 0 || (by == 0 && key.size > cursor.size);
}

static void
write_groups(struct sl_call *call, struct usage *u, struct sl_jsonw *w)
{
    uint32_t shown = 0;
    sl_jsonw_name(w, "groups");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < u->groups.count; i++) {
        struct sl_slice key = sl_ledger_sums_key(&u->groups, i);
        if (u->page.has_cursor && !is_behind(key, u->page.cursor_key))
            continue;
        write_group(call, u, i, w);
        if (++shown < u->page.limit || i + 1 == u->groups.count)
            continue;
        sl_cursor_encode(key, sl_slice(NULL, 0), &u->page.next_cursor);
        break;
    }
    sl_jsonw_end(w);
    sl_jsonw_name(w, "pagination");
    sl_list_write_pagination(&u->page, w);
}

static void
write_days(const struct usage *u, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "by_day");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < u->days.count; i++) {
        sl_jsonw_object(w);
        sl_jsonw_member_slice(w, "date", sl_ledger_sums_key(&u->days, i));
        sl_jsonw_member_u64(w, "requests", u->days.items[i].amount);
        sl_jsonw_member_u64(w, "credits", u->days.items[i].cost_nano / CREDIT_NANO);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
    sl_jsonw_name(w, "by_status");
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < u->statuses.count; i++) {
        char name[SL_LEDGER_TEXT_MAX + 1];
        struct sl_slice status = sl_ledger_sums_key(&u->statuses, i);
        (void)snprintf(name, sizeof(name), "%.*s", SL_SLICE_FMT(status));
        sl_jsonw_member_u64(w, name, u->statuses.items[i].amount);
    }
    sl_jsonw_end(w);
}

/* How much of what the tenant's configuration allows: of its budget, or of its requests. */
static void
write_quota(struct sl_call *call, const struct usage *u, struct sl_jsonw *w)
{
    struct sl_json tenant, config = {0};
    double budget = 0, daily = 0, used = 0;
    if (sl_system_row(call, SL_TABLE_TENANT, sl_slice_str(u->whose.tenant_id), &tenant))
        config = sl_json_member(tenant, "config");
    double days = (double)(u->period.end_ms - u->period.start_ms) / (double)DAY_MS;
    if (sl_json_f64(sl_json_member(config, "budget_limit"), &budget) == SL_OK && budget > 0)
        used = (double)u->cost_nano / (double)NANO / budget;
    if (sl_json_f64(sl_json_member(config, "max_requests_per_day"), &daily) == SL_OK && daily > 0)
        used = SL_MAX(used, (double)u->requests / (daily * days));
    if (budget > 0 || daily > 0)
        sl_jsonw_member_f64(w, "quota_percentage", 100 * used);
    else
        sl_jsonw_member_null(w, "quota_percentage");
}

static void
write_json(struct sl_call *call, struct usage *u)
{
    struct sl_jsonw *w = &call->out;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "organization_id", u->whose.organization_id);
    sl_jsonw_member_str(w, "tenant_id", u->whose.tenant_id);
    sl_jsonw_member_str(w, "period", u->period_text);
    sl_jsonw_member_time(w, "start", u->period.start_ms);
    sl_jsonw_member_time(w, "end", u->period.end_ms);
    sl_jsonw_member_u64(w, "total_requests", u->requests);
    sl_jsonw_member_raw(w, "total_cost", sl_slice_str(money(call, u->cost_nano)));
    sl_jsonw_member_u64(w, "total_credits", u->cost_nano / CREDIT_NANO);
    sl_jsonw_member_str(w, "currency", CURRENCY);
    write_quota(call, u, w);
    write_days(u, w);
    write_groups(call, u, w);
    sl_jsonw_end(w);
}

/* As RFC 4180 has it. Our names hold no control characters; a spreadsheet is to take none of them
 * for a formula. */
static void
append_cell(struct sl_buf *out, struct sl_slice text)
{
    bool is_formula = text.size > 0 && strchr("=+-@", text.data[0]) != NULL;
    sl_buf_append_str(out, is_formula ? "\"'" : "\"");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            sl_buf_append_u8(out, '"');
        sl_buf_append_u8(out, text.data[i]);
    }
    sl_buf_append_str(out, "\",");
}

static void
write_csv(struct sl_call *call, const struct usage *u)
{
    struct sl_buf *out = &call->reply;
    for (uint32_t i = 0; i < u->fields_count; i++)
        sl_buf_printf(out, "%s,", field_name(u->fields[i]));
    sl_buf_append_str(out, "amount,unit,cost,currency\r\n");
    for (uint32_t i = 0; i < u->groups.count; i++) {
        const struct sl_ledger_sum *sum = &u->groups.items[i];
        struct sl_reader r = sl_reader(sl_ledger_sums_key(&u->groups, i));
        const char *unit = "";
        for (uint32_t k = 0; k < u->fields_count; k++) {
            struct sl_slice text = next_text(&r);
            if (u->fields[k] == FIELD_RESOURCE)
                unit = unit_of(text);
            append_cell(out, text);
        }
        sl_buf_printf(out, "%" PRIu64 ",%s,%s," CURRENCY "\r\n", sum->amount, unit,
                      money(call, sum->cost_nano));
    }
    call->reply_type = "text/csv; charset=utf-8";
}

static void
go_on(struct sl_call *call)
{
    struct usage *u = call->state;
    struct sl_ledger_walk walk = {.scope = u->whose.scope,
                                  .from_ms = u->period.start_ms,
                                  .to_ms = u->period.end_ms,
                                  .rows_max = TURN_ROWS,
                                  .seen = see,
                                  .arg = u};
    if (!sl_ledger_walk(call->txn, &walk, &u->place)) {
        sl_call_yield(call, go_on);
        return;
    }
    if (call->now_ms >= u->period.start_ms && call->now_ms < u->period.end_ms)
        sl_meter_walk(u->meter, u->whose.scope, call->now_ms, see, u);
    if (u->is_too_much) {
        sl_call_invalid(call, "query.group_by", "value_error",
                        "there are more than %u groups: group by less, or ask for a shorter time",
                        GROUPS_MAX);
        return;
    }
    sl_ledger_sums_sort(&u->groups);
    sl_ledger_sums_sort(&u->days);
    sl_ledger_sums_sort(&u->statuses);
    if (u->is_csv)
        write_csv(call, u);
    else
        write_json(call, u);
}

static void
begin(struct sl_call *call, const struct sl_identity *whose, struct sl_slice key)
{
    struct usage *u = sl_call_alloc(call, sizeof(*u));
    if (call->gateway->meter == NULL) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "nothing is metered here");
        return;
    }
    u->meter = call->gateway->meter;
    u->meter->readers++;
    call->state = u;
    call->state_free = free_usage;
    u->whose = *whose;
    if (!sl_list_begin(call, GROUPS_PAGE, &u->page))
        return;
    read_period(call, u);
    read_filters(call, u);
    read_fields(call, u);
    if (key.data != NULL)
        u->filters[SL_LEDGER_BY_key] = key;
    if (!sl_call_has_failed(call))
        go_on(call);
}

void
sl_api_get_usage(struct sl_call *call)
{
    begin(call, &call->who, sl_slice(NULL, 0));
}

void
sl_api_get_key_usage(struct sl_call *call)
{
    begin(call, &call->who, call->params[0]);
}

void
sl_api_get_tenant_usage(struct sl_call *call)
{
    struct sl_identity tenant;
    struct sl_slice id = call->params[0];
    bool is_own = sl_slice_is(id, call->who.tenant_id);
    if ((!is_own && !call->who.is_operator) ||
        sl_keyring_tenant(call->gateway->keyring, id, &tenant) != SL_OK)
        sl_call_not_found(call, "tenant", id);
    else
        begin(call, &tenant, sl_slice(NULL, 0));
}
