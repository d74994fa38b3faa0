/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - doubly linked lists of items that are known by number: places in an array of the
 * caller's. A link is 8 bytes of the item, so that being in a list costs no memory and no item
 * moves. An item is in at most one list by a link; which one, its owner knows.
 *
 * The array is named with every call and never kept, so that it may grow (and move) in between.
 * Built from constants, as SL_ITEMS does, the arithmetic folds away.
 * Threading: one owner.
 */
#ifndef SL_QUEUE_LIST_H
#define SL_QUEUE_LIST_H

#include "runtime/base.h"

#define SL_NONE UINT32_MAX /* No item. Items are numbered below 2^31. */

struct sl_link {
    uint32_t next, prev; /* Meaningless while the item is in no list. */
};

/* Where items lie, and within one: its link, and for timers (wheel.h) its uint64_t time. */
struct sl_items {
    void *base; /* Item 0. */
    uint32_t stride;
    uint16_t link_at, time_at;
};

#define SL_ITEMS(array, T, link_member)                                                            \
    ((struct sl_items){.base = (array), .stride = sizeof(T), .link_at = offsetof(T, link_member)})
#define SL_TIMED_ITEMS(array, T, link_member, time_member)                                         \
    ((struct sl_items){.base = (array),                                                            \
                       .stride = sizeof(T),                                                        \
                       .link_at = offsetof(T, link_member),                                        \
                       .time_at = offsetof(T, time_member)})

static inline struct sl_link *
sl_link(struct sl_items items, uint32_t item)
{
    return (struct sl_link *)((char *)items.base + (size_t)item * items.stride + items.link_at);
}

/* Empty is {SL_NONE, SL_NONE}, not zeroes: sl_list_init. */
struct sl_list {
    uint32_t first, last;
};

static inline void
sl_list_init(struct sl_list *list)
{
    *list = (struct sl_list){SL_NONE, SL_NONE};
}

static inline bool
sl_list_is_empty(const struct sl_list *list)
{
    return list->first == SL_NONE;
}

static inline void
sl_list_push_back(struct sl_list *list, struct sl_items items, uint32_t item)
{
    *sl_link(items, item) = (struct sl_link){.next = SL_NONE, .prev = list->last};
    if (list->last == SL_NONE)
        list->first = item;
    else
        sl_link(items, list->last)->next = item;
    list->last = item;
}

/* Behind `before`, which is in this list; SL_NONE: as the first. */
static inline void
sl_list_insert(struct sl_list *list, struct sl_items items, uint32_t before, uint32_t item)
{
    uint32_t next = before == SL_NONE ? list->first : sl_link(items, before)->next;
    *sl_link(items, item) = (struct sl_link){.next = next, .prev = before};
    if (before == SL_NONE)
        list->first = item;
    else
        sl_link(items, before)->next = item;
    if (next == SL_NONE)
        list->last = item;
    else
        sl_link(items, next)->prev = item;
}

static inline void
sl_list_push_front(struct sl_list *list, struct sl_items items, uint32_t item)
{
    sl_list_insert(list, items, SL_NONE, item);
}

/* The item must be in this list. */
static inline void
sl_list_remove(struct sl_list *list, struct sl_items items, uint32_t item)
{
    struct sl_link link = *sl_link(items, item);
    if (link.prev == SL_NONE)
        list->first = link.next;
    else
        sl_link(items, link.prev)->next = link.next;
    if (link.next == SL_NONE)
        list->last = link.prev;
    else
        sl_link(items, link.next)->prev = link.prev;
}

/* Take the first item; SL_NONE: the list is empty. */
static inline uint32_t
sl_list_pop_front(struct sl_list *list, struct sl_items items)
{
    uint32_t item = list->first;
    if (item != SL_NONE)
        sl_list_remove(list, items, item);
    return item;
}

#endif
