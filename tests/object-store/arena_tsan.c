/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that read, each pin checked byte for byte, beside one writer that never stops. Readers
 * use the store's mappings, since ThreadSanitizer takes two mappings of one file for two memories.
 */
#include <pthread.h>
#include <stdio.h>

#include "object-store/arena_reader_state.h"
#include "object-store/arena_state.h"
#include "runtime/random.h"
#include "tests/object-store/arena_scene.h"

enum { THREADS = 3, IDS = 40, PUTS = 6000, SEGMENTS = 2 };

static struct sl_object_reader *readers[2]; /* One for two threads, one for the third. */
static _Atomic bool is_over;
static _Atomic uint32_t found, failed;

static void *
read_on(void *argument)
{
    uintptr_t thread = (uintptr_t)argument;
    struct sl_object_reader *r = readers[thread / 2];
    struct sl_random random;
    sl_random_seed(&random, thread);
    while (!is_over) {
        struct sl_object_id id = scene_id(sl_random_below(&random, IDS));
        struct sl_object_arena_ref ref;
        uint64_t mark;
        enum sl_err err = sl_object_reader_get(r, &id, &ref);
        if (err == SL_OK) {
            failed += !scene_is_whole(ref.bytes, &mark);
            found++;
            sl_object_reader_release(r, &ref);
        } else if (err != SL_ENOTFOUND && err != SL_EBUSY) {
            failed++;
        }
    }
    return NULL;
}

static void
share(struct sl_object_arena *a, struct sl_object_reader *r, uint32_t number)
{
    r->header = a->header;
    r->table =
        sl_object_arena_table(a->index.base + SL_ARENA_HEADER_BYTES, r->table.count, r->table.seed);
    r->pins = (void *)a->readers[number].base;
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        r->segments[i].base = a->segments[i].memory.base;
        r->segments[i].life = a->segments[i].life;
    }
}

static void
part(struct sl_object_reader **r)
{
    for (uint32_t i = 0; i < SEGMENTS; i++)
        (*r)->segments[i].base = NULL; /* It is the store's. */
    sl_object_reader_detach(r);
}

int
main(void)
{
    struct sl_object_arena *a = NULL;
    struct sl_object_arena_options options = {.tenant = SCENE_TENANT,
                                              .step_bytes = SL_MIB,
                                              .size_bytes_max = SEGMENTS * SL_MIB,
                                              .objects_max = 64};
    struct sl_random random;
    pthread_t threads[THREADS];
    uint32_t numbers[2];
    sl_random_seed(&random, 1);
    sl_assert(sl_object_arena_create(&options, &a) == SL_OK);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct sl_shared segment;
        sl_assert(sl_object_arena_segment_create(SL_MIB, &segment) == SL_OK);
        sl_object_arena_add_segment(a, &segment);
    }
    for (uint32_t i = 0; i < 2; i++) {
        readers[i] = scene_reader(a, &numbers[i]);
        share(a, readers[i], numbers[i]);
    }
    for (uintptr_t i = 0; i < THREADS; i++)
        sl_assert(pthread_create(&threads[i], NULL, read_on, (void *)i) == 0);
    for (uint64_t i = 1; i <= PUTS; i++) {
        uint64_t n = sl_random_below(&random, IDS);
        struct sl_object_id id = scene_id(n);
        enum sl_err err = scene_put(a, n, 8 + sl_random_below(&random, 120000), i);
        if (err == SL_EEXIST)
            err = sl_object_arena_delete(a, &id);
        failed += err != SL_OK && err != SL_EFULL;
        if (i % 64 == 0)
            (void)sl_object_arena_collect(a);
    }
    is_over = true;
    for (uint32_t i = 0; i < THREADS; i++)
        sl_assert(pthread_join(threads[i], NULL) == 0);
    for (uint32_t i = 0; i < 2; i++) {
        part(&readers[i]);
        failed += sl_object_arena_dismiss(a, numbers[i]) != 0;
    }
    sl_object_arena_destroy(&a);
    failed += found == 0;
    printf("%s - %u objects read beside a writer\n", failed == 0 ? "ok" : "not ok", found);
    return failed != 0;
}
