/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model/status.h - where a model is in its life, kept in its row and shown with it:
 *
 *   PENDING --deploy--> DEPLOYING --loaded--> DEPLOYED --evict--> EVICTED --deploy--> DEPLOYING
 *                           `--failed--> FAILED --deploy--> DEPLOYING
 *
 * DEPLOYED says that it was loaded and nobody has evicted it since; a node that comes anew loads it
 * at its first use. A deploy that a crash cut off reads as FAILED from the next start on.
 *
 * In the row: status, status_at, deployed, deployment_error, status_history (the latest
 * SL_MODEL_HISTORY_MAX changes, oldest first).
 *
 * Threading: handlers'.
 */
#ifndef SL_GATEWAY_MODEL_STATUS_H
#define SL_GATEWAY_MODEL_STATUS_H

#include "gateway/call.h"
#include "gateway/resource.h"

#define SL_MODEL_HISTORY_MAX 16

enum sl_model_state {
    SL_MODEL_PENDING,
    SL_MODEL_DEPLOYING,
    SL_MODEL_DEPLOYED,
    SL_MODEL_FAILED,
    SL_MODEL_EVICTED,
};

struct sl_model_change {
    enum sl_model_state state;
    const char *reason;  /* For programs, "memory_not_free"; NULL: none. */
    const char *message; /* For people; NULL: none. */
};

enum sl_model_state sl_model_state(struct sl_call *call, struct sl_json row);

/* Put the row anew, with this change behind the others. */
void sl_model_status_put(struct sl_call *call, const char *namespace_id,
                         const struct sl_resource *model, const struct sl_model_change *change);

/* The members of a row that is about to be made: PENDING since now. */
void sl_model_status_begin(struct sl_call *call, struct sl_jsonw *w);

/* Write a row's members as they are now, those about its life too, but for the names in `hidden`
 * (ending in NULL). */
void sl_model_status_write(struct sl_call *call, struct sl_json row, const char *const *hidden);

#endif
