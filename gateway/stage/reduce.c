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

/* ---- sample -------------------------------------------------------------------------------- */

struct stratum {
    struct sl_json value;
    uint32_t size, quota;
    double rest; /* Of its share, beyond the quota. */
};

/* The strata of all documents; those of document i is the one at of[i]. */
static uint32_t
find_strata(struct sl_retrieval *r, struct sl_slice field, struct stratum *strata, uint32_t *of)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->found_count; i++) {
        struct sl_json value = sl_found_field(r, &r->found[i], field);
        uint32_t at = 0;
        while (at < count && sl_json_order(strata[at].value, value) != 0)
            at++;
        if (at == count)
            strata[count++] = (struct stratum){.value = value};
        strata[at].size++;
        of[i] = at;
    }
    return count;
}

/* Shares of `wanted` in proportion, at least `least` of each as long as there are enough; what
 * rounding leaves goes to the largest remainders. */
static void
share(const struct sl_retrieval *r, struct stratum *strata, uint32_t count, uint32_t wanted,
      uint32_t least)
{
    uint32_t given = 0;
    for (uint32_t i = 0; i < count; i++) {
        double exact = (double)wanted * strata[i].size / r->found_count;
        strata[i].quota = SL_MIN((uint32_t)exact, strata[i].size);
        strata[i].rest = exact - strata[i].quota;
        given += strata[i].quota;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t low = SL_MIN(least, strata[i].size);
        while (strata[i].quota < low && given < wanted) {
            strata[i].quota++;
            strata[i].rest--;
            given++;
        }
    }
    while (given < wanted) {
        uint32_t best = count;
        for (uint32_t i = 0; i < count; i++) {
            if (strata[i].quota < strata[i].size &&
                (best == count || strata[i].rest > strata[best].rest))
                best = i;
        }
        if (best == count)
            return;
        strata[best].quota++;
        strata[best].rest--;
        given++;
    }
}

/* Selection sampling: each document stays with the chance that still makes its stratum's quota.
 * The documents that stay keep their order. */
static void
select_documents(struct sl_retrieval *r, struct stratum *strata, const uint32_t *of,
                 struct sl_random *random)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->found_count; i++) {
        struct stratum *s = &strata[of[i]];
        if (sl_random_below(random, s->size--) >= s->quota)
            continue;
        s->quota--;
        r->found[kept++] = r->found[i];
    }
    r->found_count = kept;
}

static void
draw(struct sl_retrieval *r, struct sl_slice field, struct sl_random *random)
{
    uint32_t count = sl_stage_number(r, "count", 1, SL_RETRIEVAL_FOUND_MAX, 10);
    uint32_t least = sl_stage_number(r, "min_per_stratum", 0, SL_RETRIEVAL_FOUND_MAX, 1);
    uint32_t *of = sl_call_alloc(r->call, SL_MAX(r->found_count, 1u) * sizeof *of);
    struct stratum *strata = sl_call_alloc(r->call, (r->found_count + 1) * sizeof *strata);
    uint32_t strata_count = 1;
    if (r->found_count <= count || sl_call_has_failed(r->call))
        return;
    strata[0].size = r->found_count;
    if (field.size > 0) {
        strata[0] = (struct stratum){0};
        strata_count = find_strata(r, field, strata, of);
    }
    share(r, strata, strata_count, count, field.size > 0 ? least : 0);
    select_documents(r, strata, of, random);
}

enum sl_stage_result
sl_stage_sample(struct sl_retrieval *r)
{
    struct sl_json seed = sl_stage_parameter(r, "seed"), how = sl_stage_parameter(r, "strategy");
    struct sl_slice field = {0};
    struct sl_random random = *r->call->random;
    uint64_t number;
    if (sl_json_is(how, "stratified")) {
        field = sl_call_text(r->call, sl_stage_parameter(r, "stratify_by"));
        if (field.size == 0)
            return sl_stage_refuse(r, "stratify_by", "a stratified sample needs a field");
    } else if (sl_json_has(how) && !sl_json_is(how, "random") && !sl_json_is(how, "reservoir")) {
        return sl_stage_refuse(r, "strategy", "strategy must be random, stratified or reservoir");
    }
    if (sl_json_has(seed)) {
        if (sl_json_u64(seed, &number) != SL_OK)
            return sl_stage_refuse(r, "seed", "seed must be a non-negative integer");
        sl_random_seed(&random, number);
    }
    draw(r, field, &random);
    if (!sl_json_has(seed))
        *r->call->random = random;
    return sl_call_has_failed(r->call) ? SL_STAGE_FAILED : SL_STAGE_DONE;
}
