/* SPDX-License-Identifier: Apache-2.0 */
/* The stages that thin documents out: group_by and sample. */
#include "runtime/filter.h"
#include "gateway/retrieval.h"
#include "runtime/random.h"

void
sl_retrieval_group(struct sl_retrieval *r, struct sl_slice field, uint32_t per_group,
                   uint32_t groups_max)
{
    uint32_t kept = 0, groups = 0;
    bool *is_taken = sl_call_alloc(r->call, SL_MAX(r->found_count, 1u) * sizeof *is_taken);
    struct sl_found *out = sl_call_alloc(r->call, SL_MAX(r->found_count, 1u) * sizeof *out);
    struct sl_json *values = sl_call_alloc(r->call, SL_MAX(r->found_count, 1u) * sizeof *values);
    for (uint32_t i = 0; i < r->found_count; i++)
        values[i] = sl_found_field(r, &r->found[i], field);
    for (uint32_t i = 0; i < r->found_count && groups < groups_max; i++) {
        uint32_t members = 0;
        for (uint32_t j = i; j < r->found_count && !is_taken[i]; j++) {
            if (is_taken[j] || sl_json_order(values[i], values[j]) != 0)
                continue;
            if (j != i)
                is_taken[j] = true;
            if (members++ < per_group)
                out[kept++] = r->found[j];
        }
        groups += members > 0;
    }
    r->found = out;
    r->found_count = kept;
}

enum sl_stage_result
sl_stage_group_by(struct sl_retrieval *r)
{
    struct sl_slice field = sl_call_text(r->call, sl_stage_parameter(r, "group_by_field"));
    uint32_t per_group = sl_stage_number(r, "max_per_group", 1, 1000, 10);
    if (sl_json_is(sl_stage_parameter(r, "output_mode"), "first"))
        per_group = 1;
    sl_retrieval_group(r, field.size > 0 ? field : sl_slice_str("source_object_id"), per_group,
                       UINT32_MAX);
    return SL_STAGE_DONE;
}

/* Reservoir sampling; the documents that stay keep their order. */
enum sl_stage_result
sl_stage_sample(struct sl_retrieval *r)
{
    uint32_t count = sl_stage_number(r, "count", 1, SL_RETRIEVAL_FOUND_MAX, 10), kept = 0;
    struct sl_json seed = sl_stage_parameter(r, "seed"), how = sl_stage_parameter(r, "strategy");
    struct sl_random random = *r->call->random;
    uint64_t number;
    if (sl_json_has(how) && !sl_json_is(how, "random") && !sl_json_is(how, "reservoir"))
        return sl_stage_refuse(r, "strategy", "strategy must be random or reservoir");
    if (sl_json_has(seed)) {
        if (sl_json_u64(seed, &number) != SL_OK)
            return sl_stage_refuse(r, "seed", "seed must be a non-negative integer");
        sl_random_seed(&random, number);
    }
    /* Selection sampling: each document stays with the chance that still makes `count` of them. */
    for (uint32_t i = 0; i < r->found_count && kept < count; i++) {
        uint32_t left = r->found_count - i;
        if (sl_random_below(&random, left) < count - kept)
            r->found[kept++] = r->found[i];
    }
    if (!sl_json_has(seed))
        *r->call->random = random;
    r->found_count = kept;
    return SL_STAGE_DONE;
}
