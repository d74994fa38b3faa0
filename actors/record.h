/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - a record (an API document) as it is stored, and how its id is made.
 *
 * The id is a function of what made the record, so a second attempt overwrites and never doubles:
 * with a unique key, of collection + unique key + position; else of origin (batch) + collection +
 * source + position. 64 bits decide; the text form is those 16 hex digits and 8 more derived ones.
 */
#ifndef SL_ACTORS_RECORD_H
#define SL_ACTORS_RECORD_H

#include "runtime/base.h"
#include "runtime/buf.h"

#define SL_RECORD_ID_SIZE 24 /* Hex digits, without the NUL. */

struct sl_record {
    uint64_t created_ms, updated_ms;
    struct sl_slice source;  /* bucket NUL object, or with a root: collection NUL record id */
    struct sl_slice root;    /* bucket NUL object it descends from; empty: the source itself. */
    bool is_keyed;           /* Its id comes from a unique key: a new run makes the same one. */
    struct sl_slice origin;  /* What asked for it: the batch's id. */
    struct sl_slice fields;  /* JSON object: passthrough fields and extractor outputs. */
    struct sl_slice vectors; /* Names of its vector indexes, '\n' between; may be empty. */
};

void sl_record_encode(const struct sl_record *r, struct sl_buf *out);
SL_MUST_CHECK enum sl_err sl_record_decode(struct sl_slice bytes, struct sl_record *ret_record);

struct sl_record_origin {
    struct sl_slice collection, origin, source, unique; /* unique empty: use origin and source. */
    uint32_t position;                                  /* 0, 1, ...: which output of the source. */
};
void sl_record_id(const struct sl_record_origin *o, char ret_id[static SL_RECORD_ID_SIZE + 1]);
/* The 64 bits behind an id's text, the key in vector indexes. SL_EINVAL: not an id. */
SL_MUST_CHECK enum sl_err sl_record_number(struct sl_slice id, uint64_t *ret_number);
void sl_record_id_of_number(uint64_t number, char ret_id[static SL_RECORD_ID_SIZE + 1]);

#endif
