/* links: lathe_proof dl */
/* Whole models for a GPU through their libraries' own host side: the driver is the stub of tests/runtime, and its
 * kernels are the scheduled ones on the interpreter's threads, with what the launches hand over. The results are those
 * of the library for the CPU, bit for bit, so tables, arguments, grids, memory and the schedules' arithmetic are held
 * to one measure. */
#include "codegen/compile.h"
#include "tests/codegen/proof.h"
#include "tests/runtime/stub_cuda.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFERS_MAX = 64, KERNELS_MAX = 256, TENSORS_MAX = 4 };

typedef struct Device {
    Proof proof;
    const Stub *stub;
    Code *codes[KERNELS_MAX];
    int level;
} Device;

/* One launch: the kernel is found by the entry that codegen/program.c gave it. */
static void run_kernel(void *context, const char *entry, unsigned blocks, unsigned threads, unsigned shared,
                       void **parameters)
{
    Device *const device = context;
    int number = -1, level = -1;
    cr_assert_eq(sscanf(entry, "lathe_k%d_%d", &number, &level), 2, "%s", entry);
    cr_assert(number >= 0 && number < device->proof.program.kernel_count && number < KERNELS_MAX);
    cr_assert_eq(level, device->level);
    Node *const kernel = device->proof.program.kernels[number].scheduled[level];
    cr_expect_eq(threads, (unsigned)kernel->payload.kernel->threads);
    (void)shared;
    void *buffers[BUFFERS_MAX];
    uint64_t bytes[BUFFERS_MAX];
    int64_t dims[BUFFERS_MAX];
    int buffer_count = 0, dim_count = 0;
    for (uint32_t i = 0; i < kernel->input_count; i++) {
        if (kernel->inputs[i]->op == OP_buffer) {
            memcpy(&buffers[buffer_count], parameters[i], sizeof *buffers);
            bytes[buffer_count] = device->stub->reach(buffers[buffer_count]);
            buffer_count++;
        } else {
            memcpy(&dims[dim_count++], parameters[i], sizeof *dims);
        }
    }
    int32_t *error;
    memcpy(&error, parameters[kernel->input_count], sizeof error);
    if (!device->codes[number])
        device->codes[number] = interpret_compile(device->proof.ir, kernel);
    const int32_t ended = interpret_run(device->codes[number], buffers, bytes, dims, 0, blocks, error);
    cr_assert_eq(ended, INTERPRET_OK, "%s: %s", entry, interpret_message(device->codes[number]));
}

/* ---- libraries ---- */

typedef struct Library {
    void *handle;
    const lathe_model_v1 *model;
    lathe_context *context;
} Library;

static Library library_make(Proof *proof, const char *path, const TargetMachineInfo *const *levels, int count,
                            bool binaries)
{
    char folder[] = "/tmp/lathe-test-XXXXXX";
    Library library;
    const ProofOptions proof_options = {.level = 2};
    cr_assert(proof_import(proof, path, &proof_options));
    proof->compilation.target = levels[0];
    for (int i = 0; i < count; i++)
        proof->levels[i] = levels[i];
    proof->level_count = count;
    const BuildOptions options = {
        .schedule = {.level = 2, .math = MATH_DEFAULT},
        .info = {.prefix = "model", .name = "model", .sha256 = "", .tool = "test", .shared = true},
        .levels = levels,
        .level_count = count,
        .workers = 2,
    };
    BuildFacts facts;
    if (!binaries)
        setenv("LATHE_PTXAS", "/nonexistent", 1);
    cr_assert(proof_program(proof));
    cr_assert_not_null(mkdtemp(folder));
    const char *const output = arena_format(proof->arena, "%s/model.so", folder);
    const bool built = build_output(&proof->program, &options, OUTPUT_SHARED, output, &facts);
    if (!built)
        diag_print(proof->diagnostics, stderr, false);
    cr_assert(built);
    library.handle = dlopen(output, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(library.handle, "%s", dlerror());
    unlink(output);
    rmdir(folder);
    library.model = dlsym(library.handle, "lathe_model_v1");
    char message[300] = "";
    int error;
    library.context = library.model->api->open(
        library.model,
        &(lathe_options){.size = sizeof(lathe_options), .message = message, .message_size = sizeof message}, &error);
    cr_assert_not_null(library.context, "%d: %s", error, message);
    return library;
}

static void library_close(Library *library, Proof *proof)
{
    library->model->api->close(library->context);
    dlclose(library->handle);
    proof_close(proof);
}

/* ---- both ---- */

typedef struct Sample {
    const char *path;
    int64_t symbols[4];
    int64_t inputs; /* elements of the first input for these symbols */
    int64_t limit;  /* integers are below it; 0: floats */
    int64_t outputs;
} Sample;

static void fill(const Sample *sample, void *data)
{
    uint64_t state = 11;
    for (int64_t i = 0; i < sample->inputs; i++) {
        if (sample->limit)
            ((int64_t *)data)[i] = random_below(&state, sample->limit);
        else
            ((float *)data)[i] = (float)random_below(&state, 2001) / 1000 - 1;
    }
}

static const Stub *stub_open(Device *device)
{
    void *const handle = dlopen(BINARY_DIR "/runtime/stub_cuda.so", RTLD_NOW | RTLD_GLOBAL);
    StubGet *get;
    cr_assert_not_null(handle, "%s", dlerror());
    *(void **)&get = dlsym(handle, "stub_get");
    get()->reset();
    get()->run(run_kernel, device);
    device->stub = get();
    return get();
}

static void expect_equal(const Sample *samples, int count, const char *const *levels, int level_count, int sm,
                         int level)
{
    static Device device;
    static Proof host;
    const TargetMachineInfo *gpu[LEVELS_MAX], *cpu[] = {target_at(0)};
    if (!target_runs_here(cpu[0]))
        cr_skip_test("the CPU library does not run here");
    for (int i = 0; i < level_count; i++)
        gpu[i] = target_find(diagnostics_open(arena_open(0, NULL, NULL)), levels[i]);
    const Stub *const stub = stub_open(&device);
    stub->devices(1, sm);
    device.level = level;
    Library on_gpu = library_make(&device.proof, samples[0].path, gpu, level_count, false);
    Library on_cpu = library_make(&host, samples[0].path, cpu, 1, true);
    cr_expect_str_eq(on_gpu.model->api->level_name(on_gpu.context), gpu[level]->name);
    for (int i = 0; i < count; i++) {
        const Sample *const sample = &samples[i];
        void *const input = calloc((size_t)sample->inputs, 8);
        float *const expected = calloc((size_t)sample->outputs, sizeof *expected), *const got =
                                                                                       calloc((size_t)sample->outputs,
                                                                                              sizeof *got);
        const void *const inputs[] = {input};
        fill(sample, input);
        cr_assert_eq(on_cpu.model->api->run(on_cpu.context, inputs, (void *[]){expected}, sample->symbols), LATHE_OK);
        cr_assert_eq(on_gpu.model->api->run(on_gpu.context, inputs, (void *[]){got}, sample->symbols), LATHE_OK, "%s",
                     on_gpu.model->api->error_text(on_gpu.context));
        const int64_t at = values_differ(DTYPE_F32, expected, got, (uint64_t)sample->outputs * sizeof *got, false);
        cr_expect_eq(at, -1, "%s, case %d: element %ld is %a, not %a", sample->path, i, (long)at, got[at],
                     expected[at]);
        cr_expect_neq(expected[0], expected[sample->outputs - 1], "the results say something");
        free(input);
        free(expected);
        free(got);
    }
    cr_expect_gt(stub->launches(), count);
    library_close(&on_gpu, &device.proof);
    library_close(&on_cpu, &host);
    cr_expect_null(stub->wrong(), "%s", stub->wrong());
    cr_expect_eq(stub->live(), 0);
}

static const Sample digits[] = {{SOURCE_DIR "/examples/digits/digits.onnx", {0}, 64, 0, 10}};
static const Sample shakespeare[] = {
    {SOURCE_DIR "/examples/shakespeare/shakespeare.onnx", {1, 3}, 3, 65, 3 * 65},
    {SOURCE_DIR "/examples/shakespeare/shakespeare.onnx", {2, 5}, 10, 65, 10 * 65},
    {SOURCE_DIR "/examples/shakespeare/shakespeare.onnx", {1, 1}, 1, 65, 65},
};

Test(cuda_model, digits_equals_the_cpu_on_every_level)
{
    static const char *const levels[] = {"sm_90", "sm_80", "sm_75"};
    expect_equal(digits, 1, levels, 3, 80, 1);
}

Test(cuda_model, digits_equals_the_cpu_without_asynchronous_copies)
{
    static const char *const levels[] = {"sm_75"};
    expect_equal(digits, 1, levels, 1, 75, 0);
}

Test(cuda_model, a_symbolic_transformer_equals_the_cpu)
{
    static const char *const levels[] = {"sm_80"};
    expect_equal(shakespeare, 3, levels, 1, 86, 0);
}
