/* Lowering of operator nodes, and symbolic evaluation of small results through the same lowering. */
#include "ir/ops/lower.h"

#include "ir/ops/scalar_text.h"
#include "ir/procedure.h"
#include "ir/scalar.h"

#include <stdio.h>
#include <string.h>

Node *lower_temp(Lower *lower, const char *name, Dtype dtype, int rank, Node *const *dims)
{
    const Buffer buffer = {.name = name_intern(lower->ir->arena, name), .place = PLACE_TEMP};
    return buffer_make(lower->ir, type_tensor(lower->ir, dtype, rank, dims), &buffer);
}

void lower_axes(Lower *lower, Type type, Node **axes)
{
    for (int i = 0; i < type.rank; i++) {
        char name[16];
        snprintf(name, sizeof name, "a%d", i);
        axes[i] = axis_make(lower->ir, name, type.dims[i]);
    }
}

Node *lower_axis(Lower *lower, const char *name, Node *extent)
{
    return axis_make(lower->ir, name, extent);
}

/* The element of a constant that has only one, NULL for all other buffers. */
static Node *only_element(Ir *ir, const Node *buffer)
{
    const Constant *const constant = buffer->payload.buffer->constant;
    const int bits = dtype_info[buffer->type.dtype].bits;
    int64_t elements;
    uint64_t word = 0;
    if (!constant || !constant->data || bits < 8 || buffer->type.dtype == DTYPE_STRING ||
        !const_is_int(type_elements(ir, buffer->type), &elements) || elements != 1)
        return NULL;
    memcpy(&word, constant->data, (size_t)bits / 8);
    if (dtype_is_signed(buffer->type.dtype) && bits < 64)
        word = (uint64_t)((int64_t)(word << (64 - bits)) >> (64 - bits));
    return const_bits(ir, type_scalar(buffer->type.dtype), word);
}

Node *lower_at(Lower *lower, Node *buffer, Node *const *indices)
{
    Node *const element = only_element(lower->ir, buffer);
    if (element)
        return cast_make(lower->ir, element, dtype_compute(buffer->type.dtype));
    return cast_make(lower->ir, at_make(lower->ir, buffer, indices), dtype_compute(buffer->type.dtype));
}

Node *broadcast_index(Ir *ir, Node *dim, Node *extent, Node *index)
{
    if (index_is(dim, 1))
        return index_const(ir, 0);
    const bool open = dim->op != OP_const && dim != extent; /* only a run knows whether it is 1 */
    return open ? index_min(ir, index, index_sub(ir, dim, index_const(ir, 1))) : index;
}

/* An index that is no axis runs over the dim itself. */
static Node *extent_of(Node *dim, const Node *index)
{
    return index->op == OP_axis && index->input_count ? index->inputs[0] : dim;
}

Node *lower_at_broadcast(Lower *lower, Node *buffer, Node *const *indices, int rank)
{
    Node *own[RANK_MAX];
    const int skip = rank - buffer->type.rank;
    for (int i = 0; i < buffer->type.rank; i++)
        own[i] = broadcast_index(lower->ir, buffer->type.dims[i], extent_of(buffer->type.dims[i], indices[skip + i]), indices[skip + i]);
    return lower_at(lower, buffer, own);
}

static void append_kernel(Lower *lower, Block *stages)
{
    Ir *const ir = lower->ir;
    Node *const kernel = kernel_make(ir, name_intern(ir->arena, op_name(lower->node->op)), stages);
    const Where **const wheres = NEW_ARRAY(ir->arena, const Where *, 2);
    wheres[0] = lower->node->where;
    kernel->payload.kernel->wheres = wheres;
    block_append(ir, lower->kernels, kernel);
}

/* An element that only moves keeps its bits: what was widened to be loaded is not rounded (or saturated) to be stored. */
static Node *stored_make(Ir *ir, Node *value, Dtype dtype)
{
    const bool widened = value->op == OP_cast && value->inputs[0]->type.dtype == dtype && value->type.dtype == dtype_compute(dtype);
    return widened ? value->inputs[0] : cast_make(ir, value, dtype);
}

void lower_define_ordered(Lower *lower, Node *buffer, Node *const *axes, int count, int ordered, Node *const *indices, Node *value)
{
    Ir *const ir = lower->ir;
    Block *const stages = block_make(ir);
    Node *const stored = stored_make(ir, value, buffer->type.dtype);
    block_append(ir, stages, stage_make_ordered(ir, axes, count, ordered, buffer, indices, stored));
    append_kernel(lower, stages);
}

LowerSteps lower_steps_open(Lower *lower, Node *const *axes, int count, int ordered)
{
    return (LowerSteps){lower, block_make(lower->ir), axes, count, ordered};
}

void lower_step(LowerSteps *steps, Node *buffer, Node *const *within, int count, Node *const *indices, Node *value)
{
    Ir *const ir = steps->lower->ir;
    Node *axes[RANK_MAX];
    for (int i = 0; i < steps->count + count; i++)
        axes[i] = i < steps->count ? steps->axes[i] : within[i - steps->count];
    Node *const stored = stored_make(ir, value, buffer->type.dtype);
    block_append(ir, steps->stages,
                 stage_make_step(ir, axes, steps->count + count, steps->count, steps->ordered, buffer, indices, stored));
}

void lower_steps_close(LowerSteps *steps)
{
    append_kernel(steps->lower, steps->stages);
}

void lower_define_box(Lower *lower, Node *buffer, Node *const *axes, int count, Node *const *indices, Node *value)
{
    lower_define_ordered(lower, buffer, axes, count, 0, indices, value);
}

void lower_define(Lower *lower, Node *buffer, Node *const *axes, int count, Node *value)
{
    lower_define_box(lower, buffer, axes, count, axes, value);
}

Node *lower_inside(Ir *ir, Node *index, Node *extent)
{
    return scalar2(ir, OP_and, scalar2(ir, OP_ge, index, index_const(ir, 0)), scalar2(ir, OP_lt, index, extent));
}

/* A SCALAR row: out[axes] = text over the broadcast elements of the inputs. */
static bool scalar_lower(Lower *lower)
{
    Ir *const ir = lower->ir;
    Node *const out = lower_out(lower, 0);
    Node *axes[RANK_MAX], *values[8];
    lower_axes(lower, out->type, axes);
    for (int i = 0; i < lower_input_count(lower); i++)
        values[i] = lower_at_broadcast(lower, lower_in(lower, i), axes, out->type.rank);
    Node *const value = scalar_text_build(ir, lower->node, values, lower_input_count(lower));
    if (!value)
        return false;
    lower_define(lower, out, axes, out->type.rank, value);
    return true;
}

bool node_lower(Ir *ir, const Node *node, Node **inputs, Node **outputs, Block *kernels)
{
    Lower lower = {ir, node, inputs, outputs, kernels};
    const Meaning *const meaning = &op_row(node)->meaning;
    switch (meaning->form) {
    case MEANING_SCALAR:
        return scalar_lower(&lower);
    case MEANING_LOWER:
        return meaning->lower(&lower);
    case MEANING_HOST:
        return diag_error(ir->diagnostics, EXIT_UNSUPPORTED, node->where, "sizes that only a run knows are not supported here");
    default:
        BUG("operator %s reached lowering without being expanded", op_name(node->op));
    }
}

/* ---- symbolic evaluation ---- */

enum { CONTENTS_MAX = 64, EVALUATION_LIMIT = 4096 };

typedef struct Evaluation {
    Ir *ir;
    int budget;
    int count; /* of buffers */
    Node *buffers[16];
    Node **elements[16];
} Evaluation;

static Node *evaluate(Evaluation *evaluation, Node *node);

static Node **elements_of(Evaluation *evaluation, const Node *buffer)
{
    for (int i = 0; i < evaluation->count; i++)
        if (evaluation->buffers[i] == buffer)
            return evaluation->elements[i];
    return NULL;
}

static bool constant_offset(Ir *ir, Node *buffer, Node *const *indices, int64_t *offset)
{
    Node *const node = layout_offset(ir, buffer, indices);
    int64_t elements;
    return const_is_int(node, offset) && const_is_int(type_elements(ir, buffer->type), &elements) && *offset >= 0 &&
           *offset < elements;
}

/* Integers are evaluated as index expressions: a shape's arithmetic does not wrap. */
static Node *as_index(Ir *ir, Node *node)
{
    return dtype_is_integer(node->type.dtype) ? cast_make(ir, node, DTYPE_INDEX) : node;
}

/* Sums of floats have an order, and are left to the run; the largest and the least of a detector's dims have none. */
static Node *evaluate_fold(Evaluation *evaluation, Node *node)
{
    static const Op step[] = {[FOLD_SUM] = OP_add, [FOLD_PROD] = OP_mul, [FOLD_MAX] = OP_max, [FOLD_MIN] = OP_min, [FOLD_AND] = OP_and, [FOLD_OR] = OP_or};
    int64_t extent;
    const FoldKind kind = node->payload.fold.kind;
    const bool ordered = dtype_is_float(node->type.dtype) && kind != FOLD_MAX && kind != FOLD_MIN;
    if (kind > FOLD_OR || node->axis_count != 1 || !const_is_int(node->axes[0]->inputs[0], &extent) || extent < 1 ||
        extent > CONTENTS_MAX || ordered)
        return NULL;
    Node *total = NULL;
    for (int64_t i = 0; i < extent; i++) {
        Node *const at = index_const(evaluation->ir, i);
        Node *const term =
            evaluate(evaluation, node_substitute(evaluation->ir, node->inputs[0], node->axes, &at, 1));
        if (!term)
            return NULL;
        total = total ? scalar2(evaluation->ir, step[kind], total, term) : term;
    }
    return total;
}

/* Truncating division on indices whose signs are known to be plain becomes floordiv, which polynomials understand. */
static Node *evaluate_scalar(Evaluation *evaluation, const Node *node, Node **in)
{
    Ir *const ir = evaluation->ir;
    if (node->op == OP_cast)
        return dtype_is_integer(node->type.dtype) ? cast_make(ir, in[0], DTYPE_INDEX)
                                                  : cast_make(ir, in[0], node->type.dtype);
    if (!scalar_can_evaluate(node->op) || node->op == OP_bitcast)
        return NULL; /* what a run evaluates are sizes: arithmetic, no functions; an index has no bits */
    const bool index = in[node->input_count - 1]->type.dtype == DTYPE_INDEX;
    if (index && (node->op == OP_div || node->op == OP_rem) && index_range(ir, in[0]).low >= 0 &&
        index_range(ir, in[1]).low >= 0)
        return node->op == OP_div ? index_floordiv(ir, in[0], in[1]) : index_mod(ir, in[0], in[1]);
    return scalar_make(ir, node->op, in, (int)node->input_count);
}

/* `node` with every element replaced by its known content; NULL when one is not known. Recursion follows the text of one stage. */
static Node *evaluate(Evaluation *evaluation, Node *node)
{
    if (--evaluation->budget < 0)
        return NULL;
    Ir *const ir = evaluation->ir;
    if (node->op == OP_const)
        return as_index(ir, node);
    if (node->op == OP_symbol)
        return node;
    Node *in[RANK_MAX + 1];
    if (node->op == OP_at) {
        Node **const elements = elements_of(evaluation, node->inputs[0]);
        int64_t offset;
        if (!elements)
            return NULL;
        for (uint32_t i = 1; i < node->input_count; i++)
            if (!(in[i] = evaluate(evaluation, node->inputs[i])))
                return NULL;
        return constant_offset(ir, node->inputs[0], in + 1, &offset) ? elements[offset] : NULL;
    }
    if (node->op == OP_fold)
        return evaluate_fold(evaluation, node);
    if (node->op == OP_bound) {
        in[0] = evaluate(evaluation, node->inputs[0]);
        in[1] = evaluate(evaluation, node->inputs[1]);
        Node *const inside = in[0] && in[1] ? bound_make(ir, in[0], in[1]) : NULL;
        return inside && inside->op != OP_bound ? inside : NULL;
    }
    if (node->op == OP_guard || node->op == OP_select) {
        in[0] = evaluate(evaluation, node->inputs[0]);
        int64_t known;
        if (!in[0])
            return NULL;
        if (const_is_int(in[0], &known))
            return evaluate(evaluation, node->inputs[known ? 1 : 2]);
        in[1] = evaluate(evaluation, node->inputs[1]);
        in[2] = evaluate(evaluation, node->inputs[2]);
        return in[1] && in[2] ? scalar_make(ir, OP_select, in, 3) : NULL;
    }
    if (!op_is_scalar(node->op))
        return NULL;
    for (uint32_t i = 0; i < node->input_count; i++)
        if (!(in[i] = evaluate(evaluation, node->inputs[i])))
            return NULL;
    return evaluate_scalar(evaluation, node, in);
}

static bool evaluate_stage(Evaluation *evaluation, Node *stage)
{
    Ir *const ir = evaluation->ir;
    int64_t extents[RANK_MAX], points = 1;
    for (int i = 0; i < stage->axis_count; i++) {
        if (!const_is_int(stage->axes[i]->inputs[0], &extents[i]) || extents[i] < 0 || extents[i] > CONTENTS_MAX)
            return false;
        points *= extents[i];
        if (points > CONTENTS_MAX)
            return false;
    }
    Node **elements = elements_of(evaluation, stage_buffer(stage));
    if (!elements) {
        if (evaluation->count == 16)
            return false;
        elements = NEW_ARRAY(ir->arena, Node *, CONTENTS_MAX);
        evaluation->buffers[evaluation->count] = stage_buffer(stage);
        evaluation->elements[evaluation->count++] = elements;
    }
    for (int64_t point = 0; point < points; point++) {
        Node *at[RANK_MAX], *indices[RANK_MAX];
        int64_t rest = point, offset;
        for (int i = stage->axis_count - 1; i >= 0; i--) {
            at[i] = index_const(ir, rest % extents[i]);
            rest /= extents[i];
        }
        for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
            indices[i] = node_substitute(ir, stage_indices(stage)[i], stage->axes, at, stage->axis_count);
        Node *const value = evaluate(
            evaluation, node_substitute(ir, stage_value(stage), stage->axes, at, stage->axis_count));
        if (!value || !constant_offset(ir, stage_buffer(stage), indices, &offset) || offset >= CONTENTS_MAX)
            return false;
        elements[offset] = as_index(ir, value);
    }
    return true;
}

static Node *buffer_for(Ir *ir, Type type)
{
    return buffer_make(ir, type, &(Buffer){.name = "c", .place = PLACE_TEMP});
}

bool contents_evaluate(Ir *ir, const Node *node, Node *const **contents)
{
    Evaluation evaluation = {.ir = ir, .budget = EVALUATION_LIMIT};
    const int outputs = node->result_count > 1 ? node->result_count : 1;
    if (node->input_count + (uint32_t)outputs > 15)
        return false;
    Node *inputs[16] = {0}, *output[16];
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (is_omitted(node->inputs[i]))
            continue;
        inputs[i] = buffer_for(ir, node->inputs[i]->type);
        if (!node->inputs[i]->contents)
            continue;
        evaluation.buffers[evaluation.count] = inputs[i];
        evaluation.elements[evaluation.count++] = (Node **)node->inputs[i]->contents;
    }
    for (int i = 0; i < outputs; i++)
        output[i] = buffer_for(ir, node_result((Node *)(uintptr_t)node, i)->type);
    Block *const kernels = block_make(ir);
    if (!node_lower(ir, node, inputs, output, kernels))
        return false;
    for (int i = 0; i < kernels->count; i++)
        if (kernel_is_procedure(kernels->nodes[i]))
            return false;
    for (int i = 0; i < kernels->count; i++)
        for (int j = 0; j < kernel_stages(kernels->nodes[i])->count; j++)
            if (!evaluate_stage(&evaluation, kernel_stages(kernels->nodes[i])->nodes[j]))
                return false;
    for (int i = 0; i < outputs; i++) {
        int64_t elements;
        contents[i] = elements_of(&evaluation, output[i]);
        if (!contents[i] || !const_is_int(type_elements(ir, output[i]->type), &elements))
            return false;
        for (int64_t j = 0; j < elements; j++)
            if (!contents[i][j])
                return false;
    }
    return true;
}
