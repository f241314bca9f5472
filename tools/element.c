/* Elements of host tensors as numbers: every ONNX type to double and back. */
#include "tools/tensorfile.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are little-endian in memory as in files");

/* A float of fewer than 32 bits: sign, exponent, mantissa. */
typedef struct SmallFloat {
    int number; /* of ONNX */
    int exponent_bits, mantissa_bits;
    int bias;
    enum { IEEE, FINITE, UNSIGNED_ZERO, NEVER_SPECIAL } special;
    /* IEEE: the largest exponent means infinity and NaN. FINITE: only all ones are NaN, there is no infinity.
     * UNSIGNED_ZERO: no infinity and no -0, its pattern is NaN. NEVER_SPECIAL: every pattern is a number. */
} SmallFloat;

static const SmallFloat small_floats[] = {
    {10, 5, 10, 15, IEEE},         /* f16 */
    {16, 8, 7, 127, IEEE},         /* bf16 */
    {17, 4, 3, 7, FINITE},         /* f8e4m3fn */
    {18, 4, 3, 8, UNSIGNED_ZERO},  /* f8e4m3fnuz */
    {19, 5, 2, 15, IEEE},          /* f8e5m2 */
    {20, 5, 2, 16, UNSIGNED_ZERO}, /* f8e5m2fnuz */
    {23, 2, 1, 1, NEVER_SPECIAL},  /* f4e2m1 */
};

enum { ONNX_F8E8M0 = 24, E8M0_BIAS = 127, E8M0_NAN = 255 };

static const SmallFloat *small_float(int dtype)
{
    for (size_t i = 0; i < sizeof small_floats / sizeof *small_floats; i++)
        if (small_floats[i].number == dtype)
            return &small_floats[i];
    return NULL;
}

static bool pattern_is_nan(const SmallFloat *type, uint32_t exponent, uint32_t mantissa, bool negative)
{
    const uint32_t exponents = (1u << type->exponent_bits) - 1;
    const uint32_t mantissas = (1u << type->mantissa_bits) - 1;
    switch (type->special) {
    case IEEE:
        return exponent == exponents && mantissa != 0;
    case FINITE:
        return exponent == exponents && mantissa == mantissas;
    case UNSIGNED_ZERO:
        return negative && exponent == 0 && mantissa == 0;
    case NEVER_SPECIAL:
        return false;
    }
    return false;
}

static double small_decode(const SmallFloat *type, uint32_t bits)
{
    const uint32_t mantissa = bits & ((1u << type->mantissa_bits) - 1);
    const uint32_t exponent = bits >> type->mantissa_bits & ((1u << type->exponent_bits) - 1);
    const bool negative = bits >> (type->mantissa_bits + type->exponent_bits) & 1;
    double value = 0;
    if (pattern_is_nan(type, exponent, mantissa, negative))
        return NAN;
    if (type->special == IEEE && exponent == (1u << type->exponent_bits) - 1)
        value = INFINITY;
    else if (exponent == 0)
        value = ldexp(mantissa, 1 - type->bias - type->mantissa_bits);
    else
        value = ldexp((double)(mantissa | 1u << type->mantissa_bits), (int)exponent - type->bias - type->mantissa_bits);
    return negative ? -value : value;
}

static uint32_t small_largest(const SmallFloat *type)
{
    const uint32_t all = (1u << (type->exponent_bits + type->mantissa_bits)) - 1;
    if (type->special == IEEE)
        return all - (1u << type->mantissa_bits);
    return type->special == FINITE ? all - 1 : all;
}

/* Round to nearest even: scale so that one unit is one step of the mantissa, round, and let a carry run into the
 * exponent. */
static uint32_t small_encode(const SmallFloat *type, double value)
{
    const uint32_t sign = 1u << (type->exponent_bits + type->mantissa_bits);
    const uint32_t largest = small_largest(type);
    if (isnan(value))
        return type->special == UNSIGNED_ZERO ? sign : type->special == NEVER_SPECIAL ? 0 : sign - 1;
    const uint32_t negative = signbit(value) ? sign : 0;
    const double size = fabs(value);
    int exponent = 0;
    uint32_t bits = 0;
    frexp(size, &exponent); /* size = f * 2^exponent, 0.5 <= f < 1 */
    const int biased = exponent - 1 + type->bias;
    if (size > small_decode(type, largest) * 2)
        bits = largest + 1;
    else if (size > 0 && biased >= 1)
        bits = ((uint32_t)biased << type->mantissa_bits) +
               (uint32_t)nearbyint(ldexp(size, type->mantissa_bits + 1 - exponent)) - (1u << type->mantissa_bits);
    else if (size > 0)
        bits = (uint32_t)nearbyint(ldexp(size, type->mantissa_bits - 1 + type->bias));
    if (bits > largest)
        bits = type->special == IEEE ? largest + 1 : largest;
    return bits == 0 && type->special == UNSIGNED_ZERO ? 0 : bits | negative;
}

/* `bits` bits of the tensor at `position`, in the low end of the result. */
static uint64_t element_bits(const HostTensor *tensor, int64_t position, int bits)
{
    const uint8_t *const data = tensor->data;
    uint64_t value = 0;
    if (bits >= 8) {
        memcpy(&value, data + (size_t)position * (size_t)(tensor->bits / 8), (size_t)bits / 8);
        return value;
    }
    const int per_byte = 8 / bits;
    return data[position / per_byte] >> (position % per_byte * bits) & ((1u << bits) - 1);
}

static void element_bits_set(HostTensor *tensor, int64_t position, int bits, uint64_t value)
{
    uint8_t *const data = tensor->data;
    if (bits >= 8) {
        memcpy(data + (size_t)position * (size_t)(tensor->bits / 8), &value, (size_t)bits / 8);
        return;
    }
    const int per_byte = 8 / bits;
    const int shift = (int)(position % per_byte) * bits;
    uint8_t *const byte = &data[position / per_byte];
    *byte = (uint8_t)((*byte & ~(((1u << bits) - 1) << shift)) | value << shift);
}

static double float_decode(int dtype, int bits, uint64_t pattern)
{
    if (bits == 32) {
        float value = 0;
        memcpy(&value, &pattern, sizeof value);
        return (double)value;
    }
    if (bits == 64) {
        double value = 0;
        memcpy(&value, &pattern, sizeof value);
        return value;
    }
    if (dtype == ONNX_F8E8M0)
        return pattern == E8M0_NAN ? (double)NAN : ldexp(1, (int)pattern - E8M0_BIAS);
    return small_decode(small_float(dtype), (uint32_t)pattern);
}

static uint64_t float_encode(int dtype, int bits, double value)
{
    uint64_t pattern = 0;
    if (bits == 32) {
        const float narrow = (float)value;
        memcpy(&pattern, &narrow, sizeof narrow);
        return pattern;
    }
    if (bits == 64) {
        memcpy(&pattern, &value, sizeof value);
        return pattern;
    }
    if (dtype != ONNX_F8E8M0)
        return small_encode(small_float(dtype), value);
    if (!(value > 0)) /* neither sign nor zero exists: the smallest power of two is nearest to zero */
        return value == 0 ? 0 : E8M0_NAN;
    const double power = nearbyint(log2(value)) + E8M0_BIAS;
    return power < 0 ? 0 : power > E8M0_NAN - 1 ? E8M0_NAN - 1 : (uint64_t)power;
}

double host_element(const HostTensor *tensor, int64_t position)
{
    const HostDtype *const type = host_dtype(tensor->dtype);
    if (position < 0 || position >= tensor->count || type->class == HOST_CLASS_STRING)
        BUG("element %lld of a tensor of %lld %s", (long long)position, (long long)tensor->count, type->name);
    if (type->class == HOST_CLASS_COMPLEX)
        return float_decode(ONNX_FLOAT, type->bits / 2, element_bits(tensor, position, type->bits / 2));
    const uint64_t bits = element_bits(tensor, position, type->bits);
    if (type->class == HOST_CLASS_FLOAT)
        return float_decode(type->number, type->bits, bits);
    if (type->class == HOST_CLASS_SIGNED) /* move the sign to the top, and let the shift back spread it */
        return (double)((int64_t)(bits << (64 - type->bits)) >> (64 - type->bits));
    return (double)bits;
}

void host_element_set(HostTensor *tensor, int64_t position, double value)
{
    const HostDtype *const type = host_dtype(tensor->dtype);
    if (position < 0 || position >= tensor->count || type->class == HOST_CLASS_STRING)
        BUG("element %lld of a tensor of %lld %s", (long long)position, (long long)tensor->count, type->name);
    const int bits = type->bits;
    if (type->class == HOST_CLASS_COMPLEX) {
        element_bits_set(tensor, position, bits / 2, float_encode(ONNX_FLOAT, bits / 2, value));
    } else if (type->class == HOST_CLASS_FLOAT) {
        element_bits_set(tensor, position, bits, float_encode(type->number, bits, value));
    } else if (type->class == HOST_CLASS_BOOL) {
        element_bits_set(tensor, position, bits, value != 0);
    } else {
        const bool is_signed = type->class == HOST_CLASS_SIGNED;
        const double limit = ldexp(1, bits - is_signed); /* one above the largest */
        const double rounded = isnan(value) ? 0 : nearbyint(value);
        uint64_t pattern = 0;
        if (rounded >= limit)
            pattern = (UINT64_MAX >> (64 - bits)) >> is_signed;
        else if (rounded <= -limit || (rounded < 0 && !is_signed))
            pattern = is_signed ? UINT64_C(1) << (bits - 1) : 0;
        else
            pattern = rounded < 0 ? (uint64_t)(int64_t)rounded : (uint64_t)rounded;
        element_bits_set(tensor, position, bits, pattern & UINT64_MAX >> (64 - bits));
    }
}
