/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plane.h - one head as a gateway serves it: its data directory as seen from here, a copy of its
 * keys, our membership (edge.h), and what its workers run for us directly (router, api). Everything
 * that is known of a head is in its plane, and planes share nothing, so that one whose head is away
 * or slow holds up no other. A thread of its own turns it.
 *
 *   open --> start (the thread runs) --> leave (says goodbye) or stop --> join --> destroy
 *
 * Threading: all calls on one thread, but sl_plane_post: any. Others read `gateway.keyring`,
 * `gateway.blobs` and `gateway.incoming` (which see) and `view`.
 */
#ifndef SL_GATEWAY_PLANE_H
#define SL_GATEWAY_PLANE_H

#include <pthread.h>

#include "gateway/edge.h"

struct sl_plane_options {         /* Strings are borrowed for the plane's life. */
    const char *head;             /* Its endpoint. */
    const char *data;             /* Its data directory, as seen from here. */
    const char *cert, *head_cert; /* tcp: our certificate, and its public one. */
    const char *run;              /* Directory of our socket; "": DATA/run. */
    const char *name;             /* Ours, at every head. */
    uint32_t index;               /* Among the gateway's planes, from 0. */
    uint64_t silence_ns, timeout_ns;
    void (*reply)(void *arg, struct sl_call *call); /* On the plane's thread, like `refused`. */
    void (*refused)(void *arg); /* The head does not want us: no call will succeed any more. */
    void *arg;
};

struct sl_plane {
    struct sl_plane_options options;
    char *data, *endpoint;     /* Real path; where workers connect to. */
    struct sl_gateway gateway; /* Its keyring, blobs and incoming; there is no store here. */
    struct sl_edge_view view;
    struct sl_live *live;
    pthread_t thread;
    bool is_running;
    int lock_fd;
};

/*
 * Open the data directory and set the actors up. False: what is wrong was said on standard error,
 * and the plane is as destroy leaves it.
 */
bool sl_plane_open(struct sl_plane *plane, const struct sl_plane_options *options);
/* From now on there are replies. */
void sl_plane_start(struct sl_plane *plane);
void sl_plane_post(struct sl_plane *plane, struct sl_call *call); /* Taken, and replied to. */
void sl_plane_leave(struct sl_plane *plane);                      /* Tell the head, then stop. */
void sl_plane_stop(struct sl_plane *plane);                       /* At once. */
void sl_plane_join(struct sl_plane *plane);                       /* Until the thread has ended. */
/* Joined, or never started; a zeroed one is fine. */
void sl_plane_destroy(struct sl_plane *plane);

#endif
