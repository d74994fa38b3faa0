/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/queue.h - what the verbs about queues share; only for gateway/cli/.
 */
#ifndef SL_GATEWAY_CLI_QUEUE_H
#define SL_GATEWAY_CLI_QUEUE_H

#include "gateway/cli.h"

int sl_cli_queue_verify(struct sl_cli *cli); /* arguments[1]: a data directory. */
int sl_cli_queue_backup(struct sl_cli *cli); /* arguments[1]: where to. */

/* About a tenant's own queues; their arguments are as their verbs have them. */
int sl_cli_queue_inspect(struct sl_cli *cli);
int sl_cli_queue_peek(struct sl_cli *cli);   /* arguments[1]: a queue. */
int sl_cli_queue_events(struct sl_cli *cli); /* arguments[1]: a queue. */
int sl_cli_queue_rm(struct sl_cli *cli);     /* arguments[1]: a queue. */
int sl_cli_own_jobs(struct sl_cli *cli);     /* The verb jobs, of one job or of --where. */
bool sl_cli_is_own_job(const char *text);    /* Whether it can be the id of one. */

#endif
