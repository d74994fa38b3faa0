/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/words.h - what the table of verbs says beside help: completion for shells, and a manual page.
 * Both are made of the table alone, so that neither tells of a verb that is not there.
 */
#ifndef SL_GATEWAY_CLI_WORDS_H
#define SL_GATEWAY_CLI_WORDS_H

#include "gateway/cli.h"
#include "runtime/buf.h"

#define SL_CLI_ORDERS_MAX 32u

/*
 * The words that a verb's arguments may begin with: "create" and "list" of "create ID | list".
 * Nothing of "PATH...". Each once, borrowed from `arguments`. At most SL_CLI_ORDERS_MAX.
 */
uint32_t sl_cli_orders(const char *arguments, struct sl_slice ret_orders[static SL_CLI_ORDERS_MAX]);

/* False: there is no such shell. */
bool sl_cli_completion(const char *shell, struct sl_buf *out);
/* In the man macros of roff, section 1. */
void sl_cli_manual(struct sl_buf *out);

/* `sluice completion SHELL` and `sluice manual`; argv[0] is the verb. */
int sl_completion_main(int argc, char **argv);
int sl_manual_main(int argc, char **argv);

#endif
