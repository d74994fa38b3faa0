/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/node_facts.h"

#include <stdio.h>

#include "queue/event.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

static const struct {
    const char *name, *long_name;
    uint64_t classes;
} groups[] = {
    {"cpu", "cpu-workers", UINT64_C(1) << SL_CLASS_CPU},
    {"batch", "batch-workers", UINT64_C(1) << SL_CLASS_BATCH},
    {"gpu", "gpu-workers", UINT64_C(1) << SL_CLASS_GPU},
    {"any", "any-workers", (UINT64_C(1) << SL_CLASS_COUNT) - 1},
};

const char *
sl_node_group(struct sl_slice name)
{
    for (size_t i = 0; i < SL_COUNT_OF(groups); i++) {
        if (sl_slice_is(name, groups[i].name) || sl_slice_is(name, groups[i].long_name))
            return groups[i].name;
    }
    return NULL;
}

uint64_t
sl_node_classes(const char *group)
{
    for (size_t i = 0; i < SL_COUNT_OF(groups); i++) {
        if (strcmp(group, groups[i].name) == 0)
            return groups[i].classes;
    }
    return 0;
}

bool
sl_node_name_is_good(struct sl_slice name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    for (size_t i = 0; i < name.size; i++) {
        if (memchr(letters, name.data[i], sizeof(letters) - 1) == NULL)
            return false;
    }
    return name.size > 0 && name.size <= SL_NODE_NAME_MAX;
}

static bool
read_count(struct sl_json root, const char *name, uint64_t *ret)
{
    struct sl_json v = sl_json_member(root, name);
    *ret = 0;
    return !sl_json_has(v) || sl_json_u64(v, ret) == SL_OK;
}

static bool
are_labels(struct sl_json labels)
{
    for (struct sl_json_iter i = sl_json_iter(labels); sl_json_next(&i);) {
        if (sl_json_kind(i.value) != SL_JSON_STRING)
            return false;
    }
    return sl_json_kind(labels) == SL_JSON_OBJECT && sl_json_count(labels) <= SL_NODE_LABELS_MAX;
}

/* Absent is as empty: none. */
static bool
read_taint(struct sl_json taint, struct sl_node_facts *f)
{
    char *text = sl_json_has(taint) ? sl_json_strdup(taint) : sl_strdup("");
    bool is_good = text != NULL && strlen(text) <= SL_NODE_TAINT_MAX &&
                   (text[0] == '\0' || sl_home_tenant(sl_slice_str(text)).size > 0);
    if (is_good)
        (void)snprintf(f->taint, sizeof(f->taint), "%s", text);
    sl_free(text);
    return is_good;
}

/* Why the facts are wrong; NULL: they are not, and all but the labels are read. */
static const char *
read_root(struct sl_json root, struct sl_node_facts *f)
{
    char *group = sl_json_strdup(sl_json_member(root, "group"));
    char *host = sl_json_strdup(sl_json_member(root, "host"));
    const char *name = group == NULL ? NULL : sl_node_group(sl_slice_str(group));
    const char *why = NULL;
    if (name == NULL)
        why = "the group is none of cpu, batch, gpu and any";
    else if (!read_count(root, "cpus", &f->cpus) || !read_count(root, "gpus", &f->gpus) ||
             !read_count(root, "memory_bytes", &f->memory_bytes))
        why = "cpus, gpus and memory_bytes are whole numbers";
    else if (sl_json_has(sl_json_member(root, "labels")) &&
             !are_labels(sl_json_member(root, "labels")))
        why = "labels are an object of at most 32 strings";
    else if (!read_taint(sl_json_member(root, "taint"), f))
        why = "the taint is tenant=ID, of a tenant's id";
    (void)snprintf(f->group, sizeof(f->group), "%s", name == NULL ? "" : name);
    if (host != NULL && sl_node_name_is_good(sl_slice_str(host)))
        (void)snprintf(f->host, sizeof(f->host), "%s", host);
    sl_free(group);
    sl_free(host);
    return why;
}

enum sl_err
sl_node_facts_read(struct sl_slice json, struct sl_node_facts *ret_facts, const char **ret_why)
{
    struct sl_json_doc *doc = NULL;
    struct sl_node_facts f = {0};
    if (json.size > SL_NODE_FACTS_MAX) {
        *ret_why = "the facts are too long";
        return SL_ETOOBIG;
    }
    if (sl_json_parse(json, &doc, NULL) != SL_OK) {
        *ret_why = "the facts are no JSON";
        return SL_EINVAL;
    }
    *ret_why = read_root(sl_json_root(doc), &f);
    if (*ret_why == NULL) {
        struct sl_json labels = sl_json_member(sl_json_root(doc), "labels");
        struct sl_slice raw = sl_json_has(labels) ? sl_json_raw(labels) : sl_slice_str("{}");
        f.labels = sl_strndup(raw.data, raw.size);
        *ret_facts = f;
    }
    sl_json_destroy(&doc);
    return *ret_why == NULL ? SL_OK : SL_EINVAL;
}

void
sl_node_facts_deinit(struct sl_node_facts *facts)
{
    sl_free(facts->labels);
    *facts = (struct sl_node_facts){0};
}

void
sl_node_facts_write(const struct sl_node_facts *facts, struct sl_buf *out)
{
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "group", facts->group);
    sl_jsonw_member_u64(&w, "cpus", facts->cpus);
    sl_jsonw_member_u64(&w, "gpus", facts->gpus);
    sl_jsonw_member_u64(&w, "memory_bytes", facts->memory_bytes);
    sl_jsonw_member_raw(&w, "labels", sl_slice_str(facts->labels == NULL ? "{}" : facts->labels));
    sl_jsonw_member_str(&w, "host", facts->host);
    if (facts->taint[0] != '\0')
        sl_jsonw_member_str(&w, "taint", facts->taint);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}
