/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A graph's nodes must stand in an order in which they could run, so one walk shows that there is
 * no cycle: each input is visible already. Visible are the names of this graph so far and those of
 * the graphs around it, as a stack (onnx_names.h). The wire may have a graph's parts in any order,
 * so each part is a walk over its fields, which skips the others unread.
 */
#include <inttypes.h>

#include "object-store/onnx_state.h"
#include "runtime/alloc.h"

enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_SPARSE = 15
};
enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_OP = 4, NODE_ATTRIBUTE = 5, NODE_DOMAIN = 7 };
enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_TENSOR = 5,
    ATTRIBUTE_GRAPH = 6,
    ATTRIBUTE_TENSORS = 10,
    ATTRIBUTE_GRAPHS = 11,
    ATTRIBUTE_SPARSE = 22,
    ATTRIBUTE_SPARSES = 23
};
enum {
    FUNCTION_NAME = 1,
    FUNCTION_INPUT = 4,
    FUNCTION_OUTPUT = 5,
    FUNCTION_NODE = 7,
    FUNCTION_IMPORT = 9,
    FUNCTION_ATTRIBUTE = 11
};

struct graph {
    struct sl_slice message;
    const char *prefix; /* Of the names of its weights. */
    uint32_t id;
    bool is_top;
};

struct node {
    struct sl_slice message, op, domain, output; /* The first output that has a name. */
};

static enum sl_err read_graph(struct sl_onnx_parse *p, const struct sl_protobuf *parent,
                              struct sl_slice message, const char *prefix, bool is_top);

/* ---- names --------------------------------------------------------------------------------- */

/* In the table of values a name has its graph's id and whether it is an input. */
static bool
is_of(const struct sl_onnx_name *name, uint32_t id)
{
    return name != NULL && name->value >> 1 == id;
}

static enum sl_err
add_value(struct sl_onnx_parse *p, struct sl_slice name, uint32_t id, bool is_input)
{
    enum sl_err err = sl_onnx_check_name(p, name, "a value");
    if (err != SL_OK)
        return err;
    if (sl_onnx_names_add(&p->values, name, id << 1 | is_input, SL_ONNX_NAMES_MAX) != SL_OK)
        return sl_cause_set(p->cause, SL_ETOOBIG, "over %d names in one graph", SL_ONNX_NAMES_MAX);
    return SL_OK;
}

static enum sl_err
declare(struct sl_onnx_parse *p, struct sl_slice name, uint32_t id)
{
    if (is_of(sl_onnx_names_lookup(&p->values, name), id))
        return sl_cause_set(p->cause, SL_EINVAL, "'%.*s' is made twice in one graph", SHOWN(name));
    return add_value(p, name, id, false);
}

/* Owned. Cut where no weight could have it any more, so that many deep ones cost little. */
static char *
inner_prefix(const char *prefix, struct sl_slice name)
{
    return sl_format("%.*s%.*s.", SL_TENSOR_NAME_SIZE_MAX, prefix,
                     (int)SL_MIN(name.size, (size_t)SL_TENSOR_NAME_SIZE_MAX),
                     name.size == 0 ? "" : (const char *)name.data);
}

/* ---- nodes --------------------------------------------------------------------------------- */

static enum sl_err
count_op(struct sl_onnx_parse *p, const struct node *node)
{
    bool is_own = node->domain.size == 0 || sl_slice_is(node->domain, "ai.onnx");
    sl_buf_clear(&p->scratch);
    if (!is_own) {
        sl_buf_append_slice(&p->scratch, node->domain);
        sl_buf_append_str(&p->scratch, "::");
    }
    sl_buf_append_slice(&p->scratch, node->op);
    struct sl_slice key = sl_buf_slice(&p->scratch);
    const struct sl_onnx_name *known = sl_onnx_names_lookup(&p->ops, key);
    struct sl_onnx *onnx = p->onnx;
    if (known != NULL) {
        onnx->ops[known->value].count++;
        return SL_OK;
    }
    if (onnx->ops_count == p->ops_capacity) {
        p->ops_capacity = SL_MAX(32u, p->ops_capacity * 2);
        onnx->ops = sl_realloc(onnx->ops, p->ops_capacity * sizeof(onnx->ops[0]));
    }
    char *name = sl_strndup(key.data, key.size);
    if (sl_onnx_names_add(&p->ops, sl_slice(name, key.size), onnx->ops_count, SL_ONNX_OPS_MAX) !=
        SL_OK) {
        sl_free(name);
        return sl_cause_set(p->cause, SL_ETOOBIG, "over %d kinds of operators", SL_ONNX_OPS_MAX);
    }
    onnx->ops[onnx->ops_count++] = (struct sl_onnx_op){.name = name, .count = 1};
    return SL_OK;
}

static enum sl_err
check_domain(const struct sl_onnx_parse *p, const struct node *node)
{
    struct sl_slice domain = node->domain;
    if (sl_slice_is(domain, "ai.onnx"))
        domain = sl_slice("", 0);
    for (uint32_t i = 0; i < p->domains->count; i++) {
        if (sl_slice_equal(p->domains->names[i], domain))
            return SL_OK;
    }
    return sl_cause_set(p->cause, SL_EINVAL,
                        "a node of operator '%.*s' is of domain '%.*s', of which no opset is "
                        "imported",
                        SHOWN(node->op), SHOWN(node->domain));
}

static enum sl_err
read_node_head(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct node *node)
{
    static const char where[] = "a node";
    struct sl_protobuf r = sl_protobuf_enter(parent, node->message);
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == NODE_OP)
            err = sl_onnx_once(p, &f, &node->op, where);
        else if (f.number == NODE_DOMAIN)
            err = sl_onnx_once(p, &f, &node->domain, where);
        else if (f.number == NODE_INPUT || f.number == NODE_ATTRIBUTE || f.number == NODE_OUTPUT)
            err = sl_onnx_want(p, &f, SL_PROTOBUF_LEN, where);
        if (err == SL_OK && f.number == NODE_OUTPUT && node->output.size == 0)
            node->output = f.bytes;
    }
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    if (err == SL_OK && node->op.size == 0)
        err = sl_cause_set(p->cause, SL_EINVAL, "a node without an op_type");
    if (err == SL_OK)
        err = sl_onnx_check_name(p, node->op, "an operator");
    if (err == SL_OK)
        err = sl_onnx_check_name(p, node->domain, "a domain");
    return err != SL_OK ? err : check_domain(p, node);
}

static enum sl_err
check_inputs(struct sl_onnx_parse *p, const struct sl_protobuf *parent, const struct node *node)
{
    struct sl_protobuf r = sl_protobuf_enter(parent, node->message);
    for (struct sl_protobuf_field f; sl_protobuf_next(&r, &f);) {
        if (f.number != NODE_INPUT || f.bytes.size == 0) /* Without a name: not given. */
            continue;
        if (sl_onnx_names_lookup(&p->values, f.bytes) == NULL)
            return sl_cause_set(p->cause, SL_EINVAL,
                                "a node of operator '%.*s' takes '%.*s', which nothing before it "
                                "makes: the graph has a cycle or a gap, or is not sorted",
                                SHOWN(node->op), SHOWN(f.bytes));
    }
    return SL_OK;
}

static enum sl_err
add_outputs(struct sl_onnx_parse *p, const struct sl_protobuf *parent, const struct node *node,
            uint32_t id)
{
    struct sl_protobuf r = sl_protobuf_enter(parent, node->message);
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == NODE_OUTPUT && f.bytes.size > 0)
            err = declare(p, f.bytes, id);
    }
    return err;
}

static enum sl_err
read_attribute_value(struct sl_onnx_parse *p, const struct sl_protobuf *r,
                     const struct sl_protobuf_field *f, const char *prefix)
{
    static const char where[] = "an attribute";
    struct sl_slice ignored;
    enum sl_err err;
    switch (f->number) {
    case ATTRIBUTE_TENSOR:
    case ATTRIBUTE_TENSORS:
        err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, where);
        return err != SL_OK ? err : sl_onnx_tensor(p, r, f->bytes, NULL, &ignored);
    case ATTRIBUTE_GRAPH:
    case ATTRIBUTE_GRAPHS:
        err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, where);
        return err != SL_OK ? err : read_graph(p, r, f->bytes, prefix, false);
    case ATTRIBUTE_SPARSE:
    case ATTRIBUTE_SPARSES:
        return sl_cause_set(p->cause, SL_EUNAVAIL,
                            "sparse tensors are not read here: save the model with dense ones");
    default:
        return SL_OK;
    }
}

static enum sl_err
read_attribute(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
               const char *prefix)
{
    static const char where[] = "an attribute";
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    struct sl_slice name = {0};
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == ATTRIBUTE_NAME)
            err = sl_onnx_once(p, &f, &name, where);
    }
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    if (err == SL_OK)
        err = sl_onnx_check_name(p, name, where);
    if (err != SL_OK)
        return err;
    char *inner = inner_prefix(prefix, name);
    r = sl_protobuf_enter(parent, message);
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);)
        err = read_attribute_value(p, &r, &f, inner);
    sl_free(inner);
    return err;
}

static enum sl_err
read_attributes(struct sl_onnx_parse *p, const struct sl_protobuf *parent, const struct node *node,
                const char *prefix)
{
    struct sl_protobuf r = sl_protobuf_enter(parent, node->message);
    char *inner = NULL;
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number != NODE_ATTRIBUTE)
            continue;
        if (inner == NULL)
            inner = inner_prefix(prefix, node->output);
        err = read_attribute(p, &r, f.bytes, inner);
    }
    sl_free(inner);
    return err;
}

static enum sl_err
read_node(struct sl_onnx_parse *p, const struct sl_protobuf *parent,
          const struct sl_protobuf_field *f, const struct graph *graph)
{
    enum sl_err err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, "a graph");
    if (err != SL_OK)
        return err;
    if (++p->onnx->nodes_count > SL_ONNX_NODES_MAX)
        return sl_cause_set(p->cause, SL_ETOOBIG, "over %d nodes", SL_ONNX_NODES_MAX);
    struct node node = {.message = f->bytes};
    err = read_node_head(p, parent, &node);
    if (err == SL_OK)
        err = check_inputs(p, parent, &node);
    if (err == SL_OK)
        err = count_op(p, &node);
    /* Its inner graphs do not see what it makes. */
    if (err == SL_OK)
        err = read_attributes(p, parent, &node, graph->prefix);
    return err != SL_OK ? err : add_outputs(p, parent, &node, graph->id);
}

/* ---- graphs -------------------------------------------------------------------------------- */

static enum sl_err
read_initializer(struct sl_onnx_parse *p, const struct sl_protobuf *r,
                 const struct sl_protobuf_field *f, const struct graph *graph)
{
    struct sl_slice name = {0};
    enum sl_err err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, "a graph");
    if (err == SL_OK)
        err = sl_onnx_tensor(p, r, f->bytes, graph->prefix, &name);
    return err != SL_OK ? err : declare(p, name, graph->id);
}

static enum sl_err
keep_value(struct sl_onnx_parse *p, struct sl_onnx_value *value, struct sl_onnx_value **values,
           uint32_t *count)
{
    if (*count == SL_ONNX_VALUES_MAX)
        return sl_cause_set(p->cause, SL_ETOOBIG, "over %d inputs or outputs", SL_ONNX_VALUES_MAX);
    if ((*count & (*count - 1)) == 0) /* Room for the next power of two. */
        *values = sl_realloc(*values, SL_MAX(*count * 2, 1u) * sizeof(**values));
    (*values)[(*count)++] = *value;
    *value = (struct sl_onnx_value){0};
    return SL_OK;
}

static enum sl_err
read_input(struct sl_onnx_parse *p, const struct sl_protobuf *r, const struct sl_protobuf_field *f,
           const struct graph *graph)
{
    struct sl_onnx_value value = {0};
    enum sl_err err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, "a graph");
    if (err == SL_OK)
        err = sl_onnx_value(p, r, f->bytes, &value);
    if (err == SL_OK) {
        /* The table borrows names, so it gets the one in the file. */
        struct sl_protobuf inner = sl_protobuf_enter(r, f->bytes);
        struct sl_slice name = {0};
        for (struct sl_protobuf_field g; sl_protobuf_next(&inner, &g);)
            name = g.number == 1 && g.bytes.size > 0 ? g.bytes : name;
        const struct sl_onnx_name *known = sl_onnx_names_lookup(&p->values, name);
        bool has_initializer = is_of(known, graph->id);
        if (has_initializer && known->value % 2 == 1)
            err = sl_cause_set(p->cause, SL_EINVAL, "input '%.96s' is there twice", value.name);
        if (err == SL_OK)
            err = add_value(p, name, graph->id, true);
        if (err == SL_OK && graph->is_top && !has_initializer)
            err = keep_value(p, &value, &p->onnx->inputs, &p->onnx->inputs_count);
    }
    sl_onnx_value_deinit(&value);
    return err;
}

static enum sl_err
read_output(struct sl_onnx_parse *p, const struct sl_protobuf *r, const struct sl_protobuf_field *f,
            const struct graph *graph)
{
    struct sl_onnx_value value = {0};
    enum sl_err err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, "a graph");
    if (err == SL_OK)
        err = sl_onnx_value(p, r, f->bytes, &value);
    if (err == SL_OK && sl_onnx_names_lookup(&p->values, sl_slice_str(value.name)) == NULL)
        err = sl_cause_set(p->cause, SL_EINVAL, "output '%.96s' is made by nothing in its graph",
                           value.name);
    if (err == SL_OK && graph->is_top)
        err = keep_value(p, &value, &p->onnx->outputs, &p->onnx->outputs_count);
    sl_onnx_value_deinit(&value);
    return err;
}

typedef enum sl_err part_fn(struct sl_onnx_parse *p, const struct sl_protobuf *r,
                            const struct sl_protobuf_field *f, const struct graph *graph);

static enum sl_err
refuse_sparse(struct sl_onnx_parse *p, const struct sl_protobuf *r,
              const struct sl_protobuf_field *f, const struct graph *graph)
{
    (void)r;
    (void)f;
    (void)graph;
    return sl_cause_set(p->cause, SL_EUNAVAIL,
                        "sparse initialisers are not read here: save the model with dense ones");
}

static enum sl_err
read_graph(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
           const char *prefix, bool is_top)
{
    static const struct {
        uint32_t field;
        part_fn *read;
    } parts[] = {{GRAPH_SPARSE, refuse_sparse},
                 {GRAPH_INITIALIZER, read_initializer},
                 {GRAPH_INPUT, read_input},
                 {GRAPH_NODE, read_node},
                 {GRAPH_OUTPUT, read_output}};
    if (p->depth == SL_ONNX_GRAPHS_DEPTH)
        return sl_cause_set(p->cause, SL_ETOOBIG, "graphs nested over %d deep",
                            SL_ONNX_GRAPHS_DEPTH);
    p->depth++;
    struct graph graph = {
        .message = message, .prefix = prefix, .id = ++p->graphs_count, .is_top = is_top};
    uint32_t values_before = p->values.count;
    enum sl_err err = SL_OK;
    for (size_t i = 0; i < SL_COUNT_OF(parts) && err == SL_OK; i++) {
        struct sl_protobuf r = sl_protobuf_enter(parent, message);
        for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
            if (f.number == parts[i].field)
                err = parts[i].read(p, &r, &f, &graph);
        }
        if (err == SL_OK)
            err = sl_onnx_done(p, &r, "a graph");
    }
    sl_onnx_names_cut(&p->values, values_before);
    p->depth--;
    return err;
}

enum sl_err
sl_onnx_graph(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message)
{
    return read_graph(p, parent, message, "", true);
}

/* ---- functions ----------------------------------------------------------------------------- */

enum sl_err
sl_onnx_import(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message,
               struct sl_onnx_domains *domains)
{
    static const char where[] = "an opset";
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    struct sl_slice domain = {0};
    uint64_t version = 0;
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == 1) {
            err = sl_onnx_once(p, &f, &domain, where);
        } else if (f.number == 2) {
            err = sl_onnx_want(p, &f, SL_PROTOBUF_VARINT, where);
            version = f.value;
        }
    }
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    if (err == SL_OK)
        err = sl_onnx_check_name(p, domain, where);
    if (err != SL_OK)
        return err;
    if (sl_slice_is(domain, "ai.onnx"))
        domain = (struct sl_slice){0};
    if (version == 0 || version > INT32_MAX)
        return sl_cause_set(p->cause, SL_EINVAL, "opset '%.*s' has version %" PRIu64, SHOWN(domain),
                            version);
    for (uint32_t i = 0; i < domains->count; i++) {
        if (sl_slice_equal(domains->names[i], domain))
            return sl_cause_set(p->cause, SL_EINVAL, "opset '%.*s' is imported twice",
                                SHOWN(domain));
    }
    if (domains->count == SL_ONNX_OPSETS_MAX)
        return sl_cause_set(p->cause, SL_ETOOBIG, "over %d opsets", SL_ONNX_OPSETS_MAX);
    domains->names[domains->count] = domain;
    domains->versions[domains->count++] = version;
    return SL_OK;
}

static enum sl_err
read_function_field(struct sl_onnx_parse *p, const struct sl_protobuf *r,
                    const struct sl_protobuf_field *f, const struct graph *graph)
{
    static const char where[] = "a function";
    if (f->number == FUNCTION_NODE)
        return read_node(p, r, f, graph);
    enum sl_err err = sl_onnx_want(p, f, SL_PROTOBUF_LEN, where);
    if (err != SL_OK)
        return err;
    if (f->number == FUNCTION_INPUT)
        return declare(p, f->bytes, graph->id);
    if (f->number == FUNCTION_ATTRIBUTE)
        return read_attribute(p, r, f->bytes, graph->prefix);
    if (sl_onnx_names_lookup(&p->values, f->bytes) == NULL)
        return sl_cause_set(p->cause, SL_EINVAL, "output '%.*s' is made by nothing in its function",
                            SHOWN(f->bytes));
    return SL_OK;
}

static enum sl_err
read_function_head(struct sl_onnx_parse *p, const struct sl_protobuf *parent,
                   struct sl_slice message, struct sl_onnx_domains *domains, struct sl_slice *name)
{
    static const char where[] = "a function";
    struct sl_protobuf r = sl_protobuf_enter(parent, message);
    enum sl_err err = SL_OK;
    for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
        if (f.number == FUNCTION_NAME) {
            err = sl_onnx_once(p, &f, name, where);
        } else if (f.number == FUNCTION_IMPORT) {
            err = sl_onnx_want(p, &f, SL_PROTOBUF_LEN, where);
            if (err == SL_OK)
                err = sl_onnx_import(p, &r, f.bytes, domains);
        }
    }
    if (err == SL_OK)
        err = sl_onnx_done(p, &r, where);
    return err != SL_OK ? err : sl_onnx_check_name(p, *name, where);
}

enum sl_err
sl_onnx_function(struct sl_onnx_parse *p, const struct sl_protobuf *parent, struct sl_slice message)
{
    static const uint32_t parts[] = {FUNCTION_INPUT, FUNCTION_ATTRIBUTE, FUNCTION_NODE,
                                     FUNCTION_OUTPUT};
    if (++p->onnx->functions_count > SL_ONNX_FUNCTIONS_MAX)
        return sl_cause_set(p->cause, SL_ETOOBIG, "over %d functions", SL_ONNX_FUNCTIONS_MAX);
    struct sl_onnx_domains *domains = sl_zalloc(sizeof(*domains));
    const struct sl_onnx_domains *outer = p->domains;
    struct sl_slice name = {0};
    enum sl_err err = read_function_head(p, parent, message, domains, &name);
    char *prefix = err != SL_OK ? NULL : inner_prefix("", name);
    struct graph graph = {.message = message, .prefix = prefix, .id = ++p->graphs_count};
    sl_assert(p->values.count == 0); /* A function sees nothing of the graph. */
    p->domains = domains;
    for (size_t i = 0; i < SL_COUNT_OF(parts) && err == SL_OK; i++) {
        struct sl_protobuf r = sl_protobuf_enter(parent, message);
        for (struct sl_protobuf_field f; err == SL_OK && sl_protobuf_next(&r, &f);) {
            if (f.number == parts[i])
                err = read_function_field(p, &r, &f, &graph);
        }
    }
    sl_onnx_names_cut(&p->values, 0);
    p->domains = outer;
    sl_free(prefix);
    sl_free(domains);
    return err;
}
