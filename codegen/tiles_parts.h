/* Inside of the tiles template: what tiles.c decides and multiplies, and tiles_parts.c splits. */
#ifndef LATHE_CODEGEN_TILES_PARTS_H
#define LATHE_CODEGEN_TILES_PARTS_H

#include "codegen/contract_emit.h"
#include "ir/tiles.h"

enum { PARTS = 3, DEPTH = 2 * TILE_WORDS, PAIR = 2, WIDTH = PAIR * PANEL, HEIGHT = PAIR * TILE_ROWS };
enum { STRIP = TILE_ELEMENTS, STEP_WORDS = PARTS * PAIR * STRIP }; /* words of a strip of one part, of a step */

typedef struct Tiled {
    Contract c; /* how operands are read, roles, epilogue */
    Ir *ir;
    int64_t channels, taps;       /* extent of the last reduced axis, product of the others */
    int64_t tap_steps;            /* of DEPTH for one tap */
    int64_t steps, block_steps;   /* of all of k, of one block */
    int64_t halves, groups;       /* TILE_ROWS rows, WIDTH columns of a unit */
    int64_t group_count;          /* of the matrix, the last may be narrower */
    Node *a_parts, *b_parts;      /* [pair of strips][step][part][strip][TILE_ELEMENTS] words; B: two groups in turn */
    Node *partial;                /* what blocks of k leave: [group][half][panel][TILE_ELEMENTS] */
    Node *row, *rows;             /* the unit's first row and how many it has */
    Node *first_step, *last_step; /* of the block of k */
    Node *first_group, *last_group; /* of the chunk in this block of rows */
    bool within;                    /* another template's loops: parts of all columns stay */
    int share;                      /* vectors of the next group that each pair of strips splits in a step; 0: none */
} Tiled;

/* Where step `step` of k is: its tap and its first channel. */
typedef struct Step {
    Node *tap, *channel;
} Step;
Step tiles_step(Tiled *tiled, Node *step);
/* As a number of all of k. */
Node *tiles_flat(Tiled *tiled, Step step, int64_t beyond);
/* Where a pair of strips has the parts of a step. */
Node *tiles_parts_at(Tiled *tiled, Node *pair, Node *step);
/* The unit's rows; those beyond the last repeat it. */
void tiles_split_rows(Tiled *tiled, Block *block);
/* Word rows `number` of a step of a group (first all of one panel), to the half of b_parts that `turn` says. */
void tiles_split_vector(Tiled *tiled, Block *block, Node *column, Node *turn, Node *step, Node *number, Node *mask);
/* The vectors of all steps of a group from `first` on. */
void tiles_split_columns(Tiled *tiled, Block *block, Node *column, Node *turn, Node *first, int panels,
                         Node *const *masks);

/* ---- a product of one stage within another template (tiles.c); tiled->ir and what c needs are set before ---- */

/* False when it has no rows of known number, read as they stand, or no panels of columns. */
bool tiles_plan_within(Tiled *tiled, Node *stage, int bound);
/* Scratch for parts of the rows of one call, of all columns, and for sums. */
void tiles_locals_within(Tiled *tiled, int64_t *scratch);
/* The parts of all columns, for many calls of the next. */
void tiles_columns_within(Tiled *tiled, Block *block);
/* The whole product of the stage's rows. */
void tiles_rows_within(Tiled *tiled, Block *block);

#endif
