/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"

#define SPILL_MAGIC 0x53504c4cu
#define NONE        UINT32_MAX

struct file {
    int fd; /* -1: none. */
    uint64_t end, live_bytes;
};

struct sl_spill {
    uint32_t magic;
    uint32_t open; /* The file that is written to, or NONE. */
    uint32_t files_count;
    int directory;
    uint64_t size_bytes_max, bytes;
    struct file files[SL_SPILL_FILES_MAX];
};

static void
check(const struct sl_spill *s)
{
    sl_assert(s != NULL);
    sl_assert(s->magic == SPILL_MAGIC);
}

enum sl_err
sl_spill_create(const char *directory, uint64_t size_bytes_max, struct sl_spill **ret_spill)
{
    sl_assert(directory != NULL && ret_spill != NULL);
    int fd = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return sl_err_from_errno(errno);
    struct sl_spill *s = sl_zalloc(sizeof(*s));
    s->magic = SPILL_MAGIC;
    s->open = NONE;
    s->directory = fd;
    s->size_bytes_max = size_bytes_max;
    for (uint32_t i = 0; i < SL_SPILL_FILES_MAX; i++)
        s->files[i].fd = -1;
    *ret_spill = s;
    return SL_OK;
}

void
sl_spill_destroy(struct sl_spill **spill)
{
    struct sl_spill *s = *spill;
    if (s == NULL)
        return;
    check(s);
    for (uint32_t i = 0; i < SL_SPILL_FILES_MAX; i++) {
        if (s->files[i].fd >= 0)
            (void)close(s->files[i].fd);
    }
    (void)close(s->directory);
    sl_free(s);
    *spill = NULL;
}

static enum sl_err
open_file(struct sl_spill *s)
{
    uint32_t at = 0;
    while (at < SL_SPILL_FILES_MAX && s->files[at].fd >= 0)
        at++;
    if (at == SL_SPILL_FILES_MAX)
        return SL_EFULL;
    int fd = openat(s->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0)
        return sl_err_from_errno(errno);
    s->files[at] = (struct file){.fd = fd};
    s->files_count++;
    s->open = at;
    return SL_OK;
}

static void
close_if_empty(struct sl_spill *s, uint32_t file)
{
    struct file *f = &s->files[file];
    if (f->live_bytes > 0 || f->fd < 0)
        return;
    (void)close(f->fd);
    f->fd = -1;
    s->files_count--;
    if (s->open == file)
        s->open = NONE;
}

static enum sl_err
write_all(int fd, struct sl_slice bytes, uint64_t offset)
{
    for (size_t at = 0; at < bytes.size;) {
        ssize_t size = pwrite(fd, bytes.data + at, bytes.size - at, (off_t)(offset + at));
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return size == 0 ? SL_EIO : sl_err_from_errno(errno);
        at += (size_t)size;
    }
    return SL_OK;
}

enum sl_err
sl_spill_write(struct sl_spill *s, struct sl_slice bytes, struct sl_spilled *ret_spilled)
{
    check(s);
    sl_assert(bytes.size > 0 && ret_spilled != NULL);
    if (bytes.size > s->size_bytes_max - s->bytes)
        return SL_EFULL;
    bool is_full = s->open != NONE && s->files[s->open].end + bytes.size > SL_SPILL_FILE_BYTES;
    if (s->open == NONE || is_full) {
        enum sl_err err = open_file(s);
        if (err != SL_OK)
            return err;
    }
    struct file *f = &s->files[s->open];
    enum sl_err err = write_all(f->fd, bytes, f->end);
    if (err != SL_OK) {
        close_if_empty(s, s->open); /* What it has written lies behind the end: written over. */
        return err;
    }
    *ret_spilled = (struct sl_spilled){.file = s->open,
                                       .check = sl_crc32c(0, bytes.data, bytes.size),
                                       .offset = f->end,
                                       .size_bytes = bytes.size};
    f->end += bytes.size;
    f->live_bytes += bytes.size;
    s->bytes += bytes.size;
    return SL_OK;
}

enum sl_err
sl_spill_read(const struct sl_spill *s, const struct sl_spilled *spilled, uint8_t *ret_bytes)
{
    check(s);
    const struct file *f = &s->files[spilled->file];
    sl_assert(f->fd >= 0 && spilled->size_bytes > 0);
    for (uint64_t at = 0; at < spilled->size_bytes;) {
        ssize_t size =
            pread(f->fd, ret_bytes + at, spilled->size_bytes - at, (off_t)(spilled->offset + at));
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return SL_EIO;
        at += (uint64_t)size;
    }
    return sl_crc32c(0, ret_bytes, spilled->size_bytes) == spilled->check ? SL_OK : SL_ECORRUPT;
}

void
sl_spill_drop(struct sl_spill *s, const struct sl_spilled *spilled)
{
    check(s);
    struct file *f = &s->files[spilled->file];
    sl_assert(f->fd >= 0 && f->live_bytes >= spilled->size_bytes);
    f->live_bytes -= spilled->size_bytes;
    s->bytes -= spilled->size_bytes;
    close_if_empty(s, spilled->file);
}

uint64_t
sl_spill_bytes(const struct sl_spill *s)
{
    check(s);
    return s->bytes;
}

uint64_t
sl_spill_files(const struct sl_spill *s)
{
    check(s);
    return s->files_count;
}
