/* links: lathe_ir */
/* What the verifier says of kernels of threads: operations and memory that belong to them alone, and control flow
 * around barriers and operations of warps. */
#include "ir/kernel.h"
#include "ir/parse.h"
#include "ir/verify.h"

#include <criterion/criterion.h>
#include <string.h>

typedef struct TextCase {
    const char *text, *message; /* message NULL: nothing is wrong */
} TextCase;
#define KERNEL(head, text)                                                                                             \
    "buffer %x : f32[4096] input 0 \"x\" buffer %y : f32[4096] output 0 \"y\" buffer %h : f16[64] input 1 \"h\" "      \
    "kernel k (%x, %y, %h, N) units N " head " { shared %s : f32[256] local %l : f32[8] body { " text " } }"
#define BODY(text) KERNEL("threads 128", text)
static const TextCase texts[] = {
    {BODY("barrier"), NULL},
    {KERNEL("", "barrier"), "barrier: stands in a kernel that has no threads"},
    {KERNEL("", "copy_commit"), "copy_commit: stands in a kernel that has no threads"},
    {KERNEL("", "store %s 0 0:f32"), "is shared, but the kernel has no threads"},
    {KERNEL("", "store %l %thread 0:f32"), "nothing here is called '%thread'"},
    {KERNEL("threads 0", ""), "a whole number from 1 to 1024 is expected, not '0'"},
    {KERNEL("threads 1025", ""), "a whole number from 1 to 1024 is expected"},
    {BODY("store %s %thread 0:f32"), NULL},
    {BODY("store %s %thread+256 0:f32"), "reaches element 256 and 1 lanes of a buffer of 256"},
    {BODY("store %s %thread-128 0:f32"), "reaches element -1 and 1 lanes of a buffer of 256"},
    {BODY("%v = (read f32 %s %thread+256)"), "reaches element 256 and 1 lanes of a buffer of 256"},
    {BODY("if (lt %begin 3) { store %s %thread+256 0:f32 }"), NULL},
    {BODY("store %y 0 (load f32 %s 0)"),
     NULL}, /* nobody writes it: a read of unwritten memory, which the run reports */
    {BODY("store %s 0 1:f32 store %y 0 (load f32 %s 0)"), "this has to be a read"},
    {BODY("store %y 0 (gather f32x4 %s (iota indexx4))"), "is pure, but shared memory changes"},

    {BODY("if (lt %thread 64) { barrier }"), "may be reached by some threads of the block only"},
    {BODY("if (lt %begin 64) { barrier }"), NULL},
    {BODY("if (lt N 64) { barrier } else { barrier }"), NULL},
    {BODY("if (gt (load f32 %x %begin) 0:f32) { barrier }"), "may be reached by some threads of the block only"},
    {BODY("for %i in 0 .. N { barrier }"), NULL},
    {BODY("for %i in %thread .. N { barrier }"), "may be reached by some threads of the block only"},
    {BODY("for %i in 0 .. N { for %j in 0 .. %i { barrier } }"), NULL},
    {BODY("for %i in 0 .. %thread { store %y %i 0:f32 } barrier"), NULL},
    {BODY("for %i in 0 .. N { barrier break (eq %i %begin) }"), NULL},
    {BODY("for %i in 0 .. N { barrier break (eq %i %thread) }"), "may be reached by some threads of the block only"},
    {BODY("for %i in 0 .. N { barrier if (eq %i %thread) { break true } }"),
     "may be reached by some threads of the block only"},
    {BODY("for %i in 0 .. N { barrier loop { break (eq %i %thread) } }"), NULL},
    {BODY("var %n = 0 loop { barrier %k = (get %n) break (gt %k 3) }"),
     "may be reached by some threads of the block only"},
    {BODY("if (lt (floordiv %thread 32) 2) { barrier }"), "may be reached by some threads of the block only"},

    {BODY("%v = (shuffle 16 1:f32)"), NULL},
    {BODY("if (lt (floordiv %thread 32) 2) { %v = (shuffle 16 1:f32) }"), NULL},
    {BODY("if (lt %thread 64) { %v = (shuffle 16 1:f32) }"), NULL},
    {BODY("if (lt %thread 48) { %v = (shuffle 16 1:f32) }"), "may be reached by some lanes of a warp only"},
    {BODY("if (lt (mod %thread 32) 2) { %v = (shuffle 16 1:f32) }"), "may be reached by some lanes of a warp only"},
    {BODY("%v = (shuffle 32 1:f32)"), "takes a mask of 1 to 31, not 32"},
    {BODY("%v = (shuffle 0 1:f32)"), "takes a mask of 1 to 31, not 0"},
    {KERNEL("threads 48", "%v = (shuffle 1 1:f32)"), "needs whole warps of 32 lanes, the kernel has 48 threads"},

    {BODY("%v = (mma m16n8k16.f16.f32 1:f16x8 1:f16x4 0:f32x4)"), NULL},
    {BODY("%v = (mma m16n8k8.tf32.f32 1:f32x4 1:f32x2 0:f32x4)"), NULL},
    {BODY("%v = (mma m16n8k16.f16.f32 1:f16x4 1:f16x4 0:f32x4)"),
     "m16n8k16.f16.f32 takes f16x8 as operand 1, not f16x4"},
    {BODY("%v = (mma m16n8k16.bf16.f32 1:bf16x8 1:f16x4 0:f32x4)"),
     "m16n8k16.bf16.f32 takes bf16x4 as operand 2, not f16x4"},
    {BODY("%v = (mma m16n8k16.f16.f32 1:f16x8 1:f16x4 0:f32x8)"),
     "m16n8k16.f16.f32 takes f32x4 as operand 3, not f32x8"},
    {BODY("%v = (mma 1:f16x8 1:f16x4 0:f32x4)"), "mma needs a row of mma.def first"},
    {BODY("%v = (mma m1n1k1 1:f16x8 1:f16x4 0:f32x4)"), "mma needs a row of mma.def first"},
    {BODY("%v = (mma)"), "mma needs a row of mma.def first"},
    {BODY("%v = (mma m16n8k16.f16.f32 1:f16x8)"), "takes 3 operands but has 1"},
    {BODY("if (eq %thread 3) { %v = (mma m16n8k16.f16.f32 1:f16x8 1:f16x4 0:f32x4) }"),
     "may be reached by some lanes of a warp only"},

    {BODY("copy_async %s 0 %x %thread 4"), NULL},
    {BODY("copy_async %s 0 %x %thread mask (lt %thread 4) 4"), NULL},
    {BODY("copy_async %s 0 %x %thread 3"), "moves 4, 8 or 16 bytes, not 3 elements of f32"},
    {BODY("copy_async %s 0 %x %thread 8"), "moves 4, 8 or 16 bytes, not 8 elements of f32"},
    {BODY("copy_async %s 0 %x %thread -1"), "moves 4, 8 or 16 bytes, not -1 elements of f32"},
    {BODY("copy_async %s 0 %h %thread 4"), "goes from f16 to f32"},
    {BODY("copy_async %y 0 %x %thread 4"), "goes to a buffer that is not shared"},
    {BODY("copy_async %s 0 %l 0 4"), "comes from a buffer of the kernel itself"},
    {BODY("copy_async %s 253 %x %thread 4"), "reaches element 253 and 4 lanes of a buffer of 256"},
    {BODY("copy_async %s 0 %x 4093 4"), "reaches element 4093 and 4 lanes of a buffer of 4096"},
    {BODY("copy_async %s 0 %x 4093 mask (lt N 3) 4"), NULL},
    {BODY("copy_async %s 0 %x 4"), "a whole number is expected here"},
    {BODY("copy_wait -1"), "cannot leave -1 groups open"},
    {BODY("copy_wait"), "a whole number is expected here"},
    {"buffer %y : f32[8] kernel k (%y) units 1 threads 32 { shared %s : f32[60000] body { store %s 0 0:f32 } }",
     "need more than 232448 bytes"},
    {"buffer %y : f32[8] kernel k (%y) units 1 threads 32 { shared %s : f32[40000] shared %t : f32[20000] body { store "
     "%s 0 0:f32 store %t 0 0:f32 } }",
     "need more than 232448 bytes"},
    {"buffer %y : f32[8] kernel k (%y, N) units 1 threads 32 { shared %s : f32[N] body { store %s 0 0:f32 } }",
     "dim 1 has to be constant"},
    {"buffer %y : f32[8] kernel k (%y, N) units 1 threads 32 { shared %s : f32[8] shared %t : f32[8] alias %s body { "
     "store %t 0 0:f32 } }",
     "is shared and has an alias"},
};

Test(threads_verify, texts)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Arena *const arena = arena_open(0, NULL, NULL);
        Ir *const ir = ir_open(arena, diagnostics_open(arena));
        Node *const kernel = parse_kernel(ir, "case.ir", texts[i].text, strlen(texts[i].text));
        const bool good = kernel && verify_kernel(ir, kernel, ir->diagnostics);
        const char *const message = ir->diagnostics->first ? ir->diagnostics->first->text : "";
        cr_expect_eq(good, texts[i].message == NULL, "%s: %s", texts[i].text, message);
        if (texts[i].message)
            cr_expect_not_null(strstr(message, texts[i].message), "%s: %s", texts[i].text, message);
        arena_close(arena);
    }
}

/* What text cannot say: the number of a thread of another block, and constructors. */
Test(threads_verify, a_thread_counts_to_the_threads_of_its_kernel)
{
    for (int threads = 32; threads <= 64; threads += 32) {
        Arena *const arena = arena_open(0, NULL, NULL);
        Ir *const ir = ir_open(arena, diagnostics_open(arena));
        Node *const extent = index_const(ir, 64);
        Node *const buffer =
            buffer_make(ir, type_tensor(ir, DTYPE_F32, 1, &extent), &(Buffer){.name = "y", .place = PLACE_OUTPUT});
        Block *const body = block_make(ir);
        Node *const inputs[3] = {buffer, thread_make(ir, 64), const_float(ir, DTYPE_F32, 1)};
        block_append(ir, body, node_make(ir, &(Node){.op = OP_store, .inputs = inputs, .input_count = 3}));
        Node *const bare = kernel_make(ir, "k", block_make(ir));
        Node *const kernel = kernel_with_threads(ir, bare, body, index_const(ir, 1), "by hand", 0, threads);
        cr_expect_eq(kernel->payload.kernel->threads, threads);
        cr_expect_eq(verify_kernel(ir, kernel, ir->diagnostics), threads == 64);
        const Range range = index_range(ir, inputs[1]);
        cr_expect(range.low == 0 && range.high == 63);
        arena_close(arena);
    }
}

Test(threads_verify, shared_bytes_are_counted)
{
    static const char text[] = "buffer %y : f32[8] kernel k (%y) units 1 threads 32 { shared %s : f32[3] shared %t : "
                               "f16[10] shared %u : f64[2] "
                               "body { store %t 0 0:f16 for %i in 0 .. 2 { store %s 0 0:f32 } } }";
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    Node *const kernel = parse_kernel(ir, "case.ir", text, strlen(text));
    cr_assert_not_null(kernel);
    int count;
    Node *const *const buffers = kernel_shared(ir, kernel, &count);
    cr_assert_eq(count, 2);
    cr_expect_str_eq(buffers[0]->payload.buffer->name, "t");
    cr_expect_str_eq(buffers[1]->payload.buffer->name, "s");
    cr_expect_eq(kernel_shared_bytes(ir, kernel), 32 + 16);
    arena_close(arena);
}
