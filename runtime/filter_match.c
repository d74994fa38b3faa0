/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/filter.h"

#include "runtime/filter_node.h"
#include "runtime/filter_regex.h"
#include "runtime/time.h"

static uint8_t
fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

static int
order_text(struct sl_slice a, struct sl_slice b, bool is_case_sensitive)
{
    size_t size = SL_MIN(a.size, b.size);
    for (size_t i = 0; i < size; i++) {
        uint8_t x = is_case_sensitive ? a.data[i] : fold(a.data[i]);
        uint8_t y = is_case_sensitive ? b.data[i] : fold(b.data[i]);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return a.size == b.size ? 0 : a.size < b.size ? -1 : 1;
}

static bool
is_part_at(struct sl_slice text, size_t at, struct sl_slice part, bool is_case_sensitive)
{
    if (part.size > text.size || at > text.size - part.size)
        return false;
    return order_text(sl_slice(text.data + at, part.size), part, is_case_sensitive) == 0;
}

/* Where `part` begins in `text` from `from` on; SIZE_MAX: nowhere. */
static size_t
find_part(struct sl_slice text, size_t from, struct sl_slice part, bool is_case_sensitive)
{
    if (part.size > text.size)
        return SIZE_MAX;
    for (size_t at = from; at <= text.size - part.size; at++) {
        if (part.size == 0 || ((is_case_sensitive ? text.data[at] == part.data[0]
                                                  : fold(text.data[at]) == fold(part.data[0])) &&
                               is_part_at(text, at, part, is_case_sensitive)))
            return at;
    }
    return SIZE_MAX;
}

bool
sl_search_matches(struct sl_slice pattern, struct sl_slice text)
{
    size_t at = 0;
    for (size_t start = 0; start <= pattern.size;) {
        size_t end = start;
        while (end < pattern.size && pattern.data[end] != '*')
            end++;
        struct sl_slice part = sl_slice(pattern.data + start, end - start);
        if (part.size > 0) {
            at = find_part(text, at, part, false);
            if (at == SIZE_MAX)
                return false;
            at += part.size;
        }
        start = end + 1;
    }
    return true;
}

/* ---- values -------------------------------------------------------------------------------- */

static int
order_numbers(struct sl_json a, struct sl_json b)
{
    int64_t i, j;
    double x = 0, y = 0;
    if (sl_json_i64(a, &i) == SL_OK && sl_json_i64(b, &j) == SL_OK) /* Exact beyond 2^53. */
        return i < j ? -1 : i > j;
    if (sl_json_f64(a, &x) != SL_OK || sl_json_f64(b, &y) != SL_OK)
        return 0;
    return x < y ? -1 : x > y;
}

static int
rank(struct sl_json v)
{
    switch (sl_json_kind(v)) {
    case SL_JSON_NUMBER:
        return 0;
    case SL_JSON_STRING:
        return 1;
    case SL_JSON_BOOL:
        return 2;
    case SL_JSON_ARRAY:
    case SL_JSON_OBJECT:
        return 3;
    default:
        return 4;
    }
}

int
sl_json_order(struct sl_json a, struct sl_json b)
{
    int ra = rank(a), rb = rank(b);
    if (ra != rb)
        return ra < rb ? -1 : 1;
    if (ra == 0)
        return order_numbers(a, b);
    if (ra == 2)
        return (int)sl_json_bool(a, false) - (int)sl_json_bool(b, false);
    if (ra == 3)
        return order_text(sl_json_raw(a), sl_json_raw(b), true);
    if (ra == 4)
        return 0;
    struct sl_buf memory_a = {0}, memory_b = {0};
    struct sl_slice x = {0}, y = {0};
    int order = 0;
    if (sl_json_text(a, &memory_a, &x) == SL_OK && sl_json_text(b, &memory_b, &y) == SL_OK)
        order = order_text(x, y, true);
    sl_buf_deinit(&memory_a);
    sl_buf_deinit(&memory_b);
    return order;
}

static bool
is_equal(struct sl_json a, struct sl_json b, bool is_case_sensitive)
{
    enum sl_json_kind kind = sl_json_kind(a);
    if (!sl_json_has(a) || !sl_json_has(b))
        return !sl_json_has(a) && !sl_json_has(b);
    if (kind != sl_json_kind(b))
        return false;
    if (kind != SL_JSON_STRING || is_case_sensitive)
        return sl_json_order(a, b) == 0;
    struct sl_buf memory_a = {0}, memory_b = {0};
    struct sl_slice x = {0}, y = {0};
    bool is_same = sl_json_text(a, &memory_a, &x) == SL_OK &&
                   sl_json_text(b, &memory_b, &y) == SL_OK && order_text(x, y, false) == 0;
    sl_buf_deinit(&memory_a);
    sl_buf_deinit(&memory_b);
    return is_same;
}

/* Order of a row's value and the condition's for gt and its like; false: they have none. */
static bool
find_order(const struct filter_node *n, struct sl_json v, int *ret_order)
{
    if (!sl_json_has(v) || sl_json_kind(v) != sl_json_kind(n->value))
        return false;
    if (sl_json_kind(v) != SL_JSON_STRING) {
        *ret_order = sl_json_order(v, n->value);
        return sl_json_kind(v) == SL_JSON_NUMBER;
    }
    struct sl_buf memory = {0};
    struct sl_slice text = {0};
    uint64_t a, b;
    bool is_text = sl_json_text(v, &memory, &text) == SL_OK;
    /* Two dates are compared as times: offsets and precision may differ. */
    if (is_text && sl_time_parse(text, &a) == SL_OK && sl_time_parse(n->text, &b) == SL_OK)
        *ret_order = a < b ? -1 : a > b;
    else
        *ret_order = order_text(text, n->text, n->is_case_sensitive);
    sl_buf_deinit(&memory);
    return is_text;
}

static bool
is_in_list(const struct filter_node *n, struct sl_json v)
{
    for (struct sl_json_iter i = sl_json_iter(n->value); sl_json_next(&i);) {
        if (is_equal(v, i.value, n->is_case_sensitive))
            return true;
    }
    return false;
}

/* Every word of the condition's text is in the row's. */
static bool
has_words(const struct filter_node *n, struct sl_slice text)
{
    struct sl_slice words = n->text;
    for (size_t at = 0; at < words.size;) {
        size_t end = at;
        while (end < words.size && words.data[end] > ' ')
            end++;
        if (end > at && find_part(text, 0, sl_slice(words.data + at, end - at),
                                  n->is_case_sensitive) == SIZE_MAX)
            return false;
        at = end + 1;
    }
    return true;
}

static bool
matches_text(const struct filter_node *n, struct sl_json v)
{
    struct sl_buf memory = {0};
    struct sl_slice text = {0};
    bool is_sensitive = n->is_case_sensitive, holds = false;
    if (sl_json_text(v, &memory, &text) != SL_OK)
        return false;
    if (n->op == FILTER_OP_contains)
        holds = sl_json_kind(n->value) == SL_JSON_STRING &&
                find_part(text, 0, n->text, is_sensitive) != SIZE_MAX;
    else if (n->op == FILTER_OP_starts_with)
        holds = is_part_at(text, 0, n->text, is_sensitive);
    else if (n->op == FILTER_OP_ends_with)
        holds = n->text.size <= text.size &&
                is_part_at(text, text.size - n->text.size, n->text, is_sensitive);
    else if (n->op == FILTER_OP_regex)
        holds = sl_filter_regex_matches(n->regex, text);
    else
        holds = has_words(n, text);
    sl_buf_deinit(&memory);
    return holds;
}

/* One value, not the elements of an array. The negated operators are not asked here. */
static bool
matches_one(const struct filter_node *n, struct sl_json v)
{
    int order = 0;
    switch (n->op) {
    case FILTER_OP_eq:
        return is_equal(v, n->value, n->is_case_sensitive);
    case FILTER_OP_in:
        return is_in_list(n, v);
    case FILTER_OP_gt:
        return find_order(n, v, &order) && order > 0;
    case FILTER_OP_gte:
        return find_order(n, v, &order) && order >= 0;
    case FILTER_OP_lt:
        return find_order(n, v, &order) && order < 0;
    case FILTER_OP_lte:
        return find_order(n, v, &order) && order <= 0;
    default:
        return matches_text(n, v);
    }
}

static bool
matches_any(const struct filter_node *n, struct sl_json v)
{
    if (matches_one(n, v))
        return true;
    if (sl_json_kind(v) != SL_JSON_ARRAY)
        return false;
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
        if (matches_one(n, i.value))
            return true;
        /* "contains" of a list asks for an element, whatever its type. */
        if (n->op == FILTER_OP_contains && is_equal(i.value, n->value, n->is_case_sensitive))
            return true;
    }
    return false;
}

static bool
matches_condition(const struct filter_node *n, struct sl_json row)
{
    struct sl_json v = sl_json_path(row, n->field);
    if (n->op == FILTER_OP_exists)
        return (sl_json_kind(v) != SL_JSON_NONE) == sl_json_bool(n->value, true);
    if (n->op == FILTER_OP_is_null)
        return !sl_json_has(v) == sl_json_bool(n->value, true);
    if (n->op == FILTER_OP_ne || n->op == FILTER_OP_nin) {
        struct filter_node positive = *n;
        positive.op = n->op == FILTER_OP_ne ? FILTER_OP_eq : FILTER_OP_in;
        return !matches_any(&positive, v);
    }
    return matches_any(n, v);
}

static bool
matches(const struct filter_node *n, struct sl_json row)
{
    if (n->kind == FILTER_CONDITION)
        return matches_condition(n, row);
    for (uint32_t i = 0; i < n->children_count; i++) {
        bool holds = matches(&n->children[i], row);
        if (n->kind == FILTER_AND && !holds)
            return false;
        if (n->kind != FILTER_AND && holds)
            return n->kind == FILTER_OR;
    }
    return n->kind != FILTER_OR || n->children_count == 0;
}

static bool
reads(const struct filter_node *n, const char *field)
{
    size_t size = strlen(field);
    if (n->kind == FILTER_CONDITION)
        return n->field.size >= size && memcmp(n->field.data, field, size) == 0 &&
               (n->field.size == size || n->field.data[size] == '.');
    for (uint32_t i = 0; i < n->children_count; i++) {
        if (reads(&n->children[i], field))
            return true;
    }
    return false;
}

bool
sl_filter_reads(const struct sl_filter *filter, const char *field)
{
    return filter != NULL && reads(&filter->root, field);
}

bool
sl_filter_matches(const struct sl_filter *filter, struct sl_json row)
{
    return filter == NULL || matches(&filter->root, row);
}
