/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/work_specs.h"

#include <inttypes.h>

#include "runtime/alloc.h"
#include "runtime/report.h"

const struct sl_work_spec *
sl_work_specs_lookup(const struct sl_work_specs *s, uint64_t number)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->specs[i]->number == number)
            return s->specs[i];
    }
    return NULL;
}

static char *
text_or_empty(struct sl_json v)
{
    char *text = sl_json_strdup(v);
    return text == NULL ? sl_strdup("") : text;
}

/* Replicas that open models are a namespace's own: whose models they may have is known by that. */
static char *
space_of(struct sl_json root, uint64_t tenant)
{
    bool has = tenant != 0 && sl_json_bool(sl_json_member(root, "models"), false);
    return has ? text_or_empty(sl_json_member(root, "namespace")) : sl_strdup("");
}

void
sl_work_specs_add(struct sl_work_specs *s, const struct sl_m_extraction *m)
{
    struct sl_json_doc *doc = NULL;
    if (sl_work_specs_lookup(s, m->number) != NULL)
        return;
    if (sl_json_parse(m->spec, &doc, NULL) != SL_OK) {
        sl_report_warn("extraction-refused", "number=%" PRIu64, m->number);
        return;
    }
    struct sl_json root = sl_json_root(doc), params = sl_json_member(root, "params");
    struct sl_slice raw =
        sl_json_kind(params) == SL_JSON_OBJECT ? sl_json_raw(params) : sl_slice_str("{}");
    struct sl_work_spec *spec = sl_zalloc(sizeof(*spec));
    *spec = (struct sl_work_spec){.number = m->number,
                                  .extractor = text_or_empty(sl_json_member(root, "extractor")),
                                  .params = sl_strndup(raw.data, raw.size),
                                  .index = text_or_empty(sl_json_member(root, "index")),
                                  .model = sl_strndup(m->model.data, m->model.size),
                                  .tenant = m->tenant,
                                  .space = space_of(root, m->tenant)};
    sl_json_destroy(&doc);
    s->specs = sl_realloc(s->specs, (s->count + 1) * sizeof(s->specs[0]));
    s->specs[s->count++] = spec;
}

void
sl_work_specs_deinit(struct sl_work_specs *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        sl_free(s->specs[i]->extractor);
        sl_free(s->specs[i]->params);
        sl_free(s->specs[i]->index);
        sl_free(s->specs[i]->model);
        sl_free(s->specs[i]->space);
        sl_free(s->specs[i]);
    }
    sl_free(s->specs);
    *s = (struct sl_work_specs){0};
}
