/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_life.h - in what state a pool's replicas are, for people: how many in each, how the last
 * that was not told to stop ended, and when the next is started after it.
 *
 *   starting --its process is there--> warming --plugin, model--> ready --stop--> draining
 *      ^  `-------------------------------`-----------------------`             --exit--> stopped
 *      `--- pause ------------------- crashed
 *
 * Threading: part of the agent actor; plain state.
 */
#ifndef SL_ACTORS_POOL_LIFE_H
#define SL_ACTORS_POOL_LIFE_H

#include "actors/pool_report.h"
#include "extractors/replica_end.h"
#include "runtime/json.h"

struct sl_pool;
struct sl_replica;
struct sl_ctx;

struct sl_pool_life {
    uint64_t stopped, crashed;               /* Since the pool is there. */
    uint64_t ended_ms;                       /* When the last of the crashed ended; 0: none has. */
    char ended[2 * SL_REPLICA_END_TEXT_MAX]; /* And how. */
    uint64_t told;                           /* Stands for what was written last. */
    uint64_t answered, failed;               /* Items that came by the agent, and ended; badly. */
    uint64_t cold_ms;                        /* From the last start to its being ready. */
};

/* "starting", "warming", "ready" or "draining": of one that is there. */
const char *sl_replica_state_name(const struct sl_replica *r);

/* A replica of the pool ended; `end`: how, NULL: it was told to, and did. `has_said_why`: its error
 * is the pool's. Before the pool forgets it. */
void sl_pool_note_end(struct sl_pool *p, const struct sl_replica *r,
                      const struct sl_replica_end *end, bool has_said_why, uint64_t now_ms);
/* Whether it is otherwise than written last. */
bool sl_pool_life_is_news(const struct sl_pool *p);
/*
 * Append an object: the state of all together (that of the best of them; "crashed" while nothing
 * works and the next waits for its pause, "stopped" without any), counts, and what is wrong in
 * words.
 */
void sl_pool_life_write(struct sl_pool *p, const struct sl_ctx *ctx, struct sl_jsonw *w);

#endif
