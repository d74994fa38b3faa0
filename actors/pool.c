/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/pool.h"

#include <inttypes.h>

#include "actors/job_row.h"
#include "extractors/replica.h"
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/spawn_port.h"

#define JOB_TEXT_SIZE 37
#define BATCH_NS      (60 * SL_MILLI_NS)
#define BATCH_MAX     256
#define BATCH_BYTES   (4 * SL_MIB)
#define SHORT_NS      (4 * SL_MILLI_NS) /* A batch of tasks at a replica that calls come to, too. */
#define CALLS_NS      (2 * SL_SECOND_NS) /* After the last call others are still expected. */
#define WORK_OF_ANY   512 /* The part of an item's work that does not depend on its inputs. */
#define START_TRIES   3
#define START_MAX_NS  (120 * SL_SECOND_NS) /* A large model takes its time to be laid out. */
#define STOP_MAX_NS   (60 * SL_SECOND_NS)  /* The batch under way is finished first. */
#define PAUSE_NS      (100 * SL_MILLI_NS)
#define PAUSE_MAX_NS  (10 * SL_SECOND_NS)

/* ---- life ---------------------------------------------------------------------------------- */

void
sl_pool_init(struct sl_pool *p, const struct sl_pool_options *options,
             const struct sl_work_spec *spec)
{
    *p = (struct sl_pool){.is_used = true,
                          .options = options,
                          .extractor = sl_strdup(spec->extractor),
                          .model = sl_strdup(spec->model),
                          .index = sl_strdup(spec->index),
                          .space = sl_strdup(spec->space),
                          .tenant = spec->tenant,
                          .model_fd = -1,
                          .item_ns = SL_MILLI_NS,
                          .call_ns = SL_MILLI_NS};
    sl_calls_init(&p->calls);
    sl_items_init(&p->tasks);
}

static void
free_item(struct sl_item *item)
{
    sl_msg_destroy(&item->msg);
    sl_free(item);
}

static void
free_items(struct sl_items *items)
{
    for (struct sl_item *item; items->tail != NULL && (item = sl_items_pop(items)) != NULL;)
        free_item(item);
}

void
sl_pool_deinit(struct sl_pool *p)
{
    for (struct sl_item *item; (item = sl_pool_take_waiting(p)) != NULL;)
        free_item(item);
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++)
        free_items(&p->replicas[i].in_flight);
    sl_free(p->extractor);
    sl_free(p->model);
    sl_free(p->index);
    sl_free(p->space);
    sl_free(p->error);
    sl_pool_scale_deinit(&p->scale);
    *p = (struct sl_pool){.model_fd = -1};
}

static uint32_t
replicas_count(const struct sl_pool *p)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++)
        count += p->replicas[i].state != SL_REPLICA_FREE;
    return count;
}

static uint32_t
waiting_count(const struct sl_pool *p)
{
    return p->calls.count + p->tasks.count;
}

static uint32_t
running_count(const struct sl_pool *p, bool are_calls)
{
    uint32_t count = 0, thousandths = 0; /* Means of each: only their sum is rounded. */
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        const struct sl_replica *r = &p->replicas[i];
        count += are_calls ? r->calls : r->in_flight.count - r->calls;
        thousandths += are_calls ? r->shortcut.thousandths : 0;
    }
    return count + (thousandths + 999) / 1000;
}

/* All that is running. */
static uint32_t
busy_count(const struct sl_pool *p)
{
    return running_count(p, true) + running_count(p, false);
}

bool
sl_pool_has_work(const struct sl_pool *p)
{
    return waiting_count(p) + busy_count(p) > 0 || sl_pool_shortcut_is_ending(p);
}

bool
sl_pool_is_empty(const struct sl_pool *p)
{
    return replicas_count(p) == 0 && waiting_count(p) == 0;
}

static char *
replica_text(const struct sl_pool *p, uint32_t number, bool is_background)
{
    struct sl_buf text = {0};
    struct sl_jsonw w;
    struct sl_replica_settings settings = p->options->settings;
    if (p->options->book != NULL) {
        settings.memory_bytes =
            sl_scale_book_memory(p->options->book, p->extractor, settings.memory_bytes);
        settings.batch = sl_scale_book_batching(p->options->book, p->extractor);
    }
    sl_jsonw_init(&w, &text);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "endpoint", p->options->endpoint);
    sl_jsonw_member_u64(&w, "agent", p->options->node);
    sl_jsonw_member_u64(&w, "actor", SL_ACTOR_AGENT);
    sl_jsonw_member_u64(&w, "replica", number);
    sl_jsonw_member_str(&w, "extractor", p->extractor);
    sl_jsonw_member_str(&w, "plugins", p->options->plugin_directories);
    sl_jsonw_member_str(&w, "blobs", p->options->blob_directory);
    sl_jsonw_member_u64(&w, "threads", p->options->threads);
    sl_jsonw_member_u64(&w, "tenant", p->tenant);
    sl_jsonw_member_bool(&w, "model", p->model_fd >= 0);
    sl_jsonw_member_bool(&w, "models", p->space[0] != '\0');
    sl_jsonw_member_bool(&w, "background", is_background);
    sl_jsonw_name(&w, "settings");
    sl_replica_settings_write(&settings, &w);
    sl_jsonw_name(&w, "params");
    sl_jsonw_object(&w);
    if (p->index[0] != '\0')
        sl_jsonw_member_str(&w, "index", p->index);
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    return (char *)(uintptr_t)sl_buf_text(&text); /* The buffer's memory is the caller's now. */
}

static bool
is_active(const struct sl_replica *r)
{
    return (r->state == SL_REPLICA_STARTING || r->state == SL_REPLICA_READY) && !r->is_unwanted &&
           !r->is_killed;
}

/* Active ones that calls go to; and those that got nothing but tasks to do. */
static uint32_t
count_active(const struct sl_pool *p, bool is_background)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        const struct sl_replica *r = &p->replicas[i];
        count += is_active(r) && !r->is_spare && r->is_background == is_background;
    }
    return count;
}

static void
start_replica(struct sl_pool *p, struct sl_ctx *ctx, uint32_t number)
{
    /* More are wanted for tasks: those take what calls leave of the processor. */
    bool is_background = p->tasks.count > p->calls.count && count_active(p, false) > 0;
    uint32_t i = 0;
    while (i < SL_REPLICAS_MAX && p->replicas[i].state != SL_REPLICA_FREE)
        i++;
    sl_assert(i < SL_REPLICAS_MAX);
    struct sl_replica *r = &p->replicas[i];
    *r = (struct sl_replica){.state = SL_REPLICA_STARTING,
                             .is_background = is_background,
                             .number = number,
                             .started_ns = ctx->now_ns,
                             .used_ns = ctx->now_ns};
    sl_items_init(&r->in_flight);
    r->shortcut.state = p->options->has_shortcuts ? SL_SHORTCUT_SHUT : SL_SHORTCUT_NONE;
    char *text = replica_text(p, number, is_background);
    struct sl_m_spawn want = {.kind = SL_CHILD_REPLICA,
                              .tag = number,
                              .fd = p->model_fd,
                              .text = sl_slice_str(text),
                              .tenant = p->tenant};
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn, &want);
    sl_free(text);
}

struct sl_replica *
sl_pool_replica(struct sl_pool *p, uint64_t number)
{
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        if (p->replicas[i].state != SL_REPLICA_FREE && p->replicas[i].number == number)
            return &p->replicas[i];
    }
    return NULL;
}

/* ---- work ---------------------------------------------------------------------------------- */

static bool
is_call(const struct sl_item *item)
{
    return item->msg->id != SL_M_run_task;
}

static struct sl_slice
inputs_of(const struct sl_item *item)
{
    return item->msg->id == SL_M_run_task ? SL_BODY(item->msg, run_task)->inputs
                                          : SL_BODY(item->msg, embed_run)->inputs;
}

void
sl_pool_add(struct sl_pool *p, const struct sl_ctx *ctx, struct sl_item *item)
{
    p->scale.arrived++;
    p->is_stale = p->is_stale || p->is_parked;
    p->is_parked = false;
    item->work = WORK_OF_ANY + inputs_of(item).size;
    item->times = (struct sl_item_times){.queued_ns = ctx->now_ns};
    if (!is_call(item)) {
        sl_items_push(&p->tasks, item);
        return;
    }
    sl_calls_push(&p->calls, item, SL_BODY(item->msg, embed_run)->scope);
}

struct sl_item *
sl_pool_take_waiting(struct sl_pool *p)
{
    struct sl_item *call = sl_calls_pop(&p->calls);
    return call != NULL || p->tasks.tail == NULL ? call : sl_items_pop(&p->tasks);
}

static struct sl_slice
job_text(struct sl_slice bytes, char text[static JOB_TEXT_SIZE])
{
    static const struct sl_job_id none;
    struct sl_job_id id;
    text[0] = '\0';
    if (bytes.size == sizeof(id) && memcmp(bytes.data, &none, sizeof(id)) != 0) {
        memcpy(&id, bytes.data, sizeof(id));
        sl_job_id_format(id, text);
    }
    return sl_slice_str(text);
}

static void
send_item(struct sl_ctx *ctx, struct sl_replica *r, struct sl_item *item)
{
    struct sl_m_process m = {.item = item->serial,
                             .deadline_ns = item->deadline_ns,
                             .params = sl_slice_str(item->spec->params),
                             .inputs = inputs_of(item)};
    char job[JOB_TEXT_SIZE];
    if (item->msg->id == SL_M_run_task) {
        m.first = SL_BODY(item->msg, run_task)->first;
        m.resume = SL_BODY(item->msg, run_task)->resume;
        m.tenant = SL_BODY(item->msg, run_task)->tenant;
        m.job = job_text(SL_BODY(item->msg, run_task)->job, job);
    } else { /* Tasks have come in the order of turns. */
        m.scope = m.tenant = SL_BODY(item->msg, embed_run)->scope;
    }
    sl_send(ctx, sl_at(r->number, 1), SL_M_process, &m);
    if (r->in_flight.count + r->shortcut.ongoing == 0)
        r->heard_ns = ctx->now_ns;
    r->calls += is_call(item);
    item->times.sent_ns = ctx->now_ns;
    sl_items_push(&r->in_flight, item);
    r->used_ns = ctx->now_ns;
}

/* How many items take about so long, by what the last ones took. */
static uint32_t
batch_size(uint64_t item_ns, uint64_t batch_ns)
{
    uint64_t size = batch_ns / SL_MAX(item_ns, UINT64_C(1));
    return (uint32_t)SL_MAX(SL_MIN(size, (uint64_t)BATCH_MAX), UINT64_C(1));
}

/* ---- calls that nobody waits for ------------------------------------------------------------ */

static bool
is_overdue(const struct sl_item *item, uint64_t now_ns)
{
    return item->deadline_ns != 0 && now_ns >= item->deadline_ns;
}

static bool
is_over(const struct sl_item *item, const void *now_ns)
{
    return is_overdue(item, *(const uint64_t *)now_ns);
}

/* The router has answered them: what keeps the time is the one that was asked. */
static bool
drop_overdue(struct sl_pool *p, uint64_t now_ns)
{
    uint64_t before = p->overdue;
    for (struct sl_item *item; (item = sl_calls_take(&p->calls, is_over, &now_ns)) != NULL;) {
        p->overdue++;
        free_item(item);
    }
    return p->overdue > before;
}

static bool
is_of(const struct sl_item *item, const void *arg)
{
    const struct sl_msg *msg = arg;
    return item->msg->request == msg->request && item->msg->from.node == msg->from.node &&
           item->msg->from.actor == msg->from.actor && item->msg->id == SL_M_embed_run;
}

static const struct sl_item *
item_of(const struct sl_items *items, const struct sl_msg *msg)
{
    const struct sl_item *item = items->oldest;
    while (item != NULL && !is_of(item, msg))
        item = item->next;
    return item;
}

bool
sl_pool_cancel(struct sl_pool *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_item *waiting = sl_calls_take(&p->calls, is_of, msg);
    if (waiting != NULL) {
        p->cancelled++;
        free_item(waiting);
        return true;
    }
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        struct sl_replica *r = &p->replicas[i];
        const struct sl_item *item =
            r->state == SL_REPLICA_FREE ? NULL : item_of(&r->in_flight, msg);
        if (item == NULL)
            continue;
        p->cancelled++;
        sl_send(ctx, sl_at(r->number, 1), SL_M_process_cancel,
                &(struct sl_m_process_cancel){.item = item->serial});
        return true;
    }
    return false;
}

/* ---- feeding ------------------------------------------------------------------------------- */

/* Replicas that work or will, those that are too many included; which is_spare of them. */
static uint32_t
active_count(const struct sl_pool *p, bool is_spare)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++)
        count += is_active(&p->replicas[i]) && p->replicas[i].is_spare == is_spare;
    return count;
}

/*
 * Calls and tasks of a pool share its replicas. Calls go first, but what a replica has been sent
 * stays in front of them. So while calls come, the first replica for them gets no tasks, if others
 * can have those; and where there is no other, a short batch at a time.
 */
static bool
expects_calls(const struct sl_pool *p, uint64_t now_ns)
{
    return p->called_ns != 0 && now_ns - p->called_ns < CALLS_NS;
}

/* The one that is kept for calls; NULL: none is. */
static const struct sl_replica *
kept_for_calls(const struct sl_pool *p, uint64_t now_ns)
{
    const struct sl_replica *first = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        const struct sl_replica *r = &p->replicas[i];
        if (r->state != SL_REPLICA_READY || !is_active(r) || r->is_spare)
            continue;
        count++;
        if (!r->is_background && (first == NULL || r->number < first->number))
            first = r;
    }
    return count > 1 && expects_calls(p, now_ns) ? first : NULL;
}

/* What one of several may hold of all there is, so that those that were just added have a part. */
static uint32_t
share_of(uint32_t work, uint32_t sharers, uint32_t room)
{
    sharers = SL_MAX(sharers, 1u);
    return SL_MIN(room, (work + sharers - 1) / sharers);
}

/* One that must be alone is there, or has to wait for it to be idle, and for calls to come by us.
 */
static bool
is_taken(struct sl_ctx *ctx, struct sl_replica *r, const struct sl_item *next)
{
    if (next->is_alone && !sl_pool_shortcut_is_shut(ctx, r))
        return true;
    return r->in_flight.count > 0 && (r->in_flight.oldest->is_alone || next->is_alone);
}

static bool
has_room_for_calls(const struct sl_pool *p, const struct sl_replica *r)
{
    return r->in_flight.count < 2 * batch_size(p->call_ns, BATCH_NS);
}

static void
feed_calls(struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r, uint32_t share)
{
    size_t bytes = 0;
    for (const struct sl_item *next;
         r->calls < share && has_room_for_calls(p, r) && bytes < BATCH_BYTES &&
         (next = sl_calls_next(&p->calls)) != NULL && !is_taken(ctx, r, next);) {
        struct sl_item *item = sl_calls_pop(&p->calls);
        if (is_overdue(item, ctx->now_ns)) {
            p->overdue++;
            free_item(item);
            continue;
        }
        bytes += inputs_of(item).size;
        send_item(ctx, r, item);
    }
}

static void
feed_tasks(struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r, uint32_t sharers)
{
    bool is_short = !r->is_background && expects_calls(p, ctx->now_ns);
    uint32_t room =
        is_short ? batch_size(p->item_ns, SHORT_NS) : 2 * batch_size(p->item_ns, BATCH_NS);
    uint32_t has = r->in_flight.count - r->calls;
    uint32_t share = share_of(p->tasks.count + running_count(p, false), sharers, room);
    size_t bytes = 0;
    /* Half empty or not at all: so that what is sent makes a batch, not a trickle. */
    if (has > (is_short ? 0 : room / 2))
        return;
    while (has < share && r->in_flight.count < 2 * BATCH_MAX && bytes < BATCH_BYTES &&
           p->tasks.count > 0 && !is_taken(ctx, r, p->tasks.oldest)) {
        struct sl_item *item = sl_items_pop(&p->tasks);
        bytes += inputs_of(item).size;
        send_item(ctx, r, item);
        has++;
    }
}

static bool
may_feed(const struct sl_replica *r)
{
    return r->state == SL_REPLICA_READY && !r->is_spare && !r->is_unwanted;
}

/* To those for calls; to the others, too, when all of those are full, or there is none. */
static void
feed_all_calls(struct sl_pool *p, struct sl_ctx *ctx)
{
    bool is_full = true;
    /* Of calls that come by us alone: what goes straight never ends where there is much of it. */
    uint32_t own = p->calls.count;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++)
        own += p->replicas[i].calls;
    uint32_t share = share_of(own, count_active(p, false), 2 * BATCH_MAX);
    for (uint32_t i = 0; p->calls.count > 0 && i < SL_REPLICAS_MAX; i++) {
        struct sl_replica *r = &p->replicas[i];
        if (!may_feed(r) || r->is_background)
            continue;
        feed_calls(p, ctx, r, share);
        is_full = is_full && !has_room_for_calls(p, r);
    }
    for (uint32_t i = 0; is_full && p->calls.count > 0 && i < SL_REPLICAS_MAX; i++) {
        if (may_feed(&p->replicas[i]) && p->replicas[i].is_background)
            feed_calls(p, ctx, &p->replicas[i], 2 * BATCH_MAX);
    }
}

/* Send what fits: calls first; an item that must be alone waits for an idle replica and holds it.
 */
static void
feed(struct sl_pool *p, struct sl_ctx *ctx)
{
    if (p->calls.count + running_count(p, true) > 0)
        p->called_ns = ctx->now_ns;
    feed_all_calls(p, ctx);
    const struct sl_replica *kept = kept_for_calls(p, ctx->now_ns);
    uint32_t sharers = active_count(p, false) - (kept != NULL);
    for (uint32_t i = 0; p->calls.count == 0 && p->tasks.count > 0 && i < SL_REPLICAS_MAX; i++) {
        if (may_feed(&p->replicas[i]) && &p->replicas[i] != kept)
            feed_tasks(p, ctx, &p->replicas[i], sharers);
    }
}

static void
stop_replica(struct sl_ctx *ctx, struct sl_replica *r)
{
    struct sl_m_replica_stop stop = {.replica = r->number};
    sl_send(ctx, sl_at(r->number, 1), SL_M_replica_stop, &stop);
    r->state = SL_REPLICA_STOPPING;
    r->stopped_ns = ctx->now_ns;
}

/* ---- how many ------------------------------------------------------------------------------ */

static struct sl_scale_settings
settings_of(const struct sl_pool *p)
{
    const struct sl_scale_settings *said =
        p->options->book == NULL ? NULL : sl_scale_book_lookup(p->options->book, p->extractor);
    struct sl_scale_settings s =
        said == NULL ? sl_pool_scale_defaults(p->options->replicas_max, p->options->idle_ns)
                     : *said;
    /* Kept for nobody in particular: a tenant's own are there while it has work. */
    if (p->tenant != 0 || p->is_parked)
        s.min_replicas = s.initial_replicas = 0;
    s.min_replicas = SL_MIN(s.min_replicas, (uint32_t)SL_REPLICAS_MAX);
    s.max_replicas = SL_MIN(s.max_replicas, (uint32_t)SL_REPLICAS_MAX);
    s.initial_replicas = SL_MIN(s.initial_replicas, s.max_replicas);
    return s;
}

void
sl_pool_rescale(struct sl_pool *p, uint64_t now_ns)
{
    struct sl_scale_settings s = settings_of(p);
    sl_pool_scale_set(&p->scale, &s, now_ns);
    p->is_stale = false;
}

void
sl_pool_park(struct sl_pool *p)
{
    p->is_parked = p->is_stale = true;
}

static uint32_t
work_of(const struct sl_replica *r)
{
    return r->in_flight.count + r->shortcut.ongoing;
}

/* One for tasks goes before one for calls. */
static bool
is_less_needed(const struct sl_replica *r, const struct sl_replica *other)
{
    if (r->is_background != other->is_background)
        return r->is_background;
    return work_of(r) < work_of(other) ||
           (work_of(r) == work_of(other) && r->number > other->number);
}

/* The one to spare next: it has least to do, and of those that have nothing the latest. */
static struct sl_replica *
least_busy(struct sl_pool *p, bool is_spare)
{
    struct sl_replica *best = NULL;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        struct sl_replica *r = &p->replicas[i];
        if (!is_active(r) || r->is_spare != is_spare)
            continue;
        if (best == NULL || is_less_needed(r, best))
            best = r;
    }
    return best;
}

/* Where there is no work no more are started than are kept without any. */
static uint32_t
needed_count(const struct sl_pool *p)
{
    const struct sl_pool_scale *s = &p->scale;
    if (sl_pool_has_work(p))
        return s->wanted;
    return p->failures >= START_TRIES ? 0 : SL_MIN(s->wanted, s->settings.min_replicas);
}

static bool
may_start(const struct sl_pool *p, uint64_t now_ns)
{
    bool is_model_there = p->model[0] == '\0' || p->model_fd >= 0;
    uint32_t max = SL_MIN(p->scale.settings.max_replicas, (uint32_t)SL_REPLICAS_MAX);
    /* One finds out whether what kept the last from starting is gone. */
    for (uint32_t i = 0; i < SL_REPLICAS_MAX && p->failures > 0; i++) {
        if (p->replicas[i].state == SL_REPLICA_STARTING)
            return false;
    }
    return is_model_there && now_ns >= p->not_before_ns && replicas_count(p) < max;
}

static void
fit(struct sl_pool *p, struct sl_ctx *ctx, uint32_t *number_next)
{
    while (active_count(p, false) > p->scale.wanted)
        least_busy(p, false)->is_spare = true;
    while (active_count(p, false) < p->scale.wanted && active_count(p, true) > 0)
        least_busy(p, true)->is_spare = false;
    while (active_count(p, false) < needed_count(p) && may_start(p, ctx->now_ns))
        start_replica(p, ctx, (*number_next)++);
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        struct sl_replica *r = &p->replicas[i];
        bool ends_work = r->is_spare || r->is_retired;
        bool is_due = (r->is_unwanted && !r->is_retired) || (ends_work && r->in_flight.count == 0);
        if (r->state == SL_REPLICA_READY && is_due && sl_pool_shortcut_is_shut(ctx, r))
            stop_replica(ctx, r);
    }
}

uint64_t
sl_pool_next_ns(const struct sl_pool *p, uint64_t now_ns)
{
    bool is_paused = now_ns < p->not_before_ns && active_count(p, false) < needed_count(p);
    bool is_lost = waiting_count(p) > 0 && now_ns < p->not_before_ns;
    uint64_t next_ns = p->scale.autoscaler == NULL ? UINT64_MAX : p->scale.next_ns;
    return is_paused || is_lost ? SL_MIN(next_ns, p->not_before_ns) : next_ns;
}

void
sl_pool_pump(struct sl_pool *p, struct sl_ctx *ctx, uint32_t *number_next)
{
    if (p->scale.autoscaler == NULL || p->is_stale)
        sl_pool_rescale(p, ctx->now_ns);
    sl_pool_scale_look(&p->scale, ctx->now_ns, waiting_count(p), busy_count(p), SL_REPLICAS_MAX);
    fit(p, ctx, number_next);
    uint64_t overdue = p->overdue;
    feed(p, ctx);
    sl_pool_shortcut_open(p, ctx);
    if (p->overdue == overdue)
        return;
    /* What was looked at is not there: without it fewer may do, and nothing else will tell. */
    sl_pool_scale_look(&p->scale, ctx->now_ns, waiting_count(p), busy_count(p), SL_REPLICAS_MAX);
    fit(p, ctx, number_next);
}

/* ---- what replicas say --------------------------------------------------------------------- */

static void
start_failed(struct sl_pool *p, struct sl_ctx *ctx)
{
    uint64_t pause_ns = PAUSE_NS << SL_MIN(p->failures, 10u);
    p->failures++;
    p->not_before_ns = ctx->now_ns + SL_MIN(pause_ns, PAUSE_MAX_NS);
    sl_report_warn("replica-backoff", "extractor=%s failures=%u pause_ms=%" PRIu64 " why=\"%s\"",
                   p->extractor, p->failures, SL_MIN(pause_ns, PAUSE_MAX_NS) / SL_MILLI_NS,
                   p->error == NULL ? "" : p->error);
}

void
sl_pool_on_ready(struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r, struct sl_slice error)
{
    if (r->state != SL_REPLICA_STARTING)
        return;
    if (error.size > 0) {
        sl_free(p->error);
        p->error = sl_strndup(error.data, error.size);
        sl_report_warn("replica-failed", "extractor=%s replica=%u error=\"%s\"", p->extractor,
                       r->number, p->error);
        return; /* It exits now, which counts the failure. */
    }
    r->state = SL_REPLICA_READY;
    r->used_ns = ctx->now_ns;
    sl_free(p->error);
    p->error = NULL;
    p->life.cold_ms = (ctx->now_ns - r->started_ns) / SL_MILLI_NS;
    sl_report_info("replica-ready", "extractor=%s replica=%u pid=%" PRIu64 " start_ms=%" PRIu64,
                   p->extractor, r->number, r->pid, (ctx->now_ns - r->started_ns) / SL_MILLI_NS);
    if (r->is_unwanted)
        stop_replica(ctx, r);
}

struct sl_item *
sl_pool_on_processed(struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r,
                     const struct sl_m_processed *m)
{
    struct sl_item *item = sl_items_take(&r->in_flight, m->item);
    if (item == NULL)
        return NULL;
    r->used_ns = r->heard_ns = ctx->now_ns;
    r->calls -= is_call(item);
    r->done++;
    p->failures = 0; /* Not when one is ready: it may end a moment later, again and again. */
    uint64_t *item_ns = is_call(item) ? &p->call_ns : &p->item_ns;
    if (m->busy_ns == 0)
        return item; /* It was not run. */
    p->life.answered++;
    p->life.failed += m->kind != 0;
    *item_ns = (*item_ns * 7 + m->busy_ns) / 8;
    item->times.begun_ns = m->begun_ns;
    item->times.ended_ns = ctx->now_ns;
    sl_pool_times_add(is_call(item) ? &p->call_times : &p->task_times, &item->times);
    return item;
}

uint64_t
sl_pool_on_exit(struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r,
                struct sl_items *ret_lost)
{
    uint32_t count = r->in_flight.count;
    uint64_t served_ns = count == 0 ? 0 : (ctx->now_ns - r->heard_ns) / count;
    sl_items_init(ret_lost);
    for (struct sl_item *item; (item = sl_items_pop(&r->in_flight)) != NULL;)
        sl_items_push(ret_lost, item);
    /* One that ended with nothing to do, and had never done anything, would do so again. */
    bool is_useless =
        r->state == SL_REPLICA_READY && count == 0 && r->done == 0 && !r->shortcut.has_worked;
    sl_pool_shortcut_lost(ctx, r);
    if (r->state == SL_REPLICA_STARTING || is_useless)
        start_failed(p, ctx);
    *r = (struct sl_replica){0};
    return served_ns;
}

bool
sl_pool_has_given_up(const struct sl_pool *p)
{
    bool has_ready = false;
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++)
        has_ready = has_ready || p->replicas[i].state == SL_REPLICA_READY;
    return p->failures >= START_TRIES && !has_ready;
}

/* A plugin that hangs would hold its place for ever. */
static void
kill_overdue(const struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r)
{
    bool is_hung = r->state == SL_REPLICA_READY && r->in_flight.count + r->shortcut.ongoing > 0 &&
                   p->options->task_ns > 0 && ctx->now_ns - r->heard_ns >= p->options->task_ns;
    bool is_overdue =
        is_hung ||
        (r->state == SL_REPLICA_STARTING && ctx->now_ns - r->started_ns >= START_MAX_NS) ||
        (r->state == SL_REPLICA_STOPPING && ctx->now_ns - r->stopped_ns >= STOP_MAX_NS);
    if (!is_overdue || r->is_killed)
        return;
    r->is_killed = true;
    sl_report_warn("replica-overdue", "extractor=%s replica=%u state=%d", p->extractor, r->number,
                   r->state);
    struct sl_m_spawn_kill kill = {.tag = r->number, .signal = 9};
    sl_send(ctx, sl_at(SL_NODE_PORT, SL_PORT_SPAWNER), SL_M_spawn_kill, &kill);
}

bool
sl_pool_tend(struct sl_pool *p, struct sl_ctx *ctx)
{
    bool has_dropped = drop_overdue(p, ctx->now_ns);
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++)
        kill_overdue(p, ctx, &p->replicas[i]);
    sl_pool_shortcut_tend(p, ctx);
    return has_dropped;
}

void
sl_pool_stop(struct sl_pool *p, struct sl_ctx *ctx)
{
    sl_pool_park(p);
    p->model_fd = -1; /* It is about to be closed; who needs it asks for it again. */
    for (uint32_t i = 0; i < SL_REPLICAS_MAX; i++) {
        struct sl_replica *r = &p->replicas[i];
        r->is_unwanted = r->state == SL_REPLICA_STARTING || r->state == SL_REPLICA_READY;
        if (r->state == SL_REPLICA_READY && sl_pool_shortcut_is_shut(ctx, r))
            stop_replica(ctx, r);
    }
}
