/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/random.h"

#define BLOBS_MAGIC   0x424c4f42u
#define WRITER_MAGIC  0x424c4f57u
#define TMP_NAME_SIZE SL_BLOB_LEFT_SIZE

struct sl_blobs {
    uint32_t magic;
    int root_fd, tmp_fd;
    bool is_sync_off;
};

struct sl_blob_writer {
    uint32_t magic;
    struct sl_blobs *blobs;
    int fd;
    char name[TMP_NAME_SIZE]; /* In tmp/. */
    uint64_t size_bytes, size_bytes_max;
    enum sl_err err; /* The first error; nothing is written after it. */
    struct sl_sha256_stream *hash;
};

static void
check(const struct sl_blobs *b)
{
    sl_assert(b != NULL);
    sl_assert(b->magic == BLOBS_MAGIC);
}

static void
check_writer(const struct sl_blob_writer *w)
{
    sl_assert(w != NULL);
    sl_assert(w->magic == WRITER_MAGIC);
    sl_assert(w->size_bytes <= w->size_bytes_max);
}

bool
sl_blob_is_id(const char *text)
{
    if (text == NULL || strnlen(text, SL_BLOB_ID_SIZE) != SL_BLOB_ID_SIZE - 1)
        return false;
    return strspn(text, "0123456789abcdef") == SL_BLOB_ID_SIZE - 1;
}

static enum sl_err
sync_fd(const struct sl_blobs *b, int fd)
{
    return b->is_sync_off || fsync(fd) == 0 ? SL_OK : sl_err_from_errno(errno);
}

/* Open the directory `name`, made and synced into its parent when absent. */
static enum sl_err
open_directory(const struct sl_blobs *b, int parent_fd, const char *name, int *ret_fd)
{
    bool is_new = mkdirat(parent_fd, name, 0700) == 0;
    if (!is_new && errno != EEXIST)
        return sl_err_from_errno(errno);
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_err_from_errno(errno);
    enum sl_err err = is_new ? sync_fd(b, parent_fd) : SL_OK;
    if (err != SL_OK) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return SL_OK;
}

/* By another process: a gateway goes on while the directory's owner starts. Its lock ends with it.
 */
static bool
is_being_written(int tmp_fd, const char *name)
{
    int fd = openat(tmp_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_locked = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return is_locked;
}

static enum sl_err
remove_leftovers(int tmp_fd)
{
    int fd = openat(tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        enum sl_err err = sl_err_from_errno(errno);
        if (fd >= 0)
            (void)close(fd);
        return err;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.' && !is_being_written(tmp_fd, entry->d_name))
            (void)unlinkat(tmp_fd, entry->d_name, 0); /* One that stays is only disk space. */
    }
    (void)closedir(dir);
    return SL_OK;
}

static enum sl_err
open_blobs(const char *directory, bool is_owner, bool is_sync_off, struct sl_blobs **ret_blobs)
{
    sl_assert(directory != NULL);
    sl_assert(ret_blobs != NULL);
    struct sl_blobs *b = sl_zalloc(sizeof(*b));
    b->magic = BLOBS_MAGIC;
    b->root_fd = b->tmp_fd = -1;
    b->is_sync_off = is_sync_off;
    enum sl_err err = SL_OK;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        err = sl_err_from_errno(errno);
        goto out;
    }
    b->root_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->root_fd < 0) {
        err = sl_err_from_errno(errno);
        goto out;
    }
    err = open_directory(b, b->root_fd, "tmp", &b->tmp_fd);
    if (err == SL_OK && is_owner)
        err = remove_leftovers(b->tmp_fd);
    if (err == SL_OK) {
        *ret_blobs = b;
        b = NULL;
    }
out:
    sl_blobs_close(&b);
    return err;
}

enum sl_err
sl_blobs_open(const char *directory, bool is_sync_off, struct sl_blobs **ret_blobs)
{
    return open_blobs(directory, true, is_sync_off, ret_blobs);
}

enum sl_err
sl_blobs_join(const char *directory, struct sl_blobs **ret_blobs)
{
    return open_blobs(directory, false, false, ret_blobs);
}

void
sl_blobs_close(struct sl_blobs **blobs)
{
    sl_assert(blobs != NULL);
    struct sl_blobs *b = *blobs;
    if (b == NULL)
        return;
    check(b);
    if (b->tmp_fd >= 0)
        (void)close(b->tmp_fd);
    if (b->root_fd >= 0)
        (void)close(b->root_fd);
    b->magic = 0;
    sl_free(b);
    *blobs = NULL;
}

/* ---- writing ------------------------------------------------------------------------------- */

enum sl_err
sl_blob_writer_create(struct sl_blobs *blobs, uint64_t size_bytes_max,
                      struct sl_blob_writer **ret_writer)
{
    check(blobs);
    sl_assert(ret_writer != NULL);
    struct sl_blob_writer *w = sl_zalloc(sizeof(*w));
    sl_random_hex(w->name, TMP_NAME_SIZE - 1);
    w->fd =
        openat(blobs->tmp_fd, w->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (w->fd < 0) {
        enum sl_err err = sl_err_from_errno(errno);
        sl_free(w);
        return err;
    }
    (void)flock(w->fd, LOCK_SH | LOCK_NB); /* For is_being_written; ours alone, so it is had. */
    w->magic = WRITER_MAGIC;
    w->blobs = blobs;
    w->size_bytes_max = size_bytes_max;
    w->hash = sl_sha256_create();
    *ret_writer = w;
    return SL_OK;
}

static enum sl_err
write_all(int fd, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? sl_err_from_errno(errno) : SL_EIO;
        data += n;
        size -= (size_t)n;
    }
    return SL_OK;
}

enum sl_err
sl_blob_writer_append(struct sl_blob_writer *w, const void *data, size_t size)
{
    check_writer(w);
    if (w->err == SL_OK && size > w->size_bytes_max - w->size_bytes)
        w->err = SL_ETOOBIG;
    if (w->err == SL_OK)
        w->err = write_all(w->fd, data, size);
    if (w->err != SL_OK)
        return w->err;
    if (size > 0)
        sl_sha256_update(w->hash, data, size);
    w->size_bytes += size;
    return SL_OK;
}

uint64_t
sl_blob_writer_size(const struct sl_blob_writer *w)
{
    check_writer(w);
    return w->size_bytes;
}

/* Free the writer and whatever it has open; its file is the caller's business. */
static void
writer_destroy(struct sl_blob_writer **writer)
{
    struct sl_blob_writer *w = *writer;
    if (w->hash != NULL) {
        uint8_t ignored[SL_SHA256_SIZE];
        sl_sha256_finish(&w->hash, ignored);
    }
    (void)close(w->fd);
    w->magic = 0;
    sl_free(w);
    *writer = NULL;
}

static enum sl_err
give_name(const struct sl_blobs *b, int from_fd, const char *name, int shard_fd, const char *id)
{
    if (renameat(from_fd, name, shard_fd, id) != 0)
        return sl_err_from_errno(errno);
    return sync_fd(b, shard_fd);
}

/* Give the finished file its name. The data is synced before, the names after: so a name that is
 * there after a power cut has its bytes. */
static enum sl_err
publish(struct sl_blob_writer *w, const char *id)
{
    const struct sl_blobs *b = w->blobs;
    char shard[3] = {id[0], id[1], '\0'};
    int shard_fd = -1;
    enum sl_err err = sync_fd(b, w->fd);
    if (err == SL_OK)
        err = open_directory(b, b->root_fd, shard, &shard_fd);
    if (err != SL_OK)
        return err;
    /* Over a file of the same bytes: nobody can tell, and readers keep the old one. */
    err = give_name(b, b->tmp_fd, w->name, shard_fd, id);
    (void)close(shard_fd);
    return err;
}

enum sl_err
sl_blob_adopt(struct sl_blobs *b, int from_fd, const char *name, const char *id)
{
    check(b);
    sl_assert(sl_blob_is_id(id));
    char shard[3] = {id[0], id[1], '\0'};
    int shard_fd = -1;
    enum sl_err err = open_directory(b, b->root_fd, shard, &shard_fd);
    if (err != SL_OK)
        return err;
    err = give_name(b, from_fd, name, shard_fd, id);
    (void)close(shard_fd);
    return err;
}

enum sl_err
sl_blob_writer_finish(struct sl_blob_writer **writer, struct sl_blob *ret_blob)
{
    sl_assert(writer != NULL);
    sl_assert(ret_blob != NULL);
    struct sl_blob_writer *w = *writer;
    check_writer(w);
    if (w->err == SL_OK) {
        struct sl_blob blob = {.size_bytes = w->size_bytes};
        uint8_t digest[SL_SHA256_SIZE];
        sl_sha256_finish(&w->hash, digest);
        sl_hex(sl_slice(digest, sizeof(digest)), blob.id);
        w->err = publish(w, blob.id);
        if (w->err == SL_OK)
            *ret_blob = blob;
    }
    enum sl_err err = w->err;
    if (err != SL_OK)
        (void)unlinkat(w->blobs->tmp_fd, w->name, 0); /* Absent once renamed. */
    writer_destroy(writer);
    return err;
}

enum sl_err
sl_blob_writer_detach(struct sl_blob_writer **writer, struct sl_blob *ret_blob, int *ret_fd)
{
    sl_assert(writer != NULL);
    struct sl_blob_writer *w = *writer;
    check_writer(w);
    uint8_t digest[SL_SHA256_SIZE];
    int fd = -1;
    if (w->err == SL_OK) {
        fd = openat(w->blobs->tmp_fd, w->name, O_RDONLY | O_CLOEXEC);
        w->err = fd < 0 ? sl_err_from_errno(errno) : SL_OK;
    }
    enum sl_err err = w->err;
    if (err == SL_OK) {
        sl_sha256_finish(&w->hash, digest);
        *ret_blob = (struct sl_blob){.size_bytes = w->size_bytes};
        sl_hex(sl_slice(digest, sizeof(digest)), ret_blob->id);
        *ret_fd = fd;
    }
    sl_blob_writer_abort(writer); /* The name goes, the file stays as long as it is open. */
    return err;
}

enum sl_err
sl_blob_writer_leave(struct sl_blob_writer **writer, struct sl_blob *ret_blob,
                     char ret_name[static SL_BLOB_LEFT_SIZE])
{
    struct sl_blob_writer *w = *writer;
    check_writer(w);
    uint8_t digest[SL_SHA256_SIZE];
    enum sl_err err = w->err;
    if (err != SL_OK) {
        sl_blob_writer_abort(writer);
        return err;
    }
    sl_sha256_finish(&w->hash, digest);
    *ret_blob = (struct sl_blob){.size_bytes = w->size_bytes};
    sl_hex(sl_slice(digest, sizeof(digest)), ret_blob->id);
    memcpy(ret_name, w->name, sizeof(w->name));
    writer_destroy(writer);
    return SL_OK;
}

static bool
is_left_name(const char *name)
{
    return strnlen(name, TMP_NAME_SIZE) == TMP_NAME_SIZE - 1 &&
           strspn(name, "0123456789abcdef") == TMP_NAME_SIZE - 1;
}

void
sl_blob_drop_left(struct sl_blobs *b, const char *name)
{
    check(b);
    if (is_left_name(name))
        (void)unlinkat(b->tmp_fd, name, 0);
}

enum sl_err
sl_blob_take(struct sl_blobs *b, const char *name, int *ret_fd)
{
    check(b);
    if (!is_left_name(name))
        return SL_EINVAL;
    int fd = openat(b->tmp_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return sl_err_from_errno(errno);
    (void)unlinkat(b->tmp_fd, name, 0);
    *ret_fd = fd;
    return SL_OK;
}

void
sl_blob_writer_abort(struct sl_blob_writer **writer)
{
    sl_assert(writer != NULL);
    if (*writer == NULL)
        return;
    check_writer(*writer);
    (void)unlinkat((*writer)->blobs->tmp_fd, (*writer)->name, 0);
    writer_destroy(writer);
}

enum sl_err
sl_blob_put(struct sl_blobs *blobs, struct sl_slice data, struct sl_blob *ret_blob)
{
    struct sl_blob_writer *w = NULL;
    enum sl_err err = sl_blob_writer_create(blobs, data.size, &w);
    if (err != SL_OK)
        return err;
    err = sl_blob_writer_append(w, data.data, data.size);
    if (err == SL_OK)
        return sl_blob_writer_finish(&w, ret_blob);
    sl_blob_writer_abort(&w);
    return err;
}

/* ---- reading ------------------------------------------------------------------------------- */

#define BLOB_PATH_SIZE (SL_BLOB_ID_SIZE + 3)

static bool
path_of(const char *id, char path[static BLOB_PATH_SIZE])
{
    if (!sl_blob_is_id(id))
        return false;
    (void)snprintf(path, BLOB_PATH_SIZE, "%c%c/%s", id[0], id[1], id);
    return true;
}

enum sl_err
sl_blob_open(const struct sl_blobs *blobs, const char *id, int *ret_fd, uint64_t *ret_size_bytes)
{
    check(blobs);
    sl_assert(ret_fd != NULL && ret_size_bytes != NULL);
    char path[BLOB_PATH_SIZE];
    struct stat st;
    if (!path_of(id, path))
        return SL_EINVAL;
    int fd = openat(blobs->root_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_err_from_errno(errno);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return SL_EIO;
    }
    *ret_fd = fd;
    *ret_size_bytes = (uint64_t)st.st_size;
    return SL_OK;
}

enum sl_err
sl_blob_size(const struct sl_blobs *blobs, const char *id, uint64_t *ret_size_bytes)
{
    check(blobs);
    sl_assert(ret_size_bytes != NULL);
    char path[BLOB_PATH_SIZE];
    struct stat st;
    if (!path_of(id, path))
        return SL_EINVAL;
    if (fstatat(blobs->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return sl_err_from_errno(errno);
    *ret_size_bytes = (uint64_t)st.st_size;
    return SL_OK;
}

enum sl_err
sl_blob_remove(struct sl_blobs *blobs, const char *id)
{
    check(blobs);
    char path[BLOB_PATH_SIZE];
    if (!path_of(id, path))
        return SL_EINVAL;
    if (unlinkat(blobs->root_fd, path, 0) != 0 && errno != ENOENT)
        return sl_err_from_errno(errno);
    return SL_OK;
}

/* A writer may put another file of the same bytes in its place after the look: that one is put
 * back, over a third, which nobody can tell either. */
enum sl_err
sl_blob_remove_older(struct sl_blobs *blobs, const char *id, uint64_t before_ms)
{
    check(blobs);
    char path[BLOB_PATH_SIZE], aside[TMP_NAME_SIZE];
    struct stat seen, taken;
    if (!path_of(id, path))
        return SL_EINVAL;
    if (fstatat(blobs->root_fd, path, &seen, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? SL_OK : sl_err_from_errno(errno);
    if ((uint64_t)seen.st_ctim.tv_sec * 1000 >= before_ms) /* Renaming sets it too. */
        return SL_EBUSY;
    sl_random_hex(aside, TMP_NAME_SIZE - 1);
    if (renameat(blobs->root_fd, path, blobs->tmp_fd, aside) != 0)
        return errno == ENOENT ? SL_OK : sl_err_from_errno(errno);
    if (fstatat(blobs->tmp_fd, aside, &taken, AT_SYMLINK_NOFOLLOW) != 0 ||
        taken.st_ino != seen.st_ino || taken.st_dev != seen.st_dev) {
        char shard[3] = {id[0], id[1], '\0'};
        int shard_fd = -1;
        enum sl_err err = open_directory(blobs, blobs->root_fd, shard, &shard_fd);
        if (err == SL_OK)
            err = give_name(blobs, blobs->tmp_fd, aside, shard_fd, id);
        if (shard_fd >= 0)
            (void)close(shard_fd);
        return err == SL_OK ? SL_EBUSY : err;
    }
    return unlinkat(blobs->tmp_fd, aside, 0) != 0 ? sl_err_from_errno(errno) : SL_OK;
}

/* ---- sweeping ------------------------------------------------------------------------------ */

/* SL_EIO: the directory cannot be listed. */
static enum sl_err
list_directory(int parent_fd, const char *name, DIR **ret_directory)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_err_from_errno(errno);
    *ret_directory = fdopendir(fd);
    if (*ret_directory != NULL)
        return SL_OK;
    enum sl_err err = sl_err_from_errno(errno);
    (void)close(fd);
    return err;
}

static enum sl_err
sweep_shard(const struct sl_blobs *b, const char *shard, sl_blob_is_kept_fn *is_kept, void *arg,
            uint64_t *removed)
{
    DIR *directory;
    enum sl_err err = list_directory(b->root_fd, shard, &directory);
    if (err != SL_OK)
        return err;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (!sl_blob_is_id(entry->d_name) || is_kept(arg, entry->d_name))
            continue;
        if (unlinkat(dirfd(directory), entry->d_name, 0) == 0)
            ++*removed;
    }
    (void)closedir(directory);
    return SL_OK;
}

enum sl_err
sl_blobs_sweep(struct sl_blobs *blobs, sl_blob_is_kept_fn *is_kept, void *arg,
               uint64_t *ret_removed)
{
    check(blobs);
    sl_assert(is_kept != NULL && ret_removed != NULL);
    DIR *root;
    *ret_removed = 0;
    enum sl_err err = list_directory(blobs->root_fd, ".", &root);
    if (err != SL_OK)
        return err;
    for (const struct dirent *entry; (entry = readdir(root)) != NULL;) {
        const char *name = entry->d_name;
        if (strlen(name) != 2 || strspn(name, "0123456789abcdef") != 2)
            continue;
        enum sl_err one = sweep_shard(blobs, name, is_kept, arg, ret_removed);
        err = err == SL_OK ? one : err;
    }
    (void)closedir(root);
    return err;
}
