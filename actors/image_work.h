/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_work.h - what the actor of images has done on the I/O pool: everything that touches its
 * directory. A piece of work is the actor's until it is destroyed, also while it is done.
 *
 * Threading: sl_image_work_run on any thread; all else the actor's, not meanwhile.
 */
#ifndef SL_ACTORS_IMAGE_WORK_H
#define SL_ACTORS_IMAGE_WORK_H

#include "object-store/images.h"
#include "runtime/message.h"

#define SL_IMAGE_WRITES_MAX 64
#define SL_IMAGE_WORK_TOKEN 1

enum sl_image_work_kind {
    SL_IMAGE_BEGIN,  /* chunks, if any -> part, has, or SL_EEXIST and size_bytes */
    SL_IMAGE_WRITE,  /* part, writes -> their errs */
    SL_IMAGE_FINISH, /* part (taken) -> size_bytes */
    SL_IMAGE_READ,   /* index -> bytes */
    SL_IMAGE_LIST,   /* -> chunks */
    SL_IMAGE_EACH,   /* -> bytes: names, each with its size (u64) */
    SL_IMAGE_LOOK,   /* -> size_bytes */
    SL_IMAGE_SWEEP,  /* bytes: names of what stays -> index: how many files went */
    SL_IMAGE_REMOVE
};

struct sl_image_write {
    uint32_t node, index;
    struct sl_slice data; /* The work's. */
    enum sl_err err;
};

struct sl_image_work {
    struct sl_image_work *next;
    const struct sl_images *images;
    enum sl_image_work_kind kind;
    struct sl_image_name name;
    enum sl_err err;
    uint32_t index;
    struct sl_addr from; /* Who asked: of READ and LIST. */
    struct sl_msg *call; /* Of LOOK: what it answers. The work's; NULL: none. */
    struct sl_buf bytes;
    struct sl_chunks chunks;    /* count 0 and no digests: none. */
    struct sl_image_part *part; /* Of BEGIN and FINISH its own; of WRITE borrowed. */
    uint8_t *has;
    uint64_t size_bytes;
    struct sl_image_write writes[SL_IMAGE_WRITES_MAX];
    uint32_t writes_count;
};

struct sl_image_work *sl_image_work_create(const struct sl_images *images,
                                           enum sl_image_work_kind kind,
                                           const struct sl_image_name *name);
void sl_image_work_destroy(struct sl_image_work **work);
/* Copies the bytes. There is room. */
void sl_image_work_add(struct sl_image_work *work, uint32_t node, uint32_t index,
                       struct sl_slice bytes);
void sl_image_work_keep(struct sl_image_work *work, const struct sl_image_name *name); /* SWEEP. */
void sl_image_work_run(void *work);                                                    /* Blocks. */

#endif
