/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of all of the product's tables, as a peer would send them. Inputs are made from the
 * tables themselves, so that a new row is tried without a new seed: every second mutation starts
 * with, or appends, a message of a random row with random fields; then libFuzzer spoils it. What is
 * decoded must survive being sent again.
 */
#include "actors/cluster.h"
#include "extractors/replica.h"
#include "gateway/api.h"
#include "gateway/relay.h"
#include "runtime/alloc.h"
#include "runtime/random.h"
#include "tests/runtime/message_again.h"

#define BYTES_MAX 24

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed);

static const struct sl_protocol *const protocols[] = {&sl_protocol_replica, &sl_protocol_cluster,
                                                      &sl_protocol_api, &sl_protocol_relay};

static void
register_all(void)
{
    static bool is_done;
    for (size_t i = 0; !is_done && i < SL_COUNT_OF(protocols); i++)
        sl_protocol_register(protocols[i]);
    is_done = true;
}

/* ---- making them --------------------------------------------------------------------------- */

static uint64_t
random_number(struct sl_random *random)
{
    static const uint64_t some[] = {0, 1, 127, 128, UINT32_MAX, UINT64_MAX, INT64_MAX};
    uint64_t pick = sl_random_below(random, 2 * SL_COUNT_OF(some));
    return pick < SL_COUNT_OF(some) ? some[pick] : sl_random_u64(random);
}

/* A body of the type with random fields; slices point into `bytes`. */
static void
fill_body(struct sl_random *random, const struct sl_message_type *type, const uint8_t *bytes,
          unsigned char *body)
{
    for (uint8_t i = 0; i < type->fields_count; i++) {
        uint64_t number = random_number(random);
        if (type->fields[i] == SL_BYTES) {
            struct sl_slice slice = sl_slice(bytes, sl_random_below(random, BYTES_MAX));
            memcpy(body, &slice, sizeof(slice));
            body += sizeof(slice);
            continue;
        }
        memcpy(body, &number, sizeof(number));
        body += sizeof(number);
    }
}

static void
append_random(struct sl_random *random, struct sl_buf *out)
{
    _Alignas(16) unsigned char body[SL_FIELDS_MAX * sizeof(struct sl_slice)];
    uint8_t bytes[BYTES_MAX];
    const struct sl_protocol *p = protocols[sl_random_below(random, SL_COUNT_OF(protocols))];
    uint32_t row = (uint32_t)sl_random_below(random, p->count);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)sl_random_u64(random);
    fill_body(random, &p->types[row], bytes, body);
    struct sl_msg *msg = sl_msg_create((uint32_t)p->id << 16 | row, body);
    sl_msg_encode(msg, out);
    sl_msg_destroy(&msg);
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned int seed)
{
    struct sl_random random;
    struct sl_buf made = {0};
    register_all();
    sl_random_seed(&random, seed);
    uint64_t what = sl_random_below(&random, 4);
    if (what < 2) {
        append_random(&random, &made);
        size_t kept = what == 0 ? 0 : size;
        if (kept + made.size <= size_max) {
            memcpy(data + kept, made.data, made.size);
            size = kept + made.size;
        }
        sl_buf_deinit(&made);
    }
    return what == 0 ? size : LLVMFuzzerMutate(data, size, size_max);
}

/* ---- reading them -------------------------------------------------------------------------- */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sl_slice rest = sl_slice(data, size);
    struct sl_msg *msg;
    enum sl_err err;
    register_all();
    while (sl_msg_decode(&rest, &msg, &err)) {
        if (msg != NULL)
            message_again_check(msg);
        sl_msg_destroy(&msg);
    }
    sl_assert(err == SL_OK ? rest.size == 0 : msg == NULL);
    return 0;
}
