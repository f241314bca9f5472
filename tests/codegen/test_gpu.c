/* links: lathe_proof */
/* Schedules for GPUs through the interpreter's blocks and threads: they must give the bits of the plain stages, on
 * every level and with odd parts (one multiprocessor makes the tiles large, none of asynchronous copies makes them go
 * by the registers). Barriers, races and copies are watched by the interpreter, the rest by the verifier. A failing
 * case prints its seed. */
#include "tests/codegen/cases.h"

#include "codegen/gpu.h"
#include "ir/ops/ops.h"
#include "ir/verify.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- operators along rows, windows, and in order ---- */

static Node *some_tensor(Random *random, int rank, int64_t most, int symbolic)
{
    Node *dims[4];
    for (int i = 0; i < rank; i++)
        dims[i] = i == rank - 1 ? case_extent(random, most, symbolic) : case_extent(random, 6, symbolic);
    Node *const x = case_given(random, rank, dims);
    case_tell(random, "of", x);
    return x;
}

static Node *norm(Random *random, int symbolic)
{
    static const Op ops[] = {OP_Softmax, OP_LogSoftmax, OP_LayerNormalization, OP_LayerNormalization};
    const int which = (int)random_below(&random->state, 4), rank = (int)case_between(random, 1, 3);
    Node *const x = some_tensor(random, rank, case_chance(random, 20) ? 400 : 70, which < 2 ? symbolic : 0);
    Node *inputs[3] = {x};
    if (which < 2) {
        const Attribute axis = attr_int(random->ir, "axis", case_chance(random, 70) ? -1 : 0);
        return case_make(random, ops[which], inputs, 1, &axis, 1);
    }
    inputs[1] = case_weight(random, 1, &x->type.dims[rank - 1]);
    inputs[2] = case_weight(random, 1, &x->type.dims[rank - 1]);
    return case_make(random, ops[which], inputs, 3, NULL, 0);
}

static Node *reduction(Random *random, int symbolic)
{
    static const Op ops[] = {OP_ReduceSum, OP_ReduceMax, OP_ReduceMean, OP_ReduceL2, OP_ReduceSumSquare};
    const int rank = (int)case_between(random, 2, 4);
    Node *const x = some_tensor(random, rank, case_chance(random, 20) ? 500 : 60, symbolic);
    int64_t axes[4];
    int count = 0;
    for (int i = 0; i < rank; i++)
        if (case_chance(random, 50) || (count == 0 && i == rank - 1))
            axes[count++] = i;
    Node *const inputs[] = {x, constant_ints(random->ir, axes, count)};
    const Attribute keep = attr_int(random->ir, "keepdims", case_chance(random, 50));
    return case_make(random, ops[random_below(&random->state, 5)], inputs, 2, &keep, 1);
}

static Node *window(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    Node *const dims[4] = {case_extent(random, 3, symbolic), case_extent(random, 20, 0),
                           index_const(ir, case_between(random, 5, 14)), index_const(ir, case_between(random, 5, 14))};
    Node *const x = case_given(random, 4, dims);
    case_tell(random, "window over", x);
    const int64_t taps = case_between(random, 1, 4), pad = random_below(&random->state, taps);
    Attribute attributes[3] = {attr_ints(ir, "kernel_shape", (int64_t[]){taps, taps}, 2),
                               attr_ints(ir, "pads", (int64_t[]){pad, pad, 0, pad}, 4),
                               attr_ints(ir, "strides", (int64_t[]){1, case_between(random, 1, 3)}, 2)};
    switch (random_below(&random->state, 4)) {
    case 0:
        return case_make(random, OP_MaxPool, &x, 1, attributes, 3);
    case 1:
        return case_make(random, OP_AveragePool, &x, 1, attributes, 3);
    case 2:
        return case_make(random, OP_GlobalAveragePool, &x, 1, NULL, 0);
    default: { /* depthwise */
        int64_t channels;
        const_is_int(dims[1], &channels);
        Node *const w_dims[4] = {dims[1], index_const(ir, 1), index_const(ir, taps), index_const(ir, taps)};
        Node *const inputs[] = {x, case_weight(random, 4, w_dims)};
        const Attribute with_group[4] = {attributes[0], attributes[1], attributes[2], attr_int(ir, "group", channels)};
        return case_make(random, OP_Conv, inputs, 2, with_group, 4);
    }
    }
}

static Node *in_order(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int rank = (int)case_between(random, 1, 3);
    Node *const x = some_tensor(random, rank, 40, symbolic);
    if (case_chance(random, 60)) {
        Node *const inputs[] = {x, constant_scalar(ir, DTYPE_I64, (double)random_below(&random->state, rank))};
        const Attribute attributes[2] = {attr_int(ir, "exclusive", case_chance(random, 30)),
                                         attr_int(ir, "reverse", case_chance(random, 30))};
        return case_make(random, OP_CumSum, inputs, 2, attributes, 2);
    }
    Node *const flat = case_given(random, 1, (Node *[]){index_const(ir, 50)});
    const int64_t places[] = {3, 7, 3, 49, 0, -1, 7};
    Node *const inputs[] = {flat, constant_ints(ir, places, 7), case_given(random, 1, (Node *[]){index_const(ir, 7)})};
    const Attribute reduction = attr_string(ir, "reduction", case_chance(random, 50) ? "add" : "none");
    return case_make(random, OP_ScatterElements, inputs, 3, &reduction, 1);
}

/* Any axes in any order, and values of other kernels between. */
static Node *moved(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int rank = (int)case_between(random, 2, 4);
    Node *const x = some_tensor(random, rank, 50, symbolic);
    int64_t order[4];
    for (int i = 0; i < rank; i++)
        order[i] = i;
    for (int i = rank - 1; i > 0; i--) {
        const int64_t other = random_below(&random->state, i + 1), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    const Attribute permutation = attr_ints(ir, "perm", order, rank);
    Node *const y = case_make(random, OP_Transpose, &x, 1, &permutation, 1);
    const Attribute axis = attr_int(ir, "axis", random_below(&random->state, rank));
    Node *const pair[] = {y, case_given(random, rank, y->type.dims)};
    return case_make(random, OP_Concat, pair, 2, &axis, 1);
}

/* ---- the property ---- */

typedef struct Plan {
    Maker *maker;
    int symbolic; /* per cent of extents */
    uint64_t seeds;
    const char *schedule; /* what the schedules of at least `least` cases start with */
    int least;
    int level;   /* -O */
    bool anyhow; /* tiles are drawn instead of the cost model's */
} Plan;

/* The level as it is, with so few multiprocessors that tiles become large, without asynchronous copies, and with hardly
 * any shared memory. */
static void part_like(const TargetMachineInfo *level, uint64_t seed, TargetMachineInfo *target, TargetGpu *gpu)
{
    static const int sms[] = {0, 1, 2, 8};
    *target = *level;
    *gpu = *level->gpu;
    target->gpu = gpu;
    gpu->sms = sms[seed % 4] ? sms[seed % 4] : gpu->sms;
    gpu->copy_async = gpu->copy_async && seed % 3;
    if (seed % 11 == 0)
        gpu->static_shared = 16;
}

static int64_t drawn(void *context, const Decision *question)
{
    return question->low + random_below(context, question->high - question->low + 1);
}

/* Any tile that fits. */
static Node *schedule_anyhow(void *context, Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    ScheduleOptions options = {.level = 2};
    for (int tries = 0; tries < 20; tries++) {
        Trial trial = trial_open(ir->arena, NULL, 0);
        trial.answer = drawn;
        trial.context = context;
        Node *const scheduled = gpu_contract_schedule(ir, kernel, target, &options, &trial);
        if (scheduled)
            return scheduled;
    }
    return kernel_schedule(&options, ir, kernel, target);
}

static bool starts(const Node *kernel, const char *text)
{
    return strncmp(kernel->payload.kernel->schedule, text, strlen(text)) == 0;
}

static bool verified(Proof *proof, const char *schedule, bool *taken)
{
    bool good = true;
    for (int i = 0; i < proof->program.kernel_count; i++) {
        Node *const kernel = proof->program.kernels[i].scheduled[0];
        good = verify_kernel(proof->ir, kernel, proof->diagnostics) && good;
        good = good && kernel->payload.kernel->threads > 0;
        *taken = *taken || starts(kernel, schedule);
    }
    return good;
}

static bool holds(const Plan *plan, const TargetMachineInfo *level, uint64_t seed, bool *taken)
{
    const ProofOptions options = {
        .level = plan->level, .target = level->name, .work = 400000000, .rounds = 2, .seed = seed};
    TargetMachineInfo target;
    TargetGpu gpu;
    Proof proof;
    Random random;
    Tally tally = {0};
    part_like(level, seed, &target, &gpu);
    char name[32];
    snprintf(name, sizeof name, "seed %llu", (unsigned long long)seed);
    proof_start(&proof, name, &options);
    proof.levels[0] = proof.compilation.target = &target;
    uint64_t answers = seed;
    proof.schedule = plan->anyhow ? schedule_anyhow : NULL;
    proof.context = &answers;
    case_build(&random, &proof, plan->maker, DTYPE_F32, plan->symbolic, seed);
    bool good = proof_program(&proof) && verified(&proof, plan->schedule, taken);
    if (good)
        proof_kernels(&proof, 0, false, &options, &tally);
    good = good && tally.failures == 0 && tally.compared > 0;
    if (!good) {
        diag_print(proof.diagnostics, stdout, false);
        printf("seed %llu on %s:%s\n", (unsigned long long)seed, level->name, random.text);
    }
    proof_close(&proof);
    return good;
}

/* A seed decides the level too. */
static void check(const Plan *plan)
{
    const TargetMachineInfo *levels[16];
    int failures = 0, taken = 0, count = 0;
    for (int i = 0; i < target_count(); i++)
        if (target_at(i)->gpu && count < 16)
            levels[count++] = target_at(i);
    cr_assert_gt(count, 0);
    for (uint64_t seed = 1; seed <= plan->seeds; seed++) {
        bool by_template = false;
        failures += !holds(plan, levels[seed % (uint64_t)count], seed, &by_template);
        taken += by_template;
    }
    fflush(stdout);
    cr_assert_eq(failures, 0);
    cr_assert_geq(taken, plan->least, "only %d cases were taken by a template", taken);
}

Test(gpu, matrix_products)
{
    check(&(Plan){case_matmul, 0, 120, "gpu contract", 100, 2});
}

Test(gpu, matrix_products_of_unknown_sizes)
{
    check(&(Plan){case_matmul, 60, 80, "gpu contract", 50, 2});
}

Test(gpu, gemm)
{
    check(&(Plan){case_gemm, 25, 100, "gpu contract", 80, 2});
}

Test(gpu, convolutions)
{
    check(&(Plan){case_conv, 10, 100, "gpu contract", 60, 2});
}

Test(gpu, all_tiles)
{
    check(&(Plan){case_matmul, 15, 100, "gpu contract", 80, 2, true});
    check(&(Plan){case_gemm, 15, 100, "gpu contract", 75, 2, true});
    check(&(Plan){case_conv, 10, 100, "gpu contract", 60, 2, true});
}

Test(gpu, norms)
{
    check(&(Plan){norm, 30, 120, "gpu row", 90, 2});
}

Test(gpu, reductions)
{
    check(&(Plan){reduction, 20, 150, "gpu row", 60, 2});
}

Test(gpu, windows)
{
    check(&(Plan){window, 20, 80, "gpu loops", 60, 2});
}

Test(gpu, in_order)
{
    check(&(Plan){in_order, 20, 80, "gpu loops", 60, 2});
}

Test(gpu, moved)
{
    check(&(Plan){moved, 20, 80, "gpu loops", 60, 2});
}

/* The floor takes everything. */
Test(gpu, plain)
{
    check(&(Plan){case_matmul, 30, 20, "gpu loops", 20, 0});
    check(&(Plan){case_conv, 10, 20, "gpu loops", 20, 0});
    check(&(Plan){norm, 30, 40, "gpu loops", 40, 0});
    check(&(Plan){reduction, 20, 40, "gpu loops", 40, 0});
}
