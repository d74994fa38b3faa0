/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overrides/store.h - the overrides that were applied, in DIR/overrides.yaml: the file as its
 * author wrote it, so that each start merges it with the extractors of that day.
 *
 * Another one takes its place as a whole: written aside, synced, renamed. Whatever dies meanwhile,
 * a start finds the old one or the new one.
 *
 * Threading: blocking; one writer at a time.
 */
#ifndef SL_GATEWAY_OVERRIDES_STORE_H
#define SL_GATEWAY_OVERRIDES_STORE_H

#include "runtime/file.h"

#define SL_OVERRIDES_FILE "overrides.yaml"

/* What is there is the new text on SL_OK; on an error the old one, or (when the error came from the
 * directory's own sync) either. Errors: the disk's. */
SL_MUST_CHECK enum sl_err sl_overrides_save(struct sl_disk *disk, struct sl_slice text);
/* Append it to *text. SL_ENOTFOUND: none was ever applied; SL_ETOOBIG: more than YAML of ours may
 * have; else the disk's. */
SL_MUST_CHECK enum sl_err sl_overrides_load(struct sl_disk *disk, struct sl_buf *text);

#endif
