/* SPDX-License-Identifier: Apache-2.0 */
#include "queue/wheel.h"

/*
 * Lists are rings through a head that lies in the wheel and has a number of its own above all
 * items'. So an item is unlinked without knowing its list; what is left of the list, if only the
 * head, tells by its number which bit to clear.
 */
#define HEAD        (UINT32_C(1) << 31)
#define DIGIT_BITS  6
#define DUE         (SL_WHEEL_LEVELS * SL_WHEEL_SLOTS)
#define SPARE       (DUE + 1)
#define NOT_OPENED  UINT32_MAX
#define TIME_MAX_MS ((UINT64_C(1) << (DIGIT_BITS * SL_WHEEL_LEVELS)) - 1)

static inline struct sl_link *
at(struct sl_wheel *w, struct sl_items items, uint32_t number)
{
    return (number & HEAD) != 0 ? &w->heads[number & ~HEAD] : sl_link(items, number);
}

static inline uint64_t
time_of(struct sl_items items, uint32_t item)
{
    uint64_t at_ms =
        *(const uint64_t *)((const char *)items.base + (size_t)item * items.stride + items.time_at);
    return SL_MIN(at_ms, TIME_MAX_MS);
}

static void
clear(struct sl_wheel *w)
{
    memset(w->is_filled, 0, sizeof(w->is_filled));
    w->opened = NOT_OPENED;
    for (uint32_t i = 0; i < SL_COUNT_OF(w->heads); i++)
        w->heads[i] = (struct sl_link){HEAD | i, HEAD | i};
}

void
sl_wheel_init(struct sl_wheel *w, uint64_t now_ms)
{
    w->now_ms = SL_MIN(now_ms, TIME_MAX_MS);
    w->count = 0;
    clear(w);
}

static inline bool
is_empty(const struct sl_wheel *w, uint32_t list)
{
    return w->heads[list].next == (HEAD | list);
}

static inline void
push_back(struct sl_wheel *w, struct sl_items items, uint32_t list, uint32_t item)
{
    struct sl_link *head = &w->heads[list];
    *sl_link(items, item) = (struct sl_link){.next = HEAD | list, .prev = head->prev};
    at(w, items, head->prev)->next = item;
    head->prev = item;
    if (list < DUE)
        w->is_filled[list / SL_WHEEL_SLOTS] |= UINT64_C(1) << (list % SL_WHEEL_SLOTS);
}

static inline void
unlink_item(struct sl_wheel *w, struct sl_items items, uint32_t item)
{
    struct sl_link link = *sl_link(items, item);
    at(w, items, link.prev)->next = link.next;
    at(w, items, link.next)->prev = link.prev;
    uint32_t list = link.next & ~HEAD;
    if (link.next == link.prev && (link.next & HEAD) != 0 && list < DUE)
        w->is_filled[list / SL_WHEEL_SLOTS] &= ~(UINT64_C(1) << (list % SL_WHEEL_SLOTS));
}

/* Put an item where a wheel that stands at now_ms has it. */
static inline void
place(struct sl_wheel *w, struct sl_items items, uint32_t item, uint64_t now_ms)
{
    uint64_t at_ms = time_of(items, item);
    uint32_t list = DUE;
    if (at_ms > now_ms) {
        uint32_t level = (63 - (uint32_t)__builtin_clzll(at_ms ^ now_ms)) / DIGIT_BITS;
        uint32_t digit = (uint32_t)(at_ms >> (level * DIGIT_BITS)) % SL_WHEEL_SLOTS;
        list = level * SL_WHEEL_SLOTS + digit;
    }
    push_back(w, items, list, item);
}

void
sl_wheel_insert(struct sl_wheel *w, struct sl_items items, uint32_t item)
{
    sl_assert(item < HEAD);
    place(w, items, item, w->now_ms);
    w->count++;
}

void
sl_wheel_remove(struct sl_wheel *w, struct sl_items items, uint32_t item)
{
    sl_assert(item < HEAD);
    sl_assert(w->count > 0);
    unlink_item(w, items, item);
    w->count--;
}

/* Move a whole list to the end of another: two neighbours, whatever lies between. */
static void
splice(struct sl_wheel *w, struct sl_items items, uint32_t from, uint32_t to)
{
    if (is_empty(w, from))
        return;
    struct sl_link *source = &w->heads[from], *target = &w->heads[to];
    at(w, items, source->next)->prev = target->prev;
    at(w, items, target->prev)->next = source->next;
    at(w, items, source->prev)->next = HEAD | to;
    target->prev = source->prev;
    *source = (struct sl_link){HEAD | from, HEAD | from};
}

/* First millisecond of the earliest list that is not empty; false: all are. Due is not a list. */
static bool
earliest(const struct sl_wheel *w, uint32_t *ret_list, uint64_t *ret_ms)
{
    uint32_t level = 0;
    while (level < SL_WHEEL_LEVELS && w->is_filled[level] == 0)
        level++;
    if (level == SL_WHEEL_LEVELS)
        return false;
    uint32_t digit = (uint32_t)__builtin_ctzll(w->is_filled[level]);
    uint32_t shift = level * DIGIT_BITS;
    uint64_t above = w->now_ms >> shift >> DIGIT_BITS << DIGIT_BITS << shift;
    *ret_list = level * SL_WHEEL_SLOTS + digit;
    *ret_ms = above | (uint64_t)digit << shift;
    return true;
}

/*
 * Move the opened list down. Until it is empty the wheel stands a millisecond before the list's
 * first, so that a new item of that list still goes to its end, behind older ones of its time.
 */
static void
move_down(struct sl_wheel *w, struct sl_items items, uint32_t *budget)
{
    uint64_t start_ms = w->now_ms + 1;
    while (!is_empty(w, w->opened) && *budget > 0) {
        uint32_t item = w->heads[w->opened].next;
        uint32_t next = sl_link(items, item)->next;
        if ((next & HEAD) == 0)
            __builtin_prefetch(sl_link(items, next));
        unlink_item(w, items, item);
        place(w, items, item, start_ms);
        --*budget;
    }
    if (!is_empty(w, w->opened))
        return;
    w->opened = NOT_OPENED;
    w->now_ms = start_ms;
}

/* Come closer to now_ms, until something is due or the budget is spent. */
static void
advance(struct sl_wheel *w, struct sl_items items, uint64_t now_ms)
{
    uint32_t budget = SL_WHEEL_STEP;
    while (is_empty(w, DUE) && budget > 0) {
        uint32_t list;
        uint64_t start_ms;
        if (w->opened != NOT_OPENED) {
            move_down(w, items, &budget);
        } else if (!earliest(w, &list, &start_ms) || start_ms > now_ms) {
            w->now_ms = SL_MAX(w->now_ms, now_ms);
            return;
        } else if (list < SL_WHEEL_SLOTS) {
            w->now_ms = start_ms;
            splice(w, items, list, DUE);
            w->is_filled[0] &= w->is_filled[0] - 1;
        } else {
            w->now_ms = start_ms - 1;
            w->opened = list;
        }
    }
}

uint32_t
sl_wheel_pop(struct sl_wheel *w, struct sl_items items, uint64_t now_ms)
{
    if (is_empty(w, DUE))
        advance(w, items, SL_MIN(now_ms, TIME_MAX_MS));
    if (is_empty(w, DUE))
        return SL_NONE;
    uint32_t item = w->heads[DUE].next;
    sl_wheel_remove(w, items, item);
    return item;
}

uint64_t
sl_wheel_next_ms(const struct sl_wheel *w)
{
    uint32_t list;
    uint64_t start_ms;
    if (w->count == 0)
        return UINT64_MAX;
    if (!is_empty(w, DUE))
        return w->now_ms;
    if (w->opened != NOT_OPENED)
        return w->now_ms + 1;
    return earliest(w, &list, &start_ms) ? start_ms : UINT64_MAX;
}

void
sl_wheel_rewind(struct sl_wheel *w, struct sl_items items, uint64_t now_ms)
{
    /* Earlier lists first, so that items of one time stay in their order. */
    splice(w, items, DUE, SPARE);
    for (uint32_t list = 0; list < DUE; list++)
        splice(w, items, list, SPARE);
    struct sl_link all = w->heads[SPARE];
    clear(w);
    w->now_ms = SL_MIN(now_ms, TIME_MAX_MS);
    for (uint32_t item = all.next; (item & HEAD) == 0;) {
        uint32_t next = sl_link(items, item)->next;
        place(w, items, item, w->now_ms);
        item = next;
    }
}
