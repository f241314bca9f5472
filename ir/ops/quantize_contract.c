/* Contractions of quantised integers: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv. The sums are i32; zero
 * points are subtracted from the elements, and the QLinear ones scale, round and saturate the sums. */
#include "ir/ops/conv.h"
#include "ir/ops/quantize.h"
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

static bool bytes_check(const Infer *infer, int input)
{
    const Dtype dtype = infer_type(infer, input).dtype;
    return dtype == DTYPE_I8 || dtype == DTYPE_U8 || refused(infer->ir, REFUSED_QUANTIZED_TYPES);
}

/* Has optional input i the type of input `like`? */
static bool zero_check(const Infer *infer, int i, int like)
{
    return !infer_has(infer, i) || infer_type(infer, i).dtype == infer_type(infer, like).dtype ||
           infer_error(infer, "input %d is %s but belongs to %s, their types must agree", i,
                       type_text(infer->ir, infer_type(infer, i)), type_text(infer->ir, infer_type(infer, like)));
}

static bool single_check(const Infer *infer, int i, const char *name)
{
    return !infer_has(infer, i) ||
           (infer_type(infer, i).rank <= 1 && index_is(type_elements(infer->ir, infer_type(infer, i)), 1)) ||
           infer_error(infer, "%s must be a scalar, not %s", name, type_text(infer->ir, infer_type(infer, i)));
}

/* ---- matrices ---- */

/* Parameters of a matrix: one for all, a list along `axis` of it, or as many dims as it has, of which the summed one
 * is 1. */
static bool parameter_check(const Infer *infer, int input, Type matrix, int axis)
{
    Ir *const ir = infer->ir;
    if (!infer_has(infer, input))
        return true;
    const Type type = infer_type(infer, input);
    if (index_is(type_elements(ir, type), 1) && type.rank <= matrix.rank)
        return true;
    if (type.rank == 1)
        return infer_broadcast_onto(infer, type.dims[0], matrix.dims[axis],
                                    "a parameter and the rows or columns that it is for");
    if (type.rank != matrix.rank)
        return infer_error(infer, "input %d is %s, which does not fit %s", input, type_text(ir, type),
                           type_text(ir, matrix));
    for (int i = 0; i < type.rank; i++) {
        Node *const wanted = i == type.rank - 1 || i == type.rank - 2
                                 ? (i == axis ? matrix.dims[i] : index_const(ir, 1))
                                 : matrix.dims[i];
        if (!index_is(type.dims[i], 1) && !infer_same_dim(infer, type.dims[i], wanted, "a parameter and the matrix"))
            return false;
    }
    return true;
}

static int row_axis(Type a)
{
    return a.rank > 1 ? a.rank - 2 : 0;
}

/* The type of the product of inputs a and b by NumPy's rule. */
static bool product_type(Infer *infer, int a, int b, Dtype dtype)
{
    Ir *const ir = infer->ir;
    const Type left = infer_type(infer, a), right = infer_type(infer, b);
    if (left.rank < 2 || right.rank < 2)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "%s of %s and %s: only matrices are supported",
                          op_name(infer->node->op), type_text(ir, left), type_text(ir, right));
    Type batch[2] = {left, right}, result;
    batch[0].rank -= 2;
    batch[1].rank -= 2;
    if (!infer_same_dim(infer, left.dims[left.rank - 1], right.dims[right.rank - 2], "inner dims of the product") ||
        !infer_broadcast(infer, batch, 2, dtype, &result))
        return false;
    Node *dims[RANK_MAX];
    for (int i = 0; i < result.rank; i++)
        dims[i] = result.dims[i];
    dims[result.rank] = left.dims[left.rank - 2];
    dims[result.rank + 1] = right.dims[right.rank - 1];
    infer->types[0] = type_tensor(ir, dtype, result.rank + 2, dims);
    return true;
}

bool matmul_integer_shape(Infer *infer)
{
    return bytes_check(infer, 0) && bytes_check(infer, 1) && zero_check(infer, 2, 0) && zero_check(infer, 3, 1) &&
           product_type(infer, 0, 1, DTYPE_I32) &&
           parameter_check(infer, 2, infer_type(infer, 0), row_axis(infer_type(infer, 0))) &&
           parameter_check(infer, 3, infer_type(infer, 1), infer_type(infer, 1).rank - 1);
}

bool qlinear_matmul_shape(Infer *infer)
{
    const Type a = infer_type(infer, 0), b = infer_type(infer, 3);
    for (int i = 1; i < 7; i += i == 1 ? 3 : 2)
        if (!dtype_is_float(infer_type(infer, i).dtype))
            return infer_error(infer, "the scale %s is no float", type_text(infer->ir, infer_type(infer, i)));
    return bytes_check(infer, 0) && bytes_check(infer, 3) && bytes_check(infer, 7) && zero_check(infer, 2, 0) &&
           zero_check(infer, 5, 3) && product_type(infer, 0, 3, infer_type(infer, 7).dtype) &&
           parameter_check(infer, 1, a, row_axis(a)) && parameter_check(infer, 2, a, row_axis(a)) &&
           parameter_check(infer, 4, b, b.rank - 1) && parameter_check(infer, 5, b, b.rank - 1) &&
           single_check(infer, 6, "y_scale") && single_check(infer, 7, "y_zero_point");
}

/* The element of a parameter for the matrix element at `at`; see parameter_check. */
static Node *parameter_at(Lower *lower, int input, Node *const *at, int rank, int axis)
{
    Node *const buffer = lower_in(lower, input);
    if (buffer->type.rank == 1 && !index_is(buffer->type.dims[0], 1))
        return lower_at_broadcast(lower, buffer, &at[axis], 1);
    return lower_at_broadcast(lower, buffer, at, rank);
}

/* Element of a matrix in i32, less its zero point. */
static Node *centered(Lower *lower, Node *matrix, Node *const *at, int zero, int axis)
{
    Ir *const ir = lower->ir;
    Node *const element = cast_make(ir, lower_at(lower, matrix, at), DTYPE_I32);
    if (!lower_has(lower, zero) || quantize_is_centered(lower_in(lower, zero)))
        return element;
    return scalar2(ir, OP_sub, element,
                   cast_make(ir, parameter_at(lower, zero, at, matrix->type.rank, axis), DTYPE_I32));
}

/* Indices of a matrix operand for the output at `axes`: batch dims aligned at the end, then row and column. */
static void matrix_indices(Lower *lower, Type matrix, Type out, Node *const *axes, Node *row, Node *column, Node **at)
{
    const int own = matrix.rank - 2, skip = out.rank - 2 - own;
    for (int i = 0; i < own; i++)
        at[i] = broadcast_index(lower->ir, matrix.dims[i], axes[skip + i]->inputs[0], axes[skip + i]);
    at[own] = row;
    at[own + 1] = column;
}

/* sum(k) (a - zero) * (b - zero) over the axes of the output; the indices of both operands with k = NULL are left in
 * `left` and `right`. */
static Node *product_sum(Lower *lower, int a, int a_zero, int b, int b_zero, Node *const *axes, Node **left,
                         Node **right)
{
    Node *const first = lower_in(lower, a), *const second = lower_in(lower, b);
    const Type out = lower_out(lower, 0)->type;
    Node *const k = lower_axis(lower, "k", first->type.dims[first->type.rank - 1]);
    matrix_indices(lower, first->type, out, axes, axes[out.rank - 2], k, left);
    matrix_indices(lower, second->type, out, axes, k, axes[out.rank - 1], right);
    Node *const x = centered(lower, first, left, a_zero, row_axis(first->type)), *const y = centered(
                                                                                     lower, second, right, b_zero,
                                                                                     second->type.rank - 1);
    left[first->type.rank - 1] = right[second->type.rank - 2] = index_const(lower->ir, 0);
    return contract_make(lower->ir, DTYPE_I32, &k, 1, x, y);
}

bool matmul_integer_lower(Lower *lower)
{
    Node *axes[RANK_MAX], *left[RANK_MAX], *right[RANK_MAX];
    lower_axes(lower, lower_out(lower, 0)->type, axes);
    Node *const sum = product_sum(lower, 0, 2, 1, 3, axes, left, right);
    lower_define(lower, lower_out(lower, 0), axes, lower_out(lower, 0)->type.rank, sum);
    return true;
}

static Node *first_of(Lower *lower, int input, Dtype dtype)
{
    Node *const zero = index_const(lower->ir, 0);
    return cast_make(lower->ir, lower_at(lower, lower_in(lower, input), &zero), dtype);
}

/* saturate(round(sum * factor) + zero) */
static Node *requantized(Lower *lower, Node *sum, Node *factor, int zero, Dtype dtype)
{
    Ir *const ir = lower->ir;
    Node *const scaled = scalar1(ir, OP_round, scalar2(ir, OP_mul, cast_make(ir, sum, DTYPE_F32), factor));
    return quantize_saturate(ir, quantize_shift(ir, scaled, first_of(lower, zero, DTYPE_F32)), dtype);
}

bool qlinear_matmul_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    const Type a = lower_in(lower, 0)->type, b = lower_in(lower, 3)->type;
    Node *axes[RANK_MAX], *left[RANK_MAX], *right[RANK_MAX];
    lower_axes(lower, out->type, axes);
    Node *const sum = product_sum(lower, 0, 2, 3, 5, axes, left, right);
    Node *const a_scale = cast_make(ir, parameter_at(lower, 1, left, a.rank, row_axis(a)), DTYPE_F32);
    Node *const b_scale = cast_make(ir, parameter_at(lower, 4, right, b.rank, b.rank - 1), DTYPE_F32);
    Node *const factor = scalar2(ir, OP_div, scalar2(ir, OP_mul, a_scale, b_scale), first_of(lower, 6, DTYPE_F32));
    lower_define(lower, out, axes, out->type.rank, requantized(lower, sum, factor, 7, out->type.dtype));
    return true;
}

/* ---- convolutions ---- */

/* A parameter of the weight: one for all, or one for each output channel. */
static bool channel_parameter_check(const Infer *infer, int input, Type w)
{
    return !infer_has(infer, input) ||
           (infer_type(infer, input).rank <= 1 && index_is(type_elements(infer->ir, infer_type(infer, input)), 1)) ||
           conv_bias_check(infer, input, w);
}

bool conv_integer_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0), w = infer_type(infer, 1);
    return bytes_check(infer, 0) && bytes_check(infer, 1) && zero_check(infer, 2, 0) && zero_check(infer, 3, 1) &&
           single_check(infer, 2, "x_zero_point") && conv_type(infer, x, w, DTYPE_I32, &infer->types[0]) &&
           channel_parameter_check(infer, 3, w);
}

static Node *optional(const Lower *lower, int input)
{
    return lower_has(lower, input) ? lower_in(lower, input) : NULL;
}

bool conv_integer_lower(Lower *lower)
{
    const ConvOperands operands = {.x = lower_in(lower, 0),
                                   .w = lower_in(lower, 1),
                                   .y = lower_out(lower, 0),
                                   .x_zero = optional(lower, 2),
                                   .w_zero = optional(lower, 3)};
    return conv_define(lower, &operands);
}

bool qlinear_conv_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0), w = infer_type(infer, 3);
    for (int i = 1; i < 7; i += i == 1 ? 3 : 2)
        if (infer_type(infer, i).dtype != DTYPE_F32)
            return infer_error(infer, "the scale is %s, not f32", type_text(infer->ir, infer_type(infer, i)));
    if (infer_has(infer, 8) && infer_type(infer, 8).dtype != DTYPE_I32)
        return infer_error(infer, "the bias is %s, not i32", type_text(infer->ir, infer_type(infer, 8)));
    return bytes_check(infer, 0) && bytes_check(infer, 3) && bytes_check(infer, 7) && zero_check(infer, 2, 0) &&
           zero_check(infer, 5, 3) && single_check(infer, 1, "x_scale") && single_check(infer, 2, "x_zero_point") &&
           single_check(infer, 6, "y_scale") && single_check(infer, 7, "y_zero_point") &&
           conv_type(infer, x, w, infer_type(infer, 7).dtype, &infer->types[0]) &&
           channel_parameter_check(infer, 4, w) && channel_parameter_check(infer, 5, w) && conv_bias_check(infer, 8, w);
}

bool qlinear_conv_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0), *const w_scale = lower_in(lower, 4);
    Node *const sum = lower_temp(lower, "sum", DTYPE_I32, out->type.rank, out->type.dims);
    const ConvOperands operands = {.x = lower_in(lower, 0),
                                   .w = lower_in(lower, 3),
                                   .bias = optional(lower, 8),
                                   .y = sum,
                                   .x_zero = lower_in(lower, 2),
                                   .w_zero = lower_in(lower, 5)};
    Node *axes[RANK_MAX];
    if (!conv_define(lower, &operands))
        return false;
    lower_axes(lower, out->type, axes);
    Node *const channel = index_is(type_elements(ir, w_scale->type), 1) ? index_const(ir, 0) : axes[1];
    Node *const scale = scalar2(ir, OP_mul, first_of(lower, 1, DTYPE_F32), lower_at(lower, w_scale, &channel));
    Node *const factor = scalar2(ir, OP_div, scale, first_of(lower, 6, DTYPE_F32));
    lower_define(lower, out, axes, out->type.rank,
                 requantized(lower, lower_at(lower, sum, axes), factor, 7, out->type.dtype));
    return true;
}
