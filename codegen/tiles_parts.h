/* Inside of the templates for tile registers: f32 split into three bf16, and what both do alike. tiles.c keeps the
 * parts of a block of rows and of two groups of columns in L2, tiles_stationary.c those of all columns, tiles_stream.c
 * those of a few rows and steps in L1. */
#ifndef LATHE_CODEGEN_TILES_PARTS_H
#define LATHE_CODEGEN_TILES_PARTS_H

#include "codegen/contract_emit.h"
#include "ir/tiles.h"

enum { PARTS = 3, DEPTH = 2 * TILE_WORDS, STRIP = TILE_ELEMENTS }; /* STRIP: words of 16 rows or columns, one part */
enum { PRODUCTS = 6, DOT_CYCLES = 16, STRAY_MOST = 6 };

/* Strips of 16 rows and groups of columns (32 of tiles, 16 of stream; the last may be narrower), of the matrix and of a
 * unit. */
typedef struct TilesShape {
    int64_t strips, groups;
    int64_t unit_strips, unit_groups;
    int64_t most_strips; /* of a block of rows: all, where a chunk of all units is one block, or the unit's */
} TilesShape;

typedef struct TileProduct {
    Contract c; /* how operands are read, roles, epilogue */
    Ir *ir;
    int64_t channels, taps;     /* extent of the last reduced axis, product of the others */
    int64_t tap_steps;          /* of DEPTH for one tap */
    int64_t steps, block_steps; /* of all of k, of one block */
    TilesShape shape;
    int stray; /* rows beyond the last strip, so few that vectors of f32 multiply them */
    Node *stray_a, *stray_sums;
    Node *a_parts, *b_parts;      /* words as registers read them */
    Node *partial;                /* what blocks of k leave; NULL: there is one block */
    Node *row, *rows;             /* the unit's first row and how many it has, without stray ones */
    Node *first_step, *last_step; /* of the block of k */
} TileProduct;

/* False where the kernel is no product of f32 with known columns and depth, the target has no tiles, or nothing is
 * known about the number of rows. */
bool tiles_match(TileProduct *product);
Node *tiles_local(TileProduct *product, const char *name, Dtype dtype, int64_t elements);
/* Of scratch, which the kernel writes. */
Node *tiles_load(TileProduct *product, Block *block, Node *buffer, Node *offset, int lanes);
void tiles_store(TileProduct *product, Block *block, Node *buffer, Node *offset, Node *value);
/* Cycles of a unit. */
typedef double TilesCost(const TileProduct *product, int64_t strips, int64_t groups);
/* Cuts rows and columns so that the cores finish together. `least`: blocks of rows that L2 asks for; where that is 1,
 * a chunk of all units is one block of rows. `even`: strips of a unit are a multiple of it. */
void tiles_share(TileProduct *product, int64_t least, int64_t even, TilesCost *cost);
/* Cycles of all units on `threads` cores; one takes the units of a block of rows together. */
double tiles_cycles(const TileProduct *product, int threads, TilesCost *cost);
/* No more scratch than a thread may take. */
bool tiles_fit(const TileProduct *product);
/* The scheduled kernel; `width`: columns of a group. */
Node *tiles_kernel(const TileProduct *product, const char *name, Block *body, Node *units, int width);
/* Blocks of about equal size, none above `most`. */
int64_t tiles_even_blocks(int64_t count, int64_t most);
void tiles_op(TileProduct *product, Block *block, Op op, Node *buffer, Node *offset, int64_t number);

/* Where step `step` of k is: its tap and its first channel. */
typedef struct Step {
    Node *tap, *channel;
} Step;
Step tiles_step(TileProduct *product, Node *step);
/* As a number of all of k. */
Node *tiles_flat(TileProduct *product, Step step, int64_t beyond);

/* Two vectors that become words of all three parts, one part at a time. Word j of a row holds steps j and j + 16 of 32,
 * so that words are made of two vectors without a permutation. */
typedef struct Splitting {
    Node *values[2]; /* what is left of them */
    Node *parts, *offset;
    int64_t pitch; /* words from part to part */
    int part;
} Splitting;
/* A row of A at a step; row `number` of the step of 16 columns of B. The caller sets offset and pitch. */
Splitting tiles_split_a(TileProduct *product, Block *block, Node *row, Step step);
Splitting tiles_split_b(TileProduct *product, Block *block, Node *column, Step step, Node *number, Node *mask);
void tiles_split_next(TileProduct *product, Block *block, Splitting *splitting);
void tiles_split_all(TileProduct *product, Block *block, Splitting splitting);

/* Batch x blocks of rows x blocks of columns, columns fastest: a loop over the blocks of rows of the chunk, whose rows
 * are set. Of each, the units from `first` to `last` are the chunk's, and go together. */
typedef struct TilesUnits {
    Node *count, *first, *last; /* last: may be beyond the last block of columns */
} TilesUnits;
Block *tiles_units(TileProduct *product, Block *body, int64_t unit_rows, int64_t column_blocks, TilesUnits *units);
/* A loop over blocks of k where there are several. */
Block *tiles_depth(TileProduct *product, Block *block);
/* Where sums begin with 0, and where they are carried on (NULL: nowhere); where they are complete, and where not. */
Block *tiles_fresh(TileProduct *product, Block *block, Block **carried);
Block *tiles_last(TileProduct *product, Block *block, Block **rest);
/* Where a field's results begin: at row `first` of the unit. */
Corner tiles_corner(const TileProduct *product, Node *first, Node *column);
/* Rows of a field whose results, and what they are made of, come to L2 during a step of the last block of k: `count` of
 * them. Before that block it is always the field's first row. */
typedef struct ResultRows {
    Node *first, *last_block; /* 1 in the last block, else 0 */
    int count;
} ResultRows;
ResultRows tiles_result_rows(TileProduct *product, Node *step, int rows);
Node *tiles_result_row(TileProduct *product, const ResultRows *rows, int number);
/* The epilogue of `rows` rows whose sums are in c.sums, some at once so that what they wait for overlaps. */
void tiles_results(TileProduct *product, Block *block, const Corner *corner, Node *rows, int at_once, int panels,
                   Node *const *masks);

/* ---- rows beyond the last strip (tiles_stray.c) ---- */

/* A strip of one row takes as long as one of sixteen. Where there are `least` to `most` whole strips and a few rows
 * more, these are stray: vectors of f32 multiply them with the rows of B that are about to be split. */
void tiles_plan_stray(TileProduct *product, int64_t least, int64_t most);
/* Their rows of A, and sums of panels at `places`: [place][row][PANEL]. All that follows does nothing without stray
 * rows. */
void tiles_stray_locals(TileProduct *product, int64_t places);
void tiles_copy_stray(TileProduct *product, Block *block);
void tiles_clear_stray(TileProduct *product, Block *block, Node *first, Node *end);
void tiles_load_stray(TileProduct *product, Block *block, Node *place, Node **sums);
void tiles_store_stray(TileProduct *product, Block *block, Node *place, Node *const *sums);
/* Adds products with rows `number` and `number` + 16 of a step of B. To be asked for in the order of steps and numbers,
 * whoever splits them, so that bits do not depend on how units are cut. */
void tiles_multiply_stray(TileProduct *product, Block *block, Node *step, Node *number, Node *const *values,
                          Node **sums);
/* To c.sums from `first` on, rows `pitch` apart. */
void tiles_stray_results(TileProduct *product, Block *block, Node *place, int64_t first, int64_t pitch);

#endif
