/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_writer.h - write a model's image, front to back, while its parts arrive.
 *
 *   create --> (begin --> append... --> end)* --> rename --> finish
 *                                        any time: destroy
 *
 * An item whose bytes are there already, under whatever name, is not stored again. Names may be
 * given anew until the end, since what wraps an archive is known only then.
 *
 * Threading: one owner. Blocks on the file.
 */
#ifndef SL_OBJECT_STORE_IMAGE_WRITER_H
#define SL_OBJECT_STORE_IMAGE_WRITER_H

#include "object-store/cause.h"
#include "object-store/chunks.h"
#include "object-store/model_image.h"
#include "runtime/base.h"
#include "runtime/buf.h"

struct sl_image_writer;

struct sl_image_options {
    int fd;                  /* Borrowed; empty, opened to be read and written. */
    uint64_t size_bytes_max; /* Of the image. */
    bool is_digest_off;      /* No digests: neither of items nor of the image. Nothing is shared. */
};

struct sl_image_item {
    enum sl_model_kind kind;
    const char *name; /* Copied. Up to SL_MODEL_PATH_SIZE_MAX bytes, at least one. */
    uint64_t size_bytes;
    enum sl_dtype dtype; /* This and what follows: of tensors. */
    uint32_t dims_count;
    const uint64_t *shape;
};

/* `cause` is borrowed for the writer's life; errors say there what is wrong. */
struct sl_image_writer *sl_image_writer_create(const struct sl_image_options *options,
                                               struct sl_cause *cause);
void sl_image_writer_destroy(struct sl_image_writer **w); /* NULL inside is fine. */

/* SL_ETOOBIG: over the image's limit, or too many items. SL_EIO, SL_ENOSPC. */
SL_MUST_CHECK enum sl_err sl_image_begin(struct sl_image_writer *w,
                                         const struct sl_image_item *item);
/* The item's next bytes; no more in all than it said. SL_EIO, SL_ENOSPC. */
SL_MUST_CHECK enum sl_err sl_image_append(struct sl_image_writer *w, const void *data, size_t size);
/* All its bytes have come. */
SL_MUST_CHECK enum sl_err sl_image_end(struct sl_image_writer *w);

/* Items are numbered as they were begun. */
uint32_t sl_image_items_count(const struct sl_image_writer *w);
const char *sl_image_item_name(const struct sl_image_writer *w, uint32_t item);
enum sl_model_kind sl_image_item_kind(const struct sl_image_writer *w, uint32_t item);
void sl_image_rename(struct sl_image_writer *w, uint32_t item, const char *name);
/* An ended item's bytes into `out`. SL_EIO. */
SL_MUST_CHECK enum sl_err sl_image_read(struct sl_image_writer *w, uint32_t item,
                                        struct sl_buf *out);

/*
 * Write the table and the header. SL_EINVAL: two items of one kind have the same name. What
 * *ret_chunks holds is the caller's; empty where digests are off. Destroy the writer afterwards.
 */
SL_MUST_CHECK enum sl_err sl_image_finish(struct sl_image_writer *w, uint64_t *ret_size_bytes,
                                          struct sl_chunks *ret_chunks);

#endif
