/* SPDX-License-Identifier: Apache-2.0 */
/*
 * torch_file.h - writes ZIP archives and pickles for tests, sound ones and, where an option says
 * so, ones that no sound writer makes.
 */
#ifndef SL_TESTS_TORCH_FILE_H
#define SL_TESTS_TORCH_FILE_H

#include "runtime/buf.h"

struct torch_entry {
    const char *name;
    const void *data;
    size_t size;
    /* Zero = as torch does it. */
    uint32_t flags, method;
    uint32_t crc;
    bool has_no_descriptor;     /* Sizes are in the local header. */
    bool has_wide_descriptor;   /* Of 64 bits. */
    bool is_wide;               /* Sizes and offset in ZIP64 fields. */
    const char *local_name;     /* Another name in the local header. */
    uint64_t central_size_add;  /* Added to both sizes that the directory says. */
    int64_t central_offset_add; /* Added to where the directory says that it begins. */
    const char *comment;
};

struct torch_archive_options {  /* Zero = as torch does it. */
    bool has_no_zip64;          /* Without ZIP64 end record and locator. */
    bool is_saturated;          /* The end record leaves all to the ZIP64 one. */
    const char *front, *behind; /* Junk around it all. */
    const char *comment;
    uint32_t disk;
    int32_t count_add; /* Added to the count of entries. */
};

/* Append an archive. `options` may be NULL. */
void torch_archive_append(struct sl_buf *file, const struct torch_entry *entries, size_t count,
                          const struct torch_archive_options *options);

/* Append a file as torch.save writes it: this data.pkl, and storages of `storage_size` bytes, 0, 1,
 * 2 and so on, called data/0, data/1... */
void torch_file_append(struct sl_buf *file, struct sl_slice pickle, uint32_t storages_count,
                       size_t storage_size);

/* Pieces of a pickle. */
void torch_pickle_begin(struct sl_buf *pickle); /* PROTO 2 */
void torch_pickle_text(struct sl_buf *pickle, const char *text);
void torch_pickle_int(struct sl_buf *pickle, int64_t number);
void torch_pickle_global(struct sl_buf *pickle, const char *module, const char *name);

struct torch_tensor {
    const char *storage; /* "FloatStorage" */
    const char *key;     /* "0" */
    int64_t storage_count;
    int64_t offset;
    uint32_t dims_count;
    int64_t shape[9], strides[9];
};
/* _rebuild_tensor_v2 of it, as a value. */
void torch_pickle_tensor(struct sl_buf *pickle, const struct torch_tensor *tensor);

#endif
