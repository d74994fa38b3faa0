/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a frame: what is taken must survive being sent again, byte for byte. */
#include "runtime/alloc.h"
#include "tests/runtime/test_protocol.h"

static void
check_again(const struct sl_msg *msg)
{
    struct sl_buf once = {0}, twice = {0}, text = {0};
    struct sl_msg *back;
    enum sl_err err;
    sl_msg_encode(msg, &once);
    struct sl_slice rest = sl_buf_slice(&once);
    sl_assert(sl_msg_decode(&rest, &back, &err));
    sl_assert(back != NULL && rest.size == 0);
    sl_msg_encode(back, &twice);
    sl_assert(sl_slice_equal(sl_buf_slice(&once), sl_buf_slice(&twice)));
    sl_msg_print(back, &text);
    sl_msg_destroy(&back);
    sl_buf_deinit(&once);
    sl_buf_deinit(&twice);
    sl_buf_deinit(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_protocol_register();
    struct sl_slice rest = sl_slice(data, size);
    struct sl_msg *msg;
    enum sl_err err;
    size_t before = rest.size;
    while (sl_msg_decode(&rest, &msg, &err)) {
        sl_assert(rest.size < before);
        before = rest.size;
        if (msg != NULL)
            check_again(msg);
        sl_msg_destroy(&msg);
    }
    sl_assert(err == SL_OK ? rest.size == 0 : msg == NULL);
    return 0;
}
