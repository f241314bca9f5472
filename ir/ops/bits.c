/* Elementwise operators on remainders, shifts and bits. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <string.h>

static bool unsupported(const Infer *infer, const char *what)
{
    return diag_error(infer->ir->diagnostics, EXIT_UNSUPPORTED, infer->ir->where, "%s", what);
}

/* Elements of both inputs over the axes of the broadcast output. */
static void pair_open(Lower *lower, Node **axes, Node **x, Node **y)
{
    const Type type = lower_out(lower, 0)->type;
    lower_axes(lower, type, axes);
    *x = lower_at_broadcast(lower, lower_in(lower, 0), axes, type.rank);
    *y = lower_at_broadcast(lower, lower_in(lower, 1), axes, type.rank);
}

/* With fmod the remainder has the sign of the dividend, else of the divisor. */
bool mod_lower(Lower *lower)
{
    Node *axes[RANK_MAX], *x, *y;
    pair_open(lower, axes, &x, &y);
    const Op op = attribute_int(lower->node, "fmod", 0) != 0 ? OP_rem : OP_mod;
    lower_define(lower, lower_out(lower, 0), axes, lower_out(lower, 0)->type.rank, scalar2(lower->ir, op, x, y));
    return true;
}

bool bit_shift_shape(Infer *infer)
{
    const char *const direction = attribute_string(infer->node, "direction", "");
    if (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0)
        return infer_error(infer, "direction is '%s', neither LEFT nor RIGHT",
                           diag_quote(infer->ir->arena, direction, 40));
    return broadcast_shape(infer);
}

/* An amount that is negative or not below the width leaves what the sign bit alone gives. */
bool bit_shift_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *axes[RANK_MAX], *x, *y;
    pair_open(lower, axes, &x, &y);
    const Dtype dtype = x->type.dtype;
    const bool left = attribute_string(lower->node, "direction", "")[0] == 'L';
    const int bits = dtype_info[lower_in(lower, 0)->type.dtype].bits;
    Node *const zero = const_int(ir, dtype, 0), *const last = const_int(ir, dtype, bits - 1);
    Node *beyond = scalar2(ir, OP_gt, y, last);
    if (dtype_is_signed(dtype))
        beyond = scalar2(ir, OP_or, beyond, scalar2(ir, OP_lt, y, zero));
    Node *const shifted = scalar2(ir, left ? OP_shl : OP_shr, x, scalar3(ir, OP_select, beyond, last, y));
    const bool signs = !left && dtype_is_signed(dtype);
    Node *const value = signs ? shifted : scalar3(ir, OP_select, beyond, zero, shifted);
    lower_define(lower, lower_out(lower, 0), axes, lower_out(lower, 0)->type.rank, value);
    return true;
}

bool bit_cast_shape(Infer *infer)
{
    const int64_t to = attribute_int(infer->node, "to", 0);
    const Dtype dtype = to < 1 || to > INT32_MAX ? DTYPE_NONE : dtype_from_onnx((int)to);
    const Type x = infer_type(infer, 0);
    if (dtype == DTYPE_NONE || dtype == DTYPE_STRING)
        return unsupported(
            infer, arena_format(infer->ir->arena, "BitCast to element type %lld is not supported", (long long)to));
    if (dtype_info[dtype].bits != dtype_info[x.dtype].bits)
        return infer_error(infer, "BitCast from %s to %s changes the width", dtype_info[x.dtype].name,
                           dtype_info[dtype].name);
    infer->types[0] = x;
    infer->types[0].dtype = dtype;
    return true;
}

/* A bool is a byte of 0 or 1; other bytes become true. */
bool bit_cast_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *value = at_make(ir, x, axes);
    const bool to_bool = out->type.dtype == DTYPE_BOOL;
    if (x->type.dtype == DTYPE_BOOL && !to_bool)
        value = cast_make(ir, value, DTYPE_U8);
    if (x->type.dtype != out->type.dtype)
        value = to_bool ? cast_make(ir, bitcast_make(ir, value, DTYPE_U8), DTYPE_BOOL)
                        : bitcast_make(ir, value, out->type.dtype);
    lower_define(lower, out, axes, x->type.rank, value);
    return true;
}

bool is_inf_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    const bool negative = attribute_int(lower->node, "detect_negative", 1) != 0,
               positive = attribute_int(lower->node, "detect_positive", 1) != 0;
    Node *axes[RANK_MAX];
    lower_axes(lower, lower_in(lower, 0)->type, axes);
    Node *const x = lower_at(lower, lower_in(lower, 0), axes), *const zero = const_float(ir, x->type.dtype, 0);
    Node *value = negative || positive ? scalar1(ir, OP_isinf, x) : const_bool(ir, false);
    if (negative != positive)
        value = scalar2(ir, OP_and, value, scalar2(ir, positive ? OP_gt : OP_lt, x, zero));
    lower_define(lower, lower_out(lower, 0), axes, lower_in(lower, 0)->type.rank, value);
    return true;
}

/* Cast to the type of the second input, whose elements nobody reads. */
bool cast_like_shape(Infer *infer)
{
    if (infer_type(infer, 1).dtype == DTYPE_STRING)
        return unsupported(infer, "CastLike to string is not supported");
    infer->types[0] = infer_type(infer, 0);
    infer->types[0].dtype = infer_type(infer, 1).dtype;
    return true;
}

bool swiglu_shape(Infer *infer)
{
    const Type a = infer_type(infer, 0), b = infer_type(infer, 1);
    if (a.dtype != b.dtype || a.rank != b.rank)
        return infer_error(infer, "the inputs of SwiGLU are %s and %s, they must be alike", type_text(infer->ir, a),
                           type_text(infer->ir, b));
    for (int i = 0; i < a.rank; i++)
        if (!infer_same_dim(infer, a.dims[i], b.dims[i], "gate and value of SwiGLU"))
            return false;
    infer->types[0] = a;
    return true;
}
