/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - the api actor: runs calls on the store's thread (runner.h), keeps those that wait for a
 * replica, a model or the I/O pool, and answers what gateway/ask.h asks on their behalf.
 *
 *   front --api_call--> run --> reply held until durable --api_reply--> front
 *                        `ask--> (waits) --embedded, model_loaded, work_done--> continue --> ...
 *
 * Every wait ends: the router answers each call by its deadline, and the I/O pool runs all it
 * takes. Who gives its turn waits for no pool: a timer brings it back.
 */
#ifndef SL_GATEWAY_API_H
#define SL_GATEWAY_API_H

#include "actors/cluster.h"
#include "gateway/gateway.h"

#define SL_PORT_FRONT          2
#define SL_LONG_WORK_AT_ONCE   3 /* Of sl_call_work_long; each holds an I/O thread. */
#define SL_LONG_WORK_OF_TENANT 2 /* Of these: no tenant holds up all others. */

#define F(type, name)          SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "gateway/api.def"
#undef MESSAGE
#undef F

enum sl_api_message {
    SL_API_FIRST = (SL_PROTOCOL_API << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "gateway/api.def"
#undef MESSAGE
};

extern const struct sl_protocol sl_protocol_api;

struct sl_api_options {
    struct sl_gateway *gateway; /* Without a store it runs calls that are resolved already. */
    /* Fills a status request; on the store's thread. */
    void (*status)(void *arg, struct sl_ctx *ctx, const struct sl_m_api_status *ask);
    void *arg;
    bool is_traced; /* SL_PORT_TRACES hears of calls that are sampled. */
    bool has_edges; /* There is an actor for gateways elsewhere: it hears of changes. */
};

extern const struct sl_actor_class sl_api_class; /* Argument: sl_api_options. */

/*
 * Something became of a tenant's own queue, so that one who waits for it is to look, or all: true
 * if SL_M_queue_ready is to be sent to the actor. Of whoever changes the queue, on the store's
 * thread.
 */
bool sl_api_touch(void *api, struct sl_scope scope, uint64_t lane, bool is_all);

/* Calls that wait or run now: a drain waits for none. */
uint32_t sl_api_waiting(const void *api);

#endif
