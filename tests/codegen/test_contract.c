/* links: lathe_proof */
/* Random matrix products and convolutions, with what fusion puts before and after them: every schedule must give the
 * bits of the plain stages, on every level and with odd tiles (targets with few registers and small caches make them).
 * A failing case prints its seed. */
#include "tests/codegen/cases.h"

#include "ir/ops/ops.h"

#include <criterion/criterion.h>
#include <string.h>

/* ---- the property ---- */

typedef struct Plan {
    Maker *maker;
    int symbolic; /* per cent of extents */
    uint64_t seeds;
    bool machine;
    int least;            /* of the cases that the template takes */
    bool anyhow;          /* with values drawn from the templates' spaces instead of the cost model's */
    const char *template; /* that must take so many; NULL: any but the plain loops */
    int64_t cache;        /* bytes of the small L2; 0: hardly any */
} Plan;

/* The level as it is, and with so few registers and so little cache that tiles and blocks become odd. */
static TargetMachineInfo machine_like(const TargetMachineInfo *target, uint64_t seed, int64_t cache)
{
    TargetMachineInfo info = *target;
    if (seed % 3 == 0)
        return info;
    const int least = target->vector_bytes == 16 ? 10 : 5; /* a tile of one row needs two times sixteen columns */
    info.vector_registers = least + (int)(seed / 3 % (uint64_t)(target->vector_registers - least + 1));
    info.l2 = seed % 2 ? target->l2 : cache ? cache : 2048;
    return info;
}

/* Was a kernel taken by the template that the plan is about (NULL: any but the plain loops)? */
static bool takes(const Proof *proof, const char *template)
{
    for (int i = 0; i < proof->program.kernel_count; i++) {
        const char *const schedule = proof->program.kernels[i].scheduled[0]->payload.kernel->schedule;
        if (template ? strncmp(schedule, template, strlen(template)) == 0 : strncmp(schedule, "loops", 5) != 0)
            return true;
    }
    return false;
}

/* Any answer that is offered. */
static int64_t drawn(void *context, const Decision *question)
{
    return question->low + random_below(context, question->high - question->low + 1);
}

/* A random schedule; replaying the answers by name must give the same one. Values that together need too much scratch
 * are drawn again. */
static Node *schedule_anyhow(void *context, Ir *ir, Node *kernel, const TargetMachineInfo *target)
{
    Node *scheduled = NULL;
    TrialValue values[DECISIONS_MAX];
    double cycles;
    for (int tries = 0; tries < 20 && !scheduled; tries++) {
        Trial trial = trial_open(ir->arena, NULL, 0);
        trial.answer = drawn;
        trial.context = context;
        scheduled = kernel_schedule_trial(ir, kernel, target, &trial);
        for (int i = 0; i < trial.decision_count; i++)
            values[i] = decision_value(&trial.decisions[i]);
        Trial again = trial_open(ir->arena, values, trial.decision_count), costed = again;
        Node *const replayed = kernel_schedule_trial(ir, kernel, target, &again);
        cr_assert_eq(!scheduled, !replayed);
        cr_assert_eq(kernel_cost(ir, kernel, target, &costed, 4, &cycles), scheduled != NULL);
        cr_assert(!scheduled || (cycles > 0 && cycles < 1e18));
        cr_assert_eq(costed.decision_count, trial.decision_count);
        if (scheduled)
            cr_assert_str_eq(scheduled->payload.kernel->schedule, replayed->payload.kernel->schedule);
    }
    return scheduled ? scheduled : kernel_schedule_plain(ir, kernel, target);
}

static bool holds(const Plan *plan, const TargetMachineInfo *target, uint64_t seed, bool *taken)
{
    const ProofOptions options = {.level = 2, .target = target->name, .work = 200000000, .rounds = 2};
    const TargetMachineInfo odd = machine_like(target, seed, plan->cache);
    Proof proof;
    Random random;
    Tally tally = {0};
    char name[40];
    snprintf(name, sizeof name, "seed %llu", (unsigned long long)seed);
    proof_start(&proof, name, &options);
    proof.levels[0] = proof.compilation.target = &odd;
    uint64_t answers = seed;
    proof.schedule = plan->anyhow ? schedule_anyhow : NULL;
    proof.context = &answers;
    case_build(&random, &proof, plan->maker, DTYPE_F32, plan->symbolic, seed);
    bool good = proof_program(&proof) && proof_plan(&proof);
    const bool machine = good && plan->machine && (target_runs_here(target) || !elsewhere_missing(target));
    good = good && (!machine || proof_load(&proof, 0, 0));
    if (good)
        proof_kernels(&proof, 0, machine, &options, &tally);
    *taken = good && takes(&proof, plan->template);
    good = good && tally.failures == 0 && tally.compared > 0;
    if (!good) {
        diag_print(proof.diagnostics, stdout, false);
        printf("seed %llu on %s:%s\n", (unsigned long long)seed, target->name, random.text);
    }
    proof_close(&proof);
    return good;
}

static void check(const Plan *plan)
{
    int failures = 0, taken = 0;
    for (int level = 0; level < target_family_at(0)->level_count; level++)
        for (uint64_t seed = 1; seed <= plan->seeds; seed++) {
            bool by_template;
            failures += !holds(plan, target_at(level), seed, &by_template);
            taken += by_template;
        }
    fflush(stdout);
    cr_assert_eq(failures, 0);
    cr_assert_geq(taken, plan->least, "only %d cases were taken by a template", taken);
}

Test(contract, matrix_products_interpreted)
{
    check(&(Plan){case_matmul, 0, 150, false, 150});
}

Test(contract, matrix_products_of_unknown_sizes_interpreted)
{
    check(&(Plan){case_matmul, 60, 100, false, 50});
}

Test(contract, gemm_interpreted)
{
    check(&(Plan){case_gemm, 25, 150, false, 150});
}

Test(contract, convolutions_interpreted)
{
    check(&(Plan){case_conv, 10, 150, false, 150});
}

Test(contract, matrix_products_compiled)
{
    check(&(Plan){case_matmul, 20, 25, true, 25});
}

Test(contract, gemm_compiled)
{
    check(&(Plan){case_gemm, 25, 15, true, 15});
}

Test(contract, convolutions_compiled)
{
    check(&(Plan){case_conv, 10, 20, true, 20});
}

Test(contract, recurrences_interpreted)
{
    check(&(Plan){case_recurrent, 25, 60, false, 60, false, "recurrent"});
}

Test(contract, recurrences_compiled)
{
    check(&(Plan){case_recurrent, 25, 12, true, 12, false, "recurrent"});
}

/* ---- machines that this one is not, in emulators ---- */

static void check_elsewhere(const char *name, Maker *maker, bool anyhow)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    const TargetMachineInfo *const target = target_find(diagnostics_open(arena), name);
    const char *const missing = elsewhere_missing(target);
    const Plan plan = {.maker = maker, .symbolic = 15, .machine = true, .anyhow = anyhow};
    int failures = 0, taken = 0;
    enum { SEEDS = 12 };
    if (missing)
        cr_skip_test("not run on %s: there is not %s", name, missing);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        bool by_template;
        failures += !holds(&plan, target, seed, &by_template);
        taken += by_template;
    }
    fflush(stdout);
    cr_assert_eq(failures, 0);
    cr_assert_geq(taken, SEEDS / 3);
    arena_close(arena);
}

Test(contract, compiled_for_aarch64)
{
    check_elsewhere("aarch64", case_matmul, false);
    check_elsewhere("aarch64", case_gemm, false);
    check_elsewhere("aarch64", case_conv, false);
    check_elsewhere("aarch64", case_conv, true);
    check_elsewhere("aarch64", case_recurrent, false);
}

Test(contract, compiled_for_32_bit_arm)
{
    check_elsewhere("armv7-neon", case_matmul, false);
    check_elsewhere("armv7-neon", case_conv, false);
    check_elsewhere("armv7-neon", case_conv, true);
    check_elsewhere("armv7-neon", case_recurrent, false);
}

/* ---- every candidate that a tuner can make ---- */

Test(contract, spaces_of_matrix_products_interpreted)
{
    check(&(Plan){case_matmul, 20, 150, false, 60, true});
}

Test(contract, spaces_of_gemm_interpreted)
{
    check(&(Plan){case_gemm, 25, 100, false, 40, true});
}

Test(contract, spaces_of_convolutions_interpreted)
{
    check(&(Plan){case_conv, 10, 150, false, 60, true});
}

Test(contract, spaces_of_recurrences_interpreted)
{
    check(&(Plan){case_recurrent, 25, 60, false, 20, true, "recurrent"});
}

/* Windows between convolutions, where channels lie last: depthwise ones and pooling. */
static Node *windows(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int64_t channels = case_between(random, 1, 70), rows = case_between(random, 1, 7);
    const int64_t columns = case_chance(random, 70) ? rows : case_between(random, 1, 5);
    const bool depthwise = case_chance(random, 60);
    const int64_t apart = depthwise ? case_between(random, 1, 2) : 1;
    const int64_t high = random_below(&random->state, rows), wide_pad = random_below(&random->state, columns);
    Node *const wide = index_const(ir, channels), *const one = index_const(ir, 1),
                *const few = case_extent(random, 8, 0);
    const int64_t least = (rows > columns ? rows : columns) * apart;
    Node *const dims[4] = {case_extent(random, 3, symbolic), few, index_const(ir, case_between(random, (int)least, 20)),
                           index_const(ir, case_between(random, (int)least, 20))};
    Node *const x = case_given(random, 4, dims);
    const Attribute attributes[5] = {
        attr_ints(ir, "kernel_shape", (int64_t[]){rows, columns}, 2),
        attr_ints(ir, "pads", (int64_t[]){high, wide_pad, case_chance(random, 50) ? high : 0, wide_pad}, 4),
        attr_ints(ir, "strides", (int64_t[]){case_between(random, 1, 2), case_between(random, 1, 3)}, 2),
        attr_ints(ir, "dilations", (int64_t[]){apart, apart}, 2), attr_int(ir, "group", channels)};
    Node *node =
        case_make(random, OP_Conv, (Node *[]){x, case_weight(random, 4, (Node *[]){wide, few, one, one})}, 2, NULL, 0);
    case_tell(random, "window over", node);
    Node *const height = index_const(ir, rows), *const width = index_const(ir, columns);
    if (depthwise)
        node =
            case_make(random, OP_Conv, (Node *[]){node, case_weight(random, 4, (Node *[]){wide, one, height, width})},
                      2, attributes, 5);
    else
        node = case_make(random, case_chance(random, 50) ? OP_MaxPool : OP_AveragePool, &node, 1, attributes, 3);
    if (case_chance(random, 50))
        node = case_make(random, OP_Relu, &node, 1, NULL, 0);
    return case_make(random, OP_Conv,
                     (Node *[]){node, case_weight(random, 4, (Node *[]){index_const(ir, 9), wide, one, one})}, 2, NULL,
                     0);
}

/* As the cost model has them. */
Test(contract, windows_interpreted)
{
    check(&(Plan){windows, 10, 100, false, 40, false, "window"});
}

Test(contract, windows_compiled)
{
    check(&(Plan){windows, 0, 20, true, 5, false, "window"});
}

Test(contract, spaces_of_windows_interpreted)
{
    check(&(Plan){windows, 10, 100, false, 40, true, "window"});
}

Test(contract, spaces_of_windows_compiled)
{
    check(&(Plan){windows, 0, 20, true, 5, true, "window"});
}

Test(contract, spaces_compiled)
{
    check(&(Plan){case_matmul, 20, 25, true, 8, true});
    check(&(Plan){case_conv, 10, 25, true, 8, true});
}

/* Convolutions of 3x3 with stride 1 between others, where channels lie last: what a transform may take. */
static Node *transformed(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    Node *const channels = index_const(ir, case_chance(random, 50) ? 16 : case_between(random, 16, 40));
    Node *const outs = index_const(ir, case_chance(random, 30) ? 32 : case_between(random, 16, 70));
    Node *const one = index_const(ir, 1), *const three = index_const(ir, 3), *const few = case_extent(random, 4, 0);
    Node *const batch = case_chance(random, 60) ? one : case_extent(random, 2, symbolic);
    Node *const x = case_given(random, 4,
                               (Node *[]){batch, few, index_const(ir, case_between(random, 13, 20)),
                                          index_const(ir, case_between(random, 13, 20))});
    int64_t pads[4];
    for (int i = 0; i < 4; i++)
        pads[i] = case_chance(random, 60) ? 1 : case_between(random, 0, 2);
    const Attribute attributes[1] = {attr_ints(ir, "pads", pads, 4)};
    Node *node = case_make(random, OP_Conv, (Node *[]){x, case_weight(random, 4, (Node *[]){channels, few, one, one})},
                           2, NULL, 0);
    case_tell(random, "transform of", node);
    Node *const weight = case_weight(random, 4, (Node *[]){outs, channels, three, three});
    node = case_make(random, OP_Conv, (Node *[]){node, weight, case_weight(random, 1, &outs)}, 3, attributes, 1);
    case_tell(random, "to", node);
    return case_make(random, OP_Conv,
                     (Node *[]){case_after(random, node), case_weight(random, 4, (Node *[]){few, outs, one, one})}, 2,
                     NULL, 0);
}

Test(contract, transforms_interpreted)
{
    check(&(Plan){transformed, 15, 30, false, 30, false, "winograd", 64 << 10});
}

Test(contract, transforms_compiled)
{
    check(&(Plan){transformed, 15, 10, true, 8, false, "winograd", 64 << 10});
}

Test(contract, spaces_of_transforms_interpreted)
{
    check(&(Plan){transformed, 0, 30, false, 10, true, "winograd", 64 << 10});
}
