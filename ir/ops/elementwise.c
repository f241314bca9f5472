/* Elementwise operators whose meaning is more than a line of scalar text: variadic ones, Clip, Pow, Gelu. Cast is in cast.c. */
#include "ir/ops/room.h"
#include "ir/ops/rules.h"
#include "ir/scalar.h"

#include <math.h>

/* out = step(... step(step(x0, x1), x2) ..., xn), then divided by `divisor` unless that is 1. */
static bool chain_lower(Lower *lower, Op step, int divisor)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX], *value = NULL;
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < lower_input_count(lower); i++) {
        Node *const term = lower_at_broadcast(lower, lower_in(lower, i), axes, out->type.rank);
        value = value ? scalar2(ir, step, value, term) : term;
    }
    if (divisor > 1)
        value = scalar2(ir, OP_div, value, const_float(ir, value->type.dtype, divisor));
    lower_define(lower, out, axes, out->type.rank, value);
    return true;
}

bool max_lower(Lower *lower)
{
    return chain_lower(lower, OP_max, 1);
}

bool min_lower(Lower *lower)
{
    return chain_lower(lower, OP_min, 1);
}

bool sum_lower(Lower *lower)
{
    return chain_lower(lower, OP_add, 1);
}

bool mean_lower(Lower *lower)
{
    return chain_lower(lower, OP_add, lower_input_count(lower));
}

/* min(max(x, low), high): with low > high everything becomes high. */
bool clip_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0);
    Node *axes[RANK_MAX];
    lower_axes(lower, x->type, axes);
    Node *const first[1] = {index_const(ir, 0)};
    Node *value = lower_at(lower, x, axes);
    for (int i = 1; i < 3; i++)
        if (lower_has(lower, i))
            value = scalar2(ir, i == 1 ? OP_max : OP_min, value, lower_at(lower, lower_in(lower, i), first));
    lower_define(lower, lower_out(lower, 0), axes, x->type.rank, value);
    return true;
}

/* ---- Pow ---- */

/* The one number that the constant `node` holds. */
static bool constant_number(Ir *ir, const Node *node, double *value)
{
    if (node->op != OP_constant || (!node->payload.constant->splat && !index_is(type_elements(ir, node->type), 1)))
        return false;
    const Dtype dtype = node->type.dtype;
    if (dtype_info[dtype].bits < 8 || node->payload.constant->bytes < (uint64_t)dtype_info[dtype].bits / 8)
        return false;
    *value = const_as_double(const_bits(ir, type_scalar(dtype), element_bits(node->payload.constant->data, dtype)));
    return true;
}

/* base^exponent for a small whole exponent as products; NULL when it is none. */
static Node *power_known(Ir *ir, Node *base, double exponent)
{
    Node *const one = const_float(ir, base->type.dtype, 1);
    if (exponent == 0)
        return one;
    if (exponent == 1)
        return base;
    if (exponent == 2 || exponent == 3) {
        Node *const square = scalar2(ir, OP_mul, base, base);
        return exponent == 2 ? square : scalar2(ir, OP_mul, square, base);
    }
    return exponent == -1 && dtype_is_float(base->type.dtype) ? scalar2(ir, OP_div, one, base) : NULL;
}

/* The integer type that powers of `base` are computed in: no exponent is cut, and wrapping to the base's type afterwards gives the same
 * bits as wrapping all along. */
static Dtype power_type(Dtype base, Dtype exponent)
{
    if (base == exponent || (dtype_is_signed(base) == dtype_is_signed(exponent) && dtype_info[base].bits >= dtype_info[exponent].bits))
        return base;
    return dtype_is_signed(exponent) ? DTYPE_I64 : DTYPE_U64;
}

/* The result has the base's type. An integer base with a float exponent goes through f64: exact while the result is below 2^53. */
static Node *power(Ir *ir, Node *base, Node *exponent)
{
    const Dtype dtype = base->type.dtype;
    if (dtype_is_float(dtype))
        return scalar2(ir, OP_pow, base, cast_make(ir, exponent, dtype));
    if (exponent->type.dtype == DTYPE_BOOL)
        exponent = cast_make(ir, exponent, DTYPE_U8);
    if (!dtype_is_float(exponent->type.dtype)) {
        const Dtype common = power_type(dtype, exponent->type.dtype);
        return cast_make(ir, scalar2(ir, OP_pow, cast_make(ir, base, common), cast_make(ir, exponent, common)), dtype);
    }
    Node *const wide = scalar2(ir, OP_pow, cast_make(ir, base, DTYPE_F64), cast_make(ir, exponent, DTYPE_F64));
    return cast_make(ir, wide, dtype);
}

bool pow_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX];
    double exponent;
    lower_axes(lower, out->type, axes);
    Node *const base = lower_at_broadcast(lower, lower_in(lower, 0), axes, out->type.rank);
    Node *value = NULL;
    if (constant_number(ir, lower->node->inputs[1], &exponent)) {
        value = power_known(ir, base, exponent);
        /* An integer base keeps to integers when the exponent is whole; one that is known costs few products. */
        if (!value && !dtype_is_float(base->type.dtype) && exponent == trunc(exponent) && fabs(exponent) < 0x1p53)
            value = power(ir, base, const_int(ir, DTYPE_I64, (int64_t)exponent));
    }
    if (!value)
        value = power(ir, base, lower_at_broadcast(lower, lower_in(lower, 1), axes, out->type.rank));
    lower_define(lower, out, axes, out->type.rank, value);
    return true;
}

/* ---- Gelu ---- */

static Node *binary(Ir *ir, Op op, Node *a, Node *b)
{
    return a && b ? tensor_make(ir, op, (Node *[]){a, b}, 2, 1, NULL, 0) : NULL;
}

static Node *unary(Ir *ir, Op op, Node *a)
{
    return a ? tensor_make(ir, op, &a, 1, 1, NULL, 0) : NULL;
}

/* x/2 * (1 + erf(x / sqrt 2)), or with approximate = "tanh" x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). */
bool gelu_expand(Ir *ir, const Node *node, Node **outputs)
{
    Node *const x = node->inputs[0];
    const Dtype dtype = x->type.dtype;
    const char *const approximate = attribute_string(node, "approximate", "none");
    Node *inner;
    if (approximate[0] == 't') {
        Node *const cube = binary(ir, OP_Mul, x, binary(ir, OP_Mul, x, x));
        Node *const bent = binary(ir, OP_Add, x, binary(ir, OP_Mul, cube, constant_scalar(ir, dtype, 0.044715)));
        inner = unary(ir, OP_Tanh, binary(ir, OP_Mul, bent, constant_scalar(ir, dtype, 0.79788456080286535588)));
    } else {
        inner = unary(ir, OP_Erf, binary(ir, OP_Mul, x, constant_scalar(ir, dtype, 0.70710678118654752440)));
    }
    Node *const gate = binary(ir, OP_Add, inner, constant_scalar(ir, dtype, 1));
    outputs[0] = binary(ir, OP_Mul, binary(ir, OP_Mul, x, constant_scalar(ir, dtype, 0.5)), gate);
    return outputs[0] != NULL;
}
