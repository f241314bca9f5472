/* Types of values that only the steps of a script handle. */
#ifndef LATHE_IR_OPS_HOST_H
#define LATHE_IR_OPS_HOST_H

#include "ir/ops/ops.h"

/* What both may be: dims that differ become fresh symbols (of tensors, named after `hint`) or unknown, ranks that differ RANK_UNKNOWN, a
 * value and an optional of it an optional. False when form or element type do not go together. */
bool type_join(Ir *ir, Type a, Type b, const char *hint, Type *joined);
/* The type with another form; dims of a tensor that the form leaves open become fresh symbols. */
Type type_reform(Ir *ir, Type type, ValueForm form, const char *hint);
/* The type as it is outside of a body whose symbols have the id `first` or a later one: dims that depend on them are opened as above. */
Type type_outside(Ir *ir, Type type, uint32_t first, const char *hint);
bool dim_is_outside(Ir *ir, Node *dim, uint32_t first);
/* The form that is inside an optional, or the form itself. */
ValueForm form_inside(ValueForm form);
bool form_is_optional(ValueForm form);

#endif
