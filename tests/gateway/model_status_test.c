/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/rows.h"
#include "gateway/model/status.h"
#include "gateway/models.h"
#include "tests/gateway/scene.h"

#define START_MS 5000
#define SPACE    "ns_1"

static struct sl_gateway g;
static char directory[64];

static void
setup(void)
{
    snprintf(directory, sizeof(directory), "/tmp/model-status-test-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    scene_open(&g, directory, START_MS);
}

static void
teardown(void)
{
    scene_close(&g);
    scene_remove(directory);
}

TestSuite(model_status, .init = setup, .fini = teardown);

static struct sl_call *
begin(uint64_t now_ms)
{
    struct sl_call *call = sl_call_create();
    call->gateway = &g;
    call->who.scope = (struct sl_scope){5};
    call->now_ms = now_ms;
    call->txn = sl_store_begin(g.store);
    sl_jsonw_init(&call->out, &call->reply);
    return call;
}

static void
end(struct sl_call *call)
{
    cr_assert_eq(sl_txn_commit(&call->txn), SL_OK);
    sl_call_destroy(&call);
}

static void
put(const char *row)
{
    struct sl_call *call = begin(START_MS);
    struct sl_buf key = {0};
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_MODEL, sl_key(&key, 2, SPACE, "m"),
               sl_slice_str(row));
    sl_buf_deinit(&key);
    end(call);
}

static struct sl_resource
model_of(struct sl_call *call)
{
    struct sl_resource model;
    cr_assert(sl_model_find(call, SPACE, sl_slice_str("m"), &model));
    return model;
}

static void
change(uint64_t now_ms, enum sl_model_state state)
{
    struct sl_call *call = begin(now_ms);
    struct sl_resource model = model_of(call);
    struct sl_model_change c = {.state = state, .reason = "why", .message = "because"};
    sl_model_status_put(call, SPACE, &model, &c);
    end(call);
}

/* The model as clients see it. Static. */
static const char *
shown(void)
{
    static char text[8192];
    struct sl_call *call = begin(START_MS);
    sl_model_write(call, model_of(call).row);
    snprintf(text, sizeof(text), "%s", sl_buf_text(&call->reply));
    sl_txn_abort(&call->txn);
    sl_call_destroy(&call);
    return text;
}

static bool
has(const char *text)
{
    return strstr(shown(), text) != NULL;
}

#define BORN "\"created_at\":\"1970-01-01T00:00:01.000Z\""

Test(model_status, a_row_from_before_there_were_states_has_one)
{
    put("{\"model_id\":\"m\",\"deployed\":true," BORN "}");
    cr_assert(has("\"status\":\"deployed\""), "%s", shown());
    cr_assert(has("\"status_at\":\"1970-01-01T00:00:01.000Z\""), "%s", shown());
    put("{\"model_id\":\"m\",\"deployed\":false," BORN "}");
    cr_assert(has("\"status\":\"pending\""), "%s", shown());
    change(START_MS + 1, SL_MODEL_FAILED);
    cr_assert(has("\"status_history\":[{\"status\":\"pending\",\"at\":\"1970-01-01T00:00:01.000Z\"}"
                  ",{\"status\":\"failed\",\"at\":\"1970-01-01T00:00:05.001Z\","
                  "\"reason\":\"why\",\"message\":\"because\"}]"),
              "%s", shown());
}

Test(model_status, a_failure_is_shown_until_the_next_change)
{
    put("{\"model_id\":\"m\",\"deployed\":false," BORN "}");
    change(START_MS + 1, SL_MODEL_FAILED);
    cr_assert(has("\"deployed\":false,\"deployment_error\":{\"reason\":\"why\",\"message\":"
                  "\"because\",\"at\":\"1970-01-01T00:00:05.001Z\"}"),
              "%s", shown());
    change(START_MS + 2, SL_MODEL_DEPLOYED);
    cr_assert(has("\"deployed\":true,\"deployment_error\":null"), "%s", shown());
    cr_assert(has("\"deployed_at\":\"1970-01-01T00:00:05.002Z\""), "%s", shown());
    change(START_MS + 3, SL_MODEL_EVICTED);
    cr_assert_not(has("deployed_at"), "%s", shown());
    cr_assert(has("\"updated_at\":\"1970-01-01T00:00:05.003Z\""), "%s", shown());
}

Test(model_status, a_deploy_that_a_stop_cut_off_has_failed_at_the_next_start)
{
    put("{\"model_id\":\"m\",\"deployed\":false," BORN "}");
    change(START_MS + 1, SL_MODEL_DEPLOYING);
    cr_assert(has("\"status\":\"deploying\""), "%s", shown());
    g.started_ms = START_MS + 100;
    cr_assert(has("\"status\":\"failed\",\"status_at\":\"1970-01-01T00:00:05.100Z\""), "%s",
              shown());
    cr_assert(has("\"reason\":\"interrupted\""), "%s", shown());
    change(START_MS + 200, SL_MODEL_DEPLOYING); /* The end that was missing is in the history. */
    cr_assert(has("\"status\":\"failed\",\"at\":\"1970-01-01T00:00:05.100Z\""), "%s", shown());
    cr_assert(has("\"status\":\"deploying\",\"status_at\":\"1970-01-01T00:00:05.200Z\""), "%s",
              shown());
}

Test(model_status, only_the_latest_changes_are_kept)
{
    put("{\"model_id\":\"m\",\"deployed\":false," BORN "}");
    for (uint32_t i = 0; i < SL_MODEL_HISTORY_MAX + 4; i++)
        change(START_MS + 1 + i, i % 2 == 0 ? SL_MODEL_DEPLOYED : SL_MODEL_EVICTED);
    uint32_t count = 0;
    for (const char *at = strstr(shown(), "status_history"); (at = strstr(at, "\"at\":")) != NULL;
         at++)
        count++;
    cr_assert_eq(count, SL_MODEL_HISTORY_MAX);
    cr_assert_not(has("00:00:05.004Z"), "%s", shown());
    cr_assert(has("00:00:05.005Z"), "%s", shown());
}
