/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group_scaler.h - how many nodes a worker group should have, and which to start and to stop.
 *
 *   wanted = nodes that the demand packs on, between min and max; or what was set by hand
 *
 *       START          joined             DRAIN            gone
 *   ---------> STARTING ----> READY ---------> DRAINING ---------> (gone)
 *                 | KILL, when it does not join in time  | KILL, when it takes too long
 *
 * Too few: one START a call, at once. Too many for the whole of the idle delay: those that the
 * busiest moment of it did not need are drained, idle ones first, and none that has a call: a task
 * that is cut short runs elsewhere, but for a call somebody waits. By hand, and above max, they go
 * with what they have. Starts that fail are tried again after pauses that double. Nodes that
 * somebody else started count, and are left alone.
 *
 * Plain state: time is an argument, and nothing is done but said. One owner.
 */
#ifndef SL_ACTORS_GROUP_SCALER_H
#define SL_ACTORS_GROUP_SCALER_H

#include "actors/pack.h"
#include "runtime/buf.h"

#define SL_SCALER_JOIN_NS        (30 * SL_SECOND_NS) /* A node joins within this, or is killed. */
#define SL_SCALER_PROVEN_NS      SL_SECOND_NS /* One that ends before it, unasked, has failed. */
#define SL_SCALER_PAUSE_FIRST_NS (20 * SL_MILLI_NS)
#define SL_SCALER_PAUSE_MAX_NS   (30 * SL_SECOND_NS)

struct sl_scaler_options {
    const char *group; /* Its name; static. */
    uint64_t min, max;
    uint64_t idle_ns, drain_ns;
    struct sl_resources node; /* What one offers. */
    const char *no_hardware;  /* Why none can be started here; static. NULL: they can. */
};

enum sl_scaler_state { SL_SCALER_STARTING, SL_SCALER_READY, SL_SCALER_DRAINING };

struct sl_scaler_load {
    uint64_t tasks, calls; /* calls: loads of models, too. */
};

struct sl_scaler_node {
    uint32_t number;
    enum sl_scaler_state state;
    bool is_ours;      /* We asked for it. */
    uint64_t since_ns; /* When it came into its state. */
    uint64_t busy;     /* Tasks and calls, as it said last. */
    uint64_t calls;    /* Of them, those that nothing would begin again elsewhere in time. */
    uint64_t idle_since_ns;
};

struct sl_scaler {
    struct sl_scaler_options options;
    struct sl_scaler_node *nodes;
    uint32_t count, capacity;
    uint64_t tasks, needed, unfit; /* Of the demand. */
    uint64_t touched_ns;           /* Calls came or ended, that no queue shows; 0: never. */
    uint64_t calls_until_ns;       /* Some are under way, or it is said again before then. */
    bool is_manual;
    uint64_t manual;
    uint32_t failures; /* In a row. */
    uint64_t pause_until_ns;
    uint64_t surplus_since_ns; /* UINT64_MAX: there are not too many. */
    uint64_t peak;             /* Most that were wanted since. */
    uint64_t start_ns;         /* What a start takes: a mean; 0: not known. */
};

enum sl_scaler_what { SL_SCALER_START, SL_SCALER_DRAIN, SL_SCALER_KILL };
struct sl_scaler_order {
    enum sl_scaler_what what;
    uint32_t number; /* Of DRAIN and KILL. */
};

enum sl_scaler_condition {
    SL_SCALER_OK,
    SL_SCALER_AT_ZERO,     /* Nothing is to be done, and nobody is there. */
    SL_SCALER_IS_STARTING, /* What is wanted is on its way. */
    SL_SCALER_LIMIT,       /* The demand needs more than max. */
    SL_SCALER_NO_HARDWARE,
    SL_SCALER_BACK_OFF, /* Starts fail. */
    SL_SCALER_BY_HAND   /* Set by hand to fewer than the demand needs. */
};

struct sl_scaler_view {
    uint64_t wanted, ready, starting, draining;
    enum sl_scaler_condition condition;
    uint64_t start_ms; /* When a node may be there, from now; UINT64_MAX: that cannot be told. */
};

void sl_scaler_init(struct sl_scaler *s, const struct sl_scaler_options *options);
void sl_scaler_deinit(struct sl_scaler *s);
/* Other limits, of the same group: by demand from here on, within these. */
void sl_scaler_reset(struct sl_scaler *s, const struct sl_scaler_options *options);

/* ---- what happened ------------------------------------------------------------------------- */
/* All that waits for this group, and all that its nodes run, by kind. */
void sl_scaler_demand(struct sl_scaler *s, const struct sl_pack_kind *kinds, uint32_t count);
/*
 * Calls that may run on its nodes are under way until `until_ns`, if nothing else is said before;
 * or (0) none is any more. One node is wanted while there are any, and for the idle delay after.
 */
void sl_scaler_calls(struct sl_scaler *s, uint64_t until_ns, uint64_t now_ns);
/* Set the count by hand. SL_EINVAL: above max. */
SL_MUST_CHECK enum sl_err sl_scaler_set(struct sl_scaler *s, uint64_t replicas);
void sl_scaler_unset(struct sl_scaler *s); /* By demand again. */
void sl_scaler_started(struct sl_scaler *s, uint32_t number, uint64_t now_ns);
void sl_scaler_joined(struct sl_scaler *s, uint32_t number, uint64_t now_ns);
void sl_scaler_busy(struct sl_scaler *s, uint32_t number, struct sl_scaler_load load,
                    uint64_t now_ns);
void sl_scaler_gone(struct sl_scaler *s, uint32_t number, uint64_t now_ns);

/* ---- what is to be done -------------------------------------------------------------------- */
/*
 * One order, or false: nothing is to be done until sl_scaler_wake_ns, or until something happens.
 * After START say sl_scaler_started; DRAIN is noted here; after KILL the node is forgotten here.
 */
bool sl_scaler_next(struct sl_scaler *s, uint64_t now_ns, struct sl_scaler_order *ret_order);
uint64_t sl_scaler_wake_ns(const struct sl_scaler *s, uint64_t now_ns); /* UINT64_MAX: never. */
struct sl_scaler_view sl_scaler_view(const struct sl_scaler *s, uint64_t now_ns);
const char *sl_scaler_condition_name(enum sl_scaler_condition condition); /* "ok", "limit"... */
/* Append the condition's reason, a sentence for people; nothing where all is as it should be. */
void sl_scaler_reason(const struct sl_scaler *s, uint64_t now_ns, struct sl_buf *out);

#endif
