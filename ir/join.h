/* Axes of a stage that lie one behind the other in everything it reads and writes are one long axis: rows of 7 x 7
 * pixels run in whole vectors then, not in parts of seven. */
#ifndef LATHE_IR_JOIN_H
#define LATHE_IR_JOIN_H

#include "ir/ir.h"

/* The stage with its axis number *lane, along which vectors of `lanes` are to run, joined to others as far as that pays
 * and units are left for threads; *lane is its number then. A stage that is no step. */
Node *stage_join_axes(Ir *ir, Node *stage, int *lane, int lanes);

#endif
