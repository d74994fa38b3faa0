/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blob.h - immutable bytes in files named by their SHA-256: uploads, archives, large values.
 *
 *   writer_create --> append ... --> finish (synced, renamed, directory synced) --> blob
 *                               `--> abort  (nothing is left)
 *
 *   DIRECTORY/tmp/<random>        being written (locked); what a crash left is removed at open
 *   DIRECTORY/ab/<64 hex digits>  complete; the same bytes are the same file
 *
 * Nobody counts references here: who removes a blob knows that nothing points to it.
 * Threading: calls block on the disk. Writers are independent; each has one owner at a time. One
 * process owns the directory; others may join it.
 */
#ifndef SL_OBJECT_STORE_BLOB_H
#define SL_OBJECT_STORE_BLOB_H

#include "runtime/base.h"
#include "runtime/hash.h"

#define SL_BLOB_LEFT_SIZE 33
#define SL_BLOB_ID_SIZE   (2 * SL_SHA256_SIZE + 1) /* 64 lower-case hex digits and a NUL. */

struct sl_blobs;
struct sl_blob_writer;

struct sl_blob {
    char id[SL_BLOB_ID_SIZE];
    uint64_t size_bytes;
};

/* Exactly 64 lower-case hex digits. Every call that takes an id checks it: SL_EINVAL. */
bool sl_blob_is_id(const char *text);

/* Open, or make, the directory. With `is_sync_off` nothing is synced: for tests. SL_EIO,
 * SL_EDENIED, SL_ENOSPC. */
SL_MUST_CHECK enum sl_err sl_blobs_open(const char *directory, bool is_sync_off,
                                        struct sl_blobs **ret_blobs);
/* The same beside the process that owns it: what others write in tmp/ is let be. */
SL_MUST_CHECK enum sl_err sl_blobs_join(const char *directory, struct sl_blobs **ret_blobs);
void sl_blobs_close(struct sl_blobs **blobs); /* After its last writer. NULL inside is fine. */

/* Start a blob of at most `size_bytes_max`; `blobs` must outlive the writer. SL_EIO, SL_ENOSPC. */
SL_MUST_CHECK enum sl_err sl_blob_writer_create(struct sl_blobs *blobs, uint64_t size_bytes_max,
                                                struct sl_blob_writer **ret_writer);
/* SL_ETOOBIG: over the limit. SL_ENOSPC, SL_EIO. After an error only abort makes sense; finish
 * would return the error again. */
SL_MUST_CHECK enum sl_err sl_blob_writer_append(struct sl_blob_writer *w, const void *data,
                                                size_t size);
uint64_t sl_blob_writer_size(const struct sl_blob_writer *w);
/* Make the blob durable and destroy the writer, whatever is returned; on error nothing is left. */
SL_MUST_CHECK enum sl_err sl_blob_writer_finish(struct sl_blob_writer **writer,
                                                struct sl_blob *ret_blob);
/*
 * End with an open file that has no name: what one request brings for itself alone, so that no
 * other blob of the same bytes is touched when it goes. *ret_fd reads from the start and is the
 * caller's. Nothing is made durable. Destroys the writer, whatever is returned.
 */
SL_MUST_CHECK enum sl_err sl_blob_writer_detach(struct sl_blob_writer **writer,
                                                struct sl_blob *ret_blob, int *ret_fd);
/* The same with a name that another process's sl_blob_take takes the file by. */
SL_MUST_CHECK enum sl_err sl_blob_writer_leave(struct sl_blob_writer **writer,
                                               struct sl_blob *ret_blob,
                                               char ret_name[static SL_BLOB_LEFT_SIZE]);
/* Open such a file and take its name away. SL_EINVAL: the name. SL_ENOTFOUND, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_blob_take(struct sl_blobs *blobs, const char *name, int *ret_fd);
/* Remove such a file, if it is there still. */
void sl_blob_drop_left(struct sl_blobs *blobs, const char *name);
void sl_blob_writer_abort(struct sl_blob_writer **writer); /* NULL inside is fine. */

/* All of it in one call. */
SL_MUST_CHECK enum sl_err sl_blob_put(struct sl_blobs *blobs, struct sl_slice data,
                                      struct sl_blob *ret_blob);

/* Make the file `name` of a directory on the same file system the blob `id`. Its bytes are durable
 * and are those of the id: it is believed. The old name is gone. SL_ENOTFOUND, SL_EIO, SL_ENOSPC.
 */
SL_MUST_CHECK enum sl_err sl_blob_adopt(struct sl_blobs *blobs, int from_fd, const char *name,
                                        const char *id);

/* Open for reading; the caller closes the descriptor. SL_ENOTFOUND, SL_EINVAL, SL_EIO. */
SL_MUST_CHECK enum sl_err sl_blob_open(const struct sl_blobs *blobs, const char *id, int *ret_fd,
                                       uint64_t *ret_size_bytes);
SL_MUST_CHECK enum sl_err sl_blob_size(const struct sl_blobs *blobs, const char *id,
                                       uint64_t *ret_size_bytes);
/* Readers that have it open keep it. Absent: SL_OK. */
SL_MUST_CHECK enum sl_err sl_blob_remove(struct sl_blobs *blobs, const char *id);
/* The same of one that got its name before `before_ms` (wall clock), or is absent. SL_EBUSY: it is
 * younger; also one that a writer finishes meanwhile stays. */
SL_MUST_CHECK enum sl_err sl_blob_remove_older(struct sl_blobs *blobs, const char *id,
                                               uint64_t before_ms);

/*
 * Remove each blob that `is_kept` says no to, while nobody writes: one that is being made would be
 * taken for garbage. The first error of listing is returned; what was removed is counted all the
 * same. A file that cannot be removed stays.
 */
typedef bool sl_blob_is_kept_fn(void *arg, const char *id);
SL_MUST_CHECK enum sl_err sl_blobs_sweep(struct sl_blobs *blobs, sl_blob_is_kept_fn *is_kept,
                                         void *arg, uint64_t *ret_removed);

#endif
