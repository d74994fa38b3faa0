/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/safetensors.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "runtime/buf.h"

static struct sl_cause cause;

static void
make(struct sl_buf *file, const char *header, size_t data_size)
{
    sl_buf_clear(file);
    sl_buf_append_u64(file, strlen(header));
    sl_buf_append_str(file, header);
    for (size_t i = 0; i < data_size; i++)
        sl_buf_append_u8(file, (uint8_t)i);
}

static enum sl_err
parse(const char *header, size_t data_size, struct sl_weights *ret_table)
{
    struct sl_buf file = {0};
    make(&file, header, data_size);
    memset(&cause, 0, sizeof(cause));
    enum sl_err err = sl_safetensors_parse(sl_buf_slice(&file), file.size, ret_table, &cause);
    sl_buf_deinit(&file);
    return err;
}

static void
refused(const char *header, size_t data_size, const char *says)
{
    struct sl_weights table = {0};
    enum sl_err err = parse(header, data_size, &table);
    cr_expect_eq(err, SL_EINVAL, "%s: %s", header, sl_err_name(err));
    cr_expect(strstr(cause.text, says) != NULL, "'%s' does not say '%s'", cause.text, says);
    cr_expect_null(table.items);
}

Test(safetensors, lists_tensors_by_offset)
{
    struct sl_weights table = {0};
    const char *header = "{\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
                         "\"__metadata__\":{\"format\":\"pt\"},"
                         "\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]}}";
    cr_assert_eq(parse(header, 20, &table), SL_OK, "%s", cause.text);
    cr_assert_eq(table.count, 2);
    cr_assert_str_eq(table.items[0].name, "a");
    cr_assert_eq(table.items[0].offset, 8 + strlen(header));
    cr_assert_eq(table.items[0].dims_count, 0);
    cr_assert_eq(table.items[1].dtype, SL_DTYPE_F16);
    cr_assert_eq(table.items[1].shape[1], 3);
    cr_assert_eq(table.items[1].span_bytes, 12);
    sl_weights_deinit(&table);
}

Test(safetensors, knows_every_dtype_and_its_width)
{
    static const struct {
        const char *name;
        unsigned bits;
    } all[] = {{"BOOL", 8}, {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
               {"I8", 8},   {"F8_E5M2", 8},     {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
               {"I16", 16}, {"F8_E5M2FNUZ", 8}, {"U16", 16},    {"F16", 16},    {"BF16", 16},
               {"I32", 32}, {"U32", 32},        {"F32", 32},    {"C64", 64},    {"F64", 64},
               {"I64", 64}, {"U64", 64}};
    cr_assert_eq(SL_COUNT_OF(all), SL_DTYPE_COUNT);
    for (size_t i = 0; i < SL_COUNT_OF(all); i++) {
        char header[128];
        struct sl_weights table = {0};
        (void)snprintf(header, sizeof(header),
                       "{\"a\":{\"dtype\":\"%s\",\"shape\":[8],\"data_offsets\":[0,%u]}}",
                       all[i].name, all[i].bits);
        cr_expect_eq(parse(header, all[i].bits, &table), SL_OK, "%s", cause.text);
        cr_expect_str_eq(sl_dtype_name(table.items[0].dtype), all[i].name);
        sl_weights_deinit(&table);
    }
    refused("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "whole bytes");
    refused("{\"a\":{\"dtype\":\"F5\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "F5");
}

Test(safetensors, takes_tensors_without_elements)
{
    struct sl_weights table = {0};
    cr_assert_eq(parse("{\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
                       "\"a\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]}}",
                       2, &table),
                 SL_OK, "%s", cause.text);
    cr_assert_eq(table.count, 2);
    sl_weights_deinit(&table);
    cr_assert_eq(parse("{}", 0, &table), SL_OK);
    cr_assert_eq(table.count, 0);
    sl_weights_deinit(&table);
}

Test(safetensors, refuses_what_does_not_add_up_and_names_the_tensor)
{
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "'a'");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "'a'");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "'a'");
    refused("{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "F33");
    refused("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1,
            "shape");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, "offsets");
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,\"8\"]}}", 8, "offsets");
    refused("{\"a\":7}", 0, "'a'");
    refused("{\"\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "name");
    refused("{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "NUL");
}

Test(safetensors, refuses_shapes_whose_product_overflows)
{
    refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
            0, "too big");
    refused("{\"a\":{\"dtype\":\"F64\",\"shape\":[2305843009213693952],\"data_offsets\":[0,0]}}", 0,
            "too big");
}

Test(safetensors, refuses_overlaps_holes_and_leftovers)
{
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
            6, "overlaps");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[5,9]}}",
            9, "hole");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 5, "end at byte 4");
}

Test(safetensors, refuses_headers_that_are_no_header)
{
    refused("[]", 0, "object");
    refused("{\"a\":}", 0, "JSON");
    refused(" {}", 0, "object");
    refused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__");
    refused("{\"__metadata__\":1}", 0, "__metadata__");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
            2, "");
}

Test(safetensors, refuses_every_cut_of_a_good_file)
{
    struct sl_buf file = {0};
    make(&file, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    for (size_t size = 0; size < file.size; size++) {
        struct sl_weights table = {0};
        cr_expect_eq(sl_safetensors_parse(sl_slice(file.data, size), size, &table, &cause),
                     SL_EINVAL, "cut at %zu", size);
    }
    sl_buf_deinit(&file);
}
