/* Small helpers that several rooms use. */
#ifndef LATHE_IR_OPS_ROOM_H
#define LATHE_IR_OPS_ROOM_H

#include "ir/ops/lower.h"

/* A room asks its node the same questions as the shape rule did; the rule has already passed, so no answer is an error. */
static inline Infer lower_infer(const Lower *lower)
{
    return (Infer){.ir = lower->ir, .node = lower->node};
}

/* Virtual lanes of a sum, product or extremum: sixteen when it runs along the innermost axis, which is contiguous in memory. */
static inline int fold_lanes(Dtype dtype, bool innermost)
{
    return innermost && (dtype == DTYPE_F32 || dtype == DTYPE_F64) ? 16 : 1;
}

/* Product of `count` dims. */
static inline Node *dims_product(Ir *ir, Node *const *dims, int count)
{
    Node *product = index_const(ir, 1);
    for (int i = 0; i < count; i++)
        product = index_mul(ir, product, dims[i]);
    return product;
}

/* As Cast does, by the attributes saturate and round_mode of the node: cast.c. */
Node *lower_cast(Lower *lower, Node *x, Dtype dtype);

#endif
