/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/inference.h - what benchmarks of online requests ask a server that they started: an
 * extractor of benchmarks/, for a text.
 * Threading: one owner. Blocks.
 */
#ifndef SL_GATEWAY_BENCH_INFERENCE_H
#define SL_GATEWAY_BENCH_INFERENCE_H

#include "gateway/bench/server.h"

/* A bucket, and a collection of it by that extractor ("noop_extractor"). False: refused, as was
 * said. */
bool sl_bench_inference_collection(struct sl_bench_client *client, const char *extractor);

/* Append a whole POST of that body (JSON) to /v1/inference, of the client's tenant. */
void sl_bench_inference_request(const struct sl_bench_client *client, const char *body,
                                struct sl_buf *out);

uint16_t sl_bench_server_port(const struct sl_bench_server *server);

#endif
