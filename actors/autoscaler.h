/* SPDX-License-Identifier: Apache-2.0 */
/*
 * autoscaler.h - how many replicas an extractor should have: a function of its demand, which is
 * what waits and what runs, over time. It is told of each change when it happens and says when it
 * wants to be asked again; so it needs no clock that ticks.
 *
 *   demand --mean over look_back--> stable --.
 *      |---- mean over panic -----> burst ---+--> the rule (scale_rule.h) --> desired
 *      `---- Little's law --------> offered -'                                  |
 *   up:   the least desired over upscale_delay, at once with 0                  |
 *   down: the greatest desired over downscale_delay; to none: over another   <--'
 *
 * A burst counts when it is panic_threshold times what the replicas are for, and more than chance
 * makes of a load that they are enough for; then there are to be as many as it needs, but of what
 * waits because they came late no more than what arrives will keep busy.
 *
 * With no replicas and some demand there is no delay at all. Where there is no demand, nothing is
 * started. Same inputs, same decisions, to the bit: what was decided can be replayed.
 *
 * Threading: plain state, one owner; time comes in and never runs back.
 */
#ifndef SL_ACTORS_AUTOSCALER_H
#define SL_ACTORS_AUTOSCALER_H

#include "actors/scale_rule.h"

struct sl_scale_input {
    uint64_t at_ns;
    uint32_t waiting, running;  /* Of tasks and calls, everywhere. */
    uint64_t arrived, answered; /* Of them, ever. */
    uint32_t room;              /* Replicas that could run, those that do included. */
};

struct sl_scale_decision {
    uint32_t replicas; /* To have from now on. */
    uint32_t desired;  /* Before delays, at_ns alone considered. */
    enum sl_scale_reason reason;
    uint64_t next_ns; /* Ask again by then, if nothing changes before; UINT64_MAX: no need. */
    struct sl_scale_facts facts; /* What it was made from. */
    struct sl_scale_verdict verdict;
};

struct sl_autoscaler;

/* The settings must be good: sl_scale_settings_check. */
struct sl_autoscaler *sl_autoscaler_create(const struct sl_scale_settings *settings,
                                           uint64_t now_ns);
void sl_autoscaler_destroy(struct sl_autoscaler **autoscaler); /* NULL inside is fine. */

/* Something changed, or the time has come. */
struct sl_scale_decision sl_autoscaler_decide(struct sl_autoscaler *a,
                                              const struct sl_scale_input *input);
/* Other settings from now on; what it knows of the past stays. */
void sl_autoscaler_configure(struct sl_autoscaler *a, const struct sl_scale_settings *settings,
                             uint64_t now_ns);
/* As if it had decided so: an operator's order, or replicas found at a start. */
void sl_autoscaler_set(struct sl_autoscaler *a, uint64_t now_ns, uint32_t replicas);
/* In force. */
const struct sl_scale_settings *sl_autoscaler_settings(const struct sl_autoscaler *a);

#endif
