/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway_options.h - the command line of `sluice gateway`. Each --head begins a head; --data and
 * --head-cert are of the one named last (of the first, if they come before it):
 *
 *   --head ipc:///a/run/head --data /a  --head tcp://b:7000 --data /mnt/b --head-cert b.cert
 */
#ifndef SL_GATEWAY_GATEWAY_OPTIONS_H
#define SL_GATEWAY_GATEWAY_OPTIONS_H

#include "runtime/config.h"

#define SL_GATEWAY_HEADS_MAX 16u

enum sl_gateway_key {
#define OPTION(name, flag, type, fallback, min, max, unit, doc) SL_GATEWAY_##name,
#include "gateway/gateway_verb.def"
    SL_GATEWAY_KEY_COUNT
};

struct sl_gateway_head { /* Each is owned; NULL: not given. */
    char *endpoint, *data, *cert;
};

struct sl_gateway_options {
    struct sl_config *config; /* All but what is of a head. */
    struct sl_gateway_head heads[SL_GATEWAY_HEADS_MAX];
    uint32_t heads_count;
    char *name;
};

/* 0: read. Otherwise what to exit with plus 1; why was said. deinit in any case. */
int sl_gateway_options_read(int argc, char **argv, struct sl_gateway_options *ret_options);
void sl_gateway_options_deinit(struct sl_gateway_options *options);
/* Append its options, as sl_config_reference has them. */
void sl_gateway_reference(struct sl_buf *out);

#endif
