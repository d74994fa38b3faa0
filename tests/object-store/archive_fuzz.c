/* SPDX-License-Identifier: Apache-2.0 */
/* The input is a tar; it is wrapped in a gzip of stored blocks here, so that bytes reach the tar
 * reader as they are. Into a fresh directory each time: slow, but what is written is real. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object-store/archive.h"
#include "tests/object-store/tiny_model.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct sl_archive_limits limits = {
        .entries_max = 32, .size_bytes_max = SL_MIB, .ratio_from_bytes = 64 * SL_KIB};
    char directory[64];
    struct sl_buf file = {0};
    struct sl_archive_result result = {0};
    wrap(&file, data, size);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    sl_assert(write(fd, file.data, file.size) == (ssize_t)file.size);
    sl_assert(lseek(fd, 0, SEEK_SET) == 0);
    sl_assert(tiny_directory_make(directory) != NULL);
    int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum sl_err err = sl_archive_unpack(fd, directory_fd, &limits, &result);
    sl_assert(err == result.err);
    sl_assert(err == SL_OK || result.cause.text[0] != '\0');
    sl_assert(result.size_bytes <= limits.size_bytes_max);
    struct sl_buf report = {0};
    struct sl_archive_result read = {0};
    sl_archive_report_write(&result, &report);
    sl_assert(sl_archive_report_parse(sl_buf_slice(&report), &read) == SL_OK);
    sl_assert(read.err == err && read.size_bytes == result.size_bytes);
    sl_buf_deinit(&report);
    sl_buf_deinit(&file);
    (void)close(directory_fd);
    (void)close(fd);
    tiny_directory_remove(directory);
    return 0;
}
