/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/arena.h"

#include <stdalign.h>

#include "runtime/alloc.h"

#define ARENA_MAGIC 0x61726e61u
#define BLOCK_SIZE  ((size_t)8192 - 64) /* With the heap's own header just under two pages. */

struct block {
    struct block *next;
    size_t size, used;
    alignas(max_align_t) uint8_t bytes[];
};

struct deferred {
    struct deferred *next;
    void (*destroy)(void *thing);
    void *thing;
};

struct sl_arena {
    uint32_t magic;
    struct deferred *deferred;
    struct block *blocks; /* The newest first; the oldest holds this struct. */
};

static struct block *
block_create(size_t size)
{
    struct block *block = sl_alloc(sizeof(*block) + size);
    block->next = NULL;
    block->size = size;
    block->used = 0;
    return block;
}

static void *
block_take(struct block *block, size_t size)
{
    size_t at = block->used;
    if (size > block->size - at)
        return NULL;
    /* Round up after the check: the last allocation of a block may end unaligned. */
    block->used =
        SL_MIN(block->size, (at + size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1));
    return block->bytes + at;
}

struct sl_arena *
sl_arena_create(void)
{
    struct block *block = block_create(BLOCK_SIZE - sizeof(struct block));
    struct sl_arena *arena = block_take(block, sizeof(*arena));
    *arena = (struct sl_arena){.magic = ARENA_MAGIC, .blocks = block};
    return arena;
}

void
sl_arena_destroy(struct sl_arena **arena)
{
    sl_assert(arena != NULL);
    if (*arena == NULL)
        return;
    sl_assert((*arena)->magic == ARENA_MAGIC);
    for (struct deferred *d = (*arena)->deferred; d != NULL; d = d->next)
        d->destroy(d->thing);
    struct block *block = (*arena)->blocks;
    *arena = NULL;
    while (block != NULL) {
        struct block *next = block->next;
        sl_free(block);
        block = next;
    }
}

void *
sl_arena_alloc_raw(struct sl_arena *arena, size_t size)
{
    sl_assert(arena != NULL && arena->magic == ARENA_MAGIC);
    sl_assert(size < SIZE_MAX / 2);
    size = SL_MAX(size, 1); /* Two allocations never share an address. */
    void *memory = block_take(arena->blocks, size);
    if (memory == NULL) {
        struct block *block = block_create(SL_MAX(size, BLOCK_SIZE - sizeof(struct block)));
        block->next = arena->blocks;
        arena->blocks = block;
        memory = block_take(block, size);
        sl_assert(memory != NULL);
    }
    return memory;
}

void *
sl_arena_alloc(struct sl_arena *arena, size_t size)
{
    return memset(sl_arena_alloc_raw(arena, size), 0, size);
}

void
sl_arena_defer(struct sl_arena *arena, void (*destroy)(void *thing), void *thing)
{
    sl_assert(destroy != NULL);
    struct deferred *d = sl_arena_alloc(arena, sizeof(*d));
    d->next = arena->deferred;
    d->destroy = destroy;
    d->thing = thing;
    arena->deferred = d;
}

struct sl_arena_mark
sl_arena_mark(const struct sl_arena *arena)
{
    sl_assert(arena != NULL && arena->magic == ARENA_MAGIC);
    return (struct sl_arena_mark){arena->blocks, arena->deferred, arena->blocks->used};
}

void
sl_arena_rewind(struct sl_arena *arena, struct sl_arena_mark mark)
{
    sl_assert(arena != NULL && arena->magic == ARENA_MAGIC);
    while (arena->deferred != mark.deferred) {
        struct deferred *d = arena->deferred;
        sl_assert(d != NULL); /* Else the mark is none of this arena, or was rewound past. */
        arena->deferred = d->next;
        d->destroy(d->thing);
    }
    while (arena->blocks != mark.block) {
        struct block *block = arena->blocks;
        sl_assert(block->next != NULL);
        arena->blocks = block->next;
        sl_free(block);
    }
    sl_assert(mark.used <= arena->blocks->used);
    arena->blocks->used = mark.used;
}
