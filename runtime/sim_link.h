/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim_link.h - one direction of a simulated link: a network that delays, loses, doubles and
 * reorders frames, and the session above it, which promises what the live links do: what arrives
 * came once, and in the order in which its sender sent it. Messages are lost only where a link is
 * cut for good (a lossy cut), or with an end of it.
 *
 *     send --> frames: each with its time --> network --> take: next in order, kept back, or a copy
 *
 * Threading: one owner.
 */
#ifndef SL_RUNTIME_SIM_LINK_H
#define SL_RUNTIME_SIM_LINK_H

#include "runtime/mailbox.h"
#include "runtime/random.h"

/* How bad the network is, until then. Shares are per mille of the frames. */
struct sl_sim_weather {
    uint64_t until_ns;
    uint64_t delay_max_ns; /* 0: the network's own. */
    uint64_t room_bytes;   /* What a link holds; more comes back to its sender. 0: as live ones. */
    uint32_t loss, duplicate, reorder;
};

struct sl_sim_link_counts {
    uint64_t frames, lost, duplicates, reordered, refused;
};

struct sl_sim_link {
    uint32_t node, process;
    uint64_t last_ns; /* In fair weather frames arrive in the order in which they were sent. */
    uint64_t cut_until_ns;
    bool is_lossy;
    struct sl_sim_weather weather;
    struct sl_sim_session *session;
};

/* Outlives its link: frames may be under way. Owned by the simulation. */
struct sl_sim_session {
    struct sl_sim_session *next;
    uint64_t sent, taken;
    uint64_t bytes;             /* Under way: sent, and not taken. */
    struct sl_sim_early *early; /* Frames that came before their turn, by number. */
    bool is_over;               /* What is under way is lost. */
};

struct sl_sim_frames {
    uint64_t at_ns[2]; /* When they arrive: the frame, and perhaps a copy. */
    uint32_t count;    /* 0: the message is lost. */
    uint64_t number;
};

struct sl_sim_network {
    struct sl_random *random;
    uint64_t now_ns, delay_min_ns, delay_max_ns;
};

/* Where among links by node the one to `node` is, or would be: a head has thousands. */
uint32_t sl_sim_link_place(const struct sl_sim_link *links, uint32_t count, uint32_t node);

/* Whether it takes another message: as live links, one may pass the bound. */
bool sl_sim_link_has_room(const struct sl_sim_link *link, uint64_t now_ns);
/* What becomes of the next message of a link. */
void sl_sim_link_send(struct sl_sim_link *link, const struct sl_sim_network *network,
                      struct sl_sim_link_counts *counts, struct sl_sim_frames *ret_frames);

/* A frame arrives (taken): what may be delivered now goes to the end of `out`, in order. */
void sl_sim_session_take(struct sl_sim_session *session, uint64_t number, struct sl_msg *msg,
                         struct sl_msg_list *out);
void sl_sim_session_destroy(struct sl_sim_session **session); /* And those behind it. */

#endif
