/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - the replicas of one extractor (with one model) on one node, and the work that waits for
 * them. Part of the agent actor: plain state, effects through the agent's context.
 *
 *   replica:  STARTING --ready--> READY --stop, idle--> STOPPING --exit--> (gone)
 *                 |                 `--exit, signal--> (gone; its work is reported or tried again)
 *                 `--exit, error--> (gone; the pause doubles; after three the waiting work fails)
 *
 * How many there are is decided whenever work comes or goes (pool_scale.h). One that is too many
 * gets nothing more, and stops once what it has is answered. A batch takes about BATCH_NS by what
 * the last took; two are under way at a replica, so it never waits. After a crash nobody knows
 * which item did it: the head sends each again, alone, and one that kills its replica alone is to
 * blame. One that answers nothing for task_ns is killed, likewise.
 */
#ifndef SL_ACTORS_POOL_H
#define SL_ACTORS_POOL_H

#include "actors/pool_calls.h"
#include "actors/pool_life.h"
#include "actors/pool_shortcut.h"
#include "actors/pool_scale.h"
#include "actors/scale_book.h"

#define SL_POOLS_MAX    32
#define SL_REPLICAS_MAX 16

/* What a number in run_task and embed_run stands for. */
struct sl_work_spec {
    uint64_t number;
    char *extractor; /* "text_extractor" */
    char *params;    /* JSON object text for each item. */
    char *index;     /* "" when it makes no vectors. */
    char *model;     /* Directory; "" for none. */
    uint64_t tenant; /* Whose alone its replicas are; 0: anybody's. */
    char *space;     /* The namespace whose models they may open; "": none's. */
};

enum sl_replica_state {
    SL_REPLICA_FREE,
    SL_REPLICA_STARTING,
    SL_REPLICA_READY,
    SL_REPLICA_STOPPING
};

struct sl_replica {
    enum sl_replica_state state;
    uint32_t number, calls; /* calls: of those in flight. */
    uint64_t pid, done;
    uint64_t started_ns, used_ns, stopped_ns;
    uint64_t heard_ns;  /* When it last answered, or was given work while it had none. */
    uint64_t sandbox;   /* What holds it, as it said when it was ready: runtime/sandbox.h. */
    bool is_unwanted;   /* Stops once ready, and nothing goes straight: its model was dropped. */
    bool is_retired;    /* Unwanted as well, but ends its work first: it is to begin anew. */
    bool is_killed;     /* It took too long; READY: over its work. */
    bool is_spare;      /* One too many, until more are wanted. */
    bool is_background; /* Added for tasks: behind all else, with calls if no other has room. */
    struct sl_items in_flight;
    struct sl_replica_shortcut shortcut;
    struct sl_pool_report report;
};

struct sl_m_processed;   /* extractors/replica.h */
struct sl_pool_options { /* The agent's, borrowed. */
    uint32_t node;
    const char *endpoint, *blob_directory; /* Where replicas connect, and find inputs. */
    const char *plugin_directories;        /* Searched in order, ':' between. */
    uint32_t threads;                      /* A replica may use. */
    uint32_t replicas_max;                 /* Of one pool, where the book says nothing; */
    uint64_t idle_ns;                      /* a replica without work ends after this. */
    const struct sl_scale_book *book;      /* NULL: it says nothing of any. */
    uint64_t task_ns; /* One with work that answers nothing for so long is killed; 0: never. */
    struct sl_replica_settings settings; /* What each may have; strings borrowed. */
    bool has_shortcuts;                  /* Calls may go to replicas past us. */
};

struct sl_pool {
    bool is_used;
    const struct sl_pool_options *options;
    char *extractor, *model, *index;
    char *space;     /* As of its work. */
    uint64_t tenant; /* Whose objects its replicas share; 0: they work for several. */
    int model_fd;    /* The agent's, borrowed; -1: none (yet). */
    uint64_t model_bytes;
    char *error;           /* Why the last start failed. */
    struct sl_calls calls; /* Waiting, tenants in turn; they go before tasks. */
    struct sl_items tasks; /* Waiting. */
    struct sl_replica replicas[SL_REPLICAS_MAX];
    struct sl_pool_served served;
    uint32_t failures;                /* Starts that failed in a row. */
    uint64_t ends[SL_REPLICA_CAUSES]; /* Of replicas that were not told to stop. */
    uint64_t not_before_ns;           /* No start before. */
    uint64_t pump_at_ns;              /* The agent's timer for it. */
    struct sl_pool_scale scale;
    bool is_parked;              /* Its model was let go: none is kept until there is work again. */
    bool is_stale;               /* So its settings are others with the next look. */
    uint64_t item_ns, call_ns;   /* How long a task or call takes, smoothed. */
    uint64_t called_ns;          /* When a call was here last; 0: none has come. */
    uint64_t overdue, cancelled; /* Calls that were not run for that. */
    struct sl_pool_life life;
    struct sl_pool_times call_times, task_times;
};

void sl_pool_init(struct sl_pool *p, const struct sl_pool_options *options,
                  const struct sl_work_spec *spec);
void sl_pool_deinit(struct sl_pool *p);

/* The book says something else now. */
void sl_pool_rescale(struct sl_pool *p, uint64_t now_ns);
/* Its model is let go: no replica is kept without work until there was some again. */
void sl_pool_park(struct sl_pool *p);
/* Start what is needed, stop what is not, and send what fits. `number_next` gives replicas their
 * numbers. */
void sl_pool_pump(struct sl_pool *p, struct sl_ctx *ctx, uint32_t *number_next);
void sl_pool_add(struct sl_pool *p, const struct sl_ctx *ctx, struct sl_item *item); /* Takes. */
struct sl_item *sl_pool_take_waiting(struct sl_pool *p); /* Any, the caller's; NULL: none. */

/*
 * The router of `msg` (embed_cancel) waits no more for its call: it is freed where it waits, and
 * the replica that has it is told. False: it is not here.
 */
bool sl_pool_cancel(struct sl_pool *p, struct sl_ctx *ctx, const struct sl_msg *msg);

struct sl_replica *sl_pool_replica(struct sl_pool *p, uint64_t number); /* NULL: not here. */
void sl_pool_on_ready(struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r,
                      struct sl_slice error);
/* Take a finished item; NULL: unknown. The caller reports and frees it. */
struct sl_item *sl_pool_on_processed(struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r,
                                     const struct sl_m_processed *m);
/* Its process ended; what was in flight is in *ret_lost. Returns how long each was worked on: what
 * it was at when it died nobody knows, so the time since its last answer is divided. */
uint64_t sl_pool_on_exit(struct sl_pool *p, struct sl_ctx *ctx, struct sl_replica *r,
                         struct sl_items *ret_lost);
/* Whether the waiting work should be failed now: starts have failed too often, and none is left. */
bool sl_pool_has_given_up(const struct sl_pool *p);
bool sl_pool_has_work(const struct sl_pool *p); /* Waiting or under way. */
/* When to pump again though nothing happens; UINT64_MAX: no need. */
uint64_t sl_pool_next_ns(const struct sl_pool *p, uint64_t now_ns);
/* Whether nothing waits and no replica is left: its slot may be given to other work. */
bool sl_pool_is_empty(const struct sl_pool *p);
/*
 * Once a beat: free calls past their deadline, and kill replicas that do not start, answer or stop
 * in their time. True: there were such calls, so fewer replicas may do.
 */
bool sl_pool_tend(struct sl_pool *p, struct sl_ctx *ctx);
void sl_pool_stop(struct sl_pool *p, struct sl_ctx *ctx); /* All of them, once idle or not. */
void sl_pool_status(const struct sl_pool *p, uint64_t now_ns, struct sl_jsonw *w);

#endif
