/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in plugins, as the host sees them: through the contract.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <math.h>
#include <unistd.h>

#include "extractors/host.h"
#include "extractors/media_type.h"
#include "extractors/text_hash.h"
#include "object-store/model.h"
#include "runtime/alloc.h"
#include "runtime/json.h"
#include "tests/object-store/tiny_model.h"

/* Most asks leave most of their members out. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define PLUGINS SL_BINARY_DIR "/lib/sluice/"

struct ask {
    const char *name, *text, *params;
    const char *mime, *metadata;
};

static struct sl_host *
open_plugin(const char *file, const struct sl_host_options *options)
{
    struct sl_host_options none = {0};
    struct sl_host *host = NULL;
    struct sl_cause cause = {0};
    enum sl_err err = sl_host_open(file, options == NULL ? &none : options, &host, &cause);
    cr_assert_eq(err, SL_OK, "%s", cause.text);
    return host;
}

static struct sl_host_results
run(struct sl_host *host, const struct ask *asks, uint32_t count)
{
    struct sluice_input inputs[16][2];
    struct sluice_item items[16];
    struct sl_host_results results = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct ask *a = &asks[i];
        inputs[i][0] = (struct sluice_input){.size = sizeof(inputs[i][0]),
                                             .name = a->name,
                                             .mime = a->mime,
                                             .data = a->text,
                                             .data_bytes = strlen(a->text)};
        inputs[i][1] =
            (struct sluice_input){.size = sizeof(inputs[i][1]),
                                  .name = "metadata",
                                  .data = a->metadata,
                                  .data_bytes = a->metadata == NULL ? 0 : strlen(a->metadata)};
        items[i] = (struct sluice_item){.size = sizeof(items[i]),
                                        .input_count = a->metadata == NULL ? 1 : 2,
                                        .id = "item",
                                        .inputs = inputs[i],
                                        .params = a->params == NULL ? "{}" : a->params,
                                        .params_bytes = a->params == NULL ? 2 : strlen(a->params)};
    }
    cr_assert_eq(sl_host_process(host, items, count, &results), SL_OK);
    return results;
}

static double
dot(const struct sl_host_vector *a, const struct sl_host_vector *b)
{
    double sum = 0;
    cr_assert_eq(a->dimensions, b->dimensions);
    for (uint32_t i = 0; i < a->dimensions; i++)
        sum += (double)a->values[i] * (double)b->values[i];
    return sum;
}

static void
expect_record(const struct sl_host_record *record, const char *fields)
{
    cr_expect(sl_slice_is(record->fields, fields), "%.*s", SL_SLICE_FMT(record->fields));
}

Test(plugins, text_without_a_model_is_cut_and_hashed)
{
    struct sl_host *host = open_plugin(PLUGINS "text_extractor.so", NULL);
    struct ask asks[] = {
        {"text", "One sentence. Another \"one\".", "{\"split_by\":\"sentences\",\"chunk_size\":1}"},
        {"text", "", NULL},
        {"content", "whole", "{\"split_by\":null}"},
    };
    struct sl_host_results r = run(host, asks, 3);
    cr_assert_eq(r.items[0].records_count, 2);
    const struct sl_host_record *records = r.items[0].records;
    expect_record(&records[0], "{\"text\":\"One sentence.\",\"chunk_index\":0,\"total_chunks\":2}");
    expect_record(&records[1],
                  "{\"text\":\"Another \\\"one\\\".\",\"chunk_index\":1,\"total_chunks\":2}");
    cr_expect_str_eq(records[0].vectors[0].index, SL_TEXT_HASH_INDEX);
    cr_expect_eq(records[0].vectors[0].dimensions, SL_TEXT_HASH_DIMENSIONS);
    cr_expect_float_eq(dot(&records[0].vectors[0], &records[0].vectors[0]), 1.0, 1e-5);
    cr_expect(r.items[1].kind == SLUICE_ERROR_NONE && r.items[1].records_count == 0);
    cr_expect_eq(r.items[2].records_count, 1);
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

/* One item over and over, each time from where it was paused; how often it ran. */
static uint32_t
run_parts(struct sl_host *host, struct sl_slice text, const char *params, struct sl_buf *ret_text)
{
    struct sluice_input input = {
        .size = sizeof(input), .name = "text", .data = text.data, .data_bytes = text.size};
    struct sluice_item item = {.size = sizeof(item),
                               .input_count = 1,
                               .id = "item",
                               .inputs = &input,
                               .params = params,
                               .params_bytes = strlen(params)};
    uint8_t resume[SLUICE_RESUME_BYTES_MAX];
    for (uint32_t runs = 1;; runs++) {
        struct sl_host_results r = {0};
        cr_assert_eq(sl_host_process(host, &item, 1, &r), SL_OK);
        cr_assert_eq(r.items[0].kind, SLUICE_ERROR_NONE, "%s", r.items[0].message);
        for (uint32_t i = 0; i < r.items[0].records_count; i++)
            sl_buf_append_slice(ret_text, r.items[0].records[i].fields);
        bool is_paused = r.items[0].is_paused;
        item.first_record += r.items[0].records_count;
        item.resume_bytes = r.items[0].resume_bytes;
        item.resume = memcpy(resume, r.items[0].resume, sizeof(resume));
        sl_host_results_deinit(&r);
        if (!is_paused)
            return runs;
        cr_assert_lt(runs, 1000);
    }
}

Test(plugins, a_long_text_is_worked_on_in_parts)
{
    struct sl_host *host = open_plugin(PLUGINS "text_extractor.so", NULL);
    struct sl_buf text = {0}, found = {0}, wanted = {0};
    for (uint32_t i = 0; i < 3000; i++)
        sl_buf_printf(&text, "word%u ", i);
    for (uint32_t i = 0; i < 3000; i++)
        sl_buf_printf(&wanted, "{\"text\":\"word%u\",\"chunk_index\":%u,\"total_chunks\":3000}", i,
                      i);
    uint32_t runs =
        run_parts(host, sl_buf_slice(&text), "{\"split_by\":\"words\",\"chunk_size\":1}", &found);
    cr_expect_gt(runs, 1);
    cr_expect(sl_slice_equal(sl_buf_slice(&found), sl_buf_slice(&wanted)));
    sl_buf_deinit(&text);
    sl_buf_deinit(&found);
    sl_buf_deinit(&wanted);
    sl_host_close(&host);
}

Test(plugins, a_part_of_another_text_is_refused)
{
    struct sl_host *host = open_plugin(PLUGINS "text_extractor.so", NULL);
    struct sluice_input input = {
        .size = sizeof(input), .name = "text", .data = "a b c", .data_bytes = 5};
    static const uint64_t resumes[][3] = {{2, 6, 3}, {5, 5, 3}, {UINT64_MAX, 5, 3}};
    static const uint32_t sizes[] = {24, 24, 24};
    for (size_t i = 0; i < SL_COUNT_OF(resumes); i++) {
        struct sl_host_results r = {0};
        struct sluice_item item = {.size = sizeof(item),
                                   .input_count = 1,
                                   .id = "item",
                                   .inputs = &input,
                                   .params = "{}",
                                   .params_bytes = 2,
                                   .resume = resumes[i],
                                   .resume_bytes = sizes[i],
                                   .first_record = 1};
        cr_assert_eq(sl_host_process(host, &item, 1, &r), SL_OK);
        cr_expect_str_eq(r.items[0].code, "source_changed");
        sl_host_results_deinit(&r);
    }
    sl_host_close(&host);
}

Test(plugins, text_refuses_bad_parameters_one_by_one)
{
    struct sl_host *host = open_plugin(PLUGINS "text_extractor.so", NULL);
    struct ask asks[] = {
        {"text", "a b", "{\"split_by\":\"words\",\"chunk_size\":0}"},
        {"text", "a b", "{\"split_by\":\"words\",\"chunk_size\":5,\"chunk_overlap\":5}"},
        {"text", "a b", "{\"split_by\":\"words\",\"chunk_size\":\"5\"}"},
        {"text", "a b", "{\"split_by\":\"time_segments\"}"},
        {"text", "a b", "{\"source_type\":\"youtube\"}"},
        {"text", "a b", "{\"response_shape\":\"x\"}"},
        {"text",
         "a\xFF"
         "b",
         NULL},
        {"text", "a b", "{\"index\":\"all_minilm_l6_v2\"}"},
        {"text", "a b", "{\"split_by\":\"words\",\"chunk_size\":1}"},
    };
    static const char *const codes[] = {
        "invalid_parameter",    "invalid_parameter",       "invalid_parameter",
        "split_by_unsupported", "source_type_unsupported", "response_shape_unsupported",
        "invalid_utf8",         "model_missing",           ""};
    struct sl_host_results r = run(host, asks, SL_COUNT_OF(asks));
    for (size_t i = 0; i < SL_COUNT_OF(asks); i++) {
        cr_expect_str_eq(r.items[i].code, codes[i]);
        cr_expect_eq(r.items[i].kind,
                     codes[i][0] == '\0' ? SLUICE_ERROR_NONE : SLUICE_ERROR_PERMANENT);
    }
    cr_expect_eq(r.items[8].records_count, 2);
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

static int
build_model(const struct tiny_model_options *options)
{
    char path[64];
    int fd = -1;
    struct sl_cause cause = {0};
    cr_assert_not_null(tiny_directory_make(path));
    cr_assert_eq(tiny_model_write(path, options), 0);
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(sl_model_build(directory, NULL, &fd, &cause), SL_OK, "%s", cause.text);
    close(directory);
    tiny_directory_remove(path);
    return fd;
}

static void
check_model_vectors(const struct tiny_model_options *model)
{
    struct sl_host_options options = {
        .has_model = true, .model_fd = build_model(model), .model_name = "tiny_v1", .threads = 2};
    struct sl_host *host = open_plugin(PLUGINS "text_extractor.so", &options);
    struct ask asks[] = {{"text", "alpha beta", NULL},
                         {"text", "gamma delta epsilon", "{\"index\":\"other_v1\"}"},
                         {"text", "alpha beta", "{\"split_by\":\"words\",\"chunk_size\":2}"},
                         {"text", "alpha beta", "{\"index\":\"text_hash_v1\"}"},
                         {"text", "\xEE\x80\x80 \xEE\x80\x81", NULL}, /* Unknown tokens. */
                         {"text", "", NULL}};
    struct sl_host_results r = run(host, asks, 6);
    cr_assert_eq(r.items[5].kind, SLUICE_ERROR_NONE);
    cr_assert_eq(r.items[5].records_count, 0, "nothing gives nothing");
    for (int i = 0; i < 5; i++)
        cr_assert_eq(r.items[i].records_count, 1, "%s", r.items[i].message);
    const struct sl_host_vector *first = r.items[0].records[0].vectors;
    cr_expect_str_eq(first->index, "tiny_v1");
    cr_expect_str_eq(r.items[1].records[0].vectors->index, "other_v1");
    cr_expect_eq(first->dimensions, 32);
    cr_expect_float_eq(dot(first, first), 1.0, 1e-5);
    cr_expect_float_eq(dot(first, r.items[2].records[0].vectors), 1.0, 1e-5, "same text");
    cr_expect_eq(r.items[3].records[0].vectors->dimensions, SL_TEXT_HASH_DIMENSIONS);
    const struct sl_host_vector *unknown = r.items[4].records[0].vectors;
    cr_expect_float_eq(dot(unknown, unknown), 1.0, 1e-5);
    sl_host_results_deinit(&r);
    sl_host_close(&host);
    close(options.model_fd);
}

static uint64_t
cost_of(struct sl_host *host, const char *text, const char *params)
{
    struct sluice_input input = {
        .size = sizeof(input), .name = "text", .data = text, .data_bytes = strlen(text)};
    struct sluice_item item = {.size = sizeof(item),
                               .input_count = 1,
                               .inputs = &input,
                               .params = params,
                               .params_bytes = strlen(params)};
    uint64_t units = 0;
    struct sl_cause cause = {0};
    cr_assert_eq(sl_host_cost(host, &item, &units, &cause), SL_OK, "%s", cause.text);
    return units;
}

Test(plugins, text_with_a_model_costs_its_tokens)
{
    const struct tiny_model_options model = {.seed = 1};
    struct sl_host_options options = {
        .has_model = true, .model_fd = build_model(&model), .model_name = "tiny_v1", .threads = 1};
    struct sl_host *host = open_plugin(PLUGINS "text_extractor.so", &options);
    struct sl_batch_plan plan = sl_host_batch_plan(host, &(struct sl_batch_override){0});
    cr_expect_eq(plan.units_max, 1024);
    cr_expect_eq(plan.delay_ns, 0);
    cr_expect_str_eq(sl_host_batch_unit(host), "token");
    uint64_t one = cost_of(host, "alpha", "{}"), three = cost_of(host, "alpha alpha alpha", "{}");
    cr_expect_geq(one, 3, "the word and the two ends");
    cr_expect_eq(three, 2 + 3 * (one - 2));
    char *many = sl_zalloc(60001);
    for (uint32_t i = 0; i < 10000; i++)
        memcpy(many + (size_t)i * 6, "alpha ", 6);
    uint64_t most = cost_of(host, many, "{}");
    cr_expect_leq(most, 512, "what is cut off costs nothing");
    cr_expect_geq(cost_of(host, many, "{\"split_by\":\"words\",\"chunk_size\":100}"), 10000,
                  "of chunks an upper estimate");
    cr_expect_eq(cost_of(host, "alpha beta", "{\"index\":\"text_hash_v1\"}"), 1);
    cr_expect_eq(cost_of(host, "alpha beta", "{\"split_by\":\"words\",\"chunk_size\":0}"), 1,
                 "it will be refused");
    sl_free(many);
    sl_host_close(&host);
    close(options.model_fd);
}

Test(plugins, text_with_a_model_gives_its_vectors)
{
    check_model_vectors(&(struct tiny_model_options){.seed = 1});
    check_model_vectors(&(struct tiny_model_options){.seed = 1, .is_half = true, .is_cls = true});
}

Test(plugins, text_does_not_start_on_a_model_that_is_no_encoder)
{
    struct tiny_model_options bent = {.seed = 1, .bend_tensor = "embeddings.LayerNorm.weight"};
    struct sl_host_options options = {.has_model = true, .model_fd = build_model(&bent)};
    struct sl_host *host = NULL;
    struct sl_cause cause = {0};
    cr_expect_eq(sl_host_open(PLUGINS "text_extractor.so", &options, &host, &cause), SL_EINVAL);
    cr_expect(strstr(cause.text, "LayerNorm") != NULL, "%s", cause.text);
    close(options.model_fd);
}

Test(plugins, passthrough_labels_what_it_gets)
{
    struct sl_host *host = open_plugin(PLUGINS "passthrough_extractor.so", NULL);
    struct ask asks[] = {
        {"content", "plain", NULL, NULL, "{\"k\": 1.50}"},
        {"content", "https://example.com/x.png", "{\"preserve_metadata\":false}", NULL,
         "{\"k\":1}"},
        {"data", "{\"a\":1}", "{\"content_url\":\"blob:1\"}"},
        {"content", "a,b", NULL, "text/csv"},
        {"other", "x", NULL},
    };
    struct sl_host_results r = run(host, asks, SL_COUNT_OF(asks));
    expect_record(r.items[0].records,
                  "{\"content_type\":\"text/plain\",\"size_bytes\":5,\"metadata\":{\"k\": 1.50}}");
    expect_record(r.items[1].records,
                  "{\"content_url\":\"https://example.com/x.png\",\"content_type\":\"text/plain\","
                  "\"size_bytes\":25}");
    expect_record(r.items[2].records,
                  "{\"content_url\":\"blob:1\",\"content_type\":\"application/json\","
                  "\"size_bytes\":7}");
    expect_record(r.items[3].records, "{\"content_type\":\"text/csv\",\"size_bytes\":3}");
    cr_expect_eq(r.items[0].records->vectors_count, 0);
    cr_expect_str_eq(r.items[4].code, "input_missing");
    sl_host_results_deinit(&r);
    sl_host_close(&host);
}

Test(plugins, describe_themselves_in_json)
{
    const char *files[] = {PLUGINS "text_extractor.so", PLUGINS "passthrough_extractor.so"};
    for (int i = 0; i < 2; i++) {
        struct sl_host *host = open_plugin(files[i], NULL);
        struct sl_json_doc *doc = NULL;
        const char *text = sl_host_extractor_lookup(host)->describe();
        cr_assert_eq(sl_json_parse(sl_slice_str(text), &doc, NULL), SL_OK);
        cr_expect(sl_json_has(sl_json_member(sl_json_root(doc), "output_schema")));
        sl_json_destroy(&doc);
        sl_host_close(&host);
    }
}

Test(plugins, media_types_are_seen_in_the_first_bytes)
{
    cr_expect_str_eq(sl_media_type(sl_slice("\x89PNG\r\n\x1A\n..", 10)), "image/png");
    cr_expect_str_eq(sl_media_type(sl_slice_str("%PDF-1.7")), "application/pdf");
    cr_expect_str_eq(sl_media_type(sl_slice_str(" <!DOCTYPE html><p>")), "text/html");
    cr_expect_str_eq(sl_media_type(sl_slice_str("[1,2]\n")), "application/json");
    cr_expect_str_eq(sl_media_type(sl_slice_str("{not so")), "text/plain");
    cr_expect_str_eq(sl_media_type(sl_slice_str("BMW is a car")), "text/plain");
    cr_expect_str_eq(sl_media_type(sl_slice("\0\1\2", 3)), "application/octet-stream");
    cr_expect_str_eq(sl_media_type(sl_slice("", 0)), "application/octet-stream");
    cr_expect_str_eq(sl_media_type_with(sl_slice_str("%PDF-1"), "text/css"), "application/pdf");
    cr_expect_str_eq(sl_media_type_with(sl_slice_str("a"), "text/css"), "text/css");
    cr_expect_str_eq(sl_media_type_with(sl_slice_str("a"), "te\"xt/css"), "text/plain");
}
