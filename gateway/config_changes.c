/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two configurations, value by value: maps are gone through to their ends. */
#include <stdlib.h>

#include "actors/node_facts.h"
#include "actors/node_groups.h"
#include "gateway/overrides/merge.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

#define DEPTH_MAX 8 /* As deep as a configuration nests. */

struct leaf {
    char *path, *value;
    bool is_live;
};

struct leaves {
    struct leaf *items;
    uint32_t count, capacity;
};

/* Takes both texts. */
static void
add_leaf(struct leaves *l, char *path, char *value, bool is_live)
{
    if (l->count == l->capacity) {
        l->capacity = SL_MAX(l->capacity * 2, 64u);
        l->items = sl_realloc(l->items, l->capacity * sizeof(l->items[0]));
    }
    l->items[l->count++] = (struct leaf){.path = path, .value = value, .is_live = is_live};
}

/* Recursion is bounded by DEPTH_MAX, which the configuration's reader keeps. */
static void
add_json(struct leaves *l, const char *path, struct sl_json value, uint32_t depth)
{
    if (sl_json_kind(value) != SL_JSON_OBJECT || depth == DEPTH_MAX) {
        char *text = sl_json_strdup(value);
        bool is_empty = text == NULL || text[0] == '\0';
        if (is_empty)
            sl_free(text);
        else
            add_leaf(l, sl_strdup(path), text, true);
        return;
    }
    for (struct sl_json_iter i = sl_json_iter(value); sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name);
        char *below = sl_format("%s.%s", path, name == NULL ? "" : name);
        add_json(l, below, i.value, depth + 1);
        sl_free(name);
        sl_free(below);
    }
}

/* A map of names to texts and maps. */
static void
add_map(struct leaves *l, const char *path, const char *text)
{
    struct sl_json_doc *doc = NULL;
    if (text[0] == '{' && sl_json_parse(sl_slice_str(text), &doc, NULL) == SL_OK)
        add_json(l, path, sl_json_root(doc), 0);
    else if (text[0] != '\0')
        add_leaf(l, sl_strdup(path), sl_strdup(text), true);
    sl_json_destroy(&doc);
}

/* The same groups may be written in three ways: as text of names, by short names and by long ones.
 */
static void
add_groups(struct leaves *l, const char *text)
{
    struct sl_node_groups groups;
    struct sl_json_doc *doc = NULL;
    char *why = NULL;
    if (sl_node_groups_read(text, &groups, &why) != SL_OK) {
        sl_free(why);
        add_map(l, "cluster.groups", text);
        return;
    }
    if (text[0] == '{' && sl_json_parse(sl_slice_str(text), &doc, NULL) == SL_OK) {
        for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i);) {
            char *name = sl_json_strdup(i.name);
            char *path = sl_format("cluster.groups.%s", sl_node_group(sl_slice_str(name)));
            add_json(l, path, i.value, 0);
            sl_free(name);
            sl_free(path);
        }
    }
    for (size_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        if (!groups.limits[i].is_allowed)
            add_leaf(l, sl_format("cluster.groups.%s", groups.limits[i].name),
                     sl_strdup("none may join"), true);
    }
    sl_json_destroy(&doc);
}

static int
compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct leaf *)a)->path, ((const struct leaf *)b)->path);
}

static struct leaves
flatten(const struct sl_config *config)
{
    struct leaves l = {0};
    const struct sl_config_key *keys = sl_up_keys();
    for (uint32_t i = 0; i < SL_UP_KEY_COUNT; i++) {
        struct sl_buf text = {0};
        if (i == SL_UP_groups) {
            add_groups(&l, sl_config_string(config, i));
        } else if (keys[i].type == SL_CONFIG_MAP) {
            uint32_t from = l.count;
            add_map(&l, keys[i].path, sl_config_string(config, i));
            for (; from < l.count; from++)
                l.items[from].is_live = i == SL_UP_extractors;
        } else {
            sl_config_value_print(config, i, &text);
            add_leaf(&l, sl_strdup(keys[i].path), sl_strdup(sl_buf_text(&text)),
                     i == SL_UP_health_extractor || i == SL_UP_health_service);
        }
        sl_buf_deinit(&text);
    }
    qsort(l.items, l.count, sizeof(l.items[0]), compare_paths);
    return l;
}

static void
free_leaves(struct leaves *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        sl_free(l->items[i].path);
        sl_free(l->items[i].value);
    }
    sl_free(l->items);
}

/* Variables and a collector's headers hold secrets as often as not. */
static bool
may_be_secret(const char *path)
{
    static const char *const begins[] = {"env.", "traces.headers"};
    for (size_t i = 0; i < SL_COUNT_OF(begins); i++)
        if (strncmp(path, begins[i], strlen(begins[i])) == 0)
            return true;
    return false;
}

static char *
shown(const struct leaf *leaf)
{
    if (leaf == NULL)
        return NULL;
    return sl_strdup(may_be_secret(leaf->path) ? "(not shown)" : leaf->value);
}

static void
add_change(struct sl_config_changes *c, const struct leaf *old, const struct leaf *new)
{
    const struct leaf *any = old == NULL ? new : old;
    if (c->count == c->capacity) {
        c->capacity = SL_MAX(c->capacity * 2, 16u);
        c->items = sl_realloc(c->items, c->capacity * sizeof(c->items[0]));
    }
    c->items[c->count++] = (struct sl_config_change){.path = sl_strdup(any->path),
                                                     .old = shown(old),
                                                     .new = shown(new),
                                                     .is_live = any->is_live};
}

void
sl_config_write(const struct sl_config *config, struct sl_jsonw *w)
{
    struct leaves l = flatten(config);
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < l.count; i++) {
        char *value = shown(&l.items[i]);
        sl_jsonw_member_str(w, l.items[i].path, value);
        sl_free(value);
    }
    sl_jsonw_end(w);
    free_leaves(&l);
}

struct sl_config_changes
sl_config_changes(const struct sl_config *old, const struct sl_config *new)
{
    struct sl_config_changes changes = {0};
    struct leaves a = flatten(old), b = flatten(new);
    for (uint32_t i = 0, k = 0; i < a.count || k < b.count;) {
        int order = i == a.count ? 1 : k == b.count ? -1 : strcmp(a.items[i].path, b.items[k].path);
        const struct leaf *was = order <= 0 ? &a.items[i++] : NULL;
        const struct leaf *is = order >= 0 ? &b.items[k++] : NULL;
        if (was == NULL || is == NULL || strcmp(was->value, is->value) != 0)
            add_change(&changes, was, is);
    }
    free_leaves(&a);
    free_leaves(&b);
    return changes;
}

void
sl_config_changes_deinit(struct sl_config_changes *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        sl_free(c->items[i].path);
        sl_free(c->items[i].old);
        sl_free(c->items[i].new);
    }
    sl_free(c->items);
    *c = (struct sl_config_changes){0};
}

void
sl_config_changes_print(const struct sl_config_changes *c, struct sl_buf *out)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct sl_config_change *at = &c->items[i];
        sl_buf_printf(out, "%s: %s -> %s%s\n", at->path, at->old == NULL ? "(not set)" : at->old,
                      at->new == NULL ? "(not set)" : at->new,
                      at->is_live ? "" : " (after a restart)");
    }
}
