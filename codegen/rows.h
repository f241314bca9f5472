/* Stages over one row each, as templates put them into loops over rows. */
#ifndef LATHE_CODEGEN_ROWS_H
#define LATHE_CODEGEN_ROWS_H

#include "ir/loops.h"

/* The first of `count` stages inside of loops over its first `shared` axes. A sum over what it writes, if that is the
 * next stage, is added up while it is written: the row is walked once for both. Lanes and order are those of the
 * stages. Returns how many were emitted. */
int rows_emit(Ir *ir, const Node *kernel, Block *block, Node *const *stages, int count, int shared,
               const LoopsSchedule *schedule);

#endif
