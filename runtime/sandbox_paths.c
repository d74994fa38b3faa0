/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Landlock: from a list of what may be read, everything else is closed. The kernel's versions add
 * rights that can be taken away; what is newer than the headers we build with is written out here.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/sandbox.h"

#define ACCESS_REFER     (1ULL << 13)
#define ACCESS_TRUNCATE  (1ULL << 14)
#define ACCESS_IOCTL_DEV (1ULL << 15)
#define ACCESS_V1        (ACCESS_REFER - 1)
#define NET_TCP          3ULL /* Bind and connect; no rule gives them back. */
#define SCOPE_ALL        3ULL /* Abstract sockets and signals that lead out. */

/* Of kernels of all versions; as much of it is handed over as the version has. */
struct ruleset {
    uint64_t fs, net, scoped;
};

static const struct {
    int version;
    size_t size;
} sizes[] = {{6, sizeof(struct ruleset)}, {4, 2 * sizeof(uint64_t)}, {1, sizeof(uint64_t)}};

#define READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define READ      (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE     (READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)
#define DEVICE    (WRITE | ACCESS_IOCTL_DEV)
#define OF_FILES  (DEVICE | LANDLOCK_ACCESS_FS_EXECUTE)

/*
 * Libraries, and what they look at to know the machine. Of /etc only what the loader and the clock
 * read. Of /proc what tells of the machine; a process's own part is added below, and those of
 * others stay closed: not even who is there can be listed.
 */
static const char *const system_paths[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/OpenCL",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/version",
    "/proc/filesystems",
    "/proc/devices",
    "/proc/modules",
    "/proc/driver",
    "/proc/sys",
    "/sys/devices",
    "/sys/bus",
    "/sys/class",
    "/sys/module",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/dev/random",
    "/dev/urandom",
};
static const char *const system_devices[] = {"/dev/null", "/dev/zero", "/dev/full"};

struct rules {
    int fd;
    uint64_t handled;
};

/* One that is not there gives nothing. */
static void
allow(const struct rules *r, const char *path, uint64_t access)
{
    struct stat st;
    int fd = path[0] == '/' ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0) {
        struct landlock_path_beneath_attr rule = {
            .allowed_access = access & r->handled & (S_ISDIR(st.st_mode) ? ~0ULL : OF_FILES),
            .parent_fd = fd};
        if (rule.allowed_access != 0)
            (void)syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    (void)close(fd);
}

/* Each of a list with ':' between; `is_pattern`: its names may have wildcards. */
static void
allow_all(const struct rules *r, const char *list, uint64_t access, bool is_pattern)
{
    for (const char *at = list == NULL ? "" : list; *at != '\0';) {
        size_t size = strcspn(at, ":");
        char *path = sl_strndup(at, size);
        glob_t found = {0};
        if (!is_pattern)
            allow(r, path, access);
        else if (glob(path, 0, NULL, &found) == 0)
            for (size_t i = 0; i < found.gl_pathc; i++)
                allow(r, found.gl_pathv[i], access);
        if (is_pattern)
            globfree(&found);
        sl_free(path);
        at += size + (at[size] == ':');
    }
}

/* Where the sanitizers of this build were told to write their reports. */
static void
allow_reports(const struct rules *r)
{
    static const char *const variables[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"};
    for (size_t i = 0; i < SL_COUNT_OF(variables); i++) {
        const char *options = getenv(variables[i]);
        const char *path = options == NULL ? NULL : strstr(options, "log_path=");
        if (path == NULL)
            continue;
        path += strlen("log_path=");
        char *directory = sl_strndup(path, strcspn(path, ":"));
        char *slash = strrchr(directory, '/');
        if (slash != NULL) {
            *slash = '\0';
            allow(r, directory, WRITE | LANDLOCK_ACCESS_FS_MAKE_REG);
        }
        sl_free(directory);
    }
}

/*
 * A rule is about an inode, and the kernel may make another one for /proc/PID when it has forgotten
 * the name for want of memory. A descriptor that stays open keeps it. A leak check looks at itself
 * from a process of its own.
 */
static void
allow_itself(const struct rules *r)
{
    static int own_fd = -1;
    if (own_fd < 0)
        own_fd = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    allow(r, sl_sandbox_is_sanitized() ? "/proc" : "/proc/self", READ);
}

static void
allow_what_is_needed(const struct rules *r, const struct sl_sandbox_options *o)
{
    for (size_t i = 0; i < SL_COUNT_OF(system_paths); i++)
        allow(r, system_paths[i], READ);
    allow_itself(r);
    for (size_t i = 0; i < SL_COUNT_OF(system_devices); i++)
        allow(r, system_devices[i], WRITE);
    allow_all(r, o->readable, READ, false);
    allow_all(r, o->unlisted, READ_FILE, false);
    allow_all(r, o->devices, DEVICE, true);
    if (sl_sandbox_is_sanitized())
        allow_reports(r);
}

int
sl_sandbox_paths(const struct sl_sandbox_options *options)
{
    int version =
        (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return version < 0 ? errno : ENOSYS;
    struct ruleset rules = {.fs = ACCESS_V1, .net = NET_TCP, .scoped = SCOPE_ALL};
    rules.fs |= version >= 2 ? ACCESS_REFER : 0;
    rules.fs |= version >= 3 ? ACCESS_TRUNCATE : 0;
    rules.fs |= version >= 5 ? ACCESS_IOCTL_DEV : 0;
    size_t at = 0;
    while (sizes[at].version > version)
        at++;
    struct rules r = {.handled = rules.fs};
    r.fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizes[at].size, 0);
    if (r.fd < 0)
        return errno;
    allow_what_is_needed(&r, options);
    int error = syscall(SYS_landlock_restrict_self, r.fd, 0) == 0 ? 0 : errno;
    (void)close(r.fd);
    return error;
}
