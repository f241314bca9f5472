/* Random contents, comparison by bits: see proof.h. */
#include "tests/codegen/proof.h"

#include <math.h>
#include <string.h>

/* ---- contents ---- */

static double plain_float(uint64_t *state)
{
    return (double)(random_next(state) >> 40) / (1 << 23) - 1;
}

static double special_float(uint64_t *state)
{
    static const double often[] = {0.0,  -0.0,  1.0,     -1.0, 0.5,    1e-40, -3e-39,
                                   1e18, -1e18, 65504.0, 88.5, -104.0, 1e-20, 6.0};
    static const double seldom[] = {INFINITY, -INFINITY, NAN, 3.4028234663852886e38, -3.4028234663852886e38, 1e-45};
    const int64_t kind = random_below(state, 1024);
    if (kind == 0)
        return seldom[random_below(state, sizeof seldom / sizeof *seldom)];
    return kind < 200 ? often[random_below(state, sizeof often / sizeof *often)] : 4 * plain_float(state);
}

/* Elements of formats that C does not know are drawn from a small table. */
enum { TABLE = 512 };

static void fill_from_table(Ir *ir, Dtype dtype, uint8_t *data, uint64_t bytes, Values values, uint64_t *state)
{
    uint64_t table[TABLE];
    const size_t size = (size_t)dtype_info[dtype].bits / 8;
    for (int i = 0; i < TABLE; i++)
        table[i] =
            const_float(ir, dtype, values == VALUES_PLAIN ? plain_float(state) : special_float(state))->payload.bits;
    for (uint64_t at = 0; at + size <= bytes; at += size)
        memcpy(data + at, &table[random_below(state, TABLE)], size);
}

static int64_t some_integer(Dtype dtype, Values values, uint64_t *state)
{
    if (dtype == DTYPE_BOOL)
        return random_below(state, 2);
    const int bits = dtype_info[dtype].bits;
    if (values == VALUES_PLAIN)
        return bits < 16 ? (int64_t)random_next(state) : random_below(state, 4);
    return random_below(state, 8) ? random_below(state, 40) - 8
                                  : (int64_t)random_next(state) >> random_below(state, 64);
}

void values_fill(Ir *ir, Dtype dtype, void *data, uint64_t bytes, Values values, uint64_t *state)
{
    uint8_t *const to = data;
    const size_t size = dtype_info[dtype].bits < 8 ? 1 : (size_t)dtype_info[dtype].bits / 8;
    if (dtype_is_float(dtype) && dtype != DTYPE_F32 && dtype != DTYPE_F64 && dtype_info[dtype].bits >= 8) {
        fill_from_table(ir, dtype, to, bytes, values, state);
        return;
    }
    for (uint64_t at = 0; at + size <= bytes; at += size) {
        const double real = !dtype_is_float(dtype)   ? 0
                            : values == VALUES_PLAIN ? plain_float(state)
                                                     : special_float(state);
        const float narrow = (float)real;
        const int64_t integer =
            dtype_info[dtype].bits < 8 ? (int64_t)random_next(state) : some_integer(dtype, values, state);
        memcpy(to + at,
               dtype == DTYPE_F32   ? (const void *)&narrow
               : dtype == DTYPE_F64 ? (const void *)&real
                                    : (const void *)&integer,
               size);
    }
}

/* ---- comparison ---- */

static bool is_nan(Dtype dtype, const uint8_t *at)
{
    uint64_t bits = 0;
    memcpy(&bits, at, (size_t)dtype_info[dtype].bits / 8);
    switch (dtype) {
    case DTYPE_F32:
        return (bits & 0x7fffffff) > 0x7f800000;
    case DTYPE_F64:
        return (bits & INT64_MAX) > 0x7ff0000000000000;
    case DTYPE_F16:
        return (bits & 0x7fff) > 0x7c00;
    case DTYPE_BF16:
        return (bits & 0x7fff) > 0x7f80;
    default:
        return false; /* formats with one NaN, or with none */
    }
}

static bool is_tiny(const uint8_t *at)
{
    float value;
    memcpy(&value, at, sizeof value);
    return fabsf(value) < 0x1p-126f;
}

void values_flush(Dtype dtype, void *data, uint64_t bytes)
{
    uint8_t *const at = data;
    for (uint64_t i = 0; dtype == DTYPE_F32 && i + 4 <= bytes; i += 4)
        if (is_tiny(at + i))
            memset(at + i, 0, 4);
}

int64_t values_differ(Dtype dtype, const void *a, const void *b, uint64_t bytes, bool flushes)
{
    if (bytes == 0 || memcmp(a, b, bytes) == 0)
        return -1;
    const uint8_t *const left = a, *const right = b;
    const size_t size = dtype_info[dtype].bits < 8 ? 1 : (size_t)dtype_info[dtype].bits / 8;
    for (uint64_t at = 0; at + size <= bytes; at += size)
        if (memcmp(left + at, right + at, size) != 0 &&
            !(size > 1 && is_nan(dtype, left + at) && is_nan(dtype, right + at)) &&
            !(flushes && dtype == DTYPE_F32 && is_tiny(left + at) && is_tiny(right + at)))
            return (int64_t)(at / size);
    return -1;
}

int64_t values_far(Dtype dtype, const void *a, const void *b, uint64_t bytes)
{
    const float *const left = a, *const right = b;
    float largest = 0;
    if (dtype != DTYPE_F32)
        return values_differ(dtype, a, b, bytes, false);
    for (uint64_t i = 0; i < bytes / sizeof *left; i++)
        largest = fabsf(left[i]) > largest ? fabsf(left[i]) : largest;
    for (uint64_t i = 0; i < bytes / sizeof *left; i++)
        if (memcmp(&left[i], &right[i], sizeof *left) != 0 && !(fabsf(left[i] - right[i]) <= 1e-4F * largest) &&
            !(isnan(left[i]) && isnan(right[i])))
            return (int64_t)i;
    return -1;
}

bool values_finite(Dtype dtype, const void *data, uint64_t bytes)
{
    const float *const values = data;
    for (uint64_t i = 0; dtype == DTYPE_F32 && i < bytes / sizeof *values; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

const char *value_text(Arena *arena, Dtype dtype, const void *data, int64_t element)
{
    const size_t size = dtype_info[dtype].bits < 8 ? 1 : (size_t)dtype_info[dtype].bits / 8;
    const uint8_t *const at = (const uint8_t *)data + (size_t)element * size;
    uint64_t bits = 0;
    float narrow;
    double real;
    memcpy(&bits, at, size);
    memcpy(&narrow, at, size < sizeof narrow ? size : sizeof narrow);
    memcpy(&real, at, size < sizeof real ? size : sizeof real);
    if (dtype == DTYPE_F32 || dtype == DTYPE_F64)
        return arena_format(arena, "%.9g (%llx)", dtype == DTYPE_F32 ? (double)narrow : real, (unsigned long long)bits);
    return arena_format(arena, "%llx", (unsigned long long)bits);
}
