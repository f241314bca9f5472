/* The printer: IR of every level as text that ir/parse.h reads back to equal IR, and to the same text again.
 *
 * Names are made unique in order of appearance, never from node ids, so equal IR prints equally whatever came before
 * it. Pure subexpressions that are long or used more than once get a line of their own, %t1 = (..), in the innermost
 * block that all uses share. */
#ifndef LATHE_IR_PRINT_H
#define LATHE_IR_PRINT_H

#include "ir/ir.h"

enum {
    PRINT_PLAIN = 0,
    /* A kernel alone, named by position: %b0 %b1 for buffers, d0 d1 for symbols, no name, places, constants or ONNX
     * nodes. Two kernels with this text compile to the same code: it is the key of the compile cache. */
    PRINT_CANONICAL = 1,
};

/* The text ends in a zero byte; it and what making it takes belong to `arena` (a scratch arena is well advised). length
 * may be NULL. */
const char *print_module(Arena *arena, const Module *module, size_t *length);
const char *print_graph(Arena *arena, const Graph *graph, size_t *length);
/* A kernel with the buffers that it names. */
const char *print_kernel(Arena *arena, Node *kernel, int flags, size_t *length);
/* One pure expression, on one line, with everything by its own name: for messages. */
const char *print_expression(Arena *arena, Node *node);
/* f32[1,3,2*N], f32x16. */
const char *print_type(Arena *arena, Type type);

#endif
