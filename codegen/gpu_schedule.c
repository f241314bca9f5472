/* The choice among the GPU templates: see gpu.h. */
#include "codegen/gpu.h"

Node *gpu_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, const ScheduleOptions *options)
{
    (void)options;
    return gpu_loops_schedule(ir, kernel, target);
}
