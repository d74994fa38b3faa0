/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths are never handed to the kernel whole: each component is opened from its parent's descriptor
 * with O_NOFOLLOW, so that nothing in the directory, not even something put there while we run,
 * leads out of it. libarchive only reads; its own disk writer, with its options to remember, is not
 * used.
 */
#include "object-store/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BLOCK_BYTES (128 * SL_KIB)

struct unpacker {
    struct archive *archive;
    int root_fd;
    struct sl_archive_limits limits;
    uint32_t entries_count;
    uint64_t size_bytes;
    struct sl_cause *cause;
};

static struct sl_archive_limits
limits_or_default(const struct sl_archive_limits *given)
{
    struct sl_archive_limits l = given == NULL ? (struct sl_archive_limits){0} : *given;
    l.entries_max = l.entries_max == 0 ? 4096 : l.entries_max;
    l.depth_max = l.depth_max == 0 ? 8 : l.depth_max;
    l.path_size_max = l.path_size_max == 0 ? 255 : l.path_size_max;
    l.size_bytes_max = l.size_bytes_max == 0 ? 16 * SL_GIB : l.size_bytes_max;
    l.ratio_max = l.ratio_max == 0 ? 200 : l.ratio_max;
    l.ratio_from_bytes = l.ratio_from_bytes == 0 ? 64 * SL_MIB : l.ratio_from_bytes;
    return l;
}

/* What libarchive says went wrong, as one of ours. Its codes go no further than this. */
static enum sl_err
foreign_error(struct unpacker *u)
{
    const char *text = archive_error_string(u->archive);
    int error = archive_errno(u->archive);
    if (error == ENOMEM)
        return sl_cause_set(u->cause, SL_ENOMEM, "the archive needs more memory than is allowed");
    return sl_cause_set(u->cause, SL_EINVAL,
                        "the archive is cut or damaged (%.200s): pack it again with tar -czf",
                        text == NULL ? "no reason given" : text);
}

static enum sl_err
check_path(struct unpacker *u, const char *path)
{
    size_t size = path == NULL ? 0 : strlen(path);
    if (size == 0)
        return sl_cause_set(u->cause, SL_EINVAL,
                            "entry %" PRIu32 " has no name that can be read: use plain file names",
                            u->entries_count);
    if (size > u->limits.path_size_max)
        return sl_cause_set(u->cause, SL_EINVAL, "'%.64s...': a path of over %" PRIu32 " bytes",
                            path, u->limits.path_size_max);
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)path[i] < 0x20 || path[i] == 0x7f)
            return sl_cause_set(u->cause, SL_EINVAL,
                                "entry %" PRIu32 " has a control character in its name",
                                u->entries_count);
    }
    if (path[0] == '/')
        return sl_cause_set(u->cause, SL_EINVAL,
                            "'%s' is an absolute path: pack with tar -C DIRECTORY -czf FILE .",
                            path);
    return SL_OK;
}

static enum sl_err
check_kind(struct unpacker *u, struct archive_entry *entry, const char *path)
{
    if (archive_entry_hardlink(entry) != NULL)
        return sl_cause_set(u->cause, SL_EINVAL,
                            "'%s' is a hard link: pack with tar --hard-dereference", path);
    switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
        break;
    case AE_IFDIR:
        return SL_OK;
    case AE_IFLNK:
        return sl_cause_set(u->cause, SL_EINVAL,
                            "'%s' is a symbolic link: pack the file itself with tar -h", path);
    default:
        return sl_cause_set(u->cause, SL_EINVAL,
                            "'%s' is a device, pipe or socket: only files and directories", path);
    }
    if (archive_entry_sparse_count(entry) > 0)
        return sl_cause_set(u->cause, SL_EINVAL, "'%s' is sparse: pack without tar -S", path);
    if (archive_entry_size(entry) < 0 ||
        (uint64_t)archive_entry_size(entry) > u->limits.size_bytes_max - u->size_bytes)
        return sl_cause_set(u->cause, SL_ETOOBIG,
                            "'%s' takes the archive over its limit of %" PRIu64 " bytes unpacked",
                            path, u->limits.size_bytes_max);
    return SL_OK;
}

/* ---- walking ------------------------------------------------------------------------------- */

/* The next component of *path into `name`; false at the end. "." and "//" are passed over. */
static bool
next_component(const char **path, char name[static 256])
{
    for (;;) {
        *path += strspn(*path, "/");
        size_t size = strcspn(*path, "/");
        if (size == 0)
            return false;
        sl_assert(size < 256);
        memcpy(name, *path, size);
        name[size] = '\0';
        *path += size;
        if (strcmp(name, ".") != 0)
            return true;
    }
}

static enum sl_err
check_components(struct unpacker *u, const char *path, uint32_t *ret_depth)
{
    char name[256];
    uint32_t depth = 0;
    for (const char *at = path; next_component(&at, name); depth++) {
        if (strcmp(name, "..") == 0)
            return sl_cause_set(u->cause, SL_EINVAL,
                                "'%s' leads out of the archive with '..': pack from inside the "
                                "model's directory",
                                path);
    }
    if (depth > u->limits.depth_max)
        return sl_cause_set(u->cause, SL_EINVAL, "'%s' is over %" PRIu32 " directories deep", path,
                            u->limits.depth_max);
    *ret_depth = depth;
    return SL_OK;
}

/* Open the directory `name` in `parent_fd`, which is closed, making it when absent. */
static int
enter(int parent_fd, const char *name)
{
    int fd = -1;
    if (mkdirat(parent_fd, name, 0700) == 0 || errno == EEXIST)
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    (void)close(parent_fd);
    errno = error;
    return fd;
}

static enum sl_err
path_error(struct unpacker *u, const char *path)
{
    if (errno == ENOTDIR || errno == ELOOP || errno == EEXIST || errno == EISDIR)
        return sl_cause_set(u->cause, SL_EINVAL, "'%s' is in the archive twice", path);
    return sl_cause_set(u->cause, sl_err_from_errno(errno), "'%s': %s", path, strerror(errno));
}

/*
 * Walk to the last of `depth` components, making directories. A directory: make it too. A file:
 * create it, it must not exist, and return its descriptor.
 */
static enum sl_err
make_entry(struct unpacker *u, const char *path, uint32_t depth, bool is_directory, int *ret_fd)
{
    char name[256];
    const char *at = path;
    int fd = fcntl(u->root_fd, F_DUPFD_CLOEXEC, 0);
    uint32_t enters = is_directory ? depth : depth - 1;
    for (uint32_t i = 0; i < enters && fd >= 0; i++) {
        sl_assert(next_component(&at, name));
        fd = enter(fd, name);
    }
    if (fd < 0)
        return path_error(u, path);
    if (is_directory) {
        (void)close(fd);
        return SL_OK;
    }
    sl_assert(next_component(&at, name));
    int file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = errno;
    (void)close(fd);
    errno = error;
    if (file < 0)
        return path_error(u, path);
    *ret_fd = file;
    return SL_OK;
}

/* ---- data ---------------------------------------------------------------------------------- */

static enum sl_err
account(struct unpacker *u, const char *path, size_t size)
{
    if (size > u->limits.size_bytes_max - u->size_bytes)
        return sl_cause_set(u->cause, SL_ETOOBIG,
                            "'%s' takes the archive over its limit of %" PRIu64 " bytes unpacked",
                            path, u->limits.size_bytes_max);
    u->size_bytes += size;
    int64_t packed = archive_filter_bytes(u->archive, -1);
    uint64_t divisor = packed < 1 ? 1 : (uint64_t)packed;
    if (u->size_bytes > u->limits.ratio_from_bytes &&
        u->size_bytes / divisor >= u->limits.ratio_max)
        return sl_cause_set(u->cause, SL_ETOOBIG,
                            "the archive unpacks to over %" PRIu32 " times its size, as bombs do",
                            u->limits.ratio_max);
    return SL_OK;
}

static enum sl_err
write_all(struct unpacker *u, int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sl_cause_set(u->cause, n < 0 ? sl_err_from_errno(errno) : SL_EIO,
                                "the unpacked files could not be written: %s", strerror(errno));
        data += n;
        size -= (size_t)n;
    }
    return SL_OK;
}

static enum sl_err
copy_data(struct unpacker *u, const char *path, int fd)
{
    int64_t at = 0;
    for (;;) {
        const void *data = NULL;
        size_t size = 0;
        int64_t offset = 0;
        int rc = archive_read_data_block(u->archive, &data, &size, &offset);
        if (rc == ARCHIVE_EOF)
            return SL_OK;
        if (rc != ARCHIVE_OK)
            return foreign_error(u);
        if (offset != at) /* A hole that the header did not own up to. */
            return sl_cause_set(u->cause, SL_EINVAL, "'%s' is sparse: pack without tar -S", path);
        enum sl_err err = account(u, path, size);
        if (err == SL_OK)
            err = write_all(u, fd, data, size);
        if (err != SL_OK)
            return err;
        at += (int64_t)size;
    }
}

static enum sl_err
unpack_entry(struct unpacker *u, struct archive_entry *entry)
{
    const char *path = archive_entry_pathname(entry);
    uint32_t depth = 0;
    if (++u->entries_count > u->limits.entries_max)
        return sl_cause_set(u->cause, SL_ETOOBIG, "the archive has over %" PRIu32 " entries",
                            u->limits.entries_max);
    enum sl_err err = check_path(u, path);
    if (err == SL_OK)
        err = check_kind(u, entry, path);
    if (err == SL_OK)
        err = check_components(u, path, &depth);
    if (err != SL_OK)
        return err;
    bool is_directory = archive_entry_filetype(entry) == AE_IFDIR;
    if (depth == 0 && !is_directory)
        return sl_cause_set(u->cause, SL_EINVAL, "'%s' is no name for a file", path);
    int fd = -1;
    err = make_entry(u, path, depth, is_directory, &fd);
    if (err != SL_OK || is_directory)
        return err;
    err = copy_data(u, path, fd);
    if (close(fd) != 0 && err == SL_OK)
        err = sl_cause_set(u->cause, sl_err_from_errno(errno), "'%s': %s", path, strerror(errno));
    return err;
}

static enum sl_err
unpack_all(struct unpacker *u)
{
    for (;;) {
        struct archive_entry *entry = NULL;
        int rc = archive_read_next_header(u->archive, &entry);
        if (rc == ARCHIVE_EOF)
            break;
        /* A warning is about something we ignore, or a name, which check_path looks at. */
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return u->entries_count == 0
                       ? sl_cause_set(u->cause, SL_EINVAL,
                                      "not a .tar.gz archive: pack the model's directory with "
                                      "tar -czf model.tar.gz DIRECTORY")
                       : foreign_error(u);
        enum sl_err err = unpack_entry(u, entry);
        if (err != SL_OK)
            return err;
    }
    if (u->entries_count == 0)
        return sl_cause_set(u->cause, SL_EINVAL, "the archive is empty");
    return SL_OK;
}

/* libarchive would take a plain tar as well; the format is .tar.gz and nothing else. */
static enum sl_err
open_archive(struct unpacker *u, int archive_fd)
{
    if (archive_read_support_filter_gzip(u->archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(u->archive) != ARCHIVE_OK)
        return sl_cause_set(u->cause, SL_EUNAVAIL, "gzip or tar is not built into libarchive");
    int rc = archive_read_open_fd(u->archive, archive_fd, READ_BLOCK_BYTES);
    if (rc != ARCHIVE_OK || archive_filter_code(u->archive, 0) != ARCHIVE_FILTER_GZIP)
        return sl_cause_set(u->cause, SL_EINVAL,
                            "not a gzip file: pack the model's directory with "
                            "tar -czf model.tar.gz DIRECTORY");
    return SL_OK;
}

enum sl_err
sl_archive_unpack(int archive_fd, int directory_fd, const struct sl_archive_limits *limits,
                  struct sl_archive_result *ret_result)
{
    sl_assert(directory_fd >= 0);
    sl_assert(ret_result != NULL);
    bool is_confined = ret_result->is_confined;
    *ret_result = (struct sl_archive_result){.is_confined = is_confined};
    struct unpacker u = {
        .archive = archive_read_new(),
        .root_fd = directory_fd,
        .limits = limits_or_default(limits),
        .cause = &ret_result->cause,
    };
    enum sl_err err;
    if (u.archive == NULL)
        err = sl_cause_set(u.cause, SL_ENOMEM, "no memory to read the archive with");
    else
        err = open_archive(&u, archive_fd);
    if (err == SL_OK)
        err = unpack_all(&u);
    (void)archive_read_free(u.archive);
    ret_result->err = err;
    ret_result->entries_count = SL_MIN(u.entries_count, u.limits.entries_max);
    ret_result->size_bytes = u.size_bytes;
    return err;
}
