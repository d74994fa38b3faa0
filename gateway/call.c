/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/arena.h"
#include "gateway/gateway.h"
#include "gateway/route.h"
#include "runtime/alloc.h"

#define REPLY_BYTES 512 /* Of most replies: they are not to grow step by step. */

struct sl_call *
sl_call_create(void)
{
    struct sl_arena *arena = sl_arena_create();
    struct sl_call *call = sl_arena_alloc_raw(arena, sizeof(*call));
    memset(call, 0, offsetof(struct sl_call, query));
    call->arena = arena;
    call->status = 200;
    call->upload.fd = -1;
    call->reply_fd = -1;
    sl_buf_reserve(&call->reply, REPLY_BYTES);
    sl_jsonw_init(&call->out, &call->reply);
    return call;
}

void
sl_call_destroy(struct sl_call **call)
{
    sl_assert(call != NULL);
    if (*call == NULL)
        return;
    struct sl_call *dead = *call;
    *call = NULL;
    if (dead->state != NULL && dead->state_free != NULL)
        dead->state_free(dead->state);
    if (dead->upload.fd >= 0)
        (void)close(dead->upload.fd);
    if (dead->reply_fd >= 0)
        (void)close(dead->reply_fd);
    sl_json_destroy(&dead->body_doc);
    sl_buf_deinit(&dead->body_buf);
    sl_buf_deinit(&dead->reply);
    sl_buf_deinit(&dead->used.entries);
    struct sl_arena *arena = dead->arena; /* The call itself lies in it. */
    sl_arena_destroy(&arena);
}

static struct sl_slice
find(const struct sl_pair *pairs, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sl_slice_is(pairs[i].name, name))
            return pairs[i].value;
    }
    return sl_slice(NULL, 0);
}

struct sl_slice
sl_call_query(const struct sl_call *call, const char *name)
{
    return find(call->query, call->query_count, name);
}

struct sl_slice
sl_call_form(const struct sl_call *call, const char *name)
{
    return find(call->form, call->form_count, name);
}

bool
sl_call_query_bool(const struct sl_call *call, const char *name, bool fallback)
{
    struct sl_slice v = sl_call_query(call, name);
    if (sl_slice_is(v, "true") || sl_slice_is(v, "True") || sl_slice_is(v, "1"))
        return true;
    if (sl_slice_is(v, "false") || sl_slice_is(v, "False") || sl_slice_is(v, "0"))
        return false;
    return fallback;
}

struct sl_slice
sl_call_text(struct sl_call *call, struct sl_json v)
{
    struct sl_buf scratch = {0};
    struct sl_slice text;
    if (sl_json_text(v, &scratch, &text) != SL_OK) {
        sl_buf_deinit(&scratch);
        return sl_slice(NULL, 0);
    }
    text = sl_call_copy(call, text);
    sl_buf_deinit(&scratch);
    return text;
}

struct sl_json
sl_call_member(const struct sl_call *call, const char *name, const char *alias)
{
    struct sl_json v = sl_json_member(call->body, name);
    return sl_json_has(v) || alias == NULL ? v : sl_json_member(call->body, alias);
}

void *
sl_call_alloc(struct sl_call *call, size_t size)
{
    return sl_arena_alloc(call->arena, size);
}

static char *
format_args(struct sl_call *call, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    sl_assert(size >= 0);
    char *text = sl_call_alloc(call, (size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

char *
sl_call_format(struct sl_call *call, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = format_args(call, format, args);
    va_end(args);
    return text;
}

struct sl_slice
sl_call_copy(struct sl_call *call, struct sl_slice s)
{
    char *copy = sl_call_alloc(call, s.size + 1);
    if (s.size > 0)
        memcpy(copy, s.data, s.size);
    return sl_slice(copy, s.size);
}

void
sl_call_header(struct sl_call *call, const char *name, const char *value)
{
    if (call->headers_count == SL_COUNT_OF(call->headers))
        return;
    call->headers[call->headers_count++] =
        (struct sl_pair){.name = sl_slice_str(name), .value = sl_slice_str(value)};
}

/* ---- failing ------------------------------------------------------------------------------- */

#define DETAILS_MAX 8
#define INVALID_MAX 32

struct sl_failure {
    enum sl_api_error error;
    const char *message;
    struct {
        const char *name;
        struct sl_slice value;
        bool is_raw;
    } details[DETAILS_MAX];
    struct {
        const char *loc, *type, *message;
    } invalid[INVALID_MAX];
    uint32_t details_count, invalid_count;
};

static const struct {
    uint16_t status;
    const char *type;
} errors[] = {
#define API_ERROR(name, status, type) {status, type},
#include "gateway/error.def"
};

uint16_t
sl_api_error_status(enum sl_api_error error)
{
    sl_assert((unsigned)error < SL_API_ERROR_COUNT);
    return errors[error].status;
}

const char *
sl_api_error_type(enum sl_api_error error)
{
    sl_assert((unsigned)error < SL_API_ERROR_COUNT);
    return errors[error].type;
}

static bool
is_index(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return size > 0 && size < 10;
}

/* "body.stages.0.config" as ["body", "stages", 0, "config"]: what clients parse. */
static void
write_loc(struct sl_jsonw *w, const char *loc)
{
    sl_jsonw_array(w);
    for (const char *at = loc; at != NULL;) {
        const char *dot = strchr(at, '.');
        size_t size = dot == NULL ? strlen(at) : (size_t)(dot - at);
        if (is_index(at, size))
            sl_jsonw_raw(w, sl_slice(at, size));
        else
            sl_jsonw_slice(w, sl_slice(at, size));
        at = dot == NULL ? NULL : dot + 1;
    }
    sl_jsonw_end(w);
}

static void
write_details(const struct sl_call *call, const struct sl_failure *f, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "details");
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < f->details_count; i++) {
        if (f->details[i].is_raw)
            sl_jsonw_member_raw(w, f->details[i].name, f->details[i].value);
        else
            sl_jsonw_member_slice(w, f->details[i].name, f->details[i].value);
    }
    sl_jsonw_member_str(w, "request_id", call->request_id);
    sl_jsonw_end(w);
}

static void
write_invalid(const struct sl_failure *f, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "detail");
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < f->invalid_count; i++) {
        sl_jsonw_object(w);
        sl_jsonw_name(w, "loc");
        write_loc(w, f->invalid[i].loc);
        sl_jsonw_member_str(w, "msg", f->invalid[i].message);
        sl_jsonw_member_str(w, "type", f->invalid[i].type);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* Failures are rare and small: the reply is simply written anew whenever one grows. */
static void
render(struct sl_call *call)
{
    const struct sl_failure *f = call->failure;
    call->status = errors[f->error].status;
    sl_buf_clear(&call->reply);
    struct sl_jsonw *w = &call->out;
    sl_jsonw_init(w, &call->reply);
    sl_jsonw_object(w);
    sl_jsonw_member_bool(w, "success", false);
    sl_jsonw_member_u64(w, "status", call->status);
    sl_jsonw_name(w, "error");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "message", f->message);
    sl_jsonw_member_str(w, "type", errors[f->error].type);
    write_details(call, f, w);
    sl_jsonw_end(w);
    if (f->error == SL_API_INVALID)
        write_invalid(f, w);
    sl_jsonw_end(w);
    sl_jsonw_done(w);
}

static void
fail(struct sl_call *call, enum sl_api_error error, const char *message)
{
    struct sl_failure *f = sl_call_alloc(call, sizeof(*f));
    f->error = error;
    f->message = message;
    call->failure = f;
    call->headers_count = 0;
}

void
sl_call_fail(struct sl_call *call, enum sl_api_error error, const char *format, ...)
{
    sl_assert((unsigned)error < SL_API_ERROR_COUNT);
    va_list args;
    va_start(args, format);
    const char *message = format_args(call, format, args);
    va_end(args);
    fail(call, error, message);
    if (error == SL_API_INVALID) { /* Clients read `detail` of every 422. */
        call->failure->invalid[0].loc = "body";
        call->failure->invalid[0].type = "value_error";
        call->failure->invalid[0].message = message;
        call->failure->invalid_count = 1;
    }
    render(call);
}

static void
detail(struct sl_call *call, const char *name, struct sl_slice value, bool is_raw)
{
    struct sl_failure *f = call->failure;
    if (SL_BUG(f == NULL) || f->details_count == DETAILS_MAX)
        return;
    f->details[f->details_count].name = (const char *)sl_call_copy(call, sl_slice_str(name)).data;
    f->details[f->details_count].value = sl_call_copy(call, value);
    f->details[f->details_count++].is_raw = is_raw;
    render(call);
}

void
sl_call_detail(struct sl_call *call, const char *name, const char *text)
{
    detail(call, name, sl_slice_str(text), false);
}

void
sl_call_detail_raw(struct sl_call *call, const char *name, struct sl_slice json)
{
    detail(call, name, json, true);
}

void
sl_call_invalid(struct sl_call *call, const char *loc, const char *type, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *message = format_args(call, format, args);
    va_end(args);
    if (call->failure == NULL || call->failure->error != SL_API_INVALID)
        fail(call, SL_API_INVALID, sl_call_format(call, "%s: %s", loc, message));
    struct sl_failure *f = call->failure;
    if (f->invalid_count == INVALID_MAX)
        return;
    f->invalid[f->invalid_count].loc = (const char *)sl_call_copy(call, sl_slice_str(loc)).data;
    f->invalid[f->invalid_count].type = (const char *)sl_call_copy(call, sl_slice_str(type)).data;
    f->invalid[f->invalid_count++].message = message;
    render(call);
}

void
sl_call_not_found(struct sl_call *call, const char *resource, struct sl_slice id)
{
    sl_call_fail(call, SL_API_NOT_FOUND, "%s %.*s does not exist", resource, SL_SLICE_FMT(id));
    sl_call_detail(call, "resource", resource);
    detail(call, "id", id, false);
}

bool
sl_call_has_failed(const struct sl_call *call)
{
    return call->failure != NULL;
}

const char *
sl_call_failure(const struct sl_call *call)
{
    sl_assert(call->failure != NULL);
    return call->failure->message;
}

void
sl_call_reset(struct sl_call *call)
{
    call->failure = NULL;
    call->headers_count = 0;
    call->status = call->route == NULL ? 200 : call->route->success;
    sl_buf_clear(&call->reply);
    sl_jsonw_init(&call->out, &call->reply);
}

/* ---- waiting ------------------------------------------------------------------------------- */

const float *
sl_call_embedding(const struct sl_call *call, uint32_t *ret_dimensions)
{
    const float *const *vectors = sl_call_embeddings(call, ret_dimensions);
    return vectors == NULL ? NULL : vectors[0];
}

const float *const *
sl_call_embeddings(const struct sl_call *call, uint32_t *ret_dimensions)
{
    if (call->wait.error != SL_OK || call->wait.vectors == NULL)
        return NULL;
    *ret_dimensions = call->wait.dimensions;
    return call->wait.vectors;
}

enum sl_err
sl_call_wait_error(const struct sl_call *call, struct sl_slice *ret_message)
{
    const char *message = call->wait.message;
    if (ret_message != NULL)
        *ret_message = sl_slice_str(message == NULL ? sl_err_text(call->wait.error) : message);
    return call->wait.error;
}

void
sl_call_fail_wait(struct sl_call *call)
{
    struct sl_slice message;
    enum sl_err err = sl_call_wait_error(call, &message);
    enum sl_api_error error = SL_API_INTERNAL;
    const char *reason = err == SL_EFULL       ? "queue_full"
                         : err == SL_ETIMEOUT  ? "deadline"
                         : err == SL_ECRASHED  ? "replica_died"
                         : err == SL_ECANCELED ? "client_gone"
                         : err == SL_EUNAVAIL  ? "unavailable"
                                               : NULL;
    if (reason != NULL)
        error = SL_API_UNAVAILABLE;
    else if (err == SL_EINVAL || err == SL_ETOOBIG)
        error = SL_API_INVALID;
    if (error == SL_API_INTERNAL) /* What broke inside is in the log, not in the reply. */
        sl_call_fail(call, error, "the request could not be completed");
    else
        sl_call_fail(call, error, "%.*s", SL_SLICE_FMT(message));
    if (reason != NULL)
        sl_call_detail(call, "reason", reason);
}

/* ---- after the commit ---------------------------------------------------------------------- */

struct sl_after {
    struct sl_after *next;
    sl_after_fn *then;
    void *arg;
    bool is_undo; /* For when it is not committed. */
};

static void
add_after(struct sl_call *call, const struct sl_after *what)
{
    struct sl_after *after = sl_call_alloc(call, sizeof(*after));
    struct sl_after **at = &call->after; /* A call has a handful at most. */
    while (*at != NULL)
        at = &(*at)->next;
    *after = *what;
    *at = after;
}

void
sl_call_after_commit(struct sl_call *call, sl_after_fn *then, void *arg)
{
    add_after(call, &(struct sl_after){.then = then, .arg = arg});
}

void
sl_call_after_abort(struct sl_call *call, sl_after_fn *then, void *arg)
{
    add_after(call, &(struct sl_after){.then = then, .arg = arg, .is_undo = true});
}

void
sl_call_run_after(struct sl_call *call, bool is_committed)
{
    struct sl_after *after = call->after;
    call->after = NULL;
    for (; after != NULL; after = after->next) {
        if (after->is_undo != is_committed)
            after->then(call, after->arg);
    }
}

/* ---- shared -------------------------------------------------------------------------------- */

struct sl_queue *
sl_call_queue(const struct sl_call *call)
{
    return call->gateway->queue;
}

struct sl_index_cache *
sl_call_indexes(const struct sl_call *call)
{
    return call->gateway->indexes;
}

const char *
sl_call_data_directory(const struct sl_call *call)
{
    return call->gateway->data_directory;
}
