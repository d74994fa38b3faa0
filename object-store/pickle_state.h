/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pickle_state.h - what pickle.c, which fills it, and pickle_value.c, which reads it, share.
 *
 * Values of 16 bytes lie in one array. Containers hold runs of members in a second one: a tuple has
 * one run, a list or a dict a chain of them, one for each time that it was added to, so that adding
 * never moves what is there.
 */
#ifndef SL_OBJECT_STORE_PICKLE_STATE_H
#define SL_OBJECT_STORE_PICKLE_STATE_H

#include <assert.h>

#include "object-store/pickle.h"
#include "runtime/buf.h"

#define SL_PICKLE_NO_VALUE UINT32_MAX

/*
 * What the fields are, by kind:  a               b              c
 *   TEXT, BYTES                  -               offset         size
 *   TUPLE                        members         first item     -
 *   LIST, DICT                   members         first run      last run    (runs:
 * SL_PICKLE_NO_VALUE, none) RUN                          members         first item     next run
 *   GLOBAL                       symbol          offset         size        (of "module\nname")
 *   CALL                         symbol          tuple          -
 *   OBJECT                       symbol          state          -           (SL_PICKLE_NO_VALUE:
 * none) PERSID                       -               name           - INT -               number,
 * in both
 */
struct sl_pickle_value {
    uint8_t kind;
    bool is_attributed; /* A DICT that was constructed: BUILD may give it attributes. */
    uint32_t a;
    union {
        struct {
            uint32_t b, c;
        };
        int64_t number;
    };
};
static_assert(sizeof(struct sl_pickle_value) == 16, "SL_PICKLE_VALUES_MAX says so");

/* A growing array of u32 with a limit. */
struct sl_pickle_words {
    uint32_t *at;
    uint32_t count, capacity;
};

struct sl_pickle {
    struct sl_slice bytes;
    const struct sl_pickle_symbol *symbols;
    uint32_t symbols_count;
    struct sl_pickle_value *values;
    uint32_t values_count, values_capacity;
    struct sl_pickle_words items; /* Members of containers. */
    uint32_t root;

    /* While it is parsed. */
    struct sl_reader in;
    struct sl_pickle_words stack, marks, memo;
    bool is_stopped;
    struct sl_cause *cause;
};

#endif
