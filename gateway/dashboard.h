/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dashboard.h - one page that shows the node as it is now. The page is a file of its own
 * (dashboard.html), part of the executable; it polls /status.json once a second, loads nothing from
 * elsewhere, and shows whatever of the members below is there:
 *
 *   {"version","uptime_s","node":{"id","state"},"memory":{"anonymous_bytes","shared_bytes"},
 *    "replicas":[{"id","extractor","state","ongoing","pid"}],
 *    "queues":[{"queue","ready","delayed","leased","oldest_ms"}],
 *    "jobs":[{"id","tenant","state","done","failed","total"}],
 *    "models":[{"id","namespace","state","bytes"}],
 *    "objects":{"count","bytes","documents"},"requests":{"in_flight","total"}}
 *
 * and draws /history/1h.json, 12h and 72h, as sl_timeline_write has it.
 */
#ifndef SL_GATEWAY_DASHBOARD_H
#define SL_GATEWAY_DASHBOARD_H

#include "gateway/front.h"

struct sl_dashboard {
    /* Append the status as JSON. Called on a front's thread, about once a second a viewer. */
    void (*status)(void *arg, struct sl_buf *out);
    /* Append metrics; false: there are none now. */
    bool (*metrics)(void *arg, struct sl_buf *out);
    /* Append the history of a span (timeline.h) as JSON; false: there is none, or no such span. */
    bool (*history)(void *arg, struct sl_slice span, struct sl_buf *out);
    void *arg;
};

/* What sl_front_options.page wants; `dashboard` is a struct sl_dashboard. */
bool sl_dashboard_page(void *dashboard, const char *path, struct sl_page *page);

/*
 * Whether a request addressed this machine by number or as localhost, and, if a page asked, a page
 * from such an address. A name that some other DNS server answers for is not trusted: that is how
 * web pages elsewhere read what listens on a loopback address.
 */
bool sl_page_is_trusted(struct sl_slice host, struct sl_slice origin);

#endif
