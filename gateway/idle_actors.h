/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle_actors.h - an actor that starts many which do nothing, of 64 bytes of state each: what a
 * head with so many actors costs is measured with them (sluice bench recovery).
 */
#ifndef SL_GATEWAY_IDLE_ACTORS_H
#define SL_GATEWAY_IDLE_ACTORS_H

#include "runtime/actor.h"

#define SL_IDLE_ACTORS_MAX 1000000

extern const struct sl_actor_class sl_idle_actors_class; /* Argument: const uint32_t *count. */

#endif
