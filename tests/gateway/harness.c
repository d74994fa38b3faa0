/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/harness.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actors/index.h"
#include "actors/rows.h"
#include "gateway/account.h"
#include "gateway/route.h"
#include "gateway/runner.h"
#include "queue/queue.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"

/* What a handler asks of the api actor, done here: the work runs inline once the handler is out. */
static void (*pending_work)(struct sl_call *call);
static sl_handler_fn *pending_then;

void
sl_call_work(struct sl_call *call, void (*work)(struct sl_call *call), sl_handler_fn *then)
{
    call->is_waiting = true;
    pending_work = work;
    pending_then = then;
}

static void
unavailable(struct sl_call *call)
{
    call->wait.error = SL_EUNAVAIL;
}

void (*harness_embed)(struct sl_slice text, float *ret_vector, uint32_t dimensions);
static struct sl_wait embedded;

static void
give_embedded(struct sl_call *call)
{
    call->wait = embedded;
}

void
sl_call_embed(struct sl_call *call, struct sl_json extraction, struct sl_slice text,
              sl_handler_fn *then)
{
    uint64_t dimensions = 0;
    if (harness_embed == NULL ||
        sl_json_u64(sl_json_member(extraction, "dimensions"), &dimensions) != SL_OK) {
        sl_call_work(call, unavailable, then);
        return;
    }
    float *vector = sl_call_alloc(call, dimensions * sizeof *vector);
    harness_embed(text, vector, (uint32_t)dimensions);
    embedded = (struct sl_wait){.vector = vector, .dimensions = (uint32_t)dimensions};
    sl_call_work(call, give_embedded, then);
}

void
sl_call_when_durable(struct sl_call *call, void (*work)(void *arg), void *arg)
{
    (void)call;
    work(arg);
    sl_free(arg);
}

void
sl_call_model_load(struct sl_call *call, struct sl_slice namespace_id, struct sl_slice model_id,
                   const char *directory, sl_handler_fn *then)
{
    (void)namespace_id, (void)model_id, (void)directory;
    sl_call_work(call, unavailable, then);
}

void
sl_call_nodes(struct sl_call *call, sl_handler_fn *then)
{
    sl_call_work(call, unavailable, then);
}

void
sl_call_node_order(struct sl_call *call, struct sl_slice node, uint64_t order, sl_handler_fn *then)
{
    (void)node, (void)order;
    sl_call_work(call, unavailable, then);
}

void
sl_call_placement(struct sl_call *call, struct sl_job_id job, sl_handler_fn *then)
{
    (void)job;
    sl_call_work(call, unavailable, then);
}

char harness_dropped[128];
uint32_t harness_turns;

void
sl_call_model_drop(struct sl_call *call, const char *directory)
{
    (void)call;
    snprintf(harness_dropped, sizeof(harness_dropped), "%s", directory);
}

void
sl_call_wake_dispatcher(struct sl_call *call)
{
    (void)call;
}

static void
open_all(struct harness *h)
{
    h->gateway.queue = sl_queue_create();
    h->gateway.indexes = sl_index_cache_create();
    h->gateway.keyring = sl_keyring_create();
    h->gateway.data_directory = h->directory;
    h->gateway.sources =
        (struct sl_source_rules){.size_bytes_max = SL_MIB, .timeout_ns = SL_SECOND_NS};
    struct sl_projection queue = {.id = SL_PROJECTION_QUEUE,
                                  .name = "queue",
                                  .self = h->gateway.queue,
                                  .apply = sl_queue_apply,
                                  .snapshot = sl_queue_snapshot,
                                  .restore = sl_queue_restore};
    struct sl_store_options options = {.directory = h->directory,
                                       .projections = &queue,
                                       .projections_count = 1,
                                       .map_size_bytes = 256 * SL_MIB,
                                       .is_sync_off = true};
    cr_assert_eq(sl_store_open(&options, &h->gateway.store), SL_OK);
    char *blobs = sl_format("%s/blobs", h->directory);
    cr_assert_eq(sl_blobs_open(blobs, true, &h->gateway.blobs), SL_OK);
    sl_free(blobs);
    cr_assert_eq(sl_gateway_bootstrap(&h->gateway, h->now_ms), SL_OK);
}

static void
close_all(struct harness *h)
{
    sl_store_close(&h->gateway.store);
    sl_blobs_close(&h->gateway.blobs);
    sl_queue_destroy(&h->gateway.queue);
    sl_index_cache_destroy(&h->gateway.indexes);
    sl_keyring_destroy(&h->gateway.keyring);
    sl_json_destroy(&h->doc);
    sl_free(h->text);
    h->text = NULL;
}

/* The operator, as admin.key says. */
static void
become_operator(struct harness *h)
{
    char *path = sl_format("%s/admin.key", h->directory);
    char secret[SL_SECRET_SIZE + 2] = {0};
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    cr_assert_eq(fread(secret, 1, sizeof(secret) - 1, file), SL_SECRET_SIZE + 1);
    fclose(file);
    sl_free(path);
    cr_assert_eq(
        sl_keyring_check(h->gateway.keyring, sl_slice(secret, SL_SECRET_SIZE), h->now_ms, &h->who),
        SL_OK);
}

void
harness_init(struct harness *h)
{
    *h = (struct harness){.now_ms = UINT64_C(1767000000000)};
    snprintf(h->directory, sizeof(h->directory), "/tmp/gateway-test-XXXXXX");
    cr_assert_not_null(mkdtemp(h->directory));
    open_all(h);
    become_operator(h);
}

void
harness_reopen(struct harness *h)
{
    close_all(h);
    open_all(h);
}

static int
remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info, (void)type, (void)at;
    return remove(path);
}

void
harness_deinit(struct harness *h)
{
    close_all(h);
    nftw(h->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
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
    call->status = call->route->success;
    call->namespace_header = sl_slice_str(h->namespace_id);
    call->user_agent = sl_slice_str(h->user_agent);
    call->body_text = sl_slice_str(body == NULL ? "{}" : body);
    cr_assert_eq(sl_json_parse(call->body_text, &call->body_doc, NULL), SL_OK, "%s", body);
    call->body = sl_json_root(call->body_doc);
    if (call->route->permission != SL_PERMIT_NONE &&
        !(h->who.permissions & SL_PERMIT_BIT(call->route->permission)))
        sl_call_fail(call, SL_API_FORBIDDEN, "the front would refuse this");
    else
        sl_runner_run(&h->gateway, call);
    while (call->is_waiting) {
        harness_turns++;
        pending_work(call);
        sl_runner_continue(&h->gateway, call, pending_then);
    }

    sl_json_destroy(&h->doc);
    sl_free(h->text);
    h->status = call->status;
    h->text = sl_strndup(sl_buf_text(&call->reply), call->reply.size);
    h->reply = (struct sl_json){0};
    if (call->reply.size > 0) {
        cr_assert_eq(sl_json_parse(sl_slice_str(h->text), &h->doc, NULL), SL_OK, "%s", h->text);
        h->reply = sl_json_root(h->doc);
    }
    cr_assert_null(call->txn);
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
