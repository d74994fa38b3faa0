/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conformance.h - what every backend of a queue must do (queue/backend.h): tests that know no more
 * than its verbs, run on each of the kinds below. Another backend joins as one more kind, and one
 * more row of CONFORMS.
 */
#ifndef SL_TESTS_QUEUE_CONFORMANCE_H
#define SL_TESTS_QUEUE_CONFORMANCE_H

#include <criterion/criterion.h>

#include "queue/store_backend.h"
#include "tests/queue/stand.h"

struct world;

/* How one kind of backend begins and ends. */
struct kind {
    void (*begin)(struct world *w);
    void (*start)(struct world *w); /* Sets w->backend. */
    void (*die)(struct world *w);   /* Its process is killed; start may follow. */
    void (*end)(struct world *w);   /* After die: all it had is gone. */
    /* A sum over all that is durable: what has changed nothing leaves it. */
    uint64_t (*digest)(struct world *w);
};

struct world {
    const struct kind *kind;
    struct sl_backend *backend;
    struct sl_when now;
    struct sl_queue_name queue; /* "work" of scope 1, there from the beginning. */
    struct sl_buf bytes;        /* Of the last lease or read. */
    /* Of the kinds here. */
    struct sl_stand stand;
    struct sl_sim_storage storage;
    struct sl_store_backend own;
    struct sl_random random;
    char path[64];
};

/* ---- the log, in a directory or in memory --------------------------------------------------- */

extern const struct kind on_disk, in_memory;

/* ---- a test --------------------------------------------------------------------------------- */

void set(struct world *w, struct sl_lane_settings settings);
void world_begin(struct world *w, const struct kind *kind);
void world_end(struct world *w);
void run_on(const struct kind *kind, void (*test)(struct world *w));

#define CONFORMS(name)                                                                             \
    static void name(struct world *w);                                                             \
    Test(on_disk, name)                                                                            \
    {                                                                                              \
        run_on(&on_disk, name);                                                                    \
    }                                                                                              \
    Test(in_memory, name)                                                                          \
    {                                                                                              \
        run_on(&in_memory, name);                                                                  \
    }                                                                                              \
    static void name(struct world *w)

/* ---- verbs, in short ------------------------------------------------------------------------ */

void pass(struct world *w, uint64_t ms);
uint64_t tick(struct world *w);

/* Until it wants no more at once. */
void tick_all(struct world *w);
struct sl_put_result put_item(struct world *w, struct sl_put_item item);

/* add(w, "text", .priority = 3): its id. */
#define add(w, text, ...)                                                                          \
    add_well(w, (struct sl_put_item){.payload = sl_slice_str(text), __VA_ARGS__})

uint64_t add_well(struct world *w, struct sl_put_item item);
uint32_t lease_some(struct world *w, struct sl_lease_ask ask, struct sl_lease *ret_leases);

/* One, for 10 s; of id 0: there is none. */
struct sl_lease lease_by(struct world *w, uint64_t holder);
struct sl_lease lease(struct world *w);

#define expect_lease(w, text)                                                                      \
    do {                                                                                           \
        struct sl_lease got_ = lease(w);                                                           \
        cr_assert(got_.task_id != 0 && sl_slice_is(got_.payload, text), "leased %.*s, not %s",     \
                  SL_SLICE_FMT(got_.payload), text);                                               \
    } while (0)

enum sl_err end_item(struct world *w, struct sl_lease lease, struct sl_end_item item);

/* finish(w, lease, DONE, .bytes = ...): its result. */
#define finish(w, lease, kind_, ...)                                                               \
    end_item(w, lease, (struct sl_end_item){.kind = SL_END_##kind_, __VA_ARGS__})

enum sl_err order(struct world *w, uint64_t task_id, enum sl_order what,
                  const struct sl_order_edit *edit);
bool is_there(struct world *w, uint64_t task_id);
struct sl_task_info info(struct world *w, uint64_t task_id);
bool reads(struct world *w, uint64_t task_id, enum sl_task_bytes which, const char *text);
struct sl_queue_depth depth(struct world *w);
uint64_t digest(struct world *w);

/* What was synced outlasts a process that is killed. */
void restart(struct world *w);

#endif
