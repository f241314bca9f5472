/* The road that several verbs take: command line -> imported graph -> passes -> program. */
#ifndef LATHE_TOOLS_PIPELINE_H
#define LATHE_TOOLS_PIPELINE_H

#include "codegen/compile.h"
#include "frontend/import.h"
#include "tools/options.h"
#include "tools/progress.h"

typedef struct Pipeline {
    const Options *options;
    Arena *arena; /* of the compilation */
    Diagnostics *diagnostics;
    Ir *ir;
    ImportedModel model;
    bool imported;
    Compilation compilation;
    BuildOptions build;
    const TargetMachineInfo *levels[LEVELS_MAX];
    Program program;
    Progress progress;
} Pipeline;

/* Reads the options of target and model and imports `path`. Always to be closed. */
bool pipeline_open(Pipeline *pipeline, const Options *options, const char *path);
bool pipeline_passes(Pipeline *pipeline);  /* to the state that --stop-after allows, or PLACED */
bool pipeline_program(Pipeline *pipeline); /* schedules */
/* Compiles and links to `output`, with progress on standard error. */
bool pipeline_output(Pipeline *pipeline, OutputKind kind, const char *output, BuildFacts *facts);
void pipeline_close(Pipeline *pipeline);

#endif
