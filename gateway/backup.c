/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/store_backup.h"

#define DEPTH_MAX  16 /* Of directories in models/. */
#define COPY_BYTES (256 * 1024)

struct sl_backup {
    struct sl_store_backup *store;
    char *data, *path, *part;
    enum sl_err err; /* Of the files beside the store; SL_ECANCELED: not run. */
    struct sl_backup_done done;
};

/* What lies beside the store and is needed. */
static const char *const names[] = {"format", "admin.key", "overrides.yaml", "blobs", "models"};

static enum sl_err
last_error(void)
{
    return sl_err_from_errno(errno);
}

/* ---- files --------------------------------------------------------------------------------- */

static enum sl_err
copy_bytes(int from, int to)
{
    uint8_t *bytes = sl_alloc(COPY_BYTES);
    enum sl_err err = SL_OK;
    ssize_t size = 1;
    while (err == SL_OK && size > 0) {
        size = read(from, bytes, COPY_BYTES);
        err = size < 0 ? last_error() : SL_OK;
        for (ssize_t at = 0, n; err == SL_OK && at < size; at += n) {
            n = write(to, bytes + at, (size_t)(size - at));
            err = n <= 0 ? last_error() : SL_OK;
        }
    }
    if (err == SL_OK && fsync(to) != 0)
        err = last_error();
    sl_free(bytes);
    return err;
}

/* One file, whose bytes never change: by a second name where that can be. */
static enum sl_err
copy_file(int from_directory, int to_directory, const char *name)
{
    struct stat about;
    if (linkat(from_directory, name, to_directory, name, 0) == 0 || errno == ENOENT)
        return SL_OK; /* Deleted meanwhile: it is not in the copy. */
    int from = openat(from_directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0)
        return errno == ENOENT ? SL_OK : last_error();
    enum sl_err err = fstat(from, &about) == 0 ? SL_OK : last_error();
    int to = err != SL_OK ? -1
                          : openat(to_directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                                   about.st_mode & 0777);
    if (err == SL_OK)
        err = to < 0 ? last_error() : copy_bytes(from, to);
    if (to >= 0)
        close(to);
    close(from);
    return err;
}

static enum sl_err copy_entry(int from_directory, int to_directory, const char *name,
                              unsigned depth);

static enum sl_err
copy_entries(int from, int to, unsigned depth)
{
    DIR *list = fdopendir(from); /* Takes it over. */
    enum sl_err err = list == NULL ? last_error() : SL_OK;
    if (list == NULL) {
        close(from);
        return err;
    }
    for (const struct dirent *e; err == SL_OK && (e = readdir(list)) != NULL;) {
        bool is_skipped = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                          (depth == 1 && strcmp(e->d_name, "tmp") == 0);
        err = is_skipped ? SL_OK : copy_entry(dirfd(list), to, e->d_name, depth);
    }
    closedir(list);
    if (err == SL_OK && fsync(to) != 0)
        err = last_error();
    return err;
}

static enum sl_err
copy_directory(int from_directory, int to_directory, const char *name, unsigned depth)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    if (depth > DEPTH_MAX)
        return SL_ETOOBIG;
    int from = openat(from_directory, name, flags);
    if (from < 0)
        return errno == ENOENT ? SL_OK : last_error();
    int to = mkdirat(to_directory, name, 0700) == 0 ? openat(to_directory, name, flags) : -1;
    if (to < 0) {
        enum sl_err err = last_error();
        close(from);
        return err;
    }
    enum sl_err err = copy_entries(from, to, depth);
    close(to);
    return err;
}

/* A file or a directory; links and sockets are nothing of ours. */
static enum sl_err
copy_entry(int from_directory, int to_directory, const char *name, unsigned depth)
{
    struct stat about;
    if (fstatat(from_directory, name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? SL_OK : last_error();
    if (S_ISDIR(about.st_mode))
        return copy_directory(from_directory, to_directory, name, depth + 1);
    return S_ISREG(about.st_mode) ? copy_file(from_directory, to_directory, name) : SL_OK;
}

static enum sl_err
copy_beside(const struct sl_backup *b)
{
    int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    int from = open(b->data, flags), to = open(b->part, flags);
    enum sl_err err = from < 0 || to < 0 ? last_error() : SL_OK;
    for (size_t i = 0; err == SL_OK && i < SL_COUNT_OF(names); i++)
        err = copy_entry(from, to, names[i], 0);
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    return err;
}

/* ---- what was made, and taking it away ----------------------------------------------------- */

static void
walk(int parent, const char *name, bool is_removed, struct sl_backup_done *done)
{
    struct stat about;
    if (fstatat(parent, name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (!S_ISDIR(about.st_mode)) {
        done->files++;
        done->bytes += (uint64_t)about.st_size;
        if (is_removed)
            (void)unlinkat(parent, name, 0);
        return;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *list = fd < 0 ? NULL : fdopendir(fd);
    for (const struct dirent *e; list != NULL && (e = readdir(list)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            walk(dirfd(list), e->d_name, is_removed, done);
    }
    if (list != NULL)
        closedir(list);
    if (is_removed)
        (void)unlinkat(parent, name, AT_REMOVEDIR);
}

/* ---- the backup ---------------------------------------------------------------------------- */

/* Whether the real path `inner` is `outer` or lies in it. */
static bool
is_within(const char *inner, const char *outer)
{
    size_t size = strlen(outer);
    return strncmp(inner, outer, size) == 0 && (inner[size] == '\0' || inner[size] == '/');
}

enum sl_err
sl_backup_check(const char *data_directory, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat about;
    if (path[0] != '/' || slash[1] == '\0' || strcmp(slash, "/.") == 0 || strcmp(slash, "/..") == 0)
        return SL_EINVAL;
    char *part = sl_format("%s.part", path);
    char *above = slash == path ? sl_strdup("/") : sl_strndup(path, (size_t)(slash - path));
    char *parent = realpath(above, NULL), *data = realpath(data_directory, NULL);
    enum sl_err err = parent == NULL || data == NULL ? last_error() : SL_OK;
    if (err == SL_OK && is_within(parent, data))
        err = SL_EINVAL;
    else if (err == SL_OK && (lstat(path, &about) == 0 || lstat(part, &about) == 0))
        err = SL_EEXIST;
    else if (err == SL_OK && access(above, W_OK | X_OK) != 0)
        err = last_error();
    sl_free(parent);
    sl_free(data);
    sl_free(part);
    sl_free(above);
    return err;
}

static void
destroy(struct sl_backup **backup)
{
    struct sl_backup *b = *backup;
    sl_free(b->data);
    sl_free(b->path);
    sl_free(b->part);
    sl_free(b);
    *backup = NULL;
}

enum sl_err
sl_backup_begin(struct sl_store *store, const char *data_directory, const char *path,
                struct sl_backup **ret_backup)
{
    struct sl_backup *b = sl_zalloc(sizeof(*b));
    *b = (struct sl_backup){.data = sl_strdup(data_directory),
                            .path = sl_strdup(path),
                            .part = sl_format("%s.part", path),
                            .err = SL_ECANCELED};
    enum sl_err err = sl_store_backup_begin(store, path, &b->store);
    if (err != SL_OK && err != SL_EBUSY)
        (void)rmdir(b->part);
    if (err != SL_OK)
        destroy(&b);
    else
        *ret_backup = b;
    return err;
}

/* The store's run gives the copy its name, so it comes last. */
void
sl_backup_run(struct sl_backup *b)
{
    b->err = copy_beside(b);
    if (b->err == SL_OK)
        sl_store_backup_run(b->store);
    if (access(b->path, F_OK) == 0)
        walk(AT_FDCWD, b->path, false, &b->done);
    else
        walk(AT_FDCWD, b->part, true, &b->done);
}

enum sl_err
sl_backup_end(struct sl_backup **backup, struct sl_backup_done *ret_done)
{
    struct sl_backup *b = *backup;
    enum sl_err err = sl_store_backup_end(&b->store);
    if (b->err == SL_ECANCELED)
        (void)rmdir(b->part); /* It was not run. */
    err = b->err != SL_OK ? b->err : err;
    *ret_done = b->done;
    destroy(backup);
    return err;
}
