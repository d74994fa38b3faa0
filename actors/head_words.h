/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_words.h - what the head tells nodes of replicas' numbers, and keeps of what nodes say.
 * Part of the head actor.
 */
#ifndef SL_ACTORS_HEAD_WORDS_H
#define SL_ACTORS_HEAD_WORDS_H

#include "actors/head.h"
#include "actors/head_health.h"
#include "actors/node_facts.h"

/* How many replicas the node's pools may have. */
void sl_head_tell_replicas(const struct sl_head_options *options, struct sl_ctx *ctx,
                           uint32_t node);
/* The number of the tenant of a node's taint, 0 without one; false: there is no such tenant. */
bool sl_head_taint(const struct sl_ctx *ctx, const struct sl_node_facts *facts,
                   uint64_t *ret_taint);
/* Keep a node's text instead of the last one in *kept, which is owned; NULL for an empty one. */
void sl_head_keep(char **kept, struct sl_slice text);
/* Keep a node's word on its pools, a JSON array, instead of the last one in *scaling, which is
 * owned; and which of them crash. */
void sl_head_keep_scaling(char **scaling, struct sl_head_sicks *sicks,
                          const struct sl_m_node_scaling *m, uint64_t now_ns);

#endif
