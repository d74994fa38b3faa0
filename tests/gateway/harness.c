/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/harness.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/route.h"
#include "gateway/runner.h"
#include "queue/look.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

uint32_t harness_turns;

static void
close_all(struct harness *h)
{
    scene_close(&h->gateway);
    sl_json_destroy(&h->doc);
    sl_free(h->text);
    h->text = NULL;
}

static void
become_operator(struct harness *h)
{
    char secret[SL_SECRET_SIZE + 1];
    scene_operator_key(h->directory, secret);
    cr_assert_eq(sl_keyring_check(h->gateway.keyring, sl_slice_str(secret), h->now_ms, &h->who),
                 SL_OK);
}

void
harness_init(struct harness *h)
{
    *h = (struct harness){.now_ms = UINT64_C(1767000000000)};
    snprintf(h->directory, sizeof(h->directory), "/tmp/gateway-test-XXXXXX");
    cr_assert_not_null(mkdtemp(h->directory));
    scene_open(&h->gateway, h->directory, h->now_ms);
    become_operator(h);
}

void
harness_reopen(struct harness *h)
{
    close_all(h);
    scene_open(&h->gateway, h->directory, h->now_ms);
}

void
harness_deinit(struct harness *h)
{
    close_all(h);
    scene_remove(h->directory);
}

static struct sl_slice
decoded(struct sl_call *call, struct sl_slice text)
{
    uint8_t *out = sl_call_alloc(call, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned byte = text.data[i];
        if (byte == '%' && i + 2 < text.size + 0 &&
            sscanf((const char *)text.data + i + 1, "%2x", &byte) == 1)
            i += 2;
        out[size++] = (uint8_t)byte;
    }
    return sl_slice(out, size);
}

static void
read_query(struct sl_call *call, char *query)
{
    char *rest = NULL;
    for (char *pair = strtok_r(query, "&", &rest); pair != NULL;
         pair = strtok_r(NULL, "&", &rest)) {
        char *equals = strchr(pair, '=');
        cr_assert_not_null(equals);
        *equals = '\0';
        call->query[call->query_count++] = (struct sl_pair){
            .name = sl_slice_str(pair), .value = decoded(call, sl_slice_str(equals + 1))};
    }
}

static enum sl_method
method_of(const char *name)
{
    for (int m = 0; m < SL_METHOD_COUNT; m++) {
        if (strcmp(sl_method_name((enum sl_method)m), name) == 0)
            return (enum sl_method)m;
    }
    cr_assert_fail("no method %s", name);
    return SL_GET;
}

int
harness_call(struct harness *h, const char *method, const char *target, const char *body)
{
    struct sl_call *call = sl_call_create();
    char *path = (char *)sl_call_copy(call, sl_slice_str(target)).data;
    char *query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    cr_assert_eq(sl_route_match(method_of(method), sl_slice_str(path), &call->route, call->params),
                 SL_OK, "%s %s", method, path);
    for (int i = 0; i < SL_CALL_PARAMS_MAX; i++)
        call->params[i] = decoded(call, call->params[i]);
    if (query != NULL)
        read_query(call, query);
    call->path = sl_slice_str(path);
    call->gateway = &h->gateway;
    call->who = h->who;
    call->now_ms = h->now_ms;
    call->now_ns = h->now_ms * SL_MILLI_NS;
    call->status = call->route->success;
    call->namespace_header = sl_slice_str(h->namespace_id);
    call->user_agent = sl_slice_str(h->user_agent);
    call->idempotency_key = sl_slice_str(h->idempotency_key);
    call->body_text = sl_slice_str(body == NULL ? "{}" : body);
    cr_assert_eq(sl_json_parse(call->body_text, &call->body_doc, NULL), SL_OK, "%s", body);
    call->body = sl_json_root(call->body_doc);
    if (call->route->permission != SL_PERMIT_NONE &&
        !sl_identity_may(&h->who, call->route->permission))
        sl_call_fail(call, SL_API_FORBIDDEN, "the front would refuse this");
    else
        sl_runner_run(&h->gateway, call);
    harness_turns += scene_finish(&h->gateway, call);

    sl_json_destroy(&h->doc);
    sl_free(h->text);
    h->status = call->status;
    h->text = sl_strndup(sl_buf_text(&call->reply), call->reply.size);
    h->reply = (struct sl_json){0};
    if (call->reply.size > 0 && (call->reply_type == NULL || call->status >= 400)) {
        cr_assert_eq(sl_json_parse(sl_slice_str(h->text), &h->doc, NULL), SL_OK, "%s", h->text);
        h->reply = sl_json_root(h->doc);
    }
    sl_call_destroy(&call);
    return h->status;
}

void
harness_tenant(struct harness *h, const char *tenant_id, const char *plan)
{
    become_operator(h);
    char *body = sl_format("{\"tenant_id\":\"%s\",\"name\":\"%s\",\"plan\":\"%s\"}", tenant_id,
                           tenant_id, plan);
    cr_assert_eq(harness_call(h, "POST", "/v1/tenants", body), 201, "%s", h->text);
    char *key = harness_text(h, "api_key");
    cr_assert_eq(sl_keyring_check(h->gateway.keyring, sl_slice_str(key), h->now_ms, &h->who),
                 SL_OK);
    sl_free(key);
    sl_free(body);
}

void
harness_namespace(struct harness *h, const char *name)
{
    static char id[64];
    char *body = sl_format("{\"namespace_name\":\"%s\"}", name);
    cr_assert_eq(harness_call(h, "POST", "/v1/namespaces", body), 200, "%s", h->text);
    char *text = harness_text(h, "namespace_id");
    snprintf(id, sizeof(id), "%s", text);
    h->namespace_id = id;
    sl_free(text);
    sl_free(body);
}

char *
harness_text(struct harness *h, const char *path)
{
    char *text = sl_json_strdup(sl_json_path(h->reply, sl_slice_str(path)));
    cr_assert_not_null(text, "no text at %s in %s", path, h->text);
    return text;
}

bool
harness_is(struct harness *h, const char *path, const char *text)
{
    return sl_json_is(sl_json_path(h->reply, sl_slice_str(path)), text);
}

uint64_t
harness_number(struct harness *h, const char *path)
{
    uint64_t number = 0;
    cr_assert_eq(sl_json_u64(sl_json_path(h->reply, sl_slice_str(path)), &number), SL_OK,
                 "no number at %s in %s", path, h->text);
    return number;
}

uint64_t
harness_digest(struct harness *h)
{
    struct sl_buf all = {0};
    struct sl_txn *txn = sl_store_begin(h->gateway.store);
    for (uint64_t scope = 0; scope < 8; scope++) {
        for (unsigned table = 1; table <= SL_TABLE_BATCH_OF; table++) {
            struct sl_scan scan = {0};
            sl_txn_scan(txn, (struct sl_scope){scope}, (uint8_t)table, sl_slice(NULL, 0),
                        sl_slice(NULL, 0), false, &scan);
            while (sl_scan_next(&scan)) {
                sl_buf_append_u64(&all, scope << 8 | table);
                sl_buf_append_block(&all, scan.key);
                sl_buf_append_block(&all, scan.value);
            }
            sl_scan_end(&scan);
        }
    }
    sl_txn_abort(&txn);
    sl_queue_snapshot(h->gateway.queue, &all);
    uint64_t digest = sl_hash64(sl_buf_slice(&all));
    sl_buf_deinit(&all);
    return digest;
}
