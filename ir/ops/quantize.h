/* What the quantised operators share. */
#ifndef LATHE_IR_OPS_QUANTIZE_H
#define LATHE_IR_OPS_QUANTIZE_H

#include "ir/ops/lower.h"

/* A whole number and a zero point of the same float type: nothing is added where that is 0, for no sign of a zero is left
 * in what is quantised to integers. */
Node *quantize_shift(Ir *ir, Node *whole, Node *zero);
/* Are these zero points of a constant all 0, as those of weights mostly are? Then nothing is subtracted. */
bool quantize_is_centered(const Node *zeros);
/* A whole number as f32 (or f64), brought into the range of an integer type of at most 16 bits. */
Node *quantize_saturate(Ir *ir, Node *value, Dtype dtype);

#endif
