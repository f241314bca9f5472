/* The window template: see window.h.
 *
 *     for unit in chunk:  other axes, block of 16 channels, band of output rows
 *         copy the band's input with its border into scratch: [rows][columns][16], borders as the guard says
 *         for each row of the band, each run of pixels of the row:
 *             acc[pixel] = neutral;  for each tap in order:  acc[pixel] = step(acc[pixel], scratch[...], weight[tap])
 *             Y[pixel] = epilogue(acc[pixel])
 *
 * The copy takes every guard out of the inner loop. Taps keep the reduction's order, so the bits are those of the plain
 * loops. */
#include "codegen/window.h"

#include "ir/kernel.h"
#include "ir/loops.h"

#include <string.h>

enum { LANES = 16, PIXELS_MAX = 14, TAPS_MAX = 81, BAND_BYTES = 40 << 10, SPATIAL_MAX = 2 };

/* One spatial direction: input position = factor*out + dilation*tap + offset. */
typedef struct Direction {
    Node *position; /* the index expression, as it stands in the operand */
    Node *out, *tap;
    int64_t factor, dilation, outs, taps;
    Node *offset;
} Direction;

typedef struct Window {
    Ir *ir;
    Node *kernel, *stage, *reduction;
    const TargetMachineInfo *target;
    Trial *trial;                     /* NULL: the cost model decides */
    Node *operand;                    /* what is read around each position */
    Node *other;                      /* contract: the weights; NULL for folds */
    Node *lane;                       /* the channel axis */
    Direction direction[SPATIAL_MAX]; /* rows, columns */
    Node *rest[RANK_MAX];             /* other output axes */
    int rest_count;
    int pixels;
    int64_t band, columns; /* output rows of a unit; input columns of a scratch row */
    Node *local;
    int64_t scratch;
} Window;

/* ---- analysis ---- */

static Node *only_reduction(Ir *ir, const Node *stage)
{
    Node *value = stage_value(stage), *found = NULL;
    int count;
    Node **const nodes = nodes_topological(ir, &value, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_contract && nodes[i]->op != OP_fold)
            continue;
        if (found || nodes[i]->type.dtype != DTYPE_F32 ||
            (nodes[i]->op == OP_fold && nodes[i]->payload.fold.lanes != 1))
            return NULL;
        found = nodes[i];
    }
    return found;
}

static Node *lane_axis(Ir *ir, const Node *stage)
{
    Node *const offset = layout_offset(ir, stage_buffer(stage), stage_indices(stage));
    for (int i = 0; i < stage->axis_count; i++) {
        Node *const factor = index_coefficient(ir, offset, stage->axes[i], NULL);
        if (factor && index_is(factor, 1) && !index_is(stage->axes[i]->inputs[0], 1))
            return stage->axes[i];
    }
    return NULL;
}

/* Fills `direction` from an index expression over one output axis and one reduced axis with constant factors and
 * extents. */
static bool direction_of(Window *w, Node *position, Direction *direction)
{
    Ir *const ir = w->ir;
    *direction = (Direction){.position = position};
    for (int i = 0; i < w->stage->axis_count; i++)
        if (node_depends(ir, position, w->stage->axes[i])) {
            if (direction->out)
                return false;
            direction->out = w->stage->axes[i];
        }
    for (int i = 0; i < w->reduction->axis_count; i++)
        if (node_depends(ir, position, w->reduction->axes[i])) {
            if (direction->tap)
                return false;
            direction->tap = w->reduction->axes[i];
        }
    Node *rest, *offset;
    if (!direction->out || !direction->tap || direction->out == w->lane)
        return false;
    Node *const factor = index_coefficient(ir, position, direction->out, &rest);
    Node *const dilation = factor ? index_coefficient(ir, rest, direction->tap, &offset) : NULL;
    direction->offset = dilation ? offset : NULL;
    int64_t constant;
    return dilation && const_is_int(factor, &direction->factor) && const_is_int(dilation, &direction->dilation) &&
           const_is_int(offset, &constant) && const_is_int(direction->out->inputs[0], &direction->outs) &&
           const_is_int(direction->tap->inputs[0], &direction->taps) && direction->factor > 0 &&
           direction->dilation > 0;
}

/* The index expressions of the operand's reads that move with the window: rows, columns. */
static bool find_directions(Window *w)
{
    Ir *const ir = w->ir;
    int count, found = 0;
    Node **const nodes = nodes_topological(ir, &w->operand, 1, &count);
    for (int i = 0; i < count; i++) {
        if (nodes[i]->op != OP_at)
            continue;
        for (uint32_t j = 1; j < nodes[i]->input_count; j++) {
            bool moves = false, known = false;
            for (int k = 0; k < w->reduction->axis_count; k++)
                moves = moves || (!index_is(w->reduction->axes[k]->inputs[0], 1) &&
                                  node_depends(ir, nodes[i]->inputs[j], w->reduction->axes[k]));
            for (int k = 0; k < found; k++)
                known = known || w->direction[k].position == nodes[i]->inputs[j];
            if (!moves || known)
                continue;
            if (found == SPATIAL_MAX || !direction_of(w, nodes[i]->inputs[j], &w->direction[found++]))
                return false;
        }
    }
    if (found != SPATIAL_MAX || w->direction[0].out == w->direction[1].out)
        return false;
    Node *const offset = layout_offset(ir, stage_buffer(w->stage), stage_indices(w->stage));
    int64_t first, second; /* columns are the direction that is nearer in memory */
    Node *const a = index_coefficient(ir, offset, w->direction[0].out, NULL), *const b = index_coefficient(
                                                                                  ir, offset, w->direction[1].out,
                                                                                  NULL);
    if (!a || !b || !const_is_int(a, &first) || !const_is_int(b, &second))
        return false;
    if (first < second) {
        const Direction swap = w->direction[0];
        w->direction[0] = w->direction[1];
        w->direction[1] = swap;
    }
    return true;
}

/* After the moving positions are replaced by axes of their own, nothing of the window may be left in the operand. */
static bool operand_is_closed(Window *w)
{
    Node *const from[SPATIAL_MAX] = {w->direction[0].position, w->direction[1].position};
    Node *const to[SPATIAL_MAX] = {axis_make(w->ir, "u", NULL), axis_make(w->ir, "v", NULL)};
    Node *const closed = node_substitute(w->ir, w->operand, from, to, SPATIAL_MAX);
    for (int i = 0; i < SPATIAL_MAX; i++)
        if (node_depends(w->ir, closed, w->direction[i].out))
            return false;
    for (int i = 0; i < w->reduction->axis_count; i++)
        if (!index_is(w->reduction->axes[i]->inputs[0], 1) && node_depends(w->ir, closed, w->reduction->axes[i]))
            return false;
    return true;
}

static bool match(Window *w)
{
    Ir *const ir = w->ir;
    if (kernel_stages(w->kernel)->count != 1)
        return false;
    w->stage = kernel_stages(w->kernel)->nodes[0];
    w->reduction = only_reduction(ir, w->stage);
    w->lane = w->reduction ? lane_axis(ir, w->stage) : NULL;
    if (!w->lane)
        return false;
    w->operand = w->reduction->inputs[0];
    if (w->reduction->op == OP_contract) {
        w->other = w->reduction->inputs[1];
        if (!node_depends(ir, w->operand, w->lane) || !node_depends(ir, w->other, w->lane))
            return false;
    }
    if (w->operand->type.dtype != DTYPE_F32 || !node_depends(ir, w->operand, w->lane) || !find_directions(w) ||
        !operand_is_closed(w))
        return false;
    for (int i = 0; i < w->stage->axis_count; i++)
        if (w->stage->axes[i] != w->lane && w->stage->axes[i] != w->direction[0].out &&
            w->stage->axes[i] != w->direction[1].out)
            w->rest[w->rest_count++] = w->stage->axes[i];
    int64_t taps = 1, extent;
    for (int i = 0; i < w->reduction->axis_count; i++) {
        if (!const_is_int(w->reduction->axes[i]->inputs[0], &extent))
            return false;
        taps *= extent;
    }
    return taps <= TAPS_MAX;
}

/* ---- the plan ---- */

static int64_t reach(const Direction *direction, int64_t outs)
{
    return (outs - 1) * direction->factor + (direction->taps - 1) * direction->dilation + 1;
}

/* Registers that hold the lanes of one pixel. */
static int lane_registers(const TargetMachineInfo *target)
{
    return target->vector_bytes >= LANES * 4 ? 1 : LANES * 4 / target->vector_bytes;
}

/* Pixels whose sums registers hold, beside an input and a weight. */
static int most_pixels(const Window *w)
{
    const int width = lane_registers(w->target), most = w->target->vector_registers / width - 2;
    return most > PIXELS_MAX ? PIXELS_MAX : most < 1 ? 1 : most;
}

/* Pixels at once: a divisor of the row if there is a good one, else as many as registers hold. */
static int choose_pixels(const Window *w)
{
    const int most = most_pixels(w);
    const int64_t outs = w->direction[1].outs;
    if (outs <= most)
        return (int)outs;
    for (int pixels = most; pixels > most / 2; pixels--)
        if (outs % pixels == 0)
            return pixels;
    return most;
}

static bool plan(Window *w)
{
    Ir *const ir = w->ir;
    w->columns = reach(&w->direction[1], w->direction[1].outs);
    const int64_t outs = w->direction[1].outs, most = most_pixels(w);
    w->pixels = (int)suggest_int(w->trial, "pixels", 1, outs < most ? outs : most, choose_pixels(w));
    w->band = w->direction[0].outs;
    while (w->band > 1 && reach(&w->direction[0], w->band) * w->columns * LANES * 4 > BAND_BYTES)
        w->band = (w->band + 1) / 2;
    w->band = suggest_int(w->trial, "band", 1, w->direction[0].outs, w->band);
    Node *const dims[3] = {index_const(ir, reach(&w->direction[0], w->band)), index_const(ir, w->columns),
                           index_const(ir, LANES)};
    const Buffer buffer = {.name = "band", .place = PLACE_LOCAL};
    w->local = buffer_make(ir, type_tensor(ir, DTYPE_F32, 3, dims), &buffer);
    w->scratch = reach(&w->direction[0], w->band) * w->columns * LANES * 4;
    return w->scratch <= 4 << 20 && w->direction[0].outs > 0 && w->direction[1].outs > 0;
}

/* ---- emission ---- */

static Node *iota(Ir *ir)
{
    return node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, LANES)});
}

/* Lanes that are channels; NULL when all are. */
static Node *channel_mask(const Window *w, Node *channel)
{
    Ir *const ir = w->ir;
    int64_t channels;
    if (const_is_int(w->lane->inputs[0], &channels) && channels % LANES == 0)
        return NULL;
    return scalar2(ir, OP_lt, index_add(ir, iota(ir), channel), splat_make(ir, w->lane->inputs[0], LANES));
}

static StageEmitter channel_emitter(const Window *w, Block *block, Node *channel, Node *mask)
{
    StageEmitter emitter = stage_emitter(w->ir, w->kernel, block);
    emitter.lane_axis = w->lane;
    emitter.lane_base = channel;
    emitter.lanes = LANES;
    emitter.mask = mask;
    return emitter;
}

static Node *local_offset(const Window *w, Node *row, Node *column)
{
    Ir *const ir = w->ir;
    return index_mul(ir, index_add(ir, index_mul(ir, row, index_const(ir, w->columns)), column),
                     index_const(ir, LANES));
}

/* Input rows first_row .. of the band into scratch. */
static void emit_copy(const Window *w, Block *block, Node *channel, Node *mask, Node *first_row, Node *rows)
{
    Ir *const ir = w->ir;
    Node *const u = axis_make(ir, "u", rows), *const v = axis_make(ir, "v", index_const(ir, w->columns));
    Node *const zero = index_const(ir, 0);
    Block *const body = body_for(ir, body_for(ir, block, u, zero, rows, 1), v, zero, index_const(ir, w->columns), 1);
    Node *const from[SPATIAL_MAX] = {w->direction[0].position, w->direction[1].position};
    Node *const to[SPATIAL_MAX] = {index_add(ir, first_row, u), index_add(ir, w->direction[1].offset, v)};
    Node *value = node_substitute(ir, w->operand, from, to, SPATIAL_MAX);
    for (int i = 0; i < w->reduction->axis_count; i++)
        if (index_is(w->reduction->axes[i]->inputs[0], 1))
            value = node_substitute(ir, value, &w->reduction->axes[i], (Node *const *)&zero, 1);
    StageEmitter emitter = channel_emitter(w, body, channel, mask);
    Node *const vector = stage_emit(&emitter, value);
    block_append(
        ir, body,
        node_make(ir, &(Node){.op = OP_store,
                              .inputs = (Node *[]){w->local, local_offset(w, u, v),
                                                   splat_make(ir, vector, vector->type.lanes == LANES ? 1 : LANES)},
                              .input_count = 3}));
}

/* The weights of one tap, along the channels. */
static Node *emit_weight(const Window *w, Block *block, Node *channel, Node *mask, Node *const *taps)
{
    Node *const value = node_substitute(w->ir, w->other, w->reduction->axes, taps, w->reduction->axis_count);
    StageEmitter emitter = channel_emitter(w, block, channel, mask);
    return cast_make(w->ir, stage_emit(&emitter, value), DTYPE_F32);
}

static void emit_tap(const Window *w, Block *block, Node **accumulators, int pixels, Node *row, Node *column,
                     Node *channel, Node *mask, Node *const *taps)
{
    Ir *const ir = w->ir;
    Node *const weight = w->other ? emit_weight(w, block, channel, mask, taps) : NULL;
    Node *tap[SPATIAL_MAX];
    for (int d = 0; d < SPATIAL_MAX; d++)
        for (int i = 0; i < w->reduction->axis_count; i++)
            if (w->reduction->axes[i] == w->direction[d].tap)
                tap[d] = index_mul(ir, taps[i], index_const(ir, w->direction[d].dilation));
    Node *const at_row = index_add(ir, index_mul(ir, row, index_const(ir, w->direction[0].factor)), tap[0]);
    for (int p = 0; p < pixels; p++) {
        Node *const pixel =
            index_mul(ir, index_add(ir, column, index_const(ir, p)), index_const(ir, w->direction[1].factor));
        Node *const offset = local_offset(w, at_row, index_add(ir, pixel, tap[1]));
        Node *const value = node_make(ir, &(Node){.op = OP_read,
                                                  .type = type_vector(DTYPE_F32, LANES),
                                                  .inputs = (Node *[]){w->local, offset},
                                                  .input_count = 2});
        block_append(ir, block, value);
        Node *const before = body_get(ir, block, accumulators[p]);
        body_set(ir, block, accumulators[p],
                 weight ? scalar3(ir, OP_fma, value, weight, before)
                        : fold_step(ir, w->reduction->payload.fold.kind, before, value));
    }
}

/* All taps in the order of the reduction, unrolled. */
static void emit_taps(const Window *w, Block *block, Node **accumulators, int pixels, Node *row, Node *column,
                      Node *channel, Node *mask)
{
    int64_t extent[RANK_MAX], total = 1;
    for (int i = 0; i < w->reduction->axis_count; i++) {
        const_is_int(w->reduction->axes[i]->inputs[0], &extent[i]);
        total *= extent[i];
    }
    for (int64_t number = 0; number < total; number++) {
        Node *taps[RANK_MAX];
        int64_t rest = number;
        for (int i = w->reduction->axis_count - 1; i >= 0; i--) {
            taps[i] = index_const(w->ir, rest % extent[i]);
            rest /= extent[i];
        }
        emit_tap(w, block, accumulators, pixels, row, column, channel, mask, taps);
    }
}

static void emit_pixel(const Window *w, Block *block, Node *var, Node *row, Node *column, Node *channel, Node *mask)
{
    Ir *const ir = w->ir;
    Node *const held = cast_make(ir, axis_make(ir, "sum", NULL), DTYPE_F32);
    Node *const outs[SPATIAL_MAX] = {w->direction[0].out, w->direction[1].out}, *const at[SPATIAL_MAX] = {row, column};
    Node *value = node_substitute(ir, stage_value(w->stage), &w->reduction, (Node *const *)&held, 1);
    value = node_substitute(ir, value, outs, at, SPATIAL_MAX);
    Node *indices[RANK_MAX];
    for (int i = 0; i < stage_buffer(w->stage)->type.rank; i++)
        indices[i] = node_substitute(ir, stage_indices(w->stage)[i], outs, at, SPATIAL_MAX);
    StageEmitter emitter = channel_emitter(w, block, channel, mask);
    stage_preset(&emitter, held, body_get(ir, block, var));
    stage_emit_store(&emitter, stage_buffer(w->stage), indices, stage_emit(&emitter, value));
}

/* `pixels` outputs from `column` on, of output row first + row. */
static void emit_run(const Window *w, Block *block, int pixels, Node *first, Node *row, Node *column, Node *channel,
                     Node *mask)
{
    Ir *const ir = w->ir;
    Node *accumulators[PIXELS_MAX];
    Node *const neutral =
        w->other ? const_int(ir, DTYPE_F32, 0) : fold_neutral(ir, w->reduction->payload.fold.kind, DTYPE_F32);
    for (int p = 0; p < pixels; p++)
        accumulators[p] = body_var(ir, block, splat_make(ir, neutral, LANES));
    emit_taps(w, block, accumulators, pixels, row, column, channel, mask);
    for (int p = 0; p < pixels; p++)
        emit_pixel(w, block, accumulators[p], index_add(ir, first, row), index_add(ir, column, index_const(ir, p)),
                   channel, mask);
}

static void emit_row(const Window *w, Block *block, Node *first, Node *row, Node *channel, Node *mask)
{
    Ir *const ir = w->ir;
    const int64_t outs = w->direction[1].outs, whole = outs / w->pixels * w->pixels;
    Node *const column = axis_make(ir, "column", NULL);
    Block *const body = body_for(ir, block, column, index_const(ir, 0), index_const(ir, whole), w->pixels);
    emit_run(w, body, w->pixels, first, row, column, channel, mask);
    if (whole < outs)
        emit_run(w, block, (int)(outs - whole), first, row, index_const(ir, whole), channel, mask);
}

/* Units: other axes x bands x blocks of channels, channels fastest: neighbours share cache lines of rows. */
static Node *emit_units(const Window *w, Block *body)
{
    Ir *const ir = w->ir;
    Node *const blocks = index_ceildiv(ir, w->lane->inputs[0], index_const(ir, LANES));
    Node *const band = index_const(ir, w->band), *const bands = index_ceildiv(ir, w->direction[0].out->inputs[0], band);
    Node *units = index_mul(ir, bands, blocks);
    for (int i = 0; i < w->rest_count; i++)
        units = index_mul(ir, units, w->rest[i]->inputs[0]);
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const end = node_make(ir, &(Node){.op = OP_end, .type = type_scalar(DTYPE_INDEX)});
    Node *const unit = axis_make(ir, "unit", units);
    Block *block = body_for(ir, body, unit, begin, end, 1);
    Node *const channel = index_mul(ir, index_mod(ir, unit, blocks), index_const(ir, LANES));
    Node *const above = index_floordiv(ir, unit, blocks);
    Node *number = index_floordiv(ir, above, bands);
    for (int i = w->rest_count - 1; i >= 0; i--) {
        Node *const extent = w->rest[i]->inputs[0];
        Node *const digit = i ? index_mod(ir, number, extent) : number;
        number = index_floordiv(ir, number, extent);
        block = body_for(ir, block, w->rest[i], digit, index_add(ir, digit, index_const(ir, 1)), 1);
    }
    Node *const first = index_mul(ir, index_mod(ir, above, bands), band);
    Node *const rows = index_min(ir, band, index_sub(ir, w->direction[0].out->inputs[0], first));
    Node *const input_row =
        index_add(ir, index_mul(ir, first, index_const(ir, w->direction[0].factor)), w->direction[0].offset);
    Node *const input_rows =
        index_add(ir, index_mul(ir, index_sub(ir, rows, index_const(ir, 1)), index_const(ir, w->direction[0].factor)),
                  index_const(ir, (w->direction[0].taps - 1) * w->direction[0].dilation + 1));
    Node *const mask = channel_mask(w, channel);
    emit_copy(w, block, channel, mask, input_row, input_rows);
    Node *const row = axis_make(ir, "row", NULL);
    emit_row(w, body_for(ir, block, row, index_const(ir, 0), rows, 1), first, row, channel, mask);
    return units;
}

Node *window_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Window window = {.ir = ir, .kernel = kernel, .target = target, .trial = trial};
    if (!match(&window) || !plan(&window))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&window, body);
    return kernel_with_body(
        ir, kernel, body, units,
        arena_format(ir->arena, "window pixels=%d band=%lld", window.pixels, (long long)window.band), window.scratch);
}

/* Cycles of a vector copied into the band, of a vector step from there, and of the latency that a run of pixels ends
 * with. */
static const double copy_cycles = 3, step_cycles = 1, run_cycles = 16;

bool window_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Window w = {.ir = ir, .kernel = kernel, .target = target, .trial = trial};
    if (!match(&w) || !plan(&w))
        return false;
    const int64_t rows = w.direction[0].outs, outs = w.direction[1].outs, bands = (rows + w.band - 1) / w.band;
    const double taps = (double)(w.direction[0].taps * w.direction[1].taps);
    const int64_t whole = outs / w.pixels, runs = whole + (outs % w.pixels > 0);
    const double wide = lane_registers(target);
    /* Sums of few pixels wait for each other: four cycles a step. */
    const double busy = w.pixels < 8 / wide ? 8 / wide / w.pixels : 1;
    int64_t units = bands, extent;
    double one = copy_cycles * wide * (double)(reach(&w.direction[0], w.band) * w.columns);
    one += (double)w.band * (step_cycles * wide * taps * (double)outs * busy + run_cycles * (double)runs);
    if (w.scratch > target->l1 / 2)
        one *= 1.2;
    for (int i = 0; i < w.rest_count; i++)
        if (const_is_int(w.rest[i]->inputs[0], &extent) && extent > 0)
            units *= extent;
    if (const_is_int(w.lane->inputs[0], &extent) && extent > 0)
        units *= (extent + LANES - 1) / LANES;
    *cycles = one * (double)((units + threads - 1) / threads);
    return true;
}
