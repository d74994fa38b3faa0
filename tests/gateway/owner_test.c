/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/owner.h"
#include "runtime/alloc.h"

static char directory[64];

static void
setup(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/sluice-owner-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void
teardown(void)
{
    char *path = sl_format("%s/owner", directory);
    (void)unlink(path);
    sl_free(path);
    (void)rmdir(directory);
}

TestSuite(owner, .init = setup, .fini = teardown);

static void
assert_reads(const char *wanted)
{
    char *line = sl_owner_read(directory);
    cr_assert_str_eq(line, wanted);
    sl_free(line);
}

Test(owner, is_named_by_verb_process_and_host)
{
    char host[128] = "";
    cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
    assert_reads("another sluice");
    sl_owner_write(directory, "head");
    char *wanted = sl_format("sluice head, process %d on %s", (int)getpid(), host);
    assert_reads(wanted);
    sl_free(wanted);
}

Test(owner, is_printable_whatever_lies_there)
{
    char *path = sl_format("%s/owner", directory);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_gt(fprintf(file, "\033[2Jx\nsecond line"), 0);
    cr_assert_eq(fclose(file), 0);
    sl_free(path);
    assert_reads("?[2Jx");
}
