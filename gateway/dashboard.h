/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dashboard.h - the pages that show the cluster as it is now, their files (dashboard/, part of the
 * executable), and the figures that need no key on this machine: /status.json, /metrics and
 * /history/1h.json, 12h and 72h. Everything else that the pages show or do goes through the routes
 * of the API, by the session of who logged in.
 *
 * Threading: the thread of the dashboard's front.
 */
#ifndef SL_GATEWAY_DASHBOARD_H
#define SL_GATEWAY_DASHBOARD_H

#include "gateway/front.h"

struct sl_dashboard {
    /* Append the status as JSON. Called on a front's thread. */
    void (*status)(void *arg, struct sl_buf *out);
    /* The same with the states of nodes alone, and how many replicas there are; nothing when there
     * is none now. */
    void (*brief)(void *arg, struct sl_buf *out);
    /* Append metrics; false: there are none now. */
    bool (*metrics)(void *arg, struct sl_buf *out);
    /* Append the history of a span (timeline.h) as JSON; false: there is none, or no such span. */
    bool (*history)(void *arg, struct sl_slice span, struct sl_buf *out);
    void *arg;
};

/* What sl_front_options.page wants; `dashboard` is a struct sl_dashboard. */
bool sl_dashboard_page(void *dashboard, const char *path, struct sl_page *page);

/*
 * What sl_front_options.feed wants: of the status what fits on a screen, so that pages are told
 * only of what they show. Appends nothing when there is no status now.
 */
void sl_dashboard_feed(void *dashboard, struct sl_buf *out);

/* The file of a path; empty: there is none. Static. */
struct sl_slice sl_dashboard_asset(const char *path);

/*
 * Whether a request addressed this machine by number, as localhost or by one of `names` (NULL:
 * none), and, if a page asked, a page from that very address. A name that some other DNS server
 * answers for is not trusted: that is how web pages elsewhere read what listens here.
 */
bool sl_page_is_trusted(struct sl_slice host, struct sl_slice origin, const char *names);

#endif
