/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#include <msgpack.h>
#pragma GCC diagnostic pop

#include "runtime/random.h"
#include "tests/runtime/test_protocol.h"

TestSuite(message, .init = test_protocol_register);

static struct sl_msg *
decode_one(const struct sl_buf *frame)
{
    struct sl_slice rest = sl_buf_slice(frame);
    struct sl_msg *msg = NULL;
    enum sl_err err;
    cr_assert(sl_msg_decode(&rest, &msg, &err));
    cr_assert_eq(err, SL_OK);
    cr_assert_eq(rest.size, 0);
    return msg;
}

static void
assert_same(const struct sl_msg *a, const struct sl_msg *b)
{
    const struct sl_m_every *x = SL_BODY(a, every), *y = SL_BODY(b, every);
    cr_assert_eq(a->id, b->id);
    cr_assert_eq(a->to.actor, b->to.actor);
    cr_assert_eq(a->from.node, b->from.node);
    cr_assert_eq(a->from.actor, b->from.actor);
    cr_assert_eq(a->request, b->request);
    cr_assert_eq(x->number, y->number);
    cr_assert_eq(x->integer, y->integer);
    cr_assert(memcmp(&x->real, &y->real, sizeof(x->real)) == 0);
    cr_assert(sl_slice_equal(x->first, y->first));
    cr_assert(sl_slice_equal(x->second, y->second));
}

static void
round_trip(const struct sl_m_every *body, uint64_t request)
{
    struct sl_buf frame = {0};
    struct sl_msg *msg = sl_msg_create(SL_M_every, body);
    msg->to.actor = (uint32_t)request * 3;
    msg->from = (struct sl_addr){(uint32_t)(request >> 7), (uint32_t)(request >> 33)};
    msg->request = request;
    sl_msg_encode(msg, &frame);
    struct sl_msg *back = decode_one(&frame);
    cr_assert_not_null(back);
    assert_same(msg, back);
    sl_msg_destroy(&msg);
    sl_msg_destroy(&back);
    sl_buf_deinit(&frame);
}

Test(message, comes_back_from_the_wire_as_it_was)
{
    static const uint64_t numbers[] = {0,     127,        128,       255,        256,       65535,
                                       65536, UINT32_MAX, INT64_MAX, 1ULL << 63, UINT64_MAX};
    static const int64_t integers[] = {0,      -1,        -32,       -33,      -129,
                                       -32769, INT64_MIN, INT64_MAX, INT32_MIN};
    static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536, 300000};
    static uint8_t bytes[300000];
    struct sl_random random;
    sl_random_seed(&random, 4);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)sl_random_u64(&random);
    for (int round = 0; round < 2000; round++) {
        uint64_t bits = sl_random_u64(&random);
        struct sl_m_every body = {
            .number = numbers[sl_random_below(&random, SL_COUNT_OF(numbers))],
            .integer = integers[sl_random_below(&random, SL_COUNT_OF(integers))],
            .first = sl_slice(bytes, sizes[sl_random_below(&random, SL_COUNT_OF(sizes))]),
            .second = sl_slice(bytes + 1, sizes[sl_random_below(&random, 5)])};
        memcpy(&body.real, &bits, sizeof(bits)); /* Any bits: infinities and NaNs as well. */
        round_trip(&body, sl_random_u64(&random));
    }
}

Test(message, holds_its_own_copy_of_the_bytes)
{
    char text[] = "mine";
    struct sl_m_every body = {.first = sl_slice(text, 4)};
    struct sl_msg *msg = sl_msg_create(SL_M_every, &body);
    text[0] = 'X';
    cr_assert(sl_slice_is(SL_BODY(msg, every)->first, "mine"));
    sl_msg_destroy(&msg);
    cr_assert_null(msg);
}

Test(message, many_in_a_frame_come_in_order)
{
    struct sl_buf frame = {0};
    for (uint64_t i = 0; i < 100; i++) {
        struct sl_msg *msg = sl_msg_create(SL_M_count, &(struct sl_m_count){i});
        sl_msg_encode(msg, &frame);
        sl_msg_destroy(&msg);
    }
    struct sl_slice rest = sl_buf_slice(&frame);
    struct sl_msg *msg;
    enum sl_err err;
    for (uint64_t i = 0; i < 100; i++) {
        cr_assert(sl_msg_decode(&rest, &msg, &err));
        cr_assert_eq(SL_BODY(msg, count)->number, i);
        sl_msg_destroy(&msg);
    }
    cr_assert_not(sl_msg_decode(&rest, &msg, &err));
    cr_assert_eq(err, SL_OK);
    sl_buf_deinit(&frame);
}

Test(message, refuses_a_frame_cut_anywhere)
{
    struct sl_buf frame = {0};
    struct sl_m_every body = {.number = 70000, .integer = -5, .first = sl_slice_str("abc")};
    struct sl_msg *msg = sl_msg_create(SL_M_every, &body);
    sl_msg_encode(msg, &frame);
    sl_msg_destroy(&msg);
    for (size_t size = 1; size < frame.size; size++) {
        struct sl_slice rest = sl_slice(frame.data, size);
        enum sl_err err;
        cr_assert_not(sl_msg_decode(&rest, &msg, &err));
        cr_assert_eq(err, SL_ECORRUPT, "cut at %zu", size);
        cr_assert_null(msg);
    }
    sl_buf_deinit(&frame);
}

Test(message, never_takes_the_drivers_own_from_outside)
{
    struct sl_buf frame = {0};
    struct sl_msg *msg = sl_msg_create(SL_M_work_done, &(struct sl_m_work_done){1, 0xdeadbeef});
    sl_msg_encode(msg, &frame);
    sl_msg_destroy(&msg);
    cr_assert_null(decode_one(&frame));
    sl_buf_deinit(&frame);
}

static bool
decodes(const void *bytes, size_t size, struct sl_msg **ret_msg, enum sl_err *ret_err)
{
    struct sl_slice rest = sl_slice(bytes, size);
    return sl_msg_decode(&rest, ret_msg, ret_err);
}

Test(message, skips_types_it_does_not_know_and_fields_it_does_not_need)
{
    struct sl_msg *msg;
    enum sl_err err;
    /* Protocol 99; then a `count` with one more field than we know; then one with too few. */
    static const uint8_t unknown[] = {0x96, 0xce, 0, 99, 0, 0, 1, 0, 0, 0, 5};
    cr_assert(decodes(unknown, sizeof(unknown), &msg, &err));
    cr_assert_null(msg);
    cr_assert_eq(err, SL_OK);
    static const uint8_t newer[] = {0x97, 0xce, 0, SL_PROTOCOL_TEST, 0, 0, 1, 0, 0, 0, 42, 0xc3};
    cr_assert(decodes(newer, sizeof(newer), &msg, &err));
    cr_assert_eq(SL_BODY(msg, count)->number, 42);
    sl_msg_destroy(&msg);
    static const uint8_t older[] = {0x95, 0xce, 0, SL_PROTOCOL_TEST, 0, 0, 1, 0, 0, 0};
    cr_assert(decodes(older, sizeof(older), &msg, &err));
    cr_assert_null(msg);
}

Test(message, refuses_what_would_make_it_allocate_or_misread)
{
    static const struct {
        const char *what;
        uint8_t bytes[16];
        size_t size;
    } bad[] = {
        {"array of 4 G", {0xdd, 0xff, 0xff, 0xff, 0xff}, 5},
        {"map as message", {0x81, 1, 1}, 3},
        {"array inside", {0x96, 0xce, 0, 5, 0, 0, 1, 0, 0, 0, 0xdd, 0xff, 0xff, 0xff, 0xff}, 15},
        {"map inside", {0x96, 0xce, 0, 5, 0, 0, 1, 0, 0, 0, 0xdf, 0xff, 0xff, 0xff, 0xff}, 15},
        {"bytes of 4 G", {0x96, 0xce, 0, 5, 0, 0, 1, 0, 0, 0, 0xc6, 0xff, 0xff, 0xff, 0xff}, 15},
        {"extension", {0x96, 0xce, 0, 5, 0, 0, 1, 0, 0, 0, 0xd4, 1, 1}, 13},
        {"negative u64", {0x96, 0xce, 0, 5, 0, 0, 1, 0, 0, 0, 0xff}, 11},
        {"too few for an envelope", {0x94, 1, 1, 1, 1}, 5},
        {"address above 32 bits", {0x96, 0xce, 0, 5, 0, 0, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0}, 15},
    };
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        struct sl_msg *msg;
        enum sl_err err;
        cr_assert_not(decodes(bad[i].bytes, bad[i].size, &msg, &err), "%s", bad[i].what);
        cr_assert_eq(err, SL_ECORRUPT, "%s", bad[i].what);
        cr_assert_null(msg);
    }
}

static int
append(void *data, const char *bytes, size_t size)
{
    sl_buf_append(data, bytes, size);
    return 0;
}

/* As the library would write it. */
static void
pack(struct sl_buf *out, const struct sl_msg *msg)
{
    const struct sl_m_every *body = SL_BODY(msg, every);
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, append);
    msgpack_pack_array(&pk, 10);
    msgpack_pack_uint64(&pk, msg->id);
    msgpack_pack_uint64(&pk, msg->to.actor);
    msgpack_pack_uint64(&pk, msg->from.node);
    msgpack_pack_uint64(&pk, msg->from.actor);
    msgpack_pack_uint64(&pk, msg->request);
    msgpack_pack_uint64(&pk, body->number);
    msgpack_pack_int64(&pk, body->integer);
    msgpack_pack_double(&pk, body->real);
    msgpack_pack_bin(&pk, body->first.size);
    msgpack_pack_bin_body(&pk, body->first.data, body->first.size);
    msgpack_pack_bin(&pk, body->second.size);
    msgpack_pack_bin_body(&pk, body->second.data, body->second.size);
}

Test(message, is_what_the_library_writes_byte_for_byte)
{
    static const uint64_t numbers[] = {0,         1,         127,   128,        255,
                                       256,       65535,     65536, UINT32_MAX, UINT64_C(1) << 32,
                                       INT64_MAX, UINT64_MAX};
    static const size_t sizes[] = {0, 1, 31, 255, 256, 65535, 65536};
    static uint8_t bytes[65536];
    for (size_t i = 0; i < SL_COUNT_OF(numbers); i++) {
        for (size_t j = 0; j < SL_COUNT_OF(sizes); j++) {
            struct sl_buf ours = {0}, theirs = {0};
            struct sl_m_every body = {.number = numbers[i],
                                      .integer = -(int64_t)(numbers[i] / 2),
                                      .real = 0.5,
                                      .first = sl_slice(bytes, sizes[j]),
                                      .second = sl_slice(bytes, sizes[(j + 1) % 7])};
            struct sl_msg *msg = sl_msg_create(SL_M_every, &body);
            msg->to.actor = msg->from.node = (uint32_t)numbers[i];
            msg->request = numbers[i];
            sl_msg_encode(msg, &ours);
            pack(&theirs, msg);
            cr_assert(sl_slice_equal(sl_buf_slice(&ours), sl_buf_slice(&theirs)));
            sl_msg_destroy(&msg);
            sl_buf_deinit(&ours);
            sl_buf_deinit(&theirs);
        }
    }
}

Test(message, takes_a_number_and_bytes_in_each_of_their_forms)
{
    static const struct {
        uint8_t bytes[9];
        size_t size;
    } forms[] = {{{0x2a}, 1},
                 {{0xcc, 42}, 2},
                 {{0xcd, 0, 42}, 3},
                 {{0xce, 0, 0, 0, 42}, 5},
                 {{0xcf, 0, 0, 0, 0, 0, 0, 0, 42}, 9},
                 {{0xd0, 42}, 2}, /* With a sign, as others may write it. */
                 {{0xd1, 0, 42}, 3},
                 {{0xd3, 0, 0, 0, 0, 0, 0, 0, 42}, 9}};
    static const uint8_t head[] = {0x96, 0xce, 0, SL_PROTOCOL_TEST, 0, 0, 1, 0, 0, 0};
    for (size_t i = 0; i < SL_COUNT_OF(forms); i++) {
        for (size_t cut = 0; cut <= forms[i].size; cut++) {
            struct sl_msg *msg;
            enum sl_err err;
            struct sl_buf frame = {0};
            sl_buf_append(&frame, head, sizeof(head));
            sl_buf_append(&frame, forms[i].bytes, forms[i].size - cut);
            cr_assert_eq(decodes(frame.data, frame.size, &msg, &err), cut == 0);
            if (cut == 0)
                cr_assert_eq(SL_BODY(msg, count)->number, 42, "form %zu", i);
            else
                cr_assert_eq(err, SL_ECORRUPT);
            sl_msg_destroy(&msg);
            sl_buf_deinit(&frame);
        }
    }
}

Test(message, prints_its_fields)
{
    struct sl_buf out = {0};
    struct sl_m_every body = {
        .number = 1, .integer = -2, .real = 0.5, .first = sl_slice_str("abc")};
    struct sl_msg *msg = sl_msg_create(SL_M_every, &body);
    sl_msg_print(msg, &out);
    cr_assert_str_eq(sl_buf_text(&out),
                     "every{number=1 integer=-2 real=0.5 first=(3 bytes) second=(0 bytes)}");
    sl_msg_destroy(&msg);
    sl_buf_deinit(&out);
}
