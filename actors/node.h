/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node.h - the life of a node process: a live driver with one agent, linked to the head and to its
 * replicas. Its text is JSON: {"head":endpoint,"run":directory for its socket,"plugins","data",
 * "threads","replicas","idle_ms","task_ms","node":number}.
 */
#ifndef SL_ACTORS_NODE_H
#define SL_ACTORS_NODE_H

#include "runtime/spawner.h"

int sl_node_run(const struct sl_child *child);

#endif
