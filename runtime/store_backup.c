/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/log_copy.h"
#include "runtime/store_state.h"

struct sl_store_backup {
    struct sl_store *store;
    char *path, *part;
    struct sl_log_copy *log;
    enum sl_err err;
};

static enum sl_err
sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum sl_err err = fd < 0 || fsync(fd) != 0 ? sl_err_from_errno(errno) : SL_OK;
    if (fd >= 0)
        close(fd);
    return err;
}

/* Remove a directory of the copy and its files: there is nothing deeper. */
static void
remove_flat(const char *part, const char *name)
{
    struct sl_disk disk;
    struct sl_buf names = {0};
    char *path = sl_format("%s/%s", part, name), *save = NULL;
    if (access(path, F_OK) == 0 && sl_disk_open(path, &disk) == SL_OK) {
        char *text = disk.list(disk.self, &names) == SL_OK ? sl_strndup(names.data, names.size)
                                                           : sl_strdup("");
        for (char *f = strtok_r(text, "\n", &save); f != NULL; f = strtok_r(NULL, "\n", &save)) {
            enum sl_err ignored = disk.remove(disk.self, f);
            (void)ignored;
        }
        sl_free(text);
        sl_disk_close(&disk);
        (void)rmdir(path);
    }
    sl_buf_deinit(&names);
    sl_free(path);
}

static void
remove_part(const struct sl_store_backup *b)
{
    remove_flat(b->part, "log");
    remove_flat(b->part, "snapshots");
    remove_flat(b->part, "catalogue");
    (void)rmdir(b->part);
}

/* ---- what runs beside the owner ------------------------------------------------------------ */

static enum sl_err
copy_catalogue(const struct sl_store_backup *b)
{
    char *path = sl_format("%s/catalogue", b->part);
    enum sl_err err = mkdir(path, 0700) == 0 ? SL_OK : sl_err_from_errno(errno);
    if (err == SL_OK)
        err = sl_catalogue_copy(b->store->catalogue, path);
    if (err == SL_OK)
        err = sync_path(path);
    sl_free(path);
    return err;
}

static enum sl_err
copy_log(const struct sl_store_backup *b)
{
    struct sl_disk target;
    char *path = sl_format("%s/log", b->part);
    enum sl_err err = sl_disk_open(path, &target);
    if (err == SL_OK) {
        err = sl_log_copy_run(b->log, &target);
        sl_disk_close(&target);
    }
    if (err == SL_OK)
        err = sync_path(path);
    sl_free(path);
    return err;
}

static enum sl_err
copy_snapshot(const struct sl_disk *disk, const struct sl_disk *target, const char *name)
{
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t length = strlen(name), suffix = strlen(".snapshot");
    if (length < suffix || strcmp(name + length - suffix, ".snapshot") != 0)
        return SL_OK; /* One that was not finished. */
    enum sl_err err = disk->open(disk->self, name, &file);
    if (err == SL_OK)
        err = disk->size(file, &size);
    if (err == SL_OK)
        err = sl_file_copy(disk, file, size, target, name, size);
    if (file != NULL)
        disk->close(&file);
    return err;
}

static enum sl_err
copy_snapshots(const struct sl_store_backup *b)
{
    const struct sl_disk *disk = &b->store->snapshots;
    struct sl_disk target;
    struct sl_buf names = {0};
    char *path = sl_format("%s/snapshots", b->part), *save = NULL;
    enum sl_err err = sl_disk_open(path, &target);
    bool is_open = err == SL_OK;
    if (err == SL_OK)
        err = disk->list(disk->self, &names);
    char *text = err == SL_OK ? sl_strndup(names.data, names.size) : NULL;
    for (char *name = text == NULL ? NULL : strtok_r(text, "\n", &save);
         err == SL_OK && name != NULL; name = strtok_r(NULL, "\n", &save))
        err = copy_snapshot(disk, &target, name);
    if (is_open)
        sl_disk_close(&target);
    if (err == SL_OK)
        err = sync_path(path);
    sl_free(text);
    sl_free(path);
    sl_buf_deinit(&names);
    return err;
}

/* All is there: the copy gets its name. */
static enum sl_err
name_copy(const struct sl_store_backup *b)
{
    enum sl_err err = sync_path(b->part);
    if (err == SL_OK && rename(b->part, b->path) != 0)
        err = sl_err_from_errno(errno);
    char *parent = sl_format("%s/..", b->path);
    if (err == SL_OK)
        err = sync_path(parent);
    sl_free(parent);
    return err;
}

void
sl_store_backup_run(struct sl_store_backup *b)
{
    enum sl_err err = copy_catalogue(b);
    atomic_store(&b->store->is_catalogue_copied, false);
    if (err == SL_OK)
        err = copy_snapshots(b);
    if (err == SL_OK)
        err = copy_log(b);
    b->err = err == SL_OK ? name_copy(b) : err;
    if (b->err != SL_OK)
        remove_part(b);
}

/* ---- the owner's part ---------------------------------------------------------------------- */

static void
destroy(struct sl_store_backup **backup)
{
    struct sl_store_backup *b = *backup;
    atomic_store(&b->store->is_catalogue_copied, false);
    b->store->is_backed_up = false;
    sl_log_copy_destroy(&b->log);
    sl_free(b->path);
    sl_free(b->part);
    sl_free(b);
    *backup = NULL;
}

enum sl_err
sl_store_backup_begin(struct sl_store *store, const char *path, struct sl_store_backup **ret_backup)
{
    sl_store_check(store);
    if (store->options.memory != NULL)
        return SL_EUNAVAIL;
    if (store->is_backed_up)
        return SL_EBUSY;
    if (access(path, F_OK) == 0)
        return SL_EEXIST;
    sl_store_checkpoint_cancel(store); /* It begins anew afterwards. */
    enum sl_err err = sl_store_commit_catalogue(store, true);
    if (err != SL_OK)
        return err;
    struct sl_store_backup *b = sl_zalloc(sizeof(*b));
    *b = (struct sl_store_backup){
        .store = store, .path = sl_strdup(path), .part = sl_format("%s.part", path), .err = SL_EIO};
    store->is_backed_up = true;
    remove_part(b); /* What a crash left of an earlier one. */
    err = mkdir(b->part, 0700) == 0 ? SL_OK : sl_err_from_errno(errno);
    if (err == SL_OK)
        err = sl_log_copy_begin(store->log, &b->log);
    if (err != SL_OK) {
        destroy(&b);
        return err;
    }
    atomic_store(&store->is_catalogue_copied, true);
    *ret_backup = b;
    return SL_OK;
}

enum sl_err
sl_store_backup_end(struct sl_store_backup **backup)
{
    enum sl_err err = (*backup)->err;
    destroy(backup);
    return err;
}

enum sl_err
sl_store_backup(struct sl_store *store, const char *path)
{
    struct sl_store_backup *b;
    enum sl_err err = sl_store_backup_begin(store, path, &b);
    if (err != SL_OK)
        return err;
    sl_store_backup_run(b);
    return sl_store_backup_end(&b);
}
