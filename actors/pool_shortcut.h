/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_shortcut.h - a replica's calls that do not come by its agent: the head's router sends them
 * straight (shortcuts.h), once it was offered that, and tells how many are under way. Part of the
 * agent actor.
 *
 *   NONE        SHUT --open--> OPEN --close--> CLOSING --shortcut_closed--> SHUT
 *
 * SHUT before it stops, and while an item runs that must be alone.
 */
#ifndef SL_ACTORS_POOL_SHORTCUT_H
#define SL_ACTORS_POOL_SHORTCUT_H

#include "actors/cluster.h"

#define SL_POOL_SPECS_MAX 32u

enum sl_shortcut_state {
    SL_SHORTCUT_NONE, /* There is no channel to it. */
    SL_SHORTCUT_SHUT,
    SL_SHORTCUT_OPEN,
    SL_SHORTCUT_CLOSING
};

struct sl_replica_shortcut {
    enum sl_shortcut_state state;
    uint32_t ongoing;     /* By what the router said last, rounded up; */
    uint32_t thousandths; /* and as it is. */
    bool has_worked;      /* Something came to it this way, ever. */
};

/* What the router was told that a pool serves. */
struct sl_pool_served {
    uint64_t extractions[SL_POOL_SPECS_MAX], told_ns[SL_POOL_SPECS_MAX];
    uint32_t next;
    uint64_t number; /* The pool's towards the router; 0: no call has come yet. */
    bool is_ending;  /* The node leaves: none is opened any more. */
};

struct sl_item;
struct sl_pool;
struct sl_replica;

/* A call has come by the agent: those like it may go straight. */
void sl_pool_shortcut_serve(struct sl_pool *p, struct sl_ctx *ctx, const struct sl_item *item);
/* Offer each replica that may be; after it was fed. */
void sl_pool_shortcut_open(struct sl_pool *p, struct sl_ctx *ctx);
/* Whether nothing is under way there, nor can come; if not, it is being closed. */
bool sl_pool_shortcut_is_shut(struct sl_ctx *ctx, struct sl_replica *r);
/* Once a beat: what was said may have been lost. */
void sl_pool_shortcut_tend(struct sl_pool *p, struct sl_ctx *ctx);
/* The node leaves: close all. */
void sl_pool_shortcut_end(struct sl_pool *p, struct sl_ctx *ctx);
/* Some of these are not closed yet. */
bool sl_pool_shortcut_is_ending(const struct sl_pool *p);
/* The head has forgotten what it was offered. */
void sl_pool_shortcut_again(struct sl_pool *p);
/* Its process has ended. */
void sl_pool_shortcut_lost(struct sl_ctx *ctx, const struct sl_replica *r);
/* The router's shortcut_closed, shortcut_load or shortcut_broken of one of these replicas; which
 * pool's. NULL: of none. */
struct sl_pool *sl_pool_shortcut_take(struct sl_pool *pools, struct sl_ctx *ctx,
                                      const struct sl_msg *msg);

#endif
