/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_locator.h - the head's actor that tells nodes where to fetch images: image_directory.h with
 * an address. It forgets a node when the head does; nodes say what they have again now and then, so
 * that a head that was started again knows it, too. Where nodes cannot reach each other it sends
 * them all to the head.
 */
#ifndef SL_ACTORS_IMAGE_LOCATOR_H
#define SL_ACTORS_IMAGE_LOCATOR_H

#include "actors/image_directory.h"
#include "runtime/actor.h"

struct sl_image_locator_options {
    /* Nodes have links to the head alone: they fetch from it, if its own images have what they want
     * (see is_origin of image_node.h), and are told at once if not. */
    bool is_star;
};

extern const struct sl_actor_class sl_image_locator_class; /* Argument: its options; NULL: zeros. */
/* Of its state, borrowed for as long as it lives: for tests. */
const struct sl_image_directory *sl_image_locator_directory(const void *locator);

#endif
