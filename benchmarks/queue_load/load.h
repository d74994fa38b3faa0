/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.h - one load for every queue that is spoken to over a socket: producers' connections and
 * workers', each written and read in batches, all served by one thread, so that the generator
 * costs a peer as little of the machine as can be.
 *
 * A protocol is a table of functions that append requests and take replies. It dies, and says why,
 * on any reply that it does not expect: a refused job must not be counted.
 *
 * Threading: one thread.
 */
#ifndef SL_BENCHMARKS_LOAD_H
#define SL_BENCHMARKS_LOAD_H

#include <assert.h>

#include "runtime/base.h"
#include "runtime/buf.h"

#define LOAD_PAYLOAD_SIZE 200
#define LOAD_WINDOW_MAX   1024

enum load_role { LOAD_PRODUCER, LOAD_WORKER, LOAD_COUNTER };

struct load_conn {
    int fd;
    enum load_role role;
    uint32_t index;     /* Among those of its role: the first producer makes the queue. */
    const char *option; /* What the protocol was told on the command line; never NULL. */
    struct sl_buf out;
    size_t out_sent;
    uint8_t *in; /* [in_head, in_tail) has come and is not taken yet. */
    size_t in_head, in_tail, in_capacity;
    uint64_t state[2]; /* The protocol's own; zeroed. */
    void *own;         /* As well: NULL, or freed when it is closed. */
};

enum load_kind { LOAD_NOTHING, LOAD_PUT_DONE, LOAD_JOB, LOAD_ACK_DONE };

struct load_event {
    enum load_kind kind;
    uint64_t count;        /* Of a LOAD_PUT_DONE: jobs that it answers. */
    struct sl_slice token; /* Of a LOAD_JOB: what its ack needs. Borrowed until the next take. */
};

struct load_protocol {
    const char *name;
    bool is_ack_answered; /* False: a job is done once its ack is written. */
    /* Greet the server, blocking. The first producer comes first and makes the queue anew, empty.
     */
    void (*open)(struct load_conn *c);
    void (*put)(struct load_conn *c, struct sl_slice payload);
    void (*ask)(struct load_conn *c, uint32_t count); /* So many jobs, which are there. */
    void (*wait)(struct load_conn *c);                /* For a job that is not there yet. */
    void (*ack)(struct load_conn *c, struct sl_slice token);
    /* Take one reply; false: it has not come wholly. */
    bool (*take)(struct load_conn *c, struct load_event *ret);
    uint64_t (*count)(struct load_conn *c); /* Jobs in the queue, asked blocking by a counter. */
};

extern const struct load_protocol load_beanstalkd, load_redis_lists, load_redis_streams, load_nats,
    load_gearmand, load_rabbitmq;

SL_PRINTF(1, 2) _Noreturn void load_die(const char *format, ...);

/* Connect to a port of 127.0.0.1. Dies if nothing answers there. */
void load_connect(struct load_conn *c, uint16_t port);
void load_close(struct load_conn *c);
/* Write what the socket takes; true: all is written. */
bool load_flush(struct load_conn *c);
/* Read what has come. False: the server has hung up. */
bool load_read(struct load_conn *c);

/* What has come. */
struct sl_slice load_input(const struct load_conn *c);
void load_taken(struct load_conn *c, size_t size);
/* The line at the head, without its CR LF, which is not taken yet; false: no end of it has come. */
bool load_line(const struct load_conn *c, struct sl_slice *ret_line);
bool load_starts(struct sl_slice line, const char *with);

/* For greetings: write `out`, then wait until `count` bytes or a line have come. */
void load_need(struct load_conn *c, size_t count);
struct sl_slice load_need_line(struct load_conn *c);
/* Write out, take one line, which must start so. */
void load_expect(struct load_conn *c, const char *start);

#endif
