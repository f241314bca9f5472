/* FlexAttention: see flex.h. */
#include "ir/ops/flex.h"

#include "ir/ops/build.h"
#include "ir/ops/rules.h"

#include <math.h>

static bool error(Ir *ir, const char *text)
{
    return diag_error(ir->diagnostics, EXIT_MALFORMED, ir->where, "FlexAttention: %s", text);
}

static bool same_dim(Ir *ir, Node *a, Node *b, const char *what)
{
    return run_check(ir, scalar2(ir, OP_eq, a, b), arena_format(ir->arena, "FlexAttention: %s must be equal", what)) ||
           error(ir, arena_format(ir->arena, "%s must be equal", what));
}

static Dtype precision_type(Dtype dtype, int64_t precision)
{
    if (precision == 0)
        return dtype_compute(dtype);
    const Dtype given = precision > 0 && precision < INT32_MAX ? dtype_from_onnx((int)precision) : DTYPE_NONE;
    return given == DTYPE_F32 || given == DTYPE_F64 || given == DTYPE_F16 || given == DTYPE_BF16 ? given : DTYPE_NONE;
}

/* Do heads of queries share those of keys in equal parts? */
static bool shared_evenly(Ir *ir, Node *queries, Node *keys)
{
    Node *const even = scalar2(ir, OP_eq, index_mod(ir, queries, keys), index_const(ir, 0));
    const char *const text = "FlexAttention: heads of queries must be a multiple of those of keys";
    return queries == keys || run_check(ir, scalar2(ir, OP_and, scalar2(ir, OP_gt, keys, index_const(ir, 0)), even), text) ||
           error(ir, "heads of queries must be a multiple of those of keys");
}

bool flex_check(Ir *ir, Node *q, Node *k, Node *v, int64_t precision)
{
    const Type types[3] = {q->type, k->type, v->type};
    for (int i = 0; i < 3; i++)
        if (types[i].rank != 4 || types[i].dtype != types[0].dtype)
            return diag_error(ir->diagnostics, EXIT_MALFORMED, ir->where,
                              "FlexAttention takes Q, K and V of one type and rank 4, not %s, %s and %s",
                              type_text(ir, types[0]), type_text(ir, types[1]), type_text(ir, types[2]));
    if (precision_type(types[0].dtype, precision) == DTYPE_NONE)
        return error(ir, "softmax_precision is no type of floats");
    return same_dim(ir, types[0].dims[0], types[1].dims[0], "batches of Q and K") &&
           same_dim(ir, types[1].dims[0], types[2].dims[0], "batches of K and V") &&
           same_dim(ir, types[1].dims[1], types[2].dims[1], "heads of K and V") &&
           same_dim(ir, types[1].dims[2], types[2].dims[2], "lengths of K and V") &&
           same_dim(ir, types[0].dims[3], types[1].dims[3], "head sizes of Q and K") &&
           shared_evenly(ir, types[0].dims[1], types[1].dims[1]);
}

/* The dims of x from `first` to before `end`, as a list. */
static Node *dims_of(Ir *ir, Node *x, int64_t first, int64_t end)
{
    const Attribute part[] = {attr_int(ir, "end", end), attr_int(ir, "start", first)};
    return build(ir, OP_Shape, &x, 1, part, 2);
}

/* The lists one after the other. */
static Node *joined(Ir *ir, Node *const *lists, int count)
{
    const Attribute axis = attr_int(ir, "axis", 0);
    return build(ir, OP_Concat, lists, count, &axis, 1);
}

/* With zeros among the dims meant as they stand. */
static Node *reshaped(Ir *ir, Node *x, Node *dims)
{
    return build2_with(ir, OP_Reshape, x, dims, attr_int(ir, "allowzero", 1));
}

/* a times b by heads. Where several heads of a share one of b, a is [B, heads of b, its part, ...] for the while. */
static Node *product(Ir *ir, Node *a, Node *b)
{
    if (!a || !b || a->type.dims[1] == b->type.dims[1])
        return build2(ir, OP_MatMul, a, b);
    Node *const parts = build2(ir, OP_Div, dims_of(ir, a, 1, 2), dims_of(ir, b, 1, 2));
    Node *const split[4] = {dims_of(ir, a, 0, 1), dims_of(ir, b, 1, 2), parts, dims_of(ir, a, 2, 4)};
    Node *const shared = build_unsqueeze(ir, b, (int64_t[]){2}, 1);
    Node *const result = build2(ir, OP_MatMul, reshaped(ir, a, joined(ir, split, 4)), shared);
    Node *const whole[3] = {dims_of(ir, a, 0, 2), dims_of(ir, a, 2, 3), dims_of(ir, b, 3, 4)};
    return reshaped(ir, result, joined(ir, whole, 3));
}

/* The root of the scale in the type of q: 1 / sqrt(head size) is the scale where none is given. */
static Node *scale_root(Ir *ir, Node *q, const double *scale)
{
    int64_t size;
    if (scale || const_is_int(q->type.dims[3], &size))
        return constant_scalar(ir, q->type.dtype, (double)sqrtf((float)(scale ? *scale : 1 / sqrt((double)size))));
    Node *const root = build1(ir, OP_Sqrt, build_cast(ir, dims_of(ir, q, 3, 4), DTYPE_F32));
    return build_cast(ir, build1(ir, OP_Sqrt, build1(ir, OP_Reciprocal, root)), q->type.dtype);
}

/* As the function body of the specification: both operands are multiplied by the root of the scale, in their type. */
Node *flex_scores(Ir *ir, Node *q, Node *k, const double *scale, int64_t precision)
{
    Node *const root = scale_root(ir, q, scale);
    Node *const across = build1_with(ir, OP_Transpose, k, attr_ints(ir, "perm", (int64_t[]){0, 1, 3, 2}, 4));
    Node *const scores = product(ir, build2(ir, OP_Mul, q, root), build2(ir, OP_Mul, across, root));
    return build_cast(ir, scores, precision_type(q->type.dtype, precision));
}

Node *flex_probabilities(Ir *ir, Node *scores)
{
    return build1_with(ir, OP_Softmax, scores, attr_int(ir, "axis", -1));
}

Node *flex_output(Ir *ir, Node *probabilities, Node *v)
{
    return build_cast(ir, product(ir, probabilities, build_cast(ir, v, probabilities->type.dtype)), v->type.dtype);
}

/* ---- the row: FlexAttention without bodies ---- */

bool flex_shape(Infer *infer)
{
    Node *const q = infer_input(infer, 0), *const k = infer_input(infer, 1), *const v = infer_input(infer, 2);
    if (!flex_check(infer->ir, q, k, v, attribute_int(infer->node, "softmax_precision", 0)))
        return false;
    if (attribute_find(infer->node, "score_mod") || attribute_find(infer->node, "prob_mod"))
        return infer_error(infer, "bodies of FlexAttention are for the importer");
    Node *const dims[4] = {q->type.dims[0], q->type.dims[1], q->type.dims[2], v->type.dims[3]};
    infer->types[0] = type_tensor(infer->ir, q->type.dtype, 4, dims);
    return true;
}

bool flex_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const q = node->inputs[0];
    const Attribute *const scale = attribute_find(node, "scale");
    Node *const scores = flex_scores(ir, q, node->inputs[1], scale ? &scale->real : NULL,
                                     attribute_int(node, "softmax_precision", 0));
    Node *const probabilities = scores ? flex_probabilities(ir, scores) : NULL;
    outputs[0] = probabilities ? flex_output(ir, probabilities, node->inputs[2]) : NULL;
    return outputs[0] != NULL;
}
