/* The recurrent template: steps (ir/kernel.h) that multiply a state with a weight, in register tiles over its panels.
 */
#ifndef LATHE_CODEGEN_RECURRENT_H
#define LATHE_CODEGEN_RECURRENT_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { RECURRENT_SPACE = 1 }; /* grows when values that were recorded would mean something else */

/* The kernel scheduled by this template, or NULL when it has no steps that the template can do. `trial` may be NULL. */
Node *recurrent_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* What the schedule would take on `threads` cores, roughly, without making it; false where recurrent_schedule gives
 * NULL. */
bool recurrent_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

#endif
