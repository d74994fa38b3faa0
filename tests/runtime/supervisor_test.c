/* SPDX-License-Identifier: Apache-2.0 */
/* Supervisors by the test's own clock, under both drivers. Each child is a letter; what happens to
   it is a letter in a text: 'a' started, 'A' ended. */
#include <criterion/criterion.h>

#include "runtime/buf.h"
#include "runtime/supervisor.h"
#include "tests/runtime/stage.h"

#define WINDOW_NS 1000
#define STOP_NS   50

/* ---- children that end with the number they are sent ---------------------------------------- */

static struct sl_buf story;
static bool fails_in_init; /* All that start from here on. */

struct child {
    char letter;
};

static void
child_init(void *self, struct sl_ctx *ctx, const void *argument)
{
    struct child *c = self;
    c->letter = *(const char *)argument;
    sl_buf_append(&story, &c->letter, 1);
    if (fails_in_init)
        sl_fail(ctx, SL_EIO);
}

static void
child_handle(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    (void)self;
    if (msg->id != SL_M_count)
        return;
    enum sl_err reason = (enum sl_err)SL_BODY(msg, count)->number;
    if (reason == SL_OK)
        sl_stop(ctx);
    else
        sl_fail(ctx, reason);
}

static void
child_deinit(void *self)
{
    char letter = (char)(((const struct child *)self)->letter - 'a' + 'A');
    sl_buf_append(&story, &letter, 1);
}

static const struct sl_actor_class child_class = {.name = "child",
                                                  .state_size = sizeof(struct child),
                                                  .init = child_init,
                                                  .handle = child_handle,
                                                  .deinit = child_deinit};
/* Hears that it should end, and does not. */
static const struct sl_actor_class stubborn_class = {.name = "stubborn",
                                                     .state_size = sizeof(struct child),
                                                     .init = child_init,
                                                     .handle = child_handle,
                                                     .deinit = child_deinit,
                                                     .is_trapping = true};

/* ---- helpers ------------------------------------------------------------------------------- */

static struct sl_child_spec children[] = {
    {.name = "a", .class = &child_class, .argument = "a", .stop_ns = STOP_NS},
    {.name = "b", .class = &child_class, .argument = "b", .stop_ns = STOP_NS},
    {.name = "c", .class = &child_class, .argument = "c", .stop_ns = STOP_NS},
};
static struct sl_supervisor_spec spec = {.strategy = SL_ONE_FOR_ONE,
                                         .restarts_max = 3,
                                         .window_ns = WINDOW_NS,
                                         .children = children,
                                         .children_count = SL_COUNT_OF(children)};

static void
finish(void)
{
    stage_close();
    sl_buf_deinit(&story);
}

TestSuite(supervisor, .init = stage_open, .fini = finish);
TestSuite(simulated_supervisor, .init = stage_open_simulated, .fini = finish);

static struct sl_addr
supervise(const struct sl_supervisor_spec *by)
{
    struct sl_addr addr;
    cr_assert_eq(stage_spawn(&(struct sl_spawn_what){&sl_supervisor_class, by}, NULL, &addr),
                 SL_OK);
    settle();
    return addr;
}

static struct sl_addr
child(struct sl_addr supervisor, uint32_t index)
{
    return sl_supervisor_child(stage_state(supervisor), index);
}

static void
post(struct sl_addr to, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    cr_assert_eq(stage_post(to, msg), SL_OK);
}

static void
end_child(struct sl_addr supervisor, uint32_t index, enum sl_err reason)
{
    post(child(supervisor, index), SL_M_count, &(struct sl_m_count){reason});
    settle();
}

/* What has happened since the last look. */
static void
assert_story(const char *want)
{
    cr_assert_str_eq(sl_buf_text(&story), want);
    sl_buf_clear(&story);
}

/* ---- strategies ---------------------------------------------------------------------------- */

ON_BOTH(supervisor, starts_children_in_order)
{
    struct sl_addr top = supervise(&spec);
    assert_story("abc");
    cr_assert_neq(child(top, 0).actor, child(top, 2).actor);
    cr_assert_eq(sl_supervisor_restarts(stage_state(top)), 0);
}

ON_BOTH(supervisor, one_for_one_starts_the_failed_child_alone)
{
    struct sl_addr top = supervise(&spec), first = child(top, 0), failed = child(top, 1);
    sl_buf_clear(&story);
    end_child(top, 1, SL_ECRASHED);
    assert_story("Bb");
    cr_assert_eq(child(top, 0).actor, first.actor);
    cr_assert_neq(child(top, 1).actor, failed.actor);
}

ON_BOTH(supervisor, one_for_all_stops_the_others_last_first_and_starts_all)
{
    spec.strategy = SL_ONE_FOR_ALL;
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    end_child(top, 1, SL_ECRASHED);
    assert_story("BCAabc");
    cr_assert_eq(sl_supervisor_restarts(stage_state(top)), 1);
}

ON_BOTH(supervisor, rest_for_one_leaves_those_before_alone)
{
    spec.strategy = SL_REST_FOR_ONE;
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    end_child(top, 1, SL_ECRASHED);
    assert_story("BCbc");
}

ON_BOTH(supervisor, two_that_fail_at_once_are_one_restart_of_all)
{
    spec.strategy = SL_ONE_FOR_ALL;
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    post(child(top, 0), SL_M_count, &(struct sl_m_count){SL_ECRASHED});
    post(child(top, 2), SL_M_count, &(struct sl_m_count){SL_ECRASHED});
    settle();
    assert_story("ACBabc");
    cr_assert_eq(sl_supervisor_restarts(stage_state(top)), 1);
}

/* ---- kinds --------------------------------------------------------------------------------- */

ON_BOTH(supervisor, a_permanent_child_starts_again_though_it_ended_well)
{
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    end_child(top, 0, SL_OK);
    assert_story("Aa");
}

ON_BOTH(supervisor, a_transient_child_that_ended_well_stays_away)
{
    children[0].kind = SL_TRANSIENT;
    spec.strategy = SL_ONE_FOR_ALL;
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    end_child(top, 0, SL_OK);
    assert_story("A");
    cr_assert_eq(child(top, 0).actor, 0);
    end_child(top, 1, SL_ECRASHED); /* Not with the others either. */
    assert_story("BCbc");
}

ON_BOTH(supervisor, a_temporary_child_goes_with_the_others_and_is_not_replaced)
{
    children[2].kind = SL_TEMPORARY;
    spec.strategy = SL_ONE_FOR_ALL;
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    end_child(top, 0, SL_ECRASHED);
    assert_story("ACBab");
    cr_assert_eq(child(top, 2).actor, 0);
}

ON_BOTH(supervisor, a_failed_temporary_child_costs_nothing)
{
    children[1].kind = SL_TEMPORARY;
    spec.restarts_max = 0;
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    end_child(top, 1, SL_ECRASHED);
    assert_story("B");
    cr_assert_not_null(stage_state(top));
}

/* ---- budget -------------------------------------------------------------------------------- */

ON_BOTH(supervisor, one_failure_beyond_the_budget_ends_all)
{
    struct sl_addr top = supervise(&spec);
    for (int i = 0; i < 3; i++)
        end_child(top, 0, SL_ECRASHED);
    sl_buf_clear(&story);
    end_child(top, 0, SL_ECRASHED);
    assert_story("ACB");
    cr_assert_null(stage_state(top));
    cr_assert_eq(stage_count(), 0);
}

ON_BOTH(supervisor, failures_that_are_far_apart_never_end_it)
{
    struct sl_addr top = supervise(&spec);
    for (int i = 0; i < 20; i++) {
        now_ns += WINDOW_NS / 3 + 1;
        end_child(top, 0, SL_ECRASHED);
    }
    cr_assert_eq(sl_supervisor_restarts(stage_state(top)), 20);
}

ON_BOTH(supervisor, a_child_that_fails_in_its_init_uses_the_budget_up)
{
    fails_in_init = true;
    struct sl_addr top = supervise(&spec);
    cr_assert_null(stage_state(top));
    cr_assert_eq(stage_count(), 0);
}

ON_BOTH(supervisor, a_number_that_is_taken_is_told_and_the_others_are_stopped)
{
    children[2].options.number = children[1].options.number = 7;
    struct sl_addr top = supervise(&spec);
    assert_story("abBA");
    cr_assert_null(stage_state(top));
}

ON_BOTH(supervisor, a_known_number_stays_its_child_s)
{
    children[1].options.number = 7;
    struct sl_addr top = supervise(&spec);
    end_child(top, 1, SL_ECRASHED);
    cr_assert_eq(child(top, 1).actor, 7);
    cr_assert_not_null(stage_state(child(top, 1)));
}

/* ---- ends ---------------------------------------------------------------------------------- */

ON_BOTH(supervisor, an_exit_stops_all_last_first)
{
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    post(top, SL_M_exit, &(struct sl_m_exit){.reason = SL_ECANCELED});
    settle();
    assert_story("CBA");
    cr_assert_null(stage_state(top));
}

ON_BOTH(supervisor, who_does_not_end_when_asked_is_killed_at_its_time_and_not_before)
{
    children[1].class = &stubborn_class;
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    post(top, SL_M_exit, &(struct sl_m_exit){.reason = SL_ECANCELED});
    settle();
    assert_story("C"); /* A is stopped after B: B may need it to end. */
    now_ns += STOP_NS - 1;
    settle();
    assert_story("");
    now_ns += 1;
    settle();
    assert_story("BA");
    cr_assert_null(stage_state(top));
}

ON_BOTH(supervisor, a_killed_supervisor_takes_its_children_with_it)
{
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    post(top, SL_M_exit, &(struct sl_m_exit){.reason = SL_ECRASHED, .is_forced = 1});
    settle();
    cr_assert_eq(sl_buf_slice(&story).size, 3);
    cr_assert_eq(stage_count(), 0);
}

ON_BOTH(supervisor, a_restart_that_an_exit_comes_into_is_called_off)
{
    children[2].class = &stubborn_class;
    spec.strategy = SL_ONE_FOR_ALL;
    struct sl_addr top = supervise(&spec);
    sl_buf_clear(&story);
    end_child(top, 0, SL_ECRASHED);
    post(top, SL_M_exit, &(struct sl_m_exit){.reason = SL_ECANCELED});
    settle();
    now_ns += STOP_NS;
    settle();
    assert_story("ACB");
    cr_assert_null(stage_state(top));
}

/* ---- trees --------------------------------------------------------------------------------- */

static const struct sl_child_spec branches[] = {
    {.name = "left", .class = &sl_supervisor_class, .argument = &spec, .stop_ns = 10 * STOP_NS},
    {.name = "d", .class = &child_class, .argument = "d"},
};
static const struct sl_supervisor_spec tree = {.strategy = SL_REST_FOR_ONE,
                                               .restarts_max = 1,
                                               .window_ns = WINDOW_NS,
                                               .children = branches,
                                               .children_count = SL_COUNT_OF(branches)};

ON_BOTH(supervisor, a_branch_that_gives_up_is_started_again_by_the_one_above)
{
    spec.restarts_max = 1;
    struct sl_addr top = supervise(&tree), branch = child(top, 0);
    assert_story("abcd");
    end_child(branch, 0, SL_ECRASHED);
    assert_story("Aa");
    end_child(branch, 0, SL_ECRASHED);
    assert_story("ACBDabcd");
    cr_assert_neq(child(top, 0).actor, branch.actor);
    branch = child(top, 0);
    end_child(branch, 1, SL_ECRASHED);
    end_child(branch, 1, SL_ECRASHED); /* The budgets of both are spent now. */
    cr_assert_null(stage_state(top));
    cr_assert_eq(stage_count(), 0);
}

ON_BOTH(supervisor, a_tree_is_stopped_from_its_leaves)
{
    struct sl_addr top = supervise(&tree);
    sl_buf_clear(&story);
    post(top, SL_M_exit, &(struct sl_m_exit){.reason = SL_OK});
    settle();
    assert_story("DCBA");
    cr_assert_eq(stage_count(), 0);
}

ON_BOTH(supervisor, a_killed_tree_leaves_nobody_behind)
{
    struct sl_addr top = supervise(&tree);
    post(top, SL_M_exit, &(struct sl_m_exit){.reason = SL_ECANCELED, .is_forced = 1});
    settle();
    cr_assert_eq(stage_count(), 0);
}
