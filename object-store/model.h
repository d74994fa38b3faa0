/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - a model in one sealed memory file that every replica maps.
 *
 *   image on the disk (model_intake.h) --load--> memfd, sealed --(descriptor passed)--> attach
 *
 * Once sealed it never changes and cannot shrink, so no reader can fault. The same bytes as on the
 * disk (model_image.h), copied once, by the kernel.
 *
 * Threading: build and load block on the disk (call them on an I/O thread); an attached model is
 * read only and may be read by any thread.
 */
#ifndef SL_OBJECT_STORE_MODEL_H
#define SL_OBJECT_STORE_MODEL_H

#include "object-store/cause.h"
#include "object-store/safetensors.h"
#include "runtime/base.h"

#define SL_MODEL_ALIGNMENT       64
#define SL_MODEL_FILE_SIZE_MAX   (64 * SL_MIB) /* One side file. */
#define SL_MODEL_FILES_COUNT_MAX 256
#define SL_MODEL_ENTRIES_MAX     (SL_WEIGHTS_COUNT_MAX + SL_MODEL_FILES_COUNT_MAX)

struct sl_model;

struct sl_tensor {
    const char *name; /* Borrowed from the model, as `data`: until it is destroyed. */
    enum sl_dtype dtype;
    uint32_t dims_count;
    uint64_t shape[SL_TENSOR_DIMS_MAX];
    const void *data; /* 64-byte aligned. */
    uint64_t size_bytes;
};

struct sl_model_options {
    const char *format;      /* "safetensors", "huggingface", ...; NULL: whichever it is. */
    uint64_t size_bytes_max; /* Of the memory file; 0: 16 GiB. */
};

/*
 * Read the model whose files lie under `directory_fd` (borrowed), check it and lay it out in a new
 * sealed memory file, which the caller owns. What has not been taken in: tests, tools, and the
 * models of older data directories. Errors as of model_intake.h. `options` may be NULL.
 */
SL_MUST_CHECK
enum sl_err sl_model_build(int directory_fd, const struct sl_model_options *options, int *ret_fd,
                           struct sl_cause *ret_cause);

/*
 * Copy an image, which `image_fd` reads (borrowed), into a new sealed memory file, which the caller
 * owns. SL_ENOMEM: the machine has no memory for it; asked beforehand. SL_ECORRUPT, SL_EVERSION: it
 * is no image. SL_EIO.
 */
SL_MUST_CHECK enum sl_err sl_model_load(int image_fd, int *ret_fd, struct sl_cause *ret_cause);
/*
 * Open a memory file once more that another process of this user has open as `fd`. `inode` tells it
 * from others: what sl_model_inode said of it there. SL_ENOTFOUND: it is not there any more, is
 * another one, is not sealed, or the kernel does not let us.
 */
SL_MUST_CHECK enum sl_err sl_model_reopen(uint64_t pid, uint64_t fd, uint64_t inode, int *ret_fd);
uint64_t sl_model_inode(int fd); /* 0: it is no file. */

/* Map an image that lies in a file which nobody changes while it is mapped. As attach otherwise. */
SL_MUST_CHECK enum sl_err sl_model_open(int image_fd, struct sl_model **ret_model,
                                        struct sl_cause *ret_cause);

/*
 * Map a memory file that load or build made, here or in another process: seals and every bound are
 * checked, because a peer's descriptor is not trusted. `fd` is borrowed; it may be closed
 * afterwards. SL_EINVAL: not sealed, or not a memory file. SL_ECORRUPT, SL_EVERSION, SL_ENOMEM.
 */
SL_MUST_CHECK
enum sl_err sl_model_attach(int fd, struct sl_model **ret_model, struct sl_cause *ret_cause);
void sl_model_destroy(struct sl_model **model); /* NULL inside is fine. */

bool sl_model_tensor_lookup(const struct sl_model *m, const char *name,
                            struct sl_tensor *ret_tensor);
/* A side file by its path in the model's directory: "config.json", "1_Pooling/config.json". */
bool sl_model_file_lookup(const struct sl_model *m, const char *path, struct sl_slice *ret_file);

uint32_t sl_model_tensors_count(const struct sl_model *m);
uint32_t sl_model_files_count(const struct sl_model *m);
/* By index, in name order; index < count. */
void sl_model_tensor_at(const struct sl_model *m, uint32_t index, struct sl_tensor *ret_tensor);
void sl_model_file_at(const struct sl_model *m, uint32_t index, const char **ret_path,
                      struct sl_slice *ret_file);
uint64_t sl_model_size_bytes(const struct sl_model *m); /* Of the whole memory file. */

/*
 * Check the layout of bytes that would be a memory file, without the seals: what attach runs after
 * it has mapped.
 */
SL_MUST_CHECK
enum sl_err sl_model_image_check(struct sl_slice image, struct sl_cause *ret_cause);

#endif
