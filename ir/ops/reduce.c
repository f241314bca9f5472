/* Reductions: sums, products, extremes and the positions of extremes along some axes.
 *
 * Each is: a term for every element, a fold of the terms, a closing formula. A fold along the innermost axis has sixteen lanes. */
#include "ir/ops/axes.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <stdio.h>

/* Which axes of input 0 are reduced: a condition for each, constant unless the axes come at run time. */
typedef struct Reduced {
    AxisList list;
    bool known;
} Reduced;

/* Without axes all are reduced, unless noop_with_empty_axes. */
static bool reduced_axes(const Infer *infer, Reduced *reduced)
{
    const int rank = infer_type(infer, 0).rank;
    const bool given = infer_has(infer, 1) && !index_is(type_elements(infer->ir, infer_type(infer, 1)), 0);
    const bool all = !given && attribute_int(infer->node, "noop_with_empty_axes", 0) == 0;
    if (given && !infer_axis_list(infer, 1, rank, &reduced->list))
        return false;
    if (!given) {
        reduced->list.count = all ? rank : 0;
        for (int i = 0; i < rank; i++)
            reduced->list.listed[i] = const_bool(infer->ir, all);
    }
    reduced->known = true;
    for (int i = 0; i < rank; i++)
        reduced->known = reduced->known && reduced->list.listed[i]->op == OP_const;
    return true;
}

static Reduced reduced_one(Ir *ir, int axis, int rank)
{
    Reduced reduced = {.list.count = 1, .known = true};
    for (int i = 0; i < rank; i++)
        reduced.list.listed[i] = const_bool(ir, i == axis);
    return reduced;
}

static void reduced_type(Infer *infer, Dtype dtype, const Reduced *reduced)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    Node *dims[RANK_MAX];
    int rank = x.rank;
    if (attribute_int(infer->node, "keepdims", 1) != 0)
        for (int i = 0; i < x.rank; i++)
            dims[i] = scalar3(ir, OP_select, reduced->list.listed[i], index_const(ir, 1), x.dims[i]);
    else
        rank = axis_list_rest(ir, &reduced->list, x.rank, x.dims, dims);
    infer->types[0] = type_tensor(ir, dtype, rank, dims);
}

bool reduce_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    Reduced reduced;
    if (infer_has(infer, 1) && (infer_type(infer, 1).rank != 1 || !dtype_is_integer(infer_type(infer, 1).dtype)))
        return infer_error(infer, "the axes must be a list of integers, not %s", type_text(infer->ir, infer_type(infer, 1)));
    if (!reduced_axes(infer, &reduced))
        return false;
    reduced_type(infer, x.dtype, &reduced);
    return true;
}

/* One reduction: axes of the output, indices of the input, reduced axes. */
typedef struct Reduction {
    Lower *lower;
    Node *x, *out;
    Node *axes[RANK_MAX];  /* of the output */
    Node *from[RANK_MAX];  /* indices into x */
    Node *inner[RANK_MAX]; /* reduced axes */
    int inner_count;
    bool innermost;        /* the last of them is the last axis of x */
} Reduction;

/* Axes that come at run time: every axis has a reduced one, of extent 1 where it is not listed, and the place is the sum of both. */
static void reduction_open_any(const Reduced *reduced, Reduction *reduction)
{
    Ir *const ir = reduction->lower->ir;
    const Type x = reduction->x->type;
    Node *outer[RANK_MAX];
    if (reduction->out->type.rank == x.rank)
        for (int i = 0; i < x.rank; i++)
            outer[i] = reduction->axes[i];
    else
        axis_list_spread(ir, &reduced->list, x.rank, reduction->axes, index_const(ir, 0), outer);
    for (int i = 0; i < x.rank; i++) {
        char name[16];
        snprintf(name, sizeof name, "r%d", i);
        Node *const extent = scalar3(ir, OP_select, reduced->list.listed[i], x.dims[i], index_const(ir, 1));
        reduction->inner[i] = lower_axis(reduction->lower, name, extent);
        reduction->from[i] = index_add(ir, outer[i], reduction->inner[i]);
    }
    reduction->inner_count = x.rank;
}

static void reduction_open(Lower *lower, const Reduced *reduced, Reduction *reduction)
{
    Node *const x = lower_in(lower, 0);
    const bool keep = attribute_int(lower->node, "keepdims", 1) != 0;
    *reduction = (Reduction){.lower = lower, .x = x, .out = lower_out(lower, 0)};
    lower_axes(lower, reduction->out->type, reduction->axes);
    if (!reduced->known) {
        reduction_open_any(reduced, reduction);
        return;
    }
    for (int i = 0, next = 0; i < x->type.rank; i++) {
        if (!axis_listed(&reduced->list, i)) {
            reduction->from[i] = reduction->axes[next++];
            continue;
        }
        char name[16];
        snprintf(name, sizeof name, "r%d", i);
        reduction->from[i] = reduction->inner[reduction->inner_count++] = lower_axis(lower, name, x->type.dims[i]);
        reduction->innermost = i == x->type.rank - 1;
        next += keep;
    }
}

static Node *reduction_element(const Reduction *reduction)
{
    return lower_at(reduction->lower, reduction->x, reduction->from);
}

static Node *reduction_fold(const Reduction *reduction, FoldKind kind, Node *term)
{
    if (reduction->inner_count == 0)
        return term;
    return fold_make(reduction->lower->ir, kind, fold_lanes(term->type.dtype, reduction->innermost), reduction->inner,
                     reduction->inner_count, term);
}

static Node *reduction_count(const Reduction *reduction)
{
    Node *count = index_const(reduction->lower->ir, 1);
    for (int i = 0; i < reduction->inner_count; i++)
        count = index_mul(reduction->lower->ir, count, reduction->inner[i]->inputs[0]);
    return count;
}

static bool reduction_define(Reduction *reduction, Node *value)
{
    lower_define(reduction->lower, reduction->out, reduction->axes, reduction->out->type.rank, value);
    return true;
}

static bool reduction_begin(Lower *lower, Reduction *reduction)
{
    const Infer infer = lower_infer(lower);
    Reduced reduced;
    if (!reduced_axes(&infer, &reduced))
        return false;
    reduction_open(lower, &reduced, reduction);
    return true;
}

/* Roots and logarithms of integers are taken in f64. */
static Node *as_float(Ir *ir, Node *value)
{
    return dtype_is_float(value->type.dtype) ? value : cast_make(ir, value, DTYPE_F64);
}

static bool plain_lower(Lower *lower, FoldKind kind)
{
    Reduction reduction;
    return reduction_begin(lower, &reduction) && reduction_define(&reduction, reduction_fold(&reduction, kind, reduction_element(&reduction)));
}

bool reduce_sum_lower(Lower *lower)
{
    return plain_lower(lower, FOLD_SUM);
}

bool reduce_prod_lower(Lower *lower)
{
    return plain_lower(lower, FOLD_PROD);
}

/* False is less than true, so the maximum of bools is `or` and the minimum `and`. */
bool reduce_max_lower(Lower *lower)
{
    return plain_lower(lower, lower_in(lower, 0)->type.dtype == DTYPE_BOOL ? FOLD_OR : FOLD_MAX);
}

bool reduce_min_lower(Lower *lower)
{
    return plain_lower(lower, lower_in(lower, 0)->type.dtype == DTYPE_BOOL ? FOLD_AND : FOLD_MIN);
}

/* Integers are summed in 64 bits, so that the sum does not wrap before it is divided; the quotient truncates. */
bool reduce_mean_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Reduction reduction;
    if (!reduction_begin(lower, &reduction))
        return false;
    Node *term = reduction_element(&reduction);
    if (dtype_is_integer(term->type.dtype))
        term = cast_make(ir, term, dtype_is_signed(term->type.dtype) ? DTYPE_I64 : DTYPE_U64);
    Node *const sum = reduction_fold(&reduction, FOLD_SUM, term);
    Node *const count = cast_make(ir, reduction_count(&reduction), term->type.dtype);
    return reduction_define(&reduction, scalar2(ir, OP_div, sum, count));
}

bool reduce_l1_lower(Lower *lower)
{
    Reduction reduction;
    if (!reduction_begin(lower, &reduction))
        return false;
    Node *const term = scalar1(lower->ir, OP_abs, reduction_element(&reduction));
    return reduction_define(&reduction, reduction_fold(&reduction, FOLD_SUM, term));
}

static Node *square_sum(const Reduction *reduction)
{
    Node *const x = reduction_element(reduction);
    return reduction_fold(reduction, FOLD_SUM, scalar2(reduction->lower->ir, OP_mul, x, x));
}

bool reduce_sum_square_lower(Lower *lower)
{
    Reduction reduction;
    return reduction_begin(lower, &reduction) && reduction_define(&reduction, square_sum(&reduction));
}

bool reduce_l2_lower(Lower *lower)
{
    Reduction reduction;
    if (!reduction_begin(lower, &reduction))
        return false;
    return reduction_define(&reduction, scalar1(lower->ir, OP_sqrt, as_float(lower->ir, square_sum(&reduction))));
}

bool reduce_log_sum_lower(Lower *lower)
{
    Reduction reduction;
    if (!reduction_begin(lower, &reduction))
        return false;
    Node *const sum = reduction_fold(&reduction, FOLD_SUM, reduction_element(&reduction));
    return reduction_define(&reduction, scalar1(lower->ir, OP_log, as_float(lower->ir, sum)));
}

/* max + log sum exp(x - max): nothing overflows. An infinite maximum is left out of the differences, where inf - inf would be NaN. */
bool reduce_log_sum_exp_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Reduction first, second;
    if (!reduction_begin(lower, &first))
        return false;
    Node *const most = reduction_fold(&first, FOLD_MAX, as_float(ir, reduction_element(&first)));
    const Dtype dtype = most->type.dtype;
    Node *const finite = scalar3(ir, OP_select, scalar1(ir, OP_isinf, most), const_float(ir, dtype, 0), most);
    const Type type = first.out->type;
    Node *const maximum = lower_temp(lower, "max", dtype, type.rank, type.dims);
    lower_define(lower, maximum, first.axes, type.rank, finite);

    if (!reduction_begin(lower, &second))
        return false;
    Node *const shift = lower_at(lower, maximum, second.axes);
    Node *const term = scalar1(ir, OP_exp, scalar2(ir, OP_sub, as_float(ir, reduction_element(&second)), shift));
    Node *const sum = reduction_fold(&second, FOLD_SUM, term);
    return reduction_define(&second, scalar2(ir, OP_add, scalar1(ir, OP_log, sum), shift));
}

/* ---- positions of extremes ---- */

bool arg_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    int axis;
    if (!infer_axis(infer, attribute_int(infer->node, "axis", 0), x.rank, false, &axis))
        return false;
    const char *const text = arena_format(infer->ir->arena, "%s: axis %d of the input is empty", op_name(infer->node->op), axis);
    if (!run_check(infer->ir, scalar2(infer->ir, OP_ge, x.dims[axis], index_const(infer->ir, 1)), text))
        return infer_error(infer, "axis %d of %s is empty and has no extreme", axis, type_text(infer->ir, x));
    const Reduced reduced = reduced_one(infer->ir, axis, x.rank);
    reduced_type(infer, DTYPE_I64, &reduced);
    return true;
}

static bool arg_lower(Lower *lower, FoldKind first, FoldKind last)
{
    const Infer infer = lower_infer(lower);
    int axis;
    if (!infer_axis(&infer, attribute_int(lower->node, "axis", 0), lower_in(lower, 0)->type.rank, false, &axis))
        return false;
    const Reduced reduced = reduced_one(lower->ir, axis, lower_in(lower, 0)->type.rank);
    Reduction reduction;
    reduction_open(lower, &reduced, &reduction);
    const FoldKind kind = attribute_int(lower->node, "select_last_index", 0) != 0 ? last : first;
    Node *const position = fold_make(lower->ir, kind, 1, reduction.inner, 1, reduction_element(&reduction));
    return reduction_define(&reduction, position);
}

bool arg_max_lower(Lower *lower)
{
    return arg_lower(lower, FOLD_ARGMAX, FOLD_ARGMAX_LAST);
}

bool arg_min_lower(Lower *lower)
{
    return arg_lower(lower, FOLD_ARGMIN, FOLD_ARGMIN_LAST);
}
