/* Inside of the contract template: what contract_plan.c decides and contract.c emits. */
#ifndef LATHE_CODEGEN_CONTRACT_PLAN_H
#define LATHE_CODEGEN_CONTRACT_PLAN_H

#include "codegen/space.h"
#include "ir/roles.h"
#include "targets/target.h"

enum { ROWS_MAX = 16, VECTORS_MAX = 8, UNROLL_MAX = 8, FETCH_MAX = 64 };
/* What the cost model takes, unless a trial says otherwise. */
enum { UNROLL = 4, PREFETCH_ROWS = 16, PREFETCH_APART = 8 }; /* rows of panels, and of B as it is in memory */

/* How an operand is read. */
typedef enum Reading {
    READ_STRIDED, /* where it stands: offset = rest + row*pitch + k*step */
    READ_PACKED,  /* copied to scratch first */
    READ_PANELS,  /* a weight in panels [N/16][K][16] */
    READ_WINDOW,  /* A that moves over an image: contract_window.h */
} Reading;

/* When the lines that a tile's result is written to or made of come to L2. */
typedef enum FetchResult {
    FETCH_NEVER,
    FETCH_BEFORE, /* before its products */
    FETCH_DURING, /* during the products of the tile before, some in every round of k */
} FetchResult;

typedef struct Tile {
    int rows, vectors; /* vectors of PANEL columns */
} Tile;

typedef struct Contract {
    Ir *ir;
    Node *kernel;
    const TargetMachineInfo *target;
    Trial *trial; /* NULL: the cost model decides */
    ContractRoles roles;
    Node *m, *k, *depth; /* flattened axes */
    Reading read_a, read_b;
    bool a_written, b_written;                  /* by the kernel itself */
    Node *a_buffer, *a_rest, *a_pitch, *a_step; /* READ_STRIDED: a_rest holds batch axes */
    Node *b_buffer, *b_rest, *b_step;           /* b_rest: also where the panels of other axes begin */
    Node *a_local, *b_local;                    /* READ_PACKED, READ_WINDOW */
    struct Window *window;                      /* READ_WINDOW */
    Node *sums;                                 /* a tile of finished sums before a long epilogue; NULL: in registers */
    Tile tile;
    int64_t block_groups; /* column groups of one unit */
    int64_t block_tiles;  /* tiles of rows of one unit */
    int64_t block_depth;  /* steps of k of one block, whole rounds */
    Node *partial;        /* what blocks of k leave to the next: [panel of the unit][row][PANEL]; NULL: one block */
    int ahead;            /* most lines of the next group of B to fetch into L2 at each round; 0: none */
    Node *next;           /* elements from a group to what is fetched so; NULL: the group after it */
    int unroll;           /* steps of k in one round of the loop */
    int fetch;            /* rows of B's panels fetched into L1 ahead of their use; 0: none */
    FetchResult fetch_result;
    bool fetch_rows; /* the next tile's rows of A into L2 */
    int64_t scratch;
    int64_t guess_rows, guess_columns, guess_depth; /* extents, symbolic ones guessed */
} Contract;

/* Fills everything but ir, kernel, target and trial. False when the template cannot do the kernel. */
bool contract_plan(Contract *contract);
/* What an extent is taken for: itself, the most that it may be where that is no large number (boxes that a detector
 * keeps, as a rule as many as it may), else `usual`. */
int64_t contract_extent_guess(Ir *ir, Node *extent, int64_t usual);
/* How the operands of a kernel whose roles are known stand in memory, for templates that copy them: read_a and read_b
 * are READ_PACKED where that is no plain place (A: with steps of 1). */
void contract_plan_reading(Contract *contract);
/* Plans the product of one stage of steps for tiles of contract->tile.rows rows. False when it has none with a weight
 * of known size, or reads its rows anywhere but in place. */
bool contract_plan_step(Contract *contract, Node *stage);
/* All columns of the tile of rows number `tile` for a planned step. */
void contract_emit_step(Contract *contract, Block *block, Node *tile);
/* Plans one stage of several, for templates that put it into loops of their own: its first `bound` axes are variables
 * of those. Operands are read in place (locals too) or, weights, in panels; a tile that is given stays, else the cost
 * model chooses one. False when that is not possible; a template then copies an operand to a local buffer first. */
bool contract_plan_within(Contract *contract, Node *stage, int bound);
/* All columns of the tiles of rows first..last (of contract->tile.rows rows each) of such a stage. Its values are read
 * as they are at that point of `block`. */
void contract_emit_within(Contract *contract, Block *block, Node *first_tile, Node *last_tile);
/* The same for the column groups first..last alone (of contract->tile.vectors panels each). */
void contract_emit_columns(Contract *contract, Block *block, Node *first_group, Node *last_group, Node *first_tile,
                           Node *last_tile);
/* Cycles of one step of k of a tile, roughly; whether registers hold its sums. */
double contract_tile_cycles(const TargetMachineInfo *target, int64_t rows, int64_t vectors);
bool contract_tile_fits(const TargetMachineInfo *target, int rows, int vectors);
/* A local buffer of constant extents within the kernel's scratch; NULL when one is not. */
Node *contract_local(Contract *contract, const char *name, int rank, Node *const *dims);
/* Is the index arithmetic over axes and symbols alone, without loaded or checked parts? */
bool contract_is_plain(Ir *ir, Node *index);
/* Cycles of one step of k of rows x columns in the best tiles, roughly. */
double contract_step_cycles(const TargetMachineInfo *target, int64_t rows, int64_t columns);
/* Cycles of the planned kernel on `threads` cores, roughly. */
double contract_plan_cycles(const Contract *contract, int threads);
/* Of the thread that has most of `units` units for each point of the batch, which take `cycles` together. */
double contract_thread_cycles(const Contract *contract, double cycles, int64_t units, int threads);
/* `node` with the row axes (or the reduced axes) replaced by the digits of one number, last axis fastest. */
Node *contract_flat_rows(const Contract *contract, Node *node, Node *row);

#endif
