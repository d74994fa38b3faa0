/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_writer.h - writes protocol buffers field by field, and of ONNX what tests need: good files
 * and bad ones, which no library would write.
 */
#ifndef SL_TESTS_ONNX_WRITER_H
#define SL_TESTS_ONNX_WRITER_H

#include "runtime/buf.h"

void put_varint(struct sl_buf *b, uint64_t value);
void put_int(struct sl_buf *b, uint32_t field, int64_t value);
void put_bytes(struct sl_buf *b, uint32_t field, const void *data, size_t size);
void put_text(struct sl_buf *b, uint32_t field, const char *text);
/* A message as a field of `b`; deinits it. */
void put_message(struct sl_buf *b, uint32_t field, struct sl_buf *message);

struct tensor_spec { /* A TensorProto. */
    const char *name;
    int32_t type;
    const int64_t *dims;
    uint32_t dims_count;
    const void *raw; /* NULL: no raw_data. */
    size_t raw_size;
    const char *location, *offset, *length; /* With a location: external. */
};
struct sl_buf make_tensor(const struct tensor_spec *spec); /* For more fields to follow. */

/* A node: `inputs` and `outputs` are names with one blank between them. "" gives none. */
struct sl_buf make_node(const char *op, const char *inputs, const char *outputs);
/* An input or output of 2 dimensions, FLOAT ["batch", 3]. */
struct sl_buf make_value(const char *name);
/* A whole model of `graph`: the opset is its last field. Deinits the graph. */
struct sl_buf make_model(struct sl_buf *graph);
/*
 * A graph x -> MatMul(w) -> Add(b) -> y with initialisers w: F32 [3, 2], b: F32 [2], for more
 * fields to follow.
 */
struct sl_buf make_linear(void);

#endif
