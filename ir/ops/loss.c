/* Losses of classification. */
#include "ir/ops/build.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <string.h>

/* The types of scores [N,C,d...], labels [N,d...] and weights [C], and of the loss. */
static bool loss_type(Infer *infer, Type *loss)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), target = infer_type(infer, 1);
    const char *const reduction = attribute_string(infer->node, "reduction", "mean");
    if (strcmp(reduction, "none") != 0 && strcmp(reduction, "sum") != 0 && strcmp(reduction, "mean") != 0)
        return infer_error(infer, "reduction is '%s', none of none, sum, mean", diag_quote(ir->arena, reduction, 40));
    if (x.rank < 2 || target.rank != x.rank - 1)
        return infer_error(infer, "scores are %s and labels %s: they must be [N,C,d...] and [N,d...]", type_text(ir, x),
                           type_text(ir, target));
    if (target.dtype != DTYPE_I32 && target.dtype != DTYPE_I64)
        return infer_error(infer, "labels must be i32 or i64, not %s", type_text(ir, target));
    for (int i = 0; i < target.rank; i++)
        if (!infer_same_dim(infer, target.dims[i], x.dims[i + (i > 0)], "labels and scores"))
            return false;
    if (infer_has(infer, 2)) {
        const Type weight = infer_type(infer, 2);
        if (weight.rank != 1 || weight.dtype != x.dtype ||
            !infer_same_dim(infer, weight.dims[0], x.dims[1], "weights and classes"))
            return infer_error(infer, "weights must be one %s for each class, not %s", dtype_info[x.dtype].name,
                               type_text(ir, weight));
    }
    *loss = type_tensor(ir, x.dtype, reduction[0] == 'n' ? target.rank : 0, target.dims);
    return true;
}

bool nll_loss_shape(Infer *infer)
{
    return loss_type(infer, &infer->types[0]);
}

bool softmax_loss_shape(Infer *infer)
{
    if (infer->output_count > 1)
        infer->types[1] = infer_type(infer, 0);
    return loss_type(infer, &infer->types[0]);
}

/* The weight of the sample at `axes` and its loss, -x[n, c, d...] * weight, both 0 where the label is the one to
 * ignore. */
static Node *sample_loss(Lower *lower, Node *const *axes, Node **weight)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const target = lower_in(lower, 1);
    const Dtype compute = dtype_compute(x->type.dtype);
    Node *const zero = const_float(ir, compute, 0);
    Node *const label = cast_make(ir, lower_at(lower, target, axes), DTYPE_INDEX);
    Node *ignored = const_bool(ir, false), *at[RANK_MAX];
    if (attribute_find(lower->node, "ignore_index"))
        ignored = scalar2(ir, OP_eq, label, index_const(ir, attribute_int(lower->node, "ignore_index", 0)));
    Node *const class = bound_make(ir, scalar3(ir, OP_select, ignored, index_const(ir, 0), label), x->type.dims[1]);
    for (int i = 0; i < target->type.rank; i++)
        at[i + (i > 0)] = axes[i];
    at[1] = class;
    Node *const known = lower_has(lower, 2) ? lower_at(lower, lower_in(lower, 2), &class) : const_float(ir, compute, 1);
    *weight = scalar3(ir, OP_select, ignored, zero, known);
    Node *const loss = scalar1(ir, OP_neg, lower_at(lower, x, at));
    return scalar3(ir, OP_select, ignored, zero, lower_has(lower, 2) ? scalar2(ir, OP_mul, loss, known) : loss);
}

static Node *sum_over(Lower *lower, Node *const *axes, int count, Node *term)
{
    return fold_make(lower->ir, FOLD_SUM, fold_lanes(term->type.dtype, true), axes, count, term);
}

bool nll_loss_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Type target = lower_in(lower, 1)->type;
    Node *const out = lower_out(lower, 0);
    const Dtype compute = dtype_compute(out->type.dtype);
    const char *const reduction = attribute_string(lower->node, "reduction", "mean");
    Node *axes[RANK_MAX], *weight;
    lower_axes(lower, target, axes);
    Node *const loss = sample_loss(lower, axes, &weight);
    if (reduction[0] == 'n') {
        lower_define(lower, out, axes, target.rank, loss);
        return true;
    }
    Node *const total = lower_temp(lower, "total", compute, 0, NULL), *const weights = lower_temp(lower, "weights",
                                                                                                  compute, 0, NULL);
    lower_define(lower, total, NULL, 0, sum_over(lower, axes, target.rank, loss));
    Node *value = lower_at(lower, total, NULL);
    if (reduction[0] == 'm') {
        lower_axes(lower, target, axes);
        sample_loss(lower, axes, &weight);
        lower_define(lower, weights, NULL, 0, sum_over(lower, axes, target.rank, weight));
        value = scalar2(ir, OP_div, value, lower_at(lower, weights, NULL));
    }
    lower_define(lower, out, NULL, 0, value);
    return true;
}

/* The loss of log softmax, which is the second output. */
bool softmax_loss_expand(Ir *ir, const Node *node, Node **outputs)
{
    Attribute attributes[2];
    int count = 0;
    for (int i = 0; i < node->attribute_count; i++)
        attributes[count++] = node->attributes[i];
    Node *const logarithm = build1_with(ir, OP_LogSoftmax, node->inputs[0], attr_int(ir, "axis", 1));
    Node *const weight = node->input_count > 2 ? node->inputs[2] : omitted_make(ir);
    outputs[0] =
        build(ir, OP_NegativeLogLikelihoodLoss, (Node *[]){logarithm, node->inputs[1], weight}, 3, attributes, count);
    if (node->result_count > 1)
        outputs[1] = logarithm;
    return outputs[0] != NULL;
}
