/* Conv: a contraction over window taps and input channels, of any number of spatial axes.
 *
 *     y[n, g*O' + o, s...] = sum(p..., c) guard(inside, x[n, g*C' + c, s*stride + p*dilation - pad ...], 0) * w[g*O' +
 * o, c, p...]  + b[g*O' + o]
 *
 * The reduction runs over the taps first and the channels last; that order is part of the meaning and the order of
 * packed weights. */
#include "ir/ops/conv.h"
#include "ir/ops/quantize.h"

#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/window.h"

#include <stdio.h>

static bool groups_check(const Infer *infer, Type x, Type w, int64_t group)
{
    Ir *const ir = infer->ir;
    Node *const groups = index_const(ir, group);
    if (group < 1 || group > INT32_MAX)
        return infer_error(infer, "group is %lld, outside 1..%lld", (long long)group, (long long)INT32_MAX);
    if (!infer_same_dim(infer, x.dims[1], index_mul(ir, w.dims[1], groups),
                        "input channels, and weight channels times groups"))
        return false;
    Node *const rest = index_mod(ir, w.dims[0], groups);
    return run_check(ir, scalar2(ir, OP_eq, rest, index_const(ir, 0)),
                     "Conv: the groups do not divide the output channels") ||
           infer_error(infer, "%lld groups do not divide the output channels of the weight %s", (long long)group,
                       type_text(ir, w));
}

static bool kernel_check(const Infer *infer, Type w)
{
    int count;
    const int spatial = w.rank - 2;
    const int64_t *const kernel = attribute_ints(infer->node, "kernel_shape", &count);
    if (count && count != spatial)
        return infer_error(infer, "kernel_shape has %d values but the weight %s has %d spatial dimensions", count,
                           type_text(infer->ir, w), spatial);
    for (int d = 0; d < count; d++)
        if (!infer_same_dim(infer, index_const(infer->ir, kernel[d]), w.dims[2 + d],
                            "kernel_shape and the weight's dim"))
            return false;
    for (int d = 0; d < spatial; d++)
        if (index_range(infer->ir, w.dims[2 + d]).high < 1)
            return infer_error(infer, "the weight %s has an empty spatial dimension", type_text(infer->ir, w));
    return true;
}

bool conv_type(const Infer *infer, Type x, Type w, Dtype dtype, Type *result)
{
    Ir *const ir = infer->ir;
    if (x.rank < 3)
        return infer_error(infer, "%s takes [N,C,spatial...], not %s", op_name(infer->node->op), type_text(ir, x));
    if (w.rank != x.rank)
        return infer_error(infer, "the input %s has %d dimensions but the weight %s has %d", type_text(ir, x), x.rank,
                           type_text(ir, w), w.rank);
    if (!groups_check(infer, x, w, attribute_int(infer->node, "group", 1)) || !kernel_check(infer, w))
        return false;
    Window window;
    if (!window_read(infer, x.rank - 2, x.dims + 2, w.dims + 2, &window))
        return false;
    Node *dims[RANK_MAX] = {x.dims[0], w.dims[0]};
    for (int d = 0; d < window.rank; d++)
        dims[2 + d] = window.out[d];
    *result = type_tensor(ir, dtype, x.rank, dims);
    return true;
}

bool conv_bias_check(const Infer *infer, int input, Type w)
{
    if (!infer_has(infer, input))
        return true;
    const Type bias = infer_type(infer, input);
    if (bias.rank != 1)
        return infer_error(infer, "the bias must have 1 dimension, not %d: it is %s", bias.rank,
                           type_text(infer->ir, bias));
    return infer_same_dim(infer, bias.dims[0], w.dims[0], "bias and output channels");
}

bool conv_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), w = infer_type(infer, 1);
    for (int i = 1; i < (int)infer->node->input_count; i++)
        if (infer_has(infer, i) && infer_type(infer, i).dtype != x.dtype)
            return infer_error(infer, "input %d is %s but input 0 is %s, their types must agree", i,
                               type_text(ir, infer_type(infer, i)), type_text(ir, x));
    return conv_type(infer, x, w, x.dtype, &infer->types[0]) && conv_bias_check(infer, 2, w);
}

/* The axes of one Conv. Channels of a grouped one are split into (group, channel within it), so that every index stays
 * affine; in a depthwise one the group is the channel. */
typedef struct ConvAxes {
    int count;
    Node *all[RANK_MAX + 1]; /* output axes in order: n, [g,] o, spatial... */
    Node *y[RANK_MAX];       /* where they write */
    Node *reduced[RANK_MAX]; /* taps..., c */
    Node *input_channel;
} ConvAxes;

static void conv_axes(Lower *lower, const Window *window, Type w, Type y, ConvAxes *axes)
{
    Ir *const ir = lower->ir;
    const int64_t group = attribute_int(lower->node, "group", 1);
    Node *const groups = index_const(ir, group);
    axes->y[0] = axes->all[axes->count++] = lower_axis(lower, "n", y.dims[0]);
    Node *const g = group > 1 ? lower_axis(lower, "g", groups) : index_const(ir, 0);
    Node *const outputs = index_floordiv(ir, y.dims[1], groups);
    const bool depthwise = group > 1 && index_is(outputs, 1);
    Node *const o = depthwise ? index_const(ir, 0) : lower_axis(lower, "o", outputs);
    if (group > 1)
        axes->all[axes->count++] = g;
    if (!depthwise)
        axes->all[axes->count++] = o;
    axes->y[1] = index_add(ir, index_mul(ir, g, outputs), o);
    for (int d = 0; d < window->rank; d++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", d);
        axes->y[2 + d] = axes->all[axes->count++] = lower_axis(lower, name, y.dims[2 + d]);
        snprintf(name, sizeof name, "p%d", d);
        axes->reduced[d] = lower_axis(lower, name, w.dims[2 + d]);
    }
    Node *const c = axes->reduced[window->rank] = lower_axis(lower, "c", w.dims[1]);
    axes->input_channel = index_add(ir, index_mul(ir, g, w.dims[1]), c);
}

/* The element of an operand, less its zero point: one for all, or one for each output channel. */
static Node *operand_at(Lower *lower, Node *buffer, Node *const *at, Node *zero, Node *channel, Dtype compute)
{
    Node *const element = cast_make(lower->ir, lower_at(lower, buffer, at), compute);
    if (!zero || quantize_is_centered(zero))
        return element;
    Node *const place = index_is(type_elements(lower->ir, zero->type), 1) ? index_const(lower->ir, 0) : channel;
    return scalar2(lower->ir, OP_sub, element, cast_make(lower->ir, lower_at(lower, zero, &place), compute));
}

bool conv_define(Lower *lower, const ConvOperands *operands)
{
    Ir *const ir = lower->ir;
    Node *const x = operands->x, *const w = operands->w, *const y = operands->y;
    const Infer infer = lower_infer(lower);
    const Dtype compute = dtype_compute(y->type.dtype);
    Window window;
    if (!window_read(&infer, x->type.rank - 2, x->type.dims + 2, w->type.dims + 2, &window))
        return false;
    ConvAxes axes = {0};
    conv_axes(lower, &window, w->type, y->type, &axes);
    Node *const c = axes.reduced[window.rank];

    Node *from[RANK_MAX] = {axes.y[0], axes.input_channel}, *weight[RANK_MAX] = {axes.y[1], c};
    Node *const inside = window_indices(ir, &window, axes.y + 2, axes.reduced, from + 2);
    for (int d = 0; d < window.rank; d++)
        weight[2 + d] = axes.reduced[d];
    Node *const element = operand_at(lower, x, from, operands->x_zero, index_const(ir, 0), compute);
    Node *const a = guard_make(ir, inside, element, const_float(ir, compute, 0));
    Node *const b = operand_at(lower, w, weight, operands->w_zero, axes.y[1], compute);
    Node *value = contract_make(ir, compute, axes.reduced, window.rank + 1, a, b);
    if (operands->bias)
        value = scalar2(ir, OP_add, value, cast_make(ir, lower_at(lower, operands->bias, &axes.y[1]), compute));
    lower_define_box(lower, y, axes.all, axes.count, axes.y, value);
    return true;
}

bool conv_lower(Lower *lower)
{
    const ConvOperands operands = {.x = lower_in(lower, 0),
                                   .w = lower_in(lower, 1),
                                   .bias = lower_has(lower, 2) ? lower_in(lower, 2) : NULL,
                                   .y = lower_out(lower, 0)};
    return conv_define(lower, &operands);
}
