/* SPDX-License-Identifier: Apache-2.0 */
/*
 * channel_port.h - the channels (channel.h) of main to processes that others of its children have
 * asked for, as one actor uses them: it is told by `channel_news` that something has come, and
 * takes it. Who made a channel, and for whom, is known by the spawner's word (spawner.h), which is
 * why it needs no name.
 *
 * Threading: the scheduler thread's.
 */
#ifndef SL_RUNTIME_CHANNEL_PORT_H
#define SL_RUNTIME_CHANNEL_PORT_H

#include "runtime/channel.h"
#include "runtime/spawn_port.h"

/* What an actor may do with channels; it knows each by a number. */
struct sl_channels {
    /* The channel of that node's child of that tag; 0: there is none. */
    uint32_t (*find)(void *arg, uint32_t node, uint64_t tag);
    /* Nothing more comes from it, and its number is void. */
    void (*close)(void *arg, uint32_t channel);
    void (*forget)(void *arg, uint32_t node); /* All of a node's, likewise. */
    /* As sl_channel_send. `is_call`: it is answered by one message. */
    enum sl_err (*send)(void *arg, uint32_t channel, bool is_call, const struct sl_msg *msg);
    /* The next message of any that has something to answer, the caller's; SL_ENOTFOUND: none.
       SL_ECORRUPT: *ret_channel is not to be trusted, and is not looked at again. SL_EUNAVAIL,
       once: its other end is closed, so nothing is to be sent there; what it wrote before still
       comes. */
    enum sl_err (*receive)(void *arg, uint32_t *ret_channel, struct sl_msg **ret_msg);
    void *arg;
};

struct sl_channel_port;

/* `actor` hears of news. `spawner`: where its port will be, which may have more to say. */
struct sl_channel_port_options {
    struct sl_live *live;
    uint32_t actor;
    struct sl_spawn_port *const *spawner;
};
struct sl_channel_port *sl_channel_port_open(const struct sl_channel_port_options *options);
void sl_channel_port_close(struct sl_channel_port **port); /* Before the live. NULL is fine. */

/* A child of a node (`by`) was given a channel; takes the descriptors, whatever they are. `port` is
   one of these: for sl_spawn_port_options. */
void sl_channel_port_shown(void *port, const struct sl_spawn_event *event);
/* For its actor; borrowed until it is closed. */
const struct sl_channels *sl_channel_port_channels(const struct sl_channel_port *port);

#endif
