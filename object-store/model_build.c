/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a directory to a sealed memory file, in four steps: scan (what is there), parse (the headers
 * of the weights), lay out (sort, assign offsets), copy. Weights go from file to memory file with
 * sendfile: one copy, in the kernel, and a source that somebody cuts meanwhile is a short count
 * instead of a SIGBUS. Nothing is ever mapped writable, so sealing cannot fail on that account.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "object-store/model.h"
#include "object-store/model_image.h"
#include "object-store/shared_memory.h"
#include "runtime/alloc.h"
#include "runtime/json.h"

#define WRAPPERS_MAX      4 /* Directories around the model that are descended into. */
#define SHARDS_COUNT_MAX  1024
#define SCAN_COUNT_MAX    8192 /* Directory entries looked at in all. */
#define SIZE_BYTES_MAX    (16 * SL_GIB)
#define COPY_BUFFER_BYTES (1 * SL_MIB)
#define INDEX_NAME        "model.safetensors.index.json"

struct source {
    char *path; /* Relative to the model's root. */
    uint64_t size_bytes;
    bool is_weights;
};

struct item { /* An entry to be, and where its bytes come from. */
    struct sl_model_entry entry;
    char *name;
    uint32_t source;
    uint64_t source_offset;
};

struct builder {
    int root_fd;
    uint64_t size_bytes_max;
    struct sl_cause *cause;
    struct source *sources;
    uint32_t sources_count, files_count, shards_count;
    uint32_t seen_count;
    struct item *items;
    uint32_t items_count, items_capacity;
    uint32_t tensors_count;
    bool has_index, has_config, has_pytorch, has_onnx;
};

/* ---- scan ---------------------------------------------------------------------------------- */

static bool
has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);
    return n > s && strcmp(name + n - s, suffix) == 0;
}

static bool
is_ignored(const char *name)
{
    return name[0] == '.' || strcmp(name, "__MACOSX") == 0;
}

static enum sl_err
add_source(struct builder *b, const char *path, uint64_t size, bool is_weights)
{
    if (strlen(path) > SL_MODEL_PATH_SIZE_MAX)
        return sl_cause_set(b->cause, SL_EINVAL, "a path of over %d bytes", SL_MODEL_PATH_SIZE_MAX);
    if (is_weights ? ++b->shards_count > SHARDS_COUNT_MAX
                   : ++b->files_count > SL_MODEL_FILES_COUNT_MAX)
        return sl_cause_set(b->cause, SL_ETOOBIG, "too many files: at most %d %s",
                            is_weights ? SHARDS_COUNT_MAX : SL_MODEL_FILES_COUNT_MAX,
                            is_weights ? ".safetensors" : ".json and .txt");
    if (!is_weights && size > SL_MODEL_FILE_SIZE_MAX)
        return sl_cause_set(b->cause, SL_ETOOBIG, "%s has %" PRIu64 " bytes; at most %" PRIu64,
                            path, size, (uint64_t)SL_MODEL_FILE_SIZE_MAX);
    b->sources = sl_realloc(b->sources, sizeof(*b->sources) * (b->sources_count + 1u));
    b->sources[b->sources_count++] =
        (struct source){.path = sl_strdup(path), .size_bytes = size, .is_weights = is_weights};
    return SL_OK;
}

/* What one name in the model means. Weights and foreign formats count at the top level only. */
static enum sl_err
note_file(struct builder *b, const char *path, const struct stat *st, bool is_top)
{
    bool is_weights = is_top && has_suffix(path, ".safetensors");
    bool is_side = has_suffix(path, ".json") || has_suffix(path, ".txt");
    if (is_top && (has_suffix(path, ".bin") || has_suffix(path, ".pt") || has_suffix(path, ".pth")))
        b->has_pytorch = true;
    if (has_suffix(path, ".onnx"))
        b->has_onnx = true;
    if (!is_weights && !is_side)
        return SL_OK;
    if (!S_ISREG(st->st_mode))
        return sl_cause_set(b->cause, SL_EINVAL,
                            "%s is not a regular file: put the file itself there, not a link",
                            path);
    if (strcmp(path, INDEX_NAME) == 0)
        b->has_index = true;
    if (strcmp(path, "config.json") == 0)
        b->has_config = true;
    return add_source(b, path, (uint64_t)st->st_size, is_weights);
}

static enum sl_err scan(struct builder *b, int directory_fd, const char *prefix);

static enum sl_err
scan_name(struct builder *b, int directory_fd, const char *prefix, const char *name)
{
    struct stat st;
    if (is_ignored(name))
        return SL_OK;
    if (++b->seen_count > SCAN_COUNT_MAX)
        return sl_cause_set(b->cause, SL_ETOOBIG, "over %d files", SCAN_COUNT_MAX);
    if (fstatat(directory_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return sl_cause_set(b->cause, sl_err_from_errno(errno), "%s%s: %s", prefix, name,
                            strerror(errno));
    if (!S_ISDIR(st.st_mode)) {
        char *path = sl_format("%s%s", prefix, name);
        enum sl_err err = note_file(b, path, &st, prefix[0] == '\0');
        sl_free(path);
        return err;
    }
    if (prefix[0] != '\0')
        return SL_OK; /* Module directories have no directories of interest. */
    int fd = openat(directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_cause_set(b->cause, sl_err_from_errno(errno), "%s: %s", name, strerror(errno));
    char *inner = sl_format("%s/", name);
    enum sl_err err = scan(b, fd, inner);
    sl_free(inner);
    return err;
}

/* Takes `directory_fd`. */
static enum sl_err
scan(struct builder *b, int directory_fd, const char *prefix)
{
    DIR *dir = fdopendir(directory_fd);
    if (dir == NULL) {
        enum sl_err err = sl_err_from_errno(errno);
        (void)close(directory_fd);
        return sl_cause_set(b->cause, err, "the model's directory cannot be listed");
    }
    enum sl_err err = SL_OK;
    for (struct dirent *entry; err == SL_OK && (entry = readdir(dir)) != NULL;)
        err = scan_name(b, dirfd(dir), prefix, entry->d_name);
    (void)closedir(dir);
    return err;
}

static int
open_listing(int directory_fd)
{
    /* Not dup: a listing moves the offset that duplicates share. */
    return openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The name of the only thing in the directory; empty when there are none or several. */
static enum sl_err
only_name(int directory_fd, char name[static NAME_MAX + 1])
{
    int listing = open_listing(directory_fd);
    DIR *dir = listing < 0 ? NULL : fdopendir(listing);
    if (dir == NULL) {
        enum sl_err err = sl_err_from_errno(errno);
        if (listing >= 0)
            (void)close(listing);
        return err;
    }
    uint32_t count = 0;
    for (struct dirent *entry; count < 2 && (entry = readdir(dir)) != NULL;) {
        if (is_ignored(entry->d_name))
            continue;
        (void)snprintf(name, NAME_MAX + 1, "%s", entry->d_name);
        count++;
    }
    (void)closedir(dir);
    if (count != 1)
        name[0] = '\0';
    return SL_OK;
}

/* Move root_fd into the one directory that wraps everything, if that is what is there. */
static enum sl_err
descend(struct builder *b, bool *ret_has_moved)
{
    char name[NAME_MAX + 1] = "";
    *ret_has_moved = false;
    enum sl_err err = only_name(b->root_fd, name);
    if (err != SL_OK)
        return sl_cause_set(b->cause, err, "the model's directory cannot be listed");
    if (name[0] == '\0')
        return SL_OK;
    int inner = openat(b->root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (inner < 0 && (errno == ENOTDIR || errno == ELOOP))
        return SL_OK; /* A single file: perhaps the model. */
    if (inner < 0)
        return sl_cause_set(b->cause, sl_err_from_errno(errno), "%s: %s", name, strerror(errno));
    (void)close(b->root_fd);
    b->root_fd = inner;
    *ret_has_moved = true;
    return SL_OK;
}

static enum sl_err
open_root(struct builder *b, int directory_fd)
{
    b->root_fd = open_listing(directory_fd);
    if (b->root_fd < 0)
        return sl_cause_set(b->cause, sl_err_from_errno(errno), "the model's directory: %s",
                            strerror(errno));
    bool has_moved = true;
    enum sl_err err = SL_OK;
    for (int i = 0; i < WRAPPERS_MAX && has_moved && err == SL_OK; i++)
        err = descend(b, &has_moved);
    return err;
}

static enum sl_err
check_scan(struct builder *b, const char *format)
{
    if (b->shards_count == 0 && (b->has_pytorch || b->has_onnx))
        return sl_cause_set(b->cause, SL_EUNAVAIL,
                            "%s weights are not read here: convert them to safetensors "
                            "(save_pretrained with safe_serialization) and upload again",
                            b->has_pytorch ? "PyTorch" : "ONNX");
    if (b->shards_count == 0)
        return sl_cause_set(b->cause, SL_EINVAL,
                            "no .safetensors file at the top level of the model");
    if (b->shards_count > 1 && !b->has_index)
        return sl_cause_set(b->cause, SL_EINVAL,
                            "%u .safetensors files and no " INDEX_NAME
                            ": add the index, or keep one file",
                            b->shards_count);
    if (format != NULL && strcmp(format, "huggingface") == 0 && !b->has_config)
        return sl_cause_set(b->cause, SL_EINVAL, "no config.json at the top level of the model");
    return SL_OK;
}

/* ---- parse --------------------------------------------------------------------------------- */

static struct item *
add_item(struct builder *b)
{
    if (b->items_count == b->items_capacity) {
        b->items_capacity = b->items_capacity == 0 ? 256 : b->items_capacity * 2;
        b->items = sl_realloc(b->items, sizeof(*b->items) * b->items_capacity);
    }
    struct item *item = &b->items[b->items_count++];
    *item = (struct item){0};
    return item;
}

static enum sl_err
open_source(const struct builder *b, const struct source *s, int *ret_fd)
{
    int fd = openat(b->root_fd, s->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return sl_cause_set(b->cause, sl_err_from_errno(errno), "%s: %s", s->path, strerror(errno));
    *ret_fd = fd;
    return SL_OK;
}

static enum sl_err
read_all(const struct builder *b, const struct source *s, int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, (char *)data + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sl_cause_set(b->cause, n == 0 ? SL_EINVAL : sl_err_from_errno(errno),
                                "%s cannot be read to its end", s->path);
        done += (size_t)n;
    }
    return SL_OK;
}

static enum sl_err
add_tensors(struct builder *b, uint32_t source, const struct sl_weights *table)
{
    if (b->tensors_count + table->count > SL_WEIGHTS_COUNT_MAX)
        return sl_cause_set(b->cause, SL_ETOOBIG, "over %d tensors", SL_WEIGHTS_COUNT_MAX);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct sl_weight *t = &table->items[i];
        struct item *item = add_item(b);
        item->name = sl_strdup(t->name);
        item->source = source;
        item->source_offset = t->offset;
        item->entry.kind = SL_MODEL_TENSOR;
        item->entry.dtype = t->dtype;
        item->entry.dims_count = t->dims_count;
        item->entry.size_bytes = t->span_bytes;
        memcpy(item->entry.shape, t->shape, sizeof(t->shape));
    }
    b->tensors_count += table->count;
    return SL_OK;
}

static enum sl_err
parse_weights(struct builder *b, uint32_t source)
{
    const struct source *s = &b->sources[source];
    struct sl_weights table = {0};
    struct sl_cause why = {{0}};
    uint8_t first[8];
    uint8_t *head = NULL;
    uint64_t head_size = 0;
    int fd = -1;
    enum sl_err err = open_source(b, s, &fd);
    if (err == SL_OK)
        err = read_all(b, s, fd, first, SL_MIN(s->size_bytes, sizeof(first)));
    if (err != SL_OK)
        goto out;
    err = sl_safetensors_head_size(sl_slice(first, SL_MIN(s->size_bytes, sizeof(first))),
                                   s->size_bytes, &head_size, &why);
    if (err == SL_OK) {
        head = sl_alloc(head_size);
        err = read_all(b, s, fd, head, head_size);
        if (err != SL_OK)
            goto out;
        err = sl_safetensors_parse(sl_slice(head, head_size), s->size_bytes, &table, &why);
    }
    if (err != SL_OK) {
        err = sl_cause_set(b->cause, err, "%.64s: %.300s", s->path, why.text);
        goto out;
    }
    err = add_tensors(b, source, &table);
out:
    sl_weights_deinit(&table);
    sl_free(head);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

static enum sl_err
parse_all(struct builder *b)
{
    for (uint32_t i = 0; i < b->sources_count; i++) {
        if (b->sources[i].is_weights) {
            enum sl_err err = parse_weights(b, i);
            if (err != SL_OK)
                return err;
            continue;
        }
        struct item *item = add_item(b);
        item->name = sl_strdup(b->sources[i].path);
        item->source = i;
        item->entry.kind = SL_MODEL_FILE;
        item->entry.size_bytes = b->sources[i].size_bytes;
    }
    return SL_OK;
}

/* ---- lay out ------------------------------------------------------------------------------- */

static int
by_kind_and_name(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->entry.kind != y->entry.kind)
        return x->entry.kind < y->entry.kind ? -1 : 1;
    return strcmp(x->name, y->name);
}

static enum sl_err
sort_items(struct builder *b)
{
    qsort(b->items, b->items_count, sizeof(*b->items), by_kind_and_name);
    for (uint32_t i = 1; i < b->items_count; i++) {
        if (by_kind_and_name(&b->items[i - 1], &b->items[i]) == 0)
            return sl_cause_set(b->cause, SL_EINVAL, "tensor '%.128s' is in %.64s and in %.64s",
                                b->items[i].name, b->sources[b->items[i - 1].source].path,
                                b->sources[b->items[i].source].path);
    }
    return SL_OK;
}

/* One line of the index: `name` must be a tensor of the file `value` names. */
static enum sl_err
check_index_line(struct builder *b, struct sl_json name, struct sl_json value)
{
    struct item key = {.entry = {.kind = SL_MODEL_TENSOR}, .name = sl_json_strdup(name)};
    if (key.name == NULL)
        return sl_cause_set(b->cause, SL_EINVAL, INDEX_NAME ": a name has a NUL in it");
    const struct item *item =
        bsearch(&key, b->items, b->items_count, sizeof(key), by_kind_and_name);
    enum sl_err err = SL_OK;
    if (item == NULL || !sl_json_is(value, b->sources[item->source].path)) {
        struct sl_slice raw = sl_json_raw(value);
        err = sl_cause_set(b->cause, SL_EINVAL,
                           INDEX_NAME ": tensor '%.128s' should be in %.*s, and is not", key.name,
                           (int)SL_MIN(raw.size, 80u), (const char *)raw.data);
    }
    sl_free(key.name);
    return err;
}

static enum sl_err
check_index_text(struct builder *b, struct sl_slice text)
{
    struct sl_json_doc *doc = NULL;
    if (sl_json_parse(text, &doc, NULL) != SL_OK)
        return sl_cause_set(b->cause, SL_EINVAL, INDEX_NAME " is not JSON");
    struct sl_json map = sl_json_member(sl_json_root(doc), "weight_map");
    enum sl_err err = SL_OK;
    if (sl_json_kind(map) != SL_JSON_OBJECT)
        err = sl_cause_set(b->cause, SL_EINVAL, INDEX_NAME " has no weight_map");
    else if (sl_json_count(map) != b->tensors_count)
        err = sl_cause_set(b->cause, SL_EINVAL,
                           INDEX_NAME " lists %" PRIu32 " tensors, the files have %" PRIu32,
                           sl_json_count(map), b->tensors_count);
    else
        for (struct sl_json_iter i = sl_json_iter(map); err == SL_OK && sl_json_next(&i);)
            err = check_index_line(b, i.name, i.value);
    sl_json_destroy(&doc);
    return err;
}

static enum sl_err
check_index(struct builder *b)
{
    for (uint32_t i = 0; i < b->sources_count; i++) {
        const struct source *s = &b->sources[i];
        if (strcmp(s->path, INDEX_NAME) != 0)
            continue;
        int fd = -1;
        enum sl_err err = open_source(b, s, &fd);
        if (err != SL_OK)
            return err;
        void *text = sl_alloc(s->size_bytes + 1);
        err = read_all(b, s, fd, text, s->size_bytes);
        if (err == SL_OK)
            err = check_index_text(b, sl_slice(text, s->size_bytes));
        sl_free(text);
        (void)close(fd);
        return err;
    }
    return SL_OK;
}

static uint64_t
align(uint64_t offset)
{
    return (offset + SL_MODEL_ALIGNMENT - 1) / SL_MODEL_ALIGNMENT * SL_MODEL_ALIGNMENT;
}

/* Assign offsets, and build everything before the data in `head`. */
static enum sl_err
lay_out(struct builder *b, struct sl_buf *head, uint64_t *ret_total)
{
    struct sl_model_header h = {
        .magic = SL_MODEL_IMAGE_MAGIC,
        .version = SL_MODEL_IMAGE_VERSION,
        .tensors_count = b->tensors_count,
        .files_count = b->items_count - b->tensors_count,
        .names_offset = sizeof(h) + (uint64_t)b->items_count * sizeof(struct sl_model_entry),
    };
    for (uint32_t i = 0; i < b->items_count; i++) {
        struct sl_model_entry *e = &b->items[i].entry;
        e->name_size = (uint32_t)strlen(b->items[i].name);
        e->name_offset = h.names_size;
        h.names_size += (uint64_t)e->name_size + 1;
    }
    uint64_t at = h.names_offset + h.names_size;
    for (uint32_t i = 0; i < b->items_count; i++) {
        struct sl_model_entry *e = &b->items[i].entry;
        e->offset = align(at);
        if (e->offset > b->size_bytes_max || e->size_bytes > b->size_bytes_max - e->offset)
            return sl_cause_set(b->cause, SL_ETOOBIG, "the model is over %" PRIu64 " bytes",
                                b->size_bytes_max);
        at = e->offset + e->size_bytes;
    }
    h.total_size = at;
    sl_buf_append(head, &h, sizeof(h));
    for (uint32_t i = 0; i < b->items_count; i++)
        sl_buf_append(head, &b->items[i].entry, sizeof(b->items[i].entry));
    for (uint32_t i = 0; i < b->items_count; i++)
        sl_buf_append(head, b->items[i].name, (size_t)b->items[i].entry.name_size + 1);
    *ret_total = at;
    return SL_OK;
}

/* ---- copy ---------------------------------------------------------------------------------- */

static enum sl_err
write_at(int fd, uint64_t offset, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, (const char *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? sl_err_from_errno(errno) : SL_EIO;
        done += (size_t)n;
    }
    return SL_OK;
}

/* For file systems that sendfile cannot read from. */
static enum sl_err
copy_through_buffer(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size)
{
    uint8_t *buffer = sl_alloc(COPY_BUFFER_BYTES);
    enum sl_err err = SL_OK;
    while (size > 0 && err == SL_OK) {
        ssize_t n = pread(from, buffer, SL_MIN(size, COPY_BUFFER_BYTES), (off_t)from_offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err = n < 0 ? sl_err_from_errno(errno) : SL_EINVAL;
            break;
        }
        err = write_at(to, to_offset, buffer, (size_t)n);
        from_offset += (uint64_t)n;
        to_offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    sl_free(buffer);
    return err;
}

static enum sl_err
copy_range(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t size)
{
    if (size > 0 && lseek(to, (off_t)to_offset, SEEK_SET) < 0)
        return sl_err_from_errno(errno);
    while (size > 0) {
        off_t at = (off_t)from_offset;
        ssize_t n = sendfile(to, from, &at, SL_MIN(size, SL_GIB));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EINVAL || errno == ENOSYS))
            return copy_through_buffer(from, from_offset, to, to_offset, size);
        if (n <= 0)
            return n < 0 ? sl_err_from_errno(errno) : SL_EINVAL;
        from_offset += (uint64_t)n;
        to_offset += (uint64_t)n;
        size -= (uint64_t)n;
    }
    return SL_OK;
}

/* Items of one source lie together in no order, so each source is opened once, for all of them. */
static enum sl_err
copy_source(struct builder *b, uint32_t source, int to)
{
    const struct source *s = &b->sources[source];
    int from = -1;
    enum sl_err err = open_source(b, s, &from);
    if (err != SL_OK)
        return err;
    for (uint32_t i = 0; i < b->items_count && err == SL_OK; i++) {
        const struct item *item = &b->items[i];
        if (item->source == source)
            err = copy_range(from, item->source_offset, to, item->entry.offset,
                             item->entry.size_bytes);
    }
    (void)close(from);
    if (err != SL_OK)
        return sl_cause_set(b->cause, err, "%s could not be copied into memory: %s", s->path,
                            sl_err_text(err));
    return SL_OK;
}

static enum sl_err
fill_and_seal(struct builder *b, int fd, const struct sl_buf *head, uint64_t total)
{
    if (ftruncate(fd, (off_t)total) != 0)
        return sl_cause_set(b->cause, SL_ENOMEM, "no room for a model of %" PRIu64 " bytes", total);
    enum sl_err err = write_at(fd, 0, head->data, head->size);
    if (err != SL_OK)
        return sl_cause_set(b->cause, err, "the memory file cannot be written");
    for (uint32_t i = 0; i < b->sources_count; i++) {
        err = copy_source(b, i, fd);
        if (err != SL_OK)
            return err;
    }
    err = sl_shared_seal(fd);
    return err == SL_OK ? SL_OK : sl_cause_set(b->cause, err, "sealing failed");
}

static void
builder_deinit(struct builder *b)
{
    for (uint32_t i = 0; i < b->sources_count; i++)
        sl_free(b->sources[i].path);
    sl_free(b->sources);
    for (uint32_t i = 0; i < b->items_count; i++)
        sl_free(b->items[i].name);
    sl_free(b->items);
    if (b->root_fd >= 0)
        (void)close(b->root_fd);
}

static enum sl_err
check_format(const char *format, struct sl_cause *cause)
{
    if (format == NULL || strcmp(format, "safetensors") == 0 || strcmp(format, "huggingface") == 0)
        return SL_OK;
    if (strcmp(format, "pytorch") == 0 || strcmp(format, "onnx") == 0)
        return sl_cause_set(cause, SL_EUNAVAIL,
                            "model_format %s is not read here: convert the model to safetensors "
                            "and upload it as safetensors or huggingface",
                            format);
    return sl_cause_set(cause, SL_EINVAL, "model_format '%.32s' is not known", format);
}

static enum sl_err
plan(struct builder *b, int directory_fd, const char *format)
{
    enum sl_err err = open_root(b, directory_fd);
    if (err == SL_OK) {
        int listing = open_listing(b->root_fd);
        err = listing < 0 ? sl_cause_set(b->cause, sl_err_from_errno(errno), "%s", strerror(errno))
                          : scan(b, listing, "");
    }
    if (err == SL_OK)
        err = check_scan(b, format);
    if (err == SL_OK)
        err = parse_all(b);
    if (err == SL_OK)
        err = sort_items(b);
    if (err == SL_OK && b->has_index)
        err = check_index(b);
    return err;
}

enum sl_err
sl_model_build(int directory_fd, const struct sl_model_options *options, int *ret_fd,
               struct sl_cause *ret_cause)
{
    sl_assert(directory_fd >= 0);
    sl_assert(ret_fd != NULL);
    struct sl_model_options o = options == NULL ? (struct sl_model_options){0} : *options;
    struct builder b = {
        .root_fd = -1,
        .size_bytes_max = o.size_bytes_max == 0 ? SIZE_BYTES_MAX : o.size_bytes_max,
        .cause = ret_cause,
    };
    struct sl_buf head = {0};
    uint64_t total = 0;
    int fd = -1;
    enum sl_err err = check_format(o.format, ret_cause);
    if (err == SL_OK)
        err = plan(&b, directory_fd, o.format);
    if (err == SL_OK)
        err = lay_out(&b, &head, &total);
    if (err != SL_OK)
        goto out;
    fd = memfd_create("sluice-model", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        err = sl_cause_set(ret_cause, sl_err_from_errno(errno), "no memory file: %s",
                           strerror(errno));
        goto out;
    }
    err = fill_and_seal(&b, fd, &head, total);
    if (err == SL_OK) {
        *ret_fd = fd;
        fd = -1;
    }
out:
    if (fd >= 0)
        (void)close(fd);
    sl_buf_deinit(&head);
    builder_deinit(&b);
    return err;
}
