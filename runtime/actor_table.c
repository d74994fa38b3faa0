/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/actor_table.h"

#include <stdlib.h>

#include "runtime/alloc.h"

void
sl_actor_table_init(struct sl_actor_table *t, uint32_t actors_max)
{
    pthread_mutex_init(&t->lock, NULL);
    t->actors_max = actors_max;
}

void
sl_actor_table_deinit(struct sl_actor_table *t)
{
    for (uint32_t i = 0; i < SL_TABLE_CHUNKS; i++)
        sl_free(atomic_load(&t->chunks[i]));
    sl_actor_ids_deinit(&t->ids);
    pthread_mutex_destroy(&t->lock);
}

static struct sl_actor_slot *
slot_of(struct sl_actor_table *t, uint32_t id)
{
    uint32_t at = sl_actor_slot(id) / SL_TABLE_CHUNK_SLOTS;
    if (atomic_load_explicit(&t->chunks[at], memory_order_relaxed) == NULL) {
        size_t size = SL_TABLE_CHUNK_SLOTS * sizeof(struct sl_actor_slot);
        struct sl_actor_slot *chunk = aligned_alloc(_Alignof(struct sl_actor_slot), size);
        sl_assert(chunk != NULL);
        memset(chunk, 0, size);
        for (uint32_t i = 0; i < SL_TABLE_CHUNK_SLOTS; i++)
            atomic_store_explicit(&chunk[i].box.word, SL_BOX_CLOSED, memory_order_relaxed);
        atomic_store_explicit(&t->chunks[at], chunk, memory_order_release);
    }
    return sl_actor_table_lookup(t, id);
}

static enum sl_err
take_id(struct sl_actor_table *t, uint32_t number, uint32_t *ret_id)
{
    if (number == 0)
        return sl_actor_ids_take(&t->ids, t->actors_max, ret_id);
    sl_assert(number < SL_ACTOR_NAMES);
    if (t->is_named[number])
        return SL_EEXIST;
    t->is_named[number] = true;
    *ret_id = number;
    return SL_OK;
}

enum sl_err
sl_actor_table_take(struct sl_actor_table *t, uint32_t number, struct sl_actor_slot **ret_slot)
{
    uint32_t id;
    pthread_mutex_lock(&t->lock);
    enum sl_err err = take_id(t, number, &id);
    if (err == SL_OK) {
        *ret_slot = slot_of(t, id);
        atomic_store_explicit(&(*ret_slot)->id, id, memory_order_relaxed);
    }
    pthread_mutex_unlock(&t->lock);
    return err;
}

void
sl_actor_table_give(struct sl_actor_table *t, uint32_t id)
{
    pthread_mutex_lock(&t->lock);
    if (id < SL_ACTOR_NAMES)
        t->is_named[id] = false;
    else
        sl_actor_ids_give(&t->ids, id);
    pthread_mutex_unlock(&t->lock);
}
