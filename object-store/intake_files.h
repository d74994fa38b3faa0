/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake_files.h - the files of a model that is being taken in: what each is, by its name; those
 * kept aside; and which of them are the weights. For model_intake.c only.
 *
 * Threading: one owner.
 */
#ifndef SL_OBJECT_STORE_INTAKE_FILES_H
#define SL_OBJECT_STORE_INTAKE_FILES_H

#include "object-store/cause.h"
#include "object-store/image_writer.h"
#include "runtime/base.h"
#include "runtime/buf.h"

enum sl_intake_kind {
    SL_INTAKE_IGNORED,
    SL_INTAKE_SAFETENSORS, /* Into the image as it comes. */
    SL_INTAKE_SIDE,        /* A small file that plugins read: likewise. */
    SL_INTAKE_SPOOLED      /* Kept aside until all has come. */
};

enum sl_intake_family {
    SL_INTAKE_NONE,
    SL_INTAKE_OF_SAFETENSORS,
    SL_INTAKE_OF_PYTORCH,
    SL_INTAKE_OF_ONNX,
    SL_INTAKE_OF_ONNX_DATA
};

struct sl_intake_file {
    char *path; /* As it came. */
    enum sl_intake_kind kind;
    enum sl_intake_family family; /* By its name, also of what is ignored. */
    uint64_t size_bytes;
    uint64_t written;                 /* SPOOLED */
    int fd;                           /* SPOOLED: a nameless file, owned; else -1. */
    uint32_t first_item, items_count; /* In the image. */
};

struct sl_intake_files {
    struct sl_intake_file *items;
    uint32_t count, capacity;
    uint32_t spooled_count, code_count;
    struct sl_buf details; /* JSON of what was read; empty: nothing to tell. */
    size_t wrapper_size;   /* Bytes of each path that unwrap found to be in all of them. */
};

/* What the declared format, or for none of them what is there, makes of the files. */
struct sl_intake_choice {
    const char *format; /* Static. */
    enum sl_intake_family family;
    const struct sl_intake_file *index; /* Of its shards; NULL: there is none. */
};

void sl_intake_files_deinit(struct sl_intake_files *files); /* Zeroed is fine. */
/* NULL: there is one of that path. What it returned before is not valid any more. */
struct sl_intake_file *sl_intake_files_add(struct sl_intake_files *files, const char *path,
                                           uint64_t size, const char *format);
/* Find the directories that wrap everything. */
void sl_intake_files_unwrap(struct sl_intake_files *files);
/* The path without them: it holds for the file's life. */
const char *sl_intake_file_name(const struct sl_intake_files *files,
                                const struct sl_intake_file *file);
/* By that; NULL: not there, or ignored. */
const struct sl_intake_file *sl_intake_files_find(const struct sl_intake_files *files,
                                                  const char *name);

/* SL_ETOOBIG: too many of them. SL_EIO, SL_ENOSPC. */
SL_MUST_CHECK enum sl_err sl_intake_spool_open(struct sl_intake_files *files,
                                               struct sl_intake_file *file, int directory_fd,
                                               struct sl_cause *cause);
SL_MUST_CHECK enum sl_err sl_intake_spool_write(struct sl_intake_file *file, const void *data,
                                                size_t size, struct sl_cause *cause);

/* SL_EINVAL: no weights, not of the declared format, shards without an index, no config.json. */
SL_MUST_CHECK enum sl_err sl_intake_choose(const struct sl_intake_files *files, const char *format,
                                           struct sl_intake_choice *ret_choice,
                                           struct sl_cause *cause);
bool sl_intake_is_chosen(const struct sl_intake_files *files, const struct sl_intake_file *file,
                         const struct sl_intake_choice *choice);

/* Weights of a module in a directory of its own, "2_Dense/pytorch_model.bin". */
bool sl_intake_is_module(const struct sl_intake_files *files, const struct sl_intake_file *file);

/* Read a spooled file's weights and write them row-major into the image. */
SL_MUST_CHECK enum sl_err sl_intake_write_weights(struct sl_intake_files *files,
                                                  struct sl_intake_file *file,
                                                  struct sl_image_writer *writer,
                                                  struct sl_cause *cause);

#endif
