/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running retrievers: execute, ad-hoc execute, explain, document search, and the last runs of each.
 * A run is kept as {summary members..., "detail": the reply}, under a time-ordered id.
 */
#include "actors/record.h"
#include "gateway/execution_stream.h"
#include "gateway/list.h"
#include "gateway/resource.h"
#include "gateway/retrieval.h"
#include "runtime/time.h"

#define EXECUTIONS_KEPT_MAX   100
#define DETAIL_SIZE_MAX       (256 * SL_KIB) /* A longer reply is kept without its documents. */
#define CREDITS_PER_EXECUTION 0.01

struct run {
    const char *execution_id;
    const char *parent; /* Of its row: a retriever's id, or the namespace's ad-hoc runs. */
    bool is_adhoc, has_vectors;
    struct sl_json pagination;
};

struct page {
    enum { PAGE_OFFSET, PAGE_CURSOR, PAGE_SCROLL, PAGE_KEYSET } method;
    uint32_t limit, offset;
};

/* exec_ and 16 characters: 9 of the time, which order the rows, and 7 of chance. */
static const char *
execution_id(struct sl_call *call)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char *id = sl_call_format(call, "exec_%016d", 0);
    uint64_t time = call->now_ms;
    for (size_t i = 9; i > 0; i--, time /= 36)
        id[5 + i - 1] = digits[time % 36];
    sl_random_id(id + 5 + 9, 7);
    return id;
}

/* ---- pages of the documents found ---------------------------------------------------------- */

static uint32_t
read_number(struct sl_call *call, struct sl_json pagination, const char *name, uint32_t max,
            uint32_t fallback)
{
    struct sl_json v = sl_json_member(pagination, name);
    uint64_t number;
    if (!sl_json_has(v))
        return fallback;
    if (sl_json_u64(v, &number) == SL_OK && number >= 1 && number <= max)
        return (uint32_t)number;
    sl_call_invalid(call, sl_call_format(call, "body.pagination.%s", name), "out_of_range",
                    "must be an integer in 1..%u", max);
    return fallback;
}

/* A place in the result list, from an opaque text. */
static uint32_t
read_place(struct sl_call *call, struct sl_json pagination, const char *name)
{
    struct sl_slice text = sl_call_text(call, sl_json_member(pagination, name));
    struct sl_buf memory = {0};
    struct sl_slice key, sort;
    uint32_t place = 0;
    if (text.size > 0) {
        struct sl_reader r = {0};
        if (sl_cursor_decode(text, &memory, &key, &sort) == SL_OK)
            r = sl_reader(key);
        place = sl_read_u32(&r);
        if (r.is_bad)
            sl_call_invalid(call, sl_call_format(call, "body.pagination.%s", name), "cursor",
                            "is not one of this list");
    }
    sl_buf_deinit(&memory);
    return place;
}

static void
read_page(struct sl_call *call, struct sl_json pagination, struct page *ret_page)
{
    struct sl_json method = sl_json_member(pagination, "method");
    *ret_page = (struct page){.limit = 10};
    if (sl_json_is(method, "cursor")) {
        ret_page->method = PAGE_CURSOR;
        ret_page->limit = read_number(call, pagination, "limit", 500, 10);
        ret_page->offset = read_place(call, pagination, "cursor");
    } else if (sl_json_is(method, "scroll")) {
        ret_page->method = PAGE_SCROLL;
        ret_page->limit = read_number(call, pagination, "limit", 1000, 100);
        ret_page->offset = read_place(call, pagination, "scroll_id");
    } else if (sl_json_is(method, "keyset")) {
        ret_page->method = PAGE_KEYSET;
        ret_page->limit = read_number(call, pagination, "limit", 500, 10);
        ret_page->offset = read_place(call, pagination, "after");
    } else if (!sl_json_has(method) || sl_json_is(method, "offset")) {
        ret_page->limit = read_number(call, pagination, "page_size", 500, 10);
        ret_page->offset =
            (read_number(call, pagination, "page_number", 10000, 1) - 1) * ret_page->limit;
    } else {
        sl_call_invalid(call, "body.pagination.method", "enum",
                        "method must be offset, cursor, scroll or keyset");
    }
}

static void
write_pagination(const struct page *p, uint32_t total, struct sl_jsonw *w)
{
    static const char *const names[] = {NULL, "cursor", "scroll_id", "next_cursor"};
    bool has_next = p->offset < total && total - p->offset > p->limit;
    sl_jsonw_name(w, "pagination");
    sl_jsonw_object(w);
    if (p->method == PAGE_OFFSET) {
        sl_jsonw_member_u64(w, "total", total);
        sl_jsonw_member_u64(w, "limit", p->limit);
        sl_jsonw_member_u64(w, "offset", p->offset);
        sl_jsonw_member_bool(w, "has_previous", p->offset > 0);
    } else {
        struct sl_buf place = {0}, text = {0};
        sl_buf_append_u32(&place, p->offset + p->limit);
        sl_cursor_encode(sl_buf_slice(&place), (struct sl_slice){0}, &text);
        if (has_next)
            sl_jsonw_member_slice(w, names[p->method], sl_buf_slice(&text));
        else
            sl_jsonw_member_null(w, names[p->method]);
        sl_jsonw_member_u64(w, "page_size", p->limit);
        sl_buf_deinit(&place);
        sl_buf_deinit(&text);
    }
    sl_jsonw_member_bool(w, "has_next", has_next);
    sl_jsonw_end(w);
}

/* Under the name of the extractor's output, as documents show it. */
static void
write_vector(const struct sl_retrieval *r, const struct sl_found *f, struct sl_jsonw *w)
{
    struct sl_call *call = r->call;
    const struct sl_retrieval_collection *c = &r->collections[f->rank.collection];
    struct sl_slice output = sl_member_text(call, c->extraction, "output"), value;
    const char *index = sl_member_str(call, c->extraction, "index");
    char id[SL_RECORD_ID_SIZE + 1];
    struct sl_buf key = {0};
    sl_record_id_of_number(f->rank.number, id);
    if (index != NULL && output.size > 0 &&
        sl_txn_get(call->txn, call->who.scope, SL_TABLE_VECTOR, sl_key(&key, 3, c->id, index, id),
                   &value) == SL_OK) {
        sl_jsonw_name_slice(w, output);
        sl_jsonw_array(w);
        for (size_t at = 0; at + sizeof(float) <= value.size; at += sizeof(float)) {
            float number;
            memcpy(&number, value.data + at, sizeof(number));
            sl_jsonw_f32(w, number);
        }
        sl_jsonw_end(w);
    }
    sl_buf_deinit(&key);
}

static void
write_documents(const struct sl_retrieval *r, const struct page *p, const char *name,
                struct sl_jsonw *w)
{
    static const char *const none[] = {NULL};
    sl_jsonw_name(w, name);
    sl_jsonw_array(w);
    for (uint32_t i = p->offset; i < r->found_count && i - p->offset < p->limit; i++) {
        sl_jsonw_object(w);
        sl_write_except(w, r->found[i].row, none);
        if (r->found[i].has_score)
            sl_jsonw_member_f64(w, "score", r->found[i].rank.score);
        if (((const struct run *)r->arg)->has_vectors)
            write_vector(r, &r->found[i], w);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* ---- the reply ----------------------------------------------------------------------------- */

static double
elapsed_ms(const struct sl_retrieval *r)
{
    return (double)(r->stage_started_ns - r->started_ns) / (double)SL_MILLI_NS;
}

static void
write_statistics(const struct sl_retrieval *r, struct sl_jsonw *w)
{
    sl_jsonw_name(w, "stage_statistics");
    sl_jsonw_object(w);
    sl_jsonw_name(w, "stages");
    sl_jsonw_object(w);
    for (uint32_t i = 0; i < r->stage_index; i++) {
        bool is_repeated = false;
        for (uint32_t j = 0; j < i; j++)
            is_repeated = is_repeated || strcmp(r->stats[j].name, r->stats[i].name) == 0;
        sl_jsonw_name(w, is_repeated ? sl_call_format(r->call, "%s_%u", r->stats[i].name, i)
                                     : r->stats[i].name);
        sl_stage_stat_write(&r->stats[i], w);
    }
    sl_jsonw_end(w);
    sl_jsonw_member_f64(w, "total_time_ms", elapsed_ms(r));
    sl_jsonw_member_f64(w, "credits_used", CREDITS_PER_EXECUTION);
    sl_jsonw_end(w);
}

static void
write_execution(const struct sl_retrieval *r, const struct page *p, struct sl_jsonw *w)
{
    const struct run *run = r->arg;
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "execution_id", run->execution_id);
    sl_jsonw_member_str(w, "status", "completed");
    write_documents(r, p, "documents", w);
    write_pagination(p, r->found_count, w);
    if (r->facets.size > 0)
        sl_jsonw_member_raw(w, "facets", r->facets);
    write_statistics(r, w);
    sl_jsonw_name(w, "budget");
    sl_jsonw_object(w);
    sl_jsonw_member_f64(w, "credits_used", CREDITS_PER_EXECUTION);
    sl_jsonw_member_null(w, "credits_remaining");
    sl_jsonw_member_f64(w, "time_used_ms", elapsed_ms(r));
    sl_jsonw_end(w);
    sl_jsonw_member_bool(w, "optimization_applied", false);
    sl_jsonw_member_time(w, "created_at", r->call->now_ms);
    sl_jsonw_member_time(w, "completed_at", r->call->now_ms + (uint64_t)elapsed_ms(r));
    sl_jsonw_member_u64(w, "stages_completed", r->stage_index);
    sl_jsonw_member_u64(w, "total_stages", sl_json_count(r->stages));
    if (run->is_adhoc) {
        sl_jsonw_name(w, "execution_metadata");
        sl_jsonw_object(w);
        sl_jsonw_member_bool(w, "retriever_persisted", false);
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

/* Keep the latest runs: one more is about to be put. */
static void
prune(struct sl_call *call, const char *parent)
{
    struct sl_buf prefix = {0};
    struct sl_scan scan = {0};
    struct sl_slice old[8];
    uint32_t count = 0, olds = 0;
    sl_txn_scan(call->txn, call->who.scope, SL_TABLE_EXECUTION, sl_key_prefix(&prefix, 1, parent),
                (struct sl_slice){0}, true, &scan);
    while (olds < SL_COUNT_OF(old) && sl_scan_next(&scan)) {
        if (++count >= EXECUTIONS_KEPT_MAX)
            old[olds++] = sl_call_copy(call, scan.key);
    }
    sl_scan_end(&scan);
    for (uint32_t i = 0; i < olds; i++)
        sl_txn_del(call->txn, call->who.scope, SL_TABLE_EXECUTION, old[i]);
    sl_buf_deinit(&prefix);
}

static void
store(const struct sl_retrieval *r, const struct page *p, struct sl_slice detail)
{
    const struct run *run = r->arg;
    struct sl_call *call = r->call;
    uint32_t returned =
        p->offset >= r->found_count ? 0 : SL_MIN(r->found_count - p->offset, p->limit);
    uint32_t processed = 0;
    struct sl_buf row = {0}, key = {0};
    struct sl_jsonw w;
    for (uint32_t i = 0; i < r->stage_index; i++)
        processed = SL_MAX(processed, r->stats[i].output_count);
    sl_jsonw_init(&w, &row);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "execution_id", run->execution_id);
    sl_jsonw_member_str(&w, "execution_mode", run->is_adhoc ? "adhoc" : "stored");
    sl_jsonw_member_str(&w, "status", "completed");
    sl_jsonw_member_time(&w, "created_at", call->now_ms);
    sl_jsonw_member_time(&w, "timestamp", call->now_ms);
    sl_jsonw_member_time(&w, "completed_at", call->now_ms + (uint64_t)elapsed_ms(r));
    sl_jsonw_member_f64(&w, "duration_ms", elapsed_ms(r));
    sl_jsonw_member_f64(&w, "credits_used", CREDITS_PER_EXECUTION);
    sl_jsonw_member_u64(&w, "total_processed", processed);
    sl_jsonw_member_u64(&w, "total_returned", returned);
    sl_jsonw_member_u64(&w, "stages_completed", r->stage_index);
    sl_jsonw_member_u64(&w, "total_stages", sl_json_count(r->stages));
    sl_jsonw_name(&w, "detail");
    if (detail.size <= DETAIL_SIZE_MAX)
        sl_jsonw_raw(&w, detail);
    else
        write_execution(r, &(struct page){.limit = p->limit, .offset = r->found_count}, &w);
    sl_jsonw_end(&w);
    prune(call, run->parent);
    sl_txn_put(call->txn, call->who.scope, SL_TABLE_EXECUTION,
               sl_key(&key, 2, run->parent, run->execution_id), sl_buf_slice(&row));
    sl_buf_deinit(&row);
    sl_buf_deinit(&key);
}

static void
finish(struct sl_retrieval *r)
{
    const struct run *run = r->arg;
    struct sl_call *call = r->call;
    struct page page;
    read_page(call, run->pagination, &page);
    if (sl_call_has_failed(call))
        return;
    write_execution(r, &page, &call->out);
    if (run->is_adhoc)
        sl_call_header(call, "X-Execution-Mode", "adhoc");
    store(r, &page, sl_buf_slice(&call->reply));
    if (sl_json_bool(sl_json_member(call->body, "stream"), false))
        sl_execution_stream(r, run->execution_id);
}

static void
finish_search(struct sl_retrieval *r)
{
    struct page page = {.limit = r->found_count, .offset = 0};
    struct sl_jsonw *w = &r->call->out;
    sl_jsonw_object(w);
    write_documents(r, &page, "results", w);
    write_documents(r, &page, "documents", w);
    write_pagination(&page, r->found_count, w);
    sl_jsonw_end(w);
}

/* ---- handlers ------------------------------------------------------------------------------ */

static struct sl_retrieval *
make(struct sl_call *call, const char *parent, bool is_adhoc)
{
    struct sl_retrieval *r = sl_call_alloc(call, sizeof *r);
    struct run *run = sl_call_alloc(call, sizeof *run);
    *run = (struct run){
        .execution_id = execution_id(call),
        .parent = parent,
        .is_adhoc = is_adhoc,
        .has_vectors =
            sl_call_query_bool(call, "return_vectors",
                               sl_json_bool(sl_json_member(call->body, "return_vectors"), false)),
        .pagination = sl_json_member(call->body, "pagination"),
    };
    r->call = call;
    r->finish = finish;
    r->arg = run;
    return r;
}

static const char *
adhoc_parent(struct sl_call *call)
{
    return sl_call_format(call, "adhoc-%s", call->namespace_id);
}

void
sl_api_execute_retriever(struct sl_call *call)
{
    struct sl_resource found;
    struct page page;
    if (!sl_resource_find(call, &sl_kind_retriever, call->namespace_id, call->params[0], &found))
        return;
    read_page(call, sl_json_member(call->body, "pagination"), &page);
    struct sl_retrieval *r = make(call, found.id, false);
    r->stages = sl_json_member(found.row, "stages");
    if (!sl_call_has_failed(call) &&
        sl_retrieval_inputs(call, sl_json_member(found.row, "input_schema"),
                            sl_json_member(call->body, "inputs"), &r->inputs) &&
        sl_retrieval_collections(call, sl_json_member(found.row, "collection_ids"), r))
        sl_retrieval_start(r);
}

void
sl_api_execute_adhoc(struct sl_call *call)
{
    struct sl_buf stages = {0};
    struct page page;
    read_page(call, sl_json_member(call->body, "pagination"), &page);
    struct sl_retrieval *r = make(call, adhoc_parent(call), true);
    if (!sl_call_has_failed(call) &&
        sl_retrieval_inputs(call, sl_json_member(call->body, "input_schema"),
                            sl_json_member(call->body, "inputs"), &r->inputs) &&
        sl_retrieval_collections(
            call, sl_call_member(call, "collection_identifiers", "collection_ids"), r) &&
        sl_stages_check(call, sl_json_member(call->body, "stages"), r, &stages)) {
        r->stages = sl_call_parse(call, sl_buf_slice(&stages));
        sl_retrieval_start(r);
    }
    sl_buf_deinit(&stages);
}

void
sl_api_search_documents(struct sl_call *call)
{
    struct sl_buf short_form = {0}, inputs = {0}, stages = {0};
    struct sl_json limit = sl_call_member(call, "page_size", "limit");
    struct sl_retrieval *r = make(call, NULL, true);
    struct sl_jsonw w;
    r->finish = finish_search;
    /* The query goes in as an input: it must not be read as a template. */
    sl_jsonw_init(&w, &inputs);
    sl_jsonw_object(&w);
    sl_jsonw_member_value(&w, "query", sl_json_member(call->body, "query"));
    sl_jsonw_end(&w);
    sl_jsonw_init(&w, &short_form);
    sl_jsonw_array(&w);
    sl_jsonw_object(&w);
    sl_jsonw_member_str(&w, "type", "feature_search");
    sl_jsonw_member_str(&w, "query", "{{INPUT.query}}");
    if (sl_json_has(limit))
        sl_jsonw_member_value(&w, "limit", limit);
    else
        sl_jsonw_member_u64(&w, "limit", 10);
    sl_jsonw_end(&w);
    sl_jsonw_end(&w);
    r->inputs = sl_call_parse(call, sl_buf_slice(&inputs));
    if (sl_retrieval_collections(
            call, sl_call_member(call, "collection_ids", "collection_identifiers"), r) &&
        sl_stages_check(call, sl_call_parse(call, sl_buf_slice(&short_form)), r, &stages)) {
        r->stages = sl_call_parse(call, sl_buf_slice(&stages));
        sl_retrieval_start(r);
    }
    sl_buf_deinit(&short_form);
    sl_buf_deinit(&inputs);
    sl_buf_deinit(&stages);
}

/* ---- past runs ----------------------------------------------------------------------------- */

struct wanted { /* Of past runs: "" and 0 are not looked at. */
    struct sl_slice status;
    uint64_t start_ms, end_ms;
};

static uint64_t
read_time(struct sl_call *call, const char *name)
{
    struct sl_slice text = sl_call_text(call, sl_json_member(call->body, name));
    uint64_t wall_ms = 0;
    if (text.size > 0 && sl_time_parse(text, &wall_ms) != SL_OK)
        sl_call_invalid(call, sl_call_format(call, "body.%s", name), "datetime",
                        "must be an RFC 3339 time");
    return wall_ms;
}

static bool
is_wanted(const struct wanted *wanted, struct sl_json row)
{
    struct sl_buf a = {0}, b = {0};
    struct sl_slice status = {0}, time = {0};
    uint64_t wall_ms = 0;
    bool is_read = sl_json_text(sl_json_member(row, "status"), &a, &status) == SL_OK &&
                   sl_json_text(sl_json_member(row, "timestamp"), &b, &time) == SL_OK &&
                   sl_time_parse(time, &wall_ms) == SL_OK;
    bool is_good =
        is_read && (wanted->status.size == 0 || sl_slice_equal(status, wanted->status)) &&
        wall_ms >= wanted->start_ms && (wanted->end_ms == 0 || wall_ms <= wanted->end_ms);
    sl_buf_deinit(&a);
    sl_buf_deinit(&b);
    return is_good;
}

static bool
render_item(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
            struct sl_jsonw *w)
{
    static const char *const hidden[] = {"detail", NULL};
    struct sl_json_doc *doc = NULL;
    (void)call;
    (void)key;
    bool is_shown = sl_json_parse(value, &doc, NULL) == SL_OK && is_wanted(arg, sl_json_root(doc));
    if (is_shown) {
        sl_jsonw_object(w);
        sl_write_except(w, sl_json_root(doc), hidden);
        sl_jsonw_end(w);
    }
    sl_json_destroy(&doc);
    return is_shown;
}

static void
list_executions(struct sl_call *call, const char *parent)
{
    static const char *const fields[] = {"execution_id", NULL};
    struct sl_list list;
    struct sl_buf prefix = {0};
    struct wanted wanted = {.status = sl_call_text(call, sl_json_member(call->body, "status"))};
    wanted.start_ms = read_time(call, "start_time");
    wanted.end_ms = read_time(call, "end_time");
    struct sl_list_source source = {
        .scope = call->who.scope,
        .table = SL_TABLE_EXECUTION,
        .prefix = sl_key_prefix(&prefix, 1, parent),
        .render = render_item,
        .arg = &wanted,
        .needs_total = true,
        .search_fields = fields,
    };
    struct sl_jsonw *w = &call->out;
    if (!sl_call_has_failed(call) && sl_list_begin(call, 10, &list) &&
        sl_list_run(&list, call, &source)) {
        sl_jsonw_object(w);
        sl_jsonw_member_raw(w, "results", sl_buf_slice(&list.rows));
        sl_jsonw_member_u64(w, "total", list.total);
        sl_jsonw_name(w, "pagination");
        sl_jsonw_object(w);
        sl_jsonw_member_u64(w, "total", list.total);
        sl_jsonw_member_u64(w, "limit", list.limit);
        sl_jsonw_member_u64(w, "offset", list.offset);
        sl_jsonw_member_bool(w, "has_next", list.next_cursor.size > 0);
        sl_jsonw_member_bool(w, "has_previous", list.offset > 0);
        sl_jsonw_end(w);
        sl_jsonw_end(w);
        sl_list_end(&list);
    }
    sl_buf_deinit(&prefix);
}

static void
get_execution(struct sl_call *call, const char *parent, struct sl_slice id, bool is_detail)
{
    const char *text = sl_call_identifier(call, id);
    struct sl_buf key = {0};
    struct sl_slice value;
    static const char *const hidden[] = {"detail", NULL};
    if (text == NULL || sl_txn_get(call->txn, call->who.scope, SL_TABLE_EXECUTION,
                                   sl_key(&key, 2, parent, text), &value) != SL_OK) {
        sl_call_not_found(call, "execution", id);
    } else {
        struct sl_json row = sl_call_parse(call, value);
        if (is_detail) {
            sl_jsonw_value(&call->out, sl_json_member(row, "detail"));
        } else {
            sl_jsonw_object(&call->out);
            sl_write_except(&call->out, row, hidden);
            sl_jsonw_end(&call->out);
        }
    }
    sl_buf_deinit(&key);
}

void
sl_api_list_executions(struct sl_call *call)
{
    struct sl_resource found;
    if (sl_resource_find(call, &sl_kind_retriever, call->namespace_id, call->params[0], &found))
        list_executions(call, found.id);
}

void
sl_api_get_execution(struct sl_call *call)
{
    struct sl_resource found;
    if (sl_resource_find(call, &sl_kind_retriever, call->namespace_id, call->params[0], &found))
        get_execution(call, found.id, call->params[1], true);
}

void
sl_api_list_adhoc_executions(struct sl_call *call)
{
    list_executions(call, adhoc_parent(call));
}

void
sl_api_get_adhoc_execution(struct sl_call *call)
{
    get_execution(call, adhoc_parent(call), call->params[0], false);
}

/* ---- explain ------------------------------------------------------------------------------- */

/* How many documents a stage of these parameters gives at most. */
static uint64_t
estimate(struct sl_json stage, uint64_t input)
{
    static const char *const limits[] = {"final_top_k", "count", "limit"};
    struct sl_json parameters = sl_json_path(stage, sl_slice_str("config.parameters"));
    for (size_t i = 0; i < SL_COUNT_OF(limits); i++) {
        uint64_t limit;
        if (sl_json_u64(sl_json_member(parameters, limits[i]), &limit) == SL_OK)
            return SL_MIN(limit, input);
    }
    bool is_search =
        sl_json_is(sl_json_path(stage, sl_slice_str("config.stage_id")), "feature_search");
    return is_search ? SL_MIN(input, UINT64_C(25)) : input;
}

static double
write_plan(struct sl_call *call, struct sl_json stages, uint64_t documents, struct sl_jsonw *w)
{
    double total_ms = 0;
    uint64_t input = documents;
    uint32_t index = 0;
    sl_jsonw_name(w, "execution_plan");
    sl_jsonw_array(w);
    for (struct sl_json_iter i = sl_json_iter(stages); sl_json_next(&i); index++) {
        uint64_t output = estimate(i.value, input);
        /* About 10 million dimensions a millisecond, 384 of them a document; other stages less. */
        double ms = 1.0 + (double)input * 384e-7;
        total_ms += ms;
        sl_jsonw_object(w);
        sl_jsonw_member_u64(w, "stage_index", index);
        sl_jsonw_member_value(w, "stage_name", sl_json_member(i.value, "stage_name"));
        sl_jsonw_member_value(w, "stage_type", sl_json_member(i.value, "stage_type"));
        sl_jsonw_member_u64(w, "estimated_input", input);
        sl_jsonw_member_u64(w, "estimated_output", output);
        sl_jsonw_member_f64(w, "estimated_efficiency",
                            input == 0 ? 0 : (double)output / (double)input);
        sl_jsonw_member_f64(w, "estimated_cost_credits", index == 0 ? CREDITS_PER_EXECUTION : 0);
        sl_jsonw_member_f64(w, "estimated_duration_ms", ms);
        sl_jsonw_member_bool(w, "cache_likely", false);
        sl_jsonw_end(w);
        input = output;
    }
    sl_jsonw_end(w);
    (void)call;
    return total_ms;
}

void
sl_api_explain_retriever(struct sl_call *call)
{
    struct sl_resource found;
    struct sl_retrieval r = {.call = call};
    int64_t documents = 0;
    struct sl_jsonw *w = &call->out;
    if (!sl_resource_find(call, &sl_kind_retriever, call->namespace_id, call->params[0], &found) ||
        !sl_retrieval_collections(call, sl_json_member(found.row, "collection_ids"), &r))
        return;
    for (uint32_t i = 0; i < r.collections_count; i++)
        documents += sl_count(call->txn, sl_counter(call, SL_COUNT_RECORDS, r.collections[i].id));
    struct sl_json stages = sl_json_member(found.row, "stages");
    sl_jsonw_object(w);
    sl_jsonw_member_str(w, "retriever_id", found.id);
    sl_jsonw_member_value(w, "retriever_name", sl_json_member(found.row, "retriever_name"));
    double total_ms = write_plan(call, stages, documents > 0 ? (uint64_t)documents : 0, w);
    sl_jsonw_name(w, "estimated_cost");
    sl_jsonw_object(w);
    sl_jsonw_member_f64(w, "total_credits", CREDITS_PER_EXECUTION);
    sl_jsonw_member_f64(w, "total_duration_ms", total_ms);
    sl_jsonw_end(w);
    sl_jsonw_member_raw(w, "optimization_suggestions", sl_slice_str("[]"));
    sl_jsonw_member_u64(w, "total_estimated_stages", sl_json_count(stages));
    sl_jsonw_member_raw(w, "bottleneck_stages", sl_slice_str("[]"));
    sl_jsonw_member_str(w, "optimization_level", "none");
    sl_jsonw_member_bool(w, "optimization_applied", false);
    sl_jsonw_end(w);
}
