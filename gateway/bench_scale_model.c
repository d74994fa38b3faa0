/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The suite `scale`, with a model: the first answer of all-MiniLM-L6-v2, of which there is no node
 * and no replica. The model is deployed: its weights are in the store. Then it is evicted, and what
 * the kernel keeps of its image in memory is dropped: it is on the disk alone.
 *
 * The archive is SLUICE_BENCH_MODEL, or .cache/all-MiniLM-L6-v2.tar.gz (scripts/model) here or
 * where this program was built; without one the weights are seeded, and of the same shape.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench_directory.h"
#include "gateway/bench_model.h"
#include "gateway/bench_scale.h"
#include "runtime/alloc.h"

#define CALLS         60u
#define CALLS_FEW     20u
#define DISK_CALLS    20u
#define DISK_FEW      6u
#define WARM_FEW      3u
#define ARCHIVE       "all-MiniLM-L6-v2.tar.gz"
#define UPLOAD_S      120
#define FTW_FILES_MAX 8

/* ---- the archive --------------------------------------------------------------------------- */

/* Where scripts/model puts it, seen from the build that this program is of. Owned. */
static char *
archive_of_build(void)
{
    char program[512];
    ssize_t size = readlink("/proc/self/exe", program, sizeof(program) - 1);
    program[SL_MAX(size, (ssize_t)0)] = '\0';
    for (int i = 0; i < 3; i++) {
        char *slash = strrchr(program, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    return sl_format("%s/.cache/%s", program, ARCHIVE);
}

/* Owned; NULL: there is none. */
static char *
find_archive(void)
{
    const char *named = getenv("SLUICE_BENCH_MODEL");
    char *paths[] = {named == NULL ? NULL : sl_strdup(named), sl_strdup(".cache/" ARCHIVE),
                     archive_of_build()};
    char *found = NULL;
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++) {
        if (found == NULL && paths[i] != NULL && access(paths[i], R_OK) == 0)
            found = sl_strdup(paths[i]);
        sl_free(paths[i]);
    }
    return found;
}

/* All of a directory but the archive, which is written into it; the weights hardly compress. */
static bool
pack(const char *directory, const char *archive)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("tar", "tar", "-C", directory, "--exclude", "*.tar.gz", "-I", "gzip -1", "-cf",
                     archive, ".", (char *)NULL);
        _exit(127);
    }
    return (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
            WEXITSTATUS(status) == 0) ||
           sl_bench_fail("tar cannot pack the model in %s", directory);
}

/* ---- asking -------------------------------------------------------------------------------- */

struct suite {
    struct sl_bench_scale scale;
    char *path, *body; /* Of the model; of a call of it. */
    const char *note;
};

static bool
upload(struct suite *s, const char *archive)
{
    static const char *const form[] = {"name",      "minilm",       "version",
                                       "1.0.0",     "model_format", "huggingface",
                                       "task_type", "embedding",    NULL};
    struct sl_bench_client *client = &s->scale.client;
    char *path = sl_format("/v1/namespaces/%s/models", client->namespace_id);
    struct sl_http_request request = {.method = "POST",
                                      .path = path,
                                      .namespace_id = client->namespace_id,
                                      .file = archive,
                                      .form = form,
                                      .timeout_s = UPLOAD_S};
    bool is_ok = sl_http_send(client->http, &request, &client->reply) == SL_OK &&
                 client->reply.status / 100 == 2;
    if (!is_ok)
        (void)sl_bench_fail("%s cannot be uploaded: %ld %s %.200s", archive, client->reply.status,
                            sl_http_error(client->http), sl_buf_text(&client->reply.body));
    s->path = sl_format("%s/minilm_1_0_0", path);
    s->body =
        sl_strdup("{\"inference_name\":\"minilm_1_0_0\",\"inputs\":{\"text\":\"a few words\"}}");
    sl_free(path);
    return is_ok;
}

static bool
upload_some(struct suite *s)
{
    char *archive = find_archive(), *directory = NULL;
    bool is_ok = true;
    s->note = "all-MiniLM-L6-v2, one short text";
    if (archive == NULL) {
        s->note = SL_BENCH_MODEL_NOTE ", one short text";
        directory = sl_bench_directory_make(s->scale.bench);
        archive = sl_format("%s/" ARCHIVE, directory == NULL ? "" : directory);
        is_ok = directory != NULL && sl_bench_model_write(directory) && pack(directory, archive);
    }
    is_ok = is_ok && upload(s, archive);
    sl_bench_directory_remove(&directory);
    sl_free(archive);
    return is_ok;
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
    if (!upload_some(s) || !tell(s, "deploy") || !measure(s, false, ms, count))
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
