/* Inside of the templates for tile registers that multiply two strips of 16 rows by two panels of 16 columns: tiles.c
 * and tiles_stationary.c, and attention through tiles.c. Four registers hold sums, two A, two B. */
#ifndef LATHE_CODEGEN_TILES_FIELD_H
#define LATHE_CODEGEN_TILES_FIELD_H

#include "codegen/tiles_parts.h"

enum { PAIR = 2, WIDTH = PAIR * PANEL, HEIGHT = PAIR * TILE_ROWS };
enum { STEP_WORDS = PARTS * PAIR * STRIP }; /* of a pair of strips, or of a group of panels, at a step */
enum { GROUP_PLACES = PAIR + 1 };           /* of stray rows' sums: one for each panel and one that nobody reads */

typedef struct Tiled {
    TileProduct p;
    Node *first_group, *last_group; /* of the chunk in this block of rows */
    bool within;                    /* another template's loops: parts of all columns stay */
    int share;                      /* vectors that a field splits in a step for a later one; 0: none */
} Tiled;

/* A block of results. */
typedef struct Field {
    int halves, panels;  /* strips of 16 rows, panels of 16 columns */
    Node *pair, *group;  /* numbers within the unit's rows, within all groups of columns */
    Node *rows, *turn;   /* where parts of its rows and of its columns stand: see tiled_parts_at */
    Node *column, *next; /* its first column; the first column or row of what is split meanwhile */
    int vectors;         /* that are split in a step */
    Splitting (*split)(Tiled *tiled, Block *block, const struct Field *field, Node *step, int number);
    Node *places, *next_places; /* of stray rows' sums */
    int far_rows;               /* of a step of the group after the next, that come to L2 meanwhile */
} Field;

/* Where a pair of strips, or a group of panels, has the parts of a step: [slot][step][part][strip][TILE_ELEMENTS]. */
Node *tiled_parts_at(Tiled *tiled, Node *slot, Node *step);
/* A row of the unit at a step becomes row `number` of a slot. Rows beyond the last repeat it. */
Splitting tiled_split_row(Tiled *tiled, Block *block, Node *row, Node *slot, Node *number, Node *step);
/* Word row `number` of a step of a group (first all of one panel). */
Splitting tiled_split_vector(Tiled *tiled, Block *block, Node *column, Node *slot, Node *step, Node *number,
                             Node *mask);
/* The vectors of all steps of a field's columns from `first` on. */
void tiled_split_columns(Tiled *tiled, Block *block, const Field *field, Node *first, Node *const *masks);
/* Adds products of stray rows with what is split as vector `number` of a step. */
void tiled_multiply_stray(Tiled *tiled, Block *block, Node *places, Node *step, Node *number, Node *const *values);
/* The products of all steps of the block of k, and after the last block the results. */
void tiled_field(Tiled *tiled, Block *block, const Field *field, Node *const *masks);

/* ---- a product of one stage within another template (tiles.c); ir and what c needs are set before ---- */

/* False when it has no rows of known number, read as they stand, or no panels of columns. */
bool tiles_plan_within(Tiled *tiled, Node *stage, int bound);
/* Scratch for parts of the rows of one call, of all columns, and for sums. */
void tiles_locals_within(Tiled *tiled, int64_t *scratch);
/* The parts of all columns, for many calls of the next. */
void tiles_columns_within(Tiled *tiled, Block *block);
/* The whole product of the stage's rows. */
void tiles_rows_within(Tiled *tiled, Block *block);

#endif
