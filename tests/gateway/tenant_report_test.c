/* SPDX-License-Identifier: Apache-2.0 */
/* What a tenant is told of its own: series over time, and how it is. */
#include <criterion/criterion.h>

#include "gateway/meter.h"
#include "gateway/request_counts.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

#define HOUR_MS UINT64_C(3600000)

static struct harness h;
static struct sl_identity operator, acme;

static void
setup(void)
{
    harness_init(&h);
    operator= h.who;
    harness_tenant(&h, "acme", "scale");
    acme = h.who;
}

static void
teardown(void)
{
    harness_deinit(&h);
}

TestSuite(tenant_report, .init = setup, .fini = teardown);

static int
get(const char *path)
{
    char *target = sl_format("/v1/tenants/acme/%s", path);
    int status = harness_call(&h, "GET", target, NULL);
    sl_free(target);
    return status;
}

/* The sum of a series' values. */
static double
sum_of(const char *name)
{
    double sum = 0, value = 0;
    struct sl_json series = sl_json_member(sl_json_member(h.reply, "series"), name);
    for (struct sl_json_iter i = sl_json_iter(series); sl_json_next(&i);) {
        struct sl_json_iter pair = sl_json_iter(i.value);
        cr_assert(sl_json_next(&pair) && sl_json_next(&pair));
        cr_assert_eq(sl_json_f64(pair.value, &value), SL_OK);
        sum += value;
    }
    return sum;
}

static uint32_t
points_of(const char *name)
{
    return sl_json_count(sl_json_member(sl_json_member(h.reply, "series"), name));
}

static void
answer(uint16_t status, uint32_t times)
{
    uint32_t count;
    struct sl_request_end end = {.scope = acme.scope,
                                 .tenant_id = "acme",
                                 .route = sl_routes(&count),
                                 .status = status,
                                 .took_ns = 2000000,
                                 .at_ms = h.now_ms};
    for (uint32_t i = 0; i < times; i++)
        sl_request_counts_add(h.gateway.requests, &end);
}

Test(tenant_report, series_are_those_of_the_ledger_hour_by_hour)
{
    h.now_ms = h.now_ms / (24 * HOUR_MS) * 24 * HOUR_MS + 10 * HOUR_MS; /* Not at a day's end. */
    for (int i = 0; i < 3; i++)
        cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces", NULL), 200);
    for (int i = 0; i < 8; i++) /* Recorded and folded. */
        cr_assert_eq(sl_meter_tick(&h.gateway, h.now_ms), SL_OK);
    h.now_ms += HOUR_MS;
    cr_assert_eq(harness_call(&h, "GET", "/v1/namespaces/x", NULL), 404); /* In memory alone. */
    cr_assert_eq(get("metrics?metrics=requests_total,error_rate,cost_total"), 200);
    cr_assert_geq(sum_of("requests_total"), 4);
    double requests = sum_of("requests_total");
    cr_assert_float_eq(sum_of("cost_total"), requests * 1e-6, 1e-4);
    cr_assert_eq(sum_of("error_rate"), 0); /* A 404 is the client's. */
    cr_assert_eq(points_of("error_rate"), 2);
    cr_assert_eq(points_of("latency_p99"), 0); /* Not asked for. */
    cr_assert_eq(get("metrics?metrics=requests_total&step=31d"), 200);
    cr_assert_eq(points_of("requests_total"), 1);
    cr_assert_eq(sum_of("requests_total"), requests + 1); /* The report before. */
}

Test(tenant_report, latency_is_of_the_hours_that_are_known)
{
    answer(200, 10);
    cr_assert_eq(get("metrics?metrics=latency_p99"), 200);
    cr_assert_eq(points_of("latency_p99"), 1);
    cr_assert_float_eq(sum_of("latency_p99"), 2.5, 0.1); /* Of its step, 1 to 2.5 ms. */
    h.now_ms += (SL_REQUEST_HOURS + 1) * HOUR_MS;
    answer(200, 1);
    cr_assert_eq(get("metrics?metrics=latency_p99"), 200);
    cr_assert_leq(points_of("latency_p99"), 2);
}

Test(tenant_report, a_table_has_a_column_for_each_series)
{
    cr_assert_eq(get("metrics?format=csv&metrics=tokens_total,requests_total&step=30d"), 200);
    cr_assert_eq(strncmp(h.text, "time,requests_total,tokens_total\r\n", 34), 0, "%s", h.text);
}

Test(tenant_report, what_cannot_be_is_refused_and_other_tenants_are_not_there)
{
    static const char *const bad[] = {
        "metrics=x",      "metrics=requests_total,", "step=0h",    "step=5",  "step=h",
        "step=99999999d", "period=2026-13",          "format=xml", "step=32d"};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        char *path = sl_format("metrics?%s", bad[i]);
        cr_assert_eq(get(path), strcmp(bad[i], "metrics=requests_total,") == 0 ? 200 : 422, "%s",
                     bad[i]);
        sl_free(path);
    }
    cr_assert_eq(h.gateway.meter->readers, 0);
    h.who = operator;
    harness_tenant(&h, "other", "scale");
    cr_assert_eq(get("metrics"), 404);
    cr_assert_eq(get("health"), 404);
    h.who = operator;
    cr_assert_eq(get("metrics"), 200);
    cr_assert_eq(get("health"), 200);
    cr_assert(harness_is(&h, "tenant_id", "acme"));
}

static double
member(const char *name)
{
    double value = -1;
    cr_assert_eq(sl_json_f64(sl_json_member(h.reply, name), &value), SL_OK, "%s", name);
    return value;
}

Test(tenant_report, health_is_the_worst_of_its_checks)
{
    cr_assert_eq(get("health"), 200);
    cr_assert(harness_is(&h, "status", "healthy"));
    cr_assert_eq(member("uptime"), 100);
    answer(200, 95);
    answer(500, 5);
    cr_assert_eq(get("health"), 200);
    cr_assert(harness_is(&h, "status", "degraded"));
    cr_assert_float_eq(member("error_rate"), 5, 0.2);
    answer(503, 50);
    cr_assert_eq(get("health"), 200);
    cr_assert(harness_is(&h, "status", "critical"));
    h.now_ms += 3 * HOUR_MS; /* It is over, but was. */
    cr_assert_eq(get("health"), 200);
    cr_assert(harness_is(&h, "status", "healthy"), "%s", h.text);
    cr_assert_lt(member("uptime"), 70);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "PUT", "/v1/tenants/acme/quotas",
                              "{\"limits\": {\"max_requests_per_day\": 3}}"),
                 200);
    h.who = acme;
    cr_assert_eq(get("health"), 200, "%s", h.text);
    cr_assert(harness_is(&h, "status", "critical"), "%s", h.text);
    cr_assert_geq(member("quota_usage"), 100);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "PUT", "/v1/tenants/acme/quotas",
                              "{\"limits\": {\"max_requests_per_day\": null}}"),
                 200);
    cr_assert_eq(get("health"), 200);
    cr_assert(harness_is(&h, "status", "healthy"), "%s", h.text);
    h.who = operator;
    cr_assert_eq(harness_call(&h, "POST", "/v1/tenants/acme/suspend", "{\"reason\": \"abuse\"}"),
                 200);
    cr_assert_eq(get("health"), 200);
    cr_assert(harness_is(&h, "status", "critical"));
}
