/* The templates tiles, stationary and stream: one stage around one contraction of f32, multiplied by tile registers
 * (ir/tiles.h), for levels that have them. tiles splits blocks of rows once, and columns for each block; stationary
 * splits columns once, and rows while they are multiplied; stream splits few rows, and columns while they are
 * multiplied.
 *
 * Each f32 is the sum of three bf16, exactly; of the nine products of two such sums the six largest are added up. What
 * is left out is below 2^-23 of a product, less than rounding a sum once; docs/numerics.md has the bound. The order of
 * the sum is that of the instruction, so bits differ from those of levels without: never with --math exact. */
#ifndef LATHE_CODEGEN_TILES_H
#define LATHE_CODEGEN_TILES_H

#include "codegen/space.h"
#include "ir/ir.h"
#include "targets/target.h"

enum {
    TILES_SPACE = 3,
    STATIONARY_SPACE = 1,
    STREAM_SPACE = 2
}; /* grows when values that were recorded would mean something else */

/* The kernel scheduled by this template, or NULL when it cannot do it. `trial` may be NULL. */
Node *tiles_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
/* What the schedule would take on `threads` cores, roughly, without making it; false where tiles_schedule gives NULL.
 */
bool tiles_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

Node *stationary_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
bool stationary_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

Node *stream_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial);
bool stream_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles);

#endif
