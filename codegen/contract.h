/* The contract template: matrix products, convolutions and whatever else is a sum of products, in explicit register
 * tiles. */
#ifndef LATHE_CODEGEN_CONTRACT_H
#define LATHE_CODEGEN_CONTRACT_H

#include "ir/ir.h"
#include "targets/target.h"

/* The kernel scheduled by this template, or NULL when it is not a contraction that the template can do. */
Node *contract_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target);

#endif
