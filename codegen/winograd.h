/* The winograd template: kernels as pass winograd makes them (passes/winograd.c), tiles of a convolution in blocks that
 * L2 keeps. */
#ifndef LATHE_CODEGEN_WINOGRAD_H
#define LATHE_CODEGEN_WINOGRAD_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { WINOGRAD_SPACE = 1 }; /* grows when values that were recorded would mean something else */

/* The kernel scheduled by this template, or NULL when its stages are no such transform. `trial` may be NULL. */
Node *winograd_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* What the schedule would take on `threads` cores, roughly, without making it; false where winograd_schedule gives
 * NULL. */
bool winograd_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

#endif
