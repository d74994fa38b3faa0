/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extractor/describe.h - what an installed plugin says of itself, for the catalogue. Its code runs
 * in a process of its own, bounded in time and output; what that prints is checked here.
 */
#ifndef SL_GATEWAY_EXTRACTOR_DESCRIBE_H
#define SL_GATEWAY_EXTRACTOR_DESCRIBE_H

#include "gateway/arena.h"
#include "gateway/extractor/info.h"
#include "object-store/cause.h"

/*
 * Fill in `info`, whose name and defaults are set, from what the plugin file at `path` says:
 * version, id, description, schemas, position fields, its vector index. `how` says by which program
 * it is asked, and how held; its directories are not looked at. What is filled in lives in `arena`.
 * SL_EUNAVAIL: the plugin cannot be loaded, or took too long; SL_EINVAL: what it says is malformed.
 * Then `info` is as it was, and the cause says why in words for the operator. Blocks for up to ten
 * seconds.
 */
SL_MUST_CHECK enum sl_err sl_extractor_describe(const struct sl_extractor_plugins *how,
                                                const char *path, struct sl_arena *arena,
                                                struct sl_extractor_info *info,
                                                struct sl_cause *ret_cause);

/* The same from the text that the process printed; pure. */
SL_MUST_CHECK enum sl_err sl_extractor_description_read(struct sl_slice text,
                                                        struct sl_arena *arena,
                                                        struct sl_extractor_info *info,
                                                        struct sl_cause *ret_cause);

#endif
