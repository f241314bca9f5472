/* links: lathe_proof */
/* Machine code of every scalar operation on every dtype, scalar and 16 lanes, on every target that runs here or in an
 * emulator, against scalar_evaluate. */
#include "tests/codegen/elsewhere.h"
#include "tests/codegen/machine.h"
#include "tests/codegen/scalars.h"

#include "ir/scalar.h"

#include <math.h>

enum { ELEMENTS = 1024, OUTPUTS_MAX = 64 };

static const Dtype arithmetic[] = {DTYPE_F32, DTYPE_F64, DTYPE_I8,  DTYPE_U8,   DTYPE_I16,   DTYPE_U16, DTYPE_I32,
                                   DTYPE_U32, DTYPE_I64, DTYPE_U64, DTYPE_BOOL, DTYPE_INDEX, DTYPE_F16, DTYPE_BF16};
static const int widths[] = {1, 16};

static uint64_t random_state = 0x9e3779b97f4a7c15u;
static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t extend(Dtype dtype, uint64_t bits)
{
    uint64_t memory[2] = {0};
    memory_set(memory, dtype, 0, dtype == DTYPE_BOOL ? bits & 1 : bits);
    return memory_get(memory, dtype, 0);
}

static uint64_t of_double(Dtype dtype, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return dtype == DTYPE_F64 ? bits : scalar_evaluate(OP_cast, dtype, DTYPE_F64, &bits);
}

static const double special_reals[] = {
    0.0,  -0.0,     1.0,    -1.0,   0.5,     -0.5,  1.5,        2.5,           -2.5,         INFINITY, -INFINITY,
    NAN,  1e-40,    -1e-40, 3.4e38, -3.4e38, 65504, 65520,      448,           480,          57344,    0.0009765,
    1e-7, 16777217, 127,    128,    -128.7,  255.9, 2147483647, -2147483648.0, 4294967295.0, 9.3e18};
static const int64_t special_integers[] = {0,         1,         -1,    2,      -2,    3,         7,         8,
                                           15,        16,        31,    32,     63,    64,        127,       -128,
                                           255,       256,       32767, -32768, 65535, INT32_MAX, INT32_MIN, UINT32_MAX,
                                           INT64_MAX, INT64_MIN, 10,    -10,    100,   5,         -5,        1000};
enum { SPECIALS = 32 };

static uint64_t special(Dtype dtype, int number)
{
    return dtype_is_float(dtype) ? of_double(dtype, special_reals[number])
                                 : extend(dtype, (uint64_t)special_integers[number]);
}

/* The first elements pair every special value with every other, the rest is random bits. */
static uint64_t sample(Dtype dtype, int operand, int at)
{
    if (at < SPECIALS * 16)
        return special(dtype, operand == 0 ? at % SPECIALS : operand == 1 ? at / 16 : at * 7 % SPECIALS);
    if (dtype_is_float(dtype) && at % 2)
        return of_double(dtype, ldexp((double)(int64_t)random_bits(), -60 - (int)(random_bits() % 6)));
    return extend(dtype, random_bits());
}

static bool is_nan(Dtype dtype, uint64_t bits)
{
    const uint64_t wide = dtype == DTYPE_F64 ? bits : scalar_evaluate(OP_cast, DTYPE_F64, dtype, &bits);
    double value;
    memcpy(&value, &wide, sizeof value);
    return value != value;
}

static bool same(Dtype dtype, uint64_t a, uint64_t b)
{
    return a == b || (dtype_is_float(dtype) && is_nan(dtype, a) && is_nan(dtype, b));
}

/* One kernel: a loop over units of `lanes` elements that computes outputs from up to three inputs and a bool. */
typedef struct Case {
    Op op;
    Dtype operand, result;
    int constant; /* -1, or the special value that replaces the second operand */
} Case;

typedef struct Bench {
    Dtype dtype;
    int lanes, count, job;
    Case cases[OUTPUTS_MAX];
    Node *kernel, *inputs[4], *outputs[OUTPUTS_MAX];
} Bench;

static Bench *bench_make(Machine *machine, const TargetMachineInfo *target, Dtype dtype, int lanes, const Case *cases,
                         int count)
{
    Bench *const bench = NEW(machine->arena, Bench);
    *bench = (Bench){.dtype = dtype, .lanes = lanes, .count = count};
    Ir *const ir = machine->ir;
    Block *const body = block_make(ir), *const loop = block_make(ir);
    Node *const unit = make_for(machine, body, "unit", make_begin(machine), make_end(machine), 1, loop);
    Node *const offset = index_mul(ir, unit, index_const(ir, lanes));
    Node *loads[4];
    for (int i = 0; i < 4; i++) {
        bench->inputs[i] =
            machine_buffer(machine, arena_format(machine->arena, "in%d", i), i == 3 ? DTYPE_BOOL : dtype, ELEMENTS);
        loads[i] = make_load(machine, bench->inputs[i], offset, lanes);
    }
    for (int i = 0; i < count; i++) {
        const Case *const this = &bench->cases[i];
        bench->cases[i] = cases[i];
        bench->outputs[i] = machine_buffer(machine, arena_format(machine->arena, "out%d", i), this->result, ELEMENTS);
        Node *second = loads[1];
        if (this->constant >= 0)
            second = const_bits(ir, type_vector(dtype, lanes), special(dtype, this->constant));
        Node *const operands[3] = {this->op == OP_select ? loads[3] : loads[0], second, loads[2]};
        Node *const value = this->op == OP_cast ? cast_make(ir, loads[0], this->result)
                            : this->op == OP_bitcast
                                ? bitcast_make(ir, loads[0], this->result)
                                : node_make(ir, &(Node){.op = this->op,
                                                        .type = type_vector(this->result, lanes),
                                                        .inputs = operands,
                                                        .input_count = (uint32_t)scalar_arity(this->op)});
        make_store(machine, loop, bench->outputs[i], offset, value, NULL);
    }
    bench->kernel = machine_kernel(machine, dtype_info[dtype].name, body);
    bench->job = machine_add(machine, bench->kernel, target);
    return bench;
}

/* So small that a step on the way may be a denormal of f32. */
static bool is_tiny(Dtype dtype, uint64_t bits)
{
    const uint64_t wide = dtype == DTYPE_F64 ? bits : scalar_evaluate(OP_cast, DTYPE_F64, dtype, &bits);
    double value;
    memcpy(&value, &wide, sizeof value);
    return value != 0 && fabs(value) < 0x1p-120;
}

/* Machines that take denormals for zeros may give something else. */
static bool may_flush(const Case *this, const uint64_t *operands, uint64_t expected)
{
    bool tiny = dtype_is_float(this->result) && is_tiny(this->result, expected);
    for (int i = 0; i < 3 && dtype_is_float(this->operand); i++)
        tiny |= is_tiny(this->operand, operands[i]);
    return tiny;
}

/* Memory 4 + i holds output i; inputs that a kernel does not use are not among its parameters. */
static void call_elsewhere(Elsewhere *elsewhere, const Bench *bench, void *const *buffers, int count)
{
    CallMemory memories[4 + OUTPUTS_MAX];
    uint64_t owners[4 + OUTPUTS_MAX];
    for (int i = 0; i < count; i++) {
        memories[i] = (CallMemory){.bytes = ELEMENTS * sizeof(uint64_t)};
        owners[i] = (uint64_t)i;
    }
    const CallRequest request = {.kernel = (uint64_t)bench->job,
                                 .memories = (uint64_t)count,
                                 .buffers = (uint64_t)count,
                                 .pieces = 1,
                                 .scratch = 1 << 16};
    const CallPiece piece = {0, ELEMENTS / bench->lanes};
    CallAnswer answer = {0};
    cr_assert(elsewhere_call(elsewhere, &request, memories, buffers, owners, NULL, &piece, &answer));
    cr_assert_eq(answer.verdict, CALL_GOOD);
    cr_assert_eq(answer.error, 0);
}

static void bench_check(Machine *machine, const Bench *bench, Elsewhere *elsewhere)
{
    static uint64_t memory[4 + OUTPUTS_MAX][ELEMENTS];
    void *buffers[4 + OUTPUTS_MAX];
    memset(memory, 0, sizeof memory);
    for (int i = 0; i < 4; i++)
        for (int at = 0; at < ELEMENTS; at++)
            memory_set(memory[i], i == 3 ? DTYPE_BOOL : bench->dtype, at,
                       sample(i == 3 ? DTYPE_BOOL : bench->dtype, i, at));
    const int parameters = kernel_buffer_count(bench->kernel);
    for (int i = 0; i < parameters; i++) {
        buffers[i] = NULL;
        for (int j = 0; j < 4; j++)
            if (bench->kernel->inputs[i] == bench->inputs[j])
                buffers[i] = memory[j];
        for (int j = 0; j < bench->count; j++)
            if (bench->kernel->inputs[i] == bench->outputs[j])
                buffers[i] = memory[4 + j];
    }
    int32_t error = 0;
    const bool flushes = machine->jobs[bench->job].target->flushes;
    if (elsewhere)
        call_elsewhere(elsewhere, bench, buffers, parameters);
    else
        machine_function(machine, bench->job)(buffers, NULL, 0, ELEMENTS / bench->lanes, NULL, &error);
    for (int i = 0; i < bench->count; i++) {
        const Case *const this = &bench->cases[i];
        for (int at = 0; at < ELEMENTS; at++) {
            uint64_t operands[3];
            for (int j = 0; j < 3; j++)
                operands[j] = memory_get(memory[j], bench->dtype, at);
            if (this->constant >= 0)
                operands[1] = special(bench->dtype, this->constant);
            if (this->op == OP_select)
                operands[0] = memory_get(memory[3], DTYPE_BOOL, at);
            const uint64_t expected =
                extend(this->result, scalar_evaluate(this->op, this->result, this->operand, operands));
            const uint64_t got = memory_get(memory[4 + i], this->result, at);
            if (flushes && may_flush(this, operands, expected))
                continue;
            cr_expect(same(this->result, expected, got),
                      "%s %s -> %s x%d on %s (constant %d): (%lx, %lx, %lx) gives %lx, not %lx", op_name(this->op),
                      dtype_info[this->operand].name, dtype_info[this->result].name, bench->lanes,
                      machine->jobs[bench->job].target->name, this->constant, operands[0], operands[1], operands[2],
                      got, expected);
            if (!same(this->result, expected, got))
                break;
        }
    }
}

typedef int CaseMaker(Dtype dtype, Case *cases);

static void check_on(const TargetMachineInfo *const *targets, int target_total, bool here, const Dtype *dtypes,
                     int dtype_count, CaseMaker *make)
{
    Machine *const machine = machine_open();
    Bench *benches[MACHINE_JOBS];
    int count = 0;
    for (int t = 0; t < target_total; t++)
        for (int d = 0; d < dtype_count; d++)
            for (int w = 0; w < 2; w++) {
                Case cases[OUTPUTS_MAX * 4];
                const int total = make(dtypes[d], cases);
                for (int first = 0; first < total; first += OUTPUTS_MAX)
                    benches[count++] = bench_make(machine, targets[t], dtypes[d], widths[w], cases + first,
                                                  total - first < OUTPUTS_MAX ? total - first : OUTPUTS_MAX);
            }
    machine_compile(machine, 2);
    Elsewhere *elsewhere = NULL;
    if (here)
        machine_load(machine);
    else
        elsewhere = elsewhere_of_jobs(machine->ir, machine->jobs, machine->count);
    if (machine->diagnostics->error_count)
        diag_print(machine->diagnostics, stderr, false);
    cr_assert(here || elsewhere);
    for (int i = 0; i < count; i++)
        bench_check(machine, benches[i], elsewhere);
    if (elsewhere)
        elsewhere_close(elsewhere);
    machine_close(machine);
}

static void check_all(const Dtype *dtypes, int dtype_count, CaseMaker *make)
{
    const TargetMachineInfo *targets[8];
    check_on(targets, machine_targets(targets), true, dtypes, dtype_count, make);
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const target = target_at(i);
        if (target_runs_here(target) || target->family->system != SYSTEM_HOSTED)
            continue;
        const char *const missing = elsewhere_missing(target);
        if (missing)
            fprintf(stderr, "not run on %s: there is not %s\n", target->name, missing);
        else
            check_on(&target, 1, false, dtypes, dtype_count, make);
    }
}

/* ---- operations ---- */

static bool is_comparison(Op op)
{
    return op == OP_eq || op == OP_ne || op == OP_lt || op == OP_le || op == OP_gt || op == OP_ge || op == OP_isnan ||
           op == OP_isinf;
}

static int operation_cases(Dtype dtype, Case *cases)
{
    int count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const Op op = rows[i].op;
        if (!scalar_can_evaluate(op) || op == OP_cast || op == OP_bitcast || !(rows[i].classes & class_of(dtype)))
            continue;
        cases[count++] = (Case){op, dtype, is_comparison(op) ? DTYPE_BOOL : dtype, -1};
    }
    return count;
}

Test(scalar, every_operation_computes_what_the_interpreter_computes)
{
    check_all(arithmetic, sizeof arithmetic / sizeof *arithmetic, operation_cases);
}

/* Divisors, shifts and bounds that are known when compiling take other ways through codegen. */
static int constant_cases(Dtype dtype, Case *cases)
{
    static const Op ops[] = {OP_div, OP_rem, OP_floordiv, OP_mod, OP_min, OP_max, OP_shl, OP_shr, OP_mul, OP_copysign};
    int count = 0;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (!(rows[ops[i] - rows[0].op].classes & class_of(dtype)))
            continue;
        for (int constant = 0; constant < 20; constant++)
            cases[count++] = (Case){ops[i], dtype, dtype, constant};
    }
    return count;
}

Test(scalar, constant_operands_change_no_result)
{
    static const Dtype dtypes[] = {DTYPE_F32, DTYPE_F64, DTYPE_I8,    DTYPE_U16,
                                   DTYPE_I32, DTYPE_U32, DTYPE_INDEX, DTYPE_U64};
    check_all(dtypes, sizeof dtypes / sizeof *dtypes, constant_cases);
}

/* ---- casts ---- */

static int cast_cases(Dtype dtype, Case *cases)
{
    int count = 0;
    for (int to = 1; to < DTYPE_COUNT; to++) {
        if (to == DTYPE_STRING || to == (int)dtype)
            continue;
        cases[count++] = (Case){OP_cast, dtype, (Dtype)to, -1};
        if (dtype_info[to].bits == dtype_info[dtype].bits && dtype != DTYPE_BOOL && to != DTYPE_BOOL)
            cases[count++] = (Case){OP_bitcast, dtype, (Dtype)to, -1};
    }
    return count;
}

Test(scalar, every_cast_rounds_once_and_saturates)
{
    Dtype dtypes[DTYPE_COUNT];
    int count = 0;
    for (int dtype = 1; dtype < DTYPE_COUNT; dtype++)
        if (dtype != DTYPE_STRING)
            dtypes[count++] = (Dtype)dtype;
    check_all(dtypes, count, cast_cases);
}
