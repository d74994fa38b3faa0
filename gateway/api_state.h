/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api_state.h - what the api actor (api.h) keeps, for the files that it consists of: api.c runs
 * calls and goes on with them, api_asks.c asks others for them, api_embeds.c has texts embedded.
 *
 * Threading: the actor's.
 */
#ifndef SL_GATEWAY_API_STATE_H
#define SL_GATEWAY_API_STATE_H

#include "actors/tally.h"
#include "gateway/api.h"
#include "gateway/queue_waits.h"

#define SL_API_TOKEN_SWEEP 0
#define SL_API_TOKEN_PURGE 1
#define SL_API_TOKEN_GONE  2
#define SL_API_TOKEN_METER 3
#define SL_API_TOKEN_LAST  SL_API_TOKEN_METER /* Above it: serials of waits. */

struct sl_embeds;

/* One ask under way. */
struct sl_api_wait {
    struct sl_api_wait *next;
    uint64_t serial;
    struct sl_call *call;
    sl_handler_fn *then;
    void (*work)(struct sl_call *call);
    bool is_long, is_queued;    /* Queued: its work has not been given to the pool. */
    struct sl_embeds *embeds;   /* The texts that it has embedded, of the call; NULL: none. */
    struct sl_queue_wait queue; /* Lane 0: it waits for none. */
};

struct sl_api {
    struct sl_api_options options;
    struct sl_ctx *ctx; /* Of the message being handled: asks go out through it. */
    struct sl_api_wait *waiting;
    uint32_t waiting_count;
    uint32_t long_count;                               /* Works of minutes under way. */
    struct sl_scope long_scopes[SL_LONG_WORK_AT_ONCE]; /* Whose they are. */
    struct sl_tally embeds; /* Texts under way beside another of their call, by tenant. */
    uint64_t serial_last;
    bool is_purging;  /* Its timer is set. */
    bool is_looking;  /* For clients that have gone: its timer is set. */
    bool is_metering; /* Its timer is set. */
    bool is_stopping;
    struct sl_queue_waits *queues; /* Which calls wait for own queues, or for events. */
    uint64_t event_last;           /* Of the events that those who follow were woken for. */
    struct sl_scope sweep_scope;
    struct sl_buf sweep_tenant, sweep_row; /* Where the sweep of expired replies goes on. */
};

/* ---- api_asks.c ---------------------------------------------------------------------------- */

/* Have a call wait, so that `then` goes on with it. Its serial is no other's. */
struct sl_api_wait *sl_api_begin_wait(struct sl_call *call, sl_handler_fn *then);
/* It waits no more: the caller's, which frees it. */
void sl_api_end_wait(struct sl_api *a, struct sl_api_wait *w);
struct sl_api_wait *sl_api_find_wait(const struct sl_api *a, uint64_t serial); /* NULL: none. */
/* A work of minutes has ended: the next may begin. */
void sl_api_end_long(struct sl_api *a, struct sl_scope scope);
/* Look soon for calls whose clients have gone. */
void sl_api_look_for_gone(struct sl_api *a);
/* How a wait ended: an error, and a text for people. */
void sl_api_set_wait(struct sl_call *call, uint64_t err, struct sl_slice message);

/* ---- api_embeds.c -------------------------------------------------------------------------- */

/* Who waits for the text that was asked for by this number; NULL: nobody. */
struct sl_api_wait *sl_api_embeds_find(const struct sl_api *a, uint64_t request);
/* One of its texts is answered, and others are sent. True: none is to come, go on with the call. */
bool sl_api_embeds_take(struct sl_api *a, struct sl_api_wait *w, const struct sl_msg *embedded);
/* Nobody waits for its texts any more. */
void sl_api_embeds_cancel(struct sl_api *a, struct sl_api_wait *w);

#endif
