/* A context: what one caller needs to run a model. Opening takes all memory that runs of a static model need. */
#include "runtime/internal.h"
#include "runtime/libc.h"

enum {
    HUGE_PAGE = 2 << 20,
    SCRATCH_ALIGN = 2 * CACHE_LINE, /* neighbouring lines are fetched in pairs */
    OPTIONS_LEAST = offsetof(lathe_options, device), /* the first version's */
    OPTIONS_MOST = 4096,            /* no version of the options will be larger: more is not a size */
};

void *memory_aligned(uint64_t bytes)
{
    void *memory;
    if (bytes == 0 || bytes > SIZE_MAX / 2) /* size_t has 32 bits on small machines */
        return NULL;
    const bool huge = bytes >= 2 * HUGE_PAGE;
    if (posix_memalign(&memory, huge ? HUGE_PAGE : CACHE_LINE, bytes) != 0)
        return NULL;
    if (huge)
        madvise(memory, bytes / HUGE_PAGE * HUGE_PAGE, LIBC_ADVICE_HUGE_PAGES);
    return memory;
}

/* --- what the caller asks for ----------------------------------------------------------------------------------------------- */

/* Fields that this runtime does not know yet must be zero. */
static int options_read(const lathe_options *given, lathe_options *options, char *why, size_t why_size)
{
    *options = (lathe_options){.size = sizeof *options};
    if (given == NULL)
        return LATHE_OK;
    bool known = given->size >= OPTIONS_LEAST && given->size <= OPTIONS_MOST;
    for (size_t i = sizeof *options; known && i < given->size; i++)
        known = ((const unsigned char *)given)[i] == 0;
    if (!known) {
        text_format(why, why_size, "options are of another version: %i bytes, this model knows %i", (int64_t)given->size,
                    (int64_t)sizeof *options);
        return LATHE_E_ABI;
    }
    memcpy(options, given, given->size < sizeof *options ? given->size : sizeof *options);
    const char *reason = options->threads < 0                                     ? "options: the number of threads is negative"
                         : options->flags != 0                                    ? "options: flags must be 0"
                         : options->device < 0                                    ? "options: the number of the device is negative"
                         : options->reserved != 0                                 ? "options: reserved must be 0"
                         : options->pool != NULL && options->parallel_for != NULL ? "options: a pool and parallel_for exclude each other"
                                                                                  : NULL;
    text_format(why, why_size, "%s", reason ? reason : "");
    if (reason != NULL)
        return LATHE_E_ARGUMENT;
    if (options->pool != NULL && (options->pool->abi != POOL_ABI || options->pool->size < sizeof *options->pool)) {
        text_format(why, why_size, "options: the pool is of another version");
        return LATHE_E_ABI;
    }
    return LATHE_OK;
}

static uint32_t threads_wanted(const lathe_options *options)
{
    int32_t threads = options->threads;
    int32_t most = THREADS_MAX;
    if (options->pool != NULL)
        most = options->pool->threads;
    else if (threads != 1 && (options->parallel_for == NULL || threads == 0))
        most = limits_threads();
    if (threads == 0 || threads > most)
        threads = most;
    return (uint32_t)threads;
}

static bool model_known(const lathe_model_v1 *model)
{
    if (model->abi != LATHE_MODEL_ABI || model->size < sizeof *model || model->program == NULL || model->instance == NULL)
        return false;
    const lathe_program *program = model->program;
    if (program->abi != LATHE_RUNTIME_ABI || program->level_count > LATHE_LEVELS_MAX || program->launch_count >= LAUNCHES_MAX)
        return false;
    for (uint32_t i = 0; i < program->launch_count; i++)
        for (uint32_t k = 0; k < program->launches[i].deps_count; k++)
            if (program->dep_refs[program->launches[i].deps_first + k] >= i)
                return false;
    return true;
}

/* --- memory ----------------------------------------------------------------------------------------------------------------- */

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static bool is_user(const lathe_buffer *buffer)
{
    return buffer->place == LATHE_PLACE_INPUT || buffer->place == LATHE_PLACE_OUTPUT;
}

static void context_count(Context *context)
{
    const lathe_program *program = context->program;
    for (uint32_t i = 0; i < program->launch_count; i++) {
        const lathe_launch *launch = &program->launches[i];
        context->pointer_count = larger(context->pointer_count, launch->buffers_first + launch->buffers_count);
        context->dim_count = larger(context->dim_count, launch->dims_first + launch->dims_count);
        context->dep_count = larger(context->dep_count, launch->deps_first + launch->deps_count);
    }
    for (uint32_t i = 0; i < context->pointer_count; i++)
        context->patch_count += is_user(&program->buffers[program->buffer_refs[i]]);
}

static void context_layout(Context *context, Block *block)
{
    const lathe_program *program = context->program;
    const uint64_t tensors = program->input_count + program->output_count;
    if (context->main == context) {
        context->scratch = block_take(block, context->threads, context->scratch_stride);
        context->seats = block_take(block, context->threads, sizeof *context->seats);
    }
    context->tensors = block_take(block, tensors, sizeof *context->tensors);
    if (program->device != NULL)
        context->tensor_on_device = block_take(block, tensors, sizeof *context->tensor_on_device);
    context->symbols = block_take(block, program->symbol_count, sizeof *context->symbols);
    context->patches = block_take(block, context->patch_count, sizeof *context->patches);
}

static void patches_fill(Context *context)
{
    const lathe_program *program = context->program;
    uint32_t count = 0;
    for (uint32_t i = 0; i < context->pointer_count; i++) {
        const lathe_buffer *buffer = &program->buffers[program->buffer_refs[i]];
        if (is_user(buffer))
            context->patches[count++] = (Patch){
                .pointer = i,
                .tensor = buffer->index + (buffer->place == LATHE_PLACE_OUTPUT ? program->input_count : 0),
                .offset = buffer->offset,
            };
    }
}

/* Bytes per thread: what the hungriest region takes. Threads of a device have their own. */
static uint64_t scratch_bytes(const Context *context)
{
    const lathe_program *program = context->program;
    uint64_t scratch = program->device == NULL ? context->level->scratch : 0;
    for (uint32_t i = 0; program->script != NULL && i < program->script->region_count; i++) {
        const lathe_program *region = program->script->regions[i].program;
        if (region != NULL && region->levels[context->level_index].scratch > scratch)
            scratch = region->levels[context->level_index].scratch;
    }
    return (scratch + SCRATCH_ALIGN - 1) / SCRATCH_ALIGN * SCRATCH_ALIGN;
}

static int context_memory(Context *context)
{
    context_count(context);
    if (context->main == context)
        context->scratch_stride = scratch_bytes(context);
    Block block = {NULL, 0};
    context_layout(context, &block);
    context->memory = memory_aligned(block.used);
    if (context->memory == NULL)
        return context_fail(context, LATHE_E_MEMORY, "no memory for model '%s': %i bytes", context->program->name,
                            (int64_t)block.used);
    memset(context->memory, 0, block.used);
    block = (Block){context->memory, 0};
    context_layout(context, &block);
    patches_fill(context);
    return plan_make(context, &context->plans[0]);
}

/* Memory for intermediate results. It grows in leaps, because sequences that grow by one come with every call. */
static int arena_reserve(Context *context, uint64_t bytes)
{
    Context *main = context->main;
    if (bytes > main->arena_size && (main->arena_limit == 0 || bytes <= main->arena_limit)) {
        const uint64_t size = main->arena_size > 0 ? bytes + bytes / 4 : bytes;
        free(main->arena);
        main->arena = memory_aligned(size);
        main->arena_size = main->arena != NULL ? size : 0;
    }
    context->arena = main->arena;
    context->arena_size = main->arena_size;
    if (bytes > main->arena_size)
        return context_fail(context, LATHE_E_MEMORY, "no memory for the intermediate results of model '%s': %i bytes",
                            context->program->name, (int64_t)bytes);
    return LATHE_OK;
}

/* --- plans ------------------------------------------------------------------------------------------------------------------ */

void context_settle(Context *context)
{
    if (context->pool != NULL)
        context->pool->settle(context->pool, context->slot);
}

static bool same_symbols(const Context *context, const Plan *plan)
{
    for (uint32_t i = 0; i < context->program->symbol_count; i++)
        if (plan->symbols[i] != context->symbols[i])
            return false;
    return true;
}

/* The plan for context->symbols if there is one, else the one to make it of. */
static Plan *plan_find(Context *context)
{
    if (context->program->instantiate == NULL)
        return &context->plans[0];
    Plan *oldest = &context->plans[0];
    for (int i = 0; i < PLANS_MAX; i++) {
        Plan *plan = &context->plans[i];
        if (plan->valid && same_symbols(context, plan))
            return plan;
        if (oldest->valid && (!plan->valid || plan->last_use < oldest->last_use))
            oldest = plan;
    }
    return oldest;
}

int context_plan(Context *context, Plan **result)
{
    Plan *plan = plan_find(context);
    *result = plan;
    plan->last_use = ++context->uses;
    if (!plan->valid || !same_symbols(context, plan)) {
        context_settle(context);
        int code = plan->memory != NULL ? LATHE_OK : plan_make(context, plan);
        if (code == LATHE_OK)
            code = plan_instantiate(context, plan, context->symbols);
        if (code != LATHE_OK)
            return code;
    }
    return context->program->device != NULL ? context->program->device->reserve(context, plan)
                                            : arena_reserve(context, plan->arena_bytes);
}

/* --- open and close --------------------------------------------------------------------------------------------------------- */

static void context_join_pool(Context *context, const lathe_options *options)
{
    const bool parallel = context->program->instantiate != NULL || context->program->script != NULL || context->plans[0].parallel;
    if (context->threads == 1 || context->parallel_for != NULL || !parallel)
        return;
    lathe_pool *pool = options->pool ? options->pool : instance_pool(context->model, (int)context->threads);
    const int slot = pool != NULL ? pool->attach(pool, context, run_help) : -1;
    if (slot < 0)
        return;
    context->pool = pool;
    context->slot = slot;
}

static int context_open(Context *context, const Instance *instance, const lathe_options *options)
{
    context->level_index = instance->level;
    context->level = &context->program->levels[instance->level];
    context->weights = context->program->weights;
    context->threads = 1;
    if (context->program->device == NULL) {
        context->threads = threads_wanted(options);
        context->parallel_for = options->parallel_for;
        context->parallel_pool = options->parallel_pool;
    }
    int code = context->program->device != NULL ? context->program->device->open(context, options) : LATHE_OK;
    if (code == LATHE_OK)
        code = context_memory(context);
    atomic_store(&context->plan, &context->plans[0]);
    if (code == LATHE_OK && context->program->instantiate == NULL) {
        Plan *plan;
        code = context_plan(context, &plan);
        if (code == LATHE_OK)
            plan_bind_arena(context, plan);
    }
    if (code == LATHE_OK)
        context_join_pool(context, options);
    if (code == LATHE_OK && context->program->script != NULL)
        code = context->program->script->walker->open(context, options);
    return code;
}

int context_open_part(Context *part, const lathe_program *program, Context *main)
{
    *part = (Context){
        .main = main,
        .model = main->model,
        .program = program,
        .level = &program->levels[main->level_index],
        .level_index = main->level_index,
        .threads = main->threads,
        .pool = main->pool,
        .slot = main->slot,
        .parallel_for = main->parallel_for,
        .parallel_pool = main->parallel_pool,
        .weights = program->weights,
        .scratch = main->scratch,
        .scratch_stride = main->scratch_stride,
        .seats = main->seats,
    };
    const int code = context_memory(part);
    return code == LATHE_OK ? LATHE_OK : context_fail(main, code, "%s", part->text);
}

/* What parts and main contexts have of their own. */
static void context_empty(Context *context)
{
    for (int i = 0; i < PLANS_MAX; i++)
        plan_close(&context->plans[i]);
    free(context->times);
    free(context->totals);
    free(context->memory);
}

void context_close_part(Context *part)
{
    context_empty(part);
}

static void context_close(Context *context)
{
    if (context->pool != NULL) {
        context_settle(context);
        context->pool->detach(context->pool, context->slot);
    }
    if (context->program->script != NULL)
        context->program->script->walker->close(context);
    if (context->program->device != NULL)
        context->program->device->close(context);
    else
        free(context->arena);
    context_empty(context);
    instance_release(context->model);
    context->magic = 0;
    free(context);
}

static Context *context_make(const lathe_model_v1 *model, const lathe_options *options, int *error, char *why, size_t why_size)
{
    const Instance *instance = instance_acquire(model, error, why, why_size);
    if (instance == NULL)
        return NULL;
    Context *context = memory_aligned(sizeof *context);
    if (context == NULL) {
        instance_release(model);
        text_format(why, why_size, "no memory for model '%s'", model->program->name);
        *error = LATHE_E_MEMORY;
        return NULL;
    }
    memset(context, 0, sizeof *context);
    context->magic = CONTEXT_MAGIC;
    context->main = context;
    context->model = model;
    context->program = model->program;
    *error = context_open(context, instance, options);
    if (*error == LATHE_OK)
        return context;
    text_format(why, why_size, "%s", context->text);
    context_close(context);
    return NULL;
}

lathe_context *lathe_rt_open(const lathe_model_v1 *model, const lathe_options *given, int *error)
{
    lathe_options options = {0};
    char why[TEXT_SIZE] = "";
    Context *context = NULL;
    int code = model == NULL ? LATHE_E_NULL : model_known(model) ? LATHE_OK : LATHE_E_ABI;
    if (code != LATHE_OK)
        text_format(why, sizeof why, code == LATHE_E_NULL ? "model is NULL" : "the model and its runtime are of different versions");
    else
        code = options_read(given, &options, why, sizeof why);
    if (code == LATHE_OK)
        context = context_make(model, &options, &code, why, sizeof why);
    if (error != NULL)
        *error = code;
    if (given != NULL && given->size >= OPTIONS_LEAST)
        text_format(given->message, given->message_size, "%s", why);
    return context;
}

void lathe_rt_close(lathe_context *context)
{
    if (context != NULL && context->magic == CONTEXT_MAGIC)
        context_close(context);
}
