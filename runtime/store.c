/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LMDB is committed only up to what the log has durably: so the catalogue can lag behind the log,
 * never lead it, and a power loss cannot leave effects in one part that the others never see.
 */
#include "runtime/store_state.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/report.h"

#define CHECKPOINT_BYTES (64 * SL_MIB)
#define ROOM_MIN         (32 * SL_MIB) /* For ends of tasks, a segment, the catalogue's pages. */

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

/* Nothing of it is in a directory. */
static enum sl_err
open_memory(struct sl_store *store)
{
    struct sl_catalogue_options options = {.memory = store->options.memory};
    sl_assert(store->options.disk != NULL && store->options.snapshots != NULL);
    store->log_disk = *store->options.disk;
    store->snapshots = *store->options.snapshots;
    return sl_catalogue_open(&options, &store->catalogue);
}

static enum sl_err
open_directory(struct sl_store *store)
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

/* The oldest position that all parts have. */
static uint64_t
oldest_position(const struct sl_store *store, const uint64_t *projections)
{
    uint64_t position = sl_catalogue_position(store->catalogue);
    for (uint32_t i = 0; i < store->options.projections_count; i++)
        if (sl_projection_is_kept(&store->projections[i]))
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
    struct sl_log_replay replay = {.after = oldest_position(store, store->restored),
                                   .arg = store,
                                   .record = sl_store_replay,
                                   .is_held = sl_store_is_held};
    uint64_t newest = newest_position(store);
    enum sl_err err = sl_log_open(&options, &replay, &store->log);
    if (err == SL_OK)
        err = sl_store_check_held(store);
    if (err != SL_OK || sl_log_last(store->log) >= newest)
        return err;
    /* Records that some part has and another lacks are gone with the log. */
    sl_report_error("log-damaged", "missing=%llu..%llu",
                    (unsigned long long)sl_log_last(store->log) + 1, (unsigned long long)newest);
    return SL_ECORRUPT;
}

enum sl_err
sl_store_open(const struct sl_store_options *options, struct sl_store **ret_store)
{
    struct sl_store *store = sl_zalloc(sizeof(*store));
    sl_assert(options->projections_count <= SL_PROJECTIONS_MAX);
    store->magic = SL_STORE_MAGIC;
    store->options = *options;
    for (uint32_t i = 0; i < options->projections_count; i++)
        store->projections[i] = options->projections[i];
    if (store->options.checkpoint_bytes == 0)
        store->options.checkpoint_bytes = CHECKPOINT_BYTES;
    store->txn.store = store;

    enum sl_err err = options->memory == NULL ? open_directory(store) : open_memory(store);
    for (uint32_t i = 0; err == SL_OK && i < options->projections_count; i++)
        err = sl_store_restore(store, i);
    if (err == SL_OK)
        err = open_log(store);
    if (err != SL_OK) {
        store->failed = err;
        sl_store_close(&store);
        return err;
    }
    sl_store_checkpoint_plan(store);
    for (uint32_t i = 0; i < options->projections_count; i++)
        store->compact.is_on = store->compact.is_on || options->projections[i].held != NULL;
    *ret_store = store;
    return SL_OK;
}

enum sl_err
sl_store_commit_catalogue(struct sl_store *store, bool is_durable)
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
    sl_store_check(store);
    sl_assert(!store->txn.is_open);
    sl_assert(!store->is_backed_up);
    if (store->failed == SL_OK) {
        enum sl_err err = sl_store_commit_catalogue(store, false);
        if (err != SL_OK)
            sl_report_error("store-close", "err=%s action=replay-at-next-start", sl_err_name(err));
    }
    sl_store_checkpoint_cancel(store);
    sl_log_close(&store->log);
    sl_catalogue_close(&store->catalogue);
    if (store->is_log_disk_owned)
        sl_disk_close(&store->log_disk);
    if (store->options.memory == NULL)
        sl_disk_close(&store->snapshots);
    sl_txn_ops_deinit(&store->txn.ops);
    sl_store_held_deinit(&store->held);
    sl_store_held_deinit(&store->compact.stuck);
    store->magic = 0;
    sl_free(store);
    *store_arg = NULL;
}

void
sl_store_abandon(struct sl_store **store)
{
    sl_store_check(*store);
    (*store)->failed = SL_EIO;
    sl_store_close(store);
}

/* ---- durability ---------------------------------------------------------------------------- */

void
sl_store_watch(struct sl_store *store, uint8_t table, void (*touched)(void *arg), void *arg)
{
    sl_store_check(store);
    uint32_t at = SL_WATCHES_MAX;
    for (uint32_t i = 0; i < SL_WATCHES_MAX; i++) {
        bool is_free = store->touched[i] == NULL;
        if (!is_free && store->touched_table[i] == table) {
            at = i;
            break;
        }
        if (is_free && at == SL_WATCHES_MAX)
            at = i;
    }
    sl_assert(at < SL_WATCHES_MAX);
    store->touched[at] = touched;
    store->touched_arg[at] = arg;
    store->touched_table[at] = table;
}

bool
sl_store_is_low(const struct sl_store *store)
{
    sl_store_check(store);
    const struct sl_disk *disk = &store->log_disk;
    return sl_log_is_low(store->log) || (disk->room != NULL && disk->room(disk->self) < ROOM_MIN);
}

bool
sl_store_is_dirty(const struct sl_store *store)
{
    sl_store_check(store);
    return store->failed != SL_OK || sl_log_durable(store->log) < sl_log_last(store->log);
}

enum sl_err
sl_store_sync(struct sl_store *store)
{
    sl_store_check(store);
    if (store->failed == SL_OK)
        store->failed = sl_log_sync(store->log);
    return store->failed;
}

enum sl_err
sl_store_read(struct sl_store *store, struct sl_log_at at, size_t size, struct sl_slice *ret_bytes)
{
    sl_store_check(store);
    return sl_log_read(store->log, at, size, ret_bytes);
}

bool
sl_store_sync_begin(struct sl_store *store)
{
    sl_store_check(store);
    return store->failed == SL_OK && sl_log_sync_begin(store->log);
}

enum sl_err
sl_store_sync_end(struct sl_store *store)
{
    sl_store_check(store);
    if (store->failed == SL_OK)
        store->failed = sl_log_sync_end(store->log);
    return store->failed;
}

enum sl_err
sl_store_write(struct sl_store *store)
{
    sl_store_check(store);
    if (store->failed == SL_OK)
        store->failed = sl_log_write(store->log);
    return store->failed;
}

struct sl_log *
sl_store_log(struct sl_store *store)
{
    sl_store_check(store);
    return store->log;
}
