/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of the arena share: objects whose bytes say which they are. */
#ifndef SL_TESTS_OBJECT_STORE_ARENA_SCENE_H
#define SL_TESTS_OBJECT_STORE_ARENA_SCENE_H

#include "object-store/arena.h"
#include "object-store/arena_reader.h"

#define SCENE_TENANT 42u

static inline struct sl_object_id
scene_id(uint64_t number)
{
    struct sl_object_id id;
    sl_assert(sl_object_id_named(SCENE_TENANT, sl_slice(&number, sizeof(number)), &id) == SL_OK);
    return id;
}

/* Every eight bytes are `mark`, the rest of a size that is no multiple is zero. */
static inline void
scene_fill(uint8_t *data, uint64_t size, uint64_t mark)
{
    memset(data, 0, size);
    for (uint64_t i = 0; i + 8 <= size; i += 8)
        memcpy(data + i, &mark, 8);
}

static inline bool
scene_is_whole(struct sl_slice bytes, uint64_t *ret_mark)
{
    uint64_t mark = 0, word;
    if (bytes.size >= 8)
        memcpy(&mark, bytes.data, 8);
    for (uint64_t i = 0; i + 8 <= bytes.size; i += 8) {
        memcpy(&word, bytes.data + i, 8);
        if (word != mark)
            return false;
    }
    *ret_mark = mark;
    return true;
}

static inline enum sl_err
scene_put(struct sl_object_arena *a, uint64_t number, uint64_t size, uint64_t mark)
{
    struct sl_object_id id = scene_id(number);
    struct sl_object_arena_draft draft;
    enum sl_err err = sl_object_arena_begin(a, size, &draft);
    if (err != SL_OK)
        return err;
    scene_fill(draft.data, size, mark);
    err = sl_object_arena_seal(a, &draft, &id, 1000);
    if (err != SL_OK)
        sl_object_arena_abort(a, &draft);
    return err;
}

/* What a client does over its socket, without one. */
static inline enum sl_err
scene_get(struct sl_object_arena *a, struct sl_object_reader *r, uint64_t number,
          struct sl_object_arena_ref *ret_ref)
{
    struct sl_object_id id = scene_id(number);
    enum sl_err err = sl_object_reader_get(r, &id, ret_ref);
    if (err != SL_EUNAVAIL)
        return err;
    int fd;
    uint64_t life;
    uint32_t segment = ret_ref->segment;
    err = sl_object_arena_segment_lookup(a, segment, &fd, &life);
    if (err == SL_OK)
        err = sl_object_reader_add_segment(r, segment, life, fd);
    return err == SL_OK ? sl_object_reader_get(r, &id, ret_ref) : err;
}

static inline struct sl_object_reader *
scene_reader(struct sl_object_arena *a, uint32_t *ret_number)
{
    struct sl_object_arena_grant grant;
    struct sl_object_reader *r = NULL;
    sl_assert(sl_object_arena_admit(a, &grant) == SL_OK);
    sl_assert(sl_object_reader_attach(grant.index_fd, grant.pins_fd, &r) == SL_OK);
    *ret_number = grant.reader;
    return r;
}

#endif
