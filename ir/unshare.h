/* Loops that bind the same variable, such as a main loop and its tail, seen as loops with variables of their own.
 *
 * In a body one axis may be the variable of several loops, none inside the other; expressions in them are then the same
 * nodes with different meanings. Printer and verifier want a node to mean one thing. The copies here are for looking
 * at: they are made in `arena`, by no Ir, and keep the ids of their originals. */
#ifndef LATHE_IR_UNSHARE_H
#define LATHE_IR_UNSHARE_H

#include "ir/ir.h"

/* `block` itself when no axis is bound twice. */
const Block *block_unshared(Arena *arena, const Block *block);

#endif
