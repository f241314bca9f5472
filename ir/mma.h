/* The rows of mma.def: matrix instructions of a warp, and which lane holds which element in which slot. */
#ifndef LATHE_IR_MMA_H
#define LATHE_IR_MMA_H

#include "ir/ir.h"

/* Factors of group, quad and the bits of the slot in an index. */
typedef struct MmaIndex {
    int8_t group, quad, bits[3];
} MmaIndex;
typedef struct MmaMap {
    int slots; /* elements of the matrix that a lane holds */
    MmaIndex row, column;
} MmaMap;
typedef struct MmaRow {
    const char *name, *instruction;
    int m, n, k;
    Dtype operand, accumulator;
    int sm;         /* least compute capability: 80 for 8.0 */
    MmaMap a, b, c; /* A[m,k], B[k,n], C[m,n] and D */
} MmaRow;

const MmaRow *mma_row(int64_t number); /* NULL when there is no such row */
int64_t mma_find(const char *name);    /* -1 when no row is called that */
void mma_place(const MmaMap *map, int lane, int slot, int *row, int *column);
/* mma_place as index expressions, of a lane known at run time: for addresses of fragments. */
Node *mma_place_row(Ir *ir, const MmaMap *map, Node *lane, int slot);
Node *mma_place_column(Ir *ir, const MmaMap *map, Node *lane, int slot);

#endif
