/* Operations that some microcontrollers have no instruction for and that no library of theirs is sure to have:
 * functions of our own, linked into a model that uses them. Each gives the bits of the instruction.
 *
 * What the compiler's own support library has (__aeabi_fadd and the like) is taken from there. */
#ifndef LATHE_CODEGEN_SOFT_H
#define LATHE_CODEGEN_SOFT_H

#include "codegen/text.h"
#include "ir/ir.h"
#include "targets/target.h"

/* The function that computes `op` of `dtype`; NULL where there is an instruction (or nothing of ours). */
const char *soft_function(const TargetMachineInfo *target, Op op, Dtype dtype);
/* Adds the definitions of those that are among `names`. */
void soft_add(Text *text, const char *const *names, int count);

#endif
