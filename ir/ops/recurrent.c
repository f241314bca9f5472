/* RNN, GRU and LSTM: shapes, and what they consist of. x*W of all steps is one product; each direction is a Recurrence
 * (recurrent_steps.c); the rest puts dims where ONNX wants them. */
#include "ir/ops/recurrent.h"

#include "ir/ops/build.h"
#include "ir/ops/rules.h"

#include <string.h>
#include <strings.h>

enum { X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES };

static const Cell cells[] = {
    {"RNN", 1, 1, false, {"Tanh"}},
    {"GRU", 3, 2, false, {"Sigmoid", "Tanh"}},
    {"LSTM", 4, 3, true, {"Sigmoid", "Tanh", "Tanh"}},
};

const Cell *cell_find(const char *name)
{
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        if (strcmp(cells[i].name, name) == 0)
            return &cells[i];
    return NULL;
}

static const Activation activations[] = {
    {"Affine", 1, 0, true, true, "(add (mul @alpha x) @beta)"},
    {"Elu", 1, 0, true, false, "(select (lt x 0) (mul @alpha (sub (exp x) 1)) x)"},
    {"HardSigmoid", 0.2, 0.5, true, true, "(max 0 (min 1 (add (mul @alpha x) @beta)))"},
    {"LeakyRelu", 0.01, 0, true, false, "(select (lt x 0) (mul @alpha x) x)"},
    {"Relu", 0, 0, false, false, "(max x 0)"},
    {"ScaledTanh", 1, 1, true, true, "(mul @alpha (tanh (mul @beta x)))"},
    {"Sigmoid", 0, 0, false, false, "(sigmoid x)"},
    {"Softplus", 0, 0, false, false, "(add (max x 0) (log1p (exp (neg (abs x)))))"},
    {"Softsign", 0, 0, false, false, "(div x (add 1 (abs x)))"},
    {"Tanh", 0, 0, false, false, "(tanh x)"},
    {"ThresholdedRelu", 1, 0, true, false, "(select (ge x @alpha) x 0)"},
};

const Activation *activation_find(const char *name)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (strcasecmp(activations[i].name, name) == 0)
            return &activations[i];
    return NULL;
}

/* ---- shapes ---- */

static int directions_of(const Node *node)
{
    return strcmp(attribute_string(node, "direction", "forward"), "bidirectional") == 0 ? 2 : 1;
}

/* `input`, when given, has these dims and the type of x. */
static bool dims_check(const Infer *infer, int input, Node *const *dims, int rank, const char *what)
{
    if (!infer_has(infer, input))
        return true;
    const Type type = infer_type(infer, input);
    if (type.rank != rank || type.dtype != infer_type(infer, X).dtype)
        return infer_error(infer, "%s must have %d dimensions and the type of X, not %s", what, rank,
                           type_text(infer->ir, type));
    for (int i = 0; i < rank; i++)
        if (!infer_same_dim(infer, type.dims[i], dims[i], what))
            return false;
    return true;
}

static bool functions_check(const Infer *infer, const Cell *cell, int directions)
{
    const Attribute *const given = attribute_find(infer->node, "activations");
    const int wanted = cell->functions * directions;
    if (given && given->count && given->count != wanted && given->count != cell->functions * 2)
        return infer_error(infer, "%d activations are given, %d are needed", given->count, wanted);
    for (int i = 0; given && i < given->count; i++)
        if (!activation_find(given->strings[i]))
            return infer_error(infer, "there is no activation called %s", given->strings[i]);
    return true;
}

static bool attributes_check(const Infer *infer, Node *hidden)
{
    const Name direction = attribute_string(infer->node, "direction", "forward");
    const int64_t layout = attribute_int(infer->node, "layout", 0);
    if (strcmp(direction, "forward") != 0 && strcmp(direction, "reverse") != 0 &&
        strcmp(direction, "bidirectional") != 0)
        return infer_error(infer, "direction is \"%s\": forward, reverse or bidirectional", direction);
    if (layout != 0 && layout != 1)
        return infer_error(infer, "layout is %lld, neither 0 nor 1", (long long)layout);
    if (attribute_float(infer->node, "clip", 0) < 0)
        return infer_error(infer, "clip is negative: %g", attribute_float(infer->node, "clip", 0));
    return !attribute_find(infer->node, "hidden_size") ||
           infer_same_dim(infer, hidden, index_const(infer->ir, attribute_int(infer->node, "hidden_size", 0)),
                          "hidden_size");
}

/* The dims of x: steps and batch by layout. */
static void dims_of_x(const Node *node, Type x, Node **steps, Node **batch)
{
    const int batch_first = attribute_int(node, "layout", 0) == 1;
    *steps = x.dims[batch_first];
    *batch = x.dims[!batch_first];
}

bool recurrent_shape(Infer *infer)
{
    Ir *const ir = infer->ir;
    const Cell *const cell = cell_find(op_name(infer->node->op));
    const Type x = infer_type(infer, X), r = infer_type(infer, R);
    if (x.rank != 3 || r.rank != 3)
        return infer_error(infer, "X and R must have 3 dimensions, not %s and %s", type_text(ir, x), type_text(ir, r));
    const bool batch_first = attribute_int(infer->node, "layout", 0) == 1;
    const int count = directions_of(infer->node);
    Node *const directions = index_const(ir, count), *const hidden = r.dims[2], *steps, *batch;
    Node *const rows = index_mul(ir, index_const(ir, cell->gates), hidden);
    Node *const w_dims[3] = {directions, rows, x.dims[2]}, *const r_dims[3] = {directions, rows, hidden};
    Node *const b_dims[2] = {directions, index_mul(ir, index_const(ir, 2), rows)};
    Node *const p_dims[2] = {directions, index_mul(ir, index_const(ir, 3), hidden)};
    dims_of_x(infer->node, x, &steps, &batch);
    Node *const first[3] = {directions, batch, hidden}, *const later[3] = {batch, directions, hidden};
    Node *const *const state = batch_first ? later : first;
    if (!attributes_check(infer, hidden) || !functions_check(infer, cell, count) ||
        !dims_check(infer, W, w_dims, 3, "W") || !dims_check(infer, R, r_dims, 3, "R") ||
        !dims_check(infer, B, b_dims, 2, "B") || !dims_check(infer, INITIAL_H, state, 3, "initial_h") ||
        !dims_check(infer, INITIAL_C, state, 3, "initial_c") || !dims_check(infer, PEEPHOLES, p_dims, 2, "P"))
        return false;
    if (infer_has(infer, LENGTHS)) {
        const Type lengths = infer_type(infer, LENGTHS);
        if (lengths.rank != 1 || lengths.dtype != DTYPE_I32)
            return infer_error(infer, "sequence_lens must be one i32 for each sequence, not %s",
                               type_text(ir, lengths));
        if (!infer_same_dim(infer, lengths.dims[0], batch, "sequence_lens"))
            return false;
    }
    Node *const all[4] = {steps, directions, batch, hidden}, *const all_later[4] = {batch, steps, directions, hidden};
    infer->types[0] = type_tensor(ir, x.dtype, 4, batch_first ? all_later : all);
    for (int i = 1; i < infer->output_count; i++)
        infer->types[i] = type_tensor(ir, x.dtype, 3, state);
    return true;
}

/* ---- expansion ---- */

typedef struct Parts {
    Ir *ir;
    const Node *node;
    const Cell *cell;
    int directions, alphas, betas; /* how many of the lists are used up */
    bool batch_first;
    Node *x; /* [T, B, I] */
} Parts;

static Node *input_of(const Parts *parts, int i)
{
    return i < (int)parts->node->input_count && !is_omitted(parts->node->inputs[i]) ? parts->node->inputs[i] : NULL;
}

static Node *transposed(Ir *ir, Node *x, const int64_t *order, int rank)
{
    return x ? build1_with(ir, OP_Transpose, x, attr_ints(ir, "perm", order, rank)) : NULL;
}

/* x[direction] along `axis`, which goes. */
static Node *of_direction(const Parts *parts, Node *x, int direction, int axis)
{
    Ir *const ir = parts->ir;
    const int64_t axes[1] = {axis};
    if (parts->directions == 1)
        return build2(ir, OP_Squeeze, x, constant_ints(ir, axes, 1));
    return build2_with(ir, OP_Gather, x, constant_scalar(ir, DTYPE_I64, direction), attr_int(ir, "axis", axis));
}

/* Columns first..last of x, counted in hidden sizes, of which its last axis has `whole`. */
static Node *columns_of(const Parts *parts, Node *x, int first, int last, int whole)
{
    Ir *const ir = parts->ir;
    if (!x || (first == 0 && last == whole))
        return x;
    const int axis = x->type.rank - 1;
    const int64_t apart[3] = {axis ? 0 : whole, axis ? whole : -1, -1}, together[2] = {axis ? 0 : -1, -1};
    const int64_t from[1] = {first}, to[1] = {last}, axes[1] = {axis};
    Node *const inputs[4] = {build_reshape(ir, x, apart, axis + 2), constant_ints(ir, from, 1),
                             constant_ints(ir, to, 1), constant_ints(ir, axes, 1)};
    return build_reshape(ir, build(ir, OP_Slice, inputs, 4, NULL, 0), together, axis + 1);
}

/* The bias of x*W: with that of h*R, but for what a GRU that resets afterwards adds within the reset. */
static Node *bias_of(const Parts *parts, Node *b, bool apart, Node **within)
{
    Ir *const ir = parts->ir;
    const int gates = parts->cell->gates;
    *within = omitted_make(ir);
    if (!b)
        return NULL;
    Node *const w = columns_of(parts, b, 0, gates, 2 * gates), *const r =
                                                                   columns_of(parts, b, gates, 2 * gates, 2 * gates);
    if (!w || !r || !apart)
        return w && r ? build2(ir, OP_Add, w, r) : NULL;
    *within = columns_of(parts, r, 2, 3, 3);
    Node *const gated = columns_of(parts, r, 0, 2, 3), *const plain = columns_of(parts, w, 0, 2, 3);
    Node *const last = columns_of(parts, w, 2, 3, 3);
    Node *const sum = gated && plain ? build2(ir, OP_Add, plain, gated) : NULL;
    return sum && last ? build2_with(ir, OP_Concat, sum, last, attr_int(ir, "axis", 0)) : NULL;
}

static double next_of(const Parts *parts, const char *list, int *used, double usual)
{
    const Attribute *const given = attribute_find(parts->node, list);
    return given && *used < given->count ? given->reals[(*used)++] : usual;
}

/* The functions of a direction with their numbers: lists of numbers have entries for those that take them alone. */
static void functions_of(Parts *parts, int direction, Attribute *names, Attribute *alpha, Attribute *beta)
{
    Arena *const arena = parts->ir->arena;
    const Attribute *const given = attribute_find(parts->node, "activations");
    const int count = parts->cell->functions;
    Name *const strings = NEW_ARRAY(arena, Name, (size_t)count);
    double *const alphas = NEW_ARRAY(arena, double, (size_t)count), *const betas =
                                                                        NEW_ARRAY(arena, double, (size_t)count);
    for (int i = 0; i < count; i++) {
        const bool listed = given && given->count > direction * count + i;
        const Activation *const row =
            activation_find(listed ? given->strings[direction * count + i] : parts->cell->usual[i]);
        strings[i] = name_intern(arena, row->name);
        alphas[i] = row->takes_alpha ? next_of(parts, "activation_alpha", &parts->alphas, row->alpha) : 0;
        betas[i] = row->takes_beta ? next_of(parts, "activation_beta", &parts->betas, row->beta) : 0;
    }
    *names = (Attribute){name_intern(arena, "activations"), ATTRIBUTE_STRINGS, count, {.strings = strings}};
    *alpha = (Attribute){name_intern(arena, "alpha"), ATTRIBUTE_FLOATS, count, {.reals = alphas}};
    *beta = (Attribute){name_intern(arena, "beta"), ATTRIBUTE_FLOATS, count, {.reals = betas}};
}

static bool reversed(const Parts *parts, int direction)
{
    return direction == 1 || strcmp(attribute_string(parts->node, "direction", "forward"), "reverse") == 0;
}

/* The Recurrence of one direction. */
static Node *direction_of(Parts *parts, int direction)
{
    Ir *const ir = parts->ir;
    const int64_t swap[2] = {1, 0};
    const int gates = parts->cell->gates, axis = parts->batch_first;
    const bool after = attribute_int(parts->node, "linear_before_reset", 0) != 0;
    const bool resets = gates == 3;
    Node *inputs[8];
    for (int i = 0; i < 8; i++)
        inputs[i] = omitted_make(ir);
    Node *const w = transposed(ir, of_direction(parts, parts->node->inputs[W], direction, 0), swap, 2);
    Node *const r = transposed(ir, of_direction(parts, parts->node->inputs[R], direction, 0), swap, 2);
    Node *const b = input_of(parts, B) ? of_direction(parts, input_of(parts, B), direction, 0) : NULL;
    inputs[0] = w ? build2(ir, OP_MatMul, parts->x, w) : NULL;
    if (b) {
        Node *const bias = bias_of(parts, b, resets && after, &inputs[3]);
        inputs[0] = inputs[0] && bias ? build2(ir, OP_Add, inputs[0], bias) : NULL;
    }
    inputs[1] = resets && !after ? columns_of(parts, r, 0, 2, 3) : r;
    if (resets && !after)
        inputs[2] = columns_of(parts, r, 2, 3, 3);
    if (input_of(parts, LENGTHS))
        inputs[4] = input_of(parts, LENGTHS);
    if (input_of(parts, INITIAL_H))
        inputs[5] = of_direction(parts, input_of(parts, INITIAL_H), direction, axis);
    if (parts->cell->memory && input_of(parts, INITIAL_C))
        inputs[6] = of_direction(parts, input_of(parts, INITIAL_C), direction, axis);
    if (parts->cell->memory && input_of(parts, PEEPHOLES))
        inputs[7] = of_direction(parts, input_of(parts, PEEPHOLES), direction, 0);
    for (int i = 0; i < 8; i++)
        if (!inputs[i])
            return NULL;
    Attribute attributes[8] = {attr_string(ir, "cell", parts->cell->name),
                               attr_int(ir, "reverse", reversed(parts, direction)),
                               attr_int(ir, "input_forget", attribute_int(parts->node, "input_forget", 0)),
                               attr_int(ir, "linear_before_reset", after)};
    int count = 4;
    functions_of(parts, direction, &attributes[count], &attributes[count + 1], &attributes[count + 2]);
    count += 3;
    if (attribute_find(parts->node, "clip"))
        attributes[count++] = attr_float(ir, "clip", attribute_float(parts->node, "clip", 0));
    return tensor_make(ir, OP_lathe_Recurrence, inputs, 8, parts->cell->memory ? 3 : 2, attributes, count);
}

/* Both directions side by side along a new axis. */
static Node *joined(const Parts *parts, Node *const *made, int output, int axis)
{
    Ir *const ir = parts->ir;
    const int64_t axes[1] = {axis};
    Node *each[2];
    for (int d = 0; d < parts->directions; d++)
        each[d] = build_unsqueeze(ir, node_result(made[d], output), axes, 1);
    return parts->directions == 1 ? each[0] : build2_with(ir, OP_Concat, each[0], each[1], attr_int(ir, "axis", axis));
}

bool recurrent_expand(Ir *ir, const Node *node, Node **outputs)
{
    Parts parts = {.ir = ir,
                   .node = node,
                   .cell = cell_find(op_name(node->op)),
                   .directions = directions_of(node),
                   .batch_first = attribute_int(node, "layout", 0) == 1,
                   .x = node->inputs[X]};
    const int64_t steps_first[3] = {1, 0, 2}, batch_first[4] = {2, 0, 1, 3};
    const int count = node->result_count > 1 ? node->result_count : 1;
    if (parts.batch_first)
        parts.x = transposed(ir, parts.x, steps_first, 3);
    Node *made[2];
    for (int d = 0; d < parts.directions; d++)
        if (!parts.x || !(made[d] = direction_of(&parts, d)))
            return false;
    Node *const all = joined(&parts, made, 0, 1);
    outputs[0] = parts.batch_first ? transposed(ir, all, batch_first, 4) : all;
    for (int i = 1; i < count; i++)
        outputs[i] = joined(&parts, made, i, parts.batch_first);
    for (int i = 0; i < count; i++)
        if (!outputs[i])
            return false;
    return true;
}
