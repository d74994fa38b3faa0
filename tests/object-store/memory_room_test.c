/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "object-store/memory_room.h"

static char root[64];

static void
setup(void)
{
    snprintf(root, sizeof(root), "/tmp/memory-room-test-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
}

static void
teardown(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(memory_room, .init = setup, .fini = teardown);

/* A file of the kernel's, below the root; its directories are made. */
static void
say(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", root, path);
    for (char *at = full + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        cr_assert(mkdir(full, 0700) == 0 || errno == EEXIST);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    cr_assert_not_null(file);
    cr_assert_geq(fputs(text, file), 0);
    cr_assert_eq(fclose(file), 0);
}

#define MEMINFO "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable:    1000 kB\nSwapFree: 5 kB\n"

Test(memory_room, nobody_knows_where_the_kernel_says_nothing)
{
    cr_assert_eq(sl_memory_available(root), UINT64_MAX);
    say("proc/self/cgroup", "0::/a\n");
    cr_assert_eq(sl_memory_available(root), UINT64_MAX);
}

Test(memory_room, is_what_the_machine_has)
{
    say("proc/meminfo", MEMINFO);
    cr_assert_eq(sl_memory_available(root), 1000 * SL_KIB);
    say("proc/self/cgroup", "0::/none/such\n");
    cr_assert_eq(sl_memory_available(root), 1000 * SL_KIB);
}

Test(memory_room, is_what_a_group_or_one_above_it_has_left)
{
    say("proc/meminfo", MEMINFO);
    say("proc/self/cgroup", "1:cpu:/x\n0::/a/b\n");
    say("sys/fs/cgroup/a/b/memory.max", "max\n");
    say("sys/fs/cgroup/a/b/memory.current", "600000\n");
    cr_assert_eq(sl_memory_available(root), 1000 * SL_KIB);
    say("sys/fs/cgroup/a/memory.max", "700000\n");
    say("sys/fs/cgroup/a/memory.current", "600000\n");
    cr_assert_eq(sl_memory_available(root), 100000);
    say("sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file 20000\nactive_file 1000\nfile 9\n");
    cr_assert_eq(sl_memory_available(root), 121000, "pages of files are given back");
    say("sys/fs/cgroup/a/b/memory.max", "550000\n");
    cr_assert_eq(sl_memory_available(root), 0, "over its limit there is nothing");
}

Test(memory_room, is_what_a_group_of_version_1_has_left)
{
    say("proc/meminfo", MEMINFO);
    say("proc/self/cgroup", "4:memory:/hosts/own/path\n3:cpuset:/\n0::/\n");
    say("sys/fs/cgroup/memory/memory.limit_in_bytes", "800000\n");
    say("sys/fs/cgroup/memory/memory.usage_in_bytes", "300000\n");
    say("sys/fs/cgroup/memory/memory.stat",
        "inactive_file 7\ntotal_inactive_file 1000\ntotal_active_file 2000\n");
    cr_assert_eq(sl_memory_available(root), 503000);
}

Test(memory_room, this_machine_has_some)
{
    cr_assert_gt(sl_memory_available(""), 0);
}
