/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execution_stream.h - a run of a retriever as server-sent events, for clients that ask for a
 * stream. The events come together when the run has ended: what a reply says must be durable first,
 * and a run takes milliseconds. A run that fails answers the error alone, as without a stream.
 *
 *   stage_start, stage_complete (each stage)  -->  execution_complete (the whole reply)
 *
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_EXECUTION_STREAM_H
#define SL_GATEWAY_EXECUTION_STREAM_H

#include "gateway/retrieval.h"

/* Replace the reply that is written, a JSON object, by the events of the run. */
void sl_execution_stream(struct sl_retrieval *r, const char *execution_id);

/* What one stage did, as a JSON object. */
void sl_stage_stat_write(const struct sl_stage_stat *stat, struct sl_jsonw *w);

#endif
