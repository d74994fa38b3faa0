/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report_tap.h - the head keeps the lines of its machine's processes (report_ring.h): what it
 * reports itself, its nodes, and what their replicas print. A thread of its own takes them from the
 * socket that all of those but replicas have; a replica's come by way of the spawner, which says
 * whose they are.
 *
 * Threading: any; the ring is behind a lock.
 */
#ifndef SL_RUNTIME_REPORT_TAP_H
#define SL_RUNTIME_REPORT_TAP_H

#include "runtime/report_ring.h"

struct sl_report_tap;

/* From here on this process's lines are kept, and its children's of sl_spawner_start. NULL: the
 * system gave no socket or thread; the lines are on standard error alone. */
struct sl_report_tap *sl_report_tap_create(void);
void sl_report_tap_destroy(struct sl_report_tap **tap); /* NULL inside is fine. */

/* As the ring's; `take` is called with the lock held. */
void sl_report_tap_find(struct sl_report_tap *tap, const struct sl_report_wanted *wanted,
                        void (*take)(void *arg, const struct sl_report_entry *entry), void *arg,
                        struct sl_report_walk *ret_walk);
void sl_report_tap_forget(struct sl_report_tap *tap, uint64_t scope, const char *tenant);
uint64_t sl_report_tap_newest(struct sl_report_tap *tap);
uint64_t sl_report_tap_missed(struct sl_report_tap *tap);

#endif
