/* SPDX-License-Identifier: Apache-2.0 */
#include "extractors/host.h"

#include <criterion/criterion.h>
#include <signal.h>

#include "runtime/alloc.h"

#define PLUGINS SL_BINARY_DIR "/lib/sluice-test/"

static struct sl_host *
open_crash(const struct sl_host_options *options)
{
    struct sl_host_options none = {0};
    struct sl_host *host = NULL;
    struct sl_cause cause = {0};
    enum sl_err err = sl_host_open(PLUGINS "crash_extractor.so", options == NULL ? &none : options,
                                   &host, &cause);
    cr_assert_eq(err, SL_OK, "%s", cause.text);
    return host;
}

/* Run one item for each text. */
static struct sl_host_results
process(struct sl_host *host, const char *const *texts, uint32_t count, enum sl_err want)
{
    struct sluice_input inputs[8] = {0};
    struct sluice_item items[8] = {0};
    struct sl_host_results results = {0};
    for (uint32_t i = 0; i < count; i++) {
        inputs[i] = (struct sluice_input){.size = sizeof(inputs[i]),
                                          .name = "text",
                                          .data = texts[i],
                                          .data_bytes = strlen(texts[i])};
        items[i] = (struct sluice_item){.size = sizeof(items[i]),
                                        .input_count = 1,
                                        .id = "item",
                                        .inputs = &inputs[i],
                                        .params = "{}",
                                        .params_bytes = 2};
    }
    cr_assert_eq(sl_host_process(host, items, count, &results), want);
    cr_assert_eq(results.count, count);
    return results;
}

static void
expect_failure(const char *text, enum sluice_error_kind kind, const char *code)
{
    struct sl_host *host = open_crash(NULL);
    const char *texts[] = {"before", text, "after"};
    struct sl_host_results r = process(host, texts, 3, SL_OK);
    cr_expect_eq(r.items[0].kind, SLUICE_ERROR_NONE, "%s harms its neighbours", text);
    cr_expect_eq(r.items[2].kind, SLUICE_ERROR_NONE, "%s harms its neighbours", text);
    cr_expect_eq(r.items[1].kind, kind);
    cr_expect_str_eq(r.items[1].code, code);
    cr_expect_eq(r.items[1].records_count, 0);
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

Test(host, runs_a_batch_and_copies_what_is_emitted)
{
    struct sl_host *host = open_crash(NULL);
    const char *texts[] = {"one", "two"};
    struct sl_host_results r = process(host, texts, 2, SL_OK);
    cr_expect_str_eq(sl_host_extractor_lookup(host)->name, "crash_extractor");
    sl_host_close(&host); /* The results do not live in the plugin. */
    for (uint32_t i = 0; i < 2; i++) {
        cr_assert_eq(r.items[i].kind, SLUICE_ERROR_NONE);
        cr_assert_eq(r.items[i].records_count, 1);
        const struct sl_host_record *record = &r.items[i].records[0];
        cr_expect(sl_slice_is(record->fields, "{\"ok\":true}"));
        cr_assert_eq(record->vectors_count, 1);
        cr_expect_str_eq(record->vectors[0].index, "crash");
        cr_expect_eq(record->vectors[0].dimensions, 2);
        cr_expect_eq(record->vectors[0].values[0], 0.5f);
    }
    sl_host_results_deinit(&r);
}

Test(host, refuses_what_is_malformed_and_goes_on)
{
    expect_failure("NAN", SLUICE_ERROR_PERMANENT, "output_malformed");
    expect_failure("BROKEN", SLUICE_ERROR_PERMANENT, "output_malformed");
    expect_failure("ARRAY", SLUICE_ERROR_PERMANENT, "output_malformed");
    expect_failure("PAUSE EMPTY", SLUICE_ERROR_PERMANENT, "output_malformed");
    expect_failure("PAUSE NOWHERE", SLUICE_ERROR_PERMANENT, "output_malformed");
    expect_failure("PAUSE FAR", SLUICE_ERROR_PERMANENT, "output_malformed");
}

Test(host, stops_a_flood)
{
    expect_failure("FLOOD", SLUICE_ERROR_PERMANENT, "output_too_large");
}

Test(host, fails_what_is_never_finished_as_transient)
{
    expect_failure("FORGET", SLUICE_ERROR_TRANSIENT, "not_finished");
}

Test(host, passes_a_plugins_error_on_as_valid_text)
{
    struct sl_host *host = open_crash(NULL);
    const char *texts[] = {"FLAKY"};
    struct sl_host_results r = process(host, texts, 1, SL_OK);
    cr_expect_eq(r.items[0].kind, SLUICE_ERROR_TRANSIENT);
    cr_expect_str_eq(r.items[0].code, "flaky");
    cr_expect_str_eq(r.items[0].message, "try ? again ");
    cr_expect_eq(r.items[0].records_count, 0, "an error drops what was emitted");
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

Test(host, ignores_items_that_are_not_there_and_second_ends)
{
    struct sl_host *host = open_crash(NULL);
    const char *texts[] = {"ELSEWHERE", "TWICE", "LOG"};
    struct sl_host_results r = process(host, texts, 3, SL_OK);
    for (uint32_t i = 0; i < 3; i++)
        cr_expect_eq(r.items[i].kind, SLUICE_ERROR_NONE);
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

Test(host, a_batch_given_up_fails_the_rest_as_transient)
{
    struct sl_host *host = open_crash(NULL);
    const char *texts[] = {"one", "GIVE UP", "three"};
    struct sl_host_results r = process(host, texts, 3, SL_OK);
    cr_expect_eq(r.items[0].kind, SLUICE_ERROR_NONE);
    cr_expect_str_eq(r.items[1].code, "batch_failed");
    cr_expect_eq(r.items[2].kind, SLUICE_ERROR_TRANSIENT);
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

static bool
always(void *self)
{
    ++*(int *)self;
    return true;
}

Test(host, a_cancelled_batch_says_so)
{
    int asked = 0;
    struct sl_host_options options = {.is_cancelled = always, .self = &asked};
    struct sl_host *host = open_crash(&options);
    const char *texts[] = {"SLOW", "FORGET"};
    struct sl_host_results r = process(host, texts, 2, SL_ECANCELED);
    cr_expect_eq(r.items[0].kind, SLUICE_ERROR_NONE, "this one was done before");
    cr_expect_str_eq(r.items[1].code, "cancelled");
    cr_expect_gt(asked, 0);
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

Test(host, reports_a_sick_plugin)
{
    struct sl_host *host = open_crash(NULL);
    struct sl_cause cause = {0};
    const char *texts[] = {"SICK"};
    cr_expect_eq(sl_host_health(host, &cause), SL_OK);
    struct sl_host_results r = process(host, texts, 1, SL_OK);
    cr_expect_eq(sl_host_health(host, &cause), SL_EUNAVAIL);
    cr_expect(strstr(cause.text, "sick") != NULL);
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

Test(host, a_crash_takes_the_process_and_nothing_else, .signal = SIGSEGV)
{
    struct sl_host *host = open_crash(NULL);
    const char *texts[] = {"CRASH"};
    signal(SIGSEGV, SIG_DFL); /* A sanitizer would turn it into an exit. */
    process(host, texts, 1, SL_OK);
}

static void
expect_refused(const char *path, const struct sl_host_options *options, enum sl_err want,
               const char *why)
{
    struct sl_host *host = NULL;
    struct sl_cause cause = {0};
    cr_expect_eq(sl_host_open(path, options, &host, &cause), want, "%s: %s", path, cause.text);
    cr_expect(strstr(cause.text, why) != NULL, "%s: %s", path, cause.text);
    cr_expect_null(host);
}

Test(host, refuses_what_is_no_plugin)
{
    struct sl_host_options none = {0}, other = {.name = "other_extractor"};
    struct sl_host_options refused = {.params = sl_slice_str("{\"a\":\"REFUSE\"}")};
    struct sl_host_options no_model = {.has_model = true, .model_fd = -1};
    expect_refused("crash_extractor.so", &none, SL_EINVAL, "absolute");
    expect_refused(PLUGINS "absent.so", &none, SL_EUNAVAIL, "loaded");
    expect_refused(SL_SOURCE_DIR "/CMakeLists.txt", &none, SL_EUNAVAIL, "loaded");
    expect_refused("/lib/x86_64-linux-gnu/libm.so.6", &none, SL_EINVAL, "exports no");
    expect_refused(PLUGINS "bad_abi.so", &none, SL_EVERSION, "version 2");
    expect_refused(PLUGINS "bad_name.so", &none, SL_EINVAL, "malformed");
    expect_refused(PLUGINS "crash_extractor.so", &other, SL_EINVAL, "other_extractor");
    expect_refused(PLUGINS "crash_extractor.so", &refused, SL_EINVAL, "does not start: xxx");
    expect_refused(PLUGINS "crash_extractor.so", &no_model, SL_EINVAL, "");
}

Test(host, refuses_parameters_that_are_no_object)
{
    struct sl_host *host = open_crash(NULL);
    struct sl_host_results r = {0};
    static const char *const bad[] = {"", "[]", "{", "null"};
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        struct sluice_item item = {
            .size = sizeof(item), .params = bad[i], .params_bytes = strlen(bad[i])};
        cr_expect_eq(sl_host_process(host, &item, 1, &r), SL_EINVAL);
    }
    sl_host_close(&host);
}
