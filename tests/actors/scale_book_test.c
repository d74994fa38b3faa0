/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/scale_book.h"

#include <criterion/criterion.h>

#include "runtime/alloc.h"

static struct sl_scale_book book;
static char *why;

static void
finish(void)
{
    sl_scale_book_deinit(&book);
    sl_free(why);
}

TestSuite(scale_book, .fini = finish);

static enum sl_err
read(const char *config)
{
    struct sl_scale_settings defaults = sl_scale_settings_default();
    defaults.down_delay_ns = 7;
    return sl_scale_book_read(sl_slice_str(config), &defaults, &book, &why);
}

Test(scale_book, keeps_what_is_said_of_each_and_the_rest_as_it_is)
{
    cr_assert_eq(
        read("{\"a\":{\"labels\":{\"x\":\"y\"},\"autoscaling_config\":{\"max_replicas\":\"4\","
             "\"minReplicas\":2}},\"b\":{\"labels\":{}},\"c\":\"\","
             "\"d\":{\"autoscaling_config\":\"\"}}"),
        SL_OK);
    const struct sl_scale_settings *a = sl_scale_book_lookup(&book, "a");
    cr_assert_not_null(a);
    cr_assert_eq(a->max_replicas, 4);
    cr_assert_eq(a->min_replicas, 2);
    cr_assert_eq(a->down_delay_ns, 7);
    cr_assert_null(sl_scale_book_lookup(&book, "b"), "nothing is said of its replicas");
    cr_assert_null(sl_scale_book_lookup(&book, "c"));
    cr_assert_not_null(sl_scale_book_lookup(&book, "d"));
    cr_assert_null(sl_scale_book_lookup(&book, ""));
}

Test(scale_book, says_nothing_where_nothing_is_said)
{
    cr_assert_eq(read(""), SL_OK);
    cr_assert_eq(book.count, 0);
    cr_assert_eq(read("{}"), SL_OK);
    cr_assert_eq(book.count, 0);
}

Test(scale_book, refuses_what_is_wrong_and_says_where)
{
    static const struct {
        const char *config, *told;
    } bad[] = {
        {"[", "extractors: takes keys"},
        {"{\"a\":{\"autoscaling_config\":{\"max_replica\":\"1\"}}}",
         "extractors.\"a\".autoscaling_config: max_replica: no such setting; is max_replicas "
         "meant?"},
        {"{\"a\":{\"autoscaling_config\":{\"max_replicas\":\"many\"}}}",
         "max_replicas: expected a whole number up to 1000, got \"many\""},
        {"{\"a\":{\"autoscaling_config\":{\"max_replicas\":{}}}}", "expected a whole number"},
        {"{\"a\":{\"autoscaling_config\":{\"min_replicas\":\"3\"}}}",
         "min_replicas is more than max_replicas"},
        {"{\"a\":{\"autoscaling_config\":\"4\"}}", "takes keys, such as max_replicas: 4"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        cr_assert_eq(read(bad[i].config), SL_EINVAL, "%s", bad[i].config);
        cr_assert_not_null(strstr(why, bad[i].told), "%s", why);
        cr_assert_eq(book.count, 0);
        sl_free(why);
        why = NULL;
    }
}

Test(scale_book, keeps_how_much_memory_replicas_may_have)
{
    cr_assert_eq(read("{\"a\":{\"memory\":\"2GiB\"},\"b\":{\"autoscaling_config\":{}}}"), SL_OK);
    cr_expect_eq(sl_scale_book_memory(&book, "a", 5), 2 * SL_GIB);
    cr_expect_eq(sl_scale_book_memory(&book, "b", 5), 5);
    cr_expect_null(sl_scale_book_lookup(&book, "a"), "nothing is said of its replicas' number");
    sl_scale_book_deinit(&book);
    cr_expect_eq(read("{\"a\":{\"memory\":\"much\"}}"), SL_EINVAL);
    cr_expect_not_null(strstr(why, "extractors.\"a\".memory: expected a size"), "%s", why);
}

Test(scale_book, keeps_how_batches_are_to_be_formed)
{
    cr_assert_eq(read("{\"a\":{\"batching\":{\"units\":\"4096\",\"items\":64,\"delay\":\"5ms\"}},"
                      "\"b\":{\"batching\":{\"delay\":\"0\"}},\"c\":{\"batching\":\"\"}}"),
                 SL_OK, "%s", why);
    struct sl_batch_override a = sl_scale_book_batching(&book, "a");
    cr_expect_eq(a.units_max, 4096);
    cr_expect_eq(a.items_max, 64);
    cr_expect_eq(a.delay_ns, 5000000);
    cr_expect(a.has_delay);
    struct sl_batch_override b = sl_scale_book_batching(&book, "b");
    cr_expect(b.has_delay && b.delay_ns == 0 && b.units_max == 0, "no delay, whatever is stated");
    cr_expect_not(sl_scale_book_batching(&book, "c").has_delay);
    struct sl_scale_book other = {0};
    cr_expect_not(sl_scale_book_is_same(&book, &other));
}

Test(scale_book, refuses_bad_batches_and_says_where)
{
    static const struct {
        const char *config, *told;
    } bad[] = {
        {"{\"a\":{\"batching\":\"4\"}}", "extractors.\"a\".batching: takes keys, such as units"},
        {"{\"a\":{\"batching\":{\"unit\":\"4\"}}}", "batching takes units, items and delay"},
        {"{\"a\":{\"batching\":{\"units\":\"0\"}}}", "batching.units: the value \"0\""},
        {"{\"a\":{\"batching\":{\"units\":\"-1\"}}}", "batching.units: the value \"-1\""},
        {"{\"a\":{\"batching\":{\"items\":\"257\"}}}", "between 1 and 256"},
        {"{\"a\":{\"batching\":{\"delay\":\"2s\"}}}", "between 0 and 1s"},
        {"{\"a\":{\"batching\":{\"delay\":\"soon\"}}}", "batching.delay: expected a duration"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        cr_assert_eq(read(bad[i].config), SL_EINVAL, "%s", bad[i].config);
        cr_expect_not_null(strstr(why, bad[i].told), "%s", why);
        cr_expect_eq(book.batchings_count, 0);
        sl_free(why);
        why = NULL;
    }
}
