/* Scalar arithmetic on rows: arrays of up to ROW_LANES elements, one loop per operation, which the C compiler
 * vectorises.
 *
 * In a row every element is a whole number of bytes: f32, f64 and integers as C has them, bool as a byte 0 or 1, f16,
 * bf16 and f8 as their bits, i4 and i2 sign-extended in a byte, u4, u2 and f4 zero-extended in a byte. Results may be
 * written over an operand of equal element size. */
#ifndef LATHE_IR_ROWS_H
#define LATHE_IR_ROWS_H

#include "ir/ir.h"

enum { ROW_LANES = 1024 };

typedef void RowFunction(void *to, const void *a, const void *b, const void *c, int lanes);

/* Bytes of one element in a row: 1, 2, 4 or 8. */
int row_bytes(Dtype dtype);
/* The loop for an operation other than cast; `operand` as in scalar_evaluate. NULL when the operation is not defined on
 * the dtype itself. */
RowFunction *row_find(Op op, Dtype operand);
/* All lanes equal to the element at a. */
RowFunction *row_splat(Dtype dtype);

/* What OP_dot gives: a sums, b four u8, c four i8 for each sum. */
RowFunction row_dot;

/* A cast is up to three loops; step i makes elements of type dtypes[i], the last is the result. Each value is rounded
 * once. */
typedef struct RowCast {
    int count;
    RowFunction *steps[3];
    Dtype dtypes[3];
} RowCast;
RowCast row_cast(Dtype result, Dtype operand);

#endif
