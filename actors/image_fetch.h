/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_fetch.h - one image that a node fetches: its pull, its part on the disk, its work on the
 * I/O pool, and who waits for it. Part of the actor of images, which decides what is done when.
 *
 * Threading: the actor's.
 */
#ifndef SL_ACTORS_IMAGE_FETCH_H
#define SL_ACTORS_IMAGE_FETCH_H

#include "actors/image_message.h"
#include "actors/image_work.h"
#include "actors/pull.h"
#include "runtime/actor.h"

#define SL_IMAGE_LOCATE_NS (250 * SL_MILLI_NS) /* Doubled as long as it does not help. */

struct sl_image_fetch {
    struct sl_image_fetch *next;
    struct sl_image_name name;
    struct sl_pull *pull; /* NULL: not begun. */
    struct sl_image_part *part;
    struct sl_image_work *busy;      /* Its work on the pool; one at a time. */
    struct sl_image_work *gathering; /* Chunks for the next. */
    struct sl_msg *calls;            /* Who waits for it. */
    bool has_looked;                 /* Whether it is here, or a part of it. */
    bool is_dropped;
    bool is_finishing;
    bool has_room; /* It counts among what is here. */
    uint32_t unknown;
    uint64_t locate_ns, locate_pause_ns, taken_bytes;
};

static inline struct sl_addr
sl_image_locator(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_LOCATOR);
}

struct sl_image_fetch *sl_image_fetch_lookup(struct sl_image_fetch *list,
                                             const struct sl_image_name *name);
void sl_image_fetch_destroy(struct sl_image_fetch **fetch); /* No work of its is under way. */
/* Keep a copy of a call, which is answered when it ends. */
void sl_image_fetch_wait(struct sl_image_fetch *f, const struct sl_msg *call);
struct sl_msg *sl_image_call_copy(const struct sl_msg *call);

/* Work on the pool; none of its is under way. */
void sl_image_fetch_run(struct sl_image_fetch *f, struct sl_ctx *ctx, struct sl_image_work *work);
void sl_image_fetch_run_begin(struct sl_image_fetch *f, struct sl_ctx *ctx,
                              const struct sl_images *images);
void sl_image_fetch_run_finish(struct sl_image_fetch *f, struct sl_ctx *ctx,
                               const struct sl_images *images);

/* Ask the locator for holders, if more would help and it is time; holders for what they have. */
void sl_image_fetch_locate(struct sl_image_fetch *f, struct sl_ctx *ctx);
void sl_image_fetch_ask(struct sl_image_fetch *f, struct sl_ctx *ctx);
/* What is here of it, for others; a byte at least, for nothing means all. */
void sl_image_fetch_have(const struct sl_image_fetch *f, struct sl_buf *out);

#endif
