/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/home.h"

#include "actors/head.h"
#include "tests/actors/dispatcher_store.h"

TestSuite(home, .init = setup, .fini = finish, .timeout = 60);

static void
put_tenant(const char *id, const char *row)
{
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_put(t, SL_SCOPE_SYSTEM, SL_TABLE_TENANT, sl_slice_str(id), sl_slice_str(row));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
}

static enum sl_err
look_up(const char *taint, uint64_t *ret_home)
{
    struct sl_txn *t = sl_store_begin(store);
    enum sl_err err = sl_home_lookup(t, sl_home_tenant(sl_slice_str(taint)), ret_home);
    sl_txn_abort(&t);
    return err;
}

Test(home, a_taint_names_a_tenant_that_there_is)
{
    uint64_t number = 9;
    put_tenant("acme", "{\"scope\":3}");
    put_tenant("odd", "{\"scope\":0}");
    cr_expect_eq(look_up("tenant=acme", &number), SL_OK);
    cr_expect_eq(number, 3);
    static const char *const bad[] = {"",           "acme",        "tenant=",    "tenant",
                                      "tenant=acm", "Tenant=acme", "tenant=odd", "tenant= acme"};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++)
        cr_expect_eq(look_up(bad[i], &number), SL_ENOTFOUND, "%s", bad[i]);
    cr_expect_eq(number, 3, "nothing has changed");
    char longer[SL_HOME_TENANT_MAX + 16] = "tenant=";
    memset(longer + 7, 'x', SL_HOME_TENANT_MAX + 1);
    cr_expect_eq(sl_home_tenant(sl_slice_str(longer)).size, 0);
}

Test(home, is_of_tenants_at_level_physical_alone)
{
    static const char *const levels[] = {"physical", "process", "", "physically"};
    for (size_t i = 0; i < SL_COUNT_OF(levels); i++) {
        put(SL_TABLE_HEAD, sl_slice_str(SL_HOME_LEVEL_KEY), sl_slice_str(levels[i]));
        struct sl_txn *t = sl_store_begin(store);
        cr_expect_eq(sl_home_of(t, scope), i == 0 ? scope.id : 0, "%s", levels[i]);
        cr_expect_eq(sl_home_of(t, (struct sl_scope){4}), 0);
        sl_txn_abort(&t);
    }
}

#define WORKER SL_NODE_WORKERS_FIRST

static void
join(struct recorder *head, const char *facts)
{
    struct sl_m_node_join m = {
        .node = WORKER, .room = 8, .name = sl_slice_str("w"), .facts = sl_slice_str(facts)};
    recorder_deliver(head, sl_at(WORKER, SL_ACTOR_AGENT), SL_M_node_join, &m);
}

Test(home, a_worker_with_a_taint_joins_as_one_of_that_tenant)
{
    struct recorder head = {.store = store};
    struct sl_head_options options = {.node_text = "{\"a\":1", .groups = "cpu"};
    recorder_start(&head, &sl_head_class, sl_at(SL_NODE_HEAD, SL_ACTOR_HEAD), &options);
    join(&head, "{\"group\":\"cpu\",\"taint\":\"tenant=acme\"}");
    struct sl_msg *refused = recorder_take(&head, SL_M_node_refused);
    cr_assert_not_null(refused, "there is no such tenant");
    cr_expect_eq(recorder_count(&head, SL_M_node_up), 0);
    sl_msg_destroy(&refused);

    put_tenant("acme", "{\"scope\":3}");
    join(&head, "{\"group\":\"cpu\",\"taint\":\"tenant=acme\"}");
    struct sl_msg *up = recorder_take(&head, SL_M_node_up);
    struct sl_msg *welcome = recorder_take(&head, SL_M_node_welcome);
    cr_assert(up != NULL && welcome != NULL);
    cr_expect_eq(SL_BODY(up, node_up)->taint, 3);
    cr_expect_eq(SL_BODY(welcome, node_welcome)->taint, 3, "gateways hear it of the node");
    sl_msg_destroy(&up);
    sl_msg_destroy(&welcome);
    struct sl_buf text = {0};
    sl_head_status(head.actor, &text);
    cr_expect_not_null(strstr(sl_buf_text(&text), "\"taint\":\"tenant=acme\""));
    sl_buf_deinit(&text);
    recorder_stop(&head);
}
