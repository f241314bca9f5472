/* Helpers for operators that are made of others: see compose.h. */
#include "ir/ops/compose.h"

#include "ir/ops/rules.h"

#include <stdarg.h>
#include <string.h>

bool compose_error(Ir *ir, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *const text = arena_vformat(ir->arena, format, arguments);
    va_end(arguments);
    return diag_error(ir->diagnostics, EXIT_MALFORMED, ir->where, "%s", text);
}

/* The shape rule of an operator that is nothing but others: what they say. Nodes are made once, however often asked
 * for. */
bool expanded_shape(Infer *infer)
{
    Node node = *infer->node;
    Node **const outputs = NEW_ARRAY(infer->ir->arena, Node *, (size_t)infer->output_count);
    node.result_count = (uint16_t)infer->output_count;
    if (!op_row(&node)->meaning.expand(infer->ir, &node, outputs))
        return false;
    for (int i = 0; i < infer->output_count; i++) {
        if (!outputs[i])
            return infer_error(infer, "%s has no output %d in this form", op_row(&node)->name, i);
        infer->types[i] = outputs[i]->type;
    }
    return true;
}

Node *compose_input(const Node *node, int i)
{
    return i < (int)node->input_count && !is_omitted(node->inputs[i]) ? node->inputs[i] : NULL;
}

bool compose_renamed(Ir *ir, const Node *node, Op op, Node **outputs)
{
    const int count = node->result_count > 1 ? node->result_count : 1;
    Node *const made =
        tensor_make(ir, op, node->inputs, (int)node->input_count, count, node->attributes, node->attribute_count);
    for (int i = 0; made && i < count; i++)
        outputs[i] = node_result(made, i);
    return made;
}

Node *build_transpose(Ir *ir, Node *x, const int64_t *axes, int count)
{
    return build1_with(ir, OP_Transpose, x, attr_ints(ir, "perm", axes, count));
}

Node *build_channels_first(Ir *ir, Node *x)
{
    int64_t axes[RANK_MAX];
    const int rank = x ? x->type.rank : 0;
    for (int i = 0; i < rank; i++)
        axes[i] = i == 0 ? 0 : i == 1 ? rank - 1 : i - 1;
    return build_transpose(ir, x, axes, rank);
}

Node *build_channels_last(Ir *ir, Node *x)
{
    int64_t axes[RANK_MAX];
    const int rank = x ? x->type.rank : 0;
    for (int i = 0; i < rank; i++)
        axes[i] = i == 0 ? 0 : i == rank - 1 ? 1 : i + 1;
    return build_transpose(ir, x, axes, rank);
}

Node *build_slice(Ir *ir, Node *x, int64_t axis, int64_t start, int64_t end)
{
    Node *const inputs[4] = {x, constant_ints(ir, &start, 1), constant_ints(ir, &end, 1), constant_ints(ir, &axis, 1)};
    return build(ir, OP_Slice, inputs, 4, NULL, 0);
}

Node *build_pick(Ir *ir, Node *x, int64_t axis, int64_t index)
{
    return build2_with(ir, OP_Gather, x, constant_scalar(ir, DTYPE_I64, (double)index), attr_int(ir, "axis", axis));
}

Node *build_squeeze(Ir *ir, Node *x, int64_t axis)
{
    return build2(ir, OP_Squeeze, x, constant_ints(ir, &axis, 1));
}

static bool results_of(Node *node, int count, Node **parts)
{
    for (int i = 0; node && i < count; i++)
        parts[i] = node_result(node, i);
    return node;
}

bool build_split(Ir *ir, Node *x, int64_t axis, int count, Node **parts)
{
    const Attribute attributes[2] = {attr_int(ir, "axis", axis), attr_int(ir, "num_outputs", count)};
    return x && results_of(tensor_make(ir, OP_Split, &x, 1, count, attributes, 2), count, parts);
}

bool build_split_sizes(Ir *ir, Node *x, int64_t axis, const int64_t *sizes, int count, Node **parts)
{
    const Attribute along = attr_int(ir, "axis", axis);
    Node *const inputs[2] = {x, constant_ints(ir, sizes, count)};
    return x && results_of(tensor_make(ir, OP_Split, inputs, 2, count, &along, 1), count, parts);
}

Node *build_concat(Ir *ir, Node *const *parts, int count, int64_t axis)
{
    const Attribute along = attr_int(ir, "axis", axis);
    return count == 1 ? parts[0] : build(ir, OP_Concat, parts, count, &along, 1);
}

Node *build_dim(Ir *ir, Node *x, int64_t axis)
{
    return build_pick(ir, build1(ir, OP_Shape, x), 0, axis);
}

Node *build_count(Ir *ir, Node *end)
{
    return build3(ir, OP_Range, constant_scalar(ir, DTYPE_I64, 0), end, constant_scalar(ir, DTYPE_I64, 1));
}

/* ---- constants ---- */

static Node *constant_from(Ir *ir, Dtype dtype, const double *reals, const int64_t *integers, const int64_t *dims,
                           int rank)
{
    const size_t size = (size_t)dtype_info[dtype].bits / 8;
    size_t count = 1;
    Node *extents[RANK_MAX];
    for (int i = 0; i < rank; i++) {
        count *= (size_t)dims[i];
        extents[i] = index_const(ir, dims[i]);
    }
    unsigned char *const data = arena_alloc(ir->arena, count * size + 1);
    for (size_t i = 0; i < count; i++) {
        Node *const element = reals ? const_float(ir, dtype, reals[i]) : const_int(ir, dtype, integers[i]);
        memcpy(data + i * size, &element->payload.bits, size);
    }
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = data, .bytes = count * size};
    return constant_make(ir, type_tensor(ir, dtype, rank, extents), constant);
}

Node *constant_reals(Ir *ir, Dtype dtype, const double *values, const int64_t *dims, int rank)
{
    return constant_from(ir, dtype, values, NULL, dims, rank);
}

Node *constant_integers(Ir *ir, Dtype dtype, const int64_t *values, const int64_t *dims, int rank)
{
    return constant_from(ir, dtype, NULL, values, dims, rank);
}

const double *attribute_reals(const Node *node, const char *name, int *count)
{
    const Attribute *const found = attribute_find(node, name);
    *count = found ? found->count : 0;
    return found && found->count ? found->reals : NULL;
}

Node *constant_attribute(Ir *ir, const Node *node, const char *name, Dtype dtype)
{
    int count;
    const double *const values = attribute_reals(node, name, &count);
    const int64_t dim = count;
    return values ? constant_reals(ir, dtype, values, &dim, 1) : NULL;
}

/* ---- activations ---- */

typedef struct Activation {
    const char *name;
    Op op;
    int count;
    const char *attributes[2];
    double defaults[2];
} Activation;

static const Activation activations[] = {
    {"Relu", OP_Relu, 0, {0}, {0}},
    {"Tanh", OP_Tanh, 0, {0}, {0}},
    {"Sigmoid", OP_Sigmoid, 0, {0}, {0}},
    {"Softplus", OP_Softplus, 0, {0}, {0}},
    {"Softsign", OP_Softsign, 0, {0}, {0}},
    {"HardSwish", OP_HardSwish, 0, {0}, {0}},
    {"Gelu", OP_Gelu, 0, {0}, {0}},
    {"LeakyRelu", OP_LeakyRelu, 1, {"alpha"}, {0.01}},
    {"Elu", OP_Elu, 1, {"alpha"}, {1}},
    {"ThresholdedRelu", OP_ThresholdedRelu, 1, {"alpha"}, {1}},
    {"Silu", OP_Swish, 0, {0}, {0}},
    {"Swish", OP_Swish, 1, {"alpha"}, {1}},
    {"QuickGelu", OP_Swish, 1, {"alpha"}, {1.702}},
    {"HardSigmoid", OP_HardSigmoid, 2, {"alpha", "beta"}, {0.2, 0.5}},
    {"Clip", OP_Clip, 2, {0}, {-3.4028234663852886e38, 3.4028234663852886e38}},
};

Node *build_activation(Ir *ir, Node *x, const char *name, const double *parameters, int given)
{
    if (!x || !*name)
        return x;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        const Activation *const row = &activations[i];
        double values[2] = {0};
        Attribute attributes[2];
        if (strcmp(row->name, name) != 0)
            continue;
        for (int k = 0; k < row->count; k++) {
            values[k] = k < given ? parameters[k] : row->defaults[k];
            attributes[k] = row->attributes[0] ? attr_float(ir, row->attributes[k], values[k]) : (Attribute){0};
        }
        if (row->op == OP_Clip)
            return build3(ir, OP_Clip, x, constant_scalar(ir, x->type.dtype, values[0]),
                          constant_scalar(ir, x->type.dtype, values[1]));
        return build(ir, row->op, &x, 1, attributes, row->count);
    }
    refused(ir, REFUSED_ACTIVATION);
    return NULL;
}
