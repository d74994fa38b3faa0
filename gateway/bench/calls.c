/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/calls.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench.h"
#include "runtime/alloc.h"

bool
sl_bench_peer_start(const struct sl_bench_calls *calls,
                    void (*serve)(const struct sl_bench_calls *calls, int out),
                    struct sl_bench_peer *ret_peer)
{
    int ends[2];
    *ret_peer = (struct sl_bench_peer){0};
    if (pipe(ends) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(calls, ends[1]);
        _exit(1);
    }
    close(ends[1]);
    FILE *said = pid < 0 ? NULL : fdopen(ends[0], "r");
    ret_peer->pid = pid;
    bool is_ok =
        said != NULL && fgets(ret_peer->endpoint, sizeof(ret_peer->endpoint), said) != NULL;
    if (said != NULL)
        (void)fclose(said);
    else
        close(ends[0]);
    ret_peer->endpoint[strcspn(ret_peer->endpoint, "\n")] = '\0';
    if (!is_ok)
        sl_bench_peer_end(ret_peer);
    return is_ok;
}

void
sl_bench_peer_end(struct sl_bench_peer *peer)
{
    if (peer->pid <= 0)
        return;
    (void)kill(peer->pid, SIGKILL);
    (void)waitpid(peer->pid, NULL, 0);
    peer->pid = 0;
}

void
sl_bench_clock_init(struct sl_bench_clock *clock, const struct sl_bench_calls *calls)
{
    *clock = (struct sl_bench_clock){.calls = calls,
                                     .took_us = sl_zalloc(calls->count * sizeof(double))};
}

bool
sl_bench_clock_end(struct sl_bench_clock *clock, uint64_t sent_ns, uint64_t now_ns)
{
    uint64_t warm = clock->calls->warm, at = clock->ended++;
    if (at < warm || at >= warm + clock->calls->count)
        return at + 1 == warm + clock->calls->count;
    if (at == warm)
        clock->start_ns = now_ns;
    clock->took_us[at - warm] = (double)(now_ns - sent_ns) / 1e3;
    clock->end_ns = now_ns;
    return at + 1 == warm + clock->calls->count;
}

bool
sl_bench_clock_stop(struct sl_bench_clock *clock, struct sl_bench_called *ret_called)
{
    uint32_t count = clock->calls->count;
    bool is_ok = clock->ended >= (uint64_t)clock->calls->warm + count && count > 1;
    if (is_ok) {
        double seconds = (double)(clock->end_ns - clock->start_ns) / 1e9;
        *ret_called = (struct sl_bench_called){.p50_us = sl_bench_median(clock->took_us, count),
                                               .per_s = (count - 1) / seconds};
    }
    sl_free(clock->took_us);
    clock->took_us = NULL;
    return is_ok;
}
