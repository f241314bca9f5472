/* Building operators out of others, for EXPAND_BY rows. Every helper passes NULL on, so that one test at the end is
 * enough: the diagnostic stands where the first of them failed. */
#ifndef LATHE_IR_OPS_BUILD_H
#define LATHE_IR_OPS_BUILD_H

#include "ir/ops/ops.h"

/* Any operator with one output; inputs may be omitted nodes but not NULL. */
Node *build(Ir *ir, Op op, Node *const *inputs, int count, const Attribute *attributes, int attribute_count);
Node *build1(Ir *ir, Op op, Node *x);
Node *build2(Ir *ir, Op op, Node *x, Node *y);
Node *build3(Ir *ir, Op op, Node *x, Node *y, Node *z);
/* With one attribute. */
Node *build1_with(Ir *ir, Op op, Node *x, Attribute attribute);
Node *build2_with(Ir *ir, Op op, Node *x, Node *y, Attribute attribute);
/* Cast, or x itself when it has the type. */
Node *build_cast(Ir *ir, Node *x, Dtype dtype);
/* x op value, the value as a scalar of the type of x. */
Node *build_number(Ir *ir, Op op, Node *x, double value);
/* A reduction over axes, which stay with extent 1. */
Node *build_reduce(Ir *ir, Op op, Node *x, const int64_t *axes, int count);
/* Axes of extent 1 put in (their places in the result). */
Node *build_unsqueeze(Ir *ir, Node *x, const int64_t *axes, int count);
/* As Reshape: 0 copies the dim, -1 is what is left. */
Node *build_reshape(Ir *ir, Node *x, const int64_t *dims, int count);
/* x with the dims of `like`, which has as many elements. */
Node *build_reshape_like(Ir *ir, Node *x, Node *like);

#endif
