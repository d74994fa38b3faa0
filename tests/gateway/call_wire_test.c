/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "gateway/call_wire.h"
#include "gateway/route.h"
#include "runtime/alloc.h"

static struct sl_call *call, *copy;
static struct sl_buf wire;

static void
setup(void)
{
    call = sl_call_create();
    (void)snprintf(call->request_id, sizeof(call->request_id), "req_1");
    call->who.scope.id = 7;
    call->who.permissions = 3;
    call->who.has_scopes = true;
    memset(call->who.digest, 0xa5, sizeof(call->who.digest));
    (void)snprintf(call->who.tenant_id, sizeof(call->who.tenant_id), "acme");
    (void)snprintf(call->who.account_type, sizeof(call->who.account_type), "team");
}

static void
teardown(void)
{
    sl_call_destroy(&call);
    sl_call_destroy(&copy);
    sl_buf_deinit(&wire);
}

TestSuite(call_wire, .init = setup, .fini = teardown);

static void
route(enum sl_method method, const char *path)
{
    call->path = sl_slice_str(path);
    cr_assert_eq(sl_route_match(method, call->path, &call->route, call->params), SL_OK);
}

static void
write_and_read(void)
{
    sl_call_request_write(call, &wire);
    cr_assert_eq(sl_call_request_read(sl_buf_slice(&wire), &copy), SL_OK);
}

static bool
is_same(struct sl_slice a, struct sl_slice b)
{
    return sl_slice_equal(a, b);
}

static void
json_call(void)
{
    route(SL_POST, "/v1/buckets/items/objects");
    sl_buf_append_str(&call->body_buf, "{\"a\": [1, 2]}");
    call->query[call->query_count++] = (struct sl_pair){sl_slice_str("q"), sl_slice("a\0b", 3)};
    call->namespace_header = sl_slice_str("shop");
    call->idempotency_key = sl_slice_str("put-17");
    call->site = sl_slice_str("localhost:1");
    call->sent.trace_state = sl_slice_str("a=1");
    call->sent.trace =
        (struct sl_trace_context){.trace = {1}, .span = {2}, .parent = {3}, .flags = 1};
}

Test(call_wire, a_request_comes_back_as_it_was)
{
    json_call();
    write_and_read();
    cr_assert_eq(copy->route, call->route);
    cr_assert_eq(memcmp(&copy->who, &call->who, sizeof(call->who)), 0);
    cr_assert_str_eq(copy->request_id, "req_1");
    cr_assert(is_same(copy->path, call->path));
    cr_assert(sl_slice_is(copy->params[0], "items"));
    cr_assert_eq(copy->query_count, 1);
    cr_assert(is_same(copy->query[0].value, sl_slice("a\0b", 3)));
    cr_assert(sl_slice_is(copy->namespace_header, "shop"));
    cr_assert(sl_slice_is(copy->idempotency_key, "put-17"));
    cr_assert(sl_slice_is(copy->site, "localhost:1"));
    cr_assert(sl_slice_is(copy->sent.trace_state, "a=1"));
    cr_assert_eq(memcmp(&copy->sent.trace, &call->sent.trace, sizeof(copy->sent.trace)), 0);
    cr_assert_eq(copy->user_agent.size, 0);
    cr_assert(sl_slice_is(copy->body_text, "{\"a\": [1, 2]}"));
    cr_assert_eq(sl_json_count(sl_json_member(copy->body, "a")), 2);
    cr_assert_eq(copy->upload.fd, -1);
}

Test(call_wire, an_empty_body_reads_as_an_object)
{
    route(SL_POST, "/v1/buckets/items/objects");
    write_and_read();
    cr_assert_eq(sl_json_kind(copy->body), SL_JSON_OBJECT);
    cr_assert_eq(copy->body_text.size, 0);
}

static void
form_call(void)
{
    route(SL_POST, "/v1/namespaces/shop/models");
    cr_assert_eq(call->route->body, SL_BODY_MULTIPART);
    call->form[call->form_count++] = (struct sl_pair){sl_slice_str("name"), sl_slice_str("bert")};
    memset(call->upload.blob, 'a', 64);
    memset(call->upload.name, '1', 32);
    call->upload.size_bytes = UINT64_C(1) << 40;
    call->upload.filename = sl_slice_str("m.tar.gz");
    sl_route_form_body(call);
}

Test(call_wire, a_form_comes_back_with_its_fields_and_the_name_of_its_file)
{
    form_call();
    write_and_read();
    cr_assert_str_eq(copy->upload.blob, call->upload.blob);
    cr_assert_str_eq(copy->upload.name, call->upload.name);
    cr_assert_eq(copy->upload.size_bytes, UINT64_C(1) << 40);
    cr_assert(sl_slice_is(copy->upload.filename, "m.tar.gz"));
    cr_assert(sl_slice_is(sl_call_form(copy, "name"), "bert"));
    cr_assert(sl_json_is(sl_json_member(copy->body, "name"), "bert"));
    cr_assert(is_same(copy->body_text, call->body_text));
}

/* Each cut of it, and it with a byte behind it. */
static void
assert_no_part_is_read(void)
{
    sl_call_request_write(call, &wire);
    for (size_t size = 0; size < wire.size; size++)
        cr_assert_neq(sl_call_request_read(sl_slice(wire.data, size), &copy), SL_OK, "%zu", size);
    sl_buf_append_u8(&wire, 0);
    cr_assert_neq(sl_call_request_read(sl_buf_slice(&wire), &copy), SL_OK);
}

Test(call_wire, a_request_that_is_cut_is_refused)
{
    json_call();
    assert_no_part_is_read();
}

Test(call_wire, a_form_that_is_cut_is_refused)
{
    form_call();
    assert_no_part_is_read();
}

/* Whatever a flipped bit gives is refused, or is a call that goes round again. */
Test(call_wire, a_request_with_a_wrong_bit_is_refused_or_another_request)
{
    uint32_t refused = 0;
    form_call();
    sl_call_request_write(call, &wire);
    for (size_t bit = 0; bit < wire.size * 8; bit++) {
        struct sl_call *other = NULL;
        struct sl_buf again = {0};
        wire.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (sl_call_request_read(sl_buf_slice(&wire), &other) == SL_OK) {
            sl_call_request_write(other, &again);
            cr_assert(is_same(sl_buf_slice(&again), sl_buf_slice(&wire)), "bit %zu", bit);
        } else {
            refused++;
        }
        wire.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        sl_call_destroy(&other);
        sl_buf_deinit(&again);
    }
    cr_assert_gt(refused, 0);
}

Test(call_wire, counts_are_checked_before_they_are_believed)
{
    json_call();
    call->query_count = 0;
    sl_call_request_write(call, &wire);
    size_t at = 0; /* Where the count of the query's pairs is: before those of the form. */
    struct sl_buf with = {0};
    call->query_count = 1;
    sl_call_request_write(call, &with);
    while (wire.data[at] == with.data[at])
        at++;
    for (uint32_t count = SL_CALL_QUERY_MAX + 1; count != 0; count *= 2) {
        memcpy(wire.data + at, &count, sizeof(count));
        cr_assert_neq(sl_call_request_read(sl_buf_slice(&wire), &copy), SL_OK);
    }
    sl_buf_deinit(&with);
}

Test(call_wire, a_route_that_is_not_there_is_told_apart)
{
    json_call();
    sl_call_request_write(call, &wire);
    char *at = memmem(wire.data, wire.size, "/v1/buckets/{", 13);
    cr_assert_not_null(at);
    at[4] = 'B';
    cr_assert_eq(sl_call_request_read(sl_buf_slice(&wire), &copy), SL_ENOTFOUND);
}

Test(call_wire, a_name_that_leads_elsewhere_is_refused)
{
    form_call();
    (void)snprintf(call->upload.name, sizeof(call->upload.name), "../../etc/passwd");
    sl_call_request_write(call, &wire);
    cr_assert_eq(sl_call_request_read(sl_buf_slice(&wire), &copy), SL_ECORRUPT);
}

/* ---- replies ------------------------------------------------------------------------------- */

Test(call_wire, a_reply_comes_back_as_it_was)
{
    copy = sl_call_create();
    call->status = 202;
    call->reply_type = "text/event-stream";
    sl_call_header(call, "Cache-Control", "no-cache");
    sl_buf_append_str(&call->reply, "data: {}\n\n");
    sl_call_reply_write(call, &wire);
    cr_assert_eq(sl_call_reply_read(sl_buf_slice(&wire), copy), SL_OK);
    cr_assert_eq(copy->status, 202);
    cr_assert_str_eq(copy->reply_type, "text/event-stream");
    cr_assert_eq(copy->headers_count, 1);
    cr_assert_str_eq((const char *)copy->headers[0].name.data, "Cache-Control");
    cr_assert_str_eq((const char *)copy->headers[0].value.data, "no-cache");
    cr_assert(is_same(sl_buf_slice(&copy->reply), sl_buf_slice(&call->reply)));
    cr_assert_str_eq(copy->reply_blob, "");
}

Test(call_wire, a_reply_names_the_blob_that_it_is)
{
    copy = sl_call_create();
    call->reply_fd = dup(0);
    call->reply_file_size = 12345678901;
    memset(call->reply_blob, 'b', 64);
    sl_call_reply_write(call, &wire);
    cr_assert_eq(sl_call_reply_read(sl_buf_slice(&wire), copy), SL_OK);
    cr_assert_str_eq(copy->reply_blob, call->reply_blob);
    cr_assert_eq(copy->reply_file_size, 12345678901);
    cr_assert_eq(copy->reply_fd, -1, "whoever reads it opens the blob");
}

Test(call_wire, a_reply_that_is_cut_leaves_the_call_as_it_was)
{
    copy = sl_call_create();
    call->status = 503;
    sl_call_header(call, "Retry-After", "1");
    sl_buf_append_str(&call->reply, "{}");
    sl_call_reply_write(call, &wire);
    for (size_t size = 0; size < wire.size; size++) {
        cr_assert_eq(sl_call_reply_read(sl_slice(wire.data, size), copy), SL_ECORRUPT);
        cr_assert_eq(copy->status, 200);
        cr_assert_eq(copy->headers_count, 0);
    }
}

Test(call_wire, a_type_that_would_end_a_header_is_not_passed_on)
{
    copy = sl_call_create();
    call->reply_type = "text/plain\r\nSet-Cookie: a=b";
    sl_call_reply_write(call, &wire);
    cr_assert_eq(sl_call_reply_read(sl_buf_slice(&wire), copy), SL_OK);
    cr_assert_str_eq(copy->reply_type, "application/octet-stream");
}

/* Seeds of another version teach a fuzzer nothing. */
static void
read_seed(const char *name)
{
    char *path = sl_format(SL_SOURCE_DIR "/tests/gateway/corpus/call_wire/%s", name);
    uint8_t seed[1024];
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    size_t size = fread(seed, 1, sizeof(seed), file);
    (void)fclose(file);
    sl_free(path);
    cr_assert_gt(size, 1);
    cr_expect_eq(sl_call_request_read(sl_slice(seed + 1, size - 1), &copy), SL_OK, "%s", name);
    sl_call_destroy(&copy);
}

Test(call_wire, reads_the_seeds_of_its_fuzz_target)
{
    read_seed("json");
    read_seed("form");
}
