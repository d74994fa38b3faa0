/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_words.h - what the head tells nodes of replicas' numbers, and keeps of what nodes say.
 * Part of the head actor.
 */
#ifndef SL_ACTORS_HEAD_WORDS_H
#define SL_ACTORS_HEAD_WORDS_H

#include "actors/head.h"
#include "actors/head_health.h"

/* How many replicas the node's pools may have. */
void sl_head_tell_replicas(const struct sl_head_options *options, struct sl_ctx *ctx,
                           uint32_t node);
/* Keep a node's text instead of the last one in *kept, which is owned; NULL for an empty one. */
void sl_head_keep(char **kept, struct sl_slice text);
/* Keep a node's word on its pools, a JSON array, instead of the last one in *scaling, which is
 * owned; and which of them crash. */
void sl_head_keep_scaling(char **scaling, struct sl_head_sicks *sicks,
                          const struct sl_m_node_scaling *m, uint64_t now_ns);

#endif
