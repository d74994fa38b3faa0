/* SPDX-License-Identifier: Apache-2.0 */
/* The verb config: the reference of all keys. */
#include <stdio.h>

#include "gateway/cli.h"
#include "gateway/gateway_options.h"
#include "gateway/up_options.h"
#include "gateway/worker.h"

static int
print_reference(struct sl_cli *cli)
{
    const char *of = cli->arguments_count < 2 ? "up" : cli->arguments[1];
    struct sl_buf out = {0};
    if (strcmp(of, "up") == 0)
        sl_config_reference(sl_up_keys(), SL_UP_KEY_COUNT, "", &out);
    else if (strcmp(of, "worker") == 0)
        sl_worker_reference(&out);
    else if (strcmp(of, "gateway") == 0)
        sl_gateway_reference(&out);
    else
        return SL_EXIT_USAGE;
    (void)fputs(sl_buf_text(&out), stdout);
    sl_buf_deinit(&out);
    return SL_EXIT_OK;
}

int
sl_cli_config(struct sl_cli *cli)
{
    const char *what = cli->arguments_count == 0 ? "" : cli->arguments[0];
    if (strcmp(what, "reference") == 0 && cli->arguments_count <= 2)
        return print_reference(cli);
    return SL_EXIT_USAGE;
}
