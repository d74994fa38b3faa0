/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front/plane.h - which of the front's planes a request goes to; call->plane says it from then on.
 * Threading: the front's thread.
 */
#ifndef SL_GATEWAY_FRONT_PLANE_H
#define SL_GATEWAY_FRONT_PLANE_H

#include "gateway/front.h"

#define SL_FRONT_TWINS_MAX 64u

struct sl_request;

/* Keys that two planes know, which was reported: of each the first bits of its digest. Once it is
 * full, others are not reported. */
struct sl_front_twins {
    uint64_t bits[SL_FRONT_TWINS_MAX];
    uint32_t count;
};

/* Lives as long as the front. */
const struct sl_front_plane *sl_request_plane(const struct sl_request *request);
/*
 * By its key; whose it is goes to call->who. SL_EDENIED: it has none, or nobody knows it.
 * SL_EUNAVAIL: nobody does, but one has not said yet which keys it knows.
 */
SL_MUST_CHECK enum sl_err sl_plane_of_key(struct sl_request *request, uint64_t now_ms);
/* Of a route without a key, once its query is read: by who has signed the address, by a key that
 * was sent all the same, or the first plane that is up. */
void sl_plane_of_address(struct sl_request *request);
/* Before the call is posted: fails it when its plane answers so late that there is little room left
 * for others. */
void sl_plane_admit(struct sl_request *request);

#endif
