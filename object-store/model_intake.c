/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/model_intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "object-store/image_writer.h"
#include "object-store/intake_files.h"
#include "object-store/model.h"
#include "object-store/safetensors.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "runtime/json.h"

#define SIZE_BYTES_MAX  (16 * SL_GIB)
#define FILES_MAX       8192
#define INDEX_BYTES_MAX (8 * SL_MIB) /* 65,536 lines take less. */

/* A .safetensors file on its way: first its header, then tensor after tensor. */
struct stream {
    struct sl_buf head;
    uint64_t head_size; /* 0: not known yet. */
    struct sl_weights weights;
    uint32_t next; /* The tensor that is open, or to be begun. */
    bool is_open;
    uint64_t left; /* Of it. */
};

struct sl_model_intake {
    struct sl_intake_options options;
    struct sl_cause *cause;
    struct sl_image_writer *writer;
    struct sl_intake_files files;
    struct sl_intake_file *file; /* The open one. */
    uint64_t left;               /* Of it. */
    struct stream stream;
};

struct sl_model_intake *
sl_model_intake_create(const struct sl_intake_options *options, struct sl_cause *cause)
{
    struct sl_model_intake *in = sl_zalloc(sizeof(*in));
    in->options = *options;
    in->cause = cause;
    struct sl_image_options image = {
        .fd = options->image_fd,
        .size_bytes_max = options->size_bytes_max == 0 ? SIZE_BYTES_MAX : options->size_bytes_max,
        .is_digest_off = options->is_digest_off};
    in->writer = sl_image_writer_create(&image, cause);
    return in;
}

static void
stream_deinit(struct stream *s)
{
    sl_buf_deinit(&s->head);
    sl_weights_deinit(&s->weights);
    *s = (struct stream){0};
}

void
sl_model_intake_destroy(struct sl_model_intake **intake)
{
    sl_assert(intake != NULL);
    struct sl_model_intake *in = *intake;
    if (in == NULL)
        return;
    stream_deinit(&in->stream);
    sl_image_writer_destroy(&in->writer);
    sl_intake_files_deinit(&in->files);
    sl_free(in);
    *intake = NULL;
}

/* ---- safetensors, as they come ------------------------------------------------------------- */

static enum sl_err
begin_tensor(struct sl_model_intake *in)
{
    const struct sl_weight *t = &in->stream.weights.items[in->stream.next];
    struct sl_image_item item = {.kind = SL_MODEL_TENSOR,
                                 .name = t->name,
                                 .size_bytes = t->span_bytes,
                                 .dtype = t->dtype,
                                 .dims_count = t->dims_count,
                                 .shape = t->shape};
    in->stream.is_open = true;
    in->stream.left = t->span_bytes;
    in->file->items_count++;
    return sl_image_begin(in->writer, &item);
}

/* Begin tensors until one wants bytes: those without elements are done at once. */
static enum sl_err
next_tensor(struct sl_model_intake *in)
{
    struct stream *s = &in->stream;
    while (s->next < s->weights.count) {
        enum sl_err err = s->is_open ? SL_OK : begin_tensor(in);
        if (err != SL_OK || s->left > 0)
            return err;
        err = sl_image_end(in->writer);
        s->is_open = false;
        s->next++;
        if (err != SL_OK)
            return err;
    }
    return SL_OK;
}

/* The header is whole. */
static enum sl_err
parse_head(struct sl_model_intake *in)
{
    struct sl_cause why = {{0}};
    struct stream *s = &in->stream;
    enum sl_err err =
        sl_safetensors_parse(sl_buf_slice(&s->head), in->file->size_bytes, &s->weights, &why);
    if (err != SL_OK)
        return sl_cause_set(in->cause, err, "%.64s: %.300s", in->file->path, why.text);
    sl_buf_deinit(&s->head);
    in->file->first_item = sl_image_items_count(in->writer);
    return next_tensor(in);
}

/* How much of `data` belongs to the header; takes it. */
static enum sl_err
take_head(struct sl_model_intake *in, struct sl_slice *data)
{
    struct stream *s = &in->stream;
    uint64_t want = s->head_size == 0 ? 8 : s->head_size;
    size_t n = (size_t)SL_MIN(data->size, want - s->head.size);
    sl_buf_append(&s->head, data->data, n);
    *data = sl_slice(data->data + n, data->size - n);
    if (s->head.size < want)
        return SL_OK;
    if (s->head_size == 0) {
        struct sl_cause why = {{0}};
        enum sl_err err = sl_safetensors_head_size(sl_buf_slice(&s->head), in->file->size_bytes,
                                                   &s->head_size, &why);
        if (err != SL_OK)
            return sl_cause_set(in->cause, err, "%.64s: %.300s", in->file->path, why.text);
    }
    return s->head.size == s->head_size ? parse_head(in) : SL_OK;
}

static enum sl_err
stream_data(struct sl_model_intake *in, struct sl_slice data)
{
    struct stream *s = &in->stream;
    enum sl_err err = SL_OK;
    while (data.size > 0 && err == SL_OK && (s->head_size == 0 || s->head.size > 0))
        err = take_head(in, &data);
    /* The tensors tile what is left of the file: while there are bytes, one is open. */
    while (data.size > 0 && err == SL_OK) {
        size_t n = (size_t)SL_MIN(data.size, s->left);
        err = sl_image_append(in->writer, data.data, n);
        s->left -= n;
        data = sl_slice(data.data + n, data.size - n);
        if (err == SL_OK)
            err = next_tensor(in);
    }
    return err;
}

static enum sl_err
stream_end(struct sl_model_intake *in)
{
    struct stream *s = &in->stream;
    bool is_whole = s->head_size != 0 && s->head.size == 0 && s->next == s->weights.count;
    enum sl_err err = SL_OK;
    if (!is_whole) {
        uint64_t unused;
        struct sl_cause why = {{0}};
        /* Too short to have a header at all: the reader has the words for that. */
        if (sl_safetensors_head_size(sl_buf_slice(&s->head), in->file->size_bytes, &unused, &why) ==
            SL_OK)
            (void)sl_cause_set(&why, SL_EINVAL, "the file is cut");
        err = sl_cause_set(in->cause, SL_EINVAL, "%.64s: %.300s", in->file->path, why.text);
    }
    stream_deinit(s);
    return err;
}

/* ---- files --------------------------------------------------------------------------------- */

static enum sl_err
begin_side(struct sl_model_intake *in)
{
    struct sl_intake_file *f = in->file;
    if (f->size_bytes > SL_MODEL_FILE_SIZE_MAX)
        return sl_cause_set(in->cause, SL_ETOOBIG, "%s has %" PRIu64 " bytes; at most %" PRIu64,
                            f->path, f->size_bytes, (uint64_t)SL_MODEL_FILE_SIZE_MAX);
    f->first_item = sl_image_items_count(in->writer);
    f->items_count = 1;
    return sl_image_begin(in->writer, &(struct sl_image_item){.kind = SL_MODEL_FILE,
                                                              .name = f->path,
                                                              .size_bytes = f->size_bytes});
}

enum sl_err
sl_model_intake_file(struct sl_model_intake *in, const char *path, uint64_t size)
{
    sl_assert(in->file == NULL);
    if (strlen(path) > SL_MODEL_PATH_SIZE_MAX)
        return sl_cause_set(in->cause, SL_EINVAL, "a path of over %d bytes",
                            SL_MODEL_PATH_SIZE_MAX);
    if (in->files.count >= FILES_MAX)
        return sl_cause_set(in->cause, SL_ETOOBIG, "over %d files", FILES_MAX);
    in->file = sl_intake_files_add(&in->files, path, size, in->options.format);
    if (in->file == NULL)
        return sl_cause_set(in->cause, SL_EINVAL, "'%s' is there twice", path);
    in->left = size;
    switch (in->file->kind) {
    case SL_INTAKE_SIDE:
        return begin_side(in);
    case SL_INTAKE_SPOOLED:
        return sl_intake_spool_open(&in->files, in->file, in->options.spool_fd, in->cause);
    default:
        return SL_OK;
    }
}

enum sl_err
sl_model_intake_data(struct sl_model_intake *in, const void *data, size_t size)
{
    sl_assert(in->file != NULL);
    if (size > in->left)
        return sl_cause_set(in->cause, SL_EINVAL, "%s is longer than it said", in->file->path);
    in->left -= size;
    switch (in->file->kind) {
    case SL_INTAKE_SAFETENSORS:
        return stream_data(in, sl_slice(data, size));
    case SL_INTAKE_SIDE:
        return sl_image_append(in->writer, data, size);
    case SL_INTAKE_SPOOLED:
        return sl_intake_spool_write(in->file, data, size, in->cause);
    default:
        return SL_OK;
    }
}

enum sl_err
sl_model_intake_file_end(struct sl_model_intake *in)
{
    sl_assert(in->file != NULL);
    struct sl_intake_file *f = in->file;
    enum sl_err err = SL_OK;
    if (in->left > 0)
        return sl_cause_set(in->cause, SL_EINVAL, "%s is cut", f->path);
    if (f->kind == SL_INTAKE_SAFETENSORS)
        err = stream_end(in);
    else if (f->kind == SL_INTAKE_SIDE)
        err = sl_image_end(in->writer);
    in->file = NULL;
    return err;
}

/* ---- names --------------------------------------------------------------------------------- */

/* Names are known once what wraps everything is: "dir/" of a tensor's file before the tensor's. */
static enum sl_err
name_items(struct sl_model_intake *in, const struct sl_intake_file *f)
{
    const char *path = sl_intake_file_name(&in->files, f);
    const char *slash = strrchr(path, '/');
    if (f->kind == SL_INTAKE_SIDE) {
        sl_image_rename(in->writer, f->first_item, path);
        return SL_OK;
    }
    for (uint32_t i = 0; slash != NULL && i < f->items_count; i++) {
        const char *name = sl_image_item_name(in->writer, f->first_item + i);
        char *whole = sl_format("%.*s/%s", (int)(slash - path), path, name);
        bool is_long = strlen(whole) > SL_MODEL_PATH_SIZE_MAX;
        if (!is_long)
            sl_image_rename(in->writer, f->first_item + i, whole);
        sl_free(whole);
        if (is_long)
            return sl_cause_set(in->cause, SL_EINVAL, "%.64s: a tensor's name is over %d bytes",
                                path, SL_MODEL_PATH_SIZE_MAX);
    }
    return SL_OK;
}

/* ---- what the index says ------------------------------------------------------------------- */

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct names { /* The tensors of a file, sorted; made when a line first names the file. */
    const char **items;
    bool is_made;
};

static void
make_names(struct sl_model_intake *in, const struct sl_intake_file *f, struct names *names)
{
    names->is_made = true;
    if (f->kind == SL_INTAKE_SIDE || f->items_count == 0)
        return;
    names->items = sl_alloc(f->items_count * sizeof(*names->items));
    for (uint32_t i = 0; i < f->items_count; i++)
        names->items[i] = sl_image_item_name(in->writer, f->first_item + i);
    qsort(names->items, f->items_count, sizeof(*names->items), by_text);
}

static bool
is_in_file(struct sl_model_intake *in, struct names *all, const char *file, const char *tensor)
{
    const struct sl_intake_file *f = sl_intake_files_find(&in->files, file);
    if (f == NULL)
        return false;
    struct names *names = &all[f - in->files.items];
    if (!names->is_made)
        make_names(in, f, names);
    return names->items != NULL &&
           bsearch(&tensor, names->items, f->items_count, sizeof(*names->items), by_text) != NULL;
}

/* Each tensor that the index names is in the file that it names. */
static enum sl_err
check_lines(struct sl_model_intake *in, const char *index, struct sl_json map)
{
    struct names *all = sl_zalloc(in->files.count * sizeof(*all));
    enum sl_err err = SL_OK;
    for (struct sl_json_iter i = sl_json_iter(map); err == SL_OK && sl_json_next(&i);) {
        char *tensor = sl_json_strdup(i.name), *file = sl_json_strdup(i.value);
        if (tensor == NULL || file == NULL)
            err = sl_cause_set(in->cause, SL_EINVAL, "%s: weight_map is not names of files", index);
        else if (!is_in_file(in, all, file, tensor))
            err = sl_cause_set(in->cause, SL_EINVAL,
                               "%s: tensor '%.128s' should be in %.80s, and is not", index, tensor,
                               file);
        sl_free(tensor);
        sl_free(file);
    }
    for (uint32_t i = 0; i < in->files.count; i++)
        sl_free(all[i].items);
    sl_free(all);
    return err;
}

static enum sl_err
check_map(struct sl_model_intake *in, const struct sl_intake_choice *choice, struct sl_json map)
{
    const char *name = sl_intake_file_name(&in->files, choice->index);
    uint32_t count = 0;
    for (uint32_t i = 0; i < in->files.count; i++) {
        if (sl_intake_is_chosen(&in->files, &in->files.items[i], choice))
            count += in->files.items[i].items_count;
    }
    if (sl_json_kind(map) != SL_JSON_OBJECT)
        return sl_cause_set(in->cause, SL_EINVAL, "%s has no weight_map", name);
    if (sl_json_count(map) != count)
        return sl_cause_set(in->cause, SL_EINVAL,
                            "%s lists %" PRIu32 " tensors, the files have %" PRIu32, name,
                            sl_json_count(map), count);
    return check_lines(in, name, map);
}

static enum sl_err
check_index(struct sl_model_intake *in, const struct sl_intake_choice *choice)
{
    struct sl_buf text = {0};
    struct sl_json_doc *doc = NULL;
    if (choice->index->size_bytes > INDEX_BYTES_MAX)
        return sl_cause_set(in->cause, SL_ETOOBIG, "%s has over %" PRIu64 " bytes",
                            sl_intake_file_name(&in->files, choice->index),
                            (uint64_t)INDEX_BYTES_MAX);
    enum sl_err err = sl_image_read(in->writer, choice->index->first_item, &text);
    if (err == SL_OK && sl_json_parse(sl_buf_slice(&text), &doc, NULL) != SL_OK)
        err = sl_cause_set(in->cause, SL_EINVAL, "%s is not JSON",
                           sl_intake_file_name(&in->files, choice->index));
    if (err == SL_OK)
        err = check_map(in, choice, sl_json_member(sl_json_root(doc), "weight_map"));
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
    return err;
}

/* ---- finish -------------------------------------------------------------------------------- */

static enum sl_err
write_kept(struct sl_model_intake *in, const struct sl_intake_choice *choice)
{
    for (uint32_t i = 0; i < in->files.count; i++) {
        struct sl_intake_file *f = &in->files.items[i];
        enum sl_err err = SL_OK;
        bool is_kept = sl_intake_is_chosen(&in->files, f, choice) ||
                       (choice->family != SL_INTAKE_OF_ONNX && sl_intake_is_module(&in->files, f));
        if (f->kind == SL_INTAKE_SPOOLED && is_kept)
            err = sl_intake_write_weights(&in->files, f, in->writer, in->cause);
        if (err == SL_OK && f->kind != SL_INTAKE_IGNORED)
            err = name_items(in, f);
        if (err != SL_OK)
            return err;
    }
    return SL_OK;
}

enum sl_err
sl_model_intake_finish(struct sl_model_intake *in, struct sl_model_facts *ret_facts,
                       struct sl_chunks *ret_chunks)
{
    sl_assert(in->file == NULL);
    struct sl_model_facts facts = {0};
    struct sl_intake_choice choice = {0};
    struct sl_chunks chunks = {0};
    sl_intake_files_unwrap(&in->files);
    enum sl_err err = sl_intake_choose(&in->files, in->options.format, &choice, in->cause);
    if (err == SL_OK)
        err = write_kept(in, &choice);
    if (err == SL_OK && choice.index != NULL)
        err = check_index(in, &choice);
    if (err != SL_OK)
        return err;
    for (uint32_t i = 0; i < sl_image_items_count(in->writer); i++) {
        if (sl_image_item_kind(in->writer, i) == SL_MODEL_TENSOR)
            facts.tensors_count++;
        else
            facts.files_count++;
    }
    err = sl_image_finish(in->writer, &facts.size_bytes, &chunks);
    if (err != SL_OK)
        return err;
    (void)snprintf(facts.format, sizeof(facts.format), "%s", choice.format);
    facts.code_files_count = in->files.code_count;
    if (!in->options.is_digest_off)
        sl_chunks_digest(&chunks, facts.digest);
    *ret_facts = facts;
    if (ret_chunks != NULL)
        *ret_chunks = chunks;
    else
        sl_chunks_deinit(&chunks);
    return SL_OK;
}

struct sl_slice
sl_model_intake_details(const struct sl_model_intake *in)
{
    return sl_buf_slice(&in->files.details);
}
