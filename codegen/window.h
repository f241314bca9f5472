/* The window template: depthwise convolutions and pooling, everything that reduces a small window around each position,
 * channel by channel. */
#ifndef LATHE_CODEGEN_WINDOW_H
#define LATHE_CODEGEN_WINDOW_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum { WINDOW_SPACE = 2 }; /* grows when values that were recorded would mean something else */

/* The kernel scheduled by this template, or NULL when it is no window reduction that the template can do. `trial` may
 * be NULL. */
Node *window_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* What the schedule would take on `threads` cores, roughly, without making it; false where window_schedule gives NULL.
 */
bool window_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

/* A window stage inside of loops that a template makes: its first `shared` axes are bound there, all others run here.
 * Its operand must be an element in memory, perhaps under a guard, with channels side by side; bits are those of
 * loops_emit_within. False, and nothing emitted, when the stage is something else. */
bool window_emit_within(Ir *ir, Node *kernel, Block *block, Node *stage, const TargetMachineInfo *target, int shared);

#endif
