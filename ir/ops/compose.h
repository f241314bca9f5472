/* Composing operators of other domains out of those of the default domain: more helpers beside build.h. Like those they
 * pass NULL on. */
#ifndef LATHE_IR_OPS_COMPOSE_H
#define LATHE_IR_OPS_COMPOSE_H

#include "ir/ops/build.h"

/* Reports against the node at hand; returns false. */
bool compose_error(Ir *ir, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Is input i given? NULL when it is not. */
Node *compose_input(const Node *node, int i);
/* The same operator under another name: all inputs and attributes handed on. */
bool compose_renamed(Ir *ir, const Node *node, Op op, Node **outputs);

Node *build_transpose(Ir *ir, Node *x, const int64_t *axes, int count);
/* The first of the axes, or the last, exchanged with ... : NCHW of NHWC, and back. */
Node *build_channels_first(Ir *ir, Node *x);
Node *build_channels_last(Ir *ir, Node *x);
/* x[start:end] along one axis; end INT64_MAX: all that is left. */
Node *build_slice(Ir *ir, Node *x, int64_t axis, int64_t start, int64_t end);
/* Element `index` of one axis, which goes. */
Node *build_pick(Ir *ir, Node *x, int64_t axis, int64_t index);
Node *build_squeeze(Ir *ir, Node *x, int64_t axis);
/* count equal parts along an axis. */
bool build_split(Ir *ir, Node *x, int64_t axis, int count, Node **parts);
/* Parts of given sizes. */
bool build_split_sizes(Ir *ir, Node *x, int64_t axis, const int64_t *sizes, int count, Node **parts);
Node *build_concat(Ir *ir, Node *const *parts, int count, int64_t axis);
/* Dim `axis` of x as an i64 scalar. */
Node *build_dim(Ir *ir, Node *x, int64_t axis);
/* 0, 1, 2, ... below the i64 scalar `end`. */
Node *build_count(Ir *ir, Node *end);

/* Constants of rank `rank`. The values of `ints` and `reals` are converted to dtype. */
Node *constant_reals(Ir *ir, Dtype dtype, const double *values, const int64_t *dims, int rank);
Node *constant_integers(Ir *ir, Dtype dtype, const int64_t *values, const int64_t *dims, int rank);
/* A list of FLOATS as a constant of one dimension; NULL, without a message, when the attribute is absent or empty. */
Node *constant_attribute(Ir *ir, const Node *node, const char *name, Dtype dtype);
const double *attribute_reals(const Node *node, const char *name, int *count); /* NULL and 0 when absent */

/* An activation by name, with its parameters (`given` of them; the rest are defaults). */
Node *build_activation(Ir *ir, Node *x, const char *name, const double *parameters, int given);

#endif
