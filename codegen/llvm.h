/* A scheduled kernel as one LLVM function. Private to codegen/: others use codegen/object.h, which has no LLVM types.
 *
 * Exactness: no fast-math flag is ever set and nothing is contracted, so the code computes what the interpreter
 * computes, bit for bit (but for the payload of NaN). Values that do not change in a loop are placed before it. */
#ifndef LATHE_CODEGEN_LLVM_H
#define LATHE_CODEGEN_LLVM_H

#include "codegen/object.h"

#include <llvm-c/Core.h>

/* Adds function `symbol` (hidden, signature lathe_kernel) with the body of `kernel` to the module. False after a
 * diagnostic. */
bool llvm_emit_kernel(Ir *ir, const Node *kernel, const TargetMachineInfo *target, const char *symbol,
                      const LineTable *lines, LLVMModuleRef module);
/* Threads of a block that a kernel for a GPU is launched with. */
int gpu_threads(const Node *kernel);
/* ---- register tiles, after all passes (llvm_schedule.c) ---- */
bool llvm_has_register_tile(LLVMModuleRef module);
/* Vector loads of tiles stay where they are. */
void llvm_keep_tile_order(LLVMModuleRef module);
/* Instructions of an assembly text that move vectors to or from the stack. */
int llvm_count_spills(const char *assembly, size_t bytes);

#endif
