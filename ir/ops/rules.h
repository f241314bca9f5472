/* Declarations of every shape rule and room that a row of ops.def names: made from the rows, so that an operator stands in its row and in its
 * room, and nowhere else. */
#ifndef LATHE_IR_OPS_RULES_H
#define LATHE_IR_OPS_RULES_H

#include "ir/ops/ops.h"
#include "ir/ops/refused.h"

#define SCALAR(text)
#define EXPAND(text)
#define EXPAND_BY(function) bool function(Ir *ir, const Node *node, Node **outputs);
#define AT_ONCE(function)   bool function(Ir *ir, const Node *node, Node **outputs);
#define LOWER(function)     bool function(Lower *lower);
#define HOST(name)
#define OP(name, since, in, out, types, attributes, shape, meaning) bool shape(Infer *infer); meaning
#include "ir/ops/ops.def"
#undef OP
#undef SCALAR
#undef EXPAND
#undef EXPAND_BY
#undef AT_ONCE
#undef LOWER
#undef HOST

#endif
