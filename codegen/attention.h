/* The attention template: two products with a softmax between them, over bands of rows whose scores stay in L1 or L2.
 */
#ifndef LATHE_CODEGEN_ATTENTION_H
#define LATHE_CODEGEN_ATTENTION_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { ATTENTION_SPACE = 1 }; /* grows when values that were recorded would mean something else */

/* The kernel scheduled by this template, or NULL when its stages are not a product, stages over rows of it and a
 * product with those. `trial` may be NULL. */
Node *attention_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* What the schedule would take on `threads` cores, roughly; false where attention_schedule gives NULL. */
bool attention_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

#endif
