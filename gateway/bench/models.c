/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `model`: what another process waits for when it attaches a model that is deployed, what
 * replicas that share one take of memory, and what is left behind when models come and go. Models
 * are plain weights with seeded values, and one of MiniLM's shape. What the machine can do, copies,
 * page faults and mappings, is measured beside it.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/bench/directory.h"
#include "gateway/bench/model.h"
#include "gateway/bench/replicas.h"
#include "gateway/bench/transfer.h"
#include "object-store/model.h"
#include "runtime/alloc.h"
#include "runtime/time.h"

#define ATTACHES    101u
#define PROCESSES   51u
#define REPLICAS    16u
#define WARM_UP     50u
#define COPY_BYTES  (64 * SL_MIB)
#define FRESH_BYTES (256 * SL_MIB)
#define FORKED      "processes forked from the benchmark, which map and read all of it"

/* ---- what the machine can do --------------------------------------------------------------- */

static double
copy_gib_per_s(void)
{
    enum { ROUNDS = 11 };
    double ns[ROUNDS];
    uint8_t *from = sl_alloc(COPY_BYTES), *to = sl_alloc(COPY_BYTES);
    memset(from, 1, COPY_BYTES);
    memset(to, 2, COPY_BYTES);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        memcpy(to, from, COPY_BYTES);
        ns[i] = (double)(sl_time_mono_ns() - start_ns);
    }
    bool is_copied = memcmp(from, to, COPY_BYTES) == 0;
    sl_free(from);
    sl_free(to);
    return is_copied ? (double)COPY_BYTES / SL_GIB * 1e9 / sl_bench_median(ns, ROUNDS) : 0;
}

/* A new memory file, mapped, one byte written to each page. */
static double
fresh_gib_per_s(void)
{
    uint64_t start_ns = sl_time_mono_ns();
    int fd = memfd_create("sluice-bench", MFD_CLOEXEC);
    volatile uint8_t *to = MAP_FAILED;
    if (fd >= 0 && ftruncate(fd, FRESH_BYTES) == 0)
        to = mmap(NULL, FRESH_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    for (uint64_t at = 0; to != MAP_FAILED && at < FRESH_BYTES; at += 4096)
        to[at] = 1;
    double ns = (double)(sl_time_mono_ns() - start_ns);
    if (to != MAP_FAILED)
        (void)munmap((void *)to, FRESH_BYTES);
    if (fd >= 0)
        (void)close(fd);
    return to == MAP_FAILED ? 0 : (double)FRESH_BYTES / SL_GIB * 1e9 / ns;
}

static double
map_us(int fd)
{
    double us[ATTACHES];
    struct stat about;
    if (fstat(fd, &about) != 0)
        return 0;
    for (uint32_t i = 0; i < ATTACHES; i++) {
        uint64_t start_ns = sl_time_mono_ns();
        void *base = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (base == MAP_FAILED || munmap(base, (size_t)about.st_size) != 0)
            return 0;
        us[i] = (double)(sl_time_mono_ns() - start_ns) / 1e3;
    }
    return sl_bench_median(us, ATTACHES);
}

static bool
run_limits(const struct sl_bench *bench, int fd)
{
    double copy = copy_gib_per_s(), fresh = fresh_gib_per_s(), map = map_us(fd);
    if (copy == 0 || fresh == 0 || map == 0)
        return sl_bench_fail("the machine's own figures cannot be measured");
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.limit.copy",
                                                   .unit = "GiB/s",
                                                   .value = copy,
                                                   .note = "a bare copy into touched memory"});
    sl_bench_show(bench,
                  &(struct sl_bench_figure){.name = "model.limit.fresh_pages",
                                            .unit = "GiB/s",
                                            .value = fresh,
                                            .note = "a byte to each page of a new memory file"});
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.limit.map_1g",
                                                   .unit = "us",
                                                   .value = map,
                                                   .note = "mmap and munmap, nothing touched"});
    return true;
}

/* ---- MiniLM -------------------------------------------------------------------------------- */

static bool
time_attach(int fd, double *ret_ms)
{
    struct sl_model *model = NULL;
    struct sl_cause cause = {0};
    uint64_t start_ns = sl_time_mono_ns();
    enum sl_err err = sl_model_attach(fd, &model, &cause);
    *ret_ms = (double)(sl_time_mono_ns() - start_ns) / 1e6;
    sl_model_destroy(&model);
    return err == SL_OK || sl_bench_fail("attach: %s", cause.text);
}

static bool
run_minilm(const struct sl_bench *bench)
{
    double ms[ATTACHES], build_ms = 0;
    int fd = sl_bench_model_build(bench, &build_ms);
    bool is_ok = fd >= 0;
    for (uint32_t i = 0; is_ok && i < ATTACHES; i++)
        is_ok = time_attach(fd, &ms[i]);
    if (fd >= 0)
        (void)close(fd);
    if (!is_ok)
        return false;
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.build_minilm",
                                                   .unit = "ms",
                                                   .value = build_ms,
                                                   .note = SL_BENCH_MODEL_NOTE});
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.attach_minilm.p50",
                                                   .unit = "ms",
                                                   .value = sl_bench_median(ms, ATTACHES),
                                                   .note = SL_BENCH_MODEL_NOTE});
    return true;
}

/* ---- 1 GiB --------------------------------------------------------------------------------- */

static bool
run_attach(const struct sl_bench *bench, int fd)
{
    double ms[PROCESSES], us[PROCESSES];
    for (uint32_t i = 0; i < PROCESSES; i++) {
        struct sl_bench_attach a;
        if (!sl_bench_attach(fd, &a))
            return false;
        ms[i] = a.attach_ms;
        us[i] = a.first_us;
    }
    sl_bench_show(bench,
                  &(struct sl_bench_figure){.name = "model.attach_1g.p50",
                                            .unit = "ms",
                                            .goal = SL_BENCH_AT_MOST,
                                            .target = 1,
                                            .value = sl_bench_median(ms, PROCESSES),
                                            .note = "in a new process each, nothing touched"});
    sl_bench_show(bench,
                  &(struct sl_bench_figure){.name = "model.first_byte_1g.p50",
                                            .unit = "us",
                                            .goal = SL_BENCH_AT_MOST,
                                            .target = 100,
                                            .value = sl_bench_median(us, PROCESSES),
                                            .note = "of a tensor in its middle, just attached"});
    return true;
}

static bool
run_replicas(const struct sl_bench *bench, int fd)
{
    struct sl_bench_replicas replicas;
    struct stat about;
    if (fstat(fd, &about) != 0 || !sl_bench_replicas(fd, REPLICAS, &replicas))
        return false;
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.replicas_16.pss_ratio",
                                                   .unit = "ratio",
                                                   .goal = SL_BENCH_AT_MOST,
                                                   .target = 1.05,
                                                   .value = (double)replicas.weights_pss_kib *
                                                            1024 / (double)about.st_size,
                                                   .note = FORKED});
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.replica.private_kib",
                                                   .unit = "KiB",
                                                   .goal = SL_BENCH_AT_MOST,
                                                   .target = 8192,
                                                   .value = (double)replicas.private_kib,
                                                   .note = FORKED ", with page tables"});
    return true;
}

static bool
run_gib(const struct sl_bench *bench, const char *directory)
{
    double build_ms = 0;
    if (!sl_bench_weights_write(&SL_BENCH_WEIGHTS_GIB, directory))
        return false;
    int fd = sl_bench_model_deploy(directory, &build_ms);
    if (fd < 0)
        return false;
    sl_bench_show(bench, &(struct sl_bench_figure){.name = "model.build_1g",
                                                   .unit = "ms",
                                                   .value = build_ms,
                                                   .note = "from files in the page cache"});
    bool is_ok = run_limits(bench, fd) && run_attach(bench, fd) && run_replicas(bench, fd);
    (void)close(fd);
    return is_ok;
}

/* ---- cycles -------------------------------------------------------------------------------- */

static bool
run_cycles(const struct sl_bench *bench, const char *directory)
{
    struct sl_bench_weights small = {.tensors_count = 16, .rows = 256, .columns = 256};
    uint32_t rounds = bench->is_quick ? 100 : 1000;
    int64_t drift_kib = 0;
    if (!sl_bench_weights_write(&small, directory) ||
        !sl_bench_cycles(directory, WARM_UP, rounds, &drift_kib))
        return false;
    char *name = sl_format("model.cycles_%u.drift_kib", rounds);
    sl_bench_show(bench,
                  &(struct sl_bench_figure){.name = name,
                                            .unit = "KiB",
                                            .goal = SL_BENCH_AT_MOST,
                                            .target = 4096,
                                            .value = (double)drift_kib,
                                            .note = "built, attached, read and dropped: 4 MiB in a "
                                                    "process of its own, after 50 such"});
    sl_free(name);
    return true;
}

bool
sl_bench_models(const struct sl_bench *bench)
{
    bool (*const parts[])(const struct sl_bench *, const char *) = {run_gib, run_cycles};
    bool is_ok = run_minilm(bench);
    for (uint32_t i = 0; is_ok && i < SL_COUNT_OF(parts); i++) {
        char *directory = sl_bench_directory_make(bench);
        is_ok = directory != NULL && parts[i](bench, directory);
        sl_bench_directory_remove(&directory);
    }
    return is_ok && sl_bench_transfer(bench); /* Starts threads: last. */
}
