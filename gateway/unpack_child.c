/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "gateway/unpack.h"
#include "object-store/intake_child.h"

int
sl_unpack_main(int argc, char **argv)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* No process outlives main. */
    if (argc != 4)
        return 2;
    struct sl_intake_child child = {.archive_fd = 0,
                                    .report_fd = 1,
                                    .directory = argv[1],
                                    .format = argv[2],
                                    .is_embedding = strcmp(argv[3], "embedding") == 0};
    /* No exit handlers: what they would open (a leak check does) lies out of reach by now. */
    _exit(sl_intake_child_main(&child));
}
