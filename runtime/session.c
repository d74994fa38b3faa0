/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery is go-back-N: frames are few (each holds many messages) and loss means a broken
 * connection, so a receiver keeps nothing out of order. It tells what it has, once a gap, and the
 * sender goes on from there.
 *
 * A peer's id that was given up is remembered (`floor`): a hello that was under way meanwhile must
 * not bring it back to life, or frames could be handed on twice.
 */
#include "runtime/session.h"

#include "runtime/alloc.h"

#define RETRY_NS   (200 * SL_MILLI_NS) /* A hello without an answer; a gap that stays. */
#define REFUSED_NS (5 * SL_SECOND_NS)  /* The same after a refusal: somebody may mend it. */
/*
 * An acknowledgement waits for a frame to ride, as long as the sender keeps little for want of it:
 * sent alone it would wake both processes, and one that only beats would cost twice.
 */
#define ACK_NS       (4 * SL_SECOND_NS)
#define ACK_FRAMES   32
#define ACK_BYTES    SL_MIB
#define PROBE_NS     (6 * SL_SECOND_NS) /* Frames without acknowledgement: ask. Doubles, up to: */
#define PROBE_MAX_NS (12 * SL_SECOND_NS)
#define SPARES_MAX   8
#define SPARE_BYTES  (64 * SL_KIB)
#define NEVER        UINT64_MAX

struct id {
    uint64_t boot, session;
};

struct sl_session {
    struct sl_session_options options;
    struct id own, peer, floor; /* peer.boot 0: unbound. */
    uint32_t own_tag, peer_tag;
    uint32_t peer_beat_ms;
    bool is_cut, is_in_step, is_refused;
    bool wants_hello, wants_ack, wants_beat, wants_probe;
    /* Sending: oldest .. unsent was transmitted on this connection, the rest not yet. */
    struct sl_frame *oldest, **tail, *unsent;
    uint64_t last_seq, sent_seq, acked;
    size_t bytes;
    struct sl_frame *spares;
    uint32_t spares_count;
    /* Receiving. */
    uint64_t received, ack_sent, gap_told;
    uint32_t ack_frames;
    size_t ack_bytes;
    /* Times; NEVER where nothing is due. */
    uint64_t heard_ns, spoke_ns, cut_ns;
    uint64_t hello_due_ns, ack_due_ns, probe_due_ns, probe_ns, gap_due_ns;
    bool has_down, has_up;
    struct sl_session_event down, up;
    struct sl_session_counts counts;
};

static bool
is_same(struct id a, struct id b)
{
    return a.boot == b.boot && a.session == b.session;
}

/* Whether `a` is what `b` was, or came before it. Ids of different boots cannot be told. */
static bool
is_not_after(struct id a, struct id b)
{
    return a.boot == b.boot && a.session <= b.session;
}

static bool
is_bound(const struct sl_session *s)
{
    return s->peer.boot != 0;
}

struct sl_session *
sl_session_create(const struct sl_session_options *options, uint64_t now_ns)
{
    sl_assert(options->self.boot != 0 && options->dead_ns > 0);
    struct sl_session *s = sl_zalloc(sizeof(*s));
    s->options = *options;
    if (s->options.lost_ns == 0)
        s->options.lost_ns = options->dead_ns;
    s->own = (struct id){options->self.boot, options->self.session + 1};
    s->own_tag = sl_frame_tag(s->own.boot, s->own.session);
    s->is_cut = true;
    s->tail = &s->oldest;
    s->heard_ns = s->spoke_ns = s->cut_ns = now_ns;
    s->hello_due_ns = s->ack_due_ns = s->probe_due_ns = NEVER;
    s->probe_ns = PROBE_NS;
    s->gap_told = NEVER;
    return s;
}

/* ---- frames -------------------------------------------------------------------------------- */

static void
drop_oldest(struct sl_session *s)
{
    struct sl_frame *f = s->oldest;
    s->oldest = f->next;
    if (s->oldest == NULL)
        s->tail = &s->oldest;
    if (s->unsent == f)
        s->unsent = f->next;
    s->bytes -= f->bytes.size;
    if (s->spares_count < SPARES_MAX && f->bytes.capacity <= SPARE_BYTES &&
        atomic_load_explicit(&f->refs, memory_order_acquire) == 1) {
        f->next = s->spares;
        s->spares = f;
        s->spares_count++;
        return;
    }
    sl_frame_unref(&f);
}

struct sl_frame *
sl_session_frame(struct sl_session *s)
{
    struct sl_frame *f = s->spares;
    if (f == NULL)
        return sl_frame_create();
    s->spares = f->next;
    s->spares_count--;
    f->next = NULL;
    f->bytes.size = SL_FRAME_HEAD_BYTES;
    return f;
}

void
sl_session_destroy(struct sl_session **session)
{
    struct sl_session *s = *session;
    if (s == NULL)
        return;
    while (s->oldest != NULL)
        drop_oldest(s);
    for (struct sl_frame *f = s->spares, *next; f != NULL; f = next) {
        next = f->next;
        sl_frame_unref(&f);
    }
    sl_free(s);
    *session = NULL;
}

enum sl_err
sl_session_room(const struct sl_session *s, size_t size)
{
    if (s->is_refused)
        return SL_EDENIED;
    if (!s->options.is_caller && !is_bound(s))
        return SL_ENOTFOUND;
    if (s->oldest != NULL && s->bytes + size > s->options.buffer_bytes)
        return SL_EFULL;
    return SL_OK;
}

void
sl_session_push(struct sl_session *s, struct sl_frame *frame)
{
    sl_assert(frame->bytes.size >= SL_FRAME_HEAD_BYTES && frame->next == NULL);
    frame->seq = ++s->last_seq;
    *s->tail = frame;
    s->tail = &frame->next;
    s->bytes += frame->bytes.size;
    if (s->unsent == NULL)
        s->unsent = frame;
}

/* ---- giving up, and beginning -------------------------------------------------------------- */

static void
draw_id(struct sl_session *s)
{
    s->own.session++;
    s->own_tag = sl_frame_tag(s->own.boot, s->own.session);
}

static void
say_down(struct sl_session *s, const char *reason)
{
    if (s->has_up) { /* Nobody has heard of it yet. */
        s->has_up = false;
        return;
    }
    s->has_down = true;
    s->down = (struct sl_session_event){
        .boot = s->peer.boot, .session = s->peer.session, .reason = reason};
}

void
sl_session_void(struct sl_session *s, uint64_t now_ns, const char *reason)
{
    while (s->oldest != NULL)
        drop_oldest(s);
    s->last_seq = s->sent_seq = s->acked = 0;
    s->received = s->ack_sent = 0;
    s->gap_told = s->ack_due_ns = s->probe_due_ns = NEVER;
    s->wants_ack = s->wants_beat = s->wants_probe = s->is_in_step = false;
    draw_id(s);
    s->wants_hello = s->options.is_caller || is_bound(s); /* So that the peer gives up, too. */
    s->hello_due_ns = s->options.is_caller ? now_ns + RETRY_NS : NEVER;
    if (!is_bound(s))
        return;
    say_down(s, reason);
    s->counts.voided++;
    s->floor = s->peer;
    s->peer = (struct id){0};
}

static void
bind(struct sl_session *s, uint64_t now_ns, const struct sl_hello *h)
{
    s->peer = (struct id){h->boot, h->session};
    s->peer_tag = sl_frame_tag(h->boot, h->session);
    s->is_in_step = true;
    s->is_refused = false;
    s->heard_ns = s->spoke_ns = now_ns;
    s->hello_due_ns = NEVER;
    s->has_up = true;
    s->up = (struct sl_session_event){.is_up = true, .boot = h->boot, .session = h->session};
}

static void
take_ack(struct sl_session *s, uint64_t now_ns, uint64_t ack)
{
    if (ack > s->sent_seq) {
        s->counts.foreign++; /* It cannot have had what was never sent. */
        return;
    }
    if (ack <= s->acked)
        return;
    s->acked = ack;
    while (s->oldest != NULL && s->oldest->seq <= ack)
        drop_oldest(s);
    s->probe_ns = PROBE_NS;
    s->probe_due_ns = s->oldest == NULL ? NEVER : now_ns + PROBE_NS;
}

/* The peer has told what it has: go on behind that. */
static void
step(struct sl_session *s, uint64_t now_ns, uint64_t received)
{
    take_ack(s, now_ns, received);
    s->is_in_step = true;
    s->hello_due_ns = NEVER;
    s->unsent = s->oldest;
}

static void
want_hello(struct sl_session *s, uint64_t now_ns)
{
    s->wants_hello = true;
    s->hello_due_ns = now_ns + RETRY_NS;
}

/* ---- transmitting -------------------------------------------------------------------------- */

static void
fill_hello(const struct sl_session *s, struct sl_hello *h)
{
    *h = s->options.self;
    h->session = s->own.session;
    h->peer_boot = s->peer.boot;
    h->peer_session = s->peer.session;
    h->received = s->received;
    h->wants_reply = !is_bound(s) || !s->is_in_step;
}

static void
fill_head(const struct sl_session *s, uint64_t seq, struct sl_frame_head *head)
{
    *head = (struct sl_frame_head){.tag = s->own_tag, .seq = seq, .ack = s->received};
}

bool
sl_session_next(struct sl_session *s, uint64_t now_ns, struct sl_session_out *ret_out)
{
    (void)now_ns;
    if (s->is_cut)
        return false;
    if (s->wants_hello) {
        ret_out->kind = SL_FRAME_HELLO;
        fill_hello(s, &ret_out->hello);
        return true;
    }
    if (!is_bound(s) || !s->is_in_step)
        return false;
    if (s->unsent != NULL) {
        struct sl_frame *f = s->unsent;
        ret_out->kind = SL_FRAME_DATA;
        ret_out->frame = f;
        fill_head(s, f->seq, &ret_out->beat);
        /* ZeroMQ may still read a frame that was sent before: then its old head must do. */
        if (atomic_load_explicit(&f->refs, memory_order_acquire) == 1)
            sl_frame_head_put(f->bytes.data, SL_FRAME_DATA, &ret_out->beat);
        else
            ret_out->beat.ack = 0;
        return true;
    }
    if (!s->wants_ack && !s->wants_beat && !s->wants_probe)
        return false;
    ret_out->kind = SL_FRAME_BEAT;
    fill_head(s, s->sent_seq, &ret_out->beat);
    ret_out->beat.wants_ack = s->wants_probe;
    return true;
}

static void
note_ack(struct sl_session *s, uint64_t ack)
{
    s->ack_sent = SL_MAX(s->ack_sent, ack);
    if (s->ack_sent < s->received)
        return;
    s->wants_ack = false;
    s->ack_due_ns = NEVER;
    s->ack_frames = 0;
    s->ack_bytes = 0;
}

void
sl_session_sent(struct sl_session *s, uint64_t now_ns, const struct sl_session_out *out)
{
    s->spoke_ns = now_ns;
    switch (out->kind) {
    case SL_FRAME_HELLO:
        s->wants_hello = false;
        note_ack(s, out->hello.received);
        s->gap_told = s->received; /* It tells of any gap, too. */
        s->gap_due_ns = now_ns + RETRY_NS;
        if (out->hello.wants_reply)
            s->hello_due_ns = now_ns + (s->is_refused ? REFUSED_NS : RETRY_NS);
        break;
    case SL_FRAME_DATA:
        sl_assert(out->frame == s->unsent);
        if (out->frame->seq <= s->sent_seq)
            s->counts.resent++;
        s->sent_seq = SL_MAX(s->sent_seq, out->frame->seq);
        s->unsent = out->frame->next;
        note_ack(s, out->beat.ack);
        if (s->probe_due_ns == NEVER)
            s->probe_due_ns = now_ns + s->probe_ns;
        break;
    default:
        s->wants_ack = s->wants_beat = s->wants_probe = false;
        note_ack(s, out->beat.ack);
        break;
    }
}

/* ---- hearing ------------------------------------------------------------------------------- */

void
sl_session_join(struct sl_session *s, uint64_t now_ns)
{
    if (!s->is_cut)
        return;
    s->is_cut = false;
    s->is_in_step = false;
    s->heard_ns = now_ns; /* The peer gets its whole time again. */
    if (s->options.is_caller || is_bound(s))
        want_hello(s, now_ns);
}

void
sl_session_cut(struct sl_session *s, uint64_t now_ns)
{
    if (s->is_cut)
        return;
    s->is_cut = true;
    s->is_in_step = false;
    s->cut_ns = now_ns;
}

void
sl_session_probe(struct sl_session *s)
{
    s->wants_beat = s->wants_beat || is_bound(s);
}

/* Bound, and the peer's id is the one we know. */
static void
hear_known(struct sl_session *s, uint64_t now_ns, const struct sl_hello *h)
{
    if (is_same((struct id){h->peer_boot, h->peer_session}, s->own)) {
        step(s, now_ns, h->received);
        if (h->wants_reply)
            s->wants_hello = true;
        return;
    }
    /* It has not heard of us yet, or only of what we were: it must, before anything else counts. */
    s->is_in_step = false;
    want_hello(s, now_ns);
}

static void
hear_new(struct sl_session *s, uint64_t now_ns, const struct sl_hello *h)
{
    struct id ours = {h->peer_boot, h->peer_session};
    if (ours.boot != 0 && !is_same(ours, s->own)) {
        want_hello(s, now_ns); /* It speaks of what we gave up. */
        return;
    }
    bind(s, now_ns, h);
    if (ours.boot == 0 || h->wants_reply)
        s->wants_hello = true;
}

void
sl_session_hello(struct sl_session *s, uint64_t now_ns, const struct sl_hello *h)
{
    struct id peer = {h->boot, h->session};
    s->heard_ns = now_ns;
    s->peer_beat_ms = h->beat_ms;
    if (is_bound(s) && is_same(peer, s->peer)) {
        hear_known(s, now_ns, h);
        return;
    }
    if (is_not_after(peer, s->floor) || (is_bound(s) && is_not_after(peer, s->peer))) {
        s->counts.foreign++;
        /* It has bound to us as we are, with an id that we cannot take: both must draw new ones. */
        if (!is_bound(s) && is_same((struct id){h->peer_boot, h->peer_session}, s->own))
            draw_id(s);
        want_hello(s, now_ns);
        return;
    }
    if (is_bound(s))
        sl_session_void(s, now_ns,
                        peer.boot == s->peer.boot ? "the peer gave up" : "the peer restarted");
    hear_new(s, now_ns, h);
}

static bool
is_foreign(struct sl_session *s, uint64_t now_ns, const struct sl_frame_head *head)
{
    if (is_bound(s) && head->tag == s->peer_tag) {
        s->heard_ns = now_ns;
        return false;
    }
    s->counts.foreign++;
    if (s->hello_due_ns == NEVER || now_ns >= s->hello_due_ns)
        want_hello(s, now_ns);
    return true;
}

static void
tell_gap(struct sl_session *s, uint64_t now_ns, bool is_asked)
{
    if (s->gap_told == s->received && now_ns < s->gap_due_ns && !is_asked)
        return;
    s->counts.gaps++;
    s->gap_told = s->received;
    s->gap_due_ns = now_ns + RETRY_NS;
    s->wants_hello = true;
}

bool
sl_session_data(struct sl_session *s, uint64_t now_ns, const struct sl_frame_head *head,
                size_t size)
{
    if (is_foreign(s, now_ns, head))
        return false;
    take_ack(s, now_ns, head->ack);
    if (head->seq <= s->received) {
        s->counts.duplicates++;
        s->wants_ack = true;
        return false;
    }
    if (head->seq != s->received + 1) {
        tell_gap(s, now_ns, false);
        return false;
    }
    s->received++;
    s->ack_bytes += size;
    if (++s->ack_frames >= ACK_FRAMES || s->ack_bytes >= ACK_BYTES)
        s->wants_ack = true;
    else if (s->ack_due_ns == NEVER)
        s->ack_due_ns = now_ns + ACK_NS;
    return true;
}

void
sl_session_beat(struct sl_session *s, uint64_t now_ns, const struct sl_frame_head *head)
{
    if (is_foreign(s, now_ns, head))
        return;
    take_ack(s, now_ns, head->ack);
    if (head->seq > s->received)
        tell_gap(s, now_ns, head->wants_ack);
    else if (head->wants_ack)
        s->wants_beat = true;
}

void
sl_session_refuse(struct sl_session *s, uint64_t now_ns)
{
    sl_session_void(s, now_ns, "the peer refused");
    s->is_refused = true;
    s->wants_hello = false;
    s->hello_due_ns = s->options.is_caller ? now_ns + REFUSED_NS : NEVER;
}

/* ---- time ---------------------------------------------------------------------------------- */

static uint64_t
add(uint64_t at_ns, uint64_t more_ns)
{
    return at_ns > NEVER - more_ns ? NEVER : at_ns + more_ns;
}

static uint64_t
dead_due_ns(const struct sl_session *s)
{
    if (!is_bound(s))
        return NEVER;
    if (s->is_cut)
        return add(s->cut_ns, s->options.lost_ns);
    if (s->peer_beat_ms == 0)
        return NEVER;
    return add(s->heard_ns, SL_MAX(s->options.dead_ns, 3 * s->peer_beat_ms * SL_MILLI_NS));
}

static uint64_t
beat_due_ns(const struct sl_session *s)
{
    return is_bound(s) && s->options.beat_ns > 0 ? add(s->spoke_ns, s->options.beat_ns) : NEVER;
}

static uint64_t
hello_due_ns(const struct sl_session *s)
{
    bool is_waiting = is_bound(s) ? !s->is_in_step : s->options.is_caller;
    return is_waiting ? s->hello_due_ns : NEVER;
}

uint64_t
sl_session_deadline_ns(const struct sl_session *s)
{
    uint64_t due_ns = dead_due_ns(s);
    if (s->is_cut)
        return due_ns;
    due_ns = SL_MIN(due_ns, SL_MIN(hello_due_ns(s), beat_due_ns(s)));
    return is_bound(s) ? SL_MIN(due_ns, SL_MIN(s->ack_due_ns, s->probe_due_ns)) : due_ns;
}

void
sl_session_tick(struct sl_session *s, uint64_t now_ns)
{
    if (now_ns >= dead_due_ns(s)) {
        sl_session_void(s, now_ns, s->is_cut ? "no connection" : "silence");
        return;
    }
    if (s->is_cut)
        return;
    if (now_ns >= hello_due_ns(s))
        want_hello(s, now_ns);
    if (!is_bound(s))
        return;
    if (now_ns >= beat_due_ns(s))
        s->wants_beat = true;
    if (now_ns >= s->ack_due_ns) {
        s->wants_ack = true;
        s->ack_due_ns = NEVER;
    }
    if (now_ns >= s->probe_due_ns) {
        s->wants_probe = true;
        s->probe_ns = SL_MIN(2 * s->probe_ns, PROBE_MAX_NS);
        s->probe_due_ns = now_ns + s->probe_ns;
    }
}

/* ---- what became of it --------------------------------------------------------------------- */

bool
sl_session_event(struct sl_session *s, struct sl_session_event *ret_event)
{
    if (s->has_down) {
        s->has_down = false;
        *ret_event = s->down;
        return true;
    }
    if (!s->has_up)
        return false;
    s->has_up = false;
    *ret_event = s->up;
    return true;
}

const struct sl_session_counts *
sl_session_counts(const struct sl_session *s)
{
    return &s->counts;
}

bool
sl_session_is_bound(const struct sl_session *s)
{
    return is_bound(s);
}

bool
sl_session_is_cut(const struct sl_session *s)
{
    return s->is_cut;
}

bool
sl_session_has_unsent(const struct sl_session *s)
{
    return s->unsent != NULL || (s->oldest != NULL && !s->is_in_step);
}

bool
sl_session_is_idle(const struct sl_session *s)
{
    return s->oldest == NULL;
}

uint64_t
sl_session_heard_ns(const struct sl_session *s)
{
    return s->heard_ns;
}
