/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/model.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "object-store/model_image.h"
#include "runtime/alloc.h"

#define MODEL_MAGIC  0x4d4f444cu
#define SEALS_NEEDED (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

struct sl_model {
    uint32_t magic;
    const uint8_t *base; /* Mapped read only; page aligned. */
    const struct sl_model_header *header;
    const struct sl_model_entry *entries;
    const char *names;
};

static void
check(const struct sl_model *m)
{
    sl_assert(m != NULL);
    sl_assert(m->magic == MODEL_MAGIC);
}

static enum sl_err
check_header(struct sl_slice image, struct sl_model_header *h, struct sl_cause *cause)
{
    if (image.size < sizeof(*h))
        return sl_cause_set(cause, SL_ECORRUPT, "a model image of %zu bytes has no header",
                            image.size);
    memcpy(h, image.data, sizeof(*h));
    if (h->magic != SL_MODEL_IMAGE_MAGIC)
        return sl_cause_set(cause, SL_ECORRUPT, "not a model image");
    if (h->version != SL_MODEL_IMAGE_VERSION)
        return sl_cause_set(cause, SL_EVERSION, "a model image of version %" PRIu32 ", not %d",
                            h->version, SL_MODEL_IMAGE_VERSION);
    if (h->tensors_count > SL_WEIGHTS_COUNT_MAX || h->files_count > SL_MODEL_FILES_COUNT_MAX)
        return sl_cause_set(cause, SL_ECORRUPT, "a model image with too many entries");
    /* Neither product nor sum can overflow: the counts are bounded just above. */
    uint64_t entries =
        ((uint64_t)h->tensors_count + h->files_count) * sizeof(struct sl_model_entry);
    if (h->total_size != image.size || h->entries_offset % 8 != 0 ||
        h->entries_offset < sizeof(*h) || h->entries_offset > image.size ||
        entries > image.size - h->entries_offset ||
        h->names_offset != h->entries_offset + entries ||
        h->names_size != image.size - h->names_offset)
        return sl_cause_set(cause, SL_ECORRUPT, "a model image whose sizes do not add up");
    return SL_OK;
}

/* Whether the entry's name lies in the names block, ends where it says and has no NUL inside. */
static bool
is_name_sound(const struct sl_model_header *h, const struct sl_model_entry *e, const char *names)
{
    if (e->name_size == 0 || e->name_size > SL_MODEL_PATH_SIZE_MAX)
        return false;
    if (e->name_offset > h->names_size || h->names_size - e->name_offset <= e->name_size)
        return false;
    return strnlen(names + e->name_offset, (size_t)e->name_size + 1) == e->name_size;
}

static bool
is_entry_sound(const struct sl_model_entry *e, uint64_t data_end)
{
    /* Items may share bytes: nothing that is only read is harmed by it. */
    if (e->offset % SL_MODEL_ALIGNMENT != 0 || e->offset < sizeof(struct sl_model_header) ||
        e->offset > data_end || e->size_bytes > data_end - e->offset)
        return false;
    if (e->kind == SL_MODEL_FILE)
        return e->size_bytes <= SL_MODEL_FILE_SIZE_MAX && e->dims_count == 0;
    uint64_t want = 0;
    return e->dtype < SL_DTYPE_COUNT && e->dims_count <= SL_TENSOR_DIMS_MAX &&
           sl_tensor_size((enum sl_dtype)e->dtype, e->dims_count, e->shape, &want) == SL_OK &&
           want == e->size_bytes;
}

enum sl_err
sl_model_image_check(struct sl_slice image, struct sl_cause *ret_cause)
{
    struct sl_model_header h;
    enum sl_err err = check_header(image, &h, ret_cause);
    if (err != SL_OK)
        return err;
    const char *names = (const char *)image.data + h.names_offset;
    const char *last_name = NULL;
    for (uint32_t i = 0; i < h.tensors_count + h.files_count; i++) {
        struct sl_model_entry e;
        memcpy(&e, image.data + h.entries_offset + (size_t)i * sizeof(e), sizeof(e));
        if (e.kind != (i < h.tensors_count ? SL_MODEL_TENSOR : SL_MODEL_FILE) ||
            !is_name_sound(&h, &e, names))
            return sl_cause_set(ret_cause, SL_ECORRUPT, "entry %" PRIu32 " of a model image", i);
        const char *name = names + e.name_offset;
        if (i == h.tensors_count)
            last_name = NULL; /* Files start an order of their own. */
        if (last_name != NULL && strcmp(last_name, name) >= 0)
            return sl_cause_set(ret_cause, SL_ECORRUPT, "'%s' is out of order", name);
        last_name = name;
        if (!is_entry_sound(&e, h.entries_offset))
            return sl_cause_set(ret_cause, SL_ECORRUPT, "'%s' has impossible bounds", name);
    }
    return SL_OK;
}

static enum sl_err
check_seals(int fd, uint64_t *ret_size, struct sl_cause *cause)
{
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0)
        return sl_cause_set(cause, SL_EINVAL, "the descriptor is not a memory file");
    if ((seals & SEALS_NEEDED) != SEALS_NEEDED)
        return sl_cause_set(cause, SL_EINVAL, "the memory file is not sealed (0x%x)", seals);
    struct stat st;
    if (fstat(fd, &st) != 0)
        return sl_cause_set(cause, sl_err_from_errno(errno), "fstat failed");
    /* The seals come first: from here on the size cannot change. */
    *ret_size = (uint64_t)st.st_size;
    return SL_OK;
}

static enum sl_err
map_image(int fd, uint64_t size, int flags, struct sl_model **ret_model, struct sl_cause *cause)
{
    if (size < sizeof(struct sl_model_header))
        return sl_cause_set(cause, SL_ECORRUPT, "a model image of %" PRIu64 " bytes", size);
    void *base = mmap(NULL, size, PROT_READ, flags, fd, 0);
    if (base == MAP_FAILED)
        return sl_cause_set(cause, SL_ENOMEM, "%" PRIu64 " bytes cannot be mapped", size);
    enum sl_err err = sl_model_image_check(sl_slice(base, size), cause);
    if (err != SL_OK) {
        (void)munmap(base, size);
        return err;
    }
    struct sl_model *m = sl_zalloc(sizeof(*m));
    m->magic = MODEL_MAGIC;
    m->base = base;
    m->header = base;
    m->entries = (const void *)(m->base + m->header->entries_offset);
    m->names = (const char *)m->base + m->header->names_offset;
    *ret_model = m;
    return SL_OK;
}

enum sl_err
sl_model_attach(int fd, struct sl_model **ret_model, struct sl_cause *ret_cause)
{
    sl_assert(ret_model != NULL);
    uint64_t size = 0;
    enum sl_err err = check_seals(fd, &size, ret_cause);
    return err == SL_OK ? map_image(fd, size, MAP_SHARED, ret_model, ret_cause) : err;
}

enum sl_err
sl_model_open(int image_fd, struct sl_model **ret_model, struct sl_cause *ret_cause)
{
    sl_assert(ret_model != NULL);
    struct stat st;
    if (fstat(image_fd, &st) != 0)
        return sl_cause_set(ret_cause, sl_err_from_errno(errno), "the image: %s", strerror(errno));
    return map_image(image_fd, (uint64_t)st.st_size, MAP_PRIVATE, ret_model, ret_cause);
}

void
sl_model_destroy(struct sl_model **model)
{
    sl_assert(model != NULL);
    struct sl_model *m = *model;
    if (m == NULL)
        return;
    check(m);
    (void)munmap((void *)(uintptr_t)m->base, m->header->total_size);
    m->magic = 0;
    sl_free(m);
    *model = NULL;
}

/* Binary search in entries [begin, end). */
static const struct sl_model_entry *
find(const struct sl_model *m, uint32_t begin, uint32_t end, const char *name)
{
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        int order = strcmp(m->names + m->entries[middle].name_offset, name);
        if (order == 0)
            return &m->entries[middle];
        if (order < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

static void
fill_tensor(const struct sl_model *m, const struct sl_model_entry *e, struct sl_tensor *t)
{
    sl_assert(e->kind == SL_MODEL_TENSOR);
    t->name = m->names + e->name_offset;
    t->dtype = (enum sl_dtype)e->dtype;
    t->dims_count = e->dims_count;
    memcpy(t->shape, e->shape, sizeof(t->shape));
    t->data = m->base + e->offset;
    t->size_bytes = e->size_bytes;
}

bool
sl_model_tensor_lookup(const struct sl_model *m, const char *name, struct sl_tensor *ret_tensor)
{
    check(m);
    sl_assert(name != NULL);
    const struct sl_model_entry *e = find(m, 0, m->header->tensors_count, name);
    if (e == NULL)
        return false;
    fill_tensor(m, e, ret_tensor);
    return true;
}

bool
sl_model_file_lookup(const struct sl_model *m, const char *path, struct sl_slice *ret_file)
{
    check(m);
    sl_assert(path != NULL);
    uint32_t begin = m->header->tensors_count;
    const struct sl_model_entry *e = find(m, begin, begin + m->header->files_count, path);
    if (e == NULL)
        return false;
    *ret_file = sl_slice(m->base + e->offset, e->size_bytes);
    return true;
}

uint32_t
sl_model_tensors_count(const struct sl_model *m)
{
    check(m);
    return m->header->tensors_count;
}

uint32_t
sl_model_files_count(const struct sl_model *m)
{
    check(m);
    return m->header->files_count;
}

void
sl_model_tensor_at(const struct sl_model *m, uint32_t index, struct sl_tensor *ret_tensor)
{
    check(m);
    sl_assert(index < m->header->tensors_count);
    fill_tensor(m, &m->entries[index], ret_tensor);
}

void
sl_model_file_at(const struct sl_model *m, uint32_t index, const char **ret_path,
                 struct sl_slice *ret_file)
{
    check(m);
    sl_assert(index < m->header->files_count);
    const struct sl_model_entry *e = &m->entries[m->header->tensors_count + index];
    *ret_path = m->names + e->name_offset;
    *ret_file = sl_slice(m->base + e->offset, e->size_bytes);
}

uint64_t
sl_model_size_bytes(const struct sl_model *m)
{
    check(m);
    return m->header->total_size;
}
