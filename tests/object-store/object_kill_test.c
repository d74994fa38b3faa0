/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers and writers are processes here, each with its socket to the store, and die at any
 * instruction: while they put, hand over, fill, seal, map, hold or let go. What they had comes
 * back, what they were putting is there whole or not at all, and the store goes on.
 * SL_OBJECT_KILLS: how often (scripts/object-kills).
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "object-store/large_pool.h"
#include "object-store/object_client.h"
#include "object-store/object_server.h"
#include "object-store/object_wire.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"
#include "tests/object-store/arena_scene.h"

enum { IDS = 60, CHILDREN = 4, HELD = 8, KILLS = 200, AUDIT = 50 };

#define STEP      (1 * SL_MIB)
#define PUT_MAX   (700 * SL_KIB) /* Over half a step: files of their own. */
#define LIFE_NS   (4 * SL_MILLI_NS)
#define LET_GO_NS SL_SECOND_NS
#define ASK_NS    (20 * SL_SECOND_NS)

/* What children tell; shared with them. */
struct tally {
    _Atomic uint64_t gets, puts, torn;
};

struct child {
    pid_t pid;
    int lifeline; /* Reads the end of the child, however it comes. */
};

struct world {
    struct sl_objects *objects;
    struct sl_object_server *server;
    struct tally *tally;
    struct sl_random random;
    struct child children[CHILDREN];
    uint64_t started;
};

/* ---- a child ------------------------------------------------------------------------------- */

struct actor {
    struct sl_object_client *c;
    struct tally *tally;
    struct sl_random random;
    uint8_t *bytes;
    struct sl_object_ref held[HELD];
    uint64_t marks[HELD];
};

static void
put_one(struct actor *a, const struct sl_object_id *id)
{
    static const uint64_t limits[] = {200, 4096, SL_OBJECT_INLINE_MAX, 200 * SL_KIB, PUT_MAX};
    uint64_t limit = limits[sl_random_below(&a->random, SL_COUNT_OF(limits))];
    uint64_t size = 8 + sl_random_below(&a->random, limit - 8);
    uint64_t cost = sl_random_below(&a->random, 8) == 0 ? SL_ARENA_KEEP : 1000;
    scene_fill(a->bytes, size, sl_random_u64(&a->random));
    struct sl_slice bytes = sl_slice(a->bytes, size);
    enum sl_err err = sl_random_below(&a->random, 2) == 0
                          ? sl_object_client_hand(a->c, id, bytes, cost)
                          : sl_object_client_put(a->c, id, bytes, cost);
    if (err == SL_OK)
        a->tally->puts++;
}

static void
let_go(struct actor *a, uint64_t at)
{
    uint64_t mark;
    if (!scene_is_whole(a->held[at].bytes, &mark) || mark != a->marks[at])
        a->tally->torn++;
    sl_object_client_release(a->c, &a->held[at]);
    a->held[at].bytes.data = NULL;
}

static void
get_one(struct actor *a, const struct sl_object_id *id)
{
    uint64_t at = sl_random_below(&a->random, HELD);
    if (a->held[at].bytes.data != NULL)
        let_go(a, at);
    if (sl_object_client_get(a->c, id, &a->held[at]) != SL_OK)
        return;
    a->tally->gets++;
    if (!scene_is_whole(a->held[at].bytes, &a->marks[at]))
        a->tally->torn++;
}

_Noreturn static void
act_until_killed(int fd, struct tally *tally, uint64_t seed)
{
    struct actor a = {.c = sl_object_client_create(fd, SCENE_TENANT, ASK_NS),
                      .tally = tally,
                      .bytes = sl_alloc(PUT_MAX)};
    sl_random_seed(&a.random, seed);
    for (;;) {
        struct sl_object_id id = scene_id(sl_random_below(&a.random, IDS));
        uint64_t what = sl_random_below(&a.random, 8);
        if (what < 4)
            get_one(&a, &id);
        else if (what < 7)
            put_one(&a, &id);
        else if (sl_object_client_delete(a.c, &id) == SL_EUNAVAIL)
            _exit(0); /* The test has ended without us. */
    }
}

/* ---- the store's process ------------------------------------------------------------------- */

static uint32_t
clients(const struct world *w)
{
    struct sl_object_server_stats stats;
    sl_object_server_measure(w->server, &stats);
    return stats.clients;
}

static void
start(struct world *w, struct child *child)
{
    int pair[2], ends[2];
    struct sl_object_peer peer = {.tenant = SCENE_TENANT};
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(sl_object_server_admit(w->server, pair[0], &peer), SL_OK);
    child->pid = fork();
    cr_assert_geq(child->pid, 0);
    if (child->pid == 0) {
        sl_object_server_destroy(&w->server); /* The parent's ends, which would stay open. */
        (void)close(ends[0]);
        act_until_killed(pair[1], w->tally, ++w->started);
    }
    w->started++;
    (void)close(pair[1]);
    (void)close(ends[1]);
    child->lifeline = ends[0];
}

static void
serve_for(struct world *w, uint64_t ns)
{
    uint64_t until_ns = sl_time_mono_ns() + ns;
    do {
        struct pollfd p = {.fd = sl_object_server_fd(w->server), .events = POLLIN};
        if (poll(&p, 1, 0) > 0)
            (void)sl_object_server_turn(w->server);
    } while (sl_time_mono_ns() < until_ns);
}

static void
end(struct child *child)
{
    cr_assert_eq(kill(child->pid, SIGKILL), 0);
    struct pollfd p = {.fd = child->lifeline, .events = POLLIN};
    cr_assert_eq(poll(&p, 1, 10000), 1);
    (void)close(child->lifeline);
    cr_assert_eq(waitpid(child->pid, NULL, 0), child->pid);
}

/* Its socket has closed: within a second the store has taken all of it back. */
static void
await_clients(struct world *w, uint32_t count)
{
    uint64_t until_ns = sl_time_mono_ns() + LET_GO_NS;
    while (clients(w) != count) {
        cr_assert_lt(sl_time_mono_ns(), until_ns, "%u clients, not %u", clients(w), count);
        serve_for(w, 0);
    }
}

static uint32_t
descriptors(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    cr_assert_not_null(directory);
    while (readdir(directory) != NULL)
        count++;
    (void)closedir(directory);
    return count;
}

/* With all children dead, each object is whole, and once they are deleted nothing is left. */
static void
audit(struct world *w)
{
    struct sl_objects_stats stats;
    struct sl_objects_found found;
    uint64_t mark;
    for (uint32_t i = 0; i < CHILDREN; i++)
        end(&w->children[i]);
    await_clients(w, 0);
    for (uint64_t n = 0; n < IDS; n++) {
        struct sl_object_id id = scene_id(n);
        enum sl_err err = sl_objects_find(w->objects, &id, &found);
        cr_assert(err == SL_OK || err == SL_ENOTFOUND, "%s", sl_err_name(err));
        cr_assert(err != SL_OK || scene_is_whole(found.bytes, &mark), "object %d is torn", (int)n);
        if (err == SL_OK)
            cr_assert_eq(sl_objects_delete(w->objects, &id), SL_OK);
    }
    (void)sl_objects_tidy(w->objects);
    for (uint32_t i = 0; i < SL_LARGE_POOL_COOL; i++)
        (void)sl_objects_cool(w->objects);
    sl_objects_measure(w->objects, &stats);
    cr_assert_eq(stats.pool_bytes, 0);
    cr_assert_leq(stats.memory_bytes, 3 * SL_MIB, "no draft is left, but the arena's index");
    cr_assert_eq(stats.arenas.pins + stats.holds, 0);
    cr_assert_eq(stats.arenas.objects + stats.arenas.leaving + stats.large + stats.spilled, 0);
    cr_assert_eq(stats.arenas.object_bytes + stats.arenas.taken_bytes, 0, "not a byte is lost");
    cr_assert_eq(stats.large_bytes + stats.spilled_bytes + stats.arenas.segment_bytes, 0);
    cr_assert_eq(sl_objects_used(w->objects, SCENE_TENANT), 0);
    for (uint32_t i = 0; i < CHILDREN; i++)
        start(w, &w->children[i]);
}

static void
open_world(struct world *w, const char *directory)
{
    struct sl_objects_options options = {.node_bytes_max = 6 * SL_MIB,
                                         .tenant_bytes_max = 12 * SL_MIB,
                                         .spill_directory = directory,
                                         .spill_bytes_max = 16 * SL_MIB,
                                         .arena = {.step_bytes = STEP, .objects_max = 256}};
    *w = (struct world){.tally = mmap(NULL, sizeof(*w->tally), PROT_READ | PROT_WRITE,
                                      MAP_SHARED | MAP_ANONYMOUS, -1, 0)};
    cr_assert_neq(w->tally, MAP_FAILED);
    sl_random_seed(&w->random, 5);
    cr_assert_eq(sl_objects_create(&options, &w->objects), SL_OK);
    cr_assert_eq(sl_object_server_create(w->objects, &w->server), SL_OK);
    /* The arena stays once there is one, so there is from the start, however late children run. */
    uint8_t first[64];
    struct sl_object_id id = scene_id(0);
    scene_fill(first, sizeof(first), 1);
    cr_assert_eq(sl_objects_put(w->objects, &id, sl_slice(first, sizeof(first)), 1000), SL_OK);
    for (uint32_t i = 0; i < CHILDREN; i++)
        start(w, &w->children[i]);
}

Test(object_kill, processes_that_die_anywhere_leave_nothing_and_tear_nothing, .timeout = 7200)
{
    const char *asked = getenv("SL_OBJECT_KILLS");
    uint64_t kills = asked == NULL ? KILLS : strtoull(asked, NULL, 10);
    char directory[] = "/tmp/sluice-kill-XXXXXX";
    struct world w;
    cr_assert_not_null(mkdtemp(directory));
    open_world(&w, directory);
    serve_for(&w, 20 * SL_MILLI_NS);
    audit(&w);
    uint32_t descriptors_first = descriptors();
    for (uint64_t i = 1; i <= kills; i++) {
        struct child *child = &w.children[sl_random_below(&w.random, CHILDREN)];
        serve_for(&w, sl_random_below(&w.random, LIFE_NS));
        end(child);
        await_clients(&w, CHILDREN - 1);
        start(&w, child);
        if (i % AUDIT != 0)
            continue;
        audit(&w);
        cr_assert_eq(descriptors(), descriptors_first, "no memory file is left open");
    }
    struct sl_object_server_stats stats;
    sl_object_server_measure(w.server, &stats);
    cr_log_info("%d kills: %d gets, %d puts, %d pins and %d holds taken back", (int)kills,
                (int)w.tally->gets, (int)w.tally->puts, (int)stats.pins, (int)stats.holds);
    cr_assert_eq(w.tally->torn, 0);
    cr_assert_eq(stats.dropped, 0, "who is killed has not misbehaved");
    cr_assert(w.tally->gets > 0 && w.tally->puts > 0);
    cr_assert(stats.pins > 0 && stats.holds > 0, "some died while they held");
    for (uint32_t i = 0; i < CHILDREN; i++)
        end(&w.children[i]);
    sl_object_server_destroy(&w.server);
    sl_objects_destroy(&w.objects);
    cr_assert_eq(rmdir(directory), 0, "nothing is left on the disk");
    (void)munmap(w.tally, sizeof(*w.tally));
}
