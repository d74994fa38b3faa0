/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h - what each operation answers when it succeeds (replies.def), for /openapi.json and the
 * tests that hold replies against it. Constant: any thread.
 */
#ifndef SL_GATEWAY_REPLY_H
#define SL_GATEWAY_REPLY_H

#include "gateway/route.h"

struct sl_reply {
    const char *operation; /* The route's name. */
    const struct sl_field *fields;
    bool is_list; /* A bare array of such objects. */
};

struct sl_schema {
    const char *name;
    const struct sl_field *fields;
};

/* NULL: the operation has no body, or nobody has said what is in it. */
const struct sl_reply *sl_reply_lookup(const char *operation);
const struct sl_reply *sl_replies(uint32_t *ret_count);

/* Every schema of a reply by name. */
const struct sl_schema *sl_reply_schemas(uint32_t *ret_count);

/* Write the schema `fields` as JSON Schema 2020-12; parts that have a name are referred to. */
void sl_schema_write(struct sl_jsonw *w, const struct sl_field *fields);
/* A reference to the reply's schema, or to an array of it. */
void sl_schema_write_reply(struct sl_jsonw *w, const struct sl_reply *reply);

#endif
