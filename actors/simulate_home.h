/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_home.h - in some simulated runs a tenant is at isolation level physical: beside the
 * head's nodes there is a worker with its taint. No task and no call of anybody else may ever go
 * there, and none of its own anywhere else.
 */
#ifndef SL_ACTORS_SIMULATE_HOME_H
#define SL_ACTORS_SIMULATE_HOME_H

#include "actors/simulate_world.h"

#define SL_WORLD_WORKER      77 /* The kind of a child that is none of the spawner's. */
#define SL_WORLD_HOME_SCOPE  SL_WORLD_HOMED
#define SL_WORLD_HOME_TENANT "homed"

/* Stage that the tenant is there, and its level. */
void sl_world_put_home(const struct sl_world *w, struct sl_txn *txn);
/* Its worker comes, after the main process; it goes with it, or when a fault strikes it. */
void sl_world_start_home(struct sl_world *w);
/* A child of the worker's, or the worker: what happens to the spawner is nothing to it. */
bool sl_world_is_of_home(const struct sl_world *w, const struct sl_world_child *c);
/* As if nobody were told whose the worker is. */
void sl_world_hide_home(struct sl_msg **msg);
/* The main process sends this. */
void sl_world_check_home(struct sl_world *w, const struct sl_msg *msg);

#endif
