/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sim_link.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"
#include "runtime/message.h"

#define MESSAGES 200

/* What arrives of MESSAGES messages, each sent 1 ms after the other, in the order of its arrival;
 * returns how many were taken, having looked that they are in order. */
struct wire {
    struct sl_random random;
    struct sl_sim_link link;
    struct sl_sim_link_counts counts;
    struct {
        uint64_t at_ns, number;
    } frames[2 * MESSAGES];
    uint32_t frames_count;
    uint64_t lost;
};

static void
send_all(struct wire *w)
{
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct sl_sim_network network = {.random = &w->random,
                                         .now_ns = i * SL_MILLI_NS,
                                         .delay_min_ns = 20 * SL_MICRO_NS,
                                         .delay_max_ns = 2 * SL_MILLI_NS};
        struct sl_sim_frames frames;
        sl_sim_link_send(&w->link, &network, &w->counts, &frames);
        w->lost += frames.count == 0;
        for (uint32_t f = 0; f < frames.count; f++) {
            w->frames[w->frames_count].at_ns = frames.at_ns[f];
            w->frames[w->frames_count++].number = frames.number;
        }
    }
}

static struct sl_msg *
message(uint64_t number)
{
    return sl_msg_create(SL_M_timer, &(struct sl_m_timer){.token = number});
}

/* Deliver the frames by time: the numbers that come out are 0, 1, 2 and so on. */
static uint64_t
take_all(struct wire *w)
{
    struct sl_msg_list out;
    uint64_t next = 0;
    sl_msg_list_init(&out);
    for (uint32_t taken = 0; taken < w->frames_count; taken++) {
        uint32_t first = 0;
        for (uint32_t i = 1; i < w->frames_count; i++) {
            if (w->frames[i].at_ns < w->frames[first].at_ns)
                first = i;
        }
        uint64_t number = w->frames[first].number;
        w->frames[first].at_ns = UINT64_MAX;
        sl_sim_session_take(w->link.session, number, message(number), &out);
        for (struct sl_msg *msg; (msg = sl_msg_list_pop(&out)) != NULL; next++) {
            cr_assert_eq(SL_BODY(msg, timer)->token, next);
            sl_msg_destroy(&msg);
        }
    }
    return next;
}

static uint64_t
pass(struct wire *w, struct sl_sim_weather weather)
{
    sl_random_seed(&w->random, 1);
    w->link.session = sl_zalloc(sizeof(*w->link.session));
    w->link.weather = weather;
    send_all(w);
    uint64_t taken = take_all(w);
    sl_sim_session_destroy(&w->link.session);
    return taken;
}

Test(sim_link, bad_weather_costs_time_but_neither_messages_nor_their_order)
{
    struct wire w = {0};
    struct sl_sim_weather storm = {.until_ns = SL_SECOND_NS,
                                   .delay_max_ns = 100 * SL_MILLI_NS,
                                   .loss = 300,
                                   .duplicate = 500,
                                   .reorder = 500};
    cr_assert_eq(pass(&w, storm), MESSAGES);
    cr_assert_eq(w.counts.frames, MESSAGES);
    cr_assert_gt(w.counts.lost, MESSAGES / 10);
    cr_assert_gt(w.counts.duplicates, MESSAGES / 4);
    cr_assert_gt(w.counts.reordered, MESSAGES / 4);
    cr_assert_eq(w.frames_count, MESSAGES + w.counts.duplicates);
}

Test(sim_link, weather_ends)
{
    struct wire w = {0};
    cr_assert_eq(pass(&w, (struct sl_sim_weather){.until_ns = 1, .duplicate = 1000}), MESSAGES);
    cr_assert_eq(w.counts.duplicates, 1);
}

Test(sim_link, a_lossy_cut_loses_what_is_sent_meanwhile_and_nothing_else)
{
    struct wire w = {.link = {.cut_until_ns = 50 * SL_MILLI_NS, .is_lossy = true}};
    cr_assert_eq(pass(&w, (struct sl_sim_weather){0}), MESSAGES - 50);
    cr_assert_eq(w.lost, 50);
}

Test(sim_link, what_was_kept_back_goes_with_its_session)
{
    struct sl_sim_session *session = sl_zalloc(sizeof(*session));
    struct sl_msg_list out;
    sl_msg_list_init(&out);
    sl_sim_session_take(session, 2, message(2), &out);
    sl_sim_session_take(session, 1, message(1), &out);
    sl_sim_session_take(session, 2, message(2), &out); /* A copy. */
    cr_assert_null(sl_msg_list_pop(&out));
    sl_sim_session_destroy(&session);
    cr_assert_null(session);
}
