/* What BatchNormalization and Dropout do while a network is trained: see training.h. */
#include "ir/ops/training.h"

#include "ir/ops/random.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <stdio.h>

/* ---- BatchNormalization ---- */

/* Fresh axes of x, of which channel's is apart: `reduced` are the others. */
typedef struct ChannelAxes {
    Node *all[RANK_MAX], *reduced[RANK_MAX], *channel;
    int count; /* of reduced ones */
} ChannelAxes;

static ChannelAxes channel_axes(Lower *lower, Type x)
{
    ChannelAxes axes = {.channel = index_const(lower->ir, 0)};
    lower_axes(lower, x, axes.all);
    for (int i = 0; i < x.rank; i++)
        if (i == 1)
            axes.channel = axes.all[i];
        else
            axes.reduced[axes.count++] = axes.all[i];
    return axes;
}

/* list[c] = value for all channels; without a channel axis there is one. */
static void channels_define(Lower *lower, Node *list, Node *channel, Node *value)
{
    const bool axis = channel->op == OP_axis;
    lower_define_box(lower, list, &channel, axis ? 1 : 0, &channel, value);
}

/* list[c] = the mean of x, or of (x - mean)^2 */
static void statistic_define(Lower *lower, Node *x, Node *mean, Node *list)
{
    Ir *const ir = lower->ir;
    const ChannelAxes axes = channel_axes(lower, x->type);
    Node *term = lower_at(lower, x, axes.all), *points = index_const(ir, 1);
    for (int i = 0; i < x->type.rank; i++)
        points = i == 1 ? points : index_mul(ir, points, x->type.dims[i]);
    if (mean) {
        Node *const difference = scalar2(ir, OP_sub, term, lower_at(lower, mean, &axes.channel));
        term = scalar2(ir, OP_mul, difference, difference);
    }
    const int lanes = fold_lanes(term->type.dtype, x->type.rank != 2);
    Node *const sum = fold_make(ir, FOLD_SUM, lanes, axes.reduced, axes.count, term);
    channels_define(lower, list, axes.channel, scalar2(ir, OP_div, sum, cast_make(ir, points, term->type.dtype)));
}

/* out[c] = before * momentum + now * (1 - momentum) */
static void running_define(Lower *lower, int output, Node *before, Node *now)
{
    if (output >= lower->node->result_count)
        return;
    Ir *const ir = lower->ir;
    const Dtype compute = now->type.dtype;
    const double momentum = attribute_float(lower->node, "momentum", 0.9);
    Node *const c = lower_axis(lower, "c", now->type.dims[0]);
    Node *const old = cast_make(ir, lower_at(lower, before, &c), compute);
    Node *const kept = scalar2(ir, OP_mul, old, const_float(ir, compute, momentum));
    Node *const added = scalar2(ir, OP_mul, lower_at(lower, now, &c), const_float(ir, compute, 1 - momentum));
    lower_define(lower, lower_out(lower, output), &c, 1, scalar2(ir, OP_add, kept, added));
}

bool batch_norm_train(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const Dtype compute = dtype_compute(x->type.dtype);
    Node *const channels = lower_in(lower, 1)->type.dims[0];
    Node *const mean = lower_temp(lower, "mean", compute, 1, &channels);
    Node *const variance = lower_temp(lower, "variance", compute, 1, &channels);
    statistic_define(lower, x, NULL, mean);
    statistic_define(lower, x, mean, variance);
    running_define(lower, 1, lower_in(lower, 3), mean);
    running_define(lower, 2, lower_in(lower, 4), variance);

    const ChannelAxes axes = channel_axes(lower, x->type);
    Node *const epsilon = const_float(ir, compute, attribute_float(lower->node, "epsilon", 1e-5));
    Node *const deviation =
        scalar1(ir, OP_sqrt, scalar2(ir, OP_add, lower_at(lower, variance, &axes.channel), epsilon));
    Node *const scale = cast_make(ir, lower_at(lower, lower_in(lower, 1), &axes.channel), compute);
    Node *const bias = cast_make(ir, lower_at(lower, lower_in(lower, 2), &axes.channel), compute);
    Node *const difference =
        scalar2(ir, OP_sub, lower_at(lower, x, axes.all), lower_at(lower, mean, &axes.channel));
    Node *const normal = scalar2(ir, OP_mul, scalar2(ir, OP_div, difference, deviation), scale);
    lower_define(lower, lower_out(lower, 0), axes.all, x->type.rank, scalar2(ir, OP_add, normal, bias));
    return true;
}

/* ---- Dropout ---- */

static bool scalar_check(const Infer *infer, int input, const char *name)
{
    const Type type = infer_type(infer, input);
    return (type.rank <= 1 && index_is(type_elements(infer->ir, type), 1)) ||
           infer_error(infer, "%s must be a scalar, not %s", name, type_text(infer->ir, type));
}

bool dropout_shape(Infer *infer)
{
    if ((infer_has(infer, 1) && !scalar_check(infer, 1, "ratio")) ||
        (infer_has(infer, 2) && !scalar_check(infer, 2, "training_mode")))
        return false;
    if (infer_has(infer, 1) && !dtype_is_float(infer_type(infer, 1).dtype))
        return infer_error(infer, "ratio is %s, no float", type_text(infer->ir, infer_type(infer, 1)));
    if (infer_has(infer, 2) && infer_type(infer, 2).dtype != DTYPE_BOOL)
        return infer_error(infer, "training_mode is %s, no bool", type_text(infer->ir, infer_type(infer, 2)));
    infer->types[0] = infer_type(infer, 0);
    if (infer->output_count > 1) {
        infer->types[1] = infer_type(infer, 0);
        infer->types[1].dtype = DTYPE_BOOL;
    }
    return true;
}

/* Is the node known to drop nothing? */
static bool dropout_idle(const Lower *lower)
{
    int64_t value;
    if (!lower_has(lower, 2))
        return true;
    Node *const *const training = lower->node->inputs[2]->contents;
    return training && const_is_int(training[0], &value) && !value;
}

/* Is the element at `axes` kept, where the run trains? Numbers below the ratio are dropped. */
static Node *dropout_kept(Lower *lower, Node *const *axes, Node *ratio)
{
    Ir *const ir = lower->ir;
    Node *words[4], *const zero = index_const(ir, 0);
    random_words(lower, random_counter(ir, lower_out(lower, 0)->type, axes), words);
    Node *const kept = scalar2(ir, OP_ge, random_uniform(ir, ratio->type.dtype, words), ratio);
    Node *const training = lower_at(lower, lower_in(lower, 2), &zero);
    return scalar2(ir, OP_or, kept, scalar1(ir, OP_not, training));
}

static Node *dropout_ratio(Lower *lower)
{
    Node *const zero = index_const(lower->ir, 0);
    return lower_has(lower, 1) ? lower_at(lower, lower_in(lower, 1), &zero) : const_float(lower->ir, DTYPE_F32, 0.5);
}

/* y = kept ? x / (1 - ratio) : 0 in a run that trains, else x */
bool dropout_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const int rank = x->type.rank;
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    if (lower->node->result_count > 1) {
        Node *const kept = dropout_idle(lower) ? const_bool(ir, true) : dropout_kept(lower, axes, dropout_ratio(lower));
        lower_define(lower, lower_out(lower, 1), axes, rank, kept);
    }
    if (dropout_idle(lower))
        return copy_lower(lower);
    lower_axes(lower, x->type, axes);
    Node *const value = lower_at(lower, x, axes), *const ratio = dropout_ratio(lower), *const zero = index_const(ir, 0);
    const Dtype compute = value->type.dtype;
    Node *const one = const_float(ir, ratio->type.dtype, 1);
    Node *const scale = cast_make(ir, scalar2(ir, OP_div, one, scalar2(ir, OP_sub, one, ratio)), compute);
    Node *const dropped = scalar3(ir, OP_select, dropout_kept(lower, axes, ratio), scalar2(ir, OP_mul, value, scale),
                                  const_float(ir, compute, 0));
    Node *const training = lower_at(lower, lower_in(lower, 2), &zero);
    lower_define(lower, lower_out(lower, 0), axes, rank, scalar3(ir, OP_select, training, dropped, value));
    return true;
}
