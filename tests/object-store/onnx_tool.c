/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_tool FILE: what the reader finds in an .onnx file, for tests/onnx/onnx_check: a line each,
 * its words with a tab between them.
 *
 *     weight NAME DTYPE SHAPE SHA256        of its elements
 *     input|output NAME TYPE SHAPE
 *     opset DOMAIN VERSION
 *     op NAME COUNT
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/onnx.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

static struct sl_slice
map(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        perror(path);
        exit(2);
    }
    void *data =
        st.st_size == 0 ? NULL : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    return sl_slice(data, data == MAP_FAILED ? 0 : (size_t)st.st_size);
}

static char *
beside(const char *model, const char *name)
{
    const char *slash = strrchr(model, '/');
    return sl_format("%.*s%s", slash == NULL ? 0 : (int)(slash + 1 - model), model, name);
}

static bool
file_size(void *arg, const char *name, uint64_t *ret_size)
{
    struct stat st;
    char *path = beside(arg, name);
    bool is_there = lstat(path, &st) == 0 && S_ISREG(st.st_mode);
    *ret_size = is_there ? (uint64_t)st.st_size : 0;
    sl_free(path);
    return is_there;
}

static void
print_weight(const struct sl_weight *w, const struct sl_slice *files)
{
    uint8_t digest[SL_SHA256_SIZE];
    char hex[2 * SL_SHA256_SIZE + 1], shape[256];
    const uint8_t *data = w->inline_data;
    if (data == NULL && w->span_bytes > 0)
        data = files[w->file].data + w->offset;
    sl_sha256(sl_slice(data, w->span_bytes), digest);
    sl_hex(sl_slice(digest, sizeof(digest)), hex);
    printf("weight\t%s\t%s\t%s\t%s\n", w->name, sl_dtype_name(w->dtype),
           sl_tensor_shape_text(w->dims_count, w->shape, shape, sizeof(shape)), hex);
}

static void
print_value(const char *kind, const struct sl_onnx_value *v)
{
    printf("%s\t%s\t%s\t", kind, v->name, sl_onnx_type_name(v->type));
    for (uint32_t i = 0; i < v->dims_count; i++) {
        const struct sl_onnx_dim *dim = &v->dims[i];
        if (dim->is_known)
            printf("%s%" PRIu64, i == 0 ? "" : ",", dim->size);
        else
            printf("%s%s", i == 0 ? "" : ",", dim->symbol == NULL ? "?" : dim->symbol);
    }
    printf("%s\n", v->has_shape ? "" : "*");
}

int
main(int argc, char **argv)
{
    struct sl_onnx onnx = {0};
    struct sl_cause cause = {0};
    if (argc != 2) {
        (void)fprintf(stderr, "usage: onnx_tool FILE\n");
        return 2;
    }
    struct sl_slice file = map(argv[1]);
    enum sl_err err = sl_onnx_parse(file, (struct sl_onnx_files){.size = file_size, .arg = argv[1]},
                                    &onnx, &cause);
    if (err != SL_OK) {
        (void)fprintf(stderr, "%s: %s\n", sl_err_name(err), cause.text);
        return 1;
    }
    struct sl_slice *files = sl_zalloc((onnx.weights.files_count + 1) * sizeof(*files));
    files[0] = file;
    for (uint32_t i = 0; i < onnx.weights.files_count; i++) {
        char *path = beside(argv[1], onnx.weights.files[i]);
        files[i + 1] = map(path);
        sl_free(path);
    }
    for (uint32_t i = 0; i < onnx.weights.count; i++)
        print_weight(&onnx.weights.items[i], files);
    for (uint32_t i = 0; i < onnx.inputs_count; i++)
        print_value("input", &onnx.inputs[i]);
    for (uint32_t i = 0; i < onnx.outputs_count; i++)
        print_value("output", &onnx.outputs[i]);
    for (uint32_t i = 0; i < onnx.opsets_count; i++)
        printf("opset\t%s\t%" PRIu64 "\n", onnx.opsets[i].domain, onnx.opsets[i].version);
    for (uint32_t i = 0; i < onnx.ops_count; i++)
        printf("op\t%s\t%" PRIu64 "\n", onnx.ops[i].name, onnx.ops[i].count);
    for (uint32_t i = 0; i <= onnx.weights.files_count; i++)
        (void)munmap((void *)(uintptr_t)files[i].data, files[i].size);
    sl_free(files);
    sl_onnx_deinit(&onnx);
    return 0;
}
