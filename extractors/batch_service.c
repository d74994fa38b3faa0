/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/batch_service.h"

#include <assert.h>
#include <inttypes.h>

#include "runtime/time.h"

static_assert(SLUICE_BATCH_ITEMS_MAX == SL_BATCH_ITEMS_MAX, "what may be stated can be had");
static_assert(SLUICE_BATCH_UNITS_MAX == SL_BATCH_UNITS_MAX, "likewise");
static_assert(SLUICE_BATCH_DELAY_US_MAX * UINT64_C(1000) == SL_BATCH_DELAY_MAX_NS, "likewise");

/* ---- what is stated ------------------------------------------------------------------------ */

/* What lies behind its size was not there when the plugin was built: 0, which says nothing. */
static struct sluice_batch
copy_of(const struct sluice_batch *batch)
{
    struct sluice_batch copy = {0};
    memcpy(&copy, batch, SL_MIN((size_t)batch->size, sizeof(copy)));
    copy.size = sizeof(copy);
    return copy;
}

static bool
is_unit(const struct sluice_batch *batch)
{
    size_t size = strnlen(batch->unit, sizeof(batch->unit));
    for (size_t i = 0; i < size; i++) {
        if ((batch->unit[i] < 'a' || batch->unit[i] > 'z') && batch->unit[i] != '_')
            return false;
    }
    return size < sizeof(batch->unit);
}

static enum sl_err
check(const struct sluice_batch *batch, struct sl_cause *ret_cause)
{
    if (batch->items_max > SLUICE_BATCH_ITEMS_MAX)
        return sl_cause_set(ret_cause, SL_EINVAL, "items_max is %u: at most %d fit into a batch",
                            batch->items_max, SLUICE_BATCH_ITEMS_MAX);
    if (batch->units_max > SLUICE_BATCH_UNITS_MAX || batch->units_per_item > SLUICE_BATCH_UNITS_MAX)
        return sl_cause_set(ret_cause, SL_EINVAL,
                            "units_max or units_per_item is more than %" PRIu64,
                            SLUICE_BATCH_UNITS_MAX);
    if (batch->delay_us > SLUICE_BATCH_DELAY_US_MAX)
        return sl_cause_set(ret_cause, SL_EINVAL, "delay_us is %u: at most %d", batch->delay_us,
                            SLUICE_BATCH_DELAY_US_MAX);
    if (batch->units_per_item == 0 && batch->bytes_per_unit == 0 && batch->cost == NULL)
        return sl_cause_set(ret_cause, SL_EINVAL,
                            "no item costs anything: state units_per_item, bytes_per_unit or cost");
    if (batch->units_max != 0 && batch->units_per_item > batch->units_max)
        return sl_cause_set(ret_cause, SL_EINVAL,
                            "units_per_item is more than units_max: no two items share a batch");
    if (!is_unit(batch))
        return sl_cause_set(ret_cause, SL_EINVAL, "the unit's name is not of a-z and '_'");
    return SL_OK;
}

static int
state(void *self, const struct sluice_batch *batch)
{
    struct sl_batch_service *s = self;
    struct sluice_batch copy = {0};
    enum sl_err err = SL_EINVAL;
    s->why.text[0] = '\0';
    if (!s->is_open || s->is_stated)
        err = sl_cause_set(&s->why, SL_EINVAL, "batches are stated once, within create");
    else if (batch == NULL || !SLUICE_HAS(batch, units_max))
        err = sl_cause_set(&s->why, SL_EINVAL, "nothing is stated: set size, and units_max");
    else {
        copy = copy_of(batch);
        err = check(&copy, &s->why);
    }
    if (err != SL_OK)
        return SLUICE_BATCH_REFUSED;
    s->stated = copy;
    s->is_stated = true;
    return SLUICE_BATCH_OK;
}

static const char *
why(void *self)
{
    return ((const struct sl_batch_service *)self)->why.text;
}

void
sl_batch_service_init(struct sl_batch_service *s)
{
    *s = (struct sl_batch_service){
        .face = {.size = sizeof(s->face), .self = s, .state = state, .why = why},
        .is_open = true,
        .stated = {.size = sizeof(s->stated), .units_per_item = 1}};
}

struct sl_batch_plan
sl_batch_service_plan(const struct sl_batch_service *s, const struct sl_batch_override *override)
{
    uint64_t delay_ns = s->stated.delay_us * UINT64_C(1000);
    struct sl_batch_plan plan = {.units_max = s->stated.units_max,
                                 .items_max = s->stated.items_max};
    if (override->units_max != 0)
        plan.units_max = SL_MIN(override->units_max, SL_BATCH_UNITS_MAX);
    if (override->items_max != 0)
        plan.items_max = SL_MIN(override->items_max, SL_BATCH_ITEMS_MAX);
    plan.delay_ns = SL_MIN(override->has_delay ? override->delay_ns : delay_ns,
                           (uint64_t)SL_BATCH_DELAY_MAX_NS);
    return plan;
}

/* ---- what an item costs -------------------------------------------------------------------- */

static uint64_t
input_bytes(const struct sluice_item *item)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < item->input_count; i++) /* Each is mapped: no sum of them overflows. */
        bytes += SLUICE_AT(struct sluice_input, item->inputs, i)->data_bytes;
    return bytes;
}

enum sl_err
sl_batch_service_cost(const struct sl_batch_service *s, void *instance,
                      const struct sluice_item *item, uint64_t *ret_units,
                      struct sl_cause *ret_cause)
{
    const struct sluice_batch *batch = &s->stated;
    uint64_t units = batch->units_per_item;
    if (batch->cost != NULL) {
        units = batch->cost(instance, item);
        if (units == 0 || units > SLUICE_BATCH_UNITS_MAX)
            return sl_cause_set(ret_cause, SL_EINVAL,
                                "the extractor says that the item costs %" PRIu64
                                " units: 1 to %" PRIu64 " are taken",
                                units, SLUICE_BATCH_UNITS_MAX);
        *ret_units = units;
        return SL_OK;
    }
    if (batch->bytes_per_unit != 0) {
        uint64_t bytes = input_bytes(item);
        units += bytes / batch->bytes_per_unit + (bytes % batch->bytes_per_unit != 0);
    }
    if (batch->item_units_max != 0)
        units = SL_MIN(units, batch->item_units_max);
    *ret_units = SL_MIN(SL_MAX(units, UINT64_C(1)), SLUICE_BATCH_UNITS_MAX);
    return SL_OK;
}
