/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/intake_details.h"

#include "runtime/json.h"

#define TEXT_MAX 96 /* Bytes of one text; what is longer is cut at a character. */
/* No element is begun with less left. One of 9 texts, each byte escaped, takes as much. */
#define ELEMENT_MAX (6 * SL_KIB)

static void
write_text(struct sl_jsonw *w, const char *text)
{
    size_t size = strnlen(text, TEXT_MAX);
    while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
        size--;
    sl_jsonw_slice(w, sl_slice(text, size));
}

/* Lists end where the whole would grow over its limit. */
static bool
has_room(const struct sl_buf *out)
{
    return out->size + ELEMENT_MAX <= SL_DETAILS_SIZE_MAX;
}

static void
member_text(struct sl_jsonw *w, const char *name, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    sl_jsonw_name(w, name);
    write_text(w, text);
}

static void
member_number(struct sl_jsonw *w, const char *name, uint64_t value)
{
    if (value > 0)
        sl_jsonw_member_u64(w, name, value);
}

static void
write_values(struct sl_jsonw *w, const struct sl_buf *out, const char *name,
             const struct sl_onnx_value *values, uint32_t count)
{
    sl_jsonw_name(w, name);
    sl_jsonw_array(w);
    for (uint32_t i = 0; i < SL_MIN(count, SL_DETAILS_LIST_MAX / 2u) && has_room(out); i++) {
        const struct sl_onnx_value *v = &values[i];
        sl_jsonw_object(w);
        member_text(w, "name", v->name);
        if (v->type != 0)
            sl_jsonw_member_str(w, "type", sl_onnx_type_name(v->type));
        if (v->has_shape) {
            sl_jsonw_name(w, "shape");
            sl_jsonw_array(w);
            for (uint32_t d = 0; d < v->dims_count; d++) {
                if (v->dims[d].is_known)
                    sl_jsonw_u64(w, v->dims[d].size);
                else
                    write_text(w, v->dims[d].symbol == NULL ? "?" : v->dims[d].symbol);
            }
            sl_jsonw_end(w);
        }
        sl_jsonw_end(w);
    }
    sl_jsonw_end(w);
}

void
sl_details_of_onnx(const struct sl_onnx *onnx, struct sl_buf *out)
{
    struct sl_jsonw w;
    sl_buf_clear(out);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    sl_jsonw_member_u64(&w, "ir_version", onnx->ir_version);
    member_text(&w, "producer", onnx->producer);
    member_text(&w, "producer_version", onnx->producer_version);
    sl_jsonw_name(&w, "opsets");
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < onnx->opsets_count && has_room(out); i++) {
        sl_jsonw_object(&w);
        sl_jsonw_name(&w, "domain");
        write_text(&w, onnx->opsets[i].domain);
        sl_jsonw_member_u64(&w, "version", onnx->opsets[i].version);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    sl_jsonw_member_u64(&w, "nodes", onnx->nodes_count);
    sl_jsonw_member_u64(&w, "operators", onnx->ops_count);
    sl_jsonw_name(&w, "uses");
    sl_jsonw_array(&w);
    for (uint32_t i = 0; i < SL_MIN(onnx->ops_count, SL_DETAILS_LIST_MAX + 0u) && has_room(out);
         i++) {
        sl_jsonw_object(&w);
        member_text(&w, "operator", onnx->ops[i].name);
        sl_jsonw_member_u64(&w, "count", onnx->ops[i].count);
        sl_jsonw_end(&w);
    }
    sl_jsonw_end(&w);
    write_values(&w, out, "inputs", onnx->inputs, onnx->inputs_count);
    write_values(&w, out, "outputs", onnx->outputs, onnx->outputs_count);
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}

static void
write_pooling(struct sl_jsonw *w, uint32_t bits)
{
    static const char *const names[] = {"cls",           "max",           "mean",
                                        "mean_sqrt_len", "weighted_mean", "last_token"};
    sl_jsonw_name(w, "pooling");
    sl_jsonw_array(w);
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        if ((bits >> i & 1u) != 0)
            sl_jsonw_str(w, names[i]);
    }
    sl_jsonw_end(w);
}

void
sl_details_of_huggingface(const struct sl_huggingface *f, struct sl_buf *out)
{
    struct sl_jsonw w;
    sl_buf_clear(out);
    sl_jsonw_init(&w, out);
    sl_jsonw_object(&w);
    member_text(&w, "architecture", f->architecture);
    member_text(&w, "model_type", f->model_type);
    sl_jsonw_member_str(&w, "task", sl_huggingface_task_name(f->task));
    member_number(&w, "hidden_size", f->sizes.hidden_size);
    member_number(&w, "layers", f->sizes.layers_count);
    member_number(&w, "heads", f->sizes.heads_count);
    member_number(&w, "vocabulary", f->sizes.vocab_size);
    member_number(&w, "positions", f->sizes.positions_count);
    sl_jsonw_member_str(&w, "tokenizer", sl_huggingface_tokenizer_name(f->tokenizer));
    member_number(&w, "input_tokens_max", f->input_tokens_max);
    if (f->pooling != 0)
        write_pooling(&w, f->pooling);
    if (f->has_modules) {
        sl_jsonw_member_bool(&w, "normalized", f->is_normalized);
        member_number(&w, "embedding_size", f->embedding_size);
    }
    member_number(&w, "labels", f->labels_count);
    if (f->asks_for_code)
        sl_jsonw_member_str(&w, "remote_code", "ignored");
    sl_jsonw_end(&w);
    sl_jsonw_done(&w);
}
