/* Operators that read elements at positions given at run time: every such position is checked. */
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

bool gather_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type data = infer_type(infer, 0), indices = infer_type(infer, 1);
    int axis;
    if (indices.dtype != DTYPE_I64 && indices.dtype != DTYPE_I32)
        return infer_error(infer, "indices must be i32 or i64, not %s", type_text(ir, indices));
    if (!infer_axis(infer, attribute_int(infer->node, "axis", 0), data.rank, false, &axis))
        return false;
    if (data.rank + indices.rank - 1 > RANK_MAX)
        return infer_error(infer, "rank %d is beyond the limit of %d", data.rank + indices.rank - 1, RANK_MAX);
    int count;
    Node *const *const known = infer_contents(infer, 1, &count);
    int64_t extent, index;
    for (int i = 0; known && i < count; i++)
        if (const_is_int(data.dims[axis], &extent) && const_is_int(known[i], &index) && (index < -extent || index >= extent))
            return infer_error(infer, "index %lld is outside axis %d of %s", (long long)index, axis, type_text(ir, data));
    if (!run_check(ir, scalar2(ir, OP_or, scalar2(ir, OP_gt, data.dims[axis], index_const(ir, 0)), scalar2(ir, OP_eq, type_elements(ir, indices), index_const(ir, 0))),
                   "Gather reads an axis that is empty"))
        return infer_error(infer, "axis %d of %s is empty", axis, type_text(ir, data));
    Node *dims[RANK_MAX];
    int rank = 0;
    for (int i = 0; i < axis; i++)
        dims[rank++] = data.dims[i];
    for (int i = 0; i < indices.rank; i++)
        dims[rank++] = indices.dims[i];
    for (int i = axis + 1; i < data.rank; i++)
        dims[rank++] = data.dims[i];
    infer->types[0] = type_tensor(ir, data.dtype, rank, dims);
    return true;
}

/* A position that may count from the end, checked against the extent. */
Node *lower_position(Ir *ir, Node *value, Node *extent)
{
    Node *const index = cast_make(ir, value, DTYPE_INDEX);
    Node *const negative = scalar2(ir, OP_lt, index, index_const(ir, 0));
    return bound_make(ir, scalar3(ir, OP_select, negative, index_add(ir, index, extent), index), extent);
}

bool gather_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const data = lower_in(lower, 0), *const indices = lower_in(lower, 1), *const out = lower_out(lower, 0);
    const int64_t given = attribute_int(lower->node, "axis", 0);
    const int axis = (int)(given < 0 ? given + data->type.rank : given), spread = indices->type.rank;
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < data->type.rank; i++)
        if (i != axis)
            at[i] = axes[i < axis ? i : i + spread - 1];
    at[axis] = lower_position(ir, lower_at(lower, indices, axes + axis), data->type.dims[axis]);
    lower_define(lower, out, axes, out->type.rank, lower_at(lower, data, at));
    return true;
}
