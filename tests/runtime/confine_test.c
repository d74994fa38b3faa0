/* SPDX-License-Identifier: Apache-2.0 */
/* Each test confines a child of its own; exit status 0 says that all was as it should be. */
#include "runtime/confine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/alloc.h"

static char directory[] = "/tmp/sl-confine-XXXXXX";

static void
make_directory(void)
{
    cr_assert_not_null(mkdtemp(directory));
}

static void
remove_directory(void)
{
    char *path = sl_format("%s/ours", directory);
    (void)unlink(path);
    sl_free(path);
    (void)rmdir(directory);
}

TestSuite(confine, .init = make_directory, .fini = remove_directory);

static struct sl_confined
confine(int directory_fd)
{
    return sl_confine(&(struct sl_confine_options){.directory_fd = directory_fd,
                                                   .memory_bytes = 64 * SL_MIB,
                                                   .file_bytes = SL_MIB,
                                                   .cpu_seconds = 60});
}

static void
in_a_child(int (*run)(int directory_fd))
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(run(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}

static int
work(int directory_fd)
{
    char back[4] = "";
    struct sl_confined probed = sl_confine_probe(); /* Asking is not allowed afterwards. */
    struct sl_confined c = confine(directory_fd);
    if ((c.landlock == 0) != (probed.landlock == 0) || (c.seccomp == 0) != (probed.seccomp == 0))
        return 1;
    int fd = openat(directory_fd, "ours", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, "abc", 3) != 3 || pread(fd, back, 3, 0) != 3 || fsync(fd) != 0)
        return 2;
    void *map = mmap(NULL, 3, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED || memcmp(map, "abc", 3) != 0)
        return 3;
    char *memory = malloc(8 * SL_MIB);
    if (memory == NULL)
        return 4;
    memset(memory, 1, 8 * SL_MIB);
    return 0;
}

Test(confine, leaves_what_reading_and_writing_take)
{
    in_a_child(work);
}

static int
reach_out(int directory_fd)
{
    struct sl_confined c = confine(directory_fd);
    if (c.landlock == 0 && (open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES))
        return 1;
    if (c.seccomp != 0)
        return 0; /* The kernel has none; the probe's test says whether that is so. */
    if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return 2;
    if (fork() >= 0 || errno != EPERM)
        return 3;
    char *const argv[] = {NULL};
    if (execv("/bin/true", argv) == 0 || errno != EPERM)
        return 4;
    if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        return 5;
    if (kill(getppid(), 0) == 0 || syscall(SYS_tgkill, getppid(), getppid(), 0) == 0)
        return 7;
    if (fcntl(0, F_SETOWN, getppid()) == 0)
        return 8;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0)
        return 6;
    return 0;
}

Test(confine, takes_the_rest_away)
{
    in_a_child(reach_out);
}

static int
use_too_much(int directory_fd)
{
    static char data[64 * SL_KIB];
    (void)confine(directory_fd);
    void *map = mmap(NULL, SL_GIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map != MAP_FAILED)
        return 1;
    int fd = openat(directory_fd, "ours", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t n = 1;
    for (size_t size = 0; n > 0 && size < 2 * SL_MIB; size += sizeof(data))
        n = write(fd, data, sizeof(data));
    return n < 0 && errno == EFBIG ? 0 : 2;
}

Test(confine, bounds_memory_and_files)
{
    in_a_child(use_too_much);
}

static int
abort_itself(int directory_fd)
{
    (void)confine(directory_fd);
    abort();
}

Test(confine, lets_an_abort_be_one)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(abort_itself(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status));
    cr_assert_eq(WTERMSIG(status), SIGABRT);
}
