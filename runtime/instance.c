/* The hidden instance of a model in this process: which ISA level runs here, and the model's own threads.
 *
 * All contexts share it; the last one to close frees it. It hangs on the one pointer per model that is writable. That pointer is
 * also the lock: whoever holds it has put `locked` there. */
#include "runtime/internal.h"
#include "runtime/libc.h"

enum { LOCK_SLEEP_NS = 20000 };

static const char locked = 'L'; /* only its address counts */

static Instance *instance_lock(const lathe_model_v1 *model)
{
    for (;;) {
        void *instance = __atomic_exchange_n(model->instance, (void *)&locked, __ATOMIC_ACQUIRE);
        if (instance != &locked)
            return instance;
        nanosleep(&(libc_time){0, LOCK_SLEEP_NS}, NULL);
    }
}

static void instance_unlock(const lathe_model_v1 *model, Instance *instance)
{
    __atomic_store_n(model->instance, instance, __ATOMIC_RELEASE);
}

/* LATHE_CPU_LEVEL names the best level to use: one of the model's, or one of the architecture. It can only take features away. */
static uint64_t features_wanted(const lathe_program *program)
{
    const uint64_t features = cpu_features();
    const char *name = getenv("LATHE_CPU_LEVEL");
    if (name == NULL)
        return features;
    for (uint32_t i = 0; i < program->level_count; i++)
        if (strcmp(program->levels[i].name, name) == 0)
            return features & program->levels[i].features;
    bool known;
    const uint64_t allowed = cpu_level_features(name, &known);
    return known ? features & allowed : features;
}

/* A device's contexts choose for themselves, each for its own device. */
static int level_select(const lathe_program *program, uint32_t *level, char *message, size_t size)
{
    const uint64_t features = features_wanted(program);
    *level = 0;
    if (program->device != NULL)
        return LATHE_OK;
    for (*level = 0; *level < program->level_count; ++*level) {
        const uint64_t needs = program->levels[*level].features;
        if ((needs & ~features) == 0 && cpu_enable(needs))
            return LATHE_OK;
    }
    text_format(message, size, "model '%s' needs a CPU with %s or better", program->name,
                program->level_count > 0 ? program->levels[program->level_count - 1].name : "a level that it was not compiled for");
    return LATHE_E_CPU;
}

Instance *instance_enter(const lathe_model_v1 *model)
{
    return instance_lock(model);
}

void instance_leave(const lathe_model_v1 *model, Instance *instance)
{
    instance_unlock(model, instance);
}

static Instance *instance_open(const lathe_program *program, int *error, char *message, size_t size)
{
    uint32_t level;
    *error = level_select(program, &level, message, size);
    if (*error != LATHE_OK)
        return NULL;
    Instance *instance = malloc(sizeof *instance);
    if (instance == NULL) {
        *error = LATHE_E_MEMORY;
        text_format(message, size, "no memory for model '%s'", program->name);
        return NULL;
    }
    *instance = (Instance){.level = level};
    return instance;
}

Instance *instance_acquire(const lathe_model_v1 *model, int *error, char *message, size_t size)
{
    *error = LATHE_OK;
    Instance *instance = instance_lock(model);
    if (instance == NULL)
        instance = instance_open(model->program, error, message, size);
    if (instance != NULL)
        instance->references++;
    instance_unlock(model, instance);
    return instance;
}

lathe_pool *instance_pool(const lathe_model_v1 *model, int threads)
{
    Instance *instance = instance_lock(model);
    if (instance->pool == NULL)
        instance->pool = pool_open(threads, NULL);
    else if (instance->pool->threads < threads)
        pool_grow(instance->pool, threads);
    lathe_pool *pool = instance->pool;
    instance_unlock(model, instance);
    return pool;
}

void instance_release(const lathe_model_v1 *model)
{
    Instance *instance = instance_lock(model);
    if (--instance->references == 0) {
        if (instance->pool != NULL)
            instance->pool->close(instance->pool);
        free(instance);
        instance = NULL;
    }
    instance_unlock(model, instance);
}
