/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/object-store/onnx_writer.h"

enum { VARINT = 0, LEN = 2 };

void
put_varint(struct sl_buf *b, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        sl_buf_append_u8(b, (uint8_t)(value | 0x80));
    sl_buf_append_u8(b, (uint8_t)value);
}

void
put_int(struct sl_buf *b, uint32_t field, int64_t value)
{
    put_varint(b, (uint64_t)field << 3 | VARINT);
    put_varint(b, (uint64_t)value);
}

void
put_bytes(struct sl_buf *b, uint32_t field, const void *data, size_t size)
{
    put_varint(b, (uint64_t)field << 3 | LEN);
    put_varint(b, size);
    sl_buf_append(b, data, size);
}

void
put_text(struct sl_buf *b, uint32_t field, const char *text)
{
    put_bytes(b, field, text, strlen(text));
}

void
put_message(struct sl_buf *b, uint32_t field, struct sl_buf *message)
{
    put_bytes(b, field, message->data, message->size);
    sl_buf_deinit(message);
}

static void
put_entry(struct sl_buf *tensor, const char *key, const char *value)
{
    struct sl_buf entry = {0};
    if (value == NULL)
        return;
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_message(tensor, 13, &entry);
}

struct sl_buf
make_tensor(const struct tensor_spec *spec)
{
    struct sl_buf b = {0};
    for (uint32_t i = 0; i < spec->dims_count; i++)
        put_int(&b, 1, spec->dims[i]);
    put_int(&b, 2, spec->type);
    if (spec->name != NULL)
        put_text(&b, 8, spec->name);
    if (spec->raw != NULL)
        put_bytes(&b, 9, spec->raw, spec->raw_size);
    if (spec->location != NULL) {
        put_entry(&b, "location", spec->location);
        put_entry(&b, "offset", spec->offset);
        put_entry(&b, "length", spec->length);
        put_int(&b, 14, 1);
    }
    return b;
}

static void
put_names(struct sl_buf *b, uint32_t field, const char *names)
{
    while (*names != '\0') {
        size_t size = strcspn(names, " ");
        put_bytes(b, field, names, size);
        names += size + (names[size] == ' ');
    }
}

struct sl_buf
make_node(const char *op, const char *inputs, const char *outputs)
{
    struct sl_buf b = {0};
    put_names(&b, 1, inputs);
    put_names(&b, 2, outputs);
    put_text(&b, 4, op);
    return b;
}

struct sl_buf
make_value(const char *name)
{
    struct sl_buf value = {0}, type = {0}, tensor = {0}, shape = {0}, batch = {0}, three = {0};
    put_text(&batch, 2, "batch");
    put_int(&three, 1, 3);
    put_message(&shape, 1, &batch);
    put_message(&shape, 1, &three);
    put_int(&tensor, 1, 1);
    put_message(&tensor, 2, &shape);
    put_message(&type, 1, &tensor);
    put_text(&value, 1, name);
    put_message(&value, 2, &type);
    return value;
}

struct sl_buf
make_model(struct sl_buf *graph)
{
    struct sl_buf model = {0}, opset = {0};
    put_int(&model, 1, 8);
    put_text(&model, 2, "writer");
    put_message(&model, 7, graph);
    put_int(&opset, 2, 17);
    put_message(&model, 8, &opset);
    return model;
}

struct sl_buf
make_linear(void)
{
    static const float w[6] = {1, 2, 3, 4, 5, 6}, b[2] = {7, 8};
    static const int64_t w_dims[] = {3, 2}, b_dims[] = {2};
    struct sl_buf graph = {0}, part;
    part = make_node("MatMul", "x w", "h");
    put_message(&graph, 1, &part);
    part = make_node("Add", "h b", "y");
    put_message(&graph, 1, &part);
    put_text(&graph, 2, "linear");
    part = make_tensor(&(struct tensor_spec){
        .name = "w", .type = 1, .dims = w_dims, .dims_count = 2, .raw = w, .raw_size = sizeof(w)});
    put_message(&graph, 5, &part);
    part = make_tensor(&(struct tensor_spec){
        .name = "b", .type = 1, .dims = b_dims, .dims_count = 1, .raw = b, .raw_size = sizeof(b)});
    put_message(&graph, 5, &part);
    part = make_value("x");
    put_message(&graph, 11, &part);
    part = make_value("y");
    put_message(&graph, 12, &part);
    return graph;
}
