/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embedded.h - what a replica made of an online call, as the reply to who asked: the first vector
 * of its first output, or why there is none. Threading: none of its own; it keeps nothing.
 */
#ifndef SL_ACTORS_EMBEDDED_H
#define SL_ACTORS_EMBEDDED_H

#include "actors/cluster.h"
#include "actors/pool_times.h"

/* `outputs` as extractors/replica.h has them. The reply borrows from them. */
struct sl_m_embedded sl_embedded_of_outputs(struct sl_slice outputs,
                                            const struct sl_item_times *times);
struct sl_m_embedded sl_embedded_of_failure(uint64_t kind, struct sl_slice message);

#endif
