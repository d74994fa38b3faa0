/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - the models of a data directory as images that nodes on other hosts fetch: images.h
 * over what lies there anyway, without a second copy.
 *
 *   DATA/models/SCOPE/NAMESPACE/ID.DIGEST/image   the image, its digest in its directory's name
 *   DATA/images/DIGEST                            a link to where it was found last
 *   DATA/images/DIGEST.list                       the digests of its chunks, once somebody asked
 *
 * Nothing has to be told of models that come and go: an image is looked for where its link says,
 * and if it is not there, among all models. So no crash leaves anything that is wrong, and of two
 * models with one image either may be deleted. Links and lists of what is gone go at the next open.
 *
 * Threading: as images.h; open and close by one owner.
 */
#ifndef SL_OBJECT_STORE_ORIGIN_H
#define SL_OBJECT_STORE_ORIGIN_H

#include "object-store/images.h"

struct sl_origin;

/* Makes DATA/images (0700) when absent. SL_EIO and other errors of open and mkdir. */
SL_MUST_CHECK enum sl_err sl_origin_open(const char *data_directory, struct sl_origin **ret_origin);
/* To read from; removing one removes its link. Borrowed until it is closed. */
const struct sl_images *sl_origin_images(const struct sl_origin *origin);
void sl_origin_close(struct sl_origin **origin); /* NULL inside is fine. */

#endif
