/* pow: for floats exp(y log |x|) with the special values of IEEE 754 (9.2.1); for integers repeated squaring, exact
 * with wrapping.
 *
 * y log |x| reaches 700, so for 53 good bits of the result the logarithm needs 63: it is a sum of two floats, high +
 * low. For results in f32 the logarithm of log_double is enough. */
#include "ir/math_nodes.h"
#include "ir/math_tables.h"

#include <math.h>

typedef struct Pair {
    Node *high, *low;
} Pair;

/* a + b exactly, where |a| >= |b| or a is 0 (Dekker 1971). */
static Pair pair_sum(const Form *form, Node *a, Node *b)
{
    Node *const high = plus(form, a, b);
    return (Pair){high, minus(form, b, minus(form, high, a))};
}

/* a * b, its low part good to the last place of a double. */
static Pair pair_product(const Form *form, Pair a, Pair b)
{
    Node *const high = times(form, a.high, b.high);
    Node *const error = fused(form, a.high, b.high, minus(form, number(form, 0), high));
    return (Pair){high, fused(form, a.high, b.low, fused(form, a.low, b.high, error))};
}

/* s = f / (2 + f): the quotient and what is left of it, by the exact remainder. */
static Pair ratio_pair(const Form *form, Node *f)
{
    Node *const two = number(form, 2);
    const Pair bottom = pair_sum(form, two, f);
    Node *const s = over(form, f, bottom.high), *const minus_s = minus(form, number(form, 0), s);
    Node *const remainder = fused(form, minus_s, bottom.low, fused(form, minus_s, bottom.high, f));
    return (Pair){s, over(form, remainder, bottom.high)};
}

/* log(x) = k ln 2 + 2s + s z (2/3 + z Q(z)), z = s^2; x > 0 and finite */
static Pair log_pair(const Form *form, Node *x)
{
    const Split split = math_split(form, x, true);
    Node *const k = split.exponent;
    const Pair s = ratio_pair(form, split.fraction), z = pair_product(form, s, s);
    Node *const two_thirds = number(form, TWO_THIRDS_1);
    Pair factor = pair_sum(form, two_thirds, times(form, z.high, POLYNOMIAL(form, z.high, log_pow)));
    factor.low = plus(form, factor.low, number(form, TWO_THIRDS_2));
    const Pair cubic = pair_product(form, pair_product(form, s, z), factor);
    /* The terms from large to small; k times the short piece of ln 2 is exact. */
    const Pair first = pair_sum(form, times(form, k, number(form, LN2_F64_1)), plus(form, s.high, s.high));
    const Pair second = pair_sum(form, first.high, cubic.high);
    Node *const rest = fused(form, k, number(form, LN2_F64_2), plus(form, plus(form, s.low, s.low), cubic.low));
    return pair_sum(form, second.high, plus(form, plus(form, first.low, second.low), rest));
}

/* exp(y log a), a >= 0 or NaN. A product beyond the range of exp needs no low part, which may be NaN there. */
static Node *power_of_magnitude(const Form *form, Node *a, Node *y)
{
    if (form->for_single)
        return exp_double(form, times(form, y, log_double(form, a)));
    const Pair log_a = log_pair(form, a);
    Node *const zero = number(form, 0);
    Node *const log_finite = pick(form, less(form, a, number(form, INFINITY)), log_a.high, a);
    Node *const log_high = pick(form, equal(form, a, zero), number(form, -INFINITY), log_finite);
    Node *const high = times(form, y, log_high);
    Node *const error = fused(form, y, log_high, minus(form, zero, high));
    Node *const low = fused(form, y, log_a.low, error);
    Node *const usual = less(form, magnitude(form, high), number(form, 1000));
    return exp_of_pair(form, high, pick(form, usual, low, zero));
}

Node *pow_known(const Form *form, Node *x, const Node *exponent)
{
    if (exponent->op != OP_const)
        return NULL;
    const double y = const_as_double(exponent);
    Node *const one = number(form, 1), *const zero = number(form, 0);
    if (y == 1)
        return x;
    if (y == 2)
        return times(form, x, x);
    if (y == 3)
        return times(form, times(form, x, x), x);
    if (y == -1)
        return over(form, one, x);
    if (y == 0.5) /* pow(-0, 0.5) = +0, pow(-infinity, 0.5) = infinity */
        return pick(form, equal(form, x, number(form, -INFINITY)), number(form, INFINITY),
                    root(form, plus(form, x, zero)));
    return NULL;
}

Node *pow_float(const Form *form, Node *x, Node *y)
{
    Ir *const ir = form->ir;
    Node *const zero = number(form, 0), *const one = number(form, 1), *const infinity = number(form, INFINITY);
    Node *const a = magnitude(form, x);
    Node *const power = power_of_magnitude(form, a, y);

    Node *const half = times(form, y, number(form, 0.5));
    Node *const is_whole = equal(form, scalar1(ir, OP_floor, y), y);
    Node *const half_is_whole = equal(form, scalar1(ir, OP_floor, half), half);
    Node *const is_odd = both(form, is_whole, scalar1(ir, OP_not, half_is_whole));
    Node *const signed_power = pick(form, is_odd, with_sign(form, power, x), power);

    /* A finite negative base has powers with whole exponents only. */
    Node *const finite_negative = both(form, less(form, x, zero), greater(form, x, number(form, -INFINITY)));
    Node *const undefined = both(form, finite_negative, scalar1(ir, OP_not, is_whole));
    Node *const value = pick(form, undefined, number(form, NAN), signed_power);

    /* x^0 = 1^y = 1 even for NaN, and (-1)^infinity = 1. */
    Node *const minus_one_far = both(form, equal(form, a, one), equal(form, magnitude(form, y), infinity));
    Node *const sure = scalar2(ir, OP_or, equal(form, y, zero), scalar2(ir, OP_or, equal(form, x, one), minus_one_far));
    return pick(form, sure, one, value);
}

/* x^y for y < 0 is 1 / x^-y rounded to zero: 0 but for x = 1 and x = -1. */
static Node *negative_power(Ir *ir, Node *x, Node *y)
{
    const Dtype dtype = x->type.dtype;
    Node *const zero = const_int(ir, dtype, 0), *const one = const_int(ir, dtype, 1),
                *const minus_one = const_int(ir, dtype, -1);
    Node *const is_odd = scalar2(ir, OP_ne, scalar2(ir, OP_and, y, one), zero);
    Node *const of_minus_one = scalar3(ir, OP_select, is_odd, minus_one, one);
    Node *const otherwise = scalar3(ir, OP_select, scalar2(ir, OP_eq, x, minus_one), of_minus_one, zero);
    return scalar3(ir, OP_select, scalar2(ir, OP_eq, x, one), one, otherwise);
}

Node *pow_integer(Ir *ir, Node *x, Node *y)
{
    const Dtype given = x->type.dtype, dtype = given == DTYPE_INDEX ? DTYPE_I64 : dtype_compute(given);
    const int digits = dtype_info[dtype].bits - dtype_is_signed(dtype);
    x = cast_make(ir, x, dtype);
    y = cast_make(ir, y, dtype);
    Node *const zero = const_int(ir, dtype, 0), *const one = const_int(ir, dtype, 1);
    Node *power = one, *square = x;
    for (int i = 0; i < digits; i++) {
        /* A known exponent has no digits beyond its highest. */
        if (y->op == OP_const && (y->payload.bits >> i) == 0)
            break;
        Node *const digit = scalar2(ir, OP_and, scalar2(ir, OP_shr, y, const_int(ir, dtype, i)), one);
        Node *const wanted = scalar2(ir, OP_ne, digit, zero);
        power = scalar3(ir, OP_select, wanted, scalar2(ir, OP_mul, power, square), power);
        square = scalar2(ir, OP_mul, square, square);
    }
    if (dtype_is_signed(dtype))
        power = scalar3(ir, OP_select, scalar2(ir, OP_lt, y, zero), negative_power(ir, x, y), power);
    return cast_make(ir, power, given);
}
