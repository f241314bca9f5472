/* Whole modules: kernels over shared buffers, temporaries, aliases, packed weights, symbols; and index expressions by
 * value. */
#include "ir/interpret.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static Node *symbol(Bench *bench, const char *name)
{
    return symbol_make(bench->ir, name_intern(bench->ir->arena, name));
}

/* A kernel of what was put into the bench's body since the last one. */
static void kernel_end(Bench *bench, Block *module, Node *units, Node *const *inputs, int count)
{
    compile(bench, inputs, count);
    bench->kernel->payload.kernel->units = units;
    block_append(bench->ir, module, bench->kernel);
    bench->body = bench->block = block_make(bench->ir);
}

typedef struct Model {
    Module module;
    Node *n, *m;
} Model;

/* t[n, 3] = x[n, 3] * w[3], w in a layout blocked by 4; y[3n] = flat(t) + 1, through an alias; z[3n] is the same memory
 * as t, given out; v is x itself under another shape. */
static Model build(Bench *bench)
{
    Ir *const ir = bench->ir;
    static const float weights[3] = {2, 3, 5};
    static const Constant constant_weights = {.data = weights, .bytes = sizeof weights};
    Node *const n = symbol(bench, "n"), *const three = constant(bench, 3), *const all = index_mul(ir, n, three);
    Node *const x =
        buffer_make(ir, type_tensor(ir, DTYPE_F32, 2, (Node *[]){n, three}), &(Buffer){.place = PLACE_INPUT});
    Node *const w = buffer_make(ir, type_tensor(ir, DTYPE_F32, 1, &three),
                                &(Buffer){.place = PLACE_WEIGHT,
                                          .constant = &constant_weights,
                                          .layout = {2, {{0, PART_OUTER, 4}, {0, PART_INNER, 4}}}});
    Node *const t =
        buffer_make(ir, type_tensor(ir, DTYPE_F32, 2, (Node *[]){n, three}), &(Buffer){.place = PLACE_TEMP});
    Node *const flat = buffer_make(ir, type_tensor(ir, DTYPE_F32, 1, &all), &(Buffer){.place = PLACE_TEMP, .alias = t});
    Node *const y = buffer_make(ir, type_tensor(ir, DTYPE_F32, 1, &all), &(Buffer){.place = PLACE_OUTPUT, .number = 0});
    Node *const z =
        buffer_make(ir, type_tensor(ir, DTYPE_F32, 1, &all), &(Buffer){.place = PLACE_OUTPUT, .number = 1, .alias = t});
    Node *const v =
        buffer_make(ir, type_tensor(ir, DTYPE_F32, 1, &all), &(Buffer){.place = PLACE_OUTPUT, .number = 2, .alias = x});
    Block *const body = block_make(ir);
    Block *outer;
    Node *i = loop_begin(bench, "i", begin_of(bench), end_of(bench), 1, &outer);
    for (int j = 0; j < 3; j++) {
        Node *const place = index_add(ir, index_mul(ir, i, three), constant(bench, j));
        store(bench, t, place, scalar2(ir, OP_mul, load(bench, x, place, 1), load(bench, w, constant(bench, j), 1)));
    }
    bench->block = outer;
    kernel_end(bench, body, n, (Node *[]){x, w, t}, 3);
    i = loop_begin(bench, "i", begin_of(bench), end_of(bench), 1, &outer);
    store(bench, y, i, scalar2(ir, OP_add, load(bench, flat, i, 1), const_float(ir, DTYPE_F32, 1)));
    bench->block = outer;
    kernel_end(bench, body, all, (Node *[]){flat, y, n}, 3);
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, 3);
    outputs[0] = y;
    outputs[1] = z;
    outputs[2] = v;
    Node **const inputs = NEW_ARRAY(ir->arena, Node *, 1);
    inputs[0] = x;
    return (Model){{.input_count = 1, .output_count = 3, .inputs = inputs, .outputs = outputs, .body = body}, .n = n};
}

Test(execute, module_with_temporaries_aliases_and_weights)
{
    static const float factors[3] = {2, 3, 5};
    Bench bench = bench_open();
    Model model = build(&bench);
    for (int n = 0; n < 5; n += 2)
        for (int chunks = 0; chunks < 4; chunks++) {
            float x[15], y[15], z[15], v[15];
            for (int i = 0; i < 15; i++) {
                x[i] = (float)i - 4;
                y[i] = z[i] = v[i] = -9;
            }
            const uint64_t bytes = (uint64_t)n * 12;
            int32_t error = 0;
            cr_assert_eq(interpret_module(bench.ir, &model.module, &(Memory){x, bytes},
                                          (Memory[]){{y, bytes}, {z, bytes}, {v, bytes}}, &(SymbolValue){model.n, n}, 1,
                                          &(RunOptions){.chunks = chunks}, &error),
                         INTERPRET_OK);
            for (int i = 0; i < 15; i++) {
                const float product = x[i] * factors[i % 3];
                cr_assert_eq(y[i], i < 3 * n ? product + 1 : -9.0f);
                cr_assert_eq(z[i], i < 3 * n ? product : -9.0f);
                cr_assert_eq(v[i], i < 3 * n ? x[i] : -9.0f);
            }
        }
    bench_close(&bench);
}

Test(execute, failures_are_told)
{
    Bench bench = bench_open();
    Model model = build(&bench);
    float x[6] = {0}, y[6], z[6], v[6];
    const Memory outputs[] = {{y, 24}, {z, 24}, {v, 24}};
    const SymbolValue two = {model.n, 2}, huge = {model.n, INT64_MAX / 2};
    const Module *const module = &model.module;
    cr_assert_eq(interpret_module(bench.ir, module, &(Memory){x, 23}, outputs, &two, 1, NULL, NULL), INTERPRET_MODULE);
    cr_assert_eq(interpret_module(bench.ir, module, &(Memory){x, 24}, outputs, NULL, 0, NULL, NULL), INTERPRET_MODULE);
    cr_assert_eq(interpret_module(bench.ir, module, &(Memory){x, 24}, outputs, &huge, 1, NULL, NULL), INTERPRET_MODULE);
    cr_assert_eq(
        interpret_module(bench.ir, module, &(Memory){x, 24}, outputs, &two, 1, &(RunOptions){.work_limit = 30}, NULL),
        INTERPRET_LIMIT);
    cr_assert_eq(
        interpret_module(bench.ir, module, &(Memory){x, 24}, outputs, &two, 1, &(RunOptions){.work_limit = 3000}, NULL),
        INTERPRET_OK);
    cr_assert_eq(bench.ir->diagnostics->error_count, 4);
    bench_close(&bench);
}

Test(execute, index_expressions)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const n = symbol(&bench, "n"), *const m = symbol(&bench, "m");
    const SymbolValue values[] = {{n, 37}, {m, INT64_MAX / 2}};
    Node *const half = index_floordiv(ir, index_add(ir, n, constant(&bench, 1)), constant(&bench, 2));
    cr_assert_eq(index_evaluate(half, values, 2), 19);
    cr_assert_eq(index_evaluate(index_mod(ir, n, constant(&bench, 5)), values, 2), 2);
    cr_assert_eq(index_evaluate(index_max(ir, index_min(ir, n, constant(&bench, 40)), half), values, 2), 37);
    cr_assert_eq(index_evaluate(index_ceildiv(ir, n, constant(&bench, 16)), values, 2), 3);
    cr_assert_eq(index_evaluate(constant(&bench, -4), NULL, 0), -4);
    cr_assert_eq(index_evaluate(n, values, 2), 37);
    cr_assert_eq(index_evaluate(half, &values[1], 1), INT64_MIN, "n has no value");
    cr_assert_eq(index_evaluate(index_mul(ir, m, constant(&bench, 3)), values, 2), INT64_MIN, "too large");
    cr_assert_eq(index_evaluate(index_mul(ir, m, constant(&bench, 2)), values, 2), INT64_MAX - 1);
    /* Deep and shared: each step uses the one before twice. 40 doublings are found in 40 steps. */
    Node *sum = n;
    for (int i = 0; i < 40; i++)
        sum = index_max(ir, index_floordiv(ir, sum, constant(&bench, 1 + i % 2)),
                        index_floordiv(ir, sum, constant(&bench, 3)));
    cr_assert_eq(index_evaluate(sum, values, 2), 0);
    bench_close(&bench);
}
