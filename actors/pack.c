/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that are filled alike are kept as one bin with a count, so the work grows with the kinds
 * and not with tasks or nodes: a kind splits a bin at most into those that took all they can, one
 * that took what was left, and the others.
 */
#include "actors/pack.h"

#include <string.h>

#define BINS_MAX (2 * SL_PACK_KINDS_MAX * (SL_PACK_KINDS_MAX + 1))

struct bin {
    struct sl_resources left; /* Of each of them. */
    uint64_t count;
};

struct packing {
    struct bin bins[BINS_MAX];
    uint32_t count;
};

static uint64_t
times(uint64_t has, uint64_t each)
{
    return each == 0 ? UINT64_MAX : has / each;
}

static uint64_t
fits(const struct sl_resources *has, const struct sl_resources *each)
{
    uint64_t places = times(has->places, SL_MAX(each->places, UINT64_C(1)));
    uint64_t cpus = times(has->cpus_milli, each->cpus_milli);
    uint64_t gpus = times(has->gpus_milli, each->gpus_milli);
    uint64_t memory = times(has->memory_bytes, each->memory_bytes);
    return SL_MIN(SL_MIN(places, cpus), SL_MIN(gpus, memory));
}

static struct sl_resources
less(const struct sl_resources *has, const struct sl_resources *each, uint64_t count)
{
    return (struct sl_resources){.places = has->places - SL_MAX(each->places, UINT64_C(1)) * count,
                                 .cpus_milli = has->cpus_milli - each->cpus_milli * count,
                                 .gpus_milli = has->gpus_milli - each->gpus_milli * count,
                                 .memory_bytes = has->memory_bytes - each->memory_bytes * count};
}

static void
add_bin(struct packing *p, struct sl_resources left, uint64_t count)
{
    sl_assert(p->count < BINS_MAX);
    if (count > 0)
        p->bins[p->count++] = (struct bin){.left = left, .count = count};
}

/* As many of `count` tasks as `bin` takes; returns how many are left. */
static uint64_t
fill(struct packing *p, struct bin bin, const struct sl_resources *each, uint64_t count)
{
    uint64_t most = fits(&bin.left, each);
    uint64_t full = most == 0 ? 0 : SL_MIN(bin.count, count / most);
    uint64_t rest = most == 0 || full == bin.count ? 0 : count - full * most;
    add_bin(p, less(&bin.left, each, most == 0 ? 0 : most), full);
    if (rest > 0)
        add_bin(p, less(&bin.left, each, rest), 1);
    add_bin(p, bin.left, bin.count - full - (rest > 0));
    return count - full * most - rest;
}

static void
pack_kind(struct packing *p, const struct sl_resources *node, const struct sl_pack_kind *kind)
{
    struct packing before = *p;
    uint64_t left = kind->count;
    uint64_t most = fits(node, &kind->each);
    p->count = 0;
    for (uint32_t i = 0; i < before.count; i++)
        left = fill(p, before.bins[i], &kind->each, left);
    uint64_t nodes = left / most + (left % most != 0);
    if (nodes > 0)
        (void)fill(p, (struct bin){.left = *node, .count = nodes}, &kind->each, left);
}

/* Larger: fewer of it fit on a node. */
static bool
is_larger(const struct sl_resources *node, const struct sl_pack_kind *a,
          const struct sl_pack_kind *b)
{
    return fits(node, &a->each) < fits(node, &b->each);
}

uint64_t
sl_pack(const struct sl_resources *node, const struct sl_pack_kind *kinds, uint32_t kinds_count,
        uint64_t *ret_unfit)
{
    struct packing p = {.count = 0};
    bool is_done[SL_PACK_KINDS_MAX] = {false};
    uint64_t nodes = 0;
    sl_assert(kinds_count <= SL_PACK_KINDS_MAX);
    *ret_unfit = 0;
    for (uint32_t round = 0; round < kinds_count; round++) {
        uint32_t best = kinds_count;
        for (uint32_t i = 0; i < kinds_count; i++) {
            if (!is_done[i] && (best == kinds_count || is_larger(node, &kinds[i], &kinds[best])))
                best = i;
        }
        is_done[best] = true;
        if (fits(node, &kinds[best].each) == 0)
            *ret_unfit += kinds[best].count;
        else if (kinds[best].count > 0)
            pack_kind(&p, node, &kinds[best]);
    }
    for (uint32_t i = 0; i < p.count; i++)
        nodes += p.bins[i].count;
    return nodes;
}
