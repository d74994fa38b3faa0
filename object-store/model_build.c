/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory files of models: from an image, or from a directory by the same way that an archive takes.
 * Nothing is ever mapped writable, so sealing cannot fail on that account; a file that somebody
 * cuts meanwhile is a short count, not a SIGBUS.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/model.h"
#include "object-store/model_image.h"
#include "object-store/model_intake.h"
#include "object-store/shared_memory.h"
#include "runtime/alloc.h"

#define READ_BYTES SL_MIB
#define DEPTH_MAX  6    /* Directories: wrappers and modules. */
#define SCAN_MAX   8192 /* Directory entries looked at in all. */

static enum sl_err
make_file(int *ret_fd, struct sl_cause *cause)
{
    *ret_fd = memfd_create("sluice-model", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return *ret_fd >= 0 ? SL_OK
                        : sl_cause_set(cause, sl_err_from_errno(errno), "no memory file: %s",
                                       strerror(errno));
}

static enum sl_err
seal(int fd, struct sl_cause *cause)
{
    enum sl_err err = sl_shared_seal(fd);
    return err == SL_OK ? SL_OK : sl_cause_set(cause, err, "the memory file cannot be sealed");
}

/* ---- from an image ------------------------------------------------------------------------- */

/* For file systems that sendfile cannot read from. */
static enum sl_err
copy_through_buffer(int from, int to, uint64_t at, uint64_t size)
{
    uint8_t *buffer = sl_alloc(READ_BYTES);
    enum sl_err err = SL_OK;
    while (at < size && err == SL_OK) {
        ssize_t n = pread(from, buffer, SL_MIN(size - at, READ_BYTES), (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err = n < 0 ? sl_err_from_errno(errno) : SL_ECORRUPT;
            break;
        }
        ssize_t written = pwrite(to, buffer, (size_t)n, (off_t)at);
        if (written > 0)
            at += (uint64_t)written; /* What is left of a short one is read again. */
        else if (written == 0 || errno != EINTR)
            err = written < 0 && errno == ENOSPC ? SL_ENOMEM : SL_EIO;
    }
    sl_free(buffer);
    return err;
}

static enum sl_err
copy(int from, int to, uint64_t size)
{
    off_t at = 0;
    while ((uint64_t)at < size) {
        ssize_t n = sendfile(to, from, &at, SL_MIN(size - (uint64_t)at, SL_GIB));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EINVAL || errno == ENOSYS))
            return copy_through_buffer(from, to, (uint64_t)at, size);
        if (n < 0)
            return errno == ENOSPC ? SL_ENOMEM : sl_err_from_errno(errno);
        if (n == 0)
            return SL_ECORRUPT; /* Cut meanwhile. */
    }
    return SL_OK;
}

enum sl_err
sl_model_load(int image_fd, int *ret_fd, struct sl_cause *ret_cause)
{
    struct stat st;
    struct sl_model *model = NULL;
    int fd = -1;
    if (fstat(image_fd, &st) != 0)
        return sl_cause_set(ret_cause, sl_err_from_errno(errno), "the image: %s", strerror(errno));
    uint64_t size = (uint64_t)st.st_size;
    if (!sl_shared_has_memory(size))
        return sl_cause_set(ret_cause, SL_ENOMEM,
                            "the machine has no memory for the model's %" PRIu64
                            " MiB: evict another, or use a machine with more",
                            size / SL_MIB);
    enum sl_err err = make_file(&fd, ret_cause);
    if (err != SL_OK)
        return err;
    err = copy(image_fd, fd, size);
    if (err != SL_OK)
        (void)sl_cause_set(ret_cause, err, "the model cannot be copied into memory: %s",
                           sl_err_text(err));
    if (err == SL_OK)
        err = seal(fd, ret_cause);
    if (err == SL_OK) /* What is not sound is refused here, once, not in each replica. */
        err = sl_model_attach(fd, &model, ret_cause);
    sl_model_destroy(&model);
    if (err == SL_OK)
        *ret_fd = fd;
    else
        (void)close(fd);
    return err;
}

/* ---- of another process --------------------------------------------------------------------- */

uint64_t
sl_model_inode(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

enum sl_err
sl_model_reopen(uint64_t pid, uint64_t fd, uint64_t inode, int *ret_fd)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/fd/%" PRIu64, pid, fd);
    int opened = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (opened < 0)
        return SL_ENOTFOUND;
    int seals = fcntl(opened, F_GET_SEALS);
    int wanted = F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
    if (inode == 0 || sl_model_inode(opened) != inode || seals < 0 || (seals & wanted) != wanted) {
        (void)close(opened);
        return SL_ENOTFOUND;
    }
    *ret_fd = opened;
    return SL_OK;
}

/* ---- from a directory ---------------------------------------------------------------------- */

struct walk {
    struct sl_model_intake *intake;
    uint8_t *buffer;
    uint32_t seen_count, depth;
    struct sl_cause *cause;
};

static enum sl_err
feed(struct walk *w, int fd, const char *path, uint64_t size)
{
    enum sl_err err = sl_model_intake_file(w->intake, path, size);
    while (size > 0 && err == SL_OK) {
        ssize_t n = read(fd, w->buffer, SL_MIN(size, READ_BYTES));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sl_cause_set(w->cause, n == 0 ? SL_EINVAL : sl_err_from_errno(errno),
                                "%s cannot be read to its end", path);
        err = sl_model_intake_data(w->intake, w->buffer, (size_t)n);
        size -= (uint64_t)n;
    }
    return err == SL_OK ? sl_model_intake_file_end(w->intake) : err;
}

static enum sl_err walk_directory(struct walk *w, int fd, const char *prefix);

static enum sl_err
walk_name(struct walk *w, int directory_fd, const char *prefix, const char *name)
{
    struct stat st;
    if (++w->seen_count > SCAN_MAX)
        return sl_cause_set(w->cause, SL_ETOOBIG, "over %d files", SCAN_MAX);
    int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return sl_cause_set(w->cause, SL_EINVAL,
                            "%s%s is not a regular file: put the file itself there, not a link",
                            prefix, name);
    if (fd < 0 || fstat(fd, &st) != 0) {
        enum sl_err err = sl_cause_set(w->cause, sl_err_from_errno(errno), "%s%s: %s", prefix, name,
                                       strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return err;
    }
    char *path = sl_format("%s%s%s", prefix, name, S_ISDIR(st.st_mode) ? "/" : "");
    enum sl_err err = SL_OK;
    if (S_ISDIR(st.st_mode)) {
        err = walk_directory(w, fd, path);
    } else {
        err = S_ISREG(st.st_mode)
                  ? feed(w, fd, path, (uint64_t)st.st_size)
                  : sl_cause_set(w->cause, SL_EINVAL, "%s is not a regular file", path);
        (void)close(fd);
    }
    sl_free(path);
    return err;
}

/* Takes `fd`. */
static enum sl_err
walk_directory(struct walk *w, int fd, const char *prefix)
{
    DIR *dir = w->depth >= DEPTH_MAX ? NULL : fdopendir(fd);
    enum sl_err err = SL_OK;
    if (dir == NULL) {
        (void)close(fd);
        return w->depth >= DEPTH_MAX
                   ? SL_OK
                   : sl_cause_set(w->cause, SL_EIO, "the model's directory cannot be listed");
    }
    w->depth++;
    for (struct dirent *entry; err == SL_OK && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.')
            err = walk_name(w, dirfd(dir), prefix, entry->d_name);
    }
    w->depth--;
    (void)closedir(dir);
    return err;
}

enum sl_err
sl_model_build(int directory_fd, const struct sl_model_options *options, int *ret_fd,
               struct sl_cause *ret_cause)
{
    sl_assert(directory_fd >= 0);
    sl_assert(ret_fd != NULL);
    struct sl_model_options o = options == NULL ? (struct sl_model_options){0} : *options;
    struct sl_cause unused;
    struct sl_cause *cause = ret_cause == NULL ? &unused : ret_cause;
    struct sl_model_facts facts;
    int fd = -1;
    enum sl_err err = make_file(&fd, cause);
    if (err != SL_OK)
        return err;
    struct sl_intake_options intake = {.format = o.format,
                                       .size_bytes_max = o.size_bytes_max,
                                       .image_fd = fd,
                                       .spool_fd = -1,
                                       .is_digest_off = true};
    struct walk w = {.intake = sl_model_intake_create(&intake, cause),
                     .buffer = sl_alloc(READ_BYTES),
                     .cause = cause};
    /* Not dup: a listing moves the offset that duplicates share. */
    int listing = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err = listing < 0 ? sl_cause_set(cause, sl_err_from_errno(errno), "the model's directory: %s",
                                     strerror(errno))
                      : walk_directory(&w, listing, "");
    if (err == SL_OK)
        err = sl_model_intake_finish(w.intake, &facts, NULL);
    if (err == SL_OK)
        err = seal(fd, cause);
    sl_model_intake_destroy(&w.intake);
    sl_free(w.buffer);
    if (err == SL_OK)
        *ret_fd = fd;
    else
        (void)close(fd);
    return err;
}
