/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_rule.h - the autoscaler's rule: from what is known at one moment to how many replicas there
 * are to be, and why. What was known can be written down, and the rule applied to it again, also
 * elsewhere and later: same facts, same decision, to the bit.
 *
 * * raw = demand / target, no less than sure / target and no more than one over that, rounded up.
 *
 * * In a burst raw is also no less than min(what of the burst is sure, offered) / target.
 *
 * * desired = has + factor x (raw - has), rounded up; at most has x rate; within min, max and room.
 *
 * * Up: to the least desired of upscale_delay; at once from none and in a burst.
 *
 * * Down: to the greatest desired of downscale_delay, and no lower than one.
 *
 * * To none: when all desired were none for downscale_to_zero_delay.
 *
 * Threading: plain values.
 */
#ifndef SL_ACTORS_SCALE_RULE_H
#define SL_ACTORS_SCALE_RULE_H

#include "actors/scale_settings.h"
#include "runtime/json.h"

enum sl_scale_reason {
    SL_SCALE_STEADY, /* What there is fits. */
    SL_SCALE_FROM_ZERO,
    SL_SCALE_UP,
    SL_SCALE_PANIC,   /* Up, for a burst. */
    SL_SCALE_UP_SOON, /* More are needed, if it lasts. */
    SL_SCALE_DOWN,
    SL_SCALE_DOWN_SOON,
    SL_SCALE_TO_ZERO,
    SL_SCALE_AT_MIN,  /* Fewer would do. */
    SL_SCALE_AT_MAX,  /* More are needed. */
    SL_SCALE_NO_ROOM, /* More are needed and allowed, but there is no place for them. */
    SL_SCALE_REASONS
};

struct sl_scale_facts {
    uint64_t at_ns;
    uint32_t waiting, running; /* The demand is their sum. */
    uint32_t has, room;        /* Replicas before; those that could run, these included. */
    double stable, burst;      /* Means of the demand. */
    double service_s;          /* How long one runs; below 0: not known yet. */
    double offered;            /* What arrives, times that; below 0 as well. */
    bool is_panic;             /* A burst is on. */
    uint32_t up, down, zero; /* The least, greatest and greatest desired of the delays, with now. */
};

struct sl_scale_verdict {
    double sure;      /* What of the stable demand is more than chance. */
    uint32_t wanted;  /* Before the bounds. */
    uint32_t desired; /* Before delays, this moment alone considered. */
    uint32_t replicas;
    enum sl_scale_reason reason;
};

/* Whether the burst is one, and not what chance makes of a load that the replicas are for. */
bool sl_scale_is_burst(const struct sl_scale_settings *s, const struct sl_scale_facts *f);
/* Without up, down and zero: `sure`, `wanted` and `desired` alone. */
struct sl_scale_verdict sl_scale_desire(const struct sl_scale_settings *s,
                                        const struct sl_scale_facts *f);
/* The rest, from what sl_scale_desire gave. */
void sl_scale_settle(const struct sl_scale_settings *s, const struct sl_scale_facts *f,
                     struct sl_scale_verdict *v);
/* Replicas for so much demand, without any bounds. */
uint32_t sl_scale_need(const struct sl_scale_settings *s, double demand);

const char *sl_scale_reason_name(enum sl_scale_reason reason); /* "from_zero" */
const char *sl_scale_reason_text(enum sl_scale_reason reason); /* A sentence for who asks why. */

/* As one JSON object, with a sentence that has the numbers in it. */
void sl_scale_decision_write(const struct sl_scale_settings *s, const struct sl_scale_facts *f,
                             const struct sl_scale_verdict *v, struct sl_jsonw *w);
/* Apply the rule to one that was written; SL_EINVAL: it is none. */
SL_MUST_CHECK enum sl_err sl_scale_decision_replay(const struct sl_scale_settings *s,
                                                   struct sl_json decision, bool *ret_is_same);

#endif
