/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/queue_client.h"

#include <poll.h>

#include "actors/broker.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define SELF        1 /* The actor that answers go to. */
#define FDS_MAX     8
#define BEGUN_BYTES (SL_BROKER_CREDIT_MAX / 2 * 2 * sizeof(uint64_t)) /* Half of what may go. */

/* What a call's answer has for each item is known by its number's low bits. */
enum call_kind { CALL_SET, CALL_PUT, CALL_ERRS, CALL_LOST, CALL_KINDS };

/* A queue whose credit is chosen here. */
struct work {
    struct work *next;
    struct sl_scope scope;
    char name[SL_LANE_NAME_MAX];
    size_t name_size;
    struct sl_prefetch prefetch;
    uint64_t duration_ms;
};

struct sl_queue_client {
    struct sl_links *links;
    uint64_t calls;
    enum sl_level level, lease_level;
    bool tells_begun, is_up;
    struct work *works;
    uint64_t probe, probe_ns; /* A call whose answer tells how far the head is; 0: none. */
    struct sl_buf bytes;
    struct sl_buf begun;         /* Task and epoch each; not sent yet... */
    struct sl_scope begun_scope; /* ...and whose. */
    struct sl_msg *msg;          /* That the last event is lent from. */
    struct sl_put_result *puts;
    enum sl_err *errs;
    struct sl_lease *leases;
    uint32_t capacity; /* Of each of these. */
};

static struct work **
work_at(struct work **works, struct sl_queue_name queue)
{
    while (*works != NULL &&
           ((*works)->scope.id != queue.scope.id ||
            !sl_slice_equal(sl_slice((*works)->name, (*works)->name_size), queue.name)))
        works = &(*works)->next;
    return works;
}

static void
work_remove(struct work **at)
{
    struct work *work = *at;
    *at = work->next;
    sl_free(work);
}

uint32_t
sl_queue_client_node_random(void)
{
    struct sl_random random;
    sl_random_seed_secret(&random);
    return SL_NODE_WORKERS_FIRST +
           (uint32_t)sl_random_below(&random, SL_NODE_WORKERS_LAST - SL_NODE_WORKERS_FIRST);
}

enum sl_err
sl_queue_client_open(const struct sl_queue_client_options *options,
                     struct sl_queue_client **ret_client)
{
    struct sl_links_options links = {.node = options->node != 0 ? options->node
                                                                : sl_queue_client_node_random(),
                                     .name = options->name,
                                     .group = "queue-client",
                                     .watcher = SELF};
    if (sl_message_type_lookup(SL_M_queue_put) == NULL)
        sl_protocol_register(&sl_protocol_queue);
    struct sl_queue_client *c = sl_zalloc(sizeof(*c));
    c->links = sl_links_create_with(&links);
    c->tells_begun = options->tells_begun;
    enum sl_err err =
        options->security == NULL ? SL_OK : sl_links_secure(c->links, options->security);
    if (err == SL_OK)
        err = sl_links_connect(c->links, SL_NODE_HEAD, options->endpoint);
    *ret_client = c;
    if (err != SL_OK)
        sl_queue_client_close(ret_client);
    return err;
}

void
sl_queue_client_close(struct sl_queue_client **client)
{
    struct sl_queue_client *c = *client;
    if (c == NULL)
        return;
    sl_links_destroy(&c->links);
    sl_msg_destroy(&c->msg);
    while (c->works != NULL)
        work_remove(&c->works);
    sl_buf_deinit(&c->bytes);
    sl_buf_deinit(&c->begun);
    sl_free(c->puts);
    sl_free(c->errs);
    sl_free(c->leases);
    sl_free(c);
    *client = NULL;
}

void
sl_queue_client_level_set(struct sl_queue_client *c, enum sl_level level)
{
    sl_assert(level < SL_LEVEL_COUNT);
    c->level = c->lease_level = level;
}

void
sl_queue_client_lease_level_set(struct sl_queue_client *c, enum sl_level level)
{
    sl_assert(level < SL_LEVEL_COUNT);
    c->lease_level = level;
}

/* ---- asking -------------------------------------------------------------------------------- */

static enum sl_err
send(struct sl_queue_client *c, uint32_t id, const void *body, uint64_t call)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    msg->to = sl_at(SL_NODE_HEAD, SL_ACTOR_BROKER);
    msg->from = sl_at(0, SELF);
    msg->request = call;
    enum sl_err err = sl_links_add(c->links, msg);
    sl_msg_destroy(&msg);
    return err;
}

static enum sl_err
ask(struct sl_queue_client *c, uint32_t id, const void *body, enum call_kind kind,
    uint64_t *ret_call)
{
    *ret_call = ++c->calls * CALL_KINDS + kind;
    return send(c, id, body, *ret_call);
}

enum sl_err
sl_queue_client_set(struct sl_queue_client *c, struct sl_queue_name queue,
                    const struct sl_lane_settings *settings, uint64_t *ret_call)
{
    static const struct sl_lane_settings usual;
    sl_buf_clear(&c->bytes);
    sl_lane_settings_encode(settings == NULL ? &usual : settings, &c->bytes);
    struct sl_m_queue_set body = {.is_new = settings == NULL,
                                  .scope = queue.scope.id,
                                  .queue = queue.name,
                                  .settings = sl_buf_slice(&c->bytes)};
    return ask(c, SL_M_queue_set, &body, CALL_SET, ret_call);
}

enum sl_err
sl_queue_client_put(struct sl_queue_client *c, struct sl_queue_name queue,
                    const struct sl_put_item *items, uint32_t count, uint64_t *ret_call)
{
    if (count == 0 || count > SL_PUT_ITEMS_MAX)
        return SL_EINVAL;
    sl_buf_clear(&c->bytes);
    for (uint32_t i = 0; i < count; i++)
        sl_wire_put(&c->bytes, &items[i]);
    struct sl_m_queue_put body = {.scope = queue.scope.id,
                                  .level = c->level,
                                  .count = count,
                                  .queue = queue.name,
                                  .items = sl_buf_slice(&c->bytes)};
    return ask(c, SL_M_queue_put, &body, CALL_PUT, ret_call);
}

enum sl_err
sl_queue_client_want(struct sl_queue_client *c, struct sl_queue_name queue, uint32_t credit,
                     uint64_t duration_ms)
{
    struct sl_m_queue_want body = {.scope = queue.scope.id,
                                   .level = c->lease_level,
                                   .credit = credit,
                                   .duration_ms = duration_ms,
                                   .queue = queue.name,
                                   .tells_begun = c->tells_begun};
    return send(c, SL_M_queue_want, &body, 0);
}

/* Before UP, and where the link does not take it, UP says it. */
static void
want_for(struct sl_queue_client *c, struct work *work)
{
    struct sl_queue_name queue = {work->scope, sl_slice(work->name, work->name_size)};
    uint32_t credit = sl_prefetch_ask(&work->prefetch, sl_time_mono_ns());
    if (sl_queue_client_want(c, queue, credit, work->duration_ms) != SL_OK)
        work->prefetch.asked -= SL_MIN(credit, work->prefetch.asked);
}

enum sl_err
sl_queue_client_work(struct sl_queue_client *c, struct sl_queue_name queue,
                     const struct sl_prefetch_options *options, uint64_t duration_ms)
{
    if (!sl_lane_name_is_valid(queue.name) || queue.scope.id == 0)
        return SL_EINVAL;
    struct work **at = work_at(&c->works, queue);
    bool is_new = *at == NULL;
    if (is_new) {
        *at = sl_zalloc(sizeof(**at));
        (*at)->scope = queue.scope;
        (*at)->name_size = queue.name.size;
        memcpy((*at)->name, queue.name.data, queue.name.size);
    }
    struct sl_prefetch before = (*at)->prefetch;
    sl_prefetch_init(&(*at)->prefetch, options);
    (*at)->prefetch.held = before.held;
    (*at)->prefetch.asked = before.asked;
    (*at)->duration_ms = duration_ms;
    if (c->is_up)
        want_for(c, *at);
    return SL_OK;
}

uint32_t
sl_queue_client_surplus(const struct sl_queue_client *c, struct sl_queue_name queue)
{
    struct work *works = c->works;
    const struct work *work = *work_at(&works, queue);
    return work == NULL ? 0 : sl_prefetch_surplus(&work->prefetch, sl_time_mono_ns());
}

enum sl_err
sl_queue_client_quiet(struct sl_queue_client *c, struct sl_queue_name queue)
{
    struct work **at = work_at(&c->works, queue);
    if (*at != NULL)
        work_remove(at);
    struct sl_m_queue_quiet body = {.scope = queue.scope.id, .queue = queue.name};
    return send(c, SL_M_queue_quiet, &body, 0);
}

/* What has begun goes by itself. One that a link does not take is told of as one that ended. */
static enum sl_err
send_begun(struct sl_queue_client *c)
{
    if (c->begun.size == 0)
        return SL_OK;
    struct sl_m_queue_begun body = {.scope = c->begun_scope.id, .leases = sl_buf_slice(&c->begun)};
    enum sl_err err = send(c, SL_M_queue_begun, &body, 0);
    sl_buf_clear(&c->begun);
    return err;
}

enum sl_err
sl_queue_client_begin(struct sl_queue_client *c, struct sl_scope scope, const uint64_t *ids,
                      uint32_t count)
{
    if (count > SL_BROKER_CREDIT_MAX / 2)
        return SL_EINVAL;
    enum sl_err err = SL_OK;
    if (c->begun_scope.id != scope.id || c->begun.size > BEGUN_BYTES)
        err = send_begun(c);
    c->begun_scope = scope;
    for (uint32_t i = 0; err == SL_OK && i < 2 * count; i++)
        sl_buf_append_u64(&c->begun, ids[i]);
    return err;
}

void
sl_queue_client_flush(struct sl_queue_client *c)
{
    (void)send_begun(c); /* Where the link is full or gone, they are not told of. */
    sl_links_flush(c->links);
}

/* What the ends of a queue that is worked on tell of it; and how many more to take. */
static uint32_t
end_of(struct work *work, const struct sl_end_item *items, uint32_t count)
{
    uint64_t now_ns = sl_time_mono_ns(), served_ns = 0;
    uint32_t released = 0, unknown = 0;
    for (uint32_t i = 0; i < count; i++) {
        released += items[i].kind == SL_END_RELEASED;
        unknown += items[i].kind != SL_END_RELEASED && items[i].served_ns == 0;
        if (__builtin_add_overflow(served_ns, items[i].served_ns, &served_ns))
            served_ns = UINT64_MAX;
    }
    sl_prefetch_released(&work->prefetch, released);
    sl_prefetch_ended(&work->prefetch, now_ns, count - released, unknown > 0 ? 0 : served_ns);
    return sl_prefetch_ask(&work->prefetch, now_ns);
}

enum sl_err
sl_queue_client_end(struct sl_queue_client *c, struct sl_queue_name queue,
                    const struct sl_end_item *items, uint32_t count, uint32_t credit,
                    uint64_t *ret_call)
{
    if (count == 0 || count > SL_PUT_ITEMS_MAX)
        return SL_EINVAL;
    struct work *work = *work_at(&c->works, queue);
    struct sl_prefetch before = {0};
    if (work != NULL) {
        before = work->prefetch;
        credit = end_of(work, items, count);
    }
    sl_buf_clear(&c->bytes);
    for (uint32_t i = 0; i < count; i++)
        sl_wire_end(&c->bytes, &items[i]);
    struct sl_m_queue_end body = {.scope = queue.scope.id,
                                  .level = c->level,
                                  .count = count,
                                  .credit = credit,
                                  .queue = queue.name,
                                  .items = sl_buf_slice(&c->bytes)};
    if (c->begun.size > 0 && c->begun_scope.id == queue.scope.id)
        body.begun = sl_buf_slice(&c->begun);
    enum sl_err err = ask(c, SL_M_queue_end, &body, CALL_ERRS, ret_call);
    if (err == SL_OK && body.begun.size > 0)
        sl_buf_clear(&c->begun);
    if (work != NULL && err != SL_OK) {
        work->prefetch = before;
    } else if (work != NULL && c->probe == 0) {
        c->probe = *ret_call;
        c->probe_ns = sl_time_mono_ns();
    }
    return err;
}

enum sl_err
sl_queue_client_beat(struct sl_queue_client *c, struct sl_scope scope, const uint64_t *ids,
                     uint32_t count, uint64_t duration_ms, uint64_t *ret_call)
{
    if (count > SL_BROKER_CREDIT_MAX)
        return SL_EINVAL;
    sl_buf_clear(&c->bytes);
    for (uint32_t i = 0; i < 2 * count; i++)
        sl_buf_append_u64(&c->bytes, ids[i]);
    struct sl_m_queue_beat body = {.scope = scope.id,
                                   .count = count,
                                   .duration_ms = duration_ms,
                                   .leases = sl_buf_slice(&c->bytes)};
    return ask(c, SL_M_queue_beat, &body, CALL_ERRS, ret_call);
}

enum sl_err
sl_queue_client_lost(struct sl_queue_client *c, uint32_t node, const struct sl_loss *loss,
                     uint64_t *ret_call)
{
    struct sl_m_queue_lost body = {
        .node = node, .signal = loss->signal, .peak_bytes = loss->peak_bytes, .lines = loss->lines};
    if (body.lines.size > SL_LOSS_LINES_MAX) /* No more would be kept. */
        body.lines =
            sl_slice(body.lines.data + body.lines.size - SL_LOSS_LINES_MAX, SL_LOSS_LINES_MAX);
    return ask(c, SL_M_queue_lost, &body, CALL_LOST, ret_call);
}

/* ---- hearing ------------------------------------------------------------------------------- */

static void
reserve(struct sl_queue_client *c, uint32_t count)
{
    if (count <= c->capacity)
        return;
    c->puts = sl_realloc(c->puts, count * sizeof(*c->puts));
    c->errs = sl_realloc(c->errs, count * sizeof(*c->errs));
    c->leases = sl_realloc(c->leases, count * sizeof(*c->leases));
    c->capacity = count;
}

/* An answer that is not as it should be: SL_ECORRUPT, with no item. */
static void
take_answer(struct sl_queue_client *c, const struct sl_msg *msg,
            struct sl_queue_client_event *event)
{
    const struct sl_m_queue_answer *m = SL_BODY(msg, queue_answer);
    struct sl_reader r = sl_reader(m->results);
    enum call_kind kind = (enum call_kind)(msg->request % CALL_KINDS);
    bool is_put = kind == CALL_PUT, is_good = m->count <= m->results.size;
    event->kind = SL_QUEUE_CLIENT_ANSWER;
    event->call = msg->request;
    event->err = m->err < SL_ERR_COUNT ? (enum sl_err)m->err : SL_ECORRUPT;
    event->count = (uint32_t)SL_MIN(m->count, (uint64_t)UINT32_MAX);
    if (kind == CALL_LOST)
        return;
    uint32_t count = is_good ? (uint32_t)m->count : 0;
    reserve(c, count);
    for (uint32_t i = 0; is_good && i < count; i++) {
        if (is_put)
            is_good = sl_wire_result_read(&r, &c->puts[i]);
        else
            c->errs[i] = sl_wire_err_read(&r);
    }
    if (!is_good || !sl_reader_is_done(&r))
        event->err = SL_ECORRUPT;
    event->count = event->err == SL_OK ? count : 0;
    event->puts = is_put ? c->puts : NULL;
    event->errs = is_put ? NULL : c->errs;
}

static bool
take_leased(struct sl_queue_client *c, const struct sl_msg *msg,
            struct sl_queue_client_event *event)
{
    const struct sl_m_queue_leased *m = SL_BODY(msg, queue_leased);
    struct sl_reader r = sl_reader(m->leases);
    if (m->count > m->leases.size)
        return false;
    event->kind = SL_QUEUE_CLIENT_LEASED;
    event->queue = (struct sl_queue_name){.scope = {m->scope}, .name = m->queue};
    event->count = (uint32_t)m->count;
    reserve(c, event->count);
    event->leases = c->leases;
    for (uint32_t i = 0; i < event->count; i++) {
        if (!sl_wire_lease_read(&r, &c->leases[i]))
            return false;
    }
    return sl_reader_is_done(&r);
}

static void
take_refused(const struct sl_msg *msg, struct sl_queue_client_event *event)
{
    const struct sl_m_queue_refused *m = SL_BODY(msg, queue_refused);
    event->kind = SL_QUEUE_CLIENT_REFUSED;
    event->queue = (struct sl_queue_name){.scope = {m->scope}, .name = m->queue};
    event->err = m->err != SL_OK && m->err < SL_ERR_COUNT ? (enum sl_err)m->err : SL_ECORRUPT;
}

/* The answer to a call whose time was taken: a lease takes as long. */
static void
take_probe(struct sl_queue_client *c)
{
    uint64_t round_ns = sl_time_mono_ns() - c->probe_ns;
    for (struct work *work = c->works; work != NULL; work = work->next)
        sl_prefetch_round(&work->prefetch, round_ns);
    c->probe = 0;
}

static void
count_leased(struct sl_queue_client *c, const struct sl_queue_client_event *event)
{
    struct work *work = *work_at(&c->works, event->queue);
    if (work != NULL)
        sl_prefetch_leased(&work->prefetch, sl_time_mono_ns(), event->count);
}

/* A session begins with all wants said anew, and ends with all leases void. */
static void
take_session(struct sl_queue_client *c, bool is_up)
{
    c->is_up = is_up;
    c->probe = 0;
    sl_buf_clear(&c->begun);
    for (struct work *work = c->works; work != NULL; work = work->next) {
        sl_prefetch_reset(&work->prefetch);
        if (is_up)
            want_for(c, work);
    }
}

/* False: it tells nothing. */
static bool
take(struct sl_queue_client *c, const struct sl_msg *msg, struct sl_queue_client_event *event)
{
    *event = (struct sl_queue_client_event){0};
    switch (msg->id) {
    case SL_M_queue_answer:
        take_answer(c, msg, event);
        if (c->probe != 0 && event->call == c->probe)
            take_probe(c);
        return true;
    case SL_M_queue_leased:
        if (!take_leased(c, msg, event))
            return false;
        if (c->works != NULL)
            count_leased(c, event);
        return true;
    case SL_M_queue_refused:
        take_refused(msg, event);
        return true;
    case SL_M_undelivered: /* The broker's mailbox was full: nothing has happened. */
        event->kind = SL_QUEUE_CLIENT_ANSWER;
        event->call = msg->request;
        event->err = SL_EFULL;
        return msg->request != 0;
    case SL_M_peer_up:
        take_session(c, true);
        event->kind = SL_QUEUE_CLIENT_UP;
        return true;
    case SL_M_peer_down:
        take_session(c, false);
        event->kind = SL_QUEUE_CLIENT_DOWN;
        return true;
    default:
        return false;
    }
}

/* Until something may have come, or `end_ns`. */
static void
wait(const struct sl_queue_client *c, uint64_t now_ns, uint64_t end_ns)
{
    int fds[FDS_MAX];
    struct pollfd polled[FDS_MAX];
    uint32_t count = sl_links_fds(c->links, fds, FDS_MAX);
    for (uint32_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    uint64_t until_ns = SL_MIN(end_ns, sl_links_deadline_ns(c->links));
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = (time_t)SL_MIN(wait_ns / SL_SECOND_NS, UINT64_C(3600)),
                               .tv_nsec = (long)(wait_ns % SL_SECOND_NS)};
    (void)ppoll(polled, count, &timeout, NULL);
}

bool
sl_queue_client_next(struct sl_queue_client *c, uint64_t timeout_ns,
                     struct sl_queue_client_event *ret_event)
{
    uint64_t now_ns = sl_time_mono_ns();
    uint64_t end_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
    (void)send_begun(c);
    for (;;) { /* Where nothing is there to receive, what was asked goes. */
        sl_msg_destroy(&c->msg);
        while ((c->msg = sl_links_receive(c->links)) != NULL) {
            if (take(c, c->msg, ret_event))
                return true;
            sl_msg_destroy(&c->msg);
        }
        now_ns = sl_time_mono_ns();
        if (now_ns >= end_ns)
            return false;
        wait(c, now_ns, end_ns);
    }
}

uint32_t
sl_queue_client_fds(const struct sl_queue_client *c, int *ret_fds, uint32_t max)
{
    return sl_links_fds(c->links, ret_fds, max);
}

uint64_t
sl_queue_client_deadline_ns(const struct sl_queue_client *c)
{
    return sl_links_deadline_ns(c->links);
}
