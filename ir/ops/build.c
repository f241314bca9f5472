/* Building operators out of others: see build.h. */
#include "ir/ops/build.h"

Node *build(Ir *ir, Op op, Node *const *inputs, int count, const Attribute *attributes, int attribute_count)
{
    for (int i = 0; i < count; i++)
        if (!inputs[i])
            return NULL;
    return tensor_make(ir, op, inputs, count, 1, attributes, attribute_count);
}

Node *build1(Ir *ir, Op op, Node *x)
{
    return build(ir, op, &x, 1, NULL, 0);
}

Node *build2(Ir *ir, Op op, Node *x, Node *y)
{
    return build(ir, op, (Node *[]){x, y}, 2, NULL, 0);
}

Node *build3(Ir *ir, Op op, Node *x, Node *y, Node *z)
{
    return build(ir, op, (Node *[]){x, y, z}, 3, NULL, 0);
}

Node *build1_with(Ir *ir, Op op, Node *x, Attribute attribute)
{
    return build(ir, op, &x, 1, &attribute, 1);
}

Node *build2_with(Ir *ir, Op op, Node *x, Node *y, Attribute attribute)
{
    return build(ir, op, (Node *[]){x, y}, 2, &attribute, 1);
}

Node *build_cast(Ir *ir, Node *x, Dtype dtype)
{
    return !x || x->type.dtype == dtype ? x : build1_with(ir, OP_Cast, x, attr_int(ir, "to", dtype_info[dtype].onnx));
}

Node *build_number(Ir *ir, Op op, Node *x, double value)
{
    return x ? build2(ir, op, x, constant_scalar(ir, x->type.dtype, value)) : NULL;
}

Node *build_reduce(Ir *ir, Op op, Node *x, const int64_t *axes, int count)
{
    return build2_with(ir, op, x, constant_ints(ir, axes, count), attr_int(ir, "keepdims", 1));
}

Node *build_unsqueeze(Ir *ir, Node *x, const int64_t *axes, int count)
{
    return count ? build2(ir, OP_Unsqueeze, x, constant_ints(ir, axes, count)) : x;
}

Node *build_reshape(Ir *ir, Node *x, const int64_t *dims, int count)
{
    return build2(ir, OP_Reshape, x, constant_ints(ir, dims, count));
}

Node *build_reshape_like(Ir *ir, Node *x, Node *like)
{
    return build2_with(ir, OP_Reshape, x, build1(ir, OP_Shape, like), attr_int(ir, "allowzero", 1));
}
