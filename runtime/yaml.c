/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/yaml.h"

#include <yaml.h>

#include "runtime/alloc.h"
#include "runtime/utf8.h"

struct reading {
    yaml_parser_t yaml;
    yaml_event_t event;
    uint32_t nodes, depth;
    uint32_t line;
    enum sl_err err;
    char *why;
};

static bool
fail(struct reading *r, size_t line, const char *why)
{
    if (r->why != NULL)
        return false;
    r->line = (uint32_t)line + 1;
    r->why = sl_strdup(why);
    r->err = r->err == SL_OK ? SL_EINVAL : r->err;
    return false;
}

/* The next event; the one before is released. */
static bool
next(struct reading *r)
{
    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->yaml, &r->event))
        return fail(r, r->yaml.problem_mark.line,
                    r->yaml.problem == NULL ? "this is not YAML" : r->yaml.problem);
    if (r->event.type == YAML_ALIAS_EVENT)
        return fail(r, r->event.start_mark.line, "an alias (*name) is not taken: write it out");
    return true;
}

static bool
has_tag(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

static struct sl_yaml_node *
make(struct reading *r)
{
    size_t line = r->event.start_mark.line;
    if (r->nodes == SL_YAML_NODES_MAX) {
        r->err = SL_ETOOBIG;
        (void)fail(r, line, "the file has more than 4096 values");
        return NULL;
    }
    if (has_tag(&r->event)) {
        (void)fail(r, line, "a tag (!name) is not taken");
        return NULL;
    }
    r->nodes++;
    struct sl_yaml_node *node = sl_zalloc(sizeof(*node));
    node->line = (uint32_t)line + 1;
    return node;
}

/* The scalar at hand as a text; NULL: it is none. */
static char *
scalar(struct reading *r)
{
    struct sl_slice text = sl_slice(r->event.data.scalar.value, r->event.data.scalar.length);
    if (memchr(text.data, '\0', text.size) == NULL && sl_utf8_is_valid(text))
        return sl_strndup(text.data, text.size);
    (void)fail(r, r->event.start_mark.line, "a text with a NUL");
    return NULL;
}

static struct sl_yaml_node *read_node(struct reading *r);

static void
append(struct sl_yaml_node *parent, struct sl_yaml_node **last, struct sl_yaml_node *child)
{
    if (*last == NULL)
        parent->first = child;
    else
        (*last)->next = child;
    *last = child;
    parent->count++;
}

static bool
read_list(struct reading *r, struct sl_yaml_node *list)
{
    struct sl_yaml_node *last = NULL;
    for (;;) {
        if (!next(r))
            return false;
        if (r->event.type == YAML_SEQUENCE_END_EVENT)
            return true;
        struct sl_yaml_node *child = read_node(r);
        if (child == NULL)
            return false;
        append(list, &last, child);
    }
}

/* The name at hand, which `map` does not have yet. Owned; NULL: it cannot be one. */
static char *
read_name(struct reading *r, const struct sl_yaml_node *map)
{
    size_t line = r->event.start_mark.line;
    if (r->event.type != YAML_SCALAR_EVENT || r->event.data.scalar.length == 0 ||
        r->event.data.scalar.length > SL_YAML_NAME_MAX) {
        (void)fail(r, line, "expected a key of 1 to 128 bytes");
        return NULL;
    }
    char *name = scalar(r);
    if (name != NULL && strpbrk(name, "\r\n\t\x1b") != NULL) {
        (void)fail(r, line, "a key with a control character");
        sl_free(name);
        return NULL;
    }
    for (const struct sl_yaml_node *n = map->first; name != NULL && n != NULL; n = n->next) {
        if (strcmp(n->name, name) != 0)
            continue;
        char *why = sl_format("%s is given twice, first in line %u", name, n->line);
        (void)fail(r, line, why);
        sl_free(why);
        sl_free(name);
        return NULL;
    }
    return name;
}

static bool
read_map(struct reading *r, struct sl_yaml_node *map)
{
    struct sl_yaml_node *last = NULL;
    for (;;) {
        if (!next(r))
            return false;
        if (r->event.type == YAML_MAPPING_END_EVENT)
            return true;
        uint32_t line = (uint32_t)r->event.start_mark.line + 1;
        char *name = read_name(r, map);
        struct sl_yaml_node *child = name == NULL || !next(r) ? NULL : read_node(r);
        if (child == NULL) {
            sl_free(name);
            return false;
        }
        child->name = name;
        child->line = line;
        append(map, &last, child);
    }
}

/* The value whose first event is at hand. Recursion is bounded by SL_YAML_DEPTH_MAX. */
static struct sl_yaml_node *
read_node(struct reading *r)
{
    struct sl_yaml_node *node = make(r);
    bool is_good = node != NULL;
    if (is_good && r->event.type == YAML_SCALAR_EVENT) {
        node->kind = SL_YAML_SCALAR;
        node->is_quoted = r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        node->text = scalar(r);
        is_good = node->text != NULL;
    } else if (is_good && ++r->depth > SL_YAML_DEPTH_MAX) {
        is_good = fail(r, r->event.start_mark.line, "nested too deeply");
    } else if (is_good) {
        bool is_map = r->event.type == YAML_MAPPING_START_EVENT;
        node->kind = is_map ? SL_YAML_MAP : SL_YAML_LIST;
        is_good = is_map ? read_map(r, node) : read_list(r, node);
        r->depth--;
    }
    if (!is_good)
        sl_yaml_destroy(&node);
    return node;
}

static bool
read_stream(struct reading *r, struct sl_yaml_node **ret_root)
{
    if (!next(r) || !next(r)) /* Stream start, document start. */
        return false;
    if (r->event.type == YAML_STREAM_END_EVENT)
        return true; /* An empty file. */
    if (!next(r))
        return false;
    *ret_root = read_node(r);
    if (*ret_root == NULL || !next(r) || !next(r)) /* Document end, stream end. */
        return false;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail(r, r->event.start_mark.line, "more than one document");
    return true;
}

enum sl_err
sl_yaml_read(struct sl_slice text, struct sl_yaml_node **ret_root, uint32_t *ret_line,
             char **ret_why)
{
    struct reading r = {0};
    struct sl_yaml_node *root = NULL;
    if (text.size > SL_YAML_SIZE_MAX) {
        *ret_line = 1;
        *ret_why = sl_strdup("the file is larger than 256 KiB");
        return SL_ETOOBIG;
    }
    if (!yaml_parser_initialize(&r.yaml)) {
        *ret_line = 1;
        *ret_why = sl_strdup("there is no memory to read it");
        return SL_ENOMEM;
    }
    yaml_parser_set_input_string(&r.yaml, text.data, text.size);
    bool is_good = read_stream(&r, &root);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.yaml);
    if (!is_good) {
        sl_yaml_destroy(&root);
        *ret_line = r.line;
        *ret_why = r.why;
        return r.err;
    }
    if (root != NULL && root->kind == SL_YAML_SCALAR && root->text[0] == '\0' && !root->is_quoted)
        sl_yaml_destroy(&root); /* Nothing but comments, or "---". */
    *ret_root = root;
    return SL_OK;
}

/* Recursion is bounded by SL_YAML_DEPTH_MAX. */
void
sl_yaml_destroy(struct sl_yaml_node **root)
{
    struct sl_yaml_node *node = *root;
    *root = NULL;
    while (node != NULL) {
        struct sl_yaml_node *after = node->next;
        sl_yaml_destroy(&node->first);
        sl_free(node->name);
        sl_free(node->text);
        sl_free(node);
        node = after;
    }
}
