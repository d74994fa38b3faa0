/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work_specs.h - what the numbers in a node's tasks and calls stand for, as the head said. Part of
 * the agent actor: plain state.
 *
 * Threading: the agent's.
 */
#ifndef SL_ACTORS_WORK_SPECS_H
#define SL_ACTORS_WORK_SPECS_H

#include "actors/cluster.h"
#include "actors/pool.h"

struct sl_work_specs {
    struct sl_work_spec **specs; /* Items point to them: none goes before the agent does. */
    uint32_t count;
};

/* NULL: it was not told. */
const struct sl_work_spec *sl_work_specs_lookup(const struct sl_work_specs *s, uint64_t number);
/* Take what the head says; what is known already, or no JSON, changes nothing. */
void sl_work_specs_add(struct sl_work_specs *s, const struct sl_m_extraction *m);
void sl_work_specs_deinit(struct sl_work_specs *s); /* Zeroed is fine. */

#endif
