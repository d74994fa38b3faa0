/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim.h"

#include <criterion/criterion.h>

/* An actor that counts the timers it gets, and passes each message of node 1 on to node 2. */
struct counter {
    uint64_t count, last_token, last_ns;
};

static void
on_message(void *self, struct sl_ctx *ctx, const struct sl_msg *msg)
{
    struct counter *c = self;
    c->count++;
    c->last_token = SL_BODY(msg, timer)->token;
    c->last_ns = ctx->now_ns;
    if (ctx->self.node == 1 && msg->id == SL_M_timer)
        sl_send(ctx, (struct sl_addr){.node = 2, .actor = 1}, SL_M_timer, msg->body);
}

static const struct sl_actor_class counter_class = {
    .name = "counter", .state_size = sizeof(struct counter), .handle = on_message};

struct pair {
    struct sl_sim *sim;
    uint32_t a, b;
};

static struct pair
make_pair(uint64_t seed)
{
    struct pair p = {.sim = sl_sim_create(&(struct sl_sim_options){.seed = seed})};
    p.a = sl_sim_start(p.sim, 1, NULL);
    p.b = sl_sim_start(p.sim, 2, NULL);
    sl_sim_link(p.sim, p.a, p.b);
    sl_sim_spawn(p.sim, p.a, 1, &counter_class, NULL);
    sl_sim_spawn(p.sim, p.b, 1, &counter_class, NULL);
    return p;
}

static void
tell(struct pair *p, uint64_t delay_ns, uint64_t token)
{
    sl_sim_post(p->sim, p->a, 1, delay_ns,
                sl_msg_create(SL_M_timer, &(struct sl_m_timer){.token = token}));
}

static void
run_all(struct pair *p)
{
    while (sl_sim_step(p->sim))
        ;
}

static const struct counter *
receiver(struct pair *p)
{
    return sl_sim_state(p->sim, p->b, 1);
}

Test(sim, messages_of_a_link_arrive_late_but_in_order)
{
    struct pair p = make_pair(1);
    for (uint64_t i = 0; i < 100; i++)
        tell(&p, i, i);
    uint64_t next = 0;
    while (sl_sim_step(p.sim)) {
        if (receiver(&p)->count == next)
            continue;
        cr_assert_eq(receiver(&p)->count, next + 1);
        cr_assert_eq(receiver(&p)->last_token, next++);
    }
    cr_assert_eq(next, 100);
    cr_assert_geq(receiver(&p)->last_ns, 20 * SL_MICRO_NS);
    sl_sim_destroy(&p.sim);
}

Test(sim, a_dead_process_hears_nothing_and_its_number_may_come_back)
{
    struct pair p = make_pair(2);
    sl_sim_kill(p.sim, p.b);
    tell(&p, 0, 1);
    run_all(&p);
    cr_assert_not(sl_sim_is_alive(p.sim, p.b));
    p.b = sl_sim_start(p.sim, 2, NULL);
    sl_sim_link(p.sim, p.a, p.b);
    sl_sim_spawn(p.sim, p.b, 1, &counter_class, NULL);
    tell(&p, 0, 2);
    run_all(&p);
    cr_assert_eq(receiver(&p)->count, 1);
    cr_assert_eq(receiver(&p)->last_token, 2);
    sl_sim_destroy(&p.sim);
}

Test(sim, a_cut_link_delays_or_loses)
{
    struct pair p = make_pair(3);
    sl_sim_cut(p.sim, p.a, p.b, SL_SECOND_NS, 0);
    tell(&p, 0, 1);
    run_all(&p);
    cr_assert_eq(receiver(&p)->count, 1);
    cr_assert_geq(receiver(&p)->last_ns, SL_SECOND_NS);
    sl_sim_cut(p.sim, p.a, p.b, SL_SECOND_NS, SL_SIM_CUT_LOSSY);
    tell(&p, 0, 2);
    run_all(&p);
    cr_assert_eq(receiver(&p)->count, 1);
    tell(&p, 2 * SL_SECOND_NS, 3);
    run_all(&p);
    cr_assert_eq(receiver(&p)->last_token, 3);
    sl_sim_destroy(&p.sim);
}

Test(sim, what_a_full_link_refuses_comes_back)
{
    struct pair p = make_pair(3);
    sl_sim_weather(p.sim, p.a, p.b,
                   &(struct sl_sim_weather){.until_ns = SL_SECOND_NS, .room_bytes = 1});
    tell(&p, 0, 1);
    tell(&p, 0, 2);
    run_all(&p);
    cr_assert_eq(receiver(&p)->count, 1);
    const struct counter *sender = sl_sim_state(p.sim, p.a, 1);
    cr_assert_eq(sender->count, 3, "two to pass on, and one that came back");
    cr_assert_eq(sender->last_token, SL_M_timer);
    tell(&p, 0, 4);
    run_all(&p);
    cr_assert_eq(receiver(&p)->last_token, 4, "what it held has arrived");
    sl_sim_destroy(&p.sim);
}

Test(sim, a_one_way_cut_lets_the_other_way_pass)
{
    struct pair p = make_pair(5);
    sl_sim_cut(p.sim, p.b, p.a, SL_SECOND_NS, SL_SIM_CUT_LOSSY | SL_SIM_CUT_ONE_WAY);
    tell(&p, 0, 1);
    run_all(&p);
    cr_assert_eq(receiver(&p)->count, 1);
    sl_sim_cut(p.sim, p.a, p.b, SL_SECOND_NS, SL_SIM_CUT_LOSSY | SL_SIM_CUT_ONE_WAY);
    tell(&p, 0, 2);
    run_all(&p);
    cr_assert_eq(receiver(&p)->count, 1);
    sl_sim_destroy(&p.sim);
}

Test(sim, a_skewed_clock_runs_on_at_its_own_rate_and_never_back)
{
    struct pair p = make_pair(6);
    sl_sim_skew(p.sim, p.b, 1000, 500);
    tell(&p, 1000 * SL_SECOND_NS, 1);
    run_all(&p);
    uint64_t fast_ns = sl_sim_local_ns(p.sim, p.b), now_ns = sl_sim_now_ns(p.sim);
    cr_assert_eq(fast_ns - now_ns, (now_ns / 1000) * 1000 / 1000);
    cr_assert_eq(sl_sim_local_ns(p.sim, p.a), now_ns);
    sl_sim_skew(p.sim, p.b, -1000, 0);
    cr_assert_eq(sl_sim_local_ns(p.sim, p.b), fast_ns);
    sl_sim_destroy(&p.sim);
}

Test(sim, a_stalled_process_catches_up)
{
    struct pair p = make_pair(4);
    sl_sim_stall(p.sim, p.b, SL_SECOND_NS);
    for (uint64_t i = 0; i < 5; i++)
        tell(&p, i, i);
    run_all(&p);
    cr_assert_eq(receiver(&p)->count, 5);
    cr_assert_eq(receiver(&p)->last_token, 4);
    cr_assert_eq(receiver(&p)->last_ns, SL_SECOND_NS);
    sl_sim_destroy(&p.sim);
}

Test(sim, equal_seeds_give_equal_runs)
{
    uint64_t hashes[3];
    for (uint64_t i = 0; i < 3; i++) {
        struct pair p = make_pair(i / 2);
        for (uint64_t n = 0; n < 10; n++)
            tell(&p, n * SL_MILLI_NS, n);
        run_all(&p);
        hashes[i] = sl_sim_hash(p.sim);
        sl_sim_destroy(&p.sim);
    }
    cr_assert_eq(hashes[0], hashes[1]);
    cr_assert_neq(hashes[0], hashes[2]);
}
