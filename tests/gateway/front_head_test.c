/* SPDX-License-Identifier: Apache-2.0 */
/* Heads without a connection: libmicrohttpd's list of headers comes from here. */
#include <criterion/criterion.h>
#include <string.h>

#include "gateway/front/state.h"

static const char *const (*sent)[2]; /* Names and values; a name NULL ends them. */
static struct sl_request request;

int
MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                            MHD_KeyValueIteratorN iterator, void *arg)
{
    int count = 0;
    (void)connection;
    for (; sent[count][0] != NULL; count++)
        (void)iterator(arg, kind, sent[count][0], strlen(sent[count][0]), sent[count][1],
                       sent[count][1] == NULL ? 0 : strlen(sent[count][1]));
    return count;
}

const union MHD_ConnectionInfo *
MHD_get_connection_info(struct MHD_Connection *connection, enum MHD_ConnectionInfoType what, ...)
{
    (void)connection, (void)what;
    return NULL;
}

static void
setup(void)
{
    request = (struct sl_request){.call = sl_call_create()};
    request.call->path = sl_slice_str("/");
}

static void
teardown(void)
{
    sl_call_destroy(&request.call);
}

TestSuite(front_head, .init = setup, .fini = teardown);

static bool
is_taken(const char *const headers[][2])
{
    sent = headers;
    sl_head_read(&request);
    sl_head_check(&request, &(struct sl_request_line){"GET", "/", "HTTP/1.1"});
    return !sl_call_has_failed(request.call);
}

static bool
is_value(enum sl_header header, const char *text)
{
    return sl_slice_is(sl_request_header(&request, header), text);
}

Test(front_head, names_are_known_however_they_are_written)
{
    static const char *const headers[][2] = {{"hOST", "a"},
                                             {"AUTHORIZATION", "Bearer x"},
                                             {"x-tenant-id", "t"},
                                             {"X-Other", "o"},
                                             {NULL}};
    cr_assert(is_taken(headers));
    cr_assert(is_value(SL_HEADER_host, "a"));
    cr_assert(is_value(SL_HEADER_authorization, "Bearer x"));
    cr_assert(is_value(SL_HEADER_tenant, "t"));
    cr_assert_null(sl_request_header(&request, SL_HEADER_namespace).data);
    cr_assert_eq(request.head.count, 4);
}

Test(front_head, a_name_that_begins_or_ends_like_another_is_another)
{
    static const char *const headers[][2] = {
        {"Host", "a"}, {"Hos", "b"}, {"Hosts", "c"}, {"X-Host", "d"}, {NULL}};
    cr_assert(is_taken(headers));
    cr_assert(is_value(SL_HEADER_host, "a"));
}

Test(front_head, every_header_is_found_by_its_name)
{
    static const char *const names[] = {
#define HEADER(name, text, often) text,
#include "gateway/header.def"
    };
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        const char *const headers[][2] = {{names[i], "value"}, {NULL}};
        request.head = (struct sl_head){0};
        sent = headers;
        sl_head_read(&request);
        for (size_t k = 0; k < SL_COUNT_OF(names); k++)
            cr_assert_eq(is_value((enum sl_header)k, "value"), k == i, "%s", names[i]);
    }
}

Test(front_head, one_that_says_one_thing_is_refused_when_it_comes_twice)
{
    static const char *const headers[][2] = {
        {"Host", "a"}, {"X-Tenant-Id", "t"}, {"x-tenant-id", "t"}, {NULL}};
    cr_assert_not(is_taken(headers));
    cr_assert_eq(request.call->status, 400);
    cr_assert(request.must_close);
}

Test(front_head, one_that_is_empty_was_sent)
{
    static const char *const headers[][2] = {{"Host", "a"}, {"X-Tenant-Id", NULL}, {NULL}};
    static const char *const twice[][2] = {
        {"Host", "a"}, {"X-Tenant-Id", NULL}, {"X-Tenant-Id", "t"}, {NULL}};
    cr_assert(is_taken(headers));
    cr_assert_not_null(sl_request_header(&request, SL_HEADER_tenant).data);
    request.head = (struct sl_head){0};
    cr_assert_not(is_taken(twice));
}

Test(front_head, of_the_others_the_first_counts)
{
    static const char *const headers[][2] = {
        {"Host", "a"}, {"User-Agent", "first"}, {"User-Agent", "second"}, {NULL}};
    cr_assert(is_taken(headers));
    cr_assert(is_value(SL_HEADER_user_agent, "first"));
}
