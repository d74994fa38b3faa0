/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says what follows: a request, a reply, rows of a keyring. What is read is written
 * as it was. */
#include <stdlib.h>

#include "gateway/call_wire.h"
#include "gateway/keyring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
request(struct sl_slice text)
{
    struct sl_call *call = NULL;
    struct sl_buf again = {0};
    if (sl_call_request_read(text, &call) == SL_OK) {
        sl_call_request_write(call, &again);
        if (!sl_slice_equal(text, sl_buf_slice(&again)))
            abort();
    }
    sl_call_destroy(&call);
    sl_buf_deinit(&again);
}

static void
reply(struct sl_slice text)
{
    struct sl_call *call = sl_call_create();
    (void)!sl_call_reply_read(text, call);
    sl_call_destroy(&call);
}

static void
keys(struct sl_slice text)
{
    struct sl_keyring *first = sl_keyring_create(), *second = sl_keyring_create();
    struct sl_buf rows = {0}, again = {0};
    if (sl_keyring_apply(first, text, true) == SL_OK) {
        sl_keyring_write(first, &rows);
        if (sl_keyring_apply(second, sl_buf_slice(&rows), true) != SL_OK)
            abort();
        sl_keyring_write(second, &again);
        if (rows.size != again.size)
            abort();
    }
    sl_keyring_destroy(&first);
    sl_keyring_destroy(&second);
    sl_buf_deinit(&rows);
    sl_buf_deinit(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(struct sl_slice) = {request, reply, keys};
    if (size > 0)
        targets[data[0] % SL_COUNT_OF(targets)](sl_slice(data + 1, size - 1));
    return 0;
}
