/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "actors/simulate_fault.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define HOUR_NS  (3600 * SL_SECOND_NS)
#define FIRST_NS SL_SECOND_NS /* Nothing fails before. */

const struct sl_fault_kind sl_fault_kinds[SL_FAULTS_COUNT] = {
#define FAULT(NAME, name, rate, what) {name, what, rate},
#include "actors/simulate_fault.def"
#undef FAULT
};

bool
sl_fault_parse(const char *text, uint32_t *ret_faults)
{
    uint32_t faults = 0;
    if (strcmp(text, "all") == 0 || strcmp(text, "none") == 0) {
        *ret_faults = text[0] == 'a' ? SL_FAULT_ALL : 0;
        return true;
    }
    for (;;) {
        size_t size = strcspn(text, ",");
        uint32_t i = 0;
        while (i < SL_FAULTS_COUNT && !sl_slice_is(sl_slice(text, size), sl_fault_kinds[i].name))
            i++;
        if (i == SL_FAULTS_COUNT)
            return false;
        faults |= UINT32_C(1) << i;
        if (text[size] == '\0')
            break;
        text += size + 1;
    }
    *ret_faults = faults;
    return true;
}

static void
plan_kind(struct sl_fault_plan *plan, uint64_t seed, uint32_t number, uint64_t until_ns)
{
    struct sl_random random;
    sl_random_seed(&random, seed * 64 + number + 1);
    uint64_t mean_ns = HOUR_NS / sl_fault_kinds[number].per_hour, at_ns = FIRST_NS;
    for (;;) {
        at_ns += sl_random_below(&random, 2 * mean_ns);
        if (at_ns >= until_ns)
            return;
        plan->events = sl_realloc(plan->events, (plan->count + 1) * sizeof(plan->events[0]));
        plan->events[plan->count++] =
            (struct sl_fault_event){at_ns, sl_random_u64(&random), (enum sl_fault_number)number};
    }
}

/* What keeps a main process from living long. */
#define HEAD_DIES                                                                                  \
    (SL_FAULT_HEAD | SL_FAULT_POWER | SL_FAULT_EIO | SL_FAULT_ENOSPC | SL_FAULT_FLIP |             \
     SL_FAULT_SCALE)

/*
 * A seed takes some of all faults, and each fourth takes every one: some things only show where
 * something else does not fail, as the end of a lease where the head lives that long.
 */
static uint32_t
choose(uint64_t seed, uint32_t faults)
{
    struct sl_random random;
    if (faults != SL_FAULT_ALL || seed % 4 == 0)
        return faults;
    sl_random_seed(&random, seed * 64);
    uint32_t some = (uint32_t)sl_random_u64(&random) & SL_FAULT_ALL;
    return sl_random_below(&random, 3) == 0 ? some & ~(uint32_t)HEAD_DIES : some;
}

static int
compare(const void *a, const void *b)
{
    const struct sl_fault_event *one = a, *two = b;
    if (one->at_ns != two->at_ns)
        return one->at_ns < two->at_ns ? -1 : 1;
    return (int)one->number - (int)two->number;
}

void
sl_fault_plan_init(struct sl_fault_plan *plan, uint64_t seed, uint32_t faults, uint64_t until_ns)
{
    *plan = (struct sl_fault_plan){0};
    faults = choose(seed, faults);
    for (uint32_t i = 0; i < SL_FAULTS_COUNT; i++) {
        if ((faults >> i & 1) != 0)
            plan_kind(plan, seed, i, until_ns);
    }
    if (plan->count > 0)
        qsort(plan->events, plan->count, sizeof(plan->events[0]), compare);
}

void
sl_fault_plan_deinit(struct sl_fault_plan *plan)
{
    sl_free(plan->events);
    *plan = (struct sl_fault_plan){0};
}
