/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/reply.h"

#define FIELD(text, type, ...)                                                                     \
    {                                                                                              \
        .name = (text), .kind = SL_FIELD_##type, ##__VA_ARGS__                                     \
    }
#define SL_SCHEMA(id)   schema_##id
#define SCHEMA(id, ...) static const struct sl_field schema_##id[] = {__VA_ARGS__, {.name = NULL}};
#define REPLY(operation, schema)
#define REPLY_LIST(operation, schema)
#include "gateway/replies.def"

#define SCHEMA(id, ...) {#id "_reply", schema_##id},
#define FIELD(...)
#define REPLY(operation, schema)
#define REPLY_LIST(operation, schema)
static const struct sl_schema schemas[] = {
#include "gateway/replies.def"
};

#define SCHEMA(id, ...)
#define FIELD(...)
#define REPLY(operation, schema)      {#operation, schema_##schema, false},
#define REPLY_LIST(operation, schema) {#operation, schema_##schema, true},
static const struct sl_reply replies[] = {
#include "gateway/replies.def"
};

const struct sl_reply *
sl_reply_lookup(const char *operation)
{
    for (size_t i = 0; i < SL_COUNT_OF(replies); i++) {
        if (strcmp(replies[i].operation, operation) == 0)
            return &replies[i];
    }
    return NULL;
}

const struct sl_reply *
sl_replies(uint32_t *ret_count)
{
    *ret_count = (uint32_t)SL_COUNT_OF(replies);
    return replies;
}

const struct sl_schema *
sl_reply_schemas(uint32_t *ret_count)
{
    *ret_count = (uint32_t)SL_COUNT_OF(schemas);
    return schemas;
}
