/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front.h - the HTTP seam: libmicrohttpd behind a few calls. Knows routes and keys, no store.
 *
 * One thread serves every connection. Per request: match, authenticate, check, read or stream the
 * body, parse it, then post the call and let the connection sleep. sl_front_reply, from any thread,
 * hands the reply back; replies that come together cost one wake-up. A client that hangs up
 * meanwhile is noticed when the reply is written; the call is still freed once.
 */
#ifndef SL_GATEWAY_FRONT_H
#define SL_GATEWAY_FRONT_H

#include <stdatomic.h>

#include "gateway/call.h"
#include "gateway/keyring.h"

struct sl_transport;
struct sl_blobs;
struct sl_incoming;
struct sl_sessions;
struct sl_front;

#define SL_FRONT_PLANES_MAX 16u
#define SL_PAGE_TAG_SIZE    35 /* 128 bits in hex, quotes and the NUL. */

/*
 * A store, in this process or a head's elsewhere. A call goes to the first plane that knows its key
 * or has signed its address; what needs neither, to the first that is up.
 */
struct sl_front_plane {
    struct sl_keyring *keyring;
    struct sl_blobs *blobs;       /* Where uploads go; NULL: multipart routes answer 503. */
    struct sl_incoming *incoming; /* Where presigned uploads go; NULL: they answer 503. */
    const atomic_bool *is_up;     /* NULL: always. */
};

/* A page: what is asked for by path, without a key. */
struct sl_page {
    struct sl_buf body;
    const char *type; /* Static. */
    uint16_t status;
    char tag[SL_PAGE_TAG_SIZE]; /* ETag of what changes with the executable alone; "": none. */
    bool is_open; /* No figures: also for who comes from elsewhere and has not logged in. */
    /* In: make the figures. Asked first without, when only is_open's pages have a body. */
    bool is_wanted;
};

struct sl_front_options {
    const char *address; /* "127.0.0.1:8080", "[::1]:8080"; port 0 picks a free one. */
    struct sl_front_plane planes[SL_FRONT_PLANES_MAX];
    uint32_t planes_count; /* 0 where there are only pages. */
    /* Takes the call: from now on the poster's until sl_front_reply; call->plane says which plane's
     * it is. On the front's thread. NULL: it serves pages only. */
    void (*post)(void *arg, struct sl_call *call);
    void *arg;
    const struct sl_transport *transport; /* Lives as long as the front. NULL: plain, no proxy. */
    bool is_relayed;          /* Calls go to a head elsewhere: files of forms go by name. */
    uint32_t connections_max; /* 0: 4096 */
    uint32_t
        per_address_max; /* Connections of one address. 0: half of all; all of a trusted proxy. */
    uint32_t idle_s;     /* A connection that sends nothing is closed. 0: 30 */
    uint32_t head_s;     /* A head must be complete in that time, however it trickles. 0: 15 */
    uint32_t body_s;     /* After that a body must have come with 1 KiB/s. 0: 60 */
    uint32_t reply_s;    /* A reply must be read in that time and its size over the rate. 0: 60 */
    uint32_t reply_rate; /* Bytes per second. 0: 64 KiB */
    /*
     * Pages that need no call and no key (the dashboard): GET path -> page, which is 200 and JSON
     * unless it says otherwise; false: none. On the front's thread. Served only to a browser or
     * tool that addressed this machine by number or as localhost, so that no web page elsewhere can
     * read them. NULL: no pages.
     */
    bool (*page)(void *arg, const char *path, struct sl_page *page);
    /* More names that browsers may address it by, with spaces or commas between; NULL: none. */
    const char *names;
    /*
     * Where browsers log in: POST /session with a key sets a cookie, which then stands for the key
     * in calls of our own pages. Belongs to the front's thread from now on. NULL: keys only.
     */
    struct sl_sessions *sessions;
    /* With sessions: append what /live tells operators' pages, on the front's thread, whenever
     * somebody listens. NULL: there is no /live. */
    void (*feed)(void *arg, struct sl_buf *out);
    uint32_t number; /* Of the fronts of a process: call->front. */
    double traced;   /* How many requests that name no trace are sampled, of one. */
};

/* SL_EBUSY: the port is taken. SL_EINVAL: the address. SL_EDENIED. Serves when it returns. */
SL_MUST_CHECK enum sl_err sl_front_start(const struct sl_front_options *options,
                                         struct sl_front **ret_front);
uint16_t sl_front_port(const struct sl_front *front);
/* New requests get 503 "draining" from now on; those under way go on. */
void sl_front_drain(struct sl_front *front);
/* Post nothing any more: what is still being read gets 503 when it has come. True once that is so;
 * ask until it is, or whoever is posted to may end before a call that nobody frees then. */
bool sl_front_shut(struct sl_front *front);
uint32_t sl_front_in_flight(const struct sl_front *front); /* Posted and not yet answered. */
uint64_t sl_front_posted(const struct sl_front *front);    /* All calls since the start. */
/* Answer and free the call. Any thread. */
void sl_front_reply(struct sl_front *front, struct sl_call **call);
/* Stop; every posted call must have been answered. What is half read is dropped. */
void sl_front_stop(struct sl_front **front);

#endif
