/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/batch/plan.h"

#include "gateway/collection.h"
#include "gateway/extractor/info.h"

#define UNPLANNED UINT32_MAX

static bool
is_named(struct sl_call *call, struct sl_json only, struct sl_json row)
{
    if (sl_json_count(only) == 0)
        return true;
    struct sl_slice id = sl_member_text(call, row, "collection_id");
    struct sl_slice name = sl_member_text(call, row, "collection_name");
    for (struct sl_json_iter i = sl_json_iter(only); sl_json_next(&i);) {
        struct sl_slice text = sl_call_text(call, i.value);
        if (sl_slice_equal(text, id) || sl_slice_equal(text, name))
            return true;
    }
    return false;
}

/* Every enabled collection of the namespace that may run; none is planned yet. */
static void
read_steps(struct sl_call *call, struct sl_json only, struct sl_batch_plan *plan)
{
    struct sl_scan scan = {0};
    struct sl_buf prefix = {0};
    uint32_t capacity = 0;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_COLLECTION,
                sl_key_prefix(&prefix, 1, call->namespace_id), sl_slice(NULL, 0), false, &scan);
    while (sl_scan_next(&scan)) {
        struct sl_json row = sl_call_parse(call, scan.value);
        if (!sl_json_bool(sl_json_member(row, "enabled"), true) || !is_named(call, only, row))
            continue;
        if (plan->steps_count == capacity) {
            capacity = capacity * 2 + 16;
            struct sl_batch_step *more = sl_call_alloc(call, capacity * sizeof(*more));
            if (plan->steps_count > 0)
                memcpy(more, plan->steps, plan->steps_count * sizeof(*more));
            plan->steps = more;
        }
        plan->steps[plan->steps_count++] = (struct sl_batch_step){
            .collection = (const char *)sl_call_copy(call, sl_key_part(scan.key, 1)).data,
            .row = row,
            .tier = UNPLANNED};
    }
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
}

/* The tier after the last of its planned sources; UNPLANNED: none feeds it. */
static uint32_t
tier_after_sources(const struct sl_batch_plan *plan, const struct sl_batch_step *step)
{
    uint32_t tier = UNPLANNED;
    for (uint32_t i = 0; i < plan->steps_count; i++) {
        const struct sl_batch_step *source = &plan->steps[i];
        if (source->tier == UNPLANNED ||
            !sl_collection_is_fed_by_collection(step->row, source->collection))
            continue;
        tier = tier == UNPLANNED ? source->tier + 1 : SL_MAX(tier, source->tier + 1);
    }
    return tier;
}

/* Sources exist before what they feed and never change, so there is no cycle: this ends. */
static void
assign_tiers(struct sl_batch_plan *plan)
{
    for (bool is_changed = true; is_changed && plan->tiers_count <= SL_CHAIN_TIERS_MAX;) {
        is_changed = false;
        for (uint32_t i = 0; i < plan->steps_count; i++) {
            struct sl_batch_step *step = &plan->steps[i];
            uint32_t tier = tier_after_sources(plan, step);
            if (tier == UNPLANNED || (step->tier != UNPLANNED && step->tier >= tier))
                continue;
            step->tier = tier;
            plan->tiers_count = SL_MAX(plan->tiers_count, tier + 1);
            is_changed = true;
        }
    }
}

/* Drop what is not planned, order by tier, and note who is read by whom. */
static void
settle_steps(struct sl_call *call, struct sl_batch_plan *plan)
{
    struct sl_batch_step *all = plan->steps;
    uint32_t count = 0, all_count = plan->steps_count;
    plan->steps = sl_call_alloc(call, (all_count + 1) * sizeof(*plan->steps));
    for (uint32_t tier = 0; tier < plan->tiers_count; tier++) {
        for (uint32_t i = 0; i < all_count; i++) {
            if (all[i].tier == tier)
                plan->steps[count++] = all[i];
        }
    }
    plan->steps_count = count;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < count; j++)
            plan->steps[i].is_chained |=
                sl_collection_is_fed_by_collection(plan->steps[j].row, plan->steps[i].collection);
    }
}

/* False: the call has failed. Leaving one out would lose what it was to make without a word. */
static bool
check_extractors(struct sl_call *call, const struct sl_batch_plan *plan)
{
    for (uint32_t i = 0; i < plan->steps_count; i++) {
        struct sl_json own = sl_json_member(plan->steps[i].row, "feature_extractor");
        struct sl_slice name = sl_member_text(call, own, "feature_extractor_name");
        if (!sl_extractor_info_is_disabled(name))
            continue;
        sl_call_fail(call, SL_API_CONFLICT,
                     "collection %s needs %.*s, which is disabled by the operator's configuration: "
                     "disable the collection, or name the others",
                     plan->steps[i].collection, SL_SLICE_FMT(name));
        return false;
    }
    return true;
}

bool
sl_batch_plan(struct sl_call *call, const struct sl_batch_start *start,
              struct sl_batch_plan *ret_plan)
{
    struct sl_batch_plan plan = {0};
    read_steps(call, start->only, &plan);
    for (uint32_t i = 0; i < plan.steps_count; i++) {
        struct sl_batch_step *step = &plan.steps[i];
        bool is_first = start->collection != NULL
                            ? strcmp(step->collection, start->collection) == 0
                            : sl_collection_is_fed_by(step->row, start->bucket);
        if (!is_first)
            continue;
        step->tier = 0;
        plan.tiers_count = 1;
    }
    if (plan.tiers_count == 0) {
        sl_call_fail(call, SL_API_BAD_REQUEST,
                     "no enabled collection is fed by bucket %s: nothing would be done",
                     start->bucket);
        return false;
    }
    assign_tiers(&plan);
    if (plan.tiers_count > SL_CHAIN_TIERS_MAX) {
        sl_call_fail(call, SL_API_BAD_REQUEST, "collections feed each other over %d tiers",
                     SL_CHAIN_TIERS_MAX);
        return false;
    }
    settle_steps(call, &plan);
    *ret_plan = plan;
    return check_extractors(call, &plan);
}

/* ---- as JSON ------------------------------------------------------------------------------- */

static void
write_ids(const struct sl_batch_plan *plan, uint32_t tier, struct sl_jsonw *w)
{
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < plan->steps_count; i++) {
        if (tier == UNPLANNED || plan->steps[i].tier == tier)
            sl_jsonw_str(w, plan->steps[i].collection);
    }
    sl_jsonw_end(w);
}

struct sl_json
sl_batch_plan_tiers(struct sl_call *call, const struct sl_batch_plan *plan)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    sl_jsonw_array(&w);
    for (uint32_t tier = 0; tier < plan->tiers_count; tier++)
        write_ids(plan, tier, &w);
    sl_jsonw_end(&w);
    struct sl_json tiers = sl_call_parse(call, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    return tiers;
}

struct sl_json
sl_batch_plan_collections(struct sl_call *call, const struct sl_batch_plan *plan)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &out);
    write_ids(plan, UNPLANNED, &w);
    struct sl_json ids = sl_call_parse(call, sl_buf_slice(&out));
    sl_buf_deinit(&out);
    return ids;
}

static void
write_step(const struct sl_batch_plan *plan, const struct sl_batch_step *step, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "collection_id", step->collection);
    sl_jsonw_name(w, "sources");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < plan->steps_count; i++) {
        if (sl_collection_is_fed_by_collection(step->row, plan->steps[i].collection))
            sl_jsonw_str(w, plan->steps[i].collection);
    }
    sl_jsonw_end(w);
    sl_jsonw_member_bool(w, "is_chained", step->is_chained);
    sl_jsonw_member_value(w, "filters", sl_collection_filters(sl_json_member(step->row, "source")));
    sl_jsonw_end(w);
}

void
sl_batch_plan_write(struct sl_call *call, const struct sl_batch_plan *plan, uint32_t tier,
                    uint64_t run, const char *const *task_ids, struct sl_jsonw *w)
{
    (void)call;
    sl_jsonw_member_u64(w, "run", run);
    sl_jsonw_member_u64(w, "current_tier", tier);
    sl_jsonw_member_u64(w, "total_tiers", plan->tiers_count);
    sl_jsonw_name(w, "collection_ids");
    write_ids(plan, tier, w);
    sl_jsonw_name(w, "chain");
    sl_jsonw_array(w);
    for (uint32_t next = tier + 1; next < plan->tiers_count; next++) {
        sl_jsonw_object(w);
        sl_jsonw_member_str(w, "task_id", task_ids[next]);
        sl_jsonw_name(w, "collections");
        sl_jsonw_array(w);
        for (uint32_t i = 0; i < plan->steps_count; i++) {
            if (plan->steps[i].tier == next)
                write_step(plan, &plan->steps[i], w);
        }
        sl_jsonw_end(w);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}
