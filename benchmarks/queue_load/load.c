/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue-load PROTOCOL PORT SECONDS [OPTION]: load the queue at a port of 127.0.0.1 and print a line
 * of JSON for each phase, in this order:
 *   enqueue_1        a lone producer, one job at a time
 *   pickup           from the producer's write to an idle worker's read
 *   e2e_64, e2e_1024 jobs written, worked and acknowledged, so many unfinished at any time
 *   enqueue_64, enqueue_1024
 * queue-load PROTOCOL PORT SECONDS OPTION fill: enqueue until the time is over or the server is
 * gone, and print how many were answered. ... OPTION count: print how many there are.
 * queue-load fdatasync DIRECTORY: how long a synced append of 200 bytes takes there.
 *
 * A worker asks only for jobs that are known to be there: no peer pays for empty answers.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define SAMPLES_MAX (1U << 20)
#define IDLE_NS     300000 /* What a worker is left alone, to be idle when its job comes. */
#define SYNCS_MAX   1000
#define SYNCS_NS    300000000
#define PATIENCE_NS UINT64_C(5000000000)
#define LATE        4
#define PER_PAIR    64
#define PAIRS_MAX   (LOAD_WINDOW_MAX / PER_PAIR)

/* Producers first, then as many workers, if there are any: `pairs` of each. */
struct load {
    const struct load_protocol *protocol;
    struct load_conn conns[2 * PAIRS_MAX];
    uint32_t pairs, count;
    uint64_t puts, puts_done, asked, jobs, acks;
    bool is_gone;
};

struct phase {
    const char *name;
    uint32_t window; /* Spread over connections of 64 each. */
    bool is_end_to_end;
    double share; /* Of the whole time. */
};

static uint64_t samples[SAMPLES_MAX];

static const struct load_protocol *const protocols[] = {
    &load_beanstalkd, &load_redis_lists, &load_redis_streams,
    &load_nats,       &load_gearmand,    &load_rabbitmq,
};

static int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The rate, the share of a core that this program took, and quantiles of `count` samples. */
static void
report(const char *name, uint64_t done, uint64_t took_ns, double busy, uint32_t count)
{
    double rate = (double)done * 1e9 / (double)took_ns;
    printf("{\"phase\": \"%s\", \"count\": %" PRIu64 ", \"rate\": %.1f, \"busy\": %.3f", name, done,
           rate, busy);
    if (count > 0) {
        qsort(samples, count, sizeof(samples[0]), compare);
        printf(", \"p50_us\": %.1f, \"p99_us\": %.1f", (double)samples[count / 2] / 1e3,
               (double)samples[(uint64_t)count * 99 / 100] / 1e3);
    }
    printf("}\n");
    fflush(stdout);
}

static void
open_load(struct load *l, uint16_t port, const char *option, const struct phase *phase)
{
    l->pairs = (phase->window + PER_PAIR - 1) / PER_PAIR;
    l->count = phase->is_end_to_end ? 2 * l->pairs : l->pairs;
    for (uint32_t i = 0; i < l->count; i++) {
        struct load_conn *c = &l->conns[i];
        *c = (struct load_conn){
            .role = i < l->pairs ? LOAD_PRODUCER : LOAD_WORKER,
            .index = i % l->pairs,
            .option = option,
        };
        load_connect(c, port);
        l->protocol->open(c);
    }
}

static void
close_load(struct load *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        load_close(&l->conns[i]);
    *l = (struct load){.protocol = l->protocol};
}

static void
put(struct load *l)
{
    char payload[LOAD_PAYLOAD_SIZE + 1];
    struct load_conn *c = &l->conns[l->puts / PER_PAIR % l->pairs];
    int size = snprintf(payload, sizeof(payload), "%016" PRIx64, l->puts++);
    memset(payload + size, 'x', sizeof(payload) - (size_t)size);
    l->protocol->put(c, sl_slice(payload, LOAD_PAYLOAD_SIZE));
}

/* Ask for all that is there and not asked for, as evenly as it goes. */
static void
ask(struct load *l)
{
    for (uint32_t i = 0; i < l->pairs; i++) {
        uint64_t left = l->puts_done - l->asked;
        uint64_t part = (left + l->pairs - i - 1) / (l->pairs - i);
        if (part > 0)
            l->protocol->ask(&l->conns[l->pairs + i], (uint32_t)part);
        l->asked += part;
    }
}

static void
take_all(struct load *l, struct load_conn *c)
{
    struct load_event event;
    while (l->protocol->take(c, &event)) {
        switch (event.kind) {
        case LOAD_NOTHING:
            break;
        case LOAD_PUT_DONE:
            l->puts_done += event.count;
            break;
        case LOAD_JOB:
            l->jobs++;
            l->protocol->ack(c, event.token);
            l->acks += !l->protocol->is_ack_answered;
            break;
        case LOAD_ACK_DONE:
            l->acks++;
            break;
        }
    }
}

/* Write what is to be written, wait for an answer until `end_ns`, take all that has come. */
static void
turn(struct load *l, uint64_t end_ns)
{
    struct pollfd fds[2 * PAIRS_MAX];
    for (uint32_t i = 0; i < l->count; i++) {
        bool is_written = load_flush(&l->conns[i]);
        short events = (short)(is_written ? POLLIN : POLLIN | POLLOUT);
        fds[i] = (struct pollfd){.fd = l->conns[i].fd, .events = events};
    }
    uint64_t now = sl_time_mono_ns();
    if (now >= end_ns || poll(fds, l->count, (int)((end_ns - now) / 1000000) + 1) <= 0)
        return;
    for (uint32_t i = 0; i < l->count; i++) {
        if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) == 0)
            continue;
        l->is_gone |= !load_read(&l->conns[i]);
        take_all(l, &l->conns[i]);
        load_flush(&l->conns[i]); /* Acks. */
    }
}

/* For so long, and until a whole window has been answered, but at most LATE times as long. */
static void
go(struct load *l, const struct phase *phase, double seconds, uint32_t *ret_samples)
{
    uint64_t duration_ns = (uint64_t)(seconds * 1e9);
    uint64_t end_ns = sl_time_mono_ns() + duration_ns, late_ns = end_ns + (LATE - 1) * duration_ns;
    uint64_t put_ns = 0;
    uint32_t count = 0;
    for (;;) {
        uint64_t finished = l->puts_done;
        if (phase->is_end_to_end)
            finished = SL_MIN(finished, l->acks);
        uint64_t now = sl_time_mono_ns();
        if (phase->window == 1 && finished > 0 && finished == l->puts && count < SAMPLES_MAX)
            samples[count++] = now - put_ns;
        if (l->is_gone || now >= late_ns || (now >= end_ns && finished >= phase->window))
            break;
        for (; l->puts - finished < phase->window; put_ns = now)
            put(l);
        if (phase->is_end_to_end)
            ask(l);
        turn(l, now < end_ns ? end_ns : late_ns);
    }
    *ret_samples = count;
}

static void
run_phase(struct load *l, const struct phase *phase, double seconds)
{
    uint64_t start = sl_time_mono_ns(), busy = sl_time_processor_ns();
    uint32_t count;
    go(l, phase, seconds * phase->share, &count);
    uint64_t took = sl_time_mono_ns() - start;
    uint64_t done = phase->is_end_to_end ? SL_MIN(l->puts_done, l->acks) : l->puts_done;
    double share = (double)(sl_time_processor_ns() - busy) / (double)took;
    /* What is under way must not burden the phase after. */
    uint64_t patience = sl_time_mono_ns() + PATIENCE_NS;
    while (l->puts_done < l->puts && !l->is_gone && sl_time_mono_ns() < patience)
        turn(l, patience);
    if (l->is_gone)
        load_die("%s: the server has hung up", phase->name);
    if (done == 0) /* Not one in all that time: there is no rate to tell. */
        return;
    report(phase->name, done, took, share, count);
}

static void
run_pickup(struct load *l, double seconds)
{
    uint64_t start = sl_time_mono_ns(), end = start + (uint64_t)(seconds * 1e9);
    uint32_t count = 0;
    while (sl_time_mono_ns() < end && count < SAMPLES_MAX) {
        l->protocol->wait(&l->conns[1]);
        load_flush(&l->conns[1]);
        sl_time_sleep_ns(IDLE_NS);
        uint64_t put_ns = sl_time_mono_ns(), patience = put_ns + PATIENCE_NS;
        put(l);
        while (l->jobs < l->puts && sl_time_mono_ns() < patience)
            turn(l, patience);
        samples[count++] = sl_time_mono_ns() - put_ns;
        while ((l->puts_done < l->puts || l->acks < l->puts) && sl_time_mono_ns() < patience)
            turn(l, patience);
        if (l->is_gone || l->acks < l->puts || l->puts_done < l->puts)
            load_die("pickup: job %" PRIu64 " did not come", l->puts);
    }
    report("pickup", count, sl_time_mono_ns() - start, 0, count);
}

static void
run_all(struct load *l, uint16_t port, double seconds, const char *option)
{
    static const struct phase pickup = {"pickup", 1, true, 0.15};
    static const struct phase phases[] = {
        {"enqueue_1", 1, false, 0.15},       {"e2e_64", 64, true, 0.2},
        {"e2e_1024", 1024, true, 0.2},       {"enqueue_64", 64, false, 0.15},
        {"enqueue_1024", 1024, false, 0.15},
    };
    for (size_t i = 0; i < SL_COUNT_OF(phases); i++) {
        open_load(l, port, option, &phases[i]);
        run_phase(l, &phases[i], seconds);
        close_load(l);
        if (i > 0)
            continue;
        open_load(l, port, option, &pickup);
        run_pickup(l, seconds * pickup.share);
        close_load(l);
    }
}

static void
run_fill(struct load *l, uint16_t port, double seconds, const char *option)
{
    struct phase phase = {"fill", 64, false, 1};
    uint32_t count;
    open_load(l, port, option, &phase);
    go(l, &phase, seconds, &count);
    printf("{\"phase\": \"fill\", \"count\": %" PRIu64 "}\n", l->puts_done);
    close_load(l);
}

static void
run_count(struct load *l, uint16_t port, const char *option)
{
    struct load_conn counter = {.role = LOAD_COUNTER, .option = option};
    load_connect(&counter, port);
    l->protocol->open(&counter);
    printf("{\"phase\": \"count\", \"count\": %" PRIu64 "}\n", l->protocol->count(&counter));
    load_close(&counter);
}

/* Into bytes that exist already: what a log of recycled segments pays. */
static void
run_fdatasync(const char *directory)
{
    static const char record[LOAD_PAYLOAD_SIZE] = "x";
    char *path = sl_format("%s/queue-load-%d", directory, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char *zeros = sl_zalloc(SL_MIB);
    if (fd < 0 || write(fd, zeros, SL_MIB) != (ssize_t)SL_MIB || fsync(fd) != 0)
        load_die("%s: cannot be written", path);
    uint64_t start = sl_time_mono_ns();
    uint32_t count = 0;
    while (count < SYNCS_MAX && sl_time_mono_ns() - start < SYNCS_NS) {
        uint64_t before = sl_time_mono_ns();
        off_t offset = (off_t)count * LOAD_PAYLOAD_SIZE;
        if (pwrite(fd, record, sizeof(record), offset) != (ssize_t)sizeof(record) ||
            fdatasync(fd) != 0)
            load_die("%s: cannot be synced", path);
        samples[count++] = sl_time_mono_ns() - before;
    }
    report("fdatasync", count, sl_time_mono_ns() - start, 0, count);
    close(fd);
    unlink(path);
    sl_free(zeros);
    sl_free(path);
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "fdatasync") == 0) {
        run_fdatasync(argv[2]);
        return 0;
    }
    struct load load = {0};
    for (size_t i = 0; argc >= 4 && i < SL_COUNT_OF(protocols); i++) {
        if (strcmp(argv[1], protocols[i]->name) == 0)
            load.protocol = protocols[i];
    }
    double seconds = argc >= 4 ? strtod(argv[3], NULL) : 0;
    if (load.protocol == NULL || seconds <= 0 || seconds > 600) {
        fprintf(stderr, "queue-load PROTOCOL PORT SECONDS [OPTION [fill | count]]\n"
                        "queue-load fdatasync DIRECTORY\n");
        return 2;
    }
    uint16_t port = (uint16_t)strtoul(argv[2], NULL, 10);
    const char *option = argc >= 5 ? argv[4] : "";
    if (argc == 6 && strcmp(argv[5], "fill") == 0)
        run_fill(&load, port, seconds, option);
    else if (argc == 6 && strcmp(argv[5], "count") == 0)
        run_count(&load, port, option);
    else
        run_all(&load, port, seconds, option);
    return 0;
}
