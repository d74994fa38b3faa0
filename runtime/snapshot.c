/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/snapshot.h"

#include "runtime/alloc.h"
#include "runtime/hash.h"

#define MAGIC     0x70616e73u /* "snap" */
#define VERSION   1
#define HEAD_SIZE 28

enum sl_err
sl_snapshot_write(const struct sl_disk *disk, const char *name, uint64_t position,
                  struct sl_slice payload)
{
    struct sl_file *file = NULL;
    struct sl_buf head = {0};
    char *temp = sl_format("%s.tmp", name);
    sl_buf_append_u32(&head, MAGIC);
    sl_buf_append_u32(&head, VERSION);
    sl_buf_append_u64(&head, position);
    sl_buf_append_u64(&head, payload.size);
    uint32_t crc = sl_crc32c(0, head.data, head.size);
    sl_buf_append_u32(&head, sl_crc32c(crc, payload.data, payload.size));
    sl_assert(head.size == HEAD_SIZE);

    /* A longer leftover of an earlier try is harmless: the size is in the head. */
    enum sl_err err = disk->open(disk->self, temp, &file);
    if (err == SL_OK)
        err = disk->write(file, 0, head.data, head.size);
    if (err == SL_OK && payload.size > 0)
        err = disk->write(file, head.size, payload.data, payload.size);
    if (err == SL_OK)
        err = disk->sync(file);
    if (file != NULL)
        disk->close(&file);
    if (err == SL_OK)
        err = disk->rename(disk->self, temp, name);
    sl_buf_deinit(&head);
    sl_free(temp);
    return err;
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
    if (crc != sl_crc32c(sl_crc32c(0, buf->data, HEAD_SIZE - 4), payload.data, payload.size))
        return SL_ECORRUPT;
    if (version != VERSION)
        return SL_EVERSION;
    *ret_position = position;
    *ret_payload = payload;
    return SL_OK;
}
