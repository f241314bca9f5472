/* Scalar arithmetic against NumPy and ml_dtypes (scalar_tables.h), and the defined edges of scalar.def one by one. */
#include "ir/rows.h"
#include "ir/scalar.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scalar_tables.h"

enum { LENGTH = 1024 };

static uint64_t fnv(uint64_t hash, const void *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    return hash;
}
static const uint64_t fnv_start = UINT64_C(0xcbf29ce484222325);

static void convert_row(Dtype to, Dtype from, void *result, const void *values, int lanes)
{
    static uint64_t middle[2][LENGTH];
    const RowCast cast = row_cast(to, from);
    const void *in = values;
    for (int i = 0; i < cast.count; i++) {
        void *const out = i == cast.count - 1 ? result : middle[i & 1];
        cast.steps[i](out, in, NULL, NULL, lanes);
        in = out;
    }
}

/* Codes of `lanes` values, NaN results made equal after a look that they are NaN. */
static uint64_t narrow_sum(uint64_t sum, Dtype dtype, Dtype from, const void *values, int lanes)
{
    uint16_t codes[LENGTH];
    float back[LENGTH];
    const int bytes = row_bytes(dtype);
    convert_row(dtype, from, codes, values, lanes);
    convert_row(DTYPE_F32, dtype, back, codes, lanes);
    for (int i = 0; i < lanes; i++) {
        const double value = from == DTYPE_F32 ? (double)((const float *)values)[i] : ((const double *)values)[i];
        if (!isnan(value))
            continue;
        if (dtype == DTYPE_F4E2M1)
            cr_assert_eq(back[i], 0.0f);
        else
            cr_assert(isnan(back[i]), "%s: NaN became %g", dtype_info[dtype].name, (double)back[i]);
        memset((char *)codes + i * bytes, dtype == DTYPE_F4E2M1 ? 0 : 0xff, (size_t)bytes);
    }
    return fnv(sum, codes, (size_t)(lanes * bytes));
}

Test(scalar, narrowing_equals_ml_dtypes)
{
    static const uint32_t low32[] = {0, 1, 0x1000, 0x7fff, 0x8000, 0x8001, 0xefff, 0xffff};
    static const uint64_t low64[] = {0, 1, UINT64_C(0x80000000000), UINT64_C(0xfffffffffff)};
    for (size_t row = 0; row < sizeof sweep_rows / sizeof *sweep_rows; row++) {
        const Sweep *const expected = &sweep_rows[row];
        uint64_t sum = fnv_start;
        for (uint32_t high = 0; high < 65536; high += LENGTH / 8) {
            uint32_t bits[LENGTH];
            float values[LENGTH];
            for (int i = 0; i < LENGTH; i++)
                bits[i] = (high + (uint32_t)i / 8) << 16 | low32[i % 8];
            memcpy(values, bits, sizeof values);
            sum = narrow_sum(sum, expected->dtype, DTYPE_F32, values, LENGTH);
        }
        cr_expect_eq(sum, expected->from_f32, "%s from f32", dtype_info[expected->dtype].name);
        sum = fnv_start;
        for (uint64_t high = 0; high < 1 << 20; high += LENGTH) {
            uint64_t bits[LENGTH];
            double values[LENGTH];
            for (uint64_t i = 0; i < LENGTH; i++)
                bits[i] = (high + i / 4 * 4) << 44 | low64[i % 4];
            memcpy(values, bits, sizeof values);
            sum = narrow_sum(sum, expected->dtype, DTYPE_F64, values, LENGTH);
        }
        cr_expect_eq(sum, expected->from_f64, "%s from f64", dtype_info[expected->dtype].name);
    }
}

Test(scalar, widening_equals_ml_dtypes)
{
    for (size_t row = 0; row < sizeof sweep_rows / sizeof *sweep_rows; row++) {
        const Dtype dtype = sweep_rows[row].dtype;
        uint64_t sum = fnv_start;
        for (uint32_t code = 0; code < 1u << dtype_info[dtype].bits; code++) {
            const uint64_t bits = code;
            uint32_t wide = (uint32_t)scalar_evaluate(OP_cast, DTYPE_F32, dtype, &bits);
            if ((wide & 0x7fffffff) > 0x7f800000)
                wide = 0xffffffff;
            sum = fnv(sum, &wide, sizeof wide);
            /* Back again it is the same code, but for NaN and the infinities that saturate. */
            if (wide == 0xffffffff || (wide & 0x7fffffff) == 0x7f800000)
                continue;
            const uint64_t float_bits = wide;
            cr_assert_eq(scalar_evaluate(OP_cast, dtype, DTYPE_F32, &float_bits), code, "%s %#x",
                         dtype_info[dtype].name, code);
        }
        cr_expect_eq(sum, sweep_rows[row].to_f32, "%s to f32", dtype_info[dtype].name);
    }
}

typedef struct Values {
    const uint64_t *bits;
    int count;
} Values;
#define VALUES(D) [DTYPE_##D] = {values_##D, (int)(sizeof values_##D / sizeof *values_##D)}
static const Values values_of[DTYPE_COUNT] = {VALUES(F32), VALUES(I8),  VALUES(U8), VALUES(I32),
                                              VALUES(U32), VALUES(I64), VALUES(U64)};

Test(scalar, arithmetic_equals_numpy)
{
    for (size_t row = 0; row < sizeof pairs_rows / sizeof *pairs_rows; row++) {
        const Pairs *const pairs = &pairs_rows[row];
        const Values values = values_of[pairs->dtype];
        const bool compares = pairs->op >= OP_eq && pairs->op <= OP_ge;
        const Dtype result = compares ? DTYPE_BOOL : pairs->dtype;
        uint64_t sum = fnv_start;
        for (int i = 0; i < values.count; i++)
            for (int j = 0; j < values.count; j++) {
                uint64_t bits =
                    scalar_evaluate(pairs->op, result, pairs->dtype, (uint64_t[]){values.bits[i], values.bits[j]});
                if (result == DTYPE_F32 && (bits & 0x7fffffff) > 0x7f800000)
                    bits = 0xffffffff;
                sum = fnv(sum, &bits, sizeof bits);
            }
        cr_expect_eq(sum, pairs->sum, "%s of %s", op_name(pairs->op), dtype_info[pairs->dtype].name);
    }
}

#define F32(x)                                                                                                         \
    ((union {                                                                                                          \
        float f;                                                                                                       \
        uint32_t u;                                                                                                    \
    }){x})                                                                                                             \
        .u
#define F64(x)                                                                                                         \
    ((union {                                                                                                          \
        double f;                                                                                                      \
        uint64_t u;                                                                                                    \
    }){x})                                                                                                             \
        .u
#define S(x) ((uint64_t)(int64_t)(x))
typedef struct Case {
    const char *what;
    Op op;
    Dtype result, operand;
    uint64_t in[3], out;
} Case;

Test(scalar, defined_edges)
{
    const Case cases[] = {
        {"fma rounds once",
         OP_fma,
         DTYPE_F32,
         DTYPE_F32,
         {F32(1.0f + 0x1p-12f), F32(1.0f + 0x1p-12f), F32(-1.0f - 0x1p-11f)},
         F32(0x1p-24f)},
        {"fma of f64 rounds once",
         OP_fma,
         DTYPE_F64,
         DTYPE_F64,
         {F64(1 + 0x1p-27), F64(1 + 0x1p-27), F64(-1 - 0x1p-26)},
         F64(0x1p-54)},
        {"f32 to i32 truncates", OP_cast, DTYPE_I32, DTYPE_F32, {F32(-2.9f)}, S(-2)},
        {"f32 to i32 saturates", OP_cast, DTYPE_I32, DTYPE_F32, {F32(3e9f)}, INT32_MAX},
        {"f32 to i32 saturates below", OP_cast, DTYPE_I32, DTYPE_F32, {F32(-INFINITY)}, S(INT32_MIN)},
        {"NaN to i32", OP_cast, DTYPE_I32, DTYPE_F32, {F32(NAN)}, 0},
        {"f32 to u8", OP_cast, DTYPE_U8, DTYPE_F32, {F32(255.9f)}, 255},
        {"negative f32 to u8", OP_cast, DTYPE_U8, DTYPE_F32, {F32(-5.0f)}, 0},
        {"f32 to i64 saturates", OP_cast, DTYPE_I64, DTYPE_F32, {F32(1e30f)}, INT64_MAX},
        {"f64 to i64 keeps", OP_cast, DTYPE_I64, DTYPE_F64, {F64(-9007199254740993.0)}, S(-9007199254740992)},
        {"f64 to u64 saturates", OP_cast, DTYPE_U64, DTYPE_F64, {F64(2e19)}, UINT64_MAX},
        {"f64 to u64 above 2^63", OP_cast, DTYPE_U64, DTYPE_F64, {F64(0x1.8p63)}, UINT64_C(0xc000000000000000)},
        {"i32 to i8 wraps", OP_cast, DTYPE_I8, DTYPE_I32, {200}, S(-56)},
        {"i32 to i4 wraps", OP_cast, DTYPE_I4, DTYPE_I32, {8}, S(-8)},
        {"f32 to i4 saturates", OP_cast, DTYPE_I4, DTYPE_F32, {F32(200.0f)}, 7},
        {"f32 to u2 saturates", OP_cast, DTYPE_U2, DTYPE_F32, {F32(200.0f)}, 3},
        {"i4 to f32", OP_cast, DTYPE_F32, DTYPE_I4, {S(-8)}, F32(-8.0f)},
        {"u4 to i64", OP_cast, DTYPE_I64, DTYPE_U4, {15}, 15},
        {"i4 to i8", OP_cast, DTYPE_I8, DTYPE_I4, {S(-3)}, S(-3)},
        {"NaN to bool", OP_cast, DTYPE_BOOL, DTYPE_F32, {F32(NAN)}, 1},
        {"-0 to bool", OP_cast, DTYPE_BOOL, DTYPE_F32, {F32(-0.0f)}, 0},
        {"256 to bool", OP_cast, DTYPE_BOOL, DTYPE_I32, {256}, 1},
        {"bool to f16", OP_cast, DTYPE_F16, DTYPE_BOOL, {1}, 0x3c00},
        {"u64 to f32 rounds to even", OP_cast, DTYPE_F32, DTYPE_U64, {UINT64_MAX}, F32(0x1p64f)},
        /* 2^62 + 2^54 + 1 is above the tie of bf16's 8 bits, but f64 would round it to the tie. */
        {"i64 to bf16 rounds once",
         OP_cast,
         DTYPE_BF16,
         DTYPE_I64,
         {(UINT64_C(1) << 62) + (UINT64_C(1) << 54) + 1},
         0x5e81},
        {"i64 to bf16 at the tie", OP_cast, DTYPE_BF16, DTYPE_I64, {(UINT64_C(1) << 62) + (UINT64_C(1) << 54)}, 0x5e80},
        /* 1 + 2^-11 + 2^-40: above the tie of f16, at the tie after rounding to f32. */
        {"f64 to f16 rounds once", OP_cast, DTYPE_F16, DTYPE_F64, {F64(1 + 0x1p-11 + 0x1p-40)}, 0x3c01},
        {"f32 to index", OP_cast, DTYPE_INDEX, DTYPE_F32, {F32(12.7f)}, 12},
        {"index to f32", OP_cast, DTYPE_F32, DTYPE_INDEX, {S(-3)}, F32(-3.0f)},
        {"f16 to f8 saturates", OP_cast, DTYPE_F8E4M3FN, DTYPE_F16, {0x7bff}, 0x7e},
        {"bf16 to f16", OP_cast, DTYPE_F16, DTYPE_BF16, {0x3fc0}, 0x3e00},
        {"f16 add computes in f32", OP_add, DTYPE_F16, DTYPE_F16, {0x3c00, 0x1000}, 0x3c00},
        {"i4 add wraps", OP_add, DTYPE_I4, DTYPE_I4, {7, 1}, S(-8)},
        {"f16 compares", OP_lt, DTYPE_BOOL, DTYPE_F16, {0xbc00, 0x0000}, 1},
        {"select of f16", OP_select, DTYPE_F16, DTYPE_F16, {0, 1, 0x7c00}, 0x7c00},
        {"round to even", OP_round, DTYPE_F32, DTYPE_F32, {F32(2.5f)}, F32(2.0f)},
        {"round keeps -0", OP_round, DTYPE_F32, DTYPE_F32, {F32(-0.4f)}, F32(-0.0f)},
        {"ceil keeps -0", OP_ceil, DTYPE_F64, DTYPE_F64, {F64(-0.4)}, F64(-0.0)},
        {"trunc", OP_trunc, DTYPE_F32, DTYPE_F32, {F32(-1.9f)}, F32(-1.0f)},
        {"floor", OP_floor, DTYPE_F32, DTYPE_F32, {F32(-1.1f)}, F32(-2.0f)},
        {"sqrt", OP_sqrt, DTYPE_F32, DTYPE_F32, {F32(2.0f)}, 0x3fb504f3},
        {"neg of 0", OP_neg, DTYPE_F32, DTYPE_F32, {F32(0.0f)}, F32(-0.0f)},
        {"neg of MIN", OP_neg, DTYPE_I32, DTYPE_I32, {S(INT32_MIN)}, S(INT32_MIN)},
        {"abs of MIN", OP_abs, DTYPE_I64, DTYPE_I64, {S(INT64_MIN)}, S(INT64_MIN)},
        {"abs of MIN of i8", OP_abs, DTYPE_I8, DTYPE_I8, {S(INT8_MIN)}, S(INT8_MIN)},
        {"not of bool", OP_not, DTYPE_BOOL, DTYPE_BOOL, {1}, 0},
        {"not of u8", OP_not, DTYPE_U8, DTYPE_U8, {1}, 254},
        {"isnan", OP_isnan, DTYPE_BOOL, DTYPE_F64, {F64(NAN)}, 1},
        {"isinf", OP_isinf, DTYPE_BOOL, DTYPE_F32, {F32(-INFINITY)}, 1},
        {"bits of a float", OP_bitcast, DTYPE_I32, DTYPE_F32, {F32(-1.0f)}, S((int32_t)0xbf800000)},
        {"float of bits", OP_bitcast, DTYPE_F64, DTYPE_I64, {UINT64_C(0x3ff0000000000000)}, F64(1.0)},
        {"shift by a negative", OP_shl, DTYPE_I32, DTYPE_I32, {1, S(-1)}, 0},
        {"index floordiv", OP_floordiv, DTYPE_INDEX, DTYPE_INDEX, {S(-7), 2}, S(-4)},
        {"mod of floats with infinity", OP_mod, DTYPE_F32, DTYPE_F32, {F32(-1.0f), F32(INFINITY)}, F32(INFINITY)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint64_t got = scalar_evaluate(cases[i].op, cases[i].result, cases[i].operand, cases[i].in);
        cr_expect_eq(got, cases[i].out, "%s: %#llx, not %#llx", cases[i].what, (unsigned long long)got,
                     (unsigned long long)cases[i].out);
    }
}

/* Every operation, with its row of many lanes, gives what one element gives; in place too. */
Test(scalar, rows_equal_elements)
{
    srand(7);
    for (int op = OP_SCALAR_FIRST + 1; op < OP_SCALAR_END; op++)
        for (int dtype = 1; dtype < DTYPE_COUNT; dtype++) {
            RowFunction *const row =
                dtype == DTYPE_STRING || op == OP_cast || op == OP_bitcast ? NULL : row_find((Op)op, (Dtype)dtype);
            if (!row)
                continue;
            const bool boolean = op >= OP_eq && op <= OP_isinf;
            const Dtype result = boolean ? DTYPE_BOOL : (Dtype)dtype;
            const int bytes = row_bytes((Dtype)dtype);
            _Alignas(64) uint8_t in[3][67 * 8], out[67 * 8];
            for (int i = 0; i < 67; i++)
                for (int j = 0; j < 3; j++) {
                    const Dtype type = op == OP_select && j == 0 ? DTYPE_BOOL : (Dtype)dtype;
                    uint64_t bits = (uint64_t)rand() << 42 ^ (uint64_t)rand() << 21 ^ (uint64_t)rand();
                    if (type == DTYPE_BOOL)
                        bits &= 1;
                    if (i % 3 == 0)
                        bits = (uint64_t)(rand() % 9 - 4);
                    if (type == DTYPE_BOOL)
                        bits &= 1;
                    element_set(&in[j][i * row_bytes(type)], type, bits);
                }
            row(out, in[0], in[1], in[2], 67);
            for (int i = 0; i < 67; i++) {
                uint64_t operands[3];
                for (int j = 0; j < 3; j++) {
                    const Dtype type = op == OP_select && j == 0 ? DTYPE_BOOL : (Dtype)dtype;
                    operands[j] = element_bits(&in[j][i * row_bytes(type)], type);
                }
                const uint64_t expected = scalar_evaluate((Op)op, result, (Dtype)dtype, operands);
                const uint64_t got = element_bits(&out[i * row_bytes(result)], result);
                const bool both_nan = dtype_is_float(result) && row_find(OP_isnan, result) &&
                                      scalar_evaluate(OP_isnan, DTYPE_BOOL, result, &got) &&
                                      scalar_evaluate(OP_isnan, DTYPE_BOOL, result, &expected);
                cr_assert(got == expected || both_nan, "%s of %s, lane %d", op_name((Op)op), dtype_info[dtype].name, i);
            }
            if (boolean || op == OP_select)
                continue;
            row(in[0], in[0], in[1], in[2], 67);
            cr_assert_arr_eq(in[0], out, (size_t)(67 * bytes), "%s of %s in place", op_name((Op)op),
                             dtype_info[dtype].name);
        }
}

Test(scalar, splat)
{
    const uint16_t element = 0x1234;
    uint16_t row[5];
    row_splat(DTYPE_F16)(row, &element, NULL, NULL, 5);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(row[i], element);
}
