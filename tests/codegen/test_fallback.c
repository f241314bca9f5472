/* links: lathe_proof dl */
/* A library in which the back end crashed on every kernel of a template computes what the one without crashes computes:
 * the plain schedules that came instead have units of their own. */
#include "codegen/compile.h"
#include "tests/codegen/proof.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OUTPUTS = 3 * 5 * 65 };

static void crash_on_templates(void *context, const KernelJob *job)
{
    (void)context;
    if (job->kernel && strncmp(job->kernel->payload.kernel->schedule, "contract", 8) == 0)
        raise(SIGSEGV);
}

/* Compiles, loads and runs the model; returns how many kernels fell back. */
static int run_model(const char *path, const int64_t *symbols, const void *input, float *output, bool crash)
{
    Proof proof;
    BuildFacts facts;
    const ProofOptions proof_options = {.level = 2, .target = "x86-64-v3"};
    char folder[] = "/tmp/lathe-test-XXXXXX";
    cr_assert(proof_import(&proof, path, &proof_options));
    cr_assert(proof_program(&proof));
    cr_assert_not_null(mkdtemp(folder));
    const BuildOptions options = {
        .schedule = {.level = 2, .math = MATH_DEFAULT},
        .info = {.prefix = "model", .name = "model", .sha256 = "", .tool = "test", .shared = true},
        .levels = (const TargetMachineInfo *const *)proof.levels,
        .level_count = proof.level_count,
        .workers = 2,
        .in_worker = crash ? crash_on_templates : NULL,
    };
    const char *const file = arena_format(proof.arena, "%s/model.so", folder);
    cr_assert(build_output(&proof.program, &options, OUTPUT_SHARED, file, &facts));
    void *const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(library, "%s", dlerror());
    unlink(file);
    rmdir(folder);
    const lathe_model_v1 *const model = dlsym(library, "lathe_model_v1");
    int error;
    lathe_context *const context = model->api->open(model, NULL, &error);
    cr_assert_not_null(context, "%d", error);
    cr_assert_eq(model->api->run(context, &input, (void *[]){output}, symbols), LATHE_OK, "%s",
                 model->api->error_text(context));
    model->api->close(context);
    dlclose(library);
    proof_close(&proof);
    return facts.fell_back;
}

static void expect_same(const char *path, const int64_t *symbols, const void *input, size_t outputs)
{
    static float whole[OUTPUTS], broken[OUTPUTS];
    if (!target_runs_here(target_at(0)))
        cr_skip_test("machine code does not run here");
    /* First the broken one: later the memory would hold what the other one has computed. */
    cr_expect_gt(run_model(path, symbols, input, broken, true), 1);
    cr_expect_eq(run_model(path, symbols, input, whole, false), 0);
    cr_expect_arr_eq(whole, broken, outputs * sizeof *whole);
}

Test(fallback, units_of_a_static_model_follow_the_schedule)
{
    float image[64];
    for (int i = 0; i < 64; i++)
        image[i] = (float)(i % 17) / 16;
    expect_same(SOURCE_DIR "/examples/digits/digits.onnx", NULL, image, 10);
}

Test(fallback, units_of_a_symbolic_model_follow_the_schedule)
{
    int64_t tokens[15];
    for (int i = 0; i < 15; i++)
        tokens[i] = i * 7 % 65;
    expect_same(SOURCE_DIR "/examples/shakespeare/shakespeare.onnx", (const int64_t[]){3, 5}, tokens, OUTPUTS);
}
