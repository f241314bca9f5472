/* links: lathe_proof */
/* What products by tile registers cost in bits, against sums in f64, and where they are not made. */
#include "codegen/tiles.h"
#include "ir/interpret.h"
#include "ir/ops/ops.h"
#include "ir/kernel.h"
#include "ir/tiles.h"
#include "tests/codegen/proof.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 136, COLUMNS = 144, DEPTH_MAX = 3072 };
enum { LARGE = 256, LARGE_DEPTH = 512 }; /* large enough to pay */

typedef struct Product {
    int rows, columns, depth;
    MathMode math;
    const char *level;
    Node *(*by)(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial); /* NULL: what pays */
    double scale;                                                                     /* of row i: scale^i */
    float x[ROWS * DEPTH_MAX], w[DEPTH_MAX * COLUMNS], y[LARGE * LARGE];
    bool by_tiles;
    char schedule[80]; /* of the kernel that has them */
} Product;

static float uniform(uint64_t *state)
{
    return (float)((double)(random_next(state) >> 11) * 0x1p-52 - 1);
}

static Graph *product_graph(Ir *ir, Product *product)
{
    Node *const depth = index_const(ir, product->depth);
    const Name names[2] = {name_intern(ir->arena, "x"), name_intern(ir->arena, "y")};
    Node *const x =
        input_make(ir, names[0], type_tensor(ir, DTYPE_F32, 2, (Node *[]){index_const(ir, product->rows), depth}));
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = product->w, .bytes = sizeof(float) * (size_t)(product->depth * product->columns)};
    Node *const w = constant_make(
        ir, type_tensor(ir, DTYPE_F32, 2, (Node *[]){depth, index_const(ir, product->columns)}), constant);
    Node *const y = tensor_make(ir, OP_MatMul, (Node *[]){x, w}, 2, 1, NULL, 0);
    Graph *const graph = NEW(ir->arena, Graph);
    *graph = (Graph){.name = names[0], .input_count = 1, .output_count = 1};
    graph->inputs = arena_copy(ir->arena, &x, sizeof x);
    graph->outputs = arena_copy(ir->arena, &y, sizeof y);
    graph->input_names = arena_copy(ir->arena, &names[0], sizeof *names);
    graph->output_names = arena_copy(ir->arena, &names[1], sizeof *names);
    return graph;
}

static void product_run(Product *product)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Compilation compilation = {.ir = ir_open(arena, diagnostics_open(arena)), .level = 2, .math = product->math};
    Ir *const ir = compilation.ir;
    const TargetMachineInfo *const target = target_find(ir->diagnostics, product->level);
    ScheduleOptions options = {.level = 2, .math = product->math};
    uint64_t seed = (uint64_t)product->depth;
    compilation.target = target;
    for (int i = 0; i < product->rows * product->depth; i++)
        product->x[i] = (float)(uniform(&seed) * pow(product->scale, i / product->depth));
    for (int i = 0; i < product->depth * product->columns; i++)
        product->w[i] = uniform(&seed);
    compilation.graph = product_graph(ir, product);
    cr_assert(passes_run(&compilation, &(PassOptions){.fuel = -1, .verify = true}));
    Module module = *compilation.module;
    module.body = block_make(ir);
    product->by_tiles = false;
    for (int i = 0; i < compilation.module->body->count; i++) {
        Node *const stages = compilation.module->body->nodes[i];
        Trial trial = trial_open(arena, NULL, 0);
        Node *const kernel =
            product->by ? product->by(ir, stages, target, &trial) : kernel_schedule(&options, ir, stages, target);
        cr_assert_not_null(kernel);
        product->by_tiles |= kernel_has_tiles(kernel);
        if (kernel_has_tiles(kernel))
            snprintf(product->schedule, sizeof product->schedule, "%s", kernel->payload.kernel->schedule);
        block_append(ir, module.body, kernel);
    }
    const Memory in = {product->x, sizeof(float) * (size_t)(product->rows * product->depth)},
                 out = {product->y, sizeof(float) * (size_t)(product->rows * product->columns)};
    int32_t error = 0;
    cr_assert_eq(interpret_module(ir, &module, &in, &out, NULL, 0, &(RunOptions){0}, &error), INTERPRET_OK);
    arena_close(arena);
}

/* The largest error, in sums of the magnitudes of what is added up. */
static double product_error(const Product *product)
{
    double largest = 0;
    for (int i = 0; i < product->rows; i++)
        for (int j = 0; j < product->columns; j++) {
            double sum = 0, size = 0;
            for (int k = 0; k < product->depth; k++) {
                const double term =
                    (double)product->x[i * product->depth + k] * (double)product->w[k * product->columns + j];
                sum += term;
                size += fabs(term);
            }
            const double error = fabs(sum - (double)product->y[i * product->columns + j]) / size;
            largest = error > largest ? error : largest;
        }
    return largest;
}

/* The documented bound: six roundings of a sum for each 32 terms, those within a step, and what is left out. */
static double bound(int depth)
{
    return (3.0 * depth / 16 + 20) * 0x1p-24;
}

static double error_by_vectors(Product *product)
{
    product->level = "x86-64-v4";
    product->by = NULL;
    product_run(product);
    cr_assert_not(product->by_tiles);
    return product_error(product);
}

static const struct {
    const char *name;
    Node *(*schedule)(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
    int deepest; /* product whose columns it takes */
} templates[] = {{"tiles", tiles_schedule, DEPTH_MAX},
                 {"stationary", stationary_schedule, 1152},
                 {"stream", stream_schedule, DEPTH_MAX}};
enum { TEMPLATES = sizeof templates / sizeof *templates };

static int depth_within(int depth, int template)
{
    return depth < templates[template].deepest ? depth : templates[template].deepest;
}

Test(tiles, errors_are_those_that_are_documented)
{
    static const int depths[] = {64, 100, 768, DEPTH_MAX};
    static Product product;
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++)
        for (int t = 0; t < TEMPLATES; t++) {
            const int depth = depth_within(depths[i], t);
            product = (Product){.rows = ROWS, .columns = COLUMNS, .depth = depth, .math = MATH_DEFAULT, .scale = 1};
            const double vectors = error_by_vectors(&product);
            product.level = "x86-64-v4-amx";
            product.by = templates[t].schedule;
            product_run(&product);
            cr_assert(product.by_tiles, "%d", depth);
            const double tiles = product_error(&product);
            cr_log_info("%d steps: %.2e by %s, %.2e by vectors\n", depth, tiles, templates[t].name, vectors);
            cr_expect_leq(tiles, bound(depth));
            cr_expect_leq(tiles, vectors, "%d steps: %g by %s, %g by vectors", depth, tiles, templates[t].name,
                          vectors);
        }
}

/* A few rows beyond the last strip of sixteen are left to vectors, in the order of k. */
Test(tiles, stray_rows_are_no_worse_than_rows_of_vectors)
{
    static const struct {
        int rows;
        const char *unit; /* of `stream`, in whole strips */
    } sizes[] = {{49, "rows=48"}, {52, "rows=48"}, {ROWS - 5, NULL}};
    static Product product;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes * TEMPLATES; i++) {
        const char *const unit = sizes[i / TEMPLATES].unit;
        product = (Product){.rows = sizes[i / TEMPLATES].rows,
                            .columns = COLUMNS,
                            .depth = depth_within(DEPTH_MAX, i % TEMPLATES),
                            .math = MATH_DEFAULT,
                            .scale = 1};
        const double vectors = error_by_vectors(&product);
        product.level = "x86-64-v4-amx";
        product.by = templates[i % TEMPLATES].schedule;
        product_run(&product);
        cr_assert(product.by_tiles);
        cr_expect_leq(product_error(&product), vectors, "%d rows by %s", product.rows, product.schedule);
        if (unit && product.by == stream_schedule)
            cr_expect_not_null(strstr(product.schedule, unit), "%s", product.schedule);
    }
}

/* Errors are relative to the terms, whatever their size. */
Test(tiles, errors_do_not_depend_on_the_size_of_numbers)
{
    static const double scales[] = {0.6, 1.7};
    static Product product;
    for (int i = 0; i < 2 * TEMPLATES; i++) {
        product = (Product){.rows = ROWS,
                            .columns = COLUMNS,
                            .depth = 256,
                            .level = "x86-64-v4-amx",
                            .math = MATH_DEFAULT,
                            .scale = scales[i % 2],
                            .by = templates[i / 2].schedule};
        product_run(&product);
        cr_assert(product.by_tiles);
        cr_expect_leq(product_error(&product), bound(256));
    }
}

Test(tiles, exact_has_the_order_of_the_stages)
{
    static Product product;
    for (MathMode math = MATH_EXACT; math <= MATH_DEFAULT; math++) {
        product = (Product){
            .rows = LARGE, .columns = LARGE, .depth = LARGE_DEPTH, .level = "x86-64-v4-amx", .math = math, .scale = 1};
        product_run(&product);
        cr_assert_eq(product.by_tiles, math != MATH_EXACT);
    }
}
