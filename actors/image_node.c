/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_node.h"

#include <inttypes.h>

#include "actors/image_fetch.h"
#include "actors/image_room.h"
#include "actors/image_serve.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define TOKEN_TICK     2
#define TOKEN_ANNOUNCE 3
#define TOKEN_SWEEP    4
#define TICK_NS        (100 * SL_MILLI_NS)
#define ANNOUNCE_NS    (30 * SL_SECOND_NS)
#define SWEEP_NS       (3600 * SL_SECOND_NS)
#define UNKNOWN_MAX    8 /* Answers that nobody has it, in a row. */

struct images {
    struct sl_image_node_options options;
    struct sl_image_fetch *fetches;
    struct sl_image_serve serve;
    struct sl_image_work *others; /* EACH, REMOVE, SWEEP and LOOK under way. */
    struct sl_image_room room;
    struct sl_image_node_counts counts;
    bool has_listed; /* The room knows what was here before. */
    bool is_ticking;
};

static void
start_other(struct images *s, struct sl_ctx *ctx, struct sl_image_work *w)
{
    w->next = s->others;
    s->others = w;
    sl_work(ctx, sl_image_work_run, w, SL_IMAGE_WORK_TOKEN);
}

static void
run_other(struct images *s, struct sl_ctx *ctx, enum sl_image_work_kind kind,
          const struct sl_image_name *name)
{
    start_other(s, ctx, sl_image_work_create(s->options.images, kind, name));
}

static void
tell_has(struct sl_ctx *ctx, const struct sl_image_name *name, uint64_t size_bytes)
{
    struct sl_m_image_has m = {.name = sl_image_name_bytes(name), .size_bytes = size_bytes};
    sl_send(ctx, sl_image_locator(), SL_M_image_has, &m);
}

static void
tell_gone(struct sl_ctx *ctx, const struct sl_image_name *name)
{
    struct sl_m_image_gone m = {.name = sl_image_name_bytes(name)};
    sl_send(ctx, sl_image_locator(), SL_M_image_gone, &m);
}

/* ---- the end of a fetch -------------------------------------------------------------------- */

struct end {
    enum sl_err err;
    const char *why;
    uint64_t size_bytes;
};

/* What it has written is counted as it comes. */
static void
count(struct images *s, struct sl_image_fetch *f)
{
    struct sl_pull_counts counts;
    sl_pull_counts(f->pull, &counts);
    s->counts.fetched_bytes += counts.taken_bytes - f->taken_bytes;
    f->taken_bytes = counts.taken_bytes;
}

static void
end_fetch(struct images *s, struct sl_ctx *ctx, struct sl_image_fetch *f, const struct end *how)
{
    static const struct end dropped = {.err = SL_ECANCELED, .why = "it was removed meanwhile"};
    const struct end *end = f->is_dropped ? &dropped : how;
    struct sl_m_image_fetched m = {.err = end->err,
                                   .message = sl_slice_str(end->why == NULL ? "" : end->why),
                                   .size_bytes = end->size_bytes};
    char text[SL_IMAGE_NAME_SIZE];
    struct sl_pull_counts counts;
    sl_image_name_text(&f->name, text);
    sl_pull_counts(f->pull, &counts);
    s->counts.bad += counts.bad;
    s->counts.resumed += counts.stocked;
    s->counts.fetched += end->err == SL_OK;
    s->counts.failed += end->err != SL_OK;
    if (end->err == SL_OK) {
        sl_image_room_here(&s->room, &f->name, end->size_bytes, ctx->now_ns);
        tell_has(ctx, &f->name, end->size_bytes);
    } else {
        /* What is dropped was perhaps whole, and known so, when this fetch began. */
        if (f->has_room || f->is_dropped)
            sl_image_room_drop(&s->room, &f->name);
        tell_gone(ctx, &f->name);
    }
    sl_report(end->err == SL_OK ? SL_REPORT_INFO : SL_REPORT_WARN, "image-fetched",
              "image=%s err=%s bytes=%" PRIu64 " here_before=%u bad=%u overdue=%u why=\"%s\"", text,
              sl_err_name(end->err), counts.taken_bytes, counts.stocked, counts.bad, counts.overdue,
              end->why == NULL ? "" : end->why);
    for (struct sl_msg *call = f->calls; call != NULL; call = call->next)
        sl_reply(ctx, call, SL_M_image_fetched, &m);
    sl_image_part_close(&f->part); /* Before its files may be removed. */
    if (f->is_dropped)
        run_other(s, ctx, SL_IMAGE_REMOVE, &f->name);
    struct sl_image_fetch **at = &s->fetches;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    sl_image_fetch_destroy(&f);
}

/* ---- room ---------------------------------------------------------------------------------- */

static void
remove_image(struct images *s, struct sl_ctx *ctx, const struct sl_image_name *name)
{
    tell_gone(ctx, name);
    run_other(s, ctx, SL_IMAGE_REMOVE, name);
}

/* What may go for so many bytes more goes. */
static enum sl_image_fit
evict(struct images *s, struct sl_ctx *ctx, uint64_t size_bytes)
{
    struct sl_image_name name;
    enum sl_image_fit fit;
    while ((fit = sl_image_room_make(&s->room, size_bytes, &name)) == SL_IMAGE_EVICT) {
        char text[SL_IMAGE_NAME_SIZE];
        sl_image_name_text(&name, text);
        sl_report_info("image-evicted", "image=%s", text);
        s->counts.evicted++;
        remove_image(s, ctx, &name);
    }
    return fit;
}

/* A part that was here before takes its room already: it does not wait for any. */
static void
take_room(struct images *s, struct sl_ctx *ctx, struct sl_image_fetch *f)
{
    uint64_t size_bytes = sl_pull_chunks(f->pull)->size_bytes;
    if (f->has_room)
        return;
    enum sl_image_fit fit = evict(s, ctx, size_bytes);
    if (fit == SL_IMAGE_NEVER) {
        sl_pull_fail(f->pull, SL_ENOSPC,
                     "it is larger than the room that this node has for models: start the worker "
                     "with a larger --models-size");
        return;
    }
    f->has_room = fit == SL_IMAGE_FITS || f->part != NULL;
    if (f->has_room)
        sl_image_room_coming(&s->room, &f->name, size_bytes);
}

/* Files are taken away on another thread. NULL: of any image. */
static bool
is_being_removed(const struct images *s, const struct sl_image_name *name)
{
    for (const struct sl_image_work *w = s->others; w != NULL; w = w->next) {
        if (w->kind == SL_IMAGE_SWEEP)
            return true;
        if (w->kind == SL_IMAGE_REMOVE &&
            (name == NULL || memcmp(&w->name, name, sizeof(*name)) == 0))
            return true;
    }
    return false;
}

/* Parts of what is not fetched any more, and lists without an image. */
static void
sweep(struct images *s, struct sl_ctx *ctx)
{
    static const struct sl_image_name none;
    if (!s->has_listed)
        return;
    struct sl_image_work *w = sl_image_work_create(s->options.images, SL_IMAGE_SWEEP, &none);
    for (uint32_t i = 0; i < s->room.count; i++)
        sl_image_work_keep(w, sl_image_room_name(&s->room, i));
    for (const struct sl_image_fetch *f = s->fetches; f != NULL; f = f->next)
        sl_image_work_keep(w, &f->name);
    start_other(s, ctx, w);
}

/* ---- a fetch under way --------------------------------------------------------------------- */

/* Do what can be done now. The fetch may be gone afterwards. */
static void
advance(struct images *s, struct sl_ctx *ctx, struct sl_image_fetch *f)
{
    const char *why = NULL;
    count(s, f);
    if (f->is_dropped)
        sl_pull_fail(f->pull, SL_ECANCELED, "");
    if (sl_pull_state(f->pull) == SL_PULL_STOCKING)
        take_room(s, ctx, f);
    if (sl_pull_state(f->pull) == SL_PULL_FAILED) {
        if (f->busy != NULL)
            return;
        enum sl_err err = sl_pull_error(f->pull, &why);
        end_fetch(s, ctx, f, &(struct end){.err = err, .why = why});
        return;
    }
    if (!f->has_looked || f->is_finishing)
        return;
    sl_image_fetch_ask(f, ctx);
    sl_image_fetch_locate(f, ctx);
    if (f->busy != NULL)
        return;
    if (sl_pull_state(f->pull) == SL_PULL_STOCKING) {
        if (f->has_room && !is_being_removed(s, NULL)) /* Or with a later tick. */
            sl_image_fetch_run_begin(f, ctx, s->options.images);
    } else if (f->gathering != NULL) {
        struct sl_image_work *w = f->gathering;
        f->gathering = NULL;
        w->part = f->part;
        sl_image_fetch_run(f, ctx, w);
    } else if (sl_pull_state(f->pull) == SL_PULL_DONE) {
        sl_image_fetch_run_finish(f, ctx, s->options.images);
    }
}

static void
begin(struct images *s, struct sl_ctx *ctx, struct sl_image_fetch *f)
{
    struct sl_pull_options options = s->options.pull;
    options.name = f->name;
    options.first = (uint32_t)sl_random_u64(ctx->random);
    f->pull = sl_pull_create(&options, ctx->now_ns);
    f->locate_pause_ns = SL_IMAGE_LOCATE_NS;
    sl_image_fetch_run_begin(f, ctx, s->options.images);
}

static void
begin_waiting(struct images *s, struct sl_ctx *ctx)
{
    uint32_t running = 0;
    for (struct sl_image_fetch *f = s->fetches; f != NULL; f = f->next)
        running += f->pull != NULL;
    for (struct sl_image_fetch *f = s->fetches; f != NULL && running < SL_FETCHES_RUNNING_MAX;
         f = f->next) {
        if (f->pull != NULL || is_being_removed(s, &f->name))
            continue;
        begin(s, ctx, f);
        running++;
    }
    if (s->fetches != NULL && !s->is_ticking) {
        s->is_ticking = true;
        sl_after(ctx, TICK_NS, TOKEN_TICK);
    }
}

/* The origin: it is here, or nowhere. */
static void
look(struct images *s, struct sl_ctx *ctx, const struct sl_msg *msg,
     const struct sl_image_name *name)
{
    struct sl_image_work *w = sl_image_work_create(s->options.images, SL_IMAGE_LOOK, name);
    w->call = sl_image_call_copy(msg);
    start_other(s, ctx, w);
}

static void
reply_looked(struct sl_ctx *ctx, const struct sl_image_work *w)
{
    struct sl_m_image_fetched m = {
        .err = w->err,
        .message = sl_slice_str(w->err == SL_OK ? "" : "no model of this head has that image"),
        .size_bytes = w->size_bytes};
    sl_reply(ctx, w->call, SL_M_image_fetched, &m);
}

static void
on_fetch(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    struct sl_image_name name;
    struct sl_m_image_fetched no = {.err = SL_EINVAL,
                                    .message = sl_slice_str("that is no image's name")};
    if (!sl_image_name_of(SL_BODY(msg, image_fetch)->name, &name)) {
        sl_reply(ctx, msg, SL_M_image_fetched, &no);
        return;
    }
    if (s->options.is_origin) {
        look(s, ctx, msg, &name);
        return;
    }
    uint32_t count_all = 0;
    for (struct sl_image_fetch *f = s->fetches; f != NULL; f = f->next)
        count_all++;
    struct sl_image_fetch *f = sl_image_fetch_lookup(s->fetches, &name);
    if (f == NULL && count_all == SL_FETCHES_MAX) {
        no.err = SL_EFULL;
        no.message = sl_slice_str("this node fetches as many images as it may; try again later");
        sl_reply(ctx, msg, SL_M_image_fetched, &no);
        return;
    }
    if (f == NULL) {
        f = sl_zalloc(sizeof(*f));
        f->name = name;
        struct sl_image_fetch **at = &s->fetches; /* First come, first served. */
        while (*at != NULL)
            at = &(*at)->next;
        *at = f;
    }
    sl_image_fetch_wait(f, msg);
    begin_waiting(s, ctx);
}

/* ---- work that is done --------------------------------------------------------------------- */

static void
take_begun(struct images *s, struct sl_ctx *ctx, struct sl_image_fetch *f, struct sl_image_work *w)
{
    if (w->err == SL_EEXIST) {
        end_fetch(s, ctx, f, &(struct end){.size_bytes = w->size_bytes});
        return;
    }
    bool is_first = !f->has_looked;
    f->has_looked = true;
    if (w->err == SL_OK) {
        f->part = w->part;
        w->part = NULL;
        sl_pull_stocked(f->pull, ctx->now_ns, sl_image_part_chunks(f->part), w->has);
        take_room(s, ctx, f); /* A part's list may have been here. */
    } else if (w->err != SL_ENOTFOUND || !is_first) {
        sl_pull_fail(f->pull, w->err,
                     w->err == SL_ENOSPC ? "the disk has no room for it"
                                         : "the directory of images cannot be read or written");
    }
    advance(s, ctx, f);
}

static void
take_written(struct images *s, struct sl_ctx *ctx, struct sl_image_fetch *f,
             const struct sl_image_work *w)
{
    for (uint32_t i = 0; i < w->writes_count; i++) {
        const struct sl_image_write *write = &w->writes[i];
        struct sl_pull_ask from = {.node = write->node, .index = write->index};
        if (write->err == SL_ECORRUPT)
            sl_report_warn("image-chunk-bad", "node=%u index=%u action=\"not asked any more\"",
                           write->node, write->index);
        sl_pull_wrote(f->pull, ctx->now_ns, &from, write->err);
    }
    f->locate_pause_ns = SL_IMAGE_LOCATE_NS;
    advance(s, ctx, f);
}

static void
take_fetch_work(struct images *s, struct sl_ctx *ctx, struct sl_image_fetch *f,
                struct sl_image_work *w)
{
    f->busy = NULL;
    if (w->kind == SL_IMAGE_BEGIN) {
        take_begun(s, ctx, f, w);
    } else if (w->kind == SL_IMAGE_WRITE) {
        take_written(s, ctx, f, w);
    } else {
        const char *why = w->err == SL_OK ? NULL : "what came cannot be made durable";
        end_fetch(s, ctx, f, &(struct end){.err = w->err, .why = why, .size_bytes = w->size_bytes});
    }
    begin_waiting(s, ctx);
}

static void
reply_served(struct images *s, struct sl_ctx *ctx, const struct sl_image_work *w)
{
    const struct sl_image_fetch *f = sl_image_fetch_lookup(s->fetches, &w->name);
    struct sl_buf have = {0};
    if (f != NULL && f->pull != NULL)
        sl_image_fetch_have(f, &have);
    s->counts.served_bytes += w->bytes.size;
    sl_image_serve_reply(ctx, w, sl_buf_slice(&have));
    if ((w->err == SL_ENOTFOUND || w->err == SL_ECORRUPT) && f == NULL)
        tell_gone(ctx, &w->name); /* The locator thinks that we have it. */
    sl_buf_deinit(&have);
}

static void
take_each(struct images *s, struct sl_ctx *ctx, const struct sl_image_work *w)
{
    struct sl_reader in = sl_reader(sl_buf_slice(&w->bytes));
    while (!sl_reader_is_done(&in) && !in.is_bad) {
        struct sl_image_name name;
        bool is_name = sl_image_name_of(sl_read_bytes(&in, sizeof(name.digest)), &name);
        uint64_t size = sl_read_u64(&in);
        /* A fetch knows better: what was read may be gone since. */
        if (!is_name || in.is_bad || sl_image_fetch_lookup(s->fetches, &name) != NULL)
            continue;
        sl_image_room_here(&s->room, &name, size, 0);
        tell_has(ctx, &name, size);
    }
    s->has_listed = s->has_listed || w->err == SL_OK;
    (void)evict(s, ctx, 0); /* The limit may be lower than it was. */
}

static void
take_other(struct images *s, struct sl_ctx *ctx, struct sl_image_work *w)
{
    struct sl_image_work **at = &s->others;
    while (*at != NULL && *at != w)
        at = &(*at)->next;
    if (SL_BUG(*at == NULL))
        return;
    *at = w->next;
    if (w->kind == SL_IMAGE_LOOK)
        reply_looked(ctx, w);
    else if (w->err != SL_OK)
        sl_report_warn("images-unread", "err=%s", sl_err_name(w->err));
    if (w->kind == SL_IMAGE_SWEEP)
        s->counts.swept += w->index;
    if (w->kind == SL_IMAGE_EACH)
        take_each(s, ctx, w);
    sl_image_work_destroy(&w);
    begin_waiting(s, ctx);
}

static void
on_work_done(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    struct sl_image_work *w = (struct sl_image_work *)(uintptr_t)SL_BODY(msg, work_done)->argument;
    if (sl_image_serve_end(&s->serve, w)) {
        reply_served(s, ctx, w);
        sl_image_work_destroy(&w);
        sl_image_serve_run(&s->serve, ctx);
        return;
    }
    for (struct sl_image_fetch *f = s->fetches; f != NULL; f = f->next) {
        if (f->busy != w)
            continue;
        take_fetch_work(s, ctx, f, w);
        sl_image_work_destroy(&w);
        return;
    }
    take_other(s, ctx, w);
}

/* ---- serving ------------------------------------------------------------------------------- */

static void
on_chunk_want(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    const struct sl_m_image_chunk_want *m = SL_BODY(msg, image_chunk_want);
    struct sl_image_name name;
    if (!sl_image_name_of(m->name, &name) || m->index >= SL_CHUNKS_COUNT_MAX)
        return;
    const struct sl_image_fetch *f = sl_image_fetch_lookup(s->fetches, &name);
    if (f != NULL && f->pull != NULL && !sl_pull_has(f->pull, (uint32_t)m->index)) {
        struct sl_buf have = {0};
        sl_image_fetch_have(f, &have);
        sl_image_serve_refuse(ctx, msg, SL_ENOTFOUND, sl_buf_slice(&have));
        sl_buf_deinit(&have);
        return;
    }
    sl_image_serve_want(&s->serve, ctx, s->options.images, msg);
}

static void
on_list_want(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    struct sl_image_name name;
    if (!sl_image_name_of(SL_BODY(msg, image_list_want)->name, &name))
        return;
    const struct sl_image_fetch *f = sl_image_fetch_lookup(s->fetches, &name);
    if (f != NULL && f->pull != NULL) {
        const struct sl_chunks *chunks = sl_pull_chunks(f->pull);
        struct sl_buf have = {0};
        sl_image_fetch_have(f, &have);
        struct sl_m_image_list m = {.err = chunks->digests == NULL ? SL_ENOTFOUND : SL_OK,
                                    .have = sl_buf_slice(&have)};
        sl_image_serve_list(ctx, msg->from, &name, &m, chunks);
        sl_buf_deinit(&have);
        return;
    }
    sl_image_serve_want(&s->serve, ctx, s->options.images, msg);
}

/* ---- what comes for our fetches ------------------------------------------------------------ */

static struct sl_image_fetch *
running_of(const struct images *s, struct sl_slice bytes)
{
    struct sl_image_name name;
    struct sl_image_fetch *f =
        sl_image_name_of(bytes, &name) ? sl_image_fetch_lookup(s->fetches, &name) : NULL;
    return f == NULL || f->pull == NULL || !f->has_looked ? NULL : f;
}

static enum sl_err
err_of(uint64_t number)
{
    return number < SL_ERR_COUNT ? (enum sl_err)number : SL_EBUG;
}

static void
on_located(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    const struct sl_m_image_located *m = SL_BODY(msg, image_located);
    struct sl_image_fetch *f = running_of(s, m->name);
    if (f == NULL)
        return;
    struct sl_reader in = sl_reader(m->holders);
    while (!sl_reader_is_done(&in) && !in.is_bad) {
        uint32_t node = sl_read_u32(&in);
        if (!in.is_bad && node != ctx->self.node)
            (void)sl_pull_add(f->pull, node); /* Full, or known as bad: the others do. */
    }
    f->unknown = m->is_known != 0 ? 0 : f->unknown + 1;
    bool has_none = sl_pull_holders(f->pull) == 0;
    if ((m->is_final != 0 && m->is_known == 0) || (f->unknown >= UNKNOWN_MAX && has_none))
        sl_pull_fail(f->pull, SL_ENOTFOUND, "no node of the cluster has it");
    else if (m->is_final != 0 && has_none)
        sl_pull_fail(f->pull, SL_ECORRUPT,
                     "what its only holder has is not what its digest says: the disk of the head "
                     "has damaged it");
    advance(s, ctx, f);
    begin_waiting(s, ctx);
}

static void
on_list(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    const struct sl_m_image_list *m = SL_BODY(msg, image_list);
    struct sl_image_fetch *f = running_of(s, m->name);
    if (f == NULL)
        return;
    struct sl_pull_answer answer = {.node = msg->from.node,
                                    .index = SL_PULL_LIST,
                                    .err = err_of(m->err),
                                    .bytes = m->digests,
                                    .have = m->have,
                                    .size_bytes = m->size_bytes};
    sl_pull_take_list(f->pull, ctx->now_ns, &answer);
    advance(s, ctx, f);
}

static void
on_chunk(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    const struct sl_m_image_chunk *m = SL_BODY(msg, image_chunk);
    struct sl_image_fetch *f = running_of(s, m->name);
    if (f == NULL || m->index >= SL_CHUNKS_COUNT_MAX)
        return;
    struct sl_pull_answer answer = {.node = msg->from.node,
                                    .index = (uint32_t)m->index,
                                    .err = err_of(m->err),
                                    .bytes = m->bytes,
                                    .have = m->have};
    bool is_room = f->gathering == NULL || f->gathering->writes_count < SL_IMAGE_WRITES_MAX;
    if (is_room && sl_pull_take_chunk(f->pull, ctx->now_ns, &answer)) {
        if (f->gathering == NULL)
            f->gathering = sl_image_work_create(s->options.images, SL_IMAGE_WRITE, &f->name);
        sl_image_work_add(f->gathering, answer.node, answer.index, m->bytes);
    }
    advance(s, ctx, f);
}

/* ---- nodes that go, images that go --------------------------------------------------------- */

static void
lose(struct images *s, struct sl_ctx *ctx, uint32_t node)
{
    for (struct sl_image_fetch *f = s->fetches, *next; f != NULL; f = next) {
        next = f->next;
        if (f->pull == NULL)
            continue;
        sl_pull_lose(f->pull, node);
        f->locate_ns = SL_MIN(f->locate_ns, ctx->now_ns + SL_IMAGE_LOCATE_NS);
        advance(s, ctx, f);
    }
}

static void
on_peer_down(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    lose(self, ctx, (uint32_t)SL_BODY(msg, peer_down)->node);
}

static void
on_undelivered(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    const struct sl_m_undelivered *m = SL_BODY(msg, undelivered);
    bool is_want = m->message == SL_M_image_list_want || m->message == SL_M_image_chunk_want;
    if (is_want && m->reason != SL_EFULL)
        lose(self, ctx, msg->from.node);
}

static void
on_drop(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    struct sl_image_name name;
    if (!sl_image_name_of(SL_BODY(msg, image_drop)->name, &name))
        return;
    struct sl_image_fetch *f = sl_image_fetch_lookup(s->fetches, &name);
    if (f == NULL) {
        sl_image_room_drop(&s->room, &name);
        remove_image(s, ctx, &name);
        return;
    }
    if (f->pull == NULL) /* It waits for its turn, and will find nothing. */
        return;
    f->is_dropped = true;
    advance(s, ctx, f);
}

/* ---- time ---------------------------------------------------------------------------------- */

static void
announce(struct images *s, struct sl_ctx *ctx)
{
    static const struct sl_image_name none;
    for (const struct sl_image_work *w = s->others; w != NULL; w = w->next) {
        if (w->kind == SL_IMAGE_EACH)
            return;
    }
    if (s->options.is_origin) /* It is asked. */
        return;
    run_other(s, ctx, SL_IMAGE_EACH, &none);
}

static void
on_peer_up(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (SL_BODY(msg, peer_up)->node == SL_NODE_HEAD)
        announce(self, ctx);
}

static void
tick(struct images *s, struct sl_ctx *ctx)
{
    s->is_ticking = s->fetches != NULL;
    if (s->is_ticking)
        sl_after(ctx, TICK_NS, TOKEN_TICK);
    for (struct sl_image_fetch *f = s->fetches, *next; f != NULL; f = next) {
        next = f->next;
        if (f->pull == NULL)
            continue;
        sl_pull_tick(f->pull, ctx->now_ns);
        advance(s, ctx, f);
    }
    begin_waiting(s, ctx);
}

static void
on_timer(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    if (SL_BODY(msg, timer)->token == TOKEN_TICK) {
        tick(s, ctx);
        return;
    }
    if (SL_BODY(msg, timer)->token == TOKEN_SWEEP) {
        sl_after(ctx, s->options.sweep_ns, TOKEN_SWEEP);
        sweep(s, ctx);
        return;
    }
    sl_after(ctx, s->options.announce_ns, TOKEN_ANNOUNCE);
    announce(s, ctx);
}

static const struct sl_on table[] = {
    {SL_M_image_chunk, on_chunk},     {SL_M_image_chunk_want, on_chunk_want},
    {SL_M_work_done, on_work_done},   {SL_M_timer, on_timer},
    {SL_M_image_list, on_list},       {SL_M_image_list_want, on_list_want},
    {SL_M_image_located, on_located}, {SL_M_image_fetch, on_fetch},
    {SL_M_image_drop, on_drop},       {SL_M_peer_up, on_peer_up},
    {SL_M_peer_down, on_peer_down},   {SL_M_undelivered, on_undelivered},
};

static void
handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    if (!sl_dispatch(table, SL_COUNT_OF(table), self, ctx, msg))
        sl_report_warn("message-unknown", "actor=images message=%s", msg->type->name);
}

static void
init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct images *s = self;
    s->options = *(const struct sl_image_node_options *)argument;
    s->options.announce_ns = s->options.announce_ns == 0 ? ANNOUNCE_NS : s->options.announce_ns;
    s->options.sweep_ns = s->options.sweep_ns == 0 ? SWEEP_NS : s->options.sweep_ns;
    s->room.bytes_max = s->options.bytes_max;
    sl_image_serve_init(&s->serve);
    if (s->options.is_origin)
        return;
    announce(s, ctx);
    sl_after(ctx, s->options.announce_ns, TOKEN_ANNOUNCE);
    sl_after(ctx, s->options.sweep_ns, TOKEN_SWEEP);
}

static void
deinit(void *self)
{
    struct images *s = self;
    for (struct sl_image_fetch *f = s->fetches, *next; f != NULL; f = next) {
        next = f->next;
        sl_image_fetch_destroy(&f);
    }
    for (struct sl_image_work *w = s->others, *next; w != NULL; w = next) {
        next = w->next;
        sl_image_work_destroy(&w);
    }
    sl_image_serve_deinit(&s->serve);
    sl_image_room_deinit(&s->room);
}

const struct sl_actor_class sl_image_node_class = {
    .name = "images",
    .state_size = sizeof(struct images),
    .init = init,
    .handle = handle,
    .deinit = deinit,
};

void
sl_image_node_counts(const void *node, struct sl_image_node_counts *ret_counts)
{
    const struct images *s = node;
    *ret_counts = s->counts;
    ret_counts->kept = s->room.whole;
    ret_counts->kept_bytes = s->room.bytes;
    for (const struct sl_image_fetch *f = s->fetches; f != NULL; f = f->next)
        ret_counts->fetching++;
}

void
sl_image_node_write(const void *node, struct sl_jsonw *w)
{
    struct sl_image_node_counts c;
    sl_image_node_counts(node, &c);
    sl_jsonw_object(w);
    sl_jsonw_member_u64(w, "images", c.kept);
    sl_jsonw_member_u64(w, "bytes", c.kept_bytes);
    sl_jsonw_member_u64(w, "fetching", c.fetching);
    sl_jsonw_member_u64(w, "fetched", c.fetched);
    sl_jsonw_member_u64(w, "failed", c.failed);
    sl_jsonw_member_u64(w, "fetched_bytes", c.fetched_bytes);
    sl_jsonw_member_u64(w, "served_bytes", c.served_bytes);
    sl_jsonw_member_u64(w, "resumed_chunks", c.resumed);
    sl_jsonw_member_u64(w, "bad_chunks", c.bad);
    sl_jsonw_member_u64(w, "evicted", c.evicted);
    sl_jsonw_member_u64(w, "swept_files", c.swept);
    sl_jsonw_end(w);
}
