/* Operators whose result starts as one tensor and is changed at places that another tells: a copy, and then a stage
 * that runs in order along the axes whose points may meet at one element. */
#include "ir/kernel.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/ops/window.h"

#include <string.h>

typedef enum Combine { COMBINE_NONE, COMBINE_ADD, COMBINE_MUL, COMBINE_MAX, COMBINE_MIN } Combine;
static const char *const combine_names[] = {"none", "add", "mul", "max", "min"};

static bool combine_read(const Infer *infer, Combine *combine)
{
    const char *const given = attribute_string(infer->node, "reduction", "none");
    for (int i = 0; i < 5; i++)
        if (strcmp(given, combine_names[i]) == 0) {
            *combine = (Combine)i;
            if (i && infer_type(infer, 0).dtype == DTYPE_STRING)
                return infer_error(infer, "strings have no reduction '%s'", given);
            return i == 0 || infer_type(infer, 0).dtype != DTYPE_BOOL ||
                   refused(infer->ir, REFUSED_SCATTER_BOOL);
        }
    return infer_error(infer, "reduction is '%s', which %s does not know", diag_quote(infer->ir->arena, given, 40),
                       op_name(infer->node->op));
}

static bool inputs_check(const Infer *infer, int indices, int updates)
{
    const Dtype dtype = infer_type(infer, indices).dtype;
    if (dtype != DTYPE_I64 && dtype != DTYPE_I32)
        return infer_error(infer, "indices must be i32 or i64, not %s",
                           type_text(infer->ir, infer_type(infer, indices)));
    if (infer_type(infer, updates).dtype != infer_type(infer, 0).dtype)
        return infer_error(infer, "updates are %s but the data is %s, their types must agree",
                           type_text(infer->ir, infer_type(infer, updates)),
                           type_text(infer->ir, infer_type(infer, 0)));
    return true;
}

/* out[indices] = combine(out[indices], value), over axes of which the last `ordered` run in order. */
static void update_define(Lower *lower, Node *out, Node *const *axes, int count, int ordered, Node *const *indices,
                          Combine combine, Node *value)
{
    static const Op steps[] = {OP_NONE, OP_add, OP_mul, OP_max, OP_min};
    Ir *const ir = lower->ir;
    if (combine != COMBINE_NONE)
        value = scalar2(ir, steps[combine], lower_at(lower, out, indices), value);
    lower_define_ordered(lower, out, axes, count, ordered, indices, value);
}

static void start_as(Lower *lower, Node *out, Node *data)
{
    Node *axes[RANK_MAX];
    lower_axes(lower, out->type, axes);
    lower_define(lower, out, axes, out->type.rank,
                 data ? at_make(lower->ir, data, axes) : const_int(lower->ir, dtype_compute(out->type.dtype), 0));
}

/* ---- ScatterElements ---- */

bool scatter_elements_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type data = infer_type(infer, 0), indices = infer_type(infer, 1), updates = infer_type(infer, 2);
    Combine combine;
    int axis;
    if (!combine_read(infer, &combine) || !inputs_check(infer, 1, 2) ||
        !infer_axis(infer, attribute_int(infer->node, "axis", 0), data.rank, false, &axis))
        return false;
    if (indices.rank != data.rank || updates.rank != data.rank)
        return infer_error(infer, "the data is %s, indices %s and updates %s: their ranks must agree",
                           type_text(ir, data), type_text(ir, indices), type_text(ir, updates));
    for (int i = 0; i < data.rank; i++) {
        const char *const text =
            arena_format(ir->arena, "ScatterElements: axis %d of the indices is longer than that of the data", i);
        if (!infer_same_dim(infer, indices.dims[i], updates.dims[i], "indices and updates"))
            return false;
        if (i != axis && !run_check(ir, scalar2(ir, OP_le, indices.dims[i], data.dims[i]), text))
            return infer_error(infer, "axis %d of the indices %s is longer than that of the data %s", i,
                               type_text(ir, indices), type_text(ir, data));
    }
    infer->types[0] = data;
    return true;
}

/* Points of different columns never meet: only the axis itself runs in order. */
bool scatter_elements_lower(Lower *lower)
{
    Node *const indices = lower_in(lower, 1), *const updates = lower_in(lower, 2), *const out = lower_out(lower, 0);
    const Infer infer = lower_infer(lower);
    const int64_t given = attribute_int(lower->node, "axis", 0);
    const int rank = out->type.rank, axis = (int)(given < 0 ? given + rank : given);
    Combine combine = COMBINE_NONE;
    Node *axes[RANK_MAX], *order[RANK_MAX], *at[RANK_MAX];
    if (!combine_read(&infer, &combine))
        return false;
    start_as(lower, out, lower_in(lower, 0));
    lower_axes(lower, indices->type, axes);
    for (int i = 0; i < rank; i++) {
        if (i != axis)
            order[i - (i > axis)] = axes[i];
        at[i] = i == axis ? lower_position(lower->ir, lower_at(lower, indices, axes), out->type.dims[i]) : axes[i];
    }
    order[rank - 1] = axes[axis];
    update_define(lower, out, order, rank, 1, at, combine, lower_at(lower, updates, axes));
    return true;
}

/* ---- ScatterND ---- */

bool scatter_nd_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type data = infer_type(infer, 0), indices = infer_type(infer, 1), updates = infer_type(infer, 2);
    Combine combine;
    int64_t tuple;
    if (!combine_read(infer, &combine) || !inputs_check(infer, 1, 2))
        return false;
    if (data.rank < 1 || indices.rank < 1)
        return infer_error(infer, "ScatterND takes no scalars: the inputs are %s and %s", type_text(ir, data),
                           type_text(ir, indices));
    if (!const_is_int(indices.dims[indices.rank - 1], &tuple))
        return refused(ir, REFUSED_SCATTER_TUPLES);
    if (tuple < 0 || tuple > data.rank || updates.rank != indices.rank - 1 + data.rank - (int)tuple)
        return infer_error(infer, "tuples of %lld and updates %s do not fit %s and %s", (long long)tuple,
                           type_text(ir, updates), type_text(ir, data), type_text(ir, indices));
    for (int i = 0; i < updates.rank; i++) {
        Node *const dim = i < indices.rank - 1 ? indices.dims[i] : data.dims[(int)tuple + i - (indices.rank - 1)];
        if (!infer_same_dim(infer, updates.dims[i], dim, "updates of ScatterND"))
            return false;
    }
    infer->types[0] = data;
    return true;
}

/* y[indices[n..., 0], indices[n..., 1] ..., s...] = updates[n..., s...]: the tuples run in order, the slices apart. */
bool scatter_nd_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const indices = lower_in(lower, 1), *const updates = lower_in(lower, 2), *const out = lower_out(lower, 0);
    const Infer infer = lower_infer(lower);
    const int outer = indices->type.rank - 1, count = updates->type.rank, inner = count - outer,
              tuple = out->type.rank - inner;
    Combine combine = COMBINE_NONE;
    Node *axes[RANK_MAX], *order[RANK_MAX], *at[RANK_MAX], *pick[RANK_MAX];
    if (!combine_read(&infer, &combine))
        return false;
    start_as(lower, out, lower_in(lower, 0));
    lower_axes(lower, updates->type, axes);
    for (int i = 0; i < outer; i++)
        pick[i] = order[inner + i] = axes[i];
    for (int i = 0; i < inner; i++)
        order[i] = at[tuple + i] = axes[outer + i];
    for (int i = 0; i < tuple; i++) {
        pick[outer] = index_const(ir, i);
        at[i] = lower_position(ir, lower_at(lower, indices, pick), out->type.dims[i]);
    }
    update_define(lower, out, order, count, outer, at, combine, lower_at(lower, updates, axes));
    return true;
}

/* ---- TensorScatter ---- */

bool tensor_scatter_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type past = infer_type(infer, 0), update = infer_type(infer, 1);
    const char *const mode = attribute_string(infer->node, "mode", "linear");
    int axis;
    if (strcmp(mode, "linear") != 0 && strcmp(mode, "circular") != 0)
        return infer_error(infer, "mode is '%s', neither linear nor circular", diag_quote(ir->arena, mode, 40));
    if (!infer_axis(infer, attribute_int(infer->node, "axis", -2), past.rank, false, &axis))
        return false;
    if (axis == 0 || update.rank != past.rank || update.dtype != past.dtype)
        return infer_error(infer, "axis %d of the update %s does not fit the cache %s", axis, type_text(ir, update),
                           type_text(ir, past));
    for (int i = 0; i < past.rank; i++)
        if (i != axis && !infer_same_dim(infer, update.dims[i], past.dims[i], "update and cache"))
            return false;
    if (!run_check(ir, scalar2(ir, OP_le, update.dims[axis], past.dims[axis]),
                   "TensorScatter: the update is longer than the cache"))
        return infer_error(infer, "the update %s is longer than the cache %s", type_text(ir, update),
                           type_text(ir, past));
    if (infer_has(infer, 2)) {
        const Type starts = infer_type(infer, 2);
        if (starts.rank != 1 || starts.dtype != DTYPE_I64 ||
            !infer_same_dim(infer, starts.dims[0], past.dims[0], "write_indices and the batch"))
            return infer_error(infer, "write_indices must be one i64 for each sample, not %s", type_text(ir, starts));
    }
    infer->types[0] = past;
    return true;
}

bool tensor_scatter_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const update = lower_in(lower, 1), *const out = lower_out(lower, 0);
    const int64_t given = attribute_int(lower->node, "axis", -2);
    const int rank = out->type.rank, axis = (int)(given < 0 ? given + rank : given);
    const bool circular = attribute_string(lower->node, "mode", "linear")[0] == 'c';
    Node *axes[RANK_MAX], *order[RANK_MAX], *at[RANK_MAX];
    start_as(lower, out, lower_in(lower, 0));
    lower_axes(lower, update->type, axes);
    for (int i = 0; i < rank; i++) {
        at[i] = axes[i];
        if (i != axis)
            order[i - (i > axis)] = axes[i];
    }
    order[rank - 1] = axes[axis];
    if (lower_has(lower, 2))
        at[axis] = index_add(ir, axes[axis], cast_make(ir, lower_at(lower, lower_in(lower, 2), &axes[0]), DTYPE_INDEX));
    if (circular)
        at[axis] = index_mod(ir, at[axis], out->type.dims[axis]);
    at[axis] = bound_make(ir, at[axis], out->type.dims[axis]);
    update_define(lower, out, order, rank, 1, at, COMBINE_NONE, lower_at(lower, update, axes));
    return true;
}

/* ---- MaxUnpool ---- */

/* The dims that the window attributes give back. */
static bool unpooled_dims(const Infer *infer, Node **dims)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0);
    const int rank = x.rank - 2;
    int64_t kernel[RANK_MAX], strides[RANK_MAX], pads[2 * RANK_MAX];
    int count;
    attribute_ints(infer->node, "kernel_shape", &count);
    if (count == 0)
        return infer_error(infer, "MaxUnpool needs the attribute kernel_shape");
    if (!window_values(infer, "kernel_shape", rank, rank, 1, 1, kernel) ||
        !window_values(infer, "strides", rank, rank, 1, 1, strides) ||
        !window_values(infer, "pads", 2 * rank, rank, 0, 0, pads))
        return false;
    dims[0] = x.dims[0];
    dims[1] = x.dims[1];
    for (int d = 0; d < rank; d++) {
        Node *const steps =
            index_mul(ir, index_sub(ir, x.dims[2 + d], index_const(ir, 1)), index_const(ir, strides[d]));
        dims[2 + d] = index_add(ir, steps, index_const(ir, kernel[d] - pads[d] - pads[rank + d]));
        if (!run_check(ir, scalar2(ir, OP_ge, dims[2 + d], index_const(ir, 1)),
                       "MaxUnpool: a spatial axis of the output is empty"))
            return infer_error(infer, "spatial axis %d of the output is empty", d);
    }
    return true;
}

bool max_unpool_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), places = infer_type(infer, 1);
    Node *dims[RANK_MAX];
    if (x.rank < 3 || places.rank != x.rank || places.dtype != DTYPE_I64)
        return infer_error(infer, "MaxUnpool takes [N,C,spatial...] and indices of i64, not %s and %s",
                           type_text(ir, x), type_text(ir, places));
    for (int i = 0; i < x.rank; i++)
        if (!infer_same_dim(infer, places.dims[i], x.dims[i], "indices and input"))
            return false;
    if (!unpooled_dims(infer, dims))
        return false;
    if (infer_has(infer, 2)) {
        int count;
        Node *const *const asked = infer_contents(infer, 2, &count);
        if (!asked || infer_type(infer, 2).rank != 1)
            return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where,
                              "the output shape of MaxUnpool cannot be derived from dims and inputs");
        if (count != x.rank)
            return infer_error(infer, "output_shape has %d values, not %d", count, x.rank);
        for (int i = 0; i < count; i++) {
            if (!run_check(ir, scalar2(ir, OP_ge, asked[i], dims[i]),
                           "MaxUnpool: the output is smaller than what the window gives back"))
                return infer_error(infer, "dim %d of output_shape is too small", i);
            dims[i] = asked[i];
        }
    }
    infer->types[0] = type_tensor(ir, x.dtype, x.rank, dims);
    return true;
}

/* Indices count through the tensor that the window attributes give back, whatever output_shape asks for beyond it. */
bool max_unpool_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const Infer infer = lower_infer(lower);
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const int rank = x->type.rank;
    Node *axes[RANK_MAX], *dims[RANK_MAX], *at[RANK_MAX];
    if (!unpooled_dims(&infer, dims))
        return false;
    start_as(lower, out, NULL);
    lower_axes(lower, x->type, axes);
    Node *rest = bound_make(ir, cast_make(ir, lower_at(lower, lower_in(lower, 1), axes), DTYPE_INDEX),
                            dims_product(ir, dims, rank));
    for (int i = rank - 1; i >= 0; i--) {
        Node *const above = i ? index_floordiv(ir, rest, dims[i]) : index_const(ir, 0);
        at[i] = index_sub(ir, rest, index_mul(ir, above, dims[i]));
        rest = above;
    }
    update_define(lower, out, axes, rank, rank, at, COMBINE_NONE, lower_at(lower, x, axes));
    return true;
}
