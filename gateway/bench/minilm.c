/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/minilm.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/bench/directory.h"
#include "gateway/bench/model.h"
#include "runtime/alloc.h"

#define ARCHIVE  "all-MiniLM-L6-v2.tar.gz"
#define UPLOAD_S 120

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

/* All of a directory; the weights hardly compress. */
static bool
pack(const char *directory, const char *archive)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("tar", "tar", "-C", directory, "-I", "gzip -1", "-cf", archive, ".",
                     (char *)NULL);
        _exit(127);
    }
    return (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
            WEXITSTATUS(status) == 0) ||
           sl_bench_fail("tar cannot pack the model in %s", directory);
}

static bool
upload(struct sl_bench_client *client, const char *archive)
{
    static const char *const form[] = {"name",      "minilm",       "version",
                                       "1.0.0",     "model_format", "huggingface",
                                       "task_type", "embedding",    NULL};
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
    sl_free(path);
    return is_ok;
}

bool
sl_bench_minilm_upload(const struct sl_bench *bench, struct sl_bench_client *client,
                       const char **ret_note)
{
    char *archive = find_archive(), *directory = NULL;
    bool is_ok = true;
    *ret_note = "all-MiniLM-L6-v2, one short text";
    if (archive == NULL) {
        *ret_note = SL_BENCH_MODEL_NOTE ", one short text";
        directory = sl_bench_directory_make(bench);
        archive = sl_format("%s/" ARCHIVE, directory == NULL ? "" : directory);
        char *files = sl_format("%s/files", directory == NULL ? "" : directory);
        is_ok = directory != NULL && mkdir(files, 0700) == 0 && sl_bench_model_write(files) &&
                pack(files, archive);
        sl_free(files);
    }
    is_ok = is_ok && upload(client, archive);
    sl_bench_directory_remove(&directory);
    sl_free(archive);
    return is_ok;
}
