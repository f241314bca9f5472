/* What the GPU templates build with: threads, blocks of the grid, shared memory. */
#ifndef LATHE_CODEGEN_GPU_BUILD_H
#define LATHE_CODEGEN_GPU_BUILD_H

#include "ir/ir.h"
#include "targets/target.h"

/* A loop over the blocks of the grid, which runs once in each; *unit: the number of the block. */
Block *gpu_blocks(Ir *ir, Block *body, Node *units, Node **unit);
/* The block of instructions that run where `condition` holds; `block` itself when it is proven. */
Block *gpu_if(Ir *ir, Block *block, Node *condition);
void gpu_barrier(Ir *ir, Block *block);
/* An ordered operation without a value. */
void gpu_order(Ir *ir, Block *block, Op op, Node *const *inputs, int count, int64_t integer);
Node *gpu_ordered_value(Ir *ir, Block *block, const Node *draft);
Node *gpu_shared(Ir *ir, const char *name, Dtype dtype, int64_t elements);
/* Element or `lanes` elements of a buffer that the kernel writes. */
Node *gpu_read(Ir *ir, Block *block, Node *buffer, Node *offset, int lanes);
void gpu_store(Ir *ir, Block *block, Node *buffer, Node *offset, Node *value);

/* Indices of the axes from one number, last axis fastest. */
void gpu_digits(Ir *ir, Node *const *axes, int count, Node *number, Node **digits);
/* `stage` with axes replaced by values; what is left of its axes keeps its order. */
Node *gpu_place(Ir *ir, const Node *stage, Node *const *axes, Node *const *values, int count);
/* The axes so ordered that neighbours of the last are neighbours in what the stage writes. */
void gpu_sort_axes(Ir *ir, const Node *stage, Node **axes, int count);
/* Does an extent inside `node` depend on one of the axes? Then they cannot be replaced: an axis keeps its extent. */
bool gpu_is_ragged(Ir *ir, Node *node, Node *const *axes, int count);
/* How many leading axes all stages have in common: rows that the stages walk together. */
int gpu_shared_axes(const Block *stages);

/* The kernel's stages with the local buffers in memory that a block shares; `copies` rows of each, of which a stage
 * means number `copy`. NULL when they take more than `bytes_most`. */
Node *gpu_share_locals(Ir *ir, Node *kernel, int copies, Node *copy, int64_t bytes_most);

#endif
