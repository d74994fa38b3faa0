/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extraction.h - what one collection does with a source: the row the gateway writes when a
 * collection is made, and that the dispatcher reads for each task.
 *
 *   {"extractor":"text_extractor","version":"v1","params":{...},
 *    "model":"my-model_1_0_0" | null, "namespace":"ns_...",
 *    "index":"all_minilm_l6_v2" | null, "output":"text_extractor_v1_embedding" | null,
 *    "dimensions":384,
 *    "inputs":[{"name":"text","path":"content"} | {"name":"x","value":any}],
 *    "passthrough":[{"source_path":"sku","target_path":"sku","default":any,"required":false}],
 *    "include_all":false, "class":"cpu", "enabled":true, "apart":false,
 *    "models":false, "physical":false}
 *
 * physical: and at its tenant's own nodes alone (home.h); said so that others are no replicas of
 * it.
 * apart: its replicas work for one tenant alone, and so they do where there is a model.
 * models: and for one namespace alone, whose models they may open while they work.
 */
#ifndef SL_ACTORS_EXTRACTION_H
#define SL_ACTORS_EXTRACTION_H

#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/json.h"
#include "runtime/store.h"

#include "actors/source.h"

/*
 * Resolve the inputs of one task into `out`: per input a block with its name, a block with its type
 * ("text", "json", "blob") and a block with its bytes (JSON text for "json"; 64 hex digits for
 * "blob"). SL_EINVAL: an input or a required passthrough field is missing; *ret_why is a message
 * (owned).
 */
SL_MUST_CHECK enum sl_err sl_extraction_inputs(struct sl_json extraction,
                                               const struct sl_source *source, struct sl_buf *out,
                                               char **ret_why);

/* The record's fields: passthrough fields of the source, then the extractor's outputs (win). */
SL_MUST_CHECK enum sl_err sl_extraction_fields(struct sl_json extraction,
                                               const struct sl_source *source,
                                               struct sl_slice outputs, struct sl_buf *out);

/*
 * Where the model of an extraction lies below the data directory, as the model's row says; "" when
 * it has none, a text that is no directory when the model is gone. Owned by the caller.
 */
char *sl_extraction_model_directory(struct sl_txn *txn, struct sl_scope scope,
                                    struct sl_json extraction);

/* Whose alone the replicas are that run it; 0: anybody's. */
uint64_t sl_extraction_tenant(struct sl_scope scope, struct sl_json extraction, const char *model);
/* Whose nodes alone it is for (home.h); 0: those of nobody. */
uint64_t sl_extraction_home(struct sl_scope scope, struct sl_json extraction);
/* What a node knows it by. */
uint64_t sl_extraction_number(struct sl_slice spec, struct sl_slice model, uint64_t tenant);

/* Append what embeds a query: its extractor, model and index, with none of its chunking. */
void sl_extraction_query(struct sl_json extraction, struct sl_buf *out);

/* What a task works on: an object of a bucket, or a record that an earlier tier wrote. */
enum sl_source_kind { SL_SOURCE_OBJECT, SL_SOURCE_RECORD };

/* A task's payload. */
struct sl_task_payload {
    enum sl_source_kind kind;
    bool is_chained;  /* A later tier reads what it writes: each record is noted (chain.h). */
    uint32_t retries; /* How often a client had it tried again. */
    uint32_t run;     /* Of the batch: notes of different runs stay apart. */
    struct sl_slice origin, collection;
    struct sl_slice source; /* Its key in the kind's table. */
};
void sl_task_payload_encode(const struct sl_task_payload *p, struct sl_buf *out);
SL_MUST_CHECK enum sl_err sl_task_payload_decode(struct sl_slice bytes,
                                                 struct sl_task_payload *ret_payload);

#endif
