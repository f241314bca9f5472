/* links: lathe_passes lathe_targets lathe_ir */
/* Rewrite rules: the table compiles, a wrong row is named, every rule fires in some golden file, and what a rule makes
 * gives the same numbers as what it replaces, on random and special values of every type. */
#include "tests/passes/golden.h"

#include "passes/rules.h"

static Ir *open_ir(void)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    return ir_open(arena, diagnostics_open(arena));
}

Test(rules, the_table_compiles)
{
    Ir *const ir = open_ir();
    cr_assert_not_null(rules_compile(ir, tensor_rules, tensor_rule_count), "%s", first_error(ir));
    arena_close(ir->arena);
}

typedef struct WrongRow {
    Rule rule;
    const char *message;
} WrongRow;
static const WrongRow wrong_rows[] = {
    {{EXACT, "x * 1 = x", "(Mull x 1)", "x"}, "rule \"x * 1 = x\": no operation is called 'Mull'"},
    {{EXACT, "r", "(Mul x 1)", "(Idenity x)"}, "rule \"r\": no operation is called 'Idenity'"},
    {{EXACT, "r", "(Mul x 1)", "y"}, "rule \"r\": nothing is called 'y'"},
    {{EXACT, "r", "(Mul x 1 2)", "x"}, "rule \"r\": Mul does not take 3 operands"},
    {{EXACT, "r", "(Mul x)", "x"}, "rule \"r\": Mul does not take 1 operands"},
    {{EXACT, "r", "(Transpose x :prem @p)", "x"}, "rule \"r\": Transpose has no attribute 'prem'"},
    {{EXACT, "r", "(Transpose x :perm @p)", "(Transpose x :perm @q)"}, "rule \"r\": nothing is called '@q'"},
    {{EXACT, "r", "(Transpose x :perm)", "x"}, "rule \"r\": attributes of Transpose have the form: :name value"},
    {{EXACT, "r", "(Transpose x :perm (p))", "x"},
     "rule \"r\": the attribute 'perm' is a number, a string, a @name or *"},
    {{EXACT, "r", "x", "x"}, "rule \"r\": the pattern is no operator"},
    {{EXACT, "r", "(mul x 1)", "x"}, "rule \"r\": no operation is called 'mul'"},
    {{EXACT, "r", "(Mul x %1)", "x"}, "rule \"r\": an operand is an operator, a name, a number or _"},
    {{EXACT, "r", "(Sub x 0)", "x", NULL, COMMUTES}, "rule \"r\": 0 operators commute, 1 to 4 may"},
    {{EXACT, "r", "(Max x ..)", "(Max x ..)"}, "rule \"r\": '..' stands in the replacement"},
    {{EXACT, "r", "(Mul x 1", "x"}, "r:1:1: error: '(' is never closed"},
};

Test(rules, a_wrong_row_is_named)
{
    for (size_t i = 0; i < sizeof wrong_rows / sizeof *wrong_rows; i++) {
        Ir *const ir = open_ir();
        cr_expect_null(rules_compile(ir, &wrong_rows[i].rule, 1), "%s", wrong_rows[i].message);
        cr_expect_not_null(strstr(first_error(ir), wrong_rows[i].message), "'%s' and not '%s'", first_error(ir),
                           wrong_rows[i].message);
        arena_close(ir->arena);
    }
    Ir *const ir = open_ir();
    const Rule twice[] = {{EXACT, "r", "(Mul x 1)", "x"}, {EXACT, "r", "(Div x 1)", "x"}};
    cr_expect_null(rules_compile(ir, twice, 2));
    cr_expect_str_eq(first_error(ir), "error: rule \"r\": two rules have this name");
    arena_close(ir->arena);
}

/* ---- what a rule may touch ---- */

static Node *input_of(Ir *ir, const char *name, Dtype dtype, int64_t extent)
{
    Node *const dim = index_const(ir, extent);
    return input_make(ir, name_intern(ir->arena, name), type_tensor(ir, dtype, 1, &dim));
}

static Node *apply(Ir *ir, Rule rule, Node *root)
{
    RuleSet *const set = rules_compile(ir, &rule, 1);
    int fired;
    cr_assert_not_null(set, "%s", first_error(ir));
    return rules_apply(set, root, FAST, &fired);
}

static Node *make2(Ir *ir, Op op, Node *a, Node *b)
{
    return tensor_make(ir, op, (Node *[]){a, b}, 2, 1, NULL, 0);
}

Test(rules, a_name_met_again_is_the_same_node)
{
    Ir *const ir = open_ir();
    Node *const x = input_of(ir, "x", DTYPE_F32, 4), *const y = input_of(ir, "y", DTYPE_F32, 4);
    const Rule rule = {FAST, "x - x", "(Sub x x)", "(Mul x 0)"};
    cr_expect_not_null(apply(ir, rule, make2(ir, OP_Sub, x, x)));
    cr_expect_null(apply(ir, rule, make2(ir, OP_Sub, x, y)));
    arena_close(ir->arena);
}

Test(rules, numbers_compare_by_bits_in_the_type_of_the_constant)
{
    Ir *const ir = open_ir();
    Node *const x = input_of(ir, "x", DTYPE_F32, 4), *const n = input_of(ir, "n", DTYPE_U8, 4),
                *const h = input_of(ir, "h", DTYPE_F16, 4);
    const Rule zero = {EXACT, "x - 0", "(Sub x 0)", "x"}, minus = {EXACT, "x * -1", "(Mul x -1)", "x"},
               tenth = {EXACT, "x * 0.1", "(Mul x 0.1)", "x"};
    cr_expect_eq(apply(ir, zero, make2(ir, OP_Sub, x, constant_scalar(ir, DTYPE_F32, 0.0))), x);
    cr_expect_null(apply(ir, zero, make2(ir, OP_Sub, x, constant_scalar(ir, DTYPE_F32, -0.0))));
    cr_expect_eq(apply(ir, zero, make2(ir, OP_Sub, n, constant_scalar(ir, DTYPE_U8, 0))), n);
    cr_expect_null(apply(ir, minus, make2(ir, OP_Mul, n, constant_scalar(ir, DTYPE_U8, 255))));
    cr_expect_eq(apply(ir, tenth, make2(ir, OP_Mul, h, constant_scalar(ir, DTYPE_F16, 0.1))), h);
    cr_expect_null(apply(ir, zero, make2(ir, OP_Sub, x, x)));
    arena_close(ir->arena);
}

Test(rules, type_and_shape_of_the_root_are_kept)
{
    Ir *const ir = open_ir();
    Node *const x = input_of(ir, "x", DTYPE_F32, 1), *const y = input_of(ir, "y", DTYPE_F32, 4);
    const Rule first = {EXACT, "first", "(Add x y)", "x"}, cast = {EXACT, "cast", "(Cast x :to *)", "x"};
    cr_expect_null(apply(ir, first, make2(ir, OP_Add, x, y)));
    cr_expect_eq(apply(ir, first, make2(ir, OP_Add, y, x)), y);
    const Attribute to = attr_int(ir, "to", 11);
    cr_expect_null(apply(ir, cast, tensor_make(ir, OP_Cast, &x, 1, 1, &to, 1)));
    cr_expect_eq(ir->diagnostics->error_count, 0);
    arena_close(ir->arena);
}

/* Two unknown dims that have to be equal are a check at run time: the root asked for none, so neither may the
 * replacement. */
Test(rules, no_new_check_at_run_time)
{
    Ir *const ir = open_ir();
    Node *const n = symbol_make(ir, name_intern(ir->arena, "N")), *const m =
                                                                      symbol_make(ir, name_intern(ir->arena, "M"));
    Node *const x = input_make(ir, name_intern(ir->arena, "x"), type_tensor(ir, DTYPE_F32, 1, &n));
    Node *const y = input_make(ir, name_intern(ir->arena, "y"), type_tensor(ir, DTYPE_F32, 1, &m));
    Node *const both = make2(ir, OP_Add, x, y);
    const RunCheck *const asked = ir->checks;
    cr_assert_not_null(both);
    cr_assert_not_null(asked);
    const Rule swap = {FAST, "known", "(Add x y)", "(Mul x y)"};
    cr_expect_not_null(apply(ir, swap, both), "the same check is known already");
    cr_expect_eq(ir->checks, asked);
    cr_expect_null(asked->next);
    ir->checks = NULL;
    cr_expect_null(apply(ir, swap, both), "nobody has asked for it");
    cr_expect_null(ir->checks);
    arena_close(ir->arena);
}

Test(rules, attributes_that_are_not_named_have_their_default)
{
    Ir *const ir = open_ir();
    Node *const x = input_of(ir, "x", DTYPE_F32, 4);
    const Rule rule = {FAST, "r", "(Elu x)", "x"}, number = {FAST, "s", "(Elu x :alpha 2)", "x"},
               string = {FAST, "t", "(Gelu x :approximate \"tanh\")", "x"};
    const Attribute one = attr_float(ir, "alpha", 1), two = attr_float(ir, "alpha", 2),
                    tanh = attr_string(ir, "approximate", "tanh");
    cr_expect_eq(apply(ir, rule, tensor_make(ir, OP_Elu, &x, 1, 1, NULL, 0)), x);
    cr_expect_eq(apply(ir, rule, tensor_make(ir, OP_Elu, &x, 1, 1, &one, 1)), x);
    cr_expect_null(apply(ir, rule, tensor_make(ir, OP_Elu, &x, 1, 1, &two, 1)));
    cr_expect_eq(apply(ir, number, tensor_make(ir, OP_Elu, &x, 1, 1, &two, 1)), x);
    cr_expect_null(apply(ir, number, tensor_make(ir, OP_Elu, &x, 1, 1, &one, 1)));
    cr_expect_eq(apply(ir, string, tensor_make(ir, OP_Gelu, &x, 1, 1, &tanh, 1)), x);
    cr_expect_null(apply(ir, string, tensor_make(ir, OP_Gelu, &x, 1, 1, NULL, 0)));
    arena_close(ir->arena);
}

Test(rules, classes_are_respected)
{
    Ir *const ir = open_ir();
    Node *const x = input_of(ir, "x", DTYPE_F32, 4);
    Node *const root = make2(ir, OP_Mul, x, constant_scalar(ir, DTYPE_F32, 1));
    for (RuleClass class = EXACT; class <= FAST; class ++)
        for (RuleClass most = EXACT; most <= FAST; most++) {
            const Rule rule = {class, "r", "(Mul x 1)", "x"};
            int fired;
            cr_expect_eq(rules_apply(rules_compile(ir, &rule, 1), root, most, &fired), class <= most ? x : NULL);
        }
    arena_close(ir->arena);
}

/* ---- every rule, and its numbers ---- */

Test(rules, every_rule_fires_in_some_golden_file)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    int count;
    const char **const names = golden_names(arena, &count);
    char *report;
    size_t length;
    FILE *const stream = open_memstream(&report, &length);
    for (int i = 0; i < count; i++) {
        const Golden golden = golden_read(arena, names[i]);
        Compilation compilation = compilation_open(golden.path, golden.before, golden.math);
        const PassOptions options = {.fuel = -1, .rules = true, .stream = stream};
        cr_assert_not_null(compilation.graph, "%s: %s", golden.name, first_error(compilation.ir));
        cr_assert(passes_run_named(&compilation, golden.passes, golden.pass_count, &options), "%s: %s", golden.name,
                  first_error(compilation.ir));
        arena_close(compilation.ir->arena);
    }
    fclose(stream);
    for (int i = 0; i < tensor_rule_count; i++)
        cr_expect_not_null(strstr(report, arena_format(arena, " %s\n", tensor_rules[i].name)),
                           "rule \"%s\" never fires", tensor_rules[i].name);
    free(report);
    arena_close(arena);
}

/* `text` with one type in the place of another, as a word. */
static const char *retype(Arena *arena, const char *text, const char *from, const char *to)
{
    char *const out = arena_alloc(arena, strlen(text) * 4 + 1);
    size_t used = 0;
    for (const char *at = text; *at;) {
        const char *const found = strstr(at, from);
        const size_t plain = found ? (size_t)(found - at) : strlen(at);
        memcpy(out + used, at, plain);
        used += plain;
        at += plain;
        if (!found)
            break;
        const bool word = found[strlen(from)] == '[';
        used += (size_t)sprintf(out + used, "%s", word ? to : from);
        at += strlen(from);
    }
    return out;
}

/* Runs the text with and without rules. False when it is no graph. */
static bool same_numbers(const char *name, const char *text, MathMode math)
{
    static const char *const without[] = {"expand", "lower"}, *const with[] = {"expand", "simplify", "lower"};
    const PassOptions options = {.fuel = -1};
    for (uint64_t seed = 1; seed <= 4; seed++) {
        Compilation before = compilation_open(name, text, math), after = compilation_open(name, text, math);
        if (!before.graph) {
            arena_close(before.ir->arena);
            arena_close(after.ir->arena);
            return false;
        }
        cr_assert(passes_run_named(&before, without, 2, &options), "%s: %s", name, first_error(before.ir));
        cr_assert(passes_run_named(&after, with, 3, &options), "%s: %s", name, first_error(after.ir));
        const Results a = module_run(&before, seed, math != MATH_EXACT),
                      b = module_run(&after, seed, math != MATH_EXACT);
        results_compare(name, &a, &b, math == MATH_EXACT ? 0 : 1e-5);
        arena_close(before.ir->arena);
        arena_close(after.ir->arena);
    }
    return true;
}

Test(rules, exact_rules_keep_every_bit_of_every_type)
{
    static const char *const types[] = {"f32", "f64", "f16", "bf16", "i8",  "u8",
                                        "i16", "u16", "i32", "u32",  "i64", "u64"};
    Arena *const arena = arena_open(0, NULL, NULL);
    int count, runs = 0;
    const char **const names = golden_names(arena, &count);
    for (int i = 0; i < count; i++) {
        const Golden golden = golden_read(arena, names[i]);
        if (!golden_runs(&golden, "simplify"))
            continue;
        cr_assert(same_numbers(golden.name, golden.before, MATH_EXACT), "%s", golden.name);
        for (size_t j = 0; j < sizeof types / sizeof *types; j++) {
            const char *const name = arena_format(arena, "%s as %s", golden.name, types[j]);
            const char *text = retype(arena, golden.before, "f32", types[j]);
            text = retype(arena, text, "i32", types[j]);
            runs += same_numbers(name, text, MATH_EXACT);
        }
    }
    cr_expect_geq(runs, 100, "%d", runs);
    arena_close(arena);
}

Test(rules, other_rules_keep_ordinary_numbers)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    int count, runs = 0;
    const char **const names = golden_names(arena, &count);
    for (int i = 0; i < count; i++) {
        const Golden golden = golden_read(arena, names[i]);
        if (golden_runs(&golden, "simplify") && golden.math != MATH_EXACT)
            runs += same_numbers(golden.name, golden.before, golden.math);
    }
    cr_expect_geq(runs, 3);
    arena_close(arena);
}

Test(rules, two_casts_give_what_one_gives)
{
    static const Dtype types[] = {DTYPE_BOOL, DTYPE_U8,  DTYPE_I8,  DTYPE_U16,  DTYPE_I16, DTYPE_U32, DTYPE_I32,
                                  DTYPE_U64,  DTYPE_I64, DTYPE_F16, DTYPE_BF16, DTYPE_F32, DTYPE_F64};
    enum { COUNT = sizeof types / sizeof *types };
    Arena *const arena = arena_open(0, NULL, NULL);
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < COUNT; j++) {
            /* All last types at once: one output each. */
            const char *text = arena_format(arena, "graph casts { input %%x : %s[64]", dtype_info[types[i]].name);
            for (int k = 0; k < COUNT; k++)
                text = arena_format(arena, "%s output (Cast (Cast %%x :to %d) :to %d) \"%s\"", text,
                                    dtype_info[types[j]].onnx, dtype_info[types[k]].onnx, dtype_info[types[k]].name);
            cr_assert(
                same_numbers(arena_format(arena, "%s through %s", dtype_info[types[i]].name, dtype_info[types[j]].name),
                             arena_format(arena, "%s }", text), MATH_EXACT));
        }
    arena_close(arena);
}

/* ---- the walk ---- */

static Compilation compilation_of(Ir *ir, Node *input, Node *output)
{
    Graph *const graph = NEW(ir->arena, Graph);
    Node **const nodes = NEW_ARRAY(ir->arena, Node *, 2);
    Name *const names = NEW_ARRAY(ir->arena, Name, 2);
    nodes[0] = input;
    nodes[1] = output;
    names[0] = name_intern(ir->arena, "x");
    names[1] = name_intern(ir->arena, "y");
    *graph = (Graph){.name = name_intern(ir->arena, "long"),
                     .input_count = 1,
                     .output_count = 1,
                     .inputs = nodes,
                     .outputs = nodes + 1,
                     .input_names = names,
                     .output_names = names + 1};
    return (Compilation){.ir = ir, .graph = graph, .level = 2, .state = STATE_PRIMITIVE};
}

static int nodes_left(const Compilation *compilation)
{
    int count;
    nodes_topological(compilation->ir, compilation->graph->outputs, compilation->graph->output_count, &count);
    return count;
}

enum { LONG = 100000 };

Test(rules, a_hundred_thousand_nodes_that_all_go)
{
    Ir *const ir = open_ir();
    Node *const x = input_of(ir, "x", DTYPE_F32, 4);
    Node *y = x;
    for (int i = 0; i < LONG; i++)
        y = tensor_make(ir, OP_Neg, &y, 1, 1, NULL, 0);
    Compilation compilation = compilation_of(ir, x, y);
    static const char *const passes[] = {"simplify"};
    cr_assert(passes_run_named(&compilation, passes, 1, &(PassOptions){.fuel = -1}));
    cr_expect_eq(compilation.graph->outputs[0], x);
    arena_close(ir->arena);
}

Test(rules, a_hundred_thousand_nodes_that_all_stay_and_share_a_constant)
{
    Ir *const ir = open_ir();
    Node *const x = input_of(ir, "x", DTYPE_F32, 4);
    Node *y = x;
    for (int i = 0; i < LONG; i++)
        y = make2(ir, OP_Add, y, constant_scalar(ir, DTYPE_F32, 1.5));
    Compilation compilation = compilation_of(ir, x, y);
    compilation.math = MATH_EXACT;
    static const char *const passes[] = {"simplify"};
    cr_assert(passes_run_named(&compilation, passes, 1, &(PassOptions){.fuel = -1}));
    cr_expect_eq(nodes_left(&compilation), LONG + 2);
    arena_close(ir->arena);
}

/* Constants move outwards through the whole chain and meet: one addition is left, of a tree that pass fold computes. */
Test(rules, a_hundred_thousand_constants_meet)
{
    Ir *const ir = open_ir();
    Node *const x = input_of(ir, "x", DTYPE_I32, 4);
    Node *y = x;
    for (int i = 0; i < LONG / 10; i++)
        y = make2(ir, OP_Add, y, constant_scalar(ir, DTYPE_I32, i + 2));
    Compilation compilation = compilation_of(ir, x, y);
    static const char *const passes[] = {"simplify"};
    cr_assert(passes_run_named(&compilation, passes, 1, &(PassOptions){.fuel = -1}));
    const Node *const root = compilation.graph->outputs[0];
    cr_expect_eq(root->op, OP_Add);
    cr_expect(root->inputs[0] == x || root->inputs[1] == x);
    arena_close(ir->arena);
}
