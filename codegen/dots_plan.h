/* Inside of the dots template: what dots_plan.c decides, dots_pack.c copies and dots.c emits. */
#ifndef LATHE_CODEGEN_DOTS_PLAN_H
#define LATHE_CODEGEN_DOTS_PLAN_H

#include "codegen/contract_plan.h"

typedef struct Dots {
    Contract c; /* roles, tile, units and a_rest, a_pitch, b_rest as there */
    ByteRoles bytes;
    int64_t depth;   /* steps of k with the reduced axis of fours filled up: what panels and copies have */
    int64_t four;    /* its extent */
    Node *rows;      /* u8 [row][depth]: copies of A; NULL: read in place */
    Node *columns;   /* [panel][depth * PANEL]: copies of B; NULL: panels of the weight */
    Node *row_sums;  /* i32 [row] of A; NULL: B's zero is 0 */
    Node *terms;     /* i32 of the columns of a group: what A's zero takes away; NULL: it is 0 */
    bool zero_moves; /* A's zero differs from row to row: terms have still to be multiplied with it */
    Node *sums;      /* i32 of a tile, before the rest of the stage's expression */
} Dots;

bool dots_plan(Dots *dots);
double dots_plan_cycles(const Dots *dots, int threads);

/* Zeros of the operands as OP_dot takes them, u8 and i8: signed a and unsigned b are moved by 128. */
Node *dots_a_zero(const Dots *dots);
Node *dots_b_zero(const Dots *dots);
/* Copies the rows first_tile..last_tile, or the columns of groups first..last, to scratch. */
void dots_pack_rows(Dots *dots, Block *block, Node *first_tile, Node *last_tile);
void dots_pack_columns(Dots *dots, Block *block, Node *first_group, Node *last_group);

#endif
