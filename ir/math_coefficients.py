#!/usr/bin/env python3
"""Prints ir/math_tables.h: the minimax coefficients that ir/math*.c evaluates.

  pip install mpmath
  python3 ir/math_coefficients.py > ir/math_tables.h

Method: Remez exchange in 50 decimal digits on a relative-error weight (Remez 1934). Coefficients are rounded one after the other, lowest
power first, and the rest is fitted again after each rounding, so that the rounded polynomial is nearly as good as the exact one. Reductions are those of Cody & Waite, Software Manual for the Elementary
Functions, 1980. The comment above each table states the error of the rounded coefficients relative to the function.
"""
from mpmath import mp, mpf, exp, log, atanh, sqrt, sin, cos, asin, atan, sinh, tanh, erf, erfc, pi, matrix, lu_solve, frexp, ldexp

mp.dps = 50
GRID = 501  # odd: symmetric intervals then leave out 0, where relative weights of odd functions vanish


def rounded(value, bits):
    """value to `bits` significant bits, to nearest even (mpf to mpf)."""
    if value == 0 or bits is None:
        return mpf(value)
    mantissa, exponent = frexp(mpf(value))
    return ldexp(mp.nint(ldexp(mantissa, bits)), exponent - bits)


def grid(low, high, squares):
    """Chebyshev-spaced points, ends included; squares: spaced so in the root of x, for functions of a square."""
    if squares:
        return [x * x for x in grid(sqrt(low), sqrt(high), False)]
    return [(low + high) / 2 + (high - low) / 2 * cos(pi * (GRID - i) / GRID) for i in range(GRID + 1)]


def horner(coefficients, x):
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def extremes(points, errors, count):
    """`count` alternating extremes of the error, the largest run of neighbours."""
    found = []
    for i, e in enumerate(errors):
        if found and (e > 0) == (errors[found[-1]] > 0):
            if abs(e) > abs(errors[found[-1]]):
                found[-1] = i
        else:
            found.append(i)
    while len(found) > count:
        if abs(errors[found[0]]) < abs(errors[found[-1]]):
            found.pop(0)
        else:
            found.pop()
    return [points[i] for i in found] if len(found) == count else None


class Target:
    """A function on an interval, sampled once: values f(x) and weights w(x); the error is w (approximation - f)."""

    def __init__(self, function, weight, low, high, squares=False):
        self.function, self.weight = function, weight
        self.low, self.high = mpf(low), mpf(high)
        self.points = grid(self.low, self.high, squares)
        self.values = [function(x) for x in self.points]
        self.weights = [abs(weight(x)) for x in self.points]
        self.at = {x: (f, w) for x, f, w in zip(self.points, self.values, self.weights)}


def first_points(target, count):
    return [target.points[round(GRID * (i + 0.5) / count)] for i in range(count)]


def remez(target, fixed, degree):
    """Coefficients fixed + free ones up to degree, minimising the weighted error."""
    start, free = len(fixed), degree + 1 - len(fixed)
    base = [horner(fixed, x) for x in target.points]
    if free == 0:
        return list(fixed)
    reference = first_points(target, free + 1)
    known = dict(zip(target.points, base))
    # The free terms share the factor x^start; where it is negative an alternating error has the other sign.
    flip = [-1 if start % 2 and x < 0 else 1 for x in target.points]
    flipped = dict(zip(target.points, flip))
    best, best_error = None, None
    for _ in range(30):
        system, right = matrix(free + 1, free + 1), matrix(free + 1, 1)
        for row, x in enumerate(reference):
            f, w = target.at[x]
            for j in range(free):
                system[row, j] = x ** (start + j) if x != 0 else mpf(start + j == 0)
            system[row, free] = (-1) ** row * flipped[x] / w
            right[row] = f - known[x]
        solution = lu_solve(system, right)
        coefficients = list(fixed) + [solution[j] for j in range(free)]
        errors = [w * (horner(coefficients, x) - f) for x, f, w in zip(target.points, target.values, target.weights)]
        worst = max(abs(e) for e in errors)
        if best_error is None or worst < best_error:
            best, best_error = coefficients, worst
        if worst <= abs(solution[free]) * mpf("1.001"):
            break
        reference = extremes(target.points, [e * s for e, s in zip(errors, flip)], free + 1)
        if reference is None:
            break
    return best


def worst_error(target, coefficients):
    return max(abs(w * (horner(coefficients, x) - f)) for x, f, w in zip(target.points, target.values, target.weights))


def improved(target, coefficients, first, bits, worst):
    """Moves single coefficients by one unit in the last place for as long as that helps."""
    moved = True
    while moved:
        moved = False
        for j in range(first, len(coefficients)):
            unit = ldexp(mpf(1), frexp(coefficients[j])[1] - bits)
            for step in (-unit, unit):
                trial = coefficients[:j] + [coefficients[j] + step] + coefficients[j + 1:]
                error = worst_error(target, trial)
                if error < worst:
                    coefficients, worst, moved = trial, error, True
    return coefficients, worst


def polynomial(target, degree, bits, fixed=()):
    """Minimax polynomial with rounded coefficients: rounds the lowest free one, fits the rest again where that helps."""
    first = len(fixed)
    current = remez(target, fixed, degree)
    for j in range(first, degree + 1):
        current = current[:j] + [rounded(current[j], bits)] + current[j + 1:]
        fitted = remez(target, current[:j + 1], degree)
        if worst_error(target, fitted) < worst_error(target, current):
            current = fitted
    worst = worst_error(target, current)
    return improved(target, current, first, bits, worst) if bits == 24 else (current, worst)


def table(name, what, coefficients, worst):
    print(f"/* {what}: relative error 2^{float(log(worst, 2)):.1f}. */")
    print(f"static const double {name}[] = {{")
    for c in coefficients:
        print(f"    {float(c).hex()},")
    print("};\n")


def series(name, what, function, weight, low, high, degree, bits=53, fixed=(), shown=None, squares=False):
    """Prints the coefficients from number `shown` on (default: the first that is not fixed)."""
    target = Target(function, weight, low, high, squares)
    coefficients, worst = polynomial(target, degree, bits, [mpf(c) for c in fixed])
    table(name, what, coefficients[len(fixed) if shown is None else shown:], worst)


def of_square(function, at_zero):
    """z -> function(x) / x with z = x^2, for odd functions."""
    return lambda z: function(sqrt(z)) / sqrt(z) if z > mpf("1e-40") else mpf(at_zero)


def pieces(name, value, widths):
    """value as a sum of numbers of the given bit widths."""
    for i, bits in enumerate(widths):
        part = rounded(value, bits)
        print(f"#define {name}_{i + 1} {float(part).hex()}")
        value -= part


def main():
    slack = mpf("1.0001")
    ln2 = log(mpf(2))
    print("""/* Minimax coefficients of ir/math*.c, lowest power first. Made by ir/math_coefficients.py: do not edit. */
#ifndef LATHE_IR_MATH_TABLES_H
#define LATHE_IR_MATH_TABLES_H
""")
    pieces("TWICE_LN2_F32", 2 * ln2, [17, 24])
    pieces("LN2_F32", ln2, [17, 24])
    pieces("HALF_LN2_F32", ln2 / 2, [18, 24])
    pieces("LN2_F64", ln2, [42, 53])
    pieces("HALF_PI", pi / 2, [53, 53, 53])
    pieces("TWO_THIRDS", mpf(2) / 3, [53, 53])
    print(f"#define TWO_OVER_PI {float(2 / pi).hex()}\n")

    wide, narrow = ln2 * slack, ln2 / 2 * slack
    series("exp_f32", "exp(r), |r| <= ln 2, from r^2 on", exp, lambda r: 1 / exp(r), -wide, wide, 7, 24, [1, 1])
    series("softexp_f32", "exp(r), |r| <= ln 2 / 2, from r^2 on", exp, lambda r: 1 / exp(r), -narrow, narrow, 6, 24, [1, 1])
    series("sigmoid_f32", "exp(-r), |r| <= ln 2 / 2, from r^2 on", lambda r: exp(-r), exp, -narrow, narrow, 6, 24, [1, -1])
    series("gate_f32", "exp(-r), |r| <= ln 2 / 2, from r on", lambda r: exp(-r), exp, -narrow, narrow, 5, 24, [1])
    series("tanh_f32", "(exp(2r) - 1) / 2, |r| <= ln 2 / 4, from r^3 on", lambda r: mp.expm1(2 * r) / 2, lambda r: 2 / mp.expm1(2 * r), -narrow / 2, narrow / 2, 6, 24, [0, 1, 1])
    series("expm1_f64", "exp(r) - 1, |r| <= ln 2 / 2, from r^3 on", mp.expm1, lambda r: 1 / mp.expm1(r), -narrow, narrow, 12, 53, [0, 1, 0.5])

    low, high = sqrt(mpf(0.5)) - 1, sqrt(mpf(2)) - 1
    series("log_f32", "log(1 + f), sqrt(1/2) <= 1 + f <= sqrt(2), from f^3 on", mp.log1p, lambda f: 1 / mp.log1p(f), low, high, 10, 24, [0, 1, -0.5])
    ratio = (3 - 2 * sqrt(mpf(2))) ** 2 * slack
    double_atanh = of_square(lambda s: 2 * atanh(s), 2)
    series("log_f64", "(log((1+s)/(1-s)) - 2s) / s in z = s^2, from z on", lambda z: double_atanh(z) - 2, lambda z: mpf(0.5), 0, ratio, 7, 53, [0])
    series("log_pow", "(log((1+s)/(1-s)) - 2s) / s^3 in z = s^2, from z on", lambda z: (double_atanh(z) - 2) / z if z > mpf("1e-20") else mpf(2) / 3, lambda z: z / 2 + mpf("1e-45"), 0, ratio, 8, 53, [mpf(2) / 3])

    power = lambda a: log(erfc(a), 2) / a
    series("erf_f32", "log2(1 - erf(a)) / a, 0 <= a <= 4, relative to erf", power, lambda a: a * ln2 * erfc(a) / erf(a), mpf("1e-6"), 4, 8, 24)
    series("exp2m1_f32", "1 - 2^r, |r| <= 1/2, from r on", lambda r: 1 - 2 ** r, lambda r: 1 / (1 - 2 ** r), -slack / 2, slack / 2, 6, 24, [0])

    small = of_square(erf, 2 / sqrt(pi))
    series("erf_f64", "erf(x) / x - 1 in z = x^2, |x| <= 1", lambda z: small(z) - 1, lambda z: 1 / small(z), 0, 1, 12, squares=True)
    from_t = lambda t: 2 * (1 + t) / (1 - t)
    series("erfc_f64", "exp(x^2) erfc(x) in t = (x - 2) / (x + 2), 1 <= x <= 6, relative to erf", lambda t: erfc(from_t(t)) * exp(from_t(t) ** 2), lambda t: exp(-from_t(t) ** 2) / erf(from_t(t)), -mpf(1) / 3, mpf(1) / 2, 12)

    quarter = (pi / 4) ** 2 * slack
    sine, cosine = of_square(sin, 1), lambda z: cos(sqrt(z))
    series("sin_f64", "sin(r) / r in z = r^2, |r| <= pi / 4, from z on", sine, lambda z: 1 / sine(z), 0, quarter, 7, 53, [1])
    series("cos_f64", "cos(r) in z = r^2, from z^2 on", cosine, lambda z: 1 / cosine(z), 0, quarter, 7, 53, [1, -0.5])
    series("sin_short", "the same for results in f32", sine, lambda z: 1 / sine(z), 0, quarter, 4, 53, [1])
    series("cos_short", "the same for results in f32", cosine, lambda z: 1 / cosine(z), 0, quarter, 4, 53, [1, -0.5])

    arctangent, arcsine, sinus = of_square(atan, 1), of_square(asin, 1), of_square(sinh, 1)
    series("atan_f64", "atan(x) / x in z = x^2, |x| <= tan(pi / 8), from z on", arctangent, lambda z: 1 / arctangent(z), 0, mp.tan(pi / 8) ** 2 * slack, 11, 53, [1])
    series("asin_f64", "asin(x) / x in z = x^2, |x| <= 1/2, from z on", arcsine, lambda z: 1 / arcsine(z), 0, 0.25, 13, 53, [1])
    series("sinh_f64", "sinh(x) / x in z = x^2, |x| <= 1, from z on", sinus, lambda z: 1 / sinus(z), 0, 1, 8, 53, [1])
    print("#endif")


if __name__ == "__main__":
    main()
