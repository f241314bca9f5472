/* The window template: depthwise convolutions and pooling, everything that reduces a small window around each position,
 * channel by channel. */
#ifndef LATHE_CODEGEN_WINDOW_H
#define LATHE_CODEGEN_WINDOW_H

#include "ir/ir.h"
#include "targets/target.h"

/* The kernel scheduled by this template, or NULL when it is no window reduction that the template can do. */
Node *window_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target);

#endif
