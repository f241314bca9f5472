/* Operators that ONNX itself has dropped and old models still carry. */
#include "ir/ops/lower.h"
#include "ir/ops/rules.h"

enum { CHANNELS_MAX = 64 };

bool image_scaler_shape(Infer *infer)
{
    const Type x = infer_type(infer, 0);
    const Attribute *const bias = attribute_find(infer->node, "bias");
    if (x.rank != 4)
        return infer_error(infer, "ImageScaler takes 4 dimensions, not %d: it is %s", x.rank, type_text(infer->ir, x));
    if (bias && bias->count > CHANNELS_MAX)
        return infer_error(infer, "the bias has %d values, more than %d", bias->count, CHANNELS_MAX);
    infer->types[0] = x;
    return !bias || infer_same_dim(infer, x.dims[1], index_const(infer->ir, bias->count), "channels and values of the bias");
}

/* y[n,c,h,w] = x[n,c,h,w] * scale + bias[c] */
bool image_scaler_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const x = lower_in(lower, 0), *const y = lower_out(lower, 0);
    const Attribute *const bias = attribute_find(lower->node, "bias");
    const Dtype compute = dtype_compute(x->type.dtype);
    Node *axes[RANK_MAX];
    lower_axes(lower, y->type, axes);
    Node *shift = const_float(ir, compute, 0);
    for (int c = bias ? bias->count - 1 : -1; c >= 0; c--)
        shift = scalar3(ir, OP_select, scalar2(ir, OP_eq, axes[1], index_const(ir, c)),
                        const_float(ir, compute, bias->reals[c]), shift);
    Node *const scale = const_float(ir, compute, attribute_float(lower->node, "scale", 1));
    Node *const scaled = scalar2(ir, OP_mul, lower_at(lower, x, axes), scale);
    lower_define(lower, y, axes, y->type.rank, scalar2(ir, OP_add, scaled, shift));
    return true;
}
