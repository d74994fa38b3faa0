/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/snapshot.h"

#include "runtime/alloc.h"
#include "runtime/hash.h"

#define MAGIC     0x70616e73u /* "snap" */
#define VERSION   2           /* 1 had no list of segments in front of the state. */
#define HEAD_SIZE 28

struct sl_snapshot_writer {
    struct sl_disk disk;
    struct sl_file *file;
    char *name, *temp;
    uint64_t position, size;
    uint32_t crc; /* Of the payload so far. */
};

enum sl_err
sl_snapshot_create(const struct sl_disk *disk, const char *name, uint64_t position,
                   struct sl_snapshot_writer **ret_writer)
{
    struct sl_snapshot_writer *w = sl_zalloc(sizeof(*w));
    w->disk = *disk;
    w->name = sl_strdup(name);
    w->temp = sl_format("%s.tmp", name);
    w->position = position;
    /* A longer leftover of an earlier try is harmless: the size is in the head. */
    enum sl_err err = disk->open(disk->self, w->temp, &w->file);
    if (err != SL_OK) {
        sl_snapshot_cancel(&w);
        return err;
    }
    *ret_writer = w;
    return SL_OK;
}

enum sl_err
sl_snapshot_add(struct sl_snapshot_writer *w, struct sl_slice payload)
{
    if (payload.size == 0)
        return SL_OK;
    w->crc = sl_crc32c(w->crc, payload.data, payload.size);
    w->size += payload.size;
    uint64_t at = HEAD_SIZE + w->size - payload.size;
    enum sl_err err = w->disk.write(w->file, at, payload.data, payload.size);
    return err == SL_OK ? w->disk.flush(w->file, at, payload.size) : err;
}

enum sl_err
sl_snapshot_finish(struct sl_snapshot_writer **writer)
{
    struct sl_snapshot_writer *w = *writer;
    struct sl_buf head = {0};
    sl_buf_append_u32(&head, MAGIC);
    sl_buf_append_u32(&head, VERSION);
    sl_buf_append_u64(&head, w->position);
    sl_buf_append_u64(&head, w->size);
    sl_buf_append_u32(&head, sl_crc32c(w->crc, head.data, head.size));
    sl_assert(head.size == HEAD_SIZE);
    enum sl_err err = w->disk.write(w->file, 0, head.data, head.size);
    sl_buf_deinit(&head);
    if (err == SL_OK)
        err = w->disk.sync(w->file);
    if (err == SL_OK)
        err = w->disk.rename(w->disk.self, w->temp, w->name);
    if (err == SL_OK) {
        w->disk.close(&w->file);
        sl_free(w->temp);
        w->temp = NULL;
        sl_snapshot_cancel(writer);
    }
    return err;
}

void
sl_snapshot_cancel(struct sl_snapshot_writer **writer)
{
    struct sl_snapshot_writer *w = *writer;
    if (w == NULL)
        return;
    bool is_made = w->file != NULL;
    if (is_made)
        w->disk.close(&w->file);
    /* What it took may be room that others need. */
    enum sl_err ignored = is_made ? w->disk.remove(w->disk.self, w->temp) : SL_OK;
    (void)ignored;
    sl_free(w->name);
    sl_free(w->temp);
    sl_free(w);
    *writer = NULL;
}

static enum sl_err
read_all(const struct sl_disk *disk, const char *name, struct sl_buf *buf)
{
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    sl_buf_clear(buf);
    enum sl_err err = disk->open(disk->self, name, &file);
    if (err != SL_OK)
        return err;
    err = disk->size(file, &size);
    if (err == SL_OK && size > SIZE_MAX / 8)
        err = SL_ECORRUPT;
    if (err == SL_OK) {
        sl_buf_reserve(buf, (size_t)size);
        err = disk->read(file, 0, buf->data, (size_t)size, &got);
    }
    if (err == SL_OK)
        buf->size = got;
    disk->close(&file);
    return err;
}

enum sl_err
sl_snapshot_read(const struct sl_disk *disk, const char *name, struct sl_buf *buf,
                 uint64_t *ret_position, struct sl_slice *ret_payload)
{
    enum sl_err err = read_all(disk, name, buf);
    if (err != SL_OK)
        return err;
    if (buf->size == 0)
        return SL_ENOTFOUND;
    struct sl_reader r = sl_reader(sl_buf_slice(buf));
    uint32_t magic = sl_read_u32(&r);
    uint32_t version = sl_read_u32(&r);
    uint64_t position = sl_read_u64(&r);
    uint64_t size = sl_read_u64(&r);
    uint32_t crc = sl_read_u32(&r);
    if (r.is_bad || magic != MAGIC || size > buf->size - HEAD_SIZE)
        return SL_ECORRUPT;
    struct sl_slice payload = sl_slice(buf->data + HEAD_SIZE, (size_t)size);
    if (crc != sl_crc32c(sl_crc32c(0, payload.data, payload.size), buf->data, HEAD_SIZE - 4))
        return SL_ECORRUPT;
    if (version != VERSION)
        return SL_EVERSION;
    *ret_position = position;
    *ret_payload = payload;
    return SL_OK;
}
