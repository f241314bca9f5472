/* Generators: what stands where follows from the position, not from elements. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>

static bool dtype_given(const Infer *infer, const char *name, int64_t number, Dtype *dtype)
{
    *dtype = number < 1 || number > INT32_MAX ? DTYPE_NONE : dtype_from_onnx((int)number);
    return (*dtype != DTYPE_NONE && *dtype != DTYPE_STRING) ||
           diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where, "%s with %s = %lld is not supported",
                      op_name(infer->node->op), name, (long long)number);
}

/* The one element of a scalar input (rank 0, or 1 with one element). */
static Node *scalar_at(Lower *lower, int input)
{
    Node *const zeros[RANK_MAX] = {index_const(lower->ir, 0)};
    return lower_at(lower, lower_in(lower, input), zeros);
}

static bool scalar_check(const Infer *infer, int input, const char *name)
{
    const Type type = infer_type(infer, input);
    return (type.rank <= 1 && index_is(type_elements(infer->ir, type), 1)) ||
           infer_error(infer, "%s must be a scalar, not %s", name, type_text(infer->ir, type));
}

/* The known value of a scalar input, as an index; NULL after a diagnostic. */
static Node *scalar_known(const Infer *infer, int input, const char *name)
{
    int count;
    if (!scalar_check(infer, input, name))
        return NULL;
    Node *const *const contents = infer_read(infer, input, &count);
    if (contents)
        return cast_make(infer->ir, contents[0], DTYPE_INDEX);
    diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where,
               "%s of %s cannot be derived from dims and inputs", name, op_name(infer->node->op));
    return NULL;
}

/* The dim that a run may give: not negative. */
static bool dim_check(const Infer *infer, Node *dim, const char *name)
{
    const char *const text = arena_format(infer->ir->arena, "%s: %s is negative", op_name(infer->node->op), name);
    return run_check(infer->ir, scalar2(infer->ir, OP_ge, dim, index_const(infer->ir, 0)), text) ||
           infer_error(infer, "%s is negative", name);
}

/* ---- triangles and diagonals ---- */

bool trilu_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    if (x.rank < 2)
        return infer_error(infer, "Trilu takes matrices, not %s", type_text(infer->ir, x));
    infer->types[0] = x;
    return !infer_has(infer, 1) || scalar_check(infer, 1, "k");
}

/* y[..., i, j] = x where j - i >= k (upper) or j - i <= k (lower), else 0 */
bool trilu_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    const int rank = x->type.rank;
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *const k = lower_has(lower, 1) ? cast_make(ir, scalar_at(lower, 1), DTYPE_INDEX) : index_const(ir, 0);
    Node *const diagonal = index_sub(ir, axes[rank - 1], axes[rank - 2]);
    Node *const kept = scalar2(ir, attribute_int(lower->node, "upper", 1) != 0 ? OP_ge : OP_le, diagonal, k);
    Node *const zero = const_int(ir, dtype_compute(x->type.dtype), 0);
    lower_define(lower, lower_out(lower, 0), axes, rank, guard_make(ir, kept, lower_at(lower, x, axes), zero));
    return true;
}

bool eye_like_shape(Infer *infer)
{
    Dtype dtype = infer_type(infer, 0).dtype;
    if (infer_type(infer, 0).rank != 2)
        return infer_error(infer, "EyeLike takes a matrix, not %s", type_text(infer->ir, infer_type(infer, 0)));
    if (attribute_find(infer->node, "dtype") &&
        !dtype_given(infer, "dtype", attribute_int(infer->node, "dtype", 0), &dtype))
        return false;
    infer->types[0] = infer_type(infer, 0);
    infer->types[0].dtype = dtype;
    return true;
}

bool eye_like_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *axes[RANK_MAX];
    lower_axes(lower, lower_out(lower, 0)->type, axes);
    Node *const diagonal = index_add(ir, axes[0], index_const(ir, attribute_int(lower->node, "k", 0)));
    lower_define(lower, lower_out(lower, 0), axes, 2, scalar2(ir, OP_eq, axes[1], diagonal));
    return true;
}

/* ---- OneHot ---- */

bool one_hot_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type indices = infer_type(infer, 0), values = infer_type(infer, 2);
    int axis;
    if (values.rank != 1)
        return infer_error(infer, "values must be a list of two, not %s", type_text(ir, values));
    if (!infer_same_dim(infer, values.dims[0], index_const(ir, 2), "values of OneHot: off and on"))
        return false;
    if (values.dtype == DTYPE_STRING)
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, ir->where, "OneHot with string values is not supported");
    if (indices.rank == RANK_MAX)
        return infer_error(infer, "rank %d is beyond the limit of %d", RANK_MAX + 1, RANK_MAX);
    Node *const depth = scalar_known(infer, 1, "depth");
    if (!depth || !dim_check(infer, depth, "depth") ||
        !infer_axis(infer, attribute_int(infer->node, "axis", -1), indices.rank + 1, false, &axis))
        return false;
    Node *dims[RANK_MAX];
    for (int i = 0; i <= indices.rank; i++)
        dims[i] = i == axis ? depth : indices.dims[i - (i > axis)];
    infer->types[0] = type_tensor(ir, values.dtype, indices.rank + 1, dims);
    return true;
}

/* y[..., k, ...] = k == index (negative ones count from the end) ? on : off. Indices outside are met by no k. */
bool one_hot_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const indices = lower_in(lower, 0), *const values = lower_in(lower, 2), *const out = lower_out(lower, 0);
    const int rank = out->type.rank;
    const int64_t given = attribute_int(lower->node, "axis", -1);
    const int axis = (int)(given < 0 ? given + rank : given);
    Node *axes[RANK_MAX], *at[RANK_MAX];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < rank; i++)
        if (i != axis)
            at[i - (i > axis)] = axes[i];
    Node *const index = cast_make(ir, lower_at(lower, indices, at), DTYPE_INDEX);
    Node *const wrapped = index_add(ir, index, out->type.dims[axis]);
    Node *const place = scalar3(ir, OP_select, scalar2(ir, OP_lt, index, index_const(ir, 0)), wrapped, index);
    Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1);
    Node *const off = lower_at(lower, values, &zero), *const on = lower_at(lower, values, &one);
    lower_define(lower, out, axes, rank, scalar3(ir, OP_select, scalar2(ir, OP_eq, axes[axis], place), on, off));
    return true;
}

/* ---- windows of signal processing ---- */

bool window_shape(Infer *infer)
{
    Dtype dtype;
    Node *const size = scalar_known(infer, 0, "size");
    if (!size || !dim_check(infer, size, "size") ||
        !dtype_given(infer, "output_datatype", attribute_int(infer->node, "output_datatype", 1), &dtype))
        return false;
    infer->types[0] = type_tensor(infer->ir, dtype, 1, &size);
    return true;
}

/* w[n] = a - b*cos(2 pi n / N) + c*cos(4 pi n / N); N is the size, or one less for a window that is symmetric. */
static bool window_lower(Lower *lower, double a, double b, double c)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    Node *n, *length = out->type.dims[0];
    lower_axes(lower, out->type, &n);
    if (attribute_int(lower->node, "periodic", 1) == 0)
        length = index_sub(ir, length, index_const(ir, 1));
    Node *const position =
        scalar2(ir, OP_mul, cast_make(ir, n, DTYPE_F64), const_float(ir, DTYPE_F64, 2 * 3.14159265358979323846));
    Node *const angle = scalar2(ir, OP_div, position, cast_make(ir, length, DTYPE_F64));
    Node *value = scalar2(ir, OP_mul, const_float(ir, DTYPE_F64, b), scalar1(ir, OP_cos, angle));
    value = scalar2(ir, OP_sub, const_float(ir, DTYPE_F64, a), value);
    if (c != 0) {
        Node *const twice = scalar1(ir, OP_cos, scalar2(ir, OP_mul, const_float(ir, DTYPE_F64, 2), angle));
        value = scalar2(ir, OP_add, value, scalar2(ir, OP_mul, const_float(ir, DTYPE_F64, c), twice));
    }
    lower_define(lower, out, &n, 1, value);
    return true;
}

bool hann_window_lower(Lower *lower)
{
    return window_lower(lower, 0.5, 0.5, 0);
}

bool hamming_window_lower(Lower *lower)
{
    return window_lower(lower, 25.0 / 46, 21.0 / 46, 0);
}

bool blackman_window_lower(Lower *lower)
{
    return window_lower(lower, 0.42, 0.5, 0.08);
}

/* ---- the mel scale ---- */

bool mel_weight_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    Dtype dtype;
    Node *const bins = scalar_known(infer, 0, "num_mel_bins"), *const length =
                                                                   bins ? scalar_known(infer, 1, "dft_length") : NULL;
    if (!length || !dim_check(infer, bins, "num_mel_bins") || !dim_check(infer, length, "dft_length") ||
        !dtype_given(infer, "output_datatype", attribute_int(infer->node, "output_datatype", 1), &dtype))
        return false;
    for (int i = 2; i < 5; i++)
        if (!scalar_check(infer, i, i == 2 ? "sample_rate" : "an edge frequency"))
            return false;
    Node *const dims[2] = {index_add(ir, index_floordiv(ir, length, index_const(ir, 2)), index_const(ir, 1)), bins};
    infer->types[0] = type_tensor(ir, dtype, 2, dims);
    return true;
}

/* 1127 ln(1 + f/700) */
static Node *mel_of(Ir *ir, Node *frequency)
{
    Node *const part = scalar2(ir, OP_div, frequency, const_float(ir, DTYPE_F64, 700));
    return scalar2(ir, OP_mul, scalar1(ir, OP_log1p, part), const_float(ir, DTYPE_F64, 2595 / 2.30258509299404568402));
}

static Node *frequency_of(Ir *ir, Node *mel)
{
    Node *const power =
        scalar1(ir, OP_exp, scalar2(ir, OP_div, mel, const_float(ir, DTYPE_F64, 2595 / 2.30258509299404568402)));
    return scalar2(ir, OP_mul, const_float(ir, DTYPE_F64, 700),
                   scalar2(ir, OP_sub, power, const_float(ir, DTYPE_F64, 1)));
}

/* Corner number k of the triangles: the spectrogram bin of its frequency; corners stand at equal steps of mel. */
static Node *mel_corner(Lower *lower, Node *k, Node *corners)
{
    Ir *const ir = lower->ir;
    Node *const low = mel_of(ir, cast_make(ir, scalar_at(lower, 3), DTYPE_F64)), *const high = mel_of(
                                                                                     ir,
                                                                                     cast_make(ir, scalar_at(lower, 4),
                                                                                               DTYPE_F64));
    Node *const step = scalar2(ir, OP_div, scalar2(ir, OP_sub, high, low), cast_make(ir, corners, DTYPE_F64));
    Node *const mel = scalar2(ir, OP_add, scalar2(ir, OP_mul, cast_make(ir, k, DTYPE_F64), step), low);
    Node *const length =
        scalar2(ir, OP_add, cast_make(ir, scalar_at(lower, 1), DTYPE_F64), const_float(ir, DTYPE_F64, 1));
    Node *const scaled = scalar2(ir, OP_mul, length, frequency_of(ir, mel));
    return scalar1(ir, OP_floor, scalar2(ir, OP_div, scaled, cast_make(ir, scalar_at(lower, 2), DTYPE_F64)));
}

/* y[j, i] rises from corner i to 1 at corner i+1 and falls to corner i+2; a triangle without a rise is 1 at its top. */
bool mel_weight_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0), *const one = const_float(ir, DTYPE_F64, 1),
                *const zero = const_float(ir, DTYPE_F64, 0);
    Node *const corners = index_add(ir, out->type.dims[1], index_const(ir, 2));
    Node *const bins = lower_temp(lower, "corners", DTYPE_F64, 1, &corners);
    Node *const k = lower_axis(lower, "k", corners);
    lower_define(lower, bins, &k, 1, mel_corner(lower, k, corners));

    Node *axes[RANK_MAX], *corner[3];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < 3; i++) {
        Node *const at = index_add(ir, axes[1], index_const(ir, i));
        corner[i] = lower_at(lower, bins, &at);
    }
    Node *const j = cast_make(ir, axes[0], DTYPE_F64);
    Node *const flat = scalar2(ir, OP_eq, corner[0], corner[1]);
    Node *const rise =
        scalar2(ir, OP_div, scalar2(ir, OP_sub, j, corner[0]), scalar2(ir, OP_sub, corner[1], corner[0]));
    Node *const rising = scalar2(ir, OP_and, scalar2(ir, OP_ge, j, corner[0]), scalar2(ir, OP_le, j, corner[1]));
    Node *const left = scalar3(ir, OP_select, rising, scalar3(ir, OP_select, flat, one, rise), zero);
    Node *const fall =
        scalar2(ir, OP_div, scalar2(ir, OP_sub, corner[2], j), scalar2(ir, OP_sub, corner[2], corner[1]));
    Node *const falling = scalar2(ir, OP_and, scalar2(ir, OP_ge, j, corner[1]), scalar2(ir, OP_lt, j, corner[2]));
    lower_define(lower, out, axes, 2, scalar3(ir, OP_select, falling, fall, left));
    return true;
}
