/* Tile registers of a core, as operations of scheduled kernels see them: eight per thread, each 16 rows of 16 words of
 * 32 bits, which belong to one chunk of one kernel. They hold sums of f32, or pairs of bf16: a word's low half is the
 * first of the pair. */
#ifndef LATHE_IR_TILES_H
#define LATHE_IR_TILES_H

#include "ir/ir.h"

enum { TILES = 8, TILE_ROWS = 16, TILE_WORDS = 16, TILE_ELEMENTS = TILE_ROWS * TILE_WORDS };

static inline bool op_is_tile(Op op)
{
    return op == OP_tile_zero || op == OP_tile_load || op == OP_tile_store || op == OP_tile_dot;
}

/* Does its body use tile registers? */
bool kernel_has_tiles(const Node *kernel);

/* The number of a move of one register, to or from rows that are `pitch` words apart. */
static inline int64_t tile_move_number(int number, int64_t pitch)
{
    return number + TILES * pitch;
}

/* The number of a tile_dot. */
static inline int64_t tile_dot_number(int sums, int a, int b)
{
    return sums + TILES * a + (int64_t)TILES * TILES * b;
}

/* What tile_dot does: for each row i of a and each word j of a row of b
 *
 *     low  = sum over k of low(a[i][k]) * low(b[k][j])       k ascending, from +0, rounded to nearest after each term
 *     high = sum over k of high(a[i][k]) * high(b[k][j])
 *     sums[i][j] += low + high
 *
 * Products are exact, subnormal numbers are zeros everywhere. Source: TDPBF16PS in Intel's Software Developer's Manual.
 */
void tile_dot(float *sums, const uint32_t *a, const uint32_t *b);

#endif
