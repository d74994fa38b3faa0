/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/ray_shape.h"

#include <criterion/criterion.h>

#include "runtime/json.h"

static struct sl_buf text;
static struct sl_json_doc *doc;

static void
finish(void)
{
    sl_json_destroy(&doc);
    sl_buf_deinit(&text);
}

TestSuite(ray_shape, .fini = finish);

static const char status[] =
    "{\"version\":\"1\",\"nodes\":[{\"node\":2,\"name\":\"2\",\"host\":\"h\",\"replicas\":["
    "{\"extractor\":\"text\",\"id\":9,\"pid\":77,\"state\":\"ready\",\"age_ms\":1000},"
    "{\"extractor\":\"text\",\"id\":10,\"pid\":78,\"state\":\"warming\",\"age_ms\":1}],"
    "\"scaling\":[{\"extractor\":\"text\",\"wanted\":2,\"life\":{\"state\":\"ready\"}},"
    "{\"extractor\":\"sick\",\"wanted\":1,\"life\":{\"state\":\"crashed\",\"reason\":\"it "
    "<b>fell</b>\"}},{\"extractor\":\"cold\",\"wanted\":0,\"life\":{\"state\":\"stopped\"}}]}],"
    "\"jobs\":[{\"id\":\"j1\",\"tenant\":\"acme\",\"state\":\"running\",\"done\":1,\"failed\":0,"
    "\"total\":3,\"created_ms\":5},{\"id\":\"j2\",\"tenant\":\"acme\",\"state\":\"partial\","
    "\"done\":1,\"failed\":2,\"total\":3}]}";

static struct sl_json
ask_of(const char *path, const char *from, uint16_t code)
{
    sl_json_destroy(&doc);
    sl_buf_clear(&text);
    cr_assert(sl_ray_shape_has(path), "%s", path);
    cr_assert_eq(sl_ray_shape_write(path, sl_slice_str(from), 50000, &text), code);
    cr_assert_eq(sl_json_parse(sl_buf_slice(&text), &doc, NULL), SL_OK, "%s", sl_buf_text(&text));
    return sl_json_root(doc);
}

static void
expect(struct sl_json of, const char *path, const char *wanted)
{
    cr_expect(sl_json_is(sl_json_path(of, sl_slice_str(path)), wanted), "%s is not %s in %s", path,
              wanted, sl_buf_text(&text));
}

Test(ray_shape, an_extractor_is_an_application_with_a_deployment)
{
    struct sl_json all = ask_of("/api/serve/applications/", status, 200);
    expect(all, "applications.text.status", "RUNNING");
    expect(all, "applications.text.deployments.text.status", "HEALTHY");
    expect(all, "applications.text.deployments.text.replicas.0.replica_id", "2-9");
    expect(all, "applications.text.deployments.text.replicas.0.state", "RUNNING");
    expect(all, "applications.text.deployments.text.replicas.1.state", "STARTING");
    expect(all, "applications.sick.status", "UNHEALTHY");
    expect(all, "applications.sick.message", "it <b>fell</b>");
    expect(all, "applications.cold.status", "RUNNING");
    struct sl_json at = sl_json_path(
        all, sl_slice_str("applications.text.deployments.text.replicas.0.start_time_s"));
    double seconds = 0;
    cr_assert_eq(sl_json_f64(at, &seconds), SL_OK);
    cr_expect_float_eq(seconds, 49, 1e-9);
}

Test(ray_shape, jobs_are_told_without_whose_they_are)
{
    struct sl_json all = ask_of("/api/jobs/", status, 200);
    cr_assert_eq(sl_json_count(all), 2);
    expect(all, "0.submission_id", "j1");
    expect(all, "0.status", "RUNNING");
    expect(all, "1.status", "FAILED");
    cr_expect_null(strstr(sl_buf_text(&text), "acme"));
    expect(ask_of("/api/jobs/j2", status, 200), "submission_id", "j2");
    ask_of("/api/jobs/j3", status, 404);
}

Test(ray_shape, versions_are_what_its_clients_ask_for_first)
{
    expect(ask_of("/api/version", status, 200), "version", "4");
    cr_expect(sl_json_has(sl_json_member(ask_of("/api/ray/version", status, 200), "ray_version")));
}

Test(ray_shape, what_is_not_told_is_left_out)
{
    static const char *const texts[] = {"",
                                        "{",
                                        "[]",
                                        "{}",
                                        "{\"nodes\":7,\"jobs\":{}}",
                                        ("{\"nodes\":[null,{\"replicas\":[5,{}],\"scaling\":[{}]}],"
                                         "\"jobs\":[1,{}]}")};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        ask_of("/api/serve/applications", texts[i], 200);
        ask_of("/api/jobs", texts[i], 200);
        ask_of("/api/version/", texts[i], 200);
    }
    cr_expect_not(sl_ray_shape_has("/api/jobs/x/logs"));
    cr_expect_not(sl_ray_shape_has("/api/versions"));
    cr_expect_not(sl_ray_shape_has("/"));
}
