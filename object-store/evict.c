/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/evict.h"

#include "runtime/alloc.h"

#define EVICT_MAGIC 0x45564943u
#define ABSENT      UINT32_MAX
#define CHILDREN    4u
#define YOUNG       4u /* Who is among the youngest quarter need not move to be kept. */

/* What is compared lies in the heap itself: a step down looks at two cache lines, as a rule. */
struct node {
    uint64_t worth;
    uint64_t age; /* Grows with each that is added or moved: no two are the same. */
    uint32_t number;
    uint32_t weight;
};

struct sl_evict {
    uint32_t magic;
    uint32_t capacity, count;
    uint64_t floor;    /* What the last one that went was worth. Never falls. */
    uint64_t age;      /* Of the next. */
    struct node *heap; /* Each node is before its CHILDREN children. */
    uint32_t *places;  /* Of a number in the heap, or ABSENT. */
};

static void
check(const struct sl_evict *e)
{
    sl_assert(e != NULL);
    sl_assert(e->magic == EVICT_MAGIC);
}

struct sl_evict *
sl_evict_create(uint32_t capacity)
{
    struct sl_evict *e = sl_zalloc(sizeof(*e));
    e->magic = EVICT_MAGIC;
    e->capacity = capacity;
    e->places = sl_alloc(capacity * sizeof(*e->places));
    e->heap = sl_alloc(capacity * sizeof(*e->heap));
    memset(e->places, 0xff, capacity * sizeof(*e->places));
    return e;
}

void
sl_evict_destroy(struct sl_evict **evict)
{
    struct sl_evict *e = *evict;
    if (e == NULL)
        return;
    check(e);
    sl_free(e->places);
    sl_free(e->heap);
    sl_free(e);
    *evict = NULL;
}

uint32_t
sl_evict_weight(uint64_t size_bytes, uint64_t rebuild_ns)
{
    /* In 1/256 ns a byte, in bounds that leave the worth no way to overflow: 2^32 evictions on. */
    uint64_t size = SL_MAX(size_bytes, 1), ns = SL_MIN(rebuild_ns, UINT64_MAX >> 8);
    return (uint32_t)SL_MIN(SL_MAX(ns * 256 / size, 1), UINT32_MAX);
}

static inline bool
is_before(const struct node *a, const struct node *b)
{
    return a->worth < b->worth || (a->worth == b->worth && a->age < b->age);
}

static void
put(struct sl_evict *e, uint32_t place, const struct node *n)
{
    e->heap[place] = *n;
    e->places[n->number] = place;
}

static uint32_t
least_child(const struct sl_evict *e, uint32_t place)
{
    uint32_t first = CHILDREN * place + 1, least = first;
    for (uint32_t i = first + 1; i < SL_MIN(first + CHILDREN, e->count); i++) {
        if (is_before(&e->heap[i], &e->heap[least]))
            least = i;
    }
    return least;
}

/* Move a node, which `place` is free for, up or down to where it belongs. */
static void
settle(struct sl_evict *e, uint32_t place, struct node n)
{
    while (place > 0 && is_before(&n, &e->heap[(place - 1) / CHILDREN])) {
        put(e, place, &e->heap[(place - 1) / CHILDREN]);
        place = (place - 1) / CHILDREN;
    }
    for (uint32_t child; (child = CHILDREN * place + 1) < e->count; place = child) {
        child = least_child(e, place);
        if (!is_before(&e->heap[child], &n))
            break;
        put(e, place, &e->heap[child]);
    }
    put(e, place, &n);
}

void
sl_evict_expect(const struct sl_evict *e, uint32_t number)
{
    check(e);
    sl_assert(number < e->capacity);
    __builtin_prefetch(&e->places[number], 1);
    __builtin_prefetch(&e->heap[e->count], 1);
    __builtin_prefetch(&e->heap[e->count / CHILDREN], 1);
}

void
sl_evict_add(struct sl_evict *e, uint32_t number, uint32_t weight)
{
    check(e);
    sl_assert(number < e->capacity && weight >= 1);
    sl_assert(e->places[number] == ABSENT);
    struct node n = {
        .worth = e->floor + weight, .age = e->age++, .number = number, .weight = weight};
    settle(e, e->count++, n);
}

void
sl_evict_touch(struct sl_evict *e, uint32_t number)
{
    check(e);
    sl_assert(number < e->capacity);
    uint32_t place = e->places[number];
    if (place == ABSENT)
        return;
    struct node n = e->heap[place];
    if (n.worth == e->floor + n.weight && e->age - n.age <= e->count / YOUNG)
        return;
    n.worth = e->floor + n.weight;
    n.age = e->age++;
    settle(e, place, n);
}

void
sl_evict_remove(struct sl_evict *e, uint32_t number)
{
    check(e);
    sl_assert(number < e->capacity);
    uint32_t place = e->places[number];
    if (place == ABSENT)
        return;
    e->places[number] = ABSENT;
    struct node last = e->heap[--e->count];
    if (last.number != number)
        settle(e, place, last);
}

bool
sl_evict_pop(struct sl_evict *e, uint32_t *ret_number)
{
    check(e);
    if (e->count == 0)
        return false;
    uint32_t number = e->heap[0].number;
    e->floor = e->heap[0].worth;
    sl_evict_remove(e, number);
    *ret_number = number;
    return true;
}

bool
sl_evict_is_before(const struct sl_evict *e, uint32_t a, uint32_t b)
{
    check(e);
    sl_assert(a < e->capacity && e->places[a] != ABSENT);
    sl_assert(b < e->capacity && e->places[b] != ABSENT);
    return is_before(&e->heap[e->places[a]], &e->heap[e->places[b]]);
}

uint32_t
sl_evict_count(const struct sl_evict *e)
{
    check(e);
    return e->count;
}
