/* The contract template: matrix products, convolutions and whatever else is a sum of products, in explicit register
 * tiles. */
#ifndef LATHE_CODEGEN_CONTRACT_H
#define LATHE_CODEGEN_CONTRACT_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { CONTRACT_SPACE = 3 }; /* grows when values that were recorded would mean something else */

/* The kernel scheduled by this template, or NULL when it is not a contraction that the template can do. `trial` may be
 * NULL. */
Node *contract_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* What the schedule would take on `threads` cores, roughly, without making it; false where contract_schedule gives
 * NULL. */
bool contract_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

#endif
