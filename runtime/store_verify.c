/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store_verify.h"

#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/store_state.h"

#define PROGRESS_RECORDS 10000

struct walk {
    const struct sl_store_verify *verify;
    struct sl_store_verdict verdict;
    struct sl_store_held held;
    uint64_t after;  /* What a start replays. */
    uint64_t newest; /* What catalogue and snapshots have: the log must reach there. */
    uint64_t records;
};

static void
tell(void *arg, const char *name, uint64_t offset, uint64_t position)
{
    struct walk *w = arg;
    w->verdict.damages++;
    if (w->verify->damaged != NULL)
        w->verify->damaged(w->verify->arg, name, offset, position);
}

static bool
is_held(void *arg, uint32_t segment)
{
    return sl_store_held_has(&((const struct walk *)arg)->held, segment);
}

static enum sl_err
count(void *arg, uint64_t position, struct sl_slice payload, struct sl_log_at at)
{
    struct walk *w = arg;
    (void)position, (void)payload, (void)at;
    if (++w->records % PROGRESS_RECORDS == 0 && w->verify->progress != NULL)
        w->verify->progress(w->verify->arg, w->records);
    return SL_OK;
}

/* One snapshot: a start reads all of them, and replays what is behind the oldest. */
static enum sl_err
walk_snapshot(struct walk *w, const struct sl_disk *disk, const char *name)
{
    struct sl_buf buf = {0};
    struct sl_slice payload = {0};
    uint64_t position = 0;
    size_t size = strlen(name), suffix = strlen(".snapshot");
    if (size < suffix || strcmp(name + size - suffix, ".snapshot") != 0)
        return SL_OK;
    enum sl_err err = sl_snapshot_read(disk, name, &buf, &position, &payload);
    struct sl_reader r = sl_reader(payload);
    if (err == SL_OK)
        err = sl_store_held_decode(&r, &w->held);
    if (err == SL_OK) {
        w->verdict.snapshots++;
        w->verdict.snapshots_bytes += payload.size;
        w->after = SL_MIN(w->after, position);
        w->newest = SL_MAX(w->newest, position);
    } else if (err == SL_ENOTFOUND) {
        w->after = 0;
        err = SL_OK;
    } else if (err == SL_ECORRUPT) {
        tell(w, name, 0, 0);
        err = SL_OK;
    }
    sl_buf_deinit(&buf);
    return err;
}

static enum sl_err
walk_snapshots(struct walk *w, const char *path)
{
    struct sl_disk disk;
    struct sl_buf names = {0};
    enum sl_err err = sl_disk_open(path, &disk);
    if (err != SL_OK)
        return err;
    err = disk.list(disk.self, &names);
    char *text = err == SL_OK ? sl_strndup(names.data, names.size) : NULL, *save = NULL;
    for (char *name = text == NULL ? NULL : strtok_r(text, "\n", &save);
         err == SL_OK && name != NULL; name = strtok_r(NULL, "\n", &save))
        err = walk_snapshot(w, &disk, name);
    sl_free(text);
    sl_buf_deinit(&names);
    sl_disk_close(&disk);
    return err;
}

static enum sl_err
walk_log(struct walk *w, const char *path)
{
    struct sl_log_verify v = {
        .replay = {.after = w->after, .arg = w, .record = count, .is_held = is_held},
        .damaged = tell};
    enum sl_err err = sl_disk_open(path, &v.disk);
    if (err != SL_OK)
        return err;
    err = sl_log_verify(&v, &w->verdict.log);
    if (err == SL_OK && w->verdict.log.damages == 0 && w->verdict.log.last < w->newest)
        tell(w, "missing", 0, w->verdict.log.last + 1);
    sl_disk_close(&v.disk);
    return err;
}

enum sl_err
sl_store_verify(const struct sl_store_verify *verify, struct sl_store_verdict *ret_verdict)
{
    struct walk w = {.verify = verify};
    struct sl_catalogue *catalogue = NULL;
    char *path = sl_format("%s/catalogue", verify->directory);
    char *snapshots = sl_format("%s/snapshots", verify->directory);
    char *log = sl_format("%s/log", verify->directory);
    bool is_there = access(path, F_OK) == 0 && access(snapshots, F_OK) == 0 &&
                    access(log, F_OK) == 0; /* Nothing is made by looking. */
    struct sl_catalogue_options options = {.path = path};
    enum sl_err err = is_there ? sl_catalogue_open(&options, &catalogue) : SL_ENOTFOUND;
    if (err == SL_OK) { /* Its lock keeps others out until the end. */
        w.after = w.newest = w.verdict.catalogue_position = sl_catalogue_position(catalogue);
        err = walk_snapshots(&w, snapshots);
    }
    if (err == SL_OK)
        err = walk_log(&w, log);
    sl_catalogue_close(&catalogue);
    sl_store_held_deinit(&w.held);
    sl_free(path);
    sl_free(snapshots);
    sl_free(log);
    *ret_verdict = w.verdict;
    return err;
}
