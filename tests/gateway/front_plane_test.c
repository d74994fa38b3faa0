/* SPDX-License-Identifier: Apache-2.0 */
/* A front before two heads: which of them a request goes to. There is no connection, and a key is
 * the one header. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/front/plane.h"
#include "gateway/front/state.h"
#include "gateway/presign.h"
#include "object-store/incoming.h"
#include "runtime/hash.h"

#define NOW_MS   1000000u
#define UPLOAD   "/v1/buckets/b/uploads/u/content"
#define BLOB     "/v1/buckets/b/objects/o/blobs/x/content"
#define CATALOGS "/v1/discovery"

static struct sl_front front;
static struct sl_request request;
static struct sl_keyring *rings[2];
static struct sl_incoming *incoming[2];
static char directories[2][64];
static atomic_bool are_up[2];
static char secrets[3][SL_SECRET_SIZE + 1]; /* Of the first plane, of the second, of both. */
static char authorization[64];

static void
put_key(uint32_t plane, const char *secret)
{
    struct sl_identity who = {.scope = {plane + 1}};
    uint8_t digest[SL_SHA256_SIZE];
    (void)snprintf(who.tenant_id, sizeof(who.tenant_id), "tenant-%u", plane);
    sl_sha256(sl_slice_str(secret), digest);
    sl_keyring_put(rings[plane], digest, &who, 0);
}

static void
setup(void)
{
    front = (struct sl_front){.options = {.planes_count = 2}};
    for (uint32_t i = 0; i < 2; i++) {
        rings[i] = sl_keyring_create();
        (void)snprintf(directories[i], sizeof(directories[i]), "/tmp/front-plane-XXXXXX");
        cr_assert_not_null(mkdtemp(directories[i]));
        cr_assert_eq(sl_incoming_open(directories[i], true, &incoming[i]), SL_OK);
        atomic_store(&are_up[i], true);
        front.options.planes[i] = (struct sl_front_plane){
            .keyring = rings[i], .incoming = incoming[i], .is_up = &are_up[i]};
    }
    for (uint32_t i = 0; i < 3; i++)
        sl_secret_mint(secrets[i]);
    put_key(0, secrets[0]);
    put_key(1, secrets[1]);
    put_key(0, secrets[2]);
    put_key(1, secrets[2]);
}

static void
teardown(void)
{
    char path[160];
    sl_call_destroy(&request.call);
    for (uint32_t i = 0; i < 2; i++) {
        sl_keyring_destroy(&rings[i]);
        sl_incoming_close(&incoming[i]);
        (void)snprintf(path, sizeof(path), "%s/.secret", directories[i]);
        (void)unlink(path);
        (void)rmdir(directories[i]);
    }
}

TestSuite(front_plane, .init = setup, .fini = teardown);

/* A request as it comes, with this key; NULL: with none. */
static struct sl_call *
begin(enum sl_method method, const char *path, const char *secret)
{
    sl_call_destroy(&request.call);
    request = (struct sl_request){.front = &front, .call = sl_call_create()};
    request.call->now_ms = NOW_MS;
    cr_assert_eq(
        sl_route_match(method, sl_slice_str(path), &request.call->route, request.call->params),
        SL_OK);
    if (secret != NULL) {
        (void)snprintf(authorization, sizeof(authorization), "Bearer %s", secret);
        request.head.values[SL_HEADER_authorization] = sl_slice_str(authorization);
    }
    return request.call;
}

static enum sl_err
find(const char *secret)
{
    begin(SL_GET, "/v1/namespaces", secret);
    return sl_plane_of_key(&request, NOW_MS);
}

Test(front_plane, a_request_goes_to_the_plane_that_knows_its_key)
{
    cr_assert_eq(find(secrets[0]), SL_OK);
    cr_assert_eq(request.call->plane, 0);
    cr_assert_str_eq(request.call->who.tenant_id, "tenant-0");
    cr_assert_eq(find(secrets[1]), SL_OK);
    cr_assert_eq(request.call->plane, 1);
    cr_assert_str_eq(request.call->who.tenant_id, "tenant-1");
    cr_assert_eq(sl_request_plane(&request), &front.options.planes[1]);
}

Test(front_plane, a_key_of_two_planes_is_the_firsts_and_noted_once)
{
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(find(secrets[2]), SL_OK);
        cr_assert_eq(request.call->plane, 0);
        cr_assert_str_eq(request.call->who.tenant_id, "tenant-0");
        cr_assert_eq(front.twins.count, 1);
    }
    cr_assert_eq(find(secrets[1]), SL_OK);
    cr_assert_eq(front.twins.count, 1);
}

Test(front_plane, no_more_twins_are_noted_than_there_is_room_for)
{
    char secret[SL_SECRET_SIZE + 1];
    for (uint32_t i = 0; i < SL_FRONT_TWINS_MAX + 10; i++) {
        sl_secret_mint(secret);
        put_key(0, secret);
        put_key(1, secret);
        cr_assert_eq(find(secret), SL_OK);
    }
    cr_assert_eq(front.twins.count, SL_FRONT_TWINS_MAX);
}

Test(front_plane, nobody_is_refused_before_all_planes_have_said_their_keys)
{
    char stranger[SL_SECRET_SIZE + 1];
    sl_secret_mint(stranger);
    sl_keyring_await(rings[0]);
    cr_assert_eq(find(stranger), SL_EUNAVAIL);
    cr_assert_eq(find(secrets[1]), SL_OK, "who is known is served");
    cr_assert_eq(request.call->plane, 1);
    cr_assert_eq(find("sk_mistyped"), SL_EDENIED, "that one is nobody's");
    cr_assert_eq(find(NULL), SL_EDENIED);
    cr_assert_eq(sl_keyring_apply(rings[0], sl_slice_str(""), true), SL_OK);
    cr_assert_eq(find(stranger), SL_EDENIED);
    sl_keyring_await(rings[1]);
    cr_assert_eq(find(stranger), SL_EUNAVAIL);
}

Test(front_plane, a_plane_that_hangs_has_half_of_the_connections_at_most)
{
    front.slots_count = 10;
    front.waiting[0] = 4;
    cr_assert_eq(find(secrets[0]), SL_OK);
    sl_plane_admit(&request);
    cr_assert_not(sl_call_has_failed(request.call));
    front.waiting[0] = 5;
    sl_plane_admit(&request);
    cr_assert(sl_call_has_failed(request.call));
    cr_assert_eq(request.call->status, 503);
    cr_assert_eq(find(secrets[1]), SL_OK);
    sl_plane_admit(&request);
    cr_assert_not(sl_call_has_failed(request.call), "the other has room");
    front.options.planes_count = 1;
    cr_assert_eq(find(secrets[0]), SL_OK);
    sl_plane_admit(&request);
    cr_assert_not(sl_call_has_failed(request.call), "nobody else needs it");
}

/* The query of an address, as it would be sent. */
static void
read_query(struct sl_call *call, const char *address)
{
    const char *at = strchr(address, '?');
    cr_assert_not_null(at);
    for (at++; call->query_count < SL_CALL_QUERY_MAX;) {
        const char *equals = strchr(at, '='), *end = strchrnul(at, '&');
        call->query[call->query_count++] =
            (struct sl_pair){.name = sl_slice(at, (size_t)(equals - at)),
                             .value = sl_slice(equals + 1, (size_t)(end - equals - 1))};
        if (*end == '\0')
            return;
        at = end + 1;
    }
}

Test(front_plane, a_signed_address_goes_to_who_has_signed_it)
{
    struct sl_presigned written = {
        .bucket = "b", .upload = "u", .scope = 3, .expires_s = NOW_MS, .size_bytes_max = 10};
    struct sl_presigned_read read = {
        .bucket = "b", .object = "o", .blob = "x", .scope = 3, .expires_s = NOW_MS};
    for (uint32_t i = 0; i < 2; i++) {
        struct sl_call *call = begin(SL_PUT, UPLOAD, NULL);
        read_query(call, sl_presign(call, sl_incoming_secret(incoming[i]), &written));
        sl_plane_of_address(&request);
        cr_assert_eq(call->plane, i);
        call = begin(SL_GET, BLOB, NULL);
        read_query(call, sl_presign_read(call, sl_incoming_secret(incoming[i]), &read));
        sl_plane_of_address(&request);
        cr_assert_eq(call->plane, i);
    }
}

Test(front_plane, what_needs_no_key_goes_to_the_first_that_is_up)
{
    struct sl_call *call = begin(SL_GET, CATALOGS, NULL);
    sl_plane_of_address(&request);
    cr_assert_eq(call->plane, 0);
    atomic_store(&are_up[0], false);
    sl_plane_of_address(&request);
    cr_assert_eq(call->plane, 1);
    atomic_store(&are_up[1], false);
    call = begin(SL_GET, CATALOGS, NULL);
    sl_plane_of_address(&request);
    cr_assert_eq(call->plane, 0, "somebody has to say that nobody is there");
    call = begin(SL_GET, CATALOGS, secrets[1]);
    sl_plane_of_address(&request);
    cr_assert_eq(call->plane, 1, "who sends a key is asked what that plane has");
    cr_assert_eq(call->who.scope.id, 0, "and is nobody there");
}
