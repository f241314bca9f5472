/* links: lathe_codegen lathe_ir lathe_targets */
/* Every scalar operation on every dtype as text for every GPU level. The text must round as ir/scalar.def says: nothing
 * approximate, nothing flushed to zero, no product and sum that an assembler may join, no call of a library. Where
 * NVIDIA's assembler is found it must take the text too; without it that test is skipped by name. */
#include "codegen/ptxas.h"
#include "tests/codegen/machine.h"
#include "tests/codegen/scalars.h"

#include "ir/scalar.h"

enum { ELEMENTS = 64 };

static bool is_comparison(Op op)
{
    return op == OP_eq || op == OP_ne || op == OP_lt || op == OP_le || op == OP_gt || op == OP_ge || op == OP_isnan ||
           op == OP_isinf;
}

/* ---- kernels: out_i[unit] = op_i(in0[unit], in1[unit], in2[unit]) ---- */

typedef struct Maker {
    Machine *machine;
    Block *body;
    Node *offset, *loads[4];
    int lanes, count;
} Maker;

static Maker maker_open(Machine *machine, Dtype dtype, int lanes)
{
    Ir *const ir = machine->ir;
    Maker maker = {.machine = machine, .body = block_make(ir), .lanes = lanes};
    maker.offset = index_mul(ir, make_begin(machine), index_const(ir, lanes));
    for (int i = 0; i < 4; i++) {
        Node *const buffer =
            machine_buffer(machine, arena_format(machine->arena, "in%d", i), i == 3 ? DTYPE_BOOL : dtype, ELEMENTS);
        maker.loads[i] = make_load(machine, buffer, maker.offset, lanes);
    }
    return maker;
}

static void maker_store(Maker *maker, Node *value)
{
    Node *const out = machine_buffer(maker->machine, arena_format(maker->machine->arena, "out%d", maker->count++),
                                     value->type.dtype, ELEMENTS);
    make_store(maker->machine, maker->body, out, maker->offset, value, NULL);
}

static void maker_add(Maker *maker, Op op, Dtype result)
{
    Ir *const ir = maker->machine->ir;
    Node *const operands[3] = {op == OP_select ? maker->loads[3] : maker->loads[0], maker->loads[1], maker->loads[2]};
    maker_store(maker, op == OP_cast      ? cast_make(ir, maker->loads[0], result)
                       : op == OP_bitcast ? bitcast_make(ir, maker->loads[0], result)
                                          : node_make(ir, &(Node){.op = op,
                                                                  .type = type_vector(result, maker->lanes),
                                                                  .inputs = (Node **)(uintptr_t)operands,
                                                                  .input_count = (uint32_t)scalar_arity(op)}));
}

static Node *maker_kernel(Maker *maker, const char *name)
{
    return machine_kernel(maker->machine, name, maker->body);
}

/* All operations of a dtype, or all casts from it. */
static Node *kernel_of_operations(Machine *machine, Dtype dtype, int lanes)
{
    Maker maker = maker_open(machine, dtype, lanes);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const Op op = rows[i].op;
        if (scalar_can_evaluate(op) && op != OP_cast && op != OP_bitcast && (rows[i].classes & class_of(dtype)))
            maker_add(&maker, op, is_comparison(op) ? DTYPE_BOOL : dtype);
    }
    return maker_kernel(&maker, arena_format(machine->arena, "ops_%s", dtype_info[dtype].name));
}

static Node *kernel_of_casts(Machine *machine, Dtype dtype, int lanes)
{
    Maker maker = maker_open(machine, dtype, lanes);
    for (int to = 1; to < DTYPE_COUNT; to++) {
        if (to == DTYPE_STRING || to == (int)dtype)
            continue;
        maker_add(&maker, OP_cast, (Dtype)to);
        if (dtype_info[to].bits == dtype_info[dtype].bits && dtype != DTYPE_BOOL && to != DTYPE_BOOL)
            maker_add(&maker, OP_bitcast, (Dtype)to);
    }
    return maker_kernel(&maker, arena_format(machine->arena, "casts_%s", dtype_info[dtype].name));
}

/* ---- what the text must not hold ---- */

static bool is_forbidden(const char *line)
{
    static const char *const words[] = {".approx", ".ftz", ".sat", ".extern .func", "__nv_", "trap;"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(line, words[i]))
            return true;
    /* Without a rounding these are the assembler's to contract. */
    static const char *const contracted[] = {"\tmul.f", "\tadd.f", "\tsub.f", "\tmad.f", "\tdiv.f", "\tsqrt.f"};
    for (size_t i = 0; i < sizeof contracted / sizeof *contracted; i++)
        if (strstr(line, contracted[i]))
            return true;
    return false;
}

static void expect_exact(const char *text, const char *kernel, const char *level)
{
    char *const copy = strdup(text);
    int lines = 0;
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"), lines++)
        cr_expect(!is_forbidden(line), "%s for %s: %s", kernel, level, line);
    cr_expect_gt(lines, 10);
    free(copy);
}

static bool is_value(Dtype dtype)
{
    return dtype != DTYPE_STRING;
}

static int add_kernels(Machine *machine, const TargetMachineInfo *target, int lanes)
{
    static const Dtype arithmetic[] = {DTYPE_F32, DTYPE_F64, DTYPE_I8,  DTYPE_U8,   DTYPE_I16,   DTYPE_U16, DTYPE_I32,
                                       DTYPE_U32, DTYPE_I64, DTYPE_U64, DTYPE_BOOL, DTYPE_INDEX, DTYPE_F16, DTYPE_BF16};
    for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++)
        machine_add(machine, kernel_of_operations(machine, arithmetic[i], lanes), target);
    for (int dtype = 1; dtype < DTYPE_COUNT; dtype++)
        if (is_value((Dtype)dtype))
            machine_add(machine, kernel_of_casts(machine, (Dtype)dtype, lanes), target);
    return machine->count;
}

static void compile_all(const Assembler *assembler, int lanes)
{
    for (int i = 0; i < target_count(); i++) {
        const TargetMachineInfo *const target = target_at(i);
        if (!target->gpu)
            continue;
        Machine *const machine = machine_open();
        const int count = add_kernels(machine, target, lanes);
        const WorkerOptions options = {.workers = 3, .assembler = assembler};
        const bool compiled = compile_kernels(machine->ir, machine->jobs, count, &options);
        if (!compiled)
            diag_print(machine->diagnostics, stderr, false);
        cr_assert(compiled, "%s, %d lanes", target->name, lanes);
        for (int k = 0; k < count; k++) {
            const DeviceImage image = device_image_unpack(machine->jobs[k].object);
            const char *const text =
                arena_format(machine->arena, "%.*s", (int)image.text.bytes, (const char *)image.text.data);
            expect_exact(text, machine->jobs[k].kernel->payload.kernel->name, target->name);
            cr_expect_eq(image.binary.bytes > 0, assembler != NULL);
        }
        machine_close(machine);
    }
}

Test(ptx, every_operation_is_exact_text_for_every_level)
{
    compile_all(NULL, 1);
    compile_all(NULL, 16);
}

Test(ptx, the_assembler_takes_every_operation)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Assembler assembler;
    if (!ptxas_find(arena, &assembler))
        cr_skip_test("ptxas was not found: nothing is assembled");
    compile_all(&assembler, 4);
    arena_close(arena);
}

/* ---- which instruction an operation is ---- */

static const struct {
    Op op;
    Dtype from, to;
    const char *instruction;
} instructions[] = {
    {OP_add, DTYPE_F32, DTYPE_F32, "add.rn.f32"},        {OP_sub, DTYPE_F32, DTYPE_F32, "sub.rn.f32"},
    {OP_mul, DTYPE_F32, DTYPE_F32, "mul.rn.f32"},        {OP_div, DTYPE_F32, DTYPE_F32, "div.rn.f32"},
    {OP_fma, DTYPE_F32, DTYPE_F32, "fma.rn.f32"},        {OP_sqrt, DTYPE_F32, DTYPE_F32, "sqrt.rn.f32"},
    {OP_floor, DTYPE_F32, DTYPE_F32, "cvt.rmi.f32.f32"}, {OP_ceil, DTYPE_F32, DTYPE_F32, "cvt.rpi.f32.f32"},
    {OP_trunc, DTYPE_F32, DTYPE_F32, "cvt.rzi.f32.f32"}, {OP_round, DTYPE_F32, DTYPE_F32, "cvt.rni.f32.f32"},
    {OP_abs, DTYPE_F32, DTYPE_F32, "abs.f32"},           {OP_neg, DTYPE_F32, DTYPE_F32, "neg.f32"},
    {OP_add, DTYPE_F64, DTYPE_F64, "add.rn.f64"},        {OP_mul, DTYPE_F64, DTYPE_F64, "mul.rn.f64"},
    {OP_div, DTYPE_F64, DTYPE_F64, "div.rn.f64"},        {OP_fma, DTYPE_F64, DTYPE_F64, "fma.rn.f64"},
    {OP_sqrt, DTYPE_F64, DTYPE_F64, "sqrt.rn.f64"},      {OP_round, DTYPE_F64, DTYPE_F64, "cvt.rni.f64.f64"},
    {OP_cast, DTYPE_F32, DTYPE_F16, "cvt.rn.f16.f32"},   {OP_cast, DTYPE_F16, DTYPE_F32, "cvt.f32.f16"},
    {OP_cast, DTYPE_F64, DTYPE_F32, "cvt.rn.f32.f64"},   {OP_cast, DTYPE_F32, DTYPE_F64, "cvt.f64.f32"},
    {OP_cast, DTYPE_I32, DTYPE_F32, "cvt.rn.f32.s32"},   {OP_cast, DTYPE_U64, DTYPE_F32, "cvt.rn.f32.u64"},
    {OP_cast, DTYPE_F32, DTYPE_I32, "cvt.rzi.s32.f32"},  {OP_add, DTYPE_F16, DTYPE_F16, "add.rn.f16"},
};

Test(ptx, rounding_is_the_one_of_the_interpreter)
{
    for (int i = 0; i < target_count(); i++)
        for (size_t k = 0; target_at(i)->gpu && k < sizeof instructions / sizeof *instructions; k++) {
            Machine *const machine = machine_open();
            Maker maker = maker_open(machine, instructions[k].from, 1);
            maker_add(&maker, instructions[k].op, instructions[k].to);
            const ObjectRequest request = {.kernel = maker_kernel(&maker, "one"),
                                           .target = target_at(i),
                                           .symbol = "one",
                                           .format = FORMAT_ASSEMBLY};
            ObjectBytes text;
            cr_assert(object_make(machine->ir, machine->arena, &request, &text));
            cr_expect(strstr(text.data, instructions[k].instruction), "%s for %s: %s", instructions[k].instruction,
                      target_at(i)->name, (const char *)text.data);
            machine_close(machine);
        }
}
