/* Panels [column/16][k][column%16] of an operand that has k contiguous in memory, and columns apart. */
#ifndef LATHE_CODEGEN_PANELS_H
#define LATHE_CODEGEN_PANELS_H

#include "ir/ir.h"

/* Copies `operand` to `panels` in squares of 16 x 16 that are transposed in registers; columns beyond the last hold
 * zeros. False, and nothing is emitted, where memory or sizes are otherwise. */
bool panels_emit_transposed(Ir *ir, const Node *kernel, Block *block, Node *panels, Node *operand, Node *column,
                            Node *k);

#endif
