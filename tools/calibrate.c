/* See calibrate.h. Limits are measured by loops of our own (tools/peak.c), costs of what Lathe generates by compiled
 * models. Of many short measurements the best counts: other programs only make them worse. */
#include "tools/calibrate.h"

#include "ir/ops/ops.h"
#include "targets/machine.h"
#include "tools/file.h"
#include "tools/host.h"
#include "tools/probe.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    MEMORY_BYTES = 512 << 20, /* more than caches hold, of all threads together */
    FAR_BYTES = 16 << 20,     /* more than any second level, less than most last ones */
    EXP_ELEMENTS = 4096,
    IMAGE = 28,
    CHANNELS = 16,
};

typedef struct Calibration {
    const Options *options;
    TargetMachineInfo level; /* with the numbers that were measured so far */
    double cycles_per_ns;
} Calibration;

/* ---- models ---- */

static Graph *exponentials(Ir *ir, const void *context)
{
    static const int64_t dims[] = {EXP_ELEMENTS};
    (void)context;
    Node *const x = probe_input(ir, 0, 1, dims);
    return probe_graph(ir, "exponentials", &x, 1, tensor_make(ir, OP_Exp, &x, 1, 1, NULL, 0));
}

/* A border around an image is a copy with an index and a guard for every element. */
static Graph *copies(Ir *ir, const void *context)
{
    static const int64_t dims[] = {IMAGE, IMAGE, CHANNELS}, border[] = {1, 1, 0, 1, 1, 0};
    (void)context;
    Node *const x = probe_input(ir, 0, 3, dims);
    Node *const inputs[] = {x, constant_ints(ir, border, 6)};
    return probe_graph(ir, "copies", &x, 1, tensor_make(ir, OP_Pad, inputs, 2, 1, NULL, 0));
}

/* ---- timing ---- */

/* Nanoseconds of the fastest of the runs within some hundredths of a second; 0: they fail. */
static double fastest(Library *library, const void *const *inputs, void *const *outputs)
{
    enum { RUNS_LEAST = 20 };
    struct timespec begin, start, end;
    double least = 1e300, spent = 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int run = 0; run < RUNS_LEAST || spent < 5e7; run++) {
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (library->model->api->run(library->context, inputs, outputs, NULL) != 0)
            return 0;
        clock_gettime(CLOCK_MONOTONIC, &end);
        const double took = (double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
        least = took < least ? took : least;
        spent = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    }
    return least;
}

/* Nanoseconds of one run of the model on one thread; 0 after a diagnostic. */
static double model_time(const Calibration *calibration, const char *name, Graph *(*make)(Ir *ir, const void *context))
{
    enum { MOST = (IMAGE + 2) * (IMAGE + 2) * CHANNELS }; /* the largest of inputs and outputs */
    Arena *const arena = calibration->options->arena;
    Options options = *calibration->options;
    const char **const level = NEW_ARRAY(arena, const char *, 1), **const family = NEW_ARRAY(arena, const char *, 1);
    *level = calibration->level.name;
    *family = calibration->level.family->name;
    options.values[OPTION_CPU] = (OptionValues){level, 1};
    options.values[OPTION_TARGET] = (OptionValues){family, 1};
    const void *const inputs[] = {NEW_ARRAY(arena, float, MOST)};
    void *const outputs[] = {NEW_ARRAY(arena, float, MOST)};
    Library library;
    double took = 0;
    if (probe_build(&options, name, make, NULL, &library) && library_start(&library, 1))
        took = fastest(&library, inputs, outputs);
    library_close(&library);
    return took;
}

/* ---- numbers ---- */

/* Three digits: more is noise. */
static void put(Calibration *calibration, const char *name, double number)
{
    char text[32];
    snprintf(text, sizeof text, "%.3g", number);
    for (int i = 0; i < machine_field_count; i++)
        if (strcmp(machine_fields[i].name, name) == 0)
            machine_number_set(&calibration->level, &machine_fields[i], strtod(text, NULL));
}

static void measure_limits(Calibration *calibration)
{
    TargetMachineInfo *const level = &calibration->level;
    const int width = level->vector_bytes, cores = (int)level->cores;
    const double cycles = calibration->cycles_per_ns * 1e9;
    put(calibration, "multiplies_per_cycle", host_peak_flops(1, width) / cycles / (width / 2.0));
    put(calibration, "loads_per_cycle", host_read_bandwidth(1, width, level->l1 / 2) / cycles / width);
    put(calibration, "l2_bytes_per_cycle", host_read_bandwidth(1, width, level->l2 / 2) / cycles);
    put(calibration, "l3_bytes_per_cycle", host_read_bandwidth(1, width, FAR_BYTES) / cycles);
    put(calibration, "memory_bytes_per_cycle", host_read_bandwidth(1, width, MEMORY_BYTES) / cycles);
    put(calibration, "memory_bytes_per_cycle_all", host_read_bandwidth(cores, width, MEMORY_BYTES / cores) / cycles);
}

static bool measure_costs(Calibration *calibration)
{
    const double cycles = calibration->cycles_per_ns;
    const double e = model_time(calibration, "exponentials", exponentials);
    const double copy = model_time(calibration, "copies", copies);
    if (e <= 0 || copy <= 0)
        return false;
    put(calibration, "exp_cycles", e * cycles / EXP_ELEMENTS);
    put(calibration, "copy_cycles", copy * cycles / ((IMAGE + 2) * (IMAGE + 2) * CHANNELS));
    return true;
}

/* ---- the file ---- */

static void write_head(FILE *file, const HostFacts *host)
{
    fprintf(file, "lathe-machine 1\n# %s, %d cores, measured by lathe %s\n", host->cpu, host->cores, LATHE_VERSION);
}

/* What was not measured, or is beyond what a file may say, stays as the row has it. */
static void write_level(FILE *file, const TargetMachineInfo *row, const TargetMachineInfo *measured)
{
    fprintf(file, "\nlevel %s\n", row->name);
    for (int i = 0; i < machine_field_count; i++) {
        const MachineField *const field = &machine_fields[i];
        const double number = machine_number(measured, field);
        if (number != machine_number(row, field) && number >= field->least && number <= field->most)
            machine_number_print(file, measured, field);
    }
}

/* The caches that the system tells of; a level's own where it does not. */
static void take_caches(TargetMachineInfo *level, const HostFacts *host)
{
    int64_t *const sizes[] = {&level->l1, &level->l2, &level->l3};
    level->cores = host->cores;
    for (int i = 0; i < host->cache_count; i++) {
        const HostCache *const cache = &host->caches[i];
        if (cache->level >= 1 && cache->level <= 3 && strcmp(cache->kind, "Instruction") != 0 && cache->bytes > 0)
            *sizes[cache->level - 1] =
                cache->level < 3 || cache->shared_by < 1 ? cache->bytes : cache->bytes / cache->shared_by;
    }
}

bool calibrate(const Options *options)
{
    Diagnostics *const diagnostics = options->diagnostics;
    const HostFacts host = host_facts(options->arena);
    const TargetMachineInfo *const native = target_find(diagnostics, "native");
    const char *const path = option_given(options, OPTION_OUTPUT) ? option_text(options, OPTION_OUTPUT) : "-";
    const double cycles = host_cycles_per_ns();
    FileWriter writer;
    if (!native)
        return false;
    if (cycles <= 0)
        return diag_error(diagnostics, EXIT_UNSUPPORTED, NULL, "this processor cannot be measured: %s is for x86-64",
                          "--calibrate");
    if (!file_writer_open(&writer, path, options->arena, diagnostics))
        return false;
    write_head(writer.file, &host);
    for (const TargetMachineInfo *row = native; row >= native->family->levels; row--) {
        Calibration calibration = {.options = options, .level = *row, .cycles_per_ns = cycles};
        take_caches(&calibration.level, &host);
        measure_limits(&calibration);
        if (!measure_costs(&calibration)) {
            file_writer_abandon(&writer);
            return diagnostics->error_count > 0
                       ? false
                       : diag_error(diagnostics, EXIT_DEVICE, NULL, "a model for %s does not run here", row->name);
        }
        write_level(writer.file, row, &calibration.level);
    }
    return file_writer_commit(&writer);
}
