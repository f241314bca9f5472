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
    Node *const *const known = infer_elements(infer, 1, &count);
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

/* ---- GatherElements ---- */

static bool index_type_check(const Infer *infer, int input)
{
    const Dtype dtype = infer_type(infer, input).dtype;
    return dtype == DTYPE_I64 || dtype == DTYPE_I32 || infer_error(infer, "indices must be i32 or i64, not %s", type_text(infer->ir, infer_type(infer, input)));
}

bool gather_elements_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type data = infer_type(infer, 0), indices = infer_type(infer, 1);
    int axis;
    if (!index_type_check(infer, 1) || !infer_axis(infer, attribute_int(infer->node, "axis", 0), data.rank, false, &axis))
        return false;
    if (indices.rank != data.rank)
        return infer_error(infer, "indices are %s but the data is %s, their ranks must agree", type_text(ir, indices), type_text(ir, data));
    for (int i = 0; i < data.rank; i++) {
        const char *const text = arena_format(ir->arena, "GatherElements: axis %d of the indices is longer than that of the data", i);
        if (i != axis && !run_check(ir, scalar2(ir, OP_le, indices.dims[i], data.dims[i]), text))
            return infer_error(infer, "axis %d of the indices %s is longer than that of the data %s", i, type_text(ir, indices), type_text(ir, data));
    }
    infer->types[0] = indices;
    infer->types[0].dtype = data.dtype;
    return true;
}

bool gather_elements_lower(Lower *lower)
{
    Node *const data = lower_in(lower, 0), *const indices = lower_in(lower, 1), *const out = lower_out(lower, 0);
    const int64_t given = attribute_int(lower->node, "axis", 0);
    const int rank = data->type.rank, axis = (int)(given < 0 ? given + rank : given);
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < rank; i++)
        at[i] = i == axis ? lower_position(lower->ir, lower_at(lower, indices, axes), data->type.dims[i]) : axes[i];
    lower_define(lower, out, axes, rank, lower_at(lower, data, at));
    return true;
}

/* ---- GatherND ---- */

/* How many axes of the data a tuple of indices picks. */
static int tuple_size(const Node *indices)
{
    int64_t size = -1;
    if (indices->type.rank < 1 || !const_is_int(indices->type.dims[indices->type.rank - 1], &size))
        return -1;
    return size > RANK_MAX ? RANK_MAX + 1 : (int)size;
}

bool gather_nd_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type data = infer_type(infer, 0), indices = infer_type(infer, 1);
    const int64_t batch = attribute_int(infer->node, "batch_dims", 0);
    const int tuple = tuple_size(infer->node->inputs[1]);
    if (!index_type_check(infer, 1))
        return false;
    if (indices.rank < 1 || data.rank < 1)
        return infer_error(infer, "GatherND takes no scalars: the inputs are %s and %s", type_text(ir, data), type_text(ir, indices));
    if (tuple < 0)
        return refused(ir, REFUSED_GATHER_TUPLES);
    if (batch < 0 || batch >= indices.rank || batch >= data.rank || tuple < 1 || tuple > data.rank - batch)
        return infer_error(infer, "batch_dims %lld and tuples of %d do not fit %s and %s", (long long)batch, tuple, type_text(ir, data), type_text(ir, indices));
    if (indices.rank - 1 + data.rank - tuple - (int)batch > RANK_MAX)
        return infer_error(infer, "the result has a rank beyond the limit of %d", RANK_MAX);
    Node *dims[RANK_MAX];
    int rank = 0;
    for (int i = 0; i < indices.rank - 1; i++)
        dims[rank++] = indices.dims[i];
    for (int i = 0; i < batch; i++)
        if (!infer_same_dim(infer, indices.dims[i], data.dims[i], "batch dims of GatherND"))
            return false;
    for (int i = (int)batch + tuple; i < data.rank; i++)
        dims[rank++] = data.dims[i];
    infer->types[0] = type_tensor(ir, data.dtype, rank, dims);
    return true;
}

/* y[b..., n..., s...] = x[b..., indices[b..., n..., 0], indices[b..., n..., 1] ..., s...] */
bool gather_nd_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const data = lower_in(lower, 0), *const indices = lower_in(lower, 1), *const out = lower_out(lower, 0);
    const int batch = (int)attribute_int(lower->node, "batch_dims", 0), tuple = tuple_size(lower->node->inputs[1]), outer = indices->type.rank - 1;
    Node *axes[RANK_MAX], *at[RANK_MAX], *pick[RANK_MAX];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < outer; i++)
        pick[i] = axes[i];
    for (int i = 0; i < batch; i++)
        at[i] = axes[i];
    for (int i = 0; i < tuple; i++) {
        pick[outer] = index_const(ir, i);
        at[batch + i] = lower_position(ir, lower_at(lower, indices, pick), data->type.dims[batch + i]);
    }
    for (int i = batch + tuple; i < data->type.rank; i++)
        at[i] = axes[outer + i - batch - tuple];
    lower_define(lower, out, axes, out->type.rank, lower_at(lower, data, at));
    return true;
}

/* ---- ReverseSequence ---- */

bool reverse_sequence_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), lengths = infer_type(infer, 1);
    const int64_t batch = attribute_int(infer->node, "batch_axis", 1), time = attribute_int(infer->node, "time_axis", 0);
    if (x.rank < 2 || batch + time != 1 || batch < 0 || batch > 1)
        return infer_error(infer, "batch_axis %lld and time_axis %lld of %s are not 0 and 1", (long long)batch, (long long)time, type_text(ir, x));
    if (lengths.rank != 1 || lengths.dtype != DTYPE_I64)
        return infer_error(infer, "sequence_lens must be a list of i64, not %s", type_text(ir, lengths));
    infer->types[0] = x;
    return infer_same_dim(infer, lengths.dims[0], x.dims[batch], "sequence_lens and the batch");
}

/* The first `length` steps of each sequence stand the other way round; a length that is too long is an error of the run. */
bool reverse_sequence_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const int batch = (int)attribute_int(lower->node, "batch_axis", 1), time = 1 - batch;
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, x->type, axes);
    for (int i = 0; i < x->type.rank; i++)
        at[i] = axes[i];
    Node *const one = index_const(ir, 1), *const steps = x->type.dims[time];
    Node *const given = cast_make(ir, lower_at(lower, lower_in(lower, 1), &axes[batch]), DTYPE_INDEX);
    Node *const length = bound_make(ir, given, index_add(ir, steps, one));
    Node *const back = index_sub(ir, index_sub(ir, length, one), axes[time]);
    Node *const from = scalar3(ir, OP_select, scalar2(ir, OP_lt, axes[time], length), back, axes[time]);
    at[time] = index_max(ir, index_min(ir, from, index_sub(ir, steps, one)), index_const(ir, 0));
    lower_define(lower, lower_out(lower, 0), axes, x->type.rank, lower_at(lower, x, at));
    return true;
}
