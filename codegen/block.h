/* The block template: kernels that pass `block` made of a product with every position alone, a depthwise window and a
 * product again (any two of them, or all), band of rows by band. */
#ifndef LATHE_CODEGEN_BLOCK_H
#define LATHE_CODEGEN_BLOCK_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { BLOCK_SPACE = 1 }; /* grows when values that were recorded would mean something else */

/* The kernel scheduled by this template, or NULL when it is no such block. `trial` may be NULL. */
Node *block_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* What the schedule would take on `threads` cores, roughly, without making it; false where block_schedule gives NULL.
 */
bool block_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

#endif
