/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/node_set.h"

#include "runtime/alloc.h"

#define CAPACITY_MIN UINT32_C(16)

void
sl_node_set_deinit(struct sl_node_set *set)
{
    sl_free(set->slots);
    sl_free(set->buckets);
    *set = (struct sl_node_set){0};
}

/* Numbers are given in a row, so that they spread by themselves. */
static struct sl_node_slot **
bucket(const struct sl_node_set *set, uint64_t number)
{
    return &set->buckets[number & (set->capacity - 1)];
}

struct sl_node_slot *
sl_node_set_lookup(const struct sl_node_set *set, uint64_t number)
{
    struct sl_node_slot *slot = set->capacity == 0 ? NULL : *bucket(set, number);
    while (slot != NULL && slot->number != number)
        slot = slot->next;
    return slot;
}

static void
link_slot(struct sl_node_set *set, struct sl_node_slot *slot)
{
    struct sl_node_slot **at = bucket(set, slot->number);
    slot->next = *at;
    *at = slot;
}

static void
grow(struct sl_node_set *set)
{
    set->capacity = SL_MAX(set->capacity * 2, CAPACITY_MIN);
    set->slots = sl_realloc(set->slots, set->capacity * sizeof(set->slots[0]));
    sl_free(set->buckets);
    set->buckets = sl_zalloc(set->capacity * sizeof(struct sl_node_slot *));
    for (uint32_t i = 0; i < set->count; i++)
        link_slot(set, set->slots[i]);
}

void
sl_node_set_add(struct sl_node_set *set, struct sl_node_slot *slot, uint32_t number)
{
    sl_assert(sl_node_set_lookup(set, number) == NULL);
    if (set->count == set->capacity)
        grow(set);
    slot->number = number;
    slot->index = set->count;
    set->slots[set->count++] = slot;
    link_slot(set, slot);
}

void
sl_node_set_remove(struct sl_node_set *set, struct sl_node_slot *slot)
{
    sl_assert(slot->index < set->count && set->slots[slot->index] == slot);
    struct sl_node_slot *last = set->slots[--set->count];
    last->index = slot->index;
    set->slots[slot->index] = last;
    struct sl_node_slot **at = bucket(set, slot->number);
    while (*at != slot)
        at = &(*at)->next;
    *at = slot->next;
}
