/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/message_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "runtime/alloc.h"

#define LINE       64
#define SLAB_BYTES (32 * 1024)
#define BATCH      64 /* Blocks that move to or from the depot at once. */

#if defined(__SANITIZE_ADDRESS__)
#define IS_POOLED false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_POOLED false
#endif
#endif
#ifndef IS_POOLED
#define IS_POOLED true
#endif

struct block {
    struct block *next;
    struct block *next_batch; /* Of a batch's first block, in the depot. */
};

/* Two stacks: one is used, the other full or empty, so that a thread at the edge of a batch does
   not go to the depot each time. */
struct cache {
    struct block *free;
    struct block *spare; /* NULL or a full batch. */
    uint32_t count;      /* Of `free`. */
};

struct depot {
    pthread_mutex_t lock;
    struct block *batches;
};

static _Thread_local struct cache caches[SL_POOL_CLASSES];
static _Thread_local bool is_known; /* This thread's end will give its blocks back. */
static struct depot depots[SL_POOL_CLASSES] = {{.lock = PTHREAD_MUTEX_INITIALIZER},
                                               {.lock = PTHREAD_MUTEX_INITIALIZER}};
static pthread_key_t end_key;
static pthread_once_t end_once = PTHREAD_ONCE_INIT;

static void
give_batch(uint32_t class, struct block *batch)
{
    pthread_mutex_lock(&depots[class].lock);
    batch->next_batch = depots[class].batches;
    depots[class].batches = batch;
    pthread_mutex_unlock(&depots[class].lock);
}

/* A thread that ends leaves its blocks to the others. A batch may be short then. */
static void
give_all(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < SL_POOL_CLASSES; i++) {
        if (caches[i].free != NULL)
            give_batch(i, caches[i].free);
        if (caches[i].spare != NULL)
            give_batch(i, caches[i].spare);
        caches[i] = (struct cache){0};
    }
}

static void
make_key(void)
{
    sl_assert(pthread_key_create(&end_key, give_all) == 0);
}

/* A slab's blocks, as a batch to use; what is beyond one batch goes to the depot. */
static struct block *
carve(uint32_t class)
{
    size_t size = (size_t)LINE << class;
    char *slab = aligned_alloc(LINE, SLAB_BYTES);
    sl_assert(slab != NULL);
    struct block *batch = NULL;
    for (size_t at = 0, count = 1; at < SLAB_BYTES; at += size, count++) {
        struct block *b = (struct block *)(void *)(slab + at);
        b->next = batch;
        batch = b;
        if (count % BATCH == 0 && at + size < SLAB_BYTES) {
            give_batch(class, batch);
            batch = NULL;
        }
    }
    return batch;
}

static void
refill(uint32_t class)
{
    struct cache *c = &caches[class];
    if (!is_known) {
        pthread_once(&end_once, make_key);
        pthread_setspecific(end_key, caches);
        is_known = true;
    }
    if (c->spare != NULL) {
        c->free = c->spare;
        c->spare = NULL;
        c->count = BATCH;
        return;
    }
    pthread_mutex_lock(&depots[class].lock);
    c->free = depots[class].batches;
    if (c->free != NULL)
        depots[class].batches = c->free->next_batch;
    pthread_mutex_unlock(&depots[class].lock);
    if (c->free == NULL)
        c->free = carve(class);
    c->count = BATCH; /* Too many for a short batch: then it only travels earlier. */
}

void *
sl_pool_alloc(size_t size, uint8_t *ret_pool)
{
    if (!IS_POOLED || size > (size_t)LINE << (SL_POOL_CLASSES - 1)) {
        *ret_pool = SL_POOL_NONE;
        return sl_alloc(size);
    }
    uint32_t class = size > LINE;
    struct cache *c = &caches[class];
    if (__builtin_expect(c->free == NULL, false))
        refill(class);
    struct block *b = c->free;
    c->free = b->next;
    c->count--;
    *ret_pool = (uint8_t)(class + 1);
    return b;
}

void
sl_pool_free(void *memory, uint8_t pool)
{
    if (pool == SL_POOL_NONE) {
        sl_free(memory);
        return;
    }
    struct cache *c = &caches[pool - 1];
    if (__builtin_expect(c->free == NULL || c->count >= BATCH, false)) {
        if (c->free != NULL && c->spare != NULL)
            give_batch(pool - 1, c->spare);
        if (c->free != NULL)
            c->spare = c->free;
        c->free = NULL;
        c->count = 0;
    }
    struct block *b = memory;
    b->next = c->free;
    c->free = b;
    c->count++;
}
