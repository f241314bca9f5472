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

/* How many heads of queries share one of keys; 0 after a diagnostic. */
static int64_t sharing(Ir *ir, Node *q, Node *k)
{
    int64_t queries, keys;
    if (q == k)
        return 1;
    if (!const_is_int(q, &queries) || !const_is_int(k, &keys))
        return same_dim(ir, q, k, "unknown numbers of heads of queries and keys");
    if (keys > 0 && queries % keys == 0)
        return queries / keys;
    diag_error(ir->diagnostics, EXIT_MALFORMED, ir->where, "%lld heads of queries are no multiple of %lld heads of keys",
               (long long)queries, (long long)keys);
    return 0;
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
           sharing(ir, types[0].dims[1], types[1].dims[1]);
}

double flex_scale(Ir *ir, const Node *q)
{
    int64_t size;
    if (const_is_int(q->type.dims[3], &size) && size > 0)
        return 1 / sqrt((double)size);
    error(ir, "without the attribute scale the head size must be known when the model is compiled");
    return 0;
}

/* The dims of x from `first` to before `end`, as a list. */
static Node *dims_of(Ir *ir, Node *x, int64_t first, int64_t end)
{
    const Attribute part[] = {attr_int(ir, "end", end), attr_int(ir, "start", first)};
    return build(ir, OP_Shape, &x, 1, part, 2);
}

/* [B, heads, ...] as [B, heads / parts, parts, ...], or back. */
static Node *heads_split(Ir *ir, Node *x, int64_t heads, int64_t parts)
{
    Node *const list[3] = {dims_of(ir, x, 0, 1), constant_ints(ir, (int64_t[]){heads / parts, parts}, 2), dims_of(ir, x, 2, 4)};
    const Attribute axis = attr_int(ir, "axis", 0);
    return build2(ir, OP_Reshape, x, build(ir, OP_Concat, list, 3, &axis, 1));
}

static Node *heads_join(Ir *ir, Node *x, int64_t heads)
{
    Node *const list[3] = {dims_of(ir, x, 0, 1), constant_ints(ir, &heads, 1), dims_of(ir, x, 3, 5)};
    const Attribute axis = attr_int(ir, "axis", 0);
    return build2(ir, OP_Reshape, x, build(ir, OP_Concat, list, 3, &axis, 1));
}

/* a times b by heads; several heads of a share one of b. */
static Node *product(Ir *ir, Node *a, Node *b)
{
    const int64_t parts = a && b ? sharing(ir, a->type.dims[1], b->type.dims[1]) : 0;
    int64_t heads;
    if (parts < 2 || !const_is_int(a->type.dims[1], &heads))
        return parts ? build2(ir, OP_MatMul, a, b) : NULL;
    Node *const split = heads_split(ir, a, heads, parts), *const shared = build_unsqueeze(ir, b, (int64_t[]){2}, 1);
    Node *const result = build2(ir, OP_MatMul, split, shared);
    return result ? heads_join(ir, result, heads) : NULL;
}

/* As the function body of the specification: both operands are multiplied by the root of the scale, in their type. */
Node *flex_scores(Ir *ir, Node *q, Node *k, double scale, int64_t precision)
{
    const double root = (double)sqrtf((float)scale);
    Node *const across = build1_with(ir, OP_Transpose, k, attr_ints(ir, "perm", (int64_t[]){0, 1, 3, 2}, 4));
    Node *const scores = product(ir, build_number(ir, OP_Mul, q, root), build_number(ir, OP_Mul, across, root));
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
    Node *const scores = flex_scores(ir, q, node->inputs[1], scale ? scale->real : flex_scale(ir, q),
                                     attribute_int(node, "softmax_precision", 0));
    Node *const probabilities = scores ? flex_probabilities(ir, scores) : NULL;
    outputs[0] = probabilities ? flex_output(ir, probabilities, node->inputs[2]) : NULL;
    return outputs[0] != NULL;
}
