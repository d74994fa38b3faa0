/* SPDX-License-Identifier: Apache-2.0 */
/* Models that replicas open, as their agent sees it: asks of the shell, answers of the head. */
#include <fcntl.h>

#include "actors/model_opens.h"
#include "runtime/alloc.h"
#include "tests/actors/agent_answer.h"
#include "tests/object-store/tiny_model.h"

#define TENANT 7
#define WITH_MODELS(space)                                                                         \
    "{\"extractor\":\"echo\",\"params\":{\"k\":1},\"models\":true,\"namespace\":\"" space "\"}"

TestSuite(model_opens, .init = setup, .fini = finish, .timeout = 60);

static uint32_t
replica_for(const char *spec, uint64_t tenant)
{
    struct sl_m_extraction m = {.number = NUMBER, .spec = sl_slice_str(spec), .tenant = tenant};
    recorder_deliver(&r, dispatcher(), SL_M_extraction, &m);
    run_task(1, false);
    return start_replica();
}

static void
want(uint32_t replica, uint64_t ticket, const char *model)
{
    struct sl_m_model_wanted m = {
        .replica = replica, .ticket = ticket, .model = sl_slice_str(model)};
    recorder_deliver(&r, r.self, SL_M_model_wanted, &m);
}

/* What the head is asked; its call's number. */
static uint64_t
expect_call(const char *space, const char *model)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_model_open);
    cr_assert_not_null(msg);
    const struct sl_m_model_open *m = SL_BODY(msg, model_open);
    cr_assert(msg->to.node == SL_NODE_HEAD && msg->to.actor == SL_ACTOR_API);
    cr_assert_eq(m->tenant, TENANT);
    cr_assert(sl_slice_is(m->space, space) && sl_slice_is(m->model, model));
    uint64_t request = msg->request;
    cr_assert_neq(request, 0);
    sl_msg_destroy(&msg);
    return request;
}

static void
deliver(uint64_t request, uint32_t id, const void *body)
{
    struct sl_msg *msg = sl_msg_create(id, body);
    struct sl_ctx ctx = recorder_ctx(&r);
    msg->from = sl_at(SL_NODE_HEAD, SL_ACTOR_API);
    msg->to = r.self;
    msg->request = request;
    r.class->handle(r.actor, &ctx, msg);
    sl_msg_destroy(&msg);
}

static void
answer(uint64_t request, enum sl_err err, const char *text)
{
    struct sl_m_model_opened m = {.err = err};
    if (err == SL_OK)
        m.directory = sl_slice_str(text);
    else
        m.message = sl_slice_str(text);
    deliver(request, SL_M_model_opened, &m);
}

/* The file that was given with that ticket; -1 with that error. */
static int
expect_given(uint64_t ticket, enum sl_err err)
{
    struct sl_msg *msg = recorder_take(&r, SL_M_model_given);
    cr_assert_not_null(msg);
    const struct sl_m_model_given *m = SL_BODY(msg, model_given);
    cr_assert(msg->to.node == SL_NODE_PORT && msg->to.actor == SL_PORT_OBJECTS);
    cr_assert_eq(m->ticket, ticket);
    cr_assert_eq(m->err, err, "%s: %.*s", sl_err_name((enum sl_err)m->err),
                 SL_SLICE_FMT(m->message));
    cr_assert_eq(m->fd >= 0, err == SL_OK);
    cr_assert(err == SL_OK || m->message.size > 0, "why is said");
    int fd = (int)m->fd;
    sl_msg_destroy(&msg);
    return fd;
}

static void
expect_nothing(void)
{
    cr_assert_eq(recorder_count(&r, SL_M_model_given), 0);
    cr_assert_eq(recorder_count(&r, SL_M_model_open), 0);
}

static void
make_model(char directory[static 64])
{
    struct tiny_model_options options = {0};
    cr_assert_not_null(tiny_directory_make(directory));
    cr_assert_eq(tiny_model_write(directory, &options), 0);
}

Test(model_opens, one_that_the_head_knows_is_loaded_and_given_and_kept_for_the_next)
{
    char directory[64];
    make_model(directory);
    uint32_t replica = replica_for(WITH_MODELS("ns_1"), TENANT);
    want(replica, 11, "m_1");
    answer(expect_call("ns_1", "m_1"), SL_OK, directory);
    expect_nothing();
    recorder_do_work(&r);
    int fd = expect_given(11, SL_OK);
    cr_assert_geq(fcntl(fd, F_GETFD), 0);
    want(replica, 12, "m_1");
    answer(expect_call("ns_1", "m_1"), SL_OK, directory);
    cr_assert_eq(expect_given(12, SL_OK), fd, "it is loaded once");
    /* Dropped in the batch that gave it: the file must outlive what is held and names it. */
    want(replica, 13, "m_1");
    answer(expect_call("ns_1", "m_1"), SL_OK, directory);
    struct sl_m_model_drop drop = {.directory = sl_slice_str(directory)};
    recorder_deliver(&r, dispatcher(), SL_M_model_drop, &drop);
    cr_assert_geq(fcntl(expect_given(13, SL_OK), F_GETFD), 0);
    cr_assert_eq(recorder_count(&r, SL_M_replica_stop), 0, "who opens a model goes on");
    recorder_do_work(&r);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
    tiny_directory_remove(directory);
}

Test(model_opens, who_may_not_is_told_so_and_the_head_is_not_asked)
{
    uint32_t replica = replica_for(SPEC, TENANT);
    want(replica, 1, "m_1");
    (void)expect_given(1, SL_ENOTFOUND);
    want(replica + 1, 2, "m_1");
    (void)expect_given(2, SL_ECANCELED);
    expect_nothing();
}

Test(model_opens, replicas_of_no_tenant_open_none_whatever_their_work_says)
{
    want(replica_for(WITH_MODELS("ns_1"), 0), 1, "m_1");
    (void)expect_given(1, SL_ENOTFOUND);
    expect_nothing();
}

Test(model_opens, an_id_that_no_key_can_have_is_no_models)
{
    struct sl_m_model_wanted m = {.replica = replica_for(WITH_MODELS("ns_1"), TENANT),
                                  .ticket = 1,
                                  .model = sl_slice("a\0b", 3)};
    recorder_deliver(&r, r.self, SL_M_model_wanted, &m);
    (void)expect_given(1, SL_ENOTFOUND);
    m.model.size = 0;
    recorder_deliver(&r, r.self, SL_M_model_wanted, &m);
    (void)expect_given(1, SL_ENOTFOUND);
    expect_nothing();
}

Test(model_opens, each_namespace_has_replicas_of_its_own)
{
    uint32_t one = replica_for(WITH_MODELS("ns_1"), TENANT);
    struct sl_m_extraction m = {
        .number = NUMBER + 1, .spec = sl_slice_str(WITH_MODELS("ns_2")), .tenant = TENANT};
    recorder_deliver(&r, dispatcher(), SL_M_extraction, &m);
    struct sl_m_run_task task = {.task_id = 2, .extraction = NUMBER + 1, .alone = 0};
    recorder_deliver(&r, dispatcher(), SL_M_run_task, &task);
    uint32_t two = start_replica();
    cr_assert_neq(one, two);
    want(two, 1, "m_1");
    (void)expect_call("ns_2", "m_1");
    want(one, 2, "m_1");
    (void)expect_call("ns_1", "m_1");
}

Test(model_opens, what_the_head_refuses_is_passed_on)
{
    uint32_t replica = replica_for(WITH_MODELS("ns_1"), TENANT);
    want(replica, 1, "m_1");
    uint64_t call = expect_call("ns_1", "m_1");
    answer(call + 1, SL_ENOTFOUND, "another's");
    expect_nothing();
    answer(call, SL_EFULL, "no memory");
    (void)expect_given(1, SL_EFULL);
    answer(call, SL_OK, "/nowhere");
    expect_nothing();
    /* What no head says is no model all the same. */
    want(replica, 2, "m_1");
    answer(expect_call("ns_1", "m_1"), SL_OK, "");
    struct sl_msg *msg = recorder_take(&r, SL_M_model_given);
    cr_assert_not_null(msg);
    cr_assert_eq(SL_BODY(msg, model_given)->err, SL_EBUG);
    sl_msg_destroy(&msg);
}

Test(model_opens, who_asks_again_gets_the_answer_and_another_model_has_to_wait)
{
    uint32_t replica = replica_for(WITH_MODELS("ns_1"), TENANT);
    want(replica, 1, "m_1");
    uint64_t call = expect_call("ns_1", "m_1");
    want(replica, 2, "m_1");
    expect_nothing();
    want(replica, 3, "m_2");
    (void)expect_given(3, SL_EBUSY);
    answer(call, SL_ENOTFOUND, "none");
    (void)expect_given(2, SL_ENOTFOUND);
    want(replica, 4, "m_2");
    (void)expect_call("ns_1", "m_2");
}

Test(model_opens, each_ask_ends_in_time)
{
    uint32_t replica = replica_for(WITH_MODELS("ns_1"), TENANT);
    welcome();
    want(replica, 1, "m_1");
    uint64_t call = expect_call("ns_1", "m_1");
    recorder_wait(&r, SL_MODEL_OPEN_NS - 2 * SL_SECOND_NS);
    expect_nothing();
    recorder_wait(&r, 4 * SL_SECOND_NS);
    (void)expect_given(1, SL_ETIMEOUT);
    answer(call, SL_OK, "/nowhere");
    expect_nothing();
    cr_assert_eq(r.works_count, 0, "nothing is loaded for nobody");
}

Test(model_opens, a_head_that_is_not_reached_is_told_at_once)
{
    want(replica_for(WITH_MODELS("ns_1"), TENANT), 1, "m_1");
    uint64_t call = expect_call("ns_1", "m_1");
    struct sl_m_undelivered m = {.message = SL_M_model_open, .reason = SL_EUNAVAIL};
    deliver(call + 1, SL_M_undelivered, &m);
    expect_nothing();
    deliver(call, SL_M_undelivered, &m);
    (void)expect_given(1, SL_EUNAVAIL);
    deliver(0, SL_M_undelivered, &m);
    expect_nothing();
}

Test(model_opens, nothing_is_left_of_a_replica_that_ends_while_it_waits)
{
    char directory[64];
    make_model(directory);
    uint32_t replica = replica_for(WITH_MODELS("ns_1"), TENANT);
    want(replica, 1, "m_1");
    uint64_t call = expect_call("ns_1", "m_1");
    exited(replica, 0, 9);
    answer(call, SL_OK, directory);
    expect_nothing();
    cr_assert_eq(r.works_count, 0);
    run_task(2, false);
    recorder_wait(&r, SL_SECOND_NS);
    replica = start_replica();
    want(replica, 2, "m_1");
    answer(expect_call("ns_1", "m_1"), SL_OK, directory);
    exited(replica, 0, 9);
    recorder_do_work(&r); /* It is on its way to the shelf: others may want it. */
    expect_nothing();
    tiny_directory_remove(directory);
}

Test(model_opens, what_was_deleted_since_the_head_answered_is_not_given)
{
    want(replica_for(WITH_MODELS("ns_1"), TENANT), 1, "m_1");
    answer(expect_call("ns_1", "m_1"), SL_OK, "/nowhere/at/all");
    recorder_do_work(&r);
    (void)expect_given(1, SL_EUNAVAIL);
}

Test(model_opens, many_replicas_wait_and_one_more_is_told_to_try_again)
{
    struct sl_model_opens opens;
    struct sl_ctx ctx = recorder_ctx(&r);
    char space[] = "ns_1";
    const struct sl_pool pool = {.tenant = TENANT, .space = space};
    sl_model_opens_init(&opens, r.now_ms);
    for (uint32_t i = 0; i <= SL_MODEL_OPENS_MAX; i++) {
        struct sl_m_model_wanted m = {
            .replica = 100 + i, .ticket = 1 + i, .model = sl_slice_str("m_1")};
        sl_model_opens_ask(&opens, &ctx, &pool, &m);
    }
    cr_assert_eq(recorder_count(&r, SL_M_model_open), SL_MODEL_OPENS_MAX);
    (void)expect_given(1 + SL_MODEL_OPENS_MAX, SL_EFULL);
    sl_model_opens_forget(&opens, 100);
    struct sl_m_model_wanted m = {.replica = 99, .ticket = 1000, .model = sl_slice_str("m_1")};
    sl_model_opens_ask(&opens, &ctx, &pool, &m);
    cr_assert_eq(recorder_count(&r, SL_M_model_open), SL_MODEL_OPENS_MAX + 1);
    sl_model_opens_deinit(&opens);
    sl_model_opens_deinit(&opens);
}
