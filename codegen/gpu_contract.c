/* The `gpu contract` template: see gpu_contract.h.
 *
 * A thread has rows and vectors of columns of the block's tile, each row and vector as far from its next as threads
 * stand beside it, so that neighbouring threads read neighbouring banks. One accumulator per element, k ascending by
 * fused multiply-add: the bits are those of the plain loops. */
#include "codegen/gpu_contract.h"

#include "codegen/gpu_build.h"
#include "ir/kernel.h"
#include "ir/loops.h"

/* ---- the loop over k ---- */

static Node *slot_of(const GpuContract *c, Node *k_tile)
{
    return index_mod(c->ir, k_tile, index_const(c->ir, c->stages));
}

/* Tiles of k come by asynchronous copies `stages` - 1 ahead, or by registers, one ahead: loaded before the tile at hand
 * is multiplied, stored behind it. At the barrier everybody has done with the slot that is written next. */
void gpu_contract_loop(GpuContract *c, Block *block, GpuMultiply *multiply, void *context)
{
    Ir *const ir = c->ir;
    const bool async = c->a.async || c->b.async;
    GpuOperand *const operands[2] = {&c->a, &c->b};
    operand_open(c, &c->a, block);
    operand_open(c, &c->b, block);
    for (int i = 0; i < c->stages - 1; i++) {
        Node *const tile = index_const(ir, i);
        Block *const first = gpu_if(ir, block, scalar2(ir, OP_lt, tile, c->k_tiles));
        for (int j = 0; j < 2; j++) {
            operand_fetch(c, operands[j], first, tile, slot_of(c, tile));
            operand_land(c, operands[j], first, slot_of(c, tile));
        }
        if (async)
            gpu_order(ir, block, OP_copy_commit, NULL, 0, 0);
    }
    Node *const k_tile = axis_make(ir, "tile", c->k_tiles);
    Block *const body = body_for(ir, block, k_tile, index_const(ir, 0), c->k_tiles, 1);
    if (async)
        gpu_order(ir, body, OP_copy_wait, NULL, 0, c->stages - 2);
    gpu_barrier(ir, body);
    Node *const tile = index_add(ir, k_tile, index_const(ir, c->stages - 1));
    Block *const next = gpu_if(ir, body, scalar2(ir, OP_lt, tile, c->k_tiles));
    for (int j = 0; j < 2; j++)
        operand_fetch(c, operands[j], next, tile, slot_of(c, tile));
    if (async)
        gpu_order(ir, body, OP_copy_commit, NULL, 0, 0);
    multiply(c, context, body, slot_of(c, k_tile), k_tile);
    for (int j = 0; j < 2; j++)
        operand_land(c, operands[j], body, slot_of(c, tile));
}

/* ---- results ---- */

static Node *with_place(const GpuContract *c, Node *node, Node *row)
{
    Ir *const ir = c->ir;
    Node *digits[RANK_MAX];
    gpu_digits(ir, c->roles.m, c->roles.m_count, row, digits);
    node = node_substitute(ir, node, c->roles.m, digits, c->roles.m_count);
    return node_substitute(ir, node, c->roles.batch, c->batch, c->roles.batch_count);
}

/* Do tiles of this size end with the matrix? */
static bool is_whole(Ir *ir, Node *extent, int tile)
{
    return index_is(index_mod(ir, extent, index_const(ir, tile)), 0);
}

Block *gpu_contract_rows(GpuContract *c, Block *block, Node *row)
{
    if (is_whole(c->ir, c->roles.rows, c->tile.rows))
        return block;
    return gpu_if(c->ir, block, scalar2(c->ir, OP_lt, row, c->roles.rows));
}

void gpu_contract_result(GpuContract *c, Block *block, Node *row, Node *column, Node *result)
{
    Ir *const ir = c->ir;
    const Node *const stage = c->roles.stage;
    const int lanes = result->type.lanes;
    Node *mask = NULL;
    int64_t columns;
    if (!is_whole(ir, c->roles.columns, c->tile.columns)) {
        if (lanes == 1 || (const_is_int(c->roles.columns, &columns) && columns % lanes == 0)) {
            block = gpu_if(ir, block, scalar2(ir, OP_lt, column, c->roles.columns));
        } else {
            Node *const iota = node_make(ir, &(Node){.op = OP_iota, .type = type_vector(DTYPE_INDEX, lanes)});
            mask = scalar2(ir, OP_lt, index_add(ir, iota, column), splat_make(ir, c->roles.columns, lanes));
        }
    }
    StageEmitter emitter = stage_emitter(ir, c->kernel, block);
    emitter.lane_axis = c->roles.n;
    emitter.lanes = lanes;
    emitter.lane_base = column;
    emitter.mask = mask;
    /* The contraction must survive the replacement of row axes: a stand-in takes its place first. */
    Node *stand_in = axis_make(ir, "sum", NULL);
    Node *const held = cast_make(ir, stand_in, DTYPE_F32);
    Node *value = node_substitute(ir, stage_value(stage), &c->roles.contract, (Node *const *)&held, 1);
    value = with_place(c, value, row);
    stage_preset(&emitter, held, result);
    Node *indices[RANK_MAX];
    for (int i = 0; i < stage_buffer(stage)->type.rank; i++)
        indices[i] = with_place(c, stage_indices(stage)[i], row);
    stage_emit_store(&emitter, stage_buffer(stage), indices, stage_emit(&emitter, value));
}

/* ---- threads ---- */

typedef struct ThreadTile {
    Node *row, *column; /* the thread's first of both within the block's tile */
    int row_step, column_step;
    Node *sums[TILE_ROWS_MAX * TILE_VECTORS_MAX];
} ThreadTile;

/* Products of `count` steps of k from `k` on. */
static void multiply_steps(GpuContract *c, const ThreadTile *tile, Block *block, Node *slot, Node *k, int count)
{
    Ir *const ir = c->ir;
    const GpuTile *const t = &c->tile;
    Node *rows[TILE_ROWS_MAX], *columns[TILE_VECTORS_MAX];
    for (int r = 0; r < t->thread_rows; r++)
        rows[r] = operand_read(c, &c->a, block, slot, index_add(ir, tile->row, index_const(ir, r * tile->row_step)), k,
                               count);
    for (int step = 0; step < count; step++) {
        for (int v = 0; v < t->vectors; v++)
            columns[v] =
                operand_read(c, &c->b, block, slot, index_add(ir, tile->column, index_const(ir, v * tile->column_step)),
                             index_add(ir, k, index_const(ir, step)), t->lanes);
        for (int r = 0; r < t->thread_rows; r++) {
            Node *a = rows[r];
            if (count > 1)
                a = node_make(ir, &(Node){.op = OP_extract,
                                          .type = type_scalar(DTYPE_F32),
                                          .inputs = &a,
                                          .input_count = 1,
                                          .payload.integer = step});
            a = splat_make(ir, a, t->lanes);
            for (int v = 0; v < t->vectors; v++) {
                Node *const sum = tile->sums[r * t->vectors + v];
                body_set(ir, block, sum, scalar3(ir, OP_fma, a, columns[v], body_get(ir, block, sum)));
            }
        }
    }
}

enum { STEPS = 4 };

static void multiply_threads(GpuContract *c, void *context, Block *block, Node *slot, Node *k_tile)
{
    Ir *const ir = c->ir;
    Node *const depth = index_const(ir, c->tile.depth), *const zero = index_const(ir, 0);
    Node *const rest = index_sub(ir, c->roles.depth, index_mul(ir, k_tile, depth));
    Node *const k = axis_make(ir, "k", depth);
    if (index_is(index_mod(ir, c->roles.depth, depth), 0)) {
        multiply_steps(c, context, body_for(ir, block, k, zero, depth, STEPS), slot, k, STEPS);
        return;
    }
    /* The last tile of k may end early: in steps of four, and then one by one. */
    Node *const there = index_min(ir, rest, depth), *const four = index_const(ir, STEPS);
    Node *const whole = index_mul(ir, index_floordiv(ir, there, four), four);
    multiply_steps(c, context, body_for(ir, block, k, zero, whole, STEPS), slot, k, STEPS);
    if (index_is(index_mod(ir, c->roles.depth, four), 0))
        return;
    Node *const single = axis_make(ir, "k", depth);
    multiply_steps(c, context, body_for(ir, block, single, whole, there, 1), slot, single, 1);
}

static void emit_thread_tile(GpuContract *c, Block *block)
{
    Ir *const ir = c->ir;
    const GpuTile *const t = &c->tile;
    Node *const across = index_const(ir, t->columns / (t->vectors * t->lanes));
    ThreadTile tile = {.row_step = t->rows / t->thread_rows, .column_step = t->columns / t->vectors};
    tile.row = index_floordiv(ir, c->thread, across);
    tile.column = index_mul(ir, index_mod(ir, c->thread, across), index_const(ir, t->lanes));
    Node *const zero = splat_make(ir, const_int(ir, DTYPE_F32, 0), t->lanes);
    for (int i = 0; i < t->thread_rows * t->vectors; i++)
        tile.sums[i] = body_var(ir, block, zero);
    gpu_contract_loop(c, block, multiply_threads, &tile);
    for (int r = 0; r < t->thread_rows; r++) {
        Node *const row = index_add(ir, c->a.first, index_add(ir, tile.row, index_const(ir, r * tile.row_step)));
        Block *const inside = gpu_contract_rows(c, block, row);
        for (int v = 0; v < t->vectors; v++) {
            Node *const column =
                index_add(ir, c->b.first, index_add(ir, tile.column, index_const(ir, v * tile.column_step)));
            gpu_contract_result(c, inside, row, column, body_get(ir, inside, tile.sums[r * t->vectors + v]));
        }
    }
}

/* ---- blocks ---- */

/* Units: batch x tiles of columns x tiles of rows, rows fastest: neighbouring blocks share their columns. */
static Node *emit_blocks(GpuContract *c, Block *body)
{
    Ir *const ir = c->ir;
    Node *const height = index_const(ir, c->tile.rows), *const width = index_const(ir, c->tile.columns);
    Node *const row_tiles = index_ceildiv(ir, c->roles.rows, height);
    Node *const column_tiles = index_ceildiv(ir, c->roles.columns, width);
    Node *const batches = axes_points(ir, c->roles.batch, c->roles.batch_count);
    Node *const units = index_mul(ir, index_mul(ir, batches, column_tiles), row_tiles);
    Node *unit;
    Block *const block = gpu_blocks(ir, body, units, &unit);
    Node *const above = index_floordiv(ir, unit, row_tiles);
    c->a.first = index_mul(ir, index_mod(ir, unit, row_tiles), height);
    c->b.first = index_mul(ir, index_mod(ir, above, column_tiles), width);
    gpu_digits(ir, c->roles.batch, c->roles.batch_count, index_floordiv(ir, above, column_tiles), c->batch);
    if (c->mma)
        gpu_mma_tile(c, block);
    else
        emit_thread_tile(c, block);
    return units;
}

static const char *moving(const GpuOperand *o)
{
    return o->async ? o->lanes > 1 ? "async" : "scattered" : o->lanes > 1 ? "chunks" : "values";
}

Node *gpu_contract_schedule(Ir *ir, Node *kernel, const TargetMachineInfo *target, const ScheduleOptions *options,
                            Trial *trial)
{
    GpuContract contract = {.ir = ir, .kernel = kernel, .target = target, .trial = trial};
    if (!gpu_contract_plan(&contract, options))
        return NULL;
    const GpuTile *const t = &contract.tile;
    Block *const body = block_make(ir);
    Node *const units = emit_blocks(&contract, body);
    const char *const tile =
        contract.mma
            ? arena_format(ir->arena, "%s rows=%d columns=%d", contract.mma->name, t->warp_rows, t->warp_columns)
            : arena_format(ir->arena, "rows=%d vectors=%d lanes=%d", t->thread_rows, t->vectors, t->lanes);
    const char *const text = arena_format(ir->arena, "gpu %s m=%d n=%d k=%d %s stages=%d a=%s b=%s threads=%d",
                                          contract.mma ? "mma" : "contract", t->rows, t->columns, t->depth, tile,
                                          contract.stages, moving(&contract.a), moving(&contract.b), contract.threads);
    return kernel_with_threads(ir, kernel, body, units, text, 0, contract.threads);
}
