/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_intake.h - from the files of a model, as they come out of an archive or a directory, to its
 * image. Weights in safetensors and small files go straight into the image; formats that cannot be
 * read front to back are kept aside until all has come.
 *
 *   create --> (file --> data... --> file_end)* --> finish: an image, checked
 *                             any time: destroy
 *
 * A single directory that wraps everything is taken off. Weights count at the top level; those in
 * a directory below it (modules of sentence-transformers) have its name before theirs:
 * "2_Dense/linear.weight". Nothing in the model is executed, ever: code is counted and passed over.
 *
 * Threading: one owner. Blocks on the disk. Parses what strangers sent: run it where a fault costs
 * nothing (archive.h).
 */
#ifndef SL_OBJECT_STORE_MODEL_INTAKE_H
#define SL_OBJECT_STORE_MODEL_INTAKE_H

#include "object-store/cause.h"
#include "object-store/chunks.h"
#include "runtime/base.h"

#define SL_INTAKE_SPOOLED_MAX 256 /* Files kept aside. */

struct sl_model_intake;

struct sl_intake_options {
    const char *format;      /* "safetensors", "huggingface", "pytorch", "onnx"; NULL: whichever. */
    uint64_t size_bytes_max; /* Of the image; 0: 16 GiB. */
    int image_fd;            /* Borrowed; empty, opened to be read and written. */
    int spool_fd;            /* Borrowed: a directory for nameless files. -1: memory files. */
    bool is_digest_off;
};

struct sl_model_facts {
    char format[16]; /* What it is, whatever was declared. */
    uint64_t size_bytes;
    uint32_t tensors_count, files_count;
    uint32_t code_files_count;      /* Passed over, never run. */
    uint8_t digest[SL_SHA256_SIZE]; /* Of the image (chunks.h); zeroes where digests are off. */
};

/* `cause` is borrowed for the intake's life: errors say there what is wrong and what to do. */
struct sl_model_intake *sl_model_intake_create(const struct sl_intake_options *options,
                                               struct sl_cause *cause);
void sl_model_intake_destroy(struct sl_model_intake **intake); /* NULL inside is fine. */

/*
 * A file of `size` bytes begins; `path` is relative, without "." or "..". SL_EINVAL: it is there
 * already, or is none that a model may have. SL_ETOOBIG, SL_ENOSPC, SL_EIO.
 */
SL_MUST_CHECK enum sl_err sl_model_intake_file(struct sl_model_intake *in, const char *path,
                                               uint64_t size);
/* Its next bytes; no more in all than it said. SL_EINVAL: they are no weights. */
SL_MUST_CHECK enum sl_err sl_model_intake_data(struct sl_model_intake *in, const void *data,
                                               size_t size);
/* SL_EINVAL: fewer came than it said. */
SL_MUST_CHECK enum sl_err sl_model_intake_file_end(struct sl_model_intake *in);

/*
 * SL_EINVAL: there are no weights, or of another format than was declared, or they do not hold
 * together. SL_EUNAVAIL: a format that is not read here. *ret_chunks is the caller's; may be NULL.
 */
SL_MUST_CHECK enum sl_err sl_model_intake_finish(struct sl_model_intake *in,
                                                 struct sl_model_facts *ret_facts,
                                                 struct sl_chunks *ret_chunks);

/* JSON of what the weights' format says of the model; empty: nothing. Until destroy. */
struct sl_slice sl_model_intake_details(const struct sl_model_intake *in);

#endif
