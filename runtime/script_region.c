/* A region is called: its symbols from the script's, its inputs from slots, its outputs into new values. */
#include "runtime/libc.h"
#include "runtime/script.h"

static int region_symbols(Run *run, const lathe_step *step, const lathe_region *region, Context *part)
{
    for (uint32_t i = 0; i < part->program->symbol_count; i++) {
        const lathe_symbol *symbol = &part->program->symbols[i];
        const int64_t value = run->symbols[region->symbols[i]];
        if (value < symbol->minimum || value > symbol->maximum)
            return run_fail(run, step, LATHE_E_SHAPE, "'%s' is %i but must be %i to %i", symbol->name, value, symbol->minimum,
                            symbol->maximum);
        part->symbols[i] = value;
    }
    return LATHE_OK;
}

static int64_t tensor_dim(const Context *part, const Plan *plan, const lathe_tensor_info *info, int32_t dim)
{
    return plan->values[part->program->value_refs[info->dims_first + (uint32_t)dim]];
}

static int region_input(Run *run, const lathe_step *step, const Context *part, const Plan *plan, uint32_t input)
{
    const lathe_tensor_info *info = &part->program->inputs[input];
    const Value *value = run_value(run, step, (int)input);
    if (value == NULL || value->form == LATHE_NOTHING) {
        part->tensors[input] = NULL;
        return info->optional ? LATHE_OK : run_fail(run, step, LATHE_E_ARGUMENT, "value '%s' is not there", info->name);
    }
    if (value->form != LATHE_TENSOR || value->dtype != info->dtype)
        return run_fail(run, step, LATHE_E_DTYPE, "value '%s' is %s but must be %s", info->name,
                        value->form != LATHE_TENSOR ? "a sequence" : text_of_dtype(value->dtype), text_of_dtype(info->dtype));
    if (value->rank != info->rank)
        return run_fail(run, step, LATHE_E_SHAPE, "value '%s' has rank %i but must have %i", info->name, (int64_t)value->rank,
                        (int64_t)info->rank);
    for (int32_t i = 0; i < info->rank; i++)
        if (value->dims[i] != tensor_dim(part, plan, info, i))
            return run_fail(run, step, LATHE_E_SHAPE, "value '%s': dim %i is %i but must be %i", info->name, (int64_t)i, value->dims[i],
                            tensor_dim(part, plan, info, i));
    part->tensors[input] = value->data;
    return LATHE_OK;
}

/* Outputs that nobody reads are written all the same. */
int lathe_rt_step_output(Run *run, const lathe_step *step, int output, int32_t dtype, int32_t rank, const int64_t *dims, void **data)
{
    const int code = run_tensor(run, step, output, dtype, rank, dims, data);
    if (code != LATHE_OK || *data != NULL)
        return code;
    Value *value = value_tensor(run, step, dtype, rank, dims);
    if (value == NULL)
        return LATHE_E_MEMORY;
    *data = value->data;
    value->data = run->unread;
    run->unread = value;
    return LATHE_OK;
}

static void output_dims(const Context *part, const Plan *plan, const lathe_tensor_info *info, int64_t *dims)
{
    for (int32_t i = 0; i < info->rank; i++)
        dims[i] = tensor_dim(part, plan, info, i);
}

static int region_output(Run *run, const lathe_step *step, const Context *part, const Plan *plan, uint32_t output)
{
    const lathe_tensor_info *info = &part->program->outputs[output];
    int64_t dims[RANK_MOST];
    if (info->rank > RANK_MOST)
        return run_fail(run, step, LATHE_E_SHAPE, "value '%s' has rank %i", info->name, (int64_t)info->rank);
    output_dims(part, plan, info, dims);
    return lathe_rt_step_output(run, step, (int)output, info->dtype, info->rank, dims,
                                &part->tensors[part->program->input_count + output]);
}

/* The output that begins with an input which nobody reads any more: in the input's memory, if that has room, and then the launch that
 * copies is left out; else in memory with room for the next time. NULL: like every other output. */
static Value *region_growth(Run *run, const lathe_step *step, const Context *part, Plan *plan, const lathe_growth *growth)
{
    const lathe_tensor_info *info = &part->program->outputs[growth->output];
    int64_t dims[RANK_MOST];
    if (info->rank > RANK_MOST || growth->output >= step->output_count || step->outputs[growth->output] == LATHE_NO_SLOT ||
        run->outputs[step->outputs[growth->output]] != 0 || !run_is_last(run, step, growth->input))
        return NULL;
    output_dims(part, plan, info, dims);
    Value *value = value_grow(run_value(run, step, growth->input), dims);
    if (value != NULL)
        plan->calls[growth->launch].units = 0;
    return value != NULL ? run_take(run, step, growth->input) : value_roomy(run, step, info->dtype, info->rank, dims);
}

/* The plan for the script's symbols, with memory that the heap's limit allows. */
static int region_plan(Run *run, const lathe_step *step, Context *part, Plan **plan)
{
    const int code = context_plan(part, plan);
    if (code == LATHE_E_MEMORY && (*plan)->valid && (*plan)->arena_bytes > run->heap.limit)
        return run_fail(run, step, code, "intermediate results take %i bytes, the limit of the heap is %i bytes",
                        (int64_t)(*plan)->arena_bytes, (int64_t)run->heap.limit);
    return code == LATHE_OK ? LATHE_OK : context_fail(run->main, code, "%s", part->text);
}

static int region_compiled(Run *run, const lathe_step *step, const lathe_region *region)
{
    Context *part = &run->parts[step->target];
    Plan *plan = NULL;
    int code = region_symbols(run, step, region, part);
    if (code == LATHE_OK)
        code = region_plan(run, step, part, &plan);
    for (uint32_t i = 0; i < part->program->input_count && code == LATHE_OK; i++)
        code = region_input(run, step, part, plan, i);
    const lathe_growth *growth = region->growth;
    const int64_t units = growth != NULL && code == LATHE_OK ? plan->calls[growth->launch].units : 0;
    Value *grown = growth != NULL && code == LATHE_OK ? region_growth(run, step, part, plan, growth) : NULL;
    if (grown != NULL) {
        part->tensors[part->program->input_count + (uint32_t)growth->output] = grown->data;
        run_give(run, step, growth->output, grown);
    }
    for (uint32_t i = 0; i < part->program->output_count && code == LATHE_OK; i++)
        if (grown == NULL || (int32_t)i != growth->output)
            code = region_output(run, step, part, plan, i);
    if (code == LATHE_OK) {
        plan_bind_arena(part, plan);
        code = run_plan(part, plan);
        if (code != LATHE_OK)
            (void)context_fail(run->main, code, "%s", part->text);
    }
    if (grown != NULL)
        plan->calls[growth->launch].units = units;
    return code;
}

int region_run(Run *run, const lathe_step *step)
{
    const lathe_region *region = &run->script->regions[step->target];
    const int code = region->call != NULL ? region->call(run, step, region->argument) : region_compiled(run, step, region);
    while (run->unread != NULL) {
        Value *value = run->unread;
        run->unread = value->data;
        value_release(run, value);
    }
    return code;
}

/* --- for regions that are not compiled --------------------------------------------------------------------------------------- */

int64_t lathe_rt_symbol(const Run *run, int32_t symbol)
{
    return run->symbols[symbol];
}

lathe_value lathe_rt_step_input(const Run *run, const lathe_step *step, int input, int32_t *dtype)
{
    Value *value = run_value(run, step, input);
    *dtype = value != NULL ? value->dtype : 0;
    return value != NULL ? value_show(value) : (lathe_value){.form = LATHE_NOTHING};
}

int lathe_rt_step_fail(Run *run, const lathe_step *step, int code, const char *text)
{
    return run_fail(run, step, code, "%s", text);
}
