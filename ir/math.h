/* Transcendental functions as arithmetic: exp, tanh, pow and their like become nodes that every target and the
 * interpreter compute to the same bits; no library is called. Errors in units in the last place stand in
 * docs/numerics.md.
 *
 * The expansions have no branches and no tables: comparisons and selects, so that they work lane by lane on vectors.
 * f32: exp, log, log1p, tanh, sigmoid and erf stay in f32; the others compute in f64 and round once.
 * f16, bf16 and smaller floats compute in their compute type. Integers: pow alone, exact with wrapping. */
#ifndef LATHE_IR_MATH_H
#define LATHE_IR_MATH_H

#include "ir/ir.h"

bool math_is_transcendental(Op op); /* exp, tanh ...: legal in stages only */
/* The value of `op`, one of the transcendental operations of scalar.def, by operations that are not. Operands have
 * equal dtypes; a scalar operand is splat to the lanes of a vector one. BUG when the operation is not defined on the
 * dtype. */
Node *math_expand(Ir *ir, Op op, Node *const *operands, int count);

#endif
