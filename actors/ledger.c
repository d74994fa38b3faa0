/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/ledger.h"

#include <assert.h>

#include "actors/rows.h"
#include "runtime/alloc.h"

#define VERSION     1u
#define HOUR_MS     UINT64_C(3600000)
#define DAY_MS      (24 * HOUR_MS)
#define HOURS_KEPT  (31 * DAY_MS)
#define DAYS_KEPT   (400 * DAY_MS)
#define HEAD_SIZE   9u /* Of a row's key: level and time. */
#define SUM_SIZE    16u
#define ROW_KEY_MAX (HEAD_SIZE + SL_LEDGER_KEY_MAX)

static_assert(ROW_KEY_MAX <= SL_KEY_SIZE_MAX, "a sum's key fits into the catalogue");
static_assert(SL_LEDGER_TEXT_MAX < 256, "its size is one byte");

static const struct sl_ledger_info infos[SL_LEDGER_RESOURCE_END] = {
#define RESOURCE(id, name, unit, nano, purpose) [SL_LEDGER_##name] = {#name, unit, nano},
#include "actors/ledger.def"
};

static const char *const dimension_names[SL_LEDGER_DIMENSIONS] = {
#define DIMENSION(name, purpose) #name,
#include "actors/ledger.def"
};

const struct sl_ledger_info *
sl_ledger_info(unsigned resource)
{
    bool is_known = resource < SL_LEDGER_RESOURCE_END && infos[resource].name != NULL;
    return is_known ? &infos[resource] : NULL;
}

unsigned
sl_ledger_resource_of(struct sl_slice name)
{
    for (unsigned i = 1; i < SL_LEDGER_RESOURCE_END; i++) {
        if (infos[i].name != NULL && sl_slice_is(name, infos[i].name))
            return i;
    }
    return 0;
}

const char *
sl_ledger_dimension_name(enum sl_ledger_dimension dimension)
{
    sl_assert((unsigned)dimension < SL_LEDGER_DIMENSIONS);
    return dimension_names[dimension];
}

uint64_t
sl_ledger_cost(enum sl_ledger_resource resource, uint64_t amount)
{
    uint64_t nano = infos[resource].nano;
    return nano != 0 && amount > UINT64_MAX / nano ? UINT64_MAX : amount * nano;
}

/* ---- entries ------------------------------------------------------------------------------- */

size_t
sl_ledger_key(const struct sl_ledger_entry *e, uint8_t ret_key[static SL_LEDGER_KEY_MAX])
{
    size_t at = 0;
    ret_key[at++] = e->resource;
    for (unsigned i = 0; i < SL_LEDGER_DIMENSIONS; i++) {
        size_t size = SL_MIN(e->dimensions[i].size, (size_t)SL_LEDGER_TEXT_MAX);
        ret_key[at++] = (uint8_t)size;
        if (size > 0)
            memcpy(ret_key + at, e->dimensions[i].data, size);
        at += size;
    }
    return at;
}

/* Reads one; what follows stays in `r`. */
static void
read_key(struct sl_reader *r, struct sl_ledger_entry *e)
{
    *e = (struct sl_ledger_entry){.resource = sl_read_u8(r)};
    for (unsigned i = 0; i < SL_LEDGER_DIMENSIONS; i++) {
        uint8_t size = sl_read_u8(r);
        if (size > SL_LEDGER_TEXT_MAX)
            r->is_bad = true;
        e->dimensions[i] = sl_read_bytes(r, size);
    }
}

enum sl_err
sl_ledger_key_read(struct sl_slice key, struct sl_ledger_entry *ret_e)
{
    struct sl_reader r = sl_reader(key);
    struct sl_ledger_entry e;
    read_key(&r, &e);
    if (!sl_reader_is_done(&r))
        return SL_ECORRUPT;
    *ret_e = e;
    return SL_OK;
}

void
sl_ledger_write_sum(struct sl_buf *entries, struct sl_slice key, uint64_t amount,
                    uint64_t cost_nano)
{
    if (entries->size == 0)
        sl_buf_append_u8(entries, VERSION);
    sl_buf_append_u64(entries, amount);
    sl_buf_append_u64(entries, cost_nano);
    sl_buf_append_slice(entries, key);
}

void
sl_ledger_write(struct sl_buf *entries, const struct sl_ledger_entry *e)
{
    uint8_t key[SL_LEDGER_KEY_MAX];
    size_t size = sl_ledger_key(e, key);
    sl_ledger_write_sum(entries, sl_slice(key, size), e->amount, e->cost_nano);
}

/* Call `seen` for each; SL_ECORRUPT: it was called for those before the fault. */
static enum sl_err
each_entry(struct sl_slice entries,
           void (*seen)(void *arg, struct sl_slice key, const struct sl_ledger_entry *e), void *arg)
{
    struct sl_reader r = sl_reader(entries);
    if (sl_read_u8(&r) != VERSION)
        return SL_ECORRUPT;
    while (!r.is_bad && r.at < r.end) {
        struct sl_ledger_entry e;
        uint64_t amount = sl_read_u64(&r), cost_nano = sl_read_u64(&r);
        const uint8_t *key = r.at;
        read_key(&r, &e);
        if (r.is_bad)
            break;
        e.amount = amount;
        e.cost_nano = cost_nano;
        seen(arg, sl_slice(key, (size_t)(r.at - key)), &e);
    }
    return sl_reader_is_done(&r) ? SL_OK : SL_ECORRUPT;
}

static void
skip_entry(void *arg, struct sl_slice key, const struct sl_ledger_entry *e)
{
    (void)arg, (void)key, (void)e;
}

static void
add_entry(void *arg, struct sl_slice key, const struct sl_ledger_entry *e)
{
    sl_ledger_sums_add(arg, key, e->amount, e->cost_nano);
}

static uint64_t
amount_at(const uint8_t *at)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < sizeof(v); i++)
        v |= (uint64_t)at[i] << 8 * i;
    return v;
}

static void
amount_add(uint8_t *at, uint64_t more)
{
    uint64_t v = sl_ledger_plus(amount_at(at), more);
    for (unsigned i = 0; i < sizeof(v); i++)
        at[i] = (uint8_t)(v >> 8 * i);
}

static size_t
key_size(const uint8_t *key)
{
    size_t size = 1;
    for (unsigned i = 0; i < SL_LEDGER_DIMENSIONS; i++)
        size += 1 + (size_t)key[size];
    return size;
}

/* The record is our own and short: it is gone through, and nothing in it is doubted. */
static void
add_by_key(struct sl_buf *record, struct sl_slice key, uint64_t amount, uint64_t cost_nano)
{
    size_t at = 1; /* Behind the version. */
    while (at < record->size) {
        uint8_t *entry = record->data + at;
        const uint8_t *had = entry + 2 * sizeof(uint64_t);
        size_t size = key_size(had);
        if (size == key.size && memcmp(had, key.data, size) == 0) {
            amount_add(entry, amount);
            amount_add(entry + sizeof(uint64_t), cost_nano);
            return;
        }
        at += 2 * sizeof(uint64_t) + size;
    }
    sl_ledger_write_sum(record, key, amount, cost_nano);
}

static void
merge_entry(void *arg, struct sl_slice key, const struct sl_ledger_entry *e)
{
    add_by_key(arg, key, e->amount, e->cost_nano);
}

void
sl_ledger_add(struct sl_buf *record, const struct sl_ledger_entry *e)
{
    uint8_t key[SL_LEDGER_KEY_MAX];
    size_t size = sl_ledger_key(e, key);
    add_by_key(record, sl_slice(key, size), e->amount, e->cost_nano);
}

enum sl_err
sl_ledger_merge(struct sl_buf *record, struct sl_slice entries)
{
    enum sl_err err = each_entry(entries, skip_entry, NULL);
    return err != SL_OK ? err : each_entry(entries, merge_entry, record);
}

enum sl_err
sl_ledger_sum_record(struct sl_slice entries, struct sl_ledger_sums *sums)
{
    enum sl_err err = each_entry(entries, skip_entry, NULL);
    return err != SL_OK ? err : each_entry(entries, add_entry, sums);
}

/* ---- times --------------------------------------------------------------------------------- */

/* The day of its month that a day since 1970 is, from 0. The calendar repeats every 400 years;
 * years are counted from March, so that the odd month is the last. */
static uint64_t
day_of_month(uint64_t days)
{
    uint64_t day = (days + 719468) % 146097; /* Since 1 March of a year that 400 divides. */
    uint64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    uint64_t of_year = day - (365 * year + year / 4 - year / 100);
    uint64_t month = (5 * of_year + 2) / 153;
    return of_year - (153 * month + 2) / 5;
}

uint64_t
sl_ledger_begin(enum sl_ledger_level level, uint64_t at_ms)
{
    uint64_t day = at_ms / DAY_MS;
    switch (level) {
    case SL_LEDGER_HOUR:
        return at_ms - at_ms % HOUR_MS;
    case SL_LEDGER_DAY:
        return day * DAY_MS;
    case SL_LEDGER_MONTH:
        return (day - day_of_month(day)) * DAY_MS;
    case SL_LEDGER_RECORD:
        break;
    }
    return at_ms;
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void
write_head(struct sl_buf *key, unsigned level, uint64_t at_ms)
{
    sl_buf_clear(key);
    sl_buf_append_u8(key, (uint8_t)level);
    sl_buf_append_u64be(key, at_ms);
}

void
sl_ledger_put(struct sl_txn *txn, struct sl_scope scope, struct sl_ledger_id id,
              struct sl_slice entries)
{
    uint8_t key[HEAD_SIZE + sizeof(uint64_t)] = {SL_LEDGER_RECORD};
    if (entries.size == 0)
        return;
    for (unsigned i = 0; i < sizeof(uint64_t); i++) {
        key[1 + i] = (uint8_t)(id.at_ms >> (56 - 8 * i));
        key[HEAD_SIZE + i] = (uint8_t)(id.number >> (56 - 8 * i));
    }
    sl_txn_put(txn, scope, SL_TABLE_LEDGER, sl_slice(key, sizeof(key)), entries);
}

/* Whether the row is a sum, and what of. */
static bool
read_sum(struct sl_slice key, struct sl_slice value, struct sl_ledger_entry *ret_e)
{
    struct sl_reader r = sl_reader(value);
    uint64_t amount = sl_read_u64(&r), cost_nano = sl_read_u64(&r);
    if (!sl_reader_is_done(&r) || key.size <= HEAD_SIZE ||
        sl_ledger_key_read(sl_slice(key.data + HEAD_SIZE, key.size - HEAD_SIZE), ret_e) != SL_OK)
        return false;
    ret_e->amount = amount;
    ret_e->cost_nano = cost_nano;
    return true;
}

/* ---- folding ------------------------------------------------------------------------------- */

struct folding {
    const struct sl_ledger_fold *fold;
    unsigned to;
    uint64_t begin_ms;          /* Of the row at hand, in the level above. */
    struct sl_ledger_sums sums; /* By the keys of the rows to be. */
    struct sl_buf gone, key;    /* Keys, as blocks. */
};

static void
add_to_row(void *arg, struct sl_slice key, const struct sl_ledger_entry *e)
{
    struct folding *f = arg;
    write_head(&f->key, f->to, f->begin_ms);
    sl_buf_append_slice(&f->key, key);
    sl_ledger_sums_add(&f->sums, sl_buf_slice(&f->key), e->amount, e->cost_nano);
}

static bool
take_row(struct folding *f, unsigned from, struct sl_slice key, struct sl_slice value)
{
    struct sl_ledger_entry e;
    if (from == SL_LEDGER_RECORD) {
        if (each_entry(value, skip_entry, NULL) != SL_OK)
            return false;
        return each_entry(value, add_to_row, f) == SL_OK;
    }
    if (!read_sum(key, value, &e))
        return false;
    add_to_row(f, sl_slice(key.data + HEAD_SIZE, key.size - HEAD_SIZE), &e);
    return true;
}

/* Rows of the level that begin before `until_ms`; true: it stopped at rows_max. */
static bool
collect(struct folding *f, struct sl_txn *txn, unsigned from, uint64_t until_ms)
{
    struct sl_scan scan = {0};
    uint8_t level = (uint8_t)from;
    uint32_t rows = 0;
    bool is_over = false;
    sl_txn_scan(txn, f->fold->scope, SL_TABLE_LEDGER, sl_slice(&level, 1), sl_slice(NULL, 0), false,
                &scan);
    while (rows < f->fold->rows_max && !is_over && sl_scan_next(&scan)) {
        struct sl_reader r = sl_reader(sl_slice(scan.key.data + 1, scan.key.size - 1));
        uint64_t at_ms = sl_read_u64be(&r);
        is_over = at_ms >= until_ms;
        f->begin_ms = sl_ledger_begin((enum sl_ledger_level)f->to, at_ms);
        rows++;
        if (!is_over && !r.is_bad && take_row(f, from, scan.key, scan.value))
            sl_buf_append_block(&f->gone, scan.key);
    }
    sl_scan_end(&scan);
    return !is_over && rows == f->fold->rows_max;
}

/* What was collected is added to the rows above and taken from those below. */
static void
move(struct folding *f, struct sl_txn *txn)
{
    struct sl_ledger_entry had;
    struct sl_slice value;
    for (uint32_t i = 0; i < f->sums.count; i++) {
        struct sl_slice key = sl_ledger_sums_key(&f->sums, i);
        const struct sl_ledger_sum *sum = &f->sums.items[i];
        if (sl_txn_get(txn, f->fold->scope, SL_TABLE_LEDGER, key, &value) != SL_OK ||
            !read_sum(key, value, &had))
            had = (struct sl_ledger_entry){0};
        sl_buf_clear(&f->key);
        sl_buf_append_u64(&f->key, sl_ledger_plus(had.amount, sum->amount));
        sl_buf_append_u64(&f->key, sl_ledger_plus(had.cost_nano, sum->cost_nano));
        sl_txn_put(txn, f->fold->scope, SL_TABLE_LEDGER, key, sl_buf_slice(&f->key));
    }
    struct sl_reader r = sl_reader(sl_buf_slice(&f->gone));
    while (r.at < r.end && !r.is_bad)
        sl_txn_del(txn, f->fold->scope, SL_TABLE_LEDGER, sl_read_block(&r));
}

static enum sl_err
fold_level(const struct sl_ledger_fold *fold, unsigned from, uint64_t until_ms, bool *is_more)
{
    struct folding f = {.fold = fold, .to = from + 1};
    struct sl_txn *txn = sl_store_begin(fold->store);
    enum sl_err err = SL_OK;
    bool is_full = collect(&f, txn, from, until_ms);
    /* Rows that cannot be read would be looked at for ever: only progress is a reason to go on. */
    *is_more = *is_more || (is_full && f.gone.size > 0);
    move(&f, txn);
    if (sl_txn_is_empty(txn))
        sl_txn_abort(&txn);
    else
        err = sl_txn_commit(&txn);
    sl_ledger_sums_deinit(&f.sums);
    sl_buf_deinit(&f.gone);
    sl_buf_deinit(&f.key);
    return err;
}

enum sl_err
sl_ledger_fold(const struct sl_ledger_fold *f, bool *ret_is_more)
{
    uint64_t hours_ms = f->now_ms > HOURS_KEPT ? f->now_ms - HOURS_KEPT : 0;
    uint64_t days_ms = f->now_ms > DAYS_KEPT ? f->now_ms - DAYS_KEPT : 0;
    bool is_more = false;
    enum sl_err err = fold_level(f, SL_LEDGER_RECORD, UINT64_MAX, &is_more);
    if (err == SL_OK)
        err = fold_level(f, SL_LEDGER_HOUR, sl_ledger_begin(SL_LEDGER_DAY, hours_ms), &is_more);
    if (err == SL_OK)
        err = fold_level(f, SL_LEDGER_DAY, sl_ledger_begin(SL_LEDGER_MONTH, days_ms), &is_more);
    *ret_is_more = is_more;
    return err;
}

/* ---- walking ------------------------------------------------------------------------------- */

struct walking {
    const struct sl_ledger_walk *walk;
    uint64_t at_ms;
};

static void
show_entry(void *arg, struct sl_slice key, const struct sl_ledger_entry *e)
{
    const struct walking *w = arg;
    (void)key;
    w->walk->seen(w->walk->arg, w->at_ms, e);
}

/* False: the row and those behind it are of a later time. */
static bool
see_row(struct walking *w, unsigned level, const struct sl_scan *scan)
{
    struct sl_ledger_entry e;
    struct sl_reader r = sl_reader(sl_slice(scan->key.data + 1, scan->key.size - 1));
    w->at_ms = sl_read_u64be(&r);
    if (r.is_bad || w->at_ms < w->walk->from_ms)
        return true;
    if (w->at_ms >= w->walk->to_ms)
        return false;
    if (level == SL_LEDGER_RECORD) {
        if (each_entry(scan->value, skip_entry, NULL) == SL_OK)
            (void)each_entry(scan->value, show_entry, w);
    } else if (read_sum(scan->key, scan->value, &e)) {
        w->walk->seen(w->walk->arg, w->at_ms, &e);
    }
    return true;
}

bool
sl_ledger_walk(struct sl_txn *txn, const struct sl_ledger_walk *w, struct sl_ledger_place *place)
{
    struct walking walking = {.walk = w};
    uint32_t rows = 0;
    if (place->level == 0)
        place->level = SL_LEDGER_RECORD;
    for (; place->level <= SL_LEDGER_MONTH; place->level++) {
        struct sl_scan scan = {0};
        uint8_t level = (uint8_t)place->level;
        bool is_of_time = true;
        if (place->after.size == 0)
            write_head(&place->after, level, w->from_ms);
        sl_txn_scan(txn, w->scope, SL_TABLE_LEDGER, sl_slice(&level, 1),
                    sl_buf_slice(&place->after), false, &scan);
        while (is_of_time && rows < w->rows_max && sl_scan_next(&scan)) {
            is_of_time = see_row(&walking, level, &scan);
            if (++rows == w->rows_max) {
                sl_buf_clear(&place->after);
                sl_buf_append_slice(&place->after, scan.key);
            }
        }
        sl_scan_end(&scan);
        if (is_of_time && rows == w->rows_max)
            return false;
        sl_buf_clear(&place->after);
    }
    return true;
}
