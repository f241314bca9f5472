/* Words for formulas: the node for each piece of arithmetic in the expansions of ir/math*.c, and the facts about a
 * float format. Private to ir/math*.c. */
#ifndef LATHE_IR_MATH_NODES_H
#define LATHE_IR_MATH_NODES_H

#include "ir/ir.h"

/* A float format. The value is (1 + fraction / 2^fraction_bits) * 2^(exponent - bias). */
typedef struct Form {
    Ir *ir;
    Dtype dtype, integer; /* integer: signed, of the same width */
    int fraction_bits, bias;
    bool for_single; /* computed in f64, but rounded to f32 in the end: shorter polynomials will do */
} Form;

typedef Node *MathFunction(const Form *form, Node *x);

static inline Node *number(const Form *form, double value)
{
    return const_float(form->ir, form->dtype, value);
}
static inline Node *whole(const Form *form, int64_t value)
{
    return const_int(form->ir, form->integer, value);
}
static inline Node *plus(const Form *form, Node *a, Node *b)
{
    return scalar2(form->ir, OP_add, a, b);
}
static inline Node *minus(const Form *form, Node *a, Node *b)
{
    return scalar2(form->ir, OP_sub, a, b);
}
static inline Node *times(const Form *form, Node *a, Node *b)
{
    return scalar2(form->ir, OP_mul, a, b);
}
static inline Node *over(const Form *form, Node *a, Node *b)
{
    return scalar2(form->ir, OP_div, a, b);
}
/* a*b + c, one rounding. */
static inline Node *fused(const Form *form, Node *a, Node *b, Node *c)
{
    return scalar3(form->ir, OP_fma, a, b, c);
}
static inline Node *magnitude(const Form *form, Node *a)
{
    return scalar1(form->ir, OP_abs, a);
}
static inline Node *root(const Form *form, Node *a)
{
    return scalar1(form->ir, OP_sqrt, a);
}
static inline Node *with_sign(const Form *form, Node *a, Node *sign)
{
    return scalar2(form->ir, OP_copysign, a, sign);
}
static inline Node *less(const Form *form, Node *a, Node *b)
{
    return scalar2(form->ir, OP_lt, a, b);
}
static inline Node *greater(const Form *form, Node *a, Node *b)
{
    return scalar2(form->ir, OP_gt, a, b);
}
static inline Node *equal(const Form *form, Node *a, Node *b)
{
    return scalar2(form->ir, OP_eq, a, b);
}
static inline Node *both(const Form *form, Node *a, Node *b)
{
    return scalar2(form->ir, OP_and, a, b);
}
static inline Node *pick(const Form *form, Node *condition, Node *yes, Node *no)
{
    return scalar3(form->ir, OP_select, condition, yes, no);
}
static inline Node *shifted_left(const Form *form, Node *a, int bits)
{
    return scalar2(form->ir, OP_shl, a, whole(form, bits));
}
static inline Node *shifted_right(const Form *form, Node *a, int bits)
{
    return scalar2(form->ir, OP_shr, a, whole(form, bits));
}
/* The bits of a float as an integer, and back. */
static inline Node *bits_of(const Form *form, Node *a)
{
    return bitcast_make(form->ir, a, form->integer);
}
static inline Node *of_bits(const Form *form, Node *a)
{
    return bitcast_make(form->ir, a, form->dtype);
}

/* A NaN fails every comparison and so passes both; one instruction each where the machine's min and max return their
 * second operand when one is NaN. */
static inline Node *at_most(const Form *form, Node *a, double limit)
{
    Node *const bound = number(form, limit);
    return pick(form, greater(form, a, bound), bound, a);
}
static inline Node *at_least(const Form *form, Node *a, double limit)
{
    Node *const bound = number(form, limit);
    return pick(form, less(form, a, bound), bound, a);
}

/* coefficients[0] + x (coefficients[1] + x (...)) */
#define POLYNOMIAL(form, x, table) math_polynomial(form, x, table, (int)(sizeof(table) / sizeof *(table)))
Node *math_polynomial(const Form *form, Node *x, const double *coefficients, int count);
/* The same as coefficients[0] + x (even(x^2) + x odd(x^2)): a multiplication more, and half as many operations that
 * wait for each other. */
#define POLYNOMIAL_IN_HALVES(form, x, table)                                                                           \
    math_polynomial_in_halves(form, x, table, (int)(sizeof(table) / sizeof *(table)))
Node *math_polynomial_in_halves(const Form *form, Node *x, const double *coefficients, int count);

/* 1.5 * 2^fraction_bits: x + math_round(x) has the integer nearest to x in its low bits (|x| < 2^(fraction_bits - 2)),
 * and minus math_round again is that integer as a float. Cheaper than round and cast, and the same on every machine. */
double math_round(const Form *form);
/* The same with the bias of exponents added: the low bits are those of 2^n's exponent. */
double math_exponent(const Form *form);
/* 2^n, given shifted = n + math_exponent, for n in the exponent range of normal numbers; one more gives infinity. */
Node *math_power_of_two(const Form *form, Node *shifted);
/* The bits of 1.0. */
int64_t math_one(const Form *form);

MathFunction exp_single, softexp_single, tanh_single, sigmoid_single, erf_single;
MathFunction exp_double, softexp_double, tanh_double, sigmoid_double, erf_double, sinh_double, cosh_double;
MathFunction log_single, log1p_single;
MathFunction log_double, log1p_double, asinh_double, acosh_double, atanh_double;
MathFunction sin_double, cos_double, tan_double, asin_double, acos_double, atan_double;
/* exp(high + low) in f64 where |low| is at most half a unit in the last place of high or a little more. */
Node *exp_of_pair(const Form *form, Node *high, Node *low);

/* A positive normal or subnormal number as (1 + fraction) * 2^exponent with sqrt(1/2) <= 1 + fraction < sqrt(2). */
typedef struct Split {
    Node *fraction, *exponent; /* both floats */
    Node *biased;              /* exponent + bias as an integer */
} Split;
/* subnormal: whether x may be subnormal. */
Split math_split(const Form *form, Node *x, bool subnormal);

/* An exponent that is known and common: products, quotients and roots, at most 1.5 units in the last place off. NULL:
 * not one of them. */
Node *pow_known(const Form *form, Node *base, const Node *exponent);
/* y / (1 + exp(-x)) */
Node *gate_float(const Form *form, Node *x, Node *y);
Node *pow_float(const Form *form, Node *base, Node *exponent);
Node *pow_integer(Ir *ir, Node *base, Node *exponent);

#endif
