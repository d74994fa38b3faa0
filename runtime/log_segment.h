/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log_segment.h - one file of the log: its head and its records. For log.c only; format in log.h.
 */
#ifndef SL_RUNTIME_LOG_SEGMENT_H
#define SL_RUNTIME_LOG_SEGMENT_H

#include "runtime/file.h"

#define SL_SEGMENT_HEAD_SIZE   4096
#define SL_SEGMENT_RECORD_HEAD 24
#define SL_SEGMENT_SIZE_MAX    ((uint64_t)UINT32_MAX) /* An address has 32 bits for an offset. */

struct sl_segment {
    struct sl_file *file;
    char name[32];
    uint64_t size;  /* Of the file. */
    uint64_t first; /* Position of its first record; 0: never used. */
    uint64_t last;  /* Of its last record; first - 1: none. */
    uint32_t salt;
    uint32_t ordinal; /* Of this life among all lives of all segments; 0: never used. */
    bool is_damaged;  /* Both copies of its head are: first and ordinal are not known. */
};

struct sl_segment_record {
    uint64_t position, batch;
    struct sl_slice payload;
    uint64_t size; /* With head and padding. */
};

/* Make a zeroed file of `size` bytes, synced and named durably. */
SL_MUST_CHECK enum sl_err sl_segment_create(const struct sl_disk *disk, const char *name,
                                            uint64_t size, struct sl_segment **ret_segment);
/* Open a file and read its head. SL_ECORRUPT, SL_EVERSION, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_segment_open(const struct sl_disk *disk, const char *name,
                                          struct sl_segment **ret_segment);
void sl_segment_close(const struct sl_disk *disk, struct sl_segment **segment);

/* Give the segment its next life, which starts with position `first`: writes its head, with a new
 * salt. */
SL_MUST_CHECK enum sl_err sl_segment_start(const struct sl_disk *disk, struct sl_segment *segment,
                                           uint64_t first, uint32_t ordinal);

/* Make it one that was never used. */
SL_MUST_CHECK enum sl_err sl_segment_wipe(const struct sl_disk *disk, struct sl_segment *segment);

static inline uint64_t
sl_segment_record_size(size_t payload_size)
{
    return (SL_SEGMENT_RECORD_HEAD + (uint64_t)payload_size + 7) & ~UINT64_C(7);
}

/* Read the whole file. SL_EIO. */
SL_MUST_CHECK enum sl_err sl_segment_read(const struct sl_disk *disk,
                                          const struct sl_segment *segment, struct sl_buf *bytes);

/* Append the bytes of a record. */
void sl_segment_encode(const struct sl_segment *segment, uint64_t position, uint64_t batch,
                       struct sl_slice payload, struct sl_buf *out);
/* Read the record at `offset` of bytes of the segment; false: there is no good one. */
bool sl_segment_decode(const struct sl_segment *segment, struct sl_slice bytes, uint64_t offset,
                       struct sl_segment_record *ret_record);

#endif
