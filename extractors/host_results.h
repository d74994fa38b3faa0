/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host_results.h - what a plugin emits in one batch, copied and checked: the sink's other side.
 * A part of host.c. Not for others.
 */
#ifndef SL_EXTRACTORS_HOST_RESULTS_H
#define SL_EXTRACTORS_HOST_RESULTS_H

#include "extractors/host.h"

struct sl_collector;

/* Never NULL. */
struct sl_collector *sl_collector_create(uint32_t count);

/* The sink to hand to the plugin; lives until finish. */
const struct sluice_sink *sl_collector_sink(struct sl_collector *c);

/* Fail the items that are not finished yet, and move everything to *ret_results. */
void sl_collector_finish(struct sl_collector **c, const char *code, const char *message,
                         struct sl_host_results *ret_results);

#endif
