/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter.h - the filter trees of lists, triggers and retrievers: compiled once, then
 * asked about one row after another, so that a list streams.
 *
 *   {"AND":[...]} {"OR":[...]} {"NOT":[...]}     nodes, to depth SL_FILTER_DEPTH_MAX; several: all
 *   {"field":"a.b","operator":"gte","value":5}   a condition
 *   {"a.b":"x","c":3}                            shorthand: all are equal
 *
 * A row's array satisfies a condition when one of its elements does. Letters are compared without
 * case (ASCII's) unless a node says case_sensitive.
 * Threading: plain state; matching does not change it.
 */
#ifndef SL_RUNTIME_FILTER_H
#define SL_RUNTIME_FILTER_H

#include "runtime/base.h"
#include "runtime/json.h"

#define SL_FILTER_DEPTH_MAX        5
#define SL_FILTER_NODES_MAX        1000
#define SL_FILTER_PATTERN_SIZE_MAX 256           /* Of a regex. */
#define SL_FILTER_SUBJECT_SIZE_MAX (64 * SL_KIB) /* What a regex looks at; the rest is ignored. */

struct sl_filter;

struct sl_filter_options {
    struct sl_json inputs;  /* What {"type":"dynamic","field":"inputs.x"} reads; may be NONE. */
    bool is_case_sensitive; /* Where no node says otherwise. */
};

/*
 * Compile a tree; nothing of it is borrowed. NONE, null and {} give NULL, which matches every row.
 * `options` may be NULL. SL_EINVAL: *ret_why says what is wrong (owned by the caller).
 */
SL_MUST_CHECK enum sl_err sl_filter_compile(struct sl_json tree,
                                            const struct sl_filter_options *options,
                                            struct sl_filter **ret_filter, char **ret_why);
void sl_filter_destroy(struct sl_filter **filter); /* NULL inside is fine. */

/* Does some condition look at the row's member `field`, or into it? `filter` may be NULL: none. */
bool sl_filter_reads(const struct sl_filter *filter, const char *field);

/* Does the row hold? `filter` may be NULL: it does. */
bool sl_filter_matches(const struct sl_filter *filter, struct sl_json row);

/*
 * `search`: is `pattern` in `text`, whatever the case; '*' stands for any run of characters. An
 * empty pattern is in every text.
 */
bool sl_search_matches(struct sl_slice pattern, struct sl_slice text);

/*
 * Order of two JSON values for sorting: numbers by value, then texts by bytes, then booleans, then
 * the rest; absent and null are equal to each other and last. < 0, 0, > 0.
 */
int sl_json_order(struct sl_json a, struct sl_json b);

#endif
