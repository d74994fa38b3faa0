/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filter_node.h - a compiled filter tree. Shared by filter.c, which makes it, and filter_match.c,
 * which asks it; nobody else includes it.
 */
#ifndef SL_RUNTIME_FILTER_NODE_H
#define SL_RUNTIME_FILTER_NODE_H

#include "runtime/filter.h"
#include "runtime/buf.h"

enum filter_kind { FILTER_AND, FILTER_OR, FILTER_NOT, FILTER_CONDITION };

/* Operators by their API names. */
#define FILTER_OPERATORS(OP)                                                                       \
    OP(eq)                                                                                         \
    OP(ne)                                                                                         \
    OP(gt)                                                                                         \
    OP(lt)                                                                                         \
    OP(gte)                                                                                        \
    OP(lte)                                                                                        \
    OP(in)                                                                                         \
    OP(nin)                                                                                        \
    OP(contains)                                                                                   \
    OP(starts_with)                                                                                \
    OP(ends_with)                                                                                  \
    OP(regex)                                                                                      \
    OP(exists)                                                                                     \
    OP(is_null)                                                                                    \
    OP(text)

enum filter_operator {
#define OP(name) FILTER_OP_##name,
    FILTER_OPERATORS(OP)
#undef OP
        FILTER_OP_COUNT
};

struct filter_node {
    enum filter_kind kind;
    bool is_case_sensitive;
    /* AND, OR, NOT */
    struct filter_node *children; /* Owned array. */
    uint32_t children_count;
    /* CONDITION */
    enum filter_operator op;
    struct sl_slice field; /* Dot path. */
    struct sl_buf field_memory;
    struct sl_json value;
    struct sl_slice text; /* The value's, when it is a string. */
    struct sl_buf text_memory;
    struct sl_re2 *regex; /* NULL: not its operator. */
};

struct sl_filter {
    struct sl_buf source; /* The tree's text, dynamic values replaced: what `doc` borrows. */
    struct sl_json_doc *doc;
    struct filter_node root;
    uint32_t nodes_count;
};

#endif
