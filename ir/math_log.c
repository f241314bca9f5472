/* log, and what is made of it: log1p, asinh, acosh, atanh.
 *
 * x = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); log(x) = k ln 2 + log(1 + f). In f32 log(1 + f) is a minimax
 * polynomial in f, in f64 one in s^2 with s = f / (2 + f), after log(1 + f) = 2 atanh(s) (Cody & Waite 1980). */
#include "ir/math_nodes.h"
#include "ir/math_tables.h"

#include <math.h>

/* The bits of sqrt(1/2), rounded down. */
static int64_t root_half(const Form *form)
{
    return form->dtype == DTYPE_F32 ? 0x3f3504f3 : INT64_C(0x3fe6a09e667f3bcc);
}

Split math_split(const Form *form, Node *x, bool subnormal)
{
    const int64_t unit = INT64_C(1) << form->fraction_bits;
    Node *offset = number(form, -(double)(unit + form->bias));
    if (subnormal) {
        Node *const tiny = less(form, x, number(form, ldexp(1, 1 - form->bias)));
        x = pick(form, tiny, times(form, x, number(form, (double)unit)), x);
        offset = pick(form, tiny, number(form, -(double)(unit + form->bias + form->fraction_bits)), offset);
    }
    /* Counted from sqrt(1/2) instead of 1, the exponent's bits are those of k, and the rest those of the distance to
     * sqrt(1/2). */
    Node *const bits = plus(form, bits_of(form, x), whole(form, math_one(form) - root_half(form)));
    Node *const biased = shifted_right(form, bits, form->fraction_bits);
    Node *const rest = both(form, bits, whole(form, unit - 1));
    Node *const fraction = minus(form, of_bits(form, plus(form, rest, whole(form, root_half(form)))), number(form, 1));
    /* An integer below `unit` or-ed into the bits of `unit` is the sum of both. */
    const int64_t unit_bits = (int64_t)(form->bias + form->fraction_bits) << form->fraction_bits;
    Node *const summed = of_bits(form, scalar2(form->ir, OP_or, biased, whole(form, unit_bits)));
    return (Split){fraction, plus(form, summed, offset), biased};
}

/* value where 0 < x < infinity; -infinity at 0, NaN below and at NaN, infinity at infinity. */
static Node *with_poles(const Form *form, Node *x, Node *value)
{
    Node *const zero = number(form, 0);
    Node *const pole = pick(form, equal(form, x, zero), number(form, -INFINITY), number(form, NAN));
    value = pick(form, less(form, x, number(form, INFINITY)), value, x);
    return pick(form, scalar2(form->ir, OP_le, x, zero), pole, value);
}

/* k ln 2 + log(1 + f) */
static Node *log_sum(const Form *form, Split split)
{
    Node *const f = split.fraction, *const k = split.exponent;
    if (form->dtype == DTYPE_F32) {
        Node *const p = fused(form, POLYNOMIAL(form, f, log_f32), f, number(form, -0.5));
        /* ln 2 lies within 2^-28 of a float. */
        return fused(form, k, number(form, 0x1.62e43p-1), fused(form, times(form, f, f), p, f));
    }
    /* log(1 + f) = 2s + sR = f - (f^2/2 - s (f^2/2 + R)): f is exact, everything else is small against it. */
    Node *const s = over(form, f, plus(form, f, number(form, 2))), *const z = times(form, s, s);
    Node *const rest = times(form, z, POLYNOMIAL(form, z, log_f64));
    Node *const half_square = times(form, times(form, f, f), number(form, 0.5));
    Node *const small = fused(form, s, plus(form, half_square, rest), times(form, k, number(form, LN2_F64_2)));
    Node *const sum = minus(form, f, minus(form, half_square, small));
    return fused(form, k, number(form, LN2_F64_1), sum);
}

static Node *log_any(const Form *form, Node *x)
{
    return with_poles(form, x, log_sum(form, math_split(form, x, true)));
}

/* k comes from the rounded sum 1 + x; f = 2^-k (1 + x) - 1 = x 2^-k + (2^-k - 1) from x itself, so nothing of a small x
 * is lost. 4 * 2^-k is used instead of 2^-k: that is a normal number for every k. */
static Node *log1p_any(const Form *form, Node *x)
{
    Node *const one = number(form, 1), *const quarter = number(form, 0.25);
    Node *const sum = plus(form, x, one);
    Split split = math_split(form, sum, false);
    Node *const exponent = minus(form, whole(form, 2 * form->bias + 2), split.biased);
    Node *const scale = of_bits(form, shifted_left(form, exponent, form->fraction_bits));
    split.fraction = fused(form, times(form, x, quarter), scale, fused(form, scale, quarter, number(form, -1)));
    Node *const value = with_poles(form, sum, log_sum(form, split));
    /* Keeps -0, subnormal numbers and what is too small for x^2/2 to matter. */
    Node *const tiny = less(form, magnitude(form, x), number(form, ldexp(1, -form->fraction_bits - 2)));
    return pick(form, tiny, x, value);
}

Node *log_single(const Form *form, Node *x)
{
    return log_any(form, x);
}

Node *log_double(const Form *form, Node *x)
{
    return log_any(form, x);
}

Node *log1p_single(const Form *form, Node *x)
{
    return log1p_any(form, x);
}

Node *log1p_double(const Form *form, Node *x)
{
    return log1p_any(form, x);
}

/* log(1 + argument), or where x > 2^28, whose square may overflow and no longer matters, log(2x) = log1p(x - 1) + ln 2.
 */
static Node *log1p_or_twice(const Form *form, Node *x, Node *argument)
{
    Node *const large = greater(form, x, number(form, 0x1p28));
    Node *const value = log1p_any(form, pick(form, large, minus(form, x, number(form, 1)), argument));
    return plus(form, value, pick(form, large, number(form, 0x1.62e42fefa39efp-1), number(form, 0)));
}

/* log(a + sqrt(a^2 + 1)) = log1p(a + a^2 / (1 + sqrt(a^2 + 1))) */
Node *asinh_double(const Form *form, Node *x)
{
    Node *const a = magnitude(form, x), *const z = times(form, a, a), *const one = number(form, 1);
    Node *const more = over(form, z, plus(form, one, root(form, plus(form, z, one))));
    return with_sign(form, log1p_or_twice(form, a, plus(form, a, more)), x);
}

/* log(x + sqrt(x^2 - 1)) = log1p(t + sqrt(2t + t^2)), t = x - 1 */
Node *acosh_double(const Form *form, Node *x)
{
    Node *const one = number(form, 1), *const t = minus(form, x, one);
    Node *const square = fused(form, t, t, plus(form, t, t));
    Node *const value = log1p_or_twice(form, x, plus(form, t, root(form, square)));
    return pick(form, less(form, x, one), number(form, NAN), value);
}

/* log((1 + a) / (1 - a)) / 2 = log1p(2a / (1 - a)) / 2 */
Node *atanh_double(const Form *form, Node *x)
{
    Node *const a = magnitude(form, x);
    Node *const value = log1p_any(form, over(form, plus(form, a, a), minus(form, number(form, 1), a)));
    return with_sign(form, times(form, value, number(form, 0.5)), x);
}
