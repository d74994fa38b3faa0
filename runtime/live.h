/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.h - the live driver: a scheduler (scheduler.h) whose one thread is the caller's, with
 * links, watched descriptors and an I/O pool. One live is one node of the actor system and owns at
 * most one store.
 *
 *     loop:  poll sockets, descriptors, wake-up, next timer
 *            run what arrived, a bounded batch; messages between its own actors are part of it
 *            let effects of lower levels go (enum sl_level)
 *            sync the store if anything waits for it       (group commit: one fdatasync a batch)
 *                                (where more waits, a thread syncs beside the next batches)
 *            let the held effects go: frames (many messages each), ports, work
 *
 * Links (link.h): a node listens on endpoints and connects to others. A peer's name is its node
 * number, so a message to {node, actor} finds its session. Sockets belong to its thread.
 *
 * Threading: create, set up, run and destroy on one thread at a time (it may be handed over before
 * and after the run); sl_live_post and sl_live_stop on any.
 */
#ifndef SL_RUNTIME_LIVE_H
#define SL_RUNTIME_LIVE_H

#include "runtime/actor.h"
#include "runtime/link.h"

struct sl_live;

struct sl_live_options {
    uint32_t node;                        /* This node's number, > 0, unique among its peers. */
    struct sl_store *store;               /* Borrowed; NULL: none. */
    uint32_t io_threads;                  /* 0: 2 */
    const struct sl_links_options *links; /* Of its links, but `node`. NULL: by default. */
};

struct sl_live *sl_live_create(const struct sl_live_options *options);
/* After run returned. Destroys the actors; work under way is waited for. */
void sl_live_destroy(struct sl_live **live);

/* Spawn under a number from 1 to 1023, known to peers, with room for 32768 messages. Before run, or
   from a port or watch on its thread. */
void sl_live_spawn(struct sl_live *live, uint32_t actor, const struct sl_actor_class *class,
                   const void *argument);
void *sl_live_state(struct sl_live *live, uint32_t actor); /* For tests and set-up. NULL: none. */

/* Messages to {SL_NODE_PORT, port} go to `take`, on the scheduler thread; it owns them. port < 16.
 */
void sl_live_port(struct sl_live *live, uint32_t port, void (*take)(void *arg, struct sl_msg *msg),
                  void *arg);
/* Have `ready` called on the scheduler thread whenever `fd` is readable. At most 32. */
void sl_live_watch(struct sl_live *live, int fd, void (*ready)(void *arg), void *arg);
void sl_live_unwatch(struct sl_live *live, int fd);

/*
 * What comes without a descriptor: by memory that another process writes to. All of it is called on
 * the scheduler thread.
 */
struct sl_live_source {
    /* Post what has come, or nothing. True: there was some. Called often: it only looks. */
    bool (*take)(void *arg);
    /* How long it is worth while to look on before the thread sleeps; 0: not at all. */
    uint64_t (*patience_ns)(void *arg);
    /* The thread is about to sleep, so whoever writes must make a watched descriptor readable;
       false: something has come. And it sleeps no more. */
    bool (*doze)(void *arg);
    void (*rouse)(void *arg);
    void *arg;
};
/* At most one; NULL: none from here on. Copied. */
void sl_live_source_set(struct sl_live *live, const struct sl_live_source *source);

/* Links: as sl_links_secure, sl_links_listen, sl_links_connect and sl_links_bound. */
SL_MUST_CHECK enum sl_err sl_live_secure(struct sl_live *live,
                                         const struct sl_link_security *security);
char *sl_live_bound(const struct sl_live *live);
void sl_live_links_counts(const struct sl_live *live, struct sl_links_counts *ret_counts);
SL_MUST_CHECK enum sl_err sl_live_listen(struct sl_live *live, const char *endpoint);
SL_MUST_CHECK enum sl_err sl_live_connect(struct sl_live *live, uint32_t node,
                                          const char *endpoint);

void sl_live_disconnect(struct sl_live *live, uint32_t node); /* As sl_links_disconnect. */

/* Deliver a message (taken) to a local actor; reported if it cannot be: SL_EFULL and the like.
   Any thread. */
enum sl_err sl_live_post(struct sl_live *live, struct sl_msg *msg);
/* A context for code on the scheduler thread that is no actor (ports, watches): its effects are
   held like a handler's. `self` names who replies should go to. */
struct sl_ctx sl_live_context(struct sl_live *live, uint32_t self);

/* Run until stopped. SL_EIO and so on: the store could not be synced; nothing more was let out. */
SL_MUST_CHECK enum sl_err sl_live_run(struct sl_live *live);
void sl_live_stop(struct sl_live *live);

#endif
