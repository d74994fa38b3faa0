/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shortcuts.h - the ways that calls take straight to replicas of this machine, past their nodes:
 * channels (runtime/channel_port.h) that agents have offered. Part of the router actor.
 *
 *   shortcut_open --> open --close, all answered: shortcut_closed--> shut --shortcut_open--> open
 *                      `--shortcut_gone--> (gone; its calls are the router's again)
 *
 * The agent stays the replica's owner: it is told how many calls are under way there, so that it
 * scales, ends and kills replicas by what is true. A few calls at most are under way on one, and of
 * one tenant not all of these: what lies there can no longer give way to others'.
 */
#ifndef SL_ACTORS_SHORTCUTS_H
#define SL_ACTORS_SHORTCUTS_H

#include "actors/cluster.h"
#include "actors/pool_times.h"
#include "runtime/channel_port.h"

#define SL_SHORTCUTS_MAX      128u
#define SL_SHORTCUT_SCOPE_MAX 6u /* Calls of one tenant on one of them. */
#define SL_SHORTCUT_WORKS_MAX 256u

struct sl_shortcut_item {
    uint64_t serial; /* 0: free. */
    uint64_t scope, sent_ns;
};

struct sl_shortcut {
    uint32_t channel; /* 0: a free slot. */
    uint32_t node;
    uint64_t replica, pool;
    bool is_shut;      /* Nothing more is to go there; */
    bool is_closed;    /* nor to its node. */
    bool is_broken;    /* Its process writes nonsense, which was told. */
    bool is_deaf;      /* Its end of the channel is closed: its process ends, or does without. */
    uint32_t ongoing;  /* Also of callers that wait no more: until the replica has answered. */
    uint64_t answered; /* Ever; these too are told as what they grew by. */
    uint64_t arrived, cancelled, overdue;
    struct sl_shortcut_item items[SL_CHANNEL_CALLS_MAX];
    struct sl_m_shortcut_load told;          /* What the agent knows; the counts: of ever. */
    uint64_t area, area_from_ns, area_to_ns; /* Calls under way by time, since it was told last. */
    struct sl_pool_times times;              /* Of what was run since then, */
    uint64_t busy_ns;                        /* and how long that took. */
};

/* What a pool's replicas are sent for an extraction. */
struct sl_shortcut_work {
    uint64_t extraction, pool;
    uint32_t node;
    char *params;            /* NULL: a free slot. */
    uint64_t large_until_ns; /* Its answers were too large: until then it goes by the node. */
};

struct sl_shortcuts {
    const struct sl_channels *channels; /* Borrowed; NULL: there are none. */
    struct sl_shortcut all[SL_SHORTCUTS_MAX];
    uint32_t count; /* None is at or behind it. */
    struct sl_shortcut_work works[SL_SHORTCUT_WORKS_MAX];
    uint32_t works_next;
    bool is_tick_set;
};

struct sl_shortcut_call {
    uint64_t serial, extraction, scope, sticky, deadline_ns;
    uint32_t node;  /* 0: any. */
    uint32_t other; /* The node that it goes to otherwise, which has */
    uint32_t most;  /* so many: another's replica that has as many does not take it. */
    struct sl_slice inputs;
};

void sl_shortcuts_deinit(struct sl_shortcuts *s);

/* An agent's shortcut_open, shortcut_serves or shortcut_close. */
void sl_shortcuts_take(struct sl_shortcuts *s, struct sl_ctx *ctx, const struct sl_msg *msg);
void sl_shortcuts_node_open(struct sl_shortcuts *s, uint32_t node, bool is_open);

/* Send a call to the better of two replicas drawn by chance, or that of its number; NULL: it has to
 * go by a node. */
struct sl_shortcut *sl_shortcuts_send(struct sl_shortcuts *s, struct sl_ctx *ctx,
                                      const struct sl_shortcut_call *call);
/* Its caller waits no more: it need not be run. */
void sl_shortcut_cancel(struct sl_shortcuts *s, struct sl_shortcut *to, uint64_t serial);

/* The next answer (processed), the caller's: *ret_from is where it came from, and has one less
 * under way; *ret_times: when what was asked went and was worked on. NULL: there is none now. A
 * replica that writes nonsense is shut, and its agent told to kill it: with its end its calls come
 * back. */
struct sl_msg *sl_shortcuts_answer(struct sl_shortcuts *s, struct sl_ctx *ctx,
                                   struct sl_shortcut **ret_from, struct sl_item_times *ret_times);
/* The answers of a call are more than a channel takes: its like do without for a while. */
#define SL_SHORTCUT_LARGE_NS (10 * SL_SECOND_NS)
void sl_shortcuts_too_large(struct sl_shortcuts *s, const struct sl_ctx *ctx, uint64_t extraction);

struct sl_shortcut *sl_shortcuts_lookup(struct sl_shortcuts *s, uint32_t node, uint64_t replica);
/* Whether there is something of a node; from `*at` on, which moves. */
struct sl_shortcut *sl_shortcuts_of_node(struct sl_shortcuts *s, uint32_t node, uint32_t *at);
/* Forget it; what was under way there is the caller's to see to. */
void sl_shortcut_end(struct sl_shortcuts *s, struct sl_shortcut *gone);
/* The node itself is gone, or a replica that was never offered. */
void sl_shortcuts_forget(struct sl_shortcuts *s, uint32_t node, uint64_t replica);

/* Once in SL_SHORTCUT_TICK_NS while there are calls: true, tell again after that. */
#define SL_SHORTCUT_TICK_NS (20 * SL_MILLI_NS)
bool sl_shortcuts_tick(struct sl_shortcuts *s, struct sl_ctx *ctx);

#endif
