/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/act.h - what the client's verbs share that do one of several things: `sluice VERB WHAT ...`.
 */
#ifndef SL_GATEWAY_CLI_ACT_H
#define SL_GATEWAY_CLI_ACT_H

#include "gateway/cli.h"
#include "gateway/http_client.h"

struct sl_cli_action {
    const char *name;
    uint32_t arguments; /* Beside its own name. */
    int (*run)(struct sl_cli *cli);
};

/* Run the action that the first argument names; `actions` end with a row of zeros. */
int sl_cli_act(struct sl_cli *cli, const struct sl_cli_action *actions);
/* Text as one segment of a path, whatever is in it. Owned. */
char *sl_cli_escape(const char *text);
/* Ask, and print members of the reply, or of its member `inner`, which may be NULL. */
int sl_cli_ask_members(struct sl_cli *cli, const struct sl_http_request *q, const char *inner,
                       const char *const *names);
/* The same with a table of the array `inner`. */
int sl_cli_ask_table(struct sl_cli *cli, const struct sl_http_request *q, const char *inner,
                     const char *const *columns);

#endif
