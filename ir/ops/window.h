/* Windows that slide over the spatial axes of an image: the attributes that Conv and the pools share. */
#ifndef LATHE_IR_OPS_WINDOW_H
#define LATHE_IR_OPS_WINDOW_H

#include "ir/ops/ops.h"

typedef struct Window {
    int rank; /* spatial axes */
    int64_t strides[RANK_MAX], dilations[RANK_MAX];
    Node *in[RANK_MAX], *kernel[RANK_MAX], *out[RANK_MAX];
    Node *before[RANK_MAX], *after[RANK_MAX]; /* padding */
    bool unpadded[RANK_MAX];                  /* every window lies inside the input */
} Window;

/* Reads auto_pad, dilations, pads, strides (and ceil_mode, where the operator has it) for the spatial dims `in` and `kernel`, and finds
 * padding and output dims. False after a diagnostic. */
bool window_read(const Infer *infer, int rank, Node *const *in, Node *const *kernel, Window *window);
/* The attribute `name` as one value per spatial axis, each in least..INT32_MAX; `otherwise` where it is absent. */
bool window_values(const Infer *infer, const char *name, int count, int rank, int64_t least, int64_t otherwise, int64_t *values);
/* The input position that tap `tap` of the window at `out` reads along spatial axis d; negative or beyond the end in the padding. */
Node *window_index(Ir *ir, const Window *window, int d, Node *out, Node *tap);
/* As above for all spatial axes; and whether the position lies in the image. */
Node *window_indices(Ir *ir, const Window *window, Node *const *out, Node *const *taps, Node **indices);

#endif
