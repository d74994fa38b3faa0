/* SPDX-License-Identifier: Apache-2.0 */
/* The router with channels to replicas: those here keep what they are sent, and say what they are
 * told to. */
#include "actors/shortcuts.h"

#include "actors/router.h"
#include "runtime/report.h"
#include "tests/actors/recorder.h"

#define NODE       2
#define POOL       77
#define REPLICA    (SL_NODE_REPLICAS_FIRST + 5)
#define SPEC       "{\"extractor\":\"echo\",\"params\":{}}"
#define CHANNELS   4 /* Of the replicas REPLICA, REPLICA + 1, ... */
#define MORE_MAX   (SL_SHORTCUTS_MAX + 1)
#define SENT_MAX   64
#define ANSWER_MAX 64

static struct recorder r;

/* ---- channels ------------------------------------------------------------------------------ */

static struct fake {
    uint64_t sent[SENT_MAX]; /* Serials of calls, oldest first. */
    uint32_t sent_to[SENT_MAX];
    uint32_t sent_count, cancels;
    struct sl_msg *answers[ANSWER_MAX]; /* NULL: what is said in errs. */
    enum sl_err errs[ANSWER_MAX];
    uint32_t answers_from[ANSWER_MAX];
    uint32_t answers_count, answers_at;
    uint32_t channels;
    bool is_closed[MORE_MAX + 1];
    enum sl_err refuses; /* SL_OK: it takes what it is sent. */
    uint64_t deadline_ns;
} fake;

static uint32_t
fake_find(void *arg, uint32_t node, uint64_t tag)
{
    (void)arg;
    bool is_there = node == NODE && tag >= REPLICA && tag < REPLICA + fake.channels;
    uint32_t channel = is_there ? (uint32_t)(tag - REPLICA) + 1 : 0;
    return is_there && !fake.is_closed[channel] ? channel : 0;
}

static void
fake_close(void *arg, uint32_t channel)
{
    (void)arg;
    fake.is_closed[channel] = true;
}

static void
fake_forget(void *arg, uint32_t node)
{
    for (uint32_t i = 1; i <= fake.channels && node == NODE; i++)
        fake_close(arg, i);
}

static enum sl_err
fake_send(void *arg, uint32_t channel, bool is_call, const struct sl_msg *msg)
{
    (void)arg;
    cr_assert_not(fake.is_closed[channel]);
    cr_assert_eq(is_call, msg->id == SL_M_process);
    if (fake.refuses != SL_OK)
        return fake.refuses;
    if (!is_call) {
        fake.cancels++;
        return SL_OK;
    }
    fake.deadline_ns = SL_BODY(msg, process)->deadline_ns;
    cr_assert(sl_slice_is(SL_BODY(msg, process)->params, "{\"k\":1}"));
    fake.sent[fake.sent_count] = SL_BODY(msg, process)->item;
    fake.sent_to[fake.sent_count++] = channel;
    return SL_OK;
}

static enum sl_err
fake_receive(void *arg, uint32_t *ret_channel, struct sl_msg **ret_msg)
{
    (void)arg;
    if (fake.answers_at == fake.answers_count)
        return SL_ENOTFOUND;
    *ret_channel = fake.answers_from[fake.answers_at];
    enum sl_err err = fake.errs[fake.answers_at];
    struct sl_msg *msg = fake.answers[fake.answers_at++];
    if (msg != NULL)
        *ret_msg = msg;
    return err;
}

static const struct sl_channels channels = {.find = fake_find,
                                            .close = fake_close,
                                            .forget = fake_forget,
                                            .send = fake_send,
                                            .receive = fake_receive};

static void
will_say(uint32_t channel, uint32_t id, const void *body)
{
    cr_assert_lt(fake.answers_count, ANSWER_MAX);
    fake.answers[fake.answers_count] = id == 0 ? NULL : sl_msg_create(id, body);
    fake.errs[fake.answers_count] = id == 0 ? SL_ECORRUPT : SL_OK;
    fake.answers_from[fake.answers_count++] = channel;
}

/* The other end of it is closed. */
static void
will_hang_up(uint32_t channel)
{
    will_say(channel, 0, NULL);
    fake.errs[fake.answers_count - 1] = SL_EUNAVAIL;
}

/* ---- what others say ----------------------------------------------------------------------- */

static void
say(struct sl_addr from, uint64_t request, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    struct sl_ctx ctx = recorder_ctx(&r);
    msg->from = from;
    msg->to = r.self;
    msg->request = request;
    r.class->handle(r.actor, &ctx, msg);
    sl_msg_destroy(&msg);
}

static void
agent_says(uint32_t id, const void *body)
{
    say(sl_at(NODE, SL_ACTOR_AGENT), 0, id, body);
}

static void
head_says(uint32_t id, const void *body)
{
    say(sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), 0, id, body);
}

struct ask {
    uint64_t request, timeout_ns, sticky, scope;
};

static void
embed(struct ask a)
{
    struct sl_m_embed m = {.spec = sl_slice_str(SPEC),
                           .inputs = sl_slice_str("in"),
                           .scope = a.scope,
                           .timeout_ns = a.timeout_ns,
                           .sticky = a.sticky};
    say(sl_at(SL_NODE_HEAD, SL_ACTOR_API), a.request, SL_M_embed, &m);
}

/* The serial of the oldest call that went by the node; 0: none did. */
static uint64_t
by_node(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_embed_run);
    uint64_t serial = msg == NULL ? 0 : msg->request;
    sl_msg_destroy(&msg);
    return serial;
}

static enum sl_err
answered(uint64_t request)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_embedded);
    enum sl_err err = SL_ERR_COUNT;
    if (msg != NULL) {
        cr_assert_eq(msg->request, request);
        err = (enum sl_err)SL_BODY(msg, embedded)->err;
    }
    sl_msg_destroy(&msg);
    return err;
}

/* One output with one vector of one number. */
static void
replica_answers(uint32_t channel, uint64_t serial, uint64_t kind, const char *code)
{
    struct sl_buf outputs = {0};
    static const float vector[] = {1};
    sl_buf_append_u32(&outputs, 1);
    sl_buf_append_block(&outputs, sl_slice_str("{}"));
    sl_buf_append_u32(&outputs, 1);
    sl_buf_append_block(&outputs, sl_slice_str("i"));
    sl_buf_append_block(&outputs, sl_slice(vector, sizeof(vector)));
    struct sl_m_processed m = {.item = serial,
                               .kind = kind,
                               .code = sl_slice_str(code),
                               .message = sl_slice_str("why"),
                               .outputs = sl_buf_slice(&outputs)};
    will_say(channel, SL_M_processed, &m);
    sl_buf_deinit(&outputs);
}

static void
news(void)
{
    say(r.self, 0, SL_M_channel_news, NULL);
}

static uint64_t extraction;

static void
offer(uint32_t replica)
{
    agent_says(SL_M_shortcut_open, &(struct sl_m_shortcut_open){.replica = replica, .pool = POOL});
}

static void
setup(void)
{
    sl_report_level_set(SL_REPORT_ERROR);
    fake = (struct fake){.channels = CHANNELS};
    recorder_start(&r, &sl_router_class, sl_at(SL_NODE_HEAD, SL_ACTOR_ROUTER), &channels);
    head_says(SL_M_node_up, &(struct sl_m_node_up){.node = NODE});
    /* The first of its kind goes by the node, which then says what it serves. */
    embed((struct ask){.request = 1});
    struct sl_msg *spec = recorder_take(&r, SL_M_extraction);
    extraction = SL_BODY(spec, extraction)->number;
    sl_msg_destroy(&spec);
    say(sl_at(NODE, SL_ACTOR_AGENT), by_node(), SL_M_embedded, &(struct sl_m_embedded){0});
    cr_assert_eq(answered(1), SL_OK);
    agent_says(SL_M_shortcut_serves,
               &(struct sl_m_shortcut_serves){
                   .extraction = extraction, .pool = POOL, .params = sl_slice_str("{\"k\":1}")});
    offer(REPLICA);
    recorder_forget(&r);
}

static void
finish(void)
{
    for (uint32_t i = fake.answers_at; i < fake.answers_count; i++)
        sl_msg_destroy(&fake.answers[i]);
    recorder_stop(&r);
}

TestSuite(shortcuts, .init = setup, .fini = finish, .timeout = 60);

static struct sl_m_shortcut_load
load_told(void)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_shortcut_load);
    cr_assert_not_null(msg);
    cr_assert_eq(msg->to.node, NODE);
    cr_assert_eq(msg->to.actor, SL_ACTOR_AGENT);
    struct sl_m_shortcut_load m = *SL_BODY(msg, shortcut_load);
    sl_msg_destroy(&msg);
    return m;
}

/* ---- ways ---------------------------------------------------------------------------------- */

Test(shortcuts, a_call_goes_straight_and_its_answer_comes_back)
{
    embed((struct ask){.request = 2, .timeout_ns = 70 * SL_MILLI_NS});
    cr_assert_eq(by_node(), 0);
    cr_assert_eq(fake.sent_count, 1);
    cr_assert_eq(fake.deadline_ns, r.now_ns + 70 * SL_MILLI_NS);
    replica_answers(1, fake.sent[0], 0, "");
    news();
    cr_assert_eq(answered(2), SL_OK);
    embed((struct ask){.request = 3});
    replica_answers(1, fake.sent[1], 2, "bad");
    news();
    cr_assert_eq(answered(3), SL_EINVAL);
    embed((struct ask){.request = 4});
    replica_answers(1, fake.sent[2], SL_FAIL_CRASH, "bad");
    news();
    cr_assert_eq(answered(4), SL_EUNAVAIL, "only its agent says that it crashed");
    struct sl_router_counts c;
    sl_router_counts(r.actor, &c);
    cr_assert_eq(c.straight, 3);
    cr_assert_eq(c.calls, 0);
}

Test(shortcuts, beyond_a_few_under_way_calls_go_by_the_node)
{
    for (uint64_t i = 0; i < SL_CHANNEL_CALLS_MAX + 2; i++)
        embed((struct ask){.request = 10 + i, .scope = i});
    cr_assert_eq(fake.sent_count, SL_CHANNEL_CALLS_MAX);
    cr_assert_neq(by_node(), 0);
    cr_assert_neq(by_node(), 0);
    cr_assert_eq(by_node(), 0);
    replica_answers(1, fake.sent[0], 0, "");
    news();
    embed((struct ask){.request = 90, .scope = 90});
    cr_assert_eq(fake.sent_count, SL_CHANNEL_CALLS_MAX + 1);
}

Test(shortcuts, one_tenant_leaves_room_for_others)
{
    for (uint64_t i = 0; i < 20; i++)
        embed((struct ask){.request = 10 + i, .scope = 5});
    cr_assert_eq(fake.sent_count, SL_SHORTCUT_SCOPE_MAX);
    embed((struct ask){.request = 90, .scope = 6});
    cr_assert_eq(fake.sent_count, SL_SHORTCUT_SCOPE_MAX + 1);
}

Test(shortcuts, of_two_replicas_the_less_busy_one_is_taken)
{
    uint32_t counts[3] = {0};
    offer(REPLICA + 1);
    for (uint64_t i = 0; i < 10; i++) {
        embed((struct ask){.request = 10 + i, .scope = i});
        counts[fake.sent_to[i]]++;
        cr_assert_leq(counts[1] > counts[2] ? counts[1] - counts[2] : counts[2] - counts[1], 1);
    }
}

Test(shortcuts, what_is_sticky_goes_to_one_replica)
{
    uint32_t used[CHANNELS + 1] = {0};
    for (uint32_t i = 1; i < CHANNELS; i++)
        offer(REPLICA + i);
    for (uint64_t i = 0; i < 30; i++) {
        uint32_t first = fake.sent_count;
        embed((struct ask){.request = 100 + 2 * i, .sticky = i + 1});
        embed((struct ask){.request = 101 + 2 * i, .sticky = i + 1});
        cr_assert_eq(fake.sent_count, first + 2);
        cr_assert_eq(fake.sent_to[first], fake.sent_to[first + 1]);
        used[fake.sent_to[first]]++;
        replica_answers(fake.sent_to[first], fake.sent[first], 0, "");
        replica_answers(fake.sent_to[first], fake.sent[first + 1], 0, "");
        news();
        recorder_forget(&r);
    }
    cr_assert(used[1] > 0 && used[2] > 0 && used[3] > 0 && used[4] > 0);
}

Test(shortcuts, what_does_not_fit_goes_by_the_node)
{
    fake.refuses = SL_ETOOBIG;
    embed((struct ask){.request = 2});
    cr_assert_neq(by_node(), 0);
    fake.refuses = SL_OK;
    embed((struct ask){.request = 3});
    cr_assert_eq(by_node(), 0);
    /* Nor its answer: it is asked again, and its like go by the node from then on. */
    replica_answers(1, fake.sent[0], 1, SL_REPLICA_TOO_LARGE);
    news();
    struct sl_msg *again = recorder_take(&r, SL_M_embed_run);
    cr_assert_not_null(again);
    cr_assert_eq(SL_BODY(again, embed_run)->alone, 0, "nobody is to blame");
    sl_msg_destroy(&again);
    embed((struct ask){.request = 4});
    cr_assert_neq(by_node(), 0);
    recorder_wait(&r, SL_SHORTCUT_LARGE_NS);
    embed((struct ask){.request = 5});
    cr_assert_eq(by_node(), 0, "one that was large does not bar its like for ever");
}

/* Of two nodes, of which one has replicas that are called straight. */
Test(shortcuts, a_busy_replica_does_not_keep_calls_from_another_node)
{
    head_says(SL_M_node_up, &(struct sl_m_node_up){.node = NODE + 1});
    for (uint64_t i = 0; i < 8; i++)
        embed((struct ask){.request = 10 + i, .scope = i});
    cr_assert_eq(fake.sent_count, 4, "%u went straight", fake.sent_count);
    struct sl_msg *msg;
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_not_null(msg = recorder_take(&r, SL_M_embed_run));
        cr_assert_eq(msg->to.node, NODE + 1);
        sl_msg_destroy(&msg);
    }
}

Test(shortcuts, a_closed_node_gets_nothing_straight)
{
    head_says(SL_M_node_open, &(struct sl_m_node_open){.node = NODE, .is_open = 0});
    embed((struct ask){.request = 2});
    cr_assert_neq(by_node(), 0, "there is no other node");
    head_says(SL_M_node_open, &(struct sl_m_node_open){.node = NODE, .is_open = 1});
    embed((struct ask){.request = 3});
    cr_assert_eq(by_node(), 0);
}

Test(shortcuts, an_offer_without_a_channel_is_declined)
{
    offer(REPLICA + CHANNELS);
    struct sl_msg *msg = recorder_take(&r, SL_M_shortcut_closed);
    cr_assert_not_null(msg);
    cr_assert_eq(SL_BODY(msg, shortcut_closed)->is_none, 1);
    sl_msg_destroy(&msg);
}

Test(shortcuts, one_more_than_there_may_be_is_declined_and_its_channel_let_go)
{
    fake.channels = MORE_MAX;
    for (uint32_t i = 1; i < SL_SHORTCUTS_MAX; i++)
        offer(REPLICA + i);
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_closed), 0);
    offer(REPLICA + SL_SHORTCUTS_MAX);
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_closed), 1);
    cr_assert(fake.is_closed[MORE_MAX]);
    cr_assert_not(fake.is_closed[MORE_MAX - 1]);
}

/* ---- ends ---------------------------------------------------------------------------------- */

Test(shortcuts, one_that_has_hung_up_gets_nothing_more_and_answers_what_it_had)
{
    embed((struct ask){.request = 2});
    embed((struct ask){.request = 3});
    will_hang_up(1);
    replica_answers(1, fake.sent[0], 0, "");
    news();
    cr_assert_eq(answered(2), SL_OK);
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_broken), 0, "its process may just have ended");
    embed((struct ask){.request = 4});
    cr_assert_neq(by_node(), 0);
    offer(REPLICA);
    embed((struct ask){.request = 5});
    cr_assert_neq(by_node(), 0, "its end is closed for good");
    agent_says(SL_M_shortcut_gone, &(struct sl_m_shortcut_gone){.replica = REPLICA});
    cr_assert_neq(by_node(), 0);
}

Test(shortcuts, a_drain_waits_for_what_is_under_way)
{
    embed((struct ask){.request = 2});
    agent_says(SL_M_shortcut_close, &(struct sl_m_shortcut_close){.replica = REPLICA});
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_closed), 0);
    embed((struct ask){.request = 3});
    cr_assert_neq(by_node(), 0, "nothing more goes there");
    replica_answers(1, fake.sent[0], 0, "");
    news();
    cr_assert_eq(answered(2), SL_OK);
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_closed), 1);
    offer(REPLICA);
    embed((struct ask){.request = 4});
    cr_assert_eq(fake.sent_count, 2, "it was opened again");
}

Test(shortcuts, what_a_replica_had_answered_counts_and_the_rest_runs_once_more_alone)
{
    embed((struct ask){.request = 2});
    embed((struct ask){.request = 3});
    replica_answers(1, fake.sent[0], 0, "");
    agent_says(SL_M_shortcut_gone, &(struct sl_m_shortcut_gone){.replica = REPLICA});
    cr_assert_eq(answered(2), SL_OK);
    cr_assert(fake.is_closed[1]);
    struct sl_msg *again = recorder_take(&r, SL_M_embed_run);
    cr_assert_not_null(again);
    cr_assert_eq(SL_BODY(again, embed_run)->alone, 1);
    say(sl_at(NODE, SL_ACTOR_AGENT), again->request, SL_M_embedded,
        &(struct sl_m_embedded){.err = SL_ECRASHED});
    sl_msg_destroy(&again);
    cr_assert_eq(answered(3), SL_ECRASHED, "it was not run a third time");
    cr_assert_eq(by_node(), 0);
}

Test(shortcuts, with_its_node_a_replica_is_gone)
{
    embed((struct ask){.request = 2});
    head_says(SL_M_node_up, &(struct sl_m_node_up){.node = NODE + 1});
    head_says(SL_M_node_lost, &(struct sl_m_node_lost){.node = NODE});
    cr_assert(fake.is_closed[1]);
    struct sl_msg *again = recorder_take(&r, SL_M_embed_run);
    cr_assert_not_null(again);
    cr_assert_eq(again->to.node, NODE + 1);
    sl_msg_destroy(&again);
}

Test(shortcuts, a_late_answer_is_nobodys_and_its_place_is_free_again)
{
    embed((struct ask){.request = 2, .timeout_ns = 10 * SL_MILLI_NS});
    recorder_wait(&r, 11 * SL_MILLI_NS);
    cr_assert_eq(answered(2), SL_ETIMEOUT);
    replica_answers(1, fake.sent[0], 0, "");
    news();
    cr_assert_eq(recorder_count(&r, SL_M_embedded), 0);
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_broken), 0);
    for (uint64_t i = 0; i < SL_CHANNEL_CALLS_MAX; i++)
        embed((struct ask){.request = 10 + i, .scope = i});
    cr_assert_eq(fake.sent_count, 1 + SL_CHANNEL_CALLS_MAX);
}

Test(shortcuts, a_cancelled_call_is_told_to_the_replica_once)
{
    embed((struct ask){.request = 2});
    say(sl_at(SL_NODE_HEAD, SL_ACTOR_API), 2, SL_M_embed_cancel, &(struct sl_m_embed_cancel){0});
    cr_assert_eq(fake.cancels, 1);
    replica_answers(1, fake.sent[0], 1, "unwanted");
    news();
    cr_assert_eq(recorder_count(&r, SL_M_embedded), 0);
    recorder_forget(&r);
    embed((struct ask){.request = 3});
    recorder_wait(&r, SL_SHORTCUT_TICK_NS);
}

/* ---- what the agent is told ---------------------------------------------------------------- */

Test(shortcuts, the_agent_hears_of_more_calls_at_once_and_of_fewer_soon)
{
    embed((struct ask){.request = 2});
    struct sl_m_shortcut_load m = load_told();
    cr_assert_eq(m.replica, REPLICA);
    cr_assert_eq(m.ongoing, 1);
    cr_assert_eq(m.arrived, 1);
    for (uint64_t i = 0; i < 10; i++) {
        replica_answers(1, fake.sent[fake.sent_count - 1], 0, "");
        news();
        embed((struct ask){.request = 10 + i});
    }
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_load), 0, "never more than it knows");
    embed((struct ask){.request = 30});
    m = load_told();
    cr_assert_eq(m.ongoing, 2);
    cr_assert_eq(m.arrived, 11);
    cr_assert_eq(m.answered, 10);
    replica_answers(1, fake.sent[fake.sent_count - 2], 0, "");
    replica_answers(1, fake.sent[fake.sent_count - 1], 0, "");
    news();
    recorder_wait(&r, SL_SHORTCUT_TICK_NS);
    recorder_wait(&r, SL_SHORTCUT_TICK_NS);
    uint64_t answers = 0;
    for (uint32_t i = recorder_count(&r, SL_M_shortcut_load); i > 0; i--) {
        m = load_told();
        answers += m.answered;
    }
    cr_assert_eq(m.ongoing, 0);
    cr_assert_eq(answers, 2);
    recorder_wait(&r, SL_SECOND_NS);
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_load), 0, "at rest nothing is said");
}

/* From when it was sent: what it says of itself is believed no further. */
Test(shortcuts, the_agent_hears_how_long_calls_took)
{
    struct sl_pool_times times = {0};
    embed((struct ask){.request = 2});
    embed((struct ask){.request = 3});
    (void)load_told();
    (void)load_told();
    recorder_wait(&r, 5 * SL_MILLI_NS);
    struct sl_m_processed m = {.item = fake.sent[0], .busy_ns = SL_SECOND_NS, .begun_ns = 1};
    will_say(1, SL_M_processed, &m);
    m = (struct sl_m_processed){.item = fake.sent[1], .kind = 1}; /* It was not run. */
    will_say(1, SL_M_processed, &m);
    news();
    recorder_wait(&r, SL_SHORTCUT_TICK_NS);
    struct sl_msg *msg = recorder_take(&r, SL_M_shortcut_load);
    cr_assert_not_null(msg);
    cr_assert_eq(SL_BODY(msg, shortcut_load)->answered, 2);
    cr_assert_eq(SL_BODY(msg, shortcut_load)->busy_ns, 5 * SL_MILLI_NS);
    cr_assert(sl_pool_times_merge(&times, SL_BODY(msg, shortcut_load)->times));
    cr_assert_eq(times.count, 1);
    cr_assert_eq(times.sum_ns[SL_TIMES_WAIT] + times.sum_ns[SL_TIMES_BATCH_WAIT], 0);
    cr_assert_eq(times.sum_ns[SL_TIMES_COMPUTE], 5 * SL_MILLI_NS);
    sl_msg_destroy(&msg);
    embed((struct ask){.request = 4});
    recorder_wait(&r, SL_SHORTCUT_TICK_NS);
    cr_assert_eq(load_told().times.size, 0, "each is told once");
}

Test(shortcuts, the_agent_hears_what_was_not_run)
{
    embed((struct ask){.request = 2});
    embed((struct ask){.request = 3, .timeout_ns = 10 * SL_MILLI_NS});
    say(sl_at(SL_NODE_HEAD, SL_ACTOR_API), 2, SL_M_embed_cancel, &(struct sl_m_embed_cancel){0});
    recorder_wait(&r, 11 * SL_MILLI_NS);
    recorder_wait(&r, SL_SHORTCUT_TICK_NS);
    uint64_t cancelled = 0, overdue = 0;
    for (uint32_t i = recorder_count(&r, SL_M_shortcut_load); i > 0; i--) {
        struct sl_m_shortcut_load m = load_told();
        cancelled += m.cancelled;
        overdue += m.overdue;
        cr_assert_gt(m.ongoing, 0, "the replica still has them");
    }
    cr_assert_eq(cancelled, 1);
    cr_assert_eq(overdue, 1);
}

/* ---- replicas that lie --------------------------------------------------------------------- */

static void
must_be_broken(void)
{
    news();
    struct sl_msg *msg = recorder_take(&r, SL_M_shortcut_broken);
    cr_assert_not_null(msg);
    cr_assert_eq(SL_BODY(msg, shortcut_broken)->replica, REPLICA);
    cr_assert_gt(SL_BODY(msg, shortcut_broken)->why.size, 0);
    sl_msg_destroy(&msg);
    cr_assert_eq(recorder_count(&r, SL_M_shortcut_broken), 0, "once is enough");
    cr_assert_eq(recorder_count(&r, SL_M_embedded), 0);
    embed((struct ask){.request = 50});
    cr_assert_neq(by_node(), 0, "it gets nothing more");
    /* And what it has is run again with its end. */
    agent_says(SL_M_shortcut_gone, &(struct sl_m_shortcut_gone){.replica = REPLICA});
    cr_assert_neq(by_node(), 0);
}

Test(shortcuts, who_writes_no_message_is_killed)
{
    embed((struct ask){.request = 2});
    will_say(1, 0, NULL);
    will_say(1, 0, NULL);
    must_be_broken();
}

Test(shortcuts, who_answers_what_it_was_not_asked_is_killed)
{
    embed((struct ask){.request = 2});
    replica_answers(1, fake.sent[0] + 1, 0, "");
    must_be_broken();
}

Test(shortcuts, who_says_something_else_is_killed)
{
    embed((struct ask){.request = 2});
    will_say(1, SL_M_node_lost, &(struct sl_m_node_lost){.node = NODE});
    must_be_broken();
}

Test(shortcuts, who_answers_twice_is_killed)
{
    embed((struct ask){.request = 2});
    embed((struct ask){.request = 3});
    replica_answers(1, fake.sent[0], 0, "");
    news();
    cr_assert_eq(answered(2), SL_OK);
    replica_answers(1, fake.sent[0], 0, "");
    must_be_broken();
}

Test(shortcuts, who_lies_of_what_it_has_read_is_killed)
{
    embed((struct ask){.request = 2});
    fake.refuses = SL_ECORRUPT;
    embed((struct ask){.request = 3});
    cr_assert_neq(by_node(), 0);
    must_be_broken();
}
