/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/minilm.h - all-MiniLM-L6-v2 in a server that is measured. The archive is
 * SLUICE_BENCH_MODEL, or .cache/all-MiniLM-L6-v2.tar.gz (scripts/model) here or where this program
 * was built; without one the weights are seeded, and of the same shape.
 * Threading: one owner. Blocks.
 */
#ifndef SL_GATEWAY_BENCH_MINILM_H
#define SL_GATEWAY_BENCH_MINILM_H

#include "gateway/bench/server.h"

#define SL_BENCH_MINILM "minilm_1_0_0" /* Its id. */

/* Upload it to the client's namespace; *ret_note says which it is, and is static. False: it has
 * been said why. */
bool sl_bench_minilm_upload(const struct sl_bench *bench, struct sl_bench_client *client,
                            const char **ret_note);

#endif
