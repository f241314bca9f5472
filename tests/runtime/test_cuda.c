/* links: lathe_runtime dl */
/* Models for a GPU against a driver without one (stub_cuda.h): what they ask of it, what they do when it refuses, what is left. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/driver_cuda.h"
#include "stub_cuda.h"
#include "symbolic.h"

static const lathe_api *const api = &lathe_rt_api;
static const Stub *stub;

/* --- kernels in C under the names of entries -------------------------------------------------------------------------------- */

static const struct {
    const char *entry;
    lathe_kernel *kernel;
    int buffers, dims;
    unsigned threads, shared;
} kernels[] = {
    {"affine", affine_kernel, 3, 1, 64, 0},
    {"double", symbolic_double, 2, 0, 32, 0},
    {"pad", symbolic_pad, 3, 1, 96, 60000},
};

static int32_t planted_error;

/* One block after the other, each with its own begin and end. */
static void kernel_run(void *context, const char *entry, unsigned blocks, unsigned threads, unsigned shared, void **parameters)
{
    (void)context;
    for (size_t i = 0; i < COUNT(kernels); i++) {
        if (strcmp(entry, kernels[i].entry) != 0)
            continue;
        void *buffers[4];
        int64_t dims[4] = {0};
        int32_t *error;
        cr_expect_eq(threads, kernels[i].threads);
        cr_expect_eq(shared, kernels[i].shared);
        for (int k = 0; k < kernels[i].buffers; k++)
            memcpy(&buffers[k], parameters[k], sizeof buffers[k]);
        for (int k = 0; k < kernels[i].dims; k++)
            memcpy(&dims[k], parameters[kernels[i].buffers + k], sizeof dims[k]);
        memcpy(&error, parameters[kernels[i].buffers + kernels[i].dims], sizeof error);
        for (int k = 0; k < kernels[i].buffers; k++)
            cr_expect(buffers[k] == NULL || stub->reach(buffers[k]) > 0, "buffer %d of %s is no memory of the device", k, entry);
        for (int64_t block = 0; block < blocks; block++)
            kernels[i].kernel(buffers, dims, block, block + 1, NULL, error);
        if (planted_error != 0)
            *error = planted_error;
        return;
    }
    cr_assert(false, "no kernel %s", entry);
}

/* --- models ----------------------------------------------------------------------------------------------------------------- */

static const lathe_image affine_images[3][1] = {
    {{"affine", "\177ELF", NULL, 64, 0}}, {{"affine", "\177ELF", NULL, 64, 0}}, {{"affine", "\177ELF", "// PTX", 64, 0}}};
static const lathe_level gpu_levels[] = {
    {"sm_90", 90, NULL, 0, affine_images[0]}, {"sm_80", 80, NULL, 0, affine_images[1]}, {"sm_75", 75, NULL, 0, affine_images[2]}};
static const lathe_image symbolic_images[] = {{"double", "\177ELF", NULL, 32, 0}, {"pad", "\177ELF", NULL, 96, 60000}};
static const lathe_level symbolic_gpu_levels[] = {{"sm_80", 80, NULL, 0, symbolic_images}};

typedef struct Gpu {
    lathe_program program;
    lathe_model_v1 model;
    void *instance;
} Gpu;

static void gpu_make(Gpu *gpu, const lathe_program *program, const lathe_model_v1 *model, const lathe_level *levels, uint32_t count)
{
    gpu->program = *program;
    gpu->model = *model;
    gpu->program.levels = levels;
    gpu->program.level_count = count;
    gpu->program.device = &lathe_rt_cuda;
    gpu->model.program = &gpu->program;
    gpu->model.instance = &gpu->instance;
    gpu->instance = NULL;
}

static Gpu *affine_gpu(void)
{
    static Gpu gpu;
    gpu_make(&gpu, &affine_program, &affine_model, gpu_levels, COUNT(gpu_levels));
    return &gpu;
}

static Gpu *symbolic_gpu(void)
{
    static Gpu gpu;
    gpu_make(&gpu, &symbolic_program, &symbolic_model, symbolic_gpu_levels, 1);
    return &gpu;
}

static void *driver_function(const char *name)
{
    void *handle = dlopen("libcuda.so.1", RTLD_NOW);
    void *function = handle != NULL ? dlsym(handle, name) : NULL;
    cr_assert_not_null(function, "%s", name);
    return function;
}

static void stub_load(void)
{
    void *handle = dlopen(BINARY_DIR "/runtime/stub_cuda.so", RTLD_NOW | RTLD_GLOBAL);
    cr_assert_not_null(handle, "%s", dlerror());
    StubGet *get;
    *(void **)&get = dlsym(handle, "stub_get");
    stub = get();
    stub->reset();
    stub->run(kernel_run, NULL);
}

/* Everything was given back, and nothing that the driver would not bear was done. */
static void expect_clean(void)
{
    cr_expect_null(stub->wrong(), "%s", stub->wrong());
    cr_expect_eq(stub->live(), 0, "%d objects were not given back", stub->live());
    cr_expect_eq(stub->depth(), 0);
}

static lathe_context *opened(Gpu *gpu, int32_t device)
{
    char message[200] = "";
    int error;
    const lathe_options options = {.size = sizeof options, .device = device, .message = message, .message_size = sizeof message};
    lathe_context *context = api->open(&gpu->model, &options, &error);
    cr_assert_not_null(context, "%d: %s", error, message);
    return context;
}

static int open_fails(Gpu *gpu, int32_t device, char *message, size_t size)
{
    int error = LATHE_OK;
    const lathe_options options = {.size = sizeof options, .device = device, .message = message, .message_size = size};
    cr_expect_null(api->open(&gpu->model, &options, &error));
    cr_expect_neq(message[0], '\0');
    return error;
}

static void affine_expect(lathe_context *context, float salt)
{
    float x[64], y[64] = {0};
    for (int i = 0; i < 64; i++)
        x[i] = salt + (float)i;
    const void *inputs[] = {x};
    void *outputs[] = {y};
    const int code = api->run(context, inputs, outputs, NULL);
    cr_assert_eq(code, LATHE_OK, "%s", api->error_text(context));
    for (int i = 0; i < 64; i++)
        cr_assert_eq(y[i], 2.0f * x[i] + affine_weights[i], "element %d", i);
}

/* --- without a driver ------------------------------------------------------------------------------------------------------- */

Test(cuda, without_a_driver_opening_says_so)
{
    char message[200] = "";
    if (dlopen("libcuda.so.1", RTLD_NOW) != NULL)
        cr_skip_test("this machine has a CUDA driver");
    cr_expect_eq(open_fails(affine_gpu(), 0, message, sizeof message), LATHE_E_DRIVER);
    cr_expect(strstr(message, "libcuda.so.1"), "%s", message);
}

Test(cuda, a_driver_without_a_function_is_too_old)
{
    char message[200] = "";
    cr_assert_not_null(dlopen(BINARY_DIR "/runtime/old_cuda.so", RTLD_NOW));
    cr_expect_eq(open_fails(affine_gpu(), 0, message, sizeof message), LATHE_E_DRIVER);
    cr_expect(strstr(message, "too old") && strstr(message, "cuDriverGetVersion"), "%s", message);
}

Test(cuda, a_driver_that_does_not_start_is_told_from_one_without_devices, .init = stub_load)
{
    char message[200] = "";
    stub->fail(1, 999);
    cr_expect_eq(open_fails(affine_gpu(), 0, message, sizeof message), LATHE_E_DRIVER);
    cr_expect(strstr(message, "999"), "%s", message);
    stub->devices(0, 80);
    cr_expect_eq(open_fails(affine_gpu(), 0, message, sizeof message), LATHE_E_NO_DEVICE);
    stub->devices(2, 80);
    cr_expect_eq(open_fails(affine_gpu(), 2, message, sizeof message), LATHE_E_NO_DEVICE);
    cr_expect(strstr(message, "there is no GPU 2: the driver has 2"), "%s", message);
    expect_clean();
}

/* --- runs ------------------------------------------------------------------------------------------------------------------- */

Test(cuda, a_run_computes_what_the_kernels_compute, .init = stub_load)
{
    lathe_context *context = opened(affine_gpu(), 0);
    cr_expect_str_eq(api->level_name(context), "sm_80");
    cr_expect_eq(api->thread_count(context), 1);
    for (int i = 0; i < 3; i++)
        affine_expect(context, (float)i);
    cr_expect_eq(stub->launches(), 3);
    api->close(context);
    expect_clean();
}

Test(cuda, contexts_share_the_weights_of_a_device, .init = stub_load)
{
    stub->devices(2, 80);
    Gpu *gpu = affine_gpu();
    lathe_context *contexts[5];
    size_t one = 0;
    contexts[0] = opened(gpu, 0);
    const size_t first = stub->allocated();
    contexts[1] = opened(gpu, 0);
    one = stub->allocated() - first;
    cr_expect_eq(one + sizeof affine_weights, first, "the second context needs the weights less");
    for (int i = 2; i < 5; i++)
        contexts[i] = opened(gpu, i % 2);
    for (int i = 0; i < 5; i++)
        affine_expect(contexts[(i * 2) % 5], (float)i);
    api->close(contexts[0]);
    affine_expect(contexts[1], 7);
    for (int i = 1; i < 5; i++)
        api->close(contexts[i]);
    expect_clean();
    lathe_context *again = opened(gpu, 1);
    affine_expect(again, 1);
    api->close(again);
    expect_clean();
}

static int padded_run(lathe_context *context, int64_t batch, int64_t n, const float *bias, float *x, float *y)
{
    const int64_t extra[2] = {0, n}, symbols[2] = {batch, 0};
    const void *inputs[] = {x, extra, bias};
    void *outputs[] = {y};
    return api->run(context, inputs, outputs, symbols);
}

Test(cuda, sizes_and_grids_follow_the_dimensions, .init = stub_load)
{
    static const struct {
        int64_t batch, n;
        bool bias;
    } rows[] = {{1, 0, false}, {5, 2, true}, {2, -1, true}, {300, 100, false}, {1, 1, true}, {5, 2, false}, {4000, 0, true}};
    static float x[4100 * 3], y[4100 * 3];
    static const float bias[3] = {10, 20, 30};
    lathe_context *context = opened(symbolic_gpu(), 0);
    for (int i = 0; i < 4100 * 3; i++)
        x[i] = (float)(i % 1000);
    for (size_t i = 0; i < COUNT(rows); i++) {
        memset(y, 0, sizeof y);
        cr_assert_eq(padded_run(context, rows[i].batch, rows[i].n, rows[i].bias ? bias : NULL, x, y), LATHE_OK, "%s",
                     api->error_text(context));
        for (int64_t k = 0; k < (rows[i].batch + rows[i].n) * 3; k++) {
            const float expected = (k / 3 < rows[i].batch ? 2.0f * x[k] : -1.0f) + (rows[i].bias ? bias[k % 3] : 0.0f);
            cr_assert_eq(y[k], expected, "case %zu, element %ld", i, (long)k);
        }
        cr_expect_eq(y[(rows[i].batch + rows[i].n) * 3], 0, "nothing behind the output is written");
    }
    cr_expect_eq(padded_run(context, 1, -1, NULL, x, y), LATHE_E_SHAPE);
    api->close(context);
    expect_clean();
}

Test(cuda, an_index_out_of_range_names_the_node_and_the_next_run_is_good, .init = stub_load)
{
    lathe_context *context = opened(affine_gpu(), 0);
    float x[64] = {0}, y[64];
    const void *inputs[] = {x};
    void *outputs[] = {y};
    planted_error = LATHE_E_INDEX;
    cr_expect_eq(api->run(context, inputs, outputs, NULL), LATHE_E_INDEX);
    cr_expect(strstr(api->error_text(context), "Mul_0+Add_1"), "%s", api->error_text(context));
    planted_error = 0;
    affine_expect(context, 3);
    api->close(context);
    expect_clean();
}

Test(cuda, profiles_count_runs, .init = stub_load)
{
    lathe_context *context = opened(affine_gpu(), 0);
    lathe_launch_info info = {.size = sizeof info};
    cr_assert_eq(api->profile(context, 1), LATHE_OK);
    for (int i = 0; i < 4; i++)
        affine_expect(context, (float)i);
    cr_assert_eq(api->launch_info(context, 0, &info), LATHE_OK);
    cr_expect_eq(info.runs, 4);
    cr_expect_gt(info.wall_ns, 0);
    api->close(context);
    expect_clean();
}

/* A caller who was compiled before there were devices. */
Test(cuda, the_first_version_of_the_options_is_taken, .init = stub_load)
{
    int error;
    const lathe_options options = {.size = offsetof(lathe_options, device), .threads = 3, .device = 77};
    lathe_context *context = api->open(&affine_gpu()->model, &options, &error);
    cr_assert_not_null(context, "%d", error);
    affine_expect(context, 1);
    api->close(context);
    expect_clean();
}

/* --- which code runs -------------------------------------------------------------------------------------------------------- */

Test(cuda, the_best_code_that_the_device_takes_is_loaded, .init = stub_load)
{
    static const struct {
        int sm, refuse_binaries, refuse_texts;
        const char *level; /* NULL: none */
    } rows[] = {
        {75, 0, 0, "sm_75"},  {80, 0, 0, "sm_80"},   {86, 0, 0, "sm_80"},   {89, 0, 0, "sm_80"},    {90, 0, 0, "sm_90"},
        {100, 0, 0, "sm_75"}, {120, 0, 0, "sm_75"},  {70, 0, 0, NULL},      {90, 209, 0, "sm_75"},  {80, 200, 0, "sm_75"},
        {90, 209, 222, NULL}, {100, 0, 218, NULL},   {100, 0, 221, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char message[400] = "";
        stub->devices(1, rows[i].sm);
        stub->refuse(rows[i].refuse_binaries, rows[i].refuse_texts);
        if (rows[i].level == NULL) {
            cr_expect_eq(open_fails(affine_gpu(), 0, message, sizeof message), LATHE_E_IMAGE, "sm_%d", rows[i].sm);
            cr_expect(strstr(message, rows[i].refuse_texts ? "stub: refused" : "sm_70"), "%s", message);
        } else {
            lathe_context *context = opened(affine_gpu(), 0);
            cr_expect_str_eq(api->level_name(context), rows[i].level, "sm_%d", rows[i].sm);
            affine_expect(context, 1);
            api->close(context);
        }
        expect_clean();
    }
}

/* --- when the driver refuses ------------------------------------------------------------------------------------------------ */

Test(cuda, without_device_memory_the_code_is_that_of_memory, .init = stub_load)
{
    static const size_t limits[] = {0, 100, sizeof affine_weights, sizeof affine_weights + 8, sizeof affine_weights + 300};
    for (size_t i = 0; i < COUNT(limits); i++) {
        char message[200] = "";
        stub->memory(limits[i]);
        cr_expect_eq(open_fails(affine_gpu(), 0, message, sizeof message), LATHE_E_MEMORY, "%zu bytes", limits[i]);
        cr_expect(strstr(message, "GPU 0 has no memory"), "%s", message);
        expect_clean();
    }
}

/* Opens, runs three sizes and closes with the n-th call failing; false: there were not so many calls. */
static bool survives(int n, int code)
{
    static float x[60], y[60];
    int error = LATHE_OK;
    stub->fail(n, code);
    const int before = stub->calls();
    lathe_context *context = api->open(&symbolic_gpu()->model, NULL, &error);
    for (int64_t batch = 1; batch <= 9 && context != NULL && error == LATHE_OK; batch += 4)
        error = padded_run(context, batch, 1, NULL, x, y);
    const bool reached = stub->calls() - before >= n;
    stub->fail(0, 0);
    cr_expect(!reached || error == LATHE_E_DRIVER || error == LATHE_E_LAUNCH || error == LATHE_E_MEMORY || error == LATHE_E_IMAGE ||
                  error == LATHE_E_NO_DEVICE || error == LATHE_OK,
              "call %d gives %d", n, error);
    /* Popping a context or waiting after a failure changes nothing that the caller could be told. */
    if (context != NULL) {
        if (error != LATHE_OK)
            cr_expect_neq(api->error_text(context)[0], '\0');
        cr_expect_eq(padded_run(context, 3, 0, NULL, x, y), LATHE_OK, "after call %d failed: %s", n, api->error_text(context));
        api->close(context);
    }
    cr_expect_null(stub->wrong(), "call %d: %s", n, stub->wrong());
    cr_expect_eq(stub->live(), 0, "call %d: %d objects were not given back", n, stub->live());
    cr_expect_eq(stub->depth(), 0, "call %d", n);
    return reached;
}

Test(cuda, any_call_may_fail_and_nothing_leaks, .init = stub_load)
{
    static const int codes[] = {CU_OUT_OF_MEMORY, CU_INVALID_IMAGE, 719};
    for (size_t i = 0; i < COUNT(codes); i++) {
        int n = 1;
        while (survives(n, codes[i]) && n < 1000)
            n++;
        cr_expect_gt(n, 40, "only %d calls were tried", n);
        cr_expect_lt(n, 1000);
    }
}

/* --- threads and processes -------------------------------------------------------------------------------------------------- */

static void *thread_body(void *argument)
{
    Gpu *gpu = argument;
    for (int round = 0; round < 20; round++) {
        lathe_context *context = opened(gpu, round % 2);
        for (int i = 0; i < 5; i++)
            affine_expect(context, (float)(round + i));
        api->close(context);
    }
    return (void *)(intptr_t)stub->depth();
}

Test(cuda, threads_open_run_and_close_at_once, .init = stub_load)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    stub->devices(2, 80);
    Gpu *gpu = affine_gpu();
    /* Objects of the stub are not used again: keep the model on its devices. */
    lathe_context *keep[2] = {opened(gpu, 0), opened(gpu, 1)};
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, thread_body, gpu), 0);
    for (int i = 0; i < THREADS; i++) {
        void *depth;
        pthread_join(threads[i], &depth);
        cr_expect_null(depth);
    }
    api->close(keep[0]);
    api->close(keep[1]);
    expect_clean();
}

static int in_child(lathe_context *context, Gpu *gpu)
{
    float x[64] = {0}, y[64];
    const void *inputs[] = {x};
    void *outputs[] = {y};
    const int calls = stub->calls();
    if (api->run(context, inputs, outputs, NULL) != LATHE_E_STATE || strstr(api->error_text(context), "fork") == NULL)
        return 1;
    api->close(context);
    if (stub->calls() != calls)
        return 2;
    /* A real driver does not start in a child of a process that used it. */
    char message[200];
    int error;
    stub->fail(1, CU_NOT_INITIALIZED);
    const lathe_options options = {.size = sizeof options, .message = message, .message_size = sizeof message};
    return api->open(&gpu->model, &options, &error) == NULL && error == LATHE_E_DRIVER ? 0 : 3;
}

Test(cuda, a_child_process_is_told_to_open_anew, .init = stub_load)
{
    Gpu *gpu = affine_gpu();
    lathe_context *context = opened(gpu, 0);
    const pid_t child = fork();
    if (child == 0)
        _exit(in_child(context, gpu));
    int status = -1;
    waitpid(child, &status, 0);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    affine_expect(context, 1);
    api->close(context);
    expect_clean();
}

/* --- tensors on the device -------------------------------------------------------------------------------------------------- */

static CuResult (*memory_alloc)(CuAddress *, size_t);
static CuResult (*memory_free)(CuAddress);
static CuResult (*context_push)(CuContext);
static CuResult (*context_pop)(CuContext *);
static CuResult (*context_retain)(CuContext *, CuDevice);
static CuResult (*context_release)(CuDevice);
static CuResult (*stream_create)(CuStream *, unsigned);
static CuResult (*stream_destroy)(CuStream);

static void functions_find(void)
{
    stub_load();
    *(void **)&memory_alloc = driver_function("cuMemAlloc_v2");
    *(void **)&memory_free = driver_function("cuMemFree_v2");
    *(void **)&context_push = driver_function("cuCtxPushCurrent_v2");
    *(void **)&context_pop = driver_function("cuCtxPopCurrent_v2");
    *(void **)&context_retain = driver_function("cuDevicePrimaryCtxRetain");
    *(void **)&context_release = driver_function("cuDevicePrimaryCtxRelease_v2");
    *(void **)&stream_create = driver_function("cuStreamCreate");
    *(void **)&stream_destroy = driver_function("cuStreamDestroy_v2");
}

static lathe_tensor tensor_of(void *data, int64_t *shape, int32_t type, int32_t device)
{
    return (lathe_tensor){.data = data, .device = {type, device}, .ndim = 2, .dtype = {2, 32, 1}, .shape = shape};
}

Test(cuda, tensors_on_the_device_are_used_there, .init = functions_find)
{
    enum { CUDA = 2, BYTES = 256 };
    Gpu *gpu = affine_gpu();
    lathe_context *context = opened(gpu, 0);
    CuContext primary;
    CuStream stream;
    CuAddress memory;
    int64_t shape[2] = {4, 16};
    cr_assert_eq(context_retain(&primary, 0), 0);
    context_push(primary);
    cr_assert_eq(memory_alloc(&memory, 3 * BYTES), 0);
    cr_assert_eq(stream_create(&stream, 0), 0);
    const lathe_options options = {.size = sizeof options, .stream = stream};
    lathe_context *on_stream = api->open(&gpu->model, &options, NULL);
    cr_assert_not_null(on_stream);
    /* Aligned tensors in place; one at an odd float is copied on the device. */
    for (int odd = 0; odd <= 1; odd++) {
        float *x = (float *)(uintptr_t)memory + odd, *y = (float *)(uintptr_t)(memory + BYTES + BYTES / 2) + odd;
        lathe_tensor in = tensor_of(x, shape, CUDA, 0), out = tensor_of(y, shape, CUDA, 0);
        lathe_tensor *inputs[] = {&in}, *outputs[] = {&out};
        for (int i = 0; i < 64; i++)
            x[i] = (float)(i * (odd + 1));
        cr_assert_eq(api->run_dl(odd ? on_stream : context, inputs, 1, outputs, 1), LATHE_OK, "%s", api->error_text(context));
        for (int i = 0; i < 64; i++)
            cr_assert_eq(y[i], 2.0f * x[i] + affine_weights[i], "element %d", i);
    }
    lathe_tensor elsewhere = tensor_of((void *)(uintptr_t)memory, shape, CUDA, 1), out = tensor_of((void *)(uintptr_t)memory, shape, 10, 0);
    lathe_tensor *inputs[] = {&elsewhere}, *outputs[] = {&out};
    cr_expect_eq(api->run_dl(context, inputs, 1, outputs, 1), LATHE_E_DEVICE);
    api->close(on_stream);
    api->close(context);
    stream_destroy(stream);
    memory_free(memory);
    context_pop(&primary);
    context_release(0);
    expect_clean();
}
