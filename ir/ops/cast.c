/* Cast: by value between any two types. The small floats have two questions of their own: what becomes of values out of range, and
 * for f8e8m0 how a power of two is chosen. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"

#include <math.h>
#include <string.h>

/* Without saturation a value whose rounding leaves the range becomes inf where the type has one, else NaN. */
typedef struct OverflowRow {
    Dtype dtype;
    double limit;  /* magnitudes from here on overflow: halfway between the largest value and the one that would follow */
    bool included; /* the limit itself overflows: the tie goes to even, away from the largest value */
    bool infinity;
} OverflowRow;
static const OverflowRow overflow_rows[] = {
    {DTYPE_F8E4M3FN, 464, false, false},
    {DTYPE_F8E4M3FNUZ, 248, true, false},
    {DTYPE_F8E5M2, 61440, true, true},
    {DTYPE_F8E5M2FNUZ, 61440, true, false},
};

static Node *cast_overflowing(Ir *ir, Node *x, const OverflowRow *row)
{
    Node *const limit = const_float(ir, x->type.dtype, row->limit);
    Node *const beyond = scalar2(ir, row->included ? OP_ge : OP_gt, scalar1(ir, OP_abs, x), limit);
    Node *const overflow = const_float(ir, row->dtype, NAN);
    if (!row->infinity)
        return scalar3(ir, OP_select, beyond, overflow, cast_make(ir, x, row->dtype));
    /* 0x7c and 0xfc are the infinities of f8e5m2. */
    Node *const positive = const_bits(ir, type_scalar(row->dtype), 0x7c), *const negative = const_bits(ir, type_scalar(row->dtype), 0xfc);
    Node *const zero = const_float(ir, x->type.dtype, 0);
    Node *const infinity = scalar3(ir, OP_select, scalar2(ir, OP_lt, x, zero), negative, positive);
    return scalar3(ir, OP_select, beyond, infinity, cast_make(ir, x, row->dtype));
}

/* A positive f32 rounded to a power of two by its bits: adding `round` carries into the exponent when the mantissa asks for it. Below the
 * normal numbers 2^-127 is the only power, `half` the bits from which 2^-126 is nearer. */
typedef struct PowerRow {
    const char *mode;
    uint32_t round, half;
} PowerRow;
static const PowerRow power_rows[] = {
    {"up", 0x007fffff, 0x00400001},
    {"down", 0x00000000, 0x00800000},
    {"nearest", 0x00400000, 0x00600000},
};

static Node *cast_power(Ir *ir, Node *x, const PowerRow *row, bool saturate)
{
    const uint32_t smallest = 0x00400000, least_normal = 0x00800000, largest = 0x7f000000, exponent = 0x7f800000;
    Node *const value = cast_make(ir, x, DTYPE_F32);
    Node *const bits = bitcast_make(ir, value, DTYPE_U32);
    Node *const rounded = scalar2(ir, OP_and, scalar2(ir, OP_add, bits, const_int(ir, DTYPE_U32, row->round)), const_int(ir, DTYPE_U32, exponent));
    Node *const low = scalar3(ir, OP_select, scalar2(ir, OP_lt, bits, const_int(ir, DTYPE_U32, row->half)),
                              const_int(ir, DTYPE_U32, smallest), const_int(ir, DTYPE_U32, least_normal));
    Node *const power = scalar3(ir, OP_select, scalar2(ir, OP_lt, bits, const_int(ir, DTYPE_U32, least_normal)), low, rounded);
    Node *const clipped = scalar2(ir, OP_min, power, const_int(ir, DTYPE_U32, largest));
    Node *bad = scalar1(ir, OP_isnan, value);
    if (!saturate) {
        Node *const over = scalar2(ir, OP_gt, power, const_int(ir, DTYPE_U32, largest));
        Node *const under = scalar2(ir, OP_lt, bits, const_int(ir, DTYPE_U32, smallest));
        bad = scalar2(ir, OP_or, bad, scalar2(ir, OP_or, over, under));
    }
    Node *const result = cast_make(ir, bitcast_make(ir, clipped, DTYPE_F32), DTYPE_F8E8M0);
    return scalar3(ir, OP_select, bad, const_float(ir, DTYPE_F8E8M0, NAN), result);
}

Node *lower_cast(Lower *lower, Node *x, Dtype dtype)
{
    Ir *const ir = lower->ir;
    const bool saturate = attribute_int(lower->node, "saturate", 1) != 0;
    const char *const mode = attribute_string(lower->node, "round_mode", "up");
    if (!dtype_is_float(x->type.dtype))
        return cast_make(ir, x, dtype);
    /* Out of range is undefined for integers; of those below a byte ONNX's own cases keep the low bits, as integers do. */
    if (dtype_is_integer(dtype) && dtype_info[dtype].bits < 8)
        return cast_make(ir, cast_make(ir, x, DTYPE_I32), dtype);
    for (int i = 0; dtype == DTYPE_F8E8M0 && i < 3; i++)
        if (strcmp(mode, power_rows[i].mode) == 0)
            return cast_power(ir, x, &power_rows[i], saturate);
    for (int i = 0; !saturate && i < 4; i++)
        if (overflow_rows[i].dtype == dtype)
            return cast_overflowing(ir, x, &overflow_rows[i]);
    return cast_make(ir, x, dtype);
}

bool cast_lower(Lower *lower)
{
    Node *const x = lower_in(lower, 0), *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *const value = x->type.dtype == out->type.dtype ? at_make(lower->ir, x, axes)
                                                         : lower_cast(lower, lower_at(lower, x, axes), out->type.dtype);
    lower_define(lower, out, axes, x->type.rank, value);
    return true;
}
