/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h - every list of the API: what was asked for (limit, offset, cursor, filters, search,
 * sort), the rows of one table that answer it, and the pagination object.
 *
 *   struct sl_list list;
 *   if (!sl_list_begin(call, 10, &list) || !sl_list_run(&list, call, &source))
 *       return;                                   422 is on the call, the list has ended
 *   sl_jsonw_object(w);
 *   sl_list_write(&list, w);                      "results" and "pagination"
 *   sl_jsonw_member_u64(w, "total_count", list.total);
 *   sl_jsonw_end(w);
 *   sl_list_end(&list);
 *
 * Rows stream in the order of their keys: a page costs the rows it reads, not the table. With
 * `sort` only sort values and keys are held, for at most SL_LIST_SORT_ROWS_MAX rows. A cursor holds
 * the last row's key (and sort value), so it survives rows that come and go.
 */
#ifndef SL_GATEWAY_LIST_H
#define SL_GATEWAY_LIST_H

#include "gateway/call.h"
#include "runtime/filter.h"

#define SL_LIST_LIMIT_MAX     1000
#define SL_LIST_OFFSET_MAX    10000
#define SL_LIST_SORT_ROWS_MAX 100000
#define SL_CURSOR_SIZE_MAX    2048
#define SL_LIST_PAGE_BYTES    (32 * SL_MIB) /* A page with as much ends before its limit. */

struct sl_list {
    /* What was asked for. May be changed between begin and rows. */
    uint32_t limit, offset;
    bool include_total;
    bool has_cursor;
    struct sl_slice cursor_key;  /* The rest of the last row's key, after the source's prefix. */
    struct sl_slice cursor_sort; /* JSON of its sort value. */
    struct sl_filter *filter;
    struct sl_slice search;     /* Empty: none. */
    struct sl_slice sort_field; /* Empty: by key. */
    bool is_descending;
    struct sl_json select; /* Paths; the whole of a path's first member is shown. */

    /* What sl_list_run found. */
    struct sl_buf rows; /* A JSON array: the page. */
    uint32_t count;     /* Rows in it. */
    uint64_t total;     /* Rows that match, if the source or the client asked for it. */
    bool has_total;
    struct sl_buf next_cursor; /* Empty: the last page. */
};

/* Where rows come from and how a client sees one. */
struct sl_list_source {
    struct sl_scope scope;
    uint8_t table;
    struct sl_slice prefix; /* Of the keys: sl_key_prefix. */
    /* Write one JSON value. false: nothing was written, the row is not listed. */
    bool (*render)(struct sl_call *call, void *arg, struct sl_slice key, struct sl_slice value,
                   struct sl_jsonw *w);
    void *arg;
    bool needs_total;                 /* total_count is a required member of the reply. */
    const char *const *search_fields; /* Members that `search` looks in; NULL-terminated. */
    /* `select` of the body shows these members and the named ones; NULL: it is not looked at. A
     * NULL-terminated list. Filters, search and sort see the whole row. */
    const char *const *select_keeps;
    /* Called for each row that matches, before the page is cut; NULL: none. For stats. */
    void (*visit)(void *arg, struct sl_json row);
};

/* Read the request: the query wins over the body. false: the call has failed (422). */
bool sl_list_begin(struct sl_call *call, uint32_t limit_default, struct sl_list *ret_list);
/* Read the page. false: the list has ended, and the call has failed (422: too many rows to sort) or
 * waits: others have their turn, then the handler runs again from its start. So it returns, having
 * written nothing, and has no state of its own. */
bool sl_list_run(struct sl_list *list, struct sl_call *call, const struct sl_list_source *source);
/* Members "results" and "pagination" of an open object; or one by one. */
void sl_list_write(const struct sl_list *list, struct sl_jsonw *w);
void sl_list_write_pagination(const struct sl_list *list, struct sl_jsonw *w);
void sl_list_end(struct sl_list *list); /* Zeroed or ended already is fine. */

/* One unsigned number of the query, else of the body; 422 outside [min, max]. */
uint32_t sl_list_number(struct sl_call *call, const char *name, const char *alias, uint32_t min,
                        uint32_t max, uint32_t fallback);

/* Of a list in the order of a number: the number at which the page begins, which is the cursor's
 * key; 0 without one, UINT32_MAX where it is none. */
uint32_t sl_list_start(const struct sl_list *list);

/* Opaque text of a place in a list. `sort` may be empty. */
void sl_cursor_encode(struct sl_slice key, struct sl_slice sort, struct sl_buf *out);
/* The slices borrow from `memory`. SL_EINVAL: not one of ours. */
SL_MUST_CHECK enum sl_err sl_cursor_decode(struct sl_slice text, struct sl_buf *memory,
                                           struct sl_slice *ret_key, struct sl_slice *ret_sort);

#endif
