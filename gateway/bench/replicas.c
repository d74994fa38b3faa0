/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/replicas.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench/model.h"
#include "object-store/model.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define REPLICAS_MAX 64u
#define PAGE         4096u

static volatile uint8_t seen; /* So that reads are not optimised away. */

/* ---- what a process does ------------------------------------------------------------------- */

static struct sl_model *
attach(int fd)
{
    struct sl_model *model = NULL;
    struct sl_cause cause = {0};
    if (sl_model_attach(fd, &model, &cause) != SL_OK)
        (void)sl_bench_fail("attach: %s", cause.text);
    return model;
}

static void
touch_first(const struct sl_model *model)
{
    struct sl_tensor tensor;
    sl_model_tensor_at(model, sl_model_tensors_count(model) / 2, &tensor);
    seen = *(const uint8_t *)tensor.data;
}

static void
touch_all(const struct sl_model *model)
{
    for (uint32_t i = 0; i < sl_model_tensors_count(model); i++) {
        struct sl_tensor tensor;
        sl_model_tensor_at(model, i, &tensor);
        for (uint64_t at = 0; at < tensor.size_bytes; at += PAGE)
            seen = ((const uint8_t *)tensor.data)[at];
    }
}

SL_NORETURN static void
answer(int to, const void *bytes, size_t size)
{
    _exit(write(to, bytes, size) == (ssize_t)size ? 0 : 1);
}

SL_NORETURN static void
be_attached(int fd, int to)
{
    uint64_t start_ns = sl_time_mono_ns();
    struct sl_model *model = attach(fd);
    if (model == NULL)
        _exit(1);
    uint64_t attached_ns = sl_time_mono_ns();
    touch_first(model);
    struct sl_bench_attach a = {.attach_ms = (double)(attached_ns - start_ns) / 1e6,
                                .first_us = (double)(sl_time_mono_ns() - attached_ns) / 1e3};
    answer(to, &a, sizeof(a));
}

/* Read all, say so, and stay until the other end of `until` closes. */
SL_NORETURN static void
be_replica(int fd, int to, int until)
{
    struct sl_model *model = attach(fd);
    char byte = 0;
    if (model == NULL)
        _exit(1);
    touch_all(model);
    if (write(to, &byte, 1) != 1)
        _exit(1);
    (void)read(until, &byte, 1);
    _exit(0);
}

/* ---- their memory -------------------------------------------------------------------------- */

struct usage {
    uint64_t weights_kib, private_kib;
};

/*
 * Shares of shared memory and anonymous memory, that of the model's file apart. Page tables belong
 * to the process, too.
 */
static bool
read_usage(pid_t pid, uint64_t inode, struct usage *ret_usage)
{
    struct usage usage = {0};
    char path[64], line[512];
    bool is_weights = false;
    (void)snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return sl_bench_fail("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long long number;
        if (sscanf(line, "%*x-%*x %*s %*x %*x:%*x %llu", &number) == 1)
            is_weights = number == inode;
        else if (is_weights && sscanf(line, "Pss: %llu", &number) == 1)
            usage.weights_kib += number;
    }
    (void)fclose(file);
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if ((file = fopen(path, "re")) == NULL)
        return sl_bench_fail("%s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long long number;
        if (sscanf(line, "RssAnon: %llu", &number) == 1 ||
            sscanf(line, "VmPTE: %llu", &number) == 1)
            usage.private_kib += number;
    }
    (void)fclose(file);
    *ret_usage = usage;
    return true;
}

/* ---- starting them ------------------------------------------------------------------------- */

bool
sl_bench_attach(int model_fd, struct sl_bench_attach *ret_attach)
{
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        return sl_bench_fail("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        be_attached(model_fd, ends[1]);
    (void)close(ends[1]);
    bool is_ok = pid > 0 && read(ends[0], ret_attach, sizeof(*ret_attach)) == sizeof(*ret_attach);
    (void)close(ends[0]);
    if (pid > 0)
        (void)waitpid(pid, &status, 0);
    return is_ok || sl_bench_fail("a process could not attach the model");
}

/* Once all have read all. */
static bool
measure(int model_fd, const pid_t *pids, uint32_t count, struct sl_bench_replicas *ret_replicas)
{
    struct stat about;
    double private_kib[REPLICAS_MAX];
    *ret_replicas = (struct sl_bench_replicas){0};
    if (fstat(model_fd, &about) != 0)
        return sl_bench_fail("fstat: %s", strerror(errno));
    for (uint32_t i = 0; i < count; i++) {
        struct usage usage = {0};
        if (!read_usage(pids[i], (uint64_t)about.st_ino, &usage))
            return false;
        ret_replicas->weights_pss_kib += usage.weights_kib;
        private_kib[i] = (double)usage.private_kib;
    }
    ret_replicas->private_kib = (uint64_t)sl_bench_median(private_kib, count);
    return true;
}

bool
sl_bench_replicas(int model_fd, uint32_t count, struct sl_bench_replicas *ret_replicas)
{
    pid_t pids[REPLICAS_MAX];
    uint32_t started = 0, ready = 0;
    int ends[2], until[2];
    sl_assert(count >= 1 && count <= REPLICAS_MAX);
    if (pipe2(ends, O_CLOEXEC) != 0 || pipe2(until, O_CLOEXEC) != 0)
        return sl_bench_fail("pipe: %s", strerror(errno));
    for (; started < count && (pids[started] = fork()) >= 0; started++) {
        if (pids[started] > 0)
            continue;
        (void)close(until[1]);
        be_replica(model_fd, ends[1], until[0]);
    }
    (void)close(ends[1]);
    for (char byte; ready < started && read(ends[0], &byte, 1) == 1;)
        ready++;
    bool is_ok = ready == count && measure(model_fd, pids, count, ret_replicas);
    (void)close(until[0]);
    (void)close(until[1]);
    (void)close(ends[0]);
    for (uint32_t i = 0; i < started; i++)
        (void)waitpid(pids[i], NULL, 0);
    return is_ok || sl_bench_fail("%u processes could not map the model", count);
}

/* ---- cycles -------------------------------------------------------------------------------- */

static bool
cycle(const char *directory)
{
    double build_ms;
    int fd = sl_bench_model_deploy(directory, &build_ms);
    struct sl_model *model = fd < 0 ? NULL : attach(fd);
    if (model != NULL)
        touch_all(model);
    sl_model_destroy(&model);
    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

static int64_t
anonymous_kib(void)
{
    char line[256];
    long long kib = -1;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "RssAnon: %lld", &kib) == 1)
            break;
    }
    if (file != NULL)
        (void)fclose(file);
    return kib;
}

SL_NORETURN static void
be_cycling(const char *directory, uint32_t warm_up, uint32_t rounds, int to)
{
    int64_t before_kib = 0;
    for (uint32_t i = 0; i < warm_up + rounds; i++) {
        if (i == warm_up)
            before_kib = anonymous_kib();
        if (!cycle(directory))
            _exit(1);
    }
    int64_t drift_kib = anonymous_kib() - before_kib;
    answer(to, &drift_kib, sizeof(drift_kib));
}

bool
sl_bench_cycles(const char *directory, uint32_t warm_up, uint32_t rounds, int64_t *ret_drift_kib)
{
    int ends[2], status = 0;
    if (pipe(ends) != 0)
        return sl_bench_fail("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        be_cycling(directory, warm_up, rounds, ends[1]);
    (void)close(ends[1]);
    bool is_ok =
        pid > 0 && read(ends[0], ret_drift_kib, sizeof(*ret_drift_kib)) == sizeof(*ret_drift_kib);
    (void)close(ends[0]);
    if (pid > 0)
        (void)waitpid(pid, &status, 0);
    return is_ok || sl_bench_fail("the process that deploys failed");
}
