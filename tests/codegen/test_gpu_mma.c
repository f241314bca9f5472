/* links: lathe_proof */
/* Contractions by matrix instructions through the interpreter, every tile of warps.
 *
 * Operands of 16 bits have products that f32 holds exactly, and the interpreter adds them in the order of k, so its
 * results are the plain stages' bits; hardware's are not. tf32 drops the low 13 bits of f32 operands: with nothing
 * negative, each result lies within 2^-9 below the plain one, and the rounding of the sum. */
#include "tests/codegen/cases.h"

#include "codegen/gpu.h"
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/ops/ops.h"
#include "ir/verify.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 83, COLUMNS = 75, DEPTH_MAX = 96 };

static int64_t drawn(void *context, const Decision *question)
{
    return question->low + random_below(context, question->high - question->low + 1);
}

typedef struct Draw {
    uint64_t state;
    MathMode math;
} Draw;

/* Any tile of warps that fits, for contractions. */
static Node *schedule_anyhow(void *context, Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    Draw *const draw = context;
    ScheduleOptions options = {.level = 2, .math = draw->math};
    for (int tries = 0; tries < 20; tries++) {
        Trial trial = trial_open(ir->arena, NULL, 0);
        trial.answer = drawn;
        trial.context = &draw->state;
        Node *const scheduled = gpu_contract_schedule(ir, kernel, target, &options, &trial);
        if (scheduled)
            return scheduled;
    }
    return kernel_schedule(&options, ir, kernel, target);
}

static bool by_mma(const Proof *proof)
{
    for (int i = 0; i < proof->program.kernel_count; i++)
        if (strncmp(proof->program.kernels[i].scheduled[0]->payload.kernel->schedule, "gpu mma", 7) == 0)
            return true;
    return false;
}

static bool verified(Proof *proof)
{
    for (int i = 0; i < proof->program.kernel_count; i++)
        if (!verify_kernel(proof->ir, proof->program.kernels[i].scheduled[0], proof->diagnostics))
            return false;
    return true;
}

/* ---- 16 bits: the plain stages' bits ---- */

static bool holds(Maker *maker, Dtype dtype, const char *level, uint64_t seed, bool *taken)
{
    const ProofOptions options = {.level = 2, .target = level, .work = 400000000, .rounds = 1, .seed = seed};
    Draw draw = {seed, MATH_DEFAULT};
    Proof proof;
    Random random;
    Tally tally = {0};
    char name[32];
    snprintf(name, sizeof name, "seed %llu", (unsigned long long)seed);
    proof_start(&proof, name, &options);
    proof.schedule = schedule_anyhow;
    proof.context = &draw;
    case_build(&random, &proof, maker, dtype, 10, seed);
    bool good = proof_program(&proof) && verified(&proof);
    *taken = good && by_mma(&proof);
    if (good)
        proof_kernels(&proof, 0, false, &options, &tally);
    good = good && tally.failures == 0 && tally.compared > 0;
    if (!good) {
        diag_print(proof.diagnostics, stdout, false);
        printf("seed %llu on %s:%s\n", (unsigned long long)seed, level, random.text);
    }
    proof_close(&proof);
    return good;
}

static void check(Dtype dtype, const char *level, uint64_t seeds, int least)
{
    Maker *const makers[] = {case_matmul, case_gemm, case_conv};
    int failures = 0, taken = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        bool by_template = false;
        failures += !holds(makers[seed % 3], dtype, level, seed, &by_template);
        taken += by_template;
    }
    fflush(stdout);
    cr_assert_eq(failures, 0);
    cr_assert_geq(taken, least, "only %d cases were taken by matrix instructions", taken);
}

Test(gpu_mma, f16)
{
    check(DTYPE_F16, "sm_80", 150, 100);
}

Test(gpu_mma, f16_of_turing)
{
    check(DTYPE_F16, "sm_75", 90, 60);
}

Test(gpu_mma, bf16)
{
    check(DTYPE_BF16, "sm_90", 90, 60);
}

/* Bits that may not change do not. */
Test(gpu_mma, not_when_exact)
{
    const ProofOptions options = {.level = 2, .target = "sm_80"};
    for (MathMode math = MATH_EXACT; math <= MATH_FAST; math++)
        for (int wide = 0; wide < 2; wide++) {
            Proof proof;
            Random random;
            proof_start(&proof, "exact", &options);
            proof.compilation.math = math;
            case_build(&random, &proof, case_matmul, wide ? DTYPE_F32 : DTYPE_F16, 0, 3);
            cr_assert(proof_program(&proof));
            cr_assert_eq(by_mma(&proof), math >= (wide ? MATH_FAST : MATH_DEFAULT));
            proof_close(&proof);
        }
}

/* ---- tf32: within the bound ---- */

/* Runs all units of a kernel whose parameters are three buffers: A, B and the result. */
static void run(Ir *ir, Node *kernel, float *const *memory, const uint64_t *bytes)
{
    void *buffers[3];
    uint64_t sizes[3];
    int32_t error = 0;
    int64_t units;
    cr_assert_eq(kernel->input_count, 3);
    for (int i = 0; i < 3; i++) {
        const Buffer *const buffer = kernel->inputs[i]->payload.buffer;
        const int number = buffer->place == PLACE_OUTPUT ? 2 : buffer->number;
        buffers[i] = memory[number];
        sizes[i] = bytes[number];
    }
    cr_assert(const_is_int(kernel->payload.kernel->units, &units));
    const Code *const code = interpret_compile(ir, kernel);
    const int32_t result = interpret_run(code, buffers, sizes, NULL, 0, units, &error);
    cr_assert_eq(result, INTERPRET_OK, "%s", interpret_message(code));
    cr_assert_eq(error, 0);
}

static void check_tf32(int depth, uint64_t seed)
{
    const ProofOptions options = {.level = 2, .target = "sm_80"};
    Draw draw = {seed, MATH_FAST};
    Proof proof;
    proof_start(&proof, "tf32", &options);
    Ir *const ir = proof.ir;
    proof.compilation.math = MATH_FAST;
    proof.schedule = schedule_anyhow;
    proof.context = &draw;
    Node *const m = index_const(ir, ROWS), *const n = index_const(ir, COLUMNS), *const k = index_const(ir, depth);
    Node *const inputs[2] = {
        input_make(ir, name_intern(ir->arena, "a"), type_tensor(ir, DTYPE_F32, 2, (Node *[]){m, k})),
        input_make(ir, name_intern(ir->arena, "b"), type_tensor(ir, DTYPE_F32, 2, (Node *[]){k, n}))};
    Node *product = tensor_make(ir, OP_MatMul, inputs, 2, 1, NULL, 0);
    const Name names[3] = {name_intern(ir->arena, "a"), name_intern(ir->arena, "b"), name_intern(ir->arena, "y")};
    Graph graph = {.name = names[2],
                   .input_count = 2,
                   .output_count = 1,
                   .inputs = (Node **)(uintptr_t)inputs,
                   .outputs = &product,
                   .input_names = names,
                   .output_names = names + 2};
    proof.compilation.graph = &graph;
    cr_assert(proof_program(&proof) && verified(&proof));
    cr_assert_eq(proof.program.kernel_count, 1);
    cr_assert(by_mma(&proof));
    static float a[ROWS * DEPTH_MAX], b[DEPTH_MAX * COLUMNS], fast[ROWS * COLUMNS], plain[ROWS * COLUMNS];
    uint64_t state = seed;
    for (int i = 0; i < ROWS * depth; i++)
        a[i] = (float)(random_next(&state) >> 40) / (1 << 24);
    for (int i = 0; i < depth * COLUMNS; i++)
        b[i] = (float)(random_next(&state) >> 40) / (1 << 24);
    const uint64_t bytes[3] = {(uint64_t)(ROWS * depth) * 4, (uint64_t)(depth * COLUMNS) * 4, sizeof plain};
    const LoopsSchedule loops = {.lanes = 16};
    memset(fast, 0xff, sizeof fast);
    run(ir, proof.program.kernels[0].scheduled[0], (float *[]){a, b, fast}, bytes);
    run(ir, loops_schedule(ir, proof.program.kernels[0].stages, &loops), (float *[]){a, b, plain}, bytes);
    const double rounding = depth * 0x1p-23; /* of both sums */
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        cr_assert_leq((double)fast[i], plain[i] * (1 + rounding), "element %d", i);
        cr_assert_geq((double)fast[i], plain[i] * (1 - 0x1p-9 - rounding), "element %d", i);
    }
    cr_assert(memcmp(fast, plain, sizeof plain) != 0, "tf32 lost no bits");
    proof_close(&proof);
}

Test(gpu_mma, tf32)
{
    static const int depths[] = {1, 7, 8, 20, 32, 45, 64, 96};
    for (uint64_t seed = 1; seed <= 24; seed++)
        check_tf32(depths[seed % 8], seed);
}
