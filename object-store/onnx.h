/* SPDX-License-Identifier: Apache-2.0 */
/*
 * onnx.h - read and check an .onnx file: its initialisers as weights, what its graph says about
 * itself. Nothing is executed, and nothing is decided about whether it could be.
 *
 * Checked: the wire format; opsets, also those that nodes use; that each input of a node is there
 * before it (initialiser, graph input, or an earlier node's output, outer graphs included), so
 * there is no cycle; shapes, types and bytes of tensors; where external data lies.
 * Not read, and refused: sparse initialisers, training information, segmented tensors.
 *
 * Threading: plain state, one owner.
 */
#ifndef SL_OBJECT_STORE_ONNX_H
#define SL_OBJECT_STORE_ONNX_H

#include "object-store/cause.h"
#include "object-store/weights.h"
#include "runtime/base.h"

#define SL_ONNX_FILE_SIZE_MAX   (2 * SL_GIB) /* Less than this. What protobuf can hold. */
#define SL_ONNX_NODES_MAX       1000000      /* Of all graphs and functions. */
#define SL_ONNX_NAMES_MAX       2000000      /* Visible at one place. */
#define SL_ONNX_NAME_SIZE_MAX   4096         /* Of values and nodes; of weights: tensor.h. */
#define SL_ONNX_GRAPHS_DEPTH    16
#define SL_ONNX_VALUES_MAX      4096 /* Inputs of the graph, and as many outputs. */
#define SL_ONNX_OPSETS_MAX      64
#define SL_ONNX_OPS_MAX         4096 /* Kinds of operators. */
#define SL_ONNX_FUNCTIONS_MAX   4096
#define SL_ONNX_FILES_MAX       1024          /* Of external data. */
#define SL_ONNX_LOCATION_MAX    255           /* Bytes of such a file's name. */
#define SL_ONNX_INLINE_SIZE_MAX (64 * SL_MIB) /* Elements that are not stored as they are. */
#define SL_ONNX_SHARED_TIMES    4u /* External tensors, all together, to the files they are in. */

/* The size of a file beside the .onnx file, by its name. False: there is none. */
typedef bool sl_onnx_file_size_fn(void *arg, const char *name, uint64_t *ret_size);

struct sl_onnx_files {
    sl_onnx_file_size_fn *size; /* NULL: there are none. */
    void *arg;
};

struct sl_onnx_dim {
    bool is_known;
    uint64_t size; /* Where it is known. */
    char *symbol;  /* Else, a name; NULL: it has none. Owned. */
};

struct sl_onnx_value { /* An input or output of the graph. */
    char *name;
    uint32_t type;  /* Of the elements: sl_onnx_type_name. 0: not a tensor, or it does not say. */
    bool has_shape; /* Else even the number of dimensions is open. */
    uint32_t dims_count;
    struct sl_onnx_dim dims[SL_TENSOR_DIMS_MAX];
};

struct sl_onnx_opset {
    char *domain; /* "": ONNX's own, which files also call "ai.onnx". */
    uint64_t version;
};

struct sl_onnx_op {
    char *name;     /* "MatMul"; of another domain than ONNX's own "com.example::Fold". */
    uint64_t count; /* Nodes, as written: in inner graphs and functions once each. */
};

struct sl_onnx {
    /*
     * Initialisers in the order of the file; those of an inner graph are named
     * "<first output of its node>.<attribute>.<name>".
     */
    struct sl_weights weights;
    uint32_t ir_version;
    char *producer, *producer_version; /* "" where absent. */
    struct sl_onnx_opset *opsets;
    struct sl_onnx_op *ops;                 /* In the order in which they appear. */
    struct sl_onnx_value *inputs, *outputs; /* Inputs without those that have an initialiser. */
    uint32_t opsets_count, ops_count, inputs_count, outputs_count;
    uint32_t nodes_count, functions_count;
};

/*
 * Check the whole file, which is borrowed for the call. SL_EINVAL: it is malformed or contradicts
 * itself. SL_EUNAVAIL: it has something that is not read here. SL_ETOOBIG: over a limit above. The
 * cause says what, where, and what to do. On success deinit *ret_onnx.
 */
SL_MUST_CHECK
enum sl_err sl_onnx_parse(struct sl_slice file, struct sl_onnx_files files,
                          struct sl_onnx *ret_onnx, struct sl_cause *ret_cause);
void sl_onnx_deinit(struct sl_onnx *onnx); /* Zeroed is fine. */

/* "FLOAT" for 1, as the format names types of elements; "?" for a number it does not know. */
const char *sl_onnx_type_name(uint32_t type);

#endif
