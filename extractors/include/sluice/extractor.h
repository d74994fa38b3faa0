/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extractor.h - the contract between sluice and an extractor plugin, version 1.
 *
 * A plugin is a shared object that exports one symbol, sluice_extractor_entry. A replica process
 * loads it, creates one instance, hands it batches of items and collects what it emits:
 *
 *     entry -> create -> (process | health)* -> destroy
 *
 * Growth: every struct begins with its own `size`, set by whoever fills it in. A reader uses a
 * member only if it lies within that size (SLUICE_HAS), so members can be appended without a new
 * version. In an array the first element's size is also the stride (SLUICE_AT). What a later host
 * can do beyond this header it offers as a service, looked up by name. SLUICE_EXTRACTOR_ABI changes
 * only when something here must be taken away.
 *
 * Ownership: memory stays with the side that made it. What the host passes to a call may be read
 * until that call returns, except where a longer life is stated; what a plugin emits is copied
 * before the emitting call returns. Nothing is freed across the border.
 *
 * Threading: the host never overlaps two calls on one instance, but may make them from different
 * threads. The sink and the services may be called from any thread the plugin starts, one at a
 * time, while the plugin's create, process, health or destroy is on the stack.
 *
 * Text is UTF-8, with its size in bytes, and is not NUL-terminated unless it is `const char *`
 * without a size. A plugin must not call exit, change signal handlers or the environment after
 * create has returned, nor write to standard output.
 */
#ifndef SLUICE_EXTRACTOR_H
#define SLUICE_EXTRACTOR_H

#include <stddef.h>
#include <stdint.h>

#include "sluice/batch.h"   /* "batch.v1" */
#include "sluice/memory.h"  /* "memory.v1" */
#include "sluice/models.h"  /* "models.v1", and "model.v1" */
#include "sluice/objects.h" /* "objects.v1" */

#ifdef __cplusplus
extern "C" {
#endif
#define SLUICE_EXTRACTOR_ABI 1

/* True when `member` lies within the size that `object` says it has. */
#define SLUICE_HAS(object, member)                                                                 \
    ((object)->size >= (size_t)((const char *)&(object)->member - (const char *)(object)) +        \
                           sizeof((object)->member))

/* Element `index` of an array of structs of the kind described above. */
#define SLUICE_AT(type, array, index)                                                              \
    ((const type *)(const void *)((const char *)(array) + (size_t)(index) * (array)->size))

/* ---- errors -------------------------------------------------------------------------------- */

enum sluice_error_kind {
    SLUICE_ERROR_NONE = 0,
    SLUICE_ERROR_TRANSIENT = 1, /* Another attempt, perhaps elsewhere, may succeed. */
    SLUICE_ERROR_PERMANENT = 2  /* The input or the parameters are at fault: do not try again. */
};

struct sluice_error {
    uint32_t size;
    uint32_t kind;     /* enum sluice_error_kind; an unknown one is taken as transient. */
    char code[32];     /* Stable, for machines: "chunk_overlap_too_large". NUL-terminated. */
    char message[256]; /* For people. UTF-8, NUL-terminated. No secrets: tenants read it. */
};

/* ---- host and services --------------------------------------------------------------------- */

struct sluice_host {
    uint32_t size;
    uint32_t abi; /* SLUICE_EXTRACTOR_ABI of the host. */
    /* Look a service up by name; NULL when this host has none of that name. What is returned is a
     * const struct of the type named below and lives until destroy (or a failed create) returns. */
    const void *(*service)(const struct sluice_host *host, const char *name);
};

enum sluice_log_level { SLUICE_LOG_DEBUG, SLUICE_LOG_INFO, SLUICE_LOG_WARN, SLUICE_LOG_ERROR };

/* "log.v1": a line in the replica's diagnostics. `event` is a stable name; `text` is key=value. */
struct sluice_log_v1 {
    uint32_t size;
    void *self;
    void (*write)(void *self, int level, const char *event, const char *text);
};

/* "cancelled.v1": non-zero once the result of the running process call is wanted no more. Cheap:
 * ask often. A cancelled plugin returns early; items it has not finished are dropped. */
struct sluice_cancelled_v1 {
    uint32_t size;
    void *self;
    int (*is_cancelled)(void *self);
};

/* ---- work ---------------------------------------------------------------------------------- */

/* One named input of an item: a field of the source that the collection maps to this name. */
struct sluice_input {
    uint32_t size;
    const char *name; /* NUL-terminated, e.g. "text". */
    const char *type; /* Field type of the bucket schema ("text", "image", "object"...), or NULL. */
    const char *mime; /* As declared by the client, unchecked; NULL when not declared. */
    const void *data; /* NULL only when data_bytes is 0. May be read-only shared memory. */
    uint64_t data_bytes;
};

/* One source to process. */
struct sluice_item {
    uint32_t size;
    uint32_t input_count;
    const char *id; /* For diagnostics only. */
    const struct sluice_input *inputs;
    const char *params; /* JSON object text with this item's parameters; never NULL. */
    uint64_t params_bytes;
    const void *resume; /* What was given to pause; NULL: the item begins. */
    uint32_t resume_bytes;
    uint64_t first_record; /* How many records it has by now. */
};

struct sluice_vector {
    uint32_t size;
    uint32_t dimensions; /* The same for every vector of an index. */
    const char *index;   /* Name of the vector index, NUL-terminated. */
    const float *values; /* Finite, all of them, or the item fails. */
};

/* One record: what becomes a document. */
struct sluice_output {
    uint32_t size;
    uint32_t vector_count;
    const char *fields; /* JSON object text: the fields, those that tell records apart included. */
    uint64_t fields_bytes;
    const struct sluice_vector *vectors;
};

/*
 * Where results go. `item` is an index into the batch. Records keep the order of emission. Both
 * calls return 0, or -1 when the emission was refused (item finished already, no such item, over
 * the limits, malformed): then the host has failed that item and the plugin goes on with the next.
 */
struct sluice_sink {
    uint32_t size;
    uint32_t records_per_item_max;
    uint64_t bytes_per_item_max; /* Fields and vectors together. */
    void *self;
    /* Add one record to an item. Everything is copied before this returns. */
    int (*emit)(const struct sluice_sink *sink, uint32_t item, const struct sluice_output *output);
    /* End an item: NULL is success; an error drops what was emitted for it. Once per item. */
    int (*finish)(const struct sluice_sink *sink, uint32_t item, const struct sluice_error *error);
    /* Instead of finish: what was emitted, one record at least, is stored for good, and the item
     * comes again with `resume`, also after a crash. So it may make more than the limits above. */
    int (*pause)(const struct sluice_sink *sink, uint32_t item, const void *resume, uint32_t size);
};
#define SLUICE_RESUME_BYTES_MAX 64 /* And 1 at least. */

/* ---- the plugin ---------------------------------------------------------------------------- */

struct sluice_config {
    uint32_t size;
    uint32_t threads;   /* Threads the instance may use; 0 leaves it to the plugin. */
    const char *params; /* JSON object text: parameters that hold for the replica; never NULL. */
    uint64_t params_bytes;
};

/* Flags: what the host may assume; objects.h has one. Unknown bits are ignored. */
#define SLUICE_EXTRACTOR_NEEDS_MODEL (UINT64_C(1) << 0) /* create fails without "model.v1". */
#define SLUICE_EXTRACTOR_HAS_VECTORS (UINT64_C(1) << 1) /* It emits vectors. */

struct sluice_extractor {
    uint32_t size;
    uint32_t abi;            /* SLUICE_EXTRACTOR_ABI the plugin was built with. */
    const char *name;        /* "text_extractor": ^[a-z][a-z0-9_]{0,63}$ */
    const char *version;     /* "v1": ^[A-Za-z0-9._-]{1,32}$ */
    const char *description; /* One sentence. */
    uint64_t flags;

    /* Make an instance: load, allocate, warm up. 0 and *ret_instance (may be NULL), or -1 and
     * *ret_error, whose size the host has set; then destroy is not called. `host` and its services
     * live until destroy returns; `config` until create does. */
    int (*create)(const struct sluice_host *host, const struct sluice_config *config,
                  void **ret_instance, struct sluice_error *ret_error);
    void (*destroy)(void *instance);                               /* Free an instance. */
    int (*health)(void *instance, struct sluice_error *ret_error); /* -1: replace it. Optional. */
    /* Work on `count` (>= 1) items. Finish each of them through the sink; 0 when that is done. -1
     * when the batch cannot be worked on: items left unfinished in either case fail as transient.
     */
    int (*process)(void *instance, const struct sluice_item *items, uint32_t count,
                   const struct sluice_sink *sink);
    /*
     * JSON object text, NUL-terminated, static; each member is optional: input_schema (JSON Schema:
     * properties, required), output_schema and parameter_schema (properties), position_fields (what
     * tells records of one source apart), indexes ([{name, dimensions, purpose}], one). Optional.
     */
    const char *(*describe)(void);
};

#define SLUICE_EXTRACTOR_EXPORT __attribute__((visibility("default")))

/* The one symbol a plugin exports. What it returns is static. */
SLUICE_EXTRACTOR_EXPORT const struct sluice_extractor *sluice_extractor_entry(void);

#define SLUICE_EXTRACTOR_ENTRY_SYMBOL "sluice_extractor_entry"

#ifdef __cplusplus
}
#endif

#endif
