/* SPDX-License-Identifier: Apache-2.0 */
/*
 * incoming.h - files that arrive in pieces, over many requests and many starts, until they become
 * blobs. A file has a name that the caller chose, and as many bytes as have come.
 *
 *   make --> begin --append...--> end --> (begin ... end)* --> keep: it is a blob now
 *     `--------------------------------------------------------> remove
 *
 * What `end` has returned for is on the disk. What was written without it stays as well unless the
 * power fails: the size tells how much there is.
 *
 * Threading: any thread; a writer has one owner at a time, and a file has at most one writer, also
 * of those in other processes that have the directory open.
 */
#ifndef SL_OBJECT_STORE_INCOMING_H
#define SL_OBJECT_STORE_INCOMING_H

#include "object-store/blob.h"
#include "runtime/base.h"

#define SL_INCOMING_NAME_MAX    64 /* Letters, digits and '_'. */
#define SL_INCOMING_SECRET_SIZE 32

struct sl_incoming;
struct sl_incoming_writer;

/* Open the directory, made (0700) when absent. SL_EIO, SL_EDENIED, SL_ENOSPC. */
SL_MUST_CHECK enum sl_err sl_incoming_open(const char *directory, bool is_sync_off,
                                           struct sl_incoming **ret_incoming);
void sl_incoming_close(struct sl_incoming **incoming); /* NULL inside is fine. */
/* Random bytes that stay with the directory: what signs addresses to it. */
const uint8_t *sl_incoming_secret(const struct sl_incoming *incoming);

/* An empty file, durable. SL_EEXIST, SL_EINVAL: the name, SL_ENOSPC, SL_EIO. Blocks. */
SL_MUST_CHECK enum sl_err sl_incoming_make(struct sl_incoming *incoming, const char *name);
/* Bytes that have come. SL_ENOTFOUND, SL_EINVAL, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_incoming_size(const struct sl_incoming *incoming, const char *name,
                                           uint64_t *ret_size_bytes);
/* Open it for reading; the caller closes. SL_ENOTFOUND, SL_EINVAL, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_incoming_read(const struct sl_incoming *incoming, const char *name,
                                           int *ret_fd);
/* Bytes that may come before the disk is too full for the rest of sluice. */
uint64_t sl_incoming_room(const struct sl_incoming *incoming);
/* Absent: nothing to do. */
void sl_incoming_remove(struct sl_incoming *incoming, const char *name);

/*
 * Write from `offset` on; what lies behind it is dropped, so a piece can be sent again. SL_EINVAL:
 * the name, or fewer bytes are there than `offset`. SL_ENOTFOUND. SL_EBUSY: somebody writes it.
 * SL_ETOOBIG: offset over the limit.
 */
SL_MUST_CHECK enum sl_err sl_incoming_begin(struct sl_incoming *incoming, const char *name,
                                            uint64_t offset, uint64_t size_bytes_max,
                                            struct sl_incoming_writer **ret_writer);
/* SL_ETOOBIG, SL_ENOSPC, SL_EIO; after an error only end or drop make sense. */
SL_MUST_CHECK enum sl_err sl_incoming_append(struct sl_incoming_writer *w, const void *data,
                                             size_t size);
uint64_t sl_incoming_writer_size(const struct sl_incoming_writer *w); /* Of the whole file. */
/*
 * Make what came durable and destroy the writer, whatever is returned. With `is_whole` the SHA-256
 * of the whole file as well, as blobs are named; it reads what came with earlier writers. Blocks.
 */
SL_MUST_CHECK enum sl_err sl_incoming_end(struct sl_incoming_writer **writer, bool is_whole,
                                          struct sl_blob *ret_blob);
void sl_incoming_drop(struct sl_incoming_writer **writer); /* Keeps what came. NULL is fine. */

/*
 * Turn the file into the blob that `end` named. Once it is one, doing it again is SL_OK: so a crash
 * after it needs no care. SL_ENOTFOUND: neither file nor blob. SL_ESTALE: the file has another
 * size. SL_EBUSY: somebody writes it. Blocks.
 */
SL_MUST_CHECK enum sl_err sl_incoming_keep(struct sl_incoming *incoming, const char *name,
                                           struct sl_blobs *blobs, const struct sl_blob *blob);

/* Remove each file that `is_kept` says no to, while nobody writes. How many it were. */
typedef bool sl_incoming_is_kept_fn(void *arg, const char *name);
uint32_t sl_incoming_sweep(struct sl_incoming *incoming, sl_incoming_is_kept_fn *is_kept,
                           void *arg);

#endif
