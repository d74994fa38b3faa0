/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/dashboard.h"
#include "runtime/alloc.h"

static bool
is_trusted(const char *host, const char *origin)
{
    return sl_page_is_trusted(sl_slice_str(host), sl_slice_str(origin), NULL);
}

static void
status(void *arg, struct sl_buf *out)
{
    sl_buf_append_str(out, arg);
}

static bool
metrics(void *arg, struct sl_buf *out)
{
    sl_buf_append_str(out, arg);
    return strlen(arg) > 2;
}

static bool
history(void *arg, struct sl_slice span, struct sl_buf *out)
{
    (void)arg;
    sl_buf_append_slice(out, span);
    return sl_slice_is(span, "12h");
}

Test(dashboard, serves_the_history_of_a_span)
{
    struct sl_dashboard dashboard = {.history = history};
    struct sl_page page = {.is_wanted = true};
    cr_assert(sl_dashboard_page(&dashboard, "/history/12h.json", &page));
    cr_assert_str_eq(sl_buf_text(&page.body), "12h");
    cr_assert_eq(page.status, 0);
    cr_assert(sl_dashboard_page(&dashboard, "/history/", &page));
    cr_assert_eq(page.status, 404);
    sl_buf_deinit(&page.body);
}

Test(dashboard, serves_its_page_the_status_and_metrics)
{
    struct sl_dashboard dashboard = {.status = status, .metrics = metrics, .arg = "{\"a\":1}"};
    struct sl_page page = {.is_wanted = true};
    cr_assert(sl_dashboard_page(&dashboard, "/", &page));
    cr_assert_str_eq(page.type, "text/html; charset=utf-8");
    const char *text = sl_buf_text(&page.body);
    cr_assert_eq(strncmp(text, "<!doctype html>", 15), 0);
    cr_assert_str_eq(text + page.body.size - 8, "</html>\n");
    sl_buf_clear(&page.body);
    cr_assert(sl_dashboard_page(&dashboard, "/status.json", &page));
    cr_assert_str_eq(sl_buf_text(&page.body), "{\"a\":1}");
    sl_buf_clear(&page.body);
    cr_assert(sl_dashboard_page(&dashboard, "/metrics", &page));
    cr_assert_str_eq(sl_buf_text(&page.body), "{\"a\":1}");
    cr_assert_eq(strncmp(page.type, "text/plain; version=0.0.4", 25), 0);
    cr_assert_eq(page.status, 0);
    dashboard.arg = "";
    cr_assert(sl_dashboard_page(&dashboard, "/metrics", &page));
    cr_assert_eq(page.status, 503);
    cr_assert_not(sl_dashboard_page(&dashboard, "/other", &page));
    sl_buf_deinit(&page.body);
}

Test(dashboard, makes_no_figures_before_they_are_wanted)
{
    struct sl_dashboard dashboard = {0}; /* It would call what is not there. */
    struct sl_page page = {0};
    cr_assert(sl_dashboard_page(&dashboard, "/status.json", &page));
    cr_assert(sl_dashboard_page(&dashboard, "/metrics", &page));
    cr_assert(sl_dashboard_page(&dashboard, "/history/1h.json", &page));
    cr_assert(sl_dashboard_page(&dashboard, "/api/version", &page));
    cr_assert_eq(page.body.size, 0);
    cr_assert_not(page.is_open);
}

/* Nothing is fetched from elsewhere: the pages work on a machine without a network. What tenants
 * name becomes text: there is no way from text to markup in any file. */
Test(dashboard, asks_for_nothing_from_elsewhere_and_makes_no_markup_of_text)
{
    static const char *const files[] = {
#define ASSET(name, path, file, type) path,
#include "gateway/dashboard.def"
    };
    static const char *const not_there[] = {
        "https:",         "@import", "innerHTML", "outerHTML", "insertAdjacent",
        "document.write", "eval(",   "srcdoc",    "style=",    "onclick=\""};
    uint64_t total = 0;
    for (size_t i = 0; i < SL_COUNT_OF(files); i++) {
        struct sl_slice content = sl_dashboard_asset(files[i]);
        char *text = sl_strndup((const char *)content.data, content.size);
        cr_assert_gt(content.size, 200, "%s", files[i]);
        for (size_t n = 0; n < SL_COUNT_OF(not_there); n++)
            cr_assert_null(strstr(text, not_there[n]), "%s: %s", files[i], not_there[n]);
        total += content.size;
        sl_free(text);
    }
    cr_assert_leq(total, 150 * SL_KIB, "all pages together");
    cr_assert_null(sl_dashboard_asset("/status.json").data);
}

/* Big as the cluster may be: pages are told figures, not lists of it. */
Test(dashboard, tells_of_the_status_what_fits_on_a_screen)
{
    static const char text[] =
        "{\"version\":\"1\",\"uptime_s\":7,\"node\":{\"state\":\"ready\"},\"requests\":{\"in_"
        "flight\":2,"
        "\"waiting\":1,\"total\":99},\"nodes\":[{\"state\":\"alive\"},{\"state\":\"draining\"},"
        "{\"state\":\"alive\"}],\"queues\":[{\"queue\":\"a:b\",\"ready\":3,\"delayed\":1,"
        "\"leased\":2,"
        "\"oldest_ms\":50},{\"ready\":4,\"oldest_ms\":40}],\"jobs\":[{\"id\":\"<script>\"}]}";
    struct sl_dashboard dashboard = {.brief = status, .arg = (void *)text};
    struct sl_buf out = {0};
    sl_dashboard_feed(&dashboard, &out);
    const char *told = sl_buf_text(&out);
    cr_assert_not_null(strstr(told, "\"nodes\":{\"total\":3,\"alive\":2,\"draining\":1}"), "%s",
                       told);
    cr_assert_not_null(strstr(told, "\"queues\":{\"total\":2,\"ready\":7,\"delayed\":1,"
                                    "\"leased\":2,\"oldest_ms\":40}"));
    cr_assert_not_null(strstr(told, "\"jobs\":[{\"id\":\"<script>\"}]"));
    cr_assert_null(strstr(told, "uptime_s"), "what changes by itself is no news");
    cr_assert_null(strstr(told, "99"));
    sl_buf_clear(&out);
    dashboard.arg = "";
    sl_dashboard_feed(&dashboard, &out);
    cr_assert_eq(out.size, 0);
    sl_buf_deinit(&out);
}

Test(dashboard, only_numbers_and_localhost_are_trusted)
{
    cr_assert(is_trusted("127.0.0.1:8265", NULL));
    cr_assert(is_trusted("localhost", NULL));
    cr_assert(is_trusted("LOCALHOST:1", NULL));
    cr_assert(is_trusted("[::1]:8265", NULL));
    cr_assert(is_trusted("10.0.0.7:80", NULL));
    cr_assert_not(is_trusted(NULL, NULL));
    cr_assert_not(is_trusted("", NULL));
    cr_assert_not(is_trusted("evil.example", NULL));
    cr_assert_not(is_trusted("127.0.0.1.evil.example:8265", NULL));
    cr_assert_not(is_trusted("[::1", NULL));
    cr_assert(is_trusted("127.0.0.1:8265", "http://127.0.0.1:8265"));
    cr_assert_not(is_trusted("127.0.0.1:8265", "http://127.0.0.1:9999"));
    cr_assert_not(is_trusted("127.0.0.1:8265", "http://evil.example"));
    cr_assert_not(is_trusted("127.0.0.1:8265", "null"));
    struct sl_slice name = sl_slice_str("Sluice.Example.org:80");
    cr_assert(sl_page_is_trusted(name, sl_slice(NULL, 0), "a.example, sluice.example.org"));
    cr_assert(sl_page_is_trusted(name, sl_slice_str("http://Sluice.Example.org:80"),
                                 "sluice.example.org"));
    cr_assert_not(sl_page_is_trusted(name, sl_slice(NULL, 0), "sluice.example.or"));
    cr_assert_not(sl_page_is_trusted(name, sl_slice(NULL, 0), "sluice.example.organ"));
    cr_assert_not(sl_page_is_trusted(name, sl_slice(NULL, 0), ""));
}
