/* com.microsoft: fused forms of operators of the default domain, made of them again, so that fusion and the contraction
 * templates see what they know. Quantised ones are in contrib_quantize.c, attention in contrib_attention.c. */
#include "ir/ops/compose.h"
#include "ir/ops/rules.h"

#include <string.h>

/* ---- contractions ---- */

/* Attributes of `node` that the operator `op` has too. */
static int attributes_of(const Node *node, const char *const *names, Attribute *attributes)
{
    int count = 0;
    for (; *names; names++) {
        const Attribute *const found = attribute_find(node, *names);
        if (found)
            attributes[count++] = *found;
    }
    return count;
}

static const char *const conv_attributes[] = {"auto_pad", "dilations", "group", "kernel_shape",
                                              "pads",     "strides",   NULL};

/* activation(Conv(x, w, b) + z) */
static Node *fused_conv(Ir *ir, const Node *node, Node *x, Node *w)
{
    Attribute attributes[8];
    int given;
    const double *const parameters = attribute_reals(node, "activation_params", &given);
    Node *const bias = compose_input(node, 2), *const added = compose_input(node, 3);
    const int count = attributes_of(node, conv_attributes, attributes);
    Node *y = build(ir, OP_Conv, (Node *[]){x, w, bias}, bias ? 3 : 2, attributes, count);
    if (added)
        y = build2(ir, OP_Add, y, added);
    return build_activation(ir, y, attribute_string(node, "activation", ""), parameters, given);
}

bool fused_conv_expand(Ir *ir, const Node *node, Node **outputs)
{
    outputs[0] = fused_conv(ir, node, node->inputs[0], node->inputs[1]);
    return outputs[0];
}

/* The weight is [M, kh, kw, C], as the activations are [N, H, W, C]. */
bool nhwc_conv_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node draft = *node;
    if (compose_input(node, 3))
        return refused(ir, REFUSED_NHWC_SUM);
    Node *const x = build_channels_first(ir, node->inputs[0]), *const w = build_channels_first(ir, node->inputs[1]);
    outputs[0] = build_channels_last(ir, x && w ? fused_conv(ir, &draft, x, w) : NULL);
    return outputs[0];
}

/* The operand of FusedMatMul as MatMul wants it: with transBatch its first dim is the row and the batch follows. */
static Node *matmul_operand(Ir *ir, Node *x, bool transposed, bool batch)
{
    const int rank = x->type.rank;
    int64_t axes[RANK_MAX];
    if (rank < 2 || (!transposed && !batch))
        return x;
    for (int i = 0; i < rank - 2; i++)
        axes[i] = batch ? i + 1 : i;
    axes[rank - 2] = batch ? 0 : rank - 2;
    axes[rank - 1] = rank - 1;
    if (transposed) {
        const int64_t row = axes[rank - 2];
        axes[rank - 2] = axes[rank - 1];
        axes[rank - 1] = row;
    }
    return build_transpose(ir, x, axes, rank);
}

bool fused_matmul_expand(Ir *ir, const Node *node, Node **outputs)
{
    const double alpha = attribute_float(node, "alpha", 1);
    Node *const a = matmul_operand(ir, node->inputs[0], attribute_int(node, "transA", 0) != 0,
                                   attribute_int(node, "transBatchA", 0) != 0);
    Node *const b = matmul_operand(ir, node->inputs[1], attribute_int(node, "transB", 0) != 0,
                                   attribute_int(node, "transBatchB", 0) != 0);
    outputs[0] = build2(ir, OP_MatMul, a, b);
    if (alpha != 1)
        outputs[0] = build_number(ir, OP_Mul, outputs[0], alpha);
    return outputs[0];
}

bool fused_gemm_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const char *const names[] = {"alpha", "beta", "transA", "transB", NULL};
    static const char *const parameters[] = {"activation_alpha", "activation_beta", "activation_gamma"};
    Attribute attributes[4];
    double values[3] = {0};
    int given = 0;
    for (; given < 3 && attribute_find(node, parameters[given]); given++)
        values[given] = attribute_float(node, parameters[given], 0);
    const int count = attributes_of(node, names, attributes);
    Node *const product = build(ir, OP_Gemm, node->inputs, (int)node->input_count, attributes, count);
    outputs[0] = build_activation(ir, product, attribute_string(node, "activation", ""), values, given);
    return outputs[0];
}

/* ---- activations ---- */

/* Gelu by tanh, of x + bias. */
bool fast_gelu_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const bias = compose_input(node, 1), *const x =
                                                   bias ? build2(ir, OP_Add, node->inputs[0], bias) : node->inputs[0];
    outputs[0] = build1_with(ir, OP_Gelu, x, attr_string(ir, "approximate", "tanh"));
    return outputs[0];
}

bool bias_gelu_expand(Ir *ir, const Node *node, Node **outputs)
{
    outputs[0] = build1(ir, OP_Gelu, build2(ir, OP_Add, node->inputs[0], node->inputs[1]));
    return outputs[0];
}

/* x + bias + skip */
bool bias_add_expand(Ir *ir, const Node *node, Node **outputs)
{
    outputs[0] = build2(ir, OP_Add, build2(ir, OP_Add, node->inputs[0], node->inputs[1]), node->inputs[2]);
    return outputs[0];
}

/* The left half of x + bias times the Gelu of the right half. */
bool bias_split_gelu_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *halves[2];
    if (!build_split(ir, build2(ir, OP_Add, node->inputs[0], node->inputs[1]), -1, 2, halves))
        return false;
    outputs[0] = build2(ir, OP_Mul, halves[0], build1(ir, OP_Gelu, halves[1]));
    return outputs[0];
}

/* Softmax(data + bias) along the axes from `axis` on. is_inner_broadcast: the bias lacks the axes just before `axis`,
 * else the first. */
bool bias_softmax_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = node->inputs[0];
    Node *bias = node->inputs[1];
    const int64_t given = attribute_int(node, "axis", 1), axis = given < 0 ? given + x->type.rank : given;
    if (axis < 0 || axis != x->type.rank - 1 || attribute_int(node, "is_inner_broadcast", 0) != 0)
        return refused(ir, REFUSED_BIAS_SOFTMAX);
    Node *const sum = build2(ir, OP_Add, x, bias);
    outputs[0] = build1_with(ir, OP_Softmax, sum, attr_int(ir, "axis", -1));
    return outputs[0];
}

/* ---- normalisations ---- */

/* x + skip + bias */
static Node *skip_sum(Ir *ir, const Node *node, Node *bias)
{
    Node *const x = node->inputs[0], *skip = node->inputs[1];
    if (!x || x->type.rank < 2) {
        compose_error(ir, "the input must have 2 or 3 dimensions");
        return NULL;
    }
    Node *const sum = build2(ir, OP_Add, x, skip);
    return bias ? build2(ir, OP_Add, sum, bias) : sum;
}

bool skip_layer_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    const Attribute attributes[2] = {attr_int(ir, "axis", -1),
                                     attr_float(ir, "epsilon", attribute_float(node, "epsilon", 1e-12))};
    Node *const sum = skip_sum(ir, node, compose_input(node, 4)), *const beta = compose_input(node, 3);
    Node *const inputs[3] = {sum, node->inputs[2], beta};
    const int wanted = node->result_count > 2 ? 3 : node->result_count > 1 ? 2 : 1;
    Node *const norm = sum ? tensor_make(ir, OP_LayerNormalization, inputs, beta ? 3 : 2, wanted, attributes, 2) : NULL;
    for (int i = 0; norm && i < wanted; i++)
        outputs[i] = node_result(norm, i);
    if (node->result_count > 3)
        outputs[3] = sum;
    return norm;
}

/* 1 / sqrt(mean(x^2) + epsilon) along the axes from `axis` on, which stay with extent 1, in f32. */
static Node *inverse_rms(Ir *ir, Node *x, int axis, double epsilon)
{
    int64_t axes[RANK_MAX];
    for (int i = axis; i < x->type.rank; i++)
        axes[i - axis] = i;
    Node *const wide = build_cast(ir, x, x->type.dtype == DTYPE_F64 ? DTYPE_F64 : DTYPE_F32);
    Node *const mean = build_reduce(ir, OP_ReduceMean, build2(ir, OP_Mul, wide, wide), axes, x->type.rank - axis);
    return build1(ir, OP_Reciprocal, build1(ir, OP_Sqrt, build_number(ir, OP_Add, mean, epsilon)));
}

static Node *rms_norm(Ir *ir, Node *x, Node *scale, int64_t axis, double epsilon)
{
    const Attribute attributes[2] = {attr_int(ir, "axis", axis), attr_float(ir, "epsilon", epsilon)};
    return build(ir, OP_RMSNormalization, (Node *[]){x, scale}, 2, attributes, 2);
}

bool simplified_layer_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = node->inputs[0];
    const int64_t given = attribute_int(node, "axis", -1), axis = given < 0 ? given + x->type.rank : given;
    const double epsilon = attribute_float(node, "epsilon", 1e-5);
    if (axis < 0 || axis >= x->type.rank)
        return compose_error(ir, "axis %lld is outside %s", (long long)given, type_text(ir, x->type));
    outputs[0] = rms_norm(ir, x, node->inputs[1], axis, epsilon);
    if (node->result_count > 1)
        outputs[1] = inverse_rms(ir, x, (int)axis, epsilon);
    return outputs[0] && (node->result_count < 2 || outputs[1]);
}

/* The second output, the mean, is none of this form. */
bool skip_simplified_layer_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const sum = skip_sum(ir, node, compose_input(node, 3));
    const double epsilon = attribute_float(node, "epsilon", 1e-12);
    if (!sum)
        return false;
    outputs[0] = rms_norm(ir, sum, node->inputs[2], -1, epsilon);
    for (int i = 1; i < 3 && i < node->result_count; i++)
        outputs[i] = inverse_rms(ir, sum, sum->type.rank - 1, epsilon);
    if (node->result_count > 3)
        outputs[3] = sum;
    return outputs[0];
}

/* Silu or nothing after a group normalisation whose activations are [N, H, W, C] unless channels_last is 0. */
static Node *group_norm(Ir *ir, const Node *node, Node *x)
{
    const Attribute attributes[2] = {attr_int(ir, "num_groups", attribute_int(node, "groups", 1)),
                                     attr_float(ir, "epsilon", attribute_float(node, "epsilon", 1e-5))};
    const bool last = attribute_int(node, "channels_last", 1) != 0;
    if (last)
        x = build_channels_first(ir, x);
    if (!x)
        return NULL;
    Node *const scale = build_cast(ir, node->inputs[1], x->type.dtype), *const bias = build_cast(ir, node->inputs[2],
                                                                                                 x->type.dtype);
    Node *y = build(ir, OP_GroupNormalization, (Node *[]){x, scale, bias}, 3, attributes, 2);
    if (last && y)
        y = build_channels_last(ir, y);
    return attribute_int(node, "activation", 0) == 1 ? build_activation(ir, y, "Silu", NULL, 0) : y;
}

bool ms_group_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    outputs[0] = group_norm(ir, node, node->inputs[0]);
    return outputs[0];
}

/* ---- embeddings ---- */

/* How many elements of each row of the mask are 1; zeros without a mask. */
static Node *mask_index(Ir *ir, Node *mask, Node *ids)
{
    Node *const from = mask ? mask : ids;
    Node *const one = build_cast(ir, build2(ir, OP_Equal, from, constant_scalar(ir, from->type.dtype, 1)), DTYPE_I32);
    Node *const counts =
        build2_with(ir, OP_ReduceSum, one, constant_ints(ir, (int64_t[]){1}, 1), attr_int(ir, "keepdims", 0));
    return mask ? counts : build_number(ir, OP_Mul, counts, 0);
}

bool embed_layer_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    const Attribute attributes[2] = {attr_int(ir, "axis", -1),
                                     attr_float(ir, "epsilon", attribute_float(node, "epsilon", 1e-12))};
    Node *const ids = node->inputs[0], *const segments = compose_input(node, 1), *const words = compose_input(node, 2),
                *const places = compose_input(node, 3), *const kinds = compose_input(node, 4);
    Node *const gamma = compose_input(node, 5), *const beta = compose_input(node, 6),
                *positions = compose_input(node, 8);
    if (!words || !places || !gamma || !beta)
        return compose_error(ir, "the word embedding, the position embedding, gamma and beta are required");
    if (ids->type.rank != 2)
        return compose_error(ir, "input_ids must have 2 dimensions, not %s", type_text(ir, ids->type));
    if (!positions)
        positions = build_count(ir, build_dim(ir, ids, 1));
    Node *sum = build2(ir, OP_Add, build2(ir, OP_Gather, words, ids), build2(ir, OP_Gather, places, positions));
    if (segments && kinds)
        sum = build2(ir, OP_Add, sum, build2(ir, OP_Gather, kinds, segments));
    outputs[0] = build(ir, OP_LayerNormalization, (Node *[]){sum, gamma, beta}, 3, attributes, 2);
    if (node->result_count > 1)
        outputs[1] = mask_index(ir, compose_input(node, 7), ids);
    if (node->result_count > 2)
        outputs[2] = sum;
    return outputs[0] && (node->result_count < 2 || outputs[1]);
}

/* ---- others ---- */

bool nhwc_max_pool_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = build_channels_first(ir, node->inputs[0]);
    outputs[0] =
        build_channels_last(ir, x ? build(ir, OP_MaxPool, &x, 1, node->attributes, node->attribute_count) : NULL);
    return outputs[0];
}

bool ms_trilu_expand(Ir *ir, const Node *node, Node **outputs)
{
    return compose_renamed(ir, node, OP_Trilu, outputs);
}

bool ms_gather_nd_expand(Ir *ir, const Node *node, Node **outputs)
{
    return compose_renamed(ir, node, OP_GatherND, outputs);
}

bool ms_pad_expand(Ir *ir, const Node *node, Node **outputs)
{
    return compose_renamed(ir, node, OP_Pad, outputs);
}

bool expand_dims_expand(Ir *ir, const Node *node, Node **outputs)
{
    static const int64_t one = 1;
    Node *const axis = build2(ir, OP_Reshape, build_cast(ir, node->inputs[1], DTYPE_I64), constant_ints(ir, &one, 1));
    outputs[0] = build2(ir, OP_Unsqueeze, node->inputs[0], axis);
    return outputs[0];
}

bool ms_range_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const delta = compose_input(node, 2), *const start = node->inputs[0];
    outputs[0] =
        build3(ir, OP_Range, start, node->inputs[1], delta ? delta : constant_scalar(ir, start->type.dtype, 1));
    return outputs[0];
}

/* Modes had other names before the operator came to the default domain. */
bool ms_grid_sample_expand(Ir *ir, const Node *node, Node **outputs)
{
    const char *mode = attribute_string(node, "mode", "bilinear");
    mode = strcmp(mode, "bilinear") == 0 ? "linear" : strcmp(mode, "bicubic") == 0 ? "cubic" : mode;
    const Attribute attributes[3] = {attr_int(ir, "align_corners", attribute_int(node, "align_corners", 0)),
                                     attr_string(ir, "mode", mode),
                                     attr_string(ir, "padding_mode", attribute_string(node, "padding_mode", "zeros"))};
    outputs[0] = build(ir, OP_GridSample, node->inputs, 2, attributes, 3);
    return outputs[0];
}

/* ---- dropped by ONNX ---- */

/* border: what goes at the left, top, right and bottom; scale: instead of the last two the height and width that stay.
 */
bool crop_expand(Ir *ir, const Node *node, Node **outputs)
{
    int count, sizes;
    Node *const x = node->inputs[0];
    const int64_t *const border = attribute_ints(node, "border", &count), *const scale =
                                                                              attribute_ints(node, "scale", &sizes);
    const int64_t most = INT32_MAX;
    if (x->type.rank != 4 || count != 4 || (sizes != 0 && sizes != 2))
        return compose_error(ir, "Crop of %s has a border of %d numbers and a scale of %d", type_text(ir, x->type),
                             count, sizes);
    for (int i = 0; i < 4; i++)
        if (border[i] < 0 || border[i] > most || (scale && (scale[i % 2] < 0 || scale[i % 2] > most)))
            return compose_error(ir, "element %d of the border or the scale is outside 0..%lld", i, (long long)most);
    const int64_t starts[2] = {border[1], border[0]}, ends[2] = {border[3], border[2]};
    Node *y = x;
    for (int d = 0; d < 2; d++) {
        const int64_t end = scale ? starts[d] + scale[d] : ends[d] ? -ends[d] : INT64_MAX;
        y = y ? build_slice(ir, y, 2 + d, starts[d], end) : NULL;
    }
    outputs[0] = y;
    return y;
}
