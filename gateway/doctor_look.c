/* SPDX-License-Identifier: Apache-2.0 */
/* The facts that doctor.c judges: asked of the kernel, the file system and the libraries. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <microhttpd.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/doctor.h"
#include "gateway/version.h"
#include "runtime/alloc.h"
#include "runtime/sandbox.h"
#include "runtime/time.h"

#define SYNC_BYTES  4096u
#define CLOCK_READS 1000u

/* The first line of a file without its end; false: it cannot be read. */
static bool
read_line(const char *path, char *ret_text, size_t size)
{
    FILE *file = fopen(path, "re");
    bool is_ok = file != NULL && fgets(ret_text, (int)size, file) != NULL;
    if (file != NULL)
        fclose(file);
    if (is_ok)
        ret_text[strcspn(ret_text, "\n")] = '\0';
    return is_ok;
}

/* ---- the kernel ---------------------------------------------------------------------------- */

/* In a child, since there is no way back: 0, or the errno that it told. */
static int
try_in_child(int (*try)(void *arg), void *arg)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(try(arg));
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EPERM; /* Killed: it may not. */
}

static int
try_unshare(void *arg)
{
    return unshare(*(const int *)arg) == 0 ? 0 : errno;
}

static int
look_at_namespace(int flags)
{
    return try_in_child(try_unshare, &flags);
}

/* The child tells by a pipe, as it has more to tell than an exit code can. */
static void
look_at_sandbox(struct sl_doctor_facts *x)
{
    int ends[2];
    x->sandbox = SL_SANDBOX_NONE;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        x->sandbox_error = errno;
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t states = sl_sandbox_enter(&(struct sl_sandbox_options){.readable = ""});
        _exit(write(ends[1], &states, sizeof(states)) == sizeof(states) ? 0 : 1);
    }
    x->sandbox_error = pid < 0 ? errno : 0;
    close(ends[1]);
    uint64_t states = 0;
    if (pid > 0 && read(ends[0], &states, sizeof(states)) == sizeof(states))
        x->sandbox = states;
    close(ends[0]);
    if (pid > 0)
        (void)waitpid(pid, NULL, 0);
}

static int
try_seals(void)
{
    int fd = memfd_create("sluice-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING), error = 0;
    if (fd < 0)
        return errno;
    if (ftruncate(fd, SYNC_BYTES) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        error = errno;
    close(fd);
    return error;
}

static void
look_at_kernel(struct sl_doctor_facts *x)
{
    struct utsname name;
    if (uname(&name) == 0) {
        (void)snprintf(x->kernel, sizeof(x->kernel), "%.15s %.40s", name.sysname, name.release);
        (void)sscanf(name.release, "%u.%u", &x->kernel_major, &x->kernel_minor);
    }
    x->user_namespace = look_at_namespace(CLONE_NEWUSER);
    x->network_namespace =
        look_at_namespace(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET);
    x->sealed_memory = try_seals();
    look_at_sandbox(x);
    if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0)
        x->cgroups = 2;
    else
        x->cgroups = access("/sys/fs/cgroup/memory", F_OK) == 0 ? 1 : 0;
}

/* ---- the machine --------------------------------------------------------------------------- */

static uint64_t
limit_of(rlim_t limit)
{
    return limit == RLIM_INFINITY ? UINT64_MAX : limit;
}

/* Of this process's own group, where it is of version 2. */
static uint64_t
cpu_quota_milli(void)
{
    char line[256], path[512];
    uint64_t quota = 0, period = 0;
    if (!read_line("/proc/self/cgroup", line, sizeof(line)) || strncmp(line, "0::", 3) != 0)
        return 0;
    (void)snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", line + 3);
    if (!read_line(path, line, sizeof(line)) ||
        sscanf(line, "%" SCNu64 " %" SCNu64, &quota, &period) != 2 || period == 0)
        return 0;
    return quota * 1000 / period;
}

static void
look_at_memory(struct sl_doctor_facts *x)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "MemTotal: %llu kB", &kib) == 1)
            x->memory_bytes = kib * SL_KIB;
        else if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            x->memory_free_bytes = kib * SL_KIB;
    }
    if (file != NULL)
        fclose(file);
}

static void
look_at_machine(struct sl_doctor_facts *x)
{
    cpu_set_t set;
    struct rlimit limit;
    x->cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
#if defined(__x86_64__)
    x->has_avx2 = __builtin_cpu_supports("avx2") != 0;
#endif
    x->cpu_quota_milli = cpu_quota_milli();
    look_at_memory(x);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        x->files_soft = limit_of(limit.rlim_cur);
        x->files_hard = limit_of(limit.rlim_max);
    }
    if (getrlimit(RLIMIT_NPROC, &limit) == 0)
        x->processes_max = limit_of(limit.rlim_cur);
}

/* ---- the disk ------------------------------------------------------------------------------ */

static void
name_filesystem(const struct statfs *s, char ret_name[static 16])
{
    static const struct {
        uint64_t magic;
        const char *name;
    } known[] = {{0xef53, "ext4"},        {0x58465342, "xfs"},   {0x9123683e, "btrfs"},
                 {0x2fc12fc1, "zfs"},     {0x01021994, "tmpfs"}, {0x858458f6, "ramfs"},
                 {0x794c7630, "overlay"}, {0x6969, "nfs"},       {0xff534d42, "cifs"},
                 {0xfe534d42, "cifs"},    {0x65735546, "fuse"},  {0xf2f52010, "f2fs"}};
    uint64_t magic = (uint32_t)s->f_type;
    (void)snprintf(ret_name, 16, "0x%" PRIx64, magic);
    for (size_t i = 0; i < SL_COUNT_OF(known); i++) {
        if (known[i].magic == magic)
            (void)snprintf(ret_name, 16, "%s", known[i].name);
    }
}

static int
by_size(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What the log does for a lone request: write over zeroes that are on the disk, then sync. */
static int
time_syncs(int fd, struct sl_doctor_facts *x)
{
    uint64_t took[SL_DOCTOR_SYNCS];
    uint8_t *bytes = sl_zalloc(SYNC_BYTES);
    int error = 0;
    for (uint32_t i = 0; i < SL_DOCTOR_SYNCS && error == 0; i++) {
        if (pwrite(fd, bytes, SYNC_BYTES, (off_t)i * SYNC_BYTES) != (ssize_t)SYNC_BYTES)
            error = errno == 0 ? EIO : errno;
    }
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    memset(bytes, 1, SYNC_BYTES);
    for (uint32_t i = 0; i < SL_DOCTOR_SYNCS && error == 0; i++) {
        uint64_t begun_ns = sl_time_mono_ns();
        if (pwrite(fd, bytes, SYNC_BYTES, (off_t)i * SYNC_BYTES) != (ssize_t)SYNC_BYTES ||
            fdatasync(fd) != 0)
            error = errno == 0 ? EIO : errno;
        took[i] = sl_time_mono_ns() - begun_ns;
    }
    sl_free(bytes);
    if (error != 0)
        return error;
    qsort(took, SL_DOCTOR_SYNCS, sizeof(took[0]), by_size);
    x->sync_p50_ns = took[SL_DOCTOR_SYNCS / 2];
    x->sync_p99_ns = took[SL_DOCTOR_SYNCS - 1];
    return 0;
}

static void
look_at_format(const char *data, struct sl_doctor_facts *x)
{
    char *path = sl_format("%s/format", data), line[32];
    char *end = line;
    x->format_known = SL_DATA_FORMAT;
    x->format = -1;
    if (access(path, F_OK) == 0) {
        long version = read_line(path, line, sizeof(line)) ? strtol(line, &end, 10) : 0;
        x->format = end == line || version <= 0 || version > INT_MAX ? -2 : (int)version;
    }
    sl_free(path);
}

/* Its data directory, or where that would be made. */
static void
look_at_disk(const char *data, struct sl_doctor_facts *x)
{
    struct statfs s;
    char *copy = sl_strndup(data, strlen(data)), *directory = copy;
    x->data = data;
    x->is_data_absent = access(data, F_OK) != 0 && errno == ENOENT;
    if (x->is_data_absent)
        directory = dirname(copy);
    char *path = sl_format("%s/.sluice-doctor-XXXXXX", directory);
    int fd = mkostemp(path, O_CLOEXEC);
    x->data_error = fd < 0 ? errno : 0;
    if (fd >= 0) {
        (void)unlink(path);
        x->data_error = time_syncs(fd, x);
        if (x->data_error == 0 && fstatfs(fd, &s) == 0) {
            name_filesystem(&s, x->filesystem);
            x->disk_bytes = (uint64_t)s.f_blocks * (uint64_t)s.f_bsize;
            x->disk_free_bytes = (uint64_t)s.f_bavail * (uint64_t)s.f_bsize;
        }
        close(fd);
    }
    look_at_format(data, x);
    sl_free(path);
    sl_free(copy);
}

/* ---- around it ----------------------------------------------------------------------------- */

static int
try_bind(const struct addrinfo *at)
{
    int on = 1, error = 0;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, 1) != 0)
        error = errno;
    close(fd);
    return error;
}

/* "127.0.0.1:8080" or "[::1]:8080". */
static void
look_at_port(const char *address, struct sl_doctor_port *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE},
                    *list = NULL;
    char host[64] = "";
    const char *colon = strrchr(address, ':');
    bool is_bracketed = address[0] == '[';
    port->address = address;
    port->error = EINVAL;
    if (colon == NULL || (size_t)(colon - address) >= sizeof(host))
        return;
    size_t size = (size_t)(colon - address);
    memcpy(host, address, size);
    if (is_bracketed && size >= 2 && host[size - 1] == ']') {
        host[size - 1] = '\0';
        memmove(host, host + 1, size - 1);
    }
    if (getaddrinfo(host, colon + 1, &hints, &list) != 0)
        return;
    port->error = try_bind(list);
    freeaddrinfo(list);
}

static void
look_at_libraries(struct sl_doctor_facts *x)
{
    struct sl_library *http = &x->libraries[SL_RUNTIME_LIBRARIES];
    sl_runtime_libraries(x->libraries);
    http->name = "libmicrohttpd";
    (void)snprintf(http->built, sizeof(http->built), "%x.%x.%x", MHD_VERSION >> 24,
                   (MHD_VERSION >> 16) & 0xff, (MHD_VERSION >> 8) & 0xff);
    (void)snprintf(http->found, sizeof(http->found), "%s", MHD_get_version());
}

static void
look_at_clock(struct sl_doctor_facts *x)
{
    struct timex t = {0};
    x->wall_ms = sl_time_wall_ms();
    x->is_synchronized = adjtimex(&t) != TIME_ERROR && (t.status & STA_UNSYNC) == 0;
    if (!read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource",
                   x->clock_source, sizeof(x->clock_source)))
        (void)snprintf(x->clock_source, sizeof(x->clock_source), "unknown");
    uint64_t begun_ns = sl_time_mono_ns();
    for (uint32_t i = 0; i < CLOCK_READS; i++)
        (void)sl_time_mono_ns();
    x->clock_read_ns = (sl_time_mono_ns() - begun_ns) / CLOCK_READS;
}

void
sl_doctor_look(const struct sl_doctor_places *places, struct sl_doctor_facts *ret_facts)
{
    *ret_facts = (struct sl_doctor_facts){0};
    look_at_kernel(ret_facts);
    look_at_machine(ret_facts);
    look_at_disk(places->data, ret_facts);
    look_at_port(places->http, &ret_facts->http);
    look_at_port(places->dashboard, &ret_facts->dashboard);
    look_at_libraries(ret_facts);
    look_at_clock(ret_facts);
}
