/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each test puts a child of its own into the sandbox; exit status 0 says that all was as it should
 * be, else it is the step that was not. What the kernel lacks is asked for by its state, and a
 * kernel that lacks it is played by leaving the part out.
 */
#include "runtime/sandbox.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/alloc.h"

static char directory[] = "/tmp/sl-sandbox-XXXXXX";

static char *
path_of(const char *name)
{
    return sl_format("%s/%s", directory, name);
}

static void
write_file(const char *name)
{
    char *path = path_of(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, "abc", 3), 3);
    close(fd);
    sl_free(path);
}

static void
make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
    write_file("one");
}

static void
remove_directory(void)
{
    char *path = path_of("one");
    (void)unlink(path);
    sl_free(path);
    (void)rmdir(directory);
}

TestSuite(sandbox, .init = make_directory, .fini = remove_directory, .timeout = 60);

static void
in_a_child(int (*run)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}

static uint32_t states[SL_SANDBOX_PARTS];

static void
enter(const struct sl_sandbox_options *options)
{
    uint64_t all = sl_sandbox_enter(options);
    for (unsigned i = 0; i < SL_SANDBOX_PARTS; i++)
        states[i] = sl_sandbox_state(all, (enum sl_sandbox_part)i);
}

static bool
is_on(enum sl_sandbox_part part)
{
    return states[part] == SL_SANDBOX_ENFORCED;
}

/* ---- what computing takes ------------------------------------------------------------------ */

static void *
add_one(void *arg)
{
    char *memory = malloc(SL_MIB);
    memset(memory, 1, SL_MIB);
    *(int *)arg += memory[SL_MIB - 1];
    free(memory);
    return NULL;
}

static int
work(void)
{
    char text[8];
    char *path = path_of("one");
    enter(&(struct sl_sandbox_options){.readable = directory, .file_bytes = 4096});
    if (!is_on(SL_SANDBOX_LIMITS) || !is_on(SL_SANDBOX_NEW_PRIVS))
        return 1;
    int count = 0;
    pthread_t thread;
    if (pthread_create(&thread, NULL, add_one, &count) != 0 || pthread_join(thread, NULL) != 0 ||
        count != 1)
        return 2;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text)) != 3 || memcmp(text, "abc", 3) != 0)
        return 3;
    if (mmap(NULL, 3, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
        return 4;
    if (dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL) == NULL)
        return 5;
    if (sl_sandbox_data_bytes() == 0 || open("/dev/urandom", O_RDONLY | O_CLOEXEC) < 0)
        return 6;
    int pair[2], shared = memfd_create("shared", MFD_CLOEXEC);
    if (shared < 0 || ftruncate(shared, 4096) != 0 ||
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0) == MAP_FAILED)
        return 7;
    if (!sl_sandbox_is_sanitized() && (ftruncate(shared, 4097) == 0 || errno != EFBIG))
        return 10;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || send(pair[0], "x", 1, 0) != 1 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return 8;
    cpu_set_t processors;
    if (sched_getaffinity(0, sizeof(processors), &processors) != 0 ||
        sched_setaffinity(0, sizeof(processors), &processors) != 0)
        return 9;
    sl_free(path);
    return 0;
}

Test(sandbox, leaves_what_computing_takes)
{
    in_a_child(work);
}

/* ---- what it takes away -------------------------------------------------------------------- */

/* Who else is there, and what the kernel tells of them; itself it may look at. */
static int
look_at_others(void)
{
    char other[48];
    (void)snprintf(other, sizeof(other), "/proc/%d/status", (int)getppid());
    enter(&(struct sl_sandbox_options){0});
    if (!is_on(SL_SANDBOX_LANDLOCK) || sl_sandbox_is_sanitized())
        return 0;
    if (open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 || errno != EACCES)
        return 1;
    if (open(other, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
        return 2;
    if (open("/proc/self/maps", O_RDONLY | O_CLOEXEC) < 0 ||
        open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC) < 0)
        return 3;
    return open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC) < 0 ||
           open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC) < 0;
}

Test(sandbox, shows_a_process_itself_and_none_of_the_others)
{
    in_a_child(look_at_others);
}

static int
reach_for_files(void)
{
    char *one = path_of("one"), *two = path_of("two");
    enter(&(struct sl_sandbox_options){.unlisted = directory});
    if (!is_on(SL_SANDBOX_LANDLOCK))
        return 0;
    int fd = open(one, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 1;
    if (open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 || errno != EACCES)
        return 2;
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
        return 3;
    if (open(one, O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
        return 4;
    if (open(two, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EACCES)
        return 5;
    if (unlink(one) == 0 || rename(one, two) == 0 || symlink(one, two) == 0)
        return 6;
    sl_free(one);
    sl_free(two);
    return 0;
}

Test(sandbox, opens_what_it_was_given_to_read_and_nothing_else)
{
    in_a_child(reach_for_files);
}

/* Calls by their numbers: their arguments are zeros, which the kernel would find wrong in another
   way than EPERM if it looked at them. */
static const struct {
    const char *name;
    long number;
} refused_calls[] = {
    {"ptrace", SYS_ptrace},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"mount", SYS_mount},
    {"pivot_root", SYS_pivot_root},
    {"chroot", SYS_chroot},
    {"bpf", SYS_bpf},
    {"kexec_load", SYS_kexec_load},
    {"init_module", SYS_init_module},
    {"finit_module", SYS_finit_module},
    {"keyctl", SYS_keyctl},
    {"add_key", SYS_add_key},
    {"unshare", SYS_unshare},
    {"setns", SYS_setns},
    {"userfaultfd", SYS_userfaultfd},
    {"perf_event_open", SYS_perf_event_open},
    {"io_uring_setup", SYS_io_uring_setup},
    {"open_by_handle_at", SYS_open_by_handle_at},
    {"execve", SYS_execve},
    {"execveat", SYS_execveat},
    {"connect", SYS_connect},
    {"bind", SYS_bind},
    {"setuid", SYS_setuid},
    {"personality", SYS_personality},
    {"shmget", SYS_shmget},
    {"flock", SYS_flock},
};

/* Calls that are refused for one of their arguments. */
static const struct {
    long number, arguments[2];
} refused_arguments[] = {
    {SYS_ioctl, {0, FIOSETOWN}},
    {SYS_ioctl, {0, SIOCSPGRP}},
    {SYS_ioctl, {0, FIOASYNC}},
    {SYS_ioctl, {0, TIOCSTI}},
    {SYS_fcntl, {0, F_SETOWN}},
    {SYS_sched_setaffinity, {1, 0}},
    {SYS_prlimit64, {1, 0}},
    {SYS_socketpair, {AF_UNIX, SOCK_DGRAM}},
    {SYS_socketpair, {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK}},
    {SYS_socketpair, {AF_INET, SOCK_STREAM}},
};

static int
reach_for_calls(void)
{
    enter(&(struct sl_sandbox_options){0});
    if (!is_on(SL_SANDBOX_SECCOMP))
        return 0;
    for (int i = 0; i < (int)SL_COUNT_OF(refused_calls); i++) {
        bool is_for_sanitizer =
            refused_calls[i].number == SYS_ptrace || refused_calls[i].number == SYS_personality;
        if (is_for_sanitizer && sl_sandbox_is_sanitized())
            continue;
        if (syscall(refused_calls[i].number, 0, 0, 0, 0, 0, 0) >= 0 || errno != EPERM)
            return 100 + i;
    }
    for (int i = 0; i < (int)SL_COUNT_OF(refused_arguments); i++) {
        const long *arguments = refused_arguments[i].arguments;
        if (syscall(refused_arguments[i].number, arguments[0], arguments[1], 0, 0, 0, 0) >= 0 ||
            errno != EPERM)
            return 150 + i;
    }
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return 1;
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return 2;
    if (fork() >= 0 || errno != EPERM)
        return 3;
    if (kill(getppid(), 0) == 0 || kill(getpid(), 0) != 0)
        return 4;
    if (mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 5;
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && !sl_sandbox_is_sanitized())
        return 6;
    if (syscall(100000) >= 0 || errno != ENOSYS)
        return 7;
    return 0;
}

Test(sandbox, refuses_calls_that_computing_does_not_take)
{
    in_a_child(reach_for_calls);
}

static int
use_too_much(void)
{
    char *path = path_of("one");
    enter(&(struct sl_sandbox_options){.data_bytes = 64 * SL_MIB,
                                       .without = ~(1u << SL_SANDBOX_LIMITS)});
    if (!is_on(SL_SANDBOX_LIMITS))
        return 1;
    if (sl_sandbox_is_sanitized())
        return 0;
    void *volatile much = malloc(SL_GIB); /* Volatile: nobody may leave out what is not used. */
    if (much != NULL)
        return 2;
    int fd = open(path, O_WRONLY | O_CLOEXEC); /* There is no Landlock here. */
    if (write(fd, "d", 1) != -1 || errno != EFBIG)
        return 3;
    sl_free(path);
    return 0;
}

Test(sandbox, bounds_memory_and_files)
{
    in_a_child(use_too_much);
}

/* ---- who it is ----------------------------------------------------------------------------- */

/* Of a user namespace in which no other uid is known, as in a container without root: its root
   stays root, and has nothing but the right to read. */
static int
become_nobody_known(void)
{
    char text[32];
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct rights[2];
    int size = snprintf(text, sizeof(text), "0 %u 1", geteuid());
    if (sl_sandbox_is_sanitized() || unshare(CLONE_NEWUSER) != 0)
        return 0; /* Some systems keep users from it. */
    int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)size) != size || geteuid() != 0)
        return 1;
    close(fd);
    enter(&(struct sl_sandbox_options){.uid = sl_sandbox_uid(7)});
    if (is_on(SL_SANDBOX_UID) || states[SL_SANDBOX_UID] == SL_SANDBOX_OFF || geteuid() != 0)
        return 2;
    if (syscall(SYS_capget, &header, rights) != 0)
        return 3;
    return rights[0].permitted == 1u << CAP_DAC_READ_SEARCH && rights[1].permitted == 0 ? 0 : 4;
}

Test(sandbox, root_that_cannot_be_another_loses_its_rights_all_the_same)
{
    in_a_child(become_nobody_known);
}

static int
become_another(void)
{
    char *path = path_of("one");
    if (geteuid() != 0 || sl_sandbox_is_sanitized())
        return 0;
    enter(&(struct sl_sandbox_options){.readable = directory, .uid = sl_sandbox_uid(7)});
    if (!is_on(SL_SANDBOX_UID))
        return states[SL_SANDBOX_UID] != SL_SANDBOX_OFF ? 0 : 1; /* Root without the right to. */
    if (getuid() != SL_SANDBOX_UID_FIRST + 7 || getegid() != SL_SANDBOX_UID_FIRST + 7)
        return 2;
    if (states[SL_SANDBOX_USERNS] != SL_SANDBOX_OFF)
        return 3;
    if (kill(getppid(), 0) == 0)
        return 4;
    return open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : 5; /* Root's, mode 0600. */
}

Test(sandbox, makes_root_a_user_of_the_tenants)
{
    in_a_child(become_another);
}

static int
enter_without_root(void)
{
    if (sl_sandbox_is_sanitized() || (geteuid() == 0 && setuid(65534) != 0))
        return 0;
    enter(&(struct sl_sandbox_options){.uid = sl_sandbox_uid(7)});
    if (states[SL_SANDBOX_UID] != SL_SANDBOX_OFF)
        return 1;
    /* Enforced, or why not: some systems keep users from it. */
    return states[SL_SANDBOX_USERNS] == SL_SANDBOX_OFF;
}

Test(sandbox, without_root_there_is_a_namespace_or_it_is_said_why_not)
{
    in_a_child(enter_without_root);
}

Test(sandbox, a_tenants_uid_is_in_the_range)
{
    cr_assert_eq(sl_sandbox_uid(0), SL_SANDBOX_UID_FIRST);
    cr_assert_neq(sl_sandbox_uid(1), sl_sandbox_uid(2));
    cr_assert_lt(sl_sandbox_uid(UINT64_MAX), SL_SANDBOX_UID_FIRST + SL_SANDBOX_UID_COUNT);
}

/* ---- what is not there --------------------------------------------------------------------- */

static int
go_without(void)
{
    uint32_t without = (1u << SL_SANDBOX_LANDLOCK) | (1u << SL_SANDBOX_SECCOMP);
    enter(&(struct sl_sandbox_options){.without = without});
    if (states[SL_SANDBOX_LANDLOCK] != ENOSYS || states[SL_SANDBOX_SECCOMP] != ENOSYS)
        return 1;
    if (!is_on(SL_SANDBOX_LIMITS) || !is_on(SL_SANDBOX_NEW_PRIVS))
        return 2; /* What is there is in force all the same. */
    return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : 3;
}

Test(sandbox, a_kernel_without_a_part_is_told_of_and_the_others_hold)
{
    in_a_child(go_without);
}

Test(sandbox, says_in_words_what_holds)
{
    struct sl_buf out = {0};
    struct sl_jsonw w;
    uint64_t some = (uint64_t)SL_SANDBOX_OFF << (8 * SL_SANDBOX_UID) |
                    (uint64_t)ENOSYS << (8 * SL_SANDBOX_LANDLOCK);
    sl_jsonw_init(&w, &out);
    sl_sandbox_write(some, &w);
    sl_jsonw_done(&w);
    cr_assert_str_eq(sl_buf_text(&out),
                     "{\"uid\":\"off\",\"user_namespace\":\"enforced\",\"limits\":\"enforced\","
                     "\"no_new_privs\":\"enforced\",\"landlock\":\"unavailable: Function not "
                     "implemented\",\"seccomp\":\"enforced\"}");
    char *text = sl_sandbox_text(SL_SANDBOX_NONE);
    cr_assert_not_null(strstr(text, "landlock=\"off\" seccomp=\"off\""));
    sl_free(text);
    sl_buf_deinit(&out);
}
