/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weights-tool FILE: the tensors of a PyTorch file, a line each: name, dtype, shape, strides and
 * the SHA-256 of its elements in row-major order, with tabs between. Exit 1, with the cause on
 * standard error: the file is refused.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/pytorch.h"
#include "runtime/hash.h"

static void
print_numbers(uint32_t count, const uint64_t *numbers)
{
    (void)putchar('\t');
    for (uint32_t i = 0; i < count; i++)
        (void)printf("%s%" PRIu64, i == 0 ? "" : ",", numbers[i]);
}

static void
digest(struct sl_slice file, const struct sl_weight *w, char text[2 * SL_SHA256_SIZE + 1])
{
    uint64_t at[SL_TENSOR_DIMS_MAX] = {0}, size = sl_dtype_bits(w->dtype) / 8;
    uint8_t raw[SL_SHA256_SIZE];
    struct sl_sha256_stream *hash = sl_sha256_create();
    bool is_done = w->span_bytes == 0;
    while (!is_done) {
        uint64_t element = 0;
        for (uint32_t i = 0; i < w->dims_count; i++)
            element += at[i] * w->strides[i];
        sl_assert(element * size + size <= w->span_bytes);
        sl_sha256_update(hash, file.data + w->offset + element * size, size);
        is_done = true;
        for (uint32_t i = w->dims_count; i-- > 0 && is_done;) {
            is_done = ++at[i] == w->shape[i];
            at[i] = is_done ? 0 : at[i];
        }
    }
    sl_sha256_finish(&hash, raw);
    sl_hex(sl_slice(raw, sizeof(raw)), text);
}

int
main(int argc, char **argv)
{
    struct stat info;
    int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &info) != 0) {
        (void)fprintf(stderr, "usage: weights-tool FILE\n");
        return 2;
    }
    size_t size = (size_t)info.st_size;
    void *data = size == 0 ? NULL : mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        perror("weights-tool");
        return 2;
    }
    struct sl_weights weights = {0};
    struct sl_cause cause = {0};
    struct sl_slice file = sl_slice(data, size);
    enum sl_err err = sl_pytorch_parse(file, &weights, &cause);
    if (err != SL_OK) {
        (void)fprintf(stderr, "%s: %s\n", sl_err_name(err), cause.text);
        return 1;
    }
    for (uint32_t i = 0; i < weights.count; i++) {
        const struct sl_weight *w = &weights.items[i];
        char text[2 * SL_SHA256_SIZE + 1];
        digest(file, w, text);
        (void)printf("%s\t%s", w->name, sl_dtype_name(w->dtype));
        print_numbers(w->dims_count, w->shape);
        print_numbers(w->dims_count, w->strides);
        (void)printf("\t%s\n", text);
    }
    sl_weights_deinit(&weights);
    return 0;
}
