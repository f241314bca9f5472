/* What contract.c and contract_window_emit.c share: tiles of registers and what surrounds them. */
#ifndef LATHE_CODEGEN_CONTRACT_EMIT_H
#define LATHE_CODEGEN_CONTRACT_EMIT_H

#include "codegen/contract_plan.h"

/* Where a tile stands: its first row as a number of m and as a row of what A is read from, and its first column. */
typedef struct Corner {
    Node *row, *a_row, *column, *panel; /* panel: number within the packed block of B */
    Node *tile;                         /* number of the tile of rows within the block */
    Node *unit_row;                     /* its first row within the block */
    Node *from, *to;                    /* k: everything, or one block */
    Node *next;                         /* offset of the lines of B that the unit reads after this group */
    /* READ_WINDOW: */
    Node *pixel[2]; /* the first one */
    int64_t width;  /* pixels of the tile side by side */
    Node *a_first;  /* offset of A at the first pixel and k = 0 */
} Corner;

/* What one unit covers. */
typedef struct Unit {
    Node *first_group, *last_group, *first_tile, *last_tile;
    Node *from, *to; /* k, set by contract_emit_groups */
} Unit;

Block *contract_emit_if(Ir *ir, Block *block, Node *condition, Block **otherwise);
/* One step of k: all products of the tile. a_offset: how far k moves A from its row. */
void contract_emit_step_of(Contract *contract, Block *block, const Corner *corner, Tile tile, Node **accumulators,
                           Node *k, Node *a_offset, Node *const *masks);
/* Fetches what later steps than k need of B, and `ahead` lines of the next group. */
void contract_emit_fetch(Contract *contract, Block *block, const Corner *corner, int vectors, Node *k);
void contract_emit_ahead(Contract *contract, Block *block, const Corner *corner, Node *k);
/* Offset of the lines of B that come after `group`: the next one's, or, after the last of a block of k, the first
 * group's of the next block; after all of them the next unit's. */
Node *contract_next_offset(Contract *contract, const Unit *unit, Node *group);
/* What is fetched in one round of k that begins with k, before its first step (between steps it makes LLVM load B for
 * all of them at once and spill the sums): `ahead` lines, and some of the next tile's rows and result. */
void contract_emit_round_fetch(Contract *contract, Block *block, const Corner *corner, Node *k);
/* Lines that the tile's result is written to or made of come from behind L2 while the products run, where each would be
 * waited for at the end. */
void contract_emit_result_fetch(Contract *contract, Block *block, const Corner *corner, Tile tile);
/* Those of one row of the tile. */
void contract_emit_row_fetch(Contract *contract, Block *block, const Corner *corner, Node *row, int vectors);
/* The line at `offset` comes to a level of cache. */
void contract_emit_prefetch(Contract *contract, Block *block, Node *buffer, Node *offset, int level);
/* Fetches row k of B's panels into a level of cache. */
void contract_emit_fetch_row(Contract *contract, Block *block, const Corner *corner, int vectors, Node *k, int level);
/* Y[row, vector] = the stage's expression with `result` for the contraction; masks of the columns that there are. */
void contract_emit_result(Contract *contract, Block *block, const Corner *corner, Node *row, int vector, Node *result,
                          Node *mask);
/* Of rows whose sums wait in contract->sums, tile.vectors vectors a row: values first, then the stores, so that what
 * they wait for overlaps. */
void contract_emit_results_of_rows(Contract *contract, Block *block, const Corner *corner, Node *row, int rows,
                                   int vectors, Node *const *masks);
/* Of a whole tile, by way of memory: a loop over rows, for long epilogues. */
void contract_emit_results_from_memory(Contract *contract, Block *block, const Corner *corner, Tile tile,
                                       Node *const *accumulators, Node *const *masks);
void contract_emit_masks(Contract *contract, const Corner *corner, int vectors, bool masked, Node **masks);
/* Columns of one group for `rows` rows: whole vectors, or what is left of the matrix (`narrow`). */
void contract_emit_group(Contract *contract, Block *block, const Corner *corner, int rows, bool narrow);
/* All tiles of rows of the unit for one group of columns that begins at `start`; the last of the matrix may be lower,
 * and where rows are unknown, those left over go in halves of the height. `base`: the row of the matrix that rows of A
 * are counted from. */
typedef void TileEmitter(void *context, Block *block, const Corner *corner, int rows);
void contract_emit_row_tiles(Contract *contract, Block *block, const Unit *unit, const Corner *start, Node *base,
                             TileEmitter *emit, void *context);
/* `lanes` elements of a buffer from `offset` on, zeros where `mask` is not set. written: by the kernel; of locals that
 * is known. */
Node *contract_emit_load(Ir *ir, Block *block, Node *buffer, Node *offset, int lanes, Node *mask, bool written);
/* The groups of columns of the unit; the last group of the matrix may be narrower and masked. */
void contract_emit_groups(Contract *contract, Block *block, Unit unit);
/* `node` at row `row` of the tile. */
Node *contract_at_row(const Contract *contract, const Corner *corner, Node *node, Node *row);
/* Offset of step k of a panel of B. */
Node *contract_panel_offset(Contract *contract, Node *panel, Node *k);
/* Binds the axes to the digits of `number`, last axis fastest, as variables of loops that run once. */
Block *contract_bind(Ir *ir, Block *block, Node *const *axes, int count, Node *number);

/* READ_WINDOW: what contract.c asks for. */
Node *contract_window_units(Contract *contract, Block *body);
void contract_window_tiles(Contract *contract, Block *block, const Unit *unit, const Corner *start, bool narrow);
void contract_taps_tiles(Contract *contract, Block *block, const Corner *start, bool narrow);
void contract_window_products(Contract *contract, Block *block, const Corner *corner, Tile tile, Node **accumulators,
                              Node *const *masks);
/* Elements from the tile's first row to row `row`. */
int64_t contract_window_offset(const Contract *contract, const Corner *corner, int row);
/* `node` at row `row` of the tile. */
Node *contract_window_row(const Contract *contract, const Corner *corner, Node *node, Node *row);

#endif
