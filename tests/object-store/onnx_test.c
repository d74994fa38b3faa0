/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/onnx.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "object-store/onnx_names.h"
#include "runtime/alloc.h"
#include "tests/object-store/onnx_writer.h"
#include "tests/rounds.h"

static struct sl_cause cause;
static const int64_t one_dim[] = {2};

static bool
file_size(void *arg, const char *name, uint64_t *ret_size)
{
    (void)arg;
    *ret_size = 64;
    return strcmp(name, "weights.bin") == 0;
}

static const struct sl_onnx_files files = {.size = file_size};

/* Takes the graph. */
static enum sl_err
parse(struct sl_buf *graph, struct sl_onnx *ret_onnx)
{
    struct sl_buf model = make_model(graph);
    memset(&cause, 0, sizeof(cause));
    enum sl_err err = sl_onnx_parse(sl_buf_slice(&model), files, ret_onnx, &cause);
    sl_buf_deinit(&model);
    return err;
}

static void
refused(struct sl_buf *graph, enum sl_err want, const char *says)
{
    struct sl_onnx onnx = {0};
    enum sl_err err = parse(graph, &onnx);
    cr_expect_eq(err, want, "'%s': %s, not %s", says, sl_err_name(err), sl_err_name(want));
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
    cr_expect_null(onnx.weights.items);
    sl_onnx_deinit(&onnx);
}

/* A graph of one initialiser. */
static struct sl_buf
with_tensor(struct sl_buf *tensor)
{
    struct sl_buf graph = {0};
    put_message(&graph, 5, tensor);
    return graph;
}

static void
tensor_refused(struct sl_buf tensor, enum sl_err want, const char *says)
{
    struct sl_buf graph = with_tensor(&tensor);
    refused(&graph, want, says);
}

static void
tensor_taken(struct sl_buf tensor, struct sl_onnx *ret_onnx)
{
    struct sl_buf graph = with_tensor(&tensor);
    cr_assert_eq(parse(&graph, ret_onnx), SL_OK, "%s", cause.text);
    cr_assert_eq(ret_onnx->weights.count, 1);
}

/* ---- good files ---------------------------------------------------------------------------- */

Test(onnx, tells_weights_inputs_outputs_opsets_and_operators)
{
    struct sl_buf graph = make_linear(), model = make_model(&graph);
    struct sl_onnx onnx = {0};
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_OK, "%s",
                 cause.text);
    cr_assert_eq(onnx.weights.count, 2);
    const struct sl_weight *w = &onnx.weights.items[0];
    cr_assert_str_eq(w->name, "w");
    cr_assert_eq(w->dtype, SL_DTYPE_F32);
    cr_assert_eq(w->shape[0], 3);
    cr_assert_eq(w->strides[0], 2);
    cr_assert_eq(w->span_bytes, 24);
    cr_assert_arr_eq(model.data + w->offset, ((float[]){1, 2, 3, 4, 5, 6}), 24);
    cr_assert_eq(onnx.ir_version, 8);
    cr_assert_str_eq(onnx.producer, "writer");
    cr_assert_str_eq(onnx.producer_version, "");
    cr_assert_eq(onnx.opsets_count, 1);
    cr_assert_str_eq(onnx.opsets[0].domain, "");
    cr_assert_eq(onnx.opsets[0].version, 17);
    cr_assert_eq(onnx.nodes_count, 2);
    cr_assert_eq(onnx.ops_count, 2);
    cr_assert_str_eq(onnx.ops[0].name, "MatMul");
    cr_assert_eq(onnx.ops[1].count, 1);
    cr_assert_eq(onnx.inputs_count, 1);
    cr_assert_str_eq(onnx.inputs[0].name, "x");
    cr_assert_str_eq(sl_onnx_type_name(onnx.inputs[0].type), "FLOAT");
    cr_assert_eq(onnx.inputs[0].dims_count, 2);
    cr_assert_not(onnx.inputs[0].dims[0].is_known);
    cr_assert_str_eq(onnx.inputs[0].dims[0].symbol, "batch");
    cr_assert_eq(onnx.inputs[0].dims[1].size, 3);
    cr_assert_eq(onnx.outputs_count, 1);
    cr_assert_str_eq(onnx.outputs[0].name, "y");
    sl_onnx_deinit(&onnx);
    sl_buf_deinit(&model);
}

Test(onnx, takes_a_list_of_floats_as_a_range_of_the_file)
{
    static const float values[] = {1.5f, -2};
    struct sl_buf t = make_tensor(
        &(struct tensor_spec){.name = "a", .type = 1, .dims = one_dim, .dims_count = 1});
    put_bytes(&t, 4, values, sizeof(values));
    struct sl_buf graph = with_tensor(&t), model = make_model(&graph);
    struct sl_onnx onnx = {0};
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_OK, "%s",
                 cause.text);
    cr_assert_null(onnx.weights.items[0].inline_data);
    cr_assert_arr_eq(model.data + onnx.weights.items[0].offset, values, sizeof(values));
    sl_onnx_deinit(&onnx);
    sl_buf_deinit(&model);
}

Test(onnx, decodes_lists_of_integers_packed_or_not)
{
    static const int64_t want[] = {-3, INT64_C(1) << 40};
    for (int is_packed = 0; is_packed < 2; is_packed++) {
        struct sl_onnx onnx = {0};
        struct sl_buf list = {0}, t = make_tensor(&(struct tensor_spec){
                                      .name = "a", .type = 7, .dims = one_dim, .dims_count = 1});
        for (int i = 0; i < 2; i++) {
            if (is_packed)
                put_varint(&list, (uint64_t)want[i]);
            else
                put_int(&t, 7, want[i]);
        }
        if (is_packed)
            put_bytes(&t, 7, list.data, list.size);
        sl_buf_deinit(&list);
        tensor_taken(t, &onnx);
        cr_assert_eq(onnx.weights.items[0].dtype, SL_DTYPE_I64);
        cr_assert_arr_eq(onnx.weights.items[0].inline_data, want, sizeof(want));
        sl_onnx_deinit(&onnx);
    }
}

Test(onnx, decodes_narrow_types_from_the_list_of_int32)
{
    static const struct {
        int type;
        enum sl_dtype dtype;
        int64_t values[2];
        uint8_t bytes[4];
        uint32_t size;
    } cases[] = {{2, SL_DTYPE_U8, {0, 255}, {0, 255}, 2},
                 {3, SL_DTYPE_I8, {-128, 127}, {128, 127}, 2},
                 {4, SL_DTYPE_U16, {1, 65535}, {1, 0, 255, 255}, 4},
                 {5, SL_DTYPE_I16, {-1, 2}, {255, 255, 2, 0}, 4},
                 {9, SL_DTYPE_BOOL, {0, 1}, {0, 1}, 2},
                 {10, SL_DTYPE_F16, {0x3c00, 0xbc00}, {0, 0x3c, 0, 0xbc}, 4},
                 {16, SL_DTYPE_BF16, {0x3f80, 0}, {0x80, 0x3f, 0, 0}, 4},
                 {17, SL_DTYPE_F8_E4M3, {1, 200}, {1, 200}, 2}};
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        struct sl_onnx onnx = {0};
        struct sl_buf t = make_tensor(&(struct tensor_spec){
            .name = "a", .type = cases[i].type, .dims = one_dim, .dims_count = 1});
        put_int(&t, 5, cases[i].values[0]);
        put_int(&t, 5, cases[i].values[1]);
        tensor_taken(t, &onnx);
        cr_expect_eq(onnx.weights.items[0].dtype, cases[i].dtype);
        cr_expect_eq(onnx.weights.items[0].span_bytes, cases[i].size);
        cr_expect_arr_eq(onnx.weights.items[0].inline_data, cases[i].bytes, cases[i].size);
        sl_onnx_deinit(&onnx);
    }
}

Test(onnx, takes_external_data_as_a_range_of_another_file)
{
    struct sl_onnx onnx = {0};
    tensor_taken(make_tensor(&(struct tensor_spec){.name = "a",
                                                   .type = 1,
                                                   .dims = one_dim,
                                                   .dims_count = 1,
                                                   .location = "weights.bin",
                                                   .offset = "56",
                                                   .length = "8"}),
                 &onnx);
    cr_assert_eq(onnx.weights.files_count, 1);
    cr_assert_str_eq(onnx.weights.files[0], "weights.bin");
    cr_assert_eq(onnx.weights.items[0].file, 1);
    cr_assert_eq(onnx.weights.items[0].offset, 56);
    sl_onnx_deinit(&onnx);
}

static struct sl_buf
make_if(const char *then_input, struct sl_buf *then_more)
{
    struct sl_buf inner = {0}, attribute = {0}, node = make_node("If", "x", "z"), part;
    part = make_node("Identity", then_input, "t");
    put_message(&inner, 1, &part);
    if (then_more != NULL)
        put_message(&inner, 5, then_more);
    part = make_value("t");
    put_message(&inner, 12, &part);
    put_text(&attribute, 1, "then_branch");
    put_message(&attribute, 6, &inner);
    put_message(&node, 5, &attribute);
    return node;
}

Test(onnx, lets_inner_graphs_see_outer_names_and_have_weights_of_their_own)
{
    struct sl_onnx onnx = {0};
    struct sl_buf graph = make_linear();
    struct sl_buf own = make_tensor(&(struct tensor_spec){
        .name = "w", .type = 2, .dims = one_dim, .dims_count = 1, .raw = "ab", .raw_size = 2});
    struct sl_buf node = make_if("h", &own);
    put_message(&graph, 1, &node);
    cr_assert_eq(parse(&graph, &onnx), SL_OK, "%s", cause.text);
    cr_assert_eq(onnx.nodes_count, 4);
    cr_assert_eq(onnx.weights.count, 3);
    cr_assert_str_eq(onnx.weights.items[2].name, "z.then_branch.w");
    sl_onnx_deinit(&onnx);
}

Test(onnx, takes_inputs_that_have_an_initialiser_for_weights_alone)
{
    struct sl_onnx onnx = {0};
    struct sl_buf graph = make_linear(), value = make_value("w");
    put_message(&graph, 11, &value);
    cr_assert_eq(parse(&graph, &onnx), SL_OK, "%s", cause.text);
    cr_assert_eq(onnx.inputs_count, 1);
    sl_onnx_deinit(&onnx);
}

static struct sl_buf
with_function(const char *body_input, const char *domain)
{
    struct sl_buf graph = {0}, function = {0}, opset = {0}, part = make_node("Fold", "x", "y");
    put_text(&part, 7, "own");
    put_message(&graph, 1, &part);
    part = make_value("x");
    put_message(&graph, 11, &part);
    struct sl_buf model = make_model(&graph);
    put_text(&opset, 1, domain);
    put_int(&opset, 2, 1);
    put_message(&model, 8, &opset);
    put_text(&function, 1, "Fold");
    put_text(&function, 4, "a");
    put_text(&function, 5, "c");
    part = make_node("Neg", body_input, "c");
    put_message(&function, 7, &part);
    opset = (struct sl_buf){0};
    put_int(&opset, 2, 17);
    put_message(&function, 9, &opset);
    put_text(&function, 10, "own");
    put_message(&model, 25, &function);
    return model;
}

Test(onnx, checks_functions_as_graphs_that_see_nothing_else)
{
    struct sl_onnx onnx = {0};
    struct sl_buf model = with_function("a", "own");
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_OK, "%s",
                 cause.text);
    cr_assert_eq(onnx.functions_count, 1);
    cr_assert_eq(onnx.ops_count, 2);
    cr_assert_str_eq(onnx.ops[1].name, "own::Fold");
    sl_onnx_deinit(&onnx);
    sl_buf_deinit(&model);
    model = with_function("x", "own");
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_EINVAL);
    cr_assert(strstr(cause.text, "'x'"), "%s", cause.text);
    sl_buf_deinit(&model);
    model = with_function("a", "other");
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_EINVAL);
    cr_assert(strstr(cause.text, "domain 'own'"), "%s", cause.text);
    sl_buf_deinit(&model);
}

/* ---- the wire ------------------------------------------------------------------------------ */

Test(onnx, refuses_every_cut_of_a_good_file)
{
    struct sl_buf graph = make_linear(), model = make_model(&graph);
    for (size_t size = 0; size < model.size; size++) {
        struct sl_onnx onnx = {0};
        uint8_t *copy = sl_memdup(model.data, size); /* So that a read behind it is seen. */
        cr_expect_eq(sl_onnx_parse(sl_slice(copy, size), files, &onnx, &cause), SL_EINVAL,
                     "cut at %zu", size);
        sl_free(copy);
    }
    sl_buf_deinit(&model);
}

Test(onnx, survives_every_changed_byte_of_a_good_file)
{
    struct sl_buf own = make_tensor(&(struct tensor_spec){
        .name = "v", .type = 2, .dims = one_dim, .dims_count = 1, .raw = "ab", .raw_size = 2});
    struct sl_buf graph = make_linear(), node = make_if("h", &own);
    put_message(&graph, 1, &node);
    struct sl_buf model = make_model(&graph);
    const unsigned step = (unsigned)(255 / rounds(255));
    for (size_t at = 0; at < model.size; at++) {
        uint8_t byte = model.data[at];
        for (unsigned change = 1; change < 256; change += step) {
            struct sl_onnx onnx = {0};
            model.data[at] = (uint8_t)(byte ^ change);
            cause.text[0] = '\0';
            enum sl_err err = sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause);
            cr_assert(err == SL_OK || cause.text[0] != '\0');
            for (uint32_t i = 0; err == SL_OK && i < onnx.weights.count; i++)
                cr_assert(onnx.weights.items[i].offset + onnx.weights.items[i].span_bytes <=
                          model.size);
            sl_onnx_deinit(&onnx);
        }
        model.data[at] = byte;
    }
    sl_buf_deinit(&model);
}

Test(onnx, refuses_groups_long_numbers_and_fields_of_another_kind)
{
    struct sl_buf graph = make_linear();
    sl_buf_append(&graph, "\x1b\x1c", 2);
    refused(&graph, SL_EINVAL, "group");
    graph = make_linear();
    sl_buf_append(&graph, "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
    refused(&graph, SL_EINVAL, "10 bytes");
    graph = make_linear();
    put_int(&graph, 1, 5);
    refused(&graph, SL_EINVAL, "wire type 0");
    struct sl_buf tensor = make_tensor(&(struct tensor_spec){.name = "a", .type = 1});
    put_int(&tensor, 9, 5);
    tensor_refused(tensor, SL_EINVAL, "wire type 0");
}

Test(onnx, refuses_a_length_that_would_wrap)
{
    struct sl_onnx onnx = {0};
    static const uint8_t bytes[] = {0x3a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
    cr_assert_eq(sl_onnx_parse(sl_slice(bytes, sizeof(bytes)), files, &onnx, &cause), SL_EINVAL);
    cr_assert(strstr(cause.text, "over what is left"));
}

Test(onnx, refuses_a_file_of_2_gib_before_it_reads_it)
{
    struct sl_onnx onnx = {0};
    static const uint8_t byte;
    cr_assert_eq(sl_onnx_parse(sl_slice(&byte, 2 * SL_GIB), files, &onnx, &cause), SL_ETOOBIG);
    cr_assert(strstr(cause.text, "external data"));
}

Test(onnx, refuses_what_is_there_twice)
{
    struct sl_buf graph = make_linear(), copy = make_linear();
    struct sl_buf model = make_model(&graph);
    put_message(&model, 7, &copy);
    struct sl_onnx onnx = {0};
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_EINVAL);
    cr_assert(strstr(cause.text, "two graphs"));
    sl_buf_deinit(&model);
    struct sl_buf tensor = make_tensor(&(struct tensor_spec){
        .name = "a", .type = 2, .dims = one_dim, .dims_count = 1, .raw = "ab", .raw_size = 2});
    put_text(&tensor, 8, "b");
    tensor_refused(tensor, SL_EINVAL, "twice");
}

/* ---- the model ----------------------------------------------------------------------------- */

Test(onnx, wants_a_graph_an_opset_and_an_ir_version)
{
    struct sl_onnx onnx = {0};
    struct sl_buf graph = make_linear(), model = {0}, opset = {0};
    put_int(&model, 1, 8);
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_EINVAL);
    cr_assert(strstr(cause.text, "no graph"));
    put_message(&model, 7, &graph);
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_EINVAL);
    cr_assert(strstr(cause.text, "no opset"));
    put_int(&opset, 2, 0);
    put_message(&model, 8, &opset);
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_EINVAL);
    cr_assert(strstr(cause.text, "version 0"), "%s", cause.text);
    sl_buf_deinit(&model);
    graph = make_linear();
    model = make_model(&graph);
    model.data[1] = 2;
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_EINVAL);
    cr_assert(strstr(cause.text, "ir_version of 2"), "%s", cause.text);
    sl_buf_deinit(&model);
}

Test(onnx, refuses_a_graph_with_a_cycle)
{
    struct sl_buf graph = make_linear(), node = make_node("Add", "p x", "q");
    put_message(&graph, 1, &node);
    node = make_node("Neg", "q", "p");
    put_message(&graph, 1, &node);
    refused(&graph, SL_EINVAL, "cycle");
}

Test(onnx, refuses_a_node_that_takes_what_it_makes)
{
    struct sl_buf graph = make_linear(), node = make_node("Neg", "q", "q");
    put_message(&graph, 1, &node);
    refused(&graph, SL_EINVAL, "'q'");
    graph = make_linear();
    node = make_if("z", NULL); /* An inner graph takes what its own node will make. */
    put_message(&graph, 1, &node);
    refused(&graph, SL_EINVAL, "'z'");
}

Test(onnx, refuses_names_of_an_inner_graph_outside_of_it)
{
    struct sl_buf graph = make_linear(), node = make_if("x", NULL);
    put_message(&graph, 1, &node);
    node = make_node("Neg", "t", "u");
    put_message(&graph, 1, &node);
    refused(&graph, SL_EINVAL, "'t'");
}

Test(onnx, refuses_outputs_that_nothing_makes_and_names_made_twice)
{
    struct sl_buf graph = make_linear(), part = make_value("nothing");
    put_message(&graph, 12, &part);
    refused(&graph, SL_EINVAL, "'nothing'");
    graph = make_linear();
    part = make_node("Neg", "x", "y");
    put_message(&graph, 1, &part);
    refused(&graph, SL_EINVAL, "made twice");
    graph = make_linear();
    part = make_value("x");
    put_message(&graph, 11, &part);
    refused(&graph, SL_EINVAL, "twice");
}

Test(onnx, refuses_operators_of_domains_that_are_not_imported)
{
    struct sl_buf graph = make_linear(), node = make_node("Gelu", "x", "g");
    put_text(&node, 7, "com.example");
    put_message(&graph, 1, &node);
    refused(&graph, SL_EINVAL, "com.example");
}

/* `depth` graphs in graphs. */
static struct sl_buf
make_deep(int depth)
{
    struct sl_buf graph = make_linear();
    for (int i = 0; i < depth; i++) {
        struct sl_buf outer = {0}, attribute = {0}, node = make_node("If", "", ""), part;
        put_text(&attribute, 1, "then_branch");
        /* Inner names are those of another graph each time. */
        put_message(&attribute, 6, &graph);
        put_message(&node, 5, &attribute);
        put_message(&outer, 1, &node);
        part = make_value("x");
        put_message(&outer, 11, &part);
        graph = outer;
    }
    return graph;
}

Test(onnx, refuses_graphs_nested_too_deeply)
{
    struct sl_onnx onnx = {0};
    struct sl_buf graph = make_deep(SL_ONNX_GRAPHS_DEPTH - 1);
    cr_assert_eq(parse(&graph, &onnx), SL_OK, "%s", cause.text);
    sl_onnx_deinit(&onnx);
    graph = make_deep(SL_ONNX_GRAPHS_DEPTH);
    refused(&graph, SL_ETOOBIG, "nested");
    graph = make_deep(5000);
    refused(&graph, SL_ETOOBIG, "nested");
}

Test(onnx, refuses_what_it_does_not_read_and_says_what_to_do)
{
    struct sl_buf graph = make_linear();
    put_text(&graph, 15, "");
    refused(&graph, SL_EUNAVAIL, "dense");
    graph = make_linear();
    struct sl_buf attribute = {0}, node = make_node("Constant", "", "c");
    put_text(&attribute, 22, "");
    put_message(&node, 5, &attribute);
    put_message(&graph, 1, &node);
    refused(&graph, SL_EUNAVAIL, "dense");
    struct sl_onnx onnx = {0};
    graph = make_linear();
    struct sl_buf model = make_model(&graph);
    put_text(&model, 20, "");
    cr_assert_eq(sl_onnx_parse(sl_buf_slice(&model), files, &onnx, &cause), SL_EUNAVAIL);
    cr_assert(strstr(cause.text, "inference"));
    sl_buf_deinit(&model);
    struct sl_buf tensor = make_tensor(&(struct tensor_spec){.name = "a", .type = 1});
    put_text(&tensor, 3, "");
    tensor_refused(tensor, SL_EUNAVAIL, "segments");
}

/* ---- tensors ------------------------------------------------------------------------------- */

Test(onnx, refuses_types_it_does_not_read_by_their_name)
{
    static const struct {
        int type;
        const char *name;
    } cases[] = {{0, "UNDEFINED"}, {8, "STRING"},  {15, "COMPLEX128"}, {21, "UINT4"},
                 {22, "INT4"},     {99, "? (99)"}, {-1, "?"}};
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++)
        tensor_refused(make_tensor(&(struct tensor_spec){.name = "a",
                                                         .type = cases[i].type,
                                                         .dims = one_dim,
                                                         .dims_count = 1,
                                                         .raw = "ab",
                                                         .raw_size = 2}),
                       SL_EUNAVAIL, cases[i].name);
}

Test(onnx, refuses_shapes_that_are_negative_overflow_or_have_too_many_dimensions)
{
    static const int64_t huge[] = {INT64_C(1) << 32, INT64_C(1) << 32}, negative[] = {2, -1},
                         wide[] = {INT64_MAX}, nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, odd[] = {3};
    struct tensor_spec spec = {
        .name = "a", .type = 1, .dims = huge, .dims_count = 2, .raw = "", .raw_size = 0};
    tensor_refused(make_tensor(&spec), SL_EINVAL, "too big");
    spec.dims = wide;
    spec.dims_count = 1;
    tensor_refused(make_tensor(&spec), SL_EINVAL, "too big");
    spec.dims = negative;
    spec.dims_count = 2;
    tensor_refused(make_tensor(&spec), SL_EINVAL, "dimension of -1");
    spec.dims = nine;
    spec.dims_count = 9;
    tensor_refused(make_tensor(&spec), SL_EUNAVAIL, "dimensions");
    spec = (struct tensor_spec){
        .name = "a", .type = 23, .dims = odd, .dims_count = 1, .raw = "ab", .raw_size = 2};
    tensor_refused(make_tensor(&spec), SL_EINVAL, "whole bytes");
}

Test(onnx, refuses_bytes_that_are_not_what_the_shape_takes)
{
    struct tensor_spec spec = {
        .name = "a", .type = 1, .dims = one_dim, .dims_count = 1, .raw = "1234567", .raw_size = 7};
    tensor_refused(make_tensor(&spec), SL_EINVAL, "raw_data 7");
    spec.raw = NULL;
    tensor_refused(make_tensor(&spec), SL_EINVAL, "raw_data 0");
    struct sl_buf t = make_tensor(&spec);
    put_bytes(&t, 4, "1234", 4);
    tensor_refused(t, SL_EINVAL, "elements 4");
    t = make_tensor(&spec);
    put_bytes(&t, 4, "1234", 4);
    put_bytes(&t, 4, "1234", 4); /* In pieces. */
    struct sl_onnx onnx = {0};
    tensor_taken(t, &onnx);
    cr_assert_arr_eq(onnx.weights.items[0].inline_data, "12341234", 8);
    sl_onnx_deinit(&onnx);
}

Test(onnx, refuses_lists_of_another_type_too_long_or_out_of_range)
{
    struct tensor_spec spec = {.name = "a", .type = 2, .dims = one_dim, .dims_count = 1};
    struct sl_buf t = make_tensor(&spec);
    put_int(&t, 7, 1);
    tensor_refused(t, SL_EINVAL, "list of another");
    t = make_tensor(&spec);
    put_int(&t, 5, 1);
    put_int(&t, 7, 1);
    tensor_refused(t, SL_EINVAL, "two lists");
    for (int64_t value = -1; value <= 256; value += 257) {
        t = make_tensor(&spec);
        put_int(&t, 5, 1);
        put_int(&t, 5, value);
        tensor_refused(t, SL_EINVAL, "do not fit");
    }
    t = make_tensor(&spec);
    for (int i = 0; i < 3; i++)
        put_int(&t, 5, 1);
    tensor_refused(t, SL_EINVAL, "as many");
    t = make_tensor(&spec);
    put_bytes(&t, 5, "\x01\xff", 2);
    tensor_refused(t, SL_EINVAL, "malformed");
}

Test(onnx, pays_no_memory_for_lists_that_are_not_there)
{
    static const int64_t wide[] = {INT64_C(1) << 34}, much[] = {9 << 20};
    struct tensor_spec spec = {.name = "a", .type = 7, .dims = wide, .dims_count = 1};
    struct sl_buf t = make_tensor(&spec), list = {0};
    put_int(&t, 7, 1);
    tensor_refused(t, SL_EINVAL, "its list of elements has 1");
    spec.dims = much;
    t = make_tensor(&spec);
    sl_buf_reserve(&list, 9 << 20);
    memset(list.data, 1, 9 << 20);
    put_bytes(&t, 7, list.data, 9 << 20);
    sl_buf_deinit(&list);
    tensor_refused(t, SL_ETOOBIG, "raw_data");
}

Test(onnx, refuses_elements_that_are_in_two_places)
{
    struct tensor_spec spec = {
        .name = "a", .type = 2, .dims = one_dim, .dims_count = 1, .raw = "ab", .raw_size = 2};
    struct sl_buf t = make_tensor(&spec);
    put_int(&t, 5, 1);
    tensor_refused(t, SL_EINVAL, "both as raw_data");
    spec.location = "weights.bin";
    tensor_refused(make_tensor(&spec), SL_EINVAL, "both inside");
    spec = (struct tensor_spec){.name = "a", .type = 2, .dims = one_dim, .dims_count = 1};
    t = make_tensor(&spec);
    put_int(&t, 14, 1);
    tensor_refused(t, SL_EINVAL, "does not say where");
    spec.location = "weights.bin";
    t = make_tensor(&spec);
    put_int(&t, 14, 0);
    tensor_refused(t, SL_EINVAL, "elements are inside");
}

Test(onnx, refuses_duplicate_names_of_tensors)
{
    struct sl_buf graph = make_linear();
    struct sl_buf t = make_tensor(&(struct tensor_spec){
        .name = "w", .type = 2, .dims = one_dim, .dims_count = 1, .raw = "ab", .raw_size = 2});
    put_message(&graph, 5, &t);
    refused(&graph, SL_EINVAL, "'w' is there twice");
}

Test(onnx, refuses_names_that_are_empty_too_long_or_no_text)
{
    char name[SL_TENSOR_NAME_SIZE_MAX + 2];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct tensor_spec spec = {
        .name = name, .type = 2, .dims = one_dim, .dims_count = 1, .raw = "ab", .raw_size = 2};
    tensor_refused(make_tensor(&spec), SL_EINVAL, "over 512");
    spec.name = "";
    tensor_refused(make_tensor(&spec), SL_EINVAL, "empty");
    spec.name = "\xff";
    tensor_refused(make_tensor(&spec), SL_EINVAL, "UTF-8");
    spec.name = NULL;
    struct sl_buf t = make_tensor(&spec);
    put_bytes(&t, 8, "a\0b", 3);
    tensor_refused(t, SL_EINVAL, "NUL");
}

/* ---- external data ------------------------------------------------------------------------- */

Test(onnx, refuses_external_data_outside_of_the_directory)
{
    static const char *const places[] = {"../weights.bin",
                                         "/etc/passwd",
                                         "..",
                                         ".",
                                         "a/weights.bin",
                                         "a\\b",
                                         "..\\weights.bin",
                                         "weights.bin\n",
                                         "./weights.bin",
                                         "C:\\weights.bin"};
    for (size_t i = 0; i < SL_COUNT_OF(places); i++)
        tensor_refused(
            make_tensor(&(struct tensor_spec){
                .name = "a", .type = 2, .dims = one_dim, .dims_count = 1, .location = places[i]}),
            SL_EINVAL, "not the name of a file beside the model");
    tensor_refused(make_tensor(&(struct tensor_spec){
                       .name = "a", .type = 2, .dims = one_dim, .dims_count = 1, .location = ""}),
                   SL_EINVAL, "not the name of a file");
}

Test(onnx, refuses_external_data_outside_of_the_directory_in_attributes_too)
{
    struct sl_buf graph = make_linear(), attribute = {0}, node = make_node("Constant", "", "c");
    struct sl_buf t = make_tensor(&(struct tensor_spec){
        .type = 2, .dims = one_dim, .dims_count = 1, .location = "../../etc/passwd"});
    put_text(&attribute, 1, "value");
    put_message(&attribute, 5, &t);
    put_message(&node, 5, &attribute);
    put_message(&graph, 1, &node);
    refused(&graph, SL_EINVAL, "../../etc/passwd");
}

Test(onnx, refuses_external_data_that_is_not_there_or_not_in_its_file)
{
    struct tensor_spec spec = {
        .name = "a", .type = 2, .dims = one_dim, .dims_count = 1, .location = "nowhere.bin"};
    tensor_refused(make_tensor(&spec), SL_EINVAL, "put it beside");
    spec.location = "weights.bin";
    static const struct {
        const char *offset, *length, *says;
    } cases[] = {{"63", "2", "not in"},
                 {"65", NULL, "not in"},
                 {"0", "3", "external data 3"},
                 {"0", NULL, "external data 64"},
                 {"-1", "2", "no number"},
                 {"0x10", "2", "no number"},
                 {"", "2", "no number"},
                 {"18446744073709551615", "2", "no number"},
                 {"9999999999999999999", "9999999999999999999", "not in"},
                 {"0", "9223372036854775807", "not in"}};
    for (size_t i = 0; i < SL_COUNT_OF(cases); i++) {
        spec.offset = cases[i].offset;
        spec.length = cases[i].length;
        tensor_refused(make_tensor(&spec), SL_EINVAL, cases[i].says);
    }
    struct sl_buf t = make_tensor(&spec), entry = {0};
    put_text(&entry, 1, "location");
    put_text(&entry, 2, "weights.bin");
    put_message(&t, 13, &entry);
    tensor_refused(t, SL_EINVAL, "there twice");
}

Test(onnx, refuses_views_that_blow_up_what_is_in_a_file)
{
    static const int64_t all[] = {64};
    struct sl_buf graph = {0};
    for (uint32_t i = 0; i <= SL_ONNX_SHARED_TIMES; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "w%u", i);
        struct sl_buf t = make_tensor(&(struct tensor_spec){
            .name = name, .type = 2, .dims = all, .dims_count = 1, .location = "weights.bin"});
        put_message(&graph, 5, &t);
    }
    refused(&graph, SL_EINVAL, "overlap");
}

Test(onnx, refuses_more_tensors_than_its_limit)
{
    static const int64_t none[] = {0};
    struct sl_buf graph = {0};
    for (uint32_t i = 0; i <= SL_WEIGHTS_COUNT_MAX; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "%u", i);
        struct sl_buf t = make_tensor(
            &(struct tensor_spec){.name = name, .type = 2, .dims = none, .dims_count = 1});
        put_message(&graph, 5, &t);
    }
    refused(&graph, SL_ETOOBIG, "65536 tensors");
}

Test(onnx, refuses_more_nodes_and_kinds_of_operators_than_its_limits)
{
    struct sl_buf graph = {0};
    for (uint32_t i = 0; i <= SL_ONNX_OPS_MAX; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "%u", i);
        struct sl_buf node = make_node(name, "", "");
        put_message(&graph, 1, &node);
    }
    refused(&graph, SL_ETOOBIG, "kinds of operators");
    for (uint32_t i = 0; i <= SL_ONNX_NODES_MAX; i++) {
        struct sl_buf node = make_node("A", "", "");
        put_message(&graph, 1, &node);
    }
    refused(&graph, SL_ETOOBIG, "1000000 nodes");
}

/* ---- names --------------------------------------------------------------------------------- */

Test(onnx, names_are_found_latest_first_and_forgotten_in_order)
{
    struct sl_onnx_names names = {0};
    char text[1000][8];
    for (uint32_t i = 0; i < 1000; i++) {
        (void)snprintf(text[i], sizeof(text[i]), "n%u", i % 500);
        cr_assert_eq(sl_onnx_names_add(&names, sl_slice_str(text[i]), i, 1000), SL_OK);
    }
    cr_assert_eq(sl_onnx_names_add(&names, sl_slice_str("more"), 0, 1000), SL_EFULL);
    cr_assert_eq(sl_onnx_names_lookup(&names, sl_slice_str("n7"))->value, 507);
    sl_onnx_names_cut(&names, 500);
    for (uint32_t i = 0; i < 500; i++)
        cr_assert_eq(sl_onnx_names_lookup(&names, sl_slice_str(text[i]))->value, i);
    sl_onnx_names_cut(&names, 7);
    cr_assert_null(sl_onnx_names_lookup(&names, sl_slice_str("n7")));
    sl_onnx_names_deinit(&names);
}

Test(onnx, names_that_all_look_alike_are_refused_and_not_searched)
{
    struct sl_onnx_names names = {0};
    uint32_t count = 0;
    while (sl_onnx_names_add(&names, sl_slice_str("same"), 0, 1000) == SL_OK)
        count++;
    cr_assert_lt(count, 64);
    sl_onnx_names_deinit(&names);
}
