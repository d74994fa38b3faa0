/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/labels.h"

#include "actors/node_facts.h"
#include "runtime/alloc.h"

/* The member of that name, a text, and its text. Views of the same shape are compared unescaped. */
static bool
is_same_text(struct sl_json a, struct sl_json b)
{
    struct sl_buf scratch_a = {0}, scratch_b = {0};
    struct sl_slice text_a, text_b;
    bool is_same = sl_json_text(a, &scratch_a, &text_a) == SL_OK &&
                   sl_json_text(b, &scratch_b, &text_b) == SL_OK && sl_slice_equal(text_a, text_b);
    sl_buf_deinit(&scratch_a);
    sl_buf_deinit(&scratch_b);
    return is_same;
}

static struct sl_json
same_member(struct sl_json object, struct sl_json name)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    struct sl_json found = {0};
    if (sl_json_text(name, &scratch, &text) == SL_OK)
        found = sl_json_member_slice(object, text);
    sl_buf_deinit(&scratch);
    return found;
}

bool
sl_labels_fit(struct sl_json asked, struct sl_json has)
{
    for (struct sl_json_iter i = sl_json_iter(asked); sl_json_next(&i);) {
        if (!is_same_text(i.value, same_member(has, i.name)))
            return false;
    }
    return true;
}

void
sl_labels_print(struct sl_json labels, struct sl_buf *out)
{
    const char *between = "";
    for (struct sl_json_iter i = sl_json_iter(labels); sl_json_next(&i); between = ", ") {
        char *name = sl_json_strdup(i.name), *value = sl_json_strdup(i.value);
        sl_buf_printf(out, "%s%s=%s", between, name == NULL ? "" : name,
                      value == NULL ? "" : value);
        sl_free(name);
        sl_free(value);
    }
}

/* ---- what is asked for --------------------------------------------------------------------- */

static const char *
find_fault(struct sl_json extractor)
{
    if (sl_json_is(extractor, ""))
        return NULL; /* All of it is commented out. */
    if (sl_json_kind(extractor) != SL_JSON_OBJECT)
        return "takes keys";
    for (struct sl_json_iter i = sl_json_iter(extractor); sl_json_next(&i);) {
        if (sl_json_is(i.name, "disabled") &&
            (sl_json_is(i.value, "true") || sl_json_is(i.value, "false")))
            continue;
        if (sl_json_is(i.name, "disabled"))
            return "takes true or false for disabled";
        if (sl_json_is(i.name, "memory") || sl_json_is(i.name, "batching"))
            continue; /* scale_book.h reads them, and this: */
        if (sl_json_is(i.name, "autoscaling_config")) {
            if (sl_json_kind(i.value) != SL_JSON_OBJECT)
                return "takes keys for autoscaling_config";
            continue;
        }
        if (!sl_json_is(i.name, "labels"))
            return "takes no key but labels, autoscaling_config, memory, batching and disabled";
        if (sl_json_kind(i.value) != SL_JSON_OBJECT || sl_json_count(i.value) > SL_NODE_LABELS_MAX)
            return "takes at most 32 labels, name: value";
        for (struct sl_json_iter k = sl_json_iter(i.value); sl_json_next(&k);) {
            if (sl_json_kind(k.value) != SL_JSON_STRING)
                return "takes labels whose values are texts";
        }
    }
    return NULL;
}

enum sl_err
sl_labels_read(struct sl_slice config, struct sl_json_doc **ret_doc, char **ret_why)
{
    struct sl_json_doc *doc = NULL;
    *ret_doc = NULL;
    if (config.size == 0)
        return SL_OK;
    if (sl_json_parse(config, &doc, NULL) != SL_OK ||
        sl_json_kind(sl_json_root(doc)) != SL_JSON_OBJECT) {
        sl_json_destroy(&doc);
        *ret_why = sl_strdup("extractors: takes keys, the names of extractors");
        return SL_EINVAL;
    }
    for (struct sl_json_iter i = sl_json_iter(sl_json_root(doc)); sl_json_next(&i);) {
        const char *fault = find_fault(i.value);
        if (fault == NULL)
            continue;
        *ret_why = sl_format("extractors.%.*s: %s", SL_SLICE_FMT(sl_json_raw(i.name)), fault);
        sl_json_destroy(&doc);
        return SL_EINVAL;
    }
    *ret_doc = doc;
    return SL_OK;
}

struct sl_json
sl_labels_of(const struct sl_json_doc *doc, struct sl_json extractor)
{
    return sl_json_member(same_member(sl_json_root(doc), extractor), "labels");
}
