/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool_calls.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#include "runtime/alloc.h"

#define TENANT(n) ((uint64_t)(n) + 1)

static struct sl_calls c;
static struct sl_item items[2048];
static uint64_t scopes[2048];
static uint32_t made;

static void
setup(void)
{
    sl_calls_init(&c);
}

TestSuite(pool_calls, .init = setup);

static void
push(uint64_t scope, uint64_t work)
{
    scopes[made] = scope;
    items[made] = (struct sl_item){.serial = made + 1, .work = work};
    sl_calls_push(&c, &items[made], scope);
    made++;
}

/* Whose call is the next; 0: there is none. */
static uint64_t
pop(void)
{
    const struct sl_item *next = sl_calls_next(&c);
    const struct sl_item *item = sl_calls_pop(&c);
    cr_assert_eq(next, item);
    return item == NULL ? 0 : scopes[item->serial - 1];
}

Test(pool_calls, of_one_tenant_they_come_in_order)
{
    cr_assert_null(sl_calls_next(&c));
    for (uint32_t i = 0; i < 100; i++)
        push(TENANT(0), 600 + i);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(sl_calls_pop(&c)->serial, i + 1);
    cr_assert_null(sl_calls_pop(&c));
}

Test(pool_calls, one_call_does_not_wait_for_a_thousand_of_another)
{
    for (uint32_t i = 0; i < 1000; i++)
        push(TENANT(0), 1024);
    (void)pop();
    push(TENANT(1), 1024);
    uint32_t before = 0;
    while (pop() != TENANT(1))
        before++;
    cr_assert_leq(before, 16, "%u", before);
}

Test(pool_calls, tenants_get_the_same_work_whatever_the_size_of_theirs)
{
    uint64_t work[3] = {0}, sizes[] = {700, 5000, 60000};
    for (uint32_t i = 0; i < 600; i++)
        push(TENANT(i % 3), sizes[i % 3]);
    while (work[0] < 70000) {
        const struct sl_item *item = sl_calls_pop(&c);
        work[scopes[item->serial - 1] - 1] += item->work;
    }
    for (uint32_t i = 0; i < 3; i++)
        cr_assert(work[i] + 60000 + 16384 >= work[0] && work[i] <= work[0] + 60000 + 16384,
                  "%u has %" PRIu64, i, work[i]);
}

Test(pool_calls, what_costs_more_than_any_quantum_has_its_turn)
{
    push(TENANT(0), UINT64_MAX);
    push(TENANT(1), 1);
    uint64_t first = pop(), second = pop();
    cr_assert_eq(first + second, TENANT(0) + TENANT(1));
    cr_assert_eq(c.count, 0);
}

static bool
is_serial(const struct sl_item *item, const void *arg)
{
    return item->serial == *(const uint64_t *)arg;
}

Test(pool_calls, one_is_taken_from_the_middle)
{
    for (uint32_t i = 0; i < 9; i++)
        push(TENANT(i % 2), 600);
    uint64_t wanted = 5, gone = 5;
    cr_assert_eq(sl_calls_take(&c, is_serial, &wanted), &items[4]);
    cr_assert_null(sl_calls_take(&c, is_serial, &gone));
    cr_assert_eq(c.count, 8);
    for (uint32_t i = 0; i < 8; i++)
        cr_assert_neq(pop(), 0);
    cr_assert_eq(pop(), 0);
}
