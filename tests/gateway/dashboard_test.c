/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>

#include "gateway/dashboard.h"

static bool
is_trusted(const char *host, const char *origin)
{
    return sl_page_is_trusted(sl_slice_str(host), sl_slice_str(origin));
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
    struct sl_page page = {0};
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
    struct sl_page page = {0};
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

/* Nothing is fetched from elsewhere: the page works on a machine without a network. */
Test(dashboard, asks_for_nothing_from_elsewhere)
{
    struct sl_dashboard dashboard = {.status = status, .arg = ""};
    struct sl_page page = {0};
    cr_assert(sl_dashboard_page(&dashboard, "/", &page));
    cr_assert_null(strstr(sl_buf_text(&page.body), "//"), "an address");
    cr_assert_null(strstr(sl_buf_text(&page.body), "@import"));
    cr_assert_null(strstr(sl_buf_text(&page.body), "innerHTML"));
    sl_buf_deinit(&page.body);
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
}
