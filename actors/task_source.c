/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/task_source.h"

#include "actors/record.h"

enum sl_err
sl_task_source_decode(const struct sl_task_payload *p, struct sl_slice row,
                      struct sl_task_source *ret_source)
{
    struct sl_record record;
    *ret_source = (struct sl_task_source){0};
    if (p->kind == SL_SOURCE_OBJECT)
        return sl_source_decode(row, &ret_source->as);
    enum sl_err err = sl_record_decode(row, &record);
    if (err != SL_OK)
        return err;
    ret_source->as = (struct sl_source){.created_ms = record.created_ms,
                                        .updated_ms = record.updated_ms,
                                        .size_bytes = record.fields.size,
                                        .fields = record.fields,
                                        .blobs = sl_slice_str("[]"),
                                        .extra = sl_slice_str("{}")};
    if (record.is_keyed) /* Its id is the same in every run, and so is what is made of it. */
        ret_source->as.unique = sl_key_part(p->source, 1);
    ret_source->root = record.root.size > 0 ? record.root : record.source;
    return SL_OK;
}
