/* links: lathe_frontend lathe_passes lathe_targets lathe_ir */
/* Passes: text in and text out, and what they promise about decisions (fuel) and about numbers (none of them changes
 * any). */
#include "tests/passes/golden.h"

#include "frontend/import.h"
#include "ir/kernel.h"
#include "passes/access.h"

/* ---- golden files ---- */

static void bless(const Golden *golden, const char *printed)
{
    FILE *const file = fopen(golden->path, "w");
    cr_assert_not_null(file, "%s", golden->path);
    fprintf(file, "%s%s%s", golden->before, golden_mark, printed);
    cr_assert_eq(fclose(file), 0);
}

Test(passes, golden_files_become_what_they_say)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    int count;
    const char **const names = golden_names(arena, &count);
    for (int i = 0; i < count; i++) {
        const Golden golden = golden_read(arena, names[i]);
        Compilation compilation = compilation_open(golden.path, golden.before, golden.math);
        cr_assert_not_null(compilation.graph, "%s: %s", golden.name, first_error(compilation.ir));
        compilation.weights = golden.weights;
        const PassOptions options = {.verify = true, .fuel = -1};
        cr_assert(passes_run_named(&compilation, golden.passes, golden.pass_count, &options), "%s: %s", golden.name,
                  first_error(compilation.ir));
        const char *const printed = compilation_print(compilation.ir->arena, &compilation, NULL);
        if (getenv("LATHE_BLESS"))
            bless(&golden, printed);
        else
            cr_expect_str_eq(printed, golden.after, "%s becomes\n%s", golden.name, printed);
        arena_close(compilation.ir->arena);
    }
    cr_expect_geq(count, 40);
    arena_close(arena);
}

/* Every pass of the table stands last in some golden file. */
Test(passes, every_pass_has_a_golden_file)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    int count;
    const char **const names = golden_names(arena, &count);
    for (int pass = 0; pass < pass_count; pass++) {
        bool found = false;
        for (int i = 0; i < count && !found; i++) {
            const Golden golden = golden_read(arena, names[i]);
            found = strcmp(golden.passes[golden.pass_count - 1], pass_rows[pass].name) == 0;
        }
        cr_expect(found, "%s", pass_rows[pass].name);
    }
    arena_close(arena);
}

/* Rows in scratch are no parameters of a kernel, and there may be more of them than parameters. */
Test(passes, reads_of_many_rows_in_scratch_keep_to_their_list)
{
    enum { ROWS = 6 };
    Arena *const arena = arena_open(0, NULL, NULL);
    Ir *const ir = ir_open(arena, diagnostics_open(arena));
    Node *const extent = index_const(ir, 4), *const axis = axis_make(ir, "i", extent);
    const Type type = type_tensor(ir, DTYPE_F32, 1, &extent);
    Node *last = buffer_make(ir, type, &(Buffer){.name = name_intern(arena, "x"), .place = PLACE_INPUT});
    Block *const stages = block_make(ir);
    for (int i = 0; i < ROWS; i++) {
        const Buffer row = {.name = name_intern(arena, "row"), .place = PLACE_LOCAL, .offset = 64 * i};
        Node *const next = buffer_make(ir, type, &row);
        block_append(ir, stages, stage_make(ir, &axis, 1, next, &axis, at_make(ir, last, &axis)));
        last = next;
    }
    Node *const y = buffer_make(ir, type, &(Buffer){.name = name_intern(arena, "y"), .place = PLACE_OUTPUT});
    block_append(ir, stages, stage_make(ir, &axis, 1, y, &axis, at_make(ir, last, &axis)));
    const Node *const kernel = kernel_make(ir, name_intern(arena, "rows"), stages);
    int count, again;
    Node **const reads = kernel_reads(ir, kernel, &count), **const same = kernel_reads(ir, kernel, &again);
    cr_assert_eq(count, ROWS + 1);
    cr_assert_eq(again, ROWS + 1);
    for (int i = 0; i < count; i++)
        cr_expect_eq(reads[i], same[i], "number %d", i);
    arena_close(arena);
}

/* Each piece of a large result is weighed by itself: together they are no larger than what is read. */
Test(passes, large_results_in_pieces_of_constants_are_folded)
{
    static const char text[] = "graph pieces {\n"
                               "    input %x : f32[200,120]\n"
                               "    %a = constant f32[100,120] splat 2 \"a\"\n"
                               "    %b = constant f32[100,120] splat 3 \"b\"\n"
                               "    %1 = (Concat %a %b :axis 0)\n"
                               "    %2 = (Mul %x %1)\n"
                               "    output %2 \"y\"\n"
                               "}\n";
    static const char *const passes[] = {"expand", "lower", "fold"};
    Compilation compilation = compilation_open("pieces", text, MATH_EXACT);
    cr_assert_not_null(compilation.graph, "%s", first_error(compilation.ir));
    const PassOptions options = {.verify = true, .fuel = -1};
    cr_assert(passes_run_named(&compilation, passes, 3, &options), "%s", first_error(compilation.ir));
    cr_expect_eq(compilation.module->body->count, 1, "%d kernels are left", compilation.module->body->count);
    arena_close(compilation.ir->arena);
}

/* ---- the table ---- */

/* What a pass needs was left by one before it. */
Test(passes, the_table_is_in_order)
{
    State state = STATE_TENSOR;
    for (int i = 0; i < pass_count; i++) {
        cr_expect_leq(pass_rows[i].needs, state, "%s needs what nobody has left", pass_rows[i].name);
        cr_expect_geq(pass_rows[i].leaves, pass_rows[i].needs, "%s", pass_rows[i].name);
        state = pass_rows[i].leaves > state ? pass_rows[i].leaves : state;
        cr_expect_eq(pass_find(pass_rows[i].name), &pass_rows[i]);
    }
    cr_expect_eq(state, STATE_PLACED);
    cr_expect_null(pass_find("none"));
}

/* ---- models ---- */

/* A graph in text, or an ONNX file. */
static Compilation model_open(const char *path, const char *text)
{
    if (text)
        return compilation_open(path, text, MATH_DEFAULT);
    Compilation compilation = compilation_open(path, "graph none {}", MATH_DEFAULT);
    ImportedModel model;
    compilation.graph = onnx_import(compilation.ir, path, &(ImportOptions){0}, &model) ? model.graph : NULL;
    return compilation;
}

/* All passes with `options`; the numbers that come out. */
static Results model_run(const char *path, const char *text, const PassOptions *options)
{
    Compilation compilation = model_open(path, text);
    cr_assert_not_null(compilation.graph, "%s: %s", path, first_error(compilation.ir));
    cr_assert(passes_run(&compilation, options), "%s: %s", path, first_error(compilation.ir));
    return module_run(&compilation, 7, true);
}

typedef struct Model {
    const char *path;
    const char *text; /* NULL: the path is an ONNX file */
} Model;

/* The golden files, and the ONNX files that can be imported. */
static Model *models(Arena *arena, int *count)
{
    static const char *const files[] = {"calls_64",  "constants", "defaults", "dense",      "dims",
                                        "functions", "if",        "names",    "nesting_64", "optional",
                                        "rank_32",   "sparse",    "types",    "unsorted"};
    int golden_count;
    const char **const names = golden_names(arena, &golden_count);
    Model *const list = NEW_ARRAY(arena, Model, (size_t)golden_count + sizeof files / sizeof *files);
    *count = 0;
    for (int i = 0; i < golden_count; i++) {
        const Golden golden = golden_read(arena, names[i]);
        /* Those show what may change, and what a run of one module cannot do. */
        if (golden.math != MATH_FAST && !golden_runs(&golden, "partition"))
            list[(*count)++] = (Model){golden.path, golden.before};
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        list[(*count)++] = (Model){arena_format(arena, SOURCE_DIR "/tests/data/onnx/good/%s.onnx", files[i]), NULL};
    return list;
}

/* Without any optional pass, without each, and with all: the same bits, but for the rules and transforms that regroup
 * terms. */
Test(passes, leaving_one_out_changes_no_number)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    int count;
    const Model *const list = models(arena, &count);
    const char *optional[32] = {NULL};
    int optional_count = 0;
    for (int i = 0; i < pass_count; i++)
        if (pass_rows[i].level > 0)
            optional[optional_count++] = pass_rows[i].name;
    for (int i = 0; i < count; i++) {
        const PassOptions none = {.fuel = -1, .skip = optional}, all = {.fuel = -1};
        const Results plain = model_run(list[i].path, list[i].text, &none);
        const Results whole = model_run(list[i].path, list[i].text, &all);
        results_compare(list[i].path, &plain, &whole, 1e-6);
        for (int j = 0; j < optional_count; j++) {
            const bool regroups = strcmp(optional[j], "simplify") != 0;
            const char *const skip[] = {optional[j], regroups ? NULL : "winograd", "attention", "group", NULL};
            const Results part = model_run(list[i].path, list[i].text, &(PassOptions){.fuel = -1, .skip = skip});
            results_compare(arena_format(arena, "%s without %s", list[i].path, optional[j]), &plain, &part,
                            regroups ? 1e-6 : 0);
        }
    }
    arena_close(arena);
}

/* ---- fuel ---- */

/* Decisions of a run, as --time-passes reports them. */
static int64_t decisions_of(const Model *model, int64_t fuel)
{
    char *report;
    size_t length;
    FILE *const stream = open_memstream(&report, &length);
    Compilation compilation = model_open(model->path, model->text);
    cr_assert(passes_run(&compilation, &(PassOptions){.fuel = fuel, .time = true, .stream = stream}), "%s",
              first_error(compilation.ir));
    fclose(stream);
    int64_t total = 0;
    for (const char *line = report; (line = strstr(line, " ms ")); line++)
        total += strtoll(line + 4, NULL, 10);
    free(report);
    arena_close(compilation.ir->arena);
    return total;
}

/* Fuel N stops after the N-th decision; whatever was decided, the numbers are the same. */
Test(passes, fuel_stops_after_so_many_decisions)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    int count, stops = 0;
    const Model *const list = models(arena, &count);
    for (int i = 0; i < count; i++) {
        const int64_t total = decisions_of(&list[i], -1);
        const Results plain = model_run(list[i].path, list[i].text, &(PassOptions){.fuel = 0});
        cr_expect_eq(decisions_of(&list[i], 0), 0, "%s", list[i].path);
        cr_expect_eq(decisions_of(&list[i], total + 100), total, "%s", list[i].path);
        for (int64_t fuel = 1; fuel <= total; fuel++, stops++) {
            cr_expect_eq(decisions_of(&list[i], fuel), fuel, "%s", list[i].path);
            const Results part = model_run(list[i].path, list[i].text, &(PassOptions){.fuel = fuel});
            results_compare(arena_format(arena, "%s with fuel %d", list[i].path, (int)fuel), &plain, &part, 1e-6);
        }
    }
    cr_expect_geq(stops, 100);
    arena_close(arena);
}
