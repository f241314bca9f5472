/* What a kernel's machine function takes.
 *
 * In a hosted library it is lathe_kernel (runtime/lathe_runtime.h): tables of buffers and dims, the units to run,
 * scratch, error word. On a microcontroller every kernel runs as a whole and has constant extents: it takes its buffers
 * themselves, then scratch and the error word if it uses them. */
#ifndef LATHE_CODEGEN_SIGNATURE_H
#define LATHE_CODEGEN_SIGNATURE_H

#include "ir/ir.h"
#include "targets/target.h"

typedef struct KernelSignature {
    bool whole;         /* buffers as parameters, all units in one call */
    int count;          /* parameters */
    int scratch, error; /* positions; -1: not taken */
} KernelSignature;

KernelSignature kernel_signature(const Node *kernel, const TargetMachineInfo *target);

#endif
