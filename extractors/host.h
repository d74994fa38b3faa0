/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.h - the host's side of the plugin contract (sluice/extractor.h), inside a replica process:
 * load a plugin, make one instance, run batches, and hold what it emits to the limits.
 *
 *   open -> process... -> close
 *
 * A plugin runs in our address space. It is held to the contract, so that a careless one cannot
 * harm the system: what it emits is copied, counted and checked. It is not contained: what it may
 * do to this process is the business of the process around it.
 *
 * Threading: calls on one host never overlap.
 */
#ifndef SL_EXTRACTORS_HOST_H
#define SL_EXTRACTORS_HOST_H

#include "extractors/batch_service.h"
#include "object-store/cause.h"
#include "runtime/base.h"
#include "runtime/buf.h"
#include "runtime/limits.h"
#include "sluice/extractor.h"

#define SL_HOST_ITEM_BYTES_MAX      (16 * SL_MIB) /* What one item may emit. */
#define SL_HOST_DIMENSIONS_MAX      65536u
#define SL_HOST_VECTORS_MAX         16u /* Of one record. */
#define SL_HOST_INDEX_NAME_SIZE_MAX 128u

struct sl_host;

struct sl_host_options {
    struct sl_slice params; /* JSON object for the instance; empty stands for {}. */
    uint32_t threads;       /* 0: the plugin decides. */
    bool has_model;
    int model_fd;           /* A sealed model; borrowed, and looked at only when has_model. */
    const char *model_name; /* Index name of its vectors; borrowed until close. */
    const char *model_id;   /* Borrowed until close. */
    const struct sluice_objects_v1 *objects; /* Borrowed until close; NULL: there are none. */
    const struct sluice_models_v1 *models;   /* The same. */
    const char *name;                        /* The plugin must call itself this; NULL: any name. */
    /* Asked by the plugin while process runs, from any thread; NULL: never cancelled. */
    bool (*is_cancelled)(void *self);
    void *self;
};

struct sl_host_vector {
    const char *index;
    uint32_t dimensions;
    const float *values;
};

struct sl_host_record {
    struct sl_slice fields; /* JSON object text, checked. */
    const struct sl_host_vector *vectors;
    uint32_t vectors_count;
};

struct sl_host_result {
    enum sluice_error_kind kind; /* NONE: done; else there are no records. */
    char code[32];
    char message[256]; /* Valid UTF-8. */
    const struct sl_host_record *records;
    uint32_t records_count;
    uint64_t bytes; /* Of all its records. */
    bool is_paused; /* There is more: run it again with `resume`. */
    uint32_t resume_bytes;
    uint8_t resume[SLUICE_RESUME_BYTES_MAX];
};

struct sl_host_results {
    struct sl_host_result *items; /* One for each item, in order. */
    uint32_t count;
    void *memory; /* Holds everything above. */
};

/*
 * Load the plugin file at `path` (absolute) and create its instance. The cause says what is wrong:
 * SL_EINVAL: not a plugin, malformed, another name, or create refused the parameters for good;
 * SL_EVERSION: built for another version of the contract; SL_EUNAVAIL: it cannot be loaded or
 * started now; and the errors of sl_model_attach.
 */
SL_MUST_CHECK
enum sl_err sl_host_open(const char *path, const struct sl_host_options *options,
                         struct sl_host **ret_host, struct sl_cause *ret_cause);
void sl_host_close(struct sl_host **host); /* NULL inside is fine. */

/*
 * Load the plugin file at `path` (absolute) and append what it says of itself, as one JSON object
 * (name, version, description, needs_model, needs_objects, needs_models, has_vectors, describe). No
 * instance is created, yet the plugin's code runs: a matter for a process of its own. Errors as of
 * sl_host_open, and SL_EINVAL when its describe is no JSON object.
 */
SL_MUST_CHECK enum sl_err sl_host_describe(const char *path, struct sl_buf *out,
                                           struct sl_cause *ret_cause);

/* Name, version, flags and describe of the plugin; lives until close. */
const struct sluice_extractor *sl_host_extractor_lookup(const struct sl_host *host);

/* How the plugin wants its batches, and what the operator says instead: batch_service.h. */
struct sl_batch_plan sl_host_batch_plan(const struct sl_host *host,
                                        const struct sl_batch_override *override);
const char *sl_host_batch_unit(const struct sl_host *host); /* "token", "item"; until close. */
/* What an item costs; as of sl_batch_service_cost. It may call the plugin. */
SL_MUST_CHECK enum sl_err sl_host_cost(struct sl_host *host, const struct sluice_item *item,
                                       uint64_t *ret_units, struct sl_cause *ret_cause);

/* What the plugin says that it manages itself, by enum sluice_memory_kind. */
uint64_t sl_host_memory(const struct sl_host *host, int kind);

/* SL_EUNAVAIL: the plugin says that its replica should be replaced; the cause says why. */
SL_MUST_CHECK enum sl_err sl_host_health(struct sl_host *host, struct sl_cause *ret_cause);

/*
 * Run a batch of 1 or more items, whose `size` members are set; borrowed for the call. Each item
 * has its own result; what is wrong with one harms no other. SL_ECANCELED: the results are there
 * all the same, and say which items were done before. SL_EINVAL: the items' parameters are no JSON
 * objects; nothing was run. Results are the caller's: sl_host_results_deinit.
 */
SL_MUST_CHECK
enum sl_err sl_host_process(struct sl_host *host, const struct sluice_item *items, uint32_t count,
                            struct sl_host_results *ret_results);
void sl_host_results_deinit(struct sl_host_results *results); /* Zeroed is fine. */

#endif
