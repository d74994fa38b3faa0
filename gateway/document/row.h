/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document/row.h - a document as it is stored (a record, its vectors as rows beside it) and as a
 * client sees it; finding, changing and deleting one.
 */
#ifndef SL_GATEWAY_DOCUMENT_ROW_H
#define SL_GATEWAY_DOCUMENT_ROW_H

#include "actors/record.h"
#include "gateway/call.h"

struct sl_document_view { /* What of a document a client asked to see. */
    const char *collection;
    struct sl_slice output; /* Name of the field that vectors are shown under; empty: none. */
    struct sl_slice index;  /* Of the vectors; empty: none. */
    uint64_t dimensions;
    bool has_vectors, has_vector_names;
    bool has_addresses; /* Of its object's blobs, signed. */
};

/* The collection, and what of its documents was asked for. False: the call has failed. */
bool sl_document_collection(struct sl_call *call, struct sl_slice identifier,
                            struct sl_document_view *ret_view);
/* A document by its id as clients write it. *ret_id and the record's slices are arena memory.
 * False: 404 is on the call. */
bool sl_document_find(struct sl_call *call, const char *collection, struct sl_slice id,
                      const char **ret_id, struct sl_record *ret_record);
/* The same, without a word on the call. */
bool sl_document_lookup(struct sl_call *call, const char *collection, struct sl_slice id,
                        const char **ret_id, struct sl_record *ret_record);

/* The Document. */
void sl_document_write(struct sl_call *call, const struct sl_document_view *s, const char *id,
                       const struct sl_record *r, struct sl_jsonw *w);
/* A member that is the gateway's, never a client's. */
bool sl_document_is_own(struct sl_json name);

/* Merge `update` into its fields. False: it names the vector, which cannot be changed. */
bool sl_document_change(struct sl_call *call, const struct sl_document_view *s, const char *id,
                        struct sl_json update, struct sl_record *r);
void sl_document_delete(struct sl_call *call, const char *collection, const char *id,
                        const struct sl_record *r);

/* Keys; arena. */
struct sl_slice sl_document_key(struct sl_call *call, const char *collection, const char *id);
struct sl_slice sl_document_vector_key(struct sl_call *call, const char *collection,
                                       struct sl_slice name, const char *id);
/* Cut the next name off a record's `vectors`; false at the end. */
bool sl_document_next_vector(struct sl_slice *names, struct sl_slice *ret_name);

#endif
