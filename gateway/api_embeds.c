/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of a call that are embedded together, so that they can share batches:
 *
 *   text: TO_SEND --embed--> UNDER_WAY --embedded--> DONE, or the call fails
 *            ^---- refused, while others of the call are under way
 *
 * A call's first text under way is sent whatever others do. Beside it go as many more as there is
 * room for: so many of a call, of a tenant and of all, few enough that the router keeps room for
 * everybody's first.
 */
#include <assert.h>

#include "actors/extraction.h"
#include "actors/router.h"
#include "gateway/api_state.h"
#include "gateway/ask.h"
#include "gateway/meter.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define OF_CALL   64u
#define OF_TENANT 128u
#define OF_ALL    512u

static_assert(OF_CALL <= OF_TENANT && OF_TENANT < OF_ALL, "no tenant takes all of the room");
static_assert(OF_TENANT < SL_ROUTER_SCOPE_MAX / 2, "a tenant's other calls have room as well");
static_assert(OF_ALL < SL_ROUTER_EXTRACTION_MAX / 2 && OF_ALL < SL_TALLY_MAX,
              "and all others', whatever extractor they are for");

enum text_state { TO_SEND, UNDER_WAY, DONE };

struct sl_embeds { /* All of it lies in the call's arena. */
    struct sl_slice spec, model;
    uint64_t tenant, home;
    uint64_t first; /* The request of text i is first + i. */
    const struct sl_slice *texts;
    uint8_t *states; /* enum text_state */
    const float **vectors;
    uint32_t count, done, under_way, dimensions;
    uint32_t next; /* None before it is to be sent. */
    uint32_t
        window; /* Most of them under way: fewer after one was refused, one more with each done. */
};

static struct sl_slice
copy_of(struct sl_call *call, struct sl_buf *text)
{
    struct sl_slice copy = sl_call_copy(call, sl_buf_slice(text));
    sl_buf_deinit(text);
    return copy;
}

/*
 * How long a text is waited for. A request's own time is that of all its texts. Where it stated
 * none each has the router's, and those before it in the line have theirs first. One that is too
 * late has a nanosecond: the router says so.
 */
static uint64_t
time_left_ns(const struct sl_call *call, uint32_t under_way)
{
    if (call->deadline_ns == 0)
        return under_way * SL_ROUTER_DEADLINE_NS;
    return call->deadline_ns > call->now_ns ? call->deadline_ns - call->now_ns : 1;
}

/* ---- how many ------------------------------------------------------------------------------ */

static bool
has_room(const struct sl_api *a, const struct sl_api_wait *w)
{
    const struct sl_embeds *e = w->embeds;
    if (e->under_way == 0)
        return true;
    return e->under_way < e->window && a->embeds.total < OF_ALL &&
           sl_tally_count(&a->embeds, w->call->who.scope.id) < OF_TENANT;
}

static void
begin(struct sl_api *a, struct sl_api_wait *w, uint32_t text)
{
    struct sl_embeds *e = w->embeds;
    if (e->under_way > 0)
        sl_tally_add(&a->embeds, w->call->who.scope.id);
    e->under_way++;
    e->states[text] = UNDER_WAY;
}

static void
end(struct sl_api *a, struct sl_api_wait *w, uint32_t text, enum text_state state)
{
    struct sl_embeds *e = w->embeds;
    e->states[text] = (uint8_t)state;
    e->under_way--;
    if (e->under_way > 0)
        sl_tally_remove(&a->embeds, w->call->who.scope.id);
}

/* ---- sending ------------------------------------------------------------------------------- */

static void
send_text(struct sl_api *a, struct sl_api_wait *w, uint32_t text)
{
    const struct sl_call *call = w->call;
    const struct sl_embeds *e = w->embeds;
    struct sl_buf inputs = {0};
    begin(a, w, text);
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, sl_slice_str("text"));
    sl_buf_append_block(&inputs, e->texts[text]);
    struct sl_m_embed m = {.spec = e->spec,
                           .model = e->model,
                           .inputs = sl_buf_slice(&inputs),
                           .tenant = e->tenant,
                           .scope = call->who.scope.id,
                           .timeout_ns = time_left_ns(call, e->under_way),
                           .sticky = call->sticky,
                           .home = e->home};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_ROUTER), e->first + text, SL_M_embed, &m);
    sl_buf_deinit(&inputs);
}

static void
send_more(struct sl_api *a, struct sl_api_wait *w)
{
    struct sl_embeds *e = w->embeds;
    for (; e->next < e->count && has_room(a, w); e->next++) {
        if (e->states[e->next] == TO_SEND)
            send_text(a, w, e->next);
    }
}

void
sl_call_embed_all(struct sl_call *call, const struct sl_embed_texts *what, sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_buf spec = {0};
    struct sl_slice known = call->resolved.model;
    sl_assert(what->count >= 1 && what->count <= SL_EMBED_TEXTS_MAX);
    char *model = call->resolved.extraction.size > 0
                      ? sl_strndup(known.data, known.size)
                      : sl_extraction_model_directory(call->txn, call->who.scope, what->extraction);
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    struct sl_embeds *e = sl_call_alloc(call, sizeof(*e));
    sl_extraction_query(what->extraction, &spec);
    *e =
        (struct sl_embeds){.spec = copy_of(call, &spec),
                           .model = sl_call_copy(call, sl_slice_str(model)),
                           .tenant = sl_extraction_tenant(call->who.scope, what->extraction, model),
                           .home = sl_extraction_home(call->who.scope, what->extraction),
                           .first = w->serial,
                           .texts = what->texts,
                           .states = sl_call_alloc(call, what->count),
                           .vectors = sl_call_alloc(call, what->count * sizeof(e->vectors[0])),
                           .count = what->count,
                           .window = OF_CALL};
    a->serial_last += what->count - 1; /* Each has a number of its own. */
    w->embeds = e;
    sl_free(model);
    sl_api_look_for_gone(a);
    send_more(a, w);
}

void
sl_call_embed(struct sl_call *call, struct sl_json extraction, struct sl_slice text,
              sl_handler_fn *then)
{
    struct sl_slice *copy = sl_call_alloc(call, sizeof(*copy));
    *copy = text;
    struct sl_embed_texts what = {.extraction = extraction, .texts = copy, .count = 1};
    sl_call_embed_all(call, &what, then);
}

/* ---- answers ------------------------------------------------------------------------------- */

struct sl_api_wait *
sl_api_embeds_find(const struct sl_api *a, uint64_t request)
{
    struct sl_api_wait *w = a->waiting;
    while (w != NULL && (w->embeds == NULL || request - w->embeds->first >= w->embeds->count))
        w = w->next;
    return w;
}

void
sl_api_embeds_cancel(struct sl_api *a, struct sl_api_wait *w)
{
    struct sl_embeds *e = w->embeds;
    for (uint32_t i = 0; e->under_way > 0; i++) {
        if (e->states[i] != UNDER_WAY)
            continue;
        sl_request(a->ctx, sl_at(0, SL_ACTOR_ROUTER), e->first + i, SL_M_embed_cancel,
                   &(struct sl_m_embed_cancel){0});
        end(a, w, i, DONE);
    }
}

/* True: it has a vector, of as many dimensions as those before it. */
static bool
keep_vector(struct sl_call *call, struct sl_embeds *e, uint32_t text, struct sl_slice vector)
{
    uint32_t dimensions = (uint32_t)(vector.size / sizeof(float));
    if (dimensions == 0 || (e->done > 0 && dimensions != e->dimensions))
        return false;
    float *copy = sl_call_alloc(call, vector.size);
    memcpy(copy, vector.data, vector.size);
    e->vectors[text] = copy;
    e->dimensions = dimensions;
    e->done++;
    return true;
}

bool
sl_api_embeds_take(struct sl_api *a, struct sl_api_wait *w, const struct sl_msg *embedded)
{
    const struct sl_m_embedded *m = SL_BODY(embedded, embedded);
    struct sl_embeds *e = w->embeds;
    uint32_t text = (uint32_t)(embedded->request - e->first);
    if (e->states[text] != UNDER_WAY)
        return false; /* It came twice. */
    bool is_refused = m->err == SL_EFULL && e->under_way > 1;
    end(a, w, text, is_refused ? TO_SEND : DONE);
    w->call->now_ns = a->ctx->now_ns;
    w->call->used.replica.queued_ns = m->queued_ns;
    w->call->used.replica.batched_ns = m->batched_ns;
    w->call->used.replica.computed_ns = m->computed_ns;
    if (is_refused) { /* Its turn comes when others of this call are done. */
        e->window = e->under_way;
        e->next = SL_MIN(e->next, text);
        return false;
    }
    if (m->err == SL_OK) {
        sl_meter_use(w->call, SL_LEDGER_embeddings, 1, "");
        if (keep_vector(w->call, e, text, m->vector)) {
            e->window = SL_MIN(e->window + 1, OF_CALL); /* Room may have come. */
            send_more(a, w);
            if (e->done < e->count)
                return false;
            w->call->wait.vectors = e->vectors;
            w->call->wait.dimensions = e->dimensions;
            return true;
        }
    }
    if (m->err == SL_OK)
        sl_report_warn("vectors-unlike", "model=%.*s bytes=%zu dimensions=%u",
                       SL_SLICE_FMT(e->model), m->vector.size, e->dimensions);
    sl_api_set_wait(w->call, m->err == SL_OK ? SL_EBUG : m->err, m->message);
    sl_api_embeds_cancel(a, w);
    return true;
}
