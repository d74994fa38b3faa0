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
tear_down(void)
{
    harness_deinit(&h);
}

TestSuite(list, .init = set_up, .fini = tear_down, .timeout = 60);

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
