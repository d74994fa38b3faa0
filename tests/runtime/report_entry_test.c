/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdalign.h>
#include <stdio.h>

#include "runtime/report_entry.h"

static struct sl_report_found memory;

static struct sl_report_entry
complete(const char *message, bool is_output, uint64_t scope)
{
    struct sl_report_entry e = {.level = SL_REPORT_INFO,
                                .scope = scope,
                                .is_output = is_output,
                                .texts = {[SL_REPORT_message] = message}};
    sl_report_entry_complete(&e, &memory);
    for (int i = 0; i < SL_REPORT_FIELDS; i++)
        e.texts[i] = e.texts[i] == NULL ? "" : e.texts[i];
    return e;
}

Test(report_entry, a_record_reads_as_it_was_written)
{
    alignas(8) uint8_t record[SL_REPORT_RECORD_MAX];
    struct sl_report_entry got, e = {.sequence = 9, .at_ms = 8, .scope = 7, .pid = 6, .missed = 5};
    e.level = SL_REPORT_ERROR;
    e.texts[SL_REPORT_role] = "main";
    e.texts[SL_REPORT_message] = "a=b";
    size_t size = sl_report_entry_write(&e, record);
    cr_assert(sl_report_entry_read(sl_slice(record, size), &got));
    cr_expect_eq(got.sequence, 9);
    cr_expect_eq(got.scope, 7);
    cr_expect_eq(got.missed, 5);
    cr_expect_eq(got.level, SL_REPORT_ERROR);
    cr_expect_str_eq(got.texts[SL_REPORT_role], "main");
    cr_expect_str_eq(got.texts[SL_REPORT_message], "a=b");
    cr_expect_str_eq(got.texts[SL_REPORT_job], "");
    for (size_t less = 0; less < size; less++)
        cr_expect_not(sl_report_entry_read(sl_slice(record, less), &got));
}

Test(report_entry, what_is_too_long_is_cut_between_characters)
{
    static char texts[SL_REPORT_FIELDS][6001];
    alignas(8) uint8_t record[SL_REPORT_RECORD_MAX];
    struct sl_report_entry got, e = {0};
    for (int i = 0; i < SL_REPORT_FIELDS; i++) {
        for (int n = 0; n < 3000; n++)
            memcpy(texts[i] + 2 * n, "\xc3\xa4", 2);
        e.texts[i] = texts[i];
    }
    cr_assert(sl_report_entry_read(sl_slice(record, sl_report_entry_write(&e, record)), &got));
    cr_expect_eq(strlen(got.texts[SL_REPORT_message]), 2046);
    cr_expect_eq(strlen(got.texts[SL_REPORT_job]), 62);
}

Test(report_entry, ids_are_found_in_pairs_with_or_without_id)
{
    struct sl_report_entry e =
        complete("job_id=j1 why=\"tenant=bad\" tenant=acme scope=4", false, 0);
    cr_expect_str_eq(e.texts[SL_REPORT_job], "j1");
    cr_expect_str_eq(e.texts[SL_REPORT_tenant], "acme");
    cr_expect_eq(e.scope, 4);
}

Test(report_entry, a_childs_own_report_tells_its_level_and_event)
{
    struct sl_report_entry e = complete(
        "2026-03-01T12:00:00.000Z warn replica[7] extractor name=x job=j2 scope=3", true, 0);
    cr_expect_eq(e.level, SL_REPORT_WARN);
    cr_expect_str_eq(e.texts[SL_REPORT_event], "extractor");
    cr_expect_str_eq(e.texts[SL_REPORT_message], "name=x job=j2 scope=3");
    cr_expect_str_eq(e.texts[SL_REPORT_job], "j2");
    cr_expect_eq(e.scope, 3);
}

Test(report_entry, so_does_an_object_of_json)
{
    struct sl_report_entry e = complete(
        "{\"level\":\"error\",\"event\":\"x\",\"job\":\"j3\",\"scope\":3,\"role\":\"main\"}", true,
        0);
    cr_expect_eq(e.level, SL_REPORT_ERROR);
    cr_expect_str_eq(e.texts[SL_REPORT_event], "x");
    cr_expect_str_eq(e.texts[SL_REPORT_job], "j3");
    cr_expect_str_eq(e.texts[SL_REPORT_role], "");
    cr_expect_eq(e.scope, 3);
    e = complete("{\"level\":", true, 0);
    cr_expect_str_eq(e.texts[SL_REPORT_event], "output");
}

Test(report_entry, a_tenants_own_replica_speaks_of_no_other)
{
    struct sl_report_entry e = complete("tenant=other scope=9 job=j4", true, 3);
    cr_expect_eq(e.scope, 3);
    cr_expect_str_eq(e.texts[SL_REPORT_tenant], "");
    cr_expect_str_eq(e.texts[SL_REPORT_job], "j4");
}

Test(report_entry, keys_are_blanked_and_what_is_no_utf_8_is_replaced)
{
    struct sl_report_entry e =
        complete("key=sk_0123456789abcdefghij job=sk_0123456789 task_id sk_1 \xff", true, 0);
    cr_expect_str_eq(e.texts[SL_REPORT_message],
                     "key=sk_******************** job=sk_********** task_id sk_1 ?");
    cr_expect_str_eq(e.texts[SL_REPORT_job], "sk_**********");
}
