/* The table of transcendental functions, and what their expansions share. The formulas stand in math_exp.c, math_log.c,
 * math_trig.c and math_pow.c; coefficients come from math_coefficients.py. */
#include "ir/math.h"

#include "ir/math_nodes.h"
#include "ir/scalar.h"

#include <assert.h>

/* single: computes f32 in f32; NULL: f32 goes through f64. */
typedef struct MathRow {
    MathFunction *single, *wide;
} MathRow;

static const MathRow math_rows[] = {
    [OP_exp - OP_exp] = {exp_single, exp_double},
    [OP_softexp - OP_exp] = {softexp_single, softexp_double},
    [OP_log - OP_exp] = {log_single, log_double},
    [OP_log1p - OP_exp] = {log1p_single, log1p_double},
    [OP_tanh - OP_exp] = {tanh_single, tanh_double},
    [OP_sigmoid - OP_exp] = {sigmoid_single, sigmoid_double},
    [OP_gate - OP_exp] = {NULL, NULL}, /* two operands: gate_float */
    [OP_erf - OP_exp] = {erf_single, erf_double},
    [OP_pow - OP_exp] = {NULL, NULL}, /* two operands: pow_float, pow_integer */
    [OP_sin - OP_exp] = {NULL, sin_double},
    [OP_cos - OP_exp] = {NULL, cos_double},
    [OP_tan - OP_exp] = {NULL, tan_double},
    [OP_asin - OP_exp] = {NULL, asin_double},
    [OP_acos - OP_exp] = {NULL, acos_double},
    [OP_atan - OP_exp] = {NULL, atan_double},
    [OP_sinh - OP_exp] = {NULL, sinh_double},
    [OP_cosh - OP_exp] = {NULL, cosh_double},
    [OP_asinh - OP_exp] = {NULL, asinh_double},
    [OP_acosh - OP_exp] = {NULL, acosh_double},
    [OP_atanh - OP_exp] = {NULL, atanh_double},
};
static_assert(sizeof math_rows / sizeof *math_rows == OP_SCALAR_END - OP_exp,
              "the transcendental operations end scalar.def");

bool math_is_transcendental(Op op)
{
    return op >= OP_exp && op < OP_SCALAR_END;
}

Node *math_polynomial(const Form *form, Node *x, const double *coefficients, int count)
{
    Node *value = number(form, coefficients[count - 1]);
    for (int i = count - 2; i >= 0; i--)
        value = fused(form, value, x, number(form, coefficients[i]));
    return value;
}

static Node *every_other(const Form *form, Node *square, const double *coefficients, int first, int count)
{
    int last = first;
    while (last + 2 < count)
        last += 2;
    Node *value = number(form, coefficients[last]);
    for (int i = last - 2; i >= first; i -= 2)
        value = fused(form, value, square, number(form, coefficients[i]));
    return value;
}

Node *math_polynomial_in_halves(const Form *form, Node *x, const double *coefficients, int count)
{
    Node *const square = times(form, x, x);
    Node *const rest = fused(form, every_other(form, square, coefficients, 2, count), x,
                             every_other(form, square, coefficients, 1, count));
    return fused(form, rest, x, number(form, coefficients[0]));
}

double math_round(const Form *form)
{
    return 1.5 * (double)(INT64_C(1) << form->fraction_bits);
}

double math_exponent(const Form *form)
{
    return math_round(form) + form->bias;
}

int64_t math_one(const Form *form)
{
    return (int64_t)form->bias << form->fraction_bits;
}

Node *math_power_of_two(const Form *form, Node *shifted)
{
    /* The bits above those of n + bias are shifted out. */
    return of_bits(form, shifted_left(form, bits_of(form, shifted), form->fraction_bits));
}

static Form form_of(Ir *ir, Dtype dtype)
{
    if (dtype == DTYPE_F32)
        return (Form){ir, DTYPE_F32, DTYPE_I32, 23, 127, false};
    return (Form){ir, DTYPE_F64, DTYPE_I64, 52, 1023, false};
}

static Node *expand_float(Ir *ir, Op op, Node *const *operands)
{
    const Dtype dtype = operands[0]->type.dtype, compute = dtype_compute(dtype);
    const MathRow *const row = &math_rows[op - OP_exp];
    const bool single = compute == DTYPE_F32 && (row->single || op == OP_gate);
    if (op == OP_pow) {
        const Form narrow = form_of(ir, compute);
        Node *const known = pow_known(&narrow, cast_make(ir, operands[0], compute), operands[1]);
        if (known)
            return cast_make(ir, known, dtype);
    }
    Form form = form_of(ir, single ? DTYPE_F32 : DTYPE_F64);
    form.for_single = compute == DTYPE_F32;
    Node *const x = cast_make(ir, operands[0], form.dtype);
    if (op == OP_pow)
        return cast_make(ir, pow_float(&form, x, cast_make(ir, operands[1], form.dtype)), dtype);
    if (op == OP_gate)
        return cast_make(ir, gate_float(&form, x, cast_make(ir, operands[1], form.dtype)), dtype);
    return cast_make(ir, single ? row->single(&form, x) : row->wide(&form, x), dtype);
}

Node *math_expand(Ir *ir, Op op, Node *const *operands, int count)
{
    if (!math_is_transcendental(op) || count != scalar_arity(op))
        BUG("%s of %d operands is not transcendental", op_name(op), count);
    const Dtype dtype = operands[0]->type.dtype;
    if (operands[count - 1]->type.dtype != dtype)
        BUG("%s of %s and %s", op_name(op), dtype_info[dtype].name, dtype_info[operands[count - 1]->type.dtype].name);
    if (op == OP_pow && dtype_is_integer(dtype))
        return pow_integer(ir, operands[0], operands[1]);
    if (!dtype_is_float(dtype))
        BUG("%s of %s", op_name(op), dtype_info[dtype].name);
    return expand_float(ir, op, operands);
}
