/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn_port.h - the spawner as actors see it: `spawn` and `spawn_kill` messages to
 * SL_PORT_SPAWNER; child_started, child_exited and spawner_lost come back to one actor. Threading:
 * the scheduler thread's.
 */
#ifndef SL_RUNTIME_SPAWN_PORT_H
#define SL_RUNTIME_SPAWN_PORT_H

#include "runtime/live.h"
#include "runtime/spawner.h"

#define SL_PORT_SPAWNER 1

struct sl_spawn_port;

struct sl_spawn_port_options {
    struct sl_live *live;
    uint32_t actor; /* Who hears of the children. */
    int fd;         /* A spawner's socket; taken. -1: start one from `program`. */
    const char
        *program; /* Starts the spawner, and again whenever it dies; NULL: then `lost` is called. */
    int keep_fd;  /* Kept open by the spawner and all children but contained ones; -1: none. */
    /* A socket to a tenant's objects, for the child of that tag; taken. -1: there is none. NULL:
       the same. */
    int (*objects)(void *arg, uint64_t tenant, uint64_t tag);
    uint32_t taken_kinds; /* Bits by kind: of which the `fd` of a spawn is taken, not borrowed. */
    bool has_channels;    /* Each child gets one (channel.h), whose other end is shown to main. */
    /* Descriptors that a child's own child shares with us; taken. NULL: they are closed. */
    void (*shown)(void *arg, const struct sl_spawn_event *event);
    void (*lost)(void *arg); /* The spawner is gone and there is no program: this node is to end. */
    void *arg;
};

SL_MUST_CHECK enum sl_err sl_spawn_port_open(const struct sl_spawn_port_options *options,
                                             struct sl_spawn_port **ret_port);
/* Take what has happened to children now, not only once the loop gets there. */
void sl_spawn_port_look(struct sl_spawn_port *port);
void sl_spawn_port_close(struct sl_spawn_port **port);   /* The children end with it. */
int sl_spawn_port_pid(const struct sl_spawn_port *port); /* Of the spawner; 0: not ours. */

#endif
