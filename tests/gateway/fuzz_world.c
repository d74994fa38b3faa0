/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/fuzz_world.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/front/state.h"
#include "gateway/purge.h"
#include "gateway/runner.h"
#include "object-store/incoming.h"
#include "runtime/alloc.h"
#include "runtime/hash.h"
#include "runtime/random.h"
#include "runtime/time.h"
#include "tests/gateway/scene.h"

#define CHANGES_MAX                                                                                \
    500 /* Of one world: a store must not fill up, nor a finding need its history. */

static struct world {
    struct sl_gateway gateway;
    struct sl_front front;
    struct sl_random random;
    char directory[64], operator_key[SL_SECRET_SIZE + 1], tenant_key[SL_SECRET_SIZE + 1];
    char ids[26][64];
    uint32_t changes;
    bool is_open;
} world;

/* ---- libmicrohttpd: what the front asks of a connection ------------------------------------- */

struct MHD_Connection {
    const struct fuzz_request *request;
    char authorization[64];
    union MHD_ConnectionInfo info;
};

enum MHD_Result
MHD_lookup_connection_value_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                              const char *key, size_t key_size, const char **ret_value,
                              size_t *ret_size)
{
    (void)kind;
    const struct fuzz_request *request = connection->request;
    for (uint32_t i = 0; i < request->headers_count; i++) {
        struct sl_pair pair = request->headers[i];
        if (pair.name.size != key_size ||
            strncasecmp((const char *)pair.name.data, key, key_size) != 0)
            continue;
        *ret_value = (const char *)pair.value.data;
        *ret_size = pair.value.size;
        return MHD_YES;
    }
    if (strcasecmp(key, "Authorization") != 0)
        return MHD_NO;
    *ret_value = connection->authorization;
    *ret_size = strlen(connection->authorization);
    return MHD_YES;
}

int
MHD_get_connection_values_n(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                            MHD_KeyValueIteratorN iterator, void *arg)
{
    const struct fuzz_request *request = connection->request;
    bool is_query = kind == MHD_GET_ARGUMENT_KIND;
    const struct sl_pair *pairs = is_query ? request->query : request->headers;
    uint32_t count = is_query ? request->query_count : request->headers_count;
    bool has_key = is_query;
    for (uint32_t i = 0; i < count; i++) {
        has_key = has_key || (pairs[i].name.size == sizeof("Authorization") - 1 &&
                              strncasecmp((const char *)pairs[i].name.data, "Authorization",
                                          pairs[i].name.size) == 0);
        if (iterator(arg, kind, (const char *)pairs[i].name.data, pairs[i].name.size,
                     (const char *)pairs[i].value.data, pairs[i].value.size) != MHD_YES)
            break;
    }
    if (!has_key)
        iterator(arg, kind, "Authorization", sizeof("Authorization") - 1, connection->authorization,
                 strlen(connection->authorization));
    return (int)count + !has_key;
}

const union MHD_ConnectionInfo *
MHD_get_connection_info(struct MHD_Connection *connection, enum MHD_ConnectionInfoType type, ...)
{
    static struct sockaddr_in client = {.sin_family = AF_INET};
    if (type == MHD_CONNECTION_INFO_SOCKET_CONTEXT)
        return NULL; /* No guard watches over it. */
    if (type == MHD_CONNECTION_INFO_CLIENT_ADDRESS)
        connection->info.client_addr = (struct sockaddr *)&client;
    else
        connection->info.header_size = connection->request->head_bytes;
    return &connection->info;
}

/* ---- the world outside: there is none ------------------------------------------------------ */

int
getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
            struct addrinfo **ret_found)
{
    (void)name, (void)service, (void)hints, (void)ret_found;
    return EAI_FAIL;
}

int
connect(int fd, const struct sockaddr *address, socklen_t size)
{
    (void)fd, (void)address, (void)size;
    errno = ENETUNREACH;
    return -1;
}

/* ---- answering ----------------------------------------------------------------------------- */

static void
run(struct sl_call *call)
{
    call->gateway = &world.gateway;
    call->random = &world.random;
    sl_runner_run(&world.gateway, call);
    (void)scene_finish(&world.gateway, call);
    for (bool is_more = world.gateway.has_garbage; is_more;) {
        enum sl_err err = sl_purge_step(&world.gateway, call->now_ms, SL_PURGE_ROWS, &is_more);
        sl_assert(err == SL_OK);
    }
    world.gateway.has_garbage = false;
    if (call->route->method != SL_GET && call->status < 400)
        world.changes += call->route->method == SL_DELETE ? CHANGES_MAX / 10 : 1;
}

/* As front.c does, without the connection. */
static bool
serve(struct sl_request *request, const struct fuzz_request *sent)
{
    struct sl_call *call = request->call;
    struct sl_request_line line = {sent->method, sent->url, "HTTP/1.1"};
    sl_request_begin(request, &line);
    if (!sl_call_has_failed(call) && call->route->body > SL_BODY_JSON_BIG)
        return false;
    if (sl_call_has_failed(call))
        request->stage = SL_STAGE_DISCARDING;
    if (sent->body.size > 0 && !request->must_close)
        (void)sl_body_receive(request, (const char *)sent->body.data, sent->body.size);
    if (request->stage == SL_STAGE_READING)
        sl_body_finish(request);
    if (sl_call_has_failed(call))
        return true;
    if (call->route->flags & SL_ROUTE_FRONT)
        call->route->handler(call);
    else
        run(call);
    return true;
}

struct sl_call *
fuzz_answer(const struct fuzz_request *sent)
{
    struct MHD_Connection connection = {.request = sent};
    struct sl_request request = {.front = &world.front,
                                 .connection = &connection,
                                 .call = sl_call_create(),
                                 .started_ns = sl_time_mono_ns()};
    snprintf(connection.authorization, sizeof(connection.authorization), "Bearer %s",
             world.tenant_key[0] == '\0' ? world.operator_key : world.tenant_key);
    bool is_served = serve(&request, sent);
    world.front.body_bytes -= request.charge;
    if (!is_served)
        sl_call_destroy(&request.call);
    return request.call;
}

/* ---- the world ----------------------------------------------------------------------------- */

const char *
fuzz_id(char letter)
{
    if (letter < 'a' || letter > 'z' || world.ids[letter - 'a'][0] == '\0')
        return NULL;
    return world.ids[letter - 'a'];
}

static void
world_close(void)
{
    if (!world.is_open)
        return;
    world.is_open = false;
    scene_close(&world.gateway);
    scene_remove(world.directory);
}

static void
open_incoming(struct sl_gateway *g)
{
    char *incoming = sl_format("%s/incoming", world.directory);
    enum sl_err err = sl_incoming_open(incoming, true, &g->incoming);
    sl_assert(err == SL_OK);
    sl_free(incoming);
}

/* One word's vector points one way. */
static void
embed(struct sl_slice text, float *ret_vector, uint32_t dimensions)
{
    ret_vector[text.size == 0 ? 0 : text.data[0] % dimensions] = 1;
}

/* Ask for one thing that must be there, and keep the text at `path` of the reply as an id. */
static void
make(char letter, const char *url, const char *body, const char *path)
{
    struct fuzz_request request = {.method = "POST", .url = url, .body = sl_slice_str(body)};
    char length[24];
    struct sl_json_doc *doc = NULL;
    snprintf(length, sizeof(length), "%zu", strlen(body));
    request.headers[request.headers_count++] =
        (struct sl_pair){sl_slice_str("Host"), sl_slice_str("x")};
    request.headers[request.headers_count++] =
        (struct sl_pair){sl_slice_str("Content-Length"), sl_slice_str(length)};
    struct sl_call *call = fuzz_answer(&request);
    enum sl_err err = sl_json_parse(sl_buf_slice(&call->reply), &doc, NULL);
    sl_assert(err == SL_OK);
    char *text = sl_json_strdup(sl_json_path(sl_json_root(doc), sl_slice_str(path)));
    if (call->status >= 300 || text == NULL)
        sl_assert_failed(sl_buf_text(&call->reply), url, 0);
    if (letter == 'a')
        snprintf(world.tenant_key, sizeof(world.tenant_key), "%s", text);
    else
        snprintf(world.ids[letter - 'a'], sizeof(world.ids[0]), "%s", text);
    sl_free(text);
    sl_json_destroy(&doc);
    sl_call_destroy(&call);
}

/* It serves calls, which the fuzzer takes from the request itself. */
static void
never_post(void *arg, struct sl_call *call)
{
    (void)arg, (void)call;
    sl_assert_failed("no call is posted", __FILE__, __LINE__);
}

static void
make_things(void)
{
    char url[128], body[256];
    make('a', "/v1/tenants", "{\"tenant_id\":\"acme\",\"name\":\"acme\",\"plan\":\"enterprise\"}",
         "api_key");
    make('n', "/v1/namespaces", "{\"namespace_name\":\"shop\"}", "namespace_id");
    make('b', "/v1/buckets",
         "{\"bucket_name\":\"items\",\"bucket_schema\":{\"properties\":{\"content\":{\"type\":"
         "\"text\"}}}}",
         "bucket_id");
    make('c', "/v1/collections",
         "{\"collection_name\":\"texts\",\"source\":{\"type\":\"bucket\",\"bucket_ids\":[\"items\"]"
         "},\"feature_extractor\":{\"feature_extractor_name\":\"text_extractor\",\"version\":"
         "\"v1\",\"input_mappings\":{\"text\":\"content\"}}}",
         "collection_id");
    make('r', "/v1/retrievers",
         "{\"retriever_name\":\"find\",\"collection_identifiers\":[\"texts\"],\"stages\":[{"
         "\"stage_name\":\"search\",\"config\":{\"stage_id\":\"feature_search\",\"parameters\":{"
         "\"searches\":[{\"feature_uri\":\"mixpeek://text_extractor@v1/text_hash_v1\",\"query\":{"
         "\"value\":\"{{INPUT.query}}\"}}]}}}]}",
         "retriever.retriever_id");
    make('o', "/v1/buckets/items/objects",
         "{\"blobs\":[{\"property\":\"content\",\"type\":\"text\",\"data\":\"green tea\"}]}",
         "object_id");
    make('d', "/v1/collections/texts/documents", "{\"content\":\"black tea\"}", "document_id");
    snprintf(body, sizeof(body), "{\"object_ids\":[\"%s\"]}", fuzz_id('o'));
    make('q', "/v1/buckets/items/batches", body, "batch_id");
    snprintf(url, sizeof(url), "/v1/buckets/items/batches/%s/submit", fuzz_id('q'));
    make('t', url, "{}", "task_id");
    make('e', "/v1/retrievers/find/execute", "{\"inputs\":{\"query\":\"tea\"}}", "execution_id");
    make('w', "/v1/organizations/webhooks",
         "{\"webhook_name\":\"hook\",\"event_types\":[\"object.created\"],\"channels\":[{"
         "\"channel\":\"webhook\",\"configs\":{\"url\":\"https://example.org/\"}}]}",
         "webhook_id");
    make('u', "/v1/buckets/items/uploads",
         "{\"filename\":\"a.txt\",\"content_type\":\"text/plain\"}", "upload_id");
}

void
fuzz_world_ready(void)
{
    static bool is_first = true;
    if (world.is_open && world.changes < CHANGES_MAX)
        return;
    if (is_first)
        atexit(world_close);
    is_first = false;
    world_close();
    world = (struct world){.is_open = true};
    struct sl_gateway *g = &world.gateway;
    sl_random_seed(&world.random, 1);
    sl_random_seed(&world.front.random, 2);
    snprintf(world.directory, sizeof(world.directory), "/tmp/request-fuzz-XXXXXX");
    if (mkdtemp(world.directory) == NULL)
        sl_assert_failed("a directory can be made in /tmp", __FILE__, __LINE__);
    scene_embed = embed;
    scene_open(g, world.directory, 1);
    open_incoming(g);
    world.front.options = (struct sl_front_options){
        .planes = {{.keyring = g->keyring, .blobs = g->blobs, .incoming = g->incoming}},
        .planes_count = 1,
        .post = never_post};
    scene_operator_key(world.directory, world.operator_key);
    snprintf(world.ids['k' - 'a'], sizeof(world.ids[0]), "%s", world.operator_key);
    make_things();
    world.changes = 0;
}

/* ---- what is stated ------------------------------------------------------------------------ */

static struct sl_json_doc *
openapi(void)
{
    static struct sl_json_doc *doc;
    static struct sl_buf text;
    if (doc == NULL) {
        sl_route_openapi(&text);
        enum sl_err err = sl_json_parse(sl_buf_slice(&text), &doc, NULL);
        sl_assert(err == SL_OK);
    }
    return doc;
}

bool
fuzz_is_stated(const struct sl_call *call)
{
    static const uint16_t any[] = {400, 401, 403, 404, 405, 413, 414, 431};
    char status[8], method[8];
    for (size_t i = 0; i < SL_COUNT_OF(any); i++) {
        if (call->status == any[i])
            return true;
    }
    if (call->route == NULL)
        return false;
    if (call->route->flags & SL_ROUTE_REFUSED)
        return call->status == 501 || call->status == 415; /* They are not in the document. */
    snprintf(status, sizeof(status), "%u", call->status);
    snprintf(method, sizeof(method), "%s", sl_method_name(call->route->method));
    for (char *at = method; *at != '\0'; at++)
        *at = (char)(*at | 0x20);
    struct sl_json path =
        sl_json_member(sl_json_member(sl_json_root(openapi()), "paths"), call->route->path);
    struct sl_json responses = sl_json_member(sl_json_member(path, method), "responses");
    return sl_json_kind(sl_json_member(responses, status)) != SL_JSON_NONE;
}
