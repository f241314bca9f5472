/* Tile registers in the interpreter; expected values are computed here, from the manual's description. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "bench.h"
#include "ir/tiles.h"

static uint32_t pair_of(float low, float high)
{
    uint32_t bits[2];
    memcpy(&bits[0], &low, 4);
    memcpy(&bits[1], &high, 4);
    return bits[0] >> 16 | (bits[1] & 0xffff0000);
}

/* Whole numbers have one sum, whatever the order. */
Test(tiles, products_of_whole_numbers_are_exact)
{
    uint32_t a[TILE_ELEMENTS], b[TILE_ELEMENTS];
    float sums[TILE_ELEMENTS];
    for (int i = 0; i < TILE_ELEMENTS; i++) {
        a[i] = pair_of((float)(i % 11 - 5), (float)(i % 7));
        b[i] = pair_of((float)(i % 5), (float)(i % 13 - 6));
        sums[i] = (float)i;
    }
    tile_dot(sums, a, b);
    for (int row = 0; row < TILE_ROWS; row++)
        for (int column = 0; column < TILE_WORDS; column++) {
            const int at = row * TILE_WORDS + column;
            int wanted = at;
            for (int k = 0; k < TILE_WORDS; k++) {
                const int left = row * TILE_WORDS + k, right = k * TILE_WORDS + column;
                wanted += (left % 11 - 5) * (right % 5) + left % 7 * (right % 13 - 6);
            }
            cr_expect_eq(sums[at], (float)wanted, "%d", at);
        }
}

/* Low halves and high halves are summed apart, ascending, each rounded, and their sum is added last. */
Test(tiles, sums_have_the_order_of_the_instruction)
{
    uint32_t a[TILE_ELEMENTS] = {0}, b[TILE_ELEMENTS] = {0};
    float sums[TILE_ELEMENTS] = {1};
    const float one[TILE_WORDS] = {0x1p24F, 1, 1, -0x1p24F};
    for (int k = 0; k < TILE_WORDS; k++) {
        a[k] = pair_of(one[k], 0x1p-30F);
        b[k * TILE_WORDS] = pair_of(1, 1);
    }
    tile_dot(sums, a, b);
    /* low: 2^24 + 1 stays 2^24, twice, less 2^24 is 0; high: 16 * 2^-30; 1 + 2^-26 is 1 in f32. */
    cr_expect_eq(sums[0], 1.0F);
    sums[0] = 0;
    tile_dot(sums, a, b);
    cr_expect_eq(sums[0], 16 * 0x1p-30F);
}

Test(tiles, subnormal_numbers_are_zeros)
{
    uint32_t a[TILE_ELEMENTS] = {0}, b[TILE_ELEMENTS] = {0};
    float sums[TILE_ELEMENTS] = {0};
    a[0] = pair_of(0x1p-130F, 0x1p-100F); /* an operand; a product below the normal numbers */
    b[0] = pair_of(0x1p10F, 0x1p-30F);
    sums[0] = 0x1p-130F;
    tile_dot(sums, a, b);
    cr_expect_eq(sums[0], 0);
    a[0] = pair_of(INFINITY, 0);
    b[0] = pair_of(0, 0);
    tile_dot(sums, a, b);
    cr_expect(isnan(sums[0]));
}

static Node *tile_op(Bench *bench, Op op, Node *buffer, int64_t offset, int64_t number)
{
    Node *inputs[] = {buffer, constant(bench, offset)};
    return node_make(bench->ir,
                     &(Node){.op = op, .inputs = inputs, .input_count = buffer ? 2 : 0, .payload.integer = number});
}

/* Rows that are further apart than 16 words, through two registers and back. */
Test(tiles, registers_move_rows)
{
    enum { PITCH = 20, WORDS = 16 * PITCH };
    Bench bench = bench_open();
    Node *const x = tensor(&bench, "x", DTYPE_F32, constant(&bench, WORDS), PLACE_INPUT);
    Node *const y = tensor(&bench, "y", DTYPE_F32, constant(&bench, TILE_ELEMENTS), PLACE_OUTPUT);
    Node *const from = tensor(&bench, "from", DTYPE_F32, constant(&bench, WORDS), PLACE_LOCAL);
    Node *const to = tensor(&bench, "to", DTYPE_F32, constant(&bench, TILE_ELEMENTS), PLACE_LOCAL);
    for (int i = 0; i < WORDS; i += 16)
        store(&bench, from, constant(&bench, i), load(&bench, x, constant(&bench, i), 16));
    block_append(bench.ir, bench.body, tile_op(&bench, OP_tile_load, from, 0, tile_move_number(3, PITCH)));
    block_append(bench.ir, bench.body, tile_op(&bench, OP_tile_zero, NULL, 0, 5));
    block_append(bench.ir, bench.body, tile_op(&bench, OP_tile_store, to, 0, 3 + TILES * TILE_WORDS));
    for (int i = 0; i < TILE_ELEMENTS; i += 16)
        store(&bench, y, constant(&bench, i),
              ordered(&bench, OP_read, type_vector(DTYPE_F32, 16), (Node *[]){to, constant(&bench, i)}, 2));
    compile(&bench, (Node *[]){x, y}, 2);
    float in[WORDS], out[TILE_ELEMENTS];
    for (int i = 0; i < WORDS; i++)
        in[i] = (float)i;
    int32_t error = 0;
    const int32_t result = interpret_run_with(bench.code, (void *[]){in, out}, (uint64_t[]){sizeof in, sizeof out},
                                              NULL, 0, 1, &error, &(RunOptions){.detect_unwritten = true});
    cr_assert_eq(result, INTERPRET_OK, "%s", interpret_message(bench.code));
    for (int i = 0; i < TILE_ELEMENTS; i++)
        cr_expect_eq(out[i], in[i / 16 * PITCH + i % 16], "%d", i);
    bench_close(&bench);
}

/* The last row of the register would end behind the buffer; nobody wrote what is read. */
Test(tiles, moves_stay_inside_and_read_what_was_written)
{
    static const int32_t wanted[] = {INTERPRET_RANGE, INTERPRET_UNWRITTEN};
    for (int i = 0; i < 2; i++) {
        Bench bench = bench_open();
        Node *const y = tensor(&bench, "y", DTYPE_F32, constant(&bench, 16), PLACE_OUTPUT);
        Node *const local = tensor(&bench, "local", DTYPE_F32, constant(&bench, TILE_ELEMENTS), PLACE_LOCAL);
        block_append(bench.ir, bench.body, tile_op(&bench, OP_tile_zero, NULL, 0, 0));
        block_append(bench.ir, bench.body,
                     tile_op(&bench, i ? OP_tile_load : OP_tile_store, local, i ? 0 : 1, TILES * TILE_WORDS));
        compile(&bench, &y, 1);
        float out[16];
        int32_t error = 0;
        cr_expect_eq(interpret_run_with(bench.code, (void *[]){out}, (uint64_t[]){sizeof out}, NULL, 0, 1, &error,
                                        &(RunOptions){.detect_unwritten = true}),
                     wanted[i], "%d: %s", i, interpret_message(bench.code));
        bench_close(&bench);
    }
}
