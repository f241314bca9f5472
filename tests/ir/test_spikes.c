/* links: lathe_ir */
/* Kernels that no template makes yet, written as text: a block of convolutions over a ring of rows, an LSTM step by step, and a size that a
 * kernel finds out for the next one. They run through parser, verifier, interpreter and printer, so the language is known to carry them before
 * anything is built on it. Expected values are computed here, in plain C. */
#include <criterion/criterion.h>
#include <string.h>

#include "ir/interpret.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

typedef struct Spike {
    Arena *arena;
    Ir *ir;
    Code *code;
} Spike;

static Spike spike_open(const char *text)
{
    Spike spike = {.arena = arena_open(0, NULL, NULL)};
    Diagnostics *const diagnostics = diagnostics_open(spike.arena);
    spike.ir = ir_open(spike.arena, diagnostics);
    Node *const kernel = parse_kernel(spike.ir, "spike.ir", text, strlen(text));
    cr_assert(kernel, "%s", diagnostics->first ? diagnostics->first->text : "");
    cr_assert(verify_kernel(spike.ir, kernel, diagnostics), "%s", diagnostics->first ? diagnostics->first->text : "");
    const char *const once = print_kernel(spike.arena, kernel, PRINT_PLAIN, NULL);
    Node *const again = parse_kernel(spike.ir, "again.ir", once, strlen(once));
    cr_assert(again, "%s", diagnostics->first ? diagnostics->first->text : "");
    cr_assert_str_eq(print_kernel(spike.arena, again, PRINT_PLAIN, NULL), once);
    spike.code = interpret_compile(spike.ir, kernel);
    return spike;
}

static void spike_run(const Spike *spike, void *const *buffers, const uint64_t *bytes, const int64_t *dims)
{
    const RunOptions options = {.detect_unwritten = true};
    int32_t error = 0;
    const int32_t ended = interpret_run_with(spike->code, buffers, bytes, dims, 0, 1, &error, &options);
    cr_assert_eq(ended, INTERPRET_OK, "%s", interpret_message(spike->code));
    cr_assert_eq(error, 0);
}

static float wave(int i)
{
    return (float)((i * 37 + 11) % 23 - 11) / 8;
}

static void fill(float *values, int count, int seed)
{
    for (int i = 0; i < count; i++)
        values[i] = wave(i + seed);
}

/* ---- conv1x1, depthwise 3x3, conv1x1: the expanded rows live in a ring of three ---- */

static const char block_text[] =
    "buffer %x : f32[6,4,2] input 0 \"x\"\n"
    "buffer %w : f32[2,3]\n"
    "buffer %d : f32[3,3,3]\n"
    "buffer %v : f32[3,2]\n"
    "buffer %y : f32[6,4,2] output 0 \"y\"\n"
    "kernel block (%x, %w, %d, %v, %y) schedule \"by hand\" units 1 scratch 256 {\n"
    "    local %ring : f32[3,6,3]\n"
    "    body {\n"
    "        for %z in 0 .. 18 {\n"
    "            store %ring %z+36 0:f32\n"
    "        }\n"
    "        for %i in 0 .. 7 {\n"
    "            for %j in 0 .. 6 {\n"
    "                for %e in 0 .. 3 {\n"
    "                    var %sum = 0:f32\n"
    "                    if (and (lt %i 6) (and (ge %j 1) (lt %j 5))) {\n"
    "                        for %c in 0 .. 2 {\n"
    "                            %a = (get %sum)\n"
    "                            set %sum (fma (load f32 %x 8*%i+2*%j+%c-2) (load f32 %w 3*%c+%e) %a)\n"
    "                        }\n"
    "                    }\n"
    "                    %b = (get %sum)\n"
    "                    store %ring (add (mul (mod %i 3) 18) 3*%j+%e) %b\n"
    "                }\n"
    "            }\n"
    "            if (ge %i 1) {\n"
    "                for %j in 0 .. 4 {\n"
    "                    for %o in 0 .. 2 {\n"
    "                        var %out = 0:f32\n"
    "                        for %e in 0 .. 3 {\n"
    "                            var %mid = 0:f32\n"
    "                            for %p in 0 .. 3 {\n"
    "                                for %q in 0 .. 3 {\n"
    "                                    %r = (read f32 %ring (add (mul (mod %i+%p-2 3) 18) 3*%j+3*%q+%e))\n"
    "                                    %m = (get %mid)\n"
    "                                    set %mid (fma %r (load f32 %d 9*%p+3*%q+%e) %m)\n"
    "                                }\n"
    "                            }\n"
    "                            %k = (get %mid)\n"
    "                            %s = (get %out)\n"
    "                            set %out (fma %k (load f32 %v 2*%e+%o) %s)\n"
    "                        }\n"
    "                        %t = (get %out)\n"
    "                        store %y 8*%i+2*%j+%o-8 %t\n"
    "                    }\n"
    "                }\n"
    "            }\n"
    "        }\n"
    "    }\n"
    "}\n";

static float expanded(const float x[6][4][2], const float w[2][3], int i, int j, int e)
{
    if (i < 0 || i >= 6 || j < 0 || j >= 4)
        return 0;
    return x[i][j][0] * w[0][e] + x[i][j][1] * w[1][e]; /* exact: multiples of 1/64 */
}

Test(spikes, a_ring_of_rows_carries_a_block_of_convolutions)
{
    float x[6][4][2], w[2][3], d[3][3][3], v[3][2], y[6][4][2];
    fill(&x[0][0][0], 48, 0);
    fill(&w[0][0], 6, 5);
    fill(&d[0][0][0], 27, 9);
    fill(&v[0][0], 6, 3);
    const Spike spike = spike_open(block_text);
    spike_run(&spike, (void *[]){x, w, d, v, y}, (uint64_t[]){sizeof x, sizeof w, sizeof d, sizeof v, sizeof y}, NULL);
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 4; j++)
            for (int o = 0; o < 2; o++) {
                double out = 0;
                for (int e = 0; e < 3; e++)
                    for (int p = 0; p < 3; p++)
                        for (int q = 0; q < 3; q++)
                            out += (double)expanded((const float(*)[4][2])x, (const float(*)[3])w, i + p - 1, j + q - 1, e) * d[p][q][e] * v[e][o];
                cr_assert_float_eq(y[i][j][o], out, 1e-3, "row %d column %d", i, j);
            }
    arena_close(spike.arena);
}

/* ---- an LSTM with clipped linear gates: state in scratch, steps in order ---- */

static const char lstm_text[] =
    "buffer %x : f32[T,2] input 0 \"x\"\n"
    "buffer %w : f32[4,3,2]\n"
    "buffer %r : f32[4,3,3]\n"
    "buffer %y : f32[T,3] output 0 \"y\"\n"
    "kernel lstm (%x, %w, %r, %y, T) schedule \"by hand\" units 1 scratch 192 {\n"
    "    local %h : f32[2,3]\n"
    "    local %c : f32[3]\n"
    "    local %g : f32[4]\n"
    "    body {\n"
    "        for %u in 0 .. 3 {\n"
    "            store %h %u 0:f32\n"
    "            store %c %u 0:f32\n"
    "        }\n"
    "        for %t in 0 .. T {\n"
    "            for %u in 0 .. 3 {\n"
    "                for %k in 0 .. 4 {\n"
    "                    var %sum = 0:f32\n"
    "                    for %i in 0 .. 2 {\n"
    "                        %a = (get %sum)\n"
    "                        set %sum (fma (load f32 %x 2*%t+%i) (load f32 %w 6*%k+2*%u+%i) %a)\n"
    "                    }\n"
    "                    for %i in 0 .. 3 {\n"
    "                        %p = (read f32 %h (add (mul (mod %t 2) 3) %i))\n"
    "                        %a = (get %sum)\n"
    "                        set %sum (fma %p (load f32 %r 9*%k+3*%u+%i) %a)\n"
    "                    }\n"
    "                    %s = (get %sum)\n"
    "                    store %g %k (max (min (add (mul %s 0.25:f32) 0.5:f32) 1:f32) 0:f32)\n"
    "                }\n"
    "                %in = (read f32 %g 0)\n"
    "                %out = (read f32 %g 1)\n"
    "                %keep = (read f32 %g 2)\n"
    "                %new = (read f32 %g 3)\n"
    "                %old = (read f32 %c %u)\n"
    "                %next = (add (mul %keep %old) (mul %in %new))\n"
    "                store %c %u %next\n"
    "                store %h (add (mul (mod %t+1 2) 3) %u) (mul %out %next)\n"
    "                store %y 3*%t+%u (mul %out %next)\n"
    "            }\n"
    "        }\n"
    "    }\n"
    "}\n";

static float gate(float sum)
{
    const float value = sum * 0.25f + 0.5f;
    return value < 0 ? 0 : value > 1 ? 1 : value;
}

Test(spikes, steps_in_order_carry_an_lstm)
{
    enum { STEPS = 7 };
    float x[STEPS][2], w[4][3][2], r[4][3][3], y[STEPS][3], h[3] = {0}, c[3] = {0};
    fill(&x[0][0], STEPS * 2, 1);
    fill(&w[0][0][0], 24, 4);
    fill(&r[0][0][0], 36, 8);
    const Spike spike = spike_open(lstm_text);
    spike_run(&spike, (void *[]){x, w, r, y}, (uint64_t[]){sizeof x, sizeof w, sizeof r, sizeof y}, (int64_t[]){STEPS});
    for (int t = 0; t < STEPS; t++) {
        float next[3];
        for (int u = 0; u < 3; u++) {
            float g[4];
            for (int k = 0; k < 4; k++) {
                float sum = 0;
                for (int i = 0; i < 2; i++)
                    sum += x[t][i] * w[k][u][i];
                for (int i = 0; i < 3; i++)
                    sum += h[i] * r[k][u][i];
                g[k] = gate(sum);
            }
            c[u] = g[2] * c[u] + g[0] * g[3];
            next[u] = g[1] * c[u];
            cr_assert_float_eq(y[t][u], next[u], 1e-5, "step %d unit %d", t, u);
        }
        memcpy(h, next, sizeof h);
    }
    arena_close(spike.arena);
}

/* ---- NonZero, then Gather of what it found: the count is a dim of the next kernel ---- */

static const char nonzero_text[] =
    "buffer %x : f32[S] input 0 \"x\"\n"
    "buffer %at : i64[S]\n"
    "buffer %count : i64[1]\n"
    "kernel nonzero (%x, %at, %count, S) schedule \"by hand\" units 1 {\n"
    "    body {\n"
    "        var %n = 0\n"
    "        for %i in 0 .. S {\n"
    "            if (ne (load f32 %x %i) 0:f32) {\n"
    "                %k = (get %n)\n"
    "                store %at %k (cast i64 %i)\n"
    "                set %n %k+1\n"
    "            }\n"
    "        }\n"
    "        %all = (get %n)\n"
    "        store %count 0 (cast i64 %all)\n"
    "    }\n"
    "}\n";

static const char gather_text[] =
    "buffer %x : f32[S] input 0 \"x\"\n"
    "buffer %at : i64[S]\n"
    "buffer %y : f32[N] output 0 \"y\"\n"
    "kernel gather (%x, %at, %y, S, N) schedule \"by hand\" units 1 {\n"
    "    body {\n"
    "        for %i in 0 .. N {\n"
    "            store %y %i (load f32 %x (cast index (load i64 %at %i)))\n"
    "        }\n"
    "    }\n"
    "}\n";

Test(spikes, a_count_found_at_run_time_sizes_the_next_kernel)
{
    float x[9] = {0, 1.5f, 0, -2, 3, 0, 0, 0.25f, 0}, y[4];
    int64_t at[9], count;
    const Spike find = spike_open(nonzero_text), pick = spike_open(gather_text);
    spike_run(&find, (void *[]){x, at, &count}, (uint64_t[]){sizeof x, sizeof at, sizeof count}, (int64_t[]){9});
    cr_assert_eq(count, 4);
    spike_run(&pick, (void *[]){x, at, y}, (uint64_t[]){sizeof x, sizeof at, sizeof y}, (int64_t[]){9, count});
    const float expected[4] = {1.5f, -2, 3, 0.25f};
    cr_assert_arr_eq(y, expected, sizeof expected);
    arena_close(find.arena);
    arena_close(pick.arena);
}
