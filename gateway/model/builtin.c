/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/model/builtin.h"

#include "extractors/text_hash.h"
#include "gateway/resource.h"

#define MADE_MS UINT64_C(1767225600000) /* The start of 2026: they were always there. */

static const struct {
    const char *id, *name, *task, *description, *why_not;
} models[] = {
#define BUILT_IN(id, name, task, description, why_not) {id, name, task, description, why_not},
#include "gateway/model/builtin.def"
};

uint32_t
sl_model_builtin_count(void)
{
    return SL_COUNT_OF(models);
}

uint32_t
sl_model_builtin_find(struct sl_slice id)
{
    uint32_t i = 0;
    while (i < SL_COUNT_OF(models) && !sl_slice_is(id, models[i].id))
        i++;
    return i;
}

/* Clients know four formats, and need one. */
struct sl_json
sl_model_builtin_row(struct sl_call *call, uint32_t index)
{
    sl_assert(index < SL_COUNT_OF(models));
    struct sl_buf row = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "model_id", models[index].id);
    sl_jsonw_member_str(&w, "name", models[index].name);
    sl_jsonw_member_str(&w, "version", "1.0.0");
    sl_jsonw_member_str(&w, "model_format", "safetensors");
    sl_jsonw_member_str(&w, "task_type", models[index].task);
    sl_jsonw_member_str(&w, "description", models[index].description);
    sl_jsonw_member_str(&w, "model_archive_url", "");
    sl_jsonw_member_str(&w, "model_hash", "");
    sl_jsonw_member_bool(&w, "deployed", models[index].why_not == NULL);
    sl_jsonw_member_bool(&w, "available", models[index].why_not == NULL);
    if (models[index].why_not != NULL)
        sl_jsonw_member_str(&w, "unavailable_reason", models[index].why_not);
    sl_jsonw_member_time(&w, "created_at", MADE_MS);
    sl_jsonw_member_time(&w, "updated_at", MADE_MS);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_json parsed = sl_call_parse(call, sl_buf_slice(&row));
    sl_buf_deinit(&row);
    return parsed;
}

bool
sl_model_builtin_refuse(struct sl_call *call, struct sl_slice name)
{
    uint32_t i = sl_model_builtin_find(name);
    if (i == SL_COUNT_OF(models) || models[i].why_not == NULL)
        return false;
    sl_call_invalid(call, "body.model", "unavailable", "%s is not available here: %s", models[i].id,
                    models[i].why_not);
    return true;
}
