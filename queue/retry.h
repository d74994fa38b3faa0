/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry.h - whether and when a failed task is tried again.
 *
 *   exponential  anything up to base * 2^(failures - 1) and the cap: full jitter (the default)
 *   fixed        base, whatever the cap
 *   fourth       n^4 + 15 s and up to 10 (n + 1) s more, n = failures - 1; 25 runs are three weeks
 *
 * Whoever failed may say how long to wait; that comes before all of these, up to a cap of its own.
 * A zeroed policy is the default one. Pure: time and random numbers are arguments.
 */
#ifndef SL_QUEUE_RETRY_H
#define SL_QUEUE_RETRY_H

#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/random.h"

#define SL_RETRY_CLASSES_MAX    8
#define SL_RETRY_CLASS_SIZE_MAX 31
#define SL_RETRY_POLICY_SIZE_MAX                                                                   \
    (25 + SL_RETRY_CLASSES_MAX * (1 + SL_RETRY_CLASS_SIZE_MAX)) /* Encoded. */

enum sl_retry_kind { SL_RETRY_EXPONENTIAL, SL_RETRY_FIXED, SL_RETRY_FOURTH, SL_RETRY_KIND_COUNT };

struct sl_retry_policy {
    uint8_t kind;          /* enum sl_retry_kind */
    uint8_t classes_count; /* <= SL_RETRY_CLASSES_MAX */
    uint16_t attempts_max; /* Runs in all, the first included. 0: 3, fourth 25; see retry_for_ms. */
    uint32_t base_ms;      /* 0: 200. */
    uint32_t cap_ms;       /* Of a pause. 0: 60000 or base, fourth none. */
    uint32_t after_cap_ms; /* Of a pause that was asked for. 0: an hour. */
    uint64_t retry_for_ms; /* No run begins so long after the first failure. 0: no such limit;
                              otherwise attempts_max 0 is none. */
    /* Failures of these classes are final: text, padded with NUL. */
    char classes[SL_RETRY_CLASSES_MAX][SL_RETRY_CLASS_SIZE_MAX + 1];
};

struct sl_retry_failure {
    uint16_t attempts;        /* Runs that failed, this one included: >= 1. */
    uint64_t first_failed_ms; /* When the first did. 0: now. */
    uint64_t now_ms;
    uint64_t after_ms; /* Pause that was asked for. 0: none was. */
    struct sl_slice class;
};

enum sl_retry_verdict {
    SL_RETRY_AGAIN,
    SL_RETRY_SPENT, /* That was the last attempt. */
    SL_RETRY_LATE,  /* It failed for so long. */
    SL_RETRY_FINAL  /* Its class is not tried again. */
};

/*
 * SL_EINVAL: no such kind; base over the cap (exponential); too many classes, one that is empty,
 * twice there, or not padded with NUL.
 */
SL_MUST_CHECK enum sl_err sl_retry_check(const struct sl_retry_policy *policy);

/*
 * *ret_delay_ms is written with SL_RETRY_AGAIN only. A last pause is cut short so that the run
 * still begins within retry_for_ms; one that was asked for is not: it is then too late.
 */
enum sl_retry_verdict sl_retry_decide(const struct sl_retry_policy *policy,
                                      const struct sl_retry_failure *failure,
                                      struct sl_random *random, uint64_t *ret_delay_ms);

/* Milliseconds to wait after `attempts` failed runs (>= 1); UINT64_MAX: give up. */
uint64_t sl_retry_delay_ms(const struct sl_retry_policy *policy, uint16_t attempts,
                           struct sl_random *random);

/* Append a policy that passes sl_retry_check: at most SL_RETRY_POLICY_SIZE_MAX bytes. */
void sl_retry_encode(const struct sl_retry_policy *policy, struct sl_buf *out);

/*
 * Read one from exactly these bytes. SL_EVERSION; SL_ECORRUPT: not as sl_retry_encode writes them.
 * Equal policies have equal bytes.
 */
SL_MUST_CHECK enum sl_err sl_retry_decode(struct sl_slice bytes,
                                          struct sl_retry_policy *ret_policy);

#endif
