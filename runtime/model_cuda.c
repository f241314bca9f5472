/* Models on GPUs: finding the device, loading the kernels that fit it, uploading the weights. */
#include "runtime/model_cuda.h"
#include "runtime/libc.h"

enum { LOG_SIZE = 1024, SHARED_FREE = 48 << 10, SM_PER_MAJOR = 10 };

int device_result(Context *context, const DeviceModel *model, CuResult result, const char *what)
{
    if (result == CU_SUCCESS)
        return LATHE_OK;
    const char *name = driver_error(&model->driver, result);
    if (result == CU_OUT_OF_MEMORY)
        return context_fail(context, LATHE_E_MEMORY, "GPU %i has no memory for %s of model '%s'", (int64_t)model->ordinal, what,
                            context->program->name);
    return context_fail(context, LATHE_E_LAUNCH, "GPU %i, %s of model '%s': %s (%i)", (int64_t)model->ordinal, what,
                        context->program->name, name, (int64_t)result);
}

/* --- kernels ---------------------------------------------------------------------------------------------------------------- */

/* The driver does not take this image, but may take another. */
static bool is_refusal(CuResult result)
{
    return result == CU_INVALID_IMAGE || result == CU_NO_BINARY_FOR_GPU || result == CU_INVALID_PTX ||
           result == CU_JIT_COMPILER_NOT_FOUND || result == CU_UNSUPPORTED_PTX_VERSION || result == CU_JIT_COMPILATION_DISABLED;
}

static void kernels_unload(const Context *context, DeviceModel *model)
{
    for (uint32_t i = 0; i < context->program->kernel_count; i++) {
        if (model->kernels[i].module != NULL)
            model->driver.module_unload(model->kernels[i].module);
        model->kernels[i] = (Kernel){NULL, NULL};
    }
}

static CuResult kernel_load(DeviceModel *model, const lathe_image *image, const void *code, Kernel *kernel, char *log)
{
    const Driver *driver = &model->driver;
    int options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)(uintptr_t)LOG_SIZE};
    CuResult result = driver->module_load(&kernel->module, code, 2, options, values);
    if (result != CU_SUCCESS) {
        kernel->module = NULL;
        return result;
    }
    result = driver->module_function(&kernel->function, kernel->module, image->entry);
    if (result == CU_SUCCESS && image->shared > SHARED_FREE)
        result = driver->function_set(kernel->function, CU_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)image->shared);
    return result;
}

/* All kernels of a level, from machine code or from text. */
static CuResult level_load(const Context *context, DeviceModel *model, const lathe_level *level, bool text, char *log)
{
    for (uint32_t i = 0; i < context->program->kernel_count; i++) {
        const lathe_image *image = &level->images[i];
        const CuResult result = kernel_load(model, image, text ? image->text : image->binary, &model->kernels[i], log);
        if (result != CU_SUCCESS) {
            kernels_unload(context, model);
            return result;
        }
    }
    return CU_SUCCESS;
}

/* Machine code runs on GPUs of its major version from its own minor one on, text on all later ones. */
static bool level_fits(const Context *context, const lathe_level *level, int sm, bool text)
{
    const int of = (int)level->features;
    if (of > sm || (!text && of / SM_PER_MAJOR != sm / SM_PER_MAJOR))
        return false;
    return context->program->kernel_count == 0 || (text ? level->images[0].text != NULL : level->images[0].binary != NULL);
}

/* The best level's machine code, else the best text; what the driver refuses is passed over. */
static int kernels_load(Context *context, DeviceModel *model, int sm)
{
    const lathe_program *program = context->program;
    char log[LOG_SIZE] = "";
    CuResult refused = CU_SUCCESS;
    for (int text = 0; text <= 1; text++)
        for (uint32_t i = 0; i < program->level_count; i++) {
            if (!level_fits(context, &program->levels[i], sm, text != 0))
                continue;
            model->level = i;
            const CuResult result = level_load(context, model, &program->levels[i], text != 0, log);
            if (result == CU_SUCCESS)
                return LATHE_OK;
            if (!is_refusal(result))
                return device_result(context, model, result, "the kernels");
            refused = result;
        }
    log[LOG_SIZE - 1] = '\0';
    if (refused == CU_SUCCESS)
        return context_fail(context, LATHE_E_IMAGE, "GPU %i is an sm_%i; model '%s' was compiled for %s and later", (int64_t)model->ordinal,
                            (int64_t)sm, program->name, program->levels[program->level_count - 1].name);
    return context_fail(context, LATHE_E_IMAGE, "the driver does not take the kernels of model '%s' for GPU %i (sm_%i): %s%s%s",
                        program->name, (int64_t)model->ordinal, (int64_t)sm, driver_error(&model->driver, refused),
                        log[0] != '\0' ? ": " : "", log);
}

static int weights_upload(Context *context, DeviceModel *model)
{
    const lathe_program *program = context->program;
    const Driver *driver = &model->driver;
    if (program->weights_bytes == 0)
        return LATHE_OK;
    int code = device_result(context, model, driver->memory_alloc(&model->weights, program->weights_bytes), "the weights");
    if (code != LATHE_OK) {
        model->weights = 0;
        return code;
    }
    code = device_result(context, model, driver->copy_in(model->weights, program->weights, program->weights_bytes, NULL),
                         "the weights");
    return code == LATHE_OK ? device_result(context, model, driver->stream_wait(NULL), "the weights") : code;
}

/* --- a device --------------------------------------------------------------------------------------------------------------- */

static int device_find(Context *context, DeviceModel *model, int *sm)
{
    const Driver *driver = &model->driver;
    int count = 0, major = 0, minor = 0;
    int code = device_result(context, model, driver->device_count(&count), "the number of GPUs");
    if (code != LATHE_OK)
        return code;
    if (model->ordinal >= count)
        return context_fail(context, LATHE_E_NO_DEVICE, "there is no GPU %i: the driver has %i", (int64_t)model->ordinal,
                            (int64_t)count);
    code = device_result(context, model, driver->device_get(&model->device, model->ordinal), "the GPU");
    if (code == LATHE_OK)
        code = device_result(context, model, driver->device_attribute(&major, CU_COMPUTE_CAPABILITY_MAJOR, model->device), "the GPU");
    if (code == LATHE_OK)
        code = device_result(context, model, driver->device_attribute(&minor, CU_COMPUTE_CAPABILITY_MINOR, model->device), "the GPU");
    *sm = major * SM_PER_MAJOR + minor;
    return code;
}

static void contents_drop(const Context *context, DeviceModel *model)
{
    CuContext mine;
    if (model->driver.context_push(model->context) == CU_SUCCESS) {
        kernels_unload(context, model);
        if (model->weights != 0)
            model->driver.memory_free(model->weights);
        model->driver.context_pop(&mine);
    }
    model->driver.context_release(model->device);
}

static int contents_make(Context *context, DeviceModel *model, int sm)
{
    CuContext mine;
    int code = device_result(context, model, model->driver.context_push(model->context), "the context");
    if (code != LATHE_OK)
        return code;
    code = kernels_load(context, model, sm);
    if (code == LATHE_OK)
        code = weights_upload(context, model);
    model->driver.context_pop(&mine);
    return code;
}

static int device_model_fill(Context *context, DeviceModel *model)
{
    int sm = 0;
    int code = driver_open(&model->driver, context->text, TEXT_SIZE);
    if (code == LATHE_OK)
        code = device_find(context, model, &sm);
    if (code == LATHE_OK)
        code = device_result(context, model, model->driver.context_retain(&model->context, model->device), "the context");
    if (code != LATHE_OK)
        return code;
    code = contents_make(context, model, sm);
    if (code != LATHE_OK)
        contents_drop(context, model);
    return code;
}

static DeviceModel *device_model_make(Context *context, int32_t ordinal, int process, int *code)
{
    DeviceModel *model = calloc(1, sizeof *model + context->program->kernel_count * sizeof model->kernels[0]);
    if (model == NULL) {
        *code = context_fail(context, LATHE_E_MEMORY, "no memory for model '%s'", context->program->name);
        return NULL;
    }
    model->ordinal = ordinal;
    model->process = process;
    *code = device_model_fill(context, model);
    if (*code == LATHE_OK)
        return model;
    free(model);
    return NULL;
}

DeviceModel *device_model_acquire(Context *context, int32_t ordinal, int *code)
{
    const int process = getpid();
    Instance *instance = instance_enter(context->model);
    DeviceModel *model = instance->devices;
    while (model != NULL && (model->ordinal != ordinal || model->process != process))
        model = model->next;
    *code = LATHE_OK;
    if (model == NULL) {
        model = device_model_make(context, ordinal, process, code);
        if (model != NULL) {
            model->next = instance->devices;
            instance->devices = model;
        }
    }
    if (model != NULL)
        model->references++;
    instance_leave(context->model, instance);
    return model;
}

void device_model_release(Context *context, DeviceModel *model)
{
    Instance *instance = instance_enter(context->model);
    if (--model->references == 0) {
        DeviceModel **link = (DeviceModel **)&instance->devices;
        while (*link != model)
            link = &(*link)->next;
        *link = model->next;
        if (model->process == getpid())
            contents_drop(context, model);
        free(model);
    }
    instance_leave(context->model, instance);
}
