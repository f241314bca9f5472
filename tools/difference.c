/* See difference.h. */
#include "tools/difference.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Digits of the significand of the float types, the hidden one included; 0: no float. */
static int digits_of(int dtype)
{
    static const struct {
        const char *name;
        int digits;
    } rows[] = {{"f64", 53},       {"f32", 24},   {"f16", 11},       {"bf16", 8},   {"f8e4m3fn", 4},
                {"f8e4m3fnuz", 4}, {"f8e5m2", 3}, {"f8e5m2fnuz", 3}, {"f4e2m1", 2}, {"f8e8m0", 1}};
    const HostDtype *const type = host_dtype(dtype);
    for (size_t i = 0; i < sizeof rows / sizeof *rows && type; i++)
        if (strcmp(type->name, rows[i].name) == 0)
            return rows[i].digits;
    return 0;
}

Bound difference_bound(const HostTensor *wanted, Bound given)
{
    const int digits = digits_of(wanted->dtype);
    double largest = 0;
    Bound bound = given;
    if (digits && given.relative < 0)
        bound.relative = digits >= 24 ? ldexp(1, 11 - digits) : ldexp(1, 2 - digits);
    else if (given.relative < 0)
        bound.relative = 0;
    if (given.absolute >= 0 || !digits) {
        bound.absolute = given.absolute >= 0 ? given.absolute : 0;
        return bound;
    }
    for (int64_t i = 0; i < wanted->count; i++) {
        const double value = fabs(host_element(wanted, i));
        largest = isfinite(value) && value > largest ? value : largest;
    }
    bound.absolute = bound.relative * largest / 8;
    return bound;
}

/* A unit in the last place of a float of so many digits; 1 for integers. */
static double unit_of(double value, int digits)
{
    int exponent;
    if (!digits || !isfinite(value))
        return 1;
    frexp(value == 0 ? DBL_MIN : value, &exponent);
    const double unit = ldexp(1, exponent - digits);
    return unit > 0 ? unit : DBL_MIN;
}

Difference tensor_difference(const HostTensor *got, const HostTensor *wanted, Bound bound)
{
    const int digits = digits_of(wanted->dtype);
    Difference result = {.worst = -1, .bound = difference_bound(wanted, bound)};
    double furthest = -INFINITY;
    for (int64_t i = 0; i < wanted->count; i++) {
        const double a = host_element(got, i), b = host_element(wanted, i);
        if (a == b || (isnan(a) && isnan(b)))
            continue;
        const double absolute = isfinite(a) && isfinite(b) ? fabs(a - b) : INFINITY;
        const double over = absolute - (result.bound.absolute + result.bound.relative * (isfinite(b) ? fabs(b) : 0));
        result.beyond += over > 0;
        if (over <= furthest)
            continue;
        furthest = over;
        result.worst = i;
        result.got = a;
        result.wanted = b;
        result.absolute = absolute;
        result.relative = b == 0 ? INFINITY : absolute / fabs(b);
        result.ulp = absolute / unit_of(b, digits);
    }
    return result;
}

bool tensor_same_kind(const HostTensor *a, const HostTensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}
