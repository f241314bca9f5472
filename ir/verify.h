/* The verifier: is this IR what its level promises? It runs between passes and on every text that comes in.
 *
 * Levels (which operations may appear), operands (ir/operands.h), places (ordered nodes in exactly one block, values
 * defined before their use and used inside what binds them), kernels (parameters complete, nothing read-only written,
 * no access provably outside its buffer), modules (names, launches, layouts) and operators (arity, attributes of their
 * rows). It does not recurse on the depth of expressions. Diagnostics are EXIT_MALFORMED, at most 20 of them per call;
 * a caller that trusts its input makes a BUG of them. */
#ifndef LATHE_IR_VERIFY_H
#define LATHE_IR_VERIFY_H

#include "ir/ir.h"

bool verify_graph(Ir *ir, const Graph *graph, Diagnostics *diagnostics);
bool verify_kernel(Ir *ir, Node *kernel, Diagnostics *diagnostics);
bool verify_module(Ir *ir, const Module *module, Diagnostics *diagnostics);

#endif
