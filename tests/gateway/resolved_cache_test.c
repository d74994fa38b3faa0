/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/resolved_cache.h"
#include "gateway/route.h"

static struct sl_resolved_cache *cache;
static struct sl_call *call;
static uint8_t key[SL_SHA256_SIZE];

static void
setup(void)
{
    cache = sl_resolved_cache_create();
}

static void
teardown(void)
{
    sl_resolved_cache_destroy(&cache);
    sl_call_destroy(&call);
}

TestSuite(resolved_cache, .init = setup, .fini = teardown);

/* The key of a call with this body; false: its kind cannot be known. */
static bool
key_of(const char *path, const char *body, uint64_t scope)
{
    sl_call_destroy(&call);
    call = sl_call_create();
    call->who.scope.id = scope;
    cr_assert_eq(sl_route_match(SL_POST, sl_slice_str(path), &call->route, call->params), SL_OK);
    cr_assert_eq(sl_json_parse(sl_slice_str(body), &call->body_doc, NULL), SL_OK);
    call->body = sl_json_root(call->body_doc);
    return sl_resolved_key(call, key);
}

static void
put(uint8_t first, uint8_t second, uint64_t scope, const char *text)
{
    uint8_t k[SL_SHA256_SIZE] = {first, second};
    struct sl_resolved what = {.extraction = sl_slice_str(text), .model = sl_slice_str("m")};
    sl_resolved_put(cache, k, (struct sl_scope){scope}, &what);
}

static bool
has(uint8_t first, uint8_t second, const char *text, bool is_doubted_fine)
{
    uint8_t k[SL_SHA256_SIZE] = {first, second};
    struct sl_resolved what;
    return sl_resolved_get(cache, k, is_doubted_fine, &what) &&
           sl_slice_is(what.extraction, text) && sl_slice_is(what.model, "m");
}

#define BODY "{\"inference_name\":\"a\",\"inputs\":{\"text\":\"x\"}}"

Test(resolved_cache, the_key_is_of_what_the_head_looks_at)
{
    uint8_t first[SL_SHA256_SIZE];
    cr_assert(key_of("/v1/inference", BODY, 1));
    memcpy(first, key, sizeof(key));
    cr_assert(key_of("/v1/inference", "{\"inputs\":{\"text\":\"y\"},\"inference_name\":\"a\"}", 1));
    cr_assert_arr_eq(key, first, sizeof(key), "other texts are of the same kind");
    cr_assert(key_of("/v1/inference", BODY, 2));
    cr_assert_arr_neq(key, first, sizeof(key), "another scope is another kind");
    cr_assert(key_of("/v1/inference", "{\"inference_name\":\"b\"}", 1));
    cr_assert_arr_neq(key, first, sizeof(key));
    cr_assert(key_of("/v1/inference", "{\"model\":\"a\"}", 1));
    cr_assert_arr_neq(key, first, sizeof(key));
    cr_assert(key_of("/v1/embeddings", "{\"inference_name\":\"a\"}", 1));
    cr_assert_arr_neq(key, first, sizeof(key));
    cr_assert_not(key_of("/v1/buckets", BODY, 1), "no such route resolves");
}

Test(resolved_cache, headers_and_scoped_keys_are_kinds_of_their_own)
{
    uint8_t first[SL_SHA256_SIZE];
    cr_assert(key_of("/v1/inference", BODY, 1));
    memcpy(first, key, sizeof(key));
    call->namespace_header = sl_slice_str("shop");
    cr_assert(sl_resolved_key(call, key));
    cr_assert_arr_neq(key, first, sizeof(key));
    call->namespace_header = sl_slice_str("");
    call->who.digest[0] = 7;
    cr_assert(sl_resolved_key(call, key));
    cr_assert_arr_eq(key, first, sizeof(key), "keys without scopes may all the same");
    call->who.has_scopes = true;
    cr_assert(sl_resolved_key(call, key));
    cr_assert_arr_neq(key, first, sizeof(key));
    call->idempotency_key = sl_slice_str("once");
    cr_assert_not(sl_resolved_key(call, key), "the head keeps its reply");
}

Test(resolved_cache, what_was_put_is_there_until_it_is_forgotten)
{
    put(1, 1, 5, "one");
    put(2, 1, 6, "two");
    cr_assert(has(1, 1, "one", false) && has(2, 1, "two", false));
    cr_assert_not(has(1, 2, "one", true));
    put(1, 1, 5, "other");
    cr_assert(has(1, 1, "other", false));
    uint8_t k[SL_SHA256_SIZE] = {1, 1};
    sl_resolved_forget(cache, k);
    sl_resolved_forget(cache, k);
    cr_assert_not(has(1, 1, "other", true));
    cr_assert(has(2, 1, "two", false));
}

Test(resolved_cache, what_is_doubted_is_for_when_nobody_can_be_asked)
{
    put(1, 1, 5, "one");
    put(2, 1, 6, "two");
    sl_resolved_doubt(cache, (struct sl_scope){5});
    cr_assert(has(2, 1, "two", false), "of another scope");
    sl_resolved_doubt(cache, (struct sl_scope){0});
    cr_assert_not(has(2, 1, "two", false));
    cr_assert_not(has(1, 1, "one", false));
    cr_assert(has(1, 1, "one", true));
    put(1, 1, 5, "one");
    cr_assert(has(1, 1, "one", false), "said anew it is as good as new");
}

/* The kind `number` of a scope, all in few buckets. */
static void
key_number(uint64_t scope, uint64_t number, uint8_t ret_key[static SL_SHA256_SIZE])
{
    memset(ret_key, 0, SL_SHA256_SIZE);
    ret_key[0] = (uint8_t)(number % 3);
    memcpy(ret_key + 8, &scope, sizeof(scope));
    memcpy(ret_key + 16, &number, sizeof(number));
}

static void
put_number(uint64_t scope, uint64_t number)
{
    uint8_t k[SL_SHA256_SIZE];
    struct sl_resolved what = {.extraction = sl_slice_str("x"), .model = sl_slice_str("m")};
    key_number(scope, number, k);
    sl_resolved_put(cache, k, (struct sl_scope){scope}, &what);
}

static bool
has_number(uint64_t scope, uint64_t number)
{
    uint8_t k[SL_SHA256_SIZE];
    struct sl_resolved what;
    key_number(scope, number, k);
    return sl_resolved_get(cache, k, false, &what);
}

Test(resolved_cache, a_scope_that_asks_for_ever_new_kinds_pushes_out_its_own)
{
    put_number(1, 7);
    for (uint64_t i = 0; i < 3 * SL_RESOLVED_MAX; i++) {
        put_number(2, i);
        if (i == SL_RESOLVED_SCOPE_MAX - 1)
            cr_assert(has_number(2, 0), "which is so used after all its others");
    }
    cr_assert(has_number(1, 7));
    uint32_t count = 0;
    for (uint64_t i = 0; i < 3 * SL_RESOLVED_MAX; i++)
        count += has_number(2, i);
    cr_assert_eq(count, SL_RESOLVED_SCOPE_MAX);
    cr_assert(has_number(2, 3 * SL_RESOLVED_MAX - 1));
}

Test(resolved_cache, what_was_used_longest_ago_makes_room)
{
    uint64_t scopes = SL_RESOLVED_MAX / SL_RESOLVED_SCOPE_MAX;
    for (uint64_t i = 0; i < SL_RESOLVED_MAX; i++)
        put_number(i % scopes + 1, i / scopes);
    cr_assert(has_number(1, 0));
    put_number(99, 0);
    cr_assert(has_number(1, 0) && has_number(99, 0));
    cr_assert_not(has_number(2, 0), "that was the one");
    cr_assert(has_number(3, 0));
    for (uint64_t i = 0; i < SL_RESOLVED_SCOPE_MAX; i++) {
        uint8_t k[SL_SHA256_SIZE];
        key_number(3, i, k);
        sl_resolved_forget(cache, k);
    }
    for (uint64_t i = 0; i < SL_RESOLVED_SCOPE_MAX; i++) {
        cr_assert_not(has_number(3, i));
        cr_assert(has_number(4, i));
    }
}

Test(resolved_cache, what_names_its_kind_at_length_is_the_heads)
{
    char body[6000];
    (void)snprintf(body, sizeof(body), "{\"model\":\"a\",\"provider\":\"%05000d\"}", 7);
    cr_assert_not(key_of("/v1/inference", body, 1));
    cr_assert(key_of("/v1/inference", "{\"model\":\"a\",\"provider\":\"7\"}", 1));
}

Test(resolved_cache, nothing_is_no_answer)
{
    put(1, 1, 5, "");
    cr_assert_not(has(1, 1, "", true));
}
