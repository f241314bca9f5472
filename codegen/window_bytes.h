/* Sums over windows of bytes. */
#ifndef LATHE_CODEGEN_WINDOW_BYTES_H
#define LATHE_CODEGEN_WINDOW_BYTES_H

#include "ir/ir.h"

/* The stage with its sum of products of bytes in f32, where every partial sum is a whole number that f32 holds: few
 * terms, as windows of single channels have. Else the stage itself. */
Node *window_in_floats(Ir *ir, Node *stage);

#endif
