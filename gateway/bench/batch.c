/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bench/batch.h"

#include "runtime/alloc.h"
#include "runtime/time.h"

#define TEXT_SIZE    200u
#define CONNECTIONS  4u
#define POLL_NS      (10 * SL_MILLI_NS)
#define BATCH_MAX_NS (300 * SL_SECOND_NS)

bool
sl_bench_make_collection(struct sl_bench_client *client)
{
    return sl_bench_ask(client, "/v1/buckets", sl_slice_str("{\"bucket_name\":\"bench\"}")) &&
           sl_bench_ask(
               client, "/v1/collections",
               sl_slice_str("{\"collection_name\":\"texts\",\"source\":{\"type\":\"bucket\","
                            "\"bucket_ids\":[\"bench\"]},\"feature_extractor\":{"
                            "\"feature_extractor_name\":\"passthrough_extractor\","
                            "\"version\":\"v1\",\"input_mappings\":{\"content\":\"text\"},"
                            "\"field_passthrough\":[{\"source_path\":\"n\"}]}}"));
}

/* ---- objects ------------------------------------------------------------------------------- */

struct making {
    const struct sl_bench_objects *objects;
    struct sl_buf *ids;
};

static void
tick(void *arg)
{
    const struct sl_bench_objects *objects = ((struct making *)arg)->objects;
    if (objects->tick != NULL)
        objects->tick(objects->arg);
}

static void
write_objects(void *arg, uint32_t index, struct sl_buf *body)
{
    static const char words[] = "the quick brown fox jumps over the lazy dog and runs away ";
    (void)arg;
    sl_buf_append_str(body, "{\"objects\":[");
    for (uint32_t i = 0; i < SL_BENCH_OBJECTS_A_BODY; i++) {
        uint32_t n = index * SL_BENCH_OBJECTS_A_BODY + i;
        sl_buf_printf(body, "%s{\"n\":%u,\"text\":\"%08u ", i == 0 ? "" : ",", n, n);
        for (uint32_t size = 9; size < TEXT_SIZE; size += sizeof(words) - 1)
            sl_buf_append(body, words, SL_MIN(sizeof(words) - 1, (size_t)(TEXT_SIZE - size)));
        sl_buf_append_str(body, "\"}");
    }
    sl_buf_append_str(body, "]}");
}

static bool
take_objects(void *arg, uint32_t index, struct sl_slice reply)
{
    struct sl_buf *ids = ((struct making *)arg)->ids;
    struct sl_json_doc *doc = NULL;
    uint32_t count = 0;
    (void)index;
    if (sl_json_parse(reply, &doc, NULL) != SL_OK)
        return false;
    struct sl_json_iter i = sl_json_iter(sl_json_member(sl_json_root(doc), "succeeded"));
    while (sl_json_next(&i)) {
        struct sl_slice id = sl_json_raw(sl_json_member(i.value, "object_id"));
        if (ids->data[ids->size - 1] != '[')
            sl_buf_append_u8(ids, ',');
        sl_buf_append_slice(ids, id);
        count += id.size > 0;
    }
    sl_json_destroy(&doc);
    return count == SL_BENCH_OBJECTS_A_BODY;
}

bool
sl_bench_make_objects(const struct sl_bench_objects *objects, struct sl_buf *ids)
{
    struct making making = {.objects = objects, .ids = ids};
    struct sl_bench_load load = {.server = objects->server,
                                 .client = objects->client,
                                 .path = "/v1/buckets/bench/objects/batch",
                                 .connections = CONNECTIONS,
                                 .requests = objects->count / SL_BENCH_OBJECTS_A_BODY,
                                 .arg = &making,
                                 .make = write_objects,
                                 .take = take_objects,
                                 .tick = tick};
    sl_buf_append_str(ids, "{\"object_ids\":[");
    bool is_ok = sl_bench_load_run(&load);
    sl_buf_append_str(ids, "]}");
    return is_ok;
}

/* ---- batches ------------------------------------------------------------------------------- */

char *
sl_bench_make_batch(struct sl_bench_client *client, struct sl_slice body)
{
    if (!sl_bench_ask(client, "/v1/buckets/bench/batches", body))
        return NULL;
    char *id = sl_bench_text(client, "batch_id");
    char *path = id == NULL ? NULL : sl_format("/v1/buckets/bench/batches/%s/submit", id);
    sl_free(id);
    return path;
}

char *
sl_bench_submit(struct sl_bench_client *client, const char *path)
{
    if (!sl_bench_ask(client, path, sl_slice_str("{}")))
        return NULL;
    char *id = sl_bench_text(client, "task_id");
    char *task = id == NULL ? NULL : sl_format("/v1/tasks/%s", id);
    sl_free(id);
    return task;
}

bool
sl_bench_wait_started(struct sl_bench_client *client, const char *task)
{
    uint64_t until_ns = sl_time_mono_ns() + BATCH_MAX_NS;
    while (sl_time_mono_ns() < until_ns) {
        if (!sl_bench_ask(client, task, sl_slice(NULL, 0)))
            return false;
        if (!sl_json_is(sl_json_member(client->json, "status"), "PENDING"))
            return true;
    }
    return sl_bench_fail("the batch did not start");
}

bool
sl_bench_wait_completed(struct sl_bench_client *client, const char *task,
                        void (*tick_fn)(void *arg), void *arg)
{
    uint64_t until_ns = sl_time_mono_ns() + BATCH_MAX_NS;
    while (sl_time_mono_ns() < until_ns) {
        if (!sl_bench_ask(client, task, sl_slice(NULL, 0)))
            return false;
        struct sl_json status = sl_json_member(client->json, "status");
        if (sl_json_is(status, "COMPLETED"))
            return true;
        if (!sl_json_is(status, "PENDING") && !sl_json_is(status, "IN_PROGRESS"))
            return sl_bench_fail("the batch ended as %.*s", SL_SLICE_FMT(sl_json_raw(status)));
        if (tick_fn != NULL)
            tick_fn(arg);
        sl_time_sleep_ns(POLL_NS);
    }
    return sl_bench_fail("the batch did not end");
}

bool
sl_bench_check_total(struct sl_bench_client *client, uint32_t count)
{
    uint64_t total = 0;
    if (!sl_bench_ask(client, "/v1/collections/texts/documents/list?include_total=true",
                      sl_slice_str("{\"limit\":1}")))
        return false;
    struct sl_json pagination = sl_json_member(client->json, "pagination");
    return (sl_json_u64(sl_json_member(pagination, "total"), &total) == SL_OK && total == count) ||
           sl_bench_fail("%llu documents were listed, not %u", (unsigned long long)total, count);
}
