/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/model_service.h"

#include <assert.h>
#include <unistd.h>

#include "extractors/model_face.h"
#include "object-store/object_wire.h"
#include "runtime/alloc.h"

#define SERVICE_MAGIC 0x4d535643u
static_assert(SLUICE_MODEL_ID_BYTES_MAX == SL_OBJECT_MODEL_MAX, "every id can be asked for");

struct opened {
    char *id; /* NULL: free. */
    int fd;
    struct sl_model_face model;
};

struct sl_model_service {
    uint32_t magic;
    struct sl_model_source source;
    struct sl_cause why;
    struct sluice_models_v1 face;
    struct opened opened[SLUICE_MODELS_OPEN_MAX];
};

static struct sl_model_service *
of(void *self)
{
    struct sl_model_service *s = self;
    sl_assert(s != NULL && s->magic == SERVICE_MAGIC);
    return s;
}

static int
status_of(enum sl_err err)
{
    switch (err) {
    case SL_OK:
        return SLUICE_MODEL_OK;
    case SL_ENOTFOUND:
        return SLUICE_MODEL_ABSENT;
    case SL_EFULL:
    case SL_ENOMEM:
        return SLUICE_MODEL_FULL;
    case SL_EINVAL:
        return SLUICE_MODEL_REFUSED;
    default:
        return SLUICE_MODEL_AWAY;
    }
}

/* NULL: none is. */
static struct opened *
free_slot(struct sl_model_service *s)
{
    for (uint32_t i = 0; i < SLUICE_MODELS_OPEN_MAX; i++) {
        if (s->opened[i].id == NULL)
            return &s->opened[i];
    }
    return NULL;
}

static void
let_go(struct opened *o)
{
    sl_model_face_close(&o->model);
    (void)close(o->fd);
    sl_free(o->id);
    *o = (struct opened){0};
}

/* ---- the calls ----------------------------------------------------------------------------- */

static enum sl_err
map(struct sl_model_service *s, struct opened *o, const char *model_id, int fd)
{
    char *id = sl_strdup(model_id);
    const struct sl_model_names names = {.id = id};
    /* What a node gives is as it should be: it is the mapping that may be refused. */
    enum sl_err err = sl_model_face_open(&o->model, fd, &names, &s->why);
    if (err != SL_OK) {
        (void)close(fd);
        sl_free(id);
        return err == SL_EINVAL ? SL_ECORRUPT : err;
    }
    o->fd = fd;
    o->id = id;
    return SL_OK;
}

static int
open_model(void *self, const char *model_id, const struct sluice_model_v1 **ret)
{
    struct sl_model_service *s = of(self);
    struct opened *o = free_slot(s);
    size_t size = model_id == NULL ? 0 : strnlen(model_id, SLUICE_MODEL_ID_BYTES_MAX + 1);
    int fd = -1;
    s->why = (struct sl_cause){0};
    if (ret == NULL || size == 0 || size > SLUICE_MODEL_ID_BYTES_MAX)
        return status_of(sl_cause_set(&s->why, SL_EINVAL, "a model's id has 1 to %d bytes",
                                      SLUICE_MODEL_ID_BYTES_MAX));
    if (o == NULL)
        return status_of(sl_cause_set(&s->why, SL_EFULL, "%d models are open: close one",
                                      SLUICE_MODELS_OPEN_MAX));
    enum sl_err err = s->source.open(s->source.arg, sl_slice(model_id, size), &fd, &s->why);
    if (err == SL_OK)
        err = map(s, o, model_id, fd);
    if (err == SL_OK)
        *ret = &o->model.face;
    return status_of(err);
}

static int
close_model(void *self, const struct sluice_model_v1 *model)
{
    struct sl_model_service *s = of(self);
    for (uint32_t i = 0; model != NULL && i < SLUICE_MODELS_OPEN_MAX; i++) {
        struct opened *o = &s->opened[i];
        if (o->id == NULL || model != &o->model.face)
            continue;
        let_go(o);
        return SLUICE_MODEL_OK;
    }
    return SLUICE_MODEL_REFUSED;
}

static const char *
why(void *self)
{
    return of(self)->why.text;
}

/* ---- life ---------------------------------------------------------------------------------- */

struct sl_model_service *
sl_model_service_create(const struct sl_model_source *source)
{
    struct sl_model_service *s = sl_zalloc(sizeof(*s));
    s->magic = SERVICE_MAGIC;
    s->source = *source;
    s->face = (struct sluice_models_v1){
        .size = sizeof(s->face), .self = s, .open = open_model, .close = close_model, .why = why};
    return s;
}

void
sl_model_service_destroy(struct sl_model_service **service)
{
    struct sl_model_service *s = *service;
    if (s == NULL)
        return;
    *service = NULL;
    for (uint32_t i = 0; i < SLUICE_MODELS_OPEN_MAX; i++) {
        if (s->opened[i].id != NULL)
            let_go(&s->opened[i]);
    }
    s->magic = 0;
    sl_free(s);
}

const struct sluice_models_v1 *
sl_model_service_face(const struct sl_model_service *service)
{
    return &service->face;
}
