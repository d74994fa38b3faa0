/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_provider.h - nodes as processes of this machine, forked by the head's spawner. See
 * node_provider.h.
 */
#ifndef SL_ACTORS_LOCAL_PROVIDER_H
#define SL_ACTORS_LOCAL_PROVIDER_H

#include "actors/node_provider.h"

struct sl_local_provider_options {
    const char *node_text; /* JSON of a node's child without its closing brace; copied. */
    uint32_t gpus;         /* That this machine has. */
};

struct sl_node_provider sl_local_provider_create(const struct sl_local_provider_options *options);

#endif
