/* May values be computed though nobody may want them? Then both branches of an If can run, and the condition chooses
 * between results. */
#ifndef LATHE_IR_OPS_SPECULATE_H
#define LATHE_IR_OPS_SPECULATE_H

#include "ir/ops/ops.h"

/* Is computing `values` little work that cannot fail in a run? Looks at nodes whose id is `since` or later: what was
 * made before is computed anyway. When not, *why says what is in the way, as the rest of "because ...". */
bool speculation_harmless(Ir *ir, Node *const *values, int count, uint32_t since, const char **why);

#endif
