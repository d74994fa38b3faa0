/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live streams: pages that stay open are told what has changed. What they are told is made once for
 * all of them, and only while somebody listens. Nothing is queued for anybody: a page that reads
 * slowly gets, whenever it has read the last, what is so by then; one that reads nothing at all is
 * cut by the guard, as any reply that nobody reads.
 *
 *     asleep --news, or a sign of life is due--> writing --all is written--> asleep
 *        `------- key revoked, front stops -------> over
 */
#include "gateway/front/page.h"
#include "gateway/sessions.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/limits.h"
#include "runtime/time.h"

#define FOLLOWERS_MAX 64u
#define TENANTS_MAX   48u /* Of them, of all tenants together: the rest are operators'. */
#define TENANT_MAX    8u
#define PIECE_BYTES   (SL_KIB * 64)       /* Of what is told at once; more is not told. */
#define FEED_NS       (400 * SL_MILLI_NS) /* From one look to the next, at least, */
#define FEED_SHARE    20                  /* and so many times what the look took. */
#define TENANT_NS     (2 * SL_SECOND_NS)  /* How often a tenant's page looks for itself. */
#define SIGN_NS       (10 * SL_SECOND_NS) /* So a connection that broke is noticed. */

const char sl_stream_type[] = "text/event-stream";

struct follower {
    struct follower *next, *previous;
    struct sl_front *front;
    struct MHD_Connection *connection;
    uint64_t tenant;     /* Scope. */
    uint8_t digest[32];  /* The key, asked for again and again: it may be revoked, */
    uint8_t session[32]; /* and the session may end: the hash of its token. */
    bool is_operator, is_asleep, is_over;
    uint64_t seen, told_ns; /* seen: the version it was told; 0: none. */
    struct sl_buf piece;    /* What is being written. */
    size_t written;
};

struct sl_followers {
    struct follower *first;
    uint32_t count;
    struct sl_buf text, fresh; /* What was told last, and what the feed says now. */
    uint64_t version;          /* 0 until there is a text. */
    uint64_t look_ns;          /* When to ask next, */
    uint64_t due_ns;           /* and when to see again whether each may stay. */
};

static struct sl_followers *
followers_of(struct sl_front *front)
{
    if (front->followers == NULL)
        front->followers = sl_zalloc(sizeof(*front->followers));
    return front->followers;
}

bool
sl_stream_has_room(const struct sl_front *front, const struct sl_identity *who)
{
    const struct sl_followers *all = front->followers;
    uint32_t of_tenants = 0, of_tenant = 0;
    if (all == NULL)
        return true;
    for (const struct follower *f = all->first; f != NULL; f = f->next) {
        of_tenants += !f->is_operator;
        of_tenant += f->tenant == who->scope.id;
    }
    if (who->is_operator)
        return all->count < FOLLOWERS_MAX;
    return of_tenants < TENANTS_MAX && of_tenant < TENANT_MAX;
}

/* ---- one of them --------------------------------------------------------------------------- */

static bool
is_due(const struct follower *f, uint64_t now_ns)
{
    uint64_t since_ns = now_ns - f->told_ns;
    if (f->is_over)
        return true;
    if (!f->is_operator)
        return since_ns >= TENANT_NS;
    return f->seen != f->front->followers->version || since_ns >= SIGN_NS;
}

/* An operator is told what is so; a tenant, to whom that is no business, only to look again. */
static void
fill(struct follower *f)
{
    const struct sl_followers *all = f->front->followers;
    sl_buf_clear(&f->piece);
    f->written = 0;
    if (!f->is_operator) {
        sl_buf_append_str(&f->piece, "event: look\ndata: {}\n\n");
    } else if (f->seen != all->version) {
        sl_buf_append_str(&f->piece, "event: summary\ndata: ");
        sl_buf_append_slice(&f->piece, sl_buf_slice(&all->text));
        sl_buf_append_str(&f->piece, "\n\n");
    } else {
        sl_buf_append_str(&f->piece, ": here\n\n");
    }
    f->seen = all->version;
    f->told_ns = f->front->round_ns;
    sl_guard_answered(f->connection, f->piece.size);
}

static ssize_t
on_read(void *arg, uint64_t position, char *ret_data, size_t size_max)
{
    struct follower *f = arg;
    (void)position;
    if (f->written == f->piece.size) {
        if (f->is_over || atomic_load(&f->front->is_stopping))
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (!is_due(f, f->front->round_ns)) {
            sl_guard_begun(f->connection); /* All that was told is read. */
            f->is_asleep = true;
            MHD_suspend_connection(f->connection);
            return 0;
        }
        fill(f);
    }
    size_t size = SL_MIN(size_max, f->piece.size - f->written);
    memcpy(ret_data, f->piece.data + f->written, size);
    f->written += size;
    return (ssize_t)size;
}

static void
on_free(void *arg)
{
    struct follower *f = arg;
    struct sl_followers *all = f->front->followers;
    if (f->next != NULL)
        f->next->previous = f->previous;
    if (f->previous != NULL)
        f->previous->next = f->next;
    else
        all->first = f->next;
    all->count--;
    sl_buf_deinit(&f->piece);
    sl_free(f);
}

struct MHD_Response *
sl_stream_create(struct sl_request *request, const struct sl_call *call)
{
    struct sl_followers *all = followers_of(request->front);
    struct follower *f = sl_zalloc(sizeof(*f));
    f->front = request->front;
    f->connection = request->connection;
    memcpy(f->digest, call->who.digest, sizeof(f->digest));
    sl_sha256(sl_page_token(request), f->session);
    f->tenant = call->who.scope.id;
    f->is_operator = call->who.is_operator;
    f->next = all->first;
    if (all->first != NULL)
        all->first->previous = f;
    all->first = f;
    all->count++;
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, SL_KIB * 4, on_read, f, on_free);
}

/* ---- all of them --------------------------------------------------------------------------- */

/* A look costs the store's thread something: where it costs much, it is had more seldom. */
static void
look(struct sl_front *front, uint64_t now_ns)
{
    struct sl_followers *all = front->followers;
    sl_buf_clear(&all->fresh);
    front->options.feed(front->options.arg, &all->fresh);
    uint64_t took_ns = sl_time_mono_ns() - now_ns;
    all->look_ns = now_ns + SL_MAX(FEED_NS, FEED_SHARE * took_ns);
    bool is_news = all->fresh.size > 0 && all->fresh.size <= PIECE_BYTES &&
                   !sl_slice_equal(sl_buf_slice(&all->fresh), sl_buf_slice(&all->text));
    if (!is_news)
        return;
    struct sl_buf before = all->text;
    all->text = all->fresh;
    all->fresh = before;
    all->version++;
}

static void
wake(struct follower *f)
{
    f->is_asleep = false;
    MHD_resume_connection(f->connection);
}

static bool
may_stay(const struct follower *f, uint64_t now_ms)
{
    const struct sl_front_options *options = &f->front->options;
    struct sl_identity who;
    return sl_keyring_find(options->planes[0].keyring, f->digest, now_ms, &who) == SL_OK &&
           sl_sessions_is_open(options->sessions, f->session, now_ms);
}

/* However long a look takes, who may not stay is seen in time. */
void
sl_stream_tick(struct sl_front *front)
{
    struct sl_followers *all = front->followers;
    uint64_t now_ns = front->round_ns, now_ms = sl_time_wall_ms();
    bool has_operator = false;
    if (all == NULL || all->first == NULL || now_ns < all->due_ns)
        return;
    all->due_ns = now_ns + FEED_NS;
    for (struct follower *f = all->first; f != NULL; f = f->next) {
        f->is_over = f->is_over || !may_stay(f, now_ms);
        has_operator = has_operator || (f->is_operator && !f->is_over);
    }
    if (has_operator && now_ns >= all->look_ns)
        look(front, now_ns);
    for (struct follower *f = all->first; f != NULL; f = f->next) {
        if (f->is_asleep && is_due(f, now_ns))
            wake(f);
    }
}

void
sl_stream_release(struct sl_front *front)
{
    if (front->followers == NULL)
        return;
    for (struct follower *f = front->followers->first; f != NULL; f = f->next) {
        f->is_over = true;
        if (f->is_asleep)
            wake(f);
    }
}

void
sl_stream_destroy(struct sl_front *front)
{
    if (front->followers == NULL)
        return;
    sl_assert(front->followers->first == NULL);
    sl_buf_deinit(&front->followers->text);
    sl_buf_deinit(&front->followers->fresh);
    sl_free(front->followers);
    front->followers = NULL;
}
