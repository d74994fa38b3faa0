/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/call.h"
#include "gateway/route.h"

static struct sl_call *call;

static void
setup(void)
{
    call = sl_call_create();
    snprintf(call->request_id, sizeof(call->request_id), "req_1");
}

static void
teardown(void)
{
    sl_call_destroy(&call);
    cr_assert_null(call);
}

static bool
reply_is(const char *text)
{
    return strcmp(sl_buf_text(&call->reply), text) == 0;
}

TestSuite(call, .init = setup, .fini = teardown);

Test(call, a_failure_is_the_envelope_of_the_api)
{
    sl_jsonw_object(&call->out); /* What was begun is dropped. */
    sl_call_not_found(call, "namespace", sl_slice_str("ns_\"1"));
    cr_assert_eq(call->status, 404);
    cr_assert(sl_call_has_failed(call));
    cr_assert(
        reply_is("{\"success\":false,\"status\":404,\"error\":{\"message\":"
                 "\"namespace ns_\\\"1 does not exist\",\"type\":\"NotFoundError\",\"details\":"
                 "{\"resource\":\"namespace\",\"id\":\"ns_\\\"1\",\"request_id\":\"req_1\"}}}"));
}

Test(call, an_invalid_body_lists_every_place)
{
    sl_call_invalid(call, "body.stages.0.config", "missing", "Field required");
    sl_call_invalid(call, "body.n", "int_type", "should be %s", "an integer");
    cr_assert_eq(call->status, 422);
    cr_assert_not_null(strstr(sl_buf_text(&call->reply),
                              "\"detail\":[{\"loc\":[\"body\",\"stages\",0,\"config\"],"
                              "\"msg\":\"Field required\",\"type\":\"missing\"},"
                              "{\"loc\":[\"body\",\"n\"],\"msg\":\"should be an integer\","
                              "\"type\":\"int_type\"}]}"));
}

Test(call, a_422_by_fail_has_a_detail_too)
{
    sl_call_fail(call, SL_API_INVALID, "no");
    cr_assert_not_null(strstr(sl_buf_text(&call->reply), "\"detail\":[{\"loc\":[\"body\"]"));
}

Test(call, no_more_than_32_places_are_listed)
{
    for (int i = 0; i < 100; i++)
        sl_call_invalid(call, "body.x", "t", "%d", i);
    uint32_t count = 0;
    for (const char *at = sl_buf_text(&call->reply); (at = strstr(at, "\"loc\"")) != NULL; at++)
        count++;
    cr_assert_eq(count, 32);
}

Test(call, reset_forgets_a_failure)
{
    sl_call_fail(call, SL_API_CONFLICT, "no");
    sl_call_reset(call);
    cr_assert_not(sl_call_has_failed(call));
    cr_assert_eq(call->status, 200);
    sl_jsonw_object(&call->out);
    sl_jsonw_end(&call->out);
    cr_assert(reply_is("{}"));
}

Test(call, arena_memory_is_zeroed_aligned_and_apart)
{
    uint8_t *last = NULL;
    for (size_t size = 0; size < 40000; size = size * 2 + 1) {
        uint8_t *memory = sl_call_alloc(call, size);
        cr_assert_eq((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(memory[i], 0);
        memset(memory, 0xff, size);
        cr_assert_neq(memory, last);
        last = memory;
    }
    cr_assert_str_eq(sl_call_format(call, "%s-%d", "a", 7), "a-7");
}

Test(call, what_a_wait_brought_becomes_its_status)
{
    call->wait.error = SL_EFULL;
    sl_call_fail_wait(call);
    cr_assert_eq(call->status, 503);
    call->wait = (struct sl_wait){.error = SL_EINVAL, .message = "not a model"};
    sl_call_fail_wait(call);
    cr_assert_eq(call->status, 422);
    cr_assert_not_null(strstr(sl_buf_text(&call->reply), "not a model"));
    call->wait = (struct sl_wait){.error = SL_EIO, .message = "/secret/path"};
    sl_call_fail_wait(call);
    cr_assert_eq(call->status, 500);
    cr_assert_null(strstr(sl_buf_text(&call->reply), "secret"));
}

Test(call, query_booleans_are_read_as_clients_write_them)
{
    call->query[0] = (struct sl_pair){sl_slice_str("a"), sl_slice_str("True")};
    call->query[1] = (struct sl_pair){sl_slice_str("b"), sl_slice_str("0")};
    call->query[2] = (struct sl_pair){sl_slice_str("c"), sl_slice_str("maybe")};
    call->query_count = 3;
    cr_assert(sl_call_query_bool(call, "a", false));
    cr_assert_not(sl_call_query_bool(call, "b", true));
    cr_assert(sl_call_query_bool(call, "c", true));
    cr_assert(sl_call_query_bool(call, "d", true));
    cr_assert_null(sl_call_query(call, "d").data);
}
