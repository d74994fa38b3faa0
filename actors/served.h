/* SPDX-License-Identifier: Apache-2.0 */
/*
 * served.h - what the nodes' replicas serve, by extractor, as their beats and their pools' last
 * decisions tell: so that a page of it costs the rows it has, not the cluster.
 *
 *   beats, scaling of a node --take--> its shares --summed when looked at--> entries, by name
 *
 * An entry is an extractor, shared (tenant 0) or of one tenant whose replicas are its own. Those
 * that the head knows are there also without any replica. Each keeps the last
 * SL_SERVED_DECISIONS changes that its nodes' autoscalers made. What a node says is checked and
 * cut; what is not understood is left out.
 *
 * Threading: of the head actor, plain state.
 */
#ifndef SL_ACTORS_SERVED_H
#define SL_ACTORS_SERVED_H

#include "runtime/buf.h"
#include "runtime/json.h"

#define SL_SERVED_MAX       32768u /* Entries; more are left out, and counted. */
#define SL_SERVED_SHARES    64u    /* Of a node. */
#define SL_SERVED_REPLICAS  512u   /* Of a node. */
#define SL_SERVED_DECISIONS 64u    /* Of an entry, that are kept. */
#define SL_SERVED_SHOWN     16u    /* Replicas within an entry's row. */
#define SL_SERVED_NAME_MAX  64u    /* An extractor's name. */

struct sl_served;
struct sl_served_node; /* What one node told; NULL: nothing yet. */

struct sl_served *sl_served_create(void);
void
sl_served_destroy(struct sl_served **served); /* All nodes were forgotten. NULL inside is fine. */

/* Extractors that are there without replicas: the names of a JSON object's members. */
void sl_served_know(struct sl_served *s, struct sl_slice object);
/* The configuration's extractors: which are disabled, and how many replicas each may have. */
void sl_served_configure(struct sl_served *s, struct sl_slice config);

/* A node's word; texts that are no JSON array change nothing. */
struct sl_served_word {
    uint32_t node;
    struct sl_slice text;
    uint64_t now_ms;
};
void sl_served_take_replicas(struct sl_served *s, struct sl_served_node **node,
                             const struct sl_served_word *word);
void sl_served_take_pools(struct sl_served *s, struct sl_served_node **node,
                          const struct sl_served_word *word);
void sl_served_forget(struct sl_served *s, struct sl_served_node **node); /* It is gone. */

/* ---- looking ------------------------------------------------------------------------------- */

/* What a page is to have. Cursors are texts that a page ended with; empty: the beginning. */
struct sl_served_ask {
    struct sl_slice after;
    struct sl_slice extractor; /* Empty: all. */
    uint64_t tenant;           /* With is_tenant: whose alone are told... */
    bool is_tenant;            /* ...and of shared ones only that they are there, and how. */
    bool is_actors;            /* Replicas by the names that actors have. */
    uint32_t limit;
    /* What a tenant is called; NULL: it is gone. Borrowed until the next call. */
    const char *(*name)(void *arg, uint64_t tenant);
    void *arg;
};

/*
 * Each appends elements to the open array of `w`, and to `ret_next` the cursor of the next page,
 * nothing if this is the last. SL_EINVAL: `after` is none of ours.
 */
SL_MUST_CHECK enum sl_err sl_served_write_entries(const struct sl_served *s,
                                                  const struct sl_served_ask *ask,
                                                  struct sl_jsonw *w, struct sl_buf *ret_next);
/* By node; a tenant's are those of replicas of its own. */
SL_MUST_CHECK enum sl_err sl_served_write_replicas(const struct sl_served *s,
                                                   const struct sl_served_ask *ask,
                                                   struct sl_jsonw *w, struct sl_buf *ret_next);
/* Of ask.extractor, the latest first. SL_ENOTFOUND: no such extractor (of that tenant's). */
SL_MUST_CHECK enum sl_err sl_served_write_decisions(const struct sl_served *s,
                                                    const struct sl_served_ask *ask,
                                                    struct sl_jsonw *w, struct sl_buf *ret_next);

/* Where a replica is: "NODE-NUMBER" as in the rows. False: it is not there. */
struct sl_served_place {
    uint32_t node, number;
    uint64_t tenant;
};
bool sl_served_find(const struct sl_served *s, struct sl_slice replica_id,
                    struct sl_served_place *ret_place);

struct sl_served_sums {
    uint64_t starting, ready, draining, crashed; /* Replicas; crashed: pools where none works. */
    uint64_t ended;                              /* By a crash, since their pools are there. */
    uint64_t ongoing, waiting, resident_bytes, left_out;
};
void sl_served_sum(const struct sl_served *s, struct sl_served_sums *ret_sums);
uint32_t sl_served_replicas(const struct sl_served_node *node); /* NULL: none. */

/* What is measured of an entry that nodes tell of, over all of them. */
enum sl_served_memory { SL_MEMORY_RESIDENT, SL_MEMORY_PRIVATE, SL_MEMORY_HOST, SL_MEMORY_DEVICE };
#define SL_SERVED_STATES   4u /* Of a replica: sl_served_state_name. */
#define SL_SERVED_MEMORIES 4u
#define SL_SERVED_KINDS    2u /* Calls and tasks, */
#define SL_SERVED_PHASES   3u /* and what they wait for, in a batch too, and are computed. */
struct sl_served_figures {
    const char *extractor; /* Until the head's next message. */
    uint64_t counts[SL_SERVED_STATES];
    uint64_t ongoing, wanted, changes, memory[SL_SERVED_MEMORIES];
    uint64_t items[SL_SERVED_KINDS];
    double sum_ms[SL_SERVED_KINDS][SL_SERVED_PHASES];
    bool has_memory, has_pool;
};
/* Of the next entry from *at on, which 0 begins; false: there is none. */
bool sl_served_figures(const struct sl_served *s, uint32_t *at,
                       struct sl_served_figures *ret_figures);
const char *sl_served_state_name(uint32_t state);

#endif
