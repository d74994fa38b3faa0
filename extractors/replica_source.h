/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replica_source.h - whose lines what a replica prints are, by the text that it is started with.
 *
 * Threading: a plain function.
 */
#ifndef SL_EXTRACTORS_REPLICA_SOURCE_H
#define SL_EXTRACTORS_REPLICA_SOURCE_H

#include "runtime/report_output.h"

void sl_replica_source(const char *text, struct sl_report_source *source);

#endif
