/* The calls of a context: run with plain pointers or with DLPack tensors, ask for shapes. Every call checks everything before the
 * first output is written, and tells what is wrong in the context's text. */
#include "runtime/internal.h"
#include "runtime/libc.h"

/* One call at a time: a second thread gets an error, and must not touch the text of the first. */
int context_enter(Context *context)
{
    if (context == NULL)
        return LATHE_E_NULL;
    if (context->magic != CONTEXT_MAGIC || atomic_exchange_explicit(&context->busy, 1, memory_order_acquire) != 0)
        return LATHE_E_STATE;
    context->text[0] = '\0';
    return LATHE_OK;
}

int context_leave(Context *context, int code)
{
    atomic_store_explicit(&context->busy, 0, memory_order_release);
    return code;
}

/* --- plain pointers --------------------------------------------------------------------------------------------------------- */

int plain_tensors(Context *context, const void *const *inputs, void *const *outputs)
{
    const lathe_program *program = context->program;
    if ((inputs == NULL && program->input_count > 0) || (outputs == NULL && program->output_count > 0 && program->script == NULL))
        return context_fail(context, LATHE_E_NULL, "the array of %s is NULL", inputs == NULL ? "inputs" : "outputs");
    if (context->tensor_on_device != NULL)
        memset(context->tensor_on_device, 0, (program->input_count + program->output_count) * sizeof *context->tensor_on_device);
    for (uint32_t i = 0; i < program->input_count; i++)
        context->tensors[i] = (void *)(uintptr_t)inputs[i];
    for (uint32_t i = 0; i < program->output_count; i++)
        context->tensors[program->input_count + i] = outputs != NULL ? outputs[i] : NULL;
    return LATHE_OK;
}

int plain_symbols(Context *context, const int64_t *symbols)
{
    const lathe_program *program = context->program;
    for (uint32_t i = 0; i < program->symbol_count; i++) {
        if (program->symbols[i].element)
            continue;
        if (symbols == NULL)
            return context_fail(context, LATHE_E_NULL, "the dimensions are NULL, but '%s' is needed", program->symbols[i].name);
        context->symbols[i] = symbols[i];
    }
    return LATHE_OK;
}

int plan_for_symbols(Context *context, Plan **plan)
{
    const int code = check_symbols(context);
    return code == LATHE_OK ? context_plan(context, plan) : code;
}

static int tensors_run(Context *context, Plan *plan)
{
    const int code = check_pointers(context, plan, true);
    if (code != LATHE_OK)
        return code;
    plan_bind_arena(context, plan);
    return run_plan(context, plan);
}

static int run_plain(Context *context, const void *const *inputs, void *const *outputs, const int64_t *symbols)
{
    Plan *plan = NULL;
    int code = plain_tensors(context, inputs, outputs);
    if (code == LATHE_OK)
        code = plain_symbols(context, symbols);
    if (code == LATHE_OK)
        code = check_symbol_elements(context);
    if (code == LATHE_OK)
        code = plan_for_symbols(context, &plan);
    return code == LATHE_OK ? tensors_run(context, plan) : code;
}

int lathe_rt_run(lathe_context *context, const void *const *inputs, void *const *outputs, const int64_t *symbols)
{
    const int code = context_enter(context);
    return code == LATHE_OK ? context_leave(context, run_plain(context, inputs, outputs, symbols)) : code;
}

/* --- DLPack ----------------------------------------------------------------------------------------------------------------- */

static int dl_plan(Context *context, Plan **plan, lathe_tensor *const *inputs, int input_count)
{
    int code = check_dl_inputs(context, inputs, input_count);
    if (code == LATHE_OK)
        code = check_symbol_elements(context);
    return code == LATHE_OK ? plan_for_symbols(context, plan) : code;
}

static int run_tensors(Context *context, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs,
                       int output_count)
{
    Plan *plan = NULL;
    int code = dl_plan(context, &plan, inputs, input_count);
    if (code == LATHE_OK)
        code = check_dl_outputs(context, outputs, output_count);
    if (code == LATHE_OK)
        code = check_dl_shapes(context, plan, inputs, outputs);
    return code == LATHE_OK ? tensors_run(context, plan) : code;
}

static int api_run_dl(lathe_context *context, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs,
                      int output_count)
{
    const int code = context_enter(context);
    if (code != LATHE_OK)
        return code;
    return context_leave(context, run_tensors(context, inputs, input_count, outputs, output_count));
}

/* --- shapes ----------------------------------------------------------------------------------------------------------------- */

static void dims_copy(const lathe_program *program, const int64_t *values, const lathe_tensor_info *info, int64_t *dims)
{
    for (int32_t i = 0; i < info->rank; i++)
        dims[i] = values[program->value_refs[info->dims_first + (uint32_t)i]];
}

static int dims_of_symbols(Context *context, const int64_t *symbols, int output, int64_t *dims)
{
    const lathe_program *program = context->program;
    if (output < 0 || (uint32_t)output >= program->output_count)
        return context_fail(context, LATHE_E_COUNT, "there is no output %i: the model has %i", (int64_t)output,
                            (int64_t)program->output_count);
    if ((symbols == NULL && program->symbol_count > 0) || (dims == NULL && program->outputs[output].rank > 0))
        return context_fail(context, LATHE_E_NULL, "%s is NULL", dims == NULL ? "dims" : "symbols");
    for (uint32_t i = 0; i < program->symbol_count; i++)
        context->symbols[i] = symbols[i];
    Plan *plan = NULL;
    const int code = plan_for_symbols(context, &plan);
    if (code == LATHE_OK)
        dims_copy(program, plan->values, &program->outputs[output], dims);
    return code;
}

int api_output_dims(lathe_context *context, const int64_t *symbols, int output, int64_t *dims)
{
    const int code = context_enter(context);
    return code == LATHE_OK ? context_leave(context, dims_of_symbols(context, symbols, output, dims)) : code;
}

static int dims_of_tensors(Context *context, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs,
                           int output_count)
{
    const lathe_program *program = context->program;
    Plan *plan = NULL;
    int code = dl_plan(context, &plan, inputs, input_count);
    if (code == LATHE_OK)
        code = check_dl_shapes(context, plan, inputs, NULL);
    if (code != LATHE_OK)
        return code;
    if (output_count != (int)program->output_count)
        return context_fail(context, LATHE_E_COUNT, "%i outputs were given, but the model has %i", (int64_t)output_count,
                            (int64_t)program->output_count);
    for (int i = 0; i < output_count; i++)
        if (outputs == NULL || outputs[i] == NULL || (outputs[i]->shape == NULL && program->outputs[i].rank > 0))
            return context_fail(context, LATHE_E_NULL, "output '%s' has no room for its shape", program->outputs[i].name);
    for (int i = 0; i < output_count; i++) {
        outputs[i]->ndim = program->outputs[i].rank;
        tensor_type(program->outputs[i].dtype, outputs[i]);
        dims_copy(program, plan->values, &program->outputs[i], outputs[i]->shape);
    }
    return LATHE_OK;
}

int api_output_dims_dl(lathe_context *context, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs,
                       int output_count)
{
    const int code = context_enter(context);
    if (code != LATHE_OK)
        return code;
    return context_leave(context, dims_of_tensors(context, inputs, input_count, outputs, output_count));
}

static int64_t elements_of_values(const lathe_program *program, const int64_t *values, const lathe_tensor_info *info)
{
    for (uint32_t i = 0; i < program->check_count; i++)
        if (values[program->checks[i].value] == 0)
            return program->checks[i].code;
    int64_t elements = 1;
    for (int32_t i = 0; i < info->rank; i++) {
        const int64_t dim = values[program->value_refs[info->dims_first + (uint32_t)i]];
        if (dim < 0 || __builtin_mul_overflow(elements, dim, &elements))
            return LATHE_E_SHAPE;
    }
    return elements;
}

int64_t lathe_rt_output_elements(const lathe_model_v1 *model, const int64_t *symbols, int output)
{
    const lathe_program *program = model->program;
    if (output < 0 || (uint32_t)output >= program->output_count)
        return LATHE_E_COUNT;
    if (symbols == NULL && program->symbol_count > 0)
        return LATHE_E_NULL;
    for (uint32_t i = 0; i < program->symbol_count; i++)
        if (symbols[i] < program->symbols[i].minimum || symbols[i] > program->symbols[i].maximum)
            return LATHE_E_SHAPE;
    if (program->instantiate == NULL)
        return elements_of_values(program, program->values, &program->outputs[output]);

    int64_t *values = malloc(program->value_count * sizeof *values);
    if (values == NULL)
        return LATHE_E_MEMORY;
    memcpy(values, program->values, program->value_count * sizeof *values);
    void *const buffers[] = {values};
    int32_t error = 0;
    program->instantiate(buffers, symbols, 0, 1, NULL, &error);
    const int64_t elements = error != 0 ? error : elements_of_values(program, values, &program->outputs[output]);
    free(values);
    return elements;
}

/* --- the rest --------------------------------------------------------------------------------------------------------------- */

const char *api_error_text(const lathe_context *context)
{
    return context == NULL ? text_of_code(LATHE_E_NULL) : context->text;
}

const char *api_level_name(const lathe_context *context)
{
    return context == NULL ? "" : context->level->name;
}

int api_thread_count(const lathe_context *context)
{
    return context == NULL ? 0 : (int)context->threads;
}

uint64_t api_arena_bytes(const lathe_context *context)
{
    return context == NULL ? 0 : context->arena_size;
}

static int api_profile(lathe_context *context, int on)
{
    const int code = context_enter(context);
    return code == LATHE_OK ? context_leave(context, profile_switch(context, on)) : code;
}

static int api_launch_info(lathe_context *context, int launch, lathe_launch_info *info)
{
    const int code = context_enter(context);
    if (code != LATHE_OK)
        return code;
    return context_leave(context, profile_launch_info(context, atomic_load(&context->plan), launch, info));
}

int api_pool_close(lathe_pool *pool)
{
    return pool == NULL ? LATHE_OK : pool->abi == POOL_ABI ? pool->close(pool) : LATHE_E_ABI;
}

const lathe_api lathe_rt_api = {
    .size = sizeof lathe_rt_api,
    .open = lathe_rt_open,
    .close = lathe_rt_close,
    .run = lathe_rt_run,
    .run_dl = api_run_dl,
    .output_dims = api_output_dims,
    .output_dims_dl = api_output_dims_dl,
    .error_text = api_error_text,
    .code_text = text_of_code,
    .level_name = api_level_name,
    .thread_count = api_thread_count,
    .arena_bytes = api_arena_bytes,
    .profile = api_profile,
    .launch_info = api_launch_info,
    .pool_open = pool_open,
    .pool_close = api_pool_close,
};
