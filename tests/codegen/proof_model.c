/* Models up to their program and machine code: see proof.h. */
#define _GNU_SOURCE
#include "tests/codegen/proof.h"

#include "codegen/link.h"
#include "codegen/worker.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void proof_start(Proof *proof, const char *name, const ProofOptions *options)
{
    Arena *const arena = arena_open(0, NULL, NULL);
    *proof = (Proof){.name = name, .arena = arena, .diagnostics = diagnostics_open(arena)};
    proof->ir = ir_open(arena, proof->diagnostics);
    for (int i = target_count() - 1; i >= 0; i--) { /* best first */
        const TargetMachineInfo *const target = target_at(i);
        if (options->target ? strcmp(options->target, target->name) == 0 : target_runs_here(target))
            proof->levels[proof->level_count++] = target;
    }
    if (proof->level_count == 0)
        proof->levels[proof->level_count++] = target_at(0);
    proof->compilation =
        (Compilation){.ir = proof->ir, .level = options->level, .math = MATH_DEFAULT, .target = proof->levels[0]};
}

bool proof_import(Proof *proof, const char *path, const ProofOptions *options)
{
    proof_start(proof, path, options);
    proof->imported = onnx_import(proof->ir, path, NULL, &proof->model);
    if (!proof->imported)
        return false;
    proof->compilation.graph = proof->model.graph;
    return true;
}

bool proof_program(Proof *proof)
{
    const PassOptions passes = {.fuel = -1, .verify = true, .stream = stderr};
    ScheduleOptions standard = {.level = proof->compilation.level, .math = proof->compilation.math};
    ScheduleFunction *const schedule = proof->schedule ? proof->schedule : kernel_schedule;
    const bool good = passes_run(&proof->compilation, &passes) &&
                      program_build(&proof->compilation, proof->levels, proof->level_count, schedule,
                                    proof->schedule ? proof->context : &standard, &proof->program);
    breadcrumb(NULL, NULL);
    return good;
}

void proof_close(Proof *proof)
{
    for (int i = 0; i < proof->level_count; i++) {
        if (proof->library[i])
            dlclose(proof->library[i]);
        if (proof->elsewhere[i])
            elsewhere_close(proof->elsewhere[i]);
    }
    if (proof->imported)
        onnx_close(&proof->model);
    arena_close(proof->arena);
}

/* ---- machine code ---- */

static const char table_symbol[] = "lathe_proof_table";

static void *load(Proof *proof, const LinkInput *inputs, int count)
{
    char folder[] = "/tmp/lathe-proof-XXXXXX";
    if (!mkdtemp(folder))
        return NULL;
    const char *const exports[] = {table_symbol}, *const output = arena_format(proof->arena, "%s/kernels.so", folder);
    const LinkJob job = {inputs, count, exports, 1, output, false};
    void *const library = link_shared(proof->diagnostics, &job) ? dlopen(output, RTLD_NOW | RTLD_LOCAL) : NULL;
    unlink(output);
    rmdir(folder);
    return library;
}

bool proof_load(Proof *proof, int level, int workers)
{
    const Program *const program = &proof->program;
    KernelJob *const jobs = NEW_ARRAY(proof->arena, KernelJob, (size_t)program->kernel_count + 1);
    LinkInput *const inputs = NEW_ARRAY(proof->arena, LinkInput, (size_t)program->kernel_count + 2);
    const TargetMachineInfo *const target = proof->levels[level];
    int count = 0;
    for (; count < program->kernel_count; count++)
        jobs[count] = (KernelJob){.kernel = program->kernels[count].scheduled[level],
                                  .target = target,
                                  .symbol = program->kernels[count].symbol[level]};
    if (program->instantiate)
        jobs[count++] = (KernelJob){.kernel = program->instantiate, .target = target, .symbol = "lathe_instantiate"};
    ObjectBytes table;
    if (count == 0)
        return true;
    if (!compile_kernels(proof->ir, jobs, count, &(WorkerOptions){.workers = workers}) ||
        !kernel_table(proof->ir, jobs, count, target, table_symbol, &table))
        return false;
    for (int i = 0; i < count; i++)
        inputs[i] = (LinkInput){.data = jobs[i].object.data, .bytes = jobs[i].object.bytes};
    inputs[count] = (LinkInput){.data = table.data, .bytes = table.bytes};
    if (!target_runs_here(target)) {
        proof->elsewhere[level] = elsewhere_open(proof->ir, target, inputs, count + 1, table_symbol);
        return proof->elsewhere[level] != NULL;
    }
    proof->library[level] = load(proof, inputs, count + 1);
    if (!proof->library[level])
        return false;
    proof->functions[level] = dlsym(proof->library[level], table_symbol);
    proof->instantiate[level] = program->instantiate ? proof->functions[level][program->kernel_count] : NULL;
    return proof->functions[level] != NULL;
}

/* ---- symbols ---- */

enum { TRIES = 20000 };

int proof_symbols(const Proof *proof, SymbolValue *values, int most)
{
    static const int64_t candidates[][4] = {{1, 3, 7, 5}, {3, 7, 1, 2},     {7, 3, 5, 1},    {17, 17, 17, 17},
                                            {1, 1, 1, 1}, {3, 3, 3, 3},     {1, 17, 1, 17},  {2, 35, 3, 4},
                                            {1, 2, 1, 2}, {16, 16, 16, 16}, {1, 64, 64, 64}, {1, 128, 1, 1},
                                            {2, 4, 6, 8}, {5, 5, 5, 5},     {1, 512, 1, 1}};
    const Program *const program = &proof->program;
    const int count = program->symbol_count;
    int sets = 0;
    if (count == 0)
        return 1;
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates && sets < most; i++) {
        SymbolValue *const set = values + sets * count;
        for (int j = 0; j < count; j++)
            set[j] = (SymbolValue){program->symbols[j].symbol, candidates[i][j % 4]};
        sets += program_allows(program, set);
    }
    uint64_t seed = 1; /* elements of shapes and the like: what fits is found by trying */
    for (int i = 0; i < TRIES && sets == 0; i++) {
        for (int j = 0; j < count; j++)
            values[j] = (SymbolValue){program->symbols[j].symbol,
                                      random_below(&seed, 7) + (program->symbols[j].element ? -1 : 0)};
        sets += program_allows(program, values);
    }
    return sets;
}
