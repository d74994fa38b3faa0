/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/settle.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actors/chain.h"
#include "actors/count.h"
#include "actors/delivery.h"
#include "actors/extraction.h"
#include "actors/job_log.h"
#include "actors/job_row.h"
#include "actors/journal.h"
#include "actors/ledger.h"
#include "actors/record.h"
#include "actors/rows.h"
#include "actors/task_source.h"
#include "actors/use_counts.h"
#include "runtime/alloc.h"
#include "runtime/limits.h"

/* What all records of one task share. */
struct records {
    const struct sl_settle *settle;
    struct sl_txn *txn;
    struct sl_scope scope;
    struct sl_task_payload payload;
    struct sl_json extraction;
    struct sl_task_source source;
    char *collection;         /* NUL-terminated copy for keys. */
    uint32_t first, position; /* Of this part, and of the record at hand. */
    uint32_t count, added;    /* Of this part; and of them those that were not there. */
    uint64_t vectors_count;   /* Likewise. */
    struct sl_buf key, row, fields, names;
    struct sl_buf ids; /* Of this part's records, each with its NUL. */
};

static struct sl_slice
record_key(struct records *r, const char *id)
{
    return sl_key(&r->key, 2, r->collection, id);
}

/* Vector rows of one output; their names, one a line, are left in r->names. SL_EINVAL. */
static enum sl_err
put_vectors(struct records *r, struct sl_reader *in, const char *id)
{
    sl_buf_clear(&r->names);
    uint32_t count = sl_read_u32(in);
    for (uint32_t i = 0; i < count && !in->is_bad; i++) {
        struct sl_slice name = sl_read_block(in), values = sl_read_block(in);
        if (in->is_bad || name.size == 0 || name.size > 128 || values.size % sizeof(float) != 0 ||
            memchr(name.data, '\0', name.size) != NULL)
            return SL_EINVAL;
        char *text = sl_strndup(name.data, name.size);
        struct sl_slice key = sl_key(&r->key, 3, r->collection, text, id);
        sl_txn_put(r->txn, r->scope, SL_TABLE_VECTOR, key, values);
        r->vectors_count++;
        sl_free(text);
        if (r->names.size > 0)
            sl_buf_append_u8(&r->names, '\n');
        sl_buf_append_slice(&r->names, name);
    }
    return in->is_bad ? SL_EINVAL : SL_OK;
}

static void
make_id(const struct records *r, char ret_id[static SL_RECORD_ID_SIZE + 1])
{
    struct sl_record_origin origin = {.collection = r->payload.collection,
                                      .origin = r->payload.origin,
                                      .source = r->payload.source,
                                      .unique = r->source.as.unique,
                                      .position = r->position};
    sl_record_id(&origin, ret_id);
}

static enum sl_err
put_record(struct records *r, struct sl_reader *in)
{
    char id[SL_RECORD_ID_SIZE + 1];
    make_id(r, id);
    sl_buf_append(&r->ids, id, sizeof(id));
    struct sl_slice outputs = sl_read_block(in), old;
    if (in->is_bad || put_vectors(r, in, id) != SL_OK)
        return SL_EINVAL;
    sl_buf_clear(&r->fields);
    enum sl_err err = sl_extraction_fields(r->extraction, &r->source.as, outputs, &r->fields);
    if (err != SL_OK)
        return err;

    struct sl_record record = {.created_ms = r->settle->now_ms,
                               .updated_ms = r->settle->now_ms,
                               .source = r->payload.source,
                               .root = r->source.root,
                               .is_keyed = r->source.as.unique.size > 0,
                               .origin = r->payload.origin,
                               .fields = sl_buf_slice(&r->fields),
                               .vectors = sl_buf_slice(&r->names)};
    struct sl_record before;
    if (sl_txn_get(r->txn, r->scope, SL_TABLE_RECORD, record_key(r, id), &old) == SL_OK) {
        if (sl_record_decode(old, &before) == SL_OK)
            record.created_ms = before.created_ms;
    } else {
        r->added++;
        sl_txn_add(r->txn, r->scope, SL_TABLE_COUNT, sl_key(&r->key, 2, "records", r->collection),
                   1);
        sl_txn_put(r->txn, r->scope, SL_TABLE_DOCUMENT, sl_slice_str(id), r->payload.collection);
    }
    sl_buf_clear(&r->row);
    sl_record_encode(&record, &r->row);
    sl_txn_put(r->txn, r->scope, SL_TABLE_RECORD, record_key(r, id), sl_buf_slice(&r->row));
    if (r->payload.is_chained)
        sl_chain_note(r->txn, r->scope, &r->payload, id);
    return SL_OK;
}

static enum sl_err
put_records(struct records *r, struct sl_slice outputs)
{
    struct sl_reader in = sl_reader(outputs);
    uint32_t count = sl_read_u32(&in);
    if (count > SL_LIMIT_RECORDS_PER_TASK || r->first + count > SL_LIMIT_RECORDS_PER_SOURCE)
        return SL_ETOOBIG;
    r->count = count;
    sl_buf_clear(&r->ids);
    for (r->position = r->first; r->position < r->first + count; r->position++) {
        enum sl_err err = put_record(r, &in);
        if (err != SL_OK)
            return err;
    }
    return sl_reader_is_done(&in) ? SL_OK : SL_EINVAL;
}

/* No more than the tenant may have (count.h); tasks' transactions follow each other. */
static bool
has_room(struct records *r)
{
    struct sl_counter most = {.scope = r->scope, .what = SL_COUNT_MAX, .parent = SL_COUNT_RECORDS};
    int64_t max = r->added == 0 ? 0 : sl_count(r->txn, most);
    return max == 0 || sl_count_sum(r->txn, r->scope, SL_COUNT_RECORDS) + r->added <= max;
}

/* After the commit: indexes that are in memory follow. */
static void
update_indexes(struct records *r, struct sl_slice outputs)
{
    struct sl_reader in = sl_reader(outputs);
    uint32_t count = sl_read_u32(&in);
    sl_assert(r->ids.size == (size_t)count * (SL_RECORD_ID_SIZE + 1));
    for (uint32_t n = 0; n < count; n++) {
        const char *id = (const char *)r->ids.data + (size_t)n * (SL_RECORD_ID_SIZE + 1);
        uint64_t number;
        (void)sl_read_block(&in);
        uint32_t vectors = sl_read_u32(&in);
        for (uint32_t i = 0; i < vectors; i++) {
            struct sl_index_id index = {
                .scope = r->scope, .collection = r->payload.collection, .name = sl_read_block(&in)};
            struct sl_slice bytes = sl_read_block(&in);
            float *values = sl_memdup(bytes.data, bytes.size); /* For its alignment. */
            if (sl_record_number(sl_slice_str(id), &number) == SL_OK)
                sl_index_put(r->settle->indexes, &index, number, values,
                             (uint32_t)(bytes.size / sizeof(float)));
            sl_free(values);
        }
    }
}

/* A source or collection that was deleted meanwhile: the task ends with no record. */
static bool
find_source(struct records *r, struct sl_slice *ret_row)
{
    struct sl_slice ignored;
    return sl_txn_get(r->txn, r->scope, sl_task_source_table(r->payload.kind), r->payload.source,
                      ret_row) == SL_OK &&
           sl_task_source_decode(&r->payload, *ret_row, &r->source) == SL_OK &&
           sl_txn_get(r->txn, r->scope, SL_TABLE_EXTRACTION, r->payload.collection, &ignored) ==
               SL_OK;
}

static void
add_event(struct sl_txn *txn, struct sl_scope scope, struct sl_buf *event)
{
    sl_txn_event(txn, SL_PROJECTION_QUEUE, scope, sl_buf_slice(event));
}

/* How many records a job has made, so far: kept beside it until its row takes the sum. */
static struct sl_slice
job_count_key(struct sl_buf *key, struct sl_job_id id)
{
    char text[37];
    sl_job_id_format(id, text);
    return sl_key(key, 2, "job-records", text);
}

/* ---- parts --------------------------------------------------------------------------------- */

static struct sl_slice
part_key(struct sl_buf *key, const struct sl_lease *lease)
{
    char job[37], task[17];
    sl_job_id_format(lease->job, job);
    (void)snprintf(task, sizeof(task), "%016" PRIx64, lease->task_id);
    return sl_key(key, 2, job, task);
}

void
sl_settle_part(struct sl_txn *txn, const struct sl_lease *lease, struct sl_buf *copy,
               struct sl_task_part *ret_part)
{
    struct sl_buf key = {0};
    struct sl_slice row;
    *ret_part = (struct sl_task_part){0};
    sl_buf_clear(copy);
    if (sl_txn_get(txn, lease->scope, SL_TABLE_PART, part_key(&key, lease), &row) == SL_OK) {
        sl_buf_append_slice(copy, row);
        struct sl_reader in = sl_reader(sl_buf_slice(copy));
        uint64_t first = sl_read_u64(&in);
        struct sl_slice resume = sl_read_block(&in);
        if (!SL_BUG(!sl_reader_is_done(&in)))
            *ret_part = (struct sl_task_part){.first = first, .resume = resume};
    }
    sl_buf_deinit(&key);
}

/* The end of the task, or what its next part begins with. */
static void
put_end(struct records *r, const struct sl_lease *lease, const struct sl_task_part *part)
{
    struct sl_buf event = {0};
    if (part->resume.size > 0) {
        sl_buf_clear(&r->row);
        sl_buf_append_u64(&r->row, part->first + r->count);
        sl_buf_append_block(&r->row, part->resume);
        sl_txn_put(r->txn, r->scope, SL_TABLE_PART, part_key(&r->key, lease),
                   sl_buf_slice(&r->row));
        return;
    }
    if (part->first > 0)
        sl_txn_del(r->txn, r->scope, SL_TABLE_PART, part_key(&r->key, lease));
    sl_queue_event_done(&event, &(struct sl_task_end){.task_id = lease->task_id});
    add_event(r->txn, lease->scope, &event);
    sl_buf_deinit(&event);
}

/* What tasks that were cancelled between two parts left. */
static void
forget_parts(struct sl_txn *txn, struct sl_scope scope, struct sl_job_id job)
{
    struct sl_scan scan;
    struct sl_buf prefix = {0};
    char text[37];
    sl_job_id_format(job, text);
    sl_txn_scan(txn, scope, SL_TABLE_PART, sl_key_prefix(&prefix, 1, text), (struct sl_slice){0},
                false, &scan);
    while (sl_scan_next(&scan))
        sl_txn_del(txn, scope, SL_TABLE_PART, scan.key);
    sl_scan_end(&scan);
    sl_buf_deinit(&prefix);
}

/* ---- what it used ------------------------------------------------------------------------- */

/* As the ledger names it: what the gateway calls a feature extractor's id. */
static char *
extractor_of(struct sl_json extraction)
{
    char *name = sl_json_strdup(sl_json_member(extraction, "extractor"));
    char *version = sl_json_strdup(sl_json_member(extraction, "version"));
    char *id = sl_format("%s_%s", name == NULL ? "" : name, version == NULL ? "" : version);
    sl_free(name);
    sl_free(version);
    return id;
}

/* Under the lease's epoch, which no other has, nor another part: each ends a lease. */
static void
put_used(struct records *r, const struct sl_lease *lease, const struct sl_task_part *part)
{
    char *namespace = sl_json_strdup(sl_json_member(r->extraction, "namespace"));
    char *extractor = extractor_of(r->extraction);
    struct sl_buf entries = {0};
    const struct {
        enum sl_ledger_resource resource;
        uint64_t amount;
    } used[] = {{SL_LEDGER_tasks, part->resume.size == 0},
                {SL_LEDGER_documents, r->count},
                {SL_LEDGER_embeddings, r->vectors_count},
                {SL_LEDGER_compute_ms, r->settle->served_ns / SL_MILLI_NS}};
    for (size_t i = 0; i < SL_COUNT_OF(used); i++) {
        struct sl_ledger_entry e = {.resource = (uint8_t)used[i].resource,
                                    .amount = used[i].amount,
                                    .cost_nano = sl_ledger_cost(used[i].resource, used[i].amount)};
        e.dimensions[SL_LEDGER_BY_namespace] = sl_slice_str(namespace == NULL ? "" : namespace);
        e.dimensions[SL_LEDGER_BY_collection] = r->payload.collection;
        e.dimensions[SL_LEDGER_BY_extractor] = sl_slice_str(extractor);
        if (e.amount > 0)
            sl_ledger_write(&entries, &e);
    }
    sl_ledger_put(r->txn, r->scope, (struct sl_ledger_id){r->settle->now_ms, lease->epoch},
                  sl_buf_slice(&entries));
    sl_use_count_record(r->settle->uses, r->scope, sl_buf_slice(&entries));
    sl_buf_deinit(&entries);
    sl_free(namespace);
    sl_free(extractor);
}

/* ---- ends ---------------------------------------------------------------------------------- */

enum sl_err
sl_settle_done(const struct sl_settle *s, const struct sl_lease *lease, struct sl_json extraction,
               struct sl_slice outputs, const struct sl_task_part *part)
{
    struct records r = {.settle = s, .scope = lease->scope, .extraction = extraction};
    if (part->first > SL_LIMIT_RECORDS_PER_SOURCE)
        return SL_ETOOBIG;
    r.first = r.position = (uint32_t)part->first;
    struct sl_buf source_copy = {0};
    enum sl_err err = sl_task_payload_decode(lease->payload, &r.payload);
    if (err != SL_OK)
        return err;
    r.collection = sl_strndup(r.payload.collection.data, r.payload.collection.size);
    r.txn = sl_store_begin(s->store);
    struct sl_slice row;
    bool has_source = find_source(&r, &row);
    if (has_source) {
        /* Borrowed rows end with the first write. */
        sl_buf_append_slice(&source_copy, row);
        err = sl_task_source_decode(&r.payload, sl_buf_slice(&source_copy), &r.source);
        if (err == SL_OK)
            err = put_records(&r, outputs);
        if (err == SL_OK && !has_room(&r))
            err = SL_EFULL;
    }
    if (err == SL_OK) {
        if (r.count > 0)
            sl_txn_add(r.txn, r.scope, SL_TABLE_COUNT, job_count_key(&r.key, lease->job), r.count);
        if (has_source)
            put_used(&r, lease, part);
        put_end(&r, lease, has_source ? part : &(struct sl_task_part){.first = part->first});
        err = sl_txn_commit(&r.txn);
        if (err == SL_OK && has_source)
            update_indexes(&r, outputs);
    }
    if (r.txn != NULL)
        sl_txn_abort(&r.txn);
    sl_free(r.collection);
    sl_buf_deinit(&r.key);
    sl_buf_deinit(&r.row);
    sl_buf_deinit(&r.fields);
    sl_buf_deinit(&r.names);
    sl_buf_deinit(&r.ids);
    sl_buf_deinit(&source_copy);
    return err;
}

static void
write_failure(const struct sl_settle *s, const struct sl_lease *lease,
              const struct sl_task_failure *f, struct sl_buf *out)
{
    struct sl_task_payload p = {0};
    if (sl_task_payload_decode(lease->payload, &p) != SL_OK)
        p = (struct sl_task_payload){0};
    struct sl_jsonw w;
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_u64(&w, "task_id", lease->task_id);
    sl_jsonw_member_str(&w, "kind", p.kind == SL_SOURCE_RECORD ? "record" : "object");
    sl_jsonw_member_slice(&w, "parent", sl_key_part(p.source, 0));
    sl_jsonw_member_slice(&w, "source", sl_key_part(p.source, 1));
    sl_jsonw_member_slice(&w, "collection", p.collection);
    sl_jsonw_member_u64(&w, "retries", p.retries);
    sl_jsonw_member_str(&w, "error_type", f->type);
    sl_jsonw_member_slice(&w, "code", f->code);
    sl_jsonw_member_slice(&w, "message", f->message);
    sl_jsonw_member_bool(&w, "transient", f->is_transient);
    sl_jsonw_member_u64(&w, "signal", f->signal);
    sl_jsonw_member_u64(&w, "attempts", f->attempts);
    sl_jsonw_member_u64(&w, "at_ms", s->now_ms);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

enum sl_err
sl_settle_dead(const struct sl_settle *s, const struct sl_lease *lease,
               const struct sl_task_failure *failure)
{
    struct sl_buf row = {0}, key = {0}, event = {0};
    char job[37], task[17];
    sl_job_id_format(lease->job, job);
    snprintf(task, sizeof(task), "%016" PRIx64, lease->task_id);
    write_failure(s, lease, failure, &row);
    struct sl_txn *txn = sl_store_begin(s->store);
    sl_txn_put(txn, lease->scope, SL_TABLE_FAILURE, sl_key(&key, 2, job, task), sl_buf_slice(&row));
    sl_txn_del(txn, lease->scope, SL_TABLE_PART, part_key(&key, lease));
    sl_queue_event_kill(&event,
                        &(struct sl_task_end){.task_id = lease->task_id, .state = SL_STATE_DEAD});
    add_event(txn, lease->scope, &event);
    enum sl_err err = sl_txn_commit(&txn);
    if (txn != NULL)
        sl_txn_abort(&txn);
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
    sl_buf_deinit(&event);
    return err;
}

struct sl_task_failure
sl_task_failure_crash(uint64_t signal, char text[static SL_CRASH_TEXT_MAX])
{
    const char *name = signal == 0 ? NULL : sigdescr_np((int)signal);
    (void)snprintf(text, SL_CRASH_TEXT_MAX, "the replica died of signal %" PRIu64 " (%s)", signal,
                   name == NULL ? "it exited" : name);
    return (struct sl_task_failure){.type = "runtime",
                                    .code = sl_slice_str("replica_crashed"),
                                    .message = sl_slice_str(text),
                                    .signal = signal};
}

enum sl_err
sl_settle_put_off(const struct sl_settle *s, const struct sl_lease *lease, uint64_t not_before_ms)
{
    struct sl_buf event = {0};
    struct sl_retry retry = {.task_id = lease->task_id,
                             .attempts = lease->attempts,
                             .crashes = lease->crashes,
                             .snoozes = (uint16_t)SL_MIN(lease->snoozes + 1, UINT16_MAX),
                             .not_before_ms = not_before_ms};
    struct sl_txn *txn = sl_store_begin(s->store);
    sl_queue_event_retry(&event, &retry);
    add_event(txn, lease->scope, &event);
    enum sl_err err = sl_txn_commit(&txn);
    if (txn != NULL)
        sl_txn_abort(&txn);
    sl_buf_deinit(&event);
    return err;
}

enum sl_err
sl_settle_retry(const struct sl_settle *s, const struct sl_lease *lease,
                const struct sl_retry *retry, const struct sl_task_failure *why)
{
    struct sl_buf event = {0};
    char line[SL_JOB_LOG_LINE_SIZE + 1];
    (void)snprintf(line, sizeof(line), "retry: task %" PRIx64 " after run %u: %.*s: %.*s",
                   lease->task_id, (unsigned)retry->attempts + retry->crashes,
                   SL_SLICE_FMT(why->code), SL_SLICE_FMT(why->message));
    struct sl_txn *txn = sl_store_begin(s->store);
    sl_job_log_add(txn, lease->scope, lease->job, s->now_ms, line);
    sl_queue_event_retry(&event, retry);
    add_event(txn, lease->scope, &event);
    enum sl_err err = sl_txn_commit(&txn);
    if (txn != NULL)
        sl_txn_abort(&txn);
    sl_buf_deinit(&event);
    return err;
}

static void
tell_failed(struct sl_txn *txn, const struct sl_job_info *info, const struct sl_job_row *job,
            uint64_t now_ms)
{
    char id[37], text[96];
    struct sl_buf attributes = {0};
    struct sl_json_doc *doc = NULL;
    struct sl_jsonw w;
    sl_job_id_format(info->id, id);
    (void)snprintf(text, sizeof(text), "%" PRIu64 " of %" PRIu64 " tasks failed",
                   (uint64_t)job->dead, (uint64_t)job->total);
    sl_jsonw_init(&w, &attributes);
    sl_jsonw_object(&w);
    sl_jsonw_member_u64(&w, "total", job->total);
    sl_jsonw_member_u64(&w, "done", job->done);
    sl_jsonw_member_u64(&w, "failed", job->dead);
    if (sl_json_parse(job->about, &doc, NULL) == SL_OK &&
        sl_json_has(sl_json_member(sl_json_root(doc), "traceparent")))
        sl_jsonw_member_value(&w, "traceparent", sl_json_member(sl_json_root(doc), "traceparent"));
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
    struct sl_journal_event event = {.kind = SL_JOURNAL_job_failed,
                                     .scope = info->scope,
                                     .subject = id,
                                     .message = text,
                                     .attributes = sl_buf_slice(&attributes)};
    (void)sl_journal_add(txn, now_ms, &event);
    sl_json_destroy(&doc);
    sl_buf_deinit(&attributes);
}

enum sl_err
sl_settle_job(const struct sl_settle *s, const struct sl_job_info *info, struct sl_job_id *ret_next,
              bool *ret_has_next)
{
    struct sl_slice key = sl_slice(info->id.bytes, sizeof(info->id.bytes)), old;
    struct sl_buf copy = {0}, row = {0}, event = {0}, count = {0};
    struct sl_job_row job = {.created_ms = info->created_ms};
    struct sl_txn *txn = sl_store_begin(s->store);
    if (sl_txn_get(txn, info->scope, SL_TABLE_JOB, key, &old) == SL_OK) {
        sl_buf_append_slice(&copy, old);
        if (sl_job_row_decode(sl_buf_slice(&copy), &job) != SL_OK)
            job = (struct sl_job_row){.created_ms = info->created_ms};
    }
    bool was_canceled = job.state == SL_JOB_CANCELED; /* Perhaps after its last task. */
    job.state = was_canceled ? SL_JOB_CANCELED : info->state;
    job.total = info->total;
    job.done = info->done;
    job.dead = info->dead;
    job.canceled = info->canceled;
    job.started_ms = info->started_ms;
    /* A cancelled one was told to have ended then, though its last leases ended just now. */
    if (!was_canceled || job.ended_ms == 0)
        job.ended_ms = s->now_ms;
    struct sl_slice count_key = job_count_key(&count, info->id);
    job.records = (uint64_t)sl_txn_counter(txn, info->scope, SL_TABLE_COUNT, count_key);
    sl_txn_del(txn, info->scope, SL_TABLE_COUNT, count_key);
    forget_parts(txn, info->scope, info->id);
    *ret_has_next = sl_chain_next(txn, info->scope, &job, s->now_ms, ret_next);
    if (!*ret_has_next) {
        sl_count_job_end(txn, info->scope, job.about, job.state);
        sl_event_job_ended(txn, info->scope, &job, s->now_ms);
        if (job.state == SL_JOB_FAILED || job.state == SL_JOB_PARTIAL)
            tell_failed(txn, info, &job, s->now_ms);
    }
    sl_job_row_encode(&job, &row);
    sl_txn_put(txn, info->scope, SL_TABLE_JOB, key, sl_buf_slice(&row));
    sl_queue_event_forget(&event, info->id);
    add_event(txn, info->scope, &event);
    enum sl_err err = sl_txn_commit(&txn);
    if (txn != NULL)
        sl_txn_abort(&txn);
    sl_buf_deinit(&copy);
    sl_buf_deinit(&row);
    sl_buf_deinit(&event);
    sl_buf_deinit(&count);
    return err;
}
