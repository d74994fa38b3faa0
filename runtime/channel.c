/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/ring.h"

#define MAGIC          0x6368616eu
#define REQUESTS_BYTES (128 * SL_KIB)
#define ANSWERS_BYTES  (256 * SL_KIB)
#define SEALS          (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)
#define LINES          (2 * sizeof(struct sl_ring_shared))
#define MEMORY_BYTES   (LINES + REQUESTS_BYTES + ANSWERS_BYTES)

#define RINGS_MAX      64 /* That an honest end leaves unheard: one for each sleep, so a few. */

enum { FD_MEMORY, FD_WORKER, FD_ASKER };

#define CANCEL_BYTES 256 /* More than a message of one number takes. */
static_assert(SL_CHANNEL_CALLS_MAX * (SL_CHANNEL_REQUEST_MAX + CANCEL_BYTES) <= REQUESTS_BYTES,
              "all requests fit, and what cancels each");
static_assert(SL_CHANNEL_CALLS_MAX * (SL_CHANNEL_ANSWER_MAX + 8) <= ANSWERS_BYTES,
              "all answers fit");
static_assert(SL_CHANNEL_REQUEST_MAX <= SL_CHANNEL_ANSWER_MAX, "the room for what is received");

struct sl_channel {
    uint32_t magic;
    void *memory;
    int bell; /* Both ways: what we read rang for us, what we write rings there. */
    struct sl_ring in, out;
    struct sl_buf scratch;
    uint8_t received[SL_CHANNEL_ANSWER_MAX];
};

enum sl_err
sl_channel_create(int ret_fds[static SL_CHANNEL_FDS])
{
    int fds[SL_CHANNEL_FDS] = {-1, -1, -1};
    fds[FD_MEMORY] = memfd_create("sluice-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool is_ok =
        fds[FD_MEMORY] >= 0 && ftruncate(fds[FD_MEMORY], MEMORY_BYTES) == 0 &&
        fcntl(fds[FD_MEMORY], F_ADD_SEALS, SEALS) == 0 &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds + FD_WORKER) == 0;
    if (is_ok) {
        memcpy(ret_fds, fds, sizeof(fds));
        return SL_OK;
    }
    enum sl_err err = sl_err_from_errno(errno);
    for (uint32_t i = 0; i < SL_CHANNEL_FDS; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
    return err;
}

/* Of that size for good: what could be cut off would end whoever reads it. */
static bool
is_channel(int memory_fd)
{
    struct stat st;
    int seals = fcntl(memory_fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS && fstat(memory_fd, &st) == 0 &&
           st.st_size == (off_t)MEMORY_BYTES;
}

enum sl_err
sl_channel_open(enum sl_channel_end end, const int fds[static SL_CHANNEL_FDS],
                struct sl_channel **ret_channel)
{
    bool is_asker = end == SL_CHANNEL_ASKER;
    void *memory = MAP_FAILED;
    if (is_channel(fds[FD_MEMORY]))
        memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fds[FD_MEMORY], 0);
    close(fds[FD_MEMORY]); /* The mapping keeps the memory. */
    /* Were the other end's socket open here, too, its closing could not be seen. */
    close(fds[is_asker ? FD_WORKER : FD_ASKER]);
    if (memory == MAP_FAILED) {
        close(fds[is_asker ? FD_ASKER : FD_WORKER]);
        return SL_ECORRUPT;
    }
    struct sl_channel *l = sl_zalloc(sizeof(*l));
    void *answers = (uint8_t *)memory + sl_ring_size(REQUESTS_BYTES);
    l->magic = MAGIC;
    l->memory = memory;
    l->bell = fds[is_asker ? FD_ASKER : FD_WORKER];
    sl_ring_init(is_asker ? &l->out : &l->in, memory, REQUESTS_BYTES, SL_CHANNEL_REQUEST_MAX);
    sl_ring_init(is_asker ? &l->in : &l->out, answers, ANSWERS_BYTES, SL_CHANNEL_ANSWER_MAX);
    *ret_channel = l;
    return SL_OK;
}

void
sl_channel_close(struct sl_channel **channel)
{
    struct sl_channel *l = *channel;
    if (l == NULL)
        return;
    sl_assert(l->magic == MAGIC);
    *channel = NULL;
    munmap(l->memory, MEMORY_BYTES);
    close(l->bell);
    sl_buf_deinit(&l->scratch);
    l->magic = 0;
    sl_free(l);
}

enum sl_err
sl_channel_send(struct sl_channel *channel, const struct sl_msg *msg)
{
    sl_assert(channel->magic == MAGIC);
    if (sl_msg_size(msg) > 2 * (size_t)channel->out.record_max) /* Not worth being encoded. */
        return SL_ETOOBIG;
    sl_buf_clear(&channel->scratch);
    sl_msg_encode(msg, &channel->scratch);
    enum sl_err err = sl_ring_write(&channel->out, sl_buf_slice(&channel->scratch));
    if (err == SL_OK && sl_ring_wakes(&channel->out)) {
        /* Full: it rings already. Closed: that is seen where it is heard. */
        ssize_t ignored = send(channel->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)ignored;
    }
    return err;
}

enum sl_err
sl_channel_receive(struct sl_channel *channel, struct sl_msg **ret_msg)
{
    sl_assert(channel->magic == MAGIC);
    size_t size;
    enum sl_err err = sl_ring_read(&channel->in, channel->received, &size);
    if (err != SL_OK)
        return err;
    struct sl_slice rest = sl_slice(channel->received, size);
    struct sl_msg *msg = NULL;
    bool is_message = sl_msg_decode(&rest, &msg, &err);
    if (is_message && msg != NULL && rest.size == 0) {
        *ret_msg = msg;
        return SL_OK;
    }
    sl_msg_destroy(&msg);
    return SL_ECORRUPT;
}

bool
sl_channel_has_news(const struct sl_channel *channel)
{
    return sl_ring_has_news(&channel->in);
}

bool
sl_channel_doze(struct sl_channel *channel)
{
    return sl_ring_doze(&channel->in);
}

void
sl_channel_rouse(struct sl_channel *channel)
{
    sl_ring_rouse(&channel->in);
}

enum sl_err
sl_channel_hush(struct sl_channel *channel)
{
    char rings[RINGS_MAX];
    ssize_t count = recv(channel->bell, rings, sizeof(rings), MSG_DONTWAIT);
    if (count == RINGS_MAX)
        return SL_ECORRUPT;
    bool is_there = count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
    return is_there ? SL_OK : SL_EUNAVAIL;
}

int
sl_channel_bell(const struct sl_channel *channel)
{
    return channel->bell;
}
