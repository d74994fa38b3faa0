/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/meter.h"

#include "actors/use_counts.h"
#include "gateway/gateway.h"
#include "gateway/route.h"
#include "runtime/alloc.h"
#include "runtime/limits.h"
#include "runtime/random.h"

#define TICK_NS        SL_SECOND_NS
#define CELLS_MAX      4096u  /* More are recorded at once. */
#define CELLS_AWAY_MAX 65536u /* At a gateway without its head. */
#define ENTRIES_MAX    256u   /* Of one record. */
#define FOLD_ROWS      256u   /* At a time: a millisecond or so. */
#define FOLD_NS        (2 * SL_MILLI_NS)
#define OPEN_BYTES     512u /* Of a record that is written anew: a few keys. */

struct sl_meter *
sl_meter_create(void)
{
    struct sl_meter *m = sl_zalloc(sizeof(*m));
    struct sl_random random;
    sl_random_seed_secret(&random);
    m->number = sl_random_u64(&random);
    return m;
}

void
sl_meter_destroy(struct sl_meter **meter)
{
    struct sl_meter *m = *meter;
    *meter = NULL;
    if (m == NULL)
        return;
    sl_ledger_sums_deinit(&m->cells);
    sl_buf_deinit(&m->key);
    sl_buf_deinit(&m->entries);
    for (uint32_t i = 0; i < SL_COUNT_OF(m->open); i++)
        sl_buf_deinit(&m->open[i].entries);
    sl_free(m);
}

static void
describe(const struct sl_call *call, enum sl_ledger_resource resource, uint64_t amount,
         struct sl_ledger_entry *ret_e)
{
    *ret_e = (struct sl_ledger_entry){.resource = (uint8_t)resource,
                                      .amount = amount,
                                      .cost_nano = sl_ledger_cost(resource, amount)};
    ret_e->dimensions[SL_LEDGER_BY_namespace] = sl_slice_str(call->namespace_id);
    ret_e->dimensions[SL_LEDGER_BY_key] = sl_slice_str(call->who.key_id);
    ret_e->dimensions[SL_LEDGER_BY_route] = sl_slice_str(call->route->name);
}

/* Not what actors ask, nor what needs no key: nobody is to be charged for it. */
static bool
is_metered(const struct sl_call *call)
{
    return call->gateway != NULL && call->gateway->meter != NULL && call->route != NULL &&
           call->route->permission != SL_PERMIT_NONE && call->asker.node == 0 &&
           call->who.scope.id != 0;
}

static void
describe_request(const struct sl_call *call, char status[static 3], struct sl_ledger_entry *ret_e)
{
    describe(call, SL_LEDGER_requests, 1, ret_e);
    for (unsigned i = 0, rest = call->status; i < 3; i++, rest /= 10)
        status[2 - i] = (char)('0' + rest % 10);
    ret_e->dimensions[SL_LEDGER_BY_status] = sl_slice(status, 3);
}

void
sl_meter_use(struct sl_call *call, enum sl_ledger_resource resource, uint64_t amount,
             const char *collection)
{
    struct sl_ledger_entry e;
    if (!is_metered(call) || amount == 0)
        return;
    describe(call, resource, amount, &e);
    e.dimensions[SL_LEDGER_BY_collection] = sl_slice_str(collection);
    sl_ledger_write(&call->used.entries, &e);
}

static void
add(struct sl_meter *m, struct sl_scope scope, struct sl_slice key, const struct sl_ledger_sum *sum)
{
    sl_buf_clear(&m->key);
    sl_buf_append_u64be(&m->key, scope.id);
    sl_buf_append_slice(&m->key, key);
    sl_ledger_sums_add(&m->cells, sl_buf_slice(&m->key), sum->amount, sum->cost_nano);
}

/* ---- commits ------------------------------------------------------------------------------- */

static struct sl_meter_open *
open_of(struct sl_meter *m, struct sl_scope scope)
{
    uint64_t hash = scope.id * UINT64_C(0x9e3779b97f4a7c15);
    return &m->open[hash >> 32 & (SL_METER_OPEN_MAX - 1)];
}

/* What is in its row stays there; the next commit makes another. */
static void
close_record(struct sl_meter *m, struct sl_scope scope)
{
    struct sl_meter_open *o = open_of(m, scope);
    if (o->scope.id != scope.id)
        return;
    o->scope.id = 0;
    m->opened--;
}

/* Another tenant has its place: it is to be folded all the same. */
static void
give_way(struct sl_meter *m, struct sl_scope scope)
{
    uint8_t key[SL_LEDGER_KEY_MAX];
    struct sl_ledger_entry e = {.resource = SL_LEDGER_requests};
    struct sl_ledger_sum nothing = {0};
    add(m, scope, sl_slice(key, sl_ledger_key(&e, key)), &nothing);
    close_record(m, scope);
}

/* A record of this hour that there is room in. */
static struct sl_meter_open *
open_record(struct sl_meter *m, struct sl_scope scope, uint64_t now_ms)
{
    struct sl_meter_open *o = open_of(m, scope);
    if (o->scope.id == scope.id && o->entries.size < OPEN_BYTES &&
        sl_ledger_begin(SL_LEDGER_HOUR, o->id.at_ms) == sl_ledger_begin(SL_LEDGER_HOUR, now_ms))
        return o;
    if (o->scope.id != 0)
        give_way(m, o->scope);
    m->opened++;
    o->scope = scope;
    o->id = (struct sl_ledger_id){now_ms, ++m->number};
    sl_buf_clear(&o->entries);
    return o;
}

void
sl_meter_stage(struct sl_call *call, bool is_last)
{
    char status[3];
    struct sl_ledger_entry e;
    if (!is_metered(call) || sl_txn_is_empty(call->txn))
        return;
    call->used.is_staged = is_last;
    if (call->used.entries.size == 0 && !is_last)
        return;
    struct sl_meter_open *o = open_record(call->gateway->meter, call->who.scope, call->now_ms);
    struct sl_use_counts *uses = call->gateway->uses;
    sl_use_count_record(uses, call->who.scope, sl_buf_slice(&call->used.entries));
    if (call->used.entries.size > 0) {
        enum sl_err err = sl_ledger_merge(&o->entries, sl_buf_slice(&call->used.entries));
        sl_assert(err == SL_OK); /* They are our own. */
        sl_buf_clear(
            &call->used.entries); /* A failed commit fails the call: it has used nothing. */
    }
    if (is_last) {
        describe_request(call, status, &e);
        sl_use_count_entry(uses, call->who.scope, &e);
        sl_ledger_add(&o->entries, &e);
    }
    sl_ledger_put(call->txn, o->scope, o->id, sl_buf_slice(&o->entries));
}

void
sl_meter_unstage(struct sl_call *call)
{
    call->used.is_staged = false;
    if (is_metered(call)) /* What it added is in no row. */
        close_record(call->gateway->meter, call->who.scope);
}

/* What a call used that committed nothing. */
static void
add_used(struct sl_call *call)
{
    struct sl_ledger_sums sums = {0};
    if (call->used.entries.size == 0 || call->status >= 400)
        return;
    sl_use_count_record(call->gateway->uses, call->who.scope, sl_buf_slice(&call->used.entries));
    if (!SL_BUG(sl_ledger_sum_record(sl_buf_slice(&call->used.entries), &sums) != SL_OK)) {
        for (uint32_t i = 0; i < sums.count; i++)
            add(call->gateway->meter, call->who.scope, sl_ledger_sums_key(&sums, i),
                &sums.items[i]);
    }
    sl_ledger_sums_deinit(&sums);
}

void
sl_meter_answered(struct sl_call *call)
{
    char status[3];
    uint8_t key[SL_LEDGER_KEY_MAX];
    struct sl_ledger_entry e;
    if (!is_metered(call) || call->used.is_staged)
        return;
    if (call->gateway->store == NULL && call->gateway->meter->cells.count >= CELLS_AWAY_MAX)
        return; /* The head is away for long, and this is of the tenant's favour. */
    describe_request(call, status, &e);
    struct sl_ledger_sum sum = {.amount = e.amount, .cost_nano = e.cost_nano};
    add(call->gateway->meter, call->who.scope, sl_slice(key, sl_ledger_key(&e, key)), &sum);
    sl_use_count_entry(call->gateway->uses, call->who.scope, &e);
    add_used(call);
}

void
sl_meter_walk(const struct sl_meter *meter, struct sl_scope scope, uint64_t at_ms,
              void (*seen)(void *arg, uint64_t at_ms, const struct sl_ledger_entry *e), void *arg)
{
    for (uint32_t i = 0; i < meter->cells.count; i++) {
        struct sl_ledger_entry e;
        const struct sl_ledger_sum *sum = &meter->cells.items[i];
        struct sl_reader r = sl_reader(sl_ledger_sums_key(&meter->cells, i));
        if (sl_read_u64be(&r) != scope.id || sum->amount == 0 ||
            sl_ledger_key_read(sl_slice(r.at, (size_t)(r.end - r.at)), &e) != SL_OK)
            continue;
        e.amount = sum->amount;
        e.cost_nano = sum->cost_nano;
        seen(arg, at_ms, &e);
    }
}

/* ---- recording ----------------------------------------------------------------------------- */

uint64_t
sl_meter_due_ns(const struct sl_gateway *g)
{
    const struct sl_meter *m = g->meter;
    if (g->store == NULL) /* A gateway: it reports to its head. */
        return UINT64_MAX;
    if (m != NULL && m->folds > 0 && m->readers == 0)
        return FOLD_NS;
    if (m == NULL || m->cells.count + m->opened == 0)
        return UINT64_MAX;
    return m->cells.count >= CELLS_MAX ? 0 : TICK_NS;
}

static struct sl_scope
scope_of(const struct sl_meter *m, uint32_t index)
{
    struct sl_reader r = sl_reader(sl_ledger_sums_key(&m->cells, index));
    return (struct sl_scope){sl_read_u64be(&r)};
}

/* Those of one tenant, from `first` on, as one record; returns the first that is not in it. */
static uint32_t
put_record(struct sl_meter *m, struct sl_txn *txn, uint32_t first, uint64_t now_ms)
{
    struct sl_scope scope = scope_of(m, first);
    uint32_t i = first;
    sl_buf_clear(&m->entries);
    for (; i < m->cells.count && i - first < ENTRIES_MAX; i++) {
        struct sl_slice key = sl_ledger_sums_key(&m->cells, i);
        const struct sl_ledger_sum *sum = &m->cells.items[i];
        if (scope_of(m, i).id != scope.id)
            break;
        if (sum->amount > 0)
            sl_ledger_write_sum(&m->entries, sl_slice(key.data + 8, key.size - 8), sum->amount,
                                sum->cost_nano);
    }
    sl_ledger_put(txn, scope, (struct sl_ledger_id){now_ms, ++m->number},
                  sl_buf_slice(&m->entries));
    return i;
}

/* Its rows are to be folded. Where too many tenants' are, this one's turn comes with its next call:
 * they add up all the same. */
static void
note_fold(struct sl_meter *m, struct sl_scope scope)
{
    for (uint32_t i = 0; i < m->folds; i++) {
        if (m->fold[i].id == scope.id)
            return;
    }
    if (m->folds < SL_COUNT_OF(m->fold))
        m->fold[m->folds++] = scope;
}

/* The rows of records that are open are to be folded; then they are closed. */
static void
note_open(struct sl_meter *m)
{
    for (uint32_t i = 0; i < SL_METER_OPEN_MAX && m->opened > 0; i++) {
        if (m->open[i].scope.id != 0)
            note_fold(m, m->open[i].scope);
    }
}

static enum sl_err
record(struct sl_gateway *g, uint64_t now_ms)
{
    struct sl_meter *m = g->meter;
    struct sl_txn *txn = sl_store_begin(g->store);
    enum sl_err err = SL_OK;
    sl_ledger_sums_sort(&m->cells);
    for (uint32_t i = 0; i < m->cells.count;) {
        note_fold(m, scope_of(m, i));
        i = put_record(m, txn, i, now_ms);
    }
    if (sl_txn_is_empty(txn))
        sl_txn_abort(&txn);
    else
        err = sl_txn_commit(&txn);
    if (err == SL_OK)
        sl_ledger_sums_clear(&m->cells);
    return err;
}

enum sl_err
sl_meter_tick(struct sl_gateway *g, uint64_t now_ms)
{
    struct sl_meter *m = g->meter;
    enum sl_err err = SL_OK;
    bool is_more = false;
    if (m == NULL || g->store == NULL)
        return SL_OK;
    if (m->cells.count > 0)
        err = record(g, now_ms);
    note_open(m);
    if (err != SL_OK || m->folds == 0 || m->readers > 0)
        return err;
    close_record(m, m->fold[m->folds - 1]); /* Its row goes, and must not come again. */
    struct sl_ledger_fold what = {
        .store = g->store, .scope = m->fold[m->folds - 1], .now_ms = now_ms, .rows_max = FOLD_ROWS};
    err = sl_ledger_fold(&what, &is_more);
    m->folds -= err != SL_OK || !is_more;
    return err;
}

/* ---- reports of gateways ------------------------------------------------------------------- */

#define REPORT_SCOPES 64u

/* Of one tenant, sorted: scope (8 bytes), block of entries. Returns the first that is not in it. */
static uint32_t
write_scope(struct sl_meter *m, uint32_t first, struct sl_buf *report)
{
    struct sl_scope scope = scope_of(m, first);
    uint32_t i = first;
    sl_buf_clear(&m->entries);
    for (; i < m->cells.count && scope_of(m, i).id == scope.id && i - first < ENTRIES_MAX; i++) {
        struct sl_slice key = sl_ledger_sums_key(&m->cells, i);
        sl_ledger_write_sum(&m->entries, sl_slice(key.data + 8, key.size - 8),
                            m->cells.items[i].amount, m->cells.items[i].cost_nano);
    }
    sl_buf_append_u64(report, scope.id);
    sl_buf_append_block(report, sl_buf_slice(&m->entries));
    return i;
}

bool
sl_meter_take(struct sl_meter *m, struct sl_buf *report)
{
    struct sl_ledger_sums rest = {0};
    uint32_t i = 0;
    sl_ledger_sums_sort(&m->cells);
    for (uint32_t parts = 0; parts < REPORT_SCOPES && i < m->cells.count; parts++)
        i = write_scope(m, i, report);
    bool is_some = i > 0;
    for (; i < m->cells.count; i++)
        sl_ledger_sums_add(&rest, sl_ledger_sums_key(&m->cells, i), m->cells.items[i].amount,
                           m->cells.items[i].cost_nano);
    sl_ledger_sums_deinit(&m->cells);
    m->cells = rest;
    return is_some;
}

static bool
is_report(struct sl_slice report)
{
    struct sl_reader r = sl_reader(report);
    bool is_good = true;
    while (is_good && !sl_reader_is_done(&r) && !r.is_bad) {
        struct sl_ledger_sums sums = {0};
        uint64_t scope = sl_read_u64(&r);
        struct sl_slice entries = sl_read_block(&r);
        is_good = !r.is_bad && scope != 0 && sl_ledger_sum_record(entries, &sums) == SL_OK;
        sl_ledger_sums_deinit(&sums);
    }
    return is_good && !r.is_bad;
}

enum sl_err
sl_meter_put(struct sl_gateway *g, struct sl_txn *txn, struct sl_slice report, uint64_t now_ms)
{
    struct sl_meter *m = g->meter;
    struct sl_reader r = sl_reader(report);
    if (!is_report(report))
        return SL_ECORRUPT;
    while (!sl_reader_is_done(&r)) {
        struct sl_scope scope = {sl_read_u64(&r)};
        struct sl_slice entries = sl_read_block(&r);
        struct sl_identity tenant;
        if (sl_keyring_tenant_of(g->keyring, scope, &tenant) != SL_OK)
            continue; /* It has left: its ledger is gone. */
        sl_ledger_put(txn, scope, (struct sl_ledger_id){now_ms, ++m->number}, entries);
        note_fold(m, scope);
    }
    return SL_OK;
}
