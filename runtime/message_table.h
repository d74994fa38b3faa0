/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message_table.h - expands one protocol's .def (named by SL_PROTOCOL_DEF) into its descriptors.
 * For one .c file a protocol:
 *
 *     #define SL_PROTOCOL_DEF  "actors/cluster.def"
 *     #define SL_PROTOCOL_NAME cluster
 *     #define SL_PROTOCOL_ID   SL_PROTOCOL_CLUSTER
 *     #include "runtime/message_table.h"
 *
 * gives `const struct sl_protocol sl_protocol_cluster`. With SL_PROTOCOL_LOCAL, too, it is local.
 * No guard: it is meant to be included so.
 */
#define SL_TABLE_PASTE2(a, b)      a##b
#define SL_TABLE_PASTE(a, b)       SL_TABLE_PASTE2(a, b)
#define SL_TABLE_STRING2(a)        #a
#define SL_TABLE_STRING(a)         SL_TABLE_STRING2(a)

#define MESSAGE(name, fields, doc) static const uint8_t name##_fields[] = {fields 0};
#define F(type, name)              SL_##type,
#include SL_PROTOCOL_DEF
#undef MESSAGE
#undef F

#define MESSAGE(name, fields, doc) static const char *const name##_names[] = {fields ""};
#define F(type, name)              #name,
#include SL_PROTOCOL_DEF
#undef MESSAGE
#undef F

static const struct sl_message_type SL_TABLE_PASTE(SL_PROTOCOL_NAME, _types)[] = {
#define MESSAGE(name, fields, doc)                                                                 \
    {#name, name##_fields, name##_names, sizeof(struct sl_m_##name), sizeof(name##_fields) - 1},
#define F(type, name)
#include SL_PROTOCOL_DEF
#undef MESSAGE
#undef F
};

extern const struct sl_protocol SL_TABLE_PASTE(sl_protocol_, SL_PROTOCOL_NAME);
const struct sl_protocol SL_TABLE_PASTE(sl_protocol_, SL_PROTOCOL_NAME) = {
    .name = SL_TABLE_STRING(SL_PROTOCOL_NAME),
    .id = SL_PROTOCOL_ID,
    .types = SL_TABLE_PASTE(SL_PROTOCOL_NAME, _types),
    .count = sizeof(SL_TABLE_PASTE(SL_PROTOCOL_NAME, _types)) / sizeof(struct sl_message_type),
#ifdef SL_PROTOCOL_LOCAL
    .is_local = true,
#endif
};
