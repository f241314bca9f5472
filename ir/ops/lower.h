/* Lowering: a room turns one operator node into stages over buffers; no decisions are taken here, only meaning is stated.
 *
 *     static bool relu_lower(Lower *lower) { ... lower_define(lower, lower_out(lower, 0), axes, rank, value); ... }
 *
 * Expressions load elements with lower_at and are built with ir.h's scalar functions. Loads of f16, bf16 and other storage types are
 * converted to their compute type; lower_define converts back to the buffer's dtype. */
#ifndef LATHE_IR_OPS_LOWER_H
#define LATHE_IR_OPS_LOWER_H

#include "ir/ops/ops.h"

struct Lower {
    Ir *ir;
    const Node *node;
    Node **inputs;  /* buffers; NULL for omitted ones */
    Node **outputs; /* buffers, made beforehand from the inferred types */
    Block *kernels; /* each defined stage becomes a kernel here, in order */
};

static inline int lower_input_count(const Lower *lower)
{
    return (int)lower->node->input_count;
}
static inline bool lower_has(const Lower *lower, int i)
{
    return i < (int)lower->node->input_count && lower->inputs[i] != NULL;
}
static inline Node *lower_in(const Lower *lower, int i)
{
    return lower->inputs[i];
}
static inline Node *lower_out(const Lower *lower, int i)
{
    return lower->outputs[i];
}
Node *lower_temp(Lower *lower, const char *name, Dtype dtype, int rank, Node *const *dims);
/* One fresh axis per dim of `type`, named a0, a1, ... */
void lower_axes(Lower *lower, Type type, Node **axes);
Node *lower_axis(Lower *lower, const char *name, Node *extent);
/* The element of `buffer` at logical indices, in its compute type. */
Node *lower_at(Lower *lower, Node *buffer, Node *const *indices);
/* Where `index`, which runs over `extent`, lies along a dim that is the extent or 1. */
Node *broadcast_index(Ir *ir, Node *dim, Node *extent, Node *index);
/* As lower_at, with `indices` of the larger rank aligned at the end and dims of extent 1 read at 0. */
Node *lower_at_broadcast(Lower *lower, Node *buffer, Node *const *indices, int rank);
/* buffer[axes...] = value, for all axes. */
void lower_define(Lower *lower, Node *buffer, Node *const *axes, int count, Node *value);
/* buffer[indices...] = value, for all axes: indices are injective; stages of one buffer define disjoint boxes. */
void lower_define_box(Lower *lower, Node *buffer, Node *const *axes, int count, Node *const *indices, Node *value);
/* As lower_define_box, with the last `ordered` of the axes in order: see stage_ordered in ir/kernel.h. */
void lower_define_ordered(Lower *lower, Node *buffer, Node *const *axes, int count, int ordered, Node *const *indices, Node *value);
/* One kernel of stages that are steps over the same leading axes (ir/kernel.h): open, define each in order, close. */
typedef struct LowerSteps {
    Lower *lower;
    Block *stages;
    Node *const *axes; /* the leading axes */
    int count, ordered; /* how many, and how many of the last of them run in order */
} LowerSteps;
LowerSteps lower_steps_open(Lower *lower, Node *const *axes, int count, int ordered);
/* buffer[indices...] = value, for all of `within` at each point. */
void lower_step(LowerSteps *steps, Node *buffer, Node *const *within, int count, Node *const *indices, Node *value);
void lower_steps_close(LowerSteps *steps);
/* 0 <= index < extent (parts that are proven are left out). */
Node *lower_inside(Ir *ir, Node *index, Node *extent);
/* A run-time position that may count from the end, checked against the extent (bound_make). */
Node *lower_position(Ir *ir, Node *value, Node *extent);

/* Lowers one node into kernels appended to `kernels`. inputs: buffers (NULL where omitted); outputs: buffers of the inferred types. */
bool node_lower(Ir *ir, const Node *node, Node **inputs, Node **outputs, Block *kernels);

/* Elements of small results (one, or all of several) by symbolic evaluation of their stages: contents of the inputs in, index (or bool,
 * float) nodes out. False when they are not known. */
bool contents_evaluate(Ir *ir, const Node *node, Node *const **contents);

#endif
