/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/trace_context.h"

#include <criterion/criterion.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"

static bool
parse(const char *text, struct sl_trace_context *ret_context)
{
    return sl_trace_context_parse(sl_slice_str(text), ret_context);
}

Test(trace_context, is_written_as_it_was_read)
{
    struct sl_trace_context context;
    char text[SL_TRACE_PARENT_SIZE];
    cr_assert(parse("00-" TRACE "-" SPAN "-01", &context));
    cr_expect_eq(context.flags, SL_TRACE_SAMPLED);
    sl_trace_context_format(&context, text);
    cr_expect_str_eq(text, "00-" TRACE "-" SPAN "-01");
}

Test(trace_context, of_a_later_version_is_read_as_far_as_it_is_known)
{
    struct sl_trace_context context;
    char text[SL_TRACE_PARENT_SIZE];
    cr_assert(parse("cc-" TRACE "-" SPAN "-ff-what-may-come", &context));
    sl_trace_context_format(&context, text);
    cr_expect_str_eq(text, "00-" TRACE "-" SPAN "-01");
    cr_expect(parse("01-" TRACE "-" SPAN "-00", &context));
}

Test(trace_context, that_is_malformed_is_ignored)
{
    static const char *const wrong[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01-more",
        "cc-" TRACE "-" SPAN "-01.more",
        "ff-" TRACE "-" SPAN "-01",
        "0x-" TRACE "-" SPAN "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "_" SPAN "-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-" SPAN "-01",
        " 00-" TRACE "-" SPAN "-01",
    };
    struct sl_trace_context context = {.flags = 7};
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++)
        cr_expect_not(parse(wrong[i], &context), "%s", wrong[i]);
    cr_expect_eq(context.flags, 7, "what was there is left alone");
}

Test(trace_context, that_is_entered_has_the_callers_trace_and_a_span_of_its_own)
{
    struct sl_random random;
    struct sl_trace_context first, second, theirs;
    sl_random_seed(&random, 1);
    cr_assert(parse("00-" TRACE "-" SPAN "-01", &theirs));
    cr_expect(sl_trace_context_enter(sl_slice_str("00-" TRACE "-" SPAN "-01"), &random, &first));
    cr_expect_eq(memcmp(first.trace, theirs.trace, sizeof(first.trace)), 0);
    cr_expect_neq(memcmp(first.span, theirs.span, sizeof(first.span)), 0);
    cr_expect_eq(first.flags, SL_TRACE_SAMPLED);
    cr_expect_not(sl_trace_context_enter(sl_slice_str("nonsense"), &random, &first));
    cr_expect_not(sl_trace_context_enter(sl_slice(NULL, 0), &random, &second));
    cr_expect(sl_trace_context_is_set(&first) && sl_trace_context_is_set(&second));
    cr_expect_neq(memcmp(first.trace, second.trace, sizeof(first.trace)), 0);
    cr_expect_eq(second.flags, 0);
}

Test(trace_context, passes_on_a_state_that_is_printable_and_not_too_long)
{
    char text[SL_TRACE_STATE_MAX + 1];
    memset(text, 'a', sizeof(text));
    cr_expect(sl_trace_state_is_good(sl_slice_str("congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")));
    cr_expect(sl_trace_state_is_good(sl_slice(text, SL_TRACE_STATE_MAX)));
    cr_expect_not(sl_trace_state_is_good(sl_slice(text, sizeof(text))));
    cr_expect_not(sl_trace_state_is_good(sl_slice_str("")));
    cr_expect_not(sl_trace_state_is_good(sl_slice_str("a=\x01")));
}

Test(trace_context, is_sampled_by_its_own_id)
{
    struct sl_trace_context low = {.trace = {0xff, [15] = 1}, .span = {1}};
    struct sl_trace_context high = {.trace = {[9] = 0xff, [10] = 0xff}, .span = {1}};
    sl_trace_context_sample(&low, 0);
    sl_trace_context_sample(&high, 0.99);
    cr_expect_eq(low.flags, 0);
    cr_expect_eq(high.flags, 0);
    sl_trace_context_sample(&low, 0.01);
    sl_trace_context_sample(&high, 1);
    cr_expect_eq(low.flags, SL_TRACE_SAMPLED);
    cr_expect_eq(high.flags, SL_TRACE_SAMPLED);
}

Test(trace_context, keeps_the_callers_span_as_its_parent)
{
    struct sl_trace_context context, sent;
    struct sl_random random;
    sl_random_seed(&random, 1);
    cr_assert(parse("00-" TRACE "-" SPAN "-01", &sent));
    cr_assert(sl_trace_context_enter(sl_slice_str("00-" TRACE "-" SPAN "-01"), &random, &context));
    cr_expect_eq(memcmp(context.parent, sent.span, sizeof(sent.span)), 0);
    cr_expect_neq(memcmp(context.span, sent.span, sizeof(sent.span)), 0);
}

Test(trace_context, a_span_of_the_same_has_the_same_id)
{
    uint8_t one[8], same[8], other[8];
    sl_trace_span_of(1, 2, one);
    sl_trace_span_of(1, 2, same);
    sl_trace_span_of(2, 1, other);
    cr_expect_eq(memcmp(one, same, sizeof(one)), 0);
    cr_expect_neq(memcmp(one, other, sizeof(one)), 0);
}
