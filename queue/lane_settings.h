/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_settings.h - what an operator or a tenant may set about a queue; durable.
 */
#ifndef SL_QUEUE_LANE_SETTINGS_H
#define SL_QUEUE_LANE_SETTINGS_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_LANE_NAME_MAX 64 /* Bytes: letters, digits, '-', '_', '.'. */

enum sl_lane_mode {
    SL_LANE_OPEN,
    SL_LANE_PAUSED,   /* Takes new tasks, hands none out. */
    SL_LANE_DRAINING, /* Hands out, takes no new ones. */
    SL_LANE_CLOSED,   /* Neither. */
    SL_LANE_STOPPING  /* As DRAINING; CLOSED once nothing unfinished is left. Of class OWN alone. */
};

struct sl_lane_settings {
    enum sl_lane_mode mode;
    uint32_t weight;         /* Of its share among tenants: 1..1000; 0: 1. */
    uint32_t aging_ms;       /* A task gains a priority for each such wait; 0: never. */
    uint32_t running_max;    /* Leased at a time; 0: any number. */
    uint64_t depth_max;      /* Not ended; 0: any number. More are refused. */
    uint32_t rate;           /* Leases begun... */
    uint32_t rate_period_ms; /* ...in this time, exactly; 0, either: any number. */
    uint32_t burst;          /* Of the rate: how many at once; 0: 1. */
    uint64_t dead_retain_ms; /* Dead ones are forgotten after this; 0: never. */
    uint32_t dead_max;       /* And beyond so many, the oldest first; 0: any number. */
};

/* Whether new tasks are taken, and those that wait handed out. */
static inline bool
sl_lane_mode_takes(enum sl_lane_mode mode)
{
    return mode == SL_LANE_OPEN || mode == SL_LANE_PAUSED;
}
static inline bool
sl_lane_mode_gives(enum sl_lane_mode mode)
{
    return mode == SL_LANE_OPEN || mode == SL_LANE_DRAINING || mode == SL_LANE_STOPPING;
}
const char *sl_lane_mode_name(enum sl_lane_mode mode); /* "open", "paused", ... */

/* Whether all is within what the comments say. */
bool sl_lane_settings_are_valid(const struct sl_lane_settings *s);
bool sl_lane_name_is_valid(struct sl_slice name);
/* Names a lane within a tenant; never 0. */
uint64_t sl_lane_hash(struct sl_slice name);
void sl_lane_settings_encode(const struct sl_lane_settings *s, struct sl_buf *out);
bool sl_lane_settings_decode(struct sl_reader *r, struct sl_lane_settings *ret_settings);

#endif
