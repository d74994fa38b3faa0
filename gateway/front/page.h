/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front/page.h - what a front has beside routes: pages, the sessions of who logged in, and live
 * streams. A front with sessions is one that browsers use, so whatever it is asked is first held
 * against the site that asks.
 *
 * Threading: the front's thread.
 */
#ifndef SL_GATEWAY_FRONT_PAGE_H
#define SL_GATEWAY_FRONT_PAGE_H

#include "gateway/front/state.h"

/* Content-Type of live streams; by its address a reply is known to be one. */
extern const char sl_stream_type[];

/* ---- front/page.c ---- */
/*
 * Whether the request is for a page or a session: then it is answered, or has failed. Fails the
 * call also where a page of another site may have sent it. First of all, once the head is read.
 */
bool sl_page_begin(struct sl_request *request, const struct sl_request_line *line);
/* Whose session the request goes by; SL_EDENIED: none, or one that may not be used like that. */
SL_MUST_CHECK enum sl_err sl_page_session(struct sl_request *request, uint64_t now_ms,
                                          uint8_t ret_digest[static 32]);
/* The session's token that a browser sent; empty: none. Of the request. */
struct sl_slice sl_page_token(const struct sl_request *request);
/* What browsers are told of every reply of a front with sessions. */
void sl_page_guard(struct sl_request *request, struct MHD_Response *response);

/* ---- front/request.c ---- */
/* By its key or session, at an open door: call->who. Else it fails. */
void sl_request_authenticate(struct sl_request *request);

/* ---- front/stream.c ---- */
struct sl_followers;
/* The reply to a call whose caller is known: events until one side has enough. There is room. */
struct MHD_Response *sl_stream_create(struct sl_request *request, const struct sl_call *call);
/* Whether `who` may have one more: a tenant has few, and operators find room whatever tenants do.
 */
bool sl_stream_has_room(const struct sl_front *front, const struct sl_identity *who);
void sl_stream_tick(struct sl_front *front);    /* Before each round of libmicrohttpd. */
void sl_stream_release(struct sl_front *front); /* Ends all: the last rounds write it. */
void sl_stream_destroy(struct sl_front *front); /* Once libmicrohttpd has stopped. */

#endif
