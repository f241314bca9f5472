/* Kernels for machines other than this one: linked into a library and called in an emulator (tests/cross/guest.c),
 * where a cross compiler and the emulator are installed. */
#ifndef LATHE_TESTS_CODEGEN_ELSEWHERE_H
#define LATHE_TESTS_CODEGEN_ELSEWHERE_H

#include "codegen/link.h"
#include "codegen/worker.h"
#include "ir/ir.h"
#include "targets/target.h"
#include "tests/cross/call.h"

typedef struct Elsewhere Elsewhere;

/* NULL: target is reachable; else what is missing, for people. */
const char *elsewhere_missing(const TargetMachineInfo *target);
/* Links objects whose table of kernels is called `table` and starts the guest. NULL after a diagnostic. */
Elsewhere *elsewhere_open(Ir *ir, const TargetMachineInfo *target, const LinkInput *inputs, int count,
                          const char *table);
/* The same for compiled jobs of one target, whose numbers then are the kernels'. */
Elsewhere *elsewhere_of_jobs(Ir *ir, const KernelJob *jobs, int count);
/* An object with a table of the jobs' kernels, which are hidden, under the name `table`. */
bool kernel_table(Ir *ir, const KernelJob *jobs, int count, const TargetMachineInfo *target, const char *table,
                  ObjectBytes *object);
void elsewhere_close(Elsewhere *elsewhere);

/* One call: `data` of memories that are not read-only holds afterwards what the kernel left. False: the guest died. */
bool elsewhere_call(Elsewhere *elsewhere, const CallRequest *request, const CallMemory *memories, void *const *data,
                    const uint64_t *owners, const int64_t *dims, const CallPiece *pieces, CallAnswer *answer);

#endif
