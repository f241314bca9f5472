/* A model run by the interpreter: run --backend interpreter, and what validate compares with. */
#ifndef LATHE_TOOLS_INTERPRETED_H
#define LATHE_TOOLS_INTERPRETED_H

#include "tools/pipeline.h"
#include "tools/tensorfile.h"

typedef struct Interpreted {
    HostValue *inputs, *outputs; /* with names */
    int input_count, output_count;
} Interpreted;

/* The pipeline has its graph. `given`: one value per input of the model; NULL: bound from the command line. */
bool interpreted_run(Pipeline *pipeline, const HostValue *given, Interpreted *result);

/* The same for a model whose course depends on data: the walker of compiled models goes through its script, regions are
 * interpreted. */
bool interpreted_script_run(Pipeline *pipeline, const HostValue *given, Interpreted *result);
/* Schedules the kernels of a module: plain loops over rows; for a device its own schedules, whose threads and blocks
 * are watched. */
bool interpreted_schedule(Pipeline *pipeline, Module *module);

#endif
