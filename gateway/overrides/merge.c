/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/overrides/merge.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "actors/node_facts.h"
#include "actors/node_groups.h"
#include "actors/pool_scale.h"
#include "actors/scale_settings.h"
#include "gateway/extractor/info.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/nearest.h"

/* What is put on top of one value: extractors.NAME.MEMBER, or .MEMBER.KEY. */
struct layer {
    char *extractor;
    const char *member, *key; /* key: NULL: the member is the value. */
    char *value;
    uint32_t line;
};

struct layers {
    struct sl_overrides *o;
    struct layer *items;
    uint32_t count, capacity;
};

/* ---- whom a name means --------------------------------------------------------------------- */

static const struct sl_extractor_info *
lookup(struct sl_slice name)
{
    const struct sl_extractor_info *info = sl_extractor_info_lookup(name, (struct sl_slice){0});
    return info == NULL ? sl_extractor_info_by_id(name) : info;
}

static void
note_stranger(struct sl_overrides *o, const struct sl_override *item, const char *name)
{
    uint32_t count, least = UINT32_MAX;
    const struct sl_extractor_info *infos = sl_extractor_infos(&count);
    struct sl_slice best = {0}, own = sl_slice_str(name);
    /* Of the first ones alone: to compare names costs more than all else here. */
    for (uint32_t i = 0; i < count && o->notes_count < SL_OVERRIDE_ERRORS_MAX; i++) {
        struct sl_slice other = sl_slice_str(infos[i].name);
        uint32_t distance = sl_text_distance(own, other);
        if (distance < least) {
            least = distance;
            best = other;
        }
    }
    bool is_near = least <= 3 && sl_is_near(own, best, least);
    char *meant = is_near ? sl_format(" (is %.*s meant?)", SL_SLICE_FMT(best)) : sl_strdup("");
    sl_overrides_note(o, item->line, false,
                      "%s: no extractor here is called %s%s; it counts when there is one",
                      item->path, name, meant);
    sl_free(meant);
}

/* The name in the catalogue; owned. */
static char *
resolve(struct sl_overrides *o, const struct sl_override *item, const char *name, bool is_told)
{
    const char *behind = strstr(name, "__");
    const struct sl_extractor_info *info = lookup(sl_slice_str(name));
    if (info == NULL && behind != NULL)
        info = lookup(sl_slice_str(behind + 2));
    if (info == NULL && is_told)
        note_stranger(o, item, name);
    return sl_strdup(info == NULL ? name : info->name);
}

/* ---- extractors ---------------------------------------------------------------------------- */

static bool
is_same_place(const struct layer *a, const struct layer *b)
{
    return strcmp(a->extractor, b->extractor) == 0 && strcmp(a->member, b->member) == 0 &&
           (a->key == NULL || strcmp(a->key, b->key) == 0);
}

/* Takes `layer`'s extractor and value. */
static void
add_layer(struct layers *l, const struct sl_override *item, struct layer layer)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (!is_same_place(&layer, &l->items[i]))
            continue;
        if (strcmp(layer.value, l->items[i].value) != 0)
            sl_overrides_note(l->o, item->line, true, "%s: %s was set otherwise in line %u",
                              item->path, layer.extractor, l->items[i].line);
        sl_free(layer.extractor);
        sl_free(layer.value);
        return;
    }
    if (l->count == l->capacity) {
        l->capacity = SL_MAX(l->capacity * 2, 16u);
        l->items = sl_realloc(l->items, l->capacity * sizeof(l->items[0]));
    }
    l->items[l->count++] = layer;
}

static bool
is_first_of_its_name(const struct sl_overrides *o, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        const struct sl_override *item = &o->items[i];
        if (strcmp(item->row->target, "extractors") == 0 && item->names[0] != NULL &&
            strcmp(item->names[0], o->items[index].names[0]) == 0)
            return false;
    }
    return true;
}

/* Which member of the extractor it sets, and to what; the value is owned. */
static void
set_layer(struct layer *layer, const struct sl_override *item)
{
    if (item->row->type == SL_OVERRIDE_NAMES) {
        layer->member = "disabled";
        layer->value = sl_strdup("true");
    } else if (item->row->type == SL_OVERRIDE_MEMORY) {
        layer->member = "memory";
        layer->value = sl_format("%.0f", ceil(item->number));
    } else if (strstr(item->row->path, ".batching.") != NULL) {
        bool is_delay = item->row->type == SL_OVERRIDE_NUMBER;
        layer->member = "batching";
        layer->key = is_delay ? "delay" : strrchr(item->row->path, '.') + 1;
        layer->value =
            is_delay ? sl_format("%.0fus", ceil(item->number * 1000)) : sl_strdup(item->text);
    } else {
        const char *key =
            item->names[1] != NULL ? item->names[1] : strrchr(item->row->path, '.') + 1;
        layer->member = "autoscaling_config";
        layer->key = sl_scale_settings_name(key);
        layer->value = sl_strdup(item->text);
    }
}

static void
collect_one(struct layers *l, uint32_t index)
{
    const struct sl_override *item = &l->o->items[index];
    bool is_disabled = item->row->type == SL_OVERRIDE_NAMES;
    const char *name = is_disabled ? item->text : item->names[0];
    bool is_told = is_disabled || is_first_of_its_name(l->o, index);
    struct layer layer = {.extractor = resolve(l->o, item, name, is_told), .line = item->line};
    set_layer(&layer, item);
    if (strstr(item->row->path, ".num_replicas") != NULL) {
        struct layer least = layer;
        least.extractor = sl_strdup(layer.extractor);
        least.value = sl_strdup(layer.value);
        least.key = "min_replicas";
        layer.key = "max_replicas";
        add_layer(l, item, least);
    }
    add_layer(l, item, layer);
}

/* The layer on extractors.NAME.MEMBER[.KEY]; NULL: none. Not `name`: any key. */
static const struct layer *
layer_at(const struct layers *l, const char *extractor, const char *member, const char *key)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct layer *at = &l->items[i];
        if (strcmp(at->extractor, extractor) == 0 && strcmp(at->member, member) == 0 &&
            (key == NULL || at->key == NULL || strcmp(at->key, key) == 0))
            return at;
    }
    return NULL;
}

/* Members of `base` but what a layer replaces; then the layers. */
static void
write_member(const struct layers *l, const char *extractor, const char *member, struct sl_json base,
             struct sl_jsonw *w)
{
    const struct layer *first = layer_at(l, extractor, member, NULL);
    sl_jsonw_name(w, member);
    if (first == NULL) {
        sl_jsonw_value(w, base);
        return;
    }
    if (first->key == NULL) {
        sl_jsonw_str(w, first->value);
        return;
    }
    sl_jsonw_object(w);
    for (struct sl_json_iter i = sl_json_iter(base); sl_json_next(&i);) {
        char *key = sl_json_strdup(i.name);
        const char *setting = sl_scale_settings_name(key);
        if (layer_at(l, extractor, member, setting == NULL ? key : setting) == NULL) {
            sl_jsonw_name(w, key);
            sl_jsonw_value(w, i.value);
        }
        sl_free(key);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        const struct layer *at = &l->items[i];
        if (strcmp(at->extractor, extractor) == 0 && strcmp(at->member, member) == 0)
            sl_jsonw_member_str(w, at->key, at->value);
    }
    sl_jsonw_end(w);
}

static void
write_extractor(const struct layers *l, const char *name, struct sl_json base, struct sl_jsonw *w)
{
    static const char *const ours[] = {"autoscaling_config", "memory", "batching", "disabled"};
    sl_jsonw_name(w, name);
    sl_jsonw_object(w);
    for (struct sl_json_iter i = sl_json_iter(base); sl_json_next(&i);) {
        char *member = sl_json_strdup(i.name);
        write_member(l, name, member, i.value, w);
        sl_free(member);
    }
    for (size_t i = 0; i < SL_COUNT_OF(ours); i++) {
        if (layer_at(l, name, ours[i], NULL) != NULL && !sl_json_has(sl_json_member(base, ours[i])))
            write_member(l, name, ours[i], (struct sl_json){0}, w);
    }
    sl_jsonw_end(w);
}

static void
free_layer(struct layer *layer)
{
    sl_free(layer->extractor);
    sl_free(layer->value);
}

/* What was to be set of how an extractor scales is left out. */
static void
drop_scale(struct layers *l, const char *extractor)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->count; i++) {
        struct layer *layer = &l->items[i];
        if (strcmp(layer->extractor, extractor) == 0 &&
            strcmp(layer->member, "autoscaling_config") == 0)
            free_layer(layer);
        else
            l->items[kept++] = *layer;
    }
    l->count = kept;
}

/* Of one that is nowhere it is no fault: how it scales is known once it is installed. */
static void
note_scale(struct layers *l, const struct layer *layer, const char *fault, bool is_known)
{
    if (is_known)
        sl_overrides_note(l->o, layer->line, true, "overrides.%s.autoscaling_config: %s",
                          layer->extractor, fault);
    else
        sl_overrides_note(l->o, layer->line, false,
                          "overrides.%s.autoscaling_config: left out until there is such an "
                          "extractor: as things are, %s",
                          layer->extractor, fault);
}

/* That the settings of each extractor fit each other, those that were there included; what does not
 * is left out of the layers. */
static void
check_scale(struct layers *l, const struct sl_config *config, struct sl_json base,
            struct sl_json extractors)
{
    const struct sl_scale_settings defaults = sl_pool_scale_defaults(
        (uint32_t)sl_config_int(config, SL_UP_replicas), sl_config_duration_ns(config, SL_UP_idle));
    for (struct sl_json_iter i = sl_json_iter(extractors); sl_json_next(&i);) {
        struct sl_scale_settings settings = defaults;
        char *name = sl_json_strdup(i.name);
        const struct layer *first = layer_at(l, name, "autoscaling_config", NULL);
        struct sl_json own = sl_json_member(i.value, "autoscaling_config");
        for (struct sl_json_iter k = sl_json_iter(own); sl_json_next(&k);) {
            char *key = sl_json_strdup(k.name), *value = sl_json_strdup(k.value), *why = NULL;
            if (value == NULL || sl_scale_settings_set(&settings, key, value, &why) != SL_OK)
                sl_free(why); /* Of the configuration: who reads that says so. */
            sl_free(key);
            sl_free(value);
        }
        const char *fault = first == NULL ? NULL : sl_scale_settings_check(&settings);
        if (fault != NULL) {
            struct sl_json before = sl_json_member(base, name);
            bool is_known = lookup(sl_slice_str(name)) != NULL ||
                            sl_json_has(sl_json_member(before, "autoscaling_config"));
            note_scale(l, first, fault, is_known);
            drop_scale(l, name);
        }
        sl_free(name);
    }
}

/* What the configuration has set is set; else it is noted. */
static void
set(struct sl_overrides *o, struct sl_config *config, const char *key, struct sl_buf *text)
{
    char *why = NULL;
    if (sl_config_set(config, key, sl_buf_text(text), &why) != SL_OK)
        sl_overrides_note(o, 1, true, "as a whole it does not fit: %s", why);
    sl_free(why);
}

static void
write_extractors(const struct layers *l, struct sl_json base, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    for (struct sl_json_iter i = sl_json_iter(base); sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name);
        write_extractor(l, name, i.value, w);
        sl_free(name);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        const char *name = l->items[i].extractor;
        bool is_first = !sl_json_has(sl_json_member(base, name));
        for (uint32_t k = 0; k < i && is_first; k++)
            is_first = strcmp(l->items[k].extractor, name) != 0;
        if (is_first)
            write_extractor(l, name, (struct sl_json){0}, w);
    }
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

static void
merge_extractors(struct sl_overrides *o, struct sl_config *config)
{
    struct layers l = {.o = o};
    struct sl_json_doc *doc = NULL, *merged = NULL;
    struct sl_buf out = {0};
    struct sl_jsonw w;
    for (uint32_t i = 0; i < o->count; i++) {
        if (strcmp(o->items[i].row->target, "extractors") == 0 && !o->items[i].is_bad)
            collect_one(&l, i);
    }
    /* A text in no braces is empty: sl_up_options checks that. */
    enum sl_err err =
        sl_json_parse(sl_slice_str(sl_config_string(config, SL_UP_extractors)), &doc, NULL);
    if (l.count > 0) {
        struct sl_json base = err == SL_OK ? sl_json_root(doc) : (struct sl_json){0};
        uint32_t count = l.count;
        sl_jsonw_init(&w, &out);
        write_extractors(&l, base, &w);
        if (sl_json_parse(sl_buf_slice(&out), &merged, NULL) == SL_OK)
            check_scale(&l, config, base, sl_json_root(merged));
        if (l.count < count) {
            out.size = 0;
            sl_jsonw_init(&w, &out);
            write_extractors(&l, base, &w);
        }
        if (l.count > 0)
            set(o, config, "extractors", &out);
    }
    for (uint32_t i = 0; i < l.count; i++)
        free_layer(&l.items[i]);
    sl_free(l.items);
    sl_json_destroy(&doc);
    sl_json_destroy(&merged);
    sl_buf_deinit(&out);
}

/* ---- groups -------------------------------------------------------------------------------- */

#define GROUP_KEYS_MAX 7 /* Of a layer: those below, and tasks. */

/* What is put on top of one group. */
struct group_layer {
    const char *keys[GROUP_KEYS_MAX];
    char values[GROUP_KEYS_MAX][32];
    uint32_t count, line;
};

/* What of a group's members a key is, as the configuration has it. False: none. */
static bool
group_member(const struct sl_override *item, const char **ret_key, char value[static 32])
{
    static const struct {
        const char *behind, *key;
        double factor;
        const char *unit;
    } keys[] = {{"-workers.minReplicas", "min", 1, ""},
                {"-workers.maxReplicas", "max", 1, ""},
                {"-workers.idleTimeoutSeconds", "idle", 1000, "ms"},
                {"-workers.resources.limits.cpu", "cpus", 1, ""},
                {"-workers.resources.limits.memory", "memory", 1, ""},
                {"-workers.resources.limits.nvidia.com/gpu", "gpus", 1, ""}};
    static_assert(SL_COUNT_OF(keys) < GROUP_KEYS_MAX, "a layer has room for each");
    for (size_t i = 0; i < SL_COUNT_OF(keys); i++) {
        if (strcmp(strchr(item->row->path, '-'), keys[i].behind) != 0)
            continue;
        *ret_key = keys[i].key;
        (void)snprintf(value, 32, "%.0f%s", ceil(item->number * keys[i].factor), keys[i].unit);
        return true;
    }
    return false;
}

/* The configuration's member of a group, by either of its names; NONE: it has none. */
static struct sl_json
group_base(struct sl_json groups, const char *name)
{
    for (struct sl_json_iter i = sl_json_iter(groups); sl_json_next(&i);) {
        char *own = sl_json_strdup(i.name);
        const char *group = own == NULL ? NULL : sl_node_group(sl_slice_str(own));
        bool is_so = group != NULL && strcmp(group, name) == 0;
        sl_free(own);
        if (is_so)
            return i.value;
    }
    return (struct sl_json){0};
}

/* cluster.cpu-workers.maxReplicas */
static void
merge_limit(struct sl_overrides *o, const struct sl_override *item, struct sl_json groups,
            struct group_layer layers[SL_NODE_GROUPS_COUNT])
{
    static const char *const names[] = {"cpu", "batch", "gpu"};
    const char *group = item->row->path + strlen("cluster."), *key = NULL;
    char value[32];
    size_t at = 0;
    while (strncmp(group, names[at], strlen(names[at])) != 0)
        at++;
    struct group_layer *layer = &layers[at];
    struct sl_json provider = sl_json_member(group_base(groups, names[at]), "provider");
    if (!group_member(item, &key, value))
        return;
    if (strcmp(key, "min") != 0 && strcmp(key, "max") != 0 && !sl_json_is(provider, "local")) {
        sl_overrides_note(o, item->line, false,
                          "%s: accepted; no effect: workers of the group %s are started by whoever "
                          "runs them, with limits of their own (sluice worker)",
                          item->path, names[at]);
        return;
    }
    layer->line = item->line;
    layer->keys[layer->count] = key;
    memcpy(layer->values[layer->count++], value, sizeof(value));
}

/* ---- Celery's pools: nodes of the group that takes their tasks ------------------------------- */

enum { POOL_REPLICAS, POOL_CONCURRENCY, POOL_ENABLED, POOL_MIN, POOL_MAX, POOL_KEYS };

/* What the file says of one pool; NULL: it does not. */
struct pool {
    const char *prefix, *group; /* "celery.general.", cpu */
    const struct sl_override *items[POOL_KEYS];
    uint32_t count;
};

static void
collect_pool(const struct sl_overrides *o, struct pool *p)
{
    static const char *const keys[POOL_KEYS] = {"replicas", "concurrency", "autoscaling.enabled",
                                                "autoscaling.minReplicas",
                                                "autoscaling.maxReplicas"};
    size_t size = strlen(p->prefix);
    for (uint32_t i = 0; i < o->count; i++) {
        const struct sl_override *item = &o->items[i];
        for (uint32_t k = 0; k < POOL_KEYS && strncmp(item->row->path, p->prefix, size) == 0; k++) {
            if (item->is_bad || strcmp(item->row->path + size, keys[k]) != 0)
                continue;
            p->items[k] = item;
            p->count++;
        }
    }
}

static void
put_pool(struct sl_overrides *o, const struct pool *p, struct group_layer *layer, const char *key,
         const struct sl_override *item)
{
    if (item == NULL)
        return;
    for (uint32_t i = 0; i < layer->count; i++) {
        if (strcmp(layer->keys[i], key) != 0)
            continue;
        sl_overrides_note(o, item->line, false,
                          "%s: accepted; no effect: cluster.%s-workers.%sReplicas says it",
                          item->path, p->group, key);
        return;
    }
    layer->line = item->line;
    layer->keys[layer->count] = key;
    (void)snprintf(layer->values[layer->count++], sizeof(layer->values[0]), "%.0f", item->number);
}

/* What cluster says of the same group is stronger. */
static void
merge_pool(struct sl_overrides *o, struct pool *p, struct sl_json groups, struct group_layer *layer)
{
    collect_pool(o, p);
    bool is_local = sl_json_is(sl_json_member(group_base(groups, p->group), "provider"), "local");
    for (uint32_t k = 0; k < POOL_KEYS && !is_local; k++) {
        if (p->items[k] != NULL)
            sl_overrides_note(o, p->items[k]->line, false,
                              "%s: accepted; no effect: nodes of the group %s are not started by "
                              "demand (cluster.groups.%s: {provider: local})",
                              p->items[k]->path, p->group, p->group);
    }
    if (!is_local || p->count == 0)
        return;
    const struct sl_override *enabled = p->items[POOL_ENABLED];
    bool is_fixed = (enabled != NULL && enabled->number == 0) ||
                    (p->items[POOL_MIN] == NULL && p->items[POOL_MAX] == NULL);
    const struct sl_override *replicas = p->items[POOL_REPLICAS];
    put_pool(o, p, layer, "min", is_fixed ? replicas : p->items[POOL_MIN]);
    put_pool(o, p, layer, "max", is_fixed ? replicas : p->items[POOL_MAX]);
    put_pool(o, p, layer, "tasks", p->items[POOL_CONCURRENCY]);
}

static void
write_group(const struct group_layer *layer, struct sl_json base, struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    for (struct sl_json_iter i = sl_json_iter(base); sl_json_next(&i);) {
        bool is_kept = true;
        for (uint32_t k = 0; k < layer->count; k++)
            is_kept = is_kept && !sl_json_is(i.name, layer->keys[k]);
        if (!is_kept)
            continue;
        char *name = sl_json_strdup(i.name);
        sl_jsonw_name(w, name);
        sl_jsonw_value(w, i.value);
        sl_free(name);
    }
    for (uint32_t k = 0; k < layer->count; k++)
        sl_jsonw_member_str(w, layer->keys[k], layer->values[k]);
    sl_jsonw_end(w);
}

static void
write_groups(const struct sl_node_groups *allowed, struct sl_json base,
             const struct group_layer layers[SL_NODE_GROUPS_COUNT], struct sl_jsonw *w)
{
    sl_jsonw_object(w);
    for (size_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        const char *name = allowed->limits[i].name;
        if (!allowed->limits[i].is_allowed && layers[i].count == 0)
            continue;
        sl_jsonw_name(w, name);
        write_group(&layers[i], group_base(base, name), w);
    }
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

/* Whether one group's limits fit what the configuration has. */
static bool
is_group_good(struct sl_overrides *o, const struct sl_node_groups *allowed, struct sl_json base,
              const struct group_layer layers[SL_NODE_GROUPS_COUNT], size_t at)
{
    struct group_layer own[SL_NODE_GROUPS_COUNT] = {0};
    struct sl_node_groups groups;
    struct sl_buf out = {0};
    struct sl_jsonw w;
    char *why = NULL;
    own[at] = layers[at];
    sl_jsonw_init(&w, &out);
    write_groups(allowed, base, own, &w);
    bool is_good = sl_node_groups_read(sl_buf_text(&out), &groups, &why) == SL_OK;
    if (!is_good)
        sl_overrides_note(o, own[at].line, true, "cluster: with what the configuration has: %s",
                          why);
    sl_free(why);
    sl_buf_deinit(&out);
    return is_good;
}

static void
merge_groups(struct sl_overrides *o, struct sl_config *config)
{
    const char *text = sl_config_string(config, SL_UP_groups);
    struct group_layer layers[SL_NODE_GROUPS_COUNT] = {0};
    struct sl_node_groups groups;
    struct sl_json_doc *doc = NULL;
    struct sl_buf out = {0};
    struct sl_jsonw w;
    char *why = NULL;
    uint32_t count = 0;
    if (sl_node_groups_read(text, &groups, &why) != SL_OK) {
        sl_free(why); /* Of the configuration: who starts with it is told. */
        return;
    }
    if (text[0] == '{' && sl_json_parse(sl_slice_str(text), &doc, NULL) != SL_OK)
        doc = NULL;
    struct sl_json base = doc == NULL ? (struct sl_json){0} : sl_json_root(doc);
    for (uint32_t i = 0; i < o->count; i++) {
        if (strncmp(o->items[i].row->path, "cluster.", strlen("cluster.")) == 0 &&
            strcmp(o->items[i].row->target, "cluster.groups") == 0 && !o->items[i].is_bad)
            merge_limit(o, &o->items[i], base, layers);
    }
    merge_pool(o, &(struct pool){.prefix = "celery.general.", .group = "cpu"}, base, &layers[0]);
    merge_pool(o, &(struct pool){.prefix = "celery.batch.", .group = "batch"}, base, &layers[1]);
    for (size_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
        if (layers[i].count > 0 && !is_group_good(o, &groups, base, layers, i))
            layers[i].count = 0;
        count += layers[i].count;
    }
    if (count > 0) {
        sl_jsonw_init(&w, &out);
        write_groups(&groups, base, layers, &w);
        set(o, config, "cluster.groups", &out);
    }
    sl_buf_deinit(&out);
    sl_json_destroy(&doc);
}

/* ---- the environment ----------------------------------------------------------------------- */

static bool
is_replaced(const struct sl_overrides *o, const char *name)
{
    for (uint32_t i = 0; i < o->count; i++) {
        if (strcmp(o->items[i].row->target, "env") == 0 && strcmp(o->items[i].names[0], name) == 0)
            return true;
    }
    return false;
}

void
sl_overrides_merge_env(struct sl_overrides *o, struct sl_config *config)
{
    struct sl_json_doc *doc = NULL;
    struct sl_buf out = {0};
    struct sl_jsonw w;
    uint32_t count = 0;
    enum sl_err err = sl_json_parse(sl_slice_str(sl_config_string(config, SL_UP_env)), &doc, NULL);
    sl_jsonw_init(&w, &out);
    sl_jsonw_object(&w);
    for (struct sl_json_iter i =
             sl_json_iter(err == SL_OK ? sl_json_root(doc) : (struct sl_json){0});
         sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name);
        if (!is_replaced(o, name)) {
            sl_jsonw_name(&w, name);
            sl_jsonw_value(&w, i.value);
        }
        sl_free(name);
    }
    for (uint32_t i = 0; i < o->count; i++) {
        if (strcmp(o->items[i].row->target, "env") != 0)
            continue;
        sl_jsonw_member_str(&w, o->items[i].names[0], o->items[i].text);
        count++;
    }
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    if (count > 0)
        set(o, config, "env", &out);
    sl_buf_deinit(&out);
    sl_json_destroy(&doc);
}

/* ---- keys of one value --------------------------------------------------------------------- */

/* Seconds that a key takes as a duration. */
static void
merge_durations(struct sl_overrides *o, struct sl_config *config)
{
    for (uint32_t i = 0; i < o->count; i++) {
        const struct sl_override *item = &o->items[i];
        char *why = NULL;
        if (strncmp(item->row->target, "health.", strlen("health.")) != 0 || item->is_bad)
            continue;
        char *text = sl_format("%.0fms", item->number * 1000);
        if (sl_config_set(config, item->row->target, text, &why) != SL_OK)
            sl_overrides_note(o, item->line, true, "%s: %s", item->path, why);
        sl_free(text);
        sl_free(why);
    }
}

void
sl_overrides_merge(struct sl_overrides *o, struct sl_config *config)
{
    merge_durations(o, config);
    merge_extractors(o, config);
    merge_groups(o, config);
    sl_overrides_merge_env(o, config);
}
