/* Kernel nodes: stages (what is computed) and, once scheduled, a body (how). */
#ifndef LATHE_IR_KERNEL_H
#define LATHE_IR_KERNEL_H

#include "ir/ir.h"

/* A kernel of `stages`. Its inputs are its parameters: the buffers that the stages name, in order of first mention (per
 * stage: what it reads, then what it writes), then the symbols that appear in any extent, index or dim, by first
 * mention. Aliases are parameters like any other. */
Node *kernel_make(Ir *ir, Name name, Block *stages);
/* The same kernel with a body: blocks become [stages, body]; parameters are found anew from stages, body, units and the
 * dims of buffers. */
Node *kernel_with_body(Ir *ir, Node *kernel, Block *body, Node *units, const char *schedule, int64_t scratch);
/* The same for a GPU: units are blocks of so many threads. */
Node *kernel_with_threads(Ir *ir, Node *kernel, Block *body, Node *units, const char *schedule, int64_t scratch,
                          int threads);
Node *thread_make(Ir *ir, int threads); /* the number of the thread in a block of so many */
enum { THREADS_MAX = 1024, WARP_LANES = 32, SHARED_BYTES_MAX = 227 << 10 };
/* Shared buffers of the body, in order of first mention; the list belongs to the Ir's arena. */
Node **kernel_shared(Ir *ir, const Node *kernel, int *count);
/* Bytes of shared memory that a block needs, each buffer on a multiple of 16; INT64_MAX when an extent is not constant.
 */
int64_t kernel_shared_bytes(Ir *ir, const Node *kernel);

/* Parameters: inputs[0..buffers-1] are buffers, the rest symbols. */
int kernel_buffer_count(const Node *kernel);
static inline Block *kernel_stages(const Node *kernel)
{
    return kernel->blocks[0];
}
static inline Block *kernel_body(const Node *kernel)
{
    return kernel->block_count > 1 ? kernel->blocks[1] : NULL;
}
/* Does the kernel write this buffer? (stages' targets; stores of the body) */
bool kernel_writes(const Node *kernel, const Node *buffer);

/* A buffer of the worker's scratch at *scratch, which moves behind it to a multiple of a cache line; NULL when its size
 * is not known. */
Node *local_make(Ir *ir, const char *name, Type type, int64_t *scratch);
static inline bool is_local(const Node *buffer)
{
    return buffer->payload.buffer->place == PLACE_LOCAL;
}

/* The parts of a stage node. */
static inline Node *stage_buffer(const Node *stage)
{
    return stage->inputs[0];
}
static inline Node *stage_value(const Node *stage)
{
    return stage->inputs[1];
}
static inline Node *const *stage_indices(const Node *stage)
{
    return stage->inputs + 2;
}
/* Where a stage writes and a read (`at`) reads: linear, in the buffer's layout. */
static inline Node *stage_offset(Ir *ir, const Node *stage)
{
    return layout_offset(ir, stage_buffer(stage), stage_indices(stage));
}
static inline Node *read_offset(Ir *ir, const Node *read)
{
    return layout_offset(ir, read->inputs[0], read->inputs + 1);
}
static inline bool stage_has_axis(const Node *stage, const Node *node)
{
    return axes_have(stage->axes, stage->axis_count, node);
}
/* What a stage's number says: how many axes run in order and, for steps, one more than the leading axes. */
enum { STAGE_ORDERED = 255, STAGE_STEP = 256 };
/* How many of the last axes (of a step: of the last leading axes) run in order, lexicographically: points of them may
 * write the same element, and the value may read the buffer as earlier points and earlier stages left it. Points that
 * differ in the other axes touch different elements. */
static inline int stage_ordered(const Node *stage)
{
    return (int)(stage->payload.integer & STAGE_ORDERED);
}
/* Stages of a kernel may be steps: all of them share their leading axes (the same nodes), of which the last `ordered`
 * run in order; at each point all stages run one after the other, each over the axes that are left, in any order. So a
 * value may read what any stage left at this point or at an earlier one: recurrent networks, running states. Points
 * that differ in the leading axes before the ordered ones touch different elements. */
static inline bool stage_is_step(const Node *stage)
{
    return stage->payload.integer >= STAGE_STEP;
}
/* The leading axes of a step: those in any order, then those in order. */
static inline int stage_step_axes(const Node *stage)
{
    return (int)(stage->payload.integer / STAGE_STEP) - 1;
}
/* Are the kernel's stages steps? */
static inline bool kernel_has_steps(const Node *kernel)
{
    return kernel_stages(kernel)->count && stage_is_step(kernel_stages(kernel)->nodes[0]);
}
/* Does any stage run in order? Templates that choose an order of their own cannot take such a kernel. */
bool kernel_has_order(const Node *kernel);
Node *stage_make(Ir *ir, Node *const *axes, int axis_count, Node *buffer, Node *const *indices, Node *value);
Node *stage_make_ordered(Ir *ir, Node *const *axes, int axis_count, int ordered, Node *buffer, Node *const *indices,
                         Node *value);
/* A step: `leading` axes that all stages of the kernel have, the last `ordered` of them in order. */
Node *stage_make_step(Ir *ir, Node *const *axes, int axis_count, int leading, int ordered, Node *buffer,
                      Node *const *indices, Node *value);
/* The same axes in the same order, with another target or value. */
Node *stage_remake(Ir *ir, const Node *stage, Node *buffer, Node *const *indices, Node *value);

/* Does the stage do more to what `reduction` gives than registers beside other sums hold: a transcendental function? */
bool stage_has_long_epilogue(Ir *ir, const Node *stage, Node *reduction);
/* Does the value of a stage hold a contraction? */
bool value_contracts(Ir *ir, Node *value);
/* The contraction into `dtype` that the value holds, when no other reduction stands beside it; else NULL. */
Node *value_contraction(Ir *ir, Node *value, Dtype dtype);
/* What stands in place of a read (`at`); NULL: it stays. */
typedef Node *ReadRule(Ir *ir, Node *read, void *context);
/* `value` with its reads replaced as `rule` says. */
Node *value_replace_reads(Ir *ir, Node *value, ReadRule *rule, void *context);
/* `value` with every read of `from` going to `to`, which has the last dims of it: at as many of the last indices. */
Node *value_read_within(Ir *ir, Node *value, Node *from, Node *to);

#endif
