/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up/process.h - what the process of `sluice up` asks of the system before it starts threads.
 *
 * Threading: the first thread, before there are others.
 */
#ifndef SL_GATEWAY_UP_PROCESS_H
#define SL_GATEWAY_UP_PROCESS_H

#include "runtime/base.h"

/* Signals, memory, protocols, and descriptors for so many connections. */
void sl_process_prepare(uint64_t connections);
/* Allow as many descriptors as that, and some for the rest; what the system does not give is
 * reported, and the front has fewer connections then. */
void sl_process_descriptors(uint64_t connections);
/* SIGTERM and ctrl-c from here on find nobody who reads them: they end the process. */
void sl_process_unblock(void);

#endif
