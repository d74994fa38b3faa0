/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sessions and a wire between them that loses, doubles and reorders, with virtual time. Each
 * frame's payload is the number that its sender counts, over all its sessions.
 */
#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/random.h"
#include "runtime/session.h"

#define FLIGHT_MAX 4096
#define SEEDS      400
#define STEPS      3000
#define DEAD_NS    (10 * SL_SECOND_NS)

/* A packet under way. */
struct packet {
    bool is_to_listener;
    uint64_t at_ns;
    struct sl_buf bytes;
};

struct end {
    struct sl_session *session;
    struct sl_session_options options;
    bool is_joined;
    bool is_up;
    uint64_t pushed; /* Numbers given so far. */
    uint64_t taken;  /* The last number that came. */
    bool may_skip;   /* A session ended since: numbers may be missing. */
    uint64_t ups, downs, refused;
};

struct world {
    struct sl_random random;
    uint64_t now_ns;
    struct end ends[2]; /* The caller, the listener. */
    struct packet flight[FLIGHT_MAX];
    uint32_t flight_count;
    uint32_t loss, twice; /* In a thousand. */
    uint64_t delay_ns;    /* At most; more than nothing reorders. */
    uint64_t boots;
    uint32_t spoken[2]; /* Packets that each end sent. */
};

static void
end_open(struct world *w, uint32_t at, uint64_t beat_ns)
{
    struct end *e = &w->ends[at];
    e->options = (struct sl_session_options){.self = {.node = at + 1,
                                                      .boot = 100 + ++w->boots,
                                                      .beat_ms = (uint32_t)(beat_ns / SL_MILLI_NS)},
                                             .is_caller = at == 0,
                                             .beat_ns = beat_ns,
                                             .dead_ns = DEAD_NS,
                                             .buffer_bytes = 4000};
    e->session = sl_session_create(&e->options, w->now_ns);
    e->is_joined = e->is_up = false;
}

static struct world *
world_create(uint64_t seed, uint64_t beat_ns)
{
    struct world *w = sl_zalloc(sizeof(*w));
    sl_random_seed(&w->random, seed);
    w->now_ns = SL_SECOND_NS;
    end_open(w, 0, beat_ns);
    end_open(w, 1, beat_ns);
    return w;
}

static void
clear_flight(struct world *w)
{
    for (uint32_t i = 0; i < w->flight_count; i++)
        sl_buf_deinit(&w->flight[i].bytes);
    w->flight_count = 0;
}

static void
world_destroy(struct world *w)
{
    clear_flight(w);
    sl_session_destroy(&w->ends[0].session);
    sl_session_destroy(&w->ends[1].session);
    sl_free(w);
}

static void
put_packet(struct world *w, uint32_t from, const struct sl_buf *bytes)
{
    uint32_t copies = sl_random_below(&w->random, 1000) < w->twice ? 2 : 1;
    for (uint32_t i = 0; i < copies && w->flight_count < FLIGHT_MAX; i++) {
        if (sl_random_below(&w->random, 1000) < w->loss)
            continue;
        struct packet *p = &w->flight[w->flight_count++];
        *p = (struct packet){.is_to_listener = from == 0, .at_ns = w->now_ns + 1};
        if (w->delay_ns > 0)
            p->at_ns += sl_random_below(&w->random, w->delay_ns);
        sl_buf_append(&p->bytes, bytes->data, bytes->size);
    }
}

static void
take_events(struct end *e)
{
    struct sl_session_event event;
    while (sl_session_event(e->session, &event)) {
        cr_assert_eq(e->is_up, !event.is_up, "up and down alternate");
        e->is_up = event.is_up;
        e->ups += event.is_up;
        e->downs += !event.is_up;
        e->may_skip = true;
    }
}

static void
speak(struct world *w, uint32_t at)
{
    struct sl_session_out out;
    while (sl_session_next(w->ends[at].session, w->now_ns, &out)) {
        struct sl_buf bytes = {0};
        w->spoken[at]++;
        if (out.kind == SL_FRAME_DATA)
            sl_buf_append(&bytes, out.frame->bytes.data, out.frame->bytes.size);
        else if (out.kind == SL_FRAME_HELLO)
            sl_frame_hello(&bytes, &out.hello);
        else
            sl_frame_beat(&bytes, &out.beat);
        put_packet(w, at, &bytes);
        sl_buf_deinit(&bytes);
        sl_session_sent(w->ends[at].session, w->now_ns, &out);
    }
    take_events(&w->ends[at]);
}

static void
take_number(struct end *e, struct sl_slice payload)
{
    uint64_t number;
    cr_assert_eq(payload.size, sizeof(number));
    memcpy(&number, payload.data, sizeof(number));
    cr_assert_gt(number, e->taken, "number %llu came after %llu", (unsigned long long)number,
                 (unsigned long long)e->taken);
    if (!e->may_skip)
        cr_assert_eq(number, e->taken + 1, "a number is missing within a session");
    e->may_skip = false;
    e->taken = number;
}

static void
hear(struct world *w, uint32_t at, struct sl_slice bytes)
{
    struct end *e = &w->ends[at];
    struct sl_frame_view view;
    cr_assert_eq(sl_frame_read(bytes, &view), SL_OK);
    if (at == 1)
        sl_session_join(e->session, w->now_ns);
    if (view.kind == SL_FRAME_HELLO)
        sl_session_hello(e->session, w->now_ns, &view.hello);
    else if (view.kind == SL_FRAME_BEAT)
        sl_session_beat(e->session, w->now_ns, &view.head);
    else if (sl_session_data(e->session, w->now_ns, &view.head, view.rest.size)) {
        take_events(e);
        take_number(e, view.rest);
    }
    take_events(e);
}

/* The earliest packet that has arrived. */
static bool
deliver_one(struct world *w)
{
    uint32_t first = FLIGHT_MAX;
    for (uint32_t i = 0; i < w->flight_count; i++) {
        if (w->flight[i].at_ns <= w->now_ns &&
            (first == FLIGHT_MAX || w->flight[i].at_ns < w->flight[first].at_ns))
            first = i;
    }
    if (first == FLIGHT_MAX)
        return false;
    struct packet p = w->flight[first];
    memmove(&w->flight[first], &w->flight[first + 1],
            (w->flight_count - first - 1) * sizeof(struct packet));
    w->flight_count--;
    uint32_t to = p.is_to_listener ? 1 : 0;
    hear(w, to, sl_buf_slice(&p.bytes));
    sl_buf_deinit(&p.bytes);
    speak(w, to);
    return true;
}

static void
run(struct world *w, uint64_t duration_ns)
{
    uint64_t end_ns = w->now_ns + duration_ns;
    while (w->now_ns < end_ns) {
        w->now_ns += SL_MILLI_NS;
        for (uint32_t i = 0; i < 2; i++) {
            if (w->now_ns >= sl_session_deadline_ns(w->ends[i].session))
                sl_session_tick(w->ends[i].session, w->now_ns);
            speak(w, i);
        }
        for (uint32_t i = 0; i < 2000 && deliver_one(w); i++)
            ;
    }
}

static enum sl_err
push(struct world *w, uint32_t at)
{
    struct end *e = &w->ends[at];
    enum sl_err err = sl_session_room(e->session, SL_FRAME_HEAD_BYTES + 8);
    if (err != SL_OK)
        return err;
    struct sl_frame *f = sl_session_frame(e->session);
    uint64_t number = ++e->pushed;
    sl_buf_append(&f->bytes, &number, sizeof(number));
    sl_session_push(e->session, f);
    return SL_OK;
}

static void
join(struct world *w)
{
    sl_session_join(w->ends[0].session, w->now_ns);
}

static void
cut(struct world *w)
{
    sl_session_cut(w->ends[0].session, w->now_ns);
    if (sl_random_below(&w->random, 2) == 0)
        sl_session_cut(w->ends[1].session, w->now_ns);
}

/* What comes back counts on; its connection and all that was under way on it is gone. */
static void
restart(struct world *w, uint32_t at, uint64_t beat_ns)
{
    clear_flight(w);
    cut(w);
    sl_session_destroy(&w->ends[at].session);
    end_open(w, at, beat_ns);
    w->ends[at].may_skip = true;
    join(w);
}

TestSuite(session, .timeout = 120);

Test(session, hands_frames_on_in_order_both_ways)
{
    struct world *w = world_create(1, 0);
    cr_assert_eq(push(w, 0), SL_OK);
    cr_assert_eq(push(w, 1), SL_ENOTFOUND, "nobody has come to the listener yet");
    join(w);
    run(w, 10 * SL_MILLI_NS);
    cr_assert(w->ends[0].is_up && w->ends[1].is_up);
    cr_assert_eq(w->ends[1].taken, 1);
    for (uint32_t i = 0; i < 20; i++) {
        cr_assert_eq(push(w, 0), SL_OK);
        cr_assert_eq(push(w, 1), SL_OK);
        run(w, SL_MILLI_NS);
    }
    run(w, 5 * SL_SECOND_NS);
    cr_assert_eq(w->ends[0].taken, 20);
    cr_assert_eq(w->ends[1].taken, 21);
    cr_assert(sl_session_is_idle(w->ends[0].session), "all is acknowledged");
    cr_assert(sl_session_is_idle(w->ends[1].session));
    cr_assert_eq(sl_session_counts(w->ends[0].session)->resent, 0);
    cr_assert_eq(sl_session_deadline_ns(w->ends[0].session), UINT64_MAX, "nothing is due");
    world_destroy(w);
}

Test(session, sends_again_what_a_broken_connection_lost_and_nothing_else)
{
    struct world *w = world_create(1, 0);
    join(w);
    run(w, 10 * SL_MILLI_NS);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(push(w, 0), SL_OK);
    run(w, SL_SECOND_NS);
    w->loss = 1000;
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(push(w, 0), SL_OK);
    run(w, 10 * SL_MILLI_NS);
    w->loss = 0;
    cut(w);
    cr_assert_eq(push(w, 0), SL_OK);
    run(w, SL_SECOND_NS);
    cr_assert_eq(w->ends[1].taken, 3);
    join(w);
    run(w, SL_SECOND_NS);
    cr_assert_eq(w->ends[1].taken, 8);
    cr_assert_eq(sl_session_counts(w->ends[0].session)->resent, 4);
    cr_assert_eq(sl_session_counts(w->ends[1].session)->duplicates, 0);
    cr_assert_eq(w->ends[0].ups, 1, "it is the same session");
    world_destroy(w);
}

/* Beats that nobody answers are acknowledged now and then, not each. */
Test(session, sends_few_acknowledgements_alone)
{
    struct world *w = world_create(1, 0);
    join(w);
    run(w, 10 * SL_MILLI_NS);
    uint32_t before = w->spoken[1];
    for (uint32_t i = 0; i < 20; i++) {
        cr_assert_eq(push(w, 0), SL_OK);
        run(w, SL_SECOND_NS);
    }
    cr_assert_eq(w->ends[1].taken, 20);
    cr_assert_leq(w->spoken[1] - before, 5);
    cr_assert_eq(sl_session_counts(w->ends[0].session)->resent, 0);
    world_destroy(w);
}

Test(session, notices_a_lost_last_frame_by_itself)
{
    struct world *w = world_create(1, 0);
    join(w);
    run(w, 10 * SL_MILLI_NS);
    w->loss = 1000;
    cr_assert_eq(push(w, 0), SL_OK);
    run(w, 10 * SL_MILLI_NS);
    w->loss = 0;
    run(w, 7 * SL_SECOND_NS);
    cr_assert_eq(w->ends[1].taken, 1);
    world_destroy(w);
}

Test(session, takes_no_more_than_its_buffer_and_goes_on_when_it_is_acknowledged)
{
    struct world *w = world_create(1, 0);
    enum sl_err err = SL_OK;
    uint32_t taken = 0;
    join(w);
    for (; taken < 1000 && (err = push(w, 0)) == SL_OK; taken++)
        ;
    cr_assert_eq(err, SL_EFULL);
    cr_assert_eq(taken, 4000 / (SL_FRAME_HEAD_BYTES + 8));
    run(w, SL_SECOND_NS);
    cr_assert_eq(push(w, 0), SL_OK);
    cr_assert_eq(w->ends[1].taken, taken);
    world_destroy(w);
}

Test(session, begins_anew_with_a_peer_that_restarted_and_drops_what_was_meant_for_the_former)
{
    struct world *w = world_create(1, 0);
    join(w);
    run(w, 10 * SL_MILLI_NS);
    w->loss = 1000;
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(push(w, 0), SL_OK);
    run(w, SL_MILLI_NS);
    w->loss = 0;
    restart(w, 1, 0);
    run(w, SL_SECOND_NS);
    cr_assert_eq(w->ends[0].ups, 2);
    cr_assert_eq(w->ends[0].downs, 1);
    cr_assert_eq(w->ends[1].taken, 0);
    cr_assert_eq(push(w, 0), SL_OK);
    run(w, SL_SECOND_NS);
    cr_assert_eq(w->ends[1].taken, 5);
    world_destroy(w);
}

Test(session, a_silent_peer_is_dead_at_its_time_and_not_before)
{
    struct world *w = world_create(1, SL_SECOND_NS);
    join(w);
    run(w, 5 * SL_SECOND_NS);
    cr_assert(w->ends[0].is_up && w->ends[1].is_up, "beats keep an idle session");
    run(w, 30 * SL_SECOND_NS);
    cr_assert(w->ends[0].is_up && w->ends[1].is_up);
    w->loss = 1000;
    run(w, DEAD_NS - 1100 * SL_MILLI_NS);
    cr_assert(w->ends[0].is_up && w->ends[1].is_up);
    run(w, 1200 * SL_MILLI_NS);
    cr_assert_not(w->ends[0].is_up);
    cr_assert_not(w->ends[1].is_up);
    w->loss = 0;
    run(w, SL_SECOND_NS);
    cr_assert(w->ends[0].is_up && w->ends[1].is_up, "it may come again");
    world_destroy(w);
}

Test(session, a_peer_that_refuses_is_told_of_and_asked_again_later)
{
    struct world *w = world_create(1, 0);
    join(w);
    sl_session_refuse(w->ends[0].session, w->now_ns);
    cr_assert_eq(push(w, 0), SL_EDENIED);
    run(w, 4 * SL_SECOND_NS);
    cr_assert_not(w->ends[0].is_up);
    run(w, 2 * SL_SECOND_NS);
    cr_assert(w->ends[0].is_up);
    cr_assert_eq(push(w, 0), SL_OK);
    world_destroy(w);
}

Test(session, frames_of_no_session_and_false_acknowledgements_change_nothing)
{
    struct world *w = world_create(1, 0);
    join(w);
    run(w, 10 * SL_MILLI_NS);
    cr_assert_eq(push(w, 0), SL_OK);
    struct sl_session *s = w->ends[0].session;
    uint32_t tag = sl_frame_tag(w->ends[1].options.self.boot, 1);
    struct sl_frame_head ahead = {.tag = tag, .seq = 1, .ack = 1000};
    cr_assert_not(sl_session_data(s, w->now_ns, &(struct sl_frame_head){.tag = 9, .seq = 1}, 8));
    cr_assert(sl_session_data(s, w->now_ns, &ahead, 8));
    cr_assert_not(sl_session_is_idle(s));
    cr_assert_eq(sl_session_counts(s)->foreign, 2);
    cr_assert_not(sl_session_data(s, w->now_ns, &ahead, 8), "it has come before");
    world_destroy(w);
}

static void
one_step(struct world *w, uint64_t beat_ns)
{
    switch (sl_random_below(&w->random, 40)) {
    case 0:
        cut(w);
        break;
    case 1:
        join(w);
        break;
    case 2:
        w->loss = (uint32_t)sl_random_below(&w->random, 400);
        w->twice = (uint32_t)sl_random_below(&w->random, 300);
        w->delay_ns = sl_random_below(&w->random, 300) * SL_MILLI_NS;
        break;
    case 3:
        if (sl_random_below(&w->random, 10) == 0)
            restart(w, (uint32_t)sl_random_below(&w->random, 2), beat_ns);
        break;
    case 4:
        if (sl_random_below(&w->random, 20) == 0) {
            sl_session_void(w->ends[sl_random_below(&w->random, 2)].session, w->now_ns, "a whim");
        }
        break;
    case 5:
        run(w, sl_random_below(&w->random, 100) == 0 ? 11 * SL_SECOND_NS : 50 * SL_MILLI_NS);
        break;
    default:
        if (push(w, (uint32_t)sl_random_below(&w->random, 2)) != SL_OK)
            run(w, 5 * SL_MILLI_NS);
        break;
    }
    run(w, sl_random_below(&w->random, 3) * SL_MILLI_NS);
}

/* Whatever the wire does: in order, once, and none missing but where a session ended; and once it
   is sound again, everything comes. */
Test(session, keeps_its_promise_on_any_wire)
{
    uint64_t resent = 0, duplicates = 0, voided = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t beat_ns = seed % 2 * SL_SECOND_NS;
        struct world *w = world_create(seed, beat_ns);
        join(w);
        for (uint32_t i = 0; i < STEPS / 10; i++)
            one_step(w, beat_ns);
        w->loss = w->twice = 0;
        w->delay_ns = 0;
        join(w);
        run(w, SL_SECOND_NS);
        cr_assert_eq(push(w, 0), SL_OK); /* One who does not beat notices when it sends. */
        run(w, 6 * SL_SECOND_NS);
        cr_assert(w->ends[0].is_up && w->ends[1].is_up, "seed %llu", (unsigned long long)seed);
        cr_assert_eq(push(w, 0), SL_OK);
        cr_assert_eq(push(w, 1), SL_OK);
        run(w, 3 * SL_SECOND_NS);
        cr_assert_eq(w->ends[1].taken, w->ends[0].pushed, "seed %llu", (unsigned long long)seed);
        cr_assert_eq(w->ends[0].taken, w->ends[1].pushed, "seed %llu", (unsigned long long)seed);
        for (uint32_t k = 0; k < 2; k++) {
            const struct sl_session_counts *c = sl_session_counts(w->ends[k].session);
            resent += c->resent;
            duplicates += c->duplicates;
            voided += c->voided;
        }
        world_destroy(w);
    }
    cr_assert(resent > 1000 && duplicates > 1000 && voided > 100, "the wire was too good");
}
