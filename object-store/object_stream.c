/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/object_stream.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HEAD_SIZE 4096u
#define ALIGN     64u
#define ENOUGH    (SL_OBJECT_STREAM_BYTES / 2) /* Free: a writer that sleeps goes on. */
#define FILE_SIZE (HEAD_SIZE + SL_OBJECT_STREAM_BYTES)

struct head {
    alignas(ALIGN) _Atomic uint64_t written;
    alignas(ALIGN) _Atomic uint64_t taken; /* For the writer: the store never looks at it again. */
    _Atomic uint32_t is_void;
    alignas(ALIGN) _Atomic uint32_t is_waiting; /* A futex. */
    alignas(ALIGN) _Atomic uint32_t is_asleep;
};
static_assert(sizeof(struct head) <= HEAD_SIZE, "one page");

static struct head *
head_of(const struct sl_object_stream *s)
{
    return (struct head *)(void *)s->memory.base;
}

static uint8_t *
data_at(const struct sl_object_stream *s, uint64_t at)
{
    return s->memory.base + HEAD_SIZE + at % SL_OBJECT_STREAM_BYTES;
}

static uint64_t
bytes_to_end(uint64_t at)
{
    return SL_OBJECT_STREAM_BYTES - at % SL_OBJECT_STREAM_BYTES;
}

/* ---- the store's side ---------------------------------------------------------------------- */

enum sl_err
sl_object_stream_create(struct sl_object_stream *ret_stream)
{
    *ret_stream = (struct sl_object_stream){.memory = SL_SHARED_NONE};
    return sl_shared_create("sluice-stream", FILE_SIZE, SL_SHARED_THEIRS, &ret_stream->memory);
}

void
sl_object_stream_restart(struct sl_object_stream *s)
{
    struct head *head = head_of(s);
    s->at = atomic_load_explicit(&head->written, memory_order_acquire);
    atomic_store_explicit(&head->is_void, 0, memory_order_relaxed);
    atomic_store_explicit(&head->taken, s->at, memory_order_release);
}

enum sl_err
sl_object_stream_look(struct sl_object_stream *s, uint64_t size_max, struct sl_slice *ret_bytes)
{
    uint64_t written = atomic_load_explicit(&head_of(s)->written, memory_order_acquire);
    uint64_t there = written - s->at;
    if (there == 0)
        return SL_EBUSY;
    if (there > SL_OBJECT_STREAM_BYTES)
        return SL_ECORRUPT;
    there = SL_MIN(there, SL_MIN(size_max, bytes_to_end(s->at)));
    *ret_bytes = sl_slice(data_at(s, s->at), there);
    return SL_OK;
}

static void
wake(struct head *head)
{
    atomic_store(&head->is_waiting, 0);
    (void)syscall(SYS_futex, &head->is_waiting, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* What the writer says of itself decides but whether it is woken: sequentially consistent, so that
 * either we see that it waits or it sees what we took. */
void
sl_object_stream_pass(struct sl_object_stream *s, uint64_t size)
{
    struct head *head = head_of(s);
    s->at += size;
    atomic_store(&head->taken, s->at);
    if (atomic_load(&head->is_waiting) != 0 && atomic_load(&head->written) - s->at <= ENOUGH)
        wake(head);
}

void
sl_object_stream_refuse(struct sl_object_stream *s)
{
    struct head *head = head_of(s);
    atomic_store(&head->is_void, 1);
    wake(head);
}

/* Sequentially consistent, as the writer's look is: one of the two sees what the other did. */
void
sl_object_stream_sleep(struct sl_object_stream *s, bool is_asleep)
{
    atomic_store(&head_of(s)->is_asleep, is_asleep);
    atomic_thread_fence(memory_order_seq_cst);
}

void
sl_object_stream_give_back(struct sl_object_stream *s)
{
    (void)fallocate(s->memory.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, FILE_SIZE);
    sl_object_stream_deinit(s);
}

/* ---- the process's ------------------------------------------------------------------------- */

enum sl_err
sl_object_stream_attach(int fd, struct sl_object_stream *ret_stream)
{
    struct sl_object_stream s = {.memory = SL_SHARED_NONE};
    enum sl_err err = sl_shared_attach(fd, FILE_SIZE, true, &s.memory);
    if (err == SL_OK)
        *ret_stream = s;
    return err;
}

static uint64_t
room_of(const struct sl_object_stream *s)
{
    uint64_t there = s->at - atomic_load(&head_of(s)->taken);
    return SL_OBJECT_STREAM_BYTES - SL_MIN(there, SL_OBJECT_STREAM_BYTES);
}

enum sl_err
sl_object_stream_write(struct sl_object_stream *s, struct sl_slice bytes, size_t *ret_size,
                       bool *ret_wake)
{
    struct head *head = head_of(s);
    size_t size = SL_MIN(bytes.size, SL_MIN(SL_OBJECT_STREAM_PART, bytes_to_end(s->at)));
    if (atomic_load_explicit(&head->is_void, memory_order_relaxed) != 0)
        return SL_ECANCELED;
    if (room_of(s) < size)
        return SL_EBUSY;
    memcpy(data_at(s, s->at), bytes.data, size);
    s->at += size;
    atomic_store_explicit(&head->written, s->at, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    *ret_wake = atomic_load(&head->is_asleep) != 0;
    *ret_size = size;
    return SL_OK;
}

void
sl_object_stream_wait(struct sl_object_stream *s, uint64_t timeout_ns)
{
    struct head *head = head_of(s);
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / SL_SECOND_NS),
                               .tv_nsec = (long)(timeout_ns % SL_SECOND_NS)};
    atomic_store(&head->is_waiting, 1);
    if (room_of(s) < ENOUGH && atomic_load(&head->is_void) == 0)
        (void)syscall(SYS_futex, &head->is_waiting, FUTEX_WAIT, 1, &timeout, NULL, 0);
    atomic_store(&head->is_waiting, 0);
}

void
sl_object_stream_deinit(struct sl_object_stream *s)
{
    if (s->memory.base != NULL)
        sl_shared_destroy(&s->memory);
    *s = (struct sl_object_stream){.memory = SL_SHARED_NONE};
}
