/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key.h - concurrency keys: how many tasks that name a key may run at once, and how many a second.
 *
 * A task names up to four keys of its scope and gets a claim, a number. It runs only when every key
 * has room and a token, which are then taken together; otherwise it waits at the first key that has
 * not, and holds none meanwhile.
 *
 *           join         acquire             release
 *   (none) ------> IDLE ---------> RUNNING ---------> IDLE          leave: from any state
 *                  ^  |  acquire                       ^
 *            woken |  `----------> WAITING ------------'  woken, once there is room again
 *
 * A woken claim holds nothing either: its owner makes its task ready again and tries. One that is
 * woken and will not try soon has to say so (decline), or those behind it wait for nothing.
 *
 * Never above a limit, at any instant; one that is lowered holds for those to come. Pure state:
 * time is monotonic nanoseconds and an argument. Volatile: after a restart whoever has a task joins
 * again, and buckets begin full. A key with a rate stays (200 bytes) until its bucket is full.
 * Threading: one owner.
 */
#ifndef SL_QUEUE_KEY_H
#define SL_QUEUE_KEY_H

#include "queue/key_policy.h"
#include "queue/list.h"

struct sl_key_spec {
    uint64_t scope, hash;      /* Equal hash, equal key. */
    uint32_t limit;            /* Tasks that run at once. 0: any number. */
    enum sl_key_policy policy; /* Of this submit; all but queue need a limit. */
    struct sl_rate rate;       /* Tasks that begin. count 0: any number. */
};

struct sl_keys;

struct sl_keys *sl_keys_create(void);
void sl_keys_destroy(struct sl_keys **keys);

/* SL_EINVAL: count not 1..4, a key twice, no such policy, one that needs a limit, a bad rate. */
SL_MUST_CHECK enum sl_err sl_keys_check(const struct sl_key_spec *specs, uint32_t count);

/* ---- at submit: by the policy, before the join ---------------------------------------------- */

/* The key is full, and its policy refuses this submit. */
bool sl_keys_refuses(const struct sl_keys *k, const struct sl_key_spec *spec);
/* Tasks that are to be cancelled for this submit: at most `max`, returns how many. */
uint32_t sl_keys_victims(const struct sl_keys *k, const struct sl_key_spec *spec,
                         uint32_t *ret_tasks, uint32_t max);
/* The task is being cancelled: it counts for no policy any more, but for limits until it ends. */
void sl_keys_doom(struct sl_keys *k, uint32_t claim);

/* ---- claims --------------------------------------------------------------------------------- */

/*
 * A task, any number, names keys that passed the check. Of a key that is there already, limit and
 * rate are from now on those given here.
 */
uint32_t sl_keys_join(struct sl_keys *k, uint32_t task, const struct sl_key_spec *specs,
                      uint32_t count, uint64_t now_ns);
/* The task ended, however; a running claim is released. The number is free. */
void sl_keys_leave(struct sl_keys *k, uint32_t claim, uint64_t now_ns);

/* An idle claim runs: true; or it waits until it is woken: false. */
SL_MUST_CHECK bool sl_keys_acquire(struct sl_keys *k, uint32_t claim, uint64_t now_ns);
/* A running claim is idle again; what did not begin gets its tokens back, but for what flowed in
 * since. */
void sl_keys_release(struct sl_keys *k, uint32_t claim, uint64_t now_ns, bool has_begun);
/* A woken claim stays idle, and another may have the room. */
void sl_keys_decline(struct sl_keys *k, uint32_t claim, uint64_t now_ns);

/* Take one claim's task that was woken, longest first; SL_NONE: none. To call after all others. */
uint32_t sl_keys_woken(struct sl_keys *k);

/* Wake what waited for tokens; when to call it next, UINT64_MAX: never. */
void sl_keys_tick(struct sl_keys *k, uint64_t now_ns);
uint64_t sl_keys_next_ns(const struct sl_keys *k);

/* ---- looking -------------------------------------------------------------------------------- */

struct sl_key_info {
    uint32_t limit, tasks, running, waiting;
};
/* False: no task names the key. */
bool sl_keys_lookup(const struct sl_keys *k, uint64_t scope, uint64_t hash,
                    struct sl_key_info *ret_info);
uint32_t sl_keys_count(const struct sl_keys *k);

#endif
