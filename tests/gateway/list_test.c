/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of large rows end before they are larger than a reply should be. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "gateway/list.h"
#include "runtime/alloc.h"
#include "tests/gateway/harness.h"

#define OBJECTS   40u
#define ROW_BYTES (SL_MIB - 100)

static struct harness h;

static void
set_up(void)
{
    harness_init(&h);
    harness_tenant(&h, "long", "unlimited");
    harness_namespace(&h, "long");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", "{\"bucket_name\":\"b\"}"), 200, "%s",
                 h.text);
    char *body = sl_alloc(ROW_BYTES + 64);
    for (uint32_t i = 0; i < OBJECTS; i++) {
        int size = snprintf(body, 64, "{\"n\":%u,\"filler\":\"", i);
        memset(body + size, 'x', ROW_BYTES - 40);
        memcpy(body + size + ROW_BYTES - 40, "\"}", 3);
        cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/b/objects", body), 200, "%.200s",
                     h.text);
    }
    sl_free(body);
}

static void
set_up_small(void)
{
    harness_init(&h);
    harness_tenant(&h, "many", "unlimited");
    harness_namespace(&h, "many");
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets", "{\"bucket_name\":\"m\"}"), 200, "%s",
                 h.text);
}

static void
tear_down(void)
{
    harness_deinit(&h);
}

TestSuite(list, .init = set_up, .fini = tear_down, .timeout = 60);
TestSuite(long_list, .init = set_up_small, .fini = tear_down, .timeout = 60);

/* Every object once, by cursors; how many pages it took. */
static uint32_t
walk(const char *body)
{
    uint64_t seen = 0;
    uint32_t pages = 0;
    char *path = sl_strdup("/v1/buckets/b/objects/list?limit=1000");
    while (path != NULL) {
        cr_assert_eq(harness_call(&h, "POST", path, body), 200, "%.200s", h.text);
        cr_assert_leq(strlen(h.text), SL_LIST_PAGE_BYTES + 2 * SL_MIB);
        sl_free(path);
        pages++;
        for (struct sl_json_iter i = sl_json_iter(sl_json_member(h.reply, "results"));
             sl_json_next(&i);) {
            uint64_t n = 0;
            cr_assert_eq(sl_json_u64(sl_json_member(i.value, "n"), &n), SL_OK);
            cr_assert_eq(seen >> n & 1, 0, "%u was listed twice", (unsigned)n);
            seen |= UINT64_C(1) << n;
        }
        char *cursor =
            sl_json_strdup(sl_json_path(h.reply, sl_slice_str("pagination.next_cursor")));
        path = cursor == NULL
                   ? NULL
                   : sl_format("/v1/buckets/b/objects/list?limit=1000&cursor=%s", cursor);
        sl_free(cursor);
    }
    cr_assert_eq(seen, (UINT64_C(1) << OBJECTS) - 1);
    return pages;
}

Test(list, large_rows_make_more_pages)
{
    cr_assert_eq(walk("{}"), 2);
    cr_assert_eq(walk("{\"include_total\":true}"), 2);
}

Test(list, so_do_sorted_ones)
{
    cr_assert_eq(walk("{\"sort\":{\"field\":\"n\",\"direction\":\"desc\"}}"), 2);
}

/* Small rows, more than one turn's worth. */
static void
make_many(uint32_t count)
{
    struct sl_buf body = {0};
    for (uint32_t i = 0; i < count;) {
        sl_buf_clear(&body);
        sl_buf_append_str(&body, "{\"objects\":[");
        for (uint32_t j = 0; j < 100; j++, i++)
            sl_buf_printf(&body, "%s{\"n\":%u,\"kind\":\"%s\"}", j == 0 ? "" : ",", i,
                          i % 4000 == 3999 ? "rare" : "usual");
        sl_buf_append_str(&body, "]}");
        cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/m/objects/batch", sl_buf_text(&body)),
                     200, "%.200s", h.text);
    }
    sl_buf_deinit(&body);
}

static uint32_t
list_many(const char *body)
{
    harness_turns = 0;
    cr_assert_eq(harness_call(&h, "POST", "/v1/buckets/m/objects/list", body), 200, "%.200s",
                 h.text);
    return harness_turns;
}

Test(long_list, gives_turns_and_finds_the_same)
{
    make_many(12000);
    cr_assert_eq(list_many("{}"), 0, "a page costs its rows");
    cr_assert_eq(list_many("{\"include_total\":true}"), 2);
    cr_assert_eq(harness_number(&h, "pagination.total"), 12000);
    cr_assert_eq(sl_json_count(sl_json_member(h.reply, "results")), 10);
    cr_assert_leq(list_many("{\"filters\":{\"kind\":\"rare\"},\"limit\":2}"), 2);
    cr_assert_eq(sl_json_count(sl_json_member(h.reply, "results")), 2);
    cr_assert(sl_json_has(sl_json_path(h.reply, sl_slice_str("pagination.next_cursor"))));
    cr_assert_eq(list_many("{\"filters\":{\"kind\":\"rare\"},\"sort\":{\"field\":\"n\","
                           "\"direction\":\"desc\"}}"),
                 2);
    cr_assert_eq(sl_json_count(sl_json_member(h.reply, "results")), 3);
    cr_assert_eq(harness_number(&h, "results.0.n"), 11999);
    cr_assert_eq(harness_number(&h, "results.2.n"), 3999);
    cr_assert_eq(list_many("{\"filters\":{\"kind\":\"none\"}}"), 2);
    cr_assert_eq(sl_json_count(sl_json_member(h.reply, "results")), 0);
}
