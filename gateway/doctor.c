/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/doctor.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "runtime/sandbox.h"
#include "runtime/time.h"

#define KERNEL_MAJOR     6u
#define KERNEL_MINOR     1u
#define FILES_WANTED     16384u /* 4,096 connections, their calls, replicas, the store. */
#define FILES_LEAST      1024u
#define PROCESSES_LEAST  512u
#define MEMORY_LEAST     (512 * SL_MIB)
#define DISK_LEAST       (256 * SL_MIB) /* The log refuses work before a disk is full. */
#define DISK_WANTED      (5 * SL_GIB)
#define SYNC_SLOW_NS     (10 * SL_MILLI_NS)
#define SYNC_IMPLAUSIBLE (5 * SL_MICRO_NS)       /* No disk is that quick: nothing was written. */
#define WALL_LEAST_MS    UINT64_C(1704067200000) /* 2024: before any release. */
#define CLOCK_SLOW_NS    1000u

const char *
sl_doctor_state_name(enum sl_doctor_state state)
{
    static const char *const names[] = {"ok", "warn", "fail"};
    return names[state];
}

static void found(struct sl_doctor_finding *f, const char *format, ...) SL_PRINTF(2, 3);
static void advise(struct sl_doctor_finding *f, enum sl_doctor_state state, const char *format, ...)
    SL_PRINTF(3, 4);

static void
found(struct sl_doctor_finding *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(f->found, sizeof(f->found), format, args);
    va_end(args);
}

/* The worst is kept. */
static void
advise(struct sl_doctor_finding *f, enum sl_doctor_state state, const char *format, ...)
{
    va_list args;
    if (state < f->state || (state == f->state && f->advice[0] != '\0'))
        return;
    f->state = state;
    va_start(args, format);
    (void)vsnprintf(f->advice, sizeof(f->advice), format, args);
    va_end(args);
}

static void
size_text(uint64_t bytes, char ret_text[static 24])
{
    if (bytes == UINT64_MAX)
        (void)snprintf(ret_text, 24, "any amount");
    else if (bytes >= SL_GIB)
        (void)snprintf(ret_text, 24, "%.1f GiB", (double)bytes / SL_GIB);
    else
        (void)snprintf(ret_text, 24, "%.0f MiB", (double)bytes / SL_MIB);
}

static void
count_text(uint64_t count, char ret_text[static 24])
{
    if (count == UINT64_MAX)
        (void)snprintf(ret_text, 24, "any number");
    else
        (void)snprintf(ret_text, 24, "%" PRIu64, count);
}

/* ---- the kernel ---------------------------------------------------------------------------- */

static void
judge_kernel(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    found(f, "%s", x->kernel);
    if (x->kernel_major < KERNEL_MAJOR ||
        (x->kernel_major == KERNEL_MAJOR && x->kernel_minor < KERNEL_MINOR))
        advise(f, SL_DOCTOR_WARN,
               "sluice is made for %u.%u and later: parts of the sandbox are missing", KERNEL_MAJOR,
               KERNEL_MINOR);
}

static void
judge_sandbox(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    static const struct {
        enum sl_sandbox_part part;
        const char *advice;
    } parts[] = {
        {SL_SANDBOX_LANDLOCK, "add landlock to lsm= on the kernel's command line"},
        {SL_SANDBOX_SECCOMP, "the kernel needs CONFIG_SECCOMP_FILTER; some containers forbid it"},
        {SL_SANDBOX_NEW_PRIVS, "the kernel is too old"},
    };
    if (x->sandbox_error != 0) {
        found(f, "no process could be started: %s", strerror(x->sandbox_error));
        advise(f, SL_DOCTOR_FAIL, "replicas cannot be started either");
        return;
    }
    size_t size = 0;
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++) {
        static const char *const names[] = {"landlock", "seccomp", "no_new_privs"};
        uint32_t state = sl_sandbox_state(x->sandbox, parts[i].part);
        bool is_on = state == SL_SANDBOX_ENFORCED;
        int written = snprintf(f->found + size, sizeof(f->found) - size, "%s%s: %s",
                               size == 0 ? "" : ", ", names[i],
                               is_on                     ? "enforced"
                               : state == SL_SANDBOX_OFF ? "off"
                                                         : strerror((int)state));
        size = SL_MIN(size + (size_t)SL_MAX(written, 0), sizeof(f->found) - 1);
        if (!is_on)
            advise(f, SL_DOCTOR_WARN, "%s is not in force: %s", names[i], parts[i].advice);
    }
    if (x->user_namespace != 0)
        advise(f, SL_DOCTOR_WARN,
               "user namespaces: %s; as root tenants have users of their own instead, else set "
               "kernel.unprivileged_userns_clone=1",
               strerror(x->user_namespace));
    if (x->network_namespace != 0)
        advise(f, SL_DOCTOR_WARN, "network namespaces: %s", strerror(x->network_namespace));
}

static void
judge_memory_files(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    found(f, "%s", x->sealed_memory == 0 ? "can be made and sealed" : strerror(x->sealed_memory));
    if (x->sealed_memory != 0)
        advise(f, SL_DOCTOR_FAIL, "memfd_create and its seals are needed: no model can be shared");
}

static void
judge_cgroups(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    found(f, x->cgroups == 0 ? "none" : "version %u", x->cgroups);
    if (x->cgroups != 2)
        advise(f, SL_DOCTOR_WARN,
               "memory of replicas is bounded by limits of processes alone; version 2 comes with "
               "systemd.unified_cgroup_hierarchy=1");
}

/* ---- the machine --------------------------------------------------------------------------- */

static void
judge_cpus(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    char quota[48] = "";
    if (x->cpu_quota_milli > 0)
        (void)snprintf(quota, sizeof(quota), ", of which %.2f may be used",
                       (double)x->cpu_quota_milli / 1000);
    found(f, "%u%s, %s AVX2", x->cpus, quota, x->has_avx2 ? "with" : "without");
    if (!x->has_avx2)
        advise(f, SL_DOCTOR_WARN, "embedding takes several times as long without AVX2");
    if (x->cpus < 2 || (x->cpu_quota_milli > 0 && x->cpu_quota_milli < 1000))
        advise(f, SL_DOCTOR_WARN, "requests and replicas share one core: give it two");
}

static void
judge_memory(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    char all[24], free_now[24];
    size_text(x->memory_bytes, all);
    size_text(x->memory_free_bytes, free_now);
    found(f, "%s of %s are free", free_now, all);
    if (x->memory_free_bytes < MEMORY_LEAST)
        advise(f, SL_DOCTOR_WARN,
               "models and vectors are held in memory: free some, or set "
               "objects.memory lower");
}

static void
judge_descriptors(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    char soft[24], hard[24];
    count_text(x->files_soft, soft);
    count_text(x->files_hard, hard);
    found(f, "%s, up to %s", soft, hard);
    if (x->files_hard < FILES_LEAST)
        advise(f, SL_DOCTOR_FAIL, "raise the limit: LimitNOFILE=%u of its unit, or ulimit -n",
               FILES_WANTED);
    else if (x->files_hard < FILES_WANTED)
        advise(f, SL_DOCTOR_WARN, "few connections fit: LimitNOFILE=%u of its unit, or ulimit -n",
               FILES_WANTED);
}

static void
judge_processes(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    char max[24];
    count_text(x->processes_max, max);
    found(f, "%s", max);
    if (x->processes_max < PROCESSES_LEAST)
        advise(f, SL_DOCTOR_WARN, "threads count too: LimitNPROC=%u or more", PROCESSES_LEAST);
}

/* ---- the disk ------------------------------------------------------------------------------ */

static bool
is_one_of(const char *text, const char *const names[])
{
    for (; *names != NULL; names++) {
        if (strcmp(text, *names) == 0)
            return true;
    }
    return false;
}

static void
judge_directory(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    static const char *const volatile_ones[] = {"tmpfs", "ramfs", NULL};
    static const char *const remote_ones[] = {"nfs", "cifs", "fuse", NULL};
    if (x->data_error != 0) {
        found(f, "%s: %s", x->data, strerror(x->data_error));
        advise(f, SL_DOCTOR_FAIL, "make it, or let this user write there");
        return;
    }
    found(f, "%s%s, on %s", x->data, x->is_data_absent ? " (will be made)" : "", x->filesystem);
    if (is_one_of(x->filesystem, volatile_ones))
        advise(f, SL_DOCTOR_FAIL, "nothing there outlives a restart of the machine: choose a disk");
    if (is_one_of(x->filesystem, remote_ones))
        advise(f, SL_DOCTOR_WARN,
               "locks and syncs of %s are its server's business: a local disk is safer",
               x->filesystem);
}

static void
judge_disk_space(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    char all[24], free_now[24];
    size_text(x->disk_bytes, all);
    size_text(x->disk_free_bytes, free_now);
    if (x->data_error != 0) {
        found(f, "not known");
        return;
    }
    found(f, "%s of %s are free", free_now, all);
    if (x->disk_free_bytes < DISK_LEAST)
        advise(f, SL_DOCTOR_FAIL, "new work is refused when the disk is nearly full: make room");
    else if (x->disk_free_bytes < DISK_WANTED)
        advise(f, SL_DOCTOR_WARN, "uploads and models need room: make some");
}

static void
judge_disk_sync(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    if (x->data_error != 0) {
        found(f, "not measured");
        return;
    }
    found(f, "p50 %.2f ms, p99 %.2f ms over %u syncs of 4 KiB", (double)x->sync_p50_ns / 1e6,
          (double)x->sync_p99_ns / 1e6, SL_DOCTOR_SYNCS);
    if (x->sync_p50_ns < SYNC_IMPLAUSIBLE)
        advise(f, SL_DOCTOR_WARN,
               "no disk is that quick: it may forget what it was told when the power fails");
    if (x->sync_p50_ns > SYNC_SLOW_NS)
        advise(f, SL_DOCTOR_WARN,
               "a durable request takes at least that: a disk with a protected write cache helps");
}

static void
judge_data_format(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    if (x->format == -1)
        found(f, "no data yet; this program writes %d", x->format_known);
    else if (x->format == -2)
        found(f, "cannot be read");
    else
        found(f, "%d; this program knows up to %d", x->format, x->format_known);
    if (x->format == -2)
        advise(f, SL_DOCTOR_FAIL, "restore the file `format` from a backup");
    if (x->format > x->format_known)
        advise(f, SL_DOCTOR_FAIL, "a later sluice wrote it: use that one");
}

/* ---- around it ----------------------------------------------------------------------------- */

static void
judge_port(const struct sl_doctor_port *port, struct sl_doctor_finding *f)
{
    found(f, "%s: %s", port->address, port->error == 0 ? "free" : strerror(port->error));
    if (port->error == EADDRINUSE)
        advise(f, SL_DOCTOR_WARN, "something listens there, maybe sluice itself: ss -ltnp tells");
    else if (port->error == EACCES)
        advise(f, SL_DOCTOR_FAIL, "ports below 1024 need CAP_NET_BIND_SERVICE: choose another");
    else if (port->error != 0)
        advise(f, SL_DOCTOR_FAIL, "this machine has no such address: see ip addr");
}

static void
judge_http(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    judge_port(&x->http, f);
}

static void
judge_dashboard(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    judge_port(&x->dashboard, f);
}

static void
judge_libraries(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    size_t size = 0;
    for (uint32_t i = 0; i < SL_DOCTOR_LIBRARIES; i++) {
        const struct sl_library *l = &x->libraries[i];
        bool is_same = strcmp(l->built, l->found) == 0;
        int written = snprintf(
            f->found + size, sizeof(f->found) - size, "%s%s %s%s%s%s", i == 0 ? "" : ", ", l->name,
            l->found, is_same ? "" : " (built with ", is_same ? "" : l->built, is_same ? "" : ")");
        size = SL_MIN(size + (size_t)SL_MAX(written, 0), sizeof(f->found) - 1);
        if (!is_same)
            advise(f, SL_DOCTOR_WARN,
                   "%s is another than sluice was built and tested with: build "
                   "it again",
                   l->name);
    }
}

static void
judge_clock(const struct sl_doctor_facts *x, struct sl_doctor_finding *f)
{
    char now[SL_TIME_TEXT_SIZE];
    sl_time_format(x->wall_ms, now);
    found(f, "%s, %s, source %s, %" PRIu64 " ns a look", now,
          x->is_synchronized ? "synchronized" : "not synchronized", x->clock_source,
          x->clock_read_ns);
    if (x->wall_ms < WALL_LEAST_MS)
        advise(f, SL_DOCTOR_FAIL, "the date is wrong: keys expire and budgets begin by it");
    if (!x->is_synchronized)
        advise(f, SL_DOCTOR_WARN,
               "start systemd-timesyncd or chrony: expiries and usage go by the wall clock");
    if (x->clock_read_ns > CLOCK_SLOW_NS)
        advise(f, SL_DOCTOR_WARN,
               "looking at the clock is slow with this source: see "
               "/sys/devices/system/clocksource/clocksource0/available_clocksource");
}

void
sl_doctor_judge(const struct sl_doctor_facts *x,
                struct sl_doctor_finding ret_findings[static SL_DOCTOR_CHECKS])
{
    static const struct {
        const char *name, *about;
        void (*judge)(const struct sl_doctor_facts *x, struct sl_doctor_finding *f);
    } checks[] = {
#define CHECK(name, about) {#name, about, judge_##name},
#include "gateway/doctor.def"
    };
    for (size_t i = 0; i < SL_DOCTOR_CHECKS; i++) {
        ret_findings[i] =
            (struct sl_doctor_finding){.check = checks[i].name, .about = checks[i].about};
        checks[i].judge(x, &ret_findings[i]);
    }
}
