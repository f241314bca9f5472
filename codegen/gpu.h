/* Schedules for GPUs: kernels of threads. Units are blocks of the grid. */
#ifndef LATHE_CODEGEN_GPU_H
#define LATHE_CODEGEN_GPU_H

#include "codegen/schedule.h"

/* The kernel scheduled by the first template that takes it: `gpu contract`, `gpu row`, and `gpu loops`, which takes
 * all.
 */
Node *gpu_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, const ScheduleOptions *options);
/* `gpu loops` alone. */
Node *gpu_loops_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target);

#endif
