/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies against schemas. Every failure is reported, up to FAILURES_MAX, with the names and types
 * of errors that clients of such APIs know ("missing", "string_too_long").
 */
#include <math.h>

#include "gateway/route.h"
#include "runtime/time.h"

#define FAILURES_MAX 32
#define DEPTH_MAX    8 /* Of schemas; they are ours, and the table's test knows them all. */

/* Where in the body it looks: written only where something is wrong there. */
struct place {
    const struct place *in; /* NULL: the body itself. */
    const char *name;       /* NULL: an item, */
    uint32_t index;         /* of this number. */
};

struct check {
    struct sl_call *call;
    const struct place *at;
    uint32_t failures;
    uint32_t depth;
};

static void check_fields(struct check *c, struct sl_json object, const struct sl_field *fields);

static void
write_place(const struct place *p, struct sl_buf *out)
{
    if (p->in != NULL) {
        write_place(p->in, out);
        sl_buf_append_str(out, ".");
    }
    if (p->name != NULL)
        sl_buf_append_str(out, p->name);
    else
        sl_buf_printf(out, "%u", p->index);
}

static void
fail(struct check *c, const char *type, const char *message)
{
    struct sl_buf place = {0};
    c->failures++;
    write_place(c->at, &place);
    sl_call_invalid(c->call, sl_buf_text(&place), type, "%s", message);
    sl_buf_deinit(&place);
}

static bool
has_range(const struct sl_field *f)
{
    return f->min != 0 || f->max != 0;
}

static const char *
plural(double count)
{
    return count == 1 ? "" : "s";
}

/* `what` is counted: characters or items. */
static void
check_count(struct check *c, const struct sl_field *f, double count, const char *what)
{
    bool is_text = what[0] == 'c';
    if (!has_range(f))
        return;
    if (count < f->min)
        fail(c, is_text ? "string_too_short" : "too_short",
             sl_call_format(c->call, "should have at least %.0f %s%s", f->min, what,
                            plural(f->min)));
    else if (f->max >= f->min && count > f->max)
        fail(
            c, is_text ? "string_too_long" : "too_long",
            sl_call_format(c->call, "should have at most %.0f %s%s", f->max, what, plural(f->max)));
}

static void
check_range(struct check *c, const struct sl_field *f, double value)
{
    if (!has_range(f))
        return;
    if (value < f->min)
        fail(c, "greater_than_equal",
             sl_call_format(c->call, "should be greater than or equal to %.15g", f->min));
    else if (f->max >= f->min && value > f->max)
        fail(c, "less_than_equal",
             sl_call_format(c->call, "should be less than or equal to %.15g", f->max));
}

static bool
is_choice(const char *choices, struct sl_slice text)
{
    for (const char *at = choices; at != NULL;) {
        const char *bar = strchr(at, '|');
        size_t size = bar == NULL ? strlen(at) : (size_t)(bar - at);
        if (sl_slice_equal(sl_slice(at, size), text))
            return true;
        at = bar == NULL ? NULL : bar + 1;
    }
    return false;
}

static size_t
count_characters(struct sl_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++)
        count += (text.data[i] & 0xc0) != 0x80;
    return count;
}

static void
check_text(struct check *c, const struct sl_field *f, struct sl_json v)
{
    struct sl_slice text;
    struct sl_buf scratch = {0};
    if (sl_json_text(v, &scratch, &text) != SL_OK) {
        fail(c, "string_type", "should be a string");
    } else if (f->choices != NULL && !is_choice(f->choices, text)) {
        fail(c, "enum", sl_call_format(c->call, "should be one of %s", f->choices));
    } else if (memchr(text.data == NULL ? (const uint8_t *)"" : text.data, '\0', text.size)) {
        fail(c, "string_type", "should hold no NUL character");
    } else {
        check_count(c, f, (double)count_characters(text), "character");
    }
    sl_buf_deinit(&scratch);
}

static void
check_time(struct check *c, struct sl_json v)
{
    struct sl_slice text;
    struct sl_buf scratch = {0};
    uint64_t wall_ms;
    if (sl_json_text(v, &scratch, &text) != SL_OK || sl_time_parse(text, &wall_ms) != SL_OK)
        fail(c, "datetime_type", "should be an RFC 3339 time");
    sl_buf_deinit(&scratch);
}

static void
check_number(struct check *c, const struct sl_field *f, struct sl_json v)
{
    int64_t integer;
    double number;
    if (f->kind == SL_FIELD_INTEGER && sl_json_i64(v, &integer) != SL_OK)
        fail(c, "int_type", "should be an integer");
    else if (sl_json_f64(v, &number) != SL_OK)
        fail(c, "float_type", "should be a number");
    else
        check_range(c, f, number);
}

/* Each item of an array: an object with `fields`, or a string. */
static void
check_items(struct check *c, const struct sl_field *f, struct sl_json v)
{
    struct place item = {.in = c->at};
    c->at = &item;
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i) && c->failures < FAILURES_MAX;
         item.index++) {
        if (f->kind == SL_FIELD_STRINGS && sl_json_kind(i.value) != SL_JSON_STRING)
            fail(c, "string_type", "should be a string");
        else if (f->kind == SL_FIELD_ARRAY && sl_json_kind(i.value) != SL_JSON_OBJECT)
            fail(c, "dict_type", "should be an object");
        else if (f->kind == SL_FIELD_ARRAY)
            check_fields(c, i.value, f->fields);
    }
    c->at = item.in;
}

static void
check_array(struct check *c, const struct sl_field *f, struct sl_json v)
{
    if (sl_json_kind(v) != SL_JSON_ARRAY) {
        fail(c, "list_type", "should be a list");
        return;
    }
    check_count(c, f, sl_json_count(v), "item");
    if (f->kind == SL_FIELD_STRINGS || f->fields != NULL)
        check_items(c, f, v);
}

static void
check_value(struct check *c, const struct sl_field *f, struct sl_json v)
{
    switch (f->kind) {
    case SL_FIELD_ANY:
        break;
    case SL_FIELD_STRING:
        check_text(c, f, v);
        break;
    case SL_FIELD_TIME:
        check_time(c, v);
        break;
    case SL_FIELD_INTEGER:
    case SL_FIELD_NUMBER:
        check_number(c, f, v);
        break;
    case SL_FIELD_BOOLEAN:
        if (sl_json_kind(v) != SL_JSON_BOOL)
            fail(c, "bool_type", "should be a boolean");
        break;
    case SL_FIELD_ARRAY:
    case SL_FIELD_STRINGS:
        check_array(c, f, v);
        break;
    case SL_FIELD_OBJECT:
        if (sl_json_kind(v) != SL_JSON_OBJECT)
            fail(c, "dict_type", "should be an object");
        else if (f->fields != NULL)
            check_fields(c, v, f->fields);
        break;
    }
}

static void
check_fields(struct check *c, struct sl_json object, const struct sl_field *fields)
{
    if (SL_BUG(c->depth == DEPTH_MAX))
        return;
    c->depth++;
    struct place field = {.in = c->at};
    c->at = &field;
    for (const struct sl_field *f = fields; f->name != NULL && c->failures < FAILURES_MAX; f++) {
        struct sl_json v = sl_json_member(object, f->name);
        field.name = f->name;
        if (!sl_json_has(v) && f->alias != NULL && sl_json_has(sl_json_member(object, f->alias))) {
            field.name = f->alias;
            v = sl_json_member(object, f->alias);
        }
        if (sl_json_has(v))
            check_value(c, f, v);
        else if (f->is_required)
            fail(c, "missing", "Field required");
    }
    c->at = field.in;
    c->depth--;
}

void
sl_route_validate(struct sl_call *call)
{
    sl_assert(call->route != NULL);
    if (call->route->schema == NULL)
        return;
    const struct place body = {.name = "body"};
    struct check c = {.call = call, .at = &body};
    enum sl_json_kind kind = sl_json_kind(call->body);
    if (kind != SL_JSON_OBJECT && kind != SL_JSON_NONE)
        fail(&c, "dict_type", "should be an object");
    else
        check_fields(&c, call->body, call->route->schema); /* No body at all reads as {}. */
}

/* ---- multipart ----------------------------------------------------------------------------- */

static enum sl_field_kind
kind_of(const struct sl_field *fields, struct sl_slice name)
{
    for (const struct sl_field *f = fields; f != NULL && f->name != NULL; f++) {
        if (sl_slice_is(name, f->name) || (f->alias != NULL && sl_slice_is(name, f->alias)))
            return f->kind;
    }
    return SL_FIELD_STRING;
}

static void
write_form_value(struct sl_jsonw *w, enum sl_field_kind kind, struct sl_slice text)
{
    struct sl_json_doc *doc = NULL;
    if (kind == SL_FIELD_BOOLEAN && (sl_slice_is(text, "True") || sl_slice_is(text, "False")))
        sl_jsonw_bool(w, text.data[0] == 'T'); /* As Python clients print them. */
    else if (kind != SL_FIELD_STRING && kind != SL_FIELD_TIME &&
             sl_json_parse(text, &doc, NULL) == SL_OK)
        sl_jsonw_raw(w, text);
    else
        sl_jsonw_slice(w, text);
    sl_json_destroy(&doc);
}

static bool
is_repeated(const struct sl_call *call, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (sl_slice_equal(call->form[i].name, call->form[index].name))
            return true;
    }
    return false;
}

void
sl_route_form_body(struct sl_call *call)
{
    sl_assert(call->body_doc == NULL);
    struct sl_buf text = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    for (uint32_t i = 0; i < call->form_count; i++) {
        if (is_repeated(call, i)) /* The first of two fields wins, as in sl_call_form. */
            continue;
        sl_jsonw_name_slice(&w, call->form[i].name);
        write_form_value(&w, kind_of(call->route->schema, call->form[i].name), call->form[i].value);
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    call->body_text = sl_call_copy(call, sl_buf_slice(&text));
    sl_buf_deinit(&text);
    if (sl_json_parse(call->body_text, &call->body_doc, NULL) == SL_OK)
        call->body = sl_json_root(call->body_doc);
    else /* Two names that differ only in bytes that are no UTF-8, or nesting over the limit. */
        sl_call_fail(call, SL_API_BAD_REQUEST, "the form's fields cannot be read");
}
