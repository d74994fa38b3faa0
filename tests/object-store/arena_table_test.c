/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <inttypes.h>

#include "object-store/arena_table.h"
#include "runtime/alloc.h"
#include "runtime/random.h"

enum { COUNT = 1024, IDS = 2000, SEED = 99 };

static struct sl_object_id ids[IDS];
static struct sl_object_arena_place places[IDS]; /* birth 0: it is not there. */
static uint32_t entries_of[IDS];

static void
make_ids(void)
{
    for (uint32_t i = 0; i < IDS; i++)
        cr_assert_eq(sl_object_id_named(0, sl_slice(&i, sizeof(i)), &ids[i]), SL_OK);
}

static void *
new_memory(uint32_t count)
{
    return sl_zalloc(sl_object_arena_table_bytes(count));
}

/* What a reader finds is what the model says. */
static void
check_find(const struct sl_object_arena_table *t, uint32_t at)
{
    struct sl_object_arena_seen seen;
    enum sl_err err = sl_object_arena_find(t, &ids[at], &seen);
    cr_assert_eq(err, places[at].birth == 0 ? SL_ENOTFOUND : SL_OK, "id %u: %s", at,
                 sl_err_name(err));
    if (err != SL_OK)
        return;
    cr_assert_eq(seen.entry, entries_of[at], "an entry moved");
    cr_assert_eq(seen.birth, places[at].birth);
    cr_assert_eq(seen.offset, places[at].offset);
    cr_assert_eq(seen.size_bytes, places[at].size_bytes);
    cr_assert(sl_object_arena_is_same(t, &seen));
}

static void
check_seed(uint64_t seed)
{
    void *memory = new_memory(COUNT);
    struct sl_object_arena_writer *w = sl_object_arena_writer_create(memory, COUNT, SEED);
    struct sl_object_arena_table t = sl_object_arena_table(memory, COUNT, SEED);
    struct sl_random r;
    uint32_t used = 0, entry;
    sl_random_seed(&r, seed);
    memset(places, 0, sizeof(places));
    for (uint64_t i = 1; i <= 60000; i++) {
        uint32_t at = (uint32_t)sl_random_below(&r, IDS);
        if (places[at].birth == 0) {
            struct sl_object_arena_place place = {
                .birth = i, .offset = i * 64, .size_bytes = 1 + sl_random_below(&r, 1000)};
            enum sl_err err = sl_object_arena_writer_insert(w, &ids[at], &place, &entry);
            cr_assert_eq(err, used == COUNT / 2 ? SL_EFULL : SL_OK, "seed %" PRIu64, seed);
            if (err == SL_OK) {
                places[at] = place;
                entries_of[at] = entry;
                used++;
            }
        } else {
            cr_assert_eq(sl_object_arena_writer_insert(w, &ids[at], &places[at], &entry),
                         SL_EEXIST);
            sl_object_arena_writer_hide(w, entries_of[at]);
            if (sl_random_below(&r, 4) == 0) {
                sl_object_arena_writer_show(w, entries_of[at]);
            } else {
                sl_object_arena_writer_drop(w, entries_of[at]);
                places[at].birth = 0;
                used--;
            }
        }
        check_find(&t, at);
        check_find(&t, (uint32_t)sl_random_below(&r, IDS));
        cr_assert_eq(sl_object_arena_writer_used(w), used);
    }
    for (uint32_t i = 0; i < IDS; i++)
        check_find(&t, i);
    sl_object_arena_writer_destroy(&w);
    sl_free(memory);
}

Test(arena_table, readers_find_what_a_map_would_hold)
{
    make_ids();
    for (uint64_t seed = 1; seed <= 10; seed++)
        check_seed(seed);
}

Test(arena_table, hidden_entries_are_found_by_nobody_and_taken_by_nobody)
{
    void *memory = new_memory(COUNT);
    struct sl_object_arena_writer *w = sl_object_arena_writer_create(memory, COUNT, SEED);
    struct sl_object_arena_table t = sl_object_arena_table(memory, COUNT, SEED);
    struct sl_object_arena_place place = {.birth = 1, .offset = 0, .size_bytes = 1};
    struct sl_object_arena_seen seen, before;
    uint32_t first, second;
    make_ids();
    cr_assert_eq(sl_object_arena_writer_insert(w, &ids[0], &place, &first), SL_OK);
    cr_assert_eq(sl_object_arena_find(&t, &ids[0], &before), SL_OK);
    sl_object_arena_writer_hide(w, first);
    cr_assert_not(sl_object_arena_is_same(&t, &before), "who found it before notices");
    cr_assert_eq(sl_object_arena_find(&t, &ids[0], &seen), SL_ENOTFOUND);
    place.birth = 2;
    cr_assert_eq(sl_object_arena_writer_insert(w, &ids[0], &place, &second), SL_OK);
    cr_assert_neq(first, second);
    struct sl_object_id id;
    sl_object_arena_writer_id(w, first, &id);
    cr_assert_arr_eq(id.key, ids[0].key, sizeof(id.key));
    sl_object_arena_writer_drop(w, first);
    cr_assert_eq(sl_object_arena_find(&t, &ids[0], &seen), SL_OK);
    cr_assert_eq(seen.birth, 2);
    cr_assert_not(sl_object_arena_is_same(&t, &before));
    sl_object_arena_writer_destroy(&w);
    sl_free(memory);
}

Test(arena_table, names_and_contents_of_the_same_digest_are_two_objects)
{
    void *memory = new_memory(64);
    struct sl_object_arena_writer *w = sl_object_arena_writer_create(memory, 64, SEED);
    struct sl_object_arena_table t = sl_object_arena_table(memory, 64, SEED);
    struct sl_object_arena_place place = {.birth = 5, .size_bytes = 1};
    struct sl_object_id name, content;
    struct sl_object_arena_seen seen;
    uint32_t entry;
    cr_assert_eq(sl_object_id_named(0, sl_slice_str("a"), &name), SL_OK);
    sl_object_id_content(0, sl_slice_str("a"), &content);
    cr_assert_arr_eq(name.key, content.key, sizeof(name.key));
    cr_assert_eq(sl_object_arena_writer_insert(w, &name, &place, &entry), SL_OK);
    cr_assert_eq(sl_object_arena_find(&t, &content, &seen), SL_ENOTFOUND);
    cr_assert_eq(sl_object_arena_writer_insert(w, &content, &place, &entry), SL_OK);
    sl_object_arena_writer_destroy(&w);
    sl_free(memory);
}

/* Ids that somebody chose so that they all collide: the table refuses, it does not crawl. */
Test(arena_table, refuses_ids_that_crowd_one_place)
{
    enum { MANY = 4096 };
    void *memory = new_memory(MANY);
    struct sl_object_arena_writer *w = sl_object_arena_writer_create(memory, MANY, SEED);
    struct sl_object_arena_place place = {.size_bytes = 1};
    uint32_t count = 0, entry;
    enum sl_err err = SL_OK;
    for (uint64_t i = 0; err == SL_OK; i++) {
        struct sl_object_id id = {.kind = SL_OBJECT_NAMED, .key = {7, 7, i, 0}};
        place.birth = i + 1;
        err = sl_object_arena_writer_insert(w, &id, &place, &entry);
        count += err == SL_OK;
    }
    cr_assert_eq(err, SL_EFULL);
    cr_assert_leq(count, SL_ARENA_HOMES * SL_ARENA_BUCKET);
    struct sl_object_id other = {.kind = SL_OBJECT_NAMED, .key = {8, 1234567, 0, 0}};
    cr_assert_eq(sl_object_arena_writer_insert(w, &other, &place, &entry), SL_OK);
    sl_object_arena_writer_destroy(&w);
    sl_free(memory);
}

Test(arena_table, a_change_that_never_ends_is_reported)
{
    void *memory = new_memory(64);
    struct sl_object_arena_table t = sl_object_arena_table(memory, 64, 0);
    struct sl_object_id id = {.kind = SL_OBJECT_NAMED};
    struct sl_object_arena_seen seen;
    uint32_t homes[SL_ARENA_HOMES];
    uint64_t tag = sl_object_arena_homes(&id, 0, 64, homes);
    struct sl_object_arena_entry *entries = (void *)((uint8_t *)memory + 64);
    ((uint8_t *)memory)[homes[0]] = (uint8_t)tag;
    atomic_store(&entries[homes[0]].seq, 3);
    cr_assert_eq(sl_object_arena_find(&t, &id, &seen), SL_EBUSY);
    sl_free(memory);
}

/* The oldest goes for each new one, twenty times round: no place gets crowded. */
Test(arena_table, takes_as_many_as_it_says_however_long_it_is_used)
{
    enum { MANY = 131072, LIVE = MANY / 2 };
    static uint32_t alive[LIVE];
    void *memory = new_memory(MANY);
    struct sl_object_arena_writer *w = sl_object_arena_writer_create(memory, MANY, SEED);
    for (uint64_t i = 0; i < 20 * LIVE; i++) {
        struct sl_object_arena_place place = {.birth = i + 1, .size_bytes = 1};
        struct sl_object_id id;
        uint32_t *entry = &alive[i % LIVE];
        sl_object_id_content(0, sl_slice(&i, sizeof(i)), &id);
        if (i >= LIVE) {
            sl_object_arena_writer_hide(w, *entry);
            sl_object_arena_writer_drop(w, *entry);
        }
        cr_assert_eq(sl_object_arena_writer_insert(w, &id, &place, entry), SL_OK, "at %" PRIu64, i);
    }
    sl_object_arena_writer_destroy(&w);
    sl_free(memory);
}
