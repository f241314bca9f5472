/* The road that several verbs take: command line -> graph -> passes -> program -> files. */
#ifndef LATHE_TOOLS_PIPELINE_H
#define LATHE_TOOLS_PIPELINE_H

#include "codegen/compile.h"
#include "frontend/import.h"
#include "tools/digest.h"
#include "tools/options.h"
#include "tools/progress.h"

typedef struct Pipeline {
    const Options *options;
    Arena *arena; /* of the compilation */
    Diagnostics *diagnostics;
    Ir *ir;
    ImportedModel model;
    Customs customs;    /* --custom */
    const char *sha256; /* of the model file, once somebody asked */
    Digest digest;
    bool imported;
    Compilation compilation;
    BuildOptions build;
    Tuning tuning; /* --tuning */
    TargetChoice target;
    Program program;
    Progress progress;
} Pipeline;

/* Reads the options of the target. Always to be closed. */
bool pipeline_start(Pipeline *pipeline, const Options *options);
/* The model file at `path` becomes the graph; reads the options of the model. */
bool pipeline_import(Pipeline *pipeline, const char *path);
/* A graph of our own (in pipeline->ir). */
void pipeline_take(Pipeline *pipeline, Graph *graph, const char *name);
/* Start and import. */
bool pipeline_open(Pipeline *pipeline, const Options *options, const char *path);
bool pipeline_passes(Pipeline *pipeline);  /* to the state that --stop-after allows, or PLACED */
bool pipeline_program(Pipeline *pipeline); /* schedules */
/* Compiles and links to `output`, with progress on standard error. */
bool pipeline_output(Pipeline *pipeline, OutputKind kind, const char *output, BuildFacts *facts);
/* SHA-256 of the model file, "" for a graph of our own. */
const char *pipeline_sha256(Pipeline *pipeline);
void pipeline_close(Pipeline *pipeline);

/* Is the target a microcontroller? */
bool pipeline_bare(const Pipeline *pipeline);
/* Reads what the command line says about microcontrollers, or refuses it. */
bool pipeline_bare_options(Pipeline *pipeline);

/* Does each name that the option lists belong to a pass? Otherwise a usage error with the nearest name. */
bool pass_names_check(const Options *options, OptionId id);

#endif
