/* Normalisations: the softmax family, BatchNormalization, LayerNormalization. Statistics are stages of their own, over temporaries. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/training.h"

#include <stdio.h>

/* ---- softmax ---- */

bool softmax_shape(Infer *infer)
{
    int axis;
    infer->types[0] = infer_type(infer, 0);
    return infer_axis(infer, attribute_int(infer->node, "axis", -1), infer_type(infer, 0).rank, false, &axis);
}

/* The dims or indices of `all` without those of axes first..end-1. */
static int without(Node *const *all, int rank, int first, int end, Node **rest)
{
    int count = 0;
    for (int i = 0; i < rank; i++)
        if (i < first || i >= end)
            rest[count++] = all[i];
    return count;
}

/* Fresh axes over one row family of x: outer ones and those that a row runs along. */
typedef struct Rows {
    Node *from[RANK_MAX];  /* all axes of x, in order */
    Node *outer[RANK_MAX];
    int outer_count;
    int first, count; /* of the axes along the row */
    bool innermost;
} Rows;

static Rows rows_open(Lower *lower, Type x, int first, int end)
{
    Rows rows = {.first = first, .count = end - first, .innermost = end == x.rank};
    lower_axes(lower, x, rows.from);
    rows.outer_count = without(rows.from, x.rank, first, end, rows.outer);
    return rows;
}

static Node *rows_fold(Lower *lower, const Rows *rows, FoldKind kind, Node *term)
{
    return fold_make(lower->ir, kind, fold_lanes(term->type.dtype, rows->innermost), rows->from + rows->first, rows->count, term);
}

/* A temporary with one element per row. */
static Node *rows_temp(Lower *lower, const char *name, Dtype dtype, Type x, int first, int end)
{
    Node *dims[RANK_MAX];
    const int rank = without(x.dims, x.rank, first, end, dims);
    return lower_temp(lower, name, dtype, rank, dims);
}

/* Rounded to the type of x, as the function body of the specification rounds every intermediate result; nothing for f32 and f64. */
static Node *rounded(Ir *ir, Node *value, Dtype storage)
{
    return cast_make(ir, cast_make(ir, value, storage), value->type.dtype);
}

/* max[r] = max x[r,c];  sum[r] = sum exp(x[r,c] - max[r]);  y = exp(x - max) / sum, or x - max - log sum. */
static bool softmax_stages(Lower *lower, bool logarithm)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const Dtype storage = x->type.dtype, compute = dtype_compute(storage);
    const Infer infer = lower_infer(lower);
    int axis;
    if (!infer_axis(&infer, attribute_int(lower->node, "axis", -1), x->type.rank, false, &axis))
        return false;
    Node *const maximum = rows_temp(lower, "max", compute, x->type, axis, axis + 1);
    Node *const total = rows_temp(lower, "sum", compute, x->type, axis, axis + 1);

    Rows rows = rows_open(lower, x->type, axis, axis + 1);
    lower_define(lower, maximum, rows.outer, rows.outer_count, rows_fold(lower, &rows, FOLD_MAX, lower_at(lower, x, rows.from)));

    /* What f32 cannot hold as a normal number beside a sum of at least 1 is 0: a masked row would be full of it, and the product that follows a
     * hundred times slower. Smaller types are rounded step by step as the specification says. */
    const Op numerator = compute == storage ? OP_softexp : OP_exp;
    rows = rows_open(lower, x->type, axis, axis + 1);
    Node *shifted = rounded(ir, scalar2(ir, OP_sub, lower_at(lower, x, rows.from), lower_at(lower, maximum, rows.outer)), storage);
    Node *const term = rounded(ir, scalar1(ir, numerator, shifted), storage);
    lower_define(lower, total, rows.outer, rows.outer_count, rounded(ir, rows_fold(lower, &rows, FOLD_SUM, term), storage));

    rows = rows_open(lower, x->type, axis, axis + 1);
    shifted = rounded(ir, scalar2(ir, OP_sub, lower_at(lower, x, rows.from), lower_at(lower, maximum, rows.outer)), storage);
    Node *const sum = lower_at(lower, total, rows.outer);
    Node *const value = logarithm ? scalar2(ir, OP_sub, shifted, rounded(ir, scalar1(ir, OP_log, sum), storage))
                                  : scalar2(ir, OP_div, rounded(ir, scalar1(ir, numerator, shifted), storage), sum);
    lower_define(lower, lower_out(lower, 0), rows.from, x->type.rank, value);
    return true;
}

bool softmax_lower(Lower *lower)
{
    return softmax_stages(lower, false);
}

bool log_softmax_lower(Lower *lower)
{
    return softmax_stages(lower, true);
}

/* ---- BatchNormalization ---- */

/* A tensor of one dimension has no channel axis: it counts as one channel. */
static Node *channel_dim(Ir *ir, Type x)
{
    return x.rank > 1 ? x.dims[1] : index_const(ir, 1);
}

bool batch_norm_shape(Infer *infer)
{
    static const char *const names[] = {"", "scale", "bias", "mean", "variance"};
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    if (infer->output_count > 1 && attribute_int(infer->node, "training_mode", 0) == 0)
        return infer_error(infer, "BatchNormalization has %d outputs, but more than 1 only with training_mode = 1", infer->output_count);
    if (x.rank < 1)
        return infer_error(infer, "BatchNormalization takes [N,C,...], not %s", type_text(ir, x));
    for (int i = 1; i < 5; i++) {
        const Type type = infer_type(infer, i);
        if (type.rank != 1 || !dtype_is_float(type.dtype))
            return infer_error(infer, "%s must be a list of floats, one for each channel, not %s", names[i], type_text(ir, type));
        if (!infer_same_dim(infer, type.dims[0], channel_dim(ir, x), arena_format(ir->arena, "%s and the channels of the input", names[i])))
            return false;
    }
    infer->types[0] = x;
    for (int i = 1; i < infer->output_count; i++)
        infer->types[i] = infer_type(infer, 2 + i);
    return true;
}

/* factor[c] = scale / sqrt(variance + epsilon);  offset[c] = bias - mean * factor;  y = x * factor[c] + offset[c]. The first two are stages of
 * their own, so that they are constants when the statistics are. */
bool batch_norm_lower(Lower *lower)
{
    if (attribute_int(lower->node, "training_mode", 0) != 0)
        return batch_norm_train(lower);
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const Dtype compute = dtype_compute(x->type.dtype);
    Node *const channels = channel_dim(ir, x->type);
    Node *const factor = lower_temp(lower, "factor", compute, 1, &channels), *const offset = lower_temp(lower, "offset", compute, 1, &channels);

    Node *c = lower_axis(lower, "c", channels);
    Node *statistics[5];
    for (int i = 1; i < 5; i++)
        statistics[i] = cast_make(ir, lower_at(lower, lower_in(lower, i), &c), compute);
    Node *const epsilon = const_float(ir, compute, attribute_float(lower->node, "epsilon", 1e-5));
    Node *const deviation = scalar1(ir, OP_sqrt, scalar2(ir, OP_add, statistics[4], epsilon));
    lower_define(lower, factor, &c, 1, scalar2(ir, OP_div, statistics[1], deviation));

    c = lower_axis(lower, "c", channels);
    Node *const bias = cast_make(ir, lower_at(lower, lower_in(lower, 2), &c), compute);
    Node *const mean = cast_make(ir, lower_at(lower, lower_in(lower, 3), &c), compute);
    lower_define(lower, offset, &c, 1, scalar2(ir, OP_sub, bias, scalar2(ir, OP_mul, mean, lower_at(lower, factor, &c))));

    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *const channel = x->type.rank > 1 ? axes[1] : index_const(ir, 0);
    Node *const product = scalar2(ir, OP_mul, lower_at(lower, x, axes), lower_at(lower, factor, &channel));
    lower_define(lower, lower_out(lower, 0), axes, x->type.rank, scalar2(ir, OP_add, product, lower_at(lower, offset, &channel)));
    return true;
}

/* ---- LayerNormalization ---- */

bool layer_norm_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    const int64_t stash = attribute_int(infer->node, "stash_type", 1);
    const Dtype dtype = stash < 0 || stash > INT32_MAX ? DTYPE_NONE : dtype_from_onnx((int)stash);
    int axis;
    if (!infer_axis(infer, attribute_int(infer->node, "axis", -1), x.rank, false, &axis))
        return false;
    if (dtype != DTYPE_F32 && dtype != DTYPE_F64 && dtype != DTYPE_F16 && dtype != DTYPE_BF16)
        return refused(ir, REFUSED_STASH_TYPE);
    for (int i = 1; i < 3; i++) {
        if (!infer_has(infer, i))
            continue;
        const Type type = infer_type(infer, i);
        if (type.dtype != x.dtype)
            return infer_error(infer, "input %d is %s but input 0 is %s, their types must agree", i, type_text(ir, type), type_text(ir, x));
        if (!infer_broadcasts_onto(infer, i, x))
            return false;
    }
    infer->types[0] = x;
    Node *dims[RANK_MAX];
    for (int i = 0; i < x.rank; i++)
        dims[i] = i < axis ? x.dims[i] : index_const(ir, 1);
    for (int i = 1; i < infer->output_count; i++)
        infer->types[i] = type_tensor(ir, dtype, x.rank, dims);
    return true;
}

/* A requested statistic, from the temporary that has an element per row. */
static void statistic_define(Lower *lower, int output, Node *temp)
{
    Node *axes[RANK_MAX];
    if (!lower->outputs[output])
        return;
    const Type type = lower_out(lower, output)->type;
    lower_axes(lower, type, axes);
    lower_define(lower, lower_out(lower, output), axes, type.rank, lower_at(lower, temp, axes));
}

/* mean[r] = sum x / n;  inverse[r] = 1 / sqrt(sum (x - mean)^2 / n + epsilon);  y = (x - mean) * inverse * scale + bias.
 * The statistics and the product with `inverse` are computed in stash_type, scale and bias in the type of x. */
bool layer_norm_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const int rank = x->type.rank;
    const Dtype stash = dtype_compute(dtype_from_onnx((int)attribute_int(lower->node, "stash_type", 1)));
    const Infer infer = lower_infer(lower);
    int axis;
    if (!infer_axis(&infer, attribute_int(lower->node, "axis", -1), rank, false, &axis))
        return false;
    Node *const mean = rows_temp(lower, "mean", stash, x->type, axis, rank);
    Node *const inverse = rows_temp(lower, "inverse", stash, x->type, axis, rank);
    Node *const count = cast_make(ir, dims_product(ir, x->type.dims + axis, rank - axis), stash);

    Rows rows = rows_open(lower, x->type, axis, rank);
    Node *element = cast_make(ir, lower_at(lower, x, rows.from), stash);
    lower_define(lower, mean, rows.outer, rows.outer_count, scalar2(ir, OP_div, rows_fold(lower, &rows, FOLD_SUM, element), count));

    rows = rows_open(lower, x->type, axis, rank);
    element = cast_make(ir, lower_at(lower, x, rows.from), stash);
    Node *difference = scalar2(ir, OP_sub, element, lower_at(lower, mean, rows.outer));
    Node *const sum = rows_fold(lower, &rows, FOLD_SUM, scalar2(ir, OP_mul, difference, difference));
    Node *const epsilon = const_float(ir, stash, attribute_float(lower->node, "epsilon", 1e-5));
    Node *const deviation = scalar1(ir, OP_sqrt, scalar2(ir, OP_add, scalar2(ir, OP_div, sum, count), epsilon));
    lower_define(lower, inverse, rows.outer, rows.outer_count, scalar2(ir, OP_div, const_float(ir, stash, 1), deviation));

    rows = rows_open(lower, x->type, axis, rank);
    element = cast_make(ir, lower_at(lower, x, rows.from), stash);
    difference = scalar2(ir, OP_sub, element, lower_at(lower, mean, rows.outer));
    Node *value = cast_make(ir, scalar2(ir, OP_mul, difference, lower_at(lower, inverse, rows.outer)), dtype_compute(x->type.dtype));
    value = scalar2(ir, OP_mul, value, lower_at_broadcast(lower, lower_in(lower, 1), rows.from, rank));
    if (lower_has(lower, 2))
        value = scalar2(ir, OP_add, value, lower_at_broadcast(lower, lower_in(lower, 2), rows.from, rank));
    lower_define(lower, lower_out(lower, 0), rows.from, rank, value);

    Node *const statistics[2] = {mean, inverse};
    for (int i = 1; i < lower->node->result_count; i++)
        statistic_define(lower, i, statistics[i - 1]);
    return true;
}
