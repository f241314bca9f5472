/* The winograd template: see winograd.h and, for the stages, passes/winograd.c.
 *
 *     for unit in chunk:  image, block of tiles, block of column groups (fastest)
 *         unless the unit before left it there:  for each tile of the block, 16 channels at a time:
 *             half, patch in registers; patch -> scratch [point][tile][channel]
 *         for each group of columns of the unit:
 *             for each point:  scratch [point][tile][column] = products, in the tiles of `contract` over panels
 *             for each tile of the block, 16 columns at a time:  part, Y in registers
 *
 * Blocks are as large as L2 keeps of what the points hold, so that weights are streamed once per block; units of one
 * block share what was transformed when a thread has several of them. Values and their order are the stages' own: the
 * bits are those of plain loops. */
#include "codegen/winograd.h"

#include "codegen/contract_emit.h"
#include "ir/kernel.h"
#include "ir/loops.h"

#include <string.h>

enum { POINTS_MAX = 6, OUTPUTS_MAX = 4, STAGES_MAX = 64 };
/* Units that keep the threads of a usual machine busy, and tiles of a block that are worth reading its weights for. */
enum { UNITS_ENOUGH = 8, BLOCK_LEAST = 12 };

/* Stages of one target that follow each other. */
typedef struct Run {
    Node *const *stages;
    int count;
    Node *buffer;
} Run;

typedef struct Winograd {
    Ir *ir;
    Node *kernel;
    const TargetMachineInfo *target;
    Run half, patch, product, part, result;
    int points, outputs;
    Node *batch;                     /* NULL: one image */
    Node *row, *column;              /* of a tile: the axes of `half`, variables of loops here */
    Node *channel, *out;             /* lanes */
    int64_t rows, columns;           /* tiles in a row and a column of them */
    int64_t height, width;           /* of the result */
    int64_t channels, outs;          /* extents of channel and out */
    int64_t tiles, block;            /* tiles of an image, of a block */
    int64_t blocks, parts;           /* units of an image: blocks x blocks of column groups */
    int64_t groups;                  /* column groups */
    Contract whole, rest;            /* the products of a block; of the last one, where it is smaller */
    int64_t patch_pitch, sums_pitch; /* elements of one point */
    Node *patch_local, *sums_local;
    int64_t scratch;
    Node *first, *last, *group; /* tiles of the block under way, its column group */
} Winograd;

/* ---- match ---- */

/* The stages from *at on that write one buffer. */
static Run take_run(const Block *stages, int *at)
{
    Run run = {.stages = stages->nodes + *at};
    while (*at < stages->count && (run.count == 0 || stage_buffer(stages->nodes[*at]) == run.buffer)) {
        run.buffer = stage_buffer(stages->nodes[*at]);
        run.count++;
        ++*at;
    }
    return run;
}

/* Do all stages of the run write buffer[.., .., row, column, last] with `count` plain axes as their last ones? */
static bool has_form(const Run *run, int count, const Node *batch)
{
    for (int i = 0; i < run->count; i++) {
        const Node *const stage = run->stages[i];
        const int leading = batch ? 1 : 0;
        if (!is_local(run->buffer) || run->buffer->type.rank != 5 || stage->axis_count != leading + count + 3 ||
            (batch && stage->axes[0] != batch))
            return false;
        for (int k = 0; k < 3; k++)
            if (stage_indices(stage)[2 + k] != stage->axes[leading + count + k])
                return false;
    }
    return run->count > 0;
}

static bool extent_of(const Node *axis, int64_t *extent)
{
    return const_is_int(axis->inputs[0], extent);
}

static bool find_runs(Winograd *w)
{
    const Block *const stages = kernel_stages(w->kernel);
    int at = 0;
    if (stages->count < 5 || stages->count > STAGES_MAX || kernel_has_order(w->kernel) || kernel_has_steps(w->kernel))
        return false;
    w->half = take_run(stages, &at);
    w->patch = take_run(stages, &at);
    w->product = take_run(stages, &at);
    w->part = take_run(stages, &at);
    w->result = take_run(stages, &at);
    return at == stages->count && w->product.count == 1 && value_contracts(w->ir, stage_value(w->product.stages[0]));
}

/* Does the product read the patch along one axis? */
static bool multiplies(const Winograd *w)
{
    const Node *const contract = stage_value(w->product.stages[0]);
    return contract->op == OP_contract && contract->axis_count == 1 && contract->inputs[0]->op == OP_at &&
           contract->inputs[0]->inputs[0] == w->patch.buffer;
}

/* The stages of the pass, by their form; what they compute is their own. */
static bool match(Winograd *w)
{
    if (!find_runs(w))
        return false;
    const Node *const first = w->half.stages[0];
    w->batch = first->axis_count == 5 ? first->axes[0] : NULL;
    if (!has_form(&w->half, 1, w->batch) || !has_form(&w->patch, 1, w->batch) || !has_form(&w->product, 2, w->batch) ||
        !has_form(&w->part, 1, w->batch) || is_local(w->result.buffer))
        return false;
    const int leading = w->batch ? 1 : 0;
    w->points = w->half.count;
    w->outputs = w->part.count;
    if (w->patch.count != w->points || w->points > POINTS_MAX || w->outputs > OUTPUTS_MAX ||
        w->points != w->outputs + 2 || w->result.count != w->outputs * w->outputs)
        return false;
    for (int i = 0; i < w->result.count; i++)
        if (w->result.stages[i]->axis_count != leading + 3 || (w->batch && w->result.stages[i]->axes[0] != w->batch))
            return false;
    w->row = first->axes[leading + 1];
    w->column = first->axes[leading + 2];
    w->channel = first->axes[leading + 3];
    w->out = w->product.stages[0]->axes[leading + 4];
    int64_t rows, columns;
    if (!extent_of(w->row, &w->rows) || !extent_of(w->column, &w->columns) || !extent_of(w->channel, &w->channels) ||
        !extent_of(w->out, &w->outs))
        return false;
    for (int i = 0; i < w->outputs; i++) { /* outputs that the tiles have, one row or column after the other */
        if (!extent_of(w->result.stages[i * w->outputs]->axes[leading + 1], &rows) ||
            !extent_of(w->result.stages[i]->axes[leading + 2], &columns))
            return false;
        w->height += rows;
        w->width += columns;
    }
    w->tiles = w->rows * w->columns;
    return w->tiles > 0 && multiplies(w);
}

/* ---- the plan ---- */

/* Elements of a point, an odd number of cache lines: points then lie in different sets. */
static int64_t point_pitch(int64_t elements)
{
    return ceil_divide(elements, PANEL) / 2 * 2 * PANEL + PANEL;
}

static Node *local_buffer(Winograd *w, const char *name, int64_t pitch)
{
    Ir *const ir = w->ir;
    Node *const dims[2] = {index_const(ir, (int64_t)w->points * w->points), index_const(ir, pitch)};
    return local_make(ir, name, type_tensor(ir, DTYPE_F32, 2, dims), &w->scratch);
}

static Node *point_number(const Winograd *w, Node *first, Node *second)
{
    return index_add(w->ir, index_mul(w->ir, first, index_const(w->ir, w->points)), second);
}

/* The place of a tile's element in one point of a local buffer whose rows are `width` long. */
static Node *tile_place(const Winograd *w, Node *tile, int64_t width, Node *element)
{
    return index_add(w->ir, index_mul(w->ir, tile, index_const(w->ir, width)), element);
}

static int64_t group_width(const Winograd *w)
{
    return (int64_t)w->whole.tile.vectors * PANEL;
}

/* The product of one point for `tiles` tiles, over scratch; its first two axes are the point. */
static Node *product_stage(const Winograd *w, int64_t tiles)
{
    Ir *const ir = w->ir;
    const Node *const stage = w->product.stages[0], *const contract = stage_value(stage);
    const int leading = w->batch ? 1 : 0;
    Node *const tile = axis_make(ir, "t", index_const(ir, tiles));
    Node *const axes[4] = {stage->axes[leading], stage->axes[leading + 1], tile, w->out};
    Node *const point = point_number(w, axes[0], axes[1]);
    Node *const a =
        at_make(ir, w->patch_local, (Node *const[]){point, tile_place(w, tile, w->channels, contract->axes[0])});
    Node *const value = contract_make(ir, DTYPE_F32, contract->axes, 1, a, contract->inputs[1]);
    Node *const from = index_mul(ir, w->group, index_const(ir, group_width(w)));
    Node *const place = tile_place(w, tile, group_width(w), index_sub(ir, w->out, from));
    return stage_make(ir, axes, 4, w->sums_local, (Node *const[]){point, place}, value);
}

/* Weights that do not stay in L2 by themselves are fetched while the point before is multiplied, spread over its tiles
 * of rows. */
static void plan_ahead(const Winograd *w, Contract *c, int64_t tiles)
{
    const int64_t points = (int64_t)w->points * w->points, plane = ceil_divide(w->outs, PANEL) * PANEL * w->channels;
    if (c->read_b != READ_PANELS || points * plane * 4 <= w->target->l2 / 4)
        return;
    c->block_tiles = ceil_divide(tiles, c->tile.rows);
    const int64_t lines = ceil_divide(c->unroll * c->tile.vectors, c->block_tiles);
    c->next = index_const(w->ir, plane);
    c->ahead = lines > 2 * c->tile.vectors ? 0 : (int)lines;
}

/* The tile of registers for blocks of `tiles` tiles; the width stays when it is given. */
static bool plan_products(Winograd *w, Contract *c, int64_t tiles, Tile tile)
{
    *c = (Contract){.ir = w->ir, .kernel = w->kernel, .target = w->target, .tile = tile};
    if (tile.rows)
        c->tile.rows = (int)ceil_divide(tiles, ceil_divide(tiles, tile.rows));
    if (!contract_plan_within(c, product_stage(w, tiles), 2))
        return false;
    plan_ahead(w, c, tiles);
    return true;
}

/* Far larger weights are worth more than the inputs: with few rows to multiply they come from memory no faster than
 * 80 GFLOP/s take. As few blocks as L2 keeps the sums of, the points of their inputs read again for each group of
 * columns, where that is two thirds of the bytes; 0: it is not. */
static int64_t blocks_for_weights(const Winograd *w, int64_t width, int64_t blocks)
{
    const int64_t points = (int64_t)w->points * w->points, kept = w->target->l2 * 4 / 10;
    const int64_t filter = points * w->channels * w->outs * 4, input = points * w->channels * w->tiles * 4;
    const int64_t fewer = ceil_divide(points * w->tiles * width * 4, kept);
    const int64_t bytes = fewer * filter + ceil_divide(w->outs, width) * input;
    return fewer < blocks && bytes * 3 <= blocks * filter * 2 ? fewer : 0;
}

/* Tiles of a block: four tenths of L2 keep what their points hold, evenly split. Small weights are read by each of
 * several blocks; larger ones stream through L2 beside two at most, and units divide their columns. */
static int64_t choose_block(const Winograd *w, int64_t width)
{
    const int64_t points = (int64_t)w->points * w->points, tile_bytes = points * (w->channels + width) * 4;
    const bool stays = points * w->channels * w->outs * 4 <= w->target->l2 / 2;
    const int64_t wanted = w->tiles / BLOCK_LEAST, enough = stays ? UNITS_ENOUGH : 2;
    const int64_t most = w->target->l2 * 4 / 10 / tile_bytes;
    int64_t blocks = ceil_divide(w->tiles, most < 1 ? 1 : most);
    blocks = blocks < wanted && blocks < enough ? wanted < enough ? wanted : enough : blocks;
    const int64_t fewer = stays ? 0 : blocks_for_weights(w, width, blocks);
    blocks = fewer ? fewer : blocks;
    return ceil_divide(w->tiles, blocks);
}

/* Parts of the columns: as many as make enough units of all blocks, none of them empty. */
static int64_t choose_parts(const Winograd *w)
{
    int64_t images = 1;
    if (w->batch)
        const_is_int(w->batch->inputs[0], &images);
    const int64_t wanted = ceil_divide(UNITS_ENOUGH, w->blocks * (images < 1 ? 1 : images));
    return ceil_divide(w->groups, ceil_divide(w->groups, wanted > w->groups ? w->groups : wanted));
}

static bool plan(Winograd *w, Trial *trial)
{
    Ir *const ir = w->ir;
    if (!match(w))
        return false;
    w->group = axis_make(ir, "group", NULL);
    /* The tile's width decides how much of the sums is kept; a first plan of all tiles tells it. */
    w->patch_local = local_buffer(w, "patch", 1);
    w->sums_local = local_buffer(w, "sums", 1);
    if (!plan_products(w, &w->whole, w->tiles, (Tile){0}))
        return false;
    w->block = suggest_int(trial, "tiles", 1, w->tiles, choose_block(w, group_width(w)));
    if (!plan_products(w, &w->whole, w->block, (Tile){0}))
        return false;
    w->blocks = ceil_divide(w->tiles, w->block);
    w->groups = ceil_divide(w->outs, group_width(w));
    w->scratch = 0;
    w->patch_pitch = point_pitch(w->block * w->channels);
    w->sums_pitch = point_pitch(w->block * group_width(w));
    w->patch_local = local_buffer(w, "patch", w->patch_pitch);
    w->sums_local = local_buffer(w, "sums", w->sums_pitch);
    w->parts = suggest_int(trial, "parts", 1, w->groups, choose_parts(w));
    const Tile tile = w->whole.tile;
    return plan_products(w, &w->whole, w->block, tile) &&
           (w->tiles % w->block == 0 || plan_products(w, &w->rest, w->tiles % w->block, tile));
}

/* ---- emission ---- */

/* A loop over the block's tiles, with row and column of the tile bound inside; *tile: its number within the block. */
static Block *emit_tiles(const Winograd *w, Block *block, Node **tile)
{
    Ir *const ir = w->ir;
    Node *const number = axis_make(ir, "tile", NULL), *const width = index_const(ir, w->columns);
    Block *const body = body_for(ir, block, number, w->first, w->last, 1);
    Node *const row = index_floordiv(ir, number, width), *const column = index_mod(ir, number, width);
    Node *const one = index_const(ir, 1);
    *tile = index_sub(ir, number, w->first);
    return body_for(ir, body_for(ir, body, w->row, row, index_add(ir, row, one), 1), w->column, column,
                    index_add(ir, column, one), 1);
}

/* `node` of a stage with its last three axes replaced by the tile's and `last`, and the one before them (when it is
 * given) by `first`. */
static Node *at_tile(const Winograd *w, const Node *stage, Node *node, Node *last, Node *first)
{
    Node *const *const axes = stage->axes + stage->axis_count - 3;
    Node *const from[4] = {axes[0], axes[1], axes[2], axes[-1]}, *const to[4] = {w->row, w->column, last, first};
    return node_substitute(w->ir, node, from, to, first ? 4 : 3);
}

/* The element that the stage writes, as others read it. */
static Node *written_at(const Winograd *w, const Node *stage, Node *last, Node *first)
{
    Node *indices[RANK_MAX];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = at_tile(w, stage, stage_indices(stage)[i], last, first);
    return at_make(w->ir, stage_buffer(stage), indices);
}

static StageEmitter lane_emitter(const Winograd *w, Block *block, Node *axis, Node *base, Node *mask)
{
    StageEmitter emitter = stage_emitter(w->ir, w->kernel, block);
    emitter.lane_axis = axis;
    emitter.lane_base = base;
    emitter.lanes = PANEL;
    emitter.mask = mask;
    return emitter;
}

static Node *mask_below(Ir *ir, Node *base, int64_t extent)
{
    Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, PANEL)});
    return scalar2(ir, OP_lt, index_add(ir, iota, base), splat_make(ir, index_const(ir, extent), PANEL));
}

/* `value` without its guards: where the tile lies inside, they hold. */
static Node *without_guards(Ir *ir, Node *value)
{
    for (;;) {
        int count, guards = 0;
        Node **const nodes = nodes_topological(ir, &value, 1, &count);
        Node **const from = NEW_ARRAY(ir->arena, Node *, (size_t)count + 1);
        Node **const to = NEW_ARRAY(ir->arena, Node *, (size_t)count + 1);
        for (int i = 0; i < count; i++)
            if (nodes[i]->op == OP_guard) {
                from[guards] = nodes[i];
                to[guards++] = nodes[i]->inputs[1];
            }
        if (!guards)
            return value;
        value = node_substitute(ir, value, from, to, guards);
    }
}

/* Adds the parts of a condition that are not in it yet to `all`. */
static Node *add_condition(Ir *ir, Node *all, Node *condition)
{
    int count;
    Node **const nodes = nodes_topological(ir, &condition, 1, &count);
    for (int i = 0; i < count; i++)
        if (nodes[i]->type.dtype == DTYPE_BOOL && nodes[i]->op != OP_and && (!all || !node_depends(ir, all, nodes[i])))
            all = all ? scalar2(ir, OP_and, all, nodes[i]) : nodes[i];
    return all;
}

/* Holds where no guard of the input is false; NULL: there are none. */
static Node *inside(const Winograd *w)
{
    Ir *const ir = w->ir;
    Node *all = NULL;
    for (int i = 0; i < w->half.count; i++)
        for (int v = 0; v < w->points; v++) {
            const Node *const stage = w->half.stages[i];
            Node *value = at_tile(w, stage, stage_value(stage), w->channel, index_const(ir, v));
            int count;
            Node **const nodes = nodes_topological(ir, &value, 1, &count);
            for (int k = 0; k < count; k++)
                if (nodes[k]->op == OP_guard)
                    all = add_condition(ir, all, nodes[k]->inputs[0]);
        }
    return all;
}

/* All points of one tile for 16 channels. */
static void emit_points(const Winograd *w, Block *block, Node *tile, Node *base, bool masked, bool guarded)
{
    Ir *const ir = w->ir;
    StageEmitter emitter = lane_emitter(w, block, w->channel, base, masked ? mask_below(ir, base, w->channels) : NULL);
    for (int v = 0; v < w->points; v++)
        for (int i = 0; i < w->points; i++) {
            const Node *const stage = w->half.stages[i];
            Node *const number = index_const(ir, v);
            Node *const value = at_tile(w, stage, stage_value(stage), w->channel, number);
            stage_preset(&emitter, written_at(w, stage, w->channel, number),
                         stage_emit(&emitter, guarded ? value : without_guards(ir, value)));
        }
    for (int xi = 0; xi < w->points; xi++)
        for (int nu = 0; nu < w->points; nu++) {
            const Node *const stage = w->patch.stages[nu];
            Node *const value = at_tile(w, stage, stage_value(stage), w->channel, index_const(ir, xi));
            Node *const indices[2] = {index_const(ir, xi * w->points + nu),
                                      tile_place(w, tile, w->channels, w->channel)};
            stage_emit_store(&emitter, w->patch_local, indices, stage_emit(&emitter, value));
        }
}

static void emit_channels(const Winograd *w, Block *block, Node *tile, bool guarded)
{
    Ir *const ir = w->ir;
    const int64_t whole = w->channels / PANEL * PANEL;
    Node *const base = axis_make(ir, "from", NULL);
    if (whole)
        emit_points(w, body_for(ir, block, base, index_const(ir, 0), index_const(ir, whole), PANEL), tile, base, false,
                    guarded);
    if (whole < w->channels)
        emit_points(w, block, tile, index_const(ir, whole), true, guarded);
}

static void emit_input(const Winograd *w, Block *block)
{
    Node *tile, *const condition = inside(w);
    Block *border = NULL, *body = emit_tiles(w, block, &tile);
    if (condition)
        body = contract_emit_if(w->ir, body, condition, &border);
    emit_channels(w, body, tile, false);
    if (border)
        emit_channels(w, border, tile, true);
}

static void emit_products(const Winograd *w, Contract *c, Block *block)
{
    Ir *const ir = w->ir;
    const Node *const stage = c->roles.stage;
    Node *const zero = index_const(ir, 0), *const one = index_const(ir, 1), *const points = index_const(ir, w->points);
    for (int i = 0; i < 2; i++)
        block = body_for(ir, block, stage->axes[i], zero, points, 1);
    contract_emit_columns(c, block, w->group, index_add(ir, w->group, one), zero,
                          index_ceildiv(ir, c->roles.rows, index_const(ir, c->tile.rows)));
}

/* What a stage of `part` reads, out of scratch. */
static Node *from_sums(const Winograd *w, const Node *stage, Node *tile, Node *nu)
{
    Ir *const ir = w->ir;
    Node *from[POINTS_MAX], *to[POINTS_MAX];
    Node *const column = index_sub(ir, w->out, index_mul(ir, w->group, index_const(ir, group_width(w))));
    for (int xi = 0; xi < w->points; xi++) {
        Node *const number = index_const(ir, xi);
        from[xi] = at_make(ir, w->product.buffer, (Node *const[]){number, nu, w->row, w->column, w->out});
        to[xi] = at_make(ir, w->sums_local,
                         (Node *const[]){point_number(w, number, nu), tile_place(w, tile, group_width(w), column)});
    }
    return node_substitute(ir, at_tile(w, stage, stage_value(stage), w->out, nu), from, to, w->points);
}

/* The tile's outputs of one stage: 16 columns of one element of Y. */
static void emit_result(const Winograd *w, const Node *stage, StageEmitter *emitter)
{
    Node *const *const axes = stage->axes + stage->axis_count - 3;
    Node *const to[3] = {w->out, w->row, w->column}, *indices[RANK_MAX];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = node_substitute(w->ir, stage_indices(stage)[i], axes, to, 3);
    Node *const value = node_substitute(w->ir, stage_value(stage), axes, to, 3);
    stage_emit_store(emitter, stage_buffer(stage), indices, stage_emit(emitter, value));
}

/* Does the tile have output number `number` along this direction? */
static Node *has_output(const Winograd *w, Node *tile, int number, int64_t extent)
{
    Ir *const ir = w->ir;
    Node *const place = index_add(ir, index_mul(ir, tile, index_const(ir, w->outputs)), index_const(ir, number));
    return scalar2(ir, OP_lt, place, index_const(ir, extent));
}

/* All outputs of one tile for 16 columns; of a partial one, those that there are. */
static void emit_outputs(const Winograd *w, Block *block, Node *tile, Node *base, bool partial)
{
    Ir *const ir = w->ir;
    Node *const mask = w->outs % PANEL ? mask_below(ir, base, w->outs) : NULL;
    StageEmitter emitter = lane_emitter(w, block, w->out, base, mask);
    for (int nu = 0; nu < w->points; nu++)
        for (int a = 0; a < w->outputs; a++) {
            const Node *const stage = w->part.stages[a];
            Node *const number = index_const(ir, nu);
            stage_preset(&emitter, written_at(w, stage, w->out, number),
                         stage_emit(&emitter, from_sums(w, stage, tile, number)));
        }
    for (int i = 0; i < w->result.count; i++) {
        if (!partial) {
            emit_result(w, w->result.stages[i], &emitter);
            continue;
        }
        Node *const there = scalar2(ir, OP_and, has_output(w, w->row, i / w->outputs, w->height),
                                    has_output(w, w->column, i % w->outputs, w->width));
        StageEmitter inner = stage_emitter_within(&emitter, contract_emit_if(ir, block, there, NULL));
        emit_result(w, w->result.stages[i], &inner);
    }
}

/* The column group's vectors, for one tile. */
static void emit_columns(const Winograd *w, Block *block, Node *tile, bool partial)
{
    Ir *const ir = w->ir;
    Node *const width = index_const(ir, group_width(w)), *const from = index_mul(ir, w->group, width);
    Node *const end = index_min(ir, index_add(ir, from, width), index_const(ir, w->outs));
    Node *const base = axis_make(ir, "from", NULL);
    emit_outputs(w, body_for(ir, block, base, from, end, PANEL), tile, base, partial);
}

static void emit_output(const Winograd *w, Block *block)
{
    Ir *const ir = w->ir;
    Node *tile;
    Block *border = NULL, *body = emit_tiles(w, block, &tile);
    if (w->height % w->outputs || w->width % w->outputs) {
        Node *const whole = scalar2(ir, OP_and, has_output(w, w->row, w->outputs - 1, w->height),
                                    has_output(w, w->column, w->outputs - 1, w->width));
        body = contract_emit_if(ir, body, whole, &border);
    }
    emit_columns(w, body, tile, false);
    if (border)
        emit_columns(w, border, tile, true);
}

/* The column groups of a unit. */
static void emit_groups(Winograd *w, Block *block, Node *block_number, Node *part)
{
    Ir *const ir = w->ir;
    Node *const pitch = index_const(ir, ceil_divide(w->groups, w->parts)), *const from = index_mul(ir, part, pitch);
    Node *const to = index_min(ir, index_add(ir, from, pitch), index_const(ir, w->groups));
    Block *const body = body_for(ir, block, w->group, from, to, 1);
    Block *rest = NULL, *whole = body;
    if (w->tiles % w->block)
        whole = contract_emit_if(ir, body, scalar2(ir, OP_lt, block_number, index_const(ir, w->blocks - 1)), &rest);
    emit_products(w, &w->whole, whole);
    if (rest)
        emit_products(w, &w->rest, rest);
    emit_output(w, body);
}

/* Units: images x blocks of tiles x parts of the columns, those fastest. */
static Node *emit_units(Winograd *w, Block *body)
{
    Ir *const ir = w->ir;
    Node *const parts = index_const(ir, w->parts), *const blocks = index_const(ir, w->blocks),
                *units = index_mul(ir, blocks, parts);
    if (w->batch)
        units = index_mul(ir, units, w->batch->inputs[0]);
    Node *const begin = node_make(ir, &(Node){.op = OP_begin, .type = type_scalar(DTYPE_INDEX)});
    Node *const unit = axis_make(ir, "unit", units), *const above = index_floordiv(ir, unit, parts);
    Block *block = body_units(ir, body, unit);
    Node *number = above;
    if (w->batch) {
        Node *const image = index_floordiv(ir, above, blocks);
        number = index_mod(ir, above, blocks);
        block = body_for(ir, block, w->batch, image, index_add(ir, image, index_const(ir, 1)), 1);
    }
    Node *const part = index_mod(ir, unit, parts);
    w->first = index_mul(ir, number, index_const(ir, w->block));
    w->last = index_min(ir, index_add(ir, w->first, index_const(ir, w->block)), index_const(ir, w->tiles));
    Node *const fresh =
        scalar2(ir, OP_or, scalar2(ir, OP_eq, part, index_const(ir, 0)), scalar2(ir, OP_eq, unit, begin));
    emit_input(w, w->parts > 1 ? contract_emit_if(ir, block, fresh, NULL) : block);
    emit_groups(w, block, number, part);
    return units;
}

Node *winograd_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial)
{
    Winograd winograd = {.ir = ir, .kernel = kernel, .target = target};
    if (!plan(&winograd, trial))
        return NULL;
    Block *const body = block_make(ir);
    Node *const units = emit_units(&winograd, body);
    const char *const text =
        arena_format(ir->arena, "winograd tiles=%lld parts=%lld rows=%d vectors=%d", (long long)winograd.block,
                     (long long)winograd.parts, winograd.whole.tile.rows, winograd.whole.tile.vectors);
    return kernel_with_body(ir, kernel, body, units, text, winograd.scratch);
}

bool winograd_cost(Ir *ir, Node *kernel, const TargetMachineInfo *target, Trial *trial, int threads, double *cycles)
{
    Winograd w = {.ir = ir, .kernel = kernel, .target = target};
    if (!plan(&w, trial))
        return false;
    const double points = (double)(w.points * w.points), tiles = (double)w.tiles;
    const double lanes = target->vector_bytes / 4.0;
    const double products = points * tiles * (double)(w.channels * w.outs) / (target->multiplies_per_cycle * lanes);
    const double input = points * tiles * (double)w.channels * 3 / lanes,
                 output = points * tiles * (double)w.outs * 3 / lanes;
    const double filter = points * (double)(w.channels * w.outs) * 4 * (double)w.blocks / target->l3_bytes_per_cycle;
    const int64_t units = w.blocks * w.parts;
    const int64_t rounds = ceil_divide(units, threads);
    *cycles = (products + output + filter) * (double)rounds / (double)units +
              input * (double)(threads > 1 ? rounds : w.blocks) / (double)w.blocks;
    return true;
}
