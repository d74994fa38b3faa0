/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_client.h - a process' own link to a head's broker: it puts tasks, and works on them.
 *
 *     open --> set, put, want, begin, end, beat ... next, next, ... --> close
 *
 * Calls are numbered and do not wait: what came of them is told by `next`, in any order. What was
 * asked since the last `next` goes in as few frames as it fits in. A put is durable when its answer
 * is there. A link that breaks carries on by itself; when the session behind it ends (the head was
 * started again, or found us silent) DOWN comes: calls without an answer may have happened or not,
 * all leases are void, and `want` is to be said again after UP.
 *
 * Threading: one thread.
 */
#ifndef SL_GATEWAY_QUEUE_CLIENT_H
#define SL_GATEWAY_QUEUE_CLIENT_H

#include "gateway/queue_prefetch.h"
#include "queue/backend.h"
#include "runtime/actor.h"
#include "runtime/link.h"

struct sl_queue_client;

struct sl_queue_client_options {
    const char *endpoint;                    /* Of the head: "ipc://..." or "tcp://HOST:PORT". */
    const struct sl_link_security *security; /* For tcp; NULL: none. */
    const char *name;                        /* For the head's reports. */
    uint32_t node;    /* Its number; 0: a random one. Who starts a worker may choose it: `lost`. */
    bool tells_begun; /* What is leased has not begun until `begin` says so; else it has. */
};
/* A number for a client, as good as unique. */
uint32_t sl_queue_client_node_random(void);

/* As sl_links_secure and sl_links_connect. */
SL_MUST_CHECK enum sl_err sl_queue_client_open(const struct sl_queue_client_options *options,
                                               struct sl_queue_client **ret_client);
void sl_queue_client_close(struct sl_queue_client **client);
/* What answers, and leases of a `want`, wait for, from now on (actor.h). At first SL_LEVEL_DISK. */
void sl_queue_client_level_set(struct sl_queue_client *c, enum sl_level level);
/* The same, of leases alone. At SL_LEVEL_RAM a task comes sooner by a sync, and an end that was
 * answered on disk is there for good all the same; but after a crash there may be no task of that
 * id, then or ever: its put was not answered, and its end will not be. */
void sl_queue_client_lease_level_set(struct sl_queue_client *c, enum sl_level level);

/*
 * Ask; *ret_call numbers the call in the answer. SL_EINVAL: no items, or more than
 * SL_PUT_ITEMS_MAX. SL_EFULL: the head does not keep up; ask again after some answers. SL_ETOOBIG:
 * more than a frame may hold. SL_EDENIED: the head refused us. What is asked
 * before UP waits for it.
 */
/* Make a queue, or set it, also what an operator had; `settings` NULL: only make it, where it is
 * not there yet. */
SL_MUST_CHECK enum sl_err sl_queue_client_set(struct sl_queue_client *c, struct sl_queue_name queue,
                                              const struct sl_lane_settings *settings,
                                              uint64_t *ret_call);
SL_MUST_CHECK enum sl_err sl_queue_client_put(struct sl_queue_client *c, struct sl_queue_name queue,
                                              const struct sl_put_item *items, uint32_t count,
                                              uint64_t *ret_call);
/* Take so many more leases (no answer), at most SL_BROKER_CREDIT_MAX in all, for up to 24 h each;
 * 0: the broker's usual 15 s. A queue that is not there is waited for. */
SL_MUST_CHECK enum sl_err sl_queue_client_want(struct sl_queue_client *c,
                                               struct sl_queue_name queue, uint32_t credit,
                                               uint64_t duration_ms);
/*
 * Work on a queue, instead of `want`: how many leases to have at a time is chosen here, by how long
 * tasks take and how far the head is (queue_prefetch.h), whatever `credit` an `end` of the queue
 * names. Said once: it is wanted again after UP. Each lease is to be ended, also one that is lost
 * (SL_ESTALE): else it counts as held. SL_EINVAL: no such name.
 */
SL_MUST_CHECK enum sl_err sl_queue_client_work(struct sl_queue_client *c,
                                               struct sl_queue_name queue,
                                               const struct sl_prefetch_options *options,
                                               uint64_t duration_ms);
/* Of such a queue: how many leases that have not begun are better given back (SL_END_RELEASED), as
 * the tasks before them take long; ask now and then while one runs. 0: none, or no such queue. */
uint32_t sl_queue_client_surplus(const struct sl_queue_client *c, struct sl_queue_name queue);
/* Take no more (no answer): what was on its way may still come. */
SL_MUST_CHECK enum sl_err sl_queue_client_quiet(struct sl_queue_client *c,
                                                struct sl_queue_name queue);
/*
 * Say that leases of the scope begin now (no answer); ids as of `beat`. It goes with the next end
 * of that scope, or else with the next `next` or `flush`; in time, if that is before they run. When
 * this process dies, those count as crashed; others are given back uncounted. SL_EINVAL: too many.
 */
SL_MUST_CHECK enum sl_err sl_queue_client_begin(struct sl_queue_client *c, struct sl_scope scope,
                                                const uint64_t *ids, uint32_t count);
void sl_queue_client_flush(struct sl_queue_client *c); /* What was asked goes now. */
/* End leases of the queue's scope, and take `credit` more of the queue, where a `want` came before.
 */
SL_MUST_CHECK enum sl_err sl_queue_client_end(struct sl_queue_client *c, struct sl_queue_name queue,
                                              const struct sl_end_item *items, uint32_t count,
                                              uint32_t credit, uint64_t *ret_call);
/* Extend what is held, whatever the level. ids[2 i] is a lease's task, ids[2 i + 1] its epoch, all
 * of one scope, at most SL_BROKER_CREDIT_MAX (else SL_EINVAL). duration_ms as above. */
SL_MUST_CHECK enum sl_err sl_queue_client_beat(struct sl_queue_client *c, struct sl_scope scope,
                                               const uint64_t *ids, uint32_t count,
                                               uint64_t duration_ms, uint64_t *ret_call);

/*
 * The process behind another client is gone, says who has started it: sooner than its link can, and
 * with how. The answer's count: the leases that it held. SL_EINVAL: no client's number, no signal.
 */
SL_MUST_CHECK enum sl_err sl_queue_client_lost(struct sl_queue_client *c, uint32_t node,
                                               const struct sl_loss *loss, uint64_t *ret_call);

enum sl_queue_client_event_kind {
    SL_QUEUE_CLIENT_ANSWER,  /* `call`, `err`; if that is SL_OK, of each item: puts, or errs. */
    SL_QUEUE_CLIENT_LEASED,  /* `queue`, with its scope; `leases` */
    SL_QUEUE_CLIENT_REFUSED, /* `queue`: it is wanted in vain, by `err` (SL_EFULL: of too many). */
    SL_QUEUE_CLIENT_UP,
    SL_QUEUE_CLIENT_DOWN
};
/* Borrowed until the next `next`. */
struct sl_queue_client_event {
    enum sl_queue_client_event_kind kind;
    uint64_t call;
    enum sl_err err;
    uint32_t count; /* Of the arrays below. */
    const struct sl_put_result *puts;
    const enum sl_err *errs;
    const struct sl_lease *leases; /* Task, epoch, counts, created_ms and payload. */
    struct sl_queue_name queue;
};
/* Send what was asked, and wait for the next event; false: none came in time. */
bool sl_queue_client_next(struct sl_queue_client *c, uint64_t timeout_ns,
                          struct sl_queue_client_event *ret_event);
/* For who polls several: descriptors to read, at most `max`, and when `next` is due at the latest
 * (monotonic). What was asked goes with a `next` that found nothing. */
uint32_t sl_queue_client_fds(const struct sl_queue_client *c, int *ret_fds, uint32_t max);
uint64_t sl_queue_client_deadline_ns(const struct sl_queue_client *c);

#endif
