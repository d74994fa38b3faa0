/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/event.h"

#include "actors/delivery.h"

static void
emit(struct sl_call *call, const char *type, const char *namespace_id, struct sl_slice data)
{
    sl_event_emit(call->txn, &(struct sl_event){.scope = call->who.scope,
                                                .type = type,
                                                .namespace_id = namespace_id,
                                                .now_ms = call->now_ms,
                                                .data = data});
}

void
sl_call_tell(struct sl_call *call, const struct sl_call_event *e)
{
    struct sl_buf data = {0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, &data);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, sl_call_format(call, "%s_id", e->noun), e->id);
    if (e->parent != NULL)
        sl_jsonw_member_str(&w, sl_call_format(call, "%s_id", e->parent_noun), e->parent);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    emit(call, e->type, e->namespace_id == NULL ? call->namespace_id : e->namespace_id,
         sl_buf_slice(&data));
    sl_buf_deinit(&data);
}

void
sl_call_tell_objects(struct sl_call *call, const char *bucket, struct sl_slice ids)
{
    struct sl_buf data = {0};
    struct sl_jsonw w;
    const uint8_t *at = ids.data, *end = ids.data + ids.size;
    sl_jsonw_init(&w, &data);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "bucket_id", bucket);
    sl_jsonw_name(&w, "object_ids");
    sl_jsonw_array(&w);
    while (at < end) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        if (stop > at)
            sl_jsonw_slice(&w, sl_slice(at, (size_t)(stop - at)));
        at = stop + 1;
    }
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    emit(call, "objects.created.batch", call->namespace_id, sl_buf_slice(&data));
    sl_buf_deinit(&data);
}
