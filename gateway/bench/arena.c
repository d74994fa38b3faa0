/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects: what another process waits for one, alone and beside a store that writes as fast as it
 * can, what a put costs in the store's process beside a bare copy into memory that is as warm, and
 * how soon another process has a large object.
 *
 * Gets are timed a thousand at a time and puts one by one, and figures are medians of these.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench/arena.h"
#include "object-store/arena.h"
#include "object-store/arena_reader.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define TENANT      7u
#define HOT         1000u
#define MANY        10000u
#define BATCH       1000u
#define BATCHES     1001u
#define STEP_BYTES  (16 * SL_MIB)
#define ARENA_BYTES (16 * STEP_BYTES)

/* Objects that readers ask for have numbers below MANY; what is put beside them has others. */
static struct sl_object_id
id_of(uint64_t number)
{
    struct sl_object_id id = {0};
    sl_assert(sl_object_id_named(TENANT, sl_slice(&number, sizeof(number)), &id) == SL_OK);
    return id;
}

struct rig {
    const struct sl_bench *bench;
    struct sl_object_arena *arena;
    struct sl_object_id *ids; /* MANY of them. */
    uint8_t *source;          /* A MiB of bytes to put. */
    uint64_t next;            /* The next object that is put has this number. */
    struct sl_shared large;
};

/* ---- the other process --------------------------------------------------------------------- */

static bool
map_all(struct sl_object_arena *a, struct sl_object_reader *r)
{
    for (uint32_t i = 0; i < ARENA_BYTES / STEP_BYTES; i++) {
        int fd;
        uint64_t life;
        if (sl_object_arena_segment_lookup(a, i, &fd, &life) == SL_OK &&
            sl_object_reader_add_segment(r, i, life, fd) != SL_OK)
            return false;
    }
    return true;
}

static double
gets_ns(struct rig *rig, struct sl_object_reader *r)
{
    static double ns[BATCHES];
    uint32_t sum = 0;
    for (uint32_t i = 0; i < BATCHES; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        for (uint32_t k = 0; k < BATCH; k++) {
            struct sl_object_arena_ref ref;
            if (sl_object_reader_get(r, &rig->ids[k * 7919 % HOT], &ref) != SL_OK)
                return 0;
            sum += ref.bytes.data[0];
            sl_object_reader_release(r, &ref);
        }
        ns[i] = (double)(sl_time_mono_ns() - start_ns) / BATCH;
    }
    return sum == UINT32_MAX ? 0 : sl_bench_median(ns, BATCHES);
}

/* Milliseconds to hold MANY objects at once, each found by its id. */
static double
holds_ms(struct rig *rig, struct sl_object_reader *r)
{
    enum { ROUNDS = 21 };
    double ms[ROUNDS];
    struct sl_object_arena_ref *refs = sl_alloc(MANY * sizeof(*refs));
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        for (uint32_t k = 0; k < MANY; k++) {
            if (sl_object_reader_get(r, &rig->ids[k], &refs[k]) != SL_OK)
                return 0;
        }
        ms[i] = (double)(sl_time_mono_ns() - start_ns) / 1e6;
        for (uint32_t k = 0; k < MANY; k++)
            sl_object_reader_release(r, &refs[k]);
    }
    sl_free(refs);
    return sl_bench_median(ms, ROUNDS);
}

static volatile uint8_t first_byte; /* So that the read is not optimised away. */

static bool
attaches(const struct sl_shared *large, double *ret_ms, double *ret_first_us)
{
    enum { ROUNDS = 21 };
    double ms[ROUNDS], us[ROUNDS];
    for (uint32_t i = 0; i < ROUNDS; i++) {
        struct sl_shared here;
        uint64_t start_ns = sl_time_mono_ns();
        if (sl_large_attach(large->fd, &here) != SL_OK)
            return false;
        uint64_t mapped_ns = sl_time_mono_ns();
        first_byte = here.base[here.size_bytes / 2];
        us[i] = (double)(sl_time_mono_ns() - mapped_ns) / 1e3;
        ms[i] = (double)(mapped_ns - start_ns) / 1e6;
        sl_shared_destroy(&here);
    }
    *ret_ms = sl_bench_median(ms, ROUNDS);
    *ret_first_us = sl_bench_median(us, ROUNDS);
    return true;
}

struct answer {
    double get_ns, holds_ms, attach_ms, first_us; /* 0: it failed, or was not asked for. */
};

/* What the child does: it has inherited the descriptors that a client is sent. */
static void
measure_gets(struct rig *rig, const struct sl_object_arena_grant *grant, bool is_all, int to)
{
    struct answer answer = {0};
    struct sl_object_reader *r = NULL;
    if (sl_object_reader_attach(grant->index_fd, grant->pins_fd, &r) == SL_OK &&
        map_all(rig->arena, r)) {
        answer.get_ns = gets_ns(rig, r);
        if (is_all) {
            answer.holds_ms = holds_ms(rig, r);
            (void)attaches(&rig->large, &answer.attach_ms, &answer.first_us);
        }
    }
    _exit(write(to, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1);
}

/* ---- the store's process ------------------------------------------------------------------- */

static struct sl_object_id
next_id(struct rig *rig)
{
    struct sl_object_id id = {.tenant = TENANT, .kind = SL_OBJECT_CONTENT, .key = {rig->next * 31}};
    id.key[1] = ++rig->next * UINT64_C(0x9e3779b97f4a7c15); /* As even as a digest. */
    return id;
}

static bool
put(struct rig *rig, uint64_t size)
{
    struct sl_object_id id = next_id(rig);
    return sl_object_arena_put(rig->arena, &id, sl_slice(rig->source, size), 1000) == SL_OK;
}

/* The same in three steps, of which only the copy is timed. */
static bool
copy(struct rig *rig, uint64_t size, double *ret_us)
{
    struct sl_object_id id = next_id(rig);
    struct sl_object_arena_draft draft;
    if (sl_object_arena_begin(rig->arena, size, &draft) != SL_OK)
        return false;
    uint64_t start_ns = sl_time_mono_ns();
    memcpy(draft.data, rig->source, size);
    *ret_us = (double)(sl_time_mono_ns() - start_ns) / 1e3;
    return sl_object_arena_seal(rig->arena, &draft, &id, 1000) == SL_OK;
}

/* Start a reader; put while it works, or wait. */
static bool
ask_reader(struct rig *rig, bool is_beside_writer, struct answer *ret_answer)
{
    struct sl_object_arena_grant grant;
    int ends[2];
    if (sl_object_arena_admit(rig->arena, &grant) != SL_OK || pipe(ends) != 0)
        return sl_bench_fail("a reader cannot be admitted");
    pid_t pid = fork();
    if (pid < 0)
        return sl_bench_fail("no process can be started");
    if (pid == 0)
        measure_gets(rig, &grant, !is_beside_writer, ends[1]);
    (void)close(ends[1]);
    int status = 0;
    bool is_ok = true;
    while (is_beside_writer && is_ok && waitpid(pid, &status, WNOHANG) == 0) {
        for (uint32_t i = 0; is_ok && i < 1000; i++)
            is_ok = put(rig, 4096);
    }
    is_ok = is_ok && read(ends[0], ret_answer, sizeof(*ret_answer)) == sizeof(*ret_answer);
    (void)close(ends[0]);
    (void)waitpid(pid, &status, 0);
    (void)sl_object_arena_dismiss(rig->arena, grant.reader);
    return (is_ok && ret_answer->get_ns > 0) || sl_bench_fail("the reader failed");
}

struct copies {
    double put_us, copy_us;
};

struct puts {
    uint64_t size;
    uint32_t rounds;
    bool is_full; /* Each makes others go; else they went before the clock ran. */
};

/*
 * Put objects into an arena that was full, by turns with bare copies into room that it gave: the
 * same memory, as warm, which takes as long to come round again. (Other memory of the same size is
 * no yardstick: regions that were made one after the other differed by up to 15 %, as the pages
 * that they happened to get lie.)
 */
static bool
time_puts(struct rig *rig, const struct puts *puts, struct copies *ret_copies)
{
    uint64_t size = puts->size;
    uint32_t rounds = puts->rounds;
    double *put_us = sl_alloc(rounds * sizeof(double)),
           *copy_us = sl_alloc(rounds * sizeof(double));
    bool is_ok = true;
    for (uint64_t bytes = 0; is_ok && bytes < 2 * ARENA_BYTES; bytes += size)
        is_ok = put(rig, size); /* Until it is full of objects of this size. */
    for (uint32_t i = 0; is_ok && i < rounds; i++) {
        if (!puts->is_full && i % 16 == 0)
            is_ok = sl_object_arena_evict(rig->arena, 33 * size) > 0;
        uint64_t start_ns = sl_time_mono_ns();
        is_ok = is_ok && put(rig, size);
        put_us[i] = (double)(sl_time_mono_ns() - start_ns) / 1e3;
        is_ok = is_ok && copy(rig, size, &copy_us[i]);
    }
    if (is_ok)
        *ret_copies =
            (struct copies){sl_bench_median(put_us, rounds), sl_bench_median(copy_us, rounds)};
    sl_free(put_us);
    sl_free(copy_us);
    return is_ok || sl_bench_fail("objects of %u bytes cannot be put", (unsigned)size);
}

/* ---- figures ------------------------------------------------------------------------------- */

static void
show(const struct rig *rig, const char *name, const char *unit, double value, double at_most)
{
    sl_bench_show(rig->bench, &(struct sl_bench_figure){.name = name,
                                                        .unit = unit,
                                                        .goal = at_most == 0 ? SL_BENCH_NO_GOAL
                                                                             : SL_BENCH_AT_MOST,
                                                        .target = at_most,
                                                        .value = value});
}

static bool
run_gets(struct rig *rig)
{
    struct answer alone, beside;
    if (!ask_reader(rig, false, &alone))
        return false;
    show(rig, "object_store.get.p50", "ns", alone.get_ns, 100);
    if (alone.holds_ms == 0 || alone.attach_ms == 0)
        return sl_bench_fail("the reader could not hold or attach what it is to");
    show(rig, "object_store.hold_10000", "ms", alone.holds_ms, 2);
    show(rig, rig->bench->is_quick ? "object_store.attach_64_mib" : "object_store.attach_1_gib",
         "ms", alone.attach_ms, 1);
    show(rig, "object_store.attach_first_byte", "us", alone.first_us, 100);
    if (!ask_reader(rig, true, &beside))
        return false;
    show(rig, "object_store.get_beside_writer.p50", "ns", beside.get_ns, 100);
    return true;
}

static bool
run_puts(struct rig *rig)
{
    uint32_t large_rounds = rig->bench->is_quick ? 501 : 2001;
    struct copies small, small_full, middle;
    if (!time_puts(rig, &(struct puts){4096, 20001, false}, &small) ||
        !time_puts(rig, &(struct puts){4096, 20001, true}, &small_full) ||
        !time_puts(rig, &(struct puts){SL_MIB, large_rounds, true}, &middle))
        return false;
    show(rig, "object_store.put_4k.p50", "ns", small.put_us * 1e3, 1000);
    show(rig, "object_store.copy_4k.p50", "ns", small.copy_us * 1e3, 0);
    show(rig, "object_store.put_4k_full.p50", "ns", small_full.put_us * 1e3, 0);
    show(rig, "object_store.put_1m.p50", "us", middle.put_us, 0);
    show(rig, "object_store.copy_1m.p50", "us", middle.copy_us, 0);
    sl_bench_show(rig->bench,
                  &(struct sl_bench_figure){.name = "object_store.put_1m_ratio",
                                            .unit = "ratio",
                                            .goal = SL_BENCH_AT_LEAST,
                                            .target = 0.9,
                                            .value = middle.copy_us / middle.put_us,
                                            .note = "into memory of the same arena, by turns"});
    return true;
}

/* ---- the rig ------------------------------------------------------------------------------- */

static bool
fill_arena(struct rig *rig)
{
    for (uint64_t i = 0; i < ARENA_BYTES; i += STEP_BYTES) {
        struct sl_shared segment;
        if (sl_object_arena_segment_create(STEP_BYTES, &segment) != SL_OK)
            return false;
        sl_object_arena_add_segment(rig->arena, &segment);
    }
    for (uint64_t i = 0; i < MANY; i++) {
        rig->ids[i] = id_of(i);
        /* Dear, so that what the writer puts goes first. */
        if (sl_object_arena_put(rig->arena, &rig->ids[i], sl_slice(rig->source, 4096),
                                SL_ARENA_KEEP) != SL_OK)
            return false;
    }
    return true;
}

static bool
make_large(struct rig *rig)
{
    uint64_t size = rig->bench->is_quick ? 64 * SL_MIB : SL_GIB;
    uint64_t start_ns = sl_time_mono_ns();
    if (sl_large_create(size, &rig->large) != SL_OK)
        return sl_bench_fail("there is no memory for a large object");
    show(rig, "object_store.large_create", "ms/GiB",
         (double)(sl_time_mono_ns() - start_ns) / 1e6 * (double)SL_GIB / (double)size, 0);
    return sl_large_seal(&rig->large) == SL_OK || sl_bench_fail("it cannot be sealed");
}

bool
sl_bench_arena(const struct sl_bench *bench)
{
    struct sl_object_arena_options options = {.tenant = TENANT,
                                              .step_bytes = STEP_BYTES,
                                              .size_bytes_max = ARENA_BYTES,
                                              .objects_max = 65536,
                                              .pins_max = 16384};
    struct rig rig = {.bench = bench, .large = SL_SHARED_NONE};
    rig.ids = sl_alloc(MANY * sizeof(*rig.ids));
    rig.source = sl_alloc(SL_MIB);
    memset(rig.source, 0x5a, SL_MIB); /* Memory of its own, not the one page of zeroes. */
    bool is_ok = (sl_object_arena_create(&options, &rig.arena) == SL_OK && fill_arena(&rig)) ||
                 sl_bench_fail("the arena cannot be filled");
    is_ok = is_ok && make_large(&rig) && run_gets(&rig) && run_puts(&rig);
    sl_shared_destroy(&rig.large);
    sl_object_arena_destroy(&rig.arena);
    sl_free(rig.ids);
    sl_free(rig.source);
    return is_ok;
}
