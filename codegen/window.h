/* The window template: depthwise convolutions and pooling, everything that reduces a small window around each position,
 * channel by channel. */
#ifndef LATHE_CODEGEN_WINDOW_H
#define LATHE_CODEGEN_WINDOW_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { WINDOW_SPACE = 1 }; /* grows when values that were recorded would mean something else */

/* The kernel scheduled by this template, or NULL when it is no window reduction that the template can do. `trial` may
 * be NULL. */
Node *window_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* What the schedule would take on `threads` cores, roughly, without making it; false where window_schedule gives NULL.
 */
bool window_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

#endif
