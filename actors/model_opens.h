/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_opens.h - models that replicas' processes ask their node for while they work. Part of the
 * agent actor: plain state, effects through the agent's context.
 *
 *   wanted --> (the head: whose is it? have it loaded here) --> (on the shelf?) --> given
 *      `--refused                `--no, or too late                  `--no
 *
 * Each ask ends with one model_given, at the latest after SL_MODEL_OPEN_NS; that of a replica that
 * has ended with none. A replica has one at a time.
 *
 * Threading: the agent's.
 */
#ifndef SL_ACTORS_MODEL_OPENS_H
#define SL_ACTORS_MODEL_OPENS_H

#include "actors/cluster.h"
#include "actors/model_shelf.h"
#include "actors/pool.h"

#define SL_MODEL_OPENS_MAX 64                  /* On one node, at a time. */
#define SL_MODEL_OPEN_NS   (55 * SL_SECOND_NS) /* Less than processes wait: extractors/. */

struct sl_model_open;

struct sl_model_opens {
    struct sl_model_open *asks; /* SL_MODEL_OPENS_MAX. */
    uint64_t serial_last;
};

void sl_model_opens_init(struct sl_model_opens *o, uint64_t now_ms);
void sl_model_opens_deinit(struct sl_model_opens *o); /* Zeroed is fine. */

/* A process asks. `pool`: its replica's; NULL: that has ended. */
void sl_model_opens_ask(struct sl_model_opens *o, struct sl_ctx *ctx, const struct sl_pool *pool,
                        const struct sl_m_model_wanted *m);
/* What the head says to one, a model_opened. */
void sl_model_opens_answer(struct sl_model_opens *o, struct sl_ctx *ctx,
                           struct sl_model_shelf *shelf, const struct sl_msg *msg);
/* The call of that number did not reach the head; 0 is none. */
void sl_model_opens_undelivered(struct sl_model_opens *o, struct sl_ctx *ctx, uint64_t request);
/* Give what the shelf has now, and end what took too long: after builds, and with each beat. */
void sl_model_opens_tend(struct sl_model_opens *o, struct sl_ctx *ctx,
                         struct sl_model_shelf *shelf);
void sl_model_opens_forget(struct sl_model_opens *o, uint64_t replica); /* It has ended. */

#endif
