/* The pass runner: see pass.h. */
#include "passes/pass.h"

#include "ir/print.h"
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

static bool dump(const Compilation *compilation, const PassOptions *options, int number, const char *name)
{
    Arena *const scratch = arena_open(0, NULL, NULL);
    size_t length;
    const char *const text = compilation->state >= STATE_STAGES ? print_module(scratch, compilation->module, &length)
                                                                : print_graph(scratch, compilation->graph, &length);
    FILE *file = options->stream;
    bool written = true;
    if (options->dump_folder)
        file = fopen(arena_format(scratch, "%s/%02d-%s.ir", options->dump_folder, number, name), "w");
    if (file)
        written = fwrite(text, 1, length, file) == length;
    if (options->dump_folder && file)
        written = fclose(file) == 0 && written;
    arena_close(scratch);
    return (file && written) || diag_error(compilation->ir->diagnostics, EXIT_IO, NULL, "the IR after %s cannot be written to %s",
                                           name, options->dump_folder ? options->dump_folder : "the standard error");
}

static double milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static bool run_one(Compilation *compilation, const PassOptions *options, PassContext *context, int number)
{
    const PassRow *const pass = &pass_rows[number];
    int64_t decisions = 0;
    context->counter = &decisions;
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
        fprintf(options->stream, "%-9s %8.1f ms %8lld decisions\n", pass->name, milliseconds() - start, (long long)decisions);
    if (options->verify && !verify(compilation))
        BUG("the IR is wrong after pass %s: %s", pass->name, compilation->ir->diagnostics->last->text);
    const bool wanted = options->dump_after && (strcmp(options->dump_after, "all") == 0 || strcmp(options->dump_after, pass->name) == 0);
    return !wanted || dump(compilation, options, number, pass->name);
}

bool passes_run(Compilation *compilation, const PassOptions *options)
{
    PassContext context = {.compilation = compilation, .fuel = options->fuel};
    for (int i = 0; i < pass_count; i++) {
        if (compilation->level < pass_rows[i].level || compilation->state < pass_rows[i].needs || skipped(options, pass_rows[i].name))
            continue;
        if (!run_one(compilation, options, &context, i) || compilation->ir->diagnostics->error_count > 0)
            return false;
        if (options->stop_after && strcmp(options->stop_after, pass_rows[i].name) == 0)
            break;
    }
    breadcrumb(NULL, NULL);
    return true;
}
