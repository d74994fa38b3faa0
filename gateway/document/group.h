/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document/group.h - lists of a collection's documents, as rows and as groups.
 * Threading: the store's thread.
 */
#ifndef SL_GATEWAY_DOCUMENT_GROUP_H
#define SL_GATEWAY_DOCUMENT_GROUP_H

#include "gateway/document/row.h"

/* What `search` looks in. */
#define SL_DOCUMENT_SEARCH_FIELDS "document_id", "text", "title", "name", "description"

/* A row of SL_TABLE_RECORD as a client sees it; `arg` begins with a struct sl_document_view. */
bool sl_document_render(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
                        struct sl_jsonw *w);

/* Answer a list of documents by the values of a field: a page of groups, in their order. */
void sl_document_list_groups(struct sl_call *call, const struct sl_document_view *view,
                             struct sl_slice field);

#endif
