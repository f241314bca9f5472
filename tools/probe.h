/* Small models of our own, compiled and run on this machine: what doctor tries and calibration times. */
#ifndef LATHE_TOOLS_PROBE_H
#define LATHE_TOOLS_PROBE_H

#include "tools/library.h"

/* The graph of `output` over f32 inputs x0, x1, ... made by input_make. */
Graph *probe_graph(Ir *ir, const char *name, Node *const *inputs, int count, Node *output);
/* An f32 input x<number>. */
Node *probe_input(Ir *ir, int number, int rank, const int64_t *dims);
/* Compiles and loads what `make` builds; the library is to be closed either way. */
bool probe_build(const Options *options, const char *name, Graph *(*make)(Ir *ir, const void *context),
                 const void *context, Library *library);

#endif
