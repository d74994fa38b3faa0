/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_page.h - how a gateway's heads are, for people and for what looks after processes:
 *
 *   /healthz      {"status":"ok"|"degraded"|"away","heads":[{"head","state"}]}; 503 when away: no
 *                 head is there, so only what they have said before can be served
 *   /status.json  the same heads with their counts, and requests of the front
 *
 * `state` is "up", "away" (it is joined again as soon as it is heard), "joining" (the same, and it
 * has not said its keys yet) or "refused" (it does not want this gateway, for good).
 *
 * Threading: a front's thread.
 */
#ifndef SL_GATEWAY_GATEWAY_PAGE_H
#define SL_GATEWAY_GATEWAY_PAGE_H

#include "gateway/front.h"
#include "gateway/plane.h"

struct sl_gateway_page { /* All is borrowed. */
    const struct sl_plane *planes;
    uint32_t planes_count;
    const struct sl_front *front; /* NULL: not there yet. */
    uint64_t started_ms;
};

/* What sl_front_options.page wants; `page` is a struct sl_gateway_page. */
bool sl_gateway_page(void *page, const char *path, struct sl_page *ret_page);

#endif
