/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects from another process that has nothing but its socket: what it takes to hand one over in a
 * ring, and what a put takes until the store has answered, by bytes in the message and by a sealed
 * file that changes hands.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench_arena.h"
#include "object-store/object_client.h"
#include "object-store/object_node.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define TENANT     7u
#define TIMEOUT_NS (20 * SL_SECOND_NS)
#define LARGE      (32 * SL_MIB)

struct answer {
    double hand_us, put_us, large_ms; /* 0: it failed. */
};

static struct sl_object_id
id_of(uint64_t number)
{
    return (struct sl_object_id){.tenant = TENANT,
                                 .kind = SL_OBJECT_NAMED,
                                 .key = {number, number * UINT64_C(0x9e3779b97f4a7c15)}};
}

typedef enum sl_err put_fn(struct sl_object_client *c, const struct sl_object_id *id,
                           struct sl_slice bytes, uint64_t rebuild_ns);

/* Nanoseconds of the median put of objects that are new; 0: one failed. */
static double
puts_ns(put_fn *put, struct sl_object_client *c, uint64_t first, struct sl_slice bytes,
        uint32_t rounds)
{
    double *ns = sl_alloc(rounds * sizeof(*ns));
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < rounds; i++) {
        struct sl_object_id id = id_of(first + i);
        uint64_t start_ns = sl_time_mono_ns();
        is_ok = put(c, &id, bytes, 1000) == SL_OK;
        ns[i] = (double)(sl_time_mono_ns() - start_ns);
    }
    double median = is_ok ? sl_bench_median(ns, rounds) : 0;
    sl_free(ns);
    return median;
}

static void
measure_puts(int fd, int to)
{
    struct sl_object_client *c = sl_object_client_create(fd, TENANT, TIMEOUT_NS);
    uint8_t *bytes = sl_zalloc(LARGE);
    struct answer answer = {
        .hand_us = puts_ns(sl_object_client_hand, c, 1, sl_slice(bytes, 4096), 5001) / 1e3,
        .put_us = puts_ns(sl_object_client_put, c, 100000, sl_slice(bytes, 4096), 5001) / 1e3,
        .large_ms = puts_ns(sl_object_client_put, c, 1000000, sl_slice(bytes, LARGE), 7) / 1e6,
    };
    _exit(write(to, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1);
}

/* The client is a process, the store a thread of this one: as in a node. */
static bool
ask_client(struct sl_object_node *store, struct answer *ret_answer)
{
    int fd, ends[2];
    struct sl_object_peer peer = {.tenant = TENANT};
    if (sl_object_node_grant(store, &peer, &fd) != SL_OK || pipe(ends) != 0)
        return sl_bench_fail("a client cannot be admitted");
    pid_t pid = fork();
    if (pid < 0)
        return sl_bench_fail("no process can be started");
    if (pid == 0)
        measure_puts(fd, ends[1]);
    (void)close(fd);
    (void)close(ends[1]);
    (void)waitpid(pid, NULL, 0);
    bool is_ok = read(ends[0], ret_answer, sizeof(*ret_answer)) == sizeof(*ret_answer) &&
                 ret_answer->put_us > 0 && ret_answer->large_ms > 0;
    (void)close(ends[0]);
    return is_ok || sl_bench_fail("the client failed");
}

bool
sl_bench_objects(const struct sl_bench *bench)
{
    struct sl_object_node_options options = {.memory_bytes = 512 * SL_MIB,
                                             .tenant_bytes = 512 * SL_MIB};
    struct sl_object_node *store = NULL;
    struct answer answer;
    bool is_ok =
        sl_object_node_open(&options, &store) == SL_OK || sl_bench_fail("there is no store");
    is_ok = is_ok && ask_client(store, &answer);
    if (is_ok) {
        sl_bench_show(bench, &(struct sl_bench_figure){.name = "object_store.put_4k_remote.p50",
                                                       .unit = "us",
                                                       .value = answer.hand_us,
                                                       .note = "handed over in its ring"});
        sl_bench_show(bench, &(struct sl_bench_figure){.name = "object_store.put_4k_asked.p50",
                                                       .unit = "us",
                                                       .value = answer.put_us,
                                                       .note = "over its socket, answered"});
        sl_bench_show(bench, &(struct sl_bench_figure){.name = "object.client_put_32m",
                                                       .unit = "ms",
                                                       .value = answer.large_ms,
                                                       .note = "copied once, into fresh memory"});
    }
    sl_object_node_close(&store);
    return is_ok;
}
