/* SPDX-License-Identifier: Apache-2.0 */
/* Readers are processes here, and die at any instruction: what they pinned is taken back. */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object-store/arena_index.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "tests/object-store/arena_scene.h"

enum { IDS = 100, READERS = 4, HELD = 16, ROUNDS = 120, SEGMENTS = 2 };

/* What children tell; shared with them. */
struct tally {
    _Atomic uint64_t gets, torn;
};

struct child {
    pid_t pid;
    uint32_t number;
    int lifeline; /* Reads the end of the child, however it comes. */
};

static struct sl_object_arena *
new_arena(void)
{
    struct sl_object_arena_options options = {.tenant = SCENE_TENANT,
                                              .step_bytes = SL_MIB,
                                              .size_bytes_max = SEGMENTS * SL_MIB,
                                              .objects_max = 128};
    struct sl_object_arena *a = NULL;
    cr_assert_eq(sl_object_arena_create(&options, &a), SL_OK);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct sl_shared segment;
        cr_assert_eq(sl_object_arena_segment_create(SL_MIB, &segment), SL_OK);
        sl_object_arena_add_segment(a, &segment);
    }
    return a;
}

/* Get, hold some for a while, check them again before they go. Until it is killed. */
_Noreturn static void
read_until_killed(struct sl_object_reader *r, struct tally *tally, uint64_t seed)
{
    struct sl_object_arena_ref held[HELD] = {0};
    uint64_t marks[HELD] = {0}, mark;
    struct sl_random random;
    sl_random_seed(&random, seed);
    for (;;) {
        uint64_t at = sl_random_below(&random, HELD);
        if (held[at].bytes.data != NULL) {
            if (!scene_is_whole(held[at].bytes, &mark) || mark != marks[at])
                tally->torn++;
            sl_object_reader_release(r, &held[at]);
        }
        struct sl_object_id id = scene_id(sl_random_below(&random, IDS));
        if (sl_object_reader_get(r, &id, &held[at]) != SL_OK)
            continue;
        tally->gets++;
        if (!scene_is_whole(held[at].bytes, &marks[at]))
            tally->torn++;
    }
}

static struct child
start(struct sl_object_arena *a, struct tally *tally, uint64_t seed)
{
    struct child child;
    int ends[2];
    struct sl_object_reader *r = scene_reader(a, &child.number);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        int fd;
        uint64_t life;
        cr_assert_eq(sl_object_arena_segment_lookup(a, i, &fd, &life), SL_OK);
        cr_assert_eq(sl_object_reader_add_segment(r, i, life, fd), SL_OK);
    }
    cr_assert_eq(pipe(ends), 0);
    child.pid = fork();
    cr_assert_geq(child.pid, 0);
    if (child.pid == 0) {
        (void)close(ends[0]);
        read_until_killed(r, tally, seed);
    }
    (void)close(ends[1]);
    child.lifeline = ends[0];
    sl_object_reader_detach(&r);
    return child;
}

/* Kill it, wait for its lifeline, and take back what it pinned: exactly what is in its pins. */
static uint32_t
reap(struct sl_object_arena *a, struct child *child)
{
    cr_assert_eq(kill(child->pid, SIGKILL), 0);
    struct pollfd end = {.fd = child->lifeline, .events = POLLIN};
    cr_assert_eq(poll(&end, 1, 10000), 1);
    struct sl_object_arena_stats before, after;
    sl_object_arena_stats(a, &before);
    uint32_t pins = sl_object_arena_dismiss(a, child->number);
    sl_object_arena_stats(a, &after);
    cr_assert_leq(pins, HELD + 1, "one more, between the pin and the look at the entry");
    (void)before; /* Other readers go on meanwhile. */
    cr_assert_eq(after.readers, before.readers - 1);
    (void)close(child->lifeline);
    cr_assert_eq(waitpid(child->pid, NULL, 0), child->pid);
    return pins;
}

static void
write_some(struct sl_object_arena *a, struct sl_random *random, uint64_t *mark)
{
    for (uint32_t i = 0; i < 60; i++) {
        uint64_t n = sl_random_below(random, IDS);
        struct sl_object_id id = scene_id(n);
        enum sl_err err = scene_put(a, n, 8 + sl_random_below(random, 40000), ++*mark);
        if (err == SL_EEXIST)
            err = sl_object_arena_delete(a, &id);
        cr_assert(err == SL_OK || err == SL_EFULL);
    }
}

Test(arena_kill, readers_that_die_while_they_pin_leave_no_pin_no_byte_and_tear_nothing,
     .timeout = 7200)
{
    const char *asked = getenv("SL_ARENA_KILLS");
    uint64_t rounds = asked == NULL ? ROUNDS : strtoull(asked, NULL, 10), mark = 0, taken = 0;
    struct sl_object_arena *a = new_arena();
    struct tally *tally =
        mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct child children[READERS];
    struct sl_random random;
    cr_assert_neq(tally, MAP_FAILED);
    sl_random_seed(&random, 3);
    write_some(a, &random, &mark);
    for (uint32_t i = 0; i < READERS; i++)
        children[i] = start(a, tally, i);
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t at = sl_random_below(&random, READERS);
        write_some(a, &random, &mark);
        taken += reap(a, &children[at]);
        children[at] = start(a, tally, READERS + i);
    }
    struct sl_object_arena_stats stats;
    for (uint32_t i = 0; i < READERS; i++) { /* All stand still: now the count is exact. */
        cr_assert_eq(kill(children[i].pid, SIGSTOP), 0);
        cr_assert_eq(waitpid(children[i].pid, NULL, WUNTRACED), children[i].pid);
    }
    sl_object_arena_stats(a, &stats);
    uint32_t left = 0;
    for (uint32_t i = 0; i < READERS; i++)
        left += reap(a, &children[i]);
    cr_assert_eq(left, stats.pins, "what was pinned is what is taken back");
    for (uint64_t n = 0; n < IDS; n++) {
        struct sl_object_id id = scene_id(n);
        enum sl_err err = sl_object_arena_delete(a, &id);
        cr_assert(err == SL_OK || err == SL_ENOTFOUND);
    }
    sl_object_arena_stats(a, &stats);
    cr_assert_eq(stats.pins + stats.leaving + stats.objects + stats.readers, 0);
    cr_assert_eq(stats.taken_bytes + stats.object_bytes, 0, "not a byte is lost");
    cr_assert_eq(tally->torn, 0);
    cr_assert_gt(tally->gets, 0);
    cr_assert_gt(taken, 0, "some died while they pinned");
    sl_object_arena_destroy(&a);
    (void)munmap(tally, sizeof(*tally));
}
