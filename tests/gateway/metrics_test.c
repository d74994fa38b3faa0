/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "actors/head.h"
#include "actors/job_row.h"
#include "actors/rows.h"
#include "actors/served.h"
#include "actors/use_counts.h"
#include "gateway/limits.h"
#include "gateway/metrics.h"
#include "gateway/request_counts.h"
#include "gateway/route.h"
#include "gateway/use_jobs.h"
#include "runtime/alloc.h"
#include "runtime/store.h"
#include "tests/gateway/harness.h"

static struct sl_buf out;

static const char *
write(const struct sl_metrics_source *source)
{
    sl_buf_clear(&out);
    sl_metrics_write(source, &out);
    return sl_buf_text(&out);
}

static void
has(const char *text, const char *line)
{
    char *whole = sl_format("\n%s\n", line);
    cr_assert_not_null(strstr(text, whole), "%s is not in:\n%s", line, text);
    sl_free(whole);
}

static void
has_not(const char *text, const char *part)
{
    cr_assert_null(strstr(text, part), "%s is in:\n%s", part, text);
}

/* A route of one method. */
static const struct sl_route *
route(void)
{
    uint32_t count;
    const struct sl_route *at = sl_routes(&count);
    while (at->method == SL_ANY)
        at++;
    return at;
}

static void
end(struct sl_request_counts *c, uint64_t scope, const char *tenant, uint64_t times)
{
    struct sl_request_end e = {
        .scope = {scope}, .tenant_id = tenant, .route = route(), .status = 200, .took_ns = 2000000};
    for (uint64_t i = 0; i < times; i++)
        sl_request_counts_add(c, &e);
}

static const char one[] =
    "[{\"extractor\":\"e\",\"index\":\"i\",\"state\":\"ready\",\"ongoing\":2,\"is_first\":true,"
    "\"memory\":{\"resident_bytes\":50,\"private_bytes\":30,\"device_bytes\":18446744073709551615},"
    "\"times\":{\"calls\":{\"count\":3,\"wait\":{\"sum_ms\":1.5}}}},"
    "{\"extractor\":\"e\",\"index\":\"i\",\"state\":\"starting\",\"ongoing\":1,\"is_first\":false,"
    "\"memory\":{\"resident_bytes\":8,\"private_bytes\":{},\"device_bytes\":9},"
    "\"times\":{\"calls\":{\"count\":3,\"wait\":{\"sum_ms\":1.5}}}}]";
static const char other[] =
    "[{\"extractor\":\"e\",\"index\":\"i\",\"state\":\"ready\",\"ongoing\":0,\"is_first\":true,"
    "\"times\":{\"calls\":{\"count\":1,\"wait\":{\"sum_ms\":0.5}}}}]";
static const char decided[] = "[{\"extractor\":\"e\",\"wanted\":2,\"changes\":5}]";

/* What two nodes told; its node in *node. */
static void
tell(struct sl_served *served, struct sl_served_node **node, uint32_t number, const char *replicas)
{
    struct sl_served_word word = {number, sl_slice_str(replicas), 1000};
    sl_served_take_replicas(served, node, &word);
}

Test(metrics, nodes_are_added_up_and_a_pool_is_counted_once)
{
    struct sl_gateway g = {0};
    struct sl_dispatcher_counts tasks = {.done = 12, .parked = 4};
    struct sl_links_counts links = {.frames_sent = 9};
    const struct sl_head_node nodes[] = {
        {"cpu", "alive", "{\"memory_bytes\":100,\"spilled_bytes\":7}", NULL},
        {"cpu", "alive", "{\"memory_bytes\":11}", "{\"bytes\":9}"}};
    struct sl_served *served = sl_served_create();
    struct sl_served_node *told[2] = {0};
    tell(served, &told[0], 1, one);
    tell(served, &told[1], 2, other);
    sl_served_take_pools(served, &told[0],
                         &(struct sl_served_word){1, sl_slice_str(decided), 1000});
    struct sl_metrics_source s = {.gateway = &g,
                                  .nodes = nodes,
                                  .nodes_count = 2,
                                  .served = served,
                                  .tasks = &tasks,
                                  .links = &links};
    const char *text = write(&s);
    has(text, "sluice_workers{group=\"cpu\",state=\"alive\"} 2");
    has(text, "sluice_replicas{extractor=\"e\",state=\"ready\"} 2");
    has(text, "sluice_replicas{extractor=\"e\",state=\"starting\"} 1");
    has(text, "sluice_replica_ongoing{extractor=\"e\"} 3");
    has(text, "sluice_replica_memory_bytes{extractor=\"e\",kind=\"resident\"} 58");
    has(text, "sluice_replica_memory_bytes{extractor=\"e\",kind=\"private\"} 30");
    has(text, "sluice_replica_memory_bytes{extractor=\"e\",kind=\"host\"} 0");
    has(text, "sluice_replica_memory_bytes{extractor=\"e\",kind=\"device\"} 1.84467440737e+19");
    has(text, "sluice_replicas_wanted{extractor=\"e\"} 2");
    has(text, "sluice_replica_changes_total{extractor=\"e\"} 5");
    has(text, "sluice_item_seconds_count{extractor=\"e\",kind=\"calls\",phase=\"wait\"} 4");
    has(text, "sluice_item_seconds_sum{extractor=\"e\",kind=\"calls\",phase=\"wait\"} 0.002");
    has(text, "sluice_object_store_bytes{kind=\"objects\"} 111");
    has(text, "sluice_object_store_bytes{kind=\"images\"} 9");
    has(text, "sluice_tasks_total{outcome=\"done\"} 12");
    has(text, "sluice_tasks_parked 4");
    has(text, "sluice_link_frames_total{outcome=\"sent\"} 9");
    sl_served_forget(served, &told[0]);
    sl_served_forget(served, &told[1]);
    sl_served_destroy(&served);
    sl_buf_deinit(&out);
}

Test(metrics, what_nodes_tell_wrongly_is_left_out)
{
    static const char *const texts[] = {"", "x", "[1,null,{}]", "{}",
                                        "[{\"extractor\":4,\"times\":{\"calls\":1}}]"};
    const struct sl_head_node node = {"cpu", "alive", "{\"memory_bytes\":-1}", "x"};
    struct sl_gateway g = {0};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        struct sl_served *served = sl_served_create();
        struct sl_served_node *told = NULL;
        struct sl_metrics_source s = {
            .gateway = &g, .nodes = &node, .nodes_count = 1, .served = served};
        tell(served, &told, 1, texts[i]);
        const char *text = write(&s);
        has_not(text, "sluice_replicas{");
        has(text, "# TYPE sluice_replicas gauge");
        has(text, "sluice_object_store_bytes{kind=\"objects\"} 0");
        sl_served_forget(served, &told);
        sl_served_destroy(&served);
    }
    sl_buf_deinit(&out);
}

Test(metrics, tenants_beyond_the_first_hundred_are_others)
{
    struct sl_gateway g = {.requests = sl_request_counts_create()};
    struct sl_metrics_source s = {.gateway = &g};
    const char *name = route()->name, *method = sl_method_name(route()->method);
    for (uint32_t i = 1; i <= SL_METRICS_TENANTS_MAX + 20; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "t%u", i);
        end(g.requests, i, id, i);
    }
    char *most = sl_format("sluice_requests_total{tenant=\"t%u\",route=\"%s\",method=\"%s\","
                           "status=\"200\"} %u",
                           SL_METRICS_TENANTS_MAX + 20, name, method, SL_METRICS_TENANTS_MAX + 20);
    char *others = sl_format("sluice_requests_total{tenant=\"other\",route=\"%s\",method=\"%s\","
                             "status=\"200\"} %u",
                             name, method, 20 * 21 / 2);
    const char *text = write(&s);
    has(text, most);
    has(text, others);
    has_not(text, "tenant=\"t20\"");
    s.view = SL_METRICS_UNLABELED;
    text = write(&s);
    has_not(text, "tenant=");
    s.view = SL_METRICS_TENANT;
    s.tenant = (struct sl_identity){.scope = {3}, .tenant_id = "t3"};
    text = write(&s);
    has(text, "# TYPE sluice_requests_total counter");
    has_not(text, "tenant=\"t4\"");
    has_not(text, "tenant=\"other\"");
    has_not(text, "sluice_workers");
    char *steps = sl_format("sluice_request_duration_seconds_bucket{tenant=\"t3\",route=\"%s\","
                            "method=\"%s\",le=\"+Inf\"} 3",
                            name, method);
    has(text, steps);
    sl_request_counts_destroy(&g.requests);
    sl_buf_deinit(&out);
    sl_free(steps);
    sl_free(most);
    sl_free(others);
}

Test(metrics, a_key_sees_its_tenant_and_an_operator_any)
{
    struct harness h;
    harness_init(&h);
    struct sl_identity operator= h.who;
    harness_tenant(&h, "red", "scale");
    struct sl_identity red = h.who;
    h.who = operator;
    harness_tenant(&h, "blue", "scale");
    struct sl_identity blue = h.who;
    sl_request_counts_add(h.gateway.requests, &(struct sl_request_end){.scope = blue.scope,
                                                                       .tenant_id = blue.tenant_id,
                                                                       .route = route(),
                                                                       .status = 200});
    cr_assert_eq(harness_call(&h, "GET", "/metrics", NULL), 200);
    has_not(h.text, "tenant=\"red\"");
    cr_assert_not_null(strstr(h.text, "tenant=\"blue\""));
    h.who = red;
    cr_assert_eq(harness_call(&h, "GET", "/metrics", NULL), 200);
    has_not(h.text, "blue");
    cr_assert_eq(harness_call(&h, "GET", "/metrics?tenant_id=blue", NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/metrics?tenant_id=red", NULL), 200);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "GET", "/metrics?tenant_id=blue", NULL), 200);
    cr_assert_not_null(strstr(h.text, "tenant=\"blue\""));
    has_not(h.text, "sluice_workers");
    cr_assert_eq(harness_call(&h, "GET", "/metrics?tenant_id=none", NULL), 404);
    cr_assert_eq(harness_call(&h, "GET", "/metrics", NULL), 200);
    cr_assert_not_null(strstr(h.text, "sluice_workers"));
    harness_deinit(&h);
}

static void
count(struct sl_gateway *g, enum sl_use_kind kind, uint64_t scope, const char *one, const char *two)
{
    struct sl_use use = {
        .kind = kind, .scope = {scope}, .labels = {sl_slice_str(one), sl_slice_str(two)}};
    sl_use_count(g->uses, &use, 2, 1500000000);
}

Test(metrics, what_was_used_is_by_tenant_where_the_view_has_tenants)
{
    struct sl_gateway g = {.requests = sl_request_counts_create(), .uses = sl_use_counts_create()};
    struct sl_metrics_source s = {.gateway = &g};
    end(g.requests, 1, "red", 1);
    count(&g, SL_USE_LEDGER, 1, "tokens", "");
    count(&g, SL_USE_LEDGER, 1, "tasks", "");
    count(&g, SL_USE_LEDGER, 1, "compute_ms", "");
    count(&g, SL_USE_TOKENS, 1, "secret-model", "");
    count(&g, SL_USE_JOBS, 1, "own", "succeeded");
    count(&g, SL_USE_JOBS, 2, "own", "succeeded");
    const char *text = write(&s);
    has(text, "sluice_jobs_total{tenant=\"red\",type=\"own\",outcome=\"succeeded\"} 2");
    has(text, "sluice_jobs_total{tenant=\"other\",type=\"own\",outcome=\"succeeded\"} 2");
    has(text, "sluice_tokens_in_total{tenant=\"red\",model=\"secret-model\"} 2");
    has(text, "sluice_used_total{tenant=\"red\",resource=\"tasks\"} 2");
    has(text, "sluice_cost_total{tenant=\"red\"} 4.5");
    has(text, "sluice_decode_time_ms_sum{tenant=\"red\"} 2");
    has(text, "sluice_decode_time_ms_count{tenant=\"red\"} 2");
    has(text, "sluice_tenant_request_duration_seconds_count{tenant=\"red\"} 1");
    s.view = SL_METRICS_UNLABELED;
    count(&g, SL_USE_CHECKS, 1, "storage", "violated");
    text = write(&s);
    has(text, "sluice_isolation_checks_total{check=\"storage\",result=\"violated\"} 2");
    has(text, "sluice_jobs_total{type=\"own\",outcome=\"succeeded\"} 4");
    has(text, "sluice_tokens_in_total 2");
    has_not(text, "secret-model");
    has_not(text, "sluice_decode_time_ms");
    s.view = SL_METRICS_TENANT;
    s.tenant = (struct sl_identity){.scope = {2}, .tenant_id = "blue"};
    text = write(&s);
    has(text, "sluice_jobs_total{tenant=\"blue\",type=\"own\",outcome=\"succeeded\"} 2");
    has_not(text, "tenant=\"red");
    has_not(text, "secret-model");
    has_not(text, "process_");
    sl_use_counts_destroy(&g.uses);
    sl_request_counts_destroy(&g.requests);
    sl_buf_deinit(&out);
}

/* Scrapes are read by programs that take a family twice, or a sample without one, for an error. */
Test(metrics, each_family_is_there_once_and_each_sample_below_its_own)
{
    struct harness h;
    harness_init(&h);
    cr_assert_eq(harness_call(&h, "GET", "/metrics", NULL), 200);
    char family[128] = "", seen[128][128];
    uint32_t families = 0;
    for (char *rest = h.text, *line; (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        if (sscanf(line, "# HELP %127s", family) == 1) {
            for (uint32_t i = 0; i < families; i++)
                cr_assert_str_neq(seen[i], family);
            cr_assert_lt(families, SL_COUNT_OF(seen));
            (void)snprintf(seen[families++], sizeof(seen[0]), "%s", family);
        } else if (line[0] != '#') {
            cr_assert_eq(strncmp(line, family, strlen(family)), 0, "%s", line);
        }
    }
    cr_assert_gt(families, 30);
    harness_deinit(&h);
}

Test(metrics, a_call_is_charged_and_a_limit_shows_how_much_is_used)
{
    struct harness h;
    harness_init(&h);
    struct sl_identity operator= h.who;
    harness_tenant(&h, "red", "scale");
    struct sl_identity red = h.who;
    h.who = operator;
    cr_assert_eq(harness_call(&h, "PUT", "/v1/tenants/red/quotas",
                              "{\"limits\":{\"max_requests_per_day\":4}}"),
                 200);
    h.who = red;
    cr_assert_eq(harness_call(&h, "GET", "/v1/tenants/red/quotas", NULL), 200);
    cr_assert_eq(harness_call(&h, "GET", "/metrics", NULL), 200);
    cr_assert_not_null(strstr(h.text, "sluice_quota_used_ratio{tenant=\"red\","
                                      "limit=\"max_requests_per_day\"} "),
                       "%s", h.text);
    struct sl_metrics_source s = {.gateway = &h.gateway,
                                  .view = SL_METRICS_TENANT,
                                  .tenant = red,
                                  .now_ms = h.now_ms + UINT64_C(86400000)};
    has_not(write(&s), "limit=\"max_requests_per_day\"}"); /* Of another day. */
    sl_buf_deinit(&out);
    harness_deinit(&h);
}

Test(metrics, a_job_that_ended_is_counted_by_how_it_did)
{
    struct harness h;
    struct sl_buf row = {0};
    struct sl_job_id id = {.bytes = {1, 2, 3}};
    harness_init(&h);
    struct sl_slice key = sl_slice(id.bytes, sizeof(id.bytes));
    sl_job_row_encode(&(struct sl_job_row){.state = SL_JOB_PARTIAL, .kind = sl_slice_str("k")},
                      &row);
    struct sl_txn *txn = sl_store_begin(h.gateway.store);
    sl_txn_put(txn, h.who.scope, SL_TABLE_JOB, key, sl_buf_slice(&row));
    cr_assert_eq(sl_txn_commit(&txn), SL_OK);
    sl_use_job_ended(&h.gateway, h.who.scope, key);
    sl_use_job_ended(&h.gateway, h.who.scope, sl_slice_str("none"));
    sl_use_job_ended(&h.gateway, (struct sl_scope){99}, key);
    struct sl_queue_change change = {
        .change = SL_CHANGE_DONE, .state = SL_STATE_SUCCEEDED, .class = SL_CLASS_OWN};
    sl_use_own_changed(&h.gateway, &change);
    change.change = SL_CHANGE_FORGET;
    change.state = SL_STATE_NONE;
    sl_use_own_changed(&h.gateway, &change);
    struct sl_metrics_source s = {.gateway = &h.gateway, .view = SL_METRICS_UNLABELED};
    const char *text = write(&s);
    has(text, "sluice_jobs_total{type=\"k\",outcome=\"partial\"} 1");
    has(text, "sluice_jobs_total{type=\"own\",outcome=\"succeeded\"} 1");
    sl_buf_deinit(&row);
    sl_buf_deinit(&out);
    harness_deinit(&h);
}

Test(metrics, the_ends_of_steps_are_those_that_are_counted_by)
{
    struct sl_gateway g = {.requests = sl_request_counts_create()};
    struct sl_metrics_source s = {.gateway = &g, .view = SL_METRICS_UNLABELED};
    end(g.requests, 1, "red", 1);
    const char *at = write(&s);
    for (uint32_t i = 0; i < SL_REQUEST_STEPS - 1; i++) {
        double end_s = 0;
        at = strstr(at, ",le=\"");
        cr_assert_not_null(at);
        cr_assert_eq(sscanf(at, ",le=\"%lf\"", &end_s), 1);
        cr_assert_float_eq(end_s * SL_SECOND_NS, (double)sl_request_step_ns(i), 1);
        at++;
    }
    sl_request_counts_destroy(&g.requests);
    sl_buf_deinit(&out);
}
