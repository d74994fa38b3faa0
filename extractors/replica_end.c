/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/replica_end.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "runtime/sandbox.h"

#define LOOK_MS             10   /* While its memory changes. */
#define LOOK_MAX_MS         1000 /* At rest. */
#define FOR_EVER_MS         3600000
#define HANDLER_STACK       (64 * SL_KIB)
#define PAGE_FAULT_ON_WRITE 2 /* Of the error code that x86-64 pushes. */

static struct {
    uint64_t memory_bytes, data_most; /* data_most: where RLIMIT_DATA is. */
    uint64_t page_bytes;
    uint64_t resident; /* As last looked. */
    uint32_t wait_ms;
    int statm_fd;
} watch = {.statm_fd = -1};

/* ---- in the replica ------------------------------------------------------------------------ */

struct usage {
    uint64_t own, data; /* Resident and not of a file or shared; private and writable. */
};

/* By nothing that a signal's handler may not do. */
static bool
read_usage(struct usage *ret_usage)
{
    char text[160];
    uint64_t fields[6] = {0};
    ssize_t size = pread(watch.statm_fd, text, sizeof(text), 0);
    uint32_t field = 0;
    for (ssize_t i = 0; i < size && field < SL_COUNT_OF(fields); i++) {
        if (text[i] >= '0' && text[i] <= '9')
            fields[field] = fields[field] * 10 + (uint64_t)(text[i] - '0');
        else
            field++;
    }
    if (size <= 0)
        return false;
    ret_usage->own = (fields[1] - SL_MIN(fields[1], fields[2])) * watch.page_bytes;
    ret_usage->data = fields[5] * watch.page_bytes;
    return true;
}

static void
say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

uint32_t
sl_replica_watch_look(void *unused)
{
    (void)unused;
    struct usage usage;
    if (watch.memory_bytes == 0 || !read_usage(&usage))
        return FOR_EVER_MS;
    if (usage.own > watch.memory_bytes)
        _exit(SL_REPLICA_EXIT_MEMORY);
    watch.wait_ms =
        usage.own == watch.resident ? SL_MIN(2 * watch.wait_ms, (uint32_t)LOOK_MAX_MS) : LOOK_MS;
    watch.resident = usage.own;
    return watch.wait_ms;
}

/* An allocation was refused, and the plugin made no more of it than this. */
static bool
is_at_limit(void)
{
    struct usage usage;
    return watch.memory_bytes > 0 && read_usage(&usage) &&
           usage.data >= watch.data_most - watch.memory_bytes / 8;
}

static bool
is_write_to_mapped(int signal, const siginfo_t *info, const void *context)
{
    if (signal != SIGSEGV || info->si_code != SEGV_ACCERR)
        return false;
#if defined(__x86_64__)
    const ucontext_t *machine = context;
    return (machine->uc_mcontext.gregs[REG_ERR] & PAGE_FAULT_ON_WRITE) != 0;
#else
    (void)context; /* Other machines do not say; what is mapped and not readable is rare. */
    return true;
#endif
}

static void
on_crash(int number, siginfo_t *info, void *context)
{
    if (is_at_limit()) {
        say("replica: it crashed when it was refused memory\n");
        _exit(SL_REPLICA_EXIT_MEMORY);
    }
    if (is_write_to_mapped(number, info, context))
        _exit(SL_REPLICA_EXIT_READ_ONLY);
    (void)signal(number, SIG_DFL);
    (void)raise(number); /* Held until this returns. */
}

void
sl_replica_watch_begin(uint64_t memory_bytes)
{
    static char stack[HANDLER_STACK]; /* Of this thread: its own may be what has run out. */
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    stack_t other = {.ss_sp = stack, .ss_size = sizeof(stack)};
    watch.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    watch.memory_bytes = memory_bytes;
    watch.data_most = sl_sandbox_data_bytes() + memory_bytes + SL_REPLICA_MEMORY_SLACK;
    watch.wait_ms = LOOK_MS;
    watch.statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    (void)sigaltstack(&other, NULL);
    for (size_t i = 0; i < SL_COUNT_OF(fatal); i++)
        (void)sigaction(fatal[i], &action, NULL);
}

/* ---- in the node --------------------------------------------------------------------------- */

SL_PRINTF(2, 3)
static void
say_why(struct sl_replica_end *end, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(end->text, sizeof(end->text), format, args);
    va_end(args);
}

struct sl_replica_end
sl_replica_end(int64_t exit_code, uint64_t signal, uint64_t memory_bytes)
{
    struct sl_replica_end end = {.signal = signal, .code = ""};
    const char *name = signal == 0 || signal > INT32_MAX ? NULL : sigdescr_np((int)signal);
    if (signal != 0) {
        say_why(&end, "the replica died of signal %" PRIu64 " (%s)", signal,
                name == NULL ? "unknown" : name);
    } else if (exit_code == SL_REPLICA_EXIT_MEMORY) {
        end.cause = SL_REPLICA_CAUSE_MEMORY;
        end.code = "replica_memory";
        say_why(&end, "the replica went over its memory limit of %" PRIu64 " MiB (replicas.memory)",
                memory_bytes / SL_MIB);
    } else if (exit_code == SL_REPLICA_EXIT_READ_ONLY) {
        end.cause = SL_REPLICA_CAUSE_READ_ONLY;
        end.signal = SIGSEGV;
        say_why(&end,
                "the replica died of signal %d (%s): it wrote to memory that is mapped read-only, "
                "as weights and inputs are",
                SIGSEGV, sigdescr_np(SIGSEGV));
    } else if (exit_code == SL_REPLICA_EXIT_START) {
        end.cause = SL_REPLICA_CAUSE_EXIT;
        say_why(&end, "the replica did not start");
    } else {
        end.cause = SL_REPLICA_CAUSE_EXIT;
        end.code = "replica_exited";
        say_why(&end, "the plugin ended its replica's process (exit code %" PRId64 ")", exit_code);
    }
    return end;
}

void
sl_replica_ends_write(const uint64_t counts[static SL_REPLICA_CAUSES], struct sl_jsonw *w)
{
    static const char *const names[SL_REPLICA_CAUSES] = {"signal", "memory", "read_only", "exit",
                                                         "overdue"};
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < SL_REPLICA_CAUSES; i++)
        sl_jsonw_member_u64(w, names[i], counts[i]);
    sl_jsonw_end(w);
}
