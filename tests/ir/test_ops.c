/* The operator table: values against ONNX's reference evaluator (op_tables.h), inferred types, and what hostile nodes are told. */
#include "ir/interpret.h"
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/ops/lower.h"
#include "ir/ops/scalar_text.h"
#include "ir/read.h"
#include "ir/scalar.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct TableTensor {
    const char *dtype; /* NULL: omitted */
    int rank;
    int64_t dims[6];
    const void *data;
    bool constant;
} TableTensor;

typedef struct TableCase {
    const char *name, *text;
    int input_count;
    TableTensor inputs[5];
    int output_count;
    TableTensor outputs[3];
    double tolerance; /* 0: by dtype */
} TableCase;

#include "op_tables.h"

enum { CASE_COUNT = sizeof table_cases / sizeof *table_cases };
static const char *const letters[] = {"x", "y", "z", "w", "v"};

/* ---- making nodes from text ---- */

typedef struct Bench {
    Ir *ir;
    Environment environment;
    Block *kernels;
    int input_count;
    Node *inputs[16]; /* buffers of inputs and constants */
    Memory memory[16];
    bool symbolic;    /* extents above 1 of inputs are symbols, equal ones the same */
    int symbol_count;
    SymbolValue symbols[32];
} Bench;

static Node *make_operator(void *context, Op op, Node **inputs, int count, int output_count, const Attribute *attributes, int attribute_count)
{
    return tensor_make(context, op, inputs, count, output_count, attributes, attribute_count);
}

static Bench bench_open(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Bench bench = {.ir = ir_open(arena, diagnostics_open(arena))};
    bench.environment = (Environment){.file = "test", .names = names_open(arena), .symbols = true, .make_tensor = make_operator, .context = bench.ir};
    bench.kernels = block_make(bench.ir);
    return bench;
}

static void bench_close(Bench *bench)
{
    arena_close(bench->ir->arena);
}

static void bench_bind(Bench *bench, int i, Node *node)
{
    names_bind(bench->environment.names, name_intern(bench->ir->arena, letters[i]), node);
}

static Node *bench_build(Bench *bench, const char *text, int outputs)
{
    const Sexpr *const tree = sexpr_read(bench->ir->arena, bench->ir->diagnostics, "test", text);
    bench->environment.output_count = outputs;
    return tree ? expression_build(bench->ir, tree, &bench->environment) : NULL;
}

/* ---- running nodes ---- */

/* The symbol that stands for all extents of this value. */
static Node *extent_symbol(Bench *bench, int64_t extent)
{
    Ir *const ir = bench->ir;
    Node *const symbol = symbol_make(ir, name_intern(ir->arena, arena_format(ir->arena, "e%d", (int)extent)));
    for (int i = 0; i < bench->symbol_count; i++)
        if (bench->symbols[i].symbol == symbol)
            return symbol;
    cr_assert(bench->symbol_count < 32);
    bench->symbols[bench->symbol_count++] = (SymbolValue){symbol, extent};
    return symbol;
}

static Type table_type(Bench *bench, const TableTensor *tensor)
{
    Node *dims[6];
    for (int i = 0; i < tensor->rank; i++) {
        const bool symbolic = bench->symbolic && !tensor->constant && tensor->dims[i] > 1;
        dims[i] = symbolic ? extent_symbol(bench, tensor->dims[i]) : index_const(bench->ir, tensor->dims[i]);
    }
    return type_tensor(bench->ir, dtype_from_name(tensor->dtype), tensor->rank, dims);
}

static bool type_fits(Bench *bench, Type type, const TableTensor *expected)
{
    bool fits = type.dtype == dtype_from_name(expected->dtype) && type.rank == expected->rank;
    for (int i = 0; fits && i < type.rank; i++)
        fits = index_evaluate(type.dims[i], bench->symbols, bench->symbol_count) == expected->dims[i];
    return fits;
}

static int64_t table_elements(const TableTensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->dims[i];
    return count;
}

static uint64_t table_bytes(const TableTensor *tensor)
{
    return (uint64_t)table_elements(tensor) * (uint64_t)dtype_info[dtype_from_name(tensor->dtype)].bits / 8;
}

static Node *add_input(Bench *bench, Type type, const void *data, uint64_t bytes)
{
    cr_assert(bench->input_count < 16);
    const int number = bench->input_count++;
    bench->memory[number] = (Memory){(void *)data, bytes};
    return bench->inputs[number] = buffer_make(bench->ir, type, &(Buffer){.name = "in", .place = PLACE_INPUT, .number = number});
}

/* A buffer with the value of `node`; for a node with several outputs, `outputs` has its buffers. Operators lie a few deep here. */
static Node *evaluate(Bench *bench, Node *node, Node **outputs)
{
    Ir *const ir = bench->ir;
    Node *buffers[16] = {0};
    if (node->op == OP_input || node->op == OP_constant) {
        for (int i = 0; i < bench->input_count; i++)
            if (bench->inputs[i]->payload.buffer->name == (node->op == OP_input ? node->payload.name : NULL))
                return bench->inputs[i];
        const Constant *const constant = node->payload.constant;
        return add_input(bench, node->type, constant->data, constant->bytes);
    }
    if (op_row(node)->meaning.form == MEANING_EXPAND_BY) {
        Node *expanded[4];
        cr_assert(op_row(node)->meaning.expand(ir, node, expanded));
        return evaluate(bench, expanded[0], outputs);
    }
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!is_omitted(node->inputs[i]))
            buffers[i] = evaluate(bench, node->inputs[i], NULL);
    const int count = node->result_count > 1 ? node->result_count : 1;
    Node *made[4];
    for (int i = 0; i < count; i++) {
        const Buffer buffer = {.name = "out", .place = outputs ? PLACE_OUTPUT : PLACE_TEMP, .number = i};
        made[i] = buffer_make(ir, node_result(node, i)->type, &buffer);
        if (outputs)
            outputs[i] = made[i];
    }
    cr_assert(node_lower(ir, node, buffers, made, bench->kernels));
    return made[0];
}

static const double tolerances[DTYPE_COUNT] = {[DTYPE_F32] = 4e-6, [DTYPE_F64] = 1e-12, [DTYPE_F16] = 2e-3};

static double element_double(Dtype dtype, const void *data, int64_t i)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    const uint64_t bits = element_bits((const char *)data + i * dtype_info[dtype].bits / 8, dtype);
    const double value = const_as_double(const_bits(ir, type_scalar(dtype), bits));
    arena_close(arena);
    return value;
}

static void compare(const TableCase *row, const TableTensor *expected, const void *data)
{
    const Dtype dtype = dtype_from_name(expected->dtype);
    const double tolerance = row->tolerance > 0 ? row->tolerance : tolerances[dtype];
    for (int64_t i = 0; i < table_elements(expected); i++) {
        const double want = element_double(dtype, expected->data, i), have = element_double(dtype, data, i);
        const bool same = (isnan(want) && isnan(have)) || want == have || fabs(want - have) <= tolerance * (1 + fabs(want));
        if (!same) {
            cr_expect(same, "%s: element %lld is %.9g, expected %.9g", row->name, (long long)i, have, want);
            return;
        }
    }
}

static Node *table_node(Bench *bench, const TableCase *row)
{
    Ir *const ir = bench->ir;
    for (int i = 0; i < row->input_count; i++) {
        const TableTensor *const tensor = &row->inputs[i];
        if (!tensor->dtype)
            continue;
        const Type type = table_type(bench, tensor);
        if (tensor->constant) {
            Constant *const constant = NEW(ir->arena, Constant);
            *constant = (Constant){.data = tensor->data, .bytes = table_bytes(tensor)};
            bench_bind(bench, i, constant_make(ir, type, constant));
            continue;
        }
        const Name name = name_intern(ir->arena, letters[i]);
        add_input(bench, type, tensor->data, table_bytes(tensor))->payload.buffer->name = name;
        bench_bind(bench, i, input_make(ir, name, type));
    }
    return bench_build(bench, row->text, row->output_count);
}

static void schedule_all(Bench *bench, const LoopsSchedule *schedule)
{
    for (int i = 0; i < bench->kernels->count; i++)
        bench->kernels->nodes[i] = loops_schedule(bench->ir, bench->kernels->nodes[i], schedule);
}

/* Runs one case; false when the operator asks for dims that are known at compile time. */
static bool run_case(const TableCase *row, const LoopsSchedule *schedule, bool symbolic)
{
    Bench bench = bench_open();
    Node *outputs[4];
    Memory results[4];
    bench.symbolic = symbolic;
    Node *const node = table_node(&bench, row);
    if (!node && symbolic && bench.ir->diagnostics->code == EXIT_UNSUPPORTED) {
        bench_close(&bench);
        return false;
    }
    if (!node)
        diag_print(bench.ir->diagnostics, stderr, false);
    cr_assert(node, "%s cannot be made", row->name);
    for (int i = 0; i < row->output_count; i++) {
        const TableTensor *const expected = &row->outputs[i];
        const Type type = node_result(node, i)->type;
        cr_assert(type_fits(&bench, type, expected), "%s: output %d is %s", row->name, i, type_text(bench.ir, type));
        results[i] = (Memory){calloc(1, table_bytes(expected) + 1), table_bytes(expected)};
    }
    if (node->op == OP_constant) { /* known when it was made: pow(x, 0) */
        cr_expect(node->payload.constant->bytes == results[0].bytes, "%s has another size", row->name);
        compare(row, &row->outputs[0], node->payload.constant->data);
        free(results[0].data);
        bench_close(&bench);
        return true;
    }
    evaluate(&bench, node, outputs);
    schedule_all(&bench, schedule);
    const Module module = {.name = "test", .input_count = bench.input_count, .inputs = bench.inputs, .output_count = row->output_count, .outputs = outputs, .body = bench.kernels};
    int32_t error = 0;
    const int32_t code = interpret_module(bench.ir, &module, bench.memory, results, bench.symbols, bench.symbol_count, NULL, &error);
    if (code)
        diag_print(bench.ir->diagnostics, stderr, false);
    cr_expect(code == INTERPRET_OK && error == 0, "%s ends with %d, error %d", row->name, code, error);
    for (int i = 0; i < row->output_count; i++) {
        compare(row, &row->outputs[i], results[i].data);
        free(results[i].data);
    }
    bench_close(&bench);
    return true;
}

static bool chosen(const char *name)
{
    const char *const only = getenv("CASE");
    return !only || strstr(name, only);
}

Test(ops, scalar_loops_equal_the_reference)
{
    for (int i = 0; i < CASE_COUNT; i++)
        if (chosen(table_cases[i].name))
            cr_expect(run_case(&table_cases[i], &(LoopsSchedule){.lanes = 1}, false));
}

Test(ops, wide_loops_equal_the_reference)
{
    for (int i = 0; i < CASE_COUNT; i++)
        if (chosen(table_cases[i].name))
            cr_expect(run_case(&table_cases[i], &(LoopsSchedule){.lanes = 1024, .any_tail = true}, false));
}

/* Only where extents decide what is computed must they be known: antialiasing filters and kept aspect ratios of Resize. */
Test(ops, symbolic_dims_give_the_same_values)
{
    int refused = 0;
    for (int i = 0; i < CASE_COUNT; i++)
        if (chosen(table_cases[i].name) && !run_case(&table_cases[i], &(LoopsSchedule){.lanes = 8}, true)) {
            cr_expect(strstr(table_cases[i].text, "antialias") || strstr(table_cases[i].text, "aspect"), "%s is refused", table_cases[i].name);
            refused++;
        }
    cr_expect(refused < 8);
}

/* ---- types and errors ---- */

/* The tensor types in `text`, one after the other: "f32[1,N] i64[2]". */
static int types_read(Bench *bench, const char *text, Type *types)
{
    const Sexpr *const tree = sexpr_read_all(bench->ir->arena, bench->ir->diagnostics, "test", text, strlen(text));
    cr_assert(tree && tree->count % 2 == 0, "%s", text);
    for (int i = 0; i < tree->count / 2; i++)
        cr_assert(tensor_type_build(bench->ir, &tree->items[2 * i], &tree->items[2 * i + 1], &bench->environment, &types[i]), "%s", text);
    return tree->count / 2;
}

static Node *typed_node(Bench *bench, const char *text, const char *inputs)
{
    Type types[5];
    const int count = types_read(bench, inputs, types);
    for (int i = 0; i < count; i++)
        bench_bind(bench, i, input_make(bench->ir, name_intern(bench->ir->arena, letters[i]), types[i]));
    return bench_build(bench, text, 1);
}

typedef struct TypeRow {
    const char *text, *inputs, *expected;
} TypeRow;
static const TypeRow type_rows[] = {
    /* node                                                            inputs                        result */
    {"(Conv x y :pads [1 1 1 1])",                                     "f32[N,3,H,W] f32[8,3,3,3]",  "f32[N,8,H,W]"},
    {"(Conv x y :strides [2 2])",                                      "f32[N,3,H,W] f32[8,3,1,1]",  "f32[N,8,(add 1 (floordiv H-1 2)),(add 1 (floordiv W-1 2))]"},
    {"(Conv x y :auto_pad \"SAME_UPPER\" :strides [2])",               "f32[1,3,L] f32[8,3,5]",      "f32[1,8,(floordiv L+1 2)]"},
    {"(Conv x y :group 4)",                                            "f32[1,8,5,5] f32[12,2,5,5]", "f32[1,12,1,1]"},
    {"(MaxPool x :kernel_shape [3 3] :strides [2 2] :pads [1 1 1 1])", "f32[1,64,112,112]",          "f32[1,64,56,56]"},
    {"(MaxPool x :kernel_shape [2] :strides [2] :ceil_mode 1)",        "f32[1,1,5]",                 "f32[1,1,3]"},
    {"(AveragePool x :kernel_shape [1] :strides [3] :ceil_mode 1 :pads [0 2])", "f32[1,1,3]",        "f32[1,1,1]"},
    {"(GlobalAveragePool x)",                                          "f16[N,C,H,W]",               "f16[N,C,1,1]"},
    {"(MatMul x y)",                                                   "f32[B,1,M,K] f32[7,K,5]",    "f32[B,7,M,5]"},
    {"(MatMul x y)",                                                   "f32[K] f32[K]",              "f32[]"},
    {"(Gemm x y z :transA 1)",                                         "f32[K,M] f32[K,4] f32[1,4]", "f32[M,4]"},
    {"(ReduceSum x)",                                                  "f32[A,B]",                   "f32[1,1]"},
    {"(ReduceSum x :keepdims 0)",                                      "f32[A,B]",                   "f32[]"},
    {"(ArgMax x :axis 1 :keepdims 0)",                                 "f32[A,3,B]",                 "i64[A,B]"},
    {"(Softmax x)",                                                    "f32[A,B]",                   "f32[A,B]"},
    {"(Cast x :to 10)",                                                "f32[A,B]",                   "f16[A,B]"},
    {"(Pow x y)",                                                      "f32[A,1] i64[3]",            "f32[A,3]"},
};

Test(ops, types_follow_symbolic_dims)
{
    for (size_t i = 0; i < sizeof type_rows / sizeof *type_rows; i++) {
        const TypeRow *const row = &type_rows[i];
        Bench bench = bench_open();
        Type expected;
        Node *const node = typed_node(&bench, row->text, row->inputs);
        if (!node)
            diag_print(bench.ir->diagnostics, stderr, false);
        cr_assert(node, "%s cannot be made", row->text);
        cr_assert(types_read(&bench, row->expected, &expected) == 1);
        cr_expect(type_equal(node->type, expected), "%s of %s is %s", row->text, row->inputs, type_text(bench.ir, node->type));
        bench_close(&bench);
    }
}

/* NumPy: len(range(n)[start:-99:step]). */
Test(ops, slices_that_go_down_leave_nothing_of_an_empty_axis)
{
    static const struct {
        int64_t start, step, extent, expected;
    } rows[] = {{-1, -1, 0, 0}, {-1, -1, 5, 5}, {5, -2, 0, 0}, {5, -2, 1, 1}, {5, -2, 3, 2}, {5, -2, 9, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        Ir *const ir = bench.ir;
        Node *const n = symbol_make(ir, name_intern(ir->arena, "N"));
        Node *const x = input_make(ir, name_intern(ir->arena, "x"), type_tensor(ir, DTYPE_F32, 1, &n));
        Node *const start = constant_ints(ir, &rows[i].start, 1), *const end = constant_ints(ir, (int64_t[]){-99}, 1);
        Node *const axis = constant_ints(ir, (int64_t[]){0}, 1), *const step = constant_ints(ir, &rows[i].step, 1);
        Node *const slice = tensor_make(ir, OP_Slice, (Node *[]){x, start, end, axis, step}, 5, 1, NULL, 0);
        cr_assert_not_null(slice);
        cr_expect_eq(index_evaluate(slice->type.dims[0], &(SymbolValue){n, rows[i].extent}, 1), rows[i].expected,
                     "row %zu: %s", i, type_text(ir, slice->type));
        bench_close(&bench);
    }
}

typedef struct ErrorRow {
    const char *text, *inputs;
    int code;
    const char *says;
} ErrorRow;
static const ErrorRow error_rows[] = {
    /* node                                                    inputs                             exit code        part of the message */
    {"(Conv x y)",                                             "f32[1,3,5,5] f32[4,2,3,3]",       EXIT_MALFORMED,  "3 is not 2"},
    {"(Conv x y)",                                             "f32[1,3,5,5] f32[4,3,3]",         EXIT_MALFORMED,  "has 4 dimensions but the weight f32[4,3,3] has 3"},
    {"(Conv x y)",                                             "f32[1,3] f32[4,3]",               EXIT_MALFORMED,  "[N,C,spatial...]"},
    {"(Conv x y)",                                             "f32[1,3,5,5] f64[4,3,3,3]",       EXIT_MALFORMED,  "must agree"},
    {"(Conv x y z)",                                           "f32[1,3,5] f32[4,3,3] f32[5]",    EXIT_MALFORMED,  "5 is not 4"},
    {"(Conv x y z)",                                           "f32[1,3,5] f32[4,3,3] f32[1,4]",  EXIT_MALFORMED,  "1 dimension, not 2"},
    {"(Conv x y :strides [2 2 2])",                            "f32[1,3,5,5] f32[4,3,3,3]",       EXIT_MALFORMED,  "strides has 3 values"},
    {"(Conv x y :strides [0 1])",                              "f32[1,3,5,5] f32[4,3,3,3]",       EXIT_MALFORMED,  "strides[0] is 0"},
    {"(Conv x y :dilations [1 -1])",                           "f32[1,3,5,5] f32[4,3,3,3]",       EXIT_MALFORMED,  "dilations[1] is -1"},
    {"(Conv x y :dilations [9223372036854775807 1])",          "f32[1,3,5,5] f32[4,3,3,3]",       EXIT_MALFORMED,  "dilations[0] is 9223372036854775807"},
    {"(Conv x y :pads [0 0 -1 0])",                            "f32[1,3,5,5] f32[4,3,3,3]",       EXIT_MALFORMED,  "pads[2] is -1"},
    {"(Conv x y :pads [1 1])",                                 "f32[1,3,5,5] f32[4,3,3,3]",       EXIT_MALFORMED,  "need 4"},
    {"(Conv x y)",                                             "f32[1,3,5,2] f32[4,3,3,3]",       EXIT_MALFORMED,  "1 larger than the padded input"},
    {"(Conv x y :group 0)",                                    "f32[1,3,5] f32[4,3,3]",           EXIT_MALFORMED,  "group is 0"},
    {"(Conv x y :group 3)",                                    "f32[1,6,5] f32[4,2,3]",           EXIT_MALFORMED,  "3 groups do not divide"},
    {"(Conv x y :kernel_shape [3 2])",                         "f32[1,3,5,5] f32[4,3,3,3]",       EXIT_MALFORMED,  "2 is not 3"},
    {"(Conv x y :kernel_shape [3])",                           "f32[1,3,5,5] f32[4,3,3,3]",       EXIT_MALFORMED,  "kernel_shape has 1 values"},
    {"(Conv x y :auto_pad \"SAME\")",                          "f32[1,3,5] f32[4,3,3]",           EXIT_MALFORMED,  "auto_pad 'SAME'"},
    {"(Conv x y)",                                             "f32[1,3,5] f32[4,3,0]",           EXIT_MALFORMED,  "empty spatial dimension"},
    {"(MaxPool x)",                                            "f32[1,3,5]",                      EXIT_MALFORMED,  "kernel_shape"},
    {"(MaxPool x :kernel_shape [3 3])",                        "f32[1,3,5]",                      EXIT_MALFORMED,  "kernel_shape has 2 values"},
    {"(AveragePool x :kernel_shape [6])",                      "f32[1,3,5]",                      EXIT_MALFORMED,  "larger than the padded input"},
    {"(MatMul x y)",                                           "f32[2,3] f32[4,2]",               EXIT_MALFORMED,  "3 is not 4"},
    {"(MatMul x y)",                                           "f32[2,2,3] f32[3,3,2]",           EXIT_MALFORMED,  "2 is not 3"},
    {"(MatMul x y)",                                           "f32[] f32[4,2]",                  EXIT_MALFORMED,  "no scalars"},
    {"(MatMul x y)",                                           "f32[2,3] i32[3,2]",               EXIT_MALFORMED,  "must agree"},
    {"(Gemm x y)",                                             "f32[2,3,1] f32[3,2]",             EXIT_MALFORMED,  "takes matrices"},
    {"(Gemm x y z)",                                           "f32[2,3] f32[3,4] f32[3]",        EXIT_MALFORMED,  "3 is not 4"},
    {"(Gemm x y :alpha 0.5)",                                  "i32[2,3] i32[3,4]",               EXIT_UNSUPPORTED, "no whole number"},
    {"(ReduceSum x y)",                                        "f32[2,3] i64[K]",                 EXIT_UNSUPPORTED, "known at compile time"},
    {"(ReduceSum x (Constant :value_ints [2]))",               "f32[2,3]",                        EXIT_MALFORMED,  "axis 2"},
    {"(ReduceSum x (Constant :value_ints [1 -1]))",            "f32[2,3]",                        EXIT_MALFORMED,  "listed twice"},
    {"(ArgMax x :axis 1)",                                     "f32[2,0]",                        EXIT_MALFORMED,  "empty"},
    {"(Softmax x :axis 2)",                                    "f32[2,3]",                        EXIT_MALFORMED,  "axis 2"},
    {"(Softmax x)",                                            "f32[]",                           EXIT_MALFORMED,  "axis -1"},
    {"(BatchNormalization x y y y y)",                         "f32[2,3,4] f32[4]",               EXIT_MALFORMED,  "4 is not 3"},
    {"(LayerNormalization x y)",                               "f32[2,3] f32[2]",                 EXIT_MALFORMED,  "2 is not 3"},
    {"(LayerNormalization x y)",                               "f32[2,3] f32[1,1,3]",             EXIT_MALFORMED,  "does not broadcast"},
    {"(LayerNormalization x y :stash_type 7)",                 "f32[2,3] f32[3]",                 EXIT_UNSUPPORTED, "stash_type that is no"},
    {"(Resize x)",                                             "f32[1,1,2]",                      EXIT_MALFORMED,  "has none"},
    {"(Resize x _ (Constant :value_floats [:floats 1 2]))",    "f32[1,1,2]",                      EXIT_MALFORMED,  "list of 3 values"},
    {"(Resize x _ (Constant :value_floats [:floats 1 1 -2]))", "f32[1,1,2]",                      EXIT_MALFORMED,  "scale -2"},
    {"(Resize x _ (Constant :value_floats [:floats 1 1 0.25]))", "f32[1,1,2]",                    EXIT_MALFORMED,  "extent 0"},
    {"(Resize x _ _ (Constant :value_ints [1 1 4]) :mode \"best\")", "f32[1,1,2]",                EXIT_MALFORMED,  "'best'"},
    {"(Resize x _ _ (Constant :value_ints [4 4]) :axes [1 1])", "f32[1,1,2]",                     EXIT_MALFORMED,  "resized twice"},
    {"(Resize x _ _ (Constant :value_ints [1 1 4]) :coordinate_transformation_mode \"tf_crop_and_resize\")", "f32[1,1,2]", EXIT_MALFORMED, "roi"},
    {"(Clip x y)",                                             "f32[2] f32[2]",                   EXIT_MALFORMED,  "must be a scalar"},
    {"(Cast x :to 8)",                                         "f32[2]",                          EXIT_UNSUPPORTED, "type 8"},
};

Test(ops, hostile_nodes_are_refused_with_both_values)
{
    for (size_t i = 0; i < sizeof error_rows / sizeof *error_rows; i++) {
        const ErrorRow *const row = &error_rows[i];
        Bench bench = bench_open();
        const Node *const node = typed_node(&bench, row->text, row->inputs);
        const Diagnostics *const said = bench.ir->diagnostics;
        cr_expect(!node && said->first, "%s of %s is accepted", row->text, row->inputs);
        if (said->first) {
            cr_expect(said->code == row->code, "%s: code %d", row->text, said->code);
            cr_expect(strstr(said->first->text, row->says), "%s says: %s", row->text, said->first->text);
        }
        bench_close(&bench);
    }
}

/* Padding that is proven absent leaves no guard behind; with symbolic dims too. */
Test(ops, guards_vanish_without_padding)
{
    static const TypeRow rows[] = {
        {"(Conv x y)", "f32[N,3,9,9] f32[8,3,3,3]", "no"},
        {"(Conv x y :strides [2 2])", "f32[N,3,H,W] f32[8,3,1,1]", "no"},
        {"(Conv x y :pads [1 1 1 1])", "f32[N,3,9,9] f32[8,3,3,3]", "yes"},
        {"(MaxPool x :kernel_shape [2 2] :strides [2 2])", "f32[N,3,8,8]", "no"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Bench bench = bench_open();
        Node *inputs[2], *node = typed_node(&bench, rows[i].text, rows[i].inputs);
        cr_assert(node);
        for (uint32_t j = 0; j < node->input_count; j++)
            inputs[j] = buffer_make(bench.ir, node->inputs[j]->type, &(Buffer){.name = "in", .place = PLACE_INPUT});
        Node *output = buffer_make(bench.ir, node->type, &(Buffer){.name = "out", .place = PLACE_OUTPUT});
        cr_assert(node_lower(bench.ir, node, inputs, &output, bench.kernels));
        Node *value = stage_value(kernel_stages(bench.kernels->nodes[0])->nodes[0]);
        int count, guards = 0;
        Node **const order = nodes_topological(bench.ir, &value, 1, &count);
        for (int j = 0; j < count; j++)
            guards += order[j]->op == OP_guard;
        cr_expect((guards > 0) == (rows[i].expected[0] == 'y'), "%s of %s", rows[i].text, rows[i].inputs);
        bench_close(&bench);
    }
}

/* Every SCALAR row is made of operations that exist, on every type that the row takes. */
Test(ops, scalar_texts_build_on_all_their_types)
{
    static const Dtype all[] = {DTYPE_F32, DTYPE_F64, DTYPE_F16, DTYPE_BF16, DTYPE_I8, DTYPE_I64, DTYPE_U8, DTYPE_U32, DTYPE_BOOL};
    for (int op = 0; op < OP_ROW_COUNT; op++)
        for (size_t i = 0; i < sizeof all / sizeof *all && op_rows[op].meaning.form == MEANING_SCALAR; i++) {
            Bench bench = bench_open();
            Node *inputs[3], *buffers[3], *output;
            const Type type = type_tensor(bench.ir, all[i], 0, NULL);
            for (int j = 0; j < op_rows[op].input_min; j++) {
                inputs[j] = input_make(bench.ir, letters[j], j && op == OP_ROW_Where ? type_tensor(bench.ir, DTYPE_F32, 0, NULL) : type);
                buffers[j] = buffer_make(bench.ir, inputs[j]->type, &(Buffer){.name = "in", .place = PLACE_INPUT});
            }
            Node *const node = tensor_make(bench.ir, (Op)(OP_TENSOR_FIRST + op), inputs, op_rows[op].input_min, 1, NULL, 0);
            if (node) {
                output = buffer_make(bench.ir, node->type, &(Buffer){.name = "out", .place = PLACE_OUTPUT});
                cr_expect(node_lower(bench.ir, node, buffers, &output, bench.kernels), "%s on %s: %s", op_rows[op].name,
                          dtype_info[all[i]].name, bench.ir->diagnostics->first ? bench.ir->diagnostics->first->text : "");
            }
            bench_close(&bench);
        }
}
