/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/log_segment.h"

#include <endian.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "runtime/hash.h"

#define HEAD_MAGIC   0x676c6c73u /* "sllg" */
#define HEAD_VERSION 2
#define HEAD_SIZE    28   /* magic, version, first, salt, ordinal, crc */
#define HEAD_SECOND  2048 /* Offset of the second copy: in another sector. */
#define ZERO_STEP    ((size_t)1 << 20)

enum sl_err
sl_segment_create(const struct sl_disk *disk, const char *name, uint64_t size,
                  struct sl_segment **ret_segment)
{
    char temp[40];
    struct sl_segment *s = sl_zalloc(sizeof(*s));
    sl_assert(strlen(name) < sizeof(s->name));
    snprintf(s->name, sizeof(s->name), "%s", name);
    snprintf(temp, sizeof(temp), "%s.tmp", name);
    s->size = size;
    enum sl_err err = disk->open(disk->self, temp, &s->file);
    uint8_t *zeroes = sl_zalloc(ZERO_STEP);
    for (uint64_t at = 0; err == SL_OK && at < size; at += ZERO_STEP)
        err = disk->write(s->file, at, zeroes, SL_MIN(ZERO_STEP, size - at));
    sl_free(zeroes);
    if (err == SL_OK)
        err = disk->sync(s->file);
    if (err == SL_OK)
        err = disk->rename(disk->self, temp, name);
    if (err != SL_OK) {
        bool is_made = s->file != NULL;
        sl_segment_close(disk, &s);
        /* What a full disk took of it is room that others need. */
        enum sl_err ignored = is_made ? disk->remove(disk->self, temp) : SL_OK;
        (void)ignored;
        return err;
    }
    *ret_segment = s;
    return SL_OK;
}

void
sl_segment_close(const struct sl_disk *disk, struct sl_segment **segment)
{
    if (*segment == NULL)
        return;
    if ((*segment)->file != NULL)
        disk->close(&(*segment)->file);
    sl_free(*segment);
    *segment = NULL;
}

static bool
is_zero(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (data[i] != 0)
            return false;
    return true;
}

/* One copy of the head. SL_ENOTFOUND: a copy that was never written. */
static enum sl_err
read_head(const uint8_t *data, struct sl_segment *s)
{
    struct sl_reader r = sl_reader(sl_slice(data, HEAD_SIZE));
    if (is_zero(data, HEAD_SIZE))
        return SL_ENOTFOUND;
    uint32_t magic = sl_read_u32(&r);
    uint32_t version = sl_read_u32(&r);
    uint64_t first = sl_read_u64(&r);
    uint32_t salt = sl_read_u32(&r);
    uint32_t ordinal = sl_read_u32(&r);
    if (magic != HEAD_MAGIC || sl_read_u32(&r) != sl_crc32c(0, data, HEAD_SIZE - 4))
        return SL_ECORRUPT;
    if (version != HEAD_VERSION)
        return SL_EVERSION;
    if (first == 0 || first > INT64_MAX || ordinal == 0)
        return SL_ECORRUPT;
    if (ordinal > s->ordinal) { /* A torn rewrite leaves two good copies: the newer one counts. */
        s->ordinal = ordinal;
        s->first = first;
        s->last = first - 1;
        s->salt = salt;
    }
    return SL_OK;
}

/* Two copies in two sectors: one damaged or half-written sector never takes both. */
static enum sl_err
read_heads(const struct sl_disk *disk, struct sl_segment *s)
{
    uint8_t head[SL_SEGMENT_HEAD_SIZE];
    size_t size;
    enum sl_err err = disk->size(s->file, &s->size);
    if (err == SL_OK)
        err = disk->read(s->file, 0, head, sizeof(head), &size);
    if (err != SL_OK)
        return err;
    if (size < sizeof(head) || s->size > SL_SEGMENT_SIZE_MAX)
        return SL_ECORRUPT; /* Files get their name when they are whole. */
    enum sl_err one = read_head(head, s), two = read_head(head + HEAD_SECOND, s);
    if (one == SL_EVERSION || two == SL_EVERSION)
        return SL_EVERSION;
    s->is_damaged = one != SL_OK && two != SL_OK && (one == SL_ECORRUPT || two == SL_ECORRUPT);
    return SL_OK;
}

enum sl_err
sl_segment_open(const struct sl_disk *disk, const char *name, struct sl_segment **ret_segment)
{
    struct sl_segment *s = sl_zalloc(sizeof(*s));
    snprintf(s->name, sizeof(s->name), "%s", name);
    enum sl_err err = disk->open(disk->self, name, &s->file);
    if (err == SL_OK)
        err = read_heads(disk, s);
    if (err != SL_OK) {
        sl_segment_close(disk, &s);
        return err;
    }
    *ret_segment = s;
    return SL_OK;
}

enum sl_err
sl_segment_start(const struct sl_disk *disk, struct sl_segment *s, uint64_t first, uint32_t ordinal)
{
    uint8_t head[SL_SEGMENT_HEAD_SIZE] = {0};
    struct sl_buf buf = {0};
    s->first = first;
    s->last = first - 1;
    s->ordinal = ordinal;
    s->salt = disk->salt(disk->self);
    sl_buf_append_u32(&buf, HEAD_MAGIC);
    sl_buf_append_u32(&buf, HEAD_VERSION);
    sl_buf_append_u64(&buf, first);
    sl_buf_append_u32(&buf, s->salt);
    sl_buf_append_u32(&buf, ordinal);
    sl_buf_append_u32(&buf, sl_crc32c(0, buf.data, buf.size));
    sl_assert(buf.size == HEAD_SIZE);
    memcpy(head, buf.data, buf.size);
    memcpy(head + HEAD_SECOND, buf.data, buf.size);
    sl_buf_deinit(&buf);
    return disk->write(s->file, 0, head, sizeof(head));
}

enum sl_err
sl_segment_wipe(const struct sl_disk *disk, struct sl_segment *s)
{
    static const uint8_t head[SL_SEGMENT_HEAD_SIZE];
    s->first = s->last = 0;
    s->ordinal = 0;
    return disk->write(s->file, 0, head, sizeof(head));
}

enum sl_err
sl_segment_read(const struct sl_disk *disk, const struct sl_segment *segment, struct sl_buf *bytes)
{
    size_t size;
    sl_buf_clear(bytes);
    sl_buf_reserve(bytes, (size_t)segment->size);
    enum sl_err err = disk->read(segment->file, 0, bytes->data, (size_t)segment->size, &size);
    bytes->size = err == SL_OK ? size : 0;
    return err == SL_OK && size < segment->size ? SL_EIO : err;
}

static uint32_t
load_u32(const uint8_t *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof(v));
    return le32toh(v);
}

static uint64_t
load_u64(const uint8_t *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof(v));
    return le64toh(v);
}

/* The checksum of a record whose head is at `at`: of its size, and of all that follows the
 * checksum. */
static uint32_t
record_crc(const struct sl_segment *s, const uint8_t *at, size_t payload_size)
{
    uint32_t crc = sl_crc32c(s->salt, at, 4);
    return sl_crc32c(crc, at + 8, SL_SEGMENT_RECORD_HEAD - 8 + payload_size);
}

static void
store_u32(uint8_t *at, uint32_t v)
{
    v = htole32(v);
    memcpy(at, &v, sizeof(v));
}

static void
store_u64(uint8_t *at, uint64_t v)
{
    v = htole64(v);
    memcpy(at, &v, sizeof(v));
}

void
sl_segment_encode(const struct sl_segment *s, uint64_t position, uint64_t batch,
                  struct sl_slice payload, struct sl_buf *out)
{
    size_t whole = sl_segment_record_size(payload.size);
    size_t used = SL_SEGMENT_RECORD_HEAD + payload.size;
    sl_assert(payload.size <= UINT32_MAX / 2);
    sl_buf_reserve(out, whole);
    uint8_t *at = out->data + out->size;
    store_u32(at, (uint32_t)payload.size);
    store_u64(at + 8, position);
    store_u64(at + 16, batch);
    if (payload.size > 0)
        memcpy(at + SL_SEGMENT_RECORD_HEAD, payload.data, payload.size);
    memset(at + used, 0, whole - used);
    store_u32(at + 4, record_crc(s, at, payload.size));
    out->size += whole;
}

bool
sl_segment_decode(const struct sl_segment *s, struct sl_slice bytes, uint64_t offset,
                  struct sl_segment_record *ret_record)
{
    if (offset > bytes.size || bytes.size - offset < SL_SEGMENT_RECORD_HEAD)
        return false;
    const uint8_t *at = bytes.data + offset;
    uint32_t size = load_u32(at);
    uint64_t position = load_u64(at + 8), batch = load_u64(at + 16);
    /* Cheap to tell, and true of nearly all old bytes: a position that this segment cannot have.
     * Else looking for records among them would check large stretches over and over. */
    if (position < s->first || position - s->first > s->size / SL_SEGMENT_RECORD_HEAD ||
        batch == 0 || batch > position || size > bytes.size - offset - SL_SEGMENT_RECORD_HEAD ||
        load_u32(at + 4) != record_crc(s, at, size))
        return false;
    *ret_record = (struct sl_segment_record){
        .position = position,
        .batch = batch,
        .payload = sl_slice(at + SL_SEGMENT_RECORD_HEAD, size),
        .size = sl_segment_record_size(size),
    };
    return true;
}
