/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects from another process that has nothing but its socket: small ones, handed over in a ring,
 * put until the store has answered, and got from the arena; arrays of 100 MB and 1 GiB, each put
 * from the process's own memory and got, that is mapped. Arrays are removed before the next one is
 * put, outside the clock, so that all but the first are put where another one lay.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench/arena.h"
#include "object-store/object_client.h"
#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define TENANT      7u
#define TIMEOUT_NS  (20 * SL_SECOND_NS)
#define PUTS        2001u
#define BATCH       100u
#define BATCHES     1001u
#define RESIDENT    1000u /* Of each small size, that gets go through. */
#define NODE_BYTES  (3 * SL_GIB)
#define LARGES      2u
#define ROUNDS_MAX  11
#define FIRST_HAND  1u
#define FIRST_PUT   1000000u
#define FIRST_LARGE 2000000u

static const uint64_t large_bytes[LARGES] = {100000000, SL_GIB};

/* All of one client; 0: it failed. */
struct answer {
    double hand_us[2], put_us[2], get_ns[2]; /* Of 100 and 4,096 bytes. */
    double large_put_ns[LARGES], large_get_ns[LARGES];
    double large_new_ns[LARGES];              /* The put of the first, which finds no memory. */
    double copy_ns[LARGES], fresh_ns[LARGES]; /* Into touched memory, and into a new file. */
};

static struct sl_object_id
id_of(uint64_t number)
{
    return (struct sl_object_id){.tenant = TENANT,
                                 .kind = SL_OBJECT_NAMED,
                                 .key = {number, number * UINT64_C(0x9e3779b97f4a7c15)}};
}

/* ---- small ones ---------------------------------------------------------------------------- */

typedef enum sl_err put_fn(struct sl_object_client *c, const struct sl_object_id *id,
                           struct sl_slice bytes, uint64_t rebuild_ns);

/* The median put of objects that are new. */
static double
puts_us(put_fn *put, struct sl_object_client *c, uint64_t first, struct sl_slice bytes)
{
    static double us[PUTS];
    for (uint32_t i = 0; i < PUTS; i++) {
        struct sl_object_id id = id_of(first + i);
        uint64_t start_ns = sl_time_mono_ns();
        if (put(c, &id, bytes, 1000) != SL_OK)
            return 0;
        us[i] = (double)(sl_time_mono_ns() - start_ns) / 1e3;
    }
    return sl_bench_median(us, PUTS);
}

/* Get, look at a byte, release: BATCH at a time. */
static double
gets_ns(struct sl_object_client *c, uint64_t first)
{
    static double ns[BATCHES];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < BATCHES; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        for (uint64_t k = 0; k < BATCH; k++) {
            struct sl_object_id id = id_of(first + (i * BATCH + k) * 7919 % RESIDENT);
            struct sl_object_ref ref;
            if (sl_object_client_get(c, &id, &ref) != SL_OK)
                return 0;
            sum += ref.bytes.data[0];
            sl_object_client_release(c, &ref);
        }
        ns[i] = (double)(sl_time_mono_ns() - start_ns) / BATCH;
    }
    return sum == 0 ? 0 : sl_bench_median(ns, BATCHES);
}

/* ---- arrays -------------------------------------------------------------------------------- */

/* One round: put, get, remove. */
static bool
put_and_get(struct sl_object_client *c, uint64_t number, struct sl_slice bytes, double ret_ns[2])
{
    struct sl_object_id id = id_of(FIRST_LARGE + number);
    struct sl_object_ref ref;
    uint64_t start_ns = sl_time_mono_ns();
    if (sl_object_client_put(c, &id, bytes, 1000) != SL_OK)
        return false;
    uint64_t put_ns = sl_time_mono_ns();
    if (sl_object_client_get(c, &id, &ref) != SL_OK)
        return false;
    bool is_same = ref.bytes.size == bytes.size && ref.bytes.data[0] == bytes.data[0];
    ret_ns[0] = (double)(put_ns - start_ns);
    ret_ns[1] = (double)(sl_time_mono_ns() - put_ns);
    is_same = is_same && memcmp(ref.bytes.data, bytes.data, bytes.size) == 0;
    sl_object_client_release(c, &ref);
    return is_same && sl_object_client_delete(c, &id) == SL_OK;
}

/* What a put cannot be much faster than, as long as it gives an object memory of its own. */
static double
fresh_copy_ns(struct sl_slice bytes)
{
    uint64_t start_ns = sl_time_mono_ns();
    int fd = memfd_create("sluice-bench", MFD_CLOEXEC);
    void *to = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, (off_t)bytes.size) == 0)
        to = mmap(NULL, bytes.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (to != MAP_FAILED)
        memcpy(to, bytes.data, bytes.size);
    double ns = to == MAP_FAILED ? 0 : (double)(sl_time_mono_ns() - start_ns);
    if (to != MAP_FAILED)
        (void)munmap(to, bytes.size);
    if (fd >= 0)
        (void)close(fd);
    return ns;
}

static uint32_t
rounds_of(const struct sl_bench *bench, uint32_t which)
{
    return which == 0 ? (bench->is_quick ? 5 : ROUNDS_MAX) : (bench->is_quick ? 3 : 5);
}

/* The first object takes new memory, the others lie where it lay. */
static bool
arrays_ns(struct sl_object_client *c, const struct sl_bench *bench, uint32_t which,
          const uint8_t *source, struct answer *answer)
{
    double put_ns[ROUNDS_MAX], get_ns[ROUNDS_MAX], copy_ns[ROUNDS_MAX], ns[2];
    uint32_t rounds = rounds_of(bench, which);
    uint64_t size = large_bytes[which];
    uint8_t *beside = sl_alloc(size);
    memset(beside, 1, size);
    answer->fresh_ns[which] = fresh_copy_ns(sl_slice(source, size));
    bool is_ok =
        answer->fresh_ns[which] > 0 && put_and_get(c, which * 1000, sl_slice(source, size), ns);
    answer->large_new_ns[which] = ns[0];
    for (uint32_t i = 0; is_ok && i < rounds; i++) {
        is_ok = put_and_get(c, which * 1000 + 1 + i, sl_slice(source, size), ns);
        put_ns[i] = ns[0];
        get_ns[i] = ns[1];
        uint64_t start_ns = sl_time_mono_ns();
        memcpy(beside, source, size);
        copy_ns[i] = (double)(sl_time_mono_ns() - start_ns);
    }
    is_ok = is_ok && beside[size - 1] == source[size - 1];
    sl_free(beside);
    if (!is_ok)
        return false;
    answer->large_put_ns[which] = sl_bench_median(put_ns, rounds);
    answer->large_get_ns[which] = sl_bench_median(get_ns, rounds);
    answer->copy_ns[which] = sl_bench_median(copy_ns, rounds);
    return true;
}

/* ---- both processes ------------------------------------------------------------------------ */

SL_NORETURN static void
be_client(const struct sl_bench *bench, int fd, int to)
{
    struct sl_object_client *c = sl_object_client_create(fd, TENANT, TIMEOUT_NS);
    uint8_t *bytes = sl_alloc(SL_GIB);
    memset(bytes, 0x5a, SL_GIB); /* Memory of its own, not the one page of zeroes many times. */
    struct answer a = {0};
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < 2; i++) {
        struct sl_slice small = sl_slice(bytes, i == 0 ? 100 : 4096);
        a.hand_us[i] = puts_us(sl_object_client_hand, c, FIRST_HAND + i * 10000, small);
        a.put_us[i] = puts_us(sl_object_client_put, c, FIRST_PUT + i * 10000, small);
        a.get_ns[i] = gets_ns(c, FIRST_PUT + i * 10000);
        is_ok = a.hand_us[i] > 0 && a.put_us[i] > 0 && a.get_ns[i] > 0;
    }
    for (uint32_t i = 0; is_ok && i < LARGES; i++)
        is_ok = arrays_ns(c, bench, i, bytes, &a);
    _exit(is_ok && write(to, &a, sizeof(a)) == sizeof(a) ? 0 : 1);
}

/* Puts by the process that owns the objects, with quotas. */
struct own {
    double small_ns, new_ns[LARGES], large_ns[LARGES];
};

static double
put_in_store_ns(struct sl_objects *objects, uint64_t number, struct sl_slice bytes)
{
    struct sl_object_id id = id_of(number);
    uint64_t start_ns = sl_time_mono_ns();
    enum sl_err err = sl_objects_put(objects, &id, bytes, 1000);
    return err == SL_OK ? (double)(sl_time_mono_ns() - start_ns) : 0;
}

static bool
larges_in_store(const struct sl_bench *bench, struct sl_objects *objects, struct own *own)
{
    double ns[ROUNDS_MAX + 1];
    uint8_t *bytes = sl_alloc(SL_GIB);
    bool is_ok = true;
    memset(bytes, 0x5a, SL_GIB);
    for (uint32_t which = 0; is_ok && which < LARGES; which++) {
        uint32_t rounds = rounds_of(bench, which);
        struct sl_object_id id = id_of(FIRST_LARGE + which);
        for (uint32_t i = 0; is_ok && i <= rounds; i++) {
            struct sl_slice all = sl_slice(bytes, large_bytes[which]);
            ns[i] = put_in_store_ns(objects, FIRST_LARGE + which, all);
            is_ok = ns[i] > 0 && sl_objects_delete(objects, &id) == SL_OK;
        }
        own->new_ns[which] = ns[0];
        own->large_ns[which] = is_ok ? sl_bench_median(ns + 1, rounds) : 0;
    }
    sl_free(bytes);
    return is_ok;
}

static bool
own_puts(const struct sl_bench *bench, struct own *own)
{
    static double ns[PUTS];
    struct sl_objects_options options = {.node_bytes_max = NODE_BYTES,
                                         .tenant_bytes_max = NODE_BYTES};
    struct sl_objects *objects = NULL;
    uint8_t bytes[4096];
    memset(bytes, 0x5a, sizeof(bytes));
    bool is_ok = sl_objects_create(&options, &objects) == SL_OK;
    for (uint32_t i = 0; is_ok && i < PUTS; i++) {
        ns[i] = put_in_store_ns(objects, FIRST_PUT + i, sl_slice(bytes, sizeof(bytes)));
        is_ok = ns[i] > 0;
    }
    own->small_ns = is_ok ? sl_bench_median(ns, PUTS) : 0;
    is_ok = is_ok && larges_in_store(bench, objects, own);
    sl_objects_destroy(&objects);
    return is_ok || sl_bench_fail("the store's own put failed");
}

/* The client is a process, the store a thread of this one: as in a node. */
static bool
ask_client(const struct sl_bench *bench, struct sl_object_node *store, struct answer *ret_answer)
{
    int fd, ends[2];
    struct sl_object_peer peer = {.tenant = TENANT};
    if (sl_object_node_grant(store, &peer, &fd) != SL_OK || pipe(ends) != 0)
        return sl_bench_fail("a client cannot be admitted");
    pid_t pid = fork();
    if (pid < 0)
        return sl_bench_fail("no process can be started");
    if (pid == 0)
        be_client(bench, fd, ends[1]);
    (void)close(fd);
    (void)close(ends[1]);
    (void)waitpid(pid, NULL, 0);
    bool is_ok = read(ends[0], ret_answer, sizeof(*ret_answer)) == sizeof(*ret_answer);
    (void)close(ends[0]);
    return is_ok || sl_bench_fail("the client failed");
}

static void
show(const struct sl_bench *bench, const char *name, const char *unit, double value,
     const char *note)
{
    sl_bench_show(
        bench, &(struct sl_bench_figure){.name = name, .unit = unit, .value = value, .note = note});
}

static const char *const larges[LARGES] = {"100m", "1g"};

struct rate {
    const char *what, *more; /* Before and behind the size in its name. */
    uint32_t which;
    double ns;
};

static void
show_rate(const struct sl_bench *bench, struct rate rate, const char *note)
{
    char *name =
        sl_format("object_store.%s_%s%s.gib_per_s", rate.what, larges[rate.which], rate.more);
    show(bench, name, "GiB/s", (double)large_bytes[rate.which] / SL_GIB * 1e9 / rate.ns, note);
    sl_free(name);
}

static void
show_all(const struct sl_bench *bench, const struct answer *a)
{
    for (uint32_t i = 0; i < 2; i++) {
        const char *small = i == 0 ? "100b" : "4k";
        char *hand = sl_format("object_store.put_%s_remote.p50", small);
        char *put = sl_format("object_store.put_%s_asked.p50", small);
        char *get = sl_format("object_store.client_get_%s.p50", small);
        show(bench, hand, "us", a->hand_us[i], "handed over in its ring");
        show(bench, put, "us", a->put_us[i], "over its socket, answered");
        show(bench, get, "ns", a->get_ns[i], "by its name, from the arena");
        sl_free(hand);
        sl_free(put);
        sl_free(get);
    }
    for (uint32_t i = 0; i < LARGES; i++) {
        show_rate(bench, (struct rate){"put", "", i, a->large_put_ns[i]},
                  "from another process, through a stream to where another object lay");
        show_rate(bench, (struct rate){"put", "_new", i, a->large_new_ns[i]},
                  "the same into new memory");
        char *get = sl_format("object_store.get_%s.p50", larges[i]);
        show(bench, get, "us", a->large_get_ns[i] / 1e3, "asked for and mapped");
        sl_free(get);
        show_rate(bench, (struct rate){"copy", "", i, a->copy_ns[i]},
                  "a bare copy into touched memory, by turns");
        show_rate(bench, (struct rate){"copy_fresh", "", i, a->fresh_ns[i]},
                  "a bare copy into a new memory file, once");
    }
}

static void
show_own(const struct sl_bench *bench, const struct own *own)
{
    show(bench, "object_store.put_in_store_4k.p50", "ns", own->small_ns,
         "by the process that owns the objects, with quotas");
    for (uint32_t i = 0; i < LARGES; i++) {
        show_rate(bench, (struct rate){"put_in_store", "", i, own->large_ns[i]},
                  "by the process that owns the objects, to where another object lay");
        show_rate(bench, (struct rate){"put_in_store", "_new", i, own->new_ns[i]},
                  "the same into new memory");
    }
}

bool
sl_bench_objects(const struct sl_bench *bench)
{
    struct sl_object_node_options options = {.memory_bytes = NODE_BYTES,
                                             .tenant_bytes = NODE_BYTES};
    struct sl_object_node *store = NULL;
    struct answer answer;
    struct own own = {0};
    bool is_ok = own_puts(bench, &own);
    is_ok = is_ok &&
            (sl_object_node_open(&options, &store) == SL_OK || sl_bench_fail("there is no store"));
    is_ok = is_ok && ask_client(bench, store, &answer);
    if (is_ok) {
        show_own(bench, &own);
        show_all(bench, &answer);
    }
    sl_object_node_close(&store);
    return is_ok;
}
