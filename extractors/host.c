/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/host.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>

#include "extractors/host_results.h"
#include "extractors/model_face.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "runtime/report.h"

#define HOST_MAGIC   0x484F5354u
#define MEMORY_KINDS 2

struct sl_host {
    uint32_t magic;
    void *library;
    const struct sluice_extractor *extractor;
    void *instance;
    bool has_instance;
    bool has_model;
    struct sl_model_face model;
    bool (*is_cancelled)(void *self);
    void *self;
    const struct sluice_objects_v1 *objects;
    const struct sluice_models_v1 *models;
    /* What the plugin sees. */
    struct sluice_host face;
    struct sluice_log_v1 log;
    struct sluice_cancelled_v1 cancelled;
    struct sl_batch_service batch;
    struct sluice_memory_v1 memory;
    _Atomic uint64_t memory_bytes[MEMORY_KINDS];
};

/* ---- services ------------------------------------------------------------------------------ */

static void
write_log(void *self, int level, const char *event, const char *text)
{
    const struct sl_host *h = self;
    char line[512];
    snprintf(line, sizeof(line), "%s", text == NULL ? "" : text);
    for (char *c = line; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20)
            *c = ' '; /* One line is one event. */
    }
    enum sl_report_level known = level == SLUICE_LOG_DEBUG   ? SL_REPORT_DEBUG
                                 : level == SLUICE_LOG_WARN  ? SL_REPORT_WARN
                                 : level >= SLUICE_LOG_ERROR ? SL_REPORT_ERROR
                                                             : SL_REPORT_INFO;
    sl_report(known, "extractor", "name=%s event=%.64s %s", h->extractor->name,
              event == NULL ? "" : event, line);
}

static int
is_cancelled(void *self)
{
    const struct sl_host *h = self;
    return h->is_cancelled != NULL && h->is_cancelled(h->self);
}

static int
report_memory(void *self, int kind, uint64_t bytes)
{
    struct sl_host *h = self;
    if (kind < 0 || kind >= MEMORY_KINDS)
        return -1;
    atomic_store(&h->memory_bytes[kind], bytes);
    return 0;
}

static const void *
service(const struct sluice_host *face, const char *name)
{
    const struct sl_host *h = SL_CONTAINER(face, const struct sl_host, face);
    sl_assert(h->magic == HOST_MAGIC);
    if (strcmp(name, "log.v1") == 0)
        return &h->log;
    if (strcmp(name, "cancelled.v1") == 0)
        return &h->cancelled;
    if (strcmp(name, "batch.v1") == 0)
        return &h->batch.face;
    if (strcmp(name, "memory.v1") == 0)
        return &h->memory;
    if (strcmp(name, "model.v1") == 0 && h->has_model)
        return &h->model.face;
    if (strcmp(name, "objects.v1") == 0)
        return h->objects;
    if (strcmp(name, "models.v1") == 0)
        return h->models;
    return NULL;
}

static void
offer_services(struct sl_host *h, const struct sl_host_options *options)
{
    h->is_cancelled = options->is_cancelled;
    h->self = options->self;
    h->objects = options->objects;
    h->models = options->models;
    h->face = (struct sluice_host){
        .size = sizeof(h->face), .abi = SLUICE_EXTRACTOR_ABI, .service = service};
    h->log = (struct sluice_log_v1){.size = sizeof(h->log), .self = h, .write = write_log};
    h->cancelled = (struct sluice_cancelled_v1){
        .size = sizeof(h->cancelled), .self = h, .is_cancelled = is_cancelled};
    sl_batch_service_init(&h->batch);
    h->memory =
        (struct sluice_memory_v1){.size = sizeof(h->memory), .self = h, .report = report_memory};
}

/* ---- open and close ------------------------------------------------------------------------ */

static bool
is_word(const char *text, size_t size_max, const char *extra)
{
    size_t size = text == NULL ? 0 : strnlen(text, size_max + 1);
    if (size == 0 || size > size_max)
        return false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (!is_plain && strchr(extra, c) == NULL)
            return false;
    }
    return true;
}

static enum sl_err
check_extractor(const struct sluice_extractor *x, const struct sl_host_options *options,
                struct sl_cause *ret_cause)
{
    if (x == NULL || x->size < offsetof(struct sluice_extractor, name))
        return sl_cause_set(ret_cause, SL_EINVAL, "the plugin describes nothing");
    if (x->abi != SLUICE_EXTRACTOR_ABI)
        return sl_cause_set(ret_cause, SL_EVERSION,
                            "the plugin is built for version %u of the contract, this host has "
                            "version %d: build it again with this host's sluice/extractor.h",
                            x->abi, SLUICE_EXTRACTOR_ABI);
    if (x->size < sizeof(*x) || x->create == NULL || x->destroy == NULL || x->process == NULL)
        return sl_cause_set(ret_cause, SL_EINVAL, "the plugin lacks create, destroy or process");
    if (!is_word(x->name, 64, "") || x->name[0] < 'a' ||
        !is_word(x->version, 32, "ABCDEFGHIJKLMNOPQRSTUVWXYZ.-"))
        return sl_cause_set(ret_cause, SL_EINVAL, "the plugin's name or version is malformed");
    if (options->name != NULL && strcmp(x->name, options->name) != 0)
        return sl_cause_set(ret_cause, SL_EINVAL, "the plugin calls itself %s, not %s", x->name,
                            options->name);
    return SL_OK;
}

static enum sl_err
load(struct sl_host *h, const char *path, const struct sl_host_options *options,
     struct sl_cause *ret_cause)
{
    const struct sluice_extractor *(*entry)(void);
    if (path[0] != '/') /* Else the loader would go and search its own directories. */
        return sl_cause_set(ret_cause, SL_EINVAL, "the path of a plugin must be absolute");
    h->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (h->library == NULL)
        return sl_cause_set(ret_cause, SL_EUNAVAIL, "the plugin cannot be loaded: %s", dlerror());
    void *address = dlsym(h->library, SLUICE_EXTRACTOR_ENTRY_SYMBOL);
    if (address == NULL)
        return sl_cause_set(ret_cause, SL_EINVAL, "the file exports no %s: it is no plugin",
                            SLUICE_EXTRACTOR_ENTRY_SYMBOL);
    memcpy(&entry, &address, sizeof(entry));
    h->extractor = entry();
    return check_extractor(h->extractor, options, ret_cause);
}

static enum sl_err
create_instance(struct sl_host *h, const struct sl_host_options *options,
                struct sl_cause *ret_cause)
{
    struct sl_slice params = options->params.size == 0 ? sl_slice_str("{}") : options->params;
    struct sluice_config config = {.size = sizeof(config),
                                   .threads = options->threads,
                                   .params = (const char *)params.data,
                                   .params_bytes = params.size};
    struct sluice_error error = {.size = sizeof(error)};
    if ((h->extractor->flags & SLUICE_EXTRACTOR_NEEDS_MODEL) != 0 && !h->has_model)
        return sl_cause_set(ret_cause, SL_EINVAL, "%s needs a model", h->extractor->name);
    if ((h->extractor->flags & SLUICE_EXTRACTOR_NEEDS_OBJECTS) != 0 && h->objects == NULL)
        return sl_cause_set(ret_cause, SL_EUNAVAIL, "%s needs objects, and its node has no store",
                            h->extractor->name);
    if ((h->extractor->flags & SLUICE_EXTRACTOR_NEEDS_MODELS) != 0 && h->models == NULL)
        return sl_cause_set(ret_cause, SL_EUNAVAIL,
                            "%s needs models, and its work is of a collection from before it did, "
                            "or its node has no store",
                            h->extractor->name);
    h->has_instance = h->extractor->create(&h->face, &config, &h->instance, &error) == 0;
    h->batch.is_open = false;
    if (h->batch.why.text[0] != '\0') /* It may go on without. */
        sl_report_warn("batch-refused", "name=%s why=\"%s\" action=\"as if it stated nothing\"",
                       h->extractor->name, h->batch.why.text);
    if (h->has_instance)
        return SL_OK;
    error.code[sizeof(error.code) - 1] = '\0';
    error.message[sizeof(error.message) - 1] = '\0';
    return sl_cause_set(ret_cause, error.kind == SLUICE_ERROR_PERMANENT ? SL_EINVAL : SL_EUNAVAIL,
                        "%s does not start: %s: %s", h->extractor->name, error.code, error.message);
}

enum sl_err
sl_host_open(const char *path, const struct sl_host_options *options, struct sl_host **ret_host,
             struct sl_cause *ret_cause)
{
    struct sl_host *h = sl_zalloc(sizeof(*h));
    h->magic = HOST_MAGIC;
    enum sl_err err = load(h, path, options, ret_cause);
    if (err == SL_OK && options->has_model) {
        const struct sl_model_names names = {options->model_name, options->model_id};
        err = sl_model_face_open(&h->model, options->model_fd, &names, ret_cause);
        h->has_model = err == SL_OK;
    }
    if (err == SL_OK) {
        offer_services(h, options);
        err = create_instance(h, options, ret_cause);
    }
    if (err == SL_OK)
        *ret_host = h;
    else
        sl_host_close(&h);
    return err;
}

static enum sl_err
write_description(const struct sluice_extractor *x, struct sl_buf *out, struct sl_cause *ret_cause)
{
    const char *text = x->describe == NULL ? "{}" : x->describe();
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw w;
    enum sl_err err = text == NULL ? SL_EINVAL : sl_json_parse(sl_slice_str(text), &doc, NULL);
    if (err != SL_OK || sl_json_kind(sl_json_root(doc)) != SL_JSON_OBJECT) {
        sl_json_destroy(&doc);
        return sl_cause_set(ret_cause, SL_EINVAL, "what describe() of %s returns is no JSON object",
                            x->name);
    }
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "name", x->name);
    sl_jsonw_member_str(&w, "version", x->version);
    sl_jsonw_member_str(&w, "description", x->description == NULL ? "" : x->description);
    sl_jsonw_member_bool(&w, "needs_model", (x->flags & SLUICE_EXTRACTOR_NEEDS_MODEL) != 0);
    sl_jsonw_member_bool(&w, "needs_objects", (x->flags & SLUICE_EXTRACTOR_NEEDS_OBJECTS) != 0);
    sl_jsonw_member_bool(&w, "needs_models", (x->flags & SLUICE_EXTRACTOR_NEEDS_MODELS) != 0);
    sl_jsonw_member_bool(&w, "has_vectors", (x->flags & SLUICE_EXTRACTOR_HAS_VECTORS) != 0);
    sl_jsonw_member_value(&w, "describe", sl_json_root(doc));
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    sl_json_destroy(&doc);
    return SL_OK;
}

enum sl_err
sl_host_describe(const char *path, struct sl_buf *out, struct sl_cause *ret_cause)
{
    struct sl_host_options options = {0};
    struct sl_host *h = sl_zalloc(sizeof(*h));
    h->magic = HOST_MAGIC;
    enum sl_err err = load(h, path, &options, ret_cause);
    if (err == SL_OK)
        err = write_description(h->extractor, out, ret_cause);
    sl_host_close(&h);
    return err;
}

void
sl_host_close(struct sl_host **host)
{
    struct sl_host *h = *host;
    *host = NULL;
    if (h == NULL)
        return;
    sl_assert(h->magic == HOST_MAGIC);
    if (h->has_instance)
        h->extractor->destroy(h->instance);
    if (h->has_model)
        sl_model_face_close(&h->model);
    if (h->library != NULL)
        dlclose(h->library);
    h->magic = 0;
    sl_free(h);
}

const struct sluice_extractor *
sl_host_extractor_lookup(const struct sl_host *host)
{
    sl_assert(host->magic == HOST_MAGIC);
    return host->extractor;
}

enum sl_err
sl_host_health(struct sl_host *host, struct sl_cause *ret_cause)
{
    struct sluice_error error = {.size = sizeof(error)};
    sl_assert(host->magic == HOST_MAGIC);
    if (host->extractor->health == NULL || host->extractor->health(host->instance, &error) == 0)
        return SL_OK;
    error.code[sizeof(error.code) - 1] = '\0';
    error.message[sizeof(error.message) - 1] = '\0';
    return sl_cause_set(ret_cause, SL_EUNAVAIL, "%s: %s", error.code, error.message);
}

struct sl_batch_plan
sl_host_batch_plan(const struct sl_host *host, const struct sl_batch_override *override)
{
    sl_assert(host->magic == HOST_MAGIC);
    return sl_batch_service_plan(&host->batch, override);
}

const char *
sl_host_batch_unit(const struct sl_host *host)
{
    const char *unit = host->batch.stated.unit;
    return unit[0] == '\0' ? "item" : unit;
}

enum sl_err
sl_host_cost(struct sl_host *host, const struct sluice_item *item, uint64_t *ret_units,
             struct sl_cause *ret_cause)
{
    sl_assert(host->magic == HOST_MAGIC);
    return sl_batch_service_cost(&host->batch, host->instance, item, ret_units, ret_cause);
}

uint64_t
sl_host_memory(const struct sl_host *host, int kind)
{
    sl_assert(kind >= 0 && kind < MEMORY_KINDS);
    return atomic_load(&host->memory_bytes[kind]);
}

/* ---- process ------------------------------------------------------------------------------- */

static bool
has_object_params(const struct sluice_item *item)
{
    struct sl_json_doc *doc = NULL;
    if (item->params == NULL ||
        sl_json_parse(sl_slice(item->params, item->params_bytes), &doc, NULL) != SL_OK)
        return false;
    bool is = sl_json_kind(sl_json_root(doc)) == SL_JSON_OBJECT;
    sl_json_destroy(&doc);
    return is;
}

enum sl_err
sl_host_process(struct sl_host *host, const struct sluice_item *items, uint32_t count,
                struct sl_host_results *ret_results)
{
    sl_assert(host->magic == HOST_MAGIC);
    sl_assert(count >= 1 && items->size >= sizeof(*items));
    for (uint32_t i = 0; i < count; i++) {
        if (!has_object_params(SLUICE_AT(struct sluice_item, items, i)))
            return SL_EINVAL;
    }
    struct sl_collector *collector = sl_collector_create(count);
    int rc = host->extractor->process(host->instance, items, count, sl_collector_sink(collector));
    bool was_cancelled = is_cancelled(host);
    if (was_cancelled)
        sl_collector_finish(&collector, "cancelled", "cancelled before it was done", ret_results);
    else if (rc != 0)
        sl_collector_finish(&collector, "batch_failed", "the extractor gave up on the batch",
                            ret_results);
    else
        sl_collector_finish(&collector, "not_finished", "the extractor never finished this item",
                            ret_results);
    return was_cancelled ? SL_ECANCELED : SL_OK;
}
