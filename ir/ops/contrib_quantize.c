/* com.microsoft: operators on quantised tensors. Elementwise ones and pools are dequantised, computed and quantised in
 * expressions, which fusion brings into one kernel; contractions stay those of integers, with the scales behind the
 * sum. */
#include "ir/ops/compose.h"
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

#include <string.h>

/* (x - zero) * scale, inputs `first` and the two that follow it; the zero point may be missing. */
static Node *dequantized(Ir *ir, const Node *node, int first)
{
    Node *const inputs[3] = {compose_input(node, first), compose_input(node, first + 1),
                             compose_input(node, first + 2)};
    if (!inputs[0] || !inputs[1]) {
        compose_error(ir, "%s lacks a quantised input or its scale", op_name(node->op));
        return NULL;
    }
    return build(ir, OP_DequantizeLinear, inputs, inputs[2] ? 3 : 2, NULL, 0);
}

/* With the scale and zero point of inputs `scale` and `scale + 1`; without a zero point in `dtype`. */
static Node *quantized(Ir *ir, const Node *node, Node *x, int scale, Dtype dtype)
{
    Node *const zero = compose_input(node, scale + 1), *const inputs[3] = {x, compose_input(node, scale),
                                                                           zero ? zero : constant_scalar(ir, dtype, 0)};
    if (!inputs[1]) {
        compose_error(ir, "%s lacks the scale of its output", op_name(node->op));
        return NULL;
    }
    return build(ir, OP_QuantizeLinear, inputs, 3, NULL, 0);
}

static bool binary_expand(Ir *ir, const Node *node, Node **outputs, Op op)
{
    Node *const y = build2(ir, op, dequantized(ir, node, 0), dequantized(ir, node, 3));
    outputs[0] = y ? quantized(ir, node, y, 6, node->inputs[0]->type.dtype) : NULL;
    return outputs[0];
}

bool qlinear_add_expand(Ir *ir, const Node *node, Node **outputs)
{
    return binary_expand(ir, node, outputs, OP_Add);
}

bool qlinear_mul_expand(Ir *ir, const Node *node, Node **outputs)
{
    return binary_expand(ir, node, outputs, OP_Mul);
}

bool qlinear_where_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = dequantized(ir, node, 1), *const y = dequantized(ir, node, 4);
    Node *const z = build3(ir, OP_Where, node->inputs[0], x, y);
    outputs[0] = z ? quantized(ir, node, z, 7, node->inputs[1]->type.dtype) : NULL;
    return outputs[0];
}

/* f(x) with the inputs x, scale, zero, scale of y, zero of y. */
static bool unary_finish(Ir *ir, const Node *node, Node *y, Node **outputs)
{
    outputs[0] = y ? quantized(ir, node, y, 3, node->inputs[0]->type.dtype) : NULL;
    return outputs[0];
}

bool qlinear_sigmoid_expand(Ir *ir, const Node *node, Node **outputs)
{
    return unary_finish(ir, node, build1(ir, OP_Sigmoid, dequantized(ir, node, 0)), outputs);
}

bool qlinear_leaky_relu_expand(Ir *ir, const Node *node, Node **outputs)
{
    const Attribute alpha = attr_float(ir, "alpha", attribute_float(node, "alpha", 0.01));
    return unary_finish(ir, node, build1_with(ir, OP_LeakyRelu, dequantized(ir, node, 0), alpha), outputs);
}

/* Until opset 13 all axes from `axis` on were one. */
bool qlinear_softmax_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = dequantized(ir, node, 0);
    const int64_t axis = attribute_int(node, "axis", -1);
    if (attribute_int(node, "opset", 13) >= 13 || !x || axis == -1 || axis == x->type.rank - 1)
        return unary_finish(ir, node, build1_with(ir, OP_Softmax, x, attr_int(ir, "axis", axis)), outputs);
    Node *const flat = build1_with(ir, OP_Flatten, x, attr_int(ir, "axis", axis));
    Node *const y = build1_with(ir, OP_Softmax, flat, attr_int(ir, "axis", -1));
    return unary_finish(ir, node, build_reshape_like(ir, y, x), outputs);
}

static bool pool_finish(Ir *ir, const Node *node, Op op, const Attribute *attributes, int count, Node **outputs)
{
    const bool last = attribute_int(node, "channels_last", 0) != 0;
    Node *x = dequantized(ir, node, 0);
    if (last && x)
        x = build_channels_first(ir, x);
    Node *y = x ? build(ir, op, &x, 1, attributes, count) : NULL;
    if (last && y)
        y = build_channels_last(ir, y);
    return unary_finish(ir, node, y, outputs);
}

bool qlinear_average_pool_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const char *const names[] = {"auto_pad",     "ceil_mode", "count_include_pad",
                                        "kernel_shape", "pads",      "strides"};
    Attribute attributes[6];
    int count = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const Attribute *const found = attribute_find(node, names[i]);
        if (found)
            attributes[count++] = *found;
    }
    return pool_finish(ir, node, OP_AveragePool, attributes, count, outputs);
}

bool qlinear_global_average_pool_expand(Ir *ir, const Node *node, Node **outputs)
{
    return pool_finish(ir, node, OP_GlobalAveragePool, NULL, 0, outputs);
}

bool qlinear_reduce_mean_expand(Ir *ir, const Node *node, Node **outputs)
{
    int count;
    const int64_t *const axes = attribute_ints(node, "axes", &count);
    Node *const x = dequantized(ir, node, 0);
    const Attribute keep = attr_int(ir, "keepdims", attribute_int(node, "keepdims", 1));
    Node *const y = count ? build2_with(ir, OP_ReduceMean, x, constant_ints(ir, axes, count), keep)
                          : build1_with(ir, OP_ReduceMean, x, keep);
    return unary_finish(ir, node, y, outputs);
}

/* Inputs: scale and zero of y, then x, scale, zero of each part. */
bool qlinear_concat_expand(Ir *ir, const Node *node, Node **outputs)
{
    const int parts = ((int)node->input_count - 2) / 3;
    Node **const list = NEW_ARRAY(ir->arena, Node *, (size_t)parts + 1);
    if (parts < 1 || (int)node->input_count != 2 + 3 * parts)
        return compose_error(ir, "QLinearConcat has %d inputs, not 2 and triples", (int)node->input_count);
    for (int i = 0; i < parts; i++)
        list[i] = dequantized(ir, node, 2 + 3 * i);
    Node *const y = build_concat(ir, list, parts, attribute_int(node, "axis", 0));
    outputs[0] = y ? quantized(ir, node, y, 0, node->inputs[2]->type.dtype) : NULL;
    return outputs[0];
}

/* ---- contractions ---- */

/* sum of (a - a_zero) * (b - b_zero) in i32; zero points may be NULL. */
static Node *product_of(Ir *ir, Node *a, Node *b, Node *a_zero, Node *b_zero)
{
    Node *const inputs[4] = {a, b, a_zero ? a_zero : omitted_make(ir), b_zero ? b_zero : omitted_make(ir)};
    return build(ir, OP_MatMulInteger, inputs, b_zero ? 4 : a_zero ? 3 : 2, NULL, 0);
}

/* sum * (a_scale * b_scale) + bias, floats. */
static Node *scaled_product(Ir *ir, Node *sum, Node *a_scale, Node *b_scale, Node *bias)
{
    Node *const scale = build2(ir, OP_Mul, a_scale, b_scale);
    Node *const y = scale ? build2(ir, OP_Mul, build_cast(ir, sum, scale->type.dtype), scale) : NULL;
    return bias ? build2(ir, OP_Add, y, bias) : y;
}

/* A in floats is quantised as a run finds its range. */
bool dynamic_quantize_matmul_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const dynamic = tensor_make(ir, OP_DynamicQuantizeLinear, node->inputs, 1, 3, NULL, 0);
    if (!dynamic)
        return false;
    Node *const sum =
        product_of(ir, node_result(dynamic, 0), node->inputs[1], node_result(dynamic, 2), compose_input(node, 3));
    outputs[0] = scaled_product(ir, sum, node_result(dynamic, 1), node->inputs[2], compose_input(node, 4));
    return outputs[0];
}

bool matmul_integer_to_float_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const sum = product_of(ir, node->inputs[0], node->inputs[1], compose_input(node, 4), compose_input(node, 5));
    outputs[0] = scaled_product(ir, sum, node->inputs[2], node->inputs[3], compose_input(node, 6));
    return outputs[0];
}

/* Inputs a, scale, zero, b, scale, zero, c in i32, scale and zero of y; without those y is f32. */
bool qgemm_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const int64_t swapped[2] = {1, 0};
    const double alpha = attribute_float(node, "alpha", 1);
    Node *a = node->inputs[0], *b = node->inputs[3], *const c = compose_input(node, 6);
    if (attribute_int(node, "transA", 0) != 0)
        a = build_transpose(ir, a, swapped, 2);
    if (attribute_int(node, "transB", 0) != 0)
        b = build_transpose(ir, b, swapped, 2);
    Node *sum = product_of(ir, a, b, compose_input(node, 2), compose_input(node, 5));
    if (c)
        sum = build2(ir, OP_Add, sum, c);
    Node *y = scaled_product(ir, sum, node->inputs[1], node->inputs[4], NULL);
    if (alpha != 1)
        y = build_number(ir, OP_Mul, y, alpha);
    outputs[0] = y && compose_input(node, 7) ? quantized(ir, node, y, 7, node->inputs[0]->type.dtype) : y;
    return outputs[0];
}

/* As in the default domain, but the activations may be [N, H, W, C]. */
bool ms_qlinear_conv_expand(Ir *ir, const Node *node, Node **outputs)
{
    const bool last = attribute_int(node, "channels_last", 0) != 0;
    Node *inputs[9];
    Attribute attributes[8];
    int count = 0;
    for (int i = 0; i < (int)node->input_count && i < 9; i++)
        inputs[i] = node->inputs[i];
    for (int i = 0; i < node->attribute_count && count < 8; i++)
        if (node->attributes[i].name != name_intern(ir->arena, "channels_last"))
            attributes[count++] = node->attributes[i];
    if (last && !(inputs[0] = build_channels_first(ir, inputs[0])))
        return false;
    Node *const y = build(ir, OP_QLinearConv, inputs, (int)node->input_count, attributes, count);
    outputs[0] = last && y ? build_channels_last(ir, y) : y;
    return outputs[0];
}

/* ---- linear quantisation with the axis of this domain: no axis is one scale for all ---- */

bool ms_dequantize_expand(Ir *ir, const Node *node, Node **outputs)
{
    return compose_renamed(ir, node, OP_DequantizeLinear, outputs);
}

bool ms_quantize_expand(Ir *ir, const Node *node, Node **outputs)
{
    return compose_renamed(ir, node, OP_QuantizeLinear, outputs);
}

/* ---- weights of few bits ---- */

/* A constant of bytes seen as [rows, bytes of a row] elements of 2, 4 or 8 bits, low ones first. */
static Node *unpacked(Ir *ir, Node *bytes, int64_t bits, int64_t rows, int64_t row_bytes)
{
    const Dtype dtype = bits == 2 ? DTYPE_U2 : bits == 4 ? DTYPE_U4 : DTYPE_U8;
    Node *const dims[2] = {index_const(ir, rows), index_const(ir, row_bytes * (8 / bits))};
    if (bytes->op != OP_constant || bytes->type.dtype != DTYPE_U8) {
        refused(ir, REFUSED_BITS_COMPUTED);
        return NULL;
    }
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = *bytes->payload.constant;
    if (constant->splat) {
        constant->bytes = (uint64_t)rows * (uint64_t)row_bytes;
        constant->data = memset(arena_alloc(ir->arena, constant->bytes + 1), *(const unsigned char *)constant->data,
                                constant->bytes);
        constant->splat = false;
    }
    return constant_make(ir, type_tensor(ir, dtype, 2, dims), constant);
}

/* The zero points that nobody gave: the middle of the range, packed. */
static Node *middles(Ir *ir, int64_t bits, int64_t rows, int64_t row_bytes)
{
    static const unsigned char bytes[] = {[2] = 0xaa, [4] = 0x88, [8] = 0x80};
    Node *const dims[2] = {index_const(ir, rows), index_const(ir, row_bytes)};
    const Constant one = {.data = &bytes[bits], .bytes = 1, .splat = true};
    Constant *const constant = arena_copy(ir->arena, &one, sizeof one);
    return unpacked(ir, constant_make(ir, type_tensor(ir, DTYPE_U8, 2, dims), constant), bits, rows, row_bytes);
}

typedef struct NBits {
    int64_t k, n, bits, block, blocks;
} NBits;

static bool nbits_read(Ir *ir, const Node *node, NBits *of)
{
    of->k = attribute_int(node, "K", 0);
    of->n = attribute_int(node, "N", 0);
    of->bits = attribute_int(node, "bits", 4);
    of->block = attribute_int(node, "block_size", 0);
    const int64_t most = INT32_MAX;
    if (of->k < 1 || of->n < 1 || of->k > most || of->n > most || of->block < 1 || of->block > most)
        return compose_error(ir, "K, N and block_size are %lld, %lld and %lld", (long long)of->k, (long long)of->n,
                             (long long)of->block);
    if (of->bits != 2 && of->bits != 4 && of->bits != 8)
        return refused(ir, REFUSED_BITS_OTHER);
    if (attribute_int(node, "weight_prepacked", 0) != 0)
        return refused(ir, REFUSED_BITS_OTHER);
    of->blocks = (of->k + of->block - 1) / of->block;
    return true;
}

static bool elements_are(Ir *ir, Node *x, int64_t count, const char *what)
{
    int64_t have;
    return (const_is_int(type_elements(ir, x->type), &have) && have == count) ||
           compose_error(ir, "%s are %s, not %lld elements", what, type_text(ir, x->type), (long long)count);
}

/* Zero points as [N, blocks]: packed like the weights, each row on whole bytes, or in the type of the scales. */
static Node *nbits_zero(Ir *ir, Node *given, const NBits *of)
{
    const int64_t per = 8 / of->bits, bytes = (of->blocks + per - 1) / per;
    if (!given)
        return constant_scalar(ir, DTYPE_U8, (double)(1 << (of->bits - 1)));
    if (given->type.dtype != DTYPE_U8)
        return elements_are(ir, given, of->n * of->blocks, "zero points")
                   ? build_reshape(ir, given, (int64_t[]){of->n, of->blocks}, 2)
                   : NULL;
    if (!elements_are(ir, given, of->n * bytes, "zero points"))
        return NULL;
    Node *const rows = unpacked(ir, given, of->bits, of->n, bytes);
    return rows ? build_slice(ir, rows, 1, 0, of->blocks) : NULL;
}

/* A [.., K] times the transpose of B [N, K] in blocks of 2, 4 or 8 bits: y = a * ((b - zero) * scale) + bias. g_idx[k]
 * names the block of column k. The weight stays as it is stored; its elements become floats where the product reads
 * them. */
bool matmul_nbits_expand(Ir *ir, const Node *node, Node **outputs)
{
    NBits of = {0};
    if (!nbits_read(ir, node, &of))
        return false;
    Node *const a = node->inputs[0], *const groups = compose_input(node, 4), *const bias = compose_input(node, 5);
    const int64_t bytes = (of.block * of.bits + 7) / 8;
    if (!elements_are(ir, node->inputs[1], of.n * of.blocks * bytes, "weights") ||
        !elements_are(ir, node->inputs[2], of.n * of.blocks, "scales"))
        return false;
    if (of.block * of.bits % 8 != 0)
        return refused(ir, REFUSED_BITS_OTHER);
    Node *const zero = nbits_zero(ir, compose_input(node, 3), &of);
    Node *const scales = build_reshape(ir, node->inputs[2], (int64_t[]){of.n, of.blocks}, 2);
    Node *const b = unpacked(ir, node->inputs[1], of.bits, of.n, of.blocks * bytes);
    if (!zero || !scales || !b)
        return false;
    Node *const inputs[5] = {a, b, scales, zero, groups ? groups : omitted_make(ir)};
    const Attribute attributes[2] = {attr_int(ir, "K", of.k), attr_int(ir, "block_size", of.block)};
    outputs[0] = build(ir, OP_lathe_BlockMatMul, inputs, 5, attributes, 2);
    if (bias)
        outputs[0] = build2(ir, OP_Add, outputs[0], bias);
    return outputs[0];
}

/* ---- the contraction of MatMulNBits: a, b [N, K or more], scales [N, blocks], zero (scalar or like the scales),
 * groups ---- */

bool block_matmul_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type a = infer_type(infer, 0), b = infer_type(infer, 1), scales = infer_type(infer, 2);
    Node *dims[RANK_MAX], *const k = index_const(ir, attribute_int(infer->node, "K", 0));
    if (a.rank < 1 || b.rank != 2 || scales.rank != 2)
        return infer_error(infer, "a product of %s and %s is not possible", type_text(ir, a), type_text(ir, b));
    if (infer_has(infer, 4) && (infer_type(infer, 4).rank != 1 || !dtype_is_integer(infer_type(infer, 4).dtype) ||
                                !infer_same_dim(infer, infer_type(infer, 4).dims[0], k, "g_idx and K")))
        return infer_error(infer, "g_idx is %s", type_text(ir, infer_type(infer, 4)));
    if (scales.dtype != a.dtype && scales.dtype != DTYPE_F32)
        return infer_error(infer, "scales are %s", type_text(ir, scales));
    for (int i = 0; i < a.rank; i++)
        dims[i] = a.dims[i];
    dims[a.rank - 1] = b.dims[0];
    infer->types[0] = type_tensor(ir, a.dtype, a.rank, dims);
    return infer_same_dim(infer, a.dims[a.rank - 1], k, "columns of A and K");
}

bool block_matmul_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0), *const a = lower_in(lower, 0), *const zeros = lower_in(lower, 3);
    const Dtype compute = dtype_compute(out->type.dtype);
    const int rank = out->type.rank;
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, out->type, axes);
    Node *const k = lower_axis(lower, "k", index_const(ir, attribute_int(lower->node, "K", 0)));
    for (int i = 0; i < rank; i++)
        at[i] = axes[i];
    at[rank - 1] = k;
    Node *const n = axes[rank - 1], *const blocks = lower_in(lower, 2)->type.dims[1];
    Node *block = index_floordiv(ir, k, index_const(ir, attribute_int(lower->node, "block_size", 1)));
    if (lower_has(lower, 4))
        block = bound_make(ir, cast_make(ir, lower_at(lower, lower_in(lower, 4), &k), DTYPE_INDEX), blocks);
    Node *const place[2] = {n, block};
    Node *const element = cast_make(ir, lower_at(lower, lower_in(lower, 1), (Node *[]){n, k}), compute);
    Node *const zero = cast_make(ir, lower_at(lower, zeros, place), compute);
    Node *const scale = cast_make(ir, lower_at(lower, lower_in(lower, 2), place), compute);
    Node *const b = scalar2(ir, OP_mul, scalar2(ir, OP_sub, element, zero), scale);
    lower_define(lower, out, axes, rank,
                 contract_make(ir, compute, &k, 1, cast_make(ir, lower_at(lower, a, at), compute), b));
    return true;
}

/* ---- gathering from a table of few bits ---- */

/* Rows of a table that is quantised in blocks along its last axis; only what is gathered becomes floats. */
bool gather_block_quantized_expand(Ir *ir, const Node *node, Node **outputs)
{
    const int64_t bits = attribute_int(node, "bits", 4), axis = attribute_int(node, "gather_axis", 0);
    Node *data = node->inputs[0], *const scales = node->inputs[2], *zeros = compose_input(node, 3);
    const int64_t given = attribute_int(node, "quantize_axis", 1);
    int64_t rows, bytes, blocks;
    if (axis != 0 || (given != 1 && given != -1) || data->type.rank != 2 || scales->type.rank != 2 ||
        !const_is_int(data->type.dims[0], &rows) || !const_is_int(data->type.dims[1], &bytes) ||
        !const_is_int(scales->type.dims[1], &blocks))
        return refused(ir, REFUSED_BLOCK_GATHER);
    if (data->type.dtype == DTYPE_U8 && (bits == 2 || bits == 4 || bits == 8)) {
        const int64_t per = 8 / bits;
        if (!(data = unpacked(ir, data, bits, rows, bytes)))
            return false;
        if (!zeros)
            zeros = middles(ir, bits, rows, (blocks + per - 1) / per);
        else if (!elements_are(ir, zeros, rows * ((blocks + per - 1) / per), "zero points") ||
                 !(zeros = unpacked(ir, zeros, bits, rows, (blocks + per - 1) / per)))
            return false;
        if (!(zeros = build_slice(ir, zeros, 1, 0, blocks)))
            return false;
    }
    const Attribute attributes[2] = {attr_int(ir, "axis", -1),
                                     attr_int(ir, "block_size", attribute_int(node, "block_size", 128))};
    Node *const picked = build2(ir, OP_Gather, data, node->inputs[1]), *const factors = build2(ir, OP_Gather, scales,
                                                                                               node->inputs[1]);
    if (zeros && zeros->type.rank)
        zeros = build2(ir, OP_Gather, zeros, node->inputs[1]);
    outputs[0] = build(ir, OP_DequantizeLinear, (Node *[]){picked, factors, zeros}, zeros ? 3 : 2, attributes, 2);
    return outputs[0];
}
