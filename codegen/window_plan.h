/* Inside of the window template: what window_plan.c decides and window.c emits. */
#ifndef LATHE_CODEGEN_WINDOW_PLAN_H
#define LATHE_CODEGEN_WINDOW_PLAN_H

#include "codegen/space.h"
#include "ir/windowindex.h"
#include "targets/target.h"

enum { WINDOW_SPATIAL = 2, WINDOW_OUTS_MAX = 16, WINDOW_SEGMENTS_MAX = 12 };

/* Neighbouring blocks of outputs along a direction that one piece of code makes: block b begins at first + size*b. */
typedef struct Segment {
    int64_t first, count;
    int size;
} Segment;

typedef struct Segments {
    int count;
    Segment list[WINDOW_SEGMENTS_MAX];
} Segments;

typedef struct Window {
    Ir *ir;
    Node *kernel, *stage, *reduction;
    const TargetMachineInfo *target;
    Trial *trial;  /* NULL: the cost model decides */
    int shared;    /* the stage's first axes that are bound outside */
    Node *operand; /* what is read around each position; reduced axes of one point are 0 in it */
    Node *other;   /* contract: the weights; NULL for folds */
    Node *lane;    /* the channel axis */
    WindowIndex direction[WINDOW_SPATIAL]; /* rows, columns */
    Node *rest[RANK_MAX];                  /* other output axes */
    int rest_count;
    int lanes;                /* channels of a vector */
    bool copied;              /* the input of a band is copied to scratch first, one vector of channels wide */
    bool tap_loop;            /* rows of the window in a loop; else they are unrolled */
    int size[WINDOW_SPATIAL]; /* outputs of a block */
    int64_t chunk;            /* channels of a unit, a multiple of lanes */
    int64_t band;             /* blocks of rows of a unit */
    Segments segments[WINDOW_SPATIAL];
    Node *local;
    Node *sums;      /* where the sums of a block wait for a long epilogue; NULL: in registers */
    int64_t columns; /* of a scratch row */
    int64_t scratch;
} Window;

/* Fills everything but ir, kernel, stage, target, trial and shared. False when the template cannot do the stage. */
bool window_plan(Window *window);
/* Cycles of the planned kernel on `threads` cores, roughly. */
double window_plan_cycles(const Window *window, int threads);
int64_t window_row_blocks(const Window *window);

#endif
