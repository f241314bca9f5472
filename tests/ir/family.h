/* Operators against a table of inputs and expected outputs: through all passes of -O0 and -O2, with known extents and
 * with symbols for them, on the interpreter. Axes, shapes and scales are inputs of the graph wherever the table does
 * not fix them. A test program defines TABLES, the header that family_cases.py has written for it, and links
 * lathe_passes, lathe_targets and lathe_ir. */
#ifndef LATHE_TESTS_IR_FAMILY_H
#define LATHE_TESTS_IR_FAMILY_H

#include "ir/interpret.h"
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/ops/ops.h"
#include "ir/read.h"
#include "ir/scalar.h"
#include "passes/pass.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS_MOST = 9, OUTPUTS_MOST = 4, SYMBOLS_MOST = 64 };

typedef struct FamilyTensor {
    const char *dtype; /* NULL: omitted */
    int rank;
    int64_t dims[6];
    const void *data;
    bool constant;
} FamilyTensor;

typedef struct FamilyCase {
    const char *name, *text;
    int input_count;
    FamilyTensor inputs[INPUTS_MOST];
    int output_count;
    FamilyTensor outputs[OUTPUTS_MOST];
    double tolerance; /* 0: by dtype */
} FamilyCase;

#include TABLES

enum { CASE_COUNT = sizeof family_cases / sizeof *family_cases };

/* ---- one case as a compilation ---- */

typedef struct Run {
    Arena *arena;
    Ir *ir;
    bool symbolic; /* extents above 1 of inputs are symbols, equal ones the same */
    SymbolValue symbols[SYMBOLS_MOST];
    int symbol_count;
    Node *inputs[INPUTS_MOST];
    Name names[INPUTS_MOST];
    Memory memory[INPUTS_MOST];
    int input_count;
} Run;

static int64_t elements_of(const FamilyTensor *tensor)
{
    int64_t count = 1;
    for (int i = 0; i < tensor->rank; i++)
        count *= tensor->dims[i];
    return count;
}

static uint64_t bytes_of(const FamilyTensor *tensor)
{
    return (uint64_t)elements_of(tensor) * (uint64_t)dtype_info[dtype_from_name(tensor->dtype)].bits / 8;
}

static void symbol_set(Run *run, Node *symbol, int64_t value)
{
    for (int i = 0; i < run->symbol_count; i++)
        if (run->symbols[i].symbol == symbol)
            return;
    cr_assert(run->symbol_count < SYMBOLS_MOST);
    run->symbols[run->symbol_count++] = (SymbolValue){symbol, value};
}

static Type type_of(Run *run, const FamilyTensor *tensor)
{
    Node *dims[6];
    for (int i = 0; i < tensor->rank; i++) {
        dims[i] = index_const(run->ir, tensor->dims[i]);
        if (run->symbolic && !tensor->constant && tensor->dims[i] > 1) {
            dims[i] =
                symbol_make(run->ir, name_intern(run->arena, arena_format(run->arena, "e%d", (int)tensor->dims[i])));
            symbol_set(run, dims[i], tensor->dims[i]);
        }
    }
    return type_tensor(run->ir, dtype_from_name(tensor->dtype), tensor->rank, dims);
}

static Node *input_add(Run *run, const FamilyTensor *tensor, const char *letter)
{
    const Dtype dtype = dtype_from_name(tensor->dtype);
    /* What may be a shape keeps its extents: how many axes or dims there are is known even when their values are not.
     */
    const bool shape = tensor->rank <= 1 && elements_of(tensor) <= 8 && (dtype == DTYPE_I64 || dtype == DTYPE_F32);
    const bool symbolic = run->symbolic;
    run->symbolic = symbolic && !shape;
    Node *const node = input_make(run->ir, name_intern(run->arena, letter), type_of(run, tensor));
    run->symbolic = symbolic;
    for (int64_t i = 0; node->contents && i < elements_of(tensor); i++) {
        const int width = dtype_info[dtype].bits / 8;
        int64_t wide = 0;
        int32_t narrow;
        memcpy(width == 8 ? (void *)&wide : (void *)&narrow, (const char *)tensor->data + i * width, (size_t)width);
        symbol_set(run, content_symbol(node->contents[i]), width == 8 ? wide : narrow);
    }
    run->memory[run->input_count] = (Memory){(void *)(uintptr_t)tensor->data, bytes_of(tensor)};
    run->names[run->input_count] = name_intern(run->arena, letter);
    return run->inputs[run->input_count++] = node;
}

static Node *constant_add(const Run *run, const FamilyTensor *tensor, Type type)
{
    Constant *const constant = NEW(run->arena, Constant);
    *constant = (Constant){.data = tensor->data, .bytes = bytes_of(tensor)};
    return constant_make(run->ir, type, constant);
}

static Node *operator_make(void *context, Op op, Node **inputs, int count, int output_count,
                           const Attribute *attributes, int attribute_count)
{
    return tensor_make(context, op, inputs, count, output_count, attributes, attribute_count);
}

static Node *case_build(Run *run, const FamilyCase *row)
{
    Environment environment = {.file = row->name,
                               .names = names_open(run->arena),
                               .symbols = true,
                               .make_tensor = operator_make,
                               .context = run->ir,
                               .output_count = row->output_count};
    for (int i = 0; i < row->input_count; i++) {
        const char letter[2] = {"xyzwvutsr"[i], 0};
        const FamilyTensor *const tensor = &row->inputs[i];
        if (tensor->dtype)
            names_bind(environment.names, name_intern(run->arena, letter),
                       tensor->constant ? constant_add(run, tensor, type_of(run, tensor))
                                        : input_add(run, tensor, letter));
    }
    const Sexpr *const tree = sexpr_read(run->arena, run->ir->diagnostics, row->name, row->text);
    return tree ? expression_build(run->ir, tree, &environment) : NULL;
}

/* ---- comparing ---- */

static const double tolerances[DTYPE_COUNT] = {[DTYPE_F32] = 4e-6, [DTYPE_F64] = 1e-12, [DTYPE_F16] = 2e-3};

static double element_double(Ir *ir, Dtype dtype, const void *data, int64_t i)
{
    const uint64_t bits = element_bits((const char *)data + i * dtype_info[dtype].bits / 8, dtype);
    return const_as_double(const_bits(ir, type_scalar(dtype), bits));
}

static void compare(Ir *ir, const FamilyCase *row, const FamilyTensor *expected, const void *data)
{
    const Dtype dtype = dtype_from_name(expected->dtype);
    const double tolerance = row->tolerance > 0 ? row->tolerance : tolerances[dtype];
    for (int64_t i = 0; i < elements_of(expected); i++) {
        const double want = element_double(ir, dtype, expected->data, i), have = element_double(ir, dtype, data, i);
        const bool same =
            (isnan(want) && isnan(have)) || want == have || fabs(want - have) <= tolerance * (1 + fabs(want));
        cr_expect(same, "%s: element %lld is %.9g, expected %.9g", row->name, (long long)i, have, want);
        if (!same)
            return;
    }
}

static void type_check(const Run *run, const FamilyCase *row, int output, Type type)
{
    const FamilyTensor *const expected = &row->outputs[output];
    bool fits = type.dtype == dtype_from_name(expected->dtype) && type.rank == expected->rank;
    for (int i = 0; fits && i < type.rank; i++)
        fits = index_evaluate(type.dims[i], run->symbols, run->symbol_count) == expected->dims[i];
    cr_assert(fits, "%s: output %d is %s", row->name, output, type_text(run->ir, type));
}

/* ---- running ---- */

static void module_run(Run *run, const FamilyCase *row, const Module *module, int lanes)
{
    Memory results[OUTPUTS_MOST];
    const LoopsSchedule schedule = {.lanes = lanes, .any_tail = lanes > 16};
    Block *const body = block_make(run->ir);
    for (int i = 0; i < module->body->count; i++)
        block_append(run->ir, body, loops_schedule(run->ir, module->body->nodes[i], &schedule));
    Module scheduled = *module;
    scheduled.body = body;
    for (int i = 0; i < row->output_count; i++)
        results[i] = (Memory){calloc(1, bytes_of(&row->outputs[i]) + 1), bytes_of(&row->outputs[i])};
    int32_t error = 0;
    const int32_t code =
        interpret_module(run->ir, &scheduled, run->memory, results, run->symbols, run->symbol_count, NULL, &error);
    cr_expect(code == INTERPRET_OK && error == 0, "%s ends with %d, error %d", row->name, code, error);
    for (int i = 0; i < row->output_count; i++) {
        compare(run->ir, row, &row->outputs[i], results[i].data);
        free(results[i].data);
    }
}

/* False when the operator asks for extents that are known. */
static bool case_run(const FamilyCase *row, int level, int lanes, bool symbolic)
{
    Run run = {.arena = arena_open(0, NULL, NULL), .symbolic = symbolic};
    run.ir = ir_open(run.arena, diagnostics_open(run.arena));
    Node *const node = case_build(&run, row);
    if (!node && symbolic && run.ir->diagnostics->code == EXIT_UNSUPPORTED) {
        arena_close(run.arena);
        return false;
    }
    if (!node)
        diag_print(run.ir->diagnostics, stderr, false);
    cr_assert(node, "%s cannot be made", row->name);
    Node *outputs[OUTPUTS_MOST];
    Name names[OUTPUTS_MOST];
    for (int i = 0; i < row->output_count; i++) {
        outputs[i] = node_result(node, i);
        names[i] = name_intern(run.arena, arena_format(run.arena, "o%d", i));
        type_check(&run, row, i, outputs[i]->type);
    }
    for (const RunCheck *check = run.ir->checks; check; check = check->next)
        cr_expect(index_evaluate(check->condition, run.symbols, run.symbol_count) == 1, "%s: %s", row->name,
                  check->text);
    Graph graph = {.name = "test",
                   .input_count = run.input_count,
                   .output_count = row->output_count,
                   .inputs = run.inputs,
                   .outputs = outputs,
                   .input_names = run.names,
                   .output_names = names};
    Compilation compilation = {.ir = run.ir,
                               .graph = &graph,
                               .level = level,
                               .math = MATH_DEFAULT,
                               .target = target_find(run.ir->diagnostics, "x86-64-v3")};
    const PassOptions options = {.verify = true, .fuel = -1};
    const bool good = passes_run(&compilation, &options);
    if (!good)
        diag_print(run.ir->diagnostics, stderr, false);
    cr_assert(good, "%s does not pass", row->name);
    module_run(&run, row, compilation.module, lanes);
    arena_close(run.arena);
    return true;
}

static bool chosen(const char *name)
{
    const char *const only = getenv("CASE");
    return !only || strstr(name, only);
}

/* How many of the cases `level` and `symbolic` refuse because they need extents that are known; each is told to
 * `refused`, which may be NULL. */
static int cases_run(int level, int lanes, bool symbolic, void (*refused)(const FamilyCase *row))
{
    int count = 0;
    for (int i = 0; i < CASE_COUNT; i++)
        if (chosen(family_cases[i].name) && !case_run(&family_cases[i], level, lanes, symbolic)) {
            if (refused)
                refused(&family_cases[i]);
            count++;
        }
    return count;
}

#endif
