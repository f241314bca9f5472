/* See windowindex.h. */
#include "ir/windowindex.h"

/* Takes the one axis of `axes` that *rest moves with, and its part, out of it. */
static bool take_axis(Ir *ir, Node *const *axes, int count, Node **axis, int64_t *factor, int64_t *points, Node **rest)
{
    *axis = NULL;
    *factor = 0;
    *points = 1;
    for (int i = 0; i < count; i++) {
        if (!node_depends(ir, *rest, axes[i]))
            continue;
        if (*axis)
            return false;
        *axis = axes[i];
    }
    return !*axis || (index_factor(ir, *rest, *axis, factor, rest) && *factor > 0 &&
                      const_is_int((*axis)->inputs[0], points) && *points > 0);
}

bool window_index_of(Ir *ir, Node *index, Node *const *outs, int out_count, Node *const *taps, int tap_count,
                     WindowIndex *found)
{
    *found = (WindowIndex){.index = index, .rest = index};
    return take_axis(ir, outs, out_count, &found->out, &found->stride, &found->outs, &found->rest) &&
           take_axis(ir, taps, tap_count, &found->tap, &found->dilation, &found->taps, &found->rest);
}
