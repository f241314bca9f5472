/* What a Resize node asks for, axis by axis: shared by its shape rule and its room. */
#ifndef LATHE_IR_OPS_RESIZE_H
#define LATHE_IR_OPS_RESIZE_H

#include "ir/ops/ops.h"

typedef enum ResizeMode { RESIZE_NEAREST, RESIZE_LINEAR, RESIZE_CUBIC } ResizeMode;
typedef enum ResizeTransform { HALF_PIXEL, HALF_PIXEL_SYMMETRIC, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, TF_CROP_AND_RESIZE } ResizeTransform;
typedef enum ResizeRounding { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, ROUND_FLOOR, ROUND_CEIL } ResizeRounding;

/* One axis of the input. The scale is the fraction up/down, so that coordinates are exact: dims and fractions of them are integers. */
typedef struct ResizeAxis {
    bool identity;     /* out[i] is in[i] */
    Node *in, *out;    /* extents */
    Node *up, *down;
    Node *start, *end; /* region of interest, of TF_CROP_AND_RESIZE: f64 */
} ResizeAxis;

typedef struct ResizePlan {
    ResizeMode mode;
    ResizeTransform transform;
    ResizeRounding rounding;
    bool antialias, exclude_outside;
    double cubic, extrapolation;
    int rank;
    ResizeAxis axes[RANK_MAX];
} ResizePlan;

/* False after a diagnostic. */
bool resize_plan(const Infer *infer, ResizePlan *plan);

#endif
