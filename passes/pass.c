/* The pass runner: see pass.h. */
#include "passes/pass.h"

#include "ir/print.h"
#include "ir/script.h"
#include "ir/verify.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const PassRow pass_rows[] = {
#define PASS(name, needs, leaves, level, why) {#name, pass_##name, STATE_##needs, STATE_##leaves, level, why},
#include "passes/passes.def"
#undef PASS
};
const int pass_count = sizeof pass_rows / sizeof *pass_rows;

bool pass_decide(PassContext *context)
{
    if (context->fuel == 0)
        return false;
    if (context->fuel > 0)
        context->fuel--;
    ++*context->counter;
    return true;
}

static bool skipped(const PassOptions *options, const char *name)
{
    for (const char *const *skip = options->skip; skip && *skip; skip++)
        if (strcmp(*skip, name) == 0)
            return true;
    return false;
}

static bool verify(const Compilation *compilation)
{
    Diagnostics *const diagnostics = compilation->ir->diagnostics;
    return compilation->state >= STATE_STAGES ? verify_module(compilation->ir, compilation->module, diagnostics)
                                              : verify_graph(compilation->ir, compilation->graph, diagnostics);
}

const char *compilation_print(Arena *arena, const Compilation *compilation, size_t *length)
{
    if (compilation->script && compilation->state < STATE_STAGES)
        return print_script(arena, compilation->script, length);
    if (!compilation->script)
        return compilation->state >= STATE_STAGES ? print_module(arena, compilation->module, length)
                                                  : print_graph(arena, compilation->graph, length);
    Arena *const scratch = arena_scratch(arena);
    size_t used = 0, capacity = 4096;
    char *text = arena_alloc(arena, capacity);
    for (int i = 0; i < compilation->script->region_count; i++) {
        const ArenaMark mark = arena_mark(scratch);
        size_t more;
        const char *const part = print_module(scratch, compilation->regions[i].module, &more);
        if (used + more + 2 > capacity) {
            capacity = (used + more + 2) * 2;
            text = memcpy(arena_alloc(arena, capacity), text, used);
        }
        if (i)
            text[used++] = '\n';
        memcpy(text + used, part, more + 1);
        used += more;
        arena_reset(scratch, mark);
    }
    if (length)
        *length = used;
    return text;
}

static bool dump(const Compilation *compilation, const PassOptions *options, int number, const char *name)
{
    Arena *const scratch = arena_open(0, NULL, NULL);
    size_t length;
    const char *const text = compilation_print(scratch, compilation, &length);
    FILE *file = options->stream;
    bool written = true;
    const char *const part = compilation->region ? arena_format(scratch, "-region%d", compilation->region_number) : "";
    if (options->dump_folder)
        file = fopen(arena_format(scratch, "%s/%02d-%s%s.ir", options->dump_folder, number, name, part), "w");
    if (file)
        written = fwrite(text, 1, length, file) == length;
    if (options->dump_folder && file)
        written = fclose(file) == 0 && written;
    arena_close(scratch);
    return (file && written) ||
           diag_error(compilation->ir->diagnostics, EXIT_IO, NULL, "the IR after %s cannot be written to %s", name,
                      options->dump_folder ? options->dump_folder : "the standard error");
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static bool dump_wanted(const PassOptions *options, const char *name)
{
    const char *at = options->dump_after;
    const size_t length = strlen(name);
    if (at && strcmp(at, "all") == 0)
        return true;
    for (; at && *at; at += *at == ',') {
        const size_t part = strcspn(at, ",");
        if (part == length && memcmp(at, name, length) == 0)
            return true;
        at += part;
    }
    return false;
}

static bool run_one(Compilation *compilation, const PassOptions *options, PassContext *context, int number)
{
    const PassRow *const pass = &pass_rows[number];
    int64_t decisions = 0;
    context->counter = &decisions;
    context->rules = options->rules ? options->stream : NULL;
    breadcrumb(pass->name, NULL);
    const double start = milliseconds();
    if (!pass->run(context)) {
        if (compilation->ir->diagnostics->error_count == 0)
            BUG("pass %s failed without a reason", pass->name);
        return false;
    }
    if (compilation->state < pass->leaves)
        compilation->state = pass->leaves;
    if (options->time)
        fprintf(options->stream, "%-9s %8.1f ms %8lld decisions\n", pass->name, milliseconds() - start,
                (long long)decisions);
    if (options->verify && !verify(compilation))
        BUG("the IR is wrong after pass %s: %s", pass->name, compilation->ir->diagnostics->last->text);
    return !dump_wanted(options, pass->name) || dump(compilation, options, number, pass->name);
}

static bool run_from(PassContext *context, const PassOptions *options, int first);

/* Each region goes the rest of the road; then their checks are all known. */
static bool run_regions(PassContext *context, const PassOptions *options, int first)
{
    Compilation *const compilation = context->compilation;
    Ir *const ir = compilation->ir;
    const uint32_t scope = ir->scope;
    bool good = true;
    for (int i = 0; i < compilation->script->region_count && good; i++) {
        context->compilation = &compilation->regions[i];
        ir->scope = compilation->regions[i].graph->scope;
        good = run_from(context, options, first);
        compilation->state = compilation->regions[i].state;
    }
    if (compilation->script->region_count == 0)
        compilation->state = STATE_PLACED;
    context->compilation = compilation;
    ir->scope = scope;
    script_checks(ir, compilation->script);
    return good && (compilation->state < STATE_PLACED || weights_share(compilation, compilation->script->region_count));
}

static bool run_from(PassContext *context, const PassOptions *options, int first)
{
    Compilation *const compilation = context->compilation;
    for (int i = first; i < pass_count; i++) {
        if (compilation->script)
            return run_regions(context, options, i);
        if (compilation->level < pass_rows[i].level || compilation->state < pass_rows[i].needs ||
            skipped(options, pass_rows[i].name))
            continue;
        if (!run_one(compilation, options, context, i) || compilation->ir->diagnostics->error_count > 0)
            return false;
        if (options->stop_after && strcmp(options->stop_after, pass_rows[i].name) == 0)
            break;
    }
    return true;
}

bool passes_run(Compilation *compilation, const PassOptions *options)
{
    PassContext context = {.compilation = compilation, .fuel = options->fuel};
    const bool good = run_from(&context, options, 0);
    if (good)
        breadcrumb(NULL, NULL);
    return good;
}

const PassRow *pass_find(const char *name)
{
    for (int i = 0; i < pass_count; i++)
        if (strcmp(pass_rows[i].name, name) == 0)
            return &pass_rows[i];
    return NULL;
}

bool passes_run_named(Compilation *compilation, const char *const *names, int count, const PassOptions *options)
{
    static const char *const forms[] = {"a tensor graph", "a graph of primitive operators", "stages", "placed stages"};
    Diagnostics *const diagnostics = compilation->ir->diagnostics;
    PassContext context = {.compilation = compilation, .fuel = options->fuel};
    for (int i = 0; i < count; i++) {
        const PassRow *const pass = pass_find(names[i]);
        if (!pass)
            return diag_error(diagnostics, EXIT_USAGE, NULL, "no pass is called '%s'", names[i]);
        /* A graph never turns back into what it was: passes over graphs have no module to work on. */
        const bool late = compilation->state >= STATE_STAGES && pass->needs < STATE_STAGES;
        if (late || compilation->state < pass->needs)
            return diag_error(diagnostics, EXIT_USAGE, NULL, "pass %s works on %s, and this is %s", pass->name,
                              forms[pass->needs], forms[compilation->state]);
        if (!run_one(compilation, options, &context, (int)(pass - pass_rows)) || diagnostics->error_count > 0)
            return false;
    }
    breadcrumb(NULL, NULL);
    return true;
}
