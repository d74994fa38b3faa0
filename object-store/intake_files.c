/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/intake_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object-store/intake_details.h"
#include "object-store/model_intake.h"
#include "object-store/onnx.h"
#include "object-store/pytorch.h"
#include "object-store/weights.h"
#include "runtime/alloc.h"

#define WRAPPERS_MAX      4 /* Directories around the model that are taken off. */
#define SAFETENSORS_INDEX "model.safetensors.index.json"
#define PYTORCH_INDEX     "pytorch_model.bin.index.json"

/* ---- what a name means --------------------------------------------------------------------- */

static bool
has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);
    return n > s && strcmp(name + n - s, suffix) == 0;
}

static const struct {
    const char *suffix;
    enum sl_intake_family family;
} families[] = {
    {".safetensors", SL_INTAKE_OF_SAFETENSORS},
    {".pt", SL_INTAKE_OF_PYTORCH},
    {".pth", SL_INTAKE_OF_PYTORCH},
    {".bin", SL_INTAKE_OF_PYTORCH},
    {".onnx", SL_INTAKE_OF_ONNX},
    {".onnx_data", SL_INTAKE_OF_ONNX_DATA},
    {".onnx.data", SL_INTAKE_OF_ONNX_DATA},
};

static enum sl_intake_family
family_of(const char *path)
{
    for (size_t i = 0; i < SL_COUNT_OF(families); i++) {
        if (has_suffix(path, families[i].suffix))
            return families[i].family;
    }
    return SL_INTAKE_NONE;
}

static bool
is_side(const char *path)
{
    static const char *const suffixes[] = {".json", ".txt", ".model", ".jinja"};
    for (size_t i = 0; i < SL_COUNT_OF(suffixes); i++) {
        if (has_suffix(path, suffixes[i]))
            return true;
    }
    return false;
}

/* What file managers leave in archives. */
static bool
is_litter(const char *path)
{
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        if (*at == '.' || strncmp(at, "__MACOSX/", 9) == 0)
            return true;
    }
    return false;
}

/* The families that a declared format may hold; any for none. */
static bool
may_hold(const char *format, enum sl_intake_family family)
{
    if (format == NULL || strcmp(format, "huggingface") == 0)
        return family != SL_INTAKE_NONE;
    if (strcmp(format, "safetensors") == 0)
        return family == SL_INTAKE_OF_SAFETENSORS;
    if (strcmp(format, "pytorch") == 0)
        return family == SL_INTAKE_OF_PYTORCH;
    /* The data of an ONNX model lies in files of any name. */
    return family != SL_INTAKE_OF_SAFETENSORS;
}

static const char *
base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* What training leaves beside a directory's weights: optimizer.pt, training_args.bin. */
static bool
is_leftover(const char *path, const char *format, enum sl_intake_family family)
{
    return format != NULL && strcmp(format, "huggingface") == 0 && family == SL_INTAKE_OF_PYTORCH &&
           strncmp(base_of(path), "pytorch_model", strlen("pytorch_model")) != 0;
}

static void
classify(struct sl_intake_file *f, const char *format)
{
    f->kind = SL_INTAKE_IGNORED;
    if (is_litter(f->path))
        return;
    f->family = family_of(f->path);
    if (is_leftover(f->path, format, f->family))
        f->family = SL_INTAKE_NONE;
    if (is_side(f->path))
        f->kind = SL_INTAKE_SIDE;
    else if (!may_hold(format, f->family) || has_suffix(f->path, ".py"))
        return;
    else if (f->family == SL_INTAKE_OF_SAFETENSORS)
        f->kind = SL_INTAKE_SAFETENSORS;
    else
        f->kind = SL_INTAKE_SPOOLED;
}

/* ---- the list ------------------------------------------------------------------------------ */

void
sl_intake_files_deinit(struct sl_intake_files *files)
{
    for (uint32_t i = 0; i < files->count; i++) {
        sl_free(files->items[i].path);
        if (files->items[i].fd >= 0)
            (void)close(files->items[i].fd);
    }
    sl_free(files->items);
    sl_buf_deinit(&files->details);
    *files = (struct sl_intake_files){0};
}

struct sl_intake_file *
sl_intake_files_add(struct sl_intake_files *files, const char *path, uint64_t size,
                    const char *format)
{
    for (uint32_t i = 0; i < files->count; i++) {
        if (strcmp(files->items[i].path, path) == 0)
            return NULL;
    }
    if (files->count == files->capacity) {
        files->capacity = files->capacity == 0 ? 32 : files->capacity * 2;
        files->items = sl_realloc(files->items, files->capacity * sizeof(*files->items));
    }
    struct sl_intake_file *f = &files->items[files->count++];
    *f = (struct sl_intake_file){.path = sl_strdup(path), .size_bytes = size, .fd = -1};
    classify(f, format);
    files->code_count += has_suffix(path, ".py");
    return f;
}

/* The size of the first directory of `path` with its slash; 0: it is in none. */
static size_t
first_directory(const char *path)
{
    const char *slash = strchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

void
sl_intake_files_unwrap(struct sl_intake_files *files)
{
    for (int i = 0; i < WRAPPERS_MAX; i++) {
        const char *first = NULL;
        size_t size = 0;
        for (uint32_t k = 0; k < files->count; k++) {
            if (is_litter(files->items[k].path))
                continue;
            const char *path = files->items[k].path + files->wrapper_size;
            if (first == NULL) {
                first = path;
                size = first_directory(path);
            }
            if (size == 0 || strncmp(path, first, size) != 0)
                return;
        }
        files->wrapper_size += size;
    }
}

const char *
sl_intake_file_name(const struct sl_intake_files *files, const struct sl_intake_file *file)
{
    /* Litter may lie beside what wraps the rest. */
    return is_litter(file->path) ? file->path : file->path + files->wrapper_size;
}

const struct sl_intake_file *
sl_intake_files_find(const struct sl_intake_files *files, const char *name)
{
    for (uint32_t i = 0; i < files->count; i++) {
        const struct sl_intake_file *f = &files->items[i];
        if (f->kind != SL_INTAKE_IGNORED && strcmp(sl_intake_file_name(files, f), name) == 0)
            return f;
    }
    return NULL;
}

/* ---- kept aside ---------------------------------------------------------------------------- */

enum sl_err
sl_intake_spool_open(struct sl_intake_files *files, struct sl_intake_file *f, int directory_fd,
                     struct sl_cause *cause)
{
    char name[24];
    if (++files->spooled_count > SL_INTAKE_SPOOLED_MAX)
        return sl_cause_set(cause, SL_ETOOBIG, "over %d files of weights", SL_INTAKE_SPOOLED_MAX);
    if (directory_fd < 0) {
        f->fd = memfd_create("sluice-spool", MFD_CLOEXEC);
    } else {
        (void)snprintf(name, sizeof(name), "spool-%u", files->spooled_count);
        f->fd =
            openat(directory_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (f->fd >= 0)
            (void)unlinkat(directory_fd, name, 0);
    }
    return f->fd >= 0 ? SL_OK
                      : sl_cause_set(cause, sl_err_from_errno(errno), "%s cannot be kept: %s",
                                     f->path, strerror(errno));
}

enum sl_err
sl_intake_spool_write(struct sl_intake_file *f, const void *data, size_t size,
                      struct sl_cause *cause)
{
    for (size_t done = 0; done < size;) {
        ssize_t n =
            pwrite(f->fd, (const char *)data + done, size - done, (off_t)(f->written + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sl_cause_set(cause, n < 0 ? sl_err_from_errno(errno) : SL_EIO,
                                "%s cannot be kept: %s", f->path, strerror(errno));
        done += (size_t)n;
    }
    f->written += size;
    return SL_OK;
}

/* ---- which are the weights ----------------------------------------------------------------- */

struct seen {
    uint32_t counts[SL_INTAKE_OF_ONNX_DATA + 1]; /* At the top level, by family. */
    const char *first[SL_INTAKE_OF_ONNX_DATA + 1];
    bool has_config;
};

static bool
is_top(const struct sl_intake_files *files, const struct sl_intake_file *f)
{
    const char *name = sl_intake_file_name(files, f);
    /* Where exporters put it in a Hugging Face directory. */
    return strchr(name, '/') == NULL || strcmp(name, "onnx/model.onnx") == 0;
}

static void
look(const struct sl_intake_files *files, struct seen *seen)
{
    for (uint32_t i = 0; i < files->count; i++) {
        const struct sl_intake_file *f = &files->items[i];
        if (is_litter(f->path) || !is_top(files, f))
            continue;
        if (seen->counts[f->family]++ == 0)
            seen->first[f->family] = sl_intake_file_name(files, f);
        if (strcmp(sl_intake_file_name(files, f), "config.json") == 0)
            seen->has_config = true;
    }
}

static const struct {
    const char *format; /* A format's name; what else the family is called. */
    const char *suffixes;
} texts[] = {
    [SL_INTAKE_OF_SAFETENSORS] = {"safetensors", ".safetensors"},
    [SL_INTAKE_OF_PYTORCH] = {"pytorch", ".pt, .pth or .bin"},
    [SL_INTAKE_OF_ONNX] = {"onnx", ".onnx"},
};

static enum sl_intake_family
pick(const char *format, const struct seen *seen)
{
    bool is_any = format == NULL || strcmp(format, "huggingface") == 0;
    for (int family = SL_INTAKE_OF_SAFETENSORS; family <= SL_INTAKE_OF_ONNX; family++) {
        if (seen->counts[family] > 0 && (is_any || strcmp(format, texts[family].format) == 0))
            return (enum sl_intake_family)family;
    }
    return SL_INTAKE_NONE;
}

static enum sl_err
refuse_format(const char *format, const struct seen *seen, struct sl_cause *cause)
{
    for (int family = SL_INTAKE_OF_SAFETENSORS; family <= SL_INTAKE_OF_ONNX; family++) {
        if (seen->counts[family] > 0)
            return sl_cause_set(cause, SL_EINVAL,
                                "declared as %s, but the weights are %s (%.128s): upload it with "
                                "model_format=%s",
                                format, texts[family].format, seen->first[family],
                                texts[family].format);
    }
    for (int family = SL_INTAKE_OF_SAFETENSORS; format != NULL && family <= SL_INTAKE_OF_ONNX;
         family++) {
        if (strcmp(format, texts[family].format) == 0)
            return sl_cause_set(cause, SL_EINVAL, "no %s file at the top level of the model",
                                texts[family].suffixes);
    }
    return sl_cause_set(cause, SL_EINVAL,
                        "no weights at the top level of the model: no .safetensors file, nor one "
                        "of PyTorch or ONNX");
}

enum sl_err
sl_intake_choose(const struct sl_intake_files *files, const char *format,
                 struct sl_intake_choice *ret_choice, struct sl_cause *cause)
{
    struct seen seen = {0};
    look(files, &seen);
    enum sl_intake_family family = pick(format, &seen);
    if (family == SL_INTAKE_NONE)
        return refuse_format(format, &seen, cause);
    bool is_directory = format != NULL && strcmp(format, "huggingface") == 0;
    if (is_directory && !seen.has_config)
        return sl_cause_set(cause, SL_EINVAL, "no config.json at the top level of the model");
    *ret_choice = (struct sl_intake_choice){
        .format = is_directory ? "huggingface" : texts[family].format, .family = family};
    if (family == SL_INTAKE_OF_ONNX && seen.counts[family] > 1)
        return sl_cause_set(cause, SL_EINVAL, "%u .onnx files: upload each as a model of its own",
                            seen.counts[family]);
    const char *index = family == SL_INTAKE_OF_PYTORCH ? PYTORCH_INDEX : SAFETENSORS_INDEX;
    if (family != SL_INTAKE_OF_ONNX)
        ret_choice->index = sl_intake_files_find(files, index);
    if (family != SL_INTAKE_OF_ONNX && seen.counts[family] > 1 && ret_choice->index == NULL)
        return sl_cause_set(cause, SL_EINVAL,
                            "%u %s files and no %s: add the index, or keep one file",
                            seen.counts[family], texts[family].suffixes, index);
    return SL_OK;
}

bool
sl_intake_is_chosen(const struct sl_intake_files *files, const struct sl_intake_file *f,
                    const struct sl_intake_choice *choice)
{
    return f->kind != SL_INTAKE_IGNORED && f->family == choice->family && is_top(files, f);
}

/* Whether the directory of `f` has weights in safetensors as well: then they are the module's. */
static bool
has_safetensors_beside(const struct sl_intake_files *files, const struct sl_intake_file *f)
{
    size_t size = (size_t)(base_of(f->path) - f->path);
    for (uint32_t i = 0; i < files->count; i++) {
        const struct sl_intake_file *other = &files->items[i];
        if (other->kind == SL_INTAKE_SAFETENSORS && strncmp(other->path, f->path, size) == 0 &&
            strchr(other->path + size, '/') == NULL)
            return true;
    }
    return false;
}

bool
sl_intake_is_module(const struct sl_intake_files *files, const struct sl_intake_file *f)
{
    const char *name = sl_intake_file_name(files, f);
    return f->kind == SL_INTAKE_SPOOLED && strchr(name, '/') != NULL &&
           strcmp(base_of(name), "pytorch_model.bin") == 0 && !has_safetensors_beside(files, f);
}

/* ---- reading what was kept aside ----------------------------------------------------------- */

struct beside { /* The directory of an .onnx file, where its external data lies. */
    const struct sl_intake_files *files;
    const struct sl_intake_file *file;
};

static const struct sl_intake_file *
find_beside(const struct beside *b, const char *name)
{
    const char *path = sl_intake_file_name(b->files, b->file);
    const char *slash = strrchr(path, '/');
    char *whole =
        slash == NULL ? sl_strdup(name) : sl_format("%.*s/%s", (int)(slash - path), path, name);
    const struct sl_intake_file *f = sl_intake_files_find(b->files, whole);
    sl_free(whole);
    return f != NULL && f->kind == SL_INTAKE_SPOOLED ? f : NULL;
}

static bool
size_beside(void *arg, const char *name, uint64_t *ret_size)
{
    const struct sl_intake_file *f = find_beside(arg, name);
    if (f != NULL)
        *ret_size = f->size_bytes;
    return f != NULL;
}

static enum sl_err
parse_onnx(struct sl_intake_files *files, const struct sl_intake_file *f, struct sl_slice file,
           struct sl_weights *ret_weights, struct sl_cause *cause)
{
    struct beside beside = {.files = files, .file = f};
    struct sl_onnx onnx = {0};
    enum sl_err err = sl_onnx_parse(
        file, (struct sl_onnx_files){.size = size_beside, .arg = &beside}, &onnx, cause);
    if (err != SL_OK)
        return err;
    sl_details_of_onnx(&onnx, &files->details);
    *ret_weights = onnx.weights;
    onnx.weights = (struct sl_weights){0};
    sl_onnx_deinit(&onnx);
    return SL_OK;
}

static enum sl_err
parse(struct sl_intake_files *files, const struct sl_intake_file *f, struct sl_slice file,
      struct sl_weights *ret_weights, struct sl_cause *cause)
{
    if (f->family == SL_INTAKE_OF_ONNX)
        return parse_onnx(files, f, file, ret_weights, cause);
    enum sl_err err = sl_pytorch_parse(file, ret_weights, cause);
    /* Whatever is wrong with it, it is the archive's fault. */
    return err == SL_EDENIED || err == SL_EVERSION ? SL_EINVAL : err;
}

/* Elements in row-major order, a row of the last dimension at a time. */
static enum sl_err
append_elements(struct sl_image_writer *writer, const struct sl_weight *t, const uint8_t *bytes)
{
    uint64_t at[SL_TENSOR_DIMS_MAX] = {0};
    uint32_t last = t->dims_count - 1;
    size_t element = sl_dtype_bits(t->dtype) / 8;
    uint8_t row[4096];
    for (;;) {
        uint64_t begin = 0;
        for (uint32_t i = 0; i < last; i++)
            begin += at[i] * t->strides[i];
        size_t used = 0;
        enum sl_err err = SL_OK;
        for (uint64_t i = 0; i < t->shape[last] && err == SL_OK; i++) {
            memcpy(row + used, bytes + (begin + i * t->strides[last]) * element, element);
            used += element;
            if (used + element <= sizeof(row) && i + 1 < t->shape[last])
                continue;
            err = sl_image_append(writer, row, used);
            used = 0;
        }
        if (err != SL_OK)
            return err;
        uint32_t dim = last;
        while (dim > 0 && ++at[dim - 1] == t->shape[dim - 1])
            at[--dim] = 0;
        if (dim == 0)
            return SL_OK;
    }
}

static enum sl_err
write_tensor(struct sl_image_writer *writer, const struct sl_weight *t, const uint8_t *bytes)
{
    struct sl_image_item item = {.kind = SL_MODEL_TENSOR,
                                 .name = t->name,
                                 .dtype = t->dtype,
                                 .dims_count = t->dims_count,
                                 .shape = t->shape};
    enum sl_err err = sl_tensor_size(t->dtype, t->dims_count, t->shape, &item.size_bytes);
    if (err == SL_OK)
        err = sl_image_begin(writer, &item);
    if (err != SL_OK)
        return err;
    if (item.size_bytes > 0 && sl_weight_is_row_major(t))
        err = sl_image_append(writer, bytes, (size_t)item.size_bytes);
    else if (item.size_bytes > 0)
        err = append_elements(writer, t, bytes);
    return err == SL_OK ? sl_image_end(writer) : err;
}

/* The files that weights lie in, mapped: the one that was read, and those beside it. */
struct maps {
    uint8_t **bases;
    uint64_t *sizes;
    uint32_t count;
};

static void
maps_deinit(struct maps *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->bases[i] != NULL)
            (void)munmap(m->bases[i], m->sizes[i]);
    }
    sl_free(m->bases);
    sl_free(m->sizes);
}

static enum sl_err
map_file(struct maps *m, const struct sl_intake_file *f, struct sl_cause *cause)
{
    void *base = NULL;
    if (f->size_bytes > 0)
        base = mmap(NULL, f->size_bytes, PROT_READ, MAP_PRIVATE, f->fd, 0);
    if (base == MAP_FAILED)
        return sl_cause_set(cause, SL_ENOMEM, "%s cannot be mapped", f->path);
    m->bases = sl_realloc(m->bases, (m->count + 1) * sizeof(*m->bases));
    m->sizes = sl_realloc(m->sizes, (m->count + 1) * sizeof(*m->sizes));
    m->bases[m->count] = base;
    m->sizes[m->count++] = f->size_bytes;
    return SL_OK;
}

static enum sl_err
map_beside(struct sl_intake_files *files, const struct sl_intake_file *f,
           const struct sl_weights *weights, struct maps *m, struct sl_cause *cause)
{
    struct beside beside = {.files = files, .file = f};
    enum sl_err err = SL_OK;
    for (uint32_t i = 0; i < weights->files_count && err == SL_OK; i++) {
        const struct sl_intake_file *other = find_beside(&beside, weights->files[i]);
        err = other == NULL ? sl_cause_set(cause, SL_EINVAL, "%s refers to %s, which is not there",
                                           f->path, weights->files[i])
                            : map_file(m, other, cause);
    }
    return err;
}

static enum sl_err
write_all(struct sl_intake_file *f, const struct sl_weights *weights, const struct maps *m,
          struct sl_image_writer *writer)
{
    enum sl_err err = SL_OK;
    f->first_item = sl_image_items_count(writer);
    for (uint32_t i = 0; i < weights->count && err == SL_OK; i++) {
        const struct sl_weight *t = &weights->items[i];
        const uint8_t *bytes = t->inline_data;
        if (bytes == NULL && t->span_bytes > 0)
            bytes = m->bases[t->file] + t->offset;
        err = write_tensor(writer, t, bytes);
        f->items_count++;
    }
    return err;
}

enum sl_err
sl_intake_write_weights(struct sl_intake_files *files, struct sl_intake_file *f,
                        struct sl_image_writer *writer, struct sl_cause *cause)
{
    struct sl_weights weights = {0};
    struct sl_cause why = {{0}};
    struct maps maps = {0};
    enum sl_err err = map_file(&maps, f, cause);
    if (err != SL_OK)
        return err;
    err = parse(files, f, sl_slice(maps.bases[0], f->size_bytes), &weights, &why);
    if (err != SL_OK)
        (void)sl_cause_set(cause, err, "%.64s: %.300s", f->path, why.text);
    else
        err = map_beside(files, f, &weights, &maps, cause);
    if (err == SL_OK)
        err = write_all(f, &weights, &maps, writer);
    sl_weights_deinit(&weights);
    maps_deinit(&maps);
    return err;
}
