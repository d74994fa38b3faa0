/* SPDX-License-Identifier: Apache-2.0 */
/*
 * up.h - `sluice up`: everything on one machine. This process is head and gateway; it has the
 * spawner exec'ed, and that forks nodes and replicas. `sluice head` is the same without the API:
 * gateways serve that (gateway_verb.h).
 */
#ifndef SL_GATEWAY_UP_H
#define SL_GATEWAY_UP_H

/* Both verbs; argv[0] says which. Exit codes: 0 stopped as asked, 1 failed, 2 usage. */
int sl_up_main(int argc, char **argv);

/* The hidden verb that sl_spawner_start execs: argv[1] is the descriptor of main's socket. */
int sl_spawner_verb(int argc, char **argv);

#endif
