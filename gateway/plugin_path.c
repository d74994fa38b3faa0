/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/plugin_path.h"

#include <string.h>
#include <unistd.h>

#include "runtime/alloc.h"

char *
sl_plugin_path(const char *more)
{
    char program[512];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[SL_MAX(size, (ssize_t)0)] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(program, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    return sl_format("%s%s%s/lib/sluice", more, more[0] == '\0' ? "" : ":", program);
}
