/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up_options.h - what `sluice up` or `sluice head` was asked for: the command line over the
 * configuration file.
 */
#ifndef SL_GATEWAY_UP_OPTIONS_H
#define SL_GATEWAY_UP_OPTIONS_H

#include "runtime/config.h"

enum sl_up_key {
#define KEY(name, path, type, fallback, min, max, unit, doc) SL_UP_##name,
#include "gateway/up.def"
    SL_UP_KEY_COUNT
};

struct sl_up_options {
    const char *verb; /* "up" or "head": argv[0]. */
    bool is_head;     /* No API is served here: gateways do. */
    char *data;       /* Absolute path; owned. */
    struct sl_config *config;
};

/* The table: SL_UP_KEY_COUNT rows, constant. */
const struct sl_config_key *sl_up_keys(void);

/*
 * Read them. 0: go on; else the process's exit code plus one, and everything has been said: help
 * and --print-config on standard output, complaints on standard error.
 */
int sl_up_options_read(int argc, char **argv, struct sl_up_options *ret_options);
void sl_up_options_deinit(struct sl_up_options *options);

#endif
