/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hook_plan.h - what becomes of a delivery after a try, and the signature that a try carries. Plain
 * functions of their arguments: time and random numbers are passed in.
 */
#ifndef SL_GATEWAY_HOOK_PLAN_H
#define SL_GATEWAY_HOOK_PLAN_H

#include "actors/delivery.h"
#include "runtime/random.h"

struct sl_hook_policy {
    uint32_t attempts_max;
    uint64_t base_ms; /* Longest pause after the first failed try; it grows fourfold with each. */
    uint64_t cap_ms;  /* Longest pause of all. */
    uint64_t keep_ms; /* How long a delivery that ended is kept. */
};

struct sl_hook_outcome {
    uint32_t status;         /* HTTP; 0: no reply came. */
    uint64_t retry_after_ms; /* What the receiver asked for; 0: nothing. */
    struct sl_slice error;   /* For people; empty when there was none. */
};

/*
 * Count the try and say what follows: DELIVERED on 2xx; DEAD after the last try, and on 410, which
 * says that nobody will ever listen; else another try at d->due_ms. Borrows outcome->error.
 */
void sl_hook_plan(const struct sl_hook_policy *policy, const struct sl_hook_outcome *outcome,
                  uint64_t now_ms, struct sl_random *random, struct sl_delivery *d);
/* Dead without a try. Borrows `error`. */
void sl_hook_plan_dead(const struct sl_hook_policy *policy, const char *error, uint64_t now_ms,
                       struct sl_delivery *d);

/* "t=SECONDS,v1=HEX": HMAC-SHA256 of "SECONDS.BODY" under the secret's text. */
#define SL_HOOK_SIGNATURE_SIZE 100
void sl_hook_sign(struct sl_slice secret, uint64_t now_ms, struct sl_slice body,
                  char ret_signature[static SL_HOOK_SIGNATURE_SIZE]);

#endif
