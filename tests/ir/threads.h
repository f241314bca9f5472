/* Kernels of threads as text, and how tests load and run them. */
#ifndef LATHE_TESTS_IR_THREADS_H
#define LATHE_TESTS_IR_THREADS_H

#include "ir/interpret.h"
#include "ir/parse.h"

#include <criterion/criterion.h>
#include <string.h>

enum { SEEDS = 20 };

typedef struct Loaded {
    Arena *arena;
    Ir *ir;
    Node *kernel;
    Code *code;
} Loaded;

static inline Loaded load(const char *text)
{
    Loaded loaded = {.arena = arena_open(0, NULL, NULL)};
    Diagnostics *const diagnostics = diagnostics_open(loaded.arena);
    loaded.ir = ir_open(loaded.arena, diagnostics);
    loaded.kernel = parse_kernel(loaded.ir, "threads.ir", text, strlen(text));
    cr_assert(loaded.kernel, "%s\n%s", diagnostics->first ? diagnostics->first->text : "", text);
    loaded.code = interpret_compile(loaded.ir, loaded.kernel);
    return loaded;
}

static inline int32_t run(const Loaded *loaded, void *const *buffers, const uint64_t *bytes, int64_t blocks, uint64_t seed)
{
    const RunOptions options = {.detect_unwritten = true, .seed = seed};
    int32_t error = 0;
    const int32_t ended = interpret_run_with(loaded->code, buffers, bytes, NULL, 0, blocks, &error, &options);
    cr_assert_eq(error, 0);
    return ended;
}

/* ---- C = A B by tiles of 16x16, slices of 8 of k copied one ahead of the sums ---- */

static const char product_text[] =
    "buffer %a : f32[32,48] input 0 \"a\"\n"
    "buffer %b : f32[48,64] input 1 \"b\"\n"
    "buffer %c : f32[32,64] output 0 \"c\"\n"
    "kernel product (%a, %b, %c) schedule \"by hand\" units 8 threads 64 {\n"
    "    shared %left : f32[2,16,8]\n"
    "    shared %right : f32[2,8,16]\n"
    "    body {\n"
    "        for %unit in %begin .. %end {\n"
    "            %r = (mul (floordiv %unit 4) 16)\n"
    "            %q = (mul (mod %unit 4) 16)\n"
    "            if (lt %thread 32) {\n"
    "                copy_async %left 4*%thread %a (add (mul (add %r (floordiv %thread 2)) 48) (mul (mod %thread 2) "
    "4)) 4\n"
    "            } else {\n"
    "                copy_async %right 4*%thread-128 %b (add (mul (floordiv %thread-32 4) 64) %q (mul (mod %thread-32 "
    "4) 4)) 4\n"
    "            }\n"
    "            copy_commit\n"
    "            var %sum = 0:f32x4\n"
    "            for %t in 0 .. 6 {\n"
    "                %next = (mul (mod %t+1 2) 128)\n"
    "                %here = (mul (mod %t 2) 128)\n"
    "                if (lt %t 5) {\n"
    "                    if (lt %thread 32) {\n"
    "                        copy_async %left (add %next 4*%thread) %a (add (mul (add %r (floordiv %thread 2)) 48) "
    "(mul (mod %thread 2) 4) 8*%t+8) 4\n"
    "                    } else {\n"
    "                        copy_async %right (add %next 4*%thread-128) %b (add (mul (add (floordiv %thread-32 4) "
    "8*%t+8) 64) %q (mul (mod %thread-32 4) 4)) 4\n"
    "                    }\n"
    "                }\n"
    "                copy_commit\n"
    "                copy_wait 1\n"
    "                barrier\n"
    "                for %k in 0 .. 8 {\n"
    "                    %x = (read f32 %left (add %here (mul (floordiv %thread 4) 8) %k))\n"
    "                    %y = (read f32x4 %right (add %here 16*%k (mul (mod %thread 4) 4)))\n"
    "                    %s = (get %sum)\n"
    "                    set %sum (fma (splat f32x4 %x) %y %s)\n"
    "                }\n"
    "                barrier\n"
    "            }\n"
    "            %s = (get %sum)\n"
    "            store %c (add (mul (add %r (floordiv %thread 4)) 64) %q (mul (mod %thread 4) 4)) %s\n"
    "        }\n"
    "    }\n"
    "}\n";

/* ---- the sum of a block's elements by shuffles ---- */

#define SUM_HEAD                                                                                                       \
    "buffer %x : f32[2048] input 0 \"x\"\n"                                                                            \
    "buffer %y : f32[8] output 0 \"y\"\n"                                                                              \
    "kernel sum (%x, %y) schedule \"by hand\" units 8 threads 256 {\n"                                                 \
    "    shared %part : f32[8]\n"                                                                                      \
    "    body {\n"
static const char sum_text[] = SUM_HEAD "        var %sum = (load f32 %x 256*%begin+%thread)\n"
                                        "        for %i in 0 .. 1 {\n"
                                        "            %a = (get %sum)\n"
                                        "            %b = (shuffle 16 %a)\n"
                                        "            %c = (add %a %b)\n"
                                        "            %d = (shuffle 8 %c)\n"
                                        "            %e = (add %c %d)\n"
                                        "            %f = (shuffle 4 %e)\n"
                                        "            %g = (add %e %f)\n"
                                        "            %h = (shuffle 2 %g)\n"
                                        "            %k = (add %g %h)\n"
                                        "            %l = (shuffle 1 %k)\n"
                                        "            set %sum (add %k %l)\n"
                                        "        }\n"
                                        "        %m = (get %sum)\n"
                                        "        store %part (floordiv %thread 32) %m mask (eq (mod %thread 32) 0)\n"
                                        "        barrier\n"
                                        "        if (lt %thread 32) {\n"
                                        "            %p = (read f32 %part (mod %thread 8))\n"
                                        "            %q = (shuffle 4 %p)\n"
                                        "            %r = (add %p %q)\n"
                                        "            %s = (shuffle 2 %r)\n"
                                        "            %t = (add %r %s)\n"
                                        "            %u = (shuffle 1 %t)\n"
                                        "            store %y %begin (add %t %u) mask (eq %thread 0)\n"
                                        "        }\n"
                                        "    }\n"
                                        "}\n";

static inline void sum_fill(float x[2048])
{
    for (int i = 0; i < 2048; i++)
        x[i] = (float)((i * 37 + 11) % 64); /* sums are exact */
}

/* ---- a tile of 16x8 by matrix instructions, operands through shared memory ---- */

/* A is 16x64, B 64x8, both in slices of 16 of k; %A.. %D stand for what differs between the rows of mma.def. */
static const char half_text[] =
    "buffer %a : f16[16,64] input 0 \"a\"\n"
    "buffer %b : f16[64,8] input 1 \"b\"\n"
    "buffer %c : f32[16,8] output 0 \"c\"\n"
    "kernel tile (%a, %b, %c) schedule \"by hand\" units 1 threads 32 {\n"
    "    shared %left : f16[16,16]\n"
    "    shared %right : f16[16,8]\n"
    "    body {\n"
    "        %g = (floordiv %thread 4)\n"
    "        %q = (mul (mod %thread 4) 2)\n"
    "        var %sum = 0:f32x4\n"
    "        for %t in 0 .. 4 {\n"
    "            copy_async %left 8*%thread %a (add (mul (floordiv %thread 2) 64) 16*%t (mul (mod %thread 2) 8)) 8\n"
    "            copy_async %right 4*%thread %b (add 128*%t 4*%thread) 4\n"
    "            copy_commit\n"
    "            copy_wait 0\n"
    "            barrier\n"
    "            %a0 = (read f16x2 %left (add (mul %g 16) %q))\n"
    "            %a1 = (read f16x2 %left (add (mul %g 16) %q 128))\n"
    "            %a2 = (read f16x2 %left (add (mul %g 16) %q 8))\n"
    "            %a3 = (read f16x2 %left (add (mul %g 16) %q 136))\n"
    "            %b0 = (read f16 %right (add (mul %q 8) %g))\n"
    "            %b1 = (read f16 %right (add (mul %q 8) %g 8))\n"
    "            %b2 = (read f16 %right (add (mul %q 8) %g 64))\n"
    "            %b3 = (read f16 %right (add (mul %q 8) %g 72))\n"
    "            %s = (get %sum)\n"
    "            %d = (mma m16n8k16.f16.f32 (join %a0 %a1 %a2 %a3) (join %b0 %b1 %b2 %b3) %s)\n"
    "            set %sum %d\n"
    "            barrier\n"
    "        }\n"
    "        %s = (get %sum)\n"
    "        store %c (add (mul %g 8) %q) (slice f32x2 0 %s)\n"
    "        store %c (add (mul %g 8) %q 64) (slice f32x2 2 %s)\n"
    "    }\n"
    "}\n";

static inline char *replaced(Arena *arena, const char *text, const char *from, const char *to)
{
    const char *const at = strstr(text, from);
    cr_assert_not_null(at, "%s", from);
    return arena_format(arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

#endif
