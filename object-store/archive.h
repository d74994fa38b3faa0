/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - read an uploaded .tar.gz front to back and give its files to somebody, once each.
 *
 * Regular files and directories only, below the root, within limits. Owners, modes, times, extended
 * attributes and ACLs in the archive are ignored. Nothing is written here.
 *
 * Made for a throw-away process (intake_child.h): a bug in the decompressor then costs that
 * process, and no more. Threading: uses none, keeps no state.
 */
#ifndef SL_OBJECT_STORE_ARCHIVE_H
#define SL_OBJECT_STORE_ARCHIVE_H

#include "object-store/cause.h"
#include "runtime/base.h"

struct sl_archive_limits {     /* Zero = default. */
    uint32_t entries_max;      /* 4096 */
    uint32_t depth_max;        /* 8 components in a path */
    uint32_t path_size_max;    /* 255 bytes */
    uint64_t size_bytes_max;   /* 16 GiB unpacked, in all */
    uint32_t ratio_max;        /* 200 unpacked bytes for one packed... */
    uint64_t ratio_from_bytes; /* ...once 64 MiB are unpacked */
};

/* Who takes the files. An error ends the reading and is its error; `cause` says why. */
struct sl_archive_sink {
    void *self;
    /* A file of `size` bytes; `path` is relative, without ".", ".." or empty components. */
    enum sl_err (*file)(void *self, const char *path, uint64_t size);
    enum sl_err (*data)(void *self, const void *data, size_t size);
    enum sl_err (*file_end)(void *self);
};

struct sl_archive_result {
    uint32_t entries_count;
    uint64_t size_bytes; /* Of the files. */
};

/*
 * Read the archive that `archive_fd` (borrowed) reads. `limits` may be NULL.
 * SL_EINVAL: malformed, cut, or holding something that is refused. SL_ETOOBIG: over a limit.
 * SL_EIO; and what the sink says. Fills *ret_result always.
 */
SL_MUST_CHECK enum sl_err sl_archive_read(int archive_fd, const struct sl_archive_limits *limits,
                                          const struct sl_archive_sink *sink,
                                          struct sl_archive_result *ret_result,
                                          struct sl_cause *ret_cause);

#endif
