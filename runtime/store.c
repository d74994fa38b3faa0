/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transaction being staged is kept as the bytes its log record will have, plus an index over
 * the operations: a hash table whose chains are newest first, so that a rollback only pops.
 *
 * LMDB is committed only up to what the log has durably: so the catalogue can lag behind the log,
 * never lead it, and a power loss cannot leave effects in one part that the others never see.
 */
#include "runtime/store.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/limits.h"
#include "runtime/log.h"
#include "runtime/report.h"
#include "runtime/snapshot.h"
#include "runtime/store_record.h"

#define STORE_MAGIC      0x73746f72u
#define CHECKPOINT_BYTES (64 * SL_MIB)
#define COMMIT_BYTES     (4 * SL_MIB)
#define REPLAY_BYTES     (16 * SL_MIB) /* Fewer commits, and pages that are not written in vain. */
/* A commit costs an fdatasync here and saves only replay time: it waits for a quiet moment... */
#define COMMIT_IDLE_NS (100 * SL_MILLI_NS)
#define COMMIT_BUSY_NS SL_SECOND_NS /* ...but not for ever. */
#define BUCKETS_MIN    64
#define BUCKETS_KEPT   4096
#define NO_OP          UINT32_MAX
#define ROOM_MIN       (32 * SL_MIB) /* For ends of tasks, a segment, the catalogue's pages. */

struct staged {
    size_t offset;  /* In the record. */
    uint64_t hash;  /* Of scope, table and key; events: 0. */
    uint32_t older; /* In the same bucket. */
    bool is_based;  /* ADD: `sum` is the whole value; else it is added to the committed one. */
    int64_t sum;    /* ADD: the effect of this one and all staged before it. */
};

struct sl_txn {
    struct sl_store *store;
    bool is_open;
    bool touches[256]; /* Tables that were staged to, by number. */
    enum sl_err bad;   /* The first operation that cannot be committed... */
    size_t bad_offset; /* ...and where it would have been. */
    struct sl_buf record;
    struct staged *ops;
    uint32_t ops_count, ops_capacity;
    uint32_t *buckets; /* Index of the newest operation. */
    uint32_t buckets_count;
    int64_t counter; /* Little endian: what sl_txn_get shows of a staged counter. */
};

struct sl_store {
    uint32_t magic;
    struct sl_store_options options;
    struct sl_projection projections[SL_PROJECTIONS_MAX];
    uint64_t restored[SL_PROJECTIONS_MAX]; /* Position of the snapshot each started from. */
    struct sl_disk log_disk, snapshots;
    bool is_log_disk_owned;
    struct sl_catalogue *catalogue;
    struct sl_log *log;
    enum sl_err failed; /* Memory and disk may differ: nothing is written any more. */
    uint64_t dirty_since_ns;
    uint64_t checkpoint_at_bytes; /* Of sl_log_bytes. */
    struct sl_txn txn;
};

static void
check(const struct sl_store *store)
{
    sl_assert(store != NULL);
    sl_assert(store->magic == STORE_MAGIC);
}

/* ---- applying ------------------------------------------------------------------------------ */

static enum sl_err
counter_value(struct sl_slice value, int64_t *ret_value)
{
    if (value.size != sizeof(*ret_value))
        return SL_ECORRUPT;
    uint64_t le;
    memcpy(&le, value.data, sizeof(le));
    *ret_value = (int64_t)le64toh(le);
    return SL_OK;
}

/* Counters wrap rather than trap: a delta may come from a damaged or hostile log. */
static int64_t
sum(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static enum sl_err
read_counter(struct sl_store *store, const struct sl_op *op, int64_t *ret_value)
{
    struct sl_slice value;
    enum sl_err err = sl_catalogue_get(store->catalogue, op->scope, op->table, op->key, &value);
    *ret_value = 0;
    if (err == SL_ENOTFOUND)
        return SL_OK;
    return err == SL_OK ? counter_value(value, ret_value) : err;
}

static enum sl_err
apply_row(struct sl_store *store, const struct sl_op *op)
{
    struct sl_catalogue *c = store->catalogue;
    if (op->kind == SL_OP_PUT)
        return sl_catalogue_put(c, op->scope, op->table, op->key, op->value);
    if (op->kind == SL_OP_DEL)
        return sl_catalogue_del(c, op->scope, op->table, op->key);
    int64_t value;
    enum sl_err err = read_counter(store, op, &value);
    if (err != SL_OK)
        return err;
    uint64_t le = htole64((uint64_t)sum(value, op->delta));
    return sl_catalogue_put(c, op->scope, op->table, op->key, sl_slice(&le, sizeof(le)));
}

static struct sl_projection *
find_projection(struct sl_store *store, uint8_t id, uint32_t *ret_index)
{
    for (uint32_t i = 0; i < store->options.projections_count; i++) {
        if (store->projections[i].id == id) {
            *ret_index = i;
            return &store->projections[i];
        }
    }
    return NULL;
}

static enum sl_err
apply_rows(struct sl_store *store, struct sl_slice record, uint64_t position)
{
    struct sl_reader r = sl_reader(record);
    struct sl_op op;
    enum sl_err err = SL_OK;
    while (err == SL_OK && !sl_reader_is_done(&r)) {
        if (!sl_op_decode(&r, &op))
            return SL_ECORRUPT;
        if (op.kind != SL_OP_EVENT)
            err = apply_row(store, &op);
    }
    if (err == SL_OK)
        sl_catalogue_position_set(store->catalogue, position);
    return err;
}

/* `position` 0: at run time, where every projection takes its events. */
static enum sl_err
apply_events(struct sl_store *store, struct sl_slice record, uint64_t position)
{
    struct sl_reader r = sl_reader(record);
    struct sl_op op;
    uint32_t index;
    while (!sl_reader_is_done(&r)) {
        if (!sl_op_decode(&r, &op))
            return SL_ECORRUPT;
        if (op.kind != SL_OP_EVENT)
            continue;
        struct sl_projection *p = find_projection(store, op.table, &index);
        if (p == NULL)
            return SL_EVERSION; /* Written by a program that knew more than this one. */
        if (position == 0 || (p->snapshot != NULL && position > store->restored[index]))
            p->apply(p->self, op.scope, op.value);
    }
    return SL_OK;
}

static enum sl_err
replay(void *arg, uint64_t position, struct sl_slice record)
{
    struct sl_store *store = arg;
    enum sl_err err = SL_OK;
    if (!sl_record_is_valid(record))
        return SL_ECORRUPT;
    if (position > sl_catalogue_position(store->catalogue))
        err = apply_rows(store, record, position);
    /* All replayed is durable; keeping the open transaction small keeps it in memory. */
    if (err == SL_OK && sl_catalogue_dirty_bytes(store->catalogue) > REPLAY_BYTES)
        err = sl_catalogue_commit(store->catalogue, false);
    return err == SL_OK ? apply_events(store, record, position) : err;
}

/* ---- open and close ------------------------------------------------------------------------ */

static enum sl_err
make_directory(const char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return SL_OK;
    return sl_err_from_errno(errno);
}

/* The names made in a directory are only durable once it was synced itself. */
static enum sl_err
sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0;
    enum sl_err err = failed ? sl_err_from_errno(errno) : SL_OK;
    if (fd >= 0)
        close(fd);
    return err;
}

static enum sl_err
open_parts(struct sl_store *store)
{
    const char *directory = store->options.directory;
    char *catalogue = sl_format("%s/catalogue", directory);
    char *log = sl_format("%s/log", directory);
    char *snapshots = sl_format("%s/snapshots", directory);
    struct sl_catalogue_options options = {.path = catalogue,
                                           .map_size_bytes = store->options.map_size_bytes};
    enum sl_err err = make_directory(directory);
    bool is_new = err == SL_OK && access(snapshots, F_OK) != 0;
    if (err == SL_OK) /* First, because it takes the lock. */
        err = sl_catalogue_open(&options, &store->catalogue);
    if (err == SL_OK)
        err = sl_disk_open(snapshots, &store->snapshots);
    if (err == SL_OK && store->options.disk != NULL)
        store->log_disk = *store->options.disk;
    if (err == SL_OK && store->options.disk == NULL) {
        err = sl_disk_open(log, &store->log_disk);
        store->is_log_disk_owned = err == SL_OK;
    }
    if (err == SL_OK && is_new && !store->options.is_sync_off)
        err = sync_directory(catalogue);
    if (err == SL_OK && is_new && !store->options.is_sync_off)
        err = sync_directory(directory);
    sl_free(catalogue);
    sl_free(log);
    sl_free(snapshots);
    return err;
}

static char *
snapshot_name(const struct sl_projection *p)
{
    return sl_format("%s.snapshot", p->name);
}

/* Restore what has a snapshot. A bad one counts as none: the log may still reach back to the start.
 */
static enum sl_err
restore(struct sl_store *store, uint32_t index)
{
    struct sl_projection *p = &store->projections[index];
    struct sl_buf buf = {0};
    struct sl_slice payload;
    uint64_t position = 0;
    if (p->snapshot == NULL)
        return SL_OK;
    char *name = snapshot_name(p);
    enum sl_err err = sl_snapshot_read(&store->snapshots, name, &buf, &position, &payload);
    if (err == SL_OK)
        err = p->restore(p->self, payload);
    if (err == SL_OK)
        store->restored[index] = position;
    if (err == SL_ECORRUPT)
        sl_report_warn("snapshot-damaged", "name=%s action=replay-from-start", name);
    sl_free(name);
    sl_buf_deinit(&buf);
    return err == SL_ENOTFOUND || err == SL_ECORRUPT ? SL_OK : err;
}

/* The oldest position that all parts have. */
static uint64_t
oldest_position(const struct sl_store *store, const uint64_t *projections)
{
    uint64_t position = sl_catalogue_position(store->catalogue);
    for (uint32_t i = 0; i < store->options.projections_count; i++)
        if (store->projections[i].snapshot != NULL)
            position = SL_MIN(position, projections[i]);
    return position;
}

static uint64_t
newest_position(const struct sl_store *store)
{
    uint64_t position = sl_catalogue_position(store->catalogue);
    for (uint32_t i = 0; i < store->options.projections_count; i++)
        position = SL_MAX(position, store->restored[i]);
    return position;
}

static enum sl_err
open_log(struct sl_store *store)
{
    struct sl_log_options options = {.disk = store->log_disk,
                                     .segment_size_bytes = store->options.segment_bytes,
                                     .is_sync_off = store->options.is_sync_off};
    uint64_t after = oldest_position(store, store->restored);
    uint64_t newest = newest_position(store);
    enum sl_err err = sl_log_open(&options, after, replay, store, &store->log);
    if (err == SL_OK && sl_log_last(store->log) < newest) {
        /* Records that some part has and another lacks are gone with the log. */
        if (after < newest)
            return SL_ECORRUPT;
        sl_log_skip_to(store->log, newest);
    }
    return err;
}

enum sl_err
sl_store_open(const struct sl_store_options *options, struct sl_store **ret_store)
{
    struct sl_store *store = sl_zalloc(sizeof(*store));
    sl_assert(options->projections_count <= SL_PROJECTIONS_MAX);
    store->magic = STORE_MAGIC;
    store->options = *options;
    for (uint32_t i = 0; i < options->projections_count; i++)
        store->projections[i] = options->projections[i];
    if (store->options.checkpoint_bytes == 0)
        store->options.checkpoint_bytes = CHECKPOINT_BYTES;
    store->txn.store = store;

    enum sl_err err = open_parts(store);
    for (uint32_t i = 0; err == SL_OK && i < options->projections_count; i++)
        err = restore(store, i);
    if (err == SL_OK)
        err = open_log(store);
    if (err != SL_OK) {
        store->failed = err;
        sl_store_close(&store);
        return err;
    }
    store->checkpoint_at_bytes = store->options.checkpoint_bytes;
    *ret_store = store;
    return SL_OK;
}

/* Commit LMDB, but never ahead of the durable log. */
static enum sl_err
commit_catalogue(struct sl_store *store, bool is_durable)
{
    enum sl_err err = sl_store_sync(store);
    if (err != SL_OK)
        return err;
    store->failed = sl_catalogue_commit(store->catalogue, is_durable);
    store->dirty_since_ns = 0;
    return store->failed;
}

void
sl_store_close(struct sl_store **store_arg)
{
    struct sl_store *store = *store_arg;
    if (store == NULL)
        return;
    check(store);
    sl_assert(!store->txn.is_open);
    if (store->failed == SL_OK) {
        enum sl_err err = commit_catalogue(store, false);
        if (err != SL_OK)
            sl_report_error("store-close", "err=%s action=replay-at-next-start", sl_err_name(err));
    }
    sl_log_close(&store->log);
    sl_catalogue_close(&store->catalogue);
    if (store->is_log_disk_owned)
        sl_disk_close(&store->log_disk);
    sl_disk_close(&store->snapshots);
    sl_buf_deinit(&store->txn.record);
    sl_free(store->txn.ops);
    sl_free(store->txn.buckets);
    store->magic = 0;
    sl_free(store);
    *store_arg = NULL;
}

void
sl_store_abandon(struct sl_store **store)
{
    check(*store);
    (*store)->failed = SL_EIO;
    sl_store_close(store);
}

/* ---- staging ------------------------------------------------------------------------------- */

static void
check_txn(const struct sl_txn *t)
{
    sl_assert(t != NULL);
    sl_assert(t->is_open);
}

struct sl_txn *
sl_store_begin(struct sl_store *store)
{
    check(store);
    struct sl_txn *t = &store->txn;
    sl_assert(!t->is_open);
    sl_assert(t->ops_count == 0 && t->record.size == 0);
    t->is_open = true;
    return t;
}

static uint64_t
hash_key(struct sl_scope scope, uint8_t table, struct sl_slice key)
{
    return sl_hash64(key) ^ ((scope.id << 8 | table) * UINT64_C(0x9e3779b97f4a7c15));
}

static void
link_op(struct sl_txn *t, uint32_t index)
{
    uint32_t *bucket = &t->buckets[t->ops[index].hash & (t->buckets_count - 1)];
    t->ops[index].older = *bucket;
    *bucket = index;
}

static void
resize_buckets(struct sl_txn *t, uint32_t count)
{
    t->buckets = sl_realloc(t->buckets, count * sizeof(t->buckets[0]));
    t->buckets_count = count;
    memset(t->buckets, 0xff, count * sizeof(t->buckets[0])); /* NO_OP */
    for (uint32_t i = 0; i < t->ops_count; i++)
        link_op(t, i);
}

static struct sl_op
op_at(const struct sl_txn *t, size_t offset)
{
    struct sl_reader r = sl_reader(sl_slice(t->record.data + offset, t->record.size - offset));
    struct sl_op op;
    bool is_good = sl_op_decode(&r, &op);
    sl_assert(is_good); /* We wrote it. */
    return op;
}

/* The newest staged operation on a row; NULL: none. */
static const struct staged *
find_staged(const struct sl_txn *t, const struct sl_op *want, struct sl_op *ret_op)
{
    if (t->ops_count == 0)
        return NULL;
    uint64_t hash = hash_key(want->scope, want->table, want->key);
    for (uint32_t i = t->buckets[hash & (t->buckets_count - 1)]; i != NO_OP; i = t->ops[i].older) {
        if (t->ops[i].hash != hash)
            continue;
        struct sl_op op = op_at(t, t->ops[i].offset);
        if (op.kind == SL_OP_EVENT || op.scope.id != want->scope.id || op.table != want->table ||
            !sl_slice_equal(op.key, want->key))
            continue;
        *ret_op = op;
        return &t->ops[i];
    }
    return NULL;
}

static void
refuse(struct sl_txn *t, enum sl_err err)
{
    if (t->bad != SL_OK)
        return;
    t->bad = err;
    t->bad_offset = t->record.size;
}

static void
stage(struct sl_txn *t, const struct sl_op *op)
{
    check_txn(t);
    if (op->kind != SL_OP_EVENT && (op->key.size == 0 || op->key.size > SL_KEY_SIZE_MAX)) {
        refuse(t, SL_EINVAL);
        return;
    }
    if (op->value.size > SL_LIMIT_RECORD_BYTES ||
        t->record.size + op->value.size > SL_LIMIT_RECORD_BYTES) {
        refuse(t, SL_ETOOBIG); /* And do not keep what can never be committed. */
        return;
    }
    t->touches[op->table] = true; /* No table is 0, as an event's is. */
    struct staged staged = {.offset = t->record.size};
    if (op->kind != SL_OP_EVENT)
        staged.hash = hash_key(op->scope, op->table, op->key);
    if (op->kind == SL_OP_ADD) {
        struct sl_op old;
        const struct staged *before = find_staged(t, op, &old);
        int64_t base = 0;
        if (before != NULL && old.kind == SL_OP_ADD) {
            base = before->sum;
            staged.is_based = before->is_based;
        } else if (before != NULL) {
            staged.is_based = true;
            if (old.kind == SL_OP_PUT && counter_value(old.value, &base) != SL_OK) {
                refuse(t, SL_EINVAL); /* Not a counter. */
                return;
            }
        }
        staged.sum = sum(base, op->delta);
    }
    if (t->ops_count == t->ops_capacity) {
        t->ops_capacity = SL_MAX(t->ops_capacity * 2, (uint32_t)BUCKETS_MIN);
        t->ops = sl_realloc(t->ops, t->ops_capacity * sizeof(t->ops[0]));
    }
    sl_op_encode(op, &t->record);
    t->ops[t->ops_count++] = staged;
    if (t->ops_count > t->buckets_count)
        resize_buckets(t, SL_MAX(t->buckets_count * 2, (uint32_t)BUCKETS_MIN));
    else
        link_op(t, t->ops_count - 1);
}

bool
sl_txn_touches(const struct sl_txn *t, uint8_t table)
{
    return t->touches[table];
}

void
sl_txn_put(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key,
           struct sl_slice value)
{
    stage(t, &(struct sl_op){
                 .kind = SL_OP_PUT, .scope = scope, .table = table, .key = key, .value = value});
}

void
sl_txn_del(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key)
{
    stage(t, &(struct sl_op){.kind = SL_OP_DEL, .scope = scope, .table = table, .key = key});
}

void
sl_txn_add(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key,
           int64_t delta)
{
    stage(t, &(struct sl_op){
                 .kind = SL_OP_ADD, .scope = scope, .table = table, .key = key, .delta = delta});
}

void
sl_txn_event(struct sl_txn *t, uint8_t projection, struct sl_scope scope, struct sl_slice event)
{
    uint32_t index;
    check_txn(t);
    sl_assert(find_projection(t->store, projection, &index) != NULL);
    stage(t, &(struct sl_op){
                 .kind = SL_OP_EVENT, .scope = scope, .table = projection, .value = event});
}

bool
sl_txn_is_empty(const struct sl_txn *t)
{
    check_txn(t);
    return t->ops_count == 0 && t->bad == SL_OK;
}

size_t
sl_txn_mark(const struct sl_txn *t)
{
    check_txn(t);
    return t->record.size;
}

void
sl_txn_rollback_to(struct sl_txn *t, size_t mark)
{
    check_txn(t);
    sl_assert(mark <= t->record.size);
    while (t->ops_count > 0 && t->ops[t->ops_count - 1].offset >= mark) {
        const struct staged *op = &t->ops[--t->ops_count];
        t->buckets[op->hash & (t->buckets_count - 1)] = op->older;
    }
    t->record.size = mark;
    if (t->bad != SL_OK && t->bad_offset >= mark)
        t->bad = SL_OK;
}

/* ---- reading ------------------------------------------------------------------------------- */

int64_t
sl_txn_counter(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key)
{
    struct sl_op want = {.scope = scope, .table = table, .key = key}, op;
    int64_t value = 0;
    check_txn(t);
    const struct staged *staged = find_staged(t, &want, &op);
    if (staged != NULL && op.kind == SL_OP_DEL)
        return 0;
    if (staged != NULL && op.kind == SL_OP_PUT)
        return counter_value(op.value, &value) == SL_OK ? value : 0;
    if (staged != NULL && staged->is_based)
        return staged->sum;
    if (read_counter(t->store, &want, &value) != SL_OK)
        value = 0;
    return sum(value, staged == NULL ? 0 : staged->sum);
}

enum sl_err
sl_txn_get(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice key,
           struct sl_slice *ret_value)
{
    struct sl_op want = {.scope = scope, .table = table, .key = key}, op;
    check_txn(t);
    if (find_staged(t, &want, &op) == NULL)
        return sl_catalogue_get(t->store->catalogue, scope, table, key, ret_value);
    if (op.kind == SL_OP_DEL)
        return SL_ENOTFOUND;
    if (op.kind == SL_OP_PUT) {
        *ret_value = op.value;
        return SL_OK;
    }
    t->counter = (int64_t)htole64((uint64_t)sl_txn_counter(t, scope, table, key));
    *ret_value = sl_slice(&t->counter, sizeof(t->counter));
    return SL_OK;
}

void
sl_txn_scan(struct sl_txn *t, struct sl_scope scope, uint8_t table, struct sl_slice prefix,
            struct sl_slice after, bool is_reverse, struct sl_scan *ret_scan)
{
    check_txn(t);
    sl_catalogue_scan(t->store->catalogue, scope, table, prefix, after, is_reverse, ret_scan);
}

/* ---- commit -------------------------------------------------------------------------------- */

static void
end_txn(struct sl_txn **txn)
{
    struct sl_txn *t = *txn;
    sl_txn_rollback_to(t, 0); /* Empties every bucket that was used. */
    memset(t->touches, false, sizeof(t->touches));
    t->bad = SL_OK;
    t->is_open = false;
    if (t->buckets_count > BUCKETS_KEPT) {
        resize_buckets(t, BUCKETS_MIN);
        sl_free(t->ops);
        t->ops = NULL;
        t->ops_capacity = 0;
    }
    if (t->record.capacity > SL_MIB)
        sl_buf_deinit(&t->record);
    *txn = NULL;
}

void
sl_txn_abort(struct sl_txn **txn)
{
    if (*txn == NULL)
        return;
    check_txn(*txn);
    end_txn(txn);
}

/* All reasons for which a commit may be refused, before anything has changed. */
static enum sl_err
check_commit(struct sl_txn *t)
{
    struct sl_store *store = t->store;
    if (store->failed != SL_OK)
        return store->failed;
    if (t->bad != SL_OK)
        return t->bad;
    if (t->record.size > SL_LIMIT_RECORD_BYTES)
        return SL_ETOOBIG;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < t->ops_count; i++) {
        int64_t ignored;
        struct sl_op op = op_at(t, t->ops[i].offset);
        if (op.kind == SL_OP_ADD && !t->ops[i].is_based &&
            read_counter(store, &op, &ignored) != SL_OK)
            return SL_EINVAL; /* Adding to a row that is no counter. */
        if (op.kind == SL_OP_PUT || op.kind == SL_OP_ADD)
            bytes += op.key.size + op.value.size;
    }
    if (sl_catalogue_has_room(store->catalogue, t->ops_count, bytes))
        return SL_OK;
    enum sl_err err = commit_catalogue(store, false);
    if (err != SL_OK)
        return err;
    return sl_catalogue_has_room(store->catalogue, t->ops_count, bytes) ? SL_OK : SL_ENOSPC;
}

enum sl_err
sl_txn_commit(struct sl_txn **txn)
{
    struct sl_txn *t = *txn;
    check_txn(t);
    struct sl_store *store = t->store;
    struct sl_slice record = sl_buf_slice(&t->record);
    enum sl_err err = check_commit(t);
    if (err == SL_OK && t->ops_count > 0) {
        err = apply_rows(store, record, sl_log_last(store->log) + 1);
        if (err != SL_OK)
            store->failed = err; /* Half of it is in the open LMDB transaction. */
        else
            sl_log_append(store->log, record);
        if (err == SL_OK)
            store->failed = err = apply_events(store, record, 0);
    }
    end_txn(txn);
    return err;
}

/* ---- durability ---------------------------------------------------------------------------- */

bool
sl_store_is_low(const struct sl_store *store)
{
    check(store);
    const struct sl_disk *disk = &store->log_disk;
    return disk->room != NULL && disk->room(disk->self) < ROOM_MIN;
}

bool
sl_store_is_dirty(const struct sl_store *store)
{
    check(store);
    return store->failed != SL_OK || sl_log_durable(store->log) < sl_log_last(store->log);
}

enum sl_err
sl_store_sync(struct sl_store *store)
{
    check(store);
    if (store->failed == SL_OK)
        store->failed = sl_log_sync(store->log);
    return store->failed;
}

static enum sl_err
write_snapshot(struct sl_store *store, uint32_t index, uint64_t position)
{
    struct sl_projection *p = &store->projections[index];
    struct sl_buf buf = {0};
    if (p->snapshot == NULL)
        return SL_OK;
    p->snapshot(p->self, &buf);
    char *name = snapshot_name(p);
    enum sl_err err = sl_snapshot_write(&store->snapshots, name, position, sl_buf_slice(&buf));
    sl_free(name);
    sl_buf_deinit(&buf);
    return err;
}

enum sl_err
sl_store_checkpoint(struct sl_store *store)
{
    check(store);
    enum sl_err err = commit_catalogue(store, true);
    uint64_t position = sl_log_last(store->log);
    for (uint32_t i = 0; err == SL_OK && i < store->options.projections_count; i++)
        err = write_snapshot(store, i, position);
    if (err == SL_OK)
        err = sl_log_release(store->log, position);
    /* After a failure (a full disk, say) the log still has all: try again when it has grown. */
    store->checkpoint_at_bytes = sl_log_bytes(store->log) + store->options.checkpoint_bytes;
    return err;
}

uint64_t
sl_store_tick(struct sl_store *store, uint64_t now_ns, bool is_idle)
{
    enum sl_err err = SL_OK;
    check(store);
    if (store->failed != SL_OK)
        return UINT64_MAX;
    if (sl_log_bytes(store->log) >= store->checkpoint_at_bytes) {
        err = sl_store_checkpoint(store);
        if (err != SL_OK)
            sl_report_error("checkpoint-failed", "err=%s action=retry-later", sl_err_name(err));
        return store->failed != SL_OK || err == SL_OK ? UINT64_MAX : COMMIT_BUSY_NS;
    }
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
    err = commit_catalogue(store, false);
    if (err != SL_OK)
        sl_report_error("commit-failed", "err=%s action=store-stops", sl_err_name(err));
    return UINT64_MAX;
}

struct sl_log *
sl_store_log(struct sl_store *store)
{
    check(store);
    return store->log;
}
