/* The text of SCALAR and EXPAND rows: parsed by the reader of the text IR and built over given nodes. */
#ifndef LATHE_IR_OPS_SCALAR_TEXT_H
#define LATHE_IR_OPS_SCALAR_TEXT_H

#include "ir/ops/ops.h"

/* The row's SCALAR text with x, y, z, w standing for values[0..3] and @name for attributes (as constants of x's type). */
Node *scalar_text_build(Ir *ir, const Node *node, Node *const *values, int count);
/* `text` of x with the numbers @alpha and @beta; `name` stands in diagnostics. */
Node *scalar_text_apply(Ir *ir, const char *name, const char *text, Node *x, double alpha, double beta);
/* The row's EXPAND text as tensor operators over node's inputs. */
Node *expand_text_build(Ir *ir, const Node *node);

#endif
