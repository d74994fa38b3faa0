/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/time.h"

static int
add_descriptors(posix_spawn_file_actions_t *actions, const struct sl_subprocess *s, int output_fd)
{
    int code = s->input_fd >= 0
                   ? posix_spawn_file_actions_adddup2(actions, s->input_fd, 0)
                   : posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    if (code == 0)
        code = posix_spawn_file_actions_adddup2(actions, output_fd, 1);
    if (code != 0)
        return code;
    return s->is_error_read
               ? posix_spawn_file_actions_adddup2(actions, output_fd, 2)
               : posix_spawn_file_actions_addopen(actions, 2, "/dev/null", O_WRONLY, 0);
}

static enum sl_err
spawn(const struct sl_subprocess *s, int output_fd, pid_t *ret_pid)
{
    static char *const no_environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    (void)sigemptyset(&none);
    if (posix_spawn_file_actions_init(&actions) != 0)
        return SL_ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return SL_ENOMEM;
    }
    int code = add_descriptors(&actions, s, output_fd);
    if (code == 0)
        code = posix_spawnattr_setsigmask(&attributes, &none);
    if (code == 0)
        code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    if (code == 0)
        code = posix_spawn(ret_pid, s->program, &actions, &attributes,
                           (char *const *)(uintptr_t)s->argv, no_environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return code == 0 ? SL_OK : sl_err_from_errno(code);
}

/* Read until the child closes the pipe. */
static enum sl_err
read_output(const struct sl_subprocess *s, int fd, struct sl_buf *out)
{
    uint64_t deadline_ns = sl_time_mono_ns() + s->timeout_ns;
    size_t start = out->size;
    for (;;) {
        uint64_t now_ns = sl_time_mono_ns();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char chunk[4096];
        if (now_ns >= deadline_ns)
            return SL_ETIMEOUT;
        if (poll(&p, 1, (int)SL_MIN((deadline_ns - now_ns) / SL_MILLI_NS + 1, 60000u)) <= 0)
            continue; /* Nothing yet, or a signal. */
        ssize_t size = read(fd, chunk, sizeof(chunk));
        if (size == 0)
            return SL_OK;
        if (size < 0 && errno != EINTR)
            return SL_EIO;
        if (size > 0)
            sl_buf_append(out, chunk, (size_t)size);
        if (out->size - start > s->output_size_max)
            return SL_ETOOBIG;
    }
}

/* A child may close its pipe and stay: it has until the deadline's length once more. */
static enum sl_err
reap(const struct sl_subprocess *s, pid_t pid)
{
    int status = 0;
    uint64_t deadline_ns = sl_time_mono_ns() + s->timeout_ns;
    for (;;) {
        pid_t ended = waitpid(pid, &status, WNOHANG);
        if (ended == pid)
            return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? SL_OK : SL_ECRASHED;
        if (ended < 0 && errno != EINTR)
            return SL_EIO;
        if (sl_time_mono_ns() >= deadline_ns)
            (void)kill(pid, SIGKILL);
        (void)poll(NULL, 0, 1);
    }
}

enum sl_err
sl_subprocess_run(const struct sl_subprocess *s, struct sl_buf *out)
{
    int fds[2];
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return sl_err_from_errno(errno);
    enum sl_err err = spawn(s, fds[1], &pid);
    (void)close(fds[1]);
    if (err == SL_OK) {
        err = read_output(s, fds[0], out);
        if (err != SL_OK)
            (void)kill(pid, SIGKILL);
        enum sl_err end = reap(s, pid);
        err = err == SL_OK ? end : err;
    }
    (void)close(fds[0]);
    return err;
}
