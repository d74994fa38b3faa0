/* SPDX-License-Identifier: Apache-2.0 */
/*
 * huggingface_tool DIRECTORY: what the reader finds there, as one line, for tests/minilm.
 */
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/huggingface.h"
#include "runtime/alloc.h"

#define PATHS_MAX 1024

static const char *root;
static const char *paths[PATHS_MAX];
static uint32_t paths_count;

static int
note(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    if (kind == FTW_F && paths_count < PATHS_MAX)
        paths[paths_count++] = sl_strdup(path + strlen(root) + 1);
    return 0;
}

/* Mapped until the process ends. */
static bool
lookup(void *arg, const char *path, struct sl_slice *ret_text)
{
    struct stat st;
    char *full = sl_format("%s/%s", (const char *)arg, path);
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool is_there = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    sl_free(full);
    *ret_text = (struct sl_slice){0};
    if (is_there && st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        is_there = data != MAP_FAILED;
        *ret_text = is_there ? sl_slice(data, (size_t)st.st_size) : sl_slice(NULL, 0);
    }
    if (fd >= 0)
        (void)close(fd);
    return is_there;
}

int
main(int argc, char **argv)
{
    struct sl_huggingface f = {0};
    struct sl_cause cause = {0};
    if (argc != 2) {
        (void)fprintf(stderr, "usage: huggingface_tool DIRECTORY\n");
        return 2;
    }
    root = argv[1];
    if (nftw(root, note, 16, FTW_PHYS) != 0) {
        perror(root);
        return 2;
    }
    struct sl_huggingface_files files = {
        .lookup = lookup, .arg = argv[1], .paths = paths, .paths_count = paths_count};
    enum sl_err err = sl_huggingface_check(&files, &f, &cause);
    if (err != SL_OK) {
        (void)fprintf(stderr, "%s: %s\n", sl_err_name(err), cause.text);
        return 1;
    }
    printf("%s %s hidden %" PRIu64 " layers %" PRIu64 " heads %" PRIu64
           " %s %u inputs %u pooling %u%s %s %" PRIu64 " scripts %u\n",
           f.model_type, f.architecture, f.sizes.hidden_size, f.sizes.layers_count,
           f.sizes.heads_count, sl_huggingface_tokenizer_name(f.tokenizer), f.tokens_count,
           f.input_tokens_max, f.pooling, f.is_normalized ? " normalized" : "",
           sl_huggingface_task_name(f.task), f.embedding_size, f.scripts_count);
    sl_huggingface_deinit(&f);
    for (uint32_t i = 0; i < paths_count; i++)
        sl_free((void *)(uintptr_t)paths[i]);
    return 0;
}
