/* The convolution that Conv and its quantised relatives share. */
#ifndef LATHE_IR_OPS_CONV_H
#define LATHE_IR_OPS_CONV_H

#include "ir/ops/lower.h"

/* Checks group, kernel_shape and the window attributes; the type of the result. False after a diagnostic. */
bool conv_type(const Infer *infer, Type x, Type w, Dtype dtype, Type *result);
/* An optional input with one value for each output channel. */
bool conv_bias_check(const Infer *infer, int input, Type w);

typedef struct ConvOperands {
    Node *x, *w, *y;
    Node *bias;            /* or NULL */
    Node *x_zero, *w_zero; /* zero points that are subtracted, or NULL: with one element, w's also with one for each
                              output channel */
} ConvOperands;
/* y = conv(x, w) + bias, in the compute type of y. Padding counts as zero after the zero point is gone. */
bool conv_define(Lower *lower, const ConvOperands *operands);

#endif
