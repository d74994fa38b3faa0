/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/pytorch.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/alloc.h"
#include "tests/object-store/torch_file.h"

static struct sl_cause cause;

/* A copy of its own, so that a sanitizer sees a read behind it. */
static enum sl_err
parse_file(struct sl_slice file, struct sl_weights *ret_weights)
{
    uint8_t *copy = sl_memdup(file.data, file.size);
    cause = (struct sl_cause){0};
    enum sl_err err = sl_pytorch_parse(sl_slice(copy, file.size), ret_weights, &cause);
    for (uint32_t i = 0; err == SL_OK && i < ret_weights->count; i++)
        cr_expect(ret_weights->items[i].offset + ret_weights->items[i].span_bytes <= file.size);
    sl_free(copy);
    return err;
}

/* Over four storages of 64 bytes. */
static enum sl_err
parse(const struct sl_buf *pickle, struct sl_weights *ret_weights)
{
    struct sl_buf file = {0};
    torch_file_append(&file, sl_buf_slice(pickle), 4, 64);
    enum sl_err err = parse_file(sl_buf_slice(&file), ret_weights);
    sl_buf_deinit(&file);
    return err;
}

static void
refused(const struct sl_buf *pickle, enum sl_err want, const char *says)
{
    struct sl_weights weights = {0};
    enum sl_err err = parse(pickle, &weights);
    cr_expect_eq(err, want, "%s for '%s': %s", sl_err_name(err), says, cause.text);
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
    cr_expect_null(weights.items);
}

static void
refused_file(struct sl_slice file, enum sl_err want, const char *says)
{
    struct sl_weights weights = {0};
    enum sl_err err = parse_file(file, &weights);
    cr_expect_eq(err, want, "%s for '%s': %s", sl_err_name(err), says, cause.text);
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
    cr_expect_null(weights.items);
}

static struct torch_tensor
tensor_2x3(void)
{
    return (struct torch_tensor){.storage = "FloatStorage",
                                 .key = "0",
                                 .storage_count = 16,
                                 .offset = 2,
                                 .dims_count = 2,
                                 .shape = {2, 3},
                                 .strides = {3, 1}};
}

/* {"w": tensor} */
static void
make(struct sl_buf *pickle, const struct torch_tensor *t)
{
    sl_buf_clear(pickle);
    torch_pickle_begin(pickle);
    sl_buf_append_str(pickle, "}");
    torch_pickle_text(pickle, "w");
    torch_pickle_tensor(pickle, t);
    sl_buf_append_str(pickle, "s.");
}

static void
tensor_refused(const struct torch_tensor *t, const char *says)
{
    struct sl_buf pickle = {0};
    make(&pickle, t);
    refused(&pickle, SL_EINVAL, says);
    sl_buf_deinit(&pickle);
}

Test(pytorch, lists_a_view_with_its_place_in_the_file)
{
    struct sl_buf pickle = {0}, file = {0};
    struct sl_weights weights = {0};
    struct torch_tensor t = tensor_2x3();
    make(&pickle, &t);
    torch_file_append(&file, sl_buf_slice(&pickle), 4, 64);
    cr_assert_eq(parse_file(sl_buf_slice(&file), &weights), SL_OK, "%s", cause.text);
    cr_assert_eq(weights.count, 1);
    struct sl_weight *w = &weights.items[0];
    cr_expect_str_eq(w->name, "w");
    cr_expect_eq(w->dtype, SL_DTYPE_F32);
    cr_expect_eq(w->dims_count, 2);
    cr_expect_eq(w->shape[1], 3);
    cr_expect_eq(w->strides[0], 3);
    cr_expect_eq(w->span_bytes, 24);
    cr_expect_eq(w->file, 0);
    for (uint8_t i = 0; i < 24; i++)
        cr_expect_eq(file.data[w->offset + i], 8 + i);
    sl_weights_deinit(&weights);
    sl_buf_deinit(&file);
    sl_buf_deinit(&pickle);
}

Test(pytorch, keeps_strides_of_transposed_and_expanded_views)
{
    struct sl_buf pickle = {0};
    struct sl_weights weights = {0};
    struct torch_tensor t = tensor_2x3();
    t.shape[0] = 3, t.shape[1] = 2, t.strides[0] = 1, t.strides[1] = 3;
    make(&pickle, &t);
    cr_assert_eq(parse(&pickle, &weights), SL_OK, "%s", cause.text);
    cr_expect_eq(weights.items[0].span_bytes, 24);
    cr_expect_eq(weights.items[0].strides[1], 3);
    sl_weights_deinit(&weights);
    t.shape[0] = 1000, t.strides[0] = 0;
    make(&pickle, &t);
    cr_assert_eq(parse(&pickle, &weights), SL_OK, "%s", cause.text);
    cr_expect_eq(weights.items[0].span_bytes, 16);
    sl_weights_deinit(&weights);
    sl_buf_deinit(&pickle);
}

/* {"w": one of the third generation, which has bytes, and a dtype at the end} */
static void
make_v3(struct sl_buf *pickle, const char *dtype, int64_t count)
{
    torch_pickle_begin(pickle);
    sl_buf_append_str(pickle, "}");
    torch_pickle_text(pickle, "w");
    torch_pickle_global(pickle, "torch._utils", "_rebuild_tensor_v3");
    sl_buf_append_str(pickle, "((");
    torch_pickle_text(pickle, "storage");
    torch_pickle_global(pickle, "torch.storage", "UntypedStorage");
    torch_pickle_text(pickle, "1");
    torch_pickle_text(pickle, "cpu");
    sl_buf_append_str(pickle, "K\x40tQ");
    torch_pickle_int(pickle, 0);
    torch_pickle_int(pickle, count);
    sl_buf_append_str(pickle, "\x85K\1\x85\x89}");
    torch_pickle_global(pickle, "torch", dtype);
    sl_buf_append_str(pickle, "tRs.");
}

Test(pytorch, knows_every_storage_and_dtype)
{
    static const struct {
        const char *module, *name;
        enum sl_dtype dtype;
    } all[] = {
        {"torch", "FloatStorage", SL_DTYPE_F32},
        {"torch", "HalfStorage", SL_DTYPE_F16},
        {"torch", "BFloat16Storage", SL_DTYPE_BF16},
        {"torch", "DoubleStorage", SL_DTYPE_F64},
        {"torch", "LongStorage", SL_DTYPE_I64},
        {"torch", "IntStorage", SL_DTYPE_I32},
        {"torch", "ShortStorage", SL_DTYPE_I16},
        {"torch", "CharStorage", SL_DTYPE_I8},
        {"torch", "ByteStorage", SL_DTYPE_U8},
        {"torch", "BoolStorage", SL_DTYPE_BOOL},
        {"torch", "ComplexFloatStorage", SL_DTYPE_C64},
        {NULL, "uint8", SL_DTYPE_U8},
        {NULL, "uint16", SL_DTYPE_U16},
        {NULL, "uint32", SL_DTYPE_U32},
        {NULL, "uint64", SL_DTYPE_U64},
        {NULL, "float8_e4m3fn", SL_DTYPE_F8_E4M3},
        {NULL, "float8_e5m2", SL_DTYPE_F8_E5M2},
        {NULL, "float8_e4m3fnuz", SL_DTYPE_F8_E4M3FNUZ},
        {NULL, "float8_e5m2fnuz", SL_DTYPE_F8_E5M2FNUZ},
        {NULL, "float8_e8m0fnu", SL_DTYPE_F8_E8M0},
    };
    for (size_t i = 0; i < SL_COUNT_OF(all); i++) {
        struct sl_buf pickle = {0};
        struct sl_weights weights = {0};
        uint32_t size = sl_dtype_bits(all[i].dtype) / 8;
        if (all[i].module != NULL) {
            struct torch_tensor t = {.storage = all[i].name,
                                     .key = "1",
                                     .storage_count = 64 / size,
                                     .dims_count = 1,
                                     .shape = {64 / size},
                                     .strides = {1}};
            make(&pickle, &t);
        } else {
            make_v3(&pickle, all[i].name, 64 / size);
        }
        cr_expect_eq(parse(&pickle, &weights), SL_OK, "%s: %s", all[i].name, cause.text);
        cr_assert_eq(weights.count, 1, "%s", all[i].name);
        cr_expect_eq(weights.items[0].dtype, all[i].dtype, "%s", all[i].name);
        cr_expect_eq(weights.items[0].span_bytes, 64, "%s", all[i].name);
        sl_weights_deinit(&weights);
        sl_buf_deinit(&pickle);
    }
    struct torch_tensor t = tensor_2x3();
    t.storage = "ComplexDoubleStorage";
    tensor_refused(&t, "'torch.ComplexDoubleStorage'");
    t.storage = "QInt8Storage";
    tensor_refused(&t, "'torch.QInt8Storage'");
    t.storage = "float32";
    tensor_refused(&t, "storage");
}

Test(pytorch, joins_names_and_skips_what_is_no_tensor)
{
    struct sl_buf pickle = {0};
    struct sl_weights weights = {0};
    struct torch_tensor t = tensor_2x3();
    torch_pickle_begin(&pickle);
    sl_buf_append_str(&pickle, "}(");
    torch_pickle_text(&pickle, "epoch");
    torch_pickle_int(&pickle, 3);
    torch_pickle_text(&pickle, "model");
    torch_pickle_global(&pickle, "collections", "OrderedDict");
    sl_buf_append_str(&pickle, ")R(");
    torch_pickle_text(&pickle, "a.weight");
    torch_pickle_tensor(&pickle, &t);
    torch_pickle_text(&pickle, "b");
    sl_buf_append_str(&pickle, "](");
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "N");
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "e");
    torch_pickle_int(&pickle, 7); /* A number as a key, as optimizers have. */
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "u}");
    torch_pickle_text(&pickle, "_metadata"); /* An attribute, even if it were a tensor. */
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "sb");
    torch_pickle_text(&pickle, "dtype");
    torch_pickle_global(&pickle, "torch", "float32");
    sl_buf_append_str(&pickle, "K\1K\2\x86"); /* A tuple is no name, and needs none. */
    sl_buf_append_str(&pickle, "](K\1K\2e");
    torch_pickle_text(&pickle, "last");
    torch_pickle_global(&pickle, "torch._utils", "_rebuild_parameter");
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "\x88}\x87Ru.");
    cr_assert_eq(parse(&pickle, &weights), SL_OK, "%s", cause.text);
    static const char *names[] = {"model.a.weight", "model.b.0", "model.b.2", "model.7", "last"};
    cr_assert_eq(weights.count, SL_COUNT_OF(names));
    for (uint32_t i = 0; i < weights.count; i++) {
        cr_expect_str_eq(weights.items[i].name, names[i]);
        cr_expect_eq(weights.items[i].offset, weights.items[0].offset, "they are tied");
    }
    sl_weights_deinit(&weights);
    sl_buf_deinit(&pickle);
}

Test(pytorch, refuses_tensors_without_a_name_or_with_one_name)
{
    struct sl_buf pickle = {0};
    struct torch_tensor t = tensor_2x3();
    torch_pickle_begin(&pickle);
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, ".");
    refused(&pickle, SL_EINVAL, "no name");

    sl_buf_clear(&pickle); /* {(1, 2): {"x": t}} */
    torch_pickle_begin(&pickle);
    sl_buf_append_str(&pickle, "}K\1K\2\x86}");
    torch_pickle_text(&pickle, "x");
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "ss.");
    refused(&pickle, SL_EINVAL, "no name");

    char name[SL_TENSOR_NAME_SIZE_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (int i = 0; i < 3; i++) {
        const char *key = i == 0 ? name : i == 1 ? "" : "\xff";
        sl_buf_clear(&pickle);
        torch_pickle_begin(&pickle);
        sl_buf_append_str(&pickle, "}");
        torch_pickle_text(&pickle, key);
        torch_pickle_tensor(&pickle, &t);
        sl_buf_append_str(&pickle, "s.");
        refused(&pickle, SL_EINVAL, "no name");
    }

    sl_buf_clear(&pickle); /* {"a.b": t, "a": {"b": t}} */
    torch_pickle_begin(&pickle);
    sl_buf_append_str(&pickle, "}(");
    torch_pickle_text(&pickle, "a.b");
    torch_pickle_tensor(&pickle, &t);
    torch_pickle_text(&pickle, "a");
    sl_buf_append_str(&pickle, "}");
    torch_pickle_text(&pickle, "b");
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "su.");
    refused(&pickle, SL_EINVAL, "'a.b': it is there twice");

    sl_buf_clear(&pickle); /* {"a": t, "a": None} */
    torch_pickle_begin(&pickle);
    sl_buf_append_str(&pickle, "}(");
    torch_pickle_text(&pickle, "a");
    torch_pickle_tensor(&pickle, &t);
    torch_pickle_text(&pickle, "a");
    sl_buf_append_str(&pickle, "Nu.");
    refused(&pickle, SL_EINVAL, "'a' is twice");
    sl_buf_deinit(&pickle);
}

/* The loader of tar files unpickled without the restrictions of weights_only. */
Test(pytorch, cve_2025_32434_legacy_tar_under_weights_only)
{
    uint8_t tar[1024] = "pickle";
    memcpy(tar + 257, "ustar", 6);
    refused_file(sl_slice(tar, sizeof(tar)), SL_EVERSION, "tar archive");
    refused_file(sl_slice(tar, sizeof(tar)), SL_EVERSION, "torch.save it again");
}

Test(pytorch, refuses_streams_and_bare_pickles_and_says_what_to_do)
{
    refused_file(sl_slice("\x80\x02\x8a\x0al\xfc\x9c"
                          "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
                          22),
                 SL_EVERSION, "before 1.6");
    refused_file(sl_slice("\x80\x04N.", 4), SL_EVERSION, "bare pickle");
    refused_file(sl_slice("\x80\x02}q\0.", 6), SL_EVERSION, "torch.save it again");
    refused_file(sl_slice("{}", 2), SL_EINVAL, "not a PyTorch file");
    refused_file(sl_slice("", 0), SL_EINVAL, "not a PyTorch file");
    refused_file(sl_slice("PK\3\4", 4), SL_EINVAL, "too short");
}

Test(pytorch, cve_2026_24747_setitem_on_a_tensor)
{
    struct sl_buf pickle = {0};
    struct torch_tensor t = tensor_2x3();
    torch_pickle_begin(&pickle);
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "K\1K\2s.");
    refused(&pickle, SL_EINVAL, "no dict");
    sl_buf_deinit(&pickle);
}

Test(pytorch, cve_2026_24747_count_of_elements_against_the_archive)
{
    struct torch_tensor t = tensor_2x3();
    t.storage_count = 17;
    tensor_refused(&t, "64 bytes, where 17 elements of F32");
    t.storage_count = 15;
    tensor_refused(&t, "64 bytes, where 15 elements of F32");
    t.storage_count = INT64_MAX;
    tensor_refused(&t, "64 bytes, where");
    t.storage_count = INT64_C(1) << 62; /* Times 4 is 0 in 64 bits. */
    tensor_refused(&t, "64 bytes, where");
    t.storage_count = -16;
    tensor_refused(&t, "storage");
    t = tensor_2x3();
    t.key = "4";
    tensor_refused(&t, "'data/4' is not in the archive");
    t.key = "../data.pkl";
    tensor_refused(&t, "not in the archive");
    t.key = "";
    tensor_refused(&t, "not in the archive");
}

Test(pytorch, refuses_views_beyond_their_storage)
{
    struct torch_tensor t = tensor_2x3();
    t.offset = 10; /* 10 + 5 is the last. */
    struct sl_buf pickle = {0};
    struct sl_weights weights = {0};
    make(&pickle, &t);
    cr_expect_eq(parse(&pickle, &weights), SL_OK, "%s", cause.text);
    sl_weights_deinit(&weights);
    sl_buf_deinit(&pickle);
    t.offset = 11;
    tensor_refused(&t, "[2, 3] at element 11");
    t.offset = -1;
    tensor_refused(&t, "whole numbers");
    t.offset = INT64_MAX;
    tensor_refused(&t, "beyond its end");
    t = tensor_2x3();
    t.strides[0] = -3;
    tensor_refused(&t, "whole numbers");
    t.strides[0] = 12;
    tensor_refused(&t, "beyond its end");
    t.shape[0] = -2;
    tensor_refused(&t, "whole numbers");
    t = (struct torch_tensor){.storage = "FloatStorage",
                              .key = "0",
                              .storage_count = 16,
                              .offset = 17,
                              .dims_count = 1,
                              .shape = {0},
                              .strides = {1}};
    tensor_refused(&t, "beyond its end");
    t = (struct torch_tensor){
        .storage = "FloatStorage", .key = "0", .storage_count = 16, .dims_count = 9};
    tensor_refused(&t, "0 to 8 dimensions");
}

Test(pytorch, refuses_shapes_and_strides_that_overflow)
{
    struct torch_tensor t = tensor_2x3();
    t.shape[0] = INT64_MAX, t.strides[0] = INT64_MAX;
    tensor_refused(&t, "beyond its end");
    t.shape[0] = 3, t.strides[0] = INT64_MAX, t.strides[1] = INT64_C(1) << 62;
    tensor_refused(&t, "beyond its end");
    t.shape[0] = (INT64_C(1) << 33) + 1, t.strides[0] = INT64_C(1) << 31;
    t.shape[1] = 1;
    tensor_refused(&t, "beyond its end");
    t.shape[0] = INT64_C(1) << 32, t.shape[1] = INT64_C(1) << 32;
    t.strides[0] = t.strides[1] = 0;
    tensor_refused(&t, "too big to exist");
}

Test(pytorch, refuses_views_that_blow_memory_up)
{
    struct torch_tensor t = tensor_2x3();
    t.shape[0] = INT64_C(1) << 30, t.strides[0] = 0; /* 12 GiB out of 12 bytes. */
    tensor_refused(&t, "more than 4 times the file");
    /* Many of what alone is allowed. */
    struct sl_buf pickle = {0};
    t.shape[0] = 1 << 20;
    torch_pickle_begin(&pickle);
    sl_buf_append_str(&pickle, "](");
    for (int i = 0; i < 6; i++)
        torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "e.");
    refused(&pickle, SL_EINVAL, "'5': with it, all tensors");
    sl_buf_deinit(&pickle);
}

Test(pytorch, refuses_what_would_run_code_by_its_name)
{
    static const char *const calls[][2] = {{"os", "system"},
                                           {"posix", "system"},
                                           {"nt", "system"},
                                           {"sys", "exit"},
                                           {"subprocess", "Popen"},
                                           {"builtins", "exec"},
                                           {"__builtin__", "eval"},
                                           {"torch", "load"},
                                           {"torch.storage", "_load_from_bytes"},
                                           {"torch._utils", "_rebuild_sparse_tensor"},
                                           {"torch._tensor", "_rebuild_from_type_v2"},
                                           {"mymodel", "Net"},
                                           {"__torch__", "Net"},
                                           {"torch.jit._pickle", "build_intlist"}};
    for (size_t i = 0; i < SL_COUNT_OF(calls); i++) {
        struct sl_buf pickle = {0};
        char name[64];
        torch_pickle_begin(&pickle);
        torch_pickle_global(&pickle, calls[i][0], calls[i][1]);
        torch_pickle_text(&pickle, "touch /tmp/x");
        sl_buf_append_str(&pickle, "\x85R.");
        (void)snprintf(name, sizeof(name), "'%s.%s'", calls[i][0], calls[i][1]);
        refused(&pickle, SL_EDENIED, name);
        sl_buf_deinit(&pickle);
    }
}

Test(pytorch, refuses_hooks_and_unusual_tensors)
{
    struct torch_tensor t = tensor_2x3();
    struct sl_buf pickle = {0};
    make(&pickle, &t);
    /* Hooks: what stands in for the empty OrderedDict. */
    struct sl_buf hooked = {0};
    sl_buf_append(&hooked, pickle.data, pickle.size - strlen("ccollections\nOrderedDict\n)RtRs."));
    sl_buf_append_str(&hooked, "}K\1K\2stRs.");
    refused(&hooked, SL_EINVAL, "hooks");
    sl_buf_clear(&hooked);
    sl_buf_append(&hooked, pickle.data, pickle.size - strlen("tRs."));
    sl_buf_append_str(&hooked, "}");
    torch_pickle_text(&hooked, "conj");
    sl_buf_append_str(&hooked, "\x88stRs.");
    refused(&hooked, SL_EINVAL, "conjugate");
    sl_buf_clear(&hooked);
    sl_buf_append(&hooked, pickle.data, pickle.size - strlen("ccollections\nOrderedDict\n)RtRs."));
    sl_buf_append_str(&hooked, "tRs.");
    refused(&hooked, SL_EINVAL, "5 arguments");
    /* BUILD could give a tensor another storage. */
    sl_buf_clear(&hooked);
    sl_buf_append(&hooked, pickle.data, pickle.size - strlen("s."));
    sl_buf_append_str(&hooked, "}bs.");
    refused(&hooked, SL_EDENIED, "BUILD");
    sl_buf_clear(&hooked);
    torch_pickle_begin(&hooked);
    torch_pickle_global(&hooked, "torch.nn.parameter", "Parameter");
    sl_buf_append_str(&hooked, "K\1\x88\x86R.");
    refused(&hooked, SL_EINVAL, "not of a tensor");
    sl_buf_deinit(&hooked);
    sl_buf_deinit(&pickle);
}

Test(pytorch, deep_nesting_cycles_and_shared_containers_end_at_their_limits)
{
    struct sl_buf pickle = {0};
    torch_pickle_begin(&pickle);
    for (uint32_t i = 0; i <= SL_PYTORCH_DEPTH_MAX; i++)
        sl_buf_append_str(&pickle, "]");
    for (uint32_t i = 0; i < SL_PYTORCH_DEPTH_MAX; i++)
        sl_buf_append_str(&pickle, "a");
    sl_buf_append_str(&pickle, ".");
    refused(&pickle, SL_EINVAL, "within each other");

    sl_buf_clear(&pickle); /* A list that holds itself. */
    sl_buf_append(&pickle, "\x80\2]q\0h\0a.", 9);
    refused(&pickle, SL_EINVAL, "within each other");

    sl_buf_clear(&pickle); /* A list of ten times a list of ten times a list... */
    torch_pickle_begin(&pickle);
    sl_buf_append(&pickle, "]q\0", 3);
    for (uint8_t level = 1; level < 40; level++) {
        sl_buf_append_str(&pickle, "](");
        for (int i = 0; i < 10; i++) {
            sl_buf_append_str(&pickle, "h");
            sl_buf_append_u8(&pickle, (uint8_t)(level - 1));
        }
        sl_buf_append_str(&pickle, "eq");
        sl_buf_append_u8(&pickle, level);
    }
    sl_buf_append_str(&pickle, "."); /* The innermost lists are on the stack below the last. */
    refused(&pickle, SL_EINVAL, "one value");
    /* So they all go into one tuple, the mark of which comes first. */
    struct sl_buf laughs = {0};
    torch_pickle_begin(&laughs);
    sl_buf_append_str(&laughs, "(");
    sl_buf_append(&laughs, pickle.data + 2, pickle.size - 3);
    sl_buf_append_str(&laughs, "t.");
    refused(&laughs, SL_EINVAL, "counting shared ones again");
    sl_buf_deinit(&laughs);
    sl_buf_deinit(&pickle);
}

/* ---- the archive around it --------------------------------------------------------------------
 */

static const uint8_t empty_dict[] = "\x80\2}.";
#define DATA_PKL                                                                                   \
    {                                                                                              \
        .name = "m/data.pkl", .data = empty_dict, .size = 4                                        \
    }
#define VERSION                                                                                    \
    {                                                                                              \
        .name = "m/version", .data = "3\n", .size = 2                                              \
    }

static void
archive_refused(const struct torch_entry *entries, size_t count, enum sl_err want, const char *says)
{
    struct sl_buf file = {0};
    torch_archive_append(&file, entries, count, NULL);
    refused_file(sl_buf_slice(&file), want, says);
    sl_buf_deinit(&file);
}

Test(pytorch, refuses_compressed_entries)
{
    struct torch_entry e[] = {DATA_PKL, VERSION, {.name = "m/data/0", .data = "x", .size = 1}};
    e[2].method = 8;
    archive_refused(e, 3, SL_EINVAL, "'m/data/0' is compressed");
    e[2].method = 0, e[0].method = 8;
    archive_refused(e, 3, SL_EINVAL, "'m/data.pkl' is compressed");
    struct torch_entry code[] = {
        DATA_PKL, VERSION, {.name = "m/code/a.py", .data = "x", .size = 1}};
    code[2].method = 8;
    archive_refused(code, 3, SL_EINVAL, "'m/code/a.py' is compressed");
}

Test(pytorch, refuses_archives_of_something_else)
{
    struct torch_entry none[] = {VERSION};
    archive_refused(none, 1, SL_EINVAL, "no entry 'data.pkl'");
    struct torch_entry bare[] = {{.name = "data.pkl", .data = empty_dict, .size = 4}};
    archive_refused(bare, 1, SL_EINVAL, "one folder");
    struct torch_entry two[] = {DATA_PKL, VERSION, {.name = "n/data/0", .data = "x", .size = 1}};
    archive_refused(two, 3, SL_EINVAL, "one folder");
    struct torch_entry unversioned[] = {DATA_PKL};
    archive_refused(unversioned, 1, SL_EINVAL, "no entry 'version'");
    static const char *const versions[] = {"", "\n", "0", "11", "4294967297", "3x", "-3"};
    for (size_t i = 0; i < SL_COUNT_OF(versions); i++) {
        struct torch_entry e[] = {
            DATA_PKL, {.name = "m/version", .data = versions[i], .size = strlen(versions[i])}};
        archive_refused(e, 2, SL_EVERSION, "version");
    }
    struct torch_entry big[] = {
        DATA_PKL, VERSION, {.name = "m/byteorder", .data = "big", .size = 3}};
    archive_refused(big, 3, SL_EVERSION, "little-endian");
    struct torch_entry twice[] = {DATA_PKL, VERSION, DATA_PKL};
    archive_refused(twice, 3, SL_EINVAL, "there twice");
}

Test(pytorch, reads_torchscript_as_records_and_never_its_code)
{
    struct sl_buf pickle = {0}, file = {0};
    struct sl_weights weights = {0};
    struct torch_tensor t = tensor_2x3();
    torch_pickle_begin(&pickle);
    torch_pickle_global(&pickle, "__torch__.nn.___torch_mangle_3", "Net");
    sl_buf_append_str(&pickle, ")\x81}(");
    torch_pickle_text(&pickle, "training");
    sl_buf_append_str(&pickle, "\x88");
    torch_pickle_text(&pickle, "inner");
    torch_pickle_global(&pickle, "__torch__", "Linear");
    sl_buf_append_str(&pickle, ")\x81}");
    torch_pickle_text(&pickle, "weight");
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "sb");
    torch_pickle_text(&pickle, "more");
    torch_pickle_global(&pickle, "torch.jit._pickle", "build_tensorlist");
    sl_buf_append_str(&pickle, "]");
    torch_pickle_tensor(&pickle, &t);
    sl_buf_append_str(&pickle, "a\x85Rub.");
    uint8_t zeroes[64] = {0};
    struct torch_entry e[] = {
        {.name = "n/data.pkl", .data = pickle.data, .size = pickle.size},
        {.name = "n/data/0", .data = zeroes, .size = sizeof(zeroes)},
        {.name = "n/constants.pkl", .data = "\x80\2).", .size = 4},
        {.name = "n/code/__torch__.py", .data = "not even deflated", .size = 17, .method = 8},
        {.name = "n/version", .data = "3\n", .size = 2}};
    torch_archive_append(&file, e, SL_COUNT_OF(e), NULL);
    cr_assert_eq(parse_file(sl_buf_slice(&file), &weights), SL_OK, "%s", cause.text);
    cr_assert_eq(weights.count, 2);
    cr_expect_str_eq(weights.items[0].name, "inner.weight");
    cr_expect_str_eq(weights.items[1].name, "more.0");
    sl_weights_deinit(&weights);
    sl_buf_deinit(&file);
    sl_buf_deinit(&pickle);
}

Test(pytorch, refuses_every_cut_and_survives_every_flipped_bit_of_a_small_good_file)
{
    struct sl_buf pickle = {0}, file = {0};
    struct sl_weights weights = {0};
    struct torch_tensor t = tensor_2x3();
    make(&pickle, &t);
    torch_file_append(&file, sl_buf_slice(&pickle), 1, 64);
    for (size_t size = 0; size < file.size; size++)
        cr_expect_eq(parse_file(sl_slice(file.data, size), &weights), SL_EINVAL, "cut at %zu",
                     size);
    for (size_t i = 0; i < file.size * 8; i++) {
        file.data[i / 8] ^= (uint8_t)(1u << i % 8);
        if (parse_file(sl_buf_slice(&file), &weights) == SL_OK)
            sl_weights_deinit(&weights);
        file.data[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    sl_buf_deinit(&file);
    sl_buf_deinit(&pickle);
}

Test(pytorch, takes_a_file_without_tensors)
{
    struct sl_buf file = {0};
    struct sl_weights weights = {0};
    struct torch_entry e[] = {DATA_PKL, VERSION};
    torch_archive_append(&file, e, 2, NULL);
    cr_expect_eq(parse_file(sl_buf_slice(&file), &weights), SL_OK, "%s", cause.text);
    cr_expect_eq(weights.count, 0);
    sl_weights_deinit(&weights);
    sl_buf_deinit(&file);
}
