/* What operands an operation takes: the one set of rules that the builder of expressions asks before it makes a node,
 * and the verifier asks about nodes that exist. */
#ifndef LATHE_IR_OPERANDS_H
#define LATHE_IR_OPERANDS_H

#include "ir/ir.h"

/* What is wrong with the operands, type and payload of `node` (a node or a draft of one), in `arena`; NULL when nothing
 * is. Operators of the tensor graph are not judged here. `splat`: a scalar operand may stand where a vector is meant,
 * as scalar_make accepts it. */
const char *operands_problem(Arena *arena, const Node *node, bool splat);
/* As text: f32, f32x16, f32[..] for a tensor, "nothing". */
const char *operand_type_text(Arena *arena, const Node *node);

/* What stands between the name of an operation and its operands in text, because the operands do not tell it; in this
 * order. LEADING_NONE: this is no expression. */
enum {
    LEADING_NONE = -1,
    LEADING_TYPE = 1,
    LEADING_INTEGER = 2,
    LEADING_KIND = 4,
    LEADING_LANES = 8,
    LEADING_AXES = 16,
    LEADING_ROW = 32 /* name of a row of mma.def */
};
int op_leading(Op op);

/* Facts of scalar.def. */
typedef enum ScalarRule { RULE_SAME, RULE_BOOLEAN, RULE_SELECT, RULE_CAST } ScalarRule;
ScalarRule scalar_rule(Op op);

#endif
