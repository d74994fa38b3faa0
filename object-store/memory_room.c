/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/memory_room.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT_SIZE 8192

/* The files of a version of control groups. */
struct kind {
    const char *controller; /* Its line in /proc/self/cgroup, between the colons. */
    const char *mount, *limit, *usage;
    const char *reclaimable[2]; /* Of memory.stat. */
};

static const struct kind kinds[] = {
    {"", "/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}},
    {"memory",
     "/sys/fs/cgroup/memory",
     "memory.limit_in_bytes",
     "memory.usage_in_bytes",
     {"total_inactive_file", "total_active_file"}},
};

/* The file's text, cut to what fits; false: there is none. */
static bool
read_text(const char *path, char text[static TEXT_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, TEXT_SIZE - 1);
    if (fd >= 0)
        (void)close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    return true;
}

/* The number after `name` at the start of a line; 0: there is none. */
static uint64_t
number_after(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, size) == 0 && (line[size] == ' ' || line[size] == ':'))
            return strtoull(line + size + 1, NULL, 10);
    }
    return 0;
}

static bool
read_file(const char *directory, const char *name, char text[static TEXT_SIZE])
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof(path), "%s/%s", directory, name);
    return size > 0 && (size_t)size < sizeof(path) && read_text(path, text);
}

static uint64_t
left_of_machine(const char *root)
{
    char text[TEXT_SIZE];
    uint64_t kib = read_file(root, "proc/meminfo", text) ? number_after(text, "MemAvailable") : 0;
    return kib == 0 ? UINT64_MAX : kib * SL_KIB;
}

/* UINT64_MAX: the group has no limit, or is not to be seen from here. */
static uint64_t
left_of_group(const struct kind *kind, const char *directory)
{
    char text[TEXT_SIZE];
    char *end;
    if (!read_file(directory, kind->limit, text))
        return UINT64_MAX;
    uint64_t limit = strtoull(text, &end, 10);
    if (end == text || !read_file(directory, kind->usage, text)) /* "max" */
        return UINT64_MAX;
    uint64_t usage = strtoull(text, NULL, 10), reclaimable = 0;
    if (read_file(directory, "memory.stat", text)) {
        for (size_t i = 0; i < SL_COUNT_OF(kind->reclaimable); i++)
            reclaimable += number_after(text, kind->reclaimable[i]);
    }
    usage -= SL_MIN(usage, reclaimable);
    return limit - SL_MIN(limit, usage);
}

/* The process's group of a kind, as /proc/self/cgroup has it: "4:memory:/path". */
static bool
find_group(const struct kind *kind, const char *text, char ret_path[static PATH_MAX])
{
    size_t size = strlen(kind->controller);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *at = strchr(line, ':');
        if (at == NULL)
            return false;
        at++;
        if (strncmp(at, kind->controller, size) != 0 || at[size] != ':')
            continue;
        size_t path_size = strcspn(at + size + 1, "\n");
        if (path_size >= PATH_MAX)
            return false;
        memcpy(ret_path, at + size + 1, path_size);
        ret_path[path_size] = '\0';
        return true;
    }
    return false;
}

/* The least that the groups from `path`, which is used up, to the mount have left. Where the
 * process is in a container its path may be one of the host's: then the mount itself is its group.
 */
static uint64_t
left_of_groups(const struct kind *kind, const char *root, char *path)
{
    char directory[PATH_MAX];
    uint64_t left = UINT64_MAX;
    for (;;) {
        int size = snprintf(directory, sizeof(directory), "%s%s%s", root, kind->mount, path);
        uint64_t of_group = UINT64_MAX;
        if (size > 0 && (size_t)size < sizeof(directory))
            of_group = left_of_group(kind, directory);
        left = SL_MIN(left, of_group);
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            return left;
        *slash = '\0';
    }
}

uint64_t
sl_memory_available(const char *root)
{
    char text[TEXT_SIZE], path[PATH_MAX], groups[PATH_MAX];
    uint64_t left = left_of_machine(root);
    int size = snprintf(groups, sizeof(groups), "%s/proc/self/cgroup", root);
    if (size < 0 || (size_t)size >= sizeof(groups) || !read_text(groups, text))
        return left;
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        uint64_t of_groups = UINT64_MAX;
        if (find_group(&kinds[i], text, path))
            of_groups = left_of_groups(&kinds[i], root, path);
        left = SL_MIN(left, of_groups);
    }
    return left;
}
