/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_room.h"

#include "runtime/alloc.h"

struct sl_image_kept {
    struct sl_image_name name;
    uint64_t size_bytes, used_ns;
    bool is_coming;
};

static void
check(const struct sl_image_room *room)
{
    sl_assert(room != NULL);
    sl_assert(room->count <= room->capacity && room->whole <= room->count);
}

void
sl_image_room_deinit(struct sl_image_room *room)
{
    check(room);
    sl_free(room->items);
    *room = (struct sl_image_room){0};
}

/* A scan is enough: a disk has some hundred models. */
static struct sl_image_kept *
kept_of(const struct sl_image_room *room, const struct sl_image_name *name)
{
    for (uint32_t i = 0; i < room->count; i++) {
        if (memcmp(&room->items[i].name, name, sizeof(*name)) == 0)
            return &room->items[i];
    }
    return NULL;
}

static struct sl_image_kept *
add(struct sl_image_room *room, const struct sl_image_name *name, uint64_t size_bytes)
{
    if (room->count == room->capacity) {
        room->capacity = SL_MAX(2 * room->capacity, 16u);
        room->items = sl_realloc(room->items, room->capacity * sizeof(room->items[0]));
    }
    struct sl_image_kept *kept = &room->items[room->count++];
    *kept = (struct sl_image_kept){.name = *name, .size_bytes = size_bytes, .is_coming = true};
    room->bytes += size_bytes;
    return kept;
}

static void
forget(struct sl_image_room *room, struct sl_image_kept *kept)
{
    room->bytes -= kept->size_bytes;
    room->whole -= !kept->is_coming;
    *kept = room->items[--room->count]; /* Order means nothing. */
}

void
sl_image_room_coming(struct sl_image_room *room, const struct sl_image_name *name,
                     uint64_t size_bytes)
{
    check(room);
    struct sl_image_kept *kept = kept_of(room, name);
    if (kept == NULL) {
        (void)add(room, name, size_bytes);
        return;
    }
    room->whole -= !kept->is_coming;
    kept->is_coming = true;
    room->bytes = room->bytes - kept->size_bytes + size_bytes;
    kept->size_bytes = size_bytes;
}

void
sl_image_room_here(struct sl_image_room *room, const struct sl_image_name *name,
                   uint64_t size_bytes, uint64_t used_ns)
{
    check(room);
    struct sl_image_kept *kept = kept_of(room, name);
    if (kept == NULL)
        kept = add(room, name, size_bytes);
    room->whole += kept->is_coming;
    kept->is_coming = false;
    kept->used_ns = SL_MAX(kept->used_ns, used_ns);
    room->bytes = room->bytes - kept->size_bytes + size_bytes;
    kept->size_bytes = size_bytes;
}

void
sl_image_room_drop(struct sl_image_room *room, const struct sl_image_name *name)
{
    check(room);
    struct sl_image_kept *kept = kept_of(room, name);
    if (kept != NULL)
        forget(room, kept);
}

enum sl_image_fit
sl_image_room_make(struct sl_image_room *room, uint64_t size_bytes, struct sl_image_name *ret_name)
{
    check(room);
    struct sl_image_kept *oldest = NULL;
    uint64_t staying = 0;
    if (room->bytes_max == 0)
        return SL_IMAGE_FITS;
    for (uint32_t i = 0; i < room->count; i++) {
        struct sl_image_kept *kept = &room->items[i];
        if (kept->is_coming)
            staying += kept->size_bytes;
        else if (oldest == NULL || kept->used_ns < oldest->used_ns)
            oldest = kept;
    }
    if (size_bytes > room->bytes_max)
        return SL_IMAGE_NEVER;
    if (staying > room->bytes_max - size_bytes)
        return SL_IMAGE_WAIT;
    if (room->bytes <= room->bytes_max - size_bytes)
        return SL_IMAGE_FITS;
    sl_assert(oldest != NULL); /* What stays would have room. */
    *ret_name = oldest->name;
    forget(room, oldest);
    return SL_IMAGE_EVICT;
}

const struct sl_image_name *
sl_image_room_name(const struct sl_image_room *room, uint32_t index)
{
    check(room);
    sl_assert(index < room->count);
    return &room->items[index].name;
}
