/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collection_config.h - what a client says of a collection's extractor, checked and resolved: the
 * inputs, the model that makes its vectors, and the row the dispatcher works from.
 */
#ifndef SL_GATEWAY_COLLECTION_CONFIG_H
#define SL_GATEWAY_COLLECTION_CONFIG_H

#include "gateway/extractor/info.h"
#include "gateway/resource.h"

#define SL_COLLECTION_BUCKETS_MAX 100
#define SL_COLLECTION_PARENTS_MAX 16

struct sl_collection_config {
    const struct sl_extractor_info *info;
    struct sl_json extractor, params; /* As sent; params NONE: none. */
    /* What feeds it: buckets, or collections. */
    struct sl_resource buckets[SL_COLLECTION_BUCKETS_MAX];
    uint32_t buckets_count;
    struct sl_resource parents[SL_COLLECTION_PARENTS_MAX];
    uint32_t parents_count;
    uint32_t tier;              /* 0: fed by buckets; else one more than its last parent's. */
    struct sl_json filters;     /* What of it is read; NONE: all. */
    struct sl_json schema;      /* Of the first source: {"properties":{...}} */
    struct sl_json inputs;      /* [{"name","path"|"value"}] */
    struct sl_json passthrough; /* [{"source_path",...}] */
    bool include_all;
    struct sl_slice model, index; /* Empty: no model (built in), no vectors. */
    uint32_t dimensions;
};

/* Read call->body. False: the call has failed. */
bool sl_collection_config_read(struct sl_call *call, struct sl_collection_config *ret_config);
/* The SL_TABLE_EXTRACTION row. */
void sl_collection_config_extraction(struct sl_call *call, const struct sl_collection_config *c,
                                     bool is_enabled, struct sl_jsonw *w);

#endif
