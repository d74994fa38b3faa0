/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_source.h - what a task reads its inputs from, whichever table it lies in: an object of a
 * bucket (tier 0 of a batch), or a record that an earlier tier wrote.
 */
#ifndef SL_ACTORS_TASK_SOURCE_H
#define SL_ACTORS_TASK_SOURCE_H

#include "actors/extraction.h"
#include "actors/rows.h"
#include "actors/source.h"

struct sl_task_source {
    /* As a source: a record's fields are its fields. Its `unique` is not empty where a new run
     * must overwrite what this one writes. */
    struct sl_source as;
    struct sl_slice root; /* The object that a record descends from; empty: it is the object. */
};

static inline uint8_t
sl_task_source_table(enum sl_source_kind kind)
{
    return kind == SL_SOURCE_RECORD ? SL_TABLE_RECORD : SL_TABLE_SOURCE;
}

/* Decode the row of p->source. Slices are borrowed from `row` and `p`. SL_ECORRUPT. */
SL_MUST_CHECK enum sl_err sl_task_source_decode(const struct sl_task_payload *p,
                                                struct sl_slice row,
                                                struct sl_task_source *ret_source);

#endif
