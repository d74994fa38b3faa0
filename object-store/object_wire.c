/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/object_wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAGIC 0x51424f31u
#define REPLY_MAGIC   0x52424f31u

/* What each ask takes. */
static const struct {
    bool has_id;
    uint32_t bytes_max; /* 0: it takes none. */
} asks[SL_OBJECT_ASKS_END] = {
    [SL_OBJECT_FIND] = {true, 0},
    [SL_OBJECT_PUT] = {true, SL_OBJECT_INLINE_MAX},
    [SL_OBJECT_ADOPT] = {true, 0},
    [SL_OBJECT_DELETE] = {true, 0},
    [SL_OBJECT_STREAM] = {true, SL_OBJECT_INLINE_MAX},
    [SL_OBJECT_MODEL] = {false, SL_OBJECT_MODEL_MAX},
};

void
sl_object_request_write(struct sl_buf *buf, const struct sl_object_request *request)
{
    sl_buf_append_u32(buf, REQUEST_MAGIC);
    sl_buf_append_u32(buf, request->ask);
    sl_buf_append_u32(buf, request->number);
    sl_buf_append_u64(buf, request->tag);
    sl_buf_append_u64(buf, request->rebuild_ns);
    sl_buf_append_u32(buf, (uint32_t)request->id.kind);
    sl_buf_append(buf, request->id.key, sizeof(request->id.key));
    sl_buf_append_slice(buf, request->bytes);
}

enum sl_err
sl_object_request_read(struct sl_slice message, struct sl_object_request *ret_request)
{
    struct sl_reader r = sl_reader(message);
    struct sl_object_request q = {0};
    uint32_t magic = sl_read_u32(&r), ask = sl_read_u32(&r);
    q.number = sl_read_u32(&r);
    q.tag = sl_read_u64(&r);
    q.rebuild_ns = sl_read_u64(&r);
    q.id.kind = sl_read_u32(&r);
    struct sl_slice key = sl_read_bytes(&r, sizeof(q.id.key));
    if (r.is_bad || ask == 0 || ask >= SL_OBJECT_ASKS_END)
        return SL_EINVAL;
    if (magic != REQUEST_MAGIC)
        return SL_EVERSION;
    memcpy(q.id.key, key.data, sizeof(q.id.key));
    q.ask = (enum sl_object_ask)ask;
    q.bytes = sl_slice(r.at, (size_t)(r.end - r.at));
    if (asks[ask].has_id ? !sl_object_id_is_sound(&q.id) : q.id.kind != 0)
        return SL_EINVAL;
    if (q.bytes.size > asks[ask].bytes_max || (q.bytes.size == 0) != (asks[ask].bytes_max == 0))
        return SL_EINVAL;
    *ret_request = q;
    return SL_OK;
}

void
sl_object_reply_write(struct sl_buf *buf, const struct sl_object_reply *reply)
{
    sl_buf_append_u32(buf, REPLY_MAGIC);
    sl_buf_append_u32(buf, reply->err);
    sl_buf_append_u32(buf, reply->number);
    sl_buf_append_u64(buf, reply->tag);
    sl_buf_append_u64(buf, reply->value);
    sl_buf_append_u64(buf, reply->size_bytes);
    sl_buf_append_slice(buf, reply->text);
}

enum sl_err
sl_object_reply_read(struct sl_slice message, struct sl_object_reply *ret_reply)
{
    struct sl_reader r = sl_reader(message);
    struct sl_object_reply y = {0};
    uint32_t magic = sl_read_u32(&r), err = sl_read_u32(&r);
    y.number = sl_read_u32(&r);
    y.tag = sl_read_u64(&r);
    y.value = sl_read_u64(&r);
    y.size_bytes = sl_read_u64(&r);
    y.text = sl_slice(r.at, (size_t)(r.end - r.at));
    if (r.is_bad || err >= SL_ERR_COUNT || y.text.size > SL_OBJECT_TEXT_MAX)
        return SL_EINVAL;
    if (magic != REPLY_MAGIC)
        return SL_EVERSION;
    y.err = (enum sl_err)err;
    *ret_reply = y;
    return SL_OK;
}

/* ---- packets ------------------------------------------------------------------------------- */

union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(SL_OBJECT_FDS_MAX * sizeof(int))];
};

enum sl_err
sl_object_packet_send(int fd, const struct sl_object_packet *packet)
{
    union control control = {0};
    struct iovec data = {packet->bytes.data, packet->bytes.size};
    struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1};
    sl_assert(packet->fds_count <= SL_OBJECT_FDS_MAX);
    if (packet->fds_count > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(packet->fds_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(packet->fds_count * sizeof(int));
        memcpy(CMSG_DATA(c), packet->fds, packet->fds_count * sizeof(int));
    }
    ssize_t size;
    do {
        size = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size < 0)
        return errno == EAGAIN ? SL_EBUSY : SL_EUNAVAIL;
    return (size_t)size == packet->bytes.size ? SL_OK : SL_EUNAVAIL;
}

/* The kernel has made them ours, however many we asked for: none may be lost. */
static void
take_fds(struct msghdr *m, struct sl_object_packet *packet)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        uint32_t count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (uint32_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (packet->fds_count < SL_OBJECT_FDS_MAX)
                packet->fds[packet->fds_count++] = fd;
            else
                (void)close(fd);
        }
    }
}

enum sl_err
sl_object_packet_receive(int fd, struct sl_object_packet *packet)
{
    union control control;
    sl_buf_clear(&packet->bytes);
    sl_buf_reserve(&packet->bytes, SL_OBJECT_MESSAGE_MAX);
    packet->fds_count = 0;
    struct iovec data = {packet->bytes.data, SL_OBJECT_MESSAGE_MAX};
    struct msghdr m = {.msg_iov = &data,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t size;
    do {
        size = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0)
        return errno == EAGAIN ? SL_EBUSY : SL_EUNAVAIL;
    take_fds(&m, packet);
    packet->bytes.size = (size_t)size;
    if (size > 0 && (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
        return SL_OK;
    sl_object_packet_close(packet);
    return size == 0 ? SL_EUNAVAIL : SL_ETOOBIG;
}

void
sl_object_packet_close(struct sl_object_packet *packet)
{
    for (uint32_t i = 0; i < packet->fds_count; i++)
        (void)close(packet->fds[i]);
    packet->fds_count = 0;
}
