/* SPDX-License-Identifier: Apache-2.0 */
/* What gateway/ask.h asks for, sent by the api actor; and who waits. */
#include "gateway/api_state.h"
#include "runtime/alloc.h"

#define GONE_NS (250 * SL_MILLI_NS) /* Between looks for clients that have hung up. */

struct sl_api_wait *
sl_api_begin_wait(struct sl_call *call, sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_zalloc(sizeof(*w));
    *w = (struct sl_api_wait){
        .next = a->waiting, .serial = ++a->serial_last, .call = call, .then = then};
    a->waiting = w;
    a->waiting_count++;
    call->is_waiting = true;
    call->wait = (struct sl_wait){0};
    return w;
}

struct sl_api_wait *
sl_api_find_wait(const struct sl_api *a, uint64_t serial)
{
    struct sl_api_wait *w = a->waiting;
    while (w != NULL && w->serial != serial)
        w = w->next;
    return w;
}

void
sl_api_end_wait(struct sl_api *a, struct sl_api_wait *w)
{
    struct sl_api_wait **at = &a->waiting;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    a->waiting_count--;
    if (w->queue.lane != 0)
        sl_queue_waits_remove(a->queues, &w->queue);
}

void
sl_api_set_wait(struct sl_call *call, uint64_t err, struct sl_slice message)
{
    call->wait.error = err < SL_ERR_COUNT ? (enum sl_err)err : SL_EBUG;
    call->wait.message = (const char *)sl_call_copy(call, message).data;
}

void
sl_api_look_for_gone(struct sl_api *a)
{
    if (a->is_looking)
        return;
    a->is_looking = true;
    sl_after(a->ctx, GONE_NS, SL_API_TOKEN_GONE);
}

void
sl_call_model_load(struct sl_call *call, const struct sl_model_load *what, sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_m_model_load m = {.directory = sl_slice_str(what->directory),
                                .size_bytes = what->size_bytes,
                                .node = what->node,
                                .home = what->home};
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    sl_request(a->ctx, sl_at(0, SL_ACTOR_ROUTER), w->serial, SL_M_model_load, &m);
}

void
sl_call_nodes(struct sl_call *call, uint64_t what, sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    sl_request(a->ctx, sl_at(0, SL_ACTOR_HEAD), w->serial, SL_M_node_list,
               &(struct sl_m_node_list){.reason = what});
}

void
sl_call_node_order(struct sl_call *call, struct sl_slice node, uint64_t order, sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    struct sl_m_node_order m = {.name = node, .order = order};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_HEAD), w->serial, SL_M_node_order, &m);
}

void
sl_call_group_scale(struct sl_call *call, struct sl_slice group, uint64_t replicas,
                    sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    struct sl_m_group_scale m = {.group = group, .replicas = replicas};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_HEAD), w->serial, SL_M_group_scale, &m);
}

void
sl_call_head_config(struct sl_call *call, struct sl_slice groups, struct sl_slice extractors,
                    sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    struct sl_m_head_config m = {.groups = groups, .extractors = extractors};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_HEAD), w->serial, SL_M_head_config, &m);
}

void
sl_call_placement(struct sl_call *call, struct sl_job_id job, sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    struct sl_m_placement m = {.job = sl_slice(job.bytes, sizeof(job.bytes))};
    sl_request(a->ctx, sl_at(0, SL_ACTOR_DISPATCHER), w->serial, SL_M_placement, &m);
}

static void
send_drop(struct sl_call *call, void *arg)
{
    struct sl_api *a = call->internal;
    struct sl_m_model_drop m = {.directory = sl_slice_str(arg)};
    sl_send(a->ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_model_drop, &m);
    sl_send(a->ctx, sl_at(0, SL_ACTOR_HEAD), SL_M_model_drop, &m);
}

void
sl_call_model_drop(struct sl_call *call, const char *directory)
{
    sl_call_after_commit(call, send_drop, sl_call_format(call, "%s", directory));
}

static void
send_evict(struct sl_call *call, void *arg)
{
    struct sl_api *a = call->internal;
    struct sl_m_model_evict m = {.directory = sl_slice_str(arg)};
    sl_send(a->ctx, sl_at(0, SL_ACTOR_ROUTER), SL_M_model_evict, &m);
    /* What it keeps for nodes that come goes at once; those that have it go on. */
    sl_send(a->ctx, sl_at(0, SL_ACTOR_HEAD), SL_M_model_drop,
            &(struct sl_m_model_drop){.directory = m.directory});
}

void
sl_call_model_evict(struct sl_call *call, const char *directory)
{
    sl_call_after_commit(call, send_evict, sl_call_format(call, "%s", directory));
}

static void
run_work(void *argument)
{
    struct sl_api_wait *w = argument;
    w->work(w->call);
}

void
sl_call_work(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    w->work = work;
    sl_work(a->ctx, run_work, w, w->serial);
}

static uint32_t
long_works_of(const struct sl_api *a, struct sl_scope scope)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < a->long_count; i++)
        count += a->long_scopes[i].id == scope.id;
    return count;
}

/* Of those who wait: a tenant's that has the fewest under way, and of these who came first. The
 * list is newest first, so that this is the last that is found. */
static void
start_long(struct sl_api *a)
{
    struct sl_api_wait *next = NULL;
    uint32_t least = SL_LONG_WORK_OF_TENANT - 1;
    if (a->long_count == SL_LONG_WORK_AT_ONCE)
        return;
    for (struct sl_api_wait *w = a->waiting; w != NULL; w = w->next) {
        if (!w->is_queued || long_works_of(a, w->call->who.scope) > least)
            continue;
        least = long_works_of(a, w->call->who.scope);
        next = w;
    }
    if (next == NULL)
        return;
    next->is_queued = false;
    a->long_scopes[a->long_count++] = next->call->who.scope;
    sl_work(a->ctx, run_work, next, next->serial);
}

void
sl_api_end_long(struct sl_api *a, struct sl_scope scope)
{
    uint32_t i = 0;
    while (i < a->long_count && a->long_scopes[i].id != scope.id)
        i++;
    if (SL_BUG(i == a->long_count))
        return;
    a->long_scopes[i] = a->long_scopes[--a->long_count];
    start_long(a);
}

void
sl_call_work_long(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then)
{
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    w->work = work;
    w->is_long = w->is_queued = true;
    start_long(call->internal);
}

/* By a timer: it needs no thread, and no mailbox refuses it. */
void
sl_call_yield(struct sl_call *call, sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    sl_after(a->ctx, 0, w->serial);
}

void
sl_call_await_queue(struct sl_call *call, uint64_t lane, uint64_t delay_ns, sl_handler_fn *then)
{
    sl_call_await_scope(call, call->who.scope, lane, delay_ns, then);
}

void
sl_call_await_scope(struct sl_call *call, struct sl_scope scope, uint64_t lane, uint64_t delay_ns,
                    sl_handler_fn *then)
{
    struct sl_api *a = call->internal;
    struct sl_api_wait *w = sl_api_begin_wait(call, then);
    w->queue = (struct sl_queue_wait){.serial = w->serial, .scope = scope, .lane = lane};
    call->used.is_patient = true;
    sl_queue_waits_add(a->queues, &w->queue);
    sl_after(a->ctx, a->is_stopping ? 0 : delay_ns, w->serial);
}

static void
send_ready(struct sl_api *a)
{
    sl_send(a->ctx, sl_at(0, SL_ACTOR_API), SL_M_queue_ready, &(struct sl_m_queue_ready){0});
}

static void
touch_queue(struct sl_call *call, void *arg)
{
    struct sl_api *a = call->internal;
    const struct sl_queue_wait *what = arg;
    if (sl_queue_waits_touch(a->queues, what->scope, what->lane, true))
        send_ready(a);
}

void
sl_call_touch_queue(struct sl_call *call, struct sl_scope scope, uint64_t lane)
{
    struct sl_queue_wait *what = sl_call_alloc(call, sizeof(*what));
    *what = (struct sl_queue_wait){.scope = scope, .lane = lane};
    sl_call_after_commit(call, touch_queue, what);
}

struct later {
    void (*work)(void *arg);
    void *arg;
};

static void
run_later(void *argument)
{
    struct later *l = argument;
    l->work(l->arg);
    sl_free(l->arg);
    sl_free(l);
}

void
sl_call_when_durable(struct sl_call *call, void (*work)(void *arg), void *arg)
{
    struct sl_api *a = call->internal;
    struct later *l = sl_zalloc(sizeof(*l));
    *l = (struct later){work, arg};
    sl_work(a->ctx, run_later, l, 0); /* Work is held until the log is synced. Nobody waits. */
}

static void
send_wake(struct sl_call *call, void *arg)
{
    (void)arg;
    struct sl_api *a = call->internal;
    sl_send(a->ctx, sl_at(0, SL_ACTOR_DISPATCHER), SL_M_wake, &(struct sl_m_wake){0});
}

void
sl_call_wake_dispatcher(struct sl_call *call)
{
    sl_call_after_commit(call, send_wake, NULL);
}

static void
send_wake_broker(struct sl_call *call, void *arg)
{
    (void)arg;
    struct sl_api *a = call->internal;
    sl_send(a->ctx, sl_at(0, SL_ACTOR_BROKER), SL_M_wake, &(struct sl_m_wake){0});
}

void
sl_call_wake_broker(struct sl_call *call)
{
    sl_call_after_commit(call, send_wake_broker, NULL);
}
