/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler on the test's own thread, by its own clock; tests/runtime/scheduler_tsan.c has the
   threads. */
#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "tests/runtime/stage.h"

/* ---- an actor that does as it is told and notes what it hears -------------------------------- */

enum order {
    NOTE,
    STOP,
    FAIL,
    WATCH,
    UNWATCH,
    LINK,
    UNLINK,
    CALL,
    AFTER,
    SPAWN_LINKED,
    SPAWN_WATCHED,
    FLOOD,
    REPLY,
};

struct probe {
    struct sl_addr other, child;
    uint64_t heard[64]; /* Message ids. */
    uint64_t values[64];
    uint64_t requests[64];
    struct sl_addr from[64];
    uint32_t count;
    uint64_t call;
};

static int deinits;

static const struct sl_actor_class probe_class;

static void
note(struct probe *p, const struct sl_msg *msg, uint64_t value)
{
    cr_assert_lt(p->count, SL_COUNT_OF(p->heard));
    p->heard[p->count] = msg->id;
    p->requests[p->count] = msg->request;
    p->from[p->count] = msg->from;
    p->values[p->count++] = value;
}

static void
obey(struct probe *p, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct sl_spawn_options linked = {.is_linked = true}, watched = {.is_watched = true};
    switch ((enum order)SL_BODY(msg, count)->number) {
    case STOP:
        sl_stop(ctx);
        break;
    case FAIL:
        sl_fail(ctx, SL_ECRASHED);
        break;
    case WATCH:
        sl_watch(ctx, p->other);
        break;
    case UNWATCH:
        sl_unwatch(ctx, p->other);
        break;
    case LINK:
        sl_link(ctx, p->other);
        break;
    case UNLINK:
        sl_unlink(ctx, p->other);
        break;
    case CALL:
        p->call = sl_call(ctx, p->other, 100, SL_M_count, &(struct sl_m_count){REPLY});
        break;
    case AFTER:
        sl_after(ctx, 50, 7);
        break;
    case SPAWN_LINKED:
        cr_assert_eq(sl_spawn(ctx, &probe_class, NULL, &linked, &p->child), SL_OK);
        break;
    case SPAWN_WATCHED:
        cr_assert_eq(sl_spawn(ctx, &probe_class, NULL, &watched, &p->child), SL_OK);
        break;
    case FLOOD:
        for (uint64_t i = 0; i < 10; i++)
            sl_send(ctx, p->other, SL_M_bare, NULL);
        break;
    case REPLY:
        sl_reply(ctx, msg, SL_M_bare, NULL);
        break;
    case NOTE:
        break;
    }
}

static void
probe_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct probe *p = self;
    uint64_t value = 0;
    if (msg->id == SL_M_count)
        value = SL_BODY(msg, count)->number;
    else if (msg->id == SL_M_down)
        value = SL_BODY(msg, down)->reason;
    else if (msg->id == SL_M_link_down)
        value = SL_BODY(msg, link_down)->reason;
    else if (msg->id == SL_M_exit)
        value = SL_BODY(msg, exit)->reason;
    else if (msg->id == SL_M_undelivered)
        value = SL_BODY(msg, undelivered)->reason;
    else if (msg->id == SL_M_timer)
        value = SL_BODY(msg, timer)->token;
    note(p, msg, value);
    if (msg->id == SL_M_count)
        obey(p, ctx, msg);
}

static void
probe_deinit(void *self)
{
    (void)self;
    deinits++;
}

static const struct sl_actor_class probe_class = {.name = "probe",
                                                  .state_size = sizeof(struct probe),
                                                  .handle = probe_handle,
                                                  .deinit = probe_deinit};
static const struct sl_actor_class trapping_class = {.name = "trapping",
                                                     .state_size = sizeof(struct probe),
                                                     .handle = probe_handle,
                                                     .deinit = probe_deinit,
                                                     .is_trapping = true};

/* ---- helpers ------------------------------------------------------------------------------- */

TestSuite(scheduler, .init = stage_open, .fini = stage_close);
TestSuite(simulated_scheduler, .init = stage_open_simulated, .fini = stage_close);

static struct sl_addr
spawn_with(const struct sl_actor_class *class, const struct sl_spawn_options *options)
{
    struct sl_addr addr;
    cr_assert_eq(stage_spawn(&(struct sl_spawn_what){class, NULL}, options, &addr), SL_OK);
    return addr;
}

static struct sl_addr
spawn(const struct sl_actor_class *class)
{
    return spawn_with(class, NULL);
}

static struct probe *
probe(struct sl_addr who)
{
    return stage_state(who);
}

static enum sl_err
post(struct sl_addr to, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    return stage_post(to, msg);
}

static void
order(struct sl_addr who, struct sl_addr other, enum order what)
{
    probe(who)->other = other;
    cr_assert_eq(post(who, SL_M_count, &(struct sl_m_count){what}), SL_OK);
    settle();
}

/* What it heard last, without orders. */
static bool
has_heard(struct sl_addr who, uint32_t id, struct sl_addr from, uint64_t value)
{
    const struct probe *p = probe(who);
    for (uint32_t i = 0; i < p->count; i++) {
        if (p->heard[i] == id && p->from[i].actor == from.actor && p->values[i] == value)
            return true;
    }
    return false;
}

static uint32_t
count_heard(struct sl_addr who, uint32_t id)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < probe(who)->count; i++)
        count += probe(who)->heard[i] == id;
    return count;
}

/* ---- starting and ending --------------------------------------------------------------------- */

ON_BOTH(scheduler, delivers_in_the_order_of_sending)
{
    struct sl_addr a = spawn(&probe_class);
    for (uint64_t i = 100; i < 140; i++)
        cr_assert_eq(post(a, SL_M_count, &(struct sl_m_count){i}), SL_OK);
    settle();
    cr_assert_eq(probe(a)->count, 40);
    for (uint32_t i = 0; i < 40; i++)
        cr_assert_eq(probe(a)->values[i], 100 + i);
}

Test(scheduler, an_address_that_ended_is_stale_and_one_that_never_was_is_not_found)
{
    struct sl_addr a = spawn(&probe_class);
    order(a, a, STOP);
    cr_assert_null(probe(a));
    cr_assert_eq(deinits, 1);
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_ESTALE);
    cr_assert_eq(post((struct sl_addr){0, 5}, SL_M_bare, NULL), SL_ENOTFOUND);
    cr_assert_eq(post((struct sl_addr){0, UINT32_MAX}, SL_M_bare, NULL), SL_ENOTFOUND);
    cr_assert_eq(post((struct sl_addr){9, 1024}, SL_M_bare, NULL), SL_EUNAVAIL);
}

Test(scheduler, a_known_number_is_one_actors_and_can_be_taken_over)
{
    struct sl_spawn_options options = {.number = 7};
    struct sl_addr a = spawn_with(&probe_class, &options), b;
    cr_assert_eq(a.actor, 7);
    cr_assert_eq(sl_scheduler_spawn(s, &(struct sl_spawn_what){&probe_class, NULL}, &options, &b),
                 SL_EEXIST);
    order(a, a, STOP);
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_ENOTFOUND);
    b = spawn_with(&probe_class, &options);
    cr_assert_eq(b.actor, 7);
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_OK);
    settle();
    cr_assert_eq(probe(b)->count, 1);
}

Test(scheduler, too_many_actors_are_refused)
{
    struct sl_scheduler *few = sl_scheduler_create(
        &(struct sl_scheduler_options){.threads = 1, .is_manual = true, .actors_max = 1});
    struct sl_addr a;
    struct sl_spawn_what what = {&probe_class, NULL};
    cr_assert_eq(sl_scheduler_spawn(few, &what, NULL, &a), SL_OK);
    cr_assert_eq(sl_scheduler_spawn(few, &what, NULL, &a), SL_EFULL);
    sl_scheduler_destroy(&few);
}

static void
fail_at_once(void *self, struct sl_ctx *ctx, const void *argument)
{
    (void)self;
    (void)argument;
    sl_fail(ctx, SL_EINVAL);
}

static const struct sl_actor_class stillborn_class = {
    .name = "stillborn", .init = fail_at_once, .handle = probe_handle, .deinit = probe_deinit};

Test(scheduler, an_actor_can_fail_in_its_init)
{
    struct sl_addr a = spawn(&stillborn_class);
    cr_assert_eq(deinits, 1);
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_ESTALE);
    cr_assert_eq(sl_scheduler_stats(s).failed, 1);
}

Test(scheduler, what_an_actor_leaves_behind_goes_back_to_its_sender)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    /* Behind the order to stop, so it is in the mailbox when that is obeyed. */
    cr_assert_eq(post(b, SL_M_count, &(struct sl_m_count){STOP}), SL_OK);
    struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){NOTE});
    msg->to = b;
    msg->from = (struct sl_addr){1, a.actor};
    msg->request = 33;
    cr_assert_eq(sl_scheduler_post(s, msg), SL_OK);
    settle();
    cr_assert(has_heard(a, SL_M_undelivered, b, SL_ESTALE));
    cr_assert_eq(probe(a)->requests[0], 33);
}

/* ---- watching and linking -------------------------------------------------------------------- */

ON_BOTH(scheduler, a_watcher_hears_of_the_end_and_its_reason_once)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(a, b, WATCH);
    order(a, b, WATCH);
    order(b, b, FAIL);
    cr_assert(has_heard(a, SL_M_down, b, SL_ECRASHED));
    cr_assert_eq(count_heard(a, SL_M_down), 1);
}

ON_BOTH(scheduler, watching_who_has_ended_is_answered_at_once)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(b, b, STOP);
    order(a, b, WATCH);
    cr_assert(has_heard(a, SL_M_down, b, SL_ESTALE));
}

ON_BOTH(scheduler, an_unwatched_end_is_not_told)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(a, b, WATCH);
    order(a, b, UNWATCH);
    order(b, b, FAIL);
    cr_assert_eq(count_heard(a, SL_M_down), 0);
}

ON_BOTH(scheduler, linked_actors_fail_together_in_either_direction)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class), c = spawn(&probe_class);
    order(a, b, LINK);
    order(b, c, LINK);
    order(b, b, FAIL);
    cr_assert_null(probe(a));
    cr_assert_null(probe(b));
    cr_assert_null(probe(c));
    cr_assert(s == NULL || sl_scheduler_stats(s).failed == 3);
}

ON_BOTH(scheduler, a_normal_end_leaves_linked_actors_alone)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(a, b, LINK);
    order(b, b, STOP);
    cr_assert_not_null(probe(a));
    order(a, a, NOTE);
    cr_assert_eq(count_heard(a, SL_M_link_down), 0);
}

ON_BOTH(scheduler, an_unlinked_actor_lives_on)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(a, b, LINK);
    order(a, b, UNLINK);
    order(b, b, FAIL);
    cr_assert_not_null(probe(a));
}

ON_BOTH(scheduler, linking_with_who_has_ended_is_a_failure)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(b, b, STOP);
    order(a, b, LINK);
    cr_assert_null(probe(a));
}

ON_BOTH(scheduler, who_traps_hears_of_ends_and_exits_and_lives_on)
{
    struct sl_addr a = spawn(&trapping_class), b = spawn(&probe_class);
    order(a, b, LINK);
    order(b, b, FAIL);
    cr_assert(has_heard(a, SL_M_link_down, b, SL_ECRASHED));
    post(a, SL_M_exit, &(struct sl_m_exit){.reason = SL_ECANCELED});
    settle();
    cr_assert(has_heard(a, SL_M_exit, (struct sl_addr){0}, SL_ECANCELED));
    post(a, SL_M_exit, &(struct sl_m_exit){.reason = SL_ECANCELED, .is_forced = 1});
    settle();
    cr_assert_null(probe(a));
}

ON_BOTH(scheduler, a_child_can_be_linked_or_watched_from_its_start)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(a, a, SPAWN_WATCHED);
    struct sl_addr child = probe(a)->child;
    order(child, child, FAIL);
    cr_assert(has_heard(a, SL_M_down, child, SL_ECRASHED));
    order(b, b, SPAWN_LINKED);
    child = probe(b)->child;
    order(child, child, FAIL);
    cr_assert_null(probe(b));
    order(a, a, SPAWN_LINKED);
    child = probe(a)->child;
    order(a, a, FAIL);
    cr_assert_null(probe(child));
}

ON_BOTH(scheduler, an_exit_with_a_number_that_is_no_error_is_a_failure)
{
    struct sl_addr a = spawn(&probe_class);
    post(a, SL_M_exit, &(struct sl_m_exit){.reason = UINT64_MAX});
    settle();
    cr_assert_null(probe(a));
    cr_assert(s == NULL || sl_scheduler_stats(s).failed == 1);
}

/* ---- time ------------------------------------------------------------------------------------ */

ON_BOTH(scheduler, a_timer_fires_at_its_time_and_not_before)
{
    struct sl_addr a = spawn(&probe_class);
    now_ns = 1000;
    order(a, a, AFTER);
    cr_assert(s == NULL || next_ns == 1050);
    now_ns = 1049;
    settle();
    cr_assert_eq(count_heard(a, SL_M_timer), 0);
    now_ns = 1050;
    settle();
    cr_assert(has_heard(a, SL_M_timer, a, 7));
    cr_assert(s == NULL || next_ns == UINT64_MAX);
}

ON_BOTH(scheduler, a_call_is_answered_by_its_number)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(a, b, CALL);
    cr_assert_eq(count_heard(a, SL_M_bare), 1);
    cr_assert_eq(probe(a)->requests[probe(a)->count - 1], probe(a)->call);
    now_ns = 1000;
    settle();
    cr_assert_eq(count_heard(a, SL_M_timeout), 0);
}

static void
keep(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct probe *p = self;
    if (msg->id == SL_M_count) {
        p->from[0] = msg->from;
        p->requests[0] = msg->request;
    } else {
        sl_request(ctx, p->from[0], p->requests[0], SL_M_bare, NULL);
    }
}
static const struct sl_actor_class keeper_class = {
    .name = "keeper", .state_size = sizeof(struct probe), .handle = keep};

ON_BOTH(scheduler, a_call_without_reply_times_out_once_and_the_late_reply_is_dropped)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&keeper_class);
    now_ns = 10;
    order(a, b, CALL);
    now_ns = 109;
    settle();
    cr_assert_eq(count_heard(a, SL_M_timeout), 0);
    now_ns = 110;
    settle();
    cr_assert_eq(count_heard(a, SL_M_timeout), 1);
    cr_assert_eq(probe(a)->requests[probe(a)->count - 1], probe(a)->call);
    cr_assert_eq(probe(a)->from[probe(a)->count - 1].actor, b.actor);
    post(b, SL_M_bare, NULL); /* Now it replies. */
    settle();
    cr_assert_eq(count_heard(a, SL_M_bare), 0);
}

ON_BOTH(scheduler, a_second_reply_is_dropped)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&keeper_class);
    order(a, b, CALL);
    post(b, SL_M_bare, NULL);
    post(b, SL_M_bare, NULL);
    settle();
    cr_assert_eq(count_heard(a, SL_M_bare), 1);
}

ON_BOTH(scheduler, a_call_to_who_is_not_there_is_undelivered_and_does_not_time_out)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(b, b, STOP);
    order(a, b, CALL);
    cr_assert(has_heard(a, SL_M_undelivered, b, SL_ESTALE));
    cr_assert_eq(probe(a)->requests[probe(a)->count - 1], probe(a)->call);
    now_ns += 1000;
    settle();
    cr_assert_eq(count_heard(a, SL_M_timeout), 0);
}

/* ---- bounds ---------------------------------------------------------------------------------- */

Test(scheduler, a_full_mailbox_refuses_and_the_sender_hears_of_each)
{
    struct sl_addr a = spawn(&probe_class);
    struct sl_addr b = spawn_with(&probe_class, &(struct sl_spawn_options){.mailbox_max = 4});
    order(a, b, FLOOD);
    cr_assert_eq(count_heard(b, SL_M_bare), 4);
    cr_assert_eq(count_heard(a, SL_M_undelivered), 6);
    cr_assert(has_heard(a, SL_M_undelivered, b, SL_EFULL));
    cr_assert_eq(sl_scheduler_stats(s).undelivered, 6);
}

Test(scheduler, a_flood_of_refusals_is_bounded_too)
{
    struct sl_addr a = spawn_with(&probe_class, &(struct sl_spawn_options){.mailbox_max = 3});
    struct sl_addr b = spawn_with(&probe_class, &(struct sl_spawn_options){.mailbox_max = 1});
    order(a, b, FLOOD);
    cr_assert_eq(count_heard(a, SL_M_undelivered), 3);
}

Test(scheduler, post_tells_who_is_outside_that_a_mailbox_is_full)
{
    struct sl_addr a = spawn_with(&probe_class, &(struct sl_spawn_options){.mailbox_max = 2});
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_OK);
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_OK);
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_EFULL);
    settle();
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_OK);
}

/* ---- fairness -------------------------------------------------------------------------------- */

static void
forever(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    sl_send(ctx, ctx->self, msg->id, msg->body);
}
static const struct sl_actor_class forever_class = {.name = "forever", .handle = forever};

Test(scheduler, actors_that_never_fall_silent_do_not_keep_others_from_running)
{
    struct sl_addr busy[3] = {spawn(&forever_class), spawn(&forever_class),
                              spawn_with(&forever_class, &(struct sl_spawn_options){.thread = 1})};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(post(busy[i], SL_M_bare, NULL), SL_OK);
    struct sl_addr a = spawn(&probe_class);
    struct sl_addr b = spawn_with(&probe_class, &(struct sl_spawn_options){.thread = 1});
    for (int i = 0; i < 100; i++)
        sl_scheduler_step(s, (struct sl_instant){0}, &next_ns);
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_OK);
    cr_assert_eq(post(b, SL_M_bare, NULL), SL_OK);
    for (int i = 0; i < 200; i++)
        sl_scheduler_step(s, (struct sl_instant){0}, &next_ns);
    cr_assert_eq(probe(a)->count, 1);
    cr_assert_eq(probe(b)->count, 1);
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void
double_it(void *argument)
{
    *(uint64_t *)argument *= 2;
}

static void
give_work(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    static uint64_t number = 21;
    uint64_t *answer = self;
    if (msg->id == SL_M_work_done && SL_BODY(msg, work_done)->token == 5)
        *answer = *(uint64_t *)(uintptr_t)SL_BODY(msg, work_done)->argument;
    else
        sl_work(ctx, double_it, &number, 5);
}

Test(scheduler, a_stop_waits_for_blocking_work_to_come_back_as_a_message)
{
    static const struct sl_actor_class class = {
        .name = "boss", .state_size = sizeof(uint64_t), .handle = give_work};
    struct sl_addr boss = spawn(&class);
    cr_assert_eq(post(boss, SL_M_bare, NULL), SL_OK);
    settle();
    cr_assert_eq(sl_scheduler_stop(s), SL_OK);
    cr_assert_eq(*(const uint64_t *)sl_scheduler_state(s, boss), 42);
}

Test(scheduler, a_stop_runs_what_was_posted_and_refuses_what_comes_later)
{
    struct sl_addr a = spawn(&probe_class);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(post(a, SL_M_bare, NULL), SL_OK);
    cr_assert_eq(sl_scheduler_stop(s), SL_OK);
    cr_assert_eq(probe(a)->count, 10);
    cr_assert_eq(post(a, SL_M_bare, NULL), SL_ECANCELED);
    struct sl_addr b;
    cr_assert_eq(sl_scheduler_spawn(s, &(struct sl_spawn_what){&probe_class, NULL}, NULL, &b),
                 SL_ECANCELED);
}

Test(scheduler, a_stop_does_not_wait_for_ever)
{
    struct sl_scheduler *busy =
        sl_scheduler_create(&(struct sl_scheduler_options){.threads = 2, .drain_ns = SL_MILLI_NS});
    struct sl_addr a;
    struct sl_spawn_what what = {&forever_class, NULL};
    cr_assert_eq(sl_scheduler_spawn(busy, &what, NULL, &a), SL_OK);
    struct sl_msg *msg = sl_msg_create(SL_M_bare, NULL);
    msg->to = a;
    cr_assert_eq(sl_scheduler_post(busy, msg), SL_OK);
    cr_assert_eq(sl_scheduler_stop(busy), SL_ETIMEOUT);
    sl_scheduler_destroy(&busy);
}

Test(scheduler, actors_with_messages_and_relations_are_destroyed_whole)
{
    struct sl_addr a = spawn(&probe_class), b = spawn(&probe_class);
    order(a, b, WATCH);
    order(a, b, LINK);
    order(a, b, CALL);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(post(a, SL_M_bare, NULL), SL_OK);
    /* What is left is the leak checker's to find. */
}
