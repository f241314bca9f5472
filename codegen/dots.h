/* The dots template: sums of products of bytes (MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv), in register
 * tiles of OP_dot. */
#ifndef LATHE_CODEGEN_DOTS_H
#define LATHE_CODEGEN_DOTS_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { DOTS_SPACE = 1 }; /* grows when values that were recorded would mean something else */

/* As contract_schedule and contract_cost. */
Node *dots_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
bool dots_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

#endif
