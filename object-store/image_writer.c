/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes are hashed as they pass, twice: for the item, to find its like, and for the image. An item
 * that turns out to be there already is taken back: the position, the image's hash, and what of it
 * has been written is written over.
 */
#include "object-store/image_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "object-store/model.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"

#define BUFFER_BYTES (256 * SL_KIB)
#define SHARED_MIN   64 /* Smaller items cost more to look up than to store. */

struct item {
    char *name;
    struct sl_model_entry entry;
};

struct sl_image_writer {
    struct sl_image_options options;
    struct sl_cause *cause;
    struct item *items;
    uint32_t items_count, items_capacity;
    uint32_t *places; /* Of items by digest, number + 1; 0: free. Twice as many as items. */
    uint32_t places_count;
    uint8_t *buffer;
    size_t buffered;
    uint64_t flushed; /* The image's bytes in the file; buffered ones follow. */
    uint64_t left;    /* Of the open item. */
    bool is_open;
    struct sl_sha256_stream *hash; /* Of the open item. */
    struct sl_chunks_stream *chunks;
    struct sl_chunks_mark mark; /* Where the open item begins. */
};

struct sl_image_writer *
sl_image_writer_create(const struct sl_image_options *options, struct sl_cause *cause)
{
    static const struct sl_model_header none;
    struct sl_image_writer *w = sl_zalloc(sizeof(*w));
    w->options = *options;
    w->cause = cause;
    w->buffer = sl_alloc(BUFFER_BYTES);
    w->chunks = options->is_digest_off ? NULL : sl_chunks_create();
    memcpy(w->buffer, &none, sizeof(none));
    w->buffered = sizeof(none);
    if (w->chunks != NULL)
        sl_assert(sl_chunks_update(w->chunks, &none, sizeof(none)) == SL_OK);
    return w;
}

static void
drop_hash(struct sl_sha256_stream **hash)
{
    uint8_t unused[SL_SHA256_SIZE];
    if (*hash != NULL)
        sl_sha256_finish(hash, unused);
}

void
sl_image_writer_destroy(struct sl_image_writer **writer)
{
    sl_assert(writer != NULL);
    struct sl_image_writer *w = *writer;
    if (w == NULL)
        return;
    for (uint32_t i = 0; i < w->items_count; i++)
        sl_free(w->items[i].name);
    sl_free(w->items);
    sl_free(w->places);
    sl_free(w->buffer);
    drop_hash(&w->hash);
    sl_chunks_mark_drop(&w->mark);
    sl_chunks_destroy(&w->chunks);
    sl_free(w);
    *writer = NULL;
}

/* ---- bytes --------------------------------------------------------------------------------- */

static enum sl_err
write_at(struct sl_image_writer *w, uint64_t offset, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n =
            pwrite(w->options.fd, (const char *)data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sl_cause_set(w->cause, n < 0 ? sl_err_from_errno(errno) : SL_EIO,
                                "the model cannot be written: %s", strerror(errno));
        done += (size_t)n;
    }
    return SL_OK;
}

static enum sl_err
flush(struct sl_image_writer *w)
{
    enum sl_err err = write_at(w, w->flushed, w->buffer, w->buffered);
    if (err == SL_OK) {
        w->flushed += w->buffered;
        w->buffered = 0;
    }
    return err;
}

static uint64_t
position(const struct sl_image_writer *w)
{
    return w->flushed + w->buffered;
}

/* What is large goes past the buffer. */
static enum sl_err
put(struct sl_image_writer *w, const void *data, size_t size)
{
    enum sl_err err = SL_OK;
    if (w->chunks != NULL)
        err = sl_chunks_update(w->chunks, data, size);
    if (err != SL_OK)
        return sl_cause_set(w->cause, err, "the model is too large");
    if (w->buffered + size > BUFFER_BYTES)
        err = flush(w);
    if (err != SL_OK)
        return err;
    if (size < BUFFER_BYTES / 4) {
        memcpy(w->buffer + w->buffered, data, size);
        w->buffered += size;
        return SL_OK;
    }
    err = flush(w);
    if (err == SL_OK)
        err = write_at(w, w->flushed, data, size);
    if (err == SL_OK)
        w->flushed += size;
    return err;
}

static enum sl_err
align(struct sl_image_writer *w)
{
    static const uint8_t zeroes[SL_MODEL_ALIGNMENT];
    size_t over = (size_t)(position(w) % SL_MODEL_ALIGNMENT);
    return over == 0 ? SL_OK : put(w, zeroes, SL_MODEL_ALIGNMENT - over);
}

/* Back to where the open item began. */
static void
take_back(struct sl_image_writer *w, uint64_t begin)
{
    if (begin >= w->flushed) {
        w->buffered = (size_t)(begin - w->flushed);
    } else {
        w->flushed = begin;
        w->buffered = 0;
    }
    sl_chunks_rewind(w->chunks, &w->mark);
}

/* ---- items --------------------------------------------------------------------------------- */

/* Not above the limit, with what the table will take. */
static enum sl_err
check_room(struct sl_image_writer *w, uint64_t size)
{
    uint64_t table =
        (w->items_count + 1ull) * (sizeof(struct sl_model_entry) + SL_MODEL_PATH_SIZE_MAX / 4);
    uint64_t used = position(w) + SL_MODEL_ALIGNMENT + table;
    if (used > w->options.size_bytes_max || size > w->options.size_bytes_max - used)
        return sl_cause_set(w->cause, SL_ETOOBIG,
                            "the model is over its limit of %" PRIu64 " bytes in memory",
                            w->options.size_bytes_max);
    if (w->items_count >= SL_MODEL_ENTRIES_MAX)
        return sl_cause_set(w->cause, SL_ETOOBIG, "the model has over %d tensors and files",
                            SL_MODEL_ENTRIES_MAX);
    return SL_OK;
}

enum sl_err
sl_image_begin(struct sl_image_writer *w, const struct sl_image_item *item)
{
    sl_assert(!w->is_open);
    enum sl_err err = check_room(w, item->size_bytes);
    if (err == SL_OK)
        err = align(w);
    if (err != SL_OK)
        return err;
    if (w->items_count == w->items_capacity) {
        w->items_capacity = w->items_capacity == 0 ? 256 : w->items_capacity * 2;
        w->items = sl_realloc(w->items, w->items_capacity * sizeof(*w->items));
    }
    struct item *i = &w->items[w->items_count++];
    *i = (struct item){.name = sl_strdup(item->name),
                       .entry = {.kind = item->kind,
                                 .dtype = item->kind == SL_MODEL_TENSOR ? item->dtype : 0,
                                 .dims_count = item->dims_count,
                                 .offset = position(w),
                                 .size_bytes = item->size_bytes}};
    if (item->dims_count > 0)
        memcpy(i->entry.shape, item->shape, item->dims_count * sizeof(*item->shape));
    w->is_open = true;
    w->left = item->size_bytes;
    if (w->chunks != NULL) {
        w->hash = sl_sha256_create();
        sl_chunks_mark(w->chunks, &w->mark);
    }
    return SL_OK;
}

enum sl_err
sl_image_append(struct sl_image_writer *w, const void *data, size_t size)
{
    sl_assert(w->is_open && size <= w->left);
    if (size == 0)
        return SL_OK;
    if (w->hash != NULL)
        sl_sha256_update(w->hash, data, size);
    w->left -= size;
    return put(w, data, size);
}

static uint32_t
place_of(const struct sl_image_writer *w, const struct sl_model_entry *e)
{
    uint64_t at;
    memcpy(&at, e->digest, sizeof(at));
    at %= w->places_count;
    for (;; at = (at + 1) % w->places_count) {
        uint32_t number = w->places[at];
        if (number == 0)
            return (uint32_t)at;
        const struct sl_model_entry *other = &w->items[number - 1].entry;
        if (other->size_bytes == e->size_bytes &&
            memcmp(other->digest, e->digest, sizeof(e->digest)) == 0)
            return (uint32_t)at;
    }
}

static void
grow_places(struct sl_image_writer *w)
{
    if (2 * w->items_count <= w->places_count)
        return;
    w->places_count = 4 * w->items_capacity;
    sl_free(w->places);
    w->places = sl_zalloc(w->places_count * sizeof(*w->places));
    for (uint32_t i = 0; i + 1 < w->items_count; i++) {
        if (w->items[i].entry.size_bytes >= SHARED_MIN)
            w->places[place_of(w, &w->items[i].entry)] = i + 1;
    }
}

enum sl_err
sl_image_end(struct sl_image_writer *w)
{
    sl_assert(w->is_open && w->left == 0);
    struct sl_model_entry *e = &w->items[w->items_count - 1].entry;
    w->is_open = false;
    if (w->hash == NULL)
        return SL_OK;
    sl_sha256_finish(&w->hash, e->digest);
    if (e->size_bytes >= SHARED_MIN) {
        grow_places(w);
        uint32_t place = place_of(w, e);
        if (w->places[place] != 0) {
            take_back(w, e->offset);
            e->offset = w->items[w->places[place] - 1].entry.offset;
        } else {
            w->places[place] = w->items_count;
        }
    }
    sl_chunks_mark_drop(&w->mark);
    return SL_OK;
}

uint32_t
sl_image_items_count(const struct sl_image_writer *w)
{
    return w->items_count;
}

const char *
sl_image_item_name(const struct sl_image_writer *w, uint32_t item)
{
    sl_assert(item < w->items_count);
    return w->items[item].name;
}

enum sl_model_kind
sl_image_item_kind(const struct sl_image_writer *w, uint32_t item)
{
    sl_assert(item < w->items_count);
    return (enum sl_model_kind)w->items[item].entry.kind;
}

void
sl_image_rename(struct sl_image_writer *w, uint32_t item, const char *name)
{
    sl_assert(item < w->items_count);
    char *copy = sl_strdup(name); /* It may be a part of the old one. */
    sl_free(w->items[item].name);
    w->items[item].name = copy;
}

static enum sl_err
read_at(struct sl_image_writer *w, uint64_t offset, uint8_t *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(w->options.fd, data + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sl_cause_set(w->cause, SL_EIO, "the model cannot be read back");
        done += (size_t)n;
    }
    return SL_OK;
}

enum sl_err
sl_image_read(struct sl_image_writer *w, uint32_t item, struct sl_buf *out)
{
    sl_assert(item < w->items_count && !w->is_open);
    const struct sl_model_entry *e = &w->items[item].entry;
    enum sl_err err = flush(w);
    if (err != SL_OK)
        return err;
    size_t size = (size_t)e->size_bytes;
    uint8_t *data = sl_alloc(SL_MAX(size, 1u));
    err = read_at(w, e->offset, data, size);
    if (err == SL_OK)
        sl_buf_append(out, data, size);
    sl_free(data);
    return err;
}

/* ---- the table ----------------------------------------------------------------------------- */

static int
by_kind_and_name(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->entry.kind != y->entry.kind)
        return x->entry.kind < y->entry.kind ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Sort them and count each kind. */
static enum sl_err
sort_items(struct sl_image_writer *w, struct sl_model_header *h)
{
    if (w->items_count > 0)
        qsort(w->items, w->items_count, sizeof(*w->items), by_kind_and_name);
    for (uint32_t i = 0; i < w->items_count; i++) {
        const struct item *item = &w->items[i];
        if (i > 0 && by_kind_and_name(item - 1, item) == 0)
            return sl_cause_set(w->cause, SL_EINVAL, "%s '%.256s' is there twice",
                                item->entry.kind == SL_MODEL_TENSOR ? "tensor" : "file",
                                item->name);
        if (item->entry.kind == SL_MODEL_TENSOR)
            h->tensors_count++;
        else
            h->files_count++;
    }
    if (h->tensors_count > SL_WEIGHTS_COUNT_MAX || h->files_count > SL_MODEL_FILES_COUNT_MAX)
        return sl_cause_set(w->cause, SL_ETOOBIG, "over %d tensors or %d files",
                            SL_WEIGHTS_COUNT_MAX, SL_MODEL_FILES_COUNT_MAX);
    return SL_OK;
}

static enum sl_err
put_table(struct sl_image_writer *w, struct sl_model_header *h)
{
    uint32_t count = h->tensors_count + h->files_count;
    enum sl_err err = align(w);
    h->entries_offset = position(w);
    for (uint32_t i = 0; i < count && err == SL_OK; i++) {
        struct sl_model_entry e = w->items[i].entry;
        e.name_offset = h->names_size;
        e.name_size = (uint32_t)strlen(w->items[i].name);
        h->names_size += e.name_size + 1u;
        err = put(w, &e, sizeof(e));
    }
    h->names_offset = position(w);
    for (uint32_t i = 0; i < count && err == SL_OK; i++)
        err = put(w, w->items[i].name, strlen(w->items[i].name) + 1);
    h->total_size = position(w);
    return err;
}

/* The first chunk was hashed when its header was zeroes. */
static enum sl_err
digest_first_chunk(struct sl_image_writer *w, struct sl_chunks *chunks)
{
    size_t size = (size_t)sl_chunk_size(chunks, 0);
    uint8_t *data = sl_alloc(size);
    enum sl_err err = read_at(w, 0, data, size);
    if (err == SL_OK)
        sl_sha256(sl_slice(data, size), chunks->digests[0]);
    sl_free(data);
    return err;
}

enum sl_err
sl_image_finish(struct sl_image_writer *w, uint64_t *ret_size_bytes, struct sl_chunks *ret_chunks)
{
    sl_assert(!w->is_open);
    struct sl_model_header h = {.magic = SL_MODEL_IMAGE_MAGIC, .version = SL_MODEL_IMAGE_VERSION};
    struct sl_chunks chunks = {0};
    enum sl_err err = sort_items(w, &h);
    if (err == SL_OK)
        err = put_table(w, &h);
    if (err == SL_OK)
        err = flush(w);
    if (err == SL_OK)
        err = write_at(w, 0, &h, sizeof(h));
    if (err == SL_OK && ftruncate(w->options.fd, (off_t)h.total_size) != 0)
        err = sl_cause_set(w->cause, sl_err_from_errno(errno), "the model cannot be written");
    if (w->chunks != NULL)
        sl_chunks_finish(&w->chunks, &chunks);
    if (err == SL_OK && chunks.count > 0)
        err = digest_first_chunk(w, &chunks);
    if (err != SL_OK) {
        sl_chunks_deinit(&chunks);
        return err;
    }
    *ret_size_bytes = h.total_size;
    *ret_chunks = chunks;
    return SL_OK;
}
