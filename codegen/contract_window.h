/* The contract template's third way to read A: as a window. Rows of A that overlap (convolutions) are not copied row by
 * row, but once, with their border, and tiles are boxes of output pixels, so that within a tile every address of A is
 * one base and a constant. contract_window.c matches, contract_window_plan.c decides, contract_window_emit.c emits;
 * contract_taps.c is another order of the same. */
#ifndef LATHE_CODEGEN_CONTRACT_WINDOW_H
#define LATHE_CODEGEN_CONTRACT_WINDOW_H

#include "codegen/contract_plan.h"

enum { POSITIONS_MAX = 8, WINDOW_DIRECTIONS = 2, RUN_STEPS_MAX = 32, WINDOW_BYTES_MAX = 4 << 20 };

/* One direction in which A moves: position = stride*out + dilation*tap + rest, in places of the copy (a place is one
 * position, or several where none between them is read). */
typedef struct WindowPosition {
    Node *out, *tap;                /* the axis of rows and the reduced axis; either may be NULL */
    int64_t out_factor, tap_factor; /* of the index */
    int64_t stride, dilation, outs, taps;
    int64_t low, high; /* by taps: out_factor*out + tap_factor*tap inside of which A is read */
    Node *given;       /* of out and tap, the one whose value says the place while the other is 0 */
    int64_t band;      /* outs of one unit */
    int64_t places;    /* in scratch */
    int64_t pitch;     /* elements from place to place, in scratch or, in place, in the buffer */
} WindowPosition;

/* Some reduced axes that memory runs along as along one. */
typedef struct WindowRun {
    int64_t extent, pitch;
} WindowRun;

typedef struct Window {
    WindowPosition positions[POSITIONS_MAX];
    int count;
    int order[POSITIONS_MAX];                     /* of scratch, outermost first */
    Node *operand;                                /* A with axes of one point replaced by 0 */
    WindowPosition *direction[WINDOW_DIRECTIONS]; /* rows and columns of pixels that tiles extend along; NULL: one */
    int64_t tile[WINDOW_DIRECTIONS], outs[WINDOW_DIRECTIONS], band[WINDOW_DIRECTIONS];
    WindowRun runs[RANK_MAX]; /* of the reduced axes, outermost first */
    int run_count;
    int unrolled;        /* runs from this on make one round; the last one, if it is longer than c->unroll, several */
    bool in_place;       /* A is read where it stands */
    bool by_taps;        /* as contract_taps.c says; in place */
    Node *read, *linear; /* in place: the load, its offset in the buffer */
    const WindowPosition *channels; /* by taps: what moves with neither rows nor columns */
    Node *sums;                     /* by taps: local */
    int64_t points;                 /* of the other axes of rows */
    bool fits;                      /* a copy for the largest tile */
    int64_t bytes;                  /* of the copy */
    /* The unit at hand: its first pixel, and the end in each direction. */
    Node *first[WINDOW_DIRECTIONS], *last[WINDOW_DIRECTIONS];
} Window;

/* Can A be read as a window? Fills contract->window. */
bool contract_window_match(Contract *contract);
/* Places and pitches of scratch for units of window->band. Pixels at a distance that caches map to few sets get a line
 * more between them. */
void contract_window_place(Window *window);
/* Reduced axes, those that memory runs along as along one together. */
void contract_window_runs(const Contract *contract, Window *window);
/* Tile, units and scratch. False where a unit needs too much scratch. */
bool contract_window_plan(Contract *contract);
/* The same for a stage in another template's loops: all its pixels at once, read where they stand. False where they
 * cannot be, or the tile is given. */
bool contract_window_plan_within(Contract *contract);
/* Elements of A between neighbouring pixels in direction d. */
int64_t contract_window_pitch(const Contract *contract, int d);
int64_t contract_window_tap_pitch(const Contract *contract, const WindowPosition *position);
/* Can A be read where it stands: a load (inside a guard) whose offset moves by constants? */
bool contract_window_in_place(Contract *contract);

/* Can the window be read tap by tap? Tile and cycles of it; then the rest of the plan. */
bool contract_taps_match(Contract *contract);
double contract_taps_choose(Contract *contract, int64_t tile[WINDOW_DIRECTIONS], int *vectors);
/* Bytes of input that one row of pixels more takes: rows of every tap, apart or overlapping. */
int64_t contract_taps_row_bytes(const Contract *contract);
bool contract_taps_plan(Contract *contract);
double contract_taps_cycles(const Contract *contract);

/* Groups of columns in a unit where each of `boxes` has about `blocks` blocks of them: rather up to twice as many
 * blocks than cores that wait for the last one. */
int64_t contract_window_groups(const Contract *c, int64_t boxes, int64_t groups, int64_t blocks);
double contract_window_cycles(const Contract *contract, int threads);
const char *contract_window_text(const Contract *contract);

#endif
