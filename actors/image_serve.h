/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_serve.h - the questions of other nodes that wait to be read from the disk, first come first
 * served, within bounds: a few are read at a time, and no node has more than its share waiting.
 * Part of the actor of images.
 */
#ifndef SL_ACTORS_IMAGE_SERVE_H
#define SL_ACTORS_IMAGE_SERVE_H

#include "actors/image_message.h"
#include "actors/image_work.h"
#include "runtime/actor.h"

#define SL_SERVE_RUNNING_MAX 4
#define SL_SERVE_WAITING_MAX 512
#define SL_SERVE_A_NODE_MAX  32

struct sl_image_serve {
    struct sl_image_work *oldest, **tail; /* Waiting. */
    struct sl_image_work *running;        /* In no order. */
    uint32_t waiting_count, running_count;
};

void sl_image_serve_init(struct sl_image_serve *s);
void sl_image_serve_deinit(struct sl_image_serve *s); /* After the last work was done. */
/* Takes the work. False, and it is left alone: too much waits, or the same list is being made. */
bool sl_image_serve_add(struct sl_image_serve *s, struct sl_image_work *work);
/* The next to be run, which stays here until it is ended; NULL: none now. */
struct sl_image_work *sl_image_serve_next(struct sl_image_serve *s);
void sl_image_serve_run(struct sl_image_serve *s, struct sl_ctx *ctx); /* All that may run now. */
/* True: it was one of these, and is the caller's to destroy now. */
bool sl_image_serve_end(struct sl_image_serve *s, const struct sl_image_work *work);

/* A question of another node, image_list_want or image_chunk_want: it is taken, or refused. */
void sl_image_serve_want(struct sl_image_serve *s, struct sl_ctx *ctx,
                         const struct sl_images *images, const struct sl_msg *msg);
/* Say no to image_chunk_want. `have`: as in image.def. */
void sl_image_serve_refuse(struct sl_ctx *ctx, const struct sl_msg *msg, enum sl_err err,
                           struct sl_slice have);
/* Send a list to who asked; `m` has err and have. */
void sl_image_serve_list(struct sl_ctx *ctx, struct sl_addr to, const struct sl_image_name *name,
                         struct sl_m_image_list *m, const struct sl_chunks *chunks);
/* Answer who asked, with what work that has ended brought. */
void sl_image_serve_reply(struct sl_ctx *ctx, const struct sl_image_work *work,
                          struct sl_slice have);

#endif
