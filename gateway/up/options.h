/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up/options.h - what `sluice up` or `sluice head` was asked for: the command line over the
 * configuration file.
 */
#ifndef SL_GATEWAY_UP_OPTIONS_H
#define SL_GATEWAY_UP_OPTIONS_H

#include "runtime/buf.h"
#include "runtime/config.h"

enum sl_up_key {
#define KEY(name, path, type, fallback, min, max, unit, doc) SL_UP_##name,
#include "gateway/up.def"
    SL_UP_KEY_COUNT
};

struct sl_overrides;
struct sl_replica_settings;

struct sl_up_options {
    const char *verb;       /* "up" or "head": argv[0]. */
    bool is_head;           /* No API is served here: gateways do. */
    char *data;             /* Absolute path; owned. */
    struct sl_config *base; /* Without overrides. */
    struct sl_config
        *config;            /* Of `overrides` it has the environment; sl_settings_settle sets it. */
    char *overrides;        /* Their text; NULL: none. Owned. */
    bool has_new_overrides; /* They were given, and are not in the data directory yet. */
};

/* The table: SL_UP_KEY_COUNT rows, constant. */
const struct sl_config_key *sl_up_keys(void);

/*
 * Read them. Overrides that were given are refused for what is wrong with them by themselves; those
 * that are kept in the data directory never keep a server from starting. 0: go on; else the
 * process's exit code plus one, and everything has been said: help and --print-config on standard
 * output, complaints on standard error.
 */
int sl_up_options_read(int argc, char **argv, struct sl_up_options *ret_options);

void sl_up_options_deinit(struct sl_up_options *options);

/*
 * The configuration that the overrides in `text` make of `base`, the caller's; NULL: they have
 * errors. *ret_overrides is the caller's in any case.
 */
struct sl_config *sl_up_options_merge(const struct sl_config *base, struct sl_slice text,
                                      struct sl_overrides **ret_overrides);
/* The same of what is good of them: never NULL. What has errors is left out. */
struct sl_config *sl_up_options_merge_good(const struct sl_config *base, struct sl_slice text,
                                           struct sl_overrides **ret_overrides);
/* Add the plugins of the configuration to the catalogue: sl_extractor_infos_install. Once. */
void sl_up_options_install(const struct sl_config *config);
/* What the configuration lets replicas have; its strings are borrowed from there. */
void sl_up_options_replicas(const struct sl_config *config,
                            struct sl_replica_settings *ret_settings);
/* A configuration from a file (NULL: all defaults), checked as a start does. NULL: *ret_error is a
 * text, the caller's. */
struct sl_config *sl_up_options_load(const char *path, char **ret_error);
/* Append a file of overrides. SL_ETOOBIG, or why it cannot be read. Blocking. */
SL_MUST_CHECK enum sl_err sl_overrides_read_file(const char *path, struct sl_buf *text);

#endif
