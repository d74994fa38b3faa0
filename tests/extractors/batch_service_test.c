/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/batch_service.h"

#include <criterion/criterion.h>

static struct sl_batch_service service;

static void
setup(void)
{
    sl_batch_service_init(&service);
}

TestSuite(batch_service, .init = setup);

static int
state(const struct sluice_batch *batch)
{
    return service.face.state(service.face.self, batch);
}

static void
expect_refused(const struct sluice_batch *batch, const char *why)
{
    sl_batch_service_init(&service);
    cr_assert_eq(state(batch), SLUICE_BATCH_REFUSED, "%s", why);
    const char *text = service.face.why(service.face.self);
    cr_assert_not_null(strstr(text, why), "%s", text);
    struct sl_batch_plan plan = sl_batch_service_plan(&service, &(struct sl_batch_override){0});
    cr_assert(plan.units_max == 0 && plan.items_max == 0 && plan.delay_ns == 0,
              "as if nothing were stated");
}

static struct sluice_batch
good(void)
{
    return (struct sluice_batch){.size = sizeof(struct sluice_batch),
                                 .units_max = 100,
                                 .items_max = 8,
                                 .units_per_item = 2,
                                 .bytes_per_unit = 4,
                                 .delay_us = 1500,
                                 .unit = "token"};
}

static struct sluice_input inputs[3];
static struct sluice_item item;

/* Inputs of so many bytes; nobody looks at them. */
static const struct sluice_item *
item_of(uint64_t first, uint64_t second)
{
    inputs[0] = (struct sluice_input){.size = sizeof(inputs[0]), .data_bytes = first};
    inputs[1] = (struct sluice_input){.size = sizeof(inputs[0]), .data_bytes = second};
    item = (struct sluice_item){.size = sizeof(item), .inputs = inputs, .input_count = 2};
    return &item;
}

static uint64_t
cost_of(const struct sluice_item *of)
{
    uint64_t units = 0;
    struct sl_cause cause = {0};
    cr_assert_eq(sl_batch_service_cost(&service, NULL, of, &units, &cause), SL_OK, "%s",
                 cause.text);
    return units;
}

Test(batch_service, without_a_statement_an_item_costs_one_and_there_is_no_budget)
{
    struct sl_batch_plan plan = sl_batch_service_plan(&service, &(struct sl_batch_override){0});
    cr_assert(plan.units_max == 0 && plan.items_max == 0 && plan.delay_ns == 0);
    cr_assert_eq(cost_of(item_of(1000000, 5)), 1);
}

Test(batch_service, counts_units_by_items_and_bytes)
{
    struct sluice_batch batch = good();
    cr_assert_eq(state(&batch), SLUICE_BATCH_OK);
    cr_assert_str_eq(service.face.why(service.face.self), "");
    cr_assert_eq(cost_of(item_of(0, 0)), 2);
    cr_assert_eq(cost_of(item_of(1, 0)), 3, "a unit that is begun is whole");
    cr_assert_eq(cost_of(item_of(4, 4)), 4);
    cr_assert_eq(cost_of(item_of(400, 1)), 103, "more than the budget: it goes alone");
    struct sl_batch_plan plan = sl_batch_service_plan(&service, &(struct sl_batch_override){0});
    cr_assert_eq(plan.units_max, 100);
    cr_assert_eq(plan.items_max, 8);
    cr_assert_eq(plan.delay_ns, 1500000);
}

Test(batch_service, counts_no_more_than_is_worked_on_at_a_time)
{
    struct sluice_batch batch = good();
    batch.item_units_max = 50;
    cr_assert_eq(state(&batch), SLUICE_BATCH_OK);
    cr_assert_eq(cost_of(item_of(UINT64_C(1) << 62, 0)), 50);
    sl_batch_service_init(&service);
    batch.item_units_max = 0;
    batch.units_max = 0;
    batch.bytes_per_unit = 1;
    cr_assert_eq(state(&batch), SLUICE_BATCH_OK);
    cr_assert_eq(cost_of(item_of(UINT64_C(1) << 62, 0)), SLUICE_BATCH_UNITS_MAX, "and bounded");
}

static uint64_t said;

static uint64_t
cost(void *instance, const struct sluice_item *of)
{
    cr_assert_null(instance);
    cr_assert_eq(of, &item);
    return said;
}

Test(batch_service, takes_what_the_plugin_counts_and_refuses_nonsense)
{
    struct sluice_batch batch = good();
    batch.cost = cost;
    cr_assert_eq(state(&batch), SLUICE_BATCH_OK);
    for (said = 1; said <= SLUICE_BATCH_UNITS_MAX; said *= 2)
        cr_assert_eq(cost_of(item_of(1, 1)), said);
    const uint64_t nonsense[] = {0, SLUICE_BATCH_UNITS_MAX + 1, (uint64_t)-1, UINT64_MAX / 2};
    for (size_t i = 0; i < SL_COUNT_OF(nonsense); i++) {
        uint64_t units = 7;
        struct sl_cause cause = {0};
        said = nonsense[i];
        cr_assert_eq(sl_batch_service_cost(&service, NULL, item_of(1, 1), &units, &cause),
                     SL_EINVAL);
        cr_assert_eq(units, 7, "on error nothing has changed");
        cr_assert_not_null(strstr(cause.text, "units"));
    }
}

Test(batch_service, refuses_bad_statements_and_says_why)
{
    struct sluice_batch batch = good();
    expect_refused(NULL, "nothing is stated");
    batch.size = 8;
    expect_refused(&batch, "set size");
    batch = good();
    batch.items_max = SLUICE_BATCH_ITEMS_MAX + 1;
    expect_refused(&batch, "items_max is 257");
    batch = good();
    batch.units_max = UINT64_MAX;
    expect_refused(&batch, "units_max or units_per_item");
    batch = good();
    batch.units_per_item = SLUICE_BATCH_UNITS_MAX + 1;
    expect_refused(&batch, "units_max or units_per_item");
    batch = good();
    batch.delay_us = SLUICE_BATCH_DELAY_US_MAX + 1;
    expect_refused(&batch, "delay_us is 1000001");
    batch = good();
    batch.units_per_item = batch.bytes_per_unit = 0;
    expect_refused(&batch, "no item costs anything");
    batch = good();
    batch.units_per_item = batch.units_max + 1;
    expect_refused(&batch, "no two items");
    batch = good();
    memset(batch.unit, 'a', sizeof(batch.unit));
    expect_refused(&batch, "the unit's name");
    batch = good();
    batch.unit[0] = '"';
    expect_refused(&batch, "the unit's name");
}

Test(batch_service, is_stated_once_and_within_create)
{
    struct sluice_batch batch = good();
    cr_assert_eq(state(&batch), SLUICE_BATCH_OK);
    cr_assert_eq(state(&batch), SLUICE_BATCH_REFUSED);
    cr_assert_eq(sl_batch_service_plan(&service, &(struct sl_batch_override){0}).units_max, 100,
                 "the first holds");
    sl_batch_service_init(&service);
    service.is_open = false;
    cr_assert_eq(state(&batch), SLUICE_BATCH_REFUSED);
}

/* A plugin that was built before a member was there: it says nothing of that. */
Test(batch_service, takes_a_shorter_statement)
{
    struct sluice_batch batch = good();
    batch.cost = cost;
    batch.size = offsetof(struct sluice_batch, delay_us);
    cr_assert_eq(state(&batch), SLUICE_BATCH_OK);
    cr_assert_eq(cost_of(item_of(4, 4)), 4);
    cr_assert_eq(sl_batch_service_plan(&service, &(struct sl_batch_override){0}).delay_ns, 0);
}

Test(batch_service, has_the_operator_say_otherwise_within_bounds)
{
    struct sluice_batch batch = good();
    cr_assert_eq(state(&batch), SLUICE_BATCH_OK);
    struct sl_batch_override override = {.units_max = 7, .items_max = 3, .has_delay = true};
    struct sl_batch_plan plan = sl_batch_service_plan(&service, &override);
    cr_assert_eq(plan.units_max, 7);
    cr_assert_eq(plan.items_max, 3);
    cr_assert_eq(plan.delay_ns, 0);
    override = (struct sl_batch_override){.units_max = UINT64_MAX,
                                          .items_max = UINT32_MAX,
                                          .delay_ns = UINT64_MAX,
                                          .has_delay = true};
    plan = sl_batch_service_plan(&service, &override);
    struct sl_batcher *batcher = sl_batcher_create(&plan); /* Which asserts that it is good. */
    sl_batcher_destroy(&batcher);
}
