/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale_book.h - what the configuration says of extractors' replicas, by their names:
 *
 *   {"NAME":{"autoscaling_config":{"min_replicas":"1","max_replicas":"4"},"memory":"2GiB",
 *            "batching":{"units":"4096","items":"64","delay":"5ms"}, ...}}
 *
 * Members that are others' (labels) are none of its business.
 *
 * Threading: plain state, one owner.
 */
#ifndef SL_ACTORS_SCALE_BOOK_H
#define SL_ACTORS_SCALE_BOOK_H

#include "actors/scale_settings.h"
#include "extractors/batch_service.h"

struct sl_scale_page {
    char *extractor;
    struct sl_scale_settings settings;
};

struct sl_scale_memory { /* Most of a replica's own. */
    char *extractor;
    uint64_t bytes;
};

struct sl_scale_batching { /* What holds instead of what its plugin states. */
    char *extractor;
    struct sl_batch_override override;
};

struct sl_scale_book { /* Zeroed: nothing is said of any. */
    struct sl_scale_page *pages;
    struct sl_scale_memory *memories;
    struct sl_scale_batching *batchings;
    uint32_t count, memories_count, batchings_count;
};

/*
 * Read the configuration's text; "" says nothing. What a page leaves out is as in `defaults`; that
 * settings fit each other is checked. SL_EINVAL: *ret_why says where and what, and is the caller's.
 */
SL_MUST_CHECK enum sl_err sl_scale_book_read(struct sl_slice config,
                                             const struct sl_scale_settings *defaults,
                                             struct sl_scale_book *ret_book, char **ret_why);
void sl_scale_book_deinit(struct sl_scale_book *book); /* Zeroed is fine. */
bool sl_scale_book_is_same(const struct sl_scale_book *a, const struct sl_scale_book *b);
/* NULL: nothing is said of it. */
const struct sl_scale_settings *sl_scale_book_lookup(const struct sl_scale_book *book,
                                                     const char *extractor);
/* Most memory of one of its replicas; `fallback`: nothing is said of it. */
uint64_t sl_scale_book_memory(const struct sl_scale_book *book, const char *extractor,
                              uint64_t fallback);
/* How its batches are formed; zeroed: as its plugin states. */
struct sl_batch_override sl_scale_book_batching(const struct sl_scale_book *book,
                                                const char *extractor);

#endif
