/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/node_groups.h"

#include <inttypes.h>
#include <stdlib.h>

#include "actors/node_facts.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/config_value.h"
#include "runtime/json.h"

static const char *const names[SL_NODE_GROUPS_COUNT] = {"cpu", "batch", "gpu", "any"};

/* Of groups that are started here: what the configuration does not say. */
static const struct {
    uint64_t min, max, gpus;
} usual[SL_NODE_GROUPS_COUNT] = {{1, 4, 0}, {0, 30, 0}, {0, 8, 1}, {0, 4, 0}};

#define DAY (INT64_C(86400) * 1000000000)
/* What a group takes besides min and max. */
enum { IDLE, DRAIN, TASKS, CPUS, GPUS, MEMORY, KEYS_COUNT };
static const struct sl_config_key keys[KEYS_COUNT] = {
    [IDLE] = {"idle", SL_CONFIG_DURATION, "60s", 0, 30 * DAY, "", ""},
    [DRAIN] = {"drain", SL_CONFIG_DURATION, "30s", 0, DAY, "", ""},
    [TASKS] = {"tasks", SL_CONFIG_INT, "256", 1, 1024, "tasks", ""},
    [CPUS] = {"cpus", SL_CONFIG_INT, "0", 0, 4096, "cores", ""},
    [GPUS] = {"gpus", SL_CONFIG_INT, "0", 0, 64, "devices", ""},
    [MEMORY] = {"memory", SL_CONFIG_SIZE, "0", 0, INT64_C(1) << 50, "", ""},
};
#undef DAY

static struct sl_node_groups
all_groups(bool is_allowed)
{
    struct sl_node_groups g;
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++)
        g.limits[i] = (struct sl_node_group_limits){
            .name = names[i], .is_allowed = is_allowed, .max = UINT64_MAX};
    return g;
}

const struct sl_node_group_limits *
sl_node_groups_of(const struct sl_node_groups *groups, const char *name)
{
    uint32_t i = 0;
    while (i + 1 < SL_NODE_GROUPS_COUNT && strcmp(groups->limits[i].name, name) != 0)
        i++;
    return &groups->limits[i];
}

/* A group is named. NULL: there is none of that name, or it was named before; *ret_why says so. */
static struct sl_node_group_limits *
allow(struct sl_node_groups *g, struct sl_slice name, char **ret_why)
{
    const char *group = sl_node_group(name);
    struct sl_node_group_limits *limits =
        group == NULL ? NULL
                      : (struct sl_node_group_limits *)(uintptr_t)sl_node_groups_of(g, group);
    if (limits == NULL)
        *ret_why =
            sl_format("cluster.groups: %.*s is none of cpu, batch, gpu and any",
                      (int)SL_MIN(name.size, (size_t)SL_NODE_NAME_MAX), (const char *)name.data);
    else if (limits->is_allowed)
        *ret_why = sl_format("cluster.groups: the group %s is named twice", group);
    if (*ret_why != NULL)
        return NULL;
    limits->is_allowed = true;
    return limits;
}

static bool
read_names(struct sl_node_groups *g, const char *text, char **ret_why)
{
    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        size_t size = strcspn(text, " ");
        if (allow(g, sl_slice(text, size), ret_why) == NULL)
            return false;
        text += size;
    }
    return true;
}

/* A count, as a text of digits: the configuration keeps all values as texts. */
static bool
read_count(struct sl_json limits, const char *name, uint64_t *ret_count)
{
    struct sl_json value = sl_json_member(limits, name);
    char *text = sl_json_strdup(value);
    bool is_good = !sl_json_has(value);
    if (text != NULL && text[0] != '\0' && strspn(text, "0123456789") == strlen(text) &&
        strlen(text) <= 6) {
        *ret_count = strtoull(text, NULL, 10);
        is_good = true;
    }
    sl_free(text);
    return is_good;
}

static bool
is_known(struct sl_json name)
{
    bool is_key =
        sl_json_is(name, "min") || sl_json_is(name, "max") || sl_json_is(name, "provider");
    for (uint32_t i = 0; i < KEYS_COUNT; i++)
        is_key = is_key || sl_json_is(name, keys[i].path);
    return is_key;
}

/* What is said of those that are started here, or the usual. The fault is owned. */
static char *
read_keys(struct sl_json value, struct sl_node_group_limits *limits)
{
    struct sl_buf why = {0};
    int64_t numbers[KEYS_COUNT] = {0};
    char *fault = NULL;
    for (uint32_t i = 0; i < KEYS_COUNT && fault == NULL; i++) {
        struct sl_config_value read = {0};
        char *text = sl_json_strdup(sl_json_member(value, keys[i].path));
        if (!sl_config_value_read(&keys[i], text == NULL ? keys[i].fallback : text, &read, &why))
            fault = sl_format("%s: %s", keys[i].path, sl_buf_text(&why));
        else if (text != NULL && !limits->is_local)
            fault = sl_format("%s is for groups with `provider: local`", keys[i].path);
        numbers[i] = read.number;
        sl_free(text);
    }
    limits->idle_ns = (uint64_t)numbers[IDLE];
    limits->drain_ns = (uint64_t)numbers[DRAIN];
    limits->tasks = (uint64_t)numbers[TASKS];
    limits->cpus = (uint64_t)numbers[CPUS];
    limits->memory_bytes = (uint64_t)numbers[MEMORY];
    if (sl_json_has(sl_json_member(value, "gpus")))
        limits->gpus = (uint64_t)numbers[GPUS];
    sl_buf_deinit(&why);
    return fault;
}

static void
set_usual(struct sl_node_group_limits *limits)
{
    uint32_t i = 0;
    while (strcmp(names[i], limits->name) != 0)
        i++;
    limits->is_local = true;
    limits->min = usual[i].min;
    limits->max = usual[i].max;
    limits->gpus = usual[i].gpus;
}

/* Owned; NULL: nothing is wrong. */
static char *
read_limits(struct sl_json value, struct sl_node_group_limits *limits)
{
    struct sl_json provider = sl_json_member(value, "provider");
    if (sl_json_is(value, ""))
        return NULL;
    for (struct sl_json_iter i = sl_json_iter(value); sl_json_next(&i);) {
        if (!is_known(i.name))
            return sl_format("takes no key but min and max, provider, idle, drain, tasks, cpus, "
                             "gpus and memory, not %.*s",
                             SL_SLICE_FMT(sl_json_raw(i.name)));
    }
    if (sl_json_is(provider, "local"))
        set_usual(limits);
    else if (sl_json_has(provider) && !sl_json_is(provider, "none"))
        return sl_strdup("takes the provider local or none");
    if (sl_json_kind(value) != SL_JSON_OBJECT || !read_count(value, "min", &limits->min) ||
        !read_count(value, "max", &limits->max))
        return sl_strdup("takes min and max, whole numbers below a million");
    char *fault = read_keys(value, limits);
    if (fault != NULL)
        return fault;
    if (limits->is_local && limits->max > SL_NODE_GROUP_LOCAL_MAX)
        return sl_format("has a max above %u, which one machine can run", SL_NODE_GROUP_LOCAL_MAX);
    return limits->min > limits->max ? sl_strdup("has a min above its max") : NULL;
}

static bool
read_object(struct sl_node_groups *g, struct sl_json root, char **ret_why)
{
    for (struct sl_json_iter i = sl_json_iter(root); sl_json_next(&i);) {
        char *name = sl_json_strdup(i.name);
        struct sl_node_group_limits *limits =
            allow(g, sl_slice_str(name == NULL ? "" : name), ret_why);
        char *fault = limits == NULL ? NULL : read_limits(i.value, limits);
        if (fault != NULL)
            *ret_why = sl_format("cluster.groups.%s: %s", name, fault);
        sl_free(fault);
        sl_free(name);
        if (*ret_why != NULL)
            return false;
    }
    return true;
}

enum sl_err
sl_node_groups_read(const char *config, struct sl_node_groups *ret_groups, char **ret_why)
{
    struct sl_node_groups g = all_groups(false);
    struct sl_json_doc *doc = NULL;
    bool is_good;
    *ret_why = NULL;
    if (config == NULL || config[strspn(config, " ")] == '\0') {
        *ret_groups = all_groups(true);
        return SL_OK;
    }
    if (config[0] != '{') {
        is_good = read_names(&g, config, ret_why);
    } else if (sl_json_parse(sl_slice_str(config), &doc, NULL) == SL_OK) {
        is_good = read_object(&g, sl_json_root(doc), ret_why);
    } else {
        *ret_why = sl_strdup("cluster.groups: neither names nor keys");
        is_good = false;
    }
    sl_json_destroy(&doc);
    if (is_good)
        *ret_groups = g;
    return is_good ? SL_OK : SL_EINVAL;
}

uint64_t
sl_node_groups_local_max(const struct sl_node_groups *groups)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++)
        count += groups->limits[i].is_local ? groups->limits[i].max : 0;
    return count;
}

char *
sl_node_groups_refusal(const struct sl_node_groups *groups, const char *name, uint64_t count)
{
    const struct sl_node_group_limits *limits = sl_node_groups_of(groups, name);
    struct sl_buf text = {0};
    if (limits->is_allowed && count < limits->max)
        return NULL;
    if (limits->is_allowed) {
        sl_buf_printf(&text, "the group %s has as many workers as it may, %" PRIu64, name,
                      limits->max);
    } else {
        sl_buf_printf(&text, "this head takes no workers of the group %s, only", name);
        for (uint32_t i = 0; i < SL_NODE_GROUPS_COUNT; i++) {
            if (groups->limits[i].is_allowed)
                sl_buf_printf(&text, " %s", groups->limits[i].name);
        }
    }
    char *owned = sl_strdup(sl_buf_text(&text));
    sl_buf_deinit(&text);
    return owned;
}
