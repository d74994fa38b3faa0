/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This program is also the spawner that it tests: sl_spawner_start executes it with "spawner 3",
 * and a constructor then serves instead of Criterion. What a child does is the first word of its
 * text.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/alloc.h"
#include "runtime/spawner.h"

#define WAIT_MS 20000

static uint32_t
count_fds(const char *pid)
{
    char *path = sl_format("/proc/%s/fd", pid);
    DIR *d = opendir(path);
    uint32_t count = 0;
    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL)
        closedir(d);
    sl_free(path);
    return count;
}

static struct sl_spawn_event
wait_event(int fd)
{
    struct sl_spawn_event event = {0};
    enum sl_err err;
    while ((err = sl_spawner_event(fd, &event)) == SL_EBUSY) {
        if (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, WAIT_MS) <= 0)
            break;
    }
    if (err != SL_OK)
        event.tag = UINT64_MAX; /* No test uses it. */
    return event;
}

/* ---- children ------------------------------------------------------------------------------ */

static SL_NORETURN void
sleep_for_ever(void)
{
    for (;;)
        pause();
}

/* Of its descriptors behind the standard streams: those of files. */
static int
count_files(void)
{
    struct stat st;
    int count = 0;
    for (int fd = STDERR_FILENO + 1; fd < 1024; fd++)
        count += fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    return count;
}

/* A child with children: it asks for two that sleep and writes their pids to its pipe. */
static int
be_node(const struct sl_child *child)
{
    pid_t pids[2];
    for (uint64_t i = 0; i < 2; i++) {
        struct sl_spawn want = {.kind = 0, .tag = 50 + i, .text = "sleep"};
        if (sl_spawner_ask(child->spawner_fd, &want) != SL_OK)
            return 1;
        struct sl_spawn_event e = wait_event(child->spawner_fd);
        if (e.what != SL_SPAWN_STARTED || e.tag != 50 + i)
            return 2;
        pids[i] = e.pid;
    }
    if (write(child->fds[0], pids, sizeof(pids)) != sizeof(pids))
        return 3;
    close(child->fds[0]);
    sleep_for_ever();
}

/* It gives its child two ends of a pipe, of which main is shown the second: the child writes to the
   first that it has. */
static int
be_shower(const struct sl_child *child)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return 1;
    struct sl_spawn want = {.kind = 0,
                            .tag = 60,
                            .text = "say",
                            .fds = {pipe_fds[1], pipe_fds[0]},
                            .fds_count = 2,
                            .shown_count = 1};
    if (sl_spawner_ask(child->spawner_fd, &want) != SL_OK)
        return 2;
    struct sl_spawn_event e = wait_event(child->spawner_fd);
    if (e.what != SL_SPAWN_STARTED || e.fds_count != 0)
        return 3;
    e = wait_event(child->spawner_fd);
    return e.what == SL_SPAWN_EXITED && e.exit_code == 0 ? 0 : 5;
}

static int
run_child(const struct sl_child *child)
{
    if (strcmp(child->text, "show") == 0)
        return be_shower(child);
    if (strncmp(child->text, "exit ", 5) == 0)
        return atoi(child->text + 5);
    if (strcmp(child->text, "node") == 0)
        return be_node(child);
    if (strcmp(child->text, "say") == 0 && child->fds_count == 2 && child->shown_count != 1)
        return 4;
    if (strcmp(child->text, "say") == 0)
        return write(child->fds[0], "hello", 5) == 5 ? 0 : 1;
    if (strcmp(child->text, "deaf") == 0)
        close(child->spawner_fd);
    if (strcmp(child->text, "fds") == 0)
        return (int)count_fds("self");
    if (strcmp(child->text, "files") == 0)
        return count_files();
    sleep_for_ever();
}

/* Contained: it prints more than a pipe holds, and has nobody to ask. */
static int
run_held(const struct sl_child *child)
{
    static char data[SL_MIB];
    memset(data, '\n', sizeof(data));
    if (child->spawner_fd >= 0 || child->lifeline_fd <= STDERR_FILENO)
        return 1;
    sl_child_guard(child, NULL, NULL);
    if (strcmp(child->text, "files") == 0)
        return count_files();
    if (strcmp(child->text, "sleep") == 0)
        sleep_for_ever();
    for (size_t done = 0; done < sizeof(data);) {
        ssize_t n = write(STDOUT_FILENO, data + done, sizeof(data) - done);
        if (n <= 0)
            return 2;
        done += (size_t)n;
    }
    char byte;
    return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 3;
}

static const struct sl_child_kind kinds[] = {
    {.name = "test", .run = run_child}, {.name = "held", .run = run_held, .is_contained = true}};

__attribute__((constructor)) static void
serve_instead(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "spawner") == 0)
        _exit(sl_spawner_main(atoi(argv[2]), kinds, SL_COUNT_OF(kinds)));
}

/* ---- the client ---------------------------------------------------------------------------- */

static int spawner = -1, spawner_pid;

static void
start(int keep_fd)
{
    char program[512];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    cr_assert_gt(size, 0);
    program[size] = '\0';
    cr_assert_eq(sl_spawner_start(program, keep_fd, &spawner, &spawner_pid), SL_OK);
}

static void
setup(void)
{
    start(-1);
}

static void
finish(void)
{
    int status;
    if (spawner >= 0)
        close(spawner);
    cr_assert_eq(waitpid(spawner_pid, &status, 0), spawner_pid);
}

TestSuite(spawner, .init = setup, .fini = finish, .timeout = 60);

static void
ask(uint64_t tag, const char *text)
{
    struct sl_spawn want = {.tag = tag, .text = text};
    cr_assert_eq(sl_spawner_ask(spawner, &want), SL_OK);
}

static int
expect_started(uint64_t tag)
{
    struct sl_spawn_event e = wait_event(spawner);
    cr_assert_eq(e.what, SL_SPAWN_STARTED);
    cr_assert_eq(e.tag, tag);
    cr_assert_gt(e.pid, 0);
    return e.pid;
}

static void
expect_exited(uint64_t tag, int exit_code, int signal)
{
    struct sl_spawn_event e = wait_event(spawner);
    cr_assert_eq(e.what, SL_SPAWN_EXITED);
    cr_assert_eq(e.tag, tag);
    cr_assert_eq(e.exit_code, exit_code);
    cr_assert_eq(e.signal, signal);
}

/* The number behind "Name:" of a process; -1: none. */
static long
status_of(int pid, const char *name)
{
    char *path = sl_format("/proc/%d/status", pid), line[256];
    FILE *f = fopen(path, "re");
    long value = -1;
    while (f != NULL && value < 0 && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name) + 1, NULL, 10);
    }
    if (f != NULL)
        fclose(f);
    sl_free(path);
    return value;
}

/* A dead process that its new parent has not reaped yet still has a number, but no memory. */
static bool
is_alive(int pid)
{
    return status_of(pid, "VmSize") > 0;
}

static void
wait_until_gone(int pid)
{
    for (int i = 0; i < WAIT_MS && is_alive(pid); i++)
        poll(NULL, 0, 1); /* Not our child: there is nothing to wait on. */
    cr_assert_not(is_alive(pid), "process %d lives on", pid);
}

Test(spawner, tells_a_start_and_an_end_with_its_code)
{
    ask(7, "exit 42");
    expect_started(7);
    expect_exited(7, 42, 0);
}

Test(spawner, kills_by_tag_and_tells_the_signal)
{
    ask(1, "sleep");
    ask(2, "sleep");
    expect_started(1);
    int other = expect_started(2);
    cr_assert_eq(sl_spawner_kill(spawner, 1, SIGKILL), SL_OK);
    expect_exited(1, 0, SIGKILL);
    cr_assert(is_alive(other));
    cr_assert_eq(sl_spawner_kill(spawner, 99, SIGKILL), SL_OK); /* None: nothing happens. */
    ask(3, "exit 0");
    expect_started(3);
    expect_exited(3, 0, 0);
    cr_assert(is_alive(other));
}

Test(spawner, refuses_what_it_cannot_run)
{
    static char text[SL_SPAWN_TEXT_MAX + 1];
    memset(text, 'x', SL_SPAWN_TEXT_MAX);
    struct sl_spawn want = {.kind = 9, .tag = 4, .text = ""};
    cr_assert_eq(sl_spawner_ask(spawner, &want), SL_OK);
    struct sl_spawn_event e = wait_event(spawner);
    cr_assert_eq(e.what, SL_SPAWN_FAILED);
    cr_assert_eq(e.tag, 4);
    want.text = text;
    cr_assert_eq(sl_spawner_ask(spawner, &want), SL_ETOOBIG);
}

Test(spawner, passes_descriptors_on)
{
    int fds[2];
    char said[8] = {0};
    cr_assert_eq(pipe(fds), 0);
    struct sl_spawn want = {.tag = 1, .text = "say", .fds = {fds[1]}, .fds_count = 1};
    cr_assert_eq(sl_spawner_ask(spawner, &want), SL_OK);
    close(fds[1]);
    expect_started(1);
    expect_exited(1, 0, 0);
    cr_assert_eq(read(fds[0], said, sizeof(said)), 5);
    cr_assert_str_eq(said, "hello");
    cr_assert_eq(read(fds[0], said, sizeof(said)), 0, "somebody still holds the other end");
}

static int
start_node(int ret_children[static 2])
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    struct sl_spawn want = {.tag = 1, .text = "node", .fds = {fds[1]}, .fds_count = 1};
    cr_assert_eq(sl_spawner_ask(spawner, &want), SL_OK);
    close(fds[1]);
    int node = expect_started(1);
    cr_assert_eq(read(fds[0], ret_children, 2 * sizeof(int)), 2 * sizeof(int));
    close(fds[0]);
    return node;
}

Test(spawner, shows_main_what_a_child_shares_with_its_own)
{
    char said[8] = {0};
    ask(7, "show");
    expect_started(7);
    struct sl_spawn_event e = wait_event(spawner);
    cr_assert_eq(e.what, SL_SPAWN_SHOWN);
    cr_assert_eq(e.by, 7);
    cr_assert_eq(e.tag, 60);
    cr_assert_eq(e.fds_count, 1, "the last one alone");
    expect_exited(7, 0, 0);
    cr_assert_eq(read(e.fds[0], said, sizeof(said)), 5);
    cr_assert_str_eq(said, "hello");
    close(e.fds[0]);
}

Test(spawner, ends_the_children_of_a_node_with_it)
{
    int children[2], node = start_node(children);
    cr_assert(is_alive(node) && is_alive(children[0]) && is_alive(children[1]));
    cr_assert_eq(sl_spawner_kill(spawner, 50, SIGKILL), SL_OK); /* Not ours: it lives. */
    cr_assert_eq(sl_spawner_kill(spawner, 1, SIGKILL), SL_OK);
    expect_exited(1, 0, SIGKILL);
    wait_until_gone(children[0]);
    wait_until_gone(children[1]);
}

Test(spawner, all_end_with_the_spawner_however_it_died)
{
    int children[2], node = start_node(children);
    ask(2, "sleep");
    int other = expect_started(2);
    cr_assert_eq(kill(spawner_pid, SIGKILL), 0);
    wait_until_gone(node);
    wait_until_gone(other);
    wait_until_gone(children[0]);
    wait_until_gone(children[1]);
    struct sl_spawn_event e = wait_event(spawner);
    cr_assert_eq(e.tag, UINT64_MAX);
    cr_assert_eq(sl_spawner_event(spawner, &e), SL_EUNAVAIL);
    struct sl_spawn want = {.text = ""};
    cr_assert_eq(sl_spawner_ask(spawner, &want), SL_EUNAVAIL);
}

Test(spawner, all_end_when_main_closes_its_socket)
{
    ask(1, "sleep");
    int child = expect_started(1);
    close(spawner);
    spawner = -1;
    wait_until_gone(child);
    wait_until_gone(spawner_pid);
}

Test(spawner, a_stopped_child_ends_as_well_and_before_the_spawner)
{
    ask(1, "sleep");
    int child = expect_started(1);
    cr_assert_eq(kill(child, SIGSTOP), 0);
    close(spawner);
    spawner = -1;
    wait_until_gone(spawner_pid);
    cr_assert(!is_alive(child));
}

Test(spawner, stays_one_thread_and_small_and_leaks_no_descriptor)
{
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", spawner_pid);
    ask(0, "exit 0");
    expect_started(0);
    expect_exited(0, 0, 0);
    uint32_t before = count_fds(pid);
    for (uint64_t i = 1; i <= 200; i++) {
        ask(i, i % 2 == 0 ? "exit 1" : "sleep");
        expect_started(i);
        if (i % 2 == 1)
            cr_assert_eq(sl_spawner_kill(spawner, i, SIGKILL), SL_OK);
        expect_exited(i, i % 2 == 0, i % 2 == 1 ? SIGKILL : 0);
    }
    cr_assert_gt(before, 3);
    cr_assert_eq(count_fds(pid), before);
    cr_assert_eq(status_of(spawner_pid, "Threads"), 1);
#if !defined(__SANITIZE_ADDRESS__)
    cr_assert_lt(status_of(spawner_pid, "RssAnon"), 2048, "kB; what a fork has to copy");
#endif
}

Test(spawner, a_contained_child_cannot_block_by_printing_nor_ask)
{
    char pid[16];
    snprintf(pid, sizeof(pid), "%d", spawner_pid);
    ask(0, "exit 0");
    expect_started(0);
    expect_exited(0, 0, 0);
    uint32_t before = count_fds(pid);
    for (uint64_t i = 1; i <= 3; i++) {
        struct sl_spawn want = {.kind = 1, .tag = i, .text = "print"};
        cr_assert_eq(sl_spawner_ask(spawner, &want), SL_OK);
        expect_started(i);
        expect_exited(i, 0, 0);
    }
    cr_assert_eq(count_fds(pid), before);
}

Test(spawner, a_contained_child_ends_with_the_spawner)
{
    struct sl_spawn want = {.kind = 1, .tag = 1, .text = "sleep"};
    cr_assert_eq(sl_spawner_ask(spawner, &want), SL_OK);
    int child = expect_started(1);
    cr_assert_eq(kill(spawner_pid, SIGKILL), 0);
    wait_until_gone(child);
}

/* A child inherits standard streams, its lifeline and its own socket; no other child's. */
Test(spawner, a_child_holds_no_descriptor_of_other_children)
{
    ask(1, "fds");
    expect_started(1);
    struct sl_spawn_event alone = wait_event(spawner);
    for (uint64_t i = 10; i < 30; i++) {
        ask(i, "sleep");
        expect_started(i);
    }
    ask(2, "fds");
    expect_started(2);
    expect_exited(2, alone.exit_code, 0);
    cr_assert_gt(alone.exit_code, 3);
}

/* The file that main keeps with its children: a lock, by which it knows of those that are left. */
Test(spawner, what_children_keep_a_contained_one_has_not)
{
    FILE *lock = tmpfile();
    struct sl_spawn held = {.kind = 1, .tag = 2, .text = "files"};
    finish();
    start(fileno(lock));
    ask(1, "files");
    expect_started(1);
    struct sl_spawn_event all = wait_event(spawner);
    cr_assert_geq(all.exit_code, 1);
    cr_assert_eq(sl_spawner_ask(spawner, &held), SL_OK);
    expect_started(2);
    expect_exited(2, all.exit_code - 1, 0);
    (void)fclose(lock);
}

static unsigned long
cpu_ticks(int pid)
{
    char *path = sl_format("/proc/%d/stat", pid);
    unsigned long user = 0, system = 0;
    FILE *f = fopen(path, "re");
    cr_assert_not_null(f);
    cr_assert_eq(fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                        &user, &system),
                 2);
    fclose(f);
    sl_free(path);
    return user + system;
}

Test(spawner, does_not_spin_on_a_child_that_closed_its_socket)
{
    ask(1, "deaf");
    expect_started(1);
    unsigned long before = cpu_ticks(spawner_pid);
    cr_assert_eq(poll(&(struct pollfd){.fd = spawner, .events = POLLIN}, 1, 500), 0);
    cr_assert_leq(cpu_ticks(spawner_pid) - before, 5, "half a second is 50 ticks");
    cr_assert_eq(sl_spawner_kill(spawner, 1, SIGKILL), SL_OK);
    expect_exited(1, 0, SIGKILL);
}
