/* Random pieces of networks: several operators that templates and passes take together. See cases.h. */
#include "tests/codegen/cases.h"

#include "ir/ops/ops.h"

#include <math.h>

/* Windows between convolutions, where channels lie last: depthwise ones and pooling. */
Node *case_window(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int64_t channels = case_between(random, 1, 70), rows = case_between(random, 1, 7);
    const int64_t columns = case_chance(random, 70) ? rows : case_between(random, 1, 5);
    const bool depthwise = case_chance(random, 60);
    const int64_t apart = depthwise ? case_between(random, 1, 2) : 1;
    const int64_t high = random_below(&random->state, rows), wide_pad = random_below(&random->state, columns);
    Node *const wide = index_const(ir, channels), *const one = index_const(ir, 1),
                *const few = case_extent(random, 8, 0);
    const int64_t least = (rows > columns ? rows : columns) * apart;
    Node *const dims[4] = {case_extent(random, 3, symbolic), few, index_const(ir, case_between(random, (int)least, 20)),
                           index_const(ir, case_between(random, (int)least, 20))};
    Node *const x = case_given(random, 4, dims);
    const Attribute attributes[5] = {
        attr_ints(ir, "kernel_shape", (int64_t[]){rows, columns}, 2),
        attr_ints(ir, "pads", (int64_t[]){high, wide_pad, case_chance(random, 50) ? high : 0, wide_pad}, 4),
        attr_ints(ir, "strides", (int64_t[]){case_between(random, 1, 2), case_between(random, 1, 3)}, 2),
        attr_ints(ir, "dilations", (int64_t[]){apart, apart}, 2), attr_int(ir, "group", channels)};
    Node *node =
        case_make(random, OP_Conv, (Node *[]){x, case_weight(random, 4, (Node *[]){wide, few, one, one})}, 2, NULL, 0);
    case_tell(random, "window over", node);
    Node *const height = index_const(ir, rows), *const width = index_const(ir, columns);
    if (depthwise)
        node =
            case_make(random, OP_Conv, (Node *[]){node, case_weight(random, 4, (Node *[]){wide, one, height, width})},
                      2, attributes, 5);
    else
        node = case_make(random, case_chance(random, 50) ? OP_MaxPool : OP_AveragePool, &node, 1, attributes, 3);
    if (case_chance(random, 50))
        node = case_make(random, OP_Relu, &node, 1, NULL, 0);
    return case_make(random, OP_Conv,
                     (Node *[]){node, case_weight(random, 4, (Node *[]){index_const(ir, 9), wide, one, one})}, 2, NULL,
                     0);
}

/* Convolutions of 3x3 with stride 1 between others, where channels lie last: what a transform may take. */
Node *case_transform(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    Node *const channels = index_const(ir, case_chance(random, 50) ? 16 : case_between(random, 16, 40));
    Node *const outs = index_const(ir, case_chance(random, 30) ? 32 : case_between(random, 16, 70));
    Node *const one = index_const(ir, 1), *const three = index_const(ir, 3), *const few = case_extent(random, 4, 0);
    Node *const batch = case_chance(random, 60) ? one : case_extent(random, 2, symbolic);
    Node *const x = case_given(random, 4,
                               (Node *[]){batch, few, index_const(ir, case_between(random, 13, 20)),
                                          index_const(ir, case_between(random, 13, 20))});
    int64_t pads[4];
    for (int i = 0; i < 4; i++)
        pads[i] = case_chance(random, 60) ? 1 : case_between(random, 0, 2);
    const Attribute attributes[1] = {attr_ints(ir, "pads", pads, 4)};
    Node *node = case_make(random, OP_Conv, (Node *[]){x, case_weight(random, 4, (Node *[]){channels, few, one, one})},
                           2, NULL, 0);
    case_tell(random, "transform of", node);
    Node *const weight = case_weight(random, 4, (Node *[]){outs, channels, three, three});
    node = case_make(random, OP_Conv, (Node *[]){node, weight, case_weight(random, 1, &outs)}, 3, attributes, 1);
    case_tell(random, "to", node);
    return case_make(random, OP_Conv,
                     (Node *[]){case_after(random, node), case_weight(random, 4, (Node *[]){few, outs, one, one})}, 2,
                     NULL, 0);
}

/* ---- pieces ---- */

static Node *convolution(Random *random, Node *x, Node *outs, int64_t taps, int64_t stride, int64_t dilation)
{
    Ir *const ir = random->ir;
    Node *const size = index_const(ir, taps);
    const int64_t pad = (taps - 1) * dilation / 2;
    const Attribute attributes[3] = {attr_ints(ir, "pads", (int64_t[]){pad, pad, pad, pad}, 4),
                                     attr_ints(ir, "strides", (int64_t[]){stride, stride}, 2),
                                     attr_ints(ir, "dilations", (int64_t[]){dilation, dilation}, 2)};
    Node *const weight = case_weight(random, 4, (Node *[]){outs, x->type.dims[1], size, size});
    Node *const bias = case_chance(random, 60) ? case_weight(random, 1, &outs) : omitted_make(ir);
    return case_make(random, OP_Conv, (Node *[]){x, weight, bias}, 3, attributes, 3);
}

static Node *pointwise(Random *random, Node *x, int64_t outs)
{
    return convolution(random, x, index_const(random->ir, outs), 1, 1, 1);
}

static Node *activation(Random *random, Node *x)
{
    static const Op ops[] = {OP_Relu, OP_HardSwish, OP_Sigmoid};
    if (case_chance(random, 15))
        return x;
    if (case_chance(random, 25)) /* SiLU */
        return case_make(random, OP_Mul, (Node *[]){x, case_make(random, OP_Sigmoid, &x, 1, NULL, 0)}, 2, NULL, 0);
    return case_make(random, ops[random_below(&random->state, 3)], &x, 1, NULL, 0);
}

static Node *image(Random *random, int64_t channels, int64_t least, int64_t most, int symbolic)
{
    Ir *const ir = random->ir;
    Node *const batch = case_chance(random, 70) ? index_const(ir, 1) : case_extent(random, 3, symbolic);
    return case_given(random, 4,
                      (Node *[]){batch, index_const(ir, channels), index_const(ir, case_between(random, least, most)),
                                 index_const(ir, case_between(random, least, most))});
}

/* ---- blocks ---- */

/* conv1x1 or a first layer - depthwise - conv1x1, perhaps with gates from the mean of a channel and with what came in
 * added. */
Node *case_block(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int64_t channels = case_between(random, 4, 24), wide = case_between(random, 16, 100);
    const int64_t taps = case_chance(random, 70) ? 3 : 5, stride = case_chance(random, 65) ? 1 : 2;
    Node *const batch = case_chance(random, 70) ? index_const(ir, 1) : case_extent(random, 3, symbolic);
    Node *const given[4] = {batch, index_const(ir, case_between(random, 1, 8)),
                            index_const(ir, case_between(random, 6, 40)), index_const(ir, case_between(random, 4, 14))};
    Node *const input = case_given(random, 4, given), *const x = pointwise(random, input, channels);
    case_tell(random, "block of", x);
    const bool expanded = case_chance(random, 65), first = case_chance(random, 60); /* else by windows of channels */
    Node *node = activation(random, expanded ? pointwise(random, x, wide)
                                             : convolution(random, first ? input : x, index_const(ir, wide), 3,
                                                           first ? case_between(random, 1, 2) : 1, 1));
    Node *const size = index_const(ir, taps), *const one = index_const(ir, 1);
    const int64_t pad = taps / 2, far = taps == 3 && case_chance(random, 15) ? 2 : 1;
    const int64_t least = stride == 1 ? far * pad : case_between(random, 0, pad);
    const Attribute attributes[4] = {attr_ints(ir, "pads", (int64_t[]){far * pad, least, least, far * pad}, 4),
                                     attr_ints(ir, "strides", (int64_t[]){stride, stride}, 2),
                                     attr_ints(ir, "dilations", (int64_t[]){far, far}, 2), attr_int(ir, "group", wide)};
    Node *const weight = case_weight(random, 4, (Node *[]){index_const(ir, wide), one, size, size});
    node = activation(random, case_make(random, OP_Conv, (Node *[]){node, weight}, 2, attributes, 4));
    if (case_chance(random, 35)) {
        Node *gate = case_make(random, OP_GlobalAveragePool, &node, 1, NULL, 0);
        gate = activation(random, pointwise(random, gate, case_between(random, 4, 20)));
        gate = pointwise(random, gate, wide);
        gate = case_make(random, OP_Sigmoid, &gate, 1, NULL, 0);
        node = case_make(random, OP_Mul, (Node *[]){node, gate}, 2, NULL, 0);
    }
    const bool added = stride == 1 && (expanded || !first) && case_chance(random, 60);
    node = pointwise(random, node, added ? channels : case_between(random, 4, 40));
    case_tell(random, "to", node);
    if (added)
        node = case_make(random, OP_Add, (Node *[]){x, node}, 2, NULL, 0);
    return case_chance(random, 50) ? pointwise(random, node, case_between(random, 4, 24)) : node;
}

/* Weights that products with the zeros of a border are no zeros for, or zeros of the other sign: an element that is no
 * number, or one output's that are all negative and so small that sums become -0. */
static void wild_weight(Random *random, const Node *weight)
{
    float *const data = (float *)(uintptr_t)weight->payload.constant->data;
    const int64_t count = (int64_t)(weight->payload.constant->bytes / sizeof *data);
    int64_t outs = 1;
    if (!const_is_int(weight->type.dims[0], &outs) || case_chance(random, 50)) {
        data[random_below(&random->state, count)] = case_chance(random, 50) ? INFINITY : -NAN;
        return;
    }
    const int64_t from = random_below(&random->state, outs) * (count / outs);
    for (int64_t i = from; i < from + count / outs; i++)
        data[i] = -1e-30f;
}

/* First layers of few channels, and taps that lie wholly outside of the image. */
Node *case_border(Random *random, int symbolic)
{
    const bool first = case_chance(random, 50);
    const int64_t taps = first ? 2 * case_between(random, 1, 3) + 1 : 3;
    const int64_t dilation = first ? 1 : case_between(random, 1, 9);
    Node *const x = first ? image(random, case_between(random, 1, 4), 8, 26, symbolic)
                          : image(random, case_between(random, 1, 40), 3, 14, symbolic);
    Node *const node = convolution(random, x, index_const(random->ir, case_between(random, 1, 70)), taps,
                                   first ? case_between(random, 1, 2) : 1, dilation);
    case_tell(random, "border of", x);
    case_tell(random, "to", node);
    if (case_chance(random, 30))
        wild_weight(random, node->inputs[1]);
    random->text = arena_format(random->ir->arena, "%s taps %d dilation %d", random->text, (int)taps, (int)dilation);
    return case_after(random, activation(random, node));
}

/* ---- rows ---- */

/* softmax(q k^T / c + mask) v, of heads that lie as in networks (sequence before heads) or as they are multiplied. */
Node *case_attention(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    Node *const batch = case_chance(random, 60) ? index_const(ir, 1) : index_const(ir, 2);
    Node *const heads = index_const(ir, case_between(random, 1, 4)), *const rows = case_extent(random, 70, symbolic);
    Node *const keys = case_chance(random, 70) ? rows : case_extent(random, 70, 0);
    Node *const depth = index_const(ir, case_chance(random, 50) ? 32 : case_between(random, 1, 40));
    const bool inside = case_chance(random, 50);
    const Attribute swap = attr_ints(ir, "perm", (int64_t[]){0, 2, 1, 3}, 4),
                    turn = attr_ints(ir, "perm", inside ? (int64_t[]){0, 2, 3, 1} : (int64_t[]){0, 1, 3, 2}, 4);
    Node *operands[3];
    for (int i = 0; i < 3; i++) {
        Node *const length = i == 0 ? rows : keys;
        operands[i] = case_given(
            random, 4, inside ? (Node *[]){batch, length, heads, depth} : (Node *[]){batch, heads, length, depth});
    }
    case_tell(random, "attention of", operands[0]);
    case_tell(random, "with", operands[1]);
    if (inside)
        operands[0] = case_make(random, OP_Transpose, &operands[0], 1, &swap, 1);
    if (inside)
        operands[2] = case_make(random, OP_Transpose, &operands[2], 1, &swap, 1);
    operands[1] = case_make(random, OP_Transpose, &operands[1], 1, &turn, 1);
    Node *node = case_make(random, OP_MatMul, operands, 2, NULL, 0);
    if (case_chance(random, 80))
        node = case_make(random, OP_Mul, (Node *[]){node, constant_scalar(ir, random->dtype, 0.25)}, 2, NULL, 0);
    if (case_chance(random, 60)) {
        Node *const one = index_const(ir, 1);
        Node *const mask = case_given(random, 4,
                                      case_chance(random, 50) ? (Node *[]){batch, one, one, keys}
                                                              : (Node *[]){one, heads, rows, keys});
        node = case_make(random, OP_Add, (Node *[]){node, mask}, 2, NULL, 0);
    }
    node = case_make(random, OP_Softmax, &node, 1, NULL, 0);
    node = case_make(random, OP_MatMul, (Node *[]){node, operands[2]}, 2, NULL, 0);
    return case_chance(random, 50) ? case_make(random, OP_Transpose, &node, 1, &swap, 1) : node;
}

/* Norms, softmax and sums over the last axis, with arithmetic around them. */
Node *case_rows(Random *random, int symbolic)
{
    static const Op ops[] = {OP_Softmax, OP_LogSoftmax, OP_LayerNormalization, OP_ReduceMean, OP_ReduceMax};
    Ir *const ir = random->ir;
    Node *const rows = case_extent(random, 20, symbolic);
    Node *const columns =
        case_chance(random, 30) ? case_extent(random, 9, symbolic) : index_const(ir, case_between(random, 1, 300));
    Node *const x = case_given(random, 3, (Node *[]){index_const(ir, case_between(random, 1, 3)), rows, columns});
    const Op op = ops[random_below(&random->state, columns->op == OP_const ? 5 : 2)];
    random->text = arena_format(ir->arena, "%s %s", random->text, op_name(op));
    case_tell(random, "of", x);
    Node *node = case_chance(random, 50) ? case_make(random, OP_Tanh, &x, 1, NULL, 0) : x;
    if (op == OP_LayerNormalization)
        node =
            case_make(random, op, (Node *[]){node, case_weight(random, 1, &columns), case_weight(random, 1, &columns)},
                      3, NULL, 0);
    else if (op == OP_ReduceMean || op == OP_ReduceMax)
        node = case_make(random, op, (Node *[]){node, constant_ints(ir, (int64_t[]){-1}, 1)}, 2, NULL, 0);
    else
        node = case_make(random, op, &node, 1, NULL, 0);
    return case_chance(random, 50) ? case_make(random, OP_Mul, (Node *[]){node, x}, 2, NULL, 0) : node;
}

/* ---- views ---- */

/* Channels put together, shuffled, cut apart and made larger between convolutions. */
Node *case_views(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int64_t half = case_between(random, 2, 24);
    Node *const x = image(random, case_between(random, 2, 12), 4, 14, symbolic);
    const Attribute axis = attr_int(ir, "axis", 1);
    case_tell(random, "views of", x);
    Node *parts[] = {pointwise(random, x, half), activation(random, pointwise(random, x, half))};
    Node *node = case_make(random, OP_Concat, parts, 2, &axis, 1);
    if (x->type.dims[0]->op == OP_const && case_chance(random, 50)) {
        int64_t height, width, batch;
        const_is_int(x->type.dims[0], &batch);
        const_is_int(x->type.dims[2], &height);
        const_is_int(x->type.dims[3], &width);
        const Attribute swap = attr_ints(ir, "perm", (int64_t[]){0, 2, 1, 3, 4}, 5);
        node =
            case_make(random, OP_Reshape,
                      (Node *[]){node, constant_ints(ir, (int64_t[]){batch, 2, half, height, width}, 5)}, 2, NULL, 0);
        node = case_make(random, OP_Transpose, &node, 1, &swap, 1);
        node =
            case_make(random, OP_Reshape,
                      (Node *[]){node, constant_ints(ir, (int64_t[]){batch, 2 * half, height, width}, 4)}, 2, NULL, 0);
    }
    if (case_chance(random, 40)) {
        const int64_t from = case_between(random, 0, half), to = case_between(random, from + 1, 2 * half);
        node = case_make(random, OP_Slice,
                         (Node *[]){node, constant_ints(ir, &from, 1), constant_ints(ir, &to, 1),
                                    constant_ints(ir, (int64_t[]){1}, 1)},
                         4, NULL, 0);
    }
    case_tell(random, "to", node);
    return case_after(random, convolution(random, node, index_const(ir, case_between(random, 1, 40)),
                                          case_chance(random, 50) ? 1 : 3, 1, 1));
}
