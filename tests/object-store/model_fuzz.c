/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object-store/bert_layout.h"
#include "object-store/model.h"
#include "runtime/hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint32_t sink; /* So that the reads are not optimised away. */

/* What a peer sends over: attach it, and touch everything it claims to have. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_cause cause;
    struct sl_model *model = NULL;
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    sl_assert(write(fd, data, size) == (ssize_t)size);
    sl_assert(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) ==
              0);
    enum sl_err err = sl_model_attach(fd, &model, &cause);
    (void)close(fd);
    if (err != SL_OK)
        return 0;
    for (uint32_t i = 0; i < sl_model_tensors_count(model); i++) {
        struct sl_tensor t, found;
        sl_model_tensor_at(model, i, &t);
        sl_assert(sl_model_tensor_lookup(model, t.name, &found) && found.data == t.data);
        sink = sl_crc32c(sink, t.data, t.size_bytes);
    }
    for (uint32_t i = 0; i < sl_model_files_count(model); i++) {
        const char *path;
        struct sl_slice file, found;
        sl_model_file_at(model, i, &path, &file);
        sl_assert(sl_model_file_lookup(model, path, &found) && found.data == file.data);
        sink = sl_crc32c(sink, file.data, file.size);
    }
    struct sl_bert_shape shape;
    err = sl_model_check_bert(model, &shape, &cause);
    sl_assert(err == SL_OK || cause.text[0] != '\0');
    sl_model_destroy(&model);
    return 0;
}
