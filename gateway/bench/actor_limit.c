/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What bounds messages between two threads of this machine, measured in the same run as our own: a
 * bare ring, which only moves what is in it from one cache to another, and libzmq's inproc://
 * sockets, which are what one would take instead.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "gateway/bench/actor.h"
#include "gateway/bench/zmq.h"
#include "runtime/time.h"

#define RING_SIZE 2048u

/* ---- a bare ring --------------------------------------------------------------------------- */

/* As large as a message of the actors with its envelope. */
struct entry {
    _Alignas(64) uint64_t number;
};

/* Each side keeps what it last saw of the other's counter: it looks again only when it has to. */
struct ring {
    _Alignas(64) _Atomic uint64_t head;
    _Alignas(64) _Atomic uint64_t tail;
    struct entry entries[RING_SIZE];
    uint64_t count;
};

static void *
fill_ring(void *arg)
{
    struct ring *r = arg;
    uint64_t head = 0;
    for (uint64_t i = 0; i < r->count; i++) {
        while (i - head >= RING_SIZE) {
            head = atomic_load_explicit(&r->head, memory_order_acquire);
            if (i - head >= RING_SIZE)
                sched_yield();
        }
        r->entries[i % RING_SIZE].number = i;
        atomic_store_explicit(&r->tail, i + 1, memory_order_release);
    }
    return NULL;
}

/* False: what came is not what went in. */
static bool
empty_ring(struct ring *r)
{
    uint64_t tail = 0;
    bool is_ok = true;
    for (uint64_t i = 0; i < r->count; i++) {
        while (i >= tail) {
            tail = atomic_load_explicit(&r->tail, memory_order_acquire);
            if (i >= tail)
                sched_yield();
        }
        is_ok &= r->entries[i % RING_SIZE].number == i;
        atomic_store_explicit(&r->head, i + 1, memory_order_release);
    }
    return is_ok;
}

double
sl_bench_limit_ring(const struct sl_bench_load *load)
{
    static struct ring ring;
    pthread_t thread;
    ring.head = ring.tail = 0;
    ring.count = load->count;
    uint64_t start_ns = sl_time_mono_ns();
    if (pthread_create(&thread, NULL, fill_ring, &ring) != 0)
        return 0;
    bool is_ok = empty_ring(&ring);
    pthread_join(thread, NULL);
    return is_ok ? (double)load->count / ((double)(sl_time_mono_ns() - start_ns) / 1e9) : 0;
}

/* ---- libzmq inproc ------------------------------------------------------------------------- */

struct zmq_side {
    const struct sl_bench_zmq *zmq;
    void *socket;
    uint64_t count;
    bool is_pingpong;
};

static void *
send_numbers(void *arg)
{
    struct zmq_side *side = arg;
    uint64_t answer;
    for (uint64_t i = 0; i < side->count; i++) {
        (void)side->zmq->send(side->socket, &i, sizeof(i), 0);
        if (side->is_pingpong)
            (void)side->zmq->recv(side->socket, &answer, sizeof(answer), 0);
    }
    return NULL;
}

static bool
receive_numbers(const struct zmq_side *side)
{
    bool is_ok = true;
    uint64_t number = 0;
    for (uint64_t i = 0; i < side->count && is_ok; i++) {
        is_ok = side->zmq->recv(side->socket, &number, sizeof(number), 0) == sizeof(number) &&
                number == i;
        if (is_ok && side->is_pingpong)
            is_ok = side->zmq->send(side->socket, &number, sizeof(number), 0) == sizeof(number);
    }
    return is_ok;
}

/* Messages a second; a ping-pong counts both ways. */
static double
run_zmq(uint64_t count, bool is_pingpong)
{
    const struct sl_bench_zmq *zmq = sl_bench_zmq_lookup();
    if (zmq == NULL)
        return 0;
    void *ctx = zmq->ctx_new();
    struct zmq_side sides[2] = {{zmq, zmq->socket(ctx, ZMQ_PAIR), count, is_pingpong},
                                {zmq, zmq->socket(ctx, ZMQ_PAIR), count, is_pingpong}};
    pthread_t thread;
    bool is_ok = zmq->bind(sides[0].socket, "inproc://bench") == 0 &&
                 zmq->connect(sides[1].socket, "inproc://bench") == 0;
    uint64_t start_ns = sl_time_mono_ns();
    if (is_ok && (is_ok = pthread_create(&thread, NULL, send_numbers, &sides[1]) == 0)) {
        is_ok = receive_numbers(&sides[0]);
        pthread_join(thread, NULL);
    }
    double seconds = (double)(sl_time_mono_ns() - start_ns) / 1e9;
    (void)zmq->close(sides[0].socket);
    (void)zmq->close(sides[1].socket);
    (void)zmq->ctx_term(ctx);
    return is_ok ? (double)(is_pingpong ? 2 * count : count) / seconds : 0;
}

double
sl_bench_limit_zmq(const struct sl_bench_load *load)
{
    return run_zmq(load->count, false);
}

double
sl_bench_limit_zmq_pingpong(const struct sl_bench_load *load)
{
    return run_zmq(load->count / 2, true);
}
