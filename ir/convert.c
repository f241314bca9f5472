/* Casts: every pair of dtypes in at most three loops, each value rounded once.
 *
 * Core types (f32, f64, integers of whole bytes, bool) convert directly. Small floats widen exactly to f32 and are
 * narrowed from f32 or f64, so an integer travels to them through a float that holds it exactly, or, when it has more
 * than 53 bits, through an f64 rounded to odd, which keeps the later rounding right. Small integers are bytes: reading
 * one is reading a byte.
 *
 * Narrowing rounds to nearest even. Out of range: f16 and bf16 give infinity; f8 and f4 saturate to the largest finite
 * value, infinity too (ONNX's Cast with saturate = 1). NaN stays NaN where the format has one; in f4 it becomes 0.
 * f8e8m0 rounds halves up, as its significand of one bit demands; zero gives its least value, negative values, infinity
 * and NaN give NaN. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math", "fp-contract=off")
#define ROW_INDEPENDENT _Pragma("GCC ivdep")
#else
#define ROW_INDEPENDENT
#endif

#include "ir/rows.h"

#include <math.h>
#include <string.h>

#define CAST_LOOP(name, R, T, expression)                                                                              \
    static void name(void *to, const void *a, const void *b, const void *c, int lanes)                                 \
    {                                                                                                                  \
        R *const result = to;                                                                                          \
        const T *const xs = a;                                                                                         \
        (void)b, (void)c;                                                                                              \
        ROW_INDEPENDENT for (int i = 0; i < lanes; i++)                                                                \
        {                                                                                                              \
            const T x = xs[i];                                                                                         \
            result[i] = (R)(expression);                                                                               \
        }                                                                                                              \
    }

/* ---- core types ---- */

/* CORE_TYPE(dtype, C type) */
#define INTEGER_TYPES(X)                                                                                               \
    X(I8, int8_t)                                                                                                      \
    X(U8, uint8_t) X(I16, int16_t) X(U16, uint16_t) X(I32, int32_t) X(U32, uint32_t) X(I64, int64_t) X(U64, uint64_t)
#define CORE_TYPES(X) INTEGER_TYPES(X) X(F32, float) X(F64, double) X(BOOL, uint8_t)

/* To up to 32 bits all of double's clamped range is exact, so truncating after the clamp saturates. */
static inline double clamp(double x, double low, double high)
{
    x = x == x ? x : 0.0;
    x = x < low ? low : x;
    return x > high ? high : x;
}
static inline int64_t saturate_i64(double x)
{
    x = x == x ? x : 0.0;
    return x >= 0x1p63 ? INT64_MAX : x <= -0x1p63 ? INT64_MIN : (int64_t)x;
}
static inline uint64_t saturate_u64(double x)
{
    x = x > 0.0 ? x : 0.0;
    return x >= 0x1p64 ? UINT64_MAX : (uint64_t)x;
}

#define TO_F32(D, T)  CAST_LOOP(F32_from_##D, float, T, x)
#define TO_F64(D, T)  CAST_LOOP(F64_from_##D, double, T, x)
#define TO_BOOL(D, T) CAST_LOOP(BOOL_from_##D, uint8_t, T, x != 0)
CORE_TYPES(TO_F32)
CORE_TYPES(TO_F64)
CORE_TYPES(TO_BOOL)

#define TO_INTEGER(R, RT, D, T)  CAST_LOOP(R##_from_##D, RT, T, x)
#define TO_I8(D, T)              TO_INTEGER(I8, int8_t, D, T)
#define TO_U8(D, T)              TO_INTEGER(U8, uint8_t, D, T)
#define TO_I16(D, T)             TO_INTEGER(I16, int16_t, D, T)
#define TO_U16(D, T)             TO_INTEGER(U16, uint16_t, D, T)
#define TO_I32(D, T)             TO_INTEGER(I32, int32_t, D, T)
#define TO_U32(D, T)             TO_INTEGER(U32, uint32_t, D, T)
#define TO_I64(D, T)             TO_INTEGER(I64, int64_t, D, T)
#define TO_U64(D, T)             TO_INTEGER(U64, uint64_t, D, T)
#define FROM_INTEGER_OR_BOOL(TO) INTEGER_TYPES(TO) TO(BOOL, uint8_t)
FROM_INTEGER_OR_BOOL(TO_I8)
FROM_INTEGER_OR_BOOL(TO_U8)
FROM_INTEGER_OR_BOOL(TO_I16)
FROM_INTEGER_OR_BOOL(TO_U16)
FROM_INTEGER_OR_BOOL(TO_I32)
FROM_INTEGER_OR_BOOL(TO_U32)
FROM_INTEGER_OR_BOOL(TO_I64)
FROM_INTEGER_OR_BOOL(TO_U64)

#define SATURATE(R, RT, low, high)                                                                                     \
    CAST_LOOP(R##_from_F32, RT, float, clamp((double)x, low, high))                                                    \
    CAST_LOOP(R##_from_F64, RT, double, clamp(x, low, high))
SATURATE(I8, int8_t, INT8_MIN, INT8_MAX)
SATURATE(U8, uint8_t, 0, UINT8_MAX)
SATURATE(I16, int16_t, INT16_MIN, INT16_MAX)
SATURATE(U16, uint16_t, 0, UINT16_MAX)
SATURATE(I32, int32_t, INT32_MIN, INT32_MAX)
SATURATE(U32, uint32_t, 0, UINT32_MAX)
CAST_LOOP(I64_from_F32, int64_t, float, saturate_i64((double)x))
CAST_LOOP(I64_from_F64, int64_t, double, saturate_i64(x))
CAST_LOOP(U64_from_F32, uint64_t, float, saturate_u64((double)x))
CAST_LOOP(U64_from_F64, uint64_t, double, saturate_u64(x))

#define CORE_ENTRY(R, D) [DTYPE_##D] = R##_from_##D
#define CORE_ROW(R)                                                                                                    \
    [DTYPE_##R] = {CORE_ENTRY(R, I8),  CORE_ENTRY(R, U8),  CORE_ENTRY(R, I16), CORE_ENTRY(R, U16),                     \
                   CORE_ENTRY(R, I32), CORE_ENTRY(R, U32), CORE_ENTRY(R, I64), CORE_ENTRY(R, U64),                     \
                   CORE_ENTRY(R, F32), CORE_ENTRY(R, F64), CORE_ENTRY(R, BOOL)}
static RowFunction *const core_table[DTYPE_COUNT][DTYPE_COUNT] = {
    CORE_ROW(I8),  CORE_ROW(U8),  CORE_ROW(I16), CORE_ROW(U16), CORE_ROW(I32),  CORE_ROW(U32),
    CORE_ROW(I64), CORE_ROW(U64), CORE_ROW(F32), CORE_ROW(F64), CORE_ROW(BOOL),
};

/* Rounds to odd: the last of 53 bits says whether anything was cut off. */
static inline double odd_double(uint64_t magnitude)
{
    if (magnitude >> 53 == 0)
        return (double)magnitude;
    const int cut = 11 - __builtin_clzll(magnitude);
    const uint64_t rest = magnitude & ((UINT64_C(1) << cut) - 1);
    return ldexp((double)(magnitude >> cut | (rest != 0)), cut);
}
CAST_LOOP(odd_from_I64, double, int64_t, x < 0 ? -odd_double(0 - (uint64_t)x) : odd_double((uint64_t)x))
CAST_LOOP(odd_from_U64, double, uint64_t, odd_double(x))

/* ---- small floats ---- */

typedef struct FloatFormat {
    int mantissa, bias;
    uint32_t sign, largest, overflow; /* bit of the sign; codes of the largest finite value and of what lies beyond */
    uint32_t nan;
    bool nan_has_sign, zero_has_sign;
} FloatFormat;

static const FloatFormat f16_format = {10, 15, 0x8000, 0x7bff, 0x7c00, 0x7e00, true, true};
static const FloatFormat bf16_format = {7, 127, 0x8000, 0x7f7f, 0x7f80, 0x7fc0, true, true};
static const FloatFormat e4m3fn_format = {3, 7, 0x80, 0x7e, 0x7e, 0x7f, true, true};
static const FloatFormat e4m3fnuz_format = {3, 8, 0x80, 0x7f, 0x7f, 0x80, false, false};
static const FloatFormat e5m2_format = {2, 15, 0x80, 0x7b, 0x7b, 0x7e, true, true};
static const FloatFormat e5m2fnuz_format = {2, 16, 0x80, 0x7f, 0x7f, 0x80, false, false};
static const FloatFormat e2m1_format = {1, 1, 0x8, 0x7, 0x7, 0x0, false, true};

static inline uint64_t double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline float bits_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t narrow(double x, FloatFormat format)
{
    const uint64_t bits = double_bits(x), magnitude = bits & INT64_MAX;
    const uint32_t sign = bits >> 63 ? format.sign : 0;
    if (x != x)
        return format.nan | (format.nan_has_sign ? sign : 0);
    const int exponent = (int)(magnitude >> 52) - 1023 + format.bias; /* as the format stores it; below 1: subnormal */
    uint32_t code = 0;
    if (exponent > -64) { /* else far below half the least value */
        const uint64_t significand = (magnitude & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
        const int cut = 52 - format.mantissa + (exponent < 1 ? 1 - exponent : 0);
        const uint64_t rounded =
            cut > 54 ? 0 : (significand + (UINT64_C(1) << (cut - 1)) - 1 + (significand >> cut & 1)) >> cut;
        const uint64_t whole = rounded + (exponent > 1 ? (uint64_t)(exponent - 1) << format.mantissa : 0);
        code = whole > format.largest ? format.overflow : (uint32_t)whole;
    }
    return code == 0 && !format.zero_has_sign ? 0 : code | sign;
}

/* 2^(code - 127), 255 NaN. */
static inline uint32_t narrow_e8m0(double x)
{
    const uint64_t bits = double_bits(x);
    if (x != x || x < 0 || x == INFINITY)
        return 0xff;
    /* Adding half of the significand's range carries into the exponent exactly when the value is at least half way up.
     */
    const int64_t code = (int64_t)((bits + (UINT64_C(1) << 51)) >> 52) - 1023 + 127;
    return code < 0 || x == 0 ? 0 : code > 0xfe ? 0xfe : (uint32_t)code;
}

/* f32 to f16 and bf16 without branches, so that the loops vectorise. */
static inline uint32_t half_of_float(float x)
{
    const uint32_t bits = float_bits(x), magnitude = bits & 0x7fffffff, sign = bits >> 16 & 0x8000;
    const uint32_t rebiased = magnitude - (112u << 23);
    const uint32_t normal = (rebiased + 0xfff + (rebiased >> 13 & 1)) >> 13;
    /* Adding 0.5 leaves multiples of 2^-24, the subnormal unit, in the low bits, rounded by the addition. */
    const uint32_t subnormal = float_bits(bits_float(magnitude) + 0.5f) - float_bits(0.5f);
    const uint32_t nan = 0x7e00 | (magnitude >> 13 & 0x3ff);
    uint32_t code = magnitude < 0x38800000 ? subnormal : normal;
    code = magnitude >= 0x47800000 ? 0x7c00 : code;
    code = magnitude > 0x7f800000 ? nan : code;
    return code | sign;
}
static inline uint32_t brain_of_float(float x)
{
    const uint32_t bits = float_bits(x);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded;
}

/* The NaN of the formats without infinity is their code above `largest` or their negative zero. */
static inline float widen(uint32_t code, FloatFormat format)
{
    const uint32_t magnitude = code & (format.sign - 1), sign = code & format.sign ? 0x80000000 : 0;
    const uint32_t significand = magnitude & ((1u << format.mantissa) - 1);
    const int exponent = (int)(magnitude >> format.mantissa);
    if (!format.nan_has_sign && format.nan == code && format.nan)
        return NAN;
    if (magnitude > format.largest) /* infinity has no significand */
        return bits_float(sign | 0x7f800000 | (significand ? 0x400000 | significand << (23 - format.mantissa) : 0));
    if (exponent == 0)
        return bits_float(sign | float_bits(ldexpf((float)significand, 1 - format.bias - format.mantissa)));
    return bits_float(sign | (uint32_t)(exponent - format.bias + 127) << 23 | significand << (23 - format.mantissa));
}
static inline float float_of_half(uint16_t code)
{
    /* A float with the half's fields read as its own is 2^112 too small, subnormals included. */
    const uint32_t magnitude = code & 0x7fff, sign = (uint32_t)(code & 0x8000) << 16;
    const uint32_t finite = float_bits(bits_float(magnitude << 13) * 0x1p112f);
    const uint32_t special = 0x7f800000 | magnitude << 13 | (magnitude > 0x7c00 ? 0x400000 : 0);
    return bits_float(sign | (magnitude >= 0x7c00 ? special : finite));
}

CAST_LOOP(F32_from_F16, float, uint16_t, float_of_half(x))
CAST_LOOP(F32_from_BF16, float, uint16_t, bits_float((uint32_t)x << 16))
CAST_LOOP(F32_from_E4M3FN, float, uint8_t, widen(x, e4m3fn_format))
CAST_LOOP(F32_from_E4M3FNUZ, float, uint8_t, widen(x, e4m3fnuz_format))
CAST_LOOP(F32_from_E5M2, float, uint8_t, widen(x, e5m2_format))
CAST_LOOP(F32_from_E5M2FNUZ, float, uint8_t, widen(x, e5m2fnuz_format))
CAST_LOOP(F32_from_E8M0, float, uint8_t, bits_float(x == 0xff ? 0x7fc00000 : x == 0 ? 0x400000 : (uint32_t)x << 23))
CAST_LOOP(F32_from_E2M1, float, uint8_t, widen(x & 0xf, e2m1_format))

#define NARROW(S, R, format)                                                                                           \
    CAST_LOOP(S##_from_F32, R, float, narrow((double)x, format))                                                       \
    CAST_LOOP(S##_from_F64, R, double, narrow(x, format))
CAST_LOOP(F16_from_F32, uint16_t, float, half_of_float(x))
CAST_LOOP(F16_from_F64, uint16_t, double, narrow(x, f16_format))
CAST_LOOP(BF16_from_F32, uint16_t, float, brain_of_float(x))
CAST_LOOP(BF16_from_F64, uint16_t, double, narrow(x, bf16_format))
NARROW(E4M3FN, uint8_t, e4m3fn_format)
NARROW(E4M3FNUZ, uint8_t, e4m3fnuz_format)
NARROW(E5M2, uint8_t, e5m2_format)
NARROW(E5M2FNUZ, uint8_t, e5m2fnuz_format)
NARROW(E2M1, uint8_t, e2m1_format)
CAST_LOOP(E8M0_from_F32, uint8_t, float, narrow_e8m0((double)x))
CAST_LOOP(E8M0_from_F64, uint8_t, double, narrow_e8m0(x))

/* ---- small integers: from a byte by wrapping, from f64 by saturating ---- */

CAST_LOOP(I4_from_I8, int8_t, uint8_t, ((x & 0xf) ^ 8) - 8)
CAST_LOOP(U4_from_I8, uint8_t, uint8_t, x & 0xf)
CAST_LOOP(I2_from_I8, int8_t, uint8_t, ((x & 0x3) ^ 2) - 2)
CAST_LOOP(U2_from_I8, uint8_t, uint8_t, x & 0x3)
CAST_LOOP(I4_from_F64, int8_t, double, clamp(x, -8, 7))
CAST_LOOP(U4_from_F64, uint8_t, double, clamp(x, 0, 15))
CAST_LOOP(I2_from_F64, int8_t, double, clamp(x, -2, 1))
CAST_LOOP(U2_from_F64, uint8_t, double, clamp(x, 0, 3))
CAST_LOOP(copy_8, uint8_t, uint8_t, x)

/* ---- routes ---- */

typedef struct SmallFloat {
    RowFunction *to_f32, *from_f32, *from_f64;
} SmallFloat;
#define SMALL_FLOAT(D, S) [DTYPE_##D] = {F32_from_##S, S##_from_F32, S##_from_F64}
static const SmallFloat small_floats[DTYPE_COUNT] = {
    SMALL_FLOAT(F16, F16),         SMALL_FLOAT(BF16, BF16),
    SMALL_FLOAT(F8E4M3FN, E4M3FN), SMALL_FLOAT(F8E4M3FNUZ, E4M3FNUZ),
    SMALL_FLOAT(F8E5M2, E5M2),     SMALL_FLOAT(F8E5M2FNUZ, E5M2FNUZ),
    SMALL_FLOAT(F8E8M0, E8M0),     SMALL_FLOAT(F4E2M1, E2M1),
};

typedef struct SmallInteger {
    Dtype byte; /* what its bytes read as */
    RowFunction *from_byte, *from_f64;
} SmallInteger;
static const SmallInteger small_integers[DTYPE_COUNT] = {
    [DTYPE_I4] = {DTYPE_I8, I4_from_I8, I4_from_F64},
    [DTYPE_U4] = {DTYPE_U8, U4_from_I8, U4_from_F64},
    [DTYPE_I2] = {DTYPE_I8, I2_from_I8, I2_from_F64},
    [DTYPE_U2] = {DTYPE_U8, U2_from_I8, U2_from_F64},
};

static Dtype push(RowCast *cast, RowFunction *step, Dtype dtype)
{
    cast->steps[cast->count] = step;
    cast->dtypes[cast->count++] = dtype;
    return dtype;
}

static Dtype push_core(RowCast *cast, Dtype to, Dtype from)
{
    return from == to ? from : push(cast, core_table[to][from], to);
}

/* The float type that `from` goes through to a small float without a second rounding. */
static Dtype push_float(RowCast *cast, Dtype from)
{
    if (from == DTYPE_F32 || from == DTYPE_F64)
        return from;
    if (from == DTYPE_I64 || from == DTYPE_U64)
        return push(cast, from == DTYPE_I64 ? odd_from_I64 : odd_from_U64, DTYPE_F64);
    return push_core(cast, dtype_info[from].bits == 32 ? DTYPE_F64 : DTYPE_F32, from);
}

RowCast row_cast(Dtype result, Dtype operand)
{
    RowCast cast = {0};
    if (result == DTYPE_NONE || operand == DTYPE_NONE)
        BUG("cast from %s to %s", dtype_info[operand].name, dtype_info[result].name);
    const Dtype to = result == DTYPE_INDEX ? DTYPE_I64 : result == DTYPE_STRING ? DTYPE_U64 : result;
    Dtype from = operand == DTYPE_INDEX ? DTYPE_I64 : operand == DTYPE_STRING ? DTYPE_U64 : operand;
    if (from == to && row_bytes(to) == 1) {
        push(&cast, copy_8, result);
        return cast;
    }
    if (from == to) {
        push(&cast, row_find(OP_bitcast, to), result);
        return cast;
    }
    if (small_integers[from].from_byte)
        from = small_integers[from].byte;
    else if (small_floats[from].to_f32)
        from = push(&cast, small_floats[from].to_f32, DTYPE_F32);
    if (small_floats[to].to_f32) {
        from = push_float(&cast, from);
        push(&cast, from == DTYPE_F32 ? small_floats[to].from_f32 : small_floats[to].from_f64, to);
    } else if (small_integers[to].from_byte) {
        from = push_core(&cast, dtype_is_float(from) ? DTYPE_F64 : small_integers[to].byte, from);
        push(&cast, from == DTYPE_F64 ? small_integers[to].from_f64 : small_integers[to].from_byte, to);
    } else {
        push_core(&cast, to, from);
    }
    if (cast.count == 0) /* the same bytes under another name: i4 read as i8 */
        push(&cast, row_find(OP_bitcast, to), to);
    cast.dtypes[cast.count - 1] = result;
    return cast;
}
