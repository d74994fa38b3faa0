/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/isolation/glutton.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "extractors/replica_end.h"

#define THREADS_TRIED 64
#define THREADS_OTHER 8 /* Of that user: itself, and one that ends just now. */

/* How far it came. */
SL_PRINTF(2, 3)
static void
say(struct sl_attack_result *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->text, sizeof(r->text), format, args);
    va_end(args);
}

/* One that comes to be ends at once, and is waited for: a bomb of one. */
static void
note_process(struct sl_attack_result *r, long pid, const char *text)
{
    if (pid == 0)
        _exit(0);
    sl_attack_note(r, pid < 0 ? errno : -1, text);
    if (pid > 0)
        (void)waitpid((pid_t)pid, NULL, 0);
}

void
sl_glutton_fork_bomb(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    (void)t;
    note_process(r, syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L), "clone");
#ifdef SYS_fork
    note_process(r, syscall(SYS_fork), "fork");
#endif
    uint64_t args[11] = {[4] = SIGCHLD}; /* struct clone_args: exit_signal. */
    note_process(r, syscall(SYS_clone3, args, sizeof(args)), "clone3");
}

/*
 * The limit that it has, and that the kernel goes by such a limit, as found with a lower one: all
 * of 4,096 could be more than a container has for everybody.
 */
void
sl_glutton_threads(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    struct rlimit limit;
    uint32_t count = 0;
    (void)t;
    if (getrlimit(RLIMIT_NPROC, &limit) != 0 || limit.rlim_max > SL_SANDBOX_THREADS_MAX) {
        sl_attack_note(r, -1, "no limit of threads is set");
        return;
    }
    rlim_t most = limit.rlim_max;
    limit.rlim_cur = SL_MIN(most, (rlim_t)THREADS_TRIED);
    if (setrlimit(RLIMIT_NPROC, &limit) != 0)
        return;
    int error = sl_sandbox_fill_threads(THREADS_TRIED + 1, &count);
    if (error != 0 && (error != EAGAIN || count + THREADS_OTHER < limit.rlim_cur)) {
        say(r, "something else than the limit (%u) refused thread %" PRIu32 " (%s)",
            (unsigned)limit.rlim_cur, count + 1, strerrorname_np(error));
        return;
    }
    sl_attack_note(r, error == 0 ? -1 : error, "");
    say(r, "of %u it may have, %" PRIu32 " were started where %u were allowed", (unsigned)most,
        count, (unsigned)limit.rlim_cur);
}

/* Nothing of it is touched: the limit is on what may be. */
void
sl_glutton_memory(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    uint64_t size = t->memory_bytes + SL_REPLICA_MEMORY_SLACK + SL_MIB;
    if (sl_sandbox_is_sanitized())
        return;
    if (t->memory_bytes == 0) {
        sl_attack_note(r, -1, "any size: replicas.memory is 0");
        return;
    }
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    sl_attack_note(r, data == MAP_FAILED ? errno : -1, "");
    say(r, "%" PRIu64 " MiB, where %" PRIu64 " may be had", size / SL_MIB,
        t->memory_bytes / SL_MIB);
    if (data != MAP_FAILED)
        (void)munmap(data, size);
}

void
sl_glutton_descriptors(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    static bool is_ours[SL_SANDBOX_FILES_MAX + 2];
    int highest = STDERR_FILENO, fd;
    (void)t;
    while ((fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, highest + 1)) >= 0) {
        is_ours[fd] = true;
        highest = fd;
        if (fd > (int)SL_SANDBOX_FILES_MAX)
            break;
    }
    sl_attack_note(r, fd < 0 ? (errno == EINVAL ? EMFILE : errno) : -1, "");
    say(r, "the highest was %d", highest);
    for (int i = 0; i <= highest; i++)
        if (is_ours[i])
            (void)close(i);
}

void
sl_glutton_memory_files(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    int fd = sl_sandbox_is_sanitized() ? -1 : memfd_create("glutton", MFD_CLOEXEC);
    if (fd < 0)
        return;
    sl_attack_note(r, ftruncate(fd, (off_t)t->file_bytes + 1) < 0 ? errno : -1, "");
    say(r, "%" PRIu64 " bytes, where %" PRIu64 " may be written", t->file_bytes + 1, t->file_bytes);
    (void)close(fd);
}

/* What is not limited cannot be raised: a replica has a most of descriptors and of threads whatever
 * is configured, of the others it may have any. */
void
sl_glutton_limit(struct sl_attack_result *r, int resource, struct rlimit limit, const char *name)
{
    bool is_needed = resource == RLIMIT_NOFILE || resource == RLIMIT_NPROC;
    if (limit.rlim_max == RLIM_INFINITY) {
        if (is_needed)
            sl_attack_note(r, -1, name);
        return;
    }
    limit.rlim_max++;
    sl_attack_note(r, setrlimit((__rlimit_resource_t)resource, &limit) == 0 ? -1 : errno, name);
}

static void
note_limit(struct sl_attack_result *r, int resource, const char *name)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) == 0)
        sl_glutton_limit(r, resource, limit, name);
}

void
sl_glutton_limits(const struct sl_attack_target *t, struct sl_attack_result *r)
{
    struct sched_param first = {.sched_priority = 1};
    (void)t;
    note_limit(r, RLIMIT_NOFILE, "RLIMIT_NOFILE");
    note_limit(r, RLIMIT_NPROC, "RLIMIT_NPROC");
    note_limit(r, RLIMIT_DATA, "RLIMIT_DATA");
    note_limit(r, RLIMIT_FSIZE, "RLIMIT_FSIZE");
    sl_attack_note(r, syscall(SYS_setpriority, (long)PRIO_PROCESS, 0L, -20L) == 0 ? -1 : errno,
                   "setpriority(-20)");
    sl_attack_note(r,
                   syscall(SYS_sched_setscheduler, 0L, (long)SCHED_FIFO, &first) == 0 ? -1 : errno,
                   "SCHED_FIFO");
}
