/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/arena_index.h"

#include <sched.h>

/* A change takes some 20 ns, unless its writer lost the processor: then others give theirs away. */
#define SPINS_MAX  200u
#define YIELDS_MAX 200u

static inline void
pause_a_little(uint32_t tries)
{
    if (tries >= SPINS_MAX)
        (void)sched_yield();
#if defined(__x86_64__)
    else
        __builtin_ia32_pause();
#endif
}

static inline uint64_t
load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline bool
is_key(const struct sl_object_arena_entry *e, const struct sl_object_id *id)
{
    uint64_t differ = 0;
    for (uint32_t i = 0; i < SL_COUNT_OF(e->key); i++)
        differ |= load(&e->key[i]) ^ id->key[i];
    return differ == 0;
}

/*
 * Read one entry as it was at one moment. Each word is loaded with acquire, so that the second look
 * at `seq` cannot come before them; a word of a later write brings that write's odd `seq` along.
 * False: it kept changing.
 */
static bool
read_entry(const struct sl_object_arena_entry *e, const struct sl_object_id *id, uint64_t *ret_kind,
           struct sl_object_arena_seen *ret_seen)
{
    for (uint32_t tries = 0; tries < SPINS_MAX + YIELDS_MAX; tries++) {
        uint64_t seq = load(&e->seq);
        if (seq % 2 == 0) {
            uint64_t size_kind = load(&e->size_kind), kind = size_kind & 0xff;
            if (kind == id->kind && !is_key(e, id))
                kind = SL_ARENA_EMPTY;
            ret_seen->offset = load(&e->offset);
            ret_seen->birth = load(&e->birth);
            if (atomic_load_explicit(&e->seq, memory_order_relaxed) == seq) {
                ret_seen->seq = seq;
                ret_seen->size_bytes = size_kind >> 8;
                *ret_kind = kind;
                return true;
            }
        }
        pause_a_little(tries);
    }
    return false;
}

enum sl_err
sl_object_arena_find(const struct sl_object_arena_table *t, const struct sl_object_id *id,
                     struct sl_object_arena_seen *ret_seen)
{
    uint32_t homes[SL_ARENA_HOMES];
    uint64_t tag = sl_object_arena_homes(id, t->seed, t->count, homes);
    for (uint32_t i = 0; i < SL_ARENA_HOMES; i++) {
        /* Where an object is, its tag is, since before anybody heard of it. */
        uint64_t bits =
            sl_object_arena_zero_bytes(load(&t->tags[homes[i] / SL_ARENA_BUCKET]) ^ tag);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t at = homes[i] + (uint32_t)__builtin_ctzll(bits) / 8;
            uint64_t kind = SL_ARENA_EMPTY;
            if (!read_entry(&t->entries[at], id, &kind, ret_seen))
                return SL_EBUSY;
            if (kind == id->kind) {
                ret_seen->entry = at;
                return SL_OK;
            }
        }
    }
    return SL_ENOTFOUND;
}
