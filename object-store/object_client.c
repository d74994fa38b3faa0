/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/object_client.h"

#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include "object-store/object_ring.h"
#include "object-store/object_stream.h"
#include "object-store/object_wire.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define CLIENT_MAGIC 0x4f434c49u
#define SPIN_NS      (20 * SL_MICRO_NS) /* To sleep and be woken takes longer than most answers. */
/* At most, before it is seen whether the store is there. */
#define WAIT_NS      (100 * SL_MILLI_NS)
#define SEGMENTS_TRY 4 /* Segments may come and go while we ask for them. */

struct sl_object_client {
    uint32_t magic;
    int fd;
    uint64_t tenant, tag;
    uint64_t timeout_ns; /* Of the ask under way. */
    struct sl_object_reader *reader;
    struct sl_object_ring ring;
    bool has_ring, is_ring_refused;
    struct sl_object_stream stream; /* Zero: there is none. */
    struct sl_buf in, out;
};

static void
check(const struct sl_object_client *c)
{
    sl_assert(c != NULL);
    sl_assert(c->magic == CLIENT_MAGIC);
}

struct sl_object_client *
sl_object_client_create(int fd, uint64_t tenant, uint64_t timeout_ns)
{
    struct sl_object_client *c = sl_zalloc(sizeof(*c));
    c->magic = CLIENT_MAGIC;
    c->fd = fd;
    c->tenant = tenant;
    c->timeout_ns = timeout_ns;
    return c;
}

void
sl_object_client_destroy(struct sl_object_client **client)
{
    struct sl_object_client *c = *client;
    if (c == NULL)
        return;
    check(c);
    sl_object_reader_detach(&c->reader);
    if (c->has_ring)
        sl_object_ring_deinit(&c->ring);
    sl_object_stream_deinit(&c->stream);
    (void)close(c->fd);
    sl_buf_deinit(&c->in);
    sl_buf_deinit(&c->out);
    sl_free(c);
    *client = NULL;
}

/* ---- asking -------------------------------------------------------------------------------- */

static enum sl_err
wait_for(struct sl_object_client *c, short events, uint64_t deadline_ns)
{
    uint64_t now_ns = sl_time_mono_ns();
    if (now_ns >= deadline_ns)
        return SL_ETIMEOUT;
    struct pollfd p = {.fd = c->fd, .events = events};
    uint64_t left_ms = (deadline_ns - now_ns) / SL_MILLI_NS + 1;
    (void)poll(&p, 1, (int)SL_MIN(left_ms, 60000u)); /* What came is found out by trying. */
    return SL_OK;
}

static enum sl_err
send_request(struct sl_object_client *c, const struct sl_object_packet *out, uint64_t deadline_ns)
{
    enum sl_err err;
    while ((err = sl_object_packet_send(c->fd, out)) == SL_EBUSY) {
        if (wait_for(c, POLLOUT, deadline_ns) != SL_OK)
            return SL_ETIMEOUT;
    }
    return err;
}

/* The reply of that tag; one of a request that was given up is thrown away. */
static enum sl_err
receive_reply(struct sl_object_client *c, struct sl_object_packet *in,
              struct sl_object_reply *ret_reply, uint64_t deadline_ns)
{
    uint64_t spin_until_ns = sl_time_mono_ns() + SPIN_NS;
    for (;;) {
        enum sl_err err = sl_object_packet_receive(c->fd, in);
        if (err == SL_EBUSY) {
            if (sl_time_mono_ns() < spin_until_ns)
                (void)sched_yield(); /* The store may wait for this very processor. */
            else if (wait_for(c, POLLIN, deadline_ns) != SL_OK)
                return SL_ETIMEOUT;
            continue;
        }
        if (err != SL_OK)
            return err;
        err = sl_object_reply_read(sl_buf_slice(&in->bytes), ret_reply);
        if (err == SL_OK && ret_reply->tag == c->tag)
            return SL_OK;
        sl_object_packet_close(in);
        if (err != SL_OK)
            return err;
    }
}

/* What the store says, or that it says nothing. Descriptors of a good reply are the caller's. */
static enum sl_err
ask(struct sl_object_client *c, struct sl_object_request *request, int fd,
    struct sl_object_packet *ret_packet, struct sl_object_reply *ret_reply)
{
    uint64_t deadline_ns = sl_time_mono_ns() + c->timeout_ns;
    request->tag = ++c->tag;
    sl_buf_clear(&c->out);
    sl_object_request_write(&c->out, request);
    struct sl_object_packet out = {.bytes = c->out, .fds = {fd}, .fds_count = fd >= 0};
    struct sl_object_packet in = {.bytes = c->in};
    enum sl_err err = send_request(c, &out, deadline_ns);
    if (err == SL_OK)
        err = receive_reply(c, &in, ret_reply, deadline_ns);
    c->in = in.bytes;
    if (err == SL_OK && ret_reply->err != SL_OK) {
        sl_object_packet_close(&in);
        err = ret_reply->err;
    }
    if (err == SL_OK)
        *ret_packet = in;
    return err;
}

static enum sl_err
ask_plain(struct sl_object_client *c, struct sl_object_request *request, int fd)
{
    struct sl_object_packet in;
    struct sl_object_reply reply;
    enum sl_err err = ask(c, request, fd, &in, &reply);
    if (err == SL_OK)
        sl_object_packet_close(&in);
    return err;
}

/* ---- the arena ----------------------------------------------------------------------------- */

static enum sl_err
attach(struct sl_object_client *c)
{
    struct sl_object_request request = {.ask = SL_OBJECT_HELLO};
    struct sl_object_packet in;
    struct sl_object_reply reply;
    enum sl_err err = ask(c, &request, -1, &in, &reply);
    if (err != SL_OK)
        return err;
    err =
        in.fds_count == 2 ? sl_object_reader_attach(in.fds[0], in.fds[1], &c->reader) : SL_ECORRUPT;
    sl_object_packet_close(&in);
    return err;
}

static enum sl_err
map_segment(struct sl_object_client *c, uint32_t segment)
{
    struct sl_object_request request = {.ask = SL_OBJECT_SEGMENT, .number = segment};
    struct sl_object_packet in;
    struct sl_object_reply reply;
    enum sl_err err = ask(c, &request, -1, &in, &reply);
    if (err != SL_OK)
        return err;
    (void)sl_object_reader_trim(c->reader); /* We are known still, so what we pin is there. */
    err = in.fds_count == 1
              ? sl_object_reader_add_segment(c->reader, segment, reply.value, in.fds[0])
              : SL_ECORRUPT;
    sl_object_packet_close(&in);
    return err;
}

static enum sl_err
get_small(struct sl_object_client *c, const struct sl_object_id *id, struct sl_object_ref *ref)
{
    enum sl_err err = c->reader == NULL ? attach(c) : SL_OK;
    for (int i = 0; err == SL_OK && i < SEGMENTS_TRY; i++) {
        err = sl_object_reader_get(c->reader, id, &ref->small);
        if (err != SL_EUNAVAIL)
            break;
        err = map_segment(c, ref->small.segment);
        if (err == SL_ENOTFOUND)
            err = SL_OK; /* It went with the object. */
    }
    if (err == SL_ESTALE)
        return SL_EUNAVAIL;
    ref->bytes = ref->small.bytes;
    return err == SL_OK && ref->bytes.data == NULL ? SL_ENOTFOUND : err;
}

/* ---- objects ------------------------------------------------------------------------------- */

static enum sl_err
map_large(const struct sl_object_packet *in, const struct sl_object_reply *reply,
          struct sl_object_ref *ref)
{
    enum sl_err err = SL_ECORRUPT;
    if (in->fds_count == 1)
        err = sl_large_map(in->fds[0], reply->size_bytes, &ref->large);
    ref->bytes = sl_slice(ref->large.base, ref->large.size_bytes);
    ref->hold = reply->number;
    return err;
}

enum sl_err
sl_object_client_get(struct sl_object_client *c, const struct sl_object_id *id,
                     struct sl_object_ref *ret_ref)
{
    check(c);
    struct sl_object_ref ref = {.large = SL_SHARED_NONE};
    struct sl_object_packet in;
    struct sl_object_reply reply;
    enum sl_err err = get_small(c, id, &ref);
    if (err == SL_ENOTFOUND && id->tenant == c->tenant) {
        /* Large, on the disk, or hidden for a moment: the store knows. */
        struct sl_object_request request = {.ask = SL_OBJECT_FIND, .id = *id};
        err = ask(c, &request, -1, &in, &reply);
        if (err == SL_OK && in.fds_count == 0) {
            err = get_small(c, id, &ref);
        } else if (err == SL_OK) {
            err = map_large(&in, &reply, &ref);
            sl_object_packet_close(&in);
        }
    }
    if (err == SL_OK)
        *ret_ref = ref;
    return err;
}

void
sl_object_client_release(struct sl_object_client *c, struct sl_object_ref *ref)
{
    check(c);
    sl_assert(ref->bytes.data != NULL);
    if (ref->large.base == NULL) {
        sl_object_reader_release(c->reader, &ref->small);
    } else {
        struct sl_object_request request = {.ask = SL_OBJECT_LET_GO, .number = ref->hold};
        sl_shared_destroy(&ref->large);
        enum sl_err err = ask_plain(c, &request, -1);
        (void)err; /* If the store is gone, so is the hold; else it goes with this process. */
    }
    ref->bytes = (struct sl_slice){0};
}

enum sl_err
sl_object_client_begin(struct sl_object_client *c, uint64_t size_bytes, struct sl_shared *ret_draft)
{
    check(c);
    return size_bytes == 0 ? SL_EINVAL : sl_large_create(size_bytes, ret_draft);
}

enum sl_err
sl_object_client_seal(struct sl_object_client *c, struct sl_shared *draft,
                      const struct sl_object_id *id, uint64_t rebuild_ns)
{
    check(c);
    struct sl_object_request request = {
        .ask = SL_OBJECT_ADOPT, .id = *id, .rebuild_ns = rebuild_ns};
    enum sl_err err = id->tenant == c->tenant ? sl_large_seal(draft) : SL_EINVAL;
    return err == SL_OK ? ask_plain(c, &request, draft->fd) : err;
}

static enum sl_err
put_file(struct sl_object_client *c, const struct sl_object_id *id, struct sl_slice bytes,
         uint64_t rebuild_ns)
{
    struct sl_shared file;
    enum sl_err err = sl_object_client_begin(c, bytes.size, &file);
    if (err != SL_OK)
        return err;
    memcpy(file.base, bytes.data, bytes.size);
    err = sl_object_client_seal(c, &file, id, rebuild_ns);
    sl_shared_destroy(&file);
    return err;
}

/* No reply comes, or none is waited for. Where the socket is full of messages, the store is awake.
 */
static enum sl_err
tell(struct sl_object_client *c, struct sl_object_request *request)
{
    request->tag = ++c->tag;
    sl_buf_clear(&c->out);
    sl_object_request_write(&c->out, request);
    enum sl_err err = sl_object_packet_send(c->fd, &(struct sl_object_packet){.bytes = c->out});
    return err == SL_EBUSY ? SL_OK : err;
}

/* ---- in parts ------------------------------------------------------------------------------ */

static enum sl_err
open_stream(struct sl_object_client *c, const struct sl_object_id *id, uint64_t size_bytes,
            uint64_t rebuild_ns)
{
    struct sl_buf size = {0};
    struct sl_object_packet in;
    struct sl_object_reply reply;
    sl_buf_append_u64(&size, size_bytes);
    struct sl_object_request request = {
        .ask = SL_OBJECT_STREAM, .id = *id, .rebuild_ns = rebuild_ns, .bytes = sl_buf_slice(&size)};
    enum sl_err err = ask(c, &request, -1, &in, &reply);
    sl_buf_deinit(&size);
    if (err != SL_OK)
        return err;
    if (in.fds_count == 1) {
        sl_object_stream_deinit(&c->stream);
        err = sl_object_stream_attach(in.fds[0], &c->stream);
    }
    sl_object_packet_close(&in);
    return err == SL_OK && c->stream.memory.base == NULL ? SL_ECORRUPT : err;
}

/* Until there is room: a moment awake, as the store is as fast as we are, then asleep. */
static enum sl_err
await_room(struct sl_object_client *c, uint64_t since_ns)
{
    uint64_t now_ns = sl_time_mono_ns();
    struct pollfd p = {.fd = c->fd};
    if (now_ns - since_ns < SPIN_NS) {
        (void)sched_yield();
        return SL_OK;
    }
    if (now_ns - since_ns >= c->timeout_ns)
        return SL_ETIMEOUT;
    sl_object_stream_wait(&c->stream, WAIT_NS);
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0 ? SL_EUNAVAIL : SL_OK;
}

/* The timeout is that of a wait: each part that goes through is an answer. */
static enum sl_err
write_parts(struct sl_object_client *c, struct sl_slice bytes)
{
    uint64_t since_ns = sl_time_mono_ns();
    enum sl_err err = SL_OK;
    while (err == SL_OK && bytes.size > 0) {
        size_t size;
        bool is_wanted = false;
        err = sl_object_stream_write(&c->stream, bytes, &size, &is_wanted);
        if (err == SL_EBUSY) {
            err = await_room(c, since_ns);
            continue;
        }
        if (err == SL_OK && is_wanted)
            err = tell(c, &(struct sl_object_request){.ask = SL_OBJECT_POKE});
        if (err == SL_OK) {
            bytes = sl_slice(bytes.data + size, bytes.size - size);
            since_ns = sl_time_mono_ns();
        }
    }
    return err == SL_ECANCELED ? SL_OK : err; /* It says why when it is asked. */
}

static enum sl_err
put_parts(struct sl_object_client *c, const struct sl_object_id *id, struct sl_slice bytes,
          uint64_t rebuild_ns)
{
    struct sl_object_request end = {.ask = SL_OBJECT_STREAMED, .number = 1};
    enum sl_err err = open_stream(c, id, bytes.size, rebuild_ns);
    if (err != SL_OK)
        return err;
    err = write_parts(c, bytes);
    if (err == SL_OK)
        return ask_plain(c, &end, -1);
    end.number = 0;
    enum sl_err ended = tell(c, &end);
    (void)ended; /* If it is not heard, the next one ends this, or the end of the socket does. */
    return err;
}

enum sl_err
sl_object_client_put(struct sl_object_client *c, const struct sl_object_id *id,
                     struct sl_slice bytes, uint64_t rebuild_ns)
{
    check(c);
    struct sl_object_request request = {
        .ask = SL_OBJECT_PUT, .id = *id, .rebuild_ns = rebuild_ns, .bytes = bytes};
    if (bytes.size == 0 || id->tenant != c->tenant)
        return SL_EINVAL;
    if (bytes.size <= SL_OBJECT_INLINE_MAX)
        return ask_plain(c, &request, -1);
    enum sl_err err = put_parts(c, id, bytes, rebuild_ns);
    return err == SL_EBUSY ? put_file(c, id, bytes, rebuild_ns) : err;
}

/* ---- handing over -------------------------------------------------------------------------- */

/* It is asked for once: without one all goes by messages. */
static enum sl_err
need_ring(struct sl_object_client *c)
{
    struct sl_object_request request = {.ask = SL_OBJECT_RING};
    struct sl_object_packet in;
    struct sl_object_reply reply;
    if (c->has_ring || c->is_ring_refused)
        return c->has_ring ? SL_OK : SL_EFULL;
    enum sl_err err = ask(c, &request, -1, &in, &reply);
    if (err == SL_OK) {
        err = in.fds_count == 1 ? sl_object_ring_attach(in.fds[0], &c->ring) : SL_ECORRUPT;
        sl_object_packet_close(&in);
    }
    c->has_ring = err == SL_OK;
    c->is_ring_refused = err != SL_OK;
    return err;
}

enum sl_err
sl_object_client_hand(struct sl_object_client *c, const struct sl_object_id *id,
                      struct sl_slice bytes, uint64_t rebuild_ns)
{
    check(c);
    struct sl_object_handed handed = {.id = *id, .rebuild_ns = rebuild_ns, .bytes = bytes};
    bool is_wanted = false;
    if (bytes.size == 0 || id->tenant != c->tenant || !sl_object_id_is_sound(id))
        return SL_EINVAL;
    if (bytes.size > SL_OBJECT_RING_BYTES_MAX || need_ring(c) != SL_OK ||
        sl_object_ring_hand(&c->ring, &handed, &is_wanted) != SL_OK)
        return sl_object_client_put(c, id, bytes, rebuild_ns);
    return is_wanted ? tell(c, &(struct sl_object_request){.ask = SL_OBJECT_POKE}) : SL_OK;
}

enum sl_err
sl_object_client_delete(struct sl_object_client *c, const struct sl_object_id *id)
{
    check(c);
    struct sl_object_request request = {.ask = SL_OBJECT_DELETE, .id = *id};
    return id->tenant == c->tenant ? ask_plain(c, &request, -1) : SL_ENOTFOUND;
}

/* ---- models -------------------------------------------------------------------------------- */

enum sl_err
sl_object_client_model(struct sl_object_client *c, struct sl_slice id, uint64_t timeout_ns,
                       int *ret_fd, struct sl_cause *ret_cause)
{
    check(c);
    struct sl_object_request request = {.ask = SL_OBJECT_MODEL, .bytes = id};
    struct sl_object_packet in;
    struct sl_object_reply reply = {0};
    uint64_t usual_ns = c->timeout_ns;
    if (id.size == 0 || id.size > SL_OBJECT_MODEL_MAX)
        return sl_cause_set(ret_cause, SL_EINVAL, "a model's id has 1 to %d bytes",
                            SL_OBJECT_MODEL_MAX);
    c->timeout_ns = timeout_ns;
    enum sl_err err = ask(c, &request, -1, &in, &reply);
    c->timeout_ns = usual_ns;
    if (err != SL_OK && err == reply.err && reply.text.size > 0)
        return sl_cause_set(ret_cause, err, "%.*s", SL_SLICE_FMT(reply.text));
    if (err != SL_OK)
        return sl_cause_set(ret_cause, err, "the node does not give it: %s", sl_err_text(err));
    if (in.fds_count != 1) {
        sl_object_packet_close(&in);
        return sl_cause_set(ret_cause, SL_ECORRUPT, "the node's answer holds no model");
    }
    *ret_fd = in.fds[0];
    return SL_OK;
}

struct sl_object_reader *
sl_object_client_reader(struct sl_object_client *c)
{
    check(c);
    return c->reader;
}
