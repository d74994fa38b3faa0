/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/image_node.h"

#include <inttypes.h>

#include "actors/image_message.h"
#include "actors/image_serve.h"
#include "runtime/alloc.h"
#include "runtime/report.h"

#define TOKEN_WORK     1
#define TOKEN_TICK     2
#define TOKEN_ANNOUNCE 3
#define TICK_NS        (100 * SL_MILLI_NS)
#define ANNOUNCE_NS    (30 * SL_SECOND_NS)
#define LOCATE_NS      (250 * SL_MILLI_NS) /* Doubled as long as it does not help, up to: */
#define LOCATE_MAX_NS  (5 * SL_SECOND_NS)
#define UNKNOWN_MAX    8 /* Answers that nobody has it, in a row. */

struct fetch {
    struct fetch *next;
    struct sl_image_name name;
    struct sl_pull *pull; /* NULL: not begun. */
    struct sl_image_part *part;
    struct sl_image_work *busy;      /* Its work on the pool; one at a time. */
    struct sl_image_work *gathering; /* Chunks for the next. */
    struct sl_msg *calls;            /* Who waits for it. */
    bool has_looked;                 /* Whether it is here, or a part of it. */
    bool is_dropped;
    bool is_finishing;
    uint32_t unknown;
    uint64_t locate_ns, locate_pause_ns, taken_bytes;
};

struct images {
    struct sl_image_node_options options;
    struct fetch *fetches;
    struct sl_image_serve serve;
    struct sl_image_work *others; /* EACH and REMOVE under way. */
    struct sl_image_node_counts counts;
    bool is_ticking;
};

static struct sl_addr
locator(void)
{
    return sl_at(SL_NODE_HEAD, SL_ACTOR_LOCATOR);
}

static struct fetch *
fetch_of(const struct images *s, const struct sl_image_name *name)
{
    struct fetch *f = s->fetches;
    while (f != NULL && memcmp(&f->name, name, sizeof(*name)) != 0)
        f = f->next;
    return f;
}

static void
run_other(struct images *s, struct sl_ctx *ctx, enum sl_image_work_kind kind,
          const struct sl_image_name *name)
{
    struct sl_image_work *w = sl_image_work_create(s->options.images, kind, name);
    w->next = s->others;
    s->others = w;
    sl_work(ctx, sl_image_work_run, w, TOKEN_WORK);
}

static void
tell_has(struct sl_ctx *ctx, const struct sl_image_name *name, uint64_t size_bytes)
{
    struct sl_m_image_has m = {.name = sl_image_name_bytes(name), .size_bytes = size_bytes};
    sl_send(ctx, locator(), SL_M_image_has, &m);
}

static void
tell_gone(struct sl_ctx *ctx, const struct sl_image_name *name)
{
    struct sl_m_image_gone m = {.name = sl_image_name_bytes(name)};
    sl_send(ctx, locator(), SL_M_image_gone, &m);
}

/* ---- the end of a fetch -------------------------------------------------------------------- */

struct end {
    enum sl_err err;
    const char *why;
    uint64_t size_bytes;
};

static void
free_fetch(struct fetch *f)
{
    for (struct sl_msg *call = f->calls, *next; call != NULL; call = next) {
        next = call->next;
        sl_msg_destroy(&call);
    }
    sl_image_work_destroy(&f->busy);
    sl_image_work_destroy(&f->gathering);
    sl_image_part_close(&f->part);
    sl_pull_destroy(&f->pull);
    sl_free(f);
}

/* What it has written is counted as it comes. */
static void
count(struct images *s, struct fetch *f)
{
    struct sl_pull_counts counts;
    sl_pull_counts(f->pull, &counts);
    s->counts.fetched_bytes += counts.taken_bytes - f->taken_bytes;
    f->taken_bytes = counts.taken_bytes;
}

static void
end_fetch(struct images *s, struct sl_ctx *ctx, struct fetch *f, const struct end *how)
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
    if (end->err == SL_OK)
        tell_has(ctx, &f->name, end->size_bytes);
    else
        tell_gone(ctx, &f->name);
    sl_report(end->err == SL_OK ? SL_REPORT_INFO : SL_REPORT_WARN, "image-fetched",
              "image=%s err=%s bytes=%" PRIu64 " here_before=%u bad=%u overdue=%u why=\"%s\"", text,
              sl_err_name(end->err), counts.taken_bytes, counts.stocked, counts.bad, counts.overdue,
              end->why == NULL ? "" : end->why);
    for (struct sl_msg *call = f->calls; call != NULL; call = call->next)
        sl_reply(ctx, call, SL_M_image_fetched, &m);
    sl_image_part_close(&f->part); /* Before its files may be removed. */
    if (f->is_dropped)
        run_other(s, ctx, SL_IMAGE_REMOVE, &f->name);
    struct fetch **at = &s->fetches;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    free_fetch(f);
}

/* ---- a fetch under way --------------------------------------------------------------------- */

static void
run(struct fetch *f, struct sl_ctx *ctx, struct sl_image_work *work)
{
    sl_assert(f->busy == NULL);
    f->busy = work;
    sl_work(ctx, sl_image_work_run, work, TOKEN_WORK);
}

static void
run_begin(struct images *s, struct sl_ctx *ctx, struct fetch *f)
{
    struct sl_image_work *w = sl_image_work_create(s->options.images, SL_IMAGE_BEGIN, &f->name);
    const struct sl_chunks *chunks = sl_pull_chunks(f->pull);
    if (chunks->digests != NULL) {
        size_t size = SL_MAX((size_t)chunks->count * SL_SHA256_SIZE, (size_t)1);
        w->chunks = *chunks;
        w->chunks.digests = sl_alloc(size);
        memcpy(w->chunks.digests, chunks->digests, (size_t)chunks->count * SL_SHA256_SIZE);
    }
    run(f, ctx, w);
}

static void
run_finish(struct images *s, struct sl_ctx *ctx, struct fetch *f)
{
    struct sl_image_work *w = sl_image_work_create(s->options.images, SL_IMAGE_FINISH, &f->name);
    w->part = f->part;
    f->part = NULL;
    f->is_finishing = true;
    run(f, ctx, w);
}

static void
locate(struct sl_ctx *ctx, struct fetch *f)
{
    if (ctx->now_ns < f->locate_ns || !sl_pull_needs_holders(f->pull, ctx->now_ns))
        return;
    struct sl_m_image_locate m = {.name = sl_image_name_bytes(&f->name)};
    f->locate_ns = ctx->now_ns + f->locate_pause_ns;
    f->locate_pause_ns = SL_MIN(2 * f->locate_pause_ns, LOCATE_MAX_NS);
    sl_send(ctx, locator(), SL_M_image_locate, &m);
}

static void
ask_all(struct sl_ctx *ctx, struct fetch *f)
{
    struct sl_pull_ask ask;
    while (sl_pull_next(f->pull, ctx->now_ns, &ask)) {
        struct sl_addr to = sl_at(ask.node, SL_ACTOR_IMAGES);
        struct sl_slice name = sl_image_name_bytes(&f->name);
        if (ask.index == SL_PULL_LIST)
            sl_send(ctx, to, SL_M_image_list_want, &(struct sl_m_image_list_want){.name = name});
        else
            sl_send(ctx, to, SL_M_image_chunk_want,
                    &(struct sl_m_image_chunk_want){.name = name, .index = ask.index});
    }
}

/* Do what can be done now. The fetch may be gone afterwards. */
static void
advance(struct images *s, struct sl_ctx *ctx, struct fetch *f)
{
    const char *why = NULL;
    count(s, f);
    if (f->is_dropped)
        sl_pull_fail(f->pull, SL_ECANCELED, "");
    if (sl_pull_state(f->pull) == SL_PULL_FAILED) {
        if (f->busy != NULL)
            return;
        enum sl_err err = sl_pull_error(f->pull, &why);
        end_fetch(s, ctx, f, &(struct end){.err = err, .why = why});
        return;
    }
    if (!f->has_looked || f->is_finishing)
        return;
    ask_all(ctx, f);
    locate(ctx, f);
    if (f->busy != NULL)
        return;
    if (sl_pull_state(f->pull) == SL_PULL_STOCKING) {
        run_begin(s, ctx, f);
    } else if (f->gathering != NULL) {
        struct sl_image_work *w = f->gathering;
        f->gathering = NULL;
        w->part = f->part;
        run(f, ctx, w);
    } else if (sl_pull_state(f->pull) == SL_PULL_DONE) {
        run_finish(s, ctx, f);
    }
}

static void
begin(struct images *s, struct sl_ctx *ctx, struct fetch *f)
{
    struct sl_pull_options options = s->options.pull;
    options.name = f->name;
    options.first = (uint32_t)sl_random_u64(ctx->random);
    f->pull = sl_pull_create(&options, ctx->now_ns);
    f->locate_pause_ns = LOCATE_NS;
    run_begin(s, ctx, f);
}

/* Its files are taken away on another thread. */
static bool
is_being_removed(const struct images *s, const struct sl_image_name *name)
{
    for (const struct sl_image_work *w = s->others; w != NULL; w = w->next) {
        if (w->kind == SL_IMAGE_REMOVE && memcmp(&w->name, name, sizeof(*name)) == 0)
            return true;
    }
    return false;
}

static void
begin_waiting(struct images *s, struct sl_ctx *ctx)
{
    uint32_t running = 0;
    for (struct fetch *f = s->fetches; f != NULL; f = f->next)
        running += f->pull != NULL;
    for (struct fetch *f = s->fetches; f != NULL && running < SL_FETCHES_RUNNING_MAX; f = f->next) {
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
    uint32_t count_all = 0;
    for (struct fetch *f = s->fetches; f != NULL; f = f->next)
        count_all++;
    struct fetch *f = fetch_of(s, &name);
    if (f == NULL && count_all == SL_FETCHES_MAX) {
        no.err = SL_EFULL;
        no.message = sl_slice_str("this node fetches as many images as it may; try again later");
        sl_reply(ctx, msg, SL_M_image_fetched, &no);
        return;
    }
    if (f == NULL) {
        f = sl_zalloc(sizeof(*f));
        f->name = name;
        struct fetch **at = &s->fetches; /* First come, first served. */
        while (*at != NULL)
            at = &(*at)->next;
        *at = f;
    }
    struct sl_msg *call = sl_msg_create(msg->id, msg->body);
    call->from = msg->from;
    call->request = msg->request;
    call->next = f->calls;
    f->calls = call;
    begin_waiting(s, ctx);
}

/* ---- work that is done --------------------------------------------------------------------- */

static void
take_begun(struct images *s, struct sl_ctx *ctx, struct fetch *f, struct sl_image_work *w)
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
    } else if (w->err != SL_ENOTFOUND || !is_first) {
        sl_pull_fail(f->pull, w->err,
                     w->err == SL_ENOSPC ? "the disk has no room for it"
                                         : "the directory of images cannot be read or written");
    }
    advance(s, ctx, f);
}

static void
take_written(struct images *s, struct sl_ctx *ctx, struct fetch *f, const struct sl_image_work *w)
{
    for (uint32_t i = 0; i < w->writes_count; i++) {
        const struct sl_image_write *write = &w->writes[i];
        struct sl_pull_ask from = {.node = write->node, .index = write->index};
        if (write->err == SL_ECORRUPT)
            sl_report_warn("image-chunk-bad", "node=%u index=%u action=\"not asked any more\"",
                           write->node, write->index);
        sl_pull_wrote(f->pull, ctx->now_ns, &from, write->err);
    }
    f->locate_pause_ns = LOCATE_NS;
    advance(s, ctx, f);
}

static void
take_fetch_work(struct images *s, struct sl_ctx *ctx, struct fetch *f, struct sl_image_work *w)
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
reply_list(struct sl_ctx *ctx, struct sl_addr to, const struct sl_image_name *name,
           struct sl_m_image_list *m, const struct sl_chunks *chunks)
{
    m->name = sl_image_name_bytes(name);
    m->size_bytes = chunks->size_bytes;
    m->digests = sl_slice(chunks->digests, (size_t)chunks->count * SL_SHA256_SIZE);
    sl_send(ctx, to, SL_M_image_list, m);
}

/* What we have of an image that we fetch ourselves; a byte at least, for nothing means all. */
static void
have_of(const struct fetch *f, struct sl_buf *out)
{
    if (f->pull != NULL)
        sl_pull_have(f->pull, out);
    if (out->size == 0)
        sl_buf_append_u8(out, 0);
}

static void
reply_served(struct images *s, struct sl_ctx *ctx, const struct sl_image_work *w)
{
    const struct fetch *f = fetch_of(s, &w->name);
    struct sl_buf have = {0};
    if (f != NULL && f->pull != NULL)
        have_of(f, &have);
    if (w->kind == SL_IMAGE_LIST) {
        struct sl_m_image_list m = {.err = w->err};
        reply_list(ctx, w->from, &w->name, &m, &w->chunks);
    } else {
        struct sl_m_image_chunk m = {.name = sl_image_name_bytes(&w->name),
                                     .index = w->index,
                                     .err = w->err,
                                     .have = sl_buf_slice(&have),
                                     .bytes = sl_buf_slice(&w->bytes)};
        s->counts.served_bytes += w->bytes.size;
        sl_send(ctx, w->from, SL_M_image_chunk, &m);
    }
    if ((w->err == SL_ENOTFOUND || w->err == SL_ECORRUPT) && f == NULL)
        tell_gone(ctx, &w->name); /* The locator thinks that we have it. */
    sl_buf_deinit(&have);
}

static void
run_serves(struct images *s, struct sl_ctx *ctx)
{
    for (struct sl_image_work *w; (w = sl_image_serve_next(&s->serve)) != NULL;)
        sl_work(ctx, sl_image_work_run, w, TOKEN_WORK);
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
    struct sl_reader in = sl_reader(sl_buf_slice(&w->bytes));
    while (w->kind == SL_IMAGE_EACH && !sl_reader_is_done(&in) && !in.is_bad) {
        struct sl_image_name name;
        bool is_name = sl_image_name_of(sl_read_bytes(&in, sizeof(name.digest)), &name);
        uint64_t size = sl_read_u64(&in);
        if (is_name && !in.is_bad)
            tell_has(ctx, &name, size);
    }
    if (w->err != SL_OK)
        sl_report_warn("images-unread", "err=%s", sl_err_name(w->err));
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
        run_serves(s, ctx);
        return;
    }
    for (struct fetch *f = s->fetches; f != NULL; f = f->next) {
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
refuse_chunk(struct sl_ctx *ctx, const struct sl_msg *msg, enum sl_err err, struct sl_slice have)
{
    const struct sl_m_image_chunk_want *want = SL_BODY(msg, image_chunk_want);
    struct sl_m_image_chunk m = {
        .name = want->name, .index = want->index, .err = err, .have = have};
    sl_send(ctx, msg->from, SL_M_image_chunk, &m);
}

static void
on_chunk_want(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    const struct sl_m_image_chunk_want *m = SL_BODY(msg, image_chunk_want);
    struct sl_image_name name;
    if (!sl_image_name_of(m->name, &name) || m->index >= SL_CHUNKS_COUNT_MAX)
        return;
    const struct fetch *f = fetch_of(s, &name);
    if (f != NULL && f->pull != NULL && !sl_pull_has(f->pull, (uint32_t)m->index)) {
        struct sl_buf have = {0};
        have_of(f, &have);
        refuse_chunk(ctx, msg, SL_ENOTFOUND, sl_buf_slice(&have));
        sl_buf_deinit(&have);
        return;
    }
    struct sl_image_work *w = sl_image_work_create(s->options.images, SL_IMAGE_READ, &name);
    w->index = (uint32_t)m->index;
    w->from = msg->from;
    if (!sl_image_serve_add(&s->serve, w)) {
        sl_image_work_destroy(&w);
        refuse_chunk(ctx, msg, SL_EBUSY, (struct sl_slice){0});
    }
    run_serves(s, ctx);
}

static void
on_list_want(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    struct sl_image_name name;
    static const struct sl_chunks none;
    if (!sl_image_name_of(SL_BODY(msg, image_list_want)->name, &name))
        return;
    const struct fetch *f = fetch_of(s, &name);
    if (f != NULL && f->pull != NULL) {
        const struct sl_chunks *chunks = sl_pull_chunks(f->pull);
        struct sl_buf have = {0};
        have_of(f, &have);
        struct sl_m_image_list m = {.err = chunks->digests == NULL ? SL_ENOTFOUND : SL_OK,
                                    .have = sl_buf_slice(&have)};
        reply_list(ctx, msg->from, &name, &m, chunks);
        sl_buf_deinit(&have);
        return;
    }
    struct sl_image_work *w = sl_image_work_create(s->options.images, SL_IMAGE_LIST, &name);
    w->from = msg->from;
    if (!sl_image_serve_add(&s->serve, w)) {
        struct sl_m_image_list m = {.err = SL_EBUSY};
        sl_image_work_destroy(&w);
        reply_list(ctx, msg->from, &name, &m, &none);
    }
    run_serves(s, ctx);
}

/* ---- what comes for our fetches ------------------------------------------------------------ */

static struct fetch *
running_of(const struct images *s, struct sl_slice bytes)
{
    struct sl_image_name name;
    struct fetch *f = sl_image_name_of(bytes, &name) ? fetch_of(s, &name) : NULL;
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
    struct fetch *f = running_of(s, m->name);
    if (f == NULL)
        return;
    struct sl_reader in = sl_reader(m->holders);
    while (!sl_reader_is_done(&in) && !in.is_bad) {
        uint32_t node = sl_read_u32(&in);
        if (!in.is_bad && node != ctx->self.node)
            (void)sl_pull_add(f->pull, node); /* Full, or known as bad: the others do. */
    }
    f->unknown = m->is_known != 0 ? 0 : f->unknown + 1;
    if (f->unknown >= UNKNOWN_MAX && sl_pull_holders(f->pull) == 0)
        sl_pull_fail(f->pull, SL_ENOTFOUND, "no node of the cluster has it");
    advance(s, ctx, f);
    begin_waiting(s, ctx);
}

static void
on_list(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct images *s = self;
    const struct sl_m_image_list *m = SL_BODY(msg, image_list);
    struct fetch *f = running_of(s, m->name);
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
    struct fetch *f = running_of(s, m->name);
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
    for (struct fetch *f = s->fetches, *next; f != NULL; f = next) {
        next = f->next;
        if (f->pull == NULL)
            continue;
        sl_pull_lose(f->pull, node);
        f->locate_ns = SL_MIN(f->locate_ns, ctx->now_ns + LOCATE_NS);
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
    struct fetch *f = fetch_of(s, &name);
    if (f == NULL) {
        tell_gone(ctx, &name);
        run_other(s, ctx, SL_IMAGE_REMOVE, &name);
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
    for (struct fetch *f = s->fetches, *next; f != NULL; f = next) {
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
    sl_image_serve_init(&s->serve);
    announce(s, ctx);
    sl_after(ctx, s->options.announce_ns, TOKEN_ANNOUNCE);
}

static void
deinit(void *self)
{
    struct images *s = self;
    for (struct fetch *f = s->fetches, *next; f != NULL; f = next) {
        next = f->next;
        free_fetch(f);
    }
    for (struct sl_image_work *w = s->others, *next; w != NULL; w = next) {
        next = w->next;
        sl_image_work_destroy(&w);
    }
    sl_image_serve_deinit(&s->serve);
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
    for (const struct fetch *f = s->fetches; f != NULL; f = f->next)
        ret_counts->fetching++;
}
