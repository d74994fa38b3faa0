/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/inference.h"

#include <stdlib.h>

#include "runtime/alloc.h"

bool
sl_bench_inference_collection(struct sl_bench_client *client, const char *extractor)
{
    char *body = sl_format("{\"collection_name\":\"bench\",\"source\":{\"type\":\"bucket\","
                           "\"bucket_ids\":[\"bench\"]},\"feature_extractor\":{"
                           "\"feature_extractor_name\":\"%s\",\"version\":\"v1\","
                           "\"input_mappings\":{\"text\":\"content\"}}}",
                           extractor);
    bool is_ok = sl_bench_ask(client, "/v1/buckets", sl_slice_str("{\"bucket_name\":\"bench\"}")) &&
                 sl_bench_ask(client, "/v1/collections", sl_slice_str(body));
    sl_free(body);
    return is_ok;
}

void
sl_bench_inference_request(const struct sl_bench_client *client, const char *body,
                           struct sl_buf *out)
{
    sl_buf_printf(out,
                  "POST /v1/inference HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                  "X-Namespace: %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
                  "%s",
                  client->key, client->namespace_id, strlen(body), body);
}

uint16_t
sl_bench_server_port(const struct sl_bench_server *server)
{
    return (uint16_t)strtoul(strrchr(server->url, ':') + 1, NULL, 10);
}
