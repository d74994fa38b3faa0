/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/filter.h"

#include "runtime/filter_node.h"
#include "runtime/filter_regex.h"
#include "runtime/alloc.h"

struct compiler {
    struct sl_filter *filter;
    char *why;
};

static enum sl_err compile(struct compiler *c, struct sl_json v, uint32_t depth,
                           bool is_case_sensitive, struct filter_node *ret_node);

static void
node_deinit(struct filter_node *n)
{
    for (uint32_t i = 0; i < n->children_count; i++)
        node_deinit(&n->children[i]);
    sl_free(n->children);
    sl_buf_deinit(&n->field_memory);
    sl_buf_deinit(&n->text_memory);
    sl_filter_regex_destroy(&n->regex);
}

void
sl_filter_destroy(struct sl_filter **filter)
{
    struct sl_filter *f = *filter;
    if (f == NULL)
        return;
    *filter = NULL;
    node_deinit(&f->root);
    sl_json_destroy(&f->doc);
    sl_buf_deinit(&f->source);
    sl_free(f);
}

static enum sl_err
fail(struct compiler *c, char *why)
{
    sl_free(c->why);
    c->why = why;
    return SL_EINVAL;
}

static bool
is_dynamic(struct sl_json v)
{
    return sl_json_kind(v) == SL_JSON_OBJECT && sl_json_is(sl_json_member(v, "type"), "dynamic") &&
           sl_json_kind(sl_json_member(v, "field")) == SL_JSON_STRING;
}

/* SL_EINVAL: no such input. It must not read as null: that would match rows without the field. */
static enum sl_err
write_dynamic(struct sl_json v, struct sl_json inputs, struct sl_jsonw *w)
{
    struct sl_buf memory = {0};
    struct sl_slice path = {0};
    if (sl_json_text(sl_json_member(v, "field"), &memory, &path) == SL_OK) {
        static const char *const prefixes[] = {"inputs.", "INPUT.", "input."};
        for (size_t i = 0; i < SL_COUNT_OF(prefixes); i++) {
            size_t size = strlen(prefixes[i]);
            if (path.size > size && memcmp(path.data, prefixes[i], size) == 0) {
                path = sl_slice(path.data + size, path.size - size);
                break;
            }
        }
    }
    struct sl_json value = sl_json_path(inputs, path);
    sl_jsonw_value(w, value);
    sl_buf_deinit(&memory);
    return sl_json_kind(value) == SL_JSON_NONE ? SL_EINVAL : SL_OK;
}

/* Copy a value with its dynamic parts replaced. As deep as the parser allows: SL_JSON_DEPTH_MAX. */
static enum sl_err
write_resolved(struct sl_json v, struct sl_json inputs, struct sl_jsonw *w)
{
    enum sl_json_kind kind = sl_json_kind(v);
    enum sl_err err = SL_OK;
    if (is_dynamic(v))
        return write_dynamic(v, inputs, w);
    if (kind != SL_JSON_OBJECT && kind != SL_JSON_ARRAY) {
        sl_jsonw_value(w, v);
        return SL_OK;
    }
    if (kind == SL_JSON_OBJECT)
        sl_jsonw_object(w);
    else
        sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
        if (kind == SL_JSON_OBJECT) {
            struct sl_buf memory = {0};
            struct sl_slice name;
            if (sl_json_text(i.name, &memory, &name) == SL_OK)
                sl_jsonw_name_slice(w, name);
            sl_buf_deinit(&memory);
        }
        enum sl_err one = write_resolved(i.value, inputs, w);
        err = one != SL_OK ? one : err;
    }
    sl_jsonw_end(w);
    return err;
}

/* ---- conditions ---------------------------------------------------------------------------- */

static bool
parse_operator(struct sl_json v, enum filter_operator *ret_op)
{
    static const char *const names[] = {
#define OP(name) #name,
        FILTER_OPERATORS(OP)
#undef OP
    };
    if (!sl_json_has(v)) {
        *ret_op = FILTER_OP_eq;
        return true;
    }
    for (uint32_t i = 0; i < FILTER_OP_COUNT; i++) {
        if (sl_json_is(v, names[i])) {
            *ret_op = (enum filter_operator)i;
            return true;
        }
    }
    return false;
}

static bool
needs_text(enum filter_operator op)
{
    return op == FILTER_OP_starts_with || op == FILTER_OP_ends_with || op == FILTER_OP_regex ||
           op == FILTER_OP_text;
}

static enum sl_err
check_value(struct compiler *c, const struct filter_node *n)
{
    enum sl_json_kind kind = sl_json_kind(n->value);
    if (needs_text(n->op) && kind != SL_JSON_STRING)
        return fail(c, sl_format("the value for %.*s must be a string", SL_SLICE_FMT(n->field)));
    if ((n->op == FILTER_OP_in || n->op == FILTER_OP_nin) && kind != SL_JSON_ARRAY)
        return fail(c, sl_format("the value for %.*s must be a list", SL_SLICE_FMT(n->field)));
    return SL_OK;
}

/* A condition on n->field, which is set. */
static enum sl_err
compile_condition(struct compiler *c, struct sl_json value, struct filter_node *n)
{
    n->kind = FILTER_CONDITION;
    n->value = value;
    if (sl_json_kind(value) == SL_JSON_STRING &&
        sl_json_text(value, &n->text_memory, &n->text) != SL_OK)
        return fail(c, sl_strdup("a value is not text"));
    enum sl_err err = check_value(c, n);
    if (err != SL_OK || n->op != FILTER_OP_regex)
        return err;
    const char *why = NULL;
    err = sl_filter_regex_compile(n->text, n->is_case_sensitive, &n->regex, &why);
    if (err != SL_OK)
        return fail(c, sl_format("the pattern of %.*s: %s", SL_SLICE_FMT(n->field), why));
    return SL_OK;
}

static enum sl_err
compile_field(struct compiler *c, struct sl_json v, struct filter_node *n)
{
    if (!parse_operator(sl_json_member(v, "operator"), &n->op))
        return fail(c, sl_format("unknown operator %.*s",
                                 SL_SLICE_FMT(sl_json_raw(sl_json_member(v, "operator")))));
    if (sl_json_text(sl_json_member(v, "field"), &n->field_memory, &n->field) != SL_OK ||
        n->field.size == 0)
        return fail(c, sl_strdup("a condition's field is empty"));
    return compile_condition(c, sl_json_member(v, "value"), n);
}

/* ---- nodes --------------------------------------------------------------------------------- */

static struct filter_node *
add_child(struct compiler *c, struct filter_node *n, bool is_case_sensitive)
{
    if (++c->filter->nodes_count > SL_FILTER_NODES_MAX)
        return NULL;
    n->children = sl_realloc(n->children, (n->children_count + 1) * sizeof *n->children);
    struct filter_node *child = &n->children[n->children_count++];
    *child = (struct filter_node){.is_case_sensitive = is_case_sensitive};
    return child;
}

static enum sl_err
too_many(struct compiler *c)
{
    return fail(c, sl_format("a filter has at most %d conditions", SL_FILTER_NODES_MAX));
}

/* The items of "AND": a list, or one item alone. */
static enum sl_err
compile_items(struct compiler *c, struct sl_json items, uint32_t depth, struct filter_node *n)
{
    bool is_sensitive = n->is_case_sensitive;
    if (sl_json_kind(items) != SL_JSON_ARRAY) {
        struct filter_node *child = add_child(c, n, is_sensitive);
        return child == NULL ? too_many(c) : compile(c, items, depth + 1, is_sensitive, child);
    }
    for (struct sl_json_iter i = sl_json_iter(items); sl_json_next(&i);) {
        struct filter_node *child = add_child(c, n, is_sensitive);
        if (child == NULL)
            return too_many(c);
        enum sl_err err = compile(c, i.value, depth + 1, is_sensitive, child);
        if (err != SL_OK)
            return err;
    }
    return SL_OK;
}

static bool
is_node_name(struct sl_json name, enum filter_kind *ret_kind)
{
    static const char *const names[] = {"AND", "OR", "NOT"};
    for (uint32_t i = 0; i < SL_COUNT_OF(names); i++) {
        if (sl_json_is(name, names[i])) {
            *ret_kind = (enum filter_kind)i;
            return true;
        }
    }
    return false;
}

/* One member of an object that is no condition: a node, or shorthand for equality. */
static enum sl_err
compile_member(struct compiler *c, const struct sl_json_iter *i, uint32_t depth,
               struct filter_node *all)
{
    enum filter_kind kind = FILTER_CONDITION;
    bool is_node = is_node_name(i->name, &kind);
    /* Clients that serialise a model send the nodes they do not use as null or []. */
    if (is_node && (!sl_json_has(i->value) ||
                    (sl_json_kind(i->value) == SL_JSON_ARRAY && sl_json_count(i->value) == 0)))
        return SL_OK;
    struct filter_node *child = add_child(c, all, all->is_case_sensitive);
    if (child == NULL)
        return too_many(c);
    child->kind = kind;
    if (is_node)
        return compile_items(c, i->value, depth, child);
    if (sl_json_text(i->name, &child->field_memory, &child->field) != SL_OK ||
        child->field.size == 0)
        return fail(c, sl_strdup("a field's name is empty"));
    return compile_condition(c, i->value, child);
}

static bool
is_condition(struct sl_json v)
{
    return sl_json_kind(sl_json_member(v, "field")) == SL_JSON_STRING &&
           (sl_json_has(sl_json_member(v, "operator")) ||
            sl_json_kind(sl_json_member(v, "value")) != SL_JSON_NONE);
}

static bool
has_node(struct sl_json v)
{
    return sl_json_has(sl_json_member(v, "AND")) || sl_json_has(sl_json_member(v, "OR")) ||
           sl_json_has(sl_json_member(v, "NOT"));
}

static enum sl_err
compile(struct compiler *c, struct sl_json v, uint32_t depth, bool is_case_sensitive,
        struct filter_node *ret_node)
{
    if (sl_json_kind(v) != SL_JSON_OBJECT)
        return fail(c, sl_strdup("a filter and each of its items must be an object"));
    if (depth > SL_FILTER_DEPTH_MAX)
        return fail(c, sl_format("a filter nests at most %d deep", SL_FILTER_DEPTH_MAX));
    ret_node->is_case_sensitive = is_case_sensitive;
    if (!has_node(v) && is_condition(v))
        return compile_field(c, v, ret_node);
    ret_node->kind = FILTER_AND;
    ret_node->is_case_sensitive =
        sl_json_bool(sl_json_member(v, "case_sensitive"), is_case_sensitive);
    for (struct sl_json_iter i = sl_json_iter(v); sl_json_next(&i);) {
        if (sl_json_is(i.name, "case_sensitive"))
            continue;
        enum sl_err err = compile_member(c, &i, depth, ret_node);
        if (err != SL_OK)
            return err;
    }
    return SL_OK;
}

enum sl_err
sl_filter_compile(struct sl_json tree, const struct sl_filter_options *options,
                  struct sl_filter **ret_filter, char **ret_why)
{
    struct sl_filter_options none = {0};
    struct sl_jsonw w;
    *ret_why = NULL;
    if (options == NULL)
        options = &none;
    if (!sl_json_has(tree) || (sl_json_kind(tree) == SL_JSON_OBJECT && sl_json_count(tree) == 0)) {
        *ret_filter = NULL;
        return SL_OK;
    }

    struct compiler c = {.filter = sl_zalloc(sizeof(struct sl_filter))};
    sl_jsonw_init(&w, &c.filter->source);
    enum sl_err err = write_resolved(tree, options->inputs, &w);
    sl_jsonw_done(&w);
    if (err != SL_OK)
        err = fail(&c, sl_strdup("a dynamic value names an input that was not given"));
    else if (sl_json_parse(sl_buf_slice(&c.filter->source), &c.filter->doc, NULL) != SL_OK)
        err = fail(&c, sl_strdup("its dynamic values nest too deep"));
    else
        err = compile(&c, sl_json_root(c.filter->doc), 1, options->is_case_sensitive,
                      &c.filter->root);
    if (err != SL_OK) {
        sl_filter_destroy(&c.filter);
        *ret_why = c.why;
        return err;
    }
    *ret_filter = c.filter;
    return SL_OK;
}
