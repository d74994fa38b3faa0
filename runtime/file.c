/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/time.h"

#define FILE_MAGIC   0x66696c65u
#define DISK_MAGIC   0x6469736bu
#define ROOM_NS      (20 * SL_MILLI_NS)

#define FLUSH_BEHIND (8 * SL_MIB)
#define FLUSH_AND_WAIT                                                                             \
    (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER)

struct sl_file {
    uint32_t magic;
    int fd;
};

struct real_disk {
    uint32_t magic;
    int fd; /* The directory. */
    /* Room as it was then: asking costs as much as half a commit. Any thread. */
    _Atomic uint64_t room_bytes, room_ns;
};

static struct real_disk *
disk_of(void *self)
{
    struct real_disk *disk = self;
    sl_assert(disk != NULL);
    sl_assert(disk->magic == DISK_MAGIC);
    return disk;
}

static enum sl_err
open_with(void *self, const char *path, int flags, struct sl_file **ret_file)
{
    int fd = openat(disk_of(self)->fd, path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sl_err_from_errno(errno);
    struct sl_file *f = sl_alloc(sizeof(*f));
    *f = (struct sl_file){.magic = FILE_MAGIC, .fd = fd};
    *ret_file = f;
    return SL_OK;
}

static enum sl_err
disk_open_file(void *self, const char *path, struct sl_file **ret_file)
{
    return open_with(self, path, O_RDWR | O_CREAT, ret_file);
}

static enum sl_err
disk_find(void *self, const char *path, struct sl_file **ret_file)
{
    return open_with(self, path, O_RDONLY, ret_file);
}

static enum sl_err
disk_read(struct sl_file *f, uint64_t offset, void *data, size_t size, size_t *ret_size)
{
    sl_assert(f->magic == FILE_MAGIC);
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(f->fd, (char *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_err_from_errno(errno);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_size = done;
    return SL_OK;
}

static enum sl_err
disk_write(struct sl_file *f, uint64_t offset, const void *data, size_t size)
{
    sl_assert(f->magic == FILE_MAGIC);
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(f->fd, (const char *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_err_from_errno(errno);
        done += (size_t)n;
    }
    return SL_OK;
}

static enum sl_err
disk_sync(struct sl_file *f)
{
    sl_assert(f->magic == FILE_MAGIC);
    return fdatasync(f->fd) == 0 ? SL_OK : sl_err_from_errno(errno);
}

/* What a file system cannot do of this costs time, not safety: errors of the disk count alone. */
static enum sl_err
flush_range(int fd, uint64_t offset, size_t size, unsigned flags)
{
    if (sync_file_range(fd, (off_t)offset, (off_t)size, flags) == 0)
        return SL_OK;
    return errno == EIO || errno == ENOSPC ? sl_err_from_errno(errno) : SL_OK;
}

static enum sl_err
disk_flush(struct sl_file *f, uint64_t offset, size_t size)
{
    sl_assert(f->magic == FILE_MAGIC);
    enum sl_err err = flush_range(f->fd, offset, size, SYNC_FILE_RANGE_WRITE);
    if (err != SL_OK || offset < FLUSH_BEHIND)
        return err;
    return flush_range(f->fd, offset - FLUSH_BEHIND, size, FLUSH_AND_WAIT);
}

static enum sl_err
disk_size(struct sl_file *f, uint64_t *ret_size)
{
    sl_assert(f->magic == FILE_MAGIC);
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return sl_err_from_errno(errno);
    *ret_size = (uint64_t)st.st_size;
    return SL_OK;
}

static void
disk_close_file(struct sl_file **f)
{
    if (*f == NULL)
        return;
    sl_assert((*f)->magic == FILE_MAGIC);
    close((*f)->fd);
    (*f)->magic = 0;
    sl_free(*f);
    *f = NULL;
}

static enum sl_err
disk_rename(void *self, const char *from, const char *to)
{
    int fd = disk_of(self)->fd;
    if (renameat(fd, from, fd, to) != 0 || fsync(fd) != 0)
        return sl_err_from_errno(errno);
    return SL_OK;
}

static enum sl_err
disk_remove(void *self, const char *path)
{
    return unlinkat(disk_of(self)->fd, path, 0) == 0 ? SL_OK : sl_err_from_errno(errno);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum sl_err
disk_list(void *self, struct sl_buf *names)
{
    int fd = openat(disk_of(self)->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (dir == NULL) {
        enum sl_err err = sl_err_from_errno(errno);
        if (fd >= 0)
            close(fd);
        return err;
    }
    char **list = NULL;
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            strchr(entry->d_name, '\n') != NULL)
            continue;
        list = sl_realloc(list, (count + 1) * sizeof(list[0]));
        list[count++] = sl_strdup(entry->d_name);
    }
    closedir(dir);
    if (count > 0)
        qsort(list, count, sizeof(list[0]), compare_names);
    for (size_t i = 0; i < count; i++) {
        sl_buf_append_str(names, list[i]);
        sl_buf_append_u8(names, '\n');
        sl_free(list[i]);
    }
    sl_free(list);
    return SL_OK;
}

static uint64_t
disk_room(void *self)
{
    struct statvfs fs;
    struct real_disk *disk = disk_of(self);
    uint64_t now_ns = sl_time_coarse_ns(), asked_ns = atomic_load(&disk->room_ns);
    if (asked_ns != 0 && now_ns - asked_ns < ROOM_NS)
        return atomic_load(&disk->room_bytes);
    uint64_t room = fstatvfs(disk->fd, &fs) != 0 ? UINT64_MAX : (uint64_t)fs.f_bavail * fs.f_frsize;
    atomic_store(&disk->room_bytes, room);
    atomic_store(&disk->room_ns, now_ns);
    return room;
}

static uint32_t
disk_salt(void *self)
{
    uint32_t salt;
    (void)self;
    sl_random_secret(&salt, sizeof(salt));
    return salt;
}

enum sl_err
sl_disk_open(const char *directory, struct sl_disk *ret_disk)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return sl_err_from_errno(errno);
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return sl_err_from_errno(errno);
    struct real_disk *disk = sl_alloc(sizeof(*disk));
    *disk = (struct real_disk){.magic = DISK_MAGIC, .fd = fd};
    *ret_disk = (struct sl_disk){
        .self = disk,
        .open = disk_open_file,
        .find = disk_find,
        .read = disk_read,
        .write = disk_write,
        .sync = disk_sync,
        .flush = disk_flush,
        .size = disk_size,
        .close = disk_close_file,
        .rename = disk_rename,
        .remove = disk_remove,
        .list = disk_list,
        .room = disk_room,
        .salt = disk_salt,
    };
    return SL_OK;
}

void
sl_disk_close(struct sl_disk *disk)
{
    if (disk->self == NULL)
        return;
    struct real_disk *real = disk_of(disk->self);
    close(real->fd);
    real->magic = 0;
    sl_free(real);
    *disk = (struct sl_disk){0};
}
