/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report.h"
#include "runtime/store_state.h"

#define COMMIT_BYTES (4 * SL_MIB)
/* A commit costs an fdatasync here and saves only replay time: it waits for a quiet moment... */
#define COMMIT_IDLE_NS (100 * SL_MILLI_NS)
#define COMMIT_BUSY_NS SL_SECOND_NS /* ...but not for ever. */
#define SETTLE_NS      SL_SECOND_NS
#define SLICE_GAP_NS   SL_MILLI_NS /* Between two slices of a checkpoint. */

/* Take a checkpoint on, or begin one that is due. Returns when to go on, UINT64_MAX: none runs. */
static uint64_t
tick_checkpoint(struct sl_store *store, uint64_t now_ns)
{
    const struct sl_store_checkpoint *c = &store->checkpoint;
    bool is_due = sl_log_bytes(store->log) >= store->checkpoint_at_bytes ||
                  store->compact.wants_checkpoint || store->erase.wants_checkpoint;
    if ((!c->is_running && !is_due) || store->is_backed_up)
        return UINT64_MAX;
    if (c->is_running && now_ns < c->next_ns)
        return c->next_ns - now_ns;
    enum sl_err err = c->is_running ? SL_OK : sl_store_checkpoint_begin(store);
    if (err == SL_OK)
        err = sl_store_checkpoint_step(store);
    store->checkpoint.next_ns = now_ns + SLICE_GAP_NS;
    store->compact.wants_checkpoint = store->erase.wants_checkpoint = false;
    if (err != SL_OK)
        sl_report_error("checkpoint-failed", "err=%s action=retry-later", sl_err_name(err));
    return c->is_running ? SLICE_GAP_NS : UINT64_MAX;
}

static uint64_t
tick_catalogue(struct sl_store *store, uint64_t now_ns, bool is_idle)
{
    uint64_t bytes = sl_catalogue_dirty_bytes(store->catalogue);
    if (bytes == 0) {
        store->dirty_since_ns = 0;
        return UINT64_MAX;
    }
    if (store->dirty_since_ns == 0)
        store->dirty_since_ns = SL_MAX(now_ns, (uint64_t)1);
    uint64_t age = now_ns > store->dirty_since_ns ? now_ns - store->dirty_since_ns : 0;
    uint64_t wait = is_idle ? COMMIT_IDLE_NS : COMMIT_BUSY_NS;
    if (bytes <= COMMIT_BYTES && age < wait)
        return wait - age;
    if (atomic_load(&store->is_catalogue_copied))
        return COMMIT_IDLE_NS;
    enum sl_err err = sl_store_commit_catalogue(store, false);
    if (err != SL_OK)
        sl_report_error("commit-failed", "err=%s action=store-stops", sl_err_name(err));
    return UINT64_MAX;
}

/* The proof that the last sync had returned should not stay in memory for long. */
static uint64_t
tick_note(struct sl_store *store, uint64_t now_ns)
{
    if (sl_log_is_settled(store->log)) {
        store->noted_since_ns = 0;
        return UINT64_MAX;
    }
    if (store->noted_since_ns == 0)
        store->noted_since_ns = SL_MAX(now_ns, (uint64_t)1);
    uint64_t age = now_ns > store->noted_since_ns ? now_ns - store->noted_since_ns : 0;
    if (age < SETTLE_NS)
        return SETTLE_NS - age;
    store->noted_since_ns = 0;
    store->failed = sl_log_settle(store->log);
    if (store->failed != SL_OK)
        sl_report_error("log-failed", "err=%s action=store-stops", sl_err_name(store->failed));
    return UINT64_MAX;
}

uint64_t
sl_store_tick(struct sl_store *store, uint64_t now_ns, bool is_idle)
{
    sl_store_check(store);
    if (store->failed != SL_OK)
        return UINT64_MAX;
    uint64_t wait_ns = tick_checkpoint(store, now_ns);
    if (store->failed == SL_OK && !store->checkpoint.is_running)
        wait_ns = SL_MIN(wait_ns, sl_store_erase_tick(store, now_ns));
    if (store->failed == SL_OK && !store->checkpoint.is_running)
        wait_ns = SL_MIN(wait_ns, sl_store_compact(store, now_ns));
    if (store->failed == SL_OK)
        wait_ns = SL_MIN(wait_ns, tick_catalogue(store, now_ns, is_idle));
    if (store->failed == SL_OK)
        wait_ns = SL_MIN(wait_ns, tick_note(store, now_ns));
    return store->failed == SL_OK ? wait_ns : UINT64_MAX;
}
