/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front/state.h - what the files of the front share. A request lives in a slot from its first
 * header until libmicrohttpd is done with it; its handle (slot and generation) is all that leaves
 * the front's thread, so that a late reply can never meet another request.
 *
 *   READING --> POSTED --> DONE      body wanted, call with the poster, reply queued
 *      |   `--> SETTLING --^         the upload is made durable on the settler's thread
 *      `------> DISCARDING --> DONE  refused: what is still coming is thrown away
 *
 * Threading: everything here belongs to the front's thread but what says otherwise.
 */
#ifndef SL_GATEWAY_FRONT_STATE_H
#define SL_GATEWAY_FRONT_STATE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "gateway/front/head.h"
#include "gateway/front/plane.h"
#include "gateway/route.h"
#include "runtime/spin.h"

enum sl_stage {
    SL_STAGE_READING,
    SL_STAGE_DISCARDING,
    SL_STAGE_SETTLING,
    SL_STAGE_POSTED,
    SL_STAGE_DONE
};

struct sl_form; /* A multipart body under way: front/form.c. */
struct sl_put;  /* A presigned upload under way: front/put.c. */

struct sl_request {
    struct sl_front *front;
    struct MHD_Connection *connection;
    struct sl_call *call; /* NULL while posted and once answered. */
    struct sl_head head;  /* Lives as long as the connection. */
    struct sl_form *form;
    struct sl_put *put;
    struct sl_request *next; /* Of the free slots, or of the settler's lists. */
    const char *reply_type;  /* Content-Type; NULL: JSON. */
    uint64_t handle;
    uint64_t body_limit, body_size; /* Bytes allowed, and received. */
    uint64_t charge;                /* Of front->body_bytes. */
    uint64_t started_ns;
    enum sl_stage stage;
    bool has_body, is_chunked, must_close, is_used;
    uint64_t content_length; /* 0 when unknown. */
    atomic_bool is_gone;     /* Posted, and the client has closed meanwhile. */
};

struct sl_link; /* A connection and its deadline: front/guard.c. */

struct sl_front {
    uint32_t magic;
    struct sl_front_options options;
    struct MHD_Daemon *daemon;
    struct sl_request *slots, *free_slots;
    uint32_t slots_count;
    uint64_t body_bytes; /* Of all bodies in memory. */
    struct sl_link *links;
    struct sl_followers *followers; /* front/stream.c; NULL: there was none yet. */
    uint64_t round_ns;              /* When this round of the loop began. */
    uint64_t guarded_ns;            /* When the links' deadlines were looked at. */
    uint32_t idle_s;
    uint32_t vain_rounds; /* Of libmicrohttpd since it last called us. */
    /* leftovers: it wants to be run again at once; woken: links that were asleep are looked at. */
    bool has_leftovers, has_woken;
    struct sl_random random;
    struct sl_spin spin; /* For replies. */
    struct sl_front_twins twins;
    uint32_t waiting[SL_FRONT_PLANES_MAX]; /* Calls of each plane that are posted. */
    pthread_t thread, settler;
    bool has_settler, settler_must_end; /* must_end: under settle_lock. */
    int wake_fd, epoll_fd;
    uint16_t port;
    atomic_bool is_stopping, is_draining, is_shutting;
    atomic_bool is_shut; /* Set by the front's thread, which posts nothing from then on. */
    atomic_bool has_settled;
    atomic_bool is_asleep; /* The front's thread is in poll: wake it. */
    atomic_uint in_flight;
    atomic_ullong posted;
    _Atomic(struct sl_call *) replied; /* Any thread pushes; the front's takes all. */

    pthread_mutex_t settle_lock; /* Guards the two below. */
    pthread_cond_t settle_wake;
    struct sl_request *to_settle, *settled;
};

/* front.c */
void sl_front_wake(struct sl_front *front); /* Any thread. */
enum MHD_Result sl_front_answer(struct sl_request *request);

/*
 * front/guard.c: the phases of a connection, and the end of those that are late in one. Who writes
 * a reply piece by piece says so for each piece.
 */
enum MHD_Result sl_guard_accepts(void *arg, const struct sockaddr *address, socklen_t size);
void sl_guard_notify(void *arg, struct MHD_Connection *connection, void **socket_context,
                     enum MHD_ConnectionNotificationCode what);
const char *sl_guard_address(struct MHD_Connection *connection); /* Of the peer; "": none. */
void sl_guard_begun(struct MHD_Connection *connection);
/* It is posted: `gone`, of its request, is set within two seconds after the client has closed. */
void sl_guard_posted(struct MHD_Connection *connection, atomic_bool *gone);
void sl_guard_body(struct MHD_Connection *connection, bool is_chunked); /* Begins or goes on. */
void sl_guard_answered(struct MHD_Connection *connection, uint64_t reply_bytes);
void sl_guard_completed(struct MHD_Connection *connection);
void sl_guard_tick(struct sl_front *front);  /* Before each round of libmicrohttpd. */
void sl_guard_round(struct sl_front *front); /* After it. */
void sl_guard_release(struct sl_front *front);

struct sl_slice sl_request_client(struct sl_request *request); /* front/client.c; its address. */
struct sl_slice sl_request_site(struct sl_request *request);   /* "https://HOST" */
struct sl_request_line { /* As sent; the URL without its query. */
    const char *method, *url, *version;
};

/* front/request.c: everything up to the body. Failures are on request->call. */
void sl_request_begin(struct sl_request *request, const struct sl_request_line *line);

/* front/body.c */
void sl_body_too_large(struct sl_request *request);
enum MHD_Result sl_body_receive(struct sl_request *request, const char *data, size_t size);
void sl_body_finish(struct sl_request *request); /* Parse what was read. */

/* front/form.c */
struct sl_form *sl_form_create(struct sl_request *request); /* NULL: the call has failed. */
void sl_form_destroy(struct sl_form **form);
void sl_form_receive(struct sl_request *request, const char *data, size_t size);
void sl_form_end(struct sl_request *request); /* The last byte is there. */
bool sl_form_has_upload(const struct sl_form *form);
void sl_form_settle(struct sl_request *request);  /* Blocks on the disk: the settler's thread. */
void sl_form_publish(struct sl_request *request); /* Fill the call from what was settled. */

/* front/put.c */
bool sl_put_begin(struct sl_request *request); /* False: the call has failed. */
void sl_put_destroy(struct sl_put **put);
void sl_put_receive(struct sl_request *request, const char *data, size_t size);
void sl_put_end(struct sl_request *request);
void sl_put_settle(struct sl_request *request); /* Blocks on the disk: the settler's thread. */
void sl_put_publish(struct sl_request *request);

#endif
