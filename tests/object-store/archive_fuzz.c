/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a tar; it is wrapped in a gzip of stored blocks here, so that bytes reach the tar
 * reader as they are. The files go where an upload's go, so that the intake is fuzzed along. */
#include <sys/mman.h>
#include <unistd.h>

#include "object-store/archive.h"
#include "object-store/model.h"
#include "object-store/model_intake.h"
#include "runtime/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
wrap(struct sl_buf *out, const uint8_t *data, size_t size)
{
    static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    sl_buf_append(out, head, sizeof(head));
    do {
        uint16_t n = (uint16_t)SL_MIN(size, 65535u);
        size -= n;
        uint8_t block[5] = {size == 0, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n,
                            (uint8_t)(~n >> 8)};
        sl_buf_append(out, block, sizeof(block));
        sl_buf_append(out, data, n);
        data += n;
    } while (size > 0);
    sl_buf_append_u64(out, 0); /* CRC and size: not looked at. */
}

static enum sl_err
take_file(void *self, const char *path, uint64_t size)
{
    return sl_model_intake_file(self, path, size);
}

static enum sl_err
take_data(void *self, const void *data, size_t size)
{
    return sl_model_intake_data(self, data, size);
}

static enum sl_err
end_file(void *self)
{
    return sl_model_intake_file_end(self);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sl_archive_limits limits = {
        .entries_max = 32, .size_bytes_max = SL_MIB, .ratio_from_bytes = 64 * SL_KIB};
    struct sl_buf file = {0};
    struct sl_archive_result result = {0};
    struct sl_cause cause = {{0}};
    struct sl_model_facts facts = {0};
    wrap(&file, data, size);
    int fd = memfd_create("fuzz", MFD_CLOEXEC), image_fd = memfd_create("image", MFD_CLOEXEC);
    sl_assert(write(fd, file.data, file.size) == (ssize_t)file.size);
    sl_assert(lseek(fd, 0, SEEK_SET) == 0);
    struct sl_model_intake *intake = sl_model_intake_create(
        &(struct sl_intake_options){
            .image_fd = image_fd, .spool_fd = -1, .size_bytes_max = 4 * SL_MIB},
        &cause);
    struct sl_archive_sink sink = {
        .self = intake, .file = take_file, .data = take_data, .file_end = end_file};
    enum sl_err err = sl_archive_read(fd, &limits, &sink, &result, &cause);
    if (err == SL_OK)
        err = sl_model_intake_finish(intake, &facts, NULL);
    sl_assert(err == SL_OK || cause.text[0] != '\0');
    sl_assert(result.size_bytes <= limits.size_bytes_max);
    if (err == SL_OK) { /* What was made can be read. */
        struct sl_model *model = NULL;
        sl_assert(sl_model_open(image_fd, &model, &cause) == SL_OK);
        sl_assert(sl_model_tensors_count(model) == facts.tensors_count);
        sl_model_destroy(&model);
    }
    sl_model_intake_destroy(&intake);
    sl_buf_deinit(&file);
    (void)close(image_fd);
    (void)close(fd);
    return 0;
}
