/* Text: what is printed reads back to the same text, equal IR prints equally, and no text brings the readers down. */
#include "ir/kernel.h"
#include "ir/operands.h"
#include "ir/ops/ops.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/read.h"
#include "ir/verify.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static Ir *open_ir(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    return ir_open(arena, diagnostics_open(arena));
}

static void close_ir(Ir *ir)
{
    arena_close(ir->arena);
}

static const char *first_error(const Ir *ir)
{
    return ir->diagnostics->first ? ir->diagnostics->first->text : "";
}

/* Any text of the IR to text again: graph, module or kernel; NULL after a diagnostic. */
static const char *reprint(Ir *ir, const char *file, const char *text, size_t length)
{
    if (strncmp(text, "graph", 5) == 0) {
        const Graph *const graph = parse_graph(ir, file, text, length, NULL);
        return graph && verify_graph(ir, graph, ir->diagnostics) ? print_graph(ir->arena, graph, NULL) : NULL;
    }
    if (strncmp(text, "buffer", 6) == 0) {
        Node *const kernel = parse_kernel(ir, file, text, length);
        return kernel && verify_kernel(ir, kernel, ir->diagnostics)
                   ? print_kernel(ir->arena, kernel, PRINT_CANONICAL, NULL)
                   : NULL;
    }
    const Module *const module = parse_module(ir, file, text, length, NULL);
    return module && verify_module(ir, module, ir->diagnostics) ? print_module(ir->arena, module, NULL) : NULL;
}

static char *read_file(const char *path, size_t *length)
{
    FILE *const file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    char *const text = calloc(1, 1 << 20);
    *length = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

/* ---- golden files ---- */

/* The files are in the form that the printer gives: read and printed they are themselves. */
Test(text, golden_files_print_as_they_are_written)
{
    DIR *const folder = opendir(SOURCE_DIR "/tests/data/ir");
    cr_assert_not_null(folder);
    int count = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        const char *const dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".ir") != 0)
            continue;
        char path[512];
        snprintf(path, sizeof path, SOURCE_DIR "/tests/data/ir/%s", entry->d_name);
        size_t length;
        char *const text = read_file(path, &length);
        Ir *const ir = open_ir();
        const char *const printed = reprint(ir, path, text, length);
        cr_expect_not_null(printed, "%s", first_error(ir));
        if (printed)
            cr_expect_str_eq(printed, text, "%s prints as\n%s", path, printed);
        close_ir(ir);
        free(text);
        count++;
    }
    closedir(folder);
    cr_assert_geq(count, 5);
}

/* ---- literals ---- */

/* Bit patterns from NumPy and ml_dtypes. */
typedef struct LiteralCase {
    Dtype dtype;
    uint64_t bits;
    const char *text;
} LiteralCase;
static const LiteralCase literals[] = {
    {DTYPE_F32, 0x3dcccccd, "0.1:f32"},
    {DTYPE_F32, 0x3eaaaaab, "0.33333334:f32"},
    {DTYPE_F32, 0x00000001, "1e-45:f32"},
    {DTYPE_F32, 0x7f7fffff, "3.4028235e38:f32"},
    {DTYPE_F32, 0x4b800000, "16777216:f32"},
    {DTYPE_F32, 0x80000000, "-0:f32"},
    {DTYPE_F32, 0x501502f9, "1e10:f32"},
    {DTYPE_F32, 0x7fc00000, "nan:f32"},
    {DTYPE_F32, 0x7fc00001, "0x7fc00001:f32"},
    {DTYPE_F32, 0xffc00000, "0xffc00000:f32"},
    {DTYPE_F32, 0x7f800000, "inf:f32"},
    {DTYPE_F32, 0xff800000, "-inf:f32"},
    {DTYPE_F64, 0x3fb999999999999a, "0.1:f64"},
    {DTYPE_F64, 0x3fd5555555555555, "0.3333333333333333:f64"},
    {DTYPE_F64, 0x0000000000000001, "5e-324:f64"},
    {DTYPE_F64, 0x4480f0cf064dd592, "1e22:f64"},
    {DTYPE_F16, 0x2e66, "0.1:f16"},
    {DTYPE_F16, 0x7bff, "65504:f16"},
    {DTYPE_F16, 0x0001, "6e-8:f16"},
    {DTYPE_F16, 0x8000, "-0:f16"},
    {DTYPE_F16, 0x7c00, "inf:f16"},
    {DTYPE_BF16, 0x3dcd, "0.1:bf16"},
    {DTYPE_BF16, 0x43e0, "448:bf16"},
    {DTYPE_F8E4M3FN, 0x7e, "448:f8e4m3fn"},
    {DTYPE_F8E4M3FN, 0x1d, "0.1:f8e4m3fn"},
    {DTYPE_F8E5M2, 0x2e, "0.09:f8e5m2"},
    {DTYPE_F8E5M2, 0x42, "3:f8e5m2"},
    {DTYPE_F4E2M1, 0x5, "3:f4e2m1"},
    {DTYPE_I32, (uint64_t)-1, "-1:i32"},
    {DTYPE_I64, (uint64_t)INT64_MIN, "-9223372036854775808:i64"},
    {DTYPE_U64, UINT64_MAX, "18446744073709551615:u64"},
    {DTYPE_U8, 255, "255:u8"},
    {DTYPE_I4, (uint64_t)-8, "-8:i4"},
    {DTYPE_BOOL, 1, "true"},
    {DTYPE_BOOL, 0, "false"},
    {DTYPE_INDEX, 7, "7"},
    {DTYPE_INDEX, (uint64_t)INT64_MIN, "-9223372036854775808"},
    {DTYPE_INDEX, INT64_MAX, "9223372036854775807"},
};

Test(text, literals_round_trip_bit_by_bit)
{
    Ir *const ir = open_ir();
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
        Node *const node = const_bits(ir, type_scalar(literals[i].dtype), literals[i].bits);
        cr_expect_str_eq(print_expression(ir->arena, node), literals[i].text);
        const Sexpr *const tree = sexpr_read(ir->arena, ir->diagnostics, "literal", literals[i].text);
        cr_assert_not_null(tree);
        cr_expect_eq(expression_build(ir, tree, &(Environment){.symbols = true}), node, "%s", literals[i].text);
    }
    close_ir(ir);
}

Test(text, every_f16_and_many_f32_round_trip)
{
    Ir *const ir = open_ir();
    for (uint32_t i = 0; i < 65536 + 50000; i++) {
        const bool half = i < 65536;
        const Node *const node = const_bits(ir, type_scalar(half ? DTYPE_F16 : DTYPE_F32), half ? i : i * 85899u);
        const char *const text = print_expression(ir->arena, (Node *)(uintptr_t)node);
        const Sexpr *const tree = sexpr_read(ir->arena, ir->diagnostics, "literal", text);
        cr_assert_eq(expression_build(ir, tree, &(Environment){.symbols = true}), node, "%s", text);
    }
    close_ir(ir);
}

/* ---- expressions ---- */

/* Index arithmetic as it is written and as it prints: the sums by hand. */
static const char *const polynomials[][2] = {
    {"N", "N"},
    {"(add N -1)", "N-1"},
    {"(mul 2 (add N 1))", "2*N+2"},
    {"1-N", "-N+1"},
    {"2*N*M+M-3", "2*M*N+M-3"},
    {"N+N", "2*N"},
    {"N-N", "0"},
    {"(floordiv (add N 1) 2)", "(floordiv N+1 2)"},
    {"(add 1 (mul 4 (floordiv N 4)) M)", "(add M (mul (floordiv N 4) 4) 1)"},
    {"(max N (min M 4))", "(max N (min M 4))"},
    {"'seq len'*2+'it\\'s'", "'it\\'s'+2*'seq len'"},
    {"-9223372036854775808*N", "-9223372036854775808*N"},
    {"(sub (add K N) 1)", "K+N-1"},
};

Test(text, index_arithmetic_prints_as_polynomials)
{
    for (int order = 0; order < 2; order++) {
        Ir *const ir = open_ir();
        if (order) /* ids in another order: the text must not know */
            symbol_make(ir, name_intern(ir->arena, "N"));
        for (size_t i = 0; i < sizeof polynomials / sizeof *polynomials; i++) {
            const Sexpr *const tree = sexpr_read(ir->arena, ir->diagnostics, "sum", polynomials[i][0]);
            cr_assert_not_null(tree);
            Node *const node = expression_build(ir, tree, &(Environment){.symbols = true});
            cr_assert_not_null(node, "%s", first_error(ir));
            const char *const text = print_expression(ir->arena, node);
            cr_expect_str_eq(text, polynomials[i][1]);
            const Sexpr *const again = sexpr_read(ir->arena, ir->diagnostics, "sum", text);
            cr_expect_eq(expression_build(ir, again, &(Environment){.symbols = true}), node, "%s", text);
        }
        close_ir(ir);
    }
}

/* Both columns build the same node. */
static const char *const alike[][2] = {
    {"(max x 0)", "(max x 0:f32)"},
    {"(select (gt x 0) x (mul x @alpha))", "(select (gt x 0:f32) x (mul x 0.25:f32))"},
    {"(select (lt 1 x) 1 x)", "(select (lt 1:f32 x) 1:f32 x)"},
    {"(guard (lt N 3) x -0.5)", "(guard (lt N 3) x -0.5:f32)"},
    {"(add 1 2)", "3"},
    {"(cast f32 3)", "3:f32"},
    {"(add x x x)", "(add (add x x) x)"},
    {"(mul N (add N 1))", "N*N+N"},
};

static Environment bare_names(Ir *ir)
{
    Names *const names = names_open(ir->arena);
    Node *const buffer = buffer_make(ir, type_tensor(ir, DTYPE_F32, 0, NULL), &(Buffer){.name = "b"});
    names_bind(names, name_intern(ir->arena, "x"), at_make(ir, buffer, NULL));
    names_bind(names, name_intern(ir->arena, "@alpha"), const_float(ir, DTYPE_F32, 0.25));
    return (Environment){.names = names, .symbols = true};
}

Test(text, bare_numbers_take_the_dtype_of_their_neighbours)
{
    Ir *const ir = open_ir();
    const Environment environment = bare_names(ir);
    for (size_t i = 0; i < sizeof alike / sizeof *alike; i++) {
        Node *nodes[2];
        for (int j = 0; j < 2; j++) {
            const Sexpr *const tree = sexpr_read(ir->arena, ir->diagnostics, "rule", alike[i][j]);
            nodes[j] = expression_build(ir, tree, &environment);
            cr_assert_not_null(nodes[j], "%s: %s", alike[i][j], first_error(ir));
        }
        cr_expect_eq(nodes[0], nodes[1], "%s", alike[i][0]);
    }
    close_ir(ir);
}

/* A new pure operation of stages or kernels has to be told how it is written. */
Test(text, every_pure_operation_has_a_form)
{
    for (Op op = OP_NONE + 1; op < OP_TENSOR_FIRST; op++) {
        const bool named = op == OP_const || op == OP_symbol || op == OP_begin || op == OP_end || op == OP_omitted ||
                           op == OP_result || op == OP_thread;
        if (*op_name(op) && op_kind(op) == KIND_PURE && !named)
            cr_expect_neq(op_leading(op), LEADING_NONE, "%s", op_name(op));
    }
}

/* ---- equal IR, equal text ---- */

/* y[i] = (x[i] * s) * (x[i] * s) with s a dim; `order` changes who is made first, and all names. */
static Node *square_kernel(Ir *ir, int order)
{
    static const char *const names[2][5] = {{"N", "M", "x", "y", "i"}, {"batch", "A", "in", "out", "k"}};
    Node *symbols[2];
    for (int i = 0; i < 2; i++)
        symbols[order ? 1 - i : i] = symbol_make(ir, name_intern(ir->arena, names[order][order ? 1 - i : i]));
    Node *const length = index_add(ir, symbols[0], symbols[1]);
    Node *buffers[2];
    for (int i = 0; i < 2; i++) {
        const int which = order ? 1 - i : i;
        const Buffer buffer = {.name = name_intern(ir->arena, names[order][2 + which]),
                               .place = order   ? PLACE_TEMP
                                        : which ? PLACE_OUTPUT
                                                : PLACE_INPUT};
        buffers[which] = buffer_make(ir, type_tensor(ir, DTYPE_F32, 1, &length), &buffer);
    }
    Node *const axis = axis_make(ir, names[order][4], length);
    Node *const x = at_make(ir, buffers[0], &axis);
    Node *const product = scalar2(
        ir, OP_mul, x, cast_make(ir, index_add(ir, symbols[0], index_mul(ir, symbols[1], symbols[1])), DTYPE_F32));
    Block *const stages = block_make(ir);
    block_append(ir, stages, stage_make(ir, &axis, 1, buffers[1], &axis, scalar2(ir, OP_mul, product, product)));
    return kernel_make(ir, name_intern(ir->arena, order ? "second" : "first"), stages);
}

static const char square_text[] = "buffer %b0 : f32[d0+d1]\n"
                                  "buffer %b1 : f32[d0+d1]\n"
                                  "kernel (%b0, %b1, d0, d1) {\n"
                                  "    stage over (%i0 in d0+d1) {\n"
                                  "        %t1 = (mul (at %b0 %i0) (cast f32 d0+d1*d1))\n"
                                  "        %b1[%i0] = (mul %t1 %t1)\n"
                                  "    }\n"
                                  "}\n";

Test(text, equal_kernels_of_different_models_have_one_canonical_text)
{
    for (int order = 0; order < 2; order++) {
        Ir *const ir = open_ir();
        Node *const kernel = square_kernel(ir, order);
        cr_assert_eq(kernel->input_count, 4);
        /* The order of symbols is the kernel's own: give both the same. */
        Node *const first = symbol_make(ir, name_intern(ir->arena, order ? "batch" : "N"));
        if (kernel->inputs[2] != first) {
            Node **const inputs = (Node **)(uintptr_t)kernel->inputs;
            inputs[3] = inputs[2];
            inputs[2] = first;
        }
        cr_expect_str_eq(print_kernel(ir->arena, kernel, PRINT_CANONICAL, NULL), square_text);
        close_ir(ir);
    }
}

/* ---- bodies ---- */

Test(text, bodies_of_operators_print_as_nested_blocks)
{
    Ir *const ir = open_ir();
    Node *const n = symbol_make(ir, name_intern(ir->arena, "N"));
    const Type type = type_tensor(ir, DTYPE_F32, 1, &n);
    Node *x = input_make(ir, name_intern(ir->arena, "x"), type),
         *inner = input_make(ir, name_intern(ir->arena, "a b"), type);
    Node *outside = node_make(ir, &(Node){.op = OP_Relu, .type = type, .inputs = &x, .input_count = 1});
    Node *inside =
        node_make(ir, &(Node){.op = OP_Add, .type = type, .inputs = (Node *[]){inner, outside}, .input_count = 2});
    Graph body = {.name = name_intern(ir->arena, "step"),
                  .input_count = 1,
                  .output_count = 1,
                  .inputs = &inner,
                  .outputs = &inside};
    const Attribute attribute = {.name = name_intern(ir->arena, "body"), .kind = ATTRIBUTE_GRAPH, .graph = &body};
    Node *outputs[2] = {node_make(ir, &(Node){.op = OP_Relu,
                                              .type = type,
                                              .inputs = &x,
                                              .input_count = 1,
                                              .attributes = &attribute,
                                              .attribute_count = 1}),
                        outside};
    const Graph graph = {.name = name_intern(ir->arena, "two words"),
                         .input_count = 1,
                         .output_count = 2,
                         .inputs = &x,
                         .outputs = outputs};
    cr_expect_str_eq(print_graph(ir->arena, &graph, NULL), "graph \"two words\" {\n"
                                                           "    input %x : f32[N]\n"
                                                           "    %1 = (Relu %x) : f32[N]\n"
                                                           "    %2 = (Relu %x :body graph step {\n"
                                                           "        input %a_b \"a b\" : f32[N]\n"
                                                           "        %3 = (Add %a_b %1) : f32[N]\n"
                                                           "        output %3\n"
                                                           "    }) : f32[N]\n"
                                                           "    output %2\n"
                                                           "    output %1\n"
                                                           "}\n");
    close_ir(ir);
}

/* ---- errors ---- */

typedef struct ErrorCase {
    const char *text, *place, *message;
} ErrorCase;
#define HEAD "module m { buffer %x : f32[4] buffer %i : i32[4] kernel k (%x, %i) { "
static const ErrorCase errors[] = {
    {"module m {", "t:1:10: ", "'{' is never closed"},
    {"module m }", "t:1:10: ", "'}' closes nothing here"},
    {"module m { (]", "t:1:13: ", "']' closes nothing here"},
    {"module m { } 3", "t:1:14: ", "goes on after the module"},
    {"module m { buffer", "t:1:10: ", "never closed"},
    {"module m { buffer %x }", "t:1:10: ", "':' is expected"},
    {"module m { buffer x : f32[] }", "t:1:19: ", "a new name such as %x is expected, not 'x'"},
    {"module m { buffer %x : f99[] }", "t:1:24: ", "a type such as f32[1,N]"},
    {"module m { buffer %x : f32[-3] }", "t:1:28: ", "a dim cannot be -3"},
    {"module m { buffer %x : f32[1:f32] }", "t:1:28: ", "a dim is an index, not f32"},
    {"module m { buffer %x : f32[2] buffer %x : f32[2] }", "t:1:38: ", "%x has a meaning already"},
    {"module m { buffer %x : f32[2] constant [1 2 3] }", "t:1:40: ", "2 elements but 3"},
    {"module m { buffer %x : u8[1] constant [256] }", "t:1:40: ", "a value of u8"},
    {"module m { buffer %x : f32[2] layout [1] }", "t:1:39: ", "an entry is an axis"},
    {"module m { frobnicate }", "t:1:12: ", "no statement starts like this"},
    {"module m {\n  launch k (%z)\n}", "t:2:13: ", "nothing here is called '%z'"},
    {"module m { check true 99999999999 }", "t:1:23: ", "a whole number from"},
    {HEAD "stage %x[%j] over (%j in 4) = (frob 1) } }", "t:1:100: ", "no operation is called 'frob'"},
    {HEAD "stage %x[%j] over (%j in 4) = (Relu %x) } }", "t:1:100: ", "operator of the tensor graph"},
    {HEAD "stage %x[%j] over (%j in 4) = (add (at %x %j) (at %i %j)) } }", "t:1:100: ", "operands are f32 and i32"},
    {HEAD "stage %x[%j] over (%j in 4) = (add (at %x %j)) } }", "t:1:100: ", "takes 2 operands but has 1"},
    {HEAD "stage %x[%j] over (%j in 4) = (at %x) } }", "t:1:100: ", "0 indices but the buffer has rank 1"},
    {HEAD "stage %x[%j] over (%j in 4) = (sqrt (at %i %j)) } }", "t:1:100: ", "not defined on i32"},
    {HEAD "stage %x[%j] over (%j in 4) = (cast nothing 1) } }", "t:1:100: ", "needs a type first"},
    {HEAD "stage %x[%j] over (%j in 4) = (fold mean (%k in 4) (at %x %k)) } }", "t:1:100: ", "needs a kind first"},
    {HEAD "stage %x[%j] over (%j in 4) = (fold sum (%k 4) (at %x %k)) } }", "t:1:110: ", "axes are 1 to 32"},
    {HEAD "stage %x[%j] over (%j in 4) = (at %x %k) } }", "t:1:107: ", "nothing here is called '%k'"},
    {HEAD "stage %x[%j] over (%j in 4) = (at %x 0.5) } }", "t:1:107: ", "no value of index"},
    {HEAD "stage %x[%j] over (%j in 4) = (max 1e:f32 2) } }", "t:1:105: ", "no value of its type"},
    {HEAD "stage %x[%j] over (%j in 4) = (at %x %j+) } }", "t:1:107: ", "lacks a name or a number"},
    {HEAD "stage %x[%j %j] over (%j in 4) = 0:f32 } }", "t:1:78: ", "as many indices"},
    {HEAD "body { set %v 1 } } }", "t:1:81: ", "nothing here is called '%v'"},
    {HEAD "body { store %x (get %x) 1 } } }", "t:1:86: ", "operand 1 must be a var"},
    {HEAD "body { %v = (load f32x9999 %x 0) } } }", "t:1:82: ", "needs a type first"},
    {"graph g { %1 = (Rellu %x) }", "t:1:16: ", "no operation is called 'Rellu'"},
    {"graph g { input %x : f32[2] %1 = (Relu %x) : f32[3] }", "t:1:46: ", "gives f32[2], not f32[3]"},
    {"graph g { input %x : f32[2] %1 = (Relu %x :frob 3) }", "", "frob"},
    {"graph g { input %x : f32[2] %1 %2 = (Relu %x) }", "", ""},
    {"\"", "t:1:1: ", "no end on its line"},
    {"\"\\q\"", "t:1:2: ", "no escape"},
    {"module 'a", "t:1:8: ", "no closing '"},
    {"module \x01", "t:1:8: ", "control character"},
};

Test(text, errors_name_the_place_and_the_reason)
{
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        Ir *const ir = open_ir();
        cr_expect_null(reprint(ir, "t", errors[i].text, strlen(errors[i].text)), "%s", errors[i].text);
        cr_expect_eq(strncmp(first_error(ir), errors[i].place, strlen(errors[i].place)), 0, "%s\n%s", errors[i].text,
                     first_error(ir));
        cr_expect_not_null(strstr(first_error(ir), errors[i].message), "%s\n%s", errors[i].text, first_error(ir));
        cr_expect_eq(ir->diagnostics->code, EXIT_MALFORMED);
        close_ir(ir);
    }
}

/* ---- hostile texts ---- */

static char *repeated(const char *head, const char *part, int times, const char *tail)
{
    char *const text = malloc(strlen(head) + strlen(part) * (size_t)times + strlen(tail) + 1);
    char *end = stpcpy(text, head);
    for (int i = 0; i < times; i++)
        end = stpcpy(end, part);
    strcpy(end, tail);
    return text;
}

typedef struct DeepCase {
    const char *head, *part, *tail, *message;
    int times;
} DeepCase;

Test(text, nesting_is_limited_and_not_by_the_stack)
{
    static const DeepCase cases[] = {
        {"module m { ", "(", "", "nested more than 10000 deep", 200000},
        {"module m { ", "{", "", "nested more than 64 deep", 200000},
        {"module m { buffer %x : f32[", "(add 1 ", "", "is never closed", 9000},
        {"module m { kernel k () { body { ", "loop { ", "", "nested more than 64 deep", 200},
        {"module m { buffer %x : f32[", "(fold sum (%c in 1) ", "", "is never closed", 500},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Ir *const ir = open_ir();
        char *const text = repeated(cases[i].head, cases[i].part, cases[i].times, cases[i].tail);
        cr_expect_null(reprint(ir, "t", text, strlen(text)));
        cr_expect_not_null(strstr(first_error(ir), cases[i].message), "%s", first_error(ir));
        free(text);
        close_ir(ir);
    }
}

Test(text, deep_expressions_build)
{
    Ir *const ir = open_ir();
    const Environment environment = bare_names(ir);
    char *const left = repeated("", "(sqrt ", 9900, "x"), *const text = repeated(left, ")", 9900, "");
    const Sexpr *const tree = sexpr_read(ir->arena, ir->diagnostics, "t", text);
    cr_assert_not_null(tree);
    cr_expect_not_null(expression_build(ir, tree, &environment), "%s", first_error(ir));
    char *const folds = repeated("", "(fold sum (%c in 2) ", 65, "x"), *const closed = repeated(folds, ")", 65, "");
    const Sexpr *const nested = sexpr_read(ir->arena, ir->diagnostics, "t", closed);
    cr_expect_null(expression_build(ir, nested, &environment));
    cr_expect_not_null(strstr(first_error(ir), "folds are nested more than 64 deep"));
    free(left);
    free(text);
    free(folds);
    free(closed);
    close_ir(ir);
}

Test(text, a_chain_of_100000_operators_round_trips)
{
    Ir *const ir = open_ir();
    Node *const n = symbol_make(ir, name_intern(ir->arena, "N"));
    Node *x = input_make(ir, name_intern(ir->arena, "x"), type_tensor(ir, DTYPE_F32, 1, &n)), *value = x;
    for (int i = 0; i < 100000; i++)
        value = tensor_make(ir, i % 2 ? OP_Relu : OP_Tanh, &value, 1, 1, NULL, 0);
    const Graph graph = {.input_count = 1, .output_count = 1, .inputs = &x, .outputs = &value};
    cr_expect(verify_graph(ir, &graph, ir->diagnostics));
    size_t length;
    const char *const text = print_graph(ir->arena, &graph, &length);
    Ir *const second = open_ir();
    const char *const again = reprint(second, "chain", text, length);
    cr_assert_not_null(again, "%s", first_error(second));
    cr_expect(strcmp(again, text) == 0);
    close_ir(second);
    close_ir(ir);
}

static uint64_t random_state = 88172645463325252u;
static size_t random_below(size_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 16) % limit;
}

/* One change: a byte, a piece left out, a piece copied to elsewhere. */
static size_t mutate(char *text, size_t length)
{
    const size_t at = random_below(length - 40), from = random_below(length - 40), count = 1 + random_below(20);
    char piece[20];
    switch (random_below(3)) {
    case 0:
        text[at] = (char)random_below(256);
        return length;
    case 1:
        memmove(text + at, text + at + count, length - at - count);
        return length - count;
    default:
        memcpy(piece, text + from, count);
        memmove(text + at + count, text + at, length - at);
        memcpy(text + at, piece, count);
        return length + count;
    }
}

/* Whatever happens to a text: a diagnostic, or IR whose text is stable. */
Test(text, mutated_texts_never_bring_the_readers_down)
{
    static const char *const files[] = {"levels.ir", "expressions.ir", "storage.ir", "kernel-canonical.ir"};
    for (int file = 0; file < 4; file++) {
        char path[512];
        snprintf(path, sizeof path, SOURCE_DIR "/tests/data/ir/%s", files[file]);
        size_t length;
        char *const text = read_file(path, &length), *const work = malloc(length + 256);
        for (int i = 0; i < 1500; i++) {
            memcpy(work, text, length);
            size_t changed = length;
            for (size_t changes = 1 + random_below(3); changes; changes--)
                changed = mutate(work, changed);
            work[changed] = 0;
            Ir *const ir = open_ir();
            const char *const printed = reprint(ir, "mutated", work, changed);
            cr_expect(printed || ir->diagnostics->error_count > 0);
            if (printed) {
                Ir *const second = open_ir();
                const char *const again = reprint(second, "again", printed, strlen(printed));
                cr_expect_not_null(again, "%s", first_error(second));
                cr_expect(!again || strcmp(again, printed) == 0, "%s\n%s", printed, again);
                close_ir(second);
            }
            close_ir(ir);
        }
        free(work);
        free(text);
    }
}

/* ---- large constants ---- */

static const Constant *resolve(void *context, Name name, uint64_t hash, Type type)
{
    (void)type;
    cr_expect_str_eq(name, "big");
    cr_expect_eq(hash, 0x123456789abcdef0);
    return context;
}

Test(text, large_constants_are_resolved_by_name_and_hash)
{
    static const char text[] = "graph g { %b = constant f32[65,2] #123456789abcdef0 \"big\" output %b }";
    Ir *const ir = open_ir();
    float data[130] = {1, 2, 3};
    Constant constant = {.data = data, .bytes = sizeof data, .name = name_intern(ir->arena, "big")};
    const Graph *const graph = parse_graph(ir, "t", text, strlen(text), &(ParseOptions){resolve, &constant});
    cr_assert_not_null(graph, "%s", first_error(ir));
    cr_expect_eq(graph->outputs[0]->payload.constant->data, data);
    const char *const printed = print_graph(ir->arena, graph, NULL);
    data[129] = 1;
    cr_expect_str_neq(print_graph(ir->arena, graph, NULL), printed, "the hash depends on every element");
    const Graph *const zeros = parse_graph(ir, "t", text, strlen(text), NULL);
    cr_expect(zeros && zeros->outputs[0]->payload.constant->splat);
    close_ir(ir);
}
