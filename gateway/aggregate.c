/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/aggregate.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/accumulator.h"
#include "gateway/aggregate_key.h"
#include "runtime/alloc.h"
#include "runtime/filter.h"
#include "runtime/hash.h"

#define SLOTS_COUNT    (1u << 15) /* More than three for each group there may be. */
#define BOUNDARIES_MAX 64
#define RANGES_MAX     4

static_assert(SLOTS_COUNT > 3 * SL_AGGREGATION_GROUPS_MAX, "chains of slots must end");

struct field { /* What rows are grouped by. */
    char *path, *alias;
    enum sl_date_unit trunc, part;
    double boundaries[BOUNDARIES_MAX];
    uint32_t boundaries_count; /* 0: no range. */
    char *other;
};

struct op {
    enum sl_function function;
    char *path, *alias; /* path NULL: of the row itself. */
};

struct group {
    struct sl_buf key; /* JSON values of the fields, a unit separator after each. */
    struct sl_accumulator metrics[];
};

struct sl_aggregation {
    struct field fields[SL_AGGREGATION_FIELDS_MAX];
    struct op ops[SL_AGGREGATION_OPS_MAX];
    uint32_t fields_count, ops_count;
    char *unwind, *sort_by;
    bool is_ascending;
    uint64_t limit;
    struct sl_filter *having;

    struct group **groups;
    uint32_t *slots; /* Index of a group + 1; 0: free. */
    uint32_t groups_count;
    size_t size_bytes;
};

/* ---- reading the request ------------------------------------------------------------------- */

struct reading {
    struct sl_aggregation *a;
    struct sl_aggregation_error *error;
    bool has_failed;
};

static void
refuse(struct reading *r, const char *place, uint32_t index, const char *why)
{
    if (r->has_failed)
        return;
    r->has_failed = true;
    if (strchr(place, '%') != NULL) {
        const char *rest = strchr(place, '%') + 1;
        snprintf(r->error->place, sizeof(r->error->place), "%.*s%u%s", (int)(rest - 1 - place),
                 place, index, rest);
    } else {
        snprintf(r->error->place, sizeof(r->error->place), "%s", place);
    }
    snprintf(r->error->why, sizeof(r->error->why), "%s", why);
}

static void
read_field(struct reading *r, uint32_t index, struct sl_json v)
{
    struct field *f = &r->a->fields[r->a->fields_count++];
    bool is_name = sl_json_kind(v) == SL_JSON_STRING;
    struct sl_json trunc = sl_json_member(v, "date_trunc"), part = sl_json_member(v, "date_part");
    f->path = sl_json_strdup(is_name ? v : sl_json_member(v, "field"));
    f->alias = sl_json_strdup(sl_json_member(v, "alias"));
    if (f->path == NULL) {
        refuse(r, "group_by.%.field", index, "a field is needed");
        return;
    }
    if (f->alias == NULL)
        f->alias = sl_strdup(f->path);
    if (sl_json_has(trunc) && (f->trunc = sl_date_unit_parse(trunc, false)) == SL_DATE_NONE)
        refuse(r, "group_by.%.date_trunc", index, "is no unit that dates are cut to");
    if (sl_json_has(part) && (f->part = sl_date_unit_parse(part, true)) == SL_DATE_NONE)
        refuse(r, "group_by.%.date_part", index, "is no part of a date");
    if (sl_json_has(trunc) && sl_json_has(part))
        refuse(r, "group_by.%", index, "date_trunc and date_part exclude each other");
}

static void
read_fields(struct reading *r, struct sl_json v)
{
    uint32_t index = 0;
    if (sl_json_kind(v) == SL_JSON_STRING) {
        read_field(r, 0, v);
        return;
    }
    if (sl_json_has(v) && sl_json_kind(v) != SL_JSON_ARRAY)
        refuse(r, "group_by", 0, "must be a list of fields");
    if (sl_json_count(v) > SL_AGGREGATION_FIELDS_MAX - RANGES_MAX)
        refuse(r, "group_by", 0, "has too many fields: at most 4");
    for (struct sl_json_iter i = sl_json_iter(v); !r->has_failed && sl_json_next(&i);)
        read_field(r, index++, i.value);
}

static void
read_range(struct reading *r, uint32_t index, struct sl_json v)
{
    struct field *f = &r->a->fields[r->a->fields_count++];
    struct sl_json list = sl_json_member(v, "boundaries");
    f->path = sl_json_strdup(sl_json_member(v, "field"));
    f->alias = sl_json_strdup(sl_json_member(v, "field"));
    f->other = sl_json_strdup(sl_json_member(v, "default_bucket"));
    if (f->other == NULL)
        f->other = sl_strdup("other");
    if (f->path == NULL)
        refuse(r, "range_buckets.%.field", index, "a field is needed");
    if (sl_json_count(list) < 1 || sl_json_count(list) > BOUNDARIES_MAX) {
        refuse(r, "range_buckets.%.boundaries", index, "must have 1 to 64 numbers");
        return;
    }
    for (struct sl_json_iter i = sl_json_iter(list); sl_json_next(&i); f->boundaries_count++) {
        double *at = &f->boundaries[f->boundaries_count];
        if (sl_json_f64(i.value, at) != SL_OK || (f->boundaries_count > 0 && at[0] <= at[-1])) {
            refuse(r, "range_buckets.%.boundaries", index, "must be numbers that ascend");
            return;
        }
    }
}

static void
read_ranges(struct reading *r, struct sl_json v)
{
    uint32_t index = 0;
    if (sl_json_count(v) > RANGES_MAX)
        refuse(r, "range_buckets", 0, "has too many: at most 4");
    for (struct sl_json_iter i = sl_json_iter(v); !r->has_failed && sl_json_next(&i);)
        read_range(r, index++, i.value);
}

static void
read_op(struct reading *r, uint32_t index, struct sl_json v)
{
    struct op *op = &r->a->ops[r->a->ops_count++];
    struct sl_json distinct = sl_json_member(v, "distinct_field");
    if (!sl_function_parse(sl_json_member(v, "function"), &op->function)) {
        refuse(r, "aggregations.%.function", index, "is none that is known");
        return;
    }
    op->alias = sl_json_strdup(sl_json_member(v, "alias"));
    op->path = sl_json_strdup(op->function == SL_FUNCTION_COUNT_DISTINCT && sl_json_has(distinct)
                                  ? distinct
                                  : sl_json_member(v, "field"));
    if (op->alias == NULL)
        refuse(r, "aggregations.%.alias", index, "a name is needed");
    if (op->path == NULL && op->function != SL_FUNCTION_COUNT)
        refuse(r, "aggregations.%.field", index, "a field is needed");
}

static void
read_ops(struct reading *r, struct sl_json v)
{
    uint32_t index = 0;
    if (sl_json_kind(v) != SL_JSON_ARRAY || sl_json_count(v) < 1 ||
        sl_json_count(v) > SL_AGGREGATION_OPS_MAX)
        refuse(r, "aggregations", 0, "must be a list of 1 to 32");
    for (struct sl_json_iter i = sl_json_iter(v); !r->has_failed && sl_json_next(&i);)
        read_op(r, index++, i.value);
}

/* What groups must hold: conditions on their metrics, all of them. */
static void
read_having(struct reading *r, struct sl_json v)
{
    struct sl_buf text = {0};
    struct sl_json_doc *doc = NULL;
    char *why = NULL;
    if (r->has_failed || sl_json_count(v) == 0)
        return;
    sl_buf_append_str(&text, "{\"AND\":");
    sl_buf_append_slice(&text, sl_json_raw(v));
    sl_buf_append_u8(&text, '}');
    if (sl_json_kind(v) != SL_JSON_ARRAY || sl_json_parse(sl_buf_slice(&text), &doc, NULL) != SL_OK)
        refuse(r, "having", 0, "must be a list of conditions");
    else if (sl_filter_compile(sl_json_root(doc), NULL, &r->a->having, &why) != SL_OK)
        refuse(r, "having", 0, why);
    sl_free(why);
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
}

static void
read_order(struct reading *r, struct sl_json request)
{
    struct sl_json direction = sl_json_member(request, "sort_direction");
    struct sl_json limit = sl_json_member(request, "limit");
    if (!sl_json_has(direction))
        direction = sl_json_member(request, "sort_order");
    r->a->sort_by = sl_json_strdup(sl_json_member(request, "sort_by"));
    r->a->is_ascending = sl_json_is(direction, "asc");
    if (sl_json_has(direction) && !r->a->is_ascending && !sl_json_is(direction, "desc"))
        refuse(r, "sort_direction", 0, "must be asc or desc");
    r->a->limit = SL_AGGREGATION_GROUPS_MAX;
    if (sl_json_has(limit) && (sl_json_u64(limit, &r->a->limit) != SL_OK || r->a->limit == 0))
        refuse(r, "limit", 0, "must be a positive integer");
}

/* An object has each member once. */
static void
check_aliases(struct reading *r)
{
    const struct sl_aggregation *a = r->a;
    for (uint32_t i = 0; i < a->fields_count && !r->has_failed; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(a->fields[i].alias, a->fields[j].alias) == 0)
                refuse(r, "group_by.%.alias", i, "is there twice");
        }
    }
    for (uint32_t i = 0; i < a->ops_count && !r->has_failed; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(a->ops[i].alias, a->ops[j].alias) == 0)
                refuse(r, "aggregations.%.alias", i, "is there twice");
        }
    }
}

enum sl_err
sl_aggregation_create(struct sl_json request, struct sl_aggregation **ret_aggregation,
                      struct sl_aggregation_error *ret_error)
{
    struct sl_aggregation *a = sl_zalloc(sizeof(*a));
    struct reading r = {.a = a, .error = ret_error};
    read_fields(&r, sl_json_member(request, "group_by"));
    read_ranges(&r, sl_json_member(request, "range_buckets"));
    read_ops(&r, sl_json_member(request, "aggregations"));
    read_having(&r, sl_json_member(request, "having"));
    read_order(&r, request);
    check_aliases(&r);
    a->unwind = sl_json_strdup(sl_json_member(request, "unwind"));
    a->groups = sl_zalloc(SL_AGGREGATION_GROUPS_MAX * sizeof(struct group *));
    a->slots = sl_zalloc(SLOTS_COUNT * sizeof(*a->slots));
    if (r.has_failed) {
        sl_aggregation_destroy(&a);
        return SL_EINVAL;
    }
    *ret_aggregation = a;
    return SL_OK;
}

void
sl_aggregation_destroy(struct sl_aggregation **aggregation)
{
    struct sl_aggregation *a = *aggregation;
    *aggregation = NULL;
    if (a == NULL)
        return;
    for (uint32_t i = 0; i < a->groups_count; i++) {
        for (uint32_t j = 0; j < a->ops_count; j++)
            sl_accumulator_deinit(&a->groups[i]->metrics[j]);
        sl_buf_deinit(&a->groups[i]->key);
        sl_free(a->groups[i]);
    }
    for (uint32_t i = 0; i < a->fields_count; i++) {
        sl_free(a->fields[i].path);
        sl_free(a->fields[i].alias);
        sl_free(a->fields[i].other);
    }
    for (uint32_t i = 0; i < a->ops_count; i++) {
        sl_free(a->ops[i].path);
        sl_free(a->ops[i].alias);
    }
    sl_filter_destroy(&a->having);
    sl_free(a->unwind);
    sl_free(a->sort_by);
    sl_free(a->groups);
    sl_free(a->slots);
    sl_free(a);
}

/* ---- adding rows --------------------------------------------------------------------------- */

/* The field of a row, or of the element of it that stands for the array it is in. */
static struct sl_json
lookup(const struct sl_aggregation *a, struct sl_json row, struct sl_json element, const char *path)
{
    size_t size = a->unwind == NULL ? 0 : strlen(a->unwind);
    if (size > 0 && sl_json_has(element) && strncmp(path, a->unwind, size) == 0) {
        if (path[size] == '\0')
            return element;
        if (path[size] == '.')
            return sl_json_path(element, sl_slice_str(path + size + 1));
    }
    return sl_json_path(row, sl_slice_str(path));
}

static void
append_key(const struct field *f, struct sl_json value, struct sl_buf *key)
{
    if (f->boundaries_count > 0)
        sl_range_write(value, f->boundaries, f->boundaries_count, sl_slice_str(f->other), key);
    else if (f->trunc != SL_DATE_NONE)
        sl_date_trunc_write(value, f->trunc, key);
    else if (f->part != SL_DATE_NONE)
        sl_date_part_write(value, f->part, key);
    else
        sl_buf_append_slice(key, sl_json_has(value) ? sl_json_raw(value) : sl_slice_str("null"));
    sl_buf_append_u8(key, '\x1f'); /* JSON has none unescaped. */
}

/* The group of the key, made when there is none. NULL: there are too many. */
static struct group *
find_group(struct sl_aggregation *a, struct sl_buf *key)
{
    uint32_t at = (uint32_t)sl_hash64(sl_buf_slice(key)) & (SLOTS_COUNT - 1);
    for (; a->slots[at] != 0; at = (at + 1) & (SLOTS_COUNT - 1)) {
        struct group *g = a->groups[a->slots[at] - 1];
        if (sl_slice_equal(sl_buf_slice(&g->key), sl_buf_slice(key)))
            return g;
    }
    if (a->groups_count == SL_AGGREGATION_GROUPS_MAX)
        return NULL;
    struct group *g = sl_zalloc(sizeof(*g) + a->ops_count * sizeof(g->metrics[0]));
    sl_buf_append_slice(&g->key, sl_buf_slice(key));
    a->size_bytes += key->size;
    a->groups[a->groups_count++] = g;
    a->slots[at] = a->groups_count;
    return g;
}

static enum sl_err
add(struct sl_aggregation *a, struct sl_json row, struct sl_json element)
{
    struct sl_buf key = {0};
    for (uint32_t i = 0; i < a->fields_count; i++)
        append_key(&a->fields[i], lookup(a, row, element, a->fields[i].path), &key);
    struct group *g = find_group(a, &key);
    sl_buf_deinit(&key);
    if (g == NULL)
        return SL_EFULL;
    for (uint32_t i = 0; i < a->ops_count; i++) {
        const struct op *op = &a->ops[i];
        size_t before = sl_accumulator_size(&g->metrics[i]);
        sl_accumulator_add(&g->metrics[i], op->function,
                           op->path == NULL ? row : lookup(a, row, element, op->path));
        a->size_bytes += sl_accumulator_size(&g->metrics[i]) - before;
    }
    return a->size_bytes <= SL_AGGREGATION_SIZE_MAX ? SL_OK : SL_EFULL;
}

enum sl_err
sl_aggregation_add(struct sl_aggregation *a, struct sl_json row)
{
    enum sl_err err = SL_OK;
    if (a->unwind == NULL)
        return add(a, row, (struct sl_json){0});
    struct sl_json list = sl_json_path(row, sl_slice_str(a->unwind));
    if (sl_json_kind(list) != SL_JSON_ARRAY)
        return sl_json_has(list) ? add(a, row, list) : SL_OK;
    for (struct sl_json_iter i = sl_json_iter(list); err == SL_OK && sl_json_next(&i);)
        err = add(a, row, i.value);
    return err;
}

/* ---- writing ------------------------------------------------------------------------------- */

struct result {
    struct sl_buf text;
    struct sl_json_doc *doc;
    struct sl_json sort;
    uint32_t place; /* Keeps equal ones in their order. */
    bool is_ascending;
};

static void
write_result(const struct sl_aggregation *a, const struct group *g, struct sl_buf *out)
{
    struct sl_jsonw w;
    struct sl_slice rest = sl_buf_slice(&g->key);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_name(&w, "group");
    sl_jsonw_object(&w);
    for (uint32_t i = 0; i < a->fields_count; i++) {
        size_t size = (size_t)((const uint8_t *)memchr(rest.data, '\x1f', rest.size) - rest.data);
        sl_jsonw_member_raw(&w, a->fields[i].alias, sl_slice(rest.data, size));
        rest = sl_slice(rest.data + size + 1, rest.size - size - 1);
    }
    sl_jsonw_end(&w);
    sl_jsonw_name(&w, "metrics");
    sl_jsonw_object(&w);
    for (uint32_t i = 0; i < a->ops_count; i++) {
        sl_jsonw_name(&w, a->ops[i].alias);
        sl_accumulator_write(&g->metrics[i], a->ops[i].function, &w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

static int
order(const void *left, const void *right)
{
    const struct result *x = left, *y = right;
    int result = sl_json_order(x->sort, y->sort);
    if (!x->is_ascending && sl_json_has(x->sort) && sl_json_has(y->sort))
        result = -result;
    return result != 0 ? result : x->place < y->place ? -1 : 1;
}

/* An alias of a metric, or of a field; those may have dots. */
static struct sl_json
sort_value(const struct sl_aggregation *a, struct sl_json result)
{
    struct sl_json v = {0};
    if (a->sort_by != NULL)
        v = sl_json_member(sl_json_member(result, "metrics"), a->sort_by);
    if (a->sort_by != NULL && !sl_json_has(v))
        v = sl_json_member(sl_json_member(result, "group"), a->sort_by);
    return v;
}

static uint32_t
make_results(struct sl_aggregation *a, struct result *results)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->groups_count; i++) {
        struct result *r = &results[count];
        *r = (struct result){.place = i, .is_ascending = a->is_ascending};
        write_result(a, a->groups[i], &r->text);
        if (SL_BUG(sl_json_parse(sl_buf_slice(&r->text), &r->doc, NULL) != SL_OK) ||
            !sl_filter_matches(a->having, sl_json_member(sl_json_root(r->doc), "metrics"))) {
            sl_json_destroy(&r->doc);
            sl_buf_deinit(&r->text);
            continue;
        }
        r->sort = sort_value(a, sl_json_root(r->doc));
        count++;
    }
    if (a->sort_by != NULL && count > 0)
        qsort(results, count, sizeof(*results), order);
    return count;
}

uint64_t
sl_aggregation_write(struct sl_aggregation *a, struct sl_jsonw *w)
{
    struct sl_buf none = {0};
    if (a->fields_count == 0 && a->groups_count == 0)
        (void)!find_group(a, &none);
    struct result *results = sl_alloc((a->groups_count + 1) * sizeof(*results));
    uint32_t count = make_results(a, results);
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < count; i++) {
        if (i < a->limit)
            sl_jsonw_raw(w, sl_buf_slice(&results[i].text));
        sl_json_destroy(&results[i].doc);
        sl_buf_deinit(&results[i].text);
    }
    sl_jsonw_end(w);
    sl_free(results);
    return count;
}
