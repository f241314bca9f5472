/* The interpreter on kernels built by hand; expected values are computed here, in plain C. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static void run_ok(const Bench *bench, void *const *buffers, const uint64_t *bytes, const int64_t *dims, int64_t begin,
                   int64_t end)
{
    int32_t error = 0;
    const int32_t result = interpret_run_with(bench->code, buffers, bytes, dims, begin, end, &error,
                                              &(RunOptions){.detect_unwritten = true});
    cr_assert_eq(result, INTERPRET_OK, "%s", interpret_message(bench->code));
    cr_assert_eq(error, 0);
}

/* ---- loops ---- */

/* y[i] = x[i] * n + i for i in begin..end-1, n symbolic. */
Test(interpret, chunk_of_elementwise_with_a_symbol)
{
    Bench bench = bench_open();
    Node *const n = symbol_make(bench.ir, name_intern(bench.ir->arena, "n"));
    Node *const x = tensor(&bench, "x", DTYPE_F32, n, PLACE_INPUT), *const y =
                                                                        tensor(&bench, "y", DTYPE_F32, n, PLACE_OUTPUT);
    Block *outer;
    Node *const i = loop_begin(&bench, "i", begin_of(&bench), end_of(&bench), 1, &outer);
    Node *const scaled = scalar2(bench.ir, OP_mul, load(&bench, x, i, 1), cast_make(bench.ir, n, DTYPE_F32));
    store(&bench, y, i, scalar2(bench.ir, OP_add, scaled, cast_make(bench.ir, i, DTYPE_F32)));
    bench.block = outer;
    compile(&bench, (Node *[]){x, y, n}, 3);
    float in[10], out[10];
    for (int j = 0; j < 10; j++) {
        in[j] = (float)j * 0.5f - 2.0f;
        out[j] = -77.0f;
    }
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){sizeof in, sizeof out}, (int64_t[]){10}, 2, 9);
    for (int j = 0; j < 10; j++)
        cr_assert_eq(out[j], j >= 2 && j < 9 ? in[j] * 10.0f + (float)j : -77.0f, "%d", j);
    bench_close(&bench);
}

/* Vectors of 8 with a masked tail: y[i] = x[i] + x[i]. The lanes beyond n are never touched. */
Test(interpret, vector_loop_with_masked_tail)
{
    enum { LENGTH = 21, LANES = 8 };
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const n = symbol_make(ir, name_intern(ir->arena, "n"));
    Node *const x = tensor(&bench, "x", DTYPE_F32, n, PLACE_INPUT), *const y =
                                                                        tensor(&bench, "y", DTYPE_F32, n, PLACE_OUTPUT);
    Block *outer;
    Node *const i = loop_begin(&bench, "i", constant(&bench, 0), n, LANES, &outer);
    Node *const lanes = pure(&bench, OP_iota, type_vector(DTYPE_INDEX, LANES), NULL, 0);
    Node *const mask =
        scalar2(ir, OP_lt, scalar2(ir, OP_add, lanes, splat_make(ir, i, LANES)), splat_make(ir, n, LANES));
    Node *const zero = splat_make(ir, const_float(ir, DTYPE_F32, 100.0), LANES);
    Node *const value = pure(&bench, OP_load, type_vector(DTYPE_F32, LANES), (Node *[]){x, i, mask, zero}, 4);
    ordered(&bench, OP_store, no_value, (Node *[]){y, i, scalar2(ir, OP_add, value, value), mask}, 4);
    bench.block = outer;
    compile(&bench, (Node *[]){x, y, n}, 3);
    float in[LENGTH], out[LENGTH + 1];
    for (int j = 0; j < LENGTH; j++)
        in[j] = (float)j - 5.25f;
    out[LENGTH] = 42.0f;
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){sizeof in, LENGTH * sizeof *out}, (int64_t[]){LENGTH}, 0, 1);
    for (int j = 0; j < LENGTH; j++)
        cr_assert_eq(out[j], in[j] + in[j]);
    cr_assert_eq(out[LENGTH], 42.0f);
    bench_close(&bench);
}

Test(interpret, masked_load_gives_otherwise)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const x = tensor(&bench, "x", DTYPE_I16, constant(&bench, 4), PLACE_INPUT), *const y =
                                                                                          tensor(&bench, "y", DTYPE_I16,
                                                                                                 constant(&bench, 4),
                                                                                                 PLACE_OUTPUT);
    Node *const lanes = pure(&bench, OP_iota, type_vector(DTYPE_INDEX, 4), NULL, 0);
    Node *const mask = scalar2(ir, OP_lt, lanes, splat_make(ir, constant(&bench, 2), 4));
    Node *const otherwise = splat_make(ir, const_int(ir, DTYPE_I16, -9), 4);
    store(&bench, y, constant(&bench, 0),
          pure(&bench, OP_load, type_vector(DTYPE_I16, 4), (Node *[]){x, constant(&bench, 2), mask, otherwise}, 4));
    compile(&bench, (Node *[]){x, y}, 2);
    int16_t in[4] = {1, 2, 3, 4}, out[4];
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){sizeof in, sizeof out}, NULL, 0, 1);
    cr_assert_arr_eq(out, ((int16_t[]){3, 4, -9, -9}), sizeof out);
    bench_close(&bench);
}

/* c[m][n] = sum over k of a[m][k] * b[k][n] by fma, k ascending: loops in loops, a variable of 4 lanes, symbolic k. */
Test(interpret, matrix_product_in_variables)
{
    enum { M = 3, K = 7, N = 4 };
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const depth = symbol_make(ir, name_intern(ir->arena, "depth"));
    Node *const a = tensor(&bench, "a", DTYPE_F32, index_mul(ir, depth, constant(&bench, M)), PLACE_INPUT);
    Node *const b = tensor(&bench, "b", DTYPE_F32, index_mul(ir, depth, constant(&bench, N)), PLACE_WEIGHT);
    Node *const c = tensor(&bench, "c", DTYPE_F32, constant(&bench, M * N), PLACE_OUTPUT);
    Block *outside, *middle;
    Node *const m = loop_begin(&bench, "m", constant(&bench, 0), constant(&bench, M), 1, &outside);
    Node *const zero = splat_make(ir, const_float(ir, DTYPE_F32, 0), N);
    Node *const accumulator = ordered(&bench, OP_var, no_value, (Node *[]){zero}, 1);
    Node *const k = loop_begin(&bench, "k", constant(&bench, 0), depth, 1, &middle);
    Node *const left = splat_make(ir, load(&bench, a, index_add(ir, index_mul(ir, m, depth), k), 1), N);
    Node *const right = load(&bench, b, index_mul(ir, k, constant(&bench, N)), N);
    Node *const before = ordered(&bench, OP_get, type_vector(DTYPE_F32, N), (Node *[]){accumulator}, 1);
    ordered(&bench, OP_set, no_value, (Node *[]){accumulator, scalar3(ir, OP_fma, left, right, before)}, 2);
    bench.block = middle;
    Node *const sum = ordered(&bench, OP_get, type_vector(DTYPE_F32, N), (Node *[]){accumulator}, 1);
    store(&bench, c, index_mul(ir, m, constant(&bench, N)), sum);
    bench.block = outside;
    compile(&bench, (Node *[]){a, b, c, depth}, 4);
    float left_values[M * K], right_values[K * N], out[M * N];
    srand(3);
    for (int i = 0; i < M * K; i++)
        left_values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    for (int i = 0; i < K * N; i++)
        right_values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
    run_ok(&bench, (void *[]){left_values, right_values, out},
           (uint64_t[]){sizeof left_values, sizeof right_values, sizeof out}, (int64_t[]){K}, 0, 1);
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            float expected = 0;
            for (int p = 0; p < K; p++)
                expected = fmaf(left_values[i * K + p], right_values[p * N + j], expected);
            cr_assert_eq(out[i * N + j], expected);
        }
    bench_close(&bench);
}

/* A loop that never runs touches nothing, even what is loop-invariant: the weight it would read does not exist. */
Test(interpret, empty_loop_loads_nothing)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const n = symbol_make(ir, name_intern(ir->arena, "n"));
    Node *const x = tensor(&bench, "x", DTYPE_F32, n, PLACE_INPUT), *const y =
                                                                        tensor(&bench, "y", DTYPE_F32, n, PLACE_OUTPUT);
    Block *outer;
    Node *const i = loop_begin(&bench, "i", constant(&bench, 0), n, 1, &outer);
    store(&bench, y, i, load(&bench, x, constant(&bench, 0), 1));
    bench.block = outer;
    compile(&bench, (Node *[]){x, y, n}, 3);
    float out[2] = {7, 7}, in[1] = {3};
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){0, 0}, (int64_t[]){0}, 0, 1);
    cr_assert_eq(out[0], 7.0f);
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){sizeof in, sizeof out}, (int64_t[]){2}, 0, 1);
    cr_assert_eq(out[1], 3.0f);
    bench_close(&bench);
}

/* ---- branches, breaks, variables ---- */

/* y[i] = i < 3 ? x[i] : -1, as a branch: the load inside it must not be moved out, x has 3 elements only. */
Test(interpret, branch_guards_its_loads)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const x = tensor(&bench, "x", DTYPE_I32, constant(&bench, 3), PLACE_INPUT), *const y =
                                                                                          tensor(&bench, "y", DTYPE_I32,
                                                                                                 constant(&bench, 6),
                                                                                                 PLACE_OUTPUT);
    Block *outer;
    Node *const i = loop_begin(&bench, "i", constant(&bench, 0), constant(&bench, 6), 1, &outer);
    Block *const then = block_make(ir), *const otherwise = block_make(ir), *const body = bench.block;
    Node *const branch = node_make(ir, &(Node){.op = OP_if,
                                               .type = no_value,
                                               .inputs = (Node *[]){scalar2(ir, OP_lt, i, constant(&bench, 3))},
                                               .input_count = 1,
                                               .blocks = (Block *[]){then, otherwise},
                                               .block_count = 2});
    block_append(ir, body, branch);
    Node *const doubled = scalar2(ir, OP_mul, load(&bench, x, i, 1), const_int(ir, DTYPE_I32, 2));
    bench.block = then;
    store(&bench, y, i, doubled);
    bench.block = otherwise;
    store(&bench, y, i, const_int(ir, DTYPE_I32, -1));
    bench.block = outer;
    compile(&bench, (Node *[]){x, y}, 2);
    int32_t in[3] = {5, 6, 7}, out[6];
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){sizeof in, sizeof out}, NULL, 0, 1);
    cr_assert_arr_eq(out, ((int32_t[]){10, 12, 14, -1, -1, -1}), sizeof out);
    bench_close(&bench);
}

/* Collatz steps from 27 in a `loop` with `break`: 111. Two variables, each set from gets of both. */
Test(interpret, loop_until_break)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const y = tensor(&bench, "y", DTYPE_I64, constant(&bench, 1), PLACE_OUTPUT);
    Node *const one = const_int(ir, DTYPE_I64, 1), *const two = const_int(ir, DTYPE_I64, 2);
    Node *const number = ordered(&bench, OP_var, no_value, (Node *[]){const_int(ir, DTYPE_I64, 27)}, 1);
    Node *const steps = ordered(&bench, OP_var, no_value, (Node *[]){const_int(ir, DTYPE_I64, 0)}, 1);
    Block *body = block_make(ir);
    Node *const loop = node_make(ir, &(Node){.op = OP_loop, .type = no_value, .blocks = &body, .block_count = 1});
    block_append(ir, bench.block, loop);
    bench.block = body;
    Node *const now = ordered(&bench, OP_get, type_scalar(DTYPE_I64), (Node *[]){number}, 1);
    ordered(&bench, OP_break, no_value, (Node *[]){scalar2(ir, OP_eq, now, one)}, 1);
    Node *const odd = scalar2(ir, OP_eq, scalar2(ir, OP_rem, now, two), one);
    Node *const up = scalar2(ir, OP_add, scalar2(ir, OP_mul, now, const_int(ir, DTYPE_I64, 3)), one);
    ordered(&bench, OP_set, no_value,
            (Node *[]){number, scalar3(ir, OP_select, odd, up, scalar2(ir, OP_div, now, two))}, 2);
    Node *const count = ordered(&bench, OP_get, type_scalar(DTYPE_I64), (Node *[]){steps}, 1);
    ordered(&bench, OP_set, no_value, (Node *[]){steps, scalar2(ir, OP_add, count, one)}, 2);
    bench.block = bench.body;
    store(&bench, y, constant(&bench, 0), ordered(&bench, OP_get, type_scalar(DTYPE_I64), (Node *[]){steps}, 1));
    compile(&bench, (Node *[]){y}, 1);
    int64_t out = 0;
    run_ok(&bench, (void *[]){&out}, (uint64_t[]){sizeof out}, NULL, 0, 1);
    cr_assert_eq(out, 111);
    bench_close(&bench);
}

/* A break inside an `if` leaves the innermost loop only: for each row, the first element above 4, else -1. */
Test(interpret, break_leaves_the_innermost_loop)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const x = tensor(&bench, "x", DTYPE_I32, constant(&bench, 9), PLACE_INPUT), *const y =
                                                                                          tensor(&bench, "y", DTYPE_I32,
                                                                                                 constant(&bench, 3),
                                                                                                 PLACE_OUTPUT);
    Block *outer, *row;
    Node *const r = loop_begin(&bench, "r", constant(&bench, 0), constant(&bench, 3), 1, &outer);
    Node *const found = ordered(&bench, OP_var, no_value, (Node *[]){const_int(ir, DTYPE_I32, -1)}, 1);
    Node *const c = loop_begin(&bench, "c", constant(&bench, 0), constant(&bench, 3), 1, &row);
    Node *const value = load(&bench, x, index_add(ir, index_mul(ir, r, constant(&bench, 3)), c), 1);
    Node *const above = scalar2(ir, OP_gt, value, const_int(ir, DTYPE_I32, 4));
    Block *then = block_make(ir);
    block_append(ir, bench.block,
                 node_make(ir, &(Node){.op = OP_if,
                                       .type = no_value,
                                       .inputs = (Node *[]){above},
                                       .input_count = 1,
                                       .blocks = &then,
                                       .block_count = 1}));
    bench.block = then;
    ordered(&bench, OP_set, no_value, (Node *[]){found, value}, 2);
    ordered(&bench, OP_break, no_value, (Node *[]){const_bool(ir, true)}, 1);
    bench.block = row;
    store(&bench, y, r, ordered(&bench, OP_get, type_scalar(DTYPE_I32), (Node *[]){found}, 1));
    bench.block = outer;
    compile(&bench, (Node *[]){x, y}, 2);
    int32_t in[9] = {1, 5, 9, 2, 3, 4, 8, 0, 6}, out[3];
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){sizeof in, sizeof out}, NULL, 0, 1);
    cr_assert_arr_eq(out, ((int32_t[]){5, -1, 8}), sizeof out);
    bench_close(&bench);
}

/* A get is the value at its time: Fibonacci by swapping two variables. */
Test(interpret, get_is_a_snapshot)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const y = tensor(&bench, "y", DTYPE_F32, constant(&bench, 10), PLACE_OUTPUT);
    Node *const a = ordered(&bench, OP_var, no_value, (Node *[]){const_float(ir, DTYPE_F32, 0)}, 1);
    Node *const b = ordered(&bench, OP_var, no_value, (Node *[]){const_float(ir, DTYPE_F32, 1)}, 1);
    Block *outer;
    Node *const i = loop_begin(&bench, "i", constant(&bench, 0), constant(&bench, 10), 1, &outer);
    Node *const x = ordered(&bench, OP_get, type_scalar(DTYPE_F32), (Node *[]){a}, 1);
    Node *const z = ordered(&bench, OP_get, type_scalar(DTYPE_F32), (Node *[]){b}, 1);
    ordered(&bench, OP_set, no_value, (Node *[]){a, z}, 2);
    ordered(&bench, OP_set, no_value, (Node *[]){b, scalar2(ir, OP_add, x, z)}, 2);
    store(&bench, y, i, x);
    bench.block = outer;
    compile(&bench, (Node *[]){y}, 1);
    float out[10];
    run_ok(&bench, (void *[]){out}, (uint64_t[]){sizeof out}, NULL, 0, 1);
    cr_assert_arr_eq(out, ((float[]){0, 1, 1, 2, 3, 5, 8, 13, 21, 34}), sizeof out);
    bench_close(&bench);
}

/* What is read before a get and set after it must not reach the variable early. */
Test(interpret, set_takes_effect_in_its_place)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const y = tensor(&bench, "y", DTYPE_I32, constant(&bench, 3), PLACE_OUTPUT);
    Node *const variable = ordered(&bench, OP_var, no_value, (Node *[]){const_int(ir, DTYPE_I32, 5)}, 1);
    Node *const read = ordered(&bench, OP_read, type_scalar(DTYPE_I32), (Node *[]){y, constant(&bench, 0)}, 2);
    Node *const before = ordered(&bench, OP_get, type_scalar(DTYPE_I32), (Node *[]){variable}, 1);
    store(&bench, y, constant(&bench, 0), before);
    ordered(&bench, OP_set, no_value, (Node *[]){variable, read}, 2);
    store(&bench, y, constant(&bench, 1), ordered(&bench, OP_get, type_scalar(DTYPE_I32), (Node *[]){variable}, 1));
    store(&bench, y, constant(&bench, 2), before);
    compile(&bench, (Node *[]){y}, 1);
    int32_t out[3] = {9, 0, 0};
    run_ok(&bench, (void *[]){out}, (uint64_t[]){sizeof out}, NULL, 0, 1);
    cr_assert_arr_eq(out, ((int32_t[]){5, 9, 5}), sizeof out);
    bench_close(&bench);
}

/* ---- vectors ---- */

/* 16 lanes are added by halves: lane j with j + 8, then 4, 2, 1. */
Test(interpret, reduce_adds_by_halves)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const x = tensor(&bench, "x", DTYPE_F32, constant(&bench, 16), PLACE_INPUT), *const y = tensor(
                                                                                           &bench, "y", DTYPE_F32,
                                                                                           constant(&bench, 3),
                                                                                           PLACE_OUTPUT);
    Node *const vector = load(&bench, x, constant(&bench, 0), 16);
    const FoldKind kinds[] = {FOLD_SUM, FOLD_MAX, FOLD_PROD};
    for (int i = 0; i < 3; i++)
        store(&bench, y, constant(&bench, i),
              node_make(ir, &(Node){.op = OP_reduce,
                                    .type = type_scalar(DTYPE_F32),
                                    .inputs = (Node *[]){vector},
                                    .input_count = 1,
                                    .payload.fold.kind = (uint8_t)kinds[i]}));
    compile(&bench, (Node *[]){x, y}, 2);
    float in[16], out[3], sum[16], product[16], largest = -INFINITY;
    for (int i = 0; i < 16; i++) {
        sum[i] = product[i] = in[i] = (i % 2 ? 1e8f : 1.37f) / (float)(i + 1);
        largest = fmaxf(largest, in[i]);
    }
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++) {
            sum[i] += sum[i + half];
            product[i] *= product[i + half];
        }
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){sizeof in, sizeof out}, NULL, 0, 1);
    cr_assert_eq(out[0], sum[0]);
    cr_assert_eq(out[1], largest);
    cr_assert_eq(out[2], product[0]);
    bench_close(&bench);
}

/* y = join(x[4..7], x[0..1], splat(x[3]) of 2), through slices and an extract. */
Test(interpret, slices_joins_and_extracts)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const x = tensor(&bench, "x", DTYPE_I32, constant(&bench, 8), PLACE_INPUT), *const y =
                                                                                          tensor(&bench, "y", DTYPE_I32,
                                                                                                 constant(&bench, 8),
                                                                                                 PLACE_OUTPUT);
    Node *const vector = load(&bench, x, constant(&bench, 0), 8);
    Node *const high = node_make(ir, &(Node){.op = OP_slice,
                                             .type = type_vector(DTYPE_I32, 4),
                                             .inputs = (Node *[]){vector},
                                             .input_count = 1,
                                             .payload.integer = 4});
    Node *const low = node_make(ir, &(Node){.op = OP_slice,
                                            .type = type_vector(DTYPE_I32, 2),
                                            .inputs = (Node *[]){vector},
                                            .input_count = 1,
                                            .payload.integer = 0});
    Node *const third = node_make(ir, &(Node){.op = OP_extract,
                                              .type = type_scalar(DTYPE_I32),
                                              .inputs = (Node *[]){vector},
                                              .input_count = 1,
                                              .payload.integer = 3});
    store(&bench, y, constant(&bench, 0),
          pure(&bench, OP_join, type_vector(DTYPE_I32, 8), (Node *[]){high, low, splat_make(ir, third, 2)}, 3));
    compile(&bench, (Node *[]){x, y}, 2);
    int32_t in[8] = {10, 11, 12, 13, 14, 15, 16, 17}, out[8];
    run_ok(&bench, (void *[]){in, out}, (uint64_t[]){sizeof in, sizeof out}, NULL, 0, 1);
    cr_assert_arr_eq(out, ((int32_t[]){14, 15, 16, 17, 10, 11, 13, 13}), sizeof out);
    bench_close(&bench);
}

/* y[index[i]] = x[7 - i] where keep[i]; masked-off lanes may hold any offset. */
Test(interpret, gather_and_scatter_with_masks)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const eight = constant(&bench, 8);
    Node *const x = tensor(&bench, "x", DTYPE_F64, eight, PLACE_INPUT), *const index =
                                                                            tensor(&bench, "index", DTYPE_I64, eight,
                                                                                   PLACE_INPUT);
    Node *const keep = tensor(&bench, "keep", DTYPE_BOOL, eight, PLACE_INPUT), *const y = tensor(&bench, "y", DTYPE_F64,
                                                                                                 eight, PLACE_OUTPUT);
    Node *const zero = constant(&bench, 0);
    Node *const lanes = pure(&bench, OP_iota, type_vector(DTYPE_INDEX, 8), NULL, 0);
    Node *const backwards = scalar2(ir, OP_sub, splat_make(ir, constant(&bench, 7), 8), lanes);
    Node *const values = pure(&bench, OP_gather, type_vector(DTYPE_F64, 8), (Node *[]){x, backwards}, 2);
    Node *const places = cast_make(ir, load(&bench, index, zero, 8), DTYPE_INDEX);
    ordered(&bench, OP_scatter, no_value, (Node *[]){y, places, values, load(&bench, keep, zero, 8)}, 4);
    compile(&bench, (Node *[]){x, index, keep, y}, 4);
    double in[8], out[8];
    int64_t where[8] = {3, 99, 0, 5, -4, 7, 1, 2};
    uint8_t mask[8] = {1, 0, 1, 1, 0, 1, 1, 1};
    for (int i = 0; i < 8; i++) {
        in[i] = i * 1.5;
        out[i] = -1;
    }
    run_ok(&bench, (void *[]){in, where, mask, out}, (uint64_t[]){sizeof in, sizeof where, sizeof mask, sizeof out},
           NULL, 0, 1);
    double expected[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    for (int i = 0; i < 8; i++)
        if (mask[i])
            expected[where[i]] = in[7 - i];
    cr_assert_arr_eq(out, expected, sizeof out);
    /* The same with all lanes on is an access outside. */
    memset(mask, 1, sizeof mask);
    int32_t error = 0;
    cr_assert_eq(interpret_run(bench.code, (void *[]){in, where, mask, out},
                               (uint64_t[]){sizeof in, sizeof where, sizeof mask, sizeof out}, NULL, 0, 1, &error),
                 INTERPRET_RANGE);
    cr_assert_str_eq(interpret_message(bench.code),
                     "kernel k: scatter of 1 elements at offset 99 of buffer y of 8 elements");
    bench_close(&bench);
}

/* i4 and u2 elements lie low bits first: y (i4) = x (i4) + 1, and z (f32) = u2 values. */
Test(interpret, packed_elements)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const four = constant(&bench, 4), *const zero = constant(&bench, 0);
    Node *const x = tensor(&bench, "x", DTYPE_I4, four, PLACE_INPUT), *const u = tensor(&bench, "u", DTYPE_U2, four,
                                                                                        PLACE_INPUT);
    Node *const y = tensor(&bench, "y", DTYPE_I4, four, PLACE_OUTPUT), *const z = tensor(&bench, "z", DTYPE_F32, four,
                                                                                         PLACE_OUTPUT);
    Node *const wide = cast_make(ir, load(&bench, x, zero, 4), DTYPE_I32);
    Node *const more = scalar2(ir, OP_add, wide, splat_make(ir, const_int(ir, DTYPE_I32, 1), 4));
    store(&bench, y, zero, cast_make(ir, more, DTYPE_I4));
    store(&bench, z, zero, cast_make(ir, load(&bench, u, zero, 4), DTYPE_F32));
    compile(&bench, (Node *[]){x, u, y, z}, 4);
    uint8_t in[2] = {0x87, 0x3f}, twos[1] = {0xe4}, out[3] = {0, 0, 0x55}; /* 7, -8, -1, 3; 0, 1, 2, 3 */
    float floats[4];
    run_ok(&bench, (void *[]){in, twos, out, floats}, (uint64_t[]){2, 1, 2, sizeof floats}, NULL, 0, 1);
    cr_assert_eq(out[0], 0x98); /* 8 wraps to -8, -7 */
    cr_assert_eq(out[1], 0x40); /* 0, 4 */
    cr_assert_eq(out[2], 0x55);
    cr_assert_arr_eq(floats, ((float[]){0, 1, 2, 3}), sizeof floats);
    bench_close(&bench);
}

/* ---- locals ---- */

/* A local holds a row while its prefix sums are made; the same local without its first write is found out. */
static void build_prefix(Bench *bench, bool initialise, Node **inputs)
{
    Ir *const ir = bench->ir;
    Node *const four = constant(bench, 4);
    Node *const x = inputs[0] = tensor(bench, "x", DTYPE_F32, four, PLACE_INPUT);
    Node *const y = inputs[1] = tensor(bench, "y", DTYPE_F32, four, PLACE_OUTPUT);
    Node *const sums = tensor(bench, "sums", DTYPE_F32, constant(bench, 5), PLACE_LOCAL);
    Block *outer;
    if (initialise)
        store(bench, sums, constant(bench, 0), const_float(ir, DTYPE_F32, 0));
    Node *const i = loop_begin(bench, "i", constant(bench, 0), four, 1, &outer);
    Node *const before = ordered(bench, OP_read, type_scalar(DTYPE_F32), (Node *[]){sums, i}, 2);
    store(bench, sums, index_add(ir, i, constant(bench, 1)), scalar2(ir, OP_add, before, load(bench, x, i, 1)));
    bench->block = outer;
    store(bench, y, constant(bench, 0),
          ordered(bench, OP_read, type_vector(DTYPE_F32, 4), (Node *[]){sums, constant(bench, 1)}, 2));
    compile(bench, inputs, 2);
}

Test(interpret, locals)
{
    float in[4] = {1.5f, 2, 3, -1}, out[4];
    const uint64_t bytes[] = {sizeof in, sizeof out};
    void *const buffers[] = {in, out};
    Node *inputs[2];
    Bench bench = bench_open();
    build_prefix(&bench, true, inputs);
    run_ok(&bench, buffers, bytes, NULL, 0, 1);
    cr_assert_arr_eq(out, ((float[]){1.5f, 3.5f, 6.5f, 5.5f}), sizeof out);
    bench_close(&bench);
    bench = bench_open();
    build_prefix(&bench, false, inputs);
    cr_assert_eq(
        interpret_run_with(bench.code, buffers, bytes, NULL, 0, 1, NULL, &(RunOptions){.detect_unwritten = true}),
        INTERPRET_UNWRITTEN);
    cr_assert_str_eq(
        interpret_message(bench.code),
        "kernel k: read of 1 elements at offset 0 of buffer sums reads what was never written, of 5 elements");
    cr_assert_eq(interpret_run(bench.code, buffers, bytes, NULL, 0, 1, NULL), INTERPRET_OK);
    cr_assert(isnan(out[3]));
    bench_close(&bench);
}

/* ---- ends ---- */

Test(interpret, accesses_outside_end_the_run)
{
    Bench bench = bench_open();
    Node *const x = tensor(&bench, "x", DTYPE_F32, constant(&bench, 8), PLACE_INPUT), *const y =
                                                                                          tensor(&bench, "y", DTYPE_F32,
                                                                                                 constant(&bench, 8),
                                                                                                 PLACE_OUTPUT);
    store(&bench, y, constant(&bench, 0), load(&bench, x, begin_of(&bench), 4));
    compile(&bench, (Node *[]){x, y}, 2);
    float in[8] = {0}, out[8] = {0};
    const uint64_t bytes[] = {sizeof in, sizeof out};
    void *const buffers[] = {in, out};
    cr_assert_eq(interpret_run(bench.code, buffers, bytes, NULL, 4, 5, NULL), INTERPRET_OK);
    const int64_t outside[] = {5, 8, -1, INT64_MAX, INT64_MIN, INT64_MAX - 2};
    for (int i = 0; i < 6; i++)
        cr_assert_eq(interpret_run(bench.code, buffers, bytes, NULL, outside[i], 0, NULL), INTERPRET_RANGE);
    cr_assert_eq(interpret_run(bench.code, buffers, bytes, NULL, 5, 5, NULL), INTERPRET_RANGE);
    cr_assert_str_eq(interpret_message(bench.code),
                     "kernel k: load of 4 elements at offset 5 of buffer x of 8 elements");
    bench_close(&bench);
}

Test(interpret, checks_set_the_first_code)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const y = tensor(&bench, "y", DTYPE_F32, constant(&bench, 1), PLACE_OUTPUT);
    Node *const begin = begin_of(&bench);
    const int64_t limits[] = {10, 5, 2};
    for (int i = 0; i < 3; i++)
        block_append(ir, bench.block,
                     node_make(ir, &(Node){.op = OP_check,
                                           .type = no_value,
                                           .inputs = (Node *[]){scalar2(ir, OP_lt, begin, constant(&bench, limits[i]))},
                                           .input_count = 1,
                                           .payload.integer = -100 - i}));
    store(&bench, y, constant(&bench, 0), const_float(ir, DTYPE_F32, 1));
    compile(&bench, (Node *[]){y}, 1);
    float out;
    int32_t error = 0;
    cr_assert_eq(interpret_run(bench.code, (void *[]){&out}, (uint64_t[]){sizeof out}, NULL, 1, 2, &error),
                 INTERPRET_OK);
    cr_assert_eq(error, 0);
    cr_assert_eq(interpret_run(bench.code, (void *[]){&out}, (uint64_t[]){sizeof out}, NULL, 7, 8, &error),
                 INTERPRET_OK);
    cr_assert_eq(error, -101);
    cr_assert_eq(interpret_run(bench.code, (void *[]){&out}, (uint64_t[]){sizeof out}, NULL, 100, 101, &error),
                 INTERPRET_OK);
    cr_assert_eq(error, -101);
    bench_close(&bench);
}

Test(interpret, endless_loops_end_at_the_limit)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Block *body = block_make(ir);
    block_append(ir, bench.block,
                 node_make(ir, &(Node){.op = OP_loop, .type = no_value, .blocks = &body, .block_count = 1}));
    bench.block = body;
    ordered(&bench, OP_break, no_value, (Node *[]){scalar2(ir, OP_eq, begin_of(&bench), constant(&bench, 5))}, 1);
    compile(&bench, NULL, 0);
    cr_assert_eq(interpret_run_with(bench.code, NULL, NULL, NULL, 0, 1, NULL, &(RunOptions){.work_limit = 100000}),
                 INTERPRET_LIMIT);
    cr_assert_eq(interpret_run_with(bench.code, NULL, NULL, NULL, 5, 6, NULL, &(RunOptions){.work_limit = 100000}),
                 INTERPRET_OK);
    bench_close(&bench);
}

/* Storage types compute in f32 and round back; prefetch does nothing, wherever it points. */
Test(interpret, storage_types_and_prefetch)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const four = constant(&bench, 4), *const zero = constant(&bench, 0);
    Node *const x = tensor(&bench, "x", DTYPE_F16, four, PLACE_INPUT),
                *const y = tensor(&bench, "y", DTYPE_F16, four, PLACE_OUTPUT),
                *const z = tensor(&bench, "z", DTYPE_BF16, four, PLACE_OUTPUT);
    ordered(&bench, OP_prefetch, no_value, (Node *[]){x, constant(&bench, 1 << 30)}, 2);
    Node *const value = load(&bench, x, zero, 4);
    store(&bench, y, zero, scalar2(ir, OP_mul, value, value));
    store(&bench, z, zero, cast_make(ir, value, DTYPE_BF16));
    compile(&bench, (Node *[]){x, y, z}, 3);
    uint16_t in[4] = {0x3c00, 0xc000, 0x7bff, 0x3555}, out[4], brain[4]; /* 1, -2, 65504, 0.333 */
    run_ok(&bench, (void *[]){in, out, brain}, (uint64_t[]){8, 8, 8}, NULL, 0, 1);
    cr_assert_arr_eq(out, ((uint16_t[]){0x3c00, 0x4400, 0x7c00, 0x2f1c}), sizeof out);
    cr_assert_arr_eq(brain, ((uint16_t[]){0x3f80, 0xc000, 0x4780, 0x3eab}), sizeof brain);
    bench_close(&bench);
}
