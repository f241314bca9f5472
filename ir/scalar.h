/* The one definition of scalar arithmetic: what every operation of scalar.def gives on every dtype, for one element.
 *
 * Values are bit patterns in 64 bits: signed integers and indices sign-extended, everything else zero-extended.
 * ir/rows.h holds the same operations for rows of elements; this file calls those, so the two cannot disagree.
 * A NaN result is a NaN; its sign and payload are not part of the meaning. */
#ifndef LATHE_IR_SCALAR_H
#define LATHE_IR_SCALAR_H

#include "ir/ir.h"

int scalar_arity(Op op);
/* False for the transcendental operations, which ir/math.c turns into arithmetic. */
bool scalar_can_evaluate(Op op);
/* `operand` is the dtype of the last operand (for select: of the two values). Storage types below their compute type
 * are widened, computed and rounded back. BUG when the operation is not defined on the dtype. */
uint64_t scalar_evaluate(Op op, Dtype result, Dtype operand, const uint64_t *operands);

/* An element as it lies in a row (ir/rows.h) to and from its 64-bit pattern. */
uint64_t element_bits(const void *element, Dtype dtype);
void element_set(void *element, Dtype dtype, uint64_t bits);

#endif
