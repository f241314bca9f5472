/* Linear quantisation and back: per tensor, per axis, in blocks. */
#include "ir/ops/quantize.h"

#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>

static bool unsupported(const Infer *infer, const char *name, const char *value)
{
    return diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where, "%s with %s %s is not supported",
                      op_name(infer->node->op), name, value);
}

/* The attribute `name` as a dtype; `otherwise` when it is 0 or absent. */
static bool dtype_read(const Infer *infer, const char *name, Dtype otherwise, Dtype *dtype)
{
    const int64_t number = attribute_int(infer->node, name, 0);
    *dtype = number < 0 || number > INT32_MAX ? DTYPE_NONE : number ? dtype_from_onnx((int)number) : otherwise;
    return *dtype != DTYPE_NONE || unsupported(infer, name, arena_format(infer->ir->arena, "%lld", (long long)number));
}

static bool is_real(Dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16 || dtype == DTYPE_F64;
}

static bool is_quantized(Dtype dtype)
{
    return (dtype_is_integer(dtype) && dtype_info[dtype].bits <= 16) ||
           (dtype_is_float(dtype) && dtype_info[dtype].bits <= 8);
}

/* ---- granularity: which scale belongs to which element ---- */

typedef enum Granularity { PER_TENSOR, PER_AXIS, PER_BLOCK } Granularity;

static Granularity granularity_of(Ir *ir, const Node *node, Type scale, int rank)
{
    if (attribute_int(node, "block_size", 0) > 0 && scale.rank == rank)
        return PER_BLOCK;
    return scale.rank == 0 || index_is(type_elements(ir, scale), 1) ? PER_TENSOR : PER_AXIS;
}

static bool scale_check(const Infer *infer)
{
    Ir *const ir = infer->ir;
    const Type x = infer_type(infer, 0), scale = infer_type(infer, 1);
    const int64_t block = attribute_int(infer->node, "block_size", 0);
    const Granularity granularity = granularity_of(ir, infer->node, scale, x.rank);
    int axis = 0;
    if (block < 0 || block > INT32_MAX)
        return infer_error(infer, "block_size is %lld, outside 0..%lld", (long long)block, (long long)INT32_MAX);
    if (granularity != PER_TENSOR && !infer_axis(infer, attribute_int(infer->node, "axis", 1), x.rank, false, &axis))
        return false;
    if (granularity == PER_AXIS &&
        (scale.rank != 1 || !infer_same_dim(infer, scale.dims[0], x.dims[axis], "scales and the axis")))
        return infer_error(infer, "the scale %s does not fit axis %d of %s", type_text(ir, scale), axis,
                           type_text(ir, x));
    for (int i = 0; granularity == PER_BLOCK && i < x.rank; i++) {
        Node *const dim = i == axis ? index_ceildiv(ir, x.dims[i], index_const(ir, block)) : x.dims[i];
        if (!infer_same_dim(infer, scale.dims[i], dim, "scales and blocks"))
            return false;
    }
    if (!infer_has(infer, 2))
        return true;
    const Type zero = infer_type(infer, 2);
    if (granularity == PER_TENSOR && zero.rank <= 1 && index_is(type_elements(ir, zero), 1))
        return true;
    if (zero.rank != scale.rank)
        return infer_error(infer, "the zero point is %s but the scale %s, their shapes must agree", type_text(ir, zero),
                           type_text(ir, scale));
    for (int i = 0; i < zero.rank; i++)
        if (!infer_same_dim(infer, zero.dims[i], scale.dims[i], "zero point and scale"))
            return false;
    return true;
}

/* The element of a scale or zero point that belongs to x[axes]. */
static Node *parameter_at(Lower *lower, int input, Node *const *axes)
{
    Ir *const ir = lower->ir;
    Node *const buffer = lower_in(lower, input);
    const int rank = lower_in(lower, 0)->type.rank;
    const int64_t given = attribute_int(lower->node, "axis", 1), block = attribute_int(lower->node, "block_size", 0);
    const int axis = (int)(given < 0 ? given + rank : given);
    Node *at[RANK_MAX];
    switch (granularity_of(ir, lower->node, buffer->type, rank)) {
    case PER_TENSOR:
        for (int i = 0; i < buffer->type.rank; i++)
            at[i] = index_const(ir, 0);
        break;
    case PER_AXIS:
        at[0] = axes[axis];
        break;
    case PER_BLOCK:
        for (int i = 0; i < rank; i++)
            at[i] = i == axis ? index_floordiv(ir, axes[i], index_const(ir, block)) : axes[i];
        break;
    }
    return lower_at(lower, buffer, at);
}

Node *quantize_shift(Ir *ir, Node *whole, Node *zero)
{
    const bool none = zero->op == OP_const && zero->payload.bits == 0;
    return none ? whole : scalar2(ir, OP_add, whole, zero);
}

bool quantize_is_centered(const Node *zeros)
{
    const Constant *const constant = zeros->payload.buffer->constant;
    const uint8_t *const bytes = constant ? constant->data : NULL;
    for (uint64_t i = 0; bytes && i < constant->bytes; i++)
        if (bytes[i])
            return false;
    return bytes != NULL;
}

/* ---- QuantizeLinear ---- */

Node *quantize_saturate(Ir *ir, Node *value, Dtype dtype)
{
    const int bits = dtype_info[dtype].bits;
    const double low = dtype_is_signed(dtype) ? -ldexp(1, bits - 1) : 0,
                 high = ldexp(1, dtype_is_signed(dtype) ? bits - 1 : bits) - 1;
    const Dtype real = value->type.dtype;
    Node *const above = scalar2(ir, OP_max, value, const_float(ir, real, low));
    return cast_make(ir, cast_make(ir, scalar2(ir, OP_min, above, const_float(ir, real, high)), DTYPE_I32), dtype);
}

bool quantize_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0), scale = infer_type(infer, 1);
    const Dtype zero = infer_has(infer, 2) ? infer_type(infer, 2).dtype : DTYPE_NONE;
    Dtype dtype, precision;
    if (!dtype_read(infer, "output_dtype", zero == DTYPE_NONE ? DTYPE_U8 : zero, &dtype) ||
        !dtype_read(infer, "precision", DTYPE_F32, &precision))
        return false;
    if (zero != DTYPE_NONE && zero != dtype)
        return infer_error(infer, "output_dtype is %s but the zero point %s", dtype_info[dtype].name,
                           dtype_info[zero].name);
    if (!is_quantized(dtype))
        return unsupported(infer, "the output type", dtype_info[dtype].name);
    if (!is_real(x.dtype) && x.dtype != DTYPE_I32)
        return infer_error(infer, "QuantizeLinear takes floats or i32, not %s", type_text(infer->ir, x));
    if (!is_real(precision))
        return unsupported(infer, "precision", dtype_info[precision].name);
    if (!is_real(scale.dtype) && scale.dtype != DTYPE_F8E8M0)
        return refused(infer->ir, REFUSED_QUANTIZE_SCALE);
    infer->types[0] = x;
    infer->types[0].dtype = dtype;
    return scale_check(infer);
}

/* The type that x / scale is rounded to. A scale that is a power of two has no precision of its own: the input's
 * counts. */
static Dtype quotient_type(const Lower *lower)
{
    const int64_t given = attribute_int(lower->node, "precision", 0);
    const Dtype scale = lower_in(lower, 1)->type.dtype, x = lower_in(lower, 0)->type.dtype;
    if (given)
        return dtype_from_onnx((int)given);
    return is_real(scale) ? scale : is_real(x) ? x : DTYPE_F32;
}

/* integers: saturate(round(x / scale) + zero); small floats: cast(x / scale + zero) */
bool quantize_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const Dtype precision = quotient_type(lower), compute = dtype_compute(precision);
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *const element = cast_make(ir, cast_make(ir, lower_at(lower, x, axes), precision), compute);
    Node *const scale = cast_make(ir, cast_make(ir, parameter_at(lower, 1, axes), precision), compute);
    Node *value = cast_make(ir, cast_make(ir, scalar2(ir, OP_div, element, scale), precision), compute);
    Node *const zero = lower_has(lower, 2) ? cast_make(ir, parameter_at(lower, 2, axes), compute) : NULL;
    if (dtype_is_integer(out->type.dtype)) {
        value = scalar1(ir, OP_round, value);
        value = quantize_saturate(ir, zero ? quantize_shift(ir, value, zero) : value, out->type.dtype);
    } else {
        value = lower_cast(lower, zero ? scalar2(ir, OP_add, value, zero) : value, out->type.dtype);
    }
    lower_define(lower, out, axes, x->type.rank, value);
    return true;
}

/* ---- DequantizeLinear ---- */

bool dequantize_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0), scale = infer_type(infer, 1);
    Dtype dtype;
    if (!is_quantized(x.dtype) && x.dtype != DTYPE_I32)
        return infer_error(infer, "DequantizeLinear takes quantised types or i32, not %s", type_text(infer->ir, x));
    if (!is_real(scale.dtype) && scale.dtype != DTYPE_F8E8M0)
        return infer_error(infer, "the scale is %s, no float", type_text(infer->ir, scale));
    if (!dtype_read(infer, "output_dtype", scale.dtype, &dtype))
        return false;
    if (!is_real(dtype))
        return refused(infer->ir, REFUSED_DEQUANTIZE_SCALE);
    if (infer_has(infer, 2) && infer_type(infer, 2).dtype != x.dtype)
        return infer_error(infer, "the zero point is %s but the input %s, their types must agree",
                           type_text(infer->ir, infer_type(infer, 2)), type_text(infer->ir, x));
    infer->types[0] = x;
    infer->types[0].dtype = dtype;
    return scale_check(infer);
}

/* (x - zero) * scale */
bool dequantize_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    const Dtype compute = dtype_compute(out->type.dtype);
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *value = cast_make(ir, lower_at(lower, x, axes), compute);
    if (lower_has(lower, 2))
        value = scalar2(ir, OP_sub, value, cast_make(ir, parameter_at(lower, 2, axes), compute));
    value = scalar2(ir, OP_mul, value, cast_make(ir, parameter_at(lower, 1, axes), compute));
    lower_define(lower, out, axes, x->type.rank, value);
    return true;
}

/* ---- DynamicQuantizeLinear ---- */

bool dynamic_quantize_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    if (x.dtype != DTYPE_F32)
        return infer_error(infer, "DynamicQuantizeLinear takes f32, not %s", type_text(infer->ir, x));
    infer->types[0] = x;
    infer->types[0].dtype = DTYPE_U8;
    infer->types[1] = type_tensor(infer->ir, DTYPE_F32, 0, NULL);
    infer->types[2] = type_tensor(infer->ir, DTYPE_U8, 0, NULL);
    return true;
}

static Node *extreme_define(Lower *lower, const char *name, FoldKind kind)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const temp = lower_temp(lower, name, DTYPE_F32, 0, NULL);
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *value = lower_at(lower, x, axes);
    if (x->type.rank)
        value = fold_make(ir, kind, fold_lanes(DTYPE_F32, true), axes, x->type.rank, value);
    lower_define(lower, temp, NULL, 0,
                 scalar2(ir, kind == FOLD_MAX ? OP_max : OP_min, value, const_float(ir, DTYPE_F32, 0)));
    return temp;
}

/* scale = (max - min) / 255 over a range that holds 0, or 1 when there is none; zero = saturate(round(-min / scale)) */
bool dynamic_quantize_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const none = const_float(ir, DTYPE_F32, 0), *axes[RANK_MAX];
    Node *const most = extreme_define(lower, "max", FOLD_MAX), *const least = extreme_define(lower, "min", FOLD_MIN);
    Node *const scale = lower_out(lower, 1), *const zero = lower_out(lower, 2);
    Node *const span = scalar2(ir, OP_sub, lower_at(lower, most, NULL), lower_at(lower, least, NULL));
    Node *const step = scalar2(ir, OP_div, span, const_float(ir, DTYPE_F32, 255));
    lower_define(lower, scale, NULL, 0,
                 scalar3(ir, OP_select, scalar2(ir, OP_eq, span, none), const_float(ir, DTYPE_F32, 1), step));

    Node *const place =
        scalar2(ir, OP_sub, none, scalar2(ir, OP_div, lower_at(lower, least, NULL), lower_at(lower, scale, NULL)));
    lower_define(lower, zero, NULL, 0, quantize_saturate(ir, scalar1(ir, OP_round, place), DTYPE_U8));

    lower_axes(lower, x->type, axes);
    Node *const quotient =
        scalar1(ir, OP_round, scalar2(ir, OP_div, lower_at(lower, x, axes), lower_at(lower, scale, NULL)));
    Node *const shifted = scalar2(ir, OP_add, quotient, cast_make(ir, lower_at(lower, zero, NULL), DTYPE_F32));
    lower_define(lower, lower_out(lower, 0), axes, x->type.rank, quantize_saturate(ir, shifted, DTYPE_U8));
    return true;
}
