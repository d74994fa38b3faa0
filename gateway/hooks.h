/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.h - the hooks actor: sends the deliveries that are due, on the I/O pool, and writes down
 * what came of each try. At least once: a try whose end was not written is made again after a
 * restart.
 *
 *   timer, work_done, hooks_due --> look: for each webhook the rows that are due
 *                    |- ended and kept long enough: removed
 *                    `- pending: the work (after the store is durable) --> work_done
 *
 * One try at a time and webhook, and a few in all, so that a slow receiver holds up only itself.
 */
#ifndef SL_GATEWAY_HOOKS_H
#define SL_GATEWAY_HOOKS_H

#include <stdatomic.h>

#include "gateway/hook_plan.h"
#include "runtime/actor.h"

#define SL_HOOKS_AT_ONCE 4 /* Tries under way in all. */

struct sl_hooks_options {
    struct sl_hook_policy policy;
    uint64_t timeout_ms;
    uint32_t dead_max; /* Dead deliveries in a row that set a webhook inactive. */
    bool may_be_private;
    const atomic_bool *is_stopping; /* Then tries under way are given up within a second or so. */
};

extern const struct sl_actor_class sl_hooks_class; /* Argument: sl_hooks_options. */

/* For a watch of SL_TABLE_DUE: true when `hooks`, the actor's state, has to be sent hooks_due. */
bool sl_hooks_call(void *hooks);

#endif
