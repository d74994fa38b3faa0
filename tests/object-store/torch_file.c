/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/object-store/torch_file.h"

#include <stdio.h>

#include "runtime/alloc.h"

#define FLAG_DESCRIPTOR 0x0008u
#define FLAG_UTF8       0x0800u

static void
append_u16(struct sl_buf *b, uint32_t v)
{
    sl_buf_append_u8(b, (uint8_t)v);
    sl_buf_append_u8(b, (uint8_t)(v >> 8));
}

static bool
has_descriptor(const struct torch_entry *e)
{
    return e->size > 0 && !e->has_no_descriptor;
}

static uint32_t
flags_of(const struct torch_entry *e)
{
    return FLAG_UTF8 | e->flags | (has_descriptor(e) ? FLAG_DESCRIPTOR : 0);
}

static void
append_sizes(struct sl_buf *b, bool is_narrow, uint64_t size)
{
    for (int i = 0; i < 2; i++) {
        if (is_narrow)
            sl_buf_append_u32(b, (uint32_t)size);
        else
            sl_buf_append_u64(b, size);
    }
}

static void
append_local(struct sl_buf *b, const struct torch_entry *e)
{
    const char *name = e->local_name != NULL ? e->local_name : e->name;
    bool is_told = !has_descriptor(e);
    sl_buf_append_str(b, "PK\3\4");
    append_u16(b, 0);
    append_u16(b, flags_of(e));
    append_u16(b, e->method);
    sl_buf_append_u32(b, 0);
    sl_buf_append_u32(b, is_told ? e->crc : 0);
    append_sizes(b, true, is_told && e->is_wide ? UINT32_MAX : is_told ? e->size : 0);
    append_u16(b, (uint32_t)strlen(name));
    append_u16(b, is_told && e->is_wide ? 20 : 4);
    sl_buf_append_str(b, name);
    if (is_told && e->is_wide) {
        append_u16(b, 1);
        append_u16(b, 16);
        append_sizes(b, false, e->size);
    } else { /* Padding, as torch's. */
        sl_buf_append_str(b, "FB");
        append_u16(b, 0);
    }
    sl_buf_append(b, e->data, e->size);
    if (has_descriptor(e)) {
        sl_buf_append_str(b, "PK\7\10");
        sl_buf_append_u32(b, e->crc);
        append_sizes(b, !e->has_wide_descriptor, e->size);
    }
}

static void
append_central(struct sl_buf *b, const struct torch_entry *e, uint64_t offset)
{
    uint64_t size = e->size + e->central_size_add;
    offset += (uint64_t)e->central_offset_add;
    size_t comment_size = e->comment == NULL ? 0 : strlen(e->comment);
    sl_buf_append_str(b, "PK\1\2");
    sl_buf_append_u32(b, 0);
    append_u16(b, flags_of(e));
    append_u16(b, e->method);
    sl_buf_append_u32(b, 0);
    sl_buf_append_u32(b, e->crc);
    append_sizes(b, true, e->is_wide ? UINT32_MAX : size);
    append_u16(b, (uint32_t)strlen(e->name));
    append_u16(b, e->is_wide ? 28 : 0);
    append_u16(b, (uint32_t)comment_size);
    append_u16(b, 0);
    append_u16(b, 0);
    sl_buf_append_u32(b, 0);
    sl_buf_append_u32(b, e->is_wide ? UINT32_MAX : (uint32_t)offset);
    sl_buf_append_str(b, e->name);
    if (e->is_wide) {
        append_u16(b, 1);
        append_u16(b, 24);
        append_sizes(b, false, size);
        sl_buf_append_u64(b, offset);
    }
    sl_buf_append(b, e->comment, comment_size);
}

static void
append_end64(struct sl_buf *b, uint64_t count, uint64_t size, uint64_t offset)
{
    uint64_t at = b->size;
    sl_buf_append_str(b, "PK\6\6");
    sl_buf_append_u64(b, 44);
    sl_buf_append_u32(b, 0);
    sl_buf_append_u64(b, 0); /* Both disks. */
    sl_buf_append_u64(b, count);
    sl_buf_append_u64(b, count);
    sl_buf_append_u64(b, size);
    sl_buf_append_u64(b, offset);
    sl_buf_append_str(b, "PK\6\7");
    sl_buf_append_u32(b, 0);
    sl_buf_append_u64(b, at);
    sl_buf_append_u32(b, 1);
}

void
torch_archive_append(struct sl_buf *file, const struct torch_entry *entries, size_t count,
                     const struct torch_archive_options *options)
{
    static const struct torch_archive_options none;
    const struct torch_archive_options *o = options == NULL ? &none : options;
    uint64_t *offsets = sl_alloc(sizeof(*offsets) * SL_MAX(count, (size_t)1));
    if (o->front != NULL)
        sl_buf_append_str(file, o->front);
    for (size_t i = 0; i < count; i++) {
        offsets[i] = file->size;
        append_local(file, &entries[i]);
    }
    uint64_t directory = file->size;
    for (size_t i = 0; i < count; i++)
        append_central(file, &entries[i], offsets[i]);
    uint64_t size = file->size - directory;
    uint64_t stated = (uint64_t)((int64_t)count + o->count_add);
    if (!o->has_no_zip64)
        append_end64(file, stated, size, directory);
    sl_buf_append_str(file, "PK\5\6");
    append_u16(file, o->disk);
    append_u16(file, o->disk);
    append_u16(file, o->is_saturated ? UINT16_MAX : (uint32_t)stated);
    append_u16(file, o->is_saturated ? UINT16_MAX : (uint32_t)stated);
    sl_buf_append_u32(file, o->is_saturated ? UINT32_MAX : (uint32_t)size);
    sl_buf_append_u32(file, o->is_saturated ? UINT32_MAX : (uint32_t)directory);
    append_u16(file, o->comment == NULL ? 0 : (uint32_t)strlen(o->comment));
    if (o->comment != NULL)
        sl_buf_append_str(file, o->comment);
    if (o->behind != NULL)
        sl_buf_append_str(file, o->behind);
    sl_free(offsets);
}

#define STORAGES_MAX 16u

void
torch_file_append(struct sl_buf *file, struct sl_slice pickle, uint32_t storages_count,
                  size_t storage_size)
{
    struct torch_entry entries[STORAGES_MAX + 3] = {
        {.name = "m/data.pkl", .data = pickle.data, .size = pickle.size},
        {.name = "m/byteorder", .data = "little", .size = 6},
        {.name = "m/version", .data = "3\n", .size = 2}};
    char names[STORAGES_MAX][16];
    uint8_t *data = sl_zalloc(storage_size + 1);
    sl_assert(storages_count <= STORAGES_MAX);
    for (size_t i = 0; i < storage_size; i++)
        data[i] = (uint8_t)i;
    for (uint32_t i = 0; i < storages_count; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "m/data/%u", i);
        entries[3 + i] = (struct torch_entry){.name = names[i], .data = data, .size = storage_size};
    }
    torch_archive_append(file, entries, 3 + storages_count, NULL);
    sl_free(data);
}

void
torch_pickle_begin(struct sl_buf *pickle)
{
    sl_buf_append(pickle, "\x80\x02", 2);
}

void
torch_pickle_text(struct sl_buf *pickle, const char *text)
{
    sl_buf_append_u8(pickle, 'X');
    sl_buf_append_u32(pickle, (uint32_t)strlen(text));
    sl_buf_append_str(pickle, text);
}

void
torch_pickle_int(struct sl_buf *pickle, int64_t number)
{
    if (number >= 0 && number < 256) {
        sl_buf_append_u8(pickle, 'K');
        sl_buf_append_u8(pickle, (uint8_t)number);
    } else if (number == (int32_t)number) {
        sl_buf_append_u8(pickle, 'J');
        sl_buf_append_u32(pickle, (uint32_t)number);
    } else {
        sl_buf_append(pickle, "\x8a\x08", 2);
        sl_buf_append_u64(pickle, (uint64_t)number);
    }
}

void
torch_pickle_global(struct sl_buf *pickle, const char *module, const char *name)
{
    sl_buf_printf(pickle, "c%s\n%s\n", module, name);
}

static void
append_tuple(struct sl_buf *pickle, uint32_t count, const int64_t *numbers)
{
    sl_buf_append_u8(pickle, '(');
    for (uint32_t i = 0; i < count; i++)
        torch_pickle_int(pickle, numbers[i]);
    sl_buf_append_u8(pickle, 't');
}

void
torch_pickle_tensor(struct sl_buf *pickle, const struct torch_tensor *t)
{
    torch_pickle_global(pickle, "torch._utils", "_rebuild_tensor_v2");
    sl_buf_append_str(pickle, "((");
    torch_pickle_text(pickle, "storage");
    torch_pickle_global(pickle, "torch", t->storage);
    torch_pickle_text(pickle, t->key);
    torch_pickle_text(pickle, "cpu");
    torch_pickle_int(pickle, t->storage_count);
    sl_buf_append_str(pickle, "tQ");
    torch_pickle_int(pickle, t->offset);
    append_tuple(pickle, t->dims_count, t->shape);
    append_tuple(pickle, t->dims_count, t->strides);
    sl_buf_append_u8(pickle, 0x89);
    torch_pickle_global(pickle, "collections", "OrderedDict");
    sl_buf_append_str(pickle, ")RtR");
}
