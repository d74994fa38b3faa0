/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket_schema.h - the fields that a bucket's objects may have: the schema's own form, and a value
 * against it. A schema without properties is open: any field is accepted.
 */
#ifndef SL_GATEWAY_BUCKET_SCHEMA_H
#define SL_GATEWAY_BUCKET_SCHEMA_H

#include "gateway/call.h"

/* 422 for each part that is no schema. NONE is fine. */
void sl_bucket_schema_check(struct sl_call *call, struct sl_json schema, const char *loc);

bool sl_field_type_is_known(struct sl_slice type);
/* text image audio video pdf excel */
bool sl_field_type_is_blob(struct sl_slice type);
/* The path's first part names a property (or the schema is open). */
bool sl_bucket_schema_has(struct sl_json schema, struct sl_slice path);

/* NULL: the value fits the field {type, enum, items, properties}; else why not (static text). */
const char *sl_field_check(struct sl_json field, struct sl_json value);

#endif
