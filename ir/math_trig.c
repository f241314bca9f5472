/* sin, cos, tan and their inverses, in f64.
 *
 * x = q pi/2 + r with q the nearest integer; pi/2 in three pieces of 53 bits (Cody & Waite 1980). With fma the first
 * step x - q P1 is exact, whatever q: the difference is a multiple of 2^-53 below 1. The other pieces are summed into r
 * and a tail below its last place. Exact to the last place for |x| <= 2^50; beyond that no reduction is tried: sin and
 * tan give 0, cos gives 1. */
#include "ir/math_nodes.h"
#include "ir/math_tables.h"

#include <math.h>

typedef struct Angle {
    Node *r, *tail; /* tail: NULL when only f32 is wanted */
    Node *quadrant; /* q modulo 4 in its low bits, as an integer */
} Angle;

static Angle angle_reduce(const Form *form, Node *x)
{
    Node *const shift = number(form, math_round(form));
    Node *const shifted = fused(form, x, number(form, TWO_OVER_PI), shift);
    Node *const q = minus(form, shifted, shift);
    Node *const first = fused(form, q, number(form, -HALF_PI_1), x);
    Node *const inside = scalar2(form->ir, OP_le, magnitude(form, x), number(form, 0x1p50));
    Node *const outside = times(form, x, number(form, 0)); /* 0, and NaN for infinity and NaN */
    Node *const quadrant = pick(form, inside, bits_of(form, shifted), whole(form, 0));
    if (form->for_single) {
        Node *const r = fused(form, q, number(form, -HALF_PI_2), first);
        return (Angle){pick(form, inside, r, outside), NULL, quadrant};
    }
    /* first - q P2 - q P3 with all rounding errors: q P2 = b + b_low; first - b = rough + error (Knuth's two-sum). */
    Node *const b = times(form, q, number(form, HALF_PI_2));
    Node *const b_low = fused(form, q, number(form, HALF_PI_2), minus(form, number(form, 0), b));
    Node *const rough = minus(form, first, b);
    Node *const moved = minus(form, rough, first);
    Node *const error = minus(form, minus(form, first, minus(form, rough, moved)), plus(form, b, moved));
    Node *const low = fused(form, q, number(form, -HALF_PI_3), minus(form, error, b_low));
    Node *const r = plus(form, rough, low);
    Node *const tail = minus(form, low, minus(form, r, rough));
    return (Angle){pick(form, inside, r, outside), pick(form, inside, tail, outside), quadrant};
}

/* sin(r + tail) = r + r z S(z) + tail (1 - z/2) */
static Node *sine_of(const Form *form, Angle angle)
{
    Node *const r = angle.r, *const z = times(form, r, r), *const cube = times(form, r, z);
    if (!angle.tail)
        return fused(form, cube, POLYNOMIAL(form, z, sin_short), r);
    Node *const slope = fused(form, z, number(form, -0.5), number(form, 1));
    return plus(form, r, fused(form, cube, POLYNOMIAL(form, z, sin_f64), times(form, angle.tail, slope)));
}

/* cos(r + tail) = 1 - z/2 + z^2 C(z) - r tail, the rounding error of 1 - z/2 added back */
static Node *cosine_of(const Form *form, Angle angle)
{
    Node *const r = angle.r, *const z = times(form, r, r), *const one = number(form, 1);
    Node *const half = times(form, z, number(form, 0.5)), *const rough = minus(form, one, half),
                *const square = times(form, z, z);
    if (!angle.tail)
        return fused(form, square, POLYNOMIAL(form, z, cos_short), rough);
    Node *const error = minus(form, minus(form, one, rough), half);
    Node *const low = minus(form, error, times(form, r, angle.tail));
    return plus(form, rough, fused(form, square, POLYNOMIAL(form, z, cos_f64), low));
}

static Node *bit_is_set(const Form *form, Node *bits, int64_t bit)
{
    return scalar2(form->ir, OP_ne, both(form, bits, whole(form, bit)), whole(form, 0));
}

/* The sine of a quarter turn further per quadrant. */
static Node *sine_in(const Form *form, Angle angle, Node *quadrant)
{
    Node *const value = pick(form, bit_is_set(form, quadrant, 1), cosine_of(form, angle), sine_of(form, angle));
    Node *const sign = shifted_left(form, both(form, quadrant, whole(form, 2)), 62);
    return of_bits(form, scalar2(form->ir, OP_xor, bits_of(form, value), sign));
}

/* x itself where it is too small to differ: keeps -0. */
static Node *with_tiny(const Form *form, Node *x, Node *value)
{
    return pick(form, less(form, magnitude(form, x), number(form, 0x1p-28)), x, value);
}

Node *sin_double(const Form *form, Node *x)
{
    const Angle angle = angle_reduce(form, x);
    return with_tiny(form, x, sine_in(form, angle, angle.quadrant));
}

Node *cos_double(const Form *form, Node *x)
{
    const Angle angle = angle_reduce(form, x);
    return sine_in(form, angle, plus(form, angle.quadrant, whole(form, 1)));
}

Node *tan_double(const Form *form, Node *x)
{
    const Angle angle = angle_reduce(form, x);
    Node *const s = sine_of(form, angle), *const c = cosine_of(form, angle);
    Node *const odd = bit_is_set(form, angle.quadrant, 1);
    Node *const minus_s = minus(form, number(form, 0), s);
    return with_tiny(form, x, over(form, pick(form, odd, c, s), pick(form, odd, minus_s, c)));
}

/* ---- inverses ---- */

/* a, y = a or (a-1)/(a+1) or -1/a brought to |y| <= tan(pi/8), and the angle 0, pi/4 or pi/2 that this takes away */
Node *atan_double(const Form *form, Node *x)
{
    Node *const a = magnitude(form, x), *const one = number(form, 1), *const zero = number(form, 0);
    Node *const beyond = greater(form, a, number(form, 0x1.a827999fcef34p-2)); /* tan(pi/8) */
    Node *const far = greater(form, a, number(form, 0x1.3504f333f9de6p+1));    /* tan(3pi/8) */
    Node *const top = pick(form, far, number(form, -1), pick(form, beyond, minus(form, a, one), a));
    Node *const bottom = pick(form, far, a, pick(form, beyond, plus(form, a, one), one));
    Node *const high = pick(form, far, number(form, HALF_PI_1), pick(form, beyond, number(form, HALF_PI_1 / 2), zero));
    Node *const low = pick(form, far, number(form, HALF_PI_2), pick(form, beyond, number(form, HALF_PI_2 / 2), zero));
    Node *const y = over(form, top, bottom), *const z = times(form, y, y);
    Node *const rest = fused(form, times(form, y, z), POLYNOMIAL(form, z, atan_f64), low);
    return with_sign(form, plus(form, high, plus(form, y, rest)), x);
}

/* asin(y) = y + more for y = a when a <= 1/2, else for y = sqrt((1 - a) / 2), where asin(a) = pi/2 - 2 asin(y). */
typedef struct Arc {
    Node *large, *y, *more; /* large: whether a > 1/2 */
} Arc;

static Arc arc_reduce(const Form *form, Node *a)
{
    Node *const half = number(form, 0.5), *const large = greater(form, a, half);
    Node *const z = pick(form, large, times(form, minus(form, number(form, 1), a), half), times(form, a, a));
    Node *const y = pick(form, large, root(form, z), a);
    return (Arc){large, y, times(form, times(form, y, z), POLYNOMIAL(form, z, asin_f64))};
}

/* pi/2 - 2 asin(y) */
static Node *complement(const Form *form, Arc arc)
{
    Node *const minus_two = number(form, -2);
    Node *const low = fused(form, arc.more, minus_two, number(form, HALF_PI_2));
    return plus(form, fused(form, arc.y, minus_two, number(form, HALF_PI_1)), low);
}

Node *asin_double(const Form *form, Node *x)
{
    const Arc arc = arc_reduce(form, magnitude(form, x));
    return with_sign(form, pick(form, arc.large, complement(form, arc), plus(form, arc.y, arc.more)), x);
}

/* 2 asin(y) near 1, pi - 2 asin(y) near -1, pi/2 - asin(x) between. */
Node *acos_double(const Form *form, Node *x)
{
    const Arc arc = arc_reduce(form, magnitude(form, x));
    Node *const arcsine = plus(form, arc.y, arc.more), *const two = number(form, 2);
    Node *const near_one = times(form, two, arcsine);
    Node *const low = fused(form, arcsine, number(form, -2), number(form, 2 * HALF_PI_2));
    Node *const near_minus_one = plus(form, number(form, 2 * HALF_PI_1), low);
    Node *const signed_more = with_sign(form, arc.more, x);
    Node *const between =
        minus(form, number(form, HALF_PI_1), minus(form, x, minus(form, number(form, HALF_PI_2), signed_more)));
    Node *const ends = pick(form, less(form, x, number(form, 0)), near_minus_one, near_one);
    return pick(form, arc.large, ends, between);
}
