/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/owner.h"

#include <stdio.h>
#include <unistd.h>

#include "runtime/alloc.h"

#define LINE_MAX_BYTES 256

void
sl_owner_write(const char *directory, const char *verb)
{
    char host[128] = "";
    if (gethostname(host, sizeof(host) - 1) != 0 || host[0] == '\0')
        (void)snprintf(host, sizeof(host), "an unnamed host");
    char *path = sl_format("%s/owner", directory), *temporary = sl_format("%s.new", path);
    FILE *file = fopen(temporary, "we");
    bool is_written = file != NULL &&
                      fprintf(file, "sluice %s, process %d on %s\n", verb, (int)getpid(), host) > 0;
    if (file != NULL)
        is_written = fclose(file) == 0 && is_written;
    if (!is_written || rename(temporary, path) != 0)
        (void)unlink(temporary);
    sl_free(path);
    sl_free(temporary);
}

char *
sl_owner_read(const char *directory)
{
    char line[LINE_MAX_BYTES] = "";
    char *path = sl_format("%s/owner", directory);
    FILE *file = fopen(path, "re");
    sl_free(path);
    if (file != NULL) {
        if (fgets(line, sizeof(line), file) == NULL)
            line[0] = '\0';
        (void)fclose(file);
    }
    for (char *c = line; *c != '\0'; c++) {
        if (*c == '\n')
            *c = '\0';
        else if (*c < ' ' || *c > '~')
            *c = '?';
        if (*c == '\0')
            break;
    }
    return sl_strdup(line[0] == '\0' ? "another sluice" : line);
}
