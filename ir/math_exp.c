/* exp and what is made of it: sigmoid, gate, tanh, sinh, cosh, erf.
 *
 * exp: x = n * step + r with n an integer and |r| small (Cody & Waite 1980: the step in two pieces, the first short, so
 * that n * piece is exact); exp(x) = 2^... * p(r) with p a minimax polynomial. */
#include "ir/math_nodes.h"
#include "ir/math_tables.h"

/* ---- f32 ---- */

/* The step is 2 ln 2, so that exp(x) = p(r) * s * s with s = 2^n always a normal number: the second product overflows
 * to infinity and underflows through the subnormal numbers to 0, rounded once. With x in -104..89 no other case is
 * left; NaN passes through all. */
Node *exp_single(const Form *form, Node *x)
{
    x = at_most(form, at_least(form, x, -104), 89);
    Node *const shift = number(form, math_exponent(form));
    Node *const shifted = fused(form, x, number(form, 0x1.715476p-1), shift); /* 1 / (2 ln 2) */
    Node *const n = minus(form, shifted, shift);
    Node *r = fused(form, n, number(form, -TWICE_LN2_F32_1), x);
    r = fused(form, n, number(form, -TWICE_LN2_F32_2), r);
    Node *const one = number(form, 1);
    Node *p = POLYNOMIAL(form, r, exp_f32);
    p = fused(form, fused(form, p, r, one), r, one);
    Node *const scale = math_power_of_two(form, shifted);
    return times(form, times(form, p, scale), scale);
}

/* For the numerators of softmax, which are at most 1: 2^n is always normal, and results below the normal numbers, which
 * processors multiply and add a hundred times slower, are 0. Beside a sum of at least 1 they are nothing. */
Node *softexp_single(const Form *form, Node *x)
{
    Node *const shift = number(form, math_exponent(form));
    Node *const shifted = fused(form, x, number(form, 0x1.715476p+0), shift); /* 1 / ln 2 */
    Node *const n = minus(form, shifted, shift);
    Node *r = fused(form, n, number(form, -LN2_F32_1), x);
    r = fused(form, n, number(form, -LN2_F32_2), r);
    Node *const one = number(form, 1);
    Node *p = POLYNOMIAL(form, r, softexp_f32);
    p = fused(form, fused(form, p, r, one), r, one);
    Node *const vanishes = less(form, x, number(form, -0x1.5d589ep+6)); /* ln 2^-126 */
    return pick(form, vanishes, number(form, 0), times(form, p, math_power_of_two(form, shifted)));
}

/* 1 + exp(-x) = 1 + 2^n p with -x = n ln 2 + s. Below -127.5 ln 2 it is infinity, so that what comes after a quotient
 * with it meets 0 instead of many subnormal numbers; above 87 it is 1 long since. */
static Node *one_and_exp(const Form *form, Node *x, Node *(*exp_of)(const Form *, Node *n, Node *x))
{
    x = at_least(form, at_most(form, x, 87), -89);
    Node *const shift = number(form, math_exponent(form));
    Node *const shifted = fused(form, x, number(form, -0x1.715476p+0), shift); /* 1 / ln 2 */
    Node *const p = exp_of(form, minus(form, shifted, shift), x);
    return fused(form, p, math_power_of_two(form, shifted), number(form, 1));
}

/* exp(-r) for the remainder r = x + n ln 2. */
static Node *exp_fine(const Form *form, Node *n, Node *x)
{
    Node *const r = fused(form, n, number(form, LN2_F32_2), fused(form, n, number(form, LN2_F32_1), x));
    Node *const p = fused(form, POLYNOMIAL(form, r, sigmoid_f32), r, number(form, -1));
    return fused(form, p, r, number(form, 1));
}

/* The same with a step of ln 2 as it is in f32 (its error is that of x moved by less than a tenth of a unit in its last
 * place) and one term less. */
static Node *exp_coarse(const Form *form, Node *n, Node *x)
{
    Node *const r = fused(form, n, number(form, 0x1.62e430p-1), x);
    return fused(form, POLYNOMIAL(form, r, gate_f32), r, number(form, 1));
}

/* The small values on the left keep their relative accuracy. */
Node *sigmoid_single(const Form *form, Node *x)
{
    return over(form, number(form, 1), one_and_exp(form, x, exp_fine));
}

/* What stands behind whole layers takes as few operations as three more units in the last place allow. */
Node *gate_float(const Form *form, Node *x, Node *y)
{
    return form->dtype == DTYPE_F32 ? over(form, y, one_and_exp(form, x, exp_coarse))
                                    : times(form, y, sigmoid_double(form, x));
}

/* T / (T + 1) with T = (exp(2a) - 1) / 2 = 2^n E + (2^n - 1) / 2, E = (exp(2r) - 1) / 2, a = n ln 2 / 2 + r. Exact
 * parts wherever terms cancel, so small results are as accurate as others; at a = 10 the quotient is 1. */
Node *tanh_single(const Form *form, Node *x)
{
    Node *const a = at_most(form, magnitude(form, x), 10);
    Node *const shift = number(form, math_exponent(form)), *const half = number(form, 0.5);
    Node *const shifted = fused(form, a, number(form, 0x1.715476p+1), shift); /* 2 / ln 2 */
    Node *const n = minus(form, shifted, shift);
    Node *r = fused(form, n, number(form, -HALF_LN2_F32_1), a);
    r = fused(form, n, number(form, -HALF_LN2_F32_2), r);
    Node *const p = fused(form, POLYNOMIAL(form, r, tanh_f32), r, number(form, 1));
    Node *const part = fused(form, times(form, r, r), p, r);
    Node *const scale = math_power_of_two(form, shifted);
    Node *const t = fused(form, scale, part, fused(form, scale, half, number(form, -0.5)));
    return with_sign(form, over(form, t, plus(form, t, number(form, 1))), x);
}

/* 1 - erfc(a) with erfc(a) = 2^(a P(a)) = 2^n 2^r: 1 - 2^n + 2^n (1 - 2^r). Close to 0 n is 0 and only the last term
 * stays, which has its own relative accuracy; a = 4 gives 1. One polynomial for all a and no division. */
Node *erf_single(const Form *form, Node *x)
{
    Node *const a = at_most(form, magnitude(form, x), 4);
    Node *const p = POLYNOMIAL_IN_HALVES(form, a, erf_f32);
    Node *const shift = number(form, math_exponent(form));
    Node *const shifted = fused(form, a, p, shift);
    Node *const r = fused(form, a, p, minus(form, shift, shifted));
    Node *const part = times(form, POLYNOMIAL_IN_HALVES(form, r, exp2m1_f32), r);
    Node *const scale = math_power_of_two(form, shifted);
    return with_sign(form, fused(form, scale, part, minus(form, number(form, 1), scale)), x);
}

/* ---- f64 ---- */

/* exp(x) = (1 + part) * 2^n, part = exp(r) - 1 with its own relative accuracy. */
typedef struct ExpParts {
    Node *part, *n, *shifted;
} ExpParts;

/* x must be in the range where 2^n is of use: a few thousand at most. low is added to r; NULL: nothing. */
static ExpParts exp_parts(const Form *form, Node *x, Node *low)
{
    Node *const shift = number(form, math_exponent(form));
    Node *const shifted = fused(form, x, number(form, 0x1.71547652b82fep+0), shift); /* 1 / ln 2 */
    Node *const n = minus(form, shifted, shift);
    Node *r = fused(form, n, number(form, -LN2_F64_1), x);
    r = fused(form, n, number(form, -LN2_F64_2), r);
    if (low)
        r = plus(form, r, low);
    Node *const p = fused(form, POLYNOMIAL(form, r, expm1_f64), r, number(form, 0.5));
    return (ExpParts){fused(form, times(form, r, r), p, r), n, shifted};
}

/* exp(x + low) * 2^scale. 2^n is taken in two halves, so that the end of the range is rounded once, as in f32. */
static Node *exp_scaled(const Form *form, Node *x, Node *low, int scale)
{
    x = at_most(form, at_least(form, x, -746), 711);
    const ExpParts e = exp_parts(form, x, low);
    Node *const shift = number(form, math_exponent(form));
    Node *const half_shifted = fused(form, e.n, number(form, 0.5), shift);
    Node *const rest = minus(form, e.n, minus(form, half_shifted, shift));
    Node *const first = math_power_of_two(form, half_shifted);
    Node *const second = math_power_of_two(form, plus(form, rest, number(form, math_exponent(form) + scale)));
    return times(form, fused(form, first, e.part, first), second);
}

Node *exp_double(const Form *form, Node *x)
{
    return exp_scaled(form, x, NULL, 0);
}

Node *softexp_double(const Form *form, Node *x)
{
    Node *const vanishes = less(form, x, number(form, -0x1.6232bdd7abcd2p+9)); /* ln 2^-1022 */
    return pick(form, vanishes, number(form, 0), exp_double(form, x));
}

Node *exp_of_pair(const Form *form, Node *high, Node *low)
{
    return exp_scaled(form, high, low, 0);
}

Node *sigmoid_double(const Form *form, Node *x)
{
    Node *const e = exp_double(form, at_most(form, x, 709));
    return over(form, e, plus(form, e, number(form, 1)));
}

/* (exp(2a) - 1) / (exp(2a) + 1); from 2a = 44 on that is 1 to the last bit. */
Node *tanh_double(const Form *form, Node *x)
{
    Node *const a = magnitude(form, x);
    const ExpParts e = exp_parts(form, at_most(form, plus(form, a, a), 44), NULL);
    Node *const scale = math_power_of_two(form, e.shifted);
    Node *const less_one = fused(form, scale, e.part, minus(form, scale, number(form, 1)));
    return with_sign(form, over(form, less_one, plus(form, less_one, number(form, 2))), x);
}

/* exp(a)/2 - exp(-a)/2, and below 1, where that would cancel, a polynomial. */
Node *sinh_double(const Form *form, Node *x)
{
    Node *const a = magnitude(form, x), *const z = times(form, a, a);
    Node *const half = exp_scaled(form, a, NULL, -1);
    Node *const large = minus(form, half, over(form, number(form, 0.25), half));
    Node *const small = fused(form, times(form, a, z), POLYNOMIAL(form, z, sinh_f64), a);
    return with_sign(form, pick(form, less(form, a, number(form, 1)), small, large), x);
}

Node *cosh_double(const Form *form, Node *x)
{
    Node *const half = exp_scaled(form, magnitude(form, x), NULL, -1);
    return plus(form, half, over(form, number(form, 0.25), half));
}

/* Up to 1 a polynomial; above, 1 - exp(-a^2) G(t), where G(t) = exp(a^2) erfc(a) is smooth in t = (a - 2) / (a + 2)
 * (the variable of Schonfelder, Chebyshev expansions for the error and related functions, 1978). At a = 6 erf is 1 to
 * the last bit. */
Node *erf_double(const Form *form, Node *x)
{
    Node *const a = at_most(form, magnitude(form, x), 6), *const z = times(form, a, a);
    Node *const small = fused(form, a, POLYNOMIAL(form, z, erf_f64), a);
    Node *const two = number(form, 2);
    Node *const t = over(form, minus(form, a, two), plus(form, a, two));
    Node *const e = exp_double(form, minus(form, number(form, 0), z));
    Node *const large = minus(form, number(form, 1), times(form, e, POLYNOMIAL(form, t, erfc_f64)));
    return with_sign(form, pick(form, less(form, a, number(form, 1)), small, large), x);
}
