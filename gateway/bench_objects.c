/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects from another process that has nothing but its socket: what a put of it takes until the
 * store has answered, by bytes in the message and by a sealed file that changes hands.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <poll.h>
#include <unistd.h>

#include "gateway/bench_arena.h"
#include "object-store/object_client.h"
#include "object-store/object_server.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define TENANT     7u
#define TIMEOUT_NS (20 * SL_SECOND_NS)
#define LARGE      (32 * SL_MIB)

struct answer {
    double put_us, large_ms; /* 0: it failed. */
};

static struct sl_object_id
id_of(uint64_t number)
{
    return (struct sl_object_id){.tenant = TENANT,
                                 .kind = SL_OBJECT_NAMED,
                                 .key = {number, number * UINT64_C(0x9e3779b97f4a7c15)}};
}

/* Nanoseconds of the median put of objects that are new; 0: one failed. */
static double
puts_ns(struct sl_object_client *c, uint64_t first, struct sl_slice bytes, uint32_t rounds)
{
    double *ns = sl_alloc(rounds * sizeof(*ns));
    bool is_ok = true;
    for (uint32_t i = 0; is_ok && i < rounds; i++) {
        struct sl_object_id id = id_of(first + i);
        uint64_t start_ns = sl_time_mono_ns();
        is_ok = sl_object_client_put(c, &id, bytes, 1000) == SL_OK;
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
        .put_us = puts_ns(c, 1, sl_slice(bytes, 4096), 5001) / 1e3,
        .large_ms = puts_ns(c, 1000000, sl_slice(bytes, LARGE), 7) / 1e6,
    };
    _exit(write(to, &answer, sizeof(answer)) == sizeof(answer) ? 0 : 1);
}

/* Serve it until it has ended. */
static bool
ask_client(struct sl_object_server *server, struct answer *ret_answer)
{
    int pair[2], ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0 || pipe(ends) != 0 ||
        sl_object_server_admit(server, pair[0], &(struct sl_object_peer){.tenant = TENANT}) !=
            SL_OK)
        return sl_bench_fail("a client cannot be admitted");
    pid_t pid = fork();
    if (pid < 0)
        return sl_bench_fail("no process can be started");
    if (pid == 0)
        measure_puts(pair[1], ends[1]);
    (void)close(pair[1]);
    (void)close(ends[1]);
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        struct pollfd p = {.fd = sl_object_server_fd(server), .events = POLLIN};
        if (poll(&p, 1, 100) > 0)
            (void)sl_object_server_turn(server);
    }
    bool is_ok = read(ends[0], ret_answer, sizeof(*ret_answer)) == sizeof(*ret_answer) &&
                 ret_answer->put_us > 0 && ret_answer->large_ms > 0;
    (void)close(ends[0]);
    return is_ok || sl_bench_fail("the client failed");
}

bool
sl_bench_objects(const struct sl_bench *bench)
{
    struct sl_objects_options options = {.node_bytes_max = 512 * SL_MIB,
                                         .tenant_bytes_max = 512 * SL_MIB};
    struct sl_objects *objects = NULL;
    struct sl_object_server *server = NULL;
    struct answer answer;
    bool is_ok = (sl_objects_create(&options, &objects) == SL_OK &&
                  sl_object_server_create(objects, &server) == SL_OK) ||
                 sl_bench_fail("there is no store");
    is_ok = is_ok && ask_client(server, &answer);
    if (is_ok) {
        sl_bench_show(bench, &(struct sl_bench_figure){.name = "object.client_put_4k.p50",
                                                       .unit = "us",
                                                       .value = answer.put_us,
                                                       .note = "over its socket, answered"});
        sl_bench_show(bench, &(struct sl_bench_figure){.name = "object.client_put_32m",
                                                       .unit = "ms",
                                                       .value = answer.large_ms,
                                                       .note = "copied once, into fresh memory"});
    }
    sl_object_server_destroy(&server);
    sl_objects_destroy(&objects);
    return is_ok;
}
