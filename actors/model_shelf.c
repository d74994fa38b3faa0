/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/model_shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "actors/image_message.h"
#include "object-store/intake_child.h"
#include "object-store/memory_room.h"
#include "object-store/model.h"
#include "object-store/shared_memory.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

/* The agent's only work on the I/O pool. */
#define TOKEN_BUILD 3
#define TOKEN_CLOSE 4
#define FETCHES_MAX 3 /* Of one load: an image may be removed for others before it is read. */

static const char no_place[] = "this node holds as many models as it may";

enum model_state { MODEL_NONE, MODEL_LOADING, MODEL_READY, MODEL_FAILED };

struct sl_shelved_model {
    char *directory; /* NULL: a free slot. */
    enum model_state state;
    int fd;
    uint64_t size_bytes;
    char *error;
    struct sl_msg *calls; /* Who waits for it, linked by next. */
    bool is_dropped;      /* While it was loading: what comes of that is not to be used. */
    bool is_evicted;      /* It goes once nobody uses it. */
    enum sl_err err;      /* FAILED: why. */
    uint64_t fetch;       /* LOADING: the call that fetches its image; 0: none. */
    uint32_t fetches;     /* Of this load. */
};

struct sl_kept_file {
    char *directory;
    uint64_t pid, fd, inode; /* It is that process's, if it still is. */
};

/* The image that a directory's name tells: what follows its last '.'. */
static bool
image_of(const char *directory, struct sl_image_name *ret_name)
{
    const char *slash = strrchr(directory, '/');
    const char *dot = strrchr(slash == NULL ? directory : slash, '.');
    return dot != NULL && sl_image_name_read(dot + 1, ret_name);
}

/* A model being built on the I/O pool. */
struct build {
    char *directory; /* As the messages name it. */
    char *path;
    char *image;                            /* As it was fetched; NULL: look in `path`. */
    bool is_absent;                         /* It is not on this machine. */
    bool is_kept;                           /* It was in memory, and the head had it. */
    uint64_t kept_pid, kept_fd, kept_inode; /* Where to look for that; inode 0: nowhere. */
    int fd;
    enum sl_err err;
    struct sl_cause cause;
    uint64_t size_bytes; /* At first what is expected; 0: not known. */
};

static void
clear(struct sl_shelved_model *m)
{
    if (m->fd >= 0)
        close(m->fd);
    sl_free(m->directory);
    sl_free(m->error);
    *m = (struct sl_shelved_model){.fd = -1};
}

/* Its place, new if need be; NULL: all are taken. That of one that failed is given to another. */
static struct sl_shelved_model *
model_of(struct sl_model_shelf *shelf, struct sl_slice directory)
{
    struct sl_shelved_model *free_model = NULL, *failed = NULL;
    for (uint32_t i = 0; i < SL_SHELF_MODELS_MAX; i++) {
        struct sl_shelved_model *m = &shelf->models[i];
        if (m->directory == NULL)
            free_model = free_model == NULL ? m : free_model;
        else if (sl_slice_is(directory, m->directory))
            return m;
        else if (m->state == MODEL_FAILED)
            failed = m;
    }
    if (free_model == NULL && failed != NULL) {
        clear(failed);
        free_model = failed;
    }
    if (free_model != NULL)
        *free_model = (struct sl_shelved_model){
            .directory = sl_strndup(directory.data, directory.size), .fd = -1};
    return free_model;
}

void
sl_model_shelf_init(struct sl_model_shelf *shelf, const char *data_directory,
                    const char *images_directory)
{
    *shelf = (struct sl_model_shelf){
        .data_directory = data_directory,
        .images_directory = images_directory,
        .models = sl_zalloc(SL_SHELF_MODELS_MAX * sizeof(struct sl_shelved_model)),
        .kept = sl_zalloc(SL_SHELF_MODELS_MAX * sizeof(struct sl_kept_file))};
}

void
sl_model_shelf_deinit(struct sl_model_shelf *shelf)
{
    for (uint32_t i = 0; shelf->models != NULL && i < SL_SHELF_MODELS_MAX; i++) {
        struct sl_shelved_model *m = &shelf->models[i];
        for (struct sl_msg *call = m->calls, *next; call != NULL; call = next) {
            next = call->next;
            sl_msg_destroy(&call);
        }
        if (m->directory != NULL)
            clear(m);
    }
    for (uint32_t i = 0; i < shelf->kept_count; i++)
        sl_free(shelf->kept[i].directory);
    sl_free(shelf->kept);
    sl_free(shelf->models);
    *shelf = (struct sl_model_shelf){0};
}

/* ---- what the head keeps --------------------------------------------------------------------- */

static struct sl_kept_file *
kept_of(const struct sl_model_shelf *shelf, struct sl_slice directory)
{
    for (uint32_t i = 0; i < shelf->kept_count; i++) {
        if (sl_slice_is(directory, shelf->kept[i].directory))
            return &shelf->kept[i];
    }
    return NULL;
}

void
sl_model_shelf_keep(struct sl_model_shelf *shelf, const struct sl_m_model_kept *m)
{
    struct sl_kept_file *k = kept_of(shelf, m->directory);
    if (k == NULL && shelf->kept_count == SL_SHELF_MODELS_MAX)
        return; /* It will be built. */
    if (k == NULL) {
        k = &shelf->kept[shelf->kept_count++];
        k->directory = sl_strndup(m->directory.data, m->directory.size);
    }
    k->pid = m->pid;
    k->fd = m->fd;
    k->inode = m->inode;
}

/* The head too has heard of it, perhaps before what this node told it of a file of that model. */
static void
drop_kept(struct sl_model_shelf *shelf, struct sl_ctx *ctx, struct sl_slice directory)
{
    struct sl_kept_file *k = kept_of(shelf, directory);
    sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), SL_M_model_drop,
            &(struct sl_m_model_drop){.directory = directory});
    if (k == NULL)
        return;
    sl_free(k->directory);
    *k = shelf->kept[--shelf->kept_count];
}

static void
tell_head(struct sl_ctx *ctx, const struct build *b)
{
    struct sl_m_model_kept m = {.directory = sl_slice_str(b->directory),
                                .fd = (uint64_t)b->fd,
                                .inode = b->kept_inode,
                                .size_bytes = b->size_bytes};
    sl_send(ctx, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), SL_M_model_kept, &m);
}

/* ---- building ------------------------------------------------------------------------------ */

/* Since there are images, '.' and the image's digest end the directory's name. */
static bool
is_of_older_kind(const char *directory)
{
    const char *name = strrchr(directory, '/');
    return strchr(name == NULL ? directory : name, '.') == NULL;
}

static void
build_local(struct build *b)
{
    int directory = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        b->is_absent = errno == ENOENT;
        b->err = SL_ENOTFOUND;
        snprintf(b->cause.text, sizeof(b->cause.text), "its files are not there");
        return;
    }
    int image = openat(directory, SL_INTAKE_IMAGE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (image >= 0)
        b->err = sl_model_load(image, &b->fd, &b->cause);
    else if (is_of_older_kind(b->directory))
        b->err = sl_model_build(directory, NULL, &b->fd, &b->cause);
    else
        b->err =
            sl_cause_set(&b->cause, sl_err_from_errno(errno), "its image: %s", strerror(errno));
    if (image >= 0)
        close(image);
    close(directory);
}

static void
build_fetched(struct build *b)
{
    int image = open(b->image, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    b->is_absent = image < 0 && errno == ENOENT;
    if (image < 0) {
        b->err = sl_cause_set(&b->cause, sl_err_from_errno(errno),
                              "its image, as it was fetched: %s", strerror(errno));
        return;
    }
    b->err = sl_model_load(image, &b->fd, &b->cause);
    close(image);
}

static void
build_model(void *argument)
{
    struct build *b = argument;
    if (b->kept_inode != 0 &&
        sl_model_reopen(b->kept_pid, b->kept_fd, b->kept_inode, &b->fd) == SL_OK) {
        b->is_kept = true;
        b->size_bytes = (uint64_t)lseek(b->fd, 0, SEEK_END);
        return;
    }
    if (!sl_shared_has_memory(b->size_bytes)) {
        b->err = sl_cause_set(&b->cause, SL_ENOMEM,
                              "it takes %" PRIu64 " MiB of memory and %" PRIu64
                              " MiB are free: evict models, or use a node with more",
                              b->size_bytes / SL_MIB, sl_memory_available("") / SL_MIB);
        return;
    }
    if (b->image != NULL)
        build_fetched(b);
    else
        build_local(b);
    if (b->err == SL_OK) {
        b->size_bytes = (uint64_t)lseek(b->fd, 0, SEEK_END);
        b->kept_inode = sl_model_inode(b->fd);
    }
}

static void
start_build_of(struct sl_model_shelf *shelf, struct sl_ctx *ctx, struct sl_shelved_model *m,
               const struct sl_image_name *fetched)
{
    struct build *b = sl_zalloc(sizeof(*b));
    b->directory = sl_strdup(m->directory);
    b->path = sl_format("%s/%s", shelf->data_directory, m->directory);
    b->fd = -1;
    b->size_bytes = m->size_bytes;
    const struct sl_kept_file *kept = kept_of(shelf, sl_slice_str(m->directory));
    if (kept != NULL) {
        b->kept_pid = kept->pid;
        b->kept_fd = kept->fd;
        b->kept_inode = kept->inode;
    }
    if (fetched != NULL) {
        char name[SL_IMAGE_NAME_SIZE];
        sl_image_name_text(fetched, name);
        b->image = sl_format("%s/%s", shelf->images_directory, name);
    }
    m->state = MODEL_LOADING;
    sl_work(ctx, build_model, b, TOKEN_BUILD);
}

static void
start_build(struct sl_model_shelf *shelf, struct sl_ctx *ctx, struct sl_shelved_model *m)
{
    m->fetch = 0;
    m->fetches = 0;
    start_build_of(shelf, ctx, m, NULL);
}

/* Fetch what is not on this machine. False: there is no way, or it was tried often enough. */
static bool
fetch(struct sl_model_shelf *shelf, struct sl_ctx *ctx, struct sl_shelved_model *m)
{
    struct sl_image_name name;
    if (shelf->images_directory == NULL || m->fetches == FETCHES_MAX ||
        !image_of(m->directory, &name))
        return false;
    struct sl_m_image_fetch want = {.name = sl_image_name_bytes(&name)};
    m->fetches++;
    m->fetch = ++shelf->fetch_last;
    sl_request(ctx, sl_at(0, SL_ACTOR_IMAGES), m->fetch, SL_M_image_fetch, &want);
    return true;
}

static void
tell_loaded(struct sl_ctx *ctx, const struct sl_shelved_model *m, const struct sl_msg *call,
            bool is_cached)
{
    struct sl_m_model_loaded reply = {.err = m->err,
                                      .message = sl_slice_str(m->error == NULL ? "" : m->error),
                                      .size_bytes = m->size_bytes,
                                      .is_cached = is_cached};
    sl_reply(ctx, call, SL_M_model_loaded, &reply);
}

/* False: it goes on. */
static bool
take_build(struct sl_model_shelf *shelf, struct sl_ctx *ctx, struct sl_shelved_model *m,
           struct build *b)
{
    if (m->is_dropped) { /* Its files may be others by now. */
        m->is_dropped = false;
        if (m->calls == NULL)
            clear(m);
        else
            start_build(shelf, ctx, m);
        return true;
    }
    if (b->is_absent && fetch(shelf, ctx, m))
        return false;
    const char *why = b->cause.text[0] != '\0' ? b->cause.text : sl_err_text(b->err);
    m->state = b->err == SL_OK ? MODEL_READY : MODEL_FAILED;
    m->fd = b->fd;
    m->size_bytes = b->size_bytes;
    m->err = b->err;
    m->error = b->err == SL_OK ? NULL : sl_strdup(why);
    if (b->err == SL_OK && !b->is_kept && !m->is_evicted)
        tell_head(ctx, b);
    b->fd = -1;
    for (struct sl_msg *call = m->calls, *next; call != NULL; call = next) {
        next = call->next;
        tell_loaded(ctx, m, call, b->is_kept);
        sl_msg_destroy(&call);
    }
    m->calls = NULL;
    return true;
}

static struct sl_shelved_model *
fetching(const struct sl_model_shelf *shelf, uint64_t request)
{
    for (uint32_t i = 0; request != 0 && i < SL_SHELF_MODELS_MAX; i++) {
        if (shelf->models[i].directory != NULL && shelf->models[i].fetch == request)
            return &shelf->models[i];
    }
    return NULL;
}

static bool
take_fetched(struct sl_model_shelf *shelf, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_image_fetched *done = SL_BODY(msg, image_fetched);
    struct sl_shelved_model *m = fetching(shelf, msg->request);
    struct sl_image_name name;
    if (m == NULL || !image_of(m->directory, &name))
        return false;
    m->fetch = 0;
    if (done->err == SL_OK && !m->is_dropped) {
        start_build_of(shelf, ctx, m, &name);
        return false;
    }
    /* Another model of the same image was deleted meanwhile. */
    struct build b = {.fd = -1, .is_absent = done->err == SL_ECANCELED};
    b.err = sl_cause_set(&b.cause, done->err < SL_ERR_COUNT ? (enum sl_err)done->err : SL_EBUG,
                         "its image cannot be fetched: %.*s", SL_SLICE_FMT(done->message));
    return take_build(shelf, ctx, m, &b);
}

static bool
take_built(struct sl_model_shelf *shelf, struct sl_ctx *ctx, const struct sl_m_work_done *done)
{
    if (done->token != TOKEN_BUILD)
        return false;
    struct build *b = (struct build *)(uintptr_t)done->argument;
    struct sl_shelved_model *m = model_of(shelf, sl_slice_str(b->directory));
    bool is_over = true;
    if (m != NULL && m->state == MODEL_LOADING)
        is_over = take_build(shelf, ctx, m, b);
    sl_report_info(b->is_kept ? "model-there"
                   : is_over  ? "model-built"
                              : "model-fetching",
                   "directory=%s err=%s bytes=%" PRIu64, b->directory, sl_err_name(b->err),
                   b->size_bytes);
    if (b->fd >= 0)
        close(b->fd);
    sl_free(b->directory);
    sl_free(b->path);
    sl_free(b->image);
    sl_free(b);
    return is_over;
}

bool
sl_model_shelf_take_step(struct sl_model_shelf *shelf, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    return msg->id == SL_M_image_fetched ? take_fetched(shelf, ctx, msg)
                                         : take_built(shelf, ctx, SL_BODY(msg, work_done));
}

/* ---- asking, dropping ---------------------------------------------------------------------- */

struct sl_model_file
sl_model_shelf_want(struct sl_model_shelf *shelf, struct sl_ctx *ctx, struct sl_slice directory)
{
    struct sl_shelved_model *m = model_of(shelf, directory);
    if (m == NULL)
        return (struct sl_model_file){.fd = -1, .error = sl_strdup(no_place)};
    if (m->state == MODEL_NONE)
        start_build(shelf, ctx, m);
    struct sl_model_file file = {
        .is_ready = m->state == MODEL_READY, .fd = m->fd, .size_bytes = m->size_bytes};
    if (m->state == MODEL_FAILED) {
        file.error = sl_format("its model cannot be loaded: %s", m->error);
        clear(m);
    }
    return file;
}

void
sl_model_shelf_load(struct sl_model_shelf *shelf, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_shelved_model *m = model_of(shelf, SL_BODY(msg, model_load)->directory);
    if (m == NULL) {
        struct sl_m_model_loaded full = {.err = SL_EFULL, .message = sl_slice_str(no_place)};
        sl_reply(ctx, msg, SL_M_model_loaded, &full);
        return;
    }
    m->is_evicted = false;
    if (m->state == MODEL_READY) {
        tell_loaded(ctx, m, msg, true);
        return;
    }
    struct sl_msg *call = sl_msg_create(msg->id, msg->body);
    call->from = msg->from;
    call->request = msg->request;
    call->next = m->calls;
    m->calls = call;
    if (m->state != MODEL_LOADING) {
        sl_free(m->error);
        m->error = NULL;
        m->size_bytes = SL_BODY(msg, model_load)->size_bytes;
        start_build(shelf, ctx, m);
    }
}

void
sl_model_shelf_evict(struct sl_model_shelf *shelf, struct sl_ctx *ctx, struct sl_slice directory)
{
    drop_kept(shelf, ctx, directory);
    for (uint32_t i = 0; i < SL_SHELF_MODELS_MAX; i++) {
        struct sl_shelved_model *m = &shelf->models[i];
        if (m->directory != NULL && sl_slice_is(directory, m->directory))
            m->is_evicted = true;
    }
}

const char *
sl_model_shelf_evicted(const struct sl_model_shelf *shelf, uint32_t *at)
{
    while (*at < SL_SHELF_MODELS_MAX) {
        const struct sl_shelved_model *m = &shelf->models[(*at)++];
        if (m->directory != NULL && m->is_evicted && m->state == MODEL_READY)
            return m->directory;
    }
    return NULL;
}

static void
close_file(void *fd)
{
    close((int)(intptr_t)fd);
}

/*
 * Close a model's file behind the spawns of this batch, which are held and name it by number: work
 * is let go after them.
 */
static void
close_later(struct sl_ctx *ctx, struct sl_shelved_model *m)
{
    if (m->fd >= 0)
        sl_work(ctx, close_file, (void *)(intptr_t)m->fd, TOKEN_CLOSE);
    m->fd = -1;
}

void
sl_model_shelf_drop(struct sl_model_shelf *shelf, struct sl_ctx *ctx, struct sl_slice directory)
{
    struct sl_shelved_model *m = model_of(shelf, directory);
    drop_kept(shelf, ctx, directory);
    if (m != NULL && m->state == MODEL_LOADING) {
        m->is_dropped = true;
    } else if (m != NULL) {
        close_later(ctx, m);
        clear(m);
    }
}

void
sl_model_shelf_forget(const struct sl_model_shelf *shelf, struct sl_ctx *ctx,
                      struct sl_slice directory)
{
    struct sl_image_name name, other;
    char *text = sl_strndup(directory.data, directory.size);
    bool is_wanted = shelf->images_directory != NULL && image_of(text, &name);
    for (uint32_t i = 0; is_wanted && i < SL_SHELF_MODELS_MAX; i++) {
        const char *kept = shelf->models[i].directory;
        if (kept != NULL && strcmp(kept, text) != 0 && image_of(kept, &other))
            is_wanted = memcmp(&name, &other, sizeof(name)) != 0;
    }
    sl_free(text);
    if (is_wanted)
        sl_send(ctx, sl_at(0, SL_ACTOR_IMAGES), SL_M_image_drop,
                &(struct sl_m_image_drop){.name = sl_image_name_bytes(&name)});
}

uint32_t
sl_model_shelf_loading(const struct sl_model_shelf *shelf)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SL_SHELF_MODELS_MAX; i++)
        count += shelf->models[i].state == MODEL_LOADING;
    return count;
}
