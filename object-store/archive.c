/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>

#define READ_BLOCK_BYTES (128 * SL_KIB)

struct unpacker {
    struct archive *archive;
    const struct sl_archive_sink *sink;
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
    l.path_size_max = l.path_size_max == 0 ? 255 : SL_MIN(l.path_size_max, 255u);
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
    case AE_IFDIR: /* Whose data nobody would count. */
        return archive_entry_size(entry) <= 0
                   ? SL_OK
                   : sl_cause_set(u->cause, SL_EINVAL, "'%s' is a directory with data", path);
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

/* The path as the sink gets it, into `clean`, which has room for the whole path. */
static enum sl_err
clean_path(struct unpacker *u, const char *path, char *clean, uint32_t *ret_depth)
{
    char name[256];
    uint32_t depth = 0;
    size_t used = 0;
    for (const char *at = path; next_component(&at, name); depth++) {
        if (strcmp(name, "..") == 0)
            return sl_cause_set(u->cause, SL_EINVAL,
                                "'%s' leads out of the archive with '..': pack from inside the "
                                "model's directory",
                                path);
        if (used > 0)
            clean[used++] = '/';
        memcpy(clean + used, name, strlen(name));
        used += strlen(name);
    }
    clean[used] = '\0';
    if (depth > u->limits.depth_max)
        return sl_cause_set(u->cause, SL_EINVAL, "'%s' is over %" PRIu32 " directories deep", path,
                            u->limits.depth_max);
    *ret_depth = depth;
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
copy_data(struct unpacker *u, const char *path)
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
            err = u->sink->data(u->sink->self, data, size);
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
    char clean[256];
    if (err == SL_OK)
        err = clean_path(u, path, clean, &depth);
    if (err != SL_OK || archive_entry_filetype(entry) == AE_IFDIR)
        return err;
    if (depth == 0)
        return sl_cause_set(u->cause, SL_EINVAL, "'%s' is no name for a file", path);
    err = u->sink->file(u->sink->self, clean, (uint64_t)archive_entry_size(entry));
    if (err == SL_OK)
        err = copy_data(u, path);
    return err == SL_OK ? u->sink->file_end(u->sink->self) : err;
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
sl_archive_read(int archive_fd, const struct sl_archive_limits *limits,
                const struct sl_archive_sink *sink, struct sl_archive_result *ret_result,
                struct sl_cause *ret_cause)
{
    sl_assert(sink != NULL && ret_result != NULL && ret_cause != NULL);
    struct unpacker u = {
        .archive = archive_read_new(),
        .sink = sink,
        .limits = limits_or_default(limits),
        .cause = ret_cause,
    };
    enum sl_err err;
    if (u.archive == NULL)
        err = sl_cause_set(u.cause, SL_ENOMEM, "no memory to read the archive with");
    else
        err = open_archive(&u, archive_fd);
    if (err == SL_OK)
        err = unpack_all(&u);
    (void)archive_read_free(u.archive);
    *ret_result = (struct sl_archive_result){
        .entries_count = SL_MIN(u.entries_count, u.limits.entries_max), .size_bytes = u.size_bytes};
    return err;
}
