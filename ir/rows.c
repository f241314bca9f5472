/* Rows of scalar arithmetic: what one element gives stands in the small functions below, the loops over them in
 * ir/rows.inc. On x86-64 the loops exist twice, plainly and for AVX2 with FMA; which one is used changes the time,
 * never a bit. */
#if defined(__GNUC__) && !defined(__clang__)
/* sqrt need not set errno and comparisons need not trap, or neither would vectorise; a*b+c must not become fma unasked.
 */
#pragma GCC optimize("O3", "no-math-errno", "no-trapping-math", "fp-contract=off")
#define ROW_INDEPENDENT _Pragma("GCC ivdep")
#else
#define ROW_INDEPENDENT
#endif

#include "ir/rows.h"

#include <math.h>
#include <string.h>

/* ---- one element: integers ---- */

/* BITS: the width; MINIMUM: the value whose division by -1 would overflow. */
#define SIGNED_ELEMENT(D, T, U, BITS, MINIMUM)                                                                         \
    static inline T divide_##D(T x, T y)                                                                               \
    {                                                                                                                  \
        return y == 0 ? 0 : y == -1 ? (T)(0 - (U)x) : (T)(x / y);                                                      \
    }                                                                                                                  \
    static inline T remainder_##D(T x, T y)                                                                            \
    {                                                                                                                  \
        return y == 0 || y == -1 ? 0 : (T)(x % y);                                                                     \
    }                                                                                                                  \
    static inline T floor_divide_##D(T x, T y)                                                                         \
    {                                                                                                                  \
        const T quotient = divide_##D(x, y);                                                                           \
        return remainder_##D(x, y) != 0 && (x < 0) != (y < 0) ? (T)(quotient - 1) : quotient;                          \
    }                                                                                                                  \
    static inline T modulo_##D(T x, T y)                                                                               \
    {                                                                                                                  \
        const T rest = remainder_##D(x, y);                                                                            \
        return rest != 0 && (rest < 0) != (y < 0) ? (T)(rest + y) : rest;                                              \
    }                                                                                                                  \
    static inline T absolute_##D(T x)                                                                                  \
    {                                                                                                                  \
        return x < 0 ? (T)(0 - (U)x) : x;                                                                              \
    }                                                                                                                  \
    static inline T shift_left_##D(T x, T y)                                                                           \
    {                                                                                                                  \
        return (U)y >= BITS ? 0 : (T)((U)x << ((U)y & (BITS - 1)));                                                    \
    }                                                                                                                  \
    static inline T shift_right_##D(T x, T y)                                                                          \
    {                                                                                                                  \
        return (T)(x >> ((U)y >= BITS ? BITS - 1 : (U)y));                                                             \
    }

#define UNSIGNED_ELEMENT(D, T, BITS)                                                                                   \
    static inline T divide_##D(T x, T y)                                                                               \
    {                                                                                                                  \
        return y == 0 ? 0 : (T)(x / y);                                                                                \
    }                                                                                                                  \
    static inline T remainder_##D(T x, T y)                                                                            \
    {                                                                                                                  \
        return y == 0 ? 0 : (T)(x % y);                                                                                \
    }                                                                                                                  \
    static inline T floor_divide_##D(T x, T y)                                                                         \
    {                                                                                                                  \
        return divide_##D(x, y);                                                                                       \
    }                                                                                                                  \
    static inline T modulo_##D(T x, T y)                                                                               \
    {                                                                                                                  \
        return remainder_##D(x, y);                                                                                    \
    }                                                                                                                  \
    static inline T absolute_##D(T x)                                                                                  \
    {                                                                                                                  \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline T shift_left_##D(T x, T y)                                                                           \
    {                                                                                                                  \
        return y >= BITS ? 0 : (T)((T)x << (y & (BITS - 1)));                                                          \
    }                                                                                                                  \
    static inline T shift_right_##D(T x, T y)                                                                          \
    {                                                                                                                  \
        return y >= BITS ? 0 : (T)(x >> (y & (BITS - 1)));                                                             \
    }

SIGNED_ELEMENT(I8, int8_t, uint8_t, 8, INT8_MIN)
SIGNED_ELEMENT(I16, int16_t, uint16_t, 16, INT16_MIN)
SIGNED_ELEMENT(I32, int32_t, uint32_t, 32, INT32_MIN)
SIGNED_ELEMENT(I64, int64_t, uint64_t, 64, INT64_MIN)
UNSIGNED_ELEMENT(U8, uint8_t, 8)
UNSIGNED_ELEMENT(U16, uint16_t, 16)
UNSIGNED_ELEMENT(U32, uint32_t, 32)
UNSIGNED_ELEMENT(U64, uint64_t, 64)

/* ---- one element: floats ---- */

/* F: the suffix of the C library's functions; U: an unsigned integer of the same width. */
#define FLOAT_ELEMENT(D, T, U, F)                                                                                      \
    static inline U bits_##D(T x)                                                                                      \
    {                                                                                                                  \
        U bits;                                                                                                        \
        memcpy(&bits, &x, sizeof bits);                                                                                \
        return bits;                                                                                                   \
    }                                                                                                                  \
    static inline T of_bits_##D(U bits)                                                                                \
    {                                                                                                                  \
        T x;                                                                                                           \
        memcpy(&x, &bits, sizeof x);                                                                                   \
        return x;                                                                                                      \
    }                                                                                                                  \
    static inline T remainder_##D(T x, T y)                                                                            \
    {                                                                                                                  \
        return fmod##F(x, y);                                                                                          \
    }                                                                                                                  \
    static inline T modulo_##D(T x, T y)                                                                               \
    {                                                                                                                  \
        const T rest = fmod##F(x, y);                                                                                  \
        if (rest == 0)                                                                                                 \
            return copysign##F(0, y);                                                                                  \
        return (rest < 0) != (y < 0) ? rest + y : rest;                                                                \
    }                                                                                                                  \
    /* Equal values differ in bits only when they are zeros of different sign. */                                      \
    static inline T minimum_##D(T x, T y)                                                                              \
    {                                                                                                                  \
        const T equal = of_bits_##D(bits_##D(x) | bits_##D(y));                                                        \
        return x < y ? x : x > y ? y : x == y ? equal : x + y;                                                         \
    }                                                                                                                  \
    static inline T maximum_##D(T x, T y)                                                                              \
    {                                                                                                                  \
        const T equal = of_bits_##D(bits_##D(x) & bits_##D(y));                                                        \
        return x > y ? x : x < y ? y : x == y ? equal : x + y;                                                         \
    }                                                                                                                  \
    static inline T fused_##D(T x, T y, T z)                                                                           \
    {                                                                                                                  \
        return __builtin_fma##F(x, y, z);                                                                              \
    }                                                                                                                  \
    static inline T absolute_##D(T x)                                                                                  \
    {                                                                                                                  \
        return fabs##F(x);                                                                                             \
    }                                                                                                                  \
    static inline T root_##D(T x)                                                                                      \
    {                                                                                                                  \
        return sqrt##F(x);                                                                                             \
    }                                                                                                                  \
    static inline T floor_##D(T x)                                                                                     \
    {                                                                                                                  \
        return floor##F(x);                                                                                            \
    }                                                                                                                  \
    static inline T ceiling_##D(T x)                                                                                   \
    {                                                                                                                  \
        return ceil##F(x);                                                                                             \
    }                                                                                                                  \
    static inline T truncate_##D(T x)                                                                                  \
    {                                                                                                                  \
        return trunc##F(x);                                                                                            \
    }                                                                                                                  \
    static inline T nearest_##D(T x)                                                                                   \
    {                                                                                                                  \
        return rint##F(x);                                                                                             \
    }                                                                                                                  \
    static inline T copy_sign_##D(T x, T y)                                                                            \
    {                                                                                                                  \
        return copysign##F(x, y);                                                                                      \
    }                                                                                                                  \
    static inline bool infinite_##D(T x)                                                                               \
    {                                                                                                                  \
        return fabs##F(x) == (T)INFINITY;                                                                              \
    }

FLOAT_ELEMENT(F32, float, uint32_t, f)
FLOAT_ELEMENT(F64, double, uint64_t, )

/* ---- the loops ---- */

#define ROW_NAME(name) plain_##name
#define ROW_TARGET
#include "ir/rows.inc"
#undef ROW_NAME
#undef ROW_TARGET

#if defined(__x86_64__) && defined(__GNUC__)
#define ROW_NAME(name) wide_##name
#define ROW_TARGET     __attribute__((target("avx2,fma")))
#include "ir/rows.inc"
#undef ROW_NAME
#undef ROW_TARGET
static bool cpu_is_wide(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#else
#define wide_table        plain_table
#define wide_select_table plain_select_table
static bool cpu_is_wide(void)
{
    return false;
}
#endif

/* Moves by element size do not depend on the instruction set. */
#define SPLAT(T)                                                                                                       \
    static void splat_##T(void *to, const void *a, const void *b, const void *c, int lanes)                            \
    {                                                                                                                  \
        T *const result = to;                                                                                          \
        const T element = *(const T *)a;                                                                               \
        (void)b, (void)c;                                                                                              \
        for (int i = 0; i < lanes; i++)                                                                                \
            result[i] = element;                                                                                       \
    }
#define COPY(T)                                                                                                        \
    static void copy_##T(void *to, const void *a, const void *b, const void *c, int lanes)                             \
    {                                                                                                                  \
        (void)b, (void)c;                                                                                              \
        memmove(to, a, (size_t)lanes * sizeof(T));                                                                     \
    }
SPLAT(uint8_t)
SPLAT(uint16_t)
SPLAT(uint32_t)
SPLAT(uint64_t)
COPY(uint8_t)
COPY(uint16_t)
COPY(uint32_t)
COPY(uint64_t)
static RowFunction *const splat_table[4] = {splat_uint8_t, splat_uint16_t, splat_uint32_t, splat_uint64_t};
static RowFunction *const copy_table[4] = {copy_uint8_t, copy_uint16_t, copy_uint32_t, copy_uint64_t};

int row_bytes(Dtype dtype)
{
    return dtype_info[dtype].bits <= 8 ? 1 : dtype_info[dtype].bits / 8;
}

static int size_class(Dtype dtype)
{
    const int bytes = row_bytes(dtype);
    return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

RowFunction *row_find(Op op, Dtype operand)
{
    if (!op_is_scalar(op) || operand == DTYPE_NONE || operand == DTYPE_STRING)
        return NULL;
    const bool wide = cpu_is_wide();
    if (op == OP_select)
        return (wide ? wide_select_table : plain_select_table)[size_class(operand)];
    if (op == OP_bitcast)
        return copy_table[size_class(operand)];
    return (wide ? wide_table : plain_table)[op - OP_SCALAR_FIRST][operand];
}

void row_dot(void *to, const void *a, const void *b, const void *c, int lanes)
{
    const uint8_t *const bytes = b;
    const int8_t *terms = c;
    for (int i = 0; i < lanes; i++, terms += DOT_TERMS) {
        int32_t sum = 0;
        for (int j = 0; j < DOT_TERMS; j++)
            sum += bytes[j] * terms[j];
        ((uint32_t *)to)[i] = ((const uint32_t *)a)[i] + (uint32_t)sum;
    }
}

RowFunction *row_splat(Dtype dtype)
{
    return splat_table[size_class(dtype)];
}
