/* Times of launches, taken only while switched on in a context. Each walker writes its own row; the caller adds the rows up after
 * the run: its last wait has made them visible. */
#include "runtime/internal.h"
#include "runtime/libc.h"

int profile_switch(Context *context, int on)
{
    const uint64_t launches = context->program->launch_count;
    context_settle(context); /* late helpers look at context->times */
    free(context->times);
    free(context->totals);
    context->times = NULL;
    context->totals = NULL;
    if (!on || launches == 0)
        return LATHE_OK;
    context->times = calloc(launches * context->threads, sizeof *context->times);
    context->totals = calloc(launches, sizeof *context->totals);
    if (context->times != NULL && context->totals != NULL)
        return LATHE_OK;
    free(context->times);
    free(context->totals);
    context->times = NULL;
    context->totals = NULL;
    return context_fail(context, LATHE_E_MEMORY, "no memory to profile %i launches", (int64_t)launches);
}

void profile_fold(Context *context)
{
    const uint32_t launches = context->program->launch_count;
    for (uint32_t launch = 0; launch < launches; launch++) {
        uint64_t start = UINT64_MAX, end = 0;
        Totals *totals = &context->totals[launch];
        for (uint32_t seat = 0; seat < context->threads; seat++) {
            Times *times = &context->times[(size_t)seat * launches + launch];
            if (times->start == 0)
                continue;
            start = times->start < start ? times->start : start;
            end = times->end > end ? times->end : end;
            totals->busy += times->busy;
            *times = (Times){0};
        }
        totals->wall += end > start ? end - start : 0;
        totals->runs++;
    }
}

int profile_launch_info(Context *context, const Plan *plan, int launch, lathe_launch_info *info)
{
    const lathe_program *program = context->program;
    if (info == NULL)
        return context_fail(context, LATHE_E_NULL, "info is NULL");
    if (info->size < sizeof *info)
        return context_fail(context, LATHE_E_ABI, "info is of another version: %i bytes, this model knows %i",
                            (int64_t)info->size, (int64_t)sizeof *info);
    if (launch < 0 || (uint32_t)launch >= program->launch_count)
        return context_fail(context, LATHE_E_ARGUMENT, "there is no launch %i: the model has %i", (int64_t)launch,
                            (int64_t)program->launch_count);
    const lathe_launch *row = &program->launches[launch];
    const Totals totals = context->totals != NULL ? context->totals[launch] : (Totals){0};
    *info = (lathe_launch_info){
        .size = info->size,
        .name = row->name,
        .kernel_name = row->kernel_name,
        .flops = plan->valid ? plan->values[row->flops_value] : 0,
        .bytes = plan->valid ? plan->values[row->bytes_value] : 0,
        .runs = totals.runs,
        .wall_ns = totals.wall,
        .busy_ns = totals.busy,
    };
    return LATHE_OK;
}
