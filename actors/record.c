/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/record.h"

#include <assert.h>
#include <endian.h>

#include "runtime/hash.h"

#define RECORD_VERSION     2
#define RECORD_VERSION_ONE 1 /* Without is_keyed and root. */

void
sl_record_encode(const struct sl_record *r, struct sl_buf *out)
{
    sl_assert(r != NULL);
    sl_assert(r->fields.size > 0);
    sl_buf_append_u8(out, RECORD_VERSION);
    sl_buf_append_u64(out, r->created_ms);
    sl_buf_append_u64(out, r->updated_ms);
    sl_buf_append_u8(out, r->is_keyed);
    sl_buf_append_block(out, r->source);
    sl_buf_append_block(out, r->root);
    sl_buf_append_block(out, r->origin);
    sl_buf_append_block(out, r->fields);
    sl_buf_append_block(out, r->vectors);
}

enum sl_err
sl_record_decode(struct sl_slice bytes, struct sl_record *ret_record)
{
    struct sl_reader r = sl_reader(bytes);
    struct sl_record record = {0};
    uint8_t version = sl_read_u8(&r);
    if (version != RECORD_VERSION && version != RECORD_VERSION_ONE)
        return SL_ECORRUPT;
    bool is_old = version == RECORD_VERSION_ONE;
    record.created_ms = sl_read_u64(&r);
    record.updated_ms = sl_read_u64(&r);
    record.is_keyed = !is_old && sl_read_u8(&r) != 0;
    record.source = sl_read_block(&r);
    record.root = is_old ? sl_slice(NULL, 0) : sl_read_block(&r);
    record.origin = sl_read_block(&r);
    record.fields = sl_read_block(&r);
    record.vectors = sl_read_block(&r);
    if (!sl_reader_is_done(&r))
        return SL_ECORRUPT;
    *ret_record = record;
    return SL_OK;
}

/*
 * The text of an id could be its 16 digits alone; clients expect 24. The last 8 are a function of
 * the first (the finaliser of splitmix64), so an id that was mistyped or made up is refused without
 * a read.
 */
static uint32_t
check_digits(uint64_t number)
{
    uint64_t z = number + UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

void
sl_record_id_of_number(uint64_t number, char ret_id[static SL_RECORD_ID_SIZE + 1])
{
    uint8_t bytes[SL_RECORD_ID_SIZE / 2];
    uint64_t first = htobe64(number);
    uint32_t last = htobe32(check_digits(number));
    static_assert(sizeof(bytes) == sizeof(first) + sizeof(last), "two digits a byte");
    memcpy(bytes, &first, sizeof(first));
    memcpy(bytes + sizeof(first), &last, sizeof(last));
    sl_hex(sl_slice(bytes, sizeof(bytes)), ret_id);
}

void
sl_record_id(const struct sl_record_origin *o, char ret_id[static SL_RECORD_ID_SIZE + 1])
{
    sl_assert(o != NULL);
    struct sl_buf text = {0};
    sl_buf_append_u8(&text, o->unique.size > 0 ? 'u' : 'o');
    sl_buf_append_block(&text, o->collection);
    if (o->unique.size > 0) {
        sl_buf_append_block(&text, o->unique);
    } else {
        sl_buf_append_block(&text, o->origin);
        sl_buf_append_block(&text, o->source);
    }
    sl_buf_append_u32(&text, o->position);

    uint8_t digest[SL_SHA256_SIZE];
    sl_sha256(sl_buf_slice(&text), digest);
    sl_buf_deinit(&text);
    struct sl_reader r = sl_reader(sl_slice(digest, sizeof(digest)));
    sl_record_id_of_number(sl_read_u64be(&r), ret_id);
}

static int
hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum sl_err
sl_record_number(struct sl_slice id, uint64_t *ret_number)
{
    if (id.size != SL_RECORD_ID_SIZE)
        return SL_EINVAL;
    uint64_t number = 0;
    for (size_t i = 0; i < 16; i++) {
        int digit = hex_digit(id.data[i]);
        if (digit < 0)
            return SL_EINVAL;
        number = number << 4 | (uint64_t)digit;
    }
    char expected[SL_RECORD_ID_SIZE + 1];
    sl_record_id_of_number(number, expected);
    if (memcmp(expected, id.data, SL_RECORD_ID_SIZE) != 0)
        return SL_EINVAL;
    *ret_number = number;
    return SL_OK;
}
