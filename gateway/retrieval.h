/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retrieval.h - running the stages of a retriever: a list of documents goes through them in order.
 *
 *   sl_retrieval_start --> stage 0 --> stage 1 --> ... --> finish (the handler's)
 *                           |   ^
 *                  embed a  `---'  the same stage begins again, now with the vector
 *                  query
 *
 * A stage that needs a query vector asks for it and returns SL_STAGE_WAITS; when it comes, the
 * stage runs again from its start and finds it in r->vectors. So no stage keeps state between, and
 * all that is held is in the call's arena: whatever came out of a transaction is copied there.
 */
#ifndef SL_GATEWAY_RETRIEVAL_H
#define SL_GATEWAY_RETRIEVAL_H

#include "gateway/call.h"
#include "gateway/fusion.h"

#define SL_RETRIEVAL_COLLECTIONS_MAX 100
#define SL_RETRIEVAL_STAGES_MAX      32
#define SL_RETRIEVAL_FOUND_MAX       10000 /* Documents that stages hand on. */

struct sl_retrieval_collection {
    const char *id;
    struct sl_json extraction; /* extraction.h */
};

struct sl_found { /* A document on its way. */
    struct sl_ranked rank;
    bool has_score;
    struct sl_json row; /* As clients see it, but for the score. */
};

struct sl_query_vector {
    struct sl_query_vector *next;
    struct sl_slice text, index;
    const float *values;
    uint32_t dimensions;
};

struct sl_stage_stat {
    const char *name;
    uint32_t input_count, output_count;
    double duration_ms;
    struct sl_slice metadata; /* JSON; empty: none. */
};

struct sl_retrieval {
    struct sl_call *call;
    struct sl_json stages;                       /* In long form: see sl_stages_check. */
    struct sl_json inputs;                       /* Checked, defaults filled in. */
    struct sl_retrieval_collection *collections; /* Of the documents; a search may change them. */
    uint32_t collections_count;
    struct sl_retrieval_collection *own_collections; /* The retriever's. */
    uint32_t own_count;
    void (*finish)(struct sl_retrieval *r); /* Writes the reply. */
    void *arg;

    struct sl_found *found;
    uint32_t found_count;
    bool has_begun; /* Some stage has made a list of documents. */
    uint32_t stage_index;
    struct sl_json config; /* Of the stage that runs, templates expanded. */
    struct sl_query_vector *vectors;
    struct sl_slice wanted_text, wanted_index; /* What was asked to be embedded. */
    struct sl_slice facets;                    /* JSON of the last search's; empty: none. */
    struct sl_stage_stat stats[SL_RETRIEVAL_STAGES_MAX];
    uint64_t started_ns, stage_started_ns;
};

enum sl_stage_result { SL_STAGE_DONE, SL_STAGE_WAITS, SL_STAGE_FAILED };

struct sl_stage {
    const char *id, *category, *icon, *description;
    const char *parameters; /* JSON Schema properties. */
    enum sl_stage_result (*run)(struct sl_retrieval *r);
};

/* Every stage that can run. NULL: unknown, or not built. */
const struct sl_stage *sl_stages(uint32_t *ret_count);
const struct sl_stage *sl_stage_lookup(struct sl_slice id);
void sl_stages_write(struct sl_jsonw *w); /* An array of all of them, as clients see them. */
/* 422 on the call for each parameter, below `loc`, that is not as the stage's schema says. */
void sl_stage_check(struct sl_call *call, const struct sl_stage *stage, struct sl_json parameters,
                    const char *loc);

/*
 * Write the stages in long form (a JSON array) to `out`. 422 on the call for unknown stages and for
 * feature URIs that no collection has. `collections` may be empty: URIs are then only parsed.
 */
bool sl_stages_check(struct sl_call *call, struct sl_json stages, const struct sl_retrieval *about,
                     struct sl_buf *out);

/* Find the collections of a list of ids or names; absent or empty: all of the namespace. 404. */
bool sl_retrieval_collections(struct sl_call *call, struct sl_json identifiers,
                              struct sl_retrieval *r);
/* Does the collection hold vectors that the URI names? */
bool sl_collection_has_feature(const struct sl_retrieval_collection *c, struct sl_slice uri);

/* Check the inputs against the schema and fill in defaults. false: 422. */
bool sl_retrieval_inputs(struct sl_call *call, struct sl_json schema, struct sl_json inputs,
                         struct sl_json *ret_inputs);

/* Write a document as clients see it. */
struct sl_record;
void sl_found_write(const char *collection, struct sl_slice id, const struct sl_record *record,
                    struct sl_jsonw *w);

/* Run from stage 0. `r` is arena memory. */
void sl_retrieval_start(struct sl_retrieval *r);

/* ---- for stages ---------------------------------------------------------------------------- */

/* A parameter of the running stage. */
struct sl_json sl_stage_parameter(const struct sl_retrieval *r, const char *name);
/* An integer parameter; 422 outside [min, max]. */
uint32_t sl_stage_number(struct sl_retrieval *r, const char *name, uint32_t min, uint32_t max,
                         uint32_t fallback);
/* Read a document as clients see it into the arena. NONE: it is gone. */
struct sl_json sl_found_row(struct sl_retrieval *r, uint32_t collection, struct sl_slice id);
/* 422 about the running stage. */
enum sl_stage_result sl_stage_refuse(struct sl_retrieval *r, const char *name, const char *why);
/* A field of a document; "score" included. Writes numbers as JSON into the arena. */
struct sl_json sl_found_field(struct sl_retrieval *r, const struct sl_found *f,
                              struct sl_slice path);

/* Count the parameter `facets` over the documents there are. false: the stage has failed. */
bool sl_retrieval_count_facets(struct sl_retrieval *r);

/* Keep at most `per_group` documents for each value of the field, of the first `groups_max` values.
 * Groups are in the order of their best documents, and those of a group follow each other. */
void sl_retrieval_group(struct sl_retrieval *r, struct sl_slice field, uint32_t per_group,
                        uint32_t groups_max);

#define STAGE(name) enum sl_stage_result sl_stage_##name(struct sl_retrieval *r);
STAGE(feature_search)
STAGE(attribute_filter)
STAGE(sort_relevance)
STAGE(sort_attribute)
STAGE(group_by)
STAGE(sample)
STAGE(aggregate)
STAGE(mmr)
#undef STAGE

#endif
