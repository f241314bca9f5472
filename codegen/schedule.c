/* Choosing templates: see schedule.h. */
#include "codegen/schedule.h"

#include "codegen/contract.h"
#include "codegen/window.h"
#include "ir/kernel.h"
#include "ir/loops.h"

/* Lanes of the widest element that the kernel touches, so that no vector is wider than four registers. */
static int lanes_for(const Node *kernel, const TargetMachineInfo *target)
{
    int widest = 8, narrowest = 64;
    const int buffers = kernel_buffer_count(kernel);
    for (int i = 0; i < buffers; i++) {
        const int bits = dtype_info[dtype_compute(kernel->inputs[i]->type.dtype)].bits;
        widest = bits > widest ? bits : widest;
        narrowest = bits < narrowest ? bits : narrowest;
    }
    const int lanes = target->vector_bytes * 8 / (narrowest < 32 ? 32 : narrowest);
    return lanes < 1 ? 1 : lanes;
}

Node *kernel_schedule_plain(Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    const LoopsSchedule schedule = {.lanes = lanes_for(kernel, target)};
    return loops_schedule(ir, kernel, &schedule);
}

Node *kernel_schedule(void *context, Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    const ScheduleOptions *const options = context;
    const Block *const stages = kernel_stages(kernel);
    for (int i = 0; i < stages->count; i++)
        if (stage_ordered(stages->nodes[i]))
            return kernel_schedule_plain(ir, kernel, target); /* the other templates choose their own order */
    Node *scheduled = options->level > 0 ? contract_schedule(ir, kernel, target) : NULL;
    if (!scheduled && options->level > 0)
        scheduled = window_schedule(ir, kernel, target);
    return scheduled ? scheduled : kernel_schedule_plain(ir, kernel, target);
}
