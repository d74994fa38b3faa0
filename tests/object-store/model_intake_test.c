/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/model_intake.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object-store/model.h"
#include "runtime/alloc.h"
#include "runtime/buf.h"
#include "tests/object-store/onnx_writer.h"
#include "tests/object-store/torch_file.h"

static struct sl_cause cause;
static struct sl_model_facts facts;
static struct sl_model_intake *intake;
static int image_fd = -1;

static void
begin(const char *format)
{
    memset(&cause, 0, sizeof(cause));
    image_fd = memfd_create("image", MFD_CLOEXEC);
    intake = sl_model_intake_create(
        &(struct sl_intake_options){.format = format, .image_fd = image_fd, .spool_fd = -1},
        &cause);
}

static void
end(void)
{
    sl_model_intake_destroy(&intake);
    (void)close(image_fd);
}

static enum sl_err
give(const char *path, struct sl_slice bytes, size_t piece)
{
    enum sl_err err = sl_model_intake_file(intake, path, bytes.size);
    for (size_t at = 0; at < bytes.size && err == SL_OK; at += piece)
        err = sl_model_intake_data(intake, bytes.data + at, SL_MIN(piece, bytes.size - at));
    return err == SL_OK ? sl_model_intake_file_end(intake) : err;
}

static void
given(const char *path, const char *text)
{
    cr_assert_eq(give(path, sl_slice_str(text), 3), SL_OK, "%s", cause.text);
}

/* A safetensors file of U8 tensors of 100 bytes each, all of one value. */
static void
make_weights(struct sl_buf *file, const char *const names[], const int values[], size_t count)
{
    struct sl_buf head = {0};
    sl_buf_clear(file);
    sl_buf_append_str(&head, "{");
    for (size_t i = 0; i < count; i++) {
        char *text = sl_format("%s\"%s\":{\"dtype\":\"U8\",\"shape\":[100],\"data_offsets\":["
                               "%zu,%zu]}",
                               i == 0 ? "" : ",", names[i], i * 100, i * 100 + 100);
        sl_buf_append_str(&head, text);
        sl_free(text);
    }
    sl_buf_append_str(&head, "}");
    sl_buf_append_u64(file, head.size);
    sl_buf_append(file, head.data, head.size);
    for (size_t i = 0; i < count * 100; i++)
        sl_buf_append_u8(file, (uint8_t)values[i / 100]);
    sl_buf_deinit(&head);
}

static void
give_weights(const char *path, const char *const names[], const int values[], size_t count,
             size_t piece)
{
    struct sl_buf file = {0};
    make_weights(&file, names, values, count);
    cr_assert_eq(give(path, sl_buf_slice(&file), piece), SL_OK, "%s", cause.text);
    sl_buf_deinit(&file);
}

static void
finished(void)
{
    cr_assert_eq(sl_model_intake_finish(intake, &facts, NULL), SL_OK, "%s", cause.text);
}

static void
refused(const char *says)
{
    cr_expect_eq(sl_model_intake_finish(intake, &facts, NULL), SL_EINVAL);
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
}

/* {"plain": t, "turned": its transpose, "tied": t}; over one storage of bytes 0, 0, 0... */
static void
make_torch(struct sl_buf *file)
{
    struct torch_tensor t = {.storage = "ByteStorage",
                             .key = "0",
                             .storage_count = 128,
                             .offset = 0,
                             .dims_count = 2,
                             .shape = {16, 8},
                             .strides = {8, 1}};
    struct torch_tensor turned = t;
    turned.shape[0] = 8;
    turned.shape[1] = 16;
    turned.strides[0] = 1;
    turned.strides[1] = 8;
    const struct {
        const char *name;
        const struct torch_tensor *tensor;
    } all[] = {{"plain", &t}, {"turned", &turned}, {"tied", &t}};
    struct sl_buf pickle = {0};
    torch_pickle_begin(&pickle);
    sl_buf_append_str(&pickle, "}");
    for (size_t i = 0; i < SL_COUNT_OF(all); i++) {
        torch_pickle_text(&pickle, all[i].name);
        torch_pickle_tensor(&pickle, all[i].tensor);
        sl_buf_append_str(&pickle, "s");
    }
    sl_buf_append_str(&pickle, ".");
    torch_file_append(file, sl_buf_slice(&pickle), 1, 128);
    /* The storage's bytes tell their places. */
    for (size_t i = 0; i + 128 <= file->size; i++) {
        size_t n = 0;
        while (n < 128 && file->data[i + n] == 0)
            n++;
        if (n < 128)
            continue;
        for (n = 0; n < 128; n++)
            file->data[i + n] = (uint8_t)n;
        break;
    }
    sl_buf_deinit(&pickle);
}

static const uint8_t *
tensor_of(const struct sl_model *model, const char *name, uint64_t rows, uint64_t columns)
{
    struct sl_tensor t = {0};
    cr_assert(sl_model_tensor_lookup(model, name, &t), "%s", name);
    cr_assert_eq(t.dims_count, 2);
    cr_assert_eq(t.shape[0], rows);
    cr_assert_eq(t.shape[1], columns);
    return t.data;
}

static const char *const ab[] = {"a", "b"};

Test(model_intake, makes_the_same_image_of_any_pieces)
{
    uint8_t first[SL_SHA256_SIZE];
    const size_t pieces[] = {1, 7, 64, 100, 4096};
    for (size_t i = 0; i < SL_COUNT_OF(pieces); i++) {
        begin(NULL);
        give_weights("m/model.safetensors", ab, (const int[]){1, 2}, 2, pieces[i]);
        given("m/config.json", "{}");
        finished();
        cr_expect_eq(facts.tensors_count, 2);
        cr_expect_eq(facts.files_count, 1);
        if (i == 0)
            memcpy(first, facts.digest, sizeof(first));
        cr_expect_eq(memcmp(first, facts.digest, sizeof(first)), 0, "pieces of %zu", pieces[i]);
        end();
    }
}

/* What the facts call the image is what anybody finds who reads it. */
Test(model_intake, names_the_image_by_its_bytes)
{
    begin(NULL);
    give_weights("model.safetensors", ab, (const int[]){1, 2}, 2, 50);
    finished();
    uint8_t *image = sl_alloc(facts.size_bytes);
    cr_assert_eq(pread(image_fd, image, facts.size_bytes, 0), (ssize_t)facts.size_bytes);
    cr_assert_eq(lseek(image_fd, 0, SEEK_END), (off_t)facts.size_bytes);
    struct sl_chunks_stream *s = sl_chunks_create();
    struct sl_chunks chunks;
    uint8_t digest[SL_SHA256_SIZE];
    cr_assert_eq(sl_chunks_update(s, image, facts.size_bytes), SL_OK);
    sl_chunks_finish(&s, &chunks);
    sl_chunks_digest(&chunks, digest);
    cr_assert_eq(memcmp(digest, facts.digest, sizeof(digest)), 0);
    sl_chunks_deinit(&chunks);
    sl_free(image);
    end();
}

Test(model_intake, stores_equal_tensors_once)
{
    const char *const names[] = {"a", "b", "c", "d"};
    uint64_t sizes[2];
    struct sl_tensor t[4];
    for (int i = 0; i < 2; i++) {
        begin(NULL);
        give_weights("model.safetensors", names,
                     i == 0 ? (const int[]){1, 2, 3, 4} : (const int[]){1, 2, 1, 2}, 4, 33);
        finished();
        sizes[i] = facts.size_bytes;
        if (i == 0)
            end();
    }
    cr_assert_lt(sizes[1] + 200, sizes[0] + 1);
    struct sl_model *model = NULL;
    cr_assert_eq(sl_model_open(image_fd, &model, &cause), SL_OK, "%s", cause.text);
    for (uint32_t i = 0; i < 4; i++) {
        sl_model_tensor_at(model, i, &t[i]);
        cr_assert_str_eq(t[i].name, names[i]);
        cr_assert_eq(((const uint8_t *)t[i].data)[99], i % 2 == 0 ? 1 : 2);
    }
    cr_assert_eq(t[0].data, t[2].data);
    cr_assert_eq(t[1].data, t[3].data);
    sl_model_destroy(&model);
    end();
}

Test(model_intake, names_tensors_of_modules_by_their_directory)
{
    struct sl_model *model = NULL;
    struct sl_tensor t;
    begin("huggingface");
    give_weights("repo/model.safetensors", ab, (const int[]){1, 2}, 2, 50);
    given("repo/config.json", "{}");
    given("repo/modeling_x.py", "import os");
    given("repo/.git/HEAD", "x");
    give_weights("repo/2_Dense/model.safetensors", ab, (const int[]){3, 4}, 2, 50);
    finished();
    cr_assert_str_eq(facts.format, "huggingface");
    cr_assert_eq(facts.code_files_count, 1);
    cr_assert_eq(sl_model_open(image_fd, &model, &cause), SL_OK, "%s", cause.text);
    cr_assert(sl_model_tensor_lookup(model, "a", &t));
    cr_assert_eq(((const uint8_t *)t.data)[0], 1);
    cr_assert(sl_model_tensor_lookup(model, "2_Dense/b", &t));
    cr_assert_eq(((const uint8_t *)t.data)[0], 4);
    cr_assert_eq(sl_model_files_count(model), 1);
    sl_model_destroy(&model);
    end();
}

Test(model_intake, takes_pytorch_of_a_directory_and_its_modules_and_not_what_training_left)
{
    struct sl_buf file = {0};
    struct sl_model *model = NULL;
    make_torch(&file);
    begin("huggingface");
    given("repo/config.json", "{}");
    given("repo/training_args.bin", "no weights");
    given("repo/optimizer.pt", "nor these");
    cr_assert_eq(give("repo/pytorch_model.bin", sl_buf_slice(&file), 100), SL_OK, "%s", cause.text);
    cr_assert_eq(give("repo/2_Dense/pytorch_model.bin", sl_buf_slice(&file), 100), SL_OK);
    finished();
    cr_assert_eq(facts.tensors_count, 6);
    cr_assert_eq(sl_model_open(image_fd, &model, &cause), SL_OK, "%s", cause.text);
    cr_assert_eq(tensor_of(model, "2_Dense/plain", 16, 8), tensor_of(model, "plain", 16, 8));
    sl_model_destroy(&model);
    sl_buf_deinit(&file);
    end();
}

Test(model_intake, refuses_a_file_that_is_there_twice)
{
    begin(NULL);
    given("config.json", "{}");
    cr_assert_eq(give("config.json", sl_slice_str("{}"), 1), SL_EINVAL);
    cr_assert(strstr(cause.text, "twice") != NULL);
    end();
}

Test(model_intake, refuses_a_tensor_that_two_files_have)
{
    begin(NULL);
    give_weights("model-1.safetensors", ab, (const int[]){1, 2}, 2, 50);
    give_weights("model-2.safetensors", ab, (const int[]){1, 3}, 2, 50);
    given("model.safetensors.index.json",
          "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-1.safetensors\","
          "\"c\":\"x\",\"d\":\"x\"}}");
    refused("should be in");
    end();
}

Test(model_intake, wrong_format_declared)
{
    begin("pytorch");
    give_weights("model.safetensors", ab, (const int[]){1, 2}, 2, 50);
    refused("model_format=safetensors");
    end();
    begin("safetensors");
    given("model.pt", "PK");
    refused("model_format=pytorch");
    end();
    begin("onnx");
    given("readme.txt", "nothing");
    refused(".onnx");
    end();
    begin("huggingface");
    give_weights("model.safetensors", ab, (const int[]){1, 2}, 2, 50);
    refused("config.json");
    end();
}

Test(model_intake, refuses_what_is_shorter_or_longer_than_it_said)
{
    begin(NULL);
    cr_assert_eq(sl_model_intake_file(intake, "config.json", 5), SL_OK);
    cr_assert_eq(sl_model_intake_data(intake, "ab", 2), SL_OK);
    cr_assert_eq(sl_model_intake_file_end(intake), SL_EINVAL);
    end();
    begin(NULL);
    cr_assert_eq(sl_model_intake_file(intake, "config.json", 1), SL_OK);
    cr_assert_eq(sl_model_intake_data(intake, "ab", 2), SL_EINVAL);
    end();
}

/* The header is refused as soon as its size is known, before anything is kept of it. */
Test(model_intake, a_header_of_100_mb)
{
    struct sl_buf file = {0};
    sl_buf_append_u64(&file, 100000000);
    begin(NULL);
    cr_assert_eq(sl_model_intake_file(intake, "model.safetensors", 200000000), SL_OK);
    cr_assert_eq(sl_model_intake_data(intake, file.data, file.size), SL_EINVAL);
    cr_assert(strstr(cause.text, "header") != NULL, "%s", cause.text);
    sl_buf_deinit(&file);
    end();
}

/* ---- formats that are kept aside until all has come ---------------------------------------- */

Test(model_intake, lays_views_of_pytorch_out_row_by_row_and_ties_once)
{
    struct sl_buf file = {0};
    struct sl_model *model = NULL;
    make_torch(&file);
    begin("pytorch");
    cr_assert_eq(give("my_model/model.pt", sl_buf_slice(&file), 100), SL_OK, "%s", cause.text);
    finished();
    cr_assert_str_eq(facts.format, "pytorch");
    cr_assert_eq(facts.tensors_count, 3);
    cr_assert_eq(sl_model_open(image_fd, &model, &cause), SL_OK, "%s", cause.text);
    const uint8_t *plain = tensor_of(model, "plain", 16, 8);
    const uint8_t *turned = tensor_of(model, "turned", 8, 16);
    for (int i = 0; i < 128; i++) {
        cr_assert_eq(plain[i], i);
        cr_assert_eq(turned[i], i % 16 * 8 + i / 16);
    }
    cr_assert_eq(tensor_of(model, "tied", 16, 8), plain);
    sl_model_destroy(&model);
    sl_buf_deinit(&file);
    end();
}

Test(model_intake, reads_onnx_with_its_data_beside_it)
{
    static const int64_t dims[] = {4, 2};
    uint8_t beside[64];
    struct sl_model *model = NULL;
    struct sl_buf graph = make_linear();
    struct sl_buf tensor = make_tensor(&(struct tensor_spec){.name = "far",
                                                             .type = 2,
                                                             .dims = dims,
                                                             .dims_count = 2,
                                                             .location = "weights.data",
                                                             .offset = "8",
                                                             .length = "8"});
    put_message(&graph, 5, &tensor);
    struct sl_buf file = make_model(&graph);
    for (size_t i = 0; i < sizeof(beside); i++)
        beside[i] = (uint8_t)i;
    begin("onnx");
    cr_assert_eq(give("m/model.onnx", sl_buf_slice(&file), 9), SL_OK, "%s", cause.text);
    cr_assert_eq(give("m/weights.data", sl_slice(beside, sizeof(beside)), 64), SL_OK);
    finished();
    cr_assert_str_eq(facts.format, "onnx");
    cr_assert_eq(sl_model_open(image_fd, &model, &cause), SL_OK, "%s", cause.text);
    cr_assert_eq(tensor_of(model, "far", 4, 2)[7], 15);
    struct sl_buf details = {0};
    struct sl_slice text = sl_model_intake_details(intake);
    sl_buf_append(&details, text.data, text.size);
    sl_buf_append_u8(&details, 0);
    cr_assert(strstr((const char *)details.data, "{\"operator\":\"MatMul\",\"count\":1}") != NULL,
              "%s", (const char *)details.data);
    sl_buf_deinit(&details);
    sl_model_destroy(&model);
    end();
    begin("onnx"); /* The same without what it refers to. */
    cr_assert_eq(give("m/model.onnx", sl_buf_slice(&file), 9), SL_OK, "%s", cause.text);
    refused("weights.data");
    sl_buf_deinit(&file);
    end();
}
