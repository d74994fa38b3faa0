/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint is the state at one position: the catalogue, committed for good, and a snapshot of
 * each projection. Small projections are written at once; one that has millions of entries comes in
 * slices while the store goes on, and gives the state that it had when the checkpoint began. The
 * log is released once all of it is on disk. One that fails, or is cut off by a crash, leaves the
 * former snapshots and the log behind them.
 */
#include "runtime/alloc.h"
#include "runtime/report.h"
#include "runtime/snapshot.h"
#include "runtime/store_state.h"

#define SLICE_BYTES ((size_t)256 << 10) /* Of one projection, between two batches. */

static char *
snapshot_name(const struct sl_projection *p)
{
    return sl_format("%s.snapshot", p->name);
}

enum sl_err
sl_store_restore(struct sl_store *store, uint32_t index)
{
    struct sl_projection *p = &store->projections[index];
    struct sl_buf buf = {0};
    struct sl_slice payload = {0};
    uint64_t position = 0;
    if (!sl_projection_is_kept(p))
        return SL_OK;
    char *name = snapshot_name(p);
    enum sl_err err = sl_snapshot_read(&store->snapshots, name, &buf, &position, &payload);
    struct sl_reader r = sl_reader(payload);
    if (err == SL_OK)
        err = sl_store_held_decode(&r, &store->held);
    if (err == SL_OK)
        err = p->restore(p->self, sl_slice(r.at, (size_t)(r.end - r.at)));
    if (err == SL_OK) {
        store->restored[index] = position;
        store->checkpoint.bytes_before += payload.size;
    }
    if (err == SL_ECORRUPT)
        sl_report_warn("snapshot-damaged", "name=%s action=replay-from-start", name);
    sl_free(name);
    sl_buf_deinit(&buf);
    return err == SL_ENOTFOUND || err == SL_ECORRUPT ? SL_OK : err;
}

/* ---- steps --------------------------------------------------------------------------------- */

static void
clear(struct sl_store_checkpoint *c)
{
    sl_snapshot_cancel(&c->writer);
    sl_store_held_deinit(&c->held);
    sl_buf_deinit(&c->slice);
    c->is_running = false;
}

void
sl_store_checkpoint_cancel(struct sl_store *store)
{
    clear(&store->checkpoint);
}

/* The next one is due when the log has grown by what a start may replay at most. */
static void
set_due(struct sl_store *store, uint64_t from_bytes, uint64_t snapshots_bytes)
{
    store->checkpoint_at_bytes =
        from_bytes + SL_MAX(store->options.checkpoint_bytes, snapshots_bytes / 2);
}

static enum sl_err
give_up(struct sl_store *store, enum sl_err err)
{
    clear(&store->checkpoint);
    /* After a failure (a full disk, say) the log still has all: try again when it has grown. */
    set_due(store, sl_log_bytes(store->log), 0);
    return err;
}

static enum sl_err
open_snapshot(struct sl_store *store, const struct sl_projection *p)
{
    struct sl_store_checkpoint *c = &store->checkpoint;
    struct sl_buf head = {0};
    char *name = snapshot_name(p);
    enum sl_err err = sl_snapshot_create(&store->snapshots, name, c->position, &c->writer);
    sl_store_held_encode(&c->held, &head);
    if (err == SL_OK)
        err = sl_snapshot_add(c->writer, sl_buf_slice(&head));
    c->bytes += head.size;
    sl_buf_deinit(&head);
    sl_free(name);
    return err;
}

/* Write what the projection gives next; at its end the file gets its name. */
static enum sl_err
write_slice(struct sl_store *store, const struct sl_projection *p, bool *ret_is_done)
{
    struct sl_store_checkpoint *c = &store->checkpoint;
    struct sl_buf *buf = &c->slice;
    bool is_done = true;
    sl_buf_clear(buf);
    enum sl_err err = c->writer == NULL ? open_snapshot(store, p) : SL_OK;
    if (err == SL_OK && p->snapshot_begin != NULL)
        is_done = !p->snapshot_some(p->self, buf, SLICE_BYTES);
    else if (err == SL_OK)
        p->snapshot(p->self, buf);
    c->bytes += buf->size;
    if (err == SL_OK)
        err = sl_snapshot_add(c->writer, sl_buf_slice(buf));
    if (err == SL_OK && is_done)
        err = sl_snapshot_finish(&c->writer);
    *ret_is_done = is_done;
    return err;
}

enum sl_err
sl_store_checkpoint_begin(struct sl_store *store)
{
    struct sl_store_checkpoint *c = &store->checkpoint;
    enum sl_err err = sl_store_commit_catalogue(store, true);
    clear(c);
    if (err != SL_OK)
        return give_up(store, err);
    c->is_running = true;
    c->position = sl_log_last(store->log);
    c->log_bytes = sl_log_bytes(store->log);
    c->bytes = c->index = 0;
    sl_store_held_now(store, &c->held);
    bool is_done;
    for (uint32_t i = 0; err == SL_OK && i < store->options.projections_count; i++) {
        const struct sl_projection *p = &store->projections[i];
        if (p->snapshot_begin != NULL)
            p->snapshot_begin(p->self);
        else if (p->snapshot != NULL)
            err = write_slice(store, p, &is_done);
    }
    return err == SL_OK ? SL_OK : give_up(store, err);
}

/* All of it is on disk: what came before is not needed. */
static void
finish(struct sl_store *store)
{
    struct sl_store_checkpoint *c = &store->checkpoint;
    sl_store_held_deinit(&store->held);
    store->held = c->held;
    c->held = (struct sl_store_held){0};
    sl_log_release(store->log, c->position, sl_store_is_held, store);
    c->bytes_before = c->bytes;
    set_due(store, c->log_bytes, c->bytes);
    clear(c);
}

enum sl_err
sl_store_checkpoint_step(struct sl_store *store)
{
    struct sl_store_checkpoint *c = &store->checkpoint;
    while (c->index < store->options.projections_count &&
           store->projections[c->index].snapshot_begin == NULL)
        c->index++;
    bool is_done = false;
    if (c->index < store->options.projections_count) {
        enum sl_err err = write_slice(store, &store->projections[c->index], &is_done);
        if (err != SL_OK)
            return give_up(store, err);
        c->index += is_done ? 1 : 0;
        return SL_OK;
    }
    finish(store);
    return SL_OK;
}

enum sl_err
sl_store_checkpoint(struct sl_store *store)
{
    sl_store_check(store);
    if (store->is_backed_up)
        return SL_EBUSY;
    enum sl_err err = sl_store_checkpoint_begin(store);
    while (err == SL_OK && store->checkpoint.is_running)
        err = sl_store_checkpoint_step(store);
    return err;
}

void
sl_store_checkpoint_plan(struct sl_store *store)
{
    set_due(store, 0, store->checkpoint.bytes_before);
}
