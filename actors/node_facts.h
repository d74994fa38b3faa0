/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_facts.h - what a worker says of itself when it joins, as JSON:
 *
 *   {"group":"gpu","cpus":4,"gpus":1,"memory_bytes":8589934592,"labels":{"zone":"a"},"host":"n1",
 *    "taint":"tenant=acme"}
 *
 * The taint (home.h) says whose tasks it takes, "" anybody's. The group says which tasks it takes:
 * "cpu", "batch", "gpu", or "any". Pure.
 */
#ifndef SL_ACTORS_NODE_FACTS_H
#define SL_ACTORS_NODE_FACTS_H

#include "actors/home.h"
#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_NODE_NAME_MAX   64
#define SL_NODE_FACTS_MAX  4096 /* Bytes of JSON. */
#define SL_NODE_LABELS_MAX 32
#define SL_NODE_TAINT_MAX  (SL_HOME_TENANT_MAX + 16)

struct sl_node_facts {
    char group[8];
    uint64_t cpus, gpus;
    uint64_t memory_bytes; /* 0: not said. */
    char host[SL_NODE_NAME_MAX + 1];
    char taint[SL_NODE_TAINT_MAX + 1];
    char *labels; /* JSON object of strings; owned. */
};

/* SL_EINVAL, SL_ETOOBIG; *ret_why then says what is wrong (static). */
SL_MUST_CHECK enum sl_err sl_node_facts_read(struct sl_slice json, struct sl_node_facts *ret_facts,
                                             const char **ret_why);
void sl_node_facts_deinit(struct sl_node_facts *facts);
void sl_node_facts_write(const struct sl_node_facts *facts, struct sl_buf *out);

/* "gpu" or "gpu-workers" to "gpu"; NULL: no such group. */
const char *sl_node_group(struct sl_slice name);
/* Bits 1 << enum sl_class of the tasks a group takes. */
uint64_t sl_node_classes(const char *group);

/* Letters, digits, '.', '_' and '-', 1 to SL_NODE_NAME_MAX of them. */
bool sl_node_name_is_good(struct sl_slice name);

#endif
