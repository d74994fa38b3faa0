/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a frame: what is taken must survive being sent again, byte for byte. */
#include "tests/runtime/message_again.h"
#include "tests/runtime/test_protocol.h"

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
            message_again_check(msg);
        sl_msg_destroy(&msg);
    }
    sl_assert(err == SL_OK ? rest.size == 0 : msg == NULL);
    return 0;
}
