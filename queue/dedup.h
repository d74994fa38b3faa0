/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dedup.h - which task a submitted key stands for: idempotency keys of scopes.
 *
 *   until_start  one task waits at a time       held until it is first leased, or ends
 *   until_done   one task at a time             held until it ends
 *   ttl          one task in window_ms          held so long, whatever becomes of it
 *   throttle     the first in window_ms wins    held so long; a task that ends unstarted frees it
 *   debounce     the last in window_ms wins     held until it starts: a newer submit replaces the
 *                                               payload and pushes the time, up to max_ms in all
 *
 * While a key is held, its mode and times are those it was taken with. Times are wall milliseconds:
 * a key whose time is t is held before t, and free from t on, to the millisecond, even if it was
 * not swept yet. A key takes at most 64 bytes.
 *
 * A key has a slot, a number that its task keeps and names at its start and end; slots change with
 * a restore. Pure state; threading: one owner.
 */
#ifndef SL_QUEUE_DEDUP_H
#define SL_QUEUE_DEDUP_H

#include "runtime/buf.h"

enum sl_dedup_mode {
    SL_DEDUP_NONE, /* Of no key. */
    SL_DEDUP_UNTIL_START,
    SL_DEDUP_UNTIL_DONE,
    SL_DEDUP_TTL,
    SL_DEDUP_THROTTLE,
    SL_DEDUP_DEBOUNCE,
    SL_DEDUP_MODE_COUNT
};

struct sl_dedup_key {
    uint64_t hash[2]; /* 128 bits of a hash that nobody can collide. */
    uint64_t scope;   /* < 2^56 */
};

struct sl_dedup_want {
    struct sl_dedup_key key;
    enum sl_dedup_mode mode;
    uint64_t window_ms; /* ttl, throttle, debounce: >= 1. */
    uint64_t max_ms;    /* debounce: since the first submit. 0: no limit. */
    uint64_t now_ms;
};

struct sl_dedup_answer {
    enum { SL_DEDUP_NEW, SL_DEDUP_EXISTING, SL_DEDUP_REPLACE } kind;
    uint32_t slot;          /* Of the key that is held; SL_NONE: new. */
    uint64_t task;          /* That has it, ended or not; 0: new. */
    uint64_t not_before_ms; /* debounce: when the task, new or replaced, is due. Otherwise 0. */
    uint64_t until_ms;      /* New: what to put. */
};

/* A key that is held. */
struct sl_dedup_entry {
    struct sl_dedup_key key;
    enum sl_dedup_mode mode;
    uint64_t task; /* Id, never 0. */
    /* ttl, throttle: when it is free; debounce: the last time it is pushed to, UINT64_MAX none;
     * otherwise 0. */
    uint64_t until_ms;
};

struct sl_dedup;

/* At most keys_max keys (< 2^31); memory grows with those held at once, and stays. */
struct sl_dedup *sl_dedup_create(uint32_t keys_max);
void sl_dedup_destroy(struct sl_dedup **dedup);

/* What a submit meets; changes nothing. SL_EINVAL: scope, mode or a window that is none. */
SL_MUST_CHECK enum sl_err sl_dedup_look(const struct sl_dedup *d, const struct sl_dedup_want *want,
                                        struct sl_dedup_answer *ret_answer);

/* What it would meet if nobody had the key: the answer of a key that the caller knows to be free.
 */
struct sl_dedup_answer sl_dedup_fresh(const struct sl_dedup_want *want);
/* Whether sl_dedup_put takes it, but for SL_EFULL. */
bool sl_dedup_entry_is_valid(const struct sl_dedup_entry *entry);

/*
 * The new task of an answer takes the key, from whoever had it. SL_EFULL: there are keys_max.
 * SL_EINVAL: task 0, scope or mode that are none, or a time in a mode without one.
 */
SL_MUST_CHECK enum sl_err sl_dedup_put(struct sl_dedup *d, const struct sl_dedup_entry *entry,
                                       uint32_t *ret_slot);

/*
 * A task started, or ended. A slot that another task has by now, or none, is let alone. True: the
 * key is free, and the slot is no longer the task's.
 */
bool sl_dedup_start(struct sl_dedup *d, uint32_t slot, uint64_t task);
bool sl_dedup_end(struct sl_dedup *d, uint32_t slot, uint64_t task, bool was_started);

/* Free a key by force, if its time had come by `before_ms`; UINT64_MAX: whatever it is. False:
 * nobody has it, or not so. */
bool sl_dedup_drop(struct sl_dedup *d, const struct sl_dedup_key *key, uint64_t before_ms);

/* Keys whose time has come, which stay: slots, at most `max`; returns how many. */
uint32_t sl_dedup_due(struct sl_dedup *d, uint64_t now_ms, uint32_t *ret_slots, uint32_t max);

/* Sweep keys whose time has come, at most `max`; returns how many. When to sweep next: as wheel.h.
 */
uint32_t sl_dedup_sweep(struct sl_dedup *d, uint64_t now_ms, uint32_t max);
uint64_t sl_dedup_next_ms(const struct sl_dedup *d);

/* Keys by slot, for walking: [0, slots). False: the slot is free. */
uint32_t sl_dedup_slots(const struct sl_dedup *d);
bool sl_dedup_at(const struct sl_dedup *d, uint32_t slot, struct sl_dedup_entry *ret_entry);

uint32_t sl_dedup_count(const struct sl_dedup *d);
uint64_t sl_dedup_bytes(const struct sl_dedup *d); /* Of memory. */

/*
 * Append all keys; or take those of exactly these bytes for all that are there. SL_EVERSION,
 * SL_ECORRUPT, SL_EFULL: nothing has changed. What is restored writes the same bytes.
 */
void sl_dedup_snapshot(const struct sl_dedup *d, struct sl_buf *out);
SL_MUST_CHECK enum sl_err sl_dedup_restore(struct sl_dedup *d, struct sl_slice bytes);

#endif
