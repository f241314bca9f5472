/* The window template: see window.h.
 *
 *     for unit in chunk:  other axes, band of blocks of rows, group of channels
 *         for each block of rows of the band, each block of columns, each vector of channels of the group:
 *             acc[output] = neutral
 *             for each input position of the block in order:
 *                 for each output and tap that read it:  acc[output] = step(acc[output], X[position], weight[tap])
 *             Y[output] = epilogue(acc[output])
 *
 * Blocks that no border cuts have code without guards; in blocks on a border, positions outside have the guard's value,
 * so that every tap counts everywhere. Taps keep the reduction's order, so the bits are those of the plain loops. An
 * operand that takes arithmetic, or whose channels are apart in memory, is copied first, a band at a time. */
#include "codegen/window.h"

#include "codegen/window_bytes.h"
#include "codegen/window_plan.h"
#include "ir/kernel.h"
#include "ir/loops.h"

/* The block that is being emitted. */
typedef struct Spot {
    Block *block;
    Node *channel, *mask;        /* the first channel of the vector; lanes that are channels, NULL: all */
    Node *first[WINDOW_SPATIAL]; /* output */
    int size[WINDOW_SPATIAL];    /* outputs */
    Node *input_row;             /* copied: the row of the input that scratch begins with */
} Spot;

static Node *iota(const Window *w)
{
    return node_make(w->ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, w->lanes)});
}

static StageEmitter channel_emitter(const Window *w, const Spot *spot, Block *block)
{
    StageEmitter emitter = stage_emitter(w->ir, w->kernel, block);
    emitter.lane_axis = w->lane;
    emitter.lane_base = spot->channel;
    emitter.lanes = w->lanes;
    emitter.mask = spot->mask;
    return emitter;
}

/* ---- inputs ---- */

static Node *local_offset(const Window *w, Node *row, Node *column)
{
    Ir *const ir = w->ir;
    return index_mul(ir, index_add(ir, index_mul(ir, row, index_const(ir, w->columns)), column),
                     index_const(ir, w->lanes));
}

/* The operand at input positions `at`. */
static Node *emit_operand(const Window *w, const Spot *spot, StageEmitter *emitter, Node *const *at)
{
    Ir *const ir = w->ir;
    if (!w->copied) {
        Node *const from[WINDOW_SPATIAL] = {w->direction[0].index, w->direction[1].index};
        return stage_emit(emitter, node_substitute(ir, w->operand, from, at, WINDOW_SPATIAL));
    }
    Node *const row = index_sub(ir, at[0], spot->input_row), *const column = index_sub(ir, at[1], w->direction[1].rest);
    Node *const inputs[2] = {w->local, local_offset(w, row, column)};
    Node *const value = node_make(
        ir, &(Node){.op = OP_read, .type = type_vector(DTYPE_F32, w->lanes), .inputs = inputs, .input_count = 2});
    block_append(ir, emitter->block, value);
    return value;
}

/* `rows` rows of the input into scratch, one vector of channels wide. */
static void emit_copy(const Window *w, Spot *spot, Node *rows)
{
    Ir *const ir = w->ir;
    Node *const u = axis_make(ir, "u", index_const(ir, window_reach(&w->direction[0], w->band * w->size[0])));
    Node *const v = axis_make(ir, "v", index_const(ir, w->columns)), *const zero = index_const(ir, 0);
    Block *const row = body_for(ir, spot->block, u, zero, rows, 1);
    Block *const body = body_for(ir, row, v, zero, index_const(ir, w->columns), 1);
    Node *const from[WINDOW_SPATIAL] = {w->direction[0].index, w->direction[1].index};
    Node *const to[WINDOW_SPATIAL] = {index_add(ir, spot->input_row, u), index_add(ir, w->direction[1].rest, v)};
    StageEmitter emitter = channel_emitter(w, spot, body);
    Node *vector = stage_emit(&emitter, node_substitute(ir, w->operand, from, to, WINDOW_SPATIAL));
    vector = splat_make(ir, vector, vector->type.lanes == w->lanes ? 1 : w->lanes);
    Node *const inputs[3] = {w->local, local_offset(w, u, v), vector};
    block_append(ir, body, node_make(ir, &(Node){.op = OP_store, .inputs = inputs, .input_count = 3}));
}

/* ---- one block of outputs ---- */

/* One round of taps in a direction: which input position counted from the block's first, and which tap each output
 * takes there. */
typedef struct Step {
    int64_t moved;
    int64_t tap[WINDOW_OUTS_MAX]; /* -1: none */
} Step;

/* The positions that `size` neighbouring outputs read, ascending. */
static Step *steps_of(const Window *w, const WindowIndex *direction, int size, int *count)
{
    const int64_t reach = window_reach(direction, size);
    Step *const steps = NEW_ARRAY(w->ir->arena, Step, (size_t)(size * direction->taps));
    *count = 0;
    for (int64_t moved = 0; moved < reach; moved++) {
        Step step = {.moved = moved};
        bool used = false;
        for (int out = 0; out < size; out++) {
            const int64_t rest = moved - out * direction->stride;
            const bool taken =
                rest >= 0 && rest % direction->dilation == 0 && rest / direction->dilation < direction->taps;
            step.tap[out] = taken ? rest / direction->dilation : -1;
            used = used || taken;
        }
        if (used)
            steps[(*count)++] = step;
    }
    return steps;
}

/* The first input position of a block's outputs. */
static Node *first_input(const Window *w, const Spot *spot, int d)
{
    const WindowIndex *const direction = &w->direction[d];
    return index_add(w->ir, index_mul(w->ir, spot->first[d], index_const(w->ir, direction->stride)), direction->rest);
}

/* The weights of one tap, along the channels. */
static Node *emit_weight(const Window *w, StageEmitter *emitter, Node *const *taps)
{
    Node *const from[WINDOW_SPATIAL] = {w->direction[0].tap, w->direction[1].tap};
    return cast_make(w->ir, stage_emit(emitter, node_substitute(w->ir, w->other, from, taps, WINDOW_SPATIAL)),
                     DTYPE_F32);
}

static void accumulate(const Window *w, Block *block, Node *sum, Node *value, Node *weight)
{
    Ir *const ir = w->ir;
    Node *const before = body_get(ir, block, sum);
    value = splat_make(ir, value, value->type.lanes == w->lanes ? 1 : w->lanes);
    if (weight)
        weight = splat_make(ir, weight, weight->type.lanes == w->lanes ? 1 : w->lanes);
    body_set(ir, block, sum,
             weight ? scalar3(ir, OP_fma, value, weight, before)
                    : fold_step(ir, w->reduction->payload.fold.kind, before, value));
}

/* What is read at input positions `at`, into all sums that it belongs to: `taps[d][out]`, NULL: none. */
static void emit_position(const Window *w, const Spot *spot, StageEmitter *emitter, Node **sums, Node *const *at,
                          Node *taps[WINDOW_SPATIAL][WINDOW_OUTS_MAX])
{
    Node *value = NULL;
    for (int row = 0; row < spot->size[0]; row++)
        for (int column = 0; column < spot->size[1]; column++) {
            Node *const tap[WINDOW_SPATIAL] = {taps[0][row], taps[1][column]};
            if (!tap[0] || !tap[1])
                continue;
            value = value ? value : emit_operand(w, spot, emitter, at);
            accumulate(w, emitter->block, sums[row * spot->size[1] + column], value,
                       w->other ? emit_weight(w, emitter, tap) : NULL);
        }
}

static void taps_of(const Window *w, const Step *step, int size, Node **taps)
{
    for (int out = 0; out < size; out++)
        taps[out] = step->tap[out] < 0 ? NULL : index_const(w->ir, step->tap[out]);
}

/* All positions in the order of the reduction. */
static void emit_unrolled(const Window *w, const Spot *spot, Node **sums)
{
    Ir *const ir = w->ir;
    int outer = 1, counts[WINDOW_SPATIAL]; /* the direction whose taps come first in the reduction */
    for (int i = 0; i < w->reduction->axis_count; i++)
        if (w->reduction->axes[i] == w->direction[0].tap) {
            outer = 0;
            break;
        } else if (w->reduction->axes[i] == w->direction[1].tap) {
            break;
        }
    const Step *steps[WINDOW_SPATIAL];
    for (int d = 0; d < WINDOW_SPATIAL; d++)
        steps[d] = steps_of(w, &w->direction[d], spot->size[d], &counts[d]);
    StageEmitter emitter = channel_emitter(w, spot, spot->block);
    const int inner = 1 - outer;
    for (int i = 0; i < counts[outer]; i++)
        for (int j = 0; j < counts[inner]; j++) {
            Node *at[WINDOW_SPATIAL], *taps[WINDOW_SPATIAL][WINDOW_OUTS_MAX];
            const Step *const step[WINDOW_SPATIAL] = {&steps[0][outer ? j : i], &steps[1][outer ? i : j]};
            for (int d = 0; d < WINDOW_SPATIAL; d++) {
                at[d] = index_add(ir, first_input(w, spot, d), index_const(ir, step[d]->moved));
                taps_of(w, step[d], spot->size[d], taps[d]);
            }
            emit_position(w, spot, &emitter, sums, at, taps);
        }
}

/* One row of outputs: a loop over the rows of the window. */
static void emit_tap_loop(const Window *w, const Spot *spot, Node **sums)
{
    Ir *const ir = w->ir;
    const WindowIndex *const rows = &w->direction[0];
    int count;
    const Step *const steps = steps_of(w, &w->direction[1], spot->size[1], &count);
    Node *const tap = axis_make(ir, "tap", rows->tap->inputs[0]);
    Block *const body = body_for(ir, spot->block, tap, index_const(ir, 0), rows->tap->inputs[0], 1);
    StageEmitter emitter = channel_emitter(w, spot, body);
    Node *at[WINDOW_SPATIAL], *taps[WINDOW_SPATIAL][WINDOW_OUTS_MAX] = {{tap}};
    at[0] = index_add(ir, first_input(w, spot, 0), index_mul(ir, tap, index_const(ir, rows->dilation)));
    for (int i = 0; i < count; i++) {
        at[1] = index_add(ir, first_input(w, spot, 1), index_const(ir, steps[i].moved));
        taps_of(w, &steps[i], spot->size[1], taps[1]);
        emit_position(w, spot, &emitter, sums, at, taps);
    }
}

static void emit_output(const Window *w, const Spot *spot, Node *sum, Node *row, Node *column)
{
    Ir *const ir = w->ir;
    Node *const held = cast_make(ir, axis_make(ir, "sum", NULL), DTYPE_F32);
    Node *const outs[WINDOW_SPATIAL] = {w->direction[0].out, w->direction[1].out};
    Node *const at[WINDOW_SPATIAL] = {index_add(ir, spot->first[0], row), index_add(ir, spot->first[1], column)};
    Node *value = node_substitute(ir, stage_value(w->stage), &w->reduction, (Node *const *)&held, 1);
    value = node_substitute(ir, value, outs, at, WINDOW_SPATIAL);
    Node *indices[RANK_MAX];
    for (int i = 0; i < stage_buffer(w->stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(w->stage)[i], outs, at, WINDOW_SPATIAL);
    StageEmitter emitter = channel_emitter(w, spot, spot->block);
    stage_preset(&emitter, held, sum);
    stage_emit_store(&emitter, stage_buffer(w->stage), indices, stage_emit(&emitter, value));
}

/* A long epilogue needs registers of its own, and a copy for each output is most of a kernel's code. The sums go to
 * memory that stays in L1, the epilogue is a loop over outputs. */
static void emit_outputs_from_memory(const Window *w, const Spot *spot, Node *const *sums)
{
    Ir *const ir = w->ir;
    const int64_t pitch = w->size[1];
    for (int i = 0; i < spot->size[0] * spot->size[1]; i++) {
        const int64_t place = (i / spot->size[1] * pitch + i % spot->size[1]) * w->lanes;
        Node *const inputs[3] = {w->sums, index_const(ir, place), body_get(ir, spot->block, sums[i])};
        block_append(ir, spot->block, node_make(ir, &(Node){.op = OP_store, .inputs = inputs, .input_count = 3}));
    }
    Node *const row = axis_make(ir, "outrow", index_const(ir, spot->size[0]));
    Node *const column = axis_make(ir, "outcolumn", index_const(ir, spot->size[1])), *const zero = index_const(ir, 0);
    Spot inside = *spot;
    inside.block =
        body_for(ir, body_for(ir, spot->block, row, zero, row->inputs[0], 1), column, zero, column->inputs[0], 1);
    Node *const number = index_add(ir, index_mul(ir, row, index_const(ir, pitch)), column);
    Node *const inputs[2] = {w->sums, index_mul(ir, number, index_const(ir, w->lanes))};
    Node *const sum = node_make(
        ir, &(Node){.op = OP_read, .type = type_vector(DTYPE_F32, w->lanes), .inputs = inputs, .input_count = 2});
    block_append(ir, inside.block, sum);
    emit_output(w, &inside, sum, row, column);
}

static void emit_block(const Window *w, const Spot *spot)
{
    Ir *const ir = w->ir;
    Node *sums[WINDOW_OUTS_MAX];
    Node *const neutral =
        w->other ? const_int(ir, DTYPE_F32, 0) : fold_neutral(ir, w->reduction->payload.fold.kind, DTYPE_F32);
    const int count = spot->size[0] * spot->size[1];
    for (int i = 0; i < count; i++)
        sums[i] = body_var(ir, spot->block, splat_make(ir, neutral, w->lanes));
    if (w->tap_loop)
        emit_tap_loop(w, spot, sums);
    else
        emit_unrolled(w, spot, sums);
    if (w->sums) {
        emit_outputs_from_memory(w, spot, sums);
        return;
    }
    for (int i = 0; i < count; i++)
        emit_output(w, spot, body_get(ir, spot->block, sums[i]), index_const(ir, i / spot->size[1]),
                    index_const(ir, i % spot->size[1]));
}

/* ---- loops ---- */

/* The channels [from, to) of a group, `to` at most the extent: whole vectors, then what is left under a mask. */
static void emit_vectors(const Window *w, Spot spot, Node *from, Node *to)
{
    Ir *const ir = w->ir;
    Node *const extent = w->lane->inputs[0], *const wide = index_const(ir, w->lanes);
    Node *const whole = index_mul(ir, index_floordiv(ir, extent, wide), wide);
    Block *const around = spot.block;
    if (!index_is(whole, 0)) {
        spot.channel = axis_make(ir, "channel", NULL);
        spot.block = body_for(ir, around, spot.channel, from, index_min(ir, to, whole), w->lanes);
        emit_block(w, &spot);
    }
    if (whole == extent)
        return;
    spot.channel = axis_make(ir, "channel", NULL);
    spot.block = body_for(ir, around, spot.channel, index_max(ir, from, whole), to, w->lanes);
    spot.mask = scalar2(ir, OP_lt, index_add(ir, iota(w), spot.channel), splat_make(ir, extent, w->lanes));
    emit_block(w, &spot);
}

/* Binds the blocks [from, to) of one segment of direction d; from and to count all blocks of the direction, NULL: all
 * of it. */
static Block *segment_loop(const Window *w, Block *block, int d, const Segment *segment, Spot *spot, Node *from,
                           Node *to)
{
    Ir *const ir = w->ir;
    Node *const zero = index_const(ir, 0), *const count = index_const(ir, segment->count);
    Node *const start = index_const(ir, segment->first / w->size[d]);
    Node *lower = zero, *upper = count;
    if (from) {
        lower = index_min(ir, index_max(ir, index_sub(ir, from, start), zero), count);
        upper = index_min(ir, index_max(ir, index_sub(ir, to, start), zero), count);
    }
    spot->size[d] = segment->size;
    spot->first[d] = index_const(ir, segment->first);
    if (segment->count == 1 && lower == zero && upper == count)
        return block;
    Node *const number = axis_make(ir, d ? "column" : "row", count);
    if (segment->count > 1)
        spot->first[d] = index_add(ir, spot->first[d], index_mul(ir, number, index_const(ir, segment->size)));
    return body_for(ir, block, number, lower, upper, 1);
}

/* The blocks of rows [from, to), NULL: all, by the channels of a group. */
static void emit_rows(const Window *w, const Spot *unit, Node *from, Node *to, Node *channel, Node *channel_end)
{
    for (int i = 0; i < w->segments[0].count; i++) {
        Spot spot = *unit;
        Block *const rows = segment_loop(w, unit->block, 0, &w->segments[0].list[i], &spot, from, to);
        for (int j = 0; j < w->segments[1].count; j++) {
            spot.block = segment_loop(w, rows, 1, &w->segments[1].list[j], &spot, NULL, NULL);
            if (w->copied)
                emit_block(w, &spot);
            else
                emit_vectors(w, spot, channel, channel_end);
        }
    }
}

/* Rows of the input that the blocks [from, to) of rows read, copied to scratch for one vector of channels. */
static void emit_band(const Window *w, Spot *spot, Node *from, Node *to)
{
    Ir *const ir = w->ir;
    const WindowIndex *const rows = &w->direction[0];
    Node *const size = index_const(ir, w->size[0]), *const factor = index_const(ir, rows->stride);
    Node *const first = index_mul(ir, from, size);
    Node *const outs = index_sub(ir, index_min(ir, index_mul(ir, to, size), index_const(ir, rows->outs)), first);
    spot->input_row = index_add(ir, index_mul(ir, first, factor), rows->rest);
    Node *const last = index_mul(ir, index_sub(ir, outs, index_const(ir, 1)), factor);
    emit_copy(w, spot, index_add(ir, last, index_const(ir, window_reach(rows, 1))));
}

/* Units: other axes x bands x groups of channels, channels fastest: neighbours share the pages of their rows. */
static Node *emit_units(const Window *w, Block *body)
{
    Ir *const ir = w->ir;
    Node *const extent = w->lane->inputs[0], *const chunk = index_const(ir, w->chunk);
    Node *const groups = index_ceildiv(ir, extent, chunk);
    const int64_t blocks = window_row_blocks(w);
    Node *const band = index_const(ir, w->band), *const bands = index_const(ir, (blocks + w->band - 1) / w->band);
    Node *units = index_mul(ir, bands, groups);
    for (int i = 0; i < w->rest_count; i++)
        units = index_mul(ir, units, w->rest[i]->inputs[0]);
    Node *const unit = axis_make(ir, "unit", units);
    Block *block = body_units(ir, body, unit);
    Node *const channel = index_mul(ir, index_mod(ir, unit, groups), chunk);
    Node *const above = index_floordiv(ir, unit, groups);
    Node *number = index_floordiv(ir, above, bands);
    for (int i = w->rest_count - 1; i >= 0; i--) {
        Node *const points = w->rest[i]->inputs[0];
        Node *const digit = i ? index_mod(ir, number, points) : number;
        number = index_floordiv(ir, number, points);
        block = body_for(ir, block, w->rest[i], digit, index_add(ir, digit, index_const(ir, 1)), 1);
    }
    Node *const from = index_mul(ir, index_mod(ir, above, bands), band);
    Node *const to = index_min(ir, index_add(ir, from, band), index_const(ir, blocks));
    const bool all = w->band == blocks;
    Spot spot = {.block = block, .channel = channel};
    if (w->copied) {
        int64_t channels;
        if (!const_is_int(extent, &channels) || channels % w->lanes)
            spot.mask = scalar2(ir, OP_lt, index_add(ir, iota(w), channel), splat_make(ir, extent, w->lanes));
        emit_band(w, &spot, from, to);
    }
    emit_rows(w, &spot, all ? NULL : from, all ? NULL : to, channel,
              index_min(ir, index_add(ir, channel, chunk), extent));
    return units;
}

static Window window_of(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    const Block *const stages = kernel_stages(kernel);
    return (Window){.ir = ir,
                    .kernel = kernel,
                    .stage = stages->count == 1 ? window_in_floats(ir, stages->nodes[0]) : NULL,
                    .target = target,
                    .trial = trial};
}

Node *window_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Window w = window_of(ir, kernel, target, trial);
    if (!w.stage || !window_plan(&w))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&w, body);
    const char *const text =
        arena_format(ir->arena, "window %s rows=%d columns=%d channels=%lld band=%lld", w.copied ? "copied" : "direct",
                     w.size[0], w.size[1], (long long)w.chunk, (long long)w.band);
    return kernel_with_body(ir, kernel, body, units, text, w.scratch);
}

bool window_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Window w = window_of(ir, kernel, target, trial);
    if (!w.stage || !window_plan(&w))
        return false;
    *cycles = window_plan_cycles(&w, threads);
    return true;
}

bool window_emit_within(Ir *ir, Node *kernel, Block *block, Node *stage, const TargetMachineInfo *target, int shared)
{
    Window w = {.ir = ir, .kernel = kernel, .stage = stage, .target = target, .shared = shared};
    if (!window_plan(&w))
        return false;
    for (int i = 0; i < w.rest_count; i++)
        block = body_for(ir, block, w.rest[i], index_const(ir, 0), w.rest[i]->inputs[0], 1);
    Node *const zero = index_const(ir, 0), *const extent = w.lane->inputs[0];
    Node *const group = axis_make(ir, "group", NULL);
    const Spot spot = {.block = body_for(ir, block, group, zero, extent, w.chunk)};
    emit_rows(&w, &spot, NULL, NULL, group, index_min(ir, index_add(ir, group, index_const(ir, w.chunk)), extent));
    return true;
}
