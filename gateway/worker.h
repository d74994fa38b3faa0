/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - `sluice worker`: a node that joins a head from elsewhere. It outlives the head: its
 * replicas stay warm while the head is away, and it joins again by itself.
 *
 *   SIGTERM, or an order of the head: drain (no new leases, what runs ends), leave, exit 0.
 */
#ifndef SL_GATEWAY_WORKER_H
#define SL_GATEWAY_WORKER_H

#include "runtime/buf.h"

/* The verb; argv[0] is its name. Exit codes: 0 stopped as asked, 1 failed or refused, 2 usage. */
int sl_worker_main(int argc, char **argv);
/* Append its options, as sl_config_reference has them. */
void sl_worker_reference(struct sl_buf *out);

#endif
