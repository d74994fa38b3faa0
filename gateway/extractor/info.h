/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extractor/info.h - the catalogue of feature extractors: what each takes, gives and costs, as one
 * static table (extractor/table.c) that installed plugins are added to (extractor/plugins.c), and
 * the JSON that clients see of it.
 *
 * Those that nothing backs here are listed with available:false and a reason, and refused on use.
 * Threading: constants once sl_extractor_infos_install has returned, but for what is disabled.
 */
#ifndef SL_GATEWAY_EXTRACTOR_INFO_H
#define SL_GATEWAY_EXTRACTOR_INFO_H

#include "runtime/base.h"
#include "runtime/json.h"

#include "extractors/text_hash.h" /* What text_extractor makes while there is no model. */
#include "gateway/call.h"

struct sl_extractor_index {
    const char *name;   /* The last part of the feature URI. */
    const char *output; /* The output field that holds the vector: text_extractor_v1_embedding. */
    uint32_t dimensions;
    const char *purpose; /* text, image, multimodal, audio... */
};

struct sl_extractor_info {
    const char *name, *version, *id; /* text_extractor, v1, text_extractor_v1 */
    const char *description, *icon;
    const char *unavailable_reason; /* NULL: it is available. */
    bool is_custom;                 /* A plugin that the operator installed. */
    bool is_apart;                  /* Each tenant has replicas of its own. */
    bool has_models;                /* And each namespace: they open its models while they work. */

    /* JSON texts. Maps of field -> {"type","description"...}: JSON Schema and BucketSchema alike.
     */
    const char *inputs, *parameters, *outputs;
    const char *inputs_required; /* Array of names. */
    const char *input_types;     /* Array: text, image... */
    const char *inputs_max;      /* Map of input type -> most of it. */
    const char *defaults;        /* Map of parameter -> value. */
    const char *costs;           /* Costs, whole. */
    const char *position_fields; /* Array of outputs that tell records of one source apart. */

    const struct sl_extractor_index *indexes; /* The first is the primary one. */
    uint32_t indexes_count;
};

#define SL_EXTRACTORS_MAX 64

/* All of them, in the order they are listed. */
const struct sl_extractor_info *sl_extractor_infos(uint32_t *ret_count);
/* Those of the table. */
const struct sl_extractor_info *sl_extractor_infos_builtin(uint32_t *ret_count);
/* Where plugins are, and how they are asked for what they are. Borrowed. */
struct sl_extractor_plugins {
    const char *directories; /* ':' between. */
    const char *program;     /* This executable. */
    const char *readable;    /* What replicas may read beside their own directory; NULL: nothing. */
    bool is_open;            /* Without a sandbox, as replicas are run. */
};
/*
 * Add the plugins as they describe themselves; one that cannot is listed as unavailable, with the
 * reason. Once, before
 * another thread could look; what it adds lives as long as the process. One of a listed extractor's
 * name makes it available.
 */
void sl_extractor_infos_install(const struct sl_extractor_plugins *plugins);

/*
 * List those as unavailable that the configuration's `extractors` ({NAME: {disabled: "true"}})
 * disables, and the others as they were. On the thread that reads the catalogue.
 */
void sl_extractor_infos_disable(struct sl_json extractors);
bool sl_extractor_info_is_disabled(struct sl_slice name);

/* NULL: there is none. `version` empty: the first that has the name. */
const struct sl_extractor_info *sl_extractor_info_lookup(struct sl_slice name,
                                                         struct sl_slice version);
const struct sl_extractor_info *sl_extractor_info_by_id(struct sl_slice id);

static inline bool
sl_extractor_info_is_available(const struct sl_extractor_info *info)
{
    return info->unavailable_reason == NULL;
}

/*
 * A JSON object of all: the index that its shared replicas make vectors for, "" for none, null
 * where each tenant has replicas of its own. The caller's to free.
 */
char *sl_extractor_infos_indexes(void);

/* The Extractor object. */
void sl_extractor_info_write(const struct sl_extractor_info *info, struct sl_jsonw *w);
/* The NsExtractor object. */
void sl_extractor_info_write_ns(const struct sl_extractor_info *info, struct sl_jsonw *w);

/*
 * A VectorIndexDef of an index as a collection really has it: `name` after the model that makes the
 * vectors, with its dimensions. For a collection's vector_indexes and a namespace's extractors.
 */
struct sl_vector_index {
    const struct sl_extractor_info *extractor;
    struct sl_slice name;
    uint32_t dimensions;
};
void sl_vector_index_write(const struct sl_vector_index *index, struct sl_jsonw *w);
/* "mixpeek://text_extractor@v1/all_minilm_l6_v2" */
void sl_vector_index_uri(const struct sl_vector_index *index, struct sl_buf *out);

/*
 * Check a collection's `params` (may be NONE) for the extractor: 422 on the call for each value
 * that it does not take, `loc` leading each location ("body.feature_extractor.parameters").
 */
void sl_extractor_params_check(const struct sl_extractor_info *info, struct sl_json params,
                               struct sl_call *call, const char *loc);

#endif
