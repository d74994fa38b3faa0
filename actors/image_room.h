/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_room.h - which images lie on a node's disk, how much they take, and which has to go for
 * another: the one that was wanted longest ago. Those that are coming count in full from when their
 * size is known, and stay.
 *
 *   (none) --coming--> COMING --here--> WHOLE --evict, drop--> (none)
 *              `--drop, as its fetch failed--> (none)
 *
 * Threading: plain state, one owner. It touches no file: who was told to remove one does that.
 */
#ifndef SL_ACTORS_IMAGE_ROOM_H
#define SL_ACTORS_IMAGE_ROOM_H

#include "object-store/images.h"

struct sl_image_kept;

struct sl_image_room {
    uint64_t bytes_max;          /* 0: no limit. */
    struct sl_image_kept *items; /* Owned. */
    uint32_t count, capacity, whole;
    uint64_t bytes; /* Of all of them. */
};

enum sl_image_fit {
    SL_IMAGE_FITS,
    SL_IMAGE_EVICT, /* One has to go first. */
    SL_IMAGE_WAIT,  /* Not before some that are coming are whole, or have failed. */
    SL_IMAGE_NEVER  /* It is larger than the limit. */
};

void sl_image_room_deinit(struct sl_image_room *room); /* Zeroed is fine. */

/* One that is being fetched; it stays. So it is not whole, whatever was thought. */
void sl_image_room_coming(struct sl_image_room *room, const struct sl_image_name *name,
                          uint64_t size_bytes);
/* One that is whole, and was wanted at `used_ns`. 0: it was found here; when it was wanted is not
 * known, or known already. */
void sl_image_room_here(struct sl_image_room *room, const struct sl_image_name *name,
                        uint64_t size_bytes, uint64_t used_ns);
void sl_image_room_drop(struct sl_image_room *room, const struct sl_image_name *name);

/* Whether so many bytes more have room. EVICT: *ret_name is to be removed, is forgotten here, and
 * the question is to be asked again. WAIT, NEVER: nothing has changed. */
enum sl_image_fit sl_image_room_make(struct sl_image_room *room, uint64_t size_bytes,
                                     struct sl_image_name *ret_name);
/* The image at `index` < count, in no order. */
const struct sl_image_name *sl_image_room_name(const struct sl_image_room *room, uint32_t index);

#endif
