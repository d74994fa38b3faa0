/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actor_table.h - the actors of a scheduler by their number. Slots are never freed while the table
 * lives, so that a thread which looks up an address may push into its mailbox at any moment: an
 * actor that has ended refuses by its mailbox's state, and one that took over the slot meanwhile
 * sees by the message's address that it was meant for another.
 * Threading: take and give on any thread, under the table's lock; lookup on any without.
 */
#ifndef SL_RUNTIME_ACTOR_TABLE_H
#define SL_RUNTIME_ACTOR_TABLE_H

#include <assert.h>
#include <pthread.h>

#include "runtime/actor.h"
#include "runtime/actor_id.h"
#include "runtime/bounded_mailbox.h"
#include "runtime/relations.h"

/* One cache line: a million actors are 64 MB and their states. */
struct sl_actor_slot {
    _Alignas(64) struct sl_box box;
    struct sl_msg *taken; /* Out of the mailbox, not handled yet. */
    const struct sl_actor_class *class;
    void *state;
    struct sl_actor_slot *next_run; /* In a list of what is to run. */
    struct sl_relations *relations; /* NULL: none. */
    uint64_t told_ns;               /* The latest time that it was told, on whatever thread. */
    _Atomic uint32_t id;
    _Atomic uint16_t mailbox_max;
    uint8_t thread; /* From 1; 0: any. */
    uint8_t ending; /* 0: lives. Else: ends with reason ending - 1 when its handler returns. */
};
static_assert(sizeof(struct sl_actor_slot) == 64, "a slot is one cache line");
static_assert(SL_ERR_COUNT < UINT8_MAX, "a reason fits");

#define SL_TABLE_CHUNK_SLOTS 1024u
#define SL_TABLE_CHUNKS      (SL_ACTOR_SLOTS / SL_TABLE_CHUNK_SLOTS)

struct sl_actor_table {
    _Atomic(struct sl_actor_slot *) chunks[SL_TABLE_CHUNKS];
    pthread_mutex_t lock;
    struct sl_actor_ids ids;
    uint32_t actors_max;
    bool is_named[SL_ACTOR_NAMES]; /* Taken. */
};

void sl_actor_table_init(struct sl_actor_table *t, uint32_t actors_max);
/* All slots are closed, or their actors destroyed by the caller. */
void sl_actor_table_deinit(struct sl_actor_table *t);
/* A closed slot; its id is set. number 0: any. SL_EFULL, SL_EEXIST. */
SL_MUST_CHECK enum sl_err sl_actor_table_take(struct sl_actor_table *t, uint32_t number,
                                              struct sl_actor_slot **ret_slot);
/* The slot is closed and nobody's any more. */
void sl_actor_table_give(struct sl_actor_table *t, uint32_t id);

/* The slot of an address, whoever has it now. NULL: nobody ever had. */
static inline struct sl_actor_slot *
sl_actor_table_lookup(struct sl_actor_table *t, uint32_t id)
{
    uint32_t slot = sl_actor_slot(id);
    struct sl_actor_slot *chunk =
        atomic_load_explicit(&t->chunks[slot / SL_TABLE_CHUNK_SLOTS], memory_order_acquire);
    return chunk == NULL ? NULL : &chunk[slot % SL_TABLE_CHUNK_SLOTS];
}

#endif
