/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster_log.h - what happened to nodes and worker groups lately: the last SL_CLUSTER_LOG_MAX
 * events in the order of time, on their way from the head to the journal, which keeps them
 * (journal.h). Plain state, one owner.
 */
#ifndef SL_ACTORS_CLUSTER_LOG_H
#define SL_ACTORS_CLUSTER_LOG_H

#include "runtime/actor.h"
#include "runtime/json.h"

#define SL_CLUSTER_LOG_MAX 256

struct sl_cluster_event {
    uint64_t time_ms;
    const char *kind;  /* "node-joined"; static. */
    const char *group; /* Of nodes; static or "". */
    bool is_critical;  /* Somebody is to look at it now. */
    char about[72];    /* The node or group. */
    char text[168];
};

struct sl_cluster_log {
    struct sl_cluster_event *events; /* A ring, or NULL. */
    uint64_t count;                  /* Ever. */
    uint64_t told;                   /* Of these. */
};

void sl_cluster_log_deinit(struct sl_cluster_log *log);
/* Note one; longer texts are cut. `like`: all but its texts, which are `about` and the rest. */
void sl_cluster_log_add(struct sl_cluster_log *log, const struct sl_cluster_event *like,
                        const char *format, ...) SL_PRINTF(3, 4);
/* Tell the api actor of those that it was not told of; what the ring has lost by now is not told.
 */
void sl_cluster_log_tell(struct sl_cluster_log *log, struct sl_ctx *ctx);
/* Write the last `max` as a JSON array, the latest last. */
void sl_cluster_log_write(const struct sl_cluster_log *log, uint64_t max, struct sl_jsonw *w);

#endif
