/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up/cluster.h - where workers of other machines join: tcp, with certificates.
 *
 *   DIR/cluster/head, head_secret   the head's certificate, made when it is wanted and absent
 *   DIR/cluster/allowed/            public certificates of the workers that may join
 *
 * Threading: that of the live driver, before it runs.
 */
#ifndef SL_GATEWAY_UP_CLUSTER_H
#define SL_GATEWAY_UP_CLUSTER_H

#include "gateway/up/options.h"
#include "runtime/live.h"

/* How the head's links are: for sl_live_options. */
struct sl_links_options sl_up_cluster_links(const struct sl_config *config);

/* How many nodes of worker groups this machine may come to start. */
uint64_t sl_up_group_nodes(const struct sl_config *config);
/* How many GPUs it has for them. */
uint32_t sl_up_gpus(void);

/*
 * Listen on cluster.listen, if that is set; *ret_endpoint is then where, owned by the caller, else
 * NULL. False: it cannot be, and standard error says why.
 */
bool sl_up_cluster_listen(const struct sl_up_options *options, struct sl_live *live,
                          char **ret_endpoint);

#endif
