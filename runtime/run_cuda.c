/* Contexts and runs on a GPU: lathe_rt_cuda.
 *
 * One block of device memory holds the arena and, behind it, a place for each tensor. A run puts copies of the inputs, all launches
 * in their order and copies of the outputs on one stream and waits for it. A launch reports an index out of range in its own
 * error word; the words are read back with the outputs. Tensors that are in the device's memory already are used there, unless
 * kernels could not read them by 16 bytes. */
#include "runtime/libc.h"
#include "runtime/model_cuda.h"

enum { ALIGN = 256, VECTOR = 16, DEVICE_CUDA = 2, DEVICE_CUDA_MANAGED = 13 };

typedef struct DeviceContext {
    DeviceModel *model;
    CuStream stream;
    bool own_stream;
    CuAddress memory;   /* context->arena */
    CuAddress errors;   /* a word per launch */
    int32_t *words;     /* the same, copied back */
    bool dirty;         /* some error word is not 0 */
    void **parameters;  /* of one launch */
    uint64_t *places;   /* of tensors, in context->arena */
    void **caller;      /* the caller's tensors, while context->tensors are the device's */
} DeviceContext;

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t tensor_count(const Context *context)
{
    return context->program->input_count + context->program->output_count;
}

static uint64_t tensor_bytes(const Context *context, const Plan *plan, uint32_t tensor)
{
    const lathe_program *program = context->program;
    const lathe_tensor_info *info =
        tensor < program->input_count ? &program->inputs[tensor] : &program->outputs[tensor - program->input_count];
    return (uint64_t)plan->values[info->bytes_value];
}

/* --- open and close --------------------------------------------------------------------------------------------------------- */

static uint64_t parameters_most(const lathe_program *program)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < program->launch_count; i++) {
        const uint64_t count = (uint64_t)program->launches[i].buffers_count + program->launches[i].dims_count;
        most = count > most ? count : most;
    }
    return most + 1; /* the error word */
}

static int host_part(Context *context, DeviceContext *on)
{
    const lathe_program *program = context->program;
    on->parameters = calloc(parameters_most(program), sizeof *on->parameters);
    on->words = calloc((uint64_t)program->launch_count + 1, sizeof *on->words);
    on->places = calloc((uint64_t)tensor_count(context) + 1, sizeof *on->places);
    on->caller = calloc((uint64_t)tensor_count(context) + 1, sizeof *on->caller);
    if (on->parameters != NULL && on->words != NULL && on->places != NULL && on->caller != NULL)
        return LATHE_OK;
    return context_fail(context, LATHE_E_MEMORY, "no memory for model '%s'", program->name);
}

static int device_part(Context *context, DeviceContext *on, const lathe_options *options)
{
    const Driver *driver = &on->model->driver;
    const uint64_t words = (uint64_t)context->program->launch_count + 1;
    CuContext mine;
    int code = device_result(context, on->model, driver->context_push(on->model->context), "the context");
    if (code != LATHE_OK)
        return code;
    on->stream = options->stream;
    if (options->stream == NULL) {
        code = device_result(context, on->model, driver->stream_create(&on->stream, CU_STREAM_NON_BLOCKING), "the stream");
        on->own_stream = code == LATHE_OK;
    }
    if (code == LATHE_OK) {
        code = device_result(context, on->model, driver->memory_alloc(&on->errors, words * sizeof *on->words), "the error words");
        if (code != LATHE_OK)
            on->errors = 0;
    }
    on->dirty = true;
    driver->context_pop(&mine);
    return code;
}

static int cuda_open(Context *context, const lathe_options *options)
{
    int code;
    DeviceContext *on = calloc(1, sizeof *on);
    if (on == NULL)
        return context_fail(context, LATHE_E_MEMORY, "no memory for model '%s'", context->program->name);
    context->on_device = on;
    on->model = device_model_acquire(context, options->device, &code);
    if (code == LATHE_OK)
        code = host_part(context, on);
    if (code == LATHE_OK)
        code = device_part(context, on, options);
    if (code != LATHE_OK)
        return code;
    context->level_index = on->model->level;
    context->level = &context->program->levels[on->model->level];
    context->weights = (const unsigned char *)(uintptr_t)on->model->weights;
    return LATHE_OK;
}

static void cuda_close(Context *context)
{
    DeviceContext *on = context->on_device;
    CuContext mine;
    if (on == NULL)
        return;
    if (on->model != NULL) {
        const Driver *driver = &on->model->driver;
        /* In a child of the process that opened it there is nothing to give back. */
        if (on->model->process == getpid() && driver->context_push(on->model->context) == CU_SUCCESS) {
            if (on->memory != 0)
                driver->memory_free(on->memory);
            if (on->errors != 0)
                driver->memory_free(on->errors);
            if (on->own_stream)
                driver->stream_destroy(on->stream);
            driver->context_pop(&mine);
        }
        device_model_release(context, on->model);
    }
    free(on->parameters);
    free(on->words);
    free(on->places);
    free(on->caller);
    free(on);
    context->on_device = NULL;
}

/* --- memory ----------------------------------------------------------------------------------------------------------------- */

/* Where each tensor goes behind the arena; the size of everything, or 0 when it does not fit into 62 bits. */
static uint64_t memory_place(const Context *context, const Plan *plan, DeviceContext *on)
{
    uint64_t used = rounded(plan->arena_bytes);
    for (uint32_t i = 0; i < tensor_count(context); i++) {
        const uint64_t bytes = tensor_bytes(context, plan, i);
        on->places[i] = used;
        if (bytes > INT64_MAX / 2 || used > INT64_MAX / 2)
            return 0;
        used += rounded(bytes);
    }
    return used > 0 ? used : ALIGN;
}

static int enter(Context *context)
{
    const DeviceContext *on = context->on_device;
    if (on->model->process != getpid())
        return context_fail(context, LATHE_E_STATE, "model '%s' was opened before a fork: the child must open it anew",
                            context->program->name);
    return device_result(context, on->model, on->model->driver.context_push(on->model->context), "the context");
}

static int leave(const Context *context, int code)
{
    const DeviceContext *on = context->on_device;
    CuContext mine;
    on->model->driver.context_pop(&mine);
    return code;
}

static int memory_grow(Context *context, uint64_t bytes)
{
    DeviceContext *on = context->on_device;
    const Driver *driver = &on->model->driver;
    const uint64_t size = context->arena_size > 0 ? bytes + bytes / 4 : bytes;
    if (on->memory != 0)
        driver->memory_free(on->memory);
    on->memory = 0;
    context->arena = NULL;
    context->arena_size = 0;
    CuAddress memory;
    const int code = device_result(context, on->model, driver->memory_alloc(&memory, size), "the intermediate results");
    if (code != LATHE_OK)
        return code;
    on->memory = memory;
    context->arena = (unsigned char *)(uintptr_t)memory;
    context->arena_size = size;
    return LATHE_OK;
}

static int cuda_reserve(Context *context, const Plan *plan)
{
    const uint64_t bytes = memory_place(context, plan, context->on_device);
    if (bytes == 0)
        return context_fail(context, LATHE_E_MEMORY, "the tensors of model '%s' do not fit into memory for these dimensions",
                            context->program->name);
    if (bytes <= context->arena_size)
        return LATHE_OK;
    const int code = enter(context);
    return code == LATHE_OK ? leave(context, memory_grow(context, bytes)) : code;
}

static bool cuda_holds(const Context *context, const lathe_tensor *tensor)
{
    const DeviceContext *on = context->on_device;
    return (tensor->device.device_type == DEVICE_CUDA || tensor->device.device_type == DEVICE_CUDA_MANAGED) &&
           tensor->device.device_id == on->model->ordinal;
}

/* --- runs ------------------------------------------------------------------------------------------------------------------- */

/* The device's own place is used unless the caller's memory serves as well. */
static bool is_used_in_place(const Context *context, uint32_t tensor)
{
    return context->tensor_on_device[tensor] && (uintptr_t)context->tensors[tensor] % VECTOR == 0;
}

static int inputs_copy(Context *context, const Plan *plan)
{
    DeviceContext *on = context->on_device;
    const Driver *driver = &on->model->driver;
    for (uint32_t i = 0; i < tensor_count(context); i++) {
        const uint64_t bytes = tensor_bytes(context, plan, i);
        void *data = context->tensors[i];
        const CuAddress place = on->memory + on->places[i];
        on->caller[i] = data;
        if (data == NULL || is_used_in_place(context, i))
            continue;
        context->tensors[i] = (void *)(uintptr_t)place;
        if (i >= context->program->input_count || bytes == 0)
            continue;
        const CuResult result = context->tensor_on_device[i]
                                    ? driver->copy_within(place, (CuAddress)(uintptr_t)data, bytes, on->stream)
                                    : driver->copy_in(place, data, bytes, on->stream);
        if (result != CU_SUCCESS)
            return device_result(context, on->model, result, "copying an input");
    }
    return LATHE_OK;
}

static int outputs_copy(Context *context, const Plan *plan)
{
    DeviceContext *on = context->on_device;
    const Driver *driver = &on->model->driver;
    for (uint32_t i = context->program->input_count; i < tensor_count(context); i++) {
        const uint64_t bytes = tensor_bytes(context, plan, i);
        void *data = on->caller[i];
        if (data == NULL || data == context->tensors[i] || bytes == 0)
            continue;
        const CuAddress place = on->memory + on->places[i];
        const CuResult result = context->tensor_on_device[i]
                                    ? driver->copy_within((CuAddress)(uintptr_t)data, place, bytes, on->stream)
                                    : driver->copy_out(data, place, bytes, on->stream);
        if (result != CU_SUCCESS)
            return device_result(context, on->model, result, "copying an output");
    }
    return LATHE_OK;
}

static int launch_start(Context *context, const Plan *plan, uint32_t number)
{
    DeviceContext *on = context->on_device;
    const lathe_launch *launch = &context->program->launches[number];
    const lathe_image *image = &context->level->images[launch->kernel];
    const Call *call = &plan->calls[number];
    CuAddress error = on->errors + (CuAddress)number * sizeof *on->words;
    uint32_t count = 0;
    if (call->units <= 0)
        return LATHE_OK;
    if (call->units > INT32_MAX)
        return context_fail(context, LATHE_E_SHAPE, "node '%s' would need %i blocks on the GPU", launch->name, call->units);
    for (uint32_t i = 0; i < launch->buffers_count; i++)
        on->parameters[count++] = (void *)(uintptr_t)&call->buffers[i];
    for (uint32_t i = 0; i < launch->dims_count; i++)
        on->parameters[count++] = (void *)(uintptr_t)&call->dims[i];
    on->parameters[count] = &error;
    const CuResult result =
        on->model->driver.launch(on->model->kernels[launch->kernel].function, (unsigned)call->units, 1, 1, image->threads, 1, 1,
                                 image->shared, on->stream, on->parameters, NULL);
    return result == CU_SUCCESS ? LATHE_OK : device_result(context, on->model, result, launch->name);
}

/* With profiling on, each launch is waited for: the time is that of the kernel and of starting it. */
static int launch_timed(Context *context, const Plan *plan, uint32_t number)
{
    DeviceContext *on = context->on_device;
    Times *times = &context->times[number];
    times->start = clock_ns();
    int code = launch_start(context, plan, number);
    if (code == LATHE_OK)
        code = device_result(context, on->model, on->model->driver.stream_wait(on->stream), context->program->launches[number].name);
    times->end = clock_ns();
    times->busy = times->end - times->start;
    return code;
}

static int launches_start(Context *context, const Plan *plan)
{
    int code = LATHE_OK;
    for (uint32_t i = 0; i < context->program->launch_count && code == LATHE_OK; i++)
        code = context->times != NULL ? launch_timed(context, plan, i) : launch_start(context, plan, i);
    return code;
}

static int errors_check(Context *context)
{
    DeviceContext *on = context->on_device;
    for (uint32_t i = 0; i < context->program->launch_count; i++)
        if (on->words[i] != 0) {
            on->dirty = true;
            return context_fail(context, on->words[i], "node '%s': %s", context->program->launches[i].name,
                                text_of_code(on->words[i]));
        }
    return LATHE_OK;
}

static int put_on_stream(Context *context, Plan *plan)
{
    DeviceContext *on = context->on_device;
    const Driver *driver = &on->model->driver;
    const uint64_t words = (uint64_t)context->program->launch_count + 1;
    int code = LATHE_OK;
    if (on->dirty)
        code = device_result(context, on->model, driver->fill_words(on->errors, 0, words, on->stream), "the error words");
    if (code == LATHE_OK)
        code = inputs_copy(context, plan);
    if (code != LATHE_OK)
        return code;
    on->dirty = false;
    run_patch(context, plan);
    code = launches_start(context, plan);
    if (code == LATHE_OK)
        code = device_result(context, on->model, driver->copy_out(on->words, on->errors, words * sizeof *on->words, on->stream),
                             "the error words");
    return code == LATHE_OK ? outputs_copy(context, plan) : code;
}

static int cuda_run(Context *context, Plan *plan)
{
    DeviceContext *on = context->on_device;
    int code = enter(context);
    if (code != LATHE_OK)
        return code;
    code = put_on_stream(context, plan);
    /* After a failure, too: copies must not go on behind the caller's back. */
    const CuResult result = on->model->driver.stream_wait(on->stream);
    if (code == LATHE_OK)
        code = device_result(context, on->model, result, "running the kernels");
    if (code == LATHE_OK && context->times != NULL)
        profile_fold(context);
    return leave(context, code == LATHE_OK ? errors_check(context) : code);
}

const lathe_device lathe_rt_cuda = {
    .open = cuda_open,
    .close = cuda_close,
    .reserve = cuda_reserve,
    .run = cuda_run,
    .holds = cuda_holds,
};
