/* links: lathe_passes lathe_targets lathe_ir */
/* Winograd's transforms: what they cost in bits, against sums in f64, and where they are not made. */
#include "tests/passes/golden.h"

enum { SIDE = 18, CHANNELS_MAX = 256, OUTS = 32 };

typedef struct Layer {
    int channels;
    double stream; /* bytes a cycle from memory: it decides which transform pays */
    MathMode math;
    float *x, *w, *y;
    const char *text; /* the module that ran */
} Layer;

static float uniform(uint64_t *state)
{
    return (float)((double)(random_next(state) >> 11) * 0x1p-52 - 1);
}

static Node *transposed(Ir *ir, Node *node, const int64_t *order)
{
    const Attribute perm = attr_ints(ir, "perm", order, 4);
    return tensor_make(ir, OP_Transpose, &node, 1, 1, &perm, 1);
}

/* Conv 3x3 over a border of 1, channels last. */
static Graph *layer_graph(Ir *ir, const Layer *layer)
{
    Node *const side = index_const(ir, SIDE), *const channels = index_const(ir, layer->channels),
                *const one = index_const(ir, 1);
    Node *const three = index_const(ir, 3), *const outs = index_const(ir, OUTS);
    const Type type = type_tensor(ir, DTYPE_F32, 4, (Node *[]){one, side, side, channels});
    const Name names[2] = {name_intern(ir->arena, "x"), name_intern(ir->arena, "y")};
    Node *const x = input_make(ir, names[0], type);
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = layer->w, .bytes = sizeof(float) * OUTS * 9 * (size_t)layer->channels};
    Node *const weight =
        constant_make(ir, type_tensor(ir, DTYPE_F32, 4, (Node *[]){outs, channels, three, three}), constant);
    const Attribute pads = attr_ints(ir, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    Node *const image = transposed(ir, x, (int64_t[]){0, 3, 1, 2});
    Node *const sums = tensor_make(ir, OP_Conv, (Node *[]){image, weight}, 2, 1, &pads, 1);
    Node *const y = transposed(ir, sums, (int64_t[]){0, 2, 3, 1});
    Graph *const graph = NEW(ir->arena, Graph);
    *graph = (Graph){.name = names[0], .input_count = 1, .output_count = 1};
    graph->inputs = arena_copy(ir->arena, &x, sizeof x);
    graph->outputs = arena_copy(ir->arena, &y, sizeof y);
    graph->input_names = arena_copy(ir->arena, &names[0], sizeof *names);
    graph->output_names = arena_copy(ir->arena, &names[1], sizeof *names);
    return graph;
}

static void layer_run(Layer *layer, Arena *arena)
{
    Compilation compilation = {.ir = ir_open(arena, diagnostics_open(arena)), .level = 2, .math = layer->math};
    Ir *const ir = compilation.ir;
    TargetMachineInfo machine = *target_find(ir->diagnostics, "x86-64-v4");
    machine.memory_bytes_per_cycle = layer->stream;
    compilation.target = &machine;
    const size_t inputs = (size_t)SIDE * SIDE * (size_t)layer->channels, outputs = (size_t)SIDE * SIDE * OUTS;
    uint64_t seed = (uint64_t)layer->channels;
    layer->x = NEW_ARRAY(arena, float, inputs + 16);
    layer->y = NEW_ARRAY(arena, float, outputs + 16);
    layer->w = NEW_ARRAY(arena, float, OUTS * 9 * (size_t)layer->channels + 16);
    for (size_t i = 0; i < inputs; i++)
        layer->x[i] = uniform(&seed);
    for (size_t i = 0; i < (size_t)OUTS * 9 * (size_t)layer->channels; i++)
        layer->w[i] = uniform(&seed);
    compilation.graph = layer_graph(ir, layer);
    cr_assert(passes_run(&compilation, &(PassOptions){.fuel = -1, .verify = true}), "%s", first_error(ir));
    layer->text = compilation_print(arena, &compilation, NULL);
    Module module = *compilation.module;
    const LoopsSchedule schedule = {.lanes = 1024, .any_tail = true};
    module.body = block_make(ir);
    for (int i = 0; i < compilation.module->body->count; i++)
        block_append(ir, module.body, loops_schedule(ir, compilation.module->body->nodes[i], &schedule));
    const Memory in = {layer->x, inputs * sizeof(float)}, out = {layer->y, outputs * sizeof(float)};
    int32_t error = 0;
    cr_assert_eq(interpret_module(ir, &module, &in, &out, NULL, 0, &(RunOptions){0}, &error), INTERPRET_OK);
}

/* The sum in f64. */
static double exact_at(const Layer *layer, int row, int column, int out)
{
    double sum = 0;
    for (int p = 0; p < 3; p++)
        for (int q = 0; q < 3; q++) {
            const int i = row + p - 1, j = column + q - 1;
            for (int c = 0; c < layer->channels && i >= 0 && i < SIDE && j >= 0 && j < SIDE; c++)
                sum += (double)layer->x[(i * SIDE + j) * layer->channels + c] *
                       (double)layer->w[((out * layer->channels + c) * 3 + p) * 3 + q];
        }
    return sum;
}

/* The largest error, in root mean squares of the result. */
static double layer_error(const Layer *layer, double *largest)
{
    double squares = 0;
    *largest = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            for (int o = 0; o < OUTS; o++) {
                const double exact = exact_at(layer, i, j, o),
                             error = fabs(exact - (double)layer->y[(i * SIDE + j) * OUTS + o]);
                squares += exact * exact;
                *largest = error > *largest ? error : *largest;
            }
    return *largest / sqrt(squares / (SIDE * SIDE * OUTS));
}

/* The largest sum of a filter's magnitudes; inputs are at most 1. */
static double filter_sum(const Layer *layer)
{
    double most = 0;
    for (int o = 0; o < OUTS; o++) {
        double sum = 0;
        for (int i = 0; i < 9 * layer->channels; i++)
            sum += fabs((double)layer->w[o * 9 * layer->channels + i]);
        most = sum > most ? sum : most;
    }
    return most;
}

static void check_error(int channels, int outputs, double most)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    /* Larger weights are cheap, or they are not. */
    Layer layer = {.channels = channels, .stream = outputs == 4 ? 100 : 1.8, .math = MATH_DEFAULT};
    double largest;
    layer_run(&layer, arena);
    cr_assert(strstr(layer.text, outputs == 4 ? "f32[6,6," : "f32[4,4,"), "F(%d,3) was not made", outputs);
    const double error = layer_error(&layer, &largest), amplified = outputs == 4 ? 307 : 16;
    cr_log_info("F(%d,3), %d channels: %.2e of the root mean square\n", outputs, channels, error);
    cr_expect_leq(error, most, "F(%d,3), %d channels: %g", outputs, channels, error);
    cr_expect_leq(largest, amplified * (channels + 24) * 0x1p-24 * filter_sum(&layer), "F(%d,3), %d channels", outputs,
                  channels);
    arena_close(arena);
}

Test(winograd, errors_are_those_that_are_documented)
{
    static const int channels[] = {16, 64, CHANNELS_MAX};
    for (int i = 0; i < 3; i++) {
        check_error(channels[i], 2, 4e-6);
        check_error(channels[i], 4, 2e-5);
    }
}

Test(winograd, exact_keeps_the_direct_sum)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    Layer layer = {.stream = 10, .math = MATH_EXACT};
    double largest;
    for (layer.channels = 16; layer.channels <= CHANNELS_MAX; layer.channels *= 4) {
        layer_run(&layer, arena);
        cr_assert_null(strstr(layer.text, "local"));
        cr_log_info("direct, %d channels: %.2e of the root mean square\n", layer.channels,
                    layer_error(&layer, &largest));
        cr_expect_leq(largest, layer.channels * 9 * 0x1p-24 * filter_sum(&layer), "direct, %d channels",
                      layer.channels);
    }
    layer.channels = 32;
    layer.math = MATH_FAST;
    layer_run(&layer, arena);
    cr_assert_not_null(strstr(layer.text, "local"));
    arena_close(arena);
}
