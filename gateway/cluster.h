/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster.h - what the routes under /v1/cluster share: whose part of it a call may see, what its
 * tenants are called, and pages. Threading: the store's thread.
 */
#ifndef SL_GATEWAY_CLUSTER_H
#define SL_GATEWAY_CLUSTER_H

#include "gateway/list.h"

/* Whose part is wanted, of a tenant its own; 0: everyone's, of an operator without ?tenant_id.
 * False: the call has failed with 404. */
bool sl_cluster_scope(struct sl_call *call, struct sl_scope *ret_scope);

/* What the tenants of a page are called. Each is looked for once, as far as there is room. */
struct sl_cluster_names {
    struct sl_call *call;
    struct {
        uint64_t scope;
        char text[64];
    } kept[64];
};
void sl_cluster_names_init(struct sl_cluster_names *names, struct sl_call *call);
/* NULL: it is gone. Until the next call. `names` is a struct sl_cluster_names. */
const char *sl_cluster_name(void *names, uint64_t scope);

/* The queue {tenant}:{name} of the path's first parameter; another tenant's is as one that is not
 * there. False: the call has failed with 404. */
bool sl_cluster_queue(struct sl_call *call, struct sl_queue_depth *ret_depth);

/* The reply of a list whose rows are written: {"results", "pagination"}; ends the list. */
void sl_cluster_reply(struct sl_call *call, struct sl_list *list);

#endif
