/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/head_words.h"

#include "runtime/alloc.h"
#include "runtime/json.h"

#define TEXT_MAX (256 * SL_KIB) /* Of one node's word on its pools. */

void
sl_head_tell_replicas(const struct sl_head_options *options, struct sl_ctx *ctx, uint32_t node)
{
    const char *extractors = options->extractors == NULL ? "" : options->extractors;
    const char *indexes = options->indexes == NULL ? "{}" : options->indexes;
    struct sl_m_scale_config m = {.extractors = sl_slice_str(extractors),
                                  .replicas_max = SL_MAX(options->replicas_max, 1u),
                                  .idle_ns = options->idle_ns,
                                  .indexes = sl_slice_str(indexes)};
    sl_send(ctx, sl_at(node, SL_ACTOR_AGENT), SL_M_scale_config, &m);
}

void
sl_head_keep(char **kept, struct sl_slice text)
{
    sl_free(*kept);
    *kept = text.size == 0 ? NULL : sl_strndup(text.data, text.size);
}

void
sl_head_keep_scaling(char **scaling, struct sl_head_sicks *sicks, const struct sl_m_node_scaling *m,
                     uint64_t now_ns)
{
    struct sl_json_doc *doc = NULL;
    bool is_good = m->pools.size <= TEXT_MAX && sl_json_parse(m->pools, &doc, NULL) == SL_OK &&
                   sl_json_kind(sl_json_root(doc)) == SL_JSON_ARRAY;
    if (is_good)
        sl_head_sicks_take(sicks, sl_json_root(doc), now_ns);
    sl_json_destroy(&doc);
    if (is_good) /* Else it would be no part of a page. */
        sl_head_keep(scaling, m->pools);
}

bool
sl_head_taint(const struct sl_ctx *ctx, const struct sl_node_facts *facts, uint64_t *ret_taint)
{
    *ret_taint = 0;
    if (facts->taint[0] == '\0')
        return true;
    struct sl_txn *txn = sl_store_begin(ctx->store);
    enum sl_err err = sl_home_lookup(txn, sl_home_tenant(sl_slice_str(facts->taint)), ret_taint);
    sl_txn_abort(&txn);
    return err == SL_OK;
}
