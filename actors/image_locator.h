/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_locator.h - the head's actor that tells nodes where to fetch images: image_directory.h with
 * an address. It forgets a node when the head does; nodes say what they have again now and then, so
 * that a head that was started again knows it, too.
 */
#ifndef SL_ACTORS_IMAGE_LOCATOR_H
#define SL_ACTORS_IMAGE_LOCATOR_H

#include "actors/image_directory.h"
#include "runtime/actor.h"

extern const struct sl_actor_class sl_image_locator_class; /* No argument. */
/* Of its state, borrowed for as long as it lives: for tests. */
const struct sl_image_directory *sl_image_locator_directory(const void *locator);

#endif
