/* Random graphs of one or two operators with what fusion puts before and after them: see cases.h. */
#include "tests/codegen/cases.h"

#include "ir/ops/ops.h"

#include <stdio.h>
#include <stdlib.h>

int64_t case_between(Random *random, int64_t low, int64_t high)
{
    return low + random_below(&random->state, high - low + 1);
}

bool case_chance(Random *random, int percent)
{
    return random_below(&random->state, 100) < percent;
}

void case_tell(Random *random, const char *what, Node *node)
{
    random->text = arena_format(random->ir->arena, "%s %s %s", random->text, what, type_text(random->ir, node->type));
}

/* ---- values ---- */

Node *case_given(Random *random, int rank, Node *const *dims)
{
    Ir *const ir = random->ir;
    const int number = random->input_count++;
    random->names[number] = name_intern(ir->arena, arena_format(ir->arena, "x%d", number));
    return random->inputs[number] = input_make(ir, random->names[number], type_tensor(ir, random->dtype, rank, dims));
}

Node *case_weight(Random *random, int rank, Node *const *dims)
{
    Ir *const ir = random->ir;
    const Type type = type_tensor(ir, random->dtype, rank, dims);
    int64_t elements;
    if (!const_is_int(type_elements(ir, type), &elements))
        BUG("a weight of unknown size: %s", random->text);
    Constant *const constant = NEW(ir->arena, Constant);
    const uint64_t bytes = (uint64_t)elements * (uint64_t)dtype_info[random->dtype].bits / 8;
    void *const data = arena_alloc(ir->arena, bytes + 1);
    values_fill(ir, random->dtype, data, bytes, VALUES_PLAIN, &random->state);
    *constant = (Constant){.data = data, .bytes = bytes};
    return constant_make(ir, type, constant);
}

static Node *value(Random *random, bool constant, int rank, Node *const *dims)
{
    return constant ? case_weight(random, rank, dims) : case_given(random, rank, dims);
}

Node *case_extent(Random *random, int64_t most, int symbolic)
{
    static const char *const names[] = {"M", "N", "P", "Q"};
    if (random->symbol_count < 2 && case_chance(random, symbolic))
        return symbol_make(random->ir, name_intern(random->ir->arena, names[random->symbol_count++]));
    static const int64_t edges[] = {1, 2, 15, 16, 17, 31, 32, 33, 48, 64};
    const int64_t size =
        case_chance(random, 40) ? edges[random_below(&random->state, 10)] : case_between(random, 1, most);
    return index_const(random->ir, size < most ? size : most);
}

Node *case_make(Random *random, Op op, Node *const *inputs, int count, const Attribute *attributes, int attribute_count)
{
    Node *const node = tensor_make(random->ir, op, inputs, count, 1, attributes, attribute_count);
    if (!node) {
        diag_print(random->proof->diagnostics, stderr, false);
        BUG("no such operator: %s", random->text);
    }
    return node;
}

/* Two dims in either order, the operand itself transposed back. */
static Node *transposed(Random *random, bool constant, Node *rows, Node *columns)
{
    Node *const stored = value(random, constant, 2, (Node *[]){columns, rows});
    const Attribute order = attr_ints(random->ir, "perm", (int64_t[]){1, 0}, 2);
    return case_make(random, OP_Transpose, &stored, 1, &order, 1);
}

/* What fusion may put before a contraction. */
static Node *before(Random *random, Node *node)
{
    if (case_chance(random, 15))
        return case_make(random, OP_Relu, &node, 1, NULL, 0);
    if (case_chance(random, 10))
        return case_make(random, OP_Mul, (Node *[]){node, constant_scalar(random->ir, random->dtype, 0.37)}, 2, NULL,
                         0);
    return node;
}

/* What fusion may put behind it. */
Node *case_after(Random *random, Node *node)
{
    for (int steps = (int)case_between(random, 0, 3); steps > 0; steps--) {
        Node *other = NULL;
        if (case_chance(random, 60) && random->input_count < 6)
            other = case_given(random, node->type.rank, node->type.dims);
        else
            other = case_weight(random, 1, (Node *[]){index_const(random->ir, 1)});
        if (case_chance(random, 30))
            node = case_make(random, OP_Relu, &node, 1, NULL, 0);
        else if (case_chance(random, 15))
            node = case_make(random, OP_Sigmoid, &node, 1, NULL, 0);
        else
            node = case_make(random, case_chance(random, 60) ? OP_Add : OP_Mul, (Node *[]){node, other}, 2, NULL, 0);
    }
    if (case_chance(random, 10) && node->type.rank == 2) {
        const Attribute order = attr_ints(random->ir, "perm", (int64_t[]){1, 0}, 2);
        node = case_make(random, OP_Transpose, &node, 1, &order, 1);
    }
    return node;
}

/* ---- contractions ---- */

Node *case_matmul(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int batch = (int)random_below(&random->state, 3);
    const bool constant = case_chance(random, 50);
    Node *const m = case_extent(random, 70, symbolic), *const n = case_extent(random, 70, constant ? 0 : symbolic);
    Node *const k = case_extent(random, 70, constant ? 0 : symbolic / 3);
    Node *a_dims[4], *b_dims[4];
    int b_batch = case_chance(random, 50) ? batch : 0;
    for (int i = 0; i < batch; i++) {
        a_dims[i] = case_extent(random, 4, symbolic / 2);
        b_dims[i] = case_chance(random, 20) ? index_const(ir, 1) : a_dims[i];
        if (b_dims[i]->op != OP_const && constant)
            b_batch = 0;
    }
    a_dims[batch] = m;
    a_dims[batch + 1] = k;
    b_dims[b_batch] = k;
    b_dims[b_batch + 1] = n;
    Node *const a =
        batch == 0 && case_chance(random, 25) ? transposed(random, false, m, k) : case_given(random, batch + 2, a_dims);
    Node *const b = b_batch == 0 && case_chance(random, 25) ? transposed(random, constant, k, n)
                                                            : value(random, constant, b_batch + 2, b_dims);
    case_tell(random, "MatMul", a);
    case_tell(random, constant ? "weight" : "and", b);
    return case_make(random, OP_MatMul, (Node *[]){before(random, a), before(random, b)}, 2, NULL, 0);
}

Node *case_gemm(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const bool constant = case_chance(random, 60), left = case_chance(random, 30), right = case_chance(random, 50);
    Node *const m = case_extent(random, 70, symbolic), *const n = case_extent(random, 70, constant ? 0 : symbolic),
                *const k = case_extent(random, 70, 0);
    Node *const a = case_given(random, 2, left ? (Node *[]){k, m} : (Node *[]){m, k});
    Node *const b = value(random, constant, 2, right ? (Node *[]){n, k} : (Node *[]){k, n});
    Node *c = omitted_make(ir);
    if (case_chance(random, 60))
        c = case_chance(random, 50) ? value(random, n->op == OP_const, 1, &n) : case_given(random, 2, (Node *[]){m, n});
    Attribute attributes[4] = {attr_float(ir, "alpha", case_chance(random, 70) ? 1 : 0.5),
                               attr_float(ir, "beta", case_chance(random, 70) ? 1 : -2), attr_int(ir, "transA", left),
                               attr_int(ir, "transB", right)};
    case_tell(random, left ? "Gemm transposed" : "Gemm", a);
    case_tell(random, right ? "transposed" : "and", b);
    return case_make(random, OP_Gemm, (Node *[]){before(random, a), b, c}, 3, attributes, 4);
}

Node *case_conv(Random *random, int symbolic)
{
    Ir *const ir = random->ir;
    const int spatial = (int)case_between(random, 1, 2),
              group = case_chance(random, 20) ? (int)case_between(random, 2, 4) : 1;
    int64_t strides[2], dilations[2], pads[4];
    Node *const channels = case_extent(random, 35, 0), *const outs = case_extent(random, 70 / group, 0);
    Node *const batch = case_chance(random, 60) ? index_const(ir, 1) : case_extent(random, 3, symbolic);
    Node *x[4] = {batch, index_mul(ir, channels, index_const(ir, group))};
    Node *w[4] = {index_mul(ir, outs, index_const(ir, group)), channels};
    for (int i = 0; i < spatial; i++) {
        const int64_t taps = case_between(random, 1, case_chance(random, 30) ? 5 : 3);
        w[2 + i] = index_const(ir, taps);
        strides[i] = case_between(random, 1, 3);
        dilations[i] = case_chance(random, 70) ? 1 : 2;
        pads[i] = case_between(random, 0, taps - 1);
        pads[i + spatial] = case_chance(random, 70) ? pads[i] : case_between(random, 0, taps - 1);
        const int64_t least = (taps - 1) * dilations[i] + 1;
        x[2 + i] = index_const(ir, least + case_between(random, 0, spatial == 1 ? 60 : 16));
    }
    const Attribute attributes[4] = {attr_ints(ir, "strides", strides, spatial),
                                     attr_ints(ir, "dilations", dilations, spatial),
                                     attr_ints(ir, "pads", pads, 2 * spatial), attr_int(ir, "group", group)};
    Node *const in = case_given(random, spatial + 2, x), *const weights =
                                                             value(random, case_chance(random, 85), spatial + 2, w);
    Node *const bias = case_chance(random, 60) ? case_weight(random, 1, w) : omitted_make(ir);
    case_tell(random, "Conv", in);
    case_tell(random, "weight", weights);
    for (int i = 0; i < spatial; i++)
        random->text = arena_format(ir->arena, "%s stride %d dilation %d pads %d %d", random->text, (int)strides[i],
                                    (int)dilations[i], (int)pads[i], (int)pads[i + spatial]);
    return case_make(random, OP_Conv, (Node *[]){before(random, in), weights, bias}, 3, attributes, 4);
}

/* ---- steps ---- */

/* How long each sequence is, from 0 to all steps. */
static Node *lengths(Random *random, int64_t batch, int64_t steps)
{
    Ir *const ir = random->ir;
    int32_t *const given = NEW_ARRAY(ir->arena, int32_t, (size_t)batch);
    for (int64_t i = 0; i < batch; i++)
        given[i] = (int32_t)case_between(random, 0, steps);
    Constant *const constant = NEW(ir->arena, Constant);
    *constant = (Constant){.data = given, .bytes = (uint64_t)batch * sizeof *given};
    Node *const dim = index_const(ir, batch);
    return constant_make(ir, type_tensor(ir, DTYPE_I32, 1, &dim), constant);
}

/* RNN, GRU or LSTM, with any of the optional inputs. */
Node *case_recurrent(Random *random, int symbolic)
{
    static const struct {
        Op op;
        int gates;
    } cells[] = {{OP_RNN, 1}, {OP_GRU, 3}, {OP_LSTM, 4}};
    static const char *const directions[] = {"forward", "reverse", "bidirectional"};
    Ir *const ir = random->ir;
    const int cell = (int)random_below(&random->state, 3), way = (int)random_below(&random->state, 3);
    const bool constant = case_chance(random, 80), dynamic = case_chance(random, symbolic);
    const int64_t many = case_between(random, 1, 7), steps = case_between(random, 1, 6);
    Node *const batch = case_chance(random, symbolic) ? case_extent(random, 7, 100) : index_const(ir, many);
    Node *const hidden = case_extent(random, 40, 0), *const features = case_extent(random, 10, 0);
    Node *const one = index_const(ir, way == 2 ? 2 : 1);
    Node *const rows = index_mul(ir, index_const(ir, cells[cell].gates), hidden);
    Node *const x = case_given(
        random, 3, (Node *[]){dynamic ? case_extent(random, 6, 100) : index_const(ir, steps), batch, features});
    Node *inputs[8] = {x, value(random, constant, 3, (Node *[]){one, rows, features}),
                       value(random, constant, 3, (Node *[]){one, rows, hidden})};
    for (int i = 3; i < 8; i++)
        inputs[i] = omitted_make(ir);
    if (case_chance(random, 70))
        inputs[3] = case_weight(random, 2, (Node *[]){one, index_mul(ir, index_const(ir, 2), rows)});
    if (batch->op == OP_const && !dynamic && case_chance(random, 30))
        inputs[4] = lengths(random, many, steps);
    if (case_chance(random, 60))
        inputs[5] = case_given(random, 3, (Node *[]){one, batch, hidden});
    if (cell == 2 && case_chance(random, 30))
        inputs[7] = case_weight(random, 2, (Node *[]){one, index_mul(ir, index_const(ir, 3), hidden)});
    const Attribute attributes[2] = {attr_string(ir, "direction", directions[way]),
                                     attr_int(ir, "linear_before_reset", case_chance(random, 50))};
    random->text = arena_format(ir->arena, "%s %s %s", random->text, op_name(cells[cell].op), directions[way]);
    case_tell(random, "of", x);
    case_tell(random, "state", inputs[2]);
    return case_make(random, cells[cell].op, inputs, cell == 2 ? 8 : 6, attributes, cell == 1 ? 2 : 1);
}

void case_build(Random *random, Proof *proof, Maker *maker, Dtype dtype, int symbolic, uint64_t seed)
{
    *random = (Random){.proof = proof, .ir = proof->ir, .dtype = dtype, .state = seed, .text = ""};
    Graph *const graph = NEW(proof->arena, Graph);
    Node *node = maker(random, symbolic);
    if (case_chance(random, 15) && node->type.rank > 2 &&
        node->type.dims[1]->op == OP_const) { /* two convolutions: layouts of what is between */
        Node *dims[4] = {index_const(proof->ir, case_between(random, 1, 40)), node->type.dims[1],
                         index_const(proof->ir, 1), index_const(proof->ir, 1)};
        if (maker == case_conv)
            node =
                case_make(random, OP_Conv,
                          (Node *[]){case_after(random, node), case_weight(random, node->type.rank, dims)}, 2, NULL, 0);
    }
    node = case_after(random, node);
    if (seed % 5 == 3 && node->type.rank >= 2) /* a guard around all of it */
        node = case_make(random, OP_Trilu, &node, 1, NULL, 0);
    *graph = (Graph){.name = name_intern(proof->arena, "random"),
                     .input_count = random->input_count,
                     .output_count = 1,
                     .inputs = random->inputs,
                     .outputs = arena_copy(proof->arena, &node, sizeof node),
                     .input_names = random->names};
    graph->output_names = arena_copy(proof->arena, &(Name){name_intern(proof->arena, "y")}, sizeof(Name));
    proof->compilation.graph = graph;
}
