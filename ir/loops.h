/* The `loops` template: schedules any stages as plain loops, scalar or lane by lane. It is what the interpreter runs,
 * what -O0 compiles, and the fallback of every other template: slow, obvious, right. */
#ifndef LATHE_IR_LOOPS_H
#define LATHE_IR_LOOPS_H

#include "ir/ir.h"

typedef struct LoopsSchedule {
    int lanes; /* most elements of the innermost output axis at once: 1 scalar, 8, 16; up to 1024 for the interpreter */
    bool apart;    /* products and sums of contractions rounded apart, for machines without fma */
    bool products; /* lanes in stages around a contraction alone: the others stay small */
    bool wide;     /* vectors are cheap: join axes, and run several vectors of a reduction at once where that saves work */
    bool any_tail; /* a tail of any length as one vector (interpreter); otherwise tails are halved down to 1 */
} LoopsSchedule;

/* The kernel with a body, units and the schedule's text line; a procedure as it is. */
Node *loops_schedule(Ir *ir, Node *kernel, const LoopsSchedule *schedule);

/* How many leading axes all stages have in common: rows that the stages walk together. */
int stages_shared_axes(const Block *stages);

/* All loops of one stage, appended to `block`; for stages that other templates need along the way (packing). */
void loops_emit(Ir *ir, const Node *kernel, Block *block, const Node *stage, const LoopsSchedule *schedule);

/* The same inside of loops over the first `shared` axes of the stage. */
void loops_emit_within(Ir *ir, const Node *kernel, Block *block, const Node *stage, const LoopsSchedule *schedule,
                       int shared);

/* Emission of stage expressions into a block of a scheduled kernel; other templates use it for their expressions too.
 */
typedef struct StageEmitter {
    Ir *ir;
    Block *block;       /* where ordered nodes go */
    Node *lane_axis;    /* the axis that lanes run along, or NULL */
    Node *lane_base;    /* the value of lane_axis at lane 0; NULL: the axis itself, a loop's variable */
    int lanes;          /* of values that depend on lane_axis */
    Node *mask;         /* lanes (or, scalar, whether) memory may be touched; NULL: all */
    bool apart;         /* see LoopsSchedule */
    const Node *kernel; /* tells which buffers are written */
    struct StageMemo *memo;
} StageEmitter;
StageEmitter stage_emitter(Ir *ir, const Node *kernel, Block *block);
/* The same lanes, mask and preset values for a block inside of the one that `around` emits into. */
StageEmitter stage_emitter_within(const StageEmitter *around, Block *block);
/* The value of a stage expression in terms of kernel operations: a vector of `lanes` when it depends on the lane axis,
 * else a scalar. */
Node *stage_emit(StageEmitter *emitter, Node *expression);
/* From now on `expression` has this value: for what a template computes itself, such as a contraction in registers. */
void stage_preset(StageEmitter *emitter, Node *expression, Node *value);
/* buffer[indices] = value along the lane axis. */
void stage_emit_store(StageEmitter *emitter, Node *buffer, Node *const *indices, Node *value);
/* A for loop over `variable`; returns its body. */
Block *body_for(Ir *ir, Block *block, Node *variable, Node *lower, Node *upper, int64_t step);
/* The same over the units that the kernel is called for, begin..end. */
Block *body_units(Ir *ir, Block *block, Node *unit);
Node *body_var(Ir *ir, Block *block, Node *initial);
Node *body_get(Ir *ir, Block *block, Node *var);
void body_set(Ir *ir, Block *block, Node *var, Node *value);
/* The neutral element that a fold starts with. */
Node *fold_neutral(Ir *ir, FoldKind kind, Dtype dtype);
/* One step or merge of a fold that is not an arg kind. */
Node *fold_step(Ir *ir, FoldKind kind, Node *a, Node *b);

#endif
