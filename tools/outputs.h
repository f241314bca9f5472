/* Results: written to files, summarised for people. */
#ifndef LATHE_TOOLS_OUTPUTS_H
#define LATHE_TOOLS_OUTPUTS_H

#include "tools/json.h"
#include "tools/options.h"
#include "tools/tensorfile.h"

/* Writes `values` as the -o options say:
 *   a folder (one that exists, or a name that ends in '/', or one without an extension) gets output_<i>.npy, or .pb for
 * what .npy cannot hold, and names.json, {"outputs":[{"index","name","file","type"},...]}; OUT=FILE writes one output;
 * FILE alone the only output, or with .npz all of them. Without -o nothing is written. */
bool outputs_write(const HostValue *values, size_t count, const Options *options);

typedef struct Labels {
    const char **names; /* by class */
    size_t count;
} Labels;

/* One label per line; spaces at the ends go away. */
bool labels_read(Labels *labels, const char *path, Arena *arena, Diagnostics *diagnostics);

/* A line or a few per value: type, smallest, largest, mean, first elements. */
void output_summary(FILE *file, const HostValue *value, const char *name, Arena *arena);
/* The `top` largest elements of the last axis, for each row (at most 16 rows are shown), with their labels.
 * Nothing is normalised: scores print as the model gave them. */
void output_classes(FILE *file, const HostTensor *tensor, const Labels *labels, int top, Arena *arena);
/* The same facts as an object: name, type, shape, min, max, mean, nan, inf, first. */
void output_json(JsonWriter *json, const HostValue *value, const char *name, Arena *arena);

#endif
