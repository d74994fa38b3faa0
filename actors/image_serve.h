/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_serve.h - the questions of other nodes that wait to be read from the disk, first come first
 * served, within bounds: a few are read at a time, and no node has more than its share waiting.
 * Part of the actor of images.
 */
#ifndef SL_ACTORS_IMAGE_SERVE_H
#define SL_ACTORS_IMAGE_SERVE_H

#include "actors/image_work.h"

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
/* True: it was one of these, and is the caller's to destroy now. */
bool sl_image_serve_end(struct sl_image_serve *s, const struct sl_image_work *work);

#endif
