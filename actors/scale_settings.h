/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_settings.h - what an autoscaler (autoscaler.h) may be told, by the names that users of
 * other serving systems know: each has one name here, and its other spellings are taken as well.
 *
 * Threading: plain values.
 */
#ifndef SL_ACTORS_SCALE_SETTINGS_H
#define SL_ACTORS_SCALE_SETTINGS_H

#include "runtime/buf.h"

#define SL_SCALE_REPLICAS_MAX 1000

struct sl_scale_settings {
    uint32_t min_replicas, max_replicas; /* 0 to max; 1 to SL_SCALE_REPLICAS_MAX. */
    uint32_t initial_replicas;
    double target_ongoing;               /* Of one replica, waiting included; over 0. */
    double up_factor, down_factor;       /* Of the way to what is needed, at a time; over 0. */
    double up_rate, down_rate;           /* At most so many times as many, or as few; over 1. */
    uint64_t up_delay_ns, down_delay_ns; /* For so long it must have been wanted. */
    uint64_t zero_delay_ns;              /* The last replica. */
    uint64_t look_back_ns, panic_ns;     /* Windows of means; 0: what is now. */
    double panic_threshold;              /* Times what the replicas are for; 0: never. */
};

struct sl_scale_settings sl_scale_settings_default(void);
/* NULL: good; else a sentence, static, on the first that is not. */
const char *sl_scale_settings_check(const struct sl_scale_settings *settings);

/*
 * Set one by its name ("downscale_delay_s", or "scale-down-delay") from a number in decimal. On
 * SL_ENOTFOUND (no such name; the nearest is told) and SL_EINVAL (no number, or out of its range)
 * *ret_error is a sentence, the caller's; that settings fit each other is
 * sl_scale_settings_check's.
 */
SL_MUST_CHECK enum sl_err sl_scale_settings_set(struct sl_scale_settings *settings,
                                                const char *name, const char *value,
                                                char **ret_error);
/* Its one name here, of a name that it goes by; NULL: none. Static. */
const char *sl_scale_settings_name(const char *name);
/* Append all as members of a JSON object: "min_replicas":1,... */
void sl_scale_settings_write(const struct sl_scale_settings *settings, struct sl_buf *out);

#endif
