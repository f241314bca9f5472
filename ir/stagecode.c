/* Stage expressions as operations of a scheduled kernel: see loops.h. */
#include "ir/kernel.h"
#include "ir/loops.h"
#include "ir/map.h"
#include "ir/math.h"

#include <string.h>

/* Values already emitted; they are valid in the block that was current and inside it. What is preset stands for the
 * expression under any mask and in any loop inside. */
typedef struct StageMemo {
    NodeMap map;
    NodeMap *presets; /* shared by all that is inside */
} StageMemo;

/* around: NULL, or that of the code around */
static StageMemo *memo_make(Ir *ir, const StageMemo *around)
{
    StageMemo *const memo = NEW(ir->arena, StageMemo);
    map_open(&memo->map, ir->arena);
    memo->presets = around ? around->presets : NEW(ir->arena, NodeMap);
    if (!around)
        map_open(memo->presets, ir->arena);
    return memo;
}

StageEmitter stage_emitter(Ir *ir, const Node *kernel, Block *block)
{
    return (StageEmitter){.ir = ir, .kernel = kernel, .block = block, .lanes = 1, .memo = memo_make(ir, NULL)};
}

StageEmitter stage_emitter_within(const StageEmitter *around, Block *block)
{
    StageEmitter emitter = *around;
    emitter.block = block;
    emitter.memo = memo_make(around->ir, around->memo);
    return emitter;
}

static Node *ordered(Ir *ir, Block *block, const Node *draft)
{
    Node *const node = node_make(ir, draft);
    block_append(ir, block, node);
    return node;
}

Block *body_for(Ir *ir, Block *block, Node *variable, Node *lower, Node *upper, int64_t step)
{
    Block *body = block_make(ir);
    ordered(ir, block,
            &(Node){.op = OP_for,
                    .axes = &variable,
                    .axis_count = 1,
                    .inputs = (Node *[]){lower, upper, index_const(ir, step)},
                    .input_count = 3,
                    .blocks = &body,
                    .block_count = 1});
    return body;
}

Block *body_units(Ir *ir, Block *block, Node *unit)
{
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const end = node_make(ir, &(Node){.op = OP_end, .type = type_scalar(DTYPE_INDEX)});
    return body_for(ir, block, unit, begin, end, 1);
}

Node *body_var(Ir *ir, Block *block, Node *initial)
{
    return ordered(ir, block, &(Node){.op = OP_var, .type = initial->type, .inputs = &initial, .input_count = 1});
}

Node *body_get(Ir *ir, Block *block, Node *var)
{
    return ordered(ir, block, &(Node){.op = OP_get, .type = var->type, .inputs = &var, .input_count = 1});
}

void body_set(Ir *ir, Block *block, Node *var, Node *value)
{
    value = splat_make(ir, value, value->type.lanes == var->type.lanes ? 1 : var->type.lanes);
    ordered(ir, block, &(Node){.op = OP_set, .inputs = (Node *[]){var, value}, .input_count = 2});
}

static uint64_t extreme_bits(Dtype dtype, bool largest)
{
    const int bits = dtype_info[dtype].bits;
    if (dtype == DTYPE_F32)
        return largest ? 0x7f800000u : 0xff800000u;
    if (dtype == DTYPE_F64)
        return largest ? 0x7ff0000000000000u : 0xfff0000000000000u;
    if (dtype == DTYPE_BOOL)
        return largest;
    if (dtype_is_signed(dtype)) {
        const int64_t low = bits == 64 ? INT64_MIN : -((int64_t)1 << (bits - 1));
        return (uint64_t)(largest ? ~low : low);
    }
    return !largest ? 0 : bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

Node *fold_neutral(Ir *ir, FoldKind kind, Dtype dtype)
{
    switch (kind) {
    case FOLD_SUM:
    case FOLD_OR:
        return const_int(ir, dtype, 0);
    case FOLD_PROD:
    case FOLD_AND:
        return const_int(ir, dtype, 1);
    case FOLD_MIN:
    case FOLD_ARGMIN:
    case FOLD_ARGMIN_LAST:
        return const_bits(ir, type_scalar(dtype), extreme_bits(dtype, true));
    default:
        return const_bits(ir, type_scalar(dtype), extreme_bits(dtype, false));
    }
}

Node *fold_step(Ir *ir, FoldKind kind, Node *a, Node *b)
{
    static const Op step[] = {[FOLD_SUM] = OP_add, [FOLD_PROD] = OP_mul, [FOLD_MAX] = OP_max,
                              [FOLD_MIN] = OP_min, [FOLD_AND] = OP_and,  [FOLD_OR] = OP_or};
    return scalar2(ir, step[kind], a, b);
}

/* ---- memory ---- */

/* Where lanes stand in memory: all at one place, one after the other, or anywhere. */
typedef enum Spread { SPREAD_NONE, SPREAD_ONE, SPREAD_ANY } Spread;

/* The offset of lane 0 (SPREAD_NONE, SPREAD_ONE) or the vector of offsets (SPREAD_ANY). */
static Spread emit_offset(StageEmitter *emitter, Node *buffer, Node *const *indices, Node **offset)
{
    Ir *const ir = emitter->ir;
    Node *const linear = layout_offset(ir, buffer, indices);
    if (!emitter->lane_axis || !node_depends(ir, linear, emitter->lane_axis)) {
        *offset = stage_emit(emitter, linear);
        return SPREAD_NONE;
    }
    Node *rest, *const factor = index_coefficient(ir, linear, emitter->lane_axis, &rest);
    if (!factor) {
        *offset = stage_emit(emitter, linear);
        return SPREAD_ANY;
    }
    /* The lane axis stands for lane 0 inside the loop that binds it. */
    Node *const factor_value = stage_emit(emitter, factor);
    Node *const first = emitter->lane_base ? emitter->lane_base : emitter->lane_axis;
    Node *const base = index_add(ir, stage_emit(emitter, rest), index_mul(ir, factor_value, first));
    if (index_is(factor, 1)) {
        *offset = base;
        return SPREAD_ONE;
    }
    Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, emitter->lanes)});
    *offset = index_add(ir, base, index_mul(ir, iota, factor_value));
    return SPREAD_ANY;
}

static bool lane_wise(const StageEmitter *emitter, Spread spread)
{
    return spread != SPREAD_NONE && emitter->lanes > 1;
}

/* All (FOLD_AND) or any (FOLD_OR) of the lanes. `reduce` halves powers of two; other counts fall into such parts, whose
 * order does not matter for bools. */
static Node *reduce_bools(Ir *ir, FoldKind kind, Node *vector)
{
    const int lanes = vector->type.lanes;
    Node *result = NULL;
    for (int first = 0, part = 1 << 10; first < lanes; part /= 2) {
        if (lanes - first < part)
            continue;
        Node *piece = vector;
        if (part < lanes)
            piece = node_make(ir, &(Node){.op = part == 1 ? OP_extract : OP_slice,
                                          .type = type_vector(DTYPE_BOOL, part),
                                          .inputs = &vector,
                                          .input_count = 1,
                                          .payload.integer = first});
        if (part > 1)
            piece = node_make(ir, &(Node){.op = OP_reduce,
                                          .type = type_scalar(DTYPE_BOOL),
                                          .inputs = &piece,
                                          .input_count = 1,
                                          .payload.fold = {(uint8_t)kind, 1}});
        result = result ? fold_step(ir, kind, result, piece) : piece;
        first += part;
    }
    return result;
}

/* A mask for a value of `lanes`: a vector mask does for scalars when any lane is on. */
static Node *mask_for(StageEmitter *emitter, int lanes)
{
    Node *const mask = emitter->mask;
    if (!mask || mask->type.lanes == lanes)
        return mask;
    if (lanes > 1)
        return splat_make(emitter->ir, mask, lanes);
    return reduce_bools(emitter->ir, FOLD_OR, mask);
}

static Node *emit_at(StageEmitter *emitter, Node *node)
{
    Ir *const ir = emitter->ir;
    Node *const buffer = node->inputs[0];
    Node *offset;
    const Spread spread = emit_offset(emitter, buffer, node->inputs + 1, &offset);
    const Type type = type_vector(buffer->type.dtype, lane_wise(emitter, spread) ? emitter->lanes : 1);
    Node *const mask = mask_for(emitter, type.lanes);
    Node *inputs[4] = {buffer, offset, mask, NULL};
    if (mask)
        inputs[3] = splat_make(ir, const_int(ir, type.dtype, 0), type.lanes);
    const bool written = place_is_inner(buffer->payload.buffer->place) || kernel_writes(emitter->kernel, buffer);
    Node draft = {.op = spread == SPREAD_ANY && type.lanes > 1 ? OP_gather
                        : written                              ? OP_read
                                                               : OP_load,
                  .type = type,
                  .inputs = inputs,
                  .input_count = mask ? 4 : 2};
    return draft.op == OP_read ? ordered(ir, emitter->block, &draft) : node_make(ir, &draft);
}

void stage_emit_store(StageEmitter *emitter, Node *buffer, Node *const *indices, Node *value)
{
    Ir *const ir = emitter->ir;
    Node *offset;
    const Spread spread = emit_offset(emitter, buffer, indices, &offset);
    const int lanes = lane_wise(emitter, spread) ? emitter->lanes : 1;
    if (value->type.lanes != lanes)
        value = splat_make(ir, value, lanes);
    Node *const mask = mask_for(emitter, lanes);
    ordered(ir, emitter->block,
            &(Node){.op = spread == SPREAD_ANY && lanes > 1 ? OP_scatter : OP_store,
                    .inputs = (Node *[]){buffer, offset, value, mask},
                    .input_count = mask ? 4 : 3});
}

/* ---- reductions ---- */

/* Loops over the reduced axes [0, count); the emitter's block becomes the innermost body. */
static StageEmitter reduction_loops(const StageEmitter *emitter, Node *const *axes, int count)
{
    StageEmitter inner = *emitter;
    inner.memo = memo_make(emitter->ir, emitter->memo);
    Node *const zero = index_const(emitter->ir, 0);
    for (int i = 0; i < count; i++) {
        StageEmitter bounds = inner;
        Node *const extent = stage_emit(&bounds, axes[i]->inputs[0]); /* may be ragged: depend on outer axes */
        inner.block = body_for(emitter->ir, inner.block, axes[i], zero, extent, 1);
    }
    return inner;
}

static int value_lanes(const StageEmitter *emitter, Node *node)
{
    return emitter->lane_axis && node_depends(emitter->ir, node, emitter->lane_axis) ? emitter->lanes : 1;
}

/* lanes 1: one accumulator per output element, reduced axes ascending. */
static Node *emit_fold_plain(StageEmitter *emitter, Node *node)
{
    Ir *const ir = emitter->ir;
    const FoldKind kind = node->payload.fold.kind;
    Node *const start = splat_make(ir, fold_neutral(ir, kind, node->type.dtype), value_lanes(emitter, node));
    Node *const total = body_var(ir, emitter->block, start);
    StageEmitter inner = reduction_loops(emitter, node->axes, node->axis_count);
    Node *const value = stage_emit(&inner, node->inputs[0]);
    body_set(ir, inner.block, total, fold_step(ir, kind, body_get(ir, inner.block, total), value));
    return body_get(ir, emitter->block, total);
}

enum { FOLD_PARTS = 4 };

/* Steps of the fold for vectors [from, to) along `axis`, `parts` of them at a time, each with a total of its own. */
static void emit_fold_vectors(const StageEmitter *outer, Node *node, Node *const *totals, int parts, Node *from,
                              Node *to)
{
    Ir *const ir = outer->ir;
    const FoldKind kind = node->payload.fold.kind;
    const int lanes = node->payload.fold.lanes;
    Node *const axis = node->axes[node->axis_count - 1];
    Block *const block = body_for(ir, outer->block, axis, from, to, lanes * parts);
    for (int part = 0; part < parts; part++) {
        StageEmitter body = *outer;
        body.memo = memo_make(ir, outer->memo);
        body.lane_axis = axis;
        body.lane_base = part ? index_add(ir, axis, index_const(ir, part * lanes)) : NULL;
        body.lanes = lanes;
        body.block = block;
        Node *const value = stage_emit(&body, node->inputs[0]);
        body_set(ir, block, totals[part], fold_step(ir, kind, body_get(ir, block, totals[part]), value));
    }
}

/* Sixteen virtual lanes along the last reduced axis: whole vectors, then a masked tail, then the tree. The largest and
 * the smallest do not depend on the order: several totals, for one would wait for itself. */
static Node *emit_fold_lanes(StageEmitter *emitter, Node *node)
{
    Ir *const ir = emitter->ir;
    const FoldKind kind = node->payload.fold.kind;
    const int lanes = node->payload.fold.lanes;
    if (emitter->lanes > 1 && value_lanes(emitter, node) > 1)
        BUG("a fold of %d lanes inside a vector of %d", lanes, emitter->lanes);
    Node *const neutral = splat_make(ir, fold_neutral(ir, kind, node->type.dtype), lanes);
    Node *const total = body_var(ir, emitter->block, neutral);
    StageEmitter outer = reduction_loops(emitter, node->axes, node->axis_count - 1);
    Node *const axis = node->axes[node->axis_count - 1], *const width = index_const(ir, lanes);
    Node *const extent = stage_emit(&outer, axis->inputs[0]);
    Node *const whole = index_mul(ir, index_floordiv(ir, extent, width), width);
    Node *begin = index_const(ir, 0);
    int64_t length;
    if ((kind == FOLD_MAX || kind == FOLD_MIN) && (!const_is_int(extent, &length) || length >= lanes * FOLD_PARTS)) {
        Node *totals[FOLD_PARTS] = {total};
        for (int i = 1; i < FOLD_PARTS; i++)
            totals[i] = body_var(ir, outer.block, neutral);
        Node *const round = index_const(ir, lanes * FOLD_PARTS);
        begin = index_mul(ir, index_floordiv(ir, extent, round), round);
        emit_fold_vectors(&outer, node, totals, FOLD_PARTS, index_const(ir, 0), begin);
        for (int i = 1; i < FOLD_PARTS; i++)
            body_set(ir, outer.block, total,
                     fold_step(ir, kind, body_get(ir, outer.block, total), body_get(ir, outer.block, totals[i])));
    }
    if (whole != begin)
        emit_fold_vectors(&outer, node, &total, 1, begin, whole);
    if (whole != extent) {
        StageEmitter tail = outer;
        tail.memo = memo_make(ir, outer.memo);
        tail.lane_axis = axis;
        tail.lanes = lanes;
        tail.block = body_for(ir, outer.block, axis, whole, extent, lanes); /* once, or never when nothing is left */
        Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, lanes)});
        Node *const inside = scalar2(ir, OP_lt, index_add(ir, iota, axis), splat_make(ir, extent, lanes));
        tail.mask = emitter->mask ? scalar2(ir, OP_and, inside, mask_for(emitter, 1)) : inside;
        Node *const value = stage_emit(&tail, node->inputs[0]);
        Node *const kept =
            scalar3(ir, OP_select, inside, splat_make(ir, value, value->type.lanes == lanes ? 1 : lanes), neutral);
        body_set(ir, tail.block, total, fold_step(ir, kind, body_get(ir, tail.block, total), kept));
    }
    Node *const all = body_get(ir, emitter->block, total);
    return node_make(ir, &(Node){.op = OP_reduce,
                                 .type = type_scalar(node->type.dtype),
                                 .inputs = &all,
                                 .input_count = 1,
                                 .payload.fold = {(uint8_t)kind, 1}});
}

/* Position of the extreme value; NaN is extreme, and the first (or last) of equals wins. */
static Node *emit_arg(StageEmitter *emitter, Node *node)
{
    Ir *const ir = emitter->ir;
    const FoldKind kind = node->payload.fold.kind;
    const bool last = kind == FOLD_ARGMAX_LAST || kind == FOLD_ARGMIN_LAST;
    const bool largest = kind == FOLD_ARGMAX || kind == FOLD_ARGMAX_LAST;
    const int lanes = value_lanes(emitter, node);
    const Dtype dtype = node->inputs[0]->type.dtype;
    Node *const best = body_var(ir, emitter->block, splat_make(ir, fold_neutral(ir, kind, dtype), lanes));
    Node *const place = body_var(ir, emitter->block, splat_make(ir, index_const(ir, 0), lanes));
    StageEmitter inner = reduction_loops(emitter, node->axes, node->axis_count);
    Node *const value = stage_emit(&inner, node->inputs[0]);
    Node *const so_far = body_get(ir, inner.block, best);
    Node *better = scalar2(ir, largest ? (last ? OP_ge : OP_gt) : (last ? OP_le : OP_lt), value, so_far);
    if (dtype_is_float(dtype)) {
        Node *const nan = scalar1(ir, OP_isnan, value), *const had = scalar1(ir, OP_isnan, so_far);
        Node *const first = last ? nan : scalar2(ir, OP_and, nan, scalar1(ir, OP_not, had));
        better = scalar2(ir, OP_or, better, first);
    }
    body_set(ir, inner.block, place, scalar3(ir, OP_select, better, node->axes[0], body_get(ir, inner.block, place)));
    body_set(ir, inner.block, best, scalar3(ir, OP_select, better, value, so_far));
    return body_get(ir, emitter->block, place);
}

/* One accumulator per output element, the reduced axes ascending, by fma (integers: wrapping multiply and add). */
static Node *emit_contract(StageEmitter *emitter, Node *node)
{
    Ir *const ir = emitter->ir;
    const Dtype dtype = node->type.dtype;
    Node *const start = splat_make(ir, const_int(ir, dtype, 0), value_lanes(emitter, node));
    Node *const total = body_var(ir, emitter->block, start);
    StageEmitter inner = reduction_loops(emitter, node->axes, node->axis_count);
    Node *const a = cast_make(ir, stage_emit(&inner, node->inputs[0]), dtype);
    Node *const b = cast_make(ir, stage_emit(&inner, node->inputs[1]), dtype);
    Node *const before = body_get(ir, inner.block, total);
    body_set(ir, inner.block, total,
             dtype_is_float(dtype) && !emitter->apart ? scalar3(ir, OP_fma, a, b, before)
                                                      : scalar2(ir, OP_add, before, scalar2(ir, OP_mul, a, b)));
    return body_get(ir, emitter->block, total);
}

/* ---- expressions ---- */

static Node *emit_guard(StageEmitter *emitter, Node *node)
{
    Ir *const ir = emitter->ir;
    Node *const condition = stage_emit(emitter, node->inputs[0]);
    StageEmitter inside = *emitter;
    inside.memo = memo_make(ir, emitter->memo);
    inside.mask = emitter->mask ? scalar2(ir, OP_and, emitter->mask, condition) : condition;
    Node *const value = stage_emit(&inside, node->inputs[1]);
    return scalar3(ir, OP_select, condition, value, stage_emit(emitter, node->inputs[2]));
}

/* A run-time index: reported when it is outside (and would be used), then brought inside. */
static Node *emit_bound(StageEmitter *emitter, const Node *node)
{
    Ir *const ir = emitter->ir;
    Node *const index = stage_emit(emitter, node->inputs[0]), *const extent = stage_emit(emitter, node->inputs[1]);
    Node *const last = index_sub(ir, extent, index_const(ir, 1));
    Node *inside = scalar2(ir, OP_and, scalar2(ir, OP_ge, index, index_const(ir, 0)), scalar2(ir, OP_le, index, last));
    if (emitter->mask)
        inside = scalar2(ir, OP_or, inside, scalar1(ir, OP_not, mask_for(emitter, inside->type.lanes)));
    if (inside->type.lanes > 1)
        inside = reduce_bools(ir, FOLD_AND, inside);
    ordered(ir, emitter->block,
            &(Node){.op = OP_check, .inputs = &inside, .input_count = 1, .payload.integer = ERROR_INDEX});
    return scalar2(ir, OP_max, scalar2(ir, OP_min, index, last), index_const(ir, 0));
}

static Node *emit_scalar(StageEmitter *emitter, Node *node)
{
    Ir *const ir = emitter->ir;
    Node *in[3];
    bool same = true;
    for (uint32_t i = 0; i < node->input_count; i++) {
        in[i] = stage_emit(emitter, node->inputs[i]);
        same = same && in[i] == node->inputs[i];
    }
    if (node->op == OP_cast)
        return cast_make(ir, in[0], node->type.dtype);
    if (node->op == OP_bitcast)
        return bitcast_make(ir, in[0], node->type.dtype);
    if (math_is_transcendental(node->op))
        return math_expand(ir, node->op, in, (int)node->input_count);
    return same ? node : scalar_make(ir, node->op, in, (int)node->input_count);
}

static Node *emit_new(StageEmitter *emitter, Node *node)
{
    Ir *const ir = emitter->ir;
    switch (node->op) {
    case OP_at:
        return emit_at(emitter, node);
    case OP_guard:
        return emit_guard(emitter, node);
    case OP_bound:
        return emit_bound(emitter, node);
    case OP_contract:
        return emit_contract(emitter, node);
    case OP_fold:
        return node->payload.fold.kind >= FOLD_ARGMAX ? emit_arg(emitter, node)
               : node->payload.fold.lanes > 1         ? emit_fold_lanes(emitter, node)
                                                      : emit_fold_plain(emitter, node);
    case OP_axis:
        if (node != emitter->lane_axis)
            return node;
        if (emitter->lanes == 1)
            return emitter->lane_base ? emitter->lane_base : node;
        return index_add(ir, emitter->lane_base ? emitter->lane_base : node,
                         node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, emitter->lanes)}));
    default:
        return op_is_scalar(node->op) ? emit_scalar(emitter, node) : node;
    }
}

void stage_preset(StageEmitter *emitter, Node *expression, Node *value)
{
    map_set(emitter->memo->presets, expression, value);
}

/* Recursion follows the text of one stage, which is bounded (512 nodes). */
Node *stage_emit(StageEmitter *emitter, Node *expression)
{
    Node *known = map_get(&emitter->memo->map, expression);
    if (!known)
        known = map_get(emitter->memo->presets, expression);
    if (known)
        return known;
    Node *const value = emit_new(emitter, expression);
    map_set(&emitter->memo->map, expression, value);
    return value;
}
