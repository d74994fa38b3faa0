/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/accumulator.h"

#include <math.h>

#include "runtime/alloc.h"
#include "runtime/filter.h"
#include "runtime/hash.h"

static const struct {
    const char *name;
    enum sl_function function;
} functions[] = {
    {"count", SL_FUNCTION_COUNT},
    {"count_distinct", SL_FUNCTION_COUNT_DISTINCT},
    {"sum", SL_FUNCTION_SUM},
    {"avg", SL_FUNCTION_AVG},
    {"stddev", SL_FUNCTION_STDDEV},
    {"variance", SL_FUNCTION_VARIANCE},
    {"min", SL_FUNCTION_MIN},
    {"max", SL_FUNCTION_MAX},
    {"first", SL_FUNCTION_FIRST},
    {"last", SL_FUNCTION_LAST},
    {"push", SL_FUNCTION_PUSH},
    {"collect", SL_FUNCTION_PUSH},
    {"add_to_set", SL_FUNCTION_ADD_TO_SET},
    {"collect_distinct", SL_FUNCTION_ADD_TO_SET},
};

bool
sl_function_parse(struct sl_json name, enum sl_function *ret_function)
{
    for (size_t i = 0; i < SL_COUNT_OF(functions); i++) {
        if (sl_json_is(name, functions[i].name)) {
            *ret_function = functions[i].function;
            return true;
        }
    }
    return false;
}

/* ---- values that were seen ----------------------------------------------------------------- */

static bool
put_hash(uint64_t *slots, uint32_t capacity, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (capacity - 1);
    while (slots[at] != 0 && slots[at] != hash)
        at = (at + 1) & (capacity - 1);
    bool is_new = slots[at] == 0;
    slots[at] = hash;
    return is_new;
}

static void
grow_seen(struct sl_accumulator *a)
{
    uint32_t capacity = a->seen_capacity == 0 ? 16 : a->seen_capacity * 2;
    uint64_t *slots = sl_zalloc(capacity * sizeof(*slots));
    for (uint32_t i = 0; i < a->seen_capacity; i++) {
        if (a->seen[i] != 0)
            put_hash(slots, capacity, a->seen[i]);
    }
    sl_free(a->seen);
    a->seen = slots;
    a->seen_capacity = capacity;
}

/* Values are told apart by 64 bits of their text: of a million, two are mixed up once in 10^7. */
static bool
is_new(struct sl_accumulator *a, struct sl_slice raw)
{
    uint64_t hash = sl_hash64(raw);
    if (2 * a->seen_count >= a->seen_capacity)
        grow_seen(a);
    if (!put_hash(a->seen, a->seen_capacity, hash == 0 ? 1 : hash))
        return false;
    a->seen_count++;
    return true;
}

/* ---- adding -------------------------------------------------------------------------------- */

static void
add_number(struct sl_accumulator *a, struct sl_json value)
{
    double number;
    if (sl_json_kind(value) != SL_JSON_NUMBER || sl_json_f64(value, &number) != SL_OK)
        return;
    a->count++; /* Welford's way: no difference of two large sums. */
    double distance = number - a->mean;
    a->sum += number;
    a->mean += distance / (double)a->count;
    a->squares += distance * (number - a->mean);
}

static void
hold(struct sl_accumulator *a, struct sl_json value)
{
    struct sl_slice raw = sl_json_raw(value);
    sl_json_destroy(&a->doc);
    sl_free(a->text);
    a->text = sl_strndup(raw.data, raw.size);
    a->text_size = raw.size;
    if (sl_json_parse(sl_slice(a->text, raw.size), &a->doc, NULL) != SL_OK)
        a->doc = NULL; /* It was parsed once already; NONE orders last. */
}

static void
push(struct sl_accumulator *a, struct sl_json value)
{
    if (a->list.size > 0)
        sl_buf_append_u8(&a->list, ',');
    sl_buf_append_slice(&a->list, sl_json_raw(value));
}

void
sl_accumulator_add(struct sl_accumulator *a, enum sl_function function, struct sl_json value)
{
    bool is_first = a->doc == NULL;
    if (!sl_json_has(value))
        return;
    switch (function) {
    case SL_FUNCTION_COUNT:
        a->count++;
        break;
    case SL_FUNCTION_COUNT_DISTINCT:
        a->count += is_new(a, sl_json_raw(value));
        break;
    case SL_FUNCTION_SUM:
    case SL_FUNCTION_AVG:
    case SL_FUNCTION_STDDEV:
    case SL_FUNCTION_VARIANCE:
        add_number(a, value);
        break;
    case SL_FUNCTION_MIN:
        if (is_first || sl_json_order(value, sl_json_root(a->doc)) < 0)
            hold(a, value);
        break;
    case SL_FUNCTION_MAX:
        if (is_first || sl_json_order(value, sl_json_root(a->doc)) > 0)
            hold(a, value);
        break;
    case SL_FUNCTION_FIRST:
        if (is_first)
            hold(a, value);
        break;
    case SL_FUNCTION_LAST:
        hold(a, value);
        break;
    case SL_FUNCTION_PUSH:
        push(a, value);
        break;
    case SL_FUNCTION_ADD_TO_SET:
        if (is_new(a, sl_json_raw(value)))
            push(a, value);
        break;
    }
}

/* ---- writing ------------------------------------------------------------------------------- */

static void
write_number(const struct sl_accumulator *a, enum sl_function function, struct sl_jsonw *w)
{
    double variance = a->count < 2 ? 0 : a->squares / (double)(a->count - 1);
    if (function == SL_FUNCTION_SUM)
        sl_jsonw_f64(w, a->sum);
    else if (a->count == 0)
        sl_jsonw_null(w);
    else if (function == SL_FUNCTION_AVG)
        sl_jsonw_f64(w, a->mean);
    else
        sl_jsonw_f64(w, function == SL_FUNCTION_STDDEV ? sqrt(variance) : variance);
}

static void
write_list(const struct sl_accumulator *a, struct sl_jsonw *w)
{
    struct sl_buf text = {0};
    sl_buf_append_u8(&text, '[');
    sl_buf_append_slice(&text, sl_buf_slice(&a->list));
    sl_buf_append_u8(&text, ']');
    sl_jsonw_raw(w, sl_buf_slice(&text));
    sl_buf_deinit(&text);
}

void
sl_accumulator_write(const struct sl_accumulator *a, enum sl_function function, struct sl_jsonw *w)
{
    switch (function) {
    case SL_FUNCTION_COUNT:
    case SL_FUNCTION_COUNT_DISTINCT:
        sl_jsonw_u64(w, a->count);
        break;
    case SL_FUNCTION_SUM:
    case SL_FUNCTION_AVG:
    case SL_FUNCTION_STDDEV:
    case SL_FUNCTION_VARIANCE:
        write_number(a, function, w);
        break;
    case SL_FUNCTION_MIN:
    case SL_FUNCTION_MAX:
    case SL_FUNCTION_FIRST:
    case SL_FUNCTION_LAST:
        sl_jsonw_value(w, sl_json_root(a->doc));
        break;
    case SL_FUNCTION_PUSH:
    case SL_FUNCTION_ADD_TO_SET:
        write_list(a, w);
        break;
    }
}

size_t
sl_accumulator_size(const struct sl_accumulator *a)
{
    return a->text_size + a->list.size + a->seen_capacity * sizeof(*a->seen);
}

void
sl_accumulator_deinit(struct sl_accumulator *a)
{
    sl_json_destroy(&a->doc);
    sl_free(a->text);
    sl_free(a->seen);
    sl_buf_deinit(&a->list);
    *a = (struct sl_accumulator){0};
}
