/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data_format.h - DIR/format: which version of files a data directory holds.
 *
 * Threading: any; blocks on the disk.
 */
#ifndef SL_GATEWAY_DATA_FORMAT_H
#define SL_GATEWAY_DATA_FORMAT_H

#include "runtime/base.h"

/* Make it where it is not there. False: it cannot be read, or a newer program wrote it; on standard
 * error it was said, as `sluice VERB`. */
bool sl_data_format_check(const char *verb, const char *data);

#endif
