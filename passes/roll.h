/* Rolled tensors. */
#ifndef LATHE_PASSES_ROLL_H
#define LATHE_PASSES_ROLL_H

#include "passes/pass.h"

/* Two kernels that put the end and the beginning of a tensor into one buffer become one map whose index is taken modulo
 * the extent: it goes into its readers as other maps do. Along the innermost axis pieces stay, for lanes would have to
 * be gathered. */
Block *rolls_merged(PassContext *context, Block *body);

#endif
