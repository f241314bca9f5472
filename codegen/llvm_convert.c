/* Casts between any two dtypes, as ir/convert.c defines them: small floats widen to f32 and are narrowed from an f32
 * that was rounded to odd, so that every value is rounded once. */
#include "codegen/emit.h"

#include <math.h>

typedef struct FloatFormat {
    Dtype dtype;
    int mantissa, bias;
    int sign, largest, overflow; /* bit of the sign; codes of the largest finite value and of what lies beyond */
    int nan;
    bool nan_has_sign, zero_has_sign;
    bool has_infinity; /* codes beyond `largest` are infinity and NaN as in IEEE formats, else all NaN */
} FloatFormat;

static const FloatFormat formats[] = {
    {DTYPE_F8E4M3FN, 3, 7, 0x80, 0x7e, 0x7e, 0x7f, true, true, false},
    {DTYPE_F8E4M3FNUZ, 3, 8, 0x80, 0x7f, 0x7f, 0x80, false, false, false},
    {DTYPE_F8E5M2, 2, 15, 0x80, 0x7b, 0x7b, 0x7e, true, true, true},
    {DTYPE_F8E5M2FNUZ, 2, 16, 0x80, 0x7f, 0x7f, 0x80, false, false, false},
    {DTYPE_F4E2M1, 1, 1, 0x8, 0x7, 0x7, 0x0, false, true, false},
};

static const FloatFormat *format_of(Dtype dtype)
{
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].dtype == dtype)
            return &formats[i];
    return NULL;
}

/* Integer arithmetic on lanes, for the conversions below. */
typedef struct Lanes {
    Emitter *emitter;
    LLVMBuilderRef builder;
    LLVMTypeRef type; /* i32 or i64 lanes */
    int count;
} Lanes;

static Lanes lanes_of(Emitter *emitter, LLVMValueRef value, int bits)
{
    const int count = emit_lanes(value);
    return (Lanes){emitter, emitter->builder, emit_int_type(emitter, bits, count), count};
}

static LLVMValueRef add(const Lanes *lanes, LLVMValueRef a, int64_t constant)
{
    return LLVMBuildAdd(lanes->builder, a, emit_int(lanes->type, constant), "");
}
static LLVMValueRef and (const Lanes *lanes, LLVMValueRef a, int64_t constant)
{
    return LLVMBuildAnd(lanes->builder, a, emit_int(lanes->type, constant), "");
}
static LLVMValueRef shift_left(const Lanes *lanes, LLVMValueRef a, int amount)
{
    return LLVMBuildShl(lanes->builder, a, emit_int(lanes->type, amount), "");
}
static LLVMValueRef shift_right(const Lanes *lanes, LLVMValueRef a, int amount)
{
    return LLVMBuildLShr(lanes->builder, a, emit_int(lanes->type, amount), "");
}
static LLVMValueRef test(const Lanes *lanes, LLVMIntPredicate predicate, LLVMValueRef a, int64_t constant)
{
    return LLVMBuildICmp(lanes->builder, predicate, a, emit_int(lanes->type, constant), "");
}
static LLVMValueRef choose(const Lanes *lanes, LLVMValueRef condition, LLVMValueRef yes, LLVMValueRef no)
{
    return LLVMBuildSelect(lanes->builder, condition, yes, no, "");
}
static LLVMValueRef choose_constant(const Lanes *lanes, LLVMValueRef condition, int64_t yes, LLVMValueRef no)
{
    return choose(lanes, condition, emit_int(lanes->type, yes), no);
}
static LLVMValueRef to_float(const Lanes *lanes, LLVMValueRef bits)
{
    return LLVMBuildBitCast(lanes->builder, bits, emit_type(lanes->emitter, DTYPE_F32, lanes->count), "");
}
static LLVMValueRef to_bits(const Lanes *lanes, LLVMValueRef value)
{
    return LLVMBuildBitCast(lanes->builder, value, lanes->type, "");
}

/* ---- widening: codes to f32 ---- */

static LLVMValueRef widen_f16(Emitter *emitter, LLVMValueRef code)
{
    const int count = emit_lanes(code);
    LLVMTypeRef half = LLVMHalfTypeInContext(emitter->context);
    if (count > 1)
        half = LLVMVectorType(half, (unsigned)count);
    LLVMValueRef const value = LLVMBuildBitCast(emitter->builder, code, half, "");
    return LLVMBuildFPExt(emitter->builder, value, emit_type(emitter, DTYPE_F32, count), "");
}

static LLVMValueRef widen_format(const Lanes *lanes, LLVMValueRef code, const FloatFormat *format)
{
    LLVMBuilderRef const builder = lanes->builder;
    const int m = format->mantissa;
    LLVMValueRef const magnitude = and(lanes, code, format->sign - 1);
    LLVMValueRef const sign = choose_constant(lanes, test(lanes, LLVMIntNE, and(lanes, code, format->sign), 0),
                                              INT32_MIN, emit_int(lanes->type, 0));
    LLVMValueRef const normal = add(lanes, shift_left(lanes, magnitude, 23 - m), (int64_t)(127 - format->bias) << 23);
    LLVMTypeRef const float_type = emit_type(lanes->emitter, DTYPE_F32, lanes->count);
    LLVMValueRef const units = LLVMBuildSIToFP(builder, magnitude, float_type, "");
    LLVMValueRef const subnormal =
        to_bits(lanes, LLVMBuildFMul(builder, units, emit_real(float_type, ldexp(1, 1 - format->bias - m)), ""));
    LLVMValueRef bits = choose(lanes, test(lanes, LLVMIntULT, magnitude, 1 << m), subnormal, normal);
    if (format->largest < format->sign - 1) {
        LLVMValueRef const special =
            format->has_infinity ? LLVMBuildOr(builder, shift_left(lanes, and(lanes, magnitude, (1 << m) - 1), 23 - m),
                                               emit_int(lanes->type, 0x7f800000), "")
                                 : emit_int(lanes->type, 0x7fc00000);
        bits = choose(lanes, test(lanes, LLVMIntUGT, magnitude, format->largest), special, bits);
    }
    bits = LLVMBuildOr(builder, bits, sign, "");
    if (!format->nan_has_sign && format->nan)
        bits = choose_constant(lanes, test(lanes, LLVMIntEQ, code, format->nan), 0x7fc00000, bits);
    return to_float(lanes, bits);
}

static LLVMValueRef widen(Emitter *emitter, LLVMValueRef code, Dtype from)
{
    if (from == DTYPE_F16)
        return widen_f16(emitter, code);
    const Lanes lanes = lanes_of(emitter, code, 32);
    LLVMValueRef const wide = LLVMBuildZExt(emitter->builder, code, lanes.type, "");
    if (from == DTYPE_BF16)
        return to_float(&lanes, shift_left(&lanes, wide, 16));
    if (from == DTYPE_F8E8M0) {
        LLVMValueRef bits = shift_left(&lanes, wide, 23);
        bits = choose_constant(&lanes, test(&lanes, LLVMIntEQ, wide, 0), 0x400000, bits);
        return to_float(&lanes, choose_constant(&lanes, test(&lanes, LLVMIntEQ, wide, 0xff), 0x7fc00000, bits));
    }
    return widen_format(&lanes, wide, format_of(from));
}

/* ---- narrowing: f32 to codes ---- */

static LLVMValueRef narrow_f16(Emitter *emitter, LLVMValueRef value)
{
    const int count = emit_lanes(value);
    LLVMTypeRef half = LLVMHalfTypeInContext(emitter->context);
    if (count > 1)
        half = LLVMVectorType(half, (unsigned)count);
    LLVMValueRef const rounded = LLVMBuildFPTrunc(emitter->builder, value, half, "");
    return LLVMBuildBitCast(emitter->builder, rounded, emit_int_type(emitter, 16, count), "");
}

/* (bits + half of what is cut - 1 + the last kept bit) >> cut: to nearest, ties to even. */
static LLVMValueRef round_even(const Lanes *lanes, LLVMValueRef bits, int cut)
{
    LLVMValueRef const last = and(lanes, shift_right(lanes, bits, cut), 1);
    LLVMValueRef const sum = LLVMBuildAdd(lanes->builder, add(lanes, bits, (INT64_C(1) << (cut - 1)) - 1), last, "");
    return shift_right(lanes, sum, cut);
}

static LLVMValueRef narrow_bf16(const Lanes *lanes, LLVMValueRef bits)
{
    LLVMValueRef const quiet =
        LLVMBuildOr(lanes->builder, shift_right(lanes, bits, 16), emit_int(lanes->type, 0x40), "");
    LLVMValueRef const is_nan = test(lanes, LLVMIntUGT, and(lanes, bits, INT32_MAX), 0x7f800000);
    return choose(lanes, is_nan, quiet, round_even(lanes, bits, 16));
}

static LLVMValueRef narrow_e8m0(const Lanes *lanes, LLVMValueRef bits)
{
    LLVMValueRef code = shift_right(lanes, add(lanes, bits, 0x400000), 23);
    /* Below the least normal f32 the exponent field says nothing: 1.5 * 2^-127 is half way to code 1. */
    LLVMValueRef const small =
        choose_constant(lanes, test(lanes, LLVMIntUGE, bits, 0x600000), 1, emit_int(lanes->type, 0));
    code = choose(lanes, test(lanes, LLVMIntULT, bits, 0x800000), small, code);
    code = choose_constant(lanes, test(lanes, LLVMIntUGT, code, 0xfe), 0xfe, code);
    /* Infinity, NaN and everything negative but -0. */
    LLVMValueRef const bad = test(lanes, LLVMIntUGE, bits, 0x7f800000);
    code = choose_constant(lanes, bad, 0xff, code);
    return choose_constant(lanes, test(lanes, LLVMIntEQ, bits, INT32_MIN), 0, code);
}

static LLVMValueRef narrow_format(const Lanes *lanes, LLVMValueRef bits, const FloatFormat *format)
{
    LLVMBuilderRef const builder = lanes->builder;
    const int m = format->mantissa;
    LLVMTypeRef const float_type = emit_type(lanes->emitter, DTYPE_F32, lanes->count);
    LLVMValueRef const magnitude = and(lanes, bits, INT32_MAX);
    LLVMValueRef const normal =
        round_even(lanes, add(lanes, magnitude, -((int64_t)(127 - format->bias) << 23)), 23 - m);
    /* Adding a power of two whose last bit is the subnormal unit rounds to that unit. */
    LLVMValueRef const unit = emit_real(float_type, ldexp(1, 1 - format->bias - m + 23));
    LLVMValueRef const sum = LLVMBuildFAdd(builder, to_float(lanes, magnitude), unit, "");
    LLVMValueRef const subnormal = LLVMBuildSub(builder, to_bits(lanes, sum), to_bits(lanes, unit), "");
    LLVMValueRef code =
        choose(lanes, test(lanes, LLVMIntULT, magnitude, (int64_t)(128 - format->bias) << 23), subnormal, normal);
    code = choose_constant(lanes, test(lanes, LLVMIntUGT, code, format->largest), format->overflow, code);
    LLVMValueRef const negative = test(lanes, LLVMIntSLT, bits, 0);
    LLVMValueRef sign = choose_constant(lanes, negative, format->sign, emit_int(lanes->type, 0));
    LLVMValueRef const is_nan = test(lanes, LLVMIntUGT, magnitude, 0x7f800000);
    LLVMValueRef const nan = format->nan_has_sign ? LLVMBuildOr(builder, sign, emit_int(lanes->type, format->nan), "")
                                                  : emit_int(lanes->type, format->nan);
    if (!format->zero_has_sign)
        sign = choose_constant(lanes, test(lanes, LLVMIntEQ, code, 0), 0, sign);
    return choose(lanes, is_nan, nan, LLVMBuildOr(builder, code, sign, ""));
}

static LLVMValueRef narrow(Emitter *emitter, LLVMValueRef value, Dtype to)
{
    if (to == DTYPE_F16)
        return narrow_f16(emitter, value);
    const Lanes lanes = lanes_of(emitter, value, 32);
    LLVMValueRef const bits = to_bits(&lanes, value);
    LLVMValueRef const code = to == DTYPE_BF16     ? narrow_bf16(&lanes, bits)
                              : to == DTYPE_F8E8M0 ? narrow_e8m0(&lanes, bits)
                                                   : narrow_format(&lanes, bits, format_of(to));
    return LLVMBuildTrunc(emitter->builder, code, emit_type(emitter, to, lanes.count), "");
}

/* ---- rounding to odd: cut toward zero, and the last bit set when anything was cut ---- */

/* `rounded` is the nearest value; `too_large`: its magnitude exceeds the exact one; `inexact`: they differ. */
static LLVMValueRef make_odd(const Lanes *lanes, LLVMValueRef rounded, LLVMValueRef too_large, LLVMValueRef inexact)
{
    LLVMValueRef bits = to_bits(lanes, rounded);
    bits = choose(lanes, too_large, add(lanes, bits, -1), bits);
    LLVMValueRef const odd = LLVMBuildOr(lanes->builder, bits, emit_int(lanes->type, 1), "");
    return LLVMBuildBitCast(lanes->builder, choose(lanes, inexact, odd, bits), LLVMTypeOf(rounded), "");
}

static LLVMValueRef odd_float_of_double(Emitter *emitter, LLVMValueRef value)
{
    const Lanes lanes = lanes_of(emitter, value, 32);
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const wide = LLVMTypeOf(value);
    LLVMValueRef const rounded = LLVMBuildFPTrunc(builder, value, emit_type(emitter, DTYPE_F32, lanes.count), "");
    LLVMValueRef const back = LLVMBuildFPExt(builder, rounded, wide, "");
    LLVMValueRef const too_large =
        LLVMBuildFCmp(builder, LLVMRealOGT, emit_intrinsic(emitter, "llvm.fabs", &wide, 1, &back, 1),
                      emit_intrinsic(emitter, "llvm.fabs", &wide, 1, &value, 1), "");
    return make_odd(&lanes, rounded, too_large, LLVMBuildFCmp(builder, LLVMRealONE, back, value, ""));
}

/* x = high * 2^32 + low, both parts exact doubles; the error of their rounded sum is exact too (Dekker's fast two-sum).
 */
static LLVMValueRef odd_double_of_int64(Emitter *emitter, LLVMValueRef value, bool is_signed)
{
    const Lanes lanes = lanes_of(emitter, value, 64);
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const type = emit_type(emitter, DTYPE_F64, lanes.count);
    LLVMValueRef const low = LLVMBuildUIToFP(builder, and(&lanes, value, UINT32_MAX), type, "");
    LLVMValueRef const top =
        is_signed ? LLVMBuildAShr(builder, value, emit_int(lanes.type, 32), "") : shift_right(&lanes, value, 32);
    LLVMValueRef const top_real =
        is_signed ? LLVMBuildSIToFP(builder, top, type, "") : LLVMBuildUIToFP(builder, top, type, "");
    LLVMValueRef const high = LLVMBuildFMul(builder, top_real, emit_real(type, 0x1p32), "");
    LLVMValueRef const sum = LLVMBuildFAdd(builder, high, low, "");
    LLVMValueRef const error = LLVMBuildFSub(builder, low, LLVMBuildFSub(builder, sum, high, ""), "");
    LLVMValueRef const zero = emit_real(type, 0);
    LLVMValueRef const inexact = LLVMBuildFCmp(builder, LLVMRealONE, error, zero, "");
    LLVMValueRef const signs = LLVMBuildXor(builder, LLVMBuildFCmp(builder, LLVMRealOLT, error, zero, ""),
                                            LLVMBuildFCmp(builder, LLVMRealOLT, sum, zero, ""), "");
    return make_odd(&lanes, sum, LLVMBuildAnd(builder, inexact, signs, ""), inexact);
}

/* ---- between core types ---- */

/* Saturating: clamped as a float first, so that the conversion itself is in range. `value_bits` and is_signed give the
 * integer's range, `bits` the width of the result. Where the largest integer is no float, what lies beyond is chosen
 * afterwards. */
static LLVMValueRef int_of_float(Emitter *emitter, LLVMValueRef value, int precision, int value_bits, bool is_signed,
                                 int bits)
{
    LLVMBuilderRef const builder = emitter->builder;
    LLVMTypeRef const type = LLVMTypeOf(value);
    const int count = emit_lanes(value), magnitude_bits = value_bits - is_signed;
    const bool exact_top = magnitude_bits <= precision;
    const double top = ldexp(1, magnitude_bits);
    const double high = exact_top ? top - 1 : top - ldexp(1, magnitude_bits - precision), low = is_signed ? -top : 0;
    LLVMValueRef const lowest = emit_real(type, low), highest = emit_real(type, high);
    LLVMValueRef clamped =
        LLVMBuildSelect(builder, LLVMBuildFCmp(builder, LLVMRealOGT, value, lowest, ""), value, lowest, "");
    clamped = LLVMBuildSelect(builder, LLVMBuildFCmp(builder, LLVMRealOLT, clamped, highest, ""), clamped, highest, "");
    /* Narrow results go through 32 bits, which have vector instructions. */
    LLVMTypeRef const wide = emit_int_type(emitter, bits < 32 ? 32 : bits, count);
    LLVMValueRef result = is_signed || bits < 32 ? LLVMBuildFPToSI(builder, clamped, wide, "")
                                                 : LLVMBuildFPToUI(builder, clamped, wide, "");
    if (!exact_top) {
        LLVMValueRef const beyond = LLVMBuildFCmp(builder, LLVMRealOGE, value, emit_real(type, top), "");
        LLVMValueRef const largest =
            is_signed ? emit_int(wide, (int64_t)(UINT64_MAX >> (65 - bits))) : emit_int(wide, -1);
        result = LLVMBuildSelect(builder, beyond, largest, result, "");
    }
    /* Without a sign the clamp has made NaN 0 already; but elsewhere than on x86 LLVM takes it for the machine's
     * maximum, which leaves signalling NaN a NaN. */
    if (is_signed || !emit_is_x86(emitter))
        result = LLVMBuildSelect(builder, LLVMBuildFCmp(builder, LLVMRealUNO, value, value, ""), emit_int(wide, 0),
                                 result, "");
    return bits < 32 ? LLVMBuildTrunc(builder, result, emit_int_type(emitter, bits, count), "") : result;
}

static LLVMValueRef core_of_float(Emitter *emitter, LLVMValueRef value, Dtype from, Dtype to)
{
    const int count = emit_lanes(value), precision = from == DTYPE_F32 ? 24 : 53;
    LLVMTypeRef const type = emit_type(emitter, to, count);
    if (to == DTYPE_BOOL)
        return LLVMBuildFCmp(emitter->builder, LLVMRealUNE, value, emit_real(LLVMTypeOf(value), 0), "");
    if (to == DTYPE_F64)
        return LLVMBuildFPExt(emitter->builder, value, type, "");
    if (to == DTYPE_F32)
        return LLVMBuildFPTrunc(emitter->builder, value, type, "");
    const int bits = dtype_info[to].bits;
    return int_of_float(emitter, value, precision, bits, dtype_is_signed(to), bits < 8 ? 8 : bits);
}

static LLVMValueRef core_of_integer(Emitter *emitter, LLVMValueRef value, Dtype from, Dtype to)
{
    LLVMTypeRef const type = emit_type(emitter, to, emit_lanes(value));
    if (to == DTYPE_BOOL)
        return LLVMBuildICmp(emitter->builder, LLVMIntNE, value, emit_int(LLVMTypeOf(value), 0), "");
    if (dtype_is_float(to))
        return dtype_is_signed(from) ? LLVMBuildSIToFP(emitter->builder, value, type, "")
                                     : LLVMBuildUIToFP(emitter->builder, value, type, "");
    return LLVMBuildIntCast2(emitter->builder, value, type, dtype_is_signed(from), "");
}

static LLVMValueRef core(Emitter *emitter, LLVMValueRef value, Dtype from, Dtype to)
{
    if (from == to)
        return value;
    return dtype_is_float(from) ? core_of_float(emitter, value, from, to) : core_of_integer(emitter, value, from, to);
}

/* ---- routes ---- */

/* An f32 that narrows to a small float as the exact value would. */
static LLVMValueRef float_to_narrow(Emitter *emitter, LLVMValueRef value, Dtype from)
{
    const int bits = dtype_info[from].bits;
    if (from == DTYPE_F32 || from == DTYPE_BOOL || (!dtype_is_float(from) && bits <= 16))
        return core(emitter, value, from, DTYPE_F32);
    LLVMValueRef const wide = from == DTYPE_F64 ? value
                              : bits == 32      ? core(emitter, value, from, DTYPE_F64)
                                                : odd_double_of_int64(emitter, value, dtype_is_signed(from));
    return odd_float_of_double(emitter, wide);
}

static bool is_small_float(Dtype dtype)
{
    return dtype_is_float(dtype) && dtype_info[dtype].bits < 32;
}

static bool is_small_integer(Dtype dtype)
{
    return dtype_is_integer(dtype) && dtype_info[dtype].bits < 8;
}

LLVMValueRef emit_extend(Emitter *emitter, LLVMValueRef byte, Dtype to)
{
    LLVMTypeRef const type = LLVMTypeOf(byte);
    const int bits = dtype_info[to].bits;
    if (!dtype_is_signed(to))
        return LLVMBuildAnd(emitter->builder, byte, emit_int(type, (1 << bits) - 1), "");
    LLVMValueRef const up = LLVMBuildShl(emitter->builder, byte, emit_int(type, 8 - bits), "");
    return LLVMBuildAShr(emitter->builder, up, emit_int(type, 8 - bits), "");
}

/* Indices convert as integers of their width; where that is 32 bits the values are known to fit. */
LLVMValueRef emit_cast(Emitter *emitter, LLVMValueRef value, Dtype from, Dtype to)
{
    const Dtype index = emitter->index_bits == 32 ? DTYPE_I32 : DTYPE_I64;
    if (from == to)
        return value;
    from = from == DTYPE_INDEX ? index : from;
    to = to == DTYPE_INDEX ? index : to;
    from = from == DTYPE_STRING ? DTYPE_U64 : from; /* a handle */
    to = to == DTYPE_STRING ? DTYPE_U64 : to;
    if (from == to)
        return value;
    if (is_small_integer(from))
        from = dtype_is_signed(from) ? DTYPE_I8 : DTYPE_U8;
    if (is_small_float(from)) {
        value = widen(emitter, value, from);
        from = DTYPE_F32;
    }
    if (is_small_float(to))
        return narrow(emitter, float_to_narrow(emitter, value, from), to);
    if (is_small_integer(to) && !dtype_is_float(from))
        return emit_extend(emitter, core(emitter, value, from, DTYPE_U8), to);
    return core(emitter, value, from, to);
}
