/* Schedules for GPUs: kernels of threads. Units are blocks of the grid. */
#ifndef LATHE_CODEGEN_GPU_H
#define LATHE_CODEGEN_GPU_H

#include "codegen/schedule.h"

/* The kernel scheduled by the first template that takes it: `gpu contract`, `gpu row`, and `gpu loops`, which takes
 * all.
 */
Node *gpu_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, const ScheduleOptions *options);
/* Contractions of floats by tiles in shared memory; NULL for other kernels, or when the trial's answers (NULL: none) do
 * not fit together. */
Node *gpu_contract_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, const ScheduleOptions *options,
                            Trial *trial);
/* Folds along rows, sixteen threads a row; NULL for other kernels. */
Node *gpu_row_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target);
/* `gpu loops` alone. */
Node *gpu_loops_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target);

#endif
