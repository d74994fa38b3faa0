/* SPDX-License-Identifier: Apache-2.0 */
#include "object-store/onnx.h"

#include <inttypes.h>

#include "object-store/onnx_state.h"
#include "runtime/alloc.h"

#define IR_VERSION_MIN 3 /* The first that imports opsets. */
#define IR_VERSION_MAX 1000

enum {
    IR_VERSION = 1,
    PRODUCER_NAME = 2,
    PRODUCER_VERSION = 3,
    GRAPH = 7,
    OPSET_IMPORT = 8,
    TRAINING_INFO = 20,
    FUNCTIONS = 25
};

struct model {
    struct sl_slice graph, producer, producer_version;
    uint64_t ir_version;
    bool has_graph;
    struct sl_onnx_domains domains;
};

static const char where[] = "the model";

static enum sl_err
read_field(struct sl_onnx_parse *p, const struct sl_protobuf *r, const struct sl_protobuf_field *f,
           struct model *m)
{
    enum sl_err err;
    switch (f->number) {
    case IR_VERSION:
        err = sl_onnx_want(p, f, SL_PROTOBUF_VARINT, where);
        m->ir_version = f->value;
        return err;
    case PRODUCER_NAME:
        return sl_onnx_once(p, f, &m->producer, where);
    case PRODUCER_VERSION:
        return sl_onnx_once(p, f, &m->producer_version, where);
    case GRAPH:
        if (m->has_graph)
            return sl_cause_set(p->cause, SL_EINVAL, "the model has two graphs");
        m->has_graph = true;
        return sl_onnx_once(p, f, &m->graph, where);
    case OPSET_IMPORT:
        err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, where);
        return err != SL_OK ? err : sl_onnx_import(p, r, f->bytes, &m->domains);
    case TRAINING_INFO:
        return sl_cause_set(p->cause, SL_EUNAVAIL,
                            "training information is not read here: save the model for inference");
    case FUNCTIONS:
        return sl_onnx_want(p, f, SL_PROTOBUF_LEN, where);
    default:
        return SL_OK;
    }
}

static enum sl_err
check_model(struct sl_onnx_parse *p, const struct model *m)
{
    if (!m->has_graph)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "not an ONNX model, or a cut one: it has no graph");
    if (m->domains.count == 0)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "the model imports no opset, or is cut: export it again");
    if (m->ir_version < IR_VERSION_MIN || m->ir_version > IR_VERSION_MAX)
        return sl_cause_set(p->cause, SL_EINVAL,
                            "an ir_version of %" PRIu64 " is not read here: export the model again",
                            m->ir_version);
    enum sl_err err = sl_onnx_check_name(p, m->producer, "the producer");
    return err != SL_OK ? err : sl_onnx_check_name(p, m->producer_version, "the producer");
}

static void
keep_head(struct sl_onnx *onnx, const struct model *m)
{
    onnx->ir_version = (uint32_t)m->ir_version;
    onnx->producer = sl_strndup(m->producer.data, m->producer.size);
    onnx->producer_version = sl_strndup(m->producer_version.data, m->producer_version.size);
    onnx->opsets = sl_zalloc(m->domains.count * sizeof(onnx->opsets[0]));
    for (uint32_t i = 0; i < m->domains.count; i++) {
        struct sl_slice name = m->domains.names[i];
        onnx->opsets[i] = (struct sl_onnx_opset){.domain = sl_strndup(name.data, name.size),
                                                 .version = m->domains.versions[i]};
        onnx->opsets_count++;
    }
}

static enum sl_err
read_functions(struct sl_onnx_parse *p)
{
    struct sl_protobuf r = sl_protobuf(p->file);
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == FUNCTIONS)
            err = sl_onnx_function(p, &r, f.bytes);
    }
    return err;
}

static enum sl_err
read_model(struct sl_onnx_parse *p, struct model *m)
{
    struct sl_protobuf r = sl_protobuf(p->file);
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);)
        err = read_field(p, &r, &f, m);
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    if (err == SL_OK)
        err = check_model(p, m);
    if (err != SL_OK)
        return err;
    keep_head(p->onnx, m);
    p->domains = &m->domains;
    err = read_functions(p);
    return err != SL_OK ? err : sl_onnx_graph(p, &r, m->graph);
}

enum sl_err
sl_onnx_parse(struct sl_slice file, struct sl_onnx_files files, struct sl_onnx *ret_onnx,
              struct sl_cause *ret_cause)
{
    sl_assert(ret_onnx != NULL);
    if (file.size >= SL_ONNX_FILE_SIZE_MAX)
        return sl_cause_set(ret_cause, SL_ETOOBIG,
                            "the file has %zu bytes, which is over 2 GiB: save its weights as "
                            "external data",
                            file.size);
    struct sl_onnx onnx = {0};
    struct sl_onnx_parse p = {.file = file, .files = files, .onnx = &onnx, .cause = ret_cause};
    struct model *m = sl_zalloc(sizeof(*m));
    enum sl_err err = read_model(&p, m);
    sl_free(m);
    sl_onnx_names_deinit(&p.values);
    sl_onnx_names_deinit(&p.weights);
    sl_onnx_names_deinit(&p.ops);
    sl_onnx_names_deinit(&p.externals);
    sl_free(p.external_sizes);
    sl_buf_deinit(&p.scratch);
    if (err == SL_OK)
        *ret_onnx = onnx;
    else
        sl_onnx_deinit(&onnx);
    return err;
}

void
sl_onnx_deinit(struct sl_onnx *onnx)
{
    sl_assert(onnx != NULL);
    sl_weights_deinit(&onnx->weights);
    for (uint32_t i = 0; i < onnx->opsets_count; i++)
        sl_free(onnx->opsets[i].domain);
    for (uint32_t i = 0; i < onnx->ops_count; i++)
        sl_free(onnx->ops[i].name);
    for (uint32_t i = 0; i < onnx->inputs_count; i++)
        sl_onnx_value_deinit(&onnx->inputs[i]);
    for (uint32_t i = 0; i < onnx->outputs_count; i++)
        sl_onnx_value_deinit(&onnx->outputs[i]);
    sl_free(onnx->opsets);
    sl_free(onnx->ops);
    sl_free(onnx->inputs);
    sl_free(onnx->outputs);
    sl_free(onnx->producer);
    sl_free(onnx->producer_version);
    *onnx = (struct sl_onnx){0};
}
