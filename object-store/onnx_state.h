/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx_state.h - a file of ONNX while it is read. For onnx*.c only.
 */
#ifndef SL_OBJECT_STORE_ONNX_STATE_H
#define SL_OBJECT_STORE_ONNX_STATE_H

#include "object-store/onnx.h"
#include "object-store/onnx_names.h"
#include "object-store/protobuf.h"
#include "runtime/buf.h"

/* In messages: at most so much of a name that somebody chose. */
#define SHOWN(s) (int)SL_MIN((s).size, (size_t)96), (s).size == 0 ? "" : (const char *)(s).data

struct sl_onnx_domains { /* What a model or function imports. Borrowed. */
    struct sl_slice names[SL_ONNX_OPSETS_MAX];
    uint64_t versions[SL_ONNX_OPSETS_MAX];
    uint32_t count;
};

struct sl_onnx_parse {
    struct sl_slice file;
    struct sl_onnx_files files;
    struct sl_onnx *onnx;
    struct sl_cause *cause;
    struct sl_onnx_names values;         /* Visible where we are; `value` is the graph it is of. */
    struct sl_onnx_names weights;        /* Their full names. */
    struct sl_onnx_names ops, externals; /* `value`: the index in onnx->ops, in weights.files. */
    uint64_t *external_sizes;            /* Of weights.files. */
    uint64_t external_bytes;             /* Of all tensors in them. */
    uint64_t inline_bytes;
    struct sl_buf scratch;
    uint32_t weights_capacity, ops_capacity, files_capacity;
    uint32_t graphs_count, depth;
    const struct sl_onnx_domains *domains; /* Of the graph or function we are in. */
};

/* SL_EINVAL when the reader has stopped at something; `where` says what it was reading. */
SL_MUST_CHECK enum sl_err sl_onnx_done(const struct sl_onnx_parse *p, const struct sl_protobuf *r,
                                       const char *where);
/* The field is of this wire type. */
SL_MUST_CHECK enum sl_err sl_onnx_want(const struct sl_onnx_parse *p,
                                       const struct sl_protobuf_field *f,
                                       enum sl_protobuf_wire wire, const char *where);
/* Likewise LEN, which is there once; *text is what it holds. An empty one may come again. */
SL_MUST_CHECK enum sl_err sl_onnx_once(const struct sl_onnx_parse *p,
                                       const struct sl_protobuf_field *f, struct sl_slice *text,
                                       const char *where);
/* A name: UTF-8 without NUL, at most SL_ONNX_NAME_SIZE_MAX. */
SL_MUST_CHECK enum sl_err sl_onnx_check_name(const struct sl_onnx_parse *p, struct sl_slice name,
                                             const char *what);

/*
 * onnx_tensor.c: a TensorProto. Is it kept, it goes to the weights under `prefix` and its name,
 * which is returned; else it is checked only (an attribute's), and types that no weight can have
 * are fine.
 */
SL_MUST_CHECK enum sl_err sl_onnx_tensor(struct sl_onnx_parse *p, const struct sl_protobuf *parent,
                                         struct sl_slice message, const char *prefix,
                                         struct sl_slice *ret_name);

/* onnx_value.c: a ValueInfoProto, owned by the caller, who deinits it, also after an error. */
SL_MUST_CHECK enum sl_err sl_onnx_value(struct sl_onnx_parse *p, const struct sl_protobuf *parent,
                                        struct sl_slice message, struct sl_onnx_value *value);
void sl_onnx_value_deinit(struct sl_onnx_value *value);

/* onnx_graph.c: the model's graph, and the body of a function. */
SL_MUST_CHECK enum sl_err sl_onnx_graph(struct sl_onnx_parse *p, const struct sl_protobuf *parent,
                                        struct sl_slice message);
SL_MUST_CHECK enum sl_err sl_onnx_function(struct sl_onnx_parse *p,
                                           const struct sl_protobuf *parent,
                                           struct sl_slice message);
SL_MUST_CHECK enum sl_err sl_onnx_import(struct sl_onnx_parse *p, const struct sl_protobuf *parent,
                                         struct sl_slice message, struct sl_onnx_domains *domains);

#endif
