/* What rooms share whose results have a size that only a run knows: counts, sums of them, reading the sum. */
#ifndef LATHE_IR_OPS_SELECT_H
#define LATHE_IR_OPS_SELECT_H

#include "ir/ops/procedure.h"

/* starts[i] = sum of counts[0 .. i-1] for i = 0 .. number; total[0] = starts[number]. All are row-major lists; counts
 * are not negative. */
void starts_lower(Lower *lower, Node *counts, Node *number, Node *starts, Node *total);
/* Element 0 of a tensor that read_sizes_make gave back. */
Node *size_read(const Infer *infer, int input);

/* What Compress and Unique go along: input 0 and the axis they name, or input 0 as a list. NULL after a diagnostic. */
Node *select_from(const Infer *infer, int *axis);

#endif
