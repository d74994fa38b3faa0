/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sandbox.h"

/* Newer than the headers we build with; the kernel that we run on says whether it knows them. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#if defined(__x86_64__)
#define AUDIT_ARCH_OURS AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_OURS AUDIT_ARCH_AARCH64
#endif

/* ---- resource limits ----------------------------------------------------------------------- */

static void
lower_limits(const struct sl_confine_options *o)
{
    /* A write over the limit should fail with EFBIG and be reported, not kill. */
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sl_sandbox_lower(RLIMIT_CORE, 0);
    (void)sl_sandbox_lower(RLIMIT_CPU, o->cpu_seconds);
    (void)sl_sandbox_lower(RLIMIT_FSIZE, o->file_bytes);
    /* Not RLIMIT_AS: files are mapped to be read, and may be larger than memory. */
    (void)sl_sandbox_lower(RLIMIT_DATA, sl_sandbox_data_bytes() + o->memory_bytes);
}

/* ---- paths --------------------------------------------------------------------------------- */

static int
landlock_version(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static int
restrict_paths(int directory_fd)
{
    int version = landlock_version();
    if (version < 1)
        return version < 0 ? errno : ENOSYS;
    uint64_t handled = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1; /* All of version 1. */
    if (version >= 2)
        handled |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        handled |= LANDLOCK_ACCESS_FS_TRUNCATE;
    struct landlock_ruleset_attr rules = {.handled_access_fs = handled};
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    if (fd < 0)
        return errno;
    struct landlock_path_beneath_attr below = {
        .allowed_access = handled & (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                                     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                                     LANDLOCK_ACCESS_FS_TRUNCATE),
        .parent_fd = directory_fd,
    };
    int error = 0;
    if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &below, 0) != 0 ||
        syscall(SYS_landlock_restrict_self, fd, 0) != 0)
        error = errno;
    (void)close(fd);
    return error;
}

/* ---- system calls -------------------------------------------------------------------------- */

/* What reading, parsing and writing take, and what the C library does behind them. */
static const int allowed[] = {
    SYS_read,          SYS_pread64,         SYS_readv,
    SYS_write,         SYS_pwrite64,        SYS_writev,
    SYS_lseek,         SYS_close,           SYS_openat,
    SYS_unlinkat,      SYS_fstat,           SYS_newfstatat,
    SYS_ftruncate,     SYS_fallocate,       SYS_fsync,
    SYS_fdatasync,     SYS_sync_file_range, SYS_fadvise64,
    SYS_munmap,        SYS_mremap,          SYS_madvise,
    SYS_brk,           SYS_futex,           SYS_sched_yield,
    SYS_clock_gettime, SYS_clock_nanosleep, SYS_getrandom,
    SYS_getpid,        SYS_gettid,          SYS_getrusage,
    SYS_sysinfo,       SYS_rt_sigaction,    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,  SYS_sigaltstack,     SYS_restart_syscall,
    SYS_exit,          SYS_exit_group,
};

/* Of fcntl: not those that have signals sent. */
static const int commands[] = {F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC};

#define CALL_OF(field) offsetof(struct seccomp_data, field)
#define LOAD(field)    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CALL_OF(field))
#define RETURN(value)  BPF_STMT(BPF_RET | BPF_K, (value))
#define REFUSED        (SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA))

/* Skip the next statement unless the loaded word is `value`. */
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (skip))

static int
restrict_calls(void)
{
#ifndef AUDIT_ARCH_OURS
    return ENOSYS;
#else
    struct sock_filter filter[32 + 2 * SL_COUNT_OF(allowed) + 2 * SL_COUNT_OF(commands)];
    unsigned short n = 0;
    filter[n++] = (struct sock_filter)LOAD(arch);
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_OURS, 1, 0);
    filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_KILL_PROCESS);
    filter[n++] = (struct sock_filter)LOAD(nr);
    for (size_t i = 0; i < SL_COUNT_OF(allowed); i++) {
        filter[n++] = (struct sock_filter)UNLESS((unsigned)allowed[i], 1);
        filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    }
    /* abort sends itself a signal. Each of these blocks returns, so the number stays loaded. */
    filter[n++] = (struct sock_filter)UNLESS(SYS_tgkill, 4);
    filter[n++] = (struct sock_filter)LOAD(args[0]);
    filter[n++] = (struct sock_filter)UNLESS((unsigned)getpid(), 1);
    filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)RETURN(REFUSED);
    filter[n++] = (struct sock_filter)UNLESS(SYS_fcntl, 2 + 2 * SL_COUNT_OF(commands));
    filter[n++] = (struct sock_filter)LOAD(args[1]);
    for (size_t i = 0; i < SL_COUNT_OF(commands); i++) {
        filter[n++] = (struct sock_filter)UNLESS((unsigned)commands[i], 1);
        filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    }
    filter[n++] = (struct sock_filter)RETURN(REFUSED);
    /* Mappings, as long as none can be executed. */
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 2, 0);
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 1, 0);
    filter[n++] = (struct sock_filter)RETURN(REFUSED);
    filter[n++] = (struct sock_filter)LOAD(args[2]);
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1);
    filter[n++] = (struct sock_filter)RETURN(REFUSED);
    filter[n++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    sl_assert(n <= SL_COUNT_OF(filter));
    struct sock_fprog program = {.len = n, .filter = filter};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : errno;
#endif
}

struct sl_confined
sl_confine(const struct sl_confine_options *options)
{
    struct sl_confined confined;
    lower_limits(options);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        confined.landlock = confined.seccomp = errno;
        return confined;
    }
    confined.landlock = restrict_paths(options->directory_fd);
    confined.seccomp = restrict_calls();
    return confined;
}

struct sl_confined
sl_confine_probe(void)
{
    struct sl_confined confined = {0};
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    int version = landlock_version();
    if (version < 1)
        confined.landlock = version < 0 ? errno : ENOSYS;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0)
        confined.seccomp = errno;
#ifndef AUDIT_ARCH_OURS
    confined.seccomp = ENOSYS;
#endif
    return confined;
}
