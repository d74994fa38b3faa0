/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads that stay long pin segments whose other records are dead. When segments that are held
 * come to more than twice what is alive in them, and two segments, the sparsest one is emptied: its
 * records are shown to the projections again, which say in new events where the living go. These
 * are transactions as any other, 256 KiB at a time; the next checkpoint then releases the segment.
 * A crash on the way leaves what was moved moved, and the rest where it is.
 *
 * What a payload costs in the log beside its own bytes (heads of record and event) is learnt from
 * the segments that were rewritten: else small payloads would be moved round and round.
 */
#include "runtime/report.h"
#include "runtime/store_state.h"

#define LOOK_NS       (100 * SL_MILLI_NS)
#define LOOK_LATER_NS SL_SECOND_NS
#define GAP_NS        (4 * SL_MILLI_NS)
#define MOVE_BYTES    (256 * SL_KIB) /* Of new events in a turn... */
#define SCAN_BYTES    (1 * SL_MIB)   /* ...or of records that were looked at. */
#define OVERHEAD_ONE  256u           /* Overheads are in 256ths. */
#define OVERHEAD_MAX  (64u * OVERHEAD_ONE)

/* What the segments behind the one that is written come to. */
struct weights {
    uint64_t held_bytes, held_files, dead_files;
    uint32_t sparsest; /* 0: none. */
    uint64_t sparsest_held, sparsest_size;
};

static void
weigh(const struct sl_store *store, struct weights *w)
{
    *w = (struct weights){0};
    for (uint32_t i = 0; i + 1 < sl_log_segments(store->log); i++) {
        struct sl_log_segment s = sl_log_segment(store->log, i);
        uint64_t held = sl_store_held_bytes(store, s.ordinal);
        if (held == 0) {
            w->dead_files += s.size_bytes;
            continue;
        }
        w->held_bytes += held;
        w->held_files += s.size_bytes;
        if (sl_store_held_has(&store->compact.stuck, s.ordinal))
            continue;
        /* held / size < sparsest_held / sparsest_size, without a division. */
        if (w->sparsest == 0 || (double)held * (double)w->sparsest_size <
                                    (double)w->sparsest_held * (double)s.size_bytes) {
            w->sparsest = s.ordinal;
            w->sparsest_held = held;
            w->sparsest_size = s.size_bytes;
        }
    }
}

/* Find out whether a segment should be emptied, or a checkpoint would release enough. */
static void
look(struct sl_store *store, uint64_t now_ns)
{
    struct sl_store_compact *c = &store->compact;
    struct weights w;
    weigh(store, &w);
    uint64_t alive = w.held_bytes * SL_MAX(c->overhead, OVERHEAD_ONE) / OVERHEAD_ONE;
    uint64_t limit = 2 * alive + 2 * sl_log_segment_size(store->log);
    c->next_ns = now_ns + LOOK_NS;
    c->wants_checkpoint = false;
    if (w.held_files + w.dead_files <= limit)
        return;
    if (w.held_files <= limit || w.dead_files > w.held_files / 4) {
        c->wants_checkpoint = true;
        c->next_ns = now_ns + LOOK_LATER_NS;
        return;
    }
    if (w.sparsest == 0)
        return;
    c->cursor = (struct sl_log_cursor){.segment = w.sparsest};
    c->held_before = w.sparsest_held;
    c->moved_bytes = 0;
}

/* Have the projections move what they hold of a record. */
static enum sl_err
move_record(struct sl_store *store, struct sl_txn *t, struct sl_slice record, struct sl_log_at at)
{
    struct sl_reader r = sl_reader(record);
    struct sl_buf event = {0};
    struct sl_op op;
    uint32_t index;
    while (!sl_reader_is_done(&r)) {
        if (!sl_op_decode(&r, &op))
            break;
        if (op.kind != SL_OP_EVENT)
            continue;
        const struct sl_projection *p = sl_store_projection(store, op.table, &index);
        if (p == NULL || p->relocate == NULL)
            continue;
        struct sl_log_at event_at = {at.segment,
                                     at.offset + (uint32_t)(op.value.data - record.data)};
        sl_buf_clear(&event);
        p->relocate(p->self, op.scope, op.value, event_at, &event);
        if (event.size > 0)
            sl_txn_event(t, p->id, op.scope, sl_buf_slice(&event));
    }
    sl_buf_deinit(&event);
    return r.is_bad ? SL_ECORRUPT : SL_OK;
}

/* The segment was gone through. */
static void
end_segment(struct sl_store *store, enum sl_err err)
{
    struct sl_store_compact *c = &store->compact;
    uint64_t left = sl_store_held_bytes(store, c->cursor.segment);
    if (left > 0) { /* It is not tried again: it would not end otherwise. */
        sl_report_error("segment-not-emptied", "segment=%u held=%llu offset=%u err=%s",
                        c->cursor.segment, (unsigned long long)left, c->cursor.offset,
                        sl_err_name(err));
        sl_store_held_add(&c->stuck, c->cursor.segment);
    } else if (c->held_before > 0) {
        uint64_t overhead = c->moved_bytes * OVERHEAD_ONE / c->held_before;
        c->overhead = (uint32_t)SL_MIN(overhead, (uint64_t)OVERHEAD_MAX);
    }
    c->cursor = (struct sl_log_cursor){0};
}

/* One turn: some records of the segment, in one transaction. */
static void
move_some(struct sl_store *store)
{
    struct sl_store_compact *c = &store->compact;
    struct sl_txn *t = sl_store_begin(store);
    struct sl_slice record;
    struct sl_log_at at;
    enum sl_err err = SL_OK;
    uint32_t from = c->cursor.offset;
    while (err == SL_OK && sl_txn_mark(t) < MOVE_BYTES && c->cursor.offset - from < SCAN_BYTES) {
        err = sl_log_next(store->log, &c->cursor, &record, &at);
        if (err == SL_OK)
            err = move_record(store, t, record, at);
    }
    uint64_t bytes = sl_txn_mark(t);
    enum sl_err committed = sl_txn_commit(&t);
    if (committed != SL_OK) {
        sl_report_error("compaction-failed", "err=%s action=retry-later", sl_err_name(committed));
        c->cursor = (struct sl_log_cursor){0};
        return;
    }
    c->moved_bytes += bytes;
    if (err != SL_OK || sl_store_held_bytes(store, c->cursor.segment) == 0)
        end_segment(store, err);
}

void
sl_store_compact_segment(struct sl_store *store, uint32_t segment, uint64_t held)
{
    struct sl_store_compact *c = &store->compact;
    if (c->cursor.segment != 0)
        return;
    c->cursor = (struct sl_log_cursor){.segment = segment};
    c->held_before = held;
    c->moved_bytes = 0;
    c->next_ns = 0;
}

uint64_t
sl_store_compact(struct sl_store *store, uint64_t now_ns)
{
    struct sl_store_compact *c = &store->compact;
    if (!c->is_on || now_ns < c->next_ns)
        return !c->is_on || c->cursor.segment == 0 ? UINT64_MAX : c->next_ns - now_ns;
    if (c->cursor.segment == 0)
        look(store, now_ns);
    if (c->cursor.segment == 0)
        return UINT64_MAX;
    if (sl_store_is_low(store)) { /* Moving takes room before it makes some. */
        c->next_ns = now_ns + LOOK_LATER_NS;
        return LOOK_LATER_NS;
    }
    move_some(store);
    c->next_ns = now_ns + GAP_NS;
    return GAP_NS;
}
