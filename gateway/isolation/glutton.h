/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation/glutton.h - the attacks of isolation.def on what all share: a process takes as much as
 * it gets, of one thing after the other, and gives it back but for its threads.
 *
 * Threading: one at a time.
 */
#ifndef SL_GATEWAY_ISOLATION_GLUTTON_H
#define SL_GATEWAY_ISOLATION_GLUTTON_H

#include <sys/resource.h>

#include "gateway/isolation/attack.h"

void sl_glutton_fork_bomb(const struct sl_attack_target *t, struct sl_attack_result *r);
/* The threads are there until the process ends. */
void sl_glutton_threads(const struct sl_attack_target *t, struct sl_attack_result *r);
void sl_glutton_memory(const struct sl_attack_target *t, struct sl_attack_result *r);
void sl_glutton_descriptors(const struct sl_attack_target *t, struct sl_attack_result *r);
void sl_glutton_memory_files(const struct sl_attack_target *t, struct sl_attack_result *r);
/* Try to raise one, of which the process has so much. */
void sl_glutton_limit(struct sl_attack_result *r, int resource, struct rlimit limit,
                      const char *name);
void sl_glutton_limits(const struct sl_attack_target *t, struct sl_attack_result *r);

#endif
