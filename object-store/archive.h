/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - unpack an uploaded .tar.gz into an empty directory, and nothing anywhere else.
 *
 * Made for a throw-away process: whoever needs an archive forks, and the child calls
 * sl_archive_child_main, which gives up what it can (address space, CPU time, file size, and by
 * Landlock every path but the directory), unpacks, reports one line and returns its exit status.
 * A bug in the decompressor then costs that process, and no more.
 *
 * Regular files and directories only, below the root, no path twice, within limits. Owners, modes,
 * times, extended attributes and ACLs in the archive are ignored: files are 0600, directories 0700.
 * Threading: uses none, keeps no state.
 */
#ifndef SL_OBJECT_STORE_ARCHIVE_H
#define SL_OBJECT_STORE_ARCHIVE_H

#include "object-store/cause.h"
#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_ARCHIVE_REPORT_SIZE_MAX 4096

struct sl_archive_limits {     /* Zero = default. */
    uint32_t entries_max;      /* 4096 */
    uint32_t depth_max;        /* 8 components in a path */
    uint32_t path_size_max;    /* 255 bytes */
    uint64_t size_bytes_max;   /* 16 GiB unpacked, in all */
    uint32_t ratio_max;        /* 200 unpacked bytes for one packed... */
    uint64_t ratio_from_bytes; /* ...once 64 MiB are unpacked */
    uint64_t memory_bytes;     /* 512 MiB of address space beyond what the child has */
    uint32_t cpu_seconds;      /* 600 */
};

struct sl_archive_result {
    enum sl_err err;
    uint32_t entries_count;
    uint64_t size_bytes;
    bool is_confined;      /* Landlock was in force. */
    struct sl_cause cause; /* When err is not SL_OK: what is wrong and what to do. */
};

/*
 * Unpack the archive that `archive_fd` reads into the empty directory `directory_fd`. Both are
 * borrowed. On error the directory holds whatever was unpacked before: remove it.
 * SL_EINVAL: malformed, cut, or holding something that is refused. SL_ETOOBIG: over a limit.
 * SL_EIO, SL_ENOSPC. `limits` may be NULL. Fills *ret_result always.
 */
SL_MUST_CHECK enum sl_err sl_archive_unpack(int archive_fd, int directory_fd,
                                            const struct sl_archive_limits *limits,
                                            struct sl_archive_result *ret_result);

/*
 * The whole life of the child: confine this process for good, unpack, write the report to
 * `report_fd`. Call it only in a process that has nothing else to do. Returns an exit status: 0
 * when the report was written, whatever it says.
 */
int sl_archive_child_main(int archive_fd, const char *directory, int report_fd,
                          const struct sl_archive_limits *limits);

/* The report as one line of JSON, and back. Parse: SL_EINVAL for what is no report: the child died
 * before it could write one. */
void sl_archive_report_write(const struct sl_archive_result *result, struct sl_buf *out);
SL_MUST_CHECK enum sl_err sl_archive_report_parse(struct sl_slice text,
                                                  struct sl_archive_result *ret_result);

#endif
