/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `scale`, with a model: the first answer of all-MiniLM-L6-v2, of which there is no node
 * and no replica. The model is deployed: its weights are in the store. Then it is evicted, and what
 * the kernel keeps of its image in memory is dropped: it is on the disk alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench/minilm.h"
#include "gateway/bench/scale.h"
#include "runtime/alloc.h"

#define CALLS         60u
#define CALLS_FEW     20u
#define DISK_CALLS    20u
#define DISK_FEW      6u
#define WARM_FEW      3u
#define FTW_FILES_MAX 8

/* ---- asking -------------------------------------------------------------------------------- */

struct suite {
    struct sl_bench_scale scale;
    char *path, *body; /* Of the model; of a call of it. */
    const char *note;
};

static bool
upload(struct suite *s)
{
    struct sl_bench_client *client = &s->scale.client;
    s->path = sl_format("/v1/namespaces/%s/models/" SL_BENCH_MINILM, client->namespace_id);
    s->body = sl_strdup("{\"inference_name\":\"" SL_BENCH_MINILM
                        "\",\"inputs\":{\"text\":\"a few words\"}}");
    return sl_bench_minilm_upload(s->scale.bench, client, &s->note);
}

static bool
tell(struct suite *s, const char *verb)
{
    char *path = sl_format("%s/%s", s->path, verb);
    bool is_ok = sl_bench_ask(&s->scale.client, path, sl_slice_str("{}"));
    sl_free(path);
    return is_ok;
}

/* ---- what the kernel keeps ----------------------------------------------------------------- */

static int
drop_file(const char *path, const struct stat *about, int kind, struct FTW *place)
{
    (void)about, (void)place;
    int fd = kind == FTW_F ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return 0;
    int error = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)close(fd);
    return error;
}

static bool
drop_images(const struct suite *s)
{
    char *models = sl_format("%s/data/models", s->scale.server.directory);
    int result = nftw(models, drop_file, FTW_FILES_MAX, FTW_PHYS);
    sl_free(models);
    return result == 0 || sl_bench_fail("the model's pages cannot be dropped: %s",
                                        strerror(result > 0 ? result : errno));
}

/* ---- the rounds ---------------------------------------------------------------------------- */

static bool
measure(struct suite *s, bool is_on_disk, double *ms, uint32_t count)
{
    double ignored;
    for (uint32_t i = 0; i < count + WARM_FEW; i++) {
        if (is_on_disk && !tell(s, "evict"))
            return false;
        if (!sl_bench_scale_wait_for_zero(&s->scale) || (is_on_disk && !drop_images(s)) ||
            !sl_bench_scale_call(&s->scale, s->body, i < WARM_FEW ? &ignored : &ms[i - WARM_FEW]))
            return false;
    }
    return true;
}

static bool
run(struct suite *s)
{
    bool is_quick = s->scale.bench->is_quick;
    uint32_t count = is_quick ? CALLS_FEW : CALLS;
    double ms[CALLS];
    if (!upload(s) || !tell(s, "deploy") || !measure(s, false, ms, count))
        return false;
    sl_bench_scale_show(s->scale.bench, &(struct sl_bench_scale_times){"scale.zero.minilm", s->note,
                                                                       ms, count, 30, 60});
    count = is_quick ? DISK_FEW : DISK_CALLS;
    if (!measure(s, true, ms, count))
        return false;
    char *note = sl_format("%s; weights only on the disk", s->note);
    sl_bench_scale_show(s->scale.bench, &(struct sl_bench_scale_times){"scale.zero.minilm_on_disk",
                                                                       note, ms, count, 400, 0});
    sl_free(note);
    return true;
}

bool
sl_bench_scale_model(const struct sl_bench *bench)
{
    struct suite s = {0};
    bool is_ok = sl_bench_scale_open(bench, SL_BENCH_SCALE_ZERO, &s.scale) && run(&s);
    sl_free(s.path);
    sl_free(s.body);
    return sl_bench_scale_close(&s.scale) && is_ok;
}
