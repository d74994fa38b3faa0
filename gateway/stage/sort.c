/* SPDX-License-Identifier: Apache-2.0 */
/* The stages that order documents: sort_relevance (by a score) and sort_attribute (by a field). */
#include <stdlib.h>

#include "runtime/filter.h"
#include "gateway/retrieval.h"

struct sorted {
    struct sl_found found;
    struct sl_json value;
    uint32_t place; /* Before: keeps equal ones in their order. */
    bool is_descending, is_missing_first;
};

static int
order(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    bool has_x = sl_json_has(x->value), has_y = sl_json_has(y->value);
    int result = 0;
    if (has_x != has_y)
        return has_x == x->is_missing_first ? 1 : -1;
    if (has_x)
        result = sl_json_order(x->value, y->value);
    if (x->is_descending)
        result = -result;
    return result != 0 ? result : x->place < y->place ? -1 : 1;
}

static void
sort(struct sl_retrieval *r, struct sl_slice field, bool is_descending, bool is_missing_first)
{
    struct sorted *all = sl_call_alloc(r->call, SL_MAX(r->found_count, 1u) * sizeof *all);
    for (uint32_t i = 0; i < r->found_count; i++)
        all[i] = (struct sorted){.found = r->found[i],
                                 .value = sl_found_field(r, &r->found[i], field),
                                 .place = i,
                                 .is_descending = is_descending,
                                 .is_missing_first = is_missing_first};
    if (r->found_count > 0)
        qsort(all, r->found_count, sizeof *all, order);
    for (uint32_t i = 0; i < r->found_count; i++)
        r->found[i] = all[i].found;
}

/* Order the documents that have the field among their own places; the others stay where they are.
 */
static void
sort_preserving(struct sl_retrieval *r, struct sl_slice field, bool is_descending)
{
    struct sl_retrieval with = *r;
    uint32_t *places = sl_call_alloc(r->call, SL_MAX(r->found_count, 1u) * sizeof *places);
    with.found = sl_call_alloc(r->call, SL_MAX(r->found_count, 1u) * sizeof *with.found);
    with.found_count = 0;
    for (uint32_t i = 0; i < r->found_count; i++) {
        if (!sl_json_has(sl_found_field(r, &r->found[i], field)))
            continue;
        places[with.found_count] = i;
        with.found[with.found_count++] = r->found[i];
    }
    sort(&with, field, is_descending, false);
    for (uint32_t i = 0; i < with.found_count; i++)
        r->found[places[i]] = with.found[i];
}

enum sl_stage_result
sl_stage_sort_relevance(struct sl_retrieval *r)
{
    struct sl_slice field = sl_call_text(r->call, sl_stage_parameter(r, "score_field"));
    struct sl_json missing = sl_stage_parameter(r, "missing_score");
    bool is_descending = !sl_json_is(sl_stage_parameter(r, "direction"), "asc");
    bool is_top = sl_json_is(missing, "top");
    if (field.size == 0)
        field = sl_slice_str("score");
    if (sl_json_is(missing, "preserve"))
        sort_preserving(r, field, is_descending);
    else if (sl_json_has(missing) && !is_top && !sl_json_is(missing, "bottom"))
        return sl_stage_refuse(r, "missing_score", "must be bottom, top or preserve");
    else
        sort(r, field, is_descending, is_top);
    return SL_STAGE_DONE;
}

enum sl_stage_result
sl_stage_sort_attribute(struct sl_retrieval *r)
{
    struct sl_slice field = sl_call_text(r->call, sl_stage_parameter(r, "field"));
    if (field.size == 0)
        field = sl_call_text(r->call, sl_stage_parameter(r, "sort_field"));
    if (field.size == 0)
        return sl_stage_refuse(r, "field", "sort_attribute needs a field");
    sort(r, field, !sl_json_is(sl_stage_parameter(r, "direction"), "asc"),
         !sl_json_bool(sl_stage_parameter(r, "nulls_last"), true));
    return SL_STAGE_DONE;
}
