/* How an index moves when a window does: stride*out + dilation*tap + rest. What templates read as windows, pass `block`
 * and convolutions of a constant stride all have such indices; what they ask of the rest is theirs. */
#ifndef LATHE_IR_WINDOWINDEX_H
#define LATHE_IR_WINDOWINDEX_H

#include "ir/ir.h"

typedef struct WindowIndex {
    Node *index;              /* the expression */
    Node *out, *tap;          /* the only axes of either kind that the index moves with; NULL: with none */
    int64_t stride, dilation; /* positive; 0 where there is no axis */
    int64_t outs, taps;       /* points of the axes; 1 where there is none */
    Node *rest;               /* moves with neither */
} WindowIndex;

/* False where the index moves with several of `outs` or of `taps`, or by what is no positive number, or along an axis
 * of unknown length. */
bool window_index_of(Ir *ir, Node *index, Node *const *outs, int out_count, Node *const *taps, int tap_count,
                     WindowIndex *found);

/* Positions from the first to the last that `outs` neighbouring outputs reach over. */
static inline int64_t window_reach(const WindowIndex *window, int64_t outs)
{
    return (outs - 1) * window->stride + (window->taps - 1) * window->dilation + 1;
}

#endif
