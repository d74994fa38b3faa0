/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file a name, locked by its writer. The hash is taken along while a file comes from its start
 * in order, over several writers as well: between them it waits in a slot. Other processes may
 * write there too, so the file is stamped when its hash is left: a modification time that nobody's
 * clock will say, and that any write replaces. The hash of a file with another one is forgotten,
 * and the file is read again at the end, off the thread that receives. Writing to the disk is
 * started every few MiB, so that the sync at the end has little left.
 */
#include "object-store/incoming.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/random.h"

#define INCOMING_MAGIC  0x696e636fu
#define SECRET_NAME     ".secret"
#define WRITEBACK_BYTES (8 * SL_MIB)
#define RESERVE_BYTES   (128 * SL_MIB) /* For the log, which refuses work below 32 MiB. */
#define READ_BYTES      (256 * SL_KIB)
#define HASHES_MAX      64u /* Of files that wait for their next piece. */

/* The hash of the first `size_bytes` of a file, for as long as it has that stamp. */
struct waiting_hash {
    char name[SL_INCOMING_NAME_MAX + 1];
    uint64_t size_bytes;
    struct timespec stamp;
    struct sl_sha256_stream *hash;
};

struct sl_incoming {
    uint32_t magic;
    int fd;
    bool is_sync_off;
    uint8_t secret[SL_INCOMING_SECRET_SIZE];
    _Atomic(struct waiting_hash *) hashes[HASHES_MAX]; /* A file's place follows from its name. */
};

struct sl_incoming_writer {
    struct sl_incoming *incoming;
    char name[SL_INCOMING_NAME_MAX + 1];
    int fd;
    uint64_t size_bytes, size_bytes_max;
    uint64_t started_bytes;        /* Up to here writing to the disk was started. */
    enum sl_err err;               /* The first. */
    struct sl_sha256_stream *hash; /* NULL: the file did not come as one piece. */
};

static bool
is_name(const char *name)
{
    size_t size = strnlen(name, SL_INCOMING_NAME_MAX + 1);
    return size > 0 && size <= SL_INCOMING_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == size;
}

static enum sl_err
sync_fd(const struct sl_incoming *in, int fd)
{
    return in->is_sync_off || fsync(fd) == 0 ? SL_OK : sl_err_from_errno(errno);
}

/* ---- hashes between two pieces ------------------------------------------------------------- */

static void
forget_hash(struct waiting_hash *h)
{
    uint8_t ignored[SL_SHA256_SIZE];
    if (h == NULL)
        return;
    sl_sha256_finish(&h->hash, ignored);
    sl_free(h);
}

static _Atomic(struct waiting_hash *) *
place_of(struct sl_incoming *in, const char *name)
{
    return &in->hashes[sl_hash64(sl_slice_str(name)) % HASHES_MAX];
}

static bool
has_stamp(int fd, struct timespec stamp)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_mtim.tv_sec == stamp.tv_sec &&
           st.st_mtim.tv_nsec == stamp.tv_nsec;
}

/* False: nor could others' writes be told by it, on a file system that keeps seconds. */
static bool
put_stamp(int fd, struct timespec *ret_stamp)
{
    struct stat st;
    uint32_t bits;
    sl_random_secret(&bits, sizeof(bits));
    if (fstat(fd, &st) != 0)
        return false;
    struct timespec times[] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = st.st_mtim.tv_sec, .tv_nsec = (long)(bits % SL_SECOND_NS)}};
    *ret_stamp = times[1];
    return futimens(fd, times) == 0 && has_stamp(fd, *ret_stamp);
}

/* The file is locked, and not written to yet. NULL: the hash of just these bytes is not there. */
static struct sl_sha256_stream *
take_hash(struct sl_incoming *in, const char *name, int fd, uint64_t size_bytes)
{
    struct waiting_hash *h = atomic_exchange(place_of(in, name), NULL);
    struct sl_sha256_stream *hash = NULL;
    if (h != NULL && strcmp(h->name, name) == 0 && h->size_bytes == size_bytes &&
        has_stamp(fd, h->stamp)) {
        hash = h->hash;
        sl_free(h);
        return hash;
    }
    forget_hash(h);
    return NULL;
}

/* The file is still locked. */
static void
leave_hash(struct sl_incoming_writer *w)
{
    struct waiting_hash *h = sl_zalloc(sizeof(*h));
    (void)snprintf(h->name, sizeof(h->name), "%s", w->name);
    h->size_bytes = w->size_bytes;
    h->hash = w->hash;
    w->hash = NULL;
    if (!put_stamp(w->fd, &h->stamp)) {
        forget_hash(h);
        return;
    }
    forget_hash(atomic_exchange(place_of(w->incoming, w->name), h));
}

/* ---- the directory ------------------------------------------------------------------------- */

static bool
read_secret(struct sl_incoming *in)
{
    int fd = openat(in->fd, SECRET_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool is_good = read(fd, in->secret, sizeof(in->secret)) == (ssize_t)sizeof(in->secret);
    (void)close(fd);
    return is_good;
}

/* Half a secret of a crash is replaced: nothing was signed with it. */
static enum sl_err
make_secret(struct sl_incoming *in)
{
    static const char temporary[] = ".secret.new";
    sl_random_secret(in->secret, sizeof(in->secret));
    int fd = openat(in->fd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sl_err_from_errno(errno);
    enum sl_err err = SL_OK;
    if (write(fd, in->secret, sizeof(in->secret)) != (ssize_t)sizeof(in->secret))
        err = SL_EIO;
    if (err == SL_OK)
        err = sync_fd(in, fd);
    (void)close(fd);
    if (err == SL_OK && renameat(in->fd, temporary, in->fd, SECRET_NAME) != 0)
        err = sl_err_from_errno(errno);
    return err == SL_OK ? sync_fd(in, in->fd) : err;
}

enum sl_err
sl_incoming_open(const char *directory, bool is_sync_off, struct sl_incoming **ret_incoming)
{
    sl_assert(directory != NULL && ret_incoming != NULL);
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return sl_err_from_errno(errno);
    struct sl_incoming *in = sl_zalloc(sizeof(*in));
    in->magic = INCOMING_MAGIC;
    in->is_sync_off = is_sync_off;
    in->fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum sl_err err = in->fd < 0 ? sl_err_from_errno(errno) : SL_OK;
    if (err == SL_OK && !read_secret(in))
        err = make_secret(in);
    if (err == SL_OK)
        *ret_incoming = in;
    else
        sl_incoming_close(&in);
    return err;
}

void
sl_incoming_close(struct sl_incoming **incoming)
{
    struct sl_incoming *in = *incoming;
    if (in == NULL)
        return;
    sl_assert(in->magic == INCOMING_MAGIC);
    if (in->fd >= 0)
        (void)close(in->fd);
    for (uint32_t i = 0; i < HASHES_MAX; i++)
        forget_hash(atomic_exchange(&in->hashes[i], NULL));
    in->magic = 0;
    sl_free(in);
    *incoming = NULL;
}

const uint8_t *
sl_incoming_secret(const struct sl_incoming *in)
{
    sl_assert(in->magic == INCOMING_MAGIC);
    return in->secret;
}

enum sl_err
sl_incoming_make(struct sl_incoming *in, const char *name)
{
    sl_assert(in->magic == INCOMING_MAGIC);
    if (!is_name(name))
        return SL_EINVAL;
    int fd = openat(in->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sl_err_from_errno(errno);
    (void)close(fd);
    return sync_fd(in, in->fd);
}

enum sl_err
sl_incoming_size(const struct sl_incoming *in, const char *name, uint64_t *ret_size_bytes)
{
    struct stat st;
    if (!is_name(name))
        return SL_EINVAL;
    if (fstatat(in->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return sl_err_from_errno(errno);
    *ret_size_bytes = (uint64_t)st.st_size;
    return SL_OK;
}

enum sl_err
sl_incoming_read(const struct sl_incoming *in, const char *name, int *ret_fd)
{
    if (!is_name(name))
        return SL_EINVAL;
    int fd = openat(in->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return sl_err_from_errno(errno);
    *ret_fd = fd;
    return SL_OK;
}

uint64_t
sl_incoming_room(const struct sl_incoming *in)
{
    struct statvfs fs;
    if (fstatvfs(in->fd, &fs) != 0)
        return 0;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return free_bytes > RESERVE_BYTES ? free_bytes - RESERVE_BYTES : 0;
}

void
sl_incoming_remove(struct sl_incoming *in, const char *name)
{
    if (is_name(name))
        (void)unlinkat(in->fd, name, 0);
}

uint32_t
sl_incoming_sweep(struct sl_incoming *in, sl_incoming_is_kept_fn *is_kept, void *arg)
{
    int fd = openat(in->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    uint32_t removed = 0;
    if (directory == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (is_name(entry->d_name) && !is_kept(arg, entry->d_name) &&
            unlinkat(in->fd, entry->d_name, 0) == 0)
            removed++;
    }
    (void)closedir(directory);
    return removed;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Open and lock. The lock goes with the descriptor, however the process ends. */
static enum sl_err
open_locked(const struct sl_incoming *in, const char *name, int *ret_fd, uint64_t *ret_size)
{
    struct stat st;
    if (!is_name(name))
        return SL_EINVAL;
    int fd = openat(in->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return sl_err_from_errno(errno);
    enum sl_err err = SL_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        err = errno == EWOULDBLOCK ? SL_EBUSY : sl_err_from_errno(errno);
    else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        err = SL_EIO;
    else if (st.st_nlink == 0) /* It was kept or removed before the lock was ours. */
        err = SL_ENOTFOUND;
    if (err != SL_OK) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)st.st_size;
    return SL_OK;
}

enum sl_err
sl_incoming_begin(struct sl_incoming *in, const char *name, uint64_t offset,
                  uint64_t size_bytes_max, struct sl_incoming_writer **ret_writer)
{
    sl_assert(in->magic == INCOMING_MAGIC && ret_writer != NULL);
    int fd = -1;
    uint64_t size = 0;
    if (offset > size_bytes_max)
        return SL_ETOOBIG;
    enum sl_err err = open_locked(in, name, &fd, &size);
    if (err != SL_OK)
        return err;
    if (offset > size) {
        (void)close(fd);
        return SL_EINVAL;
    }
    struct sl_sha256_stream *hash = take_hash(in, name, fd, offset);
    if ((size > offset && ftruncate(fd, (off_t)offset) != 0) ||
        lseek(fd, (off_t)offset, SEEK_SET) < 0)
        err = sl_err_from_errno(errno);
    if (err != SL_OK) {
        uint8_t ignored[SL_SHA256_SIZE];
        if (hash != NULL)
            sl_sha256_finish(&hash, ignored);
        (void)close(fd);
        return err;
    }
    struct sl_incoming_writer *w = sl_zalloc(sizeof(*w));
    if (hash == NULL && offset == 0)
        hash = sl_sha256_create();
    *w = (struct sl_incoming_writer){.incoming = in,
                                     .fd = fd,
                                     .size_bytes = offset,
                                     .size_bytes_max = size_bytes_max,
                                     .started_bytes = offset,
                                     .hash = hash};
    (void)snprintf(w->name, sizeof(w->name), "%s", name);
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
sl_incoming_append(struct sl_incoming_writer *w, const void *data, size_t size)
{
    if (w->err == SL_OK && size > w->size_bytes_max - w->size_bytes)
        w->err = SL_ETOOBIG;
    if (w->err == SL_OK)
        w->err = write_all(w->fd, data, size);
    if (w->err != SL_OK)
        return w->err;
    if (w->hash != NULL && size > 0)
        sl_sha256_update(w->hash, data, size);
    w->size_bytes += size;
    if (w->size_bytes - w->started_bytes < WRITEBACK_BYTES)
        return SL_OK;
    if (sl_incoming_room(w->incoming) == 0)
        w->err = SL_ENOSPC;
    if (!w->incoming->is_sync_off)
        (void)sync_file_range(w->fd, (off_t)w->started_bytes,
                              (off_t)(w->size_bytes - w->started_bytes), SYNC_FILE_RANGE_WRITE);
    w->started_bytes = w->size_bytes;
    return w->err;
}

uint64_t
sl_incoming_writer_size(const struct sl_incoming_writer *w)
{
    return w->size_bytes;
}

static enum sl_err
hash_file(const struct sl_incoming_writer *w, uint8_t ret_digest[static SL_SHA256_SIZE])
{
    struct sl_sha256_stream *hash = sl_sha256_create();
    uint8_t *piece = sl_alloc(READ_BYTES);
    enum sl_err err = SL_OK;
    for (uint64_t at = 0; at < w->size_bytes && err == SL_OK;) {
        ssize_t n = pread(w->fd, piece, SL_MIN(READ_BYTES, w->size_bytes - at), (off_t)at);
        if (n > 0) {
            sl_sha256_update(hash, piece, (size_t)n);
            at += (uint64_t)n;
        } else if (n == 0 || errno != EINTR) {
            err = n == 0 ? SL_EIO : sl_err_from_errno(errno);
        }
    }
    sl_sha256_finish(&hash, ret_digest);
    sl_free(piece);
    return err;
}

enum sl_err
sl_incoming_end(struct sl_incoming_writer **writer, bool is_whole, struct sl_blob *ret_blob)
{
    struct sl_incoming_writer *w = *writer;
    sl_assert(w != NULL && ret_blob != NULL);
    struct sl_blob blob = {.size_bytes = w->size_bytes};
    uint8_t digest[SL_SHA256_SIZE];
    if (w->err == SL_OK)
        w->err = sync_fd(w->incoming, w->fd);
    if (w->err == SL_OK && is_whole) {
        if (w->hash != NULL)
            sl_sha256_finish(&w->hash, digest);
        else
            w->err = hash_file(w, digest);
        if (w->err == SL_OK)
            sl_hex(sl_slice(digest, sizeof(digest)), blob.id);
    }
    enum sl_err err = w->err;
    if (err == SL_OK)
        *ret_blob = blob;
    sl_incoming_drop(writer);
    return err;
}

void
sl_incoming_drop(struct sl_incoming_writer **writer)
{
    struct sl_incoming_writer *w = *writer;
    uint8_t ignored[SL_SHA256_SIZE];
    if (w == NULL)
        return;
    if (w->hash != NULL && w->err == SL_OK)
        leave_hash(w);
    if (w->hash != NULL)
        sl_sha256_finish(&w->hash, ignored);
    (void)close(w->fd);
    sl_free(w);
    *writer = NULL;
}

/* ---- the end ------------------------------------------------------------------------------- */

enum sl_err
sl_incoming_keep(struct sl_incoming *in, const char *name, struct sl_blobs *blobs,
                 const struct sl_blob *blob)
{
    int fd = -1;
    uint64_t size = 0;
    enum sl_err err = open_locked(in, name, &fd, &size);
    if (err == SL_ENOTFOUND) {
        err = sl_blob_size(blobs, blob->id, &size);
        return err == SL_OK && size != blob->size_bytes ? SL_ESTALE : err;
    }
    if (err != SL_OK)
        return err;
    if (size != blob->size_bytes)
        err = SL_ESTALE;
    else
        err = sl_blob_adopt(blobs, in->fd, name, blob->id);
    (void)close(fd);
    return err;
}
