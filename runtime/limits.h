/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - every limit that more than one module must agree on.
 */
#ifndef SL_RUNTIME_LIMITS_H
#define SL_RUNTIME_LIMITS_H

#include <assert.h>

#include "runtime/base.h"

#define SL_LIMIT_RECORD_BYTES      (32 * SL_MIB) /* One log record: one request's effects. */
#define SL_LIMIT_FRAME_BYTES       (32 * SL_MIB) /* One frame between processes. */
#define SL_LIMIT_INPUTS_BYTES      (16 * SL_MIB) /* All inputs of one task, blobs by name. */
#define SL_LIMIT_OUTPUTS_BYTES     (20 * SL_MIB) /* All records of one task, as they are sent. */
#define SL_LIMIT_JSON_BODY_BYTES   (10 * SL_MIB)
#define SL_LIMIT_OBJECT_BODY_BYTES (50 * SL_MIB) /* Object create: inline blobs. */
#define SL_LIMIT_ARCHIVE_BYTES     (10 * SL_GIB) /* A model's .tar.gz. */
#define SL_LIMIT_UPLOAD_BYTES      (64 * SL_GIB) /* One presigned upload. */
#define SL_LIMIT_INLINE_BYTES                                                                      \
    (64 * SL_KIB)                        /* A value that travels in a message or row; larger       \
                                            ones are blobs. */
#define SL_LIMIT_LINK_BYTES       SL_GIB /* Sent to a peer and not acknowledged yet. */
#define SL_LIMIT_NODE_BYTES       (256 * SL_MIB) /* Inputs of all tasks under way at a node. */
#define SL_LIMIT_REPLY_BYTES      (64 * SL_MIB)
#define SL_LIMIT_RECORDS_PER_TASK 10000 /* Chunks of one source, or of one part of it. */
#define SL_LIMIT_RECORDS_PER_SOURCE                                                                \
    10000000 /* In all parts, of an extractor that works part by part. */

static_assert(SL_LIMIT_INLINE_BYTES < SL_LIMIT_FRAME_BYTES, "an inline value fits in a frame");
static_assert(SL_LIMIT_INPUTS_BYTES + SL_LIMIT_JSON_BODY_BYTES + SL_MIB < SL_LIMIT_FRAME_BYTES,
              "a task's inputs and its extractor's parameters fit in a frame");
static_assert(2 * (SL_LIMIT_NODE_BYTES + SL_LIMIT_FRAME_BYTES) < SL_LIMIT_LINK_BYTES,
              "a node's tasks do not fill its link");
static_assert(SL_LIMIT_OUTPUTS_BYTES + SL_MIB < SL_LIMIT_FRAME_BYTES, "outputs fit in a frame");
static_assert(SL_LIMIT_JSON_BODY_BYTES < SL_LIMIT_RECORD_BYTES, "a body fits in a record");

#endif
