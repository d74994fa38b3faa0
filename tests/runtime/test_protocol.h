/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_protocol.h - a protocol with a field of every type, for the runtime's tests. For one .c file
 * a program: it holds the tables.
 */
#ifndef SL_TESTS_RUNTIME_TEST_PROTOCOL_H
#define SL_TESTS_RUNTIME_TEST_PROTOCOL_H

#include "runtime/message.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#define F(type, name) SL_C_##type name;
#define MESSAGE(name, fields, doc)                                                                 \
    struct sl_m_##name {                                                                           \
        fields                                                                                     \
    };
#include "tests/runtime/test.def"
#undef MESSAGE
#undef F

enum sl_test_message {
    SL_TEST_FIRST = (SL_PROTOCOL_TEST << 16) - 1,
#define MESSAGE(name, fields, doc) SL_M_##name,
#include "tests/runtime/test.def"
#undef MESSAGE
};

#define SL_PROTOCOL_DEF  "tests/runtime/test.def"
#define SL_PROTOCOL_NAME test
#define SL_PROTOCOL_ID   SL_PROTOCOL_TEST
#include "runtime/message_table.h"
#pragma GCC diagnostic pop

static inline void
test_protocol_register(void)
{
    sl_protocol_register(&sl_protocol_test);
}

#endif
