/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/broker.h"

#include <inttypes.h>

#include "actors/wants.h"
#include "queue/store_backend.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define TOKEN_TICK   1
#define TOKEN_SETTLE 2
#define TURN_LEASES  1024u /* Of a handler; what is more goes on behind other messages. */
#define TURN_BYTES   (8 * SL_MIB)
#define PUSH_MAX     256u           /* Leases of one message... */
#define PUSH_BYTES   (256 * SL_KIB) /* ...and bytes of payloads, about. */
#define LEASE_SIZE   (2 * sizeof(uint64_t))
#define HOLDER       (UINT64_C(1) << 32) /* Workers are no nodes of the dispatcher's. */

struct broker {
    struct sl_store_backend backend;
    struct sl_wants wants;
    struct sl_broker_counts counts;
    bool is_draining; /* Nothing is pushed any more. */
    uint32_t turn_leases;
    size_t turn_bytes;
    bool is_settling;     /* A timer to look at what has changed is set. */
    uint64_t tick_at_ns;  /* When the next timer is due; UINT64_MAX: none is set. */
    uint64_t later_at_ns; /* And one behind it, that was set before. */
    struct sl_put_item *puts;
    struct sl_put_result *results;
    struct sl_end_item *ends;
    enum sl_err *errs;
    uint32_t puts_capacity, ends_capacity, errs_count;
    struct sl_lease leases[PUSH_MAX];
    struct sl_buf payloads, bytes;
};

static struct sl_when
when_of(const struct sl_ctx *ctx)
{
    return (struct sl_when){.now_ns = ctx->now_ns, .now_ms = ctx->now_ms};
}

static struct sl_queue_name
name_of(uint64_t scope, struct sl_slice queue)
{
    return (struct sl_queue_name){.scope = {scope}, .name = queue};
}

static uint64_t
holder_of(uint32_t node)
{
    return HOLDER | node;
}

static void
answer(struct sl_ctx *ctx, const struct sl_msg *msg, enum sl_err err, uint64_t count,
       struct sl_slice results)
{
    struct sl_m_queue_answer body = {.err = (uint64_t)err, .count = count, .results = results};
    sl_reply(ctx, msg, SL_M_queue_answer, &body);
}

static void
refuse(struct broker *b, struct sl_ctx *ctx, const struct sl_msg *msg, enum sl_err err)
{
    b->counts.malformed += err == SL_EINVAL;
    answer(ctx, msg, err, 0, (struct sl_slice){0});
}

/* ---- who wants what ------------------------------------------------------------------------ */

/* A worker that is not heard of any more would wait for leases for ever. */
static void
refuse_want(struct broker *b, struct sl_ctx *ctx, const struct sl_msg *msg, enum sl_err err)
{
    const struct sl_m_queue_want *want = SL_BODY(msg, queue_want);
    const struct sl_m_queue_end *end = SL_BODY(msg, queue_end);
    bool is_want = msg->id == SL_M_queue_want;
    struct sl_m_queue_refused refused = {.scope = is_want ? want->scope : end->scope,
                                         .err = (uint64_t)err,
                                         .queue = is_want ? want->queue : end->queue};
    b->counts.malformed += err == SL_EINVAL;
    if (err == SL_EFULL)
        sl_report_warn("worker-refused", "node=%u workers=%u", msg->from.node, b->wants.count);
    sl_send(ctx, msg->from, SL_M_queue_refused, &refused);
}

static void
want_more(struct broker *b, struct sl_want *want, uint64_t credit)
{
    uint64_t most = SL_BROKER_CREDIT_MAX;
    sl_wants_credit(want, (uint32_t)SL_MIN(want->credit + SL_MIN(credit, most), most));
    sl_wants_mark(&b->wants, want->lane);
}

/* ---- pushing ------------------------------------------------------------------------------- */

/* What one worker may have at once: a message's worth, and no more than its part of what is there,
 * so that it does not leave others idle. */
static uint32_t
share_of(const struct broker *b, const struct sl_wants_lane *lane)
{
    struct sl_queue_name name = sl_wants_name(lane);
    uint64_t ready = 0;
    if (lane->hungry <= 1 || !sl_queue_ready(b->backend.options.queue, name.scope, SL_CLASS_OWN,
                                             sl_lane_hash(name.name), &ready))
        return PUSH_MAX;
    uint64_t part = (ready + lane->hungry - 1) / lane->hungry;
    return (uint32_t)SL_MIN(SL_MAX(part, UINT64_C(1)), (uint64_t)PUSH_MAX);
}

/* Lease what one worker still wants, at most `max`; how many. */
static uint32_t
push_to(struct broker *b, struct sl_ctx *ctx, struct sl_want *want, uint32_t max)
{
    struct sl_backend *backend = &b->backend.backend;
    struct sl_queue_name name = sl_wants_name(want->lane);
    struct sl_lease_ask ask = {.holder = holder_of(want->who.node),
                               .duration_ns = want->duration_ns,
                               .is_prefetched = want->tells_begun,
                               .max = SL_MIN(want->credit, max),
                               .bytes_max = PUSH_BYTES};
    uint32_t count = 0;
    sl_buf_clear(&b->payloads);
    enum sl_err err =
        backend->ops->lease(backend, when_of(ctx), name, &ask, &b->payloads, b->leases, &count);
    if (err != SL_OK || count == 0)
        return 0;
    sl_buf_clear(&b->bytes);
    for (uint32_t i = 0; i < count; i++)
        sl_wire_lease(&b->bytes, &b->leases[i]);
    struct sl_m_queue_leased leased = {.scope = name.scope.id,
                                       .count = count,
                                       .queue = name.name,
                                       .leases = sl_buf_slice(&b->bytes)};
    ctx->level = want->level;
    sl_send(ctx, want->who, SL_M_queue_leased, &leased);
    ctx->level = SL_LEVEL_DISK;
    sl_wants_serve(want, count);
    b->counts.leased += count;
    b->turn_leases += count;
    b->turn_bytes += b->payloads.size;
    return count;
}

/* Whether this handler has pushed its share: then another goes on. */
static bool
is_turn_over(const struct broker *b)
{
    return b->turn_leases >= TURN_LEASES || b->turn_bytes >= TURN_BYTES;
}

/* Until nothing is ready, nobody wants any more, or others have their turn. */
static void
push(struct broker *b, struct sl_ctx *ctx, struct sl_wants_lane *lane)
{
    uint32_t share = share_of(b, lane);
    while (lane->hungry > 0) {
        if (is_turn_over(b)) {
            sl_wants_mark(&b->wants, lane);
            return;
        }
        if (push_to(b, ctx, sl_wants_turn(lane), share) == 0)
            return;
    }
}

/*
 * What many messages have changed is looked at once, behind those that wait with them: leases of
 * tasks that came in one frame go in one, and the times of all are asked for but once.
 */
static void
settle_later(struct broker *b, struct sl_ctx *ctx)
{
    if (!b->is_settling)
        sl_after(ctx, 0, TOKEN_SETTLE);
    b->is_settling = true;
}

static void
settle(struct broker *b, struct sl_ctx *ctx)
{
    struct sl_backend *backend = &b->backend.backend;
    struct sl_wants_lane *lane;
    while (!b->is_draining && !is_turn_over(b) && (lane = sl_wants_marked(&b->wants)) != NULL)
        push(b, ctx, lane);
    if (!b->is_draining && b->wants.marked_first != NULL)
        settle_later(b, ctx);
    uint64_t due_ns = backend->ops->tick(backend, when_of(ctx));
    if (due_ns >= b->tick_at_ns)
        return;
    b->later_at_ns = b->tick_at_ns;
    b->tick_at_ns = due_ns;
    sl_after(ctx, due_ns > ctx->now_ns ? due_ns - ctx->now_ns : 0, TOKEN_TICK);
}

/* Something has changed in a queue; with concurrency keys that may let others of its tenant go on.
 */
static void
touch(struct broker *b, struct sl_queue_name queue)
{
    struct sl_wants_lane *lane = sl_wants_lane(&b->wants, queue);
    if (sl_queue_has_limits(b->backend.options.queue))
        sl_wants_mark_all(&b->wants);
    else if (lane != NULL)
        sl_wants_mark(&b->wants, lane);
}

/* ---- producers ----------------------------------------------------------------------------- */

static void
on_set(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    const struct sl_m_queue_set *m = SL_BODY(msg, queue_set);
    struct sl_backend *backend = &b->backend.backend;
    struct sl_queue_name queue = name_of(m->scope, m->queue);
    struct sl_lane_settings settings;
    struct sl_reader r = sl_reader(m->settings);
    enum sl_err err = SL_EINVAL;
    struct sl_queue_depth depth;
    if (m->is_new != 0 && backend->ops->depth(backend, queue, &depth) == SL_OK)
        err = SL_OK; /* It is there: what others have set of it stays. */
    else if (m->scope != 0 && sl_lane_settings_decode(&r, &settings) && sl_reader_is_done(&r))
        err = backend->ops->set(backend, queue, &settings);
    answer(ctx, msg, err, 0, (struct sl_slice){0});
    touch(b, queue);
}

/* Answer with what the items' results are, at the level that the call asked for. */
static void
answer_at(struct sl_ctx *ctx, const struct sl_msg *msg, uint64_t level, uint64_t count,
          struct sl_slice results)
{
    ctx->level = (enum sl_level)level;
    answer(ctx, msg, SL_OK, count, results);
    ctx->level = SL_LEVEL_DISK;
}

/* All items of a message, and no more; false: it is malformed. */
static bool
read_puts(struct broker *b, const struct sl_m_queue_put *m)
{
    if (m->count == 0 || m->count > SL_PUT_ITEMS_MAX || m->level >= SL_LEVEL_COUNT)
        return false;
    uint32_t count = (uint32_t)m->count;
    if (count > b->puts_capacity) {
        b->puts = sl_realloc(b->puts, count * sizeof(*b->puts));
        b->results = sl_realloc(b->results, count * sizeof(*b->results));
        b->puts_capacity = count;
    }
    struct sl_reader r = sl_reader(m->items);
    for (uint32_t i = 0; i < count; i++) {
        if (!sl_wire_put_read(&r, &b->puts[i]))
            return false;
    }
    return sl_reader_is_done(&r);
}

static void
on_put(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    const struct sl_m_queue_put *m = SL_BODY(msg, queue_put);
    struct sl_backend *backend = &b->backend.backend;
    struct sl_queue_name queue = name_of(m->scope, m->queue);
    if (!read_puts(b, m)) {
        refuse(b, ctx, msg, SL_EINVAL);
        return;
    }
    uint32_t count = (uint32_t)m->count;
    enum sl_err err = backend->ops->put(backend, when_of(ctx), queue, b->puts, count, b->results);
    if (err != SL_OK) {
        refuse(b, ctx, msg, err);
        return;
    }
    sl_buf_clear(&b->bytes);
    for (uint32_t i = 0; i < count; i++) {
        sl_wire_result(&b->bytes, &b->results[i]);
        b->counts.put += b->results[i].err == SL_OK;
    }
    answer_at(ctx, msg, m->level, count, sl_buf_slice(&b->bytes));
    touch(b, queue);
}

/* ---- workers ------------------------------------------------------------------------------- */

static uint64_t
duration_of(uint64_t duration_ms)
{
    if (duration_ms == 0)
        return SL_BROKER_LEASE_NS;
    return SL_MIN(duration_ms, SL_BROKER_LEASE_NS_MAX / SL_MILLI_NS) * SL_MILLI_NS;
}

static void
on_want(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    const struct sl_m_queue_want *m = SL_BODY(msg, queue_want);
    if (m->scope == 0 || !sl_lane_name_is_valid(m->queue) || m->level >= SL_LEVEL_COUNT) {
        refuse_want(b, ctx, msg, SL_EINVAL);
        return;
    }
    struct sl_want *want = sl_wants_of(&b->wants, name_of(m->scope, m->queue), msg->from);
    if (want == NULL) {
        refuse_want(b, ctx, msg, SL_EFULL);
        return;
    }
    want->duration_ns = duration_of(m->duration_ms);
    want->level = (enum sl_level)m->level;
    want->tells_begun = m->tells_begun != 0;
    want_more(b, want, m->credit);
}

static void
on_quiet(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    const struct sl_m_queue_quiet *m = SL_BODY(msg, queue_quiet);
    (void)ctx;
    sl_wants_remove(&b->wants, name_of(m->scope, m->queue), msg->from);
}

static void
reserve_ends(struct broker *b, uint32_t count)
{
    if (count <= b->ends_capacity)
        return;
    b->ends = sl_realloc(b->ends, count * sizeof(*b->ends));
    b->errs = sl_realloc(b->errs, count * sizeof(*b->errs));
    b->ends_capacity = count;
}

static bool
read_ends(struct broker *b, const struct sl_m_queue_end *m)
{
    if (m->count > SL_PUT_ITEMS_MAX || m->level >= SL_LEVEL_COUNT)
        return false;
    reserve_ends(b, (uint32_t)m->count);
    struct sl_reader r = sl_reader(m->items);
    for (uint32_t i = 0; i < m->count; i++) {
        if (!sl_wire_end_read(&r, &b->ends[i]))
            return false;
    }
    return sl_reader_is_done(&r);
}

static void
answer_errs(struct broker *b, struct sl_ctx *ctx, const struct sl_msg *msg, uint64_t level)
{
    uint32_t count = b->errs_count;
    sl_buf_clear(&b->bytes);
    for (uint32_t i = 0; i < count; i++) {
        sl_buf_append_u8(&b->bytes, (uint8_t)b->errs[i]);
        b->counts.stale += b->errs[i] == SL_ESTALE;
        b->counts.ended += msg->id == SL_M_queue_end && b->errs[i] == SL_OK;
    }
    answer_at(ctx, msg, level, count, sl_buf_slice(&b->bytes));
}

/* Of one that a link had failed, too: it works again. False: nothing was asked for, or too much. */
static bool
raise_credit(struct broker *b, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_queue_end *m = SL_BODY(msg, queue_end);
    if (m->credit == 0 || m->scope == 0 || !sl_lane_name_is_valid(m->queue))
        return false;
    struct sl_want *want = sl_wants_of(&b->wants, name_of(m->scope, m->queue), msg->from);
    if (want == NULL) {
        refuse_want(b, ctx, msg, SL_EFULL);
        return false;
    }
    if (want->duration_ns == 0)
        want->duration_ns = SL_BROKER_LEASE_NS;
    want_more(b, want, m->credit);
    return true;
}

/* Task and epoch each: whether it is so, and no more than anybody may have. */
static bool
are_leases(struct sl_slice leases)
{
    return leases.size % LEASE_SIZE == 0 && leases.size / LEASE_SIZE <= SL_BROKER_CREDIT_MAX;
}

/* What is stale now says so when it ends. */
static void
begin(struct broker *b, uint64_t scope, struct sl_slice leases)
{
    struct sl_backend *backend = &b->backend.backend;
    struct sl_reader r = sl_reader(leases);
    for (size_t left = leases.size / LEASE_SIZE; left > 0; left--) {
        uint64_t task_id = sl_read_u64(&r), epoch = sl_read_u64(&r);
        (void)backend->ops->begin(backend, (struct sl_scope){scope}, task_id, epoch);
    }
}

static void
on_begun(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    const struct sl_m_queue_begun *m = SL_BODY(msg, queue_begun);
    (void)ctx;
    if (are_leases(m->leases))
        begin(b, m->scope, m->leases);
    else
        b->counts.malformed++;
}

static void
on_end(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    const struct sl_m_queue_end *m = SL_BODY(msg, queue_end);
    struct sl_backend *backend = &b->backend.backend;
    struct sl_scope scope = {m->scope};
    enum sl_err err = SL_EINVAL;
    uint32_t count = (uint32_t)m->count;
    if (are_leases(m->begun) && read_ends(b, m))
        err = backend->ops->end(backend, when_of(ctx), scope, b->ends, count, b->errs);
    if (err != SL_OK) {
        refuse(b, ctx, msg, err);
        return;
    }
    b->errs_count = count;
    answer_errs(b, ctx, msg, m->level);
    begin(b, m->scope, m->begun);
    if (!raise_credit(b, ctx, msg) || sl_queue_has_limits(b->backend.options.queue))
        touch(b, name_of(m->scope, m->queue));
}

static void
on_beat(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    const struct sl_m_queue_beat *m = SL_BODY(msg, queue_beat);
    struct sl_backend *backend = &b->backend.backend;
    struct sl_reader r = sl_reader(m->leases);
    uint64_t deadline_ns = ctx->now_ns + duration_of(m->duration_ms);
    if (!are_leases(m->begun) || !are_leases(m->leases) ||
        m->count != m->leases.size / LEASE_SIZE) {
        refuse(b, ctx, msg, SL_EINVAL);
        return;
    }
    reserve_ends(b, (uint32_t)m->count);
    for (uint32_t i = 0; i < m->count; i++) {
        uint64_t task_id = sl_read_u64(&r), epoch = sl_read_u64(&r);
        b->errs[i] =
            backend->ops->extend(backend, (struct sl_scope){m->scope}, task_id, epoch, deadline_ns);
    }
    begin(b, m->scope, m->begun);
    b->errs_count = (uint32_t)m->count;
    answer_errs(b, ctx, msg, SL_LEVEL_DISK);
}

/* ---- who is gone --------------------------------------------------------------------------- */

/* How many leases a worker's node held. What it wanted is forgotten. */
static uint64_t
lose(struct broker *b, struct sl_ctx *ctx, uint32_t node, struct sl_loss loss)
{
    struct sl_backend *backend = &b->backend.backend;
    sl_wants_forget(&b->wants, node);
    loss.holder = holder_of(node);
    uint64_t count = backend->ops->lose(backend, when_of(ctx), &loss);
    if (count == 0)
        return 0;
    sl_report_info("leases-void", "node=%u tasks=%" PRIu64 " signal=%u", node, count, loss.signal);
    sl_wants_mark_all(&b->wants);
    return count;
}

static void
on_peer_down(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)lose(self, ctx, (uint32_t)SL_BODY(msg, peer_down)->node, (struct sl_loss){0});
}

static void
on_peer_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self; /* It says what it wants. */
    (void)ctx;
    (void)msg;
}

/* Sooner than a link ends, and with more to say. */
static void
on_lost(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    const struct sl_m_queue_lost *m = SL_BODY(msg, queue_lost);
    if (m->node < SL_NODE_WORKERS_FIRST || m->node > SL_NODE_WORKERS_LAST || m->signal > 255) {
        refuse(b, ctx, msg, SL_EINVAL);
        return;
    }
    struct sl_loss loss = {
        .signal = (uint32_t)m->signal, .peak_bytes = m->peak_bytes, .lines = m->lines};
    answer(ctx, msg, SL_OK, lose(b, ctx, (uint32_t)m->node, loss), (struct sl_slice){0});
}

/* A link did not take leases that we pushed: which, it does not say, so the worker loses all it
 * has, and hears so by its next beat or end; what it then wants more of it is given again. */
static void
on_undelivered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (SL_BODY(msg, undelivered)->message == SL_M_queue_leased)
        (void)lose(self, ctx, msg->from.node, (struct sl_loss){.is_uncounted = true});
}

static void
on_wake(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    (void)ctx;
    (void)msg;
    sl_wants_mark_all(&b->wants);
}

/* Who works may still end what it has; what it has not ended at the stop is leased anew. */
static void
on_drain(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)ctx;
    (void)msg;
    ((struct broker *)self)->is_draining = true;
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    if (SL_BODY(msg, timer)->token == TOKEN_SETTLE) {
        b->is_settling = false;
        settle(b, ctx);
        return;
    }
    /* One that was set before the pending one: were it to set another, timers would only grow. */
    if (ctx->now_ns < b->tick_at_ns)
        return;
    b->tick_at_ns = b->later_at_ns > ctx->now_ns ? b->later_at_ns : UINT64_MAX;
    b->later_at_ns = UINT64_MAX;
    struct sl_backend *backend = &b->backend.backend;
    (void)backend->ops->tick(backend, when_of(ctx));
    sl_wants_mark_all(&b->wants);
    settle(b, ctx);
}

/* ---- the actor ----------------------------------------------------------------------------- */

static const struct sl_on table[] = {
    {SL_M_queue_put, on_put},   {SL_M_queue_end, on_end},
    {SL_M_queue_want, on_want}, {SL_M_queue_begun, on_begun},
    {SL_M_queue_beat, on_beat}, {SL_M_queue_quiet, on_quiet},
    {SL_M_queue_set, on_set},   {SL_M_queue_lost, on_lost},
    {SL_M_drain, on_drain},     {SL_M_wake, on_wake},
    {SL_M_timer, on_timer},     {SL_M_peer_down, on_peer_down},
    {SL_M_peer_up, on_peer_up}, {SL_M_undelivered, on_undelivered},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct broker *b = self;
    b->backend.options.random = ctx->random;
    b->turn_leases = 0;
    b->turn_bytes = 0;
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=broker message=%s", msg->type->name);
    else if (msg->id != SL_M_timer)
        settle_later(b, ctx);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct broker *b = self;
    const struct sl_broker_options *options = argument;
    b->tick_at_ns = b->later_at_ns = UINT64_MAX;
    b->wants.count_max = SL_BROKER_WORKERS_MAX;
    sl_store_backend_init(&b->backend,
                          &(struct sl_store_backend_options){.store = ctx->store,
                                                             .queue = options->queue,
                                                             .random = ctx->random,
                                                             .projection = options->projection});
}

static void
deinit(void *self)
{
    struct broker *b = self;
    sl_wants_deinit(&b->wants);
    sl_store_backend_deinit(&b->backend);
    sl_buf_deinit(&b->payloads);
    sl_buf_deinit(&b->bytes);
    sl_free(b->puts);
    sl_free(b->results);
    sl_free(b->ends);
    sl_free(b->errs);
}

const struct sl_actor_class sl_broker_class = {
    .name = "broker",
    .state_size = sizeof(struct broker),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

void
sl_broker_counts(const void *broker, struct sl_broker_counts *ret_counts)
{
    const struct broker *b = broker;
    *ret_counts = b->counts;
    ret_counts->workers = b->wants.count;
}
