/* How wide a kernel's index arithmetic has to be. */
#ifndef LATHE_CODEGEN_INDEXWIDTH_H
#define LATHE_CODEGEN_INDEXWIDTH_H

#include "ir/ir.h"
#include "targets/target.h"

/* 32 where pointers or registers (those of GPUs) have 32 bits and every index of the body is known to fit, for all values that loops, lanes and
 * loaded elements can take; else 64. */
int index_width(Ir *ir, const Node *kernel, const TargetMachineInfo *target);

#endif
