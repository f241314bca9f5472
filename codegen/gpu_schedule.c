/* The choice among the GPU templates: see gpu.h. */
#include "codegen/gpu.h"

#include "ir/procedure.h"

Node *gpu_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, const ScheduleOptions *options)
{
    Node *scheduled = NULL;
    if (kernel_is_procedure(kernel))
        return gpu_loops_schedule(ir, kernel, target);
    if (options->level > 0 && !kernel_has_order(kernel))
        scheduled = gpu_contract_schedule(ir, kernel, target, options, NULL);
    if (!scheduled && options->level > 0 && !kernel_has_order(kernel))
        scheduled = gpu_row_schedule(ir, kernel, target);
    return scheduled ? scheduled : gpu_loops_schedule(ir, kernel, target);
}
