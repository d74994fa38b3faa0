/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - what a handler asks of others: of the api actor, of the I/O pool, of what all share.
 * Included by call.h.
 */
#ifndef SL_GATEWAY_ASK_H
#define SL_GATEWAY_ASK_H

#include "actors/index.h"
#include "gateway/call.h"
#include "queue/look.h"

/* ---- waiting ------------------------------------------------------------------------------- */
/*
 * Embed a text with what makes `index` of a collection's extraction (row JSON): the continuation
 * finds the vector in ret of sl_call_embedding, or NULL after a failure (it then calls sl_call_fail
 * itself by sl_call_fail_wait). The call's transaction is ended before waiting; the continuation
 * gets a new one.
 */
void sl_call_embed(struct sl_call *call, struct sl_json extraction, struct sl_slice text,
                   sl_handler_fn *then);
const float *sl_call_embedding(const struct sl_call *call, uint32_t *ret_dimensions);

/*
 * The same for several texts, which go out together, as many at a time as there is room for, and so
 * can share batches. One that fails fails all. `texts`, which are count, live as long as the call;
 * sl_call_embeddings has a vector for each, in their order, and all of one length.
 */
#define SL_EMBED_TEXTS_MAX 2048u
struct sl_embed_texts {
    struct sl_json extraction;
    const struct sl_slice *texts;
    uint32_t count; /* 1 to SL_EMBED_TEXTS_MAX. */
};
void sl_call_embed_all(struct sl_call *call, const struct sl_embed_texts *what,
                       sl_handler_fn *then);
const float *const *sl_call_embeddings(const struct sl_call *call, uint32_t *ret_dimensions);

/* Run `work` on the I/O pool (blocking is fine there, the store is not to be touched), then `then`.
 */
void sl_call_work(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then);

/* The same for work that may take minutes: few of these run at a time, so that threads are left to
 * the rest, and fewer of one tenant; the others wait, tenants in turn. */
void sl_call_work_long(struct sl_call *call, void (*work)(struct sl_call *call),
                       sl_handler_fn *then);
/* Let all run that wait for the store's thread, then `then`. */
void sl_call_yield(struct sl_call *call, sl_handler_fn *then);

/* After the commit: have all nodes forget a model. `directory` as for sl_call_model_load, copied.
 */
void sl_call_model_drop(struct sl_call *call, const char *directory);
/* The same, but what runs with it goes on; its memory goes once no replica has it. */
void sl_call_model_evict(struct sl_call *call, const char *directory);
/* Load a model into the object store of a node, then `then`: the wait's error is SL_ENOMEM,
 * SL_EFULL, SL_ETIMEOUT, SL_EUNAVAIL or what is wrong with its files. */
struct sl_model_load {
    const char *directory; /* Below the data directory. */
    uint64_t size_bytes;   /* In memory; 0: nobody knows yet. */
    uint32_t node;         /* 0: any. */
    uint64_t home;         /* Whose nodes (actors/home.h). */
};
void sl_call_model_load(struct sl_call *call, const struct sl_model_load *what,
                        sl_handler_fn *then);
/* What the head knows (enum sl_node_list): on SL_OK the wait's message is a JSON array. */
void sl_call_nodes(struct sl_call *call, uint64_t what, sl_handler_fn *then);
/* Have the head do something about a node, by name or number: `order` is of enum sl_node_order.
 * SL_ENOTFOUND; SL_EINVAL: not with this node, the message says why. */
void sl_call_node_order(struct sl_call *call, struct sl_slice node, uint64_t order,
                        sl_handler_fn *then);
/* Set a group's nodes by hand; UINT64_MAX: by demand again. SL_ENOTFOUND; SL_EINVAL: the message
 * says why not. */
void sl_call_group_scale(struct sl_call *call, struct sl_slice group, uint64_t replicas,
                         sl_handler_fn *then);
/* Have the head go by these, and tell its nodes (the configuration's keys cluster.groups and
 * extractors, checked). */
void sl_call_head_config(struct sl_call *call, struct sl_slice groups, struct sl_slice extractors,
                         sl_handler_fn *then);
/* Where a job's tasks may run, and why: on SL_OK the message is a JSON object. SL_ENOTFOUND: it is
 * not in the queue. */
void sl_call_placement(struct sl_call *call, struct sl_job_id job, sl_handler_fn *then);
/* How the wait ended: SL_OK, SL_ETIMEOUT, SL_EUNAVAIL, SL_EFULL... `ret_message` may be NULL. */
enum sl_err sl_call_wait_error(const struct sl_call *call, struct sl_slice *ret_message);
/* Turn the wait's error into the reply: 503 (with Retry-After) for EUNAVAIL/EFULL/ETIMEOUT, else
 * 500/422. */
void sl_call_fail_wait(struct sl_call *call);

/*
 * Run `then` on the store's thread right after this call's transaction was committed, in the order
 * of these calls; never after a failure. What follows the catalogue in memory is changed there: the
 * keyring, the vector indexes. `arg` is arena memory or NULL.
 */
typedef void sl_after_fn(struct sl_call *call, void *arg);
void sl_call_after_commit(struct sl_call *call, sl_after_fn *then, void *arg);
/* The same where nothing was committed, because the call failed or the commit did: undo what lies
 * outside of the store, as a file that no row names. */
void sl_call_after_abort(struct sl_call *call, sl_after_fn *then, void *arg);
/*
 * Within an sl_after_fn: run `work` on the I/O pool once the commit is durable, and free `arg`
 * (heap). Files that rows name go this way: a row that comes back must find its file.
 */
void sl_call_when_durable(struct sl_call *call, void (*work)(void *arg), void *arg);
/* For whoever commits: run what was asked for, or forget it. */
void sl_call_run_after(struct sl_call *call, bool is_committed);

/* After a commit that enqueued: have the dispatcher look (sent once the commit is durable). */
void sl_call_wake_dispatcher(struct sl_call *call);
void sl_call_wake_broker(struct sl_call *call); /* The same for a tenant's own queues. */

/* Wait until something becomes of the tenant's own queue `lane` (sl_lane_hash; or the id of a job,
 * which is followed), or for delay_ns at
 * most, then `then`. The wait's error is SL_ECANCELED where the server stops: nobody waits again.
 */
void sl_call_await_queue(struct sl_call *call, uint64_t lane, uint64_t delay_ns,
                         sl_handler_fn *then);
/* The same of any scope: as events are waited for (events.h). */
void sl_call_await_scope(struct sl_call *call, struct sl_scope scope, uint64_t lane,
                         uint64_t delay_ns, sl_handler_fn *then);
/* After the commit: all who wait for a tenant's own queue look again. */
void sl_call_touch_queue(struct sl_call *call, struct sl_scope scope, uint64_t lane);

/* ---- what handlers share ------------------------------------------------------------------- */
struct sl_queue *sl_call_queue(const struct sl_call *call);
struct sl_index_cache *sl_call_indexes(const struct sl_call *call);
const char *sl_call_data_directory(const struct sl_call *call);

#endif
