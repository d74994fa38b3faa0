/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/object_ring.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>

#define HEAD_SIZE 4096u
#define ALIGN     64u
#define SKIP      UINT64_MAX /* As size: nothing more before the end of the data. */

struct head {
    alignas(ALIGN) _Atomic uint64_t written;
    alignas(ALIGN) _Atomic uint64_t read; /* For the writer: the store never looks at it again. */
    alignas(ALIGN) _Atomic uint32_t is_asleep;
};
static_assert(sizeof(struct head) <= HEAD_SIZE, "one page");

struct record {
    uint64_t size_bytes; /* Of the object, which follows; or SKIP. */
    uint64_t kind;
    uint64_t key[SL_SHA256_SIZE / sizeof(uint64_t)];
    uint64_t rebuild_ns, unused;
};
static_assert(sizeof(struct record) == ALIGN, "records are aligned, and one always fits the end");

static struct head *
head_of(const struct sl_object_ring *r)
{
    return (struct head *)(void *)r->memory.base;
}

static uint8_t *
data_at(const struct sl_object_ring *r, uint64_t at)
{
    return r->memory.base + HEAD_SIZE + at % SL_OBJECT_RING_BYTES;
}

static uint64_t
room_of(uint64_t size_bytes)
{
    return (sizeof(struct record) + size_bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint64_t
bytes_to_end(uint64_t at)
{
    return SL_OBJECT_RING_BYTES - at % SL_OBJECT_RING_BYTES;
}

/* ---- the store's side ---------------------------------------------------------------------- */

enum sl_err
sl_object_ring_create(struct sl_object_ring *ret_ring)
{
    *ret_ring = (struct sl_object_ring){.memory = SL_SHARED_NONE};
    return sl_shared_create("sluice-ring", HEAD_SIZE + SL_OBJECT_RING_BYTES, SL_SHARED_THEIRS,
                            &ret_ring->memory);
}

enum sl_err
sl_object_ring_take(struct sl_object_ring *r, struct sl_buf *scratch,
                    struct sl_object_handed *ret_handed)
{
    struct head *head = head_of(r);
    struct record record = {.size_bytes = SKIP};
    uint64_t written = atomic_load_explicit(&head->written, memory_order_acquire);
    uint64_t there = written - r->at, at = r->at;
    if (there == 0)
        return SL_EBUSY;
    if (there > SL_OBJECT_RING_BYTES || there % ALIGN != 0)
        return SL_ECORRUPT;
    memcpy(&record, data_at(r, at), sizeof(record)); /* Once: it may change under our eyes. */
    if (record.size_bytes == SKIP) {
        if (bytes_to_end(at) >= there)
            return SL_ECORRUPT; /* A writer skips only to write behind it. */
        there -= bytes_to_end(at);
        at += bytes_to_end(at);
        memcpy(&record, data_at(r, at), sizeof(record));
    }
    if (record.size_bytes == 0 || record.size_bytes > SL_OBJECT_RING_BYTES_MAX)
        return SL_ECORRUPT;
    uint64_t room = room_of(record.size_bytes);
    if (room > there || room > bytes_to_end(at))
        return SL_ECORRUPT;
    struct sl_object_handed handed = {.id.kind = record.kind, .rebuild_ns = record.rebuild_ns};
    memcpy(handed.id.key, record.key, sizeof(handed.id.key));
    if (!sl_object_id_is_sound(&handed.id))
        return SL_ECORRUPT;
    sl_buf_clear(scratch);
    sl_buf_append(scratch, data_at(r, at) + sizeof(record), record.size_bytes);
    handed.bytes = sl_buf_slice(scratch);
    r->at = at + room;
    atomic_store_explicit(&head->read, r->at, memory_order_release);
    *ret_handed = handed;
    return SL_OK;
}

/* Sequentially consistent, as the writer's look is: one of the two sees what the other did. */
void
sl_object_ring_sleep(struct sl_object_ring *r, bool is_asleep)
{
    atomic_store(&head_of(r)->is_asleep, is_asleep);
    atomic_thread_fence(memory_order_seq_cst);
}

/* ---- the process's ------------------------------------------------------------------------- */

enum sl_err
sl_object_ring_attach(int fd, struct sl_object_ring *ret_ring)
{
    struct sl_object_ring r = {.memory = SL_SHARED_NONE};
    enum sl_err err = sl_shared_attach(fd, HEAD_SIZE + SL_OBJECT_RING_BYTES, true, &r.memory);
    if (err == SL_OK)
        *ret_ring = r;
    return err;
}

enum sl_err
sl_object_ring_hand(struct sl_object_ring *r, const struct sl_object_handed *handed, bool *ret_wake)
{
    struct head *head = head_of(r);
    struct record record = {.size_bytes = handed->bytes.size,
                            .kind = handed->id.kind,
                            .rebuild_ns = handed->rebuild_ns};
    memcpy(record.key, handed->id.key, sizeof(record.key));
    if (handed->bytes.size == 0)
        return SL_EINVAL;
    if (handed->bytes.size > SL_OBJECT_RING_BYTES_MAX)
        return SL_ETOOBIG;
    uint64_t room = room_of(handed->bytes.size), at = r->at;
    bool is_skip = bytes_to_end(at) < room;
    uint64_t next = at + room + (is_skip ? bytes_to_end(at) : 0);
    if (next - atomic_load_explicit(&head->read, memory_order_acquire) > SL_OBJECT_RING_BYTES)
        return SL_EBUSY;
    if (is_skip) {
        memcpy(data_at(r, at), &(struct record){.size_bytes = SKIP}, sizeof(record));
        at += bytes_to_end(at);
    }
    memcpy(data_at(r, at), &record, sizeof(record));
    memcpy(data_at(r, at) + sizeof(record), handed->bytes.data, handed->bytes.size);
    r->at = next;
    atomic_store_explicit(&head->written, next, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    *ret_wake = atomic_load(&head->is_asleep) != 0;
    return SL_OK;
}

void
sl_object_ring_deinit(struct sl_object_ring *r)
{
    if (r->memory.base != NULL)
        sl_shared_destroy(&r->memory);
    *r = (struct sl_object_ring){.memory = SL_SHARED_NONE};
}
