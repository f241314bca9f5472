/* The verifier: what it accepts, and the one thing that is wrong with each of what it refuses. */
#include "ir/kernel.h"
#include "ir/ops/ops.h"
#include "ir/parse.h"
#include "ir/verify.h"

#include <criterion/criterion.h>
#include <string.h>

static Ir *open_ir(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    return ir_open(arena, diagnostics_open(arena));
}

static const char *first_error(const Ir *ir)
{
    return ir->diagnostics->first ? ir->diagnostics->first->text : "";
}

/* ---- texts ---- */

typedef struct TextCase {
    const char *text, *message; /* message NULL: nothing is wrong */
} TextCase;
#define BUFFERS                                                                                                        \
    "module m { buffer %x : f32[4,N] input 0 \"x\" buffer %y : f32[4,N] output 0 \"y\" buffer %w : f32[8] weight "     \
    "constant splat 1 "                                                                                                \
    "buffer %t : f32[8] "
#define STAGE(text) BUFFERS "kernel k (%x, %y, %w, %t, N) { " text " } }"
#define BODY(text)  STAGE("body { " text " }")
static const TextCase texts[] = {
    {STAGE("stage %y[%i, %j] over (%i in 4, %j in N) = (at %x %i %j)"), NULL},
    {STAGE("stage %x[%i, %j] over (%i in 4, %j in N) = 0:f32"), "writes a buffer that is an input"},
    {STAGE("stage %w[%i] over (%i in 8) = 0:f32"), "writes a buffer that is a weight"},
    {STAGE("stage %y[%i, %j] over (%i in 4, %j in N) = (at %x 4 %j)"), "index 1 is 4 or more, of a dim of 4"},
    {STAGE("stage %y[%i, %j] over (%i in 4, %j in N) = (at %x -1-%i %j)"), "index 1 is -1 or less, of a dim of 4"},
    {STAGE("stage %y[%i, %j] over (%i in 4, %j in N) = (at %x %i+1 %j)"), NULL}, /* outside for one %i only */
    {STAGE("stage %y[%i, %j] over (%i in 4, %j in N) = (guard (lt %j 0-N+2) (at %x 4 %j) 0:f32)"), NULL},
    {STAGE("stage %y[%i+8, %j] over (%i in 4, %j in N) = 0:f32"), "index 1 is 8 or more, of a dim of 4"},
    {STAGE("stage %y[%i, %j] over (%i in 4, %j in N) = (exp (at %x %i %j))"), NULL},
    {STAGE("stage %y[%i, %j] over (%i in 4, %j in M) = 0:f32"), "is no parameter of the kernel"},
    {BUFFERS "kernel k (%y, N) { stage %y[%i, %j] over (%i in 4, %j in N) = (at %x %i %j) } }",
     "names a buffer that is no parameter"},
    {BUFFERS "kernel k (%x, %y) { stage %y[%i, %j] over (%i in 4, %j in N) = 0:f32 } }",
     "is no parameter of the kernel"},
    {BUFFERS "kernel k (N, %y) { } }", "parameter 2 is buffer: buffers come first"},
    {BUFFERS "kernel k (%y, %y) { } }", "parameter 2 stands there twice"},
    {BUFFERS "kernel k (%y) { } kernel k (%x) { } }", "there are two kernels called k"},
    {BUFFERS "kernel k (%y) { } launch q (%y) }", "no kernel is called q"},
    {BUFFERS "kernel k (%y, %x) { } launch k (%y) }", "k takes 2 buffers but gets 1"},
    {BUFFERS "buffer %i : i32[4,N] kernel k (%y) { } launch k (%i) }", "buffer 1 of k does not suit it"},
    {"module m { launch k () }", NULL},
    {"module m { buffer %x : f32[4] input 1 \"x\" }", "is not input 0 of the module"},
    {"module m { buffer %x : f32[4,4] layout [0 1/4] kernel k (%x) { } }", "the layout has axis 1"},
    {"module m { buffer %x : f32[4,4] layout [0 1/4 1%2] kernel k (%x) { } }", "the layout has axis 1"},
    {"module m { buffer %x : f32[4,4] layout [0 1/4 1%4] kernel k (%x) { } }", NULL},
    {BODY("store %t 0 (load f32x8 %w 0)"), NULL},
    {BODY("store %t 0 (load f32x8 %w 1)"), "reaches element 1 and 8 lanes of a buffer of 8"},
    {BODY("store %t 1 0:f32x8"), "reaches element 1 and 8 lanes of a buffer of 8"},
    {BODY("for %i in 3 .. 9 { store %t 4*%i 0:f32 }"), "reaches element 12 and 1 lanes of a buffer of 8"},
    {BODY("for %i in 0 .. 9 { store %t 4*%i 0:f32 }"), NULL},
    {BODY("if (lt N 3) { store %t 99 0:f32 }"), NULL},
    {BODY("store %t 99 0:f32 mask (lt N 3)"), NULL},
    {BODY("store %w 0 0:f32"), "writes a buffer that is a weight"},
    {BODY("store %t 0 (load f32 %t 1)"), "this has to be a read"},
    {BODY("%v1 = (read f32 %t 1) store %t 0 %v1"), NULL},
    {BODY("store %t 0 (exp (load f32 %w 0))"), "has to become arithmetic"},
    {BODY("store %t 0 (at %x 0 0)"), "at: is not of this level"},
    {STAGE("stage %y[%i, %j] over (%i in 4, %j in N) = (load f32 %x 0)"), "load: is not of this level"},
    {BODY("break true"), "stands in no for and no loop"},
    {BODY("loop { if (lt N 3) { break true } }"), NULL},
    {STAGE("local %s : f32[N] body { store %s 0 0:f32 }"), "is local to a kernel: dim 1 has to be constant"},
};

Test(verify, texts)
{
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Ir *const ir = open_ir();
        const Module *const module = parse_module(ir, "t", texts[i].text, strlen(texts[i].text), NULL);
        cr_assert_not_null(module, "%s\n%s", texts[i].text, first_error(ir));
        cr_expect_eq(verify_module(ir, module, ir->diagnostics), texts[i].message == NULL, "%s\n%s", texts[i].text,
                     first_error(ir));
        cr_expect_eq(ir->diagnostics->code, texts[i].message ? EXIT_MALFORMED : 0);
        if (texts[i].message)
            cr_expect_not_null(strstr(first_error(ir), texts[i].message), "%s\n%s", texts[i].text, first_error(ir));
        arena_close(ir->arena);
    }
}

/* ---- what no text can say ---- */

typedef struct Bench {
    Ir *ir;
    Node *buffer; /* f32[8] */
    Block *stages, *body;
} Bench;

static Bench bench_open(void)
{
    Ir *const ir = open_ir();
    Node *const eight = index_const(ir, 8);
    Node *const buffer =
        buffer_make(ir, type_tensor(ir, DTYPE_F32, 1, &eight), &(Buffer){.name = name_intern(ir->arena, "b")});
    return (Bench){ir, buffer, block_make(ir), block_make(ir)};
}

static Node *put(Bench *bench, Block *block, Node draft)
{
    Node *const node = node_make(bench->ir, &draft);
    block_append(bench->ir, block, node);
    return node;
}

static void expect(Bench *bench, bool with_body, const char *message)
{
    Ir *const ir = bench->ir;
    Node *const kernel = node_make(ir, &(Node){.op = OP_kernel,
                                               .inputs = &bench->buffer,
                                               .input_count = 1,
                                               .blocks = (Block *[]){bench->stages, bench->body},
                                               .block_count = with_body ? 2 : 1,
                                               .payload.kernel = NEW(ir->arena, Kernel)});
    cr_expect_eq(verify_kernel(ir, kernel, ir->diagnostics), message == NULL, "%s", first_error(ir));
    if (message)
        cr_expect_not_null(strstr(first_error(ir), message), "%s", first_error(ir));
    arena_close(ir->arena);
}

static Node *var(Bench *bench, Block *block)
{
    Node *initial = const_float(bench->ir, DTYPE_F32, 0);
    return put(bench, block, (Node){.op = OP_var, .type = initial->type, .inputs = &initial, .input_count = 1});
}

static Node *get(Bench *bench, Block *block, Node *of)
{
    return put(bench, block, (Node){.op = OP_get, .type = of->type, .inputs = &of, .input_count = 1});
}

static Node *store(Bench *bench, Block *block, Node *offset, Node *value)
{
    return put(bench, block,
               (Node){.op = OP_store, .inputs = (Node *[]){bench->buffer, offset, value}, .input_count = 3});
}

static Node *loop(Bench *bench, Block *block, Node **axis, Block *body)
{
    Ir *const ir = bench->ir;
    *axis = *axis ? *axis : axis_make(ir, "i", NULL);
    return put(bench, block,
               (Node){.op = OP_for,
                      .inputs = (Node *[]){index_const(ir, 0), index_const(ir, 8), index_const(ir, 1)},
                      .input_count = 3,
                      .axes = axis,
                      .axis_count = 1,
                      .blocks = &body,
                      .block_count = 1});
}

Test(verify, a_good_body)
{
    Bench bench = bench_open();
    Node *const v = var(&bench, bench.body), *axis = NULL;
    Block *const inner = block_make(bench.ir);
    loop(&bench, bench.body, &axis, inner);
    store(&bench, inner, axis, get(&bench, inner, v));
    expect(&bench, true, NULL);
}

Test(verify, a_register_is_used_before_it_is_defined)
{
    Bench bench = bench_open();
    Block *const later = block_make(bench.ir);
    Node *const v = var(&bench, later);
    get(&bench, bench.body, v);
    block_append(bench.ir, bench.body, v);
    expect(&bench, true, "uses %var before it is defined");
}

Test(verify, a_register_stands_in_no_block)
{
    Bench bench = bench_open();
    get(&bench, bench.body, var(&bench, block_make(bench.ir)));
    expect(&bench, true, "uses %var, which nothing here defines");
}

Test(verify, a_register_leaves_its_block)
{
    Bench bench = bench_open();
    Node *axis = NULL;
    Block *const inner = block_make(bench.ir);
    loop(&bench, bench.body, &axis, inner);
    Node *const v = var(&bench, inner);
    get(&bench, bench.body, v);
    expect(&bench, true, "uses %var outside of what binds it");
}

Test(verify, a_value_is_used_before_the_read_in_an_expression)
{
    Bench bench = bench_open();
    Node *const v = var(&bench, bench.body);
    Block *const later = block_make(bench.ir);
    Node *const value = get(&bench, later, v);
    store(&bench, bench.body, index_const(bench.ir, 0), scalar1(bench.ir, OP_sqrt, value));
    block_append(bench.ir, bench.body, value);
    expect(&bench, true, "uses %get before it is defined");
}

Test(verify, a_loop_variable_leaves_its_loop)
{
    Bench bench = bench_open();
    Node *axis = NULL;
    loop(&bench, bench.body, &axis, block_make(bench.ir));
    store(&bench, bench.body, index_add(bench.ir, axis, index_const(bench.ir, 1)), const_float(bench.ir, DTYPE_F32, 0));
    expect(&bench, true, "uses %i outside of what binds it");
}

/* A main loop and its tail. */
Test(verify, two_loops_in_a_row_have_one_variable)
{
    Bench bench = bench_open();
    Node *axis = NULL;
    for (int i = 0; i < 2; i++) {
        Block *const inner = block_make(bench.ir);
        loop(&bench, bench.body, &axis, inner);
        Node *const offset = index_floordiv(bench.ir, axis, index_const(bench.ir, 2));
        store(&bench, inner, index_add(bench.ir, offset, index_const(bench.ir, i)),
              const_float(bench.ir, DTYPE_F32, 0));
    }
    expect(&bench, true, NULL);
}

Test(verify, a_loop_stands_in_a_loop_over_its_variable)
{
    Bench bench = bench_open();
    Node *axis = NULL;
    Block *const inner = block_make(bench.ir);
    loop(&bench, bench.body, &axis, inner);
    loop(&bench, inner, &axis, block_make(bench.ir));
    expect(&bench, true, "%i is bound inside a loop over it");
}

Test(verify, a_node_stands_in_two_blocks)
{
    Bench bench = bench_open();
    Node *axis = NULL;
    Block *const inner = block_make(bench.ir);
    Node *const v = var(&bench, bench.body);
    loop(&bench, bench.body, &axis, inner);
    block_append(bench.ir, inner, v);
    expect(&bench, true, "stands in two blocks");
}

Test(verify, a_pure_node_stands_in_a_block)
{
    Bench bench = bench_open();
    block_append(bench.ir, bench.body, index_const(bench.ir, 1));
    expect(&bench, true, "stands in a block but has no order");
}

Test(verify, lanes_disagree)
{
    Bench bench = bench_open();
    Ir *const ir = bench.ir;
    Node *const load = node_make(ir, &(Node){.op = OP_load,
                                             .type = type_vector(DTYPE_F32, 4),
                                             .inputs = (Node *[]){bench.buffer, index_const(ir, 0)},
                                             .input_count = 2});
    Node *const sum = node_make(ir, &(Node){.op = OP_add,
                                            .type = type_vector(DTYPE_F32, 4),
                                            .inputs = (Node *[]){load, const_float(ir, DTYPE_F32, 1)},
                                            .input_count = 2});
    store(&bench, bench.body, index_const(ir, 0), sum);
    bench.buffer = buffer_make(ir, bench.buffer->type, bench.buffer->payload.buffer);
    expect(&bench, true, "");
}

Test(verify, operands_of_operations)
{
    static const char *const messages[] = {"operands have 4 and 1 lanes", "operands are f32 and i32",
                                           "is not defined on bool", "has type i32, which its operands do not give",
                                           "chooses by a bool"};
    for (int i = 0; i < 5; i++) {
        Bench bench = bench_open();
        Ir *const ir = bench.ir;
        Node *const one = const_float(ir, DTYPE_F32, 1), *const four = splat_make(ir, one, 4),
                    *const whole = const_int(ir, DTYPE_I32, 1), *const yes = const_bool(ir, true);
        const Node drafts[] = {
            {.op = OP_add, .type = type_vector(DTYPE_F32, 4), .inputs = (Node *[]){four, one}, .input_count = 2},
            {.op = OP_add, .type = type_scalar(DTYPE_F32), .inputs = (Node *[]){one, whole}, .input_count = 2},
            {.op = OP_add, .type = type_scalar(DTYPE_BOOL), .inputs = (Node *[]){yes, yes}, .input_count = 2},
            {.op = OP_add, .type = type_scalar(DTYPE_I32), .inputs = (Node *[]){one, one}, .input_count = 2},
            {.op = OP_select, .type = type_scalar(DTYPE_F32), .inputs = (Node *[]){one, one, one}, .input_count = 3},
        };
        Node *wrong = node_make(ir, &drafts[i]);
        put(&bench, bench.body, (Node){.op = OP_var, .type = wrong->type, .inputs = &wrong, .input_count = 1});
        expect(&bench, true, messages[i]);
    }
}

/* ---- graphs ---- */

static bool graph_is_good(Ir *ir, Node *input, Node *output)
{
    const Graph graph = {.input_count = 1, .output_count = 1, .inputs = &input, .outputs = &output};
    return verify_graph(ir, &graph, ir->diagnostics);
}

Test(verify, graphs)
{
    static const char *const messages[] = {NULL,
                                           "takes 1 to 1 inputs but has 2",
                                           "has no attribute frob",
                                           "uses %y, which nothing here defines",
                                           "is output 1 of a graph but no tensor",
                                           "input 1 is no tensor"};
    for (int i = 0; i < 6; i++) {
        Ir *const ir = open_ir();
        Node *const n = symbol_make(ir, name_intern(ir->arena, "N"));
        const Type type = type_tensor(ir, DTYPE_F32, 1, &n);
        Node *x = input_make(ir, name_intern(ir->arena, "x"), type),
             *y = input_make(ir, name_intern(ir->arena, "y"), type);
        const Attribute frob = {.name = name_intern(ir->arena, "frob"), .kind = ATTRIBUTE_INT};
        Node *const pair[2] = {x, x};
        Node *const outputs[] = {
            node_make(ir, &(Node){.op = OP_Relu, .type = type, .inputs = &x, .input_count = 1}),
            node_make(ir, &(Node){.op = OP_Relu, .type = type, .inputs = pair, .input_count = 2}),
            node_make(ir, &(Node){.op = OP_Relu,
                                  .type = type,
                                  .inputs = &x,
                                  .input_count = 1,
                                  .attributes = &frob,
                                  .attribute_count = 1}),
            node_make(ir, &(Node){.op = OP_Relu, .type = type, .inputs = &y, .input_count = 1}),
            n,
            node_make(ir, &(Node){.op = OP_Relu, .type = type, .inputs = &n, .input_count = 1}),
        };
        cr_expect_eq(graph_is_good(ir, x, outputs[i]), messages[i] == NULL, "%s", first_error(ir));
        if (messages[i])
            cr_expect_not_null(strstr(first_error(ir), messages[i]), "%s", first_error(ir));
        arena_close(ir->arena);
    }
}

Test(verify, an_input_of_a_body_is_used_outside)
{
    Ir *const ir = open_ir();
    Node *const n = symbol_make(ir, name_intern(ir->arena, "N"));
    const Type type = type_tensor(ir, DTYPE_F32, 1, &n);
    Node *x = input_make(ir, name_intern(ir->arena, "x"), type),
         *inner = input_make(ir, name_intern(ir->arena, "inner"), type);
    Node *inside = node_make(ir, &(Node){.op = OP_Relu, .type = type, .inputs = &inner, .input_count = 1});
    Graph body = {.input_count = 1, .output_count = 1, .inputs = &inner, .outputs = &inside};
    const Attribute attribute = {.name = name_intern(ir->arena, "body"), .kind = ATTRIBUTE_GRAPH, .graph = &body};
    Node *const with_body = node_make(ir, &(Node){.op = OP_Relu,
                                                  .type = type,
                                                  .inputs = &x,
                                                  .input_count = 1,
                                                  .attributes = &attribute,
                                                  .attribute_count = 1});
    Node *const both =
        node_make(ir, &(Node){.op = OP_Add, .type = type, .inputs = (Node *[]){with_body, inside}, .input_count = 2});
    cr_expect_not(graph_is_good(ir, x, both));
    cr_expect_not_null(strstr(first_error(ir), "uses %inner outside of what binds it"), "%s", first_error(ir));
    arena_close(ir->arena);
}

/* 20 are reported, not 100,000. */
Test(verify, reports_are_limited)
{
    Bench bench = bench_open();
    for (int i = 0; i < 1000; i++)
        block_append(bench.ir, bench.body, index_const(bench.ir, i));
    Node *const kernel = node_make(bench.ir, &(Node){.op = OP_kernel,
                                                     .blocks = (Block *[]){bench.stages, bench.body},
                                                     .block_count = 2,
                                                     .payload.kernel = NEW(bench.ir->arena, Kernel)});
    cr_expect_not(verify_kernel(bench.ir, kernel, bench.ir->diagnostics));
    cr_expect_eq(bench.ir->diagnostics->error_count, 20);
    arena_close(bench.ir->arena);
}
