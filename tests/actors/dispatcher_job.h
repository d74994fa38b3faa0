/* SPDX-License-Identifier: Apache-2.0 */
/* dispatcher_job.h - sources, collections and jobs for a dispatcher's tests. */
#ifndef SL_TESTS_ACTORS_DISPATCHER_JOB_H
#define SL_TESTS_ACTORS_DISPATCHER_JOB_H

#include "tests/actors/dispatcher_store.h"

static inline struct sl_slice
source_key(struct sl_buf *key, int number)
{
    char object[16];
    snprintf(object, sizeof(object), "obj_%d", number);
    return sl_key(key, 2, "bkt", object);
}

static inline void
put_source(int number, const char *fields)
{
    struct sl_buf key = {0}, row = {0};
    struct sl_source source = {
        .fields = sl_slice_str(fields), .blobs = sl_slice_str("[]"), .extra = sl_slice_str("{}")};
    sl_source_encode(&source, &row);
    put(SL_TABLE_SOURCE, source_key(&key, number), sl_buf_slice(&row));
    sl_buf_deinit(&key);
    sl_buf_deinit(&row);
}

static inline void
put_extraction(const char *collection, const char *extractor)
{
    char *row = sl_format("{\"extractor\":\"%s\",\"inputs\":[{\"name\":\"text\",\"path\":"
                          "\"content\"}],\"passthrough\":[],\"params\":{}}",
                          extractor);
    put(SL_TABLE_EXTRACTION, sl_slice_str(collection), sl_slice_str(row));
    sl_free(row);
}

/* A collection and a job of `count` tasks, one for each of its sources. */
static inline void
submit_as(struct sl_job_id id, int count, const char *extractor)
{
    struct sl_buf event = {0}, payload = {0}, key = {0};
    put_extraction("col", extractor);
    struct sl_enqueue e = {.job = id, .class = SL_CLASS_CPU, .created_ms = r.now_ms};
    sl_queue_event_enqueue(&event, &e);
    for (int i = 0; i < count; i++) {
        put_source(i, "{\"content\":\"hello\"}");
        struct sl_task_payload p = {.origin = sl_slice_str("bkt"),
                                    .collection = sl_slice_str("col"),
                                    .source = source_key(&key, i)};
        sl_buf_clear(&payload);
        sl_task_payload_encode(&p, &payload);
        sl_queue_event_task(&event, sl_buf_slice(&payload));
    }
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_event(t, SL_PROJECTION_QUEUE, scope, sl_buf_slice(&event));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    sl_buf_deinit(&event);
    sl_buf_deinit(&payload);
    sl_buf_deinit(&key);
}

static inline void
submit(int count)
{
    submit_as(job, count, "echo");
}

static inline void
submit_again(int count)
{
    submit_as(other_job, count, "echo");
}

static inline void
cancel(void)
{
    struct sl_buf event = {0};
    sl_queue_event_cancel(&event, job);
    struct sl_txn *t = sl_store_begin(store);
    sl_txn_event(t, SL_PROJECTION_QUEUE, scope, sl_buf_slice(&event));
    cr_assert_eq(sl_txn_commit(&t), SL_OK);
    sl_buf_deinit(&event);
}

#endif
