/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/data_format.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/version.h"
#include "runtime/alloc.h"

static bool
make_format(const char *path)
{
    FILE *file = fopen(path, "we");
    bool is_ok = file != NULL && fprintf(file, "%d\n", SL_DATA_FORMAT) > 0 && fflush(file) == 0 &&
                 fsync(fileno(file)) == 0;
    return file != NULL && fclose(file) == 0 && is_ok;
}

bool
sl_data_format_check(const char *verb, const char *data)
{
    char *path = sl_format("%s/format", data);
    FILE *file = fopen(path, "re");
    int version = SL_DATA_FORMAT;
    bool is_new = file == NULL && errno == ENOENT;
    int found = file == NULL ? 0 : fscanf(file, "%d", &version);
    if (found == EOF)
        is_new = !ferror(file); /* Empty: the power failed before it was on the disk. */
    if (file != NULL)
        fclose(file);
    bool is_ok = found == 1 || (is_new && make_format(path));
    if (!is_ok)
        fprintf(stderr, "sluice %s: %s cannot be read or made\n", verb, path);
    else if (version > SL_DATA_FORMAT)
        fprintf(stderr,
                "sluice %s: %s says format %d, this program knows up to %d: use a newer one\n",
                verb, path, version, SL_DATA_FORMAT);
    sl_free(path);
    return is_ok && version <= SL_DATA_FORMAT;
}
