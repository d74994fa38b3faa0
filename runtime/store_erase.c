/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was deleted is still in the log, whose segments are kept for a replay, and used again as
 * they are; and in pages of the catalogue that nothing uses yet. An erasure waits for neither:
 *
 *   write on in a new segment --> empty those before that projections hold --> checkpoint: all of
 *   them are released --> remove their files --> overwrite what is unused in the catalogue's file
 *
 * One that fails is begun again after a second.
 */
#include "runtime/store_erase.h"

#include "runtime/log_erase.h"
#include "runtime/report.h"
#include "runtime/store_state.h"

#define GAP_NS    (4 * SL_MILLI_NS)
#define LATER_NS  SL_SECOND_NS
#define PAGES_MAX 2048 /* In a turn: 8 MiB are read. */

uint64_t
sl_store_erase(struct sl_store *store)
{
    sl_store_check(store);
    return ++store->erase.wanted;
}

bool
sl_store_is_erased(const struct sl_store *store, uint64_t ticket)
{
    sl_store_check(store);
    return store->erase.done >= ticket;
}

/* Everything until now is in segments up to the one that was written. The next has no old bytes. */
static enum sl_err
begin(struct sl_store *store)
{
    struct sl_store_erase *e = &store->erase;
    uint32_t count = sl_log_segments(store->log);
    e->segment = sl_log_segment(store->log, count - 1).ordinal;
    e->running = e->wanted;
    e->is_log_done = false;
    e->page = 0;
    sl_log_drop_free(store->log);
    return store->failed = sl_log_rotate(store->log);
}

/* Whether old segments are left; what would have the first of them go is set in motion. */
static bool
is_log_left(struct sl_store *store, uint64_t now_ns)
{
    struct sl_store_erase *e = &store->erase;
    bool is_left = false;
    for (uint32_t i = 0; i < sl_log_segments(store->log); i++) {
        struct sl_log_segment s = sl_log_segment(store->log, i);
        if (s.ordinal > e->segment)
            continue;
        is_left = true;
        uint64_t held = sl_store_held_bytes(store, s.ordinal);
        if (held == 0)
            continue;
        /* One that could not be emptied is tried again, now and then. */
        e->next_ns =
            now_ns + (sl_store_held_has(&store->compact.stuck, s.ordinal) ? LATER_NS : GAP_NS);
        sl_store_compact_segment(store, s.ordinal, held);
        return true;
    }
    if (is_left) {
        e->wants_checkpoint = true;
        e->next_ns = now_ns + LATER_NS / 8;
    }
    return is_left;
}

static enum sl_err
scrub(struct sl_store *store)
{
    struct sl_store_erase *e = &store->erase;
    enum sl_err err = sl_store_commit_catalogue(store, true);
    if (err == SL_OK)
        err = sl_catalogue_scrub(store->catalogue, &e->page, PAGES_MAX);
    if (err == SL_ECORRUPT)
        store->failed = err;
    if (err == SL_OK && e->page == 0) {
        e->done = e->running;
        e->running = 0;
    }
    return err;
}

uint64_t
sl_store_erase_tick(struct sl_store *store, uint64_t now_ns)
{
    struct sl_store_erase *e = &store->erase;
    if (e->done == e->wanted)
        return UINT64_MAX;
    if (now_ns < e->next_ns)
        return e->next_ns - now_ns;
    e->next_ns = now_ns + GAP_NS;
    if (store->is_backed_up || atomic_load(&store->is_catalogue_copied))
        return GAP_NS; /* Files are being copied: they are let be. */
    enum sl_err err = e->running == 0 ? begin(store) : SL_OK;
    if (err == SL_OK && !e->is_log_done && !is_log_left(store, now_ns)) {
        sl_log_drop_free(store->log);
        e->is_log_done = true;
    }
    if (err == SL_OK && e->is_log_done)
        err = scrub(store);
    if (err != SL_OK) {
        sl_report_error("erase-failed", "err=%s action=retry-later", sl_err_name(err));
        e->running = 0;
        e->next_ns = now_ns + LATER_NS;
    }
    return e->done == e->wanted ? UINT64_MAX : SL_MAX(e->next_ns - now_ns, (uint64_t)1);
}
