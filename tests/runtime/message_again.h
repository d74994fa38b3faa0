/* SPDX-License-Identifier: Apache-2.0 */
/* message_again.h - for fuzzers: what was decoded must survive being sent again. */
#ifndef SL_TESTS_RUNTIME_MESSAGE_AGAIN_H
#define SL_TESTS_RUNTIME_MESSAGE_AGAIN_H

#include "runtime/message.h"

/* Encoded, decoded and encoded again it is the same, byte for byte; and it can be printed. */
static inline void
message_again_check(const struct sl_msg *msg)
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

#endif
