/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate_replicas.h - how many replicas a simulated run's nodes may have and do; only for
 * actors/simulate*.c.
 */
#ifndef SL_ACTORS_SIMULATE_REPLICAS_H
#define SL_ACTORS_SIMULATE_REPLICAS_H

#include "actors/head.h"
#include "actors/simulate_world.h"
#include "runtime/spawn_port.h"

/* By then whoever has nothing to do keeps no more: work under a void lease may hang until it is
 * killed. */
#define SL_WORLD_IDLE_NS (120 * SL_SECOND_NS)

/* What the configuration says of them, in one run and another. */
void sl_world_scale(const struct sl_world *w, struct sl_head_options *head);
/* Of which pool of its node a replica is. */
uint64_t sl_world_pool(const struct sl_m_spawn *m);
/* One was asked for: there must not be too many. */
void sl_world_saw_spawn(struct sl_world *w, const struct sl_world_child *child);
/* Whether some node has more than it keeps without work; fail if that is not to be any more. */
bool sl_world_has_keeper(struct sl_world *w, bool is_late);

#endif
