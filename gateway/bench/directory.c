/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/directory.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/alloc.h"

char *
sl_bench_directory_make(const struct sl_bench *bench)
{
    char *path = sl_format("%s/sluice-bench-XXXXXX", bench->data);
    if (mkdtemp(path) != NULL)
        return path;
    (void)sl_bench_fail("%s: %s", path, strerror(errno));
    sl_free(path);
    return NULL;
}

static int
remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

void
sl_bench_directory_remove(char **directory)
{
    if (*directory == NULL)
        return;
    if (nftw(*directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        (void)sl_bench_fail("cannot remove %s: %s", *directory, strerror(errno));
    sl_free(*directory);
    *directory = NULL;
}
