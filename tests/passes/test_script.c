/* links: lathe_passes lathe_targets lathe_ir */
/* Scripts: what the golden files do not show. */
#include "ir/script.h"

#include "tests/passes/golden.h"

static const char counted[] = "graph g {\n"
                              "    input %x : i64[N]\n"
                              "    %n = (ReduceSum %x :keepdims 0)\n"
                              "    %c0 = constant i64[] [0]\n"
                              "    %c1 = constant i64[] [1]\n"
                              "    %r = (Range %c0 %n %c1) from \"count\"\n"
                              "    output %r \"r\"\n"
                              "}\n";

Test(script, machines_without_a_system_refuse_by_name)
{
    static const char *const targets[] = {"cortex-m4f", "sm_80"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        Compilation compilation = compilation_open("counted", counted, MATH_EXACT);
        compilation.target = target_find(compilation.ir->diagnostics, targets[i]);
        cr_assert(compilation.graph && compilation.target);
        cr_assert_not(passes_run(&compilation, &(PassOptions){.fuel = -1, .stream = stderr}));
        cr_expect_eq(compilation.ir->diagnostics->code, EXIT_UNSUPPORTED);
        cr_expect_not_null(strstr(first_error(compilation.ir), "a size that the model computes"), "%s",
                           first_error(compilation.ir));
        arena_close(compilation.ir->arena);
    }
}

/* Both branches and the model add the same 4096 floats, and one branch others. */
static const char branches[] = "graph g {\n"
                               "    input %x : f32[4096]\n"
                               "    input %c : bool[]\n"
                               "    %w = constant f32[4096] splat 1.5\n"
                               "    %y = (If %c :else_branch graph no {\n"
                               "        %w1 = constant f32[4096] splat 1.5\n"
                               "        %a = (Add (Exp %x) %w1)\n"
                               "        output %a\n"
                               "    } :then_branch graph yes {\n"
                               "        %w2 = constant f32[4096] splat 2.5\n"
                               "        %b = (Add (Neg %x) %w2)\n"
                               "        output %b\n"
                               "    }) : f32[4096]\n"
                               "    %z = (Mul %y %w)\n"
                               "    output %z \"z\"\n"
                               "}\n";

Test(script, regions_share_equal_weights)
{
    Compilation compilation = compilation_open("branches", branches, MATH_EXACT);
    compilation.level = 0; /* no rules: weights stay what they are */
    cr_assert_not_null(compilation.graph, "%s", first_error(compilation.ir));
    cr_assert(passes_run(&compilation, &(PassOptions){.fuel = -1, .verify = true, .stream = stderr}), "%s",
              first_error(compilation.ir));
    cr_assert_not_null(compilation.script);
    cr_expect_eq(compilation.script->region_count, 3);
    cr_expect_eq(compilation.weight_bytes, 2 * 4096 * 4);
    arena_close(compilation.ir->arena);
}

/* A check whose symbol a read tells is made by the region after it; one of an input's dim by the first. */
Test(script, checks_are_made_where_their_symbols_are_known)
{
    Compilation compilation = compilation_open("counted", counted, MATH_EXACT);
    cr_assert_not_null(compilation.graph);
    Node *const size = symbol_make(compilation.ir, name_intern(compilation.ir->arena, "N"));
    cr_assert(run_check(compilation.ir, scalar2(compilation.ir, OP_le, size, index_const(compilation.ir, 9)), "input"));
    Node *const read = compilation.graph->outputs[0]->inputs[1];
    cr_assert(run_check(compilation.ir,
                        scalar2(compilation.ir, OP_le, read->contents[0], index_const(compilation.ir, 5)), "count"));
    cr_assert(passes_run(&compilation, &(PassOptions){.fuel = -1, .stream = stderr}));
    const Script *const script = compilation.script;
    cr_assert_eq(script->region_count, 2);
    cr_assert_eq(script->regions[0].check_count, 1);
    cr_expect_str_eq(script->regions[0].checks[0]->text, "input");
    cr_assert_eq(script->regions[1].check_count, 1);
    cr_expect_str_eq(script->regions[1].checks[0]->text, "count");
    arena_close(compilation.ir->arena);
}
