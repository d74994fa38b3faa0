/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object-store/arena_index.h"
#include "runtime/random.h"
#include "tests/object-store/arena_scene.h"

enum { OBJECTS = 600 };

static struct sl_object_arena *
new_arena(struct sl_object_arena_options options)
{
    struct sl_object_arena *a = NULL;
    options.tenant = SCENE_TENANT;
    options.step_bytes = SL_MIB;
    if (options.size_bytes_max == 0)
        options.size_bytes_max = 4 * SL_MIB;
    if (options.objects_max == 0)
        options.objects_max = 256;
    cr_assert_eq(sl_object_arena_create(&options, &a), SL_OK);
    return a;
}

static struct sl_object_arena_stats
stats_of(struct sl_object_arena *a)
{
    struct sl_object_arena_stats stats;
    sl_object_arena_stats(a, &stats);
    return stats;
}

/* It may be gone already. */
static void
forget(struct sl_object_arena *a, struct sl_object_id id)
{
    enum sl_err err = sl_object_arena_delete(a, &id);
    cr_assert(err == SL_OK || err == SL_ENOTFOUND);
}

Test(arena, an_object_is_read_in_place_by_who_maps_it)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){0});
    struct sl_object_arena_ref ref, none;
    uint32_t number;
    struct sl_object_reader *r = scene_reader(a, &number);
    cr_assert_eq(scene_get(a, r, 1, &ref), SL_ENOTFOUND);
    cr_assert_eq(scene_put(a, 1, 5000, 77), SL_OK);
    struct sl_object_id id = scene_id(1);
    cr_assert_eq(sl_object_reader_get(r, &id, &ref), SL_EUNAVAIL, "a segment it has not mapped");
    cr_assert_eq(sl_object_reader_pins(r), 0);
    cr_assert_eq(scene_get(a, r, 1, &ref), SL_OK);
    uint64_t mark;
    cr_assert(scene_is_whole(ref.bytes, &mark) && mark == 77 && ref.bytes.size == 5000);
    cr_assert_eq(stats_of(a).pins, 1);
    sl_object_reader_release(r, &ref);
    cr_assert_eq(stats_of(a).pins, 0);
    id.tenant++;
    cr_assert_eq(sl_object_reader_get(r, &id, &none), SL_ENOTFOUND, "another tenant's");
    id = (struct sl_object_id){.tenant = SCENE_TENANT};
    cr_assert_eq(sl_object_reader_get(r, &id, &none), SL_EINVAL);
    sl_object_reader_detach(&r);
    cr_assert_eq(sl_object_arena_dismiss(a, number), 0);
    sl_object_arena_destroy(&a);
}

Test(arena, what_is_pinned_outlives_its_deletion_unchanged)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){0});
    struct sl_object_arena_ref ref, other;
    uint32_t number;
    uint64_t mark;
    struct sl_object_reader *r = scene_reader(a, &number);
    cr_assert_eq(scene_put(a, 1, 100000, 1), SL_OK);
    cr_assert_eq(scene_get(a, r, 1, &ref), SL_OK);
    struct sl_object_id id = scene_id(1);
    cr_assert_eq(sl_object_arena_delete(a, &id), SL_OK);
    cr_assert_eq(sl_object_arena_delete(a, &id), SL_ENOTFOUND);
    cr_assert_eq(scene_get(a, r, 1, &other), SL_ENOTFOUND);
    for (uint64_t i = 2; i < 100; i++)
        cr_assert_eq(scene_put(a, i, 100000, i), SL_OK, "the others replace each other");
    cr_assert_eq(scene_put(a, 1, 3000, 1000), SL_OK, "the id is free again");
    cr_assert(scene_is_whole(ref.bytes, &mark) && mark == 1);
    cr_assert_eq(stats_of(a).leaving, 1);
    sl_object_reader_release(r, &ref);
    cr_assert_geq(sl_object_arena_collect(a), 100000);
    cr_assert_eq(stats_of(a).leaving, 0);
    cr_assert_eq(scene_get(a, r, 1, &ref), SL_OK);
    cr_assert(scene_is_whole(ref.bytes, &mark) && mark == 1000);
    sl_object_reader_detach(&r);
    cr_assert_eq(sl_object_arena_dismiss(a, number), 1, "the pin that was left");
    sl_object_arena_destroy(&a);
}

Test(arena, refuses_when_all_is_pinned_and_goes_on_when_it_is_not)
{
    struct sl_object_arena *a =
        new_arena((struct sl_object_arena_options){.size_bytes_max = 2 * SL_MIB});
    struct sl_object_arena_ref refs[4], ref;
    uint32_t number;
    struct sl_object_arena_draft draft;
    struct sl_object_reader *r = scene_reader(a, &number);
    for (uint64_t i = 0; i < 4; i++) {
        cr_assert_eq(scene_put(a, i, SL_MIB / 2, i), SL_OK);
        cr_assert_eq(scene_get(a, r, i, &refs[i]), SL_OK);
    }
    cr_assert_eq(scene_put(a, 9, 1, 9), SL_EFULL);
    cr_assert_eq(sl_object_arena_begin(a, SL_MIB / 2 + 1, &draft), SL_ETOOBIG);
    sl_object_reader_release(r, &refs[2]);
    cr_assert_eq(scene_put(a, 9, 1, 9), SL_OK);
    cr_assert_eq(scene_get(a, r, 2, &ref), SL_ENOTFOUND, "the only one that could go");
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t mark;
        cr_assert(i == 2 || (scene_is_whole(refs[i].bytes, &mark) && mark == i));
    }
    sl_object_reader_detach(&r);
    cr_assert_eq(sl_object_arena_dismiss(a, number), 3);
    sl_object_arena_destroy(&a);
}

Test(arena, keeps_what_readers_ask_for)
{
    struct sl_object_arena *a =
        new_arena((struct sl_object_arena_options){.size_bytes_max = SL_MIB});
    uint32_t number, found = 0;
    struct sl_object_reader *r = scene_reader(a, &number);
    cr_assert_eq(scene_put(a, 0, 10000, 0), SL_OK);
    for (uint64_t i = 1; i < 500; i++) {
        struct sl_object_arena_ref ref;
        if (scene_get(a, r, 0, &ref) == SL_OK) {
            found++;
            sl_object_reader_release(r, &ref);
        }
        cr_assert_eq(scene_put(a, i, 10000, i), SL_OK);
    }
    cr_assert_eq(found, 499, "it was asked for all the time");
    cr_assert_gt(stats_of(a).evicted, 350);
    sl_object_reader_detach(&r);
    (void)sl_object_arena_dismiss(a, number);
    sl_object_arena_destroy(&a);
}

/* ---- what cannot be made again ------------------------------------------------------------- */

struct shelf {
    uint32_t count;
    bool is_full;
};

static bool
take(void *owner, const struct sl_object_id *id, struct sl_slice bytes)
{
    struct shelf *shelf = owner;
    uint64_t mark;
    cr_assert(scene_is_whole(bytes, &mark));
    struct sl_object_id expected = scene_id(mark);
    cr_assert(sl_object_id_equal(id, &expected), "the bytes are those of the id");
    shelf->count += !shelf->is_full;
    return !shelf->is_full;
}

static enum sl_err
put_keep(struct sl_object_arena *a, uint64_t number)
{
    static uint8_t bytes[SL_MIB / 8];
    struct sl_object_id id = scene_id(number);
    scene_fill(bytes, sizeof(bytes), number);
    return sl_object_arena_put(a, &id, sl_slice(bytes, sizeof(bytes)), SL_ARENA_KEEP);
}

Test(arena, spills_what_cannot_be_made_again_after_all_else_and_loses_none)
{
    struct shelf shelf = {0};
    struct sl_object_arena *a = new_arena(
        (struct sl_object_arena_options){.size_bytes_max = SL_MIB, .owner = &shelf, .spill = take});
    for (uint64_t i = 0; i < 4; i++)
        cr_assert_eq(put_keep(a, i), SL_OK);
    for (uint64_t i = 4; i < 8; i++)
        cr_assert_eq(scene_put(a, i, SL_MIB / 8, i), SL_OK);
    for (uint64_t i = 8; i < 12; i++)
        cr_assert_eq(put_keep(a, i), SL_OK);
    cr_assert_eq(shelf.count, 0, "what can be made again goes first");
    cr_assert_eq(stats_of(a).evicted, 4);
    for (uint64_t i = 12; i < 15; i++)
        cr_assert_eq(put_keep(a, i), SL_OK);
    cr_assert_eq(shelf.count, 3);
    cr_assert_eq(stats_of(a).spilled, 3);
    shelf.is_full = true;
    cr_assert_eq(put_keep(a, 15), SL_EFULL, "there is nowhere to put it");
    cr_assert_eq(stats_of(a).objects, 8, "and what was there is there");
    cr_assert_eq(put_keep(a, 14), SL_EEXIST);
    sl_object_arena_destroy(&a);
}

/* ---- growth -------------------------------------------------------------------------------- */

Test(arena, grows_in_steps_and_gives_back_what_is_empty)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){0});
    struct sl_object_arena_ref ref;
    uint32_t number;
    struct sl_shared ahead;
    struct sl_object_reader *r = scene_reader(a, &number);
    cr_assert_eq(stats_of(a).segments, 0, "made at the first object");
    cr_assert(sl_object_arena_wants_segment(a));
    cr_assert_eq(sl_object_arena_segment_create(SL_MIB, &ahead), SL_OK);
    sl_object_arena_add_segment(a, &ahead);
    cr_assert_not(sl_object_arena_wants_segment(a));
    for (uint64_t i = 0; i < 8; i++) {
        cr_assert_eq(scene_put(a, i, SL_MIB / 2, i), SL_OK);
        cr_assert_eq(scene_get(a, r, i, &ref), SL_OK);
        sl_object_reader_release(r, &ref);
    }
    cr_assert_eq(stats_of(a).segments, 4);
    cr_assert_not(sl_object_arena_wants_segment(a), "it has all that it may");
    for (uint64_t i = 2; i < 8; i++) {
        struct sl_object_id id = scene_id(i);
        cr_assert_eq(sl_object_arena_delete(a, &id), SL_OK);
    }
    cr_assert_eq(sl_object_arena_trim(a, 1), 3 * SL_MIB);
    cr_assert_eq(sl_object_reader_trim(r), 3);
    /* The same numbers in another life: the reader must not take the old ones for them. */
    for (uint64_t i = 10; i < 16; i++) {
        uint64_t mark;
        cr_assert_eq(scene_put(a, i, SL_MIB / 2, i), SL_OK);
        cr_assert_eq(scene_get(a, r, i, &ref), SL_OK);
        cr_assert(scene_is_whole(ref.bytes, &mark) && mark == i);
        sl_object_reader_release(r, &ref);
    }
    sl_object_reader_detach(&r);
    (void)sl_object_arena_dismiss(a, number);
    sl_object_arena_destroy(&a);
}

Test(arena, a_segment_in_another_life_is_not_taken_for_the_old_one)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){0});
    struct sl_object_arena_ref ref;
    uint32_t number;
    uint64_t mark;
    struct sl_object_reader *r = scene_reader(a, &number);
    for (uint64_t i = 1; i < 6; i++) {
        struct sl_object_id id = scene_id(1);
        cr_assert_eq(scene_put(a, 1, 1000, i), SL_OK);
        cr_assert_eq(sl_object_reader_get(r, &id, &ref), SL_EUNAVAIL, "without a trim");
        cr_assert_eq(scene_get(a, r, 1, &ref), SL_OK);
        cr_assert(scene_is_whole(ref.bytes, &mark) && mark == i);
        cr_assert_eq(sl_object_arena_delete(a, &id), SL_OK);
        cr_assert_eq(sl_object_arena_trim(a, 0), 0, "it is pinned");
        sl_object_reader_release(r, &ref);
        cr_assert_eq(sl_object_arena_trim(a, 0), SL_MIB);
    }
    sl_object_reader_detach(&r);
    (void)sl_object_arena_dismiss(a, number);
    sl_object_arena_destroy(&a);
}

/* ---- bounds -------------------------------------------------------------------------------- */

Test(arena, a_reader_has_its_pins_and_no_more)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){.pins_max = 3});
    struct sl_object_arena_ref refs[4];
    uint32_t number;
    struct sl_object_reader *r = scene_reader(a, &number);
    cr_assert_eq(scene_put(a, 1, 10, 1), SL_OK);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(scene_get(a, r, 1, &refs[i]), SL_OK);
    cr_assert_eq(scene_get(a, r, 1, &refs[3]), SL_EFULL);
    sl_object_reader_release(r, &refs[1]);
    cr_assert_eq(scene_get(a, r, 1, &refs[3]), SL_OK);
    cr_assert_eq(stats_of(a).pins, 3);
    sl_object_reader_detach(&r);
    cr_assert_eq(sl_object_arena_dismiss(a, number), 3);
    sl_object_arena_destroy(&a);
}

Test(arena, takes_so_many_readers_and_makes_room_for_so_many_objects)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){.objects_max = 64});
    struct sl_object_arena_grant grant;
    for (uint32_t i = 0; i < SL_ARENA_READERS_MAX; i++)
        cr_assert_eq(sl_object_arena_admit(a, &grant), SL_OK);
    cr_assert_eq(sl_object_arena_admit(a, &grant), SL_EFULL);
    cr_assert_eq(sl_object_arena_dismiss(a, 100), 0);
    cr_assert_eq(sl_object_arena_admit(a, &grant), SL_OK);
    cr_assert_eq(grant.reader, 100);
    for (uint64_t i = 0; i < 300; i++)
        cr_assert_eq(scene_put(a, i, 10, i), SL_OK);
    cr_assert_leq(stats_of(a).objects, 64);
    sl_object_arena_destroy(&a);
}

/* A reader that writes nonsense where its pins belong holds up nobody but its own tenant. */
Test(arena, the_store_survives_any_pins)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){0});
    struct sl_object_arena_grant grant;
    struct sl_random random;
    sl_random_seed(&random, 5);
    cr_assert_eq(sl_object_arena_admit(a, &grant), SL_OK);
    struct sl_shared file;
    cr_assert_eq(sl_shared_attach(grant.pins_fd, 1, true, &file), SL_OK);
    for (uint32_t round = 0; round < 300; round++) {
        for (uint64_t i = 0; i + 8 <= file.size_bytes; i += 8) {
            uint64_t word = sl_random_u64(&random) >> sl_random_below(&random, 64);
            memcpy(file.base + i, &word, 8);
        }
        enum sl_err err = scene_put(a, round, 30000, round);
        cr_assert(err == SL_OK || err == SL_EFULL);
        struct sl_object_id id = scene_id(sl_random_below(&random, round + 1));
        forget(a, id);
        (void)sl_object_arena_collect(a);
    }
    memset(file.base, 0xff, file.size_bytes);
    (void)stats_of(a);
    sl_shared_destroy(&file);
    (void)sl_object_arena_dismiss(a, grant.reader);
    struct sl_object_arena_stats stats = stats_of(a);
    cr_assert_eq(stats.leaving, 0);
    cr_assert_eq(stats.pins, 0);
    sl_object_arena_destroy(&a);
}

static void
check_cannot_write(int fd)
{
    cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    cr_assert_eq(pwrite(fd, "x", 1, 0), -1);
    cr_assert_eq(ftruncate(fd, 0), -1);
    cr_assert_eq(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    void *base = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert_neq(base, MAP_FAILED);
    cr_assert_eq(mprotect(base, 4096, PROT_READ | PROT_WRITE), -1);
    cr_assert_eq(munmap(base, 4096), 0);
}

/* Not even by opening the descriptor again. */
Test(arena, readers_can_write_neither_index_nor_data)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){0});
    struct sl_object_arena_grant grant;
    int fd;
    uint64_t life;
    char path[64];
    cr_assert_eq(scene_put(a, 1, 100, 1), SL_OK);
    cr_assert_eq(sl_object_arena_admit(a, &grant), SL_OK);
    cr_assert_eq(sl_object_arena_segment_lookup(a, 0, &fd, &life), SL_OK);
    check_cannot_write(grant.index_fd);
    check_cannot_write(fd);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_geq(again, 0);
    check_cannot_write(again);
    (void)close(again);
    cr_assert_eq(ftruncate(grant.pins_fd, 0), -1, "the store reads that file");
    sl_object_arena_destroy(&a);
}

/* All that read it have ended: their pins are taken back, and nothing is left of what is deleted.
 */
static void
check_end(struct sl_object_arena *a, struct sl_object_reader *readers[3], const uint32_t numbers[3],
          uint32_t pins)
{
    cr_assert_eq(stats_of(a).pins, pins);
    for (uint32_t i = 0; i < 3; i++) {
        sl_object_reader_detach(&readers[i]);
        pins -= sl_object_arena_dismiss(a, numbers[i]);
    }
    cr_assert_eq(pins, 0, "all are taken back");
    for (uint64_t n = 0; n < OBJECTS; n++) {
        struct sl_object_id id = scene_id(n);
        forget(a, id);
    }
    struct sl_object_arena_stats stats = stats_of(a);
    cr_assert_eq(stats.objects + stats.leaving, 0);
    cr_assert_eq(stats.object_bytes + stats.taken_bytes, 0, "it leaks");
}

/* Everything at once against a map: what is there is whole, what is pinned stays, none leaks. */
static void
check_seed(uint64_t seed)
{
    struct sl_object_arena *a =
        new_arena((struct sl_object_arena_options){.size_bytes_max = 2 * SL_MIB});
    struct sl_object_reader *readers[3];
    struct {
        struct sl_object_arena_ref ref;
        struct sl_object_reader *reader;
        uint64_t mark;
    } held[40] = {0};
    uint32_t numbers[3];
    static uint64_t marks[OBJECTS];
    struct sl_random r;
    sl_random_seed(&r, seed);
    memset(marks, 0, sizeof(marks));
    for (uint32_t i = 0; i < 3; i++)
        readers[i] = scene_reader(a, &numbers[i]);
    for (uint64_t step = 1; step <= 6000; step++) {
        uint64_t n = sl_random_below(&r, OBJECTS), at = sl_random_below(&r, 40), mark;
        struct sl_object_id id = scene_id(n);
        enum sl_err err;
        switch (sl_random_below(&r, 5)) {
        case 0:
        case 1:
            err = scene_put(a, n, 8 + sl_random_below(&r, 60000), step);
            cr_assert(err == SL_OK || err == SL_EEXIST || err == SL_EFULL);
            marks[n] = err == SL_OK ? step : marks[n];
            break;
        case 2:
            forget(a, id);
            break;
        case 3:
            if (held[at].reader != NULL) {
                cr_assert(scene_is_whole(held[at].ref.bytes, &mark));
                cr_assert_eq(mark, held[at].mark, "seed %" PRIu64 ": a pinned object", seed);
                sl_object_reader_release(held[at].reader, &held[at].ref);
                held[at].reader = NULL;
            }
            break;
        default:
            if (held[at].reader != NULL)
                break;
            held[at].reader = readers[sl_random_below(&r, 3)];
            err = scene_get(a, held[at].reader, n, &held[at].ref);
            if (err != SL_OK) {
                cr_assert_eq(err, SL_ENOTFOUND);
                held[at].reader = NULL;
                break;
            }
            cr_assert(scene_is_whole(held[at].ref.bytes, &held[at].mark));
            cr_assert_eq(held[at].mark, marks[n]);
        }
    }
    uint32_t pins = 0;
    for (uint32_t i = 0; i < 40; i++)
        pins += held[i].reader != NULL;
    check_end(a, readers, numbers, pins);
    sl_object_arena_destroy(&a);
}

Test(arena, does_what_a_map_would_and_leaks_nothing)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        check_seed(seed);
}

Test(arena, who_is_dismissed_gets_nothing_more)
{
    struct sl_object_arena *a = new_arena((struct sl_object_arena_options){0});
    struct sl_object_arena_ref ref;
    uint32_t number;
    struct sl_object_reader *r = scene_reader(a, &number);
    cr_assert_eq(scene_put(a, 1, 100, 1), SL_OK);
    cr_assert_eq(scene_get(a, r, 1, &ref), SL_OK);
    sl_object_reader_release(r, &ref);
    cr_assert_eq(sl_object_arena_dismiss(a, number), 0);
    cr_assert_eq(scene_get(a, r, 1, &ref), SL_ESTALE, "its process is alive still");
    cr_assert_eq(sl_object_reader_pins(r), 0);
    sl_object_reader_detach(&r);
    sl_object_arena_destroy(&a);
}
