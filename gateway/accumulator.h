/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accumulator.h - one function over the values of one group: count, sum, first, a set, ...
 *
 * In place: zeroed, then add for each row, write, deinit. Threading: plain state of its owner.
 */
#ifndef SL_GATEWAY_ACCUMULATOR_H
#define SL_GATEWAY_ACCUMULATOR_H

#include "runtime/buf.h"
#include "runtime/json.h"

enum sl_function {
    SL_FUNCTION_COUNT,          /* Of values that are there. */
    SL_FUNCTION_COUNT_DISTINCT, /* By their text. */
    SL_FUNCTION_SUM,            /* From here on of numbers; others are passed over. */
    SL_FUNCTION_AVG,
    SL_FUNCTION_STDDEV, /* Of a sample: divided by n - 1. */
    SL_FUNCTION_VARIANCE,
    SL_FUNCTION_MIN, /* By sl_json_order. */
    SL_FUNCTION_MAX,
    SL_FUNCTION_FIRST,
    SL_FUNCTION_LAST,
    SL_FUNCTION_PUSH,
    SL_FUNCTION_ADD_TO_SET,
};

/* By the names of clients ("count_distinct", "collect" for push). False: there is none. */
bool sl_function_parse(struct sl_json name, enum sl_function *ret_function);

struct sl_accumulator {
    uint64_t count;
    double sum, mean, squares; /* squares: the sum of squared distances from the mean. */
    struct sl_json_doc *doc;   /* The value that is held, parsed; of `text`. */
    char *text;
    size_t text_size;
    struct sl_buf list; /* Values held, JSON, a comma between. */
    uint64_t *seen;     /* Hashes of values, 0 where free; a power of two of slots. */
    uint32_t seen_count, seen_capacity;
};

void sl_accumulator_add(struct sl_accumulator *a, enum sl_function function, struct sl_json value);
void sl_accumulator_write(const struct sl_accumulator *a, enum sl_function function,
                          struct sl_jsonw *w);
/* Bytes that its values take. */
size_t sl_accumulator_size(const struct sl_accumulator *a);
void sl_accumulator_deinit(struct sl_accumulator *a);

#endif
