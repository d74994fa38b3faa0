/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/images.h"

#include <stdio.h>

#include "runtime/alloc.h"

#define PART_MAGIC    0x696d7074u
#define PATH_SIZE     (SL_IMAGE_NAME_SIZE + 8)
#define RESERVE_BYTES (128 * SL_MIB) /* Of the disk, for what else lives there. */

static const char part_suffix[] = ".part";
static const char list_suffix[] = ".list";

struct sl_image_part {
    uint32_t magic;
    const struct sl_images *images;
    struct sl_image_name name;
    struct sl_chunks chunks;
    struct sl_file *file;
    uint8_t *has; /* A byte a chunk: 1 once it is there. */
    uint32_t left;
};

/* ---- names --------------------------------------------------------------------------------- */

void
sl_image_name_text(const struct sl_image_name *name, char ret_text[static SL_IMAGE_NAME_SIZE])
{
    sl_hex(sl_slice(name->digest, sizeof(name->digest)), ret_text);
}

static int
digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
sl_image_name_read(const char *text, struct sl_image_name *ret_name)
{
    struct sl_image_name name;
    if (strnlen(text, SL_IMAGE_NAME_SIZE) != SL_IMAGE_NAME_SIZE - 1)
        return false;
    for (size_t i = 0; i < SL_SHA256_SIZE; i++) {
        int high = digit_of(text[2 * i]), low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        name.digest[i] = (uint8_t)(high << 4 | low);
    }
    *ret_name = name;
    return true;
}

static void
path_of(const struct sl_image_name *name, const char *suffix, char ret_path[static PATH_SIZE])
{
    sl_image_name_text(name, ret_path);
    (void)snprintf(ret_path + SL_IMAGE_NAME_SIZE - 1, PATH_SIZE - SL_IMAGE_NAME_SIZE + 1, "%s",
                   suffix);
}

static enum sl_err
find(const struct sl_images *images, const struct sl_image_name *name, const char *suffix,
     struct sl_file **ret_file)
{
    char path[PATH_SIZE];
    path_of(name, suffix, path);
    return images->disk.find(images->disk.self, path, ret_file);
}

static enum sl_err
drop(const struct sl_images *images, const struct sl_image_name *name, const char *suffix)
{
    char path[PATH_SIZE];
    path_of(name, suffix, path);
    enum sl_err err = images->disk.remove(images->disk.self, path);
    return err == SL_ENOTFOUND ? SL_OK : err;
}

/* ---- lists of chunks ----------------------------------------------------------------------- */

static bool
is_of(const struct sl_chunks *chunks, const struct sl_image_name *name)
{
    uint8_t digest[SL_SHA256_SIZE];
    if (chunks->count > SL_CHUNKS_COUNT_MAX ||
        chunks->count != (chunks->size_bytes + SL_CHUNK_BYTES - 1) / SL_CHUNK_BYTES)
        return false;
    sl_chunks_digest(chunks, digest);
    return memcmp(digest, name->digest, sizeof(digest)) == 0;
}

static enum sl_err
read_list(const struct sl_images *images, const struct sl_image_name *name,
          struct sl_chunks *ret_chunks)
{
    const struct sl_disk *disk = &images->disk;
    struct sl_file *file = NULL;
    struct sl_chunks chunks = {0};
    uint64_t size = 0;
    size_t done = 0;
    enum sl_err err = find(images, name, list_suffix, &file);
    if (err != SL_OK)
        return err;
    err = disk->size(file, &size);
    if (err == SL_OK && (size < 8 || (size - 8) % SL_SHA256_SIZE != 0 ||
                         (size - 8) / SL_SHA256_SIZE > SL_CHUNKS_COUNT_MAX))
        err = SL_ECORRUPT;
    if (err == SL_OK)
        err = disk->read(file, 0, &chunks.size_bytes, 8, &done);
    if (err == SL_OK && done == 8) {
        chunks.count = (uint32_t)((size - 8) / SL_SHA256_SIZE);
        chunks.digests = sl_alloc(SL_MAX((size_t)size - 8, (size_t)1));
        err = disk->read(file, 8, chunks.digests, (size_t)size - 8, &done);
    }
    disk->close(&file);
    if (err == SL_OK && is_of(&chunks, name)) {
        *ret_chunks = chunks;
        return SL_OK;
    }
    sl_chunks_deinit(&chunks);
    return err == SL_OK ? SL_ECORRUPT : err; /* A crash tore it: as if it were not there. */
}

static enum sl_err
write_list(const struct sl_images *images, const struct sl_image_name *name,
           const struct sl_chunks *chunks)
{
    const struct sl_disk *disk = &images->disk;
    struct sl_file *file = NULL;
    char path[PATH_SIZE];
    path_of(name, list_suffix, path);
    enum sl_err err = drop(images, name, list_suffix); /* Not to be longer than it is. */
    if (err == SL_OK)
        err = disk->open(disk->self, path, &file);
    if (err == SL_OK)
        err = disk->write(file, 0, &chunks->size_bytes, 8);
    if (err == SL_OK && chunks->count > 0)
        err = disk->write(file, 8, chunks->digests, (size_t)chunks->count * SL_SHA256_SIZE);
    disk->close(&file);
    return err;
}

static enum sl_err
hash_all(const struct sl_images *images, const struct sl_image_name *name,
         struct sl_chunks *ret_chunks)
{
    struct sl_file *file = NULL;
    enum sl_err err = find(images, name, "", &file);
    if (err != SL_OK)
        return err;
    struct sl_chunks_stream *stream = sl_chunks_create();
    uint8_t *data = sl_alloc(SL_CHUNK_BYTES);
    size_t size = SL_CHUNK_BYTES;
    for (uint64_t at = 0; err == SL_OK && size == SL_CHUNK_BYTES; at += size) {
        err = images->disk.read(file, at, data, SL_CHUNK_BYTES, &size);
        if (err == SL_OK)
            err = sl_chunks_update(stream, data, size);
    }
    sl_free(data);
    images->disk.close(&file);
    if (err == SL_OK)
        sl_chunks_finish(&stream, ret_chunks);
    sl_chunks_destroy(&stream);
    return err;
}

/* ---- whole ones ---------------------------------------------------------------------------- */

enum sl_err
sl_images_size(const struct sl_images *images, const struct sl_image_name *name,
               uint64_t *ret_size_bytes)
{
    struct sl_file *file = NULL;
    enum sl_err err = find(images, name, "", &file);
    if (err == SL_OK)
        err = images->disk.size(file, ret_size_bytes);
    images->disk.close(&file);
    return err;
}

enum sl_err
sl_images_chunks(const struct sl_images *images, const struct sl_image_name *name,
                 struct sl_chunks *ret_chunks)
{
    struct sl_chunks chunks = {0};
    uint64_t size = 0;
    enum sl_err err = sl_images_size(images, name, &size);
    if (err != SL_OK)
        return err;
    if (read_list(images, name, ret_chunks) == SL_OK)
        return SL_OK;
    err = hash_all(images, name, &chunks);
    if (err == SL_OK && !is_of(&chunks, name))
        err = SL_ECORRUPT;
    if (err == SL_OK && write_list(images, name, &chunks) != SL_OK)
        (void)drop(images, name, list_suffix); /* It is made again next time. */
    if (err == SL_OK)
        *ret_chunks = chunks;
    else
        sl_chunks_deinit(&chunks);
    return err;
}

enum sl_err
sl_images_read(const struct sl_images *images, const struct sl_image_name *name, uint32_t index,
               uint8_t *data, size_t *ret_size)
{
    struct sl_file *file = NULL;
    enum sl_err err = find(images, name, "", &file);
    if (err == SL_ENOTFOUND)
        err = find(images, name, part_suffix, &file);
    if (err == SL_ENOTFOUND) /* It may have become whole between the two. */
        err = find(images, name, "", &file);
    if (err != SL_OK)
        return err;
    err = images->disk.read(file, (uint64_t)index * SL_CHUNK_BYTES, data, SL_CHUNK_BYTES, ret_size);
    images->disk.close(&file);
    return err == SL_OK && *ret_size == 0 ? SL_EINVAL : err;
}

enum sl_err
sl_images_remove(const struct sl_images *images, const struct sl_image_name *name)
{
    enum sl_err err = drop(images, name, "");
    enum sl_err part = drop(images, name, part_suffix);
    enum sl_err list = drop(images, name, list_suffix);
    err = err == SL_OK ? part : err;
    return err == SL_OK ? list : err;
}

/* The next name in a listing, with what kind of file it is: its suffix. */
static bool
next_name(char **at, struct sl_image_name *ret_name, const char **ret_suffix)
{
    while (**at != '\0') {
        char *line = *at, *end = strchr(line, '\n');
        *at = end == NULL ? line + strlen(line) : end + 1;
        if (end != NULL)
            *end = '\0';
        char *dot = strchr(line, '.');
        *ret_suffix = dot == NULL                     ? ""
                      : strcmp(dot, part_suffix) == 0 ? part_suffix
                      : strcmp(dot, list_suffix) == 0 ? list_suffix
                                                      : NULL;
        if (dot != NULL)
            *dot = '\0';
        if (*ret_suffix != NULL && sl_image_name_read(line, ret_name))
            return true;
    }
    return false;
}

enum sl_err
sl_images_each(const struct sl_images *images,
               void (*found)(void *arg, const struct sl_image_name *name, uint64_t size_bytes),
               void *arg)
{
    struct sl_buf names = {0};
    struct sl_image_name name;
    const char *suffix;
    enum sl_err err = images->disk.list(images->disk.self, &names), first = err;
    sl_buf_append_u8(&names, '\0');
    for (char *at = (char *)names.data; next_name(&at, &name, &suffix);) {
        uint64_t size = 0;
        if (suffix[0] != '\0')
            continue;
        err = sl_images_size(images, &name, &size);
        if (err == SL_OK)
            found(arg, &name, size);
        else if (err != SL_ENOTFOUND && first == SL_OK)
            first = err;
    }
    sl_buf_deinit(&names);
    return first;
}

static bool
is_there(const struct sl_images *images, const struct sl_image_name *name, const char *suffix)
{
    struct sl_file *file = NULL;
    enum sl_err err = find(images, name, suffix, &file);
    images->disk.close(&file);
    return err != SL_ENOTFOUND;
}

uint32_t
sl_images_sweep(const struct sl_images *images,
                bool (*is_kept)(void *arg, const struct sl_image_name *name), void *arg)
{
    struct sl_buf names = {0};
    struct sl_image_name name;
    const char *suffix;
    uint32_t count = 0;
    (void)images->disk.list(images->disk.self, &names);
    sl_buf_append_u8(&names, '\0');
    for (char *at = (char *)names.data; next_name(&at, &name, &suffix);) {
        bool is_orphan = suffix == list_suffix && !is_there(images, &name, "") &&
                         !is_there(images, &name, part_suffix);
        if (is_kept(arg, &name) && !is_orphan)
            continue;
        count += drop(images, &name, suffix) == SL_OK;
    }
    sl_buf_deinit(&names);
    return count;
}

/* ---- parts --------------------------------------------------------------------------------- */

static void
check(const struct sl_image_part *part)
{
    sl_assert(part != NULL);
    sl_assert(part->magic == PART_MAGIC);
}

static uint64_t
offset_of(uint32_t index)
{
    return (uint64_t)index * SL_CHUNK_BYTES;
}

/* What a former part left: chunks are there if their bytes say so. */
static enum sl_err
take_stock(struct sl_image_part *part)
{
    const struct sl_disk *disk = &part->images->disk;
    uint64_t size = 0;
    enum sl_err err = disk->size(part->file, &size);
    uint8_t *data = sl_alloc(SL_CHUNK_BYTES);
    for (uint32_t i = 0; err == SL_OK && i < part->chunks.count && offset_of(i) < size; i++) {
        size_t done = 0;
        err = disk->read(part->file, offset_of(i), data, sl_chunk_size(&part->chunks, i), &done);
        if (err == SL_OK && sl_chunk_is(&part->chunks, i, sl_slice(data, done))) {
            part->has[i] = 1;
            part->left--;
        }
    }
    sl_free(data);
    return err;
}

static enum sl_err
check_room(const struct sl_image_part *part)
{
    const struct sl_disk *disk = &part->images->disk;
    uint64_t room = disk->room == NULL ? UINT64_MAX : disk->room(disk->self);
    uint64_t want = (uint64_t)part->left * SL_CHUNK_BYTES;
    return part->left > 0 && (room < RESERVE_BYTES || room - RESERVE_BYTES < want) ? SL_ENOSPC
                                                                                   : SL_OK;
}

static enum sl_err
open_part(struct sl_image_part *part, bool is_listed)
{
    const struct sl_disk *disk = &part->images->disk;
    char path[PATH_SIZE];
    path_of(&part->name, part_suffix, path);
    enum sl_err err = is_listed ? SL_OK : write_list(part->images, &part->name, &part->chunks);
    if (err == SL_OK)
        err = disk->open(disk->self, path, &part->file);
    if (err == SL_OK)
        err = take_stock(part);
    return err == SL_OK ? check_room(part) : err;
}

static struct sl_chunks
copy_of(const struct sl_chunks *chunks)
{
    size_t size = (size_t)chunks->count * SL_SHA256_SIZE;
    struct sl_chunks copy = *chunks;
    copy.digests = sl_alloc(SL_MAX(size, (size_t)1));
    if (size > 0)
        memcpy(copy.digests, chunks->digests, size);
    return copy;
}

enum sl_err
sl_image_part_begin(const struct sl_images *images, const struct sl_image_name *name,
                    const struct sl_chunks *chunks, struct sl_image_part **ret_part)
{
    struct sl_chunks known = {0};
    uint64_t size = 0;
    enum sl_err err = sl_images_size(images, name, &size);
    if (err == SL_OK)
        return SL_EEXIST;
    if (chunks != NULL && !is_of(chunks, name))
        return SL_EINVAL;
    err = read_list(images, name, &known);
    bool is_listed = err == SL_OK;
    if (!is_listed && chunks == NULL)
        return err == SL_ECORRUPT ? SL_ENOTFOUND : err;
    if (!is_listed)
        known = copy_of(chunks);
    struct sl_image_part *part = sl_zalloc(sizeof(*part));
    *part = (struct sl_image_part){.magic = PART_MAGIC,
                                   .images = images,
                                   .name = *name,
                                   .chunks = known,
                                   .has = sl_zalloc(SL_MAX(known.count, 1u)),
                                   .left = known.count};
    err = open_part(part, is_listed);
    if (err == SL_OK)
        *ret_part = part;
    else
        sl_image_part_close(&part);
    return err;
}

const struct sl_chunks *
sl_image_part_chunks(const struct sl_image_part *part)
{
    check(part);
    return &part->chunks;
}

bool
sl_image_part_has(const struct sl_image_part *part, uint32_t index)
{
    check(part);
    return index < part->chunks.count && part->has[index] != 0;
}

enum sl_err
sl_image_part_put(struct sl_image_part *part, uint32_t index, struct sl_slice data)
{
    check(part);
    if (!sl_chunk_is(&part->chunks, index, data))
        return SL_ECORRUPT;
    if (part->has[index] != 0)
        return SL_OK;
    const struct sl_disk *disk = &part->images->disk;
    enum sl_err err = disk->write(part->file, offset_of(index), data.data, data.size);
    if (err != SL_OK)
        return err;
    /* Begun now, so that the sync at the end has little left. What fails here fails there too. */
    (void)disk->flush(part->file, offset_of(index), data.size);
    part->has[index] = 1;
    part->left--;
    return SL_OK;
}

enum sl_err
sl_image_part_finish(struct sl_image_part **part)
{
    struct sl_image_part *p = *part;
    check(p);
    char from[PATH_SIZE], to[PATH_SIZE];
    path_of(&p->name, part_suffix, from);
    path_of(&p->name, "", to);
    const struct sl_disk *disk = &p->images->disk;
    uint64_t size = 0;
    enum sl_err err = p->left > 0 ? SL_EBUSY : disk->size(p->file, &size);
    if (err == SL_OK && size != p->chunks.size_bytes) { /* Nothing of ours writes behind its end. */
        err = SL_ECORRUPT;
        (void)drop(p->images, &p->name, part_suffix);
    }
    if (err == SL_OK)
        err = disk->sync(p->file);
    if (err == SL_OK)
        err = disk->rename(disk->self, from, to);
    sl_image_part_close(part);
    return err;
}

void
sl_image_part_close(struct sl_image_part **part)
{
    struct sl_image_part *p = *part;
    if (p == NULL)
        return;
    check(p);
    p->images->disk.close(&p->file);
    sl_chunks_deinit(&p->chunks);
    sl_free(p->has);
    p->magic = 0;
    sl_free(p);
    *part = NULL;
}
