/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/object_server.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "object-store/object_ring.h"
#include "object-store/object_stream.h"
#include "object-store/object_wire.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/hash.h"

#define SERVER_MAGIC     0x4f535256u
#define NONE             UINT32_MAX
#define EVENTS_MAX       64
#define RING_TURN        64u /* Objects of one ring that are taken before others have their turn. */
#define STREAM_TURN      SL_OBJECT_STREAM_PART /* The same of an object that comes in parts. */
#define RING_RECORDS_MAX (SL_OBJECT_RING_BYTES / 128u) /* As many as one holds. */

/* An object that comes in parts; between two of them the memory stays. */
struct stream {
    struct sl_object_stream memory; /* base NULL: there is none. */
    bool is_open;
    enum sl_err err; /* What it cannot be put for: the draft is gone. */
    struct sl_object_id id;
    uint64_t rebuild_ns;
    struct sl_objects_draft draft;
    struct sl_sha256_stream *hash; /* NULL: its id is no digest. */
};

struct client {
    int fd;
    uint64_t tenant, tag;
    uint64_t ticket, ticket_tag; /* Of the model it waits for, and of that ask; 0: of none. */
    uint32_t reader;             /* Of its tenant's arena, or NONE. */
    uint32_t holds_count;
    uint32_t holds[SL_OBJECT_HOLDS_MAX];
    struct sl_object_ring ring; /* base NULL: it has none. */
    struct stream stream;
};

struct sl_object_server {
    uint32_t magic;
    int epoll;
    struct sl_objects *objects;
    void (*dropped)(void *arg, uint64_t tag);
    void *arg;
    void (*wanted)(void *arg, const struct sl_object_want *want);
    void *lender;
    uint64_t ticket_last;
    struct sl_object_server_stats stats;
    struct sl_buf in, out, scratch;
    bool is_awake;
    uint32_t rings_count;
    uint32_t rings[SL_OBJECT_RINGS_MAX]; /* Numbers of the clients that have one. */
    uint32_t streams_count;
    uint32_t streams[SL_OBJECT_STREAMS_MAX]; /* The same. */
    struct client *clients[SL_OBJECT_CLIENTS_MAX];
};

static void
check(const struct sl_object_server *s)
{
    sl_assert(s != NULL);
    sl_assert(s->magic == SERVER_MAGIC);
}

enum sl_err
sl_object_server_create(struct sl_objects *objects, struct sl_object_server **ret_server)
{
    sl_assert(objects != NULL && ret_server != NULL);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0)
        return sl_err_from_errno(errno);
    struct sl_object_server *s = sl_zalloc(sizeof(*s));
    s->magic = SERVER_MAGIC;
    s->epoll = epoll;
    s->objects = objects;
    *ret_server = s;
    return SL_OK;
}

static void
remove_number(uint32_t *numbers, uint32_t *count, uint32_t number)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (numbers[i] == number)
            numbers[i--] = numbers[--*count];
    }
}

/* What came of it is forgotten, and what is still to come as well. */
static void
close_stream(struct sl_object_server *s, struct stream *t)
{
    uint8_t digest[SL_SHA256_SIZE];
    if (t->is_open && t->err == SL_OK)
        sl_objects_abort(s->objects, &t->draft);
    if (t->hash != NULL)
        sl_sha256_finish(&t->hash, digest);
    t->is_open = false;
}

/* The client is gone, or is to be: what it pinned and held is not any more. */
static void
drop(struct sl_object_server *s, uint32_t number)
{
    struct client *c = s->clients[number];
    struct sl_object_arena *arena;
    for (uint32_t i = 0; i < c->holds_count; i++)
        sl_objects_let_go(s->objects, c->holds[i]);
    s->stats.holds += c->holds_count;
    if (c->reader != NONE && sl_objects_arena_lookup(s->objects, c->tenant, &arena))
        s->stats.pins += sl_object_arena_dismiss(arena, c->reader);
    remove_number(s->rings, &s->rings_count, number);
    sl_object_ring_deinit(&c->ring);
    remove_number(s->streams, &s->streams_count, number);
    close_stream(s, &c->stream);
    sl_object_stream_deinit(&c->stream.memory);
    /* A close alone leaves it watched while a child that was just forked has a copy of it. */
    (void)epoll_ctl(s->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    (void)close(c->fd);
    sl_free(c);
    s->clients[number] = NULL;
    s->stats.clients--;
}

void
sl_object_server_destroy(struct sl_object_server **server)
{
    struct sl_object_server *s = *server;
    if (s == NULL)
        return;
    check(s);
    /* First: of a process that was forked it is but a copy, whose set is its parent's. */
    (void)close(s->epoll);
    s->epoll = -1;
    for (uint32_t i = 0; i < SL_OBJECT_CLIENTS_MAX; i++) {
        if (s->clients[i] != NULL)
            drop(s, i);
    }
    sl_buf_deinit(&s->in);
    sl_buf_deinit(&s->out);
    sl_buf_deinit(&s->scratch);
    sl_free(s);
    *server = NULL;
}

void
sl_object_server_tell(struct sl_object_server *s, void (*dropped)(void *arg, uint64_t tag),
                      void *arg)
{
    check(s);
    s->dropped = dropped;
    s->arg = arg;
}

void
sl_object_server_lend(struct sl_object_server *s,
                      void (*wanted)(void *arg, const struct sl_object_want *want), void *arg)
{
    check(s);
    s->wanted = wanted;
    s->lender = arg;
}

enum sl_err
sl_object_server_admit(struct sl_object_server *s, int fd, const struct sl_object_peer *peer)
{
    check(s);
    uint32_t at = 0;
    while (at < SL_OBJECT_CLIENTS_MAX && s->clients[at] != NULL)
        at++;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = at};
    if (at == SL_OBJECT_CLIENTS_MAX || epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        enum sl_err err = at == SL_OBJECT_CLIENTS_MAX ? SL_EFULL : sl_err_from_errno(errno);
        (void)close(fd);
        return err;
    }
    s->clients[at] = sl_zalloc(sizeof(*s->clients[at]));
    s->clients[at]->fd = fd;
    s->clients[at]->tenant = peer->tenant;
    s->clients[at]->tag = peer->tag;
    s->clients[at]->reader = NONE;
    s->clients[at]->ring.memory = SL_SHARED_NONE;
    s->clients[at]->stream.memory.memory = SL_SHARED_NONE;
    s->stats.clients++;
    return SL_OK;
}

int
sl_object_server_fd(const struct sl_object_server *s)
{
    check(s);
    return s->epoll;
}

/* ---- asks ---------------------------------------------------------------------------------- */

/* An ask under way: what came with it, and what goes back. */
struct call {
    struct sl_object_server *s;
    struct client *c;
    uint32_t number; /* The client's. */
    struct sl_object_request request;
    int fd; /* That came with it; -1: none. */
    struct sl_object_reply reply;
    int fds[SL_OBJECT_FDS_MAX]; /* Borrowed. */
    uint32_t fds_count;
    bool is_later; /* The answer comes in a turn of its own. */
};

static enum sl_err
say_hello(struct call *call)
{
    struct client *c = call->c;
    struct sl_object_arena *arena;
    struct sl_object_arena_grant grant;
    if (!sl_objects_arena_lookup(call->s->objects, c->tenant, &arena))
        return SL_ENOTFOUND;
    if (c->reader != NONE)
        return SL_EEXIST; /* One set of pins for each client. */
    enum sl_err err = sl_object_arena_admit(arena, &grant);
    if (err != SL_OK)
        return err;
    c->reader = grant.reader;
    call->fds[0] = grant.index_fd;
    call->fds[1] = grant.pins_fd;
    call->fds_count = 2;
    return SL_OK;
}

static enum sl_err
send_segment(struct call *call)
{
    struct sl_object_arena *arena;
    if (!sl_objects_arena_lookup(call->s->objects, call->c->tenant, &arena))
        return SL_ENOTFOUND;
    enum sl_err err = sl_object_arena_segment_lookup(arena, call->request.number, &call->fds[0],
                                                     &call->reply.value);
    call->fds_count = err == SL_OK;
    return err;
}

static enum sl_err
find(struct call *call)
{
    struct client *c = call->c;
    struct sl_objects_found found;
    enum sl_err err = sl_objects_find(call->s->objects, &call->request.id, &found);
    if (err != SL_OK || found.fd < 0)
        return err;
    if (c->holds_count == SL_OBJECT_HOLDS_MAX)
        return SL_EFULL;
    err = sl_objects_hold(call->s->objects, &call->request.id, &call->reply.number);
    if (err != SL_OK)
        return err;
    c->holds[c->holds_count++] = call->reply.number;
    call->reply.size_bytes = found.bytes.size;
    call->fds[0] = found.fd;
    call->fds_count = 1;
    return SL_OK;
}

static enum sl_err
let_go(struct call *call)
{
    struct client *c = call->c;
    for (uint32_t i = 0; i < c->holds_count; i++) {
        if (c->holds[i] != call->request.number)
            continue;
        c->holds[i] = c->holds[--c->holds_count];
        sl_objects_let_go(call->s->objects, call->request.number);
        return SL_OK;
    }
    return SL_ENOTFOUND;
}

static enum sl_err
put_checked(struct sl_object_server *s, const struct sl_object_id *id, struct sl_slice bytes,
            uint64_t rebuild_ns)
{
    struct sl_object_id digest = *id;
    if (digest.kind == SL_OBJECT_CONTENT)
        sl_object_id_content(digest.tenant, bytes, &digest);
    if (!sl_object_id_equal(&digest, id))
        return SL_EINVAL; /* Others of its tenant rely on digests. */
    return sl_objects_put(s->objects, id, bytes, rebuild_ns);
}

static enum sl_err
put_bytes(struct call *call, struct sl_slice bytes)
{
    return put_checked(call->s, &call->request.id, bytes, call->request.rebuild_ns);
}

/* A small file is copied: it is not worth a descriptor. */
static enum sl_err
adopt(struct call *call)
{
    struct sl_shared file;
    struct sl_object_arena *arena;
    const struct sl_object_request *q = &call->request;
    if (call->fd < 0)
        return SL_EINVAL;
    enum sl_err err = sl_objects_arena(call->s->objects, call->c->tenant, &arena);
    if (err == SL_OK)
        err = sl_large_attach(call->fd, &file);
    if (err != SL_OK)
        return err;
    if (file.size_bytes <= sl_object_arena_object_max(arena))
        err = put_bytes(call, sl_slice(file.base, file.size_bytes));
    else
        err = sl_objects_adopt(call->s->objects, &q->id, call->fd, q->rebuild_ns);
    sl_shared_destroy(&file);
    return err;
}

static enum sl_err
give_ring(struct call *call)
{
    struct sl_object_server *s = call->s;
    struct client *c = call->c;
    if (c->ring.memory.base != NULL)
        return SL_EEXIST;
    if (s->rings_count == SL_OBJECT_RINGS_MAX)
        return SL_EFULL;
    enum sl_err err = sl_object_ring_create(&c->ring);
    if (err != SL_OK)
        return err;
    sl_object_ring_sleep(&c->ring, !s->is_awake);
    s->rings[s->rings_count++] = call->number;
    call->fds[0] = c->ring.memory.fd;
    call->fds_count = 1;
    return SL_OK;
}

/* Take what a client has handed over, at most so many. SL_ECORRUPT: it misbehaves. */
static enum sl_err
take_handed(struct sl_object_server *s, struct client *c, uint32_t count_max, uint32_t *ret_count)
{
    struct sl_object_handed handed;
    enum sl_err err = SL_EBUSY;
    uint32_t count = 0;
    while (count < count_max &&
           (err = sl_object_ring_take(&c->ring, &s->scratch, &handed)) == SL_OK) {
        handed.id.tenant = c->tenant;
        enum sl_err put = put_checked(s, &handed.id, handed.bytes, handed.rebuild_ns);
        s->stats.handed++;
        s->stats.lost += put != SL_OK && put != SL_EEXIST;
        count++;
    }
    *ret_count = count;
    return err == SL_ECORRUPT ? err : SL_OK;
}

/* ---- objects that come in parts ------------------------------------------------------------ */

/* So that others may have one. False: all are in use. */
static bool
free_stream(struct sl_object_server *s)
{
    for (uint32_t i = 0; i < s->streams_count; i++) {
        struct stream *t = &s->clients[s->streams[i]]->stream;
        if (t->is_open)
            continue;
        sl_object_stream_give_back(&t->memory); /* Its client is given another next time. */
        s->streams[i] = s->streams[--s->streams_count];
        return true;
    }
    return false;
}

static enum sl_err
need_stream(struct call *call)
{
    struct sl_object_server *s = call->s;
    struct stream *t = &call->c->stream;
    if (t->memory.memory.base != NULL)
        return SL_OK;
    if (s->streams_count == SL_OBJECT_STREAMS_MAX && !free_stream(s))
        return SL_EBUSY;
    enum sl_err err = sl_object_stream_create(&t->memory);
    if (err != SL_OK)
        return err;
    s->streams[s->streams_count++] = call->number;
    call->fds[0] = t->memory.memory.fd;
    call->fds_count = 1;
    return SL_OK;
}

static enum sl_err
open_stream(struct call *call)
{
    struct stream *t = &call->c->stream;
    const struct sl_object_request *q = &call->request;
    struct sl_reader in = sl_reader(q->bytes);
    uint64_t size_bytes = sl_read_u64(&in);
    if (!sl_reader_is_done(&in))
        return SL_EINVAL;
    close_stream(call->s, t); /* One that it gave up. */
    if (sl_objects_has(call->s->objects, &q->id))
        return SL_EEXIST;
    enum sl_err err = need_stream(call);
    if (err == SL_OK)
        err = sl_objects_begin_parts(call->s->objects, q->id.tenant, size_bytes, &t->draft);
    if (err != SL_OK)
        return err;
    t->is_open = true;
    t->err = SL_OK;
    t->id = q->id;
    t->rebuild_ns = q->rebuild_ns;
    t->hash = q->id.kind == SL_OBJECT_CONTENT ? sl_sha256_create() : NULL;
    sl_object_stream_restart(&t->memory);
    sl_object_stream_sleep(&t->memory, !call->s->is_awake);
    return SL_OK;
}

/* Who cannot be served any more goes on for a while: what it sends leads nowhere. */
static enum sl_err
add_bytes(struct sl_object_server *s, struct stream *t, struct sl_slice bytes)
{
    uint64_t at = t->draft.added_bytes;
    if (t->err != SL_OK)
        return SL_OK;
    if (bytes.size > t->draft.size_bytes - at)
        return SL_ECORRUPT;
    t->err = sl_objects_add(s->objects, &t->draft, bytes);
    if (t->err != SL_OK) {
        sl_objects_abort(s->objects, &t->draft);
        sl_object_stream_refuse(&t->memory);
    } else if (t->hash != NULL) { /* Of our copy: the other one may change. */
        sl_sha256_update(t->hash, t->draft.data + at, bytes.size);
    }
    return SL_OK;
}

/* Take what has come, at most so much. SL_ECORRUPT: it misbehaves. */
static enum sl_err
take_streamed(struct sl_object_server *s, struct stream *t, uint64_t size_max, uint64_t *ret_size)
{
    uint64_t sum = 0;
    enum sl_err err = SL_OK;
    struct sl_slice bytes;
    while (sum < size_max &&
           (err = sl_object_stream_look(&t->memory, size_max - sum, &bytes)) == SL_OK) {
        err = add_bytes(s, t, bytes);
        if (err != SL_OK)
            return err;
        sl_object_stream_pass(&t->memory, bytes.size);
        sum += bytes.size;
    }
    *ret_size = sum;
    return err == SL_ECORRUPT ? err : SL_OK;
}

static enum sl_err
seal_stream(struct sl_object_server *s, struct stream *t)
{
    if (t->err != SL_OK)
        return t->err;
    if (t->draft.added_bytes < t->draft.size_bytes)
        return SL_EINVAL;
    if (t->hash != NULL) {
        struct sl_object_id digest = t->id;
        uint8_t bytes[SL_SHA256_SIZE];
        sl_sha256_finish(&t->hash, bytes);
        memcpy(digest.key, bytes, sizeof(digest.key));
        if (!sl_object_id_equal(&digest, &t->id))
            return SL_EINVAL; /* Others of its tenant rely on digests. */
    }
    enum sl_err err = sl_objects_seal(s->objects, &t->draft, &t->id, t->rebuild_ns);
    t->is_open = err != SL_OK;
    return err;
}

static enum sl_err
end_stream(struct call *call)
{
    struct stream *t = &call->c->stream;
    uint64_t size;
    enum sl_err err = SL_OK;
    if (!t->is_open)
        return SL_ENOTFOUND;
    if (call->request.number != 0) {
        err = take_streamed(call->s, t, SL_OBJECT_STREAM_BYTES, &size);
        if (err == SL_OK)
            err = seal_stream(call->s, t);
    }
    close_stream(call->s, t);
    return err;
}

/* The number is in the ticket, so that the answer finds its client at once. */
static enum sl_err
want_model(struct call *call)
{
    struct sl_object_server *s = call->s;
    if (s->wanted == NULL)
        return SL_EUNAVAIL;
    s->ticket_last++;
    call->c->ticket = s->ticket_last * SL_OBJECT_CLIENTS_MAX + call->number;
    call->c->ticket_tag = call->request.tag;
    call->is_later = true;
    struct sl_object_want want = {
        .tag = call->c->tag, .ticket = call->c->ticket, .model = call->request.bytes};
    s->wanted(s->lender, &want);
    return SL_OK;
}

static enum sl_err
answer(struct call *call)
{
    switch (call->request.ask) {
    case SL_OBJECT_HELLO:
        return say_hello(call);
    case SL_OBJECT_SEGMENT:
        return send_segment(call);
    case SL_OBJECT_FIND:
        return find(call);
    case SL_OBJECT_LET_GO:
        return let_go(call);
    case SL_OBJECT_PUT:
        return put_bytes(call, call->request.bytes);
    case SL_OBJECT_ADOPT:
        return adopt(call);
    case SL_OBJECT_DELETE:
        return sl_objects_delete(call->s->objects, &call->request.id);
    case SL_OBJECT_RING:
        return give_ring(call);
    case SL_OBJECT_STREAM:
        return open_stream(call);
    case SL_OBJECT_STREAMED:
        return end_stream(call);
    case SL_OBJECT_MODEL:
        return want_model(call);
    case SL_OBJECT_POKE:
    case SL_OBJECT_ASKS_END:
        break;
    }
    return SL_EINVAL;
}

enum fate { STAYS, GONE, MISBEHAVES };

static enum fate
send_reply(struct sl_object_server *s, const struct client *c, const struct sl_object_reply *reply,
           struct sl_object_packet *out)
{
    sl_buf_clear(&s->out);
    sl_object_reply_write(&s->out, reply);
    out->bytes = s->out;
    enum sl_err err = sl_object_packet_send(c->fd, out);
    return err == SL_OK ? STAYS : err == SL_EBUSY ? MISBEHAVES : GONE;
}

static enum fate
serve(struct sl_object_server *s, uint32_t number)
{
    struct client *c = s->clients[number];
    uint32_t count;
    struct sl_object_packet in = {.bytes = s->in};
    enum sl_err err = sl_object_packet_receive(c->fd, &in);
    s->in = in.bytes;
    if (err == SL_EBUSY)
        return STAYS;
    /* What it handed over before it asked, or died, comes before. */
    if (c->ring.memory.base != NULL && take_handed(s, c, RING_RECORDS_MAX, &count) != SL_OK) {
        sl_object_packet_close(&in);
        return MISBEHAVES;
    }
    if (err == SL_EUNAVAIL)
        return GONE;
    struct call call = {.s = s, .c = c, .number = number, .fd = in.fds_count == 1 ? in.fds[0] : -1};
    if (err == SL_OK)
        err = sl_object_request_read(sl_buf_slice(&in.bytes), &call.request);
    if (err != SL_OK) {
        sl_object_packet_close(&in);
        return MISBEHAVES;
    }
    s->stats.asks++;
    if (call.request.ask == SL_OBJECT_POKE) {
        sl_object_packet_close(&in);
        return STAYS;
    }
    call.request.id.tenant = c->tenant;
    call.reply.err = answer(&call);
    call.reply.tag = call.request.tag;
    sl_object_packet_close(&in);
    if (call.is_later)
        return STAYS;
    struct sl_object_packet out = {.fds_count = call.fds_count};
    memcpy(out.fds, call.fds, sizeof(out.fds));
    return send_reply(s, c, &call.reply, &out);
}

static void
end_with(struct sl_object_server *s, uint32_t number, enum fate fate)
{
    uint64_t tag = s->clients[number]->tag;
    if (fate != STAYS)
        drop(s, number);
    if (fate != MISBEHAVES)
        return;
    s->stats.dropped++;
    if (s->dropped != NULL)
        s->dropped(s->arg, tag);
}

void
sl_object_server_give(struct sl_object_server *s, const struct sl_object_given *given)
{
    check(s);
    uint32_t number = (uint32_t)(given->ticket % SL_OBJECT_CLIENTS_MAX);
    struct client *c = s->clients[number];
    if (given->ticket == 0 || c == NULL || c->ticket != given->ticket)
        return;
    struct sl_object_reply reply = {
        .err = given->err,
        .tag = c->ticket_tag,
        .size_bytes = given->size_bytes,
        .text = sl_slice(given->text.data, SL_MIN(given->text.size, (size_t)SL_OBJECT_TEXT_MAX))};
    struct sl_object_packet out = {.fds = {given->fd}, .fds_count = given->fd >= 0};
    c->ticket = 0;
    s->stats.models += given->fd >= 0;
    end_with(s, number, send_reply(s, c, &reply, &out));
}

/* Some of each: nobody's ring holds up the others. */
static uint32_t
look_into_rings(struct sl_object_server *s)
{
    uint32_t sum = 0, count;
    for (uint32_t i = s->rings_count; i-- > 0;) {
        enum sl_err err = take_handed(s, s->clients[s->rings[i]], RING_TURN, &count);
        sum += count;
        end_with(s, s->rings[i], err == SL_OK ? STAYS : MISBEHAVES);
    }
    return sum;
}

/* The same of objects that come in parts. How many had something. */
static uint32_t
look_into_streams(struct sl_object_server *s)
{
    uint32_t count = 0;
    for (uint32_t i = s->streams_count; i-- > 0;) {
        struct stream *t = &s->clients[s->streams[i]]->stream;
        uint64_t size = 0;
        enum sl_err err = t->is_open ? take_streamed(s, t, STREAM_TURN, &size) : SL_OK;
        count += size > 0;
        end_with(s, s->streams[i], err == SL_OK ? STAYS : MISBEHAVES);
    }
    return count;
}

void
sl_object_server_sleep(struct sl_object_server *s, bool is_asleep)
{
    check(s);
    s->is_awake = !is_asleep;
    for (uint32_t i = 0; i < s->rings_count; i++)
        sl_object_ring_sleep(&s->clients[s->rings[i]]->ring, is_asleep);
    for (uint32_t i = 0; i < s->streams_count; i++)
        sl_object_stream_sleep(&s->clients[s->streams[i]]->stream.memory, is_asleep);
}

void
sl_object_server_tidy(struct sl_object_server *s)
{
    check(s);
    while (free_stream(s)) {
    }
}

uint32_t
sl_object_server_turn(struct sl_object_server *s)
{
    check(s);
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(s->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        uint32_t number = events[i].data.u32;
        end_with(s, number, serve(s, number));
    }
    return look_into_rings(s) + look_into_streams(s) + (count < 0 ? 0 : (uint32_t)count);
}

void
sl_object_server_measure(const struct sl_object_server *s, struct sl_object_server_stats *ret_stats)
{
    check(s);
    *ret_stats = s->stats;
}
