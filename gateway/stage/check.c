/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters of stages against the schema that GET /v1/retrievers/stages shows: numbers, choices
 * and the lengths of lists. A value with a template in it is checked when the stage runs.
 */
#include "gateway/resource.h"
#include "gateway/retrieval.h"

struct check {
    struct sl_call *call;
    const char *loc;
};

static bool
is_template(struct sl_json v)
{
    struct sl_slice raw = sl_json_raw(v);
    return raw.size > 0 && memmem(raw.data, raw.size, "{{", 2) != NULL;
}

static void
check_bounds(const struct check *c, const char *what, double value, struct sl_json min,
             struct sl_json max)
{
    double bound;
    if (sl_json_f64(min, &bound) == SL_OK && value < bound)
        sl_call_invalid(c->call, c->loc, "greater_than_equal",
                        "%s should be greater than or equal to %.15g", what, bound);
    if (sl_json_f64(max, &bound) == SL_OK && value > bound)
        sl_call_invalid(c->call, c->loc, "less_than_equal",
                        "%s should be less than or equal to %.15g", what, bound);
}

static void
check_number(const struct check *c, struct sl_json schema, struct sl_json v)
{
    double number;
    int64_t integer;
    bool is_integer = sl_json_is(sl_json_member(schema, "type"), "integer");
    if (is_integer && sl_json_i64(v, &integer) != SL_OK)
        sl_call_invalid(c->call, c->loc, "int_type", "should be an integer");
    else if (sl_json_f64(v, &number) != SL_OK)
        sl_call_invalid(c->call, c->loc, "float_type", "should be a number");
    else
        check_bounds(c, "the value", number, sl_json_member(schema, "minimum"),
                     sl_json_member(schema, "maximum"));
}

static void
check_choice(const struct check *c, struct sl_json choices, struct sl_json v)
{
    struct sl_slice value = sl_call_text(c->call, v);
    for (struct sl_json_iter i = sl_json_iter(choices); sl_json_next(&i);) {
        if (sl_slice_equal(sl_call_text(c->call, i.value), value) && value.data != NULL)
            return;
    }
    sl_call_invalid(c->call, c->loc, "enum", "should be one of %.*s",
                    SL_SLICE_FMT(sl_json_raw(choices)));
}

/* The schemas are ours, and nest once: group_by's. */
static void
check_properties(struct sl_call *call, const char *loc, struct sl_json properties,
                 struct sl_json values)
{
    for (struct sl_json_iter i = sl_json_iter(properties); sl_json_next(&i);) {
        struct sl_slice name = sl_call_text(call, i.name);
        struct sl_json v = sl_json_member_slice(values, name);
        struct sl_json type = sl_json_member(i.value, "type");
        struct check c = {call, sl_call_format(call, "%s.%.*s", loc, SL_SLICE_FMT(name))};
        bool is_list = sl_json_kind(v) == SL_JSON_ARRAY;
        if (!sl_json_has(v) || is_template(v))
            continue;
        if (sl_json_is(type, "integer") || sl_json_is(type, "number"))
            check_number(&c, i.value, v);
        else if (sl_json_has(sl_json_member(i.value, "enum")))
            check_choice(&c, sl_json_member(i.value, "enum"), v);
        else if (is_list)
            check_bounds(&c, "the number of items", sl_json_count(v),
                         sl_json_member(i.value, "minItems"), sl_json_member(i.value, "maxItems"));
        else
            check_properties(call, c.loc, sl_json_member(i.value, "properties"), v);
    }
}

void
sl_stage_check(struct sl_call *call, const struct sl_stage *stage, struct sl_json parameters,
               const char *loc)
{
    struct sl_json properties = sl_call_parse(call, sl_slice_str(stage->parameters));
    if (SL_BUG(sl_json_kind(properties) != SL_JSON_OBJECT))
        return;
    check_properties(call, loc, properties, parameters);
}
