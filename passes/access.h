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

/* Which kernels of a body write and read a buffer. */
typedef struct Access {
    int writers, readers; /* how many */
    int writer, reader;   /* the number of the last of them; -1: there is none */
    bool is_shared;       /* a kernel knows its memory by another name too */
} Access;

typedef struct Accesses {
    NodeMap buffers; /* buffer -> its Access */
} Accesses;

Accesses accesses_of(Ir *ir, const Block *body);
Access access_of(const Accesses *accesses, const Node *buffer);

/* Kernels of a body that become one. */
typedef struct Merger {
    const Block *body;
    Node **whole; /* by number of the last member */
    bool *taken;  /* members */
} Merger;

Merger merger_open(Ir *ir, const Block *body);
/* `whole` does what the members did, where the last of them stands. */
void merger_join(Merger *merger, const int *members, int count, Node *whole);
/* The body of what has become of it. */
Block *merger_body(Ir *ir, const Merger *merger);

/* The kernel with every buffer replaced as the map says (buffers that are not in it stay). */
Node *kernel_replace_buffers(Ir *ir, Node *kernel, const NodeMap *replacement);
/* The ONNX nodes that `kernels` compute, in order, neighbours that are the same once. */
const Where *const *kernels_wheres(Ir *ir, Node *const *kernels, int count);

#endif
