/* Normalisations that other operators express, and two that compare or sum neighbours: Hardmax and LRN. */
#include "ir/ops/build.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

/* The type that the first stage is computed in. */
static Dtype stash_type(const Node *node)
{
    const int64_t stash = attribute_int(node, "stash_type", 1);
    return stash < 0 || stash > INT32_MAX ? DTYPE_NONE : dtype_from_onnx((int)stash);
}

static bool stash_check(const Infer *infer)
{
    const Dtype dtype = stash_type(infer->node);
    return dtype == DTYPE_F32 || dtype == DTYPE_F64 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 ||
           refused(infer->ir, REFUSED_STASH_TYPE);
}

/* One value for each channel of x: a list. */
static bool channels_check(const Infer *infer, int input, const char *name)
{
    const Type x = infer_type(infer, 0), type = infer_type(infer, input);
    if (type.rank != 1 || type.dtype != x.dtype)
        return infer_error(infer, "%s must be a list of %s, one for each channel, not %s", name,
                           dtype_info[x.dtype].name, type_text(infer->ir, type));
    return infer_same_dim(infer, type.dims[0], x.dims[1],
                          arena_format(infer->ir->arena, "%s and the channels of the input", name));
}

static int axes_from(int first, int end, int64_t *axes)
{
    for (int i = first; i < end; i++)
        axes[i - first] = i;
    return end > first ? end - first : 0;
}

/* (x - mean) / sqrt(variance + epsilon) over axes */
static Node *standardized(Ir *ir, Node *x, const int64_t *axes, int count, double epsilon)
{
    Node *const difference = build2(ir, OP_Sub, x, build_reduce(ir, OP_ReduceMean, x, axes, count));
    Node *const variance = build_reduce(ir, OP_ReduceMean, build2(ir, OP_Mul, difference, difference), axes, count);
    Node *const deviation = build1(ir, OP_Sqrt, build_number(ir, OP_Add, variance, epsilon));
    return build2(ir, OP_Div, difference, deviation);
}

/* A list of channels as [C, 1, ...], so that it broadcasts to an image of `rank`. */
static Node *along_channels(Ir *ir, Node *list, int rank, Dtype dtype)
{
    int64_t axes[RANK_MAX];
    const int count = axes_from(1, rank - 1, axes);
    return build_cast(ir, build_unsqueeze(ir, list, axes, count), dtype);
}

/* ---- RMSNormalization ---- */

bool rms_norm_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), scale = infer_type(infer, 1);
    int axis;
    if (!infer_axis(infer, attribute_int(infer->node, "axis", -1), x.rank, false, &axis) || !stash_check(infer))
        return false;
    if (!dtype_is_float(scale.dtype))
        return infer_error(infer, "scale is %s, no float", type_text(ir, scale));
    if (!infer_broadcasts_onto(infer, 1, x))
        return false;
    infer->types[0] = x;
    infer->types[0].dtype = scale.dtype;
    return true;
}

/* x / sqrt(mean x^2 + epsilon) in stash_type, then times scale */
bool rms_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const given = node->inputs[0], *const x = build_cast(ir, given, dtype_compute(stash_type(node)));
    const int rank = given->type.rank;
    const int64_t axis = attribute_int(node, "axis", -1);
    int64_t axes[RANK_MAX];
    const int count = axes_from((int)(axis < 0 ? axis + rank : axis), rank, axes);
    Node *const mean = build_reduce(ir, OP_ReduceMean, build2(ir, OP_Mul, x, x), axes, count);
    Node *const root = build1(ir, OP_Sqrt, build_number(ir, OP_Add, mean, attribute_float(node, "epsilon", 1e-5)));
    outputs[0] =
        build2(ir, OP_Mul, build_cast(ir, build2(ir, OP_Div, x, root), node->inputs[1]->type.dtype), node->inputs[1]);
    return outputs[0] != NULL;
}

/* ---- InstanceNormalization, GroupNormalization, MeanVarianceNormalization ---- */

bool instance_norm_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    if (x.rank < 3)
        return infer_error(infer, "InstanceNormalization takes [N,C,spatial...], not %s", type_text(infer->ir, x));
    infer->types[0] = x;
    return channels_check(infer, 1, "scale") && channels_check(infer, 2, "bias");
}

bool instance_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    const Type type = node->inputs[0]->type;
    const Dtype compute = dtype_compute(type.dtype);
    int64_t axes[RANK_MAX];
    const int count = axes_from(2, type.rank, axes);
    Node *const normal =
        standardized(ir, build_cast(ir, node->inputs[0], compute), axes, count, attribute_float(node, "epsilon", 1e-5));
    Node *const scaled = build2(ir, OP_Mul, normal, along_channels(ir, node->inputs[1], type.rank, compute));
    outputs[0] =
        build_cast(ir, build2(ir, OP_Add, scaled, along_channels(ir, node->inputs[2], type.rank, compute)), type.dtype);
    return outputs[0] != NULL;
}

bool group_norm_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    const int64_t groups = attribute_int(infer->node, "num_groups", 0);
    if (x.rank < 2)
        return infer_error(infer, "GroupNormalization takes [N,C,...], not %s", type_text(ir, x));
    if (groups < 1 || groups > INT32_MAX)
        return infer_error(infer, "num_groups is %lld, outside 1..%lld", (long long)groups, (long long)INT32_MAX);
    Node *const rest = index_mod(ir, x.dims[1], index_const(ir, groups));
    if (!run_check(ir, scalar2(ir, OP_eq, rest, index_const(ir, 0)),
                   "GroupNormalization: the groups do not divide the channels"))
        return infer_error(infer, "%lld groups do not divide the channels of %s", (long long)groups, type_text(ir, x));
    infer->types[0] = x;
    return stash_check(infer) && channels_check(infer, 1, "scale") && channels_check(infer, 2, "bias");
}

/* [N, C, ...] as [N, groups, the rest], normalised along the rest */
bool group_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const given = node->inputs[0];
    const Dtype stash = dtype_compute(stash_type(node));
    Node *const x = build_cast(ir, given, stash);
    Node *const rows = build_reshape(ir, x, (int64_t[]){0, attribute_int(node, "num_groups", 1), -1}, 3);
    Node *const normal = standardized(ir, rows, (int64_t[]){2}, 1, attribute_float(node, "epsilon", 1e-5));
    Node *const whole = build_cast(ir, build_reshape_like(ir, normal, given), given->type.dtype);
    Node *const scaled =
        build2(ir, OP_Mul, whole, along_channels(ir, node->inputs[1], given->type.rank, given->type.dtype));
    outputs[0] = build2(ir, OP_Add, scaled, along_channels(ir, node->inputs[2], given->type.rank, given->type.dtype));
    return outputs[0] != NULL;
}

static bool variance_axes(const Infer *infer, int64_t *axes, int *count)
{
    static const int64_t usual[] = {0, 2, 3};
    const int rank = infer_type(infer, 0).rank;
    bool seen[RANK_MAX] = {0};
    int given;
    const int64_t *list = attribute_ints(infer->node, "axes", &given);
    if (!attribute_find(infer->node, "axes")) {
        list = usual;
        given = 3;
    }
    *count = given;
    for (int i = 0; i < given; i++) {
        int axis;
        if (!infer_axis(infer, list[i], rank, false, &axis))
            return false;
        if (seen[axis])
            return infer_error(infer, "axis %d is reduced twice", axis);
        seen[axis] = true;
        axes[i] = axis;
    }
    return true;
}

bool mean_variance_shape(Infer *infer)
{
    int64_t axes[RANK_MAX];
    int count;
    infer->types[0] = infer_type(infer, 0);
    return variance_axes(infer, axes, &count);
}

/* (x - mean) / (sqrt(variance) + 1e-9) */
bool mean_variance_expand(Ir *ir, const Node *node, Node **outputs)
{
    const Infer infer = {.ir = ir, .node = node};
    const Dtype dtype = node->inputs[0]->type.dtype;
    int64_t axes[RANK_MAX];
    int count;
    if (!variance_axes(&infer, axes, &count))
        return false;
    Node *const x = build_cast(ir, node->inputs[0], dtype_compute(dtype));
    Node *const difference =
        count ? build2(ir, OP_Sub, x, build_reduce(ir, OP_ReduceMean, x, axes, count)) : build2(ir, OP_Sub, x, x);
    Node *const square = build2(ir, OP_Mul, difference, difference);
    Node *const variance = count ? build_reduce(ir, OP_ReduceMean, square, axes, count) : square;
    Node *const deviation = build_number(ir, OP_Add, build1(ir, OP_Sqrt, variance), 1e-9);
    outputs[0] = build_cast(ir, build2(ir, OP_Div, difference, deviation), dtype);
    return outputs[0] != NULL;
}

/* ---- LpNormalization ---- */

bool lp_norm_shape(Infer *infer)
{
    const int64_t p = attribute_int(infer->node, "p", 2);
    int axis;
    infer->types[0] = infer_type(infer, 0);
    if (p != 1 && p != 2)
        return infer_error(infer, "p is %lld, neither 1 nor 2", (long long)p);
    return infer_axis(infer, attribute_int(infer->node, "axis", -1), infer_type(infer, 0).rank, false, &axis);
}

/* x / norm; where the norm is 0 so is the result */
bool lp_norm_expand(Ir *ir, const Node *node, Node **outputs)
{
    const Dtype dtype = node->inputs[0]->type.dtype, compute = dtype_compute(dtype);
    const int64_t axis = attribute_int(node, "axis", -1);
    Node *const x = build_cast(ir, node->inputs[0], compute);
    Node *const norm = build_reduce(ir, attribute_int(node, "p", 2) == 1 ? OP_ReduceL1 : OP_ReduceL2, x, &axis, 1);
    Node *const zero = constant_scalar(ir, compute, 0);
    Node *const quotient = build3(ir, OP_Where, build2(ir, OP_Equal, norm, zero), zero, build2(ir, OP_Div, x, norm));
    outputs[0] = build_cast(ir, quotient, dtype);
    return outputs[0] != NULL;
}

/* ---- Hardmax ---- */

/* best[r] = argmax x[r, c];  y[r, c] = c == best[r] */
bool hardmax_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const int rank = x->type.rank;
    const int64_t given = attribute_int(lower->node, "axis", -1);
    const int axis = (int)(given < 0 ? given + rank : given);
    Node *axes[RANK_MAX], *dims[RANK_MAX], *rows[RANK_MAX];
    lower_axes(lower, x->type, axes);
    for (int i = 0; i < rank; i++)
        if (i != axis) {
            dims[i - (i > axis)] = x->type.dims[i];
            rows[i - (i > axis)] = axes[i];
        }
    Node *const best = lower_temp(lower, "best", DTYPE_I64, rank - 1, dims);
    Node *const place = fold_make(ir, FOLD_ARGMAX, 1, &axes[axis], 1, lower_at(lower, x, axes));
    lower_define(lower, best, rows, rank - 1, place);

    lower_axes(lower, x->type, axes);
    for (int i = 0; i < rank; i++)
        if (i != axis)
            rows[i - (i > axis)] = axes[i];
    Node *const hit = scalar2(ir, OP_eq, axes[axis], cast_make(ir, lower_at(lower, best, rows), DTYPE_INDEX));
    lower_define(lower, lower_out(lower, 0), axes, rank, cast_make(ir, hit, dtype_compute(x->type.dtype)));
    return true;
}

/* ---- LRN ---- */

bool lrn_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    const int64_t size = attribute_int(infer->node, "size", 0);
    if (x.rank < 2)
        return infer_error(infer, "LRN takes [N,C,...], not %s", type_text(infer->ir, x));
    if (size < 1 || size > INT32_MAX)
        return infer_error(infer, "size is %lld, outside 1..%lld", (long long)size, (long long)INT32_MAX);
    infer->types[0] = x;
    return true;
}

/* y = x / (bias + alpha/size * sum of squares over `size` channels around c)^beta; channels that are not there count as
 * 0. */
bool lrn_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const Dtype compute = dtype_compute(x->type.dtype);
    const int64_t size = attribute_int(lower->node, "size", 1);
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *const k = lower_axis(lower, "k", index_const(ir, size));
    for (int i = 0; i < x->type.rank; i++)
        at[i] = axes[i];
    at[1] = index_sub(ir, index_add(ir, axes[1], k), index_const(ir, (size - 1) / 2));
    Node *const near = lower_at(lower, x, at);
    Node *const square = guard_make(ir, lower_inside(ir, at[1], x->type.dims[1]), scalar2(ir, OP_mul, near, near),
                                    const_float(ir, compute, 0));
    Node *const sum = fold_make(ir, FOLD_SUM, 1, &k, 1, square);
    Node *const factor = const_float(ir, compute, attribute_float(lower->node, "alpha", 1e-4) / (double)size);
    Node *const base = scalar2(ir, OP_add, const_float(ir, compute, attribute_float(lower->node, "bias", 1)),
                               scalar2(ir, OP_mul, factor, sum));
    Node *const power = scalar2(ir, OP_pow, base, const_float(ir, compute, attribute_float(lower->node, "beta", 0.75)));
    lower_define(lower, lower_out(lower, 0), axes, x->type.rank, scalar2(ir, OP_div, lower_at(lower, x, axes), power));
    return true;
}
