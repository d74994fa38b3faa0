/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document/id.h - the id of a document as clients see it: "doc_" and the record's 24 hex digits.
 * Rows, and everything below the gateway, hold the digits alone. Clients may send either.
 */
#ifndef SL_GATEWAY_DOCUMENT_ID_H
#define SL_GATEWAY_DOCUMENT_ID_H

#include "runtime/base.h"
#include "runtime/json.h"

#define SL_DOCUMENT_ID_PREFIX "doc_"

/* The record's id in what a client sent: without the prefix, if it has one. Borrowed. */
struct sl_slice sl_document_id_read(struct sl_slice text);
/* Write the id of a record: as a value, or as the member "document_id". */
void sl_document_id_value(struct sl_jsonw *w, struct sl_slice record_id);
void sl_document_id_write(struct sl_jsonw *w, struct sl_slice record_id);

#endif
