/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that ends with one call. Bump allocation in blocks; a small call costs one heap
 * allocation, for itself and all its texts. Threading: one owner at a time.
 */
#ifndef SL_GATEWAY_ARENA_H
#define SL_GATEWAY_ARENA_H

#include "runtime/base.h"

struct sl_arena;

/* Never NULL. */
struct sl_arena *sl_arena_create(void);
/* Free everything taken from it. *arena may be NULL already. */
void sl_arena_destroy(struct sl_arena **arena);

/* Zeroed, aligned for any type; lives until the arena is destroyed. */
void *sl_arena_alloc(struct sl_arena *arena, size_t size);
void *sl_arena_alloc_raw(struct sl_arena *arena, size_t size); /* The same, not zeroed. */

/* Have destroy call `destroy(thing)` first, the latest thing first: what the heap holds for a call.
 */
void sl_arena_defer(struct sl_arena *arena, void (*destroy)(void *thing), void *thing);

/*
 * A place to go back to: a loop over many rows gives back what one row took. rewind runs what was
 * deferred since the mark and frees what was taken since; marks nest.
 */
struct sl_arena_mark {
    const void *block, *deferred;
    size_t used;
};
struct sl_arena_mark sl_arena_mark(const struct sl_arena *arena);
void sl_arena_rewind(struct sl_arena *arena, struct sl_arena_mark mark);

#endif
