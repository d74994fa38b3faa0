/* SPDX-License-Identifier: Apache-2.0 */
/*
 * power_record.c - a library to preload: it takes down, in order, what a program does to the files
 * below POWER_ROOT, into POWER_TRACE, from which power_cut_test.py makes the disk that a power cut
 * leaves at any moment. What is written is taken down after it was done, and a sync by its begin
 * and its end: all that was taken down before the begin is safe behind the end.
 *
 * A record: struct head, the path, then a second path or the bytes. One write each, appended: the
 * records of all processes are in one order.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum op { MADE = 1, WRITE, SIZE, SYNC_BEGIN, SYNC_END, RENAME, UNLINK, ALL };

struct head {
    uint32_t op, path_size, data_size, is_synced;
    uint64_t inode, offset, number;
};

static int trace = -1;
static char root[PATH_MAX];
static size_t root_size;
static uint64_t syncs;

static void __attribute__((constructor)) begin(void)
{
    const char *path = getenv("POWER_TRACE"), *from = getenv("POWER_ROOT");
    if (path == NULL || from == NULL || realpath(from, root) == NULL)
        return;
    root_size = strlen(root);
    trace = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (trace < 0)
        _exit(99);
    /* Out of the way of those who count their descriptors. */
    int high = fcntl(trace, F_DUPFD_CLOEXEC, 900);
    if (high >= 0) {
        close(trace);
        trace = high;
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int
is_ours(const char *path)
{
    return trace >= 0 && strncmp(path, root, root_size) == 0 && path[root_size] == '/' &&
           strncmp(path + root_size, "/run/", 5) != 0;
}

/* The path of a descriptor's file below the root; NULL: it is none of ours. */
static const char *
path_of(int fd, char *buf)
{
    char link[64];
    if (trace < 0)
        return NULL;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, buf, PATH_MAX - 1);
    if (size <= 0)
        return NULL;
    buf[size] = '\0';
    return is_ours(buf) || strcmp(buf, root) == 0 ? buf : NULL;
}

static const char *
path_at(int dir, const char *name, char *buf)
{
    char base[PATH_MAX];
    if (trace < 0)
        return NULL;
    if (name[0] == '/' || dir == AT_FDCWD) {
        /* The folder is resolved, the file itself may be new. */
        const char *slash = strrchr(name, '/');
        snprintf(base, sizeof(base), "%.*s", slash == NULL ? 1 : (int)(slash - name),
                 slash == NULL ? "." : name);
        char *real = realpath(base[0] == '\0' ? "/" : base, NULL);
        snprintf(buf, PATH_MAX, "%s/%s", real == NULL ? "" : real,
                 slash == NULL ? name : slash + 1);
        free(real);
        return is_ours(buf) ? buf : NULL;
    }
    if (path_of(dir, base) == NULL)
        return NULL;
    int size = snprintf(buf, PATH_MAX, "%s/%s", base, name);
    return size < PATH_MAX ? buf : NULL;
}

static void
note(struct head h, const char *path, const void *data, size_t size)
{
    int saved = errno;
    h.path_size = (uint32_t)strlen(path + root_size);
    h.data_size = (uint32_t)size;
    struct iovec parts[] = {{&h, sizeof(h)},
                            {(void *)(uintptr_t)(path + root_size), h.path_size},
                            {(void *)(uintptr_t)data, size}};
    size_t want = sizeof(h) + h.path_size + size;
    if (syscall(SYS_writev, trace, parts, 3) != (long)want)
        _exit(98); /* A trace with a hole proves nothing. */
    errno = saved;
}

static uint64_t
inode_of(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 ? info.st_ino : 0;
}

static int
note_open(int fd, int flags, const char *path)
{
    struct stat info;
    if (fd >= 0 && path != NULL && (flags & (O_CREAT | O_TRUNC)) != 0 && fstat(fd, &info) == 0)
        note((struct head){.op = MADE, .inode = info.st_ino, .offset = (uint64_t)info.st_size},
             path, NULL, 0);
    return fd;
}

int
open(const char *name, int flags, ...)
{
    char buf[PATH_MAX];
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    const char *path = path_at(AT_FDCWD, name, buf);
    return note_open(REAL(open)(name, flags, mode), flags, path);
}

int
openat(int dir, const char *name, int flags, ...)
{
    char buf[PATH_MAX];
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t);
    va_end(args);
    const char *path = path_at(dir, name, buf);
    return note_open(REAL(openat)(dir, name, flags, mode), flags, path);
}

static void note_write(int fd, uint64_t offset, const void *data, ssize_t size);

/* What stdio writes is taken down whole, when it is flushed. */
static struct {
    FILE *file;
    char path[PATH_MAX];
} streams[8];

FILE *
fopen(const char *name, const char *mode)
{
    char buf[PATH_MAX];
    const char *path = mode[0] == 'w' ? path_at(AT_FDCWD, name, buf) : NULL;
    FILE *file = REAL(fopen)(name, mode);
    if (file == NULL || path == NULL)
        return file;
    note_open(fileno(file), O_CREAT | O_TRUNC, path);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        if (streams[i].file != NULL)
            continue;
        streams[i].file = file;
        snprintf(streams[i].path, sizeof(streams[i].path), "%s", path);
        return file;
    }
    _exit(97);
}

static void
note_stream(FILE *file)
{
    char bytes[4096];
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        if (streams[i].file != file)
            continue;
        int fd = REAL(open)(streams[i].path, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
        if (size == (ssize_t)sizeof(bytes))
            _exit(96);
        note_write(fd, 0, bytes, size);
        (void)close(fd);
    }
}

int
fflush(FILE *file)
{
    int result = REAL(fflush)(file);
    if (file != NULL)
        note_stream(file);
    return result;
}

int
fclose(FILE *file)
{
    (void)REAL(fflush)(file);
    note_stream(file);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        if (streams[i].file == file)
            streams[i].file = NULL;
    }
    return REAL(fclose)(file);
}

static void
note_write(int fd, uint64_t offset, const void *data, ssize_t size)
{
    char buf[PATH_MAX];
    const char *path = size > 0 ? path_of(fd, buf) : NULL;
    if (path == NULL)
        return;
    int flags = fcntl(fd, F_GETFL);
    note((struct head){.op = WRITE,
                       .inode = inode_of(fd),
                       .offset = offset,
                       .is_synced = flags >= 0 && (flags & O_DSYNC) != 0},
         path, data, (size_t)size);
}

ssize_t
pwrite(int fd, const void *data, size_t size, off_t offset)
{
    ssize_t done = REAL(pwrite)(fd, data, size, offset);
    note_write(fd, (uint64_t)offset, data, done);
    return done;
}

/* Where a sequential write began, once it is done. */
static uint64_t
before(int fd, ssize_t done)
{
    off_t at = done > 0 ? lseek(fd, 0, SEEK_CUR) : -1;
    return at >= done ? (uint64_t)(at - done) : 0;
}

ssize_t
write(int fd, const void *data, size_t size)
{
    ssize_t done = REAL(write)(fd, data, size);
    note_write(fd, before(fd, done), data, done);
    return done;
}

ssize_t
writev(int fd, const struct iovec *parts, int count)
{
    ssize_t done = REAL(writev)(fd, parts, count), left = done;
    uint64_t at = before(fd, done);
    for (int i = 0; i < count && left > 0; i++) {
        ssize_t size = (ssize_t)parts[i].iov_len < left ? (ssize_t)parts[i].iov_len : left;
        note_write(fd, at, parts[i].iov_base, size);
        at += (uint64_t)size;
        left -= size;
    }
    return done;
}

static int
note_size(int fd, int result)
{
    char buf[PATH_MAX];
    struct stat info;
    const char *path = result == 0 ? path_of(fd, buf) : NULL;
    if (path != NULL && fstat(fd, &info) == 0)
        note((struct head){.op = SIZE, .inode = info.st_ino, .offset = (uint64_t)info.st_size},
             path, NULL, 0);
    return result;
}

int
ftruncate(int fd, off_t size)
{
    return note_size(fd, REAL(ftruncate)(fd, size));
}

int
fallocate(int fd, int mode, off_t offset, off_t size)
{
    return note_size(fd, REAL(fallocate)(fd, mode, offset, size));
}

static int
note_sync(int fd, int (*sync)(int fd), uint32_t end)
{
    char buf[PATH_MAX];
    const char *path = path_of(fd, buf);
    if (path == NULL)
        return sync(fd);
    struct head h = {.op = SYNC_BEGIN, .inode = inode_of(fd)};
    h.number = (uint64_t)getpid() << 32 | __atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
    note(h, path, NULL, 0);
    int result = sync(fd);
    h.op = end;
    if (result == 0)
        note(h, path, NULL, 0);
    return result;
}

int
fdatasync(int fd)
{
    return note_sync(fd, REAL(fdatasync), SYNC_END);
}

int
fsync(int fd)
{
    return note_sync(fd, REAL(fsync), SYNC_END);
}

int
syncfs(int fd)
{
    return note_sync(fd, REAL(syncfs), ALL);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char from_buf[PATH_MAX], to_buf[PATH_MAX];
    const char *from_path = path_at(from_dir, from, from_buf);
    const char *to_path = path_at(to_dir, to, to_buf);
    int result = REAL(renameat)(from_dir, from, to_dir, to);
    if (result == 0 && from_path != NULL && to_path != NULL)
        note((struct head){.op = RENAME}, from_path, to_path + root_size,
             strlen(to_path + root_size));
    return result;
}

int
rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
unlinkat(int dir, const char *name, int flags)
{
    char buf[PATH_MAX];
    const char *path = path_at(dir, name, buf);
    int result = REAL(unlinkat)(dir, name, flags);
    if (result == 0 && path != NULL && (flags & AT_REMOVEDIR) == 0)
        note((struct head){.op = UNLINK}, path, NULL, 0);
    return result;
}

int
unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

FILE *fopen64(const char *, const char *) __attribute__((alias("fopen")));
int open64(const char *, int, ...) __attribute__((alias("open")));
int openat64(int, const char *, int, ...) __attribute__((alias("openat")));
ssize_t pwrite64(int, const void *, size_t, off_t) __attribute__((alias("pwrite")));
int ftruncate64(int, off_t) __attribute__((alias("ftruncate")));
int fallocate64(int, int, off_t, off_t) __attribute__((alias("fallocate")));
