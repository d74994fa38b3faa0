/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_work.h"

#include <stdlib.h>

#include "runtime/alloc.h"

struct sl_image_work *
sl_image_work_create(const struct sl_images *images, enum sl_image_work_kind kind,
                     const struct sl_image_name *name)
{
    struct sl_image_work *w = sl_zalloc(sizeof(*w));
    w->images = images;
    w->kind = kind;
    w->name = *name;
    return w;
}

void
sl_image_work_destroy(struct sl_image_work **work)
{
    struct sl_image_work *w = *work;
    if (w == NULL)
        return;
    for (uint32_t i = 0; i < w->writes_count; i++)
        sl_free((void *)(uintptr_t)w->writes[i].data.data);
    if (w->kind != SL_IMAGE_WRITE)
        sl_image_part_close(&w->part);
    sl_msg_destroy(&w->call);
    sl_buf_deinit(&w->bytes);
    sl_chunks_deinit(&w->chunks);
    sl_free(w->has);
    sl_free(w);
    *work = NULL;
}

void
sl_image_work_add(struct sl_image_work *w, uint32_t node, uint32_t index, struct sl_slice bytes)
{
    sl_assert(w->kind == SL_IMAGE_WRITE);
    sl_assert(w->writes_count < SL_IMAGE_WRITES_MAX);
    uint8_t *copy = sl_alloc(SL_MAX(bytes.size, (size_t)1));
    if (bytes.size > 0)
        memcpy(copy, bytes.data, bytes.size);
    w->writes[w->writes_count++] =
        (struct sl_image_write){.node = node, .index = index, .data = sl_slice(copy, bytes.size)};
}

static void
begin(struct sl_image_work *w)
{
    bool has_list = w->chunks.digests != NULL;
    w->err = sl_image_part_begin(w->images, &w->name, has_list ? &w->chunks : NULL, &w->part);
    if (w->err == SL_EEXIST && sl_images_size(w->images, &w->name, &w->size_bytes) != SL_OK)
        w->err = SL_EIO;
    if (w->err != SL_OK)
        return;
    const struct sl_chunks *chunks = sl_image_part_chunks(w->part);
    w->has = sl_zalloc(SL_MAX(chunks->count, 1u));
    for (uint32_t i = 0; i < chunks->count; i++)
        w->has[i] = sl_image_part_has(w->part, i);
}

static void
write_all(struct sl_image_work *w)
{
    for (uint32_t i = 0; i < w->writes_count; i++) {
        struct sl_image_write *write = &w->writes[i];
        write->err = sl_image_part_put(w->part, write->index, write->data);
    }
}

static void
read_one(struct sl_image_work *w)
{
    size_t size = 0;
    sl_buf_reserve(&w->bytes, SL_CHUNK_BYTES);
    w->err = sl_images_read(w->images, &w->name, w->index, w->bytes.data, &size);
    w->bytes.size = size;
}

static void
note(void *arg, const struct sl_image_name *name, uint64_t size_bytes)
{
    struct sl_image_work *w = arg;
    sl_buf_append(&w->bytes, name->digest, sizeof(name->digest));
    sl_buf_append_u64(&w->bytes, size_bytes);
}

static int
order_names(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct sl_image_name));
}

static bool
is_kept(void *arg, const struct sl_image_name *name)
{
    const struct sl_image_work *w = arg;
    size_t count = w->bytes.size / sizeof(*name);
    return count > 0 && bsearch(name, w->bytes.data, count, sizeof(*name), order_names) != NULL;
}

void
sl_image_work_keep(struct sl_image_work *w, const struct sl_image_name *name)
{
    sl_assert(w->kind == SL_IMAGE_SWEEP);
    sl_buf_append(&w->bytes, name->digest, sizeof(name->digest));
}

static void
sweep(struct sl_image_work *w)
{
    size_t count = w->bytes.size / sizeof(w->name);
    if (count > 0)
        qsort(w->bytes.data, count, sizeof(w->name), order_names);
    w->index = sl_images_sweep(w->images, is_kept, w);
}

void
sl_image_work_run(void *work)
{
    struct sl_image_work *w = work;
    switch (w->kind) {
    case SL_IMAGE_BEGIN:
        begin(w);
        break;
    case SL_IMAGE_WRITE:
        write_all(w);
        break;
    case SL_IMAGE_FINISH:
        w->size_bytes = sl_image_part_chunks(w->part)->size_bytes;
        w->err = sl_image_part_finish(&w->part);
        break;
    case SL_IMAGE_READ:
        read_one(w);
        break;
    case SL_IMAGE_LIST:
        w->err = sl_images_chunks(w->images, &w->name, &w->chunks);
        break;
    case SL_IMAGE_EACH:
        w->err = sl_images_each(w->images, note, w);
        break;
    case SL_IMAGE_LOOK:
        w->err = sl_images_size(w->images, &w->name, &w->size_bytes);
        break;
    case SL_IMAGE_SWEEP:
        sweep(w);
        break;
    case SL_IMAGE_REMOVE:
        w->err = sl_images_remove(w->images, &w->name);
        break;
    }
}
