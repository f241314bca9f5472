/* Products of dequantised values become products of their bytes, where the machine makes those in fours.
 *
 *     sum(k) ((a - za) * sa) * ((b - zb) * sb)  =  (sum(k) (a - za) * (b - zb)) * (sa * sb)
 *
 * The sum on the right is exact, then four roundings follow where each term on the left has three: the class is
 * BOUNDED. b is a constant; scales are constants from which nothing over- or underflows. What reads single channels
 * stays: it runs along them in floats. */
#include "ir/map.h"
#include "ir/ops/build.h"
#include "passes/pass.h"

#include <string.h>

enum { TERMS_MOST = 32768 }; /* sums of so many products of bytes fit i32 */
#define SCALE_LEAST 1e-15f
#define SCALE_MOST  1e15f

/* The inputs of a DequantizeLinear. */
typedef struct Quantized {
    Node *bytes, *scale, *zero;
    int64_t axis; /* of the scales; -1: there is one */
} Quantized;

static bool scales_fit(const Node *scale)
{
    if (scale->op != OP_constant || scale->type.dtype != DTYPE_F32 || scale->type.rank > 1)
        return false;
    const Constant *const constant = scale->payload.constant;
    for (uint64_t at = 0; at + sizeof(float) <= constant->bytes; at += sizeof(float)) {
        float value;
        memcpy(&value, (const char *)constant->data + at, sizeof value);
        if (!(value >= SCALE_LEAST && value <= SCALE_MOST))
            return false;
    }
    return constant->bytes >= sizeof(float);
}

static bool take_quantized(Ir *ir, const Node *node, Quantized *quantized)
{
    if (node->op != OP_DequantizeLinear || node->type.dtype != DTYPE_F32 || attribute_int(node, "block_size", 0) != 0 ||
        !scales_fit(node->inputs[1]))
        return false;
    const int64_t axis = attribute_int(node, "axis", 1);
    const bool single = index_is(type_elements(ir, node->inputs[1]->type), 1);
    *quantized = (Quantized){.bytes = node->inputs[0],
                             .scale = node->inputs[1],
                             .zero = node->input_count > 2 ? node->inputs[2] : omitted_make(ir),
                             .axis = single     ? -1
                                     : axis < 0 ? axis + node->type.rank
                                                : axis};
    return quantized->bytes->type.dtype == DTYPE_U8 || quantized->bytes->type.dtype == DTYPE_I8;
}

/* One number for all of a; b is a constant, with one number for all or one for each along `axis`. */
static bool take_operands(Ir *ir, const Node *node, int64_t axis, Quantized *a, Quantized *b)
{
    return take_quantized(ir, node->inputs[0], a) && take_quantized(ir, node->inputs[1], b) && a->axis < 0 &&
           (b->axis < 0 || b->axis == axis) && b->bytes->op == OP_constant;
}

/* Are there so few terms that no sum wraps? */
static bool few_terms(Ir *ir, Type b, int64_t columns_axis)
{
    int64_t all, columns;
    return const_is_int(type_elements(ir, b), &all) && const_is_int(b.dims[columns_axis], &columns) && columns > 0 &&
           all / columns >= 1 && all / columns <= TERMS_MOST;
}

/* sums * (sa * sb) + bias, where b's scales and the bias have `trailing` dims of 1 behind them. */
static Node *scaled(Ir *ir, Node *sums, const Quantized *a, const Quantized *b, Node *bias, int trailing)
{
    int64_t dims[RANK_MAX] = {-1};
    for (int i = 1; i <= trailing; i++)
        dims[i] = 1;
    Node *const each = b->axis < 0 ? b->scale : build_reshape(ir, b->scale, dims, trailing + 1);
    Node *const value = build2(ir, OP_Mul, build_cast(ir, sums, DTYPE_F32), build2(ir, OP_Mul, a->scale, each));
    if (!bias || bias->op == OP_omitted)
        return value;
    return build2(ir, OP_Add, value, trailing ? build_reshape(ir, bias, dims, trailing + 1) : bias);
}

static Node *convolution(Ir *ir, const Node *node)
{
    Quantized x, w;
    int64_t channels;
    if (!take_operands(ir, node, 0, &x, &w) || !few_terms(ir, w.bytes->type, 0) ||
        !const_is_int(w.bytes->type.dims[1], &channels) ||
        (attribute_int(node, "group", 1) > 1 && channels < DOT_TERMS))
        return NULL;
    Node *const inputs[] = {x.bytes, w.bytes, x.zero, w.zero};
    Node *const sums = build(ir, OP_ConvInteger, inputs, 4, node->attributes, node->attribute_count);
    return scaled(ir, sums, &x, &w, node->input_count > 2 ? node->inputs[2] : NULL, node->type.rank - 2);
}

static Node *matrix_product(Ir *ir, const Node *node)
{
    Quantized a, b;
    if (node->inputs[0]->type.rank < 2 || node->inputs[1]->type.rank != 2 || !take_operands(ir, node, 1, &a, &b) ||
        !few_terms(ir, b.bytes->type, 1))
        return NULL;
    Node *const inputs[] = {a.bytes, b.bytes, a.zero, b.zero};
    return scaled(ir, build(ir, OP_MatMulInteger, inputs, 4, NULL, 0), &a, &b, NULL, 0);
}

static Node *general_product(Ir *ir, const Node *node)
{
    Quantized a, b;
    const int64_t columns = attribute_int(node, "transB", 0) ? 0 : 1;
    if (attribute_int(node, "transA", 0) || attribute_float(node, "alpha", 1) != 1 ||
        attribute_float(node, "beta", 1) != 1 || !take_operands(ir, node, columns, &a, &b) ||
        !few_terms(ir, b.bytes->type, columns))
        return NULL;
    Node *right = b.bytes;
    if (columns == 0)
        right = build1_with(ir, OP_Transpose, right, attr_ints(ir, "perm", (int64_t[]){1, 0}, 2));
    Node *const inputs[] = {a.bytes, right, a.zero, b.zero};
    return scaled(ir, build(ir, OP_MatMulInteger, inputs, 4, NULL, 0), &a, &b,
                  node->input_count > 2 ? node->inputs[2] : NULL, 0);
}

/* The same in bytes; the node itself where that is not possible. */
static Node *in_bytes(PassContext *context, Node *node)
{
    static const struct {
        Op op;
        Node *(*make)(Ir *ir, const Node *node);
    } rows[] = {{OP_Conv, convolution}, {OP_MatMul, matrix_product}, {OP_Gemm, general_product}};
    Ir *const ir = context->compilation->ir;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Node *const made = node->op == rows[i].op && node->type.dtype == DTYPE_F32 ? rows[i].make(ir, node) : NULL;
        if (made && type_equal(made->type, node->type) && pass_decide(context))
            return made;
    }
    return node;
}

bool pass_bytes(PassContext *context)
{
    const Compilation *const compilation = context->compilation;
    Ir *const ir = compilation->ir;
    Graph *const graph = compilation->graph;
    if (!compilation->target || !compilation->target->dots || compilation->math == MATH_EXACT)
        return true;
    NodeMap map;
    map_open(&map, ir->arena);
    int count;
    Node **const order = nodes_topological(ir, graph->outputs, graph->output_count, &count);
    for (int i = 0; i < count; i++) {
        Node *const node = order[i];
        Node **const inputs = NEW_ARRAY(ir->arena, Node *, node->input_count + 1);
        bool changed = false;
        for (uint32_t j = 0; j < node->input_count; j++) {
            inputs[j] = map_get(&map, node->inputs[j]);
            changed = changed || inputs[j] != node->inputs[j];
        }
        ir->where = node->where;
        Node *made = node;
        if (changed)
            made = node->op == OP_result ? node_result(inputs[0], (int)node->payload.integer)
                                         : tensor_remake(ir, node, inputs);
        if (!made)
            return false;
        map_set(&map, node, in_bytes(context, made));
    }
    Node **const outputs = NEW_ARRAY(ir->arena, Node *, (size_t)graph->output_count + 1);
    for (int i = 0; i < graph->output_count; i++)
        outputs[i] = map_get(&map, graph->outputs[i]);
    graph->outputs = outputs;
    ir->where = NULL;
    return true;
}
