/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/object_service.h"

#include <assert.h>

#include "object-store/arena.h"
#include "object-store/object_client.h"
#include "runtime/alloc.h"
#include "runtime/time.h"
#include "sluice/extractor.h"

#define SERVICE_MAGIC 0x4f535643u
#define TIMEOUT_NS    (10 * SL_SECOND_NS) /* It may have to spill. */
#define SLOT_BITS     8u
static_assert(SLUICE_OBJECTS_HELD_MAX < 1u << SLOT_BITS, "a handle has room for each slot");
static_assert(SLUICE_OBJECT_DIGEST_BYTES == SL_SHA256_SIZE, "ids are what the store's are");
static_assert(SLUICE_OBJECT_KEEP == SL_ARENA_KEEP, "the same word");

/* What the plugin has: a handle is its slot and how often the slot was used. */
struct held {
    enum { FREE, OBJECT, DRAFT } what;
    uint32_t uses;
    struct sl_object_ref object;
    struct sl_shared draft;
};

struct sl_object_service {
    uint32_t magic;
    uint64_t tenant;
    struct sl_object_client *client;
    struct sluice_objects_v1 face;
    struct held held[SLUICE_OBJECTS_HELD_MAX];
};

static struct sl_object_service *
of(void *self)
{
    struct sl_object_service *s = self;
    sl_assert(s != NULL && s->magic == SERVICE_MAGIC);
    return s;
}

static int
status_of(enum sl_err err)
{
    switch (err) {
    case SL_OK:
        return SLUICE_OBJECT_OK;
    case SL_ENOTFOUND:
        return SLUICE_OBJECT_ABSENT;
    case SL_EEXIST:
        return SLUICE_OBJECT_EXISTS;
    case SL_EFULL:
    case SL_ENOMEM:
    case SL_ENOSPC:
        return SLUICE_OBJECT_FULL;
    case SL_EINVAL:
    case SL_ETOOBIG:
        return SLUICE_OBJECT_REFUSED;
    default:
        return SLUICE_OBJECT_AWAY;
    }
}

static enum sl_err
read_id(const struct sl_object_service *s, const struct sluice_object_id *id,
        struct sl_object_id *ret_id)
{
    if (id == NULL || !SLUICE_HAS(id, digest))
        return SL_EINVAL;
    if (id->name_bytes > 0)
        return id->name == NULL
                   ? SL_EINVAL
                   : sl_object_id_named(s->tenant, sl_slice(id->name, id->name_bytes), ret_id);
    if (id->digest == NULL)
        return SL_EINVAL;
    *ret_id = (struct sl_object_id){.tenant = s->tenant, .kind = SL_OBJECT_CONTENT};
    memcpy(ret_id->key, id->digest, SLUICE_OBJECT_DIGEST_BYTES);
    return SL_OK;
}

/* ---- what is held -------------------------------------------------------------------------- */

/* NULL: all are taken. */
static struct held *
free_slot(struct sl_object_service *s)
{
    for (uint32_t i = 0; i < SLUICE_OBJECTS_HELD_MAX; i++) {
        if (s->held[i].what == FREE)
            return &s->held[i];
    }
    return NULL;
}

static uint32_t
take_slot(struct sl_object_service *s, struct held *h, int what)
{
    h->what = what;
    h->uses++;
    return h->uses << SLOT_BITS | (uint32_t)(h - s->held);
}

/* NULL: no such thing is held. */
static struct held *
slot_of(struct sl_object_service *s, uint32_t handle, int what)
{
    uint32_t at = handle & ((1u << SLOT_BITS) - 1);
    struct held *h = at < SLUICE_OBJECTS_HELD_MAX ? &s->held[at] : NULL;
    bool is_it = h != NULL && (int)h->what == what && h->uses << SLOT_BITS == (handle ^ at);
    return is_it ? h : NULL;
}

static void
let_go(struct sl_object_service *s, struct held *h)
{
    if (h->what == OBJECT)
        sl_object_client_release(s->client, &h->object);
    else if (h->what == DRAFT)
        sl_shared_destroy(&h->draft);
    h->what = FREE;
}

/* ---- the calls ----------------------------------------------------------------------------- */

static int
get(void *self, const struct sluice_object_id *id, struct sluice_object *ret)
{
    struct sl_object_service *s = of(self);
    struct sl_object_id known;
    struct held *h = free_slot(s);
    if (ret == NULL || !SLUICE_HAS(ret, data_bytes) || read_id(s, id, &known) != SL_OK)
        return SLUICE_OBJECT_REFUSED;
    if (h == NULL)
        return SLUICE_OBJECT_FULL;
    enum sl_err err = sl_object_client_get(s->client, &known, &h->object);
    if (err != SL_OK)
        return status_of(err);
    ret->handle = take_slot(s, h, OBJECT);
    ret->data = h->object.bytes.data;
    ret->data_bytes = h->object.bytes.size;
    return SLUICE_OBJECT_OK;
}

static int
release(void *self, const struct sluice_object *object)
{
    struct sl_object_service *s = of(self);
    bool is_one = object != NULL && SLUICE_HAS(object, handle);
    struct held *h = is_one ? slot_of(s, object->handle, OBJECT) : NULL;
    if (h == NULL)
        return SLUICE_OBJECT_REFUSED;
    let_go(s, h);
    return SLUICE_OBJECT_OK;
}

static int
put(void *self, const struct sluice_object_id *id, const void *data, uint64_t data_bytes,
    uint64_t rebuild_ns)
{
    struct sl_object_service *s = of(self);
    struct sl_object_id known;
    enum sl_err err = data == NULL || data_bytes == 0 ? SL_EINVAL : read_id(s, id, &known);
    if (err == SL_OK)
        err = sl_object_client_put(s->client, &known, sl_slice(data, data_bytes), rebuild_ns);
    return status_of(err);
}

static int
hand(void *self, const struct sluice_object_id *id, const void *data, uint64_t data_bytes,
     uint64_t rebuild_ns)
{
    struct sl_object_service *s = of(self);
    struct sl_object_id known;
    enum sl_err err = data == NULL || data_bytes == 0 ? SL_EINVAL : read_id(s, id, &known);
    if (err == SL_OK)
        err = sl_object_client_hand(s->client, &known, sl_slice(data, data_bytes), rebuild_ns);
    return status_of(err);
}

static int
begin(void *self, uint64_t data_bytes, struct sluice_object_draft *ret)
{
    struct sl_object_service *s = of(self);
    struct held *h = free_slot(s);
    if (ret == NULL || !SLUICE_HAS(ret, data_bytes) || data_bytes == 0)
        return SLUICE_OBJECT_REFUSED;
    if (h == NULL)
        return SLUICE_OBJECT_FULL;
    enum sl_err err = sl_object_client_begin(s->client, data_bytes, &h->draft);
    if (err != SL_OK)
        return status_of(err);
    ret->handle = take_slot(s, h, DRAFT);
    ret->data = h->draft.base;
    ret->data_bytes = data_bytes;
    return SLUICE_OBJECT_OK;
}

static struct held *
draft_of(struct sl_object_service *s, const struct sluice_object_draft *draft)
{
    return draft != NULL && SLUICE_HAS(draft, handle) ? slot_of(s, draft->handle, DRAFT) : NULL;
}

static int
seal(void *self, const struct sluice_object_draft *draft, const struct sluice_object_id *id,
     uint64_t rebuild_ns)
{
    struct sl_object_service *s = of(self);
    struct sl_object_id known;
    struct held *h = draft_of(s, draft);
    if (h == NULL)
        return SLUICE_OBJECT_REFUSED;
    enum sl_err err = read_id(s, id, &known);
    if (err == SL_OK)
        err = sl_object_client_seal(s->client, &h->draft, &known, rebuild_ns);
    let_go(s, h); /* It may not be written any more. */
    return status_of(err);
}

static int
discard(void *self, const struct sluice_object_draft *draft)
{
    struct sl_object_service *s = of(self);
    struct held *h = draft_of(s, draft);
    if (h == NULL)
        return SLUICE_OBJECT_REFUSED;
    let_go(s, h);
    return SLUICE_OBJECT_OK;
}

static int
forget(void *self, const struct sluice_object_id *id)
{
    struct sl_object_service *s = of(self);
    struct sl_object_id known;
    enum sl_err err = read_id(s, id, &known);
    return status_of(err == SL_OK ? sl_object_client_delete(s->client, &known) : err);
}

static void
digest(void *self, const void *data, uint64_t data_bytes, uint8_t *ret)
{
    (void)of(self);
    struct sl_object_id id;
    sl_object_id_content(0, sl_slice(data, data_bytes), &id);
    memcpy(ret, id.key, SLUICE_OBJECT_DIGEST_BYTES);
}

/* ---- life ---------------------------------------------------------------------------------- */

struct sl_object_service *
sl_object_service_create(int fd, uint64_t tenant)
{
    struct sl_object_service *s = sl_zalloc(sizeof(*s));
    s->magic = SERVICE_MAGIC;
    s->tenant = tenant;
    s->client = sl_object_client_create(fd, tenant, TIMEOUT_NS);
    s->face = (struct sluice_objects_v1){.size = sizeof(s->face),
                                         .self = s,
                                         .get = get,
                                         .release = release,
                                         .put = put,
                                         .hand = hand,
                                         .begin = begin,
                                         .seal = seal,
                                         .discard = discard,
                                         .remove = forget,
                                         .digest = digest};
    return s;
}

void
sl_object_service_destroy(struct sl_object_service **service)
{
    struct sl_object_service *s = *service;
    if (s == NULL)
        return;
    *service = NULL;
    for (uint32_t i = 0; i < SLUICE_OBJECTS_HELD_MAX; i++)
        let_go(s, &s->held[i]);
    sl_object_client_destroy(&s->client);
    s->magic = 0;
    sl_free(s);
}

struct sl_object_client *
sl_object_service_client(const struct sl_object_service *service)
{
    return service->client;
}

const struct sluice_objects_v1 *
sl_object_service_face(const struct sl_object_service *service)
{
    return &service->face;
}
