/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/dispatch_flight.h"

#include "runtime/alloc.h"

#define CAPACITY_FIRST 1024

/* Tasks of a job have numbers in a row: they must not share buckets. */
static size_t
bucket_of(const struct sl_flights *f, uint64_t task_id)
{
    uint64_t mixed = task_id * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mixed >> 32) & (f->capacity - 1);
}

static void
grow(struct sl_flights *f)
{
    size_t capacity_before = f->capacity;
    struct sl_flight **before = f->buckets;
    f->capacity = capacity_before == 0 ? CAPACITY_FIRST : 2 * capacity_before;
    f->buckets = sl_zalloc(f->capacity * sizeof(f->buckets[0]));
    for (size_t i = 0; i < capacity_before; i++) {
        for (struct sl_flight *flight = before[i], *next; flight != NULL; flight = next) {
            struct sl_flight **bucket = &f->buckets[bucket_of(f, flight->task_id)];
            next = flight->chain;
            flight->chain = *bucket;
            *bucket = flight;
        }
    }
    sl_free(before);
}

void
sl_flights_deinit(struct sl_flights *f)
{
    sl_assert(f->count == 0);
    sl_free(f->buckets);
    *f = (struct sl_flights){0};
}

void
sl_flight_add(struct sl_flights *f, struct sl_flight_list *list, const struct sl_flight *like)
{
    struct sl_flight *former = sl_flight_lookup(f, like->task_id);
    if (former != NULL)
        sl_flight_end(f, former);
    if (f->count == f->capacity)
        grow(f);
    struct sl_flight *flight = sl_alloc(sizeof(*flight));
    struct sl_flight **bucket = &f->buckets[bucket_of(f, like->task_id)];
    *flight = *like;
    flight->chain = *bucket;
    *bucket = flight;
    flight->list = list;
    flight->newer = NULL;
    flight->older = list->newest;
    *(list->newest == NULL ? &list->oldest : &list->newest->newer) = flight;
    list->newest = flight;
    list->count++;
    if (list->sum != NULL)
        ++*list->sum;
    list->bytes += flight->bytes;
    list->expected_ns += flight->expected_ns;
    f->count++;
}

struct sl_flight *
sl_flight_lookup(const struct sl_flights *f, uint64_t task_id)
{
    if (f->count == 0)
        return NULL;
    struct sl_flight *flight = f->buckets[bucket_of(f, task_id)];
    while (flight != NULL && flight->task_id != task_id)
        flight = flight->chain;
    return flight;
}

void
sl_flight_end(struct sl_flights *f, struct sl_flight *flight)
{
    struct sl_flight_list *list = flight->list;
    struct sl_flight **at = &f->buckets[bucket_of(f, flight->task_id)];
    while (*at != flight)
        at = &(*at)->chain;
    *at = flight->chain;
    *(flight->older == NULL ? &list->oldest : &flight->older->newer) = flight->newer;
    *(flight->newer == NULL ? &list->newest : &flight->newer->older) = flight->older;
    list->count--;
    if (list->sum != NULL)
        --*list->sum;
    list->bytes -= flight->bytes;
    list->expected_ns -= flight->expected_ns;
    f->count--;
    sl_free(flight);
}

void
sl_flights_end_all(struct sl_flights *f, struct sl_flight_list *list)
{
    while (list->oldest != NULL)
        sl_flight_end(f, list->oldest);
}
