/* The calls of a model with a script: what the caller hands in becomes values in slots, what the script leaves goes to the caller. */
#include "runtime/libc.h"
#include "runtime/script.h"

#define HEAP_LIMIT (SIZE_MAX > UINT32_MAX ? UINT64_C(4) << 30 : UINT64_C(1) << 30)
enum { LOOP_LIMIT = 1 << 24 };

/* --- open and close --------------------------------------------------------------------------------------------------------- */

static void run_layout(Run *run, Block *block)
{
    const lathe_script *script = run->script;
    const uint64_t outputs = run->program->output_count;
    run->slots = block_take(block, script->slot_count, sizeof *run->slots);
    run->symbols = block_take(block, script->symbol_count, sizeof *run->symbols);
    run->parts = block_take(block, script->region_count, sizeof *run->parts);
    run->frames = block_take(block, script->body_count, sizeof *run->frames);
    run->homes = block_take(block, script->slot_count, sizeof *run->homes);
    run->outputs = block_take(block, script->slot_count, sizeof *run->outputs);
    run->given = block_take(block, outputs, sizeof *run->given);
    run->given_bytes = block_take(block, outputs, sizeof *run->given_bytes);
    run->results = block_take(block, outputs, sizeof *run->results);
    run->shown = block_take(block, outputs, sizeof *run->shown);
}

static void homes_set(Run *run, int32_t body, const int32_t *slots, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        if (slots[i] != LATHE_NO_SLOT)
            run->homes[slots[i]] = body;
}

static void homes_fill(Run *run)
{
    for (uint32_t i = 0; i < run->script->body_count; i++) {
        const lathe_body *body = &run->script->bodies[i];
        homes_set(run, (int32_t)i, body->inputs, body->input_count);
        for (int32_t k = 0; k < body->step_count; k++)
            homes_set(run, (int32_t)i, body->steps[k].outputs, body->steps[k].output_count);
    }
    for (uint32_t i = run->program->output_count; i-- > 0;)
        run->outputs[run->script->bodies[0].outputs[i]] = (int32_t)i + 1;
    for (int32_t i = 0; i < run->script->bodies[0].input_count; i++) /* these are copied at the end */
        if (run->script->bodies[0].inputs[i] != LATHE_NO_SLOT)
            run->outputs[run->script->bodies[0].inputs[i]] = 0;
}

static int walker_open(Context *context, const lathe_options *options)
{
    Run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return context_fail(context, LATHE_E_MEMORY, "no memory for model '%s'", context->program->name);
    context->script = run;
    run->main = context;
    run->program = context->program;
    run->script = context->program->script;
    run->heap.limit = options->heap_limit != 0 ? options->heap_limit : HEAP_LIMIT;
    run->loop_limit = options->loop_limit != 0 ? options->loop_limit : LOOP_LIMIT;
    run->stop = options->stop;
    context->arena_limit = run->heap.limit;
    Block block = {NULL, 0};
    run_layout(run, &block);
    unsigned char *memory = memory_aligned(block.used > 0 ? block.used : 1);
    if (memory == NULL)
        return context_fail(context, LATHE_E_MEMORY, "no memory for the script of model '%s': %i bytes", context->program->name,
                            (int64_t)block.used);
    memset(memory, 0, block.used);
    run->memory = memory;
    block = (Block){memory, 0};
    run_layout(run, &block);
    homes_fill(run);
    int code = LATHE_OK;
    for (uint32_t i = 0; i < run->script->region_count && code == LATHE_OK; i++)
        if (run->script->regions[i].call == NULL)
            code = context_open_part(&run->parts[i], run->script->regions[i].program, context);
    return code;
}

static void walker_close(Context *context)
{
    Run *run = context->script;
    if (run == NULL)
        return;
    for (uint32_t i = 0; run->memory != NULL && i < run->script->region_count; i++)
        context_close_part(&run->parts[i]);
    if (run->memory != NULL)
        script_forget(run);
    heap_trim(&run->heap);
    free(run->memory);
    free(run);
    context->script = NULL;
}

const lathe_walker lathe_rt_walker = {.open = walker_open, .close = walker_close};

/* --- inputs ----------------------------------------------------------------------------------------------------------------- */

/* Texts are copied: results may hold them, and must not depend on the caller's memory. */
static int texts_copy(Run *run, Value *value, const lathe_tensor *tensor, const char *name)
{
    const uint64_t *from = (const uint64_t *)((const unsigned char *)tensor->data + tensor->byte_offset);
    for (int64_t i = 0; i < value->count; i++) {
        const char *string = (const char *)(uintptr_t)from[i];
        if (string == NULL)
            return run_fail(run, NULL, LATHE_E_NULL, "input '%s': string %i is NULL", name, i);
        const size_t length = strlen(string);
        char *text = run_text(run, NULL, length);
        if (text == NULL)
            return LATHE_E_MEMORY;
        memcpy(text, string, length);
        string_set(value, i, text);
    }
    return LATHE_OK;
}

/* A value of the run for a checked tensor of the caller. */
static int tensor_take(Run *run, const lathe_tensor *tensor, int32_t dtype, const char *name, Value **value)
{
    unsigned char *data = tensor->data;
    if (dtype == DTYPE_STRING)
        *value = value_tensor(run, NULL, dtype, tensor->ndim, tensor->shape);
    else
        *value = value_borrow(run, NULL, dtype, tensor->ndim, tensor->shape, data != NULL ? data + tensor->byte_offset : NULL);
    if (*value == NULL)
        return LATHE_E_MEMORY;
    return dtype == DTYPE_STRING ? texts_copy(run, *value, tensor, name) : LATHE_OK;
}

/* All items are tensors of the type that the model's input has. */
static int sequence_take(Run *run, const lathe_value *given, const lathe_tensor_info *info, Value **value)
{
    if (given->count < 0 || (given->count > 0 && given->items == NULL))
        return run_fail(run, NULL, LATHE_E_NULL, "input '%s' has %i items but no memory for them", info->name, (int64_t)given->count);
    *value = value_sequence(run, NULL, info->dtype, given->count);
    if (*value == NULL)
        return LATHE_E_MEMORY;
    for (int32_t i = 0; i < given->count; i++) {
        Value *item = NULL;
        if (given->items[i].form != LATHE_TENSOR)
            return run_fail(run, NULL, LATHE_E_ARGUMENT, "input '%s': item %i is no tensor", info->name, (int64_t)i);
        int code = check_item(run->main, info, &given->items[i].tensor);
        if (code == LATHE_OK)
            code = tensor_take(run, &given->items[i].tensor, info->dtype, info->name, &item);
        if (code != LATHE_OK) {
            value_release(run, item);
            return code;
        }
        code = value_append(run, NULL, *value, item);
        if (code != LATHE_OK)
            return code;
    }
    return LATHE_OK;
}

static int input_take(Run *run, uint32_t input, const lathe_tensor *tensor, const lathe_value *other)
{
    const lathe_tensor_info *info = &run->program->inputs[input];
    Value *value = NULL;
    int code = LATHE_OK;
    if (other != NULL && other->form == LATHE_SEQUENCE)
        code = sequence_take(run, other, info, &value);
    else if (tensor != NULL || (other != NULL && other->form == LATHE_TENSOR))
        code = tensor_take(run, tensor != NULL ? tensor : &other->tensor, info->dtype, info->name, &value);
    else if ((value = value_nothing(run, NULL)) == NULL)
        code = LATHE_E_MEMORY;
    const int32_t slot = run->script->bodies[0].inputs[input];
    if (slot == LATHE_NO_SLOT)
        value_release(run, value);
    else
        run->slots[slot] = value;
    return code;
}

static void slots_clear(Run *run)
{
    for (uint32_t i = 0; i < run->script->slot_count; i++) {
        value_release(run, run->slots[i]);
        run->slots[i] = NULL;
    }
}

/* tensors: NULL entries where the input is not there or no plain tensor; others: may be NULL, or what stands in those places. */
static int inputs_take(Run *run, lathe_tensor *const *tensors, const lathe_value *others)
{
    script_forget(run);
    for (uint32_t i = 0; i < run->program->input_count; i++) {
        const int code = input_take(run, i, tensors[i], others != NULL ? &others[i] : NULL);
        if (code != LATHE_OK) {
            slots_clear(run);
            script_forget(run);
            return code;
        }
    }
    return LATHE_OK;
}

/* --- outputs ---------------------------------------------------------------------------------------------------------------- */

/* Results that are not in the caller's memory yet go there. */
static int outputs_copy(Run *run)
{
    int code = LATHE_OK;
    for (uint32_t i = 0; i < run->program->output_count && code == LATHE_OK; i++) {
        const Value *value = run->results[i];
        const lathe_tensor_info *info = &run->program->outputs[i];
        if (run->given[i] == NULL && run->given_bytes[i] == 0)
            continue;
        if (value->form != LATHE_TENSOR || value->bytes != run->given_bytes[i])
            code = run_fail(run, NULL, LATHE_E_SHAPE, "output '%s' has %i bytes in this run, but %i were expected", info->name,
                            value->form == LATHE_TENSOR ? (int64_t)value->bytes : 0, (int64_t)run->given_bytes[i]);
        else if (value->data != run->given[i])
            memcpy(run->given[i], value->data, value->bytes);
    }
    return code;
}

/* A tensor in memory of the run: what is the caller's must not be among results. */
static int result_own(Run *run, Value **value)
{
    if (!(*value)->borrowed)
        return LATHE_OK;
    Value *copy = value_tensor(run, NULL, (*value)->dtype, (*value)->rank, (*value)->dims);
    if (copy == NULL)
        return LATHE_E_MEMORY;
    memcpy(copy->data, (*value)->data, copy->bytes);
    value_release(run, *value);
    *value = copy;
    return LATHE_OK;
}

static int result_show(Run *run, uint32_t output)
{
    Value **result = &run->results[output];
    int code = result_own(run, result);
    if (code != LATHE_OK)
        return code;
    lathe_value shown = value_show(*result);
    if (shown.form == LATHE_SEQUENCE) {
        lathe_value *items = heap_take(&run->heap, (uint64_t)(*result)->count * sizeof *items);
        if (items == NULL || (*result)->count > INT32_MAX)
            return run_fail(run, NULL, LATHE_E_MEMORY, "no memory to show %i items", (*result)->count);
        run->shown[output] = (lathe_value){.form = LATHE_NOTHING, .items = items};
        for (int64_t i = 0; i < (*result)->count; i++) {
            code = result_own(run, &(*result)->items[i]);
            if (code != LATHE_OK)
                return code;
            items[i] = value_show((*result)->items[i]);
        }
        shown.items = items;
        shown.count = (int32_t)(*result)->count;
    }
    run->shown[output] = shown;
    return LATHE_OK;
}

static int results_show(Run *run)
{
    int code = LATHE_OK;
    for (uint32_t i = 0; i < run->program->output_count && code == LATHE_OK; i++)
        code = result_show(run, i);
    if (code != LATHE_OK)
        script_forget(run);
    return code;
}

/* --- plain pointers --------------------------------------------------------------------------------------------------------- */

/* What is no plain tensor is of the form that the model wants, or missing where that is allowed. */
static int values_check(Run *run, const lathe_value *inputs, lathe_tensor **tensors)
{
    const int32_t *forms = run->main->model->input_forms;
    for (uint32_t i = 0; i < run->program->input_count; i++) {
        const lathe_tensor_info *info = &run->program->inputs[i];
        const int32_t form = forms != NULL ? forms[i] : LATHE_TENSOR;
        const int32_t wanted = form & LATHE_SEQUENCE;
        const bool optional = info->optional || (form & LATHE_OPTIONAL) != 0;
        if (inputs[i].form != wanted && (inputs[i].form != LATHE_NOTHING || !optional))
            return run_fail(run, NULL, LATHE_E_ARGUMENT, "input '%s' must be a %s", info->name,
                            wanted == LATHE_SEQUENCE ? "sequence" : "tensor");
        if (inputs[i].form != LATHE_TENSOR)
            continue;
        if (check_form(run->main, i))
            tensors[i] = (lathe_tensor *)(uintptr_t)&inputs[i].tensor;
        const int code = check_form(run->main, i) ? LATHE_OK : check_item(run->main, info, &inputs[i].tensor);
        if (code != LATHE_OK)
            return code;
    }
    return LATHE_OK;
}

/* Plain tensors with their dims, by the plan of the model itself. */
static void tensors_describe(Run *run, const Plan *plan, lathe_tensor *tensors, int64_t *dims)
{
    const lathe_program *program = run->program;
    for (uint32_t i = 0; i < program->input_count; i++) {
        const lathe_tensor_info *info = &program->inputs[i];
        tensors[i] = (lathe_tensor){.data = run->main->tensors[i], .device = {.device_type = DEVICE_HOST}, .ndim = info->rank, .shape = dims};
        for (int32_t k = 0; k < info->rank; k++)
            *dims++ = plan->values[program->value_refs[info->dims_first + (uint32_t)k]];
    }
}

static int plain_inputs(Run *run, const Plan *plan, const void *const *inputs)
{
    const lathe_program *program = run->program;
    uint64_t dims = 0;
    for (uint32_t i = 0; i < program->input_count; i++)
        dims += program->inputs[i].rank > 0 ? (uint64_t)program->inputs[i].rank : 0;
    const uint64_t each = sizeof(lathe_tensor) + sizeof(lathe_tensor *) + sizeof(lathe_value);
    unsigned char *memory = calloc(1, program->input_count * each + dims * sizeof(int64_t) + 1);
    if (memory == NULL)
        return run_fail(run, NULL, LATHE_E_MEMORY, "no memory for a description of the inputs");
    lathe_tensor *tensors = (lathe_tensor *)memory;
    lathe_value *others = (lathe_value *)(tensors + program->input_count);
    lathe_tensor **pointers = (lathe_tensor **)(others + program->input_count);
    int64_t *extents = (int64_t *)(pointers + program->input_count);
    for (uint32_t i = 0; i < program->input_count; i++)
        others[i] = (lathe_value){.form = check_form(run->main, i) && inputs[i] != NULL ? LATHE_TENSOR : LATHE_NOTHING};
    for (uint32_t i = 0; i < program->input_count; i++)
        if (!check_form(run->main, i) && inputs[i] != NULL)
            others[i] = *(const lathe_value *)inputs[i];
    tensors_describe(run, plan, tensors, extents);
    for (uint32_t i = 0; i < program->input_count; i++)
        if (check_form(run->main, i))
            others[i].tensor = tensors[i];
    int code = values_check(run, others, pointers);
    if (code == LATHE_OK)
        code = inputs_take(run, pointers, others);
    free(memory);
    return code;
}

static int run_plain(Run *run, const void *const *inputs, void *const *outputs, const int64_t *symbols)
{
    Context *context = run->main;
    Plan *plan = NULL;
    int code = plain_tensors(context, inputs, outputs);
    if (code == LATHE_OK)
        code = plain_symbols(context, symbols);
    if (code == LATHE_OK)
        code = check_symbol_elements(context);
    if (code == LATHE_OK)
        code = plan_for_symbols(context, &plan);
    if (code == LATHE_OK)
        code = check_pointers(context, plan, outputs != NULL);
    for (uint32_t i = 0; i < run->program->output_count && code == LATHE_OK && outputs != NULL; i++) {
        const int64_t bytes = plan->values[run->program->outputs[i].bytes_value];
        if (bytes < 0 || !check_form(context, run->program->input_count + i))
            return run_fail(run, NULL, LATHE_E_SHAPE, "only a run knows the size of output '%s': call run_values, or run without outputs",
                            run->program->outputs[i].name);
        run->given[i] = outputs[i];
        run->given_bytes[i] = (uint64_t)bytes;
    }
    if (code == LATHE_OK)
        code = plain_inputs(run, plan, inputs);
    if (code == LATHE_OK)
        code = script_run(run);
    if (code != LATHE_OK)
        return code;
    if (outputs == NULL)
        return results_show(run);
    code = outputs_copy(run);
    script_forget(run);
    return code;
}

/* Memory that callers gave for one run is not known in the next. */
static int run_begin(Context *context)
{
    const int code = context_enter(context);
    if (code != LATHE_OK)
        return code;
    Run *run = context->script;
    if (run->program->output_count > 0) {
        memset(run->given, 0, run->program->output_count * sizeof *run->given);
        memset(run->given_bytes, 0, run->program->output_count * sizeof *run->given_bytes);
    }
    return LATHE_OK;
}

int lathe_rt_script_run(lathe_context *context, const void *const *inputs, void *const *outputs, const int64_t *symbols)
{
    const int code = run_begin(context);
    return code == LATHE_OK ? context_leave(context, run_plain(context->script, inputs, outputs, symbols)) : code;
}

const lathe_value *lathe_rt_output(lathe_context *context, int output)
{
    if (context == NULL || context->magic != CONTEXT_MAGIC || output < 0 || (uint32_t)output >= context->program->output_count ||
        context->script->results[output] == NULL)
        return NULL;
    return &context->script->shown[output];
}

/* --- DLPack and values ------------------------------------------------------------------------------------------------------ */

static int dl_plan(Context *context, Plan **plan, lathe_tensor *const *inputs, int input_count)
{
    int code = check_dl_inputs(context, inputs, input_count);
    if (code == LATHE_OK)
        code = check_symbol_elements(context);
    if (code == LATHE_OK)
        code = plan_for_symbols(context, plan);
    return code == LATHE_OK ? check_dl_shapes(context, *plan, inputs, NULL) : code;
}

static int run_tensors(Run *run, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs, int output_count)
{
    Context *context = run->main;
    const lathe_program *program = run->program;
    Plan *plan = NULL;
    for (uint32_t i = 0; i < program->input_count + program->output_count; i++)
        if (!check_form(context, i) ||
            (i >= program->input_count && program->outputs[i - program->input_count].rank < 0))
            return run_fail(run, NULL, LATHE_E_ARGUMENT, "an input or output is no tensor, or only a run knows its rank: call run_values");
    int code = dl_plan(context, &plan, inputs, input_count);
    if (code == LATHE_OK)
        code = check_dl_outputs(context, outputs, output_count);
    for (uint32_t i = 0; i < program->output_count && code == LATHE_OK; i++)
        if (plan->values[program->outputs[i].bytes_value] < 0)
            code = run_fail(run, NULL, LATHE_E_SHAPE, "only a run knows the size of output '%s': call run_values", program->outputs[i].name);
    if (code == LATHE_OK)
        code = check_dl_shapes(context, plan, inputs, outputs);
    if (code == LATHE_OK)
        code = check_pointers(context, plan, true);
    for (uint32_t i = 0; i < program->output_count && code == LATHE_OK; i++) {
        run->given[i] = context->tensors[program->input_count + i];
        run->given_bytes[i] = (uint64_t)plan->values[program->outputs[i].bytes_value];
    }
    if (code == LATHE_OK)
        code = inputs_take(run, inputs, NULL);
    if (code == LATHE_OK)
        code = script_run(run);
    if (code == LATHE_OK)
        code = outputs_copy(run);
    script_forget(run);
    return code;
}

static int script_run_dl(lathe_context *context, lathe_tensor *const *inputs, int input_count, lathe_tensor *const *outputs,
                         int output_count)
{
    const int code = run_begin(context);
    return code == LATHE_OK ? context_leave(context, run_tensors(context->script, inputs, input_count, outputs, output_count)) : code;
}

static int values_run(Run *run, const lathe_value *inputs, lathe_tensor **tensors)
{
    Plan *plan = NULL;
    int code = values_check(run, inputs, tensors);
    if (code == LATHE_OK)
        code = dl_plan(run->main, &plan, tensors, (int)run->program->input_count);
    if (code == LATHE_OK)
        code = check_pointers(run->main, plan, false);
    if (code == LATHE_OK)
        code = inputs_take(run, tensors, inputs);
    if (code == LATHE_OK)
        code = script_run(run);
    return code == LATHE_OK ? results_show(run) : code;
}

static int run_values(Run *run, const lathe_value *inputs, int input_count, lathe_value *outputs, int output_count)
{
    const lathe_program *program = run->program;
    const bool inputs_fit = input_count == (int)program->input_count;
    if (!inputs_fit || output_count != (int)program->output_count)
        return run_fail(run, NULL, LATHE_E_COUNT, "%i %s were given, but the model has %i", (int64_t)(inputs_fit ? output_count : input_count),
                        inputs_fit ? "outputs" : "inputs", (int64_t)(inputs_fit ? program->output_count : program->input_count));
    if ((inputs == NULL && input_count > 0) || (outputs == NULL && output_count > 0))
        return run_fail(run, NULL, LATHE_E_NULL, "the array of %s is NULL", inputs == NULL ? "inputs" : "outputs");
    lathe_tensor **tensors = calloc(program->input_count + 1, sizeof *tensors);
    if (tensors == NULL)
        return run_fail(run, NULL, LATHE_E_MEMORY, "no memory for a description of the inputs");
    const int code = values_run(run, inputs, tensors);
    free(tensors);
    for (int i = 0; i < output_count && code == LATHE_OK; i++)
        outputs[i] = run->shown[i];
    return code;
}

static int api_run_values(lathe_context *context, const lathe_value *inputs, int input_count, lathe_value *outputs, int output_count)
{
    const int code = run_begin(context);
    return code == LATHE_OK ? context_leave(context, run_values(context->script, inputs, input_count, outputs, output_count)) : code;
}

/* --- the rest --------------------------------------------------------------------------------------------------------------- */

static uint64_t api_heap_bytes(const lathe_context *context)
{
    return context == NULL ? 0 : context->script->heap.held;
}

static int api_profile(lathe_context *context, int on)
{
    int code = context_enter(context);
    if (code != LATHE_OK)
        return code;
    for (uint32_t i = 0; i < context->program->script->region_count && code == LATHE_OK; i++)
        if (context->program->script->regions[i].call == NULL) {
            Context *part = &context->script->parts[i];
            code = profile_switch(part, on);
            if (code != LATHE_OK)
                (void)context_fail(context, code, "%s", part->text);
        }
    return context_leave(context, code);
}

/* Launches are numbered through the regions. */
static int launch_find(Context *context, int launch, lathe_launch_info *info)
{
    int rest = launch;
    for (uint32_t i = 0; launch >= 0 && i < context->program->script->region_count; i++) {
        Context *part = &context->script->parts[i];
        const int count = part->program != NULL ? (int)part->program->launch_count : 0;
        if (rest < count) {
            const Plan *newest = &part->plans[0];
            for (int k = 1; k < PLANS_MAX; k++)
                if (part->plans[k].last_use > newest->last_use)
                    newest = &part->plans[k];
            const int code = profile_launch_info(part, newest, rest, info);
            return code == LATHE_OK ? code : context_fail(context, code, "%s", part->text);
        }
        rest -= count;
    }
    return context_fail(context, LATHE_E_ARGUMENT, "there is no launch %i", (int64_t)launch);
}

static int api_launch_info(lathe_context *context, int launch, lathe_launch_info *info)
{
    const int code = context_enter(context);
    return code == LATHE_OK ? context_leave(context, launch_find(context, launch, info)) : code;
}

const lathe_api lathe_rt_script_api = {
    .size = sizeof lathe_rt_script_api,
    .open = lathe_rt_open,
    .close = lathe_rt_close,
    .run = lathe_rt_script_run,
    .run_dl = script_run_dl,
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
    .run_values = api_run_values,
    .output = lathe_rt_output,
    .heap_bytes = api_heap_bytes,
};
