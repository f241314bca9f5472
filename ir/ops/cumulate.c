/* Running sums and products: a stage that runs in order along the axis. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

bool cumulate_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), axis = infer_type(infer, 1);
    int count;
    Node *const *const known = infer_elements(infer, 1, &count);
    int64_t value;
    int ignored;
    if ((axis.dtype != DTYPE_I32 && axis.dtype != DTYPE_I64) || axis.rank > 1 || !index_is(type_elements(ir, axis), 1))
        return infer_error(infer, "the axis must be a scalar of i32 or i64, not %s", type_text(ir, axis));
    if (x.rank < 1)
        return infer_error(infer, "%s takes no scalar", op_name(infer->node->op));
    infer->types[0] = x;
    return !known || !const_is_int(known[0], &value) || infer_axis(infer, value, x.rank, false, &ignored);
}

/* total[i] = total[i-1] step x[i] along `axis`, from the end when reversed; exclusive: total[i-1] step x[i-1]. */
static void cumulate_define(Lower *lower, Node *total, int axis, FoldKind kind)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const one = index_const(ir, 1);
    const bool reverse = attribute_int(lower->node, "reverse", 0) != 0,
               exclusive = attribute_int(lower->node, "exclusive", 0) != 0;
    const int rank = x->type.rank;
    Node *axes[RANK_MAX], *order[RANK_MAX], *at[RANK_MAX], *before[RANK_MAX];
    lower_axes(lower, x->type, axes);
    for (int i = 0; i < rank; i++) {
        at[i] = before[i] = axes[i];
        if (i != axis)
            order[i - (i > axis)] = axes[i];
    }
    order[rank - 1] = axes[axis];
    if (reverse)
        at[axis] = index_sub(ir, index_sub(ir, x->type.dims[axis], one), axes[axis]);
    before[axis] = reverse ? index_add(ir, at[axis], one) : index_sub(ir, at[axis], one);
    Node *const neutral = const_int(ir, total->type.dtype, kind == FOLD_PROD);
    Node *const step = cast_make(ir, lower_at(lower, x, exclusive ? before : at), total->type.dtype);
    Node *const first = scalar2(ir, OP_eq, axes[axis], index_const(ir, 0));
    Node *const joined = scalar2(ir, kind == FOLD_PROD ? OP_mul : OP_add, at_make(ir, total, before), step);
    Node *const value = guard_make(ir, scalar1(ir, OP_not, first), joined, exclusive ? neutral : step);
    lower_define_ordered(lower, total, order, rank, 1, at, value);
}

/* An axis that only the run knows: the sums along every axis, and a choice among them. */
static void cumulate_any(Lower *lower, FoldKind kind, Dtype compute)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const int rank = x->type.rank;
    Node *axes[RANK_MAX], *totals[RANK_MAX], *const zero = index_const(ir, 0);
    for (int i = 0; i < rank; i++) {
        totals[i] = lower_temp(lower, "total", compute, rank, x->type.dims);
        cumulate_define(lower, totals[i], i, kind);
    }
    lower_axes(lower, x->type, axes);
    Node *const axis = lower_position(ir, lower_at(lower, lower_in(lower, 1), &zero), index_const(ir, rank));
    Node *value = lower_at(lower, totals[rank - 1], axes);
    for (int i = rank - 2; i >= 0; i--)
        value = scalar3(ir, OP_select, scalar2(ir, OP_eq, axis, index_const(ir, i)), lower_at(lower, totals[i], axes),
                        value);
    lower_define(lower, out, axes, rank, value);
}

static bool cumulate_lower(Lower *lower, FoldKind kind)
{
    const Infer infer = lower_infer(lower);
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const Dtype compute = dtype_compute(x->type.dtype);
    int count, axis;
    int64_t value;
    Node *const *const known = infer_elements(&infer, 1, &count);
    if (!known || !const_is_int(known[0], &value)) {
        cumulate_any(lower, kind, compute);
        return true;
    }
    if (!infer_axis(&infer, value, x->type.rank, false, &axis))
        return false;
    if (compute == out->type.dtype) {
        cumulate_define(lower, out, axis, kind);
        return true;
    }
    Node *const total = lower_temp(lower, "total", compute, x->type.rank, x->type.dims);
    Node *axes[RANK_MAX];
    cumulate_define(lower, total, axis, kind);
    lower_axes(lower, x->type, axes);
    lower_define(lower, out, axes, x->type.rank, lower_at(lower, total, axes));
    return true;
}

bool cum_sum_lower(Lower *lower)
{
    return cumulate_lower(lower, FOLD_SUM);
}

bool cum_prod_lower(Lower *lower)
{
    return cumulate_lower(lower, FOLD_PROD);
}
