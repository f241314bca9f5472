/* links: lathe_proof */
/* The machine code of contractions, as the cost model tiles them: in the innermost loops nothing but multiply-adds
 * happens to accumulators. No vector register goes to the stack and comes back, and every product is one instruction.
 */
#define _GNU_SOURCE
#include "tests/codegen/proof.h"

#include "codegen/object.h"
#include "ir/ops/ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* y[m,n] = x[m,k] w[k,n], w a weight (in panels) or an input; sizes as in real networks. convolution: m = size*size
 * pixels, k = channels and window. */
typedef struct Product {
    int64_t m, n, k;
    bool weight;
    int window;  /* 0: a matrix product */
    bool beside; /* something of the result's shape is added */
} Product;

static const Product products[] = {
    {3136, 64, 64, true, 0},
    {784, 128, 512, true, 0},
    {196, 256, 1024, true, 0},
    {49, 512, 2048, true, 0},
    {128, 768, 768, true, 0},
    {128, 3072, 768, true, 0},
    {1, 1000, 2048, true, 0},
    {128, 128, 64, false, 0},
    {197, 197, 64, false, 0},
    {14, 32, 64, true, 0},
    {12, 32, 64, true, 0},
    {6, 64, 64, true, 0},
    {9, 48, 64, true, 0},
    {3136, 16, 96, true, 0},
    {784, 24, 144, true, 0},
    {196, 40, 240, true, 0},
    {65, 65, 65, true, 0},
    {7, 100, 30, false, 0},
    {56, 64, 64, true, 3},
    {28, 128, 128, true, 3},
    {14, 256, 256, true, 3},
    {7, 512, 512, true, 3},
    {112, 64, 3, true, 7},
    {150, 32, 3, true, 3},
    /* Much is fetched beside these; a long k goes in blocks. */
    {3136, 256, 64, true, 0, true},
    {784, 512, 128, true, 0, true},
    {196, 1024, 256, true, 0, true},
    {49, 960, 160, true, 0, false},
    {49, 160, 960, true, 0, true},
    {128, 768, 3072, true, 0, true},
    {150, 1024, 12544, true, 0, false},
};
enum { PRODUCTS = sizeof products / sizeof *products, UNROLL = 4, LINES_MAX = 1 << 16 };

static Node *weight_of(Proof *proof, Type type)
{
    Constant *const constant = NEW(proof->arena, Constant);
    *constant = (Constant){.data = NEW(proof->arena, float), .bytes = 4, .splat = true};
    return constant_make(proof->ir, type, constant);
}

static void make_graph(Proof *proof, const Product *product)
{
    Ir *const ir = proof->ir;
    Graph *const graph = NEW(proof->arena, Graph);
    Node *const m = index_const(ir, product->m), *const n = index_const(ir, product->n),
                *const k = index_const(ir, product->k), *const one = index_const(ir, 1);
    Node *const taps = index_const(ir, product->window);
    Node **const inputs = NEW_ARRAY(proof->arena, Node *, 3);
    Name *const names = NEW_ARRAY(proof->arena, Name, 4);
    int count = product->weight ? 1 : 2;
    for (int i = 0; i < 4; i++)
        names[i] = name_intern(proof->arena, arena_format(proof->arena, "x%d", i));
    const Type x = product->window ? type_tensor(ir, DTYPE_F32, 4, (Node *[]){one, k, m, m})
                                   : type_tensor(ir, DTYPE_F32, 2, (Node *[]){m, k});
    const Type w = product->window ? type_tensor(ir, DTYPE_F32, 4, (Node *[]){n, k, taps, taps})
                                   : type_tensor(ir, DTYPE_F32, 2, (Node *[]){k, n});
    inputs[0] = input_make(ir, names[0], x);
    inputs[1] = product->weight ? weight_of(proof, w) : input_make(ir, names[1], w);
    const int64_t pad = product->window / 2;
    const Attribute pads = attr_ints(ir, "pads", (int64_t[]){pad, pad, pad, pad}, 4);
    Node *node = tensor_make(ir, product->window ? OP_Conv : OP_MatMul, inputs, 2, 1, &pads, product->window ? 1 : 0);
    cr_assert_not_null(node);
    if (product->beside) {
        Node *const other = inputs[count] = input_make(ir, names[count], node->type);
        node = tensor_make(ir, OP_Add, (Node *[]){node, other}, 2, 1, NULL, 0);
        count++;
    }
    node = tensor_make(ir, OP_Relu, &node, 1, 1, NULL, 0);
    *graph = (Graph){.name = names[0],
                     .input_count = count,
                     .output_count = 1,
                     .inputs = inputs,
                     .outputs = arena_copy(proof->arena, &node, sizeof node),
                     .input_names = names,
                     .output_names = names + 3};
    proof->compilation.graph = graph;
}

/* ---- reading assembly ---- */

typedef struct Line {
    const char *text;
    size_t length;
} Line;

static bool has(const Line *line, const char *what)
{
    return memmem(line->text, line->length, what, strlen(what)) != NULL;
}

/* A vector register goes to the stack or comes back: LLVM says so in a comment, and on x86 the address does. */
static bool is_spill(const Line *line)
{
    return (has(line, "(%rsp") && has(line, "mm")) ||
           ((has(line, "Spill") || has(line, "Reload")) && (has(line, "16-byte") || has(line, "32-byte")));
}

/* The label that a jump goes to, with its length; NULL for other lines. */
static const char *jump_label(const Line *line, size_t *length)
{
    const char *at = line->text;
    while (*at == '\t' || *at == ' ')
        at++;
    /* x86: j..; ARM: b.., cb.., tb.. */
    const char *const label = strchr("jbct", *at) ? memmem(line->text, line->length, ".LBB", 4) : NULL;
    *length = label ? strcspn(label, " \t\n") : 0;
    return label;
}

/* The line that defines the label, -1 for none before `from`. */
static int label_before(const Line *lines, int from, const char *label, size_t length)
{
    for (int i = from; i >= 0; i--)
        if (lines[i].length > length && memcmp(lines[i].text, label, length) == 0 && lines[i].text[length] == ':')
            return i;
    return -1;
}

typedef struct Loops {
    int innermost, spills,
        most_products; /* loops with multiply-adds; instructions that touch the stack; multiply-adds of one loop */
} Loops;

static void read_loop(const Line *lines, int first, int last, Loops *loops)
{
    int multiplies = 0, spills = 0;
    for (int i = first; i <= last; i++) {
        multiplies += has(&lines[i], "vfmadd") || has(&lines[i], "fmla") || has(&lines[i], "vfma.f32");
        spills += is_spill(&lines[i]);
    }
    if (multiplies == 0)
        return;
    loops->innermost++;
    loops->spills += spills;
    loops->most_products = multiplies > loops->most_products ? multiplies : loops->most_products;
}

static Loops read_loops(const char *text)
{
    Line *const lines = malloc(LINES_MAX * sizeof *lines);
    Loops loops = {0};
    int count = 0, last_start = -1;
    for (; *text && count < LINES_MAX; text += lines[count - 1].length + (text[lines[count - 1].length] == '\n')) {
        lines[count] = (Line){text, strcspn(text, "\n")};
        count++;
    }
    for (int i = 0; i < count; i++) {
        size_t length;
        const char *const label = jump_label(&lines[i], &length);
        const int start = label ? label_before(lines, i, label, length) : -1;
        if (start < 0)
            continue;
        if (start > last_start) /* the loop that ends first holds no other */
            read_loop(lines, start, i, &loops);
        last_start = start > last_start ? start : last_start;
    }
    free(lines);
    return loops;
}

/* ---- the property ---- */

static int check(const Product *product, const TargetMachineInfo *target)
{
    const ProofOptions options = {.level = 2, .target = target->name};
    Proof proof;
    int failures = 0, rows = 0, vectors = 0;
    proof_start(&proof, "product", &options);
    make_graph(&proof, product);
    cr_assert(proof_program(&proof));
    for (int i = 0; i < proof.program.kernel_count; i++) {
        const Node *const kernel = proof.program.kernels[i].scheduled[0];
        const char *const schedule = kernel->payload.kernel->schedule;
        ObjectBytes text;
        if (strncmp(schedule, "contract", 8) != 0 ||
            sscanf(schedule, "contract rows=%d vectors=%d", &rows, &vectors) != 2)
            continue;
        const ObjectRequest request = {
            .kernel = kernel, .target = target, .symbol = "kernel", .format = FORMAT_ASSEMBLY};
        cr_assert(object_make(proof.ir, proof.arena, &request, &text));
        const Loops loops = read_loops(text.data);
        const char *const unroll = strstr(schedule, "unroll=");
        const int steps = unroll ? atoi(unroll + strlen("unroll=")) : UNROLL;
        const int wanted = rows * vectors * steps * (64 / target->vector_bytes);
        /* A narrow last group of an input is loaded lane by lane where there are no masks, and those lanes need room.
         */
        const bool by_lane = !product->weight && product->n % 16 && target->vector_bytes == 16;
        if ((loops.spills > 0 && !by_lane) || (product->k >= UNROLL && loops.most_products != wanted)) {
            printf("%s %lldx%lldx%lld window %d \"%s\": %d loops, %d accesses of the stack, %d multiply-adds in the "
                   "largest, not %d\n",
                   target->name, (long long)product->m, (long long)product->n, (long long)product->k, product->window,
                   schedule, loops.innermost, loops.spills, loops.most_products, wanted);
            failures++;
        }
    }
    proof_close(&proof);
    cr_assert_gt(rows, 0, "the template did not take %lldx%lldx%lld", (long long)product->m, (long long)product->n,
                 (long long)product->k);
    return failures;
}

Test(registers, accumulators_stay_in_registers)
{
    int failures = 0;
    for (int t = 0; t < target_count(); t++)
        /* What stands on another level multiplies as that one, or by instructions whose registers LLVM does not give.
         */
        for (int i = 0; i < PRODUCTS && target_at(t)->vector_bytes >= 16 && !target_at(t)->gpu && !target_at(t)->base;
             i++)
            failures += check(&products[i], target_at(t));
    fflush(stdout);
    cr_assert_eq(failures, 0);
}
