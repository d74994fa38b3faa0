/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/limits.h"

#include <inttypes.h>

#include "actors/count.h"
#include "actors/journal.h"
#include "actors/rows.h"
#include "gateway/gateway.h"
#include "gateway/meter.h"
#include "gateway/plan.h"
#include "gateway/resource.h"
#include "gateway/route.h"
#include "gateway/spend.h"
#include "gateway/stock.h"
#include "gateway/user.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/time.h"

#define SLOTS_MIN 64u
#define NANO      1e9

struct entry {
    uint64_t id;    /* Of a tenant its scope, of a key the first bytes of its digest. */
    uint64_t epoch; /* Of the rows that its limits are from. */
    struct sl_limit_state state;
    struct sl_spend spend;
    struct sl_loans loans; /* To gateways, of its rate. */
};

/* Open addressing, at most half full. Who was ever active has an entry, which stays where it is. */
struct sl_limits {
    struct entry **slots;
    uint32_t slots_count, count;
    uint64_t epoch;
    uint64_t since_ns;         /* When it was used first; 0: not yet. */
    bool has_looked, has_lent; /* Into the store; and whether a loan was ever given. */
};

struct sl_limits *
sl_limits_create(void)
{
    struct sl_limits *l = sl_zalloc(sizeof(*l));
    l->slots_count = SLOTS_MIN;
    l->slots = sl_zalloc(l->slots_count * sizeof(struct entry *));
    l->epoch = 1;
    return l;
}

void
sl_limits_destroy(struct sl_limits **limits)
{
    struct sl_limits *l = *limits;
    *limits = NULL;
    if (l == NULL)
        return;
    for (uint32_t i = 0; i < l->slots_count; i++) {
        if (l->slots[i] != NULL)
            sl_loans_deinit(&l->slots[i]->loans);
        sl_free(l->slots[i]);
    }
    sl_free(l->slots);
    sl_free(l);
}

void
sl_limits_forget(struct sl_limits *limits)
{
    if (limits != NULL)
        limits->epoch++;
}

static void
forget(struct sl_call *call, void *arg)
{
    (void)arg;
    sl_limits_forget(call->gateway->limits);
}

void
sl_limits_staged(struct sl_call *call)
{
    forget(call, NULL);
    sl_call_after_abort(call, forget, NULL);
}

static struct entry **
slot_of(const struct sl_limits *l, uint64_t id)
{
    uint32_t mask = l->slots_count - 1;
    uint32_t at = (uint32_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & mask;
    while (l->slots[at] != NULL && l->slots[at]->id != id)
        at = (at + 1) & mask;
    return &l->slots[at];
}

static void
grow(struct sl_limits *l)
{
    struct sl_limits old = *l;
    l->slots_count *= 2;
    l->slots = sl_zalloc(l->slots_count * sizeof(struct entry *));
    for (uint32_t i = 0; i < old.slots_count; i++) {
        if (old.slots[i] != NULL)
            *slot_of(l, old.slots[i]->id) = old.slots[i];
    }
    sl_free(old.slots);
}

static struct entry *
entry_of(struct sl_limits *l, uint64_t id)
{
    struct entry **at = slot_of(l, id);
    if (*at != NULL)
        return *at;
    if (2 * ++l->count >= l->slots_count) {
        grow(l);
        at = slot_of(l, id);
    }
    *at = sl_zalloc(sizeof(struct entry));
    (*at)->id = id;
    return *at;
}

/* ---- what is allowed ----------------------------------------------------------------------- */

static uint64_t
read_limit(struct sl_json stored, enum sl_limit limit)
{
    uint64_t max = 0;
    enum sl_err err = sl_limit_read(limit, sl_json_member(stored, sl_limit_name(limit)), &max);
    return err == SL_OK ? max : 0;
}

/* What the tenant has not, its plan may. */
static void
read_tenant(struct sl_call *call, const struct sl_identity *tenant, struct sl_limit_state *s)
{
    struct sl_json row, stored = {0};
    struct sl_json_doc *doc = NULL;
    struct sl_slice plan = sl_slice_str("");
    struct sl_limit_state had = *s;
    if (sl_system_row(call, SL_TABLE_TENANT, sl_slice_str(tenant->tenant_id), &row)) {
        stored = sl_json_member(row, "limits");
        plan = sl_member_text(call, row, "plan");
    }
    struct sl_json defaults = sl_plan_defaults(call->gateway->plans, plan, &doc);
    const struct sl_plan *kind = sl_plan_lookup(plan);
    s->soft = 0;
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        s->max[i] = read_limit(stored, (enum sl_limit)i);
        if (s->max[i] == 0)
            s->max[i] = read_limit(defaults, (enum sl_limit)i);
        else
            continue; /* What the operator sets is hard. */
        if (s->max[i] != 0 && kind != NULL && kind->is_soft &&
            sl_limit_is_of_ledger((enum sl_limit)i))
            s->soft |= 1u << i;
    }
    sl_json_destroy(&doc);
    sl_limit_renew(s, &had, call->now_ns);
}

/* Requests a minute, all of them at once if need be. */
static void
read_key(struct sl_call *call, struct sl_limit_state *s)
{
    struct sl_json row;
    uint64_t rate = 0;
    struct sl_limit_state had = *s;
    struct sl_slice digest = sl_slice(call->who.digest, sizeof(call->who.digest));
    if (sl_system_row(call, SL_TABLE_KEY, digest, &row) &&
        sl_json_u64(sl_json_member(row, "rate_limit_override"), &rate) != SL_OK)
        rate = 0;
    s->max[SL_LIMIT_max_requests_per_second] = rate;
    s->period_ns = 60 * SL_SECOND_NS;
    sl_limit_renew(s, &had, call->now_ns);
}

/* ---- what was used ------------------------------------------------------------------------- */

static void
count(struct sl_call *call, struct sl_scope scope, struct entry *e)
{
    struct sl_limit_clock now = sl_limits_clock(call);
    struct sl_spend_source source = {
        .txn = call->txn, .meter = call->gateway->meter, .scope = scope};
    struct sl_limit_used used = sl_spend_count(&e->spend, &source, now.wall_ms);
    sl_limit_count(&e->state, now, &used);
}

struct sl_limit_clock
sl_limits_clock(const struct sl_call *call)
{
    return (struct sl_limit_clock){.mono_ns = call->now_ns, .wall_ms = call->now_ms};
}

/* ---- loans to gateways --------------------------------------------------------------------- */

static const struct sl_counter given = {.scope = SL_SCOPE_SYSTEM, .what = "loans", .parent = ""};

/* A head before this one may have lent some that have not ended. */
static void
assume_lent(struct sl_call *call, struct entry *e)
{
    struct sl_limits *l = call->gateway->limits;
    if (!l->has_looked) {
        l->since_ns = call->now_ns;
        l->has_lent = sl_count(call->txn, given) > 0;
    }
    l->has_looked = true;
    uint64_t end_ns = l->since_ns + SL_LOAN_LIFE_NS;
    if (e->epoch == 0 && l->has_lent && call->now_ns < end_ns)
        sl_loans_assume(&e->loans, &e->state, end_ns);
}

bool
sl_limits_remember(struct sl_limits *l, struct sl_store *store)
{
    if (l == NULL || store == NULL || !l->has_looked)
        return false;
    if (l->has_lent)
        return true;
    struct sl_txn *txn = sl_store_begin(store);
    sl_count_raise(txn, given, 1);
    l->has_lent = sl_txn_commit(&txn) == SL_OK;
    return l->has_lent;
}

enum sl_err
sl_limits_lend(struct sl_limits *l, struct sl_scope scope, uint64_t now_ns,
               struct sl_loan *ret_loan)
{
    const struct entry *there = l == NULL ? NULL : *slot_of(l, scope.id);
    if (there == NULL || there->epoch != l->epoch)
        return SL_ESTALE;
    struct entry *e = entry_of(l, scope.id);
    return sl_loans_grant(&e->loans, &e->state, now_ns, ret_loan);
}

struct sl_limit_state *
sl_limits_of(struct sl_call *call, const struct sl_identity *tenant)
{
    struct sl_limits *l = call->gateway->limits;
    struct entry *e = entry_of(l, tenant->scope.id);
    if (e->epoch != l->epoch) {
        read_tenant(call, tenant, &e->state);
        assume_lent(call, e);
    }
    e->epoch = l->epoch;
    sl_loans_settle(&e->loans, &e->state, call->now_ns);
    if (sl_limit_is_stale(&e->state, sl_limits_clock(call)))
        count(call, tenant->scope, e);
    return &e->state;
}

struct sl_limit_verdict
sl_limits_look(struct sl_call *call, const struct sl_identity *tenant, enum sl_limit limit)
{
    struct sl_limit_verdict v =
        sl_limit_look(sl_limits_of(call, tenant), limit, sl_limits_clock(call));
    if (sl_limit_is_stock(limit) && v.max != 0)
        v.used = sl_stock_count(call, tenant->scope, limit);
    return v;
}

#define KEY_BIT (UINT64_C(1) << 63) /* No scope has so high a number. */

const struct sl_limit_state *
sl_limits_next(const struct sl_limits *limits, uint32_t *at, struct sl_scope *ret_scope)
{
    while (*at < limits->slots_count) {
        const struct entry *e = limits->slots[(*at)++];
        if (e == NULL || (e->id & KEY_BIT) != 0)
            continue;
        *ret_scope = (struct sl_scope){e->id};
        return &e->state;
    }
    return NULL;
}

/* NULL: the key has no limit of its own. */
static struct sl_limit_state *
key_of(struct sl_call *call)
{
    struct sl_limits *l = call->gateway->limits;
    uint64_t id;
    memcpy(&id, call->who.digest, sizeof(id));
    struct entry *e = entry_of(l, id | KEY_BIT);
    if (e->epoch != l->epoch)
        read_key(call, &e->state);
    e->epoch = l->epoch;
    return sl_limit_has_any(&e->state) ? &e->state : NULL;
}

/* ---- calls --------------------------------------------------------------------------------- */

bool
sl_limits_concern(const struct sl_call *call)
{
    return call->gateway->limits != NULL && call->route->permission != SL_PERMIT_NONE &&
           !(call->route->flags & SL_ROUTE_UNLIMITED) && call->asker.node == 0 &&
           call->who.scope.id != 0 && !call->who.is_operator;
}

static const char *
number(struct sl_call *call, enum sl_limit limit, uint64_t n)
{
    return sl_limit_is_scaled(limit) ? sl_call_format(call, "%.9g", (double)n / NANO)
                                     : sl_call_format(call, "%" PRIu64, n);
}

void
sl_limits_refuse(struct sl_call *call, const struct sl_limit_verdict *v, const char *name)
{
    const char *used = number(call, v->limit, v->used), *max = number(call, v->limit, v->max);
    if (v->retry_after_s > 0)
        sl_call_fail(call, SL_API_RATE_LIMIT, "%s is %s: try again in %u s", name, max,
                     v->retry_after_s);
    else if (sl_limit_is_stock(v->limit))
        sl_call_fail(call, SL_API_QUOTA,
                     "%s is %s, and %s are used: delete some, or wait for what is queued", name,
                     max, used);
    else
        sl_call_fail(call, SL_API_QUOTA, "%s is %s, and %s are used", name, max, used);
    sl_call_detail(call, "limit", name);
    sl_call_detail_raw(call, "used", sl_slice_str(used));
    sl_call_detail_raw(call, "max", sl_slice_str(max));
    if (v->reset_ms > 0) {
        char at[SL_TIME_TEXT_SIZE];
        sl_time_format(v->reset_ms, at);
        sl_call_detail(call, "reset_at", at);
    } else {
        sl_call_detail_raw(call, "reset_at", sl_slice_str("null"));
    }
    call->used.retry_after_s = v->retry_after_s;
}

/* Lists of its body, whichever they are: jobs, objects, ids. What is too large stays so: no time to
 * come again is told. */
static bool
check_sizes(struct sl_call *call, const struct sl_limit_state *s)
{
    uint64_t max = s->max[SL_LIMIT_max_batch_size];
    if (max == 0 || sl_json_kind(call->body) != SL_JSON_OBJECT)
        return true;
    for (struct sl_json_iter i = sl_json_iter(call->body); sl_json_next(&i);) {
        uint32_t count = sl_json_kind(i.value) == SL_JSON_ARRAY ? sl_json_count(i.value) : 0;
        if (count <= max)
            continue;
        struct sl_slice name = sl_call_text(call, i.name);
        sl_call_fail(call, SL_API_TOO_LARGE,
                     "%.*s has %u items, and max_batch_size is %" PRIu64 ": send fewer at a time",
                     (int)SL_MIN(name.size, (size_t)64), name.data, count, max);
        sl_call_detail(call, "limit", sl_limit_name(SL_LIMIT_max_batch_size));
        sl_call_detail_raw(call, "used", sl_slice_str(sl_call_format(call, "%u", count)));
        sl_call_detail_raw(call, "max", sl_slice_str(sl_call_format(call, "%" PRIu64, max)));
        return false;
    }
    return true;
}

bool
sl_limits_admit(struct sl_call *call)
{
    bool is_tenants = call->gateway->limits != NULL && call->who.scope.id != 0;
    if (is_tenants && (call->route->flags & SL_ROUTE_RESOLVES))
        call->resolved.rule = (uint8_t)sl_loan_rule(sl_limits_of(call, &call->who));
    if (!sl_limits_concern(call))
        return true;
    struct sl_limit_state *tenant = sl_limits_of(call, &call->who), *key = key_of(call), had = {0};
    struct sl_limit_clock now = sl_limits_clock(call);
    struct sl_limit_verdict v = {.limit = SL_LIMIT_NONE};
    const char *name = "rate_limit_override";
    call->used.shown = key != NULL ? key : tenant;
    call->used.tenant = tenant;
    if (!check_sizes(call, tenant))
        return false;
    if (key != NULL) {
        had = *key;
        v = sl_limit_admit(key, now);
    }
    if (v.limit == SL_LIMIT_NONE) {
        v = sl_limit_admit(tenant, now);
        name = v.limit == SL_LIMIT_NONE ? name : sl_limit_name(v.limit);
        if (key != NULL && v.limit == SL_LIMIT_NONE)
            sl_limit_release(key); /* It has a rate alone. */
        else if (key != NULL)
            *key = had; /* What the tenant is refused costs the key nothing. */
    }
    if (v.limit != SL_LIMIT_NONE) {
        sl_limits_refuse(call, &v, name);
        return false;
    }
    call->used.running = tenant;
    return true;
}

#define DIGITS_MAX 20u

/* Decimal, at `end` and towards the start; where it begins. Four of these are in every reply:
 * printf took longer for them than all the rest of the limits. */
static char *
write_digits(char *end, uint64_t n)
{
    do {
        *--end = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return end;
}

static void
add_number(struct sl_call *call, const char *name, uint64_t n)
{
    char *text = sl_call_alloc(call, DIGITS_MAX + 1);
    sl_call_header(call, name, write_digits(text + DIGITS_MAX, n));
}

/* "100;w=1" */
static const char *
policy_of(struct sl_call *call, uint64_t rate, uint64_t window_s)
{
    enum { MARK = 3 };
    char *text = sl_call_alloc(call, 2 * DIGITS_MAX + MARK + 1);
    char *at = write_digits(text + 2 * DIGITS_MAX + MARK, window_s) - MARK;
    memcpy(at, ";w=", MARK);
    return write_digits(at, rate);
}

static void
write_headers(struct sl_call *call, const struct sl_limit_state *s)
{
    unsigned percent = 0;
    struct sl_limit_clock now = sl_limits_clock(call);
    uint64_t rate = s->max[SL_LIMIT_max_requests_per_second];
    if (rate != 0) {
        struct sl_limit_verdict v = sl_limit_look(s, SL_LIMIT_max_requests_per_second, now);
        uint64_t full_ns = s->full_ns > now.mono_ns ? s->full_ns - now.mono_ns : 0;
        uint64_t window_s = s->period_ns == 0 ? 1 : s->period_ns / SL_SECOND_NS;
        add_number(call, "RateLimit-Limit", rate);
        add_number(call, "RateLimit-Remaining", v.max - v.used);
        add_number(call, "RateLimit-Reset", (full_ns + SL_SECOND_NS - 1) / SL_SECOND_NS);
        sl_call_header(call, "RateLimit-Policy", policy_of(call, rate, window_s));
    }
    enum sl_limit near = sl_limit_near(s, now, &percent);
    if (near != SL_LIMIT_NONE)
        sl_call_header(call, "X-Quota-Warning",
                       sl_call_format(call, "%s=%u%%", sl_limit_name(near), percent));
}

/* ---- warnings ------------------------------------------------------------------------------ */

/* 1 from 80 % on, 2 from 100 % on; beside the end of the day or month, which is a multiple of 4. */
static uint64_t
warning_of(const struct sl_limit_verdict *v)
{
    return v->max == 0 || v->used < v->max - v->max / 5 ? 0 : v->reset_ms + 1 + (v->used >= v->max);
}

static bool
is_warned(uint64_t warned, uint64_t warning)
{
    return warning == 0 || (warned / 4 == warning / 4 && warned >= warning);
}

/* Once for each limit, level and day or month, also over restarts: an event of the tenant. */
static void
tell(struct sl_call *call, const struct sl_limit_verdict *v, uint64_t warning)
{
    const char *name = sl_limit_name(v->limit);
    struct sl_counter told = {.scope = call->who.scope, .what = "warned", .parent = name};
    struct sl_txn *txn = sl_store_begin(call->gateway->store);
    uint64_t warned = (uint64_t)sl_count(txn, told);
    if (!is_warned(warned, warning)) {
        const char *message = sl_call_format(
            call, "%s: %s of %s are used%s", name, number(call, v->limit, v->used),
            number(call, v->limit, v->max), warning % 4 == 2 ? "" : ", 80 % or more");
        sl_count_add(txn, told, (int64_t)(warning - warned));
        (void)sl_journal_add(txn, call->now_ms,
                             &(struct sl_journal_event){.kind = SL_JOURNAL_quota_exceeded,
                                                        .scope = call->who.scope,
                                                        .tenant_id = call->who.tenant_id,
                                                        .subject = name,
                                                        .message = message});
    }
    if (sl_txn_is_empty(txn))
        sl_txn_abort(&txn);
    else if (sl_txn_commit(&txn) != SL_OK)
        sl_report_warn("warning-lost", "tenant=%s limit=%s", call->who.tenant_id, name);
}

static void
warn(struct sl_call *call, struct sl_limit_state *s)
{
    for (unsigned i = 0; i < SL_LIMIT_COUNT; i++) {
        if (s->max[i] == 0 || !sl_limit_is_of_ledger((enum sl_limit)i))
            continue;
        struct sl_limit_verdict v = sl_limit_look(s, (enum sl_limit)i, sl_limits_clock(call));
        uint64_t warning = warning_of(&v);
        if (is_warned(s->warned[i], warning))
            continue;
        s->warned[i] = warning;
        tell(call, &v, warning);
    }
}

void
sl_limits_answered(struct sl_call *call)
{
    if (call->used.tenant != NULL && call->txn == NULL && call->gateway->store != NULL &&
        !sl_store_is_low(call->gateway->store))
        warn(call, call->used.tenant);
    if (call->used.shown != NULL)
        write_headers(call, call->used.shown);
    if (call->used.retry_after_s > 0)
        add_number(call, "Retry-After", call->used.retry_after_s);
    if (call->used.running != NULL)
        sl_limit_release(call->used.running);
    call->used.running = NULL;
}
