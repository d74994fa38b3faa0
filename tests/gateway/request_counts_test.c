/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <math.h>

#include "gateway/request_counts.h"
#include "runtime/time.h"

static const struct sl_route *
route(uint32_t at)
{
    uint32_t count;
    const struct sl_route *routes = sl_routes(&count);
    cr_assert_lt(at, count);
    return &routes[at];
}

static void
end(struct sl_request_counts *c, uint64_t scope, uint16_t status, uint64_t took_ns)
{
    sl_request_counts_add(c, &(struct sl_request_end){.scope = {scope},
                                                      .tenant_id = "t",
                                                      .route = route(3),
                                                      .status = status,
                                                      .took_ns = took_ns});
}

Test(request_counts, calls_are_counted_by_tenant_route_and_status)
{
    struct sl_request_counts *c = sl_request_counts_create();
    end(c, 7, 200, SL_MILLI_NS);
    end(c, 7, 200, SL_MILLI_NS + 1);
    end(c, 7, 404, 20 * SL_SECOND_NS);
    end(c, 8, 200, 1);
    const struct sl_request_count *n = sl_request_counts_of(c, (struct sl_scope){7})->routes[3];
    cr_assert_eq(n->count, 3);
    cr_assert_eq(n->statuses[0].status, 200);
    cr_assert_eq(n->statuses[0].count, 2);
    cr_assert_eq(n->statuses[1].status, 404);
    cr_assert_eq(n->statuses[1].count, 1);
    cr_assert_eq(n->statuses[2].count, 0);
    cr_assert_eq(n->sum_ns, 20 * SL_SECOND_NS + 2 * SL_MILLI_NS + 1);
    cr_assert_eq(n->steps[SL_REQUEST_STEPS - 1], 1);
    cr_assert_null(sl_request_counts_of(c, (struct sl_scope){7})->routes[2]);
    cr_assert_null(sl_request_counts_of(c, (struct sl_scope){9}));
    cr_assert_eq(sl_request_counts_of(c, (struct sl_scope){8})->count, 1);
    sl_request_counts_destroy(&c);
}

Test(request_counts, routes_that_were_called_are_listed_once_and_rise)
{
    struct sl_request_counts *c = sl_request_counts_create();
    for (uint32_t i = 0; i < 60; i++) { /* Each of 30 twice, in no order. */
        struct sl_request_end e = {
            .scope = {7}, .tenant_id = "t", .route = route(7 * i % 30), .status = 200};
        sl_request_counts_add(c, &e);
    }
    const struct sl_request_tenant *t = sl_request_counts_of(c, (struct sl_scope){7});
    cr_assert_eq(t->used_count, 30);
    for (uint32_t i = 0; i < 30; i++) {
        cr_expect_eq(t->used[i], i);
        cr_expect_eq(t->routes[i]->count, 2);
    }
    sl_request_counts_destroy(&c);
}

Test(request_counts, a_step_holds_what_ends_with_it)
{
    struct sl_request_counts *c = sl_request_counts_create();
    for (uint32_t i = 0; i < SL_REQUEST_STEPS - 1; i++) {
        end(c, 1, 200, sl_request_step_ns(i));
        end(c, 1, 200, sl_request_step_ns(i) + 1);
    }
    const struct sl_request_count *n = sl_request_counts_of(c, (struct sl_scope){1})->routes[3];
    cr_assert_eq(n->steps[0], 1);
    for (uint32_t i = 1; i < SL_REQUEST_STEPS - 1; i++)
        cr_assert_eq(n->steps[i], 2, "step %u", i);
    cr_assert_eq(n->steps[SL_REQUEST_STEPS - 1], 1);
    sl_request_counts_destroy(&c);
}

Test(request_counts, a_quantile_lies_in_its_step)
{
    uint64_t steps[SL_REQUEST_STEPS] = {0};
    cr_assert(isnan(sl_request_quantile_ms(steps, 500)));
    steps[3] = 10; /* 0.5 to 1 ms */
    cr_assert_float_eq(sl_request_quantile_ms(steps, 500), 0.75, 1e-9);
    cr_assert_float_eq(sl_request_quantile_ms(steps, 1000), 1, 1e-9);
    steps[5] = 90; /* 2.5 to 5 ms */
    cr_assert_float_eq(sl_request_quantile_ms(steps, 100), 1, 1e-9);
    cr_assert_float_eq(sl_request_quantile_ms(steps, 550), 3.75, 1e-9);
    steps[SL_REQUEST_STEPS - 1] = 1000;
    cr_assert_float_eq(sl_request_quantile_ms(steps, 990), 10000, 1e-9);
}

Test(request_counts, statuses_and_tenants_are_bounded_and_none_is_lost)
{
    struct sl_request_counts *c = sl_request_counts_create();
    uint64_t statuses = 0, calls = 0;
    for (uint16_t i = 0; i < 40; i++)
        end(c, 1, (uint16_t)(400 + i), 1);
    const struct sl_request_count *n = sl_request_counts_of(c, (struct sl_scope){1})->routes[3];
    for (uint32_t i = 0; i < SL_REQUEST_STATUSES; i++)
        statuses += n->statuses[i].count;
    cr_assert_eq(statuses, 40);
    cr_assert_eq(n->statuses[SL_REQUEST_STATUSES - 1].status, 0);
    struct sl_request_count sum = {0};
    sl_request_count_merge(&sum, n);
    sl_request_count_merge(&sum, n);
    cr_assert_eq(sum.count, 80);
    cr_assert_eq(sum.statuses[0].count, 2);
    cr_assert_eq(sum.statuses[SL_REQUEST_STATUSES - 1].count, 2 * n->statuses[7].count);

    for (uint64_t i = 2; i < SL_REQUEST_TENANTS_MAX + 10; i++)
        end(c, i, 200, 1);
    cr_assert_eq(c->count, SL_REQUEST_TENANTS_MAX);
    for (uint32_t i = 0; i < c->count; i++)
        calls += c->tenants[i].count;
    cr_assert_eq(calls, 40 + SL_REQUEST_TENANTS_MAX + 8);
    cr_assert_eq(c->tenants[0].count, 10);
    sl_request_counts_destroy(&c);
}
