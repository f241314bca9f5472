/* links: lathe_proof */
/* Random matrix products and convolutions, with what fusion puts before and after them: every schedule must give the
 * bits of the plain stages, on every level and with odd tiles (targets with few registers and small caches make them).
 * A failing case prints its seed. */
#include "tests/codegen/proof.h"

#include "ir/ops/ops.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct Random {
    Proof *proof;
    Ir *ir;
    uint64_t state;
    Node *inputs[8];
    Name names[8];
    int input_count, symbol_count;
    const char *text; /* the case in words */
} Random;

static int64_t between(Random *random, int64_t low, int64_t high)
{
    return low + random_below(&random->state, high - low + 1);
}

static bool chance(Random *random, int percent)
{
    return random_below(&random->state, 100) < percent;
}

static void tell(Random *random, const char *what, Node *node)
{
    random->text = arena_format(random->ir->arena, "%s %s %s", random->text, what, type_text(random->ir, node->type));
}

/* ---- values ---- */

static Node *given(Random *random, int rank, Node *const *dims)
{
    Ir *const ir = random->ir;
    const int number = random->input_count++;
    random->names[number] = name_intern(ir->arena, arena_format(ir->arena, "x%d", number));
    return random->inputs[number] = input_make(ir, random->names[number], type_tensor(ir, DTYPE_F32, rank, dims));
}

static Node *weight(Random *random, int rank, Node *const *dims)
{
    Ir *const ir = random->ir;
    const Type type = type_tensor(ir, DTYPE_F32, rank, dims);
    int64_t elements;
    cr_assert(const_is_int(type_elements(ir, type), &elements));
    Constant *const constant = NEW(ir->arena, Constant);
    void *const data = arena_alloc(ir->arena, (size_t)elements * 4 + 1);
    values_fill(ir, DTYPE_F32, data, (uint64_t)elements * 4, VALUES_PLAIN, &random->state);
    *constant = (Constant){.data = data, .bytes = (uint64_t)elements * 4};
    return constant_make(ir, type, constant);
}

static Node *value(Random *random, bool constant, int rank, Node *const *dims)
{
    return constant ? weight(random, rank, dims) : given(random, rank, dims);
}

static Node *extent(Random *random, int64_t most, int symbolic)
{
    static const char *const names[] = {"M", "N", "P", "Q"};
    if (random->symbol_count < 2 && chance(random, symbolic))
        return symbol_make(random->ir, name_intern(random->ir->arena, names[random->symbol_count++]));
    static const int64_t edges[] = {1, 2, 15, 16, 17, 31, 32, 33, 48, 64};
    const int64_t size = chance(random, 40) ? edges[random_below(&random->state, 10)] : between(random, 1, most);
    return index_const(random->ir, size < most ? size : most);
}

static Node *make(Random *random, Op op, Node *const *inputs, int count, const Attribute *attributes,
                  int attribute_count)
{
    Node *const node = tensor_make(random->ir, op, inputs, count, 1, attributes, attribute_count);
    if (!node)
        diag_print(random->proof->diagnostics, stderr, false);
    cr_assert_not_null(node, "%s", random->text);
    return node;
}

/* Two dims in either order, the operand itself transposed back. */
static Node *transposed(Random *random, bool constant, Node *rows, Node *columns)
{
    Node *const stored = value(random, constant, 2, (Node *[]){columns, rows});
    const Attribute order = attr_ints(random->ir, "perm", (int64_t[]){1, 0}, 2);
    return make(random, OP_Transpose, &stored, 1, &order, 1);
}

/* What fusion may put before a contraction. */
static Node *before(Random *random, Node *node)
{
    if (chance(random, 15))
        return make(random, OP_Relu, &node, 1, NULL, 0);
    if (chance(random, 10))
        return make(random, OP_Mul, (Node *[]){node, constant_scalar(random->ir, DTYPE_F32, 0.37)}, 2, NULL, 0);
    return node;
}

/* What fusion may put behind it. */
static Node *after(Random *random, Node *node)
{
    for (int steps = (int)between(random, 0, 3); steps > 0; steps--) {
        Node *other = NULL;
        if (chance(random, 60) && random->input_count < 6)
            other = given(random, node->type.rank, node->type.dims);
        else
            other = weight(random, 1, (Node *[]){index_const(random->ir, 1)});
        if (chance(random, 30))
            node = make(random, OP_Relu, &node, 1, NULL, 0);
        else if (chance(random, 15))
            node = make(random, OP_Sigmoid, &node, 1, NULL, 0);
        else
            node = make(random, chance(random, 60) ? OP_Add : OP_Mul, (Node *[]){node, other}, 2, NULL, 0);
    }
    if (chance(random, 10) && node->type.rank == 2) {
        const Attribute order = attr_ints(random->ir, "perm", (int64_t[]){1, 0}, 2);
        node = make(random, OP_Transpose, &node, 1, &order, 1);
    }
    return node;
}

/* ---- contractions ---- */

static Node *matmul(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int batch = (int)random_below(&random->state, 3);
    const bool constant = chance(random, 50);
    Node *const m = extent(random, 70, symbolic), *const n = extent(random, 70, constant ? 0 : symbolic);
    Node *const k = extent(random, 70, constant ? 0 : symbolic / 3);
    Node *a_dims[4], *b_dims[4];
    int b_batch = chance(random, 50) ? batch : 0;
    for (int i = 0; i < batch; i++) {
        a_dims[i] = extent(random, 4, symbolic / 2);
        b_dims[i] = chance(random, 20) ? index_const(ir, 1) : a_dims[i];
        if (b_dims[i]->op != OP_const && constant)
            b_batch = 0;
    }
    a_dims[batch] = m;
    a_dims[batch + 1] = k;
    b_dims[b_batch] = k;
    b_dims[b_batch + 1] = n;
    Node *const a =
        batch == 0 && chance(random, 25) ? transposed(random, false, m, k) : given(random, batch + 2, a_dims);
    Node *const b = b_batch == 0 && chance(random, 25) ? transposed(random, constant, k, n)
                                                       : value(random, constant, b_batch + 2, b_dims);
    tell(random, "MatMul", a);
    tell(random, constant ? "weight" : "and", b);
    return make(random, OP_MatMul, (Node *[]){before(random, a), before(random, b)}, 2, NULL, 0);
}

static Node *gemm(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const bool constant = chance(random, 60), left = chance(random, 30), right = chance(random, 50);
    Node *const m = extent(random, 70, symbolic), *const n = extent(random, 70, constant ? 0 : symbolic),
                *const k = extent(random, 70, 0);
    Node *const a = given(random, 2, left ? (Node *[]){k, m} : (Node *[]){m, k});
    Node *const b = value(random, constant, 2, right ? (Node *[]){n, k} : (Node *[]){k, n});
    Node *c = omitted_make(ir);
    if (chance(random, 60))
        c = chance(random, 50) ? value(random, n->op == OP_const, 1, &n) : given(random, 2, (Node *[]){m, n});
    Attribute attributes[4] = {attr_float(ir, "alpha", chance(random, 70) ? 1 : 0.5),
                               attr_float(ir, "beta", chance(random, 70) ? 1 : -2), attr_int(ir, "transA", left),
                               attr_int(ir, "transB", right)};
    tell(random, left ? "Gemm transposed" : "Gemm", a);
    tell(random, right ? "transposed" : "and", b);
    return make(random, OP_Gemm, (Node *[]){before(random, a), b, c}, 3, attributes, 4);
}

static Node *conv(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int spatial = (int)between(random, 1, 2), group = chance(random, 20) ? (int)between(random, 2, 4) : 1;
    int64_t strides[2], dilations[2], pads[4];
    Node *const channels = extent(random, 35, 0), *const outs = extent(random, 70 / group, 0);
    Node *const batch = chance(random, 60) ? index_const(ir, 1) : extent(random, 3, symbolic);
    Node *x[4] = {batch, index_mul(ir, channels, index_const(ir, group))};
    Node *w[4] = {index_mul(ir, outs, index_const(ir, group)), channels};
    for (int i = 0; i < spatial; i++) {
        const int64_t taps = between(random, 1, chance(random, 30) ? 5 : 3);
        w[2 + i] = index_const(ir, taps);
        strides[i] = between(random, 1, 3);
        dilations[i] = chance(random, 70) ? 1 : 2;
        pads[i] = between(random, 0, taps - 1);
        pads[i + spatial] = chance(random, 70) ? pads[i] : between(random, 0, taps - 1);
        const int64_t least = (taps - 1) * dilations[i] + 1;
        x[2 + i] = index_const(ir, least + between(random, 0, spatial == 1 ? 60 : 16));
    }
    const Attribute attributes[4] = {attr_ints(ir, "strides", strides, spatial),
                                     attr_ints(ir, "dilations", dilations, spatial),
                                     attr_ints(ir, "pads", pads, 2 * spatial), attr_int(ir, "group", group)};
    Node *const in = given(random, spatial + 2, x), *const weights = value(random, chance(random, 85), spatial + 2, w);
    Node *const bias = chance(random, 60) ? weight(random, 1, w) : omitted_make(ir);
    tell(random, "Conv", in);
    tell(random, "weight", weights);
    for (int i = 0; i < spatial; i++)
        random->text = arena_format(ir->arena, "%s stride %d dilation %d pads %d %d", random->text, (int)strides[i],
                                    (int)dilations[i], (int)pads[i], (int)pads[i + spatial]);
    return make(random, OP_Conv, (Node *[]){before(random, in), weights, bias}, 3, attributes, 4);
}

typedef Node *Maker(Random *random, int symbolic);

/* ---- the property ---- */

typedef struct Plan {
    Maker *maker;
    int symbolic; /* per cent of extents */
    uint64_t seeds;
    bool machine;
    int least;   /* of the cases that the template takes */
    bool anyhow; /* with values drawn from the templates' spaces instead of the cost model's */
} Plan;

static void build(Random *random, Proof *proof, Maker *maker, int symbolic, uint64_t seed)
{
    *random = (Random){.proof = proof, .ir = proof->ir, .state = seed, .text = ""};
    Graph *const graph = NEW(proof->arena, Graph);
    Node *node = maker(random, symbolic);
    if (chance(random, 15) && node->type.rank > 2 &&
        node->type.dims[1]->op == OP_const) { /* two convolutions: layouts of what is between */
        Node *dims[4] = {index_const(proof->ir, between(random, 1, 40)), node->type.dims[1], index_const(proof->ir, 1),
                         index_const(proof->ir, 1)};
        if (maker == conv)
            node = make(random, OP_Conv, (Node *[]){after(random, node), weight(random, node->type.rank, dims)}, 2,
                        NULL, 0);
    }
    node = after(random, node);
    *graph = (Graph){.name = name_intern(proof->arena, "random"),
                     .input_count = random->input_count,
                     .output_count = 1,
                     .inputs = random->inputs,
                     .outputs = arena_copy(proof->arena, &node, sizeof node),
                     .input_names = random->names};
    graph->output_names = arena_copy(proof->arena, &(Name){name_intern(proof->arena, "y")}, sizeof(Name));
    proof->compilation.graph = graph;
}

/* The level as it is, and with so few registers and so little cache that tiles and blocks become odd. */
static TargetMachineInfo machine_like(const TargetMachineInfo *target, uint64_t seed)
{
    TargetMachineInfo info = *target;
    if (seed % 3 == 0)
        return info;
    info.vector_registers = 5 + (int)(seed / 3 % (uint64_t)(target->vector_registers - 4));
    info.l2 = seed % 2 ? target->l2 : 2048;
    return info;
}

static bool takes(const Proof *proof)
{
    for (int i = 0; i < proof->program.kernel_count; i++)
        if (strncmp(proof->program.kernels[i].scheduled[0]->payload.kernel->schedule, "loops", 5) != 0)
            return true;
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
    const TargetMachineInfo odd = machine_like(target, seed);
    Proof proof;
    Random random;
    Tally tally = {0};
    proof_start(&proof, arena_format(arena_open(0, NULL, NULL), "seed %llu", (unsigned long long)seed), &options);
    proof.levels[0] = proof.compilation.target = &odd;
    uint64_t answers = seed;
    proof.schedule = plan->anyhow ? schedule_anyhow : NULL;
    proof.context = &answers;
    build(&random, &proof, plan->maker, plan->symbolic, seed);
    bool good = proof_program(&proof) && proof_plan(&proof);
    const bool machine = good && plan->machine && target_runs_here(target);
    good = good && (!machine || proof_load(&proof, 0, 0));
    if (good)
        proof_kernels(&proof, 0, machine, &options, &tally);
    *taken = good && takes(&proof);
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
    check(&(Plan){matmul, 0, 150, false, 150});
}

Test(contract, matrix_products_of_unknown_sizes_interpreted)
{
    check(&(Plan){matmul, 60, 100, false, 50});
}

Test(contract, gemm_interpreted)
{
    check(&(Plan){gemm, 25, 150, false, 150});
}

Test(contract, convolutions_interpreted)
{
    check(&(Plan){conv, 10, 150, false, 150});
}

Test(contract, matrix_products_compiled)
{
    check(&(Plan){matmul, 20, 25, true, 25});
}

Test(contract, gemm_compiled)
{
    check(&(Plan){gemm, 25, 15, true, 15});
}

Test(contract, convolutions_compiled)
{
    check(&(Plan){conv, 10, 20, true, 20});
}

/* ---- every candidate that a tuner can make ---- */

Test(contract, spaces_of_matrix_products_interpreted)
{
    check(&(Plan){matmul, 20, 150, false, 60, true});
}

Test(contract, spaces_of_gemm_interpreted)
{
    check(&(Plan){gemm, 25, 100, false, 40, true});
}

Test(contract, spaces_of_convolutions_interpreted)
{
    check(&(Plan){conv, 10, 150, false, 60, true});
}

Test(contract, spaces_compiled)
{
    check(&(Plan){matmul, 20, 25, true, 8, true});
    check(&(Plan){conv, 10, 25, true, 8, true});
}
