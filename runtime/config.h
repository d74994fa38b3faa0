/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - configuration keys as a table of the caller's, read from YAML. What the file says and
 * the table does not know, or knows otherwise, is an error with its line: nothing is guessed.
 *
 * Keys are dotted paths; in the file they are nested mappings ("log: {segment_size: 64MiB}") or the
 * dotted path itself. Below a MAP are names of the user's. Sizes: 64MiB, 8Gi, 100kB, 4096.
 * Durations: 5s, 250ms, 2h, 0.
 *
 * Threading: a loaded configuration is only read.
 */
#ifndef SL_RUNTIME_CONFIG_H
#define SL_RUNTIME_CONFIG_H

#include "runtime/base.h"
#include "runtime/buf.h"

enum sl_config_type {
    SL_CONFIG_BOOL,
    SL_CONFIG_INT,
    SL_CONFIG_SIZE,     /* Bytes. */
    SL_CONFIG_DURATION, /* Kept in nanoseconds; min and max too. */
    SL_CONFIG_STRING,   /* min and max bound its length in bytes. */
    SL_CONFIG_FLOAT,
    SL_CONFIG_MAP /* A mapping of the file's own keys, or a text in braces that is one, kept as a
                     JSON object whose values are texts or objects; or a text, as STRING. */
};

/* One row of the table; lives as long as every configuration that was loaded with it. */
struct sl_config_key {
    const char *path; /* "log.segment_size" */
    enum sl_config_type type;
    const char *fallback; /* As it would be written in the file. */
    int64_t min, max;     /* Inclusive; both 0: any. */
    const char *unit;     /* For the reader, "" where the value says it. */
    const char *doc;      /* One sentence. */
};

struct sl_config; /* Opaque. */

/*
 * Read the file at `path`; NULL: all defaults. On error *ret_error is a text "FILE:LINE: key a.b:
 * ...", owned by the caller. SL_EINVAL: its contents; SL_ENOTFOUND, SL_EDENIED, SL_EIO, SL_ETOOBIG:
 * the file.
 */
SL_MUST_CHECK enum sl_err sl_config_load(const struct sl_config_key *table, uint32_t count,
                                         const char *path, struct sl_config **ret_config,
                                         char **ret_error);
struct sl_config *sl_config_copy(const struct sl_config *config);
void sl_config_destroy(struct sl_config **config); /* NULL inside is fine. */

/* Read `text` on top of what is there; `name` stands for the file in errors. On error: unspecified
 * mix. */
SL_MUST_CHECK enum sl_err sl_config_parse(struct sl_config *config, const char *name,
                                          struct sl_slice text, char **ret_error);

/* Set one key, as from a command line. SL_ENOTFOUND: no such key; SL_EINVAL. Both fill *ret_error.
 */
SL_MUST_CHECK enum sl_err sl_config_set(struct sl_config *config, const char *path,
                                        const char *value, char **ret_error);

/* Values by row of the table; the type must be the row's. Strings live as long as the
 * configuration. */
bool sl_config_bool(const struct sl_config *config, uint32_t index);
int64_t sl_config_int(const struct sl_config *config, uint32_t index);
uint64_t sl_config_size(const struct sl_config *config, uint32_t index);
uint64_t sl_config_duration_ns(const struct sl_config *config, uint32_t index);
const char *sl_config_string(const struct sl_config *config, uint32_t index);
double sl_config_float(const struct sl_config *config, uint32_t index);

/* Append all keys with doc, range, default and value; what is appended can be loaded again. */
void sl_config_print(const struct sl_config *config, struct sl_buf *out);

/* Append one value as it is printed. */
void sl_config_value_print(const struct sl_config *config, uint32_t index, struct sl_buf *out);

/* Append the rows as a table in Markdown, for the reference; `before` leads each path ("--"). */
void sl_config_reference(const struct sl_config_key *table, uint32_t count, const char *before,
                         struct sl_buf *out);

#endif
