/* SPDX-License-Identifier: Apache-2.0 */
/* What the head does for a plugin that opens a model. */
#include "gateway/model/open.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/rows.h"
#include "gateway/models.h"
#include "gateway/runner.h"
#include "tests/gateway/scene.h"

#define START_MS 5000
#define NOW_MS   6000
#define NODE     70000
#define BORN     "\"created_at\":\"1970-01-01T00:00:01.000Z\",\"directory\":\"models/5/m.1\""
#define PENDING  "{\"model_id\":\"m\",\"status\":\"pending\"," BORN "}"
#define DEPLOYED                                                                                   \
    "{\"model_id\":\"m\",\"status\":\"deployed\",\"deployed\":true,"                               \
    "\"status_at\":\"1970-01-01T00:00:02.000Z\"," BORN "}"

static struct sl_gateway g;
static char directory[64];

static void
add_tenant(uint64_t scope, const char *account_type)
{
    struct sl_identity who = {.scope = {scope}};
    snprintf(who.tenant_id, sizeof(who.tenant_id), "tenant-%d", (int)scope);
    snprintf(who.account_type, sizeof(who.account_type), "%s", account_type);
    sl_keyring_tenant_put(g.keyring, &who);
}

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/model-open-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    scene_open(&g, directory, START_MS);
    sl_protocol_register(&sl_protocol_cluster);
    add_tenant(5, "enterprise");
    add_tenant(6, "enterprise");
    scene_loaded = (struct sl_wait){.error = SL_OK};
    scene_load_node = 0;
}

static void
teardown(void)
{
    scene_close(&g);
    scene_remove(directory);
}

TestSuite(model_open, .init = setup, .fini = teardown);

static void
put(const char *space, const char *row)
{
    struct sl_txn *txn = sl_store_begin(g.store);
    struct sl_buf key = {0};
    sl_txn_put(txn, (struct sl_scope){5}, SL_TABLE_MODEL, sl_key(&key, 2, space, "m"),
               sl_slice_str(row));
    sl_buf_deinit(&key);
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
}

/* The model as it is stored. Static. */
static const char *
stored(const char *space)
{
    static char text[4096];
    struct sl_txn *txn = sl_store_begin(g.store);
    struct sl_buf key = {0};
    struct sl_slice row;
    cr_assert_eq(
        sl_txn_get(txn, (struct sl_scope){5}, SL_TABLE_MODEL, sl_key(&key, 2, space, "m"), &row),
        SL_OK);
    snprintf(text, sizeof(text), "%.*s", SL_SLICE_FMT(row));
    sl_buf_deinit(&key);
    sl_txn_abort(&txn);
    return text;
}

static bool
is_stored(const char *part)
{
    return strstr(stored("ns_1"), part) != NULL;
}

static char said[512]; /* Directory, or why. */

static enum sl_err
open_as(uint64_t tenant, const char *space, struct sl_slice model)
{
    struct sl_m_model_open body = {.tenant = tenant, .space = sl_slice_str(space), .model = model};
    struct sl_msg *msg = sl_msg_create(SL_M_model_open, &body);
    struct sl_m_model_opened reply;
    msg->from = sl_at(NODE, SL_ACTOR_AGENT);
    msg->request = 3;
    struct sl_call *call = sl_model_open_call(msg);
    sl_msg_destroy(&msg);
    call->now_ms = NOW_MS;
    sl_runner_run(&g, call);
    (void)scene_finish(&g, call);
    cr_assert_eq(call->asker.node, NODE);
    cr_assert_eq(call->asker.actor, SL_ACTOR_AGENT);
    cr_assert_eq(call->asker.request, 3);
    sl_model_open_reply(call, &reply);
    struct sl_slice text = reply.err == SL_OK ? reply.directory : reply.message;
    cr_assert_gt(text.size, 0);
    snprintf(said, sizeof(said), "%.*s", SL_SLICE_FMT(text));
    enum sl_err err = (enum sl_err)reply.err;
    sl_call_destroy(&call);
    return err;
}

static enum sl_err
open_model(void)
{
    return open_as(5, "ns_1", sl_slice_str("m"));
}

Test(model_open, one_that_is_not_deployed_is_deployed_on_the_node_that_asks)
{
    put("ns_1", PENDING);
    cr_assert_eq(open_model(), SL_OK, "%s", said);
    cr_assert_str_eq(said, "models/5/m.1");
    cr_assert_eq(scene_load_node, NODE);
    cr_assert(is_stored("\"status\":\"deploying\",\"at\":\"1970-01-01T00:00:06.000Z\""), "%s",
              stored("ns_1"));
    cr_assert(is_stored("\"status\":\"deployed\",\"status_at\":\"1970-01-01T00:00:06.000Z\""), "%s",
              stored("ns_1"));
}

Test(model_open, one_that_is_deployed_stays_as_it_is_also_where_it_had_to_be_loaded)
{
    put("ns_1", DEPLOYED);
    cr_assert_eq(open_model(), SL_OK);
    cr_assert_str_eq(stored("ns_1"), DEPLOYED);
    scene_loaded.is_cached = true;
    cr_assert_eq(open_model(), SL_OK);
    cr_assert_str_eq(stored("ns_1"), DEPLOYED);
    scene_loaded = (struct sl_wait){.error = SL_ENOMEM, .message = "no memory"};
    cr_assert_eq(open_model(), SL_EFULL, "%s", said);
    cr_assert_str_eq(said, "m was not loaded: no memory");
    cr_assert_str_eq(stored("ns_1"), DEPLOYED, "another node may have it");
}

Test(model_open, nobody_gets_anothers)
{
    put("ns_1", DEPLOYED);
    static const struct {
        uint64_t tenant;
        const char *space, *model;
    } others[] = {{6, "ns_1", "m"}, {5, "ns_2", "m"},      {5, "ns_1", "n"},
                  {0, "ns_1", "m"}, {999, "ns_1", "m"},    {5, "", "m"},
                  {5, "ns_1", ""},  {5, "ns_1/m", "ns_1"}, {5, "../ns_1", "m"}};
    for (size_t i = 0; i < SL_COUNT_OF(others); i++)
        cr_expect_eq(open_as(others[i].tenant, others[i].space, sl_slice_str(others[i].model)),
                     SL_ENOTFOUND, "%zu: %s", i, said);
    cr_assert_eq(open_as(5, "ns_1", sl_slice("m\0m", 3)), SL_ENOTFOUND);
    cr_assert_eq(scene_load_node, 0, "nothing was loaded");
}

Test(model_open, a_plan_without_models_deploys_none_but_uses_what_is)
{
    put("ns_1", PENDING);
    add_tenant(5, "team");
    cr_assert_eq(open_model(), SL_ENOTFOUND);
    cr_assert_str_eq(stored("ns_1"), PENDING);
    cr_assert_eq(scene_load_node, 0);
    put("ns_1", DEPLOYED);
    cr_assert_eq(open_model(), SL_OK);
}

Test(model_open, what_keeps_it_from_being_loaded_is_said_and_stays_in_the_row)
{
    static const struct {
        enum sl_err err, want;
        const char *reason;
    } cases[] = {{SL_ENOMEM, SL_EFULL, "memory_not_free"},  {SL_EFULL, SL_EFULL, "node_full"},
                 {SL_ETIMEOUT, SL_ETIMEOUT, "timed_out"},   {SL_ECORRUPT, SL_EIO, "load_failed"},
                 {SL_EUNAVAIL, SL_EUNAVAIL, "not_fetched"}, {SL_ENOSPC, SL_EFULL, "disk_full"}};
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        put("ns_1", PENDING);
        scene_loaded = (struct sl_wait){.error = cases[i].err};
        cr_expect_eq(open_model(), cases[i].want, "%zu: %s", i, said);
        cr_expect(is_stored("\"status\":\"failed\"") && is_stored(cases[i].reason), "%zu: %s", i,
                  stored("ns_1"));
    }
    scene_loaded.error = SL_OK;
    cr_assert_eq(open_model(), SL_OK, "the next try may do");
    cr_assert(is_stored("\"deployed\":true"));
}

Test(model_open, the_gpus_that_it_needs_are_to_be_those_of_the_node_that_asks)
{
    put("ns_1", "{\"model_id\":\"m\",\"status\":\"pending\",\"resource_requirements\":"
                "{\"num_gpus\":2}," BORN "}");
    scene_nodes = "[{\"node\":2,\"state\":\"alive\",\"gpus\":8},"
                  "{\"node\":70000,\"state\":\"alive\",\"gpus\":1}]";
    cr_assert_eq(open_model(), SL_EFULL);
    cr_assert_not_null(strstr(said, "needs 2 GPUs on one node and what this node has is 1"));
    cr_assert(is_stored("gpu_required"));
    cr_assert_eq(scene_load_node, 0);
    scene_nodes = "[{\"node\":2,\"state\":\"alive\",\"gpus\":2},"
                  "{\"node\":70000,\"state\":\"alive\",\"gpus\":4}]";
    cr_assert_eq(open_model(), SL_OK, "%s", said);
    cr_assert_eq(scene_load_node, NODE);
    scene_nodes = NULL;
}
