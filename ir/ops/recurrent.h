/* What recurrent cells have in common: recurrent.c and recurrent_steps.c. */
#ifndef LATHE_IR_OPS_RECURRENT_H
#define LATHE_IR_OPS_RECURRENT_H

#include "ir/ops/ops.h"

enum { FUNCTIONS_MAX = 3 };
typedef struct Cell {
    const char *name; /* of the operator */
    int gates;        /* rows of W and R, in hidden sizes */
    int functions;    /* activations of one direction */
    bool memory;      /* has c beside h */
    const char *usual[FUNCTIONS_MAX];
} Cell;
const Cell *cell_find(const char *name);

typedef struct Activation {
    const char *name;
    double alpha, beta; /* where none are given */
    bool takes_alpha, takes_beta;
    const char *text; /* of x, @alpha, @beta, as in SCALAR rows */
} Activation;
/* Names do not care for case. NULL: there is none of this name. */
const Activation *activation_find(const char *name);

#endif
