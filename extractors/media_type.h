/* SPDX-License-Identifier: Apache-2.0 */
/*
 * media_type.h - what kind of bytes these are, by their first ones. A guess for a label, never a
 * base for trust. Pure; any thread.
 */
#ifndef SL_EXTRACTORS_MEDIA_TYPE_H
#define SL_EXTRACTORS_MEDIA_TYPE_H

#include "runtime/base.h"

/* The MIME type, "application/octet-stream" when nothing fits. Static text. */
const char *sl_media_type(struct sl_slice data);

/*
 * The type to report, given what the client declared (NULL: nothing): the bytes win where they are
 * unmistakable; a well-formed declaration wins over "text/plain" and "application/octet-stream".
 * Static, or `declared` itself.
 */
const char *sl_media_type_with(struct sl_slice data, const char *declared);

#endif
