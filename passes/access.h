/* What kernels read and write: shared by the passes over stage graphs. */
#ifndef LATHE_PASSES_ACCESS_H
#define LATHE_PASSES_ACCESS_H

#include "ir/ir.h"
#include "ir/map.h"

/* The buffer whose memory `buffer` lives in: itself, or what it is an alias of. */
Node *buffer_root(Node *buffer);
/* Buffers that kernel stages read (roots not resolved), each once, in order of first mention. */
Node **kernel_reads(Ir *ir, const Node *kernel, int *count);
/* Buffers that kernel stages write, each once. */
Node **kernel_targets(Ir *ir, const Node *kernel, int *count);
/* The kernel with every buffer replaced as the map says (buffers that are not in it stay). */
Node *kernel_replace_buffers(Ir *ir, Node *kernel, const NodeMap *replacement);
/* The ONNX nodes that `kernels` compute, in order, neighbours that are the same once. */
const Where *const *kernels_wheres(Ir *ir, Node *const *kernels, int count);

#endif
