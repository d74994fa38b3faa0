/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_names.h - names of a file that is being read, found by hash, and forgotten in the opposite
 * order: an inner graph's names go when it ends. For onnx*.c only.
 *
 * Whoever writes the file chooses the names, so chains are bounded as well as the table: a name
 * whose chain is full is refused, which chance alone never makes happen.
 *
 * In place: zero it, then sl_onnx_names_deinit. Names are borrowed. Threading: one owner.
 */
#ifndef SL_OBJECT_STORE_ONNX_NAMES_H
#define SL_OBJECT_STORE_ONNX_NAMES_H

#include "runtime/base.h"

struct sl_onnx_name {
    struct sl_slice text;
    uint32_t value;
    uint32_t next; /* In its chain, an index + 1. */
    uint64_t hash;
};

struct sl_onnx_names {
    struct sl_onnx_name *items;
    uint32_t count, capacity;
    uint32_t *heads; /* Of chains: an index + 1; 0: none. */
    uint32_t heads_count;
};

void sl_onnx_names_deinit(struct sl_onnx_names *names);
/* The latest of that name, or NULL. Borrowed until the next add. */
const struct sl_onnx_name *sl_onnx_names_lookup(const struct sl_onnx_names *names,
                                                struct sl_slice text);
/* Add it, also when it is there. SL_EFULL: `count_max`, or too many that look alike. */
SL_MUST_CHECK enum sl_err sl_onnx_names_add(struct sl_onnx_names *names, struct sl_slice text,
                                            uint32_t value, uint32_t count_max);
/* Forget the latest until `count` are left. */
void sl_onnx_names_cut(struct sl_onnx_names *names, uint32_t count);

#endif
