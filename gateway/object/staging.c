/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values that do not belong in a row, stored as blobs before the transaction that makes their
 * objects: large ones, and what addresses name.
 *
 *   handler --count--> none: goes on
 *              `-----> I/O thread: store, fetch --> the same handler, with the blobs' ids
 *
 * The addresses of one request share one time limit, and few requests fetch at a time, so that slow
 * hosts leave I/O threads to everybody else.
 */
#include "gateway/ask.h"
#include "gateway/gateway.h"
#include "gateway/object.h"
#include "gateway/source_fetch.h"
#include "runtime/time.h"

/* An address that cannot be read is the fault of its object alone: it is noted with it. */
static void
fetch_one(struct sl_call *call, struct sl_staging *s, struct sl_staged *v, uint64_t deadline_ns)
{
    struct sl_gateway *g = call->gateway;
    struct sl_source_rules rules = g->sources;
    struct sl_source_found found = {0};
    uint64_t now_ns = sl_time_mono_ns();
    if (now_ns >= deadline_ns) {
        v->error = SL_ETIMEOUT;
        v->cause = "the addresses before it took all the time of the request";
        return;
    }
    rules.timeout_ns = deadline_ns - now_ns;
    v->error = sl_source_fetch(&rules, g->blobs, v->bytes, &found);
    v->blob = found.blob;
    v->cause = sl_call_format(call, "%s", found.cause);
    v->media_type = sl_call_format(call, "%s", found.media_type);
    if (v->error == SL_ENOSPC)
        s->error = v->error;
}

static void
store_staged(struct sl_call *call)
{
    struct sl_staging *s = call->state;
    uint64_t deadline_ns = sl_time_mono_ns() + call->gateway->sources.timeout_ns;
    const atomic_bool *is_cancelled = call->gateway->sources.is_cancelled;
    for (uint32_t i = 0; i < s->count && s->error == SL_OK; i++) {
        struct sl_staged *v = &s->values[i];
        if (v->is_address && v->error == SL_OK)
            fetch_one(call, s, v, deadline_ns);
        else if (!v->is_address)
            s->error = sl_blob_put(call->gateway->blobs, v->bytes, &v->blob);
        if (is_cancelled != NULL && s->error == SL_OK && atomic_load(is_cancelled))
            s->error = SL_ECANCELED;
    }
}

static void
stage_all(struct sl_call *call, struct sl_json objects, struct sl_staging *s)
{
    if (!sl_json_has(objects)) {
        sl_object_stage(call, call->body, s);
        return;
    }
    for (struct sl_json_iter i = sl_json_iter(objects); sl_json_next(&i);)
        sl_object_stage(call, i.value, s);
}

bool
sl_staging_wait(struct sl_call *call, struct sl_json objects, sl_handler_fn *then)
{
    struct sl_staging counted = {0};
    if (call->state != NULL || call->gateway->blobs == NULL)
        return false;
    stage_all(call, objects, &counted);
    if (counted.capacity == 0)
        return false;
    struct sl_staging *s = sl_call_alloc(call, sizeof(*s));
    s->capacity = counted.capacity;
    s->values = sl_call_alloc(call, s->capacity * sizeof(*s->values));
    stage_all(call, objects, s);
    if (s->count == 0)
        return false;
    if (s->addresses > 0 && call->gateway->fetching_count >= SL_SOURCES_AT_ONCE) {
        sl_call_fail(call, SL_API_UNAVAILABLE, "too many requests wait for addresses already");
        sl_call_header(call, "Retry-After", "1");
        return true;
    }
    call->gateway->fetching_count += s->addresses > 0 ? 1 : 0;
    call->state = s; /* Arena memory: there is nothing to free. */
    sl_call_work(call, store_staged, then);
    return true;
}

bool
sl_staging_check(struct sl_call *call)
{
    const struct sl_staging *s = call->state;
    if (s == NULL)
        return true;
    call->gateway->fetching_count -= s->addresses > 0 ? 1 : 0;
    if (s->error == SL_OK)
        return true;
    sl_call_fail(call, SL_API_UNAVAILABLE, "the blob could not be stored: %s",
                 sl_err_text(s->error));
    return false;
}
