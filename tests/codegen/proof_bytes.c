/* Random contractions of quantised integers: all pairs of u8 and i8, zero points that are constants, inputs, of one
 * row or column each, or missing. See cases.h. */
#include "tests/codegen/cases.h"

#include "ir/ops/ops.h"

static Dtype byte_type(Random *random)
{
    return case_chance(random, 50) ? DTYPE_U8 : DTYPE_I8;
}

static Node *typed(Random *random, Dtype dtype, bool constant, int rank, Node *const *dims)
{
    const Dtype before = random->dtype;
    random->dtype = dtype;
    Node *const node = constant ? case_weight(random, rank, dims) : case_given(random, rank, dims);
    random->dtype = before;
    return node;
}

/* A zero point of `like`: none, one, or one for each of `many` (NULL: never). */
static Node *zero_point(Random *random, const Node *like, Node *many, bool needed)
{
    if (!needed && case_chance(random, 30))
        return omitted_make(random->ir);
    const bool each = many && case_chance(random, 40);
    const bool constant = case_chance(random, 60) && (!each || many->op == OP_const);
    return typed(random, like->type.dtype, constant, each ? 1 : 0, &many);
}

static Node *scale(Random *random, double value)
{
    return constant_scalar(random->ir, DTYPE_F32, value);
}

static Node *as_float(Random *random, Node *node)
{
    const Attribute to = attr_int(random->ir, "to", 1);
    return case_make(random, OP_Cast, &node, 1, &to, 1);
}

static Node *products(Random *random, int symbolic)
{
    const bool constant = case_chance(random, 70), scaled = case_chance(random, 40);
    const int batch = case_chance(random, 30) ? 1 : 0;
    Node *const m = case_extent(random, 70, symbolic), *const n = case_extent(random, 70, constant ? 0 : symbolic / 4);
    Node *const k = case_extent(random, 150, constant ? 0 : symbolic / 4), *const many =
                                                                               case_extent(random, 3, symbolic);
    Node *const a_dims[] = {batch ? many : m, batch ? m : k, k};
    Node *const a = typed(random, byte_type(random), false, 2 + batch, a_dims);
    const int both = batch && !constant && case_chance(random, 50);
    Node *const b_dims[] = {both ? many : k, both ? k : n, n};
    Node *const b = typed(random, byte_type(random), constant, 2 + both, b_dims);
    case_tell(random, scaled ? "QLinearMatMul" : "MatMulInteger", a);
    case_tell(random, constant ? "weight" : "and", b);
    Node *const a_zero = zero_point(random, a, batch ? NULL : m, scaled);
    Node *const b_zero = zero_point(random, b, both ? NULL : n, scaled);
    if (!scaled)
        return as_float(random, case_make(random, OP_MatMulInteger, (Node *[]){a, b, a_zero, b_zero}, 4, NULL, 0));
    Node *const y_zero = typed(random, byte_type(random), true, 0, NULL);
    Node *const inputs[] = {a, scale(random, 0.02), a_zero, b, scale(random, 0.01), b_zero, scale(random, 0.3), y_zero};
    return as_float(random, case_make(random, OP_QLinearMatMul, inputs, 8, NULL, 0));
}

static Node *convolution(Random *random)
{
    Ir *const ir = random->ir;
    const int spatial = (int)case_between(random, 1, 2),
              group = case_chance(random, 20) ? (int)case_between(random, 2, 4) : 1;
    const bool scaled = case_chance(random, 50);
    int64_t strides[2], dilations[2], pads[4];
    Node *const channels = case_extent(random, 35, 0), *const outs = case_extent(random, 70 / group, 0);
    Node *x[4] = {index_const(ir, case_between(random, 1, 2)), index_mul(ir, channels, index_const(ir, group))};
    Node *w[4] = {index_mul(ir, outs, index_const(ir, group)), channels};
    for (int i = 0; i < spatial; i++) {
        const int64_t taps = case_between(random, 1, 4);
        w[2 + i] = index_const(ir, taps);
        strides[i] = case_between(random, 1, 3);
        dilations[i] = case_chance(random, 70) ? 1 : 2;
        pads[i] = case_between(random, 0, taps - 1);
        pads[i + spatial] = case_between(random, 0, taps - 1);
        x[2 + i] = index_const(ir, (taps - 1) * dilations[i] + 1 + case_between(random, 0, spatial == 1 ? 60 : 14));
    }
    const Attribute attributes[4] = {attr_ints(ir, "strides", strides, spatial),
                                     attr_ints(ir, "dilations", dilations, spatial),
                                     attr_ints(ir, "pads", pads, 2 * spatial), attr_int(ir, "group", group)};
    Node *const in = typed(random, byte_type(random), false, spatial + 2, x);
    Node *const weight = typed(random, byte_type(random), case_chance(random, 85), spatial + 2, w);
    case_tell(random, scaled ? "QLinearConv" : "ConvInteger", in);
    case_tell(random, "weight", weight);
    Node *const in_zero = zero_point(random, in, NULL, scaled), *const weight_zero =
                                                                    zero_point(random, weight, w[0], scaled);
    if (!scaled)
        return as_float(
            random, case_make(random, OP_ConvInteger, (Node *[]){in, weight, in_zero, weight_zero}, 4, attributes, 4));
    Node *const y_zero = typed(random, byte_type(random), true, 0, NULL);
    Node *const bias = case_chance(random, 60) ? typed(random, DTYPE_I32, true, 1, w) : omitted_make(ir);
    Node *const inputs[] = {in,          scale(random, 0.02), in_zero, weight, scale(random, 0.01),
                            weight_zero, scale(random, 0.3),  y_zero,  bias};
    return as_float(random, case_make(random, OP_QLinearConv, inputs, 9, attributes, 4));
}

Node *case_bytes(Random *random, int symbolic)
{
    return case_chance(random, 50) ? products(random, symbolic) : convolution(random);
}
