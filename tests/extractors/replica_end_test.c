/* SPDX-License-Identifier: Apache-2.0 */
/* How replicas end, each in a child; and what that is called. */
#include "extractors/replica_end.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/sandbox.h"

TestSuite(replica_end, .timeout = 60);

#define LIMIT (64 * SL_MIB)

/* The end of a child that runs it, as the node sees it. */
static struct sl_replica_end
end_of(void (*run)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        run();
        _exit(0);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return sl_replica_end(WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                          WIFSIGNALED(status) ? (uint64_t)WTERMSIG(status) : 0, LIMIT);
}

static void
leak(void)
{
    sl_replica_watch_begin(LIMIT);
    for (;;) {
        volatile char *more = malloc(SL_MIB);
        for (size_t i = 0; i < SL_MIB; i += 4096)
            more[i] = 1;
        (void)sl_replica_watch_look(NULL);
    }
}

Test(replica_end, more_resident_memory_than_the_limit_is_named)
{
    struct sl_replica_end end = end_of(leak);
    cr_assert_eq(end.cause, SL_REPLICA_CAUSE_MEMORY);
    cr_assert_str_eq(end.code, "replica_memory");
    cr_assert_str_eq(end.text,
                     "the replica went over its memory limit of 64 MiB (replicas.memory)");
}

static void
leak_unseen(void)
{
    sl_replica_watch_begin(LIMIT);
    (void)sl_sandbox_enter(&(struct sl_sandbox_options){
        .data_bytes = LIMIT + SL_REPLICA_MEMORY_SLACK, .without = ~(1u << SL_SANDBOX_LIMITS)});
    for (;;) {
        volatile char *more = malloc(SL_MIB);
        more[0] = 1; /* In the end: NULL. */
    }
}

Test(replica_end, a_crash_when_memory_is_refused_is_named_so)
{
    if (sl_sandbox_is_sanitized())
        return; /* There is no such limit there. */
    cr_assert_eq(end_of(leak_unseen).cause, SL_REPLICA_CAUSE_MEMORY);
}

static void
write_to_weights(void)
{
    sl_replica_watch_begin(0);
    volatile char *weights = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    weights[0] = 1;
}

Test(replica_end, a_write_to_what_is_mapped_read_only_is_named)
{
    struct sl_replica_end end = end_of(write_to_weights);
    cr_assert_eq(end.cause, SL_REPLICA_CAUSE_READ_ONLY);
    cr_assert_eq(end.signal, SIGSEGV);
    cr_assert_not_null(strstr(end.text, "signal 11 (Segmentation fault): it wrote"));
}

static void
abort_itself(void)
{
    sl_replica_watch_begin(LIMIT);
    abort();
}

static void
raise_segv(void)
{
    sl_replica_watch_begin(LIMIT);
    raise(SIGSEGV);
}

Test(replica_end, other_crashes_are_their_signals)
{
    struct sl_replica_end end = end_of(abort_itself);
    cr_assert_eq(end.cause, SL_REPLICA_CAUSE_SIGNAL);
    cr_assert_eq(end.signal, SIGABRT);
    end = end_of(raise_segv);
    cr_assert_str_eq(end.code, "");
    cr_assert_str_eq(end.text, "the replica died of signal 11 (Segmentation fault)");
}

Test(replica_end, an_exit_is_the_plugins)
{
    struct sl_replica_end end = sl_replica_end(0, 0, 0);
    cr_assert_eq(end.cause, SL_REPLICA_CAUSE_EXIT);
    cr_assert_eq(end.signal, 0);
    cr_assert_str_eq(end.code, "replica_exited");
    cr_assert_str_eq(end.text, "the plugin ended its replica's process (exit code 0)");
}

Test(replica_end, looks_less_often_while_nothing_changes)
{
    sl_replica_watch_begin(0);
    cr_assert_gt(sl_replica_watch_look(NULL), 60000); /* There is nothing to look for. */
    sl_replica_watch_begin(SL_GIB);
    uint32_t wait_ms = 0;
    for (int i = 0; i < 20; i++)
        wait_ms = sl_replica_watch_look(NULL);
    cr_assert_eq(wait_ms, 1000);
}
