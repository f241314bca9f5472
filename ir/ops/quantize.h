/* What the quantised operators share. */
#ifndef LATHE_IR_OPS_QUANTIZE_H
#define LATHE_IR_OPS_QUANTIZE_H

#include "ir/ops/lower.h"

/* Are these zero points of a constant all 0, as those of weights mostly are? Then nothing is subtracted. */
bool quantize_is_centered(const Node *zeros);
/* A whole number as f32 (or f64), brought into the range of an integer type of at most 16 bits. */
Node *quantize_saturate(Ir *ir, Node *value, Dtype dtype);

#endif
