/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/use_counts.h"

#include "runtime/alloc.h"

#define OTHER   "other"
#define KEY_MAX (1 + 8 + SL_USE_LABELS * (1 + SL_USE_LABEL_MAX))

struct sl_use_counts {
    struct sl_ledger_sums sums; /* By kind, scope and labels, each with its size. */
};

struct sl_use_counts *
sl_use_counts_create(void)
{
    return sl_zalloc(sizeof(struct sl_use_counts));
}

void
sl_use_counts_destroy(struct sl_use_counts **counts)
{
    if (*counts != NULL)
        sl_ledger_sums_deinit(&(*counts)->sums);
    sl_free(*counts);
    *counts = NULL;
}

static size_t
make_key(const struct sl_use *use, uint8_t key[static KEY_MAX])
{
    size_t at = 0;
    key[at++] = (uint8_t)use->kind;
    memcpy(key + at, &use->scope.id, sizeof(use->scope.id));
    at += sizeof(use->scope.id);
    for (unsigned i = 0; i < SL_USE_LABELS; i++) {
        size_t size = SL_MIN(use->labels[i].size, (size_t)SL_USE_LABEL_MAX);
        key[at++] = (uint8_t)size;
        if (size > 0)
            memcpy(key + at, use->labels[i].data, size);
        at += size;
    }
    return at;
}

/* What is counted in the place of one that there is no room for. */
static struct sl_use
other_of(const struct sl_use *use)
{
    struct sl_use other = {.kind = use->kind};
    for (unsigned i = 0; i < SL_USE_LABELS; i++) {
        bool is_ours = use->kind == SL_USE_LEDGER; /* Resources are few. */
        if (use->labels[i].size > 0)
            other.labels[i] = is_ours ? use->labels[i] : sl_slice_str(OTHER);
    }
    return other;
}

void
sl_use_count(struct sl_use_counts *counts, const struct sl_use *use, uint64_t amount,
             uint64_t cost_nano)
{
    uint8_t key[KEY_MAX];
    if (counts == NULL)
        return;
    struct sl_ledger_sums *sums = &counts->sums;
    size_t size = make_key(use, key);
    if (sums->count >= SL_USE_COUNTS_MAX &&
        sl_ledger_sums_lookup(sums, sl_slice(key, size)) == NULL) {
        struct sl_use other = other_of(use);
        size = make_key(&other, key);
    }
    sl_ledger_sums_add(sums, sl_slice(key, size), amount, cost_nano);
}

void
sl_use_count_entry(struct sl_use_counts *counts, struct sl_scope scope,
                   const struct sl_ledger_entry *e)
{
    const struct sl_ledger_info *info = sl_ledger_info(e->resource);
    struct sl_use use = {.kind = SL_USE_LEDGER, .scope = scope};
    if (counts == NULL || info == NULL)
        return;
    use.labels[0] = sl_slice_str(info->name);
    sl_use_count(counts, &use, e->amount, e->cost_nano);
}

void
sl_use_count_record(struct sl_use_counts *counts, struct sl_scope scope, struct sl_slice entries)
{
    struct sl_ledger_sums sums = {0};
    struct sl_ledger_entry e;
    if (counts == NULL || entries.size == 0)
        return;
    if (sl_ledger_sum_record(entries, &sums) != SL_OK)
        sums.count = 0;
    for (uint32_t i = 0; i < sums.count; i++) {
        if (sl_ledger_key_read(sl_ledger_sums_key(&sums, i), &e) != SL_OK)
            continue;
        e.amount = sums.items[i].amount;
        e.cost_nano = sums.items[i].cost_nano;
        sl_use_count_entry(counts, scope, &e);
    }
    sl_ledger_sums_deinit(&sums);
}

bool
sl_use_next(const struct sl_use_counts *counts, uint32_t *at, struct sl_use *ret_use,
            const struct sl_ledger_sum **ret_sum)
{
    if (counts == NULL || *at >= counts->sums.count)
        return false;
    struct sl_reader r = sl_reader(sl_ledger_sums_key(&counts->sums, *at));
    *ret_use = (struct sl_use){.kind = (enum sl_use_kind)sl_read_u8(&r)};
    struct sl_slice scope = sl_read_bytes(&r, sizeof(ret_use->scope.id));
    memcpy(&ret_use->scope.id, scope.data, sizeof(ret_use->scope.id));
    for (unsigned i = 0; i < SL_USE_LABELS; i++)
        ret_use->labels[i] = sl_read_bytes(&r, sl_read_u8(&r));
    *ret_sum = &counts->sums.items[(*at)++];
    return true;
}
