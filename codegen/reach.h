/* What memory a unit of a scheduled kernel touches, as straight lines over the number of the unit. */
#ifndef LATHE_CODEGEN_REACH_H
#define LATHE_CODEGEN_REACH_H

#include "ir/ir.h"

/* Unit u touches nothing before slope * u + low and nothing from slope * u + high on. In bytes of the buffer's memory.
 */
typedef struct Reach {
    double slope, low, high;
} Reach;

/* Between lines of another slope; all of both. `last`: the number of the last unit. */
Reach reach_sloped(Reach reach, double slope, double last);
Reach reach_united(Reach a, Reach b, double last);

/* One reach per buffer of the kernel, sound for every unit; `units` of them run. A buffer that the kernel touches in
 * ways that cannot be followed (positions that are data, loops that do not count units alone) has slope 0 and infinite
 * bounds; one that it does not touch is empty, low above high. */
Reach *kernel_reach(Ir *ir, const Node *scheduled, int64_t units);

#endif
