/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seccomp: a list of the system calls that computing takes, with threads, files to read and
 * descriptors that are there already. What the list lacks fails with EPERM; calls that are newer
 * than the headers we build with fail with ENOSYS, so that a C library goes back to those it had.
 *
 * A table of numbers and one small program: libseccomp would bring a dependency and no shorter
 * text. The kernel remembers which numbers are always allowed, so calls cost no more.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sandbox.h"

#if defined(__x86_64__)
#define AUDIT_ARCH_OURS AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_OURS AUDIT_ARCH_AARCH64
#endif
#define NEWEST 450 /* The last call that was looked at for this list. */

static const int allowed[] = {
    /* Files and descriptors; which files, Landlock says. */
    SYS_read,
    SYS_write,
    SYS_pread64,
    SYS_pwrite64,
    SYS_readv,
    SYS_writev,
    SYS_preadv,
    SYS_pwritev,
    SYS_preadv2,
    SYS_pwritev2,
    SYS_lseek,
    SYS_close,
    SYS_close_range,
    SYS_dup,
    SYS_dup3,
    SYS_pipe2,
    SYS_openat,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_fstat,
    SYS_newfstatat,
    SYS_statx,
    SYS_statfs,
    SYS_fstatfs,
    SYS_readlinkat,
    SYS_getdents64,
    SYS_getcwd,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_fadvise64,
    SYS_readahead,
    SYS_sendfile,
    SYS_memfd_create,
    SYS_ppoll,
    SYS_pselect6,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_pwait2,
    SYS_eventfd2,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_timerfd_gettime,
    /* Sockets that are there. */
    SYS_sendto,
    SYS_recvfrom,
    SYS_sendmsg,
    SYS_recvmsg,
    SYS_shutdown,
    SYS_getsockopt,
    SYS_setsockopt,
    SYS_getsockname,
    SYS_getpeername,
    /* Memory. */
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_msync,
    SYS_mincore,
    SYS_mlock,
    SYS_mlock2,
    SYS_munlock,
    SYS_membarrier,
    SYS_mbind,
    SYS_get_mempolicy,
    SYS_set_mempolicy,
    SYS_pkey_alloc,
    SYS_pkey_free,
    SYS_pkey_mprotect,
    /* Threads and time. */
    SYS_futex,
    SYS_set_robust_list,
    SYS_get_robust_list,
    SYS_set_tid_address,
    SYS_rseq,
    SYS_exit,
    SYS_exit_group,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_getcpu,
    SYS_getpriority,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_times,
    SYS_getitimer,
    SYS_setitimer,
    SYS_timer_create,
    SYS_timer_settime,
    SYS_timer_gettime,
    SYS_timer_getoverrun,
    SYS_timer_delete,
    /* Signals to itself, and what it may know of itself. */
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigpending,
    SYS_rt_sigsuspend,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_getpid,
    SYS_gettid,
    SYS_getppid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getresuid,
    SYS_getresgid,
    SYS_getgroups,
    SYS_getpgid,
    SYS_getsid,
    SYS_capget,
    SYS_getrandom,
    SYS_sysinfo,
    SYS_uname,
    SYS_getrusage,
    SYS_getrlimit,
#ifdef SYS_open /* The older half of x86-64. */
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_access,
    SYS_readlink,
    SYS_getdents,
    SYS_poll,
    SYS_select,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_dup2,
    SYS_pipe,
    SYS_eventfd,
    SYS_time,
    SYS_alarm,
    SYS_pause,
    SYS_arch_prctl,
    SYS_getpgrp,
#endif
#ifdef SYS_futex_waitv
    SYS_futex_waitv,
#endif
};

/* Calls of which one argument says what they do: the values that are allowed. */
static const unsigned fcntl_commands[] = {
    F_DUPFD,     F_DUPFD_CLOEXEC, F_GETFD,      F_SETFD,      F_GETFL,     F_SETFL,
    F_GETLK,     F_SETLK,         F_SETLKW,     F_OFD_GETLK,  F_OFD_SETLK, F_OFD_SETLKW,
    F_ADD_SEALS, F_GET_SEALS,     F_GETPIPE_SZ, F_SETPIPE_SZ,
};
static const unsigned prctl_options[] = {
    PR_SET_NAME,
    PR_GET_NAME,
    PR_GET_DUMPABLE,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_SECCOMP,
    PR_CAPBSET_READ,
    PR_SET_TIMERSLACK,
    PR_GET_TIMERSLACK,
    PR_SET_THP_DISABLE,
    PR_GET_THP_DISABLE,
    0x53564d41 /* PR_SET_VMA: names of mappings */,
};
static const unsigned itself[] = {0}; /* prlimit64, sched_setaffinity */
/* Typing for others, and having signals sent to them. */
static const unsigned refused_controls[] = {TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP, FIOASYNC};

/* ---- the program --------------------------------------------------------------------------- */

struct program {
    struct sock_filter filter[SL_COUNT_OF(allowed) * 6 + 192];
    unsigned short count;
};

#define CALL_OF(field) ((unsigned)offsetof(struct seccomp_data, field))
#define REFUSED        (SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA))
#define ABSENT         (SECCOMP_RET_ERRNO | (ENOSYS & SECCOMP_RET_DATA))

static void
add(struct program *p, unsigned code, unsigned value, unsigned if_true, unsigned if_false)
{
    sl_assert(p->count < SL_COUNT_OF(p->filter));
    p->filter[p->count++] = (struct sock_filter){
        .code = (unsigned short)code, .jt = (uint8_t)if_true, .jf = (uint8_t)if_false, .k = value};
}

static void
load(struct program *p, unsigned offset)
{
    add(p, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void
give(struct program *p, unsigned result)
{
    add(p, BPF_RET | BPF_K, result, 0, 0);
}

/* When the loaded word is `value`: the result. */
static void
give_if(struct program *p, unsigned value, unsigned result)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    give(p, result);
}

struct values {
    const unsigned *items;
    size_t count;
};
#define VALUES(array) ((struct values){array, SL_COUNT_OF(array)})

/* Call `number`: `found` when the argument is one of the values, else `otherwise`. */
static void
judge(struct program *p, int number, unsigned argument, struct values values, unsigned found)
{
    unsigned otherwise = found == SECCOMP_RET_ALLOW ? REFUSED : SECCOMP_RET_ALLOW;
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, (unsigned)(2 + 2 * values.count));
    load(p, CALL_OF(args) + argument * (unsigned)sizeof(uint64_t));
    for (size_t i = 0; i < values.count; i++)
        give_if(p, values.items[i], found);
    give(p, otherwise);
}

/* Call `number`: allowed when all bits of `mask` are set in the argument (`is_set`), or not all. */
static void
judge_bits(struct program *p, int number, unsigned argument, unsigned mask, bool is_set)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 5);
    load(p, CALL_OF(args) + argument * (unsigned)sizeof(uint64_t));
    add(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    add(p, BPF_JMP | BPF_JEQ | BPF_K, mask, 0, 1);
    give(p, is_set ? SECCOMP_RET_ALLOW : REFUSED);
    give(p, is_set ? REFUSED : SECCOMP_RET_ALLOW);
}

/* Sockets that are connected for good: a datagram's could be sent to any other by its name. */
static void
judge_pair(struct program *p)
{
    add(p, BPF_JMP | BPF_JEQ | BPF_K, SYS_socketpair, 0, 10);
    load(p, CALL_OF(args));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 1, 0);
    give(p, REFUSED);
    load(p, CALL_OF(args) + (unsigned)sizeof(uint64_t));
    add(p, BPF_ALU | BPF_AND | BPF_K, ~(unsigned)(SOCK_CLOEXEC | SOCK_NONBLOCK), 0, 0);
    give_if(p, SOCK_STREAM, SECCOMP_RET_ALLOW);
    give_if(p, SOCK_SEQPACKET, SECCOMP_RET_ALLOW);
    give(p, REFUSED);
}

/* ---- the list, as a tree ------------------------------------------------------------------- */

struct span {
    unsigned first, last;
};

static int
compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The allowed numbers in order; neighbours are one span. */
static size_t
spans_of(struct span spans[static SL_COUNT_OF(allowed)])
{
    int numbers[SL_COUNT_OF(allowed)];
    size_t count = 0;
    memcpy(numbers, allowed, sizeof(numbers));
    qsort(numbers, SL_COUNT_OF(numbers), sizeof(numbers[0]), compare);
    for (size_t i = 0; i < SL_COUNT_OF(numbers); i++) {
        unsigned number = (unsigned)numbers[i];
        if (count > 0 && number <= spans[count - 1].last + 1)
            spans[count - 1].last = number;
        else
            spans[count++] = (struct span){number, number};
    }
    return count;
}

/* Statements of add_tree. */
static unsigned
tree_size(size_t count)
{
    return (unsigned)(count * 4 + (count - 1) * 2);
}

/*
 * A number that is in one of the spans is allowed; any other goes on behind the tree, of which
 * `behind` statements follow this part. The kernel tries every number when it takes the filter: a
 * list of them one after the other would cost a quarter of a millisecond at each start.
 */
static void
add_tree(struct program *p, const struct span *spans, size_t count, unsigned behind)
{
    if (count == 1) {
        add(p, BPF_JMP | BPF_JGE | BPF_K, spans->first, 0, 2);
        add(p, BPF_JMP | BPF_JGT | BPF_K, spans->last, 1, 0);
        give(p, SECCOMP_RET_ALLOW);
        add(p, BPF_JMP | BPF_JA, behind, 0, 0);
        return;
    }
    size_t left = count / 2;
    add(p, BPF_JMP | BPF_JGE | BPF_K, spans[left].first, 0, 1);
    add(p, BPF_JMP | BPF_JA, tree_size(left), 0, 0);
    add_tree(p, spans, left, behind + tree_size(count - left));
    add_tree(p, spans + left, count - left, behind);
}

static void
add_allowed(struct program *p)
{
    struct span spans[SL_COUNT_OF(allowed)];
    size_t count = spans_of(spans);
    unsigned before = p->count;
    add_tree(p, spans, count, 0);
    sl_assert(p->count - before == tree_size(count));
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void
add_judged(struct program *p)
{
    const unsigned self[] = {(unsigned)getpid()};
    judge(p, SYS_fcntl, 1, VALUES(fcntl_commands), SECCOMP_RET_ALLOW);
    judge(p, SYS_prctl, 0, VALUES(prctl_options), SECCOMP_RET_ALLOW);
    judge(p, SYS_prlimit64, 0, VALUES(itself), SECCOMP_RET_ALLOW);
    /* Also not other threads of its own: no filter can tell them from other processes. */
    judge(p, SYS_sched_setaffinity, 0, VALUES(itself), SECCOMP_RET_ALLOW);
    judge_pair(p);
    judge(p, SYS_kill, 0, VALUES(self), SECCOMP_RET_ALLOW);
    judge(p, SYS_tgkill, 0, VALUES(self), SECCOMP_RET_ALLOW);
    judge(p, SYS_ioctl, 1, VALUES(refused_controls), REFUSED);
    /* Shared memory without a file would be counted nowhere. */
    judge_bits(p, SYS_mmap, 3, MAP_SHARED | MAP_ANONYMOUS, false);
    /* Threads, but no processes. Of clone3 no filter can see the flags: clone takes its place. */
    give_if(p, SYS_clone3, ABSENT);
    judge_bits(p, SYS_clone, 0,
               sl_sandbox_is_sanitized() ? CLONE_VM : CLONE_THREAD | CLONE_VM | CLONE_SIGHAND,
               true);
}

int
sl_sandbox_calls(void)
{
#ifndef AUDIT_ARCH_OURS
    return ENOSYS;
#else
    struct program p = {.count = 0};
    load(&p, CALL_OF(arch));
    add(&p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_OURS, 1, 0);
    give(&p, SECCOMP_RET_KILL_PROCESS);
    load(&p, CALL_OF(nr));
    if (sl_sandbox_is_sanitized()) { /* A leak check traces itself. */
        static const int needed[] = {SYS_ptrace, SYS_wait4, SYS_prctl, SYS_unlinkat,
                                     SYS_personality};
        for (size_t i = 0; i < SL_COUNT_OF(needed); i++)
            give_if(&p, (unsigned)needed[i], SECCOMP_RET_ALLOW);
    }
    add_allowed(&p);
    add_judged(&p);
    add(&p, BPF_JMP | BPF_JGT | BPF_K, NEWEST, 0, 1);
    give(&p, ABSENT);
    give(&p, REFUSED);
    struct sock_fprog program = {.len = p.count, .filter = p.filter};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0 ? 0 : errno;
#endif
}
