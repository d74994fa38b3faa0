/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ray_shape.h - what the node is like, in the JSON that clients of Ray's dashboard read, so that
 * `serve status` and `ray job list` answer: read only, made from the text of status.json, and
 * knowing no more than that has. An extractor is an application with one deployment.
 *
 *   /api/version   /api/ray/version   /api/serve/applications/   /api/jobs/   /api/jobs/{id}
 *
 * Threading: pure.
 */
#ifndef SL_GATEWAY_RAY_SHAPE_H
#define SL_GATEWAY_RAY_SHAPE_H

#include "runtime/buf.h"

/* Whether it is one of these paths. */
bool sl_ray_shape_has(const char *path);
/* Append the reply to one; what `status` does not say is left out. 200, or 404: no such job. */
uint16_t sl_ray_shape_write(const char *path, struct sl_slice status, uint64_t now_ms,
                            struct sl_buf *out);

#endif
