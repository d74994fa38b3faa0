/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up/node.h - what `sluice up` tells the nodes that it starts itself, of its configuration.
 */
#ifndef SL_GATEWAY_UP_NODE_H
#define SL_GATEWAY_UP_NODE_H

#include "gateway/up/options.h"

/* A JSON object without its last brace: the head adds the node's number and closes it. The
 * caller's. */
char *sl_up_node_text(const struct sl_up_options *options, const char *run_directory,
                      const char *endpoint);

#endif
