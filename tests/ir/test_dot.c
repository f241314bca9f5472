/* The product of bytes in the interpreter; expected values are computed here, in plain C. */
#include <criterion/criterion.h>

#include "bench.h"

/* Four unsigned bytes times four signed ones for each of 16 sums, which wrap. */
Test(dot, adds_products_of_four_bytes)
{
    enum { LANES = 16 };
    Bench bench = bench_open();
    Node *const a = tensor(&bench, "a", DTYPE_U8, constant(&bench, 4), PLACE_INPUT);
    Node *const b = tensor(&bench, "b", DTYPE_I8, constant(&bench, 4 * LANES), PLACE_INPUT);
    Node *const c = tensor(&bench, "c", DTYPE_I32, constant(&bench, LANES), PLACE_INPUT);
    Node *const y = tensor(&bench, "y", DTYPE_I32, constant(&bench, LANES), PLACE_OUTPUT);
    Node *const zero = constant(&bench, 0);
    Node *const operands[] = {load(&bench, c, zero, LANES), load(&bench, a, zero, 4), load(&bench, b, zero, 4 * LANES)};
    store(&bench, y, zero, pure(&bench, OP_dot, type_vector(DTYPE_I32, LANES), (Node **)(uintptr_t)operands, 3));
    compile(&bench, (Node *[]){a, b, c, y}, 4);
    uint8_t bytes[4] = {255, 128, 1, 254};
    int8_t terms[4 * LANES];
    int32_t sums[LANES], out[LANES];
    for (int i = 0; i < 4 * LANES; i++)
        terms[i] = (int8_t)(i * 37 - 128);
    for (int i = 0; i < LANES; i++)
        sums[i] = i % 2 ? INT32_MAX - i : INT32_MIN + i;
    int32_t error = 0;
    const int32_t result = interpret_run_with(bench.code, (void *[]){bytes, terms, sums, out},
                                              (uint64_t[]){sizeof bytes, sizeof terms, sizeof sums, sizeof out}, NULL,
                                              0, 1, &error, &(RunOptions){.detect_unwritten = true});
    cr_assert_eq(result, INTERPRET_OK, "%s", interpret_message(bench.code));
    for (int i = 0; i < LANES; i++) {
        int64_t wanted = sums[i];
        for (int j = 0; j < 4; j++)
            wanted += (int64_t)bytes[j] * terms[4 * i + j];
        cr_assert_eq(out[i], (int32_t)(uint32_t)wanted, "%d", i);
    }
    bench_close(&bench);
}
