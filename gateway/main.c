/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cli.h"

int
main(int argc, char **argv)
{
    return sl_cli_main(argc, argv);
}
