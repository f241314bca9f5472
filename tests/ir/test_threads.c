/* links: lathe_ir */
/* Kernels of threads in the interpreter: right programs give what plain C computes here, whatever the order in which
 * threads run. test_threads_faults.c has the wrong ones. Together they are the spike of a tile of matrix instructions
 * with asynchronous copies and race detection. */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "ir/mma.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "tests/ir/threads.h"

static Loaded load_verified(const char *text)
{
    const Loaded loaded = load(text);
    const Diagnostics *const diagnostics = loaded.ir->diagnostics;
    cr_assert(verify_kernel(loaded.ir, loaded.kernel, loaded.ir->diagnostics), "%s",
              diagnostics->first ? diagnostics->first->text : "");
    const char *const once = print_kernel(loaded.arena, loaded.kernel, PRINT_PLAIN, NULL);
    Node *const again = parse_kernel(loaded.ir, "again.ir", once, strlen(once));
    cr_assert(again, "%s", diagnostics->first ? diagnostics->first->text : "");
    cr_assert_str_eq(print_kernel(loaded.arena, again, PRINT_PLAIN, NULL), once);
    return loaded;
}

static void run_ok(const Loaded *loaded, void *const *buffers, const uint64_t *bytes, int64_t blocks, uint64_t seed)
{
    cr_assert_eq(run(loaded, buffers, bytes, blocks, seed), INTERPRET_OK, "seed %d: %s", (int)seed,
                 interpret_message(loaded->code));
}

static float wave(int i)
{
    return (float)((i * 37 + 11) % 23 - 11) / 8 + (float)(i % 7) * 0.01f;
}

typedef struct Product {
    float a[32][48], b[48][64], c[32][64];
} Product;

static void product_fill(Product *product)
{
    for (int i = 0; i < 32 * 48; i++)
        product->a[i / 48][i % 48] = wave(i);
    for (int i = 0; i < 48 * 64; i++)
        product->b[i / 64][i % 64] = wave(3 * i + 5);
    memset(product->c, 0, sizeof product->c);
}

static int32_t product_run(const Loaded *loaded, Product *product, uint64_t seed)
{
    product_fill(product);
    return run(loaded, (void *[]){product->a, product->b, product->c},
               (uint64_t[]){sizeof product->a, sizeof product->b, sizeof product->c}, 8, seed);
}

Test(threads, a_tiled_product_with_copies_ahead_gives_the_bits_of_a_plain_one)
{
    static Product product;
    const Loaded loaded = load_verified(product_text);
    for (int seed = 0; seed < SEEDS; seed++) {
        cr_assert_eq(product_run(&loaded, &product, (uint64_t)seed), INTERPRET_OK, "%s",
                     interpret_message(loaded.code));
        for (int i = 0; i < 32; i++)
            for (int j = 0; j < 64; j++) {
                float sum = 0;
                for (int k = 0; k < 48; k++)
                    sum = fmaf(product.a[i][k], product.b[k][j], sum);
                cr_assert_eq(product.c[i][j], sum, "seed %d, (%d,%d)", seed, i, j);
            }
    }
    arena_close(loaded.arena);
}

Test(threads, a_block_sums_by_shuffles)
{
    float x[2048], y[8];
    const Loaded loaded = load_verified(sum_text);
    sum_fill(x);
    for (int seed = 0; seed < SEEDS; seed++) {
        memset(y, 0, sizeof y);
        run_ok(&loaded, (void *[]){x, y}, (uint64_t[]){sizeof x, sizeof y}, 8, (uint64_t)seed);
        for (int block = 0; block < 8; block++) {
            float sum = 0;
            for (int i = 0; i < 256; i++)
                sum += x[256 * block + i];
            cr_assert_eq(y[block], sum, "seed %d block %d", seed, block);
        }
    }
    arena_close(loaded.arena);
}

/* f16 bits of a multiple of 1/16 below 8 in size. */
static uint16_t half(float value)
{
    if (value == 0)
        return 0;
    int exponent;
    const float mantissa = frexpf(fabsf(value), &exponent);
    return (uint16_t)((value < 0 ? 0x8000 : 0) | (exponent + 14) << 10 | ((int)(mantissa * 2048) & 0x3ff));
}

/* The largest k of a row is 64 here: 64 sums of one rounding each, of terms whose sizes sum to `size`. */
static double bound(double size)
{
    return size * 64 * 0x1p-24;
}

Test(threads, a_tile_of_halves_is_near_the_product_in_f64)
{
    uint16_t a[16][64], b[64][8];
    float wide_a[16][64], wide_b[64][8], c[16][8];
    for (int i = 0; i < 16 * 64; i++)
        a[i / 64][i % 64] = half(wide_a[i / 64][i % 64] = (float)((i * 29 + 3) % 101 - 50) / 16);
    for (int i = 0; i < 64 * 8; i++)
        b[i / 8][i % 8] = half(wide_b[i / 8][i % 8] = (float)((i * 31 + 7) % 97 - 48) / 16);
    const Loaded loaded = load_verified(half_text);
    for (int seed = 0; seed < SEEDS; seed++) {
        memset(c, 0, sizeof c);
        run_ok(&loaded, (void *[]){a, b, c}, (uint64_t[]){sizeof a, sizeof b, sizeof c}, 1, (uint64_t)seed);
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 8; j++) {
                double sum = 0, size = 0;
                for (int k = 0; k < 64; k++) {
                    sum += (double)wide_a[i][k] * wide_b[k][j];
                    size += fabs((double)wide_a[i][k] * wide_b[k][j]);
                }
                cr_assert(fabs(sum - (double)c[i][j]) <= bound(size), "(%d,%d): %g and %g", i, j, sum, (double)c[i][j]);
            }
    }
    arena_close(loaded.arena);
}

/* One instruction of each other row, operands straight from memory: %A, %B, %T are its fragments' loads and types. */
typedef struct InstructionCase {
    const char *name, *dtype;
    int k, a_lanes, b_lanes, bits; /* bits of the mantissa that the instruction sees */
} InstructionCase;
static const InstructionCase instructions[] = {
    {"m16n8k8.f16.f32", "f16", 8, 4, 2, 11},
    {"m16n8k16.f16.f32", "f16", 16, 8, 4, 11},
    {"m16n8k16.bf16.f32", "bf16", 16, 8, 4, 8},
    {"m16n8k8.tf32.f32", "f32", 8, 4, 2, 11},
};

/* Fragments lie in memory lane after lane; the test places the matrices there by the table of PTX, which test_mma.c
 * checks. */

static void place_fragments(const MmaMap *map, const float matrix[16][16], float *fragments)
{
    for (int lane = 0; lane < 32; lane++)
        for (int slot = 0; slot < map->slots; slot++) {
            int row, column;
            mma_place(map, lane, slot, &row, &column);
            fragments[lane * map->slots + slot] = matrix[row][column];
        }
}

Test(threads, every_matrix_instruction_is_near_the_product_in_f64)
{
    for (size_t n = 0; n < sizeof instructions / sizeof *instructions; n++) {
        const InstructionCase *const one = &instructions[n];
        char text[1024];
        snprintf(text, sizeof text,
                 "buffer %%a : f32[32,%d] buffer %%b : f32[32,%d] buffer %%c : f32[32,4] buffer %%d : f32[32,4]\n"
                 "kernel k (%%a, %%b, %%c, %%d) units 1 threads 32 { body {\n"
                 "%%v = (mma %s (cast %sx%d (load f32x%d %%a %d*%%thread)) (cast %sx%d (load f32x%d %%b %d*%%thread)) "
                 "(load f32x4 %%c 4*%%thread))\n"
                 "store %%d 4*%%thread %%v } }",
                 one->a_lanes, one->b_lanes, one->name, one->dtype, one->a_lanes, one->a_lanes, one->a_lanes,
                 one->dtype, one->b_lanes, one->b_lanes, one->b_lanes);
        float a[16][16] = {{0}}, b[16][16] = {{0}}, c[16][16] = {{0}}, d[32 * 4], fa[32 * 8], fb[32 * 8], fc[32 * 4];
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 16; j++) {
                /* Values of 7 bits are exact in every type; tf32 has to drop what lies below its 11. */
                a[i][j] = (float)((i * 17 + j * 5) % 127 - 63) / 8;
                b[i][j] = (float)((i * 13 + j * 11) % 125 - 62) / 16;
                c[i][j] = wave(i * 8 + j);
            }
        const MmaRow *const row = mma_row(mma_find(one->name));
        place_fragments(&row->a, (const float(*)[16])a, fa);
        place_fragments(&row->b, (const float(*)[16])b, fb);
        place_fragments(&row->c, (const float(*)[16])c, fc);
        if (one->dtype[0] == 'f' && one->dtype[1] == '3')
            for (int i = 0; i < 32 * row->a.slots; i++)
                fa[i] += fa[i] * 0x1p-13f; /* below the bits that count */
        const Loaded loaded = load_verified(text);
        run_ok(&loaded, (void *[]){fa, fb, fc, d},
               (uint64_t[]){sizeof(float) * 32 * (uint64_t)row->a.slots, sizeof(float) * 32 * (uint64_t)row->b.slots,
                            sizeof fc, sizeof d},
               1, n);
        for (int lane = 0; lane < 32; lane++)
            for (int slot = 0; slot < 4; slot++) {
                int i, j;
                mma_place(&row->c, lane, slot, &i, &j);
                double sum = c[i][j], size = fabs((double)c[i][j]);
                for (int k = 0; k < one->k; k++) {
                    sum += (double)a[i][k] * b[k][j];
                    size += fabs((double)a[i][k] * b[k][j]);
                }
                cr_expect(fabs(sum - (double)d[lane * 4 + slot]) <= bound(size), "%s (%d,%d): %g and %g", one->name, i,
                          j, sum, (double)d[lane * 4 + slot]);
            }
        arena_close(loaded.arena);
    }
}

/* ---- what is right ---- */

Test(threads, a_false_condition_copies_zeros_and_reads_nothing)
{
    static const char text[] =
        SUM_HEAD "        if (lt %thread 2) {\n"
                 "            copy_async %part 4*%thread %x (add 4*%thread (mul %thread 99992)) mask (lt %thread 1) 4\n"
                 "        }\n"
                 "        copy_commit\n"
                 "        copy_wait 0\n"
                 "        barrier\n"
                 "        if (eq %begin 0) {\n"
                 "            %v = (read f32 %part (mod %thread 8))\n"
                 "            store %y (mod %thread 8) %v mask (lt %thread 8)\n"
                 "        }\n"
                 "    }\n"
                 "}\n";
    float x[2048], y[8];
    const Loaded loaded = load_verified(text);
    sum_fill(x);
    for (int seed = 0; seed < SEEDS; seed++) {
        run_ok(&loaded, (void *[]){x, y}, (uint64_t[]){sizeof x, sizeof y}, 8, (uint64_t)seed);
        for (int i = 0; i < 8; i++)
            cr_assert_eq(y[i], i < 4 ? x[i] : 0);
    }
    arena_close(loaded.arena);
}

/* Threads of a block may hand on through memory of the model when a barrier stands between; blocks may read the same.
 */
Test(threads, a_barrier_orders_memory_of_the_model)
{
    static const char text[] =
        "buffer %x : f32[64] input 0 \"x\" buffer %t : f32[4,64] buffer %y : f32[4,64] output 0 \"y\"\n"
        "kernel k (%x, %t, %y) units 4 threads 64 { body {\n"
        "store %t 64*%begin+%thread (load f32 %x %thread)\n"
        "barrier\n"
        "%v = (read f32 %t 64*%begin+63-%thread)\n"
        "barrier\n"
        "store %t 64*%begin+%thread %v\n"
        "store %y 64*%begin+%thread %v } }\n";
    float x[64], t[256], y[256];
    for (int i = 0; i < 64; i++)
        x[i] = wave(i);
    const Loaded loaded = load_verified(text);
    for (int seed = 0; seed < SEEDS; seed++) {
        run_ok(&loaded, (void *[]){x, t, y}, (uint64_t[]){sizeof x, sizeof t, sizeof y}, 4, (uint64_t)seed);
        for (int i = 0; i < 256; i++)
            cr_assert_eq(y[i], x[63 - i % 64]);
    }
    arena_close(loaded.arena);
}

/* Two names of one memory: a thread that reads what another writes under the other name is found. */
Test(threads, names_of_the_same_memory_are_watched_together)
{
    static const char text[] = "buffer %t : f32[8,8] buffer %v : f32[4,4] alias %t\n"
                               "kernel k (%v, %t) units 1 threads 32 { body {\n"
                               "store %t %thread 1:f32\n"
                               "%s = (read f32 %v (mod %thread+NEXT 16) (lt %thread 16) 0:f32)\n"
                               "store %t 32+%thread %s } }\n";
    float t[64] = {0};
    Arena *const arena = arena_open(0, NULL, NULL);
    const Loaded own = load(replaced(arena, text, "NEXT", "0")), next = load(replaced(arena, text, "NEXT", "1"));
    for (int seed = 0; seed < SEEDS; seed++) {
        run_ok(&own, (void *[]){t, t}, (uint64_t[]){64, 256}, 1, (uint64_t)seed);
        cr_expect_eq(run(&next, (void *[]){t, t}, (uint64_t[]){64, 256}, 1, (uint64_t)seed), INTERPRET_RACE);
    }
    arena_close(own.arena);
    arena_close(next.arena);
    arena_close(arena);
}

/* A work limit holds for all threads together, and races may be left unwatched. */
Test(threads, options)
{
    const Loaded sum = load(sum_text);
    float x[2048], y[8];
    sum_fill(x);
    int32_t error = 0;
    int32_t ended = interpret_run_with(sum.code, (void *[]){x, y}, (uint64_t[]){sizeof x, sizeof y}, NULL, 0, 8, &error,
                                       &(RunOptions){.work_limit = 1000});
    cr_expect_eq(ended, INTERPRET_LIMIT);
    Arena *const arena = arena_open(0, NULL, NULL);
    const Loaded racy = load(replaced(arena, sum_text, "store %y %begin", "store %y 0"));
    ended = interpret_run_with(racy.code, (void *[]){x, y}, (uint64_t[]){sizeof x, sizeof y}, NULL, 0, 8, &error,
                               &(RunOptions){.ignore_races = true});
    cr_expect_eq(ended, INTERPRET_OK, "%s", interpret_message(racy.code));
    arena_close(racy.arena);
    arena_close(sum.arena);
    arena_close(arena);
}
