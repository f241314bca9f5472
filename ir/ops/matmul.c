/* MatMul and Gemm: contractions over one axis. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>

static bool same_types(const Infer *infer)
{
    const Dtype dtype = infer_type(infer, 0).dtype;
    for (int i = 1; i < (int)infer->node->input_count; i++)
        if (infer_has(infer, i) && infer_type(infer, i).dtype != dtype)
            return infer_error(infer, "input %d is %s but input 0 is %s, their types must agree", i,
                               type_text(infer->ir, infer_type(infer, i)), type_text(infer->ir, infer_type(infer, 0)));
    return true;
}

/* NumPy's rule: a vector on the left is a row, one on the right a column, and the axis that this adds is taken away again. */
bool matmul_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type a = infer_type(infer, 0), b = infer_type(infer, 1);
    if (a.rank < 1 || b.rank < 1)
        return infer_error(infer, "MatMul takes no scalars: the inputs are %s and %s", type_text(ir, a), type_text(ir, b));
    if (!same_types(infer))
        return false;
    Node *const inner = b.dims[b.rank == 1 ? 0 : b.rank - 2];
    if (!infer_same_dim(infer, a.dims[a.rank - 1], inner, "inner dims of MatMul"))
        return false;
    Type batch[2] = {a, b}, result;
    for (int i = 0; i < 2; i++)
        batch[i].rank = batch[i].rank > 2 ? batch[i].rank - 2 : 0;
    if (!infer_broadcast(infer, batch, 2, a.dtype, &result))
        return false;
    Node *dims[RANK_MAX];
    int rank = 0;
    for (; rank < result.rank; rank++)
        dims[rank] = result.dims[rank];
    if (a.rank > 1)
        dims[rank++] = a.dims[a.rank - 2];
    if (b.rank > 1)
        dims[rank++] = b.dims[b.rank - 1];
    infer->types[0] = type_tensor(ir, a.dtype, rank, dims);
    return true;
}

/* Batch indices of an operand, aligned at the end; an operand's dim of 1 is read at 0. */
static int batch_indices(Ir *ir, Type operand, Node *const *batch, int batch_rank, Node **indices)
{
    const int own = operand.rank > 2 ? operand.rank - 2 : 0;
    for (int i = 0; i < own; i++)
        indices[i] = broadcast_index(ir, operand.dims[i], batch[batch_rank - own + i]->inputs[0], batch[batch_rank - own + i]);
    return own;
}

bool matmul_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const a = lower_in(lower, 0), *const b = lower_in(lower, 1), *const y = lower_out(lower, 0);
    const bool rows = a->type.rank > 1, columns = b->type.rank > 1;
    const int batch_rank = y->type.rank - rows - columns;
    Node *axes[RANK_MAX], *left[RANK_MAX], *right[RANK_MAX];
    lower_axes(lower, y->type, axes);
    Node *const k = lower_axis(lower, "k", a->type.dims[a->type.rank - 1]);
    int left_count = batch_indices(ir, a->type, axes, batch_rank, left);
    int right_count = batch_indices(ir, b->type, axes, batch_rank, right);
    if (rows)
        left[left_count++] = axes[batch_rank];
    left[left_count] = k;
    right[right_count++] = k;
    if (columns)
        right[right_count] = axes[y->type.rank - 1];
    Node *const value = contract_make(ir, dtype_compute(a->type.dtype), &k, 1, lower_at(lower, a, left), lower_at(lower, b, right));
    lower_define(lower, y, axes, y->type.rank, value);
    return true;
}

static bool whole_on_integers(const Infer *infer, const char *name)
{
    const double factor = attribute_float(infer->node, name, 1);
    if (!dtype_is_integer(infer_type(infer, 0).dtype) || (factor == trunc(factor) && fabs(factor) < 0x1p31))
        return true;
    return refused(infer->ir, REFUSED_GEMM_FRACTION);
}

bool gemm_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type a = infer_type(infer, 0), b = infer_type(infer, 1);
    const int turn_a = attribute_int(infer->node, "transA", 0) != 0, turn_b = attribute_int(infer->node, "transB", 0) != 0;
    if (a.rank != 2 || b.rank != 2)
        return infer_error(infer, "Gemm takes matrices, not %s and %s", type_text(ir, a), type_text(ir, b));
    if (!same_types(infer) || !whole_on_integers(infer, "alpha") || !whole_on_integers(infer, "beta") ||
        !infer_same_dim(infer, a.dims[1 - turn_a], b.dims[turn_b], "inner dims of Gemm"))
        return false;
    Node *const dims[2] = {a.dims[turn_a], b.dims[1 - turn_b]};
    infer->types[0] = type_tensor(ir, a.dtype, 2, dims);
    if (!infer_has(infer, 2))
        return true;
    const Type c = infer_type(infer, 2);
    for (int i = 0; i < c.rank; i++) {
        const int axis = i + 2 - c.rank;
        if (axis < 0 || !infer_broadcast_onto(infer, c.dims[i], dims[axis], "C and the result of Gemm"))
            return infer_error(infer, "C is %s and does not broadcast to %s", type_text(ir, c), type_text(ir, infer->types[0]));
    }
    return true;
}

static Node *scaled(Ir *ir, Node *value, double factor)
{
    return factor == 1 ? value : scalar2(ir, OP_mul, const_float(ir, value->type.dtype, factor), value);
}

/* alpha*(A*B) + beta*C. As in BLAS, beta = 0 leaves C out, whatever it holds. */
bool gemm_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const a = lower_in(lower, 0), *const b = lower_in(lower, 1), *const y = lower_out(lower, 0);
    const int turn_a = attribute_int(lower->node, "transA", 0) != 0, turn_b = attribute_int(lower->node, "transB", 0) != 0;
    const double beta = attribute_float(lower->node, "beta", 1);
    Node *axes[RANK_MAX], *left[2], *right[2];
    lower_axes(lower, y->type, axes);
    Node *const k = lower_axis(lower, "k", a->type.dims[1 - turn_a]);
    left[turn_a] = axes[0];
    left[1 - turn_a] = k;
    right[turn_b] = k;
    right[1 - turn_b] = axes[1];
    Node *value = contract_make(ir, dtype_compute(a->type.dtype), &k, 1, lower_at(lower, a, left), lower_at(lower, b, right));
    value = scaled(ir, value, attribute_float(lower->node, "alpha", 1));
    if (lower_has(lower, 2) && beta != 0)
        value = scalar2(ir, OP_add, value, scaled(ir, lower_at_broadcast(lower, lower_in(lower, 2), axes, 2), beta));
    lower_define(lower, y, axes, 2, value);
    return true;
}
