/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sweep.h"

#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/rows.h"
#include "object-store/blob.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

static struct harness h;

static void
setup(void)
{
    harness_init(&h);
    harness_tenant(&h, "acme", "starter");
    harness_namespace(&h, "shop");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", "{\"name\":\"items\"}"), 200);
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(sweep, .init = setup, .fini = teardown);

static bool
has_blob(const char *id)
{
    uint64_t size;
    return sl_blob_size(h.gateway.blobs, id, &size) == SL_OK;
}

static void
put_blob(const char *text, char ret_id[static SL_BLOB_ID_SIZE])
{
    struct sl_blob blob;
    cr_assert_eq(sl_blob_put(h.gateway.blobs, sl_slice_str(text), &blob), SL_OK);
    memcpy(ret_id, blob.id, SL_BLOB_ID_SIZE);
}

/* An object whose row names the blob; what else is in the row is nothing to the sweep. */
static void
put_source(const char *name, const char *blob)
{
    struct sl_buf key = {0};
    char *row = sl_format("\x01{\"blob\":\"%s\"}", blob);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, h.who.scope, SL_TABLE_SOURCE, sl_key(&key, 2, "bkt_1", name),
               sl_slice_str(row));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
    sl_free(row);
}

Test(sweep, keeps_the_blobs_that_objects_name_and_no_others)
{
    char named[SL_BLOB_ID_SIZE], orphan[SL_BLOB_ID_SIZE];
    put_blob("kept", named);
    put_blob("lost", orphan);
    put_source("obj_1", named);
    struct sl_sweep swept = sl_gateway_sweep(&h.gateway, 10);
    cr_assert_eq(swept.blobs, 1);
    cr_assert_not(swept.are_blobs_skipped);
    cr_assert(has_blob(named));
    cr_assert_not(has_blob(orphan));
    cr_assert_eq(sl_gateway_sweep(&h.gateway, 10).blobs, 0);
}

Test(sweep, touches_no_blob_when_there_are_too_many_objects_to_read)
{
    char named[SL_BLOB_ID_SIZE], orphan[SL_BLOB_ID_SIZE];
    put_blob("kept", named);
    put_blob("lost", orphan);
    put_source("obj_1", named);
    put_source("obj_2", named);
    struct sl_sweep swept = sl_gateway_sweep(&h.gateway, 1);
    cr_assert(swept.are_blobs_skipped);
    cr_assert_eq(swept.blobs, 0);
    cr_assert(has_blob(orphan));
}

Test(sweep, keeps_a_value_that_came_through_the_api_until_its_object_is_deleted)
{
    struct sl_buf body = {0};
    sl_buf_append_str(&body, "{\"blobs\":[{\"property\":\"content\",\"type\":\"text\",\"data\":\"");
    for (int i = 0; i < 300000; i++)
        sl_buf_append_str(&body, "x");
    sl_buf_append_str(&body, "\"}]}");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/items/objects", sl_buf_text(&body)), 200,
                 "%s", h.text);
    char *id = harness_text(&h, "object_id");
    sl_buf_deinit(&body);
    cr_assert_eq(sl_gateway_sweep(&h.gateway, 10).blobs, 0);
    char *path = sl_format("/v1/buckets/items/objects/%s", id);
    cr_assert_eq(harness_call(&h, "DELETE", path, NULL), 204);
    cr_assert_eq(sl_gateway_sweep(&h.gateway, 10).blobs, 1);
    sl_free(path);
    sl_free(id);
}

static char *
make_model(const char *scope, const char *namespace_id, const char *model)
{
    const char *const parts[] = {"models", scope, namespace_id, model};
    char *path = sl_strdup(h.directory);
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++) {
        char *below = sl_format("%s/%s", path, parts[i]);
        sl_free(path);
        path = below;
        (void)mkdir(path, 0700);
    }
    return path;
}

Test(sweep, removes_unfinished_uploads_and_models_without_a_row)
{
    struct sl_buf key = {0};
    char *scope = sl_format("%llu", (unsigned long long)h.who.scope.id);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, h.who.scope, SL_TABLE_MODEL, sl_key(&key, 2, "ns_1", "kept_1_0_0"),
               sl_slice_str("{}"));
    sl_txn_put(txn, h.who.scope, SL_TABLE_MODEL, sl_key(&key, 2, "ns_1", "new_1"),
               sl_slice_str("{\"directory\":\"models/1/ns_1/new_1.aa\"}"));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
    char *paths[] = {
        make_model(scope, "ns_1", "kept_1_0_0"), make_model(scope, "ns_1", "lost_1"),
        make_model("tmp", "00ff", "x"),          make_model("strange", "ns_1", "kept"),
        make_model(scope, "ns_1", "new_1.aa"),   make_model(scope, "ns_1", "new_1.bb")};
    struct sl_sweep swept = sl_gateway_sweep(&h.gateway, 10);
    cr_assert_eq(swept.models, 2);
    cr_assert_eq(access(paths[4], F_OK), 0);
    cr_assert_neq(access(paths[5], F_OK), 0);
    cr_assert_eq(swept.unpacked, 1);
    cr_assert_eq(access(paths[0], F_OK), 0);
    cr_assert_neq(access(paths[1], F_OK), 0);
    cr_assert_neq(access(paths[2], F_OK), 0);
    cr_assert_eq(access(paths[3], F_OK), 0);
    for (size_t i = 0; i < SL_COUNT_OF(paths); i++)
        sl_free(paths[i]);
    sl_free(scope);
}

Test(sweep, a_deleted_model_is_forgotten_by_the_nodes)
{
    struct sl_buf key = {0};
    char *path = sl_format("/v1/namespaces/%s/models/mine_1", h.namespace_id);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, h.who.scope, SL_TABLE_MODEL, sl_key(&key, 2, h.namespace_id, "mine_1"),
               sl_slice_str("{\"directory\":\"models/9/ns/mine_1\"}"));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_buf_deinit(&key);
    cr_assert_eq(harness_call(&h, "DELETE", path, NULL), 200, "%s", h.text);
    cr_assert_str_eq(scene_dropped, "models/9/ns/mine_1");
    sl_free(path);
}
