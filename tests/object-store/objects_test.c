/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/large_pool.h"
#include "object-store/objects.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "tests/object-store/arena_scene.h"
#include "tests/rounds.h"
#include "tests/runtime/descriptors.h"

#define FUTURE_WRITE 0x0010 /* F_SEAL_FUTURE_WRITE */
#define A            SCENE_TENANT
#define B            (SCENE_TENANT + 1)
#define LARGE                                                                                      \
    SL_MIB /* Arenas have segments of a MiB here, so objects over half of one are large. */

static char directory[] = "/tmp/objects-XXXXXX";

static void
make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
}

static void
remove_directory(void)
{
    cr_assert_eq(rmdir(directory), 0, "nothing with a name was left in it");
}

TestSuite(objects, .init = make_directory, .fini = remove_directory);

static struct sl_objects *
new_objects(uint64_t node_mib, uint64_t quota, bool is_spilling)
{
    struct sl_objects_options options = {
        .node_bytes_max = node_mib * SL_MIB,
        .tenant_bytes_max = quota,
        .apart_max = 64,
        .spill_directory = is_spilling ? directory : NULL,
        .spill_bytes_max = 64 * SL_MIB,
        .arena = {.step_bytes = SL_MIB, .objects_max = 512, .seed = 4},
    };
    struct sl_objects *o = NULL;
    cr_assert_eq(sl_objects_create(&options, &o), SL_OK);
    return o;
}

static struct sl_object_id
id_of(uint64_t tenant, uint64_t number)
{
    struct sl_object_id id = scene_id(number);
    id.tenant = tenant;
    return id;
}

static enum sl_err
put(struct sl_objects *o, uint64_t tenant, uint64_t number, uint64_t size, uint64_t rebuild_ns)
{
    struct sl_object_id id = id_of(tenant, number);
    uint8_t *bytes = sl_alloc(size);
    scene_fill(bytes, size, number);
    enum sl_err err = sl_objects_put(o, &id, sl_slice(bytes, size), rebuild_ns);
    sl_free(bytes);
    return err;
}

static enum sl_err
look(struct sl_objects *o, uint64_t tenant, uint64_t number, struct sl_objects_found *ret_found)
{
    struct sl_object_id id = id_of(tenant, number);
    uint64_t mark;
    enum sl_err err = sl_objects_find(o, &id, ret_found);
    if (err == SL_OK)
        cr_assert(scene_is_whole(ret_found->bytes, &mark) && mark == number);
    return err;
}

static struct sl_objects_stats
measure(const struct sl_objects *o)
{
    struct sl_objects_stats stats;
    sl_objects_measure(o, &stats);
    return stats;
}

Test(objects, small_ones_lie_in_the_tenants_arena_and_large_ones_in_files_that_we_alone_write)
{
    struct sl_objects *o = new_objects(64, 32 * SL_MIB, false);
    struct sl_objects_found found;
    struct sl_shared here;
    cr_assert_eq(look(o, A, 1, &found), SL_ENOTFOUND);
    cr_assert_eq(put(o, A, 1, 1000, 1), SL_OK);
    cr_assert_eq(put(o, A, 2, LARGE, 1), SL_OK);
    cr_assert_eq(put(o, A, 2, LARGE, 1), SL_EEXIST);
    cr_assert_eq(look(o, A, 1, &found), SL_OK);
    cr_assert_eq(found.fd, -1);
    cr_assert_eq(look(o, A, 2, &found), SL_OK);
    cr_assert_geq(found.fd, 0);
    cr_assert_eq(fcntl(found.fd, F_GET_SEALS),
                 F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | FUTURE_WRITE);
    cr_assert_eq(mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, found.fd, 0), MAP_FAILED);
    cr_assert_eq(pwrite(found.fd, "x", 1, 0), -1);
    cr_assert_eq(fallocate(found.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
    cr_assert_eq(sl_large_attach(found.fd, &here), SL_EINVAL, "nobody takes it for a client's");
    cr_assert_eq(sl_large_map(found.fd, LARGE + 1, &here), SL_EINVAL);
    cr_assert_eq(sl_large_map(found.fd, LARGE, &here), SL_OK);
    cr_assert_eq(look(o, B, 2, &found), SL_ENOTFOUND, "another tenant's");
    struct sl_object_id id = id_of(A, 2);
    cr_assert_eq(sl_objects_delete(o, &id), SL_OK);
    uint64_t mark;
    cr_assert(scene_is_whole(sl_slice(here.base, here.size_bytes), &mark) && mark == 2);
    sl_shared_destroy(&here);
    cr_assert_eq(sl_objects_used(o, A), 1000);
    sl_objects_destroy(&o);
}

Test(objects, a_quota_is_kept_and_concerns_its_tenant_alone)
{
    struct sl_objects *o = new_objects(64, 3 * SL_MIB, false);
    struct sl_objects_found found;
    cr_assert_eq(sl_objects_quota(o, B, 2 * SL_MIB), SL_OK);
    cr_assert_eq(put(o, A, 1, LARGE, SL_ARENA_KEEP), SL_OK);
    cr_assert_eq(put(o, A, 2, LARGE, 5), SL_OK);
    cr_assert_eq(put(o, A, 3, LARGE, SL_ARENA_KEEP), SL_OK);
    cr_assert_eq(put(o, A, 4, LARGE, SL_ARENA_KEEP), SL_OK, "what can be made again goes");
    cr_assert_eq(look(o, A, 2, &found), SL_ENOTFOUND);
    cr_assert_eq(put(o, A, 5, 1, 5), SL_EFULL, "and nothing else");
    cr_assert_eq(put(o, B, 1, 2 * SL_MIB, 5), SL_OK);
    cr_assert_eq(put(o, B, 2, 2 * SL_MIB + 1, 5), SL_EFULL);
    cr_assert_eq(look(o, B, 1, &found), SL_OK, "one that never fits makes nothing go");
    for (uint64_t i = 10; i < 2000; i++) {
        cr_assert_eq(put(o, B, i, 3000, 5), SL_OK);
        cr_assert_leq(sl_objects_used(o, B), 2 * SL_MIB);
    }
    sl_objects_destroy(&o);
}

Test(objects, the_node_evicts_then_spills_then_refuses)
{
    struct sl_objects *o = new_objects(6, 100 * SL_MIB, true);
    struct sl_objects_found found;
    cr_assert_eq(put(o, A, 1, LARGE, 5), SL_OK);
    for (uint64_t i = 2; i < 6; i++)
        cr_assert_eq(put(o, A, i, LARGE, SL_ARENA_KEEP), SL_OK);
    cr_assert_eq(put(o, B, 6, LARGE, SL_ARENA_KEEP), SL_OK);
    cr_assert_eq(measure(o).evicted, 1);
    cr_assert_eq(measure(o).spilled, 0);
    for (uint64_t i = 7; i < 60; i++) {
        cr_assert_eq(put(o, A, i, LARGE, SL_ARENA_KEEP), SL_OK);
        cr_assert_leq(measure(o).memory_bytes, 6 * SL_MIB);
    }
    cr_assert_gt(measure(o).spilled, 40);
    for (uint64_t i = 2; i < 60; i++)
        cr_assert_eq(look(o, i == 6 ? B : A, i, &found), SL_OK, "%" PRIu64 " is lost", i);
    cr_assert_leq(measure(o).memory_bytes, 6 * SL_MIB);
    enum sl_err err = SL_OK;
    for (uint64_t i = 60; err == SL_OK; i++)
        err = put(o, A, i, LARGE, SL_ARENA_KEEP);
    cr_assert_eq(err, SL_EFULL, "the disk's share is full, too");
    for (uint64_t i = 2; i < 60; i++) {
        struct sl_object_id id = id_of(i == 6 ? B : A, i);
        cr_assert_eq(sl_objects_delete(o, &id), SL_OK);
    }
    sl_objects_destroy(&o);
}

Test(objects, what_a_process_holds_is_neither_evicted_nor_spilled)
{
    struct sl_objects *o = new_objects(4, 100 * SL_MIB, true);
    struct sl_object_id first = id_of(A, 1), none = id_of(A, 99);
    struct sl_objects_found found;
    uint32_t hold, again;
    cr_assert_eq(put(o, A, 1, LARGE, 5), SL_OK);
    cr_assert_eq(sl_objects_hold(o, &none, &hold), SL_ENOTFOUND);
    cr_assert_eq(sl_objects_hold(o, &first, &hold), SL_OK);
    cr_assert_eq(sl_objects_hold(o, &first, &again), SL_OK);
    for (uint64_t i = 2; i < 10; i++)
        cr_assert_eq(put(o, A, i, LARGE, 5), SL_OK);
    cr_assert_eq(look(o, A, 1, &found), SL_OK);
    cr_assert_eq(put(o, A, 20, 4 * SL_MIB, 5), SL_EFULL);
    cr_assert_eq(sl_objects_delete(o, &first), SL_OK);
    cr_assert_eq(look(o, A, 1, &found), SL_ENOTFOUND);
    uint64_t memory = measure(o).memory_bytes, pool = measure(o).pool_bytes;
    sl_objects_let_go(o, hold);
    cr_assert_eq(measure(o).memory_bytes, memory, "it counts as long as somebody maps it");
    sl_objects_let_go(o, again);
    cr_assert_eq(measure(o).memory_bytes, memory, "and then it waits for the next");
    cr_assert_eq(measure(o).pool_bytes, pool + LARGE);
    cr_assert_eq(measure(o).holds, 0);
    sl_objects_destroy(&o);
}

Test(objects, small_ones_are_spilled_and_come_back_into_the_arena)
{
    struct sl_objects *o = new_objects(2, 100 * SL_MIB, true);
    struct sl_objects_found found;
    for (uint64_t i = 0; i < 40; i++)
        cr_assert_eq(put(o, A, i, 60000, SL_ARENA_KEEP), SL_OK);
    cr_assert_gt(measure(o).spilled, 10);
    cr_assert_eq(sl_objects_used(o, A), 40 * 60000, "what is on the disk counts, too");
    for (uint32_t round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 40; i++) {
            cr_assert_eq(look(o, A, i, &found), SL_OK, "%" PRIu64 " is lost", i);
            cr_assert_eq(found.fd, -1);
        }
    }
    cr_assert_eq(sl_objects_used(o, A), 40 * 60000);
    sl_objects_destroy(&o);
}

Test(objects, takes_over_a_file_that_is_sealed_and_what_it_says)
{
    struct sl_objects *o = new_objects(16, 100 * SL_MIB, false);
    struct sl_objects_found found;
    struct sl_shared file;
    struct sl_object_id id, wrong, name = id_of(A, 3);
    cr_assert_eq(sl_large_create(LARGE, &file), SL_OK);
    scene_fill(file.base, LARGE, 9);
    cr_assert_eq(sl_objects_adopt(o, &name, file.fd, 5), SL_EINVAL, "it can be written still");
    cr_assert_eq(sl_large_seal(&file), SL_OK);
    sl_object_id_content(A, sl_slice(file.base, LARGE), &id);
    wrong = id;
    wrong.key[2] ^= 1;
    cr_assert_eq(sl_objects_adopt(o, &wrong, file.fd, 5), SL_EINVAL, "no digest of it");
    cr_assert_eq(sl_objects_adopt(o, &id, file.fd, 5), SL_OK);
    cr_assert_eq(sl_objects_adopt(o, &id, file.fd, 5), SL_EEXIST);
    sl_shared_destroy(&file);
    cr_assert_eq(sl_objects_find(o, &id, &found), SL_OK);
    cr_assert_eq(found.bytes.size, LARGE);
    cr_assert_eq(sl_objects_adopt(o, &name, STDIN_FILENO, 5), SL_EINVAL);
    sl_objects_destroy(&o);
}

Test(objects, drafts_are_filled_in_place_and_given_up)
{
    struct sl_objects *o = new_objects(8, 100 * SL_MIB, false);
    struct sl_objects_draft small, large;
    struct sl_object_id id = id_of(A, 1), theirs = id_of(B, 1);
    cr_assert_eq(sl_objects_begin(o, A, 0, &small), SL_EINVAL);
    cr_assert_eq(sl_objects_begin(o, A, 100, &small), SL_OK);
    cr_assert_eq(sl_objects_begin(o, A, LARGE, &large), SL_OK);
    cr_assert_eq(sl_objects_seal(o, &large, &theirs, 5), SL_EINVAL);
    uint64_t memory = measure(o).memory_bytes;
    scene_fill(large.data, LARGE, 1);
    cr_assert_eq(sl_objects_seal(o, &large, &id, 5), SL_OK);
    cr_assert_eq(measure(o).memory_bytes, memory);
    cr_assert_eq(sl_objects_seal(o, &small, &id, 5), SL_EEXIST);
    sl_objects_abort(o, &small);
    cr_assert_eq(sl_objects_begin(o, A, LARGE, &large), SL_OK);
    sl_objects_abort(o, &large);
    cr_assert_eq(measure(o).memory_bytes, memory);
    cr_assert_gt(sl_objects_tidy(o), 0, "the segment is empty");
    sl_objects_destroy(&o);
}

/* ---- memory that is used again ------------------------------------------------------------- */

static void
cool(struct sl_objects *o)
{
    for (uint32_t i = 0; i < SL_LARGE_POOL_COOL; i++)
        (void)sl_objects_cool(o);
    cr_assert_eq(measure(o).pool_bytes, 0);
}

static ino_t
file_of(struct sl_objects *o, uint64_t tenant, uint64_t number)
{
    struct sl_objects_found found;
    struct stat about;
    uint64_t mark;
    cr_assert_eq(look(o, tenant, number, &found), SL_OK);
    cr_assert(scene_is_whole(found.bytes, &mark) && mark == number);
    cr_assert_eq(fstat(found.fd, &about), 0);
    return about.st_ino;
}

static void
forget(struct sl_objects *o, uint64_t tenant, uint64_t number)
{
    struct sl_object_id id = id_of(tenant, number);
    cr_assert_eq(sl_objects_delete(o, &id), SL_OK);
}

Test(objects, a_large_one_lies_where_another_of_its_tenant_lay)
{
    struct sl_objects *o = new_objects(64, 32 * SL_MIB, false);
    cr_assert_eq(put(o, A, 1, LARGE, 1), SL_OK);
    ino_t first = file_of(o, A, 1);
    forget(o, A, 1);
    cr_assert_eq(put(o, B, 2, LARGE, 1), SL_OK);
    cr_assert_neq(file_of(o, B, 2), first, "never one of another tenant's");
    cr_assert_eq(put(o, A, 3, LARGE - 1000, 1), SL_OK);
    cr_assert_eq(file_of(o, A, 3), first, "a little smaller will do");
    uint64_t memory = measure(o).memory_bytes;
    forget(o, A, 3);
    cr_assert_eq(measure(o).memory_bytes, memory);
    cr_assert_eq(sl_objects_used(o, A), 0, "no object, so nothing of the quota");
    cool(o);
    cr_assert_eq(measure(o).memory_bytes, memory - LARGE);
    sl_objects_destroy(&o);
}

Test(objects, memory_is_not_used_again_while_somebody_holds_what_is_in_it)
{
    struct sl_objects *o = new_objects(64, 32 * SL_MIB, false);
    struct sl_object_id id = id_of(A, 1);
    struct sl_objects_found found;
    struct sl_shared here;
    uint32_t hold;
    uint64_t mark;
    cr_assert_eq(put(o, A, 1, LARGE, 1), SL_OK);
    cr_assert_eq(sl_objects_hold(o, &id, &hold), SL_OK);
    cr_assert_eq(look(o, A, 1, &found), SL_OK);
    cr_assert_eq(sl_large_map(found.fd, LARGE, &here), SL_OK);
    forget(o, A, 1);
    for (uint64_t i = 2; i < 8; i++)
        cr_assert_eq(put(o, A, i, LARGE, 1), SL_OK);
    cr_assert(scene_is_whole(sl_slice(here.base, LARGE), &mark) && mark == 1);
    sl_objects_let_go(o, hold);
    cr_assert_eq(put(o, A, 8, LARGE, 1), SL_OK);
    cr_assert(scene_is_whole(sl_slice(here.base, LARGE), &mark) && mark == 8, "now it is");
    sl_shared_destroy(&here);
    sl_objects_destroy(&o);
}

Test(objects, memory_that_waits_makes_way_before_any_object_does)
{
    struct sl_objects *o = new_objects(6, 5 * SL_MIB, false);
    struct sl_objects_found found;
    for (uint64_t i = 1; i <= 4; i++)
        cr_assert_eq(put(o, A, i, LARGE, 1), SL_OK);
    forget(o, A, 2);
    forget(o, A, 3);
    cr_assert_eq(measure(o).pool_bytes, 2 * LARGE);
    cr_assert_eq(put(o, B, 5, 3 * LARGE, 1), SL_OK);
    cr_assert_lt(measure(o).pool_bytes, 2 * LARGE);
    cr_assert_eq(measure(o).evicted, 0);
    cr_assert_eq(look(o, A, 1, &found), SL_OK);
    cr_assert_eq(look(o, A, 4, &found), SL_OK);
    cr_assert_leq(measure(o).memory_bytes, 6 * SL_MIB);
    sl_objects_destroy(&o);
}

Test(objects, what_waits_and_what_is_used_are_within_the_quota_together)
{
    struct sl_objects *o = new_objects(64, 3 * SL_MIB, false);
    cr_assert_eq(put(o, A, 1, LARGE, 1), SL_OK);
    cr_assert_eq(put(o, A, 2, LARGE, 1), SL_OK);
    forget(o, A, 1);
    forget(o, A, 2);
    cr_assert_eq(measure(o).pool_bytes, 2 * LARGE);
    cr_assert_eq(put(o, A, 3, 2 * LARGE, 1), SL_OK);
    cr_assert_leq(measure(o).pool_bytes, 3 * SL_MIB - 2 * LARGE);
    cr_assert_eq(sl_objects_quota(o, A, 2 * LARGE), SL_OK);
    cr_assert_eq(put(o, A, 4, 1000, 1), SL_OK, "and the large one goes");
    cr_assert_leq(measure(o).pool_bytes, 2 * LARGE - 1000);
    sl_objects_destroy(&o);
}

Test(objects, a_full_node_puts_one_where_the_one_that_goes_for_it_lay)
{
    struct sl_objects *o = new_objects(4, 100 * SL_MIB, false);
    for (uint64_t i = 1; i < 4; i++)
        cr_assert_eq(put(o, A, i, LARGE, 1), SL_OK);
    ino_t files[] = {file_of(o, A, 1), file_of(o, A, 2), file_of(o, A, 3)};
    for (uint64_t i = 4; i < 20; i++) {
        cr_assert_eq(put(o, A, i, LARGE, 1), SL_OK);
        ino_t file = file_of(o, A, i);
        if (measure(o).evicted > 0)
            cr_assert(file == files[0] || file == files[1] || file == files[2]);
        cr_assert_leq(measure(o).memory_bytes, 4 * SL_MIB);
    }
    sl_objects_destroy(&o);
}

Test(objects, are_put_in_parts_of_any_size)
{
    struct sl_objects *o = new_objects(64, 32 * SL_MIB, false);
    static uint8_t bytes[3 * SL_MIB + 8];
    struct sl_random r;
    uint64_t size = sizeof(bytes), memory = 0;
    sl_random_seed(&r, 1);
    for (uint64_t i = 1; i < 12; i++) {
        struct sl_objects_draft draft;
        struct sl_object_id id = id_of(A, i);
        scene_fill(bytes, size, i);
        cr_assert_eq(sl_objects_begin_parts(o, A, size, &draft), SL_OK);
        for (uint64_t at = 0, part; at < size; at += part) {
            part = 1 + sl_random_below(&r, SL_MIN(300000, size - at));
            cr_assert_eq(sl_objects_add(o, &draft, sl_slice(bytes + at, part)), SL_OK);
        }
        if (i % 3 == 0) {
            sl_objects_abort(o, &draft);
            cr_assert_eq(sl_objects_used(o, A), 0);
            continue;
        }
        cr_assert_eq(sl_objects_seal(o, &draft, &id, 1), SL_OK);
        (void)file_of(o, A, i);
        memory = i == 1 ? measure(o).memory_bytes : memory;
        forget(o, A, i);
    }
    cr_assert_eq(measure(o).memory_bytes, memory, "all in the same file");
    sl_objects_destroy(&o);
}

/* A fault at each place where a descriptor is needed: nothing is left of what could not be put. */
Test(objects, without_descriptors_large_ones_are_refused_and_leave_nothing)
{
    struct sl_objects *o = new_objects(64, 32 * SL_MIB, false);
    struct sl_objects_draft draft;
    struct rlimit limit;
    cr_assert_eq(put(o, A, 1, 1000, 1), SL_OK);
    cr_assert_eq(put(o, A, 2, LARGE, 1), SL_OK);
    forget(o, A, 2);
    uint64_t memory = measure(o).memory_bytes;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, limit.rlim_max}), 0);
    cr_assert_eq(put(o, A, 3, 2 * LARGE, 1), SL_EFULL);
    cr_assert_eq(sl_objects_begin_parts(o, A, 2 * LARGE, &draft), SL_EFULL);
    cr_assert_eq(put(o, A, 4, LARGE, 1), SL_OK, "what lies in the pool has one");
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_assert_eq(sl_objects_used(o, A), 1000 + LARGE);
    forget(o, A, 4);
    cr_assert_eq(measure(o).memory_bytes, memory);
    sl_objects_destroy(&o);
}

/* Seeds: never over a limit, and what must not be lost is there as it was put. */
static void
check_seed(uint64_t seed)
{
    enum { OBJECTS = 120 };
    struct sl_objects *o = new_objects(6, 20 * SL_MIB, true);
    static bool is_kept[2][OBJECTS], was_put[2][OBJECTS];
    struct sl_random r;
    sl_random_seed(&r, seed);
    memset(is_kept, 0, sizeof(is_kept));
    memset(was_put, 0, sizeof(was_put));
    for (uint32_t step = 0; step < 1500; step++) {
        uint64_t t = sl_random_below(&r, 2), n = sl_random_below(&r, OBJECTS);
        struct sl_object_id id = id_of(A + t, n);
        struct sl_objects_found found;
        uint64_t size = 8 + sl_random_below(&r, sl_random_below(&r, 3) == 0 ? 2 * SL_MIB : 90000);
        bool is_dear = sl_random_below(&r, 2) == 0;
        enum sl_err err;
        switch (sl_random_below(&r, 4)) {
        case 0:
        case 1:
            err = put(o, A + t, n, size, is_dear ? SL_ARENA_KEEP : 1000);
            cr_assert(err == SL_OK || err == SL_EFULL || err == SL_EEXIST);
            cr_assert(err != SL_EEXIST || was_put[t][n]);
            if (err == SL_OK) {
                cr_assert_not(is_kept[t][n]);
                was_put[t][n] = true;
                is_kept[t][n] = is_dear;
            }
            break;
        case 2:
            err = look(o, A + t, n, &found);
            cr_assert(err == SL_OK || !is_kept[t][n] || err == SL_EFULL, "seed %" PRIu64 ": %s",
                      seed, sl_err_name(err));
            break;
        default:
            err = sl_objects_delete(o, &id);
            cr_assert(err == SL_OK || !is_kept[t][n]);
            was_put[t][n] = is_kept[t][n] = false;
        }
        cr_assert_leq(measure(o).memory_bytes, 6 * SL_MIB);
        cr_assert_leq(sl_objects_used(o, A + t), 20 * SL_MIB);
    }
    for (uint64_t i = 0; i < 2 * OBJECTS; i++) {
        struct sl_object_id id = id_of(A + i % 2, i / 2);
        enum sl_err err = sl_objects_delete(o, &id);
        cr_assert(err == SL_OK || !is_kept[i % 2][i / 2]);
    }
    (void)sl_objects_tidy(o);
    cool(o);
    struct sl_objects_stats stats = measure(o);
    cr_assert_eq(sl_objects_used(o, A) + sl_objects_used(o, B), 0, "seed %" PRIu64 " leaks", seed);
    cr_assert_eq(stats.spilled_bytes + stats.large + stats.spilled, 0);
    sl_objects_destroy(&o);
}

Test(objects, keeps_its_limits_and_loses_nothing_that_it_must_keep)
{
    for (uint64_t seed = 1; seed <= rounds(6); seed++)
        check_seed(seed);
}

Test(objects, drafts_count_for_the_quota_before_they_are_sealed)
{
    struct sl_objects *o = new_objects(32, 3 * SL_MIB, false);
    struct sl_objects_draft drafts[3], more;
    struct sl_object_id id = id_of(A, 1);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(sl_objects_begin(o, A, SL_MIB - 100, &drafts[i]), SL_OK);
    cr_assert_eq(sl_objects_begin(o, A, 301, &more), SL_EFULL);
    cr_assert_eq(sl_objects_begin(o, A, 300, &more), SL_OK);
    cr_assert_eq(sl_objects_seal(o, &drafts[0], &id, 5), SL_OK);
    sl_objects_abort(o, &drafts[1]);
    sl_objects_abort(o, &more);
    cr_assert_eq(sl_objects_used(o, A), 2 * (SL_MIB - 100));
    sl_objects_abort(o, &drafts[2]);
    cr_assert_eq(sl_objects_used(o, A), SL_MIB - 100);
    sl_objects_destroy(&o);
}

Test(objects, serves_many_tenants_and_no_more)
{
    struct sl_objects *o = new_objects(64, SL_MIB, false);
    for (uint64_t t = 0; t < SL_OBJECTS_TENANTS_MAX; t++)
        cr_assert_eq(sl_objects_quota(o, t * 7919, t), SL_OK);
    cr_assert_eq(sl_objects_quota(o, 1, 5), SL_EFULL);
    cr_assert_eq(sl_objects_quota(o, 7919, 5), SL_OK);
    cr_assert_eq(put(o, 1, 1, 1, 1), SL_EFULL);
    cr_assert_eq(put(o, 7919, 1, 5, 1), SL_OK);
    cr_assert_eq(put(o, 7919, 2, 6, 1), SL_EFULL);
    sl_objects_destroy(&o);
}

/* A thousand large objects one after the other: memory is as it was. */
Test(objects, a_thousand_large_ones_leave_nothing_behind)
{
    struct sl_objects *o = new_objects(16, 16 * SL_MIB, false);
    struct sl_object_id id = id_of(A, 1);
    cr_assert_eq(put(o, A, 1, LARGE, 1), SL_OK);
    cr_assert_eq(sl_objects_delete(o, &id), SL_OK);
    uint64_t before = measure(o).memory_bytes;
    uint32_t open_count = descriptors_open();
    for (uint64_t i = 0; i < rounds(1000); i++) {
        cr_assert_eq(put(o, A, 1, LARGE, 1), SL_OK);
        cr_assert_eq(sl_objects_delete(o, &id), SL_OK);
    }
    cr_assert_eq(measure(o).memory_bytes, before);
    cr_assert_eq(descriptors_open(), open_count, "descriptors leak");
    sl_objects_destroy(&o);
}
