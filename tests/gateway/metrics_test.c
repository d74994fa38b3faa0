/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/metrics.h"
#include "gateway/request_counts.h"
#include "gateway/route.h"
#include "runtime/alloc.h"
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

static const char nodes[] =
    "[{\"group\":\"cpu\",\"state\":\"alive\",\"replicas\":["
    "{\"extractor\":\"e\",\"index\":\"i\",\"state\":\"ready\",\"ongoing\":2,"
    "\"memory\":{\"resident_bytes\":50,\"private_bytes\":30,\"device_bytes\":18446744073709551615},"
    "\"times\":{\"calls\":{\"count\":3,\"wait\":{\"sum_ms\":1.5}}}},"
    "{\"extractor\":\"e\",\"index\":\"i\",\"state\":\"starting\",\"ongoing\":1,"
    "\"memory\":{\"resident_bytes\":8,\"private_bytes\":{},\"device_bytes\":9},"
    "\"times\":{\"calls\":{\"count\":3,\"wait\":{\"sum_ms\":1.5}}}}],"
    "\"scaling\":[{\"extractor\":\"e\",\"wanted\":2,\"changes\":5}],"
    "\"objects\":{\"memory_bytes\":100,\"spilled_bytes\":7},\"images\":null},"
    "{\"group\":\"cpu\",\"state\":\"alive\",\"replicas\":["
    "{\"extractor\":\"e\",\"index\":\"i\",\"state\":\"ready\",\"ongoing\":0,"
    "\"times\":{\"calls\":{\"count\":1,\"wait\":{\"sum_ms\":0.5}}}}],"
    "\"scaling\":[],\"objects\":{\"memory_bytes\":11},\"images\":{\"bytes\":9}}]";

Test(metrics, nodes_are_added_up_and_a_pool_is_counted_once)
{
    struct sl_gateway g = {0};
    struct sl_dispatcher_counts tasks = {.done = 12, .parked = 4};
    struct sl_links_counts links = {.frames_sent = 9};
    struct sl_metrics_source s = {
        .gateway = &g, .nodes = sl_slice_str(nodes), .tasks = &tasks, .links = &links};
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
    sl_buf_deinit(&out);
}

#define BAD_TYPES                                                                                  \
    "[{\"replicas\":[{\"extractor\":4,\"times\":{\"calls\":1}}],\"scaling\":3,"                    \
    "\"objects\":{\"memory_bytes\":-1}}]"

Test(metrics, what_nodes_tell_wrongly_is_left_out)
{
    static const char *const texts[] = {"", "x", "[1,null,{}]", "{}", BAD_TYPES};
    struct sl_gateway g = {0};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        struct sl_metrics_source s = {.gateway = &g, .nodes = sl_slice_str(texts[i])};
        const char *text = write(&s);
        has_not(text, "sluice_replicas{");
        has(text, "# TYPE sluice_replicas gauge");
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
